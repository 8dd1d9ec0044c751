"""One number in the code, one value worked out by hand: units, divisors, weights and levels that a slip would change."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from test_emergence import frame_of

from bigbench_meta.analysis.curves import margins, montecarlo, noise, predictability
from bigbench_meta.analysis.curves.batch import batch_of
from bigbench_meta.analysis.curves.decisions import RISK, open_decisions
from bigbench_meta.analysis.curves.fits import Levels, anchor
from bigbench_meta.analysis.curves.inference import TESTS, CurveResult
from bigbench_meta.analysis.curves.intervals import largest_jumps, transition_widths
from bigbench_meta.analysis.curves.items import ItemTable
from bigbench_meta.analysis.curves.monotone import monotone_nulls, rising_fits
from bigbench_meta.analysis.curves.montecarlo import PValue, Sampling, bounds
from bigbench_meta.analysis.curves.noise import Noise, Residual, pooled_overdispersion
from bigbench_meta.analysis.curves.prepare import Curve, prepare_curves
from bigbench_meta.analysis.curves.sharpness import concentration_tests, flexible_fits
from bigbench_meta.facts.metrics import metrics


def curve_of(y, *, n_items=1000.0, x=None) -> Curve:
    """A curve of shares, scales a decade apart unless given."""
    scores = np.asarray(y, np.float64)
    at = tuple(float(each) for each in (range(len(scores)) if x is None else x))
    key = ("t", "t", "exact_str_match", "F", 0)
    return Curve(
        key, 10 ** np.array(at), scores, at, scores, Levels(0, 1), 1.0, False, 1.0, True, True, n_items, "given", ""
    )


def plain(variance: float = 1.0) -> Noise:
    """The same variance at every scale, known."""
    return Noise("constant", math.nan, np.array([variance]), np.ones(1))


def test_scores_are_turned_back_into_their_own_units():
    """BLEU of 0 to 100 is divided by 100 for the tests and comes back as it was."""
    frame = frame_of({"s": [10.0, 20.0, 30.0, 40.0]}).assign(metric="bleu")
    _, (curve,) = prepare_curves(frame, items=None, registry=metrics())
    assert curve.y.tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert [curve.on_disk(value) for value in curve.y] == pytest.approx([10, 20, 30, 40])


def test_items_of_a_subtask_are_a_part_of_the_tasks():
    """Of a task of 4 subtasks with 2,000 examples each, 256 (1024 / 4) are scored, and no score k/1024 off that grid passes."""
    import pandas as pd

    rows = [{"task": "t", "subtask": f"t:{part}", "n_distinct": 2000, "soft_targets": 0} for part in "abcd"]
    table = ItemTable(None, pd.DataFrame(rows))
    found = table.look_up("t", "t:a", "BIG-G T=0", score=np.array([3 / 256, 100 / 256]))
    assert found == (1024.0, "task.json")  # 3/256 is 12/1024 as well: the finer grid comes first
    assert table.look_up("t", "t:a", "BIG-G T=0", score=np.array([3 / 250, 101 / 250])) == (250.0, "task.json")
    soft = ItemTable(None, pd.DataFrame(rows).assign(soft_targets=1))
    assert soft.look_up("t", "t:a", "BIG-G T=0", score=np.array([0.123])) == (250.0, "task.json")


def test_the_packaged_distribution_has_the_weight_of_four_tasks():
    """Of 4 tasks whose residuals tell nothing but their number: a mass grows by its own share, so that half is packaged."""
    assert noise.PACKAGED_WEIGHT == 4.0
    # 4 tasks that are plainly overdispersed, n = 1001, ssr 200 times the expectation on 9 degrees of freedom: rho near .2;
    # each has weight 1 and the packaged part 4, so that they hold 4 / (4 + 4) of the mass, and rho > .1 nothing else.
    residuals = [Residual(f"t{at}", 1001.0, 9.0 * 200, 9.0, 9.0) for at in range(4)]
    found = pooled_overdispersion(residuals, kind="items", rng=np.random.default_rng(0))
    assert found is not None
    assert found.masses[found.grid > 0.1].sum() == pytest.approx(4 / (4 + 4), abs=0.01)


def test_a_detectable_jump_is_the_square_of_its_errors():
    """M = 4, variance v: a step after the last but one scale, flat best fit by the line; by hand below."""
    # The smooth shapes are at least 3.9 decades wide; with scales 2e-6 decades apart all of them are straight lines, and a
    # step J at place 1, 2 or 3 of 4 points misses the best rising line by J^2 times its own residual: for (0,0,0,1) the line
    # explains .45 of .75, for (0,0,1,1) .8 of 1. So the median of the three places misses J^2 * .3.
    curve = curve_of([0.5] * 4, x=[0.0, 2e-6, 4e-6, 6e-6])
    variance = 0.0005
    (found,) = largest_jumps(batch_of([curve], [plain(variance)]))
    needed = math.sqrt((1.645 + 0.842) ** 2 * variance / 0.3)
    assert found.detectable == pytest.approx(math.ceil(needed * 40) / 40)
    # without the square it would have been the next but some: sqrt(2.487 v / .3) is below
    assert math.ceil(math.sqrt(2.487 * variance / 0.3) * 40) < math.ceil(needed * 40)


def test_the_width_takes_the_point_of_two_parameters():
    """A step whose width is bounded from above: the interval ends where the misfit is 5.99, the 95% point of chi2 on 2."""
    y = [0.2] * 5 + [0.8] * 5
    batch = batch_of([curve_of(y, x=np.linspace(0, 4.5, 10))], [plain(0.006)])
    fit = flexible_fits(batch)
    (found,) = transition_widths(batch, fit=fit)
    widths, ssr = batch.shapes.widths, fit.ssr[0] / 0.006
    profile = {width: ssr[widths == width].min() - ssr.min() for width in np.unique(widths)}
    inside = [width for width, excess in profile.items() if excess <= stats.chi2.ppf(0.95, 2)]
    beyond = min(width for width in profile if width > max(inside))
    assert max(inside) <= found.high <= beyond
    assert max(width for width, excess in profile.items() if excess <= stats.chi2.ppf(0.95, 1)) < max(inside)


def test_a_step_has_the_error_of_both_its_points(monkeypatch: pytest.MonkeyPatch):
    """Where success rises from near 0 the points differ in error: p against the line by a simulation of its own."""
    monkeypatch.setattr(montecarlo, "EXCEEDANCES", 10**6)  # all draws are made
    y, n = np.array([0.02, 0.05, 0.12, 0.18, 0.36]), 100
    batch = batch_of([curve_of(y, n_items=n)], [Noise("items", n, np.ones(1), np.ones(1))])
    line = np.arange(5) / 4
    (found,) = concentration_tests(batch, smooth=line[None], sampling=Sampling(9999, 1), name="line")
    null = anchor(batch.y, values=line[None], among=1, noises=batch.noises, levels=batch.levels)
    mean, weights = null.mean[0], null.plan.weights[0]
    error = np.sqrt(1 / weights[1:] + 1 / weights[:-1])
    x = line - np.average(line, weights=weights)

    def largest(scores: np.ndarray) -> np.ndarray:
        centred = scores - np.average(scores, axis=1, weights=weights)[:, None]
        slope = np.maximum(centred @ (weights * x) / (weights @ x**2), 0.0)
        return ((np.diff(scores, axis=1) - slope[:, None] / 4) / error).max(axis=1)

    drawn = largest(np.random.default_rng(2).binomial(n, mean, size=(40_000, 5)) / n)
    # .120; with the variance of one of the two points alone .092
    assert found.p == pytest.approx((drawn >= largest(y[None])[0] - 1e-9).mean(), abs=0.012)


def test_a_law_of_free_width_and_place_spends_three_degrees():
    """The line has two levels, the others a place besides: 9 - 2 and 9 - 3, and never less than a half."""
    assert [predictability._dof(9, law) for law in ("line", "sigmoid", "theory", "broken_power_law")] == [7, 6, 6, 6]
    assert predictability._dof(3, "theory") == 0.5


def test_confidence_sequences_equal_the_binomial_one():
    """(m + 1) B(b; m, p) > risk at both ends, by SciPy's binomial; none and all of the draws reach 0 and 1."""
    large, draws = np.array([0, 3, 20, 50]), np.array([999, 999, 39, 50])
    low, high = bounds(large, draws, risk=1e-4)
    assert (low[0], high[3]) == (0.0, 1.0)
    for b, m, one, other in zip(large, draws, low, high, strict=True):
        for end in (each for each in (one, other) if 0 < each < 1):
            assert (m + 1) * stats.binom.pmf(b, m, end) == pytest.approx(1e-4, rel=1e-4)
        assert one <= b / m <= other


