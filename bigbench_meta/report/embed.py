"""What the page carries inside itself: the curves of its explorer, the rows of its tables, its figures.

Nothing here becomes markup: data are JSON in which no ``<`` stands, figures are images.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bigbench_meta.figures.style import GRID, INK, PAPER, QUIET
from bigbench_meta.schema import CURVES

if TYPE_CHECKING:
    import pandas as pd

# The page stays below 10 MB: libraries take 1.3 MB and figures about 1.5 MB, so curves and tables get the rest.
CURVE_BUDGET = 3_500_000
TABLE_BUDGET = 600_000
_FACTS = (
    "n_scales",
    "n_items",
    "emergence_score",
    "linearity",
    "undefined_reason",
    "width_decades",
    "q_sharp",
    "q_surprise",
    "verdict",
    "emergent",
    "direction",
)
_DIGITS = 6
# No embedded curve is shorter.
_LEAST_BYTES = 300

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]


def json_for_html(value: Json) -> str:
    """JSON that may stand inside a script element: no ``<``, ``>``, ``&``, nothing that ends a line of JavaScript."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def plain(value: object) -> bool | int | float | str | None:
    """One cell as JSON: undefined is null, numbers keep six significant digits, infinity is said in words."""
    import pandas as pd

    if value is None or value is pd.NA or value is pd.NaT or value == "":
        return None
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        if math.isnan(value):
            return None
        if math.isinf(value):
            return "infinite" if value > 0 else "-infinite"
        return float(f"{value:.{_DIGITS}g}")
    return str(value)


@dataclass(frozen=True)
class EmbeddedCurves:
    """Curves as JSON values, their positions by key, and how many there were."""

    records: list[dict[str, Json]]
    position: dict[tuple[str, ...], int]
    total: int


def embed_curves(
    results: pd.DataFrame,
    curves: pd.DataFrame,
    *,
    references: pd.DataFrame | None = None,
    budget: int = CURVE_BUDGET,
) -> EmbeddedCurves:
    """Pick the curves that fit into ``budget`` bytes: whole tasks and preferred metrics first, then by size of E.

    Repeats at the same scale are averaged, as they are for the score. A curve carries the references of its task,
    subtask and metric.
    """
    lines = _references_by_curve(references)
    key = list(CURVES.key)
    whole = curves["subtask"].astype(str) == curves["task"].astype(str)
    order = (
        curves.assign(_whole=~whole, _preferred=~curves["is_preferred"], _size=-curves["emergence_score"].abs())
        .astype({column: str for column in key if column != "shots"})
        .sort_values(["_preferred", "_whole", "_size", *key], kind="stable", na_position="last")
    )
    order = order.head(budget // _LEAST_BYTES)
    points = _points_by_curve(results, order, key)
    records: list[dict[str, Json]] = []
    position: dict[tuple[str, ...], int] = {}
    used = 0
    facts = [name for name in _FACTS if name in order.columns]
    for row in order.to_dict("records"):
        identity = tuple(str(row[column]) for column in key)
        if identity not in points:
            continue
        record: dict[str, Json] = {column: plain(row[column]) for column in key}
        record |= points[identity]
        if identity[:3] in lines:
            record["references"] = lines[identity[:3]]
        record["facts"] = {name: plain(row[name]) for name in facts}
        used += len(json_for_html(record)) + 1
        if used > budget:
            break
        position[identity] = len(records)
        records.append(record)
    return EmbeddedCurves(records, position, len(curves))


def _points_by_curve(
    results: pd.DataFrame, curves: pd.DataFrame, key: list[str]
) -> dict[tuple[str, ...], dict[str, Json]]:
    """Points of the given curves only: grouping all of a full-size repository takes a minute."""
    columns = results[[*key, "model", "scale", "score", "score_normalized"]]
    frame = columns.astype({name: str for name in key if name != "shots"}).merge(curves[key], on=key, how="inner")
    with np.errstate(over="ignore"):  # repeats whose sum is beyond any float: no point that could be drawn
        mean = (
            frame.groupby([*key, "scale"], observed=True, sort=True)
            .agg(score=("score", "mean"), normalized=("score_normalized", "mean"), model=("model", "first"))
            .reset_index()
        )
    found: dict[tuple[str, ...], dict[str, Json]] = {}
    for identity, rows in mean.groupby(key, observed=True, sort=False):
        names = tuple(str(part) for part in identity)
        found[names] = {
            "x": [plain(value) for value in rows["scale"]],
            "y": [plain(value) for value in rows["score"]],
            "z": [plain(value) for value in rows["normalized"]],
            "model": [str(value) for value in rows["model"]],
        }
    return found


def _references_by_curve(references: pd.DataFrame | None) -> dict[tuple[str, ...], list[Json]]:
    """Pairs of kind and level by task, subtask and metric: the first columns of a curve's key."""
    found: dict[tuple[str, ...], list[Json]] = {}
    for row in [] if references is None else references.to_dict("records"):
        place = tuple(str(row[column]) for column in CURVES.key[:3])
        found.setdefault(place, []).append([str(row["kind"]), plain(row["level"])])
    return found


def curve_links(frame: pd.DataFrame, curves: EmbeddedCurves) -> list[int | None]:
    """For each row, the embedded curve that agrees in every key column the row has (the first, if several do)."""
    shared = [column for column in CURVES.key if column in frame.columns]
    if "task" not in shared:
        return [None] * len(frame)
    places = [CURVES.key.index(column) for column in shared]
    first: dict[tuple[str, ...], int] = {}
    for identity, index in curves.position.items():
        first.setdefault(tuple(identity[place] for place in places), index)
    rows = zip(*(frame[column].astype(str) for column in shared), strict=True)
    return [first.get(tuple(row)) for row in rows]


def image_uri(svg: bytes) -> str:
    """An SVG figure as a data URI that follows the reader's light or dark setting.

    The neutral colours of the style become variables; colours that carry meaning are chosen for both backgrounds.
    """
    text = svg.decode()
    dark = {INK: "#e8e8e8", QUIET: "#a8a8a8", GRID: "#3a3f44", PAPER: "#15191d"}
    names = {INK: "--ink", QUIET: "--quiet", GRID: "--grid", PAPER: "--paper"}
    for colour, name in names.items():
        text = text.replace(f": {colour}", f": var({name})")
    light_rules = ";".join(f"{names[colour]}:{colour}" for colour in names)
    dark_rules = ";".join(f"{names[colour]}:{shade}" for colour, shade in dark.items())
    rules = f"svg{{{light_rules}}}@media screen and (prefers-color-scheme:dark){{svg{{{dark_rules}}}}}"
    text = re.sub(r"(<svg\b[^>]*>)", rf"\1<style>{rules}</style>", text, count=1)
    return "data:image/svg+xml;base64," + base64.b64encode(text.encode()).decode()
