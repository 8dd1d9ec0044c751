"""Small result files in the shape of each tool, made for tests: the numbers are chosen so that rows can be told apart."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, files: dict[str, object]) -> Path:
    """Write files below a folder: bytes and text as they are, anything else as JSON."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return folder


def lm_eval(model: str = "org/mine-1b", *, score: float = 0.5, **more: Any) -> dict[str, Any]:
    """A results file of lm-evaluation-harness 0.4 with one task of 100 documents."""
    return {
        "results": {"sums": {"alias": "sums", "acc,none": score, "acc_stderr,none": 0.05}},
        "group_subtasks": {"sums": []},
        "configs": {"sums": {"task": "sums"}},
        "versions": {"sums": 1.0},
        "n-shot": {"sums": 0},
        "higher_is_better": {"sums": {"acc": True}},
        "n-samples": {"sums": {"original": 100, "effective": 100}},
        "config": {"model": "hf", "model_args": f"pretrained={model}", "limit": None, "random_seed": 0},
        "model_name": model,
        "date": 1.0,
    } | more


def lm_eval_old(model: str = "org/mine-1b", *, shots: int = 0, **results: dict[str, Any]) -> dict[str, Any]:
    """A results file of lm-evaluation-harness 0.3."""
    tasks = results or {"sums": {"acc": 0.5, "acc_stderr": 0.05}}
    return {
        "results": tasks,
        "versions": dict.fromkeys(tasks, 0),
        "config": {"model": "hf-causal", "model_args": f"pretrained={model}", "num_fewshot": shots, "limit": None},
    }


def every_eval_ever(model: str = "org/mine-1b", *, score: object = 0.5, **result: Any) -> dict[str, Any]:
    """A record of Every Eval Ever with one result."""
    one = {
        "evaluation_name": "sums",
        "metric_config": {"metric_name": "accuracy", "lower_is_better": False, "min_score": 0.0, "max_score": 1.0},
        "score_details": {"score": score, "uncertainty": {"standard_error": {"value": 0.05}, "num_samples": 100}},
    }
    return {
        "schema_version": "0.3.0",
        "model_info": {"id": model, "name": model, "additional_details": {"params_billions": "1.5"}},
        "evaluation_results": [one | result],
    }


def lighteval(model: str = "org/mine-1b", **tasks: dict[str, Any]) -> dict[str, Any]:
    """A results file of lighteval."""
    return {
        "config_general": {"model_name": model, "max_samples": None, "start_time": 1.0},
        "results": tasks or {"leaderboard|arc:challenge|25": {"acc": 0.5, "acc_stderr": 0.05}},
        "versions": {},
    }


def inspect_log(model: str = "org/mine-1b", *, status: str = "success", score: object = 0.5) -> dict[str, Any]:
    """A log of inspect_ai without samples."""
    metrics = {"accuracy": {"name": "accuracy", "value": score}, "stderr": {"name": "stderr", "value": 0.05}}
    return {
        "version": 2,
        "status": status,
        "eval": {
            "task": "sums",
            "task_version": 0,
            "model": model,
            "created": "2026-01-01",
            "config": {},
            "dataset": {"samples": 100},
        },
        "results": {
            "total_samples": 100,
            "scores": [{"name": "match", "scorer": "match", "scored_samples": 100, "metrics": metrics}],
        },
    }


def helm(
    model: str = "org/mine-1b", *, mean: object = 0.5, run: str = "sums:subject=small,model=x"
) -> dict[str, object]:
    """The files of a HELM run, by their names."""
    blank = {"count": 1, "sum": 0.0, "sum_squared": 0.0}
    return {
        "run_spec.json": {"name": run, "scenario_spec": {}, "adapter_spec": {"model": model, "max_train_instances": 5}},
        "scenario.json": {"name": "sums", "description": "", "tags": []},
        "stats.json": [
            {"name": {"name": "exact_match", "split": "test"}, **blank, "mean": mean},
            {"name": {"name": "num_instances", "split": "test"}, **blank, "mean": 100.0},
            {
                "name": {"name": "exact_match", "split": "test", "perturbation": {"name": "typos"}},
                **blank,
                "mean": 0.25,
            },
            {"name": {"name": "training_co2_cost", "split": "test"}, "count": 0, "sum": 0, "sum_squared": 0},
        ],
    }


OPENCOMPASS = "dataset,version,metric,mode,mine-1b,mine-2b\nsums,abc123,accuracy,gen,50.00,75.00\nlukaemon_mmlu_anatomy,def456,accuracy,ppl,25.00,-\n"
