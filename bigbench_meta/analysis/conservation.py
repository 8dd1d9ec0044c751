"""That no number is lost between RESULTS, the points of curves and what an analysis says of them.

Vocabulary: a *point* is a curve at one scale. Each row of RESULTS either has no scale, or is the first of its point, or is
averaged into the point of an earlier row. The three are counted from RESULTS alone and compared with the tables that the
analysis made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bigbench_meta.errors import AnalysisError
from bigbench_meta.schema import CURVES

if TYPE_CHECKING:
    import pandas as pd


def account(frame: pd.DataFrame, *, curves: pd.DataFrame, points: pd.DataFrame) -> dict[str, int]:
    """Count what became of every row of RESULTS in an analysis.

    Parameters
    ----------
    frame
        RESULTS.
    curves, points
        The tables of those names in `bigbench_meta.Analysis`.

    Returns
    -------
    dict
        ``numbers_without_scale``, ``numbers_averaged`` and ``points``, whose sum is the rows of RESULTS; ``curves``, each
        of which is among ``curves_with_emergence_score`` or ``curves_without_emergence_score``, and among
        ``curves_tested_for_sharpness`` or ``curves_not_tested_for_sharpness``.

    Raises
    ------
    AnalysisError
        If the analysis has more or fewer curves or points than RESULTS.

    Examples
    --------
    >>> import pandas as pd
    >>> key = {"task": "t", "subtask": "t", "metric": "bleu", "family": "f", "shots": 0}
    >>> frame = pd.DataFrame({**key, "scale": [1e6, 1e6, 1e7, None]})
    >>> curves = pd.DataFrame({**key, "n_scales": [2], "emergence_score": None, "q_sharp": None})
    >>> found = account(frame, curves=curves, points=pd.DataFrame({"scale": [1e6, 1e7]}))
    >>> found["points"], found["numbers_averaged"], found["numbers_without_scale"]
    (2, 1, 1)
    """
    key = list(CURVES.key)
    placed = frame.loc[np.isfinite(frame["scale"]), [*key, "scale"]]
    averaged = int(placed.duplicated().sum())
    for what, expected, found in (
        ("curves", len(frame[key].drop_duplicates()), len(curves)),
        ("points", len(placed) - averaged, len(points)),
        ("points", len(placed) - averaged, int(curves["n_scales"].sum())),
    ):
        if found != expected:
            raise AnalysisError(
                f"RESULTS has {expected} {what}, but the analysis has {found}; expected the same number of both; this is a "
                "fault of this package, please report it with the source"
            )
    scored, tested = (int(curves[name].notna().sum()) for name in ("emergence_score", "q_sharp"))
    return {
        "numbers_without_scale": len(frame) - len(placed),
        "numbers_averaged": averaged,
        "points": len(points),
        "curves": len(curves),
        "curves_with_emergence_score": scored,
        "curves_without_emergence_score": len(curves) - scored,
        "curves_tested_for_sharpness": tested,
        "curves_not_tested_for_sharpness": len(curves) - tested,
    }
