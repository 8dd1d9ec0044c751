"""Getting results: from GitHub, any git repository, a clone, a bundle, a folder or an archive, to a :class:`Checkout`.

Folders are used in place and repositories on this machine are read in place; everything else is kept in a cache folder
(`cache_dir`, else the environment variable ``BIGBENCH_META_CACHE``, else where the operating system keeps caches).

``fetch("github")`` follows the same code as any other URL, and that code is tested against git servers on the loopback
interface. It has never been run against github.com from the machines this package is developed on: they cannot reach it.
"""

from __future__ import annotations

import logging
import os
import re
from typing import TYPE_CHECKING

from bigbench_meta.errors import FetchError, SourceError
from bigbench_meta.fetcher import archives
from bigbench_meta.fetcher.addresses import as_url, check_ref, local_path
from bigbench_meta.fetcher.cache import cache_folder, remove_stale_attempts
from bigbench_meta.fetcher.checkout import Checkout, Entry, Skipped, without_large_definitions, without_pointers
from bigbench_meta.fetcher.folders import list_folder, single_file
from bigbench_meta.fetcher.git import checkouts
from bigbench_meta.fetcher.manifest import Manifest, manifest_text, read_manifest, verify, write_text
from bigbench_meta.fetcher.selection import BIGBENCH_LAYOUT, OTHER_RESULTS, Selection
from bigbench_meta.progress import Progress, shown

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Checkout", "Entry", "Progress", "Skipped", "fetch"]

log = logging.getLogger(__name__)

_LAYOUT = (
    "expected score files named results/scores_*.json, as in bigbench/benchmark_tasks/<task>/results/; give the "
    "repository, folder, commit or archive that has them"
)

