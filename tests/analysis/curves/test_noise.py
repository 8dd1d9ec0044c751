"""Item noise, overdispersion over tasks, and where the number of items comes from."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bigbench_meta.analysis.curves.items import ItemTable, on_grid
from bigbench_meta.analysis.curves.noise import Noise, Residual, beta_binomial, pooled_overdispersion, side_by_side
from bigbench_meta.errors import AnalysisError


@pytest.mark.parametrize("factor", [1.0, 5.0])
def test_beta_binomial_has_the_variance_it_promises(factor: float) -> None:
    """Mean p and variance factor * p (1 - p) / n, within four Monte Carlo errors (moments of the beta-binomial)."""
    rng = np.random.default_rng(1)
    drawn = beta_binomial(np.full((40000, 1), 0.3), n_items=100, factor=np.full((40000, 1), factor), rng=rng)[:, 0]
    expected = factor * 0.3 * 0.7 / 100
    assert drawn.mean() == pytest.approx(0.3, abs=4 * np.sqrt(expected / 40000))
    assert drawn.var() == pytest.approx(expected, rel=0.05)


def residuals(rho: np.ndarray, n: int, dof: float, rng: np.random.Generator) -> list[Residual]:
    """Residual sums of squares of tasks with known overdispersion: factor times chi2, by hand."""
    factor = 1 + (n - 1) * rho
    return [Residual(f"t{i}", n, float(f * rng.chisquare(dof)), dof, dof) for i, f in enumerate(factor)]


def test_overdispersion_of_a_mixture_is_recovered() -> None:
    """Four tasks in five without, one in five with rho .02: the share without and the mean come back."""
    rng = np.random.default_rng(2)
    rho = np.where(np.arange(200) % 5 == 0, 0.02, 0.0)
    found = pooled_overdispersion(residuals(rho, 500, 9.0, rng), kind="items", rng=rng)
    assert found is not None
    assert found.mean == pytest.approx(rho.mean(), rel=0.35)
    assert found.low < rho.mean() < found.high
    assert found.masses[found.grid < 0.001].sum() == pytest.approx(0.8, abs=0.1)


def test_scatter_without_items_needs_tasks() -> None:
    """Four tasks do not tell the scatter of a metric without items; forty do, within a quarter."""
    rng = np.random.default_rng(3)
    few = [Residual(f"t{i}", np.nan, 0.01, 9.0, 9.0) for i in range(4)]
    assert pooled_overdispersion(few, kind="constant", rng=rng) is None
    many = [Residual(f"t{i}", np.nan, float(0.0004 * rng.chisquare(9)), 9.0, 9.0) for i in range(40)]
    found = pooled_overdispersion(many, kind="constant", rng=rng)
    assert found is not None
    assert found.mean == pytest.approx(0.0004, rel=0.25)


def test_tasks_without_a_residual_tell_no_scatter() -> None:
    """Four tasks whose curves are met exactly (no degrees of freedom) do not make a fifth one enough; five with one do."""
    exact = [Residual(f"e{i}", np.nan, 0.0, 9.0, 0.0) for i in range(4)]
    scattered = [Residual(f"t{i}", np.nan, 0.01, 9.0, 9.0) for i in range(5)]
    rng = np.random.default_rng(3)
    assert pooled_overdispersion([*exact, *scattered[:1] * 4], kind="constant", rng=rng) is None
    found = pooled_overdispersion([*exact, *scattered], kind="constant", rng=rng)
    assert found is not None
    assert found.n_tasks == 5


def test_one_task_has_no_interval_over_tasks() -> None:
    """Two curves of one task: an estimate, and no interval, even beside a task whose curve says nothing."""
    curves = [Residual("t", 200, 9.0, 9.0, 9.0)] * 2 + [Residual("exact", 200, 0.0, 9.0, 0.0)]
    found = pooled_overdispersion(curves, kind="items", rng=np.random.default_rng(0))
    assert found is not None
    assert found.n_tasks == 1
    assert np.isfinite(found.mean)
    assert np.isnan([found.low, found.high]).all()


def test_subtasks_of_one_task_weigh_as_one() -> None:
    """A task with a hundred noisy subtasks does not outweigh twenty quiet tasks."""
    quiet = [Residual(f"t{i}", 500, 9.0, 9.0, 9.0) for i in range(20)]
    noisy = [Residual("giant", 500, 90.0, 9.0, 9.0)] * 100
    found = pooled_overdispersion(quiet + noisy, kind="items", rng=np.random.default_rng(0))
    assert found is not None
    assert found.masses[found.grid > 0.005].sum() < 0.25


def test_scale_moves_from_the_family_to_the_curve() -> None:
    """With many degrees of freedom phi is the curve's own; with few it is the family's mean."""
    noise = Noise("items", 100, np.array([1.0, 10.0]), np.array([0.5, 0.5]))
    assert float(side_by_side([noise]).scale(np.array([1000.0]), 100.0)[0]) == pytest.approx(10.0, rel=1e-3)
    assert float(side_by_side([noise]).scale(np.array([100.0]), 100.0)[0]) == pytest.approx(1.0, rel=1e-3)
    assert float(side_by_side([noise]).scale(np.array([0.001]), 0.001)[0]) == pytest.approx(5.5, rel=0.01)


def test_critical_square_is_chi_square_without_overdispersion() -> None:
    """With phi = 1 the 95% points are those of chi2 on one and two degrees of freedom (3.84, 5.99)."""
    noise = Noise("items", 100, np.ones(1), np.ones(1))
    assert side_by_side([noise]).critical_square(np.array([5.0]), 9.0, 0.95)[0] == pytest.approx(3.8415, abs=1e-3)
    assert side_by_side([noise]).critical_square(np.array([5.0]), 9.0, 0.95, parameters=2)[0] == pytest.approx(
        5.9915, abs=1e-3
    )


def test_items_given_by_the_user_go_first() -> None:
    """The most specific row of the user wins; a missing subtask or family holds for all."""
    given = pd.DataFrame({"task": ["navigate", "navigate"], "family": ["BIG-G T=0", None], "n_items": [200, 50]})
    table = ItemTable(given)
    score = np.array([0.5, 0.505])
    assert table.look_up("navigate", "navigate", "BIG-G T=0", score=score) == (200.0, "given")
    assert table.look_up("navigate", "navigate", "PaLM", score=score) == (50.0, "given")


def test_packaged_items_are_checked_against_the_scores() -> None:
    """play_dialog 128b scored 647/1024 (published); a score off the k/1024 grid contradicts the packaged number."""
    table = ItemTable(None)
    task = "play_dialog_same_or_different"
    assert on_grid(np.array([0.6318359375]), 1024)
    assert table.look_up(task, task, "BIG-G T=0", score=np.array([0.6318359375])) == (1024.0, "packaged")
    found = table.look_up(task, task, "BIG-G T=0", score=np.array([1 / 3, 0.2]))
    assert np.isnan(found.n_items)
    assert found.source == "contradicted by the scores"
    assert table.look_up(task, task, "PaLM", score=np.array([0.5])).source == "unknown"


def test_malformed_items_say_what_is_missing() -> None:
    """A frame without the number, and a repeated row, are refused by name."""
    with pytest.raises(AnalysisError, match="n_items"):
        ItemTable(pd.DataFrame({"task": ["a"]}))
    with pytest.raises(AnalysisError, match="repeat"):
        ItemTable(pd.DataFrame({"task": ["a", "a"], "n_items": [5, 6]}))
