"""What the end of a zip says of it, read without the standard library, which believes it and passes over what it lacks.

A zip is found from its end: a record tells how long its directory is and how many entries it has. A record that leaves
some of them out, a second archive before or behind, and the library reads a part in silence.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import zipfile
    from pathlib import Path

_FILE, _ENTRY, _END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_END64, _LOCATOR64 = b"PK\x06\x06", b"PK\x06\x07"
_TAIL = (1 << 16) + 22 + 20 + 56  # where the end is told: the longest comment and the records before it
_CHUNK = 1 << 20


class _End(NamedTuple):
    """Where the directory ends, its bytes and entries as told, in how many bits, and where the whole zip ends."""

    directory: int
    size: int
    entries: int
    bits: int
    whole: int


def entries_of(path: Path, *, most: int) -> int:
    """Count the entries of a zip's directory, up to ``most`` and a few, before an object is made of each: gigabytes, maybe."""
    end = _end_of(path)
    if end is None:
        return 0  # no zip: the library says so
    left = min(end.size, end.directory)
    entries, before = 0, b""
    with path.open("rb") as file:
        file.seek(end.directory - left)
        while left and entries <= most and (chunk := file.read(min(left, _CHUNK))):
            left -= len(chunk)
            entries += (before + chunk).count(_ENTRY)
            before = chunk[-len(_ENTRY) + 1 :]
    return entries


def unread(path: Path, archive: zipfile.ZipFile) -> str | None:
    """Say what a zip holds beside the members that the library sees, None if nothing."""
    end = _end_of(path)
    members = archive.infolist()
    if end is not None and (len(members) - end.entries) % (1 << end.bits):
        return f"its end tells of {end.entries} members where its directory lists {len(members)}"
    with path.open("rb") as file:
        # Something else may stand before a zip, such as the program that unpacks it, but no other zip.
        if members and file.read(4) == _FILE and min(member.header_offset for member in members) > 0:
            return "members stand before the first that its directory lists"
        if end is not None:
            file.seek(end.whole)
            while chunk := file.read(_CHUNK):
                if chunk.strip(b"\0"):
                    return f"something follows its end at byte {end.whole}"
    return None


def _end_of(path: Path) -> _End | None:
    with path.open("rb") as file:
        length = file.seek(0, os.SEEK_END)
        begin = file.seek(max(0, length - _TAIL))
        tail = file.read()
    record = tail.rfind(_END)
    if not 0 <= record <= len(tail) - 22:
        return None
    entries, size, _, comment = struct.unpack_from("<HIIH", tail, record + 10)
    whole = begin + record + 22 + comment
    large = record - 20 - 56  # as the library does: a locator just before, and the record just before that
    if large >= 0 and tail.startswith(_LOCATOR64, record - 20) and tail.startswith(_END64, large):
        entries, size = struct.unpack_from("<QQ", tail, large + 32)
        return _End(begin + large, size, entries, 64, whole)
    return _End(begin + record, size, entries, 16, whole)
