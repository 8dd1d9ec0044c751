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
    """Curves shared among two processes give the tables of one, byte for byte, and progress ends at the number of curves."""
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
    assert told == 2 * [(6, 6, "curves tested")]


def test_the_limit_on_draws_is_the_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decisions that 119 draws cannot settle are left open there, with the reason, and the settings count them."""
    monkeypatch.setattr("bigbench_meta.analysis.pipeline._MIN_TO_GO_ON", 39)
    truths = {name: TRUTHS[name] for name in ("flat0", "flat1", "flat2", "line0", "line1", "step0")}
    frame = results(truths, n=500, seed=6)
    found = analyze(frame, rng=np.random.default_rng(7), draws=39, draw_limit=119, items=items(truths, 500))
    assert found.settings["most_draws"] == 119
    step = found.curves.set_index("task").loc["step0"]
    assert step["draws_sharp"] == 119
    assert step["p_sharp"] == pytest.approx(1 / 120)
    assert step["p_sharp_mc_error"] == pytest.approx(np.sqrt(1 / 120 * 119 / 120 / 119))
    # none of 119 as large leaves p up to 8%: (119 + 1)(1 - p)^119 > .01 / 6
    assert step["verdict_reason"].startswith("at the limit of the draws")
    assert found.settings["n_at_draw_limit"] >= 1


def test_verdicts_are_the_same_for_every_seed() -> None:
    """Drawn further until settled, six curves have the same verdicts for three seeds, though their p-values differ."""
    truths = {name: TRUTHS[name] for name in ("flat0", "flat1", "line0", "line1", "step0", "fall")}
    frame = results(truths, n=500, seed=6)
    words, p = [], []
    for seed in range(3):
        found = analyze(frame, rng=np.random.default_rng(seed), items=items(truths, 500), workers=1).curves
        assert (found["at_draw_limit"].astype(str) == "").all()
        words.append(found["verdict"].astype(str).tolist())
        p.append(found["p_nonmonotone"].tolist())
    assert words[0] == words[1] == words[2]
    assert p[0] != p[1]


def test_curves_of_other_metrics_are_a_family_of_their_own() -> None:
    """The same curves under a second, not preferred metric: q from those six p-values alone, and verdicts by that q."""
    truths = {name: TRUTHS[name] for name in ("flat0", "flat1", "line0", "line1", "step0", "step1")}
    first = results(truths, n=500, seed=6)
    other = results(truths, n=500, seed=7, metric="exact_str_match").assign(is_preferred=False)
    found = analyze(
        pd.concat([first, other], ignore_index=True), rng=np.random.default_rng(0), draws=199, items=items(truths, 500)
    ).curves
    for member, part in found.groupby("in_family_of_tests"):
        assert len(part) == 6, member
        ranked = part["p_sharp"].sort_values(ignore_index=True)
        smallest = min(p * 6 / (rank + 1) for rank, p in enumerate(ranked))
        assert part["q_sharp"].min() == pytest.approx(smallest)
        assert (part.loc[part["verdict"] == "sharp", "q_sharp"] <= 0.05).all()


def test_shapes_have_names() -> None:
    """A hump beyond the noise of items is nonmonotone and not inverse; two constant answers are no verdict; a fall is inverse."""
    truths = {
        "hump": np.array([0.2, 0.5, 0.6, 0.6, 0.5, 0.4, 0.3, 0.25, 0.2, 0.15, 0.1, 0.1]),
        "fall": line(0.6, 0.3),
        **{f"flat{i}": line(0.25, 0.25) for i in range(4)},
    }
    frame = results(truths, n=400, seed=5)
    answers = frame[frame["task"] == "flat0"].assign(task="answers", subtask="answers", score=[0.37] * 5 + [0.63] * 7)
    both = pd.concat([frame, answers], ignore_index=True)
    known = items(truths | {"answers": line(0, 0)}, 400)
    found = analyze(both, rng=np.random.default_rng(0), draws=199, items=known).curves.set_index("task")
    assert found.loc["hump", "verdict"] == "nonmonotone"
    assert found.loc["fall", "verdict"] == "inverse"
    assert found.loc["answers", "constant_answer"]
    assert found.loc["answers", "verdict"] == "undecided"
    assert "constant answers" in found.loc["answers", "verdict_reason"]


def test_margins_without_a_range_are_shares_of_what_the_family_spans() -> None:
    """Log-likelihoods from -9 to -1 over six tasks: the margin scale is 8, so that .3 is flat where the scatter is .01."""
    rng = np.random.default_rng(3)
    truths = {f"t{i}": line(-9 + i, -2 + i / 5) for i in range(6)} | {"still": line(-3, -2.9)}
    frame = results({name: np.full(12, 0.5) for name in truths}, n=10, seed=0, metric="log_likelihood")
    frame["score"] = np.concatenate([truth + rng.normal(0, 0.01, 12) for truth in truths.values()])
    found = analyze(frame, rng=np.random.default_rng(0), draws=99).curves.set_index("task")
    assert found["margin_scale"].to_numpy() == pytest.approx(frame["score"].max() - frame["score"].min())
    assert found.loc["still", "verdict"] == "flat"
    assert (found["verdict_reason"].astype(str) != "the metric has no range to set a margin on").all()
