"""Which files of a source are taken: BIG-bench's layout, or what a pattern names."""

from __future__ import annotations

import os
import subprocess
import zipfile
from typing import TYPE_CHECKING

import pytest

from bigbench_meta.errors import FetchError, SourceError
from bigbench_meta.fetcher import fetch
from bigbench_meta.fetcher.selection import BIGBENCH_LAYOUT, Selection

if TYPE_CHECKING:
    from pathlib import Path

PATHS = ["a/one.json", "a/b/two.json", "three.json", "a/b/c/four.txt"]


@pytest.mark.parametrize(
    ("pattern", "taken"),
    [
        ("*.json", ["three.json"]),
        ("a/*.json", ["a/one.json"]),
        ("a/**", ["a/one.json", "a/b/two.json", "a/b/c/four.txt"]),
        ("**/*.json", ["a/one.json", "a/b/two.json", "three.json"]),
        ("a/**/f*r.tx?", ["a/b/c/four.txt"]),
        ("a/[b]/two.json", []),
    ],
)
def test_patterns(pattern: str, taken: list[str]) -> None:
    """A star stays within one part, two stars cross parts, and brackets mean themselves."""
    assert sorted(Selection((pattern,)).choose(PATHS)[0]) == sorted(taken)


@pytest.mark.parametrize("pattern", ["", "/a", "a//b", "../a", "a/.", "*" * 17])
def test_refused_patterns(pattern: str) -> None:
    """A pattern that can name nothing, or would be slow, is refused with an example."""
    with pytest.raises(SourceError, match=r"not a pattern of paths in a source; expected .* such as"):
        Selection((pattern,)).may_hold("a")


def test_default_is_the_layout_of_score_files() -> None:
    """Without patterns only score files and task files are entries."""
    assert BIGBENCH_LAYOUT.choose([*PATHS, "t/results/scores_x.json"])[0] == {"t/results/scores_x.json"}
    assert BIGBENCH_LAYOUT.key == ""


def _tree(folder: Path) -> Path:
    for name in ("evals/a/one.json", "evals/b/two.json", "readme.md"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text('{"results": {}}')
    return folder


def test_only_what_a_path_names_is_read(tmp_path: Path) -> None:
    """Folders, zip archives, clones and bundles hold the same files under the same pattern."""
    folder = _tree(tmp_path / "tree")
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as made:
        for path in sorted(folder.rglob("*.*")):
            made.write(path, path.relative_to(folder).as_posix())
    clone = _tree(tmp_path / "clone")
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-qm", "x"],
        ["bundle", "create", "-q", str(tmp_path / "x.bundle"), "HEAD"],
    ):
        subprocess.run(["git", *command], cwd=clone, check=True)
    for source in (folder, tmp_path / "x.zip", clone, tmp_path / "x.bundle"):
        found = fetch(source, path="evals/a/*.json", cache_dir=tmp_path / "cache")
        assert [entry.path for entry in found.entries] == ["evals/a/one.json"], source
        everything = fetch(source, cache_dir=tmp_path / "cache")
        assert [entry.path for entry in everything.entries] == ["evals/a/one.json", "evals/b/two.json"], source


def test_one_file_is_a_source(tmp_path: Path) -> None:
    """A JSON file is read where it lies, whatever its name ends in."""
    path = tmp_path / "anything"
    path.write_text(' {"results": {}}')
    found = fetch(path)
    assert (found.root, [entry.path for entry in found.entries]) == (tmp_path, ["anything"])


def test_one_file_without_a_readable_name(tmp_path: Path) -> None:
    """A name that no table can hold is refused."""
    path = os.fsencode(tmp_path) + b"/\xff.json"
    with open(path, "wb") as file:  # noqa: PTH123 - a path of bytes
        file.write(b"{}")
    with pytest.raises(FetchError, match="has a name that is not UTF-8; rename it"):
        fetch(os.fsdecode(path))


def test_a_pattern_that_names_nothing(tmp_path: Path) -> None:
    """It is said, with examples, instead of taking something else."""
    with pytest.raises(SourceError, match=r"no file matches path='\*\.csv'; expected a pattern"):
        fetch(_tree(tmp_path / "tree"), path="*.csv")
