"""The script that checks packaged facts against the source archive of bigbench, on a small archive of the same layout."""

from __future__ import annotations

import io
import json
import sys
import tarfile
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts" / "maintenance"
ROOT = "bigbench-1.0.0/bigbench/"
JSON_TASK = b"""
SCORE_RANGES = {"multiple_choice_grade": [0.0, 1.0], "bleu": [0.0, 100.0]}
_DEFAULT_REGEX = r"[^x]+"
"""
PROGRAM = b"""
class Task:
    def evaluate_model(self, model):
        return [
            task.ScoreData({}, preferred_score="full", low_score=-1.0, high_score=0.0, subtask_description=f"{kind} part"),
            task.ScoreData({}, preferred_score="made_up", low_score=0, high_score=len(x), subtask_description="whole"),
        ]
"""


def definition(name, *examples, preferred="multiple_choice_grade"):
    about = {"name": name, "metrics": [preferred], "preferred_score": preferred}
    return json.dumps(about | ({"examples": list(examples)} if examples else {})).encode()


def choice(text, *scores):
    return {"input": text, "target_scores": {str(place): score for place, score in enumerate(scores)}}


FILES = {
    "api/json_task.py": JSON_TASK,
    "benchmark_tasks/task_human_eval.pkl": b"human",
    "benchmark_tasks/task_metadata.json": json.dumps(
        {
            "canary": "x",
            "plain": {"subtask_names": [], "keywords": ["example task"]},
            "parent": {"subtask_names": ["parent:One", "parent:t?"], "keywords": []},
            "game": {"subtask_names": ["a part", "b part", "whole", "game"], "keywords": []},
        }
    ).encode(),
    # Two distinct examples: one of two options right, and one of four; a repeat, and the same keys in another order.
    "benchmark_tasks/plain/task.json": definition(
        "plain",
        choice("a", 1, 0),
        choice("a", 1, 0),
        {"target_scores": {"0": 1, "1": 0}, "input": "a"},
        choice("b", 0, 0, 1, 0),
    ),
    "benchmark_tasks/parent/task.json": definition("parent"),
    "benchmark_tasks/parent/first/task.json": definition("One", choice("a", 0.5, 0.5, 0)),
    "benchmark_tasks/parent/second/task.json": definition("t\u00e9", {"input": "a", "target": "b"}, preferred="bleu"),
    "benchmark_tasks/game/task.py": PROGRAM,
    "benchmark_tasks/game/test.py": b"task.ScoreData({}, preferred_score='wrong')",
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The small archive, read."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    for name in ("bigbench_package", "check_facts"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import bigbench_package

    path = tmp_path / "bigbench-1.0.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in FILES.items():
            member = tarfile.TarInfo(ROOT + name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return bigbench_package.read_package(path)


def test_what_an_archive_says(package):
    """Names, distinct examples, chance and declared metrics, by hand."""
    leaves = {leaf.subtask: leaf for leaf in package.leaves}
    assert set(leaves) == {"plain", "parent:One", "parent:t?"}
    assert leaves["plain"][2:6] == (4, 3, 0, pytest.approx((1 / 2 + 1 / 2 + 1 / 4) / 3))
    assert leaves["parent:One"][2:6] == (1, 1, 1, pytest.approx(1 / 3))
    assert [(each.metric, each.low) for each in package.declared["game"]] == [("full", -1.0), ("made_up", 0.0)]
    assert package.ranges["bleu"] == (0, 100)
    assert package.templates == {"plain"}
    assert package.n_definitions == 4


def test_the_tables_that_follow(package):
    """A tie of two subtasks goes to the first folder; a programmatic task's subtasks by the names its calls give."""
    import check_facts

    items, chance, preferred = check_facts.counted_tables(package)
    assert items.rows == [("parent", "parent:One", 1, 1), ("parent", "parent:t?", 1, 0), ("plain", "plain", 3, 0)]
    assert [row[:2] for row in chance.rows] == [("parent", "parent:One"), ("plain", "plain")]
    derived = "normalized_aggregate_score"
    grade = "multiple_choice_grade"
    assert preferred.rows == [
        ("game", "programmatic", "full", "", derived, 0, 2, 3),
        ("parent", "json", grade, "bleu", derived, 0, 1, 2),
        ("plain", "json", grade, "", grade, 1, 1, 1),
    ]


def test_differences_are_named(package, tmp_path, monkeypatch):
    """A cell, a row too many and a row too few are each a difference; a table written by the script has none."""
    import check_facts

    monkeypatch.setattr(check_facts, "DATA", tmp_path)
    items = check_facts.counted_tables(package)[0]
    check_facts.write(items)
    assert check_facts.compare(items).differences == []
    text = (
        (tmp_path / "items.csv")
        .read_text()
        .replace("plain,plain,3", "plain,plain,4")
        .replace("parent:One", "parent:one")
    )
    (tmp_path / "items.csv").write_text(text)
    assert check_facts.compare(items).differences == [
        "parent parent:one: only packaged",
        "parent parent:One: not packaged",
        "plain plain: n_distinct 4, 3 in the archive",
    ]


def test_a_preferred_metric_without_a_direction(package):
    """The registry does not know the made-up tasks' own metrics: both are named, the grade is known."""
    import check_facts

    directions, ranges = check_facts.check_registry(package)
    assert [said.partition(":")[0] for said in directions.differences] == ["full of game", "made_up of game"]
    assert ranges.differences == []
