"""Pick rows before they are exported: by task, subtask, metric, family and shots, or by SQL."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import numpy as np

from bigbench_meta.errors import OutputError, missing_extra
from bigbench_meta.facts.metrics import metric_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

# What a statement may give for a cell that no format of a table here holds: lists, structures, bytes.
_NO_CELLS = (list, dict, tuple, np.ndarray, bytes, bytearray)
QUERY_COLUMNS = ("task", "subtask", "metric", "family", "shots")


def select(frame: pd.DataFrame, query: Sequence[str]) -> pd.DataFrame:
    """Rows of ``frame`` that fit every condition such as ``"metric=exact_str_match"``.

    A value may hold ``*`` and ``?``. Several conditions on one column are alternatives. A metric may be named by an alias
    (`bigbench_meta.facts.metrics.ALIASES`).

    Raises
    ------
    OutputError
        If a condition is not of that form, names another column or one the table does not have, or fits no row.
    """
    import pandas as pd

    wanted: dict[str, list[str]] = {}
    for condition in query:
        column, sign, value = condition.partition("=")
        if not sign or column not in QUERY_COLUMNS:
            raise OutputError(
                f"query {condition!r} is not understood; expected COLUMN=VALUE with one of {', '.join(QUERY_COLUMNS)}"
            )
        if column not in frame.columns:
            raise OutputError(
                f"query {condition!r}: this table has no column {column!r}; it has {', '.join(frame.columns)}"
            )
        if column == "metric":
            value = metric_key(value, known=set(frame[column].astype(str)))
        wanted.setdefault(column, []).append(value)
    keep = pd.Series(data=True, index=frame.index)
    for column, patterns in wanted.items():
        values = frame[column].astype(str)
        fits = {value: any(fnmatchcase(value, pattern) for pattern in patterns) for value in values.unique()}
        if not any(fits.values()):
            some = ", ".join(sorted(fits)[:5])
            raise OutputError(
                f"no row has {column} = {' or '.join(patterns)}; the table has {len(fits)} others, such as {some}"
            )
        keep &= values.map(fits).astype(bool)
    return frame[keep].reset_index(drop=True)


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
