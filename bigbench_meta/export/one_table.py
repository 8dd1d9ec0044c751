"""One table to one file with a sidecar that says where its numbers are from."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bigbench_meta import __version__
from bigbench_meta.atomic import whole_file
from bigbench_meta.errors import OutputError
from bigbench_meta.export.every_eval_ever import every_eval_ever
from bigbench_meta.export.guards import keep_whole
from bigbench_meta.export.paper_tables import as_printed, latex_text, markdown_text
from bigbench_meta.export.presets import PRESETS, PrintedTable, headings, preset_table, printed_columns
from bigbench_meta.export.printed_numbers import DIGITS, cells
from bigbench_meta.export.query import select, sql
from bigbench_meta.export.run_folder import write_run_folder
from bigbench_meta.export.table_bytes import csv_bytes, parquet_bytes, sorted_by_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

TABLE_FORMATS = ("csv", "parquet", "latex", "markdown")


def table_bytes(name: str, frame: pd.DataFrame, kind: str, *, spreadsheet_safe: bool = False) -> bytes:
    """One table in one of `TABLE_FORMATS`, rows sorted by key, the same bytes every time."""
    if kind == "csv":
        return csv_bytes(name, frame, spreadsheet_safe=spreadsheet_safe)
    if kind == "parquet":
        return parquet_bytes(name, frame)
    return printed_bytes(as_printed(sorted_by_key(name, frame)), kind)


def printed_bytes(table: PrintedTable, kind: str, *, digits: int = DIGITS, spreadsheet_safe: bool = False) -> bytes:
    """A table as it is printed, in LaTeX, Markdown or CSV; in CSV under its headings, with its digits, as text."""
    import pandas as pd

    if kind == "csv":
        columns = [cells(table.frame[name], digits=digits) for name in table.frame.columns]
        rows = pd.DataFrame(list(zip(*columns, strict=True)), columns=list(table.headings), dtype="str")
        return csv_bytes("", rows, spreadsheet_safe=spreadsheet_safe)
    text = latex_text if kind == "latex" else markdown_text
    return text(table, digits=digits).encode("utf-8", "backslashreplace")


def pick_columns(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """The named columns of ``frame`` in that order; all of them if none is named.

    Raises
    ------
    OutputError
        Naming every column that the table does not have.
    """
    twice = sorted({column for column in columns if list(columns).count(column) > 1})
    if twice:
        raise OutputError(f"column {', '.join(twice)} is named twice; name each once")
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise OutputError(f"the table has no column {', '.join(missing)}; it has {', '.join(frame.columns)}")
    return frame[list(columns)] if columns else frame


@dataclass(frozen=True)
class Printing:
    """How a table is printed.

    Attributes
    ----------
    digits
        Significant digits in the middle of a column of numbers.
    caption, label
        In the place of those of a preset.
    always
        Print CSV, too, which otherwise holds every column and digit of the table.
    """

    digits: int = DIGITS
    caption: str | None = None
    label: str | None = None
    always: bool = False


def export_table(
    tables: Mapping[str, pd.DataFrame],
    name: str,
    *,
    kind: str,
    out: Path | None,
    provenance: Mapping[str, object],
    query: Sequence[str] = (),
    columns: Sequence[str] = (),
    statement: str | None = None,
    printing: Printing | None = None,
    spreadsheet_safe: bool = False,
    force: bool = False,
) -> bytes:
    """Pick rows and columns of one table of a run, and write them with a sidecar where ``out`` is given.

    Parameters
    ----------
    tables, name : mapping, str
        The tables of a run, and which to export, or one of `bigbench_meta.export.presets.PRESETS`; with ``statement`` the rows
        come from SQL over all of them.
    kind : str
        One of `TABLE_FORMATS`. LaTeX and Markdown are printed: rows, columns, headings, caption and notes of the preset of that
        name where there is one. CSV is printed if ``printing.always``, or if no table of the run but a preset has that name.
    out : Path or None
        File to write.
    provenance : mapping
        Of the run.
    query, columns : sequences of str
        As for `select` and `pick_columns`.
    printing : Printing, optional
        How it is printed.
    spreadsheet_safe, force : bool
        As for `csv_bytes` and `write_exports`.

    Returns
    -------
    bytes
        What was, or would be, written.

    Raises
    ------
    OutputError
        If there is no such table, format, row or column, if the columns do not fit a page, or the file cannot be written.
    """
    if kind not in TABLE_FORMATS:
        raise OutputError(f"format {kind!r} is unknown; expected one of {', '.join(TABLE_FORMATS)}")
    how = printing or Printing()
    if statement is None and name not in tables and name not in PRESETS:
        raise OutputError(
            f"there is no table {name!r}; this run has {', '.join(sorted(tables))}, and for print there are {', '.join(PRESETS)}"
        )
    is_printed = kind in ("latex", "markdown") or (kind == "csv" and (how.always or name not in tables))
    if statement is None and name in PRESETS and (is_printed or name not in tables):
        frame, preset = preset_table(tables, name, columns=columns)
        rows = select(frame, query)
        picked = pick_columns(rows, columns or printed_columns(rows, preset))
        printed = PrintedTable(
            picked,
            headings(list(picked.columns)),
            preset.caption,
            f"tab:{name}",
            (*preset.notes, source_note(provenance)),
        )
    else:
        frame = sql(tables, statement) if statement is not None else tables[name]
        picked = pick_columns(select(frame, query), columns)
        printed = as_printed(sorted_by_key("" if statement is not None else name, picked))
    if is_printed:
        if how.caption is not None:
            printed = replace(printed, caption=how.caption, label=printed.label or "tab:bigbench-meta")
        if how.label is not None:
            printed = replace(printed, label=how.label)
        content = printed_bytes(printed, kind, digits=how.digits, spreadsheet_safe=spreadsheet_safe)
    else:
        content = table_bytes("" if statement is not None else name, picked, kind, spreadsheet_safe=spreadsheet_safe)
    if out is not None:
        about = {"table": None if statement is not None else name, "sql": statement, "query": list(query), "columns": list(picked.columns),
                 "rows": len(picked), "format": kind, "spreadsheet_safe": spreadsheet_safe,
                 "digits": how.digits if is_printed else None}  # fmt: skip
        write_exports({out: content}, about=about, provenance=provenance, force=force)
    return content


def source_note(provenance: Mapping[str, object]) -> str:
    """Where the numbers of a printed table are from, as its last note."""
    commit = provenance.get("commit")
    arguments = provenance.get("arguments")
    seed = f", seed {arguments['seed']}" if isinstance(arguments, dict) and "seed" in arguments else ""
    at = f" at commit {str(commit)[:12]}" if commit else ""
    return f"Source: {provenance.get('source', 'unknown')}{at}; bigbench-meta {__version__}{seed}."


def export_records(
    results: pd.DataFrame,
    *,
    out: Path,
    provenance: Mapping[str, object],
    query: Sequence[str] = (),
    force: bool = False,
) -> list[Path]:
    """Write RESULTS as Every Eval Ever records into the folder ``out``, all of them or none, and return their paths.

    The folder gets a ``provenance.json`` that lists them, as an output of `run` does. The records carry the time given in the
    environment variable ``SOURCE_DATE_EPOCH``, else the present.

    Raises
    ------
    OutputError
        If no row fits the query, or the folder is not ours to write (see `write_run_folder`) or cannot be written.
    """
    now = os.environ.get("SOURCE_DATE_EPOCH") or str(int(time.time()))
    if not now.isdigit():
        raise OutputError(f"SOURCE_DATE_EPOCH is {now!r}; expected seconds since 1970 as a whole number")
    rows = select(results, query)
    source, kind = str(provenance.get("source", "unknown")), str(provenance.get("kind", "unknown"))
    records = every_eval_ever(rows, source=source, retrieved=int(now), kind=kind)
    about = {"table": "results", "query": list(query), "format": "every-eval-ever", "left_out": records.left_out}
    record = {**about, "written_by": f"bigbench-meta {__version__}", "run": _of_run(provenance)}
    written = write_run_folder(out, tables={}, files=records.files, provenance=record, force=force)
    return [written / name for name in records.files]


def write_exports(
    files: Mapping[Path, bytes], *, about: Mapping[str, object], provenance: Mapping[str, object], force: bool = False
) -> list[Path]:
    """Write files, each with a sidecar ``NAME.provenance.json``, and return their paths.

    Parameters
    ----------
    files : mapping of path to bytes
        What to write. Existing files are refused unless ``force``.
    about : mapping
        What the export is: table, query, options, counts of what was left out.
    provenance : mapping
        Of the run that the numbers are from.

    Raises
    ------
    OutputError
        If a file is in the way or the disk refuses. Each file is complete or absent.
    """
    for path in files:
        if path.name in ("", ".."):
            raise OutputError(f"{path} is a folder; expected the name of a file. Choose another --out")
    _check_targets([target for path in files for target in (path, _sidecar(path))], force=force)
    keep_whole(files)
    paths = []
    for path, content in files.items():
        record = {
            "file": path.name,
            "sha256": hashlib.sha256(content).hexdigest(),
            "written_by": f"bigbench-meta {__version__}",
            **about,
            "run": _of_run(provenance),
        }
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            for target, written in ((path, content), (_sidecar(path), _json(record))):
                with whole_file(target) as stream:
                    stream.write(written)
        except OSError as err:
            raise OutputError(
                f"cannot write {path}: {err.strerror or err}; expected a place with room that you may write to. Choose "
                "another --out or free space"
            ) from err
        paths.append(path)
    return paths


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name + ".provenance.json")


def _check_targets(targets: Sequence[Path], *, force: bool) -> None:
    """Refuse what is no place for a file, before any is written."""
    try:
        places = Counter(path.parent.resolve() / path.name for path in targets)
        present = [path for path in targets if os.path.lexists(path)]
        odd = [path for path in present if not path.is_symlink() and not path.is_file()]
    except OSError as err:
        raise OutputError(f"cannot write there: {err}; expected names of files. Choose another --out") from err
    twice = [str(path) for path, count in places.items() if count > 1]
    if twice:
        raise OutputError(f"{twice[0]} would be written twice; expected a name for each file. Choose another --out")
    if odd:
        raise OutputError(f"{odd[0]} is a folder or device; expected the name of a file. Choose another --out")
    if present and not force:
        some = ", ".join(map(str, present[:5])) + (f" and {len(present) - 5} more" if len(present) > 5 else "")
        raise OutputError(f"{some} already exists. Give --force to replace it, or another --out")


def _of_run(provenance: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in provenance.items() if name != "files"}


def _json(record: Mapping[str, object]) -> bytes:
    return (json.dumps(record, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
