"""Were the larger models foreseen from the smaller ones? Forecasts by several laws, and the surprise that is left.

Vocabulary
----------
held out h
    The h largest scales are set aside; the law is fitted to the M - h smaller ones and forecasts the largest.
law
    ``line`` (straight in log scale), ``sigmoid`` (logistic, bounded levels and width), ``theory`` (the paper's convex
    curve with a bounded exponent), ``broken_power_law`` (one break among the smaller scales).
surprise
    Observed minus the forecast of the law that comes closest, in units of the score. It counts only if the score
    exceeds what *every* law allows: p is the largest over the laws (an intersection-union test), so that a smooth
    convex curve survives.

Notes
-----
For a score y at the largest scale let ``T(y)`` be how much worse the law's best curve through the smaller scales *and* y
fits than its best curve through the smaller scales alone, over phi. The interval of the law is ``T(y) <= q^2``. The test
is one-sided: the statistic counts only where y lies above the joint fit. Its null draws whole curves from the law fitted
to all scales and treats them likewise; over several h the statistic is the largest. Inverting one statistic gives
interval and p-value alike, and laws whose place is not identified pay for it with wide intervals, not with wrong ones.
The unit of independence is the curve's models.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from bigbench_meta.analysis.curves.batch import Null
from bigbench_meta.analysis.curves.fits import Design, anchor, best_fit, design, least_squares
from bigbench_meta.analysis.curves.laws import DEFAULT_BOUND, Shapes, broken_power_laws, dictionary
from bigbench_meta.analysis.curves.montecarlo import (
    EXCEEDANCES,
    PValue,
    Sampling,
    at_least,
    sequential_pvalues,
    side_draws,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bigbench_meta.analysis.curves.batch import Batch
    from bigbench_meta.analysis.curves.fits import Levels
    from bigbench_meta.analysis.curves.noise import Noises

    Vector = NDArray[np.float64]
    Indices = NDArray[np.int64]

Law = Literal["line", "sigmoid", "theory", "broken_power_law"]
HELD_OUT = (1, 2, 3)
# Smaller scales that each law needs; a curve needs at least one more, the one that is forecast. A law with as many points
# as parameters says nothing that the points do not: the line has 2, the broken power law 6. The sigmoid and the theory
# have 4, but their width and place lie on a bounded grid and are hardly identified where the curve is flat or still
# rising; they may be fitted to three points, as the line may, since their bounds do the rest.
MIN_SEEN: dict[Law, int] = {"line": 3, "sigmoid": 3, "theory": 3, "broken_power_law": 7}
# The order in which laws are asked: the line, on which facts are published, always with all draws; then by how often
# the law is the one that foresees the score.
_FIRST_ASKED: tuple[Law, ...] = ("line", "broken_power_law", "sigmoid", "theory")
COMBINED = "all_laws"
LEVEL = 0.95
# Draws from which the statistic of each h learns its mean, to a fifth or so, and their seed: they are part of what the
# statistic is, so that it is the same in every analysis. A mean of nearly nothing divides nothing up.
_PILOT_DRAWS, _PILOT_SEED, _LEAST_DIVISOR = 49, 0, 0.05
# Scores at which an interval is evaluated; its ends are interpolated.
_GRID = 61
# Ends of intervals that differ by rounding from the top of the range are at the top.
_ROUNDING = 1e-9


class Forecast(NamedTuple):
    """One forecast of the largest scale, in the curve's own units (oriented, 0-1 where the metric has a range).

    ``low`` and ``high`` are the two-sided 95% interval, ``p`` is one-sided for a score above the law. ``held_out`` 0 means all
    h together: ``p`` allows for the choice among them, forecast, interval and surprise are those of the h that surprises most.
    """

    held_out: int
    law: str
    forecast: float
    low: float
    high: float
    observed: float
    surprise: float
    p: float
    draws: int


class Window(NamedTuple):
    """One law fitted to the first ``n_seen`` scales of each curve, and to these and the last."""

    held_out: int
    n_seen: int
    last: Vector  # (K,): the shapes at the last scale
    seen: Design
    both: Design

    def of(self, curves: Indices) -> Window:
        """Keep some of the curves."""
        return self._replace(seen=self.seen.of(curves), both=self.both.of(curves))


@lru_cache(maxsize=512)
def laws_of(x: tuple[float, ...], n_seen: int) -> dict[Law, Shapes]:
    """Return the shapes on the scales ``x`` of every law that ``n_seen`` points can carry, by law."""
    shapes = dictionary(x)
    laws: dict[Law, Shapes] = {}
    if n_seen >= MIN_SEEN["line"]:
        laws["line"] = shapes.of_kind("line")
        laws["sigmoid"] = shapes.of_kind("logistic", exponent=DEFAULT_BOUND)
        laws["theory"] = shapes.of_kind("theory", exponent=DEFAULT_BOUND)
    if n_seen >= MIN_SEEN["broken_power_law"]:
        laws["broken_power_law"] = broken_power_laws(x, n_seen)
    return laws


def window_of(values: Vector, weights: Vector, held_out: int) -> Window:
    """Take the moments of a law's shapes (K, M) for one h, under the weights (C, M) of each curve."""
    n_seen = weights.shape[1] - held_out
    both = [*range(n_seen), weights.shape[1] - 1]
    return Window(
        held_out,
        n_seen,
        values[:, -1],
        design(values[:, :n_seen], weights[:, :n_seen]),
        design(values[:, both], weights[:, both]),
    )


