"""Talking to git servers: one commit without its files, then in one request the files that are wanted.

GitPython starts git here and checks protocol and options once more; see its security notes on both. The address goes
to git through the environment, so it is neither on a command line that others can list nor in any file of the cache.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections import deque
from contextlib import ExitStack, contextmanager
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Self

from bigbench_meta.errors import FetchError, SourceError
from bigbench_meta.fetcher.addresses import protocol, redact
from bigbench_meta.fetcher.git.plumbing import OBJECT_ID, environment, id_list, resolve_commit, write_config
from bigbench_meta.fetcher.git.processes import (
    MAX_FILE,
    MAX_MEMORY,
    MAX_SECONDS,
    NO_GIT,
    command,
    cure,
    end,
    inherited,
    kill,
    pipe_of_ours,
)

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from bigbench_meta.progress import Progress

log = logging.getLogger(__name__)

# A healthy server sends at least a keep-alive every 5 seconds while it works (git's uploadpack.keepAlive).
STALL_SECONDS = 120.0
# Words of the server alone, while nothing is counted up: what a large repository takes to enumerate, many times over.
CHAT_SECONDS = 1200.0
MAX_CHAT = 16 << 20  # bytes; git's own progress is about 100 kB
_KEPT_LINES = 200  # of what git and the server say, the last
_TARGET = "refs/fetched/target"  # below refs/heads git refuses annotated tags
_FETCH = (
    "fetch",
    "--no-tags",
    "--no-write-fetch-head",
    "--recurse-submodules=no",
    "--no-auto-maintenance",
    "--progress",
)
_UNSAFE_OPTIONS = ["--upload-pack", "--receive-pack", "--exec", "--config", "-c", "-u"]
_LINE_BYTES = 1000  # of a line that is kept
# Of the variables of git in the environment: how the user's network is reached, and who is trusted there.
_KEPT_VARIABLES = frozenset(
    ["GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_PROXY_COMMAND"]
)  # fmt: skip
_COUNTED = re.compile(r"^(?:remote: )?([A-Z][a-z]+ [a-z]+):\s+\d+% \((\d+)/(\d+)\)")
# What git says -> what the user can do. The first that matches is used.
_CURES = (
    (r"could not read (Username|Password)|Authentication failed|error: (401|403)|Permission denied|Host key verification",
     "the server wants credentials or refuses yours: nothing is ever asked for here; check the address, or set up access with git first"),
    (r"couldn't find remote ref|not our ref|no such remote ref",
     "the server has no such branch, tag or commit, or is no git server: check the address, and give the name of one that it has, or a full commit id"),
    (r"not found|does not appear to be a git repository|not exported|access denied|error: (404|410)", "check the address"),
    (r"error: 3\d\d|unable to update url base from redirection|redirect",
     "the server sends elsewhere, which is not followed: give the address it leads to if you trust it"),
    (r"error: (429|5\d\d)", "the server is busy or out of order: try again later"),
    (r"Could not resolve host|Couldn't connect|unable to connect|Connection (refused|timed out|reset)|Network is unreachable",
     "check the network and the address; what was fetched before can be used with offline=True"),
    (r"SSL|certificate", "the server's certificate does not hold: check the address, and the authorities this machine trusts"),
    (r"No space left", "make room on the disk of the cache folder"),
    (r"Out of memory|died of signal|invalid index-pack output",
     f"what the server sends takes more than the limits ({MAX_MEMORY} bytes of memory, {MAX_FILE} in a file) or is no pack: check where it comes from"),
    (r"mismatched algorithms", "the repository names its objects by SHA-256, which cannot be fetched here; make a full clone and use its folder"),
    (r"dumb http transport", "the server hands out plain files only: make a full clone with git and use its folder"),
    (r"protocol error|expected .* received|invalid server response|not valid: is this a git repository|HTTP/0.9|hung up",
     "what the server sent is cut off or no git: check the address, try again"),
)  # fmt: skip


class RefusedError(FetchError):
    """The server does not hand out single objects."""


def fetch_commit(repository: Path, url: str, ref: str | None, *, blobless: bool, progress: Progress | None) -> str:
    """Fetch one commit and its trees into an empty bare repository of ours, and return its id.

    With `blobless` the files are left out where the server can do that; a server that cannot sends them all, which is
    said in the log.

    Raises
    ------
    FetchError
        If the server cannot be reached, dies, wants credentials, or has no such ref.
    """
    name = ref or "HEAD"
    arguments = [*_FETCH, "--depth=1", *(["--filter=blob:none"] if blobless else []), "origin", f"+{name}:{_TARGET}"]
    said = _talk(repository, url, arguments, progress=progress)
    if "filtering not recognized" in said:
        log.warning("%s: the server cannot leave files out, so the whole commit is fetched", redact(url))
    commit = resolve_commit(repository, _TARGET)
    if commit is None or (OBJECT_ID.fullmatch(name) and commit != name):
        raise FetchError(
            f"{redact(url)}: asked for {name}, got {commit or 'no commit'}; expected a branch, a tag or a commit: check that it names a commit"
        )
    (repository / "HEAD").write_text(f"{commit}\n", encoding="ascii")
    return commit


def fetch_blobs(repository: Path, url: str, ids: Sequence[str], *, progress: Progress | None) -> None:
    """Fetch the named objects in one request.

    Raises
    ------
    RefusedError
        If the server hands out branches and tags only.
    """
    arguments = [*_FETCH, "--filter=blob:none", "--stdin", "origin"]
    with id_list(ids) as listed:
        _talk(repository, url, arguments, stdin=listed, progress=progress)


def _talk(
    repository: Path, url: str, arguments: list[str], *, stdin: BinaryIO | None = None, progress: Progress | None
) -> str:
    """Run one git command that talks to a server; returns what git said on stderr, progress left out."""
    lines: deque[str] = deque(maxlen=_KEPT_LINES)
    with _started(repository, url, arguments, stdin=stdin) as child, _Watch(child) as watch:
        for line in _lines(child.stderr, watch):
            counted = _COUNTED.match(line)
            if counted is None:
                lines.append(line)
            else:
                watch.counted(line)
                if progress is not None:
                    progress(int(counted[2]), int(counted[3]), counted[1].lower())
        status = child.wait()
    said = redact("\n".join(line for line in lines if line.strip()))
    # A filtered fetch makes the server a "promisor": git would ask it again for every file that was left out.
    write_config(repository)
    if watch.verdict:
        raise FetchError(
            f"{redact(url)}: the server {watch.verdict}; nothing was kept: check the address, try again later"
        )
    if status:
        raise _failure(url, said, status)
    return said


@contextmanager
def _started(
    repository: Path, url: str, arguments: list[str], *, stdin: BinaryIO | None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a git that talks to a server within the block; what still runs of it at the end of the block is killed."""
    wanted, unwanted = _environment(repository, url)
    with ExitStack() as stack:
        try:
            pipe = stack.enter_context(pipe_of_ours())
            # GitPython passes the whole environment on, and to git some variables say something even if they are empty.
            line = command(arguments, pipe=pipe, without=unwanted)
            with _without_variables_of_git():  # it runs `git version` when imported
                from git import Git
                from git.exc import GitCommandNotFound, UnsafeOptionError, UnsafeProtocolError
        except ImportError as err:  # GitPython looks for git when imported
            raise FetchError(f"git could not be started ({str(err).splitlines()[0]}); {NO_GIT}") from err
        try:
            Git.check_unsafe_protocols(url)
            Git.check_unsafe_options(options=arguments, unsafe_options=_UNSAFE_OPTIONS)
            process: Any = Git(repository).execute(
                line,
                istream=stdin,
                as_process=True,
                shell=False,
                env=wanted,
                pass_fds=inherited(pipe),
                start_new_session=True,  # its children can be ended with it, and none of them has a terminal to ask at
            )
        except (UnsafeProtocolError, UnsafeOptionError) as err:
            raise SourceError(
                f"source {redact(url)!r}: refused by GitPython ({redact(str(err))}); expected a plain address: check it"
            ) from err
        except (GitCommandNotFound, OSError) as err:
            said = " ".join(redact(str(err)).split())
            raise FetchError(f"git could not be started ({said}); {cure(said, other=NO_GIT)}") from err
        try:
            yield process.proc
        finally:
            end(process.proc)


