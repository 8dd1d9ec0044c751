"""The lock of what an analysis used: repository, commit, and per file its path, git object id and size.

The package carries one manifest (``data_manifest.json``). Code only reads it; ``scripts/maintenance/update_manifest.py`` writes it.
"""

from __future__ import annotations

import json
import re
import reprlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bigbench_meta.atomic import whole_file
from bigbench_meta.errors import IntegrityError, SourceError
from bigbench_meta.fetcher.checkout import Checkout, Entry

if TYPE_CHECKING:
    from collections.abc import Iterable

_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
# At the root of the project while developing; hatch puts a copy into the package's data folder in the wheel.
_HERE = Path(__file__).resolve().parents[1]
_PLACES = (_HERE.parent / "data_manifest.json", _HERE / "data" / "data_manifest.json")


@dataclass(frozen=True)
class Manifest:
    """A repository, the commit that is pinned (None: not yet), and the files that commit must have."""

    repository: str
    commit: str | None
    files: tuple[Entry, ...]


def packaged_path() -> Path:
    """Where this installation keeps its manifest: the wheel's copy, or the project's root in a source checkout."""
    # A file of this name beside an installed package would belong to something else: the root counts only with the project file.
    root, packaged = _PLACES
    if root.is_file() and (root.parent / "pyproject.toml").is_file():
        return root
    return packaged


def read_manifest(path: Path | None = None) -> Manifest:
    """Read a manifest, by default the packaged one.

    Raises
    ------
    SourceError
        If the file is missing or is not a manifest; the message says which place is wrong.
    """
    where = packaged_path() if path is None else Path(path)
    try:
        raw = json.loads(where.read_text(encoding="utf-8"), object_pairs_hook=_once)
    except OSError as err:
        raise SourceError(f"{where}: the manifest cannot be read ({err.strerror}); install the package again") from err
    except (ValueError, RecursionError) as err:
        raise SourceError(f"{where}: the manifest is not plain JSON ({err}); restore it from version control") from err
    problem = _problem(raw)
    if problem:
        raise SourceError(f"{where}: not a manifest: {problem}; write it with scripts/maintenance/update_manifest.py")
    files = tuple(Entry(path=f["path"], object_id=f["object_id"], size=f["size"]) for f in raw["files"])
    return Manifest(repository=raw["repository"], commit=raw["commit"], files=files)


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Make a dict of the pairs of a JSON object, none of which may come twice: it would count in silence."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"a key stands twice in an object of {', '.join(found)[:100]}")
    return found


def _problem(raw: object) -> str | None:
    """Say what keeps a decoded file from being a manifest, or None."""
    if not isinstance(raw, dict) or set(raw) != {"repository", "commit", "files"}:
        return "expected an object with exactly `repository`, `commit`, `files`"
    if not isinstance(raw["repository"], str) or not raw["repository"]:
        return f"`repository` is {raw['repository']!r}, expected a URL"
    if raw["commit"] is not None and not (isinstance(raw["commit"], str) and _ID.fullmatch(raw["commit"])):
        return f"`commit` is {raw['commit']!r}, expected null or a full commit id"
    if not isinstance(raw["files"], list):
        return "`files` is not a list"
    if raw["files"] and raw["commit"] is None:
        return "`files` are listed without a `commit`"
    for i, file in enumerate(raw["files"]):
        if (
            not isinstance(file, dict)
            or set(file) != {"path", "object_id", "size"}
            or not isinstance(file["path"], str)
            or not (isinstance(file["object_id"], str) and _ID.fullmatch(file["object_id"]))
            or type(file["size"]) is not int
            or file["size"] < 0
        ):
            return f"`files[{i}]` is {reprlib.repr(file)}, expected `path`, a full `object_id` and a `size` in bytes"
    paths = [file["path"] for file in raw["files"]]
    if len(set(paths)) != len(paths):
        return "a path is listed twice"
    return None


def manifest_text(*, repository: str, commit: str | None, files: Iterable[Entry]) -> str:
    """Write a manifest as text: files sorted by path, one a line, so that two locks can be compared with ``diff``.

    Examples
    --------
    >>> print(manifest_text(repository="https://example.org/r", commit=None, files=()), end="")
    {
      "repository": "https://example.org/r",
      "commit": null,
      "files": []
    }
    """
    rows = [
        "    " + json.dumps({"path": e.path, "object_id": e.object_id, "size": e.size})
        for e in sorted(files, key=lambda e: e.path)
    ]
    listed = "[\n" + ",\n".join(rows) + "\n  ]" if rows else "[]"
    head = f'{{\n  "repository": {json.dumps(repository)},\n  "commit": {json.dumps(commit)},\n'
    return f'{head}  "files": {listed}\n}}\n'


def write_text(path: Path, text: str) -> None:
    """Write a small file so that a crash leaves the old one or the new one."""
    with whole_file(path) as file:
        file.write(text.encode())


def verify(checkout: Checkout, manifest: Manifest) -> None:
    """Compare a checkout of the pinned commit with the manifest: path, object id and size of every file.

    Task definitions are compared where both list them: whether they are read is up to the caller of `fetch`.

    Raises
    ------
    IntegrityError
        For another commit, a file that is unknown, missing, or has another id or size; all are counted, the first named.
    """
    if checkout.commit != manifest.commit:
        raise IntegrityError(
            f"{checkout.source}: got commit {checkout.commit}, the manifest pins {manifest.commit}; "
            "pass ref= to use another commit on purpose"
        )
    if not manifest.files:
        return
    expected = {entry.path: entry for entry in manifest.files}
    got = {entry.path: entry for entry in checkout.entries}
    both = expected.keys() & got.keys()
    expected = {path: entry for path, entry in expected.items() if entry.is_result or path in both}
    got = {path: entry for path, entry in got.items() if entry.is_result or path in both}
    wrong = [
        f"{path}: "
        + (
            "not in the manifest"
            if path not in expected
            else "missing"
            if path not in got
            else _differs(expected[path], got[path])
        )
        for path in sorted(expected.keys() | got.keys())
        if expected.get(path) != got.get(path)
    ]
    if wrong:
        raise IntegrityError(
            f"{checkout.source} at {checkout.commit}: {len(wrong)} of {len(expected)} files are not as the manifest says, "
            f"first {wrong[0]}; the manifest or the source was changed: restore data_manifest.json, "
            "or write it anew with scripts/maintenance/update_manifest.py if the change is meant"
        )


def _differs(expected: Entry, got: Entry) -> str:
    return f"expected {expected.object_id} ({expected.size} bytes), got {got.object_id} ({got.size} bytes)"
