"""How often the tests of the three predictions err, by simulation with known truth.

Each cell fixes a truth, a number of scales or lengths and a number of items, draws outputs token by token, and hands them to
the very functions that judge a user's outputs. What is counted: how often a test rejects a truth it should not reject
(at 1, 5 and 10%), how often a 95% interval holds the truth, and how often a prediction is called confirmed.

Vocabulary
----------
independent
    Every token of an output is right with the same chance, by itself: the paper's assumption.
together
    All tokens of an output are right or all are wrong: the strongest dependence, with the largest noise of a distance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from bigbench_meta.analysis.curves.laws import DEFAULT_BOUND
from bigbench_meta.experiments.predictions.by_items import exact_interval, item_growth
from bigbench_meta.experiments.predictions.by_length import length_forms
from bigbench_meta.experiments.predictions.by_metric import metric_pairs
from bigbench_meta.experiments.predictions.outputs import ITEM_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

Tokens = Literal["independent", "together"]
LEVELS = (0.01, 0.05, 0.10)
DRAWS = 199
COLUMNS = [
    "prediction", "quantity", "tokens", "points", "items", "length", "expected", "found", "standard_error", "simulations",
]  # fmt: skip
# Two decades and a third, as the packaged ladder.
_DECADES = 2.3
# Success of a token at the largest scale.
_TOP = 0.9
_LETTERS = np.array(list("abcdefghij"))


class Cell(NamedTuple):
    """One setting: ``points`` scales (prediction 1) or lengths (prediction 3), ``items`` for each."""

    prediction: int
    tokens: Tokens
    points: int
    items: int
    length: int


CELLS: tuple[Cell, ...] = (
    *(Cell(1, "independent", m, n, 5) for m in (9, 5) for n in (1000, 100)),
    *(Cell(1, "together", 9, n, 5) for n in (1000, 100)),
    *(Cell(1, "independent", 9, n, 1) for n in (1000, 100)),
    *(Cell(2, "independent", 1, n, 1) for n in (1000, 5000)),
    *(Cell(3, tokens, 8, n, 8) for tokens in ("independent", "together") for n in (20, 100, 1000)),
)


def smooth_success(points: int) -> tuple[Vector, Vector]:
    """Scales, and token success of the steepest law that the test of sharpness calls smooth."""
    scale = np.logspace(3, 3 + _DECADES, points)
    loss = -np.log(_TOP) * (scale / scale[-1]) ** -DEFAULT_BOUND
    return scale, np.exp(-loss)


def drawn_outputs(
    scale: Vector, success: Vector, *, length: int, items: int, tokens: Tokens, rng: np.random.Generator
) -> pd.DataFrame:
    """Outputs of one family of models to the same items, as ``load_outputs`` gives them; columns ``ITEM_COLUMNS``."""
    import pandas as pd

    targets = ["".join(row) for row in rng.choice(_LETTERS, (items, length))]
    shape = (len(scale), items, length if tokens == "independent" else 1)
    right = np.broadcast_to(rng.random(shape) < success[:, None, None], (len(scale), items, length))
    wrong = (~right).sum(axis=2)
    return pd.DataFrame(
        {
            "task": "t", "subtask": "t", "family": "f", "model": np.repeat([f"m{i}" for i in range(len(scale))], items),
            "scale": np.repeat(scale, items), "item": np.tile(np.arange(items), len(scale)),
            "target": targets * len(scale), "length": length, "hit": (wrong == 0).ravel().astype(float),
            "distance": wrong.ravel().astype(float), "pass": np.nan,
        }
    )[ITEM_COLUMNS]  # fmt: skip


def _metric_outcomes(cell: Cell, rng: np.random.Generator) -> dict[str, float]:
    scale, success = smooth_success(cell.points)
    items = drawn_outputs(scale, success, length=cell.length, items=cell.items, tokens=cell.tokens, rng=rng)
    (row,) = metric_pairs(items, rng=rng, draws=DRAWS).to_dict("records")
    found = {
        f"p of sharpness, {what} <= {level:g}": float(row[column] <= level)
        for what, column in (("accuracy", "p_sharp_accuracy"), ("edit distance", "p_sharp_distance"))
        for level in LEVELS
    }
    return found | {"confirmed": float(row["verdict"] == "confirmed")}


# Share of the commonest target, which a model with no skill can say every time.
_CONSTANT = 0.02
_PASS = 0.02


def _growth_outcomes(cell: Cell, rng: np.random.Generator) -> dict[str, float]:
    """A model that is right as often as the best constant answer, on other items; and the intervals of its pass rate."""
    n = cell.items
    outputs = drawn_outputs(np.array([1e3]), np.array([_CONSTANT]), length=1, items=n, tokens="independent", rng=rng)
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
    """Tokens that succeed with chance .85 at every length: accuracy .85 ** L, or with tokens together .85 always."""
    import pandas as pd

    p, one = 0.85, np.array([1e3])
    lengths = range(1, cell.points + 1)
    # together: the chance of a whole output falls geometrically, and so does the share of outputs with all tokens right
    parts = [
        drawn_outputs(
            one, np.array([p if cell.tokens == "independent" else p**k]),
            length=k, items=cell.items, tokens=cell.tokens, rng=rng,
        )
        for k in lengths
    ]  # fmt: skip
    _, (row,), _ = (
        table.to_dict("records") for table in length_forms(pd.concat(parts, ignore_index=True), rng=rng, draws=DRAWS)
    )
    if row["draws"] == 0:
        return {"undecided": 1.0}
    found = {"undecided": float(row["verdict"] == "undecided")}
    names = {"accuracy_p": "p of the geometric form", "accuracy_curvature_p": "p of its curvature"}
    slopes = {"log_slope": np.log(p)}
    if cell.tokens == "independent":  # together, the distance L (1 - p ** L) is no straight line
        names |= {"distance_p": "p of the linear form", "distance_curvature_p": "p of the line's curvature"}
        slopes |= {"slope": 1 - p}
        found |= {verdict: float(row["verdict"] == verdict) for verdict in ("confirmed", "not confirmed")}
    for column, name in names.items():
        found |= {f"{name} <= {level:g}": float(row[column] <= level) for level in LEVELS}
    for column, truth in slopes.items():
        name = "geometric slope" if column == "log_slope" else "linear slope"
        found[f"95% interval of the {name}"] = float(row[f"{column}_low"] <= truth <= row[f"{column}_high"])
    return found


_OUTCOMES: dict[int, Callable[[Cell, np.random.Generator], dict[str, float]]] = {
    1: _metric_outcomes,
    2: _growth_outcomes,
    3: _length_outcomes,
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
