"""Figures for papers: each a function from computed tables to Axes, usable alone; no statistics here.

Every function takes ``ax=None`` (or the Axes of its panels), draws, sets labels with units, puts n and M on the plot
and returns the Axes. None of them saves, shows or changes global settings; wrap calls in :func:`publication_style` for
the house look.
"""

from bigbench_meta.figures.base_rates import claims_by_metric, odds_ratios, two_metric_share
from bigbench_meta.figures.curves import curve, curve_grid, metric_pair
from bigbench_meta.figures.populations import effects_forest, shares_by_group
from bigbench_meta.figures.scores import emergence_by_metric, sharp_by_unpredictable
from bigbench_meta.figures.specification import implied_exponents, sharpness_by_bound, specification_curve
from bigbench_meta.figures.style import figure_bytes, publication_style

__all__ = [
    "claims_by_metric",
    "curve",
    "curve_grid",
    "effects_forest",
    "emergence_by_metric",
    "figure_bytes",
    "implied_exponents",
    "metric_pair",
    "odds_ratios",
    "publication_style",
    "shares_by_group",
    "sharp_by_unpredictable",
    "sharpness_by_bound",
    "specification_curve",
    "two_metric_share",
]
