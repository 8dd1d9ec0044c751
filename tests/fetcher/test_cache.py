"""The cache where it cannot be what it should: each way is one error that says how to choose another."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from git_server import git, http_server

from bigbench_meta.errors import FetchError
from bigbench_meta.fetcher import dispatch, fetch
from bigbench_meta.fetcher.cache import cache_folder
from bigbench_meta.fetcher.manifest import Manifest

if TYPE_CHECKING:
    from pathlib import Path

CURE = "choose another cache folder with cache_dir= or the environment variable BIGBENCH_META_CACHE"
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links and home folders")


def test_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without a home folder, as in a container, is told to name a folder."""
    import pwd

    def nobody(_: int) -> None:
        raise KeyError("uid not found")

    for name in ("HOME", "XDG_CACHE_HOME", "BIGBENCH_META_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    with pytest.raises(FetchError, match=rf"cannot be found \(.*home.*\); {CURE}"):
        cache_folder(None)


def test_no_such_user_and_links_in_a_circle(repository: Path, tmp_path: Path) -> None:
    """Places that cannot be told. From Python 3.13 on a circle is seen when the folder is made, not when it is resolved."""
    (tmp_path / "circle").symlink_to("circle")
    for place in ("~nobody-of-this-name/x", str(tmp_path / "circle")):
        with pytest.raises(
            FetchError, match=rf"{place.partition('/')[0]}.*: (the cache )?cannot be .+ \(.+\); .*{CURE}"
        ):
            fetch(repository, cache_dir=place)


@pytest.mark.parametrize("kind", ["file", "below a file", "too long", "lost"])
def test_no_folder(repository: Path, tmp_path: Path, kind: str) -> None:
    """A file in the place of the cache, names too long, a link to nowhere that may be."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "lost").symlink_to("/proc/nowhere")
    place = tmp_path / {"below a file": "file/x", "too long": "x" * 300}.get(kind, kind)
    with pytest.raises(FetchError, match=rf": the cache cannot be used \(.+\); expected a folder of yours .*{CURE}"):
        fetch(repository, cache_dir=place)


def test_a_file_system_without_locks(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said as what it is."""

    def fail(*_: object) -> None:
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr("filelock.FileLock.acquire", fail)
    with pytest.raises(FetchError, match=rf"the cache cannot be used \(FileSystem does not .* flock\); .*{CURE}"):
        fetch(repository, cache_dir=tmp_path / "cache")


def test_a_damaged_copy_that_cannot_be_made_anew(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a cache that may not be written, damage is an error and no traceback."""
    git(repository, "bundle", "create", "-q", str(tmp_path / "r.bundle"), "HEAD")
    kept = fetch(tmp_path / "r.bundle", cache_dir=tmp_path / "cache")
    (kept.root / "heads.json").write_text("{")

    def fail(*_: object, **__: object) -> None:
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr("bigbench_meta.fetcher.cache.tempfile.mkdtemp", fail)
    with pytest.raises(FetchError, match=rf"the cache cannot be used \(Permission denied\); .*{CURE}"):
        fetch(tmp_path / "r.bundle", cache_dir=tmp_path / "cache")


@pytest.mark.parametrize("damage", ["HEAD", "config", "objects/info/alternates", "refs/heads"])
@pytest.mark.parametrize("how", ["gone", "other"])
def test_a_damaged_view_of_a_clone(repository: Path, tmp_path: Path, damage: str, how: str) -> None:
    """The small repository through which a clone is read is made again, not taken for damage of the clone."""
    first = fetch(repository, cache_dir=tmp_path / "cache")
    part = first.root / damage
    if part.is_dir():
        part.rmdir()
        part.parent.rmdir()
    elif how == "gone":
        part.unlink()
    else:
        part.write_bytes(b"")
    assert fetch(repository, cache_dir=tmp_path / "cache") == first
    assert len(list(first.read())) == 1


@pytest.mark.parametrize("kind", ["folder", "damaged"])
def test_lock_beside_the_cache(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """A lock that cannot be written is an error with its place; one that holds no text is written anew."""
    lock = tmp_path / "cache/data_manifest.json"
    lock.parent.mkdir()
    lock.mkdir() if kind == "folder" else lock.write_bytes(b"\xff\0")
    with http_server(tmp_path) as base:
        monkeypatch.setattr(dispatch, "read_manifest", lambda: Manifest(f"{base}/clone/.git", None, ()))
        if kind == "folder":
            with pytest.raises(
                FetchError, match=r"data_manifest\.json: the lock of .* cannot be written \(.*choose another"
            ):
                fetch("github", cache_dir=tmp_path / "cache")
            assert list(lock.parent.glob(".*.partial")) == []
        else:
            checkout = fetch("github", cache_dir=tmp_path / "cache")
            assert json.loads(lock.read_text())["commit"] == checkout.commit


def test_a_kept_repository_of_another_commit(repository: Path, tmp_path: Path) -> None:
    """A kept copy whose HEAD was moved is not taken for what was asked for."""
    head = git(repository, "rev-parse", "HEAD")
    with http_server(tmp_path) as base:
        first = fetch(f"{base}/clone/.git", ref=head, cache_dir=tmp_path / "cache")
        git(repository, "commit", "-q", "--allow-empty", "-m", "y")
        (first.root / "HEAD").write_text("ref: refs/heads/none\n")
        assert fetch(f"{base}/clone/.git", ref=head, cache_dir=tmp_path / "cache") == replace(first)
