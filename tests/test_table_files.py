"""Tables of anybody, read by every function that takes one: refused in words that say where and what to do, or read whole."""

from __future__ import annotations

import gzip
import io
import lzma
import zipfile

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigbench_meta import table_files
from bigbench_meta.analysis.curves.items import ItemTable
from bigbench_meta.analysis.references import human_scores
from bigbench_meta.analysis.tasks.lengths import given_lengths as lengths_by_key
from bigbench_meta.errors import BigbenchMetaError, LoadError, TableError
from bigbench_meta.experiments.predictions.score_tables import load_curves, load_scores, read_table
from bigbench_meta.experiments.vision.outcomes_table import read_results
from bigbench_meta.facts.metrics import metrics
from bigbench_meta.loader import load_results
from bigbench_meta.loader.side_tables import given_items, given_lengths

READERS = {
    "results": load_results,
    "items": given_items,
    "lengths": given_lengths,
    "human scores": human_scores,
    "metrics": metrics,
    "vision": read_results,
    "predictions": read_table,
}
PLAIN = b"task,metric,family,model,scale,score,direction,n_items\nt,bleu,F,a,1000,0.5,higher,10\n"


def parquet_bytes() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"task": ["t"]}), sink)
    return sink.getvalue()


def zip_bytes() -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("a.csv", PLAIN)
    return sink.getvalue()


HOSTILE = {
    "empty": (b"", "it is empty; expected "),
    "only a mark": (b"\xef\xbb\xbf", "it is empty; expected "),
    "only line ends": (b"\n\n\n", "it is empty; expected "),
    "NUL": (PLAIN + b"t\0,a,b,c,1,2,higher,3\n", "line 3 holds a NUL character; expected .*: save it as UTF-8"),
    "no UTF-8": (
        PLAIN + b"\xff,a,b,c,1,2,higher,3\n",
        "not UTF-8 .invalid start byte in line 3.; expected .*save it as",
    ),
    "UTF-16": (PLAIN.decode().encode("utf-16"), "not UTF-8 .* in line 1"),
    "Latin-1": (PLAIN.replace(b"bleu", "blöu".encode("latin-1")), "not UTF-8 .* in line 2"),
    "open quotation": (PLAIN + b'"t,a,b,c,1,2,higher,3\n', "line 3: unexpected end of data; .*correct that line"),
    "quotation inside": (PLAIN + b'"t"x,a,b,c,1,2,higher,3\n', "line 3: .*correct that line"),
    "a cell of a megabyte": (
        PLAIN + b"t" * 1_000_000 + b",a,b,c,1,2,higher,3\n",
        "line 3: field larger than field limit",
    ),
    "short row": (PLAIN + b"t,a\n", "line 3 has 2 cells and the header has 8; expected as many, with quotation marks"),
    "thousands": (PLAIN + b"t,a,b,c,1,000,2,higher,3\n", "line 3 has 9 cells and the header has 8"),
    "semicolons": (
        PLAIN.replace(b",", b";"),
        "cells are separated by semicolons; expected .*, with commas between: save it so",
    ),
    "tabs": (PLAIN.replace(b",", b"\t"), "cells are separated by tabs; expected"),
    "column twice": (PLAIN.replace(b"metric", b"task"), 'column "task" stands more than once in the header; name each'),
    "many columns": (b",".join(b"%d" % n for n in range(10_001)) + b"\n", "10001 columns; expected .* at most 10000"),
    "Parquet": (parquet_bytes(), "it is Parquet by its content; expected .*: name it by what it is"),
    "gzip": (gzip.compress(PLAIN), "it is a gzip file by its content"),
    "xz": (lzma.compress(PLAIN), "it is an xz file by its content"),
    "zip": (zip_bytes(), "it is a zip file or spreadsheet by its content"),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("case", HOSTILE)
def test_refused(tmp_path, reader, case):
    """Each reader names the file and the line, says what was expected and what to do, in an error of this package."""
    content, words = HOSTILE[case]
    path = tmp_path / "theirs.csv"
    path.write_bytes(content)
    with pytest.raises((LoadError, TableError), match=rf"theirs\.csv: .*{words}|theirs\.csv: {words}"):
        READERS[reader](path)


@pytest.mark.parametrize("reader", sorted(set(READERS) - {"results"}))
@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir()], ids=["missing", "folder"])
def test_not_there(tmp_path, reader, make):
    """A file that is not there, or is a folder, is said to be so."""
    path = tmp_path / "theirs.csv"
    make(path)
    with pytest.raises(TableError, match=r"theirs\.csv: .*(No such file or directory|Is a directory); expected "):
        READERS[reader](path)


