"""Repositories made to harm: nothing they hold is run, followed or written, and every refusal says why."""

from __future__ import annotations

import logging
import os
import subprocess
from pathlib import Path

import pytest
from git_server import CLEAN, RESULT, git, http_server, write

from bigbench_meta.errors import BigbenchMetaError, FetchError, IntegrityError, SourceError
from bigbench_meta.fetcher import fetch
from bigbench_meta.fetcher.checkout import POINTER


def test_configuration_hooks_and_filters_of_a_clone_are_not_obeyed(repository: Path, tmp_path: Path) -> None:
    """Every setting by which a repository can start a program is set, and none is started."""
    program = tmp_path / "program"
    marker = tmp_path / "started"
    program.write_text(f"#!/bin/sh\necho started >> {marker}\n")
    program.chmod(0o755)
    run = str(program)
    (tmp_path / "included").write_text(f"[core]\n\tfsmonitor = {run}\n\tpager = {run}\n")
    settings = {
        "core.fsmonitor": run,
        "core.sshCommand": run,
        "core.gitProxy": run,
        "core.askPass": run,
        "core.pager": run,
        "core.editor": run,
        "core.alternateRefsCommand": run,
        "core.hooksPath": str(repository / ".git/hooks"),
        "credential.helper": run,
        "uploadpack.packObjectsHook": run,
        "filter.evil.smudge": run,
        "filter.evil.clean": run,
        "filter.evil.process": run,
        "filter.lfs.smudge": run,
        "diff.evil.textconv": run,
        "include.path": str(tmp_path / "included"),
        f"includeIf.gitdir:{repository}/.path": str(tmp_path / "included"),
        "protocol.ext.allow": "always",
        "remote.origin.url": f"ext::{run}",
        "remote.origin.promisor": "true",
        "remote.origin.partialCloneFilter": "blob:none",
        "remote.origin.uploadpack": run,
        "alias.ls-tree": f"!{run}",
        "alias.cat-file": f"!{run}",
        "gpg.program": run,
    }
    for name, value in settings.items():
        git(repository, "config", name, value)
    for hook in (
        "post-checkout",
        "post-merge",
        "reference-transaction",
        "pre-auto-gc",
        "post-index-change",
        "fsmonitor-watchman",
    ):
        (repository / ".git/hooks").mkdir(exist_ok=True)
        (repository / ".git/hooks" / hook).symlink_to(program)
    write(repository, {".git/info/attributes": b"* filter=evil diff=evil\n"})
    checkout = fetch(repository, cache_dir=tmp_path / "cache")
    assert [content for _, content in checkout.read()] == [b'{"scores": []}']
    # a file that a partial clone has left on its (executable) server is missing, not got
    lost = checkout.entries[0].object_id
    assert lost is not None
    (repository / ".git/objects" / lost[:2] / lost[2:]).unlink()
    with pytest.raises(FetchError, match="1 of 1 files are not in this repository or damaged there"):
        fetch(repository, cache_dir=tmp_path / "cache")
    assert not marker.exists()
    # the trap is live: git itself, started in that clone, walks into it
    subprocess.run(["git", "status"], cwd=repository, env=CLEAN, capture_output=True, check=False)
    assert marker.exists()


