"""The cache: folders that appear whole or not at all, made by one process at a time.

Each attempt works in a folder of its own beside the place it is for, and ends with one rename. After a kill the next
caller finds either the whole folder or a stale attempt, which the next fetch of anything removes.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bigbench_meta.atomic import locked
from bigbench_meta.errors import FetchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FORMAT = 1  # part of every key, so that another version never reads what it does not understand
_CURE = "choose another cache folder with cache_dir= or the environment variable BIGBENCH_META_CACHE"


def cache_folder(chosen: str | os.PathLike[str] | None) -> Path:
    """Return the cache folder: the argument, else ``BIGBENCH_META_CACHE``, else the operating system's place.

    Raises
    ------
    FetchError
        If that place cannot be told: no home folder, links in a circle.
    """
    place = os.fspath(chosen) if chosen is not None else os.environ.get("BIGBENCH_META_CACHE")
    try:
        if not place:
            from platformdirs import user_cache_dir

            place = user_cache_dir("bigbench-meta", appauthor=False)
        return Path(place).expanduser().resolve()
    except (RuntimeError, OSError) as err:
        raise FetchError(f"{place or 'the cache folder'}: cannot be found ({err}); {_CURE}") from err


def keep(place: Path, make: Callable[[Path], None]) -> Path:
    """Return `place`, after `make` has filled a new folder that then becomes it, unless it is there already.

    Raises
    ------
    FetchError
        If the cache cannot be used (no permission, full disk, read-only).
    """
    if not is_kept(place):
        with _errors_of_cache(place), _alone(place):
            if not place.is_dir():
                _make(place, make)
    return place


def remove_stale_attempts(cache: Path) -> None:
    """Remove what killed processes have left of attempts at any place: theirs are those whose lock nobody holds."""
    with suppress(OSError):  # no such folder yet, or none that may be read: told where it is used
        for place in {cache / stale.name.partition(".part-")[0] for stale in cache.glob("*.part-*")}:
            lock = _lock_of(place)
            if lock.is_file() and not lock.is_symlink():  # else none of ours
                with suppress(OSError), locked(lock, wait=False):  # held by a living process, or of another user
                    _sweep(place)


def is_kept(place: Path) -> bool:
    """Whether a folder is in the cache.

    Raises
    ------
    FetchError
        If the cache cannot be looked at.
    """
    with _errors_of_cache(place):
        return place.is_dir()


def drop(place: Path) -> None:
    """Remove a kept folder that turned out damaged; it disappears by a rename first, so never by halves.

    Raises
    ------
    FetchError
        If the cache cannot be written.
    """
    with _errors_of_cache(place), _alone(place):
        if place.is_dir():
            doomed = Path(tempfile.mkdtemp(prefix=f"{place.name}.part-", dir=place.parent))
            place.rename(doomed / "damaged")
            shutil.rmtree(doomed, ignore_errors=True)


@contextmanager
def _errors_of_cache(place: Path) -> Iterator[None]:
    """Say of errors of the disk that they are of the cache."""
    try:
        yield
    except OSError as err:
        raise FetchError(
            f"{place.parent}: the cache cannot be used ({err.strerror or err}); expected a folder of yours with room: "
            f"make it so, or {_CURE}"
        ) from err


def _make(place: Path, make: Callable[[Path], None]) -> None:
    _sweep(place)
    attempt = Path(tempfile.mkdtemp(prefix=f"{place.name}.part-", dir=place.parent))
    try:
        make(attempt)
        attempt.rename(place)
    finally:
        _sweep(place)  # once more: the child of a killed process may have written to its attempt until now


def _sweep(place: Path) -> None:
    """Remove what attempts have left; the caller holds the lock, so none of them is alive."""
    for stale in place.parent.glob(f"{place.name}.part-*"):
        shutil.rmtree(stale, ignore_errors=True)


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Hold the lock of a place; the operating system frees it when its holder dies."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with locked(_lock_of(place)):
        yield


def _lock_of(place: Path) -> Path:
    return place.with_name(f"{place.name}.lock")
