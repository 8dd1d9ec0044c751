"""The effect of the metric across tasks: a random-effects meta-analysis of hard against smooth metrics of the same outputs.

Vocabulary
----------
pair
    Two curves of one task, subtask, family and shot count under metrics of different classes of the registry: *hard* is the one whose class
    comes first in discontinuous, nonlinear, linear, *smooth* the other. The user may name pairs of metrics instead.
effect
    Smooth minus hard of a measure of sharpness, both oriented so that larger is better. Below 0 in ``step_share`` and ``sharp``, above
    0 in ``linearity`` and ``width``: the smooth curve is the less sharp one.
heterogeneity
    What effects differ by between tasks beyond their errors: standard deviation tau, and the share of all variation I2.
prediction interval
    Where the effect of a *new* task of the same kind would lie, as against the interval of the mean effect.

References
----------
.. [1] Paule, R. C., and Mandel, J. (1982). Consensus values and weighting factors. J. Res. NBS 87(5).
.. [2] Veroniki, A. A., et al. (2016). Methods to estimate the between-study variance and its uncertainty. Res. Synth. Methods 7(1).
.. [3] Hartung, J., and Knapp, G. (2001). A refined method for the meta-analysis of controlled trials. Stat. Med. 20(24).
.. [4] Higgins, J. P. T., Thompson, S. G., and Spiegelhalter, D. J. (2009). A re-evaluation of random-effects meta-analysis. JRSS A 172(1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bigbench_meta.emergence import curve_points
from bigbench_meta.emergence.measures import score_rows
from bigbench_meta.facts.metrics import look_up, metrics
from bigbench_meta.schema import DERIVED_METRIC

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

# Classes of the registry from hard to smooth: a metric of one is paired with those of every later one.
HARD_TO_SMOOTH = ("discontinuous", "nonlinear", "linear")
# With fewer scales a step and a line are told apart by nothing: L / sqrt(M - 1) lies between 1 and 1.4.
MIN_SCALES = 4
# A mean of two tasks has an interval that excludes nothing, and none has a prediction interval.
MIN_TASKS = 3
LEVEL = 0.95
# Median of the absolute value of a standard normal variable; scatter beyond three errors counts as three.
_MEDIAN_OF_NORMAL, _FAR = 0.6745, 3.0
# From fewer inner points the correlation of two curves' scatter is near 1 by chance and the task would outweigh all others.
_LEAST_SCATTER, _MOST_SHARED = 6, 0.9
ALL = "all"
TASK_COLUMNS = ["hard", "soft", "measure", "family", "task", "effect", "variance", "n_pairs", "n_undefined"]
COLUMNS = [*("hard", "soft", "measure", "family", "left_out", "n_tasks", "n_pairs", "n_undefined", "effect", "low", "high"),
           *("prediction_low", "prediction_high", "tau", "i_squared", "p", "q_heterogeneity", "method", "reason")]  # fmt: skip
_WEIGHTED, _EQUAL, _ONE = "Paule-Mandel, Hartung-Knapp", "equal weights, t", "one task, its own scatter"


def task_effects(
    curves: pd.DataFrame,
    frame: pd.DataFrame,
    *,
    pairs: Sequence[tuple[str, str]] | None = None,
    registry: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return the effect of the metric on each task, per family and over families.

    Parameters
    ----------
    curves
        CURVES in key order, with the columns of the analysis if it was made (``width_decades``, ``verdict``).
    frame
        The RESULTS frame that they were made of.
    pairs
        (hard, smooth) names of metrics. Default: every two metrics that a task has both of and whose classes in the registry
        differ: discontinuous with nonlinear and linear ones, nonlinear with linear ones.
    registry
        The metric registry; the packaged one by default. The directions are those of ``curves``.

    Returns
    -------
    DataFrame
        One row per pair of metrics, measure, family and task: ``effect`` (mean over its subtasks and shots; family ``all``: mean over
        families), its ``variance``, ``n_pairs`` and ``n_undefined``. Measures: ``linearity`` (L / sqrt(M - 1): 1 for one clean step,
        sqrt(M - 1) for a line), ``step_share`` (largest rise between neighbours over the range), ``width`` (decades, from 10% to 90%)
        and ``sharp`` (verdict, 0 or 1).

    Notes
    -----
    The variance of ``linearity`` and ``step_share`` is that of the points carried through the measure (delta method): their scatter about
    the line between their neighbours, by its median so that a jump is no scatter, and the correlation of both curves' scatter, since
    both metrics score the same outputs (at most .9). It is NaN below eight scales, and about twice the variance of simulated curves (1.7 to 3.3 times), so that tau is
    a low estimate. That of a mean over subtasks is the mean of theirs, as if they shared everything; that of a mean over families
    is smaller by their number. It is NaN for the other measures.
    """
    import pandas as pd

    registry = metrics() if registry is None else registry
    table = curves.reset_index(drop=True)
    text = {name: table[name].astype(str) for name in ("task", "subtask", "family", "metric", "direction")}
    known = pd.DataFrame(
        {**text, "shots": table["shots"], "number": np.arange(len(table)), "n_scales": table["n_scales"]}
    )
    usable = ~table["is_aggregate"].to_numpy(bool) & (known["metric"] != DERIVED_METRIC).to_numpy()
    usable &= known["direction"].isin(["higher", "lower"]).to_numpy() & (known["n_scales"] >= MIN_SCALES).to_numpy()
    known["linearity"] = look_up(known[["task", "metric"]], registry)["linearity"].to_numpy()
    known = known[usable]
    if pairs is None:
        known = known.assign(rank=known["linearity"].map({name: rank for rank, name in enumerate(HARD_TO_SMOOTH)}))
        graded = known[known["rank"].notna()]
        both = graded.merge(graded, on=_KEY, suffixes=("_hard", "_soft"))
        both = both[both["rank_hard"] < both["rank_soft"]]
    else:
        both = known.merge(known, on=_KEY, suffixes=("_hard", "_soft"))
        named = (
            pd.MultiIndex.from_tuples([tuple(pair) for pair in pairs])
            if len(pairs)
            else pd.MultiIndex.from_arrays([[], []])
        )
        both = both[pd.MultiIndex.from_frame(both[["metric_hard", "metric_soft"]]).isin(named)]
    points = curve_points(frame)
    rows: list[dict[str, object]] = []
    for pair in both.to_dict("records"):
        sides = []
        for end in ("hard", "soft"):
            number = int(pair[f"number_{end}"])
            part = slice(points.start[number], points.start[number] + points.n_scales[number])
            sign = 1.0 if pair[f"direction_{end}"] == "higher" else -1.0
            sides.append((points.scale[part], sign * points.score[part]))
        place = {
            "hard": pair["metric_hard"],
            "soft": pair["metric_soft"],
            "family": pair["family"],
            "task": pair["task"],
        }
        found = _from_points(*sides) | _from_columns(table.iloc[pair["number_hard"]], table.iloc[pair["number_soft"]])
        rows += [
            place | {"measure": name, "effect": effect, "variance": variance}
            for name, (effect, variance) in found.items()
        ]
    if not rows:
        return pd.DataFrame(columns=TASK_COLUMNS)
    single = pd.DataFrame(rows)
    key = ["hard", "soft", "measure", "family", "task"]
    counted = single.assign(n_pairs=1, n_undefined=single["effect"].isna())
    of_family = counted.groupby(key, sort=True).agg(
        effect=("effect", "mean"), variance=("variance", _mean_of_all), n_pairs=("n_pairs", "sum"), n_undefined=("n_undefined", "sum")
    ).reset_index()  # fmt: skip
    several = of_family.groupby(["hard", "soft", "measure", "task"], sort=True).agg(
        effect=("effect", "mean"), variance=("variance", _variance_of_mean), n_pairs=("n_pairs", "sum"), n_undefined=("n_undefined", "sum")
    ).reset_index()  # fmt: skip
    together = pd.concat([several.assign(family=ALL), of_family], ignore_index=True)
    together["n_undefined"] = together["n_undefined"].astype("int64")
    return together[TASK_COLUMNS]


