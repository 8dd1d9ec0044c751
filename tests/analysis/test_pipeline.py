"""From RESULTS to findings: columns, order, reproducibility, refusals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bigbench_meta.analysis import analyze
from bigbench_meta.errors import AnalysisError
from bigbench_meta.schema import CURVES_ANALYZED, validate

SCALES = np.geomspace(2e6, 1.4e11, 12)


def results(truths: dict[str, np.ndarray], *, n: int, seed: int, metric: str = "multiple_choice_grade") -> pd.DataFrame:
    """RESULTS of one family: binomial scores of each task about its true curve."""
    rng = np.random.default_rng(seed)
    rows = [
        {
            "task": task,
            "subtask": task,
            "is_aggregate": False,
            "family": "F",
            "model": f"m{index}",
            "scale": scale,
            "shots": 0,
            "trial": 0,
            "metric": metric,
            "score": rng.binomial(n, p) / n,
            "is_preferred": True,
        }
        for task, truth in truths.items()
        for index, (scale, p) in enumerate(zip(SCALES[: len(truth)], truth, strict=True))
    ]
    return pd.DataFrame(rows)


def step(size: float, *, at: int, scales: int = 12, floor: float = 0.25) -> np.ndarray:
    """A clean step of ``size`` between scales ``at - 1`` and ``at``."""
    return np.where(np.arange(scales) >= at, floor + size, floor)


def line(low: float, high: float, scales: int = 12) -> np.ndarray:
    """A straight line in log scale."""
    return np.linspace(low, high, scales)


def items(truths: dict[str, np.ndarray], n: int) -> pd.DataFrame:
    """The items behind each point, as a user gives them."""
    return pd.DataFrame({"task": list(truths), "n_items": n})


TRUTHS = {
    **{f"flat{i}": line(0.25, 0.25) for i in range(4)},
    **{f"line{i}": line(0.25, 0.5) for i in range(4)},
    **{f"step{i}": step(0.4, at=11) for i in range(4)},
    "fall": line(0.6, 0.3),
    "short": line(0.2, 0.4, 3),
}


@pytest.fixture(scope="module")
def found():
    frame = results(TRUTHS, n=500, seed=1)
    return analyze(frame, rng=np.random.default_rng(3), draws=199, items=items(TRUTHS, 500))


def test_contract_columns_come_first_and_are_valid(found) -> None:
    """The columns of the contract, in order, with their types; the others after them."""
    assert list(found.curves.columns[: len(CURVES_ANALYZED.names)]) == CURVES_ANALYZED.names
    validate(found.curves, CURVES_ANALYZED)


def test_planted_truth_is_found(found) -> None:
    """Steps at the last scale are sharp and a surprise, a fall is inverse, three scales are too few, lines are not sharp."""
    by_task = found.curves.set_index("task")
    for i in range(4):
        assert by_task.loc[f"step{i}", "verdict"] == "sharp"
        assert by_task.loc[f"step{i}", "emergent"]
        assert by_task.loc[f"step{i}", "width_low"] == 0
        assert by_task.loc[f"line{i}", "verdict"] != "sharp"
        assert by_task.loc[f"flat{i}", "verdict"] in {"flat", "undecided"}
    assert by_task.loc["fall", "verdict"] == "inverse"
    assert by_task.loc["short", "verdict"] == "too_few_scales"
    assert pd.isna(by_task.loc["short", "emergent"])
    assert np.isnan(by_task.loc["short", "p_sharp"])


def test_same_seed_same_bytes_whatever_the_order_of_rows(found) -> None:
    """Shuffled rows and the same seed give the same table to the byte."""
    frame = results(TRUTHS, n=500, seed=1).sample(frac=1.0, random_state=4)
    again = analyze(frame, rng=np.random.default_rng(3), draws=199, items=items(TRUTHS, 500))
    for one, other in ((found.curves, again.curves), (found.forecasts, again.forecasts), (found.sweep, again.sweep)):
        assert one.to_csv(index=False) == other.to_csv(index=False)


def test_p_values_are_never_zero(found) -> None:
    """Monte Carlo p-values are at least 1/(draws + 1)."""
    for name in ("p_trend", "p_sharp", "p_surprise"):
        assert found.curves[name].min() >= 1 / 200


def test_unknown_noise_leaves_a_curve_undecided() -> None:
    """A continuous metric of two tasks has no noise to speak of: no p-value is made up."""
    truths = {"a": line(0.2, 0.4), "b": line(0.1, 0.6)}
    frame = results(truths, n=100, seed=2, metric="bleu")
    curves = analyze(frame, rng=np.random.default_rng(0), draws=19).curves
    assert curves["p_sharp"].isna().all()
    assert (curves["verdict"] == "undecided").all()
    assert curves["not_tested"].str.contains("noise unknown").all()


def test_models_that_give_one_answer_are_worth_few_items() -> None:
    """Two classes of 62 and 38% answered whole, to and fro: 500 items are worth a few tens, and no trend or jump is found."""
    truths = {f"line{i}": line(0.25, 0.3 + 0.05 * i) for i in range(8)}
    frame = results(truths, n=500, seed=4)
    answers = frame[frame["task"] == "line0"].assign(
        task="one", subtask="one", score=[0.38, 0.62, 0.62, 0.38, 0.38, 0.62, 0.38, 0.62, 0.62, 0.62, 0.38, 0.62]
    )
    both = pd.concat([frame, answers], ignore_index=True)
    found = analyze(both, rng=np.random.default_rng(0), draws=99, items=items(truths | {"one": line(0, 0)}, 500))
    curves = found.curves.set_index("task")
    assert 1 <= curves.loc["one", "items_effective"] < 60
    assert curves["items_effective"].drop("one").median() > 250
    assert curves.loc["one", ["p_trend", "p_sharp"]].min() > 0.1


def test_lower_is_better_is_reflected() -> None:
    """A Brier score that falls from .4 to .1 rises as a curve: trend upwards, rise positive, in units of the score."""
    truths = {f"t{i}": line(0.4, 0.1) for i in range(6)}
    frame = results(truths, n=400, seed=3, metric="calibration_multiple_choice_brier_score")
    curves = analyze(frame, rng=np.random.default_rng(0), draws=99).curves
    assert (curves["trend_sign"] == 1).all()
    assert curves["rise"].between(0.2, 0.4).all()
    assert (curves["verdict"] != "inverse").all()


def test_too_few_draws_or_bad_items_are_refused() -> None:
    """A p-value that could not reach 5%, and items that are no numbers, are errors with the cure in them."""
    frame = results({"a": line(0.2, 0.4)}, n=50, seed=2)
    with pytest.raises(AnalysisError, match="19"):
        analyze(frame, rng=np.random.default_rng(0), draws=9)
    with pytest.raises(AnalysisError, match="target_length missing"):
        analyze(frame, rng=np.random.default_rng(0), draws=19, lengths=pd.DataFrame({"task": ["a"]}))
    with pytest.raises(AnalysisError, match="n_items"):
        analyze(frame, rng=np.random.default_rng(0), draws=19, items=pd.DataFrame({"task": ["a"], "n_items": [0]}))


def test_any_number_of_workers_gives_the_same_bytes() -> None:
    """Curves shared among two processes give the tables of one, byte for byte, and progress counts every curve."""
    truths = {name: TRUTHS[name] for name in ("flat0", "line0", "line1", "step0", "step1", "fall", "short")}
    frame = results(truths, n=200, seed=6)
    told: list[tuple[int, int, str]] = []
    one, two = (
        analyze(
            frame,
            rng=np.random.default_rng(7),
            draws=39,
            items=items(truths, 200),
            workers=workers,
            progress=lambda *told_now: told.append(told_now),
        )
        for workers in (1, 2)
    )
    for name in ("curves", "forecasts", "sweep", "points", "noise", "claims", "common_shift"):
        assert getattr(one, name).to_csv(index=False) == getattr(two, name).to_csv(index=False), name
    assert told == 2 * [(done, 6, "curves tested") for done in range(1, 7)]


def test_the_limit_on_draws_is_the_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small p-values of a large family go on to the limit that was asked for, and the settings say how far."""
    monkeypatch.setattr("bigbench_meta.analysis.pipeline._MIN_TO_GO_ON", 39)
    truths = {name: TRUTHS[name] for name in ("flat0", "flat1", "flat2", "line0", "line1", "step0")}
    frame = results(truths, n=500, seed=6)
    found = analyze(frame, rng=np.random.default_rng(7), draws=39, draw_limit=119, items=items(truths, 500))
    assert found.settings["most_draws"] == 119
    assert found.curves.set_index("task").loc["step0", "draws_sharp"] == 119
    assert found.curves["p_sharp"].min() == pytest.approx(1 / 120)
