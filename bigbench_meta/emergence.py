"""Emergence score and linearity of score-over-scale curves, of one curve or of all curves of a table at once.

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

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bigbench_meta.schema import CURVES, UNDEFINED_REASONS, validate

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

# Steps that small are left over from averaging repeats in binary floating point, not from any model.
STEP_TOLERANCE = 1e-12
# With two scales there is one step and E is +-1 whatever the scores are.
MIN_SCALES = 3

# Combined codes are 64-bit integers; beyond this they are renumbered first.
_MAX_CODE = 1 << 62

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
    return float(_score_rows(_one_curve_iv(y)).emergence_score[0])


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
    return float(_score_rows(_one_curve_iv(y)).linearity[0])


def score_curves(frame: pd.DataFrame, *, registry: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return CURVES: the emergence score and linearity of every curve of a RESULTS frame.

    Parameters
    ----------
    frame : DataFrame
        RESULTS, or any frame with its columns ``task, subtask, is_aggregate, metric, family, shots, scale, score,
        is_preferred``. Not modified; the order of its rows does not matter.
    registry : DataFrame, optional
        The metric registry as `bigbench_meta.metrics` returns it, for ``direction``; the packaged one by default.

    Returns
    -------
    DataFrame
        CURVES, one row per (task, subtask, metric, family, shots), sorted by that key. ``n_scales`` counts distinct
        scales; ``score_range`` is max - min in units of the score; ``n_items`` is NaN here, since a table of scores
        does not tell it. ``emergence_score`` is NaN with a word in ``undefined_reason`` (one of ``too_few_scales``,
        ``missing_values``, ``flat``, ``zero_median_step``, the first that applies), else the reason is empty.

    Raises
    ------
    TableError
        If a needed column is missing, or a value in any of them but ``scale`` and ``score``.

    Notes
    -----
    All rows of a curve with the same scale (trials, two models of one size) are averaged before scoring. A curve is
    an aggregate, or preferred, if any of its rows is. Nothing is flipped: a lower-is-better metric keeps its sign,
    and ``direction`` says which end is better.

    Examples
    --------
    >>> import bigbench_meta as bm, pandas as pd
    >>> frame = pd.DataFrame({
    ...     "task": "t", "subtask": "t", "is_aggregate": False, "metric": "exact_str_match", "family": "f", "shots": 0,
    ...     "scale": [1e6, 1e7, 1e8, 1e9], "score": [0.0, 0.25, 0.5, 0.75], "is_preferred": True})
    >>> bm.score_curves(frame)[["n_scales", "emergence_score", "linearity"]].to_numpy().tolist()
    [[4.0, 3.0, 3.0]]
    """
    from bigbench_meta.facts.metrics import look_up, metrics

    points = curve_points(frame)
    n_curves = len(points.curves)
    scores = Scores(
        np.full(n_curves, np.nan),
        np.full(n_curves, np.nan),
        np.full(n_curves, np.nan),
        np.empty(n_curves, object),
    )
    for n_scales in np.unique(points.n_scales):
        rows = np.flatnonzero(points.n_scales == n_scales)
        y = points.score[points.start[rows][:, None] + np.arange(n_scales)]
        for whole, part in zip(scores, _score_rows(y), strict=True):
            whole[rows] = part
    unplaced = points.has_unplaced & (scores.undefined_reason != _TOO_FEW)
    scores.emergence_score[unplaced] = np.nan
    scores.linearity[unplaced] = np.nan
    scores.undefined_reason[unplaced] = _MISSING

    curves = points.curves.copy()
    pair = _one_code([curves[name].cat.codes.to_numpy() for name in ("task", "metric")])
    _, first, pair = np.unique(pair, return_index=True, return_inverse=True)
    facts = look_up(curves.loc[first, ["task", "metric"]], metrics() if registry is None else registry)
    curves["direction"] = _as_category(facts["direction"].to_numpy(object)).take(pair)
    curves["n_scales"] = points.n_scales.astype("int64")
    curves["n_items"] = np.nan
    curves["score_range"] = scores.score_range
    curves["emergence_score"] = scores.emergence_score
    curves["linearity"] = scores.linearity
    curves["undefined_reason"] = _as_category(scores.undefined_reason)
    return validate(curves[CURVES.names], CURVES)


