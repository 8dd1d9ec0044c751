"""What a source holds: its result files, and how to read them.

Vocabulary: an *entry* is one file of interest (``.../results/scores_*.json`` or ``task.json``); a *checkout* is the
list of entries of one source at one moment. Entries that carry a git object id live in the bare repository at
``Checkout.root`` and their content is checked against that id whenever it is read; entries without one are files
below the folder ``Checkout.root``. No work tree is ever made, so no name found in a source becomes a name on disk.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from bigbench_meta.cards import Card, WithCard, counted
from bigbench_meta.errors import FetchError, IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

# A part of a path that is empty, `.` or `..`; a backslash or NUL; a drive.
_ESCAPE = re.compile(r"(?:^|/)\.{0,2}(?:/|\Z)|[\\\0]|^[A-Za-z]:")
_GIT_FOLDER = re.compile(r"(?:^|/)\.git(?:/|\Z)", re.IGNORECASE)
_TASKS_FOLDER = "benchmark_tasks"
# Windows would translate the ends of lines; a pipe that took the place of a file would be waited for.
_AS_IT_IS = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
# Ten times the files of all of BIG-bench. A few small objects can stand under any number of names: 100,000 names of one score
# file take 20 seconds of a processor and 0.6 GB to load, and each further one as much again.
MAX_ENTRIES = 100_000
LINK = "is a symbolic link; links are not followed"
SUBMODULE = "is a submodule, which is never fetched: give its own repository as a source"
POINTER = (
    "is a Git LFS pointer, not the file, which lies on a server of its own and is never fetched: make a clone with git lfs, "
    "and give the folder below it"
)
_POINTER_START = b"version https://git-lfs.github.com/spec/"
_POINTER_SIZES = range(120, 200)  # three lines: a version, a digest of 64 digits, a size; no score file is as short
OUTSIDE = f"is not below a {_TASKS_FOLDER} folder, where others are"
NO_TASK = f"lies in a results folder directly below {_TASKS_FOLDER}, which belongs to no task"
# Task definitions tell how many items a task has. The package counted BIG-bench's own, which are 1.74 GB. Where definitions lie
# on this machine and are together no larger than this, reading them takes less than a second or two, and is done unasked.
SMALL_DEFINITIONS = 64 << 20


class Skipped(NamedTuple):
    """A file that looked like an entry and is not read, with the reason in words."""

    path: str
    reason: str


@dataclass(frozen=True)
class Entry:
    """One file of a source: its path there (``/`` between parts), git object id if known, size in bytes."""

    path: str
    object_id: str | None
    size: int

    @property
    def is_result(self) -> bool:
        """Whether this is a score file, as opposed to a ``task.json``."""
        return not _is_task_path(self.path)


@dataclass(frozen=True, repr=False)
class Checkout(WithCard):
    """The entries of one source, sorted by path; a plain value that worker processes can be handed.

    Attributes
    ----------
    source
        What was asked for, without any credentials.
    root
        A folder of files, or the bare git repository that holds the entries' objects.
    commit
        The commit that was read, or None for folders and archives.
    entries
        Score files and ``task.json`` files, sorted by path.
    skipped
        Files that looked like entries and are not read, each with its reason.
    definitions_left_out
        ``task.json`` files of the source that are not among the entries because nobody asked for them.
    """

    source: str
    root: Path
    commit: str | None
    entries: tuple[Entry, ...]
    skipped: tuple[Skipped, ...] = ()
    definitions_left_out: int = 0

    def _card(self) -> Card:
        results = sum(entry.is_result for entry in self.entries)
        size = sum(entry.size for entry in self.entries)
        at = f" at commit {self.commit[:12]}" if self.commit else ""
        others = len(self.entries) - results
        facts = [
            (
                "Files",
                f"{counted(results, 'score file')} and {counted(others, 'task definition')}, {size / 1e6:.1f} MB",
            ),
            ("Lies at", str(self.root)),
        ]
        if self.skipped:
            first = self.skipped[0]
            facts.append(("Not read", f"{counted(len(self.skipped), 'file')}, the first {first.path}: {first.reason}"))
        return Card(
            "Checkout",
            f"{counted(results, 'score file')} of {self.source}{at}",
            tuple(facts),
            (("bm.load_results(checkout)", "one row a score"),),
        )

    def read(self, entries: Iterable[Entry] | None = None) -> Iterator[tuple[Entry, bytes]]:
        """Stream the contents of `entries` (default: all), in the order given.

        Memory holds one file at a time. Nothing is ever fetched here: an object that is not there is an error.

        Raises
        ------
        IntegrityError
            If a content does not have its object id.
        FetchError
            If a file or object has gone since the checkout was made.
        """
        chosen = self.entries if entries is None else tuple(entries)
        in_git = [entry for entry in chosen if entry.object_id is not None]
        if not in_git:
            yield from self._read_files(chosen)
        elif len(in_git) == len(chosen):
            yield from self._read_objects(in_git)
        else:
            raise FetchError(
                f"{self.source}: entries with and without an object id cannot be read together; expected those of this "
                "checkout: read each kind by itself"
            )

    def _read_files(self, entries: Iterable[Entry]) -> Iterator[tuple[Entry, bytes]]:
        folder = os.path.join(self.root, "")  # noqa: PTH118 - pathlib costs a second over 10,000 files
        for entry in entries:
            name = folder + entry.path
            try:
                content = _content(name, expected=entry.size)
            except OSError as err:
                raise FetchError(
                    f"{name}: cannot be read ({err.strerror}); it was there when listed: fetch again"
                ) from err
            yield entry, content

    def _read_objects(self, entries: list[Entry]) -> Iterator[tuple[Entry, bytes]]:
        from bigbench_meta.fetcher.git.plumbing import cat_file

        ids = [entry.object_id for entry in entries if entry.object_id is not None]
        for entry, content in zip(entries, cat_file(self.root, ids), strict=True):
            if content is None:
                raise FetchError(
                    f"{self.source}: {entry.path!r} (object {entry.object_id}) is no longer in {self.root}; "
                    "remove that folder and fetch again"
                )
            if blob_id(content, like=entry.object_id or "") != entry.object_id:
                raise IntegrityError(
                    f"{self.source}: {entry.path!r} does not have the content of its object id {entry.object_id}; "
                    f"the repository is damaged: remove {self.root} and fetch again"
                )
            yield entry, content


def without_definitions(checkout: Checkout) -> Checkout:
    """Leave the task definitions out and count them."""
    entries = tuple(entry for entry in checkout.entries if entry.is_result)
    left_out = checkout.definitions_left_out + len(checkout.entries) - len(entries)
    return replace(checkout, entries=entries, definitions_left_out=left_out)


def without_large_definitions(checkout: Checkout) -> Checkout:
    """Leave the task definitions out if they are together larger than `SMALL_DEFINITIONS`."""
    size = sum(entry.size for entry in checkout.entries if not entry.is_result)
    return without_definitions(checkout) if size > SMALL_DEFINITIONS else checkout


def without_pointers(checkout: Checkout) -> Checkout:
    """Move Git LFS pointers from the entries to what is skipped: they are text about a file that is elsewhere."""
    short = [entry for entry in checkout.entries if entry.size in _POINTER_SIZES]
    if not short:
        return checkout
    pointers = {entry for entry, content in checkout.read(short) if content.startswith(_POINTER_START)}
    if not pointers:
        return checkout
    return replace(
        checkout,
        entries=tuple(entry for entry in checkout.entries if entry not in pointers),
        skipped=tuple(sorted([*checkout.skipped, *(Skipped(entry.path, POINTER) for entry in pointers)])),
    )


def _content(name: str, *, expected: int) -> bytes:
    """Return the content of a file, in one read where it has the expected size: half the time of opening it as a stream."""
    file = os.open(name, _AS_IT_IS)
    try:
        pieces = [os.read(file, expected + 1)]
        if len(pieces[0]) != expected:
            while pieces[-1]:
                pieces.append(os.read(file, 1 << 20))
    finally:
        os.close(file)
    return b"".join(pieces)


def blob_id(content: bytes, *, like: str = "") -> str:
    """Git's object id of a file with this content; SHA-256 where `like` is an id of that length, else SHA-1."""
    digest = hashlib.sha256() if len(like) == 64 else hashlib.sha1(usedforsecurity=False)
    digest.update(b"blob %d\0" % len(content))
    digest.update(content)
    return digest.hexdigest()


