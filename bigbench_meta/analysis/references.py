"""Reference values: what chance and what human raters score, where that is known; each with its source.

They are facts to look at beside a curve. No test uses them.
"""

from __future__ import annotations

import math
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from bigbench_meta.errors import TableError

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["task", "subtask", "metric", "kind", "level", "source"]
HUMAN_COLUMNS = ["task", "metric", "rater", "score"]
_GRADE = "multiple_choice_grade"
_COUNTED = "mean target score of the options over the distinct examples of bigbench 1.0.0"
_STATED = "low_score of the score files"
_SEVERAL = f"most frequent {_STATED}, which disagree"
_RATERS = "human raters' file"
# A mean over raters may leave the range by a rounding.
_SLACK = 1e-9


def references(results: pd.DataFrame, *, human: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the level lines that figures of these results may carry.

    Parameters
    ----------
    results : DataFrame
        RESULTS.
    human : DataFrame, optional
        From `human_scores`: ``task, metric, rater, score`` in the units of score files; an empty ``metric`` is the one that
        the task prefers.

    Returns
    -------
    DataFrame
        ``task, subtask, metric, kind, level, source``, sorted; ``kind`` is ``chance`` or ``human`` with the kind of rater,
        ``level`` is in units of the scores. Chance is known for multiple choice only: the positive ``low_score`` that the
        files state where the grade is preferred, else the count of the package. A task without either has no row: nothing is
        guessed. Human scores are of whole tasks; one that is not finite has no row.

    Raises
    ------
    TableError
        If a human score lies outside the range that the registry gives for its metric in score files.

    Examples
    --------
    >>> import pandas as pd
    >>> row = {"task": "navigate", "subtask": "navigate", "metric": "multiple_choice_grade", "is_preferred": True,
    ...        "low_score": 0.5}
    >>> references(pd.DataFrame([row]))[["kind", "level"]].to_dict("records")
    [{'kind': 'chance', 'level': 0.5}]
    """
    import pandas as pd

    key = ["task", "subtask", "metric"]
    shown = results[[*key, "is_preferred", "low_score"]].astype(dict.fromkeys(key, str))
    graded = shown[shown["metric"] == _GRADE]
    stated = _stated(graded[graded["is_preferred"] & (graded["low_score"] > 0)], key)
    counted = graded[key].drop_duplicates().merge(packaged_chance(), on=["task", "subtask"]).assign(source=_COUNTED)
    chance = pd.concat([stated, counted]).drop_duplicates(key).assign(kind="chance")
    parts = [chance] if human is None else [chance, _of_humans(shown, human)]
    table = pd.concat([part[COLUMNS] for part in parts], ignore_index=True)
    return table.sort_values(["task", "subtask", "metric", "kind"], ignore_index=True)


def _stated(preferred: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """The low score of each key that its files state, the most frequent where they disagree (the smallest of a tie)."""
    counts = preferred.groupby([*key, "low_score"]).size().rename("n").reset_index()
    disagree = counts.duplicated(key, keep=False)
    counts["source"] = disagree.map({True: _SEVERAL, False: _STATED})
    first = counts.sort_values([*key, "n", "low_score"], ascending=[True, True, True, False, True]).drop_duplicates(key)
    return first.rename(columns={"low_score": "level"})[[*key, "level", "source"]]


def packaged_chance() -> pd.DataFrame:
    """Chance of every multiple-choice task and subtask: ``task, subtask, level``.

    The mean over a task's distinct examples of the mean target score of their options, which is what a model gets that
    picks an option at random; BIG-bench's own ``low_score``.
    """
    import pandas as pd

    with (files("bigbench_meta") / "data" / "chance.csv").open(encoding="utf-8") as stream:
        table: pd.DataFrame = pd.read_csv(stream)
    return table


def human_scores(path: Path | str) -> pd.DataFrame:
    """Read scores of human raters: BIG-bench's ``task_human_eval.pkl``, or a CSV file.

    A CSV file has the columns ``task``, a column for each kind of rater and, if need be, ``metric``; its scores are in the
    units of score files. Nothing in the pickle is run.

    Returns
    -------
    DataFrame
        ``task, metric, rater, score``, sorted; ``metric`` is empty where a CSV file does not name one.

    Raises
    ------
    LoadError, TableError
        If the file is not of that form.
    """
    import pandas as pd

    from bigbench_meta.loader.human_raters import read_human_scores
    from bigbench_meta.table_files import csv_frame

    path = Path(path)
    if path.suffix == ".pkl":
        return read_human_scores(path)
    table = csv_frame(path, expected="columns task and one for each kind of rater", text=("task", "metric"))
    kinds = [name for name in table.columns if name not in {"task", "metric"}]
    wrong = [name for name in kinds if table[name].dtype.kind not in "fiu"]
    if "task" not in table.columns or not kinds or wrong:
        fault = f"column {wrong[0]} holds text" if wrong else f"has the columns {', '.join(table.columns)}"
        raise TableError(f"{path}: {fault}; expected task and one column of numbers for each kind of rater")
    if "metric" not in table.columns:
        table = table.assign(metric="")
    table = table.assign(metric=table["metric"].fillna(""))
    odd = (
        table["task"].isna()
        | table.duplicated(["task", "metric"])
        | table[kinds].isin([math.inf, -math.inf]).any(axis="columns")
    )
    if odd.any():
        row = int(odd.to_numpy().argmax())
        raise TableError(
            f"{path}: row {row + 1} has no task, the task (and metric) of an earlier row, or a score without end; expected "
            "each task once and finite scores, a cell left empty where there is none"
        )
    long = table.melt(["task", "metric"], var_name="rater", value_name="score").dropna(subset=["score"])
    return pd.DataFrame(long[HUMAN_COLUMNS].sort_values(HUMAN_COLUMNS[:3], ignore_index=True))


def _of_humans(shown: pd.DataFrame, human: pd.DataFrame) -> pd.DataFrame:
    """Human scores as rows of references, for whole tasks."""
    import numpy as np
    import pandas as pd

    from bigbench_meta.facts.metrics import look_up, metrics

    whole = shown[shown["subtask"] == shown["task"]]
    pairs = whole[["task", "metric"]].drop_duplicates()
    preferred = whole.loc[whole["is_preferred"], ["task", "metric"]].drop_duplicates()
    unnamed = human[human["metric"] == ""].drop(columns="metric")
    rows = pd.concat([human.merge(pairs, on=["task", "metric"]), unnamed.merge(preferred, on="task")])
    rows = rows[np.isfinite(rows["score"])].reset_index(drop=True)
    known = look_up(rows[["task", "metric"]], metrics())
    outside = (rows["score"] < known["low"] - _SLACK) | (rows["score"] > known["high"] + _SLACK)
    if outside.any():
        place = int(outside.to_numpy().argmax())
        row, at = rows.iloc[place], known.iloc[place]
        raise TableError(
            f"human raters: {row['score']:g} of task {row['task']!r} by {row['rater']!r} lies outside {at['low']:g} to "
            f"{at['high']:g}, the range of {row['metric']} in score files; give human scores in those units, so divide a "
            "percentage by 100"
        )
    named: pd.DataFrame = rows.assign(
        subtask=rows["task"], level=rows["score"], kind="human " + rows["rater"].astype(str), source=_RATERS
    )
    return named
