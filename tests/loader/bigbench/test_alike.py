"""Recognising files that are an earlier one with other numbers, by their bytes."""

from __future__ import annotations

import json
from array import array

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from score_files import ENTRY, document, entry

from bigbench_meta.loader.bigbench.alike import after_entries, cut, numbers_like, pattern_of
from bigbench_meta.loader.columns import Layout

TEXT = '{"scores": [{"score_dict": {"a": 1, "b c": 0.5}, "low": 0}, {"score_dict": {"b c": 2}, "low": 5}], "model": {"x": {}}}'
NUMBERS = [1.0, 0.5, 2.0]


def layout(text):
    """The layout that a decoder finds in a file, as far as patterns look at it."""
    dicts = [each["score_dict"] for each in json.loads(text)["scores"]]
    count = len(dicts)
    return Layout(
        places=tuple(range(count)),
        subtasks=("s",) * count,
        shots=(0,) * count,
        trials=(0,) * count,
        preferred=(None,) * count,
        lows=(0.0,) * count,
        highs=(1.0,) * count,
        sizes=tuple(map(len, dicts)),
        metrics=tuple(name for each in dicts for name in each),
    )


def pattern(text):
    numbers = [number for each in json.loads(text)["scores"] for number in each["score_dict"].values()]
    return pattern_of(cut(text.encode()), layout(text), array("d", numbers))


def like(text, other):
    """The numbers of one file if it has the pattern of the other."""
    numbers = numbers_like(cut(text.encode("utf-8", "surrogateescape")), pattern(other))
    return None if numbers is None else list(numbers)


def test_the_pattern_of_a_file():
    """Opening, way between entries, heads, names and marks are as cut by hand."""
    found = pattern(TEXT)
    assert found.opening == b'{"scores": [{"score_dict": {'
    assert found.way == b', {"score_dict": {'
    assert found.heads == [b', "low": 0', b', "low": 5']
    assert found.names == ["a", "b c", "b c"]
    assert found.marks == b":,:}:"
    assert after_entries(cut(TEXT.encode()), found) == b'{"scores":[], "model": {"x": {}}}'


def test_other_numbers_and_what_follows():
    """A file with other numbers, other white space among them and another model has the pattern."""
    other = TEXT.replace("1,", "-3e2 ,\n").replace("{}", "4")
    assert like(other, TEXT) == [-300.0, 0.5, 2.0]
    assert after_entries(cut(other.encode()), pattern(TEXT)) == b'{"scores":[], "model": {"x": 4}}'


def test_as_published_files_are_laid_out():
    """A file as published has a pattern, and by it the numbers that a JSON decoder finds."""
    text = document(ENTRY, entry("b: c", bleu="3"), entry("d", bleu="4", rouge1="5"))
    whole = json.loads(text)
    assert like(text, text) == [number for each in whole["scores"] for number in each["score_dict"].values()]
    assert json.loads(after_entries(cut(text.encode()), pattern(text))) == whole | {"scores": []}


@pytest.mark.parametrize(
    "other",
    [
        TEXT.replace('"low": 0', '"low": 1'),
        TEXT.replace('"scores"', '"queries": 0, "scores"'),
        TEXT.replace('{"score_dict": {"a": 1, "b c": 0.5}, "low": 0}, ', ""),
        "",
        "}}}}",
        TEXT.replace('"a"', '"b"'),
        TEXT.replace("1", '"1"'),
        TEXT.replace("1", "null"),
        TEXT.replace("1", "01"),
        TEXT.replace("1", ""),
        TEXT.replace("1", "1 2"),
        TEXT.replace("1,", "1 .5,"),
        TEXT.replace('{"a"', '{5"a"'),
        TEXT.replace('"a": 1,', '"a": , 1'),
        TEXT.replace("1, ", "1, 7 ").replace("0.5", ""),
        TEXT.replace('"a": 1, ', '"a", 1: '),
        TEXT.replace(', "b c": 0.5', "").replace('{"b c": 2', '{"b c": 0.5, "b c": 2'),
        TEXT.replace('0.5}, "low": 0}, {"score_dict": {', '0.5, {"score_dict": {}, "low": 0}'),
        TEXT.replace("2}", '2, "c": 3}'),
        TEXT.replace('{"score_dict": {"b c"', '{"score_dict" : {"b c"'),
        TEXT.replace('"a"', '"\\udc81"'),
    ],
)
def test_files_that_say_other_things(other):
    """Anything that differs beside the numbers, and anything that is no number where one should stand, has no pattern."""
    assert other != TEXT
    assert like(other, TEXT) is None


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace('"a"', '"a}"'),
        TEXT.replace('"a"', '"a: b"'),
        TEXT.replace('"scores"', '"task": {}, "scores"'),
        TEXT.replace('{"score_dict": {"a": 1, "b c": 0.5}, "low": 0}', '{"low": 0, "score_dict": {"a": 1}}'),
        '{"scores": []}',
    ],
)
def test_files_without_a_pattern(text):
    """Braces in a text, a colon in a name, entries or numbers that do not come first: nothing is recognised."""
    assert pattern(text) is None


def test_escaped_names_have_a_pattern():
    """An escape in the name of a metric is decoded."""
    assert like(TEXT.replace('"a"', '"\\u0061"'), TEXT) == NUMBERS
    assert like(TEXT.replace("1", "3").replace('"a"', '"\\u00e9"'), TEXT.replace('"a"', '"\\u00e9"')) == [3.0, 0.5, 2.0]


def plainly(text):
    """Plain reference: what a JSON file says with the names alone of its numbers, and the numbers; None if it is none."""
    numbers = []

    def without_numbers(pairs):
        if any(name in ("a", "b c") for name, _ in pairs):
            numbers.extend(value for _, value in pairs)
            return [name for name, _ in pairs]
        return pairs

    try:
        return json.loads(text, object_pairs_hook=without_numbers), numbers
    except json.JSONDecodeError:
        return None


@settings(max_examples=3 * settings().max_examples)
@example(position=96, character="0", how="insert")  # a number between the last entry and the end of the list
@given(
    st.integers(0, len(TEXT) - 1),
    st.sampled_from(list('{}[]",:0e-. \nx7')),
    st.sampled_from(["put", "insert", "delete"]),
)
def test_whatever_has_the_pattern_says_the_same(position, character, how):
    """One byte put, added or taken: a file that is read by the pattern is JSON that differs in its numbers alone."""
    other = TEXT[:position] + {"put": character, "insert": character + TEXT[position], "delete": ""}[how]
    other += TEXT[position + 1 :]
    numbers, rest = like(other, TEXT), plainly(after_entries(cut(other.encode()), pattern(TEXT)).decode())
    # The reader goes on only where what follows the entries begins as it did in the earlier file.
    if numbers is not None and rest is not None and rest[0][:1] == [("scores", [])]:
        (scores, model), expected = plainly(other)
        assert (scores, numbers) == (plainly(TEXT)[0][0], expected)
        assert [("scores", []), model] == rest[0]
