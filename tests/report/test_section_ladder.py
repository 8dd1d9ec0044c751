"""The ladder's section of the report, and the tables it is drawn from."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from bigbench_meta.experiments.ladder.packaged import PACKAGED_TABLES, packaged_ladder, packaged_predictions
from bigbench_meta.experiments.predictions.together import LARGE_SAMPLE, verdict_table
from bigbench_meta.report.section_experiments import PACKAGED_SOURCE, experiment_sections
from bigbench_meta.report.section_ladder import BUILT

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tables():
    """The packaged tables of the three predictions."""
    return packaged_predictions()


@pytest.fixture(scope="module")
def section():
    """The section as the default run shows it."""
    return experiment_sections(PACKAGED_SOURCE)[0]


def test_only_the_default_source_shows_the_ladder():
    """The page of the packaged ladder has the section; that of another source has none."""
    assert experiment_sections(PACKAGED_SOURCE)[0].name == "ladder"
    assert experiment_sections("some table") == ()


def test_every_verdict_is_counted_and_listed(tables, section):
    """The sentences count the verdicts that the table lists: 39 pairs and 3 of the large sample, 3 families of it, 12 of lengths."""
    verdicts = next(table.frame for table in section.tables if table.name == "ladder_verdicts")
    assert verdicts.equals(verdict_table(tables))
    counted = {"1a": 42, "1b": 42, "1c": 42, "2": 3, "3a": 3, "3b": 12}
    assert verdicts["prediction"].value_counts().to_dict() == counted
    for number in counted:
        own = verdicts.loc[verdicts["prediction"] == number, "verdict"]
        words = (
            ("explained", "not explained", "undecided")
            if number == "1b"
            else ("confirmed", "not confirmed", "undecided")
        )
        counts = ", ".join(f"{word} {(own == word).sum()}" for word in words)
        assert sum(counts in sentence for sentence in section.sentences) == 1


def test_the_contrast_is_between_the_built_task_and_the_others(tables, section):
    """E under accuracy is the larger in substitution at 8 tokens with its whole interval, and nowhere else so."""
    pairs = tables["prediction_1"]
    assert (pairs.loc[pairs["subtask"] == f"{BUILT}:length_8", "ratio_low"] > 1).all()
    assert not (pairs.loc[pairs["task"] != BUILT, "ratio_low"] > 1).any()
    assert any("looks sharper in 0 of 9 pairs" in sentence for sentence in section.sentences)


def test_both_sides_stand_in_the_text(tables, section):
    """With 20,000 items substitution is explained in all seeds; the departure and the replaced rules are told as well."""
    text = " ".join((*section.sentences, *section.caveats))
    large = tables["prediction_1"][tables["prediction_1"]["subtask"].str.endswith(LARGE_SAMPLE)]
    assert (large["explained"] == "explained").all()
    assert (large["departure_low"] > 0).all()
    assert f"at most {large['departure'].max():.3f}" in text
    assert "were replaced after results of this ladder had been seen" in text
    assert "no evidence either way" in text


def test_length_one_foretells_the_emergence_score(tables, section):
    """E at length 8: 33, 36, 31 from length 1 against 57, 35, 38, of the packaged scores, counted apart from this code."""
    eight = tables["prediction_3_lengths"].query("length == 8")
    assert eight["emergence_predicted"].round().tolist() == [33, 36, 31]
    assert eight["emergence"].round().tolist() == [57, 35, 38]
    assert tables["prediction_3_length_one"]["accuracy_r2"].min() > 0.99
    assert any("33, 36, 31 at length 8, where 57, 35, 38" in sentence for sentence in section.sentences)


def test_figures_carry_their_data(section):
    """Three figures with words and data, n and M on them, and all their text in the plot's font."""
    assert [figure.name for figure in section.figures] == ["ladder_contrast", "ladder_ratio", "ladder_items_and_length"]
    for figure in section.figures:
        assert len(figure.data) > 30
        assert len(figure.alt) > 60
    titles = " ".join(figure.title for figure in section.figures) + section.figures[1].figure.axes[0].get_title("left")
    assert "M = 9" in titles
    assert "n = 100" in titles


def test_the_packaged_tables_are_of_the_whole_ladder(tables):
    """27 models of each task; hits and items of the large sample as shipped with the ladder."""
    assert set(tables) == set(PACKAGED_TABLES)
    assert tables["prediction_3_models"].groupby("task").size().eq(27).all()
    assert tables["prediction_2_models"]["n_items"].eq(20_000).all()
    assert np.isfinite(tables["prediction_1_points"]["distance"]).all()


@pytest.mark.slow
def test_the_script_makes_the_packaged_tables_again(tmp_path):
    """The committed script gives the committed files, byte for byte."""
    path = ROOT / "scripts" / "maintenance" / "judge_ladder.py"
    spec = importlib.util.spec_from_file_location("judge_ladder", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    done = CliRunner().invoke(module.main, ["--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    for name in PACKAGED_TABLES:
        shipped = packaged_ladder() / "predictions" / f"{name}.csv"
        assert (tmp_path / f"{name}.csv").read_bytes() == shipped.read_bytes(), name
