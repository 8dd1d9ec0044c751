"""Fit the mathematical model to a measured curve: estimates, profile intervals, and how well it fits.

Both likelihoods share one linear predictor. With ``eta = log L + alpha (log N - log c)`` the success of a target is
``exp(-exp(eta))``: a binomial regression with a complementary log-log link on the failures, concave in
(intercept, alpha), so the maximum is the only one. Unit of independence: the item. Noise shared by all items of a
point, such as the training seed's, is not in either likelihood and shows up as a poor fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from bigbench_meta.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    import pandas as pd
    from numpy.typing import NDArray

# A step of the scoring below this moves no reported digit.
_TOLERANCE = 1e-10
_MAX_STEPS = 200
# exp(eta) beyond these bounds is a success of 1 or 0 to double precision; clipping keeps the weights finite.
_ETA_LOW, _ETA_HIGH = -30.0, 3.4


@dataclass(frozen=True)
class Measured:
    """One curve over scale.

    Parameters
    ----------
    scale
        Shape (M,), parameter counts.
    value
        Shape (M,), share of successes in [0, 1]: accuracy over targets, or success per token.
    items
        Shape (M,), items behind each share; the likelihood is binomial. None with ``standard_error``.
    standard_error
        Shape (M,), of each value; the likelihood is normal. None with ``items``.
    """

    scale: NDArray[np.float64]
    value: NDArray[np.float64]
    items: NDArray[np.float64] | None = None
    standard_error: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class TheoryFit:
    """Estimates of c and alpha for one curve, with what they can and cannot say.

    Attributes
    ----------
    c, c_low, c_high
        Scale constant for the stated ``length`` and its profile interval; see ``equivalent_scale`` for another
        length: accuracy alone cannot tell length from c.
    alpha, alpha_low, alpha_high
        Exponent and its profile interval; the same for every assumed length. An end that the data leave open is
        infinite in ``alpha`` and 0 or infinite in ``c``.
    deviance, degrees_of_freedom
        Twice the log-likelihood ratio against one free value a point.
    p_value, draws
        Parametric bootstrap of the deviance, ``(b + 1)/(m + 1)`` with m draws, all refitted: small means that the model
        does not describe the curve.
    reason
        Empty, or why there is no estimate: ``too_few_scales`` (fewer than 3), ``flat`` (all 0 or all 1; with standard
        errors, all equal) or ``separated`` (at most one scale lies between all wrong and all right, so alpha runs off to
        minus infinity, or to plus where the large models are the wrong ones).
    """

    likelihood: Literal["binomial", "normal"]
    length: int
    level: float
    c: float
    c_low: float
    c_high: float
    alpha: float
    alpha_low: float
    alpha_high: float
    deviance: float
    degrees_of_freedom: int
    p_value: float
    draws: int
    fitted: NDArray[np.float64]
    reason: str


def fit_theory(
    measured: Measured, *, length: int, rng: np.random.Generator, level: float = 0.95, draws: int = 999
) -> TheoryFit:
    """Fit ``exp(-L (N/c) ** alpha)`` to a measured curve.

    Parameters
    ----------
    measured
        Accuracy with the target's length, or per-token success (for instance ``1 - edit distance / L``) with
        ``length=1``.
    level
        Of the profile likelihood intervals.
    draws
        Of the parametric bootstrap behind ``p_value``.

    Raises
    ------
    AnalysisError
        Shares of items outside [0, 1], neither or both of ``items`` and ``standard_error``, arrays of unequal length.

    Examples
    --------
    >>> scale = np.logspace(6, 11, 9)
    >>> exact = np.exp(-5 * (scale / 1e8) ** -0.34)
    >>> curve = Measured(scale, exact, standard_error=np.full(9, 0.01))
    >>> fit = fit_theory(curve, length=5, rng=np.random.default_rng(0), draws=99)
    >>> round(fit.alpha, 3), round(float(np.log10(fit.c)), 2)
    (-0.34, 8.0)
    """
    from scipy import stats

    value, weight = _measured_iv(measured)
    likelihood: Literal["binomial", "normal"] = "normal" if measured.items is None else "binomial"
    reason = _undefined(measured.scale, value, likelihood)
    if reason:
        blank = np.full(len(value), np.nan)
        nan = float("nan")
        return TheoryFit(
            likelihood, length, level, nan, nan, nan, nan, nan, nan, nan, len(value) - 2, nan, 0, blank, reason
        )

    x = np.log(measured.scale)
    centre = float(x.mean())
    design = np.column_stack([np.ones_like(x), x - centre])
    beta = _score_fit(design, value[None, :], weight, likelihood)[0]
    fitted = _success(design @ beta)
    deviance = float(_deviance(fitted, value, weight, likelihood))

    def profile(offset: NDArray[np.float64], column: NDArray[np.float64]) -> float:
        # deviance with eta = offset + b * column, b free; least where offset is the estimate's
        b = _score_fit(column[:, None], value[None, :], weight, likelihood, offset=offset)[0]
        return float(_deviance(_success(offset + column * b[0]), value, weight, likelihood))

    limit = deviance + float(stats.chi2.ppf(level, 1))
    alpha_low, alpha_high = _profile_interval(
        lambda a: profile(a * (x - centre), np.ones_like(x)), float(beta[1]), limit, step=abs(float(beta[1])) / 4
    )
    # c for the stated length solves eta = log L + alpha (x - log c)
    log_c = centre + (np.log(length) - float(beta[0])) / float(beta[1])
    log_length = np.full_like(x, np.log(length))
    c_low, c_high = _profile_interval(lambda u: profile(log_length, x - u), log_c, limit, step=0.25)
    p_value, used = _bootstrap(fitted, design, weight, likelihood, deviance, rng=rng, draws=draws)
    return TheoryFit(
        likelihood,
        length,
        level,
        float(np.exp(log_c)),
        float(np.exp(c_low)),
        float(np.exp(c_high)),
        float(beta[1]),
        alpha_low,
        alpha_high,
        deviance,
        len(value) - 2,
        p_value,
        used,
        fitted,
        "",
    )


FIT_COLUMNS = (
    "c", "c_low", "c_high", "alpha", "alpha_low", "alpha_high", "deviance", "degrees_of_freedom", "p_value", "draws", "reason",
)  # fmt: skip


def fit_curves(curves: pd.DataFrame, *, length: int, rng: np.random.Generator, draws: int = 999) -> pd.DataFrame:
    """Fit every curve of a table (``load_curves``); one row a (task, family) with ``length, n_scales`` and ``FIT_COLUMNS``."""
    import pandas as pd

    rows = []
    for (task, family), own in curves.groupby(["task", "family"], sort=True):
        measured = Measured(*(own[name].to_numpy(float) for name in ("scale", "accuracy", "n_items")))
        fit = fit_theory(measured, length=length, rng=rng, draws=draws)
        head = {"task": task, "family": family, "length": length, "n_scales": len(own)}
        rows.append(head | {name: getattr(fit, name) for name in FIT_COLUMNS})
    return pd.DataFrame(rows)


def told(row: Mapping[Hashable, object]) -> str:
    """Say a fitted curve's estimates and goodness of fit in a sentence."""
    name = f"{row['task']}, {row['family']}"
    if row["reason"]:
        return f"{name}: no fit ({row['reason']})."
    p = float(str(row["p_value"]))
    return (
        f"{name}: alpha {row['alpha']:.3g} ({row['alpha_low']:.3g} to {row['alpha_high']:.3g}), c {row['c']:.3g} "
        f"({row['c_low']:.3g} to {row['c_high']:.3g}) at length {row['length']}; the model "
        f"{'does not fit' if p <= 0.05 else 'is not rejected'} (deviance {row['deviance']:.1f} on "
        f"{row['degrees_of_freedom']} degrees of freedom, p = {p:.2g})."
    )


