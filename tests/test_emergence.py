"""Emergence score and linearity: hand-computed curves, properties, degenerate cases, and the published top curves."""

from __future__ import annotations

import itertools
import json
import math
import statistics
import subprocess
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bigbench_meta as bm
from bigbench_meta.emergence import curve_points, emergence_floored, observed_width
from bigbench_meta.errors import TableError
from bigbench_meta.schema import CURVES, validate


def reference(y: list[Fraction]) -> tuple[float, float]:
    """E and L by the printed formulas, in exact rational arithmetic up to the square root; NaN where undefined."""
    steps = [b - a for a, b in itertools.pairwise(y)]
    if len(y) < 3 or not any(steps):
        return math.nan, math.nan
    rise = max(y) - min(y)
    if y.index(max(y)) < y.index(min(y)):
        rise = -rise
    median = statistics.median([s * s for s in steps])
    mean = sum(s * s for s in steps) / len(steps)
    e = float(rise) / math.sqrt(median) if median else math.nan
    return e, float(rise) / math.sqrt(mean)


def frame_of(scores: dict[str, list[float]], **columns: object) -> pd.DataFrame:
    """A RESULTS-shaped frame: one subtask a curve, scales 10, 100, 1000, ..."""
    rows = [
        {"task": "t", "subtask": name, "is_aggregate": False, "metric": "exact_str_match", "family": "f", "shots": 0,
         "scale": 10.0 ** (i + 1), "score": score, "is_preferred": True} | columns
        for name, ys in scores.items()
        for i, score in enumerate(ys)
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("y", "e", "line"),
    [
        # squares of the steps 1, 1, 4: median 1, mean 2; rise 4
        ([0, 1, 2, 4], 4.0, 4 / math.sqrt(2)),
        # steps 1, -2, 3, -4: squares 1, 4, 9, 16, median 6.5, mean 7.5; max 2 at index 3, min -2 at index 4: falls
        ([0, 1, -1, 2, -2], -4 / math.sqrt(6.5), -4 / math.sqrt(7.5)),
        # a perfect step over three scales ranks below a straight line: 1 / sqrt(1/2) against 2
        ([0, 0, 1], math.sqrt(2), math.sqrt(2)),
        ([0, 1, 2], 2.0, 2.0),
        # lower-is-better: the line falls
        ([3, 2, 1, 0], -3.0, -3.0),
        # tie of the maximum at indices 1 and 3: the first wins, and it comes after the minimum at 0
        ([0, 2, 1, 2], 2 / 1.0, 2 / math.sqrt(2)),
        # tie of the minimum at 0 and 2: the first wins, so the maximum at 1 counts as later
        ([0, 3, 0, 1], 1.0, 3 / math.sqrt(19 / 3)),
    ],
)
def test_hand_computed_curves(y, e, line):
    """E and L of curves worked out by hand from the printed formulas."""
    assert bm.emergence_score(y) == pytest.approx(e, rel=1e-14)
    assert bm.linearity(y) == pytest.approx(line, rel=1e-14)


@pytest.mark.parametrize("m", [3, 4, 5, 8, 12])
def test_straight_line_scores_m_minus_one(m):
    """A perfectly straight line over M scales has E = L = M - 1."""
    y = np.linspace(0.2, 0.7, m)
    assert bm.emergence_score(y) == pytest.approx(m - 1)
    assert bm.linearity(y) == pytest.approx(m - 1)


@pytest.mark.parametrize("m", [4, 5, 8, 12])
def test_clean_step_has_linearity_but_no_emergence_score(m):
    """One clean step: L = sqrt(M - 1), E undefined because the median step is zero."""
    y = [0.0] * (m - 1) + [0.6]
    assert bm.linearity(y) == pytest.approx(math.sqrt(m - 1))
    assert math.isnan(bm.emergence_score(y))


