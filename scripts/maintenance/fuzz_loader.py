"""Fuzz the bytes of a score file, read to rows, with atheris (not a dependency; `pip install atheris`).

Usage: python scripts/maintenance/fuzz_loader.py [-runs=200000] [-max_len=4096] [CORPUS_FOLDER]

Each input is read as the second of two files. Fails on any exception, on a number that is neither a row nor explained,
and where the fast reader and the careful one disagree. An input is the bytes of a file, a plain file with some bytes
overwritten, or a plain file with one value replaced by words of `_WORDS`: text that looks like a number takes several
bytes that must all be right, and no branch of the reader rewards the first of them.
"""

from __future__ import annotations

import re
import sys

import atheris

with atheris.instrument_imports(include=["bigbench_meta", "json"]):
    from bigbench_meta.loader.bigbench.careful import read_carefully
    from bigbench_meta.loader.bigbench.fast import PlainReader
    from bigbench_meta.loader.columns import Columns

_START = (
    b'{"scores": [{"score_dict": {"bleu": 12.5, "rouge1": 3}, "preferred_score": "bleu", "number_of_shots": 0, '
    b'"low_score": 0.0, "high_score": 100.0, "subtask_description": "a: b"}], "task": {"task_name": "t"}, '
    b'"model": {"model_family": "f", "model_name": "m", "flop_matched_non_embedding_params": 5}, "queries": null}'
)
# Values of the plain file that may be replaced, and what of.
_VALUES = [found.span() for found in re.finditer(rb'(?<=: )("[^"]*"|[0-9.]+|null)', _START)]
_WORDS = (
    b"+", b"-", b"nan", b"NaN", b"inf", b"Infinity", b"null", b"true", b"0", b"1", b".5", b"e5", b"1e999", b"_", b" ", b"[", b"]",
    b"{", b"}", b"\\u0661", b"\\ud800", b"x",
)  # fmt: skip


def _with_words(data: bytes) -> bytes:
    """Put words in the place of one value of the plain file, as a string or bare; each byte picks one of them."""
    start, end = _VALUES[data[1] % len(_VALUES)]
    quote = b'"' if data[2] < 192 else b""
    words = b"".join(_WORDS[byte % len(_WORDS)] for byte in data[3:9])
    return _START[:start] + quote + words + quote + _START[end:]


def one_input(data: bytes) -> None:
    """Read one file both ways; the first byte says how it is made, so that most inputs parse."""
    if len(data) > 3 and data[0] < 64:
        data = _with_words(data)
    elif len(data) > 2 and data[0] < 128:
        at = int.from_bytes(data[1:3], "big") % len(_START)
        data = _START[:at] + data[3:] + _START[at + len(data) // 2 :]
    slow = Columns()
    read_carefully(_START, file="first", folder_task=None, into=slow)
    read_carefully(data, file="f", folder_task=None, into=slow)
    explained = sum(problem.numbers for problem in slow.problems)
    assert slow.on_disk == len(slow.scores) + explained, (slow.on_disk, slow.problems)
    fast = Columns()
    reader = PlainReader(fast)
    reader.read(_START, file="first", folder_task=None)  # so that the second is read by what it shares with the first
    reader.read(data, file="f", folder_task=None)
    assert repr(fast.scores) == repr(slow.scores)
    assert repr(_entries(fast)) == repr(_entries(slow))
    assert (fast.on_disk, fast.problems, fast.files, fast.tasks) == (
        slow.on_disk,
        slow.problems,
        slow.files,
        slow.tasks,
    )
    assert repr(fast.models) == repr(slow.models)  # a size may be NaN


def _entries(columns: Columns) -> list[object]:
    """What stands beside the numbers of each file."""
    return [columns.layouts[number] for number in columns.layout_of_file]


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
