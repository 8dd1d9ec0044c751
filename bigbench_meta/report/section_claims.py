"""The part of the page on the published claims: by metric, beside the base rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bigbench_meta import figures
from bigbench_meta.analysis.coverage import claimed_in_source
from bigbench_meta.analysis.tasks.concentration import HARD_SOFT
from bigbench_meta.analysis.tasks.sentences import shift_words
from bigbench_meta.report.drawing import draw_one
from bigbench_meta.report.page_parts import Section

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

# Claims compared with the metrics' base rate: rows of the concentration table that the figures show.
_AGAINST_ALL = "claimed against all other tasks"
_EXACT = "conditional odds ratio"


def claims_section(tables: Mapping[str, pd.DataFrame]) -> Section:
    """Claims of emergence by metric, beside the base rate: from the concentration table."""
    section = Section(name="claims-by-metric", title="Do claims of emergence concentrate on a few metrics?")
    table = tables.get("concentration")
    if table is None or not len(table) or "comparison" not in table:
        return section
    if "claims" in tables and not claimed_in_source(tables["claims"]):
        return section
    claims = table[(table["source"] == "claims") & (table["effect"] == _EXACT)]
    plain = claims[claims["strata"].fillna("") == ""]
    single = plain[(plain["comparison"] == _AGAINST_ALL) & ~plain["metrics"].str.contains(" + ", regex=False)]
    pair = claims[claims["metrics"].str.contains(" + ", regex=False)]
    if not len(single) or not len(pair):
        return section
    counts = _counts_by_metric(single)
    comparisons = _comparisons(claims)
    shares = _shares(pair)
    return Section(
        name=section.name,
        title=section.title,
        sentences=_allowing_for_shift(pair),
        figures=(
            draw_one(
                "claims_by_metric",
                figures.claims_by_metric,
                counts,
                title="Claims by metric, beside the base rate",
                alt="For each preferred metric, the share of claimed tasks that prefer it (filled) beside the share of all "
                "tasks that do (open). A metric matters only where the two differ.",
                height=0.9 + 0.36 * len(counts),
            ),
            draw_one(
                "two_metric_share",
                figures.two_metric_share,
                shares,
                title="The share on two metrics, and what it must be compared with",
                alt="Share of claimed tasks whose preferred metric is multiple_choice_grade or exact_str_match, above the same "
                "share of the tasks nobody claimed.",
                height=2.1,
            ),
            draw_one(
                "odds_ratios",
                figures.odds_ratios,
                comparisons,
                title="Odds ratios of claims, against different base rates",
                alt="Exact conditional odds ratios with their intervals: of multiple_choice_grade and exact_str_match together "
                "(both), of each hard metric against tasks on neither of the two (hard against soft), and of the discontinuous metrics. "
                "To the right of 1 the metric is over-represented among claims. Intervals that reach 1 are grey.",
                height=0.9 + 0.42 * len(comparisons),
            ),
        ),
    )


def _allowing_for_shift(pair: pd.DataFrame) -> tuple[str, ...]:
    """The interval of the claims' odds ratio if models shift groups of tasks apart, where that could be measured."""
    rows = pair[(pair["comparison"] == _AGAINST_ALL) & (pair["strata"].fillna("") == "") & pair["shift_factor"].notna()]
    return tuple(shift_words(row) for row in rows.to_dict("records"))


def _counts_by_metric(single: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    counts = pd.DataFrame(
        {
            "metric": single["metrics"].to_numpy(),
            "n_claimed": single["cases_in"].to_numpy(dtype=int),
            "n_tasks": single["base_in"].to_numpy(dtype=int),
        }
    )
    rest = int(single["base"].iloc[0]) - int(counts["n_tasks"].sum())
    others = pd.DataFrame({"metric": ["metrics without a claim"], "n_claimed": [0], "n_tasks": [rest]})
    return pd.concat([counts, others], ignore_index=True)


def _comparisons(claims: pd.DataFrame) -> pd.DataFrame:
    """The two metrics against every base rate, and hard against soft metrics."""
    pair = claims["metrics"].str.contains(" + ", regex=False)
    contrast = claims["comparison"].str.startswith(HARD_SOFT) & (claims["against"].fillna("") != "")
    rows = claims[pair | contrast]
    where = rows["comparison"].str.removeprefix("claimed against ").str.replace("all other tasks, ", "", regex=False)
    where = where.str.replace(HARD_SOFT, "against soft metrics", regex=False)
    within = np.where(
        rows["strata"].fillna("") == "", where, where.str.replace("all other tasks", "") + " within kinds of task"
    )
    start = np.where(pair[rows.index], "both, ", rows["metrics"] + " ")
    label = [f"{first}{second.strip()}" for first, second in zip(start, within, strict=True)]
    columns = ["label", "estimate", "low", "high", "level", "p_value", "cases_in", "cases", "base_in", "base"]
    return rows.assign(label=label)[columns].reset_index(drop=True)


def _shares(pair: pd.DataFrame) -> pd.DataFrame:
    """Claimed tasks, and the others they are compared with, by how many prefer one of the two metrics."""
    import pandas as pd

    unstratified = pair[(pair["strata"].fillna("") == "") & ~pair["comparison"].str.contains(" only")]
    first = unstratified.iloc[0]
    others = unstratified["base"] - unstratified["cases"]
    rows = pd.DataFrame(
        {
            "group": unstratified["comparison"].str.removeprefix("claimed against "),
            "n": unstratified["base_in"] - unstratified["cases_in"],
            "total": others,
        }
    )
    claimed = pd.DataFrame([{"group": "claimed emergent", "n": first["cases_in"], "total": first["cases"]}])
    return pd.concat([claimed, rows[others > 0]], ignore_index=True).assign(low=np.nan, high=np.nan)
