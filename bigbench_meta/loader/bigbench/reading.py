"""Reading many score files into columns, in several processes where there is enough to read.

Each process reads a run of the files. The runs are joined in the order of the files, so that the result does not depend on
how many there were.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from bigbench_meta.loader.bigbench.document import MAX_FILE_BYTES
from bigbench_meta.loader.bigbench.fast import PlainReader
from bigbench_meta.loader.columns import Columns, Problem
from bigbench_meta.parallel import cores, run_jobs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bigbench_meta.fetcher.checkout import Checkout, Entry

# Work is measured in bytes. What is done once for a file takes as long as this many of its bytes.
_FILE_BYTES = 6 << 10
# Starting worker processes takes about a second, in which this much is read.
_WORTH_SHARING = 240 << 20


def read_score_files(checkout: Checkout, entries: Sequence[Entry], *, processes: int | None = None) -> Columns:
    """Read score files, in the given order.

    Parameters
    ----------
    checkout, entries
        The source, and the files of it to read.
    processes
        How many processes share the work; None takes one for each core, and one where there is little to read.
    """
    if processes is None:
        processes = processes_for(_work(entries))
    reader = replace(checkout, entries=())  # a process needs no list but that of its own files
    columns, *others = run_jobs(
        _read_job, [(reader, share) for share in _shares(entries, processes)], workers=processes, local=True
    )
    for more in others:
        _join(columns, more)
    return columns


def processes_for(work: int) -> int:
    """Return how many processes are worth starting for this many bytes of work."""
    return cores() if work >= _WORTH_SHARING else 1


def task_of(path: str) -> str | None:
    """Return the task whose ``results`` folder a file lies in, None where the layout does not say."""
    parts = path.rsplit("/", 3)
    return parts[-3] if len(parts) >= 3 and parts[-2] == "results" else None


def _read_job(job: tuple[Checkout, Sequence[Entry]]) -> Columns:
    with no_collection():
        return _read(*job)


def _read(checkout: Checkout, entries: Sequence[Entry]) -> Columns:
    columns = Columns()
    reader = PlainReader(columns)
    readable = [entry for entry in entries if entry.size <= MAX_FILE_BYTES]
    for entry in entries if len(readable) < len(entries) else ():
        if entry.size > MAX_FILE_BYTES:
            columns.problems.append(
                Problem(
                    entry.path,
                    "$",
                    f"{entry.size} bytes",
                    f"at most {MAX_FILE_BYTES} bytes in a score file",
                    "the file is not read, and its numbers are not counted",
                )
            )
    for entry, data in checkout.read(readable):
        reader.read(data, file=entry.path, folder_task=task_of(entry.path))
    return columns


@contextmanager
def no_collection() -> Iterator[None]:
    """Inside this block cyclic garbage is not looked for: loading makes none, and the search would cost a twentieth."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _work(entries: Sequence[Entry]) -> int:
    return sum(entry.size + _FILE_BYTES for entry in entries)


def _shares(entries: Sequence[Entry], count: int) -> list[Sequence[Entry]]:
    """Cut the files into runs of about equal work."""
    total = _work(entries)
    shares: list[Sequence[Entry]] = []
    begin = done = 0
    for end, entry in enumerate(entries, start=1):
        done += entry.size + _FILE_BYTES
        if len(shares) < count - 1 and done >= total * (len(shares) + 1) / count:
            shares.append(entries[begin:end])
            begin = end
    return [*shares, entries[begin:]]


def _join(columns: Columns, more: Columns) -> None:
    """Append the columns of later files."""
    layouts = len(columns.layouts)
    columns.layouts += more.layouts
    columns.layout_of_file += [layout + layouts for layout in more.layout_of_file]
    columns.files += more.files
    columns.tasks += more.tasks
    columns.models += more.models
    columns.scores += more.scores
    columns.problems += more.problems
    columns.on_disk += more.on_disk
