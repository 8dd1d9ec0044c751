"""The examples in docstrings run and give what they say."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "bigbench_meta"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if ">>>" in path.read_text(encoding="utf-8"))


def _name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_examples_run(path, capsys):
    """Every line after >>> of a module prints what stands below it."""
    if "import torch" in path.read_text(encoding="utf-8"):
        pytest.importorskip("torch")
    found = doctest.testmod(import_module(_name(path)), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.failed == 0, capsys.readouterr().out
