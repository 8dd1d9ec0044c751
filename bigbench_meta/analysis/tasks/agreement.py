"""Claims against measurement: what the curves of each task say, and how far that agrees with the annotation.

Vocabulary
----------
about this family
    True for a task claimed to be emergent with a first model of the family at hand, false where the claim speaks of
    another family, missing where nothing is claimed. A claim about PaLM says nothing sharp about BIG-G: at BIG-G's sizes
    it may even predict a flat curve.
within, across
    Claimed tasks whose claim is, or is not, about the family, each against the annotated tasks that nobody claims.
outcome
    ``sharp and unpredictable``, ``sharp only``, ``unpredictable only``, ``neither``, ``not tested`` or ``no curve``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bigbench_meta.analysis.tasks.units import oriented
from bigbench_meta.facts.claims import belongs_to
from bigbench_meta.schema import DERIVED_METRIC

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

# Below 5 tasks on either side there is no interval; below 17 it is given and flagged as too short: nominal 95% intervals
# of the ROC area and of kappa covered 82 to 87% at 5 tasks against 130, 89 to 92% at 8, 92 to 95% at 17 and 42
# (400 simulated tables each, docs/validation.md).
MIN_TASKS, FEW_TASKS = 5, 17
_ALPHA = 0.05
OUTCOMES = ("sharp and unpredictable", "sharp only", "unpredictable only", "neither", "not tested", "no curve")
# Measures whose ranking of tasks is compared with the annotation, and the sign that puts emergence on top; linearity is
# ranked as it is, since no sign of it is emergence.
RANKED = (
    ("emergence_score", 1.0),
    ("emergence_floored", 1.0),
    ("linearity", 1.0),
    ("width_decades", -1.0),
    ("p_sharp", -1.0),
    ("p_surprise", -1.0),
    ("surprise_share", 1.0),
)
FLAGS = ("sharp", "unpredictable", "emergent")


class ClaimTables(NamedTuple):
    """``tasks``: one row per task, family and shot count. ``agreement``: one row per family, relation and measure."""

    tasks: pd.DataFrame
    agreement: pd.DataFrame


def claims_against_curves(
    claims: pd.DataFrame, curves: pd.DataFrame, *, rng: np.random.Generator, draws: int = 999, level: float = 0.95
) -> ClaimTables:
    """Set every annotated task beside what its curves say, and measure the agreement.

    Parameters
    ----------
    claims
        As `bigbench_meta.claims` returns them.
    curves
        Analysed CURVES. Used are the leaf curves of each task's preferred metric, per family at its shot count with
        most tasks (the largest if several).
    rng, draws
        For the bootstrap over tasks.
    level
        Confidence level of its intervals.

    Returns
    -------
    ClaimTables
        ``tasks`` has one row per task and family: the annotation, ``about_this_family``, ``metric, n_curves, n_tested,
        n_scales``, the median over the task's curves of the measures (E and L oriented so that a rise is positive,
        ``surprise_share`` the surprise over the curve's range), ``verdict`` (the most frequent one; ``sharp`` if at least
        half are), the flags ``sharp``, ``unpredictable``, ``emergent`` (at least half of the tested curves; missing if
        none; a curve on which nothing could have been a surprise counts as not shown to be one) and the ``outcome``. Annotated tasks without any curve have one row; tasks that nobody annotated have an
        empty ``category``.

        ``agreement`` has, per family and relation (``within``, ``across``), Cohen's kappa of each flag and the area
        under the ROC curve of each measure (the chance that a claimed task ranks above one nobody claims, ties half),
        with ``n_claimed`` and ``n_unclaimed``. Intervals resample whole tasks, claimed and unclaimed apart; they are
        missing below 5 tasks on either side and flagged as too short below 17, in ``reason``.

    Notes
    -----
    Unit of independence: the task. The annotators looked at plots of the same preferred metric, for several families at
    once: agreement is no independent confirmation. Nothing is pooled over families.
    """
    import pandas as pd

    tasks = _tasks(claims, curves)
    rows: list[dict[str, object]] = []
    measured = tasks[tasks["outcome"] != "no curve"]
    for (family, shots), part in measured.groupby(["family", "shots"], sort=True):
        unclaimed = part[part["category"].ne("") & part["category"].ne("emergent")]
        about = part["about_this_family"].astype("boolean")
        for relation, chosen in (("within", about.fillna(value=False)), ("across", (~about).fillna(value=False))):
            claimed = part[chosen.to_numpy(bool)]
            place = {"family": family, "shots": shots, "relation": relation, "level": level}
            rows += [place | row for row in _agreement(claimed, unclaimed, rng=rng, draws=draws, level=level)]
    columns = ["family", "shots", "relation", "measure", "statistic", "n_claimed", "n_unclaimed", "n_undefined"]
    columns += ["estimate", "low", "high", "level", "method", "reason"]
    return ClaimTables(tasks, pd.DataFrame(rows, columns=columns))


def not_surviving(tasks: pd.DataFrame) -> pd.DataFrame:
    """Claims about the family at hand whose curves were tested and are not both sharp and unpredictable."""
    tested = ~tasks["outcome"].isin(["not tested", "no curve", "sharp and unpredictable"])
    return tasks[tasks["about_this_family"].fillna(value=False).to_numpy(bool) & tested.to_numpy(bool)]


def unclaimed_surprises(tasks: pd.DataFrame) -> pd.DataFrame:
    """Tasks that are unpredictable by their curves and that nobody claims to be emergent, in any family."""
    unpredictable = tasks["outcome"].isin(["sharp and unpredictable", "unpredictable only"])
    return tasks[unpredictable & (tasks["category"] != "emergent")]


def _tasks(claims: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    used = _preferred_curves(curves)
    key = ["task", "family", "shots", "metric"]
    tested = (used["emergent"].notna() | used["p_sharp"].notna()).to_numpy(bool)
    verdict = used["verdict"].astype(str)
    flags = {
        "sharp": verdict == "sharp",
        "unpredictable": used["q_surprise"] <= _ALPHA,
        "emergent": used["emergent"].fillna(value=False),
    }
    used = used.assign(n_tested=tested, **{name: flag.astype("float64").where(tested) for name, flag in flags.items()})
    grouped = used.groupby(key, sort=True)
    measured = grouped.agg(
        n_curves=("n_tested", "size"),
        n_tested=("n_tested", "sum"),
        n_scales=("n_scales", "max"),
        **{name: (name, "median") for name, _ in RANKED},
        **{name: (name, "mean") for name in FLAGS},
    )
    counts = used.assign(verdict=verdict, one=1).pivot_table("one", key, "verdict", aggfunc="sum", fill_value=0)
    counts = counts.reindex(measured.index)
    sharp = counts.get("sharp", 0) >= 0.5 * measured["n_curves"]
    # Columns are in alphabetical order and the first of equally frequent verdicts is taken.
    measured["verdict"] = counts.idxmax(axis=1).where(~sharp, "sharp") if len(counts) else ""
    for name in FLAGS:
        measured[name] = (measured[name] >= 0.5).astype("boolean").where(measured["n_tested"] > 0)
    place = 2 * (~measured["sharp"]).fillna(value=True).astype(int) + (~measured["unpredictable"]).fillna(value=True)
    measured["outcome"] = np.array(OUTCOMES, object)[place.to_numpy(np.int64)]
    measured.loc[measured["n_tested"] == 0, "outcome"] = "not tested"
    measured = measured.reset_index()
    order = ["task", "category", "first_model_above_chance", "claim_family", "family", "shots", "about_this_family"]
    order += ["metric", "n_curves", "n_tested", "n_scales", *(name for name, _ in RANKED), "verdict", *FLAGS, "outcome"]
    table = claims.merge(measured, on="task", how="outer")
    words = ["category", "first_model_above_chance", "claim_family", "family", "metric", "verdict"]
    table[words] = table[words].astype("object").fillna("")
    table["outcome"] = table["outcome"].astype("object").fillna("no curve")
    claimed = (table["category"] == "emergent").to_numpy(bool)
    about = [belongs_to(family, claim) for family, claim in zip(table["family"], table["claim_family"], strict=True)]
    table["about_this_family"] = pd.array(about, dtype="boolean")
    table["about_this_family"] = table["about_this_family"].where(claimed & (table["family"] != "").to_numpy(bool))
    whole = dict.fromkeys(("shots", "n_curves", "n_tested", "n_scales"), "Int64")
    table = table.astype(whole | dict.fromkeys(FLAGS, "boolean") | {name: "float64" for name, _ in RANKED})
    return table[order].sort_values(["task", "family", "shots"], ignore_index=True)


def _preferred_curves(curves: pd.DataFrame) -> pd.DataFrame:
    """Leaf curves of preferred metrics at each family's main shot count, with oriented measures as plain columns."""
    keep = ~curves["is_aggregate"].to_numpy(bool) & curves["is_preferred"].to_numpy(bool)
    keep &= (curves["metric"].astype(str) != DERIVED_METRIC).to_numpy(bool)
    used = curves[keep].reset_index(drop=True)
    score_range = used["score_range"].to_numpy(np.float64)
    surprise = used["surprise"].to_numpy(np.float64)
    used = used.assign(
        task=used["task"].astype(str),
        family=used["family"].astype(str),
        metric=used["metric"].astype(str),
        emergence_score=oriented(used, "emergence_score"),
        emergence_floored=oriented(used, "emergence_floored"),
        linearity=oriented(used, "linearity"),
        surprise_share=np.divide(surprise, score_range, out=np.full(len(used), np.nan), where=score_range > 0),
    )
    n_tasks = used.groupby(["family", "shots"])["task"].nunique().reset_index(name="n_tasks")
    main = n_tasks.sort_values(["n_tasks", "shots"]).drop_duplicates("family", keep="last")[["family", "shots"]]
    used = used.merge(main, on=["family", "shots"])
    # A task whose subtasks prefer different metrics is represented by the metric most of them prefer.
    number = used.groupby(["task", "family", "metric"]).size().reset_index(name="n_preferring")
    most = number.sort_values(["n_preferring", "metric"], ascending=[False, True]).drop_duplicates(["task", "family"])
    representative: pd.DataFrame = used.merge(most[["task", "family", "metric"]], on=["task", "family", "metric"])
    return representative


