"""Population shares: densities against numerical integration, EM against closed forms, planted shares, and every refusal."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bigbench_meta.analysis.tasks.mixture import fit, profile_interval
from bigbench_meta.analysis.tasks.population_sentences import share_sentences
from bigbench_meta.analysis.tasks.shape_cells import (
    EXPONENTS,
    N_PHI,
    SIZES,
    _groups,
    _log_normal_mass,
    cells,
    factors,
    likelihoods,
    unit_variance,
)
from bigbench_meta.analysis.tasks.shares import (
    DEFINITIONS,
    MAIN,
    SHAPES,
    Definition,
    difference,
    population_shares,
    shares,
)
from bigbench_meta.emergence import score_curves
from bigbench_meta.facts.claims import claims

SCALES = np.array([2e6, 16e6, 53e6, 125e6, 244e6, 422e6, 1e9, 2e9, 4e9, 8e9, 27e9, 128e9])
X = np.log10(SCALES)
NOBODY = pd.DataFrame({"task": [], "category": []})


def of(word: str, definition: Definition = MAIN) -> np.ndarray:
    """Cells of a shape."""
    return definition.cells_of(word)


def results(scores, *, metric="multiple_choice_grade", family="F", tasks=None, preferred=True) -> pd.DataFrame:
    """RESULTS from an array (task, scale)."""
    names = tasks or [f"t{i:03d}" for i in range(len(scores))]
    n_scales = scores.shape[1]
    return pd.DataFrame(
        {
            "task": np.repeat(names, n_scales),
            "metric": metric,
            "scale": np.tile(SCALES[:n_scales], len(names)),
            "score": scores.ravel(),
        }
    ).assign(subtask=lambda each: each["task"], is_aggregate=False, family=family, shots=0, is_preferred=preferred)


def estimated(frame, *, n_items=200.0, claimed=NOBODY, **more) -> pd.DataFrame:
    """Shares of a frame whose curves all have these items."""
    curves = score_curves(frame).assign(n_items=n_items)
    return population_shares(curves, frame, claimed=claimed, rng=np.random.default_rng(0), resamples=39, **more)


def value(table, shape, *, group="all", column="share"):
    """One number of the main definition."""
    rows = table[(table["group"] == group) & (table["shape"] == shape) & (table["definition"] == MAIN.words)]
    return float(rows[column].iloc[0])


def simulated(rng, n_sharp, n_flat, n_smooth=0):
    """Steps from .2 to .7, flat curves at .4 and straight lines from .2 to .7, with 200 items."""
    step = np.where(np.arange(12) >= 7, 0.7, 0.2)
    line = 0.2 + 0.5 * (X - X[0]) / (X[-1] - X[0])
    mean = np.concatenate([np.tile(step, (n_sharp, 1)), np.full((n_flat, 12), 0.4), np.tile(line, (n_smooth, 1))])
    return rng.binomial(200, mean) / 200


def test_cells_partition_every_definition():
    """Each cell is flat, smooth, sharp, falling or non-monotone under each definition, never two; surprising is part of sharp."""
    for definition in DEFINITIONS:
        together = np.sum([of(shape, definition) for shape in SHAPES if shape != "surprising"], axis=0)
        assert (together == 1).all()
        assert (of("sharp", definition) | ~of("surprising", definition)).all()
        assert of("surprising", definition).any()
    wide, narrow = Definition(1.0, 0.1), Definition(0.2, 0.1)
    assert of("sharp", wide).sum() < of("sharp", narrow).sum()


def test_the_density_of_a_cell_is_the_integral_over_its_sizes():
    """Four scales: falls of .05 to .1 over the flat cell, against sums over a fine grid of levels and sizes."""
    x = tuple(np.log10([1e6, 1e7, 1e8, 1e9]).tolist())
    y, n = np.array([0.42, 0.40, 0.39, 0.34]), 400.0
    found = likelihoods(x, y, n_items=n, is_share=True)
    at = int(np.flatnonzero(factors(n, has_items=True) == 1.0)[0])
    spread = np.sqrt(unit_variance(y, n_items=n, is_share=True))
    levels, sizes = np.linspace(0.2, 0.6, 801), np.linspace(SIZES[0], SIZES[1], 101)
    flat = stats.norm.pdf(y, levels[:, None], spread).prod(axis=1).sum()
    group = _groups(x)["any"]
    turned = 1 - np.average(y, weights=1 / spread**2)  # a fall is a rise of 1 - y
    total = possible = 0.0
    for shape, before, after in zip(group.shapes, group.before, group.after, strict=True):
        mean = np.average(shape, weights=1 / spread**2)
        # The whole shape stays within .03 of the range 0 to 1.
        inside = (turned - sizes * (mean + before) >= -0.03) & (turned + sizes * (1 - mean + after) <= 1.03)
        possible += inside.sum()
        at_level = levels[:, None, None] - sizes[inside][None, :, None] * shape
        total += stats.norm.pdf(y, at_level, spread).prod(axis=2).sum()
    small_fall = next(i for i, cell in enumerate(cells()) if cell.kind == "fall" and cell.size == 0)
    assert found[small_fall, at] / found[0, at] == pytest.approx(total / possible / flat, rel=0.02)
    assert total / possible / flat > 5


def test_normal_mass_in_both_tails():
    """Log of Phi(b) - Phi(a) far out on either side, where the difference itself underflows; an empty interval has none."""
    low, high = np.array([10.0, -12.0, 0.3, 1.0]), np.array([12.0, -10.0, 0.4, 1.0])
    found = _log_normal_mass(low, high, np.zeros(4), np.ones(4))
    assert found[0] == pytest.approx(stats.norm.logsf(10.0), abs=1e-8)
    assert found[1] == pytest.approx(found[0])
    assert found[2] == pytest.approx(np.log(stats.norm.cdf(0.4) - stats.norm.cdf(0.3)))
    assert found[3] == -np.inf


def test_a_fit_of_certain_curves_counts_them():
    """Each curve possible in one cell alone: shares are the weighted counts, and the profile interval that of a proportion."""
    likelihood = np.zeros((10, 3, N_PHI))
    likelihood[:3, 0] = likelihood[3:, 1] = 1.0
    weights = np.array([[1.0] * 10, [2.0] * 3 + [1.0] * 7])
    found = fit(likelihood, np.zeros(10, int), weights)
    assert found.shares[0] == pytest.approx([0.3, 0.7, 0.0], abs=1e-6)
    assert found.shares[1] == pytest.approx([6 / 13, 7 / 13, 0.0], abs=1e-6)
    low, high = profile_interval(likelihood[:, :, 0], weights[0], found.shares[0], np.array([True, False, False]))

    def drop(p):
        return 3 * np.log(0.3 / p) + 7 * np.log(0.7 / (1 - p)) - stats.chi2.ppf(0.95, 1) / 2

    from scipy.optimize import brentq

    # The grid of totals is .025 wide and interpolated.
    assert (low, high) == pytest.approx((brentq(drop, 0.01, 0.3), brentq(drop, 0.3, 0.9)), abs=0.01)
    nothing, bound = profile_interval(likelihood[:, :, 0], weights[0], found.shares[0], np.array([False, False, True]))
    # None of ten: 10 ln(1 / (1 - p)) = 1.92.
    assert (nothing, bound) == pytest.approx((0.0, 1 - np.exp(-0.19207)), abs=0.01)


def test_planted_shares_are_found():
    """12 steps, 12 flat curves and 6 lines with 200 items: .4, .4 and .2, each in its interval, no other shape."""
    table = estimated(results(simulated(np.random.default_rng(1), 12, 12, 6)))
    for shape, share in (("sharp", 0.4), ("flat", 0.4), ("smooth", 0.2)):
        assert value(table, shape) == pytest.approx(share, abs=0.06)
        assert value(table, shape, column="low") < share < value(table, shape, column="high")
    assert value(table, "fall") < 0.02
    assert value(table, "surprising") < 0.1  # the rise comes at the eighth of twelve scales
    assert value(table, "fall", column="low") == 0.0
    assert value(table, "fall", column="high") < 0.2


def test_falls_humps_and_late_rises_have_their_names():
    """Curves that are nothing else: all of them fall, go up and down, or rise in the last two steps."""
    rng = np.random.default_rng(2)
    line = 0.7 - 0.5 * (X - X[0]) / (X[-1] - X[0])
    hump = np.where((np.arange(12) >= 3) & (np.arange(12) < 8), 0.7, 0.3)
    late = np.where(np.arange(12) >= 11, 0.7, 0.2)
    for mean, shape in ((line, "fall"), (hump, "nonmonotone"), (late, "surprising")):
        table = estimated(results(rng.binomial(200, np.tile(mean, (10, 1))) / 200))
        assert value(table, shape) > 0.9


@pytest.mark.parametrize(("first", "late"), [(9, False), (10, True)])
def test_late_means_the_last_two_steps(first, late):
    """A step up to the eleventh of twelve scales is late, one up to the tenth is not."""
    mean = np.where(np.arange(12) >= first, 0.7, 0.2)
    table = estimated(results(np.random.default_rng(8).binomial(200, np.tile(mean, (10, 1))) / 200))
    assert value(table, "sharp") > 0.9
    assert (value(table, "surprising") > 0.9) == late
    assert (value(table, "surprising") < 0.1) != late


def test_lower_is_better_is_turned_and_needs_no_items():
    """Brier scores that fall in a step are sharp rises; their noise is found from the curves themselves."""
    brier = 1 - simulated(np.random.default_rng(3), 10, 10)
    table = estimated(results(brier, metric="calibration_multiple_choice_brier_score"), n_items=np.nan)
    assert value(table, "sharp") == pytest.approx(0.5, abs=0.1)
    assert value(table, "fall") < 0.05


def test_a_task_counts_once_whatever_its_subtasks():
    """Nine flat tasks and one task with 30 sharp subtasks: a tenth, not three quarters, is sharp."""
    rng = np.random.default_rng(4)
    many = results(simulated(rng, 30, 0), tasks=["giant"] * 30)
    many["subtask"] = np.repeat([f"giant:{i}" for i in range(30)], 12)
    table = estimated(pd.concat([results(simulated(rng, 0, 9)), many], ignore_index=True))
    assert value(table, "sharp") == pytest.approx(0.1, abs=0.03)
    assert value(table, "sharp", column="n_curves") == 39
    assert value(table, "sharp", column="n_tasks") == 10


def test_groups_and_their_differences():
    """Sharp under exact match, flat under multiple choice, half of either claimed: the difference is 1, and 0 between claims."""
    rng = np.random.default_rng(5)
    first = results(simulated(rng, 12, 0), metric="exact_str_match", tasks=[f"e{i}" for i in range(12)])
    second = results(simulated(rng, 0, 12), tasks=[f"m{i}" for i in range(12)])
    named = [f"{letter}{i}" for letter in "em" for i in range(12)]
    claimed = pd.DataFrame({"task": named, "category": ["emergent", "flat"] * 12})
    table = estimated(pd.concat([first, second], ignore_index=True), claimed=claimed)
    group = "exact_str_match minus multiple_choice_grade"
    assert value(table, "sharp", group=group) > 0.9
    assert value(table, "sharp", group=group, column="low") > 0.5
    both = "claimed minus not claimed"
    assert value(table, "sharp", group=both, column="low") < 0 < value(table, "sharp", group=both, column="high")
    sentences = share_sentences(table)
    assert any("not hard against soft" in each for each in sentences)
    assert any(each.startswith("Claimed and not, sharp: ") for each in sentences)
    assert set(table["group_by"]) == {"all", "family", "metric", "class", "claimed"}
    assert set(estimated(pd.concat([first, second]), group_by=("metric",))["group_by"]) == {"metric"}


def test_what_cannot_be_used_is_held_out_and_counted():
    """Too few scales, a missing score, a metric without range or direction; then too few tasks, with the reason and words."""
    rng = np.random.default_rng(6)
    good = results(simulated(rng, 4, 5))
    gap = results(simulated(rng, 1, 0), tasks=["gap"])
    gap.loc[3, "score"] = np.nan
    odd = results(simulated(rng, 1, 0), tasks=["odd"], metric="alignment_score")
    unbounded = results(simulated(rng, 1, 0), tasks=["open"], metric="log_likelihood")
    short = results(simulated(rng, 1, 0)[:, :4], tasks=["short"])
    frame = pd.concat([good, gap, odd, unbounded, short], ignore_index=True)
    table = estimated(frame)
    assert value(table, "flat", column="n_held_out") == 4
    assert value(table, "flat", column="n_curves") == 9
    few = estimated(good[good["task"] < "t007"])
    assert set(few["reason"]) == {"fewer_than_8_tasks"}
    assert few["share"].isna().all()
    assert share_sentences(few)[0].startswith("Population shares are not estimated: fewer than 8 tasks")
    assert share_sentences(few.iloc[:0]) == []


def test_limits_of_a_difference():
    """Newcombe's square-and-add by hand: .5 (.4 to .7) minus .2 (.1 to .4)."""
    share, low, high = difference((0.5, 0.4, 0.7), (0.2, 0.1, 0.4))
    assert share == pytest.approx(0.3)
    assert low == pytest.approx(0.3 - np.hypot(0.1, 0.2))
    assert high == pytest.approx(0.3 + np.hypot(0.2, 0.1))


