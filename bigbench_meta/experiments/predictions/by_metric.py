"""Prediction 1: the same outputs are sharp under accuracy and smooth under edit distance.

One row a curve pair. Both curves are scored with E and L (distance with its sign turned, so that up is better) and by
the width of their rise. Where item outputs are given, items are resampled, the same ones for every model and for both
metrics where models answered the same items; that interval holds item noise alone, not that of training seeds.

E is taken with the median step held at the resolution of the test, 1/n, so that estimate and interval speak of the same
finite number; it equals the emergence score wherever the median step is above that.

Rule (``verdict``), by the calibrated test of `predictions_sharpness`. *Confirmed*: accuracy is sharp (q <= .05 over all
pairs tested together), edit distance is not (p > .05, uncorrected), and accuracy's E is larger with the whole 95% interval
of the ratio. *Not confirmed*: edit distance is sharp too, or accuracy is not shown to be sharp. *Undecided*: fewer than 4
scales, no rise, no number of items, or a ratio whose interval holds 1. Not being shown sharp is no proof of smoothness.

This rule replaced an earlier one after results of the packaged ladder had been seen. The earlier one (``line_verdict``, shown
beside) asked E against a straight line's M - 1: confirmed where accuracy's whole interval lies above it, edit distance's does
not, and the ratio is above 1 with its whole interval. With many items any slight bend lies above a line (E = 8.4 against
8), and a smooth curve may do so too, which is why it was replaced. Without items it takes twice M - 1 for accuracy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from bigbench_meta.emergence import emergence_floored, linearity, observed_width
from bigbench_meta.experiments.predictions.calibrated import (
    KEY,
    SHARPNESS_COLUMNS,
    effective_items,
    pair_sharpness,
)

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

Verdict = Literal["confirmed", "not confirmed", "undecided"]
# Family of a series made of all families' models.
POOLED = "all families pooled"
# With 3 scales E lies in [1, 2] whatever happens, and one step is the only sharp shape.
MIN_SCALES_OF_A_PAIR = 4
# Level of the calibrated tests.
_ALPHA = 0.05
PAIR_COLUMNS = [
    "task", "subtask", "family", "n_scales", "n_items", "accuracy_first", "accuracy_last", "accuracy_max",
    "emergence_accuracy", "emergence_accuracy_low", "emergence_accuracy_high",
    "emergence_distance", "emergence_distance_low", "emergence_distance_high",
    "ratio", "ratio_low", "ratio_high", "linearity_accuracy", "linearity_distance",
    "step_accuracy", "step_distance", "width_accuracy", "width_distance", *SHARPNESS_COLUMNS, "draws",
    "verdict", "line_verdict", "sentence",
]  # fmt: skip


POINT_COLUMNS = [
    "task", "subtask", "family", "scale", "n_items", "hits", "accuracy", "low", "high", "distance", "distance_se",
]  # fmt: skip


def metric_points(items: pd.DataFrame) -> pd.DataFrame:
    """Accuracy with its exact binomial interval and mean distance at every scale; columns ``POINT_COLUMNS``."""
    from bigbench_meta.experiments.predictions.by_items import exact_interval

    groups = items[items["scale"] > 0].groupby(["task", "subtask", "family", "scale"], sort=True)
    points = groups.agg(
        n_items=("hit", "size"), hits=("hit", "sum"), accuracy=("hit", "mean"), distance=("distance", "mean"),
        distance_se=("distance", "sem"),
    ).reset_index()  # fmt: skip
    ends = [exact_interval(int(hits), int(n)) for hits, n in zip(points["hits"], points["n_items"], strict=True)]
    return points.assign(low=[low for low, _ in ends], high=[high for _, high in ends])[POINT_COLUMNS]


def score_points(scores: pd.DataFrame) -> pd.DataFrame:
    """Points of a table of scores in the form of `metric_points`; no interval where the items are not known.

    Only series that have ``MIN_SCALES_OF_A_PAIR`` scales are drawn, pooled ones among them.
    """
    import pandas as pd

    from bigbench_meta.experiments.predictions.by_items import exact_interval

    rows = []
    for task, models in scores.groupby("task", sort=True):
        for family, own in score_series(models):
            curve = own.groupby("scale", sort=True)[["accuracy", "distance"]].mean()
            if len(curve) < MIN_SCALES_OF_A_PAIR:
                continue
            n = float(own["n_items"].min())
            for scale, accuracy, distance in curve.itertuples():
                low, high = exact_interval(round(accuracy * n), int(n)) if n >= 1 else (np.nan, np.nan)
                hits = float(round(accuracy * n)) if n >= 1 else np.nan
                rows.append((task, task, family, scale, n, hits, accuracy, low, high, distance, np.nan))
    return pd.DataFrame(rows, columns=POINT_COLUMNS)


def score_series(models: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Families of one task of a table of scores; all models together, marked, where no family has enough scales."""
    series = [(str(family), own) for family, own in models.groupby("family", sort=True)]
    if all(own["scale"].nunique() < MIN_SCALES_OF_A_PAIR for _, own in series) and len(series) > 1:
        series.append((POOLED, models))
    return series


