"""Progress: what the line says, when it shows, and that nothing is left of interrupted work."""

from __future__ import annotations

import io
import subprocess
import sys
import types
from pathlib import Path

import pytest

from bigbench_meta import progress
from bigbench_meta.progress import Line, progress_words, shown


def test_the_line_says_counts_rate_and_time_left():
    """120 of 576 in 10 s are 12 a second; the other 456 take 38 s."""
    assert progress_words(120, 576, "curves tested", seconds=10.0) == "curves tested: 120 of 576, 12/s, 38 s left"
    assert progress_words(1, 1_000_001, "items", seconds=10.0) == "items: 1 of 1,000,001, 0.1/s, 2777.8 h left"
    assert progress_words(0, 9, "items", seconds=5.0) == "items: 0 of 9"


def test_short_work_shows_nothing_and_long_work_a_line_that_goes(monkeypatch):
    """Nothing in the first second; then a line, not more than five times a second; blanks over it at the end."""
    sink, now = io.StringIO(), [0.0]
    monkeypatch.setattr(sys, "stderr", sink)
    line = Line(clock=lambda: now[0])
    for done in range(1, 100):
        now[0] += 0.01
        line(done, 400, "curves")
    assert sink.getvalue() == ""
    for done in range(100, 400):
        now[0] += 0.01
        line(done, 400, "curves")
    lines = sink.getvalue().split("\r")[1:]
    assert 14 <= len(lines) <= 16
    assert lines[0].startswith("curves: 101 of 400, 1e+02/s, 3 s left")
    line(400, 400, "curves")
    assert sink.getvalue().endswith("\r" + " " * 79 + "\r")


def test_a_line_is_shown_where_somebody_watches(monkeypatch):
    """None in a script, as here; in a console and a notebook by default; what is asked for always."""
    assert shown(None) is None
    assert shown(False) is None
    assert isinstance(shown(True), Line)

    def own(done, total, what):
        """A function of the caller."""

    assert shown(own) is own
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    monkeypatch.setattr(sys, "stderr", types.SimpleNamespace(isatty=lambda: True))
    assert isinstance(shown(None), Line)
    monkeypatch.setattr(sys, "stderr", types.SimpleNamespace(isatty=lambda: False))
    assert shown(None) is None
    monkeypatch.setattr(progress, "_in_notebook", lambda: True)
    assert isinstance(shown(None), Line)


_INTERRUPTED = """
import os, subprocess, sys, time, warnings
from bigbench_meta.parallel import run_jobs

def stop(done, total, what):
    if done == 3:
        raise KeyboardInterrupt

if __name__ == "__main__":
    try:
        run_jobs(time.sleep, [0.02] * 3 + [30.0] * 20, workers=2, progress=stop)
    except KeyboardInterrupt:
        print("interrupted")
    time.sleep(1)
    children = subprocess.run(["ps", "-o", "args=", "--ppid", str(os.getpid())], capture_output=True, text=True).stdout
    print([line for line in children.splitlines() if "popen_loky" in line])
"""


@pytest.mark.timeout(90)
def test_nothing_is_left_of_interrupted_work(tmp_path):
    """No worker goes on, and no warning is printed, when shared work is interrupted while others wait half a minute."""
    (tmp_path / "work.py").write_text(_INTERRUPTED)
    done = subprocess.run(
        [sys.executable, "work.py"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=80,
        env={"PYTHONPATH": str(Path(__file__).parents[1]), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.stdout == "interrupted\n[]\n", done.stderr
    assert done.stderr == ""