@contextmanager
def _without_variables_of_git() -> Iterator[None]:
    """Take git's variables out of the environment within the block: one of them lets git write a trace to any file."""
    taken = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("GIT_")}
    try:
        yield
    finally:
        os.environ.update(taken)


def _environment(repository: Path, url: str) -> tuple[dict[str, str], list[str]]:
    """Git's variables for talking to `url`: that protocol only, no helper, no prompt, no submodule, no redirect off this machine.

    Beside those to set, the names of those to take away.
    """
    scheme = protocol(url)
    settings = {
        "remote.origin.url": url,
        "fetch.negotiationAlgorithm": "noop",  # nothing is there to negotiate about; with it git asks for each object's history
        "fetch.unpackLimit": "1",  # keep packs: one file instead of thousands
        "http.lowSpeedLimit": "1",
        "http.lowSpeedTime": str(int(STALL_SECONDS)),
        "http.followRedirects": "false" if scheme == "http" else "initial",
    }
    if scheme == "http":
        settings["http.proxy"] = ""  # what is not encrypted does not leave this machine by way of a proxy either
    wanted = environment(repository, protocol=scheme, settings=settings)
    if not os.environ.keys() & {"GIT_SSH", "GIT_SSH_COMMAND"}:
        wanted["GIT_SSH_COMMAND"] = "ssh -oBatchMode=yes -oConnectTimeout=30"  # batch mode: fail, do not ask
    kept = wanted.keys() | _KEPT_VARIABLES
    return wanted, sorted(name for name in os.environ if name.startswith("GIT_") and name not in kept)


