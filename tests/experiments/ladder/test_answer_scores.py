"""Scores of the ladder's answers, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from bigbench_meta.experiments.ladder.answer_scores import choice_metrics, score_entries, text_metrics
from bigbench_meta.experiments.ladder.catalog import TASKS


def _record(subtask, target, output, scores, *, options=None, logprobs=None):
    return {
        "kind": "item",
        "subtask": subtask,
        "input": "x=",
        "target": target,
        "output": output,
        "target_logprobs": logprobs or [-0.5] * len(target),
        "options": options or [target, "wrong", "worse", "worst"],
        "option_scores": scores,
    }


@pytest.mark.parametrize(
    ("target", "output", "exact", "distance", "places"),
    [
        ("ABCD", "ABCD", 1, 0, 1.0),
        ("ABCD", "ABXD", 0, 1, 0.75),
        ("ABCD", "", 0, 4, 0.0),
        # One character lost at the front: one edit, but every place is wrong.
        ("ABCD", "BCD", 0, 1, 0.0),
        ("144", "1444", 0, 1, 1.0),
    ],
)
def test_text_metrics_by_hand(target, output, exact, distance, places):
    """Exact match, edit distance and accuracy by place of answers one can count on one's fingers."""
    found = text_metrics(_record("t", target, output, [], logprobs=[-0.25] * len(target)))
    assert found["exact_str_match"] == exact
    assert found["token_edit_distance"] == distance
    assert found["per_token_accuracy"] == places
    assert found["log_likelihood"] == pytest.approx(-0.25 * len(target))
    assert found["log_likelihood_per_char"] == pytest.approx(-0.25)


def test_choice_metrics_by_hand():
    """Grade, Brier score and calibration error of two items with known probabilities."""
    scores = np.log([[0.7, 0.1, 0.1, 0.1], [0.1, 0.6, 0.2, 0.1]])
    found = choice_metrics(scores, np.array([0, 2]))
    assert found["multiple_choice_grade"] == 0.5
    first = 0.3**2 + 3 * 0.1**2
    second = 0.1**2 + 0.6**2 + 0.8**2 + 0.1**2
    assert found["calibration_multiple_choice_brier_score"] == pytest.approx((first + second) / 8)
    # 0.7 lies in [10/15, 11/15), 0.6 in [9/15, 10/15): gaps 0.3 and 0.6, each of half the items.
    assert found["expected_calibration_error"] == pytest.approx(0.5 * 0.3 + 0.5 * 0.6)


def test_scores_far_below_zero_do_not_underflow():
    """Probabilities depend on differences of log-likelihoods alone."""
    scores = np.log([[0.7, 0.1, 0.1, 0.1]])
    assert choice_metrics(scores - 5000, np.array([0])) == pytest.approx(choice_metrics(scores, np.array([0])))


def test_a_tie_goes_to_the_first_option():
    """Equal options: the first counts as chosen, whichever is right."""
    assert choice_metrics(np.zeros((1, 4)), np.array([0]))["multiple_choice_grade"] == 1
    assert choice_metrics(np.zeros((1, 4)), np.array([3]))["multiple_choice_grade"] == 0


def test_a_task_without_subtasks_has_one_entry():
    """Its only row is no aggregate: its own metric is preferred and nothing is derived."""
    (entry,) = score_entries(TASKS["letter_sorting"], [_record("letter_sorting", "ab", "ab", [0, -1, -1, -1])])
    assert entry["preferred_score"] == "multiple_choice_grade"
    assert (entry["low_score"], entry["high_score"]) == (0.25, 1.0)
    assert "normalized_aggregate_score" not in entry["score_dict"]


def test_the_aggregate_averages_the_subtasks():
    """Plain means over subtasks, whatever their numbers of items, and the normalised score out of a hundred."""
    task = TASKS["contextual_substitution"]
    records = [
        _record(f"{task.name}:length_1", "A", "A", [0, -1, -1, -1]),
        _record(f"{task.name}:length_2", "AB", "AX", [0, -1, -1, -1]),
        _record(f"{task.name}:length_2", "AB", "XX", [-1, 0, -1, -1]),
    ]
    aggregate, one, two = score_entries(task, records)
    assert aggregate["subtask_description"] == task.name
    assert one["score_dict"]["exact_str_match"] == 1
    assert two["score_dict"]["token_edit_distance"] == 1.5
    assert aggregate["score_dict"]["exact_str_match"] == 0.5
    assert aggregate["score_dict"]["multiple_choice_grade"] == 0.75
    assert aggregate["preferred_score"] == "normalized_aggregate_score"
    assert aggregate["score_dict"]["normalized_aggregate_score"] == 50
    assert (aggregate["low_score"], aggregate["high_score"]) == (0, 100)
