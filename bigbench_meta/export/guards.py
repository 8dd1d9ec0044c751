"""What is written never takes the place of what is read: a source, a file beside it, or a part of an earlier output."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from bigbench_meta.errors import OutputError
from bigbench_meta.provenance import listed_by

if TYPE_CHECKING:
    from collections.abc import Iterable


def keep_apart(*, written: Iterable[Path | None], read: Iterable[Path | str | None]) -> None:
    """Refuse to write where something lies that is read: ``force`` replaces earlier output, and nothing else.

    Parameters
    ----------
    written
        Files or folders that will be written; None for one that will not.
    read
        Files or folders that are read; what is no path of this machine, such as a URL, is passed over.

    Raises
    ------
    OutputError
        If one of ``written`` is, or is a folder that holds, one of ``read``, under any of their names.

    Examples
    --------
    >>> keep_apart(written=[Path("curves.csv")], read=["scores.csv", None])
    """
    sources = [Path(each) for each in read if each is not None and os.path.lexists(each)]
    for out in filter(None, written):
        for source in sources:
            if _holds(out, source):
                raise OutputError(
                    f"{out} is, or holds, {source}, which is read here and would be replaced; expected another place. Choose "
                    "another --out, or move what is read"
                )


def keep_whole(paths: Iterable[Path]) -> None:
    """Refuse to write single files over parts of an output folder of this package, which would no longer be what it says.

    Raises
    ------
    OutputError
        Naming the first such file and its folder.
    """
    for path in paths:
        place = path.parent.resolve() / path.name
        for folder in place.parents:
            if place.relative_to(folder).as_posix() in listed_by(folder):
                raise OutputError(
                    f"{path} is a part of {folder}, an output of bigbench-meta, and is not replaced by a single file. "
                    "Choose another --out"
                )


def _holds(out: Path, source: Path) -> bool:
    """Whether ``out`` is the source, under any name, or one of the folders above it."""
    there = os.path.exists(source) and os.path.exists(out)  # noqa: PTH110 - False, not an error, where a name is too long
    if there and out.samefile(source):
        return True
    place = out.resolve()
    # Of a link both count: the name that is read by, and what it leads to.
    names = (source.resolve(), source.parent.resolve() / source.name)
    return any(place == name or place in name.parents for name in names)