def metric_pairs(items: pd.DataFrame, *, rng: np.random.Generator, draws: int = 999) -> pd.DataFrame:
    """Test prediction 1 on every (task, subtask, family) of item outputs; columns ``PAIR_COLUMNS``."""
    rows: list[dict[str, object]] = []
    points: list[dict[str, object]] = []
    for key, own in items.groupby(["task", "subtask", "family"], sort=True):
        scaled = own[own["scale"] > 0]
        by_scale = [group for _, group in scaled.groupby("scale", sort=True)]
        scale = np.array([float(group["scale"].iloc[0]) for group in by_scale])
        hits = [group["hit"].to_numpy(float) for group in by_scale]
        near = [-group["distance"].to_numpy(float) for group in by_scale]
        if len(scale) < MIN_SCALES_OF_A_PAIR:
            rows.append(dict(zip(("task", "subtask", "family"), key, strict=True)) | _too_few(len(scale), len(own)))
            continue
        paired = len({len(h) for h in hits}) == 1 and _same_items(by_scale)
        accuracy, distance = _resampled(hits, near, paired=paired, draws=draws, rng=rng)
        row = _pair(scale, accuracy, distance, floor=1 / min(map(len, hits)))
        row["n_items"] = min(map(len, hits))
        head = dict(zip(KEY, key, strict=True))
        rows.append(head | row)
        # one length of target for the whole curve: an output that runs on is no worse than one with nothing right
        length = max(float(np.concatenate([group["length"].to_numpy(float) for group in by_scale]).mean()), 1e-12)
        close = [1 - np.minimum(group["distance"].to_numpy(float), group["length"]) / length for group in by_scale]
        worth = effective_items(close, length=length)
        for right, at, share in zip(close, scale, accuracy[0], strict=True):
            point = {"scale": at, "accuracy": share, "closeness": right.mean()}
            points.append(head | point | {"n_items": len(right), "closeness_items": worth})
    return _judged(rows, points, rng=rng, draws=draws)


def score_pairs(scores: pd.DataFrame, *, rng: np.random.Generator, draws: int = 999) -> pd.DataFrame:
    """Test prediction 1 on a table of scores (``load_scores``); columns ``PAIR_COLUMNS``.

    Accuracy is drawn again from its binomial distribution where the number of items is known. The noise of the edit
    distance is not in such a table: its E stands without an interval, and the interval of the ratio holds the noise of
    accuracy alone, so that it is too short. Without the number of items there is none at all,
    and a verdict is "undecided" unless the two E lie on either side of a straight line's, accuracy's at twice it.

    Such a table does not tell the length of the targets. What stands in for it, to bring distance to a closeness in [0, 1],
    is the largest mean distance of any model on the task: the worst model has closeness 0. Affine rescaling changes
    neither E nor L; it matters to the calibrated test alone, whose noise of ``n_items`` independent items is then too small
    where single outputs are farther from their target than that model is on average. So a p of sharpness of edit distance
    from a table of scores is rougher than one from outputs.

    Where no family of a task has enough scales, all its models are put in one series by scale and marked as pooled:
    differences between families are then part of the curve, so this is exploratory.
    """
    rows: list[dict[str, object]] = []
    points: list[dict[str, object]] = []
    for task, models in scores.groupby("task", sort=True):
        worst = max(float(models["distance"].max()), 1e-12)
        series = score_series(models)
        for family, own in series:
            head = {"task": task, "subtask": task, "family": family}
            curve = own.groupby("scale", as_index=False, sort=True)[["accuracy", "distance"]].mean()
            n = float(own["n_items"].min())
            if len(curve) < MIN_SCALES_OF_A_PAIR:
                rows.append(head | _too_few(len(curve), n))
                continue
            counted = n >= 1
            observed = curve["accuracy"].to_numpy(float).clip(0, 1)
            again = (
                rng.binomial(int(n), observed, (draws, len(curve))) / int(n) if counted else np.empty((0, len(curve)))
            )
            distance = np.tile(-curve["distance"].to_numpy(float), (1 + len(again), 1))
            row = _pair(
                curve["scale"].to_numpy(float),
                np.vstack([observed, again]),
                distance,
                floor=1 / n if counted else 1e-12,
            )
            # the distance of a table of scores has no noise that is known, so its E has no interval
            row |= {"emergence_distance_low": np.nan, "emergence_distance_high": np.nan}
            if family == POOLED:
                row["families"] = len(series) - 1
            rows.append(head | row | {"n_items": n})
            for at, share, distance_at in curve.itertuples(index=False):
                point = {"scale": at, "accuracy": share, "closeness": 1 - distance_at / worst}
                points.append(head | point | {"n_items": n, "closeness_items": n})
    return _judged(rows, points, rng=rng, draws=draws)


