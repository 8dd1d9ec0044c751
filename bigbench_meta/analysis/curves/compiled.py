"""The inner loop of the fits compiled, where Numba is installed (the extra ``fast``); without it `fits` does the same in NumPy."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Indices = NDArray[np.int64]


def _best_shapes(  # noqa: PLR0917 - one loop over draws, compiled as it stands
    c: Vector, above: Vector, below: Vector, reach: Vector, total: Vector, mean: Vector, sigma: Vector, low_square: Vector,
    high_square: Vector, least: Vector, gain: Vector, shape: Indices, at: Vector,
) -> None:  # fmt: skip
    """Find the best shape of each draw from its unbounded coefficients ``c`` (C, D, K); the last three arrays are filled.

    A shape whose unbounded fit gains no more than the best found so far, or than ``least``, is passed over: with bounds it
    gains no more than without.
    """
    for curve in range(c.shape[0]):
        for draw in range(c.shape[1]):
            row = c[curve, draw]
            winner = 0
            for k in range(1, row.shape[0]):
                if row[k] > row[winner]:
                    winner = k
            largest = max(row[winner], 0.0)
            up, down = above[curve, draw], below[curve, draw]
            slope = largest / sigma[curve, winner]
            gain[curve, draw], shape[curve, draw], at[curve, draw] = largest * largest, winner, largest
            inside = slope * mean[curve, winner] <= up and slope * (1.0 - mean[curve, winner]) <= down
            if inside or largest * largest <= least[curve, draw]:
                continue
            best, chosen, limit = 0.0, winner, 0.0
            # The winner first, whose bounded fit is often nearly the best: it spares most of the others.
            for step in range(-1, row.shape[0]):
                k = winner if step < 0 else step
                value = row[k]
                if value <= limit or k == step == winner:
                    continue
                slope = value / sigma[curve, k]
                if slope * mean[curve, k] <= up and slope * (1.0 - mean[curve, k]) <= down:
                    new = value * value
                else:
                    product = value * sigma[curve, k] + total[curve] * mean[curve, k] * up
                    rise = min(max(product / low_square[curve, k], 0.0), reach[curve])
                    new = rise * (2.0 * product - rise * low_square[curve, k]) - total[curve] * up * up
                    product = value * sigma[curve, k] + total[curve] * (1.0 - mean[curve, k]) * down
                    rise = min(max(product / high_square[curve, k], 0.0), reach[curve])
                    other = rise * (2.0 * product - rise * high_square[curve, k]) - total[curve] * down * down
                    new = max(new, other)
                if new > best or (new == best and k < chosen):
                    best, chosen, limit = new, k, new**0.5
            gain[curve, draw], shape[curve, draw], at[curve, draw] = best, chosen, max(row[chosen], 0.0)


@cache
def compiled_search() -> Callable[..., None] | None:
    """Return the loop over draws, compiled; None where Numba is not installed."""
    try:
        from numba import njit  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return None
    found: Callable[..., None] = njit(cache=True, nogil=True)(_best_shapes)
    return found
