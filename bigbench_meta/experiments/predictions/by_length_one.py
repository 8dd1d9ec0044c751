"""Prediction 3 as the paper writes it: longer targets follow from the performance on targets of one token.

No parameter is fitted. From accuracy ``a`` and edit distance ``d`` at length 1 the paper's model gives accuracy ``a ** L`` and distance
``L d`` at length L, of the same model (`by_length` asks the weaker question, whether any such form fits).

Two questions again. *About*: the share of the variation over models and lengths, beyond item noise, that the prediction explains
(``explained``; ``r2`` is the same without noise taken off). *Exactly*: the squared residuals against those drawn from the prediction, with
accuracy at length 1 drawn from its posterior, since its error is raised to the power L.

Rule, for the models of one family together. *Confirmed*: both predictions explain at least ``EXPLAINED``. *Not confirmed*: one explains
less, and its exactness is rejected (2%, Holm over the two). *Undecided*: fewer than ``MIN_LONGER`` longer lengths, no length 1, no
variation beyond noise, or one explains less without being rejected. The unit of independence is the item.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bigbench_meta.emergence import emergence_floored
from bigbench_meta.experiments.predictions.by_length import EXPLAINED

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

# Lengths above 1 that show a form: one could be met by accident.
MIN_LONGER = 3
# The posterior of 20 items a length makes these p-values up to twice too small (simulated), hence no 5% here.
_LEVEL = 0.02
FAMILY_COLUMNS = [
    "task", "family", "models", "lengths", "n_items", "accuracy_r2", "accuracy_explained", "accuracy_p",
    "distance_r2", "distance_explained", "distance_p", "longest", "distance_over_predicted", "draws", "verdict", "sentence",
]  # fmt: skip
LENGTH_COLUMNS = [
    "task", "family", "length", "n_items", "models", "emergence", "emergence_predicted", "accuracy", "accuracy_predicted",
    "distance", "distance_predicted",
]  # fmt: skip


def from_length_one(
    points: pd.DataFrame, *, rng: np.random.Generator, draws: int = 999
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Judge accuracy ``a ** L`` and distance ``L d`` with a and d at length 1.

    Parameters
    ----------
    points
        ``task, family, model, scale, length, n_items, accuracy, distance, distance_se``, one row a model and length.

    Returns
    -------
    families, lengths
        One row a family with its verdict (``FAMILY_COLUMNS``); one row a length, over its models (``LENGTH_COLUMNS``), with the emergence
        score of the observed and of the predicted accuracy over scale.
    """
    import pandas as pd

    rows: list[dict[str, object]] = []
    lengths: list[dict[str, object]] = []
    for key, own in points.groupby(["task", "family"], sort=True):
        head = dict(zip(("task", "family"), key, strict=True))
        table = own[own["length"] >= 1].sort_values(["length", "scale"])
        one = table[table["length"] == 1].set_index("model")
        longer = table[(table["length"] > 1) & table["model"].isin(one.index)]
        if one.empty or longer["length"].nunique() < MIN_LONGER:
            why = (
                "no targets of length 1"
                if one.empty
                else f"{longer['length'].nunique()} longer lengths, {MIN_LONGER} are needed"
            )
            rows.append(head | {"models": len(one), "verdict": "undecided", "sentence": f"Undecided: {why}."})
            continue
        rows.append(head | _family(one, longer, rng=rng, draws=draws))
        lengths += [head | row for row in _by_length(one, longer)]
    return pd.DataFrame(rows).reindex(columns=FAMILY_COLUMNS), pd.DataFrame(lengths).reindex(columns=LENGTH_COLUMNS)


