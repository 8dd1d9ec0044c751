"""What git opens when it looks for objects in a repository that is not ours: regular files only, or it is not started.

A pipe in place of an object or of a list of borrowed folders would keep git waiting for ever, a device could be read
without end. The folders that a repository borrows objects from are looked through as well, as far as git follows them.
"""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING

from bigbench_meta.errors import SourceError

if TYPE_CHECKING:
    from pathlib import Path

_MAX_DEPTH = 6  # git goes five steps from one list of borrowed folders to the next
_MAX_FOLDERS = 100
_MAX_LIST = 1 << 20  # bytes of one such list
_OPENED = re.compile(r"[0-9a-f]{2}|info|pack")  # folders of loose objects by the start of their id, lists, packs
_ESCAPED = re.compile(rb"\\(?:([0-7]{3})|(.))", re.DOTALL)
_LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}


def check_objects(objects: Path) -> None:
    """Make sure that git finds nothing but regular files in an object folder and in those it borrows from.

    Raises
    ------
    SourceError
        Naming the file that is none, or what cannot be looked at.
    """
    here = str(objects)
    try:
        seen: set[str] = set()
        pending = [(here, 0)]
        while pending:
            here, depth = pending.pop()
            if here in seen or depth > _MAX_DEPTH:
                continue
            seen.add(here)
            if len(seen) > _MAX_FOLDERS:
                raise SourceError(
                    f"{objects}: borrows objects from more than {_MAX_FOLDERS} folders; expected a few: make a full clone "
                    "of it and use that"
                )
            pending += [(folder, depth + 1) for folder in _checked(here)]
    except OSError as err:
        raise SourceError(
            f"{here}: its git objects cannot be looked at ({err.strerror}); make them readable, or give a folder below "
            "the repository to read files as they are"
        ) from err


def _checked(objects: str) -> list[str]:
    """Check one object folder; returns those that it borrows from and that are there."""
    lists = os.path.join(objects, "info")  # noqa: PTH118
    link = next((path for path in (lists, os.path.join(lists, "alternates")) if os.path.islink(path)), None)  # noqa: PTH114, PTH118
    if link is not None:  # git quotes lines of that file
        raise SourceError(
            f"{link}: is a link where git looks for folders to borrow objects from, and is not followed; expected a file of "
            "the repository: make a full clone of it and use that"
        )
    with os.scandir(objects) as found:
        folders = [folder.path for folder in found if _OPENED.fullmatch(folder.name) and folder.is_dir()]
    for folder in folders:
        with os.scandir(folder) as files:
            for file in files:
                if not file.is_file(follow_symlinks=False) and _is_special(file.path):
                    raise SourceError(
                        f"{file.path}: is a pipe, socket or device where git keeps objects, and would keep it waiting; "
                        "expected regular files: check where this repository comes from"
                    )
    borrowed = [os.path.join(objects, folder) for folder in _alternates(os.path.join(lists, "alternates"))]  # noqa: PTH118
    return [folder for folder in borrowed if os.path.isdir(folder)]  # noqa: PTH112 - a path of any bytes


def _is_special(path: str) -> bool:
    """Whether a path leads to something that is neither a file nor a folder."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116
    except OSError:  # a link to nothing, or a loop: git finds no file either
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _alternates(file: str) -> list[str]:
    """Read a list of folders that objects are borrowed from, in git's own form."""
    if not os.path.isfile(file):  # noqa: PTH113
        return []
    with open(file, "rb") as stream:  # noqa: PTH123
        text = stream.read(_MAX_LIST + 1)
    if len(text) > _MAX_LIST:
        raise SourceError(
            f"{file}: is larger than {_MAX_LIST} bytes; expected a few folders: check where this repository comes from"
        )
    lines = (line for line in text.split(b"\n") if line and not line.startswith(b"#"))
    return [os.fsdecode(_unquoted(line)) for line in lines if b"\0" not in line]


def _unquoted(line: bytes) -> bytes:
    if not (line.startswith(b'"') and line.endswith(b'"')):
        return line
    return _ESCAPED.sub(
        lambda found: bytes([int(found[1], 8) & 255]) if found[1] else _LETTERS.get(found[2], found[2]), line[1:-1]
    )
