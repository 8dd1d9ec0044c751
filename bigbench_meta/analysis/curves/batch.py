"""Curves that share their scales, side by side: what every test fits and draws together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bigbench_meta.analysis.curves.fits import Levels
from bigbench_meta.analysis.curves.laws import dictionary
from bigbench_meta.analysis.curves.montecarlo import curve_rng
from bigbench_meta.analysis.curves.noise import side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from numpy.typing import NDArray

    from bigbench_meta.analysis.curves.laws import Shapes
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
        ends = (self.levels.low + self.levels.high)[curves]
        return np.asarray(ends[:, None, None] - y)

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

    def drawer(self, mean: Vector, *, seed: int, purpose: Sequence[Hashable]) -> Callable[[Indices, int], Vector]:
        """Return a function that draws scores around ``mean`` (C, M), (curves, draws, M), each curve from its own generator."""
        generators = [curve_rng(seed, *curve.key, *purpose) for curve in self.curves]

        def draw(curves: Indices, size: int) -> Vector:
            drawn = [self.noises.each[at].draw(mean[at], size=size, rng=generators[at]) for at in curves.tolist()]
            return np.stack(drawn)

        return draw


def batch_of(curves: Sequence[Curve], noises: Sequence[Noise]) -> Batch:
    """Put curves on the same scales, with noises of one kind, side by side."""
    levels = Levels(
        np.array([curve.levels.low for curve in curves], dtype=np.float64),
        np.array([curve.levels.high for curve in curves], dtype=np.float64),
    )
    return Batch(tuple(curves), side_by_side(noises), np.stack([curve.y for curve in curves]), levels)
