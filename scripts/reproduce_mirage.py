"""Redo the meta-analysis of Schaeffer, Miranda and Koyejo 2023 (arXiv 2304.15004), sec. 4, from any source.

Prints each published figure beside ours and why they differ, and with ``--out`` draws the figures that stand beside the
paper's 5A, 5B, 5C and 6. Without a source the packaged claims and the packaged model ladder are used.

    python scripts/reproduce_mirage.py [SOURCE] [--out DIR]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

PAIR = ("multiple_choice_grade", "exact_str_match")
# Metrics that sec. 4 names among those with emergence, and the smooth counterpart of the swap.
PUBLISHED_EMERGENT = (*PAIR, "rougeLsum")
SWAP = ("multiple_choice_grade", "calibration_multiple_choice_brier_score")


class Row(NamedTuple):
    """One figure of the paper beside ours."""

    what: str
    published: str
    ours: str
    why: str


def claim_rows() -> list[Row]:
    """Share of the claims on the two metrics, which needs the packaged facts only."""
    from bigbench_meta.analysis.tasks.concentration import claims_concentration
    from bigbench_meta.facts.claims import claims, preferred_metrics

    facts = claims()
    claimed = set(facts.loc[facts["category"] == "emergent", "task"])
    preferred = preferred_metrics()
    own = preferred[preferred["task"].isin(claimed)]
    table = claims_concentration(facts, preferred, rng=np.random.default_rng(0))
    exact = table[(table["effect"] == "conditional odds ratio") & (table["strata"] == "")].iloc[0]
    named = int(own["preferred_metric"].isin(PAIR).sum())
    base = int(preferred["preferred_metric"].isin(PAIR).sum())
    return [
        Row(
            "share of claims on multiple_choice_grade or exact_str_match (5C)",
            "over 92%",
            f"{named} of {len(own)} = {100 * named / len(own):.1f}%",
            "recounted from the annotation and each task's most common preferred metric",
        ),
        Row(
            "the same share among all tasks (base rate)",
            "not given",
            f"{base} of {len(preferred)} = {100 * base / len(preferred):.1f}%",
            "the paper shows the share without its base rate",
        ),
        Row(
            "odds ratio, claimed against all other tasks",
            "not given",
            f"{exact['estimate']:.2f} ({exact['low']:.2f} to {exact['high']:.1f})",
            "exact conditional, 95%; the task is the unit",
        ),
        Row(
            "preferred metrics with a claimed task (5B)",
            "4 of 39",
            f"{own['preferred_metric'].nunique()} of {preferred['preferred_metric'].nunique()}",
            "one preferred metric per task directory here; the paper counts metrics over all subtasks",
        ),
    ]


def curve_rows(curves: pd.DataFrame) -> list[Row]:
    """Emergence scores by preferred metric, and the metric swap; the derived metric never enters."""
    from bigbench_meta.schema import DERIVED_METRIC

    measured = curves["is_preferred"] & (curves["metric"].astype(str) != DERIVED_METRIC)
    own = curves[measured & np.isfinite(curves["emergence_score"])]
    steep = own[own["emergence_score"] > own["n_scales"] - 1]
    families = ", ".join(sorted(own["family"].astype(str).unique()))
    rows = [
        Row(
            "preferred metrics with emergent curves (5A)",
            "at most 5 of 39",
            f"{steep['metric'].nunique()} of {own['metric'].nunique()}: {_names(steep['metric'])}",
            f"a curve counts here if E > M - 1, more than a straight line; the paper prints no cut-off. Families: {families}",
        ),
        Row(
            "metrics among them",
            ", ".join(PUBLISHED_EMERGENT),
            _names(steep["metric"][steep["metric"].isin(PUBLISHED_EMERGENT)]),
            "only metrics that the source holds can appear",
        ),
    ]
    key = ["task", "subtask", "family", "shots"]
    hard, soft = (
        curves[curves["metric"] == metric].set_index(key)[["emergence_score", "n_scales"]].add_suffix(f"_{name}")
        for metric, name in zip(SWAP, ("hard", "soft"), strict=True)
    )
    pairs = hard.join(soft, how="inner").dropna()
    if pairs.empty:
        ours, why = "cannot be redone", "the source holds no task with both metrics"
    else:
        was = pairs["emergence_score_hard"] > pairs["n_scales_hard"] - 1
        gone = was & ~(-pairs["emergence_score_soft"] > pairs["n_scales_soft"] - 1)
        ours = f"of {len(pairs)} pairs, {int(was.sum())} steep under the first, {int(gone.sum())} of these not under the second"
        why = "E > M - 1 as above; Brier's sign is turned, since lower is better"
    return [*rows, Row("multiple_choice_grade emergent, Brier score not (6)", "yes, shown for LaMDA tasks", ours, why)]


def _names(metrics: pd.Series[str]) -> str:
    return ", ".join(sorted(metrics.astype(str).unique())) or "none"


def draw_figures(results: pd.DataFrame, curves: pd.DataFrame, out: Path) -> list[Path]:
    """Figures beside the paper's 5A, 5B, 5C and, where the source holds both metrics, 6; each as SVG with its data."""
    from matplotlib.figure import Figure

    from bigbench_meta import figures
    from bigbench_meta.analysis.tasks.concentration import claims_concentration
    from bigbench_meta.facts.claims import claims, preferred_metrics
    from bigbench_meta.report.section_claims import claims_section

    table = claims_concentration(claims(), preferred_metrics(), rng=np.random.default_rng(0))
    of_claims = {figure.name: figure for figure in claims_section({"concentration": table}).figures}
    drawn = {
        "figure_5b": (of_claims["claims_by_metric"].figure, of_claims["claims_by_metric"].data),
        "figure_5c": (of_claims["two_metric_share"].figure, of_claims["two_metric_share"].data),
    }
    with figures.publication_style():
        own = curves[curves["is_preferred"]]
        drawn["figure_5a"] = (Figure(), own)
        figures.emergence_by_metric(own, drawn["figure_5a"][0].add_subplot())
        chosen = _steepest_pair(curves)
        if chosen is not None:
            place = [results[name].astype(str) == str(chosen[name]) for name in ("task", "subtask", "shots")]
            points = results[np.logical_and.reduce(place) & results["metric"].isin(SWAP)]
            drawn["figure_6"] = (Figure(), points)
            left, right = drawn["figure_6"][0].subplots(1, 2)
            figures.metric_pair(points, (left, right), task=str(chosen["task"]), metrics=SWAP)
    out.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, (figure, data) in sorted(drawn.items()):
        paths.append(out / f"{name}.svg")
        paths[-1].write_bytes(figures.figure_bytes(figure, "svg"))
        data.to_csv(out / f"{name}.csv", index=False, lineterminator="\n")
    return paths


