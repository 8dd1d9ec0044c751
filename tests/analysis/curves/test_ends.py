"""Where an estimate ends: limits that the data do not give, curves that cannot be tested, and noise that nothing tells."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from test_emergence import frame_of

from bigbench_meta.analysis.curves import inference
from bigbench_meta.analysis.curves.batch import batch_of, p_values
from bigbench_meta.analysis.curves.fits import Levels
from bigbench_meta.analysis.curves.inference import (
    CurveJob,
    FurtherJob,
    draw_tests_further,
    infer_curves_together,
    residuals,
    typical_curves,
)
from bigbench_meta.analysis.curves.intervals import Interval, implied_exponents, largest_jumps, transition_widths
from bigbench_meta.analysis.curves.items import ItemTable
from bigbench_meta.analysis.curves.laws import EXPONENT_TIMES_WIDTH, KINDS, dictionary, theory
from bigbench_meta.analysis.curves.montecarlo import PValue, Sampling, sequential_pvalues
from bigbench_meta.analysis.curves.noise import Noise, Residual, pooled_overdispersion
from bigbench_meta.analysis.curves.predictability import forecasts, laws_of, surprise_null
from bigbench_meta.analysis.curves.prepare import Curve, prepare_curves
from bigbench_meta.analysis.curves.sharpness import flexible_fits, sharp_up_to, sharpness_null, sharpness_sweeps
from bigbench_meta.analysis.tasks.length_law import _fit, effective_length, length_law
from bigbench_meta.analysis.tasks.lengths import length_tests
from bigbench_meta.facts.metrics import metrics


def curve_of(y, *, n_items=1000.0, apart=1.0) -> Curve:
    """A curve of shares, its scales ``apart`` decades apart."""
    scores, x = np.asarray(y, np.float64), apart * np.arange(len(y))
    key = ("t", "t", "exact_str_match", "F", 0)
    at = tuple(x.tolist())
    return Curve(key, 10**x, scores, at, scores, Levels(0, 1), 1.0, False, 1.0, True, True, n_items, "given", "")


def item_noise(n_items: float) -> Noise:
    """Items and nothing else."""
    return Noise("items", n_items, np.ones(1), np.ones(1))


def interval_of(estimator, curve: Curve, noise: Noise) -> Interval:
    """One of the profile intervals over the whole dictionary."""
    batch = batch_of([curve], [noise])
    return estimator(batch, fit=flexible_fits(batch))[0]


STEP = [0.0] * 6 + [1.0] * 6


def test_a_step_has_no_exponent_but_a_lower_limit():
    """Scales a decade apart resolve widths down to 1.34 decades (exponent 1; 1.5 would be .89): a perfect step is steeper."""
    found = interval_of(implied_exponents, curve_of(STEP), item_noise(1000))
    assert (found.low, found.reason) == (pytest.approx(1.0), "a step fits")
    assert math.isnan(found.estimate)
    assert math.isnan(found.high)


def test_a_step_may_hide_the_whole_range():
    """On a perfect step from 0 to 1 a jump of the whole range is allowed: the limit is 1, and cannot be more."""
    assert largest_jumps(batch_of([curve_of(STEP)], [item_noise(1000)]))[0].high == 1.0


@pytest.mark.parametrize(("y", "n_items", "reason"), [(STEP, 60, "few items"), (STEP, 100, ""), (STEP[3:10], 60, "")])
def test_width_on_few_items_is_marked(y, n_items, reason):
    """Fewer than 100 items on 8 scales or more say so; the width of a step is 0 to, next to it, 1.34 decades."""
    found = interval_of(transition_widths, curve_of(y, n_items=n_items), item_noise(n_items))
    assert found == (0.0, 0.0, pytest.approx(EXPONENT_TIMES_WIDTH), reason)


def test_width_of_a_line_is_beyond_the_widest_curve():
    """A line nearly without noise excludes every curve: at least the widest one's 1.34 / .045 = 29.8 decades."""
    noise = Noise("constant", math.nan, np.array([1e-12]), np.ones(1))
    found = interval_of(transition_widths, curve_of(np.linspace(0.2, 0.8, 8)), noise)
    assert (found.low, found.reason) == (pytest.approx(29.77, abs=0.01), "not saturated")
    assert math.isnan(found.estimate)
    assert math.isnan(found.high)