def _measured_iv(measured: Measured) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    value = np.asarray(measured.value, float)
    given = [a for a in (measured.items, measured.standard_error) if a is not None]
    if len(given) != 1:
        raise AnalysisError("theory fit: give either items or standard_error of the measured values, not both")
    noise = np.asarray(given[0], float)
    if not value.shape == noise.shape == np.shape(measured.scale) or value.ndim != 1:
        raise AnalysisError("theory fit: scale, value and items or standard_error must be 1-d and of one length")
    if not (np.all(np.asarray(measured.scale) > 0) and np.all(noise > 0)):
        raise AnalysisError("theory fit: scales, items and standard errors must be above 0")
    if not np.all((value >= 0) & (value <= 1)) and measured.items is not None:
        raise AnalysisError("theory fit: shares of items must lie in [0, 1]; was a percentage given?")
    return value, noise if measured.items is not None else 1 / noise**2


def _undefined(scale: NDArray[np.float64], value: NDArray[np.float64], likelihood: str) -> str:
    """Why the likelihood has no maximum, or nothing."""
    if len(np.unique(scale)) < 3:
        return "too_few_scales"
    if np.all(value == value[0]) and (likelihood == "normal" or value[0] in (0, 1)):
        return "flat"
    if likelihood == "binomial":
        wrong, right = scale[value < 1], scale[value > 0]
        # scales with any wrong and any right item; they overlap in more than one scale unless separated
        if wrong.size and right.size and wrong.max() <= right.min():
            return "separated"
        if wrong.size and right.size and right.max() <= wrong.min():
            return "separated"
    return ""


