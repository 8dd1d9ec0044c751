"""Another metric on the same outputs, and whether the jump goes away.

Vocabulary
----------
pair
    Two curves of one task, subtask, family and shot count under two metrics of the same outputs: ``hard`` (arg max, all
    or nothing) and ``soft`` (partial credit or probabilities).
difference
    Soft minus hard, both oriented so that larger is better: below 0 the soft curve is less steep.
sharp
    The verdict ``sharp`` where the analysis was made, otherwise E > M - 1 (`units`); which one is said in the table. A
    curve that no test was run on (its noise is unknown, say) is neither: its pair is undefined, and counted.
unit
    The task: subtasks of a task are reduced to their median (or majority) first. Where the whole table is about one
    task, the family, and the conclusion is about that task only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bigbench_meta.analysis.multiplicity import q_values
from bigbench_meta.analysis.tasks.units import CRITERIA, exceeds, oriented

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

_CHOICE_SOFT = (
    "calibration_multiple_choice_brier_score",
    "expected_calibration_error",
    "weighted_probabilities",
    "weighted_log_probabilities",
)
_TEXT_SOFT = (
    "bleu",
    "rouge1",
    "rouge2",
    "rougeLsum",
    "bleurt",
    "log_likelihood",
    "per_token_accuracy",
    "token_edit_distance",
    "token_edit_distance_normalized",
    "character_edit_distance",
    "character_edit_distance_normalized",
    "edit_distance",
    "bert_score_accuracy",
)
# Which pairs are metrics of the same outputs: probabilities of the choices, or the generated text and its targets.
PAIRS: tuple[tuple[str, str], ...] = (
    *(("multiple_choice_grade", soft) for soft in _CHOICE_SOFT),
    *(("exact_str_match", soft) for soft in _TEXT_SOFT),
)
# With fewer units no two-sided signed-rank or McNemar test can reach 5%: 2 / 2^5 = .0625.
MIN_UNITS = 6
# The bootstrap interval of the share that stops being sharp covered 68 to 76% with about six sharp tasks and a true share
# of .8, 95% with about 33 (docs/validation.md).
FEW_SHARP = 20
# From so many units the signed-rank test notices skewness: with exponential differences about their median it rejected 23%
# at 5% on 67 units, and no more than it should on 13.
MANY_UNITS = 20
_SKEWED = 0.05


class Quantity(NamedTuple):
    """A column that is compared, whether its sign follows the metric's direction, and what it is divided by."""

    name: str
    column: str
    oriented: bool
    per: str


QUANTITIES: tuple[Quantity, ...] = (
    Quantity("emergence_score", "emergence_score", True, ""),
    Quantity("emergence_floored", "emergence_floored", True, ""),
    Quantity("width_decades", "width_decades", False, ""),
    Quantity("step_share", "step_share", False, ""),
    # Metrics have different units: the surprise is compared as a share of each curve's own range.
    Quantity("surprise_share", "surprise", False, "score_range"),
)


def swap_pairs(curves: pd.DataFrame, *, pairs: Sequence[tuple[str, str]] = PAIRS) -> pd.DataFrame:
    """Set the curves of two metrics of the same outputs side by side.

    Parameters
    ----------
    curves
        CURVES, with the columns of the analysis if it was made. Aggregates are left out: their metrics are means over
        the same subtasks.
    pairs
        (hard, soft) names of metrics.

    Returns
    -------
    DataFrame
        One row per pair: ``task, subtask, family, shots, hard, soft, n_scales``, then ``..._hard, ..._soft,
        ..._difference`` for each of `QUANTITIES` whose column exists (``surprise_share`` is the surprise over the range
        of the curve), ``sharp_hard``, ``sharp_soft`` (missing where undefined), ``sharp_by`` (the criterion) and
        ``stops_being_sharp`` (true, false, missing unless the hard curve is sharp). Values are oriented so that larger
        is better: a falling Brier score is a rise. Empty if no task carries a pair.
    """
    import pandas as pd

    leaves = curves[~curves["is_aggregate"].to_numpy(bool)].reset_index(drop=True)
    by_name = {criterion.name: criterion for criterion in CRITERIA}
    word = "verdict sharp" if "verdict" in leaves.columns else "E > M - 1"
    key = ["task", "subtask", "family", "shots"]
    side = leaves[[*key, "n_scales"]].assign(metric=leaves["metric"].astype(str), sharp=exceeds(leaves, by_name[word]))
    for name in ("task", "subtask", "family"):
        side[name] = side[name].astype(str)
    names = [quantity.name for quantity in QUANTITIES if quantity.column in leaves.columns]
    for quantity in (quantity for quantity in QUANTITIES if quantity.name in names):
        values = (
            oriented(leaves, quantity.column) if quantity.oriented else leaves[quantity.column].to_numpy(np.float64)
        )
        if quantity.per:
            per = leaves[quantity.per].to_numpy(np.float64)
            values = np.divide(values, per, out=np.full(len(per), np.nan), where=per > 0)
        side[quantity.name] = values
    parts = [
        side[side["metric"] == hard]
        .drop(columns="metric")
        .merge(side[side["metric"] == soft].drop(columns=["metric", "n_scales"]), on=key, suffixes=("_hard", "_soft"))
        .assign(hard=hard, soft=soft)
        for hard, soft in pairs
    ]
    table = pd.concat(parts, ignore_index=True)
    for name in names:
        table[f"{name}_difference"] = table[f"{name}_soft"] - table[f"{name}_hard"]
    table["stops_being_sharp"] = (~table["sharp_soft"]).where(table["sharp_hard"].fillna(value=False))
    table["sharp_by"] = word
    ordered = [f"{name}_{end}" for name in names for end in ("hard", "soft", "difference")]
    flags = ["sharp_hard", "sharp_soft", "stops_being_sharp", "sharp_by"]
    table = table[[*key, "hard", "soft", "n_scales", *ordered, *flags]]
    return table.sort_values(["hard", "soft", *key], ignore_index=True)