_KEY = ["task", "subtask", "family", "shots"]


def _mean_of_all(values: pd.Series[float]) -> float:
    return float(values.mean()) if values.notna().all() else float("nan")


def _variance_of_mean(values: pd.Series[float]) -> float:
    return float(values.sum() / len(values) ** 2) if values.notna().all() else float("nan")


def _measures(y: Vector) -> Vector:
    """L / sqrt(M - 1) and the share of the largest rise of each curve (K, M); NaN where one does not change or has a gap."""
    m = y.shape[-1]
    change = np.ptp(y, axis=1) if m > 1 else np.zeros(len(y))
    defined = np.isfinite(y).all(axis=1) & (change > 0)
    if not defined.any():
        return np.full((len(y), 2), np.nan)
    linear = score_rows(y).linearity / np.sqrt(m - 1)
    rise = np.maximum(np.diff(y, axis=1).max(axis=1), 0.0) / np.where(defined, change, 1.0)
    return np.where(defined[:, None], np.column_stack([linear, rise]), np.nan)


def _from_points(hard: tuple[Vector, Vector], soft: tuple[Vector, Vector]) -> dict[str, tuple[float, float]]:
    """Effect and variance on the measures that the points give, on the scales that both curves have."""
    scales, in_hard, in_soft = np.intersect1d(hard[0], soft[0], return_indices=True)
    y, z = hard[1][in_hard], soft[1][in_soft]
    m = len(scales)
    nothing = (float("nan"), float("nan"))
    if m < MIN_SCALES:
        return dict.fromkeys(("linearity", "step_share"), nothing)
    of_y, of_z = _measures(np.stack([y, z]))
    effect = of_z - of_y
    variance = _variance(np.log10(scales) if (scales > 0).all() else np.arange(m, dtype=np.float64), y, z)
    return {name: (float(effect[i]), float(variance[i])) for i, name in enumerate(("linearity", "step_share"))}


