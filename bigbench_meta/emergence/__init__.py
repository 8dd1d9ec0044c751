"""From RESULTS to CURVES: emergence score, floored emergence score, linearity and width. Their only definitions."""

from bigbench_meta.emergence.curves_table import score_curves
from bigbench_meta.emergence.measures import (
    MIN_SCALES_FOR_E,
    RISE_HIGH,
    RISE_LOW,
    STEP_TOLERANCE,
    emergence_floored,
    emergence_score,
    linearity,
    observed_width,
)
from bigbench_meta.emergence.points import CurvePoints, curve_points

__all__ = [
    "MIN_SCALES_FOR_E",
    "RISE_HIGH",
    "RISE_LOW",
    "STEP_TOLERANCE",
    "CurvePoints",
    "curve_points",
    "emergence_floored",
    "emergence_score",
    "linearity",
    "observed_width",
    "score_curves",
]
