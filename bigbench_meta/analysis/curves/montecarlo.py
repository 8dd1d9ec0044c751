"""Monte Carlo p-values that stop early and do not depend on the order of the work."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import special

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Indices = NDArray[np.int64]

# Exceedances after which the search for a small p-value is given up: p is then known to about 1/sqrt(20) of itself.
EXCEEDANCES = 20
# Of the draws of a test, the share where the answer hangs on more than one p-value and this one can at most confirm it.
_SIDE_SHARE = 5
# Fewer draws cannot reach p = 0.05.
_FEWEST = 19
# Draws per stage; the cap is the caller's. Most curves end in the first stage.
_STAGES = (39, 160)
# Halvings that place the end of an interval to a billionth.
_HALVINGS = 40
# Statistics that differ by rounding alone count as tied, and a tie counts against the finding.
_TIE = 1e-9


class Sampling(NamedTuple):
    """How nulls are drawn: the most draws of one test, and the seed of the analysis."""

    draws: int
    seed: int


def side_draws(draws: int) -> int:
    """Return the most draws of a test that can only confirm what another decides: a fifth, and 19 at least.

    Examples
    --------
    >>> side_draws(999), side_draws(99), side_draws(19)
    (199, 19, 19)
    """
    return max((draws + 1) // _SIDE_SHARE - 1, _FEWEST)


class PValue(NamedTuple):
    """A Monte Carlo p-value, the draws it rests on, and how many of them were at least as large as the observation."""

    p: float
    draws: int
    large: int = 0

    @property
    def error(self) -> float:
        """Monte Carlo standard error of p, ``sqrt(p (1 - p) / draws)``; NaN where there is no p."""
        return float(np.sqrt(self.p * (1.0 - self.p) / self.draws)) if self.draws else np.nan

    def more(self, large: int, draws: int) -> PValue:
        """Add draws that were made later: (b + 1)/(m + 1) over all of them."""
        total, exceeding = self.draws + draws, self.large + large
        return PValue((exceeding + 1) / (total + 1), total, exceeding)


def curve_rng(seed: int, *key: Hashable) -> np.random.Generator:
    """Return the generator of one curve and purpose: it depends on the seed and the key, not on order or selection.

    Examples
    --------
    >>> int(curve_rng(1, "task", "trend").integers(1000)) == int(curve_rng(1, "task", "trend").integers(1000))
    True
    """
    digest = hashlib.blake2b("\x1f".join(str(part) for part in key).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, int.from_bytes(digest, "big")])))


def sequential_pvalues(
    observed: Vector, simulate: Callable[[Indices, int], Vector], *, draws: int, least: float = -np.inf
) -> list[PValue]:
    """Return the p-value of each observation against draws of its null, stopping once it is clearly large.

    Parameters
    ----------
    observed : (C,) statistics; large values speak against the null.
    simulate : called with the positions of some observations and a number, returns (positions, number) fresh draws of
        their statistics under the null.
    draws : the most draws that are made of each.
    least : the smallest value that the statistic can take: whoever has it has p = 1, and nothing is drawn.

    Returns
    -------
    list of PValue
        NaN where ``observed`` is NaN. With b of m draws at least as large, p = (b + 1)/(m + 1) if all m = ``draws`` were
        made [1]_; if the 20th such draw came as draw l, p = 20/l, which is exact in the same sense [2]_.

    References
    ----------
    .. [1] Phipson, B., Smyth, G. K. (2010). Permutation p-values should never be zero.
    .. [2] Besag, J., Clifford, P. (1991). Sequential Monte Carlo p-values. Biometrika 78.

    Examples
    --------
    >>> sequential_pvalues(np.array([1.0, 0.0]), lambda at, size: np.zeros((len(at), size)), draws=99)
    [PValue(p=0.01, draws=99, large=0), PValue(p=1.0, draws=20, large=20)]
    """
    found = [PValue(np.nan, 0, 0)] * len(observed)
    limit = at_least(observed)
    for at in np.flatnonzero(limit <= least).tolist():
        found[at] = PValue(1.0, EXCEEDANCES, EXCEEDANCES)
    open_ones = np.flatnonzero(limit > least)
    large = np.zeros(len(observed), dtype=np.int64)
    made = 0
    for stage in (*_STAGES, draws):
        size = min(stage, draws - made)
        if size <= 0 or not len(open_ones):
            break
        running = large[open_ones, None] + np.cumsum(simulate(open_ones, size) >= limit[open_ones, None], axis=1)
        for at, counts in zip(open_ones.tolist(), running, strict=True):
            if counts[-1] >= EXCEEDANCES:
                last = made + int(np.searchsorted(counts, EXCEEDANCES)) + 1
                found[at] = PValue(EXCEEDANCES / last, last, EXCEEDANCES)
        large[open_ones] = running[:, -1]
        open_ones = open_ones[running[:, -1] < EXCEEDANCES]
        made += size
    for at in open_ones.tolist():
        found[at] = PValue(float(large[at] + 1) / (made + 1), made, int(large[at]))
    return found


def bounds(large: Indices, draws: Indices, *, risk: float) -> tuple[Vector, Vector]:
    """Return the ends of a confidence sequence for p-values of which ``large`` of so many draws are known.

    All m after which one may look hold the true p at once with probability 1 - ``risk``: those p for which
    ``(m + 1) B(b; m, p) > risk``, B the binomial probability [1]_, [2]_. No draw at all: 0 and 1.

    References
    ----------
    .. [1] Robbins, H. (1970). Statistical methods related to the law of the iterated logarithm. Ann. Math. Stat. 41.
    .. [2] Lai, T. L. (1976). On confidence sequences. Ann. Stat. 4.

    Examples
    --------
    >>> low, high = bounds(np.array([0, 20]), np.array([999, 39]), risk=0.01)
    >>> low.round(4).tolist(), high.round(4).tolist()
    ([0.0, 0.2341], [0.0115, 0.7799])
    """
    b, m = np.asarray(large, dtype=np.float64), np.asarray(draws, dtype=np.float64)
    constant = (
        np.log(m + 1) + special.gammaln(m + 1) - special.gammaln(b + 1) - special.gammaln(m - b + 1) - np.log(risk)
    )

    def inside(p: Vector) -> NDArray[np.bool_]:
        return np.asarray(constant + special.xlogy(b, p) + special.xlog1py(m - b, -p) > 0)

    ends = []
    middle = np.divide(b, m, out=np.full(len(m), 0.5), where=m > 0)
    for outer in (np.zeros(len(m)), np.ones(len(m))):
        out, within = outer.copy(), middle.copy()
        for _ in range(_HALVINGS):
            half = (out + within) / 2
            holds = inside(half)
            out, within = np.where(holds, out, half), np.where(holds, half, within)
        ends.append(np.where(inside(outer), outer, within))
    return ends[0], ends[1]


def at_least(observed: Vector) -> Vector:
    """Return the value from which on a draw counts as large as the observation: equal but for rounding counts.

    Examples
    --------
    >>> bool(at_least(np.array([2.0]))[0] < 2.0)
    True
    """
    return np.asarray(observed - _TIE * np.maximum(1.0, np.abs(observed)))
