"""lm-evaluation-harness 0.3 and before, and its BigScience variant, which has a level more for the time of each run.

Neither stores items: of a share p with standard error s they are p(1 - p)/s^2 + 1, which `table` works out. Groups of
tasks have no mark but their names (`PARTS`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bigbench_meta.loader.harness.declared import (
    ERROR,
    TEXT,
    WHOLE,
    Aside,
    Column,
    Document,
    Format,
    Leaf,
    Place,
    argument,
)  # fmt: skip
from bigbench_meta.loader.harness.lm_eval import ERROR_MARK, is_score_key, limits

if TYPE_CHECKING:
    from bigbench_meta.loader.harness.json_file import Top

# Benchmarks that are run as many tasks of one name: how their names begin. The parts share a source of items or are the
# same items in several languages, so that they are no independent tasks.
PARTS = (
    "hendrycksTest-", "blimp_", "crows_pairs_english", "crows_pairs_french", "xcopa_", "xnli_", "xstory_cloze_", "xwinograd_",
    "pawsx_", "mgsm_", "lambada_openai_mt_", "num_reasoning_arithmetic_addition_", "num_reasoning_arithmetic_multiplication_",
    "ethics_", "math_", "anli_", "bigbench_logical_deduction_", "bigbench_tracking_shuffled_objects_",
)  # fmt: skip
# What the BigScience variant says of a task beside its scores.
_ABOUT = frozenset(
    {"task_name", "prompt_name", "prompt_id", "prompt_jinja", "dataset_path", "dataset_name", "subset", "comment", "fixed_answer_choice_list",
     "template_name", "size"}
)  # fmt: skip
_TIME = re.compile(rb'"\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d"\s*:\s*\{')


def benchmark_of(task: str, beginnings: tuple[str, ...] = PARTS) -> str:
    """Return the benchmark that a task is a part of by its name, else the task.

    Examples
    --------
    >>> benchmark_of("hendrycksTest-anatomy"), benchmark_of("crows_pairs_english_age"), benchmark_of("piqa")
    ('hendrycksTest', 'crows_pairs_english', 'piqa')
    """
    return next((each.rstrip("-_") for each in beginnings if task.startswith(each)), task)


def _is_score(keys: tuple[str, ...]) -> bool:
    return is_score_key(keys[-1]) and keys[-1] not in _ABOUT


def _place(leaf: Leaf, document: Document, context: object) -> Place | Aside:
    del document, context
    metric, entry = leaf.keys[-1], leaf.entry
    own = entry if isinstance(entry, dict) else {}
    name, prompt = own.get("task_name"), own.get("prompt_name")
    key = leaf.keys[0] if leaf.keys[0] != "*" else f"{name}+{prompt}" if prompt else str(name)
    values: dict[str, object] = {"date": leaf.keys[1]} if len(leaf.keys) == 3 else {}
    task = name if isinstance(name, str) and name else benchmark_of(key)
    return Place(task, key, metric, names={"task": key}, values=values)


def _recognise(top: Top, data: bytes) -> bool:
    keys = top.keys
    if not keys & {"results", "table_results"} or "eval" in keys:
        return False
    return bool(keys & {"config", "versions", "table_results"}) or _TIME.search(data) is not None


LM_EVAL_OLD = Format(
    name="lm-eval-old",
    title="lm-evaluation-harness 0.3 or before",
    recognise=_recognise,
    scores=("results", "table_results"),
    patterns=(("*", "*"), ("*", "*", "{}")),
    parts=frozenset({"config", "versions"}),
    place=_place,
    columns=(
        Column("model", ("config", "model_args"), argument("pretrained", "model", "engine")),
        Column("revision", ("config", "model_args"), argument("revision")),
        Column("shots", ("config", "num_fewshot"), WHOLE),
        Column("stderr", (".", "{metric}" + ERROR_MARK), ERROR),
        Column("task_version", ("versions", "{task}"), TEXT),
    ),
    is_score=_is_score,
    remarks=limits,
)
