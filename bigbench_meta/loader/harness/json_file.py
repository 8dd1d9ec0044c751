"""From the bytes of a JSON file to the parts of it that are wanted: what is large and of no interest is never decoded.

Vocabulary: a *part* is the value of a key of the file's top-level object.
"""

from __future__ import annotations

import json
import re
from typing import Literal, NamedTuple

from bigbench_meta.loader.bigbench.document import UnusableError
from bigbench_meta.loader.marks import MARK, end_of_container
from bigbench_meta.values import json_path

# Logs with every sample are large; the parts that hold scores are not, and decoding takes many times their size in memory.
MAX_FILE_BYTES = 1 << 30
MAX_PART_BYTES = 64 << 20
MAX_PART_VALUES = 2_000_000
_MAX_DIGITS = 400  # longer integers are not finite as a float, whose largest value has 309 digits
_CONTENT = re.compile(rb"\S")


class Part(NamedTuple):
    """A key of the top-level object and where its value stands, from ``start`` to ``stop``."""

    key: str
    start: int
    stop: int


class Top(NamedTuple):
    """What a file is at its top: an object with its parts, a list, or something else; and whether its brackets close."""

    kind: Literal["object", "list", "other"]
    parts: tuple[Part, ...]
    complete: bool

    @property
    def keys(self) -> frozenset[str]:
        """The keys of the top-level object."""
        return frozenset(part.key for part in self.parts)


class Fields(dict[str, object]):
    """A JSON object whose ``repeated`` keeps each value that a later one of the same key replaced."""

    __slots__ = ("repeated",)

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        super().__init__(pairs)
        last = {key: place for place, (key, _) in enumerate(pairs)} if len(self) < len(pairs) else {}
        self.repeated = [pair for place, pair in enumerate(pairs) if last and last[pair[0]] != place]


def top_level(data: bytes) -> Top:
    """Find the parts of a file by its marks; the file need not be whole or valid.

    Examples
    --------
    >>> top_level(b'{"a": [1, {}], "b": 2}').parts
    (Part(key='a', start=6, stop=13), Part(key='b', start=20, stop=21))
    """
    start, position = _next(data, 3 if data.startswith(b"\xef\xbb\xbf") else 0)
    first = data[start:position]
    if first == b"[":
        end = end_of_container(data, start)
        return Top("list", (), _ends(data, end) and data[end - 1 : end] == b"]")
    if first != b"{":
        return Top("other", (), complete=False)
    parts: list[Part] = []
    while True:
        start, position = _next(data, position)
        token = data[start:position]
        if token == b"}":
            return Top("object", tuple(parts), _ends(data, position))
        if token == b"," and parts:
            continue
        if not (token.startswith(b'"') and token.endswith(b'"') and len(token) > 1):
            return Top("object", tuple(parts), complete=False)
        start, position = _next(data, position)
        if data[start:position] != b":":
            return Top("object", tuple(parts), complete=False)
        start, position = _next(data, position)
        if data[start : start + 1] in (b"{", b"["):
            position = end_of_container(data, start)
        if position > start:
            parts.append(Part(text_of(token), start, position))


def _next(data: bytes, position: int) -> tuple[int, int]:
    """Return where the next mark begins and ends; twice the end of the data where there is none."""
    match = MARK.match(data, position)
    return match.span(1) if match else (len(data), len(data))


def _ends(data: bytes, position: int) -> bool:
    return _CONTENT.search(data, position) is None


def text_of(token: bytes) -> str:
    """Return the text of a quoted key."""
    try:
        return str(json.loads(token))
    except (ValueError, UnicodeDecodeError):
        return token[1:-1].decode("utf-8", "replace")


def decoded(data: bytes, start: int, stop: int, *, where: str) -> object:
    """Decode the value from ``start`` to ``stop``; its objects become `Fields`.

    Raises
    ------
    UnusableError
        Where the value is not JSON, is too large or is nested too deeply.
    """
    text = data[start:stop]
    if len(text) > MAX_PART_BYTES:
        raise UnusableError(where, f"{len(text)} bytes", f"at most {MAX_PART_BYTES} bytes of scores in a file")
    values = text.count(b",") + text.count(b"{") + text.count(b"[")
    if values > MAX_PART_VALUES:
        raise UnusableError(where, f"{values} values", f"at most {MAX_PART_VALUES} values of scores in a file")
    try:
        value: object = json.loads(text.decode("utf-8-sig"), object_pairs_hook=Fields, parse_int=_integer)
    except UnicodeDecodeError as err:
        raise UnusableError(where, f"bytes that are not UTF-8 ({err.reason})", "UTF-8") from err
    except json.JSONDecodeError as err:
        raise UnusableError(where, f"not JSON ({err.msg}); the file may be cut off", "a whole JSON file") from err
    except RecursionError as err:
        raise UnusableError(where, "nested too deeply to decode", "values of a few levels") from err
    return value


def part_path(key: str) -> str:
    """Return the place of a part in messages."""
    return json_path("$", key)


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) < _MAX_DIGITS else float(digits)
