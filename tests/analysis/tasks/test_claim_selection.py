"""E-values against the published formula and its worked example."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bigbench_meta.analysis.tasks.claim_selection import e_value, with_selection


def test_published_example():
    """VanderWeele and Ding 2017: a risk ratio of 3.9 (1.8 to 8.7) has the E-values 7.26 and 3.0."""
    assert e_value(3.9, share_of_cases=0.01) == pytest.approx(7.26, abs=0.005)
    assert e_value(1.8, share_of_cases=0.01) == pytest.approx(3.0, abs=0.005)
    assert e_value(1 / 3.9, share_of_cases=0.01) == pytest.approx(e_value(3.9, share_of_cases=0.01))
    assert np.isnan(e_value(np.nan, share_of_cases=0.5))


def test_rows_of_claims():
    """A third are cases: the root of 9 and of 4 is taken, 3 + sqrt(6) and 2 + sqrt(2); 1 inside, or no limit, needs none."""
    base = {"source": "claims", "effect": "conditional odds ratio", "cases": 67, "base": 209}
    rows = [
        base | {"estimate": 9.0, "low": 4.0, "high": 30.0},
        base | {"estimate": 9.0, "low": 0.9, "high": 30.0},
        base | {"estimate": 1 / 9.0, "low": 0.01, "high": 0.25},
        base | {"estimate": 9.0, "low": np.nan, "high": 30.0},
        base | {"estimate": np.nan, "low": 4.0, "high": np.nan},
        base | {"source": "curves", "estimate": 9.0, "low": 4.0, "high": 30.0},
    ]
    found = with_selection(pd.DataFrame(rows))
    nan = float("nan")
    strong, weak = 3 + np.sqrt(6), 2 + np.sqrt(2)
    assert found["e_value"].tolist() == pytest.approx([strong, strong, strong, strong, nan, nan], nan_ok=True)
    assert found["e_value_limit"].tolist() == pytest.approx([weak, 1.0, weak, 1.0, nan, nan], nan_ok=True)
