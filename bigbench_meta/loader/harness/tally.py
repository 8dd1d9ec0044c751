"""Scores of a file, counted from its marks without a JSON decoder: what its reader has to account for.

Vocabulary: a *pattern* is the way from a part of a file to its scores, a key or ``*`` a level; a list counts as an object
whose keys are ``*``, except that ``{}`` stands for the keys of objects alone. The value at the end of a pattern is a *number* if its keys say so (``is_score``), whatever its type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bigbench_meta.loader.harness.json_file import Fields, text_of
from bigbench_meta.loader.marks import MARK, end_of_container

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Pattern = tuple[str, ...]
    IsScore = Callable[[tuple[str, ...]], bool]

ANY, ANY_KEY = "*", "{}"


def tally(data: bytes, start: int, patterns: Sequence[Pattern], *, is_score: IsScore) -> int:
    """Count the numbers of the value that begins at ``start``, which need not be whole.

    Parameters
    ----------
    patterns
        Ways from this value to its numbers. An object where one pattern ends and another goes on is entered.
    is_score
        Whether the keys on the way to a value, ``*`` for a place in a list, make it a number.

    Examples
    --------
    >>> tally(b'{"a": {"acc": 1, "acc": 2, "alias": 3}}', 0, [("*", "*")], is_score=lambda keys: keys[-1] != "alias")
    2
    """
    count = 0
    position = start
    keys: list[str] = []  # of the open containers and of the value that comes next
    ways: list[list[Pattern]] = [list(patterns)]  # what is left of each pattern, for the value that comes next
    objects: list[bool] = []
    want_key = False
    while True:
        match = MARK.match(data, position)
        if match is None or match.end(1) == match.start(1):
            return count
        begin, position = match.span(1)
        first = data[begin : begin + 1]
        if first == b":":
            continue
        if first in b"}]":
            if not objects:
                return count
            objects.pop()
            ways.pop()
            keys.pop()
            want_key = False
        elif first == b",":
            if not objects:
                return count
            want_key = objects[-1]
        elif want_key and first == b'"':
            keys[-1] = text_of(data[begin:position])
            want_key = False
            continue
        else:
            left = _left(ways[-1], keys[-1] if keys else None)
            inside = ways_into(left, is_object=first == b"{") if first in b"{[" else []
            if inside:
                objects.append(first == b"{")
                ways.append(inside)
                keys.append(ANY)
                want_key = first == b"{"
                continue
            if () in left and is_score(tuple(keys)):
                count += 1
            if first in b"{[":
                position = end_of_container(data, begin)
        if not objects:
            return count


def _left(patterns: Sequence[Pattern], key: str | None) -> list[Pattern]:
    """Return what is left of the patterns below a key; the value at the start of all has none."""
    return list(patterns) if key is None else below(patterns, key)


def ways_into(patterns: Sequence[Pattern], *, is_object: bool) -> list[Pattern]:
    """Return the patterns that go on inside a container."""
    return [pattern for pattern in patterns if pattern and (is_object or pattern[0] != ANY_KEY)]


def below(patterns: Sequence[Pattern], key: str) -> list[Pattern]:
    """Return what is left of the patterns below a key of a container."""
    return [pattern[1:] for pattern in patterns if pattern[0] in (ANY, ANY_KEY, key)]


def tally_decoded(value: object, patterns: Sequence[Pattern], *, is_score: IsScore, keys: tuple[str, ...] = ()) -> int:
    """Count the numbers of a decoded value, those of replaced values of its keys included."""
    inside = ways_into(patterns, is_object=isinstance(value, Fields)) if isinstance(value, Fields | list) else []
    if inside and isinstance(value, Fields | list):
        pairs = [*value.items(), *value.repeated] if isinstance(value, Fields) else [(ANY, each) for each in value]
        return sum(
            tally_decoded(each, left, is_score=is_score, keys=(*keys, key))
            for key, each in pairs
            if (left := below(inside, key))
        )
    return int(() in patterns and is_score(keys))
