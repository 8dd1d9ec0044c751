"""How many curves were tested, why the others were not, and whether published claims are a matter of the source."""

from __future__ import annotations

import pandas as pd

from bigbench_meta.analysis.coverage import claimed_in_source, coverage


def curves(*rows: tuple[str, bool]) -> pd.DataFrame:
    """Curves with a reason each, empty where tested, and whether they are aggregates."""
    return pd.DataFrame(
        [
            {"metric": f"m{i}", "is_aggregate": aggregate, "not_tested": why, "p_sharp": None if why else 0.5}
            for i, (why, aggregate) in enumerate(rows)
        ]
    )


def test_counts_and_cures():
    """Aggregates do not count; every reason has its number and what to do; unknown directions name their metrics."""
    found = coverage(
        curves(
            ("", False),
            ("too few scales", False),
            ("too few scales", False),
            ("direction of the metric unknown", False),
            ("aggregate", True),
            ("odd", False),
        )
    )
    assert (found.tested, found.total) == (1, 5)
    assert [each.curves for each in found.untested] == [2, 1, 1]
    assert found.sentence().startswith("1 of 5 curves; not tested: 2, too few sizes of one family (add models")
    assert "--metrics-file FILE: m3" in found.sentence()
    assert "1, odd (see docs/curves.md)" in found.sentence()


def test_all_tested():
    """Nothing to explain."""
    assert coverage(curves(("", False))).sentence() == "1 of 1 curve."


def test_claims_are_a_matter_of_sources_with_a_claimed_task():
    """A task that annotators sorted must have a curve."""
    table = pd.DataFrame({"outcome": ["no curve", "smooth"], "category": ["emergent", ""]})
    assert not claimed_in_source(table)
    assert claimed_in_source(table.assign(category="emergent"))
    assert claimed_in_source(pd.DataFrame({"task": ["t"]}))
