"""Least squares of many curves on many shapes at once, with known weights and levels held inside their range.

A curve y with weights w is fitted by ``g (1 - S) + h S`` for each shape S of a dictionary. Given S the fit is linear
in the levels g and h and has a closed form, so that all draws times all shapes cost one matrix product and a few
element-wise steps. Levels obey ``low <= g <= h <= high``: without the upper bound the tail of a wide shape is as
steep as one likes, and "smooth" would mean nothing.

Curves that share their scales share their shapes and are fitted together: arrays have a first axis of C curves, each
with weights, levels and D draws of its own. Each curve has matrix products of its own, of a shape that does not depend on
its company, so that its numbers are the same, to the byte, whichever curves stand beside it.

Notes
-----
With ``W = sum w``, weighted means ``ybar`` and ``Sbar`` and ``sigma^2 = sum w (S - Sbar)^2``, let
``c = sum w (y - ybar)(S - Sbar) / sigma``. The unbounded fit lowers the sum of squares of the flat fit by ``c^2`` and
has ``h - g = c / sigma``, ``g = ybar - Sbar c / sigma``. Where that leaves the allowed triangle the best fit lies on
an edge: flat (c < 0), ``g = low`` or ``h = high``; both edges are one-parameter fits that depend on y through c and
ybar alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bigbench_meta.analysis.curves.compiled import compiled_search

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bigbench_meta.analysis.curves.noise import Noises

    Vector = NDArray[np.float64]

# A shape whose spread over the scales at hand is below this has underflowed to a constant.
_CONSTANT = 1e-100
# Rounds of fitting and reweighting: a third changes fitted scores by less than a tenth of their error.
_REWEIGHTINGS = 2
# Elements of the largest intermediate array: a few of them fit in a core's cache, whatever the draws and curves.
_BLOCK = 1 << 17


class Levels(NamedTuple):
    """The allowed range of a score, of one curve or, as (C,) arrays, of many; finite wherever a curve is fitted."""

    low: float | Vector
    high: float | Vector


class Fit(NamedTuple):
    """The best fits of C curves: per shape its sum of squares and its two levels, (C, K) arrays."""

    ssr: Vector
    lower: Vector
    upper: Vector


class Design(NamedTuple):
    """Weighted moments of K shapes for each of C curves, computed once for all draws of a curve."""

    values: Vector  # (K, M)
    weights: Vector  # (C, M)
    total: Vector  # (C,), W
    mean: Vector  # (C, K), Sbar
    sigma: Vector  # (C, K)
    unit: Vector  # (C, M, K): w (S - Sbar) / sigma, so that y @ unit = c
    low_square: Vector  # (C, K), sum w S^2
    high_square: Vector  # (C, K), sum w (1 - S)^2

    def of(self, curves: NDArray[np.int64]) -> Design:
        """Keep some of the curves."""
        if len(curves) == len(self.total) and (curves == np.arange(len(curves))).all():
            return self
        return Design(self.values, *(each[curves] for each in self[1:]))

    def part(self, start: int, stop: int) -> Design:
        """Keep some of the shapes."""
        rows = np.s_[:, start:stop]
        return self._replace(
            values=self.values[start:stop],
            mean=self.mean[rows],
            sigma=self.sigma[rows],
            unit=self.unit[:, :, start:stop],
            low_square=self.low_square[rows],
            high_square=self.high_square[rows],
        )


def _products(rows: Vector, matrix: Vector) -> Vector:
    """Multiply each row (C, M) with a matrix of its own, or one for all: (C, K)."""
    return np.asarray(np.matmul(rows[:, None, :], matrix)[:, 0])


def design(values: Vector, weights: Vector) -> Design:
    """Compute the moments of the shapes ``values`` (K, M) under ``weights`` (C, M); a constant shape fits as flat."""
    total = weights.sum(axis=1)
    across = np.ascontiguousarray(values.T)
    mean = _products(weights, across) / total[:, None]
    centred = across - mean[:, None, :]
    unit = centred * weights[:, :, None]
    sigma = np.sqrt(np.einsum("cmk,cmk->ck", unit, centred))
    constant = sigma <= _CONSTANT * np.sqrt(total)[:, None]
    if constant.any():
        sigma[constant] = 1.0
        unit *= ~constant[:, None, :]
    unit /= sigma[:, None, :]
    return Design(
        values,
        weights,
        total,
        mean,
        sigma,
        unit,
        _products(weights, across**2),
        _products(weights, (1.0 - across) ** 2),
    )


class _Edges(NamedTuple):
    gain: Vector
    lower: Vector
    upper: Vector


class _Moments(NamedTuple):
    """Moments of the shapes that are looked at; all arrays of one call broadcast together."""

    total: Vector
    mean: Vector
    sigma: Vector
    low_square: Vector
    high_square: Vector


def _edges(c: Vector, ybar: Vector, moments: _Moments, levels: Levels) -> _Edges:
    """Fit with one level on its bound, the better of the two; all arrays broadcast to the shape of ``c``."""
    total, mean, sigma, low_square, high_square = moments
    gain = np.zeros_like(c)
    lower = upper = np.broadcast_to(ybar, c.shape)
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


def _outside(c: Vector, ybar: Vector, moments: _Moments, levels: Levels) -> NDArray[np.bool_]:
    """Tell where the unbounded fit leaves the levels; all arrays broadcast together."""
    slope = c / moments.sigma
    return np.asarray((slope * moments.mean > ybar - levels.low) | (slope * (1.0 - moments.mean) > levels.high - ybar))


def fit_shapes(y: Vector, *, plan: Design, levels: Levels) -> Fit:
    """Fit each curve of ``y`` (C, M) by every shape of ``plan``; levels are (C,) arrays.

    Examples
    --------
    >>> plan = design(np.array([[0.0, 0.0, 1.0, 1.0]]), np.ones((1, 4)))
    >>> fit = fit_shapes(np.array([[0.2, 0.4, 0.7, 0.9]]), plan=plan, levels=Levels(np.zeros(1), np.ones(1)))
    >>> [round(float(part[0, 0]), 6) for part in fit]
    [0.04, 0.3, 0.8]
    """
    mean = ((y * plan.weights).sum(axis=1) / plan.total)[:, None]
    c = np.maximum(_products(y - mean, plan.unit), 0.0)
    moments = _Moments(plan.total[:, None], plan.mean, plan.sigma, plan.low_square, plan.high_square)
    bounds = _down(levels)
    outside = _outside(c, mean, moments, bounds)
    slope = c / plan.sigma
    lower, upper = mean - plan.mean * slope, mean + (1.0 - plan.mean) * slope
    if outside.any():
        edges = _edges(c, mean, moments, bounds)
        lower, upper = np.where(outside, edges.lower, lower), np.where(outside, edges.upper, upper)
    # From the residuals themselves: what a fit gains over the flat one has lost, where it is close, the digits in which
    # they agree.
    residual = (upper - lower)[:, None, :] * plan.values.T
    np.subtract((y[:, :, None] - lower[:, None, :]), residual, out=residual)
    np.square(residual, out=residual)
    return Fit(np.matmul(plan.weights[:, None, :], residual)[:, 0], lower, upper)


def _down(levels: Levels) -> Levels:
    """Levels of C curves as columns."""
    return Levels(np.reshape(levels.low, (-1, 1)), np.reshape(levels.high, (-1, 1)))


def least_squares(y: Vector, *, plan: Design, levels: Levels, cuts: tuple[int, ...]) -> Vector:
    """Smallest sum of squares of many curves over growing prefixes of the shapes.

    Parameters
    ----------
    y : (C, D, M) array, D draws of each curve.
    plan : the moments of K shapes for each of the C curves.
    levels : the allowed range of the two levels, (C,) arrays.
    cuts : rising prefix lengths, the first at least 0 (the flat fit) and the last at most K.

    Returns
    -------
    (C, D, len(cuts)) array
        Smallest weighted sum of squares over the first ``cuts[j]`` shapes, flat included.
    """
    if len(cuts) == 1 and cuts[0]:
        part = plan if cuts[0] == len(plan.values) else plan.part(0, cuts[0])
        return best_fit(y, plan=part, levels=levels).ssr[:, :, None]
    out = np.empty((*y.shape[:2], len(cuts)))
    centred, ybar, scatter = _centred(y, plan)
    best = np.zeros(y.shape[:2])
    previous = 0
    for column, cut in enumerate(cuts):
        if cut > previous:
            part = plan.part(previous, cut)
            np.maximum(best, _winners(centred, ybar, plan=part, levels=levels, least=best).gain, out=best)
        out[:, :, column] = np.maximum(scatter - best, 0.0)
        previous = cut
    return out


def _centred(y: Vector, plan: Design) -> tuple[Vector, Vector, Vector]:
    """Draws less their weighted mean, the mean, and the sum of squares about it."""
    weights = plan.weights[:, None, :]
    ybar = (y * weights).sum(axis=2) / plan.total[:, None]
    centred = y - ybar[:, :, None]
    return centred, ybar, (centred**2 * weights).sum(axis=2)


class _Winner(NamedTuple):
    """Per draw (C, D): what its best shape gains over the flat fit, which it is, and the unbounded coefficient c there."""

    gain: Vector
    shape: NDArray[np.int64]
    c: Vector


def _winners(centred: Vector, ybar: Vector, *, plan: Design, levels: Levels, least: Vector | None = None) -> _Winner:
    """Find the best shape of each draw; gains not above ``least`` need not be exact.

    No bounded fit gains more than the unbounded fit of the same shape. So where the best unbounded fit stays inside
    the levels it is the best of all. Elsewhere `_bounded` looks again.
    """
    n_curves, n_draws, _ = centred.shape
    n_shapes = len(plan.values)
    found = _Winner(
        np.empty((n_curves, n_draws)), np.empty((n_curves, n_draws), dtype=np.int64), np.empty((n_curves, n_draws))
    )
    slopes = _slopes(plan)
    above, below = ybar - _down(levels).low, _down(levels).high - ybar
    reach = np.broadcast_to(levels.high - levels.low, n_curves)
    known = np.zeros_like(ybar) if least is None else least
    search = compiled_search()
    edges: _EdgeShapes | None = None
    together = max(1, _BLOCK // (n_draws * n_shapes))
    rows = min(n_draws, max(1, _BLOCK // n_shapes))
    for first in range(0, n_curves, together):
        some = slice(first, first + together)
        for start in range(0, n_draws, rows):
            here = (some, slice(start, start + rows))
            c = np.matmul(centred[here], plan.unit[some])
            if search is not None:
                search(
                    c, above[here], below[here], reach[some], plan.total[some], plan.mean[some], plan.sigma[some],
                    plan.low_square[some], plan.high_square[some], known[here], found.gain[here], found.shape[here], found.c[here],
                )  # fmt: skip
                continue
            winner = c.argmax(axis=2)
            curve, draw = _places(winner)
            best = np.maximum(c[curve, draw, winner], 0.0)
            found.shape[here], found.c[here], found.gain[here] = winner, best, best**2
            again = (best * slopes.low[first + curve, winner] > above[here]) | (
                best * slopes.high[first + curve, winner] > below[here]
            )
            again &= best**2 > known[here]
            if not again.any():
                continue
            edges = edges or _edge_shapes(plan)
            # Of a curve alone in its block the draws that need it are taken out, of several the curves that do.
            curves = first + np.flatnonzero(again.any(axis=1))
            draws = np.flatnonzero(again.any(axis=0))
            again = again[curves - first][:, draws]
            there = (curves[:, None], start + draws)
            exact = _bounded(
                c if again.size == winner.size else c[curves[:, None] - first, draws],
                centred[there],
                above[there],
                below[there],
                reach=reach[curves],
                slopes=slopes.of(curves),
                edges=edges.of(curves),
            )
            for old, new in zip(found, exact, strict=True):
                old[there] = np.where(again, new, old[there])
    return found


class _Slopes(NamedTuple):
    """What one unit of c moves the lower level of a fit down, and the upper level up; (C, K)."""

    low: Vector
    high: Vector

    def of(self, curves: NDArray[np.int64]) -> _Slopes:
        """Keep some of the curves."""
        return _Slopes(self.low[curves], self.high[curves])


def _slopes(plan: Design) -> _Slopes:
    return _Slopes(plan.mean / plan.sigma, (1.0 - plan.mean) / plan.sigma)


def _picked(plan: Design, shape: NDArray[np.int64]) -> _Moments:
    """Moments (C, D) of the shapes at these positions (C, D)."""
    curve = np.arange(len(shape))[:, None]
    return _Moments(
        plan.total[:, None],
        plan.mean[curve, shape],
        plan.sigma[curve, shape],
        plan.low_square[curve, shape],
        plan.high_square[curve, shape],
    )


class _EdgeShapes(NamedTuple):
    """The shapes of C curves as the fits with one level on its bound need them.

    Attributes
    ----------
    total : (C,), W.
    low, high : (C, K) lengths of S and of 1 - S.
    low_unit, high_unit : (C, M, K), w S / low and w (1 - S) / high.
    """

    total: Vector
    low: Vector
    high: Vector
    low_unit: Vector
    high_unit: Vector

    def of(self, curves: NDArray[np.int64]) -> _EdgeShapes:
        """Keep some of the curves."""
        if len(curves) == len(self.total):
            return self
        return _EdgeShapes(*(each[curves] for each in self))


def _edge_shapes(plan: Design) -> _EdgeShapes:
    low, high = np.sqrt(plan.low_square), np.sqrt(plan.high_square)
    weights = plan.weights[:, :, None]
    low_unit, high_unit = plan.values.T * weights, (1.0 - plan.values).T * weights
    low_unit /= low[:, None, :]
    high_unit /= high[:, None, :]
    return _EdgeShapes(plan.total, low, high, low_unit, high_unit)


def _bounded(
    c: Vector, centred: Vector, above: Vector, below: Vector, *, reach: Vector, slopes: _Slopes, edges: _EdgeShapes
) -> _Winner:
    """Find the best shape of draws whose best unbounded fit leaves the levels.

    It is the best of three: of the unbounded fits inside the levels, and of the fits on either bound. ``above`` and
    ``below`` are the distances (C, D) of the draws' means from the two bounds, ``reach`` (C,) is that between the bounds.
    """
    total = edges.total[:, None]
    low, gain_low = _best_on_bound(
        np.matmul(centred + above[:, :, None], edges.low_unit), furthest=reach[:, None] * edges.low
    )
    high, gain_high = _best_on_bound(
        np.matmul(below[:, :, None] - centred, edges.high_unit), furthest=reach[:, None] * edges.high
    )
    gain_low -= total * above**2
    gain_high -= total * below**2
    gain, shape = np.maximum(np.maximum(gain_low, gain_high), 0.0), np.where(gain_high > gain_low, high, low)
    # Of the unbounded fits only those that gain more need a look at their levels.
    more = _above(c, np.sqrt(gain))
    curve, draw, at = more
    found = c[more]
    far = (found * slopes.low[curve, at] > above[curve, draw]) | (found * slopes.high[curve, at] > below[curve, draw])
    found[far] = 0.0
    _raise(gain.reshape(-1), shape.reshape(-1), rows=curve * c.shape[1] + draw, shapes=at, gains=found**2)
    curve, draw = _places(shape)
    return _Winner(gain, shape, np.maximum(c[curve, draw, shape], 0.0))


def _places(array: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Index of the curve, as a column, and of the draw, as a row."""
    return np.arange(array.shape[0])[:, None], np.arange(array.shape[1])


