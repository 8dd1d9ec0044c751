"""Independent work on every core: this process takes a share and other processes the rest."""

from __future__ import annotations

import gc
from collections import deque
from concurrent.futures import BrokenExecutor, Future
from functools import cache
from importlib import import_module
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor

    from bigbench_meta.progress import Progress

Job = TypeVar("Job")
Result = TypeVar("Result")

# Jobs that each other process has at a time: one that it works on, and one so that it need not wait.
_AHEAD = 2
# A process without work for so long ends; it is started again when there is some.
_IDLE_SECONDS = 30
_OBJECTS_BETWEEN_SEARCHES = 100_000
# One thread of linear algebra for each process: there is a process for every core.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


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
    while the others start. They are kept for the next call.

    Examples
    --------
    >>> on_every_core(abs, [-1, 2, -3], worth=10)
    [1, 2, 3]
    """
    if workers is None:
        workers = _cores() if len(jobs) >= worth else 1
    left = deque(range(len(jobs)))
    ended: SimpleQueue[tuple[int, Future[Result]]] = SimpleQueue()
    if workers > 1:
        submit = _others(workers - 1).submit
        for _ in range(_AHEAD * (workers - 1)):
            _hand_out(submit, function, jobs, left=left, ended=ended)
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
                results[at] = future.result()
            if progress is not None:
                progress(len(results), len(jobs), what)
    except BrokenExecutor:
        _others.cache_clear()
        raise
    finally:
        left.clear()
    return [results[at] for at in range(len(jobs))]


def start_others(*modules: str) -> None:
    """Start a process for every other core and let it import what it will need, while this one goes on."""
    for _ in range(_cores() - 1):
        _others(_cores() - 1).submit(_import, modules)


def search_less_for_garbage() -> None:
    """Let this process look for cycles of objects less often: there are hardly any, and it takes 5 to 10% of the time."""
    gc.set_threshold(_OBJECTS_BETWEEN_SEARCHES)


def _import(modules: Sequence[str]) -> None:
    search_less_for_garbage()
    for name in modules:
        import_module(name)


def _cores() -> int:
    """Count the cores that this process may use."""
    from joblib import cpu_count

    return int(cpu_count())


@cache
def _others(count: int) -> Executor:
    """So many processes of our own: those that joblib keeps for everyone cannot be shared with its `Parallel`."""
    from joblib.externals.loky import ProcessPoolExecutor

    executor: Executor = ProcessPoolExecutor(max_workers=count, env=_ONE_THREAD, timeout=_IDLE_SECONDS)
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
    except RuntimeError as err:  # the other processes died: told where the results are gathered
        broken: Future[Result] = Future()
        broken.set_exception(err)
        ended.put((at, broken))
