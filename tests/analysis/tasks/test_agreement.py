"""Claims against measurement: join by family, outcomes, kappa and ROC areas against sklearn-free hand values."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from bigbench_meta.analysis.tasks.agreement import (
    bootstrap_interval,
    claims_against_curves,
    cohen_kappa,
    not_surviving,
    roc_area,
    unclaimed_surprises,
)

CLAIMS = pd.DataFrame(
    [
        ("big", "emergent", "LaMDA 137B", "BIG-G"),
        ("palm", "emergent", "PaLM 540B", "PaLM"),
        ("flat", "flat", "", ""),
        ("steep", "smoothly_increasing", "", ""),
        ("absent", "emergent", "GPT-3 175B", "GPT"),
    ],
    columns=["task", "category", "first_model_above_chance", "claim_family"],
)


def curve(task, *, e=5.0, verdict="undecided", q=0.5, emergent=False, family="BIG-G T=0", **more):
    """One analysed leaf curve of a preferred metric."""
    return {
        "task": task,
        "subtask": task,
        "is_aggregate": False,
        "metric": "multiple_choice_grade",
        "direction": "higher",
        "family": family,
        "shots": 3,
        "n_scales": 12,
        "score_range": 0.5,
        "emergence_score": e,
        "emergence_floored": e,
        "linearity": 3.0,
        "is_preferred": True,
        "width_decades": 1.0,
        "p_sharp": 0.2,
        "p_surprise": q,
        "q_surprise": q,
        "surprise": 0.1,
        "verdict": verdict,
        "emergent": emergent,
    } | more


def tables(rows):
    """The two tables for CLAIMS and these curves."""
    frame = pd.DataFrame(rows)
    frame["emergent"] = frame["emergent"].astype("boolean")
    return claims_against_curves(CLAIMS, frame, rng=np.random.default_rng(0), draws=99)


def test_a_claim_speaks_of_its_family_only():
    """LaMDA's claim is about BIG-G's curve, PaLM's is not; tasks without curves and unannotated tasks stay visible."""
    rows = [curve(task) for task in ("big", "palm", "flat", "steep", "new")]
    tasks = tables(rows).tasks.set_index("task")
    assert tasks.loc["big", "about_this_family"] is np.True_ or tasks.loc["big", "about_this_family"] is True
    assert not tasks.loc["palm", "about_this_family"]
    assert tasks.loc[["flat", "steep", "new", "absent"], "about_this_family"].isna().all()
    assert tasks.loc["absent", "outcome"] == "no curve"
    assert tasks.loc["new", "category"] == ""


def test_outcomes_and_lists():
    """A claim that is neither sharp nor unpredictable does not survive; a surprise that nobody claims is listed."""
    rows = [
        curve("big", verdict="undecided"),
        curve("palm", verdict="sharp", q=0.01, emergent=True),
        curve("steep", verdict="smooth", q=0.01),
        curve("flat", verdict="sharp", q=0.9),
    ]
    tasks = tables(rows).tasks
    assert tasks.set_index("task")["outcome"].to_dict() == {
        "absent": "no curve",
        "big": "neither",
        "flat": "sharp only",
        "palm": "sharp and unpredictable",
        "steep": "unpredictable only",
    }
    assert not_surviving(tasks)["task"].tolist() == ["big"]
    assert unclaimed_surprises(tasks)["task"].tolist() == ["steep"]


def test_untested_curves_are_not_failures():
    """A curve that no test could judge is 'not tested', which neither confirms nor refutes its claim."""
    rows = [curve("big", verdict="undecided", q=np.nan, emergent=pd.NA, p_sharp=np.nan, p_surprise=np.nan)]
    tasks = tables(rows).tasks
    assert tasks.set_index("task").loc["big", "outcome"] == "not tested"
    assert not_surviving(tasks).empty


def test_subtasks_vote_as_one_task():
    """Two of three subtasks sharp: one row, sharp; medians of the measures."""
    rows = [
        curve("big", subtask=f"big:{i}", verdict=word, e=e)
        for i, (word, e) in enumerate([("sharp", 9.0), ("sharp", 5.0), ("flat", 1.0)])
    ]
    row = tables(rows).tasks.set_index("task").loc["big"]
    assert (row["n_curves"], row["verdict"], row["sharp"], row["emergence_score"]) == (3, "sharp", True, 5.0)


def test_agreement_within_and_across():
    """Within: the one BIG-G claim against two unclaimed tasks; across: PaLM's claim; too few tasks for intervals."""
    rows = [curve("big", e=9.0), curve("palm", e=2.0), curve("flat", e=1.0), curve("steep", e=4.0)]
    table = tables(rows).agreement.set_index(["relation", "measure"])
    assert table.loc[("within", "emergence_score"), "estimate"] == 1.0
    assert table.loc[("across", "emergence_score"), "estimate"] == 0.5
    assert table.loc[("within", "emergence_score"), "reason"] == "fewer_than_5_tasks_on_one_side"
    assert math.isnan(table.loc[("within", "sharp"), "estimate"])
    assert table.loc[("within", "sharp"), "reason"] == "constant"


def test_lower_is_better_metrics_are_oriented():
    """A falling Brier score counts as a rise in the ranking."""
    rows = [curve("big", e=-9.0, direction="lower"), curve("flat", e=1.0), curve("steep", e=4.0)]
    tasks = tables(rows).tasks.set_index("task")
    assert tasks.loc["big", "emergence_score"] == 9.0


def test_kappa_by_hand():
    """Claimed: 2 of 3 flagged, unclaimed: 1 of 4; observed 5/7, expected (3*3 + 4*4)/49, kappa 5/12."""
    assert cohen_kappa(np.array([1.0, 1, 0]), np.array([1.0, 0, 0, 0])) == pytest.approx(5 / 12)
    assert math.isnan(cohen_kappa(np.zeros(3), np.zeros(4)))


def test_roc_area_counts_pairs():
    """Against the plain double loop over all pairs, ties counting half."""
    rng = np.random.default_rng(4)
    ours, theirs = rng.integers(0, 6, 30).astype(float), rng.integers(0, 5, 40).astype(float)
    plain = np.mean([(a > b) + 0.5 * (a == b) for a in ours for b in theirs])
    assert roc_area(ours, theirs) == pytest.approx(plain)


def test_intervals_cover_chance_when_nothing_agrees():
    """With unrelated scores the 95% interval of the ROC area holds 0.5 at least 90% of the time (12 against 30 tasks)."""
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(300):
        low, high = bootstrap_interval(
            rng.normal(size=12), rng.normal(size=30), roc_area, rng=rng, draws=199, level=0.95
        )
        covered += low <= 0.5 <= high
    assert covered / 300 >= 0.90
