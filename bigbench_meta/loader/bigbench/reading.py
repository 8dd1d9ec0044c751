"""Reading many score files into columns, on more than one core where there is enough to read.

Each further core runs a Python process of its own that reads a share of the files and leaves its columns in a temporary
file. The shares are joined in the order of the files, so that the result does not depend on how many there were.
"""

from __future__ import annotations

import gc
import logging
import os
import pickle
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import IO, TYPE_CHECKING, NamedTuple

from bigbench_meta.loader.bigbench.document import MAX_FILE_BYTES
from bigbench_meta.loader.bigbench.fast import PlainReader
from bigbench_meta.loader.columns import Columns, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bigbench_meta.fetcher.checkout import Checkout, Entry

log = logging.getLogger(__name__)

# Work is measured in bytes. What is done once for a file takes as long as this many of its bytes.
_FILE_BYTES = 6 << 10
# A further process takes about a tenth of a second to start, in which this much is read.
_START_BYTES = 24 << 20
# Reading is 0.4 s of work for all of BIG-bench: more processes than this would mostly start.
_MAX_PROCESSES = 4
_WORKER = "from bigbench_meta.loader.bigbench.reading import work; work()"


class _Worker(NamedTuple):
    """A process at work on a share of the files, and where it leaves what it reads."""

    process: subprocess.Popen[bytes]
    answer: IO[bytes]


def read_score_files(checkout: Checkout, entries: Sequence[Entry], *, processes: int | None = None) -> Columns:
    """Read score files, in the given order.

    Parameters
    ----------
    checkout, entries
        The source, and the files of it to read.
    processes
        How many processes share the work, this one included; None takes the cores there are, and one where there is
        little to read.
    """
    if processes is None:
        processes = _processes_for(_work(entries))
    first, *others = _shares(entries, processes)
    with ExitStack() as ends:
        workers = [(share, _start(checkout, share, ends)) for share in others]
        columns = _read(checkout, first)
        for share, worker in workers:
            _join(columns, _received(worker) or _read(checkout, share))
    return columns


def task_of(path: str) -> str | None:
    """Return the task whose ``results`` folder a file lies in, None where the layout does not say."""
    parts = path.rsplit("/", 3)
    return parts[-3] if len(parts) >= 3 and parts[-2] == "results" else None


def work() -> None:
    """Read the share of files that the parent process describes on stdin; answer on stdout."""
    gc.disable()
    checkout, entries = pickle.load(sys.stdin.buffer)  # noqa: S301 - the parent process wrote it for us
    columns = _read(checkout, entries)
    pickle.dump(columns, sys.stdout.buffer, protocol=pickle.HIGHEST_PROTOCOL)
    sys.stdout.buffer.flush()
    os._exit(0)  # nothing is left to do; to take the interpreter apart would keep the parent waiting


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


def _processes_for(work: int) -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, _MAX_PROCESSES, work // _START_BYTES)) if sys.executable else 1


def _shares(entries: Sequence[Entry], count: int) -> list[Sequence[Entry]]:
    """Cut the files into runs of about equal work; the first, which need not wait for a start, is larger."""
    total = _work(entries)
    target = (total - _START_BYTES) / count if count > 1 else total
    shares: list[Sequence[Entry]] = []
    begin = done = 0
    for end, entry in enumerate(entries, start=1):
        done += entry.size + _FILE_BYTES
        if len(shares) < count - 1 and done >= _START_BYTES + target * (len(shares) + 1):
            shares.append(entries[begin:end])
            begin = end
    return [*shares, entries[begin:]]


def _start(checkout: Checkout, share: Sequence[Entry], ends: ExitStack) -> _Worker | None:
    """Start a process on a share of the files, to end with ``ends``; None where that fails."""
    path = os.pathsep.join(place or os.getcwd() for place in sys.path)  # noqa: PTH109 - a word for sys.path's ""
    try:
        # Files, closed by `ends`, not pipes: neither process waits for the other to read what it writes.
        order, answer = (ends.enter_context(tempfile.TemporaryFile()) for _ in range(2))  # noqa: SIM115
        pickle.dump((replace(checkout, entries=()), list(share)), order, protocol=pickle.HIGHEST_PROTOCOL)
        order.seek(0)
        worker = subprocess.Popen(
            # -P: else Python would look for modules in the working folder first, which may be a repository of somebody else
            [sys.executable, "-P", "-c", _WORKER],
            stdin=order,
            stdout=answer,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path},
        )
    except OSError as err:
        log.info("no further process could be started (%s); its files are read here", err.strerror or err)
        return None
    ends.enter_context(worker)
    ends.callback(worker.kill)  # does nothing to one that has ended
    return _Worker(worker, answer)


def _received(worker: _Worker | None) -> Columns | None:
    """Return the columns a process leaves, None if it ended without: its files are then read here, errors and all."""
    if worker is None:
        return None
    status = worker.process.wait()
    if status != 0:
        log.info("a reading process ended with status %s; its files are read here", status)
        return None
    worker.answer.seek(0)
    columns: Columns = pickle.load(worker.answer)  # noqa: S301 - our own process wrote it into our file
    return columns


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
