"""What users have at hand is taken everywhere alike: Results, frames of six columns, seeds; all else is refused in one line."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

import bigbench_meta as bm
from bigbench_meta.errors import AnalysisError, BigbenchMetaError, LoadError, TableError
from bigbench_meta.seeds import as_generator

SIZES = [1e6, 1e7, 1e8, 1e9, 1e10]


@pytest.fixture(scope="module")
def own() -> pd.DataFrame:
    """Six columns: a straight line (E = L = M - 1 = 4 by the definition) and a step."""
    shapes = {"line": [0.1, 0.2, 0.3, 0.4, 0.5], "step": [0.1, 0.1, 0.2, 0.1, 0.9]}
    return pd.concat(
        pd.DataFrame(
            {
                "task": task, "metric": "exact_str_match", "family": "mine", "model": [f"m{i}" for i in range(5)],
                "scale": SIZES, "score": scores,
            }
        )
        for task, scores in shapes.items()
    )  # fmt: skip


def test_a_frame_loads_like_the_same_table_in_a_file(own, tmp_path):
    """The rows, counts and problems of a frame are those of its CSV; only the name of the file differs."""
    own.to_csv(tmp_path / "own.csv", index=False)
    of_file, of_frame = bm.load_results(tmp_path / "own.csv"), bm.load_results(own)
    assert of_frame.counts == of_file.counts
    assert of_frame.counts.rows == 10
    assert_frame_equal(of_frame.frame.drop(columns="source_file"), of_file.frame.drop(columns="source_file"))


@pytest.mark.parametrize("dtype", ["float32", "Float64", "float64[pyarrow]"])
def test_the_types_of_a_frame_do_not_matter(own, dtype):
    """Nullable, Arrow and categorical columns are read like any; a missing score is NaN and on record."""
    typed = own.astype({"score": dtype, "task": "category", "model": "string"}).reset_index(drop=True)
    typed.loc[3, "score"] = pd.NA
    loaded = bm.load_results(typed)
    assert loaded.problems["where"].tolist() == ["row 4, column score"]
    assert loaded.frame["score"].dtype == np.float64
    assert np.isnan(loaded.frame.set_index(["task", "scale"]).loc[("line", 1e9), "score"])


def test_scores_are_taken_in_any_form(own):
    """Six columns, Results and its frame give the same curves; a straight line over 5 scales scores 4."""
    results = bm.load_results(own)
    first = bm.score_curves(own)
    assert_frame_equal(first, bm.score_curves(results))
    assert_frame_equal(first, bm.score_curves(results.frame))
    assert first.set_index("task").loc["line", "emergence_score"] == pytest.approx(4)


def test_analysis_takes_a_frame_and_a_seed(own):
    """rng=0 gives what a generator of seed 0 gives, from six columns as from Results."""
    by_seed = bm.analyze(own, rng=0, draws=19, workers=1)
    by_generator = bm.analyze(bm.load_results(own), rng=np.random.default_rng(0), draws=19, workers=1)
    assert_frame_equal(by_seed.curves, by_generator.curves)


def test_simulation_takes_a_seed(tmp_path):
    """The same bytes from a seed as from its generator."""
    for name, rng in (("a", 1), ("b", np.random.default_rng(1))):
        bm.simulate(tmp_path / name, rng=rng, tasks=1)
    files = [
        {p.relative_to(tmp_path / n): p.read_bytes() for p in (tmp_path / n).rglob("*") if p.is_file()} for n in "ab"
    ]
    assert files[0] == files[1]


@pytest.mark.parametrize("rng", [None, True, -1, 0.5, "0", np.random.RandomState(0)])
def test_what_is_no_seed_is_refused(own, rng):
    """No result without a seed, and none from a seed that is rounded or shared."""
    with pytest.raises(AnalysisError, match=r"rng=.*expected a seed.*rng=0"):
        as_generator(rng)
    with pytest.raises(AnalysisError, match=r"rng=.*expected a seed"):
        bm.analyze(own, rng=rng)


def test_integers_of_numpy_are_seeds():
    """Seeds often come out of arrays."""
    assert as_generator(np.int64(3)).integers(10**9) == np.random.default_rng(3).integers(10**9)


@pytest.mark.parametrize("function", [bm.score_curves, lambda given: bm.analyze(given, rng=0)])
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("a path", r"not str; load it with bm\.load_results"),
        (None, r"not NoneType"),
        (pd.DataFrame({"task": ["t"], "score": [0.1]}), r"no column metric, family, model, scale; expected task, "),
        (pd.DataFrame({"task": ["t"], "emergence_score": [3.0]}), r"is a table of curves, which holds no scores"),
    ],
)
def test_what_is_no_table_of_scores_is_refused_in_one_line(function, given, message):
    """The message says what it is, what was expected and what to do."""
    with pytest.raises(TableError, match=message) as caught:
        function(given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (7, r"a int is no source; expected a path or address, a Checkout, or a DataFrame"),
        (pd.DataFrame({"task": ["t"]}), r"this frame: columns metric, family, model, scale, score missing"),
        (pd.DataFrame([[1, 2]], columns=["task", "task"]), r"column task more than once"),
    ],
)
def test_what_is_no_source_is_refused_in_one_line(source, message):
    """So does loading."""
    with pytest.raises(LoadError, match=message):
        bm.load_results(source)


def test_problems_of_a_frame_are_not_silent(own, caplog):
    """A cell that stands for no number costs its row, and a warning says so."""
    odd = own.astype({"score": object}).reset_index(drop=True)
    odd.loc[2, "score"] = "n/a"
    with caplog.at_level(logging.WARNING):
        curves = bm.score_curves(odd)
    assert curves.set_index("task").loc["line", "n_scales"] == 4
    assert "1 problem(s) in this frame, the first at row 3, column score" in caplog.text


def test_every_refusal_is_of_the_package():
    """One base class catches them all."""
    assert issubclass(TableError, BigbenchMetaError)
    assert issubclass(AnalysisError, BigbenchMetaError)
