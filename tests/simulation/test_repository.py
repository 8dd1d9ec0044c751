"""Simulated repositories: layout, official aggregate rules, planted truth, reproducibility and refusals."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from bigbench_meta.cli import main
from bigbench_meta.errors import AnalysisError, OutputError
from bigbench_meta.simulation.plan import FAMILIES
from bigbench_meta.simulation.repository import simulate

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One small repository, shared by the tests that only read it."""
    return simulate(tmp_path_factory.mktemp("simulated") / "repository", rng=np.random.default_rng(20261122), tasks=12)


def read_scores(root: Path) -> pd.DataFrame:
    """All scores by the plainest possible reader, independent of the package's loader."""
    rows = []
    for file in sorted(root.glob("bigbench/benchmark_tasks/*/results/scores_*.json")):
        document = json.loads(file.read_text(encoding="utf-8"))
        model = document["model"]
        for entry in document["scores"]:
            for metric, score in entry["score_dict"].items():
                rows.append(
                    {
                        "task": document["task"]["task_name"],
                        "subtask": entry["subtask_description"],
                        "family": model["model_family"],
                        "scale": model["flop_matched_non_embedding_params"],
                        "shots": entry["number_of_shots"],
                        "metric": metric,
                        "score": score,
                        "preferred": entry["preferred_score"],
                        "low": entry["low_score"],
                        "high": entry["high_score"],
                    }
                )
    return pd.DataFrame(rows)


def digest(root: Path) -> str:
    """One hash over every file's name and bytes."""
    total = hashlib.sha256()
    for file in sorted(p for p in root.rglob("*") if p.is_file()):
        total.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return total.hexdigest()


def test_counts_are_what_is_on_disk(made):
    """The reported numbers of files and scores are those a plain reader finds."""
    assert made.n_files == len(list(made.path.glob("bigbench/benchmark_tasks/*/results/scores_*.json")))
    assert made.n_numbers == len(read_scores(made.path))


def test_families_have_their_documented_sizes(made):
    """Twelve BIG-G sizes, ten sparse, eight GPT, three PaLM, six Gopher; BIG-G's smallest and largest counts exact."""
    scales = read_scores(made.path).groupby("family")["scale"].agg(["nunique", "min", "max"])
    expected = {"BIG-G T=0": 12, "BIG-G T=1": 12, "BIG-G sparse": 10, "GPT": 8, "PaLM": 3, "Gopher": 6}
    assert {family: int(scales.loc[family, "nunique"]) for family in expected} == expected
    assert tuple(scales.loc["BIG-G T=0", ["min", "max"]]) == (2_098_048, 137_440_272_384)
    assert scales.loc["BIG-G sparse", "max"] == 8_590_102_528


def test_shots_differ_between_families(made):
    """PaLM has 0, 1, 2 and 5 shots, BIG-G 0 to 3: the largest number of shots is not comparable."""
    shots = read_scores(made.path).groupby("family")["shots"].unique().map(sorted)
    assert shots["PaLM"] == [0, 1, 2, 5]
    assert shots["BIG-G T=0"] == [0, 1, 2, 3]


def test_every_output_says_simulated(made):
    """The marker, every task's name and every file's model say that no model was run."""
    assert "SIMULATED" in (made.path / "SIMULATED.md").read_text(encoding="utf-8")
    for file in made.path.glob("bigbench/benchmark_tasks/*/results/scores_*.json"):
        document = json.loads(file.read_text(encoding="utf-8"))
        assert document["task"]["task_name"].startswith("simulated_")
        assert "Simulated" in document["model"]["description"]
        assert "Simulated" in document["model"]["additional_details"]