def test_attributes_submodules_and_links_in_a_commit(repository: Path, tmp_path: Path) -> None:
    """Filters named in .gitattributes, an LFS pointer, a submodule and a link are data: skipped by name, never acted on."""
    results = "bigbench/benchmark_tasks/tense/results"
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12\n"
    write(
        repository,
        {
            ".gitattributes": b"*.json filter=lfs diff=lfs merge=lfs -text\n",
            f"{results}/scores_pointer.json": pointer,
            ".gitmodules": b'[submodule "x"]\n\tpath = bigbench/x\n\turl = ext::sh -c "touch /tmp/harm"\n',
        },
    )
    (repository / results / "scores_link.json").symlink_to("/etc/passwd")
    (repository / "bigbench/benchmark_tasks/linked").mkdir()
    (repository / "bigbench/benchmark_tasks/linked/results").symlink_to("/etc")
    git(repository, "-c", "filter.lfs.clean=cat", "-c", "filter.lfs.required=false", "add", "-A")
    head = git(repository, "rev-parse", "HEAD")
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{head},{results}/scores_module.json")
    git(repository, "commit", "-q", "-m", "odd")
    bare = tmp_path / "served" / "r.git"
    bare.parent.mkdir()
    git(tmp_path, "clone", "-q", "--bare", str(repository), str(bare))
    git(bare, "config", "uploadpack.allowFilter", "true")
    with http_server(bare.parent) as base:
        for source in (str(repository), str(bare), f"{base}/r.git"):
            checkout = fetch(source, cache_dir=tmp_path / "cache")
            assert {e.path: c for e, c in checkout.read()} == {RESULT: b'{"scores": []}'}
            assert checkout.skipped == (
                ("bigbench/benchmark_tasks/linked/results", "is a symbolic link; links are not followed"),
                (f"{results}/scores_link.json", "is a symbolic link; links are not followed"),
                (
                    f"{results}/scores_module.json",
                    "is a submodule, which is never fetched: give its own repository as a source",
                ),
                (f"{results}/scores_pointer.json", POINTER),
            )


def tree(repository: Path, entries: list[tuple[str, bytes, str]]) -> str:
    """Write a tree object that git itself would not make."""
    content = b"".join(
        mode.encode() + b" " + name + b"\0" + bytes.fromhex(object_id) for mode, name, object_id in entries
    )
    done = subprocess.run(
        ["git", "hash-object", "-t", "tree", "-w", "--stdin", "--literally"],
        cwd=repository, env=CLEAN, input=content, capture_output=True, check=True,
    )  # fmt: skip
    return done.stdout.decode().strip()


def commit_files(repository: Path, folders: list[bytes], names: list[bytes]) -> None:
    """Commit score files of these names below these folders, whatever the names are."""
    blob = git(repository, "rev-parse", f"HEAD:{RESULT}")
    object_id = tree(repository, [("100644", name, blob) for name in names])
    for folder in reversed(folders):
        object_id = tree(repository, [("40000", folder, object_id)])
    git(repository, "update-ref", "HEAD", git(repository, "commit-tree", "-m", "forged", object_id))


@pytest.mark.parametrize("form", ["clone", "server"])
@pytest.mark.parametrize(
    "folders",
    [
        [b"..", b"..", b"results"],
        [b"x", b".", b"results"],
        [b".git", b"results"],
        [b"x\\y", b"results"],
        [b"C:", b"results"],
    ],
)
def test_names_that_lead_outside_are_refused(repository: Path, tmp_path: Path, folders: list[bytes], form: str) -> None:
    """`..`, `.`, `.git`, backslashes and drives in a path that would be read end in one clear error."""
    commit_files(repository, folders, [b"scores_a.json"])
    if form == "clone":
        with pytest.raises(FetchError, match=r"refused, because it holds a file named .*scores_a\.json"):
            fetch(repository, cache_dir=tmp_path / "cache")
    else:
        with http_server(tmp_path) as base, pytest.raises(FetchError, match="refused, because it holds"):
            fetch(f"{base}/clone/.git", cache_dir=tmp_path / "cache")


def test_odd_names_are_read_by_their_id(repository: Path, tmp_path: Path) -> None:
    """Newlines, tabs, quotes, case twins and over-long names do no harm: no file of that name is ever made."""
    names = [
        b"scores_A.json",
        b"scores_a.json",
        b'scores_q"\t.json',
        b"scores_x\ny.json",
        b"scores_" + b"z" * 400 + b".json",
        b"scores_\xff.json",
    ]
    commit_files(repository, [b"task", b"results"], sorted(names))
    checkout = fetch(repository, cache_dir=tmp_path / "cache")
    assert [e.path for e in checkout.entries] == sorted(f"task/results/{name.decode()}" for name in names[:-1])
    assert {content for _, content in checkout.read()} == {b'{"scores": []}'}
    assert checkout.skipped == ((r"'task/results/scores_\udcff.json'", "has a name that is not UTF-8"),)


