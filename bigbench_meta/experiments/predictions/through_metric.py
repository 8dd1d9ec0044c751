"""Prediction 1 (b): whether accuracy follows from the per-token measure of the same outputs, through the metric.

If the tokens of a target are right independently, each with token success p, an output of L tokens is right with chance
``p ** L``. At each scale p is counted on the very outputs whose accuracy it is to explain, so that nothing is fitted, and
the implied accuracy is its unbiased estimate: of R right ones among T tokens, the chance that L drawn without
replacement are all right. Items of several lengths are averaged. Where the log-probability of the target is given, the mean
over items of its exponential is reported too: the chance that one *sampled* answer is right, where outputs are usually greedy.

Vocabulary
----------
right tokens
    Tokens of the target that the output has at their place. Edit distance forgives shifts and so counts fewer wrong ones.
departure
    Accuracy minus the implied accuracy at one scale. Above 0 the errors of an output come together (or lie in few items);
    below 0 they are spread over more items than chance would spread them.

Rule (``through_metric``). *Follows*: the departure is below ``MARGIN`` in size at every scale with its one-sided 95% bound
(intersection-union, no correction). *Departs*: it is above ``MARGIN`` at some scale, 5% over all scales (Bonferroni).
*Undecided*: neither. The unit of independence is the item; hits and tokens of one item are paired.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Ten points of accuracy: "about". The paper itself calls independence an approximation.
MARGIN = 0.1
_LEVEL = 0.05


class Implied(NamedTuple):
    """Token success, implied accuracy, and the departure of accuracy from it at one scale."""

    success: float
    tokens: float
    accuracy: float
    departure: float
    error: float


def implied_accuracy(hit: NDArray[np.float64], right: NDArray[np.float64], length: NDArray[np.float64]) -> Implied:
    """Accuracy that the token success of the same outputs implies.

    Parameters
    ----------
    hit, right, length
        Shape (n,): 1 where an output is right, its right tokens, tokens of its target (1 or more).

    Returns
    -------
    Implied
        Standard errors from the items' own variance, held at what one item, or one token, resolves: outputs that are all
        wrong have no variance, and are no proof.

    Examples
    --------
    Of 4 tokens in 2 items 3 are right: two drawn without replacement are both right with chance 3/4 * 2/3.

    >>> found = implied_accuracy(np.array([1.0, 0.0]), np.array([2.0, 1.0]), np.array([2.0, 2.0]))
    >>> found.success, found.accuracy, found.departure
    (0.75, 0.5, 0.0)
    """
    n, tokens = len(hit), float(length.sum())
    total = float(right.sum())
    success = total / tokens
    lengths, items = np.unique(length, return_counts=True)
    whole = np.array([_all_right(total, tokens, int(k)) for k in lengths])
    accuracy = float(items @ whole / n)
    # the implied accuracy moves by this much with token success
    slope = float(items @ (lengths * success ** (lengths - 1)) / n)
    influence = right - success * length
    mean_length = tokens / n
    error = _error(hit - hit.mean() - slope * influence / mean_length, least=1 / (n + 2))
    return Implied(success, tokens, accuracy, float(hit.mean()) - accuracy, error)


def _all_right(right: float, tokens: float, length: int) -> float:
    """Chance that ``length`` tokens drawn without replacement are all right."""
    steps = np.arange(length)
    return float(np.prod(np.clip((right - steps) / np.maximum(tokens - steps, 1.0), 0.0, 1.0)))


def _error(influence: NDArray[np.float64], *, least: float) -> float:
    n = len(influence)
    return max(float(np.sqrt((influence**2).sum()) / n), least)


def judge_departures(
    scale: NDArray[np.float64], departure: NDArray[np.float64], error: NDArray[np.float64]
) -> tuple[str, int, float]:
    """Return the verdict, where the departure is largest in size, and half the width of its simultaneous 95% interval.

    Examples
    --------
    >>> scale = np.array([1e6, 1e7, 1e8])
    >>> judge_departures(scale, np.array([0.0, 0.3, 0.0]), np.full(3, 0.02))[:2]
    ('departs', 1)
    >>> judge_departures(scale, np.array([0.0, 0.03, 0.0]), np.full(3, 0.02))[:2]
    ('follows', 1)
    """
    from scipy.stats import norm

    size = np.abs(departure)
    simultaneous, one_sided = norm.isf(_LEVEL / 2 / len(scale)), norm.isf(_LEVEL)
    worst = int(np.argmax(size))
    half = float(simultaneous * error[worst])
    if (size - simultaneous * error > MARGIN).any():
        return "departs", worst, half
    if (size + one_sided * error < MARGIN).all():
        return "follows", worst, half
    return "undecided", worst, half


def implied_curves(success: NDArray[np.float64], length: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the items' lengths of ``p ** L``, for many curves at once: the same shape as ``success``."""
    lengths, items = np.unique(length, return_counts=True)
    return np.asarray(sum(k * success**one for one, k in zip(lengths, items / items.sum(), strict=True)))
