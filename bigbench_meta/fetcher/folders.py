"""A plain folder of results, used in place and never written to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from bigbench_meta.errors import FetchError
from bigbench_meta.fetcher.checkout import Checkout, Entry, Skipped, check_count, is_text
from bigbench_meta.fetcher.selection import BIGBENCH_LAYOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bigbench_meta.fetcher.selection import Selection


def list_folder(folder: Path, selection: Selection = BIGBENCH_LAYOUT) -> Checkout:
    """List the entries of a plain folder in place; links that lead out of it are not followed."""
    sizes: dict[str, int] = {}
    skipped: list[Skipped] = []
    # The folder may be the one named `results` itself; the patterns of a selection begin inside it.
    prefix = "" if selection.patterns else f"{folder.name}/"
    for path, entry in _walk(folder, ""):
        if entry.is_symlink() and _leads_to_folder(entry):
            skipped.append(
                Skipped(path if is_text(path) else ascii(path), "is a symbolic link to a folder; it is not entered")
            )
        elif not selection.may_hold(prefix + path):
            continue
        elif not is_text(path):
            skipped.append(Skipped(ascii(path), "has a name that is not UTF-8"))
        elif entry.is_symlink() and not Path(os.path.realpath(entry.path)).is_relative_to(folder):
            skipped.append(Skipped(path, "is a symbolic link that leads out of the folder"))
        elif not os.path.isfile(entry.path):  # noqa: PTH113 - unlike the entry's own test, no error for links in a circle
            skipped.append(Skipped(path, "is not a regular file"))
        elif not os.access(entry.path, os.R_OK):
            skipped.append(Skipped(path, "may not be read; change its permissions"))
        else:
            sizes[path] = entry.stat().st_size
    chosen, left_out = selection.choose(prefix + path for path in sizes)
    check_count(len(chosen), where=str(folder))
    skipped += [Skipped(path.removeprefix(prefix), reason) for path, reason in left_out.items()]
    entries = tuple(Entry(path, None, sizes[path]) for path in sorted(sizes) if prefix + path in chosen)
    return Checkout(source=str(folder), root=folder, commit=None, entries=entries, skipped=tuple(sorted(skipped)))


def single_file(path: Path) -> Checkout:
    """Return one file as a source of its own."""
    if not is_text(path.name):
        raise FetchError(f"{path}: has a name that is not UTF-8; rename it")
    entry = Entry(path.name, None, path.stat().st_size)
    return Checkout(source=str(path), root=path.parent, commit=None, entries=(entry,))


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    return os.path.isdir(entry.path)  # noqa: PTH112 - unlike the entry's own test, no error for links in a circle


def _walk(folder: Path, below: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield each file with its relative path; folders behind links are not entered, nor is `.git`."""
    pending = [(os.fspath(folder), below)]
    while pending:
        here, prefix = pending.pop()
        try:
            with os.scandir(here) as found:
                entries = list(found)
        except OSError as err:
            raise FetchError(
                f"{here}: cannot be listed ({err.strerror}); make it readable or choose another folder"
            ) from err
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if entry.name != ".git":
                    pending.append((entry.path, f"{prefix}{entry.name}/"))
            else:
                yield prefix + entry.name, entry
