"""Git sources: a clone or bare repository, a bundle, a server, an archive; each ends in a bare repository of ours and a commit.

What is verified: git recomputes the id of every object it receives, the commit's id covers its trees and theirs cover
the names and ids of the files, and :meth:`Checkout.read` recomputes the id of every content it hands out.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

from bigbench_meta.errors import FetchError, IntegrityError, OfflineError, SourceError
from bigbench_meta.fetcher import archives
from bigbench_meta.fetcher.addresses import redact, shown
from bigbench_meta.fetcher.cache import FORMAT, drop, is_kept, keep
from bigbench_meta.fetcher.checkout import (
    LINK,
    SUBMODULE,
    Checkout,
    Entry,
    Skipped,
    blob_id,
    check_count,
    check_path,
    is_result_path,
    is_text,
    without_definitions,
)
from bigbench_meta.fetcher.folders import list_folder
from bigbench_meta.fetcher.git import local, objects, plumbing, processes, remote
from bigbench_meta.fetcher.git.refs import listed, look_up
from bigbench_meta.fetcher.selection import BIGBENCH_LAYOUT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bigbench_meta.fetcher.selection import Selection
    from bigbench_meta.progress import Progress

log = logging.getLogger(__name__)


def from_clone(
    folder: Path, ref: str | None, *, cache: Path, definitions: bool, selection: Selection = BIGBENCH_LAYOUT
) -> Checkout | None:
    """Read a commit of a repository on this machine; None if the folder is none, or has no commit at all.

    A partial clone may lack task definitions; they are missed only if ``definitions`` are asked for.

    Its objects are read where they are, through a bare repository of ours in the cache that knows nothing else of it.
    """
    repository = local.find(folder)
    if repository is None:
        if os.path.lexists(folder / ".git"):
            log.warning("%s: its .git leads to no repository, so its files are read as they are on disk", folder)
        return None
    # A full id means itself, whatever a branch may be called.
    target = ref if ref and plumbing.OBJECT_ID.fullmatch(ref) else local.read_ref(repository, ref or "HEAD")
    if target is None and ref is None:
        _check_unborn(folder, repository, selection)
        return None
    # The length of ids tells the kind of repository; of an id cut short it is that of the others.
    id_length = len(target or local.read_ref(repository, "HEAD") or "0" * 40)
    objects.check_objects(repository.objects)
    key = hashlib.sha256(os.fsencode(repository.objects)).hexdigest()[:16]
    place = cache / f"view-{FORMAT}-{id_length}-{key}"

    def make(attempt: Path) -> None:
        plumbing.make_bare(attempt, id_length=id_length, alternate=repository.objects)

    bare = keep(place, make)
    if not plumbing.is_as_made(bare, id_length=id_length, alternate=repository.objects):
        drop(place)
        bare = keep(place, make)
    commit = plumbing.resolve_commit(bare, target or str(ref))
    if commit is None and target not in {None, ref}:
        raise IntegrityError(
            f"{folder}: {ref or 'HEAD'} is {target}, which is not there or no commit; see `git fsck` there, then fetch again"
        )
    if commit is None:
        raise SourceError(
            f"{folder}: has no commit {ref!r}; expected one of those that `git branch -a` and `git tag` list there: give its name"
        )
    checkout = _checkout(bare, commit, source=str(folder), definitions=definitions, selection=selection)
    if ref is None:
        _warn_of_changes(folder, checkout, selection, since=repository.git_dir / "index")
    return checkout


def _check_unborn(folder: Path, repository: local.LocalRepository, selection: Selection) -> None:
    """Say that there is no commit at HEAD: in a warning where files on disk can be read instead, else in an error."""
    if repository.git_dir == folder and not list_folder(folder, selection).entries:
        raise SourceError(
            f"{folder}: its HEAD names a branch that has no commit; expected a repository with one at HEAD: give a ref that it "
            f"has ({listed(local.branches(repository))})"
        )
    log.warning("%s: has no commit yet, so its files are read as they are on disk", folder)


def from_bundle(path: Path, ref: str | None, *, cache: Path, selection: Selection = BIGBENCH_LAYOUT) -> Checkout:
    """Unpack a bundle into the cache, keyed by its content, and read one of its commits."""
    with path.open("rb") as file:
        key = hashlib.file_digest(file, "sha256").hexdigest()[:16]

    def make(attempt: Path) -> None:
        with path.open("rb") as file:
            sha256 = b"@object-format=sha256\n" in file.read(200)
        plumbing.make_bare(attempt, id_length=64 if sha256 else 40)
        try:
            found = plumbing.run(attempt, "bundle", "unbundle", str(path)).decode("utf-8", "surrogateescape")
        except plumbing.CommandError as err:
            raise FetchError(
                f"{path}: the bundle cannot be unpacked ({err}); expected a whole one with all of its history, and room for it: "
                + processes.cure(str(err), other="get it again, or make it anew with `git bundle create FILE HEAD`")
            ) from err
        heads: dict[str, str] = {}
        for object_id, _, name in (line.partition(" ") for line in found.split("\n")[:-1]):
            if heads.setdefault(name, object_id) != object_id:
                raise FetchError(
                    f"{path}: refused, it lists {shown(name)} twice, and which one counts cannot be known; make it anew"
                )
        (attempt / "heads.json").write_text(json.dumps(heads), encoding="utf-8")

    def open_kept(bare: Path) -> Checkout:
        heads = _read_heads(bare / "heads.json")
        if ref is None:
            names = ("HEAD", "refs/heads/main", "refs/heads/master")
            target = next((heads[name] for name in names if name in heads), None)
        elif plumbing.OBJECT_ID.fullmatch(ref):  # a full id means itself, whatever a branch may be called
            target = ref
        else:
            target = look_up(ref, heads.get, where=str(path)) or ref
        if target is None and len(set(heads.values())) == 1:
            target = next(iter(heads.values()))
        commit = plumbing.resolve_commit(bare, target) if target else None
        if commit is None and target in heads.values():
            raise IntegrityError(
                f"{path}: its {ref or 'HEAD'} is {target}, which is not in it or no commit; get the bundle again, or give another ref"
            )
        if commit is None:
            raise SourceError(
                f"{path}: has no commit {ref or 'HEAD'!r}; it holds {listed(set(heads))}: give one of them as ref"
            )
        return _checkout(bare, commit, source=str(path), selection=selection)

    return _kept(cache / f"bundle-{FORMAT}-{key}", make, open_kept)


def from_url(
    url: str,
    ref: str | None,
    *,
    cache: Path,
    offline: bool,
    definitions: bool,
    progress: Progress | None,
    selection: Selection = BIGBENCH_LAYOUT,
) -> Checkout:
    """Fetch one commit's score files, and task definitions if asked, from a server into the cache, once; afterwards read them there."""
    plain = redact(url)

    def kept_as(*more: str) -> Path:
        name = "\0".join([plain, ref or "HEAD", *more, *selection.patterns]).encode("utf-8", "surrogateescape")
        return cache / f"git-{FORMAT}-{hashlib.sha256(name).hexdigest()[:16]}"

    # What was fetched with definitions serves without them too.
    with_definitions = kept_as("definitions")
    place = with_definitions if definitions or is_kept(with_definitions) else kept_as()

    def make(attempt: Path) -> None:
        if offline:
            raise OfflineError(
                f"{plain}: {ref or 'HEAD'} is not in the cache {cache} (or damaged there) and offline work was asked for; "
                "fetch it once without offline, or use a clone, bundle, folder or archive on this machine"
            )
        _download(attempt, url, ref, selection, progress, definitions=definitions)

    def open_kept(bare: Path) -> Checkout:
        commit = plumbing.resolve_commit(bare, "HEAD")
        if commit is None or (ref is not None and plumbing.OBJECT_ID.fullmatch(ref) and commit != ref):
            raise IntegrityError(
                f"{plain}: the kept repository {bare} names commit {commit}, expected {ref or 'one'}: remove it and fetch again"
            )
        checkout = _checkout(bare, commit, source=plain, definitions=definitions, selection=selection)
        # Whatever earlier calls have fetched: the same call reads the same files.
        return checkout if definitions else without_definitions(checkout)

    return _kept(place, make, open_kept)


