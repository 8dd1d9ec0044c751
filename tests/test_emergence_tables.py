"""Curves of a table: which rows make a point, what a curve says of its rows, and the edges of every rule."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from test_emergence import frame_of

import bigbench_meta as bm
from bigbench_meta.emergence import STEP_TOLERANCE, curve_points
from bigbench_meta.emergence.measures import median_of_rows, score_rows
from bigbench_meta.emergence.points import _sorting, one_code
from bigbench_meta.errors import TableError
from bigbench_meta.schema import CURVES


@pytest.mark.parametrize(
    ("y", "spread"),
    [
        ([0.25], 0.0),
        ([0.25, 1.0], 0.75),
        ([1.0, 0.25], 0.75),
        ([0.25, math.nan], math.nan),
        ([-1.0, 0.0, 3.0, 2.0], 4.0),
        ([0.5, 0.5, 0.5], 0.0),
        ([0.5, math.nan, 0.75], math.nan),
        ([-1.7e308, 1.7e308, 0.0], math.nan),  # a range that no double holds
    ],
)
def test_range(y, spread):
    """The largest less the smallest score, in units of the score, also of curves too short to be scored; NaN where a score is missing."""
    curves = bm.score_curves(frame_of({"s": y}))
    assert curves["score_range"].tolist() == pytest.approx([spread], nan_ok=True)
    if len(y) < 3:
        assert curves["undefined_reason"].tolist() == ["too_few_scales"]
        assert curves[["emergence_score", "linearity"]].isna().all(axis=None)


def test_linearity_where_the_emergence_score_is_undefined():
    """A zero median step leaves L defined; flat and missing do not; nothing is infinite."""
    assert bm.linearity([0, 0, 0, 2]) == pytest.approx(math.sqrt(3))
    for y in ([1, 1, 1], [0, math.nan, 1], [0, math.inf, 1], [0, 1], [0], []):
        assert math.isnan(bm.linearity(y))
        assert math.isnan(bm.emergence_score(y))


def test_step_tolerance():
    """Steps below 1e-12 of the larger of 1 and the largest value are none; at it and above they count."""
    below, above = 0.5 * STEP_TOLERANCE, 4 * STEP_TOLERANCE
    assert math.isnan(bm.emergence_score([0.0, below, 0.0]))
    assert bm.emergence_score([0.0, above, 2 * above]) == pytest.approx(2.0)
    # relative to the largest value, which may be negative
    for largest in (1e6, -1e6):
        steps = np.array([0, 1, 2]) * 1e6
        assert math.isnan(bm.emergence_score(largest + steps * below))
        assert bm.emergence_score(largest + steps * above * 2) == pytest.approx(2.0, rel=1e-3)
    # 1e-12 itself is a step, 0.9e-12 none and 1.5e-12 one where the largest value is below 1
    assert bm.emergence_score([0.0, 1e-12, 2e-12]) == pytest.approx(2.0)
    assert math.isnan(bm.emergence_score([0.0, 0.9e-12, 1.8e-12]))
    assert bm.emergence_score([0.0, 1.5e-12, 3e-12]) == pytest.approx(2.0)
    # one step at the edge among larger ones: squares 1, ~0, 1 have median 1, not the mean of 0 and 1
    assert bm.emergence_score([0, 1, 1 + below, 2]) == pytest.approx(2.0)


def test_each_curve_is_scored_by_its_own_scores():
    """Curves of one length are scored together and none knows of another: six worked out by hand, and two of two scales."""
    curves = {
        "a": ([0.0, 1.0, 2.0, 4.0], 4.0, 4 / math.sqrt(2), 4.0),  # squares of the steps 1, 1, 4: median 1, mean 2
        "b": ([0.0, 2.0, 1.0, 2.0], 2.0, 2 / math.sqrt(2), 2.0),  # squares 4, 1, 1; the first maximum counts
        "c": ([0.0, 3.0, 0.0, 1.0], 1.0, 3 / math.sqrt(19 / 3), 3.0),  # squares 9, 9, 1
        "d": ([3.0, 2.0, 1.0, 0.0], -3.0, -3.0, 3.0),
        # steps of 1e-10 are none beside 1000, steps of 1e-11 are some where nothing is above 1
        "e": ([1000.0, 1000.0 + 1e-10, 1000.0, 1000.0], math.nan, math.nan, 1e-10),
        "f": ([0.0, 1e-11, 2e-11, 4e-11], 4.0, 4 / math.sqrt(2), 4e-11),
        "g": ([0.25, 0.75], math.nan, math.nan, 0.5),
        "h": ([0.5, 0.25], math.nan, math.nan, 0.25),
    }
    found = bm.score_curves(frame_of({name: curve[0] for name, curve in curves.items()}))
    for row, (_, e, line, spread) in zip(found.itertuples(), curves.values(), strict=True):
        assert row.emergence_score == pytest.approx(e, rel=1e-12, nan_ok=True)
        assert row.linearity == pytest.approx(line, rel=1e-12, nan_ok=True)
        assert row.score_range == pytest.approx(spread, rel=1e-3)  # 1000 + 1e-10 is rounded


@pytest.mark.parametrize(
    "y", [[[0.25, math.nan], [0.5, 1.0]], [[0.0, 1.0, math.nan]], [[-1.7e308, 1.7e308, 0.0]], [[0.5]]]
)
def test_types_of_scores(y):
    """Scores are doubles and reasons Python's own strings, whatever is undefined."""
    assert [part.dtype for part in score_rows(np.array(y))] == [np.float64, np.float64, np.float64, object]


