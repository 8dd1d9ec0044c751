"""Work shared by this process and others: same results, in order, and no error or dead process passes unseen."""

from __future__ import annotations

import os
import sys
import time

import pytest
from joblib import Parallel, delayed
from joblib.externals.loky.process_executor import TerminatedWorkerError

from bigbench_meta.cores import on_every_core, start_others


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


def test_a_process_that_dies_is_an_error():
    """A worker that is killed ends the work with an error that says so; it neither hangs nor leaves a gap."""
    here = os.getpid()

    def mortal(number):
        time.sleep(0.01)
        if os.getpid() != here:
            os._exit(1)
        return number

    with pytest.raises(TerminatedWorkerError):
        on_every_core(mortal, range(200), worth=2, workers=2)
    assert on_every_core(abs, [-1, -2, -3], worth=2, workers=2) == [1, 2, 3]


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
