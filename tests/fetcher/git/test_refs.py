"""Refs that mislead: named as ids, standing for two things, damaged, or listed without end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from git_server import RESULT, git, http_server, make_clone, write

from bigbench_meta.errors import BigbenchMetaError, SourceError
from bigbench_meta.fetcher import fetch

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def two_commits(tmp_path: Path) -> tuple[Path, str, str]:
    """A clone and the ids of its two commits."""
    folder = make_clone(tmp_path / "clone")
    first = git(folder, "rev-parse", "HEAD")
    write(folder, {RESULT: b'{"scores": [1]}'})
    git(folder, "commit", "-q", "-a", "-m", "y")
    return folder, first, git(folder, "rev-parse", "HEAD")


@pytest.mark.parametrize("form", ["clone", "bundle", "server"])
def test_a_full_id_means_itself(two_commits: tuple[Path, str, str], tmp_path: Path, form: str) -> None:
    """A branch called by the id of another commit does not take its place: a pin stays a pin."""
    folder, first, second = two_commits
    write(
        folder, {f".git/refs/heads/{first}": f"{second}\n".encode(), f".git/refs/tags/{first}": f"{second}\n".encode()}
    )
    if form == "server":
        git(folder, "config", "uploadpack.allowAnySHA1InWant", "true")
        with http_server(tmp_path) as base:
            assert fetch(f"{base}/clone/.git", ref=first, cache_dir=tmp_path / "cache").commit == first
        return
    source = folder
    if form == "bundle":
        source = tmp_path / "r.bundle"
        git(folder, "bundle", "create", "-q", str(source), "--all")
    assert fetch(source, ref=first, cache_dir=tmp_path / "cache").commit == first
    with pytest.raises(SourceError, match=f"has no commit '{'1' * 40}'"):
        fetch(source, ref="1" * 40, cache_dir=tmp_path / "cache")


@pytest.mark.parametrize("form", ["clone", "bundle"])
def test_a_tag_and_a_branch_of_one_name(
    two_commits: tuple[Path, str, str], tmp_path: Path, form: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The tag is taken, as git does, and a warning says so; a full name chooses."""
    folder, first, second = two_commits
    write(folder, {".git/refs/tags/x": f"{first}\n".encode(), ".git/refs/heads/x": f"{second}\n".encode()})
    source = folder
    if form == "bundle":
        source = tmp_path / "r.bundle"
        git(folder, "bundle", "create", "-q", str(source), "refs/heads/x", "refs/tags/x")
    assert fetch(source, ref="x", cache_dir=tmp_path / "cache").commit == first
    assert (
        "'x' is several things; 'refs/tags/x' is taken, not 'refs/heads/x': give the full name to choose" in caplog.text
    )
    caplog.clear()
    assert fetch(source, ref="refs/heads/x", cache_dir=tmp_path / "cache").commit == second
    assert caplog.records == []


def test_a_branch_called_head(two_commits: tuple[Path, str, str], tmp_path: Path) -> None:
    """A branch or tag of that name does not take the place of HEAD itself."""
    folder, first, second = two_commits
    write(folder, {f".git/refs/{kind}/HEAD": f"{first}\n".encode() for kind in ("heads", "tags")})
    for ref in (None, "HEAD"):
        assert fetch(folder, ref=ref, cache_dir=tmp_path / "cache").commit == second


@pytest.mark.parametrize("content", [b"", b"garbage\n", b"\0" * 41, b"1" * 39])
def test_a_damaged_branch(two_commits: tuple[Path, str, str], tmp_path: Path, content: bytes) -> None:
    """What a crash leaves of a branch is damage: neither an older packed value nor the files on disk stand in."""
    folder, _, second = two_commits
    git(folder, "pack-refs", "--all")
    (folder / ".git/refs/heads/main").write_bytes(content)
    with pytest.raises(
        SourceError, match=r"\.git: its refs/heads/main is damaged; expected an object id .*give a full"
    ):
        fetch(folder, cache_dir=tmp_path / "cache")
    assert fetch(folder, ref=second, cache_dir=tmp_path / "cache").commit == second


