"""The law with known lengths: simulated truth, an independent implementation, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from bigbench_meta.analysis.curves.noise import beta_binomial
from bigbench_meta.analysis.tasks.length_law import _fit, effective_length, length_law
from bigbench_meta.analysis.tasks.lengths import COLUMNS, length_tests
from bigbench_meta.errors import AnalysisError
from bigbench_meta.experiments.ladder.packaged import packaged_ladder
from bigbench_meta.loader import load_results

SCALES = np.geomspace(3e7, 1e11, 5)
LENGTHS = (1.0, 2.0, 5.0)
SCALE, LENGTH = np.tile(SCALES, len(LENGTHS)), np.repeat(LENGTHS, len(SCALES))
N = np.full(len(SCALE), 200.0)


def accuracy(*, exponent: float, power: float = 1.0) -> np.ndarray:
    """The law itself, one nat a token near the smallest scale: success is nowhere far below one item."""
    return np.exp(-(LENGTH**power) * (SCALE / 1e8) ** -exponent)


def draw(mean: np.ndarray, *, rng: np.random.Generator, rho: float = 0.0) -> np.ndarray:
    """One simulated set of accuracies, overdispersed by ``rho``."""
    if rho == 0:
        return rng.binomial(200, mean) / 200
    return beta_binomial(mean[None, :], n_items=200, factor=np.array([[1 + 199 * rho]]), rng=rng)[0]


def test_coefficients_are_those_of_an_independent_implementation() -> None:
    """The binomial GLM of statsmodels with the complementary log-log link gives the same exponent, power and dispersion."""
    y = draw(accuracy(exponent=0.3), rng=np.random.default_rng(1))
    found = length_law(y, lengths=LENGTH, scales=SCALE, n_items=N)
    columns = np.column_stack([np.ones(len(y)), np.log(SCALE), np.log(LENGTH)])
    failures = np.column_stack([np.rint(200 * (1 - y)), np.rint(200 * y)])
    other = sm.GLM(failures, columns, family=sm.families.Binomial(sm.families.links.CLogLog())).fit(tol=1e-12)
    assert found.exponent.value == pytest.approx(-other.params[1], rel=1e-6)
    assert found.power.value == pytest.approx(other.params[2], rel=1e-6)
    assert found.dispersion == pytest.approx(other.pearson_chi2 / other.df_resid, rel=0.1)  # half a success floor


@pytest.mark.parametrize("rho", [0.0, 0.01])
def test_level_and_coverage(rho: float) -> None:
    """Under the law, 5% tests of b = 1 and of the bound reject in at most 8.5% of 300 (P < .5%) and intervals hold the truth."""
    rng = np.random.default_rng(2)
    mean = accuracy(exponent=0.34)
    laws = [length_law(draw(mean, rng=rng, rho=rho), lengths=LENGTH, scales=SCALE, n_items=N) for _ in range(300)]
    assert np.mean([law.power.p_value <= 0.05 for law in laws]) <= 0.085
    assert np.mean([law.exponent.p_value <= 0.05 for law in laws]) <= 0.085
    assert np.mean([law.exponent.low <= 0.34 <= law.exponent.high for law in laws]) >= 0.915
    assert np.mean([law.power.low <= 1 <= law.power.high for law in laws]) >= 0.915


def test_power_against_a_steeper_curve_and_against_dependent_tokens() -> None:
    """An exponent of .6, and targets that behave as of length sqrt(L), are found in at least nine of ten."""
    rng = np.random.default_rng(3)
    steep = [
        length_law(draw(accuracy(exponent=0.6), rng=rng), lengths=LENGTH, scales=SCALE, n_items=N) for _ in range(50)
    ]
    root = accuracy(exponent=0.3, power=0.5)
    eased = [length_law(draw(root, rng=rng), lengths=LENGTH, scales=SCALE, n_items=N) for _ in range(50)]
    assert np.mean([law.exponent.p_value <= 0.05 for law in steep]) >= 0.9
    assert np.mean([law.power.p_value <= 0.05 and law.power.value < 1 for law in eased]) >= 0.9


def test_effective_length_under_independence_and_without() -> None:
    """p^3 is told as length 3 with level 5% (at most 8.5% of 300); p^2 under the name of length 3 is found out."""
    rng = np.random.default_rng(4)
    p, n = np.array([0.1, 0.4, 0.6, 0.8, 0.9, 0.97]), np.full(6, 200.0)
    right = [effective_length(draw(p**3, rng=rng), per_token=p, length=3, n_items=n) for _ in range(300)]
    wrong = [effective_length(draw(p**2, rng=rng), per_token=p, length=3, n_items=n) for _ in range(50)]
    assert np.mean([each.length.p_value <= 0.05 for each in right]) <= 0.085
    assert np.mean([each.length.low <= 3 <= each.length.high for each in right]) >= 0.915
    assert np.mean([each.length.p_value <= 0.05 for each in wrong]) >= 0.9
    assert np.median([each.length.value for each in wrong]) == pytest.approx(2.0, abs=0.1)


def test_effective_length_of_outputs_drawn_token_by_token() -> None:
    """Both scores of the same outputs: independent tokens reject at 5% in at most 5% of 200, one fate in five outputs in half."""
    rng = np.random.default_rng(5)
    p = np.linspace(0.3, 0.97, 7)

    def rejected(together: float) -> list[bool]:
        fate = np.where(rng.random((7, 200, 1)) < together, rng.random((7, 200, 1)), rng.random((7, 200, 4)))
        right = fate < p[:, None, None]
        found = effective_length(
            right.all(axis=2).mean(axis=1), per_token=right.mean(axis=(1, 2)), length=4, n_items=np.full(7, 200.0)
        )
        return [found.length.p_value <= 0.05, found.length.low <= 4 <= found.length.high]

    level, covered = np.mean([rejected(0.0) for _ in range(200)], axis=0)
    assert level <= 0.05
    assert covered >= 0.95
    assert np.mean([rejected(0.2)[0] for _ in range(50)]) >= 0.5


def test_what_cannot_be_told_is_refused_with_a_reason() -> None:
    """One length, one scale, too few points, no success at all, and points that no law follows."""
    some = np.linspace(0.1, 0.9, len(SCALE))
    assert length_law(some, lengths=np.ones(15), scales=SCALE, n_items=N).reason == "one_length"
    assert length_law(some, lengths=LENGTH, scales=np.ones(15), n_items=N).reason == "one_scale"
    few = slice(3, 7)
    refused = length_law(some[few], lengths=LENGTH[few], scales=SCALE[few], n_items=N[few])
    assert refused.reason == "too_few_points"
    assert np.isnan(refused.exponent.value)
    assert length_law(0 * some, lengths=LENGTH, scales=SCALE, n_items=N).reason == "not_identified"
    ragged = np.clip(accuracy(exponent=0.3) + np.where(np.arange(15) % 2, 0.2, -0.2), 0, 1)
    wild = length_law(ragged, lengths=LENGTH, scales=SCALE, n_items=10 * N)
    assert wild.reason == "law_does_not_fit"
    assert wild.dispersion > 25
    left = effective_length(some[:6], per_token=np.array([0, 0.1, 0.2, 0.4, 0.8, 1.0]), length=2, n_items=N[:6])
    assert (left.n_left_out, left.reason) == (2, "too_few_points")


def results_of(names: dict[str, float], *, exponent: float = 0.3, per_token: bool = True) -> pd.DataFrame:
    """RESULTS of one task: exact match by the law at the length of each subtask, and the per-token accuracy behind it."""
    rows = []
    for subtask, length in names.items():
        token = np.exp(-((SCALES / 1e8) ** -exponent))
        for metric, scores in (("exact_str_match", token**length), ("per_token_accuracy", token)):
            rows += [(subtask, metric, x, y) for x, y in zip(SCALES, scores, strict=True)]
    frame = pd.DataFrame(rows, columns=["subtask", "metric", "scale", "score"])
    frame = frame if per_token else frame[frame["metric"] == "exact_str_match"]
    return frame.assign(task="t", family="F", shots=0, is_aggregate=False)


def curves_of(frame: pd.DataFrame, *, n_items: float = 1000.0) -> pd.DataFrame:
    """The columns of CURVES that tell the items."""
    key = ["task", "subtask", "metric", "family", "shots"]
    return frame[key].drop_duplicates(ignore_index=True).assign(n_items=n_items)


NAMES = {"t:length_1": 1.0, "t:length_2": 2.0, "t:length_5": 5.0}


def test_table_reads_lengths_from_the_names_of_subtasks() -> None:
    """Subtasks ``length_1, 2, 5`` give the law and effective lengths (none at 1, where both measures are one); q by quantity."""
    frame = results_of(NAMES | {"t:other": 4.0})
    table = length_tests(frame, curves=curves_of(frame))
    assert table["quantity"].tolist() == ["exponent", "length power", *["effective length"] * 4]
    assert table["subtask"].tolist() == ["", "", *NAMES, "t:other"]
    np.testing.assert_allclose(table["estimate"], [0.3, 1.0, np.nan, 2.0, 5.0, 4.0], rtol=1e-4)
    assert table["reason"].tolist() == ["", "", "same_scores", "", "", "length_unknown"]
    assert table["hypothesis"].tolist() == ["at most 0.34", "equal to 1", "equal to 1", "equal to 2", "equal to 5", ""]
    assert (
        table["p_value"].notna().tolist() == table["q_value"].notna().tolist() == [True, True, False, True, True, False]
    )
    two = table["p_value"].to_numpy()[3:5]
    assert table["q_value"].to_numpy()[3:5] == pytest.approx([min(2 * two.min(), two.max()), two.max()], abs=1e-12)


def test_lengths_that_are_given_stand_in_for_names() -> None:
    """A user's lengths hold for the whole task: its other subtasks, whatever their names, have none."""
    frame = results_of({"short": 2.0, "long": 5.0, "t:length_9": 9.0})
    given = pd.DataFrame({"task": "t", "subtask": ["short", "long"], "target_length": [2, 5]})
    table = length_tests(frame, curves=curves_of(frame), lengths=given).set_index(["quantity", "subtask"])
    assert table.loc[("exponent", ""), ["estimate", "n_points"]].tolist() == [pytest.approx(0.3, rel=1e-4), 10]
    assert table.loc["effective length", "target_length"].tolist() == pytest.approx([2.0, 5.0, np.nan], nan_ok=True)
    for_all = pd.DataFrame({"task": ["t", "elsewhere"], "target_length": [5, 7]})
    table = length_tests(frame, curves=curves_of(frame), lengths=for_all)
    assert table["quantity"].tolist() == ["effective length"] * 3
    assert set(table["target_length"]) == {5.0}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"task": ["t"]}, "target_length missing"),
        ({"task": ["t"], "target_length": [0]}, "'t' is not a number of at least 1"),
        ({"task": ["t", "t"], "target_length": [2, 3]}, "1 rows repeat"),
    ],
)
def test_malformed_lengths_are_refused(given, message) -> None:
    """A missing column, a length below 1 and a task named twice are errors that say what to do."""
    frame = results_of(NAMES)
    with pytest.raises(AnalysisError, match=message):
        length_tests(frame, curves=curves_of(frame), lengths=pd.DataFrame(given))


