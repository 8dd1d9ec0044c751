"""Files of outputs made to mislead, to fill the memory or to end in a traceback: an item, or a problem that says where."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bigbench_meta.errors import LoadError
from bigbench_meta.experiments.rescoring.readers import OwnNames, read_items
from bigbench_meta.experiments.rescoring.scored_items import Item
from bigbench_meta.experiments.rescoring.scoring import rescore
from bigbench_meta.loader.columns import Problem

PROJECT = Path(__file__).resolve().parents[3]
RECORD = '{"model": "a", "target": "12", "output": "12"}\n'
HEAD = '"model": {"model_family": "f", "model_name": "m"}, "task": {"task_name": "t"}'
SAMPLE = '{"output": "1", "targets": ["1"]}'
QUERY = f'{{"samples": [{SAMPLE}], "function": "generate_text", "shots": 0, "task": "t"}}'


def log(queries: str, *, head: str = HEAD) -> str:
    """The text of a full log."""
    return f'{{{head}, "queries": {queries}}}'


# Name of the file, its text, items, and where and what the one problem is.
CASES = {
    "key twice in a line": (
        "x.jsonl", RECORD + '{"model": "a", "target": "1", "output": "1", "output": "2"}\n', 1,
        "line 2", 'the key "output" stands more than once in one object', "each key once",
    ),
    "key twice by an escape": (
        "x.jsonl", RECORD + '{"model": "a", "target": "1", "output": "1", "\\u006futput": "2"}\n', 1,
        "line 2", 'the key "output" stands more than once in one object', "each key once",
    ),
    "key twice in an element": (
        "x.json", f'[{RECORD}, {{"model": "a", "model": "b", "target": "1", "output": "1"}}, {RECORD}]', 2,
        "element 1", 'the key "model" stands more than once in one object', "each key once",
    ),
    "target twice": (
        "x.json", log(QUERY.join("[]").replace(SAMPLE, SAMPLE + ', {"output": "1", "targets": {"1": {}, "1": {}}}')), 1,
        "query 0, sample 1", 'the key "1" stands more than once in one object', "each key once",
    ),
    "queries twice": (
        "x.json", log(f'[{QUERY}, {QUERY}], "queries": []'), 0,
        "file", "the key queries stands more than once", "a BIG-bench full log, each key once",
    ),
    "samples twice": (
        "x.json", log(f'[{{"samples": [], "samples": [{SAMPLE}]}}]'), 0,
        "file", "the key samples stands more than once in a query", "each key once",
    ),
    "model twice": (
        "x.json", log("[]", head=HEAD.replace('"f"', '"f", "model_family": "g"')), 0,
        "file", 'the key "model_family" stands more than once in one object', "each key once",
    ),
    "many queries": (
        "x.json", log("[" + "{}," * 100_000 + "{}]"), 0,
        "file", "more than 100000 queries", "one for each subtask and number of shots",
    ),
    "column twice": (
        "x.csv", "model,target,output,output\na,1,1,2\n", 0,
        "file", "the column output stands more than once", "each column once",
    ),
    "short row": (
        "x.csv", "model,target,output\na,1,1\na,1\na,1,1\n", 2,
        "line 3", "2 cells for 3 columns", "a cell for each column",
    ),
    "long row": (
        "x.csv", "model,target,output\na,1,1\na,1,1,000\n", 1, "line 3", "4 cells for 3 columns", "a cell for each column",
    ),
    "open quotation": (
        "x.csv", 'model,target,output\na,1,1\na,1,"1\na,1,1\n', 1, "line 4", "unexpected end of data", "CSV with a header",
    ),
    "no scale": (
        "x.jsonl", RECORD + RECORD.replace("}", ', "scale": -5}'), 1,
        "line 2", "scale is -5.0", "a positive, finite count of parameters",
    ),
    "endless scale": (
        "x.jsonl", RECORD + RECORD.replace("}", ', "scale": 1e999}'), 1,
        "line 2", "scale is inf", "a positive, finite count of parameters",
    ),
    "shots": (
        "x.jsonl", RECORD + RECORD.replace("}", ', "shots": -3}'), 1,
        "line 2", "shots is -3.0", "a whole number from -1 to 1000000",
    ),
    "deep": (
        "x.jsonl", RECORD + '{"model": ' + "[" * 100_000 + "\n" + RECORD, 2,
        "line 2", "nested too deeply", "one JSON object a line",
    ),
    "two documents": (
        "x.json", f"[{RECORD}] {{}}", 1, "character 50", "expected the end of the text", "JSON as BIG-bench writes it",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_one_problem(tmp_path, case):
    """What cannot be trusted is one problem with its place, what was expected and what was done; the rest is read."""
    name, text, items, *words = CASES[case]
    path = tmp_path / name
    path.write_text(text, encoding="utf-8", newline="")
    parts = list(read_items(path))
    assert sum(isinstance(part, Item) for part in parts) == items
    (problem,) = [part for part in parts if isinstance(part, Problem)]
    assert [problem.where, problem.problem, problem.expected] == words
    assert problem.action.endswith("left out")


@pytest.mark.parametrize(
    ("name", "text"),
    [("x.jsonl", RECORD * 2), ("x.json", log(f"[{QUERY}]")), ("x.csv", "model,target,output\na,1,1\n")],
)
def test_byte_order_mark(tmp_path, name, text):
    """The mark that Windows puts first is no part of the first record."""
    path = tmp_path / name
    path.write_text("\ufeff" + text, encoding="utf-8", newline="")
    assert [part for part in read_items(path) if isinstance(part, Problem)] == []


def test_a_long_cell(tmp_path):
    """An output beyond the limit of Python's reader of CSV is read; the limit is as before afterwards."""
    import csv

    usual = csv.field_size_limit()
    path = tmp_path / "x.csv"
    path.write_text(f"model,target,output\na,1,{'x' * 1_000_000}\n")
    (item,) = read_items(path)
    assert len(item.output) == 1_000_000
    assert csv.field_size_limit() == usual


