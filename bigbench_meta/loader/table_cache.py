"""The Parquet cache of loaded repositories: the same tables again without reading thousands of files.

A cached table is found by a key that covers everything it depends on: this package's reading code, and for each score
file its path and content. Content is identified by the git object id where there is one. For plain files it is the
size, inode, time of modification and time of status change: a change of content that keeps size and modification time
still moves the status time, which programs cannot set. A file that changed in the last seconds is not cached at all,
because a second change within the resolution of the clock would go unseen.

A file of the cache is a digest followed by Parquet of plain numbers and text; one that does not match its digest, is
cut off or cannot be read is ignored and replaced.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bigbench_meta.atomic import remove_abandoned_files, whole_file
from bigbench_meta.errors import TableError
from bigbench_meta.loader.columns import Loaded, Problem
from bigbench_meta.schema import RESULTS, validate

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from bigbench_meta.fetcher.checkout import Checkout, Entry

log = logging.getLogger(__name__)

# Below this, reading the files costs no more than the cache.
_MIN_FILES, _MIN_BYTES = 200, 8 << 20
# Coarser than the clock of any file system in use (FAT: two seconds).
_SETTLED_SECONDS = 3.0
_KEPT = 24  # tables kept; the least recently written go
_DIGEST = 32
_METADATA = b"bigbench_meta"
_FOLDER, _SUFFIX = "results", ".table"
# Few distinct values: worth a Parquet dictionary. Scores are not.
_REPETITIVE = [name for name, word in RESULTS.columns.items() if word == "float" and not name.startswith("score")]

# Writers at work in this process, so that the next load of the same table waits for it instead of reading all again.
_writing: dict[Path, threading.Thread] = {}


def _reading_code() -> list[Path]:
    """Return the modules that decide what a table holds: a change in any of them makes every cached table stale."""
    package = Path(__file__).parents[1]
    return [
        *sorted((package / "loader").rglob("*.py")),
        *(package / f"{name}.py" for name in ("schema", "table_files", "values")),
    ]


def place_of(checkout: Checkout, entries: Sequence[Entry], *, cache: Path) -> Path | None:
    """Return where the table of these entries is cached, None where it should not be.

    Parameters
    ----------
    checkout, entries
        The source, and the score files of it that are read.
    cache
        The package's cache folder.
    """
    if len(entries) < _MIN_FILES and sum(entry.size for entry in entries) < _MIN_BYTES:
        return None
    digest = hashlib.blake2b(digest_size=16)
    for module in _reading_code():
        digest.update(module.read_bytes())
    digest.update(repr(checkout.skipped).encode("utf-8", "backslashreplace"))
    newest = 0
    for entry in entries:
        identity = entry.object_id
        if identity is None:
            try:
                status = os.stat(os.path.join(checkout.root, entry.path))  # noqa: PTH116, PTH118 - ten times faster
            except OSError:
                return None  # reading will say what is wrong
            newest = max(newest, status.st_mtime_ns, status.st_ctime_ns)
            identity = f"{status.st_size} {status.st_ino} {status.st_mtime_ns} {status.st_ctime_ns}"
        digest.update(f"{entry.path}\0{identity}\0".encode("utf-8", "backslashreplace"))
    if newest > (time.time() - _SETTLED_SECONDS) * 1e9:
        return None
    return cache / _FOLDER / f"{digest.hexdigest()}{_SUFFIX}"


def read(place: Path) -> Loaded | None:
    """Return the cached table, None where there is none that is whole."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer = _writing.pop(place, None)
    if writer is not None:
        writer.join()
    try:
        content = place.read_bytes()
    except OSError:
        return None
    body = memoryview(content)[_DIGEST:]
    if hashlib.blake2b(body, digest_size=_DIGEST).digest() != content[:_DIGEST]:
        log.info("%s: the cached table is damaged and is made again", place)
        return None
    try:
        return _from_arrow(pq.read_table(pa.BufferReader(body)))
    except (pa.ArrowException, TableError, LookupError, TypeError, ValueError) as err:
        # The digest is right, so this is no damage: somebody else's file under our name.
        log.info("%s: is no table of this package (%s) and is made again", place, type(err).__name__)
        return None


def write(place: Path, loaded: Loaded) -> None:
    """Write a table into the cache, in the background; a failure costs nothing but the cache."""
    table = _to_arrow(loaded)
    writer = threading.Thread(target=_write, args=(place, table), name="bigbench_meta cache")
    _writing[place] = writer
    writer.start()


def _write(place: Path, table: pa.Table) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="lz4", use_dictionary=_REPETITIVE)
    body = memoryview(sink.getvalue())
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(place) as file:
            file.write(hashlib.blake2b(body, digest_size=_DIGEST).digest())
            file.write(body)
        _prune(place.parent)
    except OSError as err:
        log.info("%s: the table is not cached (%s)", place, err.strerror or err)


def _prune(folder: Path) -> None:
    """Remove tables beyond those kept, and what dead processes left."""
    tables = sorted(folder.glob(f"*{_SUFFIX}"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in tables[_KEPT:]:
        path.unlink(missing_ok=True)
    remove_abandoned_files(folder)


def _to_arrow(loaded: Loaded) -> pa.Table:
    """Return a copy of the table as Arrow: categories as their codes, their names and everything else as text."""
    import pyarrow as pa

    names: dict[str, list[str]] = {}
    columns = []
    for name, word in RESULTS.columns.items():
        column = loaded.frame[name]
        if word == "category":
            names[name] = column.cat.categories.tolist()
            column = column.cat.codes
        columns.append(pa.array(column.to_numpy(copy=True), from_pandas=False))
    rest = {"names": names, "problems": loaded.problems, "files": loaded.files, "on_disk": loaded.on_disk}
    table = pa.table(columns, names=RESULTS.names)
    return table.replace_schema_metadata({_METADATA: json.dumps(rest).encode()})


def _from_arrow(table: pa.Table) -> Loaded:
    import pandas as pd

    rest = json.loads(table.schema.metadata[_METADATA])

    def column(name: str) -> object:
        values = table.column(name).to_numpy()
        if name not in rest["names"]:
            return values
        levels = pd.CategoricalDtype(pd.Index(rest["names"][name], dtype="str"))
        return pd.Categorical.from_codes(values, dtype=levels)

    frame = pd.DataFrame({name: column(name) for name in RESULTS.columns})
    problems = [Problem(*problem) for problem in rest["problems"]]
    return Loaded(validate(frame, RESULTS), problems, rest["files"], rest["on_disk"])
