"""Monotone curves of any shape: least squares over all rising, falling and once-turning curves, for many rows at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]


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


def one_turn_squares(y: Vector, weights: Vector) -> Vector:
    """Smallest sum of squares of each row over curves that turn at most once: up and down, or down and up; (rows,).

    Examples
    --------
    >>> float(one_turn_squares(np.array([[0.0, 1.0, 0.0]]), np.ones((1, 3)))[0])
    0.0
    """
    back = np.s_[:, ::-1]
    best = np.full(len(y), np.inf)
    for sign in (1.0, -1.0):
        ahead = rising_fits(sign * y, weights).squares
        behind = rising_fits(sign * y[back], weights[back]).squares[back]
        best = np.minimum(best, ahead[:, -1])
        best = np.minimum(best, behind[:, 0])
        best = np.minimum(best, (ahead[:, :-1] + behind[:, 1:]).min(axis=1))
    return best