def _family(one: pd.DataFrame, longer: pd.DataFrame, *, rng: np.random.Generator, draws: int) -> dict[str, object]:
    import pandas as pd

    at = one.index.get_indexer(pd.Index(longer["model"]))
    length, n = longer["length"].to_numpy(float), longer["n_items"].to_numpy(int)
    first, n_first = one["accuracy"].to_numpy(float), one["n_items"].to_numpy(int)
    # what accuracy at length 1 may truly be, by Jeffreys' posterior: with all of 20 items right it is not known to be 1
    right = first * n_first
    truth = rng.beta(right + 0.5, n_first - right + 0.5, (draws, len(first)))[:, at]
    predicted = first[at] ** length
    drawn = rng.binomial(n, truth**length) / n
    accuracy = _fit(longer["accuracy"].to_numpy(float), predicted, drawn, noise=predicted * (1 - predicted) / n)
    error = np.fmax(longer["distance_se"].to_numpy(float), np.sqrt(length * truth * (1 - truth) / n))
    line = length * one["distance"].to_numpy(float)[at]
    drawn = line + length * (first[at] - truth) + error * rng.standard_normal(error.shape)
    distance = _fit(longer["distance"].to_numpy(float), line, drawn, noise=error.mean(axis=0) ** 2)
    longest = length == length.max()
    over = float(longer["distance"].to_numpy(float)[longest].sum() / max(line[longest].sum(), 1e-12))
    row: dict[str, object] = {
        "models": len(one), "lengths": int(longer["length"].nunique()), "n_items": int(longer["n_items"].min()),
        "longest": int(length.max()), "distance_over_predicted": over, "draws": draws,
    }  # fmt: skip
    for name, found in (("accuracy", accuracy), ("distance", distance)):
        row |= {f"{name}_r2": found[0], f"{name}_explained": found[1], f"{name}_p": found[2]}
    verdict, why = _decide(accuracy, distance)
    said = (
        f"{verdict.capitalize()}: {why}. Over {len(longer)} means of lengths 2 to {int(length.max())}, acc_1^L has R2 = {accuracy[0]:.3f} and L "
        f"times the edit distance at length 1 has R2 = {distance[0]:.3f}; at length {int(length.max())} edit distance is {over:.2f} times that"
    )
    return row | {"verdict": verdict, "sentence": f"{said}."}


def _fit(observed: Matrix, predicted: Matrix, drawn: Matrix, *, noise: Matrix) -> tuple[float, float, float]:
    """R2, R2 with the expected noise taken off, and p of the squared residuals."""
    total = float(((observed - observed.mean()) ** 2).sum())
    misfit = float(((observed - predicted) ** 2).sum())
    again = ((drawn - predicted) ** 2).sum(axis=1)
    p = float(((again >= misfit * (1 - 1e-9)).sum() + 1) / (len(again) + 1))
    beyond = total - float(noise.sum())
    explained = 1 - max(misfit - float(again.mean()), 0.0) / beyond if beyond > 0 else float("nan")
    return (1 - misfit / total if total > 0 else float("nan")), float(explained), p


def _decide(accuracy: tuple[float, float, float], distance: tuple[float, float, float]) -> tuple[str, str]:
    from statsmodels.stats.multitest import multipletests

    if not np.isfinite([accuracy[1], distance[1]]).all():
        return "undecided", "the variation over models and lengths is within item noise"
    short = [
        (name, found[1], rejected)
        for name, found, rejected in zip(
            ("accuracy", "edit distance"), (accuracy, distance),
            multipletests([accuracy[2], distance[2]], alpha=_LEVEL, method="holm")[0], strict=True,
        )
        if found[1] < EXPLAINED
    ]  # fmt: skip
    told = " and ".join(f"the prediction explains {share:.0%} of {name}" for name, share, _ in short)
    if any(rejected for *_, rejected in short):
        return "not confirmed", told
    if short:
        return "undecided", f"{told}, which item noise can do to an exact prediction"
    return "confirmed", "length 1 predicts the longer targets, with nothing fitted"


def _by_length(one: pd.DataFrame, longer: pd.DataFrame) -> list[dict[str, object]]:
    import pandas as pd

    rows: list[dict[str, object]] = []
    for length, own in longer.groupby("length", sort=True):
        at, size = one.index.get_indexer(pd.Index(own["model"])), int(str(length))
        accuracy, predicted = own["accuracy"].to_numpy(float), one["accuracy"].to_numpy(float)[at] ** size
        distance, line = own["distance"].to_numpy(float), one["distance"].to_numpy(float)[at] * size
        floor = 1 / float(own["n_items"].min())
        rows.append(
            {
                "length": size, "n_items": int(own["n_items"].min()), "models": len(own),
                "emergence": float(emergence_floored(accuracy, resolution=floor)),
                "emergence_predicted": float(emergence_floored(predicted, resolution=floor)),
                "accuracy": accuracy.mean(), "accuracy_predicted": predicted.mean(),
                "distance": distance.mean(), "distance_predicted": line.mean(),
            }
        )  # fmt: skip
    return rows
