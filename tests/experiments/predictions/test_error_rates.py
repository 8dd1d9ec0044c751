"""The simulated error rates of the three predictions: the committed table, and a few simulations of it again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bigbench_meta
from bigbench_meta.experiments.predictions.calibrated import effective_items
from bigbench_meta.experiments.predictions.error_rates import (
    CELLS,
    COLUMNS,
    drawn_outputs,
    exact_coverage,
    smooth_success,
    validate,
)

TABLE = Path(bigbench_meta.__file__).parent / "data" / "predictions_validation.csv"


@pytest.fixture(scope="module")
def table():
    """The committed table."""
    return pd.read_csv(TABLE)


def test_the_table_has_every_cell(table):
    """No cell of the grid is missing and no number is without its simulations and error."""
    assert list(table.columns) == COLUMNS
    found = set(table[["prediction", "tokens", "points", "items", "length"]].itertuples(index=False, name=None))
    assert {tuple(cell) for cell in CELLS} <= found
    simulated = table[table["tokens"] != "exact"]
    assert (simulated["simulations"] > 0).all()
    assert (simulated["standard_error"] > 0).all()


def test_no_test_exceeds_its_level(table):
    """Every committed rate of false rejection is at its level or below, up to three Monte Carlo errors."""
    levels = table[table["quantity"].str.contains("<=")]
    assert len(levels) > 60
    error = np.sqrt(levels["expected"] * (1 - levels["expected"]) / levels["simulations"])
    assert (levels["found"] <= levels["expected"] + 3 * error).all()


def test_intervals_cover(table):
    """Every committed coverage of a 95% interval is 95% or more, up to three Monte Carlo errors."""
    intervals = table[table["quantity"].str.startswith("95%")]
    error = np.sqrt(0.05 * 0.95 / intervals["simulations"].where(intervals["simulations"] > 0))
    assert (intervals["found"] >= 0.95 - 3 * error.fillna(0)).all()


def test_true_forms_are_seldom_turned_down(table):
    """Prediction 3 calls a true law not confirmed in at most 15%, and a smooth truth does not confirm prediction 1."""
    assert table.loc[table["quantity"] == "not confirmed", "found"].max() <= 0.15
    assert table.loc[(table["prediction"] == 1) & (table["quantity"] == "confirmed"), "found"].max() <= 0.02


def test_exact_coverage_by_hand():
    """Two items, success one half: the interval of one hit is .013 to .987, of none 0 to .842, so all hold .5."""
    assert exact_coverage(items=2, success=0.5) == pytest.approx(1.0)
    assert exact_coverage(items=2, success=0.9) == pytest.approx(0.81 + 0.18)


def test_a_cell_comes_out_again(table):
    """Simulations of one cell, made again with other seeds, agree with the committed rates within their errors."""
    cell = next(cell for cell in CELLS if cell.prediction == 3 and cell.items == 100)
    again = validate(cell, seed=7, simulations=40).set_index("quantity")
    keys = ["prediction", "tokens", "points", "items", "length"]
    own = table[(table[keys] == pd.Series(tuple(cell), index=keys)).all(axis=1)].set_index("quantity")
    error = np.hypot(again["standard_error"], own["standard_error"].reindex(again.index))
    assert ((again["found"] - own["found"].reindex(again.index)).abs() <= 4 * error).all()


def test_effective_items_of_known_outputs():
    """Independent tokens of 5-token targets are worth 5 items each; tokens that fail together one."""
    rng = np.random.default_rng(0)
    scale, success = smooth_success(6)
    for tokens, worth in (("independent", 5), ("together", 1)):
        items = drawn_outputs(scale, success, length=5, items=2000, tokens=tokens, rng=rng)
        shares = [1 - own["distance"].to_numpy() / 5 for _, own in items.groupby("scale")]
        assert effective_items(shares, length=5.0) == pytest.approx(2000 * worth, rel=0.06)