def _variance(x: Vector, y: Vector, z: Vector) -> Vector:
    """Variance of the effect on each measure, from the scatter of both curves and the slope of the measure in each point."""
    left, right = (_scatter(x, each) for each in (y, z))
    size = [float(np.median(np.abs(each))) / _MEDIAN_OF_NORMAL for each in (left, right)]
    if len(left) < _LEAST_SCATTER or not min(size) > 0:
        return np.full(2, np.nan)
    clipped = [np.clip(each / own, -_FAR, _FAR) for each, own in zip((left, right), size, strict=True)]
    shared = float((clipped[0] * clipped[1]).sum() / np.sqrt((clipped[0] ** 2).sum() * (clipped[1] ** 2).sum()))
    shared = float(np.clip(shared, -_MOST_SHARED, _MOST_SHARED))
    slope_y, slope_z = _slopes(y, size[0] / 2), _slopes(z, size[1] / 2)
    own = size[0] ** 2 * (slope_y**2).sum(axis=0) + size[1] ** 2 * (slope_z**2).sum(axis=0)
    return np.asarray(own - 2 * shared * size[0] * size[1] * (slope_y * slope_z).sum(axis=0))


def _scatter(x: Vector, y: Vector) -> Vector:
    """Each inner point minus the line between its neighbours, in units of one point's error (Gasser, Sroka and others 1986)."""
    part = (x[2:] - x[1:-1]) / (x[2:] - x[:-2])
    return np.asarray((part * y[:-2] + (1 - part) * y[2:] - y[1:-1]) / np.sqrt(part**2 + (1 - part) ** 2 + 1))


def _slopes(y: Vector, h: float) -> Vector:
    """Slope of each measure in each point, (points, measures), over a step of ``h`` on either side."""
    each = h * np.eye(len(y))
    return np.asarray((_measures(y + each) - _measures(y - each)) / (2 * h))


def _from_columns(hard: pd.Series[float], soft: pd.Series[float]) -> dict[str, tuple[float, float]]:
    """Effect on the measures that the analysis of the curves gives; missing where either was not tested."""
    found = {}
    nan = float("nan")
    if "width_decades" in hard.index:
        found["width"] = (float(soft["width_decades"]) - float(hard["width_decades"]), nan)
    if "verdict" in hard.index:
        tested = all(np.isfinite(float(each["p_sharp"])) for each in (hard, soft))
        sharp = [float(str(each["verdict"]) == "sharp") for each in (soft, hard)]
        found["sharp"] = (sharp[0] - sharp[1] if tested else nan, nan)
    return found


