"""Names made to hurt whoever reads, draws, prints or opens what they are written into."""

from __future__ import annotations

import io
import re
import sys
import time

import pandas as pd
import pytest
from click.testing import CliRunner

from bigbench_meta import figures
from bigbench_meta.cli import main
from bigbench_meta.cli import steps as parts
from bigbench_meta.experiments.predictions.together import Predictions
from bigbench_meta.export import as_read_back, csv_bytes, export_table, latex_text, markdown_text
from bigbench_meta.figures.style import as_drawn, figure_bytes
from bigbench_meta.jobs.experiments import _file_names, prediction_figures
from bigbench_meta.report import Page, render_page

ESCAPES = "\x1b]0;title\x07\x1b[31mred\x9b2J"
# Names that break mathematics, legends, fonts and terminals; then such that break the order by numbers and file names.
NAMES = (
    r"$\frac$", rf"_$\no{{ 中文 \U0001f600 {ESCAPES}", "L" * 5000,
    "9" * 5000, "²", "a b", "a-b", "A-B", "../x",
)  # fmt: skip


def test_predictions_of_hostile_names_are_drawn_each_under_a_name_of_its_own():
    """Figures of every name are drawn without a warning; no file replaces another, on any disk."""
    scales = pd.DataFrame({"scale": [1e6, 1e7, 1e8], "accuracy": [0.1, 0.5, 0.9]})
    points = pd.concat(
        scales.assign(task=name, subtask=f"{name}:{part}", family=family)
        for name in NAMES
        for part in ("1", name)
        for family in ("f", name)
    ).assign(low=0.0, high=1.0, distance=1.0, distance_se=0.1, n_items=10)
    drawn = prediction_figures(Predictions(verdicts=pd.DataFrame(), tables={"prediction_1_points": points}))
    assert len({name.casefold() for name in drawn}) == len(NAMES)
    assert max(map(len, drawn)) < 90
    odd = [figure for name, figure in drawn.items() if "frac" in name or "no" in name or "LLL" in name]
    assert len(odd) == 3
    for figure in odd:
        assert figure_bytes(figure, "svg").startswith(b"<?xml")


def test_names_of_figures_keep_what_can_be_kept():
    """A plain name stays; one digest tells apart what would be equal, whatever the order."""
    assert _file_names("p", [("two_digits",), ("x",)]) == {("two_digits",): "p-two-digits", ("x",): "p-x"}
    both = _file_names("p", [("a b",), ("a-b",)])
    assert [re.fullmatch(r"p-a-b-[0-9a-f]{8}", name) is not None for name in both.values()] == [True, True]
    assert _file_names("p", [("a-b",), ("a b",)]) == both


@pytest.mark.parametrize(
    "names", [("1", "007"), ("1e5", "2"), ("true", "false"), ("2020-01-01", "2020-01-02"), ("nan", "NA")]
)
def test_names_that_look_like_something_else_are_read_back_as_names(names):
    """A task named 007 is not 7: not in the tables of a run, and so not in its page and exports."""
    frame = pd.DataFrame({"task": names, "family": names, "hard": names, "score": [0.5, 1.0]})
    read = as_read_back({"swaps": frame})["swaps"]
    assert [list(read[name]) for name in ("task", "family", "hard")] == [list(names)] * 3
    assert list(read["score"]) == [0.5, 1.0]


def test_a_family_whose_name_starts_with_an_underscore_is_in_the_legend(results):
    """Legends leave out what starts so; names get a space before it."""
    points = results[results["task"] == "step"].assign(family="_private", metric="m")
    ax = figures.curve(points)
    assert [text.get_text().strip() for text in ax.legend().get_texts()] == ["_private (M = 6)"]
    assert as_drawn("x" * 50, most=9) == "x" * 8 + "…"


def test_a_row_of_latex_that_starts_with_a_bracket_or_star_is_no_option_of_the_row_before():
    r"""``\\`` takes what follows for its options unless it is braced."""
    table = pd.DataFrame({"task": ["a", "[5pt]", "*"]})
    assert r"{[}5pt] \\" in latex_text(table)
    assert r"{*} \\" in latex_text(table)


