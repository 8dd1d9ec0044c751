"""The lock: read strictly, written by one script, the same bytes every time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from git_server import git, write

from bigbench_meta.errors import IntegrityError, SourceError
from bigbench_meta.fetcher import manifest as manifest_module
from bigbench_meta.fetcher.checkout import Checkout, Entry
from bigbench_meta.fetcher.manifest import Manifest, manifest_text, packaged_path, read_manifest, verify, write_text

ROOT = Path(__file__).resolve().parents[2]
COMMIT = "a" * 40
FILES = (Entry("b/results/scores_x.json", "b" * 40, 3), Entry("a/task.json", "c" * 40, 0))


def test_packaged_manifest_is_the_project_s() -> None:
    """In a source tree the file at its root is read; it names the repository of the paper."""
    assert packaged_path() == ROOT / "data_manifest.json"
    assert read_manifest().repository == "https://github.com/google/BIG-bench"


def test_wheel_s_copy_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed, the package reads its own copy, whatever a file of that name beside it may say."""
    write(tmp_path, {"data_manifest.json": b"not ours", "bigbench_meta/data/data_manifest.json": b"{}"})
    places = (tmp_path / "data_manifest.json", tmp_path / "bigbench_meta/data/data_manifest.json")
    monkeypatch.setattr(manifest_module, "_PLACES", places)
    assert packaged_path() == places[1]


def test_text_is_sorted_complete_and_read_back(tmp_path: Path) -> None:
    """What is written is JSON with one file a line in order of path, and reads back as the same manifest."""
    text = manifest_text(repository="https://example.org/r", commit=COMMIT, files=FILES)
    assert text == manifest_text(repository="https://example.org/r", commit=COMMIT, files=reversed(FILES))
    assert text.splitlines()[4] == '    {"path": "a/task.json", "object_id": "' + "c" * 40 + '", "size": 0},'
    path = tmp_path / "m.json"
    path.write_text(text)
    assert read_manifest(path) == Manifest("https://example.org/r", COMMIT, tuple(sorted(FILES, key=lambda e: e.path)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"commit": "main"}, "expected null or a full commit id"),
        ({"commit": None}, "`files` are listed without a `commit`"),
        ({"repository": ""}, "expected a URL"),
        ({"files": {}}, "`files` is not a list"),
        ({"files": [{"path": "x", "object_id": "b" * 40}]}, r"`files\[0\]` is"),
        ({"files": [{"path": "x", "object_id": "B" * 40, "size": 1}]}, r"`files\[0\]` is"),
        ({"files": [{"path": "x", "object_id": "b" * 40, "size": True}]}, r"`files\[0\]` is"),
        ({"files": [{"path": "x", "object_id": "b" * 40, "size": -1}]}, r"`files\[0\]` is"),
        ({"files": [{"path": "x", "object_id": "b" * 40, "size": 1}] * 2}, "listed twice"),
        ({"extra": 1}, "expected an object with exactly"),
    ],
)
def test_malformed(tmp_path: Path, change: dict[str, object], message: str) -> None:
    """Each wrong part is named, with the file and the cure."""
    path = tmp_path / "m.json"
    good = {
        "repository": "https://example.org/r",
        "commit": COMMIT,
        "files": [{"path": "x", "object_id": "b" * 40, "size": 1}],
    }
    path.write_text(json.dumps(good | change))
    with pytest.raises(SourceError, match=message) as caught:
        read_manifest(path)
    assert str(path) in str(caught.value)


def test_missing_or_not_json(tmp_path: Path) -> None:
    """No file and no JSON are errors with a cure."""
    with pytest.raises(SourceError, match="install the package again"):
        read_manifest(tmp_path / "nothing.json")
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(SourceError, match="restore it from version control"):
        read_manifest(tmp_path / "x.json")


@pytest.mark.parametrize(
    "text",
    [
        '{"repository": "r", "commit": null, "commit": "' + COMMIT + '", "files": []}',
        '{"repository": "r", "commit": null, "files": [], "files": [{"path": "x", "path": "y"}]}',
        "[" * 100_000,
        '{"repository": "r", "commit": null, "files": ["\xff',
        "",
    ],
)
def test_forged(tmp_path: Path, text: str) -> None:
    """A key twice, of which one would count in silence, depth without end, and no UTF-8: one error with place and cure."""
    path = tmp_path / "m.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(SourceError, match=r"m\.json: the manifest is not plain JSON \(.+\); restore it"):
        read_manifest(path)


def test_long_values_are_shown_short(tmp_path: Path) -> None:
    """A message does not carry a megabyte of a forged file."""
    path = tmp_path / "m.json"
    path.write_text(json.dumps({"repository": "r", "commit": COMMIT, "files": [{"path": "x" * 1_000_000}]}))
    with pytest.raises(SourceError, match=r"`files\[0\]` is") as caught:
        read_manifest(path)
    assert len(str(caught.value)) < 1000


def test_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the rename fails the old file stays, and nothing is left beside it."""
    path = tmp_path / "m.json"
    path.write_text("old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        write_text(path, "new")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("m.json", "old")]


def test_verify() -> None:
    """The pinned files pass; another commit does not; a pin without files checks the commit only."""
    checkout = Checkout("s", Path(), COMMIT, FILES)
    verify(checkout, Manifest("r", COMMIT, FILES))
    verify(checkout, Manifest("r", COMMIT, ()))
    with pytest.raises(IntegrityError, match=f"got commit {COMMIT}, the manifest pins {'d' * 40}"):
        verify(checkout, Manifest("r", "d" * 40, FILES))


def test_script_writes_the_lock_of_a_source(tmp_path: Path) -> None:
    """The script's bytes depend on the commit alone, hold every entry, and a source without commits is refused."""
    work = write(tmp_path / "work", {"t/results/scores_a.json": b"{}", "t/task.json": b"", "README.md": b"x"})
    git(work, "init", "-q")
    git(work, "add", "-A")
    git(work, "commit", "-q", "-m", "x")

    def script(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            "scripts/maintenance/update_manifest.py",
            *arguments,
            "--cache-dir",
            str(tmp_path / "cache"),
        ]
        return subprocess.run(
            command,
            cwd=ROOT,
            env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )

    written = []
    for name in ("one.json", "two.json"):
        done = script(str(work), "--output", str(tmp_path / name), "--repository", "https://example.org/r")
        assert (done.returncode, done.stdout) == (0, f"{tmp_path / name}\n"), done.stderr
        written.append((tmp_path / name).read_bytes())
    assert written[0] == written[1]
    lock = read_manifest(tmp_path / "one.json")
    assert lock.commit == git(work, "rev-parse", "HEAD")
    assert [(e.path, e.object_id, e.size) for e in lock.files] == [
        (path, git(work, "rev-parse", f"HEAD:{path}"), size)
        for path, size in [("t/results/scores_a.json", 2), ("t/task.json", 0)]
    ]
    refused = script(str(work / "t"), "--output", str(tmp_path / "three.json"))
    assert refused.returncode == 1
    assert "nothing to pin" in refused.stderr
    assert not (tmp_path / "three.json").exists()