@pytest.mark.parametrize(("n_items", "reason"), [(499, ""), (500, "coarse grid")])
def test_steep_exponents_of_many_items_are_marked(n_items, reason):
    """A curve of the dictionary itself, exponent 1: found exactly, and from 500 items with the word that the grid is coarse."""
    shapes = dictionary(curve_of([0] * 12, apart=0.25).x)
    steep = (shapes.kinds == KINDS.index("theory")) & np.isclose(shapes.widths, EXPONENT_TIMES_WIDTH)
    rows = shapes.values[steep]  # noqa: PD011 - no frame
    found = interval_of(
        implied_exponents, curve_of(rows[len(rows) // 2], n_items=n_items, apart=0.25), item_noise(n_items)
    )
    assert (found.estimate, found.reason) == (pytest.approx(1.0), reason)
    assert 0.9 < found.low < 1.0 < found.high < 1.1


def test_close_scales_resolve_every_exponent():
    """Scales a tenth of a decade apart resolve the steepest law of the dictionary, exponent 11: a width of .122."""
    widths = dictionary((0.0, 0.1, 0.2, 0.3)).widths
    assert widths[widths > 0].min() == pytest.approx(EXPONENT_TIMES_WIDTH / 11)


def test_lengths_without_a_finite_law():
    """A clean step in scale, and columns that tell the same twice, have no finite estimate; a reason in place of numbers."""
    scales, lengths, n = np.tile(10.0 ** np.arange(6, 11), 2), np.repeat([1.0, 5.0], 5), np.full(10, 100.0)
    step = np.array([0, 0, 0, 1, 1] * 2, dtype=float)
    law = length_law(step, lengths=lengths, scales=scales, n_items=n)
    assert (law.reason, law.n_points) == ("not_identified", 10)
    assert math.isnan(law.exponent.value)
    twice = np.column_stack([np.ones(10), np.log(lengths), np.log(lengths)])
    same = _fit(n * theory(np.log10(scales), exponent=0.3, x0=8.0), n, columns=twice, offset=np.zeros(10))
    assert same == "not_identified"
    # right where a token hardly ever is, wrong where it nearly always is: no l is near
    chance = np.array([1e-16, 0.5, 1 - 1e-16, 0.5, 0.5])
    found = effective_length(np.array([1.0, 0, 0, 0, 0]), per_token=chance, length=2, n_items=n[:5])
    assert (found.reason, found.n_points, found.n_left_out) == ("law_does_not_fit", 5, 0)


def test_lengths_without_scores_of_tokens():
    """Exact match alone gives the law, exp(-L (N / 1e8)^-.3) to a millionth, and no effective length."""
    rows = [
        {"task": "t", "subtask": f"t:length_{length}", "family": "F", "shots": 0, "scale": scale,
         "metric": "exact_str_match", "score": math.exp(-length * (scale / 1e8) ** -0.3)}
        for length in (1, 5) for scale in (1e7, 1e8, 1e9, 1e10)
    ]  # fmt: skip
    frame = pd.DataFrame(rows).assign(is_aggregate=False)
    table = length_tests(frame, curves=frame.drop_duplicates("subtask").assign(n_items=10**6))
    assert table["quantity"].tolist() == ["exponent", "length power"]
    assert table["estimate"].tolist() == pytest.approx([0.3, 1.0], rel=1e-4)


def test_laws_that_few_points_carry():
    """Two points carry no law, three all but the broken power law with its six parameters, seven that one too."""
    x = tuple(np.arange(8.0).tolist())
    assert laws_of(x, 2) == {}
    assert list(laws_of(x, 3)) == ["line", "sigmoid", "theory"]
    assert list(laws_of(x, 6)) == list(laws_of(x, 3))
    assert list(laws_of(x, 7)) == ["line", "sigmoid", "theory", "broken_power_law"]


def test_no_forecast_from_two_points():
    """Two of four scales held out leave two, too few for a line: no forecast; one held out gives the four rows and the total."""
    batch, sampling = batch_of([curve_of([0.1, 0.2, 0.3, 0.4])], [item_noise(1000)]), Sampling(19, 0)
    assert forecasts(batch, sampling=sampling, held_out=(2,)) == [[]]
    (rows,) = forecasts(batch, sampling=sampling, held_out=(1, 2))
    assert [(row.held_out, row.law) for row in rows[:4]] == [
        (1, "line"), (1, "sigmoid"), (1, "theory"), (1, "all_laws"),
    ]  # fmt: skip
    assert len(rows) == 5
    assert rows[0].forecast == pytest.approx(0.4)


def test_all_draws_are_made_where_none_exceeds():
    """999 draws below the observation in three stages: p = 1 / 1000, and its error sqrt(.001 * .999 / 999)."""
    asked = []
    (found,) = sequential_pvalues(
        np.ones(1), lambda at, size: asked.append(size) or np.zeros((len(at), size)), draws=999
    )
    assert (found, asked) == (PValue(0.001, 999, 0), [39, 160, 800])
    assert found.error == pytest.approx(0.001)
    # 1,001 further draws, three of them large: (3 + 1) / (2000 + 1)
    assert found.more(3, 1001) == PValue(4 / 2001, 2000, 3)


def test_a_test_without_a_value_is_not_swept():
    """Where sharpness has no p-value no bound is tried, and there is none up to which the curve is sharp."""
    batch, undefined = batch_of([curve_of([0.1, 0.2, 0.3, 0.4])], [item_noise(1000)]), PValue(math.nan, 0)
    (sweep,) = sharpness_sweeps(batch, sampling=Sampling(19, 0), at_default=[undefined])
    assert sweep == {0.34: undefined}
    assert math.isnan(sharp_up_to(sweep))


def test_a_curve_that_leaves_nothing_tells_nothing_of_its_noise():
    """A constant share is fitted exactly: no residual and no degree of freedom, of 6 - 3 that it might have had."""
    (found,) = residuals([curve_of([0.5] * 6, n_items=math.nan)], kind="share")
    assert found == (
        "t", pytest.approx(math.nan, nan_ok=True), 0.0, 3.0, 0.0,
    )  # fmt: skip


def test_noise_without_any_residual_is_the_packaged_one():
    """80% of tasks without overdispersion; mean .06 * .0016 + .09 * .0125 + .05 * .05 = .0037, to the grid's step."""
    found = pooled_overdispersion([Residual("t", 100, 0.0, 0.0, 0.0)], kind="items", rng=np.random.default_rng(0))
    assert found is not None
    assert (found.n_tasks, found.masses[0]) == (0, 0.8)
    assert found.mean == pytest.approx(0.0037, rel=0.06)
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_soft_targets_are_not_held_against_their_grid():
    """131 items with soft targets may score .123, which is not a 131st part (16.1); a score on the grid counts the same."""
    name = "emojis_emotion_prediction"
    for score in (0.123, 16 / 131):
        assert ItemTable(None).look_up(name, name, "BIG-G T=0", score=np.array([score])) == (131.0, "packaged")


def test_aggregates_are_refused():
    """A mean over subtasks is no curve of its own."""
    _, (curve,) = prepare_curves(
        frame_of({"s": [0.1, 0.2, 0.3, 0.4]}, is_aggregate=True), items=None, registry=metrics()
    )
    assert curve.refused == "aggregate of subtasks"


def test_typical_curve_by_hand(monkeypatch):
    """Mean of the other tasks, each counted once, scaled to 0-1; none where they are constant or too few."""
    scores = {"a1": [0, 0, 0.25, 1], "a2": [0, 0, 0.75, 1], "b": [0.25] * 4, "c": [0.5] * 4}
    frame = frame_of(scores).assign(task=lambda table: table["subtask"].str[0])
    _, curves = prepare_curves(frame, items=None, registry=metrics())
    assert typical_curves(curves) == {}  # two other tasks where 50 are asked for
    monkeypatch.setattr(inference, "MIN_TYPICAL_TASKS", 2)
    found = {key[1]: values.tolist() for key, values in typical_curves(curves).items()}
    assert found == {"b": [0, 0, 0.5, 1], "c": [0, 0, 0.5, 1]}


def test_only_the_named_tests_are_drawn_further():
    """Of a step none of 19 draws is as large: p = 1/20; 20 more for the named tests make 1/40, the same again in one call."""
    noise = item_noise(1000)
    (first,) = infer_curves_together(CurveJob((curve_of(STEP),), (noise,), (None,), Sampling(19, 0)))
    assert (first.tests["trend"].p, first.tests["sharp"].p) == (1 / 20, 1 / 20)
    job = FurtherJob(curve_of(STEP), noise, {name: first.tests[name] for name in ("trend", "sharp")}, 39, 0, 1)
    assert draw_tests_further(job) == {"trend": PValue(1 / 40, 39, 0), "sharp": PValue(1 / 40, 39, 0)}


def test_side_questions_get_a_fifth_of_the_draws():
    """A step is sharp at the default bound with 1 / 1000, and against every other bound with 1 / 200, the least of 199."""
    batch, sampling = (
        batch_of([curve_of([0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0])], [item_noise(1000)]),
        Sampling(999, 0),
    )
    sharp = p_values(batch, sharpness_null(batch), sampling=sampling)
    (sweep,) = sharpness_sweeps(batch, sampling=sampling, at_default=sharp)
    assert sweep[0.34] == PValue(0.001, 999, 0)
    steeper = [result for bound, result in sweep.items() if bound != 0.34]
    assert steeper
    assert {result for result in steeper if result.p < 0.01} == {PValue(0.005, 199, 0)}


def test_a_law_that_foresees_the_score_ends_the_others_early():
    """The paper's own convex curve leaves the line (999 draws); once another law allows it the rest get 199 at most."""
    x = np.linspace(7, 11, 9)
    curve = curve_of(theory(x, exponent=0.3, x0=11.0), apart=0.5)
    (found,) = forecasts(batch_of([curve], [item_noise(1000)]), sampling=Sampling(999, 0))
    rows = {row.law: row for row in found if row.held_out == 1}
    assert rows["line"].draws == 999
    assert rows["line"].p == 0.001
    assert rows["broken_power_law"].p > 0.02
    assert max(rows["sigmoid"].draws, rows["theory"].draws) <= 199
    assert rows["all_laws"].p == max(row.p for law, row in rows.items() if law != "all_laws")


def test_the_papers_own_curve_is_no_surprise_and_a_late_step_is():
    """Under its own null the convex law gives p > .1; a step of .4 at the last of 9 scales leaves no draw as large."""
    x = np.linspace(7, 11, 9)
    convex, late = theory(x, exponent=0.3, x0=11.0), np.where(np.arange(9) == 8, 0.65, 0.25)
    batch = batch_of([curve_of(convex, apart=0.5), curve_of(late, apart=0.5)], [item_noise(1000)] * 2)
    null = surprise_null(batch)
    assert null is not None
    foreseen, surprising = p_values(batch, null, sampling=Sampling(199, 0))
    assert foreseen.p > 0.1
    assert surprising.p == 1 / 200
