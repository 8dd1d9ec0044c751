"""Kernels of the concentration tests: a group of metrics among cases and base, and permutations of cases.

Every function counts units as they are given; the callers make the unit a task (or a task and metric within strata of
one task), which is the unit of independence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bigbench_meta.analysis.multiplicity import q_values
from bigbench_meta.analysis.tasks.odds import OddsRatio, conditional_odds_ratio, mantel_haenszel, sample_odds_ratio
from bigbench_meta.schema import Table, validate

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

# Draws are made in blocks of at most this many random numbers, about 80 MB.
_BLOCK = 10_000_000

# Names of the two permutation statistics in the column ``effect``.
TOP_TWO = "share of cases on the top two"
EFFECTIVE_NUMBER = "effective number of metrics"

CONCENTRATION = Table(
    "CONCENTRATION",
    {
        "source": "str",
        "comparison": "str",
        "metrics": "str",
        "against": "str",
        "question": "str",
        "strata": "str",
        "cases_in": "Int",
        "cases": "Int",
        "base_in": "Int",
        "base": "Int",
        "held_out": "Int",
        "share_cases": "float",
        "share_base": "float",
        "effect": "str",
        "estimate": "float",
        "low": "float",
        "high": "float",
        "level": "float",
        "effective_in": "float",
        "effective_out": "float",
        "shift_factor": "float",
        "shift_basis": "str",
        "low_with_shift": "float",
        "high_with_shift": "float",
        "e_value": "float",
        "e_value_limit": "float",
        "method": "str",
        "p_value": "float",
        "p_method": "str",
        "q_value": "float",
        "null_median": "float",
        "null_low": "float",
        "null_high": "float",
        "n": "int",
        "n_strata": "int",
        "unit": "str",
        "reason": "str",
    },
    ("source", "comparison", "metrics", "against", "strata", "effect"),
)


def as_concentration(table: pd.DataFrame) -> pd.DataFrame:
    """Return ``table`` with the columns, dtypes and order of `CONCENTRATION`, checked."""
    words = {"str": "object", "Int": "Int64", "int": "int64", "float": "float64"}
    whole = table.reindex(columns=CONCENTRATION.names)
    words_only = [name for name, word in CONCENTRATION.columns.items() if word == "str"]
    whole[words_only] = whole[words_only].astype("object").fillna("")
    return validate(whole.astype({name: words[word] for name, word in CONCENTRATION.columns.items()}), CONCENTRATION)


def with_q_values(table: pd.DataFrame, members: pd.Series[bool]) -> pd.DataFrame:
    """Add Benjamini-Hochberg q-values over the rows ``members``, one family of tests per (strata, effect).

    Undefined p-values are held out; where a family has one defined p-value its q-value is that.
    """
    corrected = table.loc[members].groupby(["strata", "effect"])["p_value"].transform(q_values)
    return table.assign(q_value=corrected)


def compare(
    units: pd.DataFrame, inside: NDArray[np.bool_], *, level: float, strata: Sequence[str] = ()
) -> list[dict[str, object]]:
    """Compare cases with the other units by whether they are ``inside`` a group of metrics.

    ``units`` has one row per unit: boolean ``case`` and the columns named in ``strata``. Without strata the rows are
    the sample odds ratio and the exact conditional one; with strata Mantel-Haenszel and exact conditional, both over
    the strata.
    """
    tables = _tables(units, inside, strata)
    (a, b), (c, d) = tables.sum(axis=0).tolist()
    exact = conditional_odds_ratio(tables, level=level)
    total = a + b + c + d
    counts: dict[str, object] = {
        "strata": " x ".join(strata),
        "cases_in": a,
        "cases": a + b,
        "base_in": a + c,
        "base": total,
        "share_cases": a / (a + b) if a + b else float("nan"),
        "share_base": (a + c) / total if total else float("nan"),
    }
    counts |= dict(zip(("effective_in", "effective_out"), _effective_sizes(tables), strict=True))
    rows = [counts | _estimate("conditional odds ratio", exact)]
    if strata:
        return [counts | _estimate("Mantel-Haenszel odds ratio", mantel_haenszel(tables, level=level)), *rows]
    sample: dict[str, object] = {
        "effect": "sample odds ratio",
        "estimate": sample_odds_ratio(tables[0]),
        "method": "ad / bc",
        "n": total,
        "n_strata": 1,
        "reason": "" if min(a, b, c, d) else "empty_cell",
    }
    return [counts | sample, *rows]


def _effective_sizes(tables: NDArray[np.int64]) -> tuple[float, float]:
    """Effective numbers of units inside and outside in a contrast over strata: sum(c)^2 / sum(c^2) of its weights c.

    Strata are weighted as Mantel and Haenszel do, by the harmonic size of their two groups; without strata these are the sizes.
    """
    inside, outside = tables.sum(axis=1).T.astype(np.float64)
    both = (inside > 0) & (outside > 0)
    inside, outside = inside[both], outside[both]
    if len(inside) == 1:
        return float(inside[0]), float(outside[0])
    weight = inside * outside / (inside + outside)
    total = float(weight.sum()) ** 2
    if not total:
        return float("nan"), float("nan")
    return total / float((weight**2 / inside).sum()), total / float((weight**2 / outside).sum())


def _tables(units: pd.DataFrame, inside: NDArray[np.bool_], strata: Sequence[str]) -> NDArray[np.int64]:
    """Tables [[case in, case out], [other in, other out]] of the units per stratum."""
    case = units["case"].to_numpy(bool)
    if strata:
        stratum = units.groupby(list(strata), observed=True).ngroup().to_numpy()
    else:
        stratum = np.zeros(len(units), np.int64)
    tables = np.zeros((int(stratum.max(initial=0)) + 1, 2, 2), np.int64)
    np.add.at(tables, (stratum, 1 - case.astype(int), 1 - inside.astype(int)), 1)
    return tables


def _estimate(effect: str, odds: OddsRatio) -> dict[str, object]:
    p_method = "Cochran-Mantel-Haenszel" if effect.startswith("Mantel") else "exact, twice the smaller tail"
    return {
        "effect": effect,
        "estimate": odds.estimate,
        "low": odds.low,
        "high": odds.high,
        "level": odds.level,
        "method": odds.method,
        "p_value": odds.p_value,
        "p_method": p_method,
        "n": odds.n,
        "n_strata": odds.n_strata,
        "reason": odds.reason,
    }


def permuted_cases(
    units: pd.DataFrame, group: NDArray[np.integer[Any]], *, rng: np.random.Generator, draws: int, level: float
) -> list[dict[str, object]]:
    """Permute cases within groups of exchangeable units; rows for the top two metrics and for the effective number.

    Parameters
    ----------
    units
        One row per unit: ``metric`` and boolean ``case``.
    group
        Group of each unit, such as the tasks of one kind, or the metrics of one task. Under the null the cases of a
        group are a random subset of its units; then both tests hold their level for any number of units.

    Notes
    -----
    The top two are the two metrics with most cases, chosen anew in every draw, so that having chosen them after seeing
    the cases is allowed for. Both tests are one-sided: more cases on the top two, fewer effective metrics.
    """
    import pandas as pd

    metric, names = pd.factorize(units["metric"].astype(str), sort=True)
    case = units["case"].to_numpy(bool)
    total = int(case.sum())
    common: dict[str, object] = {"cases": total, "base": len(units), "n": len(units), "n_strata": len(np.unique(group))}
    if total == 0:
        nothing: dict[str, object] = {"estimate": float("nan"), "reason": "no_case", "method": "permutation"}
        return [
            common | nothing | {"metrics": "the two metrics with most cases", "effect": TOP_TWO},
            common | nothing | {"metrics": "all", "effect": EFFECTIVE_NUMBER},
        ]
    observed = np.bincount(metric[case], minlength=len(names))
    counts = _permuted_counts(case, metric, group, rng=rng, draws=draws)
    two = np.argsort(-observed, kind="stable")[:2]
    in_base = int(np.isin(metric, two).sum())
    top: dict[str, object] = {
        "metrics": f"the two metrics with most cases (here {' + '.join(sorted(names[two]))})",
        "cases_in": int(observed[two].sum()),
        "base_in": in_base,
        "share_cases": float(observed[two].sum() / total),
        "share_base": in_base / len(units),
    }
    on_top = against_null(_top_two(observed[None])[0], _top_two(counts), larger=True, level=level)
    number = against_null(hill(observed[None])[0], hill(counts), larger=False, level=level)
    return [
        common | top | {"effect": TOP_TWO} | on_top,
        common | {"metrics": "all", "effect": EFFECTIVE_NUMBER} | number,
    ]


def _permuted_counts(
    case: NDArray[np.bool_],
    metric: NDArray[np.int64],
    group: NDArray[np.integer[Any]],
    *,
    rng: np.random.Generator,
    draws: int,
) -> NDArray[np.int64]:
    """Cases per metric, shape (draws, metrics), with the cases permuted within groups."""
    order = np.argsort(group, kind="stable")
    case, metric = case[order], metric[order]
    rank = np.unique(group[order], return_inverse=True)[1].astype(np.float64)
    indicator = np.zeros((len(metric), int(metric.max()) + 1))
    indicator[np.arange(len(metric)), metric] = 1.0
    block = max(1, _BLOCK // len(case))
    counts = []
    for first in range(0, draws, block):
        keys = rank + rng.random((min(block, draws - first), len(case)))
        # Sorting group number + uniform keeps the groups in place and puts each in random order.
        counts.append(case[np.argsort(keys, axis=1)].astype(np.float64) @ indicator)
    return np.rint(np.concatenate(counts)).astype(np.int64)


def against_null(observed: float, null: NDArray[np.float64], *, larger: bool, level: float) -> dict[str, object]:
    """Place an observed statistic in its permutation null: p = (b + 1) / (m + 1), the null's median and central range.

    One-sided: ``larger`` values are the extreme ones, or smaller ones. Ties count as extreme, within 1e-12.
    """
    extreme = null >= observed - 1e-12 if larger else null <= observed + 1e-12
    low, median, high = np.quantile(null, [(1 - level) / 2, 0.5, (1 + level) / 2], method="inverted_cdf")
    return {
        "estimate": float(observed),
        "level": level,
        "method": f"permutation, {len(null)} draws",
        "p_value": (int(extreme.sum()) + 1) / (len(null) + 1),
        "p_method": f"(b + 1) / (m + 1), {'upper' if larger else 'lower'} tail",
        "null_median": float(median),
        "null_low": float(low),
        "null_high": float(high),
        "reason": "",
    }


def hill(counts: NDArray[np.int64] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Effective number of categories, Hill number of order 1, of each row of counts; NaN for an empty row."""
    total = counts.sum(axis=1, keepdims=True)
    p = np.divide(counts, total, out=np.full(counts.shape, np.nan), where=total > 0)
    logs = np.log(p, out=np.zeros_like(p), where=p > 0)
    return np.asarray(np.exp(-(p * logs).sum(axis=1)), np.float64)


def _top_two(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share of the two largest counts of each row."""
    ordered = np.sort(counts, axis=1)
    return np.asarray(ordered[:, -2:].sum(axis=1) / ordered.sum(axis=1), np.float64)
