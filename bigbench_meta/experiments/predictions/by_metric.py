"""Prediction 1: accuracy looks sharp, follows from the per-token measure, and that one improves smoothly.

The claim has three parts, and each is judged by itself on the same outputs; one row a (task, subtask, family).

1a, *accuracy looks sharper* (``looks_sharper``). E and width of accuracy against those of edit distance (with its sign turned, so
that up is better), with intervals from resampled items, the same ones for every model and for both metrics where models answered
the same items. *Confirmed*: the ratio of the two E lies above 1 with its whole 95% interval. *Not confirmed*: it lies below 1 with its
whole interval although the ratio that ``p ** L`` implies lies above 1 with its own. *Undecided*: neither. The second condition is
there because the paper's own model does not make accuracy the sharper everywhere: where token success is high or the sizes
lie far apart, ``p ** L`` may be the straighter curve, and the prediction then has nothing to say.

1b, *accuracy follows* (``explained``). *Explained*: at every scale accuracy is what token success implies (`through_metric`), and
token success has no step of its own (1c). *Not explained*: accuracy departs at some scale, or the per-token measure has the step
itself. *Undecided*: neither.

1c, *the smooth metric is smooth* (``smooth``): token success follows a power law with the family's own exponent (`token_law`).

E is taken with every step held at the resolution of the test, 1/n, so that estimate and interval speak of one finite number.
With targets of one token both metrics are the same number, and 1a and 1b are undecided. All intervals hold item noise, not
that of training seeds. Two earlier rules were replaced after results of the packaged ladder had been seen: docs/predictions.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bigbench_meta.emergence import emergence_floored, linearity, observed_width
from bigbench_meta.experiments.predictions.by_items import exact_interval
from bigbench_meta.experiments.predictions.constant import constant_tokens
from bigbench_meta.experiments.predictions.through_metric import (
    implied_accuracy,
    implied_curves,
    judge_departures,
)
from bigbench_meta.experiments.predictions.token_law import token_law

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

# Family of a series made of all families' models.
POOLED = "all families pooled"
# With 3 scales E lies in [1, 2] whatever happens, and one step is the only sharp shape.
MIN_SCALES_OF_A_PAIR = 4
# Parts of the prediction -> the column of their verdict.
PARTS = {"1a": "looks_sharper", "1b": "explained", "1c": "smooth"}
_KEY = ["task", "subtask", "family"]
# Numbers that are resampled at a time.
_BLOCK = 5_000_000
PAIR_COLUMNS = [
    *_KEY, "n_scales", "n_items", "mean_length", "accuracy_first", "accuracy_last", "accuracy_max",
    "emergence_accuracy", "emergence_accuracy_low", "emergence_accuracy_high",
    "emergence_distance", "emergence_distance_low", "emergence_distance_high",
    "ratio", "ratio_low", "ratio_high", "ratio_implied", "ratio_implied_low", "ratio_implied_high", "emergence_implied",
    "width_accuracy", "width_distance", "width_difference", "width_difference_low", "width_difference_high",
    "linearity_accuracy", "linearity_distance", "step_accuracy", "step_distance", "looks_sharper",
    "through_metric", "departure", "departure_low", "departure_high", "departure_scale", "pass_departure", "explained",
    "token_exponent", "token_exponent_low", "token_exponent_high", "token_floor",
    "excess", "excess_low", "excess_high", "excess_scale", "smooth", "draws",
    "looks_sharper_sentence", "explained_sentence", "smooth_sentence",
]  # fmt: skip
POINT_COLUMNS = [
    *_KEY, "scale", "n_items", "hits", "accuracy", "low", "high", "distance", "distance_se",
    "closeness", "closeness_se", "token_law", "token_success", "implied_accuracy", "mean_pass", "departure", "departure_se",
]  # fmt: skip


def metric_pairs(
    items: pd.DataFrame, *, rng: np.random.Generator, draws: int = 999
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Judge prediction 1 on item outputs.

    Returns
    -------
    pairs, points
        One row a (task, subtask, family), ``PAIR_COLUMNS``; one row a scale of it, ``POINT_COLUMNS``.
    """
    import pandas as pd

    rows: list[dict[str, object]] = []
    points: list[dict[str, object]] = []
    for key, own in items.groupby(_KEY, sort=True):
        head = dict(zip(_KEY, key, strict=True))
        groups = [group for _, group in own[own["scale"] > 0].groupby("scale", sort=True)]
        if not groups:
            rows.append(head | _too_few(0, len(own)))
            continue
        scale = np.array([float(group["scale"].iloc[0]) for group in groups])
        found = _points(groups)
        if len(scale) < MIN_SCALES_OF_A_PAIR:
            rows.append(head | _too_few(len(scale), len(own)))
        else:
            row, law = _judge_pair(scale, groups, found, rng=rng, draws=draws)
            rows.append(head | row)
            found = found.assign(token_law=law)
        points += [head | {str(k): v for k, v in point.items()} for point in found.to_dict("records")]
    return pd.DataFrame(rows).reindex(columns=PAIR_COLUMNS), pd.DataFrame(points).reindex(columns=POINT_COLUMNS)


