"""Independent work on every core: this process takes a share and other processes the rest.

What other processes cannot do, because none can be started or they are killed, this one does alone, and says so.
"""

from __future__ import annotations

import gc
import logging
import os
import threading
import time
from collections import deque
from concurrent.futures import BrokenExecutor, Future
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Executor

    from bigbench_meta.progress import Progress

Job = TypeVar("Job")
Result = TypeVar("Result")

# Jobs that each other process has at a time: one that it works on, and one so that it need not wait.
_AHEAD = 2
# A process without work for so long ends; it is started again when there is some.
_IDLE_SECONDS = 30
_OBJECTS_BETWEEN_SEARCHES = 100_000
# How often another process looks whether the one that started it is still there.
_LOOK_SECONDS = 1
# One thread of linear algebra for each process: there is a process for every core.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_SAFE_PATH = "PYTHONSAFEPATH"

logger = logging.getLogger(__name__)


def on_every_core(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    *,
    worth: int,
    workers: int | None = None,
    progress: Progress | None = None,
    what: str = "",
) -> list[Result]:
    """Apply ``function`` to every job, here and in other processes, and return the results in order.

    Parameters
    ----------
    function : what it returns may depend on the job alone; it and the jobs must be picklable.
    worth : so many jobs are worth the start of processes; fewer are done here.
    workers : processes in all, this one among them; by default one per core.
    progress : called as ``progress(done, len(jobs), what)``.

    Notes
    -----
    The other processes take jobs from the front, each one more than it works on; this one takes them from the back, also
    while the others start. They are kept for the next call. Where they cannot start or are killed (out of memory, say), a
    warning is logged and this process does their jobs too: the results are the same.

    Examples
    --------
    >>> on_every_core(abs, [-1, 2, -3], worth=10)
    [1, 2, 3]
    """
    if workers is None:
        workers = _cores() if len(jobs) >= worth else 1
    left = deque(range(len(jobs)))
    ended: SimpleQueue[tuple[int, Future[Result]]] = SimpleQueue()
    others = _others(workers - 1) if workers > 1 else None
    if others is not None:
        for _ in range(_AHEAD * (workers - 1)):
            _hand_out(others.submit, function, jobs, left=left, ended=ended)
    results: dict[int, Result] = {}
    try:
        while len(results) < len(jobs):
            if left and ended.empty():
                try:
                    at = left.pop()
                except IndexError:  # the last one went to another process just now
                    continue
                results[at] = function(jobs[at])
            else:
                at, future = ended.get()
                try:
                    results[at] = future.result()
                except BrokenExecutor as err:
                    if others is not None:
                        logger.warning("the work of other processes is done in this one: %s", str(err).splitlines()[0])
                        others = None
                        _others.cache_clear()
                    left.append(at)
                    continue
            if progress is not None:
                progress(len(results), len(jobs), what)
    finally:
        left.clear()
    return [results[at] for at in range(len(jobs))]


def start_others(*modules: str) -> None:
    """Start a process for every other core and let it import what it will need, while this one goes on."""
    count = _cores() - 1
    others = _others(count) if count else None
    if others is not None:
        with suppress(RuntimeError, OSError):  # refused or killed: told when there is work for them
            for _ in range(count):
                others.submit(_import, modules)


def leave_with(parent: int) -> None:
    """Let this worker process end as soon as ``parent``, which has started it, is gone: it would wait for work for ever."""
    threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()


@contextmanager
def starting_others() -> Iterator[None]:
    """Inside this block the Python processes that joblib and multiprocessing start import nothing from the working folder.

    They are started by ``-c`` and ``-m``, which look there first, and it may be somebody else's repository. Once they run
    they look where this process does.
    """
    before = os.environ.get(_SAFE_PATH)
    os.environ[_SAFE_PATH] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_SAFE_PATH]
        else:
            os.environ[_SAFE_PATH] = before


def search_less_for_garbage() -> None:
    """Let this process look for cycles of objects less often: there are hardly any, and it takes 5 to 10% of the time."""
    gc.set_threshold(_OBJECTS_BETWEEN_SEARCHES)


def _import(modules: Sequence[str]) -> None:
    search_less_for_garbage()
    for name in modules:
        import_module(name)


def _leave_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    os._exit(1)


def _cores() -> int:
    """Count the cores that this process may use."""
    from joblib import cpu_count

    return int(cpu_count())


@cache
def _others(count: int) -> Executor | None:
    """So many processes of our own: those that joblib keeps for everyone cannot be shared with its `Parallel`."""
    from joblib.externals.loky import ProcessPoolExecutor

    try:
        with starting_others():
            executor: Executor = ProcessPoolExecutor(
                max_workers=count,
                env=_ONE_THREAD | {_SAFE_PATH: "1"},
                timeout=_IDLE_SECONDS,
                initializer=leave_with,
                initargs=(os.getpid(),),
            )
    except OSError as err:  # no semaphores: /dev/shm is full, or not there
        logger.warning("the work of other processes is done in this one: none can be started: %s", err)
        return None
    return executor


def _hand_out(
    submit: Callable[..., Future[Result]],
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    *,
    left: deque[int],
    ended: SimpleQueue[tuple[int, Future[Result]]],
) -> None:
    """Give the first job left to another process, and the next one when it is done."""
    try:
        at = left.popleft()
    except IndexError:
        return

    def done(future: Future[Result]) -> None:
        ended.put((at, future))
        _hand_out(submit, function, jobs, left=left, ended=ended)

    try:
        submit(function, jobs[at]).add_done_callback(done)
    except (RuntimeError, OSError) as err:  # the other processes died or cannot start: told where results are gathered
        lost: Future[Result] = Future()
        lost.set_exception(BrokenExecutor(f"none can be started: {err}"))
        ended.put((at, lost))