def result_of(p: dict[str, PValue]) -> CurveResult:
    """What the tests say of a curve, others with p = 1."""
    return CurveResult({}, [], {}, dict.fromkeys(TESTS, PValue(1.0, 1000, 1000)) | p, {})


def test_what_the_draws_leave_open():
    """Two curves: 0 of 99 leaves p up to .15, open at .05; 0 of 9,999 is settled; so is what clearly fails."""
    high = bounds(np.array([0]), np.array([99]), risk=RISK / 2)[1][0]
    assert high > 0.05
    open_one = result_of({"sharp": PValue(1 / 100, 99, 0)})
    settled = result_of({"sharp": PValue(1 / 10_000, 9_999, 0)})
    failing = result_of({"sharp": PValue(0.5, 200, 100)})
    both = open_decisions([open_one, failing], family=[0, 0], settle_fixed=[False, False])
    assert both.tests == [{"sharp"}, set()]
    assert both.decisions == [{"sharp"}, set()]
    assert open_decisions([settled, failing], family=[0, 0], settle_fixed=[False] * 2).tests == [set(), set()]
    # .05 itself is asked only where a verdict may hang on it
    near = result_of({"sharp": PValue(0.05, 999, 49), "falling": PValue(0.05, 999, 49)})
    alone = [failing, near]
    assert open_decisions(alone, family=[0, 0], settle_fixed=[False, True]).decisions[1] == {"sharp", "falling"}


