"""The tables of an analysis: what the tests say of each curve, in the metric's own units, with verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bigbench_meta.analysis.curves.decisions import HYPOTHESES
from bigbench_meta.analysis.curves.inference import CurveResult, noise_group
from bigbench_meta.analysis.curves.laws import DEFAULT_BOUND
from bigbench_meta.analysis.curves.margins import constant_answers
from bigbench_meta.analysis.curves.montecarlo import PValue
from bigbench_meta.analysis.curves.power import power
from bigbench_meta.analysis.curves.verdicts import FALSE_DISCOVERY_RATE, Evidence, Verdict, verdict
from bigbench_meta.analysis.multiplicity import q_values
from bigbench_meta.emergence import emergence_floored
from bigbench_meta.schema import CURVES, CURVES_ANALYZED, VERDICTS, validate

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from bigbench_meta.analysis.curves.inference import NoiseGroup
    from bigbench_meta.analysis.curves.noise import Noise, Overdispersion
    from bigbench_meta.analysis.curves.predictability import Forecast
    from bigbench_meta.analysis.curves.prepare import Curve

    Vector = NDArray[np.float64]

NOISE_UNKNOWN = "noise unknown: no items, and too few tasks of this metric to tell the scatter"
# Effects in units of the score: turned back into the metric's own units.
_IN_UNITS = ("rise", "rise_low", "rise_high", "jump_high", "detectable_jump", "surprise")
_WORDS = ("width_reason", "exponent_reason", "at_draw_limit")
_FORECAST_COLUMNS = ("held_out", "law", "forecast", "low", "high", "observed", "surprise", "p", "draws")


def curve_table(
    table: pd.DataFrame,
    curves: list[Curve],
    *,
    noises: list[Noise | None],
    pooled: dict[NoiseGroup, Overdispersion | None],
    found: list[CurveResult | None],
    member: NDArray[np.bool_],
    testable: NDArray[np.bool_],
) -> pd.DataFrame:
    """Return CURVES with the columns of the analysis: effects, p- and q-values, verdicts and their reasons."""
    import pandas as pd

    rows = []
    for curve, noise, result, test in zip(curves, noises, found, testable, strict=True):
        raw = curve.score
        row: dict[str, Any] = {
            "n_items": curve.n_items,
            "items_source": curve.items_source,
            "emergence_floored": emergence_floored(
                raw, resolution=curve.unit / curve.n_items if curve.is_share else np.nan
            ),
            "noise_source": _noise_words(curve, noise, pooled) if test else "",
            "not_tested": curve.refused
            or ("metric not preferred" if not test else NOISE_UNKNOWN if noise is None else ""),
        }
        if result is not None:
            row |= result.effects
            row |= {name: result.effects[name] * curve.unit for name in _IN_UNITS}
            row |= _test_columns(result)
            row["margin_scale"] = curve.margin_scale * curve.unit
            row["constant_answer"] = bool(curve.is_share and constant_answers(curve.y, n_items=curve.n_items))
            row["surprise_from"] = curve.on_disk(result.effects["surprise_from"])
        rows.append(row)
    added = pd.DataFrame(rows, index=table.index)
    for name in _result_columns():
        if name not in added:
            added[name] = "" if name in _WORDS else np.nan
    for name in _WORDS:
        added[name] = added[name].fillna("")
    analyzed = table.assign(**{name: added[name] for name in added.columns})
    analyzed["emergence_per_step"] = analyzed["emergence_score"] / (analyzed["n_scales"] - 1).where(
        analyzed["n_scales"] > 1
    )
    analyzed["in_family_of_tests"] = member & np.array([each is not None for each in found])
    tested = np.array([each is not None for each in found])
    families = [family for family in (member & tested, ~member & tested) if family.any()]
    for name in HYPOTHESES:
        q = np.full(len(analyzed), np.nan)
        p = analyzed[f"p_{name}"].to_numpy(np.float64)
        for family in families:
            q[family] = q_values(p, family)[family]
        analyzed[f"q_{name}"] = q
    for name in ("sharp", "surprise"):
        analyzed[f"power_{name}"], analyzed[f"power_{name}_small"] = _powers(
            name, analyzed[f"q_{name}"].to_numpy(np.float64), families, noises=noises, found=found
        )
    words = [_verdict_of(analyzed.iloc[position], curve) for position, curve in enumerate(curves)]
    analyzed["verdict"] = pd.Categorical([each.word for each in words], categories=list(VERDICTS))
    analyzed["verdict_reason"] = [each.reason for each in words]
    analyzed["emergent"] = pd.array([each.emergent for each in words], dtype="boolean")
    for name in (*_WORDS, "items_source", "noise_source", "not_tested", "verdict_reason"):
        analyzed[name] = pd.Categorical(analyzed[name])
    extra = [name for name in _EXTRA_COLUMNS if name in analyzed]
    return validate(analyzed[[*CURVES_ANALYZED.names, *extra]], CURVES_ANALYZED)


# Columns after those of the contract, in this order.
_EXTRA_COLUMNS = (
    "verdict_reason",
    "not_tested",
    "in_family_of_tests",
    "sharp_up_to_exponent",
    *(f"{what}_{name}{end}" for name in HYPOTHESES for what, end in (("p", "_mc_error"), ("draws", ""))),
    "p_nonmonotone",
    "q_nonmonotone",
    "p_falling",
    "at_draw_limit",
    "power_sharp_small",
    "power_surprise_small",
    "margin_scale",
    "constant_answer",
    "sharp_level_doubtful",
    "surprise_from",
    "trend_sign",
    "rise",
    "rise_low",
    "rise_high",
    "jump_high",
    "detectable_jump",
    "width_reason",
    "exponent_low",
    "exponent_high",
    "exponent_reason",
    "step_share",
    "p_step_line",
    "p_step_typical",
    "emergence_per_step",
    "items_source",
    "items_effective",
    "noise_source",
)


def _result_columns() -> list[str]:
    return [
        *(f"{what}_{name}{end}" for name in HYPOTHESES for what, end in (("p", ""), ("p", "_mc_error"), ("draws", ""))),
        *("trend_sign", "sharp_up_to_exponent", "p_falling", "margin_scale", "constant_answer", "at_draw_limit"),
        *("width_decades", "width_low", "width_high", "width_reason"),
        *("implied_exponent", "exponent_low", "exponent_high", "exponent_reason"),
        *("rise", "rise_low", "rise_high", "jump_high", "detectable_jump"),
        *("step_share", "p_step_line", "p_step_typical", "surprise", "surprise_from"),
        *("sharp_level_doubtful", "items_effective"),
    ]


def _noise_words(curve: Curve, noise: Noise | None, pooled: dict[NoiseGroup, Overdispersion | None]) -> str:
    if noise is None:
        return "unknown"
    group = pooled[noise_group(curve)]
    if group is None:
        return "standard errors given with the scores, and packaged overdispersion"
    tasks = group.n_tasks
    what = "items and overdispersion" if noise.kind == "items" else "scatter about the fit"
    return f"{what}, pooled over {tasks} tasks"


def _test_columns(result: CurveResult) -> dict[str, float]:
    """p, its Monte Carlo error and its draws for each hypothesis: those of the test with the largest p."""
    columns: dict[str, float] = {}
    for name, parts in HYPOTHESES.items():
        made = [result.tests[part] for part in parts if part in result.tests]
        worst = max(made, key=lambda each: each.p, default=PValue(np.nan, 0))
        columns |= {f"p_{name}": worst.p, f"p_{name}_mc_error": worst.error, f"draws_{name}": worst.draws}
    return columns | {"p_falling": result.tests["falling"].p}


def _powers(
    name: str,
    q: Vector,
    families: list[NDArray[np.bool_]],
    *,
    noises: list[Noise | None],
    found: list[CurveResult | None],
) -> tuple[Vector, Vector]:
    """Power to see a jump of .4 and one of .2 of the range, at the worse of the two places.

    At the level that one more finding of the family would need.
    """
    large, small = np.full(len(q), np.nan), np.full(len(q), np.nan)
    for family in families:
        level = FALSE_DISCOVERY_RATE * (int((q[family] <= FALSE_DISCOVERY_RATE).sum()) + 1) / int(family.sum())
        for at in np.flatnonzero(family).tolist():
            noise, result = noises[at], found[at]
            if noise is not None and result is not None:
                seen = power(
                    result.misfits[name],
                    factors=noise.factors,
                    masses=noise.masses,
                    level=min(level, FALSE_DISCOVERY_RATE),
                ).min(axis=1)
                small[at], large[at] = seen
    return large, small


def _verdict_of(row: pd.Series[Any], curve: Curve) -> Verdict:
    scale = curve.unit * curve.margin_scale
    return verdict(
        Evidence(
            refused=str(row["not_tested"]),
            constant_answer=bool(row["constant_answer"] == 1),
            q_trend=float(row["q_trend"]),
            q_sharp=float(row["q_sharp"]),
            q_surprise=float(row["q_surprise"]),
            q_nonmonotone=float(row["q_nonmonotone"]),
            p_sharp=float(row["p_sharp"]),
            p_falling=float(row["p_falling"]),
            rise=float(row["rise"]) / scale,
            sign=int(row["trend_sign"]) if np.isfinite(row["trend_sign"]) else 0,
            rise_low=float(row["rise_low"]) / scale,
            rise_high=float(row["rise_high"]) / scale,
            jump_high=float(row["jump_high"]) / scale,
            detectable=float(row["detectable_jump"]) / scale,
            sharp_up_to=float(row["sharp_up_to_exponent"]),
            doubtful=bool(row["sharp_level_doubtful"] == 1),
            power_sharp=float(row["power_sharp"]),
            power_surprise=float(row["power_surprise"]),
            surprise_needs=_surprise_needs(float(row["surprise_from"]), curve),
            at_draw_limit=frozenset(str(row["at_draw_limit"]).split()),
        )
    )


def _surprise_needs(score: float, curve: Curve) -> str:
    return f"{'below' if curve.flipped else 'above'} {score:.3g}" if np.isfinite(score) else ""


def _keys(analyzed: pd.DataFrame, positions: list[int]) -> pd.DataFrame:
    return analyzed.iloc[positions][list(CURVES.key)].reset_index(drop=True)


def forecast_table(
    analyzed: pd.DataFrame, curves: list[Curve], *, found: list[CurveResult | None], family: NDArray[np.bool_]
) -> pd.DataFrame:
    """Return one row per (curve, held_out, law), in the metric's own units; q within each (held_out, law)."""
    import pandas as pd

    positions, rows = [], []
    for position, (curve, result) in enumerate(zip(curves, found, strict=True)):
        for each in _with_surprise(result) if result is not None else []:
            low, high = sorted((curve.on_disk(each.low), curve.on_disk(each.high)))
            positions.append(position)
            rows.append(
                each._replace(
                    forecast=curve.on_disk(each.forecast),
                    low=low,
                    high=high,
                    observed=float(curve.score[-1]),
                    surprise=each.surprise * curve.unit,
                )
            )
    table = pd.DataFrame(rows, columns=list(_FORECAST_COLUMNS))
    table = pd.concat([_keys(analyzed, positions), table], axis=1)
    table["in_family_of_tests"] = family[positions] if positions else np.empty(0, bool)
    q = np.full(len(table), np.nan)
    for group in table.groupby(["held_out", "law", "in_family_of_tests"]).indices.values():
        q[group] = q_values(table["p"].to_numpy(np.float64)[group])
    table.insert(list(table.columns).index("p") + 1, "q", q)
    table["law"] = pd.Categorical(table["law"])
    return table


