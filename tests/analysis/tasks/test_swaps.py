"""Metric swaps: pairs by hand, signed ranks against scipy, McNemar against the binomial, and the published tables."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, wilcoxon

from bigbench_meta.analysis.tasks.swaps import hodges_lehmann, signed_rank_p_value, swap_pairs, swap_tests
from bigbench_meta.emergence import score_curves

READER = Path(__file__).resolve().parents[3] / "scripts" / "maintenance" / "read_published_tables.py"
HARD, SOFT = "multiple_choice_grade", "calibration_multiple_choice_brier_score"


def curves_of(hard, soft, *, family="F") -> pd.DataFrame:
    """One task per pair of E values (M = 12) under a hard metric and a Brier score, whose E has the other sign."""
    rows = []
    for i, pair in enumerate(zip(hard, soft, strict=True)):
        for metric, direction, e in ((HARD, "higher", pair[0]), (SOFT, "lower", -pair[1])):
            rows.append((f"t{i:02d}", metric, direction, e))
    frame = pd.DataFrame(rows, columns=["task", "metric", "direction", "emergence_score"])
    return frame.assign(subtask=frame["task"], family=family, shots=0, n_scales=12, linearity=3.0, is_aggregate=False)


def test_pairs_are_oriented_and_classified():
    """E = 20 against a falling Brier of E = -4: difference -16, sharp before and not after; the reverse never 'stops'."""
    pairs = swap_pairs(curves_of([20.0, 4.0, 20.0, np.nan], [4.0, 20.0, 30.0, 20.0]))
    assert pairs["emergence_score_difference"].tolist()[:3] == [-16.0, 16.0, 10.0]
    stops = [None if value is pd.NA else value for value in pairs["stops_being_sharp"]]
    assert stops == [True, None, False, None]
    assert set(pairs["sharp_by"]) == {"E > M - 1"}


def test_calibrated_verdicts_replace_the_cut_where_they_exist():
    """With verdicts a curve is sharp by its verdict, whatever its E."""
    curves = curves_of([20.0, 20.0], [4.0, 4.0]).assign(verdict=["sharp", "smooth", "smooth", "smooth"], p_sharp=0.5)
    pairs = swap_pairs(curves)
    assert pairs["sharp_hard"].tolist() == [True, False]
    assert set(pairs["sharp_by"]) == {"verdict sharp"}


def test_a_curve_that_no_test_was_run_on_has_not_stopped_being_sharp():
    """Six tasks sharp under the hard metric whose Brier noise is unknown: every pair is undefined and nothing is concluded."""
    curves = curves_of([20.0] * 6, [4.0] * 6)
    hard = curves["metric"] == HARD
    curves = curves.assign(verdict=np.where(hard, "sharp", "undecided"), p_sharp=np.where(hard, 0.001, np.nan))
    pairs = swap_pairs(curves)
    assert pairs[["sharp_soft", "stops_being_sharp"]].isna().all(axis=None)
    row = swap_tests(pairs, rng=np.random.default_rng(0), draws=19).set_index("quantity").loc["sharp"]
    assert (row["n_units"], row["n_undefined"]) == (0, 6)
    assert math.isnan(row["estimate"])
    assert math.isnan(row["p_value"])


def test_share_that_stops_and_mcnemar():
    """Of 10 sharp tasks 9 stop; 9 discordant one way, 1 the other: exact McNemar is the binomial test of 9 in 10."""
    hard = [20.0] * 10 + [4.0] * 5
    soft = [4.0] * 9 + [20.0] + [20.0] + [4.0] * 4
    table = swap_tests(swap_pairs(curves_of(hard, soft)), rng=np.random.default_rng(0), draws=499)
    row = table[table["quantity"] == "sharp"].iloc[0]
    assert (row["only_hard"], row["only_soft"], row["estimate"]) == (9, 1, 0.9)
    assert row["p_value"] == pytest.approx(binomtest(9, 10).pvalue)
    assert row["low"] < 0.9 <= row["high"] <= 1.0


def test_one_task_is_compared_over_families():
    """One task in seven families: the families are the units; all seven stop, so McNemar's p is 2 / 2^7, as is the rank test's."""
    seven = pd.concat([swap_pairs(curves_of([20.0], [4.0], family=f"F{i}")) for i in range(7)], ignore_index=True)
    table = swap_tests(seven, rng=np.random.default_rng(0), draws=19).set_index("quantity")
    assert set(table["unit"]) == {"family"}
    assert set(table["family"]) == {"all"}
    assert table.loc["emergence_score", "estimate"] == -16.0
    assert table.loc[["emergence_score", "sharp"], "p_value"].tolist() == [2 / 2**7] * 2
    sharp = table.loc["sharp"]
    assert (sharp["only_hard"], sharp["estimate"], sharp["low"], sharp["high"]) == (7, 1.0, 1.0, 1.0)
    assert sharp["reason"] == "interval_too_short_below_20_sharp_units"


def test_no_unit_changes():
    """Seven tasks sharp under both metrics: none stops, and there is no discordant one to test."""
    table = swap_tests(swap_pairs(curves_of([20.0] * 7, [20.0] * 7)), rng=np.random.default_rng(0), draws=19)
    row = table[table["quantity"] == "sharp"].iloc[0]
    assert (row["only_hard"], row["only_soft"], row["estimate"], row["high"]) == (0, 0, 0.0, 0.0)
    assert math.isnan(row["p_value"])
    assert row["reason"] == "no_discordant_unit"


def test_signed_rank_p_value_is_scipys_exact_one():
    """Without ties the p-value is scipy's exact distribution; with ties it enumerates the signs of the mid-ranks."""
    rng = np.random.default_rng(3)
    for n in (6, 13, 30):
        x = rng.normal(0.4, 1.0, n)
        assert signed_rank_p_value(x) == pytest.approx(wilcoxon(x, method="exact").pvalue, rel=1e-9)
    # |d| = 1, 1, 2 have ranks 1.5, 1.5, 3; all positive: the sum 6 has probability 1/8.
    assert signed_rank_p_value(np.array([1.0, 1.0, 2.0, 0.0])) == pytest.approx(0.25)
    assert math.isnan(signed_rank_p_value(np.zeros(4)))