@pytest.mark.parametrize(
    ("y", "reason"),
    [
        ([0.1], "too_few_scales"),
        ([0.1, 0.9], "too_few_scales"),
        ([0.3, 0.3, 0.3, 0.3], "flat"),
        # 0.1 + 0.2 differs from 0.3 by 6e-17: a step of arithmetic, not of a model
        ([0.3, 0.1 + 0.2, 0.3], "flat"),
        # steps of 1e-10 are below 1e-12 of the largest value, 1000
        ([1000.0, 1000.0 + 1e-10, 1000.0], "flat"),
        ([0, 0, 0, 0, 1], "zero_median_step"),
        ([0.1, math.nan, 0.2, 0.4], "missing_values"),
        ([0.1, math.inf, 0.2, 0.4], "missing_values"),
    ],
)
def test_degenerate_curves_are_nan_with_a_reason(y, reason):
    """Every undefined case gives NaN and its word, never 0 or infinity."""
    assert math.isnan(bm.emergence_score(y))
    curves = bm.score_curves(frame_of({"s": y}))
    assert curves["undefined_reason"].tolist() == [reason]
    assert math.isnan(curves["emergence_score"][0])
    assert curves["n_scales"][0] == len(y)


def test_two_dimensional_input_is_refused():
    """The single-curve functions say what they expect."""
    with pytest.raises(ValueError, match="one-dimensional"):
        bm.emergence_score([[1, 2, 3]])


def test_huge_and_tiny_scores_keep_their_ratio():
    """Squares neither overflow nor vanish: [0, 1, 2, 4] times 1e300 and times 1e-9 keep E = 4."""
    for factor in (1e300, 1e-9):
        assert bm.emergence_score(np.array([0, 1, 2, 4]) * factor) == pytest.approx(4.0, rel=1e-12)


grid_curves = st.lists(st.integers(0, 1000), min_size=3, max_size=12)


@given(grid_curves)
def test_agrees_with_exact_rational_arithmetic(counts):
    """On the k/1000 grid of real scores the kernel gives what the formula gives in rational arithmetic."""
    y = [Fraction(k, 1000) for k in counts]
    e, line = reference(y)
    assert bm.emergence_score([float(v) for v in y]) == pytest.approx(e, rel=1e-9, nan_ok=True)
    assert bm.linearity([float(v) for v in y]) == pytest.approx(line, rel=1e-9, nan_ok=True)


@given(grid_curves, st.sampled_from([0.25, 0.5, 3.0, 100.0]), st.integers(-5, 5))
def test_positive_affine_rescaling_changes_nothing(counts, factor, shift):
    """E and L do not depend on the unit or the origin of the score."""
    y = np.array(counts, float)
    assert bm.emergence_score(factor * y + shift) == pytest.approx(bm.emergence_score(y), rel=1e-9, nan_ok=True)
    assert bm.linearity(factor * y + shift) == pytest.approx(bm.linearity(y), rel=1e-9, nan_ok=True)


@given(st.lists(st.integers(0, 1000), min_size=3, max_size=12, unique=True))
def test_negation_flips_the_sign(counts):
    """Without ties of the extremes, negating the scores negates E and L."""
    y = np.array(counts, float)
    assert bm.emergence_score(-y) == -bm.emergence_score(y)
    assert bm.linearity(-y) == -bm.linearity(y)


