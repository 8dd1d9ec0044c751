"""A run and a report of its saved tables are the same to the byte; its summary can be read at a glance."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from click.testing import CliRunner

from bigbench_meta.cli import main
from bigbench_meta.export.table_bytes import csv_bytes, table_of_bytes


def _call(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on a user's table whose names would be mathematics in a figure, markup in a page and formulas in a sheet."""
    folder = tmp_path_factory.mktemp("own")
    shapes = {
        "=cmd|' /C calc'!A0": [0.0, 0.1, 0.3, 0.7, 0.8, 0.9],
        "$\\frac{$ </script><b>\u202e中%": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
    }
    rows = [
        {"task": task, "metric": metric, "family": "mine & <i>yours</i>", "model": f"m{i}", "scale": 10.0 ** (i + 6),
         "score": y if metric == "exact_str_match" else 1 - y, "is_preferred": metric == "exact_str_match"}
        for task, ys in shapes.items() for metric in ("exact_str_match", "own_error") for i, y in enumerate(ys)
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / "own.csv", index=False)
    pd.DataFrame([{"task": task, "n_items": 200} for task in shapes]).to_csv(folder / "items.csv", index=False)
    (folder / "metrics.csv").write_text("metric,direction\nown_error,lower\n", encoding="utf-8")
    (folder / "raters.csv").write_text("task,average\n=cmd|' /C calc'!A0,0.95\n", encoding="utf-8")
    out = folder / "out"
    done = _call("run", "--source", folder / "own.csv", "--items", folder / "items.csv", "--metrics-file", folder / "metrics.csv",
                 "--human", folder / "raters.csv", "--draws", 19, "--out", out)  # fmt: skip
    assert done.exit_code == 0, done.stderr
    return out, done


def test_a_report_of_saved_tables_is_the_first_page_again(run):
    """`report DIR` leaves every byte of the folder as `run` wrote it: page, figures, tables, provenance."""
    out, _ = run
    before = {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert _call("report", out).exit_code == 0
    after = {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert [str(path) for path in before if before[path] != after.get(path)] == []
    assert before.keys() == after.keys()


def test_the_summary_says_what_was_analysed_what_was_found_and_where_it_is(run):
    """Five lines on stderr, none long, what was tested among the first; stdout is the folder alone.

    The published claims are no matter of a table without any task that they are about.
    """
    out, done = run
    assert done.stdout == f"{out}\n"
    lines = [line for line in done.stderr.splitlines() if not line.startswith(("own.csv", "own "))]
    said = [
        line for line in lines if line.split(":")[0] in {"Analysed", "Tested", "Claims", "Curves", "Emergent", "Files"}
    ]
    assert [line.split(":")[0] for line in said] == ["Analysed", "Tested", "Curves", "Emergent", "Files"]
    assert "(a table of your own): 2 tasks, 6 models, 24 scores, 4 curves" in said[0]
    assert " of 4 curves" in said[1]
    assert str(out / "report.html") in said[4]
    assert max(map(len, said)) < 250


def test_a_users_table_is_called_the_users(run):
    """Neither real nor simulated: the label is in the provenance and on the page."""
    out, _ = run
    assert json.loads((out / "provenance.json").read_text(encoding="utf-8"))["kind"] == "user"
    page = (out / "report.html").read_text(encoding="utf-8")
    assert '<span class="kind kind-user">user</span>' in page
    assert '<span class="kind kind-real">' not in page


def test_the_users_own_metric_has_the_direction_given(run):
    """A row of --metrics-file reaches the curves; without it the direction would be unknown."""
    out, _ = run
    curves = pd.read_csv(out / "tables" / "curves.csv")
    assert set(curves.loc[curves["metric"] == "own_error", "direction"]) == {"lower"}


def test_reference_lines_reach_table_and_terminal(run):
    """The raters' score is saved with its source, and `show` prints it beside the curve."""
    out, _ = run
    lines = pd.read_csv(out / "tables" / "references.csv")
    assert lines[["kind", "level"]].to_numpy().tolist() == [["human average", 0.95]]
    assert "human average 0.95" in _call("show", "=cmd|' /C calc'!A0", "--from", out).stdout


def test_hostile_names_stay_names(run):
    """On the page no element comes of a name; in a spreadsheet-safe CSV no cell starts a formula; LaTeX and Markdown escape."""
    out, _ = run
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "</script><b>" not in page
    assert "<i>yours</i>" not in page
    safe = _call("export", out, "--columns", "task,metric", "--spreadsheet-safe").stdout
    assert not any(line.lstrip('"').startswith(("=", "+", "-", "@")) for line in safe.splitlines())
    latex = _call("export", out, "--columns", "task,family", "--format", "latex").stdout
    assert r"\$\textbackslash{}frac\{\$" in latex
    assert "[U+202E]" in latex
    markdown = _call("export", out, "--columns", "task,family", "--format", "markdown").stdout
    assert "<b>" not in markdown
    names = [path.name for path in out.rglob("*")]
    assert all(name.replace(".", "").replace("_", "").replace("-", "").isalnum() for name in names)


def test_show_reads_a_source_as_well(run):
    """`show --source` gives the curves of a table without any analysis, so without verdicts."""
    out, _ = run
    shown = _call("show", "=cmd|' /C calc'!A0", "--source", out.parent / "own.csv")
    assert shown.exit_code == 0, shown.stderr
    assert "▁" in shown.stdout
    assert "verdict" not in shown.stdout
    assert _call("show", "nope", "--source", out.parent / "own.csv").exit_code == 1


def test_counts_with_gaps_stay_counts():
    """Whole numbers and truth values with missing cells come back as they are: 63, never 63.0."""
    table = pd.DataFrame(
        {
            "n": pd.array([63, pd.NA], dtype="Int64"),
            "yes": pd.array([True, pd.NA], dtype="boolean"),
            "x": [1.0, float("nan")],
        }
    )
    content = csv_bytes("t", table)
    assert content == b"n,yes,x\n63,True,1.0\n,,\n"
    assert csv_bytes("t", table_of_bytes("t.csv", content)) == content


def test_a_column_without_a_value_is_numbers_that_are_undefined():
    """Errors of curves whose noise is unknown are all empty in the file; a figure can still reckon with them."""
    again = table_of_bytes("points.csv", b"score,error\n0.5,\n0.6,\n")
    assert again["error"].dtype == "float64"
    assert (again["score"] - again["error"]).isna().all()