def swap_tests(pairs: pd.DataFrame, *, rng: np.random.Generator, draws: int = 999, level: float = 0.95) -> pd.DataFrame:
    """Test, for every pair of metrics, whether the soft curve differs from the hard one on the same outputs.

    Parameters
    ----------
    pairs
        What `swap_pairs` returns.
    rng, draws
        For the bootstrap of whole units.
    level
        Confidence level of the intervals.

    Returns
    -------
    DataFrame
        One row per (hard, soft, family, shots, quantity): ``unit``, ``n_units``, ``n_pairs``, ``n_undefined`` (pairs
        without a value on both sides), ``estimate, low, high, method, p_value, q_value, reason``. For quantities the
        estimate is the Hodges-Lehmann shift (soft minus hard) with the interval that inverts the signed-rank test. For
        ``sharp`` it is the share of units sharp under the hard metric that are not sharp under the soft one, with a
        bootstrap interval over units, beside the exact McNemar test; ``only_hard`` and ``only_soft`` count the
        discordant units. Fewer than `MIN_UNITS` units: no test, reason ``fewer_than_6_units``, but the estimate stands.
        ``q_value``: Benjamini-Hochberg over all pairs, families and shots of one quantity. Where the table is about one
        task the families are the units, and the rows have the family ``all``.

    Notes
    -----
    Unit of independence: the task (its subtasks reduced to the median difference, or the majority of sharp curves),
    or the family where there is one task. The p-value of the shift is exact given the ranks, ties and all; the test
    takes the differences as symmetric about the shift: where they are clearly not (skewness test at 5%, from `MANY_UNITS`
    units) the reason is ``skewed_differences``, and p-value and interval are too small. Tasks share the models: see `common_shift`.
    """
    import pandas as pd

    columns = ["hard", "soft", "family", "shots", "quantity", "unit", "n_units", "n_pairs", "n_undefined"]
    columns += ["estimate", "low", "high", "level", "only_hard", "only_soft", "method", "p_value", "q_value", "reason"]
    if pairs.empty:
        return pd.DataFrame(columns=columns)
    unit = "family" if len(pairs["task"].unique()) == 1 else "task"
    work = pairs.assign(unit_name=pairs[unit])
    if unit == "family":
        work = work.assign(family="all")
    names = [name.removesuffix("_difference") for name in pairs.columns if name.endswith("_difference")]
    rows: list[dict[str, object]] = []
    for (hard, soft, family, shots), part in work.groupby(["hard", "soft", "family", "shots"], sort=True):
        place = {"hard": hard, "soft": soft, "family": family, "shots": shots, "unit": unit, "level": level}
        for name in names:
            values = part[f"{name}_difference"]
            shifts = values.groupby(part["unit_name"]).median().dropna().to_numpy(np.float64)
            counts = {"quantity": name, "n_pairs": len(part), "n_undefined": int(values.isna().sum())}
            rows.append(place | counts | _shift(shifts, level=level))
        rows.append(
            place | {"quantity": "sharp", "n_pairs": len(part)} | _mcnemar(part, rng=rng, draws=draws, level=level)
        )
    table = pd.DataFrame(rows).reindex(columns=columns)
    return _with_q_values(table)


def _with_q_values(table: pd.DataFrame) -> pd.DataFrame:
    table = table.astype(dict.fromkeys(("p_value", "q_value", "estimate", "low", "high"), "float64"))
    table["q_value"] = table.groupby("quantity")["p_value"].transform(q_values)
    return table