@given(st.lists(grid_curves, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_row_order_and_company_do_not_matter(curves, random):
    """score_curves gives each curve its single-curve score, whatever the row order and the other curves."""
    frame = frame_of({f"s{i}": [k / 1000 for k in ys] for i, ys in enumerate(curves)})
    rows = list(range(len(frame)))
    random.shuffle(rows)
    scored = bm.score_curves(frame.iloc[rows]).set_index("subtask")
    for i, ys in enumerate(curves):
        row = scored.loc[f"s{i}"]
        expected = bm.emergence_score([k / 1000 for k in ys])
        assert row["emergence_score"] == expected or (math.isnan(expected) and math.isnan(row["emergence_score"]))
        assert row["score_range"] == pytest.approx((max(ys) - min(ys)) / 1000)


def test_repeats_are_averaged_before_scoring():
    """Two trials and two models of one size become one point: (0 + .2)/2, .3, .5, (.8 + 1)/2 has steps .2 .2 .4."""
    frame = pd.concat(
        [frame_of({"s": [0.0, 0.3, 0.5, 0.8]}), frame_of({"s": [0.2, 0.3, 0.5, 1.0]}, trial=1)], ignore_index=True
    )
    curves = bm.score_curves(frame)
    assert curves["n_scales"].tolist() == [4]
    assert curves["emergence_score"][0] == pytest.approx(0.8 / 0.2)


def test_model_without_scale_makes_the_curve_undefined():
    """A score that cannot be placed on the x axis is not dropped in silence."""
    frame = frame_of({"s": [0.0, 0.1, 0.2, 0.3, 0.4]})
    frame.loc[4, "scale"] = math.nan
    curves = bm.score_curves(frame)
    assert curves["n_scales"].tolist() == [4]
    assert curves["undefined_reason"].tolist() == ["missing_values"]
    assert math.isnan(curves["emergence_score"][0])


def test_curves_is_a_valid_table_with_directions():
    """CURVES follows its schema; direction comes from the registry and an unknown key stays unknown."""
    frame = pd.concat(
        [
            frame_of({"s": [0.1, 0.2, 0.3]}),
            frame_of({"s": [0.3, 0.2, 0.1]}, metric="calibration_multiple_choice_brier_score", is_preferred=False),
            frame_of({"s": [1, 2, 3]}, metric="homemade", is_preferred=False),
        ]
    )
    before = frame.copy()
    curves = validate(bm.score_curves(frame), CURVES).set_index("metric")
    assert curves["direction"].astype(str).to_dict() == {
        "calibration_multiple_choice_brier_score": "lower",
        "exact_str_match": "higher",
        "homemade": "unknown",
    }
    assert curves.loc["calibration_multiple_choice_brier_score", "emergence_score"] == pytest.approx(-2.0)
    pd.testing.assert_frame_equal(frame, before)


def test_empty_table_has_no_curves():
    """No rows in, no rows out, with every column."""
    curves = bm.score_curves(frame_of({"s": [1.0]}).iloc[:0])
    assert curves.empty
    assert list(curves.columns) == CURVES.names


def test_missing_columns_are_all_named():
    """A table without the needed columns is refused with their names."""
    with pytest.raises(TableError, match="scale, score"):
        bm.score_curves(frame_of({"s": [1.0]}).drop(columns=["scale", "score"]))


@pytest.mark.real
def test_top_curves_of_the_published_scores(shared_data, tmp_path):
    """The published multiple-choice curves rank as the formula says, from files read without the loader."""
    git = ["git", "-c", "safe.directory=*"]
    repository = tmp_path / "r.git"
    subprocess.run([*git, "clone", "-q", "--bare", shared_data / "bigbench-real.bundle", repository], check=True)
    names = subprocess.run([*git, "ls-tree", "-r", "--name-only", "HEAD"], cwd=repository, check=True,
                           capture_output=True, text=True).stdout.splitlines()  # fmt: skip
    files = [name for name in names if name.endswith(".json")]
    batch = subprocess.run([*git, "cat-file", "--batch"], cwd=repository, check=True, capture_output=True,
                           input="".join(f"HEAD:{name}\n" for name in files).encode()).stdout  # fmt: skip
    rows = []
    for name in files:
        header, _, batch = batch.partition(b"\n")
        size = int(header.split()[2])
        record, batch = json.loads(batch[:size]), batch[size + 1 :]
        assert name.endswith(".json")
        for entry in record["scores"]:
            rows += [
                {"task": record["task"]["task_name"], "subtask": entry["subtask_description"], "is_aggregate": False,
                 "metric": metric, "family": record["model"]["model_family"], "shots": entry["number_of_shots"],
                 "scale": record["model"]["flop_matched_non_embedding_params"], "score": score,
                 "is_preferred": metric == entry["preferred_score"]}
                for metric, score in entry["score_dict"].items()
            ]  # fmt: skip
    curves = bm.score_curves(pd.DataFrame(rows))
    items = pd.read_csv(shared_data / "bundle_items.csv")
    audit = items.loc[items["source"] == "audit", "task"]
    top = curves[curves["task"].isin(audit) & (curves["metric"] == "multiple_choice_grade")]
    assert len(top) == 89
    top = top.nlargest(4, "emergence_score").set_index("task")["emergence_score"].round(1)
    assert top.to_dict() == {
        "figure_of_speech_detection": 17.9,
        "hindu_knowledge": 16.7,
        "similarities_abstraction": 16.0,
        "emojis_emotion_prediction": 14.7,
    }
    sizes = curves[curves["task"].isin(audit) & (curves["metric"] == "multiple_choice_grade")]["emergence_score"].abs()
    assert round(float(sizes.median()), 1) == 5.1


def plain_points(frame):
    """Every curve's points by a plain walk over the rows: the reference of the arrays."""
    found = {}
    for row in frame.itertuples():
        key = (row.task, row.subtask, row.metric, row.family, row.shots)
        of_curve = found.setdefault(key, {})
        if math.isfinite(row.scale):
            of_curve.setdefault(row.scale, []).append(row.score if math.isfinite(row.score) else math.nan)
    return {
        key: [(scale, sum(sorted(scores)) / len(scores)) for scale, scores in sorted(of_curve.items())]
        for key, of_curve in sorted(found.items())
    }


@given(
    st.lists(
        st.tuples(
            st.sampled_from("ab"), st.sampled_from("tu"), st.sampled_from([0, 3]),
            st.sampled_from([1e6, 1e7, 1e9, math.nan, math.inf]), st.sampled_from([0.25, 0.5, -1.0, math.nan, -math.inf]),
        ),
        min_size=1, max_size=30,
    ),
    st.booleans(),
)  # fmt: skip
def test_points_are_those_of_a_plain_walk(rows, backwards):
    """Curves, scales and mean scores, repeats and missing values too, however the rows and categories are ordered."""
    frame = pd.DataFrame(rows, columns=["task", "metric", "shots", "scale", "score"]).assign(
        subtask="s", family="f", is_aggregate=False, is_preferred=True
    )
    names = ["b", "a"] if backwards else ["a", "b"]
    categories = frame.assign(task=pd.Categorical(frame["task"], categories=names))
    expected = plain_points(frame)
    for given_rows in (frame, categories):
        points = curve_points(given_rows)
        keys = [tuple(key) for key in points.curves[list(CURVES.key)].itertuples(index=False)]
        ends = points.start + points.n_scales
        found = {
            key: list(zip(points.scale[start:end].tolist(), points.score[start:end].tolist(), strict=True))
            for key, start, end in zip(keys, points.start, ends, strict=True)
        }
        assert repr(sorted(found.items())) == repr(list(expected.items()))


@pytest.mark.parametrize(
    ("score", "width"),
    [
        ([0.0, 0.5, 1.0], 1.6),  # by hand: .1 at 10^0.2, .9 at 10^1.8
        ([1.0, 0.5, 0.0], 1.6),  # a falling curve turned around
        ([3.0, 3.5, 4.0], 1.6),  # the range counts, not the level
        ([0.0, 0.0, 1.0], 0.8),  # .1 at 10^1.1, .9 at 10^1.9
        ([1.0, 0.0, 1.0], 0.8),  # its first maximum comes before its minimum: turned around, .1 at 10^0.1, .9 at 10^0.9
    ],
)
def test_width_of_a_rise_is_measured_in_decades(score, width):
    """Between 10% and 90% of the observed range, by straight lines over log10 scale 0, 1, 2."""
    assert observed_width(np.array([1.0, 10.0, 100.0]), np.array(score)) == pytest.approx(width)


@pytest.mark.parametrize("score", [[0.5, 0.5, 0.5], [0.95, 0.0, 1.0]])
def test_width_without_a_rise_is_undefined(score):
    """A flat curve, and one that begins above 90% of its rise, have no width."""
    assert np.isnan(observed_width(np.array([1.0, 10.0, 100.0]), np.array(score)))


def test_width_is_that_of_the_last_rise():
    """A wobble above 10% before the rise does not widen it: .1 is met last at 10^2.11, .9 at 10^3.8."""
    scale, score = np.logspace(0, 4, 5), np.array([0, 0.2, 0.05, 0.5, 1])
    assert observed_width(scale, score) == pytest.approx(3.8 - (2 + 0.05 / 0.45))


def test_floored_score_floors_every_step():
    """By hand: steps 0, 0, .012, .288 with floor .01; median square (.0001 + .000144) / 2; not the median floored (30.0)."""
    y = np.array([0, 0, 0, 0.012, 0.3])
    assert emergence_floored(y, resolution=0.01) == pytest.approx(0.3 / np.sqrt((1e-4 + 1.44e-4) / 2))
    assert emergence_floored(np.stack([y, y[::-1]]), resolution=[0.01, 0.01]) == pytest.approx(
        [27.1607, -27.1607], abs=1e-4
    )
    assert np.isnan(emergence_floored(y, resolution=0.0))
