"""Edges of the analysis, unit by unit: what is refused and in which words, and what has no value and says so."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from test_emergence import frame_of

from bigbench_meta.analysis.curves.items import ItemTable
from bigbench_meta.analysis.curves.montecarlo import sequential_pvalues
from bigbench_meta.analysis.curves.prepare import prepare_curves
from bigbench_meta.analysis.findings import claims_sentences
from bigbench_meta.analysis.pipeline import Choices, infer_curves
from bigbench_meta.analysis.tasks.agreement import _agreement, bootstrap_interval, cohen_kappa, roc_area
from bigbench_meta.analysis.tasks.common_shift import _residual
from bigbench_meta.analysis.tasks.sentences import swap_sentences
from bigbench_meta.errors import AnalysisError, TableError
from bigbench_meta.facts import claims as claims_module
from bigbench_meta.facts.claims import claims
from bigbench_meta.facts.metrics import metrics
from bigbench_meta.schema import CURVES, Table, validate


def test_validation_names_every_fault():
    """Missing columns, wrong types and repeats of the key, all in one message."""
    good = pd.DataFrame({name: pd.Series(dtype="float64") for name in CURVES.names})
    with pytest.raises(TableError, match=r"CURVES: column 'task' has dtype float64, expected category; .*; column"):
        validate(good, CURVES)
    with pytest.raises(TableError, match="column 'task' is missing; column 'shots' is missing"):
        validate(pd.DataFrame({"subtask": []}), Table("T", {"task": "category", "shots": "int"}, ("task",)))
    table = Table("PLACES", {"where": "str", "n": "int"}, ("where", "n"))
    rows = pd.DataFrame({"where": ["b", "a", "b", "a"], "n": [1, 2, 1, 2]})
    with pytest.raises(TableError, match=r"PLACES: 2 rows repeat the key \(where, n\)"):
        validate(rows, table)


def test_claims_of_an_unknown_model(monkeypatch, tmp_path):
    """A published model without an alias, an unknown category, and a file of other columns are errors with the cure."""
    monkeypatch.setattr(claims_module, "ALIASES", claims_module.ALIASES[1:])
    with pytest.raises(TableError, match=r"claims\.csv: .* in no alias or category; add it to ALIASES or CATEGORIES"):
        claims()
    with pytest.raises(
        TableError, match=r"claims\.csv: expected the columns task, other and every task once; reinstall"
    ):
        claims_module._read("claims.csv", ("task", "other"))


def test_residual_from_a_parabola():
    """None where a score is missing or a parabola fits exactly; else of unit length and free of any parabola."""
    x = np.arange(6.0)
    assert _residual(x, np.array([1, 2, np.nan, 4, 5, 6])) is None
    assert _residual(x, 1 + 2 * x - 0.5 * x**2) is None
    found = _residual(x, np.array([0.0, 1, 0, 1, 0, 1]))
    assert found is not None
    assert np.linalg.norm(found) == pytest.approx(1)
    assert np.array([found @ x**power for power in range(3)]) == pytest.approx(np.zeros(3), abs=1e-12)


def test_sentences_without_rows():
    """Without claims no sentence, without pairs of metrics the one that says so."""
    columns = ["source", "comparison", "metrics", "strata", "effect"]
    assert claims_sentences(pd.DataFrame(columns=columns)) == []
    (nothing,) = swap_sentences(pd.DataFrame())
    assert nothing.startswith("No task here carries two metrics of the same outputs")


def test_p_value_of_nothing():
    """An undefined statistic has no p-value and makes no draw; draws stop when they are used up."""
    (undefined,) = sequential_pvalues(np.array([np.nan]), lambda at, size: np.zeros((len(at), size)), draws=99)
    assert math.isnan(undefined.p)
    assert math.isnan(undefined.error)
    assert undefined.draws == 0
    made = []
    (found,) = sequential_pvalues(
        np.array([1.0]), lambda at, size: made.append(size) or np.zeros((len(at), size)), draws=20
    )
    assert (found.p, found.draws, sum(made)) == (1 / 21, 20, 20)
    # ties count: all draws equal the observation
    assert sequential_pvalues(np.ones(1), lambda at, size: np.ones((len(at), size)), draws=99)[0].p == 1.0
    # nothing is smaller than the least value: p = 1 without a draw
    assert sequential_pvalues(np.zeros(1), lambda at, size: 1 / 0, draws=99, least=0.0)[0].p == 1.0


def test_agreement_measures_at_their_edges():
    """Nobody on a side, or a flag that is the same for all, has no value; by hand otherwise."""
    none, some = np.array([]), np.array([1.0, 0.0])
    assert math.isnan(cohen_kappa(none, some))
    assert math.isnan(cohen_kappa(some, none))
    assert math.isnan(cohen_kappa(np.ones(2), np.ones(3)))
    assert math.isnan(cohen_kappa(np.zeros(2), np.zeros(3)))
    assert cohen_kappa(np.ones(2), np.zeros(3)) == 1.0
    assert math.isnan(roc_area(none, some))
    assert math.isnan(roc_area(some, none))
    assert roc_area(np.array([2.0]), np.array([1.0, 2.0, 3.0])) == 0.5
    low, high = bootstrap_interval(np.ones(4), np.zeros(4), roc_area, rng=np.random.default_rng(0), draws=50, level=0.9)
    assert (low, high) == (1.0, 1.0)


def test_agreement_says_why_there_is_no_interval():
    """Of one task, of few and of tasks without a value: a reason each."""
    from bigbench_meta.analysis.tasks.agreement import FEW_TASKS, FLAGS, MIN_TASKS, RANKED

    def side(n: int, value: float) -> pd.DataFrame:
        return pd.DataFrame({name: [value] * n for name in (*FLAGS, *(name for name, _ in RANKED))})

    def reasons(n_claimed: int, n_others: int) -> dict[str, str]:
        rows = _agreement(side(n_claimed, 1.0), side(n_others, 0.0), rng=np.random.default_rng(0), draws=9, level=0.9)
        assert all(row["n_undefined"] == 0 for row in rows)
        return {str(row["measure"]): str(row["reason"]) for row in rows}

    assert set(reasons(0, 5).values()) == {"no_task_on_one_side"}
    assert set(reasons(1, 50).values()) == {f"fewer_than_{MIN_TASKS}_tasks_on_one_side"}
    assert set(reasons(MIN_TASKS, 50).values()) == {f"interval_too_short_below_{FEW_TASKS}_tasks"}
    assert set(reasons(FEW_TASKS, FEW_TASKS).values()) == {""}
    rows = _agreement(side(3, np.nan), side(3, 0.0), rng=np.random.default_rng(0), draws=9, level=0.9)
    assert {row["n_undefined"] for row in rows} == {3}


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame({"task": ["t"]}), r"items: column\(s\) n_items missing; expected task, n_items"),
        (
            pd.DataFrame({"task": ["t"], "n_items": ["many"]}),
            "items: n_items of task 't' is not a number of at least 1",
        ),
        (pd.DataFrame({"task": ["t"], "n_items": [0]}), r"of at least 1 \(1 such rows\); leave the row out"),
    ],
)
def test_items_that_are_none(frame, message):
    """Numbers of items are at least 1, and the columns that tell whose they are must be there."""
    with pytest.raises(AnalysisError, match=message):
        ItemTable(frame)


def test_why_a_curve_is_not_tested():
    """Each reason in its words; the first that applies."""
    scores = {
        name: [0.1, 0.2, 0.3, 0.5, 0.6]
        for name in ("derived", "short", "unplaced", "unknown", "fine", "missing", "large", "limit")
    }
    scores["large"], scores["limit"] = [0.1, 0.2, -1.1e100, 0.5, 0.6], [0.1, 0.2, -1e100, 0.5, 0.6]
    frame = frame_of(scores).astype({"score": float})
    frame.loc[frame["subtask"] == "derived", "metric"] = "normalized_aggregate_score"
    frame.loc[frame["subtask"] == "unknown", "metric"] = "homemade"
    frame = frame[~((frame["subtask"] == "short") & (frame["scale"] > 1000))]
    frame.loc[(frame["subtask"] == "unplaced") & (frame["scale"] == 1e5), "scale"] = np.nan
    frame.loc[(frame["subtask"] == "missing") & (frame["scale"] == 1e4), "score"] = np.nan
    frame["low_score"], frame["high_score"] = 0.0, 1.0
    _, curves = prepare_curves(frame.reset_index(drop=True), items=None, registry=metrics())
    assert {curve.key[1]: curve.refused for curve in curves} == {
        "derived": "derived metric",
        "short": "too few scales",
        "unplaced": "missing values",
        "missing": "missing values",
        "large": "scores too large",
        "limit": "",
        "unknown": "direction of the metric unknown",
        "fine": "",
    }
    assert {curve.task for curve in curves} == {"t"}
    fine = next(curve for curve in curves if curve.key[1] == "fine")
    assert fine.on_disk(0.25) == 0.25


def test_points_and_forecasts_are_those_on_disk():
    """Points hold the scores and scales to the bit, a Brier score above 1 too, whose forecasts are turned back by 0 + 1."""
    scores = [1.2, 0.9, 0.81, 0.63, 0.41, 0.3]
    frame = frame_of({"t": scores}).assign(
        metric="calibration_multiple_choice_brier_score", scale=[7, 11, 48, 82, 210, 496]
    )
    _, (curve,) = prepare_curves(frame, items=None, registry=metrics())
    assert (curve.flipped, curve.y[0]) == (True, pytest.approx(-0.2))
    assert curve.on_disk(curve.y[0]) == pytest.approx(1.2)
    found = infer_curves(frame, rng=np.random.default_rng(0), choices=Choices(metrics(), draws=19))
    assert found.points["scale"].tolist() == frame["scale"].tolist()
    assert found.points["score"].tolist() == scores


def test_too_few_draws_and_empty_tables():
    """Fewer than 19 draws can show nothing at .05, and without a curve there is nothing to analyse."""
    frame = frame_of({"s": [0.1, 0.2, 0.4, 0.5]})
    with pytest.raises(AnalysisError, match=r"draws=18: with fewer than 19 draws no p-value can reach 0\.05; use 999"):
        infer_curves(frame, rng=np.random.default_rng(0), choices=Choices(metrics(), draws=18))
    with pytest.raises(AnalysisError, match="there is no curve to analyse: the table of results is empty"):
        infer_curves(frame.iloc[:0], rng=np.random.default_rng(0), choices=Choices(metrics(), draws=19))