def _judged(
    rows: list[dict[str, object]], points: list[dict[str, object]], *, rng: np.random.Generator, draws: int
) -> pd.DataFrame:
    """Add the calibrated test of both curves, the verdict by it, and the sentence."""
    import pandas as pd

    tested: dict[tuple[object, ...], dict[str, object]] = {}
    if points:
        sharpness = pair_sharpness(pd.DataFrame(points), rng=rng, draws=draws)
        for values in sharpness.itertuples(index=False, name=None):
            tested[values[: len(KEY)]] = dict(zip(SHARPNESS_COLUMNS, values[len(KEY) :], strict=True))
    judged = []
    for row in rows:
        if "why" in row:
            full = row | tested[tuple(row[name] for name in KEY)]
            verdict, why = _decide(full)
            sentence = _sentence(full, verdict, why)
            if "families" in row:
                sentence = f"Exploratory, models of {row['families']} families in one series. {sentence}"
            judged.append(full | {"verdict": verdict, "sentence": sentence})
        else:
            judged.append(row)
    return pd.DataFrame(judged).reindex(columns=PAIR_COLUMNS)


def _same_items(groups: list[pd.DataFrame]) -> bool:
    first = groups[0]["target"].tolist()
    return all(group["target"].tolist() == first for group in groups[1:])


