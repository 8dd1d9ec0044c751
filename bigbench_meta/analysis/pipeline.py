"""RESULTS in, findings out: every curve tested, every forecast, and the tables built on them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from bigbench_meta.analysis.curves.decisions import RISK, open_decisions
from bigbench_meta.analysis.curves.inference import (
    WORTH_SHARING,
    CurveJob,
    CurveResult,
    FurtherJob,
    batches,
    draw_tests_further,
    infer_curves_together,
    noise_group,
    pool_noise,
    typical_curves,
)
from bigbench_meta.analysis.curves.laws import DEFAULT_BOUND, EXPONENT_BOUNDS
from bigbench_meta.analysis.curves.montecarlo import Sampling
from bigbench_meta.analysis.curves.noise import noise_of_errors
from bigbench_meta.analysis.curves.outcomes import curve_table, forecast_table, noise_table, point_table, sweep_table
from bigbench_meta.analysis.curves.predictability import HELD_OUT, MIN_SEEN
from bigbench_meta.analysis.curves.prepare import Curve, prepare_curves
from bigbench_meta.analysis.curves.verdicts import FALSE_DISCOVERY_RATE, FLAT_MARGIN, JUMP_MARGIN, hangs_on_fixed_levels
from bigbench_meta.analysis.tasks.lengths import given_lengths
from bigbench_meta.analysis.tasks.overview import over_tasks
from bigbench_meta.analysis.unmatched import not_used
from bigbench_meta.analysis.views import AnalysisViews
from bigbench_meta.axes import on_axis
from bigbench_meta.emergence.points import POINT_COLUMNS
from bigbench_meta.errors import AnalysisError
from bigbench_meta.parallel import run_jobs
from bigbench_meta.progress import shown
from bigbench_meta.seeds import as_generator

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from bigbench_meta.analysis.curves.inference import NoiseGroup
    from bigbench_meta.analysis.curves.noise import Noise, Overdispersion
    from bigbench_meta.loader import Results
    from bigbench_meta.progress import Progress

    Vector = NDArray[np.float64]

# Up to that many curves all leaf curves are tested; beyond, only those of the family of tests unless asked for.
MOST_CURVES_UNASKED = 4000
# Draws of one test beyond which its decision is left open: a p-value a tenth away from the limit of its correction is told
# apart from it by then if that limit is .001 or more.
DRAW_LIMIT = 100_000
# Each round draws so many times as far as the last.
_FURTHER = 4
# Whoever asks for fewer draws wants speed, not resolution.
_MIN_TO_GO_ON = 999
Job = TypeVar("Job")


@dataclass(frozen=True, repr=False)
class Analysis(AnalysisViews):
    """What an analysis found.

    Attributes
    ----------
    curves : CURVES with everything that analysis adds, one row a curve (see docs/columns.md for each column).
    forecasts : one row per (curve, held_out, law): forecast of the largest scale, its 95% interval, what was
        observed, the surprise and its one-sided p and q; ``held_out`` 0 is all hold-outs together.
    sweep : one row per (curve, exponent bound): p of sharpness against that bound.
    points : one row per (curve, scale): the score, its standard error from items alone and with overdispersion.
    noise : one row per group of curves whose noise is pooled: overdispersion (items) or scatter (no items).
    concentration, specifications, swaps, swap_tests, claims, agreement, common_shift, lengths, shares, effects, task_effects : findings over tasks,
        as `bigbench_meta.analysis.tasks.overview.OverTasks` describes them.
    settings : every choice and count, ready for JSON.
    """

    curves: pd.DataFrame
    forecasts: pd.DataFrame
    sweep: pd.DataFrame
    points: pd.DataFrame
    noise: pd.DataFrame
    concentration: pd.DataFrame
    specifications: pd.DataFrame
    swaps: pd.DataFrame
    swap_tests: pd.DataFrame
    claims: pd.DataFrame
    agreement: pd.DataFrame
    common_shift: pd.DataFrame
    lengths: pd.DataFrame
    shares: pd.DataFrame
    effects: pd.DataFrame
    task_effects: pd.DataFrame
    settings: dict[str, Any] = field(default_factory=dict)


def analyze(
    results: Results | pd.DataFrame,
    *,
    rng: np.random.Generator | int,
    draws: int = 999,
    draw_limit: int = DRAW_LIMIT,
    items: pd.DataFrame | None = None,
    definitions: pd.DataFrame | None = None,
    lengths: pd.DataFrame | None = None,
    registry: pd.DataFrame | None = None,
    every_metric: bool | None = None,
    axis: str = "params",
    workers: int | None = None,
    progress: Progress | bool | None = None,
) -> Analysis:
    """Test every curve of a set of results and say what can, and what cannot, be concluded.

    Parameters
    ----------
    results : what `bigbench_meta.load_results` returns, a RESULTS frame, or a frame with the columns
        ``task, metric, family, model, scale, score``, the others then at their defaults.
    rng : the one source of randomness, a generator or the seed of one (``rng=0``). Each curve gets numbers of its own from it and its key, so that a result
        depends neither on the order nor on the number of curves, except through the noise they share.
    draws : draws of the null per test; curves with clearly large p-values stop early. Where the smallest p-value that
        they allow, 1/(draws + 1), could not pass the correction for the family of tests, the curves with small ones are
        drawn further, up to ``settings["most_draws"]`` (not below 999 draws: that asks for speed).
    draw_limit : the most draws that any curve is drawn further to, whatever the number of tests. With 20,000 the
        smallest p-value is 5e-5: enough for a single finding among 1,000 tests; among 16,000 at least 16 curves must
        reach it together, and `findings` says so. Four times as many tests need four times the limit.
    items : frame ``task, n_items`` and, where needed, ``subtask`` and ``family``: items behind each point. For tasks that
        it does not name the column ``n_items`` of the results counts; without either, facts about BIG-G's tasks are used
        where the scores do not contradict them.
    definitions : items counted in a source's own ``task.json``, by `bigbench_meta.loader.bigbench.definitions.task_definitions`;
        they stand in for the packaged facts about the tasks that they name.
    lengths : frame ``task, target_length`` and, where needed, ``subtask``: tokens of the targets. Without it, a subtask
        whose name ends in ``length_L`` has L; see `bigbench_meta.analysis.tasks.lengths.length_tests`.
    registry : the metric registry as `bigbench_meta.metrics` returns it; the packaged one by default. Directions and
        ranges that the results give themselves are added to it.
    every_metric : test the curves of all metrics, not only of the preferred ones. By default up to 4,000 curves.
    axis : what orders the models of a curve: ``params``, ``compute``, ``tokens``, ``step`` or ``loss``; see
        `bigbench_meta.axes`.
    workers : processes that share the curves, by default one per core where there are curves enough to be worth their
        start; results do not depend on it, to the byte.
    progress : called as ``progress(done, total, what)``; True and False show a line with counts, rate and time left, or none;
        by default it is shown in a notebook and an interactive console.

    Returns
    -------
    Analysis

    Raises
    ------
    AnalysisError
        If there is no curve at all, ``draws`` is below 19 (no p-value could reach 5%), or ``items`` or ``lengths`` is
        malformed.

    Notes
    -----
    The family of tests: all tested leaf curves of preferred metrics, over all model families and shots, corrected
    together by Benjamini-Hochberg, separately for trend, sharpness and surprise. Curves that a test refuses are held
    out and counted in ``settings``. Curves of one task share their items, and all curves of a family share its models:
    Benjamini-Hochberg holds under the positive dependence that this brings, not under any.
    """
    from bigbench_meta.facts.metrics import completed, metrics
    from bigbench_meta.loader.at_hand import scores_frame

    rng, progress = as_generator(rng), shown(progress)
    results = scores_frame(results, needed=[*POINT_COLUMNS, "model"])
    if lengths is not None:
        given_lengths(lengths)  # a fault in it is said before the work, not after it
    placed = on_axis(frame_of(results), axis)
    frame = placed.frame
    known = completed(metrics() if registry is None else registry, frame)
    choices = Choices(
        draws=draws,
        draw_limit=draw_limit,
        items=_with_own_items(items, frame),
        definitions=definitions,
        registry=known.registry,
        every_metric=every_metric,
        workers=workers,
        progress=progress,
    )
    unused = not_used(frame, items=items, lengths=lengths, registry=registry)
    found = infer_curves(frame, rng=rng, choices=choices)
    over_rng = np.random.default_rng([found.settings["seed_drawn"], 1])
    over = over_tasks(found.curves, frame, rng=over_rng, draws=draws, registry=choices.registry, lengths=lengths)
    about = {
        "axis": axis,
        "axis_notes": [*placed.notes, *known.notes],
        "not_used": unused,
        "items_given": items is not None,
    }
    tables = found._asdict() | {"settings": found.settings | about}
    return Analysis(**tables, **over._asdict())


def _with_own_items(items: pd.DataFrame | None, frame: pd.DataFrame) -> pd.DataFrame | None:
    """Return the items behind each point: the user's, and those that the results give for other tasks."""
    import pandas as pd

    from bigbench_meta.facts.metrics import items_of

    own = items_of(frame)
    if own is None or items is None or "task" not in items.columns:
        return own if items is None else items
    return pd.concat([items, own[~own["task"].isin(set(items["task"].astype(str)))]], ignore_index=True)


