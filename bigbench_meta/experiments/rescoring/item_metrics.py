"""Metrics of one item, with BIG-bench's definitions where it has them.

Every function takes plain texts or numbers and returns one number. With several targets the best one counts. A token
is a word (split at white space) or a character, as the caller says; character distances are always given too.

References
----------
Srivastava et al. (2022), arXiv 2206.04615, and the metrics of the package ``bigbench`` 1.0.0. Edit distances, per-token
accuracy: Schaeffer, Miranda, Koyejo (2023), arXiv 2304.15004.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Literal, NamedTuple

import numpy as np
from rapidfuzz.distance import Levenshtein

TokenUnit = Literal["word", "character"]
# The label of what is in no class, in the tagging of words.
FILLER = "O"


class Registered(NamedTuple):
    """What a metric needs: its mean over items is the score where ``mean`` is true."""

    needs: Literal["output", "likelihood", "options"]
    low: float
    high: float
    mean: bool = True


_INF = float("inf")
# Order is the order of columns in the table of items. ``mean`` is false where BIG-bench's score is not a mean over
# items: corpus BLEU, the Brier score (pooled over sample-option pairs) and the calibration error (binned).
REGISTERED = {
    "exact_str_match": Registered("output", 0, 1),
    "case_insensitive_str_match": Registered("output", 0, 1),
    "numeric_match_with_0_1_relative_error": Registered("output", 0, 1),
    "token_edit_distance": Registered("output", 0, _INF),
    "token_edit_distance_normalized": Registered("output", 0, 1),
    "character_edit_distance": Registered("output", 0, _INF),
    "character_edit_distance_normalized": Registered("output", 0, 1),
    "per_token_accuracy": Registered("output", 0, 1),
    "sequence_f1": Registered("output", 0, 100),
    "bleu": Registered("output", 0, 100, mean=False),
    "rouge1": Registered("output", 0, 100),
    "rouge2": Registered("output", 0, 100),
    "rougeLsum": Registered("output", 0, 100),
    "log_likelihood": Registered("likelihood", -_INF, 0),
    "log_likelihood_per_word": Registered("likelihood", -_INF, 0),
    "log_likelihood_per_char": Registered("likelihood", -_INF, 0),
    "multiple_choice_grade": Registered("options", 0, 1),
    "calibration_multiple_choice_brier_score": Registered("options", 0, 1, mean=False),
    "expected_calibration_error": Registered("options", 0, 1, mean=False),
    "weighted_probabilities": Registered("options", -_INF, _INF),
    "weighted_log_probabilities": Registered("options", -_INF, _INF),
    "acc_norm": Registered("options", 0, 1),
    "choice_probability": Registered("options", 0, 1),
    "choice_margin": Registered("options", -1, 1),
}
# These need packages beyond the core.
HEAVY = ("bleu", "rouge1", "rouge2", "rougeLsum")


def split_tokens(text: str, unit: TokenUnit) -> list[str]:
    """Words between white space, or characters."""
    return text.split() if unit == "word" else list(text)


def exact_match(output: str, targets: Sequence[str]) -> float:
    """1 if the output is one of the targets to the character, else 0."""
    return float(output in targets)


def case_insensitive_match(output: str, targets: Sequence[str]) -> float:
    """1 if the output is one of the targets after lower-casing and stripping both, else 0."""
    plain = output.strip().lower()
    return float(any(plain == target.strip().lower() for target in targets))


def numeric_match(output: str, targets: Sequence[str]) -> float:
    """1 if the output is a number within a tenth of the target, else 0; NaN with several targets.

    BIG-bench divides by the target itself, sign included, so that any number matches a negative target: its
    definition is kept, and this is its known fault. A target of 0 is compared absolutely.
    """
    if len(targets) != 1:
        return float("nan")
    try:
        target, value = float(targets[0]), float(output)
    except ValueError:
        return 0.0
    return float(abs(value - target) / (target if target != 0 else 1) <= 0.1)


def edit_distance(output: Sequence[str], targets: Sequence[Sequence[str]], *, normalized: bool = False) -> float:
    """Levenshtein distance to the nearest target: tokens or characters inserted, deleted or replaced.

    ``normalized`` divides by the longer of the two, so that 0 is equal and 1 has nothing in common; two empty texts
    have distance 0.
    """
    distance = Levenshtein.normalized_distance if normalized else Levenshtein.distance
    return float(min(distance(output, target) for target in targets))


def per_token_accuracy(output: Sequence[str], targets: Sequence[Sequence[str]]) -> float:
    """Share of a target's positions at which the output has the target's token, of the best target; NaN if all are empty."""
    shares = [sum(o == t for o, t in zip(output, target, strict=False)) / len(target) for target in targets if target]
    return max(shares, default=float("nan"))


def sequence_f1(output: str, targets: Sequence[str]) -> float:
    """BIG-bench's sequence_f1, 0 to 100: positions that agree with the first target, words split at single spaces.

    An output that is too short is filled up with the label `FILLER`, which is right where the target has it: of a target of
    such labels alone, an empty output has all but the first.
    """
    wanted, said = targets[0].split(" "), output.split(" ")
    return 100 * sum(w == s for w, s in zip_longest(wanted, said[: len(wanted)], fillvalue=FILLER)) / len(wanted)


def rank_first(scores: Sequence[float]) -> int:
    """Option with the largest score; ties are broken as BIG-bench does, by a hash of all scores."""
    array = np.asarray(scores, dtype=np.float64)
    best = np.flatnonzero(array == array.max())
    if len(best) == 1:
        return int(best[0])
    digest = hashlib.sha256(array.tobytes()).hexdigest()
    return int(best[int(digest, 16) % len(best)])


def normalised(scores: Sequence[float]) -> tuple[float, ...]:
    """Log-probabilities among the options alone, whose probabilities sum to 1.

    BIG-bench's JSON tasks grade these, not the absolute ones that the model gave: rounding can make or break a tie, and the
    hash that decides a tie is that of the values.
    """
    from scipy.special import logsumexp

    array = np.asarray(scores, dtype=np.float64)
    with np.errstate(invalid="ignore"):  # options that are all impossible give NaN
        return tuple((array - logsumexp(array)).tolist())


class Choice(NamedTuple):
    """What one multiple-choice item adds to the scores."""

    grade: float
    brier_sum: float
    options: int
    confidence: float
    hit: bool


def score_choice(scores: Sequence[float], values: Sequence[float]) -> Choice | None:
    """Grade, Brier sum over options, and the confidence and hit that calibration needs; None without probabilities.

    Notes
    -----
    Probabilities are the softmax of the scores. Values are divided by their sum to be target probabilities t (left at
    0 where they sum to 0), and the Brier sum is ``sum t (p - 1)^2 + (1 - t) p^2``. A hit is that the first largest p is
    the first largest t.
    """
    array, target = np.asarray(scores, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if not array.size or np.isnan(array).any() or not np.isfinite(array.max()) or not np.isfinite(target).all():
        return None
    weight = np.exp(array - array.max())
    p = weight / weight.sum()
    total = target.sum()
    t = target / total if total != 0 else np.zeros_like(target)
    brier = float((t * (p - 1) ** 2 + (1 - t) * p**2).sum())
    return Choice(float(target[rank_first(scores)]), brier, len(array), float(p.max()), bool(p.argmax() == t.argmax()))


class RightChoice(NamedTuple):
    """How sure a model is of the right options among all: their probability, and by how much it leads the best wrong one."""

    probability: float
    margin: float


def right_choice(scores: Sequence[float], values: Sequence[float]) -> RightChoice | None:
    """Probability of the right options among all, and its lead; None without probabilities, or where none is wrong.

    Examples
    --------
    >>> right_choice([0.0, 0.0], [1, 0])
    RightChoice(probability=0.5, margin=0.0)
    """
    array, right = np.asarray(scores, dtype=np.float64), np.asarray(values, dtype=np.float64) > 0
    if not np.isfinite(array.max()) or right.all() or not right.any():
        return None
    weight = np.exp(array - array.max())
    p = weight / weight.sum()
    return RightChoice(float(p[right].sum()), float(p[right].max() - p[~right].max()))


def graded_by_length(scores: Sequence[float], options: Sequence[str], values: Sequence[float]) -> float:
    """Value of the option with the largest log-probability a character, as lm-evaluation-harness grades ``acc_norm``.

    NaN where an option is empty. The first of equals counts.
    """
    lengths = np.array([len(option) for option in options], dtype=np.float64)
    if not (lengths > 0).all():
        return float("nan")
    return float(values[int(np.argmax(np.asarray(scores, dtype=np.float64) / lengths))])


def weighted(scores: Sequence[float], values: Sequence[float]) -> tuple[float, float]:
    """Values times probabilities, and values times log-probabilities, each summed over options."""
    log_p, value = np.asarray(scores, dtype=np.float64), np.asarray(values, dtype=np.float64)
    return float((value * np.exp(log_p)).sum()), float((value * log_p).sum())


def log_likelihood(scores: Sequence[float]) -> float:
    """Log-probability that any of the targets is said: one score, or the log of the summed probabilities."""
    if len(scores) == 1:
        return scores[0]
    array = np.asarray(scores, dtype=np.float64)
    top = array.max()
    return float(top + np.log(np.exp(array - top).sum())) if np.isfinite(top) else float(top)


# A pair (output, targets) -> rouge1, rouge2, rougeLsum.
RougeScorer = Callable[[str, Sequence[str]], dict[str, float]]


def rouge_scorer() -> RougeScorer:
    """Return a function that scores one output, 0 to 100, each type by its best target.

    The ``rouge-score`` package without stemming; for the sum variant sentences end where " . " stands, as the code
    BIG-bench calls does. That code then reports a bootstrap median of the mean; this package reports the mean itself.
    """
    from rouge_score import rouge_scorer as package

    types = ["rouge1", "rouge2", "rougeLsum"]
    scorer = package.RougeScorer(types)

    def score(output: str, targets: Sequence[str]) -> dict[str, float]:
        said = output.replace(" . ", " .\n")
        found = [scorer.score(target.replace(" . ", " .\n"), said) for target in targets]
        return {kind: 100 * max(scores[kind].fmeasure for scores in found) for kind in types}

    return score


class BleuCounts(NamedTuple):
    """N-gram matches and totals of one output (orders 1 to 4) and both lengths: they add up over a corpus."""

    matches: tuple[int, ...]
    totals: tuple[int, ...]
    output_length: int
    target_length: int


BleuScorer = Callable[[str, Sequence[str]], tuple[float, BleuCounts]]


def bleu_scorer() -> BleuScorer:
    """Return a function that gives one output's sentence BLEU and the counts that its corpus BLEU is made of.

    The ``sacrebleu`` package with the international tokeniser, exponential smoothing and no lower-casing, as the
    code BIG-bench calls. Sentence BLEU uses the effective order, as sacrebleu advises for single sentences.
    """
    from sacrebleu.metrics.bleu import BLEU

    metric = BLEU(tokenize="intl", smooth_method="exp", effective_order=True)

    def score(output: str, targets: Sequence[str]) -> tuple[float, BleuCounts]:
        found = metric.sentence_score(output, list(targets))
        return found.score, BleuCounts(tuple(found.counts), tuple(found.totals), found.sys_len, found.ref_len)

    return score


def corpus_bleu(counts: BleuCounts) -> float:
    """BLEU, 0 to 100, of a corpus from the sum of its outputs' counts."""
    from sacrebleu.metrics.bleu import BLEU

    found = BLEU.compute_bleu(
        list(counts.matches), list(counts.totals), counts.output_length, counts.target_length, smooth_method="exp"
    )
    return float(found.score)
