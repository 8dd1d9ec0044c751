"""A user's own table: further kinds of files and frames, and the columns that the analysis takes from it."""

from __future__ import annotations

import gzip
import json
import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import bigbench_meta as bm
from bigbench_meta.errors import LoadError

if TYPE_CHECKING:
    from pathlib import Path

ROWS = [
    {"task": "t", "metric": "mine", "family": "f", "model": f"m{i}", "scale": 10.0**i, "score": i / 10, "n_items": 50, "direction": "higher"}
    for i in range(6, 11)
]  # fmt: skip
FRAME = pd.DataFrame(ROWS)


def files(folder: Path) -> list[Path]:
    """The same table in every kind of file."""
    texts = {
        "a.csv": FRAME.to_csv(index=False), "a.tsv": FRAME.to_csv(index=False, sep="\t"), "a.jsonl": "".join(json.dumps(row) + "\n\n" for row in ROWS),
    }  # fmt: skip
    paths = []
    for name, text in texts.items():
        (folder / name).write_text(text)
        (folder / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
        paths += [folder / name, folder / f"{name}.gz"]
    FRAME.to_parquet(folder / "a.parquet")
    return [*paths, folder / "a.parquet"]


def test_all_kinds_of_tables(tmp_path: Path):
    """CSV, TSV, JSON Lines, each also gzipped, Parquet, and frames of pandas and Arrow hold the same rows."""
    first = bm.load_results(FRAME)
    assert first.counts == (1, 5, 5, 0, 0)
    assert first.frame["n_items"].tolist() == [50] * 5
    for source in [*files(tmp_path), pa.Table.from_pandas(FRAME)]:
        found = bm.load_results(source)
        pd.testing.assert_frame_equal(found.frame.drop(columns="source_file"), first.frame.drop(columns="source_file"))


def test_polars():
    """A polars frame is read by way of Arrow."""
    polars = pytest.importorskip("polars")
    assert len(bm.load_results(polars.DataFrame(ROWS)).frame) == 5


def test_columns_reach_the_analysis():
    """Items, direction and range of a table make its curves testable, where before none was."""
    own = FRAME.assign(score=[0.1, 0.14, 0.22, 0.4, 0.82], low_score=0.0, high_score=1.0)
    found = bm.analyze(bm.load_results(own), rng=np.random.default_rng(0), draws=19).curves.iloc[0]
    assert (str(found["not_tested"]), found["n_items"], str(found["direction"])) == ("", 50, "higher")
    bare = bm.analyze(
        bm.load_results(own.drop(columns=["n_items", "direction"])), rng=np.random.default_rng(0), draws=19
    )
    assert bare.curves["not_tested"].tolist() == ["direction of the metric unknown"]


def test_errors_are_noise():
    """Standard errors stand in for items where the metric is no share and no other task tells its scatter."""
    score = np.array([3.0, 3.1, 2.9, 3.2, 3.0])
    own = FRAME.assign(metric="bits_per_byte", score=score, direction="lower", stderr=0.1).drop(columns="n_items")
    found = bm.analyze(bm.load_results(own), rng=np.random.default_rng(0), draws=19).curves.iloc[0]
    assert str(found["noise_source"]).startswith("standard errors given with the scores")
    assert found["p_trend"] > 0.05
    without = bm.analyze(
        bm.load_results(own.drop(columns="stderr")), rng=np.random.default_rng(0), draws=19
    ).curves.iloc[0]
    assert str(without["not_tested"]).startswith("noise unknown")


def test_scales_in_words():
    """70m and 1.3B are numbers, on record; what is none is unknown."""
    own = FRAME.assign(scale=["70m", "1.3B", "large", "1e9", "2e9"])
    found = bm.load_results(own)
    scales = found.frame.set_index(found.frame["model"].astype(str))["scale"]
    assert scales[["m6", "m7"]].tolist() == [7e7, 1.3e9]
    assert math.isnan(scales["m8"])
    assert found.problems["action"].tolist() == ["read as 70000000.0", "read as 1300000000.0", "taken as NaN"]


def test_odd_cells_of_own_columns():
    """An unknown direction takes the row away, a negative error is unknown; both are on record."""
    own = FRAME.assign(stderr=[-1.0, 0.1, None, 0.1, 0.1], direction=["up", *["higher"] * 4])
    found = bm.load_results(own)
    assert found.counts == (1, 5, 4, 1, 0)
    assert set(found.problems["where"]) == {"row 1, column direction", "row 1, column stderr"}


def test_checkpoints_of_a_table():
    """A step is part of the key: the checkpoints of one model are rows of their own."""
    own = pd.concat([FRAME.assign(step=step) for step in (0, 1000)])
    found = bm.load_results(own)
    assert found.counts == (1, 10, 10, 0, 0)
    assert set(found.frame["trial"]) == {0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"task": "t"}\n[1]\n', "line 2: not an object"),
        ('{"task": "t"\n', "line 1: not JSON"),
        ('{"task": "t", "task": "u"}\n', "a key stands twice in an object"),
        ("\n", "is empty; expected an object a line"),
        ('{"task": "t"}\n', "columns metric, family, model, scale, score missing"),
    ],
)
def test_refused_lines(tmp_path: Path, text: str, message: str):
    """Each line must be an object of plain values."""
    path = tmp_path / "x.jsonl"
    path.write_text(text)
    with pytest.raises(LoadError, match=message):
        bm.load_results(path)


def test_a_frame_of_lists():
    """Columns that no cell can hold are named; where a frame has no types, each cell is on record."""
    lists = FRAME.assign(score=[[1.0]] * 5)
    with pytest.raises(LoadError, match=r"frame: column 'score' holds list<.*>; expected text, numbers or booleans"):
        bm.load_results(pa.Table.from_pandas(lists))
    found = bm.load_results(lists)
    assert (len(found.frame), len(found.problems)) == (0, 5)


def test_values_of_json_that_no_cell_holds(tmp_path: Path):
    """A list as a score is on record and has no row."""
    path = tmp_path / "x.jsonl"
    path.write_text("".join(json.dumps(row | ({"score": [1]} if row["model"] == "m6" else {})) + "\n" for row in ROWS))
    assert bm.load_results(path).counts == (1, 5, 4, 1, 0)


def test_a_table_has_no_paths(tmp_path: Path):
    """A pattern selects files of a source."""
    path = tmp_path / "x.csv"
    path.write_text(FRAME.to_csv(index=False))
    with pytest.raises(LoadError, match="selects files of a source, and this one is a table"):
        bm.load_results(path, path="*.csv")