def _points(groups: list[pd.DataFrame]) -> pd.DataFrame:
    """Accuracy, distance, token success and implied accuracy at every scale of one family."""
    import pandas as pd

    rows = []
    for group in groups:
        hit, wrong = group["hit"].to_numpy(float), group["distance"].to_numpy(float)
        length = np.maximum(group["length"].to_numpy(float), 1.0)
        implied = implied_accuracy(hit, group["right"].to_numpy(float), length)
        near = 1 - np.minimum(wrong, length) / length.mean()
        low, high = exact_interval(int(hit.sum()), len(hit))
        rows.append(
            {
                "scale": float(group["scale"].iloc[0]), "n_items": len(hit), "hits": hit.sum(), "accuracy": hit.mean(),
                "low": low, "high": high, "distance": wrong.mean(), "distance_se": group["distance"].sem(),
                "token_success": implied.success, "closeness": near.mean(), "tokens": implied.tokens,
                "closeness_se": max(float(near.std(ddof=1) / np.sqrt(len(near))), 1 / (implied.tokens + 2)),
                "implied_accuracy": implied.accuracy, "mean_pass": group["pass"].mean(),
                "departure": implied.departure, "departure_se": implied.error,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def _judge_pair(
    scale: Vector, groups: list[pd.DataFrame], points: pd.DataFrame, *, rng: np.random.Generator, draws: int
) -> tuple[dict[str, object], Vector]:
    first = groups[0]
    length = np.maximum(first["length"].to_numpy(float), 1.0)
    n = int(points["n_items"].min())
    hits = [group["hit"].to_numpy(float) for group in groups]
    far = [group["distance"].to_numpy(float) for group in groups]
    right = [group["right"].to_numpy(float) / length.mean() for group in groups]
    accuracy, distance, success = _resampled(hits, far, right, groups, draws=draws, rng=rng)
    row: dict[str, object] = {"n_items": n, "mean_length": float(length.mean())}
    row |= _measures(scale, accuracy, -distance, floor=1 / n)
    row |= _implied_ratio(success.clip(0, 1), -distance, length, floor=1 / n)
    law = token_law(
        scale, *(points[name].to_numpy(float) for name in ("closeness", "closeness_se", "tokens")),
        floor=constant_tokens(first["target"].tolist(), length), rng=rng,
    )  # fmt: skip
    departure, error = points["departure"].to_numpy(float), points["departure_se"].to_numpy(float)
    through, worst, half = judge_departures(scale, departure, error)
    row |= {
        "through_metric": through,
        "departure": float(departure[worst]),
        "departure_low": float(departure[worst]) - half,
        "departure_high": float(departure[worst]) + half,
        "departure_scale": float(scale[worst]),
        "pass_departure": _largest(points["accuracy"] - points["mean_pass"]),
        "token_exponent": law.exponent,
        "token_exponent_low": law.exponent_low,
        "token_exponent_high": law.exponent_high,
        "token_floor": law.floor,
        "excess": law.excess,
        "excess_low": law.excess_low,
        "excess_high": law.excess_high,
        "excess_scale": law.excess_scale,
        "smooth": law.verdict,
        "draws": draws,
    }
    one_token = bool((length == 1).all())
    return row | _verdicts(row, one_token=one_token, why_smooth=law.why), law.fitted


def _resampled(
    hits: list[Vector],
    far: list[Vector],
    right: list[Vector],
    groups: list[pd.DataFrame],
    *,
    draws: int,
    rng: np.random.Generator,
) -> tuple[Vector, Vector, Vector]:
    """Curves of the means of three measures, each of shape (1 + draws, M); the first row is the observed one."""
    scales, measures = len(hits), [*hits, *far, *right]
    curves = np.empty((1 + draws, len(measures)))
    curves[0] = [values.mean() for values in measures]
    asked = groups[0]["target"].tolist()
    paired = all(len(h) == len(asked) for h in hits) and all(group["target"].tolist() == asked for group in groups[1:])
    if paired:
        n, stacked = len(asked), np.vstack(measures).T
        block = max(1, _BLOCK // n)
        for start in range(1, 1 + draws, block):
            stop = min(start + block, 1 + draws)
            # how often each item is drawn, with replacement
            curves[start:stop] = rng.multinomial(n, np.full(n, 1 / n), stop - start) @ stacked / n
    else:
        for m in range(scales):
            own = np.vstack(measures[m::scales])
            for draw in range(1, 1 + draws):
                curves[draw, m::scales] = own[:, rng.integers(0, own.shape[1], own.shape[1])].mean(axis=1)
    return curves[:, :scales], curves[:, scales : 2 * scales], curves[:, 2 * scales :]


def _measures(scale: Vector, accuracy: Vector, near: Vector, *, floor: float) -> dict[str, object]:
    """E, L, width and largest step of both curves, with intervals from the rows below the first."""
    # distance has no resolution of its own: relative to its range, it is given that of accuracy
    e_accuracy, e_distance = emergence_floored(accuracy, resolution=floor), _e_distance(near, floor)
    widths = np.array(
        [[observed_width(scale, a), observed_width(scale, d)] for a, d in zip(accuracy, near, strict=True)]
    )
    row: dict[str, object] = {
        "n_scales": len(scale),
        "accuracy_first": float(accuracy[0, 0]),
        "accuracy_last": float(accuracy[0, -1]),
        "accuracy_max": float(accuracy[0].max()),
        "linearity_accuracy": linearity(accuracy[0]),
        "linearity_distance": linearity(near[0]),
        "step_accuracy": _largest_step(accuracy[0]),
        "step_distance": _largest_step(near[0]),
        "width_accuracy": float(widths[0, 0]),
        "width_distance": float(widths[0, 1]),
    }
    row |= _interval("emergence_accuracy", e_accuracy) | _interval("emergence_distance", e_distance)
    row |= _interval("ratio", _ratio(e_accuracy, e_distance))
    return row | _interval("width_difference", widths[:, 0] - widths[:, 1])


def _implied_ratio(success: Vector, near: Vector, length: Vector, *, floor: float) -> dict[str, object]:
    """E of the curve that token success implies, and its ratio to that of edit distance."""
    implied = emergence_floored(implied_curves(success, length), resolution=floor)
    return {"emergence_implied": float(implied[0])} | _interval(
        "ratio_implied", _ratio(implied, _e_distance(near, floor))
    )


def _e_distance(near: Vector, floor: float) -> Vector:
    reach = np.maximum(near.max(axis=1) - near.min(axis=1), 1e-12)
    return np.asarray(emergence_floored(near, resolution=floor * reach), np.float64)


def _ratio(upper: Vector, lower: Vector) -> Vector:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(lower > 0, upper / lower, np.nan)


def _interval(name: str, values: Vector) -> dict[str, object]:
    finite = values[1:][np.isfinite(values[1:])]
    low, high = np.quantile(finite, [0.025, 0.975]) if finite.size else (np.nan, np.nan)
    return {name: float(values[0]), f"{name}_low": float(low), f"{name}_high": float(high)}


def _largest_step(y: Vector) -> float:
    reach = float(y.max() - y.min())
    return float(np.diff(y).max() / reach) if reach > 0 else float("nan")


def _largest(differences: pd.Series) -> float:
    known = differences.dropna().to_numpy(float)
    return float(known[np.argmax(np.abs(known))]) if len(known) else float("nan")


def _verdicts(row: dict[str, object], *, one_token: bool, why_smooth: str) -> dict[str, object]:
    """The three verdicts of a row, and a sentence for each."""
    value = {k: float(v) for k, v in row.items() if isinstance(v, int | float)}
    sharper, why = _looks_sharper(value, one_token=one_token)
    compared = f"{_shown(value, 'emergence_accuracy')} against {_shown(value, 'emergence_distance')}"
    first = (
        f"{why}. E is {compared}, ratio {_shown(value, 'ratio')}, where p^L implies {_shown(value, 'ratio_implied')}; the width is "
        f"{value['width_accuracy']:.2f} against {value['width_distance']:.2f} decades"
    )
    explained, reason = _explained(value, row, one_token=one_token)
    second = (
        f"{reason}. Accuracy departs most from p^L at {value['departure_scale']:.3g}, by {value['departure']:+.3f} "
        f"({value['departure_low']:+.3f} to {value['departure_high']:+.3f}); p^L implies E = {value['emergence_implied']:.1f}, observed "
        f"{value['emergence_accuracy']:.1f}"
    )
    third = why_smooth
    if np.isfinite(value["token_exponent"]):
        third += (
            f". The family's own exponent is {value['token_exponent']:.2f} ({value['token_exponent_low']:.2f} to "
            f"{value['token_exponent_high']:.2f}); the largest excess is {_shown(value, 'excess', '.2f')}"
        )
    smooth = str(row["smooth"])
    return {
        "looks_sharper": sharper,
        "explained": explained,
        "looks_sharper_sentence": f"{sharper.capitalize()}: {first}.",
        "explained_sentence": f"{explained.capitalize()}: {second}.",
        "smooth_sentence": f"{smooth.capitalize()}: {third}.",
    }


def _looks_sharper(value: dict[str, float], *, one_token: bool) -> tuple[str, str]:
    if one_token:
        return "undecided", "targets have one token, so both metrics are the same number"
    if value["accuracy_max"] <= 0:
        return "undecided", "no output is ever right: accuracy has no rise to explain"
    if value["accuracy_last"] <= value["accuracy_first"]:
        return "undecided", "accuracy does not rise with scale"
    if value["ratio_low"] > 1:
        return "confirmed", "accuracy looks sharper than edit distance of the same outputs"
    if value["ratio_high"] < 1:
        if value["ratio_implied_low"] > 1:
            return "not confirmed", "accuracy looks less sharp than edit distance, where p^L implies the reverse"
        return "undecided", "accuracy does not look sharper, and p^L does not imply that it should at these sizes"
    return "undecided", "the interval of the ratio of the two E holds 1"


def _explained(value: dict[str, float], row: dict[str, object], *, one_token: bool) -> tuple[str, str]:
    through, smooth = row["through_metric"], row["smooth"]
    if one_token:
        return "undecided", "targets have one token: there is nothing between token and target"
    if value["accuracy_max"] <= 0:
        return "undecided", "no output is ever right: accuracy has no rise to explain"
    if through == "departs":
        together = (
            "errors come together" if value["departure"] > 0 else "errors are spread over more outputs than by chance"
        )
        return "not explained", f"accuracy departs from the per-token measure through the metric: {together}"
    if smooth == "not confirmed":
        return "not explained", "the per-token measure has the step itself"
    if through == "undecided":
        return "undecided", "the items cannot tell whether accuracy departs from the per-token measure"
    if smooth == "undecided":
        return (
            "undecided",
            "accuracy follows the per-token measure, of which it is open whether it has a step of its own",
        )
    return "explained", "accuracy follows from a smooth per-token measure through the metric"


def _shown(value: dict[str, float], name: str, form: str = ".1f") -> str:
    middle, low, high = (value[key] for key in (name, f"{name}_low", f"{name}_high"))
    if not np.isfinite(middle):
        return "undefined"
    return f"{middle:{form}} ({low:{form}} to {high:{form}})" if np.isfinite([low, high]).all() else f"{middle:{form}}"


def _too_few(n_scales: int, n_items: float) -> dict[str, object]:
    scales = f"{n_scales} scale{'' if n_scales == 1 else 's'}"
    return _all_undecided(f"{scales}: the emergence score needs {MIN_SCALES_OF_A_PAIR} or more to mean anything") | {
        "n_scales": n_scales, "n_items": n_items, "draws": 0,
    }  # fmt: skip


def _all_undecided(reason: str) -> dict[str, object]:
    row: dict[str, object] = dict.fromkeys(PARTS.values(), "undecided")
    return row | {f"{part}_sentence": f"Undecided: {reason}." for part in PARTS.values()}


def score_pairs(scores: pd.DataFrame, *, rng: np.random.Generator, draws: int = 999) -> pd.DataFrame:
    """Judge prediction 1a on a table of scores (``load_scores``); columns ``PAIR_COLUMNS``.

    Accuracy is drawn again from its binomial distribution where the number of items is known. The noise of the edit
    distance is not in such a table: its E stands without an interval, and the interval of the ratio holds the noise of
    accuracy alone, so that it is too short. Without the number of items there is no interval and no verdict. The length of the
    targets is not in the table either, so that 1b and 1c, which speak of single tokens, are undecided.

    Where no family of a task has enough scales, all its models are put in one series by scale and marked as pooled:
    differences between families are then part of the curve, so this is exploratory.
    """
    import pandas as pd

    rows: list[dict[str, object]] = []
    for task, models in scores.groupby("task", sort=True):
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
            near = np.tile(-curve["distance"].to_numpy(float), (1 + len(again), 1))
            row = _all_undecided("it needs outputs item by item, with their targets")
            row |= _measures(
                curve["scale"].to_numpy(float), np.vstack([observed, again]), near, floor=1 / n if counted else 1e-12
            )
            # the distance of a table of scores has no noise that is known, so its E has no interval
            row |= {
                "emergence_distance_low": np.nan,
                "emergence_distance_high": np.nan,
                "n_items": n,
                "draws": len(again),
            }
            value = {k: float(v) for k, v in row.items() if isinstance(v, int | float)} | {"ratio_implied_low": np.nan}
            verdict, why = ("undecided", "no interval without the number of items")
            if counted:
                verdict, why = _looks_sharper(value, one_token=False)
            said = (
                f"{verdict.capitalize()}: {why}. E is {_shown(value, 'emergence_accuracy')} under accuracy and "
                f"{_shown(value, 'emergence_distance')} under edit distance, a ratio of {_shown(value, 'ratio')}."
            )
            if family == POOLED:
                said = f"Exploratory, models of {len(series) - 1} families in one series. {said}"
            rows.append(head | row | {"looks_sharper": verdict, "looks_sharper_sentence": said})
    return pd.DataFrame(rows).reindex(columns=PAIR_COLUMNS)


def score_points(scores: pd.DataFrame) -> pd.DataFrame:
    """Points of a table of scores, ``POINT_COLUMNS``; no interval where the items are not known.

    Only series that have ``MIN_SCALES_OF_A_PAIR`` scales are drawn, pooled ones among them.
    """
    import pandas as pd

    rows: list[dict[str, object]] = []
    for task, models in scores.groupby("task", sort=True):
        for family, own in score_series(models):
            curve = own.groupby("scale", sort=True)[["accuracy", "distance"]].mean()
            if len(curve) < MIN_SCALES_OF_A_PAIR:
                continue
            n = float(own["n_items"].min())
            for scale, accuracy, distance in curve.itertuples():
                low, high = exact_interval(round(accuracy * n), int(n)) if n >= 1 else (np.nan, np.nan)
                hits = float(round(accuracy * n)) if n >= 1 else np.nan
                head = {"task": task, "subtask": task, "family": family, "scale": scale, "n_items": n, "hits": hits}
                rows.append(head | {"accuracy": accuracy, "low": low, "high": high, "distance": distance})
    return pd.DataFrame(rows).reindex(columns=POINT_COLUMNS)


def score_series(models: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Families of one task of a table of scores; all models together, marked, where no family has enough scales."""
    series = [(str(family), own) for family, own in models.groupby("family", sort=True)]
    if all(own["scale"].nunique() < MIN_SCALES_OF_A_PAIR for _, own in series) and len(series) > 1:
        series.append((POOLED, models))
    return series