def _above(values: Vector, limit: Vector) -> tuple[NDArray[np.int64], ...]:
    """Where values (C, D, K) exceed a limit (C, D): curve, draw and shape, in order."""
    rows, shape = np.divmod(np.flatnonzero(values > limit[:, :, None]), values.shape[2])
    return (*np.divmod(rows, values.shape[1]), shape)


def _raise(
    best: Vector, shape: NDArray[np.int64], *, rows: NDArray[np.int64], shapes: NDArray[np.int64], gains: Vector
) -> None:
    """Raise the best gain of each row, and its shape, to the largest of what is given of that row; rows are in order."""
    if not len(rows):
        return
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    largest = np.maximum.reduceat(gains, starts)
    counts = np.diff(starts, append=len(rows))
    first = np.flatnonzero(gains == np.repeat(largest, counts))
    # Of several equal ones the first counts.
    first = first[np.flatnonzero(np.diff(rows[first], prepend=-1))]
    there = rows[starts]
    better = largest > best[there]
    best[there[better]], shape[there[better]] = largest[better], shapes[first][better]


def _best_on_bound(q: Vector, *, furthest: Vector) -> tuple[NDArray[np.int64], Vector]:
    """Find, per draw, the shape that fits best with one level on its bound, and what it gains over the bound itself.

    With T = S or 1 - S of length sqrt(sum w T^2), q (C, D, K) is the product of T / length with the draw's distance
    from the bound. A rise of t / length gains t (2 q - t), and t may go from 0 to ``furthest`` (C, K): q^2 where q is no
    further than that. So where the largest q is not, its shape is the best; elsewhere those that could be better are compared.
    """
    curve, draw = _places(q)
    best = q.argmax(axis=2)
    largest = np.maximum(q[curve, draw, best], 0.0)
    most = furthest[curve, best]
    held = np.minimum(largest, most)
    gain = held * (2.0 * largest - held)
    cut = largest > most
    if cut.any():
        of_curve, of_draw, at = _above(q, np.where(cut, np.sqrt(gain), np.inf))
        found = q[of_curve, of_draw, at]
        held = np.minimum(found, furthest[of_curve, at])
        rows = of_curve * q.shape[1] + of_draw
        _raise(gain.reshape(-1), best.reshape(-1), rows=rows, shapes=at, gains=held * (2.0 * found - held))
    return best, gain


