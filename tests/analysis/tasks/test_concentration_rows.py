"""Rows of the concentration tables in full, on tables small enough to count by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from analysis.tasks.test_curve_concentration import make_curves

from bigbench_meta.analysis.tasks import compare as kernels
from bigbench_meta.analysis.tasks.compare import (
    CONCENTRATION,
    against_null,
    as_concentration,
    compare,
    hill,
    permuted_cases,
    with_q_values,
)
from bigbench_meta.analysis.tasks.concentration import claims_concentration, curves_concentration
from bigbench_meta.analysis.tasks.odds import conditional_odds_ratio, mantel_haenszel
from bigbench_meta.errors import AnalysisError
from bigbench_meta.facts.metrics import metrics

PAIR = "multiple_choice_grade + exact_str_match"


def units_of(*cells: tuple[int, bool, bool, str]) -> tuple[pd.DataFrame, np.ndarray]:
    """Units from (how many, case, inside, stratum)."""
    rows = [cell[1:] for cell in cells for _ in range(cell[0])]
    frame = pd.DataFrame(rows, columns=["case", "inside", "kind"])
    return frame, frame["inside"].to_numpy()


def test_comparison_without_strata():
    """Cases 5 in, 3 out; others 2 in, 8 out: every field of both rows."""
    units, inside = units_of((5, True, True, "x"), (3, True, False, "x"), (2, False, True, "y"), (8, False, False, "y"))
    sample, exact = compare(units, inside, level=0.9)
    counts = {
        "strata": "",
        "cases_in": 5,
        "cases": 8,
        "base_in": 7,
        "base": 18,
        "share_cases": 5 / 8,
        "share_base": 7 / 18,
        "effective_in": 7.0,
        "effective_out": 11.0,
    }
    assert sample == counts | {
        "effect": "sample odds ratio", "estimate": 5 * 8 / (3 * 2), "method": "ad / bc", "n": 18, "n_strata": 1, "reason": "",
    }  # fmt: skip
    theirs = conditional_odds_ratio([[5, 3], [2, 8]], level=0.9)
    assert exact == counts | {
        "effect": "conditional odds ratio", "estimate": theirs.estimate, "low": theirs.low, "high": theirs.high, "level": 0.9,
        "method": "conditional, exact", "p_value": theirs.p_value, "p_method": "exact, twice the smaller tail", "n": 18,
        "n_strata": 1, "reason": "",
    }  # fmt: skip


@pytest.mark.parametrize("empty", [None, 0, 1, 2, 3])
def test_one_empty_cell_leaves_the_sample_odds_ratio_undefined(empty):
    """Whichever cell it is the reason says so; shares are defined, also where the halves are equal, and counts are whole."""
    sizes = [4, 4, 4, 4]
    if empty is not None:
        sizes[empty] = 0
    (a, b, c, d) = sizes
    units, inside = units_of((a, True, True, "x"), (b, True, False, "x"), (c, False, True, "x"), (d, False, False, "x"))
    sample, _ = compare(units, inside, level=0.9)
    assert sample["reason"] == ("" if empty is None else "empty_cell")
    assert math.isnan(sample["estimate"]) == (empty is not None)
    assert (sample["share_cases"], sample["share_base"]) == (a / (a + b), (a + c) / sum(sizes))
    assert [type(sample[name]) for name in ("cases_in", "cases", "base_in", "base", "n")] == [int] * 5


def test_comparison_within_strata():
    """The same units in two strata: Mantel-Haenszel first, then the exact one, over tables by stratum."""
    units, inside = units_of(
        (5, True, True, "a"), (3, True, False, "a"), (2, False, True, "a"), (8, False, False, "a"),
        (4, True, True, "b"), (1, True, False, "b"), (6, False, True, "b"), (7, False, False, "b"),
    )  # fmt: skip
    tables = [[[5, 3], [2, 8]], [[4, 1], [6, 7]]]
    pooled, exact = compare(units.assign(half="h"), inside, level=0.8, strata=["kind", "half"])
    for row, theirs, effect, p_method in (
        (pooled, mantel_haenszel(tables, level=0.8), "Mantel-Haenszel odds ratio", "Cochran-Mantel-Haenszel"),
        (exact, conditional_odds_ratio(tables, level=0.8), "conditional odds ratio", "exact, twice the smaller tail"),
    ):
        # Weights 7 * 11 / 18 and 10 * 8 / 18: sum(w)^2 / sum(w^2 / n) inside and outside.
        assert (row.pop("effective_in"), row.pop("effective_out")) == pytest.approx(
            (157**2 / (77**2 / 7 + 80**2 / 10), 157**2 / (77**2 / 11 + 80**2 / 8))
        )
        assert row == {
            "strata": "kind x half", "cases_in": 9, "cases": 13, "base_in": 17, "base": 36, "share_cases": 9 / 13,
            "share_base": 17 / 36, "effect": effect, "estimate": theirs.estimate, "low": theirs.low, "high": theirs.high,
            "level": 0.8, "method": theirs.method, "p_value": theirs.p_value, "p_method": p_method, "n": 36, "n_strata": 2,
            "reason": "",
        }  # fmt: skip


def test_tables_of_strata():
    """One table of whole numbers a stratum, in order of its name, and no other; one of zeros where there is no unit."""
    units, inside = units_of((2, True, False, "b"), (3, False, True, "a"), (1, True, True, "a"), (4, False, False, "b"))
    tables = kernels._tables(units, inside, ["kind"])
    assert (tables.tolist(), tables.dtype) == ([[[1, 0], [3, 0]], [[0, 2], [0, 4]]], np.int64)
    tables = kernels._tables(units.iloc[:0], inside[:0], ())
    assert (tables.tolist(), tables.dtype) == ([[[0, 0], [0, 0]]], np.int64)


def test_comparison_of_nothing():
    """Without a case, and without any unit, shares are undefined, and the reason says why."""
    units, inside = units_of((2, False, True, "x"), (3, False, False, "x"))
    sample, exact = compare(units, inside, level=0.95)
    assert math.isnan(sample["share_cases"])
    assert (sample["share_base"], sample["reason"], exact["reason"]) == (
        2 / 5,
        "empty_cell",
        "no_stratum_with_both_groups",
    )
    nobody, _ = compare(units.iloc[:0], inside[:0], level=0.95)
    assert (nobody["base"], nobody["cases"]) == (0, 0)
    assert math.isnan(nobody["share_base"])
    assert math.isnan(nobody["share_cases"])


def test_null_by_hand():
    """Quantiles by inverse of the empirical distribution; ties are extreme; p = (b + 1) / (m + 1) in either tail."""
    null = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    upper = against_null(0.9, null, larger=True, level=0.8)
    assert upper == {
        "estimate": 0.9, "level": 0.8, "method": "permutation, 10 draws", "p_value": 3 / 11,
        "p_method": "(b + 1) / (m + 1), upper tail", "null_median": 0.5, "null_low": 0.1, "null_high": 0.9, "reason": "",
    }  # fmt: skip
    lower = against_null(0.2 + 1e-13, null, larger=False, level=0.5)
    assert (lower["p_value"], lower["p_method"]) == (3 / 11, "(b + 1) / (m + 1), lower tail")
    assert (lower["null_low"], lower["null_high"]) == (0.3, 0.8)
    assert against_null(0.9 + 1e-13, null, larger=True, level=0.5)["p_value"] == 3 / 11
    assert against_null(0.9 + 1e-11, null, larger=True, level=0.5)["p_value"] == 2 / 11
    assert against_null(0.2 - 1e-11, null, larger=False, level=0.5)["p_value"] == 2 / 11
    assert against_null(5.0, null, larger=True, level=0.5)["p_value"] == 1 / 11
    # a distance of 1e-12 itself is a tie
    assert against_null(1e-12, np.zeros(1), larger=True, level=0.5)["p_value"] == 1.0
    assert against_null(-1e-12, np.zeros(1), larger=False, level=0.5)["p_value"] == 1.0


def test_permutation_of_no_case():
    """Two rows that say so, with their units counted."""
    units = pd.DataFrame({"metric": ["a", "b", "c"], "case": False})
    top, number = permuted_cases(units, np.array([0, 0, 1]), rng=np.random.default_rng(0), draws=9, level=0.95)
    shared = {"cases": 0, "base": 3, "n": 3, "n_strata": 2, "reason": "no_case", "method": "permutation"}
    assert {name: value for name, value in top.items() if name != "estimate"} == shared | {
        "metrics": "the two metrics with most cases", "effect": "share of cases on the top two",
    }  # fmt: skip
    assert {name: value for name, value in number.items() if name != "estimate"} == shared | {
        "metrics": "all", "effect": "effective number of metrics",
    }  # fmt: skip
    assert math.isnan(top["estimate"])
    assert math.isnan(number["estimate"])


@pytest.mark.parametrize("block", [10_000_000, 1, 40])
def test_permutation_against_enumeration(monkeypatch, block):
    """Three cases among six units in two groups: every arrangement counted, drawn in blocks of any size."""
    monkeypatch.setattr(kernels, "_BLOCK", block)
    metric = ["b", "a", "a", "c", "b", "a"]
    group = np.array([7, 3, 7, 3, 3, 7])
    case = [True, True, False, False, True, False]  # one case in group 7, two in group 3
    units = pd.DataFrame({"metric": metric, "case": case})
    values = []
    for first in itertools.combinations([0, 2, 5], 1):
        for second in itertools.combinations([1, 3, 4], 2):
            counts = np.array([sum(metric[i] == name for i in (*first, *second)) for name in "abc"])
            share = np.sort(counts)[-2:].sum() / 3
            p = counts[counts > 0] / 3
            values.append((share, math.exp(-(p * np.log(p)).sum())))
    draws = 3000
    top, number = permuted_cases(units, group, rng=np.random.default_rng(5), draws=draws, level=0.9)
    # observed: b twice, a once: share 1, effective number exp(H(2/3, 1/3))
    assert (top["estimate"], top["cases"], top["cases_in"], top["base_in"], top["base"], top["n"], top["n_strata"]) == (
        1.0, 3, 3, 5, 6, 6, 2,
    )  # fmt: skip
    assert (top["share_cases"], top["share_base"]) == (1.0, 5 / 6)
    assert top["metrics"] == "the two metrics with most cases (here a + b)"
    assert (number["metrics"], number["cases"], number["n_strata"]) == ("all", 3, 2)
    assert number["estimate"] == pytest.approx(math.exp(-(2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3))))
    expected_top = np.mean([share >= 1.0 - 1e-9 for share, _ in values])
    expected_number = np.mean([value <= number["estimate"] + 1e-9 for _, value in values])
    # 4 standard errors of a share of 3,000 draws
    assert top["p_value"] == pytest.approx(expected_top, abs=0.037)
    assert number["p_value"] == pytest.approx(expected_number, abs=0.037)
    assert top["method"] == number["method"] == f"permutation, {draws} draws"


@pytest.mark.parametrize("block", [10_000_000, 1, 200])
def test_draws_are_those_of_a_plain_walk(monkeypatch, block):
    """Each draw puts the cases of a group in the order of one uniform number per unit, units taken in order of group and place."""
    monkeypatch.setattr(kernels, "_BLOCK", block)
    units, draws = 60, 7
    made = np.random.default_rng(8)
    case, metric, group = made.random(units) < 0.4, made.integers(0, 4, units), made.integers(5, 9, units)
    found = kernels._permuted_counts(case, metric, group, rng=np.random.default_rng(3), draws=draws)
    rng = np.random.default_rng(3)
    expected = np.zeros((draws, 4), int)
    places = sorted(range(units), key=lambda unit: (group[unit], unit))
    for draw in range(draws):
        number = dict(zip(places, rng.random(units), strict=True))
        for name in set(group.tolist()):
            of_group = [unit for unit in places if group[unit] == name]
            dealt = sorted(of_group, key=lambda unit: number[unit])
            for unit, source in zip(of_group, dealt, strict=True):
                expected[draw, metric[unit]] += case[source]
    assert (found.tolist(), found.dtype) == (expected.tolist(), np.int64)


def test_ties_for_the_second_place_go_to_the_first_name():
    """Of metrics with equally many cases the first by name is shown, whatever the order of units."""
    units = pd.DataFrame({"metric": ["c", "b", "a", "a", "d"], "case": [True, True, True, True, False]})
    for order in itertools.permutations(range(5)):
        top, _ = permuted_cases(
            units.iloc[list(order)], np.zeros(5, int), rng=np.random.default_rng(0), draws=1, level=0.5
        )
        assert top["metrics"] == "the two metrics with most cases (here a + b)"
        assert (top["cases_in"], top["base_in"]) == (3, 3)


def test_the_top_two_of_many_metrics():
    """Of twenty metrics with one case and twenty with two, the first two by name; a metric without a case may be second."""
    metric = [f"m{number:02d}" for number in range(40) for _ in range(1 + (number >= 20))]
    units = pd.DataFrame({"metric": [*metric, "n"], "case": [True] * len(metric) + [False]})
    top, _ = permuted_cases(units, np.zeros(len(units), int), rng=np.random.default_rng(0), draws=1, level=0.5)
    assert top["metrics"] == "the two metrics with most cases (here m20 + m21)"
    one = pd.DataFrame({"metric": ["a", "a", "b", "c"], "case": [True, False, False, False]})
    top, number = permuted_cases(one, np.zeros(4, int), rng=np.random.default_rng(0), draws=9, level=0.5)
    assert top["metrics"] == "the two metrics with most cases (here a + b)"
    assert (top["cases_in"], top["base_in"], top["estimate"], number["estimate"]) == (1, 3, 1.0, 1.0)


def test_effective_number_of_large_counts():
    """Rows are taken one by one; empty categories change nothing."""
    counts = np.array([[5, 5, 0], [1000, 0, 0], [1, 1, 1], [0, 0, 1]])
    assert hill(counts) == pytest.approx([2.0, 1.0, 3.0, 1.0])
    for held in (7.0, math.nan) * 4:  # whatever the memory held before
        np.full((2, 5), held)
        assert np.isnan(hill(np.zeros((2, 5)))).all()
        np.full((2, 5), held)
        assert hill(np.array([[1, 0, 0, 0, 0], [0, 0, 2, 2, 0]])) == pytest.approx([1.0, 2.0])


def test_q_values_by_family():
    """Benjamini-Hochberg within each (strata, effect); non-members and undefined p-values have none."""
    table = pd.DataFrame(
        {
            "strata": ["", "", "", "k", "k", "", ""],
            "effect": ["e", "e", "e", "e", "f", "e", "e"],
            "p_value": [0.01, 0.04, 0.03, 0.04, 0.2, np.nan, 0.001],
            "q_value": np.nan,
        }
    )
    members = pd.Series([True, True, True, True, True, True, False])
    before = table.copy()
    q = with_q_values(table, members)["q_value"].tolist()
    # family ("", e) of three: .01 * 3 / 1, then min(.03 * 3 / 2, .04 * 3 / 3)
    assert q == pytest.approx([0.03, 0.04, 0.04, 0.04, 0.2, np.nan, np.nan], nan_ok=True)
    pd.testing.assert_frame_equal(table, before)


def test_columns_and_types():
    """Columns in order, words empty where there are none, counts nullable, and no other column."""
    row = {
        "source": "s",
        "comparison": "c",
        "metrics": "m",
        "effect": "e",
        "estimate": 2,
        "n": 3,
        "n_strata": 1,
        "other": 9,
    }
    table = as_concentration(pd.DataFrame([row]))
    assert list(table.columns) == CONCENTRATION.names
    assert [str(table[name].dtype) for name in ("cases", "estimate", "n")] == ["Int64", "float64", "int64"]
    assert table["strata"].tolist() == [""]
    assert table["cases"].isna().tolist() == [True]
    assert table["reason"].tolist() == table["p_method"].tolist() == [""]
    assert as_concentration(pd.DataFrame()).empty


def small_claims() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Twelve tasks of two kinds, ten annotated, four of these claimed."""
    tasks = [f"t{number:02d}" for number in range(12)]
    metrics = ["multiple_choice_grade"] * 4 + ["exact_str_match"] * 3 + ["bleu"] * 3 + ["own"] * 2
    preferred = pd.DataFrame({"task": tasks, "kind": ["json"] * 8 + ["programmatic"] * 4, "preferred_metric": metrics})
    words = ["emergent", "emergent", "flat", "flat", "emergent", "flat", "flat", "flat", "flat", "emergent"]
    return pd.DataFrame({"task": tasks[:10], "category": words}), preferred


