"""The specification curve: the concentration odds ratio under every choice an analyst could have made.

Vocabulary
----------
specification
    One choice of family, shots, level (leaf or task), criterion, rule, giant tasks with or without, design and group.
design
    ``between tasks``: one unit per task, its preferred metric, in strata of kind and number of subtasks.
    ``within tasks``: one unit per task and metric, in strata of one task each.
giant tasks
    list_functions, mult_data_wrangling and multiemo, which hold 617 of the 1,001 leaf JSON subtasks.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from bigbench_meta.analysis.tasks.concentration import NAMED_PAIR
from bigbench_meta.analysis.tasks.odds import OddsRatio, conditional_odds_ratio
from bigbench_meta.analysis.tasks.units import GIANTS, RULES, count_units

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from bigbench_meta.analysis.tasks.units import Criterion

DESIGNS = ("between tasks", "within tasks")
GROUPS = ("named pair", "discontinuous")
CHOICES = ("family", "shots", "level", "criterion", "rule", "giants", "design", "group")
_VALUES = ("n_tasks", "n_units", "held_out", "cases_in", "cases", "base_in", "share_cases", "share_base", "estimate",
           "low", "high", "p_value", "n_strata", "reason")  # fmt: skip


def specification_curve(
    curves: pd.DataFrame,
    *,
    criteria: Sequence[Criterion] | None = None,
    kinds: pd.DataFrame | None = None,
    registry: pd.DataFrame | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """Return the exact conditional odds ratio of concentration under every specification.

    Parameters
    ----------
    curves
        CURVES, with the columns of the analysis if it was made.
    criteria, kinds, registry
        As for ``units.count_units``: which cuts make a case, each task's kind, and the classes of metrics.
    level
        Confidence level of the intervals.

    Returns
    -------
    DataFrame
        One row per specification: ``family, shots, level, criterion, rule, giants, design, group``, the counts
        ``n_tasks, n_units, held_out, cases_in, cases, base_in``, the shares, and ``estimate, low, high, p_value,
        reason``. Giants are ``with`` and ``without`` where the table has one of them, else ``none present``.

    Notes
    -----
    Unit of independence: the task. The rows share tasks, models and mostly curves: they show how far the answer hangs
    on the choices, and neither their number nor the share below some p-value is evidence. Nothing here is adjusted for
    multiplicity.
    """
    import pandas as pd

    units = count_units(curves, criteria=criteria, kinds=kinds, registry=registry)
    units["stratum"] = units.groupby(["kind", "subtasks"]).ngroup()
    units["number"] = units.groupby("task").ngroup()
    units["giant"] = units["task"].isin(GIANTS)
    units["pair"] = units["metric"].isin(NAMED_PAIR)
    giants = ("with", "without") if units["giant"].any() else ("none present",)
    rows = []
    for (family, shots, place, criterion), part in units.groupby(["family", "shots", "level", "criterion"], sort=True):
        columns = {name: part[name].to_numpy() for name in ("stratum", "number", "giant", "is_preferred", "pair")}
        inside = {"named pair": columns["pair"], "discontinuous": (part["linearity"] == "discontinuous").to_numpy()}
        n_defined, n_cases = part["n_defined"].to_numpy(), part["n_cases"].to_numpy()
        for rule, with_giants, design in product(RULES, giants, DESIGNS):
            wanted = columns["is_preferred"] if design == DESIGNS[0] else np.ones(len(part), bool)
            if with_giants == "without":
                wanted = wanted & ~columns["giant"]
            keep = wanted & (n_defined > 0)
            case = n_cases[keep] >= (0.5 * n_defined[keep] if rule == "half" else 1.0)
            stratum = columns["stratum" if design == DESIGNS[0] else "number"][keep]
            named = {
                "family": family,
                "shots": shots,
                "level": place,
                "criterion": criterion,
                "rule": rule,
                "giants": with_giants,
                "design": design,
                "n_tasks": len(np.unique(columns["number"][keep])),
                "n_units": int(keep.sum()),
                "held_out": int((wanted & ~keep).sum()),
            }
            rows += [
                named | {"group": group} | _specification(case, inside[group][keep], stratum, level) for group in GROUPS
            ]
    return pd.DataFrame(rows, columns=[*CHOICES, *_VALUES]).sort_values(list(CHOICES), ignore_index=True)


def _specification(
    case: NDArray[np.bool_], inside: NDArray[np.bool_], stratum: NDArray[np.int64], level: float
) -> dict[str, object]:
    tables = np.zeros((len(np.unique(stratum)), 2, 2), np.int64)
    place = np.unique(stratum, return_inverse=True)[1]
    np.add.at(tables, (place, 1 - case.astype(int), 1 - inside.astype(int)), 1)
    (a, b), (c, d) = tables.sum(axis=0).tolist()
    # The order of strata does not matter; sorted, equal sets of tables are computed once.
    ordered = tables[np.lexsort(tables.reshape(len(tables), 4).T)]
    odds = _odds_ratio(ordered.tobytes(), level)
    total = a + b + c + d
    return {
        "cases_in": a,
        "cases": a + b,
        "base_in": a + c,
        "share_cases": a / (a + b) if a + b else float("nan"),
        "share_base": (a + c) / total if total else float("nan"),
        "estimate": odds.estimate,
        "low": odds.low,
        "high": odds.high,
        "p_value": odds.p_value,
        "n_strata": odds.n_strata,
        "reason": odds.reason,
    }


@lru_cache(maxsize=4096)
def _odds_ratio(tables: bytes, level: float) -> OddsRatio:
    return conditional_odds_ratio(np.frombuffer(tables, np.int64).reshape(-1, 2, 2), level=level)


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Count, by design and group, the specifications with an estimate, those above 1 and those whose interval excludes 1.

    Columns ``design, group, n_specifications, n_estimated, n_above_one, n_low_above_one, n_high_below_one``, and the
    smallest, median and largest estimate. Counts describe the grid and are no test.
    """
    estimated = table["estimate"].notna()
    flags = table.assign(
        n_specifications=1,
        n_estimated=estimated,
        n_above_one=table["estimate"] > 1,
        n_low_above_one=table["low"] > 1,
        n_high_below_one=table["high"] < 1,
    )
    names = [name for name in flags.columns if name.startswith("n_") and name not in table.columns]
    grouped = flags.groupby(["design", "group"])
    counts = grouped[names].sum().astype("int64")
    spread = grouped["estimate"].agg(["min", "median", "max"]).rename(columns=lambda name: f"estimate_{name}")
    return counts.join(spread).reset_index()
