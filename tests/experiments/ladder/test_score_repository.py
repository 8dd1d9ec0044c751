"""The ladder's files: runs that appear whole or not at all, and the repository made of them."""

from __future__ import annotations

import json
import lzma
import math
from dataclasses import asdict

import pytest

from bigbench_meta.errors import OutputError
from bigbench_meta.experiments.ladder.catalog import TASKS
from bigbench_meta.experiments.ladder.grid import RECIPE, Recipe
from bigbench_meta.experiments.ladder.runs import Run, is_done, prompt, read_head, read_records, write_run
from bigbench_meta.experiments.ladder.score_repository import grid_runs, modal_answer, write_repository
from bigbench_meta.experiments.ladder.task_items import evaluation_items, large_sample


def _head(run, **changes):
    return {
        "kind": "run",
        **asdict(run),
        "depth": 2,
        "non_embedding_params": 100 * run.width,
        "total_params": 200 * run.width,
        "recipe": asdict(RECIPE),
        "items": 5,
        "large_items": 20 if run.task == "contextual_substitution" else 0,
        "training_loss": [1.0],
        "wall_seconds": 2.0,
        "cpu_seconds": 1.0,
        "python": "3",
        "numpy": "2",
        "torch": "2",
        "processor": "p",
        **changes,
    }


def _fake_run(run, folder):
    """A run whose model always answers right (width 6) or with the target's first character only (others)."""
    task = TASKS[run.task]
    records = []
    for length in task.lengths or (None,):
        records += [
            {
                "kind": "item",
                "subtask": task.subtask(length),
                "input": prompt(task, item.source),
                "target": item.target,
                "output": item.target if run.width == 6 else item.target[:1],
                "target_logprobs": [-0.1] * len(item.target),
                "options": list(item.options),
                "option_scores": [-1.0 if option == item.target else -2.0 for option in item.options],
            }
            for item in evaluation_items(task, length, n=5)[:5]
        ]
    if run.task == "contextual_substitution":
        records += [
            {
                "kind": "large",
                "subtask": task.subtask(8),
                "input": prompt(task, pair.source),
                "target": pair.target,
                "output": pair.target if run.width == 6 else "",
                "log_likelihood": 0.0,
            }
            for pair in large_sample(task, 8, n=20)
        ]
    return write_run(run, folder, head=_head(run), records=records)


@pytest.fixture
def runs(tmp_path):
    """A folder of four runs: two tasks, two widths."""
    wanted = [Run(task, width, 0) for task in ("contextual_substitution", "letter_sorting") for width in (4, 6)]
    for run in wanted:
        _fake_run(run, tmp_path / "runs")
    return tmp_path / "runs", wanted


def test_a_run_is_read_back_as_written(tmp_path):
    """Head and records of each kind come back in order."""
    run = Run("contextual_substitution", 4, 1)
    path = _fake_run(run, tmp_path)
    assert path == tmp_path / "contextual_substitution" / "w4-d2_seed-1.jsonl.xz"
    assert read_head(path) == _head(run)
    assert sum(1 for _ in read_records(path, kind="item")) == 50
    assert sum(1 for _ in read_records(path, kind="large")) == 20


def test_an_interrupted_write_leaves_no_run(tmp_path):
    """A writer that dies half way leaves nothing that counts as done, and the next attempt succeeds."""
    run = Run("letter_sorting", 4, 0)

    def records():
        yield {"kind": "item"}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_run(run, tmp_path, head=_head(run), records=records())
    assert not is_done(run, tmp_path)
    _fake_run(run, tmp_path)
    assert is_done(run, tmp_path)
    assert [path.name for path in (tmp_path / "letter_sorting").iterdir()] == ["w4-d2_seed-0.jsonl.xz"]


def test_a_run_of_another_recipe_is_refused(tmp_path):
    """Models trained differently never mix in one ladder."""
    run = Run("letter_sorting", 4, 0)
    _fake_run(run, tmp_path)
    with pytest.raises(OutputError, match="another output folder"):
        is_done(run, tmp_path, recipe=Recipe(steps=7))


def test_the_repository_has_native_score_files(runs, tmp_path):
    """Score files lie where BIG-bench's do and say what the answers were worth."""
    folder, wanted = runs
    target = write_repository(folder, tmp_path / "ladder", wanted=wanted)
    tasks = target / "bigbench" / "benchmark_tasks"
    names = [path.name for path in sorted((tasks / "letter_sorting" / "results").iterdir())]
    assert names == ["scores_ladder-seed-0_w4-d2.json", "scores_ladder-seed-0_w6-d2.json"]
    document = json.loads((tasks / "contextual_substitution" / "results" / names[1]).read_text())
    assert document["queries"] is None
    assert document["task"] == {"task_name": "contextual_substitution"}
    assert document["model"]["model_family"] == "ladder seed 0"
    assert document["model"]["non_embedding_params"] == 600
    assert [entry["subtask_description"] for entry in document["scores"]] == [
        "contextual_substitution",
        *(f"contextual_substitution:length_{length}" for length in range(1, 11)),
    ]
    assert all(entry["score_dict"]["exact_str_match"] == 1 for entry in document["scores"])
    worse = json.loads((tasks / "contextual_substitution" / "results" / names[0]).read_text())
    by_name = {entry["subtask_description"]: entry["score_dict"] for entry in worse["scores"]}
    assert by_name["contextual_substitution:length_1"]["exact_str_match"] == 1
    assert by_name["contextual_substitution:length_10"]["exact_str_match"] == 0
    assert by_name["contextual_substitution:length_10"]["token_edit_distance"] == 9


