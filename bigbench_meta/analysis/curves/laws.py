"""Smooth shapes of a curve over log scale: a dictionary that every fit, test and forecast draws on.

Vocabulary
----------
x
    log10 of the scale, sorted, distinct.
shape
    A rising function S of x with values in [0, 1]; a curve is ``g (1 - S) + h S`` between a lower level g and an
    upper level h.
width
    Decades of scale in which a shape goes from 10% to 90% of its whole rise: a step has width 0, the straight line
    infinite width (it never saturates).
exponent
    ``|alpha|`` of the per-token law ``L_CE(N) = (N/c)^alpha``. Accuracy over L tokens is ``exp(-L (N/c)^alpha)``,
    which equals ``exp(-10^(-|alpha| (x - x0)))`` with ``x0`` free [1]_: the target length drops out and the exponent
    fixes the width.

References
----------
.. [1] Schaeffer, Miranda, Koyejo (2023). Are Emergent Abilities of Large Language Models a Mirage? Sec. 2, App. A.
.. [2] Kaplan et al. (2020). Scaling Laws for Neural Language Models. arXiv 2001.08361.
.. [3] Hoffmann et al. (2022). Training Compute-Optimal Large Language Models. arXiv 2203.15556.
.. [4] Caballero et al. (2023). Broken Neural Scaling Laws. arXiv 2210.14891.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

Kind = Literal["line", "theory", "logistic", "step"]
KINDS: tuple[Kind, ...] = ("line", "theory", "logistic", "step")

# 10% to 90% of exp(-10^-z) takes log10(ln 0.1 / ln 0.9) = 1.3395 units of z, so exponent * width = 1.3395.
EXPONENT_TIMES_WIDTH = float(np.log10(np.log(0.1) / np.log(0.9)))
# 10% to 90% of 1 / (1 + 10^-z) takes 2 log10(9) units of z.
_LOGISTIC_SPAN = float(2 * np.log10(9))

# The published range of per-token exponents: Kaplan et al. [2]_ without, Hoffmann et al. [3]_ with an irreducible loss.
PUBLISHED_EXPONENTS = (0.076, 0.34)
# The bounds over which a verdict is swept: the published range and, beyond it, what no published law allows.
EXPONENT_BOUNDS = (0.076, 0.1, 0.13, 0.17, 0.2, 0.26, 0.34, 0.5, 0.7, 1.0, 1.5)
# The bound of the reported p-value: the steepest published exponent, the most generous to smoothness.
DEFAULT_BOUND = 0.34

# Exponents of the dictionary: every bound, and a geometric grid (ratio about 1.3) beyond on both sides.
_EXPONENTS = (0.045, 0.06, *EXPONENT_BOUNDS, 2.0, 2.7, 3.6, 4.8, 6.4, 8.5, 11.0)
# A shape narrower than this share of the smallest gap between scales is left to the steps.
_NARROWEST_SHARE_OF_GAP = 1.0
# Positions of a shape are this share of its width apart. Smooth shapes, which make up the null, need a finer grid: with
# 1,000 items a coarser one misses the paper's own curve by more than its noise and calls it sharp. Very wide ones show
# a small part of themselves and do with a coarser one; there the logistic and the paper's law hardly differ either.
_POSITION_STEP, _SMOOTH_POSITION_STEP = 0.25, 0.07
_SMOOTH_WIDTH, _VERY_WIDE = EXPONENT_TIMES_WIDTH / 0.7, EXPONENT_TIMES_WIDTH / 0.19
# Positions reach so far beyond the observed scales that only these shares of the whole rise are seen.
_SEEN_AT_THE_LARGEST, _UNSEEN_AT_THE_SMALLEST = 0.005, 0.02


# Of that many shapes one is kept where any rise will do.
_THIN = 5


@dataclass(frozen=True)
class Shapes:
    """K shapes on M scales, widest first, so that the shapes at least as wide as a bound are a prefix.

    Attributes
    ----------
    values : (K, M) array in [0, 1], rising along the scales.
    widths : (K,) array, decades; ``inf`` for the straight line, 0 for steps.
    kinds : (K,) array of indices into ``KINDS``.
    """

    values: Vector
    widths: Vector
    kinds: NDArray[np.int64]

    def __len__(self) -> int:
        """Count the shapes."""
        return len(self.widths)

    def prefix(self, exponent: float) -> int:
        """Count the shapes at least as wide as the theory with this exponent: a prefix of the dictionary."""
        return int(np.count_nonzero(self.widths >= EXPONENT_TIMES_WIDTH / exponent * (1 - 1e-9)))

    def thinned(self) -> Shapes:
        """Keep every fifth shape and all steps: enough where any rise will do, as against a flat curve."""
        keep = (np.arange(len(self)) % _THIN == 0) | (self.widths == 0)
        return Shapes(self.values[keep], self.widths[keep], self.kinds[keep])

    def of_kind(self, *kinds: Kind, exponent: float = np.inf) -> Shapes:
        """Keep the shapes of these kinds that are no steeper than ``exponent``."""
        keep = np.isin(self.kinds, [KINDS.index(kind) for kind in kinds])
        if np.isfinite(exponent):
            keep[self.prefix(exponent) :] = False
        return Shapes(self.values[keep], self.widths[keep], self.kinds[keep])


def theory(x: Vector, *, exponent: float, x0: float) -> Vector:
    """Evaluate the paper's accuracy law ``exp(-10^(-exponent (x - x0)))``.

    Examples
    --------
    >>> float(theory(np.array([3.0]), exponent=0.34, x0=3.0)[0]).__round__(4)
    0.3679
    """
    return np.asarray(np.exp(-(10.0 ** np.minimum(-exponent * (x - x0), 300.0))))


def logistic(x: Vector, *, width: float, x0: float) -> Vector:
    """Evaluate the logistic in x whose rise from 10% to 90% takes ``width`` decades, centred at ``x0``."""
    return np.asarray(1.0 / (1.0 + 10.0 ** np.minimum(-_LOGISTIC_SPAN / width * (x - x0), 300.0)))


def _positions(low: float, high: float, width: float) -> Vector:
    if width > _VERY_WIDE:
        share = 2 * _SMOOTH_POSITION_STEP
    else:
        share = _SMOOTH_POSITION_STEP if width >= _SMOOTH_WIDTH * (1 - 1e-9) else _POSITION_STEP
    return np.linspace(low, high, max(2, int(np.ceil((high - low) / (share * width))) + 1))


@lru_cache(maxsize=512)
def dictionary(x: tuple[float, ...]) -> Shapes:
    """Build the shapes of every kind, width and position for the scales ``x`` (log10, rising, at least 3).

    The straight line, the paper's law and the logistic over one grid of widths, and a step between each two
    neighbouring scales. Widths run from 30 decades (exponent 0.045) down to the smallest gap between scales.
    """
    xs = np.asarray(x, dtype=np.float64)
    first, last = xs[0], xs[-1]
    narrowest = _NARROWEST_SHARE_OF_GAP * float(np.diff(xs).min())
    rows: list[Vector] = [(xs - first) / (last - first)]
    widths, kinds = [np.inf], [KINDS.index("line")]
    for exponent in _EXPONENTS:
        width = EXPONENT_TIMES_WIDTH / exponent
        if width < narrowest:
            break
        lead = np.log10(-np.log(_SEEN_AT_THE_LARGEST)) / exponent
        lag = -np.log10(-np.log1p(-_UNSEEN_AT_THE_SMALLEST)) / exponent
        fits = [theory(xs, exponent=exponent, x0=x0) for x0 in _positions(first - lag, last + lead, width)]
        more = []
        if width <= _VERY_WIDE:
            lead = np.log10(1 / _SEEN_AT_THE_LARGEST - 1) / _LOGISTIC_SPAN * width
            lag = np.log10(1 / _UNSEEN_AT_THE_SMALLEST - 1) / _LOGISTIC_SPAN * width
            more = [logistic(xs, width=width, x0=x0) for x0 in _positions(first - lag, last + lead, width)]
        rows += fits + more
        widths += [width] * (len(fits) + len(more))
        kinds += [KINDS.index("theory")] * len(fits) + [KINDS.index("logistic")] * len(more)
    steps = np.tri(len(xs), k=-1).T[: len(xs) - 1]  # row j: 0 up to scale j, 1 after
    rows += list(steps)
    widths += [0.0] * len(steps)
    kinds += [KINDS.index("step")] * len(steps)
    return Shapes(np.array(rows), np.array(widths), np.array(kinds, dtype=np.int64))


# Exponents of N before and after the one break of a broken power law: convex ones up to the steepest published
# exponent, saturating (negative) ones freely, since they forecast no rise. With steeper ones, or with a break right
# before the held-out scale, the law foresees anything: fitted to the first 11 scales of a flat curve it would allow
# the whole range at the twelfth.
_POWERS = (-0.5, -0.2, -0.05, 0.0, 0.05, 0.1, 0.2, 0.34)
# Sharpness f of the break (a kink of about a third of a decade), and the scales that the data must hold on either
# side of it.
_BREAKS = (0.1,)
_EITHER_SIDE = 3


@lru_cache(maxsize=512)
def broken_power_laws(x: tuple[float, ...], n_seen: int) -> Shapes:
    """Build rising broken power laws [4]_ with one break among the first ``n_seen`` of the scales ``x``.

    ``a + b N^e (1 + (N/d)^(1/f))^(f (c - e))`` has six parameters: a and b are the levels; the exponents e before and c
    after the break, its place d and sharpness f run over a grid.
    Values are scaled to [0, 1] over the whole of ``x``; ``widths`` are NaN, since a power law never saturates.
    """
    xs = np.asarray(x, dtype=np.float64)
    rows: list[Vector] = []
    for gap in range(_EITHER_SIDE - 1, n_seen - _EITHER_SIDE):
        d = (xs[gap] + xs[gap + 1]) / 2
        for early in _POWERS:
            for late in _POWERS:
                if late == 0:
                    continue
                for f in _BREAKS:
                    bend = f * np.logaddexp(0.0, (xs - d) * np.log(10) / f)
                    row = np.exp(early * (xs - xs[-1]) * np.log(10) + (late - early) * (bend - bend[-1]))
                    row = row if row[-1] >= row[0] else -row
                    if np.all(np.diff(row) >= 0):
                        rows.append((row - row[0]) / (row[-1] - row[0]))
    kinds = np.full(len(rows), -1, dtype=np.int64)
    return Shapes(np.array(rows).reshape(len(rows), len(xs)), np.full(len(rows), np.nan), kinds)
