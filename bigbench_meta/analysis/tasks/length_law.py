"""The full law with its target length: possible where several lengths, or a per-token score of the same outputs, exist.

Vocabulary
----------
length law
    Exact match of a target of L tokens on a model of N parameters: ``A = exp(-L^b (N/c)^alpha)`` [1]_ with b = 1. One
    accuracy curve cannot tell L from c (`laws`); several lengths with c and alpha in common can.
length power b
    1 if tokens succeed or fail independently of each other and of the length, as the paper assumes; below 1 where long
    targets are easier than that, 0 where the length does not matter.
effective length
    The l for which ``A = p^l``, p the per-token accuracy of the same outputs: L under the paper's assumption, less where
    tokens of one output fail together.

Notes
-----
``log(-log A) = b0 + alpha log N + b log L`` is linear, so the failures, binomial with chance ``1 - exp(-exp(eta))``, are
fitted by a generalised linear model with the complementary log-log link [2]_. Standard errors are scaled by the Pearson
dispersion where it exceeds 1 (seeds, prompts, and any misfit of the law), intervals and tests use Student's t on the
residual degrees of freedom. The unit of independence is a point: one model at one length. That all lengths are measured
on the same models is not allowed for beyond the dispersion.

References
----------
.. [1] Schaeffer, Miranda, Koyejo (2023). Are Emergent Abilities of Large Language Models a Mirage? Sec. 2, App. A.
.. [2] McCullagh, P., Nelder, J. A. (1989). Generalized Linear Models, 2nd ed., sections 4.3 and 4.5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import special

from bigbench_meta.analysis.curves.laws import DEFAULT_BOUND

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

LEVEL = 0.95
# Two lengths tell a power from a constant but not from chance; a point more than parameters leaves a residual.
MIN_LENGTHS, MIN_POINTS = 2, 5
# Points five item errors off the law: a multiple of its standard errors no longer mends that.
WORST_DISPERSION = 25.0
UNIDENTIFIED, MISFIT = "not_identified", "law_does_not_fit"
# Newton steps and the change of eta below which they have settled; eta beyond 30 is success 0 or 1 to the last digit.
_STEPS, _SETTLED, _FARTHEST = 60, 1e-9, 30.0


class Estimate(NamedTuple):
    """A coefficient with its interval and the two-sided p-value of one hypothesis about it; NaN where undefined."""

    value: float
    low: float
    high: float
    p_value: float


class LengthLaw(NamedTuple):
    """The law fitted to several lengths.

    ``exponent`` is ``|alpha|`` (its p-value one-sided, for at most `DEFAULT_BOUND`), ``power`` is b (p-value for b = 1),
    ``dispersion`` the Pearson statistic over its degrees of freedom, ``n_points`` the points that entered, ``reason``
    why nothing is defined, or empty.
    """

    exponent: Estimate
    power: Estimate
    dispersion: float
    n_points: int
    reason: str


class EffectiveLength(NamedTuple):
    """The effective length (p-value: equal to the length), dispersion, points used and left out (p = 0 or 1)."""

    length: Estimate
    dispersion: float
    n_points: int
    n_left_out: int
    reason: str


_NONE = Estimate(np.nan, np.nan, np.nan, np.nan)


class _Glm(NamedTuple):
    coefficients: Vector
    covariance: Vector
    dispersion: float
    dof: int


def _log_likelihood(failures: Vector, trials: Vector, eta: Vector) -> float:
    hazard = np.exp(eta)
    return float((special.xlogy(failures, -np.expm1(-hazard)) - (trials - failures) * hazard).sum())


def _fit(failures: Vector, trials: Vector, *, columns: Vector, offset: Vector) -> _Glm | str:
    """Binomial regression of failures with the complementary log-log link, or why the likelihood has no finite maximum.

    The log-likelihood is concave, so that Newton's method with its steps halved until it rises finds the one maximum.
    Scoring by expected information does not settle in reasonable time where the law is far from the points.
    """
    share = (failures + 0.5) / (trials + 1.0)
    coefficients: Vector = np.asarray(
        np.linalg.lstsq(columns, np.log(-np.log1p(-share)) - offset, rcond=None)[0], np.float64
    )

    def bounded(coefficients: Vector) -> Vector:
        return np.asarray(np.clip(columns @ coefficients + offset, -_FARTHEST, np.log(_FARTHEST)))

    for _ in range(_STEPS):
        eta = bounded(coefficients)
        hazard = np.exp(eta)
        pull = hazard / np.expm1(hazard)  # d log(failure) / d eta
        gradient = columns.T @ (failures * pull - (trials - failures) * hazard)
        curvature = failures * pull * np.maximum(hazard / -np.expm1(-hazard) - 1.0, 0.0) + (trials - failures) * hazard
        information = columns.T @ (curvature[:, None] * columns)
        if not np.isfinite(information).all() or np.linalg.cond(information) > 1 / np.finfo(float).eps:
            return UNIDENTIFIED
        step = np.linalg.solve(information, gradient)
        # A step of more than 2 in eta overshoots where points are near 0 or 1.
        step *= min(1.0, 2.0 / max(float(np.abs(columns @ step).max()), 1e-12))
        before = _log_likelihood(failures, trials, eta)
        while (
            np.abs(columns @ step).max() >= _SETTLED
            and _log_likelihood(failures, trials, bounded(coefficients + step)) < before
        ):
            step /= 2.0
        coefficients = coefficients + step
        if np.abs(columns @ step).max() < _SETTLED:
            return _described(coefficients, failures, trials, columns=columns, hazard=np.exp(bounded(coefficients)))
    return UNIDENTIFIED


def _described(coefficients: Vector, failures: Vector, trials: Vector, *, columns: Vector, hazard: Vector) -> _Glm:
    """Covariance by expected information, and Pearson's dispersion, of a fit with these coefficients."""
    success = np.exp(-hazard)
    weight = trials * (hazard * success) ** 2 / np.maximum(success * -np.expm1(-hazard), 1e-300)
    information = columns.T @ (weight[:, None] * columns)
    dof = len(failures) - columns.shape[1]
    # Half a success, or failure, where the law says none at all: one stray item is no misfit.
    held = np.clip(success, 0.5 / (trials + 1), 1 - 0.5 / (trials + 1))
    pearson = float((trials * (failures / trials - 1 + held) ** 2 / (held * (1 - held))).sum())
    return _Glm(coefficients, np.asarray(np.linalg.inv(information), np.float64), pearson / dof if dof else np.nan, dof)


