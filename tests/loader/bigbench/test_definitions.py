"""Items counted in a source's own task.json."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import bigbench_meta as bm
from bigbench_meta.analysis.curves.items import ItemTable
from bigbench_meta.cli import main
from bigbench_meta.loader.bigbench.definitions import task_definitions


def write(root, path, definition):
    """Write one definition, and scores beside the task's folder."""
    file = root / "bigbench" / "benchmark_tasks" / path / "task.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(definition if isinstance(definition, bytes) else json.dumps(definition).encode())
    results = root / "bigbench" / "benchmark_tasks" / path.split("/")[0] / "results"
    results.mkdir(exist_ok=True)
    (results / "scores_BIG-G_T=0_2m.json").write_text("{}")


def test_distinct_examples_by_task_and_subtask(tmp_path):
    """Repeats are one item if their keys have one order; a parent of subtasks has none; graded targets are said."""
    example = {"input": "a", "target": "b"}
    write(tmp_path, "plain", {"examples": [example, dict(example), {"target": "b", "input": "a"}]})
    write(tmp_path, "parent", {"examples": []})
    write(tmp_path, "parent/one", {"examples": [{"input": "a", "target_scores": {"x": 0.5, "y": 1}}]})
    write(tmp_path, "parent/two", {"examples": [{"input": "a", "target_scores": {"x": 0, "y": 1.0}}]})
    write(tmp_path, "broken", b'{"examples": [')
    write(tmp_path, "odd", {"examples": {"input": "a"}})
    table = task_definitions(bm.fetch(str(tmp_path))).set_index("subtask")
    assert table["task"].to_dict() == {
        "broken": "broken", "odd": "odd", "parent:one": "parent", "parent:two": "parent", "plain": "plain"
    }  # fmt: skip
    assert table.loc[["plain", "parent:one", "parent:two"], "n_distinct"].tolist() == [2, 1, 1]
    assert table.loc[["plain", "parent:one", "parent:two"], "soft_targets"].tolist() == [0, 1, 0]
    assert np.isnan(table.loc[["broken", "odd"], "n_distinct"]).all()
    assert table.loc["broken", "reason"].startswith("no readable JSON")
    assert table.loc["odd", "reason"] == "examples is dict, expected a list"
    # What was counted goes before the packaged facts; what could not be leaves them.
    items = ItemTable(None, table.reset_index())
    assert items.look_up("plain", "plain", "BIG-G T=0", score=np.array([0.5, 1.0])) == (2, "task.json")
    assert items.look_up("plain", "plain", "BIG-G T=0", score=np.array([0.3])).source == "contradicted by the scores"
    assert items.look_up("plain", "plain", "GPT", score=np.array([0.5])).source == "unknown"
    assert items.look_up("anachronisms", "anachronisms", "BIG-G T=0", score=np.array([0.5])) == (230, "packaged")


def test_names_are_those_that_score_files_use(tmp_path):
    """Each level by the name its definition gives, in ASCII; by its folder where it gives none; five cases by hand."""
    examples = {"examples": [{"input": "a", "target": "b"}]}
    write(tmp_path, "parent", {"name": "parent"})
    write(tmp_path, "parent/harmless", examples | {"name": "Harms"})
    write(tmp_path, "parent/atikampe_to", examples | {"name": "atikamp\u00e9_to"})
    write(tmp_path, "parent/plain", examples)
    write(tmp_path, "other", examples | {"name": "another"})
    write(tmp_path, "odd", examples | {"name": 3})
    table = task_definitions(bm.fetch(str(tmp_path)))
    assert list(zip(table["task"], table["subtask"], strict=True)) == [
        ("odd", "odd"),
        ("other", "another"),
        ("parent", "parent:Harms"),
        ("parent", "parent:atikamp?_to"),
        ("parent", "parent:plain"),
    ]


def test_packaged_facts_stay_where_nothing_replaces_them():
    """hhh_alignment has four packaged subtasks; a definition of one of them replaces that one, one of another name none."""
    counted = pd.DataFrame(
        [("hhh_alignment", "hhh_alignment:Harms", 7.0, 0, ""), ("hhh_alignment", "hhh_alignment:mine", 9.0, 0, "")],
        columns=["task", "subtask", "n_distinct", "soft_targets", "reason"],
    )
    items = ItemTable(None, counted)
    found = {
        name: items.look_up("hhh_alignment", f"hhh_alignment:{name}", "BIG-G T=0", score=np.array([1.0]))
        for name in ("Harms", "Honesty", "mine")
    }
    assert found == {"Harms": (7, "task.json"), "Honesty": (61, "packaged"), "mine": (9, "task.json")}