def test_rows_of_the_claims():
    """Which comparisons are made, over how many tasks, and how many are held out."""
    claims, preferred = small_claims()
    table = claims_concentration(claims, preferred, rng=np.random.default_rng(3), draws=9, level=0.9)
    against = "claimed against all other tasks"
    single = ["bleu", "exact_str_match", "multiple_choice_grade"]
    pooled, sample, exact = "Mantel-Haenszel odds ratio", "sample odds ratio", "conditional odds ratio"
    expected = [
        *[(against, PAIR, "", effect, 3, 4, 7, 12, 0) for effect in (sample, exact)],
        *[("claimed against other annotated tasks", PAIR, "", effect, 3, 4, 7, 10, 2) for effect in (sample, exact)],
        *[(f"{against}, json only", PAIR, "", effect, 3, 3, 7, 8, 4) for effect in (sample, exact)],
        *[(f"{against}, programmatic only", PAIR, "", effect, 0, 1, 0, 4, 8) for effect in (sample, exact)],
        *[(against, PAIR, "kind", effect, 3, 4, 7, 12, 0) for effect in (pooled, exact)],
    ]
    for metric, inside, base in zip(single, (1, 1, 2), (3, 3, 4), strict=True):
        expected += [(against, metric, "", effect, inside, 4, base, 12, 0) for effect in (sample, exact)]
        expected += [(against, metric, "kind", effect, inside, 4, base, 12, 0) for effect in (pooled, exact)]
    columns = ["comparison", "metrics", "strata", "effect", "cases_in", "cases", "base_in", "base", "held_out"]
    soft = table["comparison"].str.startswith("hard against soft")
    # Two metrics against neither, one class against two and against all others, each plain, stratified and JSON only.
    assert soft.sum() == 4 * 3 * 2
    # Three tasks on exact match and five on neither metric, of which three and one are JSON; the four others are held out.
    assert set(table.loc[soft & (table["metrics"] == "exact_str_match"), "base"]) == {8, 4}
    table = table[~soft]
    found = list(table[columns].itertuples(index=False, name=None))
    assert found[:-2] == expected
    top, number = found[-2:]
    shown = "the two metrics with most cases (here bleu + multiple_choice_grade)"
    permuted = "claims permuted among tasks of a kind"
    assert top == (permuted, shown, "kind", "share of cases on the top two", 3, 4, 7, 12, 0)
    assert number[:4] == (permuted, "all", "kind", "effective number of metrics")
    assert (number[5], number[7], number[8]) == (4, 12, 0)
    assert set(table["source"]) == {"claims"}
    assert set(table["unit"]) == {"task"}
    assert table["n_strata"].tolist()[-2:] == [2, 2]
    assert set(table["level"].dropna()) == {0.9}
    has_q = table["q_value"].notna()
    assert has_q.equals(table["metrics"].isin(single) & table["p_value"].notna())
    assert table.loc[table["effect"] == "share of cases on the top two", "method"].tolist() == ["permutation, 9 draws"]


