"""From the files of trained models to a score repository in BIG-bench's layout, with logs and provenance beside it.

bigbench/benchmark_tasks/<task>/results/scores_<family>_<model>.json     every size, task and seed
bigbench/benchmark_tasks/<task>/[<subtask>/]task.json                    the items
items.csv                                                                items scored per point
outputs.jsonl.xz                                                         answers to the first items, with logs
large_sample.jsonl.xz, large_sample.csv                                  the large sample: answers, counts
provenance.json                                                          how all of it came to be
"""

from __future__ import annotations

import csv
import io
import json
import lzma
import math
import shutil
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import groupby, islice
from typing import TYPE_CHECKING, TypedDict

import jsonlines
import numpy as np

from bigbench_meta.errors import OutputError
from bigbench_meta.experiments.ladder.answer_scores import choice_metrics, score_entries, text_metrics
from bigbench_meta.experiments.ladder.catalog import LARGE_SAMPLES, TASKS
from bigbench_meta.experiments.ladder.grid import DEPTH, RECIPE, SEEDS, WIDTHS, family_name, model_name
from bigbench_meta.experiments.ladder.runs import Run, read_head, read_records

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from bigbench_meta.experiments.ladder.runs import Head, Record
    from bigbench_meta.experiments.ladder.task_items import Task

# Items of each subtask whose answers by every model are kept with their log-probabilities.
LOGGED_ITEMS = 100
# The large sample is shipped item by item for this task alone: it is the one built to meet the theory, and the answers
# to the other's would double the size. Counts are shipped for both.
_LARGE_LOGGED = "contextual_substitution"


class LargeCount(TypedDict):
    """One model on a large sample: how many of its items are exactly right."""

    task: str
    subtask: str
    family: str
    model: str
    scale: int
    n_items: int
    hits: int
    expected_hits: float
    modal_answer: str
    modal_hits: int


def grid_runs() -> list[Run]:
    """Return every run of the ladder: each task, seed and width."""
    return [Run(task, width, seed) for task in TASKS for seed in SEEDS for width in WIDTHS]


def write_repository(runs: Path, target: Path, *, wanted: Sequence[Run], full_logs: bool = False) -> Path:
    """Write the score repository of the wanted runs, whole or not at all; return its folder.

    Parameters
    ----------
    runs : Path
        The folder of the runs' files.
    target : Path
        The folder to write; it must not exist.
    wanted : sequence of Run
        Which runs; each must be there.
    full_logs : bool
        Whether to write BIG-bench's ``full-log_*.json`` beside each score file, with every item.

    Raises
    ------
    OutputError
        If a run is missing or the target exists.
    """
    missing = [run for run in wanted if not run.path(runs).exists()]
    if missing:
        raise OutputError(
            f"{runs}: {len(missing)} of {len(wanted)} models are not trained, first {missing[0]}; "
            "run scripts/maintenance/train_ladder.py until it ends"
        )
    if target.exists():
        raise OutputError(f"{target} exists already; remove it or name another folder")
    partial = target.with_name(target.name + ".part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    heads = {run: read_head(run.path(runs)) for run in wanted}
    counts: dict[str, int] = {}
    distinct: dict[str, int] = {}
    for run in wanted:
        task = TASKS[run.task]
        records = list(read_records(run.path(runs), kind="item"))
        folder = partial / "bigbench" / "benchmark_tasks" / run.task
        stem = f"{family_name(run.seed).replace(' ', '-')}_{model_name(run.width, heads[run]['depth'])}.json"
        document: dict[str, object] = {
            "scores": score_entries(task, records),
            "model": _model(run, heads[run]),
            "task": {"task_name": run.task},
            "queries": None,
        }
        _write_json(folder / "results" / f"scores_{stem}", document)
        if full_logs:
            _write_json(folder / "results" / f"full-log_{stem}", document | {"queries": list(_queries(task, records))})
        for subtask, group in groupby(records, key=lambda record: record["subtask"]):
            items = list(group)
            if subtask not in counts:
                _write_definition(folder, task, subtask, items)
            counts[subtask] = len(items)
            distinct[subtask] = len({item["input"] for item in items})
    _write_items(partial / "items.csv", counts)
    _write_outputs(partial / "outputs.jsonl.xz", runs, wanted, heads)
    _write_large(partial, runs, [run for run in wanted if heads[run]["large_items"]], heads)
    _write_json(partial / "provenance.json", _provenance(wanted, heads, counts=counts, distinct=distinct))
    partial.rename(target)
    return target


def _write_json(path: Path, document: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1, ensure_ascii=True) + "\n", encoding="utf-8", newline="\n")