def is_result_path(path: str) -> bool:
    """Whether a path is ``results/scores_*.json`` at any depth; ``.json.backup_000001`` files lie beside and are not."""
    folder, _, name = path.rpartition("/")
    return (
        name.startswith("scores_") and name.endswith(".json") and (folder == "results" or folder.endswith("/results"))
    )


def _is_task_path(path: str) -> bool:
    return path == "task.json" or path.endswith("/task.json")


def is_wanted(path: str) -> bool:
    """Whether a path, seen alone, may be an entry (:func:`choose` decides for good)."""
    return is_result_path(path) or _is_task_path(path)


def choose(paths: Iterable[str]) -> tuple[set[str], dict[str, str]]:
    """Decide which of the paths of a source are entries.

    Score files are ``results/scores_*.json`` at any depth, but for a ``results`` folder directly below ``benchmark_tasks``,
    which belongs to no task. Where some of them lie below a ``benchmark_tasks`` folder,
    those outside it are left out (a repository of results may carry examples and tests beside them). A ``task.json``
    belongs if it lies beside or below a folder that has results, or anywhere below ``benchmark_tasks``.

    Returns
    -------
    chosen, left_out
        The entries, and score files that are none, each with its reason.
    """
    results, tasks = [], []
    for path in paths:
        if is_result_path(path):
            results.append(path)
        elif _is_task_path(path):
            tasks.append(path)
    left_out = {path: NO_TASK for path in results if path.split("/")[-3:-2] == [_TASKS_FOLDER]}
    of_tasks = [path for path in results if path not in left_out]
    proper = [path for path in of_tasks if _TASKS_FOLDER in path.split("/")[:-2]]
    kept = set(proper or of_tasks)
    left_out |= {path: OUTSIDE for path in of_tasks if path not in kept}
    homes = {path.rpartition("results/")[0] for path in kept}
    belonging = {
        path
        for path in tasks
        if _TASKS_FOLDER in path.split("/")[:-1] or any(parent in homes for parent in _parents(path))
    }
    return kept | belonging, left_out


