"""What is known about the score and the naive ways of calling a jump, reproduced: published figures with their tolerance."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

FACTS = runpy.run_path(str(Path(__file__).resolve().parents[2] / "scripts" / "maintenance" / "reproduce_facts.py"))


@pytest.fixture(scope="module")
def audited(shared_data: Path, tmp_path_factory: pytest.TempPathFactory):
    """The 89 audited curves of the published bundle."""
    return FACTS["read_audited"](shared_data, cache_dir=tmp_path_factory.mktemp("cache"))


@pytest.mark.real
def test_a_straight_line_calls_the_published_eight_of_89(audited) -> None:
    """The eight tasks named in the literature notes, and no other, lie above a line through eleven sizes at q <= .05."""
    assert len(audited.tasks) == 89
    assert tuple(FACTS["line_surprises"](audited)) == FACTS["PUBLISHED_SURPRISES"]


@pytest.mark.real
def test_the_audit_is_reproduced_and_corrected(audited) -> None:
    """40 flagged and 24 surviving exactly, 17.7 expected within .3; with the items that were scored it falls, flags stay."""
    of_task = FACTS["audit"](audited, n_items=audited.n_examples)
    of_items = FACTS["audit"](audited, n_items=audited.n_items)
    assert (of_task["flagged"], of_task["survive the look-elsewhere correction"]) == (40, 24)
    assert of_task["expected by chance"] == pytest.approx(17.7, abs=0.3)
    assert of_items["flagged"] == 40
    assert 16.5 < of_items["expected by chance"] < of_task["expected by chance"]
    assert (audited.n_items < audited.n_examples).sum() >= 16


def test_chance_alone_flags_as_often_as_simulation_says() -> None:
    """The exact expectation of flags under chance equals a simulation of 4,000 curves of 12 scales and 60 items."""
    rng = np.random.default_rng(1)
    y = rng.binomial(60, 0.3, size=(4000, 12)) / 60
    flagged = (np.abs(y[:, :6] - 0.3) <= 0.05 + 1e-9).any(axis=1) & (y.max(axis=1) >= 0.4 - 1e-9)
    scales = np.geomspace(1e6, 1e11, 12)
    one = np.ones(1)
    curve = FACTS["Curves"](["t"], scales, y[:1], 60 * one, 60 * one, 0.3 * one)
    assert FACTS["audit"](curve, n_items=60 * one)["expected by chance"] == pytest.approx(flagged.mean(), abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("cell", list(FACTS["PUBLISHED_NULL"]))
def test_every_row_of_the_null_of_the_score(cell: tuple[int, int]) -> None:
    """All nine rows by 100,000 draws: quantiles to the digit printed or one step of the discrete score, shares to 4 errors."""
    published, ours = FACTS["PUBLISHED_NULL"][cell], FACTS["null_of_the_score"](*cell, draws=100_000)
    for theirs, value in zip(published[:5], ours[:5], strict=True):
        assert value == pytest.approx(theirs, abs=0.1 + 0.07 * theirs if np.isfinite(theirs) else 0)
    for theirs, value in zip(published[5:], ours[5:], strict=True):
        assert value == pytest.approx(theirs, abs=4 * np.sqrt(2 * max(theirs, 1e-4) / 100_000) + 5e-4)
