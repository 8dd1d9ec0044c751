"""What shifts of the models do to an odds ratio: by hand, and coverage under shifts that groups share and do not share."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bigbench_meta.analysis.tasks.common_shift import Profiles, correlations
from bigbench_meta.analysis.tasks.contrast_shift import Groups, design_effect, with_shift
from bigbench_meta.analysis.tasks.odds import conditional_odds_ratio

X = np.log10([2e6, 16e6, 53e6, 125e6, 244e6, 422e6, 1e9, 2e9, 4e9, 8e9, 27e9, 128e9])
MC, EXACT = "multiple_choice_grade", "exact_str_match"


def profiles_of(residuals, n_inside, *, metrics=(EXACT, MC)):
    """Profiles whose first tasks are on the first metric."""
    n = len(residuals)
    names = np.array([metrics[0]] * n_inside + [metrics[1]] * (n - n_inside))
    return Profiles(np.arange(1.0, 13.0), residuals, np.array([f"t{i}" for i in range(n)]), names, 0)


def row(**values):
    """A row of the concentration table."""
    base = {"source": "curves", "comparison": "F, 3 shots, E > 5: between tasks", "effect": "conditional odds ratio",
            "metrics": EXACT, "against": "", "strata": "", "effective_in": 6.0, "effective_out": 6.0,
            "estimate": 4.0, "low": 2.0, "high": 8.0}  # fmt: skip
    return base | values


def test_the_design_effect_is_the_squared_length_of_the_contrast():
    """1 + (r_a (1 - V_a) + r_b (1 - V_b) - 2 r_ab) / (V_a + V_b) equals |sum c_t u_t|^2 / sum c_t^2, summed task by task."""
    rng = np.random.default_rng(0)
    u = rng.normal(size=(20, 5)) + np.repeat([[2.0], [-1.0]], [8, 12], axis=0)
    u /= np.linalg.norm(u, axis=1)[:, None]
    inside = np.arange(20) < 8
    c = np.where(inside, 1 / 8, -1 / 12)
    direct = float(((c @ u) ** 2).sum() / (c**2).sum())
    own, others, between = correlations(u, inside)
    assert design_effect((own, others), between, sizes=(8, 12)) == pytest.approx(direct)
    assert direct > 2


def test_what_all_tasks_share_cancels():
    """Identical tasks: correlation 1 everywhere and no wider interval; opposite groups: 1 + (5/6 + 5/6 + 2) / (1/3) = 12."""
    one = np.zeros((12, 12))
    one[:, 0] = 1.0
    opposite = one * np.repeat([[1.0], [-1.0]], 6, axis=0)
    table = pd.DataFrame([row()])
    for residuals, factor in ((one, 1.0), (opposite, np.sqrt(12))):
        found = with_shift(table, {("F", 3): profiles_of(residuals, 6)}).iloc[0]
        assert found["shift_basis"] == "estimated"
        assert found["shift_factor"] == pytest.approx(factor)
        assert found["low_with_shift"] == pytest.approx(4 * 0.5**factor)
        assert found["high_with_shift"] == pytest.approx(4 * 2**factor)


def test_groups_that_are_not_measured_are_taken_as_unrelated():
    """Correlation 1 within 40 and 51 tasks, none between: 1 + (2 - 1/40 - 1/51) / (1/40 + 1/51)."""
    one = np.zeros((12, 12))
    one[:, 0] = 1.0
    against = f"neither {MC} nor {EXACT}"
    claims = row(
        source="claims", comparison="hard against soft", against=against, effective_in=40.0, effective_out=51.0
    )
    found = with_shift(pd.DataFrame([claims]), {("BIG-G T=0", 3): profiles_of(one, 6)}).iloc[0]
    assert found["shift_basis"] == "unrelated"
    share = 1 / 40 + 1 / 51
    assert found["shift_factor"] == pytest.approx(np.sqrt(1 + (2 - share) / share))


@pytest.mark.parametrize(
    ("change", "families"),
    [
        ({"strata": "task"}, ["F"]),
        ({"effect": "effective number of metrics"}, ["F"]),
        ({"comparison": "G, 3 shots, E > 5: between tasks"}, ["F"]),
        ({"source": "claims", "comparison": "claimed against all other tasks"}, ["F"]),
        ({"effective_in": np.nan}, ["F"]),
    ],
)
def test_rows_without_a_factor(change, families):
    """Metrics within a task, no odds ratio, another family, claims about families not measured, nothing compared."""
    one = np.ones((12, 12)) / np.sqrt(12)
    found = with_shift(pd.DataFrame([row() | change]), {(name, 3): profiles_of(one, 6) for name in families})
    assert found["shift_factor"].isna().all()
    assert found["shift_basis"].tolist() == [""]


def test_groups_of_metrics():
    """A metric, a class of the registry, neither of two, and everything else."""
    names, classes = np.array(["a", "b", "c", "d"]), np.array(["discontinuous", "linear", "nonlinear", "unknown"])

    def members(inside, outside):
        return [each.tolist() for each in Groups(inside, outside).member(names, classes)]

    assert members("a", "neither a nor b") == [[True, False, False, False], [False, False, True, True]]
    assert members("all discontinuous metrics", "all linear metrics + all nonlinear metrics") == [
        [True, False, False, False],
        [False, True, True, False],
    ]
    assert members("a + d", "") == [[True, False, False, True], [False, True, True, False]]


@pytest.mark.parametrize(
    ("kind", "least", "most"), [("none", 1.0, 1.15), ("common", 1.0, 1.15), ("differing", 1.6, 1.85)]
)
def test_intervals_cover_under_both_kinds_of_shift(kind, least, most):
    """89 and 31 tasks, r = .05: the odds ratio 1 is covered at 95% (400 tables, 3 errors); a common shift widens nothing.

    Cases are those whose last step exceeds a threshold, which a shift of the last models moves. By hand: shifts that differ have
    D = 1 + .05 (2 - V) / V = 3.25 with V = 1/89 + 1/31, so a factor of 1.80; without it the interval covers below 90%.
    """
    rng = np.random.default_rng({"none": 1, "common": 2, "differing": 3}[kind])
    size, other, trials, tau = 89, 31, 400, np.sqrt(0.05 / 0.95)
    basis, _ = np.linalg.qr(np.vander(X - X.mean(), 3))
    inside = np.arange(size + other) < size
    covered, plain, factors = 0, 0, []
    for _ in range(trials):
        shift = rng.normal(0, tau, (2, 12)) * (kind != "none")
        if kind == "common":
            shift[1] = shift[0]
        y = rng.normal(size=(size + other, 12)) + shift[(~inside).astype(int)]
        case = y[:, -1] - y[:, -2] > 1.2
        residual = y - (y @ basis) @ basis.T
        profiles = profiles_of(residual / np.linalg.norm(residual, axis=1)[:, None], size)
        odds = conditional_odds_ratio([[(case & inside).sum(), (case & ~inside).sum()],
                                       [(~case & inside).sum(), (~case & ~inside).sum()]])  # fmt: skip
        table = pd.DataFrame([row(effective_in=float(size), effective_out=float(other), estimate=odds.estimate,
                                  low=odds.low, high=odds.high)])  # fmt: skip
        found = with_shift(table, {("F", 3): profiles}).iloc[0]
        factors.append(found["shift_factor"])
        plain += odds.low <= 1 <= odds.high
        covered += found["low_with_shift"] <= 1 <= found["high_with_shift"]
    assert covered / trials >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / trials)
    assert least <= np.mean(factors) <= most
    if kind == "differing":
        assert plain / trials < 0.90