def misfit(y: Vector, *, window: Window, levels: Levels) -> tuple[Vector, Vector, Vector]:
    """Return the sum of squares without and with the last scale, and the joint fit there, for each draw (C, D, M)."""
    seen, last = y[:, :, : window.n_seen], y[:, :, -1:]
    alone = least_squares(seen, plan=window.seen, levels=levels, cuts=(len(window.last),))[:, :, 0]
    joint = best_fit(np.concatenate([seen, last], axis=2), plan=window.both, levels=levels)
    fitted = joint.lower + (joint.upper - joint.lower) * window.last[joint.shape]
    return alone, joint.ssr, fitted


def _excess(y: Vector, *, window: Window, levels: Levels, noises: Noises, dof: float) -> Vector:
    """One-sided statistic of draws (C, D, M) for one window."""
    alone, joint, fitted = misfit(y, window=window, levels=levels)
    return np.where(y[:, :, -1] > fitted, np.maximum(joint - alone, 0.0) / noises.scale(alone, dof), 0.0)


def _dof(n_seen: int, law: Law) -> float:
    spent = 2.0 if law == "line" else 3.0
    return max(n_seen - spent, 0.5)


def _intervals(batch: Batch, *, values: Vector, n_seen: int, law: Law) -> list[tuple[float, float, float]]:
    """Forecast of the best shape and the law's interval, per curve, from the smaller scales alone."""
    levels, seen = batch.levels, batch.y[:, :n_seen]
    first = anchor(seen, values=values[:, :n_seen], among=len(values), noises=batch.noises, levels=levels)
    best = best_fit(seen[:, None, :], plan=first.plan, levels=levels)
    forecast = (best.lower + (best.upper - best.lower) * values[best.shape, -1])[:, 0]
    weights = np.column_stack([first.plan.weights, 1.0 / batch.noises.unit_variance(forecast[:, None])])
    both = design(np.column_stack([values[:, :n_seen], values[:, -1]]), weights)
    inside_levels = np.clip(forecast, levels.low, levels.high)
    grid = np.sort(np.column_stack([np.linspace(levels.low, levels.high, _GRID).T, inside_levels]), axis=1)
    rows = np.concatenate([np.repeat(seen[:, None, :], _GRID + 1, axis=1), grid[:, :, None]], axis=2)
    excess = best_fit(rows, plan=both, levels=levels).ssr - best.ssr
    critical = batch.noises.critical_square(
        best.ssr[:, 0], _dof(n_seen, law), LEVEL, parameters=1 if law == "line" else 2
    )
    return [
        (value, *_ends(value, points, over, limit))
        for value, points, over, limit in zip(forecast.tolist(), grid, excess, critical.tolist(), strict=True)
    ]


def _ends(forecast: float, grid: Vector, excess: Vector, critical: float) -> tuple[float, float]:
    """Ends of the scores of a grid whose misfit is at most ``critical``, interpolated; the forecast where there is none."""
    inside = np.flatnonzero(excess <= critical)
    if not len(inside):
        return forecast, forecast
    ends = []
    for at, towards in ((int(inside[0]), -1), (int(inside[-1]), 1)):
        end, beyond = float(grid[at]), at + towards
        if 0 <= beyond < len(grid):
            end += float((grid[beyond] - end) * (critical - excess[at]) / (excess[beyond] - excess[at]))
        ends.append(end)
    return ends[0], ends[1]


