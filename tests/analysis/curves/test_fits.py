"""The constrained least squares behind every test, against an independent optimiser and hand computation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from bigbench_meta.analysis.curves import compiled, fits
from bigbench_meta.analysis.curves.fits import Levels, best_fit, design, fit_shapes, least_squares
from bigbench_meta.analysis.curves.laws import EXPONENT_TIMES_WIDTH, broken_power_laws, dictionary, logistic, theory

X = tuple(np.linspace(6.3, 11.1, 8).tolist())
UNIT = Levels(0.0, 1.0)


def stacked(levels: Levels) -> Levels:
    """The levels of a curve alone in its stack."""
    return Levels(np.array([levels.low]), np.array([levels.high]))


def by_optimiser(y: np.ndarray, weights: np.ndarray, shape: np.ndarray) -> float:
    """Smallest sum of squares under 0 <= g <= h <= 1 by SLSQP, which knows nothing of closed forms."""
    found = minimize(
        lambda t: weights @ (y - t[0] * (1 - shape) - t[1] * shape) ** 2,
        [0.3, 0.6],
        constraints=[{"type": "ineq", "fun": lambda t: [t[0], t[1] - t[0], 1 - t[1]]}],
        method="SLSQP",
        options={"ftol": 1e-13, "maxiter": 500},
    )
    return float(found.fun)


@pytest.mark.parametrize(("low", "high"), [(0.2, 0.6), (0.02, 0.05), (0.9, 1.0), (0.7, 0.3)])
def test_closed_form_equals_an_optimiser(low: float, high: float) -> None:
    """Inside the levels and on each of their bounds the closed form finds the optimiser's sum of squares."""
    rng = np.random.default_rng(5)
    shapes = dictionary(X).values[::37]
    y = np.clip(np.linspace(low, high, 8) + rng.normal(0, 0.03, 8), 0, 1)
    weights = rng.uniform(50, 400, 8)
    fit = fit_shapes(y[None], plan=design(shapes, weights[None]), levels=stacked(UNIT))
    expected = [by_optimiser(y, weights, shape) for shape in shapes]
    np.testing.assert_allclose(fit.ssr[0], expected, rtol=2e-3, atol=2e-4)
    assert (fit.lower >= 0).all()
    assert (fit.upper <= 1 + 1e-12).all()
    assert (fit.upper >= fit.lower - 1e-12).all()


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.5), (0.4, 1.0), (0.0, 1.0), (0.6, 0.2), (0.0, 0.03)])
@pytest.mark.parametrize("levels", [UNIT, Levels(0.1, 0.55)])
def test_many_curves_at_once_equal_one_at_a_time(low: float, high: float, levels: Levels) -> None:
    """The blocked search over draws and growing prefixes finds what the single fits find, on each bound and on both."""
    rng = np.random.default_rng(6)
    shapes = dictionary(X)
    y = rng.binomial(30, np.linspace(low, high, 8), size=(70, 8)) / 30
    plan = design(shapes.values, np.linspace(60.0, 180.0, 8)[None])
    weights, bounds = plan.weights[0], stacked(levels)
    cuts = (0, 5, shapes.prefix(0.34), len(shapes))
    found = least_squares(y[None], plan=plan, levels=bounds, cuts=cuts)[0]
    winners = best_fit(y[None], plan=plan, levels=bounds)
    for row in range(len(y)):
        fit = fit_shapes(y[[row]], plan=plan, levels=bounds)
        ssr = fit.ssr[0]
        flat = ((y[row] - np.average(y[row], weights=weights)) ** 2 * weights).sum()
        expected = [flat, *(min(flat, ssr[:cut].min()) for cut in cuts[1:])]
        np.testing.assert_allclose(found[row], expected, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(winners.ssr[0, row], ssr.min(), rtol=1e-9, atol=1e-9)
        at = winners.shape[0, row]
        ends = [winners.lower[0, row], winners.upper[0, row]]
        np.testing.assert_allclose(ends, [fit.lower[0, at], fit.upper[0, at]], atol=1e-9)


def test_a_curve_has_its_numbers_whoever_stands_beside_it() -> None:
    """Seven curves of other weights, levels and draws in one stack, and each alone: the same to the last bit."""
    rng = np.random.default_rng(9)
    shapes = dictionary(X)
    y = rng.binomial(40, np.linspace(0.02, 0.9, 7)[:, None, None], size=(7, 39, 8)) / 40
    weights = rng.uniform(20, 300, (7, 8))
    levels = Levels(np.linspace(0, 0.05, 7), np.linspace(1, 0.95, 7))
    cuts = (shapes.prefix(0.34), len(shapes))
    together = least_squares(y, plan=design(shapes.values, weights), levels=levels, cuts=cuts)
    for at in range(7):
        alone = Levels(levels.low[[at]], levels.high[[at]])
        one = least_squares(y[[at]], plan=design(shapes.values, weights[[at]]), levels=alone, cuts=cuts)
        assert one.tobytes() == together[[at]].tobytes()


def test_the_compiled_search_equals_the_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its loop, run here as plain Python, finds the gains of the arrays: inside, on both bounds and cut at both."""
    rng = np.random.default_rng(10)
    values = dictionary(X).values[::29]
    y = rng.binomial(12, np.linspace(0.0, 1.0, 5)[:, None, None] * np.linspace(0.2, 1, 8), size=(5, 20, 8)) / 12
    plan = design(values, rng.uniform(5, 90, (5, 8)))
    levels = Levels(np.zeros(5), np.linspace(0.5, 1.0, 5))
    y = np.minimum(y, levels.high[:, None, None])
    cuts = (len(values) // 2, len(values))
    monkeypatch.setattr(fits, "compiled_search", lambda: None)
    plain, plain_best = least_squares(y, plan=plan, levels=levels, cuts=cuts), best_fit(y, plan=plan, levels=levels)
    monkeypatch.setattr(fits, "compiled_search", lambda: compiled._best_shapes)
    looped, looped_best = least_squares(y, plan=plan, levels=levels, cuts=cuts), best_fit(y, plan=plan, levels=levels)
    np.testing.assert_allclose(looped, plain, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(looped_best.ssr, plain_best.ssr, rtol=1e-12, atol=1e-12)


def test_width_of_the_law_is_1_34_over_the_exponent() -> None:
    """10% and 90% of the paper's law lie 1.34 / |alpha| decades apart (Mirage; 3.9 at 0.34, 17.6 at 0.076)."""
    for exponent, published in ((0.34, 3.9), (0.076, 17.6)):
        width = EXPONENT_TIMES_WIDTH / exponent
        assert width == pytest.approx(published, abs=0.05)
        low = -np.log10(-np.log(0.1)) / exponent
        np.testing.assert_allclose(theory(np.array([low, low + width]), exponent=exponent, x0=0.0), [0.1, 0.9])
    np.testing.assert_allclose(logistic(np.array([-1.0, 0.0, 1.0]), width=2.0, x0=0.0), [0.1, 0.5, 0.9])


def test_shapes_rise_and_smooth_ones_are_a_prefix() -> None:
    """Every shape rises inside [0, 1]; a bound on the exponent keeps exactly the shapes that are wide enough."""
    shapes = dictionary(X)
    assert shapes.values.min() >= 0
    assert shapes.values.max() <= 1
    assert (np.diff(shapes.values, axis=1) >= 0).all()
    kept = shapes.prefix(0.34)
    assert shapes.widths[:kept].min() >= EXPONENT_TIMES_WIDTH / 0.34 * (1 - 1e-6)
    assert shapes.widths[kept:].max() < EXPONENT_TIMES_WIDTH / 0.34
    assert (shapes.widths == 0).sum() == len(X) - 1


def test_broken_power_laws_are_gentle() -> None:
    """Rising, and beyond the scales they are fitted to no steeper than the steepest published exponent allows."""
    shapes = broken_power_laws(X, 7)
    assert len(shapes) > 0
    assert (np.diff(shapes.values, axis=1) >= -1e-12).all()
    steepest = 10 ** (0.34 * (X[-1] - X[-2]))
    growth = np.diff(shapes.values, axis=1)
    spacing = np.diff(X)
    assert (growth[:, -1] / spacing[-1] <= 1.01 * steepest * growth[:, -2] / spacing[-2]).all()
