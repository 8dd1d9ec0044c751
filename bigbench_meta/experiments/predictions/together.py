"""The three predictions of the paper's section 3, tested on fixed outputs, each with numbers, an interval and a verdict.

1. The same outputs are sharp under accuracy and smooth under edit distance (`predictions_metric`).
2. More test items lift small models off zero, above chance (`predictions_items`).
3. Against target length accuracy falls about geometrically, edit distance rises about linearly (`predictions_length`).

Every rule and threshold stands in the module of its prediction; a verdict is one of confirmed, not confirmed, undecided.
Not all of them were fixed beforehand. The rule of prediction 2 was. That of prediction 1 was replaced after the packaged
ladder's results had been seen (the earlier verdict is kept beside it). In prediction 3 the cap of the distance at the
target's length, the explained share with noise taken off, and the mixing of variances were introduced after a first look
at the word lists of one large model; its verdicts on those are exploratory. Families are tested apart; a family is one
series of models, such as one training seed of a ladder.

References
----------
Schaeffer, Miranda, Koyejo (2023), arXiv 2304.15004, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bigbench_meta.experiments.predictions.by_items import item_growth
from bigbench_meta.experiments.predictions.by_length import length_forms
from bigbench_meta.experiments.predictions.by_metric import metric_pairs, metric_points, score_pairs, score_points

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import pandas as pd

    from bigbench_meta.experiments.predictions.outputs import Outputs

CLAIMS = {
    1: "the same outputs are sharp under accuracy and smooth under edit distance",
    2: "more test items lift small models off zero, above chance",
    3: "against target length, accuracy falls about geometrically and edit distance rises about linearly",
}


@dataclass(frozen=True)
class Predictions:
    """Verdicts and the numbers behind them.

    Attributes
    ----------
    verdicts
        ``prediction, task, subtask, family, verdict, sentence``, one row for each thing tested.
    tables
        Name -> table: ``prediction_1``, ``prediction_1_points``, ``prediction_2``, ``prediction_2_models``, ``prediction_2_points``,
        ``prediction_3``, ``prediction_3_models``, ``prediction_3_points``; those that the input allows.
    """

    verdicts: pd.DataFrame
    tables: dict[str, pd.DataFrame]


def judge_outputs(outputs: Outputs, *, rng: np.random.Generator, draws: int = 999) -> Predictions:
    """Test all three predictions on item outputs (``load_outputs``)."""
    return _judge(outputs.items, larger=outputs.items, rng=rng, draws=draws)


def judge_packaged(*, rng: np.random.Generator, draws: int = 999) -> Predictions:
    """Test all three predictions on the packaged ladder: 1 and 3 on its outputs, 2 on its large sample.

    The two files are never pooled: the outputs have the same 100 items a length for every length, the large sample has
    20,000 items of length 8 alone.
    """
    from bigbench_meta.experiments.ladder.packaged import packaged_outputs
    from bigbench_meta.experiments.predictions.outputs import load_outputs, packaged_large_items

    outputs = load_outputs([packaged_outputs()])
    return _judge(outputs.items, larger=packaged_large_items(), rng=rng, draws=draws)


def _judge(items: pd.DataFrame, *, larger: pd.DataFrame, rng: np.random.Generator, draws: int) -> Predictions:
    """Test predictions 1 and 3 on ``items`` and 2 on ``larger``."""
    first, second, third = rng.spawn(3)
    growth_points, growth_models, growth = item_growth(larger, rng=second, draws=draws)
    length_points, length_models, lengths = length_forms(items, rng=third, draws=draws)
    tables = {
        "prediction_1": metric_pairs(items, rng=first, draws=draws),
        "prediction_1_points": metric_points(items),
        "prediction_2": growth,
        "prediction_2_models": growth_models,
        "prediction_2_points": growth_points,
        "prediction_3": lengths.assign(subtask=lengths["task"]),
        "prediction_3_models": length_models,
        "prediction_3_points": length_points,
    }
    return Predictions(verdict_table(tables), tables)


def judge_scores(scores: pd.DataFrame, *, rng: np.random.Generator, draws: int = 999) -> Predictions:
    """Test prediction 1 on the table of scores that ``load_scores`` reads; the other two need item outputs."""
    tables = {"prediction_1": score_pairs(scores, rng=rng, draws=draws), "prediction_1_points": score_points(scores)}
    return Predictions(verdict_table(tables), tables)


def verdict_table(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """All verdicts in one table, from those of ``prediction_1``, ``prediction_2`` and ``prediction_3`` that are there.

    Returns
    -------
    pandas.DataFrame
        ``prediction, task, subtask, family, verdict, sentence``.
    """
    import pandas as pd

    names = ["task", "subtask", "family", "verdict", "sentence"]
    found = {number: tables[f"prediction_{number}"] for number in CLAIMS if f"prediction_{number}" in tables}
    parts = [table[names].assign(prediction=number) for number, table in found.items()]
    return pd.concat(parts, ignore_index=True)[["prediction", *names]]
