"""The careful reader of one score file: tolerates what real files hold, and records every oddity it meets.

It is slow and complete; the fast reader (``decode``) hands over every file that is not plain. Both give the same
numbers for a plain file.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from bigbench_meta.loader.bigbench.count import outline
from bigbench_meta.loader.bigbench.document import Head, UnusableError, as_utf8, decoded, head_of
from bigbench_meta.loader.columns import Columns, Layout, Model, Problem
from bigbench_meta.values import Object, as_number, is_text, json_path, kind, shown

# BIG-bench runs 0 to 5 shots, and -1 where shots make no sense; the upper bound only keeps absurd numbers out.
MIN_SHOTS, MAX_SHOTS = -1, 1_000_000
# A file without end of oddities need not fill the memory with them: those beyond are counted in one row.
MAX_PROBLEMS = 100_000


class _Entry(NamedTuple):
    """The usable numbers of one entry; ``place`` is its index in the file's ``scores``."""

    place: int
    subtask: str
    shots: int
    trial: int
    preferred: str | None
    low: float
    high: float
    numbers: dict[str, float]


@dataclass
class _Log:
    """The problems of one file, in the order they were met; beyond a limit they are only counted."""

    file: str
    problems: list[Problem] = field(default_factory=list)
    unlisted: int = 0
    unlisted_numbers: int = 0

    def add(self, where: str, problem: str, expected: str, action: str, *, numbers: int = 0) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(self.file, where, problem, expected, action, numbers))
        else:
            self.unlisted += 1
            self.unlisted_numbers += numbers

    @property
    def state(self) -> tuple[int, int, int]:
        """What ``back_to`` needs to take back what is added from now on."""
        return len(self.problems), self.unlisted, self.unlisted_numbers

    def back_to(self, state: tuple[int, int, int]) -> None:
        listed, self.unlisted, self.unlisted_numbers = state
        del self.problems[listed:]

    def all(self) -> list[Problem]:
        """Return the problems, with one for those that are not listed."""
        if not self.unlisted:
            return self.problems
        more = f"{self.unlisted} more problems after the {MAX_PROBLEMS} of this file that are listed"
        expected, action = "a file in which most is as documented", "treated as those above; counted, not listed"
        return [*self.problems, Problem(self.file, "$", more, expected, action, self.unlisted_numbers)]


def read_carefully(data: bytes, *, file: str, folder_task: str | None, into: Columns) -> None:
    """Append the numbers of a score file to ``into``, and a problem for each oddity.

    Whatever the file holds, ``into.on_disk`` grows by the numbers seen in it (counted by ``count.outline``), and by
    exactly as much the sum of its numbers and of those its problems explain.

    Parameters
    ----------
    data
        Content of the file, any bytes at all.
    file
        Path of the file as it will stand in the tables.
    folder_task
        Name of the task folder the file lies in, None where the layout does not say.
    into
        Columns to append to.
    """
    log = _Log(file)
    on_disk = 0
    try:
        text, encoding = as_utf8(data)
        if encoding != "utf-8":
            log.add("$", f"the file is in {encoding}", "UTF-8 without a byte order mark", "read in that encoding")
        marks = outline(text)
        on_disk = marks.numbers
        document = decoded(head_of(text, marks.queries), complete=marks.complete)
        task, model, entries = _read_file(document, folder_task, log)
        problems = log.all()
        _balance(entries, problems, on_disk=on_disk)
    except UnusableError as fault:
        stands = f"no number of this file is used ({on_disk} stand in it)" if on_disk else "the file gives no number"
        into.problems.append(Problem(file, fault.where, fault.problem, fault.expected, stands, on_disk))
        into.on_disk += on_disk
        return
    into.on_disk += on_disk
    into.problems += problems
    into.layouts.append(_layout(entries))
    into.add_file(file, task=task, model=model, layout=len(into.layouts) - 1)
    for entry in entries:
        into.scores.extend(entry.numbers.values())


