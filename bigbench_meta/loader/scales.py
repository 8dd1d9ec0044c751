"""One model, one scale: what RESULTS says of a model that has several, and of several models that have one.

The scale orders a curve. A typing error in one of the files of a model puts its scores at a place of their own, and two
models of one scale share a point of a curve, which is their mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bigbench_meta.loader.columns import Problem
from bigbench_meta.values import shown

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]
    Floats = NDArray[np.float64]

_LISTED = 3  # groups of models that a note names


class _Pairs(NamedTuple):
    """The different pairs of a model and a finite scale, by model and then by scale: codes of models, and scales."""

    model: Integers
    scale: Floats


def models_of_several_scales(frame: pd.DataFrame, *, where: str) -> list[Problem]:
    """Return a problem for each further scale of a model of a family, in the first file that has it.

    Parameters
    ----------
    frame
        RESULTS.
    where
        Where in a file the scale of a model stands.

    Returns
    -------
    list of Problem
        One for each scale of a model but the one that most rows have (of two that are as frequent, the smaller).
    """
    code, pairs = _pairs(frame)
    again = pairs.model[1:] == pairs.model[:-1]
    several = np.unique(pairs.model[1:][again])
    if not len(several):
        return []
    rows = frame.loc[np.isin(code, several), ["family", "model", "scale", "source_file"]]
    problems = []
    for (family, model), of_model in rows.groupby(["family", "model"], observed=True, sort=True):
        # The first files by path, since categories are sorted.
        first = of_model.groupby("scale")["source_file"].agg(lambda files: files.iloc[int(files.cat.codes.argmin())])
        counts = of_model["scale"].value_counts()
        usual = min(counts.index, key=lambda scale: (-counts[scale], scale))
        problems += [
            Problem(
                str(first[scale]),
                where,
                f"model {shown(str(model))} of family {shown(str(family))} has scale {scale!r} here ({counts[scale]} numbers) and "
                f"{usual!r} in {first[usual]} ({counts[usual]} numbers)",
                "one scale for a model of a family",
                "all rows are kept: the model has a point at each of its scales",
            )
            for scale in sorted(first.index)
            if scale != usual
        ]
    return problems


def models_of_one_scale(frame: pd.DataFrame) -> list[str]:
    """Return a note for each family in which several models share a scale and a curve: such a point is their mean.

    Parameters
    ----------
    frame
        RESULTS.
    """
    code, pairs = _pairs(frame)
    models = len(frame["model"].cat.categories)
    place = np.lexsort((pairs.scale, pairs.model // models))
    family, scale = (pairs.model // models)[place], pairs.scale[place]
    shared = np.zeros(len(place) + 1, dtype=bool)
    shared[1:-1] = (family[1:] == family[:-1]) & (scale[1:] == scale[:-1])
    candidates = pairs.model[place][shared[1:] | shared[:-1]]
    if not len(candidates):
        return []
    rows = frame[np.isin(code, candidates)]
    keys = ["family", "scale", "task", "subtask", "metric", "shots"]
    of_point = rows[[*keys, "model"]].drop_duplicates()
    averaged = of_point[of_point.duplicated(keys, keep=False)]
    notes = []
    for name, of_family in averaged.groupby("family", observed=True, sort=True):
        points = len(of_family.drop_duplicates(keys))
        groups = [
            f"{', '.join(shown(each) for each in sorted(set(of_scale['model'].astype(str))))} at {at:g}"
            for at, of_scale in of_family.groupby("scale")
        ]
        more = f"; and {len(groups) - _LISTED} more scales" if len(groups) > _LISTED else ""
        notes.append(
            f"family {shown(str(name))}: several models have one scale ({'; '.join(groups[:_LISTED])}{more}); a curve has "
            f"their mean there ({points} points)"
        )
    return notes


def _pairs(frame: pd.DataFrame) -> tuple[Integers, _Pairs]:
    """Return the code of the model of each row, and the different pairs of a model and a finite scale."""
    model, scale = frame["model"].cat, frame["scale"].to_numpy(np.float64)
    code = frame["family"].cat.codes.to_numpy(np.int64) * len(model.categories) + model.codes.to_numpy(np.int64)
    known = np.isfinite(scale)
    last = np.full(len(frame["family"].cat.categories) * len(model.categories), np.nan)
    last[code[known]] = scale[known]
    # Nearly every row agrees with the last of its model: only others are sorted.
    odd = known & (scale != last[code])
    kept = np.flatnonzero(np.isfinite(last))
    pairs = np.unique(np.column_stack([np.append(kept, code[odd]), np.append(last[kept], scale[odd])]), axis=0)
    return code, _Pairs(pairs[:, 0].astype(np.int64), pairs[:, 1])