def test_points_without_items_or_outside_the_range_are_left_out_and_counted() -> None:
    """Items unknown for one of three lengths: its five points are left out; for all of them: no number, and why."""
    frame = results_of(NAMES)
    curves = curves_of(frame)
    curves.loc[curves["subtask"] == "t:length_2", "n_items"] = np.nan
    table = length_tests(frame, curves=curves).set_index(["quantity", "subtask"])
    law, unknown = table.loc[("exponent", "")], table.loc[("effective length", "t:length_2")]
    assert law[["n_points", "n_left_out", "reason"]].tolist() == [10, 5, ""]
    assert unknown[["n_points", "n_left_out", "reason"]].tolist() == [0, 5, "items_unknown"]
    nothing = length_tests(frame, curves=curves_of(frame, n_items=np.nan))
    assert set(nothing["reason"]) == {"items_unknown"}
    assert nothing[["estimate", "p_value", "q_value"]].isna().all(axis=None)
    high = frame.assign(score=frame["score"].where(frame["scale"] < SCALES[-1], 1.2))
    assert length_tests(high, curves=curves_of(high))["n_left_out"].tolist() == [3, 3, 1, 1, 1]


def test_without_lengths_or_scores_of_tokens_the_table_is_empty() -> None:
    """Exact match of one unknown length says nothing of L: no row, all columns."""
    frame = results_of({"other": 4.0}, per_token=False)
    table = length_tests(frame, curves=curves_of(frame))
    assert (len(table), tuple(table.columns)) == (0, COLUMNS)
    graded = frame.assign(metric="multiple_choice_grade")
    assert tuple(length_tests(graded, curves=curves_of(graded)).columns) == COLUMNS


