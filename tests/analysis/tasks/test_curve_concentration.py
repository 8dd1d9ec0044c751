"""Concentration of measured curves: units, strata, within-task tests and permutations, on hand-made tables."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from bigbench_meta.analysis.tasks.compare import compare, permuted_cases
from bigbench_meta.analysis.tasks.concentration import curves_concentration
from bigbench_meta.analysis.tasks.sensitivity import specification_curve
from bigbench_meta.analysis.tasks.units import CRITERIA, count_units, decide, exceeds
from bigbench_meta.emergence import score_curves
from bigbench_meta.facts.metrics import metrics

BY_NAME = {criterion.name: criterion for criterion in CRITERIA}


def make_curves(rows) -> pd.DataFrame:
    """CURVES from (task, subtask, metric, direction, M, E, L, preferred) tuples, one family and shot count."""
    names = ["task", "subtask", "metric", "direction", "n_scales", "emergence_score", "linearity", "is_preferred"]
    frame = pd.DataFrame(rows, columns=names)
    frame["is_aggregate"] = (frame["task"] == frame["subtask"]) & frame["task"].isin(
        frame.loc[frame["task"] != frame["subtask"], "task"]
    )
    return frame.assign(family="F", shots=0)


def test_criteria_are_oriented_and_hold_out_what_is_undefined():
    """A falling Brier score counts as rising; unknown direction, NaN and three scales are missing, not 'no case'."""
    curves = make_curves(
        [
            ("a", "a", "multiple_choice_grade", "higher", 12, 12.0, 5.0, True),
            ("a", "a", "calibration_multiple_choice_brier_score", "lower", 12, -12.0, -5.0, False),
            ("b", "b", "exact_str_match", "higher", 12, -12.0, -5.0, True),
            ("c", "c", "own", "unknown", 12, 20.0, 5.0, True),
            ("d", "d", "exact_str_match", "higher", 12, np.nan, 3.0, True),
            ("e", "e", "exact_str_match", "higher", 3, 2.0, 2.0, True),
        ]
    )
    line = exceeds(curves, BY_NAME["E > M - 1"])
    assert [None if case is pd.NA else case for case in line] == [True, True, False, None, None, None]
    ratio = exceeds(curves, BY_NAME["E / L > 2"])
    assert [None if case is pd.NA else case for case in ratio] == [True, True, False, None, None, None]


def test_a_curve_that_was_not_tested_is_no_case_and_no_other_unit():
    """Undecided for want of a noise model says nothing of sharpness: held out, beside a tested curve that counts as no case."""
    names = [
        ("a", "sharp", 0.001),
        ("b", "undecided", 0.2),
        ("c", "undecided", np.nan),
        ("d", "too_few_scales", np.nan),
    ]
    curves = make_curves([(task, task, "bleu", "higher", 12, 5.0, 3.0, True) for task, _, _ in names])
    curves = curves.assign(verdict=[word for _, word, _ in names], p_sharp=[p for _, _, p in names])
    sharp = exceeds(curves, BY_NAME["verdict sharp"])
    assert [None if case is pd.NA else case for case in sharp] == [True, False, None, None]
    units = count_units(curves, criteria=[BY_NAME["verdict sharp"]]).query("level == 'leaf'")
    assert units["n_defined"].tolist() == [1, 1, 0, 0]


def test_a_task_counts_once_per_metric_whatever_its_subtasks():
    """Three subtasks of which two exceed make one unit: a case by half and by any; one of three only by any."""
    rows = [("t", f"t:{i}", "exact_str_match", "higher", 12, e, 3.0, True) for i, e in enumerate([20.0, 20.0, 1.0])]
    rows += [("t", f"t:{i}", "bleu", "higher", 12, e, 3.0, False) for i, e in enumerate([20.0, 1.0, 1.0])]
    rows += [("t", "t", "exact_str_match", "higher", 12, 1.0, 3.0, True)]
    units = count_units(make_curves(rows), criteria=[BY_NAME["E > M - 1"]])
    leaf = units[units["level"] == "leaf"]
    assert leaf.set_index("metric")[["n_curves", "n_cases"]].to_numpy().tolist() == [[3, 1], [3, 2]]
    assert decide(leaf, "half").set_index("metric")["case"].to_dict() == {"bleu": False, "exact_str_match": True}
    assert decide(leaf, "any")["case"].tolist() == [True, True]
    whole = units[units["level"] == "task"]
    assert (len(whole), whole["n_cases"].sum()) == (1, 0)
    assert set(units["subtasks"]) == {"2-9"}


def test_a_metric_has_the_class_that_the_registry_gives_it():
    """What a user says of a metric of their own reaches the comparison of linearity classes."""
    curves = make_curves([("t", "t", "homemade", "higher", 12, 20.0, 3.0, True)])
    told = metrics()
    told = pd.concat([told, told[told["metric"] == "bleu"].assign(metric="homemade", linearity="discontinuous")])
    assert count_units(curves)["linearity"].unique().tolist() == ["unknown"]
    assert count_units(curves, registry=told)["linearity"].unique().tolist() == ["discontinuous"]


def test_derived_metric_never_enters():
    """normalized_aggregate_score makes no unit; a table of nothing else gives empty tables."""
    rows = [("t", "t", "normalized_aggregate_score", "higher", 12, 20.0, 3.0, True)]
    assert count_units(make_curves(rows)).empty
    assert curves_concentration(make_curves(rows), rng=np.random.default_rng(0)).empty
    assert specification_curve(make_curves(rows)).empty
    both = make_curves([*rows, ("t", "t", "bleu", "higher", 12, 20.0, 3.0, False)])
    assert set(count_units(both)["metric"]) == {"bleu"}


def test_within_task_odds_ratio_is_that_of_matched_pairs():
    """Pairs of metrics on one task: the conditional odds ratio is the ratio of discordant pairs (9 to 3), exact sign test."""
    rows = []
    for i in range(30):
        first, second = (20.0, 1.0) if i < 9 else (1.0, 20.0) if i < 12 else (20.0, 20.0) if i < 20 else (1.0, 1.0)
        rows.append((f"t{i:02d}", f"t{i:02d}", "multiple_choice_grade", "higher", 12, first, 3.0, True))
        brier = "calibration_multiple_choice_brier_score"
        rows.append((f"t{i:02d}", f"t{i:02d}", brier, "lower", 12, -second, -3.0, False))
    table = curves_concentration(make_curves(rows), rng=np.random.default_rng(0), draws=199)
    within = table[table["comparison"].str.contains("within") & table["metrics"].str.contains("exact_str_match")]
    exact = within[within["effect"] == "conditional odds ratio"].iloc[0]
    assert exact["estimate"] == pytest.approx(9 / 3)
    assert exact["p_value"] == pytest.approx(2 * sum(math.comb(12, k) for k in range(9, 13)) / 2**12)
    assert exact["n_strata"] == 12


def test_criterion_without_defined_units_is_reported():
    """A family of three scales has a row that says nothing could be decided, with its units counted as held out."""
    rows = [(f"t{i}", f"t{i}", "exact_str_match", "higher", 3, 2.0, 2.0, True) for i in range(5)]
    table = curves_concentration(make_curves(rows), rng=np.random.default_rng(0), draws=9)
    assert table["reason"].tolist() == ["no_defined_unit"]
    assert table["held_out"].tolist() == [5]


def test_labels_are_permuted_within_tasks_only():
    """Where every task has one case on each of its two metrics but one metric always wins, only labels can say so."""
    units = pd.DataFrame({"metric": ["a", "b"] * 8 + ["c", "d"] * 8})
    units["case"] = [True, False] * 16
    one = permuted_cases(units, np.repeat(np.arange(16), 2), rng=np.random.default_rng(3), draws=999, level=0.95)
    # Effective number is 2 only if all 8 pairs of (a, b) and all 8 of (c, d) agree: 4 of 2^16 sign patterns.
    assert one[1]["estimate"] == pytest.approx(2.0)
    assert one[1]["p_value"] <= 0.002
    whole = permuted_cases(units, np.arange(32), rng=np.random.default_rng(3), draws=99, level=0.95)
    assert whole[1]["p_value"] == 1.0


def test_stratified_comparison_holds_its_level_with_clustered_metrics():
    """Metrics of one task rise together, none more than others: at most 5% of within-task tests reject (3 standard errors)."""
    rng = np.random.default_rng(5)
    rejected = 0
    for _ in range(400):
        ease = rng.beta(0.5, 0.5, 40)
        units = pd.DataFrame({"task": np.repeat(np.arange(40), 3), "metric": ["mc", "brier", "ece"] * 40})
        units["case"] = rng.random(120) < np.repeat(ease, 3)
        rows = compare(units, (units["metric"] == "mc").to_numpy(), level=0.95, strata=["task"])
        rejected += rows[1]["p_value"] <= 0.05
    assert rejected / 400 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


def test_permutation_holds_its_level_with_clustered_metrics():
    """The same for both permutation statistics, labels permuted within tasks."""
    rng = np.random.default_rng(6)
    rejected = np.zeros(2)
    group = np.repeat(np.arange(40), 3)
    for _ in range(600):
        units = pd.DataFrame({"metric": ["mc", "brier", "ece"] * 40})
        units["case"] = rng.random(120) < np.repeat(rng.beta(0.5, 0.5, 40), 3)
        rows = permuted_cases(units, group, rng=rng, draws=99, level=0.95)
        rejected += [row["p_value"] <= 0.05 for row in rows]
    assert (rejected / 600 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 600)).all()


def test_planted_concentration_is_found():
    """Steps under multiple choice and lines under Brier on the same 40 tasks: the within-task odds ratio is above 1."""
    rng = np.random.default_rng(9)
    rows = []
    for i in range(40):
        accuracy = rng.binomial(500, np.where(np.arange(12) < rng.integers(5, 11), 0.25, 0.8)) / 500
        brier = np.linspace(0.19, 0.1, 12) + rng.normal(0, 0.004, 12)
        for metric, scores in (("multiple_choice_grade", accuracy), ("calibration_multiple_choice_brier_score", brier)):
            for scale, score in enumerate(scores, start=6):
                preferred = metric == "multiple_choice_grade"
                rows.append((f"t{i}", f"t{i}", False, metric, "F", 3, 10.0**scale, score, preferred))
    names = ["task", "subtask", "is_aggregate", "metric", "family", "shots", "scale", "score", "is_preferred"]
    curves = score_curves(pd.DataFrame(rows, columns=names))
    table = curves_concentration(curves, rng=np.random.default_rng(0), draws=199)
    within = table[table["comparison"].str.contains("within") & (table["metrics"] == "all discontinuous metrics")]
    exact = within[within["effect"] == "conditional odds ratio"].iloc[0]
    assert exact["low"] > 1
    permuted = table[table["effect"] == "effective number of metrics"].iloc[0]
    assert permuted["p_value"] == 0.005
