"""The specification curve: every choice once, values equal to a direct computation, and giants handled."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bigbench_meta.analysis.tasks.odds import conditional_odds_ratio
from bigbench_meta.analysis.tasks.sensitivity import specification_curve, summarise
from bigbench_meta.analysis.tasks.units import CRITERIA

CUTS = [criterion for criterion in CRITERIA if criterion.name in ("E > 5", "E > M - 1")]


@pytest.fixture(scope="module")
def curves():
    """Sixty tasks at two shot counts: exact match with BLEU, multiple choice with Brier, or ROUGE alone."""
    rng = np.random.default_rng(12)
    rows = []
    for i in range(60):
        task = "list_functions" if i == 0 else f"t{i:02d}"
        metrics = [("exact_str_match", "bleu"), ("multiple_choice_grade", "bleu"), ("rougeLsum",)][i % 3]
        for shots in (0, 2):
            for leaf in [f"{task}:{k}" for k in range(30)] if i == 0 else [task]:
                for metric in metrics:
                    steep = 6.0 if metric in ("exact_str_match", "multiple_choice_grade") else 0.0
                    e = rng.normal(6.0 + steep, 5.0)
                    rows.append((task, leaf, metric, metric == metrics[0], shots, e, e / 2.5))
    names = ["task", "subtask", "metric", "is_preferred", "shots", "emergence_score", "linearity"]
    frame = pd.DataFrame(rows, columns=names)
    return frame.assign(family="F", is_aggregate=False, direction="higher", n_scales=12)


@pytest.fixture(scope="module")
def table(curves):
    """Its specification curve."""
    return specification_curve(curves, criteria=CUTS)


def test_every_specification_once(table):
    """2 shots x 2 levels x 2 criteria x 2 rules x giants with and without x 2 designs x 2 groups."""
    key = ["family", "shots", "level", "criterion", "rule", "giants", "design", "group"]
    assert not table.duplicated(key).any()
    # The giant task has no aggregate row and so no curve at task level; "with" and "without" still both appear.
    assert len(table) == 2**7


def test_one_specification_by_hand(curves, table):
    """Between tasks at leaf level without giants: the table counted by hand gives the same odds ratio."""
    here = curves[(curves["shots"] == 2) & (curves["task"] != "list_functions") & curves["is_preferred"]]
    case = (here["emergence_score"] > 11).to_numpy()
    inside = here["metric"].isin(["exact_str_match", "multiple_choice_grade"]).to_numpy()
    counts = [[(case & inside).sum(), (case & ~inside).sum()], [(~case & inside).sum(), (~case & ~inside).sum()]]
    expected = conditional_odds_ratio(counts)
    row = table.query(
        "shots == 2 and level == 'leaf' and criterion == 'E > M - 1' and rule == 'half' and giants == 'without'"
        " and design == 'between tasks' and group == 'named pair'"
    ).iloc[0]
    assert (row["estimate"], row["low"], row["high"]) == pytest.approx((expected.estimate, expected.low, expected.high))
    assert row["n_tasks"] == 59


def test_giant_task_counts_once_and_can_be_left_out(table):
    """One task of 30 subtasks changes the number of units by one, not by thirty."""
    leaf = table.query("level == 'leaf' and design == 'between tasks' and rule == 'half'")
    n_units = leaf.groupby("giants")["n_units"].unique().map(list)
    assert n_units["with"] == [60]
    assert n_units["without"] == [59]


def test_without_giants_in_the_table_there_is_one_choice(curves):
    """Where no giant task is present the choice is not offered twice."""
    table = specification_curve(curves[curves["task"] != "list_functions"], criteria=CUTS)
    assert set(table["giants"]) == {"none present"}


def test_summary_counts_the_grid(table):
    """The summary's counts are those of the table, by design and group."""
    summary = summarise(table).set_index(["design", "group"])
    part = table[(table["design"] == "between tasks") & (table["group"] == "named pair")]
    row = summary.loc[("between tasks", "named pair")]
    assert row["n_specifications"] == len(part) == 32
    assert row["n_low_above_one"] == (part["low"] > 1).sum() > 0
    assert row["estimate_median"] == pytest.approx(part["estimate"].median())
