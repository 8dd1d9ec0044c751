"""What an analysis found, in sentences: each is built from numbers in its tables and says no more than they do.

A sentence gives the counts behind every share, an interval beside every effect, and names what it is conditional on.
Nothing is computed here beyond counting rows.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

from bigbench_meta.analysis.agreement import MIN_TASKS, not_surviving, unclaimed_surprises
from bigbench_meta.analysis.concentration import NAMED_PAIR
from bigbench_meta.analysis.verdicts import NOT_TRUSTED
from bigbench_meta.schema import DERIVED_METRIC

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping

    import pandas as pd

    from bigbench_meta.analysis.pipeline import Analysis

    Row = Mapping[Hashable, Any]

_PAIR = " + ".join(NAMED_PAIR)
# Longer lists of tasks are cut, and the cut is said.
_MOST_NAMES = 12


def findings(analysis: Analysis) -> list[str]:
    """Return the findings in plain sentences, the answer first and the limits last.

    Parameters
    ----------
    analysis
        What `bigbench_meta.analyze` returns.
    """
    measured = analysis.claims[analysis.claims["outcome"] != "no curve"]
    return [
        *claims_sentences(analysis.concentration),
        *verdict_sentences(analysis.curves, analysis.settings),
        *claimed_sentences(analysis.claims),
        *agreement_sentences(analysis.agreement),
        *concentration_sentences(analysis.concentration),
        *swap_sentences(analysis.swap_tests),
        *length_sentences(analysis.lengths),
        *shift_sentences(analysis.common_shift),
        *limit_sentences(analysis.claims, families=sorted(set(measured["family"]))),
    ]


def claims_sentences(concentration: pd.DataFrame) -> list[str]:
    """The published claims by metric, beside the base rate of those metrics."""
    table = concentration[concentration["source"] == "claims"]
    against_all = table[table["comparison"] == "claimed against all other tasks"]
    pair = _row(against_all, metrics=_PAIR, strata="", effect="conditional odds ratio")
    stratified = _row(against_all, metrics=_PAIR, strata="kind", effect="Mantel-Haenszel odds ratio")
    if pair is None:
        return []
    sentences = [
        f"Of the {pair['cases']} tasks claimed to be emergent, {pair['cases_in']} ({pair['share_cases']:.1%}) prefer "
        f"multiple_choice_grade or exact_str_match; of all {pair['base']} tasks, {pair['base_in']} "
        f"({pair['share_base']:.1%}) do. The odds ratio is {_estimate(pair)}"
        + (
            f"; among tasks of one kind (JSON, programmatic) it is {_estimate(stratified)}."
            if stratified is not None
            else "."
        )
    ]
    single = [
        f"{name} alone {_estimate(row)}"
        for name in NAMED_PAIR
        if (row := _row(against_all, metrics=name, strata="", effect="conditional odds ratio")) is not None
    ]
    if single:
        sentences.append(f"Odds ratios of the two metrics apart: {', '.join(single)}.")
    top = table[table["effect"] == "share of cases on the top two"]
    if len(top):
        shuffled = top.iloc[0]
        sentences.append(
            f"The two metrics were named after the claims had been seen. If the claims are shuffled among tasks of one kind "
            f"and the two leading metrics are chosen anew each time, two metrics hold {shuffled['null_median']:.1%} of the claims "
            f"in the median and as many as observed with p = {_p(shuffled['p_value'])}."
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
                f"{family}, {shots} shots: {_count(len(part), 'curve')} with at most {_count(n_scales, 'size')}, too few to "
                f"judge the shape of a curve."
            )
            continue
        words = [
            f"{counts[word]} {word}" for word in ("sharp", "smooth", "flat", "inverse", "undecided") if counts.get(word)
        ]
        surprising = int((part["q_surprise"] <= 0.05).sum())
        emergent = int(part["emergent"].fillna(value=False).sum())
        left = int(counts.get("too_few_scales", 0))
        sentences.append(
            f"{family}, {shots} shots, up to {n_scales} sizes, {_count(len(part), 'curve')} of preferred metrics: "
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
    refused = int(part["verdict_reason"].astype(str).str.startswith(NOT_TRUSTED).sum())
    if refused:
        sentences.append(
            f"{place}: {_count(refused, 'curve')} passed the correction and {'is' if refused == 1 else 'are'} not called sharp "
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
            f"{_of(tested['sharp'])} claimed, {_of(others['sharp'])} of the tasks nobody claims. Not foreseen from the smaller "
            f"models: {_of(tested['unpredictable'])} claimed, {_of(others['unpredictable'])} others. Both: "
            f"{_of(tested['emergent'])} claimed, {_of(others['emergent'])} others. Only {len(about)} of the claims are about "
            f"this family."
        )
        failing = not_surviving(part)
        if len(failing):
            sentences.append(
                f"{family}: claims about this family whose curve is not shown to be both sharp and unpredictable: {_names(failing['task'])}."
            )
        surprising = unclaimed_surprises(part)
        if len(surprising):
            sentences.append(
                f"{family}: unpredictable by their curves, claimed by nobody: {_names(surprising['task'])}."
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


def concentration_sentences(concentration: pd.DataFrame) -> list[str]:
    """Whether the curves that meet a criterion prefer a group of metrics: one criterion, the verdict where it exists."""
    table = concentration[concentration["source"] == "curves"]
    sentences = []
    for word, how in (("verdict sharp", "between tasks, preferred metric"), ("E > M - 1", "within tasks, all metrics")):
        chosen = table[
            table["comparison"].str.endswith(f", {word}: {how}")
            & (table["metrics"] == _PAIR)
            & (table["effect"] == "conditional odds ratio")
            & (table["strata"] != "")
        ]
        for row in chosen.to_dict("records"):
            place = row["comparison"].removesuffix(f": {how}")
            if not row["base"]:
                continue
            counts = f"{row['cases_in']} of {row['cases']} cases and {row['base_in']} of {row['base']} units"
            unit = "tasks" if how.startswith("between") else "pairs of task and metric"
            if isfinite(row["estimate"]):
                tail = f"odds ratio {_estimate(row)} on {row['n']} {unit} that can be compared."
            elif row["cases"] == 0:
                tail = "without a case there is nothing to compare."
            elif row["n_strata"] == 0:
                tail = "no case can be compared with a unit under other metrics, so the question cannot be asked here."
            else:
                tail = f"no finite estimate, p = {_p(row['p_value'])}."
            sentences.append(f"{place}, {how}: {counts} are on multiple_choice_grade or exact_str_match; {tail}")
    return sentences


def swap_sentences(tests: pd.DataFrame) -> list[str]:
    """Whether the jump goes away under another metric of the same outputs."""
    sentences = []
    columns = ["hard", "soft", "family", "shots"]
    for (hard, soft, family, shots), part in tests.groupby(columns, sort=True) if len(tests) else ():
        rows = {row["quantity"]: row for row in part.to_dict("records")}
        sharp, shift = rows["sharp"], rows["emergence_score"]
        unit = {"task": "task", "family": "model family"}[sharp["unit"]]
        n = max(sharp["n_units"], shift["n_units"])
        if n == 0:
            continue
        place = f"{hard} against {soft}, {family}, {shots} shots, {_count(int(n), unit)}"
        if isfinite(shift["p_value"]):
            moved = f"E changes by {shift['estimate']:.1f} ({_interval(shift)}, p = {_p(shift['p_value'])})"
        else:
            moved = (
                f"too few for a test of E (shift {shift['estimate']:.1f})"
                if isfinite(shift["estimate"])
                else "E undefined"
            )
        sentences.append(f"{place}: {moved}; {_stopped(sharp)}.")
    none = (
        "No task here carries two metrics of the same outputs with a value under both: what another metric would show cannot "
        "be said."
    )
    return sentences or [none]


def _stopped(sharp: Row) -> str:
    """What became of the units that are sharp under the first of two metrics."""
    if sharp["n_units"] == 0:
        return "no pair was tested for sharpness under both"
    if not isfinite(sharp["estimate"]):
        return f"none is sharp under the first, {int(sharp['only_soft'])} under the second"
    n_hard = round(sharp["only_hard"] / sharp["estimate"]) if sharp["only_hard"] else 0
    stop = f"{int(sharp['only_hard'])} of {n_hard}" if n_hard else "none of those"
    stop += " sharp under the first stop being sharp"
    test = f" (exact McNemar p = {_p(sharp['p_value'])})" if isfinite(sharp["p_value"]) else ""
    return f"{stop}, {int(sharp['only_soft'])} become sharp{test}"


def length_sentences(lengths: pd.DataFrame) -> list[str]:
    """What target lengths add: the full law, and the tokens that exact match behaves as if it had. One sentence a task."""
    sentences = []
    for (task, shots), part in lengths[lengths["target_length"].notna() | (lengths["subtask"] == "")].groupby(
        ["task", "shots"], sort=True
    ):
        law = part[part["quantity"] == "exponent"]
        said = [_law(law, power=part[part["quantity"] == "length power"])] if len(law) else []
        effective = part[(part["quantity"] == "effective length") & part["p_value"].notna()]
        if len(effective):
            differs = effective[effective["q_value"] <= 0.05]
            fewer = int((differs["estimate"] < differs["target_length"]).sum())
            longest = effective["target_length"].max()
            shown = [
                f"{row['estimate']:.1f} ({row['low']:.1f} to {row['high']:.1f}, {row['family']})"
                for row in effective[effective["target_length"] == longest].to_dict("records")
            ]
            said.append(
                f"by the per-token accuracy of the same outputs exact match behaves as if targets had fewer tokens than they "
                f"have in {fewer} of {len(effective)} curves and more in {len(differs) - fewer} (q <= .05; 95% intervals): at "
                f"length {longest:g} as if {', '.join(shown)}"
            )
        if said:
            sentences.append(f"{task}, {shots} shots, target lengths known: {'; '.join(said)}.")
    none = (
        "No task here has a known target length with several lengths or a per-token score of the same outputs: the full law "
        "with its length cannot be tested."
    )
    return sentences or [none]


def _law(law: pd.DataFrame, *, power: pd.DataFrame) -> str:
    """The law with its length, fitted or refused, over the families of one task."""
    refused = law[law["estimate"].isna()]
    parts = []
    if len(refused):
        why = ", ".join(sorted(word.replace("_", " ") for word in set(refused["reason"])))
        parts.append(f"refused for {len(refused)} of {_count(len(law), 'family')} ({why})")
    for row, other in zip(law.to_dict("records"), power.to_dict("records"), strict=True):
        if isfinite(row["estimate"]):
            parts.append(
                f"exponent {_estimate(row)} for at most 0.34 and length power {_estimate(other)} for 1 ({row['family']})"
            )
    return f"the law exp(-L^b (N/c)^alpha) is fitted to all lengths: {'; '.join(parts)}"


def shift_sentences(shift: pd.DataFrame) -> list[str]:
    """What all tasks share, which the tests over tasks do not allow for."""
    sentences = []
    for row in shift[(shift["where"] == "all scales") & shift["p_value"].notna()].to_dict("records"):
        independent = row["p_value"] > 0.05
        sentences.append(
            f"{row['family']}: all tasks share the same models. What a parabola leaves of the {row['n_tasks']} curves "
            + (
                f"shows no common part (p = {_p(row['p_value'])})."
                if independent
                else f"has a common part (p = {_p(row['p_value'])}): they are worth about {row['effective_tasks']:.0f} "
                f"independent tasks at one model, so p-values over tasks are too small and intervals over tasks (of odds "
                f"ratios on the log scale) too narrow, by a factor of {row['interval_factor']:.1f} at worst."
            )
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
        "An undecided curve is not shown to be smooth: with its number of sizes and items a jump could hide in it.",
    ]


def _row(table: pd.DataFrame, **values: str) -> Row | None:
    for name, value in values.items():
        table = table[table[name] == value]
    return None if table.empty else table.iloc[0].to_dict()


def _estimate(row: Row) -> str:
    return f"{row['estimate']:.3g} ({_interval(row)}, p = {_p(row['p_value'])})"


def _interval(row: Row) -> str:
    ends = [f"{row[name]:.3g}" if isfinite(float(row[name])) else "no limit" for name in ("low", "high")]
    return f"{row['level']:.0%} interval {ends[0]} to {ends[1]}"


def _p(value: float) -> str:
    p = float(value)
    return f"{p:.2g}" if p >= 0.0001 else f"{p:.0e}"


def _of(flags: pd.Series[bool]) -> str:
    return f"{int(flags.fillna(value=False).sum())} of {len(flags)}"


def _count(number: int, noun: str) -> str:
    plural = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{number} {noun if number == 1 else plural}"


def _names(tasks: Iterable[str]) -> str:
    names = sorted(set(tasks))
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more