def _model(run: Run, head: Head) -> dict[str, object]:
    return {
        "description": (
            f"Decoder-only character transformer of width {run.width} and depth {head['depth']}, trained on this task "
            "alone by scripts/maintenance/train_ladder.py of bigbench_meta."
        ),
        "model_family": family_name(run.seed),
        "model_name": model_name(run.width, head["depth"]),
        "total_params": head["total_params"],
        "non_embedding_params": head["non_embedding_params"],
        "flop_matched_non_embedding_params": head["non_embedding_params"],
        "training_batch_size": int(head["recipe"]["batch"]),
        "training_steps": int(head["recipe"]["steps"]),
        "decoding_params": {"temperature": 0.0},
        "additional_details": f"seed {run.seed}",
    }


def _write_definition(folder: Path, task: Task, subtask: str, records: Sequence[Record]) -> None:
    """Write ``task.json``: what BIG-bench calls a JSON task."""
    home = folder / subtask.partition(":")[2] if task.lengths else folder
    examples = [
        {
            "input": record["input"],
            "target": record["target"],
            "target_scores": {option: int(option == record["target"]) for option in record["options"]},
        }
        for record in records
    ]
    definition = {
        "name": subtask,
        "description": task.description,
        "keywords": ["json", "free response", "multiple choice", "zero-shot"],
        "metrics": ["exact_str_match", "log_likelihood", "multiple_choice_grade"],
        "preferred_score": task.preferred,
        "examples": examples,
    }
    home.mkdir(parents=True, exist_ok=True)
    # One example a line: half the size of full indentation, and still readable.
    text = json.dumps(definition | {"examples": []}, indent=1)[: -len("[]\n}")]
    lines = ",\n".join("  " + json.dumps(example) for example in examples)
    (home / "task.json").write_text(f"{text}[\n{lines}\n ]\n}}\n", encoding="utf-8", newline="\n")


def _queries(task: Task, records: Sequence[Record]) -> Iterator[dict[str, object]]:
    """Yield three queries a subtask: generated answers, the likelihood of targets, and options scored by likelihood."""
    for subtask, group in groupby(records, key=lambda record: record["subtask"]):
        items = list(group)
        common: dict[str, object] = {"task": subtask, "shots": 0}
        texts = [text_metrics(item) for item in items]
        generated = {name for name in texts[0] if not name.startswith("log_likelihood")}
        yield common | {
            "function": "generate_text",
            "metrics": sorted(generated),
            "max_length": task.target_slots,
            "stop_string": "",
            "output_regex": "",
            "samples": [
                {
                    "input": item["input"],
                    "targets": {item["target"]: {name: text[name] for name in sorted(generated)}},
                    "output": item["output"],
                    "raw_output": item["output"],
                    "metrics": {name: text[name] for name in sorted(generated)},
                }
                for item, text in zip(items, texts, strict=True)
            ],
        }
        yield common | {
            "function": "cond_log_prob",
            "metrics": sorted(set(texts[0]) - generated),
            "samples": [
                {
                    "input": item["input"],
                    "targets": [item["target"]],
                    "scores": [text["log_likelihood"]],
                    "metrics": {name: text[name] for name in sorted(set(text) - generated)},
                }
                for item, text in zip(items, texts, strict=True)
            ],
        }
        choices = [_choice_sample(item) for item in items]
        yield common | {
            "function": "cond_log_prob",
            "metrics": [*_CHOICE_METRICS, "expected_calibration_error"],
            "samples": choices,
        }


# Calibration has no value for a single sample.
_CHOICE_METRICS = ("multiple_choice_grade", "calibration_multiple_choice_brier_score")


def _choice_sample(item: Record) -> dict[str, object]:
    scores = np.array([item["option_scores"]])
    metrics = choice_metrics(scores, np.array([item["options"].index(item["target"])]))
    return {
        "input": item["input"],
        "targets": item["options"],
        "scores": item["option_scores"],
        "target_values": {option: int(option == item["target"]) for option in item["options"]},
        "correct": metrics["multiple_choice_grade"],
        "absolute_scores": item["option_scores"],
        "normalized_scores": (item["option_scores"] - np.logaddexp.reduce(item["option_scores"])).tolist(),
        "metrics": {name: metrics[name] for name in _CHOICE_METRICS},
    }


def _write_items(path: Path, counts: dict[str, int]) -> None:
    rows = [("task", "subtask", "n_items")]
    rows += [(subtask.partition(":")[0], subtask, str(n)) for subtask, n in sorted(counts.items())]
    path.write_text("".join(",".join(row) + "\n" for row in rows), encoding="utf-8", newline="\n")


def _who(run: Run, head: Head) -> dict[str, object]:
    return {
        "task": run.task,
        "family": family_name(run.seed),
        "model": model_name(run.width, head["depth"]),
        "scale": head["non_embedding_params"],
        "seed": run.seed,
    }


