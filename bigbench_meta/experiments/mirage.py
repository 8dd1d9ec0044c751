"""The meta-analysis of the source paper, sec. 4, redone from any source: published figures, ours, and why they differ.

Vocabulary
----------
paper
    Schaeffer, Miranda and Koyejo 2023 (arXiv 2304.15004). Its figures 5A, 5B, 5C and 6 are compared here.
line
    E of a curve that is straight in the logarithm of scale, at the curve's own scales: M - 1 where they are equally spaced
    there, more where they are not (12.85 for BIG-G's twelve sizes).
E or floored
    E where it is defined; where the median step is zero, E with no step below one item, if the items are known.
steep
    A curve whose E or floored, turned so that improvement is positive, exceeds its line. The paper prints no cut-off.
not comparable
    What the source cannot contradict: it holds too few metrics, no task of BIG-bench, or no pair of metrics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

PAIR = ("multiple_choice_grade", "exact_str_match")
# Metrics that sec. 4 names among those with emergence, and the smooth counterpart of the swap.
PUBLISHED_EMERGENT = (*PAIR, "rougeLsum")
SWAP = ("multiple_choice_grade", "calibration_multiple_choice_brier_score")
# "At most 5 of 39 preferred metrics": a source with no more metrics than these cannot contradict it.
MOST_PUBLISHED = 5
NOT_COMPARABLE = "not comparable"
# Undefined curves that a row names; the table of curves holds all.
_MOST_TOLD = 6
# A straight curve scores its line up to rounding, which must not make it steep.
_ROUNDING = 1 + 1e-9

PLACE = ["task", "subtask", "family", "shots"]
_CURVE_COLUMNS = [
    "task", "subtask", "is_aggregate", "metric", "direction", "family", "shots", "n_scales", "n_items", "emergence_score",
    "undefined_reason", "emergence_floored", "line", "steep", "is_preferred",
]  # fmt: skip


class Row(NamedTuple):
    """One figure of the paper beside ours."""

    figure: str
    quantity: str
    published: str
    ours: str
    why: str


class Mirage(NamedTuple):
    """The comparison, one row a published figure, and every curve behind it."""

    comparison: pd.DataFrame
    curves: pd.DataFrame


def redo(
    results: pd.DataFrame, *, items: pd.DataFrame | None = None, definitions: pd.DataFrame | None = None
) -> Mirage:
    """Compare the published figures with those of a RESULTS frame.

    Parameters
    ----------
    results : DataFrame
        RESULTS.
    items, definitions : DataFrame, optional
        Items behind each point, as for `bigbench_meta.analyze`; they give E floored where E is undefined.

    Returns
    -------
    Mirage
        ``comparison``: ``figure, quantity, published, ours, why``, where ``ours`` is *not comparable* if the source cannot
        speak to it. ``curves``: every curve, also those whose E is undefined (NaN, with ``undefined_reason``), with
        ``emergence_floored``, ``line`` and ``steep``; missing where neither E nor floored E is defined, or the better end of
        the metric is unknown.

    Examples
    --------
    >>> import pandas as pd
    >>> scores = {"scale": [1e6, 1e7, 1e8, 1e9], "score": [0.0, 0.1, 0.1, 0.9]}
    >>> fixed = {"task": "t", "subtask": "t", "metric": "exact_str_match", "family": "f", "shots": 0}
    >>> found = redo(pd.DataFrame(scores).assign(**fixed, is_aggregate=False, is_preferred=True))
    >>> found.curves[["emergence_score", "line", "steep"]].round(1).to_numpy().tolist()
    [[9.0, 3.0, True]]
    """
    import pandas as pd

    curves = _with_lines(results, items, definitions)
    rows = pd.DataFrame([*_claim_rows(), *_metric_rows(curves), *_curve_rows(curves), _swap_row(curves)])
    return Mirage(rows, curves)


def _with_lines(results: pd.DataFrame, items: pd.DataFrame | None, definitions: pd.DataFrame | None) -> pd.DataFrame:
    """CURVES of a RESULTS frame with E floored, the line of each curve's own scales, and whether it is steep."""
    from bigbench_meta.analysis.curves.prepare import prepare_curves
    from bigbench_meta.analysis.tasks.units import oriented
    from bigbench_meta.emergence import emergence_floored, emergence_score, score_curves
    from bigbench_meta.facts.metrics import metrics

    curves = score_curves(results)
    _, prepared = prepare_curves(
        results, items=items, definitions=definitions, registry=metrics()
    )  # in the order of the same keys
    curves["n_items"] = [curve.n_items for curve in prepared]
    curves["emergence_floored"] = [
        emergence_floored(curve.score, resolution=curve.unit / curve.n_items if curve.is_share else np.nan)
        for curve in prepared
    ]
    curves["line"] = [emergence_score(np.array(curve.x)) for curve in prepared]
    size = curves.assign(size=curves["emergence_score"].fillna(curves["emergence_floored"]))
    value, line = oriented(size, "size"), curves["line"].to_numpy(np.float64)
    judged = np.isfinite(value) & np.isfinite(line)
    curves["steep"] = (size["size"] * 0 + (value > line * _ROUNDING)).where(judged).astype("boolean")
    return curves[_CURVE_COLUMNS]


