"""The mathematical model: one smooth per-token curve, and what each metric makes of it.

Vocabulary
----------
scale N
    Parameter count of a model.
cross entropy
    Per-token loss in nats, ``(N / c) ** alpha`` with ``c > 0`` and ``alpha < 0``.
token success p
    ``exp(-cross entropy)``, the chance that one token is right.
length L
    Tokens of a target. Tokens are taken as independent, which the paper calls an approximation.
options K
    Choices of a multiple-choice item.
items n
    Items of a test; accuracy then moves in steps of ``1 / n``.

The option model
----------------
The paper does not print how the mass that misses the right option spreads over the others, so this module states
its own. A model that knows the answer with chance ``p`` and else spreads its belief evenly puts
``r = 1/K + (1 - 1/K) p`` on the right option on average, ``(1 - r)/(K - 1)`` on every other. Items differ: the
option probabilities of an item are a draw from the Dirichlet distribution with these means and ``concentration``
as the sum of its parameters. At p = 0 the grade is 1/K, at p = 1 it is 1.

References
----------
Schaeffer, Miranda, Koyejo (2023), arXiv 2304.15004, section 2 and appendix A. Its appendix A names ``1 - p`` the
per-token error ``eps`` and prints ``L (1 - eps)`` for the token edit distance; the form consistent with its own
accuracy ``(1 - eps) ** L`` is ``L eps``, which is what stands here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bigbench_meta.errors import AnalysisError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

# Nodes of the Gauss-Legendre rule for the grade's integral: 1e-7 or better against the beta closed form at K = 2.
_NODES = 400
# A table's scales reach 1e4 times c, and 1e308 is the largest number.
_MOST_C = 1e300
# More tokens or options than any target or item has; time grows with the square of their number.
_MOST_TOKENS = 1000
# Tokens, or options, of all answers that are simulated at once: 80 MB.
_MOST_ANSWERS = 10_000_000


@dataclass(frozen=True)
class Theory:
    """Parameters of the model; every value is checked when it is made.

    Parameters
    ----------
    c
        Scale at which a token costs one nat, a parameter count. Moves curves along the axis, never their shape.
    alpha
        Exponent of the loss, negative. The default is the exponent that Hoffmann et al. (2022, arXiv 2203.15556)
        fit to parameters, there beside an irreducible loss; Kaplan et al. (2020, arXiv 2001.08361) have -0.076.
    length
        Tokens of a target. The paper's arithmetic targets have 1 to 5.
    options
        Choices of a multiple-choice item.
    items
        Items of the test that "measures" a curve.
    concentration
        Sum of the Dirichlet parameters of the option model: about 1 is a model that is nearly sure on every item,
        large values make all items alike.
    """

    c: float = 1e8
    alpha: float = -0.34
    length: int = 5
    options: int = 4
    items: int = 100
    concentration: float = 20.0

    def __post_init__(self) -> None:
        most = _MOST_ANSWERS // max(1, min(max(self.length, self.options), _MOST_TOKENS))
        rules = (
            ("c", self.c, 0 < self.c <= _MOST_C, f"above 0 and up to {_MOST_C:g}"),
            ("alpha", self.alpha, self.alpha < 0, "below 0, since loss falls with scale"),
            ("length", self.length, 1 <= self.length <= _MOST_TOKENS, f"1 to {_MOST_TOKENS:,}"),
            ("options", self.options, 2 <= self.options <= _MOST_TOKENS, f"2 to {_MOST_TOKENS:,}"),
            (
                "items",
                self.items,
                1 <= self.items <= most,
                f"1 to {most:,}, so that the simulated answers fit into memory",
            ),
            ("concentration", self.concentration, self.concentration > 0, "above 0"),
        )
        faults = [
            f"{name} is {value}, expected {rule}"
            for name, value, good, rule in rules
            if not (good and math.isfinite(value))
        ]
        if faults:
            raise AnalysisError("theory: " + "; ".join(faults))


def cross_entropy(scale: NDArray[np.float64], *, c: float, alpha: float) -> NDArray[np.float64]:
    """Per-token loss in nats, ``(N / c) ** alpha`` (arXiv 2304.15004, section 2)."""
    return np.asarray((np.asarray(scale, float) / c) ** alpha)


def token_success(scale: NDArray[np.float64], *, c: float, alpha: float) -> NDArray[np.float64]:
    """Chance in [0, 1] that one token is right, ``exp(-(N / c) ** alpha)``.

    Examples
    --------
    >>> float(token_success(np.array([1e8]), c=1e8, alpha=-0.34)[0]) == float(np.exp(-1))
    True
    """
    return np.exp(-cross_entropy(scale, c=c, alpha=alpha))


def accuracy(success: NDArray[np.float64], *, length: int) -> NDArray[np.float64]:
    """Chance in [0, 1] that all tokens of a target are right, ``p ** L``."""
    return np.asarray(success, float) ** length


def token_edit_distance(success: NDArray[np.float64], *, length: int) -> NDArray[np.float64]:
    """Expected number of wrong tokens, ``L (1 - p)``, in [0, L].

    Counts substitutions. The Levenshtein distance also allows insertions and deletions and can only be smaller.
    """
    return length * (1 - np.asarray(success, float))


def option_mass(success: NDArray[np.float64], *, options: int) -> NDArray[np.float64]:
    """Mean probability of the right option, ``1/K + (1 - 1/K) p``, in [1/K, 1]."""
    return 1 / options + (1 - 1 / options) * np.asarray(success, float)


def multiple_choice_grade(success: NDArray[np.float64], *, options: int, concentration: float) -> NDArray[np.float64]:
    """Chance in [1/K, 1] that the right option has the most mass, under the option model of this module.

    Notes
    -----
    Dirichlet coordinates order as independent gamma variables with the same shapes do, so the grade is
    ``E[F_wrong(G) ** (K - 1)]`` with G the right option's gamma variable: one integral, taken by Gauss-Legendre
    over G's quantiles. For K = 2 it is the beta tail ``P(B > 1/2)``, closed.
    """
    from scipy import special

    mass = option_mass(success, options=options)
    right, wrong = concentration * mass, concentration * (1 - mass) / (options - 1)
    if options == 2:
        with np.errstate(invalid="ignore"):
            tail = special.betaincc(right, wrong, 0.5)
        return np.where(wrong == 0, 1.0, tail)
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    quantiles = special.gammaincinv(right[..., None], (nodes + 1) / 2)
    below = special.gammainc(wrong[..., None], quantiles)
    return np.asarray(np.minimum((below ** (options - 1)) @ weights / 2, 1.0))


def brier_score(success: NDArray[np.float64], *, options: int, concentration: float) -> NDArray[np.float64]:
    """Expected Brier score per option in [0, 1], lower is better, under the option model of this module.

    Notes
    -----
    BIG-bench divides the sum of squares by the number of sample-option pairs, and so does this. With Dirichlet
    means m and concentration k, ``E[q^2] = m^2 + m (1 - m)/(k + 1)``.
    """
    right = option_mass(success, options=options)
    wrong = (1 - right) / (options - 1)
    spread = 1 / (concentration + 1)
    squares = (1 - right) ** 2 + right * (1 - right) * spread
    squares += (options - 1) * (wrong**2 + wrong * (1 - wrong) * spread)
    return np.asarray(squares / options)


def rise_width(alpha: float, *, low: float = 0.1, high: float = 0.9) -> float:
    """Decades of scale over which accuracy climbs from ``low`` to ``high``, for every c and every length.

    Notes
    -----
    ``p ** L = exp(-L (N/c) ** alpha)``, so accuracy a is met at ``L (N/c) ** alpha = -ln a`` and the ratio of the
    two scales is ``(ln low / ln high) ** (1/|alpha|)``: neither c nor L is left. From .1 to .9 that is
    ``log10(ln 10 / -ln .9) / |alpha| = 1.3395 / |alpha|`` decades. A curve that tops out at ``a < 1`` passes 10% to
    90% *of its own range* in fewer: ask for ``low=.1 * a, high=.9 * a``.

    Examples
    --------
    >>> round(rise_width(-0.34), 1), round(rise_width(-0.076), 1)
    (3.9, 17.6)
    """
    if not (alpha < 0 and 0 < low < high < 1):
        raise AnalysisError(
            f"rise width: alpha {alpha}, low {low}, high {high}; expected alpha < 0 and 0 < low < high < 1"
        )
    return float(np.log10(np.log(low) / np.log(high)) / -alpha)


def equivalent_scale(c: float, *, alpha: float, length: int) -> float:
    """Scale constant c' with which single tokens give the accuracy curve of ``length`` tokens and c.

    ``L (N/c) ** alpha = (N/c') ** alpha`` with ``c' = c L ** (-1/alpha)``: from accuracy alone, length and c cannot
    be told apart. Length is testable only with several lengths or with a per-token measure of the same outputs.
    """
    return float(c * length ** (-1 / alpha))


def chance_of_zero(success: NDArray[np.float64], *, length: int, items: int) -> NDArray[np.float64]:
    """Chance in [0, 1] that a test of ``items`` shows an accuracy of exactly 0, ``(1 - p ** L) ** n``."""
    return np.asarray((1 - accuracy(success, length=length)) ** items)


@dataclass(frozen=True)
class MonteCarlo:
    """Means over simulated items and their standard errors, one entry a scale."""

    mean: NDArray[np.float64]
    standard_error: NDArray[np.float64]


# Symbols of a simulated token: ten, as digits are the paper's targets. A wrong token is one of the nine others,
# which decides how often insertions and deletions beat substitutions in the Levenshtein distance.
_ALPHABET = 10


def simulate_strings(
    success: NDArray[np.float64], *, length: int, draws: int, rng: np.random.Generator
) -> dict[str, MonteCarlo]:
    """Score simulated outputs: random targets, each token right with chance p, else another symbol.

    Returns
    -------
    dict
        ``accuracy``, ``token_edit_distance`` (substitutions) and ``levenshtein``, each over ``draws`` items a scale.
    """
    from rapidfuzz import process
    from rapidfuzz.distance import Levenshtein

    found: dict[str, list[tuple[float, float]]] = {"accuracy": [], "token_edit_distance": [], "levenshtein": []}
    for p in np.atleast_1d(success):
        target = rng.integers(0, _ALPHABET, (draws, length))
        wrong = rng.random((draws, length)) >= p
        output = np.where(wrong, (target + rng.integers(1, _ALPHABET, (draws, length))) % _ALPHABET, target)
        distance = process.cpdist(_strings(output), _strings(target), scorer=Levenshtein.distance)
        scores = (~wrong.any(axis=1), wrong.sum(axis=1), distance)
        for name, values in zip(found, scores, strict=True):
            found[name].append(_mean_and_error(values))
    return {name: MonteCarlo(*np.array(pairs).T) for name, pairs in found.items()}


def _strings(symbols: NDArray[np.int64]) -> list[str]:
    """Rows of symbols as strings of digits; numpy keeps text as 4-byte code points, so a row is one view."""
    codes = np.ascontiguousarray(symbols + ord("0"), dtype=np.uint32)
    strings: list[str] = codes.view(f"U{symbols.shape[1]}").ravel().tolist()
    return strings


def simulate_options(
    success: NDArray[np.float64], *, options: int, concentration: float, draws: int, rng: np.random.Generator
) -> dict[str, MonteCarlo]:
    """Score simulated option probabilities, drawn as the option model of this module says.

    Returns
    -------
    dict
        ``multiple_choice_grade`` and ``brier``, each over ``draws`` items a scale.
    """
    grades, briers = [], []
    for mass in option_mass(np.atleast_1d(success), options=options):
        shape = np.full(options, concentration * (1 - mass) / (options - 1))
        shape[0] = concentration * mass
        probability = rng.dirichlet(np.maximum(shape, np.finfo(float).tiny), size=draws)
        grades.append(_mean_and_error(probability.argmax(axis=1) == 0))
        truth = np.eye(options)[0]
        briers.append(_mean_and_error(((probability - truth) ** 2).mean(axis=1)))
    return {
        "multiple_choice_grade": MonteCarlo(*np.array(grades).T),
        "brier": MonteCarlo(*np.array(briers).T),
    }


def _mean_and_error(values: NDArray[np.float64] | NDArray[np.bool_]) -> tuple[float, float]:
    values = np.asarray(values, float)
    error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")
    return float(values.mean()), error


def theory_table(
    theory: Theory,
    *,
    scales: NDArray[np.float64],
    rng: np.random.Generator,
    draws: int = 4000,
) -> pd.DataFrame:
    """Every metric's curve over scale: exact, by Monte Carlo, and as one finite test would measure it.

    Parameters
    ----------
    theory
        Parameters; strings are scored for every length from 1 to ``theory.length``, options for ``theory.options``
        and for 2.
    scales
        Shape (M,), parameter counts.
    draws
        Simulated items a scale of the Monte Carlo columns; 4,000 keep the standard error of a share below .008.

    Returns
    -------
    pandas.DataFrame
        Long: ``metric, length, options, items, resolution, scale, value, method, monte_carlo, monte_carlo_se,
        measured``. ``method`` says where ``value`` comes from: ``closed form``, ``integral``, or ``none`` (the
        Levenshtein distance, Monte Carlo only, value NaN). ``measured`` is one draw of ``theory.items`` items;
        ``resolution`` is the step between two values a test of that many items can show.
    """
    import pandas as pd

    scales = np.asarray(scales, float)
    success = token_success(scales, c=theory.c, alpha=theory.alpha)
    nothing = np.full(len(scales), np.nan)
    blocks = []

    def add(metric: str, value: NDArray[np.float64], method: str, **columns: object) -> None:
        blank = {"length": pd.NA, "options": pd.NA, "items": pd.NA, "resolution": np.nan}
        blank |= {"monte_carlo": np.nan, "monte_carlo_se": np.nan, "measured": np.nan}
        frame = {"metric": metric, "scale": scales, "value": value, "method": method}
        blocks.append(pd.DataFrame(frame | blank | columns).astype(dict.fromkeys(_COUNTS, "Int64"))[_COLUMNS])

    add("cross_entropy", cross_entropy(scales, c=theory.c, alpha=theory.alpha), "closed form")
    add("token_success", success, "closed form")
    for length in range(1, theory.length + 1):
        many = simulate_strings(success, length=length, draws=draws, rng=rng)
        test = simulate_strings(success, length=length, draws=theory.items, rng=rng)
        exact = {
            "accuracy": (accuracy(success, length=length), "closed form"),
            "token_edit_distance": (token_edit_distance(success, length=length), "closed form"),
            "levenshtein": (nothing, "none"),
        }
        for metric, (value, method) in exact.items():
            add(metric, value, method, length=length, **_simulated(many[metric], test[metric], items=theory.items))
    for options in sorted({2, theory.options}):
        concentration = theory.concentration
        many = simulate_options(success, options=options, concentration=concentration, draws=draws, rng=rng)
        test = simulate_options(success, options=options, concentration=concentration, draws=theory.items, rng=rng)
        grade = multiple_choice_grade(success, options=options, concentration=concentration)
        exact = {
            "multiple_choice_grade": (grade, "closed form" if options == 2 else "integral"),
            "brier": (brier_score(success, options=options, concentration=concentration), "closed form"),
        }
        for metric, (value, method) in exact.items():
            simulated = _simulated(many[metric], test[metric], items=theory.items)
            if metric == "brier":  # a mean of real numbers has no smallest step
                simulated["resolution"] = np.nan
            add(metric, value, method, options=options, **simulated)
    return pd.concat(blocks, ignore_index=True)


def theory_summary(table: pd.DataFrame, *, scales: int = 9) -> pd.DataFrame:
    """Emergence score, linearity and width of every exact curve of a theory table, read at a few evenly spaced scales.

    Parameters
    ----------
    table
        From ``theory_table``.
    scales
        Scales a curve is scored at, evenly spaced in log N and interpolated between the table's; E and L depend on
        their number, so it is fixed and stated. Nine is the least size of a model ladder here.

    Returns
    -------
    pandas.DataFrame
        ``metric, length, options, n_scales, emergence_score, linearity, width_decades``; the width is from 10% to
        90% of the curve's own range over the table's scales.
    """
    import pandas as pd

    from bigbench_meta.emergence import emergence_score, linearity

    rows = []
    for (metric, length, options), curve in table.groupby(["metric", "length", "options"], dropna=False, sort=False):
        if curve["value"].isna().any():
            continue
        position, value = np.log10(curve["scale"].to_numpy()), curve["value"].to_numpy()
        points = np.interp(np.linspace(position[0], position[-1], scales), position, value)
        share = (value - value[0]) / (value[-1] - value[0])
        ends = np.interp([0.1, 0.9], share, position)
        scores = (scales, emergence_score(points), linearity(points), float(ends[1] - ends[0]))
        rows.append((metric, length, options, *scores))
    names = ["metric", "length", "options", "n_scales", "emergence_score", "linearity", "width_decades"]
    return pd.DataFrame(rows, columns=names).astype({"length": "Int64", "options": "Int64"})


_COUNTS = ("length", "options", "items")
_COLUMNS = ["metric", *_COUNTS, "resolution", "scale", "value", "method", "monte_carlo", "monte_carlo_se", "measured"]


def _simulated(many: MonteCarlo, test: MonteCarlo, *, items: int) -> dict[str, object]:
    return {
        "monte_carlo": many.mean,
        "monte_carlo_se": many.standard_error,
        "measured": test.mean,
        "items": items,
        "resolution": 1 / items,
    }
