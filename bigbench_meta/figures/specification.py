"""Answers under every choice an analyst could have made: the specification curve, and the sweep over one bound."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import NullLocator

from bigbench_meta.figures.drawn_tables import CURVES, GIVEN, drawn_table
from bigbench_meta.figures.style import ALL_TASKS, CLAIMED, GRID, INK, MANY_MARKS, PAPER, QUIET, as_drawn, axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes


# Per-token exponents that were measured: Kaplan et al. 2020 (0.076) to Hoffmann et al. 2022 (0.34).
PUBLISHED_EXPONENTS = (0.076, 0.34)


def specification_curve(
    table: pd.DataFrame, axs: tuple[Axes, Axes], *, choices: Sequence[str], log: bool = True
) -> tuple[Axes, Axes]:
    """Estimates of every specification in order of size, and below them which choices made each.

    Parameters
    ----------
    table : DataFrame
        One row per specification: ``estimate, low, high`` and the columns named in ``choices``. Rows without an
        estimate are counted in the title and not drawn.
    axs : pair of Axes
        The upper for the estimates, the lower for the choices, a heat map; they should share the x axis.
    choices : sequence of str
        Columns of ``table`` that hold the choices. A column with one value only is said in the label and not drawn.
    log : bool
        Odds ratios belong on a logarithmic axis; an estimate of 0 or infinity is drawn at the edge.
    """
    table = drawn_table(table, ("estimate", "low", "high"), what=GIVEN)
    import seaborn as sns
    from matplotlib.colors import ListedColormap

    upper, lower = axs
    drawn = table[table["estimate"].notna()].sort_values(["estimate", *choices], kind="stable", ignore_index=True)
    estimate, low, high = (drawn[name].to_numpy(dtype=float) for name in ("estimate", "low", "high"))
    place = np.arange(len(drawn)) + 0.5  # the middles of the columns of the heat map below
    many = len(drawn) > MANY_MARKS // 10  # each is drawn once per choice as well
    usable = estimate[np.isfinite(estimate) & (estimate > 0)] if log else estimate[np.isfinite(estimate)]
    bottom, top = (
        (usable.min() / 4, usable.max() * 4)
        if log and len(usable)
        else (np.nanmin(low), np.nanmax(high))
        if len(low)
        else (0, 1)
    )
    if log and len(usable):
        estimate, low, high = (
            np.clip(np.nan_to_num(values, nan=edge, posinf=top), bottom, top)
            for values, edge in ((estimate, 1.0), (low, bottom), (high, top))
        )
    clear = (low > 1) | (high < 1) if log else (low > 0) | (high < 0)
    upper.vlines(place, low, high, color=np.where(clear, CLAIMED, "#b8b8b8"), linewidth=0.7, zorder=1, rasterized=many)
    upper.scatter(place, estimate, s=5, color=INK, linewidth=0, zorder=2, rasterized=many)
    upper.axhline(1 if log else 0, color=QUIET, linewidth=0.9)
    if log:
        upper.set_yscale("log")
    upper.set_ylabel("odds ratio" if log else "estimate")
    upper.tick_params(labelbottom=False)
    upper.set_title(f"{len(drawn)} specifications ({len(table) - len(drawn)} more without an estimate)")
    values = {choice: sorted(drawn[choice].astype(str).unique()) for choice in choices}
    rows = [(choice, value) for choice, known in values.items() if len(known) > 1 for value in known]
    if rows and len(drawn):
        made_by = np.array([(drawn[choice].astype(str) == value).to_numpy() for choice, value in rows], np.float64)
        sns.heatmap(
            made_by, ax=lower, cmap=ListedColormap([PAPER, ALL_TASKS]), vmin=0, vmax=1, cbar=False, xticklabels=False,
            rasterized=many,
        )  # fmt: skip
        lower.hlines(range(1, len(rows)), 0, len(drawn), color=GRID, linewidth=0.6)
    labels = [f"{choice}: {as_drawn(value, most=32)}" for choice, value in rows]
    lower.set_yticks(np.arange(len(rows)) + 0.5, labels, size=6.5, rotation=0)
    lower.grid(visible=False)
    fixed = [f"{choice}: {as_drawn(known[0], most=32)}" for choice, known in values.items() if len(known) == 1]
    words = "specifications, in order of their estimate" + (f" (all have {', '.join(fixed)})" if fixed else "")
    lower.set_xlabel(fill(words, 80), size=8)
    return axs


def sharpness_by_bound(curves: pd.DataFrame, ax: Axes | None = None, *, bounds: Sequence[float]) -> Axes:
    """Share of curves sharper than a smooth law allows, against the exponent that bounds that law.

    Parameters
    ----------
    curves : DataFrame
        CURVES after analysis: ``p_sharp`` (tested where not missing) and ``sharp_up_to_exponent``, the steepest bound
        against which the curve is still sharp at 5%, unadjusted; missing if there is none.
    ax : Axes, optional
        Where to draw.
    bounds : sequence of float
        Exponents to show. The smooth curves of a gentler bound are among those of a steeper one, so the share falls.
    """
    curves = drawn_table(curves, ("p_sharp", "sharp_up_to_exponent"), what=CURVES)
    ax = axes(ax)
    tested = curves[curves["p_sharp"].notna()]
    count = [int((tested["sharp_up_to_exponent"] >= bound).sum()) for bound in bounds]
    ax.plot(bounds, [100 * n / len(tested) for n in count], color=ALL_TASKS, marker="o")
    for bound, n in zip(bounds, count, strict=True):
        ax.annotate(
            str(n), (bound, 100 * n / len(tested)), xytext=(0, 6), textcoords="offset points", ha="center", size=7
        )
    ax.axvspan(*PUBLISHED_EXPONENTS, color=GRID, zorder=0)
    ax.axhline(5, color=QUIET, linewidth=0.9, linestyle="--")
    ax.annotate(
        "5%", (1, 5), xycoords=("axes fraction", "data"), xytext=(-2, 2), textcoords="offset points", ha="right", size=7
    )
    _exponent_axis(ax, bounds)
    ax.set_ylim(0, 1.2 * max(100 * max(count, default=0) / len(tested), 5))
    ax.set_xlabel("steepest per-token exponent that counts as smooth (shaded: published range)")
    ax.set_ylabel(f"sharp at 5%, % of {len(tested)} curves")
    ax.set_title("How the verdict hangs on the bound")
    return ax


def implied_exponents(curves: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Intervals of the per-token exponent each curve would need under a smooth law, beside the published range.

    Parameters
    ----------
    curves : DataFrame
        CURVES after analysis: ``implied_exponent``, ``exponent_low``, ``exponent_high``. Curves without an interval
        are counted in the label and not drawn; an open end is drawn to the edge.
    ax : Axes, optional
        Where to draw.
    """
    curves = drawn_table(curves, ("implied_exponent", "exponent_low", "exponent_high"), what=CURVES)
    ax = axes(ax)
    known = curves[curves["exponent_low"].notna() | curves["exponent_high"].notna()]
    known = known.sort_values(["exponent_low", "implied_exponent", "task"], kind="stable", na_position="first")
    low, high = known["exponent_low"].to_numpy(dtype=float), known["exponent_high"].to_numpy(dtype=float)
    ends = np.concatenate([low, high, known["implied_exponent"].to_numpy(dtype=float), PUBLISHED_EXPONENTS])
    ends = ends[np.isfinite(ends) & (ends > 0)]
    left, right = ends.min() / 1.3, ends.max() * 1.3
    low = np.where(np.isfinite(low) & (low > 0), low, left)
    high = np.where(np.isfinite(high), high, right)
    steep = low > PUBLISHED_EXPONENTS[1]
    place = np.arange(len(known))
    ax.hlines(
        place,
        low,
        high,
        color=np.where(steep, CLAIMED, "#9a9a9a"),
        linewidth=1.1,
        zorder=2,
        rasterized=len(known) > MANY_MARKS,
    )
    ax.scatter(
        known["implied_exponent"], place, s=6, color=INK, linewidth=0, zorder=3, rasterized=len(known) > MANY_MARKS
    )
    ax.axvspan(*PUBLISHED_EXPONENTS, color=GRID, zorder=0)
    _exponent_axis(ax, (0.01, 0.03, 0.1, 0.3, 1, 3, 10))
    ax.set_xlim(left, right)
    ax.set_yticks([])
    ax.set_ylabel(f"{len(known)} curves ({len(curves) - len(known)} without an interval)")
    ax.set_xlabel("per-token exponent that the curve implies (shaded: published range)")
    ax.set_title(f"{int(steep.sum())} curves need a steeper law than any published")
    return ax


def _exponent_axis(ax: Axes, ticks: Sequence[float]) -> None:
    ax.set_xscale("log")
    ax.set_xticks(list(ticks), [f"{tick:g}" for tick in ticks])
    ax.xaxis.set_minor_locator(NullLocator())