def _claim_rows() -> list[Row]:
    """Shares and odds of the claims, which need the packaged facts only."""
    from bigbench_meta.analysis.tasks.concentration import claims_concentration
    from bigbench_meta.facts.claims import claims, preferred_metrics

    facts, preferred = claims(), preferred_metrics()
    claimed = set(facts.loc[facts["category"] == "emergent", "task"])
    own = preferred[preferred["task"].isin(claimed)]
    table = claims_concentration(facts, preferred, rng=np.random.default_rng(0))
    exact = table[(table["effect"] == "conditional odds ratio") & (table["strata"] == "")].iloc[0]
    named = int(own["preferred_metric"].isin(PAIR).sum())
    base = int(preferred["preferred_metric"].isin(PAIR).sum())
    return [
        Row(
            "5C",
            "share of claims on multiple_choice_grade or exact_str_match",
            "over 92%",
            f"{named} of {len(own)} = {100 * named / len(own):.1f}%",
            "recounted from the annotation and each task's most common preferred metric",
        ),
        Row(
            "5C",
            "the same share among all tasks (base rate)",
            "not given",
            f"{base} of {len(preferred)} = {100 * base / len(preferred):.1f}%",
            "the paper shows the share without its base rate",
        ),
        Row(
            "5C",
            "odds ratio, claimed against all other tasks",
            "not given",
            f"{exact['estimate']:.2f} ({exact['low']:.2f} to {exact['high']:.1f})",
            "exact conditional, 95%; the task is the unit",
        ),
        Row(
            "5B",
            "preferred metrics with a claimed task",
            "4 of 39",
            f"{own['preferred_metric'].nunique()} of {preferred['preferred_metric'].nunique()}",
            "one preferred metric per task directory here; the paper counts metrics over all subtasks",
        ),
    ]


def preferred_curves(curves: pd.DataFrame) -> pd.DataFrame:
    """Curves of preferred metrics; the derived metric is no measurement of its own."""
    from bigbench_meta.schema import DERIVED_METRIC

    return curves[curves["is_preferred"] & (curves["metric"].astype(str) != DERIVED_METRIC)]


def _metric_rows(curves: pd.DataFrame) -> list[Row]:
    """Which metrics have steep curves (5A), where the source could show otherwise than the paper says."""
    from bigbench_meta.facts.claims import preferred_metrics

    own = preferred_curves(curves)
    held = sorted(own["metric"].astype(str).unique())
    steep = sorted(own.loc[own["steep"].fillna(value=False), "metric"].astype(str).unique())
    tasks = set(own["task"].astype(str))
    published = sum(task in set(preferred_metrics()["task"]) for task in tasks)
    families = ", ".join(sorted(own["family"].astype(str).unique()))
    if not published:
        few = many = f"none of the {len(tasks)} tasks of the source is one of BIG-bench's"
    else:
        few = f"the source holds {len(held)} preferred metrics ({_listed(held)}), and could not show more than {MOST_PUBLISHED}"
        many = ""
    absent = [name for name in PUBLISHED_EMERGENT if name not in held]
    there = [name for name in PUBLISHED_EMERGENT if name in held]
    named = many or ("" if there else f"the source holds none of them as a preferred metric, but {_listed(held)}")
    counted = f"steep: E, or E floored, above the line; the paper prints no cut-off. Families: {families}"
    return [
        Row(
            "5A",
            "preferred metrics with emergent curves",
            "at most 5 of 39",
            f"{len(steep)} of {len(held)}: {_listed(steep)}"
            if published and len(held) > MOST_PUBLISHED
            else NOT_COMPARABLE,
            counted if published and len(held) > MOST_PUBLISHED else few,
        ),
        Row(
            "5A",
            "metrics among them",
            ", ".join(PUBLISHED_EMERGENT),
            NOT_COMPARABLE if named else _listed([name for name in there if name in steep]),
            named or (f"not in the source: {_listed(absent)}. " if absent else "") + counted,
        ),
    ]


