"""Few sizes against many: what the same models look like to a study that trained only some of them (after Mirage, Fig. 10C).

Each subset keeps the smallest and the largest size and draws the rest. Its curves are those of the full ladder at these sizes, so
nothing differs but the sampling of the axis.
"""

from __future__ import annotations

from itertools import combinations
from math import comb
from typing import TYPE_CHECKING

import numpy as np

from bigbench_meta.emergence import emergence_floored, linearity
from bigbench_meta.experiments.vision.outcomes_table import mean_by_scale

if TYPE_CHECKING:
    import pandas as pd

# Sizes of a sparse study: the paper's GPT-3 has four, BIG-bench's smaller families six to eight.
SPARSE = (4, 6, 8)
# All subsets where there are no more, else as many at random.
_MOST_SUBSETS = 500


def sparse_sizes(
    frame: pd.DataFrame, experiment: str, *, smooth: str, hard: str, rng: np.random.Generator
) -> pd.DataFrame:
    """Score both metrics of one experiment on subsets of its sizes.

    Parameters
    ----------
    frame
        Results of one image set, with ``n_items``.
    smooth, hard
        Metrics that are shares of images, or of groups of them.

    Returns
    -------
    pandas.DataFrame
        ``family, metric, sizes, subsets, largest_step, largest_step_low, largest_step_high, emergence, emergence_low, emergence_high,
        line``: medians and 5% and 95% quantiles over subsets, of the largest step as a share of the range and of the floored emergence
        score; ``line`` is a straight line's score, sizes - 1. The last row of a metric has all sizes.
    """
    import pandas as pd

    rows = frame[frame["family"] == experiment]
    curves = {metric: mean_by_scale(rows, metric) for metric in (smooth, hard)}
    scales = len(curves[smooth])
    keys = [
        (sizes, kept)
        for sizes in (*(m for m in SPARSE if m < scales), scales)
        for kept in _subsets(scales, sizes, rng=rng)
    ]
    found = []
    for metric, curve in curves.items():
        y = curve["score"].to_numpy(float)
        resolution = 1 / float(rows.loc[rows["metric"] == metric, "n_items"].min())
        for sizes, kept in keys:
            own = y[kept]
            step = float(np.abs(np.diff(own)).max() / np.ptp(own))
            score = abs(float(emergence_floored(own, resolution=resolution)))
            found.append((experiment, metric, sizes, step, score, linearity(own)))
    table = pd.DataFrame(found, columns=["family", "metric", "sizes", "largest_step", "emergence", "linearity"])
    groups = table.groupby(["family", "metric", "sizes"], sort=False)
    return (
        pd.DataFrame(
            {
                "subsets": groups.size(),
                **{
                    f"{name}{ending}": groups[name].quantile(q)
                    for name in ("largest_step", "emergence")
                    for ending, q in (("", 0.5), ("_low", 0.05), ("_high", 0.95))
                },
            }
        )
        .reset_index()
        .assign(line=lambda t: t["sizes"] - 1.0)
    )


def _subsets(scales: int, sizes: int, *, rng: np.random.Generator) -> list[list[int]]:
    inner = range(1, scales - 1)
    if comb(len(inner), sizes - 2) <= _MOST_SUBSETS:
        return [[0, *middle, scales - 1] for middle in combinations(inner, sizes - 2)]
    return [
        [0, *sorted(rng.choice(inner, sizes - 2, replace=False).tolist()), scales - 1] for _ in range(_MOST_SUBSETS)
    ]


def said_of_sparse_sizes(table: pd.DataFrame, *, smooth: str, hard: str) -> str:
    """Compare the largest step of both metrics between the sparsest study and the whole ladder."""
    few, many = int(table["sizes"].min()), int(table["sizes"].max())

    def shown(metric: str, sizes: int) -> str:
        row = table[(table["metric"] == metric) & (table["sizes"] == sizes)].iloc[0]
        spread = "" if sizes == many else f" ({row['largest_step_low']:.0%} to {row['largest_step_high']:.0%})"
        return f"{row['largest_step']:.0%}{spread}"

    name = hard.replace("_", " ")
    return (
        f"Sparse sampling of sizes ({table['family'].iloc[0]}): with {few} of {many} sizes the largest step holds {shown(smooth, few)} of the rise "
        f"of {smooth.replace('_', ' ')} and {shown(hard, few)} of {name}; with all {many} it is {shown(smooth, many)} and {shown(hard, many)}. Few sizes "
        "make both metrics look sharper."
    )
