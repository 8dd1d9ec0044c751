"""The file that marks a folder as an output of this package, and lists what is in it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MADE_BY = "bigbench_meta"
PROVENANCE = "provenance.json"


def is_run_folder(folder: Path) -> bool:
    """Say whether a folder is an output of this package."""
    return provenance_of(folder) is not None


def listed_by(folder: Path) -> list[str]:
    """Return the names of the files that make up an output of this package; none if the folder is no such output."""
    return listed_files(provenance_of(folder) or {})


def provenance_of(folder: Path) -> dict[str, object] | None:
    """Return the content of the folder's provenance file if this package wrote it, else None."""
    path = folder / PROVENANCE
    try:
        record = json.loads(path.read_bytes()) if path.is_file() else None  # a pipe would never end
    except PermissionError:
        raise  # it may be an output of this package
    except (OSError, ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and record.get("made_by") == MADE_BY else None


def listed_files(provenance: Mapping[str, object]) -> list[str]:
    """Return the names of the files that a provenance record lists."""
    files = provenance.get("files")
    return [str(name) for name in files] if isinstance(files, list) else []
