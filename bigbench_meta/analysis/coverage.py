"""How many curves of a source were tested, why the others were not, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bigbench_meta.analysis.wording import count_words
from bigbench_meta.schema import DERIVED_METRIC

if TYPE_CHECKING:
    import pandas as pd

# Why a curve was not tested (`analysis.curves.prepare`, `analysis.curves.outcomes`): how that reads, and what to do.
_REASONS = (
    ("too few scales", "too few sizes of one family", "add models, or give the sizes of unknown ones with --models FILE"),
    ("missing values", "a score or a size is missing", "see the problems found while reading, and --models FILE for sizes"),
    ("direction of the metric unknown", "which end of the metric is better is unknown", "say it in a column direction, or with --metrics-file FILE"),
    ("noise unknown", "neither items nor errors are known", "give items (--items FILE, or a column n_items) or errors (a column stderr), or more tasks of the metric"),
    ("scores too large", "scores are so large that their squares are no numbers", "check the scores, or give them in a larger unit"),
    ("metric not preferred", "another metric of the task is preferred", "with fewer than 4,000 curves all are tested: select tasks"),
)  # fmt: skip
_NAMED = 4  # metrics that a sentence names


class Untested(NamedTuple):
    """Curves that were not tested for one reason: how many, the reason in words, and what to do."""

    curves: int
    reason: str
    cure: str


class Coverage(NamedTuple):
    """Tested curves out of all that could be: aggregates and derived metrics repeat others and do not count."""

    tested: int
    total: int
    untested: tuple[Untested, ...]

    def sentence(self) -> str:
        """Say it after the word tested, with what to do.

        Examples
        --------
        >>> Coverage(1, 3, (Untested(2, "too few sizes of one family", "add models"),)).sentence()
        '1 of 3 curves; not tested: 2, too few sizes of one family (add models).'
        """
        head = f"{self.tested:,} of {count_words(self.total, 'curve')}"
        if not self.untested:
            return f"{head}."
        return (
            f"{head}; not tested: "
            + "; ".join(f"{each.curves:,}, {each.reason} ({each.cure})" for each in self.untested)
            + "."
        )


def coverage(curves: pd.DataFrame) -> Coverage:
    """Count the curves of an analysis that were tested, and why the others were not.

    Parameters
    ----------
    curves
        CURVES of `bigbench_meta.analyze`.
    """
    own = curves[~curves["is_aggregate"].astype(bool) & (curves["metric"].astype(str) != DERIVED_METRIC)]
    tested = own["p_sharp"].notna()
    why = own.loc[~tested, "not_tested"].astype(str)
    untested = []
    known = why == ""
    for beginning, words, cure in _REASONS:
        rows = why.str.startswith(beginning)
        known |= rows
        if rows.any():
            named = (
                sorted(set(own.loc[why.index[rows], "metric"].astype(str)))[:_NAMED] if "direction" in beginning else []
            )
            untested.append(Untested(int(rows.sum()), words, f"{cure}: {', '.join(named)}" if named else cure))
    rest = why[~known]
    untested += [
        Untested(int(count), str(word), "see docs/curves.md")
        for word, count in rest.value_counts().sort_index().items()
    ]
    return Coverage(int(tested.sum()), len(own), tuple(untested))


def claimed_in_source(claims: pd.DataFrame) -> bool:
    """Whether a task that an annotator sorted has a curve here; without one the published claims are no matter of the source.

    Parameters
    ----------
    claims
        The table of that name in `bigbench_meta.Analysis`.
    """
    if not {"outcome", "category"} <= set(claims.columns):
        return True
    return bool(
        ((claims["outcome"].astype(str) != "no curve") & (claims["category"].fillna("").astype(str) != "")).any()
    )
