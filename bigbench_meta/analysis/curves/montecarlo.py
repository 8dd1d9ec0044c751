"""Monte Carlo p-values that stop early and do not depend on the order of the work."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from numpy.typing import NDArray

    from bigbench_meta.analysis.curves.noise import Noise

    Vector = NDArray[np.float64]

# Exceedances after which the search for a small p-value is given up: p is then known to about 1/sqrt(20) of itself.
EXCEEDANCES = 20
# Of the draws of a test, the share where the answer hangs on more than one p-value and this one can at most confirm it.
_SIDE_SHARE = 5
# Fewer draws cannot reach p = 0.05.
_FEWEST = 19
# Draws per stage; the cap is the caller's. Most curves end in the first stage.
_STAGES = (39, 160)
# Statistics that differ by rounding alone count as tied, and a tie counts against the finding.
_TIE = 1e-9


class Sampling(NamedTuple):
    """How the null of one curve is drawn: its noise, the most draws of one test, and the seed of the analysis."""

    noise: Noise
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
    """A Monte Carlo p-value and the number of draws it rests on."""

    p: float
    draws: int


def curve_rng(seed: int, *key: Hashable) -> np.random.Generator:
    """Return the generator of one curve and purpose: it depends on the seed and the key, not on order or selection.

    Examples
    --------
    >>> int(curve_rng(1, "task", "trend").integers(1000)) == int(curve_rng(1, "task", "trend").integers(1000))
    True
    """
    digest = hashlib.blake2b("\x1f".join(str(part) for part in key).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, int.from_bytes(digest, "big")])))


def sequential_pvalue(observed: float, simulate: Callable[[int], Vector], *, draws: int) -> PValue:
    """Return the p-value of ``observed`` against draws of the null, stopping once it is clearly large.

    Parameters
    ----------
    observed : the statistic; large values speak against the null.
    simulate : returns that many fresh draws of the statistic under the null.
    draws : the most draws that are made.

    Returns
    -------
    PValue
        NaN if ``observed`` is NaN. With b of m draws at least as large, p = (b + 1)/(m + 1) if all m = ``draws`` were
        made [1]_; if the 20th such draw came as draw l, p = 20/l, which is exact in the same sense [2]_.

    References
    ----------
    .. [1] Phipson, B., Smyth, G. K. (2010). Permutation p-values should never be zero.
    .. [2] Besag, J., Clifford, P. (1991). Sequential Monte Carlo p-values. Biometrika 78.

    Examples
    --------
    >>> sequential_pvalue(1.0, lambda size: np.zeros(size), draws=99)
    PValue(p=0.01, draws=99)
    >>> sequential_pvalue(0.0, lambda size: np.zeros(size), draws=99)
    PValue(p=1.0, draws=20)
    """
    if not np.isfinite(observed):
        return PValue(np.nan, 0)
    made, exceedances = 0, 0
    for stage in (*_STAGES, draws):
        size = min(stage, draws - made)
        if size <= 0:
            break
        large = simulate(size) >= observed - _TIE * max(1.0, abs(observed))
        running = exceedances + np.cumsum(large)
        if running[-1] >= EXCEEDANCES:
            last = made + int(np.searchsorted(running, EXCEEDANCES)) + 1
            return PValue(EXCEEDANCES / last, last)
        made, exceedances = made + size, int(running[-1])
    return PValue((exceedances + 1) / (made + 1), made)
