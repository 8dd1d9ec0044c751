"""Subsets of sizes: hand-counted subsets, and the shipped LeNets."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bigbench_meta.experiments import vision
from bigbench_meta.experiments.vision.sparse_sizes import _subsets, sparse_sizes


def test_subsets_keep_both_ends():
    """Five sizes, four of them: the ends and two of three between, three subsets."""
    assert _subsets(5, 4, rng=np.random.default_rng(0)) == [[0, 1, 2, 4], [0, 1, 3, 4], [0, 2, 3, 4]]
    drawn = _subsets(30, 8, rng=np.random.default_rng(0))
    assert len(drawn) == 500
    assert all(kept[0] == 0 and kept[-1] == 29 and len(set(kept)) == 8 for kept in drawn)


def test_a_straight_ladder_by_hand():
    """Six equal steps of which four sizes are kept: the largest step of a subset is 1 to 3 fifths; E of all six is 5."""
    rows = [("lenet", m, 10.0**i, i / 5, 1000) for m in ("smooth", "hard") for i in range(6)]
    frame = pd.DataFrame(rows, columns=["family", "metric", "scale", "score", "n_items"])
    table = sparse_sizes(
        frame.assign(trial=0, task="t"), "lenet", smooth="smooth", hard="hard", rng=np.random.default_rng(0)
    )
    whole = table[table["sizes"] == 6]
    assert whole["emergence"].tolist() == [5.0, 5.0]
    assert whole["largest_step"].tolist() == pytest.approx([0.2, 0.2])
    few = table[table["sizes"] == 4].iloc[0]
    assert few["subsets"] == 6  # two of four sizes between
    assert 0.2 < few["largest_step"] <= 0.6


def test_few_sizes_sharpen_both_metrics_of_the_lenets():
    """The paper's contrast of sparse and dense sampling, on the shipped LeNets: both metrics, not the hard one alone."""
    table = vision.findings(vision.shipped()).tables["vision_sparse_sizes"]
    step = table.set_index(["metric", "sizes"])["largest_step"]
    for metric in ("accuracy", "subset_accuracy_5"):
        assert step[metric, 4] > step[metric, 6] > step[metric, 8] > step[metric, 14]
    assert abs(step["accuracy", 4] - step["subset_accuracy_5", 4]) < 0.1
