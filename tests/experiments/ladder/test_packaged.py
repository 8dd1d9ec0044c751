"""The shipped ladder: complete, consistent with its own logs, and read like any repository of scores."""

from __future__ import annotations

import json
import lzma
from collections import Counter, defaultdict

import numpy as np
import pytest

from bigbench_meta.emergence import score_curves
from bigbench_meta.experiments.ladder.catalog import TASKS
from bigbench_meta.experiments.ladder.grid import RECIPE, SEEDS, WIDTHS, family_name, model_name, non_embedding_params
from bigbench_meta.experiments.ladder.packaged import (
    packaged_items,
    packaged_ladder,
    packaged_large_counts,
    packaged_large_sample,
    packaged_outputs,
)
from bigbench_meta.experiments.ladder.score_repository import LOGGED_ITEMS, grid_runs
from bigbench_meta.experiments.ladder.task_items import evaluation_items
from bigbench_meta.loader import load_results

SUBTASKS = {task.subtask(length): (task, length) for task in TASKS.values() for length in task.lengths or (None,)}


@pytest.fixture(scope="module")
def results():
    """The packaged scores as a table."""
    return load_results(packaged_ladder())


def _lines(path):
    with lzma.open(path, "rt", encoding="utf-8") as stream:
        yield from map(json.loads, stream)


def test_every_size_task_and_seed_is_there(results):
    """The loader finds each model of the grid once for each subtask and reports no problem."""
    assert results.problems.empty
    leaves = results.frame[~results.frame["is_aggregate"]]
    exact = leaves[leaves["metric"] == "exact_str_match"]
    found = Counter(zip(exact["subtask"], exact["family"], exact["model"], exact["scale"], strict=True))
    assert found == Counter(
        (subtask, family_name(seed), model_name(width), float(non_embedding_params(width)))
        for subtask in SUBTASKS
        for seed in SEEDS
        for width in WIDTHS
    )


def test_the_provenance_is_of_one_complete_ladder():
    """All runs of the grid, by the recipe in the code, with time and versions."""
    provenance = json.loads((packaged_ladder() / "provenance.json").read_text())
    assert provenance["complete"] is True
    assert provenance["design"]["recipe"] == vars(RECIPE)
    assert {(run["task"], run["width"], run["seed"]) for run in provenance["runs"]} == {
        (run.task, run.width, run.seed) for run in grid_runs()
    }
    assert all(run["cpu_seconds"] > 0 for run in provenance["runs"])
    assert provenance["minutes"]["processor"] > 1
    assert all("/" not in name for name in provenance["hardware"]["processor"])


def test_scores_are_whole_numbers_of_items(results):
    """Exact match and multiple choice grade are k out of the n that the table of items gives."""
    n_items = packaged_items().set_index("subtask")["n_items"]
    leaves = results.frame[~results.frame["is_aggregate"]]
    for metric in ("exact_str_match", "multiple_choice_grade"):
        rows = leaves[leaves["metric"] == metric]
        hits = rows["score"].to_numpy() * n_items[rows["subtask"].astype(str)].to_numpy()
        assert np.allclose(hits, np.round(hits), atol=1e-6)


def test_the_logs_are_answers_to_the_first_items_by_every_model(results):
    """Logged items are the ones the tasks make today, and their scores are of a sample of what was scored."""
    logged = defaultdict(list)
    hits = defaultdict(list)
    for line in _lines(packaged_outputs()):
        who = (line["subtask"], line["family"], line["model"])
        logged[who].append((line["input"].rstrip("=").rstrip("_"), line["target"], tuple(line["options"])))
        hits[who].append(line["output"] == line["target"])
    assert len(logged) == len(SUBTASKS) * len(SEEDS) * len(WIDTHS)
    expected = {
        subtask: [(item.source, item.target, item.options) for item in evaluation_items(task, length)][:LOGGED_ITEMS]
        for subtask, (task, length) in SUBTASKS.items()
    }
    assert all(items == expected[subtask] for (subtask, _, _), items in logged.items())
    leaves = results.frame[~results.frame["is_aggregate"]]
    exact = leaves[leaves["metric"] == "exact_str_match"].set_index(["subtask", "family", "model"])["score"]
    found = np.array([np.mean(hits[who]) for who in logged])
    scored = np.array([exact[who] for who in logged])
    # A hundred of about a thousand items: five standard errors of the difference at most.
    assert np.all(np.abs(found - scored) <= 5 * np.sqrt(np.maximum(scored * (1 - scored), 0.01) / LOGGED_ITEMS))


