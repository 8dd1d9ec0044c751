"""Work shared by this process and others: same results, in order, and no error or dead process passes unseen."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import pytest
from joblib import Parallel, delayed

from bigbench_meta.parallel import _others, on_every_core, start_others

ROOT = Path(__file__).resolve().parents[1]


def square(number):
    """Take long enough that every process gets some of the jobs."""
    time.sleep(0.01)
    return number**2, os.getpid()


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_results_come_in_the_order_of_the_jobs(workers):
    """Forty squares in order; with more than one process this one did some and others did some."""
    told = []
    found = on_every_core(
        square, range(40), worth=10, workers=workers, progress=lambda *said: told.append(said), what="squares"
    )
    assert [value for value, _ in found] == [number**2 for number in range(40)]
    processes = {process for _, process in found}
    assert os.getpid() in processes
    assert (len(processes) > 1) == (workers > 1)
    assert told == [(done, 40, "squares") for done in range(1, 41)]


def test_few_jobs_stay_here():
    """Fewer jobs than are worth the start of a process are done in this one; none at all are no jobs."""
    assert {process for _, process in on_every_core(square, range(3), worth=4)} == {os.getpid()}
    assert on_every_core(square, [], worth=4) == []


@pytest.mark.parametrize("wrong", [0, 39])
def test_an_error_anywhere_is_raised(wrong):
    """The first job fails in another process, the last one here; both times the error arrives, and work can go on."""

    def inverse(number):
        time.sleep(0.01)
        return 1 / (number - wrong)

    with pytest.raises(ZeroDivisionError):
        on_every_core(inverse, range(40), worth=2, workers=2)
    assert on_every_core(abs, [-1, -2, -3], worth=2, workers=2) == [1, 2, 3]


@pytest.mark.parametrize("after", [0, 5])
def test_work_of_a_process_that_is_killed_is_done_here(caplog, after):
    """Where the other processes are killed, every result is there all the same, and the log says what happened."""
    here = os.getpid()

    def mortal(number):
        time.sleep(0.01)
        if os.getpid() != here and number >= after:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    assert on_every_core(mortal, range(100), worth=2, workers=3) == list(range(100))
    assert caplog.messages[0].startswith("the work of other processes is done in this one: ")
    assert len(caplog.messages) == 1
    assert {process for _, process in on_every_core(square, range(20), worth=2, workers=2)} > {here}


def test_all_work_is_done_here_where_no_process_can_be_started(caplog, monkeypatch):
    """Without room for semaphores there are no other processes: the results are the same, and the log says so once."""

    def refuse(*_arguments, **_settings):
        raise OSError(errno.ENOSPC, "No space left on device")

    _others.cache_clear()
    monkeypatch.setattr("joblib.externals.loky.ProcessPoolExecutor", refuse)
    start_others("this")
    for _ in range(2):
        assert {process for _, process in on_every_core(square, range(20), worth=2, workers=2)} == {os.getpid()}
    assert caplog.text.count("No space left on device") == 1
    _others.cache_clear()


def test_a_process_that_cannot_be_started_later_is_done_without(caplog, monkeypatch):
    """The first process is refused when there is work for it, as where a limit of processes is reached."""

    class Refusing:
        def submit(self, *_arguments):
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    _others.cache_clear()
    monkeypatch.setattr("bigbench_meta.parallel._others", cache(lambda _count: Refusing()))
    start_others("this")
    assert on_every_core(abs, range(-20, 0), worth=2, workers=2) == list(range(20, 0, -1))
    assert "Resource temporarily unavailable" in caplog.text


def test_other_processes_are_ready_before_there_is_work():
    """What is imported ahead of the work is there in the process that does it, a module of no use to anything else."""

    def knows(_number):
        time.sleep(0.01)
        return os.getpid(), "this" in sys.modules

    start_others("this")
    found = on_every_core(knows, range(40), worth=2)
    elsewhere = {known for process, known in found if process != os.getpid()}
    assert elsewhere <= {True}


def test_joblib_can_be_used_beside():
    """The processes kept here are not those that joblib keeps: either works after the other, with as many of them."""
    assert on_every_core(abs, [-1] * 20, worth=2, workers=3) == [1] * 20
    assert Parallel(n_jobs=2)(delayed(abs)(-number) for number in range(20)) == list(range(20))
    assert on_every_core(abs, [-2] * 20, worth=2, workers=3) == [2] * 20


def test_an_index_error_of_a_job_is_no_job_lost():
    """A job done here that looks past the end of a list fails as it would anywhere; nothing waits for its result."""
    with pytest.raises(IndexError):
        on_every_core([].__getitem__, [0, 1, 2], worth=10)


def test_other_processes_import_nothing_from_the_working_folder(tmp_path):
    """A script that works in somebody else's folder does not run the `joblib` that lies there."""
    theirs, script = tmp_path / "theirs", tmp_path / "ours.py"
    (theirs / "joblib").mkdir(parents=True)
    (theirs / "joblib" / "__init__.py").write_text("open('it-ran', 'w').close()\n")
    script.write_text(
        f"import sys; sys.path.append({str(ROOT)!r})\n"
        "from bigbench_meta.parallel import on_every_core, starting_others\n"
        "print(on_every_core(abs, [-1] * 8, worth=1, workers=2))\n"
        "from joblib import Parallel, delayed\n"
        "with starting_others(): Parallel(n_jobs=2)(delayed(abs)(-1) for _ in range(8))\n"
    )
    done = subprocess.run([sys.executable, script], cwd=theirs, capture_output=True, text=True, check=True)
    assert done.stdout == f"{[1] * 8}\n"
    assert not (theirs / "it-ran").exists()
