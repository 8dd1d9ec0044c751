"""Tables to bytes: stable order, round-trip digits, cells that no spreadsheet runs."""

from __future__ import annotations

import csv
import io

import numpy as np
import pandas as pd
import pytest

from bigbench_meta.export import csv_bytes, parquet_bytes, sorted_by_key


def test_floats_keep_every_digit():
    """The shortest digits that read back to the same number are written."""
    values = [0.1, 1 / 3, 1e-300, 123456789.123456789, np.nextafter(1, 2), np.inf]
    text = csv_bytes("swaps", pd.DataFrame({"x": values})).decode()
    assert [float(line) for line in text.split("\n")[1:-1]] == values
    assert text.split("\n")[1] == "0.1"


def test_category_order_does_not_decide_row_order():
    """Text sorts by code point even where the categories were made in another order."""
    frame = pd.DataFrame(
        {name: pd.Categorical(["b", "a"], categories=["b", "a"]) for name in ("task", "subtask", "metric", "family")}
    ).assign(shots=0)
    assert list(sorted_by_key("curves", frame)["task"]) == ["a", "b"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝"])
def test_spreadsheet_safe_disarms_formulas_in_text_only(start):
    """Text that would run gets an apostrophe; negative numbers stay numbers; the default changes nothing."""
    frame = pd.DataFrame({"task": [start + "1+1", "plain"], "x": [-1.5, 2.0]})
    safe = list(csv.reader(io.StringIO(csv_bytes("swaps", frame, spreadsheet_safe=True).decode(), newline="")))
    assert safe[1:] == [["'" + start + "1+1", "-1.5"], ["plain", "2.0"]]
    usual = list(csv.reader(io.StringIO(csv_bytes("swaps", frame).decode(), newline="")))
    assert usual[1] == [start + "1+1", "-1.5"]


def test_names_with_commas_quotes_and_line_ends_survive():
    """Python's own CSV reader gets back the very names that went in."""
    names = ['a,b"c', "two\nlines", "carriage\rreturn", "ünïcødé 中文", ""]
    read = list(
        csv.reader(io.StringIO(csv_bytes("swaps", pd.DataFrame({"n": names, "i": range(5)})).decode(), newline=""))
    )
    assert [row[0] for row in read[1:]] == names


def test_an_unpaired_surrogate_does_not_stop_the_writer():
    """JSON may hold half a character; it is written escaped."""
    assert b"\\ud800" in csv_bytes("swaps", pd.DataFrame({"n": ["\ud800"]}, dtype=object))


def test_parquet_bytes_do_not_depend_on_row_or_category_order(results):
    """The same rows in another order give the same file."""
    assert parquet_bytes("results", results) == parquet_bytes("results", results.sample(frac=1, random_state=3))
