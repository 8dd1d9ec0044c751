"""Could a jump have been seen? The power of the tests of sharpness and of surprise, for each curve's own scales and noise.

Vocabulary
----------
stated jump
    A clean step of .2 or of .4 of the score's range, between the two largest scales or one scale earlier, on a curve that
    is flat at this curve's own level before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import special

from bigbench_meta.analysis.curves.fits import anchor, least_squares
from bigbench_meta.analysis.curves.laws import DEFAULT_BOUND
from bigbench_meta.analysis.curves.predictability import HELD_OUT, MIN_SEEN, misfit, windows_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bigbench_meta.analysis.curves.batch import Batch

    Vector = NDArray[np.float64]

# Shares of the range that a stated jump has, and the scales after it.
SMALL_JUMP, LARGE_JUMP = 0.2, 0.4
_AFTER = (1, 2)
# The power from which on "not seen" means "not there".
ENOUGH = 0.8


class Misfits(NamedTuple):
    """How far stated jumps lie from what is not sharp and from what is foreseen; (C, sizes, places), in sums of squares.

    In units of the noise variance at phi = 1, without noise; sizes are `SMALL_JUMP` and `LARGE_JUMP`.
    """

    sharp: Vector
    surprise: Vector


def jump_misfits(batch: Batch) -> Misfits:
    """Plant the stated jumps on each curve's own level and return what the best smooth and the best foreseeing fit miss."""
    n_scales = len(batch.x)
    level = np.median(batch.y[:, : max(n_scales - max(_AFTER), 1)], axis=1)
    top = np.asarray(batch.levels.high)
    reach = top - np.asarray(batch.levels.low)
    cells = []
    for size in (SMALL_JUMP, LARGE_JUMP):
        floor = np.minimum(level, top - size * reach)
        for after in _AFTER:
            later = np.arange(n_scales) >= n_scales - after
            cells.append(floor[:, None] + np.where(later, 1.0, 0.0) * (size * reach)[:, None])
    shape = (len(batch.curves), 2, len(_AFTER))
    sharp, surprise = [], []
    among = batch.shapes.prefix(DEFAULT_BOUND)
    usable = [h for h in HELD_OUT if n_scales - h >= MIN_SEEN["line"]]
    for planted in cells:
        smooth = anchor(
            planted, values=batch.shapes.values[:among], among=among, noises=batch.noises, levels=batch.levels
        )
        rows = planted[:, None, :]
        sharp.append(least_squares(rows, plan=smooth.plan, levels=batch.levels, cuts=(among,))[:, 0, 0])
        each = [np.zeros(len(planted))]
        for h in usable:
            excess = []
            for window in windows_of(batch.x, h, weights=smooth.plan.weights).values():
                alone, joint, fitted = misfit(rows, window=window, levels=batch.levels)
                excess.append(np.where(planted[:, -1] > fitted[:, 0], joint[:, 0] - alone[:, 0], 0.0))
            each.append(np.min(excess, axis=0))
        surprise.append(np.max(each, axis=0))
    return Misfits(np.stack(sharp, axis=1).reshape(shape), np.stack(surprise, axis=1).reshape(shape))


def power(squares: Vector, *, factors: Vector, masses: Vector, level: float) -> Vector:
    """Return the probability that misfits of so many ``squares`` are found at one-sided ``level``.

    Notes
    -----
    The root of the statistic is taken as normal with unit variance about the root of what is missed, over sqrt(phi), phi
    from its distribution over tasks, and its critical value as the normal one. An approximation: of 12 and 5 scales with 200
    and 1,000 items and no overdispersion, where simulated powers of surprise at 5% were .44, .60, .94, .94 and 1.00 it gave
    .66, .69, .66, .83 and 1.00 (a step of .2 last, .4 last with 5 scales, .2 and .4 last but one, .4 last).

    Examples
    --------
    >>> one = np.ones(1)
    >>> power(np.array([0.0, 9.0]), factors=one, masses=one, level=0.05).round(2).tolist()
    [0.05, 0.91]
    """
    critical = -special.ndtri(level)
    root = np.sqrt(np.maximum(squares, 0.0))[..., None] / np.sqrt(factors)
    return np.asarray((special.ndtr(root - critical) * masses).sum(axis=-1))
