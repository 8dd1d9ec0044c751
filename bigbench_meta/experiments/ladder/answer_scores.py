"""Scores of a ladder model's answers, under BIG-bench's names and definitions. A character is a token.

All metrics of a subtask are computed from the same answers to the same items.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, TypedDict

import numpy as np
from rapidfuzz.distance import Levenshtein

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from bigbench_meta.experiments.ladder.runs import Record
    from bigbench_meta.experiments.ladder.task_items import Task

# BIG-bench's number of equal bins of the top probability.
_CALIBRATION_BINS = 15
# Range of each metric a task of the ladder may prefer; four options, so a guess earns a quarter.
_RANGES = {"exact_str_match": (0.0, 1.0), "multiple_choice_grade": (0.25, 1.0)}


class Entry(TypedDict):
    """One element of ``scores`` in a BIG-bench score file."""

    score_dict: dict[str, float]
    preferred_score: str
    number_of_shots: int
    low_score: float
    high_score: float
    subtask_description: str


def text_metrics(record: Record) -> dict[str, float]:
    """Return the metrics of one generated answer.

    ``exact_str_match`` is 0 or 1; ``token_edit_distance`` is the Levenshtein distance in characters (lower is
    better); ``per_token_accuracy`` is the share of the target's places that hold the right character, in [0, 1];
    ``log_likelihood`` is the natural log-probability of the target, and ``log_likelihood_per_char`` that over its
    length.

    Examples
    --------
    >>> text_metrics({"target": "144", "output": "14", "target_logprobs": [-1.0, -1.0, -4.0]})["token_edit_distance"]
    1.0
    """
    target, output = record["target"], record["output"]
    right = sum(a == b for a, b in zip(target, output, strict=False))
    log_likelihood = float(sum(record["target_logprobs"]))
    return {
        "exact_str_match": float(output == target),
        "token_edit_distance": float(Levenshtein.distance(output, target)),
        "per_token_accuracy": right / len(target),
        "log_likelihood": log_likelihood,
        "log_likelihood_per_char": log_likelihood / len(target),
    }


def option_probabilities(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return probabilities over options, shape (items, options): the softmax of their log-likelihoods."""
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float64] = raised / raised.sum(axis=1, keepdims=True)
    return probabilities


def choice_metrics(scores: NDArray[np.float64], correct: NDArray[np.int64]) -> dict[str, float]:
    """Return the multiple-choice metrics of items with one correct option each.

    Parameters
    ----------
    scores : array, shape (items, options)
        Log-likelihood of each option.
    correct : array of int, shape (items,)
        Number of the correct option.

    Returns
    -------
    dict
        ``multiple_choice_grade`` (share of items whose likeliest option is the correct one; the first of equals
        counts), ``calibration_multiple_choice_brier_score`` (mean squared distance of probability and truth over
        item-option pairs, lower is better), ``expected_calibration_error`` (15 equal bins of the top probability,
        mean absolute gap of confidence and accuracy weighted by items, lower is better).

    Examples
    --------
    >>> choice_metrics(np.log([[0.5, 0.3, 0.1, 0.1]]), np.array([0]))["multiple_choice_grade"]
    1.0
    """
    probabilities = option_probabilities(scores)
    truth = np.zeros_like(probabilities)
    truth[np.arange(len(correct)), correct] = 1.0
    chosen = scores.argmax(axis=1)
    right = (chosen == correct).astype(np.float64)
    confidence = probabilities.max(axis=1)
    # Bin k holds [k/15, (k+1)/15), the last one 1 as well.
    bins = np.minimum((confidence * _CALIBRATION_BINS).astype(np.int64), _CALIBRATION_BINS - 1)
    gaps = np.bincount(bins, weights=confidence - right, minlength=_CALIBRATION_BINS)
    return {
        "multiple_choice_grade": float(right.mean()),
        "calibration_multiple_choice_brier_score": float(np.mean((probabilities - truth) ** 2)),
        "expected_calibration_error": float(np.abs(gaps).sum() / len(correct)),
    }


def score_subtask(records: Sequence[Record]) -> dict[str, float]:
    """Return all scores of one subtask: means of the text metrics, and the choice metrics."""
    texts = [text_metrics(record) for record in records]
    means = {name: float(np.mean([text[name] for text in texts])) for name in texts[0]}
    correct = np.array([record["options"].index(record["target"]) for record in records])
    return means | choice_metrics(np.array([record["option_scores"] for record in records]), correct)


def score_entries(task: Task, records: Iterable[Record]) -> list[Entry]:
    """Return the score entries of one model on one task, by BIG-bench's rules for aggregates.

    A task with subtasks begins with its aggregate: plain means over the subtasks, and as its preferred score
    ``normalized_aggregate_score``, 100 times the mean of (preferred - low)/(high - low).
    """
    low, high = _RANGES[task.preferred]
    entries: list[Entry] = [
        {
            "score_dict": score_subtask(list(group)),
            "preferred_score": task.preferred,
            "number_of_shots": 0,
            "low_score": low,
            "high_score": high,
            "subtask_description": subtask,
        }
        for subtask, group in groupby(records, key=lambda record: record["subtask"])
    ]
    if not task.lengths:
        return entries
    means = {
        name: float(np.mean([entry["score_dict"][name] for entry in entries])) for name in entries[0]["score_dict"]
    }
    means["normalized_aggregate_score"] = 100 * (means[task.preferred] - low) / (high - low)
    aggregate: Entry = {
        "score_dict": means,
        "preferred_score": "normalized_aggregate_score",
        "number_of_shots": 0,
        "low_score": 0.0,
        "high_score": 100.0,
        "subtask_description": task.name,
    }
    return [aggregate, *entries]
