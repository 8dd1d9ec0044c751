"""Odds ratios against published figures, scipy, R's documented example and hand-enumerated strata."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.stats import fisher_exact
from scipy.stats.contingency import odds_ratio

from bigbench_meta.analysis.tasks.odds import conditional_odds_ratio, mantel_haenszel, sample_odds_ratio
from bigbench_meta.errors import AnalysisError

BY_KIND = [[[63, 2], [86, 16]], [[0, 2], [9, 31]]]


@pytest.mark.parametrize("table", [[[63, 4], [95, 47]], [[5, 3], [2, 8]], [[1, 9], [11, 3]], [[30, 70], [33, 67]]])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_single_stratum_agrees_with_scipy(table, level):
    """With one stratum, estimate and central exact interval are scipy's (an independent implementation)."""
    theirs = odds_ratio(table, kind="conditional")
    interval = theirs.confidence_interval(confidence_level=level)
    ours = conditional_odds_ratio(table, level=level)
    assert ours.estimate == pytest.approx(theirs.statistic, rel=1e-6)
    assert (ours.low, ours.high) == pytest.approx((interval.low, interval.high), rel=1e-6)
    one_sided = [fisher_exact(table, alternative=side).pvalue for side in ("less", "greater")]
    assert ours.p_value == pytest.approx(min(1.0, 2 * min(one_sided)), rel=1e-9)


def test_strata_against_enumeration():
    """Three small strata: tails, estimate and limits from enumerating every set of tables with the margins."""
    strata = np.array([[[3, 1], [2, 4]], [[2, 2], [1, 3]], [[4, 1], [3, 2]]])
    observed = strata[:, 0, 0].sum()
    weights: dict[int, float] = {}
    ranges = []
    for (a, b), (c, d) in strata.tolist():
        ranges.append(
            [
                (x, math.comb(a + b, x) * math.comb(c + d, a + c - x))
                for x in range(max(0, a - d), min(a + b, a + c) + 1)
            ]
        )
    for combination in itertools.product(*ranges):
        total = sum(x for x, _ in combination)
        weights[total] = weights.get(total, 0.0) + math.prod(w for _, w in combination)

    def tail(psi, keep):
        whole = sum(w * psi**s for s, w in weights.items())
        return sum(w * psi**s for s, w in weights.items() if keep(s)) / whole

    ours = conditional_odds_ratio(strata)
    upper, lower = tail(1.0, lambda s: s >= observed), tail(1.0, lambda s: s <= observed)
    assert ours.p_value == pytest.approx(min(1.0, 2 * min(upper, lower)), rel=1e-12)
    assert tail(ours.low, lambda s: s >= observed) == pytest.approx(0.025, rel=1e-8)
    assert tail(ours.high, lambda s: s <= observed) == pytest.approx(0.025, rel=1e-8)
    mean = sum(s * w * ours.estimate**s for s, w in weights.items()) / sum(
        w * ours.estimate**s for s, w in weights.items()
    )
    assert mean == pytest.approx(observed, rel=1e-9)


def test_mid_p_is_the_exact_tail_less_half_the_observed_table():
    """Mid-p counts the observed table half: Fisher's one-sided tail minus half its probability, twice."""
    table = [[5, 3], [2, 8]]
    upper = fisher_exact(table, alternative="greater").pvalue
    own = math.comb(8, 5) * math.comb(10, 2) / math.comb(18, 7)
    assert conditional_odds_ratio(table, mid_p=True).p_value == pytest.approx(2 * (upper - own / 2), rel=1e-9)


def test_mantel_haenszel_reproduces_the_published_stratified_figure():
    """JSON 63:2 against 86:16, programmatic 0:2 against 9:31 gives 4.1 (1.2 to 14.7): (63*16/167) / (2*86/167 + 2*9/42)."""
    ours = mantel_haenszel(BY_KIND)
    assert ours.estimate == pytest.approx((63 * 16 / 167) / (2 * 86 / 167 + 2 * 9 / 42))
    assert (round(ours.low, 1), round(ours.high, 1)) == (1.2, 14.7)


def test_exact_interval_is_wider_than_the_large_sample_one_on_the_same_strata():
    """On the claims by kind the exact interval starts lower and ends higher than that of Mantel-Haenszel."""
    exact, large = conditional_odds_ratio(BY_KIND), mantel_haenszel(BY_KIND)
    assert exact.low < large.low < large.high < exact.high


def test_strata_without_both_groups_change_nothing():
    """A stratum with an empty margin carries no information and is not counted."""
    more = [*BY_KIND, [[5, 0], [9, 0]], [[0, 0], [3, 4]]]
    assert conditional_odds_ratio(more) == conditional_odds_ratio(BY_KIND)
    assert mantel_haenszel(more).estimate == pytest.approx(mantel_haenszel(BY_KIND).estimate)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ([[5, 0], [3, 4]], "at_boundary"),
        ([[0, 5], [3, 4]], "at_boundary"),
        ([[5, 0], [3, 0]], "no_stratum_with_both_groups"),
    ],
)
def test_undefined_is_nan_with_a_reason(table, reason):
    """Estimates at the boundary are NaN, never 0 or infinite, and the limit that exists is given."""
    ours = conditional_odds_ratio(table)
    assert math.isnan(ours.estimate)
    assert ours.reason == reason
    if table == [[5, 0], [3, 4]]:
        assert ours.low > 0
        assert math.isnan(ours.high)
    assert math.isnan(sample_odds_ratio(table))


def test_one_unit_gives_no_large_sample_p_value():
    """One claimed unit in a group of one: the chi-square approximation would say p < 1e-5; it is refused instead."""
    ours = mantel_haenszel([[[1, 1], [0, 40]], [[0, 65], [0, 102]]])
    assert math.isnan(ours.p_value)


def test_exact_p_value_holds_its_level():
    """Under the null, at most 5% of stratified exact tests reject at 5% (2,000 simulated sets, 3 standard errors)."""
    rng = np.random.default_rng(11)
    rejected = 0
    for _ in range(2000):
        strata = np.zeros((2, 2, 2), int)
        for k, (n, share, rate) in enumerate([(60, 0.8, 0.4), (20, 0.2, 0.1)]):
            inside, case = rng.random(n) < share, rng.random(n) < rate
            np.add.at(strata[k], (1 - case.astype(int), 1 - inside.astype(int)), 1)
        rejected += conditional_odds_ratio(strata).p_value <= 0.05
    assert rejected / 2000 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 2000)


@pytest.mark.parametrize("wrong", [[[1, 2]], [[1, 2], [3, -1]], [[1.5, 2], [3, 4]]])
def test_bad_tables_are_refused(wrong):
    """Shapes other than 2 x 2, negative or fractional counts are errors that say what was expected."""
    with pytest.raises(AnalysisError, match="odds ratio"):
        conditional_odds_ratio(wrong)


def test_no_p_value_is_zero():
    """Two thousand perfectly split units have p of about 1e-600, which no float holds."""
    table = [[1000, 0], [0, 1000]]
    assert 0 < conditional_odds_ratio(table).p_value < 1e-300
    assert 0 < mantel_haenszel([table, [[999, 1], [1, 999]]]).p_value < 1e-300
