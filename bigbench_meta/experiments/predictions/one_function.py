"""Prediction 1b on language models: whether accuracy is one function of the smooth measure of the same outputs.

If sharpness comes from the metric, then accuracy at a given value of the smooth measure (Brier score, bits per byte, log perplexity)
does not depend on how that value was reached: by a larger model, more data, or more steps. The function may bend as it likes;
where it bends, the *function* is what is sharp. Both questions are answered: whether there is one function, and where it bends.

Vocabulary
----------
run
    One training run or model, ``(family, model)``: the unit of independence. Its checkpoints (``step``) are not.
group
    Runs that a factor puts together: a size, a family (for a ladder a token budget), or a third of training.
departure
    Mean over a group of accuracy minus the function of all *other* groups (isotonic, joined by straight lines), at the values of the
    smooth measure that both reach. Points of a run that lie close together on that measure count as one.
scatter
    Root mean square, over runs, of accuracy minus the function of all points, the items' binomial variance taken off.
hinge
    Two straight lines that meet: where it stands, and how much of the variation it explains beside one line.

Rule, for each task, smooth measure and factor. The margin is ``MARGIN`` of the accuracy's range. *One function*: every group's departure
is below the margin with its one-sided 95% bound, and so is the scatter. *Not one function*: some group's departure is above it, 2.5%
over all groups (Bonferroni), or the scatter is with its 97.5% bound from resampled runs; that only where the number of items is known,
since it would else hold their noise. *Undecided*: neither, or no group has values that others reach. The standard error of a departure comes from the spread of
runs within groups, pooled over the groups, with Student's t, where that has ``MIN_DOF`` degrees of freedom, and is held at the items'
binomial error where their number is known; with fewer it is the items' alone. All models answer the same items, so that error is if anything too large. ``p`` is of no departure at all (Bonferroni).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bigbench_meta.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

# A tenth of what accuracy moves over all models.
MARGIN = 0.1
# Degrees of freedom from which the spread of runs within groups tells the error of a mean.
MIN_DOF = 8
# Cells of the smooth measure within which points of one run count as one.
_CELLS = 40
# More scales than this are put into thirds of the logarithm of scale.
_MOST_SCALES = 10
# A family is a group where it has models enough to be a series.
_MIN_MODELS_OF_A_FAMILY = 5
_MIN_POINTS = 12
_LEVEL = 0.05
_DRAWS = 100
# Places where a hinge is tried.
_KNOTS = 31
# What a line must explain to be called one, whatever a hinge adds.
_STRAIGHT = 0.99
# What the isotonic function must explain to have a shape.
_SEEN = 0.8
# Before the name of a metric whose logarithm is meant.
_LOG = "log:"
FACTORS = ("size", "family", "training")
GROUP_COLUMNS = [
    "task",
    "hard",
    "smooth",
    "factor",
    "group",
    "runs",
    "points",
    "departure",
    "error",
    "low",
    "high",
    "worst_at",
    "worst",
]
VERDICT_COLUMNS = [
    "task", "hard", "smooth", "factor", "groups", "runs", "points", "n_items", "accuracy_low", "accuracy_high", "r2", "margin",
    "scatter", "scatter_low", "scatter_high", "largest_group", "departure", "departure_low", "departure_high", "break_at", "break_size", "p", "verdict", "sentence",
]  # fmt: skip
SHAPE_COLUMNS = [
    "task", "hard", "smooth", "runs", "points", "line_r2", "hinge_r2", "function_r2", "hinge", "hinge_low", "hinge_high",
    "accuracy_at_hinge", "slope_below", "slope_above", "shape",
]  # fmt: skip
POINT_COLUMNS = ["task", "hard", "smooth", "family", "model", "scale", "step", "n_items", "x", "y"]


class OneFunction(NamedTuple):
    """Verdicts, departures of every group, the shape of the function, and the points."""

    verdicts: pd.DataFrame
    groups: pd.DataFrame
    shapes: pd.DataFrame
    points: pd.DataFrame


def one_function(results: pd.DataFrame, *, hard: str, smooth: Sequence[str], rng: np.random.Generator) -> OneFunction:
    """Ask of every task whether accuracy is one function of a smooth measure, over sizes, families and training.

    Parameters
    ----------
    results
        RESULTS-shaped: ``task, metric, family, model, scale, score``, and where there are any ``subtask, shots, trial, step, n_items``.
        Repeats of a point are averaged.
    hard
        Metric that may be sharp, a share in [0, 1].
    smooth
        Smooth metrics of the same outputs, each compared by itself; ``log:ppl`` is the natural logarithm of ``ppl``.
    rng
        For the bootstrap over runs that gives the interval of the hinge.

    Returns
    -------
    OneFunction
        ``VERDICT_COLUMNS``, ``GROUP_COLUMNS``, ``SHAPE_COLUMNS``, ``POINT_COLUMNS``.

    Raises
    ------
    AnalysisError
        If a column or metric is missing, or no task has both metrics at ``_MIN_POINTS`` points.
    """
    import pandas as pd

    verdicts: list[dict[str, object]] = []
    groups: list[dict[str, object]] = []
    shapes: list[dict[str, object]] = []
    kept: list[pd.DataFrame] = []
    for name in smooth:
        for task, points in _points(results, hard=hard, smooth=name).groupby("task", sort=True):
            if len(points) < _MIN_POINTS or points["y"].nunique() < 3 or points["x"].nunique() < 3:
                continue
            head = {"task": str(task), "hard": hard, "smooth": name}
            kept.append(points.assign(hard=hard, smooth=name))
            cells = _in_cells(points)
            shapes.append(head | _shape(cells, rng=rng))
            scatter = _scatter(cells, n_items=_items(points), rng=rng)
            for factor in FACTORS:
                found = _by_factor(points, factor)
                if found is None:
                    continue
                rows = _departures(_in_cells(found, also=["group"]), n_items=_items(points))
                groups += [head | {"factor": factor} | row for row in rows]
                verdicts.append(head | {"factor": factor} | _verdict(rows, points, cells, scatter))
    if not kept:
        raise AnalysisError(
            f"no task has {hard} and one of {', '.join(smooth)} at {_MIN_POINTS} points; expected both metrics on the same task, family, "
            "model, shots, trial and step: check the names of the metrics"
        )
    return OneFunction(
        pd.DataFrame(verdicts).reindex(columns=VERDICT_COLUMNS),
        pd.DataFrame(groups).reindex(columns=GROUP_COLUMNS),
        pd.DataFrame(shapes).reindex(columns=SHAPE_COLUMNS),
        pd.concat(kept, ignore_index=True)[POINT_COLUMNS],
    )


def _points(results: pd.DataFrame, *, hard: str, smooth: str) -> pd.DataFrame:
    """Pairs of both metrics of the same outputs: ``POINT_COLUMNS`` without the names of the metrics."""
    import pandas as pd

    needed = ["task", "metric", "family", "model", "scale", "score"]
    missing = [name for name in needed if name not in results.columns]
    if missing:
        raise AnalysisError(f"results have no column {', '.join(missing)}; expected {', '.join(needed)}")
    keys = [
        name
        for name in (*needed[:1], "family", "model", "scale", "subtask", "shots", "trial", "step")
        if name in results.columns
    ]
    logarithm, source = smooth.startswith(_LOG), smooth.removeprefix(_LOG)
    rows = results[results["metric"].isin([hard, source])]
    plain = rows.assign(
        metric=rows["metric"].astype(str), **{k: rows[k].astype(str) for k in ("task", "family", "model")}
    )
    if "subtask" in keys:
        sub = plain["subtask"].astype(str)
        plain["task"] = plain["task"].where(sub == plain["task"], plain["task"] + ":" + sub)
        keys.remove("subtask")
    wide = plain.pivot_table(index=keys, columns="metric", values="score", aggfunc="mean", dropna=True)
    if not {hard, source} <= set(wide.columns):
        return wide.reset_index().assign(x=np.nan, y=np.nan).iloc[:0]
    if logarithm:
        wide[source] = np.log(wide[source].where(wide[source] > 0))
    wide = wide[np.isfinite(wide[hard]) & np.isfinite(wide[source])]
    table = wide.reset_index().rename(columns={source: "x", hard: "y"})
    if "n_items" in plain.columns:
        items = plain.groupby("task")["n_items"].min()
        table["n_items"] = table["task"].map(items)
    return pd.DataFrame(table.reindex(columns=["task", "family", "model", "scale", "step", "n_items", "x", "y"]))


def _items(points: pd.DataFrame) -> float:
    return float(points["n_items"].min()) if points["n_items"].notna().any() else float("nan")


def _in_cells(points: pd.DataFrame, also: Sequence[str] = ()) -> pd.DataFrame:
    """Means of the points of one run in each cell of the smooth measure."""
    edges = np.linspace(points["x"].min(), points["x"].max(), _CELLS + 1)[1:-1]
    marked = points.assign(run=points["family"] + "\0" + points["model"], cell=np.searchsorted(edges, points["x"]))
    return marked.groupby([*also, "run", "cell"], as_index=False)[["x", "y"]].mean()


def _by_factor(points: pd.DataFrame, factor: str) -> pd.DataFrame | None:
    """Give every point its group; None where the factor does not split these points."""
    import pandas as pd

    if factor == "training":
        if points["step"].isna().all():
            return None
        share = points["step"] / points.groupby(["family", "model"])["step"].transform("max")
        group = pd.cut(share, [-1, 1 / 3, 2 / 3, 1], labels=["first third", "second third", "last third"]).astype(str)
    elif factor == "family":
        models = points.groupby("family")["model"].nunique()
        chosen = points["family"].isin(models[models >= _MIN_MODELS_OF_A_FAMILY].index)
        group = points["family"].where(chosen, "other families")
    elif points["scale"].nunique() > _MOST_SCALES:
        thirds = np.quantile(np.log(points["scale"].drop_duplicates()), [1 / 3, 2 / 3])
        names = np.array(["small", "middle", "large"])
        group = pd.Series(names[np.searchsorted(thirds, np.log(points["scale"]))], index=points.index)
    else:
        group = points["scale"].map("{:.3g}".format)
    marked = points.assign(group=group)
    return marked if len(marked["group"].unique()) > 1 else None


def fitted_function(x: Vector, y: Vector) -> tuple[Vector, Vector]:
    """Isotonic regression in the direction that fits better: knots in ascending x and their values, to be joined by lines.

    Examples
    --------
    >>> knots, values = fitted_function(np.array([1.0, 2, 3, 4]), np.array([0.9, 0.5, 0.6, 0.1]))
    >>> knots.tolist(), values.round(2).tolist()  # 2 and 3 are pooled
    ([1.0, 2.5, 4.0], [0.9, 0.55, 0.1])
    """
    from scipy.optimize import isotonic_regression

    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    fits = [isotonic_regression(y, increasing=up) for up in (True, False)]
    best = min(fits, key=lambda fit: float(((fit.x - y) ** 2).sum()))
    starts = best.blocks[:-1]
    counts = np.diff(best.blocks)
    return np.add.reduceat(x, starts) / counts, best.x[starts]


def _departures(cells: pd.DataFrame, *, n_items: float) -> list[dict[str, object]]:
    """Departure of every group from the function of the others, at the values that both reach."""
    from scipy.stats import norm, t

    rows: list[dict[str, object]] = []
    means: dict[str, Vector] = {}
    names = sorted(cells["group"].unique())
    for name in names:
        own, others = cells[cells["group"] == name], cells[cells["group"] != name]
        knots, values = fitted_function(others["x"].to_numpy(), others["y"].to_numpy())
        shared = own[(own["x"] >= others["x"].min()) & (own["x"] <= others["x"].max())]
        row: dict[str, object] = {"group": name, "runs": shared["run"].nunique(), "points": len(shared)}
        if not shared.empty:
            residual = shared["y"].to_numpy() - np.interp(shared["x"], knots, values)
            means[name] = shared.assign(residual=residual).groupby("run")["residual"].mean().to_numpy()
            worst, share = int(np.argmax(np.abs(residual))), float(np.clip(shared["y"].mean(), 0.0, 1.0))
            of_items = np.sqrt(share * (1 - share) / n_items / len(means[name])) if n_items >= 1 else np.nan
            row |= {
                "departure": float(means[name].mean()), "of_items": float(of_items),
                "worst_at": float(shared["x"].iloc[worst]), "worst": float(residual[worst]),
            }  # fmt: skip
        rows.append(row)
    dof = sum(len(values) - 1 for values in means.values())
    pooled = (
        float(np.sqrt(sum(((values - values.mean()) ** 2).sum() for values in means.values()) / dof)) if dof else 0.0
    )
    law = t(dof) if dof >= MIN_DOF else norm
    for row in rows:
        if "departure" not in row:
            row.update(dict.fromkeys(("departure", "error", "low", "high", "worst_at", "worst"), np.nan))
            continue
        departure, of_items = float(str(row["departure"])), float(str(row.pop("of_items")))
        of_runs = pooled / np.sqrt(len(means[str(row["group"])])) if dof >= MIN_DOF else np.nan
        error = float(np.fmax(of_runs, of_items))
        half = float(law.isf(_LEVEL / 2 / len(names))) * error  # two-sided, so 2.5% on the side that is asked
        row.update({
            "error": error, "low": departure - half, "high": departure + half, "one_sided": float(law.isf(_LEVEL)) * error,
            "p": float(2 * law.sf(abs(departure) / error)) if error > 0 else np.nan,
        })  # fmt: skip
    return rows


def _scatter(cells: pd.DataFrame, *, n_items: float, rng: np.random.Generator) -> tuple[float, float, float]:
    """Scatter of the runs about one function, with a 95% interval from resampled runs."""
    knots, values = fitted_function(cells["x"].to_numpy(), cells["y"].to_numpy())
    y = cells["y"].to_numpy().clip(0, 1)
    noise = y * (1 - y) / n_items if n_items >= 1 else np.zeros(len(y))
    beyond = (y - np.interp(cells["x"], knots, values)) ** 2 - noise
    by_run = cells.assign(beyond=beyond).groupby("run")["beyond"].mean().to_numpy()
    drawn = by_run[rng.integers(0, len(by_run), (1000, len(by_run)))].mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    mean, lower, upper = (float(np.sqrt(max(value, 0.0))) for value in (by_run.mean(), low, high))
    return mean, lower, upper


def _verdict(
    rows: list[dict[str, object]], points: pd.DataFrame, cells: pd.DataFrame, scatter: tuple[float, float, float]
) -> dict[str, object]:
    knots, values = fitted_function(cells["x"].to_numpy(), cells["y"].to_numpy())
    margin = MARGIN * float(np.ptp(cells["y"].to_numpy()))
    known = [row for row in rows if np.isfinite(float(str(row["departure"]))) and np.isfinite(float(str(row["error"])))]
    table: dict[str, object] = {
        "groups": len(known), "runs": cells["run"].nunique(), "points": len(points), "n_items": _items(points),
        "accuracy_low": float(points["y"].min()), "accuracy_high": float(points["y"].max()),
        "r2": _r2(cells["y"].to_numpy(), np.interp(cells["x"].to_numpy(), knots, values)), "margin": margin,
        "scatter": scatter[0], "scatter_low": scatter[1], "scatter_high": scatter[2],
    }  # fmt: skip
    if len(known) < 2:
        why = "fewer than two groups have values that others reach and an error that is known"
        return table | {"verdict": "undecided", "sentence": f"Undecided: {why}."}
    number = [{key: float(str(value)) for key, value in row.items() if key != "group"} for row in known]
    worst = max(range(len(known)), key=lambda i: abs(number[i]["departure"]))
    verdict = "undecided"
    scattered = np.isfinite(_items(points)) and scatter[1] > margin
    if scattered or any(value["low"] > margin or value["high"] < -margin for value in number):
        verdict = "not one function"
    elif scatter[0] < margin and all(abs(value["departure"]) + value["one_sided"] < margin for value in number):
        verdict = "one function"
    p = min(1.0, len(number) * min(value["p"] for value in number if np.isfinite(value["p"])))
    chosen = number[worst]
    said = (
        f"{verdict.capitalize()}: one isotonic function explains {table['r2']:.1%} of the variation; the largest departure of a group is "
        f"{chosen['departure']:+.4f} ({chosen['low']:+.4f} to {chosen['high']:+.4f}) of {known[worst]['group']}, with a margin of {margin:.4f} "
        f"(a tenth of the range); runs scatter by {scatter[0]:.4f} ({scatter[1]:.4f} to {scatter[2]:.4f}); no departure at all: p = {p:.2g}"
    )
    breaks = max(number, key=lambda value: abs(value["worst"]))
    return table | {
        "largest_group": known[worst]["group"], "departure": chosen["departure"], "departure_low": chosen["low"],
        "departure_high": chosen["high"], "break_at": breaks["worst_at"], "break_size": breaks["worst"], "p": p,
        "verdict": verdict, "sentence": f"{said}.",
    }  # fmt: skip


def _r2(y: Vector, fitted: Vector) -> float:
    total = float(((y - y.mean()) ** 2).sum())
    return 1 - float(((y - fitted) ** 2).sum()) / total if total > 0 else float("nan")


def _hinge(x: Vector, y: Vector) -> tuple[float, Vector, Vector]:
    """Knot, coefficients and fit of two lines that meet, by least squares over a grid of knots."""
    best: tuple[float, float, Vector, Vector] | None = None
    # both arms keep a tenth of the points
    for knot in np.unique(np.quantile(x, np.linspace(0.1, 0.9, _KNOTS))):
        design = np.column_stack([np.ones_like(x), np.minimum(x - knot, 0), np.maximum(x - knot, 0)])
        beta = np.linalg.lstsq(design, y, rcond=None)[0]
        fit = design @ beta
        misfit = float(((y - fit) ** 2).sum())
        if best is None or misfit < best[0]:
            best = (misfit, float(knot), beta, fit)
    if best is None:
        raise AnalysisError("a hinge needs points")
    return best[1], best[2], best[3]


def _shape(cells: pd.DataFrame, *, rng: np.random.Generator) -> dict[str, object]:
    """One line, a hinge, and the isotonic function: what each explains, and where the hinge stands."""
    x, y = cells["x"].to_numpy(), cells["y"].to_numpy()
    line = np.polyval(np.polyfit(x, y, 1), x)
    knots, values = fitted_function(x, y)
    knot, beta, fit = _hinge(x, y)
    by_run = [own[["x", "y"]].to_numpy() for _, own in cells.groupby("run")]
    drawn = []
    for _ in range(_DRAWS):
        again = np.vstack([by_run[i] for i in rng.integers(0, len(by_run), len(by_run))])
        if np.ptp(again[:, 0]) > 0:
            drawn.append(_hinge(again[:, 0], again[:, 1])[0])
    low, high = np.quantile(drawn, [0.025, 0.975]) if drawn else (np.nan, np.nan)
    line_r2, hinge_r2, function_r2 = _r2(y, line), _r2(y, fit), _r2(y, np.interp(x, knots, values))
    return {
        "runs": len(by_run), "points": len(cells), "line_r2": line_r2, "hinge_r2": hinge_r2,
        "function_r2": function_r2, "hinge": knot, "hinge_low": float(low), "hinge_high": float(high),
        "accuracy_at_hinge": float(beta[0]), "slope_below": float(beta[1]), "slope_above": float(beta[2]),
        "shape": "none" if function_r2 < _SEEN else _named(line_r2, hinge_r2, float(beta[1]), float(beta[2])),
    }  # fmt: skip


def _named(line_r2: float, hinge_r2: float, below: float, above: float) -> str:
    """``line`` where it explains 99% or a hinge leaves over half of what it leaves; ``hinge`` where one arm is four times as flat."""
    if line_r2 >= _STRAIGHT or 1 - hinge_r2 > 0.5 * (1 - line_r2):
        return "line"
    flat, steep = sorted((abs(below), abs(above)))
    return "hinge" if flat < steep / 4 or below * above < 0 else "bend"