def test_the_law_of_the_packaged_ladder_is_refused_for_its_misfit() -> None:
    """Points that no power of N draws are a misfit, found in all three seeds, 90 points each."""
    frame = load_results(packaged_ladder(), tasks=["contextual_substitution"], metrics=["exact_str_match"]).frame
    table = length_tests(frame, curves=curves_of(frame))
    assert set(table["reason"]) == {"law_does_not_fit"}
    assert (table["dispersion"] > 25).all()
    assert (table["n_points"] == 90).all()


def test_the_fit_settles_far_from_its_points() -> None:
    """Accuracies that fall far short of the law at the small scales: the maximum is that of statsmodels, to a millionth."""
    y = np.array([0.24, 0.5, 0.92, 1.0, 1.0, 0.0, 0.025, 0.684, 0.998, 1.0, 0.0, 0.001, 0.371, 0.995, 0.999])
    columns = np.column_stack([np.ones(15), np.log(SCALE / np.median(SCALE)), np.log(LENGTH)])
    failures = np.rint(1000 * (1 - y))
    found = _fit(failures, np.full(15, 1000.0), columns=columns, offset=np.zeros(15))
    counts = np.column_stack([failures, 1000 - failures])
    other = sm.GLM(counts, columns, family=sm.families.Binomial(sm.families.links.CLogLog())).fit(
        maxiter=500, tol=1e-14
    )
    assert found.coefficients == pytest.approx(other.params, rel=1e-6)
    assert np.sqrt(np.diag(found.covariance)) == pytest.approx(other.bse, rel=1e-4)
