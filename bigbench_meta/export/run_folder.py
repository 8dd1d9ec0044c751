"""The run folder: written whole or not at all, never over something this package did not make.

A folder is ours if its ``provenance.json`` says so and lists every file in it. It is built beside its final place,
under a hidden name that ends in ``.partial``, and renamed when complete: a crash leaves the old folder or none.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from bigbench_meta.atomic import folder_beside, keep_permissions, remove_abandoned_folders, retired
from bigbench_meta.errors import OutputError
from bigbench_meta.export.table_bytes import csv_bytes, known_table, parquet_bytes, read_table, table_of_bytes
from bigbench_meta.provenance import MADE_BY, PROVENANCE, listed_files, provenance_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd

# Tables of one row per number are large and typed: Parquet. All others are small enough to be read by eye: CSV.
_PARQUET_TABLES = ("results",)
_SAFE_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def write_run_folder(
    out: Path,
    *,
    tables: Mapping[str, pd.DataFrame],
    files: Mapping[str, bytes],
    provenance: Mapping[str, object],
    force: bool = False,
) -> Path:
    """Write a whole run into ``out`` in one step and return its resolved path.

    Parameters
    ----------
    out : Path
        Folder to make. It may not exist, be empty, or be an earlier output of this package (then ``force``).
    tables : mapping of name to DataFrame
        Each becomes ``tables/NAME.csv`` (``results``: Parquet), rows sorted by the table's key.
    files : mapping of relative path to bytes
        Everything else, such as ``report.html`` or ``figures/claims.svg``.
    provenance : mapping
        Becomes ``provenance.json``, with the list of files added. Must be representable as JSON.
    force : bool
        Replace an earlier output of this package.

    Raises
    ------
    OutputError
        If ``out`` is not ours to replace, holds files we did not write, a name would leave the folder,
        or the disk refuses. Nothing is left behind.
    """
    with building_folder(out, force=force) as building:
        fill_run_folder(building, tables=tables, files=files, provenance=provenance)
    return Path(out).resolve()


@contextlib.contextmanager
def building_folder(out: Path, *, force: bool) -> Iterator[Path]:
    """Yield a hidden folder to fill, with :func:`fill_run_folder` last; it becomes ``out`` when the block ends well.

    For output that is too large for the memory: it is written into the folder inside the block.

    Raises
    ------
    OutputError
        As :func:`write_run_folder`. Nothing is left behind.
    """
    out = Path(out).resolve()
    check_run_folder(out, force=force)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned_folders(out)
        with folder_beside(out) as building:
            yield building
            _put_in_place(building, out, force=force)
        remove_abandoned_folders(out)  # with the output in its place, what a killed run had moved out of the way can go
    except OSError as err:
        raise OutputError(
            f"cannot write {out}: {err.strerror or err}; expected a folder with room that you may write to. "
            "Nothing was left half-written: choose another --out or free space and run again"
        ) from err


def fill_run_folder(
    building: Path,
    *,
    tables: Mapping[str, pd.DataFrame],
    files: Mapping[str, bytes],
    provenance: Mapping[str, object],
) -> None:
    """Write tables, files and provenance into a folder under construction; what lies there already is listed too."""
    contents = {f"tables/{name}.{_extension(name)}": _table_bytes(name, frame) for name, frame in tables.items()}
    contents.update(files)
    present = [path.relative_to(building).as_posix() for path in building.rglob("*") if path.is_file()]
    for name in (*contents, *present):
        _check_name(name)
    record = {"made_by": MADE_BY, **provenance, "files": sorted([*contents, *present, PROVENANCE])}
    contents[PROVENANCE] = (json.dumps(record, indent=2, ensure_ascii=False, sort_keys=False) + "\n").encode(
        "utf-8", "backslashreplace"
    )
    for name, content in contents.items():
        path = building / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def read_run_folder(folder: Path) -> tuple[dict[str, pd.DataFrame], dict[str, object]]:
    """Read back the tables and the provenance of a folder that :func:`write_run_folder` made.

    Raises
    ------
    OutputError
        If the folder was not made by this package or a listed table is missing.
    """
    folder = Path(folder)
    provenance = provenance_of(folder)
    if provenance is None:
        raise OutputError(
            f"{folder} is not an output of bigbench-meta: it has no {PROVENANCE} that says so. "
            "Give the folder that `bigbench-meta run --out` wrote"
        )
    listed = [PurePosixPath(str(name)) for name in listed_files(provenance)]
    tables = {}
    for name in listed:
        if name.parent == PurePosixPath("tables"):
            path = folder / name
            if not path.is_file():
                raise OutputError(f"{path} is listed in {PROVENANCE} and missing; run the analysis again")
            tables[name.stem] = read_table(path)
    return tables, provenance


def require_tables(folder: Path, tables: Mapping[str, pd.DataFrame], *names: str) -> None:
    """Refuse the tables of a folder that is not from `run`, or that somebody has changed.

    Raises
    ------
    OutputError
        Naming the tables, or columns of them, that are not there.
    """
    missing = [f"table {name}" for name in names if name not in tables]
    missing += [
        f"column {column} of {name}"
        for name in names
        if name in tables and (known := known_table(name)) is not None
        for column in known.columns
        if column not in tables[name]
    ]
    if missing:
        some = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        raise OutputError(
            f"{folder} holds no {some}; expected the folder that `bigbench-meta run --out` wrote, unchanged. Give that one"
        )


def as_read_back(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The tables as `read_run_folder` will give them once they are written."""
    return {
        name: table_of_bytes(f"{name}.{_extension(name)}", _table_bytes(name, frame)) for name, frame in tables.items()
    }


