"""Sources on this machine: folders, clones, bare repositories and bundles."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest
from git_server import git, write

from bigbench_meta.errors import FetchError, SourceError
from bigbench_meta.fetcher.checkout import blob_id, choose
from bigbench_meta.fetcher.dispatch import Entry, fetch

if TYPE_CHECKING:
    from pathlib import Path

TASKS = "bigbench/benchmark_tasks"
FILES = {
    f"{TASKS}/tense/results/scores_BIG-G_2m_T=0.json": b'{"scores": 1}',
    f"{TASKS}/tense/results/scores_BIG-G_16m_T=0.json": b'{"scores": 2}',
    f"{TASKS}/tense/results/scores_BIG-G_16m_T=0.json.backup_000001": b"old",
    f"{TASKS}/tense/results/full-log_x.json": b"big",
    f"{TASKS}/tense/task.json": b"{}",
    f"{TASKS}/multi/sub/task.json": b"{}",
    "docs/results/scores_example.json": b"{}",
    "README.md": b"hello",
}
EXPECTED = [
    f"{TASKS}/multi/sub/task.json",
    f"{TASKS}/tense/results/scores_BIG-G_16m_T=0.json",
    f"{TASKS}/tense/results/scores_BIG-G_2m_T=0.json",
    f"{TASKS}/tense/task.json",
]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository with one commit."""
    folder = write(tmp_path / "clone", FILES)
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "results")
    return folder


def test_folder_is_used_in_place(tmp_path: Path) -> None:
    """A plain folder gives its score and task files, sorted, without commit, and nothing is written anywhere."""
    folder = write(tmp_path / "data", FILES)
    checkout = fetch(folder, cache_dir=tmp_path / "cache")
    assert [e.path for e in checkout.entries] == EXPECTED
    assert (checkout.commit, checkout.root) == (None, folder)
    assert {e.path: c for e, c in checkout.read()} == {name: FILES[name] for name in EXPECTED}
    assert [s.path for s in checkout.skipped] == ["docs/results/scores_example.json"]
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("below", [".", "bigbench", TASKS, f"{TASKS}/tense", f"{TASKS}/tense/results"])
def test_folder_may_be_given_at_any_depth(tmp_path: Path, below: str) -> None:
    """The repository, `benchmark_tasks`, one task or its `results` folder are all understood."""
    folder = write(tmp_path / "data", FILES)
    checkout = fetch(folder / below)
    assert sum(e.is_result for e in checkout.entries) == 2


@pytest.mark.parametrize("form", ["clone", "bare", "bundle", "file URL", "work tree", "packed"])
def test_repositories_on_this_machine(clone: Path, tmp_path: Path, form: str) -> None:
    """Every local form of one commit gives the same entries with git's own object ids and contents."""
    source: Path | str = clone
    if form == "bare":
        git(tmp_path, "clone", "-q", "--bare", "clone", "bare")
        source = tmp_path / "bare"
    elif form == "bundle":
        git(clone, "bundle", "create", "-q", "../x.bundle", "HEAD", "main")
        source = tmp_path / "x.bundle"
    elif form == "file URL":
        source = clone.as_uri()
    elif form == "work tree":
        git(clone, "worktree", "add", "-q", "../tree", "-b", "other")
        source = tmp_path / "tree"
    elif form == "packed":
        git(clone, "gc", "-q")
        git(clone, "pack-refs", "--all")
    checkout = fetch(source, cache_dir=tmp_path / "cache", offline=True)
    assert checkout.commit == git(clone, "rev-parse", "HEAD")
    assert [e.path for e in checkout.entries] == EXPECTED
    for entry, content in checkout.read():
        assert content == FILES[entry.path]
        assert entry.object_id == git(clone, "rev-parse", f"HEAD:{entry.path}")
        assert entry.size == len(content)
    again = pickle.loads(pickle.dumps(checkout))
    assert list(again.read(again.entries[1:2])) == [(checkout.entries[1], FILES[EXPECTED[1]])]


