"""Git servers on the loopback interface, well and unwell."""

from __future__ import annotations

import logging
import multiprocessing
import socket
import time
from typing import TYPE_CHECKING

import pytest
from git_server import Behaviour, daemon, free_port, git, http_server, write

from bigbench_meta.errors import FetchError, IntegrityError, OfflineError, SourceError
from bigbench_meta.fetcher import dispatch, fetch
from bigbench_meta.fetcher.checkout import Checkout, Entry
from bigbench_meta.fetcher.git import remote
from bigbench_meta.fetcher.manifest import Manifest, read_manifest

if TYPE_CHECKING:
    from pathlib import Path

TASKS = "bigbench/benchmark_tasks"
FILES = {f"{TASKS}/tense/results/scores_BIG-G_{size}_T=0.json": b'{"scores": [%d]}' % size for size in range(12)}
FILES |= {
    f"{TASKS}/tense/task.json": b"{}",
    "README.md": b"hello",
    f"{TASKS}/tense/results/full-log.json": b"log" * 1000,
}
WANTED = sorted(name for name in FILES if "scores_" in name)
DEFINITION = f"{TASKS}/tense/task.json"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A bare repository `r.git` that allows filters and any object id, as github does."""
    work = write(tmp_path / "work", FILES)
    git(work, "init", "-q")
    git(work, "add", "-A")
    git(work, "commit", "-q", "-m", "results")
    git(work, "tag", "-a", "v1", "-m", "first")
    write(work, {f"{TASKS}/tense/results/scores_BIG-G_0_T=0.json": b"newer"})
    git(work, "commit", "-q", "-a", "-m", "more")
    bare = tmp_path / "served" / "r.git"
    bare.parent.mkdir()
    git(tmp_path, "clone", "-q", "--bare", "work", str(bare))
    git(bare, "config", "uploadpack.allowFilter", "true")
    git(bare, "config", "uploadpack.allowAnySHA1InWant", "true")
    return bare


def contents(checkout: Checkout) -> dict[str, bytes]:
    """Everything a checkout holds."""
    return {entry.path: content for entry, content in checkout.read()}


NEWER = {name: FILES[name] for name in WANTED} | {f"{TASKS}/tense/results/scores_BIG-G_0_T=0.json": b"newer"}


def log_id(repository: Path) -> str:
    """Object id of a file that must never be fetched."""
    return git(repository, "rev-parse", f"HEAD:{TASKS}/tense/results/full-log.json")


@pytest.mark.parametrize("transport", ["http", "http, protocol 0", "daemon"])
def test_only_the_wanted_files_of_one_commit_are_fetched(repository: Path, tmp_path: Path, transport: str) -> None:
    """One commit without history, its score files in one request, and nothing else."""
    behaviour = Behaviour(protocol_v2=transport == "http")
    server = daemon(repository.parent) if transport == "daemon" else http_server(repository.parent, behaviour)
    with server as base:
        checkout = fetch(f"{base}/r.git", cache_dir=tmp_path / "cache")
    assert checkout.commit == git(repository, "rev-parse", "HEAD")
    assert contents(checkout) == NEWER
    kept = git(checkout.root, "cat-file", "--batch-check", "--batch-all-objects").splitlines()
    assert checkout.definitions_left_out == 1
    definition = git(repository, "rev-parse", f"HEAD:{DEFINITION}")
    assert not {log_id(repository), definition} & {line.split()[0] for line in kept}
    assert sum(" commit " in line for line in kept) == 1
    if transport != "daemon":
        assert behaviour.wants == [1, len(WANTED)]


def test_definitions_are_fetched_on_request(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for, task definitions come in the same request; afterwards either call is answered from the cache, as it asks."""
    behaviour = Behaviour()
    with http_server(repository.parent, behaviour) as base:
        checkout = fetch(f"{base}/r.git", cache_dir=tmp_path, definitions=True)
    assert contents(checkout) == NEWER | {DEFINITION: FILES[DEFINITION]}
    assert checkout.definitions_left_out == 0
    assert behaviour.wants == [1, len(WANTED) + 1]
    monkeypatch.setattr(socket, "socket", lambda *_, **__: pytest.fail("a socket was opened"))
    assert fetch(f"{base}/r.git", cache_dir=tmp_path, definitions=True, offline=True) == checkout
    without = fetch(f"{base}/r.git", cache_dir=tmp_path, offline=True)
    assert (contents(without), without.definitions_left_out) == (NEWER, 1)


