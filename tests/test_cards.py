"""Cards: what a value shows of itself is short, and nothing in a name is obeyed."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import bigbench_meta as bm
from bigbench_meta.cards import Card, counted
from bigbench_meta.fetcher.checkout import Checkout, Entry, Skipped
from bigbench_meta.jobs.run import Run
from bigbench_meta.loader.results import Counts, Results

EVIL = "<script>alert('x')</script>\x1b[2J&amp;" + "n" * 5000


@pytest.fixture
def checkout():
    """As many files as BIG-bench has, in a place with a hostile name."""
    entries = tuple(Entry(f"t{i}/results/scores_a.json", "0" * 40, 16_000) for i in range(9_600))
    return Checkout(EVIL, Path("/tmp") / "place", "f" * 40, entries, (Skipped(EVIL, "is a link"),))


@pytest.fixture
def loaded(results, problems):
    """Results of the tables made by hand."""
    balance = Counts(files=3, on_disk=74, rows=72, explained=2, not_selected=0)
    return Results(results, problems, pd.Series([1, 1]).to_numpy(), balance, EVIL, None, ("a note",) * 5)


@pytest.fixture
def run(tmp_path):
    """A run whose source has a hostile name."""
    return Run(
        out=tmp_path,
        source=EVIL,
        kind="user",
        tested=0,
        summary=(("Curves", EVIL),),
        findings=("found",),
        counts={},
        seconds={},
    )


def test_every_card_is_short_and_nothing_in_it_is_obeyed(checkout, loaded, run):
    """Repr is one line below 600 characters, HTML below 8,000; markup and controls of names are text."""
    for value in (checkout, loaded, run):
        text, html = repr(value), value._repr_html_()
        assert len(text) < 600
        assert text.isprintable()
        assert len(html) < 8_000
        assert "<script" not in html
        assert "\x1b" not in html
        assert "&lt;script&gt;" in html


def test_the_card_of_a_checkout_counts(checkout):
    """9,600 files of 16,000 bytes are 153.6 MB."""
    html = checkout._repr_html_()
    assert "9,600 score files and 0 task definitions, 153.6 MB" in html
    assert "1 file, the first" in html
    assert "at commit ffffffffffff:" not in html
    assert "bm.load_results(checkout)" in html


def test_the_card_of_results_holds_the_balance(loaded):
    """Counts of the frame (3 tasks, 2 families of 6 models, 2 metrics: 72 rows), the balance, notes and what to do next."""
    html = loaded._repr_html_()
    assert "3 tasks, 12 models, 2 model families, 2 metrics" in html
    assert "74 numbers on disk = 72 rows + 2 explained by problems + 0 not selected" in html
    assert "2 more, in .notes" in html
    assert "72 scores of 3 tasks and 12 models, 2 problems" in repr(loaded)


def test_the_card_of_an_analysis_gives_the_answer_and_why_nothing_was_tested():
    """Three tasks without items cannot be tested: the card says so, and which argument would help."""
    own = pd.DataFrame(
        {
            "task": ["a"] * 5 + ["b"] * 5, "metric": "exact_str_match", "family": "f", "model": list("vwxyz") * 2,
            "scale": [1e6, 1e7, 1e8, 1e9, 1e10] * 2, "score": [0.1, 0.2, 0.3, 0.4, 0.5] * 2,
        }
    )  # fmt: skip
    analysis = bm.analyze(own, rng=0, draws=19, workers=1)
    assert repr(analysis) == "<Analysis: 2 curves of 2 tasks, 0 tested>"
    html = analysis._repr_html_()
    assert "Of 2 curves of preferred metrics: 2 undecided." in html
    assert "noise unknown" in html
    assert "items=items" in html
    known = bm.analyze(own, rng=0, draws=19, workers=1, items=pd.DataFrame({"task": ["a", "b"], "n_items": 100}))
    assert repr(known) == "<Analysis: 2 curves of 2 tasks, 2 tested>"
    assert "items=items" not in known._repr_html_()


def test_a_card_without_facts_is_a_line():
    """Nothing is left open."""
    card = Card("Run", "x")
    assert card.html().count("<div") == card.html().count("</div>") == 1
    assert "table" not in card.html()
    assert counted(0, "score") == "0 scores"
