"""Figures take what a user has at hand, or refuse it in one line."""

from __future__ import annotations

import inspect
from types import SimpleNamespace

import pandas as pd
import pytest

from bigbench_meta import figures
from bigbench_meta.errors import TableError

# Functions that draw a table, and how they are called beside it.
DRAWN = {
    "claims_by_metric": {}, "curve": {}, "curve_grid": {"panels": None, "axs": []}, "emergence_by_metric": {},
    "implied_exponents": {}, "metric_pair": {"axs": (None, None), "task": "t", "metrics": ("a", "b")}, "odds_ratios": {},
    "sharp_by_unpredictable": {}, "sharpness_by_bound": {"bounds": [0.1]},
    "specification_curve": {"axs": (None, None), "choices": ["a"]}, "two_metric_share": {},
}  # fmt: skip
OTHERS = {"figure_bytes", "publication_style", "effects_forest", "shares_by_group"}


def test_every_figure_is_tried():
    """A new figure is added here."""
    assert set(DRAWN) | OTHERS >= {name for name in figures.__all__ if inspect.isfunction(getattr(figures, name))}


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("given", [pd.DataFrame({"verdict": ["sharp"]}), "a path", None], ids=["frame", "str", "None"])
def test_what_a_figure_cannot_draw_is_refused_in_one_line(name, given):
    """The message names what is missing and what was expected; no KeyError, no AttributeError."""
    with pytest.raises(TableError, match=r"cannot be drawn here.*expected") as caught:
        getattr(figures, name)(given, **DRAWN[name])
    assert "\n" not in str(caught.value)


def test_curves_are_no_scores(curves):
    """A table of curves given to the figure that draws scores: the message says what to give."""
    with pytest.raises(TableError, match=r"no column scale, score; expected rows of scores, such as bm\.load_results"):
        figures.curve(curves)


def test_results_and_analyses_are_drawn(results, curves):
    """Their own table is taken."""
    one = results[(results["task"] == "step") & (results["metric"] == "multiple_choice_grade")]
    drawn = figures.curve(SimpleNamespace(frame=one))
    assert len(drawn.lines) == 2
    assert figures.emergence_by_metric(SimpleNamespace(curves=curves)).get_xlabel()
