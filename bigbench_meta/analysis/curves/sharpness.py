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

from bigbench_meta.analysis.curves.batch import Null, p_values
from bigbench_meta.analysis.curves.fits import anchor, design, fit_shapes, least_squares
from bigbench_meta.analysis.curves.laws import DEFAULT_BOUND, EXPONENT_BOUNDS
from bigbench_meta.analysis.curves.montecarlo import PValue, Sampling, sequential_pvalues, side_draws

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bigbench_meta.analysis.curves.batch import Batch
    from bigbench_meta.analysis.curves.fits import Design
    from bigbench_meta.analysis.curves.noise import Noise
    from bigbench_meta.analysis.curves.prepare import Curve

    Vector = NDArray[np.float64]
    Indices = NDArray[np.int64]

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


class Trend(NamedTuple):
    """The trend test, and the signs (C,), +1 rising, -1 falling, of the better fits; +1 where both are equal."""

    null: Null
    sign: NDArray[np.int64]


def trend_null(batch: Batch) -> Trend:
    """Set up the test of each curve: flat, against a rise or a fall of any shape.

    Notes
    -----
    The statistic is the drop in the sum of squares from the flat fit to the best shape, rising or falling, over the
    posterior mean of phi, with every fifth shape and all steps. Two-sided. Statistic 0 gives p = 1.
    """
    shapes = batch.shapes.thinned()
    cuts = (0, len(shapes))
    flat = anchor(batch.y, values=shapes.values, among=0, noises=batch.noises, levels=batch.levels)
    dof = residual_dof(len(batch.x))

    def squares(y: Vector, curves: Indices) -> tuple[Vector, Vector]:
        plan, levels = flat.plan.of(curves), batch.levels_of(curves)
        up = least_squares(y, plan=plan, levels=levels, cuts=cuts)
        down = least_squares(batch.mirrored(y, curves), plan=plan, levels=levels, cuts=cuts)
        return up, down

    def statistic(up: Vector, down: Vector, curves: Indices) -> Vector:
        best = np.minimum(up[:, :, 1], down[:, :, 1])
        return np.asarray((up[:, :, 0] - best) / batch.noises.of(curves).scale(best, dof))

    up, down = squares(batch.y[:, None, :], batch.every)
    null = Null(
        statistic(up, down, batch.every)[:, 0],
        flat.mean,
        batch.noises,
        lambda y, curves: statistic(*squares(y, curves), curves),
        ("trend",),
    )
    return Trend(null, np.where(up[:, 0, 1] <= down[:, 0, 1], 1, -1))


def sharpness_null(batch: Batch, *, bound: float = DEFAULT_BOUND) -> Null:
    """Set up the test that each curve is smooth up to exponent ``bound`` against a sharper rise.

    Notes
    -----
    Rejects rises that are too steep; falls are never sharp. The level holds over the tasks of a family, not task by
    task: simulated tasks without overdispersion were rejected 4% of the time at 5%, the few with rho = .05 up to 25%,
    most with 4 or 5 scales, where the noise rests on the distribution over tasks alone (counted apart by rho, which the
    table of docs/validation.md pools). Where many overdispersed items meet a truth at the bound, the family's level gives
    way too: see `level_is_doubtful`.
    """
    among = batch.shapes.prefix(bound)
    cuts = (among, len(batch.shapes))
    null = anchor(batch.y, values=batch.shapes.values, among=among, noises=batch.noises, levels=batch.levels)
    dof = residual_dof(len(batch.x))

    def statistic(y: Vector, curves: Indices) -> Vector:
        ssr = least_squares(y, plan=null.plan.of(curves), levels=batch.levels_of(curves), cuts=cuts)
        return np.asarray((ssr[:, :, 0] - ssr[:, :, 1]) / batch.noises.of(curves).scale(ssr[:, :, 1], dof))

    observed = statistic(batch.y[:, None, :], batch.every)[:, 0]
    return Null(observed, null.mean, batch.noises, statistic, ("sharp", bound))


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