@pytest.mark.parametrize("reader", sorted(set(READERS) - {"metrics"}))  # which reads the package's own table first
def test_limits(tmp_path, monkeypatch, reader):
    """More bytes or rows than the limit are refused with the limit, before the rest is read."""
    path = tmp_path / "theirs.csv"
    path.write_bytes(PLAIN + b"t,bleu,F,b,1000,0.5,higher,10\n" * 3)
    monkeypatch.setattr(table_files, "MAX_ROWS", 3)
    with pytest.raises((LoadError, TableError), match=r"theirs\.csv: more than 3 rows; expected fewer: split"):
        READERS[reader](path)
    monkeypatch.setattr(table_files, "MAX_BYTES", 100)
    with pytest.raises((LoadError, TableError), match=r"theirs\.csv: more than 100 bytes; expected fewer: split"):
        READERS[reader](path)


@pytest.mark.parametrize(("ending", "pack"), [("gz", gzip.compress), ("xz", lzma.compress)])
def test_packed_tables(tmp_path, monkeypatch, ending, pack):
    """A table packed by gzip or xz is unpacked up to the limit; one that ends early is damaged."""
    path = tmp_path / f"theirs.csv.{ending}"
    path.write_bytes(pack(PLAIN))
    assert read_table(path)["score"].tolist() == [0.5]
    path.write_bytes(pack(PLAIN)[:-9])
    with pytest.raises(TableError, match=r"packed data is damaged .*: get the file again"):
        read_table(path)
    path.write_bytes(pack(PLAIN + b"\n" * 1_000_000))
    monkeypatch.setattr(table_files, "MAX_BYTES", 100_000)
    with pytest.raises(TableError, match="more than 100000 bytes"):
        read_table(path)


def test_names_of_tasks_stay_text(tmp_path):
    """A task that is called 007 is no number."""
    path = tmp_path / "items.csv"
    path.write_text("task,n_items\n007,10\n")
    assert given_items(path)["task"].tolist() == ["007"]


def test_odd_but_plain_csv(tmp_path):
    """A byte order mark, line ends of three kinds, blank lines, formulas, quotation marks and names beyond ASCII are read."""
    path = tmp_path / "own.csv"
    rows = [
        "=1+1,bleu,F,a,1e3,0.5\r\n",
        '"a, ""b""",bleu,F,a,1e3,1\r',
        '\n"two\nlines",bleu,F,a,1e3,inf\n',
        'é,bleu,F,a,1e3,"1,000"\n',
    ]
    path.write_bytes(("\ufefftask,metric,family,model,scale,score\n" + "".join(rows)).encode())
    results = load_results(path)
    assert sorted(results.frame["task"]) == ["=1+1", 'a, "b"', "two\nlines"]
    assert results.counts.balanced
    assert results.problems[["where", "problem"]].to_numpy().tolist() == [
        ["row 3, column score", 'the cell is "inf"'],
        ["row 4, column score", 'the cell is "1,000"'],
    ]


@given(st.text(alphabet='a1,"\n\r \t;\ufeff\x85\u2028é', max_size=60), st.booleans())
def test_any_text_is_a_table_or_refused(tmp_path_factory, text, with_header):
    """Whatever a CSV file holds, its rows add up, or it is refused as what it is: never as a fault of this package."""
    path = tmp_path_factory.mktemp("fuzz") / "own.csv"
    header = "task,metric,family,model,scale,score\n" if with_header else ""
    path.write_text(header + text, encoding="utf-8", newline="")
    try:
        results = load_results(path)
    except BigbenchMetaError as err:
        assert "fault of this package" not in str(err)  # noqa: PT017 - either is right
        assert "own.csv" in str(err)  # noqa: PT017
    else:
        assert results.counts.balanced


def test_tiny_parquet_of_many_rows(tmp_path):
    """A file of a few hundred kilobytes with a text of a megabyte in each of 20,000 rows: one text in memory."""
    path = tmp_path / "own.parquet"
    rows = 20_000
    long = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int8()), pa.array(["x" * 1_000_000]))
    columns = {"task": long, "metric": ["bleu"] * rows, "family": ["F"] * rows, "model": ["a"] * rows}
    columns |= {"scale": [1e3] * rows, "score": [float(number) for number in range(rows)]}
    pq.write_table(pa.table(columns), path, compression="zstd")
    assert path.stat().st_size < 400_000
    read = table_files.parquet_table(path, error=LoadError, wanted=["task"])
    found = table_files.cells_of(read.column("task"))
    assert len(found) == rows
    assert all(cell is found[0] for cell in found)


def test_parquet_of_everything_else(tmp_path):
    """Columns twice, other types where none is needed, and rows that are not there."""
    path = tmp_path / "own.parquet"
    pq.write_table(pa.table([pa.array([1]), pa.array([2])], names=["score", "score"]), path)
    with pytest.raises(LoadError, match=r'own\.parquet: column "score" stands more than once'):
        load_results(path)
    plain = pd.read_csv(io.BytesIO(PLAIN))
    nested = (
        pa.Table.from_pandas(plain)
        .append_column("more", pa.array([{"a": [1]}]))
        .append_column("when", pa.array([2**52], pa.timestamp("ms")))
    )
    pq.write_table(nested, path)
    assert load_results(path).counts.rows == 1
    assert "more" not in read_table(path).columns


