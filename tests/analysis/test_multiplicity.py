"""The Benjamini-Hochberg correction against hand computation."""

from __future__ import annotations

import numpy as np

from bigbench_meta.analysis.multiplicity import q_values


def test_q_values_by_hand():
    """Benjamini-Hochberg by hand: p = .01, .02, .03 of three tests give q = .03 each; NaN and outsiders do not count."""
    q = q_values(np.array([0.03, 0.01, np.nan, 0.02, 0.0001]), np.array([True, True, True, True, False]))
    np.testing.assert_allclose(q[[0, 1, 3]], 0.03)
    assert np.isnan(q[[2, 4]]).all()


def test_no_defined_p_value_has_no_q_value():
    """A family without a test has no q-values, whatever else is in the table."""
    assert np.isnan(q_values(np.array([np.nan, 0.01]), np.array([True, False]))).all()
    assert q_values(np.array([])).shape == (0,)
