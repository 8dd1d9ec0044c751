"""Score files made to take for ever or to fill the memory: read in time that grows with their size, or refused unread."""

from __future__ import annotations

import json
import math
import os
import sys
import time

import pytest
from score_files import document, entry, put

from bigbench_meta.loader import load_results
from bigbench_meta.loader.bigbench.document import MAX_FILE_BYTES
from bigbench_meta.loader.bigbench.fast import PlainReader
from bigbench_meta.loader.columns import Columns
from bigbench_meta.values import as_number

# Each of these took minutes or hours when the work grew with the square of the size; it takes a second or two.
pytestmark = pytest.mark.timeout(120)


def read(text: str) -> Columns:
    """Read one file and check its balance."""
    columns = Columns()
    PlainReader(columns).read(text.encode(), file="f", folder_task=None)
    assert columns.on_disk == len(columns.scores) + sum(problem.numbers for problem in columns.problems)
    return columns


def test_digits_before_a_letter():
    """A text of a million digits and a letter is no number, and that is found in one pass."""
    columns = read(document(entry("a", bleu='"' + "1" * 1_000_000 + 'x"')))
    assert columns.problems[0].problem.endswith("... (1000001 characters)")
    assert len(columns.problems[0].problem) < 120


def test_many_repeated_keys():
    """Each of 40,000 keys twice in one object: each is a problem that explains one number."""
    twice = "".join(f'"m{number}": 1, "m{number}": 2, ' for number in range(40_000))
    columns = read(document(entry("a").replace('"score_dict": {', '"score_dict": {' + twice)))
    assert sum("stands 2 times" in problem.problem for problem in columns.problems) == 40_000
    assert list(columns.scores[:2]) == [2.0, 2.0]


def test_a_long_name_shown_often():
    """A task's name of a megabyte is cut before each of 20,000 messages quotes it."""
    entries = [f'{{"score_dict": {{}}, "number_of_shots": {number}}}' for number in range(20_000)]
    columns = read(document(*entries, task="t" * 1_000_000))
    assert max(len(problem.action) for problem in columns.problems) < 200


def test_many_repeats_of_a_large_entry():
    """An entry of 20,000 numbers and 20,000 empty repeats of it: each repeat differs, and is on record."""
    large = entry("a", **{f"m{number}": "1" for number in range(20_000)})
    small = large[: large.index("{", 1)] + "{}" + large[large.index("}") + 1 :]
    columns = read(document(large, *[small] * 20_000))
    assert sum("with other content" in problem.problem for problem in columns.problems) == 20_000


@pytest.mark.parametrize("opening", ["[", '{"a":', '{"scores":[{"score_dict":{"a":'])
def test_depth(opening):
    """250,000 levels and more are refused in words, wherever they stand."""
    columns = read(opening * 250_000)
    assert columns.problems[0].problem.startswith(("nested too deeply", "not JSON"))
    deep = read(document(entry("a", bleu="[" * 300_000 + "]" * 300_000)))
    assert deep.problems[0].problem == "nested too deeply to decode"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1" * 5_000, float("inf")),
        ("-" + "9" * 5_000, float("-inf")),
        ("1e" + "9" * 5_000, float("inf")),
        ("1e-" + "9" * 5_000, 0.0),
        ("0." + "0" * 5_000 + "1", 0.0),
        ("1_000", None),
        ("0x10", None),
        ("١", None),
        ("1e", None),
        ("--1", None),
        ("", None),
    ],
)
def test_huge_and_odd_texts_as_numbers(text, value):
    """Whole numbers beyond Python's limit of digits, exponents beyond all floats, and notations that JSON does not have."""
    assert as_number(text) == value


def test_huge_numbers_in_a_file():
    """The same as numbers of JSON: rows with NaN and a record, no exception."""
    columns = read(document(entry("a", bleu="1" * 5_000, rouge1="1e99999", rougeLsum="-" + "1" * 400)))
    assert sum(map(math.isnan, columns.scores)) == 3
    assert [problem.action for problem in columns.problems] == ["a row with NaN"] * 3


@pytest.mark.skipif(sys.platform == "win32", reason="sparse files")
def test_a_file_larger_than_the_limit_is_not_read(tmp_path):
    """Of a file of 64 GiB its size is looked at and nothing else; the other files are read."""
    put(tmp_path, document(entry("a", bleu="1")))
    large = tmp_path / put(tmp_path, document(), name="scores_z.json")
    os.truncate(large, 64 << 30)
    results = load_results(tmp_path)
    assert set(results.problems["file"]) == {large.relative_to(tmp_path).as_posix()}
    assert list(results.problems.loc[0, ["problem", "expected"]]) == [
        f"{64 << 30} bytes",
        f"at most {MAX_FILE_BYTES} bytes in a score file",
    ]
    assert results.counts.balanced
    assert len(results.frame) > 0


