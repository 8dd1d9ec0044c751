"""Figures beside the paper's 7, 8 and 10: functions of a results frame that draw on axes and return them.

Lines are means over trials, bands reach from the lowest to the highest trial. Nothing is saved or shown here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bigbench_meta.experiments.vision.outcomes_table import mean_by_scale, threshold_table
from bigbench_meta.experiments.vision.statements import (
    GROUP_STEM,
    SMOOTH,
    hard_metric,
    headline_threshold,
    independence_table,
    of_family,
)
from bigbench_meta.experiments.vision.training_plan import LONGEST

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_INK, _SMOOTH, _HARD = "#222222", "#0072b2", "#d55e00"
_MARKERS = ("o", "s", "^", "D", "v")
_GROUPING_LOOKS: dict[str, dict[str, Any]] = {
    "random": {"color": "#0072b2", "marker": "o"},
    "same class": {"color": "#d55e00", "marker": "s", "linestyle": (0, (5, 2))},
    "neighbours in the file": {"color": "#009e73", "marker": "^", "linestyle": (0, (1, 1.5))},
}
_SCALE_LABEL = {"autoencoder": "bottleneck units", "lenet": "parameters", "transformer": "parameters"}


def draw_experiment(
    frame: pd.DataFrame, experiment: str, *, axes: tuple[Axes, Axes, Axes] | None = None
) -> tuple[Axes, ...]:
    """Draw one experiment: the smooth metric, the hard one, and what stands behind the hard one.

    Parameters
    ----------
    frame : DataFrame
        Results of one image set.
    experiment : {"autoencoder", "lenet", "transformer"}
        After Mirage's figures 7, 8 and 10. The third panel sweeps the threshold c, or shows where groups of images
        depart from independence.
    axes : three Axes, optional
        Where to draw; a new figure of three panels by default.

    Returns
    -------
    tuple of three Axes
    """
    if axes is None:
        import matplotlib.pyplot as plt

        figure = plt.figure(figsize=(9.6, 3.3), layout="constrained")
        panels = figure.subplots(1, 3)
        axes = (panels[0], panels[1], panels[2])
    draw_smooth(frame, experiment, ax=axes[0])
    if experiment == "autoencoder":
        draw_reconstruction(frame, ax=axes[1])
        draw_threshold_sweep(frame, ax=axes[2])
    else:
        draw_groups(frame, experiment, ax=axes[1])
        draw_independence(frame, experiment, ax=axes[2])
    return axes


def draw_smooth(frame: pd.DataFrame, experiment: str, *, ax: Axes | None = None) -> Axes:
    """Draw the smooth metric of an experiment over scale: squared error, or accuracy per image."""
    ax = _axes(ax)
    rows = of_family(frame, experiment)
    metric = SMOOTH[experiment]
    _band(ax, mean_by_scale(rows, metric), color=_SMOOTH, marker="o")
    _scale_axis(ax, experiment)
    if experiment == "autoencoder":
        ax.set_ylabel("mean squared error per image")
        ax.set_ylim(bottom=0)
    else:
        ax.set_ylabel("accuracy per image")
        ax.set_ylim(-0.03, 1.03)
    ax.set_title("Smooth metric")
    _note(ax, rows, metric)
    return ax


def draw_reconstruction(frame: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the share of images reconstructed within the headline threshold, over bottleneck units."""
    ax = _axes(ax)
    rows = of_family(frame, "autoencoder")
    metric = hard_metric(frame, "autoencoder")
    _band(ax, mean_by_scale(rows, metric), color=_HARD, marker="s")
    _scale_axis(ax, "autoencoder")
    ax.set_ylim(-0.03, 1.03)
    ax.set_ylabel(f"share of images with error < {headline_threshold(frame):g}")
    ax.set_title("Hard metric, same models")
    _note(ax, rows, metric)
    return ax


