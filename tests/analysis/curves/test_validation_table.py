"""The committed table of the validation is of the code as it is, and its cells are drawn independently."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

import bigbench_meta

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The script that runs the validation."""
    spec = importlib.util.spec_from_file_location("validate_curves", ROOT / "scripts" / "maintenance" / "validate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the digest is of the syntax tree as Python 3.11 gives it")
def test_the_rows_of_curves_are_of_this_code(script: ModuleType) -> None:
    """A change of the analysis of curves, comments apart, asks for another run of the validation."""
    table = pd.read_csv(Path(bigbench_meta.__file__).parent / "data" / "validation.csv", keep_default_na=False)
    assert set(table.loc[table["n_scales"] != "", "code"]) == {script.code_digest()}


def test_every_cell_has_a_generator_of_its_own(script: ModuleType) -> None:
    """Cells and batches share no numbers: their first normal deviates are all different and hardly correlated."""
    drawn = np.array([script.generator(cell, batch).normal(size=200) for cell in script.cells() for batch in (0, 1)])
    assert len(np.unique(drawn[:, 0])) == len(drawn)
    correlation = np.corrcoef(drawn)[np.triu_indices(len(drawn), 1)]
    assert np.abs(correlation).max() < 6 / np.sqrt(200)