def test_aggregates_follow_the_official_rules(made):
    """Aggregates recomputed from the leaves: means, normalised mean, preferred metric, low and high."""
    scores = read_scores(made.path)
    key = ["task", "family", "scale", "shots"]
    with_leaves = scores.groupby(key)["subtask"].transform("nunique") > 1
    leaves = scores[with_leaves & (scores["subtask"] != scores["task"])]
    totals = scores[with_leaves & (scores["subtask"] == scores["task"])].set_index([*key, "metric"])["score"]
    assert leaves["task"].nunique() >= 4
    means = leaves.groupby([*key, "metric"])["score"].mean()
    pd.testing.assert_series_equal(means, totals.reindex(means.index), rtol=1e-12)
    own = leaves[leaves["metric"] == leaves["preferred"]]
    share = ((own["score"] - own["low"]) / (own["high"] - own["low"])).groupby([own[k] for k in key]).mean()
    normalised = totals.xs("normalized_aggregate_score", level="metric")
    pd.testing.assert_series_equal(100 * share, normalised.reindex(share.index), check_names=False, rtol=1e-12)
    heads = scores[with_leaves & (scores["subtask"] == scores["task"])].drop_duplicates(key)
    choice = heads["task"].isin(leaves.loc[leaves["preferred"] == "multiple_choice_grade", "task"])
    assert (heads.loc[choice, "preferred"] == "multiple_choice_grade").all()
    assert (heads.loc[~choice, ["low", "high"]].to_numpy() == [0, 100]).all()


def test_planted_curves_are_recovered(tmp_path):
    """Without luck, exact-match and multiple-choice scores average to the planted logistic within item noise."""
    made = simulate(tmp_path / "r", rng=np.random.default_rng(5), tasks=30, noise=0.0)
    scores = read_scores(made.path).merge(made.truth, on=["task", "subtask", "metric", "family"])
    counted = scores[scores["metric"].isin(["exact_str_match", "multiple_choice_grade", "full"])]
    counted = counted[counted["kind"] != "flat"]
    place = counted["location"] + counted["shot_shift"] * np.log2(1 + counted["shots"])
    rise = 1 / (1 + 81 ** (-(np.log10(counted["scale"]) - place) / counted["width_decades"]))
    mean = counted["score_small"] + (counted["score_large"] - counted["score_small"]) * rise
    z = (counted["score"] - mean) / np.sqrt(np.maximum(mean * (1 - mean), 1e-4) / counted["n_items"])
    assert len(z) > 2000
    assert abs(z.mean()) < 0.1
    assert 0.9 < z.std() < 1.1


def test_kinds_are_as_asked(tmp_path):
    """With one kind asked for, truth holds that kind only; a jump made by the metric is smooth under Brier."""
    made = simulate(tmp_path / "r", rng=np.random.default_rng(3), tasks=20, kinds={"metric": 1.0})
    by_metric = made.truth.groupby("metric")["kind"].unique().map(list)
    assert by_metric["multiple_choice_grade"] == ["sharp"]
    assert by_metric["calibration_multiple_choice_brier_score"] == ["smooth"]
    assert set(made.truth.loc[made.truth["kind"] == "sharp", "width_decades"].between(0.05, 0.3)) == {True}


def test_common_shift_is_shared_by_all_tasks(tmp_path):
    """A planted model shift moves flat tasks together: the mean residual per model varies far more than without."""
    spread = {}
    for shift in (0.0, 0.5):
        made = simulate(
            tmp_path / str(shift),
            rng=np.random.default_rng(8),
            tasks=20,
            kinds={"flat": 1.0},
            noise=0.0,
            common_shift=shift,
        )
        scores = read_scores(made.path)
        flat = scores[(scores["metric"] == "multiple_choice_grade") & (scores["family"] == "BIG-G T=0")]
        flat = flat[flat["subtask"].isin(made.truth["subtask"])]
        residual = flat["score"] - flat.groupby("subtask")["score"].transform("mean")
        spread[shift] = residual.groupby(flat["scale"]).mean().std()
    assert spread[0.5] > 10 * spread[0.0]


def test_same_seed_same_bytes(tmp_path):
    """Two runs with one seed write the same bytes; another seed writes others."""
    first = simulate(tmp_path / "a", rng=np.random.default_rng(7), tasks=3, defects=4)
    again = simulate(tmp_path / "b", rng=np.random.default_rng(7), tasks=3, defects=4)
    other = simulate(tmp_path / "c", rng=np.random.default_rng(8), tasks=3, defects=4)
    assert digest(first.path) == digest(again.path) != digest(other.path)