def _curve_rows(curves: pd.DataFrame) -> list[Row]:
    """Every curve of a preferred metric in view: how many are steep, how many have no E and what their floored E is."""
    own = preferred_curves(curves)
    steep = own["steep"].fillna(value=False)
    undefined = own[own["emergence_score"].isna()]
    floored = int((steep & own["emergence_score"].isna()).sum())
    lines = own["line"].dropna()
    score = own["emergence_score"].where(own["direction"].astype(str) != "lower", -own["emergence_score"])
    between = int(((score > (own["n_scales"] - 1) * _ROUNDING) & ~steep).sum())
    span = (
        ""
        if lines.empty
        else f"{lines.min():.2f}" + (f" to {lines.max():.2f}" if lines.max() - lines.min() >= 0.005 else "")
    )
    reasons = undefined["undefined_reason"].astype(str).value_counts().sort_index()
    several = len(own["family"].unique()) > 1
    told = [
        f"{row['subtask']} "
        + (f"of {row['family']} " if several else "")
        + (f"(floored {row['emergence_floored']:.1f})" if np.isfinite(row["emergence_floored"]) else "(no floored E)")
        for row in undefined.sort_values(PLACE).to_dict("records")
    ]
    more = f" and {len(told) - _MOST_TOLD} more, in the table of curves" if len(told) > _MOST_TOLD else ""
    return [
        Row(
            "5A",
            "curves of preferred metrics steeper than a line",
            "not given",
            f"{int(steep.sum())} of {len(own)}" + (f", {floored} of them by E floored" if floored else ""),
            f"the line at the curves' own sizes scores {span or 'nothing'}; {between} more exceed M - 1, which is the score of "
            "a line over equally spaced sizes",
        ),
        Row(
            "5A",
            "curves whose E is undefined",
            "no rule is printed",
            f"{len(undefined)} of {len(own)}"
            + (f": {', '.join(f'{count} {reason}' for reason, count in reasons.items())}" if len(undefined) else ""),
            (", ".join(told[:_MOST_TOLD]) + more if told else "every curve has an E"),
        ),
    ]


def _swap_row(curves: pd.DataFrame) -> Row:
    """What becomes of steep curves when the metric of the same outputs is changed for a smooth one (6)."""
    columns = ["steep", "family"]
    hard, soft = (
        curves[curves["metric"].astype(str) == metric]
        .astype(dict.fromkeys(PLACE[:3], str))
        .set_index(PLACE, drop=False)[columns]
        for metric in SWAP
    )
    pairs = hard.add_suffix("_hard").join(soft.add_suffix("_soft"), how="inner")
    if pairs.empty:
        ours, why = NOT_COMPARABLE, f"the source holds no task with both metrics, {_listed(SWAP)}"
    else:
        judged = pairs.dropna(subset=["steep_hard", "steep_soft"])
        was = judged["steep_hard"].astype(bool)
        gone = was & ~judged["steep_soft"].astype(bool)
        ours = f"of {len(pairs)} pairs, {int(was.sum())} steep under the first, {int(gone.sum())} of these not under the second"
        why = (
            f"steep as above; Brier's sign is turned, since lower is better; {len(pairs) - len(judged)} pairs without E. "
            f"Families: {', '.join(sorted(pairs['family_hard'].unique()))}"
        )
    return Row("6", "multiple_choice_grade emergent, Brier score not", "yes, shown for LaMDA tasks", ours, why)


def _listed(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(names) or "none"
