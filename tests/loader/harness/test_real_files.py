"""Every number of genuine files against a reader of its own, which knows nothing of this package: plain json and loops."""

from __future__ import annotations

import json
import math
import subprocess
from pathlib import Path

import pandas as pd
import pytest

import bigbench_meta as bm

FILES = Path(__file__).parent / "files"


@pytest.fixture(scope="module")
def pythia_folder(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Path:
    """A work tree of the bundle."""
    folder = tmp_path_factory.mktemp("pythia") / "clone"
    subprocess.run(["git", "clone", "-q", str(shared_data / "pythia-evals.bundle"), str(folder)], check=True)
    return folder


@pytest.fixture(scope="module")
def pythia(shared_data: Path) -> bm.Results:
    """The bundle, read."""
    return bm.load_results(shared_data / "pythia-evals.bundle")


@pytest.mark.real
def test_pythia_numbers(pythia: bm.Results, pythia_folder: Path):
    """All 38,176 scores: their values, errors, shots and checkpoints, file by file."""
    expected = {}
    for path in sorted(pythia_folder.rglob("*.json")):
        data = json.loads(path.read_text())
        model = path.parts[-3].removesuffix("-bf16")
        step = int(path.stem.rpartition("step")[2])
        for task, scores in data["results"].items():
            for name in scores:
                if not name.endswith("_stderr"):
                    key = (task, name, model, step, data["config"]["num_fewshot"])
                    expected[key] = (scores[name], scores[name + "_stderr"])
    frame = pythia.frame
    columns = [frame[name] for name in ("subtask", "metric", "model", "step", "shots", "score", "stderr")]
    found = {
        (str(task), str(metric), str(model), int(step), int(shots)): (score, error)
        for task, metric, model, step, shots, score, error in zip(*columns, strict=True)
    }
    assert len(found) == len(frame) == 38_176
    assert found == expected
    assert (len(pythia.problems), pythia.counts.balanced, pythia.formats) == (0, True, {"lm-eval-old": 224})


@pytest.mark.real
def test_pythia_items(pythia: bm.Results):
    """N = p(1 - p)/s^2 + 1 is whole; the 57 subjects of MMLU add up to 14,042 items; LAMBADA has 5,153 (facts of the data)."""
    frame = pythia.frame
    items = frame.groupby(["task", "subtask"], observed=True)["n_items"].agg(["min", "max"])
    assert (items["min"] == items["max"]).all()
    assert (items["min"] % 1 == 0).all()
    assert len(items.loc["hendrycksTest"]) == 57
    assert items.loc["hendrycksTest", "min"].sum() == 14_042
    assert items.loc[("lambada_openai", "lambada_openai"), "min"] == 5_153
    mmlu = frame[
        (frame["task"] == "hendrycksTest")
        & (frame["metric"] == "acc")
        & (frame["shots"] == 0)
        & (frame["step"] == 143_000)
    ]
    means = mmlu.groupby("model", observed=True)["score"].mean()
    assert len(means) == 8
    assert means.round(2).between(0.24, 0.28).all()


@pytest.mark.real
def test_pythia_models(pythia: bm.Results):
    """Sizes without embeddings as published, and tokens by step (Biderman et al. 2023, Table 1)."""
    frame = pythia.frame
    assert set(frame["family"]) == {"Pythia"}
    scales = frame.drop_duplicates("model").set_index("model")["scale"]
    assert scales["pythia-70m"] == 18_915_328
    assert scales["pythia-12b"] == 11_327_027_200
    assert (frame["tokens"] == frame["step"] * 2_097_152).all()


@pytest.mark.real
def test_lambada_over_training(pythia: bm.Results):
    """Accuracy is 0 for all sizes up to step 512 and .12 to .32 at step 3,000, while perplexity falls from step 16 on."""
    frame = pythia.frame[(pythia.frame["task"] == "lambada_openai") & (pythia.frame["shots"] == 0)]
    accuracy = frame[frame["metric"] == "acc"].pivot_table(index="step", columns="model", values="score")
    assert (accuracy.loc[:512] < 5e-4).all().all()
    assert accuracy.loc[3000].round(2).between(0.12, 0.32).all()
    perplexity = frame[frame["metric"] == "ppl"].pivot_table(index="step", columns="model", values="score").loc[16:3000]
    assert (perplexity.diff().iloc[1:] < 0).mean().mean() > 0.95


@pytest.mark.real
def test_path_and_single_files(shared_data: Path, pythia_folder: Path):
    """The pattern of the docs takes the zero-shot files; a folder and a single file give the same numbers."""
    zero = bm.load_results(shared_data / "pythia-evals.bundle", path="evals/pythia-v1/*/zero-shot/*.json")
    assert zero.counts.files == 216
    assert set(zero.frame["shots"]) == {0}
    one = bm.load_results(pythia_folder / "evals/pythia-v1/pythia-70m/five-shot/70m-5shot_step143000.json")
    assert one.counts.files == 1
    assert set(one.frame["model"]) == {"pythia-70m"}


def _lm_eval_numbers(folder: Path) -> dict[tuple[str, str, str], float]:
    expected = {}
    for path in folder.rglob("results_*.json"):
        data = json.loads(path.read_text())
        for task, scores in data["results"].items():
            for key, value in scores.items():
                if "," in key and "_stderr" not in key:
                    expected[data["model_name"].rpartition("/")[2], task, key.removesuffix(",none")] = value
    return expected


def test_lm_eval_files():
    """Every score of four genuine files, with items, direction, shots and the group as an aggregate of its members."""
    results = bm.load_results(FILES / "lm_eval")
    frame = results.frame.astype({"model": str, "subtask": str, "metric": str})
    found = {
        (model, subtask, metric): score
        for model, subtask, metric, score in zip(
            frame["model"], frame["subtask"], frame["metric"], frame["score"], strict=True
        )
    }
    expected = _lm_eval_numbers(FILES / "lm_eval")
    assert len(found) == len(frame) == 48
    assert found == expected
    assert results.counts == (4, 48, 48, 0, 0)
    assert set(frame.loc[frame["subtask"].isin(["scout_mc", "scout_mc_b"]), "task"]) == {"scout_group"}
    assert set(frame.loc[frame["is_aggregate"], "subtask"]) == {"scout_group"}
    assert frame.groupby("subtask")["n_items"].unique().map(list).to_dict() == {
        "scout_gen": [40], "scout_group": [80], "scout_mc": [40], "scout_mc_b": [40], "scout_roll": [40],
    }  # fmt: skip
    directions = frame.groupby("metric")["direction"].unique().map(list)
    assert directions["acc"] == ["higher"]
    assert directions["brier_score"] == directions["word_perplexity"] == ["lower"]
    assert set(frame.loc[frame["subtask"] == "scout_gen", "shots"]) == {2}
    assert set(frame.loc[frame["subtask"] == "scout_gen", "filter"]) == {"strict-match", "flexible-extract"}
    # The number that each file stores for its model, embeddings included.
    sizes = frame.drop_duplicates("model").set_index("model")["scale"]
    assert sizes["tiny-1m"] == 1_057_280
    assert set(frame["family"]) == {"tiny"}
    assert any("embeddings included" in note for note in results.notes)
    assert any("1 file of samples" in note for note in results.notes)


def test_helm_run():
    """The scores of a genuine run: `count` is no number of items; statistics of the run and perturbations are explained."""
    results = bm.load_results(FILES / "helm")
    stats = json.loads(next((FILES / "helm").rglob("stats.json")).read_text())
    means = [stat for stat in stats if "mean" in stat]
    assert results.counts.on_disk == len(means)
    frame = results.frame.astype({"metric": str})
    expected = {
        stat["name"]["name"]: stat["mean"]
        for stat in means
        if not stat["name"].get("perturbation") and stat["name"]["name"] in set(frame["metric"])
    }
    assert dict(zip(frame["metric"], frame["score"], strict=True)) == expected
    assert {"exact_match", "quasi_exact_match", "exact_match@5"} <= set(frame["metric"])
    assert set(frame["n_items"]) == {10}
    assert set(frame["shots"]) == {5}
    assert set(frame["task"].astype(str)) == {"simple_mcqa"}
    assert results.counts.balanced


def test_inspect_logs():
    """A zipped log gives its accuracy, error and items; the log of a run that failed gives none and says so."""
    results = bm.load_results(FILES / "inspect")
    frame = results.frame
    assert len(frame) == 1
    row = frame.iloc[0]
    assert (row["score"], row["n_items"], str(row["metric"]), str(row["model"])) == (
        0.4,
        20,
        "accuracy,choice",
        "tiny-small",
    )
    assert math.isclose(row["stderr"], 0.11239029738980327)
    assert row["scale"] == 1e6  # from the log's own metadata
    problems = results.problems["problem"].tolist()
    assert len(problems) == 1
    assert problems[0].startswith("the run ended with status error (ConnectionError")


@pytest.mark.real
def test_the_folder_of_all_tools(shared_data: Path):
    """Files of three tools in one folder, with data and scripts between them: every number a row or explained."""
    results = bm.load_results(shared_data / "harness")
    assert results.formats == {"helm": 2, "inspect": 13, "lm-eval": 5}
    assert results.counts.balanced
    # The .eval logs repeat the runs of the .json logs: 3 of one score and 3 of three.
    again = results.problems[results.problems["problem"].str.startswith("the same numbers stand in")]
    assert len(again) == 6
    assert set(results.problems.loc[results.problems["problem"].str.startswith("no file of results"), "file"]) == {
        f"lm_eval-0.4.13/data/{name}.jsonl" for name in ("gen", "mc", "roll")
    }  # fmt: skip
    limited = results.problems["problem"].str.startswith("only a part of the items was run (limit 10.0)")
    assert limited.sum() == 1
    only = bm.load_results(shared_data / "harness", format="helm")
    assert only.formats == {"helm": 2}


@pytest.mark.real
def test_logs_of_both_kinds_agree(shared_data: Path, tmp_path: Path):
    """The same evaluation as JSON and as a zip compressed by zstd gives the same rows."""
    logs = shared_data / "harness/inspect_ai-0.3.285/logs"
    frames = []
    for ending in ("json", "eval"):
        folder = tmp_path / ending
        folder.mkdir()
        for path in logs.glob(f"*.{ending}"):
            (folder / path.name).write_bytes(path.read_bytes())
        frame = bm.load_results(folder).frame.drop(columns=["source_file"])
        frames.append(frame)
    pd.testing.assert_frame_equal(*frames)
    assert len(frames[0]) == 12
