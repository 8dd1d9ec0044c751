"""What is shipped: the checks of `make dist` find each fault, and the two files made from this checkout have none."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import zipfile
from pathlib import Path

import click
import pytest

import bigbench_meta
from bigbench_meta.cli import main

ROOT = Path(__file__).resolve().parents[1]
DIST = runpy.run_path(str(ROOT / "scripts" / "maintenance" / "check_dist.py"))
NAMES = {"bigbench_meta/__init__.py", "bigbench_meta/py.typed", "x/licenses/LICENSE", "x/THIRD_PARTY_LICENSES.md"}
METADATA = """Metadata-Version: 2.4
Name: bigbench-meta
Version: 9.9
License-Expression: {licence}
License-File: LICENSE
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Wheel and source distribution of this checkout: two seconds."""
    return DIST["build"](tmp_path_factory.mktemp("dist"))


def _files_of_checkout():
    """Files that git tracks or would take: work that is not committed yet must not fail a test."""
    command = ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\0")
    return {name for name in listed if name and (ROOT / name).is_file()}


def test_the_distributions_of_this_checkout_are_as_they_should_be(built):
    """Metadata by the standard and by pyproject.toml; every file of the package, and none beside."""
    given = {"version": bigbench_meta.__version__, "tracked": _files_of_checkout()}
    assert DIST["check_wheel"](built.wheel, **given) == []
    assert DIST["check_sdist"](built.sdist, **given) == []


def test_the_wheel_holds_the_licences_and_no_tests(built):
    """Read by hand from the archive: texts beside the metadata and beside the page's libraries."""
    with zipfile.ZipFile(built.wheel) as archive:
        names = archive.namelist()
        assert sum(name.endswith("THIRD_PARTY_LICENSES.md") for name in names) == 2
        assert not [name for name in names if name.startswith(("tests", "scripts", "docs"))]
        assert (
            archive.read(next(name for name in names if name.endswith("licenses/LICENSE")))
            == (ROOT / "LICENSE").read_bytes()
        )


@pytest.mark.parametrize(
    ("names", "fault"),
    [
        (NAMES - {"bigbench_meta/__init__.py"}, "bigbench_meta/__init__.py lacks"),
        (NAMES - {"bigbench_meta/py.typed"}, "no py.typed"),
        (NAMES - {"x/licenses/LICENSE"}, "no LICENSE"),
        (NAMES | {"tests/test_run.py"}, "tests/test_run.py does not belong there (git does not track it)"),
        (NAMES | {"a/__pycache__/b.pyc"}, "a/__pycache__/b.pyc is no part of a release"),
        (NAMES | {"t/results/scores_x.json"}, "t/results/scores_x.json is a score file that is not the ladder's"),
    ],
)
def test_each_fault_of_contents_is_found(names, fault):
    """Something lacks, is too many, or belongs into no release although it is there."""
    assert DIST["content_faults"](NAMES, expected=NAMES) == []
    assert fault in DIST["content_faults"](names, expected=NAMES)


def test_each_fault_of_metadata_is_found():
    """What the standard refuses, and what pyproject.toml says otherwise."""
    (fault,) = DIST["metadata_faults"](METADATA.format(licence="No such licence").encode(), version="9.9")
    assert "license-expression" in fault
    faults = DIST["metadata_faults"](METADATA.format(licence="MIT").encode(), version="1.0")
    assert "metadata: version is '9.9', expected '1.0'" in faults
    assert any(fault.startswith("metadata: licence is 'MIT'") for fault in faults)
    assert any(fault.startswith("metadata: licence files is ['LICENSE'], expected ['LICENSE', ") for fault in faults)


def test_tables_are_compared_byte_by_byte(tmp_path):
    """A file in one folder only, and one byte, are differences."""
    for folder, texts in (
        ("a", {"same": "1", "other": "1.0", "one": ""}),
        ("b", {"same": "1", "other": "1", "two": ""}),
    ):
        (tmp_path / folder).mkdir()
        for name, text in texts.items():
            (tmp_path / folder / name).write_text(text)
    assert DIST["differing"](tmp_path / "a", tmp_path / "b") == ["one", "other", "two"]


def test_an_interpreter_that_does_not_start_is_passed_over(tmp_path, monkeypatch):
    """A shim on the PATH that fails, then one that pyenv installed."""
    shim, real = tmp_path / "bin" / "python3.99", tmp_path / "versions" / "3.99.1" / "bin" / "python3.99"
    for path, status in ((shim, 127), (real, 0)):
        path.parent.mkdir(parents=True)
        path.write_text(f"#!/bin/sh\nexit {status}\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", str(shim.parent), prepend=os.pathsep)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert DIST["find_python"]("3.99") == str(real)
    assert DIST["find_python"]("3.98") is None


def test_version_and_date_agree_everywhere():
    """The package, the citation and the newest section of the changelog name one release."""
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    newest, date = re.search(
        r"^## (\S+) - (\d{4}-\d\d-\d\d)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE
    ).groups()
    assert re.search(r"^version: (.+)$", citation, re.MULTILINE)[1] == newest == bigbench_meta.__version__
    assert re.search(r'^date-released: "(.+)"$', citation, re.MULTILINE)[1] == date


def test_a_change_is_one_line():
    """Entries of the changelog do not wrap; nothing stands in a section without version and date."""
    lines = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith(" ")] == []
    headings = [line for line in lines if line.startswith("## ")]
    assert all(re.fullmatch(r"## \d+\.\d+\.\d+ - \d{4}-\d\d-\d\d", line) for line in headings[1:])
    assert re.fullmatch(r"## (Unreleased|\d+\.\d+\.\d+ - \d{4}-\d\d-\d\d)", headings[0])


def test_git_ignores_what_commands_write_by_default():
    """Every default of `--out`, the folder of the README's example, and the folder of `make dist`."""
    options = [option for command in main.commands.values() for option in command.params if "--out" in option.opts]
    outputs = {
        str(option.get_default(click.Context(main))) for option in options if isinstance(option.default, (str, Path))
    }
    assert {"bigbench-meta-out", "bigbench-meta-theory", "bigbench-meta-rescored"} <= outputs
    outputs |= {"simulated", "dist"}
    command = ["git", "-C", ROOT, "check-ignore", *(f"{name}/file" for name in sorted(outputs))]
    ignored = subprocess.run(command, check=False, capture_output=True, text=True).stdout.split()
    assert ignored == [f"{name}/file" for name in sorted(outputs)]
