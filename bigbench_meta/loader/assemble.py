"""From the columns of many files to RESULTS: aggregates, order, repeats between files, one row a number.

Facts are coded where they are stored (layouts, files) and looked up for rows by index; no loop runs over rows.

Vocabulary: a *kind* is an entry of a layout, which all files of that layout have in common.
"""

from __future__ import annotations

from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bigbench_meta.loader.columns import Columns, Model, Problem
from bigbench_meta.schema import RESULTS, validate
from bigbench_meta.values import json_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]
    Floats = NDArray[np.float64]
    Booleans = NDArray[np.bool_]

# Combined keys are 64-bit integers; a product of ranges beyond this is renumbered first.
_MAX_KEY = 1 << 62
_PARAMS = ("total_params", "non_embedding_params", "scale")


class _Coded(NamedTuple):
    """Strings as codes into their sorted distinct values."""

    codes: Integers
    names: list[str]

    def at(self, places: Integers) -> _Coded:
        """Return the values at the given places."""
        return _Coded(self.codes[places], self.names)


class _Entries(NamedTuple):
    """One item an entry, over all files: its file, its kind, its place in the file, and where its scores start."""

    file: Integers
    kind: Integers
    place: Integers
    start: Integers


class _Cells(NamedTuple):
    """One item a number of a kind, by kind and metric: its kind, its metric's code, and its place in the kind."""

    kind: Integers
    metric: Integers
    position: Integers
    first: Integers  # for each kind, its first cell


class _Rows(NamedTuple):
    """One item a row: its entry, its cell, and where its score stands."""

    entry: Integers
    cell: Integers
    number: Integers


def assemble(columns: Columns) -> tuple[pd.DataFrame, list[Problem]]:
    """Return RESULTS for the columns of all files, and a problem for each number whose key an earlier file has.

    Parameters
    ----------
    columns
        Files in the order of their paths: where two files give the same key, the first keeps the row.

    Returns
    -------
    frame, problems
        RESULTS sorted by its key, and one problem per number left out.
    """

    def of_kinds(name: str) -> chain[Any]:
        return chain.from_iterable(_each(columns.layouts, name))

    models, model = _distinct(columns.models)
    tasks = _coded(columns.tasks)
    families, names = (_coded(_each(models, name)).at(model) for name in ("family", "model"))
    subtasks, metrics = _coded(of_kinds("subtasks")), _coded(of_kinds("metrics"))
    shots, trials, sizes = _integers(of_kinds("shots")), _integers(of_kinds("trials")), _integers(of_kinds("sizes"))

    entries = _entries(columns, sizes=sizes)
    cells = _cells(sizes, metrics)
    file, kind = entries.file, entries.kind
    key = _combined(
        [tasks.codes[file], subtasks.codes[kind], families.codes[file], names.codes[file], shots[kind], trials[kind]]
    )
    rows, repeats = _in_order(key, entries=entries, sizes=sizes, cells=cells)
    file, cell = file[rows.entry], rows.cell
    in_files, in_cells = _occurs(file, len(columns.files)), _occurs(cell, len(cells.kind))
    code = {name: number for number, name in enumerate(metrics.names)}
    preferred = _integers(code.get(name, -1) for name in of_kinds("preferred"))
    is_preferred = (preferred[cells.kind] == cells.metric)[cell]
    score = np.frombuffer(columns.scores)[rows.number]
    low, high = (_floats(of_kinds(name))[cells.kind][cell] for name in ("lows", "highs"))
    aggregate = _aggregates(entries, tasks=tasks, subtasks=subtasks, shots=shots)
    params = {name: _floats(_each(models, name))[model][file] for name in _PARAMS}
    frame = _frame(
        {
            "task": _category(tasks, file, occurs=in_files),
            "subtask": _category(subtasks.at(cells.kind), cell, occurs=in_cells),
            "is_aggregate": aggregate[rows.entry],
            "family": _category(families, file, occurs=in_files),
            "model": _category(names, file, occurs=in_files),
            **params,
            "shots": shots[cells.kind][cell],
            "trial": trials[cells.kind][cell],
            "metric": _category(_Coded(cells.metric, metrics.names), cell, occurs=in_cells),
            "score": score,
            "is_preferred": is_preferred,
            "low_score": low,
            "high_score": high,
            "score_normalized": normalized(score, low=low, high=high, where=is_preferred),
            "source_file": _category(_Coded(np.arange(len(columns.files)), columns.files), file, occurs=in_files),
        }
    )
    called = [metrics.names[cells.metric[again.cell]] for again, _ in repeats]
    problems = [_repeat(columns, entries, *pair, metric=name) for pair, name in zip(repeats, called, strict=True)]
    return frame, problems