def from_archive(
    path: Path, *, cache: Path, progress: Progress | None, selection: Selection = BIGBENCH_LAYOUT
) -> Checkout:
    """Read a zip or tar archive by way of a bare repository in the cache, keyed by its content."""
    with path.open("rb") as file:
        key = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    if selection.key:
        key += "-" + hashlib.sha256(selection.key.encode("utf-8", "surrogateescape")).hexdigest()[:8]

    def make(attempt: Path) -> None:
        archives.import_archive(path, attempt, selection=selection, progress=progress)

    def open_kept(bare: Path) -> Checkout:
        commit = plumbing.resolve_commit(bare, "HEAD")
        if commit is None:
            raise IntegrityError(
                f"{bare}: the kept repository names no commit, expected one: remove it and fetch again"
            )
        checkout = _checkout(bare, commit, source=str(path), selection=selection)
        # The commit is ours, not the source's.
        return replace(checkout, commit=None, skipped=archives.read_skipped(bare))

    return _kept(cache / f"archive-{FORMAT}-{key}", make, open_kept)


def _download(
    repository: Path, url: str, ref: str | None, selection: Selection, progress: Progress | None, *, definitions: bool
) -> None:
    """Fill an empty folder with a bare repository that holds one commit, its trees and the wanted files."""
    plumbing.make_bare(repository)
    commit = remote.fetch_commit(repository, url, ref, blobless=True, progress=progress)
    files = _files(repository, commit, source=redact(url), selection=selection)[0]
    wanted = sorted({object_id for path, object_id in files.items() if definitions or is_result_path(path)})
    there = plumbing.object_sizes(repository, wanted)
    missing = [object_id for object_id in wanted if object_id not in there]
    if missing:
        try:
            remote.fetch_blobs(repository, url, missing, progress=progress)
        except remote.RefusedError:
            log.warning("%s: the server does not hand out single files, so the whole commit is fetched", redact(url))
            for part in repository.iterdir():
                shutil.rmtree(part) if part.is_dir() else part.unlink()
            plumbing.make_bare(repository)
            remote.fetch_commit(repository, url, commit if ref == commit else ref, blobless=False, progress=progress)


