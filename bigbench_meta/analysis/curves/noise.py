"""How much a point of a curve may scatter: items, and what items do not explain.

Vocabulary
----------
item noise
    A score on n items with success p has variance ``p (1 - p) / n``: the error of the *items*, for one fixed model.
overdispersion rho
    What seeds, prompts and data order add: successes share a common part, ``V = p (1 - p) / n * (1 + (n - 1) rho)``
    (beta-binomial). Together the two speak of *items and models of this size*, not of items alone.
factor
    ``phi = 1 + (n - 1) rho``: how many times the item noise the true variance is. One curve of 12 scales cannot tell
    its own phi, so phi has a distribution over tasks, estimated from all tasks of a family.

Notes
-----
Overdispersion differs from task to task: of 120 BIG-G curves about four in five show none and a few exceed item noise
forty times over. One pooled rho would therefore be wrong twice, too wide for most and far too narrow for some, and the
latter would all look sharp. The distribution of rho over tasks is estimated without a form (nonparametric maximum
likelihood on a grid, by EM) from the sums of squares that the most flexible rising shape leaves. Every test statistic
is divided by the curve's own posterior mean of phi, and every null draw takes its phi from the same distribution.

The same items are scored at every scale, which makes steps *less* noisy than independent draws say: half the real
curves scatter less than binomially. Nothing is gained from that here; the tests are conservative there.

The opposite is a model that gives one answer to all items: its score is the share of items with that answer, and from one
such model to the next it jumps by whole classes, as if it had been asked one item, not n. Its items are worth n / phi;
phi = n in the extreme (``items_effective`` among the columns of a curve). Nothing in a table of scores marks such models. Where
their answer changes to and fro, the curve leaves residuals many times the binomial ones, its posterior of phi is large and no
jump of it is significant for n alone; where it changes once, from the small models to the large, it looks like a clean step
and is taken for one.

A score without items (BLEU, Brier) has no noise model of its own: its scatter is pooled over the tasks of the same
metric and family if there are enough of them, else it is unknown and the curve stays undecided.

References
----------
.. [1] Laird, N. (1978). Nonparametric maximum likelihood estimation of a mixing distribution. JASA 73.
.. [2] Smyth, G. K. (2004). Linear models and empirical Bayes methods. Stat. Appl. Genet. Mol. Biol. 3(1).
.. [3] Miller, E. (2024). Adding Error Bars to Evals. arXiv 2411.00640.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from scipy import special

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

NoiseKind = Literal["items", "share", "constant"]

# Overdispersion grid: none, then from a part in ten thousand (invisible at n = 1024) to nearly no independent items.
RHO_GRID = np.concatenate([[0.0], np.geomspace(1e-4, 0.3, 24)])
# Distribution of rho over the 120 three-shot BIG-G tasks of the public bundle, rounded: where few tasks are at hand
# it stands in, with the weight of this many tasks. So a lone curve gets it whole and a full family overrules it.
_PACKAGED_RHO = ((0.0, 0.80), (0.0016, 0.06), (0.0125, 0.09), (0.05, 0.05))
PACKAGED_WEIGHT = 4.0
# Scatter of scores without items needs this many tasks and residual degrees of freedom before it is believed.
MIN_RESIDUAL_TASKS, MIN_RESIDUAL_DOF = 5, 10.0
# A share whose fitted success is 0 or 1 still varies; half a success (of n items, or of this many) keeps it from 0.
_ITEMS_OF_A_SHARE = 100.0
_ITEMS_OF_AN_ERROR = 1000.0
_EM_STEPS = 300
# Masses that move less than that have settled.
_EM_TOLERANCE = 1e-5
# Standard errors beyond which nothing is looked for.
_FARTHEST = 6.0


@dataclass(frozen=True)
class Noise:
    """The noise of one curve.

    Attributes
    ----------
    kind : ``items`` (beta-binomial on n items), ``share`` (a share of unknown n, variance in proportion to
        p (1 - p)), ``constant`` (the same variance at every scale).
    n_items : items behind a point, NaN unless ``kind`` is ``items``.
    factors, masses : the distribution of phi over tasks: multiples of the unit variance and their probabilities.
    """

    kind: NoiseKind
    n_items: float
    factors: Vector
    masses: Vector

    def unit_variance(self, mean: Vector) -> Vector:
        """Variance of each point at phi = 1, for fitted scores ``mean``."""
        return _unit_variance(self.kind, self.n_items, mean)

    def draw(self, mean: Vector, *, size: int, rng: np.random.Generator) -> Vector:
        """Draw ``size`` curves (size, M) around ``mean``, each with a phi of its own from the distribution over tasks."""
        factor = rng.choice(self.factors, size=size, p=self.masses)[:, None]
        if self.kind == "items":
            return beta_binomial(np.broadcast_to(mean, (size, len(mean))), n_items=self.n_items, factor=factor, rng=rng)
        drawn = mean + np.sqrt(self.unit_variance(mean) * factor) * rng.standard_normal((size, len(mean)))
        return np.asarray(np.clip(drawn, 0.0, 1.0) if self.kind == "share" else drawn)


def _unit_variance(kind: NoiseKind, n_items: float | Vector, mean: Vector) -> Vector:
    if kind == "constant":
        return np.ones(mean.shape, dtype=np.float64)
    n = n_items if kind == "items" else _ITEMS_OF_A_SHARE
    success = (np.clip(mean, 0.0, 1.0) * n + 0.5) / (n + 1)
    return np.asarray(success * (1 - success) / (n if kind == "items" else 1.0))


@dataclass(frozen=True)
class Noises:
    """The noises of C curves of one kind, side by side: ``n_items`` (C,), ``factors`` and ``masses`` (C, F)."""

    each: tuple[Noise, ...]
    n_items: Vector
    factors: Vector
    masses: Vector

    def unit_variance(self, mean: Vector) -> Vector:
        """Variance of each point at phi = 1, for fitted scores ``mean`` (C, M)."""
        return _unit_variance(self.each[0].kind, self.n_items[:, None], mean)

    def of(self, curves: NDArray[np.int64]) -> Noises:
        """Keep some of the curves."""
        return Noises(
            tuple(self.each[at] for at in curves.tolist()),
            self.n_items[curves],
            self.factors[curves],
            self.masses[curves],
        )

    def posterior(self, ssr: Vector, dof: float) -> Vector:
        """Probabilities (C, ..., F) of phi given weighted sums of squares ``ssr`` (C, ...) on ``dof`` degrees of freedom."""
        shape = (len(self.factors), *(1,) * (ssr.ndim - 1), self.factors.shape[1])
        log: Vector = (-0.5 / self.factors).reshape(shape) * ssr[..., None]
        log += (-0.5 * dof * np.log(self.factors) + np.log(np.maximum(self.masses, 1e-300))).reshape(shape)
        log -= log.max(axis=-1, keepdims=True)
        np.exp(log, out=log)
        return np.asarray(log / log.sum(axis=-1, keepdims=True))

    def scale(self, ssr: Vector, dof: float) -> Vector:
        """Posterior mean of phi, (C, ...): what a test statistic is divided by."""
        masses = self.posterior(ssr, dof)
        return np.asarray((masses * self.factors.reshape(len(self.factors), *(1,) * (ssr.ndim - 1), -1)).sum(axis=-1))

    def critical_square(self, ssr: Vector, dof: float, level: float, *, parameters: int = 1) -> Vector:
        """Return q^2 with P(phi chi2 > q^2) = 1 - level under the posterior of phi, chi2 on 1 or 2 ``parameters``; (C,).

        In units of the unit variance. Two for profiles over shapes whose place or width may lie on its bound: there
        the likelihood ratio of one parameter is no longer chi2 on one degree of freedom but up to that on two.
        """
        masses, root = self.posterior(ssr, dof), np.sqrt(self.factors)
        high = _FARTHEST * root.max(axis=1)
        low = np.zeros(len(high))
        while True:
            open_ones = high - low > 1e-6 * high
            if not open_ones.any():
                return np.asarray(high**2)
            middle = (low + high) / 2
            ratio = middle[:, None] / root
            tail = 2 * special.ndtr(-ratio) if parameters == 1 else np.exp(-(ratio**2) / 2)
            up = (masses * tail).sum(axis=1) > 1 - level
            low = np.where(open_ones & up, middle, low)
            high = np.where(open_ones & ~up, middle, high)


def side_by_side(noises: Sequence[Noise]) -> Noises:
    """Put noises of one kind side by side; shorter distributions are filled up with factors of no mass."""
    length = max(len(noise.factors) for noise in noises)
    factors, masses = np.ones((len(noises), length)), np.zeros((len(noises), length))
    for row, noise in enumerate(noises):
        factors[row, : len(noise.factors)], masses[row, : len(noise.masses)] = noise.factors, noise.masses
    return Noises(tuple(noises), np.array([noise.n_items for noise in noises], dtype=np.float64), factors, masses)


def beta_binomial(mean: Vector, *, n_items: float, factor: Vector, rng: np.random.Generator) -> Vector:
    """Draw shares of successes with mean ``mean`` (draws, M) and variance ``factor`` (draws, 1) times the binomial.

    The success of a point is itself drawn from a beta distribution with intraclass correlation
    ``(factor - 1) / (n - 1)``; with factor 1, or a single item, the draw is binomial.
    """
    n = int(n_items)
    rho = np.clip((factor - 1.0) / max(n - 1, 1), 0.0, 0.9)[:, 0]
    success = np.clip(mean, 0.5 / (n + 1), 1 - 0.5 / (n + 1))
    over = rho > 0
    if over.any():
        precision = (1.0 / rho[over] - 1.0)[:, None]
        success = success.copy()
        success[over] = rng.beta(success[over] * precision, (1.0 - success[over]) * precision)
    return np.asarray(rng.binomial(n, success) / n)


class Residual(NamedTuple):
    """What the flexible fit of one curve leaves: ``ssr`` at phi = 1, its expectation and degrees of freedom there."""

    task: str
    n_items: float
    ssr: float
    expected: float
    dof: float


@dataclass(frozen=True)
class Overdispersion:
    """Distribution of rho (or of the variance, for scores without items) over the tasks of a group.

    ``n_tasks`` are those with a residual, ``mean`` is the distribution's mean, ``low`` and ``high`` its 95% interval from
    resampling whole tasks, NaN below two. For items the packaged share of the estimate is not resampled: with few tasks the
    interval is too short.
    """

    grid: Vector
    masses: Vector
    n_tasks: int
    mean: float
    low: float
    high: float

    def noise(self, *, kind: NoiseKind, n_items: float) -> Noise:
        """Return the noise of a curve with ``n_items`` items from this group."""
        factors = 1.0 + (n_items - 1.0) * self.grid if kind == "items" else self.grid
        keep = self.masses > 1e-6
        return Noise(kind, n_items, factors[keep], self.masses[keep] / self.masses[keep].sum())


def packaged_masses() -> Vector:
    """Return the packaged distribution of rho on `RHO_GRID`, each of its atoms at the nearest grid point."""
    masses = np.zeros(len(RHO_GRID))
    for rho, mass in _PACKAGED_RHO:
        masses[int(np.argmin(np.abs(RHO_GRID - rho)))] += mass
    return masses


def noise_of_errors(variance: float, *, n_items: float) -> Noise:
    """Return the noise of a curve whose scatter no other task tells: the errors that its source gives, and what they leave out.

    A standard error speaks of the items alone. What models of one size differ by beyond that has the packaged distribution,
    as of a lone curve of successes with as many items.

    Parameters
    ----------
    variance : mean square of the standard errors.
    n_items : items behind a point; where they are unknown, as many as many tests have.
    """
    n = n_items if np.isfinite(n_items) else _ITEMS_OF_AN_ERROR
    masses = packaged_masses()
    keep = masses > 0
    return Noise("constant", np.nan, variance * (1.0 + (n - 1.0) * RHO_GRID[keep]), masses[keep])


def _mixtures(log_likelihood: Vector, weights: Vector, extra: Vector) -> Vector:
    """Masses (sets, grid) that maximise the likelihood of weighted curves plus ``extra`` pseudo-counts, by EM.

    ``log_likelihood`` is (curves, grid), ``weights`` (sets, curves). Each set starts from uniform masses and stops for
    itself.
    """
    likelihood = np.exp(log_likelihood - log_likelihood.max(axis=1, keepdims=True))
    total = (weights.sum(axis=1) + extra.sum())[:, None]
    masses = np.full((len(weights), likelihood.shape[1]), 1.0 / likelihood.shape[1])
    open_sets = np.arange(len(weights))
    for _ in range(_EM_STEPS):
        old = masses[open_sets]
        shares = (weights[open_sets] / (old @ likelihood.T)) @ likelihood
        updated = (old * shares + extra) / total[open_sets]
        masses[open_sets] = updated
        open_sets = open_sets[np.abs(updated - old).max(axis=1) >= _EM_TOLERANCE]
        if not len(open_sets):
            break
    return masses


def pooled_overdispersion(
    residuals: list[Residual], *, kind: NoiseKind, rng: np.random.Generator, resamples: int = 99
) -> Overdispersion | None:
    """Estimate the distribution of overdispersion over tasks from the residuals of their curves.

    Parameters
    ----------
    residuals : one per curve; several curves of one task share the weight of one task.
    kind : ``items`` estimates rho, with `PACKAGED_WEIGHT` tasks' worth of the packaged distribution added; the other
        kinds estimate the unit variance itself and need `MIN_RESIDUAL_TASKS` tasks.
    rng : for the interval, from whole tasks drawn with replacement.
    resamples : draws of that interval; 99 tell its ends roughly, which is what it is shown for.

    Returns
    -------
    Overdispersion or None
        None if scores without items are too few to tell their scatter. Curves that their fit meets exactly (``dof`` 0) say
        nothing and do not count.

    Notes
    -----
    Under a factor phi a residual sum of squares is about ``phi * expected / dof * chi2(dof)``; ``expected`` and
    ``dof`` come from simulating the fitted curve at phi = 1, so that what the search over shapes takes away is
    allowed for. The unit of independence is the task.
    """
    tasks, index = np.unique([each.task for each in residuals], return_inverse=True)
    dof = np.array([each.dof for each in residuals])
    usable = dof > 0
    n_tasks = len(np.unique(index[usable]))
    if kind == "items":
        grid, extra = RHO_GRID, PACKAGED_WEIGHT * packaged_masses()
    else:
        positive = np.array([each.ssr / each.expected for each in residuals if each.ssr > 0 and each.dof > 0])
        enough = n_tasks >= MIN_RESIDUAL_TASKS and dof[usable].sum() >= MIN_RESIDUAL_DOF and len(positive)
        if not enough:
            return None
        grid = np.geomspace(np.quantile(positive, 0.05) / 2, positive.max() * 2, 25)
        extra = np.zeros(len(grid))
    if not usable.any():
        masses = packaged_masses()
        return Overdispersion(grid, masses, 0, float(grid @ masses), np.nan, np.nan)
    n_items = np.array([each.n_items for each in residuals])[:, None]
    factors = 1.0 + (n_items - 1.0) * grid if kind == "items" else np.broadcast_to(grid, (len(residuals), len(grid)))
    ratio = np.array([each.ssr / each.expected if each.expected > 0 else 0.0 for each in residuals])
    log_likelihood = -0.5 * dof[:, None] * (np.log(factors) + ratio[:, None] / factors)
    log_likelihood[~usable] = 0.0
    curves_of_task = np.bincount(index)
    weights = 1.0 / curves_of_task[index]
    masses = _mixtures(log_likelihood, weights[None, :], extra)[0]
    low, high = np.nan, np.nan
    if n_tasks > 1:
        picked = rng.integers(len(tasks), size=(resamples, len(tasks)))
        times = np.apply_along_axis(np.bincount, 1, picked, minlength=len(tasks))
        low, high = np.quantile(
            _mixtures(log_likelihood, weights * times[:, index], extra + 1e-9) @ grid, [0.025, 0.975]
        )
    return Overdispersion(grid, masses, n_tasks, float(grid @ masses), float(low), float(high))
