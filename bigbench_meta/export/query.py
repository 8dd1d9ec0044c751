"""Pick rows before they are exported: by conditions on any column, or by SQL."""

from __future__ import annotations

import operator
import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bigbench_meta.errors import OutputError, missing_extra
from bigbench_meta.facts.metrics import metric_key
from bigbench_meta.values import as_number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

# What a statement may give for a cell that no format of a table here holds: lists, structures, bytes.
_NO_CELLS = (list, dict, tuple, np.ndarray, bytes, bytearray)
_CONDITION = re.compile(r"(?P<column>[^=<>!]+)(?P<sign>!=|<=|>=|=|<|>)(?P<value>.*)", re.DOTALL)
_SHOWN = 5  # values of a column that a message names
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq, "!=": operator.ne,
}  # fmt: skip
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_MISSING = ("", "missing")


class _Condition(NamedTuple):
    text: str
    column: str
    sign: str
    value: str


def select(frame: pd.DataFrame, query: Sequence[str]) -> pd.DataFrame:
    """Rows of ``frame`` that fit every condition such as ``"metric=exact_str_match"`` or ``"q_sharp<=0.05"``.

    Any column may be named, with ``=``, ``!=``, ``<``, ``<=``, ``>`` or ``>=``. A text may hold ``*`` and ``?``; truth values
    are ``true`` and ``false``; ``missing`` fits what is undefined, which fits nothing else. Several conditions with ``=`` on one
    column are alternatives, all others must hold together. A metric may be named by an alias
    (`bigbench_meta.facts.metrics.ALIASES`).

    Raises
    ------
    OutputError
        If a condition is not of that form, names a column that the table does not have, compares text by size, or fits no row.
    """
    import pandas as pd

    conditions = [_parsed(text, frame) for text in query]
    keep = pd.Series(data=True, index=frame.index)
    for column in dict.fromkeys(condition.column for condition in conditions):
        alternatives = [each for each in conditions if each.column == column and each.sign == "="]
        together = [each for each in conditions if each.column == column and each.sign != "="]
        if alternatives:
            fits = pd.Series(data=False, index=frame.index)
            for condition in alternatives:
                fits |= _fits(frame[column], condition)
            if not fits.any():
                wanted = " or ".join(condition.value for condition in alternatives)
                raise OutputError(f"no row has {column} = {wanted}; {_some(frame[column])}")
            keep &= fits
        for condition in together:
            keep &= _fits(frame[column], condition)
    if query and not keep.any():
        raise OutputError(f"no row fits {' and '.join(query)} together; ask for less")
    return frame[keep].reset_index(drop=True)


def _parsed(text: str, frame: pd.DataFrame) -> _Condition:
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise OutputError(
            f"query {text!r} is not understood; expected COLUMN=VALUE, or another of != < <= > >= in the place of =, with one of "
            f"{', '.join(map(str, frame.columns))}"
        )
    column, value = found["column"].strip(), found["value"].strip()
    if column not in frame.columns:
        raise OutputError(
            f"query {text!r}: this table has no column {column!r}; it has {', '.join(map(str, frame.columns))}"
        )
    if column == "metric":
        value = metric_key(value, known=set(frame[column].astype(str)))
    return _Condition(text, column, found["sign"], value)


def _fits(column: pd.Series, condition: _Condition) -> pd.Series:
    """Which cells fit one condition; what is missing fits only ``=missing`` and, but for texts, nothing else."""
    import pandas as pd

    _, _, sign, value = condition
    if value in _MISSING and sign in ("=", "!="):
        empty = column.isna() | (column.astype(str) == "")
        return empty if sign == "=" else ~empty
    if pd.api.types.is_bool_dtype(column.dtype):
        if sign not in ("=", "!=") or value.lower() not in _TRUTH:
            raise OutputError(
                f"query {condition.text!r}: {condition.column} is true or false; expected {condition.column}=true"
            )
        same: pd.Series = _COMPARE[sign](column, _TRUTH[value.lower()])
        return same.fillna(value=False).astype(bool)
    if pd.api.types.is_numeric_dtype(column.dtype):
        wanted = as_number(value)
        if wanted is None:
            raise OutputError(
                f"query {condition.text!r}: {condition.column} holds numbers; expected one, as in {condition.column}<=0.05"
            )
        compared: pd.Series = _COMPARE[sign](column, wanted)
        return compared.fillna(value=False).astype(bool) & column.notna()
    if sign not in ("=", "!="):
        raise OutputError(
            f"query {condition.text!r}: {condition.column} holds text, which has no size; expected = or !="
        )
    texts = column.astype(str)
    fit = {each: fnmatchcase(each, value) for each in texts.unique()}
    matches = texts.map(fit).astype(bool)
    return matches if sign == "=" else ~matches


def _some(column: pd.Series) -> str:
    values = sorted(map(str, column.dropna().unique()))
    return f"the table has {len(values)} others, such as {', '.join(values[:_SHOWN])}"


def sql(tables: Mapping[str, pd.DataFrame], statement: str) -> pd.DataFrame:
    """Result of one SQL statement over the tables, by their names, with DuckDB.

    The statement sees the tables only: it can open no file, load no extension and reach no network.

    Raises
    ------
    MissingExtraError
        If DuckDB is not installed.
    OutputError
        If DuckDB refuses the statement.
    """
    try:
        import duckdb
    except ModuleNotFoundError as err:
        raise missing_extra("SQL over the tables needs DuckDB", "sql") from err
    with duckdb.connect(":memory:") as connection:
        for name, frame in tables.items():
            connection.register(name, frame)
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        try:
            statements = connection.extract_statements(statement)
            if [part.type for part in statements] != [duckdb.StatementType.SELECT]:
                raise OutputError("SQL is refused: expected one SELECT statement")
            result: pd.DataFrame = connection.execute(statements[0]).df()
        except duckdb.Error as err:
            raise OutputError(f"SQL is refused: {err}; the tables are {', '.join(sorted(tables))}") from err
    odd = [name for name in result if result[name].map(lambda cell: isinstance(cell, _NO_CELLS)).any()]
    if odd or not result.columns.is_unique:
        raise OutputError(
            f"SQL gives columns {', '.join(map(str, odd or result.columns))}; expected numbers, truth values, times and text, each under "
            "a name of its own. Unnest lists and structures or cast them to VARCHAR, and name columns with AS"
        )
    return result