def _layout(entries: list[_Entry]) -> Layout:
    return Layout(
        places=tuple(entry.place for entry in entries),
        subtasks=tuple(entry.subtask for entry in entries),
        shots=tuple(entry.shots for entry in entries),
        trials=tuple(entry.trial for entry in entries),
        preferred=tuple(entry.preferred for entry in entries),
        lows=tuple(entry.low for entry in entries),
        highs=tuple(entry.high for entry in entries),
        sizes=tuple(len(entry.numbers) for entry in entries),
        metrics=tuple(metric for entry in entries for metric in entry.numbers),
    )


def _balance(entries: list[_Entry], problems: list[Problem], *, on_disk: int) -> None:
    """Refuse a file in which the decoder and the marks disagree: nothing in it can be trusted."""
    found = sum(len(entry.numbers) for entry in entries) + sum(problem.numbers for problem in problems)
    if found != on_disk:
        raise UnusableError(
            "$",
            f"the decoder accounts for {found} numbers, the marks of the file show {on_disk}",
            "the same count from both",
        )


def _read_file(document: object, folder_task: str | None, log: _Log) -> tuple[str, Model, list[_Entry]]:
    if not isinstance(document, Object):
        raise UnusableError("$", f"the top level is {kind(document)}", "an object with scores, task and model")
    top = _fields(document, "$", log)
    task = _task(top, folder_task, log)
    model = _model(top, log)
    scores = top.get("scores")
    if not isinstance(scores, list) or isinstance(scores, Object):
        found = "missing" if "scores" not in top else kind(scores)
        raise UnusableError("$.scores", f"scores is {found}", "a list of entries")
    entries: list[_Entry] = []
    for place, item in enumerate(scores):
        before = log.state
        try:
            entries.append(_entry(item, place=place, task=task, log=log))
        except UnusableError as fault:
            log.back_to(before)
            lost = _numbers_in(item)
            action = f"no number of this entry is used ({lost} stand in it)"
            log.add(fault.where, fault.problem, fault.expected, action, numbers=lost)
    return task, model, _with_trials(entries, log)


def _fields(pairs: Object, where: str, log: _Log) -> dict[str, object]:
    """Return an object as a dict that keeps the last of repeated keys, and record the repeats."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        standing: dict[str, list[object]] = {}
        for key, value in pairs:
            standing.setdefault(key, []).append(value)
        for key, values in standing.items():
            if len(values) > 1:
                log.add(
                    json_path(where, key),
                    f"the key stands {len(values)} times in one object",
                    "each key once",
                    "the last value is kept",
                    numbers=sum(_numbers_below(key, value, where) for value in values[:-1]),
                )
    return fields


def _numbers_below(key: str, value: object, where: str) -> int:
    """How many numbers go when an earlier value of a repeated key does."""
    if where.endswith(".score_dict"):
        return 1
    if where == "$":
        return sum(map(_numbers_in, value)) if key == "scores" and isinstance(value, list) else 0
    return len(value) if key == "score_dict" and isinstance(value, Object) else 0


def _numbers_in(entry: object) -> int:
    if not isinstance(entry, Object):
        return 0
    return sum(len(value) for key, value in entry if key == "score_dict" and isinstance(value, Object))


def _task(top: dict[str, object], folder_task: str | None, log: _Log) -> str:
    described = top.get("task")
    name = _fields(described, "$.task", log).get("task_name") if isinstance(described, Object) else None
    if isinstance(name, str) and name and is_text(name):
        if folder_task is not None and name != folder_task:
            log.add(
                "$.task.task_name",
                f"the file names the task {shown(name)} and lies in the folder of {shown(folder_task)}",
                "the same name",
                "the file's name is used; a selection by task goes by the folder",
            )
        return name
    if folder_task is None:
        raise UnusableError("$.task.task_name", "the file does not name its task", "the name of a task")
    log.add(
        "$.task.task_name",
        "the file does not name its task",
        "the name of a task",
        f"the name of its folder is used, {shown(folder_task)}",
    )
    return folder_task


def _model(top: dict[str, object], log: _Log) -> Model:
    described = top.get("model")
    if not isinstance(described, Object):
        found = "missing" if "model" not in top else kind(described)
        raise UnusableError("$.model", f"model is {found}", "an object with model_family and model_name")
    return _model_of(described, log)


def is_span(low: float, high: float) -> bool:
    """Say whether scores can be put on a scale from ``low`` to ``high``."""
    return low != high and math.isfinite(high - low)


def plain_task(raw: bytes) -> str | None:
    """Return the name in a file's ``task`` object, None if anything about the object is odd."""
    log = _Log("")
    try:
        name = _task({"task": decoded(Head(raw, raw, ()), complete=True)}, None, log)
    except UnusableError:
        return None
    return None if log.problems else name


