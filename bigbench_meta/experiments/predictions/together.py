"""The three predictions of the paper's section 3, judged on fixed outputs, each with numbers, an interval and a verdict.

1. The same outputs are sharp under accuracy and smooth under edit distance (`by_metric`), in three parts: accuracy looks sharper (1a),
   it follows from the per-token measure (1b, `through_metric`), and that one improves smoothly (1c, `token_law`).
2. More test items lift small models off zero, above chance (`by_items`).
3. Against target length accuracy falls geometrically and edit distance rises linearly: as the paper writes it, from the
   performance at length 1 (3a, `by_length_one`), and as forms that are fitted (3b, `by_length`).

Every rule and threshold stands in the module of its part; a verdict is one of confirmed (explained), not confirmed (not
explained), undecided. Few were fixed beforehand: docs/predictions.md says which were changed after results had been seen.
Families are judged apart; a family is one series of models, such as one training seed of a ladder.

References
----------
Schaeffer, Miranda, Koyejo (2023), arXiv 2304.15004, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bigbench_meta.experiments.predictions.by_items import item_growth
from bigbench_meta.experiments.predictions.by_length import length_forms
from bigbench_meta.experiments.predictions.by_length_one import from_length_one
from bigbench_meta.experiments.predictions.by_metric import PARTS, metric_pairs, score_pairs, score_points

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import pandas as pd

    from bigbench_meta.experiments.predictions.outputs import Outputs

CLAIMS = {
    "1a": "accuracy looks sharper than edit distance of the same outputs",
    "1b": "accuracy follows from a smooth per-token measure through the metric",
    "1c": "the smooth metric improves by a law with the family's own exponent, without a step",
    "2": "more test items lift small models off zero, above chance",
    "3a": "performance at length 1 predicts longer targets, with nothing fitted",
    "3b": "against target length, accuracy falls about geometrically and edit distance rises about linearly",
}
# Ending of the subtask under which the packaged large sample stands in prediction 1.
LARGE_SAMPLE = ", large sample"


@dataclass(frozen=True)
class Predictions:
    """Verdicts and the numbers behind them.

    Attributes
    ----------
    verdicts
        ``prediction, task, subtask, family, verdict, sentence``, one row for each thing tested; ``prediction`` is a key of ``CLAIMS``.
    tables
        Name -> table: ``prediction_1``, ``prediction_1_points``, ``prediction_2``, ``prediction_2_models``, ``prediction_2_points``,
        ``prediction_3``, ``prediction_3_models``, ``prediction_3_points``, ``prediction_3_length_one``, ``prediction_3_lengths``; those
        that the input allows.
    """

    verdicts: pd.DataFrame
    tables: dict[str, pd.DataFrame]


def judge_outputs(outputs: Outputs, *, rng: np.random.Generator, draws: int = 999) -> Predictions:
    """Test all three predictions on item outputs (``load_outputs``)."""
    items = outputs.items
    return _judge(items, larger=items, pairs=items, lengths=None, rng=rng, draws=draws)


def judge_packaged(*, rng: np.random.Generator, draws: int = 999) -> Predictions:
    """Test all three predictions on the packaged ladder.

    Its outputs have the same 100 items a length, its large sample 20,000 items of length 8, its scores the means of 1,000 items
    a length. Prediction 1 is judged on the outputs and, as subtasks of their own, on the large sample; 2 on the large
    sample; 3a on the scores, with the items' variance of the outputs; 3b on the outputs.
    """
    import pandas as pd

    from bigbench_meta.experiments.ladder.packaged import packaged_length_scores, packaged_outputs
    from bigbench_meta.experiments.predictions.outputs import load_outputs, packaged_large_items

    items, larger = load_outputs([packaged_outputs()]).items, packaged_large_items()
    both = pd.concat([items, larger.assign(subtask=larger["subtask"] + LARGE_SAMPLE)], ignore_index=True)
    return _judge(items, larger=larger, pairs=both, lengths=packaged_length_scores(), rng=rng, draws=draws)


def _judge(
    items: pd.DataFrame,
    *,
    larger: pd.DataFrame,
    pairs: pd.DataFrame,
    lengths: pd.DataFrame | None,
    rng: np.random.Generator,
    draws: int,
) -> Predictions:
    """Test prediction 1 on ``pairs``, 2 on ``larger``, 3b on ``items``, and 3a on ``lengths`` or else on the means of ``items``."""
    first, second, third, fourth = rng.spawn(4)
    metric, metric_points = metric_pairs(pairs, rng=first, draws=draws)
    growth_points, growth_models, growth = item_growth(larger, rng=second, draws=draws)
    length_points, length_models, forms = length_forms(items, rng=third, draws=draws)
    means = length_points if lengths is None else _with_errors(lengths, length_points)
    as_written, by_length = from_length_one(means, rng=fourth, draws=draws)
    tables = {
        "prediction_1": metric,
        "prediction_1_points": metric_points,
        "prediction_2": growth,
        "prediction_2_models": growth_models,
        "prediction_2_points": growth_points,
        "prediction_3": forms.assign(subtask=forms["task"]),
        "prediction_3_models": length_models,
        "prediction_3_points": length_points,
        "prediction_3_length_one": as_written.assign(subtask=as_written["task"]),
        "prediction_3_lengths": by_length,
    }
    return Predictions(verdict_table(tables), tables)


def _with_errors(scores: pd.DataFrame, points: pd.DataFrame) -> pd.DataFrame:
    """Give mean distances the standard error that the outputs' variance implies at their own number of items."""
    keys = ["task", "family", "model", "length"]
    known = points.assign(variance=points["distance_se"] ** 2 * points["n_items"])[[*keys, "variance"]]
    merged = scores.merge(known, on=keys, how="inner")
    return merged.assign(distance_se=(merged["variance"] / merged["n_items"]) ** 0.5)


def judge_scores(scores: pd.DataFrame, *, rng: np.random.Generator, draws: int = 999) -> Predictions:
    """Test prediction 1 on the table of scores that ``load_scores`` reads; the other two need item outputs."""
    tables = {"prediction_1": score_pairs(scores, rng=rng, draws=draws), "prediction_1_points": score_points(scores)}
    return Predictions(verdict_table(tables), tables)


def verdict_table(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """All verdicts in one table, from those tables of the predictions that are there.

    Returns
    -------
    pandas.DataFrame
        ``prediction, task, subtask, family, verdict, sentence``.
    """
    import pandas as pd

    names = ["task", "subtask", "family"]
    columns = {number: ("prediction_1", part, f"{part}_sentence") for number, part in PARTS.items()}
    columns |= {"2": ("prediction_2", "verdict", "sentence"), "3a": ("prediction_3_length_one", "verdict", "sentence")}
    columns |= {"3b": ("prediction_3", "verdict", "sentence")}
    parts = [
        tables[table][[*names, verdict, sentence]]
        .set_axis([*names, "verdict", "sentence"], axis=1)
        .assign(prediction=number)
        for number, (table, verdict, sentence) in columns.items()
        if table in tables
    ]
    return pd.concat(parts, ignore_index=True)[["prediction", *names, "verdict", "sentence"]]
