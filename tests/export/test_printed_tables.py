"""Tables for print: presets, headings, digits, queries on any column, and LaTeX that is never wider than the text."""

from __future__ import annotations

import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from hand_made import NASTY

from bigbench_meta import export
from bigbench_meta.cli import main
from bigbench_meta.errors import OutputError
from bigbench_meta.export.presets import PRESETS, PrintedTable
from bigbench_meta.export.printed_numbers import cells

LONG = [
    "calibration_multiple_choice_brier_score",
    "x" * 120,
    "W" * 40,
    "a sentence of several words that goes on and on",
    "b/c:d",
]


def _rows(texts, n=None):
    n = n or len(texts)
    return pd.DataFrame(
        {
            "task": [texts[i % len(texts)] for i in range(n)],
            "metric": [texts[-1 - i % len(texts)] for i in range(n)],
            "E": np.linspace(-34000, 12, n),
            "q": np.geomspace(1e-7, 0.9, n),
            "n": np.arange(n),
            "scale": np.geomspace(1e6, 1e12, n),
            "emergent": pd.array([True, None, False] * n, dtype="boolean")[:n],
        }
    )


PRINTED = {
    "nasty": PrintedTable(
        _rows(NASTY), tuple(_rows(NASTY).columns), "A caption: 50% & $x$.", "tab:nasty", ("A note_1.",) * 9
    ),
    "long names": PrintedTable(_rows(LONG), tuple(_rows(LONG).columns), "Long names.", "tab:long"),
    "across pages": PrintedTable(
        _rows(NASTY + LONG, 130), tuple(_rows(LONG).columns), "Pages.", "tab:pages", ("Note.",)
    ),
    "no caption": PrintedTable(_rows(NASTY), tuple(_rows(NASTY).columns)),
    "one column": PrintedTable(pd.DataFrame({"a": [1.5, np.nan, np.inf]}), ("alone",)),
    "many numbers": PrintedTable(
        pd.DataFrame({f"c{i}": [0.123, -2.0] for i in range(8)}), tuple(f"heading {i}" for i in range(8))
    ),
}
PREAMBLE = (
    r"\\documentclass{article}\\usepackage[T1]{fontenc}\\usepackage{array,booktabs,longtable,siunitx,textcomp}"
    "\\begin{document}Before. \\input{table.tex} After all. \\end{document}"
).replace("\\\\", "\\")


@pytest.mark.latex
@pytest.mark.parametrize("name", PRINTED)
def test_latex_compiles_within_the_width_of_the_text(tmp_path, name):
    """Alone and in a paper: no line is more than a point too wide, no character is lost, nothing in a name is obeyed."""
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed; scripts/maintenance/install_check_tools.sh installs it")
    (tmp_path / "table.tex").write_text(export.latex_text(PRINTED[name]), encoding="utf-8")
    (tmp_path / "paper.tex").write_text(PREAMBLE)
    for document in ("table", "paper"):
        for _ in range(2):  # long tables settle their widths in the second run
            made = subprocess.run(
                ["pdflatex", "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", f"{document}.tex"],
                cwd=tmp_path, capture_output=True, check=False,
            )  # fmt: skip
        log = made.stdout.decode("latin-1")
        assert made.returncode == 0, log[-2000:]
        wide = [float(points) for points in re.findall(r"Overfull \\hbox \(([\d.]+)pt", log)]
        assert [points for points in wide if points > 1] == [], log[-4000:]
        text = subprocess.run(
            ["pdftotext", "-layout", f"{document}.pdf", "-"], cwd=tmp_path, capture_output=True, text=True, check=False
        ).stdout
        assert "root:" not in text
        assert ("After all." in text) == (document == "paper")
        if name == "nasty":
            assert r"\input{/etc/" in text
            assert "passwd}" in text
            assert "A caption: 50% & $x$." in text


def test_numbers_of_a_column_stand_under_each_other():
    """Three digits in the middle of the column; what rounds to zero is shown by its bound; undefined is a dash."""
    assert cells(pd.Series([0.5, 12.34, 99.0, np.nan])) == ["0.5", "12.3", "99.0", "–"]
    assert cells(pd.Series([0.04, 0.0000004, 0.0, 0.9])) == ["0.040", "<0.001", "0.000", "0.900"]
    assert cells(pd.Series([0.04, 0.0000004, 0.0, 0.9]), digits=5) == ["0.04000", "<0.00001", "0.00000", "0.90000"]
    assert cells(pd.Series([1e9, 2.5e11])) == ["1.00e9", "2.50e11"]
    assert cells(pd.array([1, None, 3], dtype="Int64")) == ["1", "–", "3"]
    assert cells(pd.Series([True, False])) == ["yes", "no"]


