"""Is accuracy one function of a smooth measure: planted answers, hand-computed fits, and real language models."""

from __future__ import annotations

import json
import re
import subprocess

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from bigbench_meta.cli import main
from bigbench_meta.errors import AnalysisError, TableError
from bigbench_meta.experiments.predictions.one_function import fitted_function, one_function
from bigbench_meta.experiments.predictions.one_function_rates import drawn_runs
from bigbench_meta.experiments.predictions.score_tables import rows_where


def judged(frame, *, hard="acc", smooth=("loss",)):
    return one_function(frame, hard=hard, smooth=list(smooth), rng=np.random.default_rng(0))


def runs(*, lift=0.0, sizes=5, budgets=5, items=3000):
    return drawn_runs(sizes=sizes, budgets=budgets, items=items, lift=lift, rng=np.random.default_rng(3))


def test_fitted_function_by_hand():
    """A rise with one inversion: the two points are pooled at their mean; a fall is fitted as a fall."""
    knots, values = fitted_function(np.array([3.0, 1, 2, 4]), np.array([0.2, 0.1, 0.4, 0.5]))
    assert knots.tolist() == [1.0, 2.5, 4.0]
    np.testing.assert_allclose(values, [0.1, 0.3, 0.5])
    assert fitted_function(np.arange(4.0), np.array([4.0, 3, 2, 1]))[1].tolist() == [4, 3, 2, 1]


@pytest.mark.parametrize(("sizes", "budgets"), [(5, 5), (8, 1)])
def test_one_function_is_found(sizes, budgets):
    """Accuracy and loss that are both functions of ability: one function over every factor, with R2 near 1."""
    found = judged(runs(sizes=sizes, budgets=budgets)).verdicts
    assert set(found["verdict"]) == {"one function"}
    assert found["r2"].min() > 0.99


def test_a_break_of_one_size_is_found_and_named():
    """Accuracy of the largest size lifted by .2 at every loss: not one function over sizes, and the size is named."""
    found = judged(runs(lift=0.2)).verdicts.set_index("factor")
    assert found.loc["size", "verdict"] == "not one function"
    assert found.loc["size", "largest_group"] == "1e+11"
    assert found.loc["size", "departure"] == pytest.approx(0.2, abs=0.06)
    assert found.loc["size", "p"] < 0.001


def test_scatter_of_runs_is_not_one_function():
    """Every run has an offset of its own: no group departs, and accuracy is still no function of the loss."""
    frame = runs(items=5000)
    offset = dict(zip(frame["model"].unique(), np.resize([0.25, -0.25], 25), strict=True))
    moved = frame["score"] + frame["model"].map(offset).where(frame["metric"] == "acc", 0.0)
    found = judged(frame.assign(score=moved)).verdicts.set_index("factor")
    assert found.loc["training", "verdict"] == "not one function"
    assert found.loc["training", "scatter_low"] > found.loc["training", "margin"]
    # without the number of items the scatter may be theirs
    unknown = judged(frame.assign(score=moved).drop(columns="n_items")).verdicts.set_index("factor")
    assert unknown.loc["training", "verdict"] != "one function"


def test_shapes_line_and_hinge():
    """Straight accuracy is a line; accuracy at chance down to a loss of 2 and straight from there has its hinge at 2."""
    rows = []
    for run in range(12):
        for step, loss in enumerate(np.linspace(4, 1, 16) + 0.02 * run):
            rows += [
                ("line", run, step, 0.9 - 0.2 * loss, loss),
                ("hinge", run, step, 0.25 + 0.5 * max(2 - loss, 0), loss),
            ]
    wide = pd.DataFrame(rows, columns=["task", "run", "step", "acc", "loss"])
    wide = wide.assign(family="f", model="m" + wide["run"].astype(str), scale=10.0 ** (wide["run"] % 4 + 7))
    frame = wide.melt(["task", "family", "model", "scale", "step"], ["acc", "loss"], "metric", "score")
    shapes = judged(frame).shapes.set_index("task")
    assert shapes["shape"].to_dict() == {"line": "line", "hinge": "hinge"}
    assert shapes.loc["hinge", "hinge"] == pytest.approx(2, abs=0.15)
    assert shapes.loc["hinge", "hinge_low"] <= 2.05
    assert shapes.loc["hinge", "slope_below"] == pytest.approx(-0.5, abs=0.03)


def test_logarithm_of_a_metric():
    """``log:ppl`` of exp(loss) is the loss."""
    frame = runs()
    ppl = frame.assign(
        metric=frame["metric"].replace("loss", "ppl"),
        score=np.where(frame["metric"] == "loss", np.exp(frame["score"]), frame["score"]),
    )
    first, second = judged(frame), judged(ppl, smooth=["log:ppl"])
    np.testing.assert_allclose(first.points["x"], second.points["x"])
    pd.testing.assert_series_equal(first.verdicts["departure"], second.verdicts["departure"])


def test_what_is_missing_is_named():
    """A metric that is nowhere, a column that is missing, a condition that no row meets."""
    with pytest.raises(AnalysisError, match=r"no task has nope and one of loss at 12 points"):
        judged(runs(), hard="nope")
    with pytest.raises(AnalysisError, match="no column scale"):
        judged(runs().drop(columns="scale"))
    with pytest.raises(TableError, match="no row has it; task has t"):
        rows_where(runs(), ["task=x"])
    with pytest.raises(TableError, match="expected COLUMN=VALUE"):
        rows_where(runs(), ["slice"])