def test_markdown_makes_no_link_of_a_bare_address():
    """GitHub turns addresses into links where they stand."""
    text = markdown_text(pd.DataFrame({"task": ["http://evil.example/ WWW.evil.example a:b"]}))
    assert r"http\://evil.example/ WWW\.evil.example a:b" in text


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        (" =1+1", "' =1+1"),
        ("a;=1+1", "a;'=1+1"),
        ("a\t@x", "a\t'@x"),
        ("a|-1", "a|'-1"),
        ("a\n=1", "a\n'=1"),
        ("\x00\x01=1", "'\x00\x01=1"),
        ("\ufeff\u200b@x", "'\ufeff\u200b@x"),
        (" \t=1", " \t'=1"),
        ("a-b", "a-b"),
    ],
)
def test_formulas_behind_spaces_and_other_separators_are_disarmed_too(name, safe):
    """A spreadsheet may skip spaces, or take ';', a tab or '|' for the separator."""
    content = csv_bytes("swaps", pd.DataFrame({"task": [name]}), spreadsheet_safe=True).decode()
    assert content.split("\n", 1)[1].strip('\n"') == safe


def test_disarming_takes_time_with_the_length_of_a_name():
    """A hundred thousand tabs, lines or spaces are looked at once each: 0.2 s, with the square of it minutes."""
    names = [unit * (100_000 // len(unit)) for unit in ("\t", " \t", "\n", "; ", " ", ";\x00")]
    begun = time.process_time()
    csv_bytes("swaps", pd.DataFrame({"task": names}), spreadsheet_safe=True)
    assert time.process_time() - begun < 5


def test_what_cannot_be_seen_is_a_mark_in_documents(results, curves, problems):
    """A page would drop it, a reader not see it, or the line turn around behind it; emoji and hard spaces stay."""
    unseen = "\x00\x01\x0b\x0c\r\x1b\x7f\x85\u200f\u2028\u202e\u2066\ufeff\uffff"
    name, kept = f"a{unseen}b", "\u00a0\U0001f469\u200d\U0001f52c"
    page = Page(name, ((name, f"{name}{kept}"),), (), results, curves, {"source": name}, problems, left_out=(name,))
    body = render_page(page).partition("<body>")[2].partition("<script")[0]
    assert not set(unseen) & set(body)
    assert f"a{len(unseen) * chr(0xFFFD)}b{kept}" in body
    assert not set(unseen) & set(markdown_text(pd.DataFrame({"task": [name]})))


class _Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_is_not_given_what_it_would_obey(monkeypatch, capsys):
    """Data and talk on a terminal have a mark in the place of each control character; data elsewhere are exact."""
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    parts.put_bytes(f"task\n{ESCAPES}\n".encode())
    assert terminal.getvalue() == "task\n\ufffd]0;title\ufffd\ufffd[31mred\ufffd2J\n"
    monkeypatch.undo()
    parts.say(ESCAPES)
    assert capsys.readouterr().err == "\ufffd]0;title\ufffd\ufffd[31mred\ufffd2J\n"
    assert "\x1b" not in parts.labelled("Analysed", ESCAPES)


@pytest.mark.parametrize("kind", ["csv", "markdown", "latex"])
def test_exports_on_stdout_are_the_bytes_that_a_file_would_hold(tmp_path, tables, kind):
    """Nothing is taken out on the way, control characters neither."""
    from bigbench_meta.export import write_run_folder

    curves = tables["curves"].assign(task=tables["curves"]["task"].cat.rename_categories({"step": ESCAPES}))
    out = write_run_folder(tmp_path / "out", tables={"curves": curves}, files={}, provenance={})
    done = CliRunner().invoke(main, ["export", str(out), "--format", kind, "--columns", "task,shots"])
    read = {"curves": as_read_back({"curves": curves})["curves"]}
    assert done.stdout_bytes == export_table(
        read, "curves", kind=kind, out=None, provenance={}, columns=["task", "shots"]
    )
    assert (b"\x1b" in done.stdout_bytes) == (kind == "csv")