def test_a_model_without_scale_leaves_short_curves_short():
    """Too few scales comes before missing values; the unplaced score makes no point."""
    frame = frame_of({"s": [0.1, 0.2, 0.3]})
    frame.loc[2, "scale"] = math.nan
    curves = bm.score_curves(frame)
    assert curves["undefined_reason"].tolist() == ["too_few_scales"]
    assert curves["n_scales"].tolist() == [2]
    frame["scale"] = math.inf
    curves = bm.score_curves(frame)
    assert (curves["n_scales"].tolist(), curves["undefined_reason"].tolist()) == ([0], ["too_few_scales"])
    assert math.isnan(curves["score_range"][0])


def test_only_the_curve_with_an_unplaced_score_is_undefined():
    """Its range stays; its neighbours, before and after it, are scored."""
    frame = frame_of({name: [0.0, 0.1, 0.2, 0.4] for name in "abc"})
    frame.loc[frame.index[(frame["subtask"] == "b") & (frame["scale"] == 1e4)], "scale"] = math.nan
    curves = bm.score_curves(frame).set_index("subtask")
    assert curves["undefined_reason"].astype(str).to_dict() == {"a": "", "b": "missing_values", "c": ""}
    assert curves["emergence_score"].tolist() == pytest.approx([4.0, math.nan, 4.0], nan_ok=True)
    assert curves["linearity"].isna().tolist() == [False, True, False]
    assert curves.loc["b", "score_range"] == pytest.approx(0.2)


def test_flags_of_a_curve_are_those_of_any_of_its_rows():
    """A curve is an aggregate, or preferred, if one row of it is, whichever; other curves are not touched."""
    frame = frame_of({"a": [0.1, 0.2, 0.3], "b": [0.1, 0.2, 0.3]}, is_preferred=False)
    for flag in ("is_aggregate", "is_preferred"):
        for row in range(3):
            one = frame.copy()
            one.loc[row, flag] = True
            curves = bm.score_curves(one.iloc[::-1])
            assert curves[flag].tolist() == [True, False]
            other = {"is_aggregate": "is_preferred", "is_preferred": "is_aggregate"}[flag]
            assert curves[other].tolist() == [False, False]


