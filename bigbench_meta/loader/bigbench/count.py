"""Numbers of a score file, counted from its bytes without a JSON decoder.

A *number* is a value inside a ``score_dict`` object of an entry of the file's top-level ``scores`` list, whatever its
type: what a reader has to account for. A decoder cannot be trusted with that count, because decoders keep the last of
duplicate keys in silence. This module walks the marks of the file instead (quotes, brackets, colons, commas); it also
works on files that are cut off or are not JSON at all, where it counts what can be seen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bigbench_meta.loader.marks import MARK, end_of_container, unescaped

# A key and a value that is no container, up to and with the comma after it or up to the end of the object. Runs of
# them are most of a file of many entries and are passed over at once.
_PAIR = re.compile(
    rb'\s*+("(?:[^"\\]++|\\.)*+")\s*+:\s*+(?:"(?:[^"\\]++|\\.)*+"|[^\s"{}\[\]:,]++)\s*+(?:,|(?=\}))', re.DOTALL
)
_PAIRS = re.compile(rb"(?:" + _PAIR.pattern + rb")*+", re.DOTALL)
_CONTENT = re.compile(rb"\S")

# The way from the top of a file to its numbers: the key or list that leads from one level to the next.
_WAY = (b"scores", None, b"score_dict")


@dataclass(frozen=True)
class Outline:
    """What the marks of a file say: numbers seen, whether all brackets close, and where lists, objects and texts of ``queries`` stand."""

    numbers: int
    complete: bool
    queries: tuple[tuple[int, int], ...]


def outline(data: bytes) -> Outline:
    """Count the numbers of a score file and find its ``queries``, from the marks alone.

    Parameters
    ----------
    data
        Content of the file in UTF-8 without a byte order mark; it need not be whole or valid.

    Returns
    -------
    Outline
        ``numbers`` counts each value in a ``score_dict`` object of an entry of ``scores``, repeats of a key included;
        a value counts once its first byte is there. ``queries`` are the spans of the lists, objects and texts that stand
        under the top-level key.

    Examples
    --------
    >>> outline(b'{"scores": [{"score_dict": {"bleu": 1, "bleu": NaN}}]}').numbers
    2
    """
    numbers = 0
    queries: list[tuple[int, int]] = []
    depth = 0  # open containers on the way to the numbers; those beside the way are passed over whole
    in_object = [False]  # whether the container at each depth is an object
    key: bytes | None = None  # the key whose value comes next
    want_key = False
    in_list = False  # a list around the top-level object makes the file unusable, but its numbers are still seen
    position = 0
    while True:
        if want_key and depth > _WAY.index(None) + 1:
            end = _end_of_pairs(data, position)
            if end > position:
                keys = _PAIR.findall(data[position : end + 1])  # with the brace after the last
                numbers += len(keys) if depth == len(_WAY) + 1 else 0
                key, position = unescaped(keys[-1]), end
        match = MARK.match(data, position)
        if match is None:
            break
        start, position = match.span(1)  # not the mark itself, which may be a text of a gigabyte
        if start == position:
            break
        first = data[start : start + 1]
        if first == b",":
            want_key = in_object[depth]
        elif first == b":":
            continue
        elif first in b"}]":
            if depth == 0:
                in_list = False
                break
            depth -= 1
            in_object.pop()
            want_key = False
            if depth == 0 and not in_list:
                break
        elif want_key and first == b'"':
            key = unescaped(data[start:position])
            want_key = False
        else:
            if depth == len(_WAY) + 1:
                numbers += 1
            if first == b"[" and depth == 0 and not in_list:
                in_list = True
                continue
            if first in b"{[":
                if _leads_on(depth, key, is_object=first == b"{"):
                    depth += 1
                    in_object.append(first == b"{")
                    want_key = first == b"{"
                else:
                    position = end_of_container(data, start)
            # Bare words stay for the decoder to judge: a list or text is long, and nothing in it is used.
            if depth == 1 and key == b"queries" and first in b'{["':
                queries.append((start, position))
            if depth == 0 and not in_list:
                break
    complete = depth == 0 and position > 0 and not in_list and _CONTENT.search(data, position) is None
    return Outline(numbers=numbers, complete=complete, queries=tuple(queries))


def _leads_on(depth: int, key: bytes | None, *, is_object: bool) -> bool:
    """Say whether a container opened at ``depth`` lies on the way top object, scores list, entry, score_dict."""
    if depth == 0:
        return is_object
    if depth > len(_WAY):
        return False
    wanted = _WAY[depth - 1]
    return (wanted is None or key == wanted) and is_object == (depth > 1)


def _end_of_pairs(data: bytes, start: int) -> int:
    match = _PAIRS.match(data, start)
    return match.end() if match else start
