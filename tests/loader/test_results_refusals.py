"""What the loader refuses or records beyond the usual traps: each by its words, with every number accounted for."""

from __future__ import annotations

import gc
import json

import pandas as pd
import pytest
from score_files import document, entry, put

from bigbench_meta.analysis.references import human_scores
from bigbench_meta.errors import LoadError, SourceError, TableError
from bigbench_meta.loader.results import Counts, load_results


def only_problem(root, content: str | bytes) -> dict[str, object]:
    """The one problem of a folder with one file of this content, from which nothing is read."""
    put(root, content)
    results = load_results(root)
    assert results.frame.empty
    assert results.counts.balanced
    assert len(results.problems) == 1
    return results.problems.iloc[0].to_dict()


def test_text_of_another_encoding_that_is_cut_off(tmp_path):
    """UTF-16 with half a character at its end is named as such."""
    problem = only_problem(tmp_path, document().encode("utf-16") + b"\x00")
    assert problem["problem"].startswith("bytes that are not utf-16")
    assert problem["expected"] == "UTF-8"


def test_large_text_of_another_encoding(tmp_path, monkeypatch):
    """Above a limit other encodings are not turned into UTF-8 in memory: the message gives size and encoding."""
    content = document().encode("utf-16")
    monkeypatch.setattr("bigbench_meta.loader.bigbench.document.MAX_HEAD_BYTES", len(content) - 1)
    problem = only_problem(tmp_path, content)
    assert problem["problem"] == f"{len(content)} bytes in utf-16"


@pytest.mark.parametrize("name", [3, ["a"], True, {"a": 1}])
def test_subtask_that_is_no_name(tmp_path, name):
    """An entry whose subtask is no text has no key: none of its numbers is a row, its neighbour is read."""
    text = document(entry("a", bleu="1", y="2").replace('"a"', json.dumps(name)), entry("b", bleu="3"))
    put(tmp_path, text)
    results = load_results(tmp_path)
    assert results.frame["score"].tolist() == [3.0]
    assert results.problems["where"].tolist() == ["$.scores[0].subtask_description"]
    assert results.explained.tolist() == [2]


def test_no_score_file(tmp_path):
    """A folder without score files says what they are called."""
    (tmp_path / "notes.json").write_text("{}")
    with pytest.raises((LoadError, SourceError), match=r"scores_\*\.json"):
        load_results(tmp_path)


def test_numbers_that_do_not_add_up_are_no_result(tmp_path, monkeypatch):
    """If a number is neither a row nor explained nothing is returned: the message has the sums and asks for a report."""
    put(tmp_path, document())
    monkeypatch.setattr(Counts, "balanced", False)
    with pytest.raises(
        LoadError, match=r": 2 numbers on disk, but 2 rows \+ 0 explained \+ 0 not selected; this is a fault"
    ):
        load_results(tmp_path)


def test_collection_of_garbage_stays_as_the_caller_set_it(tmp_path):
    """Reading puts the search for cyclic garbage aside, and back only where it was on."""
    put(tmp_path, document())
    for enabled in (True, False):
        (gc.enable if enabled else gc.disable)()
        try:
            load_results(tmp_path)
            assert gc.isenabled() is enabled
        finally:
            gc.enable()


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"", b'task,average\n"a'])
def test_scores_of_humans_that_are_no_csv(tmp_path, content):
    """A file that cannot be read as a table is refused with the columns that are expected."""
    path = tmp_path / "human.csv"
    path.write_bytes(content)
    with pytest.raises(
        TableError, match=r"human\.csv: cannot be read as CSV: .*expected columns task and one for each"
    ):
        human_scores(path)


def test_truth_values_as_scores_of_a_table(tmp_path):
    """True and false in a column of scores are the numbers 1 and 0, and each is recorded."""
    frame = pd.DataFrame({"task": "t", "metric": "bleu", "family": "F", "model": ["a", "b"], "scale": [1e3, 1e4]})
    frame.assign(score=[True, False]).to_parquet(tmp_path / "own.parquet")
    results = load_results(tmp_path / "own.parquet")
    assert results.frame["score"].tolist() == [1.0, 0.0]
    assert results.problems["where"].tolist() == ["row 1, column score", "row 2, column score"]
    assert results.problems["action"].tolist() == ["read as 1.0", "read as 0.0"]


def test_keys_that_do_not_fit_one_number(tmp_path, monkeypatch):
    """Rows are in the same order, and their repeats found, where the key's columns do not fit 63 bits together."""
    frames = []
    for name, limit in (("plain", None), ("renumbered", 1)):
        if limit is not None:
            monkeypatch.setattr("bigbench_meta.loader.assemble._MAX_KEY", limit)
        for task in ("b", "a"):
            entries = [entry(f"{task}:{n}", shots=shots, bleu=f"{n}.5") for n in (2, 1, 2) for shots in (3, 0)]
            put(tmp_path / name, document(*entries, task=task), task=task)
        results = load_results(tmp_path / name)
        frames.append(results.frame)
        assert results.frame["trial"].tolist() == [0, 0, 0, 1, 0, 1] * 2
    pd.testing.assert_frame_equal(*frames)


@pytest.mark.parametrize("row", ["a,0.5", ",0.5", "b,inf", "b,-inf"])
def test_scores_of_humans_that_are_odd(tmp_path, row):
    """A task twice, no task, and a score without end are refused by their row; an empty cell is no score."""
    path = tmp_path / "human.csv"
    path.write_text("task,average\na,0.5\nc,\n" + row + "\n")
    with pytest.raises(
        TableError, match=r"human\.csv: row 3 has no task, .*; expected each task once and finite scores"
    ):
        human_scores(path)
