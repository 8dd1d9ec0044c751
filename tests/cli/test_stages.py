"""The stages on the command line: what `score` and `analyze` print and write."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import bigbench_meta as bm
from bigbench_meta.cli import main


@pytest.fixture(scope="module")
def scores(tmp_path_factory):
    """A user's table: one straight line over five scales and one curve of four."""
    rows = [
        {
            "task": task,
            "metric": "exact_str_match",
            "family": "mine",
            "model": f"m{i}",
            "scale": 10.0**i,
            "score": score,
        }
        for task, ys in {"line": [0.1, 0.2, 0.3, 0.4, 0.5], "bend": [0.0, 0.1, 0.3, 0.7]}.items()
        for i, score in enumerate(ys)
    ]
    path = tmp_path_factory.mktemp("scores") / "scores.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def test_score_prints_curves_as_csv(scores):
    """Standard output is CURVES alone; a straight line over five scales scores 4, steps .1 .2 .4 give .7/.2."""
    done = CliRunner().invoke(main, ["score", str(scores)])
    assert done.exit_code == 0, done.stderr
    curves = pd.read_csv(io.StringIO(done.stdout)).set_index("task")
    assert curves.loc["line", "emergence_score"] == pytest.approx(4.0)
    assert curves.loc["bend", "emergence_score"] == pytest.approx(3.5)
    assert "2 curves" in done.stderr


def test_analyze_writes_curves_and_says_findings(scores, tmp_path):
    """The file holds every analysed column; findings go to stderr; a second call does not overwrite unasked."""
    items = tmp_path / "items.csv"
    items.write_text("task,n_items\nline,200\nbend,200\n")
    out = tmp_path / "curves.csv"
    arguments = ["analyze", str(scores), "--items", str(items), "--draws", "19", "--out", str(out)]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.strip() == str(out)
    assert "verdict" in pd.read_csv(out).columns
    assert "67 tasks claimed" not in done.stderr  # the source holds none of them
    assert CliRunner().invoke(main, arguments).exit_code == 1


def test_every_command_has_help_and_stands_in_the_readme(request):
    """No command without a help text, and none that the README does not name."""
    readme = (request.config.rootpath / "README.md").read_text(encoding="utf-8")
    for name, command in main.commands.items():
        assert command.help, name
        assert f"`{name}`" in readme, f"{name} is not in README.md"


def test_aggregates_follow_the_official_rules(tmp_path):
    """Aggregate rows equal BIG-bench's rules recomputed from the leaf rows: means, and 100 times the mean normalised score."""
    made = bm.simulate(tmp_path / "r", rng=np.random.default_rng(5), tasks=8)
    frame = bm.load_results(bm.fetch(str(made.path))).frame.astype({"task": str, "subtask": str, "metric": str})
    place = ["task", "family", "model", "shots"]
    compared = 0
    for key, part in frame.groupby(place, observed=True):
        aggregate, leaves = part[part["is_aggregate"]], part[~part["is_aggregate"]]
        if aggregate.empty:
            continue
        preferred = leaves[leaves["is_preferred"]]
        normalised = (preferred["score"] - preferred["low_score"]) / (preferred["high_score"] - preferred["low_score"])
        for metric, score in aggregate.set_index("metric")["score"].items():
            expected = (
                100 * normalised.mean()
                if metric == "normalized_aggregate_score"
                else leaves.loc[leaves["metric"] == metric, "score"].mean()
            )
            assert score == pytest.approx(expected, abs=1e-9), (key, metric)
            compared += 1
    assert compared > 100
