"""Does emergence concentrate on few metrics? Claims and curves by metric, beside the base rate of the metrics.

Vocabulary
----------
case
    A task claimed to be emergent, or a task and metric whose curves meet a criterion (`units`). The base is all units.
group
    A set of metrics. ``share_cases`` is the share of cases that use one of them, ``share_base`` that of all units.
hard, soft
    The hypothesis sets metrics that are all or nothing (*hard*: discontinuous in the registry, the named pair among them) against
    the others (*soft*). One hard metric against all others is another question: the others hold the second hard metric.
top two
    The two metrics with most cases, **chosen anew in every draw** of a permutation, as they were chosen from the data.
effective number of metrics
    Hill number of order 1 of the cases over metrics: exp(-sum p log p). One metric gives 1, k equal ones give k.

The unit of independence is the task everywhere in this module. Tasks share the models they were measured on: what is
common to them is checked in `common_shift`; what it does to a contrast, in `contrast_shift`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bigbench_meta.analysis.tasks.compare import as_concentration, compare, permuted_cases, with_q_values
from bigbench_meta.analysis.tasks.contrast_shift import Groups
from bigbench_meta.analysis.tasks.units import count_units, decide
from bigbench_meta.errors import AnalysisError
from bigbench_meta.facts.metrics import aliases_among, look_up, metric_key
from bigbench_meta.facts.metrics import metrics as metrics_registry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

# The two metrics that Schaeffer et al. 2023, sec. 4, name as holding over 92% of the claims.
NAMED_PAIR = ("multiple_choice_grade", "exact_str_match")
# The comparison of the hypothesis itself, of claims and of measured curves.
HARD_SOFT = "hard against soft"
_NEITHER = "neither " + " nor ".join(NAMED_PAIR)
_DISCONTINUOUS, _GRADED = "all discontinuous metrics", "all linear metrics + all nonlinear metrics"
# What each kind of comparison asks.
_PAIR_AGAINST_OTHERS = "are the two named metrics over-represented"
_ONE_AGAINST_OTHERS = "is this metric over-represented against all others, the other named metric among them"
_HARD_AGAINST_SOFT = "hard against soft: this metric against tasks on neither of the two named ones"
_BY_CLASS = "hard against soft by class: discontinuous against linear and nonlinear metrics of the registry"
_CLASS_AGAINST_OTHERS = "discontinuous metrics against all others, those of unknown class among them"
_HARD_AGAINST_HARD = (
    "one named hard metric against the other, and against the kinds of task that use it: not hard against soft"
)
# Criteria of the main table; the sensitivity grid has all of them. E > M - 1 is more than a straight line scores.
MAIN_CRITERIA = ("E > M - 1", "E floored > M - 1", "verdict sharp", "emergent")
_STRATA = ("kind", "subtasks")


def claims_concentration(
    claims: pd.DataFrame,
    preferred: pd.DataFrame,
    *,
    rng: np.random.Generator,
    draws: int = 999,
    level: float = 0.95,
    registry: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Compare the preferred metrics of claimed tasks with the base rate of those metrics.

    Parameters
    ----------
    claims
        Annotated tasks: ``task`` and ``category`` (``emergent`` is a case).
    preferred
        Task directories: ``task``, ``kind``, ``preferred_metric`` (an alias of a metric is taken for its key, and logged).
        Every annotated task must be among them.
    rng, draws
        For the permutation of claims among the tasks of a kind.
    level
        Confidence level of the intervals.
    registry
        The metric registry, for the classes of metrics; the packaged one by default.

    Returns
    -------
    DataFrame
        The columns of ``compare.CONCENTRATION``, one row per comparison and kind of estimate; ``question`` says what each
        comparison asks. *Hard against soft* compares each of the two named metrics, both, and the discontinuous class, with
        tasks on soft metrics (``against``), unadjusted, stratified by kind and within JSON tasks. Odds ratios compare
        claimed with all other tasks, with the other annotated tasks only, within JSON and programmatic tasks,
        stratified by that kind, and for each metric against all others (which answers another question than hard against soft). Exact tests on named metrics take those metrics as given:
        they were named after the claims had been seen, and only the permutation rows (``the two metrics with most
        cases``, ``effective number of metrics``) allow for that choice. ``q_value`` is Benjamini-Hochberg's, over the
        single metrics of one kind of estimate. ``held_out`` counts the tasks that a comparison leaves out: those nobody
        annotated, or those of the other kind. The comparison with *all other tasks* takes the former as not claimed.

    Raises
    ------
    AnalysisError
        If an annotated task is not in ``preferred``, or nothing is claimed.

    Notes
    -----
    Unit of independence: the task. No test here can tell a metric that *makes* emergence from a metric that emergent
    abilities happen to be measured by, and the annotators looked at plots of the preferred metric itself.

    Examples
    --------
    >>> import numpy as np
    >>> from bigbench_meta.facts.claims import claims, preferred_metrics
    >>> table = claims_concentration(claims(), preferred_metrics(), rng=np.random.default_rng(0), draws=99)
    >>> first = table.iloc[0]
    >>> int(first.cases_in), int(first.cases), int(first.base_in), int(first.base), round(float(first.estimate), 2)
    (63, 67, 158, 209, 7.79)
    """
    import pandas as pd

    unmatched = sorted(set(claims["task"]) - set(preferred["task"]))
    if unmatched:
        raise AnalysisError(f"claims: {', '.join(unmatched)} have no preferred metric; add them to the preferred table")
    tasks = preferred[["task", "kind", "preferred_metric"]].rename(columns={"preferred_metric": "metric"})
    for name in aliases_among(tasks["metric"]):
        tasks["metric"] = tasks["metric"].replace(name, metric_key(name))
    tasks = tasks.merge(claims[["task", "category"]], on="task", how="left")
    tasks["case"] = tasks["category"].eq("emergent")
    registry = metrics_registry() if registry is None else registry
    tasks["linearity"] = look_up(tasks[["task", "metric"]], registry)["linearity"].to_numpy()
    if not tasks["case"].any():
        raise AnalysisError("claims: no task of category 'emergent'; nothing to compare")
    annotated = tasks[tasks["category"].notna()]
    single = sorted(tasks.loc[tasks["case"], "metric"].unique())

    def rows_of(
        units: pd.DataFrame,
        metrics: str,
        comparison: str,
        strata: Sequence[str] = (),
        *,
        against: str = "",
        question: str = "",
    ) -> None:
        inside, outside = Groups(metrics, against).member(
            units["metric"].to_numpy(np.str_), units["linearity"].to_numpy(np.str_)
        )
        used = units[inside | outside]
        named = {"comparison": comparison, "metrics": metrics, "against": against, "question": question}
        held_out = {"held_out": len(tasks) - len(used)}
        rows.extend(
            named | held_out | row for row in compare(used, inside[inside | outside], level=level, strata=strata)
        )

    rows: list[dict[str, object]] = []
    against_all, pair = "claimed against all other tasks", " + ".join(NAMED_PAIR)
    rows_of(tasks, pair, against_all, question=_PAIR_AGAINST_OTHERS)
    rows_of(annotated, pair, "claimed against other annotated tasks", question=_PAIR_AGAINST_OTHERS)
    for kind, part in tasks.groupby("kind"):
        rows_of(part, pair, f"{against_all}, {kind} only", question=_PAIR_AGAINST_OTHERS)
    rows_of(tasks, pair, against_all, ["kind"], question=_PAIR_AGAINST_OTHERS)
    for metric in single:
        rows_of(tasks, metric, against_all, question=_ONE_AGAINST_OTHERS)
        rows_of(tasks, metric, against_all, ["kind"], question=_ONE_AGAINST_OTHERS)
    contrasts = [(metric, _NEITHER, _HARD_AGAINST_SOFT) for metric in sorted(NAMED_PAIR)]
    contrasts += [(_DISCONTINUOUS, _GRADED, _BY_CLASS), (_DISCONTINUOUS, "", _CLASS_AGAINST_OTHERS)]
    json_only = tasks[tasks["kind"] == "json"]
    for metric, against, question in contrasts:
        rows_of(tasks, metric, HARD_SOFT, against=against, question=question)
        rows_of(tasks, metric, HARD_SOFT, ["kind"], against=against, question=question)
        rows_of(json_only, metric, f"{HARD_SOFT}, json only", against=against, question=question)
    group = tasks.groupby("kind").ngroup().to_numpy()
    permuted = permuted_cases(tasks, group, rng=rng, draws=draws, level=level)
    named = {"comparison": "claims permuted among tasks of a kind", "strata": "kind", "held_out": 0}
    rows += [named | row for row in permuted]
    table = as_concentration(pd.DataFrame(rows).assign(source="claims", unit="task"))
    return with_q_values(table, table["metrics"].isin(single) & (table["question"] == _ONE_AGAINST_OTHERS))


