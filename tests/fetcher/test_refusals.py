"""What goes wrong below the surface of a fetch, case by case: git missing or killed, objects of another kind, lists damaged."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tarfile
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from fetcher.test_archives import FILES, pack
from git_server import RESULT, git, http_server, write

from bigbench_meta.errors import FetchError, IntegrityError, SourceError
from bigbench_meta.fetcher import archives, fetch
from bigbench_meta.fetcher.cache import cache_folder
from bigbench_meta.fetcher.checkout import Entry
from bigbench_meta.fetcher.git import plumbing, remote
from bigbench_meta.fetcher.manifest import read_manifest, verify

if TYPE_CHECKING:
    from pathlib import Path


def test_a_tree_that_is_gone(repository: Path, tmp_path: Path) -> None:
    """A commit whose trees cannot be read is git's own words in the package's error, not an empty listing."""
    tree = git(repository, "rev-parse", "HEAD^{tree}")
    (repository / ".git/objects" / tree[:2] / tree[2:]).unlink()
    with pytest.raises(
        FetchError, match=r"clone at \w+: its list of files cannot be read \(fatal: not a tree object\).*git fsck"
    ):
        fetch(repository, cache_dir=tmp_path / "cache")


def test_objects_of_another_kind(repository: Path, tmp_path: Path) -> None:
    """An id that names a commit is no file: it has no size, and to read it is an error that says what to do."""
    checkout = fetch(repository, cache_dir=tmp_path / "cache")
    assert checkout.commit is not None
    assert plumbing.object_sizes(checkout.root, [checkout.commit]) == {}
    with pytest.raises(IntegrityError, match=r"cannot be read as a file .*remove that folder and fetch again"):
        list(plumbing.cat_file(checkout.root, [checkout.commit]))
    with pytest.raises(FetchError, match="'HEAD' is not a git object id; expected 40 or 64 hexadecimal digits"):
        plumbing.object_sizes(checkout.root, ["HEAD"])
    assert list(plumbing.cat_file(checkout.root, ["0" * 40])) == [None]


def test_entries_of_two_kinds(repository: Path, tmp_path: Path) -> None:
    """Files on disk and objects of a repository do not mix in one reading; of either kind any may be asked for."""
    checkout = fetch(repository, cache_dir=tmp_path / "cache")
    both = [*checkout.entries, Entry("other", None, 2)]
    with pytest.raises(FetchError, match="entries with and without an object id cannot be read together"):
        list(checkout.read(both))
    assert list(checkout.read([])) == []


def test_git_that_ends_while_it_stores_an_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A git that dies in the middle of an archive leaves nothing, and the error says where to look."""
    program = tmp_path / "bin/git"
    program.parent.mkdir()
    real = shutil.which("git")
    program.write_text(f'#!/bin/sh\nfor word; do [ "$word" = fast-import ] && exit 3; done\nexec {real} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    path = pack(tmp_path / "x.zip", {**FILES, RESULT: os.urandom(3_000_000)})
    with pytest.raises(
        FetchError, match=r"git could not store its files \(.*3.*\); check the space on the cache's disk"
    ):
        fetch(path, cache_dir=tmp_path / "cache")
    assert [found for found in (tmp_path / "cache").iterdir() if found.is_dir()] == []


def test_member_shorter_than_its_header_says(tmp_path: Path) -> None:
    """A tar cut within a member is damage."""
    path = pack(tmp_path / "x.tar", {RESULT: b"0" * 2_000})
    path.write_bytes(path.read_bytes()[: tarfile.BLOCKSIZE + 100])
    with pytest.raises(FetchError, match="damaged"):
        fetch(path, cache_dir=tmp_path / "cache")


def test_a_packed_git_folder_is_not_read(tmp_path: Path) -> None:
    """What lies below `.git` in an archive is no source of files, whatever it is called."""
    path = pack(
        tmp_path / "x.zip", {**FILES, ".git/results/scores_x.json": b"{}", "a/.git/results/scores_y.json": b"{}"}
    )
    assert not any(".git" in entry.path for entry in fetch(path, cache_dir=tmp_path / "cache").entries)


def test_names_that_are_not_utf8_in_a_tar(tmp_path: Path) -> None:
    """Such a member is skipped under a readable name; the rest is read."""
    path = pack(tmp_path / "x.tar", {**FILES, RESULT.replace("scores_a", "scores_QQ"): b"{}"})
    raw = bytearray(path.read_bytes().replace(b"scores_QQ", b"scores_\xff\xff"))
    at = raw.index(b"scores_\xff") // 512 * 512
    raw[at + 148 : at + 156] = b" " * 8
    raw[at + 148 : at + 156] = b"%06o\0 " % sum(raw[at : at + 512])  # the header's sum, made right
    path.write_bytes(raw)
    checkout = fetch(path, cache_dir=tmp_path / "cache")
    assert checkout.skipped[0].reason == "has a name that is not UTF-8"
    assert "scores_\\udcff" in checkout.skipped[0].path
    assert len(checkout.entries) == 4


@pytest.mark.parametrize("content", ["", "[1, 2]", "{", '[["a"]]', "null"])
def test_damaged_list_of_what_was_skipped(tmp_path: Path, content: str) -> None:
    """The list beside a kept archive, damaged: the archive is taken in anew."""
    path = pack(tmp_path / "x.zip", FILES)
    first = fetch(path, cache_dir=tmp_path / "cache")
    (first.root / "skipped.json").write_text(content)
    assert fetch(path, cache_dir=tmp_path / "cache") == first
    (first.root / "skipped.json").write_text(content)
    with pytest.raises(
        IntegrityError, match=r"skipped\.json: cannot be read \(.*; expected our list: remove .* and fetch again"
    ):
        archives.read_skipped(first.root)


@pytest.mark.parametrize("content", ["", "[1]", '{"HEAD": 3}', '{"HEAD": "main"}', "null"])
def test_damaged_list_of_a_bundles_refs(repository: Path, tmp_path: Path, content: str) -> None:
    """The list of refs beside a kept bundle, damaged: the bundle is unpacked anew."""
    bundle = tmp_path / "r.bundle"
    git(repository, "bundle", "create", "-q", str(bundle), "HEAD")
    first = fetch(bundle, cache_dir=tmp_path / "cache")
    (first.root / "heads.json").write_text(content)
    assert fetch(bundle, cache_dir=tmp_path / "cache") == first
    assert json.loads((first.root / "heads.json").read_text())["HEAD"] == first.commit


def test_bundle_with_another_name_for_its_commit(repository: Path, tmp_path: Path) -> None:
    """One ref of any name is taken for the commit; of two that differ none is, and the error lists both."""
    git(repository, "branch", "odd/name")
    one = tmp_path / "one.bundle"
    git(repository, "bundle", "create", "-q", str(one), "odd/name")
    assert len(fetch(one, cache_dir=tmp_path / "cache").entries) == 1
    git(repository, "checkout", "-q", "-b", "other")
    write(repository, {RESULT: b'{"scores": [1]}'})
    git(repository, "commit", "-q", "-a", "-m", "y")
    two = tmp_path / "two.bundle"
    git(repository, "bundle", "create", "-q", str(two), "odd/name", "other")
    with pytest.raises(SourceError, match="has no commit 'HEAD'; it holds refs/heads/odd/name, refs/heads/other"):
        fetch(two, cache_dir=tmp_path / "cache")
    assert fetch(two, ref="other", cache_dir=tmp_path / "cache").entries[0].size == 15
    with pytest.raises(SourceError, match="has no commit 'none'"):
        fetch(two, ref="none", cache_dir=tmp_path / "cache")


def test_bundle_that_is_cut_off(repository: Path, tmp_path: Path) -> None:
    """A bundle without its end is git's own words, and nothing is kept."""
    bundle = tmp_path / "r.bundle"
    git(repository, "bundle", "create", "-q", str(bundle), "HEAD")
    bundle.write_bytes(bundle.read_bytes()[:-30])
    with pytest.raises(
        FetchError, match=r"r\.bundle: the bundle cannot be unpacked \(.+\); expected a whole one .*get it again"
    ):
        fetch(bundle, cache_dir=tmp_path / "cache")
    assert [found for found in (tmp_path / "cache").iterdir() if found.is_dir()] == []


def test_gitpython_that_refuses_or_finds_no_git(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its refusals and a missing git are the package's own errors; credentials of the address are not shown."""
    from git import Git
    from git.exc import GitCommandNotFound, UnsafeProtocolError

    def refuse(url: str) -> None:
        raise UnsafeProtocolError(f"{url} is unsafe")

    def missing(*_: object, **__: object) -> None:
        raise GitCommandNotFound("git", "not there")

    with monkeypatch.context() as patch:
        patch.setattr(Git, "check_unsafe_protocols", refuse)
        with pytest.raises(SourceError, match="refused by GitPython") as caught:
            fetch("https://me:hunter2@localhost:9/r", cache_dir=tmp_path / "cache")
    assert "hunter2" not in str(caught.value)
    with monkeypatch.context() as patch:
        patch.setattr(Git, "execute", missing)
        with pytest.raises(FetchError, match=r"git could not be started .*; install git"):
            fetch("https://localhost:9/r", cache_dir=tmp_path / "cache")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "git", None)
        with pytest.raises(FetchError, match=r"git could not be started .*; install git"):
            fetch("https://localhost:9/r", cache_dir=tmp_path / "cache")


def test_the_users_rewriting_of_addresses_is_not_obeyed(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`url.<base>.insteadOf` and an SSH command in the user's own configuration lead nowhere else."""
    marker = tmp_path / "started"
    (tmp_path / "home").mkdir()
    (tmp_path / "home/.gitconfig").write_text(
        f'[url "ext::touch {marker}"]\n\tinsteadOf = http://127.0.0.1\n[core]\n\tsshCommand = touch {marker}\n'
        f'[protocol]\n\tallow = always\n[safe]\n\tdirectory = *\n[credential]\n\thelper = "!touch {marker}"\n'
    )
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with http_server(tmp_path) as base:
        assert len(fetch(f"{base}/clone/.git", cache_dir=tmp_path / "cache").entries) == 1
    assert not marker.exists()


def test_server_that_answers_with_another_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit other than the one asked for is an error that names both."""
    plumbing.make_bare(tmp_path / "bare")
    monkeypatch.setattr(remote, "_talk", lambda *_, **__: "")
    with pytest.raises(
        FetchError, match=f"asked for {'1' * 40}, got no commit; expected .*: check that it names a commit"
    ):
        remote.fetch_commit(tmp_path / "bare", "https://localhost/r", "1" * 40, blobless=True, progress=None)


def test_cache_folder_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an argument and a variable the cache lies where the operating system keeps caches."""
    monkeypatch.delenv("BIGBENCH_META_CACHE")
    assert cache_folder(None).name == "bigbench-meta"


GOOD = {"repository": "https://localhost/r", "commit": "1" * 40, "files": []}
FILE = {"path": "a", "object_id": "2" * 40, "size": 3}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "is not plain JSON"),
        ("[]", "expected an object with exactly"),
        (json.dumps({**GOOD, "more": 1}), "expected an object with exactly"),
        (json.dumps({**GOOD, "repository": ""}), "`repository` is ''"),
        (json.dumps({**GOOD, "commit": "main"}), "`commit` is 'main'"),
        (json.dumps({**GOOD, "files": {}}), "`files` is not a list"),
        (json.dumps({**GOOD, "commit": None, "files": [FILE]}), "`files` are listed without a `commit`"),
        (json.dumps({**GOOD, "files": [{**FILE, "size": True}]}), r"`files\[0\]` is"),
        (json.dumps({**GOOD, "files": [FILE, {**FILE, "size": -1}]}), r"`files\[1\]` is"),
        (json.dumps({**GOOD, "files": [{**FILE, "object_id": "2" * 39}]}), r"`files\[0\]` is"),
        (json.dumps({**GOOD, "files": [FILE, FILE]}), "a path is listed twice"),
    ],
)
def test_manifests_that_are_none(tmp_path: Path, content: str, says: str) -> None:
    """Each way of not being a manifest has its own words, and the way to write one."""
    path = tmp_path / "m.json"
    path.write_text(content)
    with pytest.raises(SourceError, match=rf"m\.json: .*{says}.*(update_manifest|restore it)"):
        read_manifest(path)