def test_words_of_refusals():
    """Claims without a preferred metric are all named; a table without a claim has nothing to compare."""
    claims, preferred = small_claims()
    with pytest.raises(AnalysisError) as caught:
        claims_concentration(claims, preferred.iloc[2:], rng=np.random.default_rng(0))
    assert str(caught.value) == "claims: t00, t01 have no preferred metric; add them to the preferred table"
    with pytest.raises(AnalysisError) as caught:
        claims_concentration(claims.assign(category="flat"), preferred, rng=np.random.default_rng(0))
    assert str(caught.value) == "claims: no task of category 'emergent'; nothing to compare"


def test_rows_of_measured_curves():
    """Families in order, each at the shot count with most tasks, each criterion the columns allow; every comparison by name."""
    rows = []
    for number in range(8):
        name = f"t{number}"
        rows.append((name, name, "multiple_choice_grade", "higher", 12, 20.0 if number < 4 else 1.0, 3.0, True))
        rows.append((name, name, "bleu", "higher", 12, 20.0 if number == 7 else 1.0, 3.0, False))
    many = make_curves(rows)
    frame = pd.concat(
        [
            many.assign(shots=2),
            many.assign(shots=1),
            many[many["task"] < "t6"].assign(shots=5),
            many[many["task"] == "t0"].assign(family="A", n_scales=3, shots=0),
        ],
        ignore_index=True,
    )
    table = curves_concentration(frame, rng=np.random.default_rng(1), draws=9, level=0.9)
    assert set(table["source"]) == {"curves"}
    assert set(table["unit"]) == {"task"}
    first = table.iloc[0]
    assert (first["comparison"], first["effect"], first["reason"], first["n"], first["n_strata"], first["held_out"]) == (
        "A, 0 shots, E > M - 1", "none", "no_defined_unit", 0, 0, 2,
    )  # fmt: skip
    assert math.isnan(first["estimate"])
    title = "F, 2 shots, E > M - 1"  # 1 and 2 shots have eight tasks each: the larger
    rest = table.iloc[1:]
    assert set(rest["held_out"]) == {0}
    # Hard against soft: two metrics and the discontinuous class, plain and within strata; nothing is on exact match.
    soft = rest["comparison"].str.endswith("hard against soft")
    assert soft.sum() == 3 * 2 * 2
    assert set(rest.loc[soft & (rest["metrics"] == "exact_str_match"), "base"]) == {0}
    assert rest.loc[soft, "q_value"].isna().all()
    rest = rest[~soft]
    pooled, sample, exact = "Mantel-Haenszel odds ratio", "sample odds ratio", "conditional odds ratio"
    discontinuous, between = "all discontinuous metrics", f"{title}: between tasks, preferred metric"
    within = f"{title}: within tasks, all metrics"
    expected = [
        *[
            (between, metrics, "", effect, 4, 4, 8, 8)
            for metrics in (PAIR, discontinuous)
            for effect in (sample, exact)
        ],
        *[
            (between, metrics, "kind x subtasks", effect, 4, 4, 8, 8)
            for metrics in (PAIR, discontinuous, "multiple_choice_grade")
            for effect in (pooled, exact)
        ],
        *[
            (within, metrics, "task", effect, 4, 5, 8, 16)
            for metrics in (PAIR, discontinuous)
            for effect in (pooled, exact)
        ],
    ]
    columns = ["comparison", "metrics", "strata", "effect", "cases_in", "cases", "base_in", "base"]
    found = list(rest[columns].itertuples(index=False, name=None))
    assert found[:-2] == expected
    assert [row[:4] for row in found[-2:]] == [
        (f"{title}: permuted", "the two metrics with most cases (here bleu + multiple_choice_grade)",
         "task, or kind x subtasks", "share of cases on the top two"),
        (f"{title}: permuted", "all", "task, or kind x subtasks", "effective number of metrics"),
    ]  # fmt: skip
    assert rest["n_strata"].tolist()[-2:] == [8, 8]  # every task has two metrics, so each is a group of its own
    assert set(rest["level"].dropna()) == {0.9}
    assert rest.loc[rest["q_value"].notna(), "metrics"].isin(["multiple_choice_grade"]).all()


