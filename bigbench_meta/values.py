"""Values of JSON and of tables: what counts as a number and as text, and how messages show them."""

from __future__ import annotations

import json
import math
import re

# The quantifiers are possessive, so that a long run of digits before a letter is passed over once.
# One sign at most, as for ``float``.
_NUMERIC = re.compile(r"[-+]?(?:(\d++\.?\d*+|\.\d++)(e[-+]?\d++)?|nan|inf|infinity)", re.ASCII | re.IGNORECASE)
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_SHOWN = 60  # characters of a strange value that a message quotes
_LONGEST_KEY = 200  # characters of a key that a place in a file names in full


class Object(list[tuple[str, object]]):
    """A JSON object as its pairs in file order, repeats of a key included."""

    __slots__ = ()


def as_number(raw: object) -> float | None:
    """Return a number, boolean or numeric text as a float (inf where it is too large), else None."""
    if isinstance(raw, str):
        text = raw.strip()
        return float(text) if _NUMERIC.fullmatch(text) else None
    if isinstance(raw, int | float):  # a bool is an int
        try:
            return float(raw)
        except OverflowError:
            return math.inf
    return None


def is_text(name: str) -> bool:
    """Whether a name can be written as UTF-8: JSON allows half of a surrogate pair, files and tables do not."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def kind(value: object) -> str:
    """Return what a value is, in words for containers and as ``shown`` for anything else."""
    if isinstance(value, Object):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return shown(value)


def shown(value: object) -> str:
    """Return a value as JSON would write it, shortened for a message."""
    if isinstance(value, list):
        return kind(value)
    if isinstance(value, str) and len(value) > _SHOWN:  # cut first: a long name may be shown for every entry of a file
        return f"{json.dumps(value[:_SHOWN])[: _SHOWN + 1]}... ({len(value)} characters)"
    text = json.dumps(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text)} characters)"


def json_path(where: str, key: str) -> str:
    """Return the JSON path of a key below ``where``; a key of many characters is cut short."""
    if len(key) > _LONGEST_KEY:
        return f"{where}[{shown(key)}]"
    return f"{where}.{key}" if _IDENTIFIER.fullmatch(key) else f"{where}[{json.dumps(key)}]"