def test_one_name_twice_in_a_tree_is_refused(repository: Path, tmp_path: Path) -> None:
    """A forged tree cannot make a file count twice."""
    commit_files(repository, [b"task", b"results"], [b"scores_a.json", b"scores_a.json"])
    with pytest.raises(IntegrityError, match=r"lists 'task/results/scores_a\.json' twice"):
        fetch(repository, cache_dir=tmp_path / "cache")


@pytest.mark.parametrize(
    "ref",
    [
        "--upload-pack=touch harm",
        "-x",
        "a..b",
        "a:b",
        "+main",
        "main~1",
        "a b",
        "a\nb",
        "",
        "^main",
        "@{u}",
        "x.lock",
        "/x",
        "\x00",
    ],
)
@pytest.mark.parametrize("source", ["git://127.0.0.1:9/r", "."])
def test_hostile_refs(ref: str, source: str) -> None:
    """A ref is a name or an id; nothing else reaches git."""
    with pytest.raises(SourceError, match="expected a branch, a tag or a commit id"):
        fetch(source, ref=ref)


def test_refs_of_a_clone_are_text_files_and_no_more(repository: Path, tmp_path: Path) -> None:
    """Endless and outward symbolic refs, and refs that are links, name no commit."""
    git_dir = repository / ".git"
    (git_dir / "refs/heads/loop").write_text("ref: refs/heads/loop\n")
    (git_dir / "refs/heads/outside").write_text("ref: ../../../etc/passwd\n")
    (git_dir / "refs/heads/link").symlink_to(git_dir / "HEAD")
    for ref in ("loop", "outside", "link"):
        with pytest.raises(SourceError, match=f"has no commit '{ref}'"):
            fetch(repository, ref=ref, cache_dir=tmp_path / "cache")


def test_replaced_objects_and_forged_caches_are_ignored(repository: Path, tmp_path: Path) -> None:
    """A replace ref cannot put another content behind an id."""
    blob = git(repository, "rev-parse", f"HEAD:{RESULT}")
    other = write(repository, {"other": b"other"}) / "other"
    forged = git(repository, "hash-object", "-w", str(other))
    git(repository, "replace", blob, forged)
    checkout = fetch(repository, cache_dir=tmp_path / "cache")
    assert [content for _, content in checkout.read()] == [b'{"scores": []}']


def test_object_with_the_wrong_content(repository: Path, tmp_path: Path) -> None:
    """A content that does not have its object id is an error that names the file."""
    blob = git(repository, "rev-parse", f"HEAD:{RESULT}")
    forged = git(repository, "hash-object", "-w", str(write(repository, {"other": b'{"scores": 0}!'}) / "other"))
    objects = repository / ".git/objects"
    target = objects / blob[:2] / blob[2:]
    target.chmod(0o644)
    target.write_bytes((objects / forged[:2] / forged[2:]).read_bytes())
    checkout = fetch(repository, cache_dir=tmp_path / "cache")
    with pytest.raises(IntegrityError, match=r"scores_a\.json|cannot be read"):
        list(checkout.read())


