"""Truths for the law with known target lengths: points by the law itself, and outputs drawn token by token.

`validate_tables` simulates them. The unit is a point, one model at one length; a setting is one task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bigbench_meta.analysis.curves.laws import DEFAULT_BOUND
from bigbench_meta.analysis.tasks.length_law import effective_length, length_law

if TYPE_CHECKING:
    from collections.abc import Callable

    Rng = np.random.Generator
    Found = tuple[dict[str, float], dict[str, bool | None]]


class Grid(NamedTuple):
    """Target lengths, number of scales (3e7 to 1e11), items behind a point, and their overdispersion rho."""

    lengths: tuple[int, ...]
    n_scales: int
    n_items: int
    rho: float

    def __str__(self) -> str:
        """Say it in the name of a setting."""
        where = f"{len(self.lengths)} lengths, {self.n_scales} scales, {self.n_items} items"
        return where + (f", rho {self.rho:g}" if self.rho else "")


FEW = Grid((1, 2, 5), 5, 200, 0.0)
GRIDS = (FEW, FEW._replace(rho=0.01), Grid(tuple(range(1, 11)), 9, 1000, 0.0), Grid((2, 5), 4, 50, 0.0))


def law(grid: Grid, *, exponent: float, power: float) -> Callable[[Rng], Found]:
    """Return a drawer of both tests of the law, with one nat a token at 1e8 parameters."""
    scales = np.tile(np.geomspace(3e7, 1e11, grid.n_scales), len(grid.lengths))
    lengths = np.repeat(np.array(grid.lengths, np.float64), grid.n_scales)
    n_items = np.full(len(scales), float(grid.n_items))
    mean = np.exp(-(lengths**power) * (scales / 1e8) ** -exponent)

    def draw(rng: Rng) -> Found:
        # Not by the noise of curves, which holds success half an item off 0: here it may be far below one item.
        success = rng.beta(mean * (1 / grid.rho - 1), (1 - mean) * (1 / grid.rho - 1)) if grid.rho else mean
        accuracy = rng.binomial(grid.n_items, success) / grid.n_items
        found = length_law(accuracy, lengths=lengths, scales=scales, n_items=n_items)
        p = {
            f"exponent at most {DEFAULT_BOUND:g}": found.exponent.p_value,
            "length power equal to 1": found.power.p_value,
        }
        if found.reason:
            return p, {"exponent": None, "length power": None}
        return p, {
            "exponent": found.exponent.low <= exponent <= found.exponent.high,
            "length power": found.power.low <= power <= found.power.high,
        }

    return draw


def effective(length: int, *, n_scales: int, n_items: int, together: float) -> Callable[[Rng], Found]:
    """Return a drawer of the effective length of outputs of ``length`` tokens; both scores are of the same outputs.

    ``together`` is the chance that all tokens of an output share one fate: 0 is the paper's assumption.
    """
    success = np.linspace(0.3, 0.97, n_scales)

    def draw(rng: Rng) -> Found:
        own = rng.random((n_scales, n_items, length))
        one = np.broadcast_to(rng.random((n_scales, n_items, 1)), own.shape)
        right = np.where(rng.random((n_scales, n_items, 1)) < together, one, own) < success[:, None, None]
        found = effective_length(
            right.all(axis=2).mean(axis=1),
            per_token=right.mean(axis=(1, 2)),
            length=length,
            n_items=np.full(n_scales, float(n_items)),
        )
        holds = None if found.reason or together else found.length.low <= length <= found.length.high
        return {"effective length equal to length": found.length.p_value}, {"effective length": holds}

    return draw
