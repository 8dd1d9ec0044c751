"""The marks of JSON, found in bytes without a decoder: strings, brackets, commas, colons, and where a container ends.

A decoder keeps the last of duplicate keys in silence, and fails on a file that is cut off; counting what is on disk needs
neither. The quantifiers are possessive, so that no input makes an expression backtrack.
"""

from __future__ import annotations

import re

# One mark of JSON: a string (possibly cut off by the end of the file), a bracket, a comma, a colon, or a bare word.
MARK = re.compile(rb'\s*+("(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|\Z|[{}\[\]:,]|[^\s"{}\[\]:,]++)', re.DOTALL)
# Everything up to the next bracket outside strings, and with it all containers that hold no other: passes over content of
# no interest at the speed of the regex engine. A container that turns out to hold another is left at its own bracket, so
# that nothing is looked at more than twice.
_FLAT = rb'(?:[^"{}\[\]]++|"(?:[^"\\]++|\\.)*+(?:"|\\?\Z))*+'
_TO_BRACKET = re.compile(rb"(?:%b|\{%b\}|\[%b\])*+" % (_FLAT[:-2] + b"++", _FLAT, _FLAT), re.DOTALL)
_UNICODE_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")


def end_of_container(data: bytes, start: int) -> int:
    """Return the index after the bracket that closes the container opened at ``start``, or the end of the data."""
    depth = 1
    position = start + 1
    while depth:
        match = _TO_BRACKET.match(data, position)
        position = match.end() if match else position
        if position >= len(data):
            return len(data)
        depth += 1 if data[position : position + 1] in b"{[" else -1
        position += 1
    return position


def unescaped(token: bytes) -> bytes:
    """Return the text of a quoted key with Unicode escapes resolved, as a key may be written that way."""
    text = token[1:-1]
    if b"\\" not in text:
        return text
    plain = _UNICODE_ESCAPE.sub(lambda m: chr(int(m.group(1), 16)), text.decode("utf-8", "replace"))
    return plain.encode("utf-8", "replace")