@dataclass(frozen=True)
class Choices:
    """How curves are tested: the arguments of `analyze` of the same names."""

    registry: pd.DataFrame
    draws: int = 999
    draw_limit: int = DRAW_LIMIT
    items: pd.DataFrame | None = None
    definitions: pd.DataFrame | None = None
    every_metric: bool | None = None
    workers: int | None = None
    progress: Progress | None = None


class CurveInference(NamedTuple):
    """The tables of `Analysis` that speak of single curves."""

    curves: pd.DataFrame
    forecasts: pd.DataFrame
    sweep: pd.DataFrame
    points: pd.DataFrame
    noise: pd.DataFrame
    settings: dict[str, Any]


def frame_of(results: Results | pd.DataFrame) -> pd.DataFrame:
    """Return the RESULTS frame, whether or not it comes with its problems."""
    import pandas as pd

    return results if isinstance(results, pd.DataFrame) else results.frame


def infer_curves(results: Results | pd.DataFrame, *, rng: np.random.Generator, choices: Choices) -> CurveInference:
    """Test every curve, without the findings over tasks; errors as for `analyze`."""
    from bigbench_meta.emergence import score_curves

    frame, draws = frame_of(results), choices.draws
    if draws < 19:
        raise AnalysisError(f"draws={draws}: with fewer than 19 draws no p-value can reach 0.05; use 999 or more")
    table = score_curves(frame, registry=choices.registry)
    if table.empty:
        raise AnalysisError("there is no curve to analyse: the table of results is empty")
    seed = int(rng.integers(2**63))
    _, curves = prepare_curves(frame, items=choices.items, registry=choices.registry, definitions=choices.definitions)
    allowed = np.array([not each.refused for each in curves])
    member = table["is_preferred"].to_numpy(bool) & allowed
    every_metric = len(curves) <= MOST_CURVES_UNASKED if choices.every_metric is None else choices.every_metric
    testable = allowed & (member | every_metric)
    chosen = [each for each, test in zip(curves, testable, strict=True) if test]
    pooled = pool_noise(chosen, seed=seed, workers=choices.workers)
    noises = [_noise_of(each, pooled) if test else None for each, test in zip(curves, testable, strict=True)]
    found = _infer_all(curves, noises, member=member, seed=seed, choices=choices)
    analyzed = curve_table(table, curves, noises=noises, pooled=pooled, found=found, member=member, testable=testable)
    family = member & np.array([each is not None for each in found])
    return CurveInference(
        curves=analyzed,
        forecasts=forecast_table(analyzed, curves, found=found, family=family),
        sweep=sweep_table(analyzed, found),
        points=point_table(analyzed, curves, noises=noises),
        noise=noise_table(pooled),
        settings=_settings(analyzed, choices=choices, seed=seed, every_metric=every_metric),
    )


