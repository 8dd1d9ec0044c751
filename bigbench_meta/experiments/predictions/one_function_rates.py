"""Simulated runs of models whose accuracy is, or is not, one function of a smooth measure: the truth behind `one_function`'s error rates.

Every model answers the same items. Item i is right with chance ``1 / (1 + exp(b_i - ability))``; ability grows with the logarithms of size, budget
and step, with an offset of each run. The smooth measure is the mean log loss of the same chances, so that both are functions of
ability and accuracy is one function of the other. A *break* lifts accuracy of the largest size by a share of its whole range, up to 99%.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bigbench_meta.experiments.predictions.one_function import one_function

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

# Standard deviations of the items' difficulty and of the runs' offset.
_DIFFICULTY, _OFFSET = 1.5, 0.3
_STEPS = 10


def _short_of(ability: float, difficulty: NDArray[np.float64], wanted: float) -> float:
    return float((1 / (1 + np.exp(difficulty - ability))).mean()) - wanted


def drawn_runs(*, sizes: int, budgets: int, items: int, lift: float, rng: np.random.Generator) -> pd.DataFrame:
    """RESULTS-shaped scores ``acc`` and ``loss`` of ``sizes`` x ``budgets`` runs at ten steps each.

    Examples
    --------
    >>> runs = drawn_runs(sizes=2, budgets=3, items=50, lift=0.0, rng=np.random.default_rng(0))
    >>> len(runs), sorted(runs["metric"].unique())
    (120, ['acc', 'loss'])
    """
    import pandas as pd
    from scipy.optimize import brentq

    difficulty = _DIFFICULTY * rng.standard_normal(items)
    rows = []
    for size in range(sizes):
        for budget in range(budgets):
            offset = _OFFSET * rng.standard_normal()
            for step in range(1, _STEPS + 1):
                ability = (
                    -2.5 + 2.5 * size / max(sizes - 1, 1) + 0.6 * budget + 1.2 * np.log(step) / np.log(_STEPS) + offset
                )
                chance = 1 / (1 + np.exp(difficulty - ability))
                loss = float(-np.log(chance).mean())
                if size == sizes - 1 and lift:
                    wanted = min(float(chance.mean()) + lift, 0.99)
                    chance = 1 / (1 + np.exp(difficulty - brentq(_short_of, -20, 20, args=(difficulty, wanted))))
                accuracy = float((rng.random(items) < chance).mean())
                key = ("t", f"budget {budget}", f"m{size}-{budget}", 10.0 ** (7 + size), step)
                rows += [(*key, "acc", accuracy, items), (*key, "loss", loss, items)]
    return pd.DataFrame(rows, columns=["task", "family", "model", "scale", "step", "metric", "score", "n_items"])


def one_function_outcomes(*, truth: str, runs: int, items: int, rng: np.random.Generator) -> dict[str, float]:
    """Verdicts over sizes: ``runs`` is 25 (five sizes by five budgets) or a number of sizes with one run each."""
    import pandas as pd

    share = float(truth.removeprefix("break ")) if truth.startswith("break") else 0.0
    sizes, budgets = (5, 5) if runs == 25 else (runs, 1)
    plain = drawn_runs(sizes=sizes, budgets=budgets, items=items, lift=0.0, rng=np.random.default_rng(0))
    reach = float(np.ptp(plain.loc[plain["metric"] == "acc", "score"]))
    drawn = drawn_runs(sizes=sizes, budgets=budgets, items=items, lift=share * reach, rng=rng)
    verdicts = one_function(drawn, hard="acc", smooth=["loss"], rng=rng).verdicts
    found = pd.Series(verdicts.set_index("factor")["verdict"])
    words = ("one function", "not one function", "undecided")
    rates = {f"size: {word}": float(found["size"] == word) for word in words}
    return rates | {f"training: {word}": float(found["training"] == word) for word in words}
