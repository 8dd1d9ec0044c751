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
_GRADE = "multiple_choice_grade"
_COUNTED = "1 / choices, averaged over the examples of bigbench 1.0.0"
_STATED = "low_score of the score files"


def references(results: pd.DataFrame, *, human: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the level lines that figures of these results may carry.

    Parameters
    ----------
    results : DataFrame
        RESULTS.
    human : DataFrame, optional
        From `human_scores`: ``task`` and one column for each kind of rater, in units of the task's preferred metric
        as the score files hold it, or a hundred times that, as BIG-bench's own reader shows it. Which of the two is
        decided for the whole file: if any score of a metric of 0 to 1 exceeds 1.5, it is the second.

    Returns
    -------
    DataFrame
        ``task, subtask, metric, kind, level, source``, sorted; ``kind`` is ``chance`` or ``human`` with the kind of rater,
        ``level`` is in units of the scores. Chance is known for multiple choice only: counted from the options of the
        task's examples where the package has that count, else the positive ``low_score`` that the files state. A task
        without either has no row: nothing is guessed.

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
    counted = graded[key].drop_duplicates().merge(packaged_chance(), on=["task", "subtask"]).assign(source=_COUNTED)
    preferred = graded[graded["is_preferred"] & (graded["low_score"] > 0)]
    stated = preferred.drop_duplicates(key).assign(level=preferred["low_score"], source=_STATED)
    chance = pd.concat([counted, stated]).drop_duplicates(key).assign(kind="chance")
    parts = [chance] if human is None else [chance, _of_humans(shown, human)]
    table = pd.concat([part[COLUMNS] for part in parts], ignore_index=True)
    return table.sort_values(["task", "subtask", "metric", "kind"], ignore_index=True)


def packaged_chance() -> pd.DataFrame:
    """Chance of every multiple-choice task and subtask: ``task, subtask, level`` (0 to 1), 1 / choices over its examples."""
    import pandas as pd

    with (files("bigbench_meta") / "data" / "chance.csv").open(encoding="utf-8") as stream:
        table: pd.DataFrame = pd.read_csv(stream)
    return table


def human_scores(path: Path | str) -> pd.DataFrame:
    """Read scores of human raters: BIG-bench's ``task_human_eval.pkl``, or a CSV file ``task`` and a column for each kind.

    The pickle is read without running anything in it.

    Raises
    ------
    LoadError, TableError
        If the file is not of that form.
    """
    from bigbench_meta.loader.human_raters import read_human_scores
    from bigbench_meta.table_files import csv_frame

    path = Path(path)
    if path.suffix == ".pkl":
        return read_human_scores(path)
    table = csv_frame(path, expected="columns task and one for each kind of rater", text=("task",))
    kinds = [name for name in table.columns if name != "task"]
    wrong = [name for name in kinds if table[name].dtype.kind not in "fiu"]
    if "task" not in table.columns or not kinds or wrong:
        fault = f"column {wrong[0]} holds text" if wrong else f"has the columns {', '.join(table.columns)}"
        raise TableError(f"{path}: {fault}; expected task and one column of numbers for each kind of rater")
    odd = (
        table["task"].isna() | table["task"].duplicated() | table[kinds].isin([math.inf, -math.inf]).any(axis="columns")
    )
    if odd.any():
        row = int(odd.to_numpy().argmax())
        raise TableError(
            f"{path}: row {row + 1} has no task, the task of an earlier row, or a score without end; expected each task once "
            "and finite scores, a cell left empty where there is none"
        )
    return table


def _of_humans(shown: pd.DataFrame, human: pd.DataFrame) -> pd.DataFrame:
    """Human scores as rows of references, for the whole task's preferred metric."""
    from bigbench_meta.facts.metrics import look_up, metrics

    whole = shown[(shown["subtask"] == shown["task"]) & shown["is_preferred"]][["task", "subtask", "metric"]]
    long = human.melt("task", var_name="rater", value_name="level").dropna(subset=["level"])
    rows = whole.drop_duplicates().merge(long, on="task")
    fraction = (look_up(rows[["task", "metric"]], metrics())["high"] == 1).to_numpy()
    hundredfold = bool((rows["level"][fraction] > 1.5).any())
    if hundredfold:
        rows["level"] = rows["level"].where(~fraction, rows["level"] / 100)
    said = "human raters' file" + (", divided by 100 where the metric goes from 0 to 1" if hundredfold else "")
    return rows.assign(kind="human " + rows["rater"].astype(str), source=said)