def _agreement(
    claimed: pd.DataFrame, unclaimed: pd.DataFrame, *, rng: np.random.Generator, draws: int, level: float
) -> list[dict[str, object]]:
    rows = []
    measures: list[tuple[str, str, float, Callable[[Vector, Vector], float]]] = [
        *((flag, "Cohen's kappa", 1.0, cohen_kappa) for flag in FLAGS),
        *((name, "area under the ROC curve", sign, roc_area) for name, sign in RANKED),
    ]
    for name, statistic, sign, function in measures:
        ours, theirs = (sign * part[name].astype("float64").to_numpy(np.float64) for part in (claimed, unclaimed))
        n_undefined = int(np.isnan(ours).sum() + np.isnan(theirs).sum())
        ours, theirs = ours[~np.isnan(ours)], theirs[~np.isnan(theirs)]
        estimate = function(ours, theirs)
        row: dict[str, object] = {
            "measure": name,
            "statistic": statistic + (" (sign turned)" if sign < 0 else ""),
            "n_claimed": len(ours),
            "n_unclaimed": len(theirs),
            "n_undefined": n_undefined,
            "estimate": estimate,
            "low": float("nan"),
            "high": float("nan"),
            "method": "bootstrap over tasks",
            "reason": "",
        }
        if np.isnan(estimate):
            row["reason"] = "no_task_on_one_side" if not len(ours) or not len(theirs) else "constant"
        elif min(len(ours), len(theirs)) < MIN_TASKS:
            row["reason"] = f"fewer_than_{MIN_TASKS}_tasks_on_one_side"
        else:
            row["low"], row["high"] = bootstrap_interval(ours, theirs, function, rng=rng, draws=draws, level=level)
            if min(len(ours), len(theirs)) < FEW_TASKS:
                row["reason"] = f"interval_too_short_below_{FEW_TASKS}_tasks"
        rows.append(row)
    return rows


