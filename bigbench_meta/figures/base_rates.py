"""Claims of emergence by metric, always beside the base rate of those metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import NullLocator

from bigbench_meta.figures.drawn_tables import GIVEN, drawn_table
from bigbench_meta.figures.style import ALL_TASKS, CLAIMED, INK, QUIET, as_drawn, axes

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def claims_by_metric(counts: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Share of claimed tasks per preferred metric, beside the share of all tasks: the paper's figure 5B with its base rate.

    Parameters
    ----------
    counts : DataFrame
        One row per preferred metric: ``metric``, ``n_claimed`` (claimed tasks that prefer it), ``n_tasks`` (all tasks
        that prefer it). Metrics without any claim are drawn in one last row, with their number.
    ax : Axes, optional
        Where to draw.
    """
    counts = drawn_table(counts, ("metric", "n_claimed", "n_tasks"), what=GIVEN)
    ax = axes(ax)
    claimed_total, task_total = int(counts["n_claimed"].sum()), int(counts["n_tasks"].sum())
    named = counts[counts["n_claimed"] > 0].sort_values(
        ["n_claimed", "n_tasks", "metric"], ascending=[False, False, True]
    )
    rest = counts[counts["n_claimed"] == 0]
    labels = [as_drawn(metric, most=40) for metric in named["metric"]]
    claimed, tasks = list(named["n_claimed"]), list(named["n_tasks"])
    if len(rest):
        labels.append(
            as_drawn(rest["metric"].iloc[0], most=40) if len(rest) == 1 else f"{len(rest)} metrics without a claim"
        )
        claimed.append(0)
        tasks.append(int(rest["n_tasks"].sum()))
    for row, (n_claimed, n_tasks) in enumerate(zip(claimed, tasks, strict=True)):
        share, base = 100 * n_claimed / claimed_total, 100 * n_tasks / task_total
        ax.plot([base, share], [row, row], color=QUIET, linewidth=1, zorder=1)
        ax.scatter(
            base,
            row,
            s=42,
            facecolor="white",
            edgecolor=ALL_TASKS,
            linewidth=1.6,
            zorder=2,
            label="all tasks" if row == 0 else None,
        )
        ax.scatter(share, row, s=42, color=CLAIMED, zorder=3, label="tasks claimed emergent" if row == 0 else None)
        ax.annotate(
            f"{n_claimed} of {n_tasks}",
            (max(share, base), row),
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
            size=8,
        )
    ax.set_yticks(range(len(labels)), labels)
    ax.invert_yaxis()
    ax.set_xlim(
        -2, 1.18 * max(100 * max(claimed) / claimed_total, 100 * max(tasks) / task_total)
    )  # room for the counts
    ax.grid(visible=False, axis="y")
    ax.set_xlabel(f"% of the {claimed_total} claimed tasks, and of all {task_total}")
    ax.set_title("Claims by metric, beside the base rate")
    ax.legend(loc="lower right")
    return ax


def two_metric_share(rows: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Share of the two leading metrics among claims and among comparison groups: the paper's figure 5C with its base rate.

    Parameters
    ----------
    rows : DataFrame
        One row per group: ``group`` (label), ``n`` (tasks with one of the two metrics), ``total`` (tasks),
        ``low`` and ``high`` (ends of an interval of the share, 0 to 1; NaN where there is none, as for a whole population).
    ax : Axes, optional
        Where to draw.
    """
    rows = drawn_table(rows, ("group", "n", "total", "low", "high"), what=GIVEN)
    ax = axes(ax)
    count, total = rows["n"].to_numpy(dtype=int), rows["total"].to_numpy(dtype=int)
    low, high = 100 * rows["low"].to_numpy(dtype=float), 100 * rows["high"].to_numpy(dtype=float)
    share = 100 * count / total
    for i in range(len(rows)):
        colour, strength = (CLAIMED, 0.9) if i == 0 else (ALL_TASKS, 0.6)
        ax.barh(i, share[i], height=0.55, color=colour, alpha=strength, zorder=2)
        if np.isfinite(low[i]):
            ends = [[share[i] - low[i]], [high[i] - share[i]]]
            ax.errorbar(share[i], i, xerr=ends, color=INK, capsize=3, linewidth=1, zorder=3)
        words = f"{count[i]} of {total[i]} = {share[i]:.1f}%"
        ax.text(1.5, i, words, va="center", ha="left", size=8, color="#fefefe", weight="bold", zorder=4)
    ax.set_yticks(range(len(rows)), [as_drawn(group, most=40) for group in rows["group"]])
    ax.invert_yaxis()
    ax.set_xlim(0, 100)
    ax.grid(visible=False, axis="y")
    ax.set_xlabel("share that prefer multiple_choice_grade or exact_str_match (%)")
    ax.set_title("A share means nothing without its base rate")
    return ax


def odds_ratios(rows: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Odds ratios with their intervals, one row a comparison: over-represented beyond the base rate or not.

    Parameters
    ----------
    rows : DataFrame
        ``label``, ``estimate``, ``low``, ``high`` (odds ratios; an open end is an arrow at the edge),
        ``cases_in``, ``cases``, ``base_in``, ``base`` (counts of tasks, written beside each row).
    ax : Axes, optional
        Where to draw.
    """
    rows = drawn_table(rows, ("label", "estimate", "low", "high", "cases_in", "cases", "base_in", "base"), what=GIVEN)
    ax = axes(ax)
    estimate, low, high = (rows[name].to_numpy(dtype=float) for name in ("estimate", "low", "high"))
    finite = np.concatenate([estimate, low, high])
    finite = finite[np.isfinite(finite) & (finite > 0)]
    left, right = (finite.min() / 1.6, finite.max() * 1.6) if len(finite) else (0.1, 10.0)
    for i in range(len(rows)):
        if not np.isfinite(estimate[i]) and not np.isfinite(low[i]):
            ax.text(1.1, i, "cannot be estimated", va="center", size=7, color=QUIET)
            continue
        ends = [low[i] if low[i] > 0 else left, high[i] if np.isfinite(high[i]) else right]
        clear = ends[0] > 1 or ends[1] < 1
        ax.plot(ends, [i, i], color=CLAIMED if clear else QUIET, linewidth=1.4, zorder=2)
        for end, marker, is_open in ((ends[0], "<", not low[i] > 0), (ends[1], ">", not np.isfinite(high[i]))):
            if is_open:
                ax.scatter(end, i, s=30, marker=marker, color=QUIET, clip_on=False, zorder=3)
        if np.isfinite(estimate[i]) and estimate[i] > 0:
            ax.scatter(estimate[i], i, s=34, color=CLAIMED if clear else QUIET, marker="D" if clear else "o", zorder=3)
    counts = rows[["cases_in", "cases", "base_in", "base"]].astype("Int64").astype(str).to_numpy()
    labels = [
        f"{as_drawn(label, most=40)}\n{a} of {b} against {c} of {d}"
        for label, (a, b, c, d) in zip(rows["label"].astype(str), counts, strict=True)
    ]
    ax.axvline(1, color=INK, linewidth=0.9)
    ax.set_xscale("log")
    ax.set_xlim(left, right)
    ticks = [tick for tick in (0.01, 0.1, 0.3, 1, 3, 10, 30, 100, 1000) if left <= tick <= right]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks], minor=False)
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_yticks(range(len(rows)), labels)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.grid(visible=False, axis="y")
    ax.set_xlabel("odds ratio with its interval (1: as often as the base rate)")
    return ax