def forecasts(batch: Batch, *, sampling: Sampling, held_out: tuple[int, ...] = HELD_OUT) -> list[list[Forecast]]:
    """Forecast the largest scale of each curve by every law and hold-out, and combine the laws.

    Returns
    -------
    list of lists of Forecast
        Per h and law; per h all laws together; and last all h and laws together (``held_out`` 0), the surprise of the
        curve: its p is the largest over the laws of the p of the largest statistic over h. Empty if no h leaves
        enough scales (a line needs 3, so 4 scales allow h = 1 only). Once one law clearly allows the score, its p being
        at least 20/draws, the curve's p can only be larger: then the laws left, but for the line, get a fifth of the
        draws, and their own p is at least 5/(draws + 1).
    """
    n_scales = len(batch.x)
    usable = tuple(h for h in held_out if n_scales - h >= MIN_SEEN["line"])
    names = list(laws_of(batch.x, n_scales - usable[0])) if usable else []
    tested: list[dict[Law, tuple[list[Forecast], PValue]]] = [{} for _ in batch.curves]
    foreseen = np.zeros(len(batch.curves), dtype=bool)
    side = sampling._replace(draws=side_draws(sampling.draws))
    for law in sorted(names, key=_FIRST_ASKED.index):
        carried = tuple(h for h in usable if n_scales - h >= MIN_SEEN[law])
        fewer = foreseen & (law != "line")
        for curves, most in ((np.flatnonzero(~fewer), sampling), (np.flatnonzero(fewer), side)):
            if len(curves):
                results = _law_tests(batch.of(curves), law=law, sampling=most, held_out=carried)
                for at, result in zip(curves, results, strict=True):
                    tested[at][law] = result
        foreseen |= [of_curve[law][1].draws < sampling.draws for of_curve in tested]
    return [_all_laws(of_curve, names=names, usable=usable) for of_curve in tested] if usable else [[] for _ in tested]


def _all_laws(
    tested: dict[Law, tuple[list[Forecast], PValue]], *, names: list[Law], usable: tuple[int, ...]
) -> list[Forecast]:
    rows = [row for law in names for row in tested[law][0]]
    overall = [tested[law][1] for law in names]
    combined = [_combine([row for row in rows if row.held_out == h], h) for h in usable]
    # The hold-out that surprises most speaks for the curve; the smallest h wins a tie.
    speaker = min(combined, key=lambda row: (row.p, -row.surprise))
    worst = max(overall, key=lambda result: result.p)
    total = speaker._replace(held_out=0, p=worst.p, draws=worst.draws)
    return [*rows, *combined, total]


def surprise_from(rows: list[Forecast], *, levels: Levels) -> float:
    """Return the smallest score of the largest scale that lies above the interval of every law, for some hold-out.

    By the two-sided 95% intervals, before any correction for the number of tests. NaN where even the top of the score's
    range lies inside: then no score could have been a surprise, and that none was found says nothing. Few scales forecast
    widely: at a true score of .25 on 200 items a surprise took .54 with 4 scales, .71 with 5 and .41 with 8 (medians of 12
    simulated curves each).
    """
    reach = min((row.high for row in rows if row.law == COMBINED and row.held_out), default=np.nan)
    return float(reach) if reach < levels.high - _ROUNDING else np.nan


def _law_tests(
    batch: Batch, *, law: Law, sampling: Sampling, held_out: tuple[int, ...]
) -> list[tuple[list[Forecast], PValue]]:
    n_scales = len(batch.x)
    largest_seen = laws_of(batch.x, n_scales - held_out[0])[law].values
    null = anchor(batch.y, values=largest_seen, among=len(largest_seen), noises=batch.noises, levels=batch.levels)
    shapes = [laws_of(batch.x, n_scales - h)[law].values for h in held_out]
    windows = [window_of(values, null.plan.weights, h) for values, h in zip(shapes, held_out, strict=True)]

    def statistics(y: Vector, curves: Indices) -> Vector:
        levels, noises = batch.levels_of(curves), batch.noises.of(curves)
        columns = [
            _excess(y, window=each.of(curves), levels=levels, noises=noises, dof=_dof(each.n_seen, law))
            for each in windows
        ]
        return np.stack(columns, axis=2)

    observed = statistics(batch.y[:, None, :], batch.every)[:, 0]
    draws_of = Null(observed.max(axis=1), null.mean, batch.noises, statistics, ("surprise", law))
    draw = draws_of.drawer(batch.curves, seed=sampling.seed)
    kept: list[list[Vector]] = [[] for _ in batch.curves]

    def simulate(curves: Indices, size: int) -> Vector:
        drawn = statistics(draw(curves, size), curves)
        for at, rows in zip(curves.tolist(), drawn, strict=True):
            kept[at].append(rows)
        return np.asarray(drawn.max(axis=2))

    together = sequential_pvalues(observed.max(axis=1), simulate, draws=sampling.draws, least=0.0)
    intervals = [
        _intervals(batch, values=values, n_seen=each.n_seen, law=law)
        for values, each in zip(shapes, windows, strict=True)
    ]
    limits = at_least(observed)
    found = []
    for at, curve in enumerate(batch.curves):
        # The same draws serve each h on its own: all that were made, so p = (b + 1)/(m + 1).
        # Where none was made, no score is above any law and p = 1.
        drawn = np.concatenate(kept[at]) if kept[at] else np.zeros((EXCEEDANCES, len(windows)))
        large = np.count_nonzero(drawn >= limits[at], axis=0)
        rows = []
        for column, window in enumerate(windows):
            forecast, low, high = intervals[column][at]
            last = float(curve.y[-1])
            p = float(large[column] + 1) / (len(drawn) + 1)
            rows.append(Forecast(window.held_out, law, forecast, low, high, last, last - forecast, p, len(drawn)))
        found.append((rows, together[at]))
    return found


