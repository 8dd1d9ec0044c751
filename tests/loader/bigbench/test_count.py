"""The count of numbers by the marks of a file, against what a JSON decoder and plain arithmetic say."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from score_files import ENTRY, document, entry

from bigbench_meta.loader.bigbench import count
from bigbench_meta.loader.bigbench.count import Outline, outline
from bigbench_meta.loader.bigbench.fast import PlainReader
from bigbench_meta.loader.columns import Columns

_names = st.text(max_size=8) | st.sampled_from(["scores", "score_dict", "queries", 'a"b', "a\\", "{", "}:,"])
_anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_names, inner, max_size=4),
    max_leaves=20,
)


def numbers_of(value: object) -> int:
    """Count by walking the decoded document: the definition, word for word."""
    scores = value.get("scores") if isinstance(value, dict) else None
    items = scores if isinstance(scores, list) else []
    dicts = [item.get("score_dict") for item in items if isinstance(item, dict)]
    return sum(len(found) for found in dicts if isinstance(found, dict))


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "scores": st.lists(st.dictionaries(st.sampled_from(["score_dict", "x"]), _anything, max_size=2), max_size=4)
            | _anything,
            "queries": _anything,
            "model": _anything,
        },
    ),
    st.sampled_from([None, 0, 2]),
    st.booleans(),
)
def test_agrees_with_a_decoder(value, indent, ascii_only):
    """On whole documents without repeated keys the marks give what a JSON decoder gives (Python's json)."""
    data = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    found = outline(data)
    assert found.numbers == numbers_of(value)
    assert found.complete


@given(_anything)
def test_spans_of_queries(value):
    """The span of `queries` holds exactly its value, if that is a list, an object or a text."""
    data = json.dumps({"a": {"queries": 1}, "queries": value, "b": 2}).encode("utf-8", "surrogatepass")
    spans = outline(data).queries
    assert len(spans) == isinstance(value, list | dict | str)
    for start, end in spans:
        assert repr(json.loads(data[start:end])) == repr(value)  # NaN is not equal to itself, but reads alike


@given(st.binary(max_size=200))
def test_never_fails(data):
    """Any bytes at all have an outline, and it is found in one pass."""
    assert outline(data).numbers >= 0


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("", 0),
        (document(), 2),
        (document(ENTRY, ENTRY), 4),
        (f"[{document()}]", 2),
        (f"[{document()}, {document()}]", 4),
        ('{"scores": [{"score_dict": {"a": 1, "a": 2}, "score_dict": {"b": [1, {"c": 2}]}}]}', 3),
        ('{"scores": [{"score_dict": {"a": 1', 1),
        ('{"scores": [{"score_dict": {"a": "cut\\', 1),
        ('{"scores": [{"score_dict": {"a":', 0),
        ('{"scores": {"score_dict": {"a": 1}}}', 0),
        ('{"scores": [[{"score_dict": {"a": 1}}]]}', 0),
        ('{"model": {"scores": [{"score_dict": {"a": 1}}]}}', 0),
        ('{"sc\\u006fres": [{"score_dict": {"a": 1}}]}', 1),
        (document(entry('x"}], {"score_dict": {"y": 1}')), 1),
    ],
)
def test_by_hand(text, numbers):
    """Hand-counted documents, whole, cut off and misleading."""
    assert outline(text.encode()).numbers == numbers


def mark_by_mark(data: bytes) -> Outline:
    """The outline without the shortcut for runs of pairs: the plain reference."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(count, "_PAIRS", re.compile(b""))
        return outline(data)


_TEXT = document(
    ENTRY, entry("navigate:part", rougeLsum="3", bleu='"a, b: {c"'), "{}", '{"score_dict": {"a": [1], "b": 2}}'
)


@given(
    st.lists(
        st.tuples(st.integers(0, len(_TEXT) - 1), st.sampled_from([*'{}[]",:\\ x', ""]), st.booleans()), max_size=4
    ),
    st.integers(0, len(_TEXT)),
)
def test_runs_count_as_mark_by_mark(changes, end):
    """Passing over runs of pairs at once changes nothing, in whole, damaged and cut off files."""
    text = _TEXT
    for position, character, insert in changes:
        text = text[:position] + character + text[position + (not insert) :]
    for data in (text.encode(), text.encode()[:end]):
        assert outline(data) == mark_by_mark(data)


def test_cut_off_is_not_complete():
    """No proper beginning of a document is complete."""
    data = document().encode()
    assert not any(outline(data[:end]).complete for end in range(len(data)))
    assert outline(data).complete


@pytest.mark.parametrize("word", ["nuell", "1 2", "-", "truefalse"])
def test_queries_that_are_no_json(word):
    """Only lists, objects and texts are passed over: a bare word in their place is the decoder's, which refuses the file."""
    assert outline(b'{"queries": %b}' % word.encode()).queries == ()
    columns = Columns()
    PlainReader(columns).read(document(queries=word).encode(), file="f", folder_task=None)
    (problem,) = columns.problems
    assert problem.problem.startswith("not JSON")
    assert (problem.numbers, columns.on_disk, len(columns.scores)) == (2, 2, 0)