def test_hodges_lehmann_on_the_depression_scale_data():
    """Hollander and Wolfe's nine patients: shift 0.46 (0.010 to 0.786), as R's wilcox.test(conf.int = TRUE) prints it."""
    first = np.array([1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30])
    second = np.array([0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29])
    estimate, low, high = hodges_lehmann(first - second, level=0.95)
    assert (estimate, low, high) == pytest.approx((0.46, 0.010, 0.786), abs=5e-4)
    inside, outside = first - second - (low + 1e-6), first - second - (low - 1e-6)
    assert signed_rank_p_value(inside) > 0.05 >= signed_rank_p_value(outside)


def test_interval_covers():
    """The interval covers the median of symmetric differences at least 95% of the time (1,000 samples, 3 errors)."""
    rng = np.random.default_rng(8)
    covered = 0
    for _ in range(1000):
        _, low, high = hodges_lehmann(rng.standard_t(3, 10) + 1.0, level=0.95)
        covered += low <= 1.0 <= high
    assert covered / 1000 >= 0.95 - 3 * math.sqrt(0.05 * 0.95 / 1000)


def test_signed_rank_holds_its_level_on_discrete_differences():
    """Symmetric differences with many ties reject at 5% at most 5% of the time."""
    rng = np.random.default_rng(9)
    rejected = sum(signed_rank_p_value(rng.integers(-3, 4, 12).astype(float)) <= 0.05 for _ in range(2000))
    assert rejected / 2000 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 2000)


def test_subtasks_of_one_task_are_one_unit():
    """Fifty subtasks of one task and five other tasks are six units, and the giant counts once."""
    giant = curves_of([20.0] * 50, [4.0] * 50).assign(task="giant")
    others = curves_of([4.0] * 5, [20.0] * 5)
    table = swap_tests(swap_pairs(pd.concat([giant, others])), rng=np.random.default_rng(0), draws=99)
    shift = table[table["quantity"] == "emergence_score"].iloc[0]
    assert (shift["n_units"], shift["n_pairs"], shift["estimate"]) == (6, 55, 16.0)


def test_too_few_units_show_the_pairs_and_no_test():
    """Five tasks: the estimate stands, interval and p-value are missing, and the reason says so."""
    table = swap_tests(swap_pairs(curves_of([20.0] * 5, [4.0] * 5)), rng=np.random.default_rng(0), draws=99)
    assert set(table["reason"]) == {"fewer_than_6_units"}
    assert table[["low", "high", "p_value", "q_value"]].isna().all(axis=None)
    assert table.set_index("quantity").loc["emergence_score", "estimate"] == -16.0


