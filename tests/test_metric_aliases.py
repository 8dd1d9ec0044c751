"""A metric named ``exact_string_match`` is taken for ``exact_str_match`` wherever a person names one, and that is said."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import bigbench_meta as bm
from bigbench_meta.analysis.tasks.concentration import claims_concentration
from bigbench_meta.cli import main
from bigbench_meta.errors import LoadError
from bigbench_meta.experiments.ladder.packaged import packaged_ladder
from bigbench_meta.experiments.rescoring.scoring import chosen_metrics
from bigbench_meta.export import select
from bigbench_meta.facts.claims import claims, preferred_metrics
from bigbench_meta.facts.metrics import ALIASES, metric_key

SAID = "metric 'exact_string_match' is taken for 'exact_str_match'"
HEADER = "task,metric,family,model,scale,score\n"


@pytest.fixture(autouse=True)
def _as_imported():
    """Leave the logger as the import leaves it: commands that ran in this process set its level and handlers."""
    logger = logging.getLogger("bigbench_meta")
    handlers, level = logger.handlers[:], logger.level
    logger.handlers[:] = []
    logger.setLevel(logging.NOTSET)
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)


def test_every_alias_stands_for_a_metric_of_the_registry():
    """An alias is no key itself, and what it stands for is one."""
    known = set(bm.metrics()["metric"])
    assert set(ALIASES.values()) <= known
    assert not set(ALIASES) & known


def test_another_name_is_left_alone(caplog):
    """Only names of the table are replaced; nothing is said of others."""
    assert metric_key("bleu") == "bleu"
    assert metric_key("exact_string_match", known={"exact_string_match"}) == "exact_string_match"
    assert caplog.text == ""


def test_load_results_takes_it(caplog):
    """The same rows under both names, and a warning under the alias only."""
    by_key = bm.load_results(packaged_ladder(), tasks=["letter_sorting"], metrics=["exact_str_match"])
    assert caplog.text == ""
    by_alias = bm.load_results(packaged_ladder(), tasks=["letter_sorting"], metrics=["exact_string_match"])
    pd.testing.assert_frame_equal(by_alias.frame, by_key.frame)
    assert len(by_key.frame)
    assert SAID in caplog.text
    assert caplog.records[-1].levelno == logging.WARNING  # seen on stderr also where nobody has set up logging


def test_a_metric_that_is_not_there_is_named_by_its_key(tmp_path):
    """The error speaks of the key that was looked for."""
    (tmp_path / "own.csv").write_text(HEADER + "t,bleu,f,a,1,0.5\n", encoding="utf-8")
    with pytest.raises(LoadError, match="no metric 'exact_str_match'"):
        bm.load_results(tmp_path / "own.csv", metrics=["exact_string_match"])


def test_a_users_table_may_call_it_so(tmp_path, caplog):
    """The key stands in RESULTS, a note says so; a table with both names keeps both apart."""
    caplog.set_level(logging.INFO, logger="bigbench_meta")
    path = tmp_path / "own.csv"
    path.write_text(HEADER + "t,exact_string_match,f,a,1,0.5\n", encoding="utf-8")
    results = bm.load_results(path)
    assert list(results.frame["metric"]) == ["exact_str_match"]
    assert any(SAID in note for note in results.notes)
    assert SAID in caplog.text
    path.write_text(HEADER + "t,exact_string_match,f,a,1,0.5\nt,exact_str_match,f,a,1,0.25\n", encoding="utf-8")
    both = bm.load_results(path, metrics=["exact_string_match"])
    assert list(both.frame["score"]) == [0.5]
    assert not any(SAID in note for note in both.notes)


def test_a_metrics_file_may_call_it_so(tmp_path, caplog):
    """A user's row of the registry replaces the packaged one of the key."""
    path = tmp_path / "metrics.csv"
    path.write_text("metric,direction\nexact_string_match,lower\n", encoding="utf-8")
    table = bm.metrics(path).query("task == ''").set_index("metric")["direction"]
    assert table["exact_str_match"] == "lower"
    assert "exact_string_match" not in table
    assert SAID in caplog.text


def test_queries_and_rescoring_take_it(caplog):
    """The conditions of `export --query`, and the metrics to compute."""
    frame = pd.DataFrame({"task": ["a", "b"], "metric": ["exact_str_match", "bleu"]})
    assert list(select(frame, ["metric=exact_string_match"])["task"]) == ["a"]
    assert SAID in caplog.text
    assert chosen_metrics(["exact_string_match"]) == ("exact_str_match",)
    assert caplog.text.count(SAID) == 2


def test_claims_take_it(caplog):
    """A table of preferred metrics with the alias gives the published comparison: 63 of 67, and exact match alone 12 of 42."""
    ours = preferred_metrics()
    renamed = ours.assign(preferred_metric=ours["preferred_metric"].replace("exact_str_match", "exact_string_match"))
    rng = np.random.default_rng
    table = claims_concentration(claims(), renamed, rng=rng(0), draws=19)
    pd.testing.assert_frame_equal(table, claims_concentration(claims(), ours, rng=rng(0), draws=19))
    assert SAID in caplog.text


@pytest.mark.parametrize("command", ["load", "rescore"])
def test_the_command_line_says_it_on_stderr(command, tmp_path):
    """Stdout stays data or a path."""
    if command == "load":
        arguments = ["load", str(packaged_ladder()), "--task", "letter_sorting"]
    else:
        outputs = tmp_path / "outputs.jsonl"
        outputs.write_text('{"model": "m", "task": "t", "output": "4", "target": "4"}\n', encoding="utf-8")
        arguments = ["rescore", str(outputs), "--out", str(tmp_path / "made")]
    done = CliRunner().invoke(main, [*arguments, "--metric", "exact_string_match"])
    assert done.exit_code == 0, done.output
    assert SAID in done.stderr
    assert SAID not in done.stdout