def _kept(place: Path, make: Callable[[Path], None], open_kept: Callable[[Path], Checkout]) -> Checkout:
    """Open a kept repository, made first if need be; one that turns out damaged is made again, once."""
    if is_kept(place):
        try:
            return open_kept(place)
        except FetchError as err:
            log.warning("%s: the kept copy is damaged and is made anew (%s)", place, err)
            drop(place)
    return open_kept(keep(place, make))


def _read_heads(file: Path) -> dict[str, str]:
    try:
        heads = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as err:
        raise IntegrityError(
            f"{file}: the kept list of refs cannot be read ({err}); expected our own: remove {file.parent} and fetch again"
        ) from err
    if not isinstance(heads, dict) or not all(
        isinstance(i, str) and plumbing.OBJECT_ID.fullmatch(i) for i in heads.values()
    ):
        raise IntegrityError(f"{file}: is not a list of refs; expected our own: remove {file.parent} and fetch again")
    return heads


def _files(bare: Path, commit: str, *, source: str, selection: Selection) -> tuple[dict[str, str], list[Skipped]]:
    """Return the object id of each entry of a commit by its path, and what is not read."""
    try:
        items = plumbing.list_tree(bare, commit)
    except plumbing.CommandError as err:
        raise IntegrityError(
            f"{source} at {commit}: its list of files cannot be read ({err}); a clone may be damaged (see `git fsck` there) "
            f"or lack them: make a full clone; else remove {bare} and fetch again"
        ) from err
    chosen, left_out = selection.choose(item.path for item in items)
    check_count(len(chosen), where=f"{source} at {commit}")
    skipped = [Skipped(path, reason) for path, reason in left_out.items()]
    files: dict[str, str] = {}
    for item in items:
        if item.mode == "120000" and item.path.rpartition("/")[2] == "results":
            skipped.append(Skipped(item.path if is_text(item.path) else ascii(item.path), LINK))
        if item.kind == "commit":
            skipped.append(Skipped(item.path if is_text(item.path) else ascii(item.path), SUBMODULE))
            continue
        if item.path not in chosen:
            continue
        check_path(item.path, where=f"{source} at {commit}")
        if item.path in files:
            raise IntegrityError(
                f"{source} at {commit}: lists {item.path!r} twice; it is damaged or forged, do not use it"
            )
        if not is_text(item.path):
            skipped.append(Skipped(ascii(item.path), "has a name that is not UTF-8"))
        elif item.mode == "120000":
            skipped.append(Skipped(item.path, LINK))
        else:
            files[item.path] = item.object_id
    return files, sorted(skipped)