def sharpness_sweeps(batch: Batch, *, sampling: Sampling, at_default: Sequence[PValue]) -> list[dict[float, PValue]]:
    """Repeat `sharpness_null` over the exponent bounds, so that no verdict is the choice of one bound.

    The smooth curves of a gentler bound are among those of a steeper one, so the p-value rises with the bound: from the
    result at `DEFAULT_BOUND` the sweep goes to steeper bounds while p <= 0.05, or else from the gentlest bound upwards
    while p <= 0.05, and leaves out bounds whose answer is then known. Whether p <= 0.05 needs no small p-values: bounds
    other than `DEFAULT_BOUND` get a fifth of the draws, so that their p is at least 5/(draws + 1).
    """
    sweeps: list[dict[float, PValue]] = [{DEFAULT_BOUND: each} for each in at_default]
    p = np.array([each.p for each in at_default])
    sharp, going = p <= _SWEEP_LEVEL, np.isfinite(p)
    sampling = sampling._replace(draws=side_draws(sampling.draws))
    for bound in EXPONENT_BOUNDS:
        if bound == DEFAULT_BOUND:
            continue
        asked = np.flatnonzero(going & (sharp == (bound > DEFAULT_BOUND)))
        if len(asked):
            some = batch.of(asked)
            results = p_values(some, sharpness_null(some, bound=bound), sampling=sampling)
            for at, result in zip(asked, results, strict=True):
                sweeps[at][bound] = result
                going[at] = result.p <= _SWEEP_LEVEL
    return sweeps


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


def concentration_tests(batch: Batch, *, smooth: Vector, sampling: Sampling, name: str) -> list[PValue]:
    """Test that each curve rises as evenly as one given shape, against a rise concentrated in one step.

    Parameters
    ----------
    smooth : (C, M) values of that shape in [0, 1]: the straight line, or the typical curve of the family.
    name : tells the random numbers of several such tests apart.

    Notes
    -----
    One-sided. The statistic is the largest excess of a step over the fitted shape's step, in standard errors of a
    difference of two independent points, over sqrt(phi). The null draws from the fitted shape: calibrated for the curve's own M, n,
    level and spacing, and takes ``smooth`` as known. For a family's typical curve, which is estimated, 60 simulated tasks
    were rejected 5.0% of the time at 5% over all settings, 6.3% with overdispersion, and 10 of 60 in the worst setting
    (straight lines, 12 scales, 200 items, floor .25), more than chance allows (docs/validation.md).
    """
    alike = bool((smooth == smooth[0]).all())
    groups = [batch.every] if alike else [np.array([at]) for at in batch.every]
    nulls = [
        anchor(batch.y[at], values=smooth[at[:1]], among=1, noises=batch.noises.of(at), levels=batch.levels_of(at))
        for at in groups
    ]
    mean = np.concatenate([null.mean for null in nulls])
    weights = np.concatenate([null.plan.weights for null in nulls])
    unit = np.concatenate([null.plan.unit[:, :, 0] for null in nulls])
    sigma = np.concatenate([null.plan.sigma[:, 0] for null in nulls])
    shapes = batch.shapes.thinned()
    full = design(shapes.values, weights)
    error = np.sqrt(1.0 / weights[:, 1:] + 1.0 / weights[:, :-1])
    even = np.diff(smooth, axis=1)
    dof = residual_dof(len(batch.x))

    def statistic(y: Vector, curves: Indices) -> Vector:
        ssr = least_squares(y, plan=full.of(curves), levels=batch.levels_of(curves), cuts=(len(shapes),))[:, :, 0]
        rise = (y * unit[curves, None, :]).sum(axis=2) / sigma[curves, None]
        steps = np.diff(y, axis=2) - np.maximum(rise, 0.0)[:, :, None] * even[curves, None, :]
        largest = (steps / error[curves, None, :]).max(axis=2)
        return np.asarray(largest / np.sqrt(batch.noises.of(curves).scale(ssr, dof)))

    null = Null(np.zeros(0), mean, batch.noises, statistic, ("concentration", name))
    draw = null.drawer(batch.curves, seed=sampling.seed)
    return sequential_pvalues(
        statistic(batch.y[:, None, :], batch.every)[:, 0],
        lambda curves, size: statistic(draw(curves, size), curves),
        draws=sampling.draws,
    )


class Flexible(NamedTuple):
    """The most flexible rising fit of each curve, under weights of its own fit."""

    ssr: Vector  # (C, K)
    plan: Design
    mean: Vector


def flexible_fits(batch: Batch) -> Flexible:
    """Fit each curve by every shape; the weights are those of the best one."""
    shapes = batch.shapes
    best = anchor(batch.y, values=shapes.values, among=len(shapes), noises=batch.noises, levels=batch.levels)
    fit = fit_shapes(batch.y, plan=best.plan, levels=batch.levels)
    return Flexible(fit.ssr, best.plan, best.mean)
