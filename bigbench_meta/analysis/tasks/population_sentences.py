"""Findings on populations in sentences: shares of sharp curves by group, and the effect of the metric across tasks."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from bigbench_meta.analysis.tasks.concentration import NAMED_PAIR
from bigbench_meta.analysis.tasks.effects import ALL
from bigbench_meta.analysis.tasks.shares import MAIN, MIN_TASKS
from bigbench_meta.analysis.wording import count_words, p_words

if TYPE_CHECKING:
    import pandas as pd

    from bigbench_meta.analysis.wording import Row

# Of so many pairs of metrics a sentence is made, those with most tasks first; the table has all.
_MOST_PAIRS = 4
# So many groups of one kind are named; the largest first.
_MOST_GROUPS = 4
_SHAPE_WORDS = {
    "sharp": "rise sharply",
    "smooth": "rise smoothly",
    "flat": f"change by less than {MAIN.least:g}",
    "fall": "fall",
    "nonmonotone": "go up and down",
}


def share_sentences(shares: pd.DataFrame) -> list[str]:
    """Shares of shapes in the population, by metric and class of metric, claimed against unclaimed, with every difference."""
    main = shares[(shares["definition"] == MAIN.words) & shares["share"].notna()]
    whole = main[main["group_by"] == "all"].set_index("shape")
    if whole.empty:
        return (
            [
                f"Population shares are not estimated: fewer than {MIN_TASKS} tasks have a curve of five sizes on a metric with a range."
            ]
            if len(shares)
            else []
        )
    parts = [f"{share_words(whole.loc[shape].to_dict())} {words}" for shape, words in _SHAPE_WORDS.items()]
    counts = (
        f"{count_words(int(whole['n_tasks'].iloc[0]), 'task')}, {count_words(int(whole['n_curves'].iloc[0]), 'curve')}"
    )
    sharp = shares[(shares["group_by"] == "all") & (shares["shape"] == "sharp")]
    sentences = [
        (
            f"Of the population of curves that these are drawn from ({counts} of preferred metrics), {', '.join(parts)} "
            f"(shares with 95% intervals, undecided curves counted as what they may be; sharp: {MAIN.words}; over the definitions "
            f"that are swept the share of sharp curves is {sharp['share'].min():.0%} to {sharp['share'].max():.0%})."
        )
    ]
    for group_by, title in (("metric", "By metric"), ("class", "By class of metric"), ("claimed", "Claimed and not")):
        rows = main[(main["group_by"] == group_by) & (main["shape"] == "sharp")]
        sentences += _comparison(rows, title)
    return sentences


def _comparison(rows: pd.DataFrame, title: str) -> list[str]:
    """Shares of sharp curves of several groups, and each difference; nothing where there is one group."""
    differs = rows["group"].str.contains(" minus ", regex=False)
    groups = rows[~differs].sort_values(["n_tasks", "group"], ascending=[False, True]).head(_MOST_GROUPS)
    if len(groups) < 2:
        return []
    names = set(groups["group"])
    shown = [
        f"{row['group']} {share_words(row)} of {count_words(int(row['n_tasks']), 'task')}"
        for row in groups.to_dict("records")
    ]
    parts = [
        f"{row['group']} {100 * row['share']:.0f} points ({100 * row['low']:.0f} to {100 * row['high']:.0f})"
        for row in rows[differs].to_dict("records")
        if set(str(row["group"]).split(" minus ")) <= names
    ]
    said = f"{title}, sharp: {', '.join(shown)}. Differences: {'; '.join(parts)}."
    if names == set(NAMED_PAIR):
        said += (
            " Both metrics are hard: this contrast is between them, and between the kinds of task that use them, not hard against "
            "soft, which needs a source with both kinds of metric."
        )
    return [said]


def share_words(row: Row) -> str:
    """A share in percent with its interval; a bound where it may be 0."""
    if not isfinite(row["share"]):
        return "an unknown share"
    if row["low"] == 0.0:
        return f"{row['share']:.0%} (at most {row['high']:.0%})"
    return f"{row['share']:.0%} ({row['low']:.0%} to {row['high']:.0%})"


def effect_sentences(effects: pd.DataFrame) -> list[str]:
    """The effect of the metric on the linearity of a curve, across tasks, and what a new task would show; nothing without a pair."""
    rows = effects[(effects["family"] == ALL) & (effects["measure"] == "linearity") & effects["effect"].notna()]
    whole = rows[rows["left_out"] == ""].sort_values(["n_tasks", "hard", "soft"], ascending=[False, True, True])
    sentences = []
    for row in whole.head(_MOST_PAIRS).to_dict("records"):
        pair = f"{row['hard']} against {row['soft']} of the same outputs"
        start = f"{pair}, {count_words(int(row['n_tasks']), 'task')}: L / sqrt(M - 1), 1 for a clean step, changes by {row['effect']:.2g}"
        if row["reason"] == "one_task":
            sentences.append(f"{start} ({_ends(row, 'low', 'high')}, for that task alone).")
            continue
        if not isfinite(row["low"]):
            sentences.append(f"{start}; {row['reason'].replace('_', ' ')}, so there is no interval.")
            continue
        sentences.append(
            f"{start} under the smooth metric (95% interval {_ends(row, 'low', 'high')}, p = {p_words(row['p'])}); a new task would show "
            f"{_ends(row, 'prediction_low', 'prediction_high')}"
            + _without_one(
                rows[(rows["hard"] == row["hard"]) & (rows["soft"] == row["soft"]) & (rows["left_out"] != "")]
            )
            + "."
        )
    if len(whole) > _MOST_PAIRS:
        sentences.append(f"{len(whole) - _MOST_PAIRS} further pairs of metrics are in the table of effects.")
    return sentences


def _ends(row: Row, low: str, high: str) -> str:
    return f"{row[low]:.2g} to {row[high]:.2g}" if isfinite(row[low]) else "no interval"


def _without_one(left: pd.DataFrame) -> str:
    """Range of the effect over the tasks left out one at a time."""
    return f"; without any one task it is {left['effect'].min():.2g} to {left['effect'].max():.2g}" if len(left) else ""