def law_fits(x: NDArray[np.float64], success: NDArray[np.float64], tokens: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fit ``exp(-exp(b0 + b1 x))`` to many curves of token success by binomial maximum likelihood.

    Parameters
    ----------
    x
        Shape (M,), natural logarithms of scale, centred.
    success
        Shape (B, M), shares in [0, 1].
    tokens
        Shape (M,), tokens behind each share.

    Returns
    -------
    array of shape (B, 2)
        ``b0`` and the exponent ``b1``; very large in size where the curve is a clean step.
    """
    design = np.column_stack([np.ones_like(x), x])
    return _score_fit(design, success, np.broadcast_to(tokens, success.shape), "binomial")


def law_success(x: NDArray[np.float64], beta: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the success of fits by `law_fits`: beta (B, 2) -> (B, M)."""
    return _success(beta[:, :1] + beta[:, 1:] * x)


def _success(eta: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.exp(-np.exp(np.clip(eta, _ETA_LOW, _ETA_HIGH)))


def _deviance(
    fitted: NDArray[np.float64], value: NDArray[np.float64], weight: NDArray[np.float64], likelihood: str
) -> NDArray[np.float64]:
    """Deviance over the last axis."""
    from scipy.special import xlogy

    if likelihood == "normal":
        return np.asarray((weight * (value - fitted) ** 2).sum(axis=-1))
    hits = xlogy(value, value) - xlogy(value, fitted)
    misses = xlogy(1 - value, 1 - value) - xlogy(1 - value, 1 - fitted)
    return np.asarray(2 * (weight * (hits + misses)).sum(axis=-1))


def _score_fit(
    design: NDArray[np.float64],
    value: NDArray[np.float64],
    weight: NDArray[np.float64],
    likelihood: str,
    *,
    offset: NDArray[np.float64] | float = 0.0,
) -> NDArray[np.float64]:
    """Fisher scoring with damping, for many curves at once: value (B, M), design (M, k) -> coefficients (B, k)."""
    # start: least squares on log(-log) of shares pulled off 0 and 1
    pulled = np.clip(value, 0.02, 0.98)
    start = np.log(-np.log(pulled)) - offset
    beta = np.asarray(np.linalg.lstsq(design, start.T, rcond=None)[0].T, dtype=np.float64)
    deviance = _deviance(_success(offset + beta @ design.T), value, weight, likelihood)
    damping = np.full(len(value), 1e-3)
    identity = np.eye(design.shape[1])
    active = np.ones(len(value), bool)
    for _ in range(_MAX_STEPS):
        eta = np.clip(offset + beta @ design.T, _ETA_LOW, _ETA_HIGH)
        mu = np.exp(-np.exp(eta))
        slope = -np.exp(eta) * mu
        info = (
            weight / np.maximum(mu * (1 - mu), 1e-300)
            if likelihood == "binomial"
            else np.broadcast_to(weight, mu.shape)
        )
        gradient = (info * slope * (value - mu)) @ design
        hessian = np.einsum("bm,mi,mj->bij", info * slope**2, design, design)
        scale = np.einsum("bii->bi", hessian)[:, :, None] * identity
        step = np.linalg.solve(hessian + damping[:, None, None] * scale + 1e-12 * identity, gradient[..., None])[..., 0]
        trial = beta + step
        new = _deviance(_success(offset + trial @ design.T), value, weight, likelihood)
        better = (new <= deviance) & active
        done = better & (deviance - new <= _TOLERANCE * (1 + deviance)) & (np.abs(step).max(axis=1) < 1e-6)
        beta[better], deviance[better] = trial[better], new[better]
        damping = np.where(better, damping / 10, damping * 10)
        active &= ~done & (damping < 1e12)
        if not active.any():
            break
    return beta


def _profile_interval(
    profile: Callable[[float], float], best: float, limit: float, *, step: float
) -> tuple[float, float]:
    """Where a profile deviance crosses ``limit`` on either side of its minimum; infinite where it never does."""
    from scipy.optimize import brentq

    ends = []
    for sign in (-1, 1):
        inner, width = best, step
        outer = best + sign * width
        # doubling 40 times covers twelve orders of magnitude; a profile still below the limit is flat
        for _ in range(40):
            if profile(outer) > limit:
                break
            inner, width = outer, width * 2
            outer = best + sign * width
        else:
            ends.append(sign * float("inf"))
            continue
        ends.append(float(brentq(lambda u: profile(u) - limit, inner, outer, xtol=1e-9)))
    return ends[0], ends[1]


def _bootstrap(
    fitted: NDArray[np.float64],
    design: NDArray[np.float64],
    weight: NDArray[np.float64],
    likelihood: str,
    deviance: float,
    *,
    rng: np.random.Generator,
    draws: int,
) -> tuple[float, int]:
    """Share of curves drawn from the fit whose own refit is at least as bad, and the draws behind it."""
    if draws < 1:
        return float("nan"), 0
    shape = (draws, len(fitted))
    if likelihood == "binomial":
        value = rng.binomial(weight.astype(int), fitted, shape) / weight
    else:
        value = fitted + rng.standard_normal(shape) / np.sqrt(weight)
    beta = _score_fit(design, value, weight, likelihood)
    worse = _deviance(_success(beta @ design.T), value, weight, likelihood) >= deviance * (1 - 1e-9)
    return float((worse.sum() + 1) / (draws + 1)), draws
