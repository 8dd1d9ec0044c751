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
    n / (1 + (n - 1) r) with r the mean correlation, at least 0: as many independent tasks as the n are worth for a mean
    over tasks at one model.
interval factor
    sqrt(n / effective number): how many times too narrow an interval over tasks is, on the scale of the logarithm for an
    odds ratio, if what is asked of the tasks is as correlated as their residuals. The square is the design effect.
interval with shift
    An interval of an odds ratio so widened: a sensitivity, shown beside the interval itself and in its place nowhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bigbench_meta.emergence import curve_points
from bigbench_meta.facts.claims import ALIASES, belongs_to
from bigbench_meta.facts.metrics import look_up, metrics
from bigbench_meta.schema import DERIVED_METRIC

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

# A parabola takes three of the M dimensions; with fewer than three left a profile of residuals is hardly one.
MIN_SCALES = 6
# A sign-flip test of n tasks has 2^(n-1) outcomes: with fewer than 6 it cannot reach 5% on both sides.
MIN_TASKS = 6
_PLACE = r"^(.*), -?\d+ shots, "


def common_shift(
    frame: pd.DataFrame, *, rng: np.random.Generator, draws: int = 999, registry: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Test whether the models of a family are above or below their curves on all tasks together.

    Parameters
    ----------
    frame
        RESULTS. Used are leaf curves of preferred metrics, per family at its shot count with most tasks; each task
        counts once, its subtasks averaged.
    rng, draws
        For the random signs.
    registry
        The metric registry; the packaged one by default. Lower-is-better metrics are turned, unknown ones left out.

    Returns
    -------
    DataFrame
        Per family one row for ``all scales`` and one per scale: ``family, shots, scale`` (NaN for all), ``n_tasks,
        held_out`` (tasks without a complete, non-constant curve over the family's scales), ``mean_residual`` (mean over
        tasks, each task's residuals divided by their root mean square), ``statistic, p_value``, ``mean_correlation,
        effective_tasks, interval_factor`` (all-scales row) and ``reason`` where the family cannot be tested. p-values per scale are
        adjusted for the number of scales by the distribution of the largest one.

    Notes
    -----
    Unit of independence under the null: the task. With u_t the task's residuals at unit length, the statistic over all
    scales is |sum_t u_t|^2 and at scale i the absolute value of sum_t u_ti / sqrt(sum_t u_ti^2); their null gives every
    task a random sign (exact if a task's residuals are symmetric about 0; (b + 1)/(m + 1)). Mean correlation:
    (|sum_t u_t|^2 - n) / (n (n - 1)). A rejection means that tasks are not independent given their own parabola: a model
    that is off on all tasks, **or** a bend that all curves share and no parabola follows. The tests over tasks in this
    package do not allow for it; read their p-values as if made on ``effective_tasks`` tasks, and their intervals as
    ``interval_factor`` times as wide, at worst: a verdict or a case hangs on the whole curve, not on one model.
    """
    import pandas as pd

    rows: list[dict[str, object]] = []
    for (family, shots), (scales, profiles, held_out) in sorted(_profiles(frame, registry).items()):
        place: dict[str, object] = {"family": family, "shots": shots, "n_tasks": len(profiles), "held_out": held_out}
        if len(scales) < MIN_SCALES or len(profiles) < MIN_TASKS:
            reason = f"fewer_than_{MIN_SCALES}_scales" if len(scales) < MIN_SCALES else f"fewer_than_{MIN_TASKS}_tasks"
            rows.append(place | {"where": "all scales", "scale": np.nan, "reason": reason})
            continue
        rows += [place | row for row in _shift_rows(scales, profiles, rng=rng, draws=draws)]
    columns = ["family", "shots", "where", "scale", "n_tasks", "held_out", "mean_residual", "statistic", "p_value"]
    return pd.DataFrame(rows, columns=[*columns, "mean_correlation", "effective_tasks", "interval_factor", "reason"])


def with_shift(concentration: pd.DataFrame, shift: pd.DataFrame) -> pd.DataFrame:
    """Return the concentration table with the intervals that its odds ratios would have if all tasks shared their models' shift.

    Parameters
    ----------
    concentration
        As `concentration.claims_concentration` and `curves_concentration` make it.
    shift
        What `common_shift` returns.

    Returns
    -------
    DataFrame
        The same rows with ``shift_factor``, the interval factor of the row's family, and ``low_with_shift,
        high_with_shift``: ``exp(log estimate + factor (log limit - log estimate))``. The published claims rest on several
        families at once: they get the largest factor of those of them that are measured here. NaN where no factor could be
        estimated, where the row is no odds ratio, and where the interval has no limit.

    Notes
    -----
    A sensitivity at the worst case, see `common_shift`; no p-value is changed.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"source": ["curves"], "comparison": ["F, 3 shots, E > 5: between tasks"],
    ...                      "effect": ["conditional odds ratio"], "estimate": [4.0], "low": [2.0], "high": [8.0]})
    >>> found = with_shift(rows, pd.DataFrame({"family": ["F"], "where": ["all scales"], "interval_factor": [2.0]}))
    >>> found[["low_with_shift", "high_with_shift"]].round(9).to_numpy().tolist()
    [[1.0, 16.0]]
    """
    known = shift[(shift["where"] == "all scales") & shift["interval_factor"].notna()]
    factor = known.set_index("family")["interval_factor"]
    # Comparisons of curves begin with their family and shot count.
    family = concentration["comparison"].str.extract(_PLACE)[0]
    of_curves = family.map(factor).to_numpy(np.float64)
    spoken_of = {alias.family for alias in ALIASES}
    theirs = factor[[any(belongs_to(str(name), claimed) for claimed in spoken_of) for name in factor.index]]
    of_claims = float(theirs.max()) if len(theirs) else np.nan
    wider = np.where(concentration["source"] == "claims", of_claims, of_curves)
    wider[~concentration["effect"].str.endswith("odds ratio").to_numpy(bool)] = np.nan
    estimate = np.log(concentration["estimate"].to_numpy(np.float64))
    low, high = (np.log(concentration[name].to_numpy(np.float64)) for name in ("low", "high"))
    return concentration.assign(
        shift_factor=wider,
        low_with_shift=np.exp(estimate + wider * (low - estimate)),
        high_with_shift=np.exp(estimate + wider * (high - estimate)),
    )


def _shift_rows(scales: Vector, profiles: Vector, *, rng: np.random.Generator, draws: int) -> list[dict[str, object]]:
    n, n_scales = profiles.shape
    spread = np.sqrt((profiles**2).sum(axis=0))
    spread = np.where(spread > 0, spread, np.inf)
    total = profiles.sum(axis=0)
    length, at_scale = float(total @ total), np.abs(total) / spread
    flipped = rng.choice([-1.0, 1.0], (draws, n)) @ profiles
    null_length, null_largest = (flipped**2).sum(axis=1), np.abs(flipped / spread).max(axis=1)
    correlation = (length - n) / (n * (n - 1))
    design_effect = 1.0 + (n - 1) * max(correlation, 0.0)
    rows: list[dict[str, object]] = [
        {
            "where": "all scales",
            "scale": float("nan"),
            "statistic": length,
            "p_value": _p_value(null_length, length),
            "mean_correlation": correlation,
            "effective_tasks": n / design_effect,
            "interval_factor": float(np.sqrt(design_effect)),
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


def _profiles(frame: pd.DataFrame, registry: pd.DataFrame | None) -> dict[tuple[str, int], tuple[Vector, Vector, int]]:
    """Per family at its main shot count: scales, residuals of unit length (task, scale), tasks held out."""
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
        means = [np.mean(vectors, axis=0) for _, vectors in sorted(of_task.items())]
        means = [mean / np.linalg.norm(mean) for mean in means if np.linalg.norm(mean) > 0]
        profiles = np.array(means) if means else np.empty((0, len(common)))
        found[str(family), shots] = (np.array(common), profiles, len(here["task"].unique()) - len(profiles))
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
