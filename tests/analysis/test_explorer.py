"""The interactive chart: a valid Vega-Lite specification that holds the curves asked for, and refusals in one line."""

from __future__ import annotations

import builtins

import numpy as np
import pandas as pd
import pytest

from bigbench_meta.analysis.explorer import explorer
from bigbench_meta.errors import AnalysisError, MissingExtraError


@pytest.fixture
def analyzed(curves):
    """CURVES made by hand, with a reason for each verdict."""
    return curves.assign(verdict_reason="made up")


@pytest.fixture
def points(results):
    """One row per point, with an error."""
    key = ["task", "subtask", "metric", "family", "shots", "scale"]
    return results[[*key, "score"]].assign(error_items=0.01, error_with_overdispersion=0.02)


def _data(spec):
    """Every inline data set of a specification, by the number of its rows."""
    found = [spec["data"]["values"]] if isinstance(spec, dict) and "values" in spec.get("data", {}) else []
    parts = spec.values() if isinstance(spec, dict) else spec
    for part in parts:
        if isinstance(part, dict | list):
            found += _data(part)
    return found


def test_the_chart_holds_preferred_curves_and_their_points(analyzed, points):
    """3 tasks by 2 families under the preferred metric: 6 curves of 6 points; all metrics: 12 curves."""
    pytest.importorskip("altair")
    spec = explorer(analyzed, points).to_dict()  # checked against the schema of Vega-Lite
    sets = _data(spec)
    assert sorted(map(len, sets)) == [6, 36]
    every = _data(explorer(analyzed, points, every_metric=True).to_dict())
    assert sorted(map(len, every)) == [12, 72]
    band = max(sets, key=len)[0]
    assert band["high"] - band["low"] == pytest.approx(2 * 1.96 * 0.02)


def test_tasks_and_metrics_are_picked(analyzed, points):
    """A metric that is named is drawn although no task prefers it; an alias is understood elsewhere, here by its own name."""
    pytest.importorskip("altair")
    chart = explorer(analyzed, points, tasks=["step"], metrics=["calibration_multiple_choice_brier_score"])
    rows = max(_data(chart.to_dict()), key=len)
    assert {row["task"] for row in rows} == {"step"}
    assert {row["metric"] for row in rows} == {"calibration_multiple_choice_brier_score"}


def test_undefined_values_are_null(analyzed, points):
    """JSON has no NaN: what is undefined is null, and a curve without E has its points all the same."""
    pytest.importorskip("altair")
    undefined = analyzed.assign(emergence_score=np.nan, q_sharp=np.inf)
    sets = _data(explorer(undefined, points).to_dict())
    assert sorted(map(len, sets)) == [0, 36]
    row = max(sets, key=len)[0]
    assert (row["emergence_score"], row["q_sharp"]) == (None, None)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"tasks": ["stepp"]}, r"no task 'stepp' among 3; did you mean step"),
        ({"tasks": "step"}, r"tasks='step' is a single value; expected a list"),
        ({"metrics": ["nothing like it"]}, r"no metric 'nothing like it' among 2"),
    ],
)
def test_what_is_not_there_is_named(analyzed, points, asked, message):
    """With what is like it."""
    pytest.importorskip("altair")
    with pytest.raises(AnalysisError, match=message):
        explorer(analyzed, points, **asked)


def test_nothing_to_draw_is_said(analyzed, points):
    """Curves of metrics that nothing prefers are not drawn unless asked for."""
    pytest.importorskip("altair")
    with pytest.raises(AnalysisError, match=r"no curve is left to draw.*every_metric=True"):
        explorer(analyzed.assign(is_preferred=False), points)


def test_without_altair_the_cure_is_said(monkeypatch):
    """The command that installs it, not an ImportError."""
    original = builtins.__import__

    def refuse(name, *rest, **named):
        if name == "altair":
            raise ModuleNotFoundError(name)
        return original(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtraError, match=r"needs Altair; install what is missing with: pip install"):
        explorer(pd.DataFrame(), pd.DataFrame())