def test_the_users_name_of_a_field_goes_first(tmp_path):
    """A file may have a field of our name beside the one that the user says it is."""
    path = tmp_path / "x.jsonl"
    path.write_text('{"model": "a", "target": "1", "said": "1", "output": "2"}\n')
    (item,) = read_items(path, names=OwnNames({"output": "said"}))
    assert item.output == "1"


PLAIN = {"model": ["a"], "target": ["1"], "output": ["1"]}


def test_columns_that_nobody_asked_for(tmp_path):
    """A date beyond Python's calendar in another column ended in a traceback; it is not even read."""
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({**PLAIN, "when": pa.array([2**52], pa.timestamp("ms"))}), path)
    assert rescore([path], metrics=["exact_str_match"]).read == 1


@pytest.mark.parametrize("column", [pa.array([b"\xff"]), pa.array([{"x": 1}]), pa.array([2**52], pa.timestamp("ms"))])
def test_parquet_outputs_of_other_types(tmp_path, column):
    """Bytes, objects and dates as outputs are refused by name."""
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({**PLAIN, "output": column}), path)
    with pytest.raises(LoadError, match=r"x\.parquet, (row 1: output is|file: not Parquet: date value out of range)"):
        rescore([path], metrics=["exact_str_match"])


def test_parquet_with_a_column_twice(tmp_path):
    """Which of two columns of one name is meant is not guessed."""
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table([pa.array(["a"])] * 4, names=["model", "target", "output", "output"]), path)
    with pytest.raises(LoadError, match="the column output stands more than once; expected each column once"):
        rescore([path], metrics=["exact_str_match"])


def test_parquet_damaged_anywhere(tmp_path):
    """Flipped bytes give items, problems, or an error of this package."""
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({**PLAIN, "when": pa.array([2**52], pa.timestamp("ms"))}), path)
    whole = path.read_bytes()
    for position in range(0, len(whole), 23):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x15]) + whole[position + 1 :])
        assert all(isinstance(part, Item | Problem) for part in read_items(path))


_MEASURE = """
import sys
from pathlib import Path
import bigbench_meta.experiments.rescoring.scoring as rescoring
def peak():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
before = peak()
for part in rescoring.read_items(Path(sys.argv[1])):
    print(part.problem)
print(peak() - before)
"""


@pytest.mark.parametrize(
    "text",
    [
        log('[{"x": [' + "[]," * 2_000_000 + "[]]}]"),
        log("[" + '{"x": 1},' * 1_000_000 + "{}]"),
        log("[]", head=HEAD + ', "x": [' + "{}," * 2_000_000 + "{}]"),
        '{"model": [' + "[]," * 6_000_000 + "[]]}\n",
    ],
    ids=["lists in a query", "queries", "objects beside", "a line"],
)
def test_memory_for_lists_of_nothing(tmp_path, text):
    """Megabytes that would be hundreds of them once decoded are skipped or refused: below 100 MB."""
    path = tmp_path / "x.json"
    path.write_text(text)
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(path)], cwd=PROJECT, check=True, capture_output=True, text=True
    )
    assert int(done.stdout.split()[-1]) < 100_000


def test_a_long_text_in_every_row(tmp_path):
    """A file of kilobytes that repeats an output of a megabyte in 2,000 rows: read in a tenth of the two gigabytes."""
    path = tmp_path / "x.parquet"
    output = pa.DictionaryArray.from_arrays(pa.array([0] * 2_000, pa.int8()), pa.array(["x" * 1_000_000]))
    pq.write_table(
        pa.table({"model": ["a"] * 2_000, "target": ["1"] * 2_000, "output": output}), path, compression="zstd"
    )
    measured = _MEASURE.replace("print(part.problem)", "pass")
    done = subprocess.run(
        [sys.executable, "-c", measured, str(path)], cwd=PROJECT, check=True, capture_output=True, text=True
    )
    assert path.stat().st_size < 100_000
    assert int(done.stdout) < 200_000


def test_numbers_beyond_python(tmp_path):
    """A whole number of more digits than Python converts, and NaN as a scale, are a problem and an unknown scale."""
    path = tmp_path / "x.jsonl"
    path.write_text(RECORD.replace("}", ', "scale": NaN}') + RECORD.replace("}", f', "scale": {"1" * 5_000}}}'))
    found = rescore([path], metrics=["exact_str_match"])
    assert (found.read, found.left_out) == (1, 1)
    assert math.isnan(found.results["scale"][0])
    assert json.loads(found.problems.to_json(orient="records"))[0]["where"] == "line 2"


@pytest.mark.parametrize("files", [1, 2])
def test_more_groups_than_fit(tmp_path, monkeypatch, files):
    """A model of its own in every record, in one file or over several, ends with what to do instead of without memory."""
    monkeypatch.setattr("bigbench_meta.experiments.rescoring.scoring.MAX_GROUPS", 4)
    for number in range(files):
        records = [RECORD.replace('"a"', f'"{number}-{i}"') for i in range(5 if files == 1 else 3)]
        (tmp_path / f"{number}.jsonl").write_text("".join(records))
    with pytest.raises(
        LoadError, match=r"jsonl: with it there are more than 4 combinations of task.*score the files of some"
    ):
        rescore(sorted(tmp_path.iterdir()), metrics=["exact_str_match"])