@pytest.mark.parametrize("damage", ["cut", "noise"])
def test_damaged_packed_refs(two_commits: tuple[Path, str, str], tmp_path: Path, damage: str) -> None:
    """A list of refs that is cut off or overwritten is an error with its line."""
    folder = two_commits[0]
    git(folder, "pack-refs", "--all")
    packed = folder / ".git/packed-refs"
    packed.write_bytes(packed.read_bytes()[:-30] if damage == "cut" else b"\xff\0" * 200)
    with pytest.raises(
        SourceError, match=r"packed-refs: line \d is damaged; expected an object id and .*see `git fsck`"
    ):
        fetch(folder, cache_dir=tmp_path / "cache")


def test_a_head_that_is_a_link(two_commits: tuple[Path, str, str], tmp_path: Path) -> None:
    """The form of HEAD of long ago: a link to a ref, of which the text counts."""
    folder, _, second = two_commits
    (folder / ".git/HEAD").unlink()
    (folder / ".git/HEAD").symlink_to("refs/heads/main")
    assert fetch(folder, cache_dir=tmp_path / "cache").commit == second


def test_a_bare_repository_without_a_commit_at_head(two_commits: tuple[Path, str, str], tmp_path: Path) -> None:
    """A HEAD that names another branch than was pushed is said to, with the refs that are there."""
    git(tmp_path, "clone", "-q", "--bare", "clone", "bare")
    (tmp_path / "bare/HEAD").write_text("ref: refs/heads/master\n")
    with pytest.raises(
        SourceError, match=r"bare: its HEAD names a branch that has no commit; .*give a ref .*refs/heads/main"
    ):
        fetch(tmp_path / "bare", cache_dir=tmp_path / "cache")
    assert fetch(tmp_path / "bare", ref="main", cache_dir=tmp_path / "cache").commit == two_commits[2]


def test_a_bare_repository_around_files(
    two_commits: tuple[Path, str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Files on disk in a folder made up as a bare repository are not passed over in silence."""
    folder = two_commits[0]
    for part in (folder / ".git").iterdir():
        part.rename(folder / part.name)
    (folder / ".git").rmdir()
    write(folder, {RESULT: b"other"})
    assert fetch(folder, cache_dir=tmp_path / "cache").entries[0].size == 15
    assert "1 score or task files on disk are not as committed and are not read" in caplog.text


def forged(tmp_path: Path, refs: list[str], folder: Path) -> Path:
    """A bundle with these lines in place of its list of refs."""
    path = tmp_path / "forged.bundle"
    git(folder, "bundle", "create", "-q", str(path), "HEAD")
    content = path.read_bytes()
    path.write_bytes(b"# v2 git bundle\n" + "".join(refs).encode() + b"\n" + content[content.index(b"PACK") :])
    return path


@pytest.mark.parametrize(
    ("refs", "ref", "message"),
    [
        (
            ["{head} HEAD\n", "{other} HEAD\n"],
            None,
            "refused, it lists 'HEAD' twice, and which one counts .*make it anew",
        ),
        (["{other} HEAD\n"], None, "its HEAD is 1{40}, which is not in it or no commit; get the bundle again"),
        (["{blob} HEAD\n"], None, "its HEAD is .*, which is not in it or no commit; get the bundle again"),
        (["{head} refs/heads/\x1b[31mred\n"], "x", r"it holds refs/heads/\\x1b\[31mred: give one of them"),
        ([f"{{head}} refs/heads/{number}\n" for number in range(99)], "x", "refs/heads/17, 89 more: give one of them"),
        ([], "x", "has no commit 'x'; it holds no ref"),
    ],
)
def test_forged_lists_of_a_bundle(
    repository: Path, tmp_path: Path, refs: list[str], ref: str | None, message: str
) -> None:
    """A ref twice, refs to nothing and to a file, names for a terminal, and many: one error each, short, and kept by none."""
    known = {"head": git(repository, "rev-parse", "HEAD"), "blob": git(repository, "rev-parse", f"HEAD:{RESULT}")}
    path = forged(tmp_path, [line.format(**known, other="1" * 40) for line in refs], repository)
    for _ in range(2):
        with pytest.raises(BigbenchMetaError, match=message) as caught:
            fetch(path, ref=ref, cache_dir=tmp_path / "cache")
        assert str(path) in str(caught.value)
