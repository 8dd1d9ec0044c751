"""Curves that share their scales, side by side: what every test fits and draws together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bigbench_meta.analysis.curves.fits import Levels
from bigbench_meta.analysis.curves.laws import dictionary
from bigbench_meta.analysis.curves.montecarlo import at_least, curve_rng, sequential_pvalues
from bigbench_meta.analysis.curves.noise import side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from numpy.typing import NDArray

    from bigbench_meta.analysis.curves.laws import Shapes
    from bigbench_meta.analysis.curves.montecarlo import PValue, Sampling
    from bigbench_meta.analysis.curves.noise import Noise, Noises
    from bigbench_meta.analysis.curves.prepare import Curve

    Vector = NDArray[np.float64]
    Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """C curves on the same M scales, with noises of one kind.

    Attributes
    ----------
    curves : the curves.
    noises : what is known of the noise of each.
    y : (C, M) scores.
    levels : the range of the levels of each, (C,) arrays.
    """

    curves: tuple[Curve, ...]
    noises: Noises
    y: Vector
    levels: Levels

    @property
    def x(self) -> tuple[float, ...]:
        """The scales, log10."""
        return self.curves[0].x

    @property
    def shapes(self) -> Shapes:
        """The dictionary on these scales."""
        return dictionary(self.x)

    def mirrored(self, y: Vector, curves: Indices) -> Vector:
        """Turn draws (C, D, M) of some curves upside down inside the range of their levels."""
        levels = self.levels_of(curves)
        return np.asarray((levels.low + levels.high)[:, None, None] - y)  # type: ignore[index]

    def levels_of(self, curves: Indices) -> Levels:
        """The range of the levels of some curves."""
        return Levels(self.levels.low[curves], self.levels.high[curves])  # type: ignore[index]

    def of(self, curves: Indices) -> Batch:
        """Keep some of the curves."""
        kept = tuple(self.curves[at] for at in curves.tolist())
        return Batch(kept, self.noises.of(curves), self.y[curves], self.levels_of(curves))

    @property
    def every(self) -> Indices:
        """The position of every curve."""
        return np.arange(len(self.curves))


# Draws of one curve that are fitted at a time where many are asked for.
_AT_A_TIME = 5_000


class Null(NamedTuple):
    """One test of the curves of a batch: what was observed, and how its null is drawn.

    Attributes
    ----------
    observed : (C,) statistics, 0 at the least; large values speak against the null.
    mean : (C, M) curves that the null draws around.
    noises : what it draws with.
    statistic : called with scores (curves, draws, M) and the positions of those curves, returns (curves, draws).
    purpose : tells its random numbers from those of the other tests of a curve.
    """

    observed: Vector
    mean: Vector
    noises: Noises
    statistic: Callable[[Vector, Indices], Vector]
    purpose: tuple[Hashable, ...]

    def of(self, which: Indices) -> Null:
        """Keep some of the curves."""
        return self._replace(
            observed=self.observed[which],
            mean=self.mean[which],
            noises=self.noises.of(which),
            statistic=lambda y, some: self.statistic(y, which[some]),
        )

    def drawer(self, curves: Sequence[Curve], *, seed: int, part: int = 0) -> Callable[[Indices, int], Vector]:
        """Return a function that draws scores (curves, draws, M), each curve from a generator of its own."""
        later = ("further", part) if part else ()
        generators = [curve_rng(seed, *curve.key, *self.purpose, *later) for curve in curves]

        def draw(which: Indices, size: int) -> Vector:
            return np.stack(
                [self.noises.each[at].draw(self.mean[at], size=size, rng=generators[at]) for at in which.tolist()]
            )

        return draw


def p_values(batch: Batch, null: Null, *, sampling: Sampling) -> list[PValue]:
    """Return the Monte Carlo p-value of each curve; see `bigbench_meta.analysis.curves.montecarlo.sequential_pvalues`."""
    draw = null.drawer(batch.curves, seed=sampling.seed)
    return sequential_pvalues(
        null.observed, lambda which, size: null.statistic(draw(which, size), which), draws=sampling.draws, least=0.0
    )


def draw_further(batch: Batch, null: Null, known: PValue, *, to: int, seed: int, part: int) -> PValue:
    """Add draws to the p-value of a curve alone in its batch until it rests on ``to`` of them; ``part`` numbers the call."""
    draw, limit, alone = null.drawer(batch.curves, seed=seed, part=part), at_least(null.observed), batch.every
    missing, large = to - known.draws, 0
    for start in range(0, missing, _AT_A_TIME):
        drawn = null.statistic(draw(alone, min(_AT_A_TIME, missing - start)), alone)
        large += int(np.count_nonzero(drawn >= limit[:, None]))
    return known.more(large, max(missing, 0))


def batch_of(curves: Sequence[Curve], noises: Sequence[Noise]) -> Batch:
    """Put curves on the same scales, with noises of one kind, side by side."""
    levels = Levels(
        np.array([curve.levels.low for curve in curves], dtype=np.float64),
        np.array([curve.levels.high for curve in curves], dtype=np.float64),
    )
    return Batch(tuple(curves), side_by_side(noises), np.stack([curve.y for curve in curves]), levels)