def plain_model(raw: bytes) -> Model | None:
    """Return the model in a file's ``model`` object, None if anything about the object is odd."""
    log = _Log("")
    try:
        model = _model({"model": decoded(Head(raw, raw, ()), complete=True)}, log)
    except UnusableError:
        return None
    return None if log.problems else model


def _model_of(described: Object, log: _Log) -> Model:
    fields = _fields(described, "$.model", log)
    names = []
    for key in ("model_family", "model_name"):
        name = fields.get(key)
        if not isinstance(name, str) or not name or not is_text(name):
            found = "missing" if key not in fields else shown(name)
            raise UnusableError(f"$.model.{key}", f"{key} is {found}", "a name: no row can be keyed without it")
        names.append(name)
    # A null size means that it was not published, which a missing key does not say. Only the scale orders curves.
    total = _size(fields, "total_params", log, needed=False)
    non_embedding = _size(fields, "non_embedding_params", log, needed=False)
    scale = _size(fields, "flop_matched_non_embedding_params", log, needed=True)
    return Model(names[0], names[1], total, non_embedding, scale)


def _size(fields: dict[str, object], key: str, log: _Log, *, needed: bool) -> float:
    raw = fields.get(key)
    if raw is None and key in fields and not needed:
        return math.nan
    where = f"$.model.{key}"
    expected = "a positive, finite count of parameters" + ("" if needed else ", or null where it is not known")
    value = as_number(raw)
    if value is None or isinstance(raw, bool) or not math.isfinite(value) or value <= 0:
        found = "missing" if key not in fields else shown(raw)
        log.add(where, f"{key} is {found}", expected, "taken as unknown (NaN)")
        return math.nan
    if isinstance(raw, str):
        log.add(where, f"{key} is the text {shown(raw)}", expected, f"read as {value!r}")
    return value


def _entry(item: object, *, place: int, task: str, log: _Log) -> _Entry:
    where = f"$.scores[{place}]"
    if not isinstance(item, Object):
        raise UnusableError(where, f"the entry is {kind(item)}", "an object with score_dict and its description")
    fields = _fields(item, where, log)
    score_dict = fields.get("score_dict")
    if not isinstance(score_dict, Object):
        found = "missing" if "score_dict" not in fields else kind(score_dict)
        raise UnusableError(f"{where}.score_dict", f"score_dict is {found}", "an object of metrics and their values")
    shots = _shots(fields, where, log)
    subtask = _subtask(fields, where, task=task, log=log)
    numbers = _numbers(score_dict, f"{where}.score_dict", log)
    preferred = _preferred(fields, where, names=dict(score_dict), log=log)
    low, high = _bound(fields, "low_score", where, log), _bound(fields, "high_score", where, log)
    if not math.isnan(high - low) and not is_span(low, high):
        log.add(
            f"{where}.high_score",
            f"low_score is {low!r} and high_score is {high!r}",
            "two different bounds",
            "score_normalized is NaN",
        )
    return _Entry(place, subtask, shots, 0, preferred, low, high, numbers)


def _shots(fields: dict[str, object], where: str, log: _Log) -> int:
    raw = fields.get("number_of_shots")
    place, expected = f"{where}.number_of_shots", f"an integer from {MIN_SHOTS} to {MAX_SHOTS}"
    value = None if isinstance(raw, bool) else as_number(raw)
    if value is None or not MIN_SHOTS <= value <= MAX_SHOTS or value != int(value):
        found = "missing" if "number_of_shots" not in fields else shown(raw)
        raise UnusableError(place, f"number_of_shots is {found}", expected)
    if not isinstance(raw, int):
        log.add(place, f"number_of_shots is {shown(raw)}", expected, f"read as {int(value)}")
    return int(value)


