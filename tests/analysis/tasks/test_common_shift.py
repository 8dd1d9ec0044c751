"""Common model shift: level without one, power with one, and the effective number of tasks by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bigbench_meta.analysis.tasks.common_shift import _residual, _shift_rows, common_shift, correlations, shift_profiles

X = np.log10([2e6, 16e6, 53e6, 125e6, 244e6, 422e6, 1e9, 2e9, 4e9, 8e9, 27e9, 128e9])


def results(scores, *, metric="multiple_choice_grade") -> pd.DataFrame:
    """RESULTS of one family from an array (task, scale)."""
    tasks, scales = scores.shape
    return pd.DataFrame(
        {
            "task": np.repeat([f"t{i:03d}" for i in range(tasks)], scales),
            "subtask": np.repeat([f"t{i:03d}" for i in range(tasks)], scales),
            "is_aggregate": False,
            "metric": metric,
            "family": "F",
            "shots": 0,
            "is_preferred": True,
            "scale": np.tile(10 ** X[:scales], tasks),
            "score": scores.ravel(),
        }
    )


def simulated(rng, *, shift=0.0, tasks=40):
    """Straight lines of many slopes with binomial noise; the ninth model is off by ``shift`` everywhere."""
    mean = 0.3 + rng.uniform(0, 0.06, (tasks, 1)) * (X - X[0])
    mean[:, 8] += shift
    return rng.binomial(200, mean) / 200


def test_independent_tasks_hold_the_level():
    """Without a common shift both tests reject at 5% at most 5% of the time (600 tables, 3 standard errors)."""
    rng = np.random.default_rng(1)
    rejected = np.zeros(2)
    for _ in range(600):
        profiles = np.array([_residual(X, y) for y in simulated(rng)])
        p_values = [row["p_value"] for row in _shift_rows(10**X, profiles, rng=rng, draws=99)]
        rejected += [p_values[0] <= 0.05, min(p_values[1:]) <= 0.05]
    assert (rejected / 600 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 600)).all()


def test_a_shifted_model_is_found_and_named():
    """A model 0.04 too good on every task is found, at its own scale and with its sign."""
    rng = np.random.default_rng(2)
    table = common_shift(shift_profiles(results(simulated(rng, shift=0.04))), rng=rng, draws=999)
    assert table["p_value"].iloc[0] == 0.001
    worst = table.iloc[1:].sort_values("p_value").iloc[0]
    assert worst["scale"] == pytest.approx(4e9)
    assert worst["mean_residual"] > 0
    assert table["effective_tasks"].iloc[0] < 20


def test_identical_tasks_are_worth_one():
    """Forty copies of one noisy curve: correlation 1, one effective task for a mean at one model."""
    one = simulated(np.random.default_rng(3), tasks=1)
    table = common_shift(shift_profiles(results(np.repeat(one, 40, axis=0))), rng=np.random.default_rng(0), draws=99)
    assert table["mean_correlation"].iloc[0] == pytest.approx(1.0)
    assert table["effective_tasks"].iloc[0] == pytest.approx(1.0)


def test_parabolas_and_incomplete_curves_are_held_out():
    """Exact parabolas leave nothing, a missing score leaves no profile: held out and counted."""
    scores = simulated(np.random.default_rng(4), tasks=10)
    scores[0] = 0.1 + 0.02 * X + 0.001 * X**2
    scores[1, 3] = np.nan
    table = common_shift(shift_profiles(results(scores)), rng=np.random.default_rng(0), draws=99)
    assert (table["n_tasks"].iloc[0], table["held_out"].iloc[0]) == (8, 2)


def test_lower_is_better_is_turned():
    """A Brier score that is too low at one model reads as a model that is too good."""
    rng = np.random.default_rng(5)
    brier = results(1 - simulated(rng, shift=0.05), metric="calibration_multiple_choice_brier_score")
    table = common_shift(shift_profiles(brier), rng=rng, draws=199)
    assert table.set_index("scale")["mean_residual"].iloc[9] > 0


@pytest.mark.parametrize(("tasks", "scales", "reason"), [(40, 5, "fewer_than_6_scales"), (5, 12, "fewer_than_6_tasks")])
def test_too_little_is_refused_with_a_reason(tasks, scales, reason):
    """Few scales or few tasks give one row without a p-value."""
    scores = simulated(np.random.default_rng(6), tasks=tasks)[:, :scales]
    table = common_shift(shift_profiles(results(scores)), rng=np.random.default_rng(0), draws=99)
    assert table["reason"].tolist() == [reason]
    assert table["p_value"].isna().all()


def test_correlations_by_hand():
    """Equal within the first (1), opposite within the second (-1), half between: u, u against (u + v) and its mirror."""
    u = np.array([[1.0, 0.0], [1.0, 0.0], [0.6, 0.8], [-0.6, -0.8], [0.6, 0.8]])
    inside = np.array([True, True, False, False, False])
    # Second: products -1, 1, -1 over the three pairs; between: .6, -.6, .6 twice over six pairs.
    assert correlations(u, inside) == pytest.approx((1.0, -1 / 3, 0.2))
    assert np.isnan(correlations(u[:2], np.array([True, False]))[0])


def test_a_bend_that_claimed_tasks_share_is_found():
    """Twenty of forty tasks bend up at the two largest models: their correlation exceeds the others', p at its smallest."""
    rng = np.random.default_rng(7)
    scores = simulated(rng)
    scores[:20, 10:] = np.minimum(scores[:20, 10:] + 0.15, 1.0)
    profiles = shift_profiles(results(scores))
    claimed = [f"t{i:03d}" for i in range(20)]
    table = common_shift(profiles, claimed=claimed, rng=rng, draws=199)
    row = table[table["group"] == "claimed emergent"].iloc[0]
    assert row["p_value"] == 0.005
    assert row["mean_correlation"] > 0.2
    assert abs(row["correlation_others"]) < 0.1
    nobody = common_shift(profiles, claimed=claimed[:5], rng=rng, draws=19)
    assert not (nobody["group"] == "claimed emergent").any()  # five tasks are too few for a group
