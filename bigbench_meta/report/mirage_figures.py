"""Figures that stand beside those of the source paper's meta-analysis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from bigbench_meta import figures
from bigbench_meta.analysis.tasks.concentration import claims_concentration
from bigbench_meta.experiments.mirage import PLACE, SWAP, preferred_curves
from bigbench_meta.facts.claims import claims, preferred_metrics
from bigbench_meta.report.section_claims import claims_section

if TYPE_CHECKING:
    import pandas as pd


def mirage_figures(results: pd.DataFrame, curves: pd.DataFrame) -> dict[str, tuple[Figure, pd.DataFrame]]:
    """Figures that stand beside the paper's 5A, 5B, 5C and, where the source holds both metrics, 6, with their data."""
    table = claims_concentration(claims(), preferred_metrics(), rng=np.random.default_rng(0))
    of_claims = {figure.name: figure for figure in claims_section({"concentration": table}).figures}
    drawn = {
        "figure_5b": (of_claims["claims_by_metric"].figure, of_claims["claims_by_metric"].data),
        "figure_5c": (of_claims["two_metric_share"].figure, of_claims["two_metric_share"].data),
    }
    own = preferred_curves(curves)
    with figures.publication_style():
        shown = min(20, own["metric"].nunique())
        drawn["figure_5a"] = (Figure(figsize=(6.3, 1.2 + 0.55 * shown)), own)
        figures.emergence_by_metric(own, drawn["figure_5a"][0].add_subplot())
        chosen = _steepest_pair(curves)
        if chosen is not None:
            place = [results[name].astype(str) == str(chosen[name]) for name in ("task", "subtask", "shots")]
            points = results[np.logical_and.reduce(place) & results["metric"].isin(SWAP)]
            drawn["figure_6"] = (Figure(), points)
            left, right = drawn["figure_6"][0].subplots(1, 2)
            figures.metric_pair(points, (left, right), task=str(chosen["task"]), metrics=SWAP)
    return drawn


def _steepest_pair(curves: pd.DataFrame) -> pd.Series | None:
    """The curve with the largest E under the first metric of the swap, among those that have the second too."""
    hard, soft = (
        curves[curves["metric"].astype(str) == metric].astype(dict.fromkeys(PLACE[:3], str)) for metric in SWAP
    )
    both = hard.merge(soft[PLACE], on=PLACE).dropna(subset=["emergence_score"])
    return None if both.empty else both.sort_values(["emergence_score", *PLACE], ascending=False).iloc[0]