# A file that is a source by itself: JSON, by how it begins; zipped logs and summaries of other tools by their names.
_JSON_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*[{\[]")
_SINGLE = (".eval", ".json", ".csv")


def fetch(
    source: str | os.PathLike[str],
    *,
    ref: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    offline: bool = False,
    definitions: bool = False,
    path: str | None = None,
    progress: Progress | bool | None = None,
) -> Checkout:
    """Get the score files of a source, and its task definitions where asked for; or the files of other tools' results.

    Parameters
    ----------
    source
        The word ``github`` (google/BIG-bench at the commit that the manifest pins), a git URL, a clone or bare
        repository, a git bundle, a folder, a zip or tar archive, or one JSON file or log of an evaluation harness.
        Where a source on this machine holds no score files of BIG-bench's layout, its JSON, CSV and ``.eval`` files are
        taken instead; of a server only what ``path`` names.
    ref
        Branch, tag or full commit id; default: the commit at ``HEAD``. Only for git sources. Of a clone on this machine
        the commit is read, never the files of its work tree. A branch of a server is looked up once: what was fetched
        is used from then on, until it is removed from the cache or another ref is given.
    cache_dir
        Where fetched things are kept.
    offline
        Never open a socket; raise if that means that the source cannot be had.
    definitions
        Get the ``task.json`` files too, in which the items of each task are counted. The package has counted those of
        BIG-bench, which are 1.74 GB: they are never downloaded unasked. Definitions on this machine are
        read unasked if they are together no larger than 64 MiB. How many were left out is in ``definitions_left_out``.
    path
        Pattern of the files to take, such as ``evals/*/zero-shot/*.json``: only these are fetched and read. ``*`` stands
        for characters of one part of a path, ``**`` for any number of parts.
    progress
        Told how far long work is; as for :func:`bigbench_meta.analyze`.

    Raises
    ------
    SourceError
        If the source or ref is not of an allowed kind, or holds no score files.
    FetchError
        If getting it fails; :class:`OfflineError` where ``offline`` is the reason.
    IntegrityError
        If what was got is not what its object ids or the manifest promise.

    Examples
    --------
    >>> checkout = fetch("../BIG-bench", ref="main", offline=True)      # doctest: +SKIP
    >>> len(checkout.entries), checkout.commit[:7]                      # doctest: +SKIP
    (9616, '0123456')
    """
    if ref is not None:
        check_ref(ref)
    progress = shown(progress)
    cache = cache_folder(cache_dir)
    remove_stale_attempts(cache)
    manifest = read_manifest()
    github = source == "github"
    text = manifest.repository if github else os.fspath(source)
    url = as_url(text) if isinstance(source, str) else None
    selection = BIGBENCH_LAYOUT if path is None else Selection((path,))
    definitions = definitions or bool(selection.patterns)  # whatever is called so is then a file that was asked for
    if url is not None:
        commit = ref or (manifest.commit if github else None)
        checkout = checkouts.from_url(
            url, commit, cache=cache, offline=offline, definitions=definitions, progress=progress, selection=selection
        )
    else:
        place = local_path(text)
        checkout = _from_disk(place, ref, cache, progress, selection, definitions=definitions)
        if path is None and not _has_results(checkout):
            others = _from_disk(place, ref, cache, progress, OTHER_RESULTS, definitions=True)
            checkout = others if others.entries else checkout
            selection = OTHER_RESULTS if others.entries else selection
        checkout = checkout if definitions or selection.patterns else without_large_definitions(checkout)
    checkout = without_pointers(checkout)
    if path is not None and not checkout.entries:
        raise SourceError(
            f"{checkout.source}: no file matches path={path!r}; expected a pattern of paths inside the source, from its top, "
            "such as 'evals/*/zero-shot/*.json' or '**/results_*.json'"
        )
    if not selection.patterns and not _has_results(checkout):
        more = "" if url is None else "; for results of another tool, name their files with path="
        raise SourceError(f"{checkout.source}: holds no score files; {_LAYOUT}{more}{_first_skipped(checkout)}")
    if checkout.commit is not None and checkout.commit == manifest.commit and not selection.patterns:
        verify(checkout, manifest)
    if github and ref is None and manifest.commit is None:
        _write_lock(checkout, manifest, cache)
    return checkout


def _write_lock(checkout: Checkout, manifest: Manifest, cache: Path) -> None:
    """Write beside the cache what the default branch was, once, ready to become the package's manifest."""
    lock = cache / "data_manifest.json"
    text = manifest_text(repository=manifest.repository, commit=checkout.commit, files=checkout.entries)
    try:
        if lock.is_file() and lock.read_bytes() == text.encode():
            return
        write_text(lock, text)
    except OSError as err:
        raise FetchError(
            f"{lock}: the lock of what was fetched cannot be written ({err.strerror}); expected a file in a cache folder of yours: "
            "make it writable, or choose another cache folder"
        ) from err
    log.warning(
        "%s: no commit is pinned, so the default branch was taken, at %s; its lock is %s: "
        "commit it as data_manifest.json to make this analysis repeatable",
        checkout.source,
        checkout.commit,
        lock,
    )


def _first_skipped(checkout: Checkout) -> str:
    if not checkout.skipped:
        return ""
    first = checkout.skipped[0]
    return f" ({len(checkout.skipped)} were skipped, first {first.path!r}: {first.reason})"


def _has_results(checkout: Checkout) -> bool:
    return any(entry.is_result for entry in checkout.entries)


def _from_disk(
    path: Path, ref: str | None, cache: Path, progress: Progress | None, selection: Selection, *, definitions: bool
) -> Checkout:
    if path.is_dir():
        return _from_folder(path, ref, cache, selection, definitions=definitions)
    return _from_file(path, ref, cache, progress, selection)


def _from_folder(folder: Path, ref: str | None, cache: Path, selection: Selection, *, definitions: bool) -> Checkout:
    checkout = checkouts.from_clone(folder, ref, cache=cache, definitions=definitions, selection=selection)
    if checkout is None:
        if ref is not None:
            raise SourceError(
                f"{folder}: has no git commits, so ref={ref!r} means nothing; expected a git source: leave it out"
            )
        return list_folder(folder, selection)
    if not _has_results(checkout) and not selection.patterns and _has_results(list_folder(folder)):
        raise SourceError(
            f"{folder}: the commit {checkout.commit} holds no score files, but files on disk that are not committed do; "
            "commit them, or give a folder below this one to read files as they are"
        )
    return checkout


def _from_file(path: Path, ref: str | None, cache: Path, progress: Progress | None, selection: Selection) -> Checkout:
    try:
        if not path.is_file():  # a pipe would be waited for, a device may have no end, and neither can be read twice
            raise SourceError(
                f"{path}: is a pipe, socket or device; expected a folder or a regular file: write it to a file first"
            )
        with path.open("rb") as file:
            start = file.read(20)
    except OSError as err:
        raise SourceError(
            f"{path}: cannot be read ({err.strerror}); check that it is a file and its permissions"
        ) from err
    if re.match(rb"# v[0-9]+ git bundle\n", start):
        return checkouts.from_bundle(path, ref, cache=cache, selection=selection)
    if ref is not None:
        raise SourceError(
            f"{path}: only git sources have commits, so ref={ref!r} means nothing; expected a repository or bundle: leave it out"
        )
    if _JSON_START.match(start) or path.suffix.lower() in _SINGLE:
        return single_file(path)
    if not archives.is_archive(path):
        raise SourceError(
            f"{path}: is {archives.foreign_kind(path) or 'none of what is read here'}; expected a folder, a git bundle, or a zip or "
            "tar archive (gz, bz2, xz): unpack it yourself if it is an archive, and give the folder that holds the files"
        )
    return checkouts.from_archive(path, cache=cache, progress=progress, selection=selection)
