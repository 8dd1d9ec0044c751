"""How far the share of claims on two metrics hangs on how tasks and their preferred metrics are counted.

Vocabulary
----------
counting rule
    Which tasks are counted, and which metric stands for a task whose subtasks prefer several. The main comparison counts all
    task directories, each by the metric that most of its subtasks prefer (`bigbench_meta.facts.claims.preferred_metrics`).

The unit of independence is the task. The rules share nearly all of their tasks and claims: their rows are one table counted
in several ways, and agreement between them is no further evidence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from bigbench_meta.analysis.tasks.compare import as_concentration, compare

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# The rows are kept apart from those of the main comparison: figures and findings take the latter.
SOURCE = "claims, counting rules"


def counting_rules(
    claims: pd.DataFrame, preferred: pd.DataFrame, *, metrics: Sequence[str], level: float = 0.95
) -> pd.DataFrame:
    """Compare claimed with all other tasks under each counting rule.

    Parameters
    ----------
    claims
        Annotated tasks: ``task`` and ``category`` (``emergent`` is a case).
    preferred
        Task directories, as `bigbench_meta.facts.claims.preferred_metrics` returns them.
    metrics
        The group of metrics that is asked for.
    level
        Confidence level of the intervals.

    Returns
    -------
    DataFrame
        The columns of ``compare.CONCENTRATION``: for each rule, named in ``comparison``, the sample odds ratio and the exact
        conditional one. ``held_out`` counts the tasks that the rule leaves out. No q-values: these are not further tests.
        The main comparison, with annotated tasks only and JSON tasks only, is in `concentration.claims_concentration`.

    Examples
    --------
    >>> from bigbench_meta.facts.claims import claims, preferred_metrics
    >>> pair = ("multiple_choice_grade", "exact_str_match")
    >>> table = counting_rules(claims(), preferred_metrics(), metrics=pair)
    >>> sample = table[table["effect"] == "sample odds ratio"].set_index("comparison")["estimate"].round(2)
    >>> sample.tolist()
    [7.31, 8.56, 9.89, 8.22]
    """
    emergent = claims.loc[claims["category"] == "emergent", "task"]
    rows = []
    for rule, tasks in _counted(preferred, metrics):
        inside = tasks["metric"].isin(list(metrics)).to_numpy(bool)
        named = {"comparison": f"claimed against all other tasks, {rule}", "metrics": " + ".join(metrics)}
        held_out = {"held_out": len(preferred) - len(tasks)}
        found = compare(tasks.assign(case=tasks["task"].isin(emergent)), inside, level=level)
        rows += [named | held_out | row for row in found]
    return as_concentration(pd.DataFrame(rows).assign(source=SOURCE, unit="task"))


def _counted(preferred: pd.DataFrame, metrics: Sequence[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each rule's name and tasks, with the metric that stands for a task."""
    own, whole = preferred["preferred_metric"], preferred["aggregate_metric"]
    of_json = preferred["kind"] == "json"
    tied = preferred["tied_with"].map(lambda names: _other(names, metrics))
    yield "ties decided the other way", preferred.assign(metric=tied.where(tied != "", own))
    yield "BIG-bench's aggregate metric, JSON tasks", preferred.assign(metric=own.where(~of_json, whole))
    yield "BIG-bench's aggregate metric, all tasks", preferred.assign(metric=whole)
    yield "without the templates", preferred.assign(metric=own)[~preferred["is_template"]]


def _other(names: str, metrics: Sequence[str]) -> str:
    """Of the other metrics of a tie, one of the group where there is one, else the first; empty without a tie."""
    tied = names.split(" + ")
    return next((name for name in tied if name in metrics), tied[0])
