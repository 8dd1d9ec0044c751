"""What results say of their own metrics: direction, range, percent, shares of items, items behind a point."""

from __future__ import annotations

import math

import pandas as pd
import pytest

import bigbench_meta as bm
from bigbench_meta.facts.metrics import completed, items_of, look_up


def frame(metric: str, scores: list[float], **columns: object) -> pd.DataFrame:
    """RESULTS of one task."""
    bounds = {"low_score": math.nan, "high_score": math.nan, "subtask": "t", "family": "f"}
    return pd.DataFrame({"task": "t", "metric": metric, "score": scores, **bounds, **columns})


def facts(results: pd.DataFrame) -> dict[str, object]:
    """The facts of its one metric."""
    known = completed(bm.metrics(), results)
    return look_up(results[["task", "metric"]].head(1), known.registry).iloc[0].to_dict()


def test_an_unknown_metric_of_a_table():
    """Direction and bounds of a user's table make a metric that can be tested."""
    own = frame("my_score", [1.0, 2.0], direction="lower", low_score=0.0, high_score=10.0)
    assert facts(own) == {"low": 0, "high": 10, "direction": "lower", "linearity": "unknown", "continuous": "unknown"}


def test_shares_are_seen_by_their_items():
    """Scores that are whole numbers of successes out of their items are shares; scores that are not, are none."""
    share = facts(frame("my_acc", [0.1, 0.3, 0.7], direction="higher", n_items=10.0))
    assert (share["low"], share["high"], share["linearity"], share["continuous"]) == (0, 1, "discontinuous", "no")
    other = facts(frame("my_acc", [0.15, 0.3, 0.7], direction="higher", n_items=10.0))
    assert other["linearity"] == "unknown"


def test_percent():
    """Accuracies above 1 are percent, which is said; a source that gives the range says nothing new."""
    known = completed(bm.metrics(), frame("acc", [12.5, 80.0], direction="higher"))
    assert known.notes == ("t, acc: scores above 1, so they are taken as percent.",)
    assert facts(frame("acc", [12.5, 80.0], direction="higher"))["high"] == 100
    mixed = completed(bm.metrics(), frame("acc", [0.4, 0.0, 55.0], direction="higher"))
    assert mixed.notes[0].endswith("1 of 3 are 1 or below: correct them if they are shares.")
    assert (
        completed(bm.metrics(), frame("accuracy", [0.5], harness="opencompass", low_score=0.0, high_score=100.0)).notes
        == ()
    )
    assert facts(frame("accuracy", [0.5], harness="opencompass", low_score=0.0, high_score=100.0))["high"] == 100


def test_contradicted_direction():
    """The source's direction counts, and the contradiction is said."""
    known = completed(bm.metrics(), frame("acc", [0.5], direction="lower"))
    assert "the results say that lower is better, the registry higher" in known.notes[0]


def test_bigbench_is_left_alone():
    """A frame without columns of its own directions, items or tool changes nothing."""
    registry = bm.metrics()
    assert completed(registry, frame("multiple_choice_grade", [50.0])).registry is registry


@pytest.mark.parametrize(
    ("metric", "direction"),
    [
        ("exact_match,strict-match", "higher"),
        ("mean,f1", "higher"),
        ("accuracy,choice", "higher"),
        ("odd,x", "unknown"),
    ],
)
def test_filters(metric: str, direction: str):
    """A metric with a filter is known by its name; one with a row of its own by that."""
    assert look_up(pd.DataFrame({"task": ["t"], "metric": [metric]}), bm.metrics())["direction"].tolist() == [direction]


def test_briers_are_two_metrics():
    """The Brier score of lm-evaluation-harness is a sum over the options, BIG-bench's a mean: two names, two ranges."""
    table = bm.metrics().set_index(["metric", "task"])
    assert table.loc[("brier_score", ""), "high"] == 2
    assert table.loc[("calibration_multiple_choice_brier_score", ""), "high"] == 1


def test_items():
    """The fewest items over a family's models count; rows without any say nothing."""
    found = items_of(frame("acc", [0.1, 0.2, 0.3], n_items=[100.0, 40.0, math.nan]))
    assert found is not None
    assert found.to_dict("records") == [{"task": "t", "subtask": "t", "family": "f", "n_items": 40}]
    assert items_of(frame("acc", [0.1])) is None