def _shift(differences: Vector, *, level: float) -> dict[str, object]:
    from scipy.stats import skewtest

    nan = float("nan")
    n = len(differences)
    found: dict[str, object] = {"n_units": n, "method": "Hodges-Lehmann, signed rank", "reason": ""}
    if n == 0:
        return found | {"estimate": nan, "reason": "no_defined_pair"}
    estimate, low, high = hodges_lehmann(differences, level=level)
    if n < MIN_UNITS:
        return found | {"estimate": estimate, "reason": f"fewer_than_{MIN_UNITS}_units"}
    if n >= MANY_UNITS and np.ptp(differences) > 0 and skewtest(differences).pvalue <= _SKEWED:
        found["reason"] = "skewed_differences"
    return found | {"estimate": estimate, "low": low, "high": high, "p_value": signed_rank_p_value(differences)}


def signed_rank_p_value(differences: Vector) -> float:
    """Two-sided Wilcoxon signed-rank p-value, exact given the ranks: zeros dropped, ties at their mid-rank.

    Every assignment of signs to the ranks is equally likely under the null; their sum is counted by convolution. NaN if
    all differences are zero.

    Examples
    --------
    >>> signed_rank_p_value(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))
    0.03125
    """
    from scipy.stats import rankdata

    differences = differences[differences != 0]
    if not len(differences):
        return float("nan")
    doubled = np.rint(2 * rankdata(np.abs(differences))).astype(np.int64)
    null = _sign_sums(doubled)
    positive = int(doubled[differences > 0].sum())
    tail = min(float(null[: positive + 1].sum()), float(null[positive:].sum()))
    return min(1.0, 2.0 * tail)


def hodges_lehmann(differences: Vector, *, level: float) -> tuple[float, float, float]:
    """Median of the Walsh averages with the interval that inverts the signed-rank test.

    The limits are NaN where so few differences cannot give an interval of that level. With ties the interval is
    conservative.
    """
    n = len(differences)
    first, second = np.triu_indices(n)
    walsh = np.sort((differences[first] + differences[second]) / 2.0)
    cumulative = np.cumsum(_sign_sums(np.arange(1, n + 1)))
    # k averages are cut at each end, k the largest with P(W <= k - 1) at most half the error.
    k = int(np.searchsorted(cumulative, (1.0 - level) / 2.0 + 1e-12, side="right"))
    if k == 0:
        return float(np.median(walsh)), float("nan"), float("nan")
    return float(np.median(walsh)), float(walsh[k - 1]), float(walsh[len(walsh) - k])


def _sign_sums(ranks: NDArray[np.int64]) -> Vector:
    """Probability of each value of the sum of a random subset of ``ranks``."""
    null = np.ones(1)
    for rank in ranks.tolist():
        grown = np.zeros(len(null) + rank)
        grown[: len(null)] += null / 2.0
        grown[rank:] += null / 2.0
        null = grown
    return null


def _mcnemar(part: pd.DataFrame, *, rng: np.random.Generator, draws: int, level: float) -> dict[str, object]:
    """Exact McNemar test of sharp under hard against soft, and the share of sharp units that stop being sharp."""
    from statsmodels.stats.contingency_tables import mcnemar

    known = part[part["sharp_hard"].notna() & part["sharp_soft"].notna()]
    flags = known[["sharp_hard", "sharp_soft"]].astype("float64").groupby(known["unit_name"]).mean() >= 0.5
    hard, soft = flags["sharp_hard"].to_numpy(bool), flags["sharp_soft"].to_numpy(bool)
    n, only_hard, only_soft = len(flags), int((hard & ~soft).sum()), int((soft & ~hard).sum())
    nan = float("nan")
    found: dict[str, object] = {
        "n_units": n,
        "n_undefined": len(part) - len(known),
        "only_hard": only_hard,
        "only_soft": only_soft,
        "estimate": only_hard / int(hard.sum()) if hard.any() else nan,
        "method": "exact McNemar; bootstrap over units",
        "reason": "" if hard.any() else "no_unit_sharp_under_the_hard_metric",
    }
    if n < MIN_UNITS:
        return found | {"reason": f"fewer_than_{MIN_UNITS}_units"}
    table = [[int((hard & soft).sum()), only_hard], [only_soft, int((~hard & ~soft).sum())]]
    if only_hard + only_soft:
        found["p_value"] = min(1.0, float(mcnemar(table, exact=True).pvalue))
    else:
        found["reason"] = "no_discordant_unit"
    if int(hard.sum()) >= MIN_UNITS:
        picked = rng.integers(0, n, (draws, n))
        sharp = hard[picked].sum(axis=1)
        share = np.divide((hard & ~soft)[picked].sum(axis=1), sharp, out=np.full(draws, np.nan), where=sharp > 0)
        if int(hard.sum()) < FEW_SHARP and not found["reason"]:
            found["reason"] = f"interval_too_short_below_{FEW_SHARP}_sharp_units"
        found["low"], found["high"] = np.nanquantile(share, [(1 - level) / 2, (1 + level) / 2]).tolist()
    return found
