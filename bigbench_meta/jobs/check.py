"""The short answer for results of one's own: every task with its verdict, its power, and what other metrics say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bigbench_meta.cards import Card, WithCard, counted
from bigbench_meta.jobs.given import read_given
from bigbench_meta.jobs.sources import Selection, load_source
from bigbench_meta.progress import shown
from bigbench_meta.schema import DERIVED_METRIC

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from bigbench_meta.analysis import Analysis
    from bigbench_meta.jobs.sources import Given
    from bigbench_meta.loader import Results
    from bigbench_meta.progress import Progress

CHECK_COLUMNS = (
    "task", "subtask", "metric", "family", "shots", "n_scales", "n_items", "first_score", "last_score", "verdict", "emergent",
    "verdict_reason", "detectable_jump", "surprise_from", "other_metrics",
)  # fmt: skip
# Verdicts in the order of their interest to somebody who asks whether anything emerges.
_ORDER = ("sharp", "nonmonotone", "inverse", "undecided", "smooth", "flat", "too_few_scales")
_PLACE = ["task", "subtask", "family", "shots"]
_SHOWN_ROWS = 20
# What helps where a reason for not testing begins so.
_CURES = {
    "noise unknown": "give the items behind each score: items=, a frame or CSV file task, n_items",
    "direction of the metric unknown": "say which way is better: metrics_file=, a CSV file metric, direction",
    "too few scales": "add models of other sizes",
}


@dataclass(frozen=True, repr=False)
class Check(WithCard):
    """The short answer for a set of results.

    Attributes
    ----------
    lines
        Pairs of a label and a sentence: what was read, what was tested, what was not and why, what was found.
    table
        One row a curve of a preferred metric (of any metric, in a task that prefers none), sharp ones first: ``CHECK_COLUMNS``.
        ``detectable_jump`` is the smallest jump that the test of sharpness would have seen, ``surprise_from`` the score from
        which the largest model would have been a surprise (both NaN where the test was not run), ``other_metrics`` the verdicts
        on other metrics of the same task, subtask, family and shots.
    n_tested
        Curves that were tested, of ``len(table)``.
    results, analysis
        What it rests on.
    """

    lines: tuple[tuple[str, str], ...]
    table: pd.DataFrame
    n_tested: int
    results: Results
    analysis: Analysis

    def _card(self) -> Card:
        top = self.table.head(_SHOWN_ROWS)
        names = ["task", "metric", "family", "verdict", "other_metrics"]
        rows = tuple(tuple(str(cell) for cell in row) for row in top[names].itertuples(index=False, name=None))
        found = dict(self.lines).get("Found", "nothing was tested")
        more = () if len(top) == len(self.table) else (("check.table", f"all {len(self.table):,} rows"),)
        return Card(
            "Check",
            found,
            self.lines,
            (*more, ("check.analysis", "every table behind it"), ("bm.findings(check.analysis)", "everything found")),
            columns=tuple(name.replace("_", " ") for name in names),
            rows=rows,
        )


def check(
    source: Given,
    *,
    tasks: Sequence[str] | None = None,
    items: pd.DataFrame | str | Path | None = None,
    lengths: pd.DataFrame | str | Path | None = None,
    metrics_file: str | Path | None = None,
    models: str | Path | None = None,
    axis: str = "params",
    format: str | None = None,  # noqa: A002 - the word that users know for it
    path: str | None = None,
    ref: str | None = None,
    cache_dir: Path | None = None,
    offline: bool = False,
    seed: int = 0,
    draws: int = 999,
    progress: Progress | bool | None = None,
) -> Check:
    """Say of each task of your own results whether its score emerges with scale, what could be seen, and what other metrics say.

    Parameters
    ----------
    source : DataFrame, Results, str, Path or Checkout
        Scores in memory (``task, metric, family, model, scale, score``), or anything that `bigbench_meta.load_results` takes.
    tasks : sequence of str, optional
        Only these.
    items : DataFrame, str or Path, optional
        Frame or CSV file ``task, n_items``: the items behind each score. Without it only the scatter of many tasks can stand for
        the noise of a score.
    lengths : DataFrame, str or Path, optional
        Frame or CSV file ``task, target_length``: tokens of the targets.
    metrics_file : str or Path, optional
        CSV file of your own rows of the metric registry, as for `bigbench_meta.metrics`.
    models : str or Path, optional
        CSV file of models that the packaged table does not know, as for `bigbench_meta.models`.
    axis : str
        What orders the models of a curve, as for `bigbench_meta.analyze`.
    format, path, ref, cache_dir, offline
        As in `bigbench_meta.load_results` and `bigbench_meta.fetch`.
    seed : int
        Seed of every random choice.
    draws : int
        Draws of the null per test.
    progress
        As for `bigbench_meta.analyze`.

    Returns
    -------
    Check
        Shows itself in a notebook; ``.table`` is the table.

    Raises
    ------
    BigbenchMetaError
        If the source or items cannot be used, or hold no curve.

    Examples
    --------
    >>> import pandas as pd
    >>> own = pd.DataFrame({"task": "t", "metric": "exact_str_match", "family": "f", "model": list("abcde"),
    ...                     "scale": [1e6, 1e7, 1e8, 1e9, 1e10], "score": [0.0, 0.01, 0.0, 0.02, 0.9]})
    >>> found = check(own, items=pd.DataFrame({"task": ["t"], "n_items": [500]}), draws=19)
    >>> found.table[["task", "n_scales", "last_score"]].to_numpy().tolist()
    [['t', 5, 0.9]]
    """
    from bigbench_meta.analysis import analyze
    from bigbench_meta.facts.metrics import metrics

    progress = shown(progress)
    given, of_targets = read_given(items=items, lengths=lengths)
    only = Selection(tasks=tasks, models=models, format=format, path=path)
    found = load_source(
        source, rng=seed, selection=only, ref=ref, cache_dir=cache_dir, offline=offline, progress=progress
    )
    analysis = analyze(
        found.results,
        rng=seed,
        draws=draws,
        items=found.items if given is None else given,
        definitions=found.definitions,
        lengths=found.lengths if of_targets is None else of_targets,
        registry=metrics(metrics_file),
        axis=axis,
        progress=False if progress is None else progress,
    )
    return check_of(found.results, analysis)


def check_of(results: Results, analysis: Analysis) -> Check:
    """Return the short answer that an analysis of these results gives."""
    table = _table(analysis)
    tested = _tested(analysis.curves)
    n_tested = int((_of_interest(analysis.curves) & tested).sum())
    return Check(tuple(_lines(results, analysis, table, n_tested)), table, n_tested, results, analysis)


def _tested(curves: pd.DataFrame) -> pd.Series:
    return curves["not_tested"].astype(str) == ""


def _of_interest(curves: pd.DataFrame) -> pd.Series:
    """Curves that a task is judged by: of its preferred metric, and of every metric where it prefers none."""
    preferring = set(curves.loc[curves["is_preferred"], "task"].astype(str))
    alone = ~curves["task"].astype(str).isin(preferring)
    own = ~curves["is_aggregate"] & (curves["metric"].astype(str) != DERIVED_METRIC)
    return own & (curves["is_preferred"] | alone)


def _table(analysis: Analysis) -> pd.DataFrame:
    import pandas as pd

    curves = analysis.curves.assign(verdict=analysis.curves["verdict"].astype(str))
    names = ["task", "subtask", "metric", "family"]
    curves = curves.astype(dict.fromkeys(names, str))
    key = [*names, "shots"]
    ends = analysis.points.astype(dict.fromkeys(names, str)).groupby(key)["score"].agg(["first", "last"])
    chosen = curves[_of_interest(curves).to_numpy()]
    others = curves[_tested(curves) & ~_of_interest(curves) & (curves["metric"] != DERIVED_METRIC)]
    said = {
        place: ", ".join(
            f"{metric}: {verdict}" for metric, verdict in part[["metric", "verdict"]].itertuples(index=False)
        )
        for place, part in others.groupby(_PLACE)
    }
    table = chosen.join(ends, on=key).rename(columns={"first": "first_score", "last": "last_score"})
    places = pd.MultiIndex.from_frame(table[_PLACE])
    table["other_metrics"] = [said.get(place, "") for place in places]
    rank = {word: position for position, word in enumerate(_ORDER)}
    order = np.lexsort((table["p_sharp"].fillna(2).to_numpy(), table["verdict"].map(rank).fillna(len(rank)).to_numpy()))
    return table.iloc[order][list(CHECK_COLUMNS)].reset_index(drop=True)


def _lines(results: Results, analysis: Analysis, table: pd.DataFrame, n_tested: int) -> list[tuple[str, str]]:
    frame = results.frame
    models = len(frame[["family", "model"]].drop_duplicates())
    read = (
        f"{counted(len(frame), 'score')} of {counted(frame['task'].nunique(), 'task')} and {counted(models, 'model')} from "
        f"{results.source}, {counted(len(results.problems), 'problem')}."
    )
    lines = [("Read", read), ("Tested", f"{n_tested:,} of {counted(len(table), 'curve')}.")]
    curves = analysis.curves
    left = curves.loc[_of_interest(curves) & ~_tested(curves), "not_tested"].astype(str).value_counts()
    for reason, count in left.items():
        lines.append(("Not tested", f"{counted(int(count), 'curve')}: {reason}. {_cure(str(reason), _CURES)}".strip()))
    if n_tested:
        lines.append(("Found", _found(table)))
        tested = table[table["detectable_jump"].notna()]
        if len(tested):
            power = (
                f"the smallest jump that would have been called sharp is {tested['detectable_jump'].median():.2g} in the median of "
                f"{counted(len(tested), 'curve')}; an undecided curve is not shown to be smooth."
            )
            lines.append(("Power", power))
    return lines


def _cure(reason: str, cures: Mapping[str, str]) -> str:
    cure = next((what for start, what in cures.items() if reason.startswith(start)), "")
    return f"{cure[0].upper()}{cure[1:]}." if cure else ""


def _found(table: pd.DataFrame) -> str:
    counts = table["verdict"].value_counts()
    words = ", ".join(f"{int(counts[word])} {word.replace('_', ' ')}" for word in _ORDER if word in counts)
    emergent = table[table["emergent"].fillna(value=False).astype(bool)]
    names = ", ".join(dict.fromkeys(emergent["task"].head(12)))
    more = f" and {emergent['task'].nunique() - 12} more" if emergent["task"].nunique() > 12 else ""
    if len(emergent):
        return f"{words}; {len(emergent)} sharp and not foreseen from the smaller models: {names}{more}."
    judged = int(table["emergent"].notna().sum())
    if not judged:
        return f"{words}; no curve could be judged both for sharpness and for surprise."
    return f"{words}; none of the {judged} that could be judged is both sharp and not foreseen from the smaller models."
