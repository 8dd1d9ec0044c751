"""Every Eval Ever: records of results of any tool, one file a model and source (schema 0.0.1 to 0.3)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bigbench_meta.loader.harness.declared import (
    BILLIONS,
    BOUND,
    COUNT,
    ERROR,
    LOWER_IS_BETTER,
    TEXT,
    WHOLE,
    Aside,
    Column,
    Document,
    Format,
    Leaf,
    Place,
)  # fmt: skip

if TYPE_CHECKING:
    from bigbench_meta.loader.harness.json_file import Top

_RESULT = ("evaluation_results", "{index}")
_MODEL = ("model_info", "additional_details")
_DETAILS = (*_RESULT, "score_details", "details")
_UNCERTAINTY = (*_RESULT, "score_details", "uncertainty")
# Names as `bigbench-meta export --format every-eval-ever` writes them: task, or task / subtask, and its shots.
_OWN = re.compile(r"(?P<task>.+?)(?: / (?P<subtask>.+))? / -?\d+ shots", re.DOTALL)
# Ends of a description of the metric that names the task too: "Accuracy on IFEval".
_SCORE = "score"


def _place(leaf: Leaf, document: Document, context: object) -> Place | Aside:
    del context
    index = leaf.way[0]
    results = document.parts.get("evaluation_results")
    result = results[int(index)] if isinstance(results, list) else {}
    name = result.get("evaluation_name") if isinstance(result, dict) else None
    if not isinstance(name, str) or not name:
        return Aside("results without a name", "evaluation_name")
    config = result.get("metric_config")
    config = config if isinstance(config, dict) else {}
    metric = next(
        (text for key in ("metric_name", "metric_id") if isinstance(text := config.get(key), str) and text), None
    )
    if metric is None:
        description = config.get("evaluation_description")
        metric = (
            description.partition(" on ")[0].lower()
            if isinstance(description, str) and " on " in description
            else _SCORE
        )
    details = result.get("score_details")
    details = details.get("details") if isinstance(details, dict) else None
    own = _OWN.fullmatch(name) if isinstance(details, dict) and "subtask" in details else None
    task = own["task"] if own else name
    subtask = str(details["subtask"]) if own and isinstance(details, dict) else name
    aggregate = bool(own) and isinstance(details, dict) and details.get("is_aggregate") == "True"
    return Place(task, subtask, metric, is_aggregate=aggregate, names={"index": index})


def _recognise(top: Top, data: bytes) -> bool:
    del data
    return {"evaluation_results", "model_info"} <= top.keys


EVERY_EVAL_EVER = Format(
    name="every-eval-ever",
    title="Every Eval Ever",
    recognise=_recognise,
    scores=("evaluation_results",),
    patterns=(("*", "score_details", "score"),),
    parts=frozenset({"model_info", "retrieved_timestamp", "eval_library"}),
    place=_place,
    columns=(
        Column("model", ("model_info", "id"), TEXT),
        Column("model", ("model_info", "name"), TEXT),
        Column("family", (*_MODEL, "model_family"), TEXT),
        Column("non_embedding", (*_MODEL, "non_embedding_params"), COUNT),
        Column("own_scale", (*_MODEL, "scale"), COUNT),
        Column("params", (*_MODEL, "total_params"), COUNT),
        Column("params", (*_MODEL, "num_parameters"), COUNT),
        Column("params", (*_MODEL, "params_billions"), BILLIONS),
        Column("shots", (*_DETAILS, "shots"), WHOLE),
        Column("shots", (*_DETAILS, "num_fewshot"), WHOLE),
        Column("shots", (*_RESULT, "generation_config", "additional_details", "num_fewshot"), WHOLE),
        Column("n_items", (*_UNCERTAINTY, "num_samples"), COUNT),
        Column("stderr", (*_UNCERTAINTY, "standard_error", "value"), ERROR),
        Column("direction", (*_RESULT, "metric_config", "lower_is_better"), LOWER_IS_BETTER),
        Column("low", (*_RESULT, "metric_config", "min_score"), BOUND),
        Column("high", (*_RESULT, "metric_config", "max_score"), BOUND),
        Column("date", ("retrieved_timestamp",), TEXT),
    ),
    is_score=lambda keys: keys[-1] == "score",
)
