"""Rows of items, lengths, metrics and human scores that speak of nothing in the scores: said, not passed over."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from click.testing import CliRunner

import bigbench_meta as bm
from bigbench_meta.analysis.unmatched import not_used
from bigbench_meta.cli import main

FRAME = pd.DataFrame(
    [("a", "a:x", "F", "bleu"), ("a", "a:y", "F", "bleu"), ("b", "b", "G", "my_score")],
    columns=["task", "subtask", "family", "metric"],
)


@pytest.mark.parametrize(
    ("keys", "unmet"),
    [
        ([("a", "", ""), ("a", "a:x", ""), ("a", "", "F"), ("b", "b", "G")], []),
        ([("a", "", "G"), ("a", "b", ""), ("c", "", ""), ("b", "", "")], [0, 1, 2]),
    ],
)
def test_items(keys, unmet, caplog):
    """A row counts if some curve has its task and, where given, its subtask and family together; others are counted."""
    items = pd.DataFrame(keys, columns=["task", "subtask", "family"]).assign(n_items=10)
    said = not_used(FRAME, items=items)
    assert len(said) == bool(unmet) == len(caplog.messages)
    if unmet:
        assert said[0].startswith(
            "items: 3 of 4 rows speak of nothing in these scores and count for nothing, first task 'a', family 'G'"
        )
        assert said == caplog.messages


def test_lengths_and_human_scores():
    """By task and subtask, and by task."""
    lengths = pd.DataFrame({"task": ["a", "a", "b"], "subtask": ["", "a:z", "b"], "target_length": [1, 2, 3]})
    human = pd.DataFrame(
        {"task": ["a", "z", "z"], "metric": "", "rater": ["average"] * 2 + ["expert"], "score": [0.1, 0.2, 0.3]}
    )
    assert [sentence.partition(" speak")[0] for sentence in not_used(FRAME, lengths=lengths, human=human)] == [
        "lengths: 1 of 3 rows",
        "human raters: 1 of 2 rows",
    ]


def test_metrics_of_the_package_are_not_counted(tmp_path):
    """Of a registry only rows that are not packaged count, also those that replace packaged ones."""
    path = tmp_path / "m.csv"
    path.write_text("metric,direction,task\nmy_score,higher,\nmy_scroe,higher,\nrougeLsum,lower,\nbleu,lower,b\n")
    assert not_used(FRAME, registry=bm.metrics()) == []
    (said,) = not_used(FRAME, registry=bm.metrics(path))
    assert said.startswith("metrics: 3 of 4 rows speak of nothing")


def test_a_run_says_and_records_it(tmp_path):
    """On stderr and in provenance.json, whichever file it is."""
    (tmp_path / "t.csv").write_text(
        "task,metric,family,model,scale,score\n" + "".join(f"t,bleu,f,m{i},{10**i},{i}\n" for i in range(1, 5))
    )
    given = {"items": "task,n_items\nnope,5", "lengths": "task,target_length\nnope,5", "metrics-file": "metric,direction\nnope,lower",
             "human": "task,average\nnope,5"}  # fmt: skip
    options = []
    for option, text in given.items():
        (tmp_path / f"{option}.csv").write_text(f"{text}\n")
        options += [f"--{option}", str(tmp_path / f"{option}.csv")]
    out = tmp_path / "out"
    done = CliRunner().invoke(
        main, ["run", "--source", str(tmp_path / "t.csv"), "--draws", "19", "--out", str(out), *options]
    )
    assert done.exit_code == 1, done.stderr  # the noise of its one curve is unknown, so nothing was tested
    assert "no curve could be tested" in done.stderr
    said = "1 of 1 rows speak of nothing in these scores and count for nothing, first"
    provenance = json.loads((out / "provenance.json").read_text())
    recorded = " ".join([*provenance["settings"]["not_used"], *provenance["notes"]])
    for what in ("items", "lengths", "metrics", "human raters"):
        assert f"{what}: {said}" in done.stderr
        assert f"{what}: {said}" in recorded
