"""Rows of what users give beside the scores that speak of nothing in them: a name mistyped counts for nothing, and is said."""

from __future__ import annotations

import logging
from itertools import product
from typing import TYPE_CHECKING

from bigbench_meta.analysis.curves.items import items_by_key
from bigbench_meta.analysis.tasks.lengths import given_lengths

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    Key = tuple[str, ...]

log = logging.getLogger(__name__)

_SHOWN = 60  # characters of a name that a sentence quotes


def not_used(
    frame: pd.DataFrame,
    *,
    items: pd.DataFrame | None = None,
    lengths: pd.DataFrame | None = None,
    registry: pd.DataFrame | None = None,
    human: pd.DataFrame | None = None,
) -> list[str]:
    """Return a sentence for each of the given tables that has rows about nothing in RESULTS, and log it as a warning.

    Parameters
    ----------
    frame
        RESULTS.
    items, lengths, registry, human
        As for `bigbench_meta.analyze`, `bigbench_meta.metrics` (whose packaged rows are passed over) and
        `bigbench_meta.analysis.references.human_scores`; None where none is given.

    Raises
    ------
    AnalysisError
        If ``items`` or ``lengths`` is malformed.
    """
    tables: list[tuple[str, Sequence[Key], tuple[str, ...]]] = []
    if items is not None:
        tables.append(("items", list(items_by_key(items)), ("task", "subtask", "family")))
    if lengths is not None:
        tables.append(("lengths", list(given_lengths(lengths)), ("task", "subtask")))
    if registry is not None:
        tables.append(("metrics", _own_rows(registry), ("metric", "task")))
    if human is not None:
        tables.append(("human raters", [(task,) for task in sorted(set(human["task"].astype(str)))], ("task",)))
    said = []
    for what, keys, columns in tables:
        there = _patterns(frame, columns)
        unmet = [key for key in keys if key not in there]
        if unmet:
            first = ", ".join(
                f"{name} {value[:_SHOWN]!r}" for name, value in zip(columns, unmet[0], strict=True) if value
            )
            said.append(
                f"{what}: {len(unmet)} of {len(keys)} rows speak of nothing in these scores and count for nothing, "
                f"first {first}"
            )
    for sentence in said:
        log.warning("%s", sentence)
    return said


def _patterns(frame: pd.DataFrame, columns: tuple[str, ...]) -> set[Key]:
    """Return the names in these columns of RESULTS as keys, also with all but the first left open."""
    names = frame[list(columns)].drop_duplicates().astype(str).itertuples(index=False, name=None)
    return {(first, *choice) for first, *rest in names for choice in product(*((name, "") for name in rest))}


def _own_rows(registry: pd.DataFrame) -> list[Key]:
    """Return the keys of the rows of a registry that are not the packaged ones."""
    from bigbench_meta.facts.metrics import metrics

    compared = registry.merge(metrics(), how="left", indicator=True)
    own = compared[compared["_merge"] == "left_only"]
    return list(zip(own["metric"].astype(str), own["task"].astype(str), strict=True))
