"""Score files made to take for ever or to fill the memory: read in time that grows with their size, or refused unread."""

from __future__ import annotations

import math
import os
import sys

import pytest
from score_files import document, entry, put

from bigbench_meta.loader import load_results
from bigbench_meta.loading.careful import MAX_FILE_BYTES, as_number
from bigbench_meta.loading.columns import Columns
from bigbench_meta.loading.decode import PlainReader

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
    """Half a million levels are refused in words, wherever they stand."""
    columns = read(opening * 500_000)
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
