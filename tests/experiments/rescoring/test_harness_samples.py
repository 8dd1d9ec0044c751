"""Samples of lm-evaluation-harness as items: its own per-document scores come out again, and the metric swap beside them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from bigbench_meta.experiments.rescoring.harness_samples import item_of_sample, origin_of
from bigbench_meta.experiments.rescoring.readers import read_items
from bigbench_meta.experiments.rescoring.scored_items import FieldError, Item
from bigbench_meta.experiments.rescoring.scoring import rescore
from bigbench_meta.loader.columns import Problem

FILES = Path(__file__).resolve().parents[2] / "loader" / "harness" / "files" / "lm_eval"
SAMPLES = next((FILES / "models__tiny__tiny-1m").glob("samples_*.jsonl"))


def by_hand() -> dict[str, float]:
    """The scores of the packaged file, by plain loops over its lines."""
    lines = [json.loads(line) for line in SAMPLES.read_text().splitlines()]
    rows = []
    for line in lines:
        scores = np.array([float(pair[0]) for pair in line["filtered_resps"]])
        gold = int(line["target"])
        p = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
        lengths = np.array([len(choice) for choice in line["doc"]["choices"]])
        one_hot = np.eye(len(p))[gold]
        rows.append(
            {
                "multiple_choice_grade": float(scores.argmax() == gold), "acc_norm": float((scores / lengths).argmax() == gold),
                "choice_probability": p[gold], "choice_margin": p[gold] - max(np.delete(p, gold)), "log_likelihood": scores[gold],
                "calibration_multiple_choice_brier_score": ((p - one_hot) ** 2).mean(),
            }
        )  # fmt: skip
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def test_the_metric_swap():
    """Accuracy, normalised accuracy, log p and p of the right choice, Brier and margin of the same 40 outputs."""
    found = rescore([SAMPLES])
    scores = dict(zip(found.results["metric"].astype(str), found.results["score"], strict=True))
    for name, value in by_hand().items():
        assert scores[name] == pytest.approx(value, abs=1e-12), name
    row = found.results.iloc[0]
    assert (str(row["task"]), str(row["model"]), str(row["family"]), row["scale"]) == (
        "scout_mc",
        "tiny-1m",
        "tiny",
        1_057_280,
    )
    # Chance: four choices a document.
    graded = found.results[found.results["metric"] == "multiple_choice_grade"]
    assert graded["low_score"].tolist() == [0.25]


def test_it_agrees_with_the_harness():
    """The harness's own acc and acc_norm of each of the 40 documents are those computed here."""
    found = rescore([SAMPLES])
    agreement = found.agreement.set_index(found.agreement["metric"].astype(str))
    assert agreement.loc[["multiple_choice_grade", "acc_norm"], "compared"].tolist() == [40, 40]
    assert agreement.loc[["multiple_choice_grade", "acc_norm"], "equal"].tolist() == [40, 40]


@pytest.mark.real
def test_generated_answers(shared_data: Path):
    """Answers under two filters are two subtasks; documents of which only the likelihood was scored are left out, on record."""
    folder = shared_data / "harness/lm_eval-0.4.13/out/models__tiny__tiny-1m"
    found = rescore([next(folder.glob("samples_scout_gen_*.jsonl"))])
    exact = found.results[found.results["metric"] == "exact_str_match"]
    assert set(exact["subtask"].astype(str)) == {"scout_gen,strict-match", "scout_gen,flexible-extract"}
    assert set(exact["shots"]) == {2}
    assert found.read == 80
    rolled = [each for each in read_items(next(folder.glob("samples_scout_roll_*.jsonl"))) if isinstance(each, Problem)]
    assert len(rolled) == 40
    assert {each.problem for each in rolled} == {"a text whose likelihood alone was scored"}


def test_samples_without_their_results(tmp_path: Path):
    """The model is then the folder that the harness names after it, and its size that of the name."""
    path = tmp_path / "EleutherAI__pythia-70m" / SAMPLES.name
    path.parent.mkdir()
    path.write_bytes(SAMPLES.read_bytes())
    origin = origin_of(path)
    assert (origin.family, origin.model, origin.size.scale) == ("Pythia", "pythia-70m", 18_915_328)
    path.with_name("results_2026-11-29T12-06-06.410712.json").write_text("[[")
    assert origin_of(path) == origin


SAMPLE = json.loads(SAMPLES.read_text().splitlines()[0])


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"filtered_resps": []}, "no filtered_resps"),
        ({"filtered_resps": None}, "no filtered_resps"),
        ({"target": "9", "brier_score": None}, "target is '9'"),
        ({"target": None, "brier_score": None}, "target is 'None'"),
        ({"arguments": {}}, "0 choices and 4 log-probabilities"),
        ({"filtered_resps": [["x", "y"]] * 4}, "4 choices and 0 log-probabilities"),
    ],
)
def test_lines_that_are_no_items(change: dict[str, object], problem: str):
    """What is missing or odd is named."""
    with pytest.raises(FieldError, match=problem):
        item_of_sample(SAMPLE | change, index=0, task="", origin=origin_of(SAMPLES))


def test_a_target_by_its_text():
    """The right choice may be named by its text; impossible choices keep their scores."""
    texts = SAMPLE | {"target": "27", "brier_score": None}
    item = item_of_sample(texts, index=0, task="", origin=origin_of(SAMPLES))
    assert isinstance(item, Item)
    assert item.option_values == (0, 0, 0, 1)
    assert math.isclose(sum(math.exp(score) for score in item.option_scores), 1)
    never = item_of_sample(
        SAMPLE | {"filtered_resps": [["-inf", "False"]] * 4}, index=0, task="", origin=origin_of(SAMPLES)
    )
    assert set(never.option_scores) == {-math.inf}
