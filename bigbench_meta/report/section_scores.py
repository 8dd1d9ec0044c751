"""The parts of the page that list: emergence scores with the table of curves, and every further table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bigbench_meta import figures
from bigbench_meta.analysis.coverage import claimed_in_source
from bigbench_meta.report.drawing import draw_one
from bigbench_meta.report.page_parts import PageTable, Section

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

CURVE_COLUMNS = (
    "task", "subtask", "metric", "family", "shots", "verdict", "emergent", "emergence_score", "linearity", "n_scales",
    "n_items", "q_sharp", "q_surprise", "q_trend", "emergence_floored", "width_decades", "direction", "is_preferred",
    "undefined_reason",
)  # fmt: skip


def scores_section(tables: Mapping[str, pd.DataFrame], *, simulated: bool) -> Section:
    """Emergence scores by metric, and the table of curves."""
    curves = tables["curves"]
    several = bool((curves["subtask"].astype(str) != curves["task"].astype(str)).any())
    shown = draw_one(
        "emergence_by_metric",
        figures.emergence_by_metric,
        curves,
        title="Emergence score by metric",
        alt="One point is one curve; the diamond is a metric's median and its bar the middle half. The thick bar marks the "
        "score of a straight line over as many scales: a score below it is no sign of sharpness.",
        height=1.2 + 0.55 * min(20, curves["metric"].nunique()),
        simulated=simulated,
    )
    table = PageTable(
        "curves",
        "Curves",
        "One row is one curve: one task, subtask, metric, family and number of shots. Its name opens it in the explorer.",
        curves,
        tuple(column for column in CURVE_COLUMNS if column in curves.columns and (several or column != "subtask")),
    )
    drawn = (shown,) if curves["emergence_score"].notna().any() else ()  # nothing to draw where no curve has a score
    return Section(name="scores", title="Emergence scores by metric", figures=drawn, tables=(table,))


_LISTINGS = (
    (
        "concentration",
        "Concentration tests",
        (
            "One row is one comparison of one metric, or group of metrics, with the rest. low_with_shift and high_with_shift are "
            "the interval if models shift the two groups of tasks apart (shift_basis says how that was had): shift_factor times as wide, on a log scale."
        ),
    ),
    ("claims", "Claims against measurement", "One row is one annotated task and what its curves say."),
    ("swaps", "Metric swaps on the same outputs", "One row is one pair of metrics of the same outputs."),
    ("forecasts", "Forecasts of held-out scales", "One row is one forecast of one scale from the smaller ones."),
    ("problems", "Problems found while reading", "One row is one thing in the source that was not as documented."),
)


# Tables of the published claims and of BIG-bench's tasks.
_OF_CLAIMS = ("concentration", "claims")


def listing_sections(tables: Mapping[str, pd.DataFrame]) -> list[Section]:
    """One section per further table that has rows; those of claims only where the source has a claimed task."""
    claimed = "claims" not in tables or claimed_in_source(tables["claims"])
    return [
        Section(name=name, title=title, tables=(PageTable(name, title, note, tables[name]),))
        for name, title, note in _LISTINGS
        if name in tables and len(tables[name]) and (name not in _OF_CLAIMS or claimed)
    ]
