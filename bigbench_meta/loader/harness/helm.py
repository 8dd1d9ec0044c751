"""HELM: a folder a run, of which ``stats.json`` holds the scores, ``run_spec.json`` the model and ``scenario.json`` the task.

``count`` of a statistic is the number of trials, never of items; items are the statistic ``num_instances``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bigbench_meta.loader.harness.declared import TEXT, WHOLE, Aside, Column, Document, Format, Leaf, Place, Remark

if TYPE_CHECKING:
    from bigbench_meta.loader.harness.json_file import Top

# Statistics of the run itself: sizes, times, costs and how answers ended.
_OF_THE_RUN = frozenset(
    {"num_references", "num_train_trials", "num_prompt_tokens", "num_completion_tokens", "num_output_tokens", "num_instances",
     "num_train_instances", "num_perplexity_tokens", "num_bytes", "num_prompt_characters", "batch_size", "prompt_truncated", "inference_runtime",
     "inference_denoised_runtime", "inference_idealized_runtime", "inference_runtime_discrepancy", "training_co2_cost",
     "training_energy_cost", "max_prob", "predicted_index"}
)  # fmt: skip
_BEGINNINGS = ("finish_reason_", "num_", "inference_", "training_")
_RUN = Aside("statistics of the run, not scores")
_MAIN_SPLIT = "test"
# Arguments of a run's name that speak of the model or of how it was asked, not of the task.
_NOT_OF_THE_TASK = frozenset(
    {"model", "model_deployment", "max_train_instances", "max_eval_instances", "num_train_trials"}
)

# The files of a run by what they hold; the others are not needed.
STATS, RUN_SPEC, SCENARIO = "stats", "run_spec", "scenario"


def role(top: Top, data: bytes) -> str | None:
    """Return which file of a HELM run this is, by its content; an empty text for one that is not read."""
    if top.kind == "object":
        keys = top.keys
        if {"adapter_spec", "request_states"} <= keys:
            return ""
        if {"adapter_spec", "scenario_spec"} <= keys:
            return RUN_SPEC
        return SCENARIO if {"name", "description", "tags"} <= keys else None
    if top.kind == "list":
        start = data[:4096]
        if b'"instance_id"' in start and b'"stats"' in data:
            return ""
        return STATS if b'"name"' in start and b'"sum_squared"' in start else None
    return None


def _recognise(top: Top, data: bytes) -> bool:
    return role(top, data) is not None


def _items(document: Document) -> object:
    """Return the items of each split."""
    found: dict[str, float] = {}
    stats = document.parts.get(STATS)
    for stat in stats if isinstance(stats, list) else []:
        name = stat.get("name") if isinstance(stat, dict) else None
        if isinstance(name, dict) and name.get("name") == "num_instances" and not name.get("perturbation"):
            mean = stat.get("mean")
            if isinstance(mean, int | float) and not isinstance(mean, bool) and mean > 0:
                found[str(name.get("split"))] = float(mean)
    return found


def _place(leaf: Leaf, document: Document, context: object) -> Place | Aside:
    assert isinstance(context, dict)
    name = leaf.entry.get("name") if isinstance(leaf.entry, dict) else None
    if not isinstance(name, dict) or not isinstance(name.get("name"), str):
        return Aside("statistics without a name", "an object name with name and split")
    metric, split = name["name"], str(name.get("split") or _MAIN_SPLIT)
    if metric in _OF_THE_RUN or metric.startswith(_BEGINNINGS):
        return _RUN
    if name.get("perturbation"):
        return Aside("scores of perturbed inputs, another condition", "scores of the inputs as they are")
    task, subtask = _names(document)
    if name.get("sub_split"):
        subtask = f"{subtask}:{name['sub_split']}"
    main = split == _MAIN_SPLIT or (_MAIN_SPLIT not in context and len(context) == 1)
    items = {"n_items": context[split]} if split in context else {}
    return Place(task, subtask, metric if main else f"{metric},{split}", "" if main else split, values=dict(items))


def _names(document: Document) -> tuple[str, str]:
    """Return the task of a run and, where its name has further arguments, its subtask."""
    spec, scenario = document.parts.get(RUN_SPEC), document.parts.get(SCENARIO)
    run = str(spec.get("name")) if isinstance(spec, dict) else ""
    base, _, arguments = run.partition(":")
    own = scenario.get("name") if isinstance(scenario, dict) else None
    task = own if isinstance(own, str) and own else base
    kept = [each for each in arguments.split(",") if each and each.partition("=")[0] not in _NOT_OF_THE_TASK]
    return task, f"{task}:{','.join(kept)}" if kept else task


def _remarks(document: Document) -> list[Remark]:
    if not isinstance(document.parts.get(RUN_SPEC), dict):
        return [
            Remark("$", "no run_spec.json of its run lies beside it, so that the model is unknown", "the whole folder of the run",
                   "no row; copy the folder with all its files", refused=True)
        ]  # fmt: skip
    return []


HELM = Format(
    name="helm",
    title="HELM",
    recognise=_recognise,
    scores=(STATS,),
    patterns=(("*", "mean"),),
    parts=frozenset(),
    place=_place,
    columns=(
        Column("model", (RUN_SPEC, "adapter_spec", "model"), TEXT),
        Column("model", (RUN_SPEC, "adapter_spec", "model_deployment"), TEXT),
        Column("shots", (RUN_SPEC, "adapter_spec", "max_train_instances"), WHOLE),
    ),
    is_score=lambda keys: keys[-1] == "mean",
    context=_items,
    remarks=_remarks,
)
