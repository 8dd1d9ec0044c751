"""How likely each shape makes a curve: the likelihoods that the mixture over a population of curves is fitted to.

Vocabulary
----------
cell
    A kind of curve (flat, rise, fall, non-monotone) with, where they matter, a range of widths, of sizes and the place of the
    rise. Within a cell all shapes of the tests' dictionary, and all sizes, are equally likely; how often each cell occurs
    in the population is what the mixture estimates.
size
    Change between the smallest and the largest scale, on a 0-1 scale of the metric; of a non-monotone curve, the smaller
    of its rise and its fall.
late
    At least half of a rise comes in the last two steps.
phi
    How many times the variance of the items the points scatter, or the variance itself where no items are known.

Notes
-----
With weights w_i, a curve ``y = g + d T + e`` has, for a shape T that runs from 0 to 1 over the observed scales, a density that is
integrated over the level g in closed form and over the size d inside its bin with the normal distribution function.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import log_ndtr

from bigbench_meta.analysis.curves.laws import EXPONENT_TIMES_WIDTH, dictionary

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

# Rises are told apart by these exponents of the paper's law: its published range ends at .34; the others sweep the definition.
EXPONENTS = (0.13, 0.2, 0.27, 0.34, 0.5, 1.0)
# Sizes are told apart at these changes; below the first a curve is flat under every definition.
SIZES = (0.05, 0.1, 0.2, 0.4, 1.0)
# A shape of which less than this part is seen over the observed scales looks like a wider one.
_LEAST_SEEN = 0.05
# So many shapes stand for a range of widths and a place; more change nothing that the noise lets through.
_MOST_SHAPES = 60
_TOLERANCE = 0.03
# Overdispersion of scores on items as an intraclass correlation, with two factors below 1 in front: the same items are
# scored at every scale, and half the real curves scatter less than independent items would.
_RHO = (0.0, 0.0005, 0.002, 0.008, 0.03, 0.12)
_BELOW = (0.3, 0.6)
_VARIANCES = np.geomspace(1e-7, 1e-1, len(_RHO) + len(_BELOW))
N_PHI = len(_VARIANCES)


class Cell(NamedTuple):
    """One cell: ``kind`` (flat, rise, fall, nonmonotone), bin of exponents and of sizes (-1: below all), whether late."""

    kind: str
    width: int
    size: int
    late: bool


def cells() -> tuple[Cell, ...]:
    """All cells, in the order of `likelihoods`."""
    n_sizes = len(SIZES) - 1
    rises = [
        Cell("rise", width, size, late)
        for width in range(len(EXPONENTS) + 1)
        for late in (False, True)
        for size in range(n_sizes)
    ]
    small = [Cell("flat", -1, -1, late=False), Cell("rise", -1, -1, late=False), Cell("fall", -1, -1, late=False)]
    others = [Cell(kind, -1, size, late=False) for kind in ("fall", "nonmonotone") for size in range(n_sizes)]
    return (*small, *rises, *others)


class _Group(NamedTuple):
    """Shapes that share cells: T on the scales, and what of the whole shape lies before and after the observed part."""

    shapes: Vector
    before: Vector
    after: Vector


@lru_cache(maxsize=256)
def _groups(x: tuple[float, ...]) -> dict[str, _Group]:
    """Groups of shapes on the log scales ``x`` by name: ``any``, ``rise W L`` (bin of widths, late or not), ``nonmonotone``."""
    known = dictionary(x)
    seen = known.values[:, -1] - known.values[:, 0]
    keep = seen >= _LEAST_SEEN
    values, widths, seen = known.values[keep], known.widths[keep], seen[keep]
    first = values[:, 0]
    shapes = (values - first[:, None]) / seen[:, None]
    before, after = first / seen, (1.0 - values[:, -1]) / seen
    bounds = np.array([EXPONENT_TIMES_WIDTH / exponent for exponent in EXPONENTS])
    width = (widths[:, None] < bounds * (1 - 1e-9)).sum(axis=1)
    late = shapes[:, -3] < 0.5
    found = {"any": _thin(shapes, before, after)}
    for each in range(len(EXPONENTS) + 1):
        for last in (False, True):
            rows = (width == each) & (late == last)
            if rows.any():
                found[f"rise {each} {int(last)}"] = _thin(shapes[rows], before[rows], after[rows])
    bumps = _bumps(len(x))
    if len(bumps):
        nothing = np.zeros(len(bumps))
        found["nonmonotone"] = _Group(bumps, nothing, nothing)
    return found


def _thin(shapes: Vector, before: Vector, after: Vector) -> _Group:
    rows = np.unique(np.linspace(0, len(shapes) - 1, min(len(shapes), _MOST_SHAPES)).round().astype(int))
    return _Group(shapes[rows], before[rows], after[rows])


def _bumps(n_scales: int) -> Vector:
    """Up and down again over at least two scales, the smaller of both legs 1 and the other 1 or 2; and the same turned."""
    rows = []
    for up in range(1, n_scales - 2):
        for down in range(up + 2, n_scales):
            step_up, step_down = np.arange(n_scales) >= up, np.arange(n_scales) >= down
            for rise, fall in ((1.0, 1.0), (2.0, 1.0), (1.0, 2.0)):
                row = rise * step_up - fall * step_down
                # Half of the way at the scale on either side: a bump of models is no sharper than a slope between them.
                smooth = np.convolve(np.pad(row, 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid")
                rows += [row, -row, smooth, -smooth]
    return np.array(rows, np.float64).reshape(len(rows), n_scales)


def factors(n_items: float, *, has_items: bool) -> Vector:
    """Grid of phi of one curve: multiples of its items' variance, or variances where no items are known."""
    if not has_items:
        return _VARIANCES
    return np.concatenate([_BELOW, 1.0 + (n_items - 1.0) * np.array(_RHO)])


