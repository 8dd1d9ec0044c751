"""Figures, findings and the command draw and say what the tables hold, without PyTorch."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from bigbench_meta.cli import main
from bigbench_meta.experiments import vision
from bigbench_meta.experiments.vision import drawings as figures
from bigbench_meta.experiments.vision.statements import independence_table, shape_table


@pytest.fixture(scope="module")
def shipped():
    return vision.shipped()


@pytest.fixture(autouse=True)
def _no_window():
    import matplotlib as mpl

    mpl.use("Agg")
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def test_shapes_cover_every_curve_and_state_the_resolution(shipped):
    """One row per family and metric; 1/143 for groups of five; the smallest transformer is invisible there."""
    table = shape_table(shipped).set_index(["family", "metric"])
    assert len(table) == len(shipped[["family", "metric"]].drop_duplicates())
    five = table.loc[("transformer", "sequence_accuracy_5")]
    assert five["resolution"] == 1 / 143
    assert five["invisible_sizes"] == 1
    assert np.isnan(table.loc[("autoencoder", "mean_squared_error"), "resolution"])


def test_expected_is_the_mean_over_trials_of_the_power(shipped):
    """Not the power of the mean: by hand for one size from the accuracies of its five trials."""
    rows = shipped[(shipped["family"] == "lenet") & (shipped["metric"] == "accuracy") & (shipped["scale"] == 116)]
    by_hand = sum(score**3 for score in rows["score"]) / 5
    table = independence_table(shipped, "lenet").set_index(["grouping", "size", "scale"])
    assert table.loc[("random", 3, 116), "expected"] == pytest.approx(by_hand)


def test_findings_change_with_the_numbers(shipped):
    """The sentence on width is decided by the widths: autoencoders agree with the paper, classifiers do not."""
    text = vision.findings(shipped).sentences
    assert "fewer decades" in text[0]
    assert "more decades, not fewer" in text[1]
    assert "not narrower" in text[2]
    only = vision.findings(shipped[shipped["family"] == "autoencoder"])
    assert len(only.sentences) == 2
    assert list(only.tables) == ["vision_shapes"]


@pytest.mark.parametrize("experiment", vision.EXPERIMENTS)
def test_figures_draw_the_means_and_name_their_axes(shipped, experiment):
    """The line of the smooth metric holds the mean scores; axes have labels; n and seeds stand on the plot."""
    axes = figures.draw_experiment(shipped, experiment)
    assert len(axes) == 3
    rows = shipped[shipped["family"] == experiment]
    metric = "mean_squared_error" if experiment == "autoencoder" else "accuracy"
    means = rows[rows["metric"] == metric].groupby("scale")["score"].mean()
    line = axes[0].get_lines()[0]
    assert line.get_xdata() == pytest.approx(means.index.to_numpy())
    assert line.get_ydata() == pytest.approx(means.to_numpy())
    assert all(ax.get_xlabel() and ax.get_ylabel() and ax.get_xscale() == "log" for ax in axes)
    assert "5 seeds" in axes[0].texts[0].get_text()


def test_the_sweep_shows_every_threshold_and_marks_one(shipped):
    """Seven lines, one of them named the headline."""
    ax = figures.draw_threshold_sweep(shipped)
    labels = [line.get_label() for line in ax.get_lines()]
    assert len(labels) == 7
    assert sum("headline" in label for label in labels) == 1


def test_closed_form_is_drawn_beside_every_measured_curve(shipped):
    """Five measured lines, five of the closed form, and one for the legend."""
    ax = figures.draw_groups(shipped, "lenet")
    assert len(ax.get_lines()) == 11


def test_the_command_draws_shipped_results(tmp_path):
    """One figure in three formats, the tables and the sentences; a second run gives the same bytes."""
    outs = [tmp_path / "a", tmp_path / "b"]
    for out in outs:
        found = CliRunner().invoke(main, ["vision", "--experiment", "autoencoder", "--json", "--out", str(out)])
        assert found.exit_code == 0, found.output
        assert json.loads(found.stdout)["out"] == str(out.resolve())
    names = sorted(path.relative_to(outs[0]).as_posix() for path in outs[0].rglob("*") if path.is_file())
    assert "figures/vision_autoencoder.svg" in names
    assert "tables/results.parquet" in names
    assert not any("lenet" in name for name in names)
    for name in names:
        assert (outs[0] / name).read_bytes() == (outs[1] / name).read_bytes(), name


def test_training_options_without_train_are_wrong_usage():
    """Exit 2, and the option is named: nothing is trained or drawn by accident."""
    found = CliRunner().invoke(main, ["vision", "--images", "mnist"])
    assert found.exit_code == 2
    assert "--images" in found.stderr


def test_training_without_pytorch_says_what_to_install(monkeypatch, tmp_path):
    """Exit 1 in one line that names the extra and the way without it."""
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        "bigbench_meta.experiments.vision.training.find_spec", lambda name: None if name == "torch" else find(name)
    )
    found = CliRunner().invoke(main, ["vision", "--train", "--out", str(tmp_path / "out")])
    assert found.exit_code == 1
    assert "'torch>=" in found.stderr
    assert "without --train" in found.stderr
    assert list(tmp_path.iterdir()) == []


def test_reading_and_drawing_need_no_pytorch():
    """Importing the package's public names and reading what is shipped loads neither PyTorch nor scikit-learn."""
    code = (
        "import sys; from bigbench_meta.experiments import vision; vision.findings(vision.shipped()); "
        "print([m for m in ('torch', 'sklearn', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_stopped_ladders_are_marked_and_told(shipped):
    """By hand: a table that calls one metric emergent at 322 and 628 parameters gives two stars and one sentence."""
    import pandas as pd

    from bigbench_meta.experiments.vision.calibration import said_of_stopped_ladders

    rows = [
        ("lenet", metric, scale, metric != "accuracy" and scale in (322.0, 628.0))
        for metric in ("accuracy", "subset_accuracy_5")
        for scale in (225.0, 322.0, 628.0, 53002.0)
    ]
    table = pd.DataFrame(rows, columns=["family", "metric", "stopped_at", "emergent"]).astype({"emergent": "boolean"})
    sentence, limits = said_of_stopped_ladders(shipped, table)
    assert "8 cuts that overlap" in limits
    assert "not corrected" in limits
    assert "accuracy at 0 of 4;" in sentence
    assert "subset accuracy 5 at 2 of 4 (322, 628)" in sentence
    assert sentence.endswith("Over the whole ladder none is.")
    ax = figures.draw_stopped_ladders(shipped, table, "lenet")
    assert [len(stars.get_offsets()) for stars in ax.collections] == [0, 2, 0]


def test_shipped_stopped_ladders_hold_every_stop(shipped):
    """From five sizes to all of them; the hard metrics are emergent at some stop and never at the last one."""
    table = vision.shipped_stopped_ladders()
    sizes = shipped.groupby("family", observed=True)["model"].nunique()
    for (family, metric), rows in table.groupby(["family", "metric"]):
        assert len(rows) == sizes[family] - 4, metric
    last = table.loc[table.groupby(["family", "metric"])["stopped_at"].idxmax()]
    assert not last["emergent"].fillna(value=False).any()
    for metric in ("reconstruction_c=1.27", "subset_accuracy_5", "sequence_accuracy_5"):
        assert table.loc[table["metric"] == metric, "emergent"].any(), metric
