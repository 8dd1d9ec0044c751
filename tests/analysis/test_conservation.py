"""No number is lost from the disk to the tables of an analysis, and one that were lost would be noticed."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import bigbench_meta as bm
from bigbench_meta.analysis.conservation import account
from bigbench_meta.errors import AnalysisError
from bigbench_meta.jobs.run import _counts, run

# A number in a file as the generator writes it, if the file goes on as far as its value.
SCORE = re.compile(r'^ {8}"[^"]*": (?=\S)', re.MULTILINE)


@pytest.fixture(scope="module")
def defective(tmp_path_factory):
    """A repository with a planted defect in one file in six, loaded and analysed."""
    folder = tmp_path_factory.mktemp("defective") / "r"
    made = bm.simulate(folder, rng=np.random.default_rng(2), tasks=2, defects=16)
    results = bm.load_results(str(folder), use_cache=False)
    assert len(results.problems) >= 10
    return made, results, bm.analyze(results, rng=np.random.default_rng(0), draws=19)


def assert_adds_up(counts, *, results, curves):
    """The sums of every stage, with the tables themselves on the other side."""
    load = [counts[f"numbers_{name}"] for name in ("rows", "explained", "not_selected")]
    assert counts["numbers_on_disk"] == sum(load)
    assert counts["numbers_rows"] == len(results)
    points = [counts[name] for name in ("points", "numbers_averaged", "numbers_without_scale")]
    assert sum(points) == len(results)
    for what in ("{}_emergence_score", "{}_sharpness"):
        halves = [name for name in counts if name.endswith(what.format("").lstrip("_")) and name.startswith("curves_")]
        assert len(halves) == 2
        assert sum(counts[name] for name in halves) == counts["curves"] == len(curves)


def test_a_repository_with_defects_adds_up(defective):
    """Numbers on disk as the generator counted them, through load and curves to the tests of the analysis."""
    made, results, analysis = defective
    counts = _counts(results, analysis)
    assert_adds_up(counts, results=results.frame, curves=analysis.curves)
    assert counts["numbers_explained"] > 0
    cut_off = made.defects["defect"].isin(["truncated_file", "empty_file"])
    seen = sum(len(SCORE.findall((made.path / file).read_text())) for file in made.defects.loc[cut_off, "file"])
    assert counts["numbers_explained"] == made.defects.loc[~cut_off, "scores_lost"].sum() + seen
    plain = results.frame[np.isfinite(results.frame["scale"])]
    assert (
        counts["points"]
        == plain.groupby(["task", "subtask", "metric", "family", "shots", "scale"], observed=True).ngroups
    )


@pytest.mark.parametrize("table", ["curves", "points"])
def test_a_row_that_vanishes_between_stages_is_noticed(defective, table):
    """One curve or point less than RESULTS has is an error, never a smaller table; so is one more."""
    _, results, analysis = defective
    whole = getattr(analysis, table)
    for other in (whole.iloc[1:], pd.concat([whole, whole.iloc[[0]]])):
        with pytest.raises(
            AnalysisError, match=rf"RESULTS has \d+ {table}, but the analysis has \d+; expected the same"
        ):
            _counts(results, replace(analysis, **{table: other}))


def test_a_row_that_vanishes_from_results_is_noticed(defective):
    """RESULTS without the only row of a point no longer matches what was analysed."""
    _, results, analysis = defective
    key = ["task", "subtask", "metric", "family", "shots", "scale"]
    once = ~results.frame.duplicated(key, keep=False) & np.isfinite(results.frame["scale"])
    fewer = results.frame.drop(index=results.frame.index[once][0])
    with pytest.raises(AnalysisError, match="points, but the analysis has"):
        account(fewer, curves=analysis.curves, points=analysis.points)


def test_a_users_table_adds_up_in_its_provenance(tmp_path):
    """A table with a repeat, a missing scale and a missing score: each is counted where it goes (by hand)."""
    lines = [("t", "accuracy", "f", f"m{step}", 10.0 ** (6 + step), step / 8) for step in range(5)]
    lines += [("t", "accuracy", "f", "again", 1e6, 0.25), ("t", "accuracy", "f", "unknown", "", 0.5)]
    lines += [("t", "accuracy", "f", "missing", 1e11, "")]
    with (tmp_path / "mine.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("task", "metric", "family", "model", "scale", "score"), *lines])
    made = run(str(tmp_path / "mine.csv"), out=tmp_path / "out", draws=19)
    counts = json.loads((made.out / "provenance.json").read_text(encoding="utf-8"))["counts"]
    tables = {name: made.out / "tables" / name for name in ("results.parquet", "curves.csv")}
    assert_adds_up(counts, results=pd.read_parquet(tables["results.parquet"]), curves=pd.read_csv(tables["curves.csv"]))
    assert (counts["numbers_on_disk"], counts["points"]) == (8, 6)
    assert (counts["numbers_averaged"], counts["numbers_without_scale"], counts["curves"]) == (1, 1, 1)