def test_nothing_to_read_is_an_error(tmp_path: Path) -> None:
    """A folder without score files, or a path that is not there, says what was expected."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match=r"holds no score files; expected .*results/scores_"):
        fetch(tmp_path / "empty")
    with pytest.raises(SourceError, match="no such file or folder"):
        fetch(str(tmp_path / "nowhere"))


def test_blob_id_is_gits() -> None:
    """The id of the empty file and of `hello` are the ones every git prints."""
    assert blob_id(b"") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    assert blob_id(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"


def test_choice_of_paths() -> None:
    """Without any `benchmark_tasks` folder, results at every depth count, and a task file beside them."""
    chosen, left_out = choose(
        ["a/results/scores_x.json", "a/task.json", "b/task.json", "scores_y.json", "results/scores_.txt"]
    )
    assert chosen == {"a/results/scores_x.json", "a/task.json"}
    assert left_out == {}


def test_results_of_no_task(tmp_path: Path) -> None:
    """A results folder directly below `benchmark_tasks` holds figures of all tasks: it is no task and takes none of theirs."""
    stray = f"{TASKS}/results/scores_x.json"
    folder = write(
        tmp_path / "data", {name: content for name, content in FILES.items() if TASKS in name} | {stray: b"{}"}
    )
    for below, prefix in ((".", ""), (TASKS, f"{TASKS}/")):
        checkout = fetch(folder / below)
        assert [prefix + entry.path for entry in checkout.entries] == EXPECTED
        (skipped,) = checkout.skipped
        assert prefix + skipped.path == stray
        assert skipped.reason == "lies in a results folder directly below benchmark_tasks, which belongs to no task"


@pytest.mark.parametrize("kind", ["folder", "clone"])
def test_large_definitions_are_left_out_unless_asked_for(
    clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Definitions on this machine that are together larger than the limit, here 3 of 4 bytes, are counted and not read."""
    source = clone if kind == "clone" else write(tmp_path / "plain", FILES)
    monkeypatch.setattr("bigbench_meta.fetcher.checkout.SMALL_DEFINITIONS", 3)
    checkout = fetch(source, cache_dir=tmp_path / "cache")
    assert [e.path for e in checkout.entries] == [name for name in EXPECTED if "scores_" in name]
    assert checkout.definitions_left_out == 2
    assert [e.path for e in fetch(source, cache_dir=tmp_path / "cache", definitions=True).entries] == EXPECTED
    monkeypatch.setattr("bigbench_meta.fetcher.checkout.SMALL_DEFINITIONS", 4)
    assert [e.path for e in fetch(source, cache_dir=tmp_path / "cache").entries] == EXPECTED


def test_entries_of_both_kinds_are_not_mixed(tmp_path: Path) -> None:
    """Reading files and objects in one call is refused, not guessed."""
    checkout = fetch(write(tmp_path / "data", FILES))
    with pytest.raises(FetchError, match="with and without"):
        list(checkout.read([checkout.entries[0], Entry("x", "0" * 40, 1)]))


@pytest.mark.real
def test_real_bundle(shared_data: Path, tmp_path: Path) -> None:
    """The published bundle has 120 tasks x 12 sizes, as its description says, and every object is whole."""
    checkout = fetch(shared_data / "bigbench-real.bundle", cache_dir=tmp_path)
    assert checkout.commit == "5ac7c7452ff01b023ff979f7e11db22d369d6cf1"
    assert sum(e.is_result for e in checkout.entries) == 1440
    assert len({e.path.split("/")[2] for e in checkout.entries}) == 120
    assert sum(len(content) == entry.size for entry, content in checkout.read()) == 1440


def test_repository_that_names_objects_by_sha256(tmp_path: Path) -> None:
    """Clones and bundles of either object format are read, and contents checked by the same hash."""
    folder = write(tmp_path / "clone", FILES)
    git(folder, "init", "-q", "--object-format=sha256")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "x")
    git(folder, "bundle", "create", "-q", "../x.bundle", "HEAD")
    for source in (folder, tmp_path / "x.bundle"):
        checkout = fetch(source, cache_dir=tmp_path / "cache")
        assert checkout.commit == git(folder, "rev-parse", "HEAD")
        assert {len(e.object_id or "") for e in checkout.entries} == {64}
        assert {e.path: c for e, c in checkout.read()} == {name: FILES[name] for name in EXPECTED}


def test_refs_of_a_clone(clone: Path, tmp_path: Path) -> None:
    """Branch, annotated tag, full and short id, loose or packed; a remote branch by its short name too."""
    first = git(clone, "rev-parse", "HEAD")
    git(clone, "tag", "-a", "v1", "-m", "x")
    git(clone, "branch", "old")
    write(clone, {EXPECTED[1]: b"new"})
    git(clone, "commit", "-q", "-a", "-m", "more")
    git(tmp_path, "clone", "-q", "clone", "second")
    for packed in (False, True):
        if packed:
            git(clone, "pack-refs", "--all")
        for ref in ("v1", "old", "refs/heads/old", first, first[:10]):
            assert fetch(clone, ref=ref, cache_dir=tmp_path / "cache").commit == first
    assert fetch(tmp_path / "second", ref="old", cache_dir=tmp_path / "cache").commit == first
    with pytest.raises(SourceError, match="has no commit 'nothing'"):
        fetch(clone, ref="nothing", cache_dir=tmp_path / "cache")


