"""The simulated error rates of the three predictions: the committed table, and a few simulations of it again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bigbench_meta
from bigbench_meta.experiments.predictions.error_rates import (
    CELLS,
    COLUMNS,
    drawn_outputs,
    exact_coverage,
    token_success,
    validate,
)

TABLE = Path(bigbench_meta.__file__).parent / "data" / "predictions_validation.csv"


@pytest.fixture(scope="module")
def table():
    """The committed table."""
    return pd.read_csv(TABLE, keep_default_na=False, na_values=[""], dtype={"prediction": str, "truth": str})


def test_the_table_has_every_cell(table):
    """No cell of the grid is missing and no number is without its simulations and error."""
    assert list(table.columns) == COLUMNS
    found = set(table[["prediction", "truth", "points", "items", "length"]].itertuples(index=False, name=None))
    assert {tuple(cell) for cell in CELLS} <= found
    simulated = table[table["truth"].notna()]  # the rows of exact coverage are sums, not simulations
    assert (simulated["simulations"] > 0).all()
    assert (simulated["standard_error"] > 0).all()


def test_no_test_exceeds_its_level(table):
    """Every committed rate of false rejection is at its level or below, up to three Monte Carlo errors."""
    levels = table[table["quantity"].str.contains("<=")]
    assert len(levels) == 60  # three levels: one p in 2 cells, four in 3 cells, two in 3 cells
    error = np.sqrt(levels["expected"] * (1 - levels["expected"]) / levels["simulations"])
    assert (levels["found"] <= levels["expected"] + 3 * error).all()


def test_intervals_cover(table):
    """Every committed coverage of a 95% interval is 95% or more, up to three Monte Carlo errors."""
    intervals = table[table["quantity"].str.startswith("95%")]
    error = np.sqrt(0.05 * 0.95 / intervals["simulations"].where(intervals["simulations"] > 0))
    assert (intervals["found"] >= 0.95 - 3 * error.fillna(0)).all()


def found(table, prediction, quantity, truths):
    """Committed shares of one quantity under some truths."""
    own = table[(table["prediction"] == prediction) & (table["quantity"] == quantity)]
    return own.loc[own["truth"].isin(truths), "found"]


LAWS = ["law -0.2", "law -0.34", "law -1.5"]


@pytest.mark.parametrize(
    ("prediction", "quantity", "truths"),
    [
        ("1", "1a not confirmed", LAWS),
        ("1", "1b not explained", LAWS),
        ("1", "1c not confirmed", LAWS),
        ("2", "not confirmed", LAWS),
        ("3", "not confirmed", ["law"]),
        ("3a", "not confirmed", LAWS),
    ],
)
def test_the_papers_model_is_seldom_turned_down(table, prediction, quantity, truths):
    """Data of the paper's own model are turned down in at most one case of ten, in every part and cell."""
    shares = found(table, prediction, quantity, truths)
    assert len(shares) >= 3
    assert shares.max() <= 0.1


def test_true_steps_are_not_explained_away(table):
    """Where token success itself jumps, or tokens fail together, at most one case of ten is called explained."""
    shares = found(table, "1", "1b explained", ["step", "small step", "law and step", "together"])
    assert len(shares) >= 12
    assert shares.max() <= 0.1
    assert found(table, "1", "1c confirmed", ["step", "small step", "law and step"]).max() <= 0.1
    assert found(table, "3a", "confirmed", ["together"]).max() <= 0.1


def test_the_judgements_have_power(table):
    """With 1,000 items steps of .3 to .95 are found, and the model's own data explained, in at least nine cases of ten."""
    large = table[table["items"] == 1000]
    assert found(large, "1", "1b not explained", ["step", "together"]).min() >= 0.9
    five = large[large["length"] == 5]
    assert found(five, "1", "1b explained", LAWS).min() >= 0.9
    assert found(large, "3a", "confirmed", LAWS).min() >= 0.9


def test_exact_coverage_by_hand():
    """Two items, success one half: the interval of one hit is .013 to .987, of none 0 to .842, so all hold .5."""
    assert exact_coverage(items=2, success=0.5) == pytest.approx(1.0)
    assert exact_coverage(items=2, success=0.9) == pytest.approx(0.81 + 0.18)


def test_a_cell_comes_out_again(table):
    """Simulations of one cell, made again with other seeds, agree with the committed rates within their errors."""
    cell = next(cell for cell in CELLS if cell.prediction == "3" and cell.truth == "law" and cell.items == 100)
    again = validate(cell, seed=7, simulations=40).set_index("quantity")
    keys = ["prediction", "truth", "points", "items", "length"]
    own = table[(table[keys] == pd.Series(tuple(cell), index=keys)).all(axis=1)].set_index("quantity")
    error = np.hypot(again["standard_error"], own["standard_error"].reindex(again.index))
    assert ((again["found"] - own["found"].reindex(again.index)).abs() <= 4 * error).all()


def test_drawn_outputs_follow_their_truth():
    """Tokens right with the planted share; distance below the count of wrong ones, since Levenshtein forgives shifts."""
    rng = np.random.default_rng(0)
    scale, success = token_success("law -0.34", 4)
    items = drawn_outputs(scale, success, length=5, items=2000, rng=rng)
    shares = items.groupby("scale")["right"].mean() / 5
    np.testing.assert_allclose(shares, success, atol=0.02)
    assert (items["distance"] <= 5 - items["right"]).all()
    assert items["hit"].eq(items["right"].eq(5)).all()
