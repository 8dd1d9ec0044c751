"""Emergence score, its floored form, linearity and width of score-over-scale curves.

Vocabulary
----------
curve
    The scores y_1..y_M of one (task, subtask, metric, family, shots), ordered by scale; M is the number of scales.
step
    y_i - y_(i-1). A step below `STEP_TOLERANCE` of the larger of 1 and the curve's largest absolute value is none.
rise
    sign(arg max - arg min) * (max - min): the range of the curve, positive where the best point is at the larger scale.
emergence score E
    rise / sqrt(median of squared steps). BIG-bench calls it breakthroughness.
linearity L
    rise / sqrt(mean of squared steps).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bigbench_meta.schema import UNDEFINED_REASONS

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# Steps that small are left over from averaging repeats in binary floating point, not from any model.
STEP_TOLERANCE = 1e-12
# With two scales there is one step and E is +-1 whatever the scores are.
MIN_SCALES_FOR_E = 3
# The part of the rise that its width is measured over; also the theory's and the exponents' (docs/curves.md).
RISE_LOW, RISE_HIGH = 0.1, 0.9

_DEFINED = ""
_TOO_FEW, _FLAT, _ZERO_MEDIAN, _MISSING = UNDEFINED_REASONS


class Scores(NamedTuple):
    """Per curve: emergence score, linearity (NaN where undefined), range, and why E is undefined ('' if defined)."""

    emergence_score: NDArray[np.float64]
    linearity: NDArray[np.float64]
    score_range: NDArray[np.float64]
    undefined_reason: NDArray[np.object_]


def emergence_score(y: ArrayLike) -> float:
    """Return the emergence score E of one curve.

    Parameters
    ----------
    y : array_like, shape (M,)
        Scores in order of scale, smallest model first, on any scale of measurement.

    Returns
    -------
    float
        E, negative where the maximum comes before the minimum. NaN where it is undefined: fewer than 3 scales, a
        missing or infinite score, no change at all, or a zero median step.

    Raises
    ------
    ValueError
        If ``y`` is not one-dimensional.

    Notes
    -----
    Schaeffer et al. 2023 (arXiv 2304.15004), sec. 4, after BIG-bench's breakthroughness::

        E = sign(argmax_i y_i - argmin_i y_i) * (max_i y_i - min_i y_i) / sqrt(median_i (y_i - y_(i-1))^2)

    The first index wins a tie of arg max or arg min. The scales themselves only order the scores. A straight line
    scores M - 1, so a large E alone is no evidence of sharpness. E does not change when the scores are multiplied
    by a positive number or shifted, and changes sign when they are negated, as long as no step falls below
    `STEP_TOLERANCE`.

    Examples
    --------
    >>> import bigbench_meta as bm
    >>> round(bm.emergence_score([0.0, 0.1, 0.1, 0.3, 0.9]), 6)  # steps .1, 0, .2, .6: median square (.01 + .04) / 2
    5.6921
    """
    return float(score_rows(_one_curve_iv(y)).emergence_score[0])


def linearity(y: ArrayLike) -> float:
    """Return the linearity L of one curve: its rise over the root mean square step.

    Parameters
    ----------
    y : array_like, shape (M,)
        Scores in order of scale, smallest model first.

    Returns
    -------
    float
        L, between -(M - 1) and M - 1, a straight line; sqrt(M - 1) for one clean step; negative where the maximum comes
        before the minimum. NaN for fewer than 3 scales, a missing or infinite score, or no change at all; defined where
        a zero median step leaves E undefined.

    Raises
    ------
    ValueError
        If ``y`` is not one-dimensional.

    Notes
    -----
    Srivastava et al. 2022 (arXiv 2206.04615), appendix, up to a constant that could not be verified::

        L = sign(argmax_i y_i - argmin_i y_i) * (max_i y_i - min_i y_i) / sqrt(mean_i (y_i - y_(i-1))^2)

    Examples
    --------
    >>> import bigbench_meta as bm
    >>> bm.linearity([0, 0, 0, 0, 1])  # one clean step: sqrt(M - 1)
    2.0
    """
    return float(score_rows(_one_curve_iv(y)).linearity[0])


def emergence_floored(y: ArrayLike, *, resolution: ArrayLike) -> Any:  # noqa: ANN401 - a float, or an array of them
    """Return the emergence score with every step floored at the resolution of the score.

    Parameters
    ----------
    y : array_like, shape (..., M)
        Scores in order of scale along the last axis.
    resolution : array_like, broadcastable to the shape (...)
        The smallest step that the scores can show, in their units: 1/n for a share of n items.

    Returns
    -------
    float or ndarray of shape (...)
        A clean step is large and finite. NaN for fewer than 3 scores, a missing or infinite score, or a resolution that
        is not positive; 0 for a constant curve.

    Notes
    -----
    A curve of n items cannot show a step below 1/n, so a step of 0 only says "below the resolution"::

        sign(argmax_i y_i - argmin_i y_i) * (max_i y_i - min_i y_i) / sqrt(median_i max((y_i - y_(i-1))^2, resolution^2))

    Examples
    --------
    >>> from bigbench_meta.emergence import emergence_floored
    >>> float(emergence_floored([0.0, 0.0, 0.0, 1.0], resolution=0.01))
    100.0
    >>> round(float(emergence_floored([0, 0, 0, 0.012, 0.3], resolution=0.01)), 2)  # median of .01, .01, .012, .288 squared
    27.16
    """
    scores, floor = np.asarray(y, np.float64), np.asarray(resolution, np.float64)
    if scores.shape[-1] < MIN_SCALES_FOR_E:
        return np.full(scores.shape[:-1], np.nan)[()]
    defined = np.isfinite(scores).all(axis=-1) & (floor > 0)
    z = np.where(defined[..., None], scores, 0.0)
    steps = np.maximum(np.diff(z, axis=-1) ** 2, np.where(defined, floor, 1.0)[..., None] ** 2)
    sign = np.sign(z.argmax(axis=-1) - z.argmin(axis=-1))
    return np.where(defined, sign * np.ptp(z, axis=-1) / np.sqrt(np.median(steps, axis=-1)), np.nan)[()]


def observed_width(scale: ArrayLike, y: ArrayLike) -> float:
    """Return the decades of scale in which a curve rises from 10% to 90% of its own range.

    Parameters
    ----------
    scale : array_like, shape (M,)
        Positive scales, ascending.
    y : array_like, shape (M,)
        Finite scores in order of scale.

    Returns
    -------
    float
        First crossing of 90% minus the last crossing of 10% before it, by straight lines in log10 scale; 0 or more. A
        curve whose maximum comes before its minimum is turned upside down first. NaN for a flat curve, and where the
        smallest scale already lies above 90%.

    Examples
    --------
    >>> from bigbench_meta.emergence import observed_width
    >>> round(observed_width([1, 10, 100], [0.0, 0.5, 1.0]), 12)  # .1 at 10^0.2, .9 at 10^1.8
    1.6
    >>> round(observed_width([1, 10, 100, 1000, 10000], [0, 0.2, 0.05, 0.5, 1]), 2)  # .1 at 10^2.11, .9 at 10^3.8
    1.69
    """
    x, scores = np.log10(np.asarray(scale, np.float64)), np.asarray(y, np.float64)
    low, high = float(scores.min()), float(scores.max())
    if low == high:
        return float("nan")
    share = (scores - low) / (high - low)
    if scores.argmax() < scores.argmin():
        share = 1 - share
    above = int(np.flatnonzero(share >= RISE_HIGH)[0])
    if above == 0:
        return float("nan")
    lower = np.flatnonzero(share[:above] <= RISE_LOW)
    start = _crossing(x, share, int(lower[-1]) if len(lower) else 0, RISE_LOW)
    return _crossing(x, share, above - 1, RISE_HIGH) - start


def _crossing(x: NDArray[np.float64], share: NDArray[np.float64], left: int, level: float) -> float:
    """Return where the line from point ``left`` to the next one reaches ``level``; the point itself if it is above."""
    if share[left] >= level:
        return float(x[left])
    return float(x[left] + (level - share[left]) / (share[left + 1] - share[left]) * (x[left + 1] - x[left]))


def _one_curve_iv(y: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(y, np.float64)
    if values.ndim != 1:
        raise ValueError(f"y has {values.ndim} dimensions; expected one curve, a one-dimensional array of scores")
    return values[None, :]


def score_rows(y: NDArray[np.float64]) -> Scores:
    """Score curves of one length, one a row."""
    n_curves, n_scales = y.shape
    if n_scales < MIN_SCALES_FOR_E:
        nan = np.full(n_curves, np.nan)
        spread = np.ptp(y, axis=1) if n_scales else nan
        return Scores(nan, nan, np.where(np.isfinite(spread), spread, np.nan), np.full(n_curves, _TOO_FEW, object))
    missing = np.logical_not(np.isfinite(y).all(axis=1))
    z = np.where(missing[:, None], 0.0, y)
    lowest, highest = z.min(axis=1), z.max(axis=1)
    largest = np.maximum(np.abs(lowest), np.abs(highest))[:, None]
    steps = np.diff(np.ldexp(z, -2), axis=1)  # a quarter of the scores: the difference of two huge ones is finite
    steps[np.abs(steps) < STEP_TOLERANCE / 4 * np.maximum(1.0, largest)] = 0.0
    # Steps in units of the largest one, so that no square of a tiny or huge step leaves the range of doubles.
    unit = np.abs(steps).max(axis=1)
    flat = unit == 0
    safe_unit = np.where(flat, 1.0, unit)
    squares = np.square(steps / safe_unit[:, None])
    median_step = np.sqrt(median_of_rows(squares))
    mean_step = np.sqrt(np.mean(squares, axis=1))
    sign = np.sign(np.argmax(z, axis=1) - np.argmin(z, axis=1))
    quarter_range = highest / 4 - lowest / 4
    rise = sign * quarter_range / safe_unit

    reason = np.full(n_curves, _DEFINED, object)
    reason[median_step == 0] = _ZERO_MEDIAN
    reason[flat] = _FLAT
    reason[missing] = _MISSING
    score = np.divide(rise, median_step, out=np.full(n_curves, np.nan), where=reason == _DEFINED)
    line = np.divide(rise, mean_step, out=np.full(n_curves, np.nan), where=~(flat | missing))
    with np.errstate(over="ignore"):
        score_range = 4 * quarter_range
    return Scores(score, line, np.where(missing | np.isinf(score_range), np.nan, score_range), reason)


def median_of_rows(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median of each row, in half the time that `numpy.median` takes for many short ones."""
    in_order = np.sort(rows, axis=1)
    half = rows.shape[1] // 2
    middle: NDArray[np.float64] = in_order[:, half]
    return middle if rows.shape[1] % 2 else (in_order[:, half - 1] + middle) / 2