def test_shares_of_an_analysis():
    """The table whole, of the main definition, or of another by its words."""
    table = estimated(results(simulated(np.random.default_rng(7), 4, 4)))
    analysis = SimpleNamespace(shares=table)
    assert shares(analysis) is table
    assert set(shares(analysis, definition="main")["definition"]) == {MAIN.words}
    assert set(shares(analysis, definition=DEFINITIONS[1].words)["shape"]) == {"sharp"}
    assert MAIN.exponent in EXPONENTS
    assert MAIN.least in SIZES


@pytest.mark.real
def test_the_bundle(shared_data):
    """BIG-G's 120 tasks: two to four in ten sharp, far more under exact match, claimed and unclaimed not told apart."""
    import bigbench_meta as bm

    frame = bm.load_results(shared_data / "bigbench-real.bundle").frame
    items = pd.read_csv(shared_data / "bundle_items.csv").set_index("task")["n_items_min"]
    curves = score_curves(frame)
    curves["n_items"] = curves["task"].astype(str).map(items).to_numpy(np.float64)
    table = population_shares(curves, frame, claimed=claims(), rng=np.random.default_rng(0))
    assert 0.15 < value(table, "sharp") < 0.35
    contrast = "exact_str_match minus multiple_choice_grade"
    assert value(table, "sharp", group=contrast, column="low") > 0
    assert 0.2 < value(table, "sharp", group=contrast) < 0.5
    both = "claimed minus not claimed"
    assert value(table, "sharp", group=both, column="low") < 0 < value(table, "sharp", group=both, column="high")
