"""The ladder's design and tasks: what is trained on, what is held out, what is asked."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from bigbench_meta.experiments.ladder.catalog import LARGE_SAMPLES, TASKS, substitute
from bigbench_meta.experiments.ladder.grid import SEEDS, WIDTHS, non_embedding_params
from bigbench_meta.experiments.ladder.task_items import (
    CONTEXT,
    END,
    VOCABULARY,
    decode,
    encode,
    evaluation_items,
    large_sample,
    sequences,
    training_pairs,
)

SUBTASKS = [(name, length) for name, task in TASKS.items() for length in task.lengths or (None,)]


def _right_answer(task: str, source: str) -> str:
    """The target, worked out another way than the tasks do."""
    if task == "contextual_substitution":
        return "".join(substitute(pair) for pair in map("".join, pairwise(source)))
    if task == "letter_sorting":
        return "".join(letter for letter in "abcdefghijklmnopqrstuvwxyz" if letter in source)
    first, sign, second = source.partition("+" if "+" in source else "*")
    return str(int(first) + int(second) if sign == "+" else int(first) * int(second))


def test_the_grid_spans_two_decades_in_nine_sizes_and_three_seeds():
    """The design has the sizes and seeds that it promises, about evenly spaced."""
    scales = np.array([non_embedding_params(width) for width in WIDTHS])
    assert len(WIDTHS) >= 9
    assert len(SEEDS) >= 3
    assert math.log10(scales[-1] / scales[0]) > 2
    assert np.all((scales[1:] / scales[:-1] > 1.5) & (scales[1:] / scales[:-1] < 2.5))


@pytest.mark.parametrize("name", TASKS)
def test_targets_are_right(name):
    """Every drawn target is the right answer, worked out independently."""
    pairs = training_pairs(TASKS[name], rng=np.random.default_rng(3), n=300)
    assert all(pair.target == _right_answer(name, pair.source) for pair in pairs)


@pytest.mark.parametrize("name", TASKS)
def test_training_never_draws_a_held_out_item(name):
    """No training key is the key of a test item, and the held-out share is what the task says."""
    task = TASKS[name]
    trained = {task.key(pair.source) for pair in training_pairs(task, rng=np.random.default_rng(4), n=5000)}
    tested = {task.key(item.source) for length in task.lengths or (None,) for item in evaluation_items(task, length)}
    assert not trained & tested
    drawn = task.draw(np.random.default_rng(5), 4000, task.lengths[-1] if task.lengths else None)
    share = np.mean([task.is_held_out(pair.source) for pair in drawn])
    assert share == pytest.approx(task.held_out_share, abs=0.04)


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("four_digit_addition", "1234+5678", "5678+1234"),
        ("two_digit_multiplication", "12*34", "34*12"),
        ("letter_sorting", "abcdefgh", "hgfedcba"),
    ],
)
def test_equivalent_items_are_held_out_together(name, one, other):
    """Both orders of a sum or product, and all orders of a set of letters, fall on the same side."""
    assert TASKS[name].key(one) == TASKS[name].key(other)


@pytest.mark.parametrize(("name", "length"), SUBTASKS)
def test_items_are_the_same_every_time_and_have_four_options(name, length):
    """Test items do not change; each has four different options of its target's form, the target among them."""
    task = TASKS[name]
    items = evaluation_items(task, length, n=200)
    assert items == evaluation_items(task, length, n=200)
    for item in items:
        assert len(set(item.options)) == 4
        assert item.target in item.options
        assert {len(option) for option in item.options} == {len(item.target)}
        assert length is None or len(item.target) == length
        assert not any(option.startswith("0") for option in item.options)
    assert len({item.options.index(item.target) for item in items}) == 4


def test_multiplication_is_tested_on_all_held_out_products():
    """The small task is tested on every pair of factors that training never draws, in both orders."""
    items = evaluation_items(TASKS["two_digit_multiplication"], None)
    sources = {item.source for item in items}
    assert (
        len(sources)
        == len(items)
        == sum(
            TASKS["two_digit_multiplication"].is_held_out(f"{a}*{b}") for a in range(10, 100) for b in range(10, 100)
        )
    )
    assert {"*".join(reversed(source.split("*"))) for source in sources} == sources


@pytest.mark.parametrize("name", LARGE_SAMPLES)
def test_the_large_sample_is_held_out_and_another_draw(name):
    """The large sample is not the standard items again."""
    task, length = TASKS[name], LARGE_SAMPLES[name]
    pairs = large_sample(task, length, n=300)
    assert all(task.is_held_out(pair.source) for pair in pairs)
    assert [pair.source for pair in pairs] != [item.source for item in evaluation_items(task, length, n=300)]


def test_substitution_letters_are_skewed_and_lengths_even():
    """Letter k has probability proportional to 1/k; training lengths 1 to 10 are equally frequent."""
    pairs = TASKS["contextual_substitution"].draw(np.random.default_rng(6), 20_000, None)
    lengths = Counter(len(pair.target) for pair in pairs)
    assert sorted(lengths) == list(range(1, 11))
    assert min(lengths.values()) > 1800
    letters = Counter("".join(pair.source for pair in pairs))
    harmonic = sum(1 / k for k in range(1, 27))
    for place, letter in enumerate("abcz"):
        expected = 1 / {0: 1, 1: 2, 2: 3, 3: 26}[place] / harmonic
        assert letters[letter] / letters.total() == pytest.approx(expected, rel=0.1)


def test_a_sequence_is_laid_out_by_hand():
    """Source window, query mark, answer; labels begin at the query mark and end with the end mark."""
    task = TASKS["two_digit_multiplication"]
    inputs, labels = sequences(task, ["12*12"], ["144"])
    assert [VOCABULARY[token] for token in inputs[0]] == list("12*12=144_")
    assert [VOCABULARY[token] for token in labels[0, :4]] == ["1", "4", "4", END]
    assert labels[0, 4] == -100


def test_substitution_slots_share_their_positions():
    """The token that predicts target slot i has the position number of source slot i; others count on."""
    shared = TASKS["contextual_substitution"].positions
    assert shared.tolist() == [*range(11), *range(11)]
    assert TASKS["two_digit_multiplication"].positions.tolist() == list(range(10))
    assert all(task.positions.max() < CONTEXT for task in TASKS.values())


def test_text_survives_encoding_and_decoding_stops_at_the_end_mark():
    """Decoding gives back the text before the end mark."""
    assert decode(encode(["a1+Z;b"], 8)[0]) == "a1+Z"
    assert encode([""], 0).shape == (1, 0)
