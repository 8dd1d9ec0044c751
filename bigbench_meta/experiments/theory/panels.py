"""Figures of the mathematical model: one panel per metric, and the six of them as in the paper's figure 2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bigbench_meta.errors import AnalysisError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Per metric: label of the y axis, what the paper calls its nature, whether the axis is logarithmic.
PANELS = {
    "cross_entropy": ("cross entropy (nats per token)", "a power law of scale", True),
    "token_success": ("chance that one token is right", "one token", False),
    "accuracy": ("accuracy (all tokens right)", "nonlinear metric", False),
    "multiple_choice_grade": ("multiple choice grade", "discontinuous metric", False),
    "token_edit_distance": ("token edit distance (tokens)", "linear metric", False),
    "brier": ("Brier score (lower is better)", "continuous metric", False),
}
# The lines between the shortest and the longest target need no name.
_NAMES = {"length": "length {}", "options": "{} options"}
_INK, _MEASURED = "#222222", "#d55e00"


def theory_panel(table: pd.DataFrame, ax: Axes | None = None, *, metric: str) -> Axes:
    """Draw one metric's curves over scale, with what a finite test measures as points.

    Parameters
    ----------
    table
        From ``theory_table``. One line per target length or number of options, the largest in black; points are the
        ``measured`` column of that largest one.
    metric
        A key of ``PANELS``.
    """
    import matplotlib.pyplot as plt
    from matplotlib.ticker import NullLocator

    if metric not in PANELS:
        raise AnalysisError(f"theory panel: metric {metric!r} is not one of {', '.join(PANELS)}")
    if ax is None:
        ax = plt.figure().add_subplot()
    label, nature, logarithmic = PANELS[metric]
    rows = table[table["metric"] == metric]
    column = "length" if rows["length"].notna().any() else "options"
    variants = sorted(rows[column].dropna().unique().tolist()) or [None]
    for rank, variant in enumerate(variants):
        line = rows if variant is None else rows[rows[column] == variant]
        last = rank == len(variants) - 1
        shade = 0.75 * (len(variants) - 1 - rank) / max(len(variants) - 1, 1)
        name = None if variant is None or 0 < rank < len(variants) - 1 else _NAMES[column].format(variant)
        ax.plot(line["scale"], line["value"], color=_INK if last else str(shade), lw=1.8 if last else 1.1, label=name)
        if last and line["measured"].notna().any():
            ax.plot(
                line["scale"], line["measured"], "o", ms=3.6, mfc="none", mec=_MEASURED,
                label=f"simulated, n = {int(line['items'].iloc[0])}",
            )  # fmt: skip
    ax.set_xscale("log")
    if logarithmic:
        ax.set_yscale("log")
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("model scale N (parameters)")
    ax.set_ylabel(label)
    ax.set_title(nature, loc="left")
    if variants != [None]:
        ax.legend(frameon=False, fontsize=7)
    return ax


def theory_figure(table: pd.DataFrame, summary: pd.DataFrame, *, c: float, alpha: float) -> Figure:
    """Draw the six panels of the paper's figure 2 from one table: the same per-token curve under every metric.

    Parameters
    ----------
    table
        From ``theory_table``.
    summary
        From ``theory_summary``: E, L and width of the black curves, shown in the titles.
    c, alpha
        Parameters the table was made with; shown in the heading.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 5.6), layout="constrained")
    for letter, metric, ax in zip("ABCDEF", _ORDER, figure.subplots(2, 3).T.flat, strict=True):
        theory_panel(table, ax, metric=metric)
        row = summary[summary["metric"] == metric].iloc[-1]
        scores = f"E = {row['emergence_score']:.1f}, linearity {row['linearity']:.1f}, {row['width_decades']:.1f} decades wide"
        ax.set_title(f"{letter}  {PANELS[metric][1]}\n{scores}", loc="left", fontsize=8)
    straight = int(summary["n_scales"].iloc[0]) - 1
    figure.suptitle(
        f"One per-token curve under six metrics: cross entropy (N/c)^alpha, c = {c:.3g}, alpha = {alpha:g}. "
        f"E of {straight + 1} scales; a straight line has {straight}",
        fontsize=9,
    )
    return figure


# Column by column: the loss and what it gives per token; two sharp metrics; their smooth partners.
_ORDER = ("cross_entropy", "token_success", "accuracy", "multiple_choice_grade", "token_edit_distance", "brier")