def _lines(stream: IO[bytes] | None, watch: _Watch) -> Iterator[str]:
    """Split what git says into lines; progress ends in a carriage return."""
    assert stream is not None
    rest = b""
    while chunk := os.read(stream.fileno(), 65536):
        watch.heard(len(chunk))
        *whole, rest = re.split(rb"[\r\n]", rest + chunk)
        rest = rest[:_LINE_BYTES]
        yield from (line[:_LINE_BYTES].decode("utf-8", "replace") for line in whole)
    if rest:
        yield rest.decode("utf-8", "replace")


class _Watch:
    """Ends a process whose server is silent, talks and sends nothing, or takes for ever: an error and not waiting."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.verdict = ""
        self._process = process
        self._begun = self._last = self._moved = time.monotonic()
        self._chat = 0
        self._count = ""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def heard(self, size: int) -> None:
        """Note that something was said."""
        self._last = time.monotonic()
        self._chat += size

    def counted(self, line: str) -> None:
        """Note a line that counts what was done; only another one than before is a step."""
        if line != self._count:
            self._count, self._moved = line, time.monotonic()

    def _found(self) -> str:
        now = time.monotonic()
        if now - self._last > STALL_SECONDS:
            return f"said nothing for {STALL_SECONDS:g} s"
        if now - self._moved > CHAT_SECONDS or self._chat > MAX_CHAT:
            return (
                f"talked and sent nothing ({self._chat} bytes of words; at most {MAX_CHAT}, and for {CHAT_SECONDS:g} s)"
            )
        if now - self._begun > MAX_SECONDS:
            return f"took more than {MAX_SECONDS:g} s"
        return ""

    def _run(self) -> None:
        while not self._over.wait(min(0.5, STALL_SECONDS / 4)):
            self.verdict = self._found()
            if self.verdict:
                kill(self._process)
                return

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def _failure(url: str, said: str, status: int) -> FetchError:
    shown = redact(url)
    lines = [line.strip() for line in said.splitlines()]
    told = "; ".join(line for line in lines if line.startswith(("fatal:", "error:", "remote: error")))[-1000:]
    if re.search(r"unadvertised object", said):
        return RefusedError(
            f"{shown}: {told}; the server hands out branches and tags only, so give the name of one as ref"
        )
    cure = next(
        (cure for pattern, cure in _CURES if re.search(pattern, said, re.IGNORECASE)), "nothing was kept; try again"
    )
    return FetchError(f"{shown}: git could not fetch ({told or said[-300:] or f'status {status}'}); {cure}")
