"""Fast subset of the validation: a test that stops holding its level fails here; the full table is docs/validation.md.

What it catches is tried out on purpose: with the overdispersion left out of the noise, and with a null drawn around
another curve than the fitted one, the same check fails (`test_the_check_fails_when_...`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bigbench_meta.analysis.curves.batch import batch_of, p_values
from bigbench_meta.analysis.curves.inference import pool_noise
from bigbench_meta.analysis.curves.laws import theory
from bigbench_meta.analysis.curves.montecarlo import Sampling
from bigbench_meta.analysis.curves.noise import Noise, beta_binomial
from bigbench_meta.analysis.curves.prepare import prepare_curves
from bigbench_meta.analysis.curves.sharpness import sharpness_null, trend_null
from bigbench_meta.analysis.pipeline import Choices, infer_curves
from bigbench_meta.emergence.measures import score_rows
from bigbench_meta.facts.metrics import metrics

if TYPE_CHECKING:
    from collections.abc import Callable

SCALES = np.array([1.17e8, 4.17e8, 1.4e9, 7.1e9, 2.8e11])
TASKS = 40


def batch(mean: np.ndarray, *, n: int, seed: int) -> pd.DataFrame:
    """RESULTS of `TASKS` tasks with one true curve and binomial noise."""
    rng = np.random.default_rng(seed)
    names = [f"t{i:02d}" for i in range(TASKS)]
    return pd.DataFrame(
        {
            "task": np.repeat(names, len(SCALES)),
            "subtask": np.repeat(names, len(SCALES)),
            "is_aggregate": False,
            "metric": "multiple_choice_grade",
            "family": "F",
            "shots": 0,
            "scale": np.tile(SCALES, TASKS),
            "score": (rng.binomial(n, mean, size=(TASKS, len(SCALES))) / n).ravel(),
            "is_preferred": True,
        }
    )


def truth(name: str) -> np.ndarray:
    """A flat curve, a straight line, and the paper's law at the steepest published exponent, convex where seen."""
    x = np.log10(SCALES)
    if name == "flat":
        return np.full(len(x), 0.25)
    if name == "line":
        return 0.25 + 0.3 * (x - x[0]) / (x[-1] - x[0])
    x0 = x[-1] + np.log10(-np.log(0.3)) / 0.34
    return 0.25 + 0.75 * theory(x, exponent=0.34, x0=x0)


@pytest.mark.parametrize("name", ["flat", "line", "theory"])
def test_smooth_truth_is_rejected_no_more_often_than_promised(name: str) -> None:
    """Of 40 curves with a smooth truth, no test rejects at 10% more often than 10 times (P < 0.2% if the level holds)."""
    most = int(stats.binom.ppf(0.998, TASKS, 0.10))
    items = pd.DataFrame({"task": [f"t{i:02d}" for i in range(TASKS)], "n_items": 200})
    found = infer_curves(
        batch(truth(name), n=200, seed=11),
        rng=np.random.default_rng(12),
        choices=Choices(metrics(), draws=39, items=items),
    )
    for test in (
        ["p_sharp", "p_surprise"]
        + (["p_trend"] if name == "flat" else [])
        + (["p_step_line"] if name != "theory" else [])
    ):
        assert (found.curves[test] <= 0.10).sum() <= most, test
    combined = found.forecasts[(found.forecasts["held_out"] == 1) & (found.forecasts["law"] == "all_laws")]
    inside = (combined["observed"] >= combined["low"]) & (combined["observed"] <= combined["high"])
    assert inside.sum() >= stats.binom.ppf(0.002, TASKS, 0.95)


def rejections(test: str, *, noise_of: Callable[[Noise], Noise] = lambda noise: noise) -> int:
    """Of `TASKS` overdispersed tasks (rho .03 each) on a null curve, those that one test rejects at 10%."""
    rng = np.random.default_rng(21)
    mean = truth("flat" if test == "trend" else "line")
    factor = np.full((TASKS, 1), 1 + 199 * 0.03)
    frame = batch(mean, n=200, seed=0)
    frame["score"] = beta_binomial(np.tile(mean, (TASKS, 1)), n_items=200, factor=factor, rng=rng).ravel()
    items = pd.DataFrame({"task": frame["task"].unique(), "n_items": 200})
    _, curves = prepare_curves(frame, items=items, registry=metrics())
    ((group, pooled),) = pool_noise(curves, seed=5).items()
    assert pooled is not None
    noise = noise_of(pooled.noise(kind=group[1], n_items=200))
    together = batch_of(curves, [noise] * len(curves))
    null = trend_null(together).null if test == "trend" else sharpness_null(together)
    p = [found.p for found in p_values(together, null, sampling=Sampling(39, 6))]
    return int((np.array(p) <= 0.10).sum())


MOST = int(stats.binom.ppf(0.998, TASKS, 0.10))


@pytest.mark.parametrize("test", ["trend", "sharp"])
def test_overdispersed_tasks_are_rejected_no_more_often_than_promised(test: str) -> None:
    """Items with an intraclass correlation of .03: noise seven times binomial, and still at most 10 of 40 rejected at 10%."""
    assert rejections(test) <= MOST


@pytest.mark.parametrize("test", ["trend", "sharp"])
def test_the_check_fails_when_overdispersion_is_left_out(test: str) -> None:
    """Binomial noise in place of the estimated one rejects more of the same tasks than the check allows."""
    assert rejections(test, noise_of=lambda noise: Noise(noise.kind, noise.n_items, np.ones(1), np.ones(1))) > MOST


def test_the_check_fails_when_the_null_is_drawn_around_another_curve(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nulls of a flat curve in place of the fitted smooth one: steps of a rising curve look sharp beside them."""
    draw = Noise.draw

    def flat(self: Noise, mean: np.ndarray, *, size: int, rng: np.random.Generator) -> np.ndarray:
        return draw(self, np.zeros_like(mean), size=size, rng=rng)

    monkeypatch.setattr(Noise, "draw", flat)
    assert rejections("sharp") > MOST


@pytest.mark.parametrize(
    ("cell", "published"),
    [
        ((4, 50), (2.0, 6.0, 0.071, 0.0256)),
        ((5, 200), (2.1, 4.5, 0.035, 0.0004)),
        ((8, 200), (2.8, 6.3, 0.102, 0.0001)),
        ((12, 1000), (3.3, 6.3, 0.128, 0.0000)),
    ],
)
def test_null_of_the_emergence_score(cell: tuple[int, int], published: tuple[float, float, float, float]) -> None:
    """Binomial noise at chance .25: the published null of |E| (100,000 draws), infinite draws kept, here by 20,000."""
    (n_scales, n), (median, q95, share5, zero) = cell, published
    rng = np.random.default_rng(20261122)
    y = rng.binomial(n, 0.25, size=(20000, n_scales)) / n
    scores = score_rows(y)
    size = np.abs(scores.emergence_score)
    size[scores.undefined_reason == "zero_median_step"] = np.inf
    size[scores.undefined_reason == "flat"] = 0.0
    assert np.quantile(size, 0.5, method="inverted_cdf") == pytest.approx(median, abs=0.1)
    assert np.quantile(size, 0.95, method="inverted_cdf") == pytest.approx(q95, abs=0.26)
    assert (size > 5).mean() == pytest.approx(share5, abs=4 * np.sqrt(share5 / 20000))
    assert (scores.undefined_reason == "zero_median_step").mean() == pytest.approx(zero, abs=4 * np.sqrt(0.026 / 20000))
