"""Odds ratios of 2 x 2 tables, alone or in strata: sample, Mantel-Haenszel and exact conditional.

Vocabulary
----------
table
    Counts ``[[a, b], [c, d]]``: rows are cases (claimed, sharp) and the others, columns are units inside and outside a
    group (of metrics). Every unit (usually a task) is counted once.
stratum
    One such table; units are compared within strata only. Several strata form an array of shape (K, 2, 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from bigbench_meta.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

# Odds ratios are searched for between exp(-60) and exp(60): beyond any that finite tables of tasks can support.
_LOG_LIMIT = 60.0
# Least distance of the expected count from both ends of its range for large-sample inference (Mantel and Fleiss 1980).
_MANTEL_FLEISS = 5.0
# A p-value too small for a float is given as the smallest normal one: it is below that, never 0.
_SMALLEST_P = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class OddsRatio:
    """An odds ratio with interval and p-value; NaN with a ``reason`` where something is undefined.

    ``low`` is NaN where the interval is not bounded below, ``high`` where it is not bounded above. ``n`` and
    ``n_strata`` count the units and strata that carry information: those in which both groups and both rows occur.
    """

    estimate: float
    low: float
    high: float
    p_value: float
    method: str
    level: float
    n: int
    n_strata: int
    reason: str


def sample_odds_ratio(table: ArrayLike) -> float:
    """Return ad / bc of one 2 x 2 table, NaN if any cell is zero.

    Examples
    --------
    >>> round(sample_odds_ratio([[63, 4], [95, 47]]), 2)
    7.79
    """
    strata = _strata_iv(table)
    if len(strata) != 1:
        raise AnalysisError(f"sample_odds_ratio: expected one 2 x 2 table, got {len(strata)}")
    (a, b), (c, d) = strata[0].tolist()
    return float(a * d / (b * c)) if min(a, b, c, d) > 0 else float("nan")


def conditional_odds_ratio(tables: ArrayLike, *, level: float = 0.95, mid_p: bool = False) -> OddsRatio:
    """Exact conditional inference on the odds ratio common to K independent strata, both margins of each fixed.

    Parameters
    ----------
    tables
        Counts of shape (2, 2) or (K, 2, 2). The unit of independence is whatever was counted, usually the task.
    level
        Confidence level of the central interval.
    mid_p
        Count the observed table half in each tail: shorter intervals and smaller p-values that hold their level only
        on average. The default is exact: coverage is at least ``level`` for any number of units.

    Returns
    -------
    OddsRatio
        ``estimate`` is the conditional maximum likelihood estimate, ``p_value`` twice the smaller tail at odds ratio 1
        (at most 1), so that it agrees with the central interval.

    Notes
    -----
    Given its margins, the count ``a_k`` of stratum k is noncentral hypergeometric with odds ratio psi, and the sum
    S = sum_k a_k, sufficient for psi, has P(S = s) proportional to c_s psi^s where c is the convolution of the strata's
    hypergeometric weights (Gart 1970; Mehta, Patel and Gray 1985). The estimate solves E_psi(S) = s; the limits solve
    P_psi(S >= s) = alpha/2 and P_psi(S <= s) = alpha/2 with alpha = 1 - level. Where S stands at an end of its range
    the estimate is 0 or infinite and reported as NaN, reason ``at_boundary``, with the limit that exists.

    Examples
    --------
    >>> result = conditional_odds_ratio([[63, 4], [95, 47]])
    >>> round(result.estimate, 2), round(result.low, 2), round(result.high, 1)
    (7.73, 2.63, 31.0)
    """
    strata = _informative(_strata_iv(tables))
    method = "conditional, mid-p" if mid_p else "conditional, exact"
    nan = float("nan")
    n, n_strata = int(strata.sum()), len(strata)
    if n_strata == 0:
        return OddsRatio(nan, nan, nan, nan, method, level, 0, 0, "no_stratum_with_both_groups")
    support, log_weights = _null_of_sum(strata)
    observed = int(strata[:, 0, 0].sum())
    at = observed - int(support[0])

    def at_odds(log_psi: float) -> tuple[float, float, float]:
        """Lower tail, upper tail (both with the observed table) and mean of S."""
        logs = log_weights + support * log_psi
        probabilities = np.exp(logs - np.logaddexp.reduce(logs))
        own = float(probabilities[at]) * (0.5 if mid_p else 1.0)
        mean = float((probabilities * support).sum())  # not by BLAS, whose last digits the search would multiply
        return float(probabilities[:at].sum()) + own, float(probabilities[at + 1 :].sum()) + own, mean

    below, above, _ = at_odds(0.0)
    tail = (1.0 - level) / 2.0
    at_bottom, at_top = at == 0, at == len(support) - 1
    low = nan if at_bottom else _solve(lambda x: at_odds(x)[1] - tail)
    high = nan if at_top else _solve(lambda x: at_odds(x)[0] - tail)
    estimate = nan if at_bottom or at_top else _solve(lambda x: at_odds(x)[2] - observed)
    reason = "at_boundary" if at_bottom or at_top else ""
    return OddsRatio(
        estimate, low, high, min(1.0, max(_SMALLEST_P, 2.0 * min(below, above))), method, level, n, n_strata, reason
    )


def mantel_haenszel(tables: ArrayLike, *, level: float = 0.95) -> OddsRatio:
    """Mantel-Haenszel odds ratio common to K strata, with the interval of Robins, Breslow and Greenland (1986).

    The p-value is that of the Cochran-Mantel-Haenszel test without continuity correction. Interval and p-value are
    large-sample ones: `conditional_odds_ratio` is the exact counterpart. NaN where no stratum compares the groups;
    interval and p-value are NaN, reason ``too_few_units``, where the rule of Mantel and Fleiss (1980) fails: the sum
    of expected counts must be at least 5 away from both ends of the range that the margins allow.

    Examples
    --------
    >>> result = mantel_haenszel([[[63, 2], [86, 16]], [[0, 2], [9, 31]]])
    >>> round(result.estimate, 1), round(result.low, 1), round(result.high, 1)
    (4.1, 1.2, 14.7)
    """
    from statsmodels.stats.contingency_tables import StratifiedTable

    strata = _informative(_strata_iv(tables))
    n, n_strata, nan = int(strata.sum()), len(strata), float("nan")
    method = "Mantel-Haenszel, Robins-Breslow-Greenland"
    if n_strata == 0:
        return OddsRatio(nan, nan, nan, nan, method, level, 0, 0, "no_stratum_with_both_groups")
    fitted = StratifiedTable(np.moveaxis(strata.astype(np.float64), 0, -1))
    rows, columns = strata.sum(axis=2)[:, 0], strata.sum(axis=1)[:, 0]
    sizes = strata.sum(axis=(1, 2))
    expected = float((rows * columns / sizes).sum())
    lowest, highest = np.maximum(0, rows + columns - sizes).sum(), np.minimum(rows, columns).sum()
    too_few = min(expected - lowest, highest - expected) < _MANTEL_FLEISS
    p_value = nan if too_few else max(_SMALLEST_P, float(fitted.test_null_odds(correction=False).pvalue))
    concordant, discordant = strata[:, 0, 0] * strata[:, 1, 1], strata[:, 0, 1] * strata[:, 1, 0]
    if not concordant.any() or not discordant.any():
        return OddsRatio(nan, nan, nan, p_value, method, level, n, n_strata, "at_boundary")
    estimate = float(fitted.oddsratio_pooled)
    if too_few:
        return OddsRatio(estimate, nan, nan, nan, method, level, n, n_strata, "too_few_units")
    low, high = fitted.oddsratio_pooled_confint(alpha=1.0 - level)
    return OddsRatio(estimate, float(low), float(high), p_value, method, level, n, n_strata, "")


def _strata_iv(tables: ArrayLike) -> NDArray[np.int64]:
    counts = np.asarray(tables)
    strata = counts[None] if counts.ndim == 2 else counts
    if strata.ndim != 3 or strata.shape[1:] != (2, 2):
        raise AnalysisError(f"odds ratio: expected counts of shape (2, 2) or (K, 2, 2), got {counts.shape}")
    if np.any(strata < 0) or np.any(strata != np.floor(strata)):
        raise AnalysisError("odds ratio: counts must be whole numbers of at least 0")
    return np.asarray(strata, np.int64)


def _informative(strata: NDArray[np.int64]) -> NDArray[np.int64]:
    """Strata in which no margin is empty; the others say nothing about an odds ratio."""
    rows, columns = strata.sum(axis=2), strata.sum(axis=1)
    informative: NDArray[np.bool_] = (rows > 0).all(axis=1) & (columns > 0).all(axis=1)
    return np.compress(informative, strata, axis=0)


def _null_of_sum(strata: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Support of S and the logarithm of its weights c_s, by convolution of the strata in logarithms."""
    first, log_weights = 0, np.zeros(1)
    for (a, b), (c, d) in strata.tolist():
        own = _hypergeometric_log_weights(a + b, c + d, a + c)
        grown = np.full(len(log_weights) + len(own) - 1, -np.inf)
        for shift, weight in enumerate(own):
            part = slice(shift, shift + len(log_weights))
            grown[part] = np.logaddexp(grown[part], log_weights + weight)
        first, log_weights = first + max(0, a - d), grown
    return first + np.arange(len(log_weights), dtype=np.float64), log_weights


@lru_cache(maxsize=4096)
def _hypergeometric_log_weights(first_row: int, second_row: int, first_column: int) -> tuple[float, ...]:
    """Logarithm of C(first_row, x) C(second_row, first_column - x) over the possible x; cached, as strata repeat."""
    from scipy.special import gammaln

    x = np.arange(max(0, first_column - second_row), min(first_row, first_column) + 1)

    def log_choose(n: int, k: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1), np.float64)

    return tuple((log_choose(first_row, x) + log_choose(second_row, first_column - x)).tolist())


def _solve(function: Callable[[float], float]) -> float:
    """Odds ratio at the root of a monotone function of the log odds ratio."""
    from scipy.optimize import brentq

    return float(np.exp(brentq(function, -_LOG_LIMIT, _LOG_LIMIT, xtol=1e-12, rtol=1e-13)))