def test_rising_fits_equal_the_best_partition():
    """All 16 ways to cut five points into blocks of rising weighted means: the least sum of squares, by enumeration."""
    rng = np.random.default_rng(4)
    y, w = rng.normal(size=(30, 5)), rng.uniform(0.5, 3, (30, 5))
    found = rising_fits(y, w)
    for row in range(30):
        best = np.inf
        for mask in range(16):
            ends = [0, *(at + 1 for at in range(4) if mask >> at & 1), 5]
            blocks = [slice(a, b) for a, b in itertools.pairwise(ends)]
            means = [np.average(y[row, each], weights=w[row, each]) for each in blocks]
            if all(a <= b for a, b in itertools.pairwise(means)):
                squares = sum((w[row, e] * (y[row, e] - m) ** 2).sum() for e, m in zip(blocks, means, strict=True))
                best = min(best, squares)
        assert found.squares[row, -1] == pytest.approx(best)
        assert (np.diff(found.fit[row]) >= 0).all()
        assert (w[row] * (y[row] - found.fit[row]) ** 2).sum() == pytest.approx(best)


def test_monotone_tests_take_the_noise_of_items_alone():
    """A curve that falls and rises by .05: with 100 items within noise, with 10,000 not, whatever other tasks scatter."""
    y = [0.5, 0.45, 0.5, 0.45, 0.5, 0.45]
    for n_items, explained in ((100, True), (10_000, False)):
        noisy = Noise("items", n_items, np.array([1.0, 50.0]), np.array([0.5, 0.5]))
        nulls = monotone_nulls(batch_of([curve_of(y, n_items=n_items)], [noisy]))
        assert nulls.rising.noises.factors.tolist() == [[1.0]]
        drawn = nulls.rising.drawer([curve_of(y, n_items=n_items)], seed=1)(np.array([0]), 400)
        share = (nulls.rising.statistic(drawn, np.array([0])) >= nulls.rising.observed[:, None]).mean()
        assert bool(share > 0.05) is explained


@pytest.mark.parametrize(
    ("y", "n_items", "found"),
    [
        ([0.37] * 5 + [0.63] * 5, 100, True),
        ([0.37, 0.63] * 5, 100, True),
        ([0.37] * 4 + [0.45, 0.5] + [0.63] * 4, 100, False),  # the largest step does not lead from one to the other
        ([0.3] * 5 + [0.6] * 5, 100, False),  # .3 + .6 is not 1
        ([0.5] * 5 + [0.5] * 4 + [0.49], 100, False),
        ([0.37] * 5 + [0.63] * 5, np.nan, False),
        ([0.0] * 5 + [1.0] * 5, 100, False),  # all wrong, then all right
    ],
)
def test_constant_answers(y, n_items, found):
    """Two levels that add to one, within an item, and nothing else."""
    assert margins.constant_answers(np.array(y), n_items=n_items) is found


def test_margin_scales_by_hand():
    """Accuracy: 1. A probability: what the family spans, .2 to .5. A log-likelihood: 4 units. The registry's word goes first."""
    scores = {"a": [0.2, 0.3, 0.4, 0.5], "b": [0.25, 0.3, 0.3, 0.35]}
    for metric, factor, scale in (
        ("multiple_choice_grade", 1.0, 1.0), ("per_token_accuracy", 1.0, 0.3), ("log_likelihood", -10.0, 3.0),
    ):  # fmt: skip
        frame = frame_of({name: [factor * each for each in values] for name, values in scores.items()}).assign(
            metric=metric
        )
        _, curves = prepare_curves(frame, items=None, registry=metrics())
        assert [curve.margin_scale * curve.unit for curve in curves] == pytest.approx([scale] * 2), metric
        stated = metrics().assign(margin_scale=0.25)
        _, curves = prepare_curves(frame, items=None, registry=stated)
        assert [curve.margin_scale * curve.unit for curve in curves] == pytest.approx([0.25] * 2)