def _with_surprise(result: CurveResult) -> list[Forecast]:
    """The forecasts, those of all laws and hold-outs together with the p-value of the test of surprise."""
    columns = _test_columns(result)
    together = {"p": columns["p_surprise"], "draws": int(columns["draws_surprise"])}
    return [each if each.held_out else each._replace(**together) for each in result.forecasts]  # type: ignore[arg-type]


def sweep_table(analyzed: pd.DataFrame, found: list[CurveResult | None]) -> pd.DataFrame:
    """Return one row per (curve, exponent bound) that was tested."""
    import pandas as pd

    cells = [
        (position, bound, tested)
        for position, result in enumerate(found)
        if result is not None
        for bound, tested in sorted((result.sweep | {DEFAULT_BOUND: result.tests["sharp"]}).items())
    ]
    table = _keys(analyzed, [position for position, _, _ in cells])
    return table.assign(
        exponent_bound=np.array([bound for _, bound, _ in cells], dtype=np.float64),
        p_sharp=np.array([tested.p for _, _, tested in cells], dtype=np.float64),
        draws=np.array([tested.draws for _, _, tested in cells], dtype=np.int64),
        n_scales=pd.Series([int(analyzed["n_scales"].iloc[position]) for position, _, _ in cells], dtype="int64"),
    )


