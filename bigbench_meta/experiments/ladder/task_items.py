"""What a task of the ladder is: where items come from, which are held out, and how they become tokens.

Vocabulary
----------
source, target
    What a model reads and the one right answer; a model reads the source, then the query mark ``=``.
held out
    Never drawn in training. Membership is a hash of the item's *key*, so it needs no stored list. The key makes
    equivalent items fall together (both orders of a sum, all orders of a set of letters).
options
    The target and three wrong answers of equal form, for scoring by likelihood.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from string import ascii_lowercase, ascii_uppercase, digits
from typing import TYPE_CHECKING

import numpy as np

from bigbench_meta.experiments.ladder.grid import ITEMS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

PAD, QUERY, END = "_", "=", ";"
VOCABULARY = PAD + QUERY + END + "+*" + digits + ascii_lowercase + ascii_uppercase
# The longest sequence any task feeds: 11 source slots, the query mark and 10 target slots.
CONTEXT = 22

# Seed of the test items, the same for all models.
_ITEM_SEED = 20_230_429
_N_OPTIONS = 4

_TOKEN_OF_BYTE = np.zeros(128, dtype=np.int64)
_TOKEN_OF_BYTE[[ord(character) for character in VOCABULARY]] = np.arange(len(VOCABULARY))


@dataclass(frozen=True)
class Pair:
    """A source and its target."""

    source: str
    target: str


@dataclass(frozen=True)
class Item:
    """A test item: a pair, and its options in the order they are shown, the target among them."""

    source: str
    target: str
    options: tuple[str, ...]


@dataclass(frozen=True)
class Task:
    """One task of the ladder.

    Attributes
    ----------
    name, description : str
        As in BIG-bench's ``task.json``.
    preferred : str
        The metric the task is judged by.
    number : int
        Distinguishes the tasks' random streams; never changes.
    lengths : tuple of int
        Target lengths that are subtasks of their own; empty for a task without subtasks.
    source_slots, target_slots : int
        Longest source and target; shorter ones are padded.
    shares_positions : bool
        Whether the token that predicts target slot i has the position number of source slot i.
    held_out_share : float
        Share of keys that training never draws.
    draw : callable
        ``draw(rng, n, length) -> list of Pair`` from the task's own distribution, held out or not.
    key : callable
        ``key(source) -> str``, what the hold-out is decided by.
    distract : callable
        ``distract(rng, target) -> str``, one wrong answer.
    everything : callable or None
        All pairs of a task that has few; its test items are then all held-out pairs.
    distinct_items : bool
        Whether test items are distinct. Where False they are independent draws from the task's distribution.
    """

    name: str
    description: str
    preferred: str
    number: int
    lengths: tuple[int, ...]
    source_slots: int
    target_slots: int
    shares_positions: bool
    held_out_share: float
    draw: Callable[[np.random.Generator, int, int | None], list[Pair]]
    key: Callable[[str], str]
    distract: Callable[[np.random.Generator, str], str]
    everything: Callable[[], list[Pair]] | None = None
    distinct_items: bool = True

    @property
    def positions(self) -> NDArray[np.int64]:
        """Position number of each token of a sequence: the source, the query mark, the target slots."""
        if self.shares_positions:
            return np.concatenate([np.arange(self.source_slots), np.arange(self.target_slots + 1)])
        return np.arange(self.source_slots + 1 + self.target_slots)

    def is_held_out(self, source: str) -> bool:
        """Return whether training never draws this source."""
        digest = hashlib.blake2b(f"{self.name}:{self.key(source)}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") < self.held_out_share * 2**64

    def subtask(self, length: int | None) -> str:
        """Return BIG-bench's name of the subtask of one target length, or of the task."""
        return self.name if length is None else f"{self.name}:length_{length}"