def _steepest_pair(curves: pd.DataFrame) -> pd.Series | None:
    """The curve with the largest E under the first metric of the swap, among those that have the second too."""
    key = ["task", "subtask", "family", "shots"]
    hard, soft = (curves[curves["metric"] == metric].astype(dict.fromkeys(key[:3], str)) for metric in SWAP)
    both = hard.merge(soft[key], on=key).dropna(subset=["emergence_score"])
    return None if both.empty else both.sort_values(["emergence_score", *key], ascending=False).iloc[0]


def main(arguments: list[str] | None = None) -> int:
    """Print the comparison; return the exit status."""
    from rich.console import Console
    from rich.table import Table

    from bigbench_meta import fetch, load_results, score_curves
    from bigbench_meta.errors import BigbenchMetaError
    from bigbench_meta.experiments.ladder.packaged import packaged_ladder
    from bigbench_meta.loader import is_table

    parser = argparse.ArgumentParser(description="Redo the meta-analysis of arXiv 2304.15004, sec. 4, from any source.")
    parser.add_argument(
        "source", nargs="?", help="anything that `bigbench-meta run` takes as a source; default: the packaged ladder"
    )
    parser.add_argument("--out", type=Path, help="folder for the figures")
    options = parser.parse_args(arguments)
    try:
        source = options.source or str(packaged_ladder())
        results = load_results(source if is_table(source) else fetch(source))
        curves = score_curves(results.frame)
        rows = claim_rows() + curve_rows(curves)
        paths = draw_figures(results.frame, curves, options.out) if options.out else []
    except BigbenchMetaError as err:
        print(f"Error: {err}", file=sys.stderr)
        return 1
    table = Table(title=f"Schaeffer et al. 2023, sec. 4, beside {options.source or 'the packaged ladder'}")
    for name in Row._fields:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 170, markup=False, highlight=False).print(table)
    for path in paths:
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