@pytest.mark.parametrize("column", ["task", "subtask", "metric", "family", "shots"])
def test_each_column_of_the_key_separates_curves(column):
    """Rows that differ in one column of the key alone are two curves, in the order of that column."""
    values = [1, 2] if column == "shots" else ["alpha", "beta"]
    one, two = ([0.0, 0.1, 0.3], [0.9, 0.5, 0.4])
    frame = pd.concat(
        [frame_of({"s": two}, **{column: values[1]}), frame_of({"s": one}, **{column: values[0]})], ignore_index=True
    )
    curves = bm.score_curves(frame)
    assert curves[column].tolist() == values
    assert curves["score_range"].tolist() == pytest.approx([0.3, 0.5])
    assert np.sign(curves["emergence_score"]).tolist() == [1, -1]


@pytest.mark.parametrize("categories", [["a", "b"], ["b", "a"], ["0", "a", "b"], ["a", "aa", "b"], ["b", "a", "z"]])
def test_categories_are_those_that_occur_in_order_of_name(categories):
    """The order of the categories that are given says nothing, and those that no row has are left out."""
    frame = pd.concat([frame_of({"s": [0.0, 0.1, 0.3]}, task=task) for task in "ba"], ignore_index=True)
    curves = bm.score_curves(frame.assign(task=pd.Categorical(frame["task"], categories=categories)))
    assert curves["task"].tolist() == ["a", "b"]
    assert curves["task"].cat.categories.tolist() == ["a", "b"]


def test_names_that_are_numbers():
    """They become text as any other name, and numbers between them that no row has are no categories."""
    frame = pd.concat([frame_of({"s": [0.0, 0.1, 0.3]}, task=task) for task in (3, 1)], ignore_index=True)
    curves = bm.score_curves(frame)
    assert curves["task"].tolist() == curves["task"].cat.categories.tolist() == ["1", "3"]


@pytest.mark.parametrize("limit", [1 << 62, 1000, 1])
def test_codes_of_rows_are_in_order(monkeypatch, limit):
    """One number per row, equal and in order as Python's tuples are, also where the product of the levels has 185 bits."""
    monkeypatch.setattr("bigbench_meta.emergence.points._MAX_CODE", limit)
    most = 2_000_000_011
    last = (-1, most - 2, most - 1, most)
    rows = [(most, most, most, a, b, c) for a in (-1, 0, most) for b in last for c in (-1, 0, 1, most)]
    columns = np.array([*rows, *rows[::-1]]).T
    code = one_code(list(columns)).tolist()
    assert code[: len(rows)] == code[: len(rows) - 1 : -1]
    assert sorted(set(code)) == code[: len(rows)]
    assert one_code([column[:0] for column in columns]).tolist() == []


@pytest.mark.parametrize("highest", [3, 6, 1 << 40, (1 << 54) - 1, (1 << 62) - 1])
def test_rows_are_sorted_as_numpy_sorts_them(highest):
    """The order is that of a stable sort, with places that share a number with their row and with those too large for it."""
    place = np.random.default_rng(3).integers(0, highest, 1000, endpoint=True)
    place[[10, 990]] = highest
    assert _sorting(place).tolist() == np.argsort(place, kind="stable").tolist()
    repeated = highest - place % 3  # 1,000 rows of three places
    assert _sorting(repeated).tolist() == np.argsort(repeated, kind="stable").tolist()
    assert _sorting(place[:0]).tolist() == []


@pytest.mark.parametrize("length", [1, 2, 3, 4, 11, 12])
def test_medians_are_those_of_numpy(length):
    """The same bits, ties and infinities included."""
    rows = np.random.default_rng(4).choice([0.1, 0.2, 0.7, 1e300, np.inf], (200, length))
    assert median_of_rows(rows).tobytes() == np.median(rows, axis=1).tobytes()


@pytest.mark.parametrize("shots", [[-1, 0, 3], [0, 10**12, -(10**12)], [5, 5, 5]])
def test_shots_are_taken_by_their_number(shots):
    """Shot counts near to each other and far apart keep their numbers, in order."""
    frame = pd.concat([frame_of({"s": [0.0, 0.1, 0.3]}).assign(shots=count) for count in shots], ignore_index=True)
    assert bm.score_curves(frame)["shots"].tolist() == sorted(set(shots))


