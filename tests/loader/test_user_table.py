"""Tables of results that users bring: what is required, what defaults, what is refused, what is recorded."""

from __future__ import annotations

import math
import os

import numpy as np
import pandas as pd
import pytest
from score_files import document, entry, put

from bigbench_meta.errors import LoadError
from bigbench_meta.loader import load_results
from bigbench_meta.schema import RESULTS

MINIMAL = """task,metric,family,model,scale,score
navigate,bleu,mine,small,1e6,10
navigate,bleu,mine,large,1e9,30.5
"""


@pytest.fixture
def table(tmp_path):
    def write(text: str | bytes):
        path = tmp_path / "mine.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_minimal_table(table):
    """Six columns are enough; every default is said in a note."""
    results = load_results(table(MINIMAL), strict=True)
    assert list(results.frame.columns) == RESULTS.names
    assert list(results.frame["model"]) == ["large", "small"]
    row = results.frame.iloc[0].to_dict()
    assert (row["subtask"], row["is_aggregate"], row["shots"], row["trial"]) == ("navigate", False, -1, 0)
    assert row["is_preferred"]
    assert row["score"] == 30.5
    assert row["source_file"] == "mine.csv"
    assert all(math.isnan(row[name]) for name in ("total_params", "low_score", "high_score", "score_normalized"))
    assert len(results.notes) == 9
    assert "mine.csv: no column shots; taken as -1, as where shots make no sense" in results.notes
    assert results.counts.on_disk == results.counts.rows == 2


def test_two_metrics_leave_the_preferred_open(table):
    """With several metrics and no is_preferred, none is guessed to be preferred."""
    results = load_results(table(MINIMAL + "navigate,rouge1,mine,small,1e6,3\nother,rouge1,mine,small,1e6,3\n"))
    preferred = results.frame.query("is_preferred")
    assert set(preferred["task"]) == {"other"}


def test_repeats_without_trials_are_trials(table):
    """Without a trial column repeats of a key are numbered; with one they are problems."""
    again = MINIMAL + "navigate,bleu,mine,small,1e6,11\n"
    results = load_results(table(again))
    assert list(results.frame.query("model == 'small'")["trial"]) == [0, 1]
    with_trials = "\n".join(f"{line},{'trial' if i == 0 else 0}" for i, line in enumerate(again.splitlines()))
    results = load_results(table(with_trials))
    assert len(results.frame) == 2
    assert list(results.problems["where"]) == ["row 3"]
    assert list(results.explained) == [1]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_round_trip(tmp_path, suffix):
    """A table written by the package is read back as it was, to the bit."""
    folder = tmp_path / "folder"
    for shots, value in enumerate(("0.1", "1e-300", "NaN", "33.333333333333336")):
        put(
            folder,
            document(entry("navigate:a", shots=shots, bleu=value, rouge1="7"), entry("navigate")),
            name=f"scores_{shots}.json",
        )
    frame = load_results(folder).frame
    path = tmp_path / f"results.{suffix}"
    if suffix == "csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    again = load_results(path)
    assert again.counts.on_disk == len(frame)
    assert again.notes == ()
    columns = [name for name in RESULTS.names if name != "source_file"]
    pd.testing.assert_frame_equal(again.frame[columns], frame[columns], check_exact=True, check_categorical=False)


def test_odd_cells(table):
    """Each odd cell is recorded with its row and column; rows without a usable score or name are explained."""
    text = """task,metric,family,model,scale,score,shots,is_preferred
a,bleu,f,m1,1,,0,true
a,bleu,f,m2,1,much,0,true
a,bleu,f,m3,-1,1.5,0,true
a,,f,m4,1,1,0,true
a,bleu,f,m5,1,inf,0,true
a,bleu,f,m6,1,2,many,maybe
"a, b",bleu,f,m7,1,3,2.0,FALSE
"""
    results = load_results(table(text))
    found = {row.where: int(n) for row, n in zip(results.problems.itertuples(), results.explained, strict=True)}
    assert found == {
        "row 1, column score": 0,
        "row 2, column score": 1,
        "row 3, column scale": 0,
        "row 4, column metric": 1,
        "row 5, column score": 0,
        "row 6, column is_preferred": 1,
        "row 6, column shots": 0,
    }
    assert list(results.frame["model"]) == ["m1", "m3", "m5", "m7"]
    assert results.counts.on_disk == 7
    assert results.counts.balanced
    assert np.isnan(results.frame["scale"]).sum() == 1
    with pytest.raises(LoadError, match="row 1, column score"):
        load_results(table(text), strict=True)


