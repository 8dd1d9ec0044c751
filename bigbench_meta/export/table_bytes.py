"""One table to the bytes of one file, the same bytes every time: CSV and Parquet, and back."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Literal

from bigbench_meta import schema
from bigbench_meta.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pandas as pd

# Table name in the run folder -> its definition; a table without one keeps the order its maker gave it.
_KNOWN = {"results": schema.RESULTS, "curves": schema.CURVES_ANALYZED, "problems": schema.PROBLEMS}

# Columns of any table that hold names from data: text, though every name in them may look like a number or a date.
_NAMES = frozenset({
    "task", "subtask", "family", "model", "metric", "metrics", "hard", "soft", "claim_family", "comparison", "strata",
    "file", "where", "constant_answer",
})  # fmt: skip

# A cell that a spreadsheet would run as a formula starts with one of these (OWASP, "CSV Injection").
# Space and what cannot be seen before it are passed over; a reader that takes ';', a tab or '|' for the separator begins a
# cell behind one. What is looked over ends at the next of these, so that the time does not grow with the square of a name.
_PASSED_OVER = r"\x00-\x08\x0b\x0c\x0e-\x20\x7f-\xa0\u1680\u2000-\u200f\u2028-\u202f\u205f-\u2069\u3000\ufeff"
_FORMULA = re.compile(rf"(^|[;\t\r\n|])(?=[\t\r\n]|[{_PASSED_OVER}]*[=+\-@＝＋－＠])")


def known_table(name: str) -> schema.Table | None:
    """The definition of the table ``name`` of a run folder, if it has one."""
    return _KNOWN.get(name)


def sorted_by_key(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of ``frame`` in the order of the key of table ``name``, index renumbered.

    Text sorts by code point whatever the order of its categories. A table without a key (problems) sorts by all
    its columns; a table that is not defined in :mod:`bigbench_meta.schema` keeps its order.
    """
    table = _KNOWN.get(name)
    if table is None:
        return frame.reset_index(drop=True)
    columns = [column for column in (table.key or table.names) if column in frame.columns]
    return frame.sort_values(columns, kind="stable", key=_plain, ignore_index=True)


def csv_bytes(name: str, frame: pd.DataFrame, *, spreadsheet_safe: bool = False) -> bytes:
    r"""CSV of one table: UTF-8, ``\n``, shortest digits that round-trip, rows sorted by key, NaN empty.

    Parameters
    ----------
    name : str
        Table name in the run folder, such as ``"curves"``; it decides the key.
    frame : DataFrame
        The table. It is not modified.
    spreadsheet_safe : bool
        Put a ``'`` before text that a spreadsheet would run as a formula (text columns and headers only; numbers
        stay as they are), also behind what a spreadsheet may take for a separator. Such a file no longer round-trips, so it is not the default.
    """
    frame = sorted_by_key(name, frame)
    if spreadsheet_safe:
        frame = frame.rename(columns=_disarm)
        texts = [column for column in frame.columns if _is_text(frame[column])]
        frame = frame.assign(**{column: frame[column].astype(object).map(_disarm) for column in texts})
    # A lone carriage return ends a line for many readers; the writer quotes it only if told to quote all text.
    quoting: Literal[0, 2] = (
        2 if any("\r" in text for text in _texts(frame)) else 0
    )  # csv.QUOTE_NONNUMERIC, QUOTE_MINIMAL
    text: str = frame.to_csv(index=False, lineterminator="\n", quoting=quoting)
    return text.encode("utf-8", "backslashreplace")


def parquet_bytes(name: str, frame: pd.DataFrame) -> bytes:
    """Parquet (zstd) of one table, rows sorted by key, categories sorted, no index."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    frame = sorted_by_key(name, frame)
    for column in frame.columns:
        if isinstance(frame[column].dtype, pd.CategoricalDtype):
            used = frame[column].cat.remove_unused_categories()
            frame[column] = used.cat.reorder_categories(sorted(used.cat.categories))
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), sink, compression="zstd")
    return sink.getvalue()


def read_table(path: Path) -> pd.DataFrame:
    """Read a table of the run folder back, with the dtypes of its definition.

    Raises
    ------
    OutputError
        If the file is damaged.
    """
    try:
        return table_of_bytes(path.name, path.read_bytes())
    except (ValueError, OSError) as err:
        raise OutputError(
            f"cannot read {path}: {err}; expected a table written by bigbench-meta. Run the analysis again"
        ) from err


def table_of_bytes(file_name: str, content: bytes) -> pd.DataFrame:
    """The table that `csv_bytes` or `parquet_bytes` wrote as ``content``; ``file_name`` says which, and of what kind.

    Whole numbers and truth values stay what they are where some are missing: a count never becomes 63.0. A column
    without any value is a column of undefined numbers.
    """
    import pandas as pd
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    name, _, suffix = file_name.rpartition(".")
    if suffix == "parquet":
        return pd.read_parquet(io.BytesIO(content))
    if not content.strip():
        return pd.DataFrame()  # a table without columns
    table = _KNOWN.get(name)
    arrow = {"float": pa.float64(), "int": pa.int64(), "bool": pa.bool_(), "boolean": pa.bool_()}
    known = table.columns if table else {}
    read = arrow_csv.read_csv(
        io.BytesIO(content),
        parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(_NAMES, pa.string())
            | {column: arrow.get(word, pa.string()) for column, word in known.items()},
            null_values=[""],
            strings_can_be_null=True,
        ),
    )
    if len(set(read.column_names)) < len(read.column_names):
        raise ValueError("a column stands in it twice")
    with_gaps = {column for column, values in zip(read.column_names, read.columns, strict=True) if values.null_count}
    nullable = {
        column: "Int64" if pa.types.is_integer(read.schema.field(column).type) else "boolean"
        for column in with_gaps
        if pa.types.is_integer(read.schema.field(column).type) or pa.types.is_boolean(read.schema.field(column).type)
    }
    whole = read.drop_columns(list(nullable)).to_pandas()
    for column, word in nullable.items():
        whole[column] = pd.array(read.column(column).to_pylist(), dtype=word)
    empty = [field.name for field in read.schema if pa.types.is_null(field.type)]
    frame: pd.DataFrame = whole[read.column_names].astype(dict.fromkeys(empty, "float64"))
    texts = [column for column, word in known.items() if column in frame and word in {"category", "str"}]
    frame = frame.assign(**{column: frame[column].fillna("") for column in texts})  # no text is written as nothing
    return frame.astype({c: word for c, word in known.items() if c in frame and word in {"category", "boolean"}})


def _plain(column: pd.Series) -> pd.Series:
    return column.astype(object) if _is_text(column) else column


def _texts(frame: pd.DataFrame) -> Iterator[str]:
    for name in frame.columns:
        if _is_text(frame[name]):
            yield from (cell for cell in frame[name].unique() if isinstance(cell, str))


def _is_text(column: pd.Series) -> bool:
    import pandas as pd

    return isinstance(column.dtype, pd.CategoricalDtype | pd.StringDtype) or column.dtype == object


def _disarm(cell: object) -> object:
    return _FORMULA.sub(r"\1'", cell) if isinstance(cell, str) else cell
