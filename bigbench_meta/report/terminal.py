"""A task's curves for the terminal: a small table with sparklines. Names are printed, never interpreted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bigbench_meta.errors import OutputError, printable
from bigbench_meta.schema import DERIVED_METRIC

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from rich.table import Table
    from rich.text import Text

_BARS = "▁▂▃▄▅▆▇█"
# What is shown of a curve, with its heading; the words stand to the left.
_COLUMNS = {
    "emergence_score": "E", "linearity": "L", "q_sharp": "q\nsharp", "q_surprise": "q sur-\nprise", "verdict": "verdict",
    "emergent": "emer-\ngent",
}  # fmt: skip
_WORDS = ("verdict", "emergent")


def sparkline(values: Sequence[float]) -> str:
    """Scores as bars from their smallest to their largest; a missing score is a gap, a flat curve a middle line.

    Examples
    --------
    >>> sparkline([0.0, 0.5, float("nan"), 1.0])
    '▁▅ █'
    """
    y = np.asarray(values, dtype=np.float64)
    known = y[np.isfinite(y)]
    if not len(known):
        return " " * len(y)
    low, spread = float(known.min()), float(np.ptp(known))
    top = len(_BARS) - 1
    place = np.full(len(y), top // 2) if spread == 0 else np.rint((np.nan_to_num(y, nan=low) - low) / spread * top)
    return "".join(_BARS[int(i)] if np.isfinite(value) else " " for i, value in zip(place, y, strict=True))


def task_table(
    task: str, results: pd.DataFrame, curves: pd.DataFrame, *, references: pd.DataFrame | None = None
) -> Table:
    """One row per curve of ``task``: metric, family, shots, M, its sparkline over scale, E, L, q-values and verdict.

    Columns that ``curves`` does not have, as before the analysis, are left out. ``references`` (chance and human
    raters, from `analysis.references`) stand below where any is known for the task.

    Raises
    ------
    OutputError
        If there is no such task; near names are suggested.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    own = curves[curves["task"].astype(str) == task]
    if own.empty:
        raise OutputError(_unknown(task, curves))
    own = own.astype(dict.fromkeys(("subtask", "metric", "family"), str))
    own = own.sort_values(["subtask", "metric", "family", "shots"], kind="stable")
    points = results[results["task"].astype(str) == task]
    found = [name for name in _COLUMNS if name in own.columns]
    # Narrow enough for 80 columns: what a curve is stands on lines of one cell, and so does its score over scale.
    table = Table(
        title=Text(printable(task)), caption=_references(task, references), caption_justify="left", box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0), pad_edge=False,
    )  # fmt: skip
    table.add_column("curve", overflow="fold", min_width=14)
    table.add_column("M", justify="right", no_wrap=True)
    table.add_column("score over scale", overflow="fold", min_width=9)
    for name in found:
        table.add_column(_COLUMNS[name], justify="left" if name in _WORDS else "right", overflow="fold")
    for row in own.to_dict("records"):
        fits = [points[name].astype(str) == str(row[name]) for name in ("subtask", "metric", "family", "shots")]
        line = points[np.logical_and.reduce(fits)].groupby("scale", observed=True)["score"].mean()
        ends = f"\n{line.iloc[0]:.3g} → {line.iloc[-1]:.3g}" if len(line) else ""
        shots = "" if row["shots"] < 0 else f", {row['shots']}-shot"
        whose = [row["metric"], f"{row['family']}{shots}"]
        what = [*([row["subtask"]] if row["subtask"] != task else []), *whose]
        cells = ["\n".join(map(printable, what)), row["n_scales"], sparkline(line.tolist()) + ends]
        table.add_row(*(Text(str(cell)) for cell in [*cells, *(printable(_cell(row[name])) for name in found)]))
    return table


def check_table(results: pd.DataFrame, curves: pd.DataFrame) -> Table:
    """The short answer of an analysis: one row a task, family and number of shots.

    Parameters
    ----------
    results, curves
        RESULTS, and CURVES of `bigbench_meta.analyze`. Aggregates and derived metrics have no rows. Where a task has several
        subtasks the line is their mean and the verdicts are counted.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for name, justify in (
        ("task", "left"), ("metric", "left"), ("family", "left"), ("shots", "right"), ("M", "right"), ("score over scale", "left"),
        ("verdict", "left"), ("why", "left"), ("smallest jump seen", "right"), ("other metrics of the same outputs", "left"),
    ):  # fmt: skip
        table.add_column(name, justify=justify, overflow="fold", no_wrap=name == "score over scale")  # type: ignore[arg-type]
    own = curves[~curves["is_aggregate"].astype(bool) & (curves["metric"].astype(str) != DERIVED_METRIC)]
    own = own.astype(
        dict.fromkeys(("task", "subtask", "metric", "family", "verdict", "verdict_reason", "not_tested"), str)
    )
    points = results.astype(dict.fromkeys(("task", "subtask", "metric", "family"), str))
    for (task, family, shots), part in own.groupby(["task", "family", "shots"], sort=True):
        main = part[part["is_preferred"].astype(bool)]
        main = main if len(main) else part
        metric = ", ".join(dict.fromkeys(main["metric"]))
        rows = points[(points["task"] == task) & (points["family"] == family) & (points["shots"] == shots)]
        rows = rows[rows["metric"].isin(main["metric"]) & rows["subtask"].isin(main["subtask"])]
        line = rows.groupby("scale")["score"].mean()
        ends = f" {line.iloc[0]:.3g} → {line.iloc[-1]:.3g}" if len(line) else ""
        others = part[~part.index.isin(main.index)]
        cells = [
            task, metric, family, shots, int(main["n_scales"].max()), sparkline(line.tolist()) + ends, _verdicts(main), _why(main),
            _cell(main["detectable_jump"].median()), "; ".join(f"{name}: {_verdicts(each)}" for name, each in others.groupby("metric")),
        ]  # fmt: skip
        table.add_row(*(Text(printable(str(cell))) for cell in cells))
    return table


def _verdicts(curves: pd.DataFrame) -> str:
    """The verdict of a curve, or how many of several have which."""
    counts = curves["verdict"].str.replace("_", " ").value_counts()
    return counts.index[0] if len(curves) == 1 else ", ".join(f"{count} {word}" for word, count in counts.items())


def _why(curves: pd.DataFrame) -> str:
    """Why a curve has its verdict; of several, the reason of most."""
    words = curves["not_tested"].where(curves["not_tested"] != "", curves["verdict_reason"])
    return str(words.mode().iloc[0])


def _references(task: str, references: pd.DataFrame | None) -> Text | None:
    """Chance and human raters of a task, a line for each subtask and metric."""
    from rich.text import Text

    if references is None:
        return None
    own = references[references["task"].astype(str) == task].astype({"subtask": str, "metric": str})
    lines = [
        f"{metric if subtask == task else f'{subtask}, {metric}'}: "
        + ", ".join(f"{kind} {level:.3g}" for kind, level in rows[["kind", "level"]].itertuples(index=False))
        for (subtask, metric), rows in own.groupby(["subtask", "metric"])
    ]
    return Text("\n".join(map(printable, lines))) if lines else None


def _cell(value: object) -> str:
    from bigbench_meta.export.printed_numbers import shown

    return shown(value.item() if hasattr(value, "item") else value)


def _unknown(task: str, curves: pd.DataFrame) -> str:
    from difflib import get_close_matches

    known = sorted(curves["task"].astype(str).unique())
    near = get_close_matches(task, known, n=3) or known[:3]
    return f"there is no task {printable(task)!r} among {len(known)}; did you mean {', '.join(map(printable, near))}?"