class Anchor(NamedTuple):
    """The best fits of C curves among some shapes, the weights they imply, and the moments of all shapes under them."""

    mean: Vector  # (C, M) fitted scores
    plan: Design


def anchor(y: Vector, *, values: Vector, among: int, noises: Noises, levels: Levels) -> Anchor:
    """Fit each curve of ``y`` (C, M) by the best of the first ``among`` shapes (0: flat), weights from the fitted scores.

    Weights from the observed scores would favour low ones; those of the fit are iterated a few times from equal ones.
    """
    mean = np.repeat(y.mean(axis=1, keepdims=True), y.shape[1], axis=1)
    every = np.arange(len(y))
    for _ in range(_REWEIGHTINGS):
        weights = 1.0 / noises.unit_variance(mean)
        if not among:
            centre = (y * weights).sum(axis=1, keepdims=True) / weights.sum(axis=1, keepdims=True)
            mean = np.repeat(centre, y.shape[1], axis=1)
            continue
        fit = fit_shapes(y, plan=design(values[:among], weights), levels=levels)
        best = fit.ssr.argmin(axis=1)
        lower = fit.lower[every, best][:, None]
        mean = lower + (fit.upper[every, best][:, None] - lower) * values[best]
    return Anchor(mean, design(values, 1.0 / noises.unit_variance(mean)))


class Best(NamedTuple):
    """Best shape of each draw; arrays (C, D)."""

    ssr: Vector
    shape: NDArray[np.int64]
    lower: Vector
    upper: Vector


def best_fit(y: Vector, *, plan: Design, levels: Levels) -> Best:
    """Find the best shape of each of many draws (C, D, M), with its levels."""
    centred, ybar, _ = _centred(y, plan)
    found = _winners(centred, ybar, plan=plan, levels=levels)
    moments = _picked(plan, found.shape)
    slope = found.c / moments.sigma
    lower, upper = ybar - moments.mean * slope, ybar + (1.0 - moments.mean) * slope
    bounds = _down(levels)
    outside = _outside(found.c, ybar, moments, bounds)
    if outside.any():
        edges = _edges(found.c, ybar, moments, bounds)
        lower, upper = np.where(outside, edges.lower, lower), np.where(outside, edges.upper, upper)
    residual = y - lower[:, :, None] - (upper - lower)[:, :, None] * plan.values[found.shape]
    ssr = (plan.weights[:, None, :] * residual**2).sum(axis=2)
    return Best(ssr, found.shape, lower, upper)
