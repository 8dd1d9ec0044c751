"""Items behind a point: given by the user, else from packaged facts about BIG-bench, else unknown and said so."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bigbench_meta.errors import AnalysisError
from bigbench_meta.facts.items import packaged_items
from bigbench_meta.table_files import as_floats

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

# BIG-G was scored on min(distinct examples, 1024) items: 16 of 16 tasks with more than 1,024 examples have scores on
# the k/1024 grid, recovered from real values. The paper promises "at most 1000 over the number of subtasks" of each
# subtask (Srivastava et al. 2022, 2206.04615), so both are tried for subtasks.
BIG_G_ITEMS, PROMISED_ITEMS = 1024, 1000
BIG_G_PREFIX = "BIG-G"
# Published tables round scores to 4 decimals.
_ROUNDING = 0.5e-4

SOURCES = ("given", "task.json", "packaged", "contradicted by the scores", "unknown")


class Items(NamedTuple):
    """Items behind each point of one curve, NaN where unknown, and where the number comes from (one of `SOURCES`)."""

    n_items: float
    source: str


def on_grid(score: Vector, n_items: float) -> bool:
    """Tell whether every 0-1 score is a whole number of successes out of ``n_items``, within its rounding.

    Examples
    --------
    >>> on_grid(np.array([0.25, 0.3333]), 12), on_grid(np.array([0.25, 0.3]), 12)
    (True, False)
    """
    known = score[np.isfinite(score)]
    rounded = bool(np.all(np.abs(known * 1e4 - np.round(known * 1e4)) < 1e-6))
    tolerance = _ROUNDING * n_items * (1 + 1e-6) if rounded else 1e-6
    return bool(np.all(np.abs(known * n_items - np.round(known * n_items)) <= tolerance))


class ItemTable:
    """Look-up of items by (task, subtask, family): the user's rows, then a source's own definitions, then packaged facts.

    Parameters
    ----------
    given : frame ``task, n_items`` and, where they matter, ``subtask`` and ``family``; an empty or missing entry of
        the latter two holds for all. Where a frame has ``n_items_min`` in place of ``n_items`` (items that differ
        between scales), the smallest is taken, which overstates the noise of the others.
    definitions : what `bigbench_meta.loader.bigbench.definitions.task_definitions` counted; each of its rows replaces the
        packaged fact of the same task and subtask, except where it could not count.

    Raises
    ------
    AnalysisError
        If a column is missing, a number is not at least 1, or two rows speak of the same curves.
    """

    def __init__(self, given: pd.DataFrame | None, definitions: pd.DataFrame | None = None) -> None:
        self._given = items_by_key(given) if given is not None else {}
        self._facts = _facts(packaged_items(), "packaged")
        if definitions is not None:
            self._facts |= _facts(definitions[definitions["n_distinct"].notna()], "task.json")
        self._subtasks = Counter(task for task, _ in self._facts)

    def look_up(self, task: str, subtask: str, family: str, *, score: Vector) -> Items:
        """Return the items of one curve: the user's, else those of the facts, for BIG-G alone.

        Of min(distinct examples, 1024) and, for subtasks, 1024 or 1000 over their number, the first is taken on whose grid
        k/n the 0-1 scores ``score`` lie; NaN where none fits. Graded targets lie on no grid: the smallest is taken unchecked.
        """
        for key in ((task, subtask, family), (task, subtask, ""), (task, "", family), (task, "", "")):
            if key in self._given:
                return Items(self._given[key], "given")
        fact = self._facts.get((task, subtask))
        if fact is None or not family.startswith(BIG_G_PREFIX):
            return Items(np.nan, "unknown")
        distinct, soft, source = fact
        parts = self._subtasks[task]
        candidates = [
            min(distinct, float(most)) for most in (BIG_G_ITEMS, BIG_G_ITEMS // parts, PROMISED_ITEMS // parts)
        ]
        if soft:
            return Items(max(1.0, min(candidates)), source)
        for n_items in candidates:
            if n_items >= 1 and on_grid(score, n_items):
                return Items(n_items, source)
        return Items(np.nan, "contradicted by the scores")


def _facts(table: pd.DataFrame, source: str) -> dict[tuple[str, str], tuple[float, bool, str]]:
    columns = (table[name] for name in ("task", "subtask", "n_distinct", "soft_targets"))
    return {
        (str(task), str(subtask)): (float(n), bool(soft), source)
        for task, subtask, n, soft in zip(*columns, strict=True)
    }


def items_by_key(given: pd.DataFrame) -> dict[tuple[str, str, str], float]:
    """Return the user's items by (task, subtask, family), the latter two empty where they hold for all; errors as above."""
    import pandas as pd

    column = "n_items_min" if {"n_items", "n_items_min"} & set(given.columns) == {"n_items_min"} else "n_items"
    missing = {"task", column} - set(given.columns)
    if missing:
        raise AnalysisError(
            f"items: column(s) {', '.join(sorted(missing))} missing; expected task, n_items and, if need be, subtask, family"
        )
    numbers = as_floats(given[column]).to_numpy()
    bad = ~(np.isfinite(numbers) & (numbers >= 1))
    if bad.any():
        raise AnalysisError(
            f"items: {column} of task {given['task'].iloc[int(np.argmax(bad))]!r} is not a number of at least 1"
            f" ({int(bad.sum())} such rows); leave the row out where the number is unknown"
        )
    keys = [given["task"].astype(str)]
    for name in ("subtask", "family"):
        column_of_key = given[name] if name in given.columns else pd.Series("", index=given.index)
        keys.append(column_of_key.astype(object).where(column_of_key.notna(), "").astype(str))
    rows = dict(zip(zip(*keys, strict=True), numbers.tolist(), strict=True))
    if len(rows) != len(given):
        raise AnalysisError(f"items: {len(given) - len(rows)} rows repeat a (task, subtask, family); name each once")
    return rows
