"""The command `fetch`, and how every command fails."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "bigbench_meta", *arguments], cwd=ROOT, check=False, capture_output=True, text=True
    )


def make_source(folder: Path) -> Path:
    """One task, one score file."""
    results = folder / "tense" / "results"
    results.mkdir(parents=True)
    (results / "scores_a.json").write_text("{}")
    return folder


def test_prints_the_root_on_stdout_and_talks_on_stderr(tmp_path: Path) -> None:
    """Stdout is one path, ready for another command."""
    done = command("fetch", str(make_source(tmp_path / "x")))
    assert (done.returncode, done.stdout) == (0, f"{tmp_path / 'x'}\n")
    assert "1 score files, 2 bytes, 0 skipped" in done.stderr


def test_json(tmp_path: Path) -> None:
    """--json gives the counts as data."""
    done = command("fetch", str(make_source(tmp_path / "x")), "--json", "--offline")
    assert json.loads(done.stdout) == {
        "source": str(tmp_path / "x"),
        "root": str(tmp_path / "x"),
        "commit": None,
        "score_files": 1,
        "task_files": 0,
        "task_files_left_out": 0,
        "bytes": 2,
        "skipped": [],
    }


def test_expected_failure_is_one_line_and_status_1(tmp_path: Path) -> None:
    """No traceback: what, where, what to do."""
    done = command("fetch", str(tmp_path / "nowhere"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: source ")
    assert done.stderr.count("\n") == 1


def test_wrong_usage_is_status_2() -> None:
    """An unknown option is a usage error."""
    assert command("fetch", "--no-such-option").returncode == 2
