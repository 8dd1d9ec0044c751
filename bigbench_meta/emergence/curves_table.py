"""From RESULTS to CURVES: the measures of every curve of a table at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bigbench_meta.emergence.measures import Scores, score_rows
from bigbench_meta.emergence.points import POINT_COLUMNS, curve_points, one_code
from bigbench_meta.loader.at_hand import scores_frame
from bigbench_meta.schema import CURVES, UNDEFINED_REASONS, validate

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from bigbench_meta.loader import Results

_TOO_FEW, _, _, _MISSING = UNDEFINED_REASONS


def score_curves(results: Results | pd.DataFrame, *, registry: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return CURVES: the emergence score and linearity of every curve of a set of results.

    Parameters
    ----------
    results : Results or DataFrame
        What `bigbench_meta.load_results` returns; or a frame with the columns ``task, subtask, is_aggregate, metric, family,
        shots, scale, score, is_preferred`` of RESULTS; or one with ``task, metric, family, model, scale, score``, the other
        columns then at their defaults. Not modified; the order of its rows does not matter.
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
        If it is no table of scores, or a value is missing in any column but ``scale`` and ``score``.

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

    points = curve_points(scores_frame(results, needed=POINT_COLUMNS))
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
        for whole, part in zip(scores, score_rows(y), strict=True):
            whole[rows] = part
    unplaced = points.has_unplaced & (scores.undefined_reason != _TOO_FEW)
    scores.emergence_score[unplaced] = np.nan
    scores.linearity[unplaced] = np.nan
    scores.undefined_reason[unplaced] = _MISSING

    curves = points.curves.copy()
    pair = one_code([curves[name].cat.codes.to_numpy() for name in ("task", "metric")])
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


def _as_category(words: NDArray[np.object_]) -> pd.Categorical[int]:
    """Return words as a category, without the detour of `pandas.Categorical` over a column of strings."""
    import pandas as pd

    codes, names = pd.factorize(words, sort=True)
    return pd.Categorical.from_codes(codes, dtype=pd.CategoricalDtype(pd.Index(names, dtype="str")))