def surprise_null(batch: Batch) -> Null | None:
    """Set up the test that some law foresees the largest scale; None where no h leaves enough scales.

    Notes
    -----
    For each h the statistic is the smallest over the laws of what `forecasts` tests for each: the law that foresees best
    speaks. (Fitted to the shapes of all laws at once, the smaller scales would choose one law and the largest another, and
    what is then missed is partly how coarse the shapes of a law are.) It is divided by its own mean under the null, and the
    largest over h is taken: without the division the h whose statistic scatters most would drown the others. The divisors
    come from draws of their own that are the same in every analysis. The null draws from the best fit of any law to all
    scales, and treats its draws likewise: one calibration for all laws and h together.
    """
    n_scales = len(batch.x)
    usable = [h for h in HELD_OUT if n_scales - h >= MIN_SEEN["line"]]
    if not usable:
        return None
    every = np.concatenate([shapes.values for shapes in laws_of(batch.x, n_scales - usable[0]).values()])
    null = anchor(batch.y, values=every, among=len(every), noises=batch.noises, levels=batch.levels)
    windows = [windows_of(batch.x, h, weights=null.plan.weights) for h in usable]

    def each_h(y: Vector, curves: Indices) -> Vector:
        levels, noises = batch.levels_of(curves), batch.noises.of(curves)
        columns = []
        for laws in windows:
            least: Vector | None = None
            for law, window in laws.items():
                excess = _excess(
                    y, window=window.of(curves), levels=levels, noises=noises, dof=_dof(window.n_seen, law)
                )
                least = excess if least is None else np.minimum(least, excess)
            columns.append(least)
        return np.stack(columns, axis=2)  # type: ignore[arg-type]

    observed = each_h(batch.y[:, None, :], batch.every)[:, 0]
    divisors = np.ones((len(batch.curves), len(windows)))
    # Where nothing lies above its law the statistic is 0 whatever it is divided by.
    some = np.flatnonzero(observed.max(axis=1) > 0)
    if len(some):
        pilot = Null(observed, null.mean, batch.noises, each_h, ("surprise", COMBINED, "divisors"))
        drawn = each_h(pilot.drawer(batch.curves, seed=_PILOT_SEED)(some, _PILOT_DRAWS), some)
        divisors[some] = np.maximum(drawn.mean(axis=1), _LEAST_DIVISOR)

    def statistic(y: Vector, curves: Indices) -> Vector:
        return np.asarray((each_h(y, curves) / divisors[curves, None, :]).max(axis=2))

    return Null((observed / divisors).max(axis=1), null.mean, batch.noises, statistic, ("surprise", COMBINED))


def windows_of(x: tuple[float, ...], held_out: int, *, weights: Vector) -> dict[Law, Window]:
    """Take the moments of every law for one h, under the weights (C, M) of each curve."""
    laws = laws_of(x, len(x) - held_out)
    return {law: window_of(shapes.values, weights, held_out) for law, shapes in laws.items()}


def _combine(rows: list[Forecast], held_out: int) -> Forecast:
    """All laws together: the closest forecast, the hull of the intervals, the largest p."""
    closest = min(rows, key=lambda row: abs(row.surprise))
    worst = max(rows, key=lambda row: row.p)
    return Forecast(
        held_out,
        COMBINED,
        closest.forecast,
        min(row.low for row in rows),
        max(row.high for row in rows),
        closest.observed,
        closest.surprise,
        worst.p,
        worst.draws,
    )
