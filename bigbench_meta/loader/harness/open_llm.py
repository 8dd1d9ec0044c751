"""lighteval, and the first Open LLM Leaderboard, which it grew from: ``results["suite|task|shots"]``.

``all`` and ``_average`` are means over the tasks of a file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bigbench_meta.loader.harness.declared import (
    COUNT,
    ERROR,
    NUMBER,
    TEXT,
    Aside,
    Column,
    Document,
    Format,
    Leaf,
    Place,
    Remark,
)  # fmt: skip
from bigbench_meta.loader.harness.lm_eval import ERROR_MARK, is_score_key
from bigbench_meta.loader.harness.lm_eval_old import benchmark_of

if TYPE_CHECKING:
    from bigbench_meta.loader.harness.json_file import Top

_EVERYTHING, _AVERAGE = "all", "_average"
_GENERAL = "config_general"


def _split(key: str) -> tuple[str, int | None]:
    """Split a key into the task and its shots: ``suite|task|shots|truncation``, of which the ends may be missing."""
    parts = key.split("|")
    numbers = [place for place, part in enumerate(parts) if part.isdecimal()]
    end = next((place for place in numbers if place > 0), len(parts))
    return parts[end - 1], int(parts[end]) if end < len(parts) else None


def _place(leaf: Leaf, document: Document, context: object) -> Place | Aside:
    del context
    key, metric = leaf.keys
    if key == _EVERYTHING:
        return Aside("means over all tasks of the file")
    subtask, shots = _split(key)
    benchmark, _, rest = subtask.partition(":")
    average = rest == _AVERAGE
    task = benchmark if rest else benchmark_of(subtask)
    values: dict[str, object] = {} if shots is None else {"shots": shots}
    direction = _direction(document, key, metric)
    if direction is not None:
        values["direction"] = direction
    return Place(
        task, benchmark if average else subtask, metric, is_aggregate=average, names={"key": key}, values=values
    )


def _direction(document: Document, key: str, metric: str) -> str | None:
    """Return the direction of a metric, which stands in a list of the task's metrics."""
    tasks = document.parts.get("config_tasks")
    task = tasks.get(key) if isinstance(tasks, dict) else None
    listed = (task.get("metrics") or task.get("metric")) if isinstance(task, dict) else None
    for each in listed if isinstance(listed, list) else []:
        if (
            isinstance(each, dict)
            and each.get("metric_name") == metric
            and isinstance(each.get("higher_is_better"), bool)
        ):
            return "higher" if each["higher_is_better"] else "lower"
    return None


def _remarks(document: Document) -> list[Remark]:
    general = document.parts.get(_GENERAL)
    limit = general.get("max_samples") if isinstance(general, dict) else None
    if limit is None:
        return []
    return [
        Remark(f"$.{_GENERAL}.max_samples", f"only a part of the items was run (max_samples {limit})", "all items of each task",
               "rows with the items that were run; run again without --max-samples")
    ]  # fmt: skip


def _recognise(top: Top, data: bytes) -> bool:
    del data
    return {"results", _GENERAL} <= top.keys


OPEN_LLM = Format(
    name="lighteval",
    title="lighteval or the Open LLM Leaderboard",
    recognise=_recognise,
    scores=("results",),
    patterns=(("*", "*"),),
    parts=frozenset({_GENERAL, "config_tasks", "versions"}),
    place=_place,
    columns=(
        Column("model", (_GENERAL, "model_name"), TEXT),
        Column("model", (_GENERAL, "model_config", "model_name"), TEXT),
        Column("revision", (_GENERAL, "model_config", "revision"), TEXT),
        Column("stderr", (".", "{metric}" + ERROR_MARK), ERROR),
        Column("n_items", ("config_tasks", "{key}", "effective_num_docs"), COUNT),
        Column("task_version", ("versions", "{key}"), TEXT),
        Column("date", (_GENERAL, "start_time"), NUMBER),
    ),
    is_score=lambda keys: is_score_key(keys[-1]),
    remarks=_remarks,
)
