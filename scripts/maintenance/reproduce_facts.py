"""Redo what is known about the emergence score and the naive ways of calling a jump: published figure beside ours.

Three things: the score of pure binomial noise (nine pairs of scales and items), the count of a published scan-statistic
audit of 89 multiple-choice curves (Zenodo 10.5281/zenodo.21020386) with the items that were scored in place of the task's
size, and a straight line through the first eleven sizes, which calls eight last points a surprise.

    python scripts/maintenance/reproduce_facts.py ../shared/data [--draws 100000]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

CHANCE = 0.25
SEED = 20261122
# The audit: some of the smaller six scales lies within .05 of chance, and some scale reaches chance + .10.
NEAR, JUMP, SMALLER = 0.05, 0.10, 6
# Scores of the audit are rounded to four decimals.
_ROUNDING = 0.5e-4
# Published: median, 95% and 99% of |E|, 95% and 99% of E, share of |E| > 5, share of zero median steps.
PUBLISHED_NULL = {
    (4, 50): (2.0, 6.0, np.inf, 4.0, np.inf, 0.071, 0.0256),
    (4, 200): (2.0, 6.0, 14.0, 4.0, 9.0, 0.064, 0.0070),
    (5, 200): (2.1, 4.5, 7.1, 3.7, 5.8, 0.035, 0.0004),
    (8, 50): (3.0, 7.0, 10.0, 5.0, 9.0, 0.106, 0.0024),
    (8, 200): (2.8, 6.3, 10.0, 5.0, 8.0, 0.102, 0.0001),
    (8, 1000): (2.8, 6.2, 9.6, 5.0, 7.9, 0.100, 0.0000),
    (12, 50): (3.3, 7.0, 10.0, 5.5, 9.0, 0.131, 0.0002),
    (12, 200): (3.3, 6.3, 9.0, 5.3, 7.7, 0.129, 0.0000),
    (12, 1000): (3.3, 6.3, 8.9, 5.4, 7.7, 0.128, 0.0000),
}
PUBLISHED_AUDIT = {"flagged": 40.0, "expected by chance": 17.7, "survive the look-elsewhere correction": 24.0}
PUBLISHED_SURPRISES = (
    "figure_of_speech_detection", "general_knowledge", "hindu_knowledge", "physical_intuition", "social_iqa",
    "sports_understanding", "strategyqa", "temporal_sequences",
)  # fmt: skip


class Curves(NamedTuple):
    """Curves of one metric on common scales: scores (tasks, M), sizes, items behind a point, size of the task, chance."""

    tasks: list[str]
    scales: Vector
    scores: Vector
    n_items: Vector
    n_examples: Vector
    chance: Vector


def null_of_the_score(n_scales: int, n_items: int, *, draws: int) -> tuple[float, ...]:
    """Score pure binomial noise at chance; infinite draws are kept, quantiles invert the empirical distribution."""
    from bigbench_meta.emergence.measures import score_rows

    rng = np.random.default_rng([SEED, n_scales, n_items])
    y = rng.binomial(n_items, CHANCE, size=(draws, n_scales)) / n_items
    scored = score_rows(y)
    zero = scored.undefined_reason == "zero_median_step"
    signed = np.where(scored.undefined_reason == "flat", 0.0, scored.emergence_score)
    # Where the median step is zero E is infinite, with the sign of the change.
    signed = np.where(zero, np.where(y.argmax(axis=1) > y.argmin(axis=1), np.inf, -np.inf), signed)
    size = np.abs(signed)

    def quantile(values: Vector, q: float) -> float:
        return float(np.quantile(values, q, method="inverted_cdf"))

    return (
        quantile(size, 0.5), quantile(size, 0.95), quantile(size, 0.99), quantile(signed, 0.95), quantile(signed, 0.99),
        float((size > 5).mean()), float(zero.mean()),
    )  # fmt: skip


def read_audited(data: Path, *, cache_dir: Path) -> Curves:
    """Read the audited curves of the published bundle, with chance and sizes from the table of tasks."""
    import bigbench_meta as bm

    frame = bm.load_results(bm.fetch(str(data / "bigbench-real.bundle"), cache_dir=cache_dir), use_cache=False).frame
    items = pd.read_csv(data / "bundle_items.csv").set_index("task")
    items = items[items["source"] == "audit"]
    used = frame[frame["task"].isin(items.index) & (frame["metric"] == "multiple_choice_grade")]
    wide = used.assign(task=used["task"].astype(str)).pivot_table("score", "task", "scale")
    tasks = pd.read_csv(data / "bigbench_tasks.csv").drop_duplicates("task").set_index("task").loc[wide.index]
    return Curves(
        tasks=list(wide.index),
        scales=wide.columns.to_numpy(np.float64),
        scores=wide.to_numpy(np.float64),
        n_items=items.loc[wide.index, "n_items_min"].to_numpy(np.float64),
        n_examples=tasks["n_examples"].to_numpy(np.float64),
        chance=tasks["chance"].to_numpy(np.float64),
    )


def audit(curves: Curves, *, n_items: Vector) -> dict[str, float]:
    """Count what the audit flags, what chance alone would flag, and what a correction for tasks times scales leaves.

    Chance alone: independent binomial scores of ``n_items`` at every scale, exactly.
    """
    gap = curves.scores - curves.chance[:, None]
    flagged = (np.abs(gap[:, :SMALLER]) <= NEAR + 1e-9).any(axis=1) & (gap.max(axis=1) >= JUMP - 1e-9)
    n_scales = len(curves.scales)
    expected, survive = 0.0, 0
    for n, chance, best, flag in zip(n_items, curves.chance, curves.scores.max(axis=1), flagged, strict=True):
        count = np.arange(int(n) + 1)
        mass = stats.binom.pmf(count, int(n), chance)
        near = float(mass[np.abs(count / n - chance) <= NEAR + 1e-9].sum())
        large = float(mass[count / n - chance >= JUMP - 1e-9].sum())
        never_large = (1 - large) ** n_scales
        neither = (1 - near - large) ** SMALLER * (1 - large) ** (n_scales - SMALLER)
        expected += 1 - (1 - near) ** SMALLER - never_large + neither
        one_scale = float(stats.binom.sf(np.rint(best * n) - 1, int(n), chance))
        survive += bool(flag and (1 - (1 - one_scale) ** n_scales) * len(curves.tasks) <= 0.05)
    counted = (float(flagged.sum()), expected, float(survive))
    return dict(zip(PUBLISHED_AUDIT, counted, strict=True))


def line_surprises(curves: Curves, *, level: float = 0.05) -> list[str]:
    """Tasks whose last score exceeds a straight line in log scale through the others, after Benjamini-Hochberg.

    One-sided t interval of a prediction with the larger of residual and binomial variance. No convex law is allowed for:
    the paper's own smooth curve fails this test, which is why the package does not use it.
    """
    x, last = np.log10(curves.scales[:-1]), float(np.log10(curves.scales[-1]))
    design = np.column_stack([np.ones(len(x)), x])
    reach = 1 + 1 / len(x) + (last - x.mean()) ** 2 / ((x - x.mean()) ** 2).sum()
    p = []
    for y, n in zip(curves.scores, curves.n_items, strict=True):
        coefficients = np.linalg.lstsq(design, y[:-1], rcond=None)[0]
        residual = y[:-1] - design @ coefficients
        forecast = float(coefficients @ [1.0, last])
        held = np.clip(forecast, 0.5 / (n + 1), 1 - 0.5 / (n + 1))
        variance = max(float(residual @ residual) / (len(x) - 2), held * (1 - held) / n)
        p.append(stats.t.sf((y[-1] - forecast) / np.sqrt(variance * reach), len(x) - 2))
    q = stats.false_discovery_control(p)
    return [task for task, value in zip(curves.tasks, q, strict=True) if value <= level]


def main() -> None:
    """Print every figure beside ours."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of the published tables")
    parser.add_argument("--draws", type=int, default=100_000)
    options = parser.parse_args()
    print("E of pure noise: median, 95%, 99% of |E|; 95%, 99% of E; share |E| > 5; zero median step")
    for (n_scales, n_items), published in PUBLISHED_NULL.items():
        ours = null_of_the_score(n_scales, n_items, draws=options.draws)
        print(f"  {n_scales:2d} scales, {n_items:4d} items  published", *(f"{value:8.4g}" for value in published))
        print(" " * 25 + "ours     ", *(f"{value:8.4g}" for value in ours))
    with tempfile.TemporaryDirectory() as cache:
        curves = read_audited(options.data, cache_dir=Path(cache))
    of_task, of_items = audit(curves, n_items=curves.n_examples), audit(curves, n_items=curves.n_items)
    changed = int((curves.n_items != curves.n_examples).sum())
    print(f"Audit of {len(curves.tasks)} curves: published, ours with the task's size, ours with the items scored")
    for name, published_count in PUBLISHED_AUDIT.items():
        print(f"  {name:40s} {published_count:6.1f} {of_task[name]:6.1f} {of_items[name]:6.1f}")
    print(f"  (fewer items than examples in {changed} tasks; the published expectation is simulated, ours is exact)")
    found = line_surprises(curves)
    print(f"Above a straight line through eleven sizes: published {len(PUBLISHED_SURPRISES)}, ours {len(found)}")
    print("  " + ", ".join(found))


if __name__ == "__main__":
    main()
