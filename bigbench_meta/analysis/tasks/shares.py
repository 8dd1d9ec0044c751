"""What share of a population of curves is flat, smooth, sharp, falling or non-monotone, and how shares differ between groups.

Vocabulary
----------
share
    Part of the tasks of a group whose curve has a shape; a task with several curves counts once.
definition
    A rise is *sharp* if it is at least as large as the least rise and no law as wide as the bound on the exponent explains it
    (narrower than 1.34 / exponent decades from 10% to 90%), *smooth* if it is as large and wider. A fall or a
    non-monotone curve changes by at least as much; what changes by less is *flat*.
surprising
    Sharp, with at least half of its rise in the last two steps: what the smaller models do not show.

Notes
-----
Counting verdicts is no estimate of a share: a curve of twelve points often cannot be decided, and undecided ones are not smooth.
Here the likelihood of every curve in every cell (`shape_cells`) is mixed with shares that are fitted to all curves together with
their noise (`mixture`): empirical Bayes, with undecided curves counted as what they may be. p-values are not used: the
tests are conservative, so that Storey's estimate from them exceeds 1.

The limits are the outer ones of two intervals: tasks are drawn with replacement and the mixture is fitted again (percentiles), and the
profile likelihood of the share. Where a share is near 0 its lower limit is 0 and the upper one a bound. Nothing here is said
of single curves: that some of a share are sharp does not say which.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bigbench_meta.analysis.curves.prepare import LARGEST_SCORE
from bigbench_meta.analysis.tasks.mixture import at_masses, fit, profile_interval
from bigbench_meta.analysis.tasks.shape_cells import EXPONENTS, N_PHI, SIZES, cells, likelihoods
from bigbench_meta.emergence import curve_points
from bigbench_meta.facts.metrics import look_up, metrics
from bigbench_meta.schema import DERIVED_METRIC

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from bigbench_meta.analysis.pipeline import Analysis

    Vector = NDArray[np.float64]

GROUPINGS = ("all", "family", "metric", "class", "claimed")
SHAPES = ("flat", "smooth", "sharp", "fall", "nonmonotone", "surprising")
# With fewer scales a rise in two steps is half the curve.
MIN_SCALES = 5
# With fewer tasks a share is hardly more than its interval.
MIN_TASKS = 8
RESAMPLES = 199
# A lower limit below this is none: the share may be 0.
_NEAR_ZERO = 0.01
COLUMNS = [
    "group_by",
    "group",
    "shape",
    "definition",
    "share",
    "low",
    "high",
    "n_curves",
    "n_tasks",
    "n_held_out",
    "reason",
]


class Definition(NamedTuple):
    """What counts as sharp: the steepest exponent that is smooth, and the least rise (one of `SIZES`)."""

    exponent: float
    least: float

    @property
    def words(self) -> str:
        """The definition as the table writes it."""
        return f"exponent above {self.exponent:g}, change of {self.least:g} or more"

    def cells_of(self, shape: str) -> NDArray[np.bool_]:
        """Tell which cells have the shape under this definition."""
        bound = EXPONENTS.index(self.exponent)
        found = []
        for cell in cells():
            large = cell.size >= 0 and SIZES[cell.size] >= self.least - 1e-9
            sharp = large and cell.kind == "rise" and cell.width > bound
            word = "flat" if not large else cell.kind
            word = ("sharp" if sharp else "smooth") if word == "rise" else word
            found.append(sharp and cell.late if shape == "surprising" else word == shape)
        return np.array(found)


# The published exponents end at .34; a change of .10 is what a figure shows.
MAIN = Definition(0.34, 0.1)
DEFINITIONS = (MAIN, *(each for each in (Definition(exponent, least) for exponent in (0.2, 0.34, 0.5, 1.0) for least in SIZES[:3])
                       if each != MAIN))  # fmt: skip


def shares(analysis: Analysis, *, definition: str | None = None) -> pd.DataFrame:
    """Return the shares of shapes in the population of curves that was analysed.

    Parameters
    ----------
    analysis
        What `bigbench_meta.analyze` returns.
    definition
        One of the words in the column ``definition``, or ``main``; default all.

    Returns
    -------
    DataFrame
        As `population_shares` describes it.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> import pandas as pd
    >>> table = pd.DataFrame({"definition": [MAIN.words, "another"], "share": [0.3, 0.2]})
    >>> shares(SimpleNamespace(shares=table), definition="main")["share"].tolist()
    [0.3]
    """
    table = analysis.shares
    if definition is None:
        return table
    words = MAIN.words if definition == "main" else definition
    return table[table["definition"] == words].reset_index(drop=True)


def population_shares(
    curves: pd.DataFrame,
    frame: pd.DataFrame,
    *,
    claimed: pd.DataFrame,
    rng: np.random.Generator,
    registry: pd.DataFrame | None = None,
    resamples: int = RESAMPLES,
    group_by: Sequence[str] = GROUPINGS,
) -> pd.DataFrame:
    """Estimate the share of each shape, for all curves and for groups of them, and the differences between groups.

    Parameters
    ----------
    curves
        CURVES in key order, with ``n_items`` where it is known.
    frame
        The RESULTS frame that they were made of.
    claimed
        ``task, category`` of annotated tasks: ``emergent`` is claimed, the other annotated tasks are not.
    rng, resamples
        For the intervals, from tasks drawn with replacement.
    registry
        The metric registry; the packaged one by default.
    group_by
        Which of `GROUPINGS` to estimate.

    Returns
    -------
    DataFrame
        One row per group and shape (`SHAPES`), and per definition for ``sharp``: ``group_by`` (``all``, ``family``, ``metric``,
        ``class``, ``claimed``), ``group`` (``A minus B`` for a difference), ``shape, definition, share, low, high`` (95%),
        ``n_curves, n_tasks, n_held_out`` and ``reason`` where there is no share (``fewer_than_8_tasks``). Used are
        leaf curves at each family's shot count with most tasks; those of preferred metrics for ``all``, ``family`` and
        ``claimed``. Held out and counted: fewer than five scales, a missing score, a metric without a known direction or range.

    Notes
    -----
    Unit of independence: the task. Its curves share its weight of 1, and whole tasks are resampled. The limits of a difference
    are those of both groups joined (Newcombe 1998; Zou and Donner 2008), as if the groups were independent: conservative where
    they share tasks.
    """
    import pandas as pd

    used = _usable(curves, frame, metrics() if registry is None else registry)
    rows: list[dict[str, object]] = []
    done: dict[bytes, dict[tuple[str, str], tuple[float, float, float]]] = {}
    for grouping, groups in _groups(used, claimed).items():
        if grouping not in group_by:
            continue
        estimates = {}
        for group, members in groups.items():
            here = used.table[members]
            kept = np.flatnonzero(members & used.table["kept"].to_numpy(bool))
            tasks = used.table["task"].astype(str).to_numpy(np.str_)[kept]
            place = {"group_by": grouping, "group": group, "n_curves": len(kept), "n_tasks": len(set(tasks))}
            place["n_held_out"] = int((~here["kept"]).sum())
            if len(set(tasks)) < MIN_TASKS:
                found = dict.fromkeys(_KEYS, (np.nan, np.nan, np.nan))
                reason = f"fewer_than_{MIN_TASKS}_tasks"
            else:
                key = kept.tobytes()
                if key not in done:
                    done[key] = _estimate(used, kept, tasks, rng=rng, resamples=resamples)
                found, reason = done[key], ""
                estimates[group] = (found, place)
            rows += [place | _row(key, each, reason) for key, each in found.items()]
        for first, second in combinations(estimates, 2):
            (one, at_one), (two, at_two) = estimates[first], estimates[second]
            place = {name: int(at_one[name]) + int(at_two[name]) for name in ("n_curves", "n_tasks", "n_held_out")}  # type: ignore[call-overload]
            place |= {"group_by": grouping, "group": f"{first} minus {second}"}
            rows += [place | _row(key, difference(one[key], two[key]), "") for key in one]
    return pd.DataFrame(rows, columns=COLUMNS)


_KEYS = tuple((shape, MAIN.words) for shape in SHAPES) + tuple(("sharp", each.words) for each in DEFINITIONS[1:])


def _row(key: tuple[str, str], values: tuple[float, float, float], reason: str) -> dict[str, object]:
    share, low, high = values
    return {"shape": key[0], "definition": key[1], "share": share, "low": low, "high": high, "reason": reason}


def difference(first: tuple[float, float, float], second: tuple[float, float, float]) -> tuple[float, float, float]:
    """Difference of two independent shares with the limits that theirs give (share, low, high each).

    Examples
    --------
    >>> [round(value, 3) for value in difference((0.6, 0.5, 0.7), (0.3, 0.26, 0.34))]
    [0.3, 0.192, 0.408]
    """
    (p, low_p, high_p), (q, low_q, high_q) = first, second
    below, above = np.hypot(p - low_p, high_q - q), np.hypot(high_p - p, q - low_q)
    return p - q, p - q - float(below), p - q + float(above)


class _Used(NamedTuple):
    """Leaf curves: ``table`` (task, family, metric, linearity, is_preferred, kept), likelihoods and noise groups of those kept."""

    table: pd.DataFrame
    likelihood: Vector
    noise: NDArray[np.int64]


def _usable(curves: pd.DataFrame, frame: pd.DataFrame, registry: pd.DataFrame) -> _Used:
    """Return the leaf curves of each family's main shot count with their likelihoods; zeros where a curve is held out."""
    import pandas as pd

    points = curve_points(frame)
    text = {name: curves[name].astype(str) for name in ("task", "family", "metric")}
    table = pd.DataFrame(
        {**text, "shots": curves["shots"], "is_preferred": curves["is_preferred"], "number": np.arange(len(curves))}
    )
    table = table[~curves["is_aggregate"].to_numpy(bool) & (table["metric"] != DERIVED_METRIC).to_numpy()]
    n_tasks = table.groupby(["family", "shots"])["task"].nunique().reset_index().sort_values(["task", "shots"])
    main = n_tasks.drop_duplicates("family", keep="last").set_index("family")["shots"]
    table = table[(table["shots"] == table["family"].map(main)).to_numpy()].reset_index(drop=True)
    facts = look_up(table[["task", "metric"]], registry)
    table["linearity"] = facts["linearity"].to_numpy()
    kept, found, kinds = np.zeros(len(table), bool), np.zeros((len(table), len(cells()), N_PHI)), []
    items = curves["n_items"].to_numpy(np.float64)
    for position, number in enumerate(table["number"]):
        fact = facts.iloc[position]
        part = slice(points.start[number], points.start[number] + points.n_scales[number])
        scale, score = points.scale[part], points.score[part]
        span = float(fact["high"]) - float(fact["low"])
        y = (score - float(fact["low"])) / span if span > 0 else np.full(len(score), np.nan)
        y = 1.0 - y if fact["direction"] == "lower" else y
        is_share = bool(fact["linearity"] == "discontinuous" and fact["low"] == 0 and fact["continuous"] == "no")
        is_share &= bool(np.all((y >= 0) & (y <= 1)))
        n_items = float(items[number]) if is_share else np.nan
        word = "items" if np.isfinite(n_items) else "share" if is_share else f"metric {table['metric'][position]}"
        kinds.append(f"{table['family'][position]}\n{word}")
        usable = len(y) >= MIN_SCALES and np.isfinite(y).all() and (scale > 0).all() and fact["direction"] != "unknown"
        if usable and np.abs(score).max() <= LARGEST_SCORE and not points.has_unplaced[number]:
            kept[position] = True
            x = tuple(np.log10(scale).tolist())
            found[position] = likelihoods(x, y, n_items=n_items, is_share=is_share)
    return _Used(
        table.assign(kept=kept),
        found,
        np.unique(np.array(kinds), return_inverse=True)[1] if kinds else np.zeros(0, np.int64),
    )


