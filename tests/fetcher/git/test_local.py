"""Repositories on this machine whose own files are made to mislead: read as bounded text, or refused in words."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from git_server import git, make_clone, write

from bigbench_meta.errors import FetchError, SourceError
from bigbench_meta.fetcher import fetch
from bigbench_meta.fetcher.git import plumbing

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sparse files and pipes")
RESULT = "tense/results/scores_a.json"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one score file, and what makes a git folder of it."""
    made = write(tmp_path / "folder", {RESULT: b"{}"})
    (made / ".git/objects").mkdir(parents=True)
    (made / ".git/refs").mkdir()
    (made / ".git/HEAD").write_text("ref: refs/heads/main\n")
    return made


@pytest.mark.parametrize("text", [b"\xff\xfe\0", b"a\0b", b"", b"../nowhere"])
def test_common_folder_that_is_none(
    folder: Path, tmp_path: Path, text: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Bytes that name no folder make it no repository: its files are read as they are, and that is said."""
    (folder / ".git/commondir").write_bytes(text)
    assert [entry.path for entry in fetch(folder, cache_dir=tmp_path / "cache").entries] == [RESULT]
    assert "so its files are read as they are on disk" in caplog.text


def test_a_work_tree_whose_repository_has_gone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A `.git` file that leads nowhere, as of a work tree moved away from its repository: read without a commit, and said."""
    folder = write(tmp_path / "folder", {RESULT: b"{}", ".git": b"gitdir: ../gone/.git/worktrees/folder\n"})
    assert fetch(folder, cache_dir=tmp_path / "cache").commit is None
    assert "its .git leads to no repository" in caplog.text


def test_paths_too_long_to_look_at(folder: Path, tmp_path: Path) -> None:
    """A path of the repository's own that the system cannot take is an error that says which folder and what to do."""
    (folder / ".git/commondir").write_bytes(b"../" * 2_000)
    with pytest.raises(SourceError, match=r"folder: its git folder cannot be looked at .*give a folder below it"):
        fetch(folder, cache_dir=tmp_path / "cache")
    other = write(tmp_path / "other", {RESULT: b"{}", ".git": b"gitdir: " + b"x" * 100_000})
    with pytest.raises(SourceError, match="other: its git folder cannot be looked at"):
        fetch(other, cache_dir=tmp_path / "cache")


def test_git_file_of_many_gigabytes(tmp_path: Path) -> None:
    """Only the start of a `.git` file is read."""
    folder = write(tmp_path / "folder", {RESULT: b"{}", ".git": b""})
    os.truncate(folder / ".git", 64 << 30)
    assert len(fetch(folder, cache_dir=tmp_path / "cache").entries) == 1


def test_list_of_refs_of_many_gigabytes(folder: Path, tmp_path: Path) -> None:
    """A packed-refs file beyond the limit is refused unread."""
    (folder / ".git/packed-refs").touch()
    os.truncate(folder / ".git/packed-refs", 64 << 30)
    with pytest.raises(SourceError, match=r"packed-refs: is larger than \d+ bytes, which no list of refs is; check"):
        fetch(folder, cache_dir=tmp_path / "cache")


@pytest.mark.parametrize(
    "head", [b"ref: refs/heads/a b\n", b"ref: refs/heads/../../x", b"ref:", b"ref: refs/heads/main"]
)
def test_heads_that_name_nothing(folder: Path, tmp_path: Path, head: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """A branch that is not there, or cannot be: no commit, a warning, and the files as they are."""
    (folder / ".git/HEAD").write_bytes(head)
    assert fetch(folder, cache_dir=tmp_path / "cache").commit is None
    assert "has no commit yet" in caplog.text


@pytest.mark.parametrize("head", [b"\xff" * 5_000, b"", b"\0" * 41, b"main\n", b"1" * 39])
def test_heads_that_are_damaged(folder: Path, tmp_path: Path, head: bytes) -> None:
    """What is no ref is damage, as after a crash: other files than were asked for are not read instead."""
    (folder / ".git/HEAD").write_bytes(head)
    with pytest.raises(SourceError, match=r"folder/\.git: its HEAD is damaged; expected an object id or .*give a full"):
        fetch(folder, cache_dir=tmp_path / "cache")


SECRET = "root:secret:0:0"


@pytest.mark.parametrize("linked", ["refs", "refs/heads", "refs/heads/team", "refs/tags"])
@pytest.mark.parametrize("bare", [False, True])
def test_refs_behind_a_link(tmp_path: Path, linked: str, *, bare: bool) -> None:
    """A link among the folders of refs is not followed: neither content nor names of outside files are in a message."""
    clone = make_clone(tmp_path / "clone")
    commit = git(clone, "rev-parse", "HEAD")
    git(tmp_path, "clone", "-q", "--bare", str(clone), "bare")
    folder = tmp_path / "bare" if bare else clone
    git_dir = folder if bare else folder / ".git"
    outside = write(tmp_path / "outside", {name: SECRET.encode() for name in ("heads/team/name", "team/name", "name")})
    shutil.rmtree(git_dir / linked, ignore_errors=True)
    (git_dir / linked).symlink_to(outside)
    name = {"refs": "heads/team/name", "refs/heads": "heads/team/name", "refs/tags": "tags/name"}.get(
        linked, f"{linked[5:]}/name"
    )
    (git_dir / "HEAD").write_text(f"ref: refs/{name}\n")
    for ref in (None, name.partition("/")[2]):
        with pytest.raises(
            SourceError, match=rf"{linked}: is a link where a repository keeps its refs.*full commit id"
        ) as caught:
            fetch(folder, ref=ref, cache_dir=tmp_path / "cache")
        assert "secret" not in str(caught.value)
    assert fetch(folder, ref=commit, cache_dir=tmp_path / "cache").commit == commit


@pytest.mark.parametrize("place", ["HEAD", "refs/heads/main", "packed-refs", "commondir"])
def test_files_of_refs_that_are_links(tmp_path: Path, place: str, caplog: pytest.LogCaptureFixture) -> None:
    """A link in the place of HEAD, a ref, the packed refs or the common folder shows nothing of what it leads to."""
    folder = make_clone(tmp_path / "clone")
    commit = git(folder, "rev-parse", "HEAD")
    (tmp_path / "outside").write_text(f"{commit} {SECRET}\n" if place == "packed-refs" else SECRET)
    (folder / ".git" / place).unlink(missing_ok=True)
    (folder / ".git" / place).symlink_to(tmp_path / "outside")
    try:
        fetch(folder, cache_dir=tmp_path / "cache")
    except SourceError as err:
        assert "secret" not in str(err)  # noqa: PT017 - either is right
    assert "secret" not in caplog.text
    assert fetch(folder, ref=commit, cache_dir=tmp_path / "cache").commit == commit


def test_damaged_refs_are_not_quoted(tmp_path: Path) -> None:
    """What is not known to be a ref could be the content of any file, put there under a second name of it."""
    folder = make_clone(tmp_path / "clone")
    for place in ("refs/heads/main", "packed-refs"):
        (folder / ".git" / place).write_text(SECRET)
        with pytest.raises(SourceError, match=f"{place}.* is damaged; expected an object id") as caught:
            fetch(folder, cache_dir=tmp_path / "cache")
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("linked", ["info", "info/alternates"])
def test_a_list_of_lenders_that_is_a_link(tmp_path: Path, linked: str) -> None:
    """Git would quote lines of a list of borrowed folders that lead nowhere: one that is a link is refused."""
    folder = make_clone(tmp_path / "clone")
    outside = write(tmp_path / "outside", {"alternates": f"{SECRET}\n".encode()})
    place = folder / ".git/objects" / linked
    if place.is_dir():
        shutil.rmtree(place)
    place.symlink_to(outside if linked == "info" else outside / "alternates")
    with pytest.raises(
        SourceError, match=rf"objects/{linked}: is a link where git looks .*: make a full clone"
    ) as caught:
        fetch(folder, cache_dir=tmp_path / "cache")
    assert "secret" not in str(caught.value)


def test_head_that_is_a_pipe(folder: Path, tmp_path: Path) -> None:
    """A pipe in place of HEAD is not waited for."""
    (folder / ".git/HEAD").unlink()
    os.mkfifo(folder / ".git/HEAD")
    assert len(fetch(folder, cache_dir=tmp_path / "cache").entries) == 1


def test_names_too_long_to_look_up(folder: Path, tmp_path: Path) -> None:
    """A ref or a source longer than a file name can be is said to be so, cut short."""
    with pytest.raises(SourceError, match=r"'x{300}\.\.\.' cannot be looked up \(File name too long\)"):
        fetch(folder, ref="x" * 5_000, cache_dir=tmp_path / "cache")
    with pytest.raises(SourceError, match=r"source 'x{300}\.\.\.': no such file or folder"):
        fetch("x" * 5_000)
    with pytest.raises(SourceError, match="write it out"):
        fetch("~nobody-of-this-name/x")


def test_a_folder_that_may_not_be_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below a folder without permission, the error says what to change."""
    (tmp_path / "closed/inside").mkdir(parents=True)
    (tmp_path / "closed").chmod(0)
    try:
        if os.access(tmp_path / "closed", os.X_OK):  # to root everything is open
            monkeypatch.setattr("pathlib.Path.exists", _refuse)
        with pytest.raises(SourceError, match=r"inside': cannot be looked at \(Permission denied\); make it"):
            fetch(str(tmp_path / "closed/inside"))
    finally:
        (tmp_path / "closed").chmod(0o755)


def _refuse(path: Path) -> bool:
    raise PermissionError(13, os.strerror(13), os.fspath(path))


def nested(folder: Path, levels: int, width: int) -> None:
    """Commit one score file below so many levels of folders, each of which stands so often in the one above."""
    git(folder, "init", "-q")
    blob = git(folder, "hash-object", "-w", str(folder / RESULT))
    tree = mktree(folder, f"100644 blob {blob}\tscores_a.json\n")
    tree = mktree(folder, f"040000 tree {tree}\tresults\n")
    for _ in range(levels):
        tree = mktree(folder, "".join(f"040000 tree {tree}\td{number}\n" for number in range(width)))
    git(folder, "update-ref", "HEAD", git(folder, "commit-tree", "-m", "x", tree))


def mktree(folder: Path, listing: str) -> str:
    """Write a tree object."""
    (folder / "listing").write_text(listing)
    return git(folder, "-c", "alias.mk=!git mktree < listing", "mk")


@pytest.mark.timeout(120)
def test_a_commit_of_a_billion_files(tmp_path: Path) -> None:
    """Nine small trees that name a file 10 to the 9th times are refused after the first million, not listed in memory."""
    folder = write(tmp_path / "folder", {RESULT: b"{}"})
    nested(folder, levels=9, width=10)
    with pytest.raises(FetchError, match=r"refused, it lists more than 1000000 files .*check where it comes from"):
        fetch(folder, cache_dir=tmp_path / "cache")


def test_a_hundred_thousand_names_of_ten_objects(tmp_path: Path) -> None:
    """Names are counted, not objects: 100,000 of one file are listed, more are refused before a size is asked for."""
    folder = write(tmp_path / "folder", {RESULT: b"{}"})
    nested(folder, levels=5, width=10)
    assert len(fetch(folder, cache_dir=tmp_path / "cache").entries) == 100_000
    nested(folder, levels=6, width=8)
    with pytest.raises(
        FetchError, match=r"refused, it holds 262144 score and task files; expected at most 100000,.*part of"
    ):
        fetch(folder, cache_dir=tmp_path / "cache")


@pytest.mark.parametrize("kind", ["clone", "folder", "tar"])
def test_too_many_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """The same limit for every kind of source, to the file."""
    files = {f"t/results/scores_{number}.json": b"{}" for number in range(4)} | {"t/task.json": b"{}", "x/other": b""}
    source = write(tmp_path / "source", files)
    if kind == "clone":
        source = make_clone(tmp_path / "clone", files)
    elif kind == "tar":
        source = Path(shutil.make_archive(str(tmp_path / "source"), "tar", source))
    monkeypatch.setattr("bigbench_meta.fetcher.checkout.MAX_ENTRIES", 5)
    assert len(fetch(source, cache_dir=tmp_path / "cache").entries) == 5
    monkeypatch.setattr("bigbench_meta.fetcher.checkout.MAX_ENTRIES", 4)
    with pytest.raises(
        FetchError, match=r"(source|clone|tar).*: refused, it holds 5 score and task files; expected at most 4,"
    ):
        fetch(source, cache_dir=tmp_path / "other")


def test_long_paths_count_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The names that a commit lists are limited in bytes; one within the limits is read."""
    folder = write(tmp_path / "folder", {RESULT: b"{}"})
    nested(folder, levels=40, width=1)
    assert len(fetch(folder, cache_dir=tmp_path / "cache").entries) == 1
    monkeypatch.setattr(plumbing, "MAX_LISTING_BYTES", 100)
    with pytest.raises(FetchError, match="or 100 bytes of names"):
        fetch(folder, cache_dir=tmp_path / "cache")


def test_objects_borrowed_from_elsewhere(tmp_path: Path) -> None:
    """A repository whose alternates lead elsewhere gives what its commit's ids say, whoever keeps the objects."""
    lender = write(tmp_path / "lender", {RESULT: b"{}"})
    git(lender, "init", "-q")
    git(lender, "add", "-A")
    git(lender, "commit", "-q", "-m", "x")
    git(tmp_path, "clone", "-q", "--shared", str(lender), "borrower")
    alternates = tmp_path / "borrower/.git/objects/info/alternates"
    with alternates.open("a") as file:
        file.write(f"/nowhere\n# a remark\n{tmp_path}/a file\n../objects\n")
    checkout = fetch(tmp_path / "borrower", cache_dir=tmp_path / "cache")
    assert [content for _, content in checkout.read()] == [b"{}"]
    alternates.write_text("/nowhere\n")
    with pytest.raises(FetchError, match="which is not there or no commit"):
        fetch(tmp_path / "borrower", cache_dir=tmp_path / "cache")


def test_grafts_and_shallow_files_of_a_repository_are_not_read(tmp_path: Path) -> None:
    """History rewritten by grafts or a forged shallow file changes nothing: one commit is read, by its id."""
    folder = write(tmp_path / "folder", {RESULT: b"{}"})
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "x")
    head = git(folder, "rev-parse", "HEAD")
    (folder / ".git/info/grafts").write_text(f"{head} {'1' * 40}\n")
    (folder / ".git/shallow").write_text("not an id\n")
    checkout = fetch(folder, cache_dir=tmp_path / "cache")
    assert (checkout.commit, len(list(checkout.read()))) == (head, 1)
