"""From RESULTS to curves ready for inference: oriented so that higher is better, on a 0-1 scale where there is one.

Vocabulary
----------
unit
    On-disk width of a metric's range (1 or 100); scores are divided by it, effects are reported in units of the score
    as on disk again.
refused
    A curve that no test is run on, with the reason in words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bigbench_meta.analysis.curves.fits import Levels
from bigbench_meta.analysis.curves.items import ItemTable
from bigbench_meta.analysis.curves.margins import with_margins
from bigbench_meta.emergence import curve_points
from bigbench_meta.facts.metrics import EXPONENTIALS, NO_MEANS, look_up
from bigbench_meta.schema import CURVES, DERIVED_METRIC

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

# Three points carry one residual degree of freedom for a line and none for any curve: sharpness needs a fourth.
MIN_SCALES = 4


@dataclass(frozen=True)
class Curve:
    """One curve as the tests see it.

    Attributes
    ----------
    key : (task, subtask, metric, family, shots).
    scale, score : the points as they are on disk, scales rising.
    x : log10 of the scales.
    y : scores, higher is better, divided by ``unit``; a lower-is-better metric is reflected inside its range.
    levels : range in which the two levels of a shape may lie.
    unit : on-disk width of the range; 1 where the metric has none.
    flipped : whether lower is better.
    ends : sum of both ends of the range in units of ``y``, from which a flipped score is taken; 0 where there is none.
    has_range : whether the metric has a finite range, so that margins on the 0-1 scale mean something.
    is_share : whether the score is a share of successes, so that the binomial speaks of it.
    n_items, items_source : items behind a point and where the number comes from.
    refused : why no test is run, or an empty string.
    error_variance : mean square of the standard errors that the source gives with the scores, in units of ``y``; NaN where
        it does not give all of them.
    logged : whether ``y`` is the logarithm of the score: a perplexity is the exponential of a loss, and its own steps are
        all made by the smallest models. Effects are then in nats.
    margin_scale : what margins are shares of, in units of ``y``; see `bigbench_meta.analysis.curves.margins`.
    """

    key: tuple[str, str, str, str, int]
    scale: Vector
    score: Vector
    x: tuple[float, ...]
    y: Vector
    levels: Levels
    unit: float
    flipped: bool
    ends: float
    has_range: bool
    is_share: bool
    n_items: float
    items_source: str
    refused: str
    error_variance: float = np.nan
    logged: bool = False
    margin_scale: float = 1.0

    @property
    def task(self) -> str:
        """The unit of independence."""
        return self.key[0]

    def on_disk(self, value: float) -> float:
        """Turn a score of this curve's scale and orientation back into the metric's own."""
        own = (self.ends - value if self.flipped else value) * self.unit
        if not self.logged:
            return own
        with np.errstate(over="ignore"):
            return float(np.exp(own))

    def error_on_disk(self, error: Vector) -> Vector:
        """Turn errors of ``y`` into errors of the scores as they are on disk."""
        return np.asarray(error * (self.score if self.logged else self.unit))


class _Range(NamedTuple):
    low: float
    high: float
    direction: str
    share: bool


def prepare_curves(
    frame: pd.DataFrame,
    *,
    items: pd.DataFrame | None,
    registry: pd.DataFrame,
    definitions: pd.DataFrame | None = None,
) -> tuple[pd.DataFrame, list[Curve]]:
    """Return the keys of all curves of a RESULTS frame, in key order, and the curves ready for inference.

    Repeats are averaged as for the emergence score. A curve is refused, with its reason, if it is derived or an
    aggregate, has a score that is not a number, is beyond `LARGEST_SCORE` or belongs to no scale, fewer than `MIN_SCALES`
    scales, or a metric of unknown direction (nothing is flipped on a guess).
    """
    points = curve_points(frame)
    keys = points.curves
    facts = look_up(keys[["task", "metric"]], registry)
    table = ItemTable(items, definitions)
    errors = error_variances(frame)
    curves = []
    columns = [keys[name].astype(str) for name in CURVES.key[:4]]
    for position, (task, subtask, metric, family) in enumerate(zip(*columns, strict=True)):
        start, count = int(points.start[position]), int(points.n_scales[position])
        scale, score = points.scale[start : start + count], points.score[start : start + count]
        fact = facts.iloc[position]
        all_or_nothing = fact["linearity"] == "discontinuous" and fact["low"] == 0 and fact["continuous"] == "no"
        share = bool(all_or_nothing and metric not in NO_MEANS)
        span = _Range(float(fact["low"]), float(fact["high"]), str(fact["direction"]), share)
        curves.append(
            _curve(
                (task, subtask, metric, family, int(keys["shots"].iloc[position])),
                scale,
                score,
                span=span,
                is_aggregate=bool(keys["is_aggregate"].iloc[position]),
                unplaced=bool(points.has_unplaced[position]),
                table=table,
                errors=errors,
            )
        )
    given = facts["margin_scale"].to_numpy(np.float64) if "margin_scale" in facts else np.full(len(facts), np.nan)
    partial = (facts["linearity"].eq("linear") & facts["continuous"].eq("yes")).to_numpy(bool)
    return keys, with_margins(curves, given.tolist(), partial.tolist())


# Fits square scores and add the squares up: far below the root of the largest float, and far above any metric's values.
LARGEST_SCORE = 1e100


def error_variances(frame: pd.DataFrame) -> dict[tuple[str, str, str, str, int], float]:
    """Return the mean square of the standard errors of each curve's scores, where all of them have one above 0.

    A perplexity or BLEU has no items that would tell its noise; its standard error is what the source knows of it.
    """
    if "stderr" not in frame.columns:
        return {}
    logged = frame["metric"].astype(str).str.partition(",")[0].isin(EXPONENTIALS)
    # Of a logarithm the error is the relative one.
    squares = (frame["stderr"].where(frame["stderr"] > 0) / frame["score"].where(logged, 1.0)) ** 2
    each = squares.groupby([frame[name].astype(str) if name != "shots" else frame[name] for name in CURVES.key])
    mean = each.mean()[each.count() == each.size()]
    return dict(zip(mean.index.tolist(), mean.tolist(), strict=True))


def _refusal(metric: str, *, scale: Vector, score: Vector, direction: str, is_aggregate: bool, unplaced: bool) -> str:
    if metric == DERIVED_METRIC:
        return "derived metric"
    if is_aggregate:
        return "aggregate of subtasks"
    if len(score) < MIN_SCALES:
        return "too few scales"
    if unplaced or not np.isfinite(score).all() or not (scale > 0).all():
        return "missing values"
    if np.abs(score).max() > LARGEST_SCORE:
        return "scores too large"
    if direction == "unknown":
        return "direction of the metric unknown"
    return ""


def _curve(
    key: tuple[str, str, str, str, int],
    scale: Vector,
    score: Vector,
    *,
    span: _Range,
    is_aggregate: bool,
    unplaced: bool,
    table: ItemTable,
    errors: dict[tuple[str, str, str, str, int], float],
) -> Curve:
    refused = _refusal(
        key[2], scale=scale, score=score, direction=span.direction, is_aggregate=is_aggregate, unplaced=unplaced
    )
    logged = key[2].partition(",")[0] in EXPONENTIALS and bool((score > 0).all())
    has_range = bool(np.isfinite(span.low) and np.isfinite(span.high)) and not logged
    unit = span.high - span.low if has_range else 1.0
    flipped = span.direction == "lower"
    low, high = (span.low / unit, span.high / unit) if has_range else (0.0, 0.0)
    ends = low + high
    own = np.log(score) if logged else score
    y = ends - own / unit if flipped else own / unit
    if has_range:
        # Scores may leave their range; the levels then reach to the scores.
        levels = Levels(float(np.nanmin([low, *y])), float(np.nanmax([high, *y])))
    else:
        # Without a ceiling the tail of any wide shape is as steep as one likes; a rise of up to three times the one
        # seen is allowed, one observed range beyond each end.
        reach = float(np.ptp(y)) if len(y) and np.isfinite(y).all() else 0.0
        reach = reach or 1.0
        levels = Levels(float(y.min()) - reach, float(y.max()) + reach) if len(y) else Levels(-np.inf, np.inf)
    share = span.share and has_range and not flipped and levels == Levels(0.0, 1.0)
    found = table.look_up(key[0], key[1], key[3], score=y) if share else None
    if found is None and refused != "derived metric":
        found = table.look_up(key[0], key[1], key[3], score=np.array([]))
    return Curve(
        key=key,
        scale=scale,
        score=score,
        x=tuple(np.log10(scale).tolist()) if (scale > 0).all() else (),
        y=y,
        levels=levels,
        unit=unit,
        flipped=flipped,
        ends=ends,
        has_range=has_range,
        is_share=share,
        n_items=found.n_items if found else np.nan,
        items_source=found.source if found else "unknown",
        refused=refused,
        error_variance=errors.get(key, np.nan) / unit**2,
        logged=logged,
    )
