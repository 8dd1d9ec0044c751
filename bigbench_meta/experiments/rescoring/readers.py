"""Items of any file of model outputs: BIG-bench full logs, JSON Lines, CSV and Parquet; one after the other.

The kind of a JSON file is seen in its first object, not in its name. ``.gz`` and ``.xz`` are unpacked as they are read,
so a small file cannot fill the memory.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import gzip
import json
import lzma
import zlib
from collections import Counter
from functools import partial
from typing import IO, TYPE_CHECKING, Any, cast

from bigbench_meta.errors import LoadError
from bigbench_meta.experiments.rescoring.full_logs import log_items, read_head, recorded_scores
from bigbench_meta.experiments.rescoring.harness_samples import SAMPLE_KEY, item_of_sample, origin_of
from bigbench_meta.experiments.rescoring.json_stream import VALUE_CHARS, JsonStream, JsonStreamError, unambiguous
from bigbench_meta.experiments.rescoring.scored_items import RECORD_FIELDS, FieldError, Item, as_name, item_of_record
from bigbench_meta.loader.columns import Problem
from bigbench_meta.table_files import cells_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from bigbench_meta.experiments.rescoring.checks import RecordedScore

# Rows of a Parquet file held at once.
_TABLE_ROWS = 20_000
# Fields of a table whose cells are lists; a CSV writes them as JSON.
_LIST_FIELDS = ("targets", "target_logprobs", "options", "option_scores", "correct")
_FIELDS = frozenset(
    ["task", "subtask", "family", "model", "scale", "total_params", "non_embedding_params", "shots", "target", "targets",
     "output", "target_logprobs", "options", "option_scores", "correct"]
)  # fmt: skip
_DAMAGE = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)


class OwnNames:
    """What files call the fields of their records, and which of these names any record has.

    Parameters
    ----------
    names
        Field of a record -> what the files call it, where that is another name.
    """

    def __init__(self, names: Mapping[str, str] | None = None) -> None:
        self._field = {theirs: field for field, theirs in (names or {}).items()}
        self._met: set[str] = set()

    def field(self, name: str) -> str:
        """Return the field that a file means by a name; a field's own name means nothing where another stands for it."""
        if name in self._field:
            self._met.add(name)
            return self._field[name]
        return f"not read: {name}" if name in self._field.values() else name

    def record(self, record: object) -> object:
        """Give a record's fields the names that are used here."""
        if not self._field or not isinstance(record, dict):
            return record
        return {self.field(key): value for key, value in record.items()}

    def unmet(self) -> dict[str, str]:
        """Return field -> name for the names that no record read so far has."""
        return {field: theirs for theirs, field in self._field.items() if theirs not in self._met}


def read_items(path: Path, *, names: OwnNames | None = None) -> Iterator[Item | Problem | RecordedScore]:
    """Yield the items of one file in order, with a problem for everything that is not one, after a log's own scores.

    Parameters
    ----------
    path
        A BIG-bench full log (one JSON object with ``queries``), JSON Lines or one JSON array of records, or a CSV or Parquet table with
        the records' fields as columns; JSON and CSV may be packed by gzip or xz. A file that ends or breaks early
        gives the items before the break and one problem.
    names
        What the file calls its fields, where these are other names; it takes note of those that are there.

    Raises
    ------
    LoadError
        If the file cannot be opened at all.
    """
    try:
        with path.open("rb"):
            pass
    except OSError as err:
        raise LoadError(f"{path}: {err.strerror}; expected a readable file of model outputs") from err
    own = OwnNames() if names is None else names
    kinds: dict[str, Callable[[Path, OwnNames], Iterator[Item | Problem | RecordedScore]]] = {
        ".csv": _csv_items,
        ".parquet": _parquet_items,
    }
    suffix = path.with_suffix("").suffix if path.suffix in (".gz", ".xz") else path.suffix
    read = kinds.get(suffix.lower(), _json_items)
    try:
        yield from read(path, own)
    except JsonStreamError as err:
        where = f"character {err.fault.position}"
        yield Problem(
            as_name(str(path)), where, err.fault.message, "JSON as BIG-bench writes it", "rest of the file left out"
        )
    except FieldError as err:
        yield Problem(as_name(str(path)), "file", err.problem, err.expected, "file left out")
    except UnicodeDecodeError as err:
        yield Problem(
            as_name(str(path)), "file", f"not UTF-8: {err.reason}", "text in UTF-8", "rest of the file left out"
        )
    except _DAMAGE as err:  # before OSError, of which one of these is a kind
        yield Problem(
            as_name(str(path)),
            "file",
            f"packed data is damaged: {err}",
            "a whole gzip or xz file",
            "rest of the file left out",
        )
    except OSError as err:
        why = f"cannot be read: {err.strerror or err}"
        yield Problem(as_name(str(path)), "file", why, "a readable file", "rest of the file left out")


