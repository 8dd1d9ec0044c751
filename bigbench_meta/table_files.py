"""CSV and Parquet files that users bring, checked before anything in them is believed.

A table is read into memory, so that what is counted is what is read. What is no table of plain cells, of one name a
column and as many cells in each row as there are columns, is refused: where, what was expected, and what to do.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import lzma
import math
import zlib
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from bigbench_meta.errors import TableError
from bigbench_meta.values import as_number, shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from importlib.resources.abc import Traversable
    from pathlib import Path

    import pandas as pd

    from bigbench_meta.errors import BigbenchMetaError

Cell = str | int | float | bool | None

# All of BIG-bench is below a million rows, and 130 MB of CSV; these only bound what a hostile file can ask for.
MAX_ROWS = 5_000_000
MAX_BYTES = 512 << 20
MAX_COLUMNS = 10_000
_DAMAGE = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)
# What spreadsheets put between cells where a comma marks decimals.
_OTHER_MARKS = {";": "semicolons", "\t": "tabs", "|": "bars"}
# How files begin that are no CSV.
_KINDS = {b"PAR1": "Parquet", b"\x1f\x8b": "a gzip file", b"\xfd7zXZ": "an xz file", b"PK": "a zip file or spreadsheet"}


class CsvText(NamedTuple):
    """A CSV file that was checked: its text, the names of its columns, and its rows, counted by Python's reader."""

    text: str
    header: list[str]
    rows: int
    mark: str = ","


class JsonLines(NamedTuple):
    """A file of JSON Lines that was checked: its objects, and its lines, counted without a decoder."""

    records: list[dict[str, object]]
    rows: int


def json_lines(path: Path, *, expected: str, error: type[BigbenchMetaError] = TableError) -> JsonLines:
    """Return the objects of a file of one JSON object a line (packed by gzip if its name ends so).

    Raises
    ------
    TableError
        (or ``error``) If a line is no object, or names a key twice.
    """
    text = _text(path, _content(path, expected=expected, error=error), expected=expected, error=error)
    records = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line, object_pairs_hook=_once)
        except (ValueError, RecursionError) as err:
            raise error(
                f"{path}: line {number}: not JSON ({str(err)[:100]}); expected {expected}: correct that line"
            ) from err
        if not isinstance(record, dict):
            raise error(f"{path}: line {number}: not an object; expected {expected}")
        records.append(record)
        if len(records) > MAX_ROWS:
            raise error(f"{path}: more than {MAX_ROWS} rows; expected fewer: split the table by task")
    if not records:
        raise error(f"{path}: is empty; expected {expected}")
    return JsonLines(records, sum(1 for line in io.StringIO(text) if line.strip()))


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Make a dict of the pairs of a JSON object, none of which may come twice: it would count in silence."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice in an object")
    return found


def csv_text(
    path: Path | Traversable, *, expected: str, error: type[BigbenchMetaError] = TableError, mark: str = ","
) -> CsvText:
    """Return the text of a CSV file (packed by gzip or xz if its name ends so) of which every row fits the header.

    Parameters
    ----------
    expected
        The columns that should be there, in words, for the message.
    error
        What is raised where the file cannot be used.
    mark
        What stands between cells.
    """
    text = _text(path, _content(path, expected=expected, error=error), expected=expected, error=error)
    nul = text.find("\0")
    if nul >= 0:
        raise error(
            f"{path}: line {_line_of(text, nul)} holds a NUL character; expected {expected} in a CSV file: save it as UTF-8"
        )
    records = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=mark)
    rows = 0
    try:
        header = next(records, [])
        _check_names(path, header, expected=expected, error=error, mark=mark)
        for record in records:
            if record and len(record) != len(header):
                raise error(
                    f"{path}: the row that ends in line {records.line_num} has {len(record)} cells and the header has "
                    f"{len(header)}; expected as many, with quotation marks around cells that hold commas"
                )
            rows += bool(record)
            if rows > MAX_ROWS:
                raise error(f"{path}: more than {MAX_ROWS} rows; expected fewer: split the table by task")
    except csv.Error as err:
        raise error(
            f"{path}: cannot be read as CSV: line {records.line_num}: {err}; expected {expected}: correct that line"
        ) from err
    return CsvText(text, header, rows, mark)


def csv_frame(
    path: Path | Traversable, *, expected: str, text: Sequence[str] = (), missing: bool = True
) -> pd.DataFrame:
    """Read a CSV file that was checked by ``csv_text``.

    Parameters
    ----------
    text
        Columns whose cells stay text, also where they look like numbers.
    missing
        Whether empty cells, NA, null and the like are missing values; else they are text.

    Raises
    ------
    TableError
        If the file cannot be used.
    """
    checked = csv_text(path, expected=expected)
    return parsed(path, checked, expected=expected, error=TableError, dtype=dict.fromkeys(text, str), missing=missing)


def as_floats(column: pd.Series) -> pd.Series:
    """Return the numbers of a column as floats: NaN where a cell holds none, infinite where one is beyond any float."""
    import pandas as pd

    if column.dtype.kind in "iufb":
        return column.astype("float64")
    # Not by pandas, which makes whole numbers of any length of texts and then fails on them.
    numbers = (None if pd.isna(cell) else as_number(cell) for cell in column)
    return pd.Series(
        [math.nan if number is None else number for number in numbers], index=column.index, dtype="float64"
    )