def _checkout(bare: Path, commit: str, *, source: str, selection: Selection, definitions: bool = False) -> Checkout:
    """List the entries of a commit in a bare repository of ours; every one must be there, a task definition only if asked for."""
    files, skipped = _files(bare, commit, source=source, selection=selection)
    try:
        sizes = plumbing.object_sizes(bare, list(files.values()))
    except plumbing.CommandError as err:
        raise IntegrityError(
            f"{source} at {commit}: its files cannot be looked at ({err}); expected whole objects, and they are damaged (see "
            f"`git fsck` there): make a full clone; else remove {bare} and fetch again"
        ) from err
    absent = [path for path, object_id in files.items() if object_id not in sizes]
    missing = sorted(path for path in absent if definitions or is_result_path(path))
    if missing:
        raise FetchError(
            f"{source} at {commit}: {len(missing)} of {len(files)} files are not in this repository or damaged there, first "
            f"{missing[0]!r} (a partial clone leaves them on its server); fetch from the server's URL, or make a full clone"
        )
    entries = tuple(Entry(path, files[path], sizes[files[path]]) for path in sorted(files) if files[path] in sizes)
    return Checkout(
        source=source,
        root=bare,
        commit=commit,
        entries=entries,
        skipped=tuple(skipped),
        definitions_left_out=len(absent),
    )


def _warn_of_changes(folder: Path, checkout: Checkout, selection: Selection, *, since: Path) -> None:
    """Say so if score files on disk are not as committed: it is the commit that is read."""
    committed = {entry.path: entry for entry in checkout.entries}
    on_disk = {entry.path: entry for entry in list_folder(folder, selection).entries}
    index_time = since.stat().st_mtime_ns if since.is_file() else 0
    changed = list(on_disk.keys() - committed.keys())
    for path in on_disk.keys() & committed.keys():
        file = folder / path
        # As git does: the same size and not written since the index was means the same content.
        if on_disk[path].size != committed[path].size or (
            file.stat().st_mtime_ns >= index_time
            and blob_id(file.read_bytes(), like=checkout.commit or "") != committed[path].object_id
        ):
            changed.append(path)
    if changed:
        log.warning(
            "%s: commit %s is read; %d score or task files on disk are not as committed and are not read, first %s "
            "(to read files as they are on disk, give the folder below the repository that holds them)",
            folder,
            checkout.commit,
            len(changed),
            ascii(min(changed)),
        )
