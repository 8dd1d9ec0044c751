"""What orders a curve: checkpoints as runs, zero left out and counted, compute of 6 N D, the loss."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

import bigbench_meta as bm
from bigbench_meta.axes import AXES, on_axis
from bigbench_meta.emergence import score_curves
from bigbench_meta.errors import AnalysisError


def frame() -> pd.DataFrame:
    """Two models with three checkpoints, and one without any, whose tokens are known."""
    rows = [
        {"family": "p", "model": model, "scale": scale, "step": step, "tokens": step * 10.0, "score": step / 10}
        for model, scale in (("p-1m", 1e6), ("p-2m", 2e6))
        for step in (0.0, 1.0, 2.0)
    ]
    rows.append({"family": "q", "model": "q-3m", "scale": 3e6, "step": math.nan, "tokens": 50.0, "score": 0.5})
    fixed = {
        "task": "t",
        "subtask": "t",
        "metric": "acc",
        "shots": 0,
        "trial": 0,
        "is_aggregate": False,
        "is_preferred": True,
    }
    return pd.DataFrame([fixed | row for row in rows])


def test_parameters_take_the_last_checkpoint():
    """Earlier checkpoints are left out and counted; models without any stay."""
    placed = on_axis(frame(), "params")
    assert placed.frame["score"].tolist() == [0.2, 0.2, 0.5]
    assert placed.left_out == {"earlier checkpoints of a run": 4}
    assert "4 scores of earlier checkpoints are left out" in placed.notes[0]


@pytest.mark.parametrize(
    ("axis", "scales", "left_out"),
    [
        ("step", [1, 2, 1, 2], {"no step known": 1, "zero is not a place on a logarithmic axis": 2}),
        ("tokens", [10, 20, 10, 20, 50], {"zero is not a place on a logarithmic axis": 2}),
        # 6 x parameters x tokens
        ("compute", [6e7, 12e7, 12e7, 24e7, 9e8], {"zero is not a place on a logarithmic axis": 2}),
    ],
)
def test_runs_are_families(axis: str, scales: list[float], left_out: dict[str, int]):
    """The checkpoints of one run are a family of their own; a step of zero has no place and is counted."""
    placed = on_axis(frame(), axis)
    assert placed.frame["scale"].tolist() == scales
    assert placed.left_out == left_out
    assert placed.frame["family"].astype(str).tolist()[:4] == ["p p-1m"] * 2 + ["p p-2m"] * 2
    assert len(placed.frame) + sum(placed.left_out.values()) == 7


def test_given_compute_goes_first():
    """A column of compute counts where it has a number."""
    given = frame().assign(compute=[math.nan, 5.0, *[math.nan] * 5])
    assert on_axis(given, "compute").frame["scale"].tolist()[0] == 5


def test_loss():
    """exp(-loss) rises as the loss falls; the rows of the loss itself are left out; perplexities are exponentials."""
    one = pd.concat([frame(), frame().assign(metric="ce_loss", score=3 - frame()["score"])])
    placed = on_axis(one, "loss")
    assert placed.frame["scale"].tolist() == pytest.approx(np.exp([-3, -2.9, -2.8, -3, -2.9, -2.8, -2.5]).tolist())
    assert placed.left_out == {"the loss itself": 7}
    other = pd.concat([frame(), frame().assign(metric="word_perplexity", score=math.e**2)])
    assert on_axis(other, "loss").frame["scale"].unique() == pytest.approx([math.exp(-2)])
    column = on_axis(frame().assign(loss=1.0), "loss")
    assert column.frame["scale"].unique() == pytest.approx([math.exp(-1)])
    with pytest.raises(AnalysisError, match="the results hold no loss; expected a column loss, or a metric ce_loss"):
        on_axis(frame(), "loss")


def test_models_that_an_axis_cannot_order():
    """Models of one family that all saw the same tokens are named."""
    same = frame().query("step == 2 or step != step").assign(step=math.nan, tokens=20.0, family="p")
    assert any("All models of p have the same number of tokens" in note for note in on_axis(same, "tokens").notes)


def test_an_axis_without_any_place():
    """What is missing is said, with what to do."""
    with pytest.raises(
        AnalysisError, match=r"no score has a place \(2 \(no compute known\)\); expected a column compute or tokens"
    ):
        on_axis(frame().drop(columns=["step", "tokens"]).iloc[:2], "compute")
    with pytest.raises(AnalysisError, match="axis='size' is not one of params, compute, tokens, step, loss"):
        on_axis(frame(), "size")


@pytest.mark.parametrize("axis", AXES)
def test_placed_once(axis: str):
    """A frame on its axis is returned as it is, and the one given is not changed."""
    given = frame().assign(loss=1.0)
    before = given.copy()
    placed = on_axis(given, axis)
    pd.testing.assert_frame_equal(given, before)
    again = on_axis(placed.frame, axis)
    assert again.frame is placed.frame
    assert (again.notes, again.left_out) == ((), {})
    assert score_curves(placed.frame)["n_scales"].sum() > 0


def test_analyze_on_an_axis():
    """`analyze` places the scores itself, and says what it left out."""
    steps = pd.concat([frame().assign(step=frame()["step"] + 3 * i, score=0.1 * i) for i in range(4)]).query(
        "family == 'p'"
    )
    found = bm.analyze(steps, rng=np.random.default_rng(0), draws=19, axis="step")
    assert found.settings["axis"] == "step"
    assert set(found.curves["n_scales"]) == {11}
    assert any("zero is not a place" in note for note in found.settings["axis_notes"])