def effects(of_tasks: pd.DataFrame) -> pd.DataFrame:
    """Return EFFECTS: the mean effect of the metric over tasks, its heterogeneity, and what a new task would show.

    Parameters
    ----------
    of_tasks
        What `task_effects` returns.

    Returns
    -------
    DataFrame
        One row per pair of metrics, measure and family (``all``: over families), and for ``all`` one per task left out
        (``left_out``). ``effect`` with its 95% interval ``low, high``, ``prediction_low, prediction_high`` for a new task, ``tau``,
        ``i_squared``, ``p`` (no mean effect), ``q_heterogeneity`` (Cochran's Q) and ``method``. ``reason`` where something is undefined:
        ``one_task`` (interval of that task alone, which says nothing about others), ``fewer_than_3_tasks``, ``no_defined_pair``.

    Notes
    -----
    Unit of independence: the task. tau2 by Paule and Mandel [1]_, which Veroniki et al. [2]_ recommend beside REML and statsmodels
    keeps; the interval by Hartung and Knapp [3]_ with t on k - 1 degrees of freedom, which takes the scatter of the effects as it is whatever the variances
    say. The
    prediction interval is that of one more task measured as these are: the standard deviation of the effects themselves, with t on k - 1,
    since variances that are overstated would leave tau, on which the usual one rests [4]_, too small. All tasks get the mean of
    their variances, where at least half have one: a curve with even steps has both a large L and a large error of L, so that weights by
    each task's own variance would favour tasks without an effect (on the ladder of OLMo, accuracy against log p, .25 in place of .35). Without
    variances tau holds the errors too. Noise
    lowers L and raises the largest step: part of an effect is that accuracy on a finite test is the noisier score. Tasks share their models: what models add to the
    difference of two metrics on all tasks is part of the effect.
    """
    import pandas as pd

    rows: list[dict[str, object]] = []
    if not len(of_tasks):
        return pd.DataFrame(columns=COLUMNS)
    for (hard, soft, measure, family), part in of_tasks.groupby(["hard", "soft", "measure", "family"], sort=True):
        place = {"hard": hard, "soft": soft, "measure": measure, "family": family}
        rows.append(place | {"left_out": ""} | _pooled(part))
        if family == ALL and part["effect"].notna().sum() > MIN_TASKS:
            defined = part[part["effect"].notna()]
            rows += [place | {"left_out": task} | _pooled(defined[defined["task"] != task]) for task in defined["task"]]
    return pd.DataFrame(rows).reindex(columns=COLUMNS)


def _pooled(part: pd.DataFrame) -> dict[str, object]:
    defined = part[part["effect"].notna()]
    counts: dict[str, object] = {
        "n_tasks": len(defined),
        "n_pairs": int(part["n_pairs"].sum()),
        "n_undefined": int(part["n_undefined"].sum()),
    }
    if defined.empty:
        return counts | {"method": "", "reason": "no_defined_pair"}
    variance = defined["variance"].to_numpy(np.float64)
    known = variance[np.isfinite(variance) & (variance > 0)]
    enough = 2 * len(known) >= len(variance) and len(known)
    found = pool(defined["effect"].to_numpy(np.float64), np.full(len(variance), known.mean() if enough else np.nan))
    return counts | found._asdict()


class Pooled(NamedTuple):
    """A mean effect over tasks; NaN with a ``reason`` where something is undefined."""

    effect: float
    low: float
    high: float
    prediction_low: float
    prediction_high: float
    tau: float
    i_squared: float
    p: float
    q_heterogeneity: float
    method: str
    reason: str


def pool(effect: Vector, variance: Vector) -> Pooled:
    """Combine the effects of independent tasks by a random-effects model; see `effects`.

    Examples
    --------
    >>> found = pool(np.array([0.1, 0.3, 0.35, 0.7]), np.array([0.01, 0.02, 0.01, 0.03]))
    >>> round(found.effect, 2), found.low < found.effect < found.high, found.prediction_high > found.high
    (0.34, True, True)
    """
    from scipy import stats
    from statsmodels.stats.meta_analysis import combine_effects

    nan, k = float("nan"), len(effect)
    half = 0.5 + LEVEL / 2
    weighted = bool(np.isfinite(variance).all() and (variance > 0).all()) and (k == 1 or np.ptp(effect) > 0)
    if k == 1:
        reach = float(stats.norm.ppf(half)) * float(np.sqrt(variance[0])) if weighted else nan
        mean = float(effect[0])
        return Pooled(mean, mean - reach, mean + reach, nan, nan, nan, nan, nan, nan, _ONE, "one_task")
    if k < MIN_TASKS:
        return Pooled(
            float(effect.mean()), nan, nan, nan, nan, nan, nan, nan, nan, "mean", f"fewer_than_{MIN_TASKS}_tasks"
        )
    q = share = nan
    if weighted:
        found = combine_effects(effect, variance, method_re="pm", use_t=True)
        mean, tau = float(found.mean_effect_re), float(np.sqrt(max(found.tau2, 0.0)))
        error = float(found.sd_eff_w_re_hksj)
        q = float(found.q)
        share = max(0.0, 1.0 - (k - 1) / q) if q > 0 else 0.0
    else:
        mean, tau = float(effect.mean()), float(effect.std(ddof=1))
        error = tau / float(np.sqrt(k))
    reach = float(stats.t.ppf(half, k - 1)) * error
    ahead = float(stats.t.ppf(half, k - 1)) * float(np.hypot(effect.std(ddof=1), error))
    p = 2 * float(stats.t.sf(abs(mean) / error, k - 1)) if error > 0 else nan
    reason = "" if error > 0 else "no_variation"
    method = _WEIGHTED if weighted else _EQUAL
    return Pooled(mean, mean - reach, mean + reach, mean - ahead, mean + ahead, tau, share, p, q, method, reason)
