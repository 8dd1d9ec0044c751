"""Readers of harness results under attack: structured fuzzing, hostile zips, deep and huge JSON. No number is lost."""

from __future__ import annotations

import copy
import io
import json
import struct
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loader.harness import made

import bigbench_meta as bm
from bigbench_meta.fetcher.checkout import Checkout, Entry
from bigbench_meta.loader.harness import inspect_ai, json_file
from bigbench_meta.loader.harness.many import read_source
from bigbench_meta.loader.harness.recognise import recognise
from bigbench_meta.loader.harness.tally import tally

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MODELS = bm.models()
BASES: dict[str, list[dict[str, object]]] = {
    "lm-eval": [{"a.json": made.lm_eval()}, {"b.json": made.lm_eval("org/mine-2b")}],
    "lm-eval-old": [
        {"a.json": made.lm_eval_old()},
        {"b.json": made.lm_eval_old("mine-2b", t={"acc": 0.5, "ppl": 3.0})},
    ],
    "inspect": [{"a.json": made.inspect_log()}],
    "every-eval-ever": [{"a.json": made.every_eval_ever()}],
    "lighteval": [{"a.json": made.lighteval()}],
    "helm": [made.helm()],
}
VALUES = st.sampled_from(
    [None, True, False, 0, -1, 1.5, float("nan"), float("inf"), 10**400, "0.5", "nan", "--inf", "+-nan", "N/A", "", "x" * 300, "\ud800", "a\0b",
     [], [1, 2], {}, {"acc": 1}, {"*": {"*": 2}}, [[[[]]]], {"value": "C"}]
)  # fmt: skip
NAMES = st.sampled_from(
    [
        "acc",
        "acc,none",
        "acc_stderr",
        "results",
        "*",
        "",
        " ",
        "scores",
        "metrics",
        "value",
        "mean",
        "name",
        "\ud800",
        "score",
        "{task}",
    ]
)


@dataclass(frozen=True)
class Held:
    """A source whose files are in memory."""

    files: dict[str, bytes]
    source: str = "held"
    skipped: tuple[()] = ()

    @property
    def entries(self) -> tuple[Entry, ...]:
        return tuple(Entry(path, None, len(data)) for path, data in self.files.items())

    def read(self, entries: list[Entry]) -> Iterator[tuple[Entry, bytes]]:
        return ((entry, self.files[entry.path]) for entry in entries)


def balanced(files: dict[str, bytes]) -> bool:
    """Whether every number of the files is a row or explained."""
    source: Any = Held(files)
    loaded = read_source(source, MODELS)
    return loaded.on_disk == len(loaded.frame) + sum(problem.numbers for problem in loaded.problems)