class CurvePoints(NamedTuple):
    """All curves of a table as flat arrays.

    Curve k has the points ``start[k]`` to ``start[k] + n_scales[k]`` of ``scale`` and ``score``, in order of scale.
    ``curves`` holds its key, ``is_aggregate`` and ``is_preferred``; ``has_unplaced`` whether it also has scores of
    models without a scale, which no point shows.
    """

    curves: pd.DataFrame
    start: NDArray[np.int64]
    n_scales: NDArray[np.int64]
    scale: NDArray[np.float64]
    score: NDArray[np.float64]
    has_unplaced: NDArray[np.bool_]


def curve_points(frame: pd.DataFrame) -> CurvePoints:
    """Return the points of every curve of a RESULTS frame, repeats averaged, sorted by key and scale.

    A point is the mean of all rows of its curve with its scale; a NaN or infinite score among them makes it NaN.

    Raises
    ------
    TableError
        If a needed column is missing, or a value in any of them but ``scale`` and ``score``.
    """
    import pandas as pd

    from bigbench_meta.errors import TableError

    needed = [*CURVES.key, "is_aggregate", "is_preferred", "scale", "score"]
    missing = [name for name in needed if name not in frame.columns]
    if missing:
        raise TableError(f"column(s) {', '.join(missing)} missing; a table of scores needs {', '.join(needed)}")
    named = [*CURVES.key, "is_aggregate", "is_preferred"]
    unnamed = [f"{name} in {rows} row(s)" for name in named if (rows := int(frame[name].isna().sum()))]
    if unnamed:
        raise TableError(
            f"no value of {', '.join(unnamed)}; every score needs one: fill it in, or leave these rows out"
        )

    coded = [_coded(frame[name]) for name in CURVES.key]
    scale = frame["scale"].to_numpy(np.float64)
    score = frame["score"].to_numpy(np.float64)
    curve = _one_code([code for code, _ in coded])
    order = _in_order(curve, scale, score)
    curve, scale, score = curve[order], scale[order], score[order]
    score = np.where(np.isfinite(score), score, np.nan)

    new_curve = np.ones(len(order), bool)
    new_curve[1:] = curve[1:] != curve[:-1]
    curve_start = np.flatnonzero(new_curve)
    curve_of_row = np.cumsum(new_curve) - 1
    n_curves = len(curve_start)

    placed = np.isfinite(scale)
    has_unplaced = np.bincount(curve_of_row[~placed], minlength=n_curves).astype(bool)
    placed = slice(None) if placed.all() else placed  # nothing to copy
    row_scale, row_score, row_curve = scale[placed], score[placed], curve_of_row[placed]
    new_point = np.ones(len(row_scale), bool)
    new_point[1:] = (row_scale[1:] != row_scale[:-1]) | (row_curve[1:] != row_curve[:-1])
    point_start = np.flatnonzero(new_point)
    n_rows = np.diff(point_start, append=len(row_scale))
    point_score = np.add.reduceat(row_score, point_start) / n_rows
    n_scales = np.bincount(row_curve[point_start], minlength=n_curves)

    curves = pd.DataFrame()
    for name, (code, values) in zip(CURVES.key, coded, strict=True):
        of_curve = code[order[curve_start]]
        if name == "shots":
            curves[name] = np.asarray(values)[of_curve].astype("int64")
        else:
            curves[name] = pd.Categorical(pd.Series(values).astype(str)).take(of_curve).remove_unused_categories()
    for name in ("is_aggregate", "is_preferred"):
        flag = frame[name].to_numpy(bool)[order]
        curves[name] = np.logical_or.reduceat(flag, curve_start)
    curves = curves[["task", "subtask", "is_aggregate", "metric", "family", "shots", "is_preferred"]]
    return CurvePoints(
        curves, np.cumsum(n_scales) - n_scales, n_scales, row_scale[point_start], point_score, has_unplaced
    )