def test_points_of_a_table():
    """Start, number, scales and means of the points; a NaN or infinite repeat makes its point NaN, not its neighbours."""
    frame = frame_of({"a": [0.0, 0.2], "b": [1.0, 2.0, 3.0]})
    more = frame_of({"a": [0.5, math.inf], "b": [math.nan, 4.0]})
    points = curve_points(pd.concat([more, frame], ignore_index=True).sample(frac=1, random_state=1))
    assert points.curves["subtask"].tolist() == ["a", "b"]
    assert points.start.tolist() == [0, 2]
    assert points.n_scales.tolist() == [2, 3]
    assert points.scale.tolist() == [10.0, 100.0, 10.0, 100.0, 1000.0]
    assert points.score.tolist() == pytest.approx([0.25, math.nan, math.nan, 3.0, 3.0], nan_ok=True)
    assert points.has_unplaced.tolist() == [False, False]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_sum_of_repeats_does_not_depend_on_their_order(place):
    """1e16, 1 and -1e16 add up to 0 or 1 by order: every order of rows gives the same bits, at whichever scale."""
    rows = pd.concat([frame_of({"s": [1.0, 2.0, 4.0]})] * 3, ignore_index=True)
    rows.loc[place::3, "score"] = [1e16, 1.0, -1e16]
    found = {bm.score_curves(rows.sample(frac=1, random_state=seed))["linearity"][0] for seed in range(8)}
    assert len(found) == 1


def test_repeats_whose_sum_is_beyond_any_float():
    """Their mean is a float all the same, here 1.5e308 and -1.7e308, without a warning; other points keep their bits."""
    frame = pd.concat([frame_of({"s": [1.3e308, -1.7e308, 0.1]}), frame_of({"s": [1.7e308, -1.7e308, 0.7]})])
    assert curve_points(frame.reset_index(drop=True)).score.tolist() == [1.5e308, -1.7e308, (0.1 + 0.7) / 2]


def test_numbers_of_a_table_are_taken_as_doubles():
    """Whole scales and scores of single precision: 2^24 and 1 have the mean 8388608.5, which needs 25 bits."""
    frame = pd.concat([frame_of({"s": [2.0**24, 0.0, 1.0]}), frame_of({"s": [1.0, 0.0, 1.0]})], ignore_index=True)
    points = curve_points(frame.assign(scale=frame["scale"].astype(int), score=frame["score"].astype(np.float32)))
    assert (points.scale.dtype, points.score.dtype) == (np.float64, np.float64)
    assert points.score.tolist() == [8388608.5, 0.0, 1.0]


def test_scales_order_the_points_by_their_number():
    """Scales are numbers: 9 comes before 10, whatever the order of rows or of their text."""
    frame = frame_of({"s": [0.3, 0.1, 0.2]})
    frame["scale"] = [100.0, 9.0, 10.0]
    assert curve_points(frame).score.tolist() == [0.1, 0.2, 0.3]
    assert bm.score_curves(frame)["emergence_score"].tolist() == pytest.approx([2.0])


def test_types_of_the_table():
    """Names are categories sorted by name, counts whole numbers, n_items unknown; also of an empty table."""
    frame = frame_of({"s": [0.1, 0.2, 0.4]})
    for curves in (bm.score_curves(frame), bm.score_curves(frame.iloc[:0])):
        kinds = {name: str(kind) for name, kind in curves.dtypes.items()}
        for name in ("task", "subtask", "metric", "family", "direction", "undefined_reason"):
            assert kinds[name] == "category"
        assert kinds["shots"] == kinds["n_scales"] == "int64"
        assert kinds["is_aggregate"] == kinds["is_preferred"] == "bool"
        assert kinds["n_items"] == kinds["score_range"] == kinds["emergence_score"] == kinds["linearity"] == "float64"
    assert bm.score_curves(frame)["n_items"].isna().all()


