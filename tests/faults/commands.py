"""Runs commands of the package in children of a process that has imported everything.

A child is all work and no start-up, so that a kill at a drawn time lands inside the work. One request a line on standard
input, the arguments as a JSON list; the answers are ``start PID`` and, when the child has ended, ``end STATUS``.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import random
import resource
import signal
import sys
import threading
import time
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING

from click.testing import CliRunner

import bigbench_meta
from bigbench_meta.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable

# Imported by the functions that need them.
LIBRARIES = ("matplotlib.backends.backend_agg", "matplotlib.backends.backend_pdf", "matplotlib.backends.backend_svg",
             "matplotlib.figure", "matplotlib.pyplot", "pyarrow.parquet", "scipy.optimize", "scipy.stats", "scipy.stats.contingency",
             "statsmodels.stats.contingency_tables", "statsmodels.stats.multitest", "jinja2", "joblib", "git")  # fmt: skip
NOT_NEEDED = ("train", "ladder.transformer", "vision.models", "vision.training", "__main__")


def jumping(seed: int) -> None:
    """Make the clock of this process jump by up to ten years at every look, in either direction."""
    draw = random.Random(seed)
    seconds, nanoseconds = time.time, time.time_ns
    time.time = lambda: seconds() + draw.uniform(-3e8, 3e8)
    time.time_ns = lambda: nanoseconds() + draw.randrange(-3 * 10**17, 3 * 10**17)


def child(arguments: list[str], talk: str, limit: int | None, clock: int | None) -> int:
    """Run one command, as if the disk ended after ``limit`` bytes of a file; return its exit status."""
    if clock is not None:
        jumping(clock)
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    answer = CliRunner().invoke(main, arguments)
    # What the interpreter does at its end, and os._exit does not: it tells the worker processes of joblib to go, then waits
    # for the threads, of which one writes the cache.
    threading._shutdown()  # type: ignore[attr-defined]
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    with open(talk, "w") as file:  # noqa: PTH123 - as plain as it gets between fork and exit
        file.write(answer.output)
        if answer.exception is not None and not isinstance(answer.exception, SystemExit):
            traceback.print_exception(answer.exception, file=file)
    return answer.exit_code


def answer(child: Callable[..., int]) -> None:
    """Answer requests by children of this process until standard input ends."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os.setpgid(0, 0)
            signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
            os._exit(child(**request))
        with suppress(PermissionError, ProcessLookupError):  # whoever of the two comes first: the group is there
            os.setpgid(pid, pid)
        sys.stdout.write(f"start {pid}\n")
        sys.stdout.flush()
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(f"end {os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    for name in LIBRARIES:
        importlib.import_module(name)
    for module in pkgutil.walk_packages(bigbench_meta.__path__, "bigbench_meta."):
        if not module.name.endswith(NOT_NEEDED):
            importlib.import_module(module.name)
    answer(child)