def encode(texts: Iterable[str], slots: int) -> NDArray[np.int64]:
    """Return token numbers, shape (texts, slots), padded at the end.

    Examples
    --------
    >>> encode(["=;"], 3)
    array([[1, 2, 0]])
    """
    padded = [text.ljust(slots, PAD) for text in texts]
    return _TOKEN_OF_BYTE[np.frombuffer("".join(padded).encode("ascii"), dtype=np.uint8)].reshape(len(padded), slots)


def decode(tokens: NDArray[np.int64]) -> str:
    """Return the text of a row of token numbers up to the end mark, without it.

    Examples
    --------
    >>> decode(np.array([7, 9, 2, 0]))
    '24'
    """
    return "".join(VOCABULARY[token] for token in tokens).split(END)[0]


def sequences(
    task: Task, sources: Sequence[str], answers: Sequence[str]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return what a model reads and what it must predict.

    Returns
    -------
    inputs : array of int, shape (items, source_slots + 1 + target_slots)
        The source, padded to its window, the query mark, the answer.
    labels : array of int, shape (items, target_slots + 1)
        Next token from the query mark on: the answer, its end mark, then -100 (PyTorch's mark of "not scored").
    """
    source = encode(sources, task.source_slots)
    answer = encode(answers, task.target_slots)
    query = encode([QUERY] * len(source), 1)
    labels = encode([text + END for text in answers], task.target_slots + 1)
    lengths = np.array([len(text) for text in answers])
    labels[np.arange(task.target_slots + 1) > lengths[:, None]] = -100
    return np.concatenate([source, query, answer], axis=1), labels


def training_pairs(task: Task, *, rng: np.random.Generator, n: int) -> list[Pair]:
    """Draw ``n`` fresh training pairs, none of them held out; lengths are mixed evenly where a task has several."""
    return _draw_filtered(task, rng=rng, n=n, length=None, held_out=False)


def items_rng(task: Task, length: int | None, *, purpose: int) -> np.random.Generator:
    """Return the stream of one set of test items (``purpose`` 0: standard, 1: the large sample)."""
    return np.random.default_rng([_ITEM_SEED, task.number, length or 0, purpose])


def evaluation_items(task: Task, length: int | None, *, n: int = ITEMS) -> list[Item]:
    """Return the standard test items of a task (of one of its lengths): the same for every model.

    All held-out pairs where the task is small enough to list them, otherwise ``n``.
    """
    rng = items_rng(task, length, purpose=0)
    if task.everything is not None:
        pairs = [pair for pair in task.everything() if task.is_held_out(pair.source)]
    else:
        pairs = held_out_pairs(task, length, rng=rng, n=n)
    return [Item(pair.source, pair.target, _options(task, pair.target, rng)) for pair in pairs]


def large_sample(task: Task, length: int | None, *, n: int) -> list[Pair]:
    """Return ``n`` further held-out pairs, independent of the standard items, for questions of resolution."""
    return held_out_pairs(task, length, rng=items_rng(task, length, purpose=1), n=n)


def held_out_pairs(task: Task, length: int | None, *, rng: np.random.Generator, n: int) -> list[Pair]:
    """Draw ``n`` held-out pairs; distinct ones if the task asks for it."""
    if not task.distinct_items:
        return _draw_filtered(task, rng=rng, n=n, length=length, held_out=True)
    found: dict[str, Pair] = {}
    while len(found) < n:
        for pair in _draw_filtered(task, rng=rng, n=n - len(found), length=length, held_out=True):
            found.setdefault(pair.source, pair)
    return list(found.values())


def _draw_filtered(task: Task, *, rng: np.random.Generator, n: int, length: int | None, held_out: bool) -> list[Pair]:
    kept: list[Pair] = []
    while len(kept) < n:
        kept += [pair for pair in task.draw(rng, n, length) if task.is_held_out(pair.source) == held_out]
    return kept[:n]


def _options(task: Task, target: str, rng: np.random.Generator) -> tuple[str, ...]:
    options = [target]
    while len(options) < _N_OPTIONS:
        wrong = task.distract(rng, target)
        if wrong not in options:
            options.append(wrong)
    return tuple(options[place] for place in rng.permutation(_N_OPTIONS))
