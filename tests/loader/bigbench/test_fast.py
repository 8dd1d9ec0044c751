"""The fast and the careful reader must agree, and together account for every number of any file."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from score_files import ENTRY, MODEL, document, entry, model_named

from bigbench_meta.loader.assemble import assemble
from bigbench_meta.loader.bigbench.careful import read_carefully
from bigbench_meta.loader.bigbench.fast import PlainReader
from bigbench_meta.loader.columns import Columns

_metric = st.sampled_from(["bleu", "rouge1", "rougeLsum", "exact_str_match", "a b", 'q"uote', "caf\u00e9", ""])
_plain_value = (st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**18), 10**18)).map(json.dumps)
# Two signs before a word are no number: text that looks like one.
_NOTHING: st.SearchStrategy[str] = st.nothing()
_signed = st.builds(
    lambda signs, word: json.dumps(signs + word),
    st.text("+-", max_size=3),
    st.sampled_from(["nan", "inf", "Infinity", "1", ".5", "1e5", ""]),
)
_odd_value = _signed | st.sampled_from(
    [
        "NaN",
        "-Infinity",
        "null",
        '"0.5"',
        "true",
        '"text"',
        "[1, 2]",
        '{"a": 1}',
        "1e999",
        "9" * 350,
        '"\\ud800"',
        "-0",
        "1E2",
    ]
)
_string = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(["navigate", "a: b", "trial_0"])


@st.composite
def _entries(draw: st.DrawFn, values: st.SearchStrategy[str], odd: st.SearchStrategy[str] = _NOTHING) -> str:
    pairs = draw(st.lists(st.tuples(_metric, values), max_size=4))
    fields = {
        "score_dict": "{" + ", ".join(f"{json.dumps(name)}: {value}" for name, value in pairs) + "}",
        "preferred_score": json.dumps(
            draw(st.sampled_from([name for name, _ in pairs] or ["bleu"]) | st.just("rouge"))
        ),
        "number_of_shots": draw(odd | st.integers(-1, 3).map(str)),
        "low_score": draw(odd | st.sampled_from(["0", "0.25", "-1.5"])),
        "high_score": draw(odd | st.sampled_from(["1.0", "100"])),
        "subtask_description": json.dumps(draw(_string), ensure_ascii=draw(st.booleans())),
    }
    order = draw(st.permutations(list(fields.items())))
    return "{" + ", ".join(f'"{name}": {value}' for name, value in order) + "}"


def carefully(data: bytes) -> Columns:
    columns = Columns()
    read_carefully(data, file="f", folder_task="navigate", into=columns)
    return columns


def fast(data: bytes) -> tuple[Columns, bool]:
    columns = Columns()
    plain = PlainReader(columns)._read_fast(data, file="f", folder_task="navigate")
    return columns, plain


def assert_accounted(columns: Columns) -> None:
    """Every number seen on disk is a row or explained, also after repeats between files are taken out."""
    explained = sum(problem.numbers for problem in columns.problems)
    assert columns.on_disk == len(columns.scores) + explained
    frame, repeats = assemble(columns)
    assert columns.on_disk == len(frame) + explained + len(repeats)


@given(st.lists(_entries(_plain_value), min_size=1, max_size=4))
def test_plain_files_read_alike(entries):
    """Whatever the fast reader takes, the careful one reads to the same table and finds nothing odd."""
    data = document(*entries).encode()
    columns, plain = fast(data)
    slow = carefully(data)
    assert_accounted(slow)
    if plain:
        assert not slow.problems
        assert columns.on_disk == slow.on_disk
        assert assemble(columns)[0].equals(assemble(slow)[0])
    else:
        assert columns == replace(Columns(), layouts=columns.layouts)


def test_ordinary_files_are_plain():
    """The fast reader takes what published files look like, free text and colons included."""
    for text in (
        document(),
        document(ENTRY, entry("Is it so, or not? (a: b) {c}", shots=2), queries='[{"input": "say \\"x\\""}]'),
        document(entry("a", preferred="rouge", rougeLsum="3")),
        json.dumps(json.loads(document())),
        json.dumps(json.loads(document()), indent=1, sort_keys=True),
    ):
        assert fast(text.encode())[1]


@pytest.mark.parametrize(
    "text",
    [
        document(
            ENTRY.replace(
                '"multiple_choice_grade": 0.4737', '"multiple_choice_grade": 0.1, "multiple_choice_grade": 0.4737'
            )
        ),
        document(ENTRY.replace('"low_score": 0.5', '"low_score": 0.5, "low_score" : 0.25')),
        document(ENTRY.replace('"low_score": 0.5', '"low_score": 0.5, "extra": 1')),
        document(ENTRY, ENTRY),
        document(entry("")),
        document(entry("a", low="100")),
        document(entry("a", preferred="other")),
        document(entry("a", bleu="1e999")),
        document(entry("a\u00e9").replace("\\u00e9", "\\n")),
        document(model=MODEL.replace("137440272384", "0")),
        document().replace('"queries"', '"queries": 1, "queries"'),
        document(task="other"),
    ],
)
def test_odd_files_are_not_plain(text):
    """Whatever needs a record or a second look is left to the careful reader."""
    assert not fast(text.encode())[1]


@settings(max_examples=2 * settings().max_examples)
@given(
    st.lists(_entries(_plain_value | _odd_value, _odd_value), max_size=4),
    st.lists(
        st.tuples(st.integers(0, 3000), st.sampled_from(["delete", "double", "flip"]), st.integers(1, 40)), max_size=3
    ),
)
def test_every_number_is_accounted_for(entries, damage):
    """Odd values, repeated keys and damaged bytes: no exception, and every number is a row or explained."""
    data = document(*(entries or [ENTRY])).encode()
    for position, how, length in damage:
        at = position % len(data)
        piece = data[at : at + length]
        new = {"delete": b"", "double": piece * 2, "flip": bytes(byte ^ 0x15 for byte in piece)}[how]
        data = data[:at] + new + data[at + length :]
        if not data:
            break
    columns = Columns()
    PlainReader(columns).read(data, file="a", folder_task="navigate")
    PlainReader(columns).read(document().encode(), file="b", folder_task="navigate")
    assert_accounted(columns)


@given(st.binary(max_size=300))
def test_any_bytes(data):
    """Bytes of any kind are read without an exception."""
    columns = Columns()
    PlainReader(columns).read(data, file="a", folder_task=None)
    assert_accounted(columns)


def rows_of(*files: str) -> tuple[Columns, Columns]:
    """The same files through the fast reader, which may recognise the second by the first, and the careful one."""
    fast, slow = Columns(), Columns()
    reader = PlainReader(fast)
    for number, text in enumerate(files):
        reader.read(text.encode(), file=f"f{number}", folder_task="navigate")
        read_carefully(text.encode(), file=f"f{number}", folder_task="navigate", into=slow)
    return fast, slow


def assert_same(fast: Columns, slow: Columns) -> None:
    assert_accounted(fast)
    assert fast.on_disk == slow.on_disk
    assert fast.problems == slow.problems
    assert assemble(fast)[0].equals(assemble(slow)[0])


OTHER = model_named("8b")
TWO = document(ENTRY, entry("navigate:part", bleu="12.5"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0.4737", "0.5"),
        ("12.5", "-1e3"),
        ("0.4737", "NaN"),
        ("0.4737", '"0.5"'),
        ("0.4737", '0.5, "multiple_choice_grade": 0.25'),
        ('"bleu"', '"rouge1"'),
        ('"multiple_choice_grade": 0.4737,', ""),
        ('"number_of_shots": 3', '"number_of_shots": 2'),
        ('"low_score": 0.5', '"low_score": 0.25'),
        ("navigate:part", "navigate:path"),
        ('"preferred_score": "bleu"', '"preferred_score": "bleu", "extra": {}'),
        ('{"score_dict": {"bleu"', '{"number_of_shots": 7, "score_dict": {"bleu"'),
        ('{"score_dict": {"bleu"', '{"score_dict": {}, "score_dict": {"bleu"'),
        ('"task": {', '"scores": [], "task": {'),
        ('"task": {', '"extra": {"a": {}}, "task": {'),
        ('"task_name": "navigate"', '"task_name": "other"'),
        ('"task_name": "navigate"', '"task_name": "navigate", "more": {}'),
        ('"queries": null', '"queries": [{"score_dict": {"bleu": 1}}]'),
        ("null\n}", "null"),
        ("12.5}", "12.5"),
        ('"bleu"', '"bl}eu"'),
        ('"navigate"\n    }', '"navi}gate"\n    }'),
        ('"bleu"', '"bl\\u0065u"'),
    ],
)
def test_files_that_are_almost_alike(old, new):
    """A file recognised by an earlier one gives what the careful reader gives, whatever else it says."""
    later = TWO.replace(MODEL, OTHER).replace(old, new)
    assert later not in (TWO, TWO.replace(MODEL, OTHER))
    assert_same(*rows_of(TWO, later, TWO.replace("128b", "4b")))
    assert_same(*rows_of(later, TWO.replace(MODEL, OTHER)))


@given(st.lists(_entries(_plain_value), min_size=1, max_size=3), st.data())
def test_other_numbers_in_the_same_words(entries, data):
    """Files that differ in their numbers and model alone are read as the careful reader reads them, odd numbers too."""
    text = document(*entries)
    later = re.sub(r'(?<=": )-?[0-9.eE+-]+(?=[,}] ?["}])', lambda _: data.draw(_plain_value | _odd_value), text)
    assert_same(*rows_of(text, later.replace(MODEL, OTHER)))


@settings(max_examples=3 * settings().max_examples)
@given(st.integers(0, 4000), st.sampled_from(list('{}[]",:0e- \\n\\\\x')), st.sampled_from(["put", "insert", "delete"]))
def test_one_byte_of_difference(position, character, how):
    """One byte put, added or taken anywhere in a file like an earlier one changes nothing but what it means."""
    text = TWO.replace(MODEL, OTHER)
    at = position % len(text)
    later = text[:at] + {"put": character, "insert": character + text[at], "delete": ""}[how] + text[at + 1 :]
    assert_same(*rows_of(TWO, later))


def test_most_files_of_a_task_are_read_by_their_first(monkeypatch):
    """The heads of a task's later files are not decoded again."""
    columns = Columns()
    reader = PlainReader(columns)
    reader.read(TWO.encode(), file="a", folder_task="navigate")
    monkeypatch.setattr("bigbench_meta.loader.bigbench.fast._decode", None)
    reader.read(TWO.replace(MODEL, OTHER).replace("12.5", "13.5").encode(), file="b", folder_task="navigate")
    assert list(columns.scores) == [0.4737, 0.2129, 12.5, 0.4737, 0.2129, 13.5]


