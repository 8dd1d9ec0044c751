"""What a server or a repository may take of this machine: memory, disk, time, words; and what of it reaches git."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import stat
import subprocess
import sys
import tempfile
import time
import zlib
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from bad_git_server import answer, endless_refs, for_ever, packet, server, version_2
from git_server import RESULT, git, http_server, write

from bigbench_meta.errors import BigbenchMetaError, FetchError
from bigbench_meta.fetcher import fetch
from bigbench_meta.fetcher.git import plumbing, processes, remote

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

pytestmark = pytest.mark.timeout(120)
linux = pytest.mark.skipif(sys.platform != "linux", reason="the limits of processes are Linux's")


@linux
def test_git_is_held_to_limits_of_memory_and_files(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A git process of ours, and so what it starts, has both limits from its first step; lower ones of the user stay."""
    resource = pytest.importorskip("resource")
    checkout = fetch(repository, cache_dir=tmp_path / "cache")
    lower = {resource.RLIMIT_AS: 1 << 40, resource.RLIMIT_FSIZE: 1 << 20, resource.RLIMIT_CPU: -1}
    monkeypatch.setattr("bigbench_meta.fetcher.git.processes.resource.getrlimit", lambda kind: (lower[kind], -1))
    with (
        plumbing.scratch() as errors,
        plumbing.started(checkout.root, ["cat-file", "--batch"], stdin=subprocess.PIPE, stderr=errors) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"none\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"none missing\n"
        git_itself = next(
            pid for pid, line in group_of(process.pid).items() if "cat-file --batch" in line and "sh -c" not in line
        )
        assert resource.prlimit(git_itself, resource.RLIMIT_AS)[0] == processes.MAX_MEMORY
        assert resource.prlimit(git_itself, resource.RLIMIT_FSIZE)[0] == 1 << 20
        assert resource.prlimit(git_itself, resource.RLIMIT_CPU)[0] == processes.MAX_CPU_SECONDS
        process.communicate()
    assert group_of(process.pid) == {}


def group_of(leader: int) -> dict[int, str]:
    """Processes of a group that have not ended, with their command lines."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended since
            state, _, group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(group) == leader and state != "Z":
                found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
    return found


@linux
@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])
@pytest.mark.parametrize("how", ["ends", "is killed", "runs out of time", "is given up"])
def test_a_command_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: str, how: str) -> None:
    """However a git ends, its guards and its children end too, and a status is told."""
    script = {"ends": "exit 3", "is killed": "sleep 60 & kill -9 $$"}.get(how, "sleep 60 & sleep 60")
    if how == "runs out of time":
        monkeypatch.setattr(processes, "MAX_SECONDS", 1)
    if not Path(shell).exists():
        pytest.skip(f"no {shell} here")
    with processes.pipe_of_ours() as pipe:
        line = processes.command([], pipe=pipe)
        process = subprocess.Popen(
            [shell, *line[1:-1], "/bin/sh", "-c", script],
            pass_fds=[pipe],
            start_new_session=True,
            stderr=subprocess.PIPE,
        )
        if how == "is given up":
            time.sleep(0.2)
            assert len(group_of(process.pid)) >= 4
        else:
            status = process.wait(10)
            assert status == (3 if how == "ends" else -signal.SIGKILL)
    deadline = time.monotonic() + 5
    while left := group_of(process.pid):
        assert time.monotonic() < deadline, left
        time.sleep(0.02)
    processes.end(process)


@linux
@pytest.mark.parametrize("what", ["refs", "words"])
def test_a_server_that_fills_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """Refs, or a line of words, without end: git ends at the limit, and the error says which."""
    monkeypatch.setattr(processes, "MAX_MEMORY", 300 << 20)
    words = version_2(for_ever(packet(b"\2" + b"x" * 60_000)))
    with (
        server(endless_refs if what == "refs" else words) as url,
        pytest.raises(FetchError, match=r"Out of memory.*takes more than the limits .*: check where it comes from"),
    ):
        fetch(url, cache_dir=tmp_path)


@linux
def test_a_server_that_fills_the_disk(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pack larger than the limit ends git, and the error says so; nothing is kept."""
    (repository / RESULT).write_bytes(random.Random(1).randbytes(100_000))
    git(repository, "commit", "-q", "-a", "-m", "y")
    monkeypatch.setattr(processes, "MAX_FILE", 20_000)
    with http_server(tmp_path) as base, pytest.raises(FetchError, match="takes more than the limits"):
        fetch(f"{base}/clone/.git", cache_dir=tmp_path / "cache")
    assert [found for found in (tmp_path / "cache").iterdir() if found.is_dir()] == []


@linux
def test_a_tree_that_unpacks_to_gigabytes(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An object of nothing but zeros, small on disk, ends git at the limit and not the machine."""
    content = bytes(400 << 20)
    header = b"tree %d\0" % len(content)
    object_id = hashlib.sha1(header + content, usedforsecurity=False).hexdigest()
    file = repository / ".git/objects" / object_id[:2] / object_id[2:]
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(zlib.compress(header + content, 1))
    (tmp_path / "commit").write_text(f"tree {object_id}\nauthor a <a> 0 +0000\ncommitter a <a> 0 +0000\n\nx")
    commit = git(repository, "hash-object", "-t", "commit", "-w", "--literally", str(tmp_path / "commit"))
    (repository / ".git/refs/heads/main").write_text(commit + "\n")
    monkeypatch.setattr(processes, "MAX_MEMORY", 300 << 20)
    with pytest.raises(FetchError, match=r"its list of files cannot be read \(.*(memory|mmap|malloc)"):
        fetch(repository, cache_dir=tmp_path / "cache")


@pytest.mark.parametrize(
    ("pack", "constant", "value", "message"),
    [
        (
            for_ever(packet(b"\2" + b"x\n" * 20_000)),
            "MAX_CHAT",
            1 << 20,
            r"talked and sent nothing \(\d+ bytes of words",
        ),
        (for_ever(packet(b"\2hello\n"), pause=0.1), "CHAT_SECONDS", 1.0, "talked and sent nothing .* for 1 s"),
        (for_ever(packet(b"\1"), pause=0.1), "STALL_SECONDS", 1.0, "said nothing for 1 s"),
        (for_ever(packet(b"\2hello\n"), pause=0.1), "MAX_SECONDS", 1.0, "took more than 1 s"),
    ],
)
def test_a_server_that_talks_and_sends_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    pack: Callable[[socket.socket], None],
    constant: str,
    value: float,
    message: str,
) -> None:
    """Words without end, fast or slow, keep-alives alone, and any answer that takes too long are given up."""
    monkeypatch.setattr(remote, constant, value)
    with server(version_2(pack)) as url, pytest.raises(FetchError, match=f"the server {message}.*try again later"):
        fetch(url, cache_dir=tmp_path)
    assert [found for found in tmp_path.iterdir() if found.is_dir()] == []


def test_children_of_git_end_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ssh that waits for ever is ended too; it would hold the line that is listened to."""
    program = tmp_path / "ssh"
    program.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/number\nexec sleep 300\n")
    program.chmod(0o755)
    monkeypatch.setenv("GIT_SSH", str(program))
    monkeypatch.setattr(remote, "STALL_SECONDS", 1.0)
    with pytest.raises(FetchError, match="said nothing for 1 s"):
        fetch("ssh://host.invalid/r", cache_dir=tmp_path / "cache")
    number = int((tmp_path / "number").read_text())
    for _ in range(50):
        try:
            os.kill(number, 0)
            if sys.platform == "linux" and ") Z" in Path(f"/proc/{number}/stat").read_text():
                return  # ended, and nobody has asked how
        except (ProcessLookupError, FileNotFoundError):
            return
        time.sleep(0.1)
    pytest.fail("the child lives on")


@pytest.mark.parametrize(
    ("content", "cure"),
    [
        (answer(b"<html>", status="404 Not Found"), "check the address"),
        (
            answer(b"", status="302 Found", more="Location: file:///etc/passwd\r\n"),
            "sends elsewhere, which is not followed",
        ),
        (answer(b"", status="503 Busy"), "busy or out of order: try again later"),
        (answer(b"", status="429 Too Many Requests"), "busy or out of order: try again later"),
        (answer(b""), "cut off or no git: check the address"),
        (b"SSH-2.0-x\r\n", "cut off or no git: check the address"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<html>",
            "is no git server: check the address",
        ),
    ],
)
def test_what_to_do_about_a_server(tmp_path: Path, content: bytes, cure: str) -> None:
    """Each way in which a server is none has its own advice."""
    with (
        server(lambda connection, _: connection.sendall(content)) as url,
        pytest.raises(FetchError, match=cure) as caught,
    ):
        fetch(url, cache_dir=tmp_path)
    assert str(caught.value).startswith(f"{url}: git could not fetch (")


def test_a_server_of_plain_files(repository: Path, tmp_path: Path) -> None:
    """A server that only hands out files is refused with the way around it."""
    git(repository, "update-server-info")

    def files(connection: socket.socket, request: bytes) -> None:
        path = repository / ".git" / request.split()[1].decode().partition("?")[0].removeprefix("/r.git/")
        connection.sendall(
            answer(path.read_bytes()).replace(b"application/x-git-upload-pack-advertisement", b"text/plain")
        )

    with (
        server(files) as url,
        pytest.raises(FetchError, match="plain files only: make a full clone with git and use its"),
    ):
        fetch(url, cache_dir=tmp_path / "cache")


def test_a_proxy_does_not_see_what_is_for_this_machine(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unencrypted requests to this machine stay on it, whatever proxy the environment names."""
    seen: list[bytes] = []
    with server(lambda _, request: seen.append(request)) as proxy, http_server(tmp_path) as base:
        for name in ("http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.removesuffix("/r.git"))
        assert len(fetch(f"{base}/clone/.git", cache_dir=tmp_path / "cache").entries) == 1
    assert seen == []


def fake_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put another git before the real one."""
    program = tmp_path / "bin/git"
    program.parent.mkdir()
    program.write_text(script)
    program.chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")


def test_variables_that_count_even_if_empty(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git does not see the variables that turn off the check of certificates, or hooks' own; it does see ours."""
    fake_git(
        tmp_path, monkeypatch, f'#!/bin/sh\nenv > "{tmp_path}/seen"\n[ "$1" = version ] && echo git version 2.39.5\n'
    )
    for name in (
        "GIT_SSL_NO_VERIFY",
        "GIT_CURL_VERBOSE",
        "GIT_QUARANTINE_PATH",
        "GIT_SSL_CERT_PASSWORD_PROTECTED",
        "GIT_DIR",
    ):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("GIT_SSL_CAINFO", "/some/authorities")
    with pytest.raises(BigbenchMetaError):
        remote.fetch_commit(tmp_path, "https://host.invalid/r", None, blobless=True, progress=None)
    seen = dict(line.partition("=")[::2] for line in (tmp_path / "seen").read_text().splitlines())
    assert (
        not {"GIT_SSL_NO_VERIFY", "GIT_CURL_VERBOSE", "GIT_QUARANTINE_PATH", "GIT_SSL_CERT_PASSWORD_PROTECTED"}
        & seen.keys()
    )
    assert (seen["GIT_DIR"], seen["GIT_SSL_CAINFO"]) == (str(tmp_path), "/some/authorities")


def test_no_git_writes_the_traces_that_the_environment_asks_for(repository: Path, tmp_path: Path) -> None:
    """Neither ours nor GitPython's, which looks for git when it is imported: a new process, of a server and of a clone."""
    traces = {name: str(tmp_path / name) for name in ("GIT_TRACE", "GIT_TRACE2", "GIT_TRACE_SETUP", "GIT_TRACE_CURL")}
    code = "import sys, bigbench_meta as bm\nfor source in sys.argv[2:]: bm.fetch(source, cache_dir=sys.argv[1])"
    with http_server(tmp_path) as base:
        arguments = [str(tmp_path / "cache"), str(repository), f"{base}/clone/.git"]
        subprocess.run([sys.executable, "-c", code, *arguments], env={**os.environ, **traces}, check=True)
    assert [name for name in traces if (tmp_path / name).exists()] == []


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("#!/bin/sh\necho git version 2.30.9\n", r"git is too old or none \('git version 2\.30\.9'\)"),
        ("#!/bin/sh\necho hello\n", r"git is too old or none \('hello'\)"),
        ("#!/bin/sh\nexit 3\n", r"git could not be started \(.*status 3"),
        ("#!/bin/sh\nexec sleep 100\n", r"git could not be started \(.*timed out"),
    ],
)
def test_other_gits(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, message: str
) -> None:
    """A git that does not take settings from the environment, is none, fails or hangs is not used, and the error says why."""
    monkeypatch.setattr(processes, "_ANSWER_SECONDS", 1)
    fake_git(tmp_path, monkeypatch, script)
    for source in (str(repository), "https://host.invalid/r"):
        with pytest.raises(FetchError, match=f"{message}.*; install git 2.39 or newer"):
            fetch(source, cache_dir=tmp_path / "cache")


def test_a_disk_without_room_for_a_bundle(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not the bundle that is to blame: the error says to make room, and nothing is kept."""
    write(repository, {"noise": os.urandom(5000)})
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "noise")
    git(repository, "bundle", "create", "-q", str(tmp_path / "r.bundle"), "HEAD")
    with monkeypatch.context() as patch:
        patch.setattr(processes, "MAX_FILE", 2048)
        with pytest.raises(FetchError, match=r"r\.bundle: the bundle cannot be unpacked .*: make room on the disk"):
            fetch(tmp_path / "r.bundle", cache_dir=tmp_path / "cache")
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]
    assert fetch(tmp_path / "r.bundle", cache_dir=tmp_path / "cache").entries


def test_no_room_for_temporary_files(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of objects that does not fit where temporary files go: the error names the variable that moves them."""
    monkeypatch.setattr(tempfile, "TemporaryFile", partial(open, "/dev/full", "r+b"))
    with pytest.raises(FetchError, match=r"no temporary file could be made \(No space left .*TMPDIR"):
        plumbing.object_sizes(tmp_path, ["0" * 40])


def test_no_place_for_temporary_files(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no temporary file can be made, the error says so and names the variable."""

    def fail(*_: object, **__: object) -> None:
        raise FileNotFoundError(2, "No usable temporary directory found")

    checkout = fetch(repository, cache_dir=tmp_path / "cache")
    monkeypatch.setattr("bigbench_meta.fetcher.git.plumbing.tempfile.TemporaryFile", fail)
    with pytest.raises(FetchError, match=r"no temporary file could be made \(No usable .*; make room, .*TMPDIR"):
        list(checkout.read())


def test_system_that_starts_no_more(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no process can be started the error is the package's own, for plumbing and for talking to a server."""
    fetch(repository, cache_dir=tmp_path / "cache")

    def fail(*_: object, **__: object) -> None:
        raise BlockingIOError(11, os.strerror(11))

    monkeypatch.setattr("git.cmd.safer_popen", fail)
    monkeypatch.setattr("subprocess.Popen", fail)
    for source in (str(repository), "https://host.invalid/r"):
        with pytest.raises(
            FetchError, match=r"git could not be started \(.*[Rr]esource temporarily unavailable.*; end other processes"
        ):
            fetch(source, cache_dir=tmp_path / "cache")


def test_git_that_goes_away(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A git that goes away between two calls is the package's own error."""
    fetch(repository, cache_dir=tmp_path / "cache")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FetchError, match="git was not found; install git"):
        fetch(repository, cache_dir=tmp_path / "cache")
