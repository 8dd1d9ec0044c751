"""Prediction 3, fitted: against the length of the target, accuracy falls about geometrically and edit distance rises about linearly.

The paper predicts more, from length 1 and with nothing fitted: `by_length_one`.

For every model two curves over length L are fitted: accuracy ``exp(b0 + b1 L)`` by binomial maximum likelihood with a
log link, and distance ``d0 + d1 L`` by least squares weighted with the items' own variances. "About" and "exactly" are two
questions and both are answered. About: the share of the variation over lengths, beyond item noise, that the fit explains.
Exactly: a parametric bootstrap of the deviance (a chi-square of the weighted residuals), and a test of curvature, an
L^2 term. Distance is capped at the length, since the theory's distance counts wrong tokens of the target and lies in [0, L]: one
output that runs on for hundreds of tokens would else outweigh all others; how many were capped is reported, and the
means without the cap stand beside. The theory's strict form has no intercepts: ``p ** L`` and ``L (1 - p)``; what intercepts come out is reported.

Rule, for one model. *Confirmed*: accuracy falls and distance rises (95% intervals of both slopes), and each fit explains
at least 90%. *Not confirmed*: a slope has the wrong sign with its whole interval, or a fit explains less than 90% and its
exact form is rejected (two tests a form, Holm over all four, 5%). *Undecided*: fewer than ``MIN_LENGTHS`` lengths with ``MIN_ITEMS`` items, too few hits or misses to
see a form, a slope whose interval holds 0, no variation over lengths beyond item noise, or a fit that explains less than 90%
though its exact form is not rejected (with 20 items a length that happens to every fourth true form by noise alone). A family takes the verdict of most of its decided models. The unit of independence is the item.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

# Two parameters and a curvature take three points; a fourth is what tests them.
MIN_LENGTHS = 4
# Fewer items of one length say next to nothing about its mean.
MIN_ITEMS = 5
# Lengths that must have hits: a model that is right at one or two lengths only has no visible form.
MIN_LENGTHS_WITH_HITS = 3
# What "about" means: the share of the variation over lengths that the stated form must explain.
EXPLAINED = 0.9
# Items' worth of a common variance that each length's own is mixed with. Distances have heavy tails: the variance of 20 items
# is known to about a third, so that below as many the common one counts more, and above them the length's own.
BORROWED = 20
_Z = 1.959963984540054
# Level of the tests of the exact forms.
_LEVEL = 0.05

POINT_COLUMNS = [
    "task", "family", "model", "scale", "length", "n_items", "hits", "accuracy", "accuracy_low", "accuracy_high",
    "distance", "distance_se", "raw_distance", "fitted_accuracy", "fitted_distance",
]  # fmt: skip
MODEL_COLUMNS = [
    "task", "family", "model", "scale", "n_lengths", "n_items", "capped_items",
    "log_slope", "log_slope_low", "log_slope_high", "log_intercept", "token_success_accuracy",
    "accuracy_explained", "accuracy_deviance", "accuracy_dof", "accuracy_p", "accuracy_curvature", "accuracy_curvature_p",
    "slope", "slope_low", "slope_high", "intercept", "token_success_distance",
    "distance_explained", "distance_chi2", "distance_dof", "distance_p", "distance_curvature", "distance_curvature_p",
    "draws", "verdict", "sentence",
]  # fmt: skip
FAMILY_COLUMNS = ["task", "family", "models", "confirmed", "not_confirmed", "undecided", "verdict", "sentence"]


class Linear(NamedTuple):
    """A weighted straight line and how well it fits."""

    coefficients: NDArray[np.float64]
    covariance: NDArray[np.float64]
    fitted: NDArray[np.float64]
    chi2: float
    total: float


def log_link_fit(
    design: NDArray[np.float64], share: NDArray[np.float64], n: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Binomial fits of ``exp(design @ b)`` to shares, many at once: share (B, M), design (M, k) -> (B, k).

    Fisher scoring with damping; fitted shares are held below 1, where the log link has no meaning.
    """
    if not len(share):
        return np.empty((0, design.shape[1]))
    start = np.log(np.clip(share, 0.5 / n, 1 - 1e-3))
    root = np.sqrt(n * np.clip(share.mean(axis=0), 1e-3, 1))[:, None]
    beta = np.asarray(np.linalg.lstsq(design * root, (start * root[:, 0]).T, rcond=None)[0].T, dtype=np.float64)
    deviance = binomial_deviance(share, _shares(design, beta), n)
    damping, active = np.full(len(share), 1e-3), np.ones(len(share), bool)
    identity = np.eye(design.shape[1])
    for _ in range(100):
        mu = _shares(design, beta)
        weight = n * mu / (1 - mu)
        gradient = (n * (share - mu) / (1 - mu)) @ design
        hessian = np.einsum("bm,mi,mj->bij", weight, design, design)
        ridge = np.einsum("bii->bi", hessian)[:, :, None] * identity
        step = np.linalg.solve(hessian + damping[:, None, None] * ridge + 1e-12 * identity, gradient[..., None])[..., 0]
        new = binomial_deviance(share, _shares(design, beta + step), n)
        better = (new <= deviance) & active
        active &= ~(better & (deviance - new <= 1e-10 * (1 + deviance)))
        beta[better], deviance[better] = (beta + step)[better], new[better]
        damping = np.where(better, damping / 10, damping * 10)
        active &= damping < 1e12
        if not active.any():
            break
    return beta


