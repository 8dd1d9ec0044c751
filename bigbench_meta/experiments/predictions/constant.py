"""What a model earns that ignores the question: the best constant answer, whole and token by token."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray


def constant_answer(targets: Iterable[str]) -> tuple[str, int]:
    """Best of two answers that ignore the question, and its hits: the commonest target, or the commonest character at each place.

    The latter, which is what a model without skill tends to say, never has more hits; on a tie the answer that sorts first is
    given.

    Examples
    --------
    >>> constant_answer(["13", "13", "42"]), constant_answer(["12", "13", "43"])
    (('13', 2), ('12', 1))
    """
    texts = list(targets)
    counts = Counter(texts)
    whole = min(counts, key=lambda text: (-counts[text], text))
    places: list[Counter[str]] = [Counter() for _ in range(max(map(len, counts)))]
    lengths: Counter[int] = Counter()
    for text, count in counts.items():
        lengths[len(text)] += count
        for place, character in zip(places, text, strict=False):
            place[character] += count
    length = min(lengths, key=lambda n: (-lengths[n], n))
    by_place = "".join(min(place, key=lambda c: (-place[c], c)) for place in places[:length])
    best = min((whole, by_place), key=lambda text: (-counts.get(text, 0), text))
    return best, counts.get(best, 0)


def constant_tokens(targets: Sequence[str], length: NDArray[np.float64]) -> float:
    """Share of the targets' tokens that the commonest token at each place gets right.

    Parameters
    ----------
    targets, length
        Each target and its number of tokens; a token is a character where that is the number of characters, else a word.

    Returns
    -------
    float
        In (0, 1); held below 1, so that there is always something to learn.

    Examples
    --------
    >>> import numpy as np
    >>> constant_tokens(["AX", "AY", "BY"], np.array([2, 2, 2]))  # A twice, Y twice, of 6
    0.6666666666666666
    """
    places: dict[int, Counter[str]] = {}
    for target, tokens in zip(targets, length, strict=True):
        for place, token in enumerate(target if len(target) == tokens else target.split()):
            places.setdefault(place, Counter())[token] += 1
    best = sum(max(counts.values()) for counts in places.values())
    return min(best / max(float(length.sum()), 1.0), 0.99)
