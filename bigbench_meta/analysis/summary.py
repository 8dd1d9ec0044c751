"""The answer in four lines that can be read in ten seconds: what was analysed, and what was found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bigbench_meta.analysis.coverage import claimed_in_source, coverage
from bigbench_meta.cards import counted
from bigbench_meta.schema import DERIVED_METRIC, VERDICTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

# Kinds of data in the reader's words, where the word of the provenance is not plain.
_KINDS = {"user": "a table of your own"}
_FORMATS = "formats"  # in the provenance: files by the tool that wrote them


def summary(tables: Mapping[str, pd.DataFrame], provenance: Mapping[str, object]) -> list[tuple[str, str]]:
    """Say in a few lines what a run analysed and found: pairs of a label and a sentence.

    Parameters
    ----------
    tables : mapping of name to DataFrame
        Of the run: ``results``, ``curves``, ``problems`` and, where there are claims, ``concentration``.
    provenance : mapping
        ``source`` and ``kind`` are said.
    """
    results, curves = tables["results"], tables["curves"]
    kind = str(provenance.get("kind", "unknown"))
    models = len(results[["family", "model"]].astype(str).drop_duplicates())
    formats = provenance.get(_FORMATS)
    what = _files(formats) if isinstance(formats, dict) and formats else _KINDS.get(kind, kind)
    analysed = (
        f"{provenance.get('source', 'unknown source')} ({what}): {counted(results['task'].nunique(), 'task')}, "
        f"{counted(models, 'model')}, {counted(len(results), 'score')}, {counted(len(curves), 'curve')}, "
        f"{counted(len(tables['problems']), 'problem')} while reading."
    )
    return [("Analysed", analysed), *answer(tables)]


def answer(tables: Mapping[str, pd.DataFrame]) -> list[tuple[str, str]]:
    """Say what was tested and found, without what was analysed: pairs of a label and a sentence.

    Parameters
    ----------
    tables : mapping of name to DataFrame
        ``curves`` and, where there are claims, ``claims`` and ``concentration``.
    """
    curves = tables["curves"]
    claimed = "claims" not in tables or claimed_in_source(tables["claims"])
    lines = [*_tested(curves), *(_claims(tables) if claimed else []), *_verdicts(curves)]
    return [(label, text) for label, text in lines if text]


def _files(formats: Mapping[str, object]) -> str:
    """Say how many files of which tools were read."""
    each = [f"{count} of {name}" for name, count in formats.items()]
    total = sum(int(str(count)) for count in formats.values())
    return f"{counted(total, 'file')}" + (f", {', '.join(each)}" if len(each) > 1 else f" of {next(iter(formats))}")


def _tested(curves: pd.DataFrame) -> list[tuple[str, str]]:
    """How many curves were tested, why the others were not, and what to do; empty before the analysis."""
    if not {"p_sharp", "not_tested"} <= set(curves.columns):
        return []
    return [("Tested", coverage(curves).sentence())]


def _claims(tables: Mapping[str, pd.DataFrame]) -> list[tuple[str, str]]:
    """The published claims beside their base rate, from the concentration table."""
    table = tables.get("concentration")
    if table is None or not len(table) or not {"source", "effect", "strata", "comparison"} <= set(table.columns):
        return []
    pair = table[
        (table["source"] == "claims")
        & (table["effect"] == "conditional odds ratio")
        & (table["strata"].fillna("") == "")
        & (table["comparison"] == "claimed against all other tasks")
        & table["metrics"].astype(str).str.contains(" + ", regex=False)
    ]
    if not len(pair):
        return []
    row = pair.iloc[0]
    a, b, c, d = (int(row[name]) for name in ("cases_in", "cases", "base_in", "base"))
    metrics = str(row["metrics"]).replace(" + ", " or ")
    shares = (
        f"{a} of {b} claimed tasks ({100 * a / b:.1f}%) prefer {metrics}; so do {c} of all {d} ({100 * c / d:.1f}%)."
    )
    interval = f"{100 * row['level']:.0f}% interval {row['low']:.1f} to {row['high']:.1f}"
    return [("Claims", f"{shares} Odds ratio {row['estimate']:.1f} ({interval}).")]


def _verdicts(curves: pd.DataFrame) -> list[tuple[str, str]]:
    """Verdicts of the curves of preferred metrics that are no sums of others; empty before the analysis."""
    if "verdict" not in curves:
        return []
    own = curves[curves["is_preferred"] & ~curves["is_aggregate"] & (curves["metric"].astype(str) != DERIVED_METRIC)]
    count = own["verdict"].astype(str).value_counts()
    found = ", ".join(f"{int(count.get(word, 0))} {word.replace('_', ' ')}" for word in VERDICTS if count.get(word, 0))
    both = int(own["emergent"].fillna(value=False).astype(bool).sum())
    judged = int(own["emergent"].notna().sum())
    return [
        ("Curves", f"Of {counted(len(own), 'curve')} of preferred metrics: {found or 'none tested'}."),
        (
            "Emergent",
            f"{both} of the {judged} that could be judged are sharp and not foreseen from the smaller models."
            if judged
            else "No curve could be judged both for sharpness and for surprise.",
        ),
    ]
