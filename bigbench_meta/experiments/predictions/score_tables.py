"""Tables of scores of the same outputs under accuracy and edit distance: what prediction 1 is tested on without outputs.

Tables name their columns in many ways. The first known name that is there is taken, in any case of letters, and said; any
other name is given by the user.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bigbench_meta.errors import TableError
from bigbench_meta.table_files import as_floats

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

# Field -> names under which tables state it.
KNOWN: dict[str, tuple[str, ...]] = {
    "model": ("model", "model_name"),
    "accuracy": ("accuracy", "exact_str_match", "exact_match", "exact_match_accuracy", "exact_string_match", "em", "acc"),
    "distance": (
        "distance", "token_edit_distance", "edit_distance", "mean_edit_distance", "character_edit_distance", "levenshtein",
        "levenshtein_distance", "token_edit_distance_normalized", "character_edit_distance_normalized",
        "normalized_edit_distance",
    ),
    "scale": (
        "scale", "params", "n_params", "num_params", "parameters", "nominal_params_billion", "params_billion",
        "params_million",
    ),
    "task": ("subtask", "task", "task_name", "filename"),
    "family": ("family", "model_family"),
    "n_items": ("n_items", "number_of_data", "n", "items"),
}  # fmt: skip
# What one unit of a scale is in parameters, where its name says so.
_UNITS = {"billion": 1e9, "million": 1e6}
_NEEDED = ("model", "accuracy", "distance", "scale")
# Outputs to different prompts are different outputs, so rows that differ in these are different tasks.
_PROMPTS = ("prompt_type", "number_of_shots", "shots")
# Values at or below this are the mark of a missing number in published tables of non-negative scores.
_MISSING = -1.0


@dataclass(frozen=True)
class Scores:
    """Scores of the same outputs under two metrics.

    Attributes
    ----------
    table
        ``task, family, model, scale, accuracy, distance, n_items, repeats``; accuracy in [0, 1], distance lower is
        better, both means over repeats; ``n_items`` NaN where it is not known.
    notes
        Which columns were taken, which rows were left out, and why, in sentences for the user.
    """

    table: pd.DataFrame
    notes: list[str]


def load_scores(path: Path, *, models: Path | None = None, columns: Mapping[str, str] | None = None) -> Scores:
    """Read a table of scores of the same outputs under accuracy and edit distance.

    Parameters
    ----------
    path
        CSV or Parquet. Wide: one row a model (and task, seed, prompt, ...), with a column for each of accuracy, edit
        distance and scale under one of the names of ``KNOWN``. Long: ``metric`` and ``score`` columns as in RESULTS.
        Rows that differ in prompt or shots are different tasks; other repeats of a (task, family, model) are averaged.
    models
        CSV that gives ``model`` a scale and a family, where the table does not.
    columns
        Field of ``KNOWN`` -> the table's own name for it (in a long table the metric's name).

    Raises
    ------
    TableError
        Naming every missing column with the names that would do, what the table has, and what to do.
    """
    import pandas as pd

    frame, notes = read_table(path), []
    if models is not None:
        facts = model_facts(models)
        model = _column(frame, "model", columns)
        if model is None:
            raise TableError(f"{path}: no column model to join {models} by; it has {_listed(frame)}")
        unknown = ~frame[model].astype(str).isin(facts.index)
        if unknown.any():
            notes.append(f"{unknown.sum()} rows left out: their model is not in {models}")
        frame = frame[~unknown]
        for name in facts.columns:
            if _column(frame, str(name), columns) is None:
                frame = frame.assign(**{str(name): frame[model].astype(str).map(facts[name])})
    if {"metric", "score"} <= set(frame.columns):
        frame = _widened(frame)
    taken = {field: _column(frame, field, columns) for field in KNOWN}
    faults = [f"no column for {field} ({', '.join(KNOWN[field])})" for field in _NEEDED if taken[field] is None]
    if faults:
        raise TableError(
            f"{path}: {'; '.join(faults)}; it has {_listed(frame)}. Name other columns with --column FIELD=NAME"
            + ("; --models CSV gives each model its scale" if taken["scale"] is None and models is None else "")
        )
    notes.append("taken: " + ", ".join(f"{field} from {name}" for field, name in taken.items() if name is not None))

    def number(field: str) -> pd.Series:
        name = taken[field]
        if name is None:
            return pd.Series(math.nan, index=frame.index)
        return as_floats(frame[name])

    tasks = _task_names(frame, taken["task"], default=path.name.split(".")[0])
    family = taken["family"]
    tidy = pd.DataFrame(
        {
            "task": tasks,
            "family": frame[family].astype(str) if family else "all models",
            "model": frame[taken["model"]].astype(str),
            "scale": number("scale") * _unit(str(taken["scale"])),
            "accuracy": number("accuracy"),
            "distance": number("distance"),
            "n_items": number("n_items"),
        }
    )
    finite = (tidy[["accuracy", "distance", "scale"]].abs() < math.inf).all(axis="columns")
    usable = tidy[finite & (tidy["accuracy"] > _MISSING) & (tidy["distance"] > _MISSING) & (tidy["scale"] > 0)]
    if usable.empty:
        raise TableError(
            f"{path}: no row has an accuracy and an edit distance that are numbers of 0 or more, and a scale above 0"
        )
    if len(usable) < len(tidy):
        notes.append(f"{len(tidy) - len(usable)} of {len(tidy)} rows left out: a score is missing or no scale above 0")
    groups = usable.groupby(["task", "family", "model", "scale"], as_index=False, sort=True)
    means = groups.agg(
        accuracy=("accuracy", "mean"), distance=("distance", "mean"), n_items=("n_items", "min"),
        repeats=("accuracy", "size"),
    )  # fmt: skip
    if means["accuracy"].max() > 1.0:
        notes.append("an accuracy is above 1: all are taken as percentages")
        means["accuracy"] /= 100
        if means["accuracy"].max() > 1.0:
            raise TableError(f"{path}: accuracy {100 * means['accuracy'].max():g}; expected shares or percentages")
    if means["n_items"].isna().all():
        notes.append("the number of items is not known, so no interval and no calibrated test: give a column n_items")
    return Scores(means, notes)


def load_curves(path: Path) -> pd.DataFrame:
    """Read curves of accuracy over scale, as the mathematical model is fitted to them.

    Returns
    -------
    pandas.DataFrame
        ``task, family, scale, accuracy, n_items``, one row a point; repeats of a point are pooled as more items.

    Raises
    ------
    TableError
        If a column is missing (names as in ``KNOWN``), or a row is no share of a whole number of items at a scale above 0.
    """
    import pandas as pd

    frame = read_table(path)
    taken = {field: _column(frame, field, None) for field in ("scale", "accuracy", "n_items", "task", "family")}
    faults = [f"no column for {field} ({', '.join(KNOWN[field])})" for field in list(taken)[:3] if taken[field] is None]
    if faults:
        raise TableError(f"{path}: {'; '.join(faults)}; it has {_listed(frame)}")
    numbers = {field: as_floats(frame[str(taken[field])]) for field in ("scale", "accuracy", "n_items")}
    tidy = pd.DataFrame(numbers).assign(
        task=_task_names(frame, taken["task"], default=path.name.split(".")[0]),
        family=frame[taken["family"]].astype(str) if taken["family"] else "all models",
    )
    tidy["scale"] *= _unit(str(taken["scale"]))
    good = (tidy["scale"] > 0) & tidy["accuracy"].between(0, 1) & (tidy["n_items"] >= 1)
    good &= np.isfinite(tidy["scale"]) & np.isfinite(tidy["n_items"])
    if not good.all():
        row = int(np.flatnonzero(~good)[0])
        raise TableError(
            f"{path}: row {row + 1} ({(~good).sum()} in all): expected a finite scale above 0, an accuracy in [0, 1] and a finite number of items: correct it or leave it out"
        )
    hits = tidy.assign(hits=tidy["accuracy"] * tidy["n_items"])
    pooled = hits.groupby(["task", "family", "scale"], as_index=False)[["hits", "n_items"]].sum()
    return pooled.assign(accuracy=pooled["hits"] / pooled["n_items"])[
        ["task", "family", "scale", "accuracy", "n_items"]
    ]


def model_facts(path: Path) -> pd.DataFrame:
    """Read a table of models: index ``model``, columns ``scale`` (parameters) and, where it is there, ``family``.

    Raises
    ------
    TableError
        If it has no model or no scale.
    """
    import pandas as pd

    frame = read_table(path)
    model, scale, family = (_column(frame, field, None) for field in ("model", "scale", "family"))
    if model is None or scale is None:
        raise TableError(
            f"{path}: expected columns model and scale (or {', '.join(KNOWN['scale'][1:])}); it has {_listed(frame)}"
        )
    facts = pd.DataFrame({"scale": as_floats(frame[scale]) * _unit(scale)})
    if family is not None:
        facts["family"] = frame[family].astype(str)
    facts.index = pd.Index(frame[model].astype(str))
    return facts[~facts.index.duplicated()]


def read_table(path: Path) -> pd.DataFrame:
    """Read CSV (packed by gzip or xz if its name ends so) or the plain columns of Parquet.

    Raises
    ------
    TableError
        If it cannot be read.
    """
    from bigbench_meta.table_files import csv_frame, parquet_table

    if path.suffix == ".parquet":
        frame: pd.DataFrame = parquet_table(path, error=TableError).to_pandas()
        return frame
    return csv_frame(path, expected="CSV with a header, or Parquet")


def rows_where(frame: pd.DataFrame, conditions: Sequence[str]) -> pd.DataFrame:
    """Keep the rows whose columns have the values of ``COLUMN=VALUE`` conditions, compared as text.

    Raises
    ------
    TableError
        If a condition has no ``=``, names no column, or leaves no row.
    """
    kept = frame
    for condition in conditions:
        column, equals, value = condition.partition("=")
        if not equals or column not in frame.columns:
            raise TableError(f"condition {condition!r}: expected COLUMN=VALUE with COLUMN one of {_listed(frame)}")
        kept = kept[kept[column].astype(str) == value]
        if kept.empty:
            seen = ", ".join(sorted(frame[column].astype(str).unique())[:8])
            raise TableError(f"condition {condition!r}: no row has it; {column} has {seen:.200}")
    return kept


def _column(frame: pd.DataFrame, field: str, columns: Mapping[str, str] | None) -> str | None:
    """Name of the column that holds a field: the user's, or the first known name that is there."""
    if columns and field in columns:
        if columns[field] not in frame.columns:
            raise TableError(f"no column {columns[field]!r} for {field}; the table has {_listed(frame)}")
        return columns[field]
    there = {str(name).lower(): str(name) for name in reversed(list(frame.columns))}
    return next((there[name] for name in KNOWN[field] if name in there), None)


