"""The short answer for one's own results, and that a source of which nothing was tested is a failure."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from bigbench_meta.cli import main

FILES = Path(__file__).resolve().parents[1] / "loader" / "harness" / "files"


def run(*arguments: str) -> tuple[int, str, str]:
    """Return exit status, stdout and stderr of a command."""
    found = CliRunner().invoke(main, list(arguments))
    return found.exit_code, found.stdout, found.stderr


def test_a_table_of_tasks():
    """A row a task, with line, verdict, reason, power and the other metrics; what was read and tested is said first."""
    status, out, talk = run("check", str(FILES / "lm_eval"), "--draws", "19")
    assert status == 0
    for name in ("scout_gen", "scout_group", "scout_roll", "acc_norm: 2 undecided", "→"):
        assert name in out
    assert "read 48 scores of 3 tasks and 4 models from 4 files of lm-eval; 0 problems." in talk
    assert "Tested 6 of 11 curves; not tested: 5, neither items nor errors are known" in talk


def test_one_task():
    """Every metric of a task, with its verdict."""
    status, out, _ = run("check", str(FILES / "lm_eval"), "--task", "scout_gen", "--draws", "19")
    assert status == 0
    assert "exact_match,flexible-extract" in out


def test_nothing_tested_is_a_failure(tmp_path: Path):
    """Exit status 1, with reasons and what to do: for check, analyze and run."""
    source = str(FILES / "helm")
    for arguments in (
        ("check", source),
        ("analyze", source),
        ("run", "--source", source, "--out", str(tmp_path / "out")),
    ):
        status, _, talk = run(*arguments, "--draws", "19")
        assert status == 1, arguments
        assert "too few sizes of one family (add models, or give the sizes of unknown ones with --models FILE)" in talk
        assert "no curve could be tested" in talk
    assert (tmp_path / "out" / "report.html").is_file()


def test_models_and_axis(tmp_path: Path):
    """A file of models gives unknown ones a place; an axis without places is a clear failure."""
    table = tmp_path / "models.csv"
    table.write_text("pattern,family,total_params\nmodel1,mine,1000000\n")
    _, _, talk = run("load", str(FILES / "helm"), "--models", str(table), "--out", str(tmp_path / "x.csv"))
    assert "Models of unknown size" not in talk
    status, _, talk = run("check", str(FILES / "helm"), "--axis", "compute")
    assert status == 1
    assert "axis='compute': no score has a place" in talk


def test_format_and_path():
    """Only files of one tool, or of one pattern."""
    status, out, _ = run("load", str(FILES), "--format", "helm")
    assert status == 0
    assert "scout" not in out
    status, out, _ = run("load", str(FILES), "--path", "inspect/*")
    assert status == 0
    assert out.count("\n") == 2


def test_a_run_speaks_of_the_users_data(tmp_path: Path):
    """Terminal and page begin with what was read and tested; BIG-bench's claims are no matter of these results."""
    status, _, talk = run("run", "--source", str(FILES / "lm_eval"), "--out", str(tmp_path / "out"), "--draws", "19")
    assert status == 0
    assert "(4 files of lm-eval): 3 tasks, 4 models, 48 scores" in talk
    assert "Tested: 6 of 11 curves" in talk
    page = (tmp_path / "out" / "report.html").read_text()
    assert "6 of 11 curves" in page
    assert "Do claims of emergence concentrate" not in page
    assert "Odds ratio" not in talk
