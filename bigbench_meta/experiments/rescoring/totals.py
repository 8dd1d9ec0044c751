"""What a group of items adds up to: running totals that merge, so that files can be scored apart and in any order.

A group is one (task, subtask, family, model, scale, shots). Sums are exact (Shewchuk's partial sums), so the order of
items and files, and the number of processes, cannot change a digit.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bigbench_meta.experiments.rescoring.item_metrics import (
    REGISTERED,
    BleuCounts,
    BleuScorer,
    RougeScorer,
    TokenUnit,
    bleu_scorer,
    case_insensitive_match,
    corpus_bleu,
    edit_distance,
    exact_match,
    graded_by_length,
    log_likelihood,
    numeric_match,
    per_token_accuracy,
    right_choice,
    rouge_scorer,
    score_choice,
    sequence_f1,
    split_tokens,
    weighted,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bigbench_meta.experiments.rescoring.scored_items import Item

# BIG-bench's expected_calibration_error has 15 equal bins of the top probability.
CALIBRATION_BINS = 15
# BIG-bench gives these of a group only if each of its items has one target.
_OF_ONE_TARGET = frozenset(["log_likelihood_per_word", "log_likelihood_per_char"])
_NO_BLEU = BleuCounts((0, 0, 0, 0), (0, 0, 0, 0), 0, 0)


class ExactSum:
    """A sum of floats that is rounded once: the same for every order of its terms."""

    __slots__ = ("_partials",)

    def __init__(self) -> None:
        self._partials: list[float] = []

    def add(self, x: float) -> None:
        """Add a finite number."""
        partials = []
        for partial in self._partials:
            large, small = (x, partial) if abs(x) >= abs(partial) else (partial, x)
            high = large + small
            low = small - (high - large)
            if low:
                partials.append(low)
            x = high
        partials.append(x)
        self._partials = partials

    def merge(self, other: ExactSum) -> None:
        """Add all that was added to another sum."""
        for partial in other._partials:
            self.add(partial)

    @property
    def value(self) -> float:
        """The sum, correctly rounded."""
        return math.fsum(self._partials)


@dataclass
class Totals:
    """Running totals of one group."""

    items: int = 0
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    sums: dict[str, ExactSum] = field(default_factory=lambda: defaultdict(ExactSum))
    bleu: BleuCounts = _NO_BLEU
    several_targets: bool = False
    chance: ExactSum = field(default_factory=ExactSum)
    pairs: int = 0
    bin_counts: list[int] = field(default_factory=lambda: [0] * CALIBRATION_BINS)
    bin_hits: list[int] = field(default_factory=lambda: [0] * CALIBRATION_BINS)
    bin_confidence: list[ExactSum] = field(default_factory=lambda: [ExactSum() for _ in range(CALIBRATION_BINS)])

    def merge(self, other: Totals) -> None:
        """Add another group's items to this one."""
        self.items += other.items
        self.pairs += other.pairs
        self.several_targets |= other.several_targets
        self.chance.merge(other.chance)
        for metric, count in other.counts.items():
            self.counts[metric] += count
            self.sums[metric].merge(other.sums[metric])
        self.bleu = _added(self.bleu, other.bleu)
        for b in range(CALIBRATION_BINS):
            self.bin_counts[b] += other.bin_counts[b]
            self.bin_hits[b] += other.bin_hits[b]
            self.bin_confidence[b].merge(other.bin_confidence[b])

    def scores(self) -> dict[str, tuple[float, int]]:
        """Metric -> score of the group and the items behind it."""
        found = {}
        for metric, registered in REGISTERED.items():
            count = self.counts.get(metric, 0)
            if not count or (self.several_targets and metric in _OF_ONE_TARGET):
                continue
            if metric == "bleu":
                score = corpus_bleu(self.bleu)
            elif metric == "calibration_multiple_choice_brier_score":
                score = self.sums[metric].value / self.pairs
            elif metric == "expected_calibration_error":
                score = self._calibration_error(count)
            else:
                assert registered.mean
                score = self.sums[metric].value / count
            found[metric] = (score, count)
        return found

    def _calibration_error(self, count: int) -> float:
        """Sum over bins of ``(n_b / n) |hit rate - mean confidence|``."""
        gaps = (
            abs(hits - confidence.value)
            for n, hits, confidence in zip(self.bin_counts, self.bin_hits, self.bin_confidence, strict=True)
            if n
        )
        return math.fsum(gaps) / count

    def add(self, metric: str, value: float) -> None:
        """Add one item's value of a metric that is a mean over items."""
        self.counts[metric] += 1
        self.sums[metric].add(value)


def _added(a: BleuCounts, b: BleuCounts) -> BleuCounts:
    return BleuCounts(
        tuple(x + y for x, y in zip(a.matches, b.matches, strict=True)),
        tuple(x + y for x, y in zip(a.totals, b.totals, strict=True)),
        a.output_length + b.output_length,
        a.target_length + b.target_length,
    )