def _noise_of(curve: Curve, pooled: dict[NoiseGroup, Overdispersion | None]) -> Noise | None:
    group = noise_group(curve)
    found = pooled[group]
    if found is not None:
        return found.noise(kind=group[1], n_items=curve.n_items)
    return noise_of_errors(curve.error_variance, n_items=curve.n_items) if curve.error_variance > 0 else None


def _infer_all(
    curves: list[Curve], noises: list[Noise | None], *, member: NDArray[np.bool_], seed: int, choices: Choices
) -> list[CurveResult | None]:
    draws, progress = choices.draws, choices.progress
    typical = typical_curves([each for each, noise in zip(curves, noises, strict=True) if noise is not None])
    positions = [position for position, noise in enumerate(noises) if noise is not None]
    together = batches([(curves[at].x, noise_group(curves[at])) for at in positions])
    jobs = []
    for some in together:
        places = [positions[at] for at in some]
        jobs.append(
            CurveJob(
                tuple(curves[at] for at in places),
                tuple(noises[at] for at in places),  # type: ignore[misc]
                tuple(typical.get(curves[at].key) for at in places),
                Sampling(draws, seed),
            )
        )
    found: list[CurveResult | None] = [None] * len(curves)
    tested = run_jobs(
        infer_curves_together,
        jobs,
        worth=WORTH_SHARING,
        workers=choices.workers,
        progress=_in_curves(progress, len(positions)),
        what="curves tested",
    )
    for some, results in zip(together, tested, strict=True):
        for at, result in zip(some, results, strict=True):
            found[positions[at]] = result
    if draws >= _MIN_TO_GO_ON:
        _settle(curves, noises, found, member=member, seed=seed, choices=choices)
    return found