@pytest.mark.parametrize("cell", ["--inf", "+-nan", "+-inf"])
def test_two_signs_before_a_word(table, cell):
    """They are no number in any column: a row of PROBLEMS each, and no exception."""
    columns = ["total_params", "scale", "low_score", "high_score", "score", "shots", "trial"]
    rows = [{"scale": "1", "score": "1", "shots": "0", "trial": str(n)} | {c: cell} for n, c in enumerate(columns)]
    text = f"task,metric,family,model,{','.join(columns)}\n" + "".join(
        f"a,bleu,f,m{number},{','.join(row.get(column, '') for column in columns)}\n" for number, row in enumerate(rows)
    )
    results = load_results(table(text))
    assert results.problems["where"].tolist() == [
        f"row {number}, column {column}" for number, column in enumerate(columns, start=1)
    ]
    assert results.frame["model"].tolist() == ["m0", "m1", "m2", "m3"]
    assert results.counts.balanced


def test_bounds_without_a_span(table):
    """Equal bounds, and bounds whose difference is infinite, are recorded, and nothing is normalised by them."""
    text = """task,metric,family,model,scale,score,is_preferred,low_score,high_score
a,bleu,f,m1,1,1,true,-1e308,1e308
a,bleu,f,m2,2,1,true,5,5
a,bleu,f,m3,3,1,true,0,4
a,bleu,f,m4,4,1,true,,
"""
    results = load_results(table(text))
    assert results.problems["where"].tolist() == ["row 1, column high_score", "row 2, column high_score"]
    assert set(results.problems["action"]) == {"score_normalized is NaN"}
    assert results.frame["score_normalized"].tolist() == pytest.approx([np.nan, np.nan, 0.25, np.nan], nan_ok=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("task,metric\na,b\n", "columns family, model, scale, score missing"),
        ("", "cannot be read as CSV: it is empty; expected a header line with task, metric"),
        (
            MINIMAL.replace("scale", "score"),
            'column "score" stands more than once in the header; name each column once',
        ),
        (
            MINIMAL + "navigate,bleu,mine\n",
            "the row that ends in line 4 has 3 cells and the header has 6; expected as many",
        ),
        (MINIMAL + "a,b,c,d,1,2,3\n", "cells|not a CSV table"),
        (MINIMAL.encode() + b"\xff,b,c,d,1,2\n", "not UTF-8"),
        (MINIMAL.encode("utf-16"), "not UTF-8"),
    ],
)
def test_refused_csv(table, text, expected):
    """What is no table of results is refused in one clear line."""
    with pytest.raises(LoadError, match=expected):
        load_results(table(text))


def test_refused_parquet(tmp_path):
    """Nested or binary columns, and files that are no Parquet, are refused; nothing in them is unpickled."""
    import pickle

    path = tmp_path / "mine.parquet"
    frame = pd.DataFrame({name: ["1"] for name in ("task", "metric", "family", "model", "scale")})
    frame.assign(score=[[1.0, 2.0]]).to_parquet(path)
    with pytest.raises(LoadError, match="'score' holds list"):
        load_results(path)
    frame.assign(score=[pickle.dumps(1.0)]).to_parquet(path)
    with pytest.raises(LoadError, match="'score' holds"):
        load_results(path)
    path.write_bytes(b"PAR1 no")
    with pytest.raises(LoadError, match="not a Parquet file"):
        load_results(path)


def test_selection_and_ignored_columns(table):
    """Selections work as for repositories; columns that mean nothing are ignored with a note."""
    text = "\n".join(f"{line},{'colour' if i == 0 else 'red'}" for i, line in enumerate(MINIMAL.splitlines()))
    results = load_results(table(text), metrics=["bleu"], families=["mine"])
    assert "mine.csv: columns that mean nothing here are ignored: colour" in results.notes
    with pytest.raises(LoadError, match="near matches: bleu"):
        load_results(table(text), metrics=["blue"])


def test_a_file_name_that_is_not_utf_8(tmp_path):
    """Bytes of another encoding in the name of a file are spelled out wherever a table names it."""
    path = tmp_path / os.fsdecode(b"d\xe9j\xe0.csv")
    path.write_text("task,metric,family,model,scale,score\nt,bleu,F,a,1000,0.5\nt,bleu,F,b,2000,?\n")
    results = load_results(path)
    assert results.frame["source_file"].astype(str).tolist() == ["d\\udce9j\\udce0.csv"]
    assert results.problems["file"].astype(str).tolist() == ["d\\udce9j\\udce0.csv"]
    path = path.replace(path.with_suffix(".parquet"))
    with pytest.raises(LoadError, match="not a Parquet file that can be read"):
        load_results(path)
