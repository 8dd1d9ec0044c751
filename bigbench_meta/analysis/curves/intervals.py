"""Effect sizes with intervals: transition width, implied exponent, rise, and the largest jump a curve may hide.

Every interval is a profile: the values whose best fit is worse than the best of all by no more than the 95% point
that the noise allows, over all shapes of the dictionary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bigbench_meta.analysis.curves.fits import anchor, fit_shapes, least_squares
from bigbench_meta.analysis.curves.laws import DEFAULT_BOUND, EXPONENT_TIMES_WIDTH, KINDS
from bigbench_meta.analysis.curves.sharpness import residual_dof

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bigbench_meta.analysis.curves.batch import Batch
    from bigbench_meta.analysis.curves.laws import Shapes
    from bigbench_meta.analysis.curves.sharpness import Flexible

    Vector = NDArray[np.float64]

LEVEL = 0.95
NO_RISE = "no rise"
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


class _Profiled(NamedTuple):
    """What the profiles of widths and of exponents share: per curve the 95% point, and the sum of squares of the flat fit."""

    critical: Vector
    flat: Vector


def _profiled(batch: Batch, fit: Flexible) -> _Profiled:
    critical = batch.noises.critical_square(fit.ssr.min(axis=1), residual_dof(len(batch.x)), LEVEL, parameters=2)
    weights = fit.plan.weights
    centre = (batch.y * weights).sum(axis=1) / fit.plan.total
    return _Profiled(critical, ((batch.y - centre[:, None]) ** 2 * weights).sum(axis=1))


def transition_widths(batch: Batch, *, fit: Flexible) -> list[Interval]:
    """Return, per curve, the decades of scale from 10% to 90% of the rise, between the fitted lower and upper level.

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
    shapes = batch.shapes
    critical, flat = _profiled(batch, fit)
    found = []
    for noise, ssr, above, limit in zip(
        batch.noises.each, fit.ssr, flat - fit.ssr.min(axis=1), critical.tolist(), strict=True
    ):
        few_items = noise.kind == "items" and noise.n_items < FEW_ITEMS and len(batch.x) >= _MANY_SCALES
        rises = above > limit
        found.append(
            _width(ssr, shapes=shapes, critical=limit, few_items=few_items) if rises else _NONE._replace(reason=NO_RISE)
        )
    return found


def _width(ssr: Vector, *, shapes: Shapes, critical: float, few_items: bool) -> Interval:
    grid, best, inside = _profile(shapes.widths, ssr, critical)
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
    if not reason and few_items:
        reason = "few items"
    estimate = float(grid[centre]) if np.isfinite(grid[centre]) else np.nan
    return Interval(estimate, low, high, reason)


def implied_exponents(batch: Batch, *, fit: Flexible) -> list[Interval]:
    """Return, per curve, the per-token exponent ``|alpha|`` that the paper's smooth law needs to draw this curve.

    Notes
    -----
    From accuracy alone the law's length and constant drop out and the exponent is 1.34 over the width (10% to 90%) of
    the best curve ``g + (h - g) exp(-10^(-|alpha| (x - x0)))``. The upper end is NaN with the reason ``a step fits``
    where steps are not excluded: any steeper law would do; the estimate is NaN too where a step fits better than every
    law. The lower end is NaN where the gentlest law (0.045) fits. No rise: all NaN, reason ``no rise``.
    Laws steeper than 0.7 stand a quarter of their width apart: with `MANY_ITEMS` items the interval then covered about
    80% of simulated curves (5 scales, exponent 1), and the reason is ``coarse grid``.
    """
    shapes = batch.shapes
    critical, flat = _profiled(batch, fit)
    law = np.isin(shapes.kinds, [KINDS.index("theory"), KINDS.index("step")])
    widths, ssr = shapes.widths[law], fit.ssr[:, law]
    found = []
    for noise, row, above, limit in zip(batch.noises.each, ssr, flat - ssr.min(axis=1), critical.tolist(), strict=True):
        many_items = noise.kind == "items" and noise.n_items >= MANY_ITEMS
        rises = above > limit
        found.append(
            _exponent(row, widths=widths, critical=limit, many_items=many_items)
            if rises
            else _NONE._replace(reason=NO_RISE)
        )
    return found


def _exponent(ssr: Vector, *, widths: Vector, critical: float, many_items: bool) -> Interval:
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
    if not reason and many_items and estimate > _COARSE_ABOVE:
        reason = "coarse grid"
    return Interval(estimate, low, high, reason)


