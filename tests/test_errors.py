"""What an error tells a user to do works."""

from __future__ import annotations

import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path

import pandas as pd
import pytest

from bigbench_meta.errors import MissingExtraError, missing_extra
from bigbench_meta.export.query import sql

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]


@pytest.mark.parametrize("extra", sorted(EXTRAS.keys() - {"test", "dev"}))
def test_a_missing_extra_names_its_packages(extra):
    """The command holds every requirement of the extra, quoted for a shell, and no name that no index knows."""
    said = str(missing_extra("this needs more", extra))
    assert said.startswith("this needs more; install what is missing with: pip install ")
    assert sorted(re.findall(r"'([^']+)'", said)) == sorted(EXTRAS[extra])
    assert "bigbench" not in said


def test_without_an_installation_the_checkout_is_named(monkeypatch):
    """Run from a checkout that is on the path only, there are no metadata to read."""

    def nothing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.requires", nothing)
    assert str(missing_extra("SQL needs DuckDB", "sql")).endswith(
        "pip install '.[sql]', in a checkout of bigbench_meta"
    )


def test_sql_without_duckdb_says_how_to_get_it(monkeypatch):
    """The error of the query itself, with the requirement as pyproject.toml has it."""
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(MissingExtraError, match=re.escape("pip install 'duckdb>=1.1'")):
        sql({"curves": pd.DataFrame({"task": ["a"]})}, "SELECT 1")


def test_nothing_tells_to_install_the_package_by_name_from_an_index():
    """The package is on no index: pages and messages name a checkout, a wheel or the packages needed."""
    places = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "notebooks").glob("*.ipynb")]
    places += (ROOT / "bigbench_meta").rglob("*.py")
    by_name = re.compile(r"pip install [^\n]*bigbench[-_]meta(?!-[\d.]+[-\w.]*\.whl)")
    assert [path.name for path in places if by_name.search(path.read_text(encoding="utf-8"))] == []