def lists_of_nothing(count: int) -> str:
    return document().replace('"queries"', f'"x": [{", ".join(["[]"] * count)}], "queries"')


SHAPES = {
    "entries": lambda size: document(*[entry(f"s{number}") for number in range(size // 120)]),
    "repeated entries": lambda size: document(*[entry("a")] * (size // 120)),
    "odd entries": lambda size: document(*['{"score_dict": {"a": 1}}'] * (size // 25)),
    "metrics": lambda size: document(entry("a", **{f"m{number}": "1" for number in range(size // 10)})),
    "repeated keys": lambda size: document(entry("a", bleu="1" + ', "bleu": 2' * (size // 11))),
    "repeated top keys": lambda size: document(queries="1" + ', "queries": 2' * (size // 14)),
    "lists beside": lambda size: lists_of_nothing(size // 4),
    "lists in queries": lambda size: document(queries="[" * (size // 2) + "]" * (size // 2)),
    "brackets that do not match": lambda size: document(queries="[{]}" * (size // 4)),
    "quotation marks": lambda size: '"' * size,
    "backslashes": lambda size: document(queries='"' + "\\\\" * (size // 2) + '"'),
    "cut in a text": lambda size: '{"scores": [{"score_dict": {"a": "' + "x" * size,
    "texts that do not end": lambda size: '{"a": ["x' * (size // 8),
    "white space": lambda size: " " * size + "{",
    "numbers": lambda size: document(entry("a", bleu="1" * size)),
    "closing braces": lambda size: document() + "}" * size,
}


@pytest.mark.parametrize("shape", SHAPES)
def test_time_grows_with_the_size(shape):
    """Four times the size takes about four times as long, where work by the square of it would take sixteen times."""

    def seconds(size: int) -> float:
        text, taken = SHAPES[shape](size), []
        for _ in range(3):
            start = time.process_time()
            read(text)
            taken.append(time.process_time() - start)
        return min(taken)

    assert seconds(200_000) < 9 * seconds(50_000) + 0.01


def test_lists_of_nothing():
    """More values than entries of that many bytes can have are refused before they fill the memory; numbers are explained."""
    columns = read(lists_of_nothing(800_000))
    (problem,) = columns.problems
    assert problem.problem == "1600027 values beside `queries`"
    assert problem.expected == "at most 1500000 values beside `queries`"
    assert problem.numbers == columns.on_disk == 2


def test_problems_beyond_the_limit_are_counted(monkeypatch):
    """Of ten odd entries the first four are listed, the last row counts the rest and explains their numbers."""
    monkeypatch.setattr("bigbench_meta.loader.bigbench.careful.MAX_PROBLEMS", 4)
    odd = entry("a", bleu='"text"', rouge1='"text"', x="1")
    columns = read(document(*[odd.replace('"a"', f'"s{number}"') for number in range(5)]))
    assert [problem.numbers for problem in columns.problems] == [1, 1, 1, 1, 6]
    last = columns.problems[-1]
    assert last.problem == "6 more problems after the 4 of this file that are listed"
    assert last.action == "treated as those above; counted, not listed"
    assert len(columns.scores) == 5


def test_problems_of_an_entry_that_is_given_up_are_not_counted_twice(monkeypatch):
    """Beyond the limit too, an entry that turns out to be unusable is one problem that explains all its numbers."""
    monkeypatch.setattr("bigbench_meta.loader.bigbench.careful.MAX_PROBLEMS", 1)
    bad = '{"score_dict": {"a": 1, "a": 2, "b": "x"}, "number_of_shots": 0, "number_of_shots": "many"}'
    columns = read(document(bad, bad, bad))
    assert [problem.numbers for problem in columns.problems] == [3, 6]
    assert columns.problems[-1].problem.startswith("2 more problems")


def test_a_place_in_a_file_counts_its_queries():
    """What is no JSON is found in the line and column of the file as it is, though `queries` was taken out before."""
    text = document(queries='[{"a":\n\n\n[1, 2]}]').replace("null", "nil")
    first, _, rest = text.partition('"queries"')
    moved = '{"queries"' + rest.removesuffix("\n}") + "," + first.removeprefix("{").rstrip().removesuffix(",") + " nil}"
    columns = read(moved)
    with pytest.raises(json.JSONDecodeError) as refused:
        json.loads(moved)
    assert columns.problems[0].where == f"line {refused.value.lineno}, column {refused.value.colno}"
    assert columns.problems[0].problem == f"not JSON ({refused.value.msg})"


def test_bytes_that_are_no_text():
    """A byte that is not UTF-8 is named by its line and column, counted in characters."""
    columns = Columns()
    data = document().replace("navigate", "ä").encode().replace("ä".encode(), b"\xff", 1)
    PlainReader(columns).read(data, file="f", folder_task=None)
    assert columns.problems[0].where == "line 12, column 31"
    assert columns.problems[0].problem == "bytes that are not UTF-8 (invalid start byte)"
