"""The part of the page on what stands after calibration: verdicts, curves, and what they hang on."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bigbench_meta import figures
from bigbench_meta.facts.metrics import look_up, metrics
from bigbench_meta.report.drawing import draw, draw_one
from bigbench_meta.report.page_parts import PageFigure, PageTable, Section

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_GRID = (3, 4)
LENGTH_COLUMNS = (
    "task", "subtask", "family", "shots", "quantity", "target_length", "estimate", "low", "high", "hypothesis", "p_value",
    "q_value", "dispersion", "n_points", "n_left_out", "reason",
)  # fmt: skip


def sharpness_section(tables: Mapping[str, pd.DataFrame], *, simulated: bool) -> Section:
    """What stands after calibration: the map, the steepest curves with their noise, the sweeps over choices."""
    section = Section(name="sharp", title="Sharp, and unpredictable?")
    curves = _with_claims(tables)
    drawn: list[PageFigure] = []
    if curves[["q_sharp", "q_surprise"]].notna().all(axis=1).any():
        known = curves[curves["is_preferred"]]
        drawn.append(
            draw_one(
                "sharp_by_unpredictable",
                figures.sharp_by_unpredictable,
                known,
                title="Sharp and unpredictable",
                alt="Each curve of a preferred metric by its two q-values. Only the upper right corner is emergent in the full "
                "sense: sharper than smooth curves with the same noise, and not foreseen from the smaller models.",
                height=4.4,
                simulated=simulated,
            )
        )
    panels = _steepest(curves)
    if len(panels):
        points = _banded(tables)
        drawn.append(
            draw(
                "steepest_curves",
                lambda figure: figures.curve_grid(
                    points, panels, list(figure.subplots(*_GRID).flat), references=tables.get("references")
                ),
                title=f"The {len(panels)} curves with the largest emergence scores",
                alt="Scores over model scale, with bands of two standard errors where the noise is known, and lines for chance and human "
                "raters where they are known; M scales, n items, the emergence score E and the verdict stand in each panel.",
                data=panels,
                height=6.4,
                simulated=simulated,
            )
        )
    drawn += _two_metrics(tables, simulated=simulated) + _sweeps(tables, simulated=simulated)
    return Section(name=section.name, title=section.title, figures=tuple(drawn), tables=_lengths(tables))


def _lengths(tables: Mapping[str, pd.DataFrame]) -> tuple[PageTable, ...]:
    """What known target lengths say, where there are any."""
    lengths = tables.get("lengths")
    if lengths is None or not len(lengths):
        return ()
    note = (
        "One row is one quantity of one task and family: exponent and length power of the law fitted to several target lengths "
        "at once, or the number of tokens that exact match behaves as if a target had, by the per-token accuracy of the same "
        "outputs. A point is one model at one length. Where the law does not fit, there is no number, and the reason."
    )
    return (PageTable("lengths", "The full law, where target lengths are known", note, lengths, LENGTH_COLUMNS),)


def _with_claims(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    curves, claims = tables["curves"], tables.get("claims")
    if claims is None or not {"task", "category"} <= set(claims.columns):
        return curves
    claimed = set(claims.loc[claims["category"] == "emergent", "task"].astype(str))
    return curves.assign(claimed=curves["task"].astype(str).isin(claimed))


def _steepest(curves: pd.DataFrame) -> pd.DataFrame:
    """Curves of preferred metrics with the largest E, floored at the resolution where that is known."""
    size = curves["emergence_floored"].fillna(curves["emergence_score"])
    own = curves.assign(_size=size)[curves["is_preferred"] & np.isfinite(size)]
    order = ["_size", "task", "subtask", "metric", "family", "shots"]
    own = own.astype(dict.fromkeys(order[1:5], str))
    ranked: pd.DataFrame = own.sort_values(order, ascending=[False] + [True] * 5, kind="stable")
    return ranked.head(_GRID[0] * _GRID[1]).drop(columns="_size")


def _two_metrics(tables: Mapping[str, pd.DataFrame], *, simulated: bool) -> list[PageFigure]:
    """The steepest curve that has another metric of the same outputs, beside that metric.

    Of several, one that is continuous and has two bounds: the panels can then be read alike.
    """
    swaps, results = tables.get("swaps"), tables["results"]
    if swaps is None or not len(swaps):
        return []
    facts = look_up(swaps.assign(metric=swaps["soft"])[["task", "metric"]], metrics())
    rank = facts["continuous"].eq("yes").astype(int) + facts[["low", "high"]].notna().all(axis=1)
    size = swaps["emergence_floored_hard"].fillna(swaps["emergence_score_hard"])
    ranked = swaps.assign(_size=size.to_numpy(), _rank=rank.to_numpy())
    order = ["_size", "_rank", "task", "subtask", "hard", "soft", "family", "shots"]
    first = ranked.sort_values(order, ascending=[False, False] + [True] * 6, kind="stable").iloc[0]
    place = [results[name].astype(str) == str(first[name]) for name in ("task", "subtask", "shots")]
    pair = (str(first["hard"]), str(first["soft"]))
    points = results[np.logical_and.reduce(place) & results["metric"].isin(pair)]
    return [
        draw(
            "two_metrics",
            lambda figure: figures.metric_pair(
                points,
                tuple(figure.subplots(1, 2)),
                task=str(first["task"]),
                metrics=pair,
                references=tables.get("references"),
            ),
            title="One curve under two metrics of the same outputs",
            alt=f"{first['subtask']}, the steepest curve that has another metric: left under {pair[0]}, right under {pair[1]}. "
            "The models and their outputs are the same; one example, chosen for its size. Table swaps has every pair.",
            data=points,
            height=3.2,
            simulated=simulated,
        )
    ]


def _banded(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    points = tables.get("points")
    if points is None or "error_with_overdispersion" not in points:
        return tables["results"]
    error = points["error_with_overdispersion"].fillna(points["error_items"])
    return points.assign(low=points["score"] - 2 * error, high=points["score"] + 2 * error)


def _sweeps(tables: Mapping[str, pd.DataFrame], *, simulated: bool) -> list[PageFigure]:
    drawn = []
    curves = tables["curves"][tables["curves"]["is_preferred"]]
    sweep = tables.get("sweep")
    if sweep is not None and len(sweep) and curves["p_sharp"].notna().any():
        bounds = sorted(sweep["exponent_bound"].unique())
        drawn.append(
            draw_one(
                "sharpness_by_bound",
                partial(figures.sharpness_by_bound, bounds=bounds),
                curves,
                title="How many curves are sharp depends on what counts as smooth",
                alt="Share of curves that are sharp at 5%, not adjusted for their number, against the steepest per-token "
                "exponent that still counts as smooth. The numbers are curves.",
                height=3.2,
                simulated=simulated,
            )
        )
    if "exponent_low" in curves and curves["exponent_low"].notna().any():
        drawn.append(
            draw_one(
                "implied_exponents",
                figures.implied_exponents,
                curves,
                title="The exponent each curve would need",
                alt="Intervals of the per-token exponent that each curve implies under a smooth law. An interval wholly to the "
                "right of the shaded range needs a steeper law than any published.",
                height=4.2,
                simulated=simulated,
            )
        )
    grid = tables.get("specifications")
    choices = ("design", "group", "criterion", "rule", "level", "giants", "shots", "family")
    if grid is not None and len(grid) and grid["estimate"].notna().any():
        drawn.append(
            draw(
                "specification_curve",
                lambda figure: figures.specification_curve(grid, _stacked(figure), choices=choices),
                title="The concentration of measured jumps under every choice",
                alt="Above, the odds ratio under each combination of choices with its interval, in order of size; below, which "
                "choices made it. The specifications share their data: how many lie above 1 is no test.",
                data=grid,
                height=6.2,
                simulated=simulated,
            )
        )
    return drawn


def _stacked(figure: Figure) -> tuple[Axes, Axes]:
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(2, 3))
    return upper, lower
