"""The meta-analysis of the paper redone: the published figures, ours, why they differ, and every curve in view."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from bigbench_meta.cli import main
from bigbench_meta.experiments import mirage
from bigbench_meta.experiments.mirage import NOT_COMPARABLE, SWAP, redo
from bigbench_meta.report.mirage_figures import mirage_figures

SCRIPT = Path(__file__).parents[2] / "scripts" / "reproduce_mirage.py"
STEEPER, UNDEFINED = "curves of preferred metrics steeper than a line", "curves whose E is undefined"


def rows(scores: dict[tuple[str, str], list[float]], *, scales: list[float], preferred: str) -> pd.DataFrame:
    """RESULTS of one family: scores by (task, metric)."""
    return pd.concat(
        pd.DataFrame({"scale": scales, "score": values}).assign(
            task=task, subtask=task, metric=metric, is_preferred=metric == preferred
        )
        for (task, metric), values in scores.items()
    ).assign(family="f", shots=0, is_aggregate=False)


def ours(found: mirage.Mirage, quantity: str) -> pd.Series:
    (row,) = found.comparison[found.comparison["quantity"] == quantity].to_dict("records")
    return pd.Series(row)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["mirage", *map(str, arguments)])


def test_claims_give_the_published_share_and_its_base_rate():
    """63 of 67 (94.0%), 158 of 209 (75.6%), conditional odds ratio 7.73 (2.63 to 31.0), from the public facts."""
    own = [row.ours for row in mirage._claim_rows()]
    assert own[:3] == ["63 of 67 = 94.0%", "158 of 209 = 75.6%", "7.73 (2.63 to 31.0)"]


def test_the_line_is_that_of_the_curves_own_sizes():
    """Sizes 1, 2, 4, 100 have steps of .301, .301 and 1.398 decades: a line over them scores 2 / .30103 = 6.64, not 3.

    Steps of .1, .1 and .4 score 6 and are steep against M - 1 alone; .1, .1 and .6 score 8 and exceed the line.
    """
    low, high = [0.0, 0.1, 0.2, 0.6], [0.0, 0.1, 0.2, 0.8]
    scores = {("navigate", "exact_str_match"): low, ("hindu_knowledge", "exact_str_match"): high}
    found = redo(rows(scores, scales=[1.0, 2.0, 4.0, 100.0], preferred="exact_str_match"))
    assert found.curves["line"].to_list() == pytest.approx([2 / np.log10(2)] * 2)
    assert found.curves.set_index("task")["steep"].to_dict() == {"navigate": False, "hindu_knowledge": True}
    row = ours(found, STEEPER)
    assert row["ours"] == "1 of 2"
    assert "scores 6.64; 1 more exceed M - 1" in row["why"]


def test_a_curve_without_e_stays_in_view():
    """Steps 0, 0, 0, 1 have a median of zero: E floored at .01 is 100, which is steep; unknown items leave it undecided."""
    scores = {("navigate", "exact_str_match"): [0.0, 0.0, 0.0, 0.0, 1.0]}
    results = rows(scores, scales=[1e6, 1e7, 1e8, 1e9, 1e10], preferred="exact_str_match")
    found = redo(results, items=pd.DataFrame({"task": ["navigate"], "n_items": [100]}))
    assert ours(found, STEEPER)["ours"] == "1 of 1, 1 of them by E floored"
    undefined = ours(found, UNDEFINED)
    assert undefined["ours"] == "1 of 1: 1 zero_median_step"
    assert undefined["why"] == "navigate (floored 100.0)"
    unknown = redo(results)
    assert unknown.curves["steep"].isna().all()
    assert ours(unknown, UNDEFINED)["why"] == "navigate (no floored E)"
    assert ours(unknown, STEEPER)["ours"] == "0 of 1"


def test_the_swap_counts_pairs_that_stop_being_steep():
    """Of two pairs, both are steep under the first metric and one is not under Brier, whose sign is turned."""
    jump, line = np.array([0.0, 0.01, 0.02, 0.03, 0.5]), np.linspace(0.1, 0.5, 5)
    scores = {
        ("a", SWAP[0]): jump, ("a", SWAP[1]): 0.8 - line,
        ("b", SWAP[0]): jump, ("b", SWAP[1]): 0.8 - jump,
    }  # fmt: skip
    results = rows(scores, scales=[1e6, 1e7, 1e8, 1e9, 1e10], preferred=SWAP[0])
    swap = redo(results).comparison.iloc[-1]
    assert swap["ours"] == "of 2 pairs, 2 steep under the first, 1 of these not under the second"


def test_what_the_source_cannot_contradict_is_not_comparable():
    """One metric can never be more than five; own tasks say nothing of BIG-bench's; no pair, no swap."""
    scores = {("navigate", SWAP[0]): [0.0, 0.1, 0.2, 0.9]}
    found = redo(rows(scores, scales=[1.0, 10.0, 100.0, 1000.0], preferred=SWAP[0]))
    counted = ours(found, "preferred metrics with emergent curves")
    assert (counted["ours"], "holds 1 preferred metrics" in counted["why"]) == (NOT_COMPARABLE, True)
    among = ours(found, "metrics among them")
    assert (among["ours"], "not in the source: exact_str_match, rougeLsum" in among["why"]) == (SWAP[0], True)
    assert found.comparison.iloc[-1]["ours"] == NOT_COMPARABLE
    own = redo(rows({("mine", SWAP[0]): [0.0, 0.1, 0.2, 0.9]}, scales=[1.0, 10.0, 100.0, 1000.0], preferred=SWAP[0]))
    assert ours(own, "metrics among them")["ours"] == NOT_COMPARABLE


