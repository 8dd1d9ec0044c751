"""Jobs in several processes: same results, in order, and no error or dead process passes unseen."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from joblib import Parallel, delayed

from bigbench_meta.parallel import run_jobs

ROOT = Path(__file__).resolve().parents[1]


def square(number):
    """Take long enough that every process gets some of the jobs."""
    time.sleep(0.01)
    return number**2, os.getpid()


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_results_come_in_the_order_of_the_jobs(workers):
    """Forty squares in order; workers do them where there is more than one process."""
    told = []
    found = run_jobs(
        square, range(40), worth=10, workers=workers, progress=lambda *said: told.append(said), what="squares"
    )
    assert [value for value, _ in found] == [number**2 for number in range(40)]
    processes = {process for _, process in found}
    assert (os.getpid() in processes) == (workers == 1)
    assert (len(processes) > 1) == (workers > 1)
    assert told == [(done, 40, "squares") for done in range(1, 41)]


def test_few_jobs_stay_here():
    """Fewer jobs than are worth the start of a process run in this one; none at all are no jobs."""
    assert {process for _, process in run_jobs(square, range(3), worth=4)} == {os.getpid()}
    assert run_jobs(square, [], worth=4) == []


@pytest.mark.parametrize("wrong", [0, 39])
def test_an_error_anywhere_is_raised(wrong):
    """The error of a job arrives, whichever job it is, and work can go on."""

    def inverse(number):
        time.sleep(0.01)
        return 1 / (number - wrong)

    with pytest.raises(ZeroDivisionError):
        run_jobs(inverse, range(40), workers=2)
    assert run_jobs(abs, [-1, -2, -3], workers=2) == [1, 2, 3]


@pytest.mark.parametrize("after", [0, 5])
def test_jobs_of_a_killed_worker_run_here(caplog, after):
    """Where workers are killed, every result is there all the same, and the log says what happened."""
    here = os.getpid()

    def mortal(number):
        time.sleep(0.01)
        if os.getpid() != here and number >= after:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    assert run_jobs(mortal, range(100), workers=3) == list(range(100))
    assert caplog.messages[0].startswith("worker processes failed (")
    assert caplog.messages[0].endswith("; continuing in this process")
    assert len(caplog.messages) == 1
    assert os.getpid() not in {process for _, process in run_jobs(square, range(20), workers=2)}


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EAGAIN])
def test_all_jobs_run_here_where_no_process_can_be_started(caplog, monkeypatch, code):
    """Without room for semaphores, or processes, there are no workers: the results are the same, and the log says so."""

    def refuse(*_arguments, **_settings):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("joblib.Parallel.__call__", refuse)
    assert {process for _, process in run_jobs(square, range(20), workers=2)} == {os.getpid()}
    assert caplog.text.count(os.strerror(code)) == 1


def test_an_error_of_the_system_in_a_job_is_no_lost_worker():
    """A job that cannot open its file fails with that error, whether or not others went well before."""
    for first in (0, 10):

        def opened(number, first=first):
            return number if number < first else open("/nonexistent/file")  # noqa: PTH123

        with pytest.raises(FileNotFoundError):
            run_jobs(opened, range(20), workers=2)


def test_joblib_can_be_used_beside():
    """Another use of joblib in the same process works before and after."""
    assert run_jobs(abs, [-1] * 20, workers=3) == [1] * 20
    assert Parallel(n_jobs=2)(delayed(abs)(-number) for number in range(20)) == list(range(20))
    assert run_jobs(abs, [-2] * 20, workers=3) == [2] * 20


def test_the_backend_in_force_does_the_work():
    """Inside `parallel_config` the jobs run where it says: here in threads of this process."""
    from joblib import parallel_config

    with parallel_config("threading"):
        assert {process for _, process in run_jobs(square, range(20), workers=2)} == {os.getpid()}


def test_other_processes_import_nothing_from_the_working_folder(tmp_path):
    """A script that works in somebody else's folder does not run the `joblib` that lies there."""
    theirs, script = tmp_path / "theirs", tmp_path / "ours.py"
    (theirs / "joblib").mkdir(parents=True)
    (theirs / "joblib" / "__init__.py").write_text("open('it-ran', 'w').close()\n")
    script.write_text(
        f"import sys; sys.path.append({str(ROOT)!r})\n"
        "from bigbench_meta.parallel import run_jobs\n"
        "print(run_jobs(abs, [-1] * 8, workers=2))\n"
    )
    done = subprocess.run([sys.executable, script], cwd=theirs, capture_output=True, text=True, check=True)
    assert done.stdout == f"{[1] * 8}\n"
    assert not (theirs / "it-ran").exists()
