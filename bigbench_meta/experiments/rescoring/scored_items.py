"""One scored item: what a model was asked, what it said, and what was recorded about it.

Vocabulary
----------
target
    A text that counts as right; an item may have several.
option
    A choice of a multiple-choice item; its *value* is the score of choosing it, 1 for right and 0 for wrong as a rule.
score
    A log-probability, natural logarithm.
recorded
    Per-item metrics that the log itself states, kept to be checked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from bigbench_meta.experiments.rescoring.item_metrics import normalised
from bigbench_meta.loader.bigbench.careful import MAX_SHOTS, MIN_SHOTS

# Actions of a problem that stands for one record that is no item.
LEFT_OUT = ("line left out", "row left out", "element left out", "sample left out")


class Group(NamedTuple):
    """What the items of one score share."""

    task: str
    subtask: str
    family: str
    model: str
    shots: int


class Size(NamedTuple):
    """Parameter counts of a model as its file states them, NaN where it does not."""

    scale: float
    total_params: float
    non_embedding_params: float


@dataclass(frozen=True, slots=True)
class Item:
    """One item as it was read. Absent parts are None or empty; an item may carry an output, scores, or both.

    Attributes
    ----------
    group, size
        Task, subtask, family, model and shots; parameter counts of the model.
    query, index
        Which query of a full log (0 elsewhere), and which item of it or of the file.
    targets, output
        Texts that count as right, and the model's own.
    target_scores
        Log-probability of each target as a whole.
    options, option_scores, option_values, absolute_scores
        Choices, log-probability of each among the options, value of each, and the log-probabilities as the model gave
        them.
    as_said
        Whether the output is the text as the model said it, not what a log made of it (see `output_text`).
    recorded
        Metric -> value as the log states it.
    """

    group: Group
    size: Size
    query: int
    index: int
    targets: tuple[str, ...] = ()
    output: str | None = None
    target_scores: tuple[float, ...] = ()
    options: tuple[str, ...] = ()
    option_scores: tuple[float, ...] = ()
    option_values: tuple[float, ...] = ()
    absolute_scores: tuple[float, ...] = ()
    recorded: Mapping[str, float] = field(default_factory=dict)
    as_said: bool = False


class FieldError(ValueError):
    """A field of a record is missing or of the wrong kind; ``expected`` says what was looked for."""

    def __init__(self, problem: str, expected: str) -> None:
        super().__init__(f"{problem}; expected {expected}")
        self.problem = problem
        self.expected = expected


# Fields of a record of model outputs. `model` and a target are required, the rest defaults as documented.
RECORD_FIELDS = (
    "task, subtask, family, model, scale, shots, input, target (or targets), output, "
    "target_logprobs, options, option_scores, correct"
)


def item_of_record(record: object, *, index: int, task: str) -> Item:
    """Build an item from one record of model outputs (a line of JSON, a row of a table).

    Parameters
    ----------
    record
        Mapping with the fields of ``RECORD_FIELDS``. ``target_logprobs`` are those of the first target's tokens;
        ``correct`` is an option's text or number (from 0), or a list of them, or one value per option. Without it the
        options that equal a target are right.
    task
        Name of the task where the record has none.

    Raises
    ------
    FieldError
        If the record cannot be scored; says which field and what was expected.
    """
    if not isinstance(record, Mapping):
        raise FieldError(f"{_kind(record)} instead of a record", "an object with " + RECORD_FIELDS)
    model = record.get("model")
    if not isinstance(model, str) or not model:
        raise FieldError(f"model is {_kind(model)}", "the model's name as text")
    name = _text(record, "task", task)
    options = _texts(record.get("options"), "options")
    targets = _texts(record["targets"] if record.get("targets") is not None else record.get("target"), "target")
    if not targets and not options:
        raise FieldError("neither target nor options", "a text in target (or texts in targets), or options")
    output = record.get("output")
    if not (output is None or isinstance(output, str)):
        raise FieldError(f"output is {_kind(output)}", "text")
    target_logprobs = _numbers(record.get("target_logprobs"), "target_logprobs")
    option_scores = _numbers(record.get("option_scores"), "option_scores")
    if output is None and not target_logprobs and not option_scores:
        raise FieldError("no output, no target_logprobs and no option_scores", "at least one of them")
    if option_scores and len(option_scores) != len(options):
        raise FieldError(f"{len(option_scores)} option_scores for {len(options)} options", "one for each option")
    model = as_name(model)
    return Item(
        Group(
            name,
            _text(record, "subtask", name),
            _text(record, "family", model),
            model,
            _shots(record.get("shots")),
        ),
        Size(_count(record, "scale"), _count(record, "total_params"), _count(record, "non_embedding_params")),
        query=0,
        index=index,
        targets=targets,
        output=output,
        target_scores=(math.fsum(target_logprobs),) if target_logprobs else (),
        options=options if option_scores else (),
        option_scores=normalised(option_scores) if option_scores else (),
        absolute_scores=option_scores,
        as_said=True,
        option_values=_values(record.get("correct"), options, targets) if option_scores else (),
    )


def _values(correct: object, options: Sequence[str], targets: Sequence[str]) -> tuple[float, ...]:
    if correct is None:
        values = tuple(float(option in targets) for option in options)
    elif isinstance(correct, Mapping):
        values = tuple(_as_number(correct.get(option, 0.0), "correct") for option in options)
    elif isinstance(correct, list) and len(correct) == len(options) and not any(isinstance(c, str) for c in correct):
        values = tuple(_as_number(value, "correct") for value in correct)
    else:
        chosen = correct if isinstance(correct, list) else [correct]
        places = [options.index(c) if isinstance(c, str) and c in options else c for c in chosen]
        if not all(isinstance(place, int) and 0 <= place < len(options) for place in places):
            raise FieldError(f"correct is {correct!r:.60}", "an option's text or its number from 0, or one value each")
        values = tuple(float(place in places) for place in range(len(options)))
    if not any(values):
        raise FieldError("no option is right", "a target that is an option, or the field correct")
    return values


def as_name(value: str) -> str:
    """Text that any file can hold: half a surrogate pair, which JSON can spell, becomes its escape."""
    return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode("utf-8")


def _text(record: Mapping[str, object], key: str, default: str) -> str:
    value = record.get(key)
    if value is None or value == "":
        return as_name(default)
    if not isinstance(value, str):
        raise FieldError(f"{key} is {_kind(value)}", "text")
    return as_name(value)


def _count(record: Mapping[str, object], key: str) -> float:
    """A count of parameters, NaN where it is unknown."""
    value = record.get(key)
    number = float("nan") if value is None else _as_number(value, key)
    if number <= 0 or math.isinf(number):
        raise FieldError(f"{key} is {number!r}", "a positive, finite count of parameters")
    return number


def as_float(value: float) -> float:
    """``float(value)``, infinite where a whole number is beyond any float."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _as_number(value: object, key: str) -> float:
    if isinstance(value, bool | int | float):
        return as_float(value)
    raise FieldError(f"{key} is {_kind(value)}", "a number")


def _shots(value: object) -> int:
    if value is None:
        return 0
    number = _as_number(value, "shots")
    if not (number.is_integer() and MIN_SHOTS <= number <= MAX_SHOTS):
        raise FieldError(f"shots is {number!r}", f"a whole number from {MIN_SHOTS} to {MAX_SHOTS}")
    return int(number)


def _texts(value: object, key: str) -> tuple[str, ...]:
    if value is None:
        return ()
    values = value if isinstance(value, list | tuple) else [value]
    if not all(isinstance(v, str) for v in values):
        odd = next(v for v in values if not isinstance(v, str))
        raise FieldError(f"{key} holds {_kind(odd)}", "text or a list of texts; write numbers as text")
    return tuple(values)


def _numbers(value: object, key: str) -> tuple[float, ...]:
    if value is None:
        return ()
    if not isinstance(value, list | tuple):
        raise FieldError(f"{key} is {_kind(value)}", "a list of numbers")
    return tuple(_as_number(v, key) for v in value)


def _kind(value: object) -> str:
    if value is None:
        return "missing"
    names = {str: "text", bool: "a truth value", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return names.get(type(value), f"a {type(value).__name__}")
