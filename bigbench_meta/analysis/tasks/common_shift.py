"""What all tasks have in common: a check of the independence that every test over tasks takes for granted.

Vocabulary
----------
residual
    What a parabola in log10 scale leaves of a curve. A parabola takes out level, trend and the common bend, so that a
    single model that is better or worse than its size says on *all* tasks stays visible.
common shift
    A mean of the residuals at one scale, over tasks, that independent tasks would not have.
mean correlation
    Mean, over pairs of tasks, of the correlation of their residuals along the scales: 0 for independent tasks.
effective number of tasks
    n / (1 + (n - 1) r) with r the mean correlation, at least 0: as many independent tasks as the n are worth for a **mean**
    over tasks at one model. It says nothing about a contrast between tasks, such as an odds ratio, from which a shift that
    all tasks share cancels: see `contrast_shift`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bigbench_meta.emergence import curve_points
from bigbench_meta.facts.metrics import look_up, metrics
from bigbench_meta.schema import DERIVED_METRIC

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

# A parabola takes three of the M dimensions; with fewer than three left a profile of residuals is hardly one.
MIN_SCALES = 6
# A sign-flip test of n tasks has 2^(n-1) outcomes: with fewer than 6 it cannot reach 5% on both sides.
MIN_TASKS = 6
COLUMNS = [
    *("family", "shots", "where", "scale", "group", "n_tasks", "held_out", "mean_residual", "statistic", "p_value"),
    *("mean_correlation", "correlation_others", "correlation_between", "effective_tasks", "reason"),
]


class Profiles(NamedTuple):
    """Residuals of one family's tasks at one shot count: ``residuals`` (task, scale), each row of length 1.

    ``tasks`` and ``metrics`` (the preferred one of each task) are aligned with the rows; ``held_out`` counts tasks
    without a complete, non-constant curve over ``scales``.
    """

    scales: Vector
    residuals: Vector
    tasks: NDArray[np.str_]
    metrics: NDArray[np.str_]
    held_out: int


def common_shift(
    found: dict[tuple[str, int], Profiles],
    *,
    claimed: Sequence[str] = (),
    rng: np.random.Generator,
    draws: int = 999,
) -> pd.DataFrame:
    """Test whether the models of a family are above or below their curves on all tasks together.

    Parameters
    ----------
    found
        What `shift_profiles` returns.
    claimed
        Tasks claimed to be emergent: a group whose correlation is set beside that of the other tasks.
    rng, draws
        For the random signs and the random groups.

    Returns
    -------
    DataFrame
        Per family one row for ``all scales``, one per scale and one per ``group`` of tasks (those claimed, those of each
        preferred metric): ``family, shots, where, scale`` (NaN unless it is one scale), ``group, n_tasks, held_out`` (tasks
        without a complete, non-constant curve over the family's scales), ``mean_residual`` (mean over tasks, each task's
        residuals divided by their root mean square), ``statistic, p_value``, ``mean_correlation`` (within the group),
        ``correlation_others`` (within the other tasks), ``correlation_between``, ``effective_tasks`` (all scales) and
        ``reason`` where nothing can be tested. p-values per scale are adjusted for the number of scales by the distribution
        of the largest one; those of groups are not adjusted for the number of groups.

    Notes
    -----
    Unit of independence under the null: the task. With u_t the task's residuals at unit length, the statistic over all
    scales is |sum_t u_t|^2 and at scale i the absolute value of sum_t u_ti / sqrt(sum_t u_ti^2); their null gives every
    task a random sign (exact if a task's residuals are symmetric about 0; (b + 1)/(m + 1)). Mean correlation:
    (|sum_t u_t|^2 - n) / (n (n - 1)). A rejection means that tasks are not independent given their own parabola: a model
    that is off on all tasks, **or** a bend that all curves share and no parabola follows. The statistic of a group is its
    mean correlation minus that of the others; its null draws groups of that size at random, two-sided.
    """
    import pandas as pd

    rows: list[dict[str, object]] = []
    for (family, shots), profiles in sorted(found.items()):
        residuals = profiles.residuals
        place: dict[str, object] = {
            "family": family,
            "shots": shots,
            "n_tasks": len(residuals),
            "held_out": profiles.held_out,
            "group": "",
        }
        if len(profiles.scales) < MIN_SCALES or len(residuals) < MIN_TASKS:
            few_scales = len(profiles.scales) < MIN_SCALES
            reason = f"fewer_than_{MIN_SCALES}_scales" if few_scales else f"fewer_than_{MIN_TASKS}_tasks"
            rows.append(place | {"where": "all scales", "scale": np.nan, "reason": reason})
            continue
        rows += [place | row for row in _shift_rows(profiles.scales, residuals, rng=rng, draws=draws)]
        groups = {"claimed emergent": np.isin(profiles.tasks, list(claimed))}
        groups |= {f"metric {name}": profiles.metrics == name for name in sorted(set(profiles.metrics.tolist()))}
        rows += [place | row for row in _group_rows(residuals, groups, rng=rng, draws=draws)]
    return pd.DataFrame(rows).reindex(columns=COLUMNS)


def correlations(residuals: Vector, inside: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Mean correlation of the profiles within a group, within the others and between both; NaN without a pair.

    Examples
    --------
    >>> u = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    >>> correlations(u, np.array([True, True, False, False]))
    (1.0, -1.0, 0.0)
    """

    def within(part: Vector) -> float:
        n, total = len(part), part.sum(axis=0)
        return float((total @ total - n) / (n * (n - 1))) if n > 1 else float("nan")

    first, second = residuals[inside], residuals[~inside]
    n_pairs = len(first) * len(second)
    between = float(first.sum(axis=0) @ second.sum(axis=0) / n_pairs) if n_pairs else float("nan")
    return within(first), within(second), between


def _group_rows(
    residuals: Vector, groups: dict[str, NDArray[np.bool_]], *, rng: np.random.Generator, draws: int
) -> list[dict[str, object]]:
    """Return, for each group with enough tasks inside and outside, its correlation beside that of the others."""
    rows: list[dict[str, object]] = []
    n = len(residuals)
    for name, inside in groups.items():
        size = int(inside.sum())
        if min(size, n - size) < MIN_TASKS:
            continue
        own, others, between = correlations(residuals, inside)
        null = np.empty(draws)
        for i in range(draws):
            drawn = np.zeros(n, bool)
            drawn[rng.permutation(n)[:size]] = True
            first, second, _ = correlations(residuals, drawn)
            null[i] = abs(first - second)
        rows.append(
            {
                "where": "one group",
                "scale": float("nan"),
                "group": name,
                "n_tasks": size,
                "statistic": own - others,
                "p_value": _p_value(null, abs(own - others)),
                "mean_correlation": own,
                "correlation_others": others,
                "correlation_between": between,
                "reason": "",
            }
        )
    return rows


def _shift_rows(scales: Vector, profiles: Vector, *, rng: np.random.Generator, draws: int) -> list[dict[str, object]]:
    n, n_scales = profiles.shape
    spread = np.sqrt((profiles**2).sum(axis=0))
    spread = np.where(spread > 0, spread, np.inf)
    total = profiles.sum(axis=0)
    length, at_scale = float(total @ total), np.abs(total) / spread
    flipped = rng.choice([-1.0, 1.0], (draws, n)) @ profiles
    null_length, null_largest = (flipped**2).sum(axis=1), np.abs(flipped / spread).max(axis=1)
    correlation = (length - n) / (n * (n - 1))
    rows: list[dict[str, object]] = [
        {
            "where": "all scales",
            "scale": float("nan"),
            "statistic": length,
            "p_value": _p_value(null_length, length),
            "mean_correlation": correlation,
            "effective_tasks": n / (1.0 + (n - 1) * max(correlation, 0.0)),
            "reason": "",
        }
    ]
    for i, scale in enumerate(scales.tolist()):
        rows.append(
            {
                "where": "one scale",
                "scale": scale,
                "mean_residual": float(total[i] / n * np.sqrt(n_scales)),
                "statistic": float(at_scale[i]),
                "p_value": _p_value(null_largest, float(at_scale[i])),
                "reason": "",
            }
        )
    return rows


def _p_value(null: Vector, observed: float) -> float:
    return (int((null >= observed - 1e-12).sum()) + 1) / (len(null) + 1)


def shift_profiles(frame: pd.DataFrame, *, registry: pd.DataFrame | None = None) -> dict[tuple[str, int], Profiles]:
    """Return the residuals of every task of a family from its own parabola, per family at its main shot count.

    Parameters
    ----------
    frame
        RESULTS. Used are leaf curves of preferred metrics, per family at its shot count with most tasks; each task
        counts once, its subtasks averaged.
    registry
        The metric registry; the packaged one by default. Lower-is-better metrics are turned, unknown ones left out.
    """
    points = curve_points(frame)
    curves = points.curves.assign(number=np.arange(len(points.curves)))
    curves = curves[~curves["is_aggregate"] & curves["is_preferred"] & (curves["metric"].astype(str) != DERIVED_METRIC)]
    direction = look_up(curves[["task", "metric"]], metrics() if registry is None else registry)["direction"]
    curves = curves.assign(sign=direction.map({"higher": 1.0, "lower": -1.0}).to_numpy(np.float64))
    curves = curves[curves["sign"].notna()]
    found = {}
    for family, of_family in curves.groupby("family", observed=True, sort=True):
        n_tasks = of_family.groupby("shots")["task"].nunique()
        shots = int(n_tasks[n_tasks == n_tasks.max()].index.max())
        here = of_family[of_family["shots"] == shots]
        rows = [slice(points.start[k], points.start[k] + points.n_scales[k]) for k in here["number"]]
        sets = [tuple(points.scale[row].tolist()) for row in rows]
        # Curves are compared along the scales that most of them have; among equally common sets, the longest.
        common = max(sorted(set(sets)), key=lambda scales: (sets.count(scales), len(scales)))
        of_task: dict[str, list[Vector]] = {}
        if len(common) >= MIN_SCALES:
            for task, sign, row, scales in zip(here["task"].astype(str), here["sign"], rows, sets, strict=True):
                residual = _residual(np.log10(common), sign * points.score[row]) if scales == common else None
                if residual is not None:
                    of_task.setdefault(task, []).append(residual)
        means = {task: np.mean(vectors, axis=0) for task, vectors in sorted(of_task.items())}
        units = {task: mean / np.linalg.norm(mean) for task, mean in means.items() if np.linalg.norm(mean) > 0}
        names = here["metric"].astype(str).groupby(here["task"].astype(str))
        metric = {str(task): str(each.value_counts().sort_index().idxmax()) for task, each in names}
        found[str(family), shots] = Profiles(
            np.array(common),
            np.array(list(units.values())) if units else np.empty((0, len(common))),
            np.array(list(units), dtype=np.str_),
            np.array([metric[task] for task in units], dtype=np.str_),
            len(here["task"].unique()) - len(units),
        )
    return found


def _residual(x: Vector, y: Vector) -> Vector | None:
    """Unit-length residual of y from a parabola in x; none where a score is missing or nothing is left."""
    if not np.isfinite(y).all():
        return None
    basis, _ = np.linalg.qr(np.vander(x - x.mean(), 3))
    residual = y - basis @ (basis.T @ y)
    length = float(np.linalg.norm(residual))
    # What floating point leaves of an exact parabola is no residual.
    return residual / length if length > 1e-12 * max(1.0, float(np.abs(y).max())) else None