def test_the_command_writes_tables_and_figures(tmp_path):
    """From a CSV: verdicts, groups, shapes, points, a figure in three formats, and what was left out."""
    frame = pd.concat([runs().assign(slice="all"), runs(lift=0.2).assign(slice="other")])
    frame.to_csv(tmp_path / "s.csv", index=False)
    out = tmp_path / "out"
    command = ["predictions", str(tmp_path / "s.csv"), "--smooth", "loss", "--where", "slice=all", "--out", str(out)]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    assert done.stdout == f"{out}\n"
    assert "loss, over size: one function in 1 tasks" in done.stderr
    names = {path.stem for path in (out / "tables").iterdir()}
    assert names >= {"one_function", "one_function_groups", "one_function_shapes", "one_function_points"}
    assert sorted(path.suffix for path in (out / "figures").iterdir()) == [".pdf", ".png", ".svg"]
    arguments = json.loads((out / "provenance.json").read_text())["arguments"]
    assert arguments["rows_left_out"] == arguments["rows"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["FILE", "--hard", "acc"], "--hard: only with --smooth"),
        (["FILE", "--smooth", "loss", "--scores"], "--scores: not with --smooth"),
        (["--smooth", "loss"], "expected exactly one table"),
    ],
)
def test_wrong_calls_say_what_to_do(tmp_path, arguments, message):
    """Options of the two questions do not mix."""
    (tmp_path / "s.csv").write_text("task\nt\n")
    words = [str(tmp_path / "s.csv") if word == "FILE" else word for word in arguments]
    done = CliRunner().invoke(main, ["predictions", *words, "--out", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert message in done.stderr


@pytest.mark.real
def test_accuracy_against_brier_of_real_models(shared_data):
    """Nine tasks, 65 to 68 models: accuracy is one function of the Brier score over sizes in all of them."""
    table = rows_where(pd.read_csv(shared_data / "difficulty_slices.csv"), ["slice=all"])
    found = judged(table, smooth=["tc_brier"])
    sizes = found.verdicts[found.verdicts["factor"] == "size"]
    assert sizes["verdict"].tolist() == ["one function"] * 9
    assert not (found.verdicts["verdict"] == "not one function").any()
    assert sizes["r2"].min() > 0.9
    shapes = found.shapes.set_index("task")["shape"]
    assert shapes["hellaswag"] == shapes["arc"] == "line"


@pytest.mark.real
def test_accuracy_against_bits_per_byte_of_the_olmo_ladder(shared_data):
    """Five sizes, five budgets: one function of bits per byte where that speaks of the options, with a hinge on MMLU; not on BoolQ."""
    table = pd.read_parquet(shared_data / "olmo_ladder.parquet")
    chosen = table[table["task"].isin(["hellaswag", "mmlu_other", "boolq"])]
    items = {"hellaswag": 10042, "boolq": 3270}
    found = judged(chosen.assign(n_items=chosen["task"].astype(str).map(items)), smooth=["bpb", "prob_correct"])
    size = found.verdicts[found.verdicts["factor"] == "size"].set_index(["task", "smooth"])["verdict"]
    assert size["hellaswag", "bpb"] == size["mmlu_other", "bpb"] == size["hellaswag", "prob_correct"] == "one function"
    assert size["boolq", "bpb"] == "not one function"
    shapes = found.shapes.set_index(["task", "smooth"])["shape"]
    assert shapes["mmlu_other", "bpb"] == "hinge"
    assert shapes["mmlu_other", "prob_correct"] == shapes["hellaswag", "prob_correct"] == "line"


@pytest.mark.real
def test_lambada_of_pythia(shared_data, tmp_path):
    """Eight sizes and 27 checkpoints fall on one function of log perplexity; it is 0 down to about 6 nats and straight below."""
    bundle = shared_data / "pythia-evals.bundle"
    subprocess.run(["git", "clone", "-q", str(bundle), str(tmp_path / "pythia")], check=True, timeout=120)
    rows = []
    for path in sorted((tmp_path / "pythia" / "evals" / "pythia-v1").glob("*/zero-shot/*.json")):
        scores = json.loads(path.read_text())["results"]["lambada_openai"]
        size = path.parts[-3].removeprefix("pythia-").removesuffix("-bf16")
        scale = float(size[:-1]) * {"m": 1e6, "b": 1e9}[size[-1]]
        step = int(re.search(r"step(\d+)", path.name)[1])
        rows += [("lambada", "Pythia", size, scale, step, name, scores[name], 5153) for name in ("acc", "ppl")]
    names = ["task", "family", "model", "scale", "step", "metric", "score", "n_items"]
    found = judged(pd.DataFrame(rows, columns=names), smooth=["log:ppl"])
    assert len(found.points) == 8 * 27
    assert set(found.verdicts["verdict"]) == {"one function"}
    assert found.verdicts["r2"].min() > 0.999
    (shape,) = found.shapes.to_dict("records")
    assert shape["shape"] == "hinge"
    assert 4.5 < shape["hinge_low"] < shape["hinge_high"] < 7.5
