"""RESULTS-shaped tables as a source: CSV, TSV, JSON Lines and Parquet files, and frames in memory.

Required columns are ``task, metric, family, model, scale, score``. Columns that are not there get a default, and a note
says which. Cells are judged like the values of score files: what is odd becomes a row of PROBLEMS.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, NamedTuple

from bigbench_meta.errors import LoadError
from bigbench_meta.facts.metrics import alias_taken, aliases_among
from bigbench_meta.facts.models import number_in_words
from bigbench_meta.loader.bigbench.careful import MAX_SHOTS, MIN_SHOTS
from bigbench_meta.loader.columns import Loaded, Problem
from bigbench_meta.loader.look_alikes import look_alikes
from bigbench_meta.loader.scales import models_of_several_scales
from bigbench_meta.schema import DIRECTIONS, RESULTS, validate
from bigbench_meta.table_files import Cell, cells_of, csv_text, is_plain, json_lines, parquet_table, parsed
from bigbench_meta.values import as_number, is_text, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# What a table's name ends in; text may be packed by gzip.
SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet", ".csv.gz", ".tsv.gz", ".jsonl.gz")
REQUIRED = ("task", "metric", "family", "model", "scale", "score")

_EXPECTED = "a header line with " + ", ".join(REQUIRED)
_FRAME = "a frame"  # what PROBLEMS calls a frame in memory
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
    """Read a RESULTS-shaped file.

    Parameters
    ----------
    path
        A file whose name ends in ``.csv`` or ``.tsv`` (UTF-8, a header line), ``.jsonl`` (an object a line) or
        ``.parquet``; the first three may be packed by gzip.

    Returns
    -------
    Loaded
        RESULTS sorted by key; ``on_disk`` is the number of data rows, counted apart from the reader that fills the
        table (records of the text, rows by the Parquet footer).

    Raises
    ------
    LoadError
        If the file cannot be read, lacks a required column, or has a column of a type that cannot stand for one.
    """
    name = path.name.lower().removesuffix(".gz")
    read = _parquet_cells if name.endswith(".parquet") else _lines_cells if name.endswith(".jsonl") else _csv_cells
    cells, on_disk = read(path)
    # The name of a file need not be text that a table can hold: bytes of other encodings are spelled out.
    return _of_cells(
        cells, on_disk, file=path.name.encode("utf-8", "backslashreplace").decode("utf-8"), named=str(path)
    )


def read_frame(frame: object) -> Loaded:
    """Read a RESULTS-shaped frame of pandas, polars or Arrow; `read_table` says what is in the answer.

    Raises
    ------
    LoadError
        If it lacks a required column, or has a column of a type that cannot stand for one.
    """
    import pyarrow as pa

    columns = getattr(frame, "columns", None)
    if hasattr(frame, "iloc") and columns is not None:
        twice = sorted({str(name) for name in columns[columns.duplicated()]})
        if twice:
            raise LoadError(
                f"this frame has the column {', '.join(twice)} more than once; expected each once: rename or drop one"
            )
        return _pandas_frame(frame)  # type: ignore[arg-type] # by what it has
    try:
        table = frame.to_arrow() if hasattr(frame, "to_arrow") else pa.table(frame)  # of polars, or of Arrow's own
    except (pa.ArrowException, TypeError, ValueError, AttributeError) as err:
        raise LoadError(
            f"{_FRAME}: cannot be read ({' '.join(str(err).split())[:200]}); expected columns of texts, numbers or booleans"
        ) from err
    cells: dict[str, list[Cell]] = {name: [] for name in table.column_names}
    for name in table.column_names:
        if name in _KNOWN:
            column = table.column(name)
            if not is_plain(column.type):
                raise LoadError(
                    f"{_FRAME}: column {name!r} holds {column.type}; expected text, numbers or booleans: convert it"
                )
            cells[name] = cells_of(column)
    return _of_cells(cells, table.num_rows, file=_FRAME, named="this frame")


def _pandas_frame(frame: pd.DataFrame) -> Loaded:
    cells: dict[str, list[Cell]] = {str(name): [] for name in frame.columns}
    for name in _KNOWN:
        if name in cells:
            column = frame[name].astype(object)
            cells[name] = [_cell(cell) for cell in column.where(column.notna(), None).tolist()]
    return _of_cells(cells, len(frame), file=_FRAME, named="this frame")


def _of_cells(cells: dict[str, list[Cell]], on_disk: int, *, file: str, named: str) -> Loaded:
    missing = [name for name in REQUIRED if name not in cells]
    if missing:
        raise LoadError(
            f"{named}: column{'s' * (len(missing) > 1)} {', '.join(missing)} missing; a table of results needs "
            f"{', '.join(REQUIRED)}, and may have {', '.join((*_DEFAULTS, *RESULTS.optional))}; it has {', '.join(cells)[:300]}"
        )
    problems: list[Problem] = []
    values = {name: _read_column(file, name, cells[name], problems) for name in _RULES if name in cells}
    return _table(file, values, problems, on_disk=on_disk, other=[name for name in cells if name not in _KNOWN])


def _csv_cells(path: Path) -> tuple[dict[str, list[Cell]], int]:
    mark = "\t" if ".tsv" in path.name.lower()[-7:] else ","
    checked = csv_text(path, expected=_EXPECTED, error=LoadError, mark=mark)
    frame = parsed(path, checked, expected=_EXPECTED, error=LoadError, dtype=str, missing=False)
    cells: dict[str, list[Cell]] = {name: [] for name in checked.header}
    for place, name in enumerate(checked.header):
        if name in _KNOWN:
            cells[name] = [cell or None for cell in frame.iloc[:, place].tolist()]
    return cells, checked.rows


def _lines_cells(path: Path) -> tuple[dict[str, list[Cell]], int]:
    lines = json_lines(path, expected=f"an object a line with {', '.join(REQUIRED)}", error=LoadError)
    names = dict.fromkeys(name for record in lines.records for name in record)
    cells: dict[str, list[Cell]] = {name: [] for name in names}
    for name in names:
        if name in _KNOWN:
            cells[name] = [_cell(record.get(name)) for record in lines.records]
    return cells, lines.rows


def _cell(value: object) -> Cell:
    """Return a value of JSON as a cell; a list or object as its text, which no column takes."""
    return value if value is None or isinstance(value, str | int | float | bool) else json.dumps(value)[:_LONG]


def _parquet_cells(path: Path) -> tuple[dict[str, list[Cell]], int]:
    import pyarrow.parquet as pq

    table = parquet_table(path, error=LoadError, wanted=[*_KNOWN])
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


def _size(cell: Cell) -> object:
    value = _count(cell)
    if isinstance(cell, str) and isinstance(value, float) and math.isnan(value):
        words = number_in_words(cell)
        return value if words is None else words
    return value


def _not_negative(cell: Cell) -> object:
    value = None if isinstance(cell, bool) else as_number(cell)
    return value if value is not None and math.isfinite(value) and value >= 0 else math.nan


def _direction(cell: Cell) -> object:
    word = str(cell).strip().lower()
    return word if word in DIRECTIONS else "unknown" if cell is None else _UNUSABLE


def _text(cell: Cell) -> object:
    return "" if cell is None else str(cell) if is_text(str(cell)) else _UNUSABLE


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
    | {name: _Rule(_size, "a positive, finite count") for name in ("total_params", "non_embedding_params", "scale")}
    | {
        name: _Rule(_not_negative, "a finite number that is not negative")
        for name in ("stderr", "step", "tokens", "compute")
    }
    | {name: _Rule(_bound, "a finite number") for name in ("loss", "seed")}
    | {name: _Rule(_text, "text") for name in ("filter", "harness", "task_version")}
    | {name: _Rule(_truth, "true or false") for name in ("is_aggregate", "is_preferred")}
    | {
        "n_items": _Rule(_count, "a positive, finite count"),
        "direction": _Rule(_direction, " or ".join(DIRECTIONS)),
        "score": _Rule(_score, "a finite number"),
        "shots": _Rule(_whole(MIN_SHOTS), f"an integer from {MIN_SHOTS} to {MAX_SHOTS}"),
        "trial": _Rule(_whole(0), f"an integer from 0 to {MAX_SHOTS}"),
    }
)
# An empty cell there says that the value is unknown, which needs no record.
_MAY_BE_EMPTY = ("total_params", "non_embedding_params", "low_score", "high_score", *RESULTS.optional)
# All that has a meaning here, whether it is read or worked out.
_KNOWN = {**RESULTS.columns, **RESULTS.optional}
_LONG = 1000  # characters of a list or object that is shown as a cell


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
        elif (name not in _NAMES and isinstance(cell, bool) and not isinstance(value, bool)) or (
            rule.read is _size and isinstance(cell, str) and as_number(cell) is None
        ):
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
    key = list(RESULTS.full_key(frame))
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
        full["trial"] = full.groupby(
            [name for name in RESULTS.full_key(full) if name != "trial"], dropna=False
        ).cumcount()
    full["source_file"] = file
    dtypes = {"category": "str", "float": "float64", "int": "int64", "bool": "bool"}
    full = full.astype({name: dtypes[word] for name, word in _KNOWN.items() if name in full})
    full["score_normalized"] = normalized(
        full["score"].to_numpy(),
        low=full["low_score"].to_numpy(),
        high=full["high_score"].to_numpy(),
        where=full["is_preferred"].to_numpy(),
    )
    for name, word in _KNOWN.items():
        if word == "category" and name in full:
            full[name] = pd.Categorical(full[name], categories=pd.Index(sorted(full[name].unique()), dtype="str"))
    return full[[name for name in _KNOWN if name in full]], notes
