"""What an analysis found, in sentences: each is built from numbers in its tables and says no more than they do.

A sentence gives the counts behind every share, an interval beside every effect, and names what it is conditional on.
Nothing is computed here beyond counting rows.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from bigbench_meta.analysis.coverage import claimed_in_source
from bigbench_meta.analysis.curves.power import ENOUGH
from bigbench_meta.analysis.curves.verdicts import AT_LIMIT, NOT_TRUSTED
from bigbench_meta.analysis.tasks.agreement import MIN_TASKS, not_surviving, unclaimed_surprises
from bigbench_meta.analysis.tasks.concentration import NAMED_PAIR
from bigbench_meta.analysis.tasks.population_sentences import effect_sentences, share_sentences
from bigbench_meta.analysis.tasks.sentences import (
    concentration_sentences,
    contrast_sentences,
    length_sentences,
    selection_sentences,
    shift_sentences,
    swap_sentences,
)
from bigbench_meta.analysis.wording import count_words, estimate_words, first_row, name_words, of_words, p_words
from bigbench_meta.schema import DERIVED_METRIC

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

    from bigbench_meta.analysis.pipeline import Analysis

_PAIR = " + ".join(NAMED_PAIR)
UNDECIDED = "An undecided curve is not shown to be smooth: with its number of sizes and items a jump could hide in it."


def findings(analysis: Analysis) -> list[str]:
    """Return the findings in plain sentences, the answer first and the limits last.

    Parameters
    ----------
    analysis
        What `bigbench_meta.analyze` returns.
    """
    measured = analysis.claims[analysis.claims["outcome"] != "no curve"]
    if not claimed_in_source(analysis.claims):
        return [
            *verdict_sentences(analysis.curves, analysis.settings),
            *share_sentences(analysis.shares),
            *swap_sentences(analysis.swap_tests),
            *effect_sentences(analysis.effects),
            *length_sentences(analysis.lengths),
            UNDECIDED,
        ]
    return [
        *claims_sentences(analysis.concentration),
        *contrast_sentences(analysis.concentration),
        *selection_sentences(analysis.concentration),
        *verdict_sentences(analysis.curves, analysis.settings),
        *claimed_sentences(analysis.claims),
        *agreement_sentences(analysis.agreement),
        *share_sentences(analysis.shares),
        *concentration_sentences(analysis.concentration),
        *swap_sentences(analysis.swap_tests),
        *effect_sentences(analysis.effects),
        *length_sentences(analysis.lengths),
        *shift_sentences(analysis.common_shift, analysis.concentration),
        *limit_sentences(analysis.claims, families=sorted(set(measured["family"]))),
    ]


def claims_sentences(concentration: pd.DataFrame) -> list[str]:
    """The published claims by metric, beside the base rate of those metrics."""
    table = concentration[concentration["source"] == "claims"]
    against_all = table[table["comparison"] == "claimed against all other tasks"]
    pair = first_row(against_all, metrics=_PAIR, strata="", effect="conditional odds ratio")
    stratified = first_row(against_all, metrics=_PAIR, strata="kind", effect="Mantel-Haenszel odds ratio")
    if pair is None:
        return []
    sentences = [
        f"Of the {pair['cases']} tasks claimed to be emergent, {pair['cases_in']} ({pair['share_cases']:.1%}) prefer "
        f"multiple_choice_grade or exact_str_match; of all {pair['base']} tasks, {pair['base_in']} "
        f"({pair['share_base']:.1%}) do. The odds ratio is {estimate_words(pair)}"
        + (
            f"; among tasks of one kind (JSON, programmatic) it is {estimate_words(stratified)}."
            if stratified is not None
            else "."
        )
    ]
    top = table[table["effect"] == "share of cases on the top two"]
    if len(top):
        shuffled = top.iloc[0]
        sentences.append(
            f"The two metrics were named after the claims had been seen. If the claims are shuffled among tasks of one kind "
            f"and the two leading metrics are chosen anew each time, two metrics hold {shuffled['null_median']:.1%} of the claims "
            f"in the median and as many as observed with p = {p_words(shuffled['p_value'])}."
        )
    return sentences


def verdict_sentences(curves: pd.DataFrame, settings: Mapping[str, object]) -> list[str]:
    """How many curves were tested and what they are."""
    leaves = curves[~curves["is_aggregate"].to_numpy(bool) & curves["is_preferred"].to_numpy(bool)]
    leaves = leaves[leaves["metric"].astype(str) != DERIVED_METRIC]
    sentences = []
    for (family, shots), part in leaves.groupby(["family", "shots"], observed=True, sort=True):
        counts = part["verdict"].astype(str).value_counts()
        n_scales = int(part["n_scales"].max())
        if counts.get("too_few_scales", 0) == len(part):
            sentences.append(
                f"{family}, {shots} shots: {count_words(len(part), 'curve')} with at most {count_words(n_scales, 'size')}, too few to "
                f"judge the shape of a curve."
            )
            continue
        words = [
            f"{counts[word]} {word}"
            for word in ("sharp", "smooth", "flat", "inverse", "nonmonotone", "undecided")
            if counts.get(word)
        ]
        surprising = int((part["q_surprise"] <= 0.05).sum())
        emergent = int(part["emergent"].fillna(value=False).sum())
        left = int(counts.get("too_few_scales", 0))
        sentences.append(
            f"{family}, {shots} shots, up to {n_scales} sizes, {count_words(len(part), 'curve')} of preferred metrics: "
            + ", ".join(words)
            + (f", {left} with too few sizes" if left else "")
            + f"; {surprising} not foreseen from the smaller models (q <= .05); {emergent} both sharp and not foreseen."
        )
        sentences += _power_sentences(part, place=f"{family}, {shots} shots")
    most, tests = settings.get("most_draws"), settings.get("n_tests")
    smallest = 1 / (most + 1) if isinstance(most, int) else 0.0
    if isinstance(tests, int) and smallest * tests > 0.05:
        needed = int(-(-smallest * tests // 0.05))
        sentences.append(
            f"With {tests} tests and p-values of at least {smallest:.2g}, fewer than {needed} curves cannot reach q <= .05 "
            f"by themselves: that no curve is found would partly be the number of draws."
        )
    return sentences


def _power_sentences(part: pd.DataFrame, *, place: str) -> list[str]:
    """What could have been seen on the tested curves of one family, and what a test refused."""
    tested = part[part["p_surprise"].notna() & ~(part["q_surprise"] <= 0.05)]
    sentences = []
    if len(tested):
        blind = int(tested["surprise_from"].isna().sum())
        sentences.append(
            f"{place}: that the other {len(tested)} curves are no surprise is weak evidence: in the median the largest model "
            f"would have had to score {_or_none(tested['surprise_from'].median())} for one"
            + (f", and on {blind} no score would have been one" if blind else "")
            + f"; the smallest jump that the sharpness test would have seen is {_or_none(tested['detectable_jump'].median())} in the median."
        )
    judged = part[part["power_sharp"].notna()]
    if len(judged):
        shares = [int((judged[name] >= ENOUGH).sum()) for name in ("power_sharp", "power_surprise")]
        both = int((judged[["power_sharp", "power_surprise"]] >= ENOUGH).all(axis=1).sum())
        sentences.append(
            f"{place}: a jump of .4 of the range at either of the last two steps would have been called sharp with a power of "
            f"80% on {shares[0]} of {count_words(len(judged), 'curve')}, a surprise on {shares[1]}, and both on {both}: only there "
            f"does an absence count."
        )
    limited = int(part["verdict_reason"].astype(str).str.startswith(AT_LIMIT).sum())
    if limited:
        sentences.append(f"{place}: {count_words(limited, 'curve')} left undecided {AT_LIMIT}.")
    refused = int(part["verdict_reason"].astype(str).str.startswith(NOT_TRUSTED).sum())
    if refused:
        sentences.append(
            f"{place}: {count_words(refused, 'curve')} passed the correction and {'is' if refused == 1 else 'are'} not called sharp "
            f"({NOT_TRUSTED})."
        )
    return sentences


def _or_none(value: float) -> str:
    return f"{value:.2g}" if isfinite(value) else "more than the score allows"


def claimed_sentences(tasks: pd.DataFrame) -> list[str]:
    """Claimed tasks against what their curves say, per family, beside tasks that nobody claims."""
    n_claims = len(set(tasks.loc[tasks["category"] == "emergent", "task"]))
    measured = tasks[~tasks["outcome"].isin(["no curve"])]
    if measured.empty or not set(measured["task"]) & set(tasks.loc[tasks["category"] != "", "task"]):
        return ["None of the annotated tasks has a curve here: the published claims are not tested by this source."]
    sentences = []
    for family, part in measured.groupby("family", sort=True):
        claimed = part[part["category"] == "emergent"]
        tested = claimed[claimed["outcome"] != "not tested"]
        others = part[(part["category"] != "emergent") & (part["outcome"] != "not tested")]
        about = claimed[claimed["about_this_family"].fillna(value=False).to_numpy(bool)]
        if tested.empty:
            sentences.append(
                f"{family}: {len(claimed)} of the {n_claims} claimed tasks have a curve of a preferred metric, and none "
                f"could be tested."
            )
            continue
        sentences.append(
            f"{family}: {len(tested)} of the {n_claims} claimed tasks can be tested. Sharp after calibration: "
            f"{of_words(tested['sharp'])} claimed, {of_words(others['sharp'])} of the tasks nobody claims. Not foreseen from the smaller "
            f"models: {of_words(tested['unpredictable'])} claimed, {of_words(others['unpredictable'])} others. Both: "
            f"{of_words(tested['emergent'])} claimed, {of_words(others['emergent'])} others. Only {len(about)} of the claims are about "
            f"this family."
        )
        failing = not_surviving(part)
        if len(failing):
            sentences.append(
                f"{family}: claims about this family whose curve is not shown to be both sharp and unpredictable: {name_words(failing['task'])}."
            )
        surprising = unclaimed_surprises(part)
        if len(surprising):
            sentences.append(
                f"{family}: unpredictable by their curves, claimed by nobody: {name_words(surprising['task'])}."
            )
    return sentences


def agreement_sentences(agreement: pd.DataFrame) -> list[str]:
    """How well the measures rank claimed above unclaimed tasks, within the family a claim is about."""
    sentences = []
    rows = agreement[agreement["measure"].isin(["emergence_score", "p_surprise"])]
    for (family, relation), part in rows.groupby(["family", "relation"], sort=True):
        usable = part[part["estimate"].notna() & (part[["n_claimed", "n_unclaimed"]].min(axis=1) >= MIN_TASKS)]
        if usable.empty:
            continue
        words = {"emergence_score": "a larger E", "p_surprise": "a smaller p-value of surprise"}
        parts = [
            f"{words[row['measure']]} in {row['estimate']:.0%} ({row['low']:.0%} to {row['high']:.0%}) of the pairs of one of "
            f"{row['n_claimed']} claimed and one of {row['n_unclaimed']} unclaimed tasks"
            for row in usable.to_dict("records")
        ]
        short = usable["reason"].str.startswith("interval_too_short").any()
        about = "claims about this family" if relation == "within" else "claims about other families"
        sentences.append(
            f"{family}, {about}: the claimed task has {' and '.join(parts)} (50% is chance; the annotators saw plots of the "
            f"same metric{'; with so few tasks the intervals are too short' if short else ''})."
        )
    return sentences


def limit_sentences(tasks: pd.DataFrame, *, families: Iterable[str]) -> list[str]:
    """What cannot be concluded from these tables."""
    claimed = tasks[tasks["category"] == "emergent"].drop_duplicates("task")
    by_family = claimed["claim_family"].value_counts()
    about = set(tasks.loc[tasks["about_this_family"].fillna(value=False).to_numpy(bool), "task"])
    counts = ", ".join(f"{count} about {family}" for family, count in by_family.items())
    return [
        (
            f"What cannot be concluded. Of the {len(claimed)} claims ({counts}) only {len(about)} are about a family measured here "
            f"({', '.join(families) or 'none'}); the others are neither confirmed nor refuted."
        ),
        (
            "No count by metric can tell a metric that makes a jump from a metric that is used where jumps happen; only another "
            "metric of the same outputs can. The claims were made by looking at the preferred metric."
        ),
        UNDECIDED,
    ]
