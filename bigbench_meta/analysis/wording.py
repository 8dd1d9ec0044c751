"""Numbers in words, the same in every sentence of the findings."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping

    import pandas as pd

    # A row of a table by column name.
    Row = Mapping[Hashable, Any]

# Longer lists of names are cut, and the cut is said.
_MOST_NAMES = 12


def first_row(table: pd.DataFrame, **values: str) -> Row | None:
    """Return the first row of a table that has these values, or nothing."""
    for name, value in values.items():
        table = table[table[name] == value]
    return None if table.empty else table.iloc[0].to_dict()


def estimate_words(row: Row) -> str:
    """An estimate with its interval and p-value."""
    return f"{row['estimate']:.3g} ({interval_words(row)}, p = {p_words(row['p_value'])})"


def interval_words(row: Row) -> str:
    """An interval with its level; an open end is said."""
    ends = [f"{row[name]:.3g}" if isfinite(float(row[name])) else "no limit" for name in ("low", "high")]
    return f"{row['level']:.0%} interval {ends[0]} to {ends[1]}"


def p_words(value: float) -> str:
    """A p-value at two digits."""
    p = float(value)
    return f"{p:.2g}" if p >= 0.0001 else f"{p:.0e}"


def of_words(flags: pd.Series[bool]) -> str:
    """How many of some flags are set, a missing one counting as not."""
    return f"{int(flags.fillna(value=False).sum())} of {len(flags)}"


def count_words(number: int, noun: str) -> str:
    """A number with its noun in the right form."""
    plural = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{number} {noun if number == 1 else plural}"


def name_words(tasks: Iterable[str]) -> str:
    """Names in order, at most twelve."""
    names = sorted(set(tasks))
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more
