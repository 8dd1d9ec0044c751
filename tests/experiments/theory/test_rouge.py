"""ROUGE-L by simulation: exact cases by hand, and no sharper than token edit distance."""

from __future__ import annotations

import numpy as np
import pytest

from bigbench_meta.experiments.theory.rouge import LENGTH, rouge_table


@pytest.fixture(scope="module")
def table():
    """One simulation."""
    return rouge_table(rng=np.random.default_rng(0))


def test_ends_by_hand(table):
    """No error: 1. Nothing but errors: the longest chance subsequence of 20 of 1,000 words, about one word in three outputs."""
    assert table.loc[table["token_error"] == 0, "rouge_l"].eq(1).all()
    one = table[(table["token_error"] == 1) & (table["references"] == 1)]["rouge_l"]
    assert one.between(0.2 / LENGTH, 0.8 / LENGTH).all()


def test_it_follows_one_minus_the_error(table):
    """With one reference within .03 whatever the dependence of errors, while accuracy of independent tokens is (1 - error)^20."""
    assert table.loc[table["references"] == 1, "departure"].abs().max() < 0.03
    assert table["departure"].abs().max() < 0.08
    independent = table[(table["errors"] == "independent") & (table["token_error"] == 0.1)]
    np.testing.assert_allclose(independent["accuracy"], 0.9**20, atol=0.05)


def test_it_agrees_with_the_rouge_score_package():
    """Longest common subsequence over the length is the F score of the rouge-score package, for outputs of equal length."""
    scorer = pytest.importorskip("rouge_score.rouge_scorer").RougeScorer(["rougeLsum"])
    from rapidfuzz.distance import LCSseq

    rng = np.random.default_rng(1)
    for _ in range(20):
        first, second = ([f"w{i}" for i in rng.integers(0, 6, 12)] for _ in range(2))
        expected = scorer.score(" ".join(first), " ".join(second))["rougeLsum"].fmeasure
        assert LCSseq.similarity(first, second) / 12 == pytest.approx(expected)
