"""The table that a figure draws, from what a caller has at hand: a frame, `Results` or an `Analysis`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bigbench_meta.errors import TableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

# What a figure draws, in words, and the attribute of Results or Analysis that holds it.
SCORES = ("rows of scores, such as bm.load_results(...).frame or analysis.points", ("frame", "points"))
CURVES = ("a table of curves, such as bm.score_curves(...) or analysis.curves", ("curves",))
GIVEN = ("a table that is made for it, as its docstring says", ())


def drawn_table(given: object, needed: Sequence[str], *, what: tuple[str, tuple[str, ...]]) -> pd.DataFrame:
    """Return the table to draw, with the columns that a figure reads.

    Parameters
    ----------
    given
        What the caller gave.
    needed
        Columns of the table.
    what
        One of `SCORES`, `CURVES` and `GIVEN`.

    Raises
    ------
    TableError
        Naming what is missing, what was expected, and what was given instead.
    """
    import pandas as pd

    words, attributes = what
    table = given
    if not isinstance(given, pd.DataFrame):
        table = next((getattr(given, name) for name in attributes if hasattr(given, name)), None)
    if not isinstance(table, pd.DataFrame):
        raise TableError(f"a {type(given).__name__} cannot be drawn here; expected {words}")
    missing = [name for name in needed if name not in table.columns]
    if missing:
        raise TableError(
            f"this table cannot be drawn here: it has no column {', '.join(missing)}; expected {words}, with {', '.join(needed)}"
        )
    return table