def _extension(name: str) -> str:
    return "parquet" if name in _PARQUET_TABLES else "csv"


def _table_bytes(name: str, frame: pd.DataFrame) -> bytes:
    return parquet_bytes(name, frame) if name in _PARQUET_TABLES else csv_bytes(name, frame)


def _check_name(name: str) -> None:
    parts = name.split("/")
    if not all(_SAFE_PART.fullmatch(part) for part in parts):
        raise OutputError(
            f"output name {name!r} is refused: each part must be letters, digits, '.', '_' or '-' and start with a letter or digit"
        )


def check_run_folder(out: Path, *, force: bool) -> None:
    """Refuse a folder that is not ours to write, before hours of work end there.

    Raises
    ------
    OutputError
        If ``out`` is a file or cannot be made where it would lie, holds anything we did not write, or holds an earlier
        output and ``force`` is not given.
    """
    try:
        _check_place(out)
        if out.exists():
            _check_contents(out, shown=out, force=force)
    except OSError as err:  # a name too long, a folder that may not be read
        raise OutputError(
            f"{out} cannot be looked at: {err.strerror or err}; expected a folder, or a place for one. Choose another --out"
        ) from err


def _check_contents(folder: Path, *, shown: Path, force: bool) -> None:
    """Refuse what stands at ``folder`` unless it is empty or, with ``force``, wholly ours; messages call it ``shown``."""
    if not folder.is_dir():
        raise OutputError(f"{shown} is a file; expected a folder that does not exist yet. Choose another --out")
    provenance = provenance_of(folder)
    if provenance is None:
        if next(_present(folder), None) is None:
            return
        raise OutputError(
            f"{shown} is not empty and was not made by bigbench-meta (no {PROVENANCE} of ours in it), so it is left alone. "
            "Choose another --out"
        )
    foreign = sorted(set(_present(folder)) - set(listed_files(provenance)))
    if foreign:
        some = ", ".join(foreign[:5]) + (f" and {len(foreign) - 5} more" if len(foreign) > 5 else "")
        raise OutputError(
            f"{shown} holds files that bigbench-meta did not write ({some}), so it is left alone. Move them away or choose another --out"
        )
    if not force:
        raise OutputError(f"{shown} already holds an earlier output. Give --force to replace it, or another --out")


def _present(folder: Path) -> Iterator[str]:
    """Relative names of everything below ``folder`` but folders that hold something. Links are named, whatever they lead to."""

    def refused(err: OSError) -> None:
        raise err

    for place, folders, files in os.walk(folder, onerror=refused):
        links = [name for name in folders if os.path.islink(os.path.join(place, name))]  # noqa: PTH114, PTH118 - of os.walk
        for name in [*files, *links]:
            yield (Path(place) / name).relative_to(folder).as_posix()
        if not folders and not files and place != os.fspath(folder):
            yield f"{Path(place).relative_to(folder).as_posix()}/"


def _check_place(out: Path) -> None:
    """Refuse a place in which no folder can be made: below a file, or where we may not write."""
    place = Path(out).resolve().parent
    while not os.path.exists(place):  # noqa: PTH110 - False, not an error, below a folder we may not look into
        place = place.parent
    if not place.is_dir():
        raise OutputError(f"{place} is a file, so {out} cannot be made below it. Choose another --out")
    if not os.access(place, os.W_OK | os.X_OK):
        raise OutputError(f"{place} may not be written to, so {out} cannot be made there. Choose another --out")


def _put_in_place(building: Path, out: Path, *, force: bool) -> None:
    if not out.exists():
        building.rename(out)
        return
    keep_permissions(out, building)
    aside = retired(building) / out.name
    aside.parent.mkdir()
    out.rename(aside)
    try:
        # What stands here may not be what was looked at when the work began.
        _check_contents(aside, shown=out, force=force)
        building.rename(out)
    except (OSError, OutputError):
        aside.rename(out)
        raise