def _estimate(glm: _Glm, at: int, *, null: float) -> Estimate:
    value = float(glm.coefficients[at])
    error = float(np.sqrt(glm.covariance[at, at] * max(glm.dispersion, 1.0)))
    reach = float(special.stdtrit(glm.dof, (1 + LEVEL) / 2)) * error
    return Estimate(value, value - reach, value + reach, float(2 * special.stdtr(glm.dof, -abs(value - null) / error)))


def length_law(accuracy: Vector, *, lengths: Vector, scales: Vector, n_items: Vector) -> LengthLaw:
    """Fit the law to accuracies of several target lengths at once, with c and alpha in common.

    Parameters
    ----------
    accuracy, lengths, scales, n_items : (P,) arrays, one point each: exact match in [0, 1], tokens of the target,
        effective parameter count, items behind the point. A chance level above 0 is not allowed for.

    Returns
    -------
    LengthLaw
        NaN with a reason for fewer than two lengths or two scales (``one_length``, ``one_scale``), fewer than 5 points
        (``too_few_points``), where no finite law fits (``not_identified``: all successes or all failures, or a clean
        step), or where points scatter about the best one with more than 25 times the item variance (``law_does_not_fit``:
        the dispersion stands, nothing else would mean anything). Intervals are 95%, Student's t.

    Notes
    -----
    With L known the exponent is identified beside the length: a small p-value of ``exponent`` says that the common
    per-token curve is steeper than the published range, whatever the lengths. p-values of ``power`` speak against
    independent tokens, not for a jump. Simulated levels at 5%: 2.1 to 5.9% and 0.5 to 4.2% (docs/validation.md).

    Examples
    --------
    >>> scales = np.tile([1e7, 1e8, 1e9, 1e10], 2)
    >>> lengths = np.repeat([1.0, 5.0], 4)
    >>> accuracy = np.exp(-lengths * (scales / 1e8) ** -0.3)
    >>> law = length_law(accuracy, lengths=lengths, scales=scales, n_items=np.full(8, 1e6))
    >>> round(law.exponent.value, 3), round(law.power.value, 3)
    (0.3, 1.0)
    """
    reason = _too_little(accuracy, {"one_length": lengths, "one_scale": scales})
    if reason:
        return LengthLaw(_NONE, _NONE, np.nan, len(accuracy), reason)
    columns = np.column_stack([np.ones(len(accuracy)), np.log(scales / np.median(scales)), np.log(lengths)])
    glm = _fit((1.0 - accuracy) * n_items, n_items, columns=columns, offset=np.zeros(len(accuracy)))
    if isinstance(glm, str):
        return LengthLaw(_NONE, _NONE, np.nan, len(accuracy), glm)
    if glm.dispersion > WORST_DISPERSION:
        return LengthLaw(_NONE, _NONE, glm.dispersion, len(accuracy), MISFIT)
    slope = _estimate(glm, 1, null=-DEFAULT_BOUND)
    beyond = slope.value < -DEFAULT_BOUND
    one_sided = slope.p_value / 2 if beyond else 1 - slope.p_value / 2
    exponent = Estimate(-slope.value, -slope.high, -slope.low, one_sided)
    return LengthLaw(exponent, _estimate(glm, 2, null=1.0), glm.dispersion, len(accuracy), "")


