"""Curves over model scale: one, two metrics side by side, many."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.ticker import NullLocator

from bigbench_meta.facts.metrics import metric_key
from bigbench_meta.figures.drawn_tables import CURVES, SCORES, drawn_table
from bigbench_meta.figures.style import QUIET, Look, as_drawn, axes, looks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
# Matplotlib places ticks by powers and differences, which are infinite near the largest float.
_LARGEST_DRAWN = 1e100
REFERENCE_KEY = ("task", "subtask", "metric")


def curve(
    points: pd.DataFrame,
    ax: Axes | None = None,
    *,
    title: str | None = None,
    style: Mapping[str, Look] | None = None,
    references: pd.DataFrame | None = None,
) -> Axes:
    """Scores over scale, one line per family.

    Parameters
    ----------
    points : DataFrame
        RESULTS rows of one (task, subtask, metric, shots): ``family``, ``scale``, ``score``. Optional columns:
        ``low`` and ``high``, the ends of a noise band. Scores beyond 1e100 are not drawn; the legend counts them.
    ax : Axes, optional
        Where to draw.
    title : str, optional
        Shown above; the number of scales M of each family is put in the legend.
    style : mapping of family to look, optional
        The same for several figures; by default made from the families of ``points``.
    references : DataFrame, optional
        From `bigbench_meta.analysis.references.references`: those of the task, subtask and metric of ``points`` are
        drawn as level lines (chance, human raters).
    """
    points = drawn_table(points, ("family", "scale", "score", "metric"), what=SCORES)
    ax = axes(ax)
    families = points["family"].astype(str)
    chosen = looks(families) if style is None else style
    for family in sorted(families.unique()):
        look = chosen[family]
        rows = points[families == family]
        numbers = [name for name in ("score", "low", "high") if name in rows.columns]
        too_large = rows["score"].abs() > _LARGEST_DRAWN
        rows = rows.assign(**{name: rows[name].mask(too_large) for name in numbers})
        line = rows.groupby("scale", as_index=False)["score"].mean()
        words = f"M = {len(line)}" + (f", {int(too_large.sum())} scores too large to draw" if too_large.any() else "")
        ax.plot(line["scale"], line["score"], label=f"{as_drawn(family, most=40)} ({words})", **look)
        if len(numbers) == 3:
            band = rows.groupby("scale", as_index=False)[["low", "high"]].mean()
            ax.fill_between(band["scale"], band["low"], band["high"], color=look["color"], alpha=0.18, linewidth=0)
    _reference_lines(points, ax, references)
    if not (points["score"].abs() <= _LARGEST_DRAWN).any() and len(
        points
    ):  # without a point there is no positive limit
        ax.set_xlim(points["scale"].min() / 2, points["scale"].max() * 2)
    ax.set_xscale("log")
    ax.set_xlabel("effective parameters")
    metrics = points["metric"].astype(str).unique()
    ax.set_ylabel(as_drawn(metrics[0], most=60) if len(metrics) == 1 else "score")
    if title:
        ax.set_title(title)
    return ax


def _reference_lines(points: pd.DataFrame, ax: Axes, references: pd.DataFrame | None) -> None:
    """Level lines of the references that fit every row of ``points``, each with its name at the right end."""
    if references is None or not len(points):
        return
    first = points.iloc[0]
    fits = np.logical_and.reduce([references[name].astype(str) == str(first[name]) for name in REFERENCE_KEY])
    for kind, level in references.loc[fits, ["kind", "level"]].itertuples(index=False):
        ax.axhline(level, color=QUIET, linewidth=0.9, linestyle=":" if kind == "chance" else "-.", zorder=1)
        ax.annotate(
            as_drawn(kind), (1, level), xycoords=("axes fraction", "data"), xytext=(-2, 2), textcoords="offset points",
            ha="right", size=6.5, color=QUIET,
        )  # fmt: skip


def metric_pair(
    points: pd.DataFrame,
    axs: tuple[Axes, Axes],
    *,
    task: str,
    metrics: tuple[str, str],
    references: pd.DataFrame | None = None,
) -> tuple[Axes, Axes]:
    """One task's curves under two metrics of the same outputs, side by side: the paper's figure 6.

    Parameters
    ----------
    points : DataFrame
        RESULTS rows of one subtask and shot count per task; those of ``task`` under either metric are drawn.
    axs : pair of Axes
        Left for the first metric, right for the second.
    task, metrics : str, pair of str
        What to draw.
    references : DataFrame, optional
        As for `curve`.
    """
    points = drawn_table(points, ("task", "subtask", "metric", "family", "scale", "score"), what=SCORES)
    present = set(points["metric"].astype(str))
    for ax, metric in zip(axs, (metric_key(name, known=present) for name in metrics), strict=True):
        own = points[(points["task"] == task) & (points["metric"] == metric)]
        curve(own, ax, references=references)
        whole = as_drawn(" and ".join(own["subtask"].astype(str).unique()) or task, most=40)
        ax.set_title(f"{whole}\n{as_drawn(metric, most=40)}", size=8)  # names are long, the panels narrow
        ax.set_ylabel("score")
    axs[0].legend(loc="best")
    return axs


def curve_grid(
    points: pd.DataFrame,
    panels: pd.DataFrame,
    axs: Sequence[Axes],
    *,
    words: Sequence[str] = ("verdict",),
    references: pd.DataFrame | None = None,
) -> Sequence[Axes]:
    """Small multiples: one curve per panel with its noise band, M, n and what was found.

    Parameters
    ----------
    points : DataFrame
        One row per point with the key of CURVES, ``scale``, ``score`` and, where known, ``low`` and ``high``.
    panels : DataFrame
        Rows of CURVES, one per panel, in order; ``n_scales``, ``n_items`` and ``emergence_score`` are written.
    axs : sequence of Axes
        At least as many as panels; the rest are switched off.
    words : sequence of str
        Further columns of ``panels`` to write, where they are not missing.
    references : DataFrame, optional
        As for `curve`.
    """
    points = drawn_table(points, ("task", "family", "scale", "score"), what=SCORES)
    panels = drawn_table(
        panels, ("task", "subtask", "family", "shots", "n_scales", "n_items", "emergence_score"), what=CURVES
    )
    key = [name for name in ("task", "subtask", "metric", "family", "shots") if name in points.columns]
    style = looks(panels["family"].astype(str))
    shown = points[points["task"].isin(panels["task"])]
    places = shown[key].astype(str)
    for ax, row in zip(axs, panels.to_dict("records"), strict=False):
        own = shown[(places == [str(row[name]) for name in key]).all(axis=1)]
        curve(own, ax, style=style, references=references)
        n = "n unknown" if pd.isna(row["n_items"]) else f"n = {row['n_items']:.0f}"
        score = row["emergence_score"]
        floored = row.get("emergence_floored", np.nan)
        undefined = "E undefined" if pd.isna(floored) else f"E undefined\n{floored:.1f} in steps of 1/n"
        facts = [f"M = {row['n_scales']}, {n}", undefined if pd.isna(score) else f"E = {score:.1f}"]
        facts += [str(row[word]) for word in words if word in row and not pd.isna(row[word])]
        shots = "" if row["shots"] < 0 else f", {row['shots']}-shot"
        ax.set_title(f"{_short(row['task'], row['subtask'])}\n{as_drawn(row['family'], most=16)}{shots}", size=6.5)
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter(_power_of_ten)  # a third faster than formulas, which look the same
        ax.text(0.03, 0.97, "\n".join(facts), transform=ax.transAxes, va="top", size=6.5, color=QUIET)
        place = ax.get_subplotspec()
        ax.set_xlabel("effective parameters" if place is None or place.is_last_row() else "", size=6.5)
        ax.set_ylabel("")
        ax.tick_params(labelsize=6.5)
    for ax in axs[len(panels) :]:
        ax.set_axis_off()
    return axs


def _power_of_ten(value: float, _position: float) -> str:
    """The label of a tick on a log axis, without a formula."""
    exponent = round(np.log10(value))
    return f"10{str(exponent).translate(_SUPERSCRIPTS)}" if np.isclose(value, 10.0**exponent) else f"{value:g}"


def _short(task: object, subtask: object) -> str:
    """The task, and the end of the subtask's name, which is what tells subtasks apart."""
    task, subtask = str(task), str(subtask)
    if subtask == task:
        return as_drawn(task, most=23)
    own = subtask.removeprefix(f"{task}:")
    return f"{as_drawn(task, most=22 - min(len(own), 12))}: {as_drawn(own, most=12)}"
