"""Repositories on this machine that are not ours: where their objects and refs are, without running git in them.

A repository that came in an archive or a shared folder is as untrusted as a server. Git started inside it would obey
its configuration; reading ``HEAD``, ``packed-refs`` and the refs as the plain text files they are obeys nothing. No link
is followed on the way to them, and no message quotes what is not known to be a ref: it could be the content of any file.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from bigbench_meta.errors import SourceError
from bigbench_meta.fetcher.addresses import shown
from bigbench_meta.fetcher.git.plumbing import OBJECT_ID
from bigbench_meta.fetcher.git.refs import look_up

if TYPE_CHECKING:
    from pathlib import Path

_MAX_LINKS = 5  # git's own limit for symbolic refs
_MAX_TEXT = 16 << 20  # of packed-refs: a line takes about 80 bytes, so 200,000 refs
_MAX_PATH = 4096  # of the files that hold a path: the longest path of Linux
_PLAIN_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/+@=-]*")


class LocalRepository(NamedTuple):
    """The two folders of a repository: its own (HEAD) and the one it shares with its work trees (refs, objects)."""

    git_dir: Path
    common_dir: Path

    @property
    def objects(self) -> Path:
        """The folder of its objects."""
        return self.common_dir / "objects"


def find(folder: Path) -> LocalRepository | None:
    """Recognise a clone (``.git`` folder or file) or a bare repository; None if the folder is neither.

    Raises
    ------
    SourceError
        If the git folder, or the place that it points to, cannot be looked at.
    """
    marker = folder / ".git"
    git_dir = folder
    try:
        if marker.is_dir():
            git_dir = marker
        elif marker.is_file():
            text = _start_of(marker, _MAX_PATH)
            if not text.startswith("gitdir:"):
                return None
            git_dir = folder / text.removeprefix("gitdir:").strip()
        if not (git_dir / "HEAD").is_file():
            return None
        common = git_dir / "commondir"
        common_dir = git_dir / _start_of(common, _MAX_PATH).strip() if _is_plain(common) else git_dir
        if not ((common_dir / "objects").is_dir() and (common_dir / "refs").is_dir()):
            return None
        return LocalRepository(git_dir.resolve(), common_dir.resolve())
    except OSError as err:
        raise SourceError(
            f"{folder}: its git folder cannot be looked at ({err.strerror}); make it readable, or give a folder below "
            "it to read files as they are"
        ) from err


def read_ref(repository: LocalRepository, name: str) -> str | None:
    """Return the object id that a ref, branch or tag name points to (``HEAD`` too), or None if there is none.

    Raises
    ------
    SourceError
        If the repository keeps its refs in a form that is not plain text (reftable), or they are damaged or cannot be read.
    """
    if (repository.common_dir / "reftable").is_dir():
        raise SourceError(
            f"{repository.common_dir}: keeps its refs as a reftable, which is not read here; "
            "make a bundle of it (git bundle create results.bundle HEAD) and use that"
        )
    try:
        packed = _packed_refs(repository.common_dir / "packed-refs")
        return look_up(name, lambda full: _follow(repository, full, packed), where=str(repository.common_dir))
    except OSError as err:
        raise SourceError(
            f"{repository.common_dir}: {shown(name)} cannot be looked up ({err.strerror}); expected readable files of "
            "refs: check their permissions, or give another ref"
        ) from err


def branches(repository: LocalRepository) -> set[str]:
    """Return full names of branches and tags, for a message."""
    loose = {
        file.relative_to(repository.common_dir).as_posix()
        for kind in ("heads", "tags")
        for file in (repository.common_dir / "refs" / kind).rglob("*")
        if _is_plain(file)
    }
    return loose | set(_packed_refs(repository.common_dir / "packed-refs"))


def _follow(repository: LocalRepository, name: str, packed: dict[str, str]) -> str | None:
    for _ in range(_MAX_LINKS):
        if not _PLAIN_REF.fullmatch(name) or any(part in {"", ".", ".."} for part in name.split("/")):
            return None
        loose = _loose(repository.git_dir, name)
        loose = _loose(repository.common_dir, name) if loose is None else loose
        text = packed.get(name) if loose is None else loose
        if text is None or OBJECT_ID.fullmatch(text):
            return text
        if not text.startswith("ref:"):
            if name == "HEAD" or name.startswith("refs/"):  # beside those lie other files, such as `config`
                raise SourceError(
                    f"{repository.common_dir}: its {name} is damaged; expected an object id or `ref: refs/...`, got "
                    f"{len(text)} characters of something else: see `git fsck` there, or give a full commit id as ref"
                )
            return None
        name = text.removeprefix("ref:").strip()
    return None


def _loose(root: Path, name: str) -> str | None:
    """Content of the file of a ref; None if it is no regular file. Of a link only its text counts: it could lead anywhere."""
    file = root / name
    link = _first_link(root, file.relative_to(root))
    if link is not None:
        raise SourceError(
            f"{link}: is a link where a repository keeps its refs, and is not followed; expected a folder of refs: give a "
            "full commit id as ref, or make a clone of the repository and use that"
        )
    if file.is_symlink():
        target = str(file.readlink())
        return f"ref: {target}" if target.startswith("refs/") else None  # how git once wrote symbolic refs
    if not file.is_file():
        return None
    return _start_of(file, _MAX_PATH).strip()  # no ref is longer


def _first_link(root: Path, below: Path) -> Path | None:
    """The first folder on the way from a root to a file below it that is a link, or None."""
    return next((root / part for part in reversed(below.parents) if part.parts and (root / part).is_symlink()), None)


def _is_plain(file: Path) -> bool:
    """Whether a file is a regular one and not a link to one."""
    return file.is_file() and not file.is_symlink()


def _start_of(file: Path, size: int) -> str:
    with file.open("rb") as stream:
        return stream.read(size).decode("utf-8", "surrogateescape")


def _packed_refs(file: Path) -> dict[str, str]:
    if not _is_plain(file):
        return {}
    text = _start_of(file, _MAX_TEXT + 1)
    if len(text) > _MAX_TEXT:
        raise SourceError(
            f"{file}: is larger than {_MAX_TEXT} bytes, which no list of refs is; check where it comes from"
        )
    refs: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        object_id, _, name = line.partition(" ")
        if line[:1] in {"#", "^", ""}:
            continue
        if not (OBJECT_ID.fullmatch(object_id) and name):
            raise SourceError(
                f"{file}: line {number} is damaged; expected an object id and the name of a ref: "
                "see `git fsck` there, or fetch from another copy"
            )
        refs[name] = object_id
    return refs
