"""Items of the samples that lm-evaluation-harness writes with ``--log_samples``: one line a document and filter.

A line does not name its model: the results file of the same run lies beside it, and its name ends in the same time. A
multiple-choice document becomes options with their log-probabilities; a generated answer an output and its target; a
document whose text is only scored (perplexities) has no answer and is left out.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from bigbench_meta.experiments.rescoring.scored_items import FieldError, Group, Item, Size, as_float, as_name
from bigbench_meta.facts.models import ModelTable, models
from bigbench_meta.loader.harness.identity import Said, identify, scales
from bigbench_meta.loader.harness.json_file import MAX_PART_BYTES
from bigbench_meta.values import as_number

if TYPE_CHECKING:
    from pathlib import Path

SAMPLE_KEY = "doc_id"
# samples_<task>_<time>.jsonl, beside results_<time>.json.
_NAME = re.compile(r"samples_(?P<task>.+)_(?P<time>\d{4}-\d\d-\d\dT[\d.:-]+)\.jsonl")
_PROBABILITY_AND_GREEDY = 2
# Metrics of a line that have the same meaning here: theirs -> ours.
_SAME = {"acc": "multiple_choice_grade", "acc_norm": "acc_norm", "exact_match": "exact_str_match"}


class Origin(NamedTuple):
    """What the samples of one file share: task, family, model and shots; parameters of the model."""

    task: str
    family: str
    model: str
    shots: int
    size: Size


def origin_of(path: Path) -> Origin:
    """Return what the results file beside a file of samples says of its run; without one, what the path says.

    A model is the folder that the harness names after it where nothing else is known, and its size that of the name.
    """
    match = _NAME.fullmatch(path.name.removesuffix(".gz").removesuffix(".xz"))
    task = match["task"] if match else path.name.split(".")[0]
    results = path.with_name(f"results_{match['time']}.json") if match else None
    found: Mapping[str, object] = {}
    if results is not None and results.is_file() and results.stat().st_size <= MAX_PART_BYTES:
        try:
            loaded = json.loads(results.read_bytes())
        except (ValueError, RecursionError):
            loaded = {}  # the loader says what is wrong with it; the samples are whole without it
        found = loaded if isinstance(loaded, dict) else {}
    config, shots = found.get("config"), found.get("n-shot")
    params = config.get("model_num_parameters") if isinstance(config, dict) else None
    named = found.get("model_name")
    name = named if isinstance(named, str) and named else path.parent.name.replace("__", "/")
    size = float(params) if isinstance(params, int | float) and params > 0 else math.nan
    said = Said(as_name(name), "", "", size, math.nan, "")
    who = identify([said], ModelTable(models()))[said]
    own = shots.get(task) if isinstance(shots, dict) else None
    scale = scales([who])[who.family, who.model]
    return Origin(
        as_name(task), who.family, who.model, own if isinstance(own, int) else 0,
        Size(scale, who.total_params, who.non_embedding_params),
    )  # fmt: skip


def item_of_sample(record: object, *, index: int, task: str, origin: Origin) -> Item:
    """Build an item from one line of samples.

    Raises
    ------
    FieldError
        If the line cannot be scored; says which field and what was expected.
    """
    del task  # the name of the file holds the time, too
    if not isinstance(record, Mapping):
        raise FieldError("no object", "an object with doc_id, arguments, filtered_resps and target")
    answers, arguments = record.get("filtered_resps"), _arguments(record.get("arguments"))
    if not isinstance(answers, list) or not answers:
        raise FieldError("no filtered_resps", "a list of answers")
    name = record.get("filter")
    subtask = origin.task if name in (None, "none") else f"{origin.task},{name}"
    group = Group(origin.task, as_name(subtask), origin.family, origin.model, origin.shots)
    recorded = {
        ours: float(value) for theirs, ours in _SAME.items() if isinstance(value := record.get(theirs), int | float)
    }
    if all(isinstance(each, list) and len(each) == _PROBABILITY_AND_GREEDY for each in answers):
        return _choice(record, answers, arguments, group=group, size=origin.size, index=index, recorded=recorded)
    output, target = answers[0], record.get("target")
    if not isinstance(output, str) or (len(arguments) == 1 and arguments[0] is None):
        raise FieldError(
            "a text whose likelihood alone was scored", "choices with log-probabilities, or a generated answer"
        )
    targets = tuple(str(each) for each in (target if isinstance(target, list) else [target]))
    return Item(group, origin.size, query=0, index=index, targets=targets, output=output, recorded=recorded)


def _arguments(value: object) -> list[object]:
    """Return what was asked to be continued: the second argument of each request, None where it has but one."""
    requests = list(value.values()) if isinstance(value, Mapping) else value if isinstance(value, list) else []
    return [
        each.get("arg_1")
        if isinstance(each, Mapping)
        else each[1]
        if isinstance(each, list) and len(each) > 1
        else None
        for each in requests
    ]


def _choice(
    record: Mapping[str, object], answers: list[list[object]], arguments: list[object], *, group: Group, size: Size, index: int,
    recorded: Mapping[str, float],
) -> Item:  # fmt: skip
    numbers = [as_number(each[0]) for each in answers]
    scores = tuple(as_float(each) for each in numbers if each is not None)
    # The text of a choice without the space that the harness puts before it.
    options = tuple(each.removeprefix(" ") for each in arguments if isinstance(each, str))
    if not (len(scores) == len(options) == len(answers)) or len(options) < 2:
        raise FieldError(
            f"{len(options)} choices and {len(scores)} log-probabilities",
            "a log-probability for each of two or more choices",
        )
    brier = record.get("brier_score")  # [number of the right choice, probabilities]
    right = _right(brier[0] if isinstance(brier, list) and brier else record.get("target"), options)
    if right is None:
        raise FieldError(f"target is {str(record.get('target'))!r:.60}", "the number of a choice from 0, or its text")
    values = tuple(float(place == right) for place in range(len(options)))
    return Item(
        group, size, query=0, index=index, targets=(options[right],), target_scores=(scores[right],), options=options,
        option_scores=_among_themselves(scores), absolute_scores=scores, option_values=values, recorded=recorded,
    )  # fmt: skip


def _right(target: object, options: tuple[str, ...]) -> int | None:
    if isinstance(target, int | str) and str(target).isdecimal() and int(target) < len(options):
        return int(target)
    return options.index(target) if isinstance(target, str) and options.count(target) == 1 else None


def _among_themselves(scores: tuple[float, ...]) -> tuple[float, ...]:
    """Return log-probabilities among the choices alone, whose probabilities sum to 1."""
    top = max(scores)
    if not math.isfinite(top):
        return scores
    total = top + math.log(math.fsum(math.exp(each - top) for each in scores))
    return tuple(each - total for each in scores)
