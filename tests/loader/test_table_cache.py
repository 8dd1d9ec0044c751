"""The cache of loaded tables: the same bytes as a fresh load, or none at all."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from score_files import document, entry, put

from bigbench_meta.errors import LoadError
from bigbench_meta.fetcher import fetch
from bigbench_meta.fetcher.checkout import Checkout
from bigbench_meta.loader import Results, load_results, table_cache

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A small repository with a problem in it, cached although it is small and new."""
    monkeypatch.setattr(table_cache, "_MIN_FILES", 0)
    monkeypatch.setattr(table_cache, "_SETTLED_SECONDS", -60.0)
    for task in ("navigate", "other"):
        put(tmp_path / "root", document(entry("a", bleu="1.5"), entry("b", bleu='"x"'), task=task), task=task)
    return tmp_path / "root"


@pytest.fixture
def no_reading(monkeypatch):
    """Any reading of score files fails."""

    def refuse(*args: object) -> None:
        raise AssertionError("score files were read")

    def start() -> None:
        monkeypatch.setattr(Checkout, "read", refuse)

    return start


def load(root: Path, **options: object) -> Results:
    results = load_results(root, cache_dir=root.parent / "cache", **options)
    for writer in list(table_cache._writing.values()):
        writer.join()
    return results


def tables(root: Path) -> list[Path]:
    return sorted((root.parent / "cache" / "results").glob("*.table"))


def assert_same(one: Results, other: Results) -> None:
    pd.testing.assert_frame_equal(one.frame, other.frame, check_exact=True)
    pd.testing.assert_frame_equal(one.problems, other.problems)
    assert list(one.explained) == list(other.explained)
    assert one.counts == other.counts


def test_second_load_reads_no_score_file(root, no_reading):
    """An unchanged folder is taken from the cache: table, problems and counts."""
    fresh = load(root, use_cache=False)
    assert not tables(root)
    assert_same(load(root), fresh)
    no_reading()
    assert_same(load(root), fresh)


def test_selections_share_a_table(root, no_reading):
    """Families, shots and metrics are selected from the cached table; tasks have their own."""
    load(root)
    load(root, tasks=["other"])
    assert len(tables(root)) == 2
    no_reading()
    assert len(load(root, metrics=["bleu"]).frame) == 2
    assert len(load(root, tasks=["other"], shots=[0]).frame) == 1
    with pytest.raises(LoadError, match="near matches: bleu"):
        load(root, metrics=["blue"])


def test_strict_holds_for_cached_problems(root):
    """Strict mode raises from the cache what it raises from the files."""
    load(root)
    with pytest.raises(LoadError, match=r"navigate.*\$\.scores\[1\]"):
        load(root, strict=True)


def test_same_size_and_time_of_modification(root):
    """A change that keeps size and modification time is seen."""
    load(root)
    path = next(root.rglob("scores_*.json"))
    before = path.stat()
    path.write_bytes(path.read_bytes().replace(b"1.5", b"9.5"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert path.stat().st_size == before.st_size
    assert 9.5 in set(load(root).frame["score"])


@pytest.mark.parametrize("change", ["add", "remove", "rename"])
def test_other_files(root, change):
    """Added, removed and renamed files are seen."""
    load(root)
    path = next(root.rglob("scores_*.json"))
    if change == "add":
        put(root, document(entry("new", bleu="7")), name="scores_new.json")
    elif change == "remove":
        path.unlink()
    else:
        path.rename(path.with_name("scores_renamed.json"))
    assert_same(load(root), load(root, use_cache=False))


def test_new_files_are_not_cached(root, monkeypatch):
    """What changed a moment ago could change again unseen, so it is not cached."""
    monkeypatch.setattr(table_cache, "_SETTLED_SECONDS", 3.0)
    load(root)
    assert not tables(root)


def test_small_sources_are_not_cached(root, monkeypatch):
    """A handful of files is read each time."""
    monkeypatch.setattr(table_cache, "_MIN_FILES", 3)
    load(root)
    assert not tables(root)


def test_changed_code_makes_tables_stale(root, monkeypatch):
    """A table made by other reading code is not used."""
    load(root)
    code = table_cache._reading_code()
    assert {"fast.py", "careful.py", "assemble.py", "schema.py", "table_files.py", "values.py"} <= {
        path.name for path in code
    }
    monkeypatch.setattr(table_cache, "_reading_code", lambda: code[1:])
    load(root)
    assert len(tables(root)) == 2


def test_damaged_anywhere(root):
    """A cache damaged in any region, cut off or emptied is made again, with the same result."""
    fresh = load(root)
    (table,) = tables(root)
    whole = table.read_bytes()
    for position in range(0, len(whole), max(len(whole) // 40, 1)):
        damaged = bytearray(whole)
        damaged[position] ^= 0x5A
        for content in (bytes(damaged), whole[:position]):
            table.write_bytes(content)
            assert_same(load(root), fresh)
            assert table.read_bytes() == whole


def test_cache_that_cannot_be_written(root, caplog):
    """Without a place to write, loading works and says at INFO that nothing is cached."""
    (root.parent / "cache").mkdir()
    (root.parent / "cache" / "results").write_text("in the way")
    with caplog.at_level(logging.INFO, logger="bigbench_meta"):
        assert len(load(root).frame) == 2
    assert "is not cached" in caplog.text


def test_old_tables_and_dead_attempts_go(root, monkeypatch):
    """The number of tables is bounded, and what a killed process left is removed."""
    monkeypatch.setattr(table_cache, "_KEPT", 1)
    load(root)
    folder = root.parent / "cache" / "results"
    dead = folder / ".other.table.01234567.partial"
    dead.touch()
    load(root, tasks=["other"])
    assert len(tables(root)) == 1
    assert not dead.exists()


@pytest.mark.real
def test_commit_is_the_key(shared_data, tmp_path, no_reading):
    """A git source is known by its object ids: another copy of the same commit is served from the cache."""
    first = tmp_path / "one.bundle"
    first.write_bytes((shared_data / "bigbench-real.bundle").read_bytes())
    one = load(first)
    checkout = fetch(str(shared_data / "bigbench-real.bundle"), cache_dir=tmp_path / "cache")
    no_reading()
    other = load_results(checkout, cache_dir=tmp_path / "cache")
    assert_same(one, other)
    assert other.source.endswith("bigbench-real.bundle")
    assert len(other.frame) == 2508
