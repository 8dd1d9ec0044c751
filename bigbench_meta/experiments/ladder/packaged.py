"""The ladder that ships with the package: every size, task and seed, trained once by ``scripts/maintenance/train_ladder.py``.

The shipped files are the fixed data: a ladder trained again on another processor agrees within the spread of its
seeds, not bit by bit.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_FOLDER = Path(__file__).resolve().parents[2] / "data" / "ladder"


def packaged_ladder() -> Path:
    """Return the packaged score repository, a folder in BIG-bench's layout.

    Examples
    --------
    >>> (packaged_ladder() / "provenance.json").is_file()
    True
    """
    return _FOLDER


def packaged_items() -> pd.DataFrame:
    """Return ``task, subtask, n_items``: the items behind each point of the packaged scores."""
    import pandas as pd

    return pd.read_csv(_FOLDER / "items.csv")


def packaged_lengths() -> pd.DataFrame:
    """Return ``task, target_length`` where the names of subtasks do not tell it: letter sorting has eight letters.

    The targets of addition and multiplication have no one length.
    """
    import pandas as pd

    return pd.DataFrame({"task": ["letter_sorting"], "target_length": [8]})


def packaged_outputs() -> Path:
    """Return the compressed JSON Lines of all models' answers to the first items of each subtask.

    A line holds ``task, family, model, scale, seed, subtask, input, target, output, target_logprobs, options,
    option_scores``.
    """
    return _FOLDER / "outputs.jsonl.xz"


def packaged_large_sample() -> Path:
    """Return the compressed JSON Lines of answers to the large sample of contextual substitution at length 8.

    A line holds ``task, family, model, scale, seed, subtask, target, output``.
    """
    return _FOLDER / "large_sample.jsonl.xz"


def packaged_large_counts() -> pd.DataFrame:
    """Return one row a model and large sample.

    Columns: ``task, subtask, family, model, scale``; ``n_items`` and ``hits`` (items exactly right by greedy decoding);
    ``expected_hits`` (what one sampled answer an item would earn on average: the sum of the targets' probabilities);
    ``modal_answer`` and ``modal_hits`` (the best constant guess by place, and what it would earn).
    """
    import pandas as pd

    return pd.read_csv(_FOLDER / "large_sample.csv")


def packaged_length_scores() -> pd.DataFrame:
    """Return accuracy and edit distance of every model and target length of contextual substitution, from the packaged scores.

    Columns: ``task, family, model, scale, length, n_items, accuracy, distance``; means of 1,000 items, distance in tokens.
    """
    import pandas as pd

    from bigbench_meta.loader import load_results

    metrics = {"exact_str_match": "accuracy", "token_edit_distance": "distance"}
    scores = load_results(_FOLDER, tasks=["contextual_substitution"]).frame
    scores = scores[scores["metric"].isin(metrics) & ~scores["is_aggregate"]]
    keys = ["task", "subtask", "family", "model", "scale"]
    plain = scores[keys].astype({key: str for key in keys if key != "scale"})
    wide = plain.assign(metric=scores["metric"].astype(str).map(metrics), score=scores["score"]).pivot_table(
        index=keys, columns="metric", values="score"
    )
    table = wide.reset_index().merge(packaged_items(), on=["task", "subtask"])
    table["length"] = table["subtask"].str.rsplit("_", n=1).str[-1].astype(int)
    names = ["task", "family", "model", "scale", "length", "n_items", "accuracy", "distance"]
    return pd.DataFrame(table[names].sort_values(["family", "length", "scale"], ignore_index=True))


# Tables of the three predictions that ship, as `bigbench_meta.experiments.predictions.together` names them.
PACKAGED_TABLES = (
    "prediction_1", "prediction_1_points", "prediction_2", "prediction_2_models", "prediction_2_points",
    "prediction_3", "prediction_3_models", "prediction_3_points", "prediction_3_length_one", "prediction_3_lengths",
)  # fmt: skip


def packaged_predictions() -> dict[str, pd.DataFrame]:
    """Return the tables of the three predictions on the packaged ladder, made by ``scripts/maintenance/judge_ladder.py``."""
    import pandas as pd

    return {name: pd.read_csv(_FOLDER / "predictions" / f"{name}.csv") for name in PACKAGED_TABLES}
