"""The claims on two metrics under other counting rules: by hand on six tasks, and the packaged counts."""

from __future__ import annotations

import pandas as pd

from bigbench_meta.analysis.tasks.concentration import NAMED_PAIR
from bigbench_meta.analysis.tasks.counting_rules import SOURCE, counting_rules
from bigbench_meta.facts.claims import claims, preferred_metrics

GRADE, EXACT, DERIVED = "multiple_choice_grade", "exact_str_match", "normalized_aggregate_score"


def counts(table: pd.DataFrame) -> dict[str, tuple[int, int, int, int, int]]:
    """Rule -> claimed on the metrics, claimed, all on the metrics, all, left out."""
    rows = table[table["effect"] == "sample odds ratio"]
    names = ["cases_in", "cases", "base_in", "base", "held_out"]
    rules = rows["comparison"].str.removeprefix("claimed against all other tasks, ")
    return {rule: tuple(row) for rule, row in zip(rules, rows[names].astype(int).to_numpy().tolist(), strict=True)}


def test_each_rule_by_hand():
    """Six tasks: a tie, a JSON and a programmatic task with subtasks of exact match, a template, two plain ones."""
    preferred = pd.DataFrame(
        [
            ("tie", "json", "bleu", f"rougeLsum + {EXACT}", DERIVED, False),
            ("parts", "json", EXACT, "", DERIVED, False),
            ("program", "programmatic", EXACT, "", DERIVED, False),
            ("template", "json", GRADE, "", GRADE, True),
            ("plain", "json", GRADE, "", GRADE, False),
            ("soft", "json", "bleu", "", "bleu", False),
        ],
        columns=["task", "kind", "preferred_metric", "tied_with", "aggregate_metric", "is_template"],
    )
    claimed = pd.DataFrame({"task": ["parts", "plain", "soft"], "category": ["emergent", "emergent", "flat"]})
    table = counting_rules(claimed, preferred, metrics=(GRADE, EXACT))
    assert counts(table) == {
        "ties decided the other way": (2, 2, 5, 6, 0),
        "BIG-bench's aggregate metric, JSON tasks": (1, 2, 3, 6, 0),
        "BIG-bench's aggregate metric, all tasks": (1, 2, 2, 6, 0),
        "without the templates": (2, 2, 3, 5, 1),
    }
    assert set(table["source"]) == {SOURCE}
    assert table["q_value"].isna().all()


def test_the_packaged_counts():
    """Recounted in the archive of bigbench 1.0.0 by code that does not use this package (docs/facts-check.md)."""
    table = counting_rules(claims(), preferred_metrics(), metrics=NAMED_PAIR)
    assert counts(table) == {
        "ties decided the other way": (63, 67, 160, 209, 0),
        "BIG-bench's aggregate metric, JSON tasks": (62, 67, 146, 209, 0),
        "BIG-bench's aggregate metric, all tasks": (62, 67, 141, 209, 0),
        "without the templates": (63, 67, 153, 204, 5),
    }
    sample = table.loc[table["effect"] == "sample odds ratio", "estimate"]
    assert sample.round(2).tolist() == [7.31, 8.56, 9.89, 8.22]
