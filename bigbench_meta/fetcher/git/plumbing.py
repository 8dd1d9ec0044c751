"""Bare repositories of our own, and git's plumbing run in them.

Git runs only inside repositories this package made, never inside one it was given: another repository's objects are
reached through an alternates file, so its configuration, hooks, attributes and filters are not even read. Every call
ignores the system's and the user's git configuration, and asks nobody for a password.

Plumbing is started directly rather than through GitPython: that import takes longer than reading ten thousand score
files, and it cannot take variables such as ``GIT_DIR`` out of the environment. What talks to a server is in `remote`.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, BinaryIO, NamedTuple, cast

from bigbench_meta.errors import FetchError, IntegrityError
from bigbench_meta.fetcher.git import processes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

OBJECT_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")

# Every setting by which a repository could make git start a program, follow another repository, or trust a cache
# file over the objects themselves.
SAFE_CONFIG = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "core.attributesFile": os.devnull,
    "core.logAllRefUpdates": "false",
    "core.commitGraph": "false",
    "core.multiPackIndex": "false",
    "credential.helper": "",
    "fetch.recurseSubmodules": "false",
    "fetch.writeCommitGraph": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    # Packs are looked at through windows: fewer than git's own default, so that large repositories stay below the limit.
    "core.packedGitWindowSize": "256m",
    "core.packedGitLimit": "1g",
    "transfer.bundleURI": "false",
}


# Limits against a commit made to fill the memory: a few nested trees can name one file a billion times. All of BIG-bench
# is below 200,000 objects, and git's own longest path is 4,096 bytes, most a hundred.
MAX_FILES = 1_000_000
MAX_LISTING_BYTES = 256 << 20
_WORDS = 1000  # bytes of git's words that a message quotes


class CommandError(FetchError):
    """A git command ended with an error; holds git's words alone, for the caller to say where."""


class TreeItem(NamedTuple):
    """One line of a commit's recursive tree listing."""

    mode: str
    kind: str
    object_id: str
    path: str


