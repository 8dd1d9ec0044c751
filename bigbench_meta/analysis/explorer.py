"""The interactive chart of an analysis: E beside L for every curve, and the scores of one task under its metrics."""

from __future__ import annotations

import difflib
import math
from typing import TYPE_CHECKING

from bigbench_meta.errors import AnalysisError, missing_extra
from bigbench_meta.facts.metrics import metric_key
from bigbench_meta.schema import CURVES, VERDICTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import altair as alt
    import pandas as pd

# Points of a chart that a browser still moves smoothly; each takes about 200 bytes.
_MOST_POINTS = 50_000
# Okabe and Ito's colours for colour-blind readers, as in the package's figures: what is sharp stands out.
_COLOURS = {"sharp": "#d55e00", "inverse": "#cc79a7", "smooth": "#0072b2", "flat": "#56b4e9"}
_QUIET = "#8a8a8a"
_TICKS = (-10_000, -1000, -100, -10, 0, 10, 100, 1000, 10_000)
_NUMBERS = ("n_scales", "n_items", "emergence_score", "linearity", "q_sharp", "q_surprise")
_SHOWN = (*_NUMBERS, "verdict", "verdict_reason")


def explorer(
    curves: pd.DataFrame,
    points: pd.DataFrame,
    *,
    tasks: Sequence[str] | None = None,
    metrics: Sequence[str] | None = None,
    every_metric: bool = False,
) -> alt.HConcatChart:
    """Return the chart of `bigbench_meta.analysis.views.AnalysisViews.explore`, from its tables of curves and points."""
    try:
        import altair as alt
    except ModuleNotFoundError as err:
        raise missing_extra("an interactive chart needs Altair", "explore") from err

    chosen = _chosen(curves, tasks=tasks, metrics=metrics, every_metric=every_metric)
    key = list(CURVES.key)
    shown = points.merge(chosen[[*key, *_SHOWN]], on=key, how="inner")
    shown = shown[shown["scale"] > 0]
    if len(shown) > _MOST_POINTS:
        raise AnalysisError(
            f"{len(shown):,} points are more than a notebook can hold (at most {_MOST_POINTS:,}); choose some with tasks=[...]"
        )
    if shown.empty:
        raise AnalysisError("no curve is left to draw; choose other tasks or metrics, or every_metric=True")
    shown = shown.assign(
        low=shown["score"] - 1.96 * shown["error_with_overdispersion"],
        high=shown["score"] + 1.96 * shown["error_with_overdispersion"],
        curve=shown[key[1:]].astype(str).agg(", ".join, axis=1),
    )
    names = sorted(chosen["task"].astype(str).unique())
    first = str(chosen.sort_values("p_sharp", na_position="last", kind="stable")["task"].iloc[0])
    task = alt.selection_point(
        fields=["task"], value=[{"task": first}], on="click", clear=False, toggle=False,
        bind=alt.binding_select(options=names, name="Task  "),
    )  # fmt: skip
    verdict = alt.Color("verdict:N", title="verdict").scale(
        domain=list(VERDICTS), range=[_COLOURS.get(word, _QUIET) for word in VERDICTS]
    )
    facts = [alt.Tooltip(f"{name}:Q", format=".3g") for name in _NUMBERS]
    facts += [alt.Tooltip(f"{name}:N") for name in ("verdict", "verdict_reason")]
    overview = (
        alt.Chart(alt.Data(values=_records(chosen[[*key, *_SHOWN]].dropna(subset=["emergence_score"]))))
        .mark_point(filled=True, size=45)
        .encode(
            x=alt.X("linearity:Q", title="linearity L"),
            y=alt.Y("emergence_score:Q", title="emergence score E").scale(type="symlog").axis(values=list(_TICKS)),
            color=verdict,
            opacity=alt.when(task).then(alt.value(1.0)).otherwise(alt.value(0.2)),
            tooltip=[*(f"{name}:N" for name in key), *facts],
        )
        .add_params(task)
        .properties(width=260, height=300, title="Every curve; click one to see its task")
    )
    place = alt.X("scale:Q", title="scale").scale(type="log", nice=False).axis(format="~e", labelOverlap=True)
    base = alt.Chart().encode(x=place, color=verdict, detail="curve:N")
    band = base.mark_area(opacity=0.12).encode(y=alt.Y("low:Q", title="score"), y2="high:Q")
    lines = base.mark_line(point=True).encode(
        y="score:Q",
        strokeDash=alt.StrokeDash("family:N").legend(symbolType="stroke"),
        tooltip=["task:N", "curve:N", "scale:Q", "score:Q", *facts],
    )
    # Metrics have ranges of their own: a panel and an axis each.
    detail = (
        alt.layer(band, lines, data=alt.Data(values=_records(shown)))
        .properties(width=230, height=130)
        .facet(facet=alt.Facet("metric:N", title=None), columns=2)
        .transform_filter(task)
        .resolve_scale(y="independent")
        .properties(title="Scores of this task under its metrics, with 95% bands")
    )
    chart: alt.HConcatChart = alt.hconcat(overview, detail)
    return chart


def _chosen(
    curves: pd.DataFrame, *, tasks: Sequence[str] | None, metrics: Sequence[str] | None, every_metric: bool
) -> pd.DataFrame:
    """Return the curves that were asked for, or say which name is not among them."""
    keep = curves["is_preferred"] | (every_metric or metrics is not None)
    for column, wanted in (("task", tasks), ("metric", metrics)):
        if wanted is None:
            continue
        if isinstance(wanted, str):
            raise AnalysisError(
                f"{column}s={wanted!r} is a single value; expected a list, as in {column}s=[{wanted!r}]"
            )
        known = sorted(curves[column].astype(str).unique())
        values = [metric_key(name, known=set(known)) for name in wanted] if column == "metric" else list(wanted)
        for value in values:
            if value not in known:
                near = difflib.get_close_matches(value, known, n=3) or known[:3]
                raise AnalysisError(f"no {column} {value!r} among {len(known)}; did you mean {', '.join(near)}?")
        keep &= curves[column].astype(str).isin(values)
    return curves[keep]


def _records(frame: pd.DataFrame) -> list[dict[str, object]]:
    """Rows as JSON values: what is missing or infinite is null."""
    return [{str(name): _plain(value) for name, value in row.items()} for row in frame.to_dict("records")]


def _plain(value: object) -> object:
    import pandas as pd

    if value is pd.NA or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value