def test_refs_of_a_bundle(clone: Path, tmp_path: Path) -> None:
    """A bundle without HEAD gives its main branch or its only one; a name it lacks is answered with those it has."""
    git(clone, "branch", "other")
    git(clone, "bundle", "create", "-q", "../x.bundle", "other")
    git(clone, "bundle", "create", "-q", "../y.bundle", "main", "other")
    head = git(clone, "rev-parse", "HEAD")
    for name, ref in [("x", None), ("y", None), ("y", "other"), ("y", "refs/heads/other"), ("x", head)]:
        assert fetch(tmp_path / f"{name}.bundle", ref=ref, cache_dir=tmp_path / "cache").commit == head
    with pytest.raises(SourceError, match="has no commit 'v2'; it holds refs/heads/main, refs/heads/other"):
        fetch(tmp_path / "y.bundle", ref="v2", cache_dir=tmp_path / "cache")


def test_bundle_that_needs_another_or_is_cut(clone: Path, tmp_path: Path) -> None:
    """An incremental bundle and a damaged one are errors in git's words, and nothing of them is kept."""
    write(clone, {EXPECTED[1]: b"new"})
    git(clone, "commit", "-q", "-a", "-m", "more")
    git(clone, "bundle", "create", "-q", "../part.bundle", "main^..main")
    git(clone, "bundle", "create", "-q", "../whole.bundle", "HEAD")
    (tmp_path / "cut.bundle").write_bytes((tmp_path / "whole.bundle").read_bytes()[:-30])
    for name, words in [
        ("part", "lacks these prerequisite commits"),
        ("cut", "early EOF|bad object|SHA1 mismatch|read error"),
    ]:
        with pytest.raises(FetchError, match=words):
            fetch(tmp_path / f"{name}.bundle", cache_dir=tmp_path / "cache")
    assert [p for p in (tmp_path / "cache").iterdir() if p.is_dir()] == []


def test_clone_that_borrows_its_objects(clone: Path, tmp_path: Path) -> None:
    """A shared clone reads through to the repository it borrows from, wherever its path has odd characters."""
    git(tmp_path, "clone", "-q", "--shared", "clone", "shared")
    assert len(list(fetch(tmp_path / "shared", cache_dir=tmp_path / "cache").read())) == len(EXPECTED)
    odd = tmp_path / 'a "quoted" #folder\nwith a newline'
    clone.rename(odd)
    assert len(list(fetch(odd, cache_dir=tmp_path / "cache").read())) == len(EXPECTED)


def test_clone_with_refs_in_a_form_that_is_not_read(clone: Path, tmp_path: Path) -> None:
    """A reftable is refused with the way around it; a stray `.git` file makes no repository."""
    (clone / ".git/reftable").mkdir()
    with pytest.raises(SourceError, match="make a bundle of it"):
        fetch(clone, cache_dir=tmp_path / "cache")
    folder = write(tmp_path / "plain", {**FILES, ".git": b"nothing"})
    assert fetch(folder).commit is None
    (folder / ".git").write_text("gitdir: ../nowhere\n")
    assert fetch(folder).commit is None
    with pytest.raises(SourceError, match="has no git commits, so ref='main' means nothing"):
        fetch(folder, ref="main")


def test_commit_whose_object_is_gone(clone: Path, tmp_path: Path) -> None:
    """A ref that leads nowhere is a damaged repository, not an unknown name."""
    (clone / ".git/refs/heads/broken").write_text("1" * 40 + "\n")
    with pytest.raises(FetchError, match=r"broken is 1{40}, which is not there or no commit"):
        fetch(clone, ref="broken", cache_dir=tmp_path / "cache")


def test_files_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A score file without read permission is listed as skipped, and when none is left the error names it."""
    folder = write(tmp_path / "data", {"t/results/scores_a.json": b"{}"})
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(SourceError, match=r"1 were skipped, first 't/results/scores_a.json': may not be read"):
        fetch(folder)


def test_folder_that_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without permission ends in an error: files in it would be lost in silence."""
    folder = write(tmp_path / "data", {"t/results/scores_a.json": b"{}"})

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(FetchError, match=r"cannot be listed \(Permission denied\)"):
        fetch(folder)
