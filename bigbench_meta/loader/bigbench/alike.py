"""Files that differ from an earlier one in nothing but their numbers and their model, recognised by their bytes.

An entry of a score file has two closing braces, that of its ``score_dict`` and its own. Cut at its closing braces, a
file that begins with its entries is therefore

    numbers, head, numbers, head, ..., what follows the entries

where the *head* is all that an entry says after its numbers. Where the heads are those of an earlier file, byte for
byte, they mean what they meant there. The numbers of

    {"scores": [{"score_dict": {"bleu": 0.5, "rouge1": 1}, ...}, {"score_dict": {"bleu": 2}, ...}], ...

are ``"bleu": 0.5, "rouge1": 1} "bleu": 2`` once the ways from one to the next are taken out. Two checks show that they
are those of the earlier file with other values. Their *marks*, all colons, commas and braces, must be the same,
``:,:}:``. And with a comma for each mark they must be a list of JSON in which names and numbers take turns, the names
being those of the earlier file: ``["bleu", 0.5, "rouge1", 1, "bleu", 2]``.
"""

from __future__ import annotations

import re
import struct
from array import array
from itertools import chain, repeat
from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from bigbench_meta.loader.columns import Layout

_CLOSING, _MARKS = b"}", b":,{}"
# A file that begins with its entries, and an entry that begins with its numbers, as BIG-bench writes them.
_OPENING = re.compile(rb'\s*+\{\s*+"scores"\s*+:\s*+\[\s*+\{\s*+"score_dict"\s*+:\s*+\{')
_NEXT = re.compile(rb'\s*+,\s*+\{\s*+"score_dict"\s*+:\s*+\{')
_AS_COMMAS = bytes.maketrans(_MARKS, b"," * len(_MARKS))
_NO_MARKS = bytes(set(range(256)) - set(_MARKS))

_decode = msgspec.json.Decoder(list[str | float]).decode


class Pattern(NamedTuple):
    """What files have in common that differ in their numbers.

    Attributes
    ----------
    opening
        How they begin, up to the first name of a number.
    way
        What leads from one entry to the numbers of the next.
    heads
        All that their entries say after their numbers.
    names
        What their numbers are called.
    marks
        All colons, commas and braces among their numbers.
    packing
        So many doubles; to pack numbers this way takes half the time of any other.
    """

    opening: bytes
    way: bytes
    heads: list[bytes]
    names: list[str]
    marks: bytes
    packing: struct.Struct


def cut(data: bytes) -> list[bytes]:
    """Return the pieces of a file between its closing braces."""
    return data.split(_CLOSING)


def pattern_of(pieces: list[bytes], layout: Layout, numbers: array[float]) -> Pattern | None:
    """Return the pattern of a file whose content was checked, None where it has none.

    Parameters
    ----------
    pieces
        The file, cut at its closing braces.
    layout, numbers
        What was found in the file; its pattern must find the same.
    """
    opening = _OPENING.match(pieces[0])
    if opening is None or "}" in "".join(chain(layout.metrics, layout.subtasks)):
        return None
    way = _NEXT.match(pieces[2])
    heads, names = pieces[1 : 2 * len(layout.sizes) : 2], list(layout.metrics)
    packing = struct.Struct(f"{len(names)}d")
    pattern = Pattern(opening.group(), way.group() if way else b"", heads, names, b"", packing)
    pattern = pattern._replace(marks=_numbers(pieces, pattern).translate(None, _NO_MARKS))
    return pattern if numbers_like(pieces, pattern) == numbers else None


def numbers_like(pieces: list[bytes], pattern: Pattern) -> array[float] | None:
    """Return the numbers of a file if it has the given pattern, else None."""
    if pieces[1 : 2 * len(pattern.heads) : 2] != pattern.heads or not pieces[0].startswith(pattern.opening):
        return None
    text = _numbers(pieces, pattern)
    if text.translate(None, _NO_MARKS) != pattern.marks:
        return None
    try:
        found = _decode(b"[%b]" % text.translate(_AS_COMMAS))
        numbers = pattern.packing.pack(*found[1::2])
    except (msgspec.DecodeError, struct.error):  # of packing if a text stands where a number should
        return None
    return array("d", numbers) if found[0::2] == pattern.names else None


def after_entries(pieces: list[bytes], pattern: Pattern) -> bytes:
    """Return the file with this pattern as if it had no entries."""
    return b'{"scores":[' + _CLOSING.join(pieces[2 * len(pattern.heads) :])


def _numbers(pieces: list[bytes], pattern: Pattern) -> bytes:
    """Return the names and numbers of a file, and a closing brace between entries."""
    others = map(bytes.removeprefix, pieces[2 : 2 * len(pattern.heads) : 2], repeat(pattern.way))
    return _CLOSING.join([pieces[0].removeprefix(pattern.opening), *others])
