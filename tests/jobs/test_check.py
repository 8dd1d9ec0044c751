"""The short answer for one's own results: what was tested, what was not and why, and what other metrics say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bigbench_meta as bm
from bigbench_meta.jobs.check import CHECK_COLUMNS, check_of

SIZES = np.geomspace(1e6, 1e12, 10)
# A jump from nothing to nearly everything between two sizes, and a line; 500 items stand behind each.
JUMP = [0.0, 0.01, 0.0, 0.0, 0.01, 0.0, 0.0, 0.9, 0.92, 0.93]
LINE = np.linspace(0.2, 0.65, 10)


def _scores(task, metric, scores, **more):
    return pd.DataFrame(
        {
            "task": task, "metric": metric, "family": "mine", "model": [f"{size:.0e}" for size in SIZES], "scale": SIZES,
            "score": scores, **more,
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def own():
    """A jump under the preferred metric that is a line under another, a line, and a metric of unknown direction."""
    return pd.concat(
        [
            _scores("jumps", "exact_str_match", JUMP, is_preferred=True),
            _scores("jumps", "multiple_choice_grade", LINE, is_preferred=False),
            _scores("climbs", "exact_str_match", LINE, is_preferred=True),
            _scores("odd", "a metric of mine", LINE, is_preferred=True),
        ]
    )


@pytest.fixture(scope="module")
def found(own):
    """The answer, with items."""
    items = pd.DataFrame({"task": ["jumps", "climbs", "odd"], "n_items": 500})
    return bm.check(own, items=items, draws=199, progress=False)


def test_each_task_has_its_verdict_and_what_other_metrics_say(found):
    """The planted jump is sharp and comes first; the line is not; the other metric of the jump is no jump."""
    assert list(found.table.columns) == list(CHECK_COLUMNS)
    table = found.table.set_index("task")
    assert table.index[0] == "jumps"
    assert table.loc["jumps", "verdict"] == "sharp"
    assert table.loc["climbs", "verdict"] != "sharp"
    assert table.loc["jumps", "other_metrics"].startswith("multiple_choice_grade: ")
    assert "sharp" not in table.loc["jumps", "other_metrics"]
    assert table.loc["climbs", "other_metrics"] == ""
    assert (table.loc["jumps", "first_score"], table.loc["jumps", "last_score"]) == (0.0, 0.93)


def test_what_was_not_tested_is_said_with_its_cure(found):
    """Two of three curves were tested; the third has a metric whose better end nobody named."""
    lines = dict(found.lines)
    assert found.n_tested == 2
    assert lines["Tested"] == "2 of 3 curves."
    assert lines["Read"].startswith("40 scores of 3 tasks and 10 models from a frame")
    assert "direction" in lines["Not tested"]
    assert "metrics_file=" in lines["Not tested"]
    assert "1 sharp" in lines["Found"]


def test_without_items_nothing_is_tested_and_that_is_no_silence(own):
    """Zero tested curves: the head says so, and the cure names the argument."""
    found = bm.check(own[own["task"] == "climbs"], draws=19)
    assert found.n_tested == 0
    assert any(label == "Not tested" and "items=" in text for label, text in found.lines)
    assert repr(found) == "<Check: nothing was tested>"


def test_the_card_escapes_names(own):
    """A task with markup for a name is text in the table of the card."""
    evil = own[own["task"] == "climbs"].assign(task="<img src=x onerror=alert(1)>")
    html = bm.check(evil, items=pd.DataFrame({"task": [evil["task"].iloc[0]], "n_items": 500}), draws=19)._repr_html_()
    assert "<img" not in html
    assert "&lt;img src=x" in html


def test_a_check_of_an_analysis_is_the_same(found):
    """Whoever has analysed already need not do it again."""
    again = check_of(found.results, found.analysis)
    pd.testing.assert_frame_equal(again.table, found.table)
    assert again.lines == found.lines
