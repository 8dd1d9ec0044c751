"""The three standard streams, whatever the shell has left of them: closed ones are replaced, none fails at a letter."""

from __future__ import annotations

import codecs
import io
import os
import sys

_NO_TEXT = "bigbench_meta.no_text"
_SURROGATES = range(0xDC80, 0xDD00)  # bytes of a path that are no text, as Python keeps them


def open_streams() -> None:
    """Give every standard stream something behind it, and let stdout write what its encoding cannot.

    In the place of a closed stream the next file that is opened would stand, and be written into by whatever writes to
    stderr. A closed stdin is empty, a closed stderr swallows all, and a closed stdout refuses data when they come. Names in
    stdout that its encoding lacks become question marks, paths that are no text stay as they are.
    """
    for number, mode in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # takes the lowest number that is free: this one
    if sys.stdout is None:
        sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), encoding="utf-8", write_through=True)
    if sys.stderr is None:
        sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), encoding="utf-8", write_through=True)
    codecs.register_error(_NO_TEXT, _as_bytes)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=_NO_TEXT)


def _as_bytes(err: UnicodeError) -> tuple[bytes, int]:
    """What stands in stdout for text that its encoding lacks."""
    if not isinstance(err, UnicodeEncodeError):
        raise err
    codes = map(ord, err.object[err.start : err.end])
    return b"".join(bytes([code - 0xDC00]) if code in _SURROGATES else b"?" for code in codes), err.end
