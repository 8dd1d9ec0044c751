"""Tables as a paper prints them: which rows and columns answer a question, under which headings, with which notes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bigbench_meta.errors import OutputError
from bigbench_meta.export.printed_numbers import cells
from bigbench_meta.schema import DERIVED_METRIC

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

# Columns by the heading that a reader knows them by; any other has its own name, with spaces.
HEADINGS = {
    "n_scales": "M", "n_items": "items", "emergence_score": "E", "emergence_floored": "E, floored", "linearity": "L",
    "width_decades": "width", "q_sharp": "q sharp", "q_surprise": "q surprise", "q_trend": "q trend", "p_sharp": "p sharp",
    "p_surprise": "p surprise", "claim_family": "claimed for", "group_by": "group by", "n_curves": "curves", "n_tasks": "tasks",
    "prediction_low": "pred. low", "prediction_high": "pred. high", "detectable_jump": "jump seen", "verdict_reason": "reason",
}  # fmt: skip
# Never moved into a note: what a row is.
_ALWAYS = ("task",)
_LEAST_ROWS = 3
_E = "E: emergence score, signed change over the root median squared step."
_L = "L: linearity, M - 1 for a straight line over M scales."
_Q = "q: p-values corrected by Benjamini-Hochberg over all tested curves of preferred metrics."


@dataclass(frozen=True)
class Preset:
    """A table for print.

    Attributes
    ----------
    table
        The table of the run that it is made of.
    columns
        Its columns, in order; those that a run does not have are left out.
    caption, notes
        What stands above and below.
    keep
        Which rows.
    sort
        Columns that order them; with an empty tuple they keep their order.
    """

    table: str
    columns: tuple[str, ...]
    caption: str
    notes: tuple[str, ...] = ()
    keep: Callable[[pd.DataFrame], pd.Series] | None = None
    sort: tuple[str, ...] = field(default=())


def _own(curves: pd.DataFrame) -> pd.Series:
    """Leaf curves of preferred metrics, which the family of tests is made of."""
    return curves["is_preferred"] & ~curves["is_aggregate"] & (curves["metric"].astype(str) != DERIVED_METRIC)


def _sharp(curves: pd.DataFrame) -> pd.Series:
    return _own(curves) & (curves["verdict"].astype(str) == "sharp")


def _claimed(claims: pd.DataFrame) -> pd.Series:
    return (claims["category"].astype(str) == "emergent") & (claims["outcome"].astype(str) != "no curve")


_CURVE = ("task", "subtask", "metric", "family", "shots", "n_scales")
_E_AND_L = ("emergence_score", "linearity", "q_sharp")
PRESETS: Mapping[str, Preset] = {
    "sharp": Preset(
        "curves",
        (*_CURVE, "n_items", *_E_AND_L, "emergent"),
        "Curves sharper than smooth laws and finite tests explain.",
        (_E, _L, _Q),
        _sharp,
        ("q_sharp", "task", "subtask", "metric", "family", "shots"),
    ),
    "curves": Preset("curves", (*_CURVE, *_E_AND_L, "verdict"), "Curves of preferred metrics.", (_E, _L, _Q), _own),
    "claims": Preset(
        "claims",
        ("task", "claim_family", "family", "metric", "n_scales", "emergence_score", "p_sharp", "p_surprise", "outcome"),
        "Tasks claimed to be emergent, and what their curves show.",
        (_E, "claimed for: the model family that the claim is about."),
        _claimed,
        ("outcome", "task", "family"),
    ),
    "shares": Preset(
        "shares",
        ("group_by", "group", "shape", "definition", "share", "low", "high", "n_curves", "n_tasks"),
        "Shares of the population of curves, with 95% intervals.",
    ),
    "effects": Preset(
        "effects",
        (
            "hard",
            "soft",
            "measure",
            "n_tasks",
            "effect",
            "low",
            "high",
            "prediction_low",
            "prediction_high",
        ),
        "Effect of the metric across tasks, with 95% confidence and prediction intervals.",
    ),
    "problems": Preset("problems", ("file", "where", "problem", "action"), "Problems found while reading the scores."),
}


@dataclass(frozen=True)
class PrintedTable:
    """Rows and columns for print, and what stands around them.

    Attributes
    ----------
    frame
        The rows, columns by their own names.
    headings
        A heading for each column.
    caption, label, notes
        Around the table; empty where there is none.
    """

    frame: pd.DataFrame
    headings: tuple[str, ...]
    caption: str = ""
    label: str = ""
    notes: tuple[str, ...] = ()


def preset_table(
    tables: Mapping[str, pd.DataFrame], name: str, *, columns: Sequence[str] = ()
) -> tuple[pd.DataFrame, Preset]:
    """Return the rows of a preset, with every column, and the preset.

    Raises
    ------
    OutputError
        If the run has no such table, or one that lacks every column of the preset, or no row is left.
    """
    preset = PRESETS[name]
    if preset.table not in tables:
        raise OutputError(
            f"this run has no table {preset.table!r}, which {name!r} is made of; it has {', '.join(sorted(tables))}. "
            "Run the analysis again with this version, or choose another table"
        )
    frame = tables[preset.table]
    if not set(columns or preset.columns) & set(frame.columns):
        raise OutputError(
            f"table {preset.table!r} of this run has none of the columns {', '.join(preset.columns)}; name some with --columns"
        )
    try:
        rows = frame if preset.keep is None else frame[preset.keep(frame).to_numpy(bool)]
    except KeyError as err:
        raise OutputError(
            f"table {preset.table!r} of this run has no column {err}, which {name!r} chooses its rows by; run the analysis again"
        ) from err
    if rows.empty:
        raise OutputError(
            f"no row of {preset.table!r} belongs into the table {name!r} of this run: there is nothing to print"
        )
    by = [column for column in preset.sort if column in rows.columns]
    if by:
        rows = rows.sort_values(
            by, kind="stable", key=lambda column: column.astype(str) if column.dtype == "category" else column
        )
    return rows.reset_index(drop=True), preset


def compact(frame: pd.DataFrame, columns: Sequence[str]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the columns of a preset that say something, and a note on those that say the same in every row.

    A column that is all missing is left out, and so is a subtask that is its task; of a subtask named after its task the rest is
    shown.
    """
    named = [name for name in columns if name in frame.columns and not frame[name].isna().all()]
    shown = frame[named]
    if {"task", "subtask"} <= set(named):
        pairs = zip(frame["task"].astype(str), frame["subtask"].astype(str), strict=True)
        rest = ["" if subtask == task else subtask.removeprefix(f"{task}:") for task, subtask in pairs]
        shown = shown.assign(subtask=rest) if any(rest) else shown.drop(columns="subtask")
    if len(shown) < _LEAST_ROWS:
        return shown, ()
    same = [name for name in shown.columns if name not in _ALWAYS and len(shown[name].unique()) == 1]
    texts = [f"{headings([name])[0]} {cells(shown[name].head(1))[0]}" for name in same]
    return shown.drop(columns=same), (f"All rows: {', '.join(texts)}.",) if same else ()


def headings(names: Sequence[str]) -> tuple[str, ...]:
    """A readable heading for each column."""
    return tuple(HEADINGS.get(name, name.replace("_", " ")) for name in names)
