"""All tests and intervals of all curves: RESULTS and CURVES in, one row a curve, a forecast and a swept bound out."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bigbench_meta.analysis.curves.fits import least_squares
from bigbench_meta.analysis.curves.intervals import implied_exponent, largest_jump, rise, transition_width
from bigbench_meta.analysis.curves.laws import DEFAULT_BOUND, dictionary
from bigbench_meta.analysis.curves.montecarlo import PValue, Sampling, curve_rng
from bigbench_meta.analysis.curves.noise import Noise, NoiseKind, Overdispersion, Residual, pooled_overdispersion
from bigbench_meta.analysis.curves.predictability import Forecast, forecasts, surprise_from
from bigbench_meta.analysis.curves.sharpness import (
    concentration_test,
    flexible_fit,
    level_is_doubtful,
    residual_dof,
    sharp_up_to,
    sharpness_sweep,
    sharpness_test,
    step_share,
    trend_test,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bigbench_meta.analysis.curves.prepare import Curve

    Vector = NDArray[np.float64]

# Curves of one task that enter the noise estimate: tasks weigh the same however many subtasks they have, and more
# curves of one task add next to nothing.
_CURVES_PER_TASK = 4
# Draws that tell the expectation and degrees of freedom of a residual sum of squares to about a fifth.
_REFERENCE_DRAWS = 49
# Other tasks that a family's typical curve must rest on: the test against it takes it as known. With 19 others and
# overdispersed items it rejected 7 to 9% at 5% and up to 18% at 10%; with 59 others 6.3% of 960 at 5% (docs/validation.md).
MIN_TYPICAL_TASKS = 50

CurveKey = tuple[str, str, str, str, int]
NoiseGroup = tuple[str, NoiseKind, str]
Effects = dict[str, Any]


class CurveResult(NamedTuple):
    """What the tests say of one curve: flat values by column name, its forecasts, and p-values by swept bound."""

    effects: Effects
    forecasts: list[Forecast]
    sweep: dict[float, PValue]


def noise_group(curve: Curve) -> NoiseGroup:
    """Return (family, kind of noise, metric): the curves whose scatter is pooled; items pool over metrics."""
    if curve.is_share and np.isfinite(curve.n_items):
        return curve.key[3], "items", ""
    return curve.key[3], "share" if curve.is_share else "constant", curve.key[2]


def unit_noise(curve: Curve, kind: NoiseKind) -> Noise:
    """Return the noise of a curve at phi = 1, before anything is known of its overdispersion."""
    return Noise(kind, curve.n_items if kind == "items" else np.nan, np.ones(1), np.ones(1))


def residual_of(curve: Curve, *, kind: NoiseKind, seed: int) -> Residual:
    """Return what the flexible fit of a curve leaves, and what it would leave at phi = 1 by simulation."""
    shapes, noise = dictionary(curve.x), unit_noise(curve, kind)
    fit = flexible_fit(curve, shapes=shapes, noise=noise)
    ssr = float(fit.ssr.min())
    left = max(len(curve.x) - 3, 1)
    factor = 1.0 if kind == "items" else ssr / left
    if factor <= 0:
        return Residual(curve.task, curve.n_items, ssr, float(left), 0.0)
    drawn = Noise(kind, noise.n_items, np.array([factor]), np.ones(1)).draw(
        fit.mean, size=_REFERENCE_DRAWS, rng=curve_rng(seed, *curve.key, "reference")
    )
    plan = fit.plan
    sums = least_squares(drawn, plan=plan, levels=curve.levels, cuts=(len(shapes),))[:, 0] / factor
    mean, variance = float(sums.mean()), float(sums.var(ddof=1))
    dof = 2 * mean**2 / variance if variance > 0 else 0.0
    return Residual(curve.task, curve.n_items, ssr, mean, min(dof, float(len(curve.x))))


def pool_noise(curves: list[Curve], *, seed: int) -> dict[NoiseGroup, Overdispersion | None]:
    """Estimate the noise of every group of curves; None where nothing supports an estimate.

    At most four curves of a task enter, chosen by a hash of their key, so that the choice depends on nothing else.
    """
    members: dict[NoiseGroup, dict[str, list[Curve]]] = defaultdict(lambda: defaultdict(list))
    for curve in curves:
        members[noise_group(curve)][curve.task].append(curve)
    pooled: dict[NoiseGroup, Overdispersion | None] = {}
    for group, tasks in sorted(members.items()):
        residuals = []
        for _, of_task in sorted(tasks.items()):
            picked = sorted(of_task, key=lambda each: int(curve_rng(0, *each.key).integers(2**62)))[:_CURVES_PER_TASK]
            residuals += [residual_of(each, kind=group[1], seed=seed) for each in picked]
        pooled[group] = pooled_overdispersion(residuals, kind=group[1], rng=curve_rng(seed, *group, "noise"))
    return pooled


def typical_curves(curves: list[Curve]) -> dict[CurveKey, Vector]:
    """Return, by curve key, the mean curve of the other tasks of the same family, metric kind, shots and scales.

    Every task weighs the same. The mean is scaled to run from 0 to 1; where it is constant or rests on fewer than
    `MIN_TYPICAL_TASKS` tasks there is none.
    """
    groups: dict[tuple[Any, ...], dict[str, list[Curve]]] = defaultdict(lambda: defaultdict(list))
    for curve in curves:
        if curve.is_share:
            groups[curve.key[3], curve.key[4], curve.x][curve.task].append(curve)
    typical: dict[CurveKey, Vector] = {}
    for tasks in groups.values():
        if len(tasks) <= MIN_TYPICAL_TASKS:
            continue
        means = {task: np.mean([each.y for each in of_task], axis=0) for task, of_task in tasks.items()}
        total = np.sum([means[task] for task in sorted(means)], axis=0)
        for task, of_task in tasks.items():
            other = (total - means[task]) / (len(tasks) - 1)
            spread = float(np.ptp(other))
            if spread > 0:
                for each in of_task:
                    typical[each.key] = (other - other.min()) / spread
    return typical


class CurveJob(NamedTuple):
    """One curve and what its tests need, ready to be sent to another process."""

    curve: Curve
    noise: Noise
    typical: Vector | None
    sampling: Sampling


class RefineJob(NamedTuple):
    """One tested curve, and the tests (``trend``, ``sharp``, ``surprise``) to repeat with the draws of ``sampling``."""

    curve: Curve
    noise: Noise
    result: CurveResult
    sampling: Sampling
    tests: frozenset[str]


def refine_curve(job: RefineJob) -> CurveResult:
    """Repeat some tests of a curve with more draws."""
    curve, _, result, sampling, tests = job
    shapes = dictionary(curve.x)
    effects, rows, sweep = dict(result.effects), result.forecasts, dict(result.sweep)
    if "trend" in tests:
        effects["p_trend"] = trend_test(curve, shapes=shapes, sampling=sampling).pvalue.p
    if "sharp" in tests:
        sharp = sharpness_test(curve, shapes=shapes, sampling=sampling)
        effects |= {"p_sharp": sharp.p, "draws_sharp": sharp.draws}
        sweep[DEFAULT_BOUND] = sharp
    if "surprise" in tests:
        rows = forecasts(curve, sampling=sampling)
        effects |= {"surprise": rows[-1].surprise, "p_surprise": rows[-1].p}
    return CurveResult(effects, rows, sweep)


def _effective_items(curve: Curve, noise: Noise, ssr: float) -> float:
    """Independent items that a point is worth: n over the curve's own posterior mean of phi; NaN without items."""
    return (
        curve.n_items / float(noise.scale(np.array(ssr), residual_dof(len(curve.x))))
        if noise.kind == "items"
        else np.nan
    )


