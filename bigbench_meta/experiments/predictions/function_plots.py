"""Figure of accuracy against a smooth measure of the same outputs, over all runs and checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bigbench_meta.experiments.predictions.one_function import fitted_function
from bigbench_meta.figures.style import as_drawn

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")


def accuracy_against_smooth(points: pd.DataFrame, shape: pd.Series, ax: Axes) -> Axes:
    """Draw the points of one task and smooth measure, the isotonic function of all of them, and the hinge.

    Parameters
    ----------
    points
        Rows of `one_function`'s points. Colour is the scale, from light (small) to dark; a marker is a family where there are few.
    shape
        The row of `one_function`'s shapes for the same task and measure; the hinge is drawn where the shape is one.
    """
    from matplotlib.colors import LogNorm

    families = sorted(points["family"].unique())
    few = 1 < len(families) <= len(_MARKERS)
    low, high = float(points["scale"].min()), float(points["scale"].max())
    norm = LogNorm(low, max(high, low * 1.001))
    drawn = None
    for rank, family in enumerate(families):
        own = points[points["family"] == family]
        drawn = ax.scatter(
            own["x"], own["y"], c=own["scale"], norm=norm, cmap="viridis_r", s=9, alpha=0.8, linewidths=0,
            marker=_MARKERS[rank] if few else "o", label=as_drawn(family, most=24) if few else None,
        )  # fmt: skip
    knots, values = fitted_function(points["x"].to_numpy(), points["y"].to_numpy())
    ax.plot(knots, values, color="#000000", lw=0.9, label="one isotonic function")
    if shape["shape"] == "hinge":
        x = np.array([points["x"].min(), shape["hinge"], points["x"].max()])
        arms = np.array([shape["slope_below"], 0.0, shape["slope_above"]]) * (x - shape["hinge"])
        ax.plot(
            x,
            shape["accuracy_at_hinge"] + arms,
            color="#d55e00",
            lw=1.2,
            ls="--",
            label=f"hinge at {shape['hinge']:.3g}",
        )
    ax.set_xlabel(as_drawn(str(points["smooth"].iloc[0]), most=40))
    ax.set_ylabel(as_drawn(str(points["hard"].iloc[0]), most=40))
    runs = len(points[["family", "model"]].drop_duplicates())
    ax.set_title(
        f"{as_drawn(str(points['task'].iloc[0]), most=36)}: {runs} runs, {len(points)} points", loc="left", size=8
    )
    ax.legend(fontsize=6, frameon=False)
    if drawn is not None and high > low:
        ax.figure.colorbar(drawn, ax=ax, label="model scale")
    return ax