def test_definitions_after_a_fetch_without_them(repository: Path, tmp_path: Path) -> None:
    """A cache that holds score files only does not stand in for one with definitions."""
    with http_server(repository.parent) as base:
        fetch(f"{base}/r.git", cache_dir=tmp_path)
        with pytest.raises(OfflineError):
            fetch(f"{base}/r.git", cache_dir=tmp_path, definitions=True, offline=True)
        assert DEFINITION in contents(fetch(f"{base}/r.git", cache_dir=tmp_path, definitions=True))


@pytest.mark.parametrize("refused", ["filters", "object ids", "both"])
def test_server_that_refuses(repository: Path, tmp_path: Path, refused: str, caplog: pytest.LogCaptureFixture) -> None:
    """Without filters, or without wants of single objects, the whole commit is fetched, and the log says so."""
    git(repository, "config", "uploadpack.allowFilter", str(refused == "object ids").lower())
    git(repository, "config", "uploadpack.allowAnySHA1InWant", "false")
    with http_server(repository.parent, Behaviour(protocol_v2=refused == "filters")) as base:
        checkout = fetch(f"{base}/r.git", cache_dir=tmp_path / "cache")
    assert contents(checkout) == NEWER
    assert "so the whole commit is fetched" in caplog.text


@pytest.mark.parametrize("ref", ["v1", "main", "refs/heads/main", "id"])
def test_refs(repository: Path, tmp_path: Path, ref: str) -> None:
    """A tag, a branch and a full commit id each give their commit."""
    expected = git(repository, "rev-parse", "v1^{commit}" if ref in {"v1", "id"} else "main")
    with http_server(repository.parent) as base:
        checkout = fetch(f"{base}/r.git", ref=expected if ref == "id" else ref, cache_dir=tmp_path)
    assert checkout.commit == expected