def unit_variance(y: Vector, *, n_items: float, is_share: bool) -> Vector:
    """Variance of each point at phi = 1 from its neighbours' mean: binomial for shares, 1 for other scores."""
    if not is_share:
        return np.ones(len(y))
    n = n_items if np.isfinite(n_items) else 100.0
    mean = np.convolve(np.pad(np.clip(y, 0.0, 1.0), 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid")
    success = (mean * n + 0.5) / (n + 1.0)
    return np.asarray(success * (1.0 - success) / (n_items if np.isfinite(n_items) else 1.0))


def likelihoods(x: tuple[float, ...], y: Vector, *, n_items: float, is_share: bool) -> Vector:
    """Likelihood of one curve in every cell at every phi, shape (cells, phi), up to a factor of the curve's own.

    Parameters
    ----------
    x
        log10 of the scales, rising, at least 4.
    y
        Scores at these scales, higher is better, on a 0-1 scale.
    n_items
        Items behind a point; NaN where unknown.
    is_share
        Whether the score is a share of successes.
    """
    phi = factors(n_items, has_items=bool(np.isfinite(n_items) and is_share))
    w = 1.0 / unit_variance(y, n_items=n_items, is_share=is_share)
    total = w.sum()
    centre = float(w @ y / total)
    left = y - centre
    whole = float(w @ left**2)
    scatter = -0.5 * (len(y) - 1) * np.log(phi)
    groups = _groups(x)
    edges = np.array([0.0, *SIZES])

    def by_size(group: _Group | None, sign: float) -> Vector:
        """Log likelihood of each bin of sizes (below the first, then all) at each phi; -inf where no shape is."""
        if group is None:
            return np.full((len(edges) - 1, len(phi)), -np.inf)
        mean = group.shapes @ w / total
        centred = group.shapes - mean[:, None]
        c = (centred**2) @ w
        d = sign * (centred @ (w * left)) / c
        rest = whole - d**2 * c
        # The whole shape, seen or not, must lie inside the range of the metric: g - d before >= 0, g + d (1 + after) <= 1.
        low, high = (centre, 1.0 - centre) if sign > 0 else (1.0 - centre, centre)
        most = np.minimum((low + _TOLERANCE) / np.maximum(mean + group.before, 1e-9),
                          (high + _TOLERANCE) / np.maximum(1.0 - mean + group.after, 1e-9))  # fmt: skip
        if group is groups.get("nonmonotone"):
            most = np.full(len(d), np.inf)
        upper = np.minimum(edges[1:], most[:, None])
        s = np.sqrt(phi / c[:, None])
        mass = _log_normal_mass(edges[:-1][None, :, None], upper[:, :, None], d[:, None, None], s[:, None, :])
        log = -rest[:, None, None] / (2 * phi) + np.log(s * np.sqrt(2 * np.pi))[:, None, :] + mass
        # Uniform over the shapes and sizes that the range of the metric allows.
        possible = np.maximum(upper - edges[:-1], 0.0).sum(axis=0)
        with np.errstate(divide="ignore"):
            return np.asarray(np.logaddexp.reduce(log, axis=0) - np.log(np.maximum(possible, 1e-300))[:, None])

    rise, fall = by_size(groups["any"], 1.0), by_size(groups["any"], -1.0)
    rows = [-whole / (2 * phi), rise[0], fall[0]]
    for width in range(len(EXPONENTS) + 1):
        for late in (0, 1):
            rows += list(by_size(groups.get(f"rise {width} {late}"), 1.0)[1:])
    rows += list(fall[1:]) + list(by_size(groups.get("nonmonotone"), 1.0)[1:])
    logs = np.array(rows) + scatter
    return np.asarray(np.exp(logs - logs.max()))


def _log_normal_mass(low: Vector, high: Vector, mean: Vector, spread: Vector) -> Vector:
    """Log of the probability that a normal variable lies between ``low`` and ``high``; -inf where the interval is empty."""
    a, b = (low - mean) / spread, (high - mean) / spread
    swap = a > 0
    a, b = np.where(swap, -b, a), np.where(swap, -a, b)
    upper = log_ndtr(b)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = upper + np.log1p(-np.exp(np.minimum(log_ndtr(a) - upper, 0.0)))
    return np.asarray(np.where(high > low, found, -np.inf))
