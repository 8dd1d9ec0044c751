"""All tests and intervals of all curves: RESULTS and CURVES in, one row a curve, a forecast and a swept bound out."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bigbench_meta.analysis.curves.batch import batch_of, draw_further, p_values
from bigbench_meta.analysis.curves.fits import least_squares
from bigbench_meta.analysis.curves.intervals import implied_exponents, largest_jumps, rises, transition_widths
from bigbench_meta.analysis.curves.monotone import monotone_nulls
from bigbench_meta.analysis.curves.montecarlo import PValue, Sampling, curve_rng
from bigbench_meta.analysis.curves.noise import Noise, NoiseKind, Overdispersion, Residual, pooled_overdispersion
from bigbench_meta.analysis.curves.power import jump_misfits
from bigbench_meta.analysis.curves.predictability import Forecast, forecasts, surprise_from, surprise_null
from bigbench_meta.analysis.curves.sharpness import (
    concentration_tests,
    flexible_fits,
    level_is_doubtful,
    residual_dof,
    sharp_up_to,
    sharpness_null,
    sharpness_sweeps,
    step_share,
    trend_null,
)
from bigbench_meta.parallel import run_jobs

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

    from bigbench_meta.analysis.curves.batch import Batch, Null
    from bigbench_meta.analysis.curves.prepare import Curve

    Vector = NDArray[np.float64]

# Curves of one task that enter the noise estimate: tasks weigh the same however many subtasks they have, and more
# curves of one task add next to nothing.
_CURVES_PER_TASK = 4
# Draws that tell the expectation and degrees of freedom of a residual sum of squares to about a tenth, and their seed: they
# stand in for an integral, and the noise of an analysis must not depend on its seed, since every verdict rests on it.
_REFERENCE_DRAWS, _REFERENCE_SEED = 199, 0
# Curves that are fitted together: enough that the cost of a call no longer counts, few enough that their moments, a
# hundred kilobytes a curve and test, stay in a core's cache.
_TOGETHER = 16
# Starting processes takes about as long as testing this many batches.
WORTH_SHARING = 3
# Other tasks that a family's typical curve must rest on: the test against it takes it as known. With 19 others and
# overdispersed items it rejected 7 to 9% at 5% and up to 18% at 10%; with 59 others 6.3% of 960 at 5% (docs/validation.md).
MIN_TYPICAL_TASKS = 50

CurveKey = tuple[str, str, str, str, int]
NoiseGroup = tuple[str, NoiseKind, str]
Effects = dict[str, Any]


class CurveResult(NamedTuple):
    """What the tests say of one curve.

    Attributes
    ----------
    effects : values by column name, in units of ``curve.y``.
    forecasts : its forecasts.
    sweep : p-values of sharpness by exponent bound.
    tests : p-values by the names in `TESTS`, on which verdicts rest and which are drawn further until these are settled.
    misfits : how far stated jumps would lie from smooth and from foreseen, by test: (sizes, places).
    """

    effects: Effects
    forecasts: list[Forecast]
    sweep: dict[float, PValue]
    tests: dict[str, PValue]
    misfits: dict[str, Vector]


# The tests that verdicts rest on: can a rising, can a falling curve explain this one?
MONOTONE = ("rising", "falling")
TESTS = ("trend", "sharp", "surprise", *MONOTONE)


def noise_group(curve: Curve) -> NoiseGroup:
    """Return (family, kind of noise, metric): the curves whose scatter is pooled; items pool over metrics."""
    if curve.is_share and np.isfinite(curve.n_items):
        return curve.key[3], "items", ""
    return curve.key[3], "share" if curve.is_share else "constant", curve.key[2]


def unit_noise(curve: Curve, kind: NoiseKind) -> Noise:
    """Return the noise of a curve at phi = 1, before anything is known of its overdispersion."""
    return Noise(kind, curve.n_items if kind == "items" else np.nan, np.ones(1), np.ones(1))


def residuals(curves: Sequence[Curve], *, kind: NoiseKind) -> list[Residual]:
    """Return what the flexible fit of each curve leaves, and what it would leave at phi = 1 by simulation; one batch."""
    batch = batch_of(curves, [unit_noise(curve, kind) for curve in curves])
    fit = flexible_fits(batch)
    ssr = fit.ssr.min(axis=1)
    left = max(len(batch.x) - 3, 1)
    factor = np.ones(len(curves)) if kind == "items" else ssr / left
    scaled = [
        Noise(kind, noise.n_items, np.array([phi if phi > 0 else 1.0]), np.ones(1))
        for noise, phi in zip(batch.noises.each, factor.tolist(), strict=True)
    ]
    drawn = np.stack(
        [
            noise.draw(mean, size=_REFERENCE_DRAWS, rng=curve_rng(_REFERENCE_SEED, *curve.key, "reference"))
            for noise, mean, curve in zip(scaled, fit.mean, curves, strict=True)
        ]
    )
    sums = least_squares(drawn, plan=fit.plan, levels=batch.levels, cuts=(len(batch.shapes),))[:, :, 0]
    found = []
    for curve, squares, phi, of_draws in zip(curves, ssr.tolist(), factor.tolist(), sums, strict=True):
        if phi <= 0:
            found.append(Residual(curve.task, curve.n_items, squares, float(left), 0.0))
            continue
        mean, variance = float(of_draws.mean()) / phi, float(of_draws.var(ddof=1)) / phi**2
        dof = 2 * mean**2 / variance if variance > 0 else 0.0
        found.append(Residual(curve.task, curve.n_items, squares, mean, min(dof, float(len(curve.x)))))
    return found


class ResidualJob(NamedTuple):
    """Curves on the same scales, ready to be sent to another process."""

    curves: tuple[Curve, ...]
    kind: NoiseKind


def residuals_of(job: ResidualJob) -> list[Residual]:
    """Run `residuals` on one job."""
    return residuals(job.curves, kind=job.kind)


def pool_noise(curves: list[Curve], *, seed: int, workers: int | None = 1) -> dict[NoiseGroup, Overdispersion | None]:
    """Estimate the noise of every group of curves; None where nothing supports an estimate.

    At most four curves of a task enter, chosen by a hash of their key, so that the choice depends on nothing else. The
    estimate does not depend on ``seed``, only its interval does.
    """
    members: dict[NoiseGroup, dict[str, list[Curve]]] = defaultdict(lambda: defaultdict(list))
    for curve in curves:
        members[noise_group(curve)][curve.task].append(curve)
    picked: dict[NoiseGroup, list[Curve]] = {}
    for group, tasks in sorted(members.items()):
        picked[group] = [
            each
            for _, of_task in sorted(tasks.items())
            for each in sorted(of_task, key=lambda one: int(curve_rng(0, *one.key).integers(2**62)))[:_CURVES_PER_TASK]
        ]
    jobs, places = [], []
    for group, chosen in picked.items():
        for positions in batches([each.x for each in chosen]):
            jobs.append(ResidualJob(tuple(chosen[at] for at in positions), group[1]))
            places.append([(group, at) for at in positions])
    found: dict[tuple[NoiseGroup, int], Residual] = {}
    for where, of_job in zip(places, run_jobs(residuals_of, jobs, worth=WORTH_SHARING, workers=workers), strict=True):
        found |= zip(where, of_job, strict=True)
    return {
        group: pooled_overdispersion(
            [found[group, at] for at in range(len(chosen))], kind=group[1], rng=curve_rng(seed, *group, "noise")
        )
        for group, chosen in picked.items()
    }


def batches(keys: Sequence[Hashable]) -> list[list[int]]:
    """Gather the positions of equal keys into batches of at most `_TOGETHER`, each as even as can be.

    Examples
    --------
    >>> batches(["a", "b", "a"])
    [[0, 2], [1]]
    """
    members: dict[Hashable, list[int]] = defaultdict(list)
    for position, key in enumerate(keys):
        members[key].append(position)
    return [
        part.tolist()
        for positions in members.values()
        for part in np.array_split(positions, -(-len(positions) // _TOGETHER))
    ]


def typical_curves(curves: list[Curve]) -> dict[CurveKey, Vector]:
    """Return, by curve key, the mean curve of the other tasks of the same family, metric kind, shots and scales.

    Every task weighs the same. The mean is scaled to run from 0 to 1; where it is constant or rests on fewer than
    `MIN_TYPICAL_TASKS` tasks there is none.
    """
    groups: dict[tuple[Any, ...], dict[str, list[Curve]]] = defaultdict(lambda: defaultdict(list))
    for curve in curves:
        if curve.is_share:
            groups[curve.key[3], curve.key[4], curve.x][curve.task].append(curve)
    typical: dict[CurveKey, Vector] = {}
    for tasks in groups.values():
        if len(tasks) <= MIN_TYPICAL_TASKS:
            continue
        means = {task: np.mean([each.y for each in of_task], axis=0) for task, of_task in tasks.items()}
        total = np.sum([means[task] for task in sorted(means)], axis=0)
        for task, of_task in tasks.items():
            other = (total - means[task]) / (len(tasks) - 1)
            spread = float(np.ptp(other))
            if spread > 0:
                for each in of_task:
                    typical[each.key] = (other - other.min()) / spread
    return typical


class CurveJob(NamedTuple):
    """Curves on the same scales and what their tests need, ready to be sent to another process."""

    curves: tuple[Curve, ...]
    noises: tuple[Noise, ...]
    typical: tuple[Vector | None, ...]
    sampling: Sampling


class FurtherJob(NamedTuple):
    """One curve, some of its tests, and the number of draws that each is to rest on; ``part`` numbers the round."""

    curve: Curve
    noise: Noise
    known: dict[str, PValue]
    to: int
    seed: int
    part: int


def draw_tests_further(job: FurtherJob) -> dict[str, PValue]:
    """Add draws to some tests of one curve."""
    batch = batch_of([job.curve], [job.noise])
    nulls = _nulls(batch, set(job.known))
    return {
        name: draw_further(batch, nulls[name], known, to=job.to, seed=job.seed, part=job.part)
        for name, known in job.known.items()
    }


def _nulls(batch: Batch, names: set[str]) -> dict[str, Null]:
    """Set up the tests of these names."""
    nulls: dict[str, Null] = {}
    if "trend" in names:
        nulls["trend"] = trend_null(batch).null
    if "sharp" in names:
        nulls["sharp"] = sharpness_null(batch)
    if "surprise" in names and (surprise := surprise_null(batch)) is not None:
        nulls["surprise"] = surprise
    if names & set(MONOTONE):
        nulls |= zip(MONOTONE, monotone_nulls(batch), strict=True)
    return nulls


def _typical_tests(batch: Batch, typical: Sequence[Vector | None], *, sampling: Sampling) -> list[float]:
    """p-values against the typical curve of the family, NaN where there is none."""
    known = np.flatnonzero([each is not None for each in typical])
    p = np.full(len(typical), np.nan)
    if len(known):
        smooth = np.stack([each for each in typical if each is not None])
        found = concentration_tests(batch.of(known), smooth=smooth, sampling=sampling, name="typical")
        p[known] = [each.p for each in found]
    return p.tolist()


def infer_curves_together(job: CurveJob) -> list[CurveResult]:
    """Run every test and interval of the curves of one job.

    Values are in units of ``curve.y``; NaN where docs/curves.md says so.
    """
    curves, sampling = job.curves, job.sampling
    batch = batch_of(curves, job.noises)
    trend = trend_null(batch)
    nulls = {"trend": trend.null} | _nulls(batch, set(TESTS) - {"trend"})
    tests = {name: p_values(batch, null, sampling=sampling) for name, null in nulls.items()}
    sharp = tests["sharp"]
    sweep = sharpness_sweeps(batch, at_default=sharp, sampling=sampling)
    missed = jump_misfits(batch)
    fit = flexible_fits(batch)
    width, exponent = transition_widths(batch, fit=fit), implied_exponents(batch, fit=fit)
    change, jump = rises(batch), largest_jumps(batch)
    line = np.repeat(batch.shapes.of_kind("line").values, len(curves), axis=0)
    uneven = concentration_tests(batch, smooth=line, name="line", sampling=sampling)
    odd = _typical_tests(batch, job.typical, sampling=sampling)
    seen = forecasts(batch, sampling=sampling)
    phi = batch.noises.scale(fit.ssr.min(axis=1), residual_dof(len(batch.x)))
    found = []
    for at, (curve, noise) in enumerate(zip(curves, job.noises, strict=True)):
        whole = seen[at][-1] if seen[at] else None
        effects: Effects = {
            "trend_sign": int(trend.sign[at]),
            "sharp_level_doubtful": level_is_doubtful(curve, noise=noise),
            "sharp_up_to_exponent": sharp_up_to(sweep[at]),
            "width_decades": width[at].estimate,
            "width_low": width[at].low,
            "width_high": width[at].high,
            "width_reason": width[at].reason,
            "implied_exponent": exponent[at].estimate,
            "exponent_low": exponent[at].low,
            "exponent_high": exponent[at].high,
            "exponent_reason": exponent[at].reason,
            "rise": change[at].estimate,
            "rise_low": change[at].low,
            "rise_high": change[at].high,
            "items_effective": curve.n_items / float(phi[at]) if noise.kind == "items" else np.nan,
            "jump_high": jump[at].high,
            "detectable_jump": jump[at].detectable,
            "step_share": step_share(curve.y),
            "p_step_line": uneven[at].p,
            "p_step_typical": odd[at],
            "surprise": whole.surprise if whole else np.nan,
            "surprise_from": surprise_from(seen[at], levels=curve.levels),
        }
        misfits = {"sharp": missed.sharp[at], "surprise": missed.surprise[at]}
        found.append(
            CurveResult(effects, seen[at], sweep[at], {name: each[at] for name, each in tests.items()}, misfits)
        )
    return found
