"""What a user gives beside the scores, read and checked before the scores are: a fault in it names its file at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bigbench_meta.analysis.curves.items import items_by_key
from bigbench_meta.analysis.tasks.lengths import given_lengths as lengths_by_key
from bigbench_meta.errors import AnalysisError, TableError
from bigbench_meta.loader.side_tables import given_items, given_lengths

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd


def read_given(
    *, items: Path | None = None, lengths: Path | None = None
) -> tuple[pd.DataFrame | None, pd.DataFrame | None]:
    """Read the items behind each point and the target lengths from CSV files, None for one that is not given.

    Raises
    ------
    TableError
        Naming the file, if it cannot be read, lacks a column, or holds what `bigbench_meta.analyze` would refuse.
    """
    return _checked(items, given_items, items_by_key), _checked(lengths, given_lengths, lengths_by_key)


def _checked(
    path: Path | None, read: Callable[[Path], pd.DataFrame], check: Callable[[pd.DataFrame], object]
) -> pd.DataFrame | None:
    if path is None:
        return None
    table = read(path)
    try:
        check(table)
    except AnalysisError as err:
        raise TableError(f"{path}: {err}") from err
    return table
