"""Every field of an odds ratio, the edges of its rules and the words of its refusals; expected values by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from scipy.stats.contingency import odds_ratio

from bigbench_meta.analysis.tasks.odds import conditional_odds_ratio, mantel_haenszel, sample_odds_ratio
from bigbench_meta.errors import AnalysisError

BY_KIND = [[[63, 2], [86, 16]], [[0, 2], [9, 31]]]
EXACT, MID_P = "conditional, exact", "conditional, mid-p"
POOLED = "Mantel-Haenszel, Robins-Breslow-Greenland"


@pytest.mark.parametrize(
    ("function", "tables", "options", "fields"),
    [
        (conditional_odds_ratio, BY_KIND, {}, (EXACT, 0.95, 63 + 2 + 86 + 16 + 2 + 9 + 31, 2, "")),
        (conditional_odds_ratio, [[5, 3], [2, 8]], {"level": 0.8, "mid_p": True}, (MID_P, 0.8, 18, 1, "")),
        (conditional_odds_ratio, [[5, 0], [3, 4]], {"level": 0.9}, (EXACT, 0.9, 12, 1, "at_boundary")),
        (conditional_odds_ratio, [[5, 0], [3, 0]], {"level": 0.9}, (EXACT, 0.9, 0, 0, "no_stratum_with_both_groups")),
        (mantel_haenszel, [[30, 70], [33, 67]], {}, (POOLED, 0.95, 200, 1, "")),
        (mantel_haenszel, [[5, 0], [3, 0]], {"level": 0.9}, (POOLED, 0.9, 0, 0, "no_stratum_with_both_groups")),
        (mantel_haenszel, [[20, 0], [30, 40]], {"level": 0.9}, (POOLED, 0.9, 90, 1, "at_boundary")),
        (mantel_haenszel, [[0, 20], [40, 30]], {"level": 0.9}, (POOLED, 0.9, 90, 1, "at_boundary")),
        (mantel_haenszel, [[3, 2], [2, 3]], {"level": 0.9}, (POOLED, 0.9, 10, 1, "too_few_units")),
    ],
)
def test_fields(function, tables, options, fields):
    """Method, level, counts of units and strata that carry information, and the reason, on every way out."""
    found = function(tables, **options)
    assert (found.method, found.level, found.n, found.n_strata, found.reason) == fields
    method, reason = fields[0], fields[-1]
    undefined = [math.isnan(value) for value in (found.estimate, found.low, found.high, found.p_value)]
    assert (
        undefined
        == {
            "": [False] * 4,
            "too_few_units": [False, True, True, True],
            "no_stratum_with_both_groups": [True] * 4,
            "at_boundary": [True, not method.startswith("cond"), True, False],
        }[reason]
    )


def test_limits_at_each_end():
    """At the top of its range a count has a lower limit only, at the bottom an upper one only: mirror images."""
    top, bottom = conditional_odds_ratio([[5, 0], [3, 4]]), conditional_odds_ratio([[0, 5], [4, 3]])
    # The one table as extreme: C(7,3)/C(12,4)... P_psi(S >= 5) = .025 for the lower limit; the mirror has 1/low.
    assert top.low * bottom.high == pytest.approx(1, rel=1e-9)
    assert math.isnan(bottom.low)
    assert top.p_value == pytest.approx(bottom.p_value)
    # upper tail: C(5,5) C(7,3) / C(12,8) = 35/495
    assert top.p_value == pytest.approx(2 * 35 / 495)


def test_p_value_is_at_most_one():
    """Twice the smaller tail of a table in the middle is more than one, and is reported as one."""
    assert conditional_odds_ratio([[5, 5], [5, 5]]).p_value == 1.0


def test_pooled_test_by_hand():
    """Cochran-Mantel-Haenszel without correction, and the interval of Robins, Breslow and Greenland, from their formulas."""
    tables = np.array([[[20, 10], [12, 18]], [[15, 25], [9, 31]]], float)
    (a, b), (c, d) = tables[:, 0].T, tables[:, 1].T
    n = tables.sum(axis=(1, 2))
    expected = (a + b) * (a + c) / n
    variance = (a + b) * (c + d) * (a + c) * (b + d) / (n**2 * (n - 1))
    chi2 = (a.sum() - expected.sum()) ** 2 / variance.sum()
    r, s, p, q = a * d / n, b * c / n, (a + d) / n, (b + c) / n
    log_variance = (
        (p * r).sum() / (2 * r.sum() ** 2)
        + (p * s + q * r).sum() / (2 * r.sum() * s.sum())
        + (q * s).sum() / (2 * s.sum() ** 2)
    )
    half = stats.norm.ppf(0.95) * math.sqrt(log_variance)
    found = mantel_haenszel(tables.astype(int), level=0.9)
    assert found.estimate == pytest.approx(r.sum() / s.sum())
    assert found.p_value == pytest.approx(stats.chi2.sf(chi2, 1))
    assert (found.low, found.high) == pytest.approx(
        (found.estimate * math.exp(-half), found.estimate * math.exp(half)), rel=1e-6
    )


@pytest.mark.parametrize(
    ("table", "enough"),
    [
        ([[5, 5], [5, 5]], True),  # expected 5, range 0 to 10: exactly 5 from both ends
        ([[4, 5], [5, 5]], False),  # expected 81/19 = 4.3 above 0
        ([[9, 1], [40, 50]], False),  # expected 4.9 of at most 10
        ([[9, 1], [50, 40]], False),  # expected 5.9, 4.1 below the most, 10
        ([[50, 40], [9, 1]], False),  # expected 53.1, 4.1 above the least, 49
    ],
)
def test_rule_of_mantel_and_fleiss(table, enough):
    """The expected count must be at least 5 away from both ends of the range that the margins allow."""
    assert (mantel_haenszel(table).reason == "") is enough


@pytest.mark.parametrize("empty", range(4))
def test_sample_odds_ratio_of_an_empty_cell(empty):
    """Any empty cell leaves the sample odds ratio undefined; otherwise it is ad / bc."""
    cells = [2, 3, 5, 7]
    assert sample_odds_ratio(np.reshape(cells, (2, 2))) == pytest.approx(14 / 15)
    cells[empty] = 1  # one unit is enough
    (a, b, c, d) = cells
    assert sample_odds_ratio(np.reshape(cells, (2, 2))) == pytest.approx(a * d / (b * c))
    cells[empty] = 0
    assert math.isnan(sample_odds_ratio(np.reshape(cells, (2, 2))))


def test_large_tables_have_limits():
    """Odds ratios of millions are found, not cut off by the search."""
    table = [[4000, 1], [1, 4000]]
    found = conditional_odds_ratio(table)
    assert 5e5 < found.low < found.estimate < found.high < 1e9
    assert found.estimate == pytest.approx(odds_ratio(table).statistic, rel=1e-4)  # scipy's, an independent search


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.float32, np.uint64])
def test_counts_of_any_type(kind):
    """Products of counts are those of whole numbers: 16 x 16 does not vanish in eight bits, and equal rows have odds ratio 1."""
    table = np.array([[16, 16], [16, 16]], kind)
    assert sample_odds_ratio(table) == 1.0
    assert mantel_haenszel(table).estimate == pytest.approx(1.0)
    assert mantel_haenszel(table).n == 64
    assert conditional_odds_ratio(table).estimate == pytest.approx(1.0)


def test_strata_that_say_nothing():
    """Each of the four empty margins alone makes a stratum say nothing."""
    for table in ([[0, 0], [3, 4]], [[3, 4], [0, 0]], [[0, 3], [0, 4]], [[3, 0], [4, 0]]):
        assert conditional_odds_ratio(table).n_strata == 0
        assert mantel_haenszel([table, [[20, 10], [12, 18]]]).n_strata == 1


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (BY_KIND, "sample_odds_ratio: expected one 2 x 2 table, got 2"),
        ([[1, 2]], "odds ratio: expected counts of shape (2, 2) or (K, 2, 2), got (1, 2)"),
        ([1, 2], "odds ratio: expected counts of shape (2, 2) or (K, 2, 2), got (2,)"),
        ([[[1, 2, 3], [1, 2, 3]]], "odds ratio: expected counts of shape (2, 2) or (K, 2, 2), got (1, 2, 3)"),
        ([[1, 2], [3, -1]], "odds ratio: counts must be whole numbers of at least 0"),
        ([[1, 2], [3, 0.5]], "odds ratio: counts must be whole numbers of at least 0"),
    ],
)
def test_words_of_refusals(tables, message):
    """What was expected, and what was found, word by word."""
    with pytest.raises(AnalysisError) as caught:
        sample_odds_ratio(tables)
    assert str(caught.value) == message