def infer_curve(job: CurveJob) -> CurveResult:
    """Run every test and interval of one curve.

    Values are in units of ``curve.y``; NaN where docs/curves.md says so.
    """
    curve, noise, typical, sampling = job
    shapes = dictionary(curve.x)
    trend = trend_test(curve, shapes=shapes, sampling=sampling)
    sharp = sharpness_test(curve, shapes=shapes, sampling=sampling)
    sweep = sharpness_sweep(curve, shapes=shapes, at_default=sharp, sampling=sampling)
    fit = flexible_fit(curve, shapes=shapes, noise=noise)
    width = transition_width(curve, fit=fit, shapes=shapes, noise=noise)
    exponent = implied_exponent(curve, fit=fit, shapes=shapes, noise=noise)
    change = rise(curve, shapes=shapes, noise=noise)
    jump = largest_jump(curve, shapes=shapes, noise=noise)
    line = shapes.of_kind("line").values[0]
    uneven = concentration_test(curve, smooth=line, shapes=shapes, name="line", sampling=sampling)
    odd = (
        concentration_test(curve, smooth=typical, shapes=shapes, name="typical", sampling=sampling).p
        if typical is not None
        else np.nan
    )
    seen = forecasts(curve, sampling=sampling)
    whole = seen[-1] if seen else None
    effects: Effects = {
        "p_trend": trend.pvalue.p,
        "trend_sign": trend.sign,
        "p_sharp": sharp.p,
        "draws_sharp": sharp.draws,
        "sharp_level_doubtful": level_is_doubtful(curve, noise=noise),
        "sharp_up_to_exponent": sharp_up_to(sweep),
        "width_decades": width.estimate,
        "width_low": width.low,
        "width_high": width.high,
        "width_reason": width.reason,
        "implied_exponent": exponent.estimate,
        "exponent_low": exponent.low,
        "exponent_high": exponent.high,
        "exponent_reason": exponent.reason,
        "rise": change.estimate,
        "rise_low": change.low,
        "rise_high": change.high,
        "items_effective": _effective_items(curve, noise, float(fit.ssr.min())),
        "jump_high": jump.high,
        "detectable_jump": jump.detectable,
        "step_share": step_share(curve.y),
        "p_step_line": uneven.p,
        "p_step_typical": odd,
        "surprise": whole.surprise if whole else np.nan,
        "p_surprise": whole.p if whole else np.nan,
        "surprise_from": surprise_from(seen, levels=curve.levels),
    }
    return CurveResult(effects, seen, sweep)