def parsed(
    path: Path | Traversable,
    checked: CsvText,
    *,
    expected: str,
    error: type[BigbenchMetaError],
    dtype: Mapping[str, type] | type,
    missing: bool,
) -> pd.DataFrame:
    """Read a text that was checked; what pandas reads differently from Python's reader is refused."""
    import pandas as pd

    try:
        frame = pd.read_csv(
            io.StringIO(checked.text, newline=""),
            dtype=dtype,
            keep_default_na=missing,
            index_col=False,
            sep=checked.mark,
            low_memory=False,
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError, OverflowError) as err:
        raise error(f"{path}: cannot be read as CSV: {' '.join(str(err).split())}; expected {expected}") from err
    if len(frame) != checked.rows or len(frame.columns) != len(checked.header):
        raise error(
            f"{path}: {checked.rows} rows of {len(checked.header)} cells for one reader of CSV, {len(frame)} of "
            f"{len(frame.columns)} for another; expected {expected}: use plain line ends and quotation marks"
        )
    return frame


def parquet_table(path: Path, *, error: type[BigbenchMetaError], wanted: Sequence[str] | None = None) -> Any:  # noqa: ANN401
    """Return the columns of plain cells of a Parquet file as an Arrow table, texts by a dictionary of their values.

    Parameters
    ----------
    wanted
        Columns to read, each of which must be plain; None takes all those that are.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            schema, rows = file.schema_arrow, file.metadata.num_rows
        _check_names(path, schema.names, expected="columns of plain cells", error=error)
        if rows > MAX_ROWS:
            raise error(f"{path}: {rows} rows; at most {MAX_ROWS} are read: split the table by task")
        for name in wanted or ():
            if name in schema.names and not is_plain(schema.field(name).type):
                raise error(
                    f"{path}: column {name!r} holds {schema.field(name).type}; expected text, numbers or booleans: convert it"
                )
        names = [name for name in schema.names if is_plain(schema.field(name).type) and (not wanted or name in wanted)]
        texts = [name for name in names if not _is_number(schema.field(name).type)]
        with pq.ParquetFile(path, read_dictionary=texts) as file:
            table = file.read(columns=names).select(names)
        table.validate(full=True)  # early pyarrow does not look whether codes of a damaged file are in their dictionary
    except (pa.ArrowException, OSError, ValueError, OverflowError) as err:
        raise error(
            f"{path}: not a Parquet file that can be read ({' '.join(str(err).split())[:200]}); expected a whole one: write it "
            "again, or name it by what it is"
        ) from err
    if names and table.num_rows != rows:
        raise error(
            f"{path}: damaged: promises {rows} rows and holds {table.num_rows}; expected as many: write it again"
        )
    return table.replace_schema_metadata(None)


def cells_of(column: Any) -> list[Cell]:  # noqa: ANN401
    """Return the cells of a column of an Arrow table; equal texts of a dictionary are one object, however many."""
    import pyarrow as pa

    cells: list[Cell] = []
    for chunk in column.chunks:
        if pa.types.is_dictionary(chunk.type):
            values = [*chunk.dictionary.to_pylist(), None]
            cells += [values[-1 if code is None else code] for code in chunk.indices.to_pylist()]
        else:
            cells += chunk.to_pylist()
    return cells


def _content(path: Path | Traversable, *, expected: str, error: type[BigbenchMetaError]) -> bytes:
    ending = path.name.rpartition(".")[2].lower()
    most = MAX_BYTES + 1
    try:
        with path.open("rb") as stream:
            if ending == "gz":
                content = gzip.GzipFile(fileobj=stream).read(most)
            else:
                content = (
                    lzma.LZMAFile(stream).read(most) if ending == "xz" else stream.read(most)  # noqa: SIM115 - closed with its file
                )
    except _DAMAGE as err:
        raise error(f"{path}: packed data is damaged ({err}); expected {expected}: get the file again") from err
    except OSError as err:
        raise error(f"{path}: cannot be read as CSV: {err.strerror or err}; expected {expected}") from err
    if len(content) > MAX_BYTES:
        raise error(f"{path}: more than {MAX_BYTES} bytes; expected fewer: split the table by task")
    return content


def _text(path: Path | Traversable, content: bytes, *, expected: str, error: type[BigbenchMetaError]) -> str:
    for beginning, kind in _KINDS.items():
        if content.startswith(beginning):
            raise error(
                f"{path}: cannot be read as CSV: it is {kind} by its content; expected {expected}: name it by what it is"
            )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        line = content.count(b"\n", 0, err.start) + 1
        raise error(
            f"{path}: cannot be read as CSV: not UTF-8 ({err.reason} in line {line}); expected {expected}: save it as UTF-8"
        ) from err


def _line_of(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _check_names(
    path: Path | Traversable, names: Sequence[str], *, expected: str, error: type[BigbenchMetaError], mark: str = ","
) -> None:
    if not names:
        raise error(f"{path}: cannot be read as CSV: it is empty; expected {expected}")
    if len(names) == 1 and (
        marks := [word for other, word in _OTHER_MARKS.items() if other in names[0] and other != mark]
    ):
        raise error(f"{path}: cells are separated by {marks[0]}; expected {expected}, with commas between: save it so")
    if len(names) > MAX_COLUMNS:
        raise error(f"{path}: {len(names)} columns; expected {expected}, and at most {MAX_COLUMNS} columns")
    repeated = [name for name, times in Counter(names).items() if times > 1]
    if repeated:
        raise error(f"{path}: column {shown(repeated[0])} stands more than once in the header; name each column once")


def _is_number(kind: Any) -> bool:  # noqa: ANN401
    from pyarrow import types

    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_null(kind))


def is_plain(kind: Any) -> bool:  # noqa: ANN401
    """Say whether a column of this Arrow type holds plain cells: texts, numbers or booleans."""
    from pyarrow import types

    value = kind.value_type if types.is_dictionary(kind) else kind
    return bool(_is_number(value) or types.is_string(value) or types.is_large_string(value))
