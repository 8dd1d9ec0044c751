"""One reader for all formats: it walks the declared columns of a document and yields a row a score.

Every score on disk becomes a row or is explained by a problem; both are checked against the tally of the file.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from bigbench_meta.loader.columns import Problem
from bigbench_meta.loader.harness.declared import Aside, Document, Format, Leaf, Place, is_unknown
from bigbench_meta.loader.harness.json_file import Fields
from bigbench_meta.loader.harness.tally import ANY, below, tally_decoded, ways_into
from bigbench_meta.values import as_number, is_text, json_path, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bigbench_meta.loader.harness.tally import Pattern

Row = dict[str, Any]
_SHOWN = 5  # names that a message lists


class Read(NamedTuple):
    """The rows and problems of a file, and the scores on disk that they must add up to."""

    rows: list[Row]
    problems: list[Problem]
    on_disk: int


def read_document(document: Document, form: Format, *, part: str) -> tuple[list[Row], list[Problem]]:
    """Return the rows and problems of a document whose scores stand in ``part``."""
    remarks = form.remarks(document)
    problems = [Problem(document.file, each.where, each.problem, each.expected, each.action) for each in remarks]
    value, root = document.parts.get(part), "$" if part == "" else json_path("$", part)
    refused = next((place for place, remark in enumerate(remarks) if remark.refused), None)
    if refused is not None:
        numbers = tally_decoded(value, form.patterns, is_score=form.is_score)
        problems[refused] = problems[refused]._replace(numbers=numbers)
        return [], problems
    context = form.context(document)
    rows: list[Row] = []
    asides: dict[Aside, list[str]] = {}
    for leaf in _leaves(value, form.patterns, root, document.file, form=form, problems=problems):
        place = form.place(leaf, document, context)
        if isinstance(place, Aside):
            asides.setdefault(place, []).append(_label(leaf))
            continue
        row = _row(leaf, place, document, form, problems)
        if row is not None:
            rows.append(row)
    problems += [_aside(document.file, root, reason, names) for reason, names in asides.items()]
    return rows, problems


def _label(leaf: Leaf) -> str:
    """Name a value that is no score: by what its entry is called, else by its key."""
    name = leaf.entry.get("name") if isinstance(leaf.entry, dict) else None
    name = name.get("name") if isinstance(name, dict) else name
    return name if isinstance(name, str) and name else leaf.keys[0] if len(leaf.keys) > 1 else leaf.where


def _aside(file: str, root: str, reason: Aside, names: Sequence[str]) -> Problem:
    named = ", ".join(shown(name)[1:-1] for name in list(dict.fromkeys(names))[:_SHOWN])
    more = len(set(names)) - _SHOWN
    return Problem(
        file,
        root,
        f"{reason.reason}: {len(names)} value{'s' * (len(names) > 1)} ({named}{f' and {more} others' if more > 0 else ''})",
        reason.expected,
        "no row",
        len(names),
    )


def _leaves(
    value: object, patterns: Sequence[Pattern], where: str, file: str, *, form: Format, problems: list[Problem],
    keys: tuple[str, ...] = (), way: tuple[str, ...] = (), entry: object = None,
) -> Iterator[Leaf]:  # fmt: skip
    """Yield the numbers of a value, and add a problem for each key that came again with numbers below it."""
    inside = ways_into(patterns, is_object=isinstance(value, Fields)) if isinstance(value, Fields | list) else []
    if not (isinstance(value, Fields | list) and inside):
        if () in patterns and form.is_score(keys):
            yield Leaf(keys, way, value, entry, where)
        elif () not in patterns:
            problems.append(Problem(file, where, f"the value is {_kind(value)}", "an object with scores", "no row"))
        return
    if isinstance(value, Fields):
        for key, old in value.repeated:
            left = below(inside, key)
            numbers = tally_decoded(old, left, is_score=form.is_score, keys=(*keys, key)) if left else 0
            again = "the key stands more than once in one object"
            problems.append(
                Problem(file, json_path(where, key), again, "each key once", "the last value counts", numbers)
            )
    pairs = value.items() if isinstance(value, Fields) else ((ANY, each) for each in value)
    for place, (key, each) in enumerate(pairs):
        left = below(inside, key)
        if left and not (set(left) == {()} and not form.is_score((*keys, key))):
            inner = json_path(where, key) if isinstance(value, Fields) else f"{where}[{place}]"
            yield from _leaves(
                each,
                left,
                inner,
                file,
                form=form,
                problems=problems,
                keys=(*keys, key),
                way=(*way, key if isinstance(value, Fields) else str(place)),
                entry=value,
            )


def _row(leaf: Leaf, place: Place, document: Document, form: Format, problems: list[Problem]) -> Row | None:
    """Return the row of a score, None where its value or names cannot be used, which is on record then."""

    def record(problem: str, expected: str, action: str, numbers: int = 0) -> None:
        problems.append(Problem(document.file, leaf.where, problem, expected, action, numbers))

    score = as_number(leaf.value)
    if leaf.value is None:
        score = math.nan
    if score is None:
        record(f"the score is {_kind(leaf.value)}", "a number", "no row", 1)
        return None
    unusable = [name for name in (place.task, place.subtask, place.metric) if not (name and is_text(name))]
    if unusable:
        record(f"the name {shown(unusable[0])} cannot be written", "a name in UTF-8", "no row", 1)
        return None
    if not math.isfinite(score):
        record(f"the score is {_kind(leaf.value)}", "a finite number", "a row with NaN")
        score = math.nan
    elif isinstance(leaf.value, str | bool):
        record(f"the score is {_kind(leaf.value)}", "a number", f"read as {score!r}")
    row: Row = {
        "file": document.file, "where": leaf.where, "harness": form.name, "task": place.task, "subtask": place.subtask,
        "metric": place.metric, "filter": place.filter, "is_aggregate": place.is_aggregate, "score": score,
        **place.values,
    }  # fmt: skip
    names = {
        "task": place.task,
        "subtask": place.subtask,
        "metric": place.metric,
        "filter": place.filter,
        **place.names,
    }
    for column in form.columns:
        if column.name in row:
            continue
        raw = _found(column.path, leaf.entry, document.parts, names)
        if is_unknown(raw):
            continue
        read = column.kind.read(raw)
        if read is None:
            record(f"{column.name} is {_kind(raw)}", column.kind.expected, "taken as unknown")
        elif read != "":
            row[column.name] = read
    return row


def _found(path: tuple[str, ...], entry: object, parts: dict[str, object], names: dict[str, str]) -> object:
    value: object = parts
    steps = path
    if path[0] == ".":
        value, steps = entry, path[1:]
    for step in steps:
        key = step.format_map(names)
        if isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        elif isinstance(value, dict):
            value = value.get(key)
        else:
            return None
    return value


def _kind(value: object) -> str:
    if isinstance(value, dict):
        return "an object"
    return "a list" if isinstance(value, list) else shown(value)


def without_repetition(problems: list[Problem]) -> list[Problem]:
    """Return problems with what a file says of every score said once, with how often it is said."""
    times = Counter((each.file, each.problem, each.expected, each.action) for each in problems if not each.numbers)
    kept, seen = [], set()
    for each in problems:
        said = (each.file, each.problem, each.expected, each.action)
        if each.numbers or times[said] == 1:
            kept.append(each)
        elif said not in seen:
            seen.add(said)
            kept.append(each._replace(problem=f"{each.problem} ({times[said]} times in this file)"))
    return kept