def draw_threshold_sweep(frame: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the share reconstructed for every threshold c of the stated grid, the headline thicker."""
    import matplotlib as mpl

    ax = _axes(ax)
    rows = of_family(frame, "autoencoder")
    table = threshold_table(rows)
    colours = mpl.colormaps["viridis"](np.linspace(0.0, 0.88, len(table)))
    for colour, row in zip(colours, table.itertuples(), strict=True):
        points = mean_by_scale(rows, str(row.metric))
        ax.plot(
            points["scale"],
            points["score"],
            color=colour,
            linewidth=2.6 if row.is_headline else 1.2,
            label=f"{row.c:g}{' (headline)' if row.is_headline else ''}",
        )
    _scale_axis(ax, "autoencoder")
    ax.set_ylim(-0.03, 1.03)
    ax.set_ylabel("share of images with error < c")
    ax.set_title("Every threshold of the rule")
    ax.legend(title="c", loc="upper left", handlelength=1.2, labelspacing=0.25, borderaxespad=0.2)
    return ax


def draw_groups(frame: pd.DataFrame, experiment: str, *, ax: Axes | None = None) -> Axes:
    """Draw the share of groups all right for K (or L) = 1..5, and the closed form accuracy^K as dashes."""
    import matplotlib as mpl

    ax = _axes(ax)
    rows = of_family(frame, experiment)
    table = independence_table(frame, experiment)
    letter = "K" if experiment == "lenet" else "L"
    colours = mpl.colormaps["inferno"](np.linspace(0.1, 0.78, LONGEST))
    for size, colour, marker in zip(range(1, LONGEST + 1), colours, _MARKERS, strict=True):
        points = mean_by_scale(rows, f"{GROUP_STEM[experiment]}{size}")
        _band(ax, points, color=colour, marker=marker, label=f"{letter} = {size}")
        expected = table[(table["grouping"] == "random") & (table["size"] == size)]
        ax.plot(expected["scale"], expected["expected"], color=_INK, linewidth=0.9, linestyle=(0, (3, 2)), zorder=4)
    ax.plot([], [], color=_INK, linewidth=0.9, linestyle=(0, (3, 2)), label=f"accuracy$^{letter}$")
    _scale_axis(ax, experiment)
    ax.set_ylim(-0.03, 1.03)
    ax.set_ylabel(f"share of {'subsets' if experiment == 'lenet' else 'sequences'} with all {letter} right")
    ax.set_title("Hard metric, same models")
    n = int(rows.loc[rows["metric"] == SMOOTH[experiment], "n_items"].iloc[0])
    title = f"n = {n}/K subsets" if experiment == "lenet" else f"n = {n // LONGEST} sequences"
    ax.legend(title=title, loc="lower right", handlelength=1.6, labelspacing=0.25, borderaxespad=0.2)
    return ax


def draw_independence(frame: pd.DataFrame, experiment: str, *, ax: Axes | None = None) -> Axes:
    """Draw measured minus accuracy^5 for groups of 5 put together in different ways: zero is independence."""
    ax = _axes(ax)
    table = independence_table(frame, experiment)
    longest = table[table["size"] == LONGEST]
    for grouping, points in longest.groupby("grouping", sort=False):
        look = _GROUPING_LOOKS[str(grouping)]
        ax.plot(points["scale"], points["excess"], label=str(grouping), **look)
        ax.fill_between(
            points["scale"], points["excess_low"], points["excess_high"], color=look["color"], alpha=0.15, linewidth=0
        )
    ax.axhline(0, color=_INK, linewidth=0.8)
    _scale_axis(ax, experiment)
    letter = "K" if experiment == "lenet" else "L"
    ax.set_ylabel(f"measured − accuracy$^{LONGEST}$")
    ax.set_title(f"Where independence fails, {letter} = {LONGEST}")
    ax.legend(loc="upper right", title="images of a group", borderaxespad=0.2)
    return ax


def draw_stopped_ladders(
    frame: pd.DataFrame, stopped: pd.DataFrame, experiment: str, *, ax: Axes | None = None
) -> Axes:
    """Draw the curves of an experiment and mark the sizes at which a study that stopped there would call it emergent.

    Parameters
    ----------
    frame : DataFrame
        Results.
    stopped : DataFrame
        From `calibration.stopped_ladders`.
    experiment : {"autoencoder", "lenet", "transformer"}
    """
    ax = _axes(ax)
    rows = of_family(frame, experiment)
    mine = stopped[stopped["family"] == experiment]
    looks = zip(
        sorted(set(mine["metric"])), (_SMOOTH, _HARD, "#009e73"), ("-", (0, (5, 2)), (0, (1, 1.5))), strict=False
    )
    for metric, colour, dashes in looks:
        points = mean_by_scale(rows, metric)
        label = metric.replace("reconstruction_c=", "error < ").replace("_", " ")
        ax.plot(points["scale"], points["score"], color=colour, linestyle=dashes, marker=".", markersize=4, label=label)
        flagged = mine.loc[(mine["metric"] == metric) & mine["emergent"].fillna(value=False).astype(bool), "stopped_at"]
        there = points[points["scale"].isin(flagged)]
        ax.scatter(
            there["scale"], there["score"], s=70, marker="*", color=colour, edgecolor=_INK, linewidth=0.6, zorder=5
        )
    ax.scatter(
        [], [], s=70, marker="*", color="white", edgecolor=_INK, linewidth=0.8, label="emergent if\nstopped here"
    )
    _scale_axis(ax, experiment)
    ax.set_ylim(-0.03, 1.03)
    ax.set_ylabel("score")
    ax.set_title({"autoencoder": "Autoencoders", "lenet": "LeNet family", "transformer": "Transformers"}[experiment])
    ax.legend(loc="upper left" if experiment == "autoencoder" else "lower right", handlelength=1.6, borderaxespad=0.2)
    return ax


def _axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.figure(layout="constrained").add_subplot()


def _band(ax: Axes, points: pd.DataFrame, *, color: Any, marker: str, label: str | None = None) -> None:  # noqa: ANN401 - any colour matplotlib takes
    ax.fill_between(points["scale"], points["low"], points["high"], color=color, alpha=0.18, linewidth=0)
    ax.plot(points["scale"], points["score"], color=color, marker=marker, label=label)


def _scale_axis(ax: Axes, experiment: str) -> None:
    ax.set_xscale("log")
    ax.set_xlabel(_SCALE_LABEL[experiment])
    if experiment == "autoencoder":
        octaves = 2 ** np.arange(int(np.log2(ax.dataLim.x1)) + 1)
        ax.set_xticks(octaves, [str(units) for units in octaves])
        ax.minorticks_off()


def _note(ax: Axes, rows: pd.DataFrame, metric: str) -> None:
    """State n and the trials on the plot."""
    chosen = rows.loc[rows["metric"] == metric]
    n, trials = int(chosen["n_items"].iloc[0]), chosen["trial"].nunique()
    falls = str(metric) == "mean_squared_error"
    ax.text(
        0.97, 0.95 if falls else 0.05, f"n = {n} test images\n{trials} seeds per size",
        transform=ax.transAxes, ha="right", va="top" if falls else "bottom", fontsize="small", color="#555555",
    )  # fmt: skip
