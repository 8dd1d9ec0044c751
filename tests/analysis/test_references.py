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


def test_chance_is_stated_where_it_can_be_and_counted_else():
    """A positive low score of the files comes first, then the package's count; other metrics and unknown tasks get nothing."""
    table = references(
        _results(
            ("navigate", "navigate", GRADE, True, 0.0),  # two options: chance 1/2
            ("anachronisms", "anachronisms", GRADE, True, 0.4),  # two options as well, but the file says .4
            ("mine", "mine", GRADE, True, 0.2),
            ("zero", "zero", GRADE, True, 0.0),
            ("mine", "mine", EXACT, False, np.nan),
        )
    )
    assert table[["task", "level"]].to_dict("records") == [
        {"task": "anachronisms", "level": 0.4},
        {"task": "mine", "level": 0.2},
        {"task": "navigate", "level": 0.5},
    ]
    assert list(table["source"]) == [
        "low_score of the score files",
        "low_score of the score files",
        "mean target score of the options over the distinct examples of bigbench 1.0.0",
    ]


def test_files_that_disagree_on_chance():
    """The most frequent low score is taken, the smaller of a tie, and the source says that the files disagree."""
    rows = [("a", "a", GRADE, True, low) for low in (0.3, 0.25, 0.25)] + [
        ("b", "b", GRADE, True, low) for low in (0.5, 0.2)
    ]
    table = references(_results(*rows))
    assert list(table["level"]) == [0.25, 0.2]
    assert set(table["source"]) == {"most frequent low_score of the score files, which disagree"}


def test_every_packaged_chance_is_a_share():
    """Tasks and subtasks, each once, each strictly between 0 and 1; two values by hand from their definitions."""
    table = packaged_chance()
    assert not table.duplicated(["task", "subtask"]).any()
    assert table["level"].between(0, 1, inclusive="neither").all()


PICKLED = {
    "average": {
        "mine": {"exact_str_match": np.float64(80.0), "bleu": np.float64(12.0)},
        "talk": {"macro_f1": np.float64(0.7)},
    },
    "expert": {"mine": {"exact_str_match": np.float64(100.0)}, "talk": {"macro_f1": np.float64("-inf")}},
}


def test_human_raters_of_whole_tasks(tmp_path):
    """Each metric that the whole task has, by its own scale: 80 of 100 exact matches is .8, a macro F1 of .7 stays."""
    path = tmp_path / "task_human_eval.pkl"
    path.write_bytes(pickle.dumps(PICKLED))
    results = _results(
        ("mine", "mine", EXACT, True, 0.0),
        ("mine", "mine", "bleu", False, np.nan),
        ("mine", "mine:a", EXACT, True, 0.0),
        ("talk", "talk", "macro_f1", True, 0.0),
    )
    table = references(results, human=human_scores(path))
    assert table[["subtask", "metric", "kind", "level"]].to_numpy().tolist() == [
        ["mine", "bleu", "human average", 12.0],
        ["mine", EXACT, "human average", 0.8],
        ["mine", EXACT, "human expert", 1.0],
        ["talk", "macro_f1", "human average", 0.7],
    ]


def test_human_scores_in_another_unit_are_refused(tmp_path):
    """A percentage of a metric from 0 to 1 is not guessed at: the task, the range and what to do are said."""
    path = tmp_path / "raters.csv"
    path.write_text("task,average\nmine,80\n")
    with pytest.raises(
        TableError, match="80 of task 'mine' by 'average' lies outside 0 to 1, the range of exact_str_match"
    ):
        references(_results(("mine", "mine", EXACT, True, 0.0)), human=human_scores(path))


def test_human_raters_from_csv_and_what_is_refused(tmp_path):
    """A CSV file works as well; text in a score, no rater at all, or a hostile pickle is one clear error."""
    path = tmp_path / "raters.csv"
    path.write_text("task,average\nmine,0.7\nother,\n")
    assert human_scores(path).to_dict("records") == [{"task": "mine", "metric": "", "rater": "average", "score": 0.7}]
    path.write_text("task,metric,average\nmine,bleu,7\nmine,exact_str_match,0.7\n")
    results = _results(("mine", "mine", EXACT, True, 0.0), ("mine", "mine", "bleu", False, np.nan))
    assert references(results, human=human_scores(path))["level"].tolist() == [7.0, 0.7]
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
    table = references(
        results, human=pd.DataFrame({"task": ["step"], "metric": [""], "rater": ["average"], "score": [0.8]})
    )
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
