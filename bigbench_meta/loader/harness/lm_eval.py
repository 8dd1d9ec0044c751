"""lm-evaluation-harness 0.4 and later: ``results_<time>.json``, one file a model and run.

A score stands under ``results[task]["metric,filter"]``. A group stands there like a task; ``group_subtasks`` names its
members. Copies of the group's rows under ``groups`` are not read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bigbench_meta.loader.harness.declared import (
    COUNT,
    ERROR,
    HIGHER_IS_BETTER,
    NUMBER,
    PARAMETERS,
    TEXT,
    WHOLE,
    Aside,
    Column,
    Document,
    Format,
    Leaf,
    Place,
    Remark,
    argument,
)  # fmt: skip

if TYPE_CHECKING:
    from bigbench_meta.loader.harness.json_file import Top

# Beside the scores of a task: its names and numbers of items. A key of spaces marks a group without scores (up to 0.4.2).
NOT_SCORES = frozenset({"alias", "name", "sample_len", "sample_count", "samples", "task"})
ERROR_MARK = "_stderr"
_MARKS = frozenset({"configs", "n-shot", "group_subtasks", "higher_is_better", "n-samples", "task_hashes"})

MODEL = (
    Column("model", ("model_name",), TEXT),
    Column("model", ("config", "model_args"), argument("pretrained", "model", "engine", "path")),
    Column("revision", ("config", "model_args"), argument("revision")),
    Column("revision", ("config", "model_revision"), TEXT),
    Column("params", ("config", "model_num_parameters"), PARAMETERS),
    Column("seed", ("config", "random_seed"), NUMBER),
)
_COLUMNS = (
    *MODEL,
    Column("shots", ("n-shot", "{task}"), WHOLE),
    Column("shots", ("configs", "{task}", "num_fewshot"), WHOLE),
    Column("stderr", (".", "{metric}_stderr,{filter}"), ERROR),
    Column("n_items", ("n-samples", "{task}", "effective"), COUNT),
    Column("n_items", (".", "sample_count", "{key}"), COUNT),
    Column("n_items", (".", "sample_len"), COUNT),
    Column("direction", ("higher_is_better", "{task}", "{metric}"), HIGHER_IS_BETTER),
    Column("task_version", ("versions", "{task}"), TEXT),
    Column("task_hash", ("task_hashes", "{task}"), TEXT),
    Column("date", ("date",), NUMBER),
)


class _Groups(NamedTuple):
    """The groups of a file, and for each of their members the benchmark that it is a part of."""

    groups: frozenset[str]
    benchmark: dict[str, str]


def _is_score(keys: tuple[str, ...]) -> bool:
    return is_score_key(keys[-1])


def is_score_key(key: str) -> bool:
    """Whether a key beside a task's scores names one of them."""
    return key not in NOT_SCORES and ERROR_MARK not in key and bool(key.strip())


def _groups(document: Document) -> _Groups:
    """Find which groups are benchmarks of their own: the members are then subtasks, whose items belong together.

    A group is one if it has a score of its own and all its members report the same metrics; else it is a suite of
    benchmarks, such as a leaderboard, whose members stand for themselves.
    """
    listed, results = document.parts.get("group_subtasks"), document.parts.get("results")
    listed = listed if isinstance(listed, dict) else {}
    results = results if isinstance(results, dict) else {}
    members = {
        group: [name for name in names if isinstance(name, str)]
        for group, names in listed.items()
        if isinstance(names, list) and names
    }

    def leaves(group: str, above: frozenset[str] = frozenset()) -> set[str]:
        if group not in members or group in above:
            return {group}
        return set().union(*(leaves(each, above | {group}) for each in members[group]))

    def metrics(name: str) -> frozenset[str]:
        scores = results.get(name)
        return frozenset(filter(is_score_key, scores)) if isinstance(scores, dict) else frozenset()

    benchmark: dict[str, str] = {}
    sizes = {group: leaves(group) for group in members}
    for group in sorted(members, key=lambda each: (-len(sizes[each]), each)):
        if metrics(group) and len({metrics(leaf) for leaf in sizes[group] if leaf in results}) == 1:
            for part in {group} | sizes[group] | {other for other in members if sizes[other] <= sizes[group]}:
                benchmark.setdefault(part, group)
    return _Groups(frozenset(members), benchmark)


def split_key(key: str) -> tuple[str, str]:
    """Split a key into metric and filter, ``none`` where it has none.

    Examples
    --------
    >>> split_key("acc,none"), split_key("exact_match,strict-match"), split_key("acc")
    (('acc', 'none'), ('exact_match', 'strict-match'), ('acc', 'none'))
    """
    metric, comma, name = key.rpartition(",")
    return (metric, name) if comma else (key, "none")


def _place(leaf: Leaf, document: Document, context: object) -> Place | Aside:
    del document
    assert isinstance(context, _Groups)
    task, key = leaf.keys
    metric, name = split_key(key)
    plain = name == "none"
    return Place(
        context.benchmark.get(task, task), task, metric if plain else key, "" if plain else name, task in context.groups,
        {"task": task, "metric": metric, "filter": name, "key": key},
    )  # fmt: skip


def limits(document: Document) -> list[Remark]:
    """Say where a file holds part of the items, or the answers of a stand-in for a model."""
    config = document.parts.get("config")
    remarks = []
    if isinstance(config, dict):
        limit = config.get("limit")
        if limit is not None and limit != 0:
            remarks.append(
                Remark("$.config.limit", f"only a part of the items was run (limit {limit})", "all items of each task",
                       "rows with the items that were run; run again without --limit for the scores of the tasks")
            )  # fmt: skip
        if config.get("model") == "dummy":
            remarks.append(
                Remark("$.config.model", "the answers are those of a dummy, at random", "answers of a model",
                       "rows of a model without size; leave the file out to keep them apart")
            )  # fmt: skip
    return remarks


def _recognise(top: Top, data: bytes) -> bool:
    del data
    return "results" in top.keys and bool(top.keys & _MARKS)


LM_EVAL = Format(
    name="lm-eval",
    title="lm-evaluation-harness",
    recognise=_recognise,
    scores=("results",),
    patterns=(("*", "*"),),
    parts=frozenset(
        {
            "group_subtasks",
            "configs",
            "config",
            "versions",
            "n-shot",
            "n-samples",
            "higher_is_better",
            "model_name",
            "task_hashes",
            "date",
        }
    ),
    place=_place,
    columns=_COLUMNS,
    is_score=_is_score,
    context=_groups,
    remarks=limits,
)