# How a packed file is opened, by its ending.
_OPENERS: Mapping[str, Callable[..., IO[Any]]] = {".gz": gzip.open, ".xz": lzma.open}


def _opened(path: Path, *, errors: str = "strict") -> IO[str]:
    return cast("IO[str]", _OPENERS.get(path.suffix, open)(path, "rt", encoding="utf-8-sig", errors=errors, newline=""))


def _json_items(path: Path, own: OwnNames) -> Iterator[Item | Problem | RecordedScore]:
    kind = _kind(path)
    if kind == "log":
        head = read_head(lambda: _opened(path))
        yield from recorded_scores(head)
        yield from log_items(lambda: _opened(path), head, file=as_name(str(path)))
        return
    if kind == "array":
        with _opened(path) as stream:
            yield from _array_items(JsonStream(stream), path, own)
        return
    # bytes, so that a line that is not UTF-8 costs that line only
    with _OPENERS.get(path.suffix, open)(path, "rb") as lines:
        if kind == "samples":
            yield from _line_items(lines, path, OwnNames(), make=partial(item_of_sample, origin=origin_of(path)))
        else:
            yield from _line_items(lines, path, own, make=item_of_record)


def _kind(path: Path) -> str:
    """``log``, ``array``, ``samples`` or ``lines``: by keys of the first object that a record of outputs has not."""
    with contextlib.suppress(JsonStreamError, *_DAMAGE), _opened(path, errors="replace") as stream:
        text = JsonStream(stream)
        if text.peek() == "[":
            return "array"
        if text.peek() == "{":
            for key in text.keys():  # noqa: SIM118 - not a mapping
                if key in ("queries", "scores"):
                    return "log"
                if key == SAMPLE_KEY:
                    return "samples"
                # a record names its model by a text, a log describes it by an object
                if key in ("model", "task") and text.peek() == "{":
                    return "log"
                text.skip()
    return "lines"


def _array_items(text: JsonStream, path: Path, own: OwnNames) -> Iterator[Item | Problem | RecordedScore]:
    for number in text.elements():
        try:
            yield item_of_record(own.record(text.value()), index=number, task=_name(path))
        except FieldError as err:
            yield Problem(as_name(str(path)), f"element {number}", err.problem, err.expected, "element left out")
    text.end()


def _line_items(
    stream: IO[bytes], path: Path, own: OwnNames, *, make: Callable[..., Item]
) -> Iterator[Item | Problem | RecordedScore]:
    number = 0
    while line := stream.readline(VALUE_CHARS):
        number += 1
        line = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
        where = f"line {number}"
        if not line.endswith(b"\n") and len(line) >= VALUE_CHARS:
            yield Problem(
                as_name(str(path)), where, f"longer than {VALUE_CHARS} bytes", "one record a line", "line left out"
            )
            while (rest := stream.readline(VALUE_CHARS)) and not rest.endswith(b"\n"):
                pass
            continue
        if not line.strip():
            continue
        try:
            record = own.record(json.loads(line.decode("utf-8"), object_pairs_hook=unambiguous))
            yield make(record, index=number - 1, task=_name(path))
        except FieldError as err:
            yield Problem(as_name(str(path)), where, err.problem, err.expected, "line left out")
        except RecursionError:
            yield Problem(as_name(str(path)), where, "nested too deeply", "one JSON object a line", "line left out")
        except UnicodeDecodeError as err:
            yield Problem(as_name(str(path)), where, f"not UTF-8: {err.reason}", "text in UTF-8", "line left out")
        except ValueError as err:
            yield Problem(as_name(str(path)), where, f"not JSON: {err}", "one JSON object a line", "line left out")


