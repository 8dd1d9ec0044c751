"""Zip and tar archives: the wanted members go straight into a bare repository of ours, under no name of their own.

Nothing is unpacked to the file system, so no member can be written outside, over another, or as a link. Every member's
name is checked all the same, and an archive that holds one made to escape is refused as a whole.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import json
import lzma
import struct
import subprocess
import tarfile
import tempfile
import zipfile
import zlib
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from bigbench_meta.errors import FetchError, IntegrityError
from bigbench_meta.fetcher import zip_end
from bigbench_meta.fetcher.checkout import LINK, Skipped, check_count, check_path, escapes, is_text
from bigbench_meta.fetcher.git import plumbing
from bigbench_meta.fetcher.selection import BIGBENCH_LAYOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bigbench_meta.fetcher.selection import Selection
    from bigbench_meta.progress import Progress

# Limits against archives made to fill the disk. All of BIG-bench, with everything that is not read, is about 10 GB
# unpacked; score files compress 10 to 60 times (xz), the most a zip's deflate can do at all is 1032.
MAX_BYTES = 32 << 30
MAX_RATIO = 200
FREE_BYTES = 64 << 20  # below this the ratio does not matter
MAX_MEMBERS = 1_000_000
_CHUNK = 1 << 20
_SHOWN = 120  # characters of what a library says, which may quote the archive
_MAX_HEADER = 16 << 20  # of one tar header: extended headers are read into memory whole
_MAGIC = {b"\x1f\x8b": gzip.GzipFile, b"BZh": bz2.BZ2File, b"\xfd7zXZ\0": lzma.LZMAFile}
_FOREIGN = {
    b"\x28\xb5\x2f\xfd": "a file compressed by zstd", b"7z\xbc\xaf\x27\x1c": "a 7z archive", b"Rar!\x1a\x07": "a RAR archive",
    b"\x1f\x9d": "a file compressed by compress", b"\x5d\0\0": "a file of lzma alone", b"\x04\x22\x4d\x18": "a file compressed by lz4",
    b"PAR1": "a Parquet file; a table of results needs a name that ends in .parquet", b"LZIP": "a file compressed by lzip",
}  # fmt: skip
_ZIP_METHODS = frozenset([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
_DAMAGED = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError,
    EOFError, ValueError, NotImplementedError, struct.error, OverflowError,
    RecursionError,  # of the standard library, at a long row of extended headers
    MemoryError,  # of a decompressor, at a dictionary made to be larger than the memory
)  # fmt: skip


_REPOSITORY = "is a git repository, which is not opened within an archive: unpack it yourself and give its folder"
_TOO_MANY = "{path}: refused, it has more than {most} members; unpack it yourself if you trust it, and give the folder"


class _Member(NamedTuple):
    """One member of an archive, and how to read it."""

    path: str
    size: int
    problem: str | None  # why it is not a readable file
    open: Callable[[], IO[bytes]]


def is_archive(path: Path) -> bool:
    """Whether a file looks like an archive that can be read here."""
    return _kind(path) is not None


def foreign_kind(path: Path) -> str | None:
    """Name the kind of archive or compressed file that a file is and that is not read here, or None."""
    with path.open("rb") as file:
        start = file.read(max(map(len, _FOREIGN)))
    return next((name for magic, name in _FOREIGN.items() if start.startswith(magic)), None)


def _kind(path: Path) -> str | None:
    """Tell a zip from a tar by the first bytes; the standard library's own test may read gigabytes of forged header."""
    with path.open("rb") as file:
        start = file.read(tarfile.BLOCKSIZE)
    if start.startswith(tuple(_MAGIC)):
        return "tar"
    try:
        tarfile.TarInfo.frombuf(start, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return "zip" if zipfile.is_zipfile(path) else None
    return "tar"


def import_archive(
    path: Path, repository: Path, *, selection: Selection = BIGBENCH_LAYOUT, progress: Progress | None = None
) -> None:
    """Put the score and task files of an archive into an empty folder as a bare repository with one commit.

    What is not read is listed in ``skipped.json`` there.

    Raises
    ------
    FetchError
        If the archive is damaged, encrypted, unpacks to more than the limits allow, or holds a name made to escape.
    """
    try:
        with _members(path, repository) as members:
            _import(path, members, repository, selection, progress)
    except (*_DAMAGED, OSError) as err:
        if isinstance(err, OSError) and err.errno not in {None, errno.EINVAL}:
            raise  # of the disk; without a number it is a decompressor's, and no place before the start of a file can be sought
        raise FetchError(
            f"{path}: the archive is damaged or of a kind that cannot be read ({str(err)[:_SHOWN] or type(err).__name__}); "
            "expected a whole zip or tar: get it again, or unpack it yourself if it holds something else"
        ) from err


def read_skipped(repository: Path) -> tuple[Skipped, ...]:
    """Return what :func:`import_archive` left out.

    Raises
    ------
    IntegrityError
        If that list is damaged.
    """
    file = repository / "skipped.json"
    try:
        return tuple(Skipped(str(path), str(reason)) for path, reason in json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as err:
        raise IntegrityError(
            f"{file}: cannot be read ({err}); expected our list: remove {repository} and fetch again"
        ) from err


def _import(
    path: Path, members: list[_Member], repository: Path, selection: Selection, progress: Progress | None
) -> None:
    if len(members) > MAX_MEMBERS:
        raise FetchError(_TOO_MANY.format(path=path, most=MAX_MEMBERS))
    for member in members:
        if escapes(member.path):
            check_path(member.path, where=str(path))
    inside = [m for m in members if ".git" not in m.path.split("/")]
    chosen, left_out = selection.choose(m.path for m in inside)
    check_count(len(chosen), where=str(path))
    skipped = [Skipped(name, reason) for name, reason in left_out.items()]
    skipped += [
        Skipped(m.path if is_text(m.path) else ascii(m.path), m.problem)
        for m in inside
        if m.problem and m.path.rpartition("/")[2] == "results"
    ]
    wanted: dict[str, _Member] = {}
    for member in inside:
        if member.path not in chosen:
            continue
        check_path(member.path, where=str(path))
        problem = member.problem or (None if is_text(member.path) else "has a name that is not UTF-8")
        if problem:
            skipped.append(Skipped(ascii(member.path) if not is_text(member.path) else member.path, problem))
        elif member.path in wanted:
            raise FetchError(
                f"{path}: refused, it holds {member.path!r} twice, and which one counts cannot be known; pack it anew"
            )
        else:
            wanted[member.path] = member
    if not wanted:
        skipped += [Skipped(name or ".", _REPOSITORY) for name in _repositories(members)]
    for name in wanted:
        parent = next((above for above in _folders(name) if above in wanted), None)
        if parent is not None:  # one of the two would be lost
            raise FetchError(
                f"{path}: refused, it holds {parent!r} both as a file and as a folder of {name!r}, and which one counts "
                "cannot be known; pack it anew"
            )
    _check_size(path, sum(m.size for m in wanted.values()))
    plumbing.make_bare(repository)
    commit = _write_commit(path, sorted(wanted.values()), repository, progress)
    (repository / "HEAD").write_text(f"{commit}\n", encoding="ascii")
    (repository / "skipped.json").write_text(json.dumps(sorted(skipped)), encoding="utf-8")


def _repositories(members: list[_Member]) -> list[str]:
    """Folders of an archive that look like git's own, with a HEAD and objects."""
    names = {member.path for member in members}
    heads = {name.removesuffix("HEAD") for name in names if name == "HEAD" or name.endswith("/HEAD")}
    return sorted({head for head in heads if any(name.startswith(f"{head}objects/") for name in names)})


def _folders(name: str) -> Iterator[str]:
    """All folders above a member."""
    while name := name.rpartition("/")[0]:
        yield name


def _check_size(path: Path, unpacked: int) -> None:
    packed = path.stat().st_size
    if unpacked > MAX_BYTES or (unpacked > FREE_BYTES and unpacked > MAX_RATIO * packed):
        raise FetchError(
            f"{path}: refused, its {packed} bytes unpack to {unpacked} or more (limits: {MAX_BYTES} bytes, and {MAX_RATIO} "
            f"times its size beyond {FREE_BYTES} bytes); if you trust it, unpack it yourself and give the folder"
        )


# ---- into git


def _write_commit(path: Path, members: list[_Member], repository: Path, progress: Progress | None) -> str:
    """Stream members into ``git fast-import`` as one commit that depends on their names and contents alone."""
    arguments = ["-c", "fastimport.unpackLimit=0", "fast-import", "--quiet", "--done"]
    with (
        plumbing.scratch() as errors,
        plumbing.started(repository, arguments, stdin=subprocess.PIPE, stderr=errors) as process,
    ):
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # git has ended, and says why
            for number, member in enumerate(members, start=1):
                _write_blob(path, member, process.stdin, mark=number)
                if progress is not None:
                    progress(number, len(members), "reading archive")
            process.stdin.write(b"commit refs/heads/fetched\ncommitter bigbench-meta <> 0 +0000\ndata 0\n")
            for number, member in enumerate(members, start=1):
                process.stdin.write(b"M 100644 :%d %s\n" % (number, plumbing.quoted(member.path.encode())))
            process.stdin.write(b"done\n")
            process.communicate()
        process.wait()
        said = plumbing.words(errors)
    commit = plumbing.resolve_commit(repository, "refs/heads/fetched")
    if process.returncode or commit is None:
        raise FetchError(
            f"{path}: git could not store its files ({said or process.returncode}); check the space on the cache's disk"
        )
    return commit


def _write_blob(path: Path, member: _Member, into: IO[bytes], *, mark: int) -> None:
    into.write(b"blob\nmark :%d\ndata %d\n" % (mark, member.size))
    left = member.size
    with member.open() as content:
        while left and (chunk := content.read(min(left, _CHUNK))):
            into.write(chunk)
            left -= len(chunk)
        if left or content.read(1):
            raise FetchError(
                f"{path}: {member.path!r} does not have the {member.size} bytes that the archive says; it is damaged, get it again"
            )
    into.write(b"\n")


# ---- out of zip and tar


@contextmanager
def _members(path: Path, scratch: Path) -> Iterator[list[_Member]]:
    """List the files, links and devices of an archive, open while the context lasts."""
    if _kind(path) == "zip":
        if zip_end.entries_of(path, most=MAX_MEMBERS) > MAX_MEMBERS:
            raise FetchError(_TOO_MANY.format(path=path, most=MAX_MEMBERS))
        with zipfile.ZipFile(path) as archive:
            beside = zip_end.unread(path, archive)
            if beside is not None:
                raise FetchError(
                    f"{path}: refused, {beside}, and some of it would not be read; expected one whole archive alone: unpack it "
                    "yourself and give the folder"
                )
            yield [_zip_member(archive, info) for info in archive.infolist() if not info.is_dir()]
        return
    with (
        _plain_tar(path, scratch) as file,
        tarfile.TarFile(fileobj=file, mode="r", encoding="utf-8", errors="surrogateescape") as tar,
    ):
        members = []
        behind = 0
        for seen, info in enumerate(tar, start=1):
            if tar.offset <= behind:  # a negative size: the library would read the same members for ever
                raise tarfile.ReadError(f"a header that leads back to byte {tar.offset}")
            behind = tar.offset
            if not info.isdir():
                members.append(_tar_member(tar, info))
            if seen > MAX_MEMBERS:
                raise FetchError(_TOO_MANY.format(path=path, most=MAX_MEMBERS))
        # The library takes a damaged header, or a cut at a member's edge, for the end; the real end is a block of zeros.
        file.seek(tar.offset)
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError(f"a damaged or missing header at byte {tar.offset}")
        while rest := file.read(_CHUNK):
            if rest.strip(b"\0"):
                raise FetchError(
                    f"{path}: refused, its tar ends at byte {tar.offset} and something follows that would not be read; "
                    "expected one archive alone: unpack it yourself (tar --ignore-zeros) and give the folder"
                )
        yield members


def _zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Member:
    kind = info.external_attr >> 16 & 0o170000
    problem = None
    if info.flag_bits & 1:
        problem = "is encrypted"
    elif info.compress_type not in _ZIP_METHODS:
        problem = (
            f"is compressed by zip method {info.compress_type}, which is not read here; unpack the archive yourself"
        )
    elif kind not in {0, 0o100000}:
        problem = LINK if kind == 0o120000 else "is not a regular file"
    return _Member(_plain(info.orig_filename), info.file_size, problem, lambda: archive.open(info))


def _tar_member(tar: tarfile.TarFile, info: tarfile.TarInfo) -> _Member:
    problem = None
    if info.issym() or info.islnk():
        problem = "is a link; links are not followed"
    elif not info.isreg() or info.issparse():
        problem = "is not a regular file"

    def open_member() -> IO[bytes]:
        content = tar.extractfile(info)
        assert content is not None  # regular files have content
        return content

    return _Member(_plain(info.name), info.size, problem, open_member)


def _plain(name: str) -> str:
    """Take away the leading ``./`` that packing a folder as ``.`` leaves."""
    while name.startswith("./"):
        name = name[2:]
    return name


@contextmanager
def _plain_tar(path: Path, scratch: Path) -> Iterator[IO[bytes]]:
    """Open a tar, uncompressed first to a temporary file within the limits: a compressed one cannot be read twice fast."""
    with path.open("rb") as raw:
        start = raw.read(6)
    opener = next((opener for magic, opener in _MAGIC.items() if start.startswith(magic)), None)
    if opener is None:
        with _Bounded(path) as file:
            yield file
        return
    with tempfile.NamedTemporaryFile(dir=scratch, prefix="unpacked-") as plain:
        with opener(path) as packed:
            total = 0
            while chunk := packed.read(_CHUNK):
                total += len(chunk)
                _check_size(path, total)
                plain.write(chunk)
        plain.flush()
        with _Bounded(Path(plain.name)) as file:
            yield file


class _Bounded(io.FileIO):
    """A file that refuses to be read in large pieces, as only a forged tar header would ask for."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Read at most `size` bytes."""
        if size is None or size < 0 or size > _MAX_HEADER:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return super().read(size)