def test_a_simulated_repository_tells_its_items(tmp_path):
    """Every BIG-G share of a JSON task gets the number of items that was planted, without being given any."""
    made = bm.simulate(tmp_path / "repository", rng=np.random.default_rng(7), tasks=2)
    out = tmp_path / "curves.csv"
    done = CliRunner().invoke(main, ["analyze", str(made.path), "--draws", "19", "--out", str(out)])
    assert done.exit_code == 0, done.output
    curves = pd.read_csv(out)
    counted = curves[curves["items_source"].astype(str) == "task.json"]
    assert len(counted) > 5
    planted = made.truth.drop_duplicates(["task", "subtask", "family"])
    both = counted[["task", "subtask", "family", "n_items"]].astype({"task": str, "subtask": str, "family": str}).merge(
        planted[["task", "subtask", "family", "n_items"]], on=["task", "subtask", "family"], suffixes=("", "_planted")
    )  # fmt: skip
    assert len(both) == len(counted)
    assert both["n_items"].tolist() == both["n_items_planted"].tolist()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no readable JSON"),
        (b'{"examples": [{"input": "\xff"}]}', "no readable JSON: Invalid UTF-8"),
        (b'{"examples": [{"a": NaN}]}', "no readable JSON"),
        (b'{"examples": [{"a": 1e999}]}', "no readable JSON: Number out of range"),
        (b'{"examples": [{"a": ' + b"9" * 5_000 + b"}]}", "no readable JSON: Integer value out of range"),
        (b'{"examples": [' + b"[" * 100_000 + b"]" * 100_000 + b"]}", "no readable JSON: maximum recursion depth"),
        (b'{"examples": "many"}', "examples is str, expected a list"),
        (b'{"examples": [' + b"[]," * 5_000_001 + b"[]]}", "10000005 values, at most 10000000 are decoded"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_hostile_definitions(tmp_path, content, reason):
    """What cannot be counted is a row that says why; nothing is decoded that would fill the memory."""
    write(tmp_path, "odd", content)
    (row,) = task_definitions(bm.fetch(str(tmp_path))).to_dict("records")
    assert np.isnan(row["n_distinct"])
    assert row["reason"].startswith(reason)


def test_a_definition_larger_than_the_limit(tmp_path, monkeypatch):
    """Its size is looked at and nothing else."""
    monkeypatch.setattr("bigbench_meta.loader.bigbench.definitions.MAX_BYTES", 20)
    write(tmp_path, "odd", {"examples": [{"input": "a"}]})
    (row,) = task_definitions(bm.fetch(str(tmp_path))).to_dict("records")
    assert row["reason"] == "30 bytes, at most 20 are read"


def test_definitions_that_were_left_out_are_said(tmp_path, monkeypatch):
    """Too large to be read unasked: a run says so on its page, counts from what is packaged, and reads them if told to."""
    made = bm.simulate(tmp_path / "repository", rng=np.random.default_rng(7), tasks=1)
    monkeypatch.setattr("bigbench_meta.fetcher.checkout.SMALL_DEFINITIONS", 0)
    sources = {}
    for options in ((), ("--definitions",)):
        out = tmp_path / f"out{len(options)}"
        arguments = ["run", "--source", str(made.path), "--draws", "19", "--out", str(out), *options]
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == (0 if options else 1), done.output  # without items nothing is tested
        provenance = json.loads((out / "provenance.json").read_text())
        notes = [note for note in provenance["notes"] if "task definitions were not read" in note]
        assert len(notes) == 1 - len(options)
        assert provenance["arguments"]["definitions"] is bool(options)
        sources[options] = set(pd.read_csv(out / "tables" / "curves.csv")["items_source"].dropna())
    assert "task.json" not in sources[()]
    assert "task.json" in sources["--definitions",]
    table = tmp_path / "own.csv"
    table.write_text("task,metric,family,model,scale,score\nt,bleu,F,a,1e6,1\n")
    for command in (["analyze", str(table)], ["run", "--source", str(table), "--out", str(tmp_path / "x")]):
        refused = CliRunner().invoke(main, [*command, "--definitions"])
        assert refused.exit_code
        assert "is a table, which has no task definitions" in refused.output