def _unit(name: str) -> float:
    return next((unit for word, unit in _UNITS.items() if word in name.lower()), 1.0)


def _widened(frame: pd.DataFrame) -> pd.DataFrame:
    keys = [c for c in ("task", "subtask", "family", "model", "scale", "shots", "n_items") if c in frame.columns]
    # a missing key would drop its rows from the pivot
    text = {key: frame[key].astype(str) for key in keys if key not in ("scale", "shots", "n_items")}
    table = frame.assign(**text, metric=frame["metric"].astype(str))
    wide = table.pivot_table(index=keys, columns="metric", values="score", aggfunc="mean", observed=True)
    return wide.reset_index()


def _task_names(frame: pd.DataFrame, column: str | None, *, default: str) -> pd.Series:
    """Name of each row's task: what its outputs were asked, prompt and shots included."""
    import pandas as pd

    names = frame[column].astype(str) if column else pd.Series(default, index=frame.index)
    if column == "subtask" and "task" in frame.columns:
        # subtasks of two tasks may have one name
        task = frame["task"].astype(str)
        within = np.array([sub.startswith(whole) for sub, whole in zip(names, task, strict=True)])
        names = names.where(within, task + ":" + names)
    for prompt in _PROMPTS:
        if prompt in frame.columns:
            names = names + f", {prompt.replace('_', ' ')} " + frame[prompt].astype(str)
    return names


def _listed(frame: pd.DataFrame) -> str:
    return f"{', '.join(map(str, frame.columns)):.300}"
