"""One file a trained model: what it was, and its answer to every item. JSON Lines, compressed.

The first line describes the run (``kind`` "run"), then come the standard items ("item") and, for some tasks, the
answers to the large sample ("large"). A file appears whole or not at all, so an interrupted ladder goes on where it
stopped.
"""

from __future__ import annotations

import json
import lzma
import os
import platform
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, TypedDict

import jsonlines
import numpy as np

from bigbench_meta.errors import OutputError
from bigbench_meta.experiments.ladder.catalog import LARGE_SAMPLES, TASKS
from bigbench_meta.experiments.ladder.grid import (
    ITEMS,
    LARGE_ITEMS,
    RECIPE,
    Recipe,
    embedding_params,
    model_name,
    non_embedding_params,
)
from bigbench_meta.experiments.ladder.task_items import CONTEXT, PAD, QUERY, VOCABULARY, evaluation_items, large_sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from bigbench_meta.experiments.ladder.task_items import Task
    from bigbench_meta.experiments.ladder.train import Answer
    from bigbench_meta.experiments.ladder.transformer import Transformer

# Natural logarithms are kept to this many digits after the point: far below what separates two seeds.
_DIGITS = 5


@dataclass(frozen=True)
class Run:
    """Which model: its task, width and seed."""

    task: str
    width: int
    seed: int

    def path(self, folder: Path) -> Path:
        """Return where the run's file lies in a folder of runs."""
        return folder / self.task / f"{model_name(self.width)}_seed-{self.seed}.jsonl.xz"


class Head(TypedDict):
    """First line of a run's file."""

    kind: str
    task: str
    width: int
    depth: int
    seed: int
    non_embedding_params: int
    total_params: int
    recipe: dict[str, float]
    items: int
    large_items: int
    training_loss: list[float]
    wall_seconds: float
    cpu_seconds: float
    python: str
    numpy: str
    torch: str
    processor: str


class Record(TypedDict, total=False):
    """An answer to an item; ``target_logprobs`` to ``option_scores`` on items, ``log_likelihood`` on the large sample."""

    kind: str
    subtask: str
    input: str
    target: str
    output: str
    target_logprobs: list[float]
    options: list[str]
    option_scores: list[float]
    log_likelihood: float


def perform(
    run: Run, folder: Path, *, recipe: Recipe = RECIPE, items: int = ITEMS, large_items: int = LARGE_ITEMS
) -> Path:
    """Train a model, let it answer all items, write its file and return the path."""
    import torch

    from bigbench_meta.experiments.ladder.train import train

    wall, cpu = time.perf_counter(), time.process_time()
    task = TASKS[run.task]
    trained = train(task, run.width, seed=run.seed, recipe=recipe)
    records: list[Record] = []
    for length in task.lengths or (None,):
        records += _answer_items(trained.model, task, length, n=items)
    if run.task in LARGE_SAMPLES:
        records += _answer_large(trained.model, task, LARGE_SAMPLES[run.task], n=large_items)
    blocks = non_embedding_params(run.width, recipe.depth)
    head: Head = {
        "kind": "run",
        **asdict(run),  # type: ignore[typeddict-item]
        "depth": recipe.depth,
        "non_embedding_params": blocks,
        "total_params": blocks + embedding_params(run.width, vocabulary=len(VOCABULARY), context=CONTEXT),
        "recipe": asdict(recipe),
        "items": items,
        "large_items": large_items if run.task in LARGE_SAMPLES else 0,
        "training_loss": [round(loss, _DIGITS) for loss in trained.losses],
        "wall_seconds": round(time.perf_counter() - wall, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
        "processor": processor(),
    }
    return write_run(run, folder, head=head, records=records)


def write_run(run: Run, folder: Path, *, head: Head, records: Iterable[Record]) -> Path:
    """Write a run's file under another name, then rename it: it is there whole or not at all."""
    path = run.path(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with part.open("wb") as raw:
        with lzma.open(raw, "wt", encoding="utf-8") as stream, jsonlines.Writer(stream, compact=True) as writer:
            writer.write(head)
            writer.write_all(records)
        raw.flush()
        os.fsync(raw.fileno())
    part.replace(path)
    return path


def _answer_items(model: Transformer, task: Task, length: int | None, *, n: int) -> list[Record]:
    from bigbench_meta.experiments.ladder.train import answer

    items = evaluation_items(task, length, n=n)
    answers: list[Answer] = answer(model, task, items, longest=length or task.target_slots)
    return [
        {
            "kind": "item",
            "subtask": task.subtask(length),
            "input": prompt(task, item.source),
            "target": item.target,
            "output": said.output,
            "target_logprobs": [round(value, _DIGITS) for value in said.target_logprobs],
            "options": list(item.options),
            "option_scores": [round(value, _DIGITS) for value in said.option_scores],
        }
        for item, said in zip(items, answers, strict=True)
    ]


def _answer_large(model: Transformer, task: Task, length: int | None, *, n: int) -> list[Record]:
    from bigbench_meta.experiments.ladder.train import answer

    pairs = large_sample(task, length, n=n)
    answers: list[Answer] = answer(model, task, pairs, longest=length or task.target_slots)
    return [
        {
            "kind": "large",
            "subtask": task.subtask(length),
            "input": prompt(task, pair.source),
            "target": pair.target,
            "output": said.output,
            "log_likelihood": round(sum(said.target_logprobs), _DIGITS),
        }
        for pair, said in zip(pairs, answers, strict=True)
    ]


def prompt(task: Task, source: str) -> str:
    """Return exactly what a model reads: the source, padded to its window, and the query mark."""
    return source.ljust(task.source_slots, PAD) + QUERY


def processor() -> str:
    """Return what kind of processor this is, or its architecture where the system does not say."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


def read_head(path: Path) -> Head:
    """Return the first line of a run's file."""
    with lzma.open(path, "rt", encoding="utf-8") as stream:
        head: Head = json.loads(stream.readline())
    return head


def read_records(path: Path, *, kind: str) -> Iterator[Record]:
    """Yield the answers of one kind in a run's file, in order."""
    with lzma.open(path, "rt", encoding="utf-8") as stream, jsonlines.Reader(stream) as reader:
        for record in reader:
            if record["kind"] == kind:
                yield record


def is_done(run: Run, folder: Path, *, recipe: Recipe = RECIPE) -> bool:
    """Return whether a run's file is there.

    Raises
    ------
    OutputError
        If it is there but was trained by another recipe: mixing them in one ladder would be wrong.
    """
    path = run.path(folder)
    if not path.exists():
        return False
    found = read_head(path)["recipe"]
    if found != asdict(recipe):
        raise OutputError(
            f"{path}: trained with {found}, expected {asdict(recipe)}; give another output folder or remove the file"
        )
    return True