def test_without_a_pair_the_tables_are_empty():
    """A table of one metric gives no pair and no test."""
    pairs = swap_pairs(curves_of([20.0], [4.0]).query("metric == @HARD"))
    assert pairs.empty
    assert swap_tests(pairs, rng=np.random.default_rng(0)).empty


def reader():
    """The script that turns the published tables into RESULTS-shaped rows."""
    spec = importlib.util.spec_from_file_location("read_published_tables", READER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.real
def test_on_emergence_has_too_few_sizes_by_family(shared_data):
    """Thirteen tasks, no family with four sizes: every pair is shown, none is tested."""
    rows, left_out = reader().on_emergence(
        shared_data / "on_emergence_scores.csv", shared_data / "on_emergence_models.csv"
    )
    assert len(rows) + len(left_out) == 3 * 2663
    assert (left_out["reason"] == "missing score (-100)").sum() == 934
    pairs = swap_pairs(score_curves(rows.assign(subtask=rows["task"], is_aggregate=False)))
    assert pairs["task"].nunique() == 13
    assert pairs["sharp_hard"].isna().all()
    assert swap_tests(pairs, rng=np.random.default_rng(0))["p_value"].isna().all()


@pytest.mark.real
def test_pooled_base_models_can_be_tested(shared_data):
    """Pooled by nominal size the same outputs give a test over tasks; one value recomputed from the file by hand."""
    rows, _ = reader().on_emergence(
        shared_data / "on_emergence_scores.csv", shared_data / "on_emergence_models.csv", pool=True
    )
    curves = score_curves(rows.assign(subtask=rows["task"], is_aggregate=False))
    table = swap_tests(swap_pairs(curves), rng=np.random.default_rng(0), draws=99)
    tested = table[(table["quantity"] == "emergence_score") & table["p_value"].notna()]
    assert set(tested["unit"]) == {"task"}
    assert (tested["n_units"] >= 11).all()
    raw = pd.read_csv(shared_data / "on_emergence_scores.csv")
    gpt2 = raw[(raw["filename"] == "rhyming/task.json") & (raw["model"] == "gpt2") & (raw["number_of_shots"] == 5)]
    ours = rows.query("task == 'rhyming' and model == 'gpt2' and shots == 5 and metric == 'exact_str_match'")
    assert ours["score"].mean() == pytest.approx(gpt2["exact_match_accuracy"].mean())


@pytest.mark.real
def test_base_models_are_about_one_task(shared_data):
    """IPA transliteration: the family is the unit, and with five defined pairs no test is made."""
    rows, left_out = reader().base_models(shared_data / "base_llm_emergent_capability_eval.csv")
    assert len(rows) + len(left_out) == 84 * 8
    curves = score_curves(rows.assign(subtask=rows["task"], is_aggregate=False))
    sizes = curves.query("task == 'ipa_transliterate' and metric == 'exact_str_match'").set_index("family")["n_scales"]
    assert sizes[["Pythia", "OPT"]].tolist() == [8, 8]
    table = swap_tests(swap_pairs(curves), rng=np.random.default_rng(0), draws=99)
    shift = table[table["quantity"] == "emergence_score"].iloc[0]
    assert (shift["unit"], shift["family"], shift["reason"]) == ("family", "all", "fewer_than_6_units")


def test_what_does_not_hold_its_level_is_flagged():
    """Exponential differences of 40 tasks are flagged as skewed, normal ones are not; few sharp tasks flag the bootstrap."""
    rng = np.random.default_rng(3)
    reasons = {}
    for name, shift in (("skewed", rng.exponential(5, 40)), ("normal", rng.normal(0, 5, 40))):
        table = swap_tests(swap_pairs(curves_of([4.0] * 40, (4.0 + shift).tolist())), rng=rng, draws=99)
        reasons[name] = table.set_index("quantity").loc["emergence_score", "reason"]
    assert reasons == {"skewed": "skewed_differences", "normal": ""}
    few = swap_tests(swap_pairs(curves_of([20.0] * 8 + [4.0] * 4, [4.0] * 6 + [20.0] * 6)), rng=rng, draws=99)
    assert few.set_index("quantity").loc["sharp", "reason"] == "interval_too_short_below_20_sharp_units"