def test_missing_manifest(tmp_path: Path) -> None:
    """A manifest that is not there is said to be missing."""
    with pytest.raises(SourceError, match=r"the manifest cannot be read .*; install the package again"):
        read_manifest(tmp_path / "none.json")


def test_manifest_of_another_commit(repository: Path, tmp_path: Path) -> None:
    """A checkout of another commit than the manifest pins, and each kind of difference between their files."""
    checkout = fetch(repository, cache_dir=tmp_path / "cache")
    (entry,) = checkout.entries
    path = tmp_path / "m.json"
    path.write_text(json.dumps(GOOD))
    manifest = read_manifest(path)
    with pytest.raises(IntegrityError, match=r"the manifest pins 1{40}; pass ref= to use another commit on purpose"):
        verify(checkout, manifest)
    manifest = replace(manifest, commit=checkout.commit)
    verify(checkout, manifest)  # without files there is nothing to compare
    for files, says in (
        ((replace(entry, size=99),), r"expected [0-9a-f]{40} \(99 bytes\), got [0-9a-f]{40} \(14 bytes\)"),
        ((entry, Entry("z", "2" * 40, 1)), "z: missing"),
        ((Entry("z", "2" * 40, 1),), f"first {RESULT}: not in the manifest"),
    ):
        with pytest.raises(IntegrityError, match=says):
            verify(checkout, replace(manifest, files=files))
