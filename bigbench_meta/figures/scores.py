"""Emergence scores by metric, and the map of sharp against unpredictable curves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bigbench_meta.cards import counted
from bigbench_meta.figures.drawn_tables import CURVES, drawn_table
from bigbench_meta.figures.style import ALL_TASKS, CLAIMED, INK, MANY_MARKS, QUIET, as_drawn, axes
from bigbench_meta.schema import DERIVED_METRIC

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

# Of the boxes behind the dots: light enough that blue dots and black diamonds stand out, in grey too.
_PALE = "#c3d9ea"


def emergence_by_metric(curves: pd.DataFrame, ax: Axes | None = None, *, most: int = 20) -> Axes:
    """Distribution of the emergence score E per metric, one point a curve: the paper's figure 5A with its yardsticks.

    A diamond is the median, its bar the middle half; the pale boxes behind halve what is left at either side, down to the
    last eight curves (letter values). The thick grey bar marks, per metric, what a straight line over as
    many scales would score (M - 1 in size, negative where lower is better): a score nearer to zero says nothing about
    sharpness. The derived aggregate is no measurement of its own and is not drawn.

    Parameters
    ----------
    curves : DataFrame
        CURVES; curves whose score is undefined are counted in the label and not drawn.
    ax : Axes, optional
        Where to draw.
    most : int
        Metrics shown, those with the largest median first; how many were left out is said in the title, and so is how
        many metrics have no curve with a defined score.
    """
    curves = drawn_table(curves, ("task", "metric", "n_scales", "emergence_score", "direction"), what=CURVES)
    import seaborn as sns

    curves = curves[curves["metric"].astype(str) != DERIVED_METRIC]
    scored = curves[np.isfinite(curves["emergence_score"])]
    metric = scored["metric"].astype(str)
    order = list(scored.groupby(metric)["emergence_score"].median().sort_values(ascending=False, kind="stable").index)
    shown = order[:most]
    ax = axes(ax, height=1.2 + 0.55 * len(shown))
    visible = scored[metric.isin(shown)]
    straight = (visible["n_scales"] - 1).groupby(metric[visible.index]).max()
    directions = visible["direction"].astype(str).groupby(metric[visible.index]).agg(set)
    for row, name in enumerate(shown):
        for sign in _signs(directions[name]):
            end = sign * straight[name]
            ax.plot([end, end], [row - 0.36, row + 0.36], color=QUIET, linewidth=2.2, solid_capstyle="butt", zorder=1)
    names = visible["metric"].astype(str)
    spread = np.random.default_rng(0).uniform(-0.2, 0.2, len(visible))  # where a dot sits in its row carries no meaning
    rows = names.map(shown.index).to_numpy() + spread
    ax.scatter(
        visible["emergence_score"], rows, s=9, alpha=0.5, color=ALL_TASKS, linewidth=0, zorder=2,
        rasterized=len(visible) > MANY_MARKS,
    )  # fmt: skip
    places = {"x": visible["emergence_score"], "y": names, "order": shown, "orient": "h", "ax": ax}
    sns.boxenplot(
        **places, width=0.5, color=_PALE, saturation=1, linewidth=0.6, showfliers=False,
        line_kws={"alpha": 0}, zorder=1.5,
    )  # fmt: skip
    sns.pointplot(
        **places, estimator="median", errorbar=("pi", 50), color=INK, marker="D", markersize=5, capsize=0.15,
        linestyle="none", err_kws={"linewidth": 1.4, "color": INK}, zorder=3,
    )  # fmt: skip
    ax.set_ylim(len(shown) - 0.5, -0.5)
    undefined = curves.loc[~np.isfinite(curves["emergence_score"]), "metric"].astype(str).value_counts()
    labels = []
    for name in shown:
        own = visible[names == name]
        gone = int(undefined.get(name, 0))
        counts = f"{counted(len(own), 'curve')}, {counted(own['task'].nunique(), 'task')}"
        better = "lower is better; " if directions[name] == {"lower"} else ""
        labels.append(f"{as_drawn(name, most=40)}\n{better}{counts}" + (f", {gone} undefined" if gone else ""))
    ax.set_yticks(range(len(shown)), labels)
    ax.set_ylabel("")
    ax.axvline(0, color=QUIET, linewidth=0.8)
    _symlog_if_wide(ax, visible["emergence_score"])
    ax.set_xlabel("emergence score E (thick bar: a straight line)")
    left_out = len(order) - len(shown)
    without = curves["metric"].astype(str).nunique() - len(order)
    notes = [f"first {most}, {left_out} left out"] if left_out else []
    notes += [f"{counted(without, 'metric')} without a defined score"] if without else []
    ax.set_title("Emergence score by metric" + (f"\n({'; '.join(notes)})" if notes else ""))
    return ax


def _signs(directions: set[str]) -> tuple[int, ...]:
    """Sign of E for improvement: both where the direction is unknown or differs between tasks."""
    return {frozenset({"higher"}): (1,), frozenset({"lower"}): (-1,)}.get(frozenset(directions), (1, -1))


def _symlog_if_wide(ax: Axes, values: pd.Series) -> None:
    """Compress the tail where one curve would squeeze all others into a corner."""
    largest = float(values.abs().max()) if len(values) else 0.0
    if largest > 60:
        ax.set_xscale("symlog", linthresh=10)
        ax.margins(x=0.06)  # the outermost curve stands inside the frame


def sharp_by_unpredictable(curves: pd.DataFrame, ax: Axes | None = None, *, level: float = 0.05) -> Axes:
    """Map of curves: evidence for sharpness against evidence for surprise; emergent means both.

    Parameters
    ----------
    curves : DataFrame
        CURVES after analysis: ``q_sharp``, ``q_surprise`` (0 to 1), ``task``; an optional boolean column ``claimed``
        marks published claims. Curves without both values are counted in the title and not drawn.
    ax : Axes, optional
        Where to draw.
    level : float
        Where the two lines stand.
    """
    curves = drawn_table(curves, ("task", "q_sharp", "q_surprise"), what=CURVES)
    ax = axes(ax)
    known = curves[curves["q_sharp"].notna() & curves["q_surprise"].notna()]
    claimed = known["claimed"].astype(bool) if "claimed" in known else known["q_sharp"] < 0
    floor = 1e-4  # p-values of 999 draws end at 0.001; anything below the floor is drawn on it
    x, y = -np.log10(known["q_sharp"].clip(lower=floor)), -np.log10(known["q_surprise"].clip(lower=floor))
    line = -np.log10(level)
    # Adjusted values are shared by many curves: one mark per place (to 2%), its size and number tell how many.
    placed = known.assign(x=x.round(2), y=y.round(2))
    for chosen, label, marker, colour, side in (
        (~claimed, "not claimed", "o", ALL_TASKS, -1),
        (claimed, "claimed emergent", "D", CLAIMED, 1),
    ):
        places = placed[chosen].groupby(["x", "y"]).size().reset_index(name="n")
        size = 14 + 4 * places["n"].clip(upper=25)
        face = colour if side > 0 else "none"
        ax.scatter(places["x"] + 0.008 * side, places["y"], s=size, marker=marker, facecolor=face, edgecolor=colour)
        ax.scatter([], [], s=22, marker=marker, facecolor=face, edgecolor=colour, label=label)
        for px, py, n in places[places["n"] > 1].to_numpy():
            away = side * (5 + 0.6 * np.sqrt(14 + 4 * min(n, 25)))
            ax.annotate(
                f"{n:.0f}", (px, py), xytext=(0, away), textcoords="offset points",
                size=6.5, ha="center", va="center", color=colour,
            )  # fmt: skip
    ax.axvline(line, color=QUIET, linewidth=0.9, linestyle="--")
    ax.axhline(line, color=QUIET, linewidth=0.9, linestyle="--")
    both = known[(x > line) & (y > line)]
    for name, px, py in zip(both["task"].astype(str)[:8], x[both.index][:8], y[both.index][:8], strict=True):
        ax.annotate(as_drawn(name, most=40), (px, py), xytext=(5, 3), textcoords="offset points", size=7, color=INK)
    ticks = np.array([1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.001])
    for axis, values, limit in ((ax.xaxis, x, ax.set_xlim), (ax.yaxis, y, ax.set_ylim)):
        edge = max(1.25 * line, 1.1 * float(values.max()) if len(values) else 0.0)
        axis.set_ticks(
            [tick for tick in -np.log10(ticks) if tick <= edge],
            [f"{tick:g}" for tick in ticks if -np.log10(tick) <= edge],
        )
        limit(-0.13, edge)
    ax.set_xlabel("q-value of sharpness (further right: sharper than smooth curves)")
    ax.set_ylabel("q-value of surprise (further up: less foreseen)")
    ax.set_title(
        f"Sharp and unpredictable: {len(both)} of {len(known)} curves ({len(curves) - len(known)} not testable)"
    )
    ax.legend(loc="best")
    return ax
