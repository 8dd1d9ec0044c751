"""The command `load`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from click.testing import CliRunner
from score_files import document, entry, put

from bigbench_meta.cli import main

if TYPE_CHECKING:
    from click.testing import Result


@pytest.fixture
def root(tmp_path) -> Path:
    put(tmp_path / "root", document(entry("a", bleu="1.5", rouge1="2"), entry("b", bleu="null", shots=1)))
    put(tmp_path / "root", document(entry("a"), task="other"), task="other")
    return tmp_path / "root"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["load", *map(str, arguments)])


def test_csv_on_stdout(root):
    """Without --out the table is on stdout and the balance on stderr."""
    done = run(root)
    assert done.exit_code == 0
    assert done.stdout.splitlines()[0].startswith("task,subtask,is_aggregate,family,model")
    assert len(done.stdout.splitlines()) == 5
    assert "2 files, 4 numbers = 4 rows + 0 explained + 0 not selected; 1 problems" in done.stderr


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_files(root, tmp_path, suffix):
    """--out writes the table and prints its path; it is a source again."""
    out = tmp_path / f"results.{suffix}"
    done = run(root, "--out", out, "--problems", tmp_path / "problems.csv")
    assert (done.exit_code, done.stdout) == (0, f"{out}\n")
    assert list(pd.read_csv(tmp_path / "problems.csv")["where"]) == ["$.scores[1].score_dict.bleu"]
    again = json.loads(run(out, "--json").stdout)
    assert (again["rows"], again["commit"]) == (4, None)
    refused = run(root, "--out", out)
    assert refused.exit_code == 1
    assert "--force" in refused.stderr
    assert run(root, "--out", out, "--force").exit_code == 0


def test_selection(root):
    """Each selection option may be repeated."""
    done = run(
        root,
        "--task",
        "navigate",
        "--metric",
        "bleu",
        "--metric",
        "rouge1",
        "--shots",
        0,
        "--family",
        "BIG-G T=0",
        "--json",
    )
    summary = json.loads(done.stdout)
    assert (summary["files"], summary["on_disk"], summary["rows"], summary["not_selected"]) == (1, 3, 2, 1)


def test_failures(root, tmp_path):
    """Problems fail with --strict, unknown names are one clear line, wrong usage is status 2."""
    strict = run(root, "--strict")
    assert strict.exit_code == 1
    assert "$.scores[1].score_dict.bleu" in strict.stderr
    unknown = run(root, "--task", "navigat")
    assert (unknown.exit_code, unknown.stderr.strip().count("\n")) == (1, 0)
    assert "near matches: navigate" in unknown.stderr
    assert run(root, "--out", tmp_path / "x.xlsx").exit_code == 2
    assert run(root, "--out", tmp_path / "x.csv", "--problems", tmp_path / "x.csv").exit_code == 1


def test_defaults_of_a_table_are_said(tmp_path):
    """Columns that a user's table does not have are named on stderr with what was taken instead."""
    table = tmp_path / "own.csv"
    table.write_text("task,metric,family,model,scale,score\nt,bleu,F,a,1000,0.5\n", encoding="utf-8")
    assert "own.csv: no column shots; taken as -1" in run(table).stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_full_output_is_one_line(root):
    """Where stdout has no room the command fails with status 1 and one clear line, no traceback."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "bigbench_meta", "load", str(root)], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    assert b"no space left" in done.stderr
