"""Every refusal of what fetches: it says what was wrong, where, what was expected and what to do, and a test shows it.

Each place in the code that raises an error has a row here, known by words of its message. A row either makes that error
and looks at the four parts, or names the test that does.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from fetcher.test_archives import FILES, pack
from git_server import RESULT, git, make_clone, write

import bigbench_meta
from bigbench_meta.errors import BigbenchMetaError
from bigbench_meta.fetcher import archives, fetch
from bigbench_meta.fetcher.checkout import Entry
from bigbench_meta.fetcher.git import plumbing
from bigbench_meta.fetcher.manifest import Manifest, read_manifest, verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PACKAGE = Path(bigbench_meta.__file__).parent
ROOT = PACKAGE.parent


class Refusal(NamedTuple):
    """An error that is made here: words of it, a part of what was asked for, expectation, advice, and how to make it."""

    words: str
    where: str
    expected: str
    advice: str
    make: Callable[[Path], object]


def cached(folder: Path, source: Path | str, ref: str | None = None) -> object:
    """Fetch into a cache of the test."""
    return fetch(source, ref=ref, cache_dir=folder / "cache")


def folder_of(folder: Path, name: str = "x") -> Path:
    """A plain folder of one score file."""
    return write(folder / name, {RESULT: b"{}"})


def with_git(folder: Path, files: dict[str, bytes]) -> Path:
    """A clone with other files in its git folder."""
    clone = make_clone(folder / "clone")
    for name, content in files.items():
        (clone / ".git" / name).unlink(missing_ok=True)
        write(clone / ".git", {name: content})
    return clone


def tree_object(clone: Path, content: bytes) -> str:
    """Write a tree object that git itself would not make."""
    command = ["git", "hash-object", "-t", "tree", "-w", "--stdin", "--literally"]
    return subprocess.run(command, cwd=clone, input=content, capture_output=True, check=True).stdout.decode().strip()


def with_tree(folder: Path, names: list[bytes], kind: bytes = b"100644") -> Path:
    """A clone whose commit lists score files of these names below `results`."""
    clone = make_clone(folder / "clone")
    blob = bytes.fromhex(git(clone, "rev-parse", f"HEAD:{RESULT}"))
    tree = b"".join(kind + b" " + name + b"\0" + blob for name in names)
    results = b"40000 results\0" + bytes.fromhex(tree_object(clone, tree))
    git(clone, "update-ref", "HEAD", git(clone, "commit-tree", "-m", "x", tree_object(clone, results)))
    return clone


def bundle(folder: Path) -> Path:
    """A bundle of one commit."""
    git(make_clone(folder / "clone"), "bundle", "create", "-q", "../x.bundle", "HEAD")
    return folder / "x.bundle"


def text(path: Path, content: bytes) -> Path:
    """A file."""
    path.write_bytes(content)
    return path


def pipe(path: Path) -> Path:
    """A pipe."""
    os.mkfifo(path)
    return path


def other(checkout: object, **changes: object) -> object:
    """Verify a checkout against a manifest that differs."""
    manifest = Manifest("r", checkout.commit, checkout.entries)  # type: ignore[attr-defined] # of a checkout
    return verify(checkout, manifest.__class__(**(vars(manifest) | changes)))  # type: ignore[arg-type]


def gone(checkout: object, path: Path) -> object:
    """Read a checkout after a file has gone."""
    path.unlink()
    return list(checkout.read())  # type: ignore[attr-defined] # of a checkout


ALLOWED = "allowed are https, ssh and git URLs, http to this machine only, and local paths"
MADE = [
    Refusal("holds no score files", "x: ", "expected score files named", "give the", lambda t: fetch(write(t / "x", {"a": b""}))),
    Refusal("has no git commits, so", "x: ", "expected a git source", "leave it out", lambda t: cached(t, folder_of(t), "main")),
    Refusal(
        "not committed do", "clone: ", "holds no score files", "commit them, or give",
        lambda t: cached(t, write(make_clone(t / "clone", {"a": b""}), {RESULT: b"{}"})),
    ),
    Refusal("is a pipe, socket or device; ", "p: ", "expected a folder or", "write it to a file", lambda t: fetch(pipe(t / "p"))),
    Refusal("only git sources have commits", "x.zip: ", "expected a repo", "leave it out", lambda t: cached(t, pack(t / "x.zip", FILES), "x")),
    Refusal("none of what is read here", "x: ", "expected a folder", "unpack it", lambda t: fetch(text(t / "x", b"hello"))),
    Refusal("the manifest cannot be read", "m: ", "the manifest", "install the package again", lambda t: read_manifest(t / "m")),
    Refusal("the manifest is not plain JSON", "m: ", "plain JSON", "restore it", lambda t: read_manifest(text(t / "m", b"{"))),
    Refusal("a key stands twice", "m: ", "plain JSON", "restore it", lambda t: read_manifest(text(t / "m", b'{"a":1,"a":1}'))),
    Refusal("not a manifest: ", "m: ", "expected an object", "write it with", lambda t: read_manifest(text(t / "m", b"[]"))),
    Refusal(
        "the manifest pins", "clone: ", "pins 1111", "pass ref= to use",
        lambda t: other(cached(t, make_clone(t / "clone")), commit="1" * 40),
    ),
    Refusal(
        "files are not as the manifest says", "clone at ", f"first {RESULT}: expected 222", "restore data_manifest.json",
        lambda t: other(cached(t, make_clone(t / "clone")), files=(Entry(RESULT, "2" * 40, 1),)),
    ),
    Refusal(
        "entries with and without", "clone: ", "expected those of this", "read each kind by itself",
        lambda t: list(cached(t, make_clone(t / "clone")).read([Entry("a", None, 1), Entry("b", "1" * 40, 1)])),  # type: ignore[attr-defined]
    ),
    Refusal("it was there when listed", RESULT, "cannot be read", "fetch again", lambda t: gone(fetch(folder_of(t)), t / "x" / RESULT)),
    Refusal("refused, because it holds", "x.zip: ", "expected plain relative paths", "check where", lambda t: cached(t, pack(t / "x.zip", {"../a": b""}))),
    Refusal(
        "where git keeps objects", "pack/x.idx: ", "expected regular files", "check where",
        lambda t: (pipe(make_clone(t / "clone") / ".git/objects/pack/x.idx"), cached(t, t / "clone")),
    ),
    Refusal(
        "borrows objects from more than", "objects: ", "expected a few", "make a full clone",
        lambda t: cached(
            t,
            with_git(t, {"objects/info/alternates": b"".join(b"%s\n" % bytes(made) for n in range(101) if not (made := t / f"o{n}").mkdir())}),
        ),
    ),
    Refusal("expected a few folders", "alternates: ", "larger than", "check where", lambda t: cached(t, with_git(t, {"objects/info/alternates": b"x" * (1 << 21)}))),
    Refusal("is not a git object id", "'HEAD'", "expected 40 or 64", "hexadecimal digits", lambda _: plumbing.id_list(["HEAD"])),
    Refusal("empty, starts with", "source '-x'", ALLOWED, "write ./-name", lambda _: fetch("-x")),
    Refusal("remote helpers", "source 'ext::x'", ALLOWED, "allowed are", lambda _: fetch("ext::x")),
    Refusal("not a path that exists, and neither", "source 'https:/x/y'", "protocol://host/path", "allowed are", lambda _: fetch("https:/x/y")),
    Refusal("protocol {scheme!r} is refused", "source 'ftp://h/x': protocol 'ftp'", ALLOWED, "give one of these", lambda _: fetch("ftp://h/x")),
    Refusal("not a plain", "source 'https://h'", ALLOWED, "write it without", lambda _: fetch("https://h")),
    Refusal("http is not encrypted", "'http://h/x'", "allowed to this machine only", "use https", lambda _: fetch("http://h/x")),
    Refusal("names another machine", "source 'file://h/x'", "expected file:///path", "give that", lambda _: fetch("file://h/x")),
    Refusal("expected a folder of a user", "'~nobody-there/x'", "expected a folder", "write it out", lambda _: fetch("~nobody-there/x")),
    Refusal("no such file or folder, and not a URL", "nowhere'", ALLOWED, "or the word github", lambda t: fetch(str(t / "nowhere"))),
    Refusal("expected a branch, a tag or a commit id (", "ref '-x'", "expected a branch, a tag or a commit id", "letters, digits", lambda t: fetch(t, ref="-x")),
    Refusal("its git folder cannot be looked at", "clone: ", "cannot be looked at", "make it readable", lambda t: cached(t, with_git(t, {"commondir": b"x" * 4000}))),
    Refusal("as a reftable", ".git: ", "not read here", "make a bundle", lambda t: cached(t, with_git(t, {"reftable/x": b""}))),
    Refusal("cannot be looked up", ".git: 'xxx", "expected readable files", "give another ref", lambda t: cached(t, make_clone(t / "clone"), "x" * 300)),
    Refusal("is damaged; expected an object id or", ".git: its HEAD", "or `ref: refs/...`", "see `git fsck`", lambda t: cached(t, with_git(t, {"HEAD": b"x"}))),
    Refusal("which no list of refs is", "packed-refs: ", "is larger than", "check where", lambda t: cached(t, with_git(t, {"packed-refs": b"x" * (17 << 20)}))),
    Refusal("is damaged; expected an object id and", "packed-refs: line 1", "the name of a ref", "see `git fsck`", lambda t: cached(t, with_git(t, {"packed-refs": b"x\n"}))),
    Refusal("the archive is damaged or", "x.zip: ", "expected a whole zip or tar", "get it again", lambda t: cached(t, text(t / "x.zip", b"\x1f\x8bx"))),
    Refusal("cannot be read ({err}); expected our list", "skipped.json: ", "expected our list", "fetch again", archives.read_skipped),
    Refusal(
        "both as a file and as a folder", "x.tar: ", "which one counts cannot be known", "pack it anew",
        lambda t: cached(t, pack(t / "x.tar", {RESULT: b"", f"{RESULT}/results/scores_b.json": b""})),
    ),
    Refusal("and something follows", "x.tar: ", "expected one archive alone", "give the folder", lambda t: cached(t, text(t / "x.tar", pack(t / "y.tar", FILES).read_bytes() + b"x"))),
    Refusal("which is not there or no commit", "clone: HEAD is 1111", "is not there", "see `git fsck`", lambda t: cached(t, with_git(t, {"HEAD": b"1" * 40}))),
    Refusal("has no commit {ref!r}; expected", "clone: ", "expected one of those", "give its name", lambda t: cached(t, make_clone(t / "clone"), "x")),
    Refusal("names a branch that has no commit", "bare: ", "expected a repository with one", "give a ref", lambda t: (git(t, "init", "-q", "--bare", "bare"), cached(t, t / "bare"))),
    Refusal("the bundle cannot be unpacked", "x.bundle: ", "expected a whole one", "get it again", lambda t: cached(t, text(bundle(t), b"# v2 git bundle\n"))),
    Refusal("it holds {listed(", "x.bundle: has no commit 'x'", "it holds HEAD", "give one of them", lambda t: cached(t, bundle(t), "x")),
    Refusal("offline work was asked for", "https://h/x: HEAD", "not in the cache", "fetch it once without", lambda t: fetch("https://h/x", offline=True, cache_dir=t)),
    Refusal("its list of files cannot be read", "clone at ", "a clone may be damaged", "see `git fsck`", lambda t: cached(t, with_tree(t, [b"d"], b"40000"))),
    Refusal("it is damaged or forged", "clone at ", "lists 'results/scores_a.json' twice", "do not use it", lambda t: cached(t, with_tree(t, [b"scores_a.json"] * 2))),
    Refusal("files are not in this repository", "clone at ", "1 of 1 files", "make a full clone", lambda t: cached(t, without_blob(t))),
    Refusal("some of it would not be read", "x.zip: ", "expected one whole archive", "unpack it yourself", lambda t: cached(t, text(t / "x.zip", pack(t / "y.zip", FILES).read_bytes() + b"x"))),
    Refusal("its files cannot be looked at", "clone at ", "expected whole objects", "see `git fsck`", lambda t: cached(t, with_folder_for_blob(t))),
    Refusal("the cache cannot be used", "file: ", "expected a folder of yours", "choose another", lambda t: fetch(make_clone(t / "c"), cache_dir=text(t / "file", b""))),
    Refusal("cannot be found ({err}); ", "~nobody-there/x: ", "cannot be found", "choose another", lambda t: fetch(t, cache_dir="~nobody-there/x")),
]  # fmt: skip


def without_blob(folder: Path) -> Path:
    """A clone that lacks its one file."""
    clone = make_clone(folder / "clone")
    blob = git(clone, "rev-parse", f"HEAD:{RESULT}")
    (clone / ".git/objects" / blob[:2] / blob[2:]).unlink()
    return clone


def with_folder_for_blob(folder: Path) -> Path:
    """A clone with a folder in the place of the object of its one file, which git maps into memory."""
    clone = without_blob(folder)
    blob = git(clone, "rev-parse", f"HEAD:{RESULT}")
    (clone / ".git/objects" / blob[:2] / blob[2:]).mkdir()
    return clone


# Words of an error -> the test that makes it and looks at its message.
ELSEWHERE = {
    "refused, it holds {count} score and task files": "tests/fetcher/git/test_local.py::test_too_many_entries",
    "is a link where a repository keeps its refs": "tests/fetcher/git/test_local.py::test_refs_behind_a_link",
    "is a link where git looks": "tests/fetcher/git/test_local.py::test_a_list_of_lenders_that_is_a_link",
    "the lock of what was fetched cannot be written": "tests/fetcher/test_cache.py::test_lock_beside_the_cache",
    "cannot be read ({err.strerror}); check that it is a file": "tests/fetcher/test_messages.py::test_a_file_without_permission",
    "asked for {name}, got": "tests/fetcher/test_refusals.py::test_server_that_answers_with_another_commit",
    "git could not be started (": "tests/fetcher/test_refusals.py::test_gitpython_that_refuses_or_finds_no_git",
    "refused by GitPython": "tests/fetcher/test_refusals.py::test_gitpython_that_refuses_or_finds_no_git",
    "the server {watch.verdict}": "tests/fetcher/git/test_limits.py::test_a_server_that_talks_and_sends_nothing",
    "git could not fetch (": "tests/fetcher/git/test_limits.py::test_what_to_do_about_a_server",
    "hands out branches and tags only": "tests/fetcher/test_remote_sources.py::test_server_that_refuses",
    "is no longer in {self.root}": "tests/fetcher/test_faults.py::test_source_that_changes_under_a_checkout",
    "does not have the content of its object id": "tests/fetcher/test_hostile.py::test_object_with_the_wrong_content",
    "its git objects cannot be looked at": "tests/fetcher/test_special_files.py::test_object_folder_that_may_not_be_read",
    "git was not found": "tests/fetcher/test_faults.py::test_git_is_not_installed",
    "git is too old or none": "tests/fetcher/git/test_limits.py::test_other_gits",
    "no temporary file could be made": "tests/fetcher/git/test_limits.py::test_no_place_for_temporary_files",
    "refused, it lists more than": "tests/fetcher/git/test_local.py::test_a_commit_of_a_billion_files",
    "cannot be read as a file ({said})": "tests/fetcher/test_refusals.py::test_objects_of_another_kind",
    "cannot be looked at ({err.strerror}); make it": "tests/fetcher/git/test_local.py::test_a_folder_that_may_not_be_looked_into",
    "cannot be listed": "tests/fetcher/test_local_sources.py::test_folder_that_cannot_be_listed",
    "_TOO_MANY": "tests/fetcher/test_archives_hostile.py::test_folders_count_as_members",
    "twice, and which one counts cannot be known; pack it": "tests/fetcher/test_archives.py::test_one_name_twice",
    "or more (limits:": "tests/fetcher/test_archives.py::test_bomb_by_ratio",
    "git could not store its files": "tests/fetcher/test_refusals.py::test_git_that_ends_while_it_stores_an_archive",
    "bytes that the archive says": "tests/fetcher/test_refusals.py::test_member_shorter_than_its_header_says",
    "twice, and which one counts cannot be known; make it": "tests/fetcher/git/test_refs.py::test_forged_lists_of_a_bundle",
    "which is not in it or no commit": "tests/fetcher/git/test_refs.py::test_forged_lists_of_a_bundle",
    "the kept repository {bare} names commit": "tests/fetcher/test_cache.py::test_a_kept_repository_of_another_commit",
    "the kept repository names no commit": "tests/fetcher/test_faults.py::test_damaged_cache",
    "the kept list of refs cannot be read": "tests/fetcher/test_refusals.py::test_damaged_list_of_a_bundles_refs",
    "is not a list of refs": "tests/fetcher/test_refusals.py::test_damaged_list_of_a_bundles_refs",
    "not a pattern of paths in a source": "tests/fetcher/test_selection.py::test_refused_patterns",
    "no file matches path=": "tests/fetcher/test_selection.py::test_a_pattern_that_names_nothing",
    "has a name that is not UTF-8; rename it": "tests/fetcher/test_selection.py::test_one_file_without_a_readable_name",
    "words(errors)": "tests/fetcher/test_refusals.py::test_a_tree_that_is_gone",
}


@pytest.mark.parametrize("refusal", MADE, ids=lambda refusal: refusal.words)
def test_message(tmp_path: Path, refusal: Refusal) -> None:
    """What, where, expected, and what to do, each in words, in less than a screen."""
    with pytest.raises(BigbenchMetaError) as caught:
        refusal.make(tmp_path)
    said = str(caught.value)
    plain = refusal.words.partition("{")[0]  # what the code writes before a value of its own
    for part in (plain, refusal.where, refusal.expected, refusal.advice):
        assert part in said
    assert len(said) < 1500


def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that may not be read."""
    path = text(tmp_path / "x.zip", b"")
    really = Path.open

    def refuse(asked: Path, *arguments: str, **options: str) -> object:
        if asked == path:  # to root every file is readable
            raise PermissionError(13, os.strerror(13), str(path))
        return really(asked, *arguments, **options)  # type: ignore[call-overload] # handed on as it came

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(
        BigbenchMetaError, match=r"x\.zip: cannot be read \(Permission denied\); check that it is a file and"
    ):
        fetch(path)


def raised() -> Iterator[tuple[str, str]]:
    """Every place of the modules that fetch where an error is made: its place, and the text of its argument."""
    files = sorted((PACKAGE / "fetcher").rglob("*.py"))
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args):
                continue
            if node.func.id.endswith("Error"):
                yield f"{file.name}:{node.lineno}", ast.unparse(node.args[0]).replace("\\'", "'")


def test_every_refusal_has_its_row() -> None:
    """No error can be added without a test of its message; no row outlives its error."""
    words = [refusal.words for refusal in MADE] + list(ELSEWHERE)
    places = dict(raised())
    assert len(places) > 60
    assert [f"{place} {text}" for place, text in places.items() if not any(word in text for word in words)] == []
    assert [word for word in words if not any(word in text for text in places.values())] == []


def test_tests_elsewhere_are_there() -> None:
    """The tests that are named exist."""
    for name in ELSEWHERE.values():
        file, _, test = name.partition("::")
        assert re.search(rf"^def {test}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE), name