def _subtask(fields: dict[str, object], where: str, *, task: str, log: _Log) -> str:
    raw = fields.get("subtask_description")
    place, expected = f"{where}.subtask_description", "the name of a subtask or of the task"
    if raw is None or raw == "":
        found = "missing" if "subtask_description" not in fields else shown(raw)
        log.add(place, f"subtask_description is {found}", expected, f"the task's name is used, {shown(task)}")
        return task
    if not isinstance(raw, str) or not is_text(raw):
        raise UnusableError(place, f"subtask_description is {shown(raw)}", expected)
    return raw


def _preferred(fields: dict[str, object], where: str, *, names: dict[str, object], log: _Log) -> str | None:
    raw = fields.get("preferred_score")
    if isinstance(raw, str):
        if raw in names:
            return raw
        if raw == "rouge" and "rougeLsum" in names:  # what BIG-bench means by it
            return "rougeLsum"
        found = f"the preferred metric {shown(raw)} is not in score_dict"
    else:
        found = "preferred_score is " + ("missing" if "preferred_score" not in fields else shown(raw))
    log.add(f"{where}.preferred_score", found, "a metric of score_dict", "no metric of the entry counts as preferred")
    return None


def _bound(fields: dict[str, object], key: str, where: str, log: _Log) -> float:
    raw = fields.get(key)
    place, expected = f"{where}.{key}", "a finite number"
    value = as_number(raw)
    if value is None or not math.isfinite(value):
        found = "missing" if key not in fields else shown(raw)
        log.add(place, f"{key} is {found}", expected, "taken as unknown; score_normalized is NaN")
        return math.nan
    if isinstance(raw, str | bool):
        log.add(place, f"{key} is {shown(raw)}", expected, f"read as {value!r}")
    return value


def _numbers(score_dict: Object, where: str, log: _Log) -> dict[str, float]:
    numbers: dict[str, float] = {}
    for metric, raw in _fields(score_dict, where, log).items():
        place = json_path(where, metric)
        value = math.nan if raw is None else as_number(raw)
        if not is_text(metric):
            log.add(place, "the metric's name is not valid text", "Unicode text", "no row", numbers=1)
        elif value is None:
            log.add(place, f"the value is {shown(raw)}", "a number", "no row", numbers=1)
        elif not math.isfinite(value):
            log.add(place, f"the value is {shown(raw)}", "a finite number", "a row with NaN")
            numbers[metric] = math.nan
        else:
            if isinstance(raw, str | bool):
                log.add(place, f"the value is {shown(raw)}", "a number", f"read as {value!r}")
            numbers[metric] = value
    return numbers


def _with_trials(entries: list[_Entry], log: _Log) -> list[_Entry]:
    """Number the repeats of (subtask, shots, metric) in file order; an entry whose metrics differ in that is split."""
    times = Counter((entry.subtask, entry.shots) for entry in entries)
    first: dict[tuple[str, int], tuple[int, tuple[object, ...]]] = {}
    seen: Counter[tuple[str, int, str]] = Counter()
    result: list[_Entry] = []
    for entry in entries:
        key = (entry.subtask, entry.shots)
        if times[key] > 1:
            content = _content(entry)
            place, earlier = first.setdefault(key, (entry.place, content))
            if content != earlier:
                log.add(
                    f"$.scores[{entry.place}]",
                    f"repeats the subtask and shots of $.scores[{place}] with other content",
                    "repeats that agree",
                    "both are kept; repeated metrics are further trials",
                )
        by_trial: dict[int, dict[str, float]] = {} if entry.numbers else {0: {}}
        for metric, score in entry.numbers.items():
            trial = seen[*key, metric]
            seen[*key, metric] += 1
            by_trial.setdefault(trial, {})[metric] = score
        result += [entry._replace(trial=trial, numbers=numbers) for trial, numbers in by_trial.items()]
    return result


def _content(entry: _Entry) -> tuple[object, ...]:
    """What two entries must share to say the same; NaN agrees with NaN, metrics in any order."""
    numbers = {metric: repr(score) for metric, score in entry.numbers.items()}
    return entry.preferred, repr(entry.low), repr(entry.high), numbers