def _in_curves(progress: Progress | None, n_curves: int) -> Progress | None:
    """Tell progress in curves where the work is done in batches of them."""
    if progress is None:
        return None
    return lambda done, total, what: progress(done * n_curves // total, n_curves, what)


def _settle(
    curves: list[Curve],
    noises: list[Noise | None],
    found: list[CurveResult | None],
    *,
    member: NDArray[np.bool_],
    seed: int,
    choices: Choices,
) -> None:
    """Draw further, four times as far in each round, what the draws so far leave open, and mark what stays so."""
    places = [at for at, result in enumerate(found) if result is not None]
    results = [result for result in found if result is not None]
    family = [int(not member[at]) for at in places]
    fixed = [_hangs(curves[at], result) for at, result in zip(places, results, strict=True)]
    to, part = choices.draws, 0
    while True:
        left = open_decisions(results, family=family, settle_fixed=fixed)
        if to >= choices.draw_limit:
            break
        to, part = min(_FURTHER * to, choices.draw_limit), part + 1
        jobs, whose = [], []
        for at, names in enumerate(left.tests):
            known = {name: results[at].tests[name] for name in names}
            if known:
                jobs.append(FurtherJob(curves[places[at]], noises[places[at]], known, to, seed, part))  # type: ignore[arg-type]
                whose.append(at)
        if not jobs:
            break
        drawn = run_jobs(
            draw_tests_further,
            jobs,
            worth=WORTH_SHARING,
            workers=choices.workers,
            progress=choices.progress,
            what="curves drawn further",
        )
        for at, new in zip(whose, drawn, strict=True):
            results[at] = results[at]._replace(tests=results[at].tests | new)
    for at, place in enumerate(places):
        found[place] = results[at]._replace(
            effects=results[at].effects | {"at_draw_limit": " ".join(sorted(left.decisions[at]))}
        )


def _hangs(curve: Curve, result: CurveResult) -> bool:
    effects = result.effects
    return hangs_on_fixed_levels(
        sign=effects["trend_sign"],
        doubtful=effects["sharp_level_doubtful"],
        jump_high=effects["jump_high"] / curve.margin_scale,
        rise=effects["rise"] / curve.margin_scale,
    )


def _settings(analyzed: pd.DataFrame, *, choices: Choices, seed: int, every_metric: bool) -> dict[str, Any]:
    family = analyzed["in_family_of_tests"]
    return {
        "seed_drawn": seed,
        "draws": choices.draws,
        "most_draws": max(choices.draws, choices.draw_limit) if choices.draws >= _MIN_TO_GO_ON else choices.draws,
        "resampling_risk": RISK if choices.draws >= _MIN_TO_GO_ON else None,
        "n_at_draw_limit": int((analyzed["at_draw_limit"].astype(str) != "").sum()),
        "family_of_tests": "leaf curves of preferred metrics that could be tested, all families and shots together",
        "multiplicity": "Benjamini-Hochberg, separately for trend, sharpness and surprise",
        "false_discovery_rate": FALSE_DISCOVERY_RATE,
        "exponent_bound": DEFAULT_BOUND,
        "exponent_bounds_swept": list(EXPONENT_BOUNDS),
        "flat_margin": FLAT_MARGIN,
        "jump_margin": JUMP_MARGIN,
        "held_out": list(HELD_OUT),
        "smaller_scales_that_each_law_needs": dict(MIN_SEEN),
        "every_metric": every_metric,
        "items_given": choices.items is not None,
        "n_curves": len(analyzed),
        "n_tests": int(family.sum()),
        "n_tested_outside_the_family": int((~family & analyzed["p_trend"].notna()).sum()),
        "n_not_tested": dict(sorted(Counter(word for word in analyzed["not_tested"].astype(str) if word).items())),
        "n_items_source": dict(sorted(Counter(analyzed["items_source"].astype(str)).items())),
    }
