"""Parquet from elsewhere, and cache files made by somebody else: plain columns or a clear error, and nothing is unpickled."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from score_files import document, entry, put

from bigbench_meta.errors import LoadError
from bigbench_meta.loader import load_results, table_cache

if TYPE_CHECKING:
    from pathlib import Path

# What PyArrow before 21 says when it declines to load a type by a pickle, before it gives the column a type of its own.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore:pyarrow.PyExtensionType:FutureWarning")

PLAIN = {"task": ["t"] * 3, "metric": ["bleu"] * 3, "family": ["f"] * 3, "model": ["a", "b", "c"],
         "scale": [1.0, 2.0, 3.0], "score": [0.1, 0.2, 0.4]}  # fmt: skip


class Runs:
    """Makes a file when unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = str(mark)

    def __reduce__(self):
        return os.mkdir, (self.mark,)


def with_pickles(mark: Path) -> pa.Table:
    """A table whose score column says of itself, in every way known, that a pickle has to be loaded to read it."""
    table = pa.table(PLAIN)
    harm = pickle.dumps(Runs(mark))
    about = {
        b"ARROW:extension:name": b"arrow.py_extension_type",
        b"ARROW:extension:metadata": harm,
    }
    fields = [field.with_metadata(about) if field.name == "score" else field for field in table.schema]
    pandas = {
        "index_columns": ["nowhere"],
        "column_indexes": [],
        "columns": [{"name": "score", "field_name": "score", "pandas_type": "object", "numpy_type": "object",
                     "metadata": {"encoding": "pickle", "pickle": harm.hex()}}],
        "creator": {"library": "pyarrow", "version": "0"},
        "pandas_version": "0",
    }  # fmt: skip
    return table.cast(pa.schema(fields, metadata={b"pandas": json.dumps(pandas).encode(), b"pickle": harm}))


def test_columns_that_ask_for_a_pickle(tmp_path):
    """Extension types and pandas' notes with pickles inside are plain columns or refused; nothing is run."""
    path, mark = tmp_path / "x.parquet", tmp_path / "ran"
    pq.write_table(with_pickles(mark), path)
    try:
        assert list(load_results(path).frame["score"]) == [0.1, 0.2, 0.4]
    except LoadError as err:
        assert "expected text, numbers or booleans" in str(err)  # noqa: PT017 - either is right
    assert not mark.exists()


@pytest.mark.parametrize(
    "column",
    [
        pa.array([pickle.dumps(1.0)] * 3, pa.binary()),
        pa.array([[1.0], [2.0], [3.0]]),
        pa.array([{"a": 1.0}] * 3),
        pa.array([b"abcd"] * 3, pa.binary(4)),
        pa.array([1, 2, 3], pa.duration("s")),
        pa.DictionaryArray.from_arrays(pa.array([0, 0, 0]), pa.array([b"x"], pa.binary())),
        pa.array([[("k", 1.0)]] * 3, pa.map_(pa.string(), pa.float64())),
    ],
    ids=lambda column: str(column.type),
)
def test_columns_that_are_not_plain(tmp_path, column):
    """Bytes, lists, objects and times cannot stand for scores; the error names the column, its type and what is read."""
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({**PLAIN, "score": column}), path)
    with pytest.raises(LoadError, match=r"x\.parquet: column 'score' holds .*; expected text, numbers or booleans"):
        load_results(path)


@pytest.mark.parametrize("size", [0, 4, 8, 200])
def test_parquet_that_is_cut_off(tmp_path, size):
    """The start of a Parquet file is no Parquet file."""
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table(PLAIN), path)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(LoadError, match=r"x\.parquet: not a Parquet file that can be read"):
        load_results(path)


def test_parquet_that_promises_many_rows(tmp_path, monkeypatch):
    """The number of rows is limited before any is read."""
    monkeypatch.setattr("bigbench_meta.table_files.MAX_ROWS", 2)
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table(PLAIN), path)
    with pytest.raises(LoadError, match=r"x\.parquet: 3 rows; at most 2 are read"):
        load_results(path)


def as_parquet(table: pa.Table) -> bytes:
    """The table as bytes of Parquet."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes()


NAMES = json.dumps({"names": {}, "problems": [], "files": 2, "on_disk": 2}).encode()


@pytest.mark.parametrize(
    "forged",
    [
        lambda mark: b"not Parquet at all",
        lambda mark: pickle.dumps(Runs(mark)),
        lambda mark: as_parquet(with_pickles(mark)),
        lambda mark: as_parquet(with_pickles(mark).replace_schema_metadata({b"bigbench_meta": NAMES})),
        lambda mark: as_parquet(pa.table(PLAIN).replace_schema_metadata({b"bigbench_meta": b"{"})),
        lambda mark: as_parquet(pa.table(PLAIN).replace_schema_metadata({b"bigbench_meta": b"[1]"})),
    ],
    ids=["text", "pickle", "extension", "extension and names", "no JSON", "other JSON"],
)
def test_cache_file_of_somebody_else(tmp_path, monkeypatch, forged):
    """A file under a right name with a right digest that is no table of ours is made again; nothing in it is run."""
    monkeypatch.setattr(table_cache, "_MIN_FILES", 0)
    monkeypatch.setattr(table_cache, "_SETTLED_SECONDS", -60.0)
    put(tmp_path / "root", document(entry("a", bleu="1.5")))

    def load():
        results = load_results(tmp_path / "root", cache_dir=tmp_path / "cache")
        for writer in list(table_cache._writing.values()):
            writer.join()
        return results

    fresh = load()
    (table,) = (tmp_path / "cache/results").glob("*.table")
    whole, mark = table.read_bytes(), tmp_path / "ran"
    body = forged(mark)
    table.write_bytes(hashlib.blake2b(body, digest_size=32).digest() + body)
    again = load()
    assert again.frame.equals(fresh.frame)
    assert not mark.exists()
    assert table.read_bytes() == whole