def effective_length(accuracy: Vector, *, per_token: Vector, length: float, n_items: Vector) -> EffectiveLength:
    """Return the l of ``accuracy = per_token^l`` over the scales, against the tokens that the target has.

    Parameters
    ----------
    accuracy, per_token, n_items : (M,) arrays: exact match and per-token accuracy of the same outputs, in [0, 1], and
        items behind a point.
    length : tokens of the target; NaN where unknown or not one number: then l is estimated and nothing is tested.

    Returns
    -------
    EffectiveLength
        With the 95% interval and the two-sided p-value of l = ``length``. NaN with a reason for fewer than two different
        per-token accuracies (``one_scale``) or 5 points (``too_few_points``), all successes or all failures
        (``not_identified``), two measures that are one (``same_scores``, as for one token), or points that the best l
        misses by more than 25 times the item variance (``law_does_not_fit``). ``length_unknown`` leaves the p-value NaN.

    Notes
    -----
    Points with a per-token accuracy of 0 or 1 say nothing of l and are left out, counted. Both scores are of the same
    outputs and rise and fall together, which is not made use of: with independent tokens the test of l = ``length`` rejected
    0 to 0.3% of the time at 5% and the interval held the length in 99.7% or more (1,000 simulated tasks a setting,
    docs/validation.md). Where one output in five had all its tokens right or all wrong, it rejected in 74 to 100% at 5%, and on
    10 tokens, or 1,000 items, more often than not the points miss every l and are refused.

    Examples
    --------
    >>> p = np.array([0.2, 0.5, 0.8, 0.9, 0.95])
    >>> found = effective_length(p**3, per_token=p, length=3, n_items=np.full(5, 1e6))
    >>> round(found.length.value, 3), found.n_left_out
    (3.0, 0)
    """
    inside = (per_token > 0) & (per_token < 1)
    left_out = int((~inside).sum())
    accuracy, per_token, n_items = accuracy[inside], per_token[inside], n_items[inside]
    reason = _too_little(accuracy, {"one_scale": per_token})
    if not reason and np.array_equal(accuracy, per_token):
        reason = "same_scores"
    if reason:
        return EffectiveLength(_NONE, np.nan, len(accuracy), left_out, reason)
    offset = np.log(-np.log(per_token))
    glm = _fit((1.0 - accuracy) * n_items, n_items, columns=np.ones((len(accuracy), 1)), offset=offset)
    if isinstance(glm, str):
        return EffectiveLength(_NONE, np.nan, len(accuracy), left_out, glm)
    if glm.dispersion > WORST_DISPERSION:
        return EffectiveLength(_NONE, glm.dispersion, len(accuracy), left_out, MISFIT)
    log_length = _estimate(glm, 0, null=float(np.log(length)))
    low, value, high = np.exp([log_length.low, log_length.value, log_length.high]).tolist()
    estimate = Estimate(value, low, high, log_length.p_value)
    reason = "" if np.isfinite(length) else "length_unknown"
    return EffectiveLength(estimate, glm.dispersion, len(accuracy), left_out, reason)


def _too_little(accuracy: Vector, varied: dict[str, Vector]) -> str:
    if len(accuracy) == 0:
        return "too_few_points"
    for reason, values in varied.items():
        if len(np.unique(values)) < MIN_LENGTHS:
            return reason
    if len(accuracy) < MIN_POINTS:
        return "too_few_points"
    return UNIDENTIFIED if accuracy.max() == accuracy.min() and accuracy.max() in (0.0, 1.0) else ""