def rises(batch: Batch) -> list[Interval]:
    """Return, per curve, the fitted change from the smallest to the largest scale, rising or falling, in units of ``curve.y``.

    Notes
    -----
    The interval is the union over all shapes, rising and falling, of their own intervals, given how well each fits;
    weights are those of the best fit in each direction, and so are the sums of squares that are compared. (One weight for all scales covered 70 to 90% where success rises
    from near zero: the largest scales are then far noisier than the mean score says.)
    """
    shapes, every = batch.shapes, batch.every
    change = shapes.values[:, -1] - shapes.values[:, 0]
    ssr, sizes, errors = [], [], []
    for y, sign in ((batch.y, 1.0), (batch.mirrored(batch.y[:, None, :], every)[:, 0], -1.0)):
        best = anchor(y, values=shapes.values, among=len(shapes), noises=batch.noises, levels=batch.levels)
        fit = fit_shapes(y, plan=best.plan, levels=batch.levels)
        ssr.append(fit.ssr)
        sizes.append(sign * (fit.upper - fit.lower) * change)
        errors.append(change / best.plan.sigma)
    misfit, size, error = (np.concatenate(each, axis=1) for each in (ssr, sizes, errors))
    least = misfit.min(axis=1)
    critical = batch.noises.critical_square(least, residual_dof(len(batch.x)), LEVEL, parameters=2)
    room = critical[:, None] - (misfit - least[:, None])
    half = np.sqrt(np.maximum(room, 0.0)) * error
    low = np.where(room >= 0, size - half, np.inf).min(axis=1)
    high = np.where(room >= 0, size + half, -np.inf).max(axis=1)
    estimate = size[every, misfit.argmin(axis=1)]
    return [Interval(*ends, "") for ends in zip(estimate.tolist(), low.tolist(), high.tolist(), strict=True)]


class Jump(NamedTuple):
    """A jump between two neighbouring scales on top of a smooth curve, in units of ``curve.y``.

    ``high``: upper limit of the largest that may hide; ``detectable``: the jump that would be seen with 80% power at
    half of the places or more, NaN where none inside the range of the score would.
    """

    high: float
    detectable: float


def largest_jumps(batch: Batch, *, bound: float = DEFAULT_BOUND) -> list[Jump]:
    """Bound, per curve, the jump that may hide between two neighbouring scales on top of a curve that is smooth up to ``bound``.

    Notes
    -----
    The profile of ``y = smooth + J step_j`` over all smooth shapes and all places j: the limit is the largest J whose
    best fit is within the 95% point of the best of all. A planted jump counts as seen where the best smooth fit to the
    noiseless curve misses by the square of 1.64 + 0.84 standard errors: an approximation of the power of `sharpness_test`,
    whose null is simulated. Sizes go up in fortieths of the range of the score.
    """
    shapes = batch.shapes
    among = shapes.prefix(bound)
    null = anchor(batch.y, values=shapes.values[:among], among=among, noises=batch.noises, levels=batch.levels)
    steps = shapes.values[shapes.widths == 0]
    reach = batch.levels.high - batch.levels.low
    sizes = np.linspace(0.0, reach, _JUMP_SIZES).T  # (C, sizes)
    top = np.asarray(batch.levels.high)[:, None, None, None]

    def misfit(y: Vector) -> Vector:
        rows = y.reshape(len(y), -1, y.shape[-1])
        return least_squares(rows, plan=null.plan, levels=batch.levels, cuts=(among,)).reshape(y.shape[:3])

    squares = misfit(batch.y[:, None, None, :] - sizes[:, :, None, None] * steps).min(axis=2)
    best = squares.min(axis=1)
    dof = residual_dof(len(batch.x))
    excess = squares - best[:, None]
    critical = batch.noises.critical_square(best, dof, LEVEL, parameters=2)
    needed = _POWER_SUM**2 * batch.noises.scale(best, dof)
    # The smallest size that is seen, by bisection: a larger jump is missed by more.
    unseen, seen = np.full(len(sizes), -1), np.full(len(sizes), _JUMP_SIZES)
    while (seen - unseen > 1).any():
        middle = np.clip((unseen + seen) // 2, 0, _JUMP_SIZES - 1)
        jumps = sizes[batch.every, middle]
        missed = misfit(np.minimum(null.mean[:, None, None, :] + jumps[:, None, None, None] * steps, top))[:, 0]
        visible = np.median(missed, axis=1) >= needed
        going = seen - unseen > 1
        seen, unseen = np.where(going & visible, middle, seen), np.where(going & ~visible, middle, unseen)
    found = []
    for size, over, limit, smallest in zip(sizes, excess, critical.tolist(), seen.tolist(), strict=True):
        last = int(np.flatnonzero(over <= limit)[-1])
        high = float(size[last])
        if last + 1 < len(size):
            high += float((size[1] - size[0]) * (limit - over[last]) / (over[last + 1] - over[last]))
        found.append(Jump(high, float(size[smallest]) if smallest < len(size) else np.nan))
    return found