def _shares(design: NDArray[np.float64], beta: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.exp(np.clip(beta @ design.T, -40.0, -1e-6))


def binomial_deviance(
    share: NDArray[np.float64], mu: NDArray[np.float64], n: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Twice the log-likelihood ratio of the observed shares to ``mu``, over the last axis."""
    from scipy.special import xlogy

    hits = xlogy(share, share) - xlogy(share, mu)
    misses = xlogy(1 - share, 1 - share) - xlogy(1 - share, 1 - mu)
    return np.asarray(2 * (n * (hits + misses)).sum(axis=-1))


def weighted_line(design: NDArray[np.float64], y: NDArray[np.float64], se: NDArray[np.float64]) -> Linear:
    """Least squares with known standard errors; ``total`` is the chi-square about the weighted mean."""
    weight = 1 / se**2
    covariance = np.asarray(np.linalg.inv((design * weight[:, None]).T @ design), dtype=np.float64)
    coefficients = np.asarray(covariance @ (design.T @ (weight * y)), dtype=np.float64)
    fitted = np.asarray(design @ coefficients, dtype=np.float64)
    chi2 = float((weight * (y - fitted) ** 2).sum())
    total = float((weight * (y - np.average(y, weights=weight)) ** 2).sum())
    return Linear(coefficients, covariance, fitted, chi2, total)


def length_forms(
    items: pd.DataFrame, *, rng: np.random.Generator, draws: int = 999
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Test prediction 3 on item outputs; lengths of all subtasks of a task are put together.

    Returns
    -------
    points, models, families
        Means at each length with both fits (``POINT_COLUMNS``), one row a model (``MODEL_COLUMNS``), one row a family
        with its verdict (``FAMILY_COLUMNS``).
    """
    import pandas as pd

    points, models = [], []
    for key, own in items.groupby(["task", "family", "model", "scale"], sort=True, dropna=False):
        head = dict(zip(("task", "family", "model", "scale"), key, strict=True))
        wrong = own["distance"].clip(upper=own["length"])
        by_length = own.assign(distance=wrong, raw=own["distance"], capped=wrong < own["distance"]).groupby("length")
        table = pd.DataFrame(
            {
                "n_items": by_length.size(),
                "hits": by_length["hit"].sum(),
                "distance": by_length["distance"].mean(),
                "variance": by_length["distance"].var(ddof=1),
                "raw": by_length["raw"].mean(),
                "capped": by_length["capped"].sum(),
            }
        ).reset_index()
        table = table[(table["n_items"] >= MIN_ITEMS) & (table["length"] >= 1)]
        row, fitted = _one_model(table, rng=rng, draws=draws)
        models.append(head | row)
        points += [head | point for point in fitted]
    frame = pd.DataFrame(models).reindex(columns=MODEL_COLUMNS)
    families = [
        dict(zip(("task", "family"), key, strict=True)) | _family_row(own)
        for key, own in frame.groupby(["task", "family"], sort=True)
    ]
    return (
        pd.DataFrame(points).reindex(columns=POINT_COLUMNS),
        frame.sort_values(["task", "family", "scale", "model"], ignore_index=True),
        pd.DataFrame(families).reindex(columns=FAMILY_COLUMNS),
    )


def _one_model(
    table: pd.DataFrame, *, rng: np.random.Generator, draws: int
) -> tuple[dict[str, object], list[dict[str, object]]]:
    from scipy.stats import chi2 as chi2_distribution
    from scipy.stats import norm

    from bigbench_meta.experiments.predictions.by_items import exact_interval

    length, n = table["length"].to_numpy(float), table["n_items"].to_numpy(float)
    hits = table["hits"].to_numpy(float)
    row: dict[str, object] = {"n_lengths": len(length), "n_items": int(n.sum()), "draws": 0}
    row["capped_items"] = int(table["capped"].sum())
    blank = np.full(len(length), np.nan)
    fit_accuracy, fit_distance = blank, blank
    distance = table["distance"].to_numpy(float)
    variance, pooled = _variances(table["variance"].to_numpy(float), length, n)
    se = np.sqrt(variance / n)
    reason = _unusable(length, n, hits, pooled)
    if not reason:
        share = hits / n
        design = np.column_stack([np.ones_like(length), length])
        curved = np.column_stack([design, length**2])
        beta = log_link_fit(design, share[None], n)[0]
        fit_accuracy = _shares(design, beta[None])[0]
        deviance = float(binomial_deviance(share, fit_accuracy, n))
        null = float(binomial_deviance(share, np.full(len(n), hits.sum() / n.sum()), n))
        more = log_link_fit(curved, share[None], n)[0]
        gain = deviance - float(binomial_deviance(share, _shares(curved, more[None])[0], n))
        information = (design * (n * fit_accuracy / (1 - fit_accuracy))[:, None]).T @ design
        error = float(np.sqrt(np.linalg.inv(information)[1, 1]))
        drawn = rng.binomial(n.astype(int), fit_accuracy, (draws, len(n))) / n
        again = binomial_deviance(drawn, _shares(design, log_link_fit(design, drawn, n)), n)
        line, bent = weighted_line(design, distance, se), weighted_line(curved, distance, se)
        fit_distance = line.fitted
        slope_se = float(np.sqrt(line.covariance[1, 1]))
        bend = float(bent.coefficients[2] / np.sqrt(bent.covariance[2, 2]))
        row |= {
            "log_slope": float(beta[1]),
            "log_slope_low": float(beta[1]) - _Z * error,
            "log_slope_high": float(beta[1]) + _Z * error,
            "log_intercept": float(beta[0]),
            "token_success_accuracy": float(np.exp(min(beta[1], 0.0))),
            "accuracy_explained": _beyond_noise(deviance, len(n) - 2, null=null, null_dof=len(n) - 1),
            "accuracy_deviance": deviance,
            "accuracy_dof": len(n) - 2,
            "accuracy_p": float(((again >= deviance * (1 - 1e-9)).sum() + 1) / (draws + 1)),
            "accuracy_curvature": float(more[2]),
            "accuracy_curvature_p": float(chi2_distribution.sf(max(gain, 0.0), 1)),
            "slope": float(line.coefficients[1]),
            "slope_low": float(line.coefficients[1]) - _Z * slope_se,
            "slope_high": float(line.coefficients[1]) + _Z * slope_se,
            "intercept": float(line.coefficients[0]),
            "token_success_distance": 1 - float(line.coefficients[1]),
            "distance_explained": _beyond_noise(line.chi2, len(n) - 2, null=line.total, null_dof=len(n) - 1),
            "distance_chi2": line.chi2,
            "distance_dof": len(n) - 2,
            "distance_p": float(chi2_distribution.sf(line.chi2, len(n) - 2)),
            "distance_curvature": float(bent.coefficients[2]),
            "distance_curvature_p": float(2 * norm.sf(abs(bend))),
            "draws": draws,
        }
    verdict, why = ("undecided", reason) if reason else _decide(row)
    row |= {"verdict": verdict, "sentence": _sentence(row, verdict, why)}
    points = []
    for i in range(len(length)):
        low, high = exact_interval(int(hits[i]), int(n[i]))
        points.append(
            {
                "length": int(length[i]),
                "n_items": int(n[i]),
                "hits": int(hits[i]),
                "accuracy": hits[i] / n[i],
                "accuracy_low": low,
                "accuracy_high": high,
                "distance": distance[i],
                "raw_distance": float(table["raw"].iloc[i]),
                "distance_se": se[i],
                "fitted_accuracy": fit_accuracy[i],
                "fitted_distance": fit_distance[i],
            }
        )
    return row, points


def _variances(
    variance: NDArray[np.float64], length: NDArray[np.float64], n: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Variance of one item's distance at each length, and its slope over length.

    A few items of one length can be all right, with variance 0, or hold one outlier: each length's own variance counts
    with its n - 1 degrees of freedom, and one proportional to length, as L independent tokens have, with ``BORROWED``.
    """
    if not len(n):
        return variance, float("nan")
    slope = float((n * variance).sum() / (n * length).sum())
    return ((n - 1) * variance + BORROWED * slope * length) / (n - 1 + BORROWED), slope


def _beyond_noise(misfit: float, dof: int, *, null: float, null_dof: int) -> float:
    """Share of the variation over lengths that a fit explains, the expected noise taken off both; NaN without any."""
    total = null - null_dof
    return float(1 - max(misfit - dof, 0.0) / total) if total > 0 else float("nan")


def _unusable(length: NDArray[np.float64], n: NDArray[np.float64], hits: NDArray[np.float64], pooled: float) -> str:
    if len(length) < MIN_LENGTHS:
        return f"{len(length)} lengths with {MIN_ITEMS} items or more, {MIN_LENGTHS} are needed"
    if (hits > 0).sum() < MIN_LENGTHS_WITH_HITS:
        return f"hits at {(hits > 0).sum()} of {len(length)} lengths, {MIN_LENGTHS_WITH_HITS} are needed"
    if (hits < n).sum() < MIN_LENGTHS_WITH_HITS or not pooled > 0:
        return "nearly every output is right: no form to see"
    return ""


def _decide(row: dict[str, object]) -> tuple[str, str]:
    from statsmodels.stats.multitest import multipletests

    value = {k: float(v) for k, v in row.items() if isinstance(v, int | float)}
    if value["log_slope_low"] > 0 or value["slope_high"] < 0:
        return "not confirmed", "a slope has the wrong sign"
    if value["log_slope_high"] >= 0 or value["slope_low"] <= 0:
        return "undecided", "a slope's interval holds 0"
    if not (np.isfinite(value["accuracy_explained"]) and np.isfinite(value["distance_explained"])):
        return "undecided", "the variation over lengths is within item noise"
    short = [
        f"{what} explains {value[key]:.0%}"
        for what, key in (("the geometric form", "accuracy_explained"), ("the linear form", "distance_explained"))
        if not value[key] >= EXPLAINED
    ]
    if short:
        tests = [f"{name}_{kind}" for name in ("accuracy", "distance") for kind in ("p", "curvature_p")]
        rejected = multipletests([value[name] for name in tests], alpha=_LEVEL, method="holm")[0]
        forms = {name.split("_")[0] for name, no in zip(tests, rejected, strict=True) if no}
        if not any(value[f"{form}_explained"] < EXPLAINED for form in forms):
            return "undecided", f"{' and '.join(short)}, which item noise can do to an exact form"
        return "not confirmed", " and ".join(short)
    return "confirmed", "accuracy falls about geometrically and edit distance rises about linearly"


def _sentence(row: dict[str, object], verdict: str, why: str) -> str:
    start = f"{verdict.capitalize()}: {why}"
    if "slope" not in row:
        return start + "."
    value = {k: float(v) for k, v in row.items() if isinstance(v, int | float)}
    exact = [
        f"the exact {form} form is {'rejected' if min(value[p], value[c]) <= _LEVEL else 'not rejected'} (p = {value[p]:.3g}, curvature p = {value[c]:.3g})"
        for form, p, c in (
            ("geometric", "accuracy_p", "accuracy_curvature_p"),
            ("linear", "distance_p", "distance_curvature_p"),
        )
    ]
    return (
        f"{start}. Per token, success is {value['token_success_accuracy']:.3f} by accuracy and "
        f"{value['token_success_distance']:.3f} by edit distance; the fits explain {value['accuracy_explained']:.1%} and "
        f"{value['distance_explained']:.1%} of the variation over {row['n_lengths']} lengths; {'; '.join(exact)}."
    )


def _family_row(own: pd.DataFrame) -> dict[str, object]:
    counts = {word: int((own["verdict"] == word).sum()) for word in ("confirmed", "not confirmed", "undecided")}
    decided = counts["confirmed"] + counts["not confirmed"]
    verdict = "undecided"
    if 2 * counts["confirmed"] > decided:
        verdict = "confirmed"
    elif 2 * counts["not confirmed"] > decided:
        verdict = "not confirmed"
    numbers = ", ".join(f"{word} in {count}" for word, count in counts.items())
    sentence = f"{verdict.capitalize()}: of {len(own)} models {numbers}."
    if len(own) == 1:
        sentence = str(own["sentence"].iloc[0])
    return {
        "models": len(own),
        "confirmed": counts["confirmed"],
        "not_confirmed": counts["not confirmed"],
        "undecided": counts["undecided"],
        "verdict": verdict,
        "sentence": sentence,
    }