def test_words_are_categories_in_order_of_name():
    """Directions and reasons are so whatever the order of the curves."""
    parts = {
        "a": frame_of({"s": [0.1, 0.2]}, task="a", metric="homemade"),
        "b": frame_of({"s": [0.1, 0.1, 0.1]}, task="b", metric="bleu"),
        "c": frame_of({"s": [0.1, 0.2, 0.3]}, task="c", metric="bleu"),
    }
    curves = bm.score_curves(pd.concat(parts.values(), ignore_index=True))
    assert curves["undefined_reason"].tolist() == ["too_few_scales", "flat", ""]
    assert curves["undefined_reason"].cat.categories.tolist() == ["", "flat", "too_few_scales"]
    assert curves["direction"].tolist() == ["unknown", "higher", "higher"]
    assert curves["direction"].cat.categories.tolist() == ["higher", "unknown"]


def test_registry_of_the_user():
    """Directions come from the registry that is given."""
    registry = bm.metrics().copy()
    registry["direction"] = registry["direction"].replace({"higher": "lower"})
    curves = bm.score_curves(frame_of({"s": [0.1, 0.2, 0.4]}), registry=registry)
    assert curves["direction"].tolist() == ["lower"]


def test_words_of_refusals():
    """Which columns are missing and which are needed; how many dimensions there are."""
    with pytest.raises(TableError) as caught:
        curve_points(frame_of({"s": [1.0]}).drop(columns=["scale", "family"]))
    assert str(caught.value) == (
        "column(s) family, scale missing; a table of scores needs "
        f"{', '.join([*CURVES.key, 'is_aggregate', 'is_preferred', 'scale', 'score'])}"
    )
    with pytest.raises(
        ValueError, match=r"^y has 0 dimensions; expected one curve, a one-dimensional array of scores$"
    ):
        bm.linearity(3.0)


@pytest.mark.parametrize("column", [*CURVES.key, "is_aggregate", "is_preferred"])
def test_a_score_without_its_place_is_refused(column):
    """A row that no curve can claim, or of which nobody knows whether it is preferred, is neither guessed nor dropped."""
    frame = frame_of({"s": [0.1, 0.2, 0.4]}).astype({column: object})
    frame.loc[1, column] = None
    with pytest.raises(TableError) as caught:
        bm.score_curves(frame)
    assert str(caught.value) == (
        f"no value of {column} in 1 row(s); every score needs one: fill it in, or leave these rows out"
    )


def test_all_columns_without_a_value_are_named_at_once():
    """Each with its number of rows; a missing scale or score has its own rule and is no reason to refuse."""
    frame = frame_of({"s": [0.1, 0.2, 0.4]}).astype({"shots": object})
    frame.loc[1:, ["task", "scale"]] = None
    frame.loc[0, ["shots", "score"]] = None
    with pytest.raises(
        TableError, match=r"^no value of task in 2 row\(s\), shots in 1 row\(s\); every score needs one"
    ):
        bm.score_curves(frame)


def test_flags_of_other_types():
    """Flags may be Python's own truth values, or 0 and 1."""
    frame = frame_of({"a": [0.1, 0.2, 0.4], "b": [0.1, 0.2, 0.4]}, is_preferred=False)
    frame["is_preferred"] = frame["subtask"] == "b"
    for kind in (object, int):
        curves = bm.score_curves(frame.astype({"is_preferred": kind}))
        assert curves["is_preferred"].tolist() == [False, True]


def test_scores_of_other_types():
    """Truth values, whole numbers, halves of single precision and fractions are scores like any others."""
    assert bm.emergence_score([False, True, False, True, True]) == pytest.approx(1.0)  # steps 1, -1, 1, 0
    assert bm.linearity([Fraction(1, 4), Fraction(1, 2), Fraction(3, 4)]) == pytest.approx(2.0)
    assert bm.emergence_score(np.array([0.0, 0.5, 1.0], np.float16)) == pytest.approx(2.0)
