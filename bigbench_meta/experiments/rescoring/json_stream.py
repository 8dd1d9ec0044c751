"""Read a JSON file of any size piece by piece: the caller asks for keys, elements and whole values in turn.

Values are built by the standard library's decoder, which accepts the bare ``NaN`` and ``Infinity`` that BIG-bench's
writer emits. No more than one value and one chunk is held, and a value has a size limit.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import IO, TYPE_CHECKING, NamedTuple

from bigbench_meta.experiments.rescoring.scored_items import FieldError

if TYPE_CHECKING:
    from collections.abc import Iterator

# One read: large enough that a value cut by its end is the exception, small beside any memory limit.
CHUNK_CHARS = 1 << 20
# One value, such as a sample with its prompt, may be this long. The longest prompts of BIG-bench have about a million
# characters; a list of nothing this long takes half a gigabyte once decoded.
VALUE_CHARS = 16 << 20

_SPACE = re.compile(r"[ \t\n\r]*")
_STRUCTURE = re.compile(r'["\[\]{}]')
_STRING_REST = re.compile(r'[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
# The empty text stands for the end of the buffer.
_NUMBER_GOES_ON = frozenset(["", *"0123456789.eE+-"])
_SCALAR_END = re.compile(r"[,\]} \t\n\r]")


class JsonFault(NamedTuple):
    """What stopped the reading, and at which character of the file."""

    message: str
    position: int


class JsonStreamError(ValueError):
    """The text is not JSON, ends too early, or holds a value beyond the limit; ``fault`` says what and where."""

    def __init__(self, fault: JsonFault) -> None:
        super().__init__(f"{fault.message} at character {fault.position}")
        self.fault = fault


def unambiguous(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return an object of which each key stands once; decoders keep the last of several in silence.

    Raises
    ------
    FieldError
        If one stands more often.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        key = next(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
        raise FieldError(f"the key {json.dumps(key[:60])} stands more than once in one object", "each key once")
    return found


class JsonStream:
    """A position in a JSON text. Every element that ``keys`` or ``elements`` announces must be consumed by one call
    of ``value``, ``skip``, ``keys`` or ``elements`` before the next is asked for.
    """  # noqa: D205

    def __init__(self, stream: IO[str], *, limit: int = VALUE_CHARS) -> None:
        self._stream = stream
        self._limit = limit
        self._buffer = ""
        self._at = 0
        self._dropped = 0
        self._ended = False
        self._decoder = json.JSONDecoder(object_pairs_hook=unambiguous)

    @property
    def position(self) -> int:
        """Characters consumed so far."""
        return self._dropped + self._at

    def peek(self) -> str:
        """Return the next character that is not white space without consuming it; empty at the end."""
        while True:
            found = _SPACE.match(self._buffer, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if not self._more(keep_from=self._at):
                return ""

    def keys(self) -> Iterator[str]:
        """Yield the keys of the object that starts here, in file order, repeats included."""
        self._take("{")
        if self.peek() == "}":
            self._at += 1
            return
        while True:
            if self.peek() != '"':
                raise self._error("expected a key in double quotes")
            key = self.value()
            self._take(":")
            yield str(key)
            if self._next_or_end("}"):
                return

    def elements(self) -> Iterator[int]:
        """Yield 0, 1, ... for the elements of the array that starts here."""
        self._take("[")
        if self.peek() == "]":
            self._at += 1
            return
        index = 0
        while True:
            yield index
            index += 1
            if self._next_or_end("]"):
                return

    def value(self) -> object:
        """Decode and consume the value that starts here.

        Raises
        ------
        FieldError
            If an object in it has a key twice; the value is consumed all the same.
        """
        if not self.peek():
            raise self._error("the text ends where a value was expected")
        while True:
            try:
                value, end = self._decoder.raw_decode(self._buffer, self._at)
            except json.JSONDecodeError as err:
                # a value cut by the end of the buffer looks broken until more is read
                if self._more(keep_from=self._at):
                    continue
                raise self._error(err.msg, offset=err.pos - self._at) from err
            except RecursionError as err:
                raise self._error("nested too deeply") from err
            except FieldError:
                self.skip()
                raise
            except ValueError as err:  # an integer of more digits than Python converts
                raise self._error(str(err)) from err
            # a number may go on in the next chunk, and "1." is decoded as far as "1"
            if self._buffer[end : end + 1] in _NUMBER_GOES_ON and self._more(keep_from=self._at):
                continue
            self._at = end
            return value

    def skip(self) -> None:
        """Consume the value that starts here without building it."""
        first = self.peek()
        if not first:
            raise self._error("the text ends where a value was expected")
        if first not in '"[{':
            self._skip_scalar()
            return
        depth = 0
        while True:
            found = _STRUCTURE.search(self._buffer, self._at)
            if not found:
                self._at = len(self._buffer)
                if not self._more(keep_from=self._at):
                    raise self._error("the text ends inside a value")
                continue
            mark, self._at = found.group(), found.end()
            if mark == '"':
                self._skip_string()
            else:
                depth += 1 if mark in "[{" else -1
            if depth <= 0:
                return

    def end(self) -> None:
        """Check that nothing but white space is left."""
        if self.peek():
            raise self._error("expected the end of the text")

    def _skip_string(self) -> None:
        while not (found := _STRING_REST.match(self._buffer, self._at)):
            if not self._more(keep_from=self._at):
                raise self._error("the text ends inside a string")
        self._at = found.end()

    def _skip_scalar(self) -> None:
        while not (found := _SCALAR_END.search(self._buffer, self._at)):
            if not self._more(keep_from=self._at):
                self._at = len(self._buffer)
                return
        self._at = found.start()

    def _take(self, mark: str) -> None:
        if self.peek() != mark:
            raise self._error(f"expected {mark!r}")
        self._at += 1

    def _next_or_end(self, closing: str) -> bool:
        mark = self.peek()
        if mark not in (",", closing):
            raise self._error(f"expected ',' or {closing!r}")
        self._at += 1
        return mark == closing

    def _more(self, *, keep_from: int) -> bool:
        """Read one more chunk, forgetting what lies before ``keep_from``; false at the end of the text."""
        if self._ended:
            return False
        kept = len(self._buffer) - keep_from
        if kept > self._limit:
            raise self._error(f"a value is longer than {self._limit} characters")
        # reading as much again as is kept makes the work of a long value linear in its length
        chunk = self._stream.read(max(CHUNK_CHARS, kept))
        self._buffer = self._buffer[keep_from:] + chunk
        self._dropped += keep_from
        self._at -= keep_from
        self._ended = not chunk
        return bool(chunk)

    def _error(self, message: str, *, offset: int = 0) -> JsonStreamError:
        return JsonStreamError(JsonFault(message, self.position + max(offset, 0)))
