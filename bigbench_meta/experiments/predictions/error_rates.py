"""How often the judgements of the three predictions err, by simulation with known truth.

Each cell fixes a truth, a number of scales or lengths and a number of items, writes outputs token by token, and hands them to
the very functions that judge a user's outputs. What is counted: the shares of verdicts, how often a test rejects a truth it
should not reject (at 1, 5 and 10%), and how often a 95% interval holds the truth.

Vocabulary
----------
law
    The paper's model: token success ``exp(-(N / c) ** alpha)``, tokens independent. ``law -0.34`` has that exponent.
step
    Token success jumps at one size and is level on both sides: a true per-token step, which no metric makes.
law and step
    The law, with a jump on top of it.
together
    The law, but all tokens of an output are right or all are wrong: accuracy is p and not ``p ** L``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bigbench_meta.experiments.predictions.by_items import exact_interval, item_growth
from bigbench_meta.experiments.predictions.by_length import length_forms
from bigbench_meta.experiments.predictions.by_length_one import from_length_one
from bigbench_meta.experiments.predictions.by_metric import PARTS, metric_pairs
from bigbench_meta.experiments.predictions.one_function_rates import one_function_outcomes
from bigbench_meta.experiments.predictions.outputs import ITEM_COLUMNS
from bigbench_meta.experiments.rescoring.item_metrics import edit_distance

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

LEVELS = (0.01, 0.05, 0.10)
DRAWS = 199
COLUMNS = [
    "prediction", "quantity", "truth", "points", "items", "length", "expected", "found", "standard_error", "simulations",
]  # fmt: skip
# The four sizes of GPT-3 that the paper uses; other families have two decades and a third, as the packaged ladder.
GPT_SCALES = np.array([350e6, 1.3e9, 6.7e9, 175e9])
_DECADES = 2.3
_LETTERS = np.array(list("abcdefghij"))
# Token success below and above a step; the small one is a jump that a smooth curve could pass for in a figure.
_STEPS = {"step": (0.3, 0.95), "small step": (0.5, 0.75)}
_JUMP = 0.35


class Cell(NamedTuple):
    """One setting: ``points`` scales (predictions 1 and 2), lengths (prediction 3) or runs, ``items`` for each."""

    prediction: str
    truth: str
    points: int
    items: int
    length: int


CELLS: tuple[Cell, ...] = (
    *(Cell("1", "law -0.34", 4, n, k) for n in (1000, 100) for k in (1, 2, 5)),
    *(Cell("1", truth, m, n, 5) for truth, m in (("law -0.2", 4), ("law -1.5", 9)) for n in (1000, 100)),
    *(Cell("1", truth, m, n, 5) for truth in _STEPS for m in (4, 9) for n in (1000, 100)),
    *(Cell("1", "law and step", 9, n, 5) for n in (1000, 100)),
    *(Cell("1", "together", m, 1000, 5) for m in (4, 9)),
    *(Cell("2", "constant answer", 1, n, 1) for n in (1000, 5000)),
    *(Cell("2", "law -0.34", 4, n, k) for n in (1000, 10_000) for k in (3, 5)),
    *(Cell("3", truth, 8, n, 8) for truth in ("law", "together") for n in (20, 100, 1000)),
    *(Cell("3a", truth, 5, n, 5) for truth in ("law -0.34", "together") for n in (20, 100, 1000)),
    *(
        Cell("one function", truth, runs, n, 1)
        for truth in ("one function", "break 0.1", "break 0.2")
        for runs in (25, 8)
        for n in (500, 5000)
    ),
)


def token_success(truth: str, points: int) -> tuple[Vector, Vector]:
    """Scales and token success of a truth of predictions 1 and 2.

    Examples
    --------
    >>> token_success("step", 4)[1].tolist()
    [0.3, 0.3, 0.95, 0.95]
    """
    scale = GPT_SCALES if points == len(GPT_SCALES) else np.logspace(3, 3 + _DECADES, points)
    if truth in _STEPS:
        return scale, np.where(np.arange(points) < points // 2, *_STEPS[truth])
    middle = float(np.exp(np.log(scale).mean()))
    alpha = float(truth.removeprefix("law ")) if truth.startswith("law -") else -0.34
    # a token costs one nat at half the middle scale, so that the curve has both ends in view
    success = np.exp(-((scale / (middle / 2)) ** alpha))
    if truth == "law and step":
        success = np.where(np.arange(points) < points // 2, success - _JUMP / 2, success + _JUMP / 2).clip(0.02, 0.98)
    return scale, success


def drawn_outputs(
    scale: Vector, success: Vector, *, length: int, items: int, rng: np.random.Generator, together: bool = False
) -> pd.DataFrame:
    """Outputs of one family of models to the same items, as ``load_outputs`` gives them; columns ``ITEM_COLUMNS``."""
    import pandas as pd

    asked = rng.integers(0, len(_LETTERS), (items, length))
    shape = (len(scale), items, 1 if together else length)
    right = np.broadcast_to(rng.random(shape) < success[:, None, None], (len(scale), items, length))
    other = (asked + rng.integers(1, len(_LETTERS), right.shape)) % len(_LETTERS)
    said = np.where(right, asked, other)
    targets = ["".join(row) for row in _LETTERS[asked]] * len(scale)
    outputs = ["".join(row) for row in _LETTERS[said.reshape(-1, length)]]
    distance = [edit_distance(output, (target,)) for output, target in zip(outputs, targets, strict=True)]
    return pd.DataFrame(
        {
            "task": "t", "subtask": "t", "family": "f", "model": np.repeat([f"m{i}" for i in range(len(scale))], items),
            "scale": np.repeat(scale, items), "item": np.tile(np.arange(items), len(scale)),
            "target": targets, "length": length, "hit": right.all(axis=2).ravel().astype(float),
            "distance": distance, "right": right.sum(axis=2).ravel(), "pass": np.nan,
        }
    )[ITEM_COLUMNS]  # fmt: skip


def _metric_outcomes(cell: Cell, rng: np.random.Generator) -> dict[str, float]:
    scale, success = token_success(cell.truth, cell.points)
    together = cell.truth == "together"
    items = drawn_outputs(scale, success, length=cell.length, items=cell.items, rng=rng, together=together)
    (row,) = metric_pairs(items, rng=rng, draws=DRAWS)[0].to_dict("records")
    found: dict[str, float] = {}
    for part, column in PARTS.items():
        word = "explained" if part == "1b" else "confirmed"
        found |= {f"{part} {said}": float(row[column] == said) for said in (word, f"not {word}")}
    return found


# Share of the commonest target, which a model with no skill can say every time.
_CONSTANT = 0.02
_PASS = 0.02


def _growth_outcomes(cell: Cell, rng: np.random.Generator) -> dict[str, float]:
    if cell.truth == "constant answer":
        return _no_skill(cell, rng)
    # the small sizes of the law have a token success at which p ** L is near the resolution of the test
    scale, success = token_success(cell.truth, cell.points)
    items = drawn_outputs(scale, success * 0.6, length=cell.length, items=cell.items, rng=rng)
    _, _, (row,) = (table.to_dict("records") for table in item_growth(items, rng=rng, draws=0))
    return {word: float(row["verdict"] == word) for word in ("confirmed", "not confirmed", "undecided")}


def _no_skill(cell: Cell, rng: np.random.Generator) -> dict[str, float]:
    """A model that is right as often as the best constant answer, on other items; and the intervals of its pass rate."""
    n = cell.items
    outputs = drawn_outputs(np.array([1e3]), np.array([_CONSTANT]), length=1, items=n, rng=rng)
    targets = [f"x{i}" if i % round(1 / _CONSTANT) else "7" for i in range(n)]
    outputs = outputs.assign(target=targets)
    _, (counted,), _ = (table.to_dict("records") for table in item_growth(outputs, rng=rng, draws=0))
    chances = rng.beta(0.2, 0.2 * (1 / _PASS - 1), n)
    _, (resampled,), _ = (
        table.to_dict("records") for table in item_growth(outputs.assign(**{"pass": chances}), rng=rng, draws=DRAWS)
    )
    found = {
        f"p above the constant answer <= {level:g}": float(counted["p_above_constant"] <= level) for level in LEVELS
    }
    for name, row, truth in (("until hits", counted, _CONSTANT), ("by probability", resampled, _PASS)):
        found[f"95% interval of the pass rate, {name}"] = float(row["pass_low"] <= truth <= row["pass_high"])
    return found


def _length_outcomes(cell: Cell, rng: np.random.Generator) -> dict[str, float]:
    """Tokens that succeed with chance .85 at every length: accuracy .85 ** L, or with tokens together .85 ** L of whole outputs."""
    import pandas as pd

    p, one, independent = 0.85, np.array([1e3]), cell.truth == "law"
    # together: the chance of a whole output falls geometrically, and so does the share of outputs with all tokens right
    parts = [
        drawn_outputs(
            one, np.array([p if independent else p**k]), length=k, items=cell.items, rng=rng, together=not independent
        )
        for k in range(1, cell.points + 1)
    ]
    _, (row,), _ = (
        table.to_dict("records") for table in length_forms(_substituted(pd.concat(parts)), rng=rng, draws=DRAWS)
    )
    if row["draws"] == 0:
        return {"undecided": 1.0}
    found = {"undecided": float(row["verdict"] == "undecided")}
    names = {"accuracy_p": "p of the geometric form", "accuracy_curvature_p": "p of its curvature"}
    slopes = {"log_slope": np.log(p)}
    if independent:  # together, the distance L (1 - p ** L) is no straight line
        names |= {"distance_p": "p of the linear form", "distance_curvature_p": "p of the line's curvature"}
        slopes |= {"slope": 1 - p}
        found |= {verdict: float(row["verdict"] == verdict) for verdict in ("confirmed", "not confirmed")}
    for column, name in names.items():
        found |= {f"{name} <= {level:g}": float(row[column] <= level) for level in LEVELS}
    for column, truth in slopes.items():
        name = "geometric slope" if column == "log_slope" else "linear slope"
        found[f"95% interval of the {name}"] = float(row[f"{column}_low"] <= truth <= row[f"{column}_high"])
    return found


def _substituted(items: pd.DataFrame) -> pd.DataFrame:
    """The theory's distance, which counts wrong tokens; Levenshtein's, which forgives shifts, is no straight line itself."""
    return items.assign(distance=items["length"] - items["right"]).reset_index(drop=True)


def _length_one_outcomes(cell: Cell, rng: np.random.Generator) -> dict[str, float]:
    """Four sizes and lengths of 1 to 5, as in the paper."""
    import pandas as pd

    together = cell.truth == "together"
    scale, success = token_success(cell.truth, len(GPT_SCALES))
    parts = [
        drawn_outputs(scale, success, length=k, items=cell.items, rng=rng, together=together)
        for k in range(1, cell.points + 1)
    ]
    points, _, _ = length_forms(pd.concat(parts, ignore_index=True), rng=rng, draws=0)
    families, _ = from_length_one(points, rng=rng, draws=DRAWS)
    (row,) = families.to_dict("records")
    return {word: float(row["verdict"] == word) for word in ("confirmed", "not confirmed", "undecided")}


def _function_outcomes(cell: Cell, rng: np.random.Generator) -> dict[str, float]:
    return one_function_outcomes(truth=cell.truth, runs=cell.points, items=cell.items, rng=rng)


_OUTCOMES: dict[str, Callable[[Cell, np.random.Generator], dict[str, float]]] = {
    "1": _metric_outcomes,
    "2": _growth_outcomes,
    "3": _length_outcomes,
    "3a": _length_one_outcomes,
    "one function": _function_outcomes,
}


def validate(cell: Cell, *, seed: int, simulations: int) -> pd.DataFrame:
    """Simulate one cell; every simulation has a generator of its own, so a table is the sum of its cells.

    Returns
    -------
    pandas.DataFrame
        ``COLUMNS``, one row a quantity: ``found`` is a share of simulations, ``standard_error`` its Monte Carlo error,
        ``expected`` the level or coverage, NaN where there is none (shares of verdicts).
    """
    import pandas as pd

    kept: dict[str, list[float]] = {}
    for number in range(simulations):
        rng = np.random.default_rng([seed, CELLS.index(cell), number])
        for name, value in _OUTCOMES[cell.prediction](cell, rng).items():
            kept.setdefault(name, []).append(value)
    rows = []
    for name, values in kept.items():
        found, n = float(np.mean(values)), len(values)
        # half a success either way, so that a share of 0 or 1 has an error
        pulled = (found * n + 0.5) / (n + 1)
        rows.append(
            (cell.prediction, name, *cell[1:], _expected(name), found, float(np.sqrt(pulled * (1 - pulled) / n)), n)
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def _expected(name: str) -> float:
    if name.startswith("95%"):
        return 0.95
    return float(name.rsplit("<= ", 1)[1]) if "<= " in name else float("nan")


def exact_coverage(*, items: int, success: float) -> float:
    """Chance that the exact interval of a share of ``items`` holds ``success``: a sum over all counts, no simulation.

    Examples
    --------
    >>> exact_coverage(items=100, success=0.01) >= 0.95
    True
    """
    from scipy.stats import binom

    counts = np.arange(items + 1)
    chance = binom.pmf(counts, items, success)
    likely = counts[chance > 1e-12]  # the rest together is below 1e-7
    held = [low <= success <= high for low, high in (exact_interval(int(k), items) for k in likely)]
    return float(chance[likely][held].sum())
