"""Figures of the three predictions, from the tables of `predictions`: beside the paper's figures 3 and 4."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bigbench_meta.figures.style import Look, as_drawn

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_QUIET = "#555555"
# A family's marker: seeds of one ladder lie on top of each other and share the colour of their subtask.
_FAMILIES = ("o", "s", "^", "D")
# Python refuses to read numbers of thousands of digits; no count in a name has as many as this.
_MOST_DIGITS = 18


def _shade(rank: int, count: int) -> tuple[float, float, float, float]:
    """Colours from light to dark, so that order shows in grey as well; a single one is dark."""
    from matplotlib import colormaps

    # below .35 the colour is too light for thin lines on white
    return colormaps["viridis_r"](0.35 + 0.6 * rank / (count - 1) if count > 1 else 0.75)


def metric_pair(
    points: pd.DataFrame, axs: tuple[Axes, Axes], *, task: str, only: tuple[str, ...] = ()
) -> tuple[Axes, Axes]:
    """Draw one task under accuracy and under edit distance of the same outputs, over scale: the paper's figure 3.

    Parameters
    ----------
    points
        ``prediction_1_points``. A colour is a subtask (in the ladder a target length), a line a family.
    axs
        Left for accuracy with exact binomial intervals, dotted what token success implies of it; right for edit distance.
    task
        Which task.
    only
        Its subtasks to draw; all of them where empty.
    """
    from matplotlib.lines import Line2D

    rows = points[(points["task"] == task) & (points["subtask"].isin(only) if only else True)]
    subtasks = sorted(rows["subtask"].unique(), key=_natural)
    families = sorted(rows["family"].unique())
    marker = {name: _FAMILIES[i % len(_FAMILIES)] for i, name in enumerate(families)}
    for rank, subtask in enumerate(subtasks):
        look = Look(color=_shade(rank, len(subtasks)), ms=3, lw=1.1)
        for number, (family, line) in enumerate(rows[rows["subtask"] == subtask].groupby("family", sort=True)):
            name = _spoken(str(subtask).removeprefix(f"{task}:"), most=30) if number == 0 else None
            errors = np.array([line["accuracy"] - line["low"], line["high"] - line["accuracy"]]).clip(min=0)
            axs[0].errorbar(line["scale"], line["accuracy"], yerr=errors, marker=marker[family], elinewidth=0.6, **look)
            if "implied_accuracy" in line:
                axs[0].plot(line["scale"], line["implied_accuracy"], ls=":", color=look["color"], lw=1)
            axs[1].plot(line["scale"], line["distance"], marker=marker[family], label=name, **look)
    unit = " (tokens)" if rows["distance_se"].notna().any() else ""  # a table of scores does not say
    for ax, label in zip(axs, ("accuracy (exact match)", f"edit distance{unit}"), strict=True):
        _log_scale(ax)
        ax.set_ylabel(label)
        ax.set_ylim(bottom=-0.02 * ax.get_ylim()[1])
    n, scales = rows["n_items"], rows.groupby(["subtask", "family"])["scale"].nunique()
    axs[0].set_title(f"{_spoken(task, most=36)}: M = {_span(scales)} scales", loc="left", size=9)
    axs[1].set_title(f"the same outputs: n = {_span(n)} items a point", loc="left", size=9)
    if 1 < len(families) <= len(_FAMILIES):
        keys = [
            Line2D([], [], color=_QUIET, marker=marker[name], ms=3, lw=0, label=as_drawn(name, most=40))
            for name in families
        ]
        axs[0].legend(handles=keys, fontsize=6, frameon=False, loc="upper left")
    if len(subtasks) > 1:
        axs[1].legend(fontsize=6, frameon=False, ncols=2)
    return axs


def _log_scale(ax: Axes) -> None:
    from matplotlib.ticker import NullLocator

    ax.set_xscale("log")
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("model scale (parameters)")


def _span(values: pd.Series) -> str:
    if values.isna().any():
        return "unknown"
    low, high = int(values.min()), int(values.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def ratio_intervals(pairs: pd.DataFrame, ax: Axes) -> Axes:
    """Draw E under accuracy over E under edit distance of the same outputs, with its interval, for every pair.

    Parameters
    ----------
    pairs
        ``prediction_1``. A group is a subtask, a marker a family; filled where accuracy looks sharper by prediction 1a, open
        elsewhere. Pairs without a finite ratio are left out and counted in the title.
    """
    rows = pairs[np.isfinite(pairs["ratio"]) & (pairs["ratio"] > 0)]
    subtasks = sorted(rows["subtask"].unique(), key=lambda name: (str(name).split(":")[0], _natural(name)))
    families = sorted(rows["family"].unique())
    for rank, family in enumerate(families):
        own = rows[rows["family"] == family].set_index("subtask").reindex(subtasks)
        x = np.arange(len(subtasks)) + 0.22 * (rank - (len(families) - 1) / 2)
        errors = np.array([own["ratio"] - own["ratio_low"], own["ratio_high"] - own["ratio"]]).clip(min=0)
        shown = own["looks_sharper"] == "confirmed"
        look = Look(color=_shade(rank, len(families)), marker=_FAMILIES[rank % len(_FAMILIES)], ms=4, lw=0)
        ax.errorbar(x, own["ratio"], yerr=errors, elinewidth=0.9, mfc="none", label=as_drawn(family, most=40), **look)
        ax.plot(x[shown], own["ratio"][shown], **look)
    ax.axhline(1, color=_QUIET, lw=0.9, ls="--")
    ax.set_yscale("log")
    # a task is named once, at its first subtask
    parts = [[_spoken(part, most=30) for part in str(name).split(":")] for name in subtasks]
    names = [
        ", ".join(part) if rank == 0 or part[0] != parts[rank - 1][0] else part[-1] for rank, part in enumerate(parts)
    ]
    ax.set_xticks(range(len(subtasks)), names, rotation=40, ha="right", rotation_mode="anchor", fontsize=7)
    ax.grid(axis="x", visible=False)
    ax.set_ylabel("E accuracy / E edit distance")
    ax.set_ylim(top=2.5 * ax.get_ylim()[1])  # room for the legend
    left_out = len(pairs) - len(rows)
    rest = f"; {left_out} without a ratio" if left_out else ""
    n, scales = _span(rows["n_items"]), _span(rows["n_scales"])
    ax.set_title(f"M = {scales} scales, n = {n} items, 95% intervals{rest}", loc="left", size=9)
    ax.legend(fontsize=7, frameon=False, ncols=len(families))
    return ax


def item_growth(points: pd.DataFrame, models: pd.DataFrame, ax: Axes, *, task: str, subtask: str) -> Axes:
    """Draw accuracy over scale as the test grows, on log axes: the paper's figure 4.

    Parameters
    ----------
    points, models
        ``prediction_2_points`` and ``prediction_2_models``.
    ax
        A model without a hit is a triangle at the upper end of its exact interval; one with hits a circle with its
        interval. The dashed line is the best constant answer at the full size.
    """
    rows = points[(points["task"] == task) & (points["subtask"] == subtask)]
    full = int(rows["n"].max())
    sizes = [n for n in (100, 1000, 10_000) if n < full] + [full]
    for rank, n in enumerate(sizes):
        own = rows[rows["n"] == n]
        colour = _shade(rank, len(sizes))
        # the sizes of one model stand side by side, so that the intervals can be told apart
        x = own["scale"] * (1 + 0.06 * (rank - (len(sizes) - 1) / 2))
        seen, unseen = own["hits"] > 0, own["hits"] == 0
        errors = np.array([own["accuracy"] - own["low"], own["high"] - own["accuracy"]])[:, seen]
        ax.errorbar(
            x[seen], own["accuracy"][seen], yerr=errors, fmt="o", ms=3.5, color=colour, elinewidth=0.8,
            label=f"n = {n:,} (step {1 / n:.2g})",
        )  # fmt: skip
        ax.plot(x[unseen], own["high"][unseen], "v", ms=4.5, mfc="none", color=colour)
    own = models[(models["task"] == task) & (models["subtask"] == subtask)]
    level = float((own["constant_hits"] / own["n_items"]).max())
    if level > 0:
        ax.axhline(level, color=_QUIET, lw=0.9, ls="--")
        ax.annotate("best constant answer", (1, level), xycoords=("axes fraction", "data"), xytext=(-2, 2),
                    textcoords="offset points", ha="right", size=7, color=_QUIET)  # fmt: skip
    if (own["pass_source"] == "probability").any():  # noqa: S105 - not a password
        means = own.groupby("scale")["pass_rate"].mean()
        ax.plot(means.index, means, color="#d55e00", lw=1, label="mean probability of the target")
    _log_scale(ax)
    ax.set_yscale("log")
    # the lower end of one hit's interval is 40 times below the resolution and would take up the plot
    ax.set_ylim(bottom=0.4 / full)
    ax.set_ylabel("accuracy (95% exact interval)")
    families = own["family"].nunique()
    heading = f"{_spoken(subtask.replace(':', ': '), most=40)}: M = {own['scale'].nunique()}, {families} famil{'y' if families == 1 else 'ies'}"
    ax.set_title(f"{heading}\ntriangles: no hit, upper end of the interval", loc="left", size=8)
    ax.legend(fontsize=6, frameon=False, loc="upper left")
    return ax


def from_length_one(lengths: pd.DataFrame, ax: Axes, *, task: str) -> Axes:
    """Draw E of accuracy over scale against target length: observed, and predicted from length 1 with nothing fitted.

    Parameters
    ----------
    lengths
        ``prediction_3_lengths``. A colour and marker is a family; points are observed, dashed lines predicted.
    """
    rows = lengths[lengths["task"] == task]
    families = sorted(rows["family"].unique())
    for rank, family in enumerate(families):
        own, colour = rows[rows["family"] == family].sort_values("length"), _shade(rank, len(families))
        ax.plot(
            own["length"], own["emergence"], marker=_FAMILIES[rank % len(_FAMILIES)], ms=4, lw=0, color=colour,
            label=as_drawn(family, most=30),
        )  # fmt: skip
        ax.plot(own["length"], own["emergence_predicted"], color=colour, lw=1.1, ls="--")
    ax.set_yscale("log")
    ax.set_xlabel("target length (tokens)")
    ax.set_ylabel("E of accuracy")
    ax.set_title(
        f"points: observed, n = {_span(rows['n_items'])}\ndashed: from length 1, nothing fitted", loc="left", size=8
    )
    ax.legend(fontsize=6, frameon=False)
    return ax


def length_forms(points: pd.DataFrame, axs: tuple[Axes, Axes], *, task: str, family: str) -> tuple[Axes, Axes]:
    """Draw accuracy (log axis) and edit distance against target length, with the fitted forms.

    Parameters
    ----------
    points
        ``prediction_3_points``. A colour is a model, the darkest the largest; lines are the fits, points the means.
    axs
        Left for accuracy, where a geometric fall is a straight line; right for edit distance.
    """
    rows = points[(points["task"] == task) & (points["family"] == family)]
    models = list(dict.fromkeys(rows.sort_values("scale")["model"]))
    floor = 0.3 / float(rows["n_items"].max())
    for rank, model in enumerate(models):
        own = rows[rows["model"] == model].sort_values("length")
        colour = _shade(rank, len(models))
        seen = own["hits"] > 0
        errors = np.array([own["accuracy"] - own["accuracy_low"], own["accuracy_high"] - own["accuracy"]])[:, seen]
        axs[0].errorbar(
            own["length"][seen], own["accuracy"][seen], yerr=errors, fmt="o", ms=3.2, color=colour, elinewidth=0.7
        )
        axs[0].plot(own["length"][~seen], own["accuracy_high"][~seen], "v", ms=3.6, mfc="none", color=colour)
        axs[0].plot(own["length"], own["fitted_accuracy"], color=colour, lw=1.2)
        axs[1].errorbar(
            own["length"], own["distance"], yerr=1.96 * own["distance_se"], fmt="o", ms=3.2, color=colour,
            elinewidth=0.7, label=as_drawn(model, most=30) if len(models) <= 10 else None,
        )  # fmt: skip
        axs[1].plot(own["length"], own["fitted_distance"], color=colour, lw=1.2)
    axs[0].set_yscale("log")
    axs[0].set_ylim(floor, 1.3)
    axs[0].set_ylabel("accuracy (log axis)")
    axs[1].set_ylabel("edit distance (tokens)")
    axs[0].set_title(
        f"{_spoken(task, most=36)}, {as_drawn(family, most=30)}\ntriangles: no hit; lines: geometric fits",
        loc="left",
        size=8,
    )
    fits = "no line where hits or misses are too few" if rows["fitted_distance"].isna().any() else "lines: linear fits"
    axs[1].set_title(f"n = {_span(rows['n_items'])} items a length\n{fits}", loc="left", size=8)
    for ax in axs:
        ax.set_xlabel("target length (tokens)")
    if 1 < len(models) <= 10:
        axs[1].legend(fontsize=6, frameon=False, title="model", title_fontsize=6)
    return axs


def _spoken(name: object, *, most: int) -> str:
    """A name as words of a figure."""
    return as_drawn(str(name).replace("_", " "), most=most)


def _natural(name: object) -> tuple[int, str]:
    """Order by the last number in a name, so that length 10 follows length 9."""
    digits = "".join(c if c.isdecimal() else " " for c in str(name)).split()
    return (int(digits[-1][:_MOST_DIGITS]) if digits else -1, str(name))