def test_the_items_are_in_task_json(runs, tmp_path):
    """Each subtask has its task.json with every item and its options, and the table of items counts them."""
    folder, wanted = runs
    target = write_repository(folder, tmp_path / "ladder", wanted=wanted)
    path = target / "bigbench" / "benchmark_tasks" / "contextual_substitution" / "length_3" / "task.json"
    definition = json.loads(path.read_text())
    assert definition["name"] == "contextual_substitution:length_3"
    assert len(definition["examples"]) == 5
    assert all(sum(example["target_scores"].values()) == 1 for example in definition["examples"])
    assert "built to meet the assumptions" in definition["description"]
    lines = (target / "items.csv").read_text().splitlines()
    assert lines[0] == "task,subtask,n_items"
    assert "letter_sorting,letter_sorting,5" in lines
    assert len(lines) == 12


def test_logs_hold_every_model_and_item(runs, tmp_path):
    """The logs have a line for each item and model; full logs have both kinds of query, with per-sample metrics."""
    folder, wanted = runs
    target = write_repository(folder, tmp_path / "ladder", wanted=wanted, full_logs=True)
    with lzma.open(target / "outputs.jsonl.xz", "rt", encoding="utf-8") as stream:
        lines = [json.loads(line) for line in stream]
    assert len(lines) == 2 * (50 + 5)
    assert set(lines[0]) == {
        *("task", "family", "model", "scale", "seed", "subtask", "input", "target", "output"),
        *("target_logprobs", "options", "option_scores"),
    }
    with lzma.open(target / "large_sample.jsonl.xz", "rt", encoding="utf-8") as stream:
        large = [json.loads(line) for line in stream]
    assert len(large) == 2 * 20
    assert [line["model"] for line in large[:3]] == ["w4-d2", "w6-d2", "w4-d2"]
    log = json.loads(
        (target / "bigbench/benchmark_tasks/letter_sorting/results/full-log_ladder-seed-0_w4-d2.json").read_text()
    )
    texts, likelihoods, choices = log["queries"]
    assert [query["function"] for query in log["queries"]] == ["generate_text", "cond_log_prob", "cond_log_prob"]
    assert texts["samples"][0]["metrics"]["exact_str_match"] == 0
    assert likelihoods["samples"][0]["scores"] == [pytest.approx(-0.8)]
    assert "target_values" not in likelihoods["samples"][0]
    sample = choices["samples"][0]
    assert sum(math.exp(score) for score in sample["normalized_scores"]) == pytest.approx(1)
    assert sample["metrics"]["multiple_choice_grade"] == sample["correct"] == 1
    # One option e times as likely as each of three others.
    p, q = math.e / (math.e + 3), 1 / (math.e + 3)
    brier = sample["metrics"]["calibration_multiple_choice_brier_score"]
    assert brier == pytest.approx(((1 - p) ** 2 + 3 * q**2) / 4)
    assert sum(sample["target_values"].values()) == 1


def test_large_counts_and_baseline(runs, tmp_path):
    """Hits are counted, and the best guess that reads nothing stands beside them."""
    folder, wanted = runs
    target = write_repository(folder, tmp_path / "ladder", wanted=wanted)
    header, small, large = [line.split(",") for line in (target / "large_sample.csv").read_text().splitlines()]
    assert dict(zip(header, small, strict=True))["hits"] == "0"
    assert dict(zip(header, large, strict=True))["hits"] == "20"
    assert float(dict(zip(header, large, strict=True))["expected_hits"]) == 20


def test_modal_answer_by_hand():
    """The likeliest character of each place; of equals the first in order."""
    assert modal_answer(["AB", "AC", "DC", "D"]) == "AC"


def test_a_missing_run_or_an_existing_folder_is_refused(runs, tmp_path):
    """Nothing is written from a ladder with gaps, and nothing is overwritten."""
    folder, wanted = runs
    with pytest.raises(OutputError, match="not trained"):
        write_repository(folder, tmp_path / "ladder", wanted=grid_runs())
    assert not (tmp_path / "ladder").exists()
    write_repository(folder, tmp_path / "ladder", wanted=wanted)
    with pytest.raises(OutputError, match="exists already"):
        write_repository(folder, tmp_path / "ladder", wanted=wanted)


def test_provenance_says_what_is_complete(runs, tmp_path):
    """A part of the ladder never passes for the whole."""
    folder, wanted = runs
    target = write_repository(folder, tmp_path / "ladder", wanted=wanted)
    provenance = json.loads((target / "provenance.json").read_text())
    assert provenance["complete"] is False
    assert provenance["models"] == 4
    assert provenance["minutes"]["processor"] == pytest.approx(4 / 60, abs=0.05)
