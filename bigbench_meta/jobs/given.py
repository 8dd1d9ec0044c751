"""What a user gives beside the scores, read and checked before the scores are: a fault in it names its file at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bigbench_meta.analysis.curves.items import items_by_key
from bigbench_meta.analysis.tasks.lengths import given_lengths as lengths_by_key
from bigbench_meta.errors import AnalysisError, TableError
from bigbench_meta.loader.side_tables import given_items, given_lengths

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd


def read_given(
    *, items: pd.DataFrame | str | Path | None = None, lengths: pd.DataFrame | str | Path | None = None
) -> tuple[pd.DataFrame | None, pd.DataFrame | None]:
    """Read the items behind each point and the target lengths from frames or CSV files, None for one that is not given.

    Raises
    ------
    TableError
        Naming the file, if it cannot be read, lacks a column, or holds what `bigbench_meta.analyze` would refuse.
    """
    return _checked(items, given_items, items_by_key), _checked(lengths, given_lengths, lengths_by_key)


def _checked(
    given: pd.DataFrame | str | Path | None,
    read: Callable[[Path], pd.DataFrame],
    check: Callable[[pd.DataFrame], object],
) -> pd.DataFrame | None:
    if given is None:
        return None
    if not isinstance(given, str | Path):
        check(given)
        return given
    table = read(Path(given))
    try:
        check(table)
    except AnalysisError as err:
        raise TableError(f"{given}: {err}") from err
    return table


def as_path(given: str | Path | None) -> Path | None:
    """A path that may be given as text."""
    return None if given is None else Path(given)


def name_given(given: object) -> str | None:
    """What a provenance calls a file or frame: the name of the file alone, which says nothing of the user's folders."""
    if given is None:
        return None
    return Path(given).name if isinstance(given, str | Path) else "a frame"
