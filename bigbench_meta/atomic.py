"""Files and folders that appear whole or not at all, and whose writers leave nothing behind when they are killed.

Each is written beside its place under a hidden name of its own, ``.NAME.xxxxxxxx.partial``, and renamed when complete. Its
writer holds a lock meanwhile, which the operating system frees when the writer dies: whoever writes to the same place next
removes what nobody holds. What is locked belongs to a living process and stays. What replaces a file or folder has its
permissions, from the first byte on.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import re
import secrets
import shutil
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if os.name == "posix":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOCK = ".lock"
# Elsewhere (Windows) a file that is open can be neither renamed nor removed.
_POSIX = os.name == "posix"
# Where a file system has no locks, a hidden file this old was left by a process that died; no table takes an hour to write.
_STALE_SECONDS = 3600.0
# Neither through a link, nor waiting for the other end of a pipe.
_AS_IT_IS = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Give a stream whose content becomes ``path`` when the block ends well; after an error or a kill the old file stays.

    Raises
    ------
    OSError
        If the place cannot be written, or has no room.
    """
    remove_abandoned_files(path.parent, path.name)
    beside, stream = _new_beside(path)
    try:
        with stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())  # a full disk on a network may show only now
            if not _POSIX:
                stream.close()
            beside.replace(path)  # still locked, or it could be taken for abandoned
    finally:
        beside.unlink(missing_ok=True)


def _new_beside(path: Path) -> tuple[Path, BinaryIO]:
    """Make a hidden file beside ``path`` with its permissions and lock it."""
    while True:
        beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
        stream = beside.open("xb")
        _take_permissions(path, beside)
        if not _POSIX:
            return beside, stream
        with contextlib.suppress(OSError):  # no locks here: its age tells
            fcntl.flock(stream, fcntl.LOCK_EX)
        if os.fstat(stream.fileno()).st_nlink:
            return beside, stream
        stream.close()  # removed as abandoned in the moment before the lock


def remove_abandoned_files(folder: Path, name: str | None = None) -> None:
    """Remove what killed writers of the file ``name``, or of any file, have left in ``folder``."""
    which = "*" if name is None else glob.escape(name)
    for left in folder.glob(f".{which}.{'[0-9a-f]' * 8}.partial"):
        # a link, a folder, one that another process removes just now, or of another user
        with contextlib.suppress(OSError):
            _remove_unless_held(left)


def _remove_unless_held(left: Path) -> None:
    file = os.open(left, _AS_IT_IS)
    try:
        if _POSIX:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            except OSError:
                if time.time() - os.fstat(file).st_mtime < _STALE_SECONDS:
                    return
            left.unlink()
    finally:
        os.close(file)
    if not _POSIX:
        left.unlink()


@contextlib.contextmanager
def locked(lock: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold a lock file; the operating system frees it when its holder dies.

    Raises
    ------
    OSError
        If no file can be made there, or the file system has no locks.
    BlockingIOError
        If somebody else holds it and ``wait`` is False.
    """
    from filelock import FileLock, Timeout

    # Where no file can be made, as below /proc, the library would try for ever: it takes some errors for those of a race.
    os.close(os.open(lock, os.O_CREAT | _AS_IT_IS, 0o644))
    held = FileLock(lock)
    try:
        held.acquire(-1 if wait else 0)
    except Timeout as err:
        raise BlockingIOError(errno.EWOULDBLOCK, "is held by another process", str(lock)) from err
    except NotImplementedError as err:
        raise OSError(errno.ENOLCK, str(err), str(lock)) from err
    try:
        yield
    finally:
        held.release()


@contextlib.contextmanager
def folder_beside(place: Path) -> Iterator[Path]:
    """Give a new hidden folder beside ``place``, locked while in use, removed at the end unless it was renamed."""
    building = place.with_name(f".{place.name}.{secrets.token_hex(4)}.partial")
    lock = building.with_name(building.name + _LOCK)
    try:
        with locked(lock):
            building.mkdir()
            _take_permissions(place, building, at_least=stat.S_IRWXU)
            yield building
    finally:
        shutil.rmtree(building, ignore_errors=True)
        if place.exists():
            shutil.rmtree(retired(building), ignore_errors=True)
        lock.unlink(missing_ok=True)


def keep_permissions(old: Path, new: Path) -> None:
    """Give a folder, and each file and folder in it, the permissions of what ``old`` has in its place."""
    for place, folders, files in os.walk(new, topdown=False):
        for name in [*files, *folders]:
            path = Path(place) / name
            _take_permissions(old / path.relative_to(new), path)
    _take_permissions(old, new)


def _take_permissions(old: Path, new: Path, *, at_least: int = 0) -> None:
    """Give ``new``, which is ours, the permissions of what stands at ``old``; as they are if there is nothing, or a link.

    Of somebody else's file or folder only restrictions are taken: it could have been put there to let others write.
    """
    try:
        found, made = old.lstat(), new.lstat()
    except OSError:
        return
    if _POSIX and stat.S_IFMT(found.st_mode) == stat.S_IFMT(made.st_mode):
        allowed = found.st_mode if found.st_uid == os.geteuid() else found.st_mode & made.st_mode
        new.chmod(allowed & 0o777 | at_least)


def retired(building: Path) -> Path:
    """Where the holder of ``building`` puts what stood in its place."""
    return building.with_suffix(".retired")


def remove_abandoned_folders(place: Path) -> None:
    """Remove what killed writers of the folder ``place`` have left beside it.

    An earlier output that one of them had moved out of the way stays while there is nothing in its place.
    """
    left = re.compile(rf"\.{re.escape(place.name)}\.([0-9a-f]{{8}})\.(?:partial|retired|partial{re.escape(_LOCK)})")
    for token in sorted({found[1] for path in place.parent.iterdir() if (found := left.fullmatch(path.name))}):
        building = place.with_name(f".{place.name}.{token}.partial")
        lock = building.with_name(building.name + _LOCK)
        if lock.is_symlink() or lock.is_dir():
            continue  # none of ours
        try:
            with locked(lock, wait=False):
                shutil.rmtree(building, ignore_errors=True)
                if place.exists():
                    shutil.rmtree(retired(building), ignore_errors=True)
        except (BlockingIOError, PermissionError):  # somebody is at work, or somebody else's
            continue
        lock.unlink(missing_ok=True)
