"""The effect of the metric, task by task and over tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bigbench_meta.figures.style import CLAIMED, INK, QUIET, as_drawn, axes

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

# The 97.5% point of a normal variable, for the interval of one task from its own error.
_NORMAL = 1.959964


def effects_forest(tasks: pd.DataFrame, whole: pd.Series[float], ax: Axes | None = None) -> Axes:
    """Forest plot: each task with its own interval, then the mean with its interval and that of a new task.

    Parameters
    ----------
    tasks : DataFrame
        Rows of TASK_EFFECTS of one pair of metrics, measure and family: ``task``, ``effect``, ``variance`` (NaN: no interval).
    whole : Series
        The row of EFFECTS with ``hard, soft, measure, n_tasks, effect, low, high, prediction_low, prediction_high``.
    ax : Axes, optional
        Where to draw.
    """
    ax = axes(ax)
    shown = tasks[tasks["effect"].notna()].sort_values(["effect", "task"])
    effect, error = shown["effect"].to_numpy(float), np.sqrt(shown["variance"].to_numpy(float))
    for row, (value, each) in enumerate(zip(effect, error, strict=True)):
        if np.isfinite(each):
            ax.plot([value - _NORMAL * each, value + _NORMAL * each], [row, row], color=QUIET, linewidth=1.2, zorder=2)
        ax.scatter(value, row, s=26, color=INK, marker="s", zorder=3)
    at = len(shown) + 0.4
    if np.isfinite(whole["prediction_low"]):
        ends = [whole["prediction_low"], whole["prediction_high"]]
        ax.plot(ends, [at, at], color=CLAIMED, linewidth=1.0, linestyle=":", zorder=2, label="a new task (95%)")
    if np.isfinite(whole["low"]):
        ax.plot([whole["low"], whole["high"]], [at, at], color=CLAIMED, linewidth=3, zorder=3, label="mean (95%)")
    ax.scatter(whole["effect"], at, s=48, color=CLAIMED, marker="D", zorder=4)
    labels = [as_drawn(task, most=40) for task in shown["task"].astype(str)]
    ax.set_yticks([*range(len(shown)), at], [*labels, f"mean of {int(whole['n_tasks'])}"])
    ax.set_ylim(at + 0.6, -0.6)
    ax.axvline(0, color=INK, linewidth=0.9)
    ax.grid(visible=False, axis="y")
    ax.set_xlabel(
        f"{whole['measure']}: {as_drawn(str(whole['soft']), most=30)} minus {as_drawn(str(whole['hard']), most=30)}"
    )
    ax.set_title("The effect of the metric on the same outputs")
    if ax.get_legend_handles_labels()[0]:
        ax.legend(loc="best")
    return ax


def shares_by_group(shares: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Share of curves of one shape in each group, with its interval; a share that may be 0 is drawn as a bound.

    Parameters
    ----------
    shares : DataFrame
        Rows of SHARES of one shape and definition, groups and no differences: ``group, shape, share, low, high, n_tasks``.
    ax : Axes, optional
        Where to draw.
    """
    ax = axes(ax)
    shown = shares[shares["share"].notna()].reset_index(drop=True)
    for row, each in enumerate(shown.to_dict("records")):
        low, high, share = 100 * each["low"], 100 * each["high"], 100 * each["share"]
        ax.plot([low, high], [row, row], color=CLAIMED, linewidth=1.6, zorder=2)
        if low == 0:
            ax.scatter(0, row, s=30, marker="<", color=CLAIMED, clip_on=False, zorder=3)
        ax.scatter(share, row, s=36, color=CLAIMED, zorder=3)
    ax.set_yticks(
        range(len(shown)),
        [
            f"{as_drawn(str(group), most=40)}\n{n} tasks"
            for group, n in zip(shown["group"], shown["n_tasks"], strict=True)
        ],
    )
    ax.set_ylim(len(shown) - 0.5, -0.5)
    ax.set_xlim(0, 100)
    ax.grid(visible=False, axis="y")
    ax.set_xlabel(f"tasks whose curve is {shown['shape'].iloc[0] if len(shown) else 'of the shape'} (%, 95% interval)")
    ax.set_title("Shares of the population, undecided curves included")
    return ax