def bootstrap_interval(
    claimed: Vector,
    unclaimed: Vector,
    function: Callable[[Vector, Vector], float],
    *,
    rng: np.random.Generator,
    draws: int,
    level: float,
) -> tuple[float, float]:
    """Percentile interval of ``function`` over resamples of whole tasks, claimed and unclaimed apart.

    With few tasks it is too short (see `FEW_TASKS`). Resamples without a value are left out.
    """
    ours = claimed[rng.integers(0, len(claimed), (draws, len(claimed)))]
    theirs = unclaimed[rng.integers(0, len(unclaimed), (draws, len(unclaimed)))]
    drawn = [function(a, b) for a, b in zip(ours, theirs, strict=True)]
    low, high = np.nanquantile(drawn, [(1 - level) / 2, (1 + level) / 2]).tolist()
    return low, high


def cohen_kappa(claimed: Vector, unclaimed: Vector) -> float:
    """Cohen's kappa of a 0/1 flag with the annotation; NaN if the flag or the annotation is the same for all tasks.

    Examples
    --------
    >>> cohen_kappa(np.array([1.0, 1.0, 0.0]), np.array([0.0, 0.0, 0.0, 1.0]))  # observed 5/7, expected 25/49
    0.4166666666666667
    """
    n = len(claimed) + len(unclaimed)
    flagged = claimed.sum() + unclaimed.sum()
    if not len(claimed) or not len(unclaimed) or flagged in (0, n):
        return float("nan")
    observed = (claimed.sum() + (1 - unclaimed).sum()) / n
    expected = (len(claimed) * flagged + len(unclaimed) * (n - flagged)) / n**2
    return float((observed - expected) / (1 - expected))


def roc_area(claimed: Vector, unclaimed: Vector) -> float:
    """Chance that a claimed task has the larger value than an unclaimed one, ties counting half; NaN if either is empty.

    Examples
    --------
    >>> roc_area(np.array([3.0, 1.0]), np.array([1.0, 0.0]))  # pairs: 1, 1, .5, 1
    0.875
    """
    if not len(claimed) or not len(unclaimed):
        return float("nan")
    ordered = np.sort(unclaimed)
    below = np.searchsorted(ordered, claimed, side="left")
    up_to = np.searchsorted(ordered, claimed, side="right")
    return float((below + up_to).sum() / (2 * len(claimed) * len(unclaimed)))