def test_units_are_leaves_of_which_half_are_enough():
    """Of a task's three subtasks two must meet the criterion, one is too few; its aggregate curve is not asked."""
    high, low = 20.0, 1.0
    tasks = {"one": (high, low, low), "two": (high, high, low), "none": (low, low, low)}
    rows = [
        (task, f"{task}:{place}", "bleu", "higher", 12, e, 3.0, True)
        for task, scores in tasks.items()
        for place, e in enumerate(scores)
    ]
    rows += [(task, task, "bleu", "higher", 12, high, 3.0, True) for task in tasks]
    table = curves_concentration(make_curves(rows), rng=np.random.default_rng(0), draws=9)
    assert set(table["base"]) == {0, 3}  # no task has two metrics, so that nothing is compared within tasks
    assert set(table.loc[table["base"] == 3, "cases"]) == {1}


def test_the_registry_that_is_given_says_what_is_discontinuous():
    """A metric of one's own is among the discontinuous ones if the user's registry says so."""
    rows = [(f"t{n}", f"t{n}", "own", "higher", 12, 20.0 if n < 2 else 1.0, 3.0, True) for n in range(5)]
    told = metrics()
    told = pd.concat([told, told[told["metric"] == "bleu"].assign(metric="own", linearity="discontinuous")])
    inside = {}
    for name, registry in (("packaged", None), ("own", told)):
        table = curves_concentration(make_curves(rows), rng=np.random.default_rng(0), draws=9, registry=registry)
        inside[name] = table.loc[table["metrics"] == "all discontinuous metrics", "base_in"].max()
    assert inside == {"packaged": 0, "own": 5}