def test_files_of_a_task_that_take_turns(monkeypatch):
    """Where files of a task have as many entries but other shots, each is read by the last one like it."""
    other = TWO.replace('"number_of_shots": 3', '"number_of_shots": 2')
    texts = [text.replace("12.5", f"{number}.5") for number, text in enumerate([TWO, other] * 3)]
    fast, slow = rows_of(*texts)
    assert fast.layout_of_file == [0, 1] * 3
    assert assemble(fast)[1] == assemble(slow)[1]
    columns = Columns()
    reader = PlainReader(columns)
    for number, text in enumerate(texts):
        reader.read(text.encode(), file=str(number), folder_task="navigate")
        if number == 1:
            monkeypatch.setattr("bigbench_meta.loader.bigbench.fast._decode", None)
    assert list(columns.scores) == list(fast.scores)


@pytest.mark.parametrize(
    ("old", "new"),
    [('"total_params"', '"model_name": "twice", "total_params"'), ("137440272384", '"many"'), ("null", "[]")],
)
def test_what_follows_the_entries_may_be_odd(old, new):
    """A file recognised by its entries is still read as the careful reader reads it if its model or rest is odd."""
    later = TWO.replace(MODEL, OTHER).replace(old, new)
    assert later != TWO.replace(MODEL, OTHER)
    assert_same(*rows_of(TWO, later, later, TWO))