def test_latex_has_siunitx_columns_with_the_format_of_their_numbers():
    """Digits before and after the point, a sign and a bound where there are any; a long heading stands on two lines."""
    table = PrintedTable(
        pd.DataFrame({"task": ["a", "b"], "E": [-12.25, 3.5], "q": [0.00001, 0.251], "n": [20, 300]}),
        ("task", "E", "q surprise", "items"),
    )
    text = export.latex_text(table)
    assert r"\begin{tabular}{@{}lS[table-format=-2.2]S[table-format=<1.3]S[table-format=3]@{}}" in text
    assert r"task & {E} & {\shortstack[r]{q\\surprise}} & {items} \\" in text
    assert r"a & -12.25 & <0.001 & 20 \\" in text
    assert r"\caption" not in text
    assert all(rule in text for rule in (r"\toprule", r"\midrule", r"\bottomrule"))


def test_more_columns_than_fit_are_refused():
    """The message names them and what to do."""
    with pytest.raises(OutputError, match=r"40 columns do not fit into the width of a text .*--columns"):
        export.latex_text(pd.DataFrame({f"c{i}": [0.123] for i in range(40)}))


@pytest.mark.parametrize(
    ("query", "fits"),
    [
        (["emergence_score>5"], lambda c: c["emergence_score"] > 5),
        (["q_sharp<=0.5", "q_sharp>0.1"], lambda c: (c["q_sharp"] <= 0.5) & (c["q_sharp"] > 0.1)),
        (["emergent=true"], lambda c: c["emergent"].fillna(value=False)),
        (["emergent=missing"], lambda c: c["emergent"].isna()),
        (["verdict!=sharp", "n_scales=6"], lambda c: c["verdict"] != "sharp"),
        (["is_preferred=no"], lambda c: ~c["is_preferred"]),
        (["verdict=sharp", "verdict=sm*"], lambda c: c["verdict"].isin(["sharp", "smooth"])),
    ],
)
def test_rows_are_picked_by_any_column(curves, query, fits):
    """Numbers by size, truth by its words, text with wildcards, what is missing by that word."""
    wanted = curves[fits(curves).to_numpy(bool)].reset_index(drop=True)
    assert 0 < len(wanted) < len(curves)
    pd.testing.assert_frame_equal(export.select(curves, query), wanted)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("task<b", r"task holds text, which has no size"),
        ("q_sharp<small", r"q_sharp holds numbers; expected one"),
        ("emergent>true", r"emergent is true or false"),
        ("q_sharp>2", r"no row fits q_sharp>2"),
        ("nothing=1", r"no column 'nothing'"),
    ],
)
def test_a_condition_that_makes_no_sense_is_refused(curves, query, message):
    """In one line."""
    with pytest.raises(OutputError, match=message):
        export.select(curves, [query])


def test_a_preset_has_its_rows_columns_and_words(tables):
    """Sharp curves of preferred metrics alone, the steepest first, under readable headings, with caption, label and source."""
    made = export.export_table(
        tables, "sharp", kind="latex", out=None, provenance={"source": "by hand", "arguments": {"seed": 3}}
    ).decode()
    own = tables["curves"].query("is_preferred and verdict == 'sharp'")
    assert made.count(r" \\") - 1 == len(own)
    assert (
        r"task & metric & family & {shots} & {M} & {E} & {L} & {q sharp} & {\shortstack[r]{q\\surprise}} & emergent"
        in made
    )
    assert r"\caption{Curves sharper than smooth laws and finite tests explain.}\label{tab:sharp}" in made
    assert "Source: by hand; bigbench{-}meta" in made
    assert "seed 3." in made
    other = export.export_table(
        tables, "sharp", kind="markdown", out=None, provenance={}, printing=export.Printing(caption="Mine", digits=5)
    ).decode()
    assert other.startswith("**Mine**\n\n| task | metric |")


def test_csv_of_a_table_is_whole_and_of_a_preset_as_printed(tables):
    """The same words and digits in every format; a table of the run keeps every column and digit unless print is asked for."""
    whole = export.export_table(tables, "claims", kind="csv", out=None, provenance={})
    assert whole == export.table_bytes("claims", tables["claims"], "csv")
    first = export.export_table(tables, "sharp", kind="csv", out=None, provenance={}).decode().split("\n")[0]
    assert first.startswith("task,metric,family,shots,M,E,L,q sharp")
    printed = export.export_table(
        tables, "curves", kind="csv", out=None, provenance={}, printing=export.Printing(always=True)
    ).decode()
    assert printed.split("\n")[0].startswith("task,metric,family,shots,M,E,L,q sharp")
    assert len(printed) < len(export.export_table(tables, "curves", kind="csv", out=None, provenance={}))


def test_a_preset_of_a_table_that_a_run_does_not_have_says_so(tables):
    """Which table it is made of, and what there is."""
    with pytest.raises(
        OutputError, match=r"no table 'shares', which 'shares' is made of; it has claims, .*Run the analysis again"
    ):
        export.export_table(tables, "shares", kind="latex", out=None, provenance={})
    none = tables | {"curves": tables["curves"].assign(verdict="flat")}
    with pytest.raises(OutputError, match=r"there is nothing to print"):
        export.export_table(none, "sharp", kind="latex", out=None, provenance={})


def test_every_preset_is_named_in_the_help():
    """Whoever asks for help learns of them."""
    shown = CliRunner().invoke(main, ["export", "--help"], terminal_width=200).output
    assert [name for name in PRESETS if name not in shown] == []