def test_defects_are_recorded_one_per_file(tmp_path):
    """Thirty-two defects damage thirty-two files, every kind twice, and untouched files are those of the clean run."""
    clean = simulate(tmp_path / "clean", rng=np.random.default_rng(7), tasks=3)
    dirty = simulate(tmp_path / "dirty", rng=np.random.default_rng(7), tasks=3, defects=32)
    assert dirty.defects["defect"].value_counts().tolist() == [2] * 16
    changed = {
        file.relative_to(dirty.path).as_posix()
        for file in dirty.path.rglob("scores_*.json")
        if file.read_bytes() != (clean.path / file.relative_to(dirty.path)).read_bytes()
    }
    assert changed == set(dirty.defects["file"])
    nan = dirty.path / dirty.defects.set_index("defect")["file"]["nan"].iloc[0]
    assert "NaN" in nan.read_text(encoding="utf-8")
    broken = dirty.defects[dirty.defects["defect"].isin(["truncated_file", "empty_file", "list_on_top"])]
    assert (broken["scores_lost"] == broken["scores_on_disk"]).all()


def test_task_json_has_as_many_distinct_examples_as_items(made):
    """The items of a JSON leaf can be counted from its task.json, as for the real tasks; its name is that after the colon."""
    items = made.truth.drop_duplicates("subtask").set_index("subtask")["n_items"]
    counted = {}
    for file in made.path.rglob("task.json"):
        definition = json.loads(file.read_text(encoding="utf-8"))
        folder = file.parent.relative_to(made.path / "bigbench" / "benchmark_tasks").parts
        leaf = ":".join([*folder[:-1], definition["name"]])
        counted[leaf] = len({example["input"] for example in definition["examples"]})
    assert len(counted) >= 9
    assert counted == {name: int(items[name]) for name in counted}


def test_refuses_a_folder_that_is_not_empty(tmp_path):
    """Existing work is never written over, and the message names the folder."""
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="not one; name another folder"):
        simulate(tmp_path, rng=np.random.default_rng(1), tasks=1)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_failure_leaves_nothing_behind(tmp_path):
    """When planting fails after the files were written, neither the folder nor a partial one remains."""
    with pytest.raises(AnalysisError, match="100000 defects asked for"):
        simulate(tmp_path / "r", rng=np.random.default_rng(1), tasks=1, defects=100_000)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "wrong",
    [{"tasks": 0}, {"tasks": ["../x"]}, {"tasks": ["a", "a"]}, {"kinds": {"steep": 1.0}}, {"noise": -0.1}],
)
def test_bad_arguments_are_refused(tmp_path, wrong):
    """Task names that could leave the folder, unknown kinds and negative noise are errors before anything is written."""
    with pytest.raises(AnalysisError, match="simulate"):
        simulate(tmp_path / "r", rng=np.random.default_rng(1), **wrong)
    assert list(tmp_path.iterdir()) == []


def test_named_tasks_and_families_table():
    """The table of families covers the documented ten, each model with a positive scale, sorted."""
    assert len(FAMILIES) == 10
    for family in FAMILIES:
        scales = [scale for _, scale in family.models]
        assert scales == sorted(scales)
        assert scales[0] > 0


def test_command_writes_the_same_as_the_function(tmp_path):
    """`bigbench-meta simulate DIR --tasks 2 --seed 4` prints the folder and writes the function's bytes."""
    done = CliRunner().invoke(main, ["simulate", str(tmp_path / "a"), "--tasks", "2", "--seed", "4"])
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == str(tmp_path / "a")
    simulate(tmp_path / "b", rng=np.random.default_rng(4), tasks=2)
    assert digest(tmp_path / "a") == digest(tmp_path / "b")


def test_imports_nothing_of_the_reader():
    """Generator and reader stay independent, so that one can check the other."""
    code = "import sys, bigbench_meta.simulation, bigbench_meta.simulation.plan, bigbench_meta.simulation.defects as d;"
    code += (
        "print([m for m in sys.modules if m.startswith('bigbench_meta.') and m.split('.')[1] in ('loader', 'fetcher')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_full_size(tmp_path):
    """The full repository has BIG-bench's size: about 9,600 files and 640,000 numbers."""
    made = simulate(tmp_path / "full", rng=np.random.default_rng(1), full=True)
    assert made.n_files == pytest.approx(9_600, rel=0.01)
    assert made.n_numbers == pytest.approx(640_000, rel=0.05)


def test_the_public_name_stays_the_function():
    """Importing the module of the same name does not replace the function in the package."""
    code = "import bigbench_meta as bm, bigbench_meta.simulation, bigbench_meta.simulation.plan; print(callable(bm.simulate))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
