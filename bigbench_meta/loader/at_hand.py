"""The scores that a caller has at hand, as the frame that the next stage reads.

Every public function that takes scores takes `Results`, a RESULTS frame, or any frame with the six columns that a table of
one's own needs (see `bigbench_meta.loader.user_table`); the other columns then get their defaults.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from bigbench_meta.errors import TableError
from bigbench_meta.loader.results import Results, load_results
from bigbench_meta.loader.user_table import REQUIRED

if TYPE_CHECKING:
    from collections.abc import Collection

    import pandas as pd

log = logging.getLogger(__name__)

# Columns of tables that hold no scores, and where to find the scores of such a table.
_TELLING = {
    "emergence_score": "is a table of curves, which holds no scores: give the scores it was made of",
    "expected": "is a table of problems, not of scores: give Results.frame",
}


def scores_frame(given: Results | pd.DataFrame, *, needed: Collection[str]) -> pd.DataFrame:
    """Return the table of scores that a caller has at hand.

    Parameters
    ----------
    given
        `Results`; or a frame that has the ``needed`` columns, which is returned as it is; or one with the columns
        ``task, metric, family, model, scale, score``, which `load_results` completes. Notes on defaults are logged.
    needed
        Columns that the caller reads.

    Raises
    ------
    TableError
        If it is no table of scores; the message says what it is, what was expected and what to do.
    LoadError
        If a cell of such a frame cannot stand for a name or number and no row is left.

    Examples
    --------
    >>> import pandas as pd
    >>> own = pd.DataFrame({"task": "t", "metric": "exact_str_match", "family": "f", "model": ["a", "b"],
    ...                     "scale": [1e6, 1e7], "score": [0.1, 0.2]})
    >>> scores_frame(own, needed=["task", "shots", "score"])["shots"].tolist()
    [-1, -1]
    """
    import pandas as pd

    if isinstance(given, Results):
        return given.frame
    if not isinstance(given, pd.DataFrame):
        raise TableError(
            f"expected Results, as bm.load_results gives them, or a pandas DataFrame of scores, not {type(given).__name__}; "
            "load it with bm.load_results first"
        )
    if set(needed) <= set(given.columns):
        return given
    missing = [name for name in REQUIRED if name not in given.columns]
    if missing:
        what = next((why for column, why in _TELLING.items() if column in given.columns), "is not a table of scores")
        raise TableError(
            f"this frame {what}. It has no column {', '.join(missing)}; expected {', '.join(REQUIRED)}, or Results"
        )
    results = load_results(given)
    if len(results.problems):
        first = results.problems.iloc[0]
        log.warning(
            "%d problem(s) in this frame, the first at %s: %s; bm.load_results(frame).problems lists them",
            len(results.problems),
            first["where"],
            first["problem"],
        )
    return results.frame
