"""How often each cell occurs in a population: nonparametric maximum likelihood by EM, for many resamples at once.

Vocabulary
----------
share
    Probability of a cell in the population.
noise mass
    Probability of each phi, for each group of curves whose noise is alike; independent of the cell.

Notes
-----
The likelihood of curve j is sum_c share_c sum_r mass_r L_jcr with L from `shape_cells`; shares and masses are fitted together.
The weight of a curve is 1 over the curves of its task, so that a task counts once.

References
----------
.. [1] Laird, N. (1978). Nonparametric maximum likelihood estimation of a mixing distribution. JASA 73.
.. [2] Efron, B. (2014). Two modeling strategies for empirical Bayes estimation. Statistical Science 29(2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

# Shares after so many steps move by less than a tenth of their interval; masses are updated at every tenth.
_STEPS, _EVERY = 120, 10
# Weight of an even spread over the masses of phi, in tasks: it keeps a group of few curves from a noise of its own.
_EVEN_NOISE = 2.0
# Resamples are fitted in blocks of at most this many numbers, about 160 MB.
_BLOCK = 20_000_000


# Totals at which the likelihood is profiled, steps of EM at each, and half of the 95% point of chi-squared on 1.
_TOTALS = np.linspace(0.0, 1.0, 41)
_PROFILE_STEPS = 80
_DROP = 1.9207


class Fit(NamedTuple):
    """Shares (resamples, cells) and noise masses (resamples, groups, phi)."""

    shares: Vector
    masses: Vector


def fit(likelihood: Vector, noise: NDArray[np.int64], weights: Vector, *, start: Fit | None = None) -> Fit:
    """Fit shares and noise masses to each row of weights.

    Parameters
    ----------
    likelihood
        Shape (curves, cells, phi).
    noise
        Number of the noise group of each curve.
    weights
        Shape (resamples, curves).
    start
        Where to start from; its first row is taken for all. Default: even.
    """
    n_curves, n_cells, n_phi = likelihood.shape
    n_noise = int(noise.max()) + 1
    block = max(1, _BLOCK // (n_curves * n_cells))
    parts = []
    for first in range(0, len(weights), block):
        own = weights[first : first + block]
        share = np.full((len(own), n_cells), 1.0 / n_cells)
        mass = np.full((len(own), n_noise, n_phi), 1.0 / n_phi)
        if start is not None:
            share = 0.9 * start.shares[:1] + 0.1 * share
            mass = 0.9 * start.masses[:1] + 0.1 * mass
        parts.append(_em(likelihood, noise, own, share=share, mass=mass))
    return Fit(np.concatenate([each.shares for each in parts]), np.concatenate([each.masses for each in parts]))


def _em(likelihood: Vector, noise: NDArray[np.int64], weights: Vector, *, share: Vector, mass: Vector) -> Fit:
    members = [np.flatnonzero(noise == group) for group in range(mass.shape[1])]
    total = weights.sum(axis=1, keepdims=True)
    over_phi = np.empty((len(weights), *likelihood.shape[:2]))
    for step in range(_STEPS):
        if step % _EVERY == 0:
            for group, rows in enumerate(members):
                # (curves, cells, phi) x (phi, resamples): the likelihood of each cell at the masses so far.
                over_phi[:, rows] = np.moveaxis(likelihood[rows] @ mass[:, group].T, -1, 0)
                at_phi = np.einsum("jcr,bc->bjr", likelihood[rows], share, optimize=True) * mass[:, group][:, None, :]
                at_phi /= np.maximum(at_phi.sum(axis=2, keepdims=True), 1e-300)
                moved = np.einsum("bj,bjr->br", weights[:, rows], at_phi) + _EVEN_NOISE / mass.shape[2]
                mass[:, group] = moved / moved.sum(axis=1, keepdims=True)
        mixed = np.maximum((over_phi @ share[:, :, None])[:, :, 0], 1e-300)
        moved = share * ((weights / mixed)[:, None, :] @ over_phi)[:, 0]
        share = moved / total
    return Fit(share, mass)


def at_masses(likelihood: Vector, noise: NDArray[np.int64], found: Fit) -> Vector:
    """Likelihood of each curve in each cell, (curves, cells), at the noise masses of the first fit."""
    return np.asarray(np.einsum("jcr,jr->jc", likelihood, found.masses[0, noise], optimize=True))


def profile_interval(
    over_phi: Vector, weights: Vector, share: Vector, chosen: NDArray[np.bool_]
) -> tuple[float, float]:
    """95% interval of the total share of the ``chosen`` cells, by the profile likelihood.

    Parameters
    ----------
    over_phi
        Likelihood of each curve in each cell, (curves, cells).
    weights
        Weight of each curve; their sum is the number of tasks.
    share
        Fitted shares of the cells.
    chosen
        Which cells.

    Notes
    -----
    For each total on a grid the shares are fitted with that total held; the interval holds the totals whose log likelihood is
    less than 1.92 below the largest (chi-squared on one degree of freedom). At a total of 0 or 1 that is conservative.
    """
    even = 1.0 / len(share)
    held = _TOTALS[:, None]
    start = 0.9 * share + 0.1 * even

    def with_total(rows: Vector) -> Vector:
        inside, outside = rows[:, chosen].sum(axis=1, keepdims=True), rows[:, ~chosen].sum(axis=1, keepdims=True)
        scale = np.where(chosen, held / np.maximum(inside, 1e-300), (1.0 - held) / np.maximum(outside, 1e-300))
        return np.asarray(rows * scale)

    rows = with_total(np.broadcast_to(start, (len(_TOTALS), len(share))))
    for _ in range(_PROFILE_STEPS):
        mixed = np.maximum(rows @ over_phi.T, 1e-300)
        rows = with_total(rows * ((weights / mixed) @ over_phi))
    height = np.log(np.maximum(rows @ over_phi.T, 1e-300)) @ weights
    drop = height.max() - height - _DROP
    at = int(height.argmax())
    below, above = np.flatnonzero(drop[:at] > 0), np.flatnonzero(drop[at:] > 0) + at
    low = 0.0 if not len(below) else _crossing(below[-1], below[-1] + 1, drop)
    high = 1.0 if not len(above) else _crossing(above[0], above[0] - 1, drop)
    return low, high


def _crossing(outside: int, inside: int, drop: Vector) -> float:
    """Total between two of the grid at which the log likelihood has dropped by as much as the interval allows."""
    part = drop[outside] / (drop[outside] - drop[inside])
    return float(_TOTALS[outside] + part * (_TOTALS[inside] - _TOTALS[outside]))