def _as_category(words: NDArray[np.object_]) -> pd.Categorical[int]:
    """Return words as a category, without the detour of `pandas.Categorical` over a column of strings."""
    import pandas as pd

    codes, names = pd.factorize(words, sort=True)
    return pd.Categorical.from_codes(codes, dtype=pd.CategoricalDtype(pd.Index(names, dtype="str")))


def _coded(column: pd.Series) -> tuple[NDArray[np.integer], pd.Index | NDArray[np.generic]]:
    """Return each value's place among sorted values (-1 where missing), and these; whole numbers between them may be there too.

    Categories are coded so already, if they are sorted and each of them occurs.
    """
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        codes, levels = column.cat.codes.to_numpy(), column.cat.categories
        occurs = np.zeros(len(levels), bool)
        occurs[codes] = True
        if occurs.all() and levels.is_monotonic_increasing:
            return codes, levels
        column = column.cat.reorder_categories(levels.sort_values())  # in whose order they are sorted below
    if column.dtype == np.int64 and len(column):
        integers = column.to_numpy()
        low, high = int(integers.min()), int(integers.max())
        if high - low < len(column):  # few enough to take them all for values, there or not
            return integers - low, np.arange(low, high + 1)
    codes, values = pd.factorize(column, sort=True)
    return codes, values


def _one_code(codes: Sequence[NDArray[np.integer]]) -> NDArray[np.int64]:
    """Return one number per row that orders rows like their codes, the first code first; codes are at least -1."""
    combined, size = np.zeros(len(codes[0]), np.int64), 1
    for code in codes:
        levels = int(code.max(initial=-1)) + 2
        if size * levels > _MAX_CODE:
            combined = np.unique(combined, return_inverse=True)[1]
            size = int(combined.max()) + 1
        combined *= levels
        combined += code
        combined += 1
        size *= levels
    return combined


def _in_order(curve: NDArray[np.int64], scale: NDArray[np.float64], score: NDArray[np.float64]) -> NDArray[np.integer]:
    """Return the order of rows by curve, scale and score; a missing scale comes first, a missing score last.

    Few rows repeat the scale of another, so that only these are sorted by score: by it at all so that the sum over
    repeats is taken in one order whatever the order of the rows.
    """
    import pandas as pd

    place = _one_code([curve, pd.factorize(scale, sort=True)[0]])
    order = _sorting(place)
    in_order = place[order]
    again = in_order[1:] == in_order[:-1]
    repeats = np.flatnonzero(np.append(again, False) | np.append(False, again))
    rows = order[repeats]
    order[repeats] = rows[np.lexsort((score[rows], place[rows]))]
    return order


def _sorting(place: NDArray[np.int64]) -> NDArray[np.integer]:
    """Return the order of rows by place, none below 0; rows of the same place keep theirs."""
    row_bits = len(place).bit_length()
    if int(place.max(initial=0)).bit_length() + row_bits >= place.itemsize * 8:
        return np.argsort(place, kind="stable")
    # Each place and its row as one number: numbers are sorted several times faster than what stands at them.
    numbered = (place << row_bits) | np.arange(len(place))
    numbered.sort()
    return numbered & ((1 << row_bits) - 1)


def _one_curve_iv(y: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(y, np.float64)
    if values.ndim != 1:
        raise ValueError(f"y has {values.ndim} dimensions; expected one curve, a one-dimensional array of scores")
    return values[None, :]


def _score_rows(y: NDArray[np.float64]) -> Scores:
    """Score curves of one length, one a row."""
    n_curves, n_scales = y.shape
    if n_scales < MIN_SCALES:
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
    median_step = np.sqrt(_median(squares))
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


def _median(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median of each row, in half the time that `numpy.median` takes for many short ones."""
    in_order = np.sort(rows, axis=1)
    half = rows.shape[1] // 2
    middle: NDArray[np.float64] = in_order[:, half]
    return middle if rows.shape[1] % 2 else (in_order[:, half - 1] + middle) / 2
