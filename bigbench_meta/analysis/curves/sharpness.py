"""Trend, sharpness against a bounded exponent, and concentration of the rise: three calibrated tests of one curve.

Vocabulary
----------
smooth (up to an exponent a)
    A straight line in log scale, or a rising shape whose transition width is at least 1.34/a decades: the least that
    the paper's law allows with ``|alpha| <= a``. Without a bound every step is smooth, since a free slope contains it.
sharp (beyond a)
    Steeper than every smooth curve up to a explains, given the noise.

Notes
-----
The statistic is ``(SSR_smooth - SSR_any) / phi``: what the best shape of any width gains over the best smooth one, in
units of the curve's own noise variance. The null draws curves from the best smooth fit with item noise and
overdispersion and refits them, under the weights of that fit, as the observed curve was. The unit of independence is the curve's models; items are common to them (see
`bigbench_meta.analysis.curves.noise`). Levels are nominal where `docs/validation.md` says so and nowhere else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bigbench_meta.analysis.curves.fits import anchor, design, fit_shapes, least_squares
from bigbench_meta.analysis.curves.laws import DEFAULT_BOUND, EXPONENT_BOUNDS, Shapes
from bigbench_meta.analysis.curves.montecarlo import PValue, Sampling, curve_rng, sequential_pvalue, side_draws

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bigbench_meta.analysis.curves.fits import Design, Levels
    from bigbench_meta.analysis.curves.noise import Noise
    from bigbench_meta.analysis.curves.prepare import Curve

    Vector = NDArray[np.float64]

# A rising shape of free width spends about three degrees of freedom (lower level, upper level, place; the width is
# rarely identified): over 120 real curves of 12 scales the simulated residual has 8.7 on average.
_SPENT = 3.0
# With a family's mean rho above this (BIG-G has .004), p-values of sharpness are trusted up to 1% only where items are
# many, or some and success rare: see `level_is_doubtful`.
_SOME_OVERDISPERSION = 0.002
_MANY_ITEMS, _SOME_ITEMS, _RARE_SUCCESS = 500, 200, 0.05
TRUSTED = 0.01
# Below p = 0.05 the sweep goes on to steeper bounds, above it to gentler ones.
_SWEEP_LEVEL = 0.05


def residual_dof(n_scales: int) -> float:
    """Degrees of freedom that the most flexible shape leaves; at least a half, so that phi is always a mixture."""
    return max(n_scales - _SPENT, 0.5)


def _mirror(y: Vector, levels: Levels) -> Vector:
    return np.asarray(levels.low + levels.high - y)


class Trend(NamedTuple):
    """Result of the trend test: p-value, and the sign (+1 rising, -1 falling) of the better fit; +1 where both are equal."""

    pvalue: PValue
    sign: int


def trend_test(curve: Curve, *, shapes: Shapes, sampling: Sampling) -> Trend:
    """Test a flat curve against a rise or a fall of any shape.

    Notes
    -----
    The statistic is the drop in the sum of squares from the flat fit to the best shape, rising or falling, over the
    posterior mean of phi, with every fifth shape and all steps. Two-sided. Statistic 0 gives p = 1.
    """
    noise, draws, seed = sampling
    shapes = shapes.thinned()
    n_shapes = len(shapes)
    flat = anchor(curve.y, values=shapes.values, among=0, noise=noise, levels=curve.levels)
    dof = residual_dof(len(curve.x))

    def statistics(y: Vector) -> tuple[Vector, Vector, Vector]:
        up = least_squares(y, plan=flat.plan, levels=curve.levels, cuts=(0, n_shapes))
        mirrored = _mirror(y, curve.levels)
        down = least_squares(mirrored, plan=flat.plan, levels=curve.levels, cuts=(0, n_shapes))
        best = np.minimum(up[:, 1], down[:, 1])
        return (up[:, 0] - best) / noise.scale(best, dof), up[:, 1], down[:, 1]

    observed, up, down = statistics(curve.y[None, :])
    rng = curve_rng(seed, *curve.key, "trend")
    pvalue = sequential_pvalue(
        float(observed[0]), lambda size: statistics(noise.draw(flat.mean, size=size, rng=rng))[0], draws=draws
    )
    return Trend(pvalue, 1 if up[0] <= down[0] else -1)


def sharpness_test(curve: Curve, *, shapes: Shapes, sampling: Sampling, bound: float = DEFAULT_BOUND) -> PValue:
    """Test that the curve is smooth up to exponent ``bound`` against a sharper rise.

    Notes
    -----
    Rejects rises that are too steep; falls are never sharp. The level holds over the tasks of a family, not task by
    task: simulated tasks without overdispersion were rejected 4% of the time at 5%, the few with rho = .05 up to 25%,
    most with 4 or 5 scales, where the noise rests on the distribution over tasks alone (counted apart by rho, which the
    table of docs/validation.md pools). Where many overdispersed items meet a truth at the bound, the family's level gives
    way too: see `level_is_doubtful`.
    """
    noise, draws, seed = sampling
    among = shapes.prefix(bound)
    null = anchor(curve.y, values=shapes.values, among=among, noise=noise, levels=curve.levels)
    dof = residual_dof(len(curve.x))

    def statistic(y: Vector) -> Vector:
        ssr = least_squares(y, plan=null.plan, levels=curve.levels, cuts=(among, len(shapes)))
        return np.asarray((ssr[:, 0] - ssr[:, 1]) / noise.scale(ssr[:, 1], dof))

    rng = curve_rng(seed, *curve.key, "sharp", bound)
    return sequential_pvalue(
        float(statistic(curve.y[None, :])[0]),
        lambda size: statistic(noise.draw(null.mean, size=size, rng=rng)),
        draws=draws,
    )


def level_is_doubtful(curve: Curve, *, noise: Noise) -> bool:
    """Tell whether p-values of sharpness between `TRUSTED` and .1 are smaller than they should be for this curve.

    Notes
    -----
    With items overdispersed as in BIG-G and the steepest smooth law as the truth, 2,400 simulated curves of 1,000 items at
    a floor of .02 were rejected 12.5% of the time at 10% (Monte Carlo error .7), 5.9% at 5% (.5) and 1.0% at 1% (.2);
    900 curves of 8 scales at a floor of .25 14.7% (1.2), 7.3% (.9) and 1.6% (.4). There a curve is called sharp only at
    p <= `TRUSTED`. (Simulated beside the table of docs/validation.md, whose 540 curves of the first kind gave 12.6, 6.3 and
    1.7%.) Without overdispersion the level holds. Part of it is the fitted null: drawn from the true curve in
    place of the fitted one, the same curves were rejected 3 points less often at 10%; knowing the true noise changed
    nothing.
    """
    rare = bool(curve.y.min() < _RARE_SUCCESS)
    if noise.kind != "items" or curve.n_items < (_SOME_ITEMS if rare else _MANY_ITEMS):
        return False
    rho = (float(noise.factors @ noise.masses) - 1.0) / (curve.n_items - 1.0)
    return rho > _SOME_OVERDISPERSION


def sharpness_sweep(curve: Curve, *, shapes: Shapes, sampling: Sampling, at_default: PValue) -> dict[float, PValue]:
    """Repeat `sharpness_test` over the exponent bounds, so that no verdict is the choice of one bound.

    The smooth curves of a gentler bound are among those of a steeper one, so the p-value rises with the bound: from the
    result at `DEFAULT_BOUND` the sweep goes to steeper bounds while p <= 0.05, or else from the gentlest bound upwards
    while p <= 0.05, and leaves out bounds whose answer is then known. Whether p <= 0.05 needs no small p-values: bounds
    other than `DEFAULT_BOUND` get a fifth of the draws, so that their p is at least 5/(draws + 1).
    """
    results = {DEFAULT_BOUND: at_default}
    if not np.isfinite(at_default.p):
        return results
    sharp = at_default.p <= _SWEEP_LEVEL
    sampling = sampling._replace(draws=side_draws(sampling.draws))
    for bound in EXPONENT_BOUNDS:
        if (bound > DEFAULT_BOUND) == sharp and bound != DEFAULT_BOUND:
            results[bound] = sharpness_test(curve, shapes=shapes, sampling=sampling, bound=bound)
            if results[bound].p > _SWEEP_LEVEL:
                break
    return results


def sharp_up_to(sweep: dict[float, PValue]) -> float:
    """Return the steepest bound of a sweep against which the curve is sharp at 5%; NaN if there is none."""
    sharp = [bound for bound, result in sweep.items() if result.p <= _SWEEP_LEVEL]
    return max(sharp) if sharp else np.nan


def step_share(y: Sequence[float] | Vector) -> float:
    """Return the largest single rise as a share of the observed range: 0 where nothing rises, NaN for a constant curve.

    Examples
    --------
    >>> step_share([0.0, 0.0, 1.0, 1.0]), round(step_share([0.0, 0.25, 0.5, 1.0]), 6)
    (1.0, 0.5)
    """
    values = np.asarray(y, dtype=np.float64)
    spread = float(np.ptp(values))
    return float(max(np.diff(values).max(), 0.0) / spread) if spread > 0 else np.nan


def concentration_test(curve: Curve, *, smooth: Vector, shapes: Shapes, sampling: Sampling, name: str) -> PValue:
    """Test that the curve rises as evenly as one given shape, against a rise concentrated in one step.

    Parameters
    ----------
    smooth : (M,) values of that shape in [0, 1]: the straight line, or the typical curve of the family.
    name : tells the random numbers of several such tests apart.

    Notes
    -----
    One-sided. The statistic is the largest excess of a step over the fitted shape's step, in standard errors of a
    difference of two independent points, over sqrt(phi). The null draws from the fitted shape: calibrated for the curve's own M, n,
    level and spacing, and takes ``smooth`` as known. For a family's typical curve, which is estimated, 60 simulated tasks
    were rejected 5.0% of the time at 5% over all settings, 6.3% with overdispersion, and 10 of 60 in the worst setting
    (straight lines, 12 scales, 200 items, floor .25), more than chance allows (docs/validation.md).
    """
    noise, draws, seed = sampling
    values = smooth[None, :]
    null = anchor(curve.y, values=values, among=1, noise=noise, levels=curve.levels)
    shapes = shapes.thinned()
    full = design(shapes.values, null.plan.weights)
    variance = 1.0 / null.plan.weights
    error = np.sqrt(variance[1:] + variance[:-1])
    dof = residual_dof(len(curve.x))

    def statistic(y: Vector) -> Vector:
        ssr = least_squares(y, plan=full, levels=curve.levels, cuts=(len(shapes),))[:, 0]
        rise = y @ null.plan.unit[:, 0] / null.plan.sigma[0]
        steps = np.diff(y, axis=1) - np.maximum(rise, 0.0)[:, None] * np.diff(smooth)
        return np.asarray((steps / error).max(axis=1) / np.sqrt(noise.scale(ssr, dof)))

    rng = curve_rng(seed, *curve.key, "concentration", name)
    return sequential_pvalue(
        float(statistic(curve.y[None, :])[0]),
        lambda size: statistic(noise.draw(null.mean, size=size, rng=rng)),
        draws=draws,
    )


class Flexible(NamedTuple):
    """The most flexible rising fit of a curve, under weights of its own fit."""

    ssr: Vector  # (K,)
    lower: Vector
    upper: Vector
    plan: Design
    mean: Vector

    @property
    def weights(self) -> Vector:
        """Inverse variances at phi = 1, (M,)."""
        return self.plan.weights


def flexible_fit(curve: Curve, *, shapes: Shapes, noise: Noise) -> Flexible:
    """Fit the curve by every shape; the weights are those of the best one."""
    best = anchor(curve.y, values=shapes.values, among=len(shapes), noise=noise, levels=curve.levels)
    fit = fit_shapes(curve.y, plan=best.plan, levels=curve.levels)
    return Flexible(fit.ssr, fit.lower, fit.upper, best.plan, best.mean)