def normalized(score: Floats, *, low: Floats, high: Floats, where: Booleans) -> Floats:
    """Return ``(score - low) / (high - low)`` where asked for and defined, NaN elsewhere."""
    with np.errstate(all="ignore"):
        span = high - low
        share: Floats = (score - low) / span
    share[~(where & np.isfinite(span) & np.isfinite(share))] = np.nan
    return share


def _entries(columns: Columns, *, sizes: Integers) -> _Entries:
    """Spread the layouts of the files out to entries."""
    layout = _integers(columns.layout_of_file)
    lengths = _integers(map(len, _each(columns.layouts, "places")))
    starts = np.cumsum(lengths) - lengths
    count = lengths[layout]
    kind = np.repeat(starts[layout], count) + _counted(count)
    place = _integers(chain.from_iterable(_each(columns.layouts, "places")))[kind]
    size = sizes[kind]
    return _Entries(np.repeat(np.arange(len(layout)), count), kind, place, np.cumsum(size) - size)


def _cells(sizes: Integers, metrics: _Coded) -> _Cells:
    """Spread the kinds out to their numbers, the metrics of each in sorted order."""
    kind = np.repeat(np.arange(len(sizes)), sizes)
    first = np.cumsum(sizes) - sizes
    by_name = np.lexsort((metrics.codes, kind))
    return _Cells(kind, metrics.codes[by_name], by_name - first[kind], first)


def _in_order(
    key: Integers, *, entries: _Entries, sizes: Integers, cells: _Cells
) -> tuple[_Rows, list[tuple[_Rows, _Rows]]]:
    """Sort entries by key and their numbers by metric, and take out numbers whose key and metric came before.

    Returns
    -------
    rows, repeats
        What stays, and for each number taken out itself and the number that keeps the row.
    """
    order = np.argsort(key, kind="stable")  # stable: of equal keys the first file comes first
    kind = entries.kind[order]
    size = sizes[kind]
    cell = np.repeat(cells.first[kind], size) + _counted(size)
    rows = _Rows(np.repeat(order, size), cell, np.repeat(entries.start[order], size) + cells.position[cell])
    in_order = key[order]
    if not (in_order[1:] == in_order[:-1]).any():
        return rows, []
    full = _combined([key[rows.entry], cells.metric[cell]])
    by_row = np.argsort(full, kind="stable")
    rows = _Rows(*(column[by_row] for column in rows))
    again = np.zeros(len(full), dtype=bool)
    again[1:] = full[by_row][1:] == full[by_row][:-1]
    keeper = np.maximum.accumulate(np.where(again, 0, np.arange(len(full))))
    repeats = [(_at(rows, row), _at(rows, keeper[row])) for row in np.flatnonzero(again)]
    return _Rows(*(column[~again] for column in rows)), repeats


def _at(rows: _Rows, row: np.int64) -> _Rows:
    return _Rows(*(column[row] for column in rows))