def curves_concentration(
    curves: pd.DataFrame,
    *,
    rng: np.random.Generator,
    draws: int = 999,
    level: float = 0.95,
    kinds: pd.DataFrame | None = None,
    registry: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Ask of measured curves whether those that meet a criterion concentrate on a group of metrics.

    Parameters
    ----------
    curves
        CURVES, with the columns of the analysis if it was made.
    rng, draws
        For the permutations.
    level
        Confidence level of the intervals.
    kinds
        ``task, kind``; default the packaged task directories (others are of kind ``unknown``).
    registry
        The metric registry as `bigbench_meta.metrics` returns it; the packaged one by default.

    Returns
    -------
    DataFrame
        The columns of ``compare.CONCENTRATION``. For every family, at its shot count with most tasks (the largest if
        several), and every criterion of `MAIN_CRITERIA` that the columns allow:

        *between tasks*
            one unit per task, its preferred metric; odds ratio of the named pair, of the discontinuous metrics and of
            each metric alone, unadjusted and within strata of kind and number of subtasks;
        *within tasks*
            one unit per task and metric, every task with several metrics a stratum of its own: only tasks whose
            metrics disagree carry information, and what differs between tasks cannot matter;
        *permutation*
            all units; cases are permuted among the metrics of a task where it has several, otherwise among the tasks
            of one kind and number of subtasks.

        A family without a single defined unit has one row that says so. ``held_out`` counts units whose criterion is
        undefined. Without a curve of a metric that is not derived the table is empty. ``q_value`` is Benjamini-Hochberg's over the single metrics of one family and criterion. Families
        share tasks: their rows are not independent of each other.

    Notes
    -----
    Unit of independence: the task (Schaeffer et al. 2023 count curves, and a task with 261 subtasks 261 times). The
    within-task test is exact if, under the null, the metrics of a task are exchangeable given how many of them meet the
    criterion.
    """
    import pandas as pd

    units = count_units(curves, kinds=kinds, registry=registry)
    parts = []
    for family, shots, criterion, counted in _main_units(units):
        decided = decide(counted, "half")
        place = {"held_out": len(counted) - len(decided)}
        title = f"{family}, {shots} shots, {criterion}"
        rows = [place | row for row in _family_rows(decided, title, rng=rng, draws=draws, level=level)] or [
            place
            | {
                "comparison": title,
                "effect": "none",
                "n": 0,
                "n_strata": 0,
                "reason": "no_defined_unit",
            }
        ]
        table = as_concentration(pd.DataFrame(rows).assign(source="curves", unit="task"))
        single = table["metrics"].isin(decided["metric"].unique()) & (table["against"] == "")
        parts.append(with_q_values(table, single))
    return pd.concat(parts, ignore_index=True) if parts else as_concentration(pd.DataFrame())


def _main_units(units: pd.DataFrame) -> Iterator[tuple[str, int, str, pd.DataFrame]]:
    """Family, its shot count with most tasks, criterion, and the leaf units there."""
    leaves = units[units["level"] == "leaf"]
    for family, of_family in leaves.groupby("family"):
        tasks = of_family.groupby("shots")["task"].nunique()
        shots = int(tasks[tasks == tasks.max()].index.max())
        here = of_family[of_family["shots"] == shots]
        for criterion in MAIN_CRITERIA:
            counted = here[here["criterion"] == criterion]
            if len(counted):
                yield str(family), shots, criterion, counted


def _family_rows(
    units: pd.DataFrame, title: str, *, rng: np.random.Generator, draws: int, level: float
) -> list[dict[str, object]]:
    """All comparisons among the decided units of one family, shot count and criterion."""
    if units.empty:
        return []
    rows: list[dict[str, object]] = []

    def add(
        part: pd.DataFrame, metrics: str, how: str, strata: Sequence[str] = (), *, against: str = "", question: str
    ) -> None:
        names, classes = part["metric"].to_numpy(np.str_), part["linearity"].to_numpy(np.str_)
        inside, outside = Groups(metrics, against).member(names, classes)
        named = {"comparison": f"{title}: {how}", "metrics": metrics, "against": against, "question": question}
        used = part[inside | outside]
        rows.extend(named | row for row in compare(used, inside[inside | outside], level=level, strata=strata))

    pair, preferred = " + ".join(NAMED_PAIR), "between tasks, preferred metric"
    between = units[units["is_preferred"]]
    only_hard = bool(between["metric"].isin(NAMED_PAIR).all())
    for strata in ((), _STRATA):
        add(between, pair, preferred, strata, question=_PAIR_AGAINST_OTHERS)
        add(between, _DISCONTINUOUS, preferred, strata, question=_CLASS_AGAINST_OTHERS)
        for metric, against, question in [(name, _NEITHER, _HARD_AGAINST_SOFT) for name in sorted(NAMED_PAIR)] + [
            (_DISCONTINUOUS, _GRADED, _BY_CLASS)
        ]:
            add(between, metric, f"{preferred}, {HARD_SOFT}", strata, against=against, question=question)
    for metric in sorted(between["metric"].unique()):
        question = _HARD_AGAINST_HARD if only_hard else _ONE_AGAINST_OTHERS
        add(between, metric, preferred, _STRATA, question=question)
    within = units[units.groupby("task")["metric"].transform("size") > 1]
    add(within, pair, "within tasks, all metrics", ["task"], question=_PAIR_AGAINST_OTHERS)
    add(within, _DISCONTINUOUS, "within tasks, all metrics", ["task"], question=_CLASS_AGAINST_OTHERS)

    several = units.groupby("task")["metric"].transform("size") > 1
    word = units["task"].where(several, "among " + units["kind"] + " " + units["subtasks"])
    label = {"comparison": f"{title}: permuted", "strata": "task, or kind x subtasks"}
    group = word.groupby(word).ngroup().to_numpy()
    rows += [label | row for row in permuted_cases(units, group, rng=rng, draws=draws, level=level)]
    return rows
