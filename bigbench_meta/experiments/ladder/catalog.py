"""The ladder's four tasks.

Contextual substitution is a demonstration built to meet the assumptions of a mathematical model of emergence. The two
arithmetic tasks are those of the paper that proposed the model (Schaeffer, Miranda, Koyejo 2023), whose outputs came
from language models that are no longer served. Letter sorting is judged by option likelihood.
"""

from __future__ import annotations

from dataclasses import replace
from string import ascii_lowercase, ascii_uppercase
from typing import TYPE_CHECKING

import numpy as np

from bigbench_meta.experiments.ladder.task_items import Pair, Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

# Letter k has probability proportional to 1/k (Zipf): a larger model has the room to learn rarer pairs, so success
# per token rises smoothly with size.
_LETTERS = np.array(list(ascii_lowercase))
_LETTER_P = 1 / np.arange(1, 27) / np.sum(1 / np.arange(1, 27))
# The last entry is exactly 1, whatever the sum rounds to, so that no draw falls beyond the alphabet.
_LETTER_CUMULATED = np.append(np.cumsum(_LETTER_P)[:-1], 1.0)
# The seed of the table, fixed once for all models.
_TABLE_SEED = 20_230_428
_TABLE = np.random.default_rng(_TABLE_SEED).integers(26, size=(26, 26))
LENGTHS = tuple(range(1, 11))


def substitute(source: str) -> str:
    """Return the target of a source: symbol i is looked up in the fixed table under letters i and i + 1."""
    letters = [ord(letter) - ord("a") for letter in source]
    return "".join(ascii_uppercase[code] for code in _TABLE[letters[:-1], letters[1:]])


def _draw_substitution(rng: np.random.Generator, n: int, length: int | None) -> list[Pair]:
    window = LENGTHS[-1] + 1
    lengths = rng.integers(LENGTHS[0], window, size=n) if length is None else np.full(n, length)
    letters = np.searchsorted(_LETTER_CUMULATED, rng.random((n, window)), side="right")
    sources = _text(letters, first="a")
    targets = _text(_TABLE[letters[:, :-1], letters[:, 1:]], first="A")
    return [
        Pair(sources[i * window : i * window + k + 1], targets[i * (window - 1) : i * (window - 1) + k])
        for i, k in enumerate(lengths.tolist())
    ]


def _text(letters: NDArray[np.int64], *, first: str) -> str:
    """Return all rows of letter numbers as one text: drawing is a good part of the cost of a small model."""
    return (letters + ord(first)).astype(np.uint8).tobytes().decode("ascii")


def _change_one(alphabet: str) -> Callable[[np.random.Generator, str], str]:
    def distract(rng: np.random.Generator, target: str) -> str:
        place = int(rng.integers(len(target)))
        return target[:place] + alphabet[rng.integers(len(alphabet))] + target[place + 1 :]

    return distract


CONTEXTUAL_SUBSTITUTION = Task(
    name="contextual_substitution",
    description=(
        "A demonstration built to meet the assumptions of a mathematical model of emergence: symbol i of the answer "
        "is a fixed function of letters i and i+1 of the source, so answer symbols are learned as one skill and "
        "succeed independently of each other. One subtask for each answer length from 1 to 10."
    ),
    preferred="exact_str_match",
    number=1,
    lengths=LENGTHS,
    source_slots=LENGTHS[-1] + 1,
    target_slots=LENGTHS[-1],
    shares_positions=True,
    # Half, because there are only 676 sources of answer length 1: an eighth of them would be a handful of likely ones.
    held_out_share=1 / 2,
    draw=_draw_substitution,
    key=str,
    distract=_change_one(ascii_uppercase),
    # Independent draws, so that success per token means the same at every length; short sources therefore repeat.
    distinct_items=False,
)


def _unordered(source: str) -> str:
    return " ".join(sorted(source.replace("+", "*").split("*")))


def _draw_product(rng: np.random.Generator, n: int, _length: int | None) -> list[Pair]:
    return [Pair(f"{a}*{b}", str(a * b)) for a, b in rng.integers(10, 100, size=(n, 2)).tolist()]


def _all_products() -> list[Pair]:
    return [Pair(f"{a}*{b}", str(a * b)) for a in range(10, 100) for b in range(10, 100)]


def _draw_sum(rng: np.random.Generator, n: int, _length: int | None) -> list[Pair]:
    return [Pair(f"{a}+{b}", str(a + b)) for a, b in rng.integers(1000, 10_000, size=(n, 2)).tolist()]


def _change_digit(rng: np.random.Generator, target: str) -> str:
    place = int(rng.integers(len(target)))
    # No number starts with zero.
    digit = int(rng.integers(1 if place == 0 else 0, 10))
    return f"{target[:place]}{digit}{target[place + 1 :]}"


TWO_DIGIT_MULTIPLICATION = Task(
    name="two_digit_multiplication",
    description="The product of two 2-digit integers, written most significant digit first.",
    preferred="exact_str_match",
    number=2,
    lengths=(),
    source_slots=5,
    target_slots=4,
    shares_positions=False,
    # There are 8,100 products; both orders of a held-out one are held out.
    held_out_share=1 / 8,
    draw=_draw_product,
    key=_unordered,
    distract=_change_digit,
    everything=_all_products,
)

FOUR_DIGIT_ADDITION = replace(
    TWO_DIGIT_MULTIPLICATION,
    name="four_digit_addition",
    description="The sum of two 4-digit integers, written most significant digit first.",
    number=3,
    source_slots=9,
    target_slots=5,
    draw=_draw_sum,
    everything=None,
)


_SORTED_LETTERS = 8


def _draw_sorting(rng: np.random.Generator, n: int, _length: int | None) -> list[Pair]:
    letters = np.argsort(rng.random((n, 26)), axis=1)[:, :_SORTED_LETTERS]
    return [Pair("".join(row), "".join(sorted(row))) for row in _LETTERS[letters].tolist()]


def _swap_two(rng: np.random.Generator, target: str) -> str:
    i, j = rng.choice(len(target), size=2, replace=False)
    letters = list(target)
    letters[i], letters[j] = letters[j], letters[i]
    return "".join(letters)


LETTER_SORTING = Task(
    name="letter_sorting",
    description="Eight different letters in alphabetical order, chosen among four orders of them by likelihood.",
    preferred="multiple_choice_grade",
    number=4,
    lengths=(),
    source_slots=_SORTED_LETTERS,
    target_slots=_SORTED_LETTERS,
    shares_positions=False,
    # Decided by the set of letters: no order of a held-out set is ever seen, and so no held-out answer.
    held_out_share=1 / 8,
    draw=_draw_sorting,
    key=lambda source: "".join(sorted(source)),
    distract=_swap_two,
)

TASKS = {
    task.name: task for task in (CONTEXTUAL_SUBSTITUTION, TWO_DIGIT_MULTIPLICATION, FOUR_DIGIT_ADDITION, LETTER_SORTING)
}
# (task, target length) scored on the large sample too: the demonstration at the length where exact match is hard,
# and the task of the paper that has enough items.
LARGE_SAMPLES: dict[str, int | None] = {"contextual_substitution": 8, "four_digit_addition": None}