def _aggregates(entries: _Entries, *, tasks: _Coded, subtasks: _Coded, shots: Integers) -> Booleans:
    """Say which entries stand for their whole task: named like it, with another subtask of the same shots beside."""
    code = {name: number for number, name in enumerate(subtasks.names)}
    task_as_subtask = _integers(code.get(name, -1) for name in tasks.names)
    whole = subtasks.codes[entries.kind] == task_as_subtask[tasks.codes[entries.file]]
    levels, level = np.unique(shots, return_inverse=True)
    group = entries.file * len(levels) + level[entries.kind]
    has_subtask = np.zeros(len(tasks.codes) * len(levels), dtype=bool)
    has_subtask[group[~whole]] = True
    aggregate: Booleans = whole & has_subtask[group]
    return aggregate


def _repeat(columns: Columns, entries: _Entries, again: _Rows, first: _Rows, *, metric: str) -> Problem:
    here, there = columns.files[entries.file[again.entry]], columns.files[entries.file[first.entry]]
    one, other = columns.scores[int(first.number)], columns.scores[int(again.number)]
    relation = "the same value" if repr(one) == repr(other) else f"{one!r} there and {other!r} here"
    return Problem(
        here,
        json_path(f"$.scores[{entries.place[again.entry]}].score_dict", metric),
        f"the same task, subtask, model, shots, trial and metric stand in {there}: {relation}",
        "each key in one file",
        "no row: the first file by path keeps it",
        1,
    )


def _coded(values: Iterable[str]) -> _Coded:
    values = list(values)
    names = sorted(set(values))
    code = {name: number for number, name in enumerate(names)}
    return _Coded(_integers(map(code.__getitem__, values)), names)


def _distinct(models: Sequence[Model]) -> tuple[list[Model], Integers]:
    """Return the different models and, for each of the given ones, its place among them."""
    objects = {id(model): model for model in models}  # most are one object: a model is compared once, not in each file
    place: dict[Model, int] = {}
    place_of = {known: place.setdefault(model, len(place)) for known, model in objects.items()}
    return list(place), _integers(place_of[id(model)] for model in models)


def _each(records: Sequence[object], name: str) -> Iterator[Any]:
    """Return a field of each record, faster than a loop that names it."""
    return map(attrgetter(name), records)


def _integers(values: Iterable[int]) -> Integers:
    return np.fromiter(values, np.int64)


def _floats(values: Iterable[float]) -> Floats:
    return np.fromiter(values, np.float64)


def _counted(sizes: Integers) -> Integers:
    """Return 0, 1, ..., size - 1 for each of the sizes, one after the other."""
    return np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)


def _combined(keys: Sequence[Integers]) -> Integers:
    """Return one integer per row that orders rows like the keys do, from the first on."""
    combined, size = np.zeros(len(keys[0]), dtype=np.int64), 1
    for column in keys:
        low = int(column.min(initial=0))
        levels = int(column.max(initial=0)) - low + 1
        if size * levels > _MAX_KEY:
            seen, combined = np.unique(combined, return_inverse=True)
            size = len(seen)
        combined *= levels
        combined += column
        combined -= low
        size *= levels
    return combined


def _occurs(places: Integers, count: int) -> Booleans:
    """Say which of the numbers below ``count`` are among the places."""
    occurs = np.zeros(count, dtype=bool)
    occurs[places] = True
    return occurs


def _category(coded: _Coded, rows: Integers, *, occurs: Booleans) -> pd.Categorical[object]:
    """Return the values at the given rows as a category whose levels are those that occur, sorted."""
    import pandas as pd

    used = _occurs(coded.codes[occurs], len(coded.names))
    names = [name for name, is_used in zip(coded.names, used.tolist(), strict=True) if is_used]
    code = np.cumsum(used) - 1
    small = np.min_scalar_type(-len(names) - 1)
    levels = pd.CategoricalDtype(pd.Index(names, dtype="str"))
    return pd.Categorical.from_codes(code.astype(small)[coded.codes][rows], dtype=levels)


def _frame(values: dict[str, object]) -> pd.DataFrame:
    import pandas as pd

    # Not copied: pandas would move all columns of a type together, which takes longer than to make them.
    return validate(pd.DataFrame(values, copy=False), RESULTS)
