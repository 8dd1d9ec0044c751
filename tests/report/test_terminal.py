"""Tasks in the terminal, and the commands report, export and show."""

from __future__ import annotations

import io
import json

import pandas as pd
import pytest
from click.testing import CliRunner
from rich.console import Console

from bigbench_meta.cli import main
from bigbench_meta.errors import OutputError, printable
from bigbench_meta.export import write_run_folder
from bigbench_meta.report.terminal import sparkline, task_table


@pytest.fixture(scope="module")
def saved(tmp_path_factory, tables):
    """A run folder without figures."""
    folder = tmp_path_factory.mktemp("saved") / "out"
    small = {name: tables[name] for name in ("results", "curves", "problems")}
    provenance = {
        "source": "made by hand",
        "kind": "simulated",
        "findings": ["Nothing was found."],
        "left_out": ["All else."],
    }
    return write_run_folder(folder, tables=small, files={}, provenance=provenance)


def _call(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.mark.parametrize(
    ("values", "bars"),
    [
        ([0, 1, 2, 3, 4, 5, 6, 7], "▁▂▃▄▅▆▇█"),
        ([3, 3, 3], "▄▄▄"),
        ([float("nan"), 0, 1], " ▁█"),
        ([], ""),
        ([float("nan")], " "),
    ],
)
def test_sparklines_run_from_smallest_to_largest(values, bars):
    """Eight bars; a gap for a missing score; a flat curve in the middle."""
    assert sparkline(values) == bars


def test_show_prints_each_curve_with_its_verdict(results, curves):
    """One row per metric and family with M, a sparkline, E and the verdict."""
    out = io.StringIO()
    Console(file=out, width=80).print(task_table("step", results, curves))
    text = out.getvalue()
    assert text.count("▁") >= 4
    assert "0.1 → 0.9" in text
    assert sum("GPT, 3-shot" in line for line in text.split("\n")) == 2


def test_show_fits_eighty_columns(results, curves):
    """Nothing is cut: long names of subtasks and metrics go on in the next line, and every column has its heading."""
    long = {"subtask": "step:a subtask with a name of more characters than a line has", "task": "step"}
    frames = [
        frame[frame["task"].astype(str) == "step"].assign(
            subtask=pd.Categorical([long["subtask"]] * int((frame["task"].astype(str) == "step").sum()))
        )
        for frame in (results, curves)
    ]
    out = io.StringIO()
    Console(file=out, width=80).print(task_table("step", *frames))
    lines = out.getvalue().rstrip().split("\n")
    assert max(map(len, lines)) <= 80
    assert "…" not in out.getvalue()
    whole = "".join(line[:26].strip() for line in lines)
    assert "calibration_multiple_choice_brier_score" in whole.replace(" ", "")
    for heading in ("curve", "M", "score", "E", "L", "sharp", "prise", "verdict", "gent"):
        assert any(heading in line for line in lines[:4]), heading


def test_names_cannot_drive_the_terminal(results, curves, hostile):
    """Markup of the table library and control characters in names are printed, not obeyed."""
    assert printable("a\x1b[31m\x07b") == "a\ufffd[31m\ufffdb"
    named = {"[bold red]x[/]": hostile}
    results, curves = (
        frame.assign(task=frame["task"].astype(str).replace({v: k for k, v in named.items()}))
        for frame in (results, curves)
    )
    out = io.StringIO()
    Console(file=out, width=200).print(task_table("[bold red]x[/]", results, curves))
    assert "[bold red]x[/]" in out.getvalue()


def test_an_unknown_task_suggests_near_names(results, curves):
    """The message holds what the reader probably meant."""
    with pytest.raises(OutputError, match=r"did you mean straight"):
        task_table("straigth", results, curves)


def test_the_command_show_works_from_a_folder(saved):
    """Stdout is the table; an unknown task is one line and exit status 1; two origins are a usage error."""
    shown = _call("show", "step", "--from", saved)
    assert shown.exit_code == 0
    assert "sharp" in shown.output
    assert _call("show", "nope", "--from", saved).exit_code == 1
    assert _call("show", "step").exit_code == 2


def test_the_command_export_writes_to_stdout_or_to_a_file_with_sidecar(saved, tmp_path):
    """Query and columns apply; the sidecar says where the numbers are from; formats and SQL work."""
    out = _call("export", saved, "--query", "task=step", "--query", "family=GPT", "--columns", "metric,emergence_score")
    assert out.stdout.split("\n")[0] == "metric,emergence_score"
    assert len(out.stdout.strip().split("\n")) == 3
    path = tmp_path / "t.tex"
    assert _call("export", saved, "--format", "latex", "--out", path).stdout.strip() == str(path)
    assert json.loads((tmp_path / "t.tex.provenance.json").read_text())["run"]["source"] == "made by hand"
    assert _call("export", saved, "--out", path).exit_code == 1
    answer = _call("export", saved, "--sql", "SELECT count(*) AS n FROM curves", "--format", "markdown")
    assert "| 12 |" in answer.stdout


def test_the_command_export_writes_records(saved, tmp_path, monkeypatch):
    """One record per family and model; the time is the one given."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert _call("export", saved, "--format", "every-eval-ever", "--out", tmp_path / "eee").exit_code == 0
    records = [path for path in (tmp_path / "eee").rglob("*.json") if path.name != "provenance.json"]
    assert len(records) == 12
    record = json.loads(records[0].read_text())
    assert record["retrieved_timestamp"] == "1700000000"
    assert record["source_metadata"]["additional_details"]["data_kind"] == "simulated"


@pytest.mark.parametrize("arguments", [("--format", "parquet"), ("--format", "every-eval-ever"), ("--format", "pdf")])
def test_the_command_export_refuses_what_cannot_be(saved, arguments):
    """Binary formats need a file, unknown formats are a usage error."""
    assert _call("export", saved, *arguments).exit_code == 2


@pytest.mark.parametrize(
    "arguments", [("--table", "nope"), ("--query", "task=nope"), ("--columns", "nope"), ("--sql", "SELECT nope")]
)
def test_the_command_export_says_what_it_could_not_find(saved, arguments):
    """One clear line and exit status 1."""
    failed = _call("export", saved, *arguments)
    assert failed.exit_code == 1
    assert "nope" in failed.stderr


def test_the_command_report_draws_the_page_again(saved):
    """The page comes from the saved tables and sentences alone, marked simulated."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bigbench_meta.report.section_sharpness._GRID", (1, 2))
        made = _call("report", saved)
        assert made.stdout.strip() == str(saved / "report.html")
    page = (saved / "report.html").read_bytes()
    assert b"Nothing was found." in page
    assert b"Simulated data." in page