def _write_outputs(path: Path, runs: Path, wanted: Sequence[Run], heads: dict[Run, Head]) -> None:
    """Write the first items of each subtask, item by item, since answers to one item resemble each other."""
    rows: list[tuple[tuple[object, ...], dict[str, object]]] = []
    for order, run in enumerate(wanted):
        records = read_records(run.path(runs), kind="item")
        for place, (_, group) in enumerate(groupby(records, key=lambda record: record["subtask"])):
            for number, record in enumerate(islice(group, LOGGED_ITEMS)):
                line = _who(run, heads[run]) | {key: value for key, value in record.items() if key != "kind"}
                rows.append(((run.task, place, number, order), line))
    with lzma.open(path, "wt", encoding="utf-8", preset=9) as stream, jsonlines.Writer(stream, compact=True) as writer:
        writer.write_all(line for _, line in sorted(rows, key=lambda row: row[0]))


def modal_answer(targets: Sequence[str]) -> str:
    """Return the likeliest character at each place: what one may answer without reading the source.

    Examples
    --------
    >>> modal_answer(["AB", "AC", "DC"])
    'AC'
    """
    longest = max(len(target) for target in targets)
    columns = [Counter(target[place] for target in targets if place < len(target)) for place in range(longest)]
    return "".join(min(column, key=lambda character: (-column[character], character)) for column in columns)


def _write_large(folder: Path, runs: Path, wanted: Sequence[Run], heads: dict[Run, Head]) -> None:
    """Write the counts of the large samples, and the answers of one of them, item by item."""
    counts: list[LargeCount] = []
    logged: list[Run] = []
    outputs: list[list[str]] = []
    targets: list[str] = []
    for run in wanted:
        records = list(read_records(run.path(runs), kind="large"))
        answers = [record["target"] for record in records]
        modal = modal_answer(answers)
        who = _who(run, heads[run])
        counts.append(
            {
                "task": run.task,
                "subtask": records[0]["subtask"],
                "family": str(who["family"]),
                "model": str(who["model"]),
                "scale": heads[run]["non_embedding_params"],
                "n_items": len(records),
                "hits": sum(record["output"] == record["target"] for record in records),
                "expected_hits": math.fsum(math.exp(record["log_likelihood"]) for record in records),
                "modal_answer": modal,
                "modal_hits": sum(answer == modal for answer in answers),
            }
        )
        if run.task == _LARGE_LOGGED:
            logged.append(run)
            outputs.append([record["output"] for record in records])
            targets = answers
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(LargeCount.__annotations__), lineterminator="\n")
    writer.writeheader()
    writer.writerows(counts)
    (folder / "large_sample.csv").write_text(text.getvalue(), encoding="utf-8", newline="\n")
    subtask = TASKS[_LARGE_LOGGED].subtask(LARGE_SAMPLES[_LARGE_LOGGED])
    heads_of = [_who(run, heads[run]) | {"subtask": subtask} for run in logged]
    with (
        lzma.open(folder / "large_sample.jsonl.xz", "wt", encoding="utf-8", preset=9) as stream,
        jsonlines.Writer(stream, compact=True) as lines,
    ):
        for number, target in enumerate(targets):
            lines.write_all(
                who | {"target": target, "output": said[number]} for who, said in zip(heads_of, outputs, strict=True)
            )


def _provenance(
    wanted: Sequence[Run], heads: dict[Run, Head], *, counts: dict[str, int], distinct: dict[str, int]
) -> dict[str, object]:
    """Return how the ladder was made: the design, the machine, the time, and each run's loss."""

    def seen(key: str) -> list[object]:
        return sorted({head[key] for head in heads.values()})  # type: ignore[literal-required]

    return {
        "made_by": "scripts/maintenance/train_ladder.py",
        "written": datetime.now(tz=UTC).date().isoformat(),
        "design": {"widths": list(WIDTHS), "depth": DEPTH, "seeds": list(SEEDS), "recipe": asdict(RECIPE)},
        "complete": set(wanted) == set(grid_runs()),
        "models": len(wanted),
        "versions": {name: seen(name) for name in ("python", "numpy", "torch")},
        "hardware": {"processor": seen("processor"), "threads_per_process": 1},
        "minutes": {
            "processor": round(sum(head["cpu_seconds"] for head in heads.values()) / 60, 1),
            "wall_summed_over_runs": round(sum(head["wall_seconds"] for head in heads.values()) / 60, 1),
        },
        "held_out": {task.name: task.held_out_share for task in TASKS.values()},
        "items": counts,
        "distinct_items": distinct,
        "logged_items": LOGGED_ITEMS,
        "runs": [
            {
                "task": run.task,
                "width": run.width,
                "seed": run.seed,
                "cpu_seconds": heads[run]["cpu_seconds"],
                "wall_seconds": heads[run]["wall_seconds"],
                "training_loss": heads[run]["training_loss"],
            }
            for run in wanted
        ],
    }
