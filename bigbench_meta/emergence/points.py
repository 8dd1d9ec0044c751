"""The points of every curve of a RESULTS frame, as flat arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bigbench_meta.schema import CURVES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

# What curves are made of.
POINT_COLUMNS = (*CURVES.key, "is_aggregate", "is_preferred", "scale", "score")
# Combined codes are 64-bit integers; beyond this they are renumbered first.
_MAX_CODE = 1 << 62


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

    missing = [name for name in POINT_COLUMNS if name not in frame.columns]
    if missing:
        raise TableError(f"column(s) {', '.join(missing)} missing; a table of scores needs {', '.join(POINT_COLUMNS)}")
    named = [*CURVES.key, "is_aggregate", "is_preferred"]
    unnamed = [f"{name} in {rows} row(s)" for name in named if (rows := int(frame[name].isna().sum()))]
    if unnamed:
        raise TableError(
            f"no value of {', '.join(unnamed)}; every score needs one: fill it in, or leave these rows out"
        )

    coded = [_coded(frame[name]) for name in CURVES.key]
    scale = frame["scale"].to_numpy(np.float64)
    score = frame["score"].to_numpy(np.float64)
    curve = one_code([code for code, _ in coded])
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
    with np.errstate(over="ignore"):
        point_score = np.add.reduceat(row_score, point_start) / n_rows
        if np.isinf(point_score).any():  # repeats whose sum is beyond any float have a mean all the same
            point_score = np.where(
                np.isinf(point_score), np.add.reduceat(row_score / np.repeat(n_rows, n_rows), point_start), point_score
            )
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


def one_code(codes: Sequence[NDArray[np.integer]]) -> NDArray[np.int64]:
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

    place = one_code([curve, pd.factorize(scale, sort=True)[0]])
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
