"""Prediction 1 (c): whether the per-token measure improves smoothly, by the exponent of the family itself.

The paper's model lets the loss of a token fall as a power of scale, ``p(N) = exp(-(N / c) ** alpha)``. Its exponent is not
given; here it is the family's own, fitted to the per-token success of the same outputs. What the exponent would be for the
loss of large language models says nothing about a toy ladder or a curve over training compute, so no bound is set on it.

Vocabulary
----------
token success p
    Here the share of the target's tokens that need no edit, ``1 - distance / length``, with the distance capped at the length.
floor
    Token success of the best constant answer, the commonest token at each place. The law is fitted with and without it,
    ``p = floor + (1 - floor) exp(-(N / c) ** alpha)``, and the better fit is kept.
excess of a gap
    What p gains between two neighbouring scales beyond what the law gives that gap, as a share of the law's whole rise.

Rule. *Confirmed*: the excess of every gap is below ``STEP`` with its one-sided 95% bound (intersection-union, no correction).
*Not confirmed*: the excess of some gap is above ``STEP``, with a 5% level over all gaps (Bonferroni). *Undecided*: neither; p does
not rise; or the fitted law is so steep that its whole rise fits between two neighbouring scales, where no data could tell
it from a step. The unit of independence is the item; what training seeds add is not in the interval.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bigbench_meta.experiments.theory.fit import law_fits, law_success
from bigbench_meta.experiments.theory.model import rise_width

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A fifth of the whole rise in one gap beyond the law: with four scales a straight line already gives each gap a third.
STEP = 0.2
# The law takes two parameters; fewer than four scales leave nothing that could contradict it.
MIN_SCALES_OF_A_LAW = 4
_LEVEL = 0.05
_DRAWS = 200


class TokenLaw(NamedTuple):
    """Fit of the law, the gap that departs most from it, and the verdict."""

    exponent: float
    exponent_low: float
    exponent_high: float
    floor: float
    excess: float
    excess_low: float
    excess_high: float
    excess_scale: float
    fitted: NDArray[np.float64]
    verdict: str
    why: str


def token_law(
    scale: NDArray[np.float64],
    success: NDArray[np.float64],
    error: NDArray[np.float64],
    tokens: NDArray[np.float64],
    *,
    floor: float,
    rng: np.random.Generator,
) -> TokenLaw:
    """Judge one curve of token success against its own law.

    Parameters
    ----------
    scale, success, error, tokens
        Shape (M,): scales in ascending order, token success in [0, 1], its standard error, tokens behind it.
    floor
        Token success of the best constant answer, in [0, 1).
    rng
        For the parametric bootstrap of the excess, which draws each point from its normal distribution and fits again.

    Returns
    -------
    TokenLaw
        ``excess`` is the gap with the largest one and ``excess_scale`` the upper end of that gap; the interval is the simultaneous
        95% one. NaN with a reason in ``why`` where there is no law to fit.

    Examples
    --------
    >>> scale = np.logspace(6, 11, 6)
    >>> p = np.exp(-((scale / 1e8) ** -0.3))
    >>> law = token_law(scale, p, np.full(6, 0.005), np.full(6, 5e3), floor=0.0, rng=np.random.default_rng(0))
    >>> law.verdict, round(law.exponent, 2)
    ('confirmed', -0.3)
    """
    from scipy.stats import norm

    blank = np.full(len(scale), np.nan)
    rise = success[-1] - success[0]
    if len(scale) < MIN_SCALES_OF_A_LAW:
        return _no_law(
            blank, f"{len(scale)} scales, and a law of two parameters needs {MIN_SCALES_OF_A_LAW} to be tested"
        )
    if rise <= norm.isf(_LEVEL / 2) * np.hypot(error[0], error[-1]):
        return _no_law(blank, "the per-token measure does not rise from the smallest to the largest scale")
    x = np.log(scale / np.sqrt(scale[0] * scale[-1]))
    floor, beta = _better_floor(x, success, tokens, floor=floor)
    drawn = np.clip(success + error * rng.standard_normal((_DRAWS, len(scale))), 0.0, 1.0)
    again = law_fits(x, _above(drawn, floor), tokens)
    fitted, refitted = (floor + (1 - floor) * law_success(x, b) for b in (beta[None], again))
    excess = _excess(success[None], fitted)[0]
    spread = _excess(drawn, refitted).std(axis=0, ddof=1)
    gaps = len(excess)
    simultaneous, one_sided = norm.isf(_LEVEL / gaps), norm.isf(_LEVEL)
    worst = int(np.argmax(excess))
    low, high = np.quantile(again[:, 1], [0.025, 0.975])
    verdict, why = "undecided", f"the excess of the gap below {scale[worst + 1]:.3g} may be either side of {STEP:g}"
    if (excess - simultaneous * spread > STEP).any():
        verdict = "not confirmed"
        why = f"{excess[worst]:.0%} of the per-token rise comes in the one gap below {scale[worst + 1]:.3g}, beyond the law"
    elif rise_width(min(float(low), -1e-9)) <= np.diff(np.log10(scale)).max():
        why = "the per-token rise fits between two neighbouring scales: a step and a steep law cannot be told apart"
    elif (excess + one_sided * spread < STEP).all():
        verdict, why = "confirmed", f"no gap holds {STEP:.0%} of the per-token rise beyond the law"
    return TokenLaw(
        float(beta[1]), float(low), float(high), floor, float(excess[worst]),
        float(excess[worst] - simultaneous * spread[worst]), float(excess[worst] + simultaneous * spread[worst]),
        float(scale[worst + 1]), fitted[0], verdict, why,
    )  # fmt: skip


def _no_law(blank: NDArray[np.float64], why: str) -> TokenLaw:
    nan = float("nan")
    return TokenLaw(nan, nan, nan, nan, nan, nan, nan, nan, blank, "undecided", why)


def _above(success: NDArray[np.float64], floor: float) -> NDArray[np.float64]:
    return np.clip((success - floor) / (1 - floor), 0.0, 1.0)


def _better_floor(
    x: NDArray[np.float64], success: NDArray[np.float64], tokens: NDArray[np.float64], *, floor: float
) -> tuple[float, NDArray[np.float64]]:
    """The law without a floor and with that of the constant answer: the one with the smaller sum of squares."""
    fits = []
    for one in (0.0, floor):
        beta = law_fits(x, _above(success, one)[None], tokens)[0]
        misfit = float(((success - one - (1 - one) * law_success(x, beta[None])[0]) ** 2).sum())
        fits.append((misfit, one, beta))
    _, best, beta = min(fits, key=lambda fit: fit[0])
    return best, beta


def _excess(success: NDArray[np.float64], fitted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gain of each gap beyond the fit's, over the fit's rise; shape (B, M) -> (B, M - 1)."""
    rise = np.maximum(np.abs(fitted[:, -1:] - fitted[:, :1]), 1e-12)
    return np.asarray((np.diff(success, axis=1) - np.diff(fitted, axis=1)) / rise)