def check_count(count: int, *, where: str) -> None:
    """Refuse a source with more entries than ``MAX_ENTRIES``.

    Raises
    ------
    FetchError
        Naming the source and both numbers.
    """
    if count > MAX_ENTRIES:
        raise FetchError(
            f"{where}: refused, it holds {count} score and task files; expected at most {MAX_ENTRIES}, ten times those of "
            "BIG-bench: check where it comes from, or give a folder with a part of it"
        )


def _parents(path: str) -> Iterator[str]:
    """All folders above a path, each with its trailing slash; the root is the empty string."""
    while path:
        path = path.rstrip("/").rpartition("/")[0]
        if path:
            path += "/"
        yield path


def escapes(path: str) -> bool:
    """Whether a path is not plainly relative: absolute, with a drive, a backslash, a NUL, or an empty, ``.`` or ``..`` part."""
    return _ESCAPE.search(path) is not None


def check_path(path: str, *, where: str) -> None:
    """Refuse a path that :func:`escapes` or goes through ``.git``: such names are made to write or read elsewhere.

    Raises
    ------
    FetchError
        Naming the path and the source.
    """
    if escapes(path) or _GIT_FOLDER.search(path):
        raise FetchError(
            f"{where}: refused, because it holds a file named {path!r}; expected plain relative paths. "
            "Such names are used to reach files outside; check where this source comes from"
        )


def is_text(path: str) -> bool:
    """Whether a name can be written as UTF-8; one that cannot would break every table it gets into."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
