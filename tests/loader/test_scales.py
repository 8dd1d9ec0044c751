"""A model with several scales is on record wherever its files lie; several models of one scale are named in a note."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from score_files import document, entry, model_named, put

from bigbench_meta import score_curves
from bigbench_meta.loader import load_results
from bigbench_meta.loader.scales import models_of_one_scale, models_of_several_scales

HEAD = "task,metric,family,model,scale,score\n"
PLACE = "$.model.flop_matched_non_embedding_params"


def with_scale(name: str, scale: str) -> str:
    return model_named(name).replace(
        '"flop_matched_non_embedding_params": ', f'"flop_matched_non_embedding_params": {scale}, "x": '
    )


@pytest.fixture
def table(tmp_path):
    """A function that writes a table of results."""

    def write(text: str):
        path = tmp_path / "mine.csv"
        path.write_text(HEAD + text)
        return path

    return write


def test_a_typing_error_in_one_task(tmp_path):
    """Two tasks, the model 8b with 8e9 in one file and 80e9 in another: one problem, all rows, whichever way it is loaded."""
    for task, scale in (("a", "8000000000"), ("b", "80000000000"), ("c", "8000000000")):
        put(tmp_path, document(entry("s"), task=task, model=with_scale("8b", scale)), task=task, name="scores_8b.json")
        put(
            tmp_path,
            document(entry("s"), task=task, model=with_scale("1b", "1000000000")),
            task=task,
            name="scores_1b.json",
        )
    for cached in (False, False, True, True):
        results = load_results(tmp_path, cache_dir=tmp_path / "cache", use_cache=cached)
        problem = results.problems.squeeze()
        assert problem["file"].endswith("b/results/scores_8b.json")
        assert problem["where"] == PLACE
        assert problem["problem"] == (
            'model "8b" of family "BIG-G T=0" has scale 80000000000.0 here (1 numbers) and 8000000000.0 in '
            "bigbench/benchmark_tasks/a/results/scores_8b.json (2 numbers)"
        )
        assert problem["action"].startswith("all rows are kept")
        assert len(results.frame) == 6
        assert results.counts.balanced


def test_within_one_curve(table):
    """A model twice in one curve, once at ten times its scale: a curve of five scales where there are four models."""
    rows = [f"t,bleu,F,m{number},{10 ** (6 + number)},{score}" for number, score in enumerate([0.0, 0.1, 0.2, 0.4])]
    results = load_results(table("\n".join(rows) + "\nt,bleu,F,m3,1e10,0.5\n"))
    assert results.problems["problem"].tolist() == [
        'model "m3" of family "F" has scale 10000000000.0 here (1 numbers) and 1000000000.0 in mine.csv (1 numbers)'
    ]
    assert score_curves(results.frame)["n_scales"].tolist() == [5]


def test_several_scales_are_each_on_record(table):
    """Three scales of one model: two problems, against the one that most rows have; of a tie the smaller is the usual one."""
    results = load_results(
        table("a,bleu,F,m,1e9,1\nb,bleu,F,m,2e9,1\nc,bleu,F,m,3e9,1\nd,bleu,F,m,3e9,1\na,bleu,G,m,4e9,1\n"
              "a,bleu,F,n,5e9,1\nb,bleu,F,n,6e9,1\n")
    )  # fmt: skip
    assert [text.partition(" and ")[0] for text in results.problems["problem"]] == [
        'model "m" of family "F" has scale 1000000000.0 here (1 numbers)',
        'model "m" of family "F" has scale 2000000000.0 here (1 numbers)',
        'model "n" of family "F" has scale 6000000000.0 here (1 numbers)',
    ]
    assert set(results.problems["where"]) == {"column scale"}


def test_unknown_scales_are_no_other_scale(table):
    """A scale that is missing in one row is on record as such, and not as a second scale."""
    results = load_results(table("a,bleu,F,m,1e9,1\nb,bleu,F,m,,1\nc,bleu,F,m,inf,1\n"))
    assert results.problems["action"].tolist() == ["taken as NaN"] * 2


def test_two_models_of_one_scale(table):
    """A point of a curve is the mean of both, here .3, and a note says of which; models that share no curve need none."""
    source = table("a,bleu,F,m,1e6,0.2\na,bleu,F,n,1e6,0.4\na,bleu,F,o,1e7,0.5\nb,bleu,G,m,1e6,1\nc,bleu,G,n,1e6,1\n")
    results = load_results(source)
    assert results.problems.empty
    assert [note for note in results.notes if "one scale" in note] == [
        'family "F": several models have one scale ("m", "n" at 1e+06); a curve has their mean there (1 points)'
    ]
    curves = score_curves(results.frame)
    assert curves.loc[curves["task"] == "a", "n_scales"].tolist() == [2]


def test_nothing_to_say():
    """No row, and one."""
    empty = pd.DataFrame(
        {name: pd.Categorical([]) for name in ("family", "model", "source_file", "task", "subtask", "metric")}
    ).assign(scale=np.array([], float), shots=np.array([], int))
    assert (models_of_several_scales(empty, where=PLACE), models_of_one_scale(empty)) == ([], [])


def test_it_takes_no_time():
    """A million rows of 50 models, one of which is odd: below a second, where a loop over rows would take many."""
    draw = np.random.default_rng(1)
    model = draw.integers(50, size=1_000_000)
    scale = 10.0 ** (model % 25 + 3)
    scale[7] = 5.0
    codes = {"family": model % 5, "model": model, "source_file": model, "task": 0 * model}
    names = {name: [f"{number:02}" for number in range(50)] for name in codes}
    frame = pd.DataFrame({name: pd.Categorical.from_codes(code, names[name]) for name, code in codes.items()})
    frame = frame.assign(subtask=frame["task"], metric=frame["task"], shots=0, scale=scale)
    began = time.monotonic()
    problems, notes = models_of_several_scales(frame, where=PLACE), models_of_one_scale(frame)
    assert time.monotonic() - began < 5
    assert (len(problems), len(notes)) == (1, 5)
