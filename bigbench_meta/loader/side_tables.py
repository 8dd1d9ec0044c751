"""What a user gives beside the scores, as CSV files: the items behind each point, and target lengths."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bigbench_meta.errors import TableError
from bigbench_meta.table_files import csv_frame

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd


def given_items(path: Path) -> pd.DataFrame:
    """Read the items behind each point from a CSV file: ``task, n_items`` and, where needed, ``subtask, family``.

    A file that gives ``n_items_min`` (the fewest over a family's models) instead of ``n_items`` is read by that.

    Raises
    ------
    TableError
        If the file cannot be read or lacks a column.
    """
    table = csv_frame(path, expected="columns task, n_items", text=("task", "subtask", "family"))
    if "n_items" not in table.columns and "n_items_min" in table.columns:
        table = table.rename(columns={"n_items_min": "n_items"})
    missing = {"task", "n_items"} - set(table.columns)
    if missing:
        raise TableError(
            f"{path}: column(s) {', '.join(sorted(missing))} missing; expected task, n_items[, subtask, family]"
        )
    return table[[name for name in ("task", "subtask", "family", "n_items") if name in table.columns]]


def given_lengths(path: Path) -> pd.DataFrame:
    """Read target lengths from a CSV file: ``task, target_length`` and, where needed, ``subtask``.

    Raises
    ------
    TableError
        If the file cannot be read; what is wrong in it `bigbench_meta.analyze` says.
    """
    table = csv_frame(path, expected="columns task, target_length", text=("task", "subtask"))
    missing = {"task", "target_length"} - set(table.columns)
    if missing:
        raise TableError(
            f"{path}: column(s) {', '.join(sorted(missing))} missing; expected task, target_length[, subtask]"
        )
    return table
