"""Sentences against hand-made tables: the numbers in them are those of the tables, and no claim goes beyond them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bigbench_meta.analysis.curves.verdicts import NOT_TRUSTED
from bigbench_meta.analysis.findings import (
    agreement_sentences,
    claimed_sentences,
    claims_sentences,
    limit_sentences,
    verdict_sentences,
)
from bigbench_meta.analysis.tasks.claim_selection import with_selection
from bigbench_meta.analysis.tasks.concentration import claims_concentration
from bigbench_meta.analysis.tasks.contrast_shift import with_shift
from bigbench_meta.analysis.tasks.sentences import (
    concentration_sentences,
    contrast_sentences,
    length_sentences,
    selection_sentences,
    shift_sentences,
    swap_sentences,
)
from bigbench_meta.facts.claims import claims, preferred_metrics


def curves(verdicts, *, n_scales=12, q=0.5, emergent=False) -> pd.DataFrame:
    """Analysed preferred leaf curves with these verdicts."""
    return pd.DataFrame(
        {
            "family": "F",
            "shots": 3,
            "metric": "exact_str_match",
            "is_aggregate": False,
            "is_preferred": True,
            "n_scales": n_scales,
            "verdict": verdicts,
            "verdict_reason": "",
            "p_surprise": q,
            "q_surprise": q,
            "power_sharp": 0.9,
            "power_surprise": 0.5,
            "surprise_from": 0.56,
            "detectable_jump": 0.2,
            "emergent": pd.array([emergent] * len(verdicts), dtype="boolean"),
        }
    )


def task_rows(rows) -> pd.DataFrame:
    """The claims table from (task, category, claim_family, about, outcome)."""
    frame = pd.DataFrame(rows, columns=["task", "category", "claim_family", "about_this_family", "outcome"])
    frame["about_this_family"] = frame["about_this_family"].astype("boolean")
    frame["family"] = np.where(frame["outcome"] == "no curve", "", "BIG-G T=0")
    frame["sharp"] = pd.array(frame["outcome"].str.startswith("sharp"), dtype="boolean")
    frame["unpredictable"] = pd.array(frame["outcome"].str.contains("unpredictable"), dtype="boolean")
    frame["emergent"] = frame["sharp"] & frame["unpredictable"]
    return frame


def test_claims_beside_the_base_rate():
    """The packaged facts in words: both shares, the odds ratio, and the shuffled claims; no metric alone."""
    table = claims_concentration(claims(), preferred_metrics(), rng=np.random.default_rng(0), draws=199)
    share, shuffled = claims_sentences(table)
    assert "Of the 67 tasks claimed to be emergent, 63 (94.0%)" in share
    assert "of all 209 tasks, 158 (75.6%) do" in share
    assert "7.73 (95% interval 2.63 to 31" in share
    assert "4.14 (95% interval 1.16 to 14.7" in share
    assert "alone" not in share + shuffled
    assert "named after the claims had been seen" in shuffled


def test_claims_of_a_table_with_one_comparison():
    """Neither stratified nor metric by metric nor shuffled: one sentence with the one odds ratio, and no word of the rest."""
    row = {
        "source": "claims", "comparison": "claimed against all other tasks", "strata": "", "effect": "conditional odds ratio",
        "metrics": "multiple_choice_grade + exact_str_match", "cases": 10, "cases_in": 8, "share_cases": 0.8, "base": 40,
        "base_in": 20, "share_base": 0.5, "estimate": 4.0, "low": 0.9, "high": np.inf, "level": 0.95, "p_value": 0.00002,
    }  # fmt: skip
    assert claims_sentences(pd.DataFrame([row])) == [
        (
            "Of the 10 tasks claimed to be emergent, 8 (80.0%) prefer multiple_choice_grade or exact_str_match; of all 40 tasks, "
            "20 (50.0%) do. The odds ratio is 4 (95% interval 0.9 to no limit, p = 2e-05)."
        )
    ]


def test_verdicts_are_counted_and_too_few_sizes_said():
    """Counts by verdict; a family of three sizes is not judged."""
    words = verdict_sentences(curves(["sharp", "flat", "undecided", "undecided"], q=0.01), {})
    assert words == [
        (
            "F, 3 shots, up to 12 sizes, 4 curves of preferred metrics: 1 sharp, 1 flat, 2 undecided; 4 not foreseen from the "
            "smaller models (q <= .05); 0 both sharp and not foreseen."
        ),
        (
            "F, 3 shots: a jump of .4 of the range at either of the last two steps would have been called sharp with a power of "
            "80% on 4 of 4 curves, a surprise on 0, and both on 0: only there does an absence count."
        ),
    ]
    open_one = curves(["undecided"])
    open_one["verdict_reason"] = "at the limit of the draws: sharp"
    assert verdict_sentences(open_one, {})[-1] == "F, 3 shots: 1 curve left undecided at the limit of the draws."
    (short,) = verdict_sentences(curves(["too_few_scales"] * 2, n_scales=3), {})
    assert "2 curves with at most 3 sizes, too few to judge" in short


def test_limit_of_the_draws_is_said():
    """120 tests with p of at least .001 need 3 findings at once: q = 120 * .001 / 3 = .04 <= .05, and 2 are too few."""
    settings = {"most_draws": 999, "n_tests": 120}
    words = verdict_sentences(curves(["undecided"]), settings)
    assert "fewer than 3 curves cannot reach q <= .05" in words[-1]
    assert len(verdict_sentences(curves(["undecided"]), {"most_draws": 999, "n_tests": 40})) == len(words) - 1


def test_what_could_not_have_been_seen_is_said():
    """The score that a surprise would have taken, the curves where none would do, and the curves that a rule refused."""
    table = curves(["undecided"] * 4)
    table["power_sharp"], table["power_surprise"] = [0.9, 0.9, 0.9, 0.2], [0.9, 0.1, 0.1, 0.1]
    table["surprise_from"] = [0.5, 0.6, 0.7, np.nan]
    table.loc[0, "verdict_reason"] = f"{NOT_TRUSTED}: p = 0.02"
    _, power, seen, refused = verdict_sentences(table, {})
    assert "80% on 3 of 4 curves, a surprise on 1, and both on 1" in seen
    assert "the other 4 curves are no surprise is weak evidence" in power
    assert "would have had to score 0.6 for one, and on 1 no score would have been one" in power
    assert "0.2 in the median" in power
    assert "1 curve passed the correction and is not called sharp (many overdispersed items" in refused


def test_claimed_tasks_beside_unclaimed_ones():
    """Counts per family; claims about other families are counted but not listed as failing."""
    rows = [
        ("a", "emergent", "BIG-G", True, "neither"),
        ("b", "emergent", "PaLM", False, "neither"),
        ("c", "emergent", "PaLM", False, "sharp and unpredictable"),
        ("d", "flat", "", None, "unpredictable only"),
        ("e", "flat", "", None, "not tested"),
        ("f", "emergent", "GPT", None, "no curve"),
    ]
    count, failing, surprising = claimed_sentences(task_rows(rows))
    assert "3 of the 4 claimed tasks can be tested" in count
    assert "Sharp after calibration: 1 of 3 claimed, 0 of 1 of the tasks nobody claims" in count
    assert "Not foreseen from the smaller models: 1 of 3 claimed, 1 of 1 others" in count
    assert "Only 1 of the claims are about this family" in count
    assert failing.endswith("not shown to be both sharp and unpredictable: a.")
    assert surprising.endswith("claimed by nobody: d.")


def test_claimed_tasks_that_could_not_be_tested():
    """A claimed task whose curves are too short is counted and nothing is said of its sharpness."""
    (sentence,) = claimed_sentences(task_rows([("a", "emergent", "BIG-G", True, "not tested")]))
    assert (
        sentence == "BIG-G T=0: 1 of the 1 claimed tasks have a curve of a preferred metric, and none could be tested."
    )


def test_claims_that_all_survive_have_no_list():
    """Where the one claim holds and no other task is surprising, only the counts are told."""
    rows = [("a", "emergent", "BIG-G", True, "sharp and unpredictable"), ("b", "flat", "", None, "neither")]
    (count,) = claimed_sentences(task_rows(rows))
    assert "Both: 1 of 1 claimed, 0 of 1 others. Only 1 of the claims are about this family." in count


def test_a_source_without_annotated_tasks_says_nothing_about_claims():
    """The claims are not tested by tasks that nobody annotated."""
    rows = [("ladder", "", "", None, "neither"), ("f", "emergent", "GPT", None, "no curve")]
    (sentence,) = claimed_sentences(task_rows(rows))
    assert "not tested by this source" in sentence


def test_agreement_gives_interval_and_counts():
    """The ROC area is told as a share of pairs, with its interval and the flag for few tasks; too few tasks say nothing."""
    row = {
        "family": "F", "relation": "within", "measure": "p_surprise", "estimate": 0.83, "low": 0.62, "high": 0.99,
        "n_claimed": 7, "n_unclaimed": 62, "reason": "interval_too_short_below_17_tasks",
    }  # fmt: skip
    (sentence,) = agreement_sentences(pd.DataFrame([row]))
    assert "83% (62% to 99%) of the pairs of one of 7 claimed and one of 62 unclaimed tasks" in sentence
    assert "intervals are too short" in sentence
    assert agreement_sentences(pd.DataFrame([row | {"n_claimed": 4}])) == []


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"cases": 0, "cases_in": 0, "estimate": np.nan, "n_strata": 0}, "without a case there is nothing to compare"),
        ({"cases": 9, "cases_in": 9, "estimate": np.nan, "n_strata": 0}, "the question cannot be asked here"),
        (
            {"cases": 9, "cases_in": 9, "estimate": np.inf, "n_strata": 3},
            "exact_str_match; no finite estimate, p = 0.3.",
        ),
        ({"cases": 9, "cases_in": 6, "estimate": 2.0, "n_strata": 3}, "odds ratio 2 (95% interval 0.5 to 8, p = 0.3)"),
    ],
)
def test_concentration_of_curves(counts, expected):
    """No case, no other metric, an infinite estimate, a proper comparison: words for each; none without units."""
    row = {
        "source": "curves",
        "comparison": "F, 3 shots, verdict sharp: between tasks, preferred metric",
        "metrics": "multiple_choice_grade + exact_str_match",
        "effect": "conditional odds ratio",
        "strata": "kind x subtasks",
        "base": 40,
        "base_in": 30,
        "low": 0.5,
        "high": 8.0,
        "level": 0.95,
        "p_value": 0.3,
        "n": 35,
        "shift_factor": np.nan,
    }
    (sentence,) = concentration_sentences(pd.DataFrame([row | counts]))
    assert expected in sentence
    assert concentration_sentences(pd.DataFrame([row | counts | {"base": 0}])) == []


def test_swaps():
    """Nine of ten sharp tasks stop being sharp, and the shift of E with its interval; no pair is said plainly."""
    common = {"hard": "exact_str_match", "soft": "bleu", "family": "F", "shots": 0, "unit": "task", "n_units": 15}
    rows = [
        {"quantity": "emergence_score", "estimate": -6.04, "low": -9.0, "high": -2.0, "level": 0.95, "p_value": 0.004},
        {"quantity": "sharp", "estimate": 0.9, "only_hard": 9, "only_soft": 1, "p_value": 0.02},
    ]
    (sentence,) = swap_sentences(pd.DataFrame([common | row for row in rows]))
    assert "15 tasks: E changes by -6.0 (95% interval -9 to -2, p = 0.004)" in sentence
    assert "9 of 10 sharp under the first stop being sharp, 1 become sharp (exact McNemar p = 0.02)" in sentence
    assert "No task here carries two metrics" in swap_sentences(pd.DataFrame())[0]


@pytest.mark.parametrize(
    ("n_units", "shift", "expected"),
    [
        (3, -3.0, [("bleu against exact_str_match, F, 0 shots, 3 tasks: too few for a test of E (shift -3.0); none is sharp "
              "under the first, 1 under the second.")]),
        (1, np.nan, [("bleu against exact_str_match, F, 0 shots, 1 task: E undefined; none is sharp under the first, 1 under the "
                "second.")]),
        (0, np.nan, [("No task here carries two metrics of the same outputs with a value under both: what another metric "
                      "would show cannot be said.")]),
    ],
)  # fmt: skip
def test_swaps_of_few_tasks(n_units, shift, expected):
    """Without a test the shift alone is told, without a sharp curve none is said to stop, without a value nothing."""
    common = {"hard": "bleu", "soft": "exact_str_match", "family": "F", "shots": 0, "unit": "task", "n_units": n_units}
    rows = [
        {"quantity": "emergence_score", "estimate": shift, "p_value": np.nan},
        {"quantity": "sharp", "estimate": np.nan, "only_hard": 0, "only_soft": 1, "p_value": np.nan},
    ]
    assert swap_sentences(pd.DataFrame([common | row for row in rows])) == expected


def test_sharpness_that_does_not_stop_or_was_not_tested_is_said():
    """No sharp unit stops: that is told as well; and where no pair was tested under both metrics, nothing stops."""
    common = {"hard": "exact_str_match", "soft": "bleu", "family": "F", "shots": 0, "unit": "task", "p_value": np.nan}
    shift = {"quantity": "emergence_score", "n_units": 4, "estimate": -3.0}
    kept = {"quantity": "sharp", "n_units": 4, "estimate": 0.0, "only_hard": 0, "only_soft": 1}
    untested = {"quantity": "sharp", "n_units": 0, "estimate": np.nan, "only_hard": 0, "only_soft": 0}
    (first,) = swap_sentences(pd.DataFrame([common | shift, common | kept]))
    assert first.endswith("none of those sharp under the first stop being sharp, 1 become sharp.")
    (second,) = swap_sentences(pd.DataFrame([common | shift, common | untested]))
    assert second.endswith(
        "4 tasks: too few for a test of E (shift -3.0); no pair was tested for sharpness under both."
    )


LENGTH_ROW = {
    "task": "t", "subtask": "", "family": "F", "shots": 0, "quantity": "exponent", "target_length": np.nan, "estimate": np.nan,
    "low": np.nan, "high": np.nan, "level": 0.95, "p_value": np.nan, "q_value": np.nan, "reason": "law_does_not_fit",
}  # fmt: skip


def test_known_target_lengths():
    """A law fitted in one family and refused in another, and three effective lengths of which two fall short of L."""
    fitted = {"family": "G", "estimate": 0.31, "low": 0.2, "high": 0.42, "p_value": 0.7, "q_value": 0.7, "reason": ""}
    power = {"quantity": "length power"}
    one = {"quantity": "effective length", "low": 1.0, "high": 9.0, "reason": ""}
    short = [
        one | {"subtask": f"t:length_{n}", "target_length": n, "estimate": value, "p_value": p, "q_value": p}
        for n, value, p in ((5.0, 4.0, 0.001), (9.0, 8.0, 0.2), (9.0, 7.0, 0.01))
    ]
    untested = one | {"subtask": "t:length_1", "target_length": 1.0, "reason": "same_scores"}
    unknown = one | {"subtask": "t:other", "estimate": 3.0, "reason": "length_unknown"}
    rows = [{}, power, fitted, power | fitted | {"estimate": 0.9}, *short, untested, unknown]
    (sentence,) = length_sentences(pd.DataFrame([LENGTH_ROW | row for row in rows]))
    assert "t, 0 shots, target lengths known: the law exp(-L^b (N/c)^alpha) is fitted to all lengths" in sentence
    assert (
        "refused for 1 of 2 families (law does not fit); exponent 0.31 (95% interval 0.2 to 0.42, p = 0.7)" in sentence
    )
    assert "length power 0.9 (95% interval 0.2 to 0.42, p = 0.7) for 1 (G)" in sentence
    assert "fewer tokens than they have in 2 of 3 curves and more in 0" in sentence
    assert sentence.endswith("at length 9 as if 8.0 (1.0 to 9.0, F), 7.0 (1.0 to 9.0, F).")
    (fits,) = length_sentences(pd.DataFrame([LENGTH_ROW | fitted, LENGTH_ROW | power | fitted]))
    assert "refused" not in fits


def test_no_known_target_length():
    """Neither lengths nor a test: one sentence says what cannot be tested."""
    untested = LENGTH_ROW | {"quantity": "effective length", "target_length": 1.0, "reason": "same_scores"}
    for table in (pd.DataFrame([untested]), pd.DataFrame([LENGTH_ROW]).iloc[:0]):
        assert "cannot be tested" in length_sentences(table)[0]
    (law,) = length_sentences(pd.DataFrame([LENGTH_ROW, LENGTH_ROW | {"quantity": "length power"}]))
    assert law.endswith("refused for 1 of 1 family (law does not fit).")


def test_common_shift():
    """Dependence is an effective number of tasks for a mean, and cancels from a contrast; what claimed tasks share is named."""
    row = {"where": "all scales", "family": "F", "n_tasks": 119, "effective_tasks": 31.2, "p_value": 0.001, "group": ""}
    nothing = claims_concentration(claims(), preferred_metrics(), rng=np.random.default_rng(0), draws=19)
    nothing = with_shift(nothing, {})
    (dependent,) = shift_sentences(pd.DataFrame([row]), nothing)
    assert "for a mean over tasks at one model they are worth about 31 independent tasks" in dependent
    assert "such as an odds ratio, a common part cancels." in dependent
    assert "no common part (p = 0.4)" in shift_sentences(pd.DataFrame([row | {"p_value": 0.4}]), nothing)[0]
    group = {"where": "one group", "group": "claimed emergent", "family": "F", "n_tasks": 53, "p_value": 0.01,
             "statistic": 0.096, "mean_correlation": 0.089, "correlation_others": -0.007}  # fmt: skip
    (shared,) = shift_sentences(pd.DataFrame([group]), nothing)
    assert (
        "53 claimed tasks share more of what a parabola leaves (mean correlation 0.089) than the other tasks (-0.007"
        in shared
    )
    assert shift_sentences(pd.DataFrame([group | {"p_value": 0.2}]), nothing) == []


def test_intervals_that_allow_for_shifts_that_differ():
    """Factor 2 by unrelated groups: 7.73 (2.63 to 31.0) reads 0.897 to 124; families that cannot be checked are named."""
    shift = pd.DataFrame(
        [{"where": "all scales", "group": "", "family": "G", "p_value": np.nan, "reason": "fewer_than_6_tasks"}]
    )
    found = claims_concentration(claims(), preferred_metrics(), rng=np.random.default_rng(0), draws=19)
    found = found.assign(shift_factor=2.0, shift_basis="unrelated")
    found["low_with_shift"] = found["low"] ** 2 / found["estimate"]
    found["high_with_shift"] = found["high"] ** 2 / found["estimate"]
    allowed, unchecked = shift_sentences(shift, found)
    assert "7.73: its interval stays 2.63 to 31. If instead" in allowed
    assert "it would be 0.897 to 124; too few tasks of both groups" in allowed
    assert unchecked.endswith("cannot be checked in G (fewer than 6 tasks).")
    measured, _ = shift_sentences(shift, found.assign(shift_basis="estimated"))
    assert measured.endswith("By the shifts measured within and between the two groups of tasks it is 0.897 to 124.")
    row = {
        "source": "curves", "comparison": "PaLM, 3 shots, verdict sharp: between tasks, preferred metric", "strata": "kind x subtasks",
        "metrics": "multiple_choice_grade + exact_str_match", "effect": "conditional odds ratio", "cases": 9, "cases_in": 6,
        "base": 40, "base_in": 30, "estimate": 2.0, "low": 0.5, "high": 8.0, "level": 0.95, "p_value": 0.3, "n": 35,
        "shift_factor": 1.5, "low_with_shift": 0.25, "high_with_shift": 16.0,
    }  # fmt: skip
    (sentence,) = concentration_sentences(pd.DataFrame([row]))
    assert sentence.endswith("compared; allowing for models that shift the two groups of tasks apart, 0.25 to 16.")


def test_hard_against_soft_and_selection():
    """Both hard metrics against tasks on neither, with the counts; the E-value of 7.73 by hand: r + sqrt(r (r - 1)), r = sqrt(7.73)."""
    found = with_selection(claims_concentration(claims(), preferred_metrics(), rng=np.random.default_rng(0), draws=19))
    (contrast,) = contrast_sentences(found)
    assert (
        "exact_str_match 12 of 40 tasks claimed, against 4 of 51 on neither of the two: odds ratio 4.94 (95% interval 1.33 to 23.1"
        in contrast
    )
    assert "multiple_choice_grade 51 of 118 tasks claimed" in contrast
    assert "0.89" not in contrast
    (selection,) = selection_sentences(found)
    ratio = np.sqrt(7.7324)
    assert f"{ratio + np.sqrt(ratio * (ratio - 1)):.2g} times as likely (E-value)" in selection
    assert contrast_sentences(found.iloc[:0]) == selection_sentences(found.iloc[:0]) == []


def test_limits_name_the_families():
    """Claims about families that were not measured are neither confirmed nor refuted."""
    rows = [("a", "emergent", "BIG-G", True, "neither"), ("b", "emergent", "PaLM", False, "neither")]
    first = limit_sentences(task_rows(rows), families=["BIG-G T=0"])[0]
    assert "Of the 2 claims (1 about BIG-G, 1 about PaLM) only 1 are about a family measured here (BIG-G T=0)" in first
