"""Independent jobs in several processes, or on a cluster: one function on joblib.

Inside ``joblib.parallel_config("dask")`` the same calls run on the workers of a Dask cluster. If worker processes cannot be
started or are killed, the jobs that are left run in this process, and a warning says so.
"""

from __future__ import annotations

import gc
import logging
import os
import threading
import time
import warnings
from concurrent.futures import BrokenExecutor
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from bigbench_meta.progress import Progress

Job = TypeVar("Job")
Result = TypeVar("Result")

_OBJECTS_BETWEEN_SEARCHES = 100_000
# How often a worker process looks whether the process that started it is still there.
_LOOK_SECONDS = 1
_SAFE_PATH = "PYTHONSAFEPATH"

logger = logging.getLogger(__name__)


def run_jobs(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    *,
    worth: int = 2,
    workers: int | None = None,
    local: bool = False,
    progress: Progress | None = None,
    what: str = "",
) -> list[Result]:
    """Apply ``function`` to every job and return the results in the order of the jobs.

    Parameters
    ----------
    function : callable
        Its result may depend on the job alone. It, the jobs and the results must be picklable.
    jobs : sequence
        One argument for each call.
    worth : int
        Fewer jobs than this run in this process: to start workers would take longer.
    workers : int, optional
        Worker processes; 1 runs every job in this process. By default one for each core, or as many as the joblib
        backend in force has.
    local : bool
        Use processes of this machine whatever backend is in force: for jobs on files or fonts that only it has.
    progress : Progress, optional
        Called as ``progress(done, len(jobs), what)`` after each job.
    what : str
        Name of the work, for ``progress``.

    Returns
    -------
    list

    Raises
    ------
    Exception
        Whatever ``function`` raises.

    Examples
    --------
    >>> run_jobs(abs, [-1, 2, -3], worth=10)
    [1, 2, 3]
    """
    results: list[Result] = []
    if workers != 1 and len(jobs) >= worth:
        try:
            with closing(_from_workers(function, jobs, workers=workers or -1, local=local)) as arriving:
                for result in arriving:
                    results.append(result)
                    _tell(progress, len(results), len(jobs), what)
        except (BrokenExecutor, OSError) as err:
            if not isinstance(err, BrokenExecutor) and results:
                raise
            first_line = (str(err).splitlines() or [type(err).__name__])[0]
            logger.warning("worker processes failed (%s); continuing in this process", first_line)
    for job in jobs[len(results) :]:
        results.append(function(job))
        _tell(progress, len(results), len(jobs), what)
    return results


def cores() -> int:
    """Return the number of cores that this process may use."""
    from joblib import cpu_count

    return int(cpu_count())


@contextmanager
def safe_start() -> Iterator[None]:
    """Start Python processes inside this block so that they import nothing from the working folder.

    joblib starts them by ``-c`` and ``-m``, which look there first, and it may be somebody else's repository.
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
    """Search for cycles of objects less often: there are hardly any, and the search takes 5 to 10% of the time."""
    gc.set_threshold(_OBJECTS_BETWEEN_SEARCHES)


def _from_workers(
    function: Callable[[Job], Result], jobs: Sequence[Job], *, workers: int, local: bool
) -> Generator[Result]:
    from joblib import Parallel, delayed

    with safe_start():
        parallel = Parallel(
            n_jobs=workers,
            backend="loky" if local else None,
            return_as="generator",
            initializer=_begin_worker,
            initargs=(os.getpid(), os.uname().nodename),
        )
        results = parallel(delayed(function)(job) for job in jobs)
        try:
            for result in results:  # noqa: UP028 - `yield from` would close it before the warning is silenced
                yield result
        finally:  # interrupted, perhaps: what still runs is cancelled, which joblib would warn of
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                results.close()


def _tell(progress: Progress | None, done: int, total: int, what: str) -> None:
    if progress is not None:
        progress(done, total, what)


def _begin_worker(parent: int, machine: str) -> None:
    """Set up a worker process. On the machine of its parent it ends with it: it would wait for work for ever."""
    search_less_for_garbage()
    if os.uname().nodename == machine and os.getppid() == parent:
        threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()


def _leave_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    os._exit(1)