def places(value: object, way: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    """Return the ways to all values of a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [way, *(place for key, each in inner for place in places(each, (*way, key)))]


def mutated(document: Any, data: st.DataObject) -> Any:
    """Replace, rename or remove one value."""
    way = data.draw(st.sampled_from(places(document)))
    if not way:
        return copy.deepcopy(data.draw(VALUES))
    holder = document
    for step in way[:-1]:
        holder = holder[step]
    action = data.draw(st.sampled_from(["replace", "remove", "rename", "again"]))
    if action == "remove":
        del holder[way[-1]]
    elif action == "rename" and isinstance(holder, dict):
        holder[data.draw(NAMES)] = holder.pop(way[-1])
    elif action == "again" and isinstance(holder, dict):
        holder[f"{way[-1]}\x01"] = copy.deepcopy(
            data.draw(VALUES)
        )  # the mark is taken out of the text: a key that stands twice
    else:
        holder[way[-1]] = copy.deepcopy(data.draw(VALUES))
    return document


@pytest.mark.parametrize("name", BASES)
@settings(max_examples=settings.default.max_examples // 4 if settings.default else 50)
@given(data=st.data())
def test_no_number_is_lost(name: str, data: st.DataObject):
    """Files with values replaced, removed, renamed, repeated, cut off and put together: each number is a row or a problem."""
    files: dict[str, bytes] = {}
    for base in data.draw(st.lists(st.sampled_from(BASES[name]), min_size=1, max_size=2)):
        for path, content in base.items():
            document = copy.deepcopy(content)
            for _ in range(data.draw(st.integers(0, 3))):
                document = mutated(document, data)
            text = json.dumps(document).replace("\\u0001", "")
            cut = data.draw(st.integers(0, len(text))) if data.draw(st.integers(0, 5)) == 0 else len(text)
            files[path] = text[:cut].encode("utf-8", "surrogatepass")
    assert balanced(files)


@given(st.binary(max_size=200) | st.text(alphabet='{}[]":,a1 \\\n', max_size=200).map(str.encode))
def test_any_bytes(data: bytes):
    """Bytes that are no result file are named as such, and nothing fails."""
    source: Any = Held({"a.json": data, "b.json": b'{"results": ' + data + b', "config": {}}'})
    loaded = read_source(source, MODELS)
    assert loaded.on_disk == len(loaded.frame) + sum(problem.numbers for problem in loaded.problems)


@given(st.data())
def test_counts_of_marks_are_those_of_a_decoder(data: st.DataObject):
    """On plain JSON without repeated keys the tally of the marks is what plain loops over the decoded file count."""
    leaf = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
    value = data.draw(
        st.recursive(
            leaf,
            lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
            max_leaves=20,
        )
    )
    text = json.dumps({"results": value}).encode()
    start = json_file.top_level(text).parts[0].start
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    expected = sum(len(each) for each in inner if isinstance(each, dict | list))
    assert tally(text, start, [("*", "*")], is_score=lambda keys: True) == expected


def test_deep_json():
    """A hundred thousand brackets are a problem, not a crash."""
    deep = "[" * 100_000 + "]" * 100_000
    for text in (
        f'{{"results": {{"t": {{"acc": {deep}}}}}, "config": {{}}}}',
        f'{{"results": {{}}, "config": {deep}}}',
        deep,
    ):
        assert balanced({"a.json": text.encode()})


def test_many_values():
    """A file with more values than any results have is refused by their number, before it is decoded."""
    numbers = ", ".join(f'"m{i}": 1' for i in range(json_file.MAX_PART_VALUES + 1))
    source: Any = Held({"a.json": f'{{"results": {{"t": {{{numbers}}}}}, "config": {{}}}}'.encode()})
    loaded = read_source(source, MODELS)
    assert loaded.frame.empty
    assert loaded.problems[0].problem.endswith("values")
    assert loaded.problems[0].numbers == loaded.on_disk == json_file.MAX_PART_VALUES + 1


def zipped(header: bytes = b"", **members: bytes) -> bytes:
    """A zip of members, stored, as older versions of inspect_ai write them."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        if header:
            archive.writestr(zipfile.ZipInfo("header.json"), header)
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name.replace("__", "/")), content)
    return file.getvalue()


def with_zstd(header: bytes, *, size: int | None = None, crc: int | None = None) -> bytes:
    """A zip whose one member is compressed by zstd, with the size and checksum that it promises."""
    packed = pa.compress(header, codec="zstd", asbytes=True)
    name = b"header.json"
    real = zipfile.crc32(header) if crc is None else crc
    promised = len(header) if size is None else size
    local = (
        struct.pack("<4sHHHHHIIIHH", b"PK\x03\x04", 63, 0, 93, 0, 33, real, len(packed), promised, len(name), 0)
        + name
        + packed
    )
    central = (
        struct.pack(
            "<4sHHHHHHIIIHHHHHII",
            b"PK\x01\x02",
            63,
            63,
            0,
            93,
            0,
            33,
            real,
            len(packed),
            promised,
            len(name),
            0,
            0,
            0,
            0,
            0,
            0,
        )
        + name
    )
    return local + central + struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 1, 1, len(central), len(local), 0)


LOG = json.dumps(made.inspect_log()).encode()


@pytest.mark.parametrize("log", [zipped(LOG), with_zstd(LOG)], ids=["stored", "zstd"])
def test_whole_zips(log: bytes):
    """Stored and zstd members are read."""
    source: Any = Held({"a.eval": log})
    assert read_source(source, MODELS).frame["score"].tolist() == [0.5]