def test_rows_are_numbered_and_draws_are_999():
    """Rows of several families and criteria are numbered from 0 on; unless told otherwise the permutations draw 999 times."""
    rows = [(f"t{n}", f"t{n}", "bleu", "higher", 12, 20.0 if n < 2 else 1.0, 3.0, True) for n in range(5)]
    curves = make_curves(rows).assign(emergence_floored=2.0)
    both = pd.concat([curves.assign(family="B"), curves], ignore_index=True)
    measured = curves_concentration(both, rng=np.random.default_rng(0))
    claimed = claims_concentration(*small_claims(), rng=np.random.default_rng(0))
    for table in (measured, claimed):
        assert table.index.tolist() == list(range(len(table)))
        methods = table.loc[table["method"].str.startswith("permutation,"), "method"]
        assert set(methods) == {"permutation, 999 draws"}
    titles = measured["comparison"].str.split(":").str[0].drop_duplicates().tolist()
    criteria = ("E > M - 1", "E floored > M - 1")
    assert titles == [f"{family}, 0 shots, {criterion}" for family in "BF" for criterion in criteria]


def test_tasks_of_one_metric_are_permuted_among_their_kind():
    """Where tasks have one metric each, the groups are kinds and numbers of subtasks, not tasks."""
    rows = [
        (f"t{n}", f"t{n}", "bleu" if n % 2 else "own", "higher", 12, 20.0 if n < 3 else 1.0, 3.0, True)
        for n in range(6)
    ]
    curves = make_curves([row if row[2] != "own" else (*row[:2], "exact_str_match", *row[3:]) for row in rows])
    kinds = pd.DataFrame({"task": [f"t{n}" for n in range(6)], "kind": ["json"] * 4 + ["programmatic"] * 2})
    table = curves_concentration(curves, rng=np.random.default_rng(1), draws=9, kinds=kinds)
    permuted = table[table["comparison"].str.endswith(": permuted")]
    assert permuted["n_strata"].tolist() == [2, 2]
    assert permuted["n"].tolist() == [6, 6]
    within = table[table["comparison"].str.contains("within")]
    assert set(within["reason"]) == {"no_stratum_with_both_groups"}
    assert set(within["base"]) == {0}
