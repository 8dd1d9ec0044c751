"""Least squares of many curves on many shapes at once, with known weights and levels held inside their range.

A curve y with weights w is fitted by ``g (1 - S) + h S`` for each shape S of a dictionary. Given S the fit is linear
in the levels g and h and has a closed form, so that all draws times all shapes cost one matrix product and a few
element-wise steps. Levels obey ``low <= g <= h <= high``: without the upper bound the tail of a wide shape is as
steep as one likes, and "smooth" would mean nothing.

Notes
-----
With ``W = sum w``, weighted means ``ybar`` and ``Sbar`` and ``sigma^2 = sum w (S - Sbar)^2``, let
``c = sum w (y - ybar)(S - Sbar) / sigma``. The unbounded fit lowers the sum of squares of the flat fit by ``c^2`` and
has ``h - g = c / sigma``, ``g = ybar - Sbar c / sigma``. Where that leaves the allowed triangle the best fit lies on
an edge: flat (c < 0), ``g = low`` or ``h = high``; both edges are one-parameter fits that depend on y through c and
ybar alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bigbench_meta.analysis.curves.noise import Noise

    Vector = NDArray[np.float64]

# A shape whose spread over the scales at hand is below this has underflowed to a constant.
_CONSTANT = 1e-100
# Rounds of fitting and reweighting: a third changes fitted scores by less than a tenth of their error.
_REWEIGHTINGS = 2
# Elements of the largest intermediate array: a few of them fit in a core's cache, whatever the draws.
_BLOCK = 1 << 15


class Levels(NamedTuple):
    """The allowed range of a score; finite at both ends wherever a curve is fitted."""

    low: float
    high: float


class Fit(NamedTuple):
    """The best fits of one curve: per shape its sum of squares and its two levels, (K,) arrays."""

    ssr: Vector
    lower: Vector
    upper: Vector

    def predict(self, values: Vector, index: int) -> Vector:
        """Evaluate shape ``index`` of ``values`` (K, M) at its fitted levels."""
        return np.asarray(self.lower[index] + (self.upper[index] - self.lower[index]) * values[index])


class Design(NamedTuple):
    """Weighted moments of K shapes, computed once for all draws of a curve."""

    weights: Vector  # (M,)
    total: float  # W
    mean: Vector  # Sbar
    sigma: Vector  # sigma
    unit: Vector  # (M, K): w (S - Sbar) / sigma, so that y @ unit = c
    low_square: Vector  # sum w S^2
    high_square: Vector  # sum w (1 - S)^2


def design(values: Vector, weights: Vector) -> Design:
    """Compute the moments of the shapes ``values`` (K, M) under ``weights`` (M,); a constant shape fits as flat."""
    total = float(weights.sum())
    mean = values @ weights / total
    centred = values - mean[:, None]
    sigma = np.sqrt(centred**2 @ weights)
    constant = sigma <= _CONSTANT * np.sqrt(total)
    centred[constant], sigma[constant] = 0.0, 1.0
    unit = np.ascontiguousarray((centred / sigma[:, None] * weights).T)
    return Design(weights, total, mean, sigma, unit, values**2 @ weights, (1.0 - values) ** 2 @ weights)


class _Edges(NamedTuple):
    gain: Vector
    lower: Vector
    upper: Vector


def _edges(c: Vector, ybar: Vector, moments: tuple[Vector, ...], total: float, levels: Levels) -> _Edges:
    """Fit with one level on its bound, the better of the two; all arrays have one common shape."""
    mean, sigma, low_square, high_square = moments
    gain, lower, upper = np.zeros_like(c), ybar.copy(), ybar.copy()
    reach = levels.high - levels.low
    above = ybar - levels.low
    product = c * sigma + total * mean * above
    rise = np.minimum(np.maximum(product / low_square, 0.0), reach)
    new = 2 * rise * product - rise**2 * low_square - total * above**2
    better = new > gain
    gain = np.where(better, new, gain)
    lower, upper = np.where(better, levels.low, lower), np.where(better, levels.low + rise, upper)
    below = levels.high - ybar
    product = c * sigma + total * (1.0 - mean) * below
    rise = np.minimum(np.maximum(product / high_square, 0.0), reach)
    new = 2 * rise * product - rise**2 * high_square - total * below**2
    better = new > gain
    gain = np.where(better, new, gain)
    lower, upper = np.where(better, levels.high - rise, lower), np.where(better, levels.high, upper)
    return _Edges(gain, lower, upper)


def _outside(c: Vector, ybar: Vector, moments: tuple[Vector, ...], levels: Levels) -> NDArray[np.bool_]:
    """Tell where the unbounded fit leaves the levels; all arrays broadcast together."""
    mean, sigma, _, _ = moments
    slope = c / sigma
    return np.asarray((slope * mean > ybar - levels.low) | (slope * (1.0 - mean) > levels.high - ybar))


def fit_shapes(y: Vector, *, plan: Design, levels: Levels) -> Fit:
    """Fit one curve by every shape of ``plan``.

    Examples
    --------
    >>> plan = design(np.array([[0.0, 0.0, 1.0, 1.0]]), np.ones(4))
    >>> fit = fit_shapes(np.array([0.2, 0.4, 0.7, 0.9]), plan=plan, levels=Levels(0, 1))
    >>> [round(float(part[0]), 6) for part in fit]
    [0.04, 0.3, 0.8]
    """
    mean = float(y @ plan.weights / plan.total)
    c = np.maximum((y - mean) @ plan.unit, 0.0)
    ybar = np.full_like(c, mean)
    moments = (plan.mean, plan.sigma, plan.low_square, plan.high_square)
    outside = _outside(c, ybar, moments, levels)
    edges = _edges(c, ybar, moments, plan.total, levels)
    lower = np.where(outside, edges.lower, mean - plan.mean * c / plan.sigma)
    upper = np.where(outside, edges.upper, mean + (1.0 - plan.mean) * c / plan.sigma)
    every = np.arange(len(c))
    return Fit(_squares(y[:, None], plan=plan, shape=every, lower=lower, upper=upper), lower, upper)


def _squares(y: Vector, *, plan: Design, shape: NDArray[np.int64], lower: Vector, upper: Vector) -> Vector:
    """Return the sum of squares of curves (M, n) about shapes with these levels, from the residuals themselves.

    What a fit gains over the flat one has lost, where the fit is close, the digits in which they agree.
    """
    weights = plan.weights[:, None]
    values = plan.unit[:, shape] * plan.sigma[shape] / weights + plan.mean[shape]
    return np.asarray((weights * (y - lower - (upper - lower) * values) ** 2).sum(axis=0))


def least_squares(y: Vector, *, plan: Design, levels: Levels, cuts: tuple[int, ...]) -> Vector:
    """Smallest sum of squares of many curves over growing prefixes of the shapes.

    Parameters
    ----------
    y : (draws, M) array.
    plan : the moments of K shapes.
    levels : the allowed range of the two levels.
    cuts : rising prefix lengths, the first at least 0 (the flat fit) and the last at most K.

    Returns
    -------
    (draws, len(cuts)) array
        Smallest weighted sum of squares over the first ``cuts[j]`` shapes, flat included.
    """
    if len(cuts) == 1 and cuts[0]:
        return best_fit(y, plan=_part(plan, 0, cuts[0]), levels=levels).ssr[:, None]
    out = np.empty((len(y), len(cuts)))
    ybar = y @ plan.weights / plan.total
    centred = y - ybar[:, None]
    scatter = centred**2 @ plan.weights
    best = np.zeros(len(y))
    previous = 0
    for column, cut in enumerate(cuts):
        if cut > previous:
            part = _part(plan, previous, cut)
            np.maximum(best, _winners(centred, ybar, plan=part, levels=levels, least=best).gain, out=best)
        out[:, column] = np.maximum(scatter - best, 0.0)
        previous = cut
    return out


def _part(plan: Design, start: int, stop: int) -> Design:
    return plan._replace(
        mean=plan.mean[start:stop],
        sigma=plan.sigma[start:stop],
        low_square=plan.low_square[start:stop],
        high_square=plan.high_square[start:stop],
        unit=plan.unit[:, start:stop],
    )


class _Winner(NamedTuple):
    """Per curve: what its best shape gains over the flat fit, which it is, and the unbounded coefficient c there."""

    gain: Vector
    shape: NDArray[np.int64]
    c: Vector


def _winners(centred: Vector, ybar: Vector, *, plan: Design, levels: Levels, least: Vector | None = None) -> _Winner:
    """Find the best shape of each curve; gains not above ``least`` need not be exact.

    No bounded fit gains more than the unbounded fit of the same shape. So where the best unbounded fit stays inside
    the levels it is the best of all. Elsewhere `_bounded` looks again.
    """
    n_curves = len(centred)
    shape, at, gain = np.empty(n_curves, dtype=np.int64), np.empty(n_curves), np.empty(n_curves)
    edges = None
    block = max(1, _BLOCK // len(plan.mean))
    for start in range(0, n_curves, block):
        rows = slice(start, start + block)
        c = centred[rows] @ plan.unit
        winner = c.argmax(axis=1)
        best = np.maximum(c[np.arange(len(c)), winner], 0.0)
        shape[rows], at[rows], gain[rows] = winner, best, best**2
        again = _outside(best, ybar[rows], _moments(plan, winner), levels)
        if least is not None:
            again &= best**2 > least[rows]
        left = np.flatnonzero(again)
        if len(left):
            edges = edges or _edge_shapes(plan)
            there = left + start
            gain[there], shape[there], at[there] = _bounded(
                c[left], centred[there], ybar[there], plan=plan, edges=edges, levels=levels
            )
    return _Winner(gain, shape, at)


def _moments(plan: Design, shape: NDArray[np.int64]) -> tuple[Vector, ...]:
    """Mean, sigma and the two second moments of the shapes at these positions."""
    return plan.mean[shape], plan.sigma[shape], plan.low_square[shape], plan.high_square[shape]


class _EdgeShapes(NamedTuple):
    """The shapes as the fits with one level on its bound need them.

    Attributes
    ----------
    low, high : (K,) lengths of S and of 1 - S.
    low_unit, high_unit : (M, K), w S / low and w (1 - S) / high.
    slope_low, slope_high : (K,), what one unit of c moves the lower level down and the upper level up.
    """

    low: Vector
    high: Vector
    low_unit: Vector
    high_unit: Vector
    slope_low: Vector
    slope_high: Vector


def _edge_shapes(plan: Design) -> _EdgeShapes:
    weights = plan.weights[:, None]
    weighted = plan.unit * plan.sigma + plan.mean * weights  # w S
    low, high = np.sqrt(plan.low_square), np.sqrt(plan.high_square)
    return _EdgeShapes(
        low, high, weighted / low, (weights - weighted) / high, plan.mean / plan.sigma, (1.0 - plan.mean) / plan.sigma
    )


def _bounded(c: Vector, centred: Vector, ybar: Vector, *, plan: Design, edges: _EdgeShapes, levels: Levels) -> _Winner:
    """Find the best shape of curves whose best unbounded fit leaves the levels; ``c`` is overwritten.

    It is the best of three: of the unbounded fits inside the levels, and of the fits on either bound.
    """
    above, below = ybar - levels.low, levels.high - ybar
    reach = levels.high - levels.low
    every = np.arange(len(c))
    low, gain_low = _best_on_bound((centred + above[:, None]) @ edges.low_unit, furthest=reach * edges.low)
    high, gain_high = _best_on_bound((below[:, None] - centred) @ edges.high_unit, furthest=reach * edges.high)
    at_low, at_high = c[every, low], c[every, high]
    too_far = c * edges.slope_low > above[:, None]
    too_far |= c * edges.slope_high > below[:, None]
    np.copyto(c, 0.0, where=too_far)
    inside = c.argmax(axis=1)
    at_inside = c[every, inside]
    gains = np.stack([at_inside**2, gain_low - plan.total * above**2, gain_high - plan.total * below**2])
    best = gains.argmax(axis=0)
    shape = np.stack([inside, low, high])[best, every]
    at = np.stack([at_inside, at_low, at_high])[best, every]
    return _Winner(gains[best, every], shape, np.maximum(at, 0.0))


def _best_on_bound(q: Vector, *, furthest: Vector) -> tuple[NDArray[np.int64], Vector]:
    """Find, per curve, the shape that fits best with one level on its bound, and what it gains over the bound itself.

    With T = S or 1 - S of length sqrt(sum w T^2), q (curves, K) is the product of T / length with the curve's distance
    from the bound. A rise of t / length gains t (2 q - t), and t may go from 0 to ``furthest``: q^2 where q is no
    further than that. So where the largest q is not, its shape is the best; elsewhere all are compared.
    """
    every = np.arange(len(q))
    best = q.argmax(axis=1)
    largest = np.maximum(q[every, best], 0.0)
    gain = largest**2
    cut = np.flatnonzero(largest > furthest[best])
    if len(cut):
        q = q[cut]
        held = np.minimum(np.maximum(q, 0.0), furthest)
        gains = held * (2.0 * q - held)
        best[cut] = gains.argmax(axis=1)
        gain[cut] = gains[np.arange(len(cut)), best[cut]]
    return best, gain


class Anchor(NamedTuple):
    """A curve's best fit among some shapes, the weights it implies, and the moments of all shapes under them."""

    mean: Vector  # (M,) fitted scores
    plan: Design
    ssr: float