@pytest.mark.parametrize(
    ("log", "problem"),
    [
        (zipped(LOG)[:-30], "a damaged zip"),
        (zipped(LOG)[:40], "a damaged zip"),
        (with_zstd(LOG, size=len(LOG) + 1), "a damaged zip"),
        (with_zstd(LOG, size=10), "a damaged zip"),
        (with_zstd(LOG, crc=1), "a damaged zip (the checksum of the header differs)"),
        (with_zstd(LOG, size=1 << 31), f"{1 << 31} bytes"),
        (with_zstd(LOG).replace(b"\x28\xb5\x2f\xfd", b"\0\0\0\0"), "a damaged zip"),
        (zipped(_journal__start_json=b"{}"), "the zip holds 0 members header.json: no log of inspect_ai"),
        (zipped(**{"_journal__start.json": b"{}"}), "the zip holds 0 members header.json: the run did not finish"),
        (zipped(b"[" * 50_000), "no file of results"),
        (b"PK\x03\x04" + bytes(1000), "a damaged zip"),
    ],
    ids=[
        "cut",
        "cut early",
        "too short",
        "too long",
        "checksum",
        "huge",
        "no zstd",
        "no header",
        "unfinished",
        "deep",
        "no zip",
    ],
)
def test_hostile_zips(log: bytes, problem: str):
    """Damaged, unfinished and lying zips are problems with a cure; a promise of gigabytes is not tried."""
    source: Any = Held({"a.eval": log, "b.json": LOG})
    loaded = read_source(source, MODELS)
    assert len(loaded.frame) == 1
    found = [each for each in loaded.problems if each.file == "a.eval"]
    assert len(found) == 1
    assert problem in found[0].problem or "ends before its brackets close" in found[0].problem


def test_zip_with_two_headers():
    """Which one counts cannot be known."""
    once = zipped(LOG, header_json=b"{}")
    twice = once.replace(b"header_json", b"header.json")
    with pytest.raises(json_file.UnusableError, match="holds 2 members"):
        inspect_ai.header(twice)


def test_encrypted_zip():
    """A member that needs a password is damage to this reader."""
    log = bytearray(zipped(LOG))
    log[6] |= 1
    at = log.index(b"PK\x01\x02")
    log[at + 8] |= 1
    with pytest.raises(json_file.UnusableError, match="a damaged zip"):
        inspect_ai.header(bytes(log))


def test_names_that_reach_a_format_string(tmp_path: Path):
    """Braces and percent signs in names are text: paths of columns are filled in with them, not made of them."""
    names = ["{task}", "{0}", "%s", "{task.__class__}", "a{"]
    data = made.lm_eval() | {
        "results": {name: {"acc,none": 0.5, f"{name},none": 0.25} for name in names}, "n-shot": dict.fromkeys(names, 3), "n-samples": {},
    }  # fmt: skip
    made.write(tmp_path / "source", {"a.json": data})
    frame = bm.load_results(tmp_path / "source").frame
    assert len(frame) == 2 * len(names)
    assert set(frame["shots"]) == {3}


def test_large_logs_are_not_decoded():
    """Samples of a log are passed over by their marks: what is decoded is small."""
    samples = ", ".join(['{"scores": {"accuracy": {"value": 1}}}'] * 20_000)
    text = LOG[:-1] + b', "samples": [' + samples.encode() + b"]}"
    kind = recognise(text)
    assert kind.top is not None
    assert [part.key for part in kind.top.parts][-1] == "samples"
    assert balanced({"a.json": text})


def test_files_beyond_the_limit(monkeypatch: pytest.MonkeyPatch):
    """A file of more bytes than may be read is named and not read."""
    monkeypatch.setattr("bigbench_meta.loader.harness.many.MAX_FILE_BYTES", 10)
    source: Any = Held({"a.json": LOG})
    loaded = read_source(source, MODELS)
    assert "at most 10 bytes in a file" in loaded.problems[0].expected


def test_checkouts_are_what_is_read():
    """The stand-in for a source has what the reader uses of a checkout."""
    assert {"entries", "read", "skipped", "source"} <= {*dir(Held({})), *Checkout.__dataclass_fields__}
