"""Effect sizes with intervals: transition width, implied exponent, rise, and the largest jump a curve may hide.

Every interval is a profile: the values whose best fit is worse than the best of all by no more than the 95% point
that the noise allows, over all shapes of the dictionary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bigbench_meta.analysis.curves.fits import anchor, fit_shapes, least_squares
from bigbench_meta.analysis.curves.laws import DEFAULT_BOUND, EXPONENT_TIMES_WIDTH, KINDS, Shapes
from bigbench_meta.analysis.curves.sharpness import residual_dof

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bigbench_meta.analysis.curves.noise import Noise
    from bigbench_meta.analysis.curves.prepare import Curve
    from bigbench_meta.analysis.curves.sharpness import Flexible

    Vector = NDArray[np.float64]

LEVEL = 0.95
# Below that many items, on that many scales or more, the interval of the width is too short (docs/validation.md).
FEW_ITEMS, _MANY_SCALES = 100, 8
# From that many items the positions of laws steeper than this exponent are too coarse for the implied exponent.
MANY_ITEMS, _COARSE_ABOVE = 500, 0.7
# A jump is called seen if it would be found in four of five repetitions at one-sided 5%.
_POWER_SUM = 1.645 + 0.842


# Sizes of a planted jump, from none to the whole range of the score.
_JUMP_SIZES = 41


class Interval(NamedTuple):
    """Estimate and 95% interval; an end is NaN where the data do not bound it, with the reason in words."""

    estimate: float
    low: float
    high: float
    reason: str


_NONE = Interval(np.nan, np.nan, np.nan, "")


def _profile(sizes: Vector, ssr: Vector, critical: float) -> tuple[Vector, Vector, NDArray[np.bool_]]:
    """Smallest sum of squares for each distinct size, sizes rising, and whether it is within the interval."""
    grid, index = np.unique(sizes, return_inverse=True)
    best = np.full(len(grid), np.inf)
    np.minimum.at(best, index, ssr)
    return grid, best, best - best.min() <= critical


def _crossing(inner: float, outer: float, *, excess: tuple[float, float], critical: float) -> float:
    """Interpolate, in log size, where the profile crosses the critical value between two grid points."""
    if not (0 < inner < np.inf and 0 < outer < np.inf):
        return outer
    share = (critical - excess[0]) / (excess[1] - excess[0])
    return float(np.exp(np.log(inner) + share * (np.log(outer) - np.log(inner))))


def transition_width(curve: Curve, *, fit: Flexible, shapes: Shapes, noise: Noise) -> Interval:
    """Return the decades of scale from 10% to 90% of the rise, between the fitted lower and upper level.

    Notes
    -----
    *Rise* is from the fitted lower to the fitted upper level, both inside the metric's range, not the observed range.
    A step has width 0. A curve whose best fit is the straight line, or whose interval holds it, has not been seen to
    saturate: its width has no upper bound, the end is NaN and the reason ``not saturated``; so for the widest curved
    shapes, 30 decades, which no scales here tell from a line. The estimate is NaN where the line fits best. Where the
    interval holds a flat or falling curve there is no rise and no width: all NaN, reason ``no rise``. With fewer than `FEW_ITEMS` items and 8
    scales or more a straight line was said to saturate in 7 to 10% of simulated curves in place of 5%: such an upper
    end has the reason ``few items``.
    """
    critical = noise.critical_square(float(fit.ssr.min()), residual_dof(len(curve.x)), LEVEL, parameters=2)
    flat = float((curve.y - curve.y @ fit.weights / fit.weights.sum()) ** 2 @ fit.weights)
    if flat - fit.ssr.min() <= critical:
        return _NONE._replace(reason="no rise")
    grid, best, inside = _profile(shapes.widths, fit.ssr, critical)
    excess = best - best.min()
    centre = int(np.argmin(best))
    first, last = int(np.flatnonzero(inside)[0]), int(np.flatnonzero(inside)[-1])
    low = float(grid[first])
    if first > 0 and grid[first - 1] > 0:
        low = _crossing(low, float(grid[first - 1]), excess=(excess[first], excess[first - 1]), critical=critical)
    elif first == 1:
        low = 0.0  # between a step and the narrowest resolved width: the scales cannot tell
    high, reason = float(grid[last]), ""
    if last >= len(grid) - 2:  # the widest curved shape or the straight line
        high, reason = np.nan, "not saturated"
    else:
        outer = float(grid[last + 1])
        inner = high if high > 0 else outer
        high = _crossing(inner, outer, excess=(excess[last], excess[last + 1]), critical=critical)
    if not reason and noise.kind == "items" and noise.n_items < FEW_ITEMS and len(curve.x) >= _MANY_SCALES:
        reason = "few items"
    estimate = float(grid[centre]) if np.isfinite(grid[centre]) else np.nan
    return Interval(estimate, low, high, reason)


def implied_exponent(curve: Curve, *, fit: Flexible, shapes: Shapes, noise: Noise) -> Interval:
    """Return the per-token exponent ``|alpha|`` that the paper's smooth law needs to draw this curve.

    Notes
    -----
    From accuracy alone the law's length and constant drop out and the exponent is 1.34 over the width (10% to 90%) of
    the best curve ``g + (h - g) exp(-10^(-|alpha| (x - x0)))``. The upper end is NaN with the reason ``a step fits``
    where steps are not excluded: any steeper law would do; the estimate is NaN too where a step fits better than every
    law. The lower end is NaN where the gentlest law (0.045) fits. No rise: all NaN, reason ``no rise``.
    Laws steeper than 0.7 stand a quarter of their width apart: with `MANY_ITEMS` items the interval then covered about
    80% of simulated curves (5 scales, exponent 1), and the reason is ``coarse grid``.
    """
    critical = noise.critical_square(float(fit.ssr.min()), residual_dof(len(curve.x)), LEVEL, parameters=2)
    flat = float((curve.y - curve.y @ fit.weights / fit.weights.sum()) ** 2 @ fit.weights)
    law = np.isin(shapes.kinds, [KINDS.index("theory"), KINDS.index("step")])
    if flat - fit.ssr[law].min() <= critical:
        return _NONE._replace(reason="no rise")
    widths, ssr = shapes.widths[law], fit.ssr[law]
    curved = widths > 0
    grid, best, _ = _profile(EXPONENT_TIMES_WIDTH / widths[curved], ssr[curved], critical)
    step = float(ssr[~curved].min())
    lowest = min(float(best.min()), step)
    inside = best - lowest <= critical
    excess = best - lowest
    reason = ""
    estimate = float(grid[int(np.argmin(best))]) if best.min() <= step else np.nan
    if not inside.any():
        return Interval(np.nan, float(grid[-1]), np.nan, "a step fits")
    first, last = int(np.flatnonzero(inside)[0]), int(np.flatnonzero(inside)[-1])
    low, high = float(grid[first]), float(grid[last])
    if first == 0:
        low = np.nan
    else:
        low = _crossing(low, float(grid[first - 1]), excess=(excess[first], excess[first - 1]), critical=critical)
    if step - lowest <= critical or last == len(grid) - 1:
        high, reason = np.nan, "a step fits"
    else:
        high = _crossing(high, float(grid[last + 1]), excess=(excess[last], excess[last + 1]), critical=critical)
    if not reason and noise.kind == "items" and noise.n_items >= MANY_ITEMS and estimate > _COARSE_ABOVE:
        reason = "coarse grid"
    return Interval(estimate, low, high, reason)


def rise(curve: Curve, *, shapes: Shapes, noise: Noise) -> Interval:
    """Return the fitted change from the smallest to the largest scale, rising or falling, in units of ``curve.y``.

    Notes
    -----
    The interval is the union over all shapes, rising and falling, of their own intervals, given how well each fits;
    weights are those of the best fit in each direction, and so are the sums of squares that are compared. (One weight for all scales covered 70 to 90% where success rises
    from near zero: the largest scales are then far noisier than the mean score says.)
    """
    change = shapes.values[:, -1] - shapes.values[:, 0]
    ssr, rises, errors = [], [], []
    for y, sign in ((curve.y, 1.0), (curve.levels.low + curve.levels.high - curve.y, -1.0)):
        best = anchor(y, values=shapes.values, among=len(shapes), noise=noise, levels=curve.levels)
        fit = fit_shapes(y, plan=best.plan, levels=curve.levels)
        ssr.append(fit.ssr)
        rises.append(sign * (fit.upper - fit.lower) * change)
        errors.append(change / best.plan.sigma)
    misfit, size, error = np.concatenate(ssr), np.concatenate(rises), np.concatenate(errors)
    least = float(misfit.min())
    room = noise.critical_square(least, residual_dof(len(curve.x)), LEVEL, parameters=2) - (misfit - least)
    near = room >= 0
    half = np.sqrt(room[near]) * error[near]
    return Interval(
        float(size[int(np.argmin(misfit))]), float((size[near] - half).min()), float((size[near] + half).max()), ""
    )


class Jump(NamedTuple):
    """A jump between two neighbouring scales on top of a smooth curve, in units of ``curve.y``.

    ``high``: upper limit of the largest that may hide; ``detectable``: the jump that would be seen with 80% power at
    half of the places or more, NaN where none inside the range of the score would.
    """

    high: float
    detectable: float


def largest_jump(curve: Curve, *, shapes: Shapes, noise: Noise, bound: float = DEFAULT_BOUND) -> Jump:
    """Bound the jump that may hide between two neighbouring scales on top of a curve that is smooth up to ``bound``.

    Notes
    -----
    The profile of ``y = smooth + J step_j`` over all smooth shapes and all places j: the limit is the largest J whose
    best fit is within the 95% point of the best of all. A planted jump counts as seen where the best smooth fit to the
    noiseless curve misses by the square of 1.64 + 0.84 standard errors: an approximation of the power of `sharpness_test`,
    whose null is simulated. Sizes go up in fortieths of the range of the score.
    """
    among = shapes.prefix(bound)
    null = anchor(curve.y, values=shapes.values, among=among, noise=noise, levels=curve.levels)
    steps = shapes.values[shapes.widths == 0]
    sizes = np.linspace(0.0, curve.levels.high - curve.levels.low, _JUMP_SIZES)
    planted = sizes[:, None, None] * steps  # (sizes, places, M)

    def misfit(y: Vector) -> Vector:
        ssr = least_squares(y.reshape(-1, y.shape[-1]), plan=null.plan, levels=curve.levels, cuts=(among,))
        return np.asarray(ssr.reshape(y.shape[:2]))

    ssr = misfit(curve.y - planted)
    best = float(ssr.min())
    dof = residual_dof(len(curve.x))
    excess = ssr.min(axis=1) - best
    critical = noise.critical_square(best, dof, LEVEL, parameters=2)
    last = int(np.flatnonzero(excess <= critical)[-1])
    high = float(sizes[last])
    if last + 1 < len(sizes):
        high += float((sizes[1] - sizes[0]) * (critical - excess[last]) / (excess[last + 1] - excess[last]))
    needed = _POWER_SUM**2 * float(noise.scale(np.array(best), dof))
    seen = np.median(misfit(np.minimum(null.mean + planted, curve.levels.high)), axis=1) >= needed
    return Jump(high, float(sizes[int(np.argmax(seen))]) if seen.any() else np.nan)