def test_second_call_needs_no_network_and_says_nothing(
    repository: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the server gone and sockets forbidden, the same checkout comes from the cache, silently at INFO."""
    with http_server(repository.parent) as base:
        first = fetch(f"{base}/r.git", cache_dir=tmp_path / "cache")
    monkeypatch.setattr(socket, "socket", lambda *_, **__: pytest.fail("a socket was opened"))
    caplog.set_level(logging.INFO)
    caplog.clear()
    for offline in (False, True):
        again = fetch(f"{base}/r.git", cache_dir=tmp_path / "cache", offline=offline)
        assert again == first
        assert contents(again) == NEWER
    assert caplog.records == []


def test_offline_opens_no_connection(repository: Path, tmp_path: Path) -> None:
    """A source that is not kept is an error with the cure, and the server is never asked."""
    behaviour = Behaviour()
    with (
        http_server(repository.parent, behaviour) as base,
        pytest.raises(OfflineError, match="fetch it once without offline"),
    ):
        fetch(f"{base}/r.git", cache_dir=tmp_path / "cache", offline=True)
    assert behaviour.requests == []


def test_credentials_are_used_and_never_shown(
    repository: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The server gets the password; errors, logs, the checkout and every file of the cache do not."""
    caplog.set_level(logging.DEBUG)
    behaviour = Behaviour(status=401)
    with http_server(repository.parent, behaviour) as base:
        url = base.replace("://", "://someone:hunter2@") + "/r.git"
        started = time.monotonic()
        with pytest.raises(FetchError, match="wants credentials or refuses yours") as caught:
            fetch(url, cache_dir=tmp_path / "cache")
        assert time.monotonic() - started < 20
        assert any(behaviour.authorization)
        behaviour.status = None
        checkout = fetch(url, cache_dir=tmp_path / "cache")
    shown = [str(caught.value), repr(checkout), caplog.text]
    shown += [file.read_bytes().decode("latin-1") for file in (tmp_path / "cache").rglob("*") if file.is_file()]
    assert not [text for text in shown if "hunter2" in text or "someone" in text]


def test_no_prompt_without_credentials(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that wants a password fails at once; no helper, askpass program or terminal is asked."""
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\necho secret\n")
    trap.chmod(0o755)
    home = write(
        tmp_path / "home", {".gitconfig": f"[credential]\n\thelper = {trap}\n[core]\n\taskPass = {trap}\n".encode()}
    )
    monkeypatch.setenv("HOME", str(home))
    for name in ("GIT_ASKPASS", "SSH_ASKPASS"):
        monkeypatch.setenv(name, str(trap))
    with (
        http_server(repository.parent, Behaviour(status=401)) as base,
        pytest.raises(FetchError, match="wants credentials"),
    ):
        fetch(f"{base}/r.git", cache_dir=tmp_path / "cache")
    assert not (tmp_path / "asked").exists()


@pytest.mark.parametrize(
    "spoilt",
    [
        {"cut_pack_after": 0},
        {"cut_pack_after": 200},
        {"flip_pack_byte": 5},
        {"flip_pack_byte": 60},
        {"flip_pack_byte": 150},
        {"status": 500},
        {"status": 403},
    ],
    ids=str,
)
def test_server_dies_or_lies(repository: Path, tmp_path: Path, spoilt: dict[str, int]) -> None:
    """A pack cut short or altered is an error that leaves nothing behind; the next call succeeds."""
    behaviour = Behaviour(**spoilt)
    with http_server(repository.parent, behaviour) as base:
        with pytest.raises(FetchError, match=r"r\.git: "):
            fetch(f"{base}/r.git", cache_dir=tmp_path / "cache")
        assert [p for p in (tmp_path / "cache").iterdir() if p.is_dir()] == []
        behaviour.status = behaviour.cut_pack_after = behaviour.flip_pack_byte = None
        assert contents(fetch(f"{base}/r.git", cache_dir=tmp_path / "cache")) == NEWER


def test_second_request_dies(repository: Path, tmp_path: Path) -> None:
    """A server that dies between the commit and its files leaves nothing that could be taken for whole."""
    behaviour = Behaviour()
    with http_server(repository.parent, behaviour) as base:
        original = remote.fetch_blobs

        def die_first(*arguments: object, **options: object) -> None:
            behaviour.cut_pack_after = 30
            original(*arguments, **options)  # type: ignore[arg-type]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(remote, "fetch_blobs", die_first)
            with pytest.raises(FetchError):
                fetch(f"{base}/r.git", cache_dir=tmp_path / "cache")
        behaviour.cut_pack_after = None
        assert contents(fetch(f"{base}/r.git", cache_dir=tmp_path / "cache")) == NEWER


def test_silent_server_is_given_up(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that takes the request and says nothing ends in an error, not in waiting."""
    monkeypatch.setattr(remote, "STALL_SECONDS", 1.0)
    with (
        http_server(repository.parent, Behaviour(silent=True)) as base,
        pytest.raises(FetchError, match=r"slow|said nothing"),
    ):
        fetch(f"{base}/r.git", cache_dir=tmp_path / "cache")


def test_unreachable_and_unknown(repository: Path, tmp_path: Path) -> None:
    """No server, no such repository, no such ref: each says what to check."""
    with pytest.raises(FetchError, match="check the network and the address"):
        fetch(f"http://127.0.0.1:{free_port()}/r.git", cache_dir=tmp_path)
    with http_server(repository.parent) as base:
        with pytest.raises(FetchError, match="check the address"):
            fetch(f"{base}/nothing.git", cache_dir=tmp_path)
        with pytest.raises(FetchError, match="no such branch, tag or commit"):
            fetch(f"{base}/r.git", ref="nothing", cache_dir=tmp_path)
        with pytest.raises(FetchError, match="no such branch, tag or commit"):
            fetch(f"{base}/r.git", ref="1" * 40, cache_dir=tmp_path)


def test_redirect_from_this_machine_is_not_followed(repository: Path, tmp_path: Path) -> None:
    """A loopback server cannot send git elsewhere over http."""
    with http_server(repository.parent) as other:
        behaviour = Behaviour(status=302, location=f"{other}/r.git/info/refs?service=git-upload-pack")
        with http_server(repository.parent, behaviour) as base, pytest.raises(FetchError, match="302"):
            fetch(f"{base}/r.git", cache_dir=tmp_path)


def test_progress_is_told(repository: Path, tmp_path: Path) -> None:
    """Progress comes with counts that end at the total."""
    told: list[tuple[int, int, str]] = []
    with http_server(repository.parent) as base:
        fetch(f"{base}/r.git", cache_dir=tmp_path, progress=lambda done, total, what: told.append((done, total, what)))
    received = [(done, total) for done, total, what in told if what == "receiving objects"]
    assert received
    assert max(received)[0] == max(received)[1]


def test_repository_without_scores(tmp_path: Path) -> None:
    """A repository of something else is an error that says what was expected."""
    work = write(tmp_path / "work" / "r", {"README.md": b"x"})
    git(work, "init", "-q")
    git(work, "add", "-A")
    git(work, "commit", "-q", "-m", "x")
    with http_server(work.parent) as base, pytest.raises(SourceError, match="holds no score files"):
        fetch(f"{base}/r/.git", cache_dir=tmp_path / "cache")


# ---- the word github


def pin(monkeypatch: pytest.MonkeyPatch, manifest: Manifest) -> None:
    """Let the package carry another manifest."""
    monkeypatch.setattr(dispatch, "read_manifest", lambda: manifest)


def test_github_without_a_pin_takes_the_default_branch_and_writes_its_lock(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It says so once, and the lock it writes, made the manifest, pins and verifies what comes next."""
    cache = tmp_path / "cache"
    with http_server(repository.parent) as base:
        pin(monkeypatch, Manifest(f"{base}/r.git", None, ()))
        first = fetch("github", cache_dir=cache)
        assert "no commit is pinned, so the default branch was taken" in caplog.text
        assert first.source == f"{base}/r.git"
        caplog.clear()
        assert fetch("github", cache_dir=cache) == first
        assert caplog.records == []
        lock = read_manifest(cache / "data_manifest.json")
        assert lock == Manifest(f"{base}/r.git", first.commit, first.entries)
        write(tmp_path / "work", {f"{TASKS}/new/results/scores_x.json": b"{}"})
        git(tmp_path / "work", "add", "-A")
        git(tmp_path / "work", "commit", "-q", "-m", "later")
        git(tmp_path / "work", "push", "-q", str(repository), "main")
        pin(monkeypatch, lock)
        assert fetch("github", cache_dir=tmp_path / "elsewhere").entries == first.entries


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("id", "1 of 12 files are not as the manifest says"),
        ("size", r"expected \w+ \(\d+ bytes\), got \w+ \(\d+ bytes\)"),
        ("missing", "not in the manifest"),
        ("more", "missing"),
    ],
)
def test_manifest_is_a_lock(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str, message: str
) -> None:
    """One wrong id, one wrong size, one file more or less: an error, from the network and from the cache."""
    with http_server(repository.parent) as base:
        good = fetch(f"{base}/r.git", cache_dir=tmp_path / "cache")
        files = list(good.entries)
        one = files[3]
        if change == "id":
            files[3] = Entry(one.path, "0" * 40, one.size)
        elif change == "size":
            files[3] = Entry(one.path, one.object_id, one.size + 1)
        elif change == "missing":
            del files[3]
        else:
            files.append(Entry("zzz/results/scores_x.json", "0" * 40, 1))
        pin(monkeypatch, Manifest(f"{base}/r.git", good.commit, tuple(files)))
        for source in ("github", f"{base}/r.git", str(tmp_path / "work")):
            with pytest.raises(IntegrityError, match=message):
                fetch(source, cache_dir=tmp_path / "cache")


def test_pinned_commit_that_the_server_lacks(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pin is never replaced by another commit."""
    with http_server(repository.parent) as base:
        pin(monkeypatch, Manifest(f"{base}/r.git", "1" * 40, ()))
        with pytest.raises(FetchError, match="no such branch, tag or commit"):
            fetch("github", cache_dir=tmp_path)


# ---- two at once


def _fetch_in_process(url: str, cache: str, barrier: object, answers: object) -> None:
    barrier.wait()  # type: ignore[attr-defined]
    answers.put(contents(fetch(url, cache_dir=cache)))  # type: ignore[attr-defined]


def test_two_processes_at_once(repository: Path, tmp_path: Path) -> None:
    """Both get everything, and only one of them asks the server."""
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(2), context.Queue()
    behaviour = Behaviour()
    with http_server(repository.parent, behaviour) as base:
        arguments = (f"{base}/r.git", str(tmp_path / "cache"), barrier, answers)
        processes = [context.Process(target=_fetch_in_process, args=arguments) for _ in range(2)]
        for process in processes:
            process.start()
        results = [answers.get(timeout=60) for _ in processes]
        for process in processes:
            process.join()
    assert results == [NEWER, NEWER]
    assert behaviour.wants == [1, len(WANTED)]


def test_server_of_the_other_object_format(tmp_path: Path) -> None:
    """A SHA-256 repository on a server is refused with the way around it."""
    work = write(tmp_path / "work" / "r", FILES)
    git(work, "init", "-q", "--object-format=sha256")
    git(work, "add", "-A")
    git(work, "commit", "-q", "-m", "x")
    with http_server(work.parent) as base, pytest.raises(FetchError, match="make a full clone and use its folder"):
        fetch(f"{base}/r/.git", cache_dir=tmp_path / "cache")


def test_ref_that_is_no_commit(repository: Path, tmp_path: Path) -> None:
    """A tag of a file is not taken for a commit."""
    git(repository, "tag", "file", git(repository, "rev-parse", "HEAD:README.md"))
    with http_server(repository.parent) as base, pytest.raises(FetchError, match="check that it names a commit"):
        fetch(f"{base}/r.git", ref="file", cache_dir=tmp_path / "cache")