def environment(
    repository: Path, *, protocol: str = "none", settings: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Git's variables for one call: our repository, no configuration but ours, no prompt, one protocol at most."""
    repo = os.fspath(repository)
    configured = SAFE_CONFIG | dict(settings or {})
    config = {
        f"GIT_CONFIG_{part}_{i}": text
        for i, setting in enumerate(configured.items())
        for part, text in zip(("KEY", "VALUE"), setting, strict=True)
    }
    return config | {
        "GIT_CONFIG_COUNT": str(len(configured)),
        "GIT_CONFIG_PARAMETERS": "",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_DIR": repo,
        "GIT_COMMON_DIR": repo,
        "GIT_OBJECT_DIRECTORY": os.path.join(repo, "objects"),  # noqa: PTH118 - a string is wanted
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": "",
        "GIT_NAMESPACE": "",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_ALLOW_PROTOCOL": protocol,
        "GIT_PROTOCOL_FROM_USER": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "",
        "SSH_ASKPASS": "",
        "GCM_INTERACTIVE": "never",
        "LC_ALL": "C",
        "LANGUAGE": "C",
    }


def make_bare(repository: Path, *, id_length: int = 40, alternate: Path | None = None) -> None:
    """Make an empty bare repository without starting git, so that no template or hook can get into it.

    With `alternate`, objects are also read from that object folder of another repository.
    """
    for folder in ("objects/info", "objects/pack", "refs/heads"):
        (repository / folder).mkdir(parents=True)
    for name, content in _bare_files(id_length, alternate).items():
        (repository / name).write_bytes(content)


def is_as_made(repository: Path, *, id_length: int, alternate: Path) -> bool:
    """Whether a bare repository that only looks into another is what :func:`make_bare` has made."""
    try:
        files = {name: (repository / name).read_bytes() for name in _bare_files(id_length, alternate)}
    except OSError:
        return False
    return files == _bare_files(id_length, alternate) and (repository / "refs").is_dir()


def _bare_files(id_length: int, alternate: Path | None) -> dict[str, bytes]:
    files = {"HEAD": b"ref: refs/heads/none\n", "config": _config(id_length)}
    # Quoted, so that a newline or a leading # in the path is part of the path.
    return files if alternate is None else files | {"objects/info/alternates": quoted(os.fsencode(alternate)) + b"\n"}


def quoted(name: bytes) -> bytes:
    """Quote a name as in C, the way git reads names that hold anything special."""
    return b'"%s"' % b"".join(b"%c" % b if 32 <= b < 127 and b not in b'"\\' else b"\\%03o" % b for b in name)


def write_config(repository: Path, *, id_length: int = 40) -> None:
    """Give a repository of ours a configuration that names no server and no program."""
    (repository / "config").write_bytes(_config(id_length))


def _config(id_length: int) -> bytes:
    config = "[core]\n\tbare = true\n\trepositoryformatversion = "
    config += "1\n[extensions]\n\tobjectFormat = sha256\n" if id_length == 64 else "0\n"
    return config.encode("ascii")


@contextmanager
def started(
    repository: Path, arguments: Sequence[str], *, stdin: IO[bytes] | int, stderr: IO[bytes]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a local git command within the block: it cannot reach any network, and ends with the block at the latest."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    with processes.started(
        arguments, variables=inherited | environment(repository), stdin=stdin, stderr=stderr
    ) as process:
        yield process


def scratch() -> BinaryIO:
    """Make a temporary file that has no name.

    Raises
    ------
    FetchError
        If there is no place for one.
    """
    try:
        return cast("BinaryIO", tempfile.TemporaryFile())
    except OSError as err:
        raise _no_scratch(err) from err


def run(repository: Path, *arguments: str, stdin: IO[bytes] | int = subprocess.DEVNULL) -> bytes:
    """Run a local git command and return what it printed.

    Raises
    ------
    CommandError
        With git's own words, if it fails.
    """
    with scratch() as errors, started(repository, arguments, stdin=stdin, stderr=errors) as process:
        output, _ = process.communicate()
        if process.returncode:
            raise CommandError(words(errors) or f"git {arguments[0]}: status {process.returncode}")
    return output


def words(errors: IO[bytes]) -> str:
    """Return what git wrote to a file in one line, cut where it goes on too long for a message."""
    errors.seek(0)
    return "; ".join(errors.read(_WORDS).decode(errors="replace").split("\n")).strip("; ")


def resolve_commit(repository: Path, name: str) -> str | None:
    """Return the full id of the commit that a ref or an (abbreviated) id names in our repository, or None."""
    try:
        found = run(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    except CommandError:
        return None
    return found.decode().strip()


def list_tree(repository: Path, commit: str) -> list[TreeItem]:
    """List every file of a commit, submodules and links among them.

    Names that are not UTF-8 keep their bytes as surrogate escapes, as Python does for file names.

    Raises
    ------
    FetchError
        If the listing is longer than ``MAX_FILES`` or ``MAX_LISTING_BYTES``.
    CommandError
        If git cannot read a tree.
    """
    items = []
    for line in _listing(repository, commit).split(b"\0")[:-1]:
        head, _, path = line.partition(b"\t")
        mode, kind, object_id = head.decode("ascii").split(" ")
        items.append(TreeItem(mode, kind, object_id, path.decode("utf-8", "surrogateescape")))
    return items


def _listing(repository: Path, commit: str) -> bytes:
    listing = ["ls-tree", "-r", "-z", "--full-tree", commit]
    with scratch() as errors, started(repository, listing, stdin=subprocess.DEVNULL, stderr=errors) as process:
        assert process.stdout is not None
        chunks: list[bytes] = []
        files = size = 0
        while chunk := process.stdout.read(1 << 20):
            chunks.append(chunk)
            files += chunk.count(b"\0")
            size += len(chunk)
            if files > MAX_FILES or size > MAX_LISTING_BYTES:
                raise FetchError(
                    f"commit {commit} in {repository}: refused, it lists more than {MAX_FILES} files or "
                    f"{MAX_LISTING_BYTES} bytes of names; expected a results repository, and this one is made to "
                    "fill the memory: check where it comes from"
                )
        if process.wait():
            raise CommandError(words(errors) or f"git ls-tree: status {process.returncode}")
    return b"".join(chunks)


def object_sizes(repository: Path, ids: Sequence[str]) -> dict[str, int]:
    """Return the size of each blob that is there; ids that are missing or not blobs are left out."""
    with id_list(ids) as listed:
        output = run(
            repository, "cat-file", "--batch-check=%(objectname) %(objecttype) %(objectsize)", "--buffer", stdin=listed
        )
    fields = (line.split(" ") for line in output.decode("ascii").splitlines())
    return {f[0]: int(f[2]) for f in fields if len(f) == 3 and f[1] == "blob"}


def cat_file(repository: Path, ids: Sequence[str]) -> Iterator[bytes | None]:
    """Stream the contents of blobs in the order asked for; None for one that is not there.

    Raises
    ------
    IntegrityError
        If git finds an object damaged or of another type.
    """
    batch = ["cat-file", "--batch", "--buffer"]
    with (
        id_list(ids) as listed,
        scratch() as errors,
        started(repository, batch, stdin=listed, stderr=errors) as process,
    ):
        output = process.stdout
        assert output is not None
        for object_id in ids:
            header = output.readline().split()
            if header[1:] == [b"missing"]:
                yield None
                continue
            content = output.read(int(header[2])) if header[1:2] == [b"blob"] and len(header) == 3 else b""
            if len(header) != 3 or len(content) != int(header[2]) or output.read(1) != b"\n":
                said = words(errors) or f"it answered {b' '.join(header)!r}"
                raise IntegrityError(
                    f"{repository}: object {object_id} cannot be read as a file ({said}); "
                    "the repository is damaged: remove that folder and fetch again"
                )
            yield content
        output.close()
        process.wait()


def id_list(ids: Sequence[str]) -> BinaryIO:
    """Write object ids to a temporary file, one a line: git can read it at its own pace, so no pipe can fill up."""
    bad = next((i for i in ids if not OBJECT_ID.fullmatch(i)), None)
    if bad is not None:
        raise FetchError(f"{bad!r} is not a git object id; expected 40 or 64 hexadecimal digits")
    listed = scratch()
    try:
        listed.write("".join(f"{i}\n" for i in ids).encode("ascii"))
        listed.seek(0)
    except OSError as err:
        with suppress(OSError):  # what did not fit still does not
            listed.close()
        raise _no_scratch(err) from err
    return listed


def _no_scratch(err: OSError) -> FetchError:
    return FetchError(
        f"no temporary file could be made ({err.strerror or err}); make room, or name a folder in the environment variable TMPDIR"
    )