def _groups(used: _Used, claimed: pd.DataFrame) -> dict[str, dict[str, NDArray[np.bool_]]]:
    """Members of each group by what groups them."""
    table = used.table
    preferred = table["is_preferred"].to_numpy(bool)
    category = claimed.set_index("task")["category"]
    annotated = table["task"].isin(category.index).to_numpy(bool)
    emergent = table["task"].map(category).eq("emergent").to_numpy(bool)

    def by(column: str, within: NDArray[np.bool_]) -> dict[str, NDArray[np.bool_]]:
        values = table[column].to_numpy()
        return {str(value): within & (values == value) for value in sorted(set(values[within]))}

    every = np.ones(len(table), bool)
    return {
        "all": {"all": preferred},
        "family": by("family", preferred),
        "metric": by("metric", every),
        "class": by("linearity", every),
        "claimed": {"claimed": preferred & emergent, "not claimed": preferred & annotated & ~emergent},
    }


def _estimate(
    used: _Used, kept: NDArray[np.int64], tasks: NDArray[np.str_], *, rng: np.random.Generator, resamples: int
) -> dict[tuple[str, str], tuple[float, float, float]]:
    """Share and limits of every shape and definition among the curves ``kept``."""
    names, task = np.unique(tasks, return_inverse=True)
    weights = 1.0 / np.bincount(task)[task]
    noise = np.unique(used.noise[kept], return_inverse=True)[1]
    likelihood = used.likelihood[kept]
    best = fit(likelihood, noise, weights[None])
    times = rng.multinomial(len(names), np.full(len(names), 1.0 / len(names)), size=resamples)
    again = fit(likelihood, noise, weights * times[:, task], start=best)
    over_phi = at_masses(likelihood, noise, best)
    found = {}
    for shape, words in _KEYS:
        definition = next(each for each in DEFINITIONS if each.words == words)
        chosen = definition.cells_of(shape)
        share = float(best.shares[0, chosen].sum())
        low, high = np.quantile(again.shares[:, chosen].sum(axis=1), [0.025, 0.975]).tolist()
        profile = profile_interval(over_phi, weights, best.shares[0], chosen)
        low, high = min(low, profile[0], share), max(high, profile[1], share)
        found[shape, words] = (share, 0.0 if low < _NEAR_ZERO else low, high)
    return found
