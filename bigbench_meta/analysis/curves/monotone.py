"""Is a curve monotone at all? Least squares over all rising and over all falling curves, and the tests built on it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bigbench_meta.analysis.curves.batch import Null
from bigbench_meta.analysis.curves.noise import Noise, side_by_side

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bigbench_meta.analysis.curves.batch import Batch

    Vector = NDArray[np.float64]
    Indices = NDArray[np.int64]

# Rounds of fitting and reweighting, as for the fits of smooth shapes.
_REWEIGHTINGS = 2


class Rising(NamedTuple):
    """Best rising fits of rows: the sum of squares over each of their first points, (rows, M), and the fits, (rows, M)."""

    squares: Vector
    fit: Vector


def rising_fits(y: Vector, weights: Vector) -> Rising:
    """Fit every row by the rising sequence that is nearest in weighted squares, by pooling adjacent violators.

    Parameters
    ----------
    y, weights : (rows, M) arrays; ``weights`` positive.

    Notes
    -----
    Column j of ``squares`` is the sum of squares of the best rising fit to the first j + 1 points: the blocks of the
    algorithm after so many points [1]_. Pooling two blocks of weights v, w and means a, b adds ``v w (a - b)^2 / (v + w)``.

    References
    ----------
    .. [1] Barlow, Bartholomew, Bremner, Brunk (1972). Statistical Inference under Order Restrictions.

    Examples
    --------
    >>> found = rising_fits(np.array([[1.0, 3.0, 2.0, 4.0]]), np.ones((1, 4)))
    >>> found.squares.tolist(), found.fit.tolist()
    ([[0.0, 0.0, 0.5, 0.5]], [[1.0, 2.5, 2.5, 4.0]])
    """
    n_rows, n_points = y.shape
    mean, weight = np.empty((n_rows, n_points)), np.empty((n_rows, n_points))
    first = np.empty((n_rows, n_points), dtype=np.int64)  # the first point of each block
    top = np.full(n_rows, -1)
    total = np.zeros(n_rows)
    squares = np.empty((n_rows, n_points))
    every = np.arange(n_rows)
    for point in range(n_points):
        top += 1
        mean[every, top], weight[every, top], first[every, top] = y[:, point], weights[:, point], point
        rows = every[top > 0] if point else every[:0]
        while len(rows):
            here = top[rows]
            below = mean[rows, here - 1]
            above = mean[rows, here]
            pool = below > above
            rows, here, below, above = rows[pool], here[pool], below[pool], above[pool]
            if not len(rows):
                break
            left, right = weight[rows, here - 1], weight[rows, here]
            together = left + right
            total[rows] += left * right / together * (below - above) ** 2
            mean[rows, here - 1] = (left * below + right * above) / together
            weight[rows, here - 1] = together
            top[rows] = here - 1
            rows = rows[here > 1]
        squares[:, point] = total
    starts = np.zeros((n_rows, n_points), dtype=np.int64)
    block = np.arange(n_points)[None, :] <= top[:, None]
    row, at = np.nonzero(block)
    starts[row, first[row, at]] = 1
    return Rising(squares, np.take_along_axis(mean, np.cumsum(starts, axis=1) - 1, axis=1))


class MonotoneNulls(NamedTuple):
    """The tests that a rising curve, and that a falling one, explains each curve of a batch."""

    rising: Null
    falling: Null


def monotone_nulls(batch: Batch) -> MonotoneNulls:
    """Set up the tests that each curve is a rising, and that it is a falling, curve of any shape.

    Notes
    -----
    The statistic is the weighted sum of squares that the best rising (falling) fit leaves. The noise is that of the items
    for these models where items are known, without overdispersion, which would explain any course: what is tested is
    whether the success of these models is monotone in their size, not whether other models of these sizes would do the
    same. The null is the least favourable one: the noise about the better of the two fits, laid on a flat curve. Of all
    monotone curves with the same noise a flat one leaves the largest sums, so that the level holds for all of them.
    A curve that neither explains is not monotone: p of that is the larger of the two.
    """
    kind = batch.noises.each[0].kind
    noises = batch.noises
    if kind == "items":
        noises = side_by_side([Noise(kind, noise.n_items, np.ones(1), np.ones(1)) for noise in batch.noises.each])
    y = batch.y
    mean = np.repeat(y.mean(axis=1, keepdims=True), y.shape[1], axis=1)
    for _ in range(_REWEIGHTINGS):
        weights = 1.0 / noises.unit_variance(mean)
        up, down = rising_fits(y, weights), rising_fits(-y, weights)
        rises = up.squares[:, -1:] <= down.squares[:, -1:]
        mean = np.where(rises, up.fit, -down.fit)
    weights = 1.0 / noises.unit_variance(mean)

    def squares(sign: float, scores: Vector, curves: Indices) -> Vector:
        rows = sign * (scores - mean[curves, None, :])
        flat = rows.reshape(-1, rows.shape[2])
        repeated = np.repeat(weights[curves], rows.shape[1], axis=0)
        return rising_fits(flat, repeated).squares[:, -1].reshape(rows.shape[:2])

    found = []
    for sign, name in ((1.0, "rising"), (-1.0, "falling")):
        observed = rising_fits(sign * y, weights).squares[:, -1]
        found.append(Null(observed, mean, noises, partial(squares, sign), ("monotone", name)))
    return MonotoneNulls(*found)