def _resampled(
    hits: list[NDArray[np.float64]],
    near: list[NDArray[np.float64]],
    *,
    paired: bool,
    draws: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Curves of accuracy and of minus distance, shape (1 + draws, M); the first row is the observed one."""
    accuracy = np.empty((1 + draws, len(hits)))
    distance = np.empty_like(accuracy)
    accuracy[0], distance[0] = [h.mean() for h in hits], [d.mean() for d in near]
    if paired:
        n = len(hits[0])
        times = rng.multinomial(n, np.full(n, 1 / n), draws)  # how often each item is drawn, with replacement
        means = times @ np.vstack([*hits, *near]).T / n
        accuracy[1:], distance[1:] = means[:, : len(hits)], means[:, len(hits) :]
        return accuracy, distance
    for draw in range(1, 1 + draws):
        for m, (h, d) in enumerate(zip(hits, near, strict=True)):
            pick = rng.integers(0, len(h), len(h))
            accuracy[draw, m], distance[draw, m] = h[pick].mean(), d[pick].mean()
    return accuracy, distance


def _pair(
    scale: NDArray[np.float64], accuracy: NDArray[np.float64], distance: NDArray[np.float64], *, floor: float
) -> dict[str, object]:
    # Distance has no resolution of its own: relative to its range, it is given that of accuracy.
    reach = np.maximum(distance.max(axis=1) - distance.min(axis=1), 1e-12)
    e_accuracy = emergence_floored(accuracy, resolution=floor)
    e_distance = emergence_floored(distance, resolution=floor * reach)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(e_distance > 0, e_accuracy / e_distance, np.nan)
    row: dict[str, object] = {
        "n_scales": len(scale),
        "accuracy_first": float(accuracy[0, 0]),
        "accuracy_last": float(accuracy[0, -1]),
        "accuracy_max": float(accuracy[0].max()),
        "linearity_accuracy": linearity(accuracy[0]),
        "linearity_distance": linearity(distance[0]),
        "step_accuracy": _largest_step(accuracy[0]),
        "step_distance": _largest_step(distance[0]),
        "width_accuracy": observed_width(scale, accuracy[0]),
        "width_distance": observed_width(scale, distance[0]),
        "draws": len(accuracy) - 1,
    }
    for name, values in (("emergence_accuracy", e_accuracy), ("emergence_distance", e_distance), ("ratio", ratio)):
        finite = values[1:][np.isfinite(values[1:])]
        low, high = np.quantile(finite, [0.025, 0.975]) if finite.size else (np.nan, np.nan)
        row |= {name: float(values[0]), f"{name}_low": float(low), f"{name}_high": float(high)}
    verdict, why = _against_line(row)
    return row | {"line_verdict": verdict, "why": why}


def _largest_step(y: NDArray[np.float64]) -> float:
    reach = float(y.max() - y.min())
    return float(np.diff(y).max() / reach) if reach > 0 else float("nan")


def _decide(row: dict[str, object]) -> tuple[Verdict, str]:
    value = {k: float(v) for k, v in row.items() if isinstance(v, int | float)}
    if value["accuracy_max"] <= 0 or value["accuracy_last"] <= value["accuracy_first"]:
        return "undecided", str(row["why"])
    if not (np.isfinite(value["p_sharp_distance"]) and np.isfinite(value["q_sharp_accuracy"])):
        return "undecided", "the calibrated test of sharpness needs the number of items"
    if value["p_sharp_distance"] <= _ALPHA:
        return "not confirmed", "edit distance too is sharper than a smooth curve"
    if value["q_sharp_accuracy"] > _ALPHA:
        return "not confirmed", "accuracy is not shown to be sharper than a smooth curve"
    if value["ratio_low"] > 1:
        return "confirmed", "accuracy is sharper than every smooth curve and edit distance is not"
    return "undecided", "the interval of the ratio of the two E holds 1"


def _against_line(row: dict[str, object]) -> tuple[Verdict, str]:
    value = {k: float(v) for k, v in row.items() if isinstance(v, int | float)}
    line, drawn = value["n_scales"] - 1, value["draws"] > 0
    if value["accuracy_max"] <= 0:
        return "undecided", "no output is ever right: accuracy has no rise to explain"
    if value["accuracy_last"] <= value["accuracy_first"]:
        return "undecided", "accuracy does not rise with scale"
    if drawn:
        accuracy_sharp = value["emergence_accuracy_low"] > line
        distance_sharp = value["emergence_distance_low"] > line
        larger = value["ratio_low"] > 1
        smaller = value["ratio_high"] < 1
    else:
        accuracy_sharp = value["emergence_accuracy"] >= 2 * line
        distance_sharp = value["emergence_distance"] >= 2 * line
        larger = accuracy_sharp and value["emergence_distance"] <= line
        smaller = value["emergence_accuracy"] < value["emergence_distance"]
    if accuracy_sharp and larger and not distance_sharp:
        return "confirmed", "accuracy is sharp and edit distance is not"
    if distance_sharp:
        return "not confirmed", "edit distance is steeper than a straight line as well"
    if value["emergence_accuracy"] <= line:
        return "not confirmed", "accuracy is no sharper than a straight line"
    if smaller:
        return "not confirmed", "accuracy is less sharp than edit distance"
    return (
        "undecided",
        "the intervals do not separate the two metrics" if drawn else "points alone do not separate them",
    )


def _too_few(n_scales: int, n_items: float) -> dict[str, object]:
    reason = f"{n_scales} scale{'' if n_scales == 1 else 's'}: the emergence score needs {MIN_SCALES_OF_A_PAIR} or more to mean anything"
    return {
        "n_scales": n_scales,
        "n_items": n_items,
        "draws": 0,
        "verdict": "undecided",
        "line_verdict": "undecided",
        "sentence": f"Undecided: {reason}.",
    }


def _sentence(row: dict[str, object], verdict: Verdict, why: str) -> str:
    def shown(name: str) -> str:
        value, low, high = (float(str(row[key])) for key in (name, f"{name}_low", f"{name}_high"))
        if not np.isfinite(value):
            return "undefined"
        return f"{value:.1f} ({low:.1f} to {high:.1f})" if np.isfinite([low, high]).all() else f"{value:.1f}"

    return (
        f"{verdict.capitalize()}: {why}. E is {shown('emergence_accuracy')} under accuracy and "
        f"{shown('emergence_distance')} under edit distance of the same outputs, a ratio of {shown('ratio')}; a straight line over "
        f"{row['n_scales']} scales has {int(str(row['n_scales'])) - 1}. Calibrated test of sharpness: q = "
        f"{row['q_sharp_accuracy']:.2g} for accuracy, p = {row['p_sharp_distance']:.2g} for edit distance."
    )
