"""Items of one BIG-bench full log, sample by sample.

A log is one JSON object: ``scores``, ``model``, ``task`` and ``queries``; a query says its function, shots and task
*after* its samples as a rule. So a log is read twice: once for everything but the samples, which are skipped, then
for the samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, TypeAlias

from bigbench_meta.experiments.rescoring.checks import RecordedScore
from bigbench_meta.experiments.rescoring.item_metrics import normalised
from bigbench_meta.experiments.rescoring.json_stream import JsonStream
from bigbench_meta.experiments.rescoring.scored_items import FieldError, Group, Item, Size, as_float, as_name
from bigbench_meta.loader.bigbench.careful import MAX_SHOTS, MIN_SHOTS
from bigbench_meta.loader.columns import Problem

# BIG-bench has some thousands at most: one for each subtask and number of shots.
MOST_QUERIES = 100_000
# What a query says of itself that is used.
_OF_QUERY = ("function", "shots", "task")
# What BIG-bench writes as the task of a programmatic task's queries.
_PROGRAMMATIC = "programmatic"
Open: TypeAlias = Callable[[], IO[str]]
Origin: TypeAlias = tuple[Group, Size]


@dataclass
class LogHead:
    """A full log without its samples."""

    task: str = ""
    model: Mapping[str, object] = field(default_factory=dict)
    scores: list[Mapping[str, object]] = field(default_factory=list)
    queries: list[dict[str, object]] = field(default_factory=list)


def read_head(open_log: Open) -> LogHead:
    """Read everything of a full log but its samples.

    Raises
    ------
    JsonStreamError
        If the text is not JSON.
    FieldError
        If it is JSON but not a full log.
    """
    head = LogHead()
    with open_log() as stream:
        text = JsonStream(stream)
        if text.peek() != "{":
            raise FieldError("the file does not start with an object", "a BIG-bench full log or JSON Lines")
        seen: set[str] = set()
        for key in text.keys():  # noqa: SIM118 - not a mapping
            if key in seen:
                raise FieldError(f"the key {key} stands more than once", "a BIG-bench full log, each key once")
            seen |= {key} & {"queries", "task", "model", "scores"}
            if key == "queries" and text.peek() == "[":
                head.queries += _query_heads(text)
            elif key in ("task", "model", "scores"):
                _take_field(head, key, text.value())
            else:
                text.skip()
        text.end()
    return head


def _take_field(head: LogHead, key: str, value: object) -> None:
    if key == "task" and isinstance(value, Mapping) and isinstance(value.get("task_name"), str):
        head.task = as_name(str(value["task_name"]))
    elif key == "model" and isinstance(value, Mapping):
        head.model = value
    elif key == "scores" and isinstance(value, list):
        head.scores = [entry for entry in value if isinstance(entry, Mapping)]


def _query_heads(text: JsonStream) -> Iterator[dict[str, object]]:
    for number in text.elements():
        if number >= MOST_QUERIES:
            raise FieldError(f"more than {MOST_QUERIES} queries", "one for each subtask and number of shots")
        yield _query_head(text)


def _query_head(text: JsonStream) -> dict[str, object]:
    query: dict[str, object] = {}
    if text.peek() != "{":
        text.skip()
        return query
    for key in text.keys():  # noqa: SIM118
        if key in query:
            raise FieldError(f"the key {key} stands more than once in a query", "each key once")
        if key in _OF_QUERY:
            query[key] = text.value()
        else:
            if key == "samples":
                query[key] = None
            text.skip()
    return query


def log_items(open_log: Open, head: LogHead, *, file: str) -> Iterator[Item | Problem]:
    """Yield every sample of a full log as an item, or as a problem where it cannot be scored."""
    with open_log() as stream:
        text = JsonStream(stream)
        for key in text.keys():  # noqa: SIM118
            if key != "queries" or text.peek() != "[":
                text.skip()
                continue
            for number in text.elements():
                if text.peek() != "{":
                    text.skip()
                    yield Problem(file, f"query {number}", "not an object", "a query", "left out")
                    continue
                yield from _query_items(text, head, number, file=file)


def _query_items(text: JsonStream, head: LogHead, number: int, *, file: str) -> Iterator[Item | Problem]:
    query = head.queries[number] if number < len(head.queries) else {}  # of a file that grows while it is read
    found = 0
    for key in text.keys():  # noqa: SIM118
        if key != "samples" or text.peek() != "[":
            text.skip()
            continue
        try:
            origin = _origin(head, query)
        except FieldError as err:
            yield Problem(file, f"query {number}", err.problem, err.expected, "query left out")
            text.skip()
            found += 1
            continue
        for index in text.elements():
            found += 1
            try:
                sample = text.value()
                yield _item(sample, query, origin, number=number, index=index)
            except FieldError as err:
                yield Problem(file, f"query {number}, sample {index}", err.problem, err.expected, "sample left out")
    if not found:
        yield Problem(file, f"query {number}", "no samples", "at least one sample", "nothing to score")


def _origin(head: LogHead, query: Mapping[str, object]) -> Origin:
    model = head.model
    name, family = model.get("model_name"), model.get("model_family")
    if not isinstance(name, str) or not isinstance(family, str):
        raise FieldError("the log does not name its model", "model with model_family and model_name")
    subtask = query.get("task")
    if not isinstance(subtask, str) or subtask == _PROGRAMMATIC:
        subtask = head.task
    shots = query.get("shots", 0)
    # a whole number as 3.0 is one too
    if isinstance(shots, float) and shots.is_integer():
        shots = int(shots)
    if isinstance(shots, bool) or not isinstance(shots, int) or not MIN_SHOTS <= shots <= MAX_SHOTS:
        raise FieldError(f"shots is {shots!r:.60}", f"a whole number from {MIN_SHOTS} to {MAX_SHOTS}")
    task = head.task or subtask.split(":")[0]
    if not task:
        raise FieldError("the log does not name its task", "task with task_name")
    params = ("flop_matched_non_embedding_params", "total_params", "non_embedding_params")
    size = Size(*(_positive(model.get(key)) for key in params))
    return Group(task, as_name(subtask), as_name(family), as_name(name), shots), size


def _positive(value: object) -> float:
    return as_float(value) if isinstance(value, int | float) and 0 < value < 1e300 else float("nan")


def _item(sample: object, query: Mapping[str, object], origin: Origin, *, number: int, index: int) -> Item:
    if not isinstance(sample, Mapping):
        raise FieldError("not an object", "a sample")
    function = query.get("function")
    if function == "generate_text":
        return _generated(sample, origin, number=number, index=index)
    if function == "cond_log_prob":
        return _scored(sample, origin, number=number, index=index)
    raise FieldError(f"function is {function!r:.60}", "generate_text or cond_log_prob")


def _generated(sample: Mapping[str, object], origin: Origin, *, number: int, index: int) -> Item:
    output, targets = sample.get("output"), sample.get("targets")
    if not isinstance(output, str):
        raise FieldError("output is not text", "the model's output")
    recorded = _recorded(sample.get("metrics"))
    # BIG-bench writes the targets of a generated text as a mapping from target to that target's own metrics
    listed: list[object] = list(targets) if isinstance(targets, Mapping | list) else [targets]
    texts = tuple(text for text in listed if isinstance(text, str))
    if isinstance(targets, Mapping):
        for own in targets.values():
            for metric, value in _recorded(own).items():
                recorded[metric] = max(value, recorded.get(metric, value))
    if not texts or len(texts) < len(listed):
        raise FieldError("no target", "targets as texts")
    return Item(*origin, number, index, targets=texts, output=output, recorded=recorded)


def _scored(sample: Mapping[str, object], origin: Origin, *, number: int, index: int) -> Item:
    targets, recorded = sample.get("targets"), _recorded(sample.get("metrics"))
    if not isinstance(targets, list) or not targets or not all(isinstance(text, str) for text in targets):
        raise FieldError("targets are not a list of texts", "targets as texts")
    scores = _scores(sample, "scores", len(targets))
    if scores is None:
        raise FieldError("no scores", "one log-probability for each target")
    values = sample.get("target_values")
    if values is None:
        return Item(*origin, number, index, targets=tuple(targets), target_scores=scores, recorded=recorded)
    if not isinstance(values, Mapping) or not all(isinstance(values.get(text), int | float) for text in targets):
        raise FieldError("target_values does not give every target a number", "a mapping from target to value")
    correct = sample.get("correct")
    if isinstance(correct, int | float):
        recorded.setdefault("multiple_choice_grade", as_float(correct))
    return Item(
        *origin,
        number,
        index,
        options=tuple(targets),
        option_scores=_scores(sample, "normalized_scores", len(targets)) or normalised(scores),
        option_values=tuple(as_float(values[text]) for text in targets),
        absolute_scores=_scores(sample, "absolute_scores", len(targets)) or scores,
        recorded=recorded,
    )


def _scores(sample: Mapping[str, object], key: str, count: int) -> tuple[float, ...] | None:
    values = sample.get(key)
    if values is None:
        return None
    if not isinstance(values, list) or len(values) != count:
        raise FieldError(f"{key} does not have one number for each target", "one log-probability for each target")
    # JSON writers without NaN put null
    if not all(value is None or isinstance(value, int | float) for value in values):
        raise FieldError(f"{key} holds something else than numbers", "one log-probability for each target")
    return tuple(float("nan") if value is None else as_float(value) for value in values)


def _recorded(metrics: object) -> dict[str, float]:
    if not isinstance(metrics, Mapping):
        return {}
    return {as_name(str(key)): as_float(value) for key, value in metrics.items() if isinstance(value, int | float)}


def recorded_scores(head: LogHead) -> Iterator[RecordedScore]:
    """Score entries of a log's head."""
    for entry in head.scores:
        subtask, shots, metric = (entry.get(k) for k in ("subtask_description", "number_of_shots", "preferred_score"))
        if not isinstance(subtask, str) or not isinstance(shots, int):
            continue
        ends = (entry.get(key) for key in ("low_score", "high_score"))
        low, high = (as_float(end) if isinstance(end, int | float) else float("nan") for end in ends)
        scores = _recorded(entry.get("score_dict"))
        yield RecordedScore(as_name(subtask), shots, metric if isinstance(metric, str) else "", low, high, scores)
