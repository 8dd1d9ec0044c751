"""From curves to the units that concentration tests count: one row per task and metric, in a family at a shot count.

Vocabulary
----------
criterion
    What makes a curve a case: a column, a threshold and how they are compared (`CRITERIA`). Where the column is
    undefined, or the better end of the metric unknown, a curve is held out, never counted as no case.
unit
    A (task, metric) pair: it is a case if at least half (``half``) or any (``any``) of its curves with a defined
    criterion are. Every task thus counts once per metric whatever its number of subtasks.
level
    ``leaf``: the curves of subtasks, or of the task where it has none. ``task``: aggregate curves, or the task's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from bigbench_meta.schema import DERIVED_METRIC

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

Rule = Literal["half", "any"]
LEVELS = ("leaf", "task")
RULES: tuple[Rule, ...] = ("half", "any")
# With 3 scales E cannot tell a step from a line (facts of the score: |E| is confined to [1, 2]).
MIN_SCALES = 4
# The three tasks that hold 617 of the 1,001 leaf JSON subtasks of BIG-bench 1.0.0.
GIANTS = ("list_functions", "mult_data_wrangling", "multiemo")


class Criterion(NamedTuple):
    """A cut on one column of analysed curves.

    ``comparison`` is ``above`` (value > threshold, after orienting the score so that larger is better), ``above_line``
    (value > threshold (M - 1), where M - 1 is what a line over equally spaced scales scores), ``at_most`` (a p- or q-value) or ``is``
    (the verdict ``sharp`` of a tested curve, or ``emergent`` true).
    """

    name: str
    column: str
    comparison: Literal["above", "above_line", "at_most", "is"]
    threshold: float


# M - 1 is the score of a straight line over equally spaced scales (one straight in log N at BIG-G's own sizes scores 12.85,
# not 11: `bigbench_meta.experiments.mirage` compares with that) and, at 12 scales, above the 99% point of pure noise (7.7 signed); 5 is near
# the 95% point of noise. E/L is the root mean over the root median squared step: 1 for a line, large for one step.
CRITERIA: tuple[Criterion, ...] = (
    Criterion("E > 5", "emergence_score", "above", 5.0),
    Criterion("E > 10", "emergence_score", "above", 10.0),
    Criterion("E > M - 1", "emergence_score", "above_line", 1.0),
    Criterion("E > 2 (M - 1)", "emergence_score", "above_line", 2.0),
    Criterion("E floored > M - 1", "emergence_floored", "above_line", 1.0),
    Criterion("E floored > 2 (M - 1)", "emergence_floored", "above_line", 2.0),
    Criterion("E / L > 2", "steps_ratio", "above", 2.0),
    Criterion("p_sharp <= .05", "p_sharp", "at_most", 0.05),
    Criterion("p_sharp <= .01", "p_sharp", "at_most", 0.01),
    Criterion("q_sharp <= .05", "q_sharp", "at_most", 0.05),
    Criterion("verdict sharp", "verdict", "is", 1.0),
    Criterion("emergent", "emergent", "is", 1.0),
)


def available(curves: pd.DataFrame) -> list[Criterion]:
    """The criteria whose column ``curves`` has: those on E and L before the analysis, all of them after it."""
    return [c for c in CRITERIA if c.column in curves.columns or c.column == "steps_ratio"]


def exceeds(curves: pd.DataFrame, criterion: Criterion) -> pd.Series[bool]:
    """Nullable boolean per curve: is it a case? Missing where the criterion is undefined for that curve.

    Below 4 scales no criterion on E is defined: with 3, |E| lies between 1 and 2 and a perfect step scores less than a
    straight line. A score of a lower-is-better metric is negated first; where the direction is unknown a signed criterion is missing.
    An E that is undefined because its median step is zero stays missing: use the floored E, which is defined there.
    *Sharp* and *emergent* are missing where no test could be run (aggregates, unknown noise, few scales), and *emergent*
    where nothing could have been a surprise; tested and not shown to be sharp is no case.
    """
    import pandas as pd

    if criterion.comparison == "is":
        if criterion.column == "emergent":
            return curves["emergent"].astype("boolean")
        # Undecided because nothing could be tested is not the same as tested and not shown to be sharp.
        return (curves["verdict"].astype(str) == "sharp").astype("boolean").where(curves["p_sharp"].notna())
    if criterion.column == "steps_ratio":
        # The sign cancels in E / L: a fall has the same ratio as a rise, so the orientation of E decides.
        e, line = oriented(curves, "emergence_score"), oriented(curves, "linearity")
        value = np.where(
            (e > 0) & (line > 0), e / np.where(line == 0, np.nan, line), np.where(np.isnan(e), np.nan, 0.0)
        )
    elif criterion.comparison == "at_most":
        value = curves[criterion.column].to_numpy(np.float64)
    else:
        value = oriented(curves, criterion.column)
    limit: float | NDArray[np.float64] = criterion.threshold
    if criterion.comparison == "above_line":
        limit = criterion.threshold * (curves["n_scales"].to_numpy(np.float64) - 1.0)
    if criterion.comparison != "at_most":
        value = np.where(curves["n_scales"].to_numpy() < MIN_SCALES, np.nan, value)
    case = value <= limit if criterion.comparison == "at_most" else value > limit
    return pd.Series(case, index=curves.index).astype("boolean").where(~np.isnan(value))


def oriented(curves: pd.DataFrame, column: str) -> NDArray[np.float64]:
    """``column`` with the sign turned where lower is better; NaN where the direction of the metric is unknown."""
    sign = curves["direction"].astype(str).map({"higher": 1.0, "lower": -1.0}).to_numpy(np.float64)
    return np.asarray(sign * curves[column].to_numpy(np.float64), np.float64)


def count_units(
    curves: pd.DataFrame,
    *,
    criteria: Sequence[Criterion] | None = None,
    kinds: pd.DataFrame | None = None,
    registry: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Count, for every task, metric, family, shot count and level, the curves and those that meet each criterion.

    Parameters
    ----------
    curves
        CURVES, with the columns of the analysis where criteria need them. The derived metric is left out.
    criteria
        Default: `available` ones.
    kinds
        ``task, kind`` (``json`` or ``programmatic``); default the 209 packaged task directories. Tasks that are not
        there are of kind ``unknown``, a stratum of its own.
    registry
        The metric registry as `bigbench_meta.metrics` returns it, for the linearity class; the packaged one by default.

    Returns
    -------
    DataFrame
        ``criterion, level, family, shots, task, metric, linearity, kind, subtasks`` (``1``, ``2-9``, ``10+``),
        ``is_preferred`` (the metric that most leaves of the task prefer; the first name wins a tie), ``n_curves``,
        ``n_defined`` and ``n_cases``. Empty where every curve is of the derived metric.
    """
    import pandas as pd

    from bigbench_meta.facts.claims import preferred_metrics
    from bigbench_meta.facts.metrics import look_up, metrics

    used = curves[curves["metric"].astype(str) != DERIVED_METRIC].reset_index(drop=True)
    text = {name: used[name].astype(str) for name in ("task", "subtask", "metric", "family")}
    base = pd.DataFrame({**text, "shots": used["shots"], "is_preferred": used["is_preferred"]})
    leaf = ~used["is_aggregate"].to_numpy(bool)
    whole = ~leaf | (base["task"] == base["subtask"]).to_numpy()
    preferred = (
        base[leaf & base["is_preferred"]].groupby(["task", "metric"]).size().rename("n").reset_index()
        .sort_values(["task", "n", "metric"], ascending=[True, False, True])
        .drop_duplicates("task").set_index("task")["metric"]
    )  # fmt: skip
    n_leaves = base[leaf].groupby("task")["subtask"].nunique()
    key = ["family", "shots", "task", "metric"]
    chosen = available(curves) if criteria is None else criteria
    cases = [exceeds(used, criterion) for criterion in chosen]
    parts = []
    for level, rows in (("leaf", leaf), ("task", whole)):
        place = base.loc[rows].groupby(key, sort=True).ngroup().to_numpy()
        keys = base.loc[rows, key].drop_duplicates().sort_values(key, ignore_index=True)
        n_curves = np.bincount(place, minlength=len(keys))
        for criterion, case in zip(chosen, cases, strict=True):
            defined = case.notna().to_numpy(bool)[rows]
            met = case.fillna(value=False).to_numpy(bool)[rows]
            counted = keys.assign(
                n_curves=n_curves,
                n_defined=np.bincount(place, weights=defined, minlength=len(keys)).astype(np.int64),
                n_cases=np.bincount(place, weights=met, minlength=len(keys)).astype(np.int64),
            )
            counted.insert(0, "level", level)
            counted.insert(0, "criterion", criterion.name)
            parts.append(counted)
    units = pd.concat(parts, ignore_index=True)
    facts = (preferred_metrics() if kinds is None else kinds).set_index("task")["kind"]
    units["kind"] = units["task"].map(facts).fillna("unknown")
    number = units["task"].map(n_leaves).fillna(1).to_numpy()
    units["subtasks"] = np.select([number < 2, number < 10], ["1", "2-9"], "10+")
    registry = metrics() if registry is None else registry
    units["linearity"] = look_up(units[["task", "metric"]], registry)["linearity"].to_numpy()
    units["is_preferred"] = (units["task"].map(preferred) == units["metric"]).to_numpy(bool)
    return units


def decide(units: pd.DataFrame, rule: Rule) -> pd.DataFrame:
    """Units with at least one defined curve, with the column ``case`` by the rule; the others are held out."""
    defined = units[units["n_defined"] > 0]
    needed = 0.5 * defined["n_defined"] if rule == "half" else 1.0
    return defined.assign(case=defined["n_cases"] >= needed)
