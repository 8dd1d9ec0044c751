"""Figures: functions from tables to Axes that return what they drew and change nothing else."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from bigbench_meta import figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@pytest.fixture
def ax() -> Axes:
    return Figure().add_subplot()


COUNTS = pd.DataFrame(
    {
        "metric": ["multiple_choice_grade", "exact_str_match", "bleu", "overall", "custom", "f1"],
        "n_claimed": [51, 12, 2, 1, 1, 0],
        "n_tasks": [118, 40, 8, 1, 1, 41],
    }
)
SHARES = pd.DataFrame(
    {"group": ["claimed", "all"], "n": [63, 158], "total": [67, 209], "low": [0.85, np.nan], "high": [0.98, np.nan]}
)

ODDS = pd.DataFrame(
    {
        "label": ["both", "one", "never"], "estimate": [7.73, 0.89, np.nan], "low": [2.63, 0.4, np.nan], "high": [31.0, 1.9, np.nan],
        "cases_in": [63, 12, 0], "cases": [67, 67, 2], "base_in": [158, 40, 9], "base": [209, 209, 42],
    }
)  # fmt: skip
GRID = pd.DataFrame(
    {
        "design": ["between", "within"] * 3, "group": list("aabbab"), "family": "GPT",
        "estimate": [2.0, 0.5, 8.0, np.nan, np.inf, 0.0], "low": [1.5, 0.1, 0.8, np.nan, 2.0, 0.0], "high": [3.0, 0.9, 90.0, np.nan, np.inf, 0.7],
    }
)  # fmt: skip


def _specification(ax):
    pair = (ax, ax.figure.add_subplot(2, 1, 2))
    figures.specification_curve(GRID, pair, choices=("design", "group", "family"))
    pair[0].set_xlabel("order")
    return ax


TASK_EFFECTS = pd.DataFrame({"task": ["a", "b", "c"], "effect": [0.5, -0.1, np.nan], "variance": [0.04, np.nan, 0.1]})
EFFECT = pd.Series(
    {"hard": "exact_str_match", "soft": "bleu", "measure": "linearity", "n_tasks": 2, "effect": 0.2, "low": -0.3, "high": 0.7,
     "prediction_low": -0.9, "prediction_high": 1.3}
)  # fmt: skip
POPULATION = pd.DataFrame(
    {"group": ["claimed", "not claimed", "few"], "shape": "sharp", "share": [0.31, 0.02, np.nan], "low": [0.14, 0.0, np.nan],
     "high": [0.62, 0.16, np.nan], "n_tasks": [54, 62, 3]}
)  # fmt: skip

DRAWINGS = {
    "effects_forest": lambda ax, results, curves: figures.effects_forest(TASK_EFFECTS, EFFECT, ax),
    "shares_by_group": lambda ax, results, curves: figures.shares_by_group(POPULATION, ax),
    "claims_by_metric": lambda ax, results, curves: figures.claims_by_metric(COUNTS, ax),
    "two_metric_share": lambda ax, results, curves: figures.two_metric_share(SHARES, ax),
    "odds_ratios": lambda ax, results, curves: figures.odds_ratios(ODDS, ax),
    "emergence_by_metric": lambda ax, results, curves: figures.emergence_by_metric(curves, ax),
    "sharp_by_unpredictable": lambda ax, results, curves: figures.sharp_by_unpredictable(curves, ax),
    "sharpness_by_bound": lambda ax, results, curves: figures.sharpness_by_bound(curves, ax, bounds=[0.1, 0.34, 1.0]),
    "implied_exponents": lambda ax, results, curves: figures.implied_exponents(curves, ax),
    "specification_curve": lambda ax, results, curves: _specification(ax),
    "curve": lambda ax, results, curves: figures.curve(
        results[(results["task"] == "step") & results["is_preferred"]], ax
    ),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_every_figure_returns_the_axes_it_was_given_and_leaves_settings_alone(name, ax, results, curves):
    """The same Axes come back, with a label on the x axis; global settings are as before."""
    before = dict(mpl.rcParams)
    assert DRAWINGS[name](ax, results, curves) is ax
    assert ax.get_xlabel()
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize(
    ("name", "kind"), [*((name, "svg") for name in DRAWINGS), ("two_metric_share", "pdf"), ("two_metric_share", "png")]
)
def test_the_same_table_gives_the_same_bytes(name, kind, results, curves):
    """No time stamp, no random id; drawing the same figure again, or the same table anew, changes nothing."""
    made = []
    for _ in range(2):
        with figures.publication_style():
            figure = Figure()
            DRAWINGS[name](figure.add_subplot(), results, curves)
        made.append(figures.figure_bytes(figure, kind))
    made.append(figures.figure_bytes(figure, kind))
    assert len(set(made)) == 1
    assert not re.search(rb"20\d\d-\d\d-\d\d|CreationDate", made[0])


def test_pdf_embeds_its_fonts(results, curves):
    """TrueType is embedded (type 42), so that publishers accept the file."""
    with figures.publication_style():
        figure = Figure()
        figures.emergence_by_metric(curves, figure.add_subplot())
    pdf = figures.figure_bytes(figure, "pdf")
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf


def test_claims_are_drawn_beside_their_base_rate(ax):
    """On the packaged facts multiple choice grade stands at 51/67 of claims and 118/209 of tasks."""
    figures.claims_by_metric(COUNTS, ax)
    base, share = ax.lines[0].get_xdata()
    assert share == pytest.approx(100 * 51 / 67)
    assert base == pytest.approx(100 * 118 / 209)
    assert "51 of 118" in [text.get_text() for text in ax.texts]


def test_score_labels_count_curves_and_tasks(ax, curves):
    """N stands on the plot: curves and tasks per metric, and how many scores are undefined."""
    worse = curves.copy()
    worse.loc[worse.index[:1], "emergence_score"] = np.nan
    figures.emergence_by_metric(worse, ax)
    labels = " ".join(label.get_text() for label in ax.get_yticklabels())
    assert "6 curves, 3 tasks" in labels
    assert "5 curves, 3 tasks, 1 undefined" in labels


def test_curves_are_drawn_on_a_log_axis_with_m_in_the_legend(ax, results):
    """One line per family; the legend says over how many scales."""
    figures.curve(results[(results["task"] == "straight") & results["is_preferred"]], ax)
    assert ax.get_xscale() == "log"
    assert [line.get_label() for line in ax.lines] == ["BIG-G T=0 (M = 6)", "GPT (M = 6)"]


@pytest.mark.parametrize("which", ["one", "all"])
def test_scores_that_matplotlib_cannot_place(ax, results, which):
    """Scores beyond 1e100 are counted in the legend and not drawn: the figure is drawn without a warning."""
    rows = results[(results["task"] == "straight") & results["is_preferred"] & (results["family"] == "GPT")]
    large = rows["score"].where((rows["scale"] < rows["scale"].max()) & (which == "one"), 1.7e308)
    figures.curve(rows.assign(score=large), ax)
    ax.figure.canvas.draw()
    count = 1 if which == "one" else 6
    assert ax.lines[0].get_label() == f"GPT (M = 6, {count} scores too large to draw)"
    assert np.isfinite(ax.lines[0].get_ydata()).sum() == 6 - count


def test_families_keep_apart_without_colour():
    """Any two of eight families differ in marker or dash, so grey print keeps them apart."""
    from bigbench_meta.figures.style import looks

    styles = [(look["marker"], str(look["linestyle"])) for look in looks([f"family {i}" for i in range(8)]).values()]
    assert len(set(styles)) == 8


# Machado, Oliveira and Fernandes 2009: how a reader without one kind of cone sees linear RGB (severity 1).
BLINDNESS = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def _lab(colour: str, matrix: list[list[float]]) -> np.ndarray:
    """CIE L*a*b* (D65) of a hex colour as such a reader sees it."""
    rgb = np.array(mpl.colors.to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(matrix) @ linear, 0, 1)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    f = np.cbrt(np.maximum(to_xyz @ seen / [0.9505, 1.0, 1.089], 1e-3))
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("kind", BLINDNESS)
def test_colours_keep_apart_for_colour_blind_readers(kind):
    """Claimed and not claimed differ by far more than the eye needs (about 2), and so do the first four families."""
    from bigbench_meta.figures.style import ALL_TASKS, CLAIMED, looks

    def apart(a, b):
        return float(np.linalg.norm(_lab(a, BLINDNESS[kind]) - _lab(b, BLINDNESS[kind])))

    assert apart(CLAIMED, ALL_TASKS) > 60
    colours = [look["color"] for look in looks(list("abcd")).values()]
    assert min(apart(a, b) for a, b in itertools.combinations(colours, 2)) > 15


def test_two_metrics_stand_side_by_side(results):
    """Each of the two axes shows its own metric of the same task."""
    pair = Figure().subplots(1, 2)
    metrics = ("multiple_choice_grade", "calibration_multiple_choice_brier_score")
    figures.metric_pair(results, tuple(pair), task="step", metrics=metrics)
    assert [ax.get_title() for ax in pair] == [f"step\n{metric}" for metric in metrics]


def test_thousands_of_curves_do_not_make_a_figure_of_megabytes(curves):
    """Beyond a few thousand marks they become an image inside the vector file."""
    many = pd.concat([curves] * 1500, ignore_index=True)
    with figures.publication_style():
        figure = Figure()
        figures.emergence_by_metric(many, figure.add_subplot())
    assert len(figures.figure_bytes(figure, "svg")) < 500_000


def test_odds_ratios_colour_only_intervals_that_exclude_one(ax):
    """An interval that reaches 1 is grey; an undefined ratio is listed and not drawn."""
    figures.odds_ratios(ODDS, ax)
    intervals = [line for line in ax.lines if len(set(line.get_ydata())) == 1]
    assert [line.get_color() for line in intervals] == ["#d55e00", "#555555"]
    assert len(ax.get_yticklabels()) == 3
    assert ax.get_yticklabels()[0].get_text() == "both\n63 of 67 against 158 of 209"


def test_a_specification_without_an_estimate_is_counted(ax):
    """Five of six are drawn; a choice with one value is said, not drawn."""
    _specification(ax)
    assert ax.get_title() == "5 specifications (1 more without an estimate)"
    lower = ax.figure.axes[1]
    assert "all have family: GPT" in lower.get_xlabel()
    assert [label.get_text() for label in lower.get_yticklabels()] == [
        "design: between",
        "design: within",
        "group: a",
        "group: b",
    ]


def test_a_median_stands_with_its_middle_half(ax, curves):
    """Of E = 0, 1, 2, 3, 10 the median is 2 and the middle half reaches from 1 to 3, whatever the largest."""
    five = (
        curves[curves["metric"] == "multiple_choice_grade"].iloc[:5].assign(emergence_score=[10.0, 0.0, 3.0, 1.0, 2.0])
    )
    figures.emergence_by_metric(five, ax)
    (median,) = [line for line in ax.lines if line.get_marker() == "D"]
    assert list(median.get_xdata()) == [2.0]
    (bar,) = [line for line in ax.lines if line.get_linewidth() == 1.4 and line is not median]
    assert {float(x) for x in bar.get_xdata() if np.isfinite(x)} == {1.0, 3.0}


def test_a_metric_without_any_score_is_counted(ax, curves):
    """It has no row, and the title says that it is there."""
    gone = curves.assign(emergence_score=curves["emergence_score"].where(curves["metric"] == "multiple_choice_grade"))
    figures.emergence_by_metric(gone, ax)
    assert len(ax.get_yticks()) == 1
    assert "1 metric without a defined score" in ax.get_title()


def test_the_heat_map_shows_which_choices_made_each_estimate(ax):
    """In order of estimate, 0, .5, 2, 8, infinite: within, within, then between; b, a, a, b, a."""
    _specification(ax)
    mesh = ax.figure.axes[1].collections[0]
    assert mesh.get_array().tolist() == [
        [0, 0, 1, 1, 1],
        [1, 1, 0, 0, 0],
        [0, 1, 1, 0, 1],
        [1, 0, 0, 1, 0],
    ]


def test_sharpness_falls_with_a_steeper_bound(ax):
    """A curve counts at every bound up to the steepest it is still sharp against; untested curves do not count."""
    curves = pd.DataFrame({"p_sharp": [0.01, 0.01, 0.5, np.nan], "sharp_up_to_exponent": [0.34, 0.1, np.nan, np.nan]})
    figures.sharpness_by_bound(curves, ax, bounds=[0.1, 0.34, 1.0])
    assert ax.lines[0].get_ydata() == pytest.approx([200 / 3, 100 / 3, 0])


def test_only_an_exponent_wholly_beyond_the_published_range_counts_as_steeper(ax):
    """The title counts intervals whose lower end exceeds 0.34."""
    curves = pd.DataFrame(
        {
            "task": list("abc"),
            "implied_exponent": [0.5, 0.2, np.nan],
            "exponent_low": [0.4, 0.1, np.nan],
            "exponent_high": [np.nan, 0.5, np.nan],
        }
    )
    figures.implied_exponents(curves, ax)
    assert ax.get_title().startswith("1 curves need")
    assert ax.get_ylabel() == "2 curves (1 without an interval)"


def test_a_curve_is_drawn_as_claimed_or_as_not(ax):
    """Without a claim no mark is a claimed one, and the other way round; the two kinds never share a point."""
    curves = pd.DataFrame({"task": list("ab"), "q_sharp": [0.2, 0.01], "q_surprise": [0.5, 0.01], "claimed": False})
    figures.sharp_by_unpredictable(curves, ax)
    marks = [len(drawn.get_offsets()) for drawn in ax.collections]
    assert marks == [2, 0, 0, 0]


def test_a_straight_line_has_its_yardstick_on_the_side_of_improvement(ax, curves):
    """Brier scores fall as models improve: their bar stands at -(M - 1) = -5, that of the grade at +5."""
    figures.emergence_by_metric(curves, ax)
    bars = {float(line.get_xdata()[0]) for line in ax.lines if line.get_linewidth() == 2.2}
    assert bars == {-5.0, 5.0}
    assert any("lower is better" in label.get_text() for label in ax.get_yticklabels())


def test_names_are_neither_mathematics_nor_boxes(results):
    """A name that would be a broken formula, or has characters without a shape, is drawn without error or warning."""
    own = results[(results["task"] == "step") & results["is_preferred"]]
    named = own.assign(family="$\\frac{$ 中\u202e", metric="$$")
    with figures.publication_style():
        figure = Figure()
        drawn = figures.curve(named, figure.add_subplot())
        drawn.legend()
    figures.figure_bytes(figure, "svg")
    assert drawn.lines[0].get_label().startswith(r"\$\frac{\$ □□")


def test_small_multiples_tell_subtasks_apart(results, curves):
    """The end of a subtask's name is kept when the task's is cut, and family and shots stand under it."""
    panel = curves.head(1).assign(task="a_task_with_a_very_long_name", subtask="a_task_with_a_very_long_name:length_10")
    grid = list(Figure().subplots(1, 1, squeeze=False).flat)
    figures.curve_grid(results, panel, grid)
    first, second = grid[0].get_title().split("\n")
    assert first.endswith(": length_10")
    assert second.endswith("3-shot")


def test_small_multiples_write_m_n_and_e(results, curves):
    """Each panel says M, n, E and the verdict; spare panels are switched off."""
    grid = list(Figure().subplots(2, 4).flat)
    panels = curves.head(6)
    figures.curve_grid(results, panels, grid)
    assert "M = 6, n unknown" in grid[0].texts[0].get_text()
    assert str(panels["verdict"].iloc[0]) in grid[0].texts[0].get_text()
    assert not grid[7].axison


def test_a_forest_shows_every_defined_task_and_the_mean_below(ax):
    """Tasks by effect, the undefined one left out, one with and one without an interval; then the mean and a new task's interval."""
    figures.effects_forest(TASK_EFFECTS, EFFECT, ax)
    assert [each.get_text() for each in ax.get_yticklabels()] == ["b", "a", "mean of 2"]
    ends = [line.get_xdata() for line in ax.get_lines()]
    assert any(np.allclose(each, [0.5 - 1.959964 * 0.2, 0.5 + 1.959964 * 0.2]) for each in ends)
    assert [-0.9, 1.3] in [list(each) for each in ends]
    assert [-0.3, 0.7] in [list(each) for each in ends]
    assert len(ends) == 4  # one task, the prediction, the mean and the zero line


def test_shares_are_drawn_in_percent_with_a_bound_at_zero(ax):
    """31% from 14 to 62 and at most 16%; a group without a share is left out."""
    figures.shares_by_group(POPULATION, ax)
    assert [list(np.round(line.get_xdata(), 6)) for line in ax.get_lines()] == [[14.0, 62.0], [0.0, 16.0]]
    assert [each.get_text() for each in ax.get_yticklabels()] == ["claimed\n54 tasks", "not claimed\n62 tasks"]
    assert len(ax.collections) == 3  # two shares and one arrow
