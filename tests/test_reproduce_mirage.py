"""The reproduction script states the published figures, ours, and why they differ."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "reproduce_mirage.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("reproduce_mirage", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_claims_give_the_published_share_and_its_base_rate(script):
    """63 of 67 (94.0%), 158 of 209 (75.6%), conditional odds ratio 7.73 (2.63 to 31.0), from the public facts."""
    ours = [row.ours for row in script.claim_rows()]
    assert ours[:3] == ["63 of 67 = 94.0%", "158 of 209 = 75.6%", "7.73 (2.63 to 31.0)"]


def test_the_swap_counts_pairs_that_stop_being_steep(script):
    """Of two pairs, one is steep under the first metric and not under Brier, whose sign is turned."""
    rows = [
        {"task": task, "metric": metric, "emergence_score": score}
        for task, scores in {"a": (20.0, -5.0), "b": (20.0, -20.0)}.items()
        for metric, score in zip(script.SWAP, scores, strict=True)
    ]
    curves = pd.DataFrame(rows).assign(subtask="x", family="f", shots=0, n_scales=12, is_preferred=True)
    assert script.curve_rows(curves)[-1].ours == "of 2 pairs, 2 steep under the first, 1 of these not under the second"


def test_what_cannot_be_redone_is_said(script, curves):
    """Without the second metric nothing is made up."""
    only = curves[curves["metric"] == "multiple_choice_grade"].astype(
        {"metric": str, "subtask": str, "family": str, "task": str}
    )
    assert script.curve_rows(only)[-1].ours == "cannot be redone"


def test_figures_are_written_for_what_the_source_holds(script, results, curves, tmp_path):
    """All four where both metrics are there, each beside its data; three where one is missing."""
    paths = script.draw_figures(results, curves, tmp_path / "figures")
    assert [path.name for path in paths] == ["figure_5a.svg", "figure_5b.svg", "figure_5c.svg", "figure_6.svg"]
    assert all(path.with_suffix(".csv").stat().st_size for path in paths)
    only = curves[curves["metric"] == script.SWAP[0]]
    assert len(script.draw_figures(results, only, tmp_path / "fewer")) == 3
    assert all(path.read_bytes().startswith(b"<?xml") for path in paths)


def test_a_users_table_is_a_source(script, tmp_path, capsys):
    """Any source of `run` will do, a table of scores too."""
    rows = [
        {"task": "t", "metric": "exact_str_match", "family": "f", "model": i, "scale": 10**i, "score": i / 9}
        for i in range(9)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "own.csv", index=False)
    assert script.main([str(tmp_path / "own.csv")]) == 0
    assert "cannot be redone" in capsys.readouterr().out


@pytest.mark.real
def test_the_real_bundle_gives_a_table(script, shared_data, capsys):
    """Every published figure has a line of ours, and E of the preferred metrics ranks as the formula says."""
    assert script.main([str(shared_data / "bigbench-real.bundle")]) == 0
    text = capsys.readouterr().out
    assert "94.0%" in text
    assert "cannot be redone" in text
    assert np.char.count(text, "multiple_choice_grade") > 2