def _csv_items(path: Path, own: OwnNames) -> Iterator[Item | Problem | RecordedScore]:
    with _opened(path) as stream, _long_cells():
        rows = csv.reader(stream, strict=True)
        try:
            names = [own.field(name) for name in next(rows, [])]
            _check_columns(names)
            for number, cells in enumerate(filter(None, rows)):
                try:
                    yield item_of_record(_record_of(names, cells), index=number, task=_name(path))
                except FieldError as err:
                    where = f"line {rows.line_num}"
                    yield Problem(as_name(str(path)), where, err.problem, err.expected, "row left out")
        except csv.Error as err:
            where = f"line {rows.line_num}"
            yield Problem(as_name(str(path)), where, str(err), "CSV with a header", "rest of the file left out")


def _record_of(names: Sequence[str], cells: Sequence[str]) -> dict[str, object]:
    if len(cells) != len(names):
        raise FieldError(f"{len(cells)} cells for {len(names)} columns", "a cell for each column")
    return {name: _cell(name, text) for name, text in zip(names, cells, strict=True)}


@contextlib.contextmanager
def _long_cells() -> Iterator[None]:
    """Let Python's reader of CSV take cells as long as any other value; its own limit is below the longest outputs."""
    usual = csv.field_size_limit(VALUE_CHARS)
    try:
        yield
    finally:
        csv.field_size_limit(usual)


def _parquet_items(path: Path, own: OwnNames) -> Iterator[Item | Problem | RecordedScore]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as table:
            schema = table.schema_arrow
        texts = [
            field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
        ]
        # A long text that every row repeats is in the file once, and so it is in memory.
        with pq.ParquetFile(path, read_dictionary=texts) as table:
            names = {name: own.field(name) for name in table.schema_arrow.names}
            _check_columns([names[name] for name in table.schema_arrow.names])
            # Others may hold anything, such as dates beyond Python's.
            wanted = [name for name, field in names.items() if field in _FIELDS]
            start = 0
            for batch in table.iter_batches(batch_size=_TABLE_ROWS, columns=wanted):
                fields = [names[name] for name in batch.schema.names]
                columns = [cells_of(column) for column in pa.Table.from_batches([batch]).columns]
                for number, row in enumerate(zip(*columns, strict=True), start):
                    try:
                        yield item_of_record(dict(zip(fields, row, strict=True)), index=number, task=_name(path))
                    except FieldError as err:
                        where = f"row {number + 1}"
                        yield Problem(as_name(str(path)), where, err.problem, err.expected, "row left out")
                start += batch.num_rows
    except (pa.ArrowException, OSError, OverflowError, UnicodeDecodeError) as err:
        yield Problem(as_name(str(path)), "file", f"not Parquet: {err}", "a Parquet table", "rest of the file left out")


def _check_columns(columns: list[str]) -> None:
    repeated = [name for name, times in Counter(columns).items() if times > 1]
    if repeated:
        raise FieldError(f"the column {repeated[0]:.60} stands more than once", "each column once")
    missing = [name for name in ("model",) if name not in columns]
    if "target" not in columns and "targets" not in columns and "options" not in columns:
        missing.append("target")
    if missing:
        has = ", ".join(columns)
        raise FieldError(f"no column {' and no column '.join(missing)} among {has:.300}", "columns " + RECORD_FIELDS)


def _cell(column: str, text: str) -> object:
    """One CSV cell: empty is missing, except for texts; lists are JSON; numbers are numbers."""
    if column in ("target", "output", "input"):
        return text
    if not text:
        return None
    if column in _LIST_FIELDS:
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(text)
        return text
    if column in ("scale", "shots", "total_params", "non_embedding_params"):
        try:
            return float(text)
        except ValueError as err:
            raise FieldError(f"{column} is {text!r:.60}", "a number") from err
    return text


def _name(path: Path) -> str:
    """File name without its endings: the task of records that name none."""
    return path.name.split(".")[0] or path.name
