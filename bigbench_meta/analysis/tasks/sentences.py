"""Findings over tasks in sentences: concentration, metric swaps, target lengths, and what all tasks share.

Built like those of `findings`: from numbers in the tables, and no more than they say.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from bigbench_meta.analysis.tasks.concentration import HARD_SOFT, NAMED_PAIR
from bigbench_meta.analysis.wording import count_words, estimate_words, first_row, interval_words, name_words, p_words

if TYPE_CHECKING:
    import pandas as pd

    from bigbench_meta.analysis.wording import Row

_PAIR = " + ".join(NAMED_PAIR)


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
                tail = f"odds ratio {estimate_words(row)} on {row['n']} {unit} that can be compared" + (
                    f"; allowing for models that shift the two groups of tasks apart, {_with_shift(row)}."
                    if isfinite(row["shift_factor"])
                    else "."
                )
            elif row["cases"] == 0:
                tail = "without a case there is nothing to compare."
            elif row["n_strata"] == 0:
                tail = "no case can be compared with a unit under other metrics, so the question cannot be asked here."
            else:
                tail = f"no finite estimate, p = {p_words(row['p_value'])}."
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
        place = f"{hard} against {soft}, {family}, {shots} shots, {count_words(int(n), unit)}"
        if isfinite(shift["p_value"]):
            moved = f"E changes by {shift['estimate']:.1f} ({interval_words(shift)}, p = {p_words(shift['p_value'])})"
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
    test = f" (exact McNemar p = {p_words(sharp['p_value'])})" if isfinite(sharp["p_value"]) else ""
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
        parts.append(f"refused for {len(refused)} of {count_words(len(law), 'family')} ({why})")
    for row, other in zip(law.to_dict("records"), power.to_dict("records"), strict=True):
        if isfinite(row["estimate"]):
            parts.append(
                f"exponent {estimate_words(row)} for at most 0.34 and length power {estimate_words(other)} for 1 ({row['family']})"
            )
    return f"the law exp(-L^b (N/c)^alpha) is fitted to all lengths: {'; '.join(parts)}"


def contrast_sentences(concentration: pd.DataFrame) -> list[str]:
    """Claims on hard metrics against claims on soft ones: each metric, and the class, with the question that it answers."""
    rows = concentration[(concentration["source"] == "claims") & (concentration["effect"] == "conditional odds ratio")]
    parts = []
    for metric in sorted(NAMED_PAIR):
        chosen = rows[(rows["metrics"] == metric) & (rows["against"] != "")]
        plain = first_row(chosen, comparison=HARD_SOFT, strata="")
        if plain is None:
            continue
        within = [
            f"{words} {estimate_words(row)}"
            for words, row in (
                ("stratified by kind", first_row(chosen, comparison=HARD_SOFT, strata="kind")),
                ("JSON tasks only", first_row(chosen, comparison=f"{HARD_SOFT}, json only", strata="")),
            )
            if row is not None and isfinite(row["estimate"])
        ]
        soft, soft_cases = plain["base"] - plain["base_in"], plain["cases"] - plain["cases_in"]
        parts.append(
            f"{metric} {plain['cases_in']} of {plain['base_in']} tasks claimed, against {soft_cases} of {soft} on neither of the two: "
            f"odds ratio {estimate_words(plain)}" + "".join(f", {words}" for words in within)
        )
    return [f"Hard against soft metrics among the claims. {'. '.join(parts)}."] if parts else []


def selection_sentences(concentration: pd.DataFrame) -> list[str]:
    """How strong a selection of the claims would explain their odds ratio away."""
    claims = concentration[concentration["source"] == "claims"]
    pair = first_row(
        claims, comparison="claimed against all other tasks", metrics=_PAIR, strata="", effect="conditional odds ratio"
    )
    if pair is None or not isfinite(pair["e_value"]):
        return []
    return [
        (
            f"Claims are a selected sample: their annotators saw plots of the preferred metric. A trait of tasks, or of what strikes the "
            f"eye, would explain the odds ratio {pair['estimate']:.3g} away if it made both the metric and the claim "
            f"{pair['e_value']:.2g} times as likely (E-value), and would move the interval to 1 at {pair['e_value_limit']:.2g} times."
        )
    ]


def shift_sentences(shift: pd.DataFrame, concentration: pd.DataFrame) -> list[str]:
    """What all tasks share, what groups of tasks share, and what that does to the odds ratio of the claims."""
    sentences = []
    whole = shift[shift["where"] == "all scales"]
    for row in whole[whole["p_value"].notna()].to_dict("records"):
        independent = row["p_value"] > 0.05
        sentences.append(
            f"{row['family']}: all tasks share the same models. What a parabola leaves of the {row['n_tasks']} curves "
            + (
                f"shows no common part (p = {p_words(row['p_value'])})."
                if independent
                else f"has a common part (p = {p_words(row['p_value'])}): for a mean over tasks at one model they are worth about "
                f"{row['effective_tasks']:.0f} independent tasks. From a contrast between tasks, such as an odds ratio, a common part "
                f"cancels."
            )
        )
    claimed = shift[(shift["where"] == "one group") & (shift["group"] == "claimed emergent")]
    sentences += [
        f"{row['family']}: the {row['n_tasks']} claimed tasks share {'more' if row['statistic'] > 0 else 'less'} of what a parabola leaves "
        f"(mean correlation {row['mean_correlation']:.3f}) than the other tasks ({row['correlation_others']:.3f}; "
        f"p = {p_words(row['p_value'])}, random groups of tasks): "
        + ("a bend, or a shift of models, that claimed tasks have in common." if row["statistic"] > 0 else "they are the more independent ones.")
        for row in claimed[claimed["p_value"] <= 0.05].to_dict("records")
    ]  # fmt: skip
    claims = concentration[concentration["source"] == "claims"]
    pair = first_row(
        claims, comparison="claimed against all other tasks", metrics=_PAIR, strata="", effect="conditional odds ratio"
    )
    if pair is not None and isfinite(pair["shift_factor"]):
        sentences.append(shift_words(pair))
    unchecked = whole[whole["p_value"].isna()]
    if len(unchecked):
        why = " or ".join(sorted(word.replace("_", " ") for word in set(unchecked["reason"])))
        sentences.append(
            f"All tasks share the same models; whether they share a shift of one cannot be checked in {name_words(unchecked['family'])} "
            f"({why})."
        )
    return sentences


def shift_words(row: Row) -> str:
    """What shifts of the models do to the odds ratio of the claims: nothing if common, a wider interval if they differ."""
    start = (
        f"A shift of the models that all tasks share cancels from the odds ratio of the claims, {row['estimate']:.3g}: its interval stays "
        f"{row['low']:.3g} to {row['high']:.3g}. "
    )
    if row["shift_basis"] == "estimated":
        return start + f"By the shifts measured within and between the two groups of tasks it is {_with_shift(row)}."
    return (
        start
        + f"If instead tasks on and off these metrics shifted without regard to each other, each group as much as the tasks measured "
        f"here share, it would be {_with_shift(row)}; too few tasks of both groups are measured here to tell which."
    )


def _with_shift(row: Row) -> str:
    ends = [f"{row[name]:.3g}" if isfinite(row[name]) else "no limit" for name in ("low_with_shift", "high_with_shift")]
    return f"{ends[0]} to {ends[1]}"