def point_table(analyzed: pd.DataFrame, curves: list[Curve], *, noises: list[Noise | None]) -> pd.DataFrame:
    """Return one row per (curve, scale) with its score and standard errors, in units of the score.

    ``error_items``, ``sqrt(p (1 - p) / n)``, speaks of items alone, for one fixed model: 0 at a score of 0 or 1, where the
    formula has nothing to say. ``error_with_overdispersion`` speaks of items and models of this size (seeds, prompts, data
    order): of the scores with items by the mean overdispersion over tasks, half a success added on either side, of the others
    by the scatter about their curves. NaN where unknown.
    """
    import pandas as pd

    positions, cells = [], []
    for position, (curve, noise) in enumerate(zip(curves, noises, strict=True)):
        items_error = np.full(len(curve.y), np.nan)
        whole_error = np.full(len(curve.y), np.nan)
        if curve.is_share and np.isfinite(curve.n_items):
            items_error = np.sqrt(np.clip(curve.y * (1 - curve.y), 0, None) / curve.n_items)
        if noise is not None:
            # Fitted by nothing: the mean factor over tasks, at the score itself.
            mean_factor = float(noise.factors @ noise.masses)
            whole_error = np.sqrt(noise.unit_variance(curve.y) * mean_factor)
        errors = (curve.error_on_disk(items_error), curve.error_on_disk(whole_error))
        for scale, score, item, whole in zip(curve.scale, curve.score, *errors, strict=True):
            positions.append(position)
            cells.append((scale, score, item, whole))
    table = pd.DataFrame(
        cells, columns=["scale", "score", "error_items", "error_with_overdispersion"], dtype=np.float64
    )
    return pd.concat([_keys(analyzed, positions), table], axis=1)


def noise_table(pooled: dict[NoiseGroup, Overdispersion | None]) -> pd.DataFrame:
    """Return one row per group of curves whose noise is pooled; ``mean`` is of rho for items, else of the variance."""
    import pandas as pd

    rows = []
    for (family, kind, metric), found in sorted(pooled.items()):
        rows.append(
            {
                "family": family,
                "kind": kind,
                "metric": metric,
                "n_tasks": found.n_tasks if found is not None else 0,
                "mean": found.mean if found is not None else np.nan,
                "low": found.low if found is not None else np.nan,
                "high": found.high if found is not None else np.nan,
                "share_without": float(found.masses[0]) if found is not None and kind == "items" else np.nan,
                "known": found is not None,
            }
        )
    columns = ["family", "kind", "metric", "n_tasks", "mean", "low", "high", "share_without", "known"]
    return pd.DataFrame(rows, columns=columns)