class ItemScorer:
    """Scores items one by one: returns an item's own values and adds them to its group's totals.

    Parameters
    ----------
    metrics
        Names of ``REGISTERED`` to compute; a heavy one loads its package here.
    unit
        What a token is.
    """

    def __init__(self, metrics: frozenset[str], *, unit: TokenUnit) -> None:
        self._metrics = metrics
        self._unit = unit
        self._bleu: BleuScorer | None = bleu_scorer() if "bleu" in metrics else None
        self._rouge: RougeScorer | None = rouge_scorer() if metrics & {"rouge1", "rouge2", "rougeLsum"} else None

    def score(self, item: Item, totals: Totals) -> dict[str, float]:
        """Metric -> the item's own value; a metric that is undefined for the item is absent."""
        values: dict[str, float] = {}
        totals.items += 1
        if item.output is not None and item.targets:
            values |= self._output_values(item.output, item.targets, totals)
        if item.target_scores and item.targets:
            values |= _likelihood_values(item)
            totals.several_targets |= len(item.target_scores) > 1
        if item.option_scores:
            values |= self._choice_values(item, totals)
        kept = {metric: value for metric, value in values.items() if metric in self._metrics}
        for metric, value in kept.items():
            if REGISTERED[metric].mean:
                totals.add(metric, value)
        return kept

    def _output_values(self, output: str, targets: tuple[str, ...], totals: Totals) -> dict[str, float]:
        values = {
            "exact_str_match": exact_match(output, targets),
            "case_insensitive_str_match": case_insensitive_match(output, targets),
            "character_edit_distance": edit_distance(output, targets),
            "character_edit_distance_normalized": edit_distance(output, targets, normalized=True),
            "numeric_match_with_0_1_relative_error": numeric_match(output, targets),
            "sequence_f1": sequence_f1(output, targets),
        }
        said, wanted = split_tokens(output, self._unit), [split_tokens(target, self._unit) for target in targets]
        values["token_edit_distance"] = edit_distance(said, wanted)
        values["token_edit_distance_normalized"] = edit_distance(said, wanted, normalized=True)
        values["per_token_accuracy"] = per_token_accuracy(said, wanted)
        if self._bleu:
            values["bleu"], counts = self._bleu(output, targets)
            totals.bleu = _added(totals.bleu, counts)
            totals.counts["bleu"] += 1
        if self._rouge:
            values |= self._rouge(output, targets)
        return {metric: value for metric, value in values.items() if not math.isnan(value)}

    def _choice_values(self, item: Item, totals: Totals) -> dict[str, float]:
        choice = score_choice(item.option_scores, item.option_values)
        if choice is None:
            return {}
        values = {
            "multiple_choice_grade": choice.grade,
            "calibration_multiple_choice_brier_score": choice.brier_sum / choice.options,
        }
        totals.chance.add(math.fsum(item.option_values) / choice.options)
        if "calibration_multiple_choice_brier_score" in self._metrics:
            totals.add("calibration_multiple_choice_brier_score", choice.brier_sum)
            totals.pairs += choice.options
        if "expected_calibration_error" in self._metrics:
            b = min(_bin(choice.confidence), CALIBRATION_BINS - 1)
            totals.counts["expected_calibration_error"] += 1
            totals.bin_counts[b] += 1
            totals.bin_hits[b] += choice.hit
            totals.bin_confidence[b].add(choice.confidence)
        p, log_p = weighted(item.absolute_scores or item.option_scores, item.option_values)
        values |= {"weighted_probabilities": p, "weighted_log_probabilities": log_p}
        right = right_choice(item.option_scores, item.option_values)
        if right is not None:
            values |= {"choice_probability": right.probability, "choice_margin": right.margin}
        by_length = (item.absolute_scores or item.option_scores, item.options, item.option_values)
        values["acc_norm"] = graded_by_length(*by_length)
        return {metric: value for metric, value in values.items() if math.isfinite(value)}


def _bin(confidence: float) -> int:
    """First bin whose upper end lies above the confidence; 1 itself falls beyond the last."""
    for b in range(CALIBRATION_BINS):
        if confidence < (b + 1) / CALIBRATION_BINS:
            return b
    return CALIBRATION_BINS


def _likelihood_values(item: Item) -> dict[str, float]:
    total = log_likelihood(item.target_scores)
    values = {"log_likelihood": total}
    # BIG-bench normalises by length only where an item has a single target
    if len(item.target_scores) == 1:
        words, characters = len(item.targets[0].split()), len(item.targets[0])
        if words:
            values["log_likelihood_per_word"] = total / words
        if characters:
            values["log_likelihood_per_char"] = total / characters
    return {metric: value for metric, value in values.items() if math.isfinite(value)}


def merged(parts: list[Mapping[tuple[object, ...], Totals]]) -> dict[tuple[object, ...], Totals]:
    """Totals of several files as one."""
    whole: dict[tuple[object, ...], Totals] = {}
    for part in parts:
        for key, totals in part.items():
            whole.setdefault(key, Totals()).merge(totals)
    return whole