def test_six_metrics_of_its_own_tasks_can_contradict_the_paper():
    """All six steep: the published "at most 5 of 39" has a figure beside it."""
    names = ["bleu", "exact_str_match", "multiple_choice_grade", "rouge1", "rougeLsum", "sequence_f1"]
    by_metric = [
        rows({("navigate", name): [0.0, 0.1, 0.2, 0.9]}, scales=[1.0, 10.0, 100.0, 1000.0], preferred=name)
        for name in names
    ]
    found = redo(pd.concat(by_metric))
    assert ours(found, "preferred metrics with emergent curves")["ours"] == f"6 of 6: {', '.join(names)}"


def test_figures_are_made_for_what_the_source_holds(results):
    """All four where both metrics are there, each with its data; three where one is missing."""
    drawn = mirage_figures(results, redo(results).curves)
    assert sorted(drawn) == ["figure_5a", "figure_5b", "figure_5c", "figure_6"]
    assert all(len(data) for _, data in drawn.values())
    only = results[results["metric"] == SWAP[0]]
    assert len(mirage_figures(only, redo(only).curves)) == 3


def test_the_command_writes_the_comparison_as_csv_and_markdown(tmp_path):
    """Any source of `run` will do, a table of scores too; stdout is the folder, the table stands on stderr."""
    own = [
        {"task": "t", "metric": "exact_str_match", "family": "f", "model": i, "scale": 10**i, "score": i / 9}
        for i in range(9)
    ]
    pd.DataFrame(own).to_csv(tmp_path / "own.csv", index=False)
    done = run(tmp_path / "own.csv", "--out", tmp_path / "made")
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == str(tmp_path / "made")
    assert NOT_COMPARABLE in done.stderr
    table = pd.read_csv(tmp_path / "made" / "tables" / "comparison.csv")
    lines = (tmp_path / "made" / "comparison.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(table) + 2
    assert lines[0] == "| figure | quantity | published | ours | why |"
    assert (tmp_path / "made" / "figures" / "figure_5a.svg").read_bytes().startswith(b"<?xml")
    assert run(tmp_path / "own.csv", "--out", tmp_path / "made").exit_code == 1  # its own earlier output needs --force


def test_the_script_is_the_command(tmp_path, monkeypatch):
    """The script hands its arguments on."""
    monkeypatch.setattr("sys.argv", [str(SCRIPT), "--out", str(tmp_path / "made")])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert ended.value.code == 0
    assert (tmp_path / "made" / "comparison.md").exists()


@pytest.mark.real
def test_the_real_bundle_keeps_the_papers_first_examples_in_view(shared_data, tmp_path):
    """Of 120 curves 18 exceed M - 1 = 11; four of them lie between 11 and BIG-G's line, 12.85; two more are steep floored.

    The line by hand: sizes from 2,098,048 to 137,440,272,000 are 4.816 decades apart, and the sixth of the eleven steps in
    order of size is 3.624e9 to 8.590e9, .3748 decades: 4.816 / .3748 = 12.85.
    """
    out = tmp_path / "made"
    items = shared_data / "bundle_items.csv"
    done = run(shared_data / "bigbench-real.bundle", "--items", items, "--out", out)
    assert done.exit_code == 0, done.output
    table = pd.read_csv(out / "tables" / "comparison.csv").set_index("quantity")
    assert table.loc[STEEPER, "ours"] == "16 of 120, 2 of them by E floored"
    assert "scores 12.85; 4 more exceed M - 1" in table.loc[STEEPER, "why"]
    assert table.loc[UNDEFINED, "ours"] == "4 of 120: 1 flat, 3 zero_median_step"
    assert "modified_arithmetic (floored 27.0)" in table.loc[UNDEFINED, "why"]
    assert "word_unscrambling (floored 34.0)" in table.loc[UNDEFINED, "why"]
    assert table.loc["preferred metrics with emergent curves", "ours"] == NOT_COMPARABLE
