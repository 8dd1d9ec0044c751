"""RESULTS-shaped CSV and Parquet files and frames as a source: how users bring their own numbers.

Required columns are ``task, metric, family, model, scale, score``. Columns that are not there get a default, and a note
says which. Cells are judged like the values of score files: what is odd becomes a row of PROBLEMS.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from bigbench_meta.errors import LoadError
from bigbench_meta.facts.metrics import alias_taken, aliases_among
from bigbench_meta.loader.bigbench.careful import MAX_SHOTS, MIN_SHOTS
from bigbench_meta.loader.columns import Loaded, Problem
from bigbench_meta.loader.look_alikes import look_alikes
from bigbench_meta.loader.scales import models_of_several_scales
from bigbench_meta.schema import RESULTS, validate
from bigbench_meta.table_files import Cell, cells_of, csv_text, parquet_table, parsed
from bigbench_meta.values import as_number, is_text, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SUFFIXES = (".csv", ".parquet")
REQUIRED = ("task", "metric", "family", "model", "scale", "score")

_EXPECTED = "a header line with " + ", ".join(REQUIRED)
_NAMES = ("task", "subtask", "family", "model", "metric")
_DEFAULTS = {
    "subtask": "the task's name",
    "is_aggregate": "false",
    "total_params": "unknown (NaN)",
    "non_embedding_params": "unknown (NaN)",
    "shots": "-1, as where shots make no sense",
    "trial": "0, 1, ... for repeats of a key in the order of rows",
    "is_preferred": "true where a task and subtask have a single metric, else false",
    "low_score": "unknown (NaN)",
    "high_score": "unknown (NaN)",
}
# Derived from the other columns, or known from the file itself.
_NOT_READ = ("score_normalized", "source_file")
_TRUTH = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}


class _Unusable:
    """Marks a cell whose row cannot be used."""


_UNUSABLE = _Unusable()


class _Rule(NamedTuple):
    """How the cells of a column are read: the conversion, and what it expects in words."""

    read: Callable[[Cell], object]
    expected: str


def read_table(path: Path) -> Loaded:
    """Read a RESULTS-shaped CSV or Parquet file.

    Parameters
    ----------
    path
        A file whose name ends in ``.csv`` (UTF-8, a header line, commas) or ``.parquet``.

    Returns
    -------
    Loaded
        RESULTS sorted by key; ``on_disk`` is the number of data rows, counted apart from the reader that fills the
        table (records of the CSV text, rows by the Parquet footer).

    Raises
    ------
    LoadError
        If the file cannot be read, lacks a required column, or has a column of a type that cannot stand for one.
    """
    cells, on_disk = (_csv_cells if path.suffix.lower() == ".csv" else _parquet_cells)(path)
    # The name of a file need not be text that a table can hold: bytes of other encodings are spelled out.
    file = path.name.encode("utf-8", "backslashreplace").decode("utf-8")
    return _checked_table(file, cells, on_disk=on_disk, place=str(path))


def read_frame(frame: pd.DataFrame) -> Loaded:
    """Read a RESULTS-shaped frame in memory, each cell judged like one of a file.

    Raises
    ------
    LoadError
        If a required column is missing or a column stands twice.
    """
    twice = sorted({str(name) for name in frame.columns[frame.columns.duplicated()]})
    if twice:
        raise LoadError(
            f"this frame has the column {', '.join(twice)} more than once; expected each once: rename or drop one"
        )
    cells: dict[str, list[Cell]] = {str(name): [] for name in frame.columns}
    for name in RESULTS.columns:
        if name in cells:
            column = frame[name].astype(object)
            cells[name] = column.where(column.notna(), None).tolist()
    return _checked_table("a frame", cells, on_disk=len(frame), place="this frame")


def _checked_table(file: str, cells: dict[str, list[Cell]], *, on_disk: int, place: str) -> Loaded:
    """Return the table of these cells, or say which required column is missing."""
    missing = [name for name in REQUIRED if name not in cells]
    if missing:
        raise LoadError(
            f"{place}: column{'s' * (len(missing) > 1)} {', '.join(missing)} missing; a table of results needs "
            f"{', '.join(REQUIRED)}, and may have {', '.join(_DEFAULTS)}; it has {', '.join(cells)[:300]}"
        )
    problems: list[Problem] = []
    values = {name: _read_column(file, name, cells[name], problems) for name in _RULES if name in cells}
    return _table(
        file, values, problems, on_disk=on_disk, other=[name for name in cells if name not in RESULTS.columns]
    )


def _csv_cells(path: Path) -> tuple[dict[str, list[Cell]], int]:
    checked = csv_text(path, expected=_EXPECTED, error=LoadError)
    frame = parsed(path, checked, expected=_EXPECTED, error=LoadError, dtype=str, missing=False)
    cells: dict[str, list[Cell]] = {name: [] for name in checked.header}
    for place, name in enumerate(checked.header):
        if name in RESULTS.columns:
            cells[name] = [cell or None for cell in frame.iloc[:, place].tolist()]
    return cells, checked.rows


def _parquet_cells(path: Path) -> tuple[dict[str, list[Cell]], int]:
    import pyarrow.parquet as pq

    table = parquet_table(path, error=LoadError, wanted=RESULTS.names)
    with pq.ParquetFile(path) as file:
        others: dict[str, list[Cell]] = {name: [] for name in file.schema_arrow.names}
    return others | {name: cells_of(table.column(name)) for name in table.column_names}, int(file.metadata.num_rows)


def _name(cell: Cell) -> object:
    return cell if isinstance(cell, str) and cell and is_text(cell) else _UNUSABLE


def _score(cell: Cell) -> object:
    value = math.nan if cell is None else as_number(cell)
    return _UNUSABLE if value is None else value if math.isfinite(value) else math.nan


def _count(cell: Cell) -> object:
    value = None if isinstance(cell, bool) else as_number(cell)
    return value if value is not None and math.isfinite(value) and value > 0 else math.nan


def _bound(cell: Cell) -> object:
    value = as_number(cell)
    return value if value is not None and math.isfinite(value) else math.nan


def _whole(low: int) -> Callable[[Cell], object]:
    def read(cell: Cell) -> object:
        value = None if isinstance(cell, bool) else as_number(cell)
        usable = value is not None and low <= value <= MAX_SHOTS and value == int(value)
        return int(value) if usable and value is not None else _UNUSABLE

    return read


def _truth(cell: Cell) -> object:
    return _TRUTH.get(str(cell).strip().lower(), _UNUSABLE)


_RULES = (
    {name: _Rule(_name, "a name") for name in _NAMES}
    | {name: _Rule(_bound, "a finite number") for name in ("low_score", "high_score")}
    | {name: _Rule(_count, "a positive, finite count") for name in ("total_params", "non_embedding_params", "scale")}
    | {name: _Rule(_truth, "true or false") for name in ("is_aggregate", "is_preferred")}
    | {
        "score": _Rule(_score, "a finite number"),
        "shots": _Rule(_whole(MIN_SHOTS), f"an integer from {MIN_SHOTS} to {MAX_SHOTS}"),
        "trial": _Rule(_whole(0), f"an integer from 0 to {MAX_SHOTS}"),
    }
)
# An empty cell there says that the value is unknown, which needs no record.
_MAY_BE_EMPTY = ("total_params", "non_embedding_params", "low_score", "high_score")


def _read_column(file: str, name: str, cells: Sequence[Cell], problems: list[Problem]) -> list[object]:
    """Return the values of a column, and add a problem for each cell that is odd."""
    rule = _RULES[name]
    values = [rule.read(cell) for cell in cells]
    for row, (cell, value) in enumerate(zip(cells, values, strict=True), start=1):
        unknown = isinstance(value, float) and math.isnan(value)
        if value is _UNUSABLE:
            action = "the row is not used"
        elif unknown and not (cell is None and name in _MAY_BE_EMPTY):
            action = "taken as NaN"
        elif name not in _NAMES and isinstance(cell, bool) and not isinstance(value, bool):
            action = f"read as {value!r}"
        else:
            continue
        problems.append(Problem(file, f"row {row}, column {name}", f"the cell is {shown(cell)}", rule.expected, action))
    return values


def _table(
    file: str, values: dict[str, list[object]], problems: list[Problem], *, on_disk: int, other: list[str]
) -> Loaded:
    import numpy as np
    import pandas as pd

    rows = len(values["score"])
    unusable = np.zeros(rows, dtype=bool)
    for column in values.values():
        unusable |= np.fromiter((value is _UNUSABLE for value in column), bool, rows)
    # Each unusable row is one number on disk; the first problem of the row accounts for it.
    left = set(np.flatnonzero(unusable).tolist())
    problems.sort(key=lambda problem: _row_of(problem.where))
    for i, problem in enumerate(problems):
        row = _row_of(problem.where) - 1
        if row in left and problem.action == "the row is not used":
            left.discard(row)
            problems[i] = problem._replace(numbers=1)
    frame = pd.DataFrame({name: np.array(column, dtype=object)[~unusable] for name, column in values.items()})
    positions = np.flatnonzero(~unusable) + 1
    renamed = aliases_among(frame["metric"])
    frame, notes = _with_defaults(frame.assign(metric=frame["metric"].replace(renamed)), file)
    notes += [f"{file}: {alias_taken(name)}" for name in renamed]
    lows, highs = frame["low_score"].to_numpy(), frame["high_score"].to_numpy()
    problems += [
        Problem(
            file,
            f"row {positions[i]}, column high_score",
            f"low_score is {lows[i]} and high_score is {highs[i]}",
            "two different bounds",
            "score_normalized is NaN",
        )
        for i in _without_span(lows, highs)
    ]
    key = list(RESULTS.key)
    repeated = frame.duplicated(key).to_numpy()
    problems += [
        Problem(file, f"row {row}", "repeats the key of an earlier row", "each key once", "the first row is kept", 1)
        for row in positions[repeated].tolist()
    ]
    frame = frame[~repeated].sort_values(key, ignore_index=True, kind="stable")
    frame = frame.assign(
        **{name: frame[name].cat.remove_unused_categories() for name in frame.select_dtypes("category").columns}
    )
    if other:
        notes.append(f"{file}: columns that mean nothing here are ignored: {', '.join(other)}")
    problems += look_alikes(validate(frame, RESULTS), place="column {}".format)
    problems += models_of_several_scales(frame, where="column scale")
    return Loaded(frame, problems, 1, on_disk, tuple(notes))


def _without_span(lows: Floats, highs: Floats) -> list[int]:
    """Return the positions of bounds that are equal, or so far apart that their difference is infinite."""
    import numpy as np

    with np.errstate(over="ignore"):
        span = highs - lows
    positions: list[int] = np.flatnonzero((span == 0) | np.isinf(span)).tolist()
    return positions


def _row_of(where: str) -> int:
    return int(where.split(",", maxsplit=1)[0].removeprefix("row "))


def _with_defaults(frame: pd.DataFrame, file: str) -> tuple[pd.DataFrame, list[str]]:
    """Return all columns of RESULTS with their dtypes, and a note for each that was not in the file."""
    import numpy as np
    import pandas as pd

    from bigbench_meta.loader.assemble import normalized

    absent = [name for name in _DEFAULTS if name not in frame]
    notes = [f"{file}: no column {name}; taken as {_DEFAULTS[name]}" for name in absent]
    full = frame.copy()
    for name in absent:
        if name == "subtask":
            full[name] = full["task"]
        elif name == "is_aggregate":
            full[name] = False
        elif name == "shots":
            full[name] = MIN_SHOTS
        elif name == "is_preferred":
            full[name] = full.groupby(["task", "subtask"])["metric"].transform("nunique") == 1
        elif name != "trial":
            full[name] = np.nan
    if "trial" in absent:
        full["trial"] = full.groupby([name for name in RESULTS.key if name != "trial"]).cumcount()
    full["source_file"] = file
    dtypes = {"category": "str", "float": "float64", "int": "int64", "bool": "bool"}
    full = full.astype({name: dtypes[word] for name, word in RESULTS.columns.items() if name in full})
    full["score_normalized"] = normalized(
        full["score"].to_numpy(),
        low=full["low_score"].to_numpy(),
        high=full["high_score"].to_numpy(),
        where=full["is_preferred"].to_numpy(),
    )
    for name, word in RESULTS.columns.items():
        if word == "category":
            full[name] = pd.Categorical(full[name], categories=pd.Index(sorted(full[name].unique()), dtype="str"))
    return full[RESULTS.names], notes
