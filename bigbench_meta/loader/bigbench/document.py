"""From the bytes of a score file to the document in it, within limits, or a refusal that says where and why.

``queries`` is taken out first: it is large, and nothing in it is used.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from bigbench_meta.values import Object

# No published score file comes near: the largest full logs are some hundred megabytes. Larger ones are refused unread.
MAX_FILE_BYTES = 1 << 30
# A score file without its `queries` has kilobytes, rarely a megabyte; more than this cannot be one, and to decode it
# would take many times its size in memory.
MAX_HEAD_BYTES = 16 << 20
# Each value takes hundreds of bytes once decoded. As many bytes of entries, written as tersely as can be, have about half
# as many values; only lists of nothing have more.
MAX_HEAD_VALUES = 1_500_000
# Longer integers are not finite as a float, whose largest value has 309 digits.
_MAX_DIGITS = 400
_NULL = b"null"


class UnusableError(Exception):
    """A file or entry cannot be used: where, what, and what was expected."""

    def __init__(self, where: str, problem: str, expected: str) -> None:
        super().__init__(problem)
        self.where, self.problem, self.expected = where, problem, expected


class Head(NamedTuple):
    """A file with null in place of each value of `queries`, the file, and where those values stand in it."""

    content: bytes
    text: bytes
    spans: tuple[tuple[int, int], ...]

    def place(self, position: int) -> str:
        """Say where a byte of the content stands in the file."""
        for start, stop in self.spans:
            if position <= start:
                break
            position += max(0, stop - start - len(_NULL))
        before = self.text[:position]
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        return f"line {before.count(10) + 1}, column {column}"


def as_utf8(data: bytes) -> tuple[bytes, str]:
    """Return the content in UTF-8 without a byte order mark, and the name of the encoding it was in."""
    if len(data) > MAX_FILE_BYTES:  # grown since it was listed
        raise UnusableError("$", f"{len(data)} bytes", f"at most {MAX_FILE_BYTES} bytes in a score file")
    encoding = json.detect_encoding(data[:64])
    if encoding == "utf-8":
        return data, encoding
    if len(data) > MAX_HEAD_BYTES:
        raise UnusableError("$", f"{len(data)} bytes in {encoding}", "UTF-8 without a byte order mark")
    try:
        return data.decode(encoding).encode("utf-8"), encoding
    except UnicodeError as err:
        raise UnusableError("$", f"bytes that are not {encoding} ({str(err)[:120]})", "UTF-8") from err


def head_of(text: bytes, spans: tuple[tuple[int, int], ...]) -> Head:
    """Return what a file holds beside the given values of `queries`."""
    size = len(text) - sum(stop - start for start, stop in spans)
    if size > MAX_HEAD_BYTES:
        raise UnusableError("$", f"{size} bytes beside `queries`", f"at most {MAX_HEAD_BYTES} bytes beside `queries`")
    pieces: list[bytes] = []
    end = 0
    for start, stop in spans:
        pieces += [text[end:start], _NULL]
        end = stop
    return Head(b"".join([*pieces, text[end:]]) if pieces else text, text, spans)


def decoded(head: Head, *, complete: bool) -> object:
    """Decode the content; objects become ``Object``. ``complete`` says whether all brackets of the file close."""
    content = head.content
    if not content.strip():
        raise UnusableError("$", "the file is empty", "a JSON object with scores, task and model")
    values = content.count(b",") + content.count(b"{") + content.count(b"[")
    if values > MAX_HEAD_VALUES:
        raise UnusableError(
            "$", f"{values} values beside `queries`", f"at most {MAX_HEAD_VALUES} values beside `queries`"
        )
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as err:
        raise UnusableError(head.place(err.start), f"bytes that are not UTF-8 ({err.reason})", "UTF-8") from err
    try:
        return json.loads(text, object_pairs_hook=Object, parse_int=_integer)
    except json.JSONDecodeError as err:
        cut = "" if complete else "; brackets are left open or do not match: the file may be cut off"
        place = head.place(len(text[: err.pos].encode("utf-8")))
        raise UnusableError(place, f"not JSON ({err.msg}){cut}", "a whole JSON file") from err
    except RecursionError as err:
        raise UnusableError("$", "nested too deeply to decode", "entries of a few levels") from err


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) < _MAX_DIGITS else float(digits)
