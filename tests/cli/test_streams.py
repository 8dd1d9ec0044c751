"""Standard streams that are closed, full or of another encoding: data are written or refused, never lost in silence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLE = "task,metric,family,model,scale,score\n" + "".join(f"maps,m,F,m{n},{10**n},0.{n}\n" for n in range(1, 5))
# Starts the command with some of its streams closed, as `>&-` does in a shell.
CLOSED = """
import os, sys
for number in map(int, sys.argv[1].split(",")):
    os.close(number)
os.execv(sys.executable, [sys.executable, "-m", "bigbench_meta", *sys.argv[2:]])
"""


@pytest.fixture
def table(tmp_path):
    """A small table of scores."""
    (tmp_path / "own.csv").write_text(TABLE)
    return tmp_path / "own.csv"


def with_closed(numbers: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command without some of its streams."""
    line = [sys.executable, "-c", CLOSED, numbers, *map(str, arguments)]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)


def test_data_for_a_closed_stdout_are_refused(table):
    """One line that says so, and status 1: the reader of a table must not take nothing for an empty one."""
    done = with_closed("1", "load", table)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith(
        "Error: stdout is closed, so the result cannot be written to it; leave"
    )
    assert "Traceback" not in done.stderr


def test_a_closed_stderr_swallows_talk_alone(table):
    """The command does its work, and what it says goes nowhere: not into a file that it opens."""
    done = with_closed("0,2", "load", table)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 5


def test_without_any_stream_files_are_as_always(table, tmp_path):
    """No file takes the number of a stream: what is written is the same."""
    for name, numbers in (("one", "0,1,2"), ("two", "0")):
        with_closed(numbers, "load", table, "--out", tmp_path / f"{name}.csv")
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_a_full_device_under_help(option):
    """Help that cannot be written is an error in one line."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "bigbench_meta", option], cwd=ROOT, stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 1
    assert done.stderr.decode().startswith("Error: no space left where the output goes")
    assert done.stderr.count(b"\n") == 1


def test_an_encoding_without_the_letters(table, tmp_path):
    """Bars that ASCII lacks become question marks; a path that is no text is printed as the bytes that it is."""
    shown = subprocess.run(
        [sys.executable, "-m", "bigbench_meta", "show", "maps", "--source", str(table)],
        cwd=ROOT, capture_output=True, check=False, env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert shown.returncode == 0
    assert b"????" in shown.stdout
    out = os.fsencode(tmp_path) + b"/\xff.csv"
    made = subprocess.run(
        [sys.executable, "-m", "bigbench_meta", "load", str(table), "--out", out],
        cwd=ROOT, capture_output=True, check=False, env=os.environ | {"PYTHONIOENCODING": "utf-8:strict"},
    )  # fmt: skip
    assert (made.returncode, made.stdout) == (0, out + b"\n")