def test_parquet_damaged_anywhere(tmp_path):
    """Flipped bytes anywhere give the table, another table of as many rows, or an error of this package."""
    path = tmp_path / "own.parquet"
    pq.write_table(pa.Table.from_pandas(pd.read_csv(io.BytesIO(PLAIN))), path)
    whole = path.read_bytes()
    for position in range(0, len(whole), 31):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x15]) + whole[position + 1 :])
        try:
            assert load_results(path).counts.balanced
        except LoadError as err:
            assert "own.parquet" in str(err)  # noqa: PT017 - either is right


@pytest.mark.parametrize(
    ("cells_of_column", "expected"),
    [
        (["1", " 2.5 ", "abc", None, ""], [1.0, 2.5, float("nan"), float("nan"), float("nan")]),
        (["9" * 400, "-" + "9" * 400, "1e999"], [float("inf"), -float("inf"), float("inf")]),
        ([10**400, -(10**400), True], [float("inf"), float("inf"), 1.0]),
        (["--inf", "+-nan", "-inf"], [float("nan"), float("nan"), -float("inf")]),
        ([1, 2], [1.0, 2.0]),
        ([True, False], [1.0, 0.0]),
    ],
)
def test_numbers_of_a_column(cells_of_column, expected):
    """Texts, numbers and truth values as floats, by hand; whole numbers of any length are infinite, not a failure."""
    # As a reader of tables gives them: early pandas does not even take such whole numbers for numbers.
    dtype = object if 10**400 in cells_of_column else None
    found = table_files.as_floats(pd.Series(cells_of_column, dtype=dtype, index=range(3, 3 + len(expected))))
    if cells_of_column[0] == 10**400:
        assert found.abs().tolist() == expected
        return
    pd.testing.assert_series_equal(found, pd.Series(expected, index=range(3, 3 + len(expected))))


HUGE = "9" * 400
TWO_SIGNS = ("--inf", "+-nan", "+-inf")


@pytest.mark.parametrize(
    ("content", "read", "said"),
    [
        ("metric,direction,low\nbleu,higher,HUGE\n", metrics, r'low "9+\.\.\. \(400 characters\) of metric "bleu" is not a finite'),
        ("task,n_items\nt,HUGE\n", lambda path: ItemTable(given_items(path)), "n_items of task 't' is not a number of at least 1"),
        ("task,target_length\nt,HUGE\n", lambda path: lengths_by_key(given_lengths(path)), "target_length of task 't'"),
        ("task,average\nt,HUGE\n", human_scores, "column average holds text"),
        ("scale,accuracy,n_items\nHUGE,0.5,10\n", load_curves, "row 1 .* expected a finite scale above 0"),
        ("scale,accuracy,n_items\n1e6,0.5,HUGE\n", load_curves, "row 1 .* a finite number of items"),
        ("model,scale,accuracy,distance\nm,HUGE,0.5,1\n", load_scores, "no row has an accuracy"),
        ("model,scale,accuracy,distance\nm,1e6,0.5,HUGE\n", load_scores, "no row has an accuracy"),
    ],
)  # fmt: skip
def test_numbers_of_hundreds_of_digits(tmp_path, content, read, said):
    """A number beyond any float is refused where a finite one is needed, by every reader of a table, and quoted in short."""
    path = tmp_path / "theirs.csv"
    path.write_text(content.replace("HUGE", HUGE))
    with pytest.raises(BigbenchMetaError, match=said) as refused:
        read(path)
    assert len(str(refused.value)) < 500


@pytest.mark.parametrize("cell", TWO_SIGNS)
@pytest.mark.parametrize(
    ("content", "read"),
    [
        ("metric,direction,low\nbleu,higher,CELL\n", metrics),
        ("task,n_items\nt,CELL\n", lambda path: ItemTable(given_items(path))),
        ("task,target_length\nt,CELL\n", lambda path: lengths_by_key(given_lengths(path))),
        ("task,average\nt,CELL\n", human_scores),
        ("scale,accuracy,n_items\nCELL,0.5,10\n", load_curves),
        ("scale,accuracy,n_items\n1e6,CELL,10\n", load_curves),
        ("scale,accuracy,n_items\n1e6,0.5,CELL\n", load_curves),
        ("model,scale,accuracy,distance\nm,CELL,0.5,1\n", load_scores),
        ("model,scale,accuracy,distance\nm,1e6,CELL,1\n", load_scores),
    ],
)
def test_two_signs_before_a_word_are_no_number(tmp_path, content, read, cell):
    """Python's float refuses them: each reader of a table that needs a number there does so in words."""
    path = tmp_path / "theirs.csv"
    path.write_text(content.replace("CELL", cell))
    with pytest.raises(BigbenchMetaError):
        read(path)