def test_folder_links_and_special_files(tmp_path: Path) -> None:
    """Links out of a folder, pipes and unreadable names are listed as skipped; links within it are followed."""
    results = "tense/results"
    folder = write(tmp_path / "data", {f"{results}/scores_a.json": b"a", "shelf/b.json": b"b"})
    write(tmp_path / "secret", {"results/scores_s.json": b"secret"})
    (folder / results / "scores_out.json").symlink_to(tmp_path / "secret/results/scores_s.json")
    (folder / results / "scores_in.json").symlink_to(folder / "shelf/b.json")
    (folder / results / "scores_broken.json").symlink_to("nowhere")
    (folder / "other").mkdir()
    (folder / "other/results").symlink_to(tmp_path / "secret/results")
    os.mkfifo(folder / results / "scores_pipe.json")
    (Path(os.fsdecode(os.fsencode(folder / results) + b"/scores_\xff.json"))).write_bytes(b"x")
    checkout = fetch(folder)
    assert {e.path: c for e, c in checkout.read()} == {
        f"{results}/scores_a.json": b"a",
        f"{results}/scores_in.json": b"b",
    }
    assert dict(checkout.skipped) == {
        "other/results": "is a symbolic link to a folder; it is not entered",
        rf"'{results}/scores_\udcff.json'": "has a name that is not UTF-8",
        f"{results}/scores_broken.json": "is not a regular file",
        f"{results}/scores_out.json": "is a symbolic link that leads out of the folder",
        f"{results}/scores_pipe.json": "is not a regular file",
    }


def test_environment_of_a_hook_does_not_leak_in(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Started from within another git command, with its variables set, the same commit is read."""
    other = write(tmp_path / "other", {"x": b"x"})
    git(other, "init", "-q")
    for name, value in {
        "GIT_DIR": str(other / ".git"),
        "GIT_WORK_TREE": str(other),
        "GIT_INDEX_FILE": str(other / "index"),
        "GIT_OBJECT_DIRECTORY": str(other / ".git/objects"),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "alias.ls-tree",
        "GIT_CONFIG_VALUE_0": "!false",
        "GIT_CONFIG_PARAMETERS": "'core.bare=false'",
        "GIT_TRACE": "1",
        "GIT_NAMESPACE": "x",
        "GIT_CEILING_DIRECTORIES": "/",
    }.items():
        monkeypatch.setenv(name, value)
    assert len(fetch(repository, cache_dir=tmp_path / "cache").entries) == 1
    with http_server(tmp_path) as base:
        assert len(fetch(f"{base}/clone/.git", cache_dir=tmp_path / "cache").entries) == 1


def test_changes_that_are_not_committed_are_mentioned(
    repository: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a clone the commit is read; score files on disk that differ from it are counted in a warning."""
    fetch(repository, cache_dir=tmp_path / "cache")
    assert caplog.records == []
    write(repository, {RESULT: b'{"scores":[1]}', "bigbench/benchmark_tasks/new/results/scores_n.json": b"{}"})
    os.utime(repository / RESULT, (2**31, 2**31))
    checkout = fetch(repository, cache_dir=tmp_path / "cache")
    assert [content for _, content in checkout.read()] == [b'{"scores": []}']
    assert [(r.levelno, r.args[2]) for r in caplog.records if isinstance(r.args, tuple)] == [(logging.WARNING, 2)]
    below = fetch(repository / "bigbench", cache_dir=tmp_path / "cache")
    assert [content for _, content in below.read()] == [b"{}", b'{"scores":[1]}']


def test_clone_whose_commit_has_no_scores(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Before the first commit the files on disk are read, with a warning; after one without them it is an error."""
    folder = write(tmp_path / "data", {"tense/results/scores_a.json": b"{}", "README.md": b"x"})
    git(folder, "init", "-q")
    assert fetch(folder, cache_dir=tmp_path / "cache").commit is None
    assert "has no commit yet" in caplog.text
    git(folder, "add", "README.md")
    git(folder, "commit", "-q", "-m", "x")
    with pytest.raises(SourceError, match="files on disk that are not committed do"):
        fetch(folder, cache_dir=tmp_path / "cache")


def test_partial_clone_of_a_user(tmp_path: Path, repository: Path) -> None:
    """A blobless clone without its files is an error with the cure, and its server is not asked."""
    git(repository, "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "-q", "--bare", "--filter=blob:none", repository.as_uri(), "partial")
    repository.rename(tmp_path / "gone")
    with pytest.raises(BigbenchMetaError, match="a partial clone leaves them on its server"):
        fetch(tmp_path / "partial", cache_dir=tmp_path / "cache")