def test_large_counts_agree_with_the_large_sample():
    """Counting the shipped answers again gives the shipped counts."""
    hits, total = Counter(), Counter()
    for line in _lines(packaged_large_sample()):
        who = (line["family"], line["model"])
        total[who] += 1
        hits[who] += line["output"] == line["target"]
    counts = packaged_large_counts()
    ours = counts[counts["task"] == "contextual_substitution"]
    assert len(ours) == len(SEEDS) * len(WIDTHS)
    for row in ours.itertuples():
        assert (total[row.family, row.model], hits[row.family, row.model]) == (row.n_items, row.hits)
        assert len(row.modal_answer) == 8


def test_curves_of_every_seed_can_be_scored(results):
    """Each seed is a family with nine scales, so that seeds can be compared."""
    curves = score_curves(results.frame)
    assert set(curves["family"]) == {family_name(seed) for seed in SEEDS}
    assert (curves["n_scales"] == len(WIDTHS)).all()


def test_the_shipped_files_are_small():
    """What ships stays below six megabytes, most of it compressed."""
    sizes = [path.stat().st_size for path in packaged_ladder().rglob("*") if path.is_file()]
    packed = [path.stat().st_size for path in packaged_ladder().glob("*.xz")]
    assert sum(packed) < 6e6
    assert sum(sizes) < 9e6


@pytest.mark.train
@pytest.mark.timeout(900)  # two trainings and a start of PyTorch each, on whatever processor is at hand
def test_the_script_resumes_and_retrains_a_small_size(tmp_path, results):
    """Killed after its first model, the script keeps it and trains the rest; the models agree with the shipped ones.

    The unit is a seed. Bits may differ between processors, so a retrained model counts as one more seed: it must lie
    within the 99.9% prediction interval of the three shipped ones, t(6) s sqrt(1 + 1/3) around their mean, where s is
    the spread of seeds pooled over the three smallest sizes (three seeds alone give no useful interval), and at least
    the item noise of one score.
    """
    pytest.importorskip("torch", reason="the extra `train` is not installed")
    import os
    import signal
    import subprocess
    import sys
    import time
    from pathlib import Path

    from scipy import stats

    root = Path(__file__).resolve().parents[3]
    command = [sys.executable, "scripts/maintenance/train_ladder.py", str(tmp_path), "--workers", "1"]
    command += ["--task", "two_digit_multiplication", "--width", "4", "--seed", "0", "--seed", "1"]
    environment = os.environ | {"PYTHONPATH": str(root)}
    runs = tmp_path / "runs" / "two_digit_multiplication"
    first = subprocess.Popen(command, cwd=root, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        while not list(runs.glob("*.xz")):
            assert first.poll() is None
            time.sleep(0.2)
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    (done,) = runs.glob("*.xz")
    before = done.stat().st_mtime_ns
    again = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert "1 of 2 models are trained already" in again.stderr
    assert again.stdout.strip() == str(tmp_path / "ladder")
    assert done.stat().st_mtime_ns == before

    ours = load_results(tmp_path / "ladder").frame
    shipped = results.frame[results.frame["task"] == "two_digit_multiplication"]
    for metric in ("per_token_accuracy", "log_likelihood_per_char", "token_edit_distance", "multiple_choice_grade"):
        scores = shipped[shipped["metric"] == metric].groupby("scale")["score"]
        small = [scores.get_group(float(non_embedding_params(width))).to_numpy() for width in WIDTHS[:3]]
        assert {len(seeds) for seeds in small} == {3}
        # 0.016 is the standard error of a share of one half over a thousand items.
        spread = max(np.sqrt(np.mean([seeds.var(ddof=1) for seeds in small])), 0.016)
        reach = stats.t.ppf(0.9995, 6) * spread * np.sqrt(1 + 1 / 3)
        found = ours.loc[ours["metric"] == metric, "score"].to_numpy()
        assert len(found) == 2
        assert np.all(np.abs(found - small[0].mean()) <= reach), metric
