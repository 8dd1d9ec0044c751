"""What counts as a number: Python's own ``float`` is the judge of every text, less what JSON and tables do not write."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigbench_meta.values import as_number

SIGNS = ["".join(signs) for length in range(4) for signs in itertools.product("+-", repeat=length)]
WORDS = ["nan", "NaN", "inf", "INF", "infinity", "Infinity", "infinit", "1", ".5", "2.", "1e5", "1E-5", "e5", ""]


def by_python(text: str) -> float | None:
    """What ``float`` makes of a text; None for digits with underscores and of other scripts, which it takes too."""
    if "_" in text or any(character.isdigit() and not character.isascii() for character in text):
        return None
    try:
        return float(text)
    except ValueError:
        return None


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("sign", SIGNS)
def test_every_sign_before_every_word(sign, word):
    """No sign, one, two or three before a number or a word for none: a float where Python has one, else None."""
    for text in (sign + word, f" {sign}{word}\n", sign + " " + word if sign else word):
        number, expected = as_number(text), by_python(text)
        assert number == expected or (number is not None and math.isnan(number) and math.isnan(expected))


@given(st.lists(st.sampled_from([*"+-. e0", "nan", "inf", "inity", "\u0661", "_", "\u0131"]), max_size=6).map("".join))
def test_texts_of_the_parts_of_numbers(text):
    """Whatever the parts of numbers make together."""
    number, expected = as_number(text), by_python(text)
    assert number == expected or (number is not None and math.isnan(number) and math.isnan(expected))
