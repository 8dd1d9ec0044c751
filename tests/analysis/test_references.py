"""Reference values: chance and human raters, each with its source, in figures, in the page and in the terminal."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from bigbench_meta import figures
from bigbench_meta.analysis.references import human_scores, packaged_chance, references
from bigbench_meta.errors import LoadError, TableError
from bigbench_meta.report.embed import embed_curves

GRADE, EXACT = "multiple_choice_grade", "exact_str_match"


def _results(*rows):
    columns = ["task", "subtask", "metric", "is_preferred", "low_score"]
    return pd.DataFrame([dict(zip(columns, row, strict=True)) for row in rows])


def test_chance_is_counted_where_it_can_be_and_stated_else():
    """A known task has its options counted, an unknown one its low_score if above 0; other metrics and zeros get nothing."""
    table = references(
        _results(
            ("navigate", "navigate", GRADE, True, 0.1),  # two options: chance 1/2, whatever its low_score
            ("mine", "mine", GRADE, True, 0.2),
            ("zero", "zero", GRADE, True, 0.0),
            ("mine", "mine", EXACT, False, np.nan),
        )
    )
    assert table[["task", "level"]].to_dict("records") == [
        {"task": "mine", "level": 0.2},
        {"task": "navigate", "level": 0.5},
    ]
    assert list(table["source"]) == [
        "low_score of the score files",
        "1 / choices, averaged over the examples of bigbench 1.0.0",
    ]


def test_every_packaged_chance_is_a_share():
    """292 tasks and subtasks, each once, each strictly between 0 and 1 (options are right or wrong, never one alone)."""
    table = packaged_chance()
    assert len(table) == 292
    assert not table.duplicated(["task", "subtask"]).any()
    assert table["level"].between(0, 1, inclusive="neither").all()


@pytest.mark.parametrize("factor", [1, 100])
def test_human_raters_come_in_either_unit(tmp_path, factor):
    """Shares and hundredfold shares give the same lines, on the whole task's preferred metric, and the source says which."""
    path = tmp_path / "task_human_eval.pkl"
    path.write_bytes(pickle.dumps({"average": {"mine": np.float64(0.8 * factor)}, "expert": {"mine": 1.0 * factor}}))
    results = _results(("mine", "mine", EXACT, True, 0.0), ("mine", "mine:a", EXACT, True, 0.0))
    table = references(results, human=human_scores(path))
    assert table[["subtask", "kind", "level"]].to_numpy().tolist() == [
        ["mine", "human average", 0.8],
        ["mine", "human expert", 1.0],
    ]
    assert table["source"].str.contains("divided by 100").all() == (factor == 100)


def test_human_raters_from_csv_and_what_is_refused(tmp_path):
    """A CSV file works as well; text in a score, no rater at all, or a hostile pickle is one clear error."""
    path = tmp_path / "raters.csv"
    path.write_text("task,average\nmine,0.7\nother,\n")
    assert human_scores(path)["average"].iloc[0] == 0.7
    path.write_text("task,average\nmine,good\n")
    with pytest.raises(TableError, match="average holds text"):
        human_scores(path)
    path.write_text("task\nmine\n")
    with pytest.raises(TableError, match="expected task and one column"):
        human_scores(path)
    (tmp_path / "x.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(LoadError, match="Nothing in it was run"):
        human_scores(tmp_path / "x.pkl")


def test_a_figure_draws_the_lines_of_its_own_curve_only(results):
    """Two lines at the right levels with their names; the other task and metric get none."""
    table = references(results, human=pd.DataFrame({"task": ["step"], "average": [0.8]}))
    own = results[(results["task"] == "step") & results["is_preferred"]]
    ax = figures.curve(own, Figure().add_subplot(), references=table)
    levels = {text.get_text(): text.xy[1] for text in ax.texts}
    assert levels == {"chance": 0.25, "human average": 0.8}
    other = results[(results["task"] == "step") & ~results["is_preferred"]]
    assert not figures.curve(other, Figure().add_subplot(), references=table).texts


def test_the_page_carries_the_lines_of_each_curve(results, curves):
    """The explorer's record of a curve holds its references; one without has none."""
    embedded = embed_curves(results, curves, references=references(results))
    with_lines = [record for record in embedded.records if "references" in record]
    assert {record["metric"] for record in with_lines} == {GRADE}
    assert all(record["references"] == [["chance", 0.25]] for record in with_lines)
    assert len(with_lines) == len(embedded.records) / 2
