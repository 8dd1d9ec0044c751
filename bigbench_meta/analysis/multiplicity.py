"""Many tests at once: the Benjamini-Hochberg correction, for every table that has p-values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]


def q_values(p: Vector | pd.Series[float], family: NDArray[np.bool_] | None = None) -> Vector:
    """Return Benjamini-Hochberg q-values over one family of tests: the defined p-values of ``family``.

    Parameters
    ----------
    p : array or Series of shape (n,)
        p-values; NaN where there was no test.
    family : array of bool of shape (n,), optional
        Which of them are corrected together; all by default.

    Returns
    -------
    array of shape (n,)
        NaN outside the family and where p is NaN. The q-value of a single test is its p-value.

    References
    ----------
    Benjamini, Y., Hochberg, Y. (1995). Controlling the false discovery rate. JRSS B 57.

    Examples
    --------
    >>> q_values(np.array([0.01, 0.04, np.nan, 0.5]), np.array([True, True, True, False]))
    array([0.02, 0.04,  nan,  nan])
    """
    values = np.asarray(p, np.float64)
    tested = np.isfinite(values) if family is None else np.isfinite(values) & family
    q = np.full(len(values), np.nan)
    if tested.any():
        from scipy.stats import false_discovery_control

        q[tested] = false_discovery_control(values[tested], method="bh")
    return q