def anchor(y: Vector, *, values: Vector, among: int, noise: Noise, levels: Levels) -> Anchor:
    """Fit ``y`` by the best of the first ``among`` shapes (0: flat), with weights from the fitted scores themselves.

    Weights from the observed scores would favour low ones; those of the fit are iterated a few times from equal ones.
    """
    mean = np.full_like(y, y.mean())
    for _ in range(_REWEIGHTINGS):
        weights = 1.0 / noise.unit_variance(mean)
        if not among:
            centre = float(y @ weights / weights.sum())
            mean = np.full_like(y, centre)
            continue
        fit = fit_shapes(y, plan=design(values[:among], weights), levels=levels)
        mean = fit.predict(values, int(np.argmin(fit.ssr)))
    weights = 1.0 / noise.unit_variance(mean)
    return Anchor(mean, design(values, weights), float((y - mean) ** 2 @ weights))


class Best(NamedTuple):
    """Best shape of each curve; arrays (draws,)."""

    ssr: Vector
    shape: NDArray[np.int64]
    lower: Vector
    upper: Vector


def best_fit(y: Vector, *, plan: Design, levels: Levels) -> Best:
    """Find the best shape of each of many curves (draws, M), with its levels."""
    ybar = y @ plan.weights / plan.total
    centred = y - ybar[:, None]
    found = _winners(centred, ybar, plan=plan, levels=levels)
    moments = _moments(plan, found.shape)
    slope = found.c / moments[1]
    lower, upper = ybar - moments[0] * slope, ybar + (1.0 - moments[0]) * slope
    outside = np.flatnonzero(_outside(found.c, ybar, moments, levels))
    if len(outside):
        picked = tuple(each[outside] for each in moments)
        edges = _edges(found.c[outside], ybar[outside], picked, plan.total, levels)
        lower[outside], upper[outside] = edges.lower, edges.upper
    ssr = _squares(y.T, plan=plan, shape=found.shape, lower=lower, upper=upper)
    return Best(ssr, found.shape, lower, upper)
