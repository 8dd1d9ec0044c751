"""Processes of git that carry their own limits, and end when this process ends, whatever ends it.

A shell sets the limits, starts git and waits for it. It leads a process group of its own, in which git starts its children.
Beside git it runs a reader of a pipe whose other end this process alone holds, and a clock. When the pipe closes (this
process was killed, or has asked for it) or the time is over, the whole group is killed. Linux could send git a signal at
the death of its parent instead (``PR_SET_PDEATHSIG``), but the children of git, which hold the line to a server, would not
get it.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from typing import IO, TYPE_CHECKING

from bigbench_meta.errors import FetchError

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# Of a git process, which holds trees, commits and lists of refs in memory whole: room for the windows of packs and twice
# for the largest file that is read (1 GiB); and as many bytes in one file (a pack) as an archive may unpack to.
MAX_MEMORY = 4 << 30
MAX_FILE = 32 << 30
# Of the processor, for each process: indexing 32 GiB at 5 MB a second.
MAX_CPU_SECONDS = 2 * 3600
# Of one request: the wanted files of all of BIG-bench, packed, at 5 kB a second.
MAX_SECONDS = 6 * 3600
# Arguments: three limits, the number of the pipe, the seconds, then the command. `$$` is the leader of the group, also
# where a part of the script runs in a process of its own. A git that a signal has ended may leave children at work.
_SCRIPT = """
ulimit -v "$1" 2> /dev/null; ulimit -f "$2" 2> /dev/null; ulimit -t "$3" 2> /dev/null
pipe=$4 seconds=$5; shift 5
end() { kill -s KILL -- "-$$"; }
{ read -r nothing; end; } < "/dev/fd/$pipe" > /dev/null 2>&1 & reader=$!
{ trap 'kill -s KILL "$!"; wait; exit' TERM; sleep "$seconds" & wait "$!"; end; } < /dev/null > /dev/null 2>&1 & clock=$!
"$@"; status=$?
exec 2> /dev/null; [ "$status" -le 128 ] || end
kill -s TERM "$clock"; kill -s KILL "$reader"; wait; exit "$status"
"""
_POSIX = os.name == "posix"
# Since this version git reads settings from the environment; without them ours would be ignored in silence.
_OLDEST = (2, 31)
_ANSWER_SECONDS = 30
NO_GIT = "install git 2.39 or newer and make sure that it is on PATH"
# What git or the system say where the machine, and not a source, is to blame, and what helps.
_OF_THE_MACHINE = (
    (r"Too many open files", "raise the limit of open files (ulimit -n)"),
    (r"Resource temporarily unavailable|Cannot fork", "end other processes, or raise their limit (ulimit -u)"),
    (r"No space left|Disk quota exceeded|File too large|signal 25", "make room on the disk of the cache folder, or raise the limits of a file (ulimit -f, a quota)"),
    (r"Cannot allocate memory|[Oo]ut of memory|died of signal 9", "make memory free, or raise its limit (ulimit -v)"),
)  # fmt: skip


@contextmanager
def pipe_of_ours() -> Iterator[int]:
    """Give the end of a pipe that a command is handed; the other end closes with the block, or with this process.

    Raises
    ------
    OSError
        If no pipe can be made.
    """
    if not _POSIX:
        yield -1
        return
    theirs, ours = os.pipe()
    try:
        yield theirs
    finally:
        os.close(ours)
        os.close(theirs)


def command(arguments: Sequence[str], *, pipe: int, without: Sequence[str] = ()) -> list[str]:
    """Return the command line of a git that carries our limits and ends with the pipe, some variables taken away.

    It must be started as the leader of a session of its own, with ``pipe`` among the files that it inherits.

    Raises
    ------
    FetchError
        If git is not there, or too old to take its settings from us.
    """
    git = _checked_git(os.environ.get("PATH", ""))
    if not _POSIX:
        return [git, *arguments]
    away = [word for name in without for word in ("-u", name)]
    words = [_limit("AS", MAX_MEMORY, 1024), _limit("FSIZE", MAX_FILE, 512), _limit("CPU", MAX_CPU_SECONDS, 1)]
    line = [*(["env", *away] if away else []), git, *arguments]
    return ["/bin/sh", "-c", _SCRIPT, "git", *words, str(pipe), str(int(MAX_SECONDS)), *line]


def inherited(pipe: int) -> tuple[int, ...]:
    """Return what `subprocess.Popen` is told to pass on."""
    return (pipe,) if _POSIX else ()


@contextmanager
def started(
    arguments: Sequence[str], *, variables: Mapping[str, str], stdin: IO[bytes] | int, stderr: IO[bytes]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a git within the block, its output in a pipe; what still runs of it at the end of the block is killed.

    Raises
    ------
    FetchError
        If it cannot be started.
    """
    with ExitStack() as stack:
        try:
            pipe = stack.enter_context(pipe_of_ours())
            process = subprocess.Popen(
                command(arguments, pipe=pipe),
                env=variables,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=stderr,
                bufsize=1 << 20,
                pipesize=1 << 20,  # room for many score files: both processes stay at work instead of taking turns
                pass_fds=inherited(pipe),
                start_new_session=True,
            )
        except OSError as err:
            raise FetchError(f"git could not be started ({err.strerror}); {cure(str(err), other=NO_GIT)}") from err
        try:
            yield process
        finally:
            end(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a git and its children, one of which may hold the line to a server; no effect if it has ended."""
    if process.returncode is not None:
        return
    if not _POSIX:
        process.kill()
        return
    with suppress(ProcessLookupError, PermissionError):  # gone, or (macOS) about to be
        os.killpg(process.pid, signal.SIGKILL)


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill what still runs of a git, wait for it, and close its streams."""
    kill(process)
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        with suppress(BrokenPipeError):  # what is left to write to a git that has gone
            if stream is not None:
                stream.close()


def cure(said: str, *, other: str) -> str:
    """What to do about what git or the system said: about the machine if that is to blame, else ``other``."""
    return next((help_ for pattern, help_ in _OF_THE_MACHINE if re.search(pattern, said, re.IGNORECASE)), other)


def _limit(name: str, ours: int, unit: int) -> str:
    """The lower of our limit and that of this process, in the shell's unit."""
    kind = getattr(resource, f"RLIMIT_{name}", None)
    present = -1 if kind is None else resource.getrlimit(kind)[0]
    return str((ours if present < 0 else min(present, ours)) // unit)


@cache
def _checked_git(path: str) -> str:
    """Look once whether git is on a search path and new enough."""
    git = shutil.which("git", path=path)
    if git is None:
        raise FetchError(f"git was not found; {NO_GIT}")
    plain = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        said = subprocess.run(
            [git, "version"], capture_output=True, check=True, timeout=_ANSWER_SECONDS, env=plain
        ).stdout
    except (OSError, subprocess.SubprocessError) as err:
        raise FetchError(f"{git}: git could not be started ({err}); {cure(str(err), other=NO_GIT)}") from err
    version = re.match(rb"git version ([0-9]+)\.([0-9]+)", said)
    if version is None or (int(version[1]), int(version[2])) < _OLDEST:
        raise FetchError(f"{git}: git is too old or none ({said[:60].decode(errors='replace').strip()!r}); {NO_GIT}")
    return git
