"""The metric registry: packaged facts, overrides by task, and rows a user adds."""

from __future__ import annotations

import pandas as pd
import pytest

import bigbench_meta as bm
from bigbench_meta.errors import TableError
from bigbench_meta.facts.metrics import COLUMNS, look_up


def test_packaged_registry_is_sorted_and_unique():
    """One row a (metric, task), in order, with the documented columns."""
    table = bm.metrics()
    assert list(table.columns) == COLUMNS
    assert not table.duplicated(["metric", "task"]).any()
    assert table["metric"].is_monotonic_increasing
    assert table["source"].str.len().min() > 0


@pytest.mark.parametrize(
    ("metric", "low", "high", "direction", "linearity"),
    [
        # facts of BIG-bench's metric definitions
        ("multiple_choice_grade", 0, 1, "higher", "discontinuous"),
        ("exact_str_match", 0, 1, "higher", "discontinuous"),
        ("bleu", 0, 100, "higher", "nonlinear"),
        ("calibration_multiple_choice_brier_score", 0, 1, "lower", "nonlinear"),
        ("expected_calibration_error", 0, 1, "lower", "discontinuous"),
        ("macro_f1", 0, 1, "higher", "discontinuous"),
        ("weighted_probabilities", -1, 1, "higher", "nonlinear"),
        ("sequence_f1", 0, 100, "higher", "linear"),
    ],
)
def test_known_metrics(metric, low, high, direction, linearity):
    """Range and direction of the common metrics, as BIG-bench defines them."""
    row = bm.metrics().query("metric == @metric and task == ''").iloc[0]
    assert (row["low"], row["high"], row["direction"], row["linearity"]) == (low, high, direction, linearity)


def test_classes_agree_with_their_definitions():
    """A metric has no partial credit exactly where it is discontinuous, so that metrics of one kind share a class."""
    known = bm.metrics().query("linearity not in ['unknown', 'derived'] and continuous != 'unknown'")
    assert ((known["linearity"] == "discontinuous") == (known["continuous"] == "no")).all()
    classes = known.drop_duplicates("metric").set_index("metric")["linearity"]
    for alike in (
        ("sequence_f1", "per_token_accuracy"),
        ("f1", "rouge1"),
        ("bleu", "rouge2"),
        ("weighted_log_probabilities", "log_likelihood"),
    ):
        assert len(set(classes[list(alike)])) == 1


@pytest.mark.parametrize(
    ("metric", "task"),
    [
        # preferred by some subtask of bigbench 1.0.0, each with a low score below its high score
        ("difference_score", "bbq_lite"),
        ("overall_alpha_avg", "convinceme"),
        ("bleurt_diff", "truthful_qa"),
        ("gender_stereotype_score", "gender_sensitivity_chinese"),
        ("mean_accuracy", "gender_sensitivity_chinese"),
        ("gender_minority_bias_score", "gender_sensitivity_english"),
        ("gender_stereotype_score", "gender_sensitivity_english"),
        ("gender_minority_stereotype_score", "gender_sensitivity_english"),
        ("mean_accuracy", "gender_sensitivity_english"),
        ("negative_perplexity", "gender_sensitivity_english"),
    ],
)
def test_preferred_by_some_subtask(metric, task):
    """A preferred metric declares its direction, also where other subtasks of the task prefer another."""
    facts = look_up(pd.DataFrame({"task": [task, "elsewhere"], "metric": metric}), bm.metrics())
    assert facts["direction"].tolist() == ["higher", "unknown"]


def test_task_override_wins_and_unknown_is_never_guessed():
    """f1 is known in two tasks, both of which call code that gives 0 to 100; elsewhere nothing is known of it."""
    pairs = pd.DataFrame(
        {
            "task": ["coqa_conversational_question_answering", "squad_shifts", "elsewhere", "elsewhere"],
            "metric": ["f1", "f1", "f1", "bleu"],
        },
        index=[7, 3, 5, 1],
    )
    facts = look_up(pairs, bm.metrics())
    assert facts.index.tolist() == [7, 3, 5, 1]
    assert facts["high"].tolist()[:2] == [100, 100]
    assert facts["direction"].tolist() == ["higher", "higher", "unknown", "higher"]
    assert pd.isna(facts["high"].tolist()[2])


def test_user_rows_are_added_and_replace(tmp_path):
    """A user's file adds metrics and overrides packaged rows; what it leaves out is unknown."""
    path = tmp_path / "mine.csv"
    path.write_text("metric,direction,low,high\nmy_score,lower,0,\nbleu,higher,0,1\n")
    table = bm.metrics(path).set_index(["metric", "task"])
    assert table.loc[("my_score", ""), "direction"] == "lower"
    assert table.loc[("my_score", ""), "linearity"] == "unknown"
    assert pd.isna(table.loc[("my_score", ""), "high"])
    assert table.loc[("bleu", ""), "high"] == 1
    assert len(table) == len(bm.metrics()) + 1


def test_illegal_words_are_all_named(tmp_path):
    """Every illegal word and number is reported at once, with its metric."""
    path = tmp_path / "mine.csv"
    path.write_text("metric,direction,low\na,up,0\nb,higher,zero\nb,lower,1\n")
    with pytest.raises(TableError) as caught:
        bm.metrics(path)
    for part in ('"up" of metric "a"', '"zero" of metric "b"', '"b" of task "" is there more than once'):
        assert part in str(caught.value)


def test_missing_column_and_missing_file(tmp_path):
    """A file without the needed columns, or no file, is a clear error."""
    path = tmp_path / "mine.csv"
    path.write_text("name\nx\n")
    with pytest.raises(TableError, match="direction, metric"):
        bm.metrics(path)
    with pytest.raises(TableError, match="cannot be read"):
        bm.metrics(tmp_path / "none.csv")
