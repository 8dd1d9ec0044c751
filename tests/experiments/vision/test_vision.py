"""Outcomes of single images become smooth and hard metrics; the shipped results say what they should."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest

import bigbench_meta as bm
from bigbench_meta.errors import AnalysisError, TableError
from bigbench_meta.experiments import vision
from bigbench_meta.experiments.vision.datasets import ImageSet
from bigbench_meta.experiments.vision.image_metrics import (
    GROUPINGS,
    all_right,
    closed_form,
    groups,
    reconstruction,
    thresholds,
)
from bigbench_meta.experiments.vision.outcomes_table import (
    DECIDING,
    QUANTILES,
    Finished,
    mean_by_scale,
    results_frame,
    threshold_table,
)
from bigbench_meta.experiments.vision.training_plan import (
    Job,
    Plan,
    finer,
    ladder,
    median_size,
    sizes_within_rise,
    split,
)
from bigbench_meta.schema import RESULTS, validate


@pytest.fixture(scope="module")
def shipped():
    return vision.shipped()


def blank(n: int = 40, side: int = 8) -> ImageSet:
    return ImageSet("blank", np.zeros((n, 1, side, side), np.uint8), np.arange(n) % 4, 16)


# Groups and metrics of groups


def test_reconstruction_counts_errors_strictly_below_c():
    """By hand: of .1, .5, .9, 2.0 two are below .9."""
    error = np.array([0.1, 0.5, 0.9, 2.0])
    assert [reconstruction(error, c) for c in (0.05, 0.9, 0.91, 3.0)] == [0.0, 0.5, 0.75, 1.0]


def test_thresholds_are_quantiles_to_three_digits():
    """The median of 1.2344 and 1.2366 is 1.2355, written 1.24."""
    assert thresholds(np.array([1.2344, 1.2366]), (0.5,)) == (1.24,)


@pytest.mark.parametrize("how", GROUPINGS)
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_groups_are_disjoint_within_a_partition_and_obey_their_rule(how, size):
    """No image twice in a partition; same class or next in the file where the rule says so."""
    labels = np.random.default_rng(0).integers(0, 3, 50)
    found = groups(labels, size, how=how, rng=np.random.default_rng(1), partitions=2)
    assert found.shape[1] == size
    first = found[: len(found) // 2] if how != "neighbours" else found[: 50 // size]
    assert len(np.unique(first)) == first.size
    if how == "class":
        assert (labels[found] == labels[found][:, :1]).all()
    if how == "neighbours":
        assert (np.diff(found, axis=1) == 1).all()


@pytest.mark.parametrize(("how", "size", "says"), [("alphabet", 2, "random, class, neighbours"), ("random", 9, "9")])
def test_groups_that_cannot_be_made_are_an_error(how, size, says):
    """An unknown rule, or more images per group than there are."""
    with pytest.raises(AnalysisError, match=says):
        groups(np.zeros(8, np.int64), size, how=how, rng=np.random.default_rng(0))


def test_random_groups_cannot_show_a_failure_of_independence():
    """Over all 5-subsets of 12 images with 9 right the share all right is C(9,5)/C(12,5), and partitions agree."""
    correct = np.arange(12) < 9
    every = np.array(list(combinations(range(12), 5)))
    exact = comb(9, 5) / comb(12, 5)
    assert all_right(correct, every) == pytest.approx(exact)
    drawn = groups(np.zeros(12, np.int64), 5, how="random", rng=np.random.default_rng(3), partitions=4000)
    # Standard error of 8,000 groups, two from each partition: below sqrt(.16 * .84 / 4000) = .006.
    assert all_right(correct, drawn) == pytest.approx(exact, abs=0.02)
    assert exact < closed_form(9 / 12, 5)


def test_alike_images_break_the_closed_form_upwards():
    """Half the classes always right, half never: half of the groups within a class, not 1/32, are all right."""
    labels = np.repeat(np.arange(4), 10)
    correct = labels < 2
    inside = groups(labels, 5, how="class", rng=np.random.default_rng(0))
    assert all_right(correct, inside) == 0.5
    assert closed_form(0.5, 5) == 1 / 32


# Ladders


def test_a_coarse_ladder_gets_sizes_inside_its_rise():
    """By hand: the one gap that rises is 4 to 16, its geometric middle 8; then 4-8 and 8-16 at 6 and 11."""
    assert finer([1, 4, 16, 64], np.array([0.0, 0.0, 1.0, 1.0])) == (8,)
    assert finer([1, 4, 8, 16, 64], np.array([0.0, 0.0, 0.5, 1.0, 1.0])) == (6, 11)


def test_a_falling_metric_is_refined_like_a_rising_one():
    """Squared error falls where reconstruction rises: the rule looks at the range, not at the direction."""
    assert finer([1, 4, 16, 64], np.array([1.0, 1.0, 0.0, 0.0])) == (8,)


@pytest.mark.parametrize("scores", [[0.0, 0.2, 0.5, 0.8, 1.0], [0.3, 0.3, 0.3, 0.3, 0.3], [0.0, 1.0, 1.0, 1.0, 1.0]])
def test_a_ladder_is_left_alone_when_it_is_fine_enough_flat_or_used_up(scores):
    """Three sizes inside the rise, no rise, or no integer between 1 and 2: nothing is added."""
    assert finer([1, 2, 3, 4, 5], np.array(scores)) == ()


def test_autoencoder_ladder_goes_by_third_octaves_to_the_pixels():
    """2^(k/3), rounded, each once, ending at the number of pixels."""
    assert ladder("autoencoder", blank(side=8), Plan()) == (1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 32, 40, 51, 64)
    assert ladder("autoencoder", blank(side=32), Plan())[-1] == 512
    assert median_size([1, 2, 4, 8]) == 2


def test_split_uses_every_image_once_and_keeps_published_test_images():
    """Training, validation and test images are all images; a published test set stays one."""
    parts = split(blank(), Plan())
    assert [len(part) for part in parts] == [20, 4, 16]
    assert sorted(np.concatenate(parts)) == list(range(40))
    test = np.arange(40) >= 30
    published = ImageSet("p", blank().images, blank().labels, 16, published_test=test)
    parts = split(published, Plan())
    assert parts.test.tolist() == list(range(30, 40))
    assert [len(parts.training), len(parts.validation)] == [25, 5]


# Rows


def finished_autoencoder(units: int, trial: int, error: float) -> Finished:
    errors = {"validation_error": np.linspace(0, error, 5), "test_error": np.linspace(0, error, 9)}
    return Finished(Job("autoencoder", units, trial), 100 * units, errors)


def test_thresholds_look_at_validation_images_of_the_median_size_only():
    """Other sizes and all test images may change without moving c; by hand, c at the median of 0, 1, 2, 3, 4 is 2."""
    models = [finished_autoencoder(1, 0, 8.0), finished_autoencoder(2, 0, 4.0), finished_autoencoder(4, 0, 1.0)]
    frame = results_frame(models, blank(), plan=Plan(), anchors={"autoencoder": 2})
    table = threshold_table(frame)
    assert table.loc[table["is_headline"], "c"].tolist() == [2.0]
    models[1].arrays["test_error"][:] = 77.0
    models[0].arrays["validation_error"][:] = 99.0
    again = results_frame(models, blank(), plan=Plan(), anchors={"autoencoder": 2})
    assert threshold_table(again)["c"].tolist() == table["c"].tolist()


def test_rows_carry_units_parameters_and_trials():
    """Scale is the bottleneck for autoencoders; the score of a model by hand: errors 0, .5, ..., 4 have mean 2."""
    models = [finished_autoencoder(2, trial, 4.0) for trial in (0, 1)]
    frame = results_frame(models, blank(), plan=Plan(), anchors={"autoencoder": 2})
    rows = frame[frame["metric"] == "mean_squared_error"]
    assert rows[["scale", "total_params", "trial", "score", "n_items"]].to_numpy().tolist() == [
        [2.0, 200.0, 0.0, 2.0, 9.0],
        [2.0, 200.0, 1.0, 2.0, 9.0],
    ]
    headline = frame[frame["metric"] == "reconstruction_c=2"]
    assert headline["score"].tolist() == [4 / 9] * 2  # 0, .5, 1, 1.5 lie below 2
    assert headline["is_preferred"].all()
    validate(frame, RESULTS)


def test_two_models_for_one_place_are_an_error():
    """The key of RESULTS holds for what is trained, too."""
    models = [finished_autoencoder(2, 0, 4.0)] * 2
    with pytest.raises(TableError, match="repeat the key"):
        results_frame(models, blank(), plan=Plan(), anchors={"autoencoder": 2})


def test_written_results_come_back_as_they_were(tmp_path, shipped):
    """CSV and back: the same frame, and the same bytes as in the package."""
    vision.write_results(shipped, tmp_path / "results.csv")
    again = vision.read_results(tmp_path / "results.csv")
    assert again.astype(str).equals(shipped.astype(str))
    from importlib.resources import files

    packaged = (files("bigbench_meta") / "data" / "vision" / "results.csv").read_bytes()
    assert (tmp_path / "results.csv").read_bytes() == packaged


@pytest.mark.parametrize(("text", "says"), [("task,metric\na,b\n", "family"), ("", "cannot be read")])
def test_a_table_of_another_kind_is_refused(tmp_path, text, says):
    """The message names the file and what is missing."""
    path = tmp_path / "other.csv"
    path.write_text(text)
    with pytest.raises(TableError, match=says):
        vision.read_results(path)


# What comes with the package


def test_shipped_results_are_results_rows_with_five_trials_each(shipped):
    """Every size of every family was trained five times, and every trial has every metric of its task."""
    validate(shipped, RESULTS)
    counts = shipped.groupby(["family", "model"], observed=True)["trial"].nunique()
    assert (counts == 5).all()
    rows = shipped.groupby(["task", "metric"], observed=True).size()
    sizes = shipped.groupby("task", observed=True)["model"].nunique()
    for (task, metric), n in rows.items():
        assert n == 5 * sizes[task], metric
    assert shipped["score"].notna().all()


def test_shipped_ladders_hold_three_sizes_within_every_rise_that_decides(shipped):
    """Between 10% and 90% of the rise lie at least three sizes, for the smooth and the hard metric of each figure."""
    for family, metrics in DECIDING.items():
        rows = shipped[shipped["family"] == family]
        hard = rows.loc[rows["is_preferred"], "metric"].iloc[0]
        for metric in (metrics[0], hard):
            assert sizes_within_rise(mean_by_scale(rows, metric)["score"].to_numpy()) >= 3, (family, metric)


def test_shipped_lenets_span_three_decades_of_parameters(shipped):
    """From 45 to 53,002 parameters, counted by hand: 10 + 10 + 5 + 20, and 320 + 18,496 + 32,896 + 1,290."""
    params = shipped.loc[shipped["family"] == "lenet", "scale"]
    assert (params.min(), params.max()) == (45, 53002)


def test_headline_threshold_is_the_middle_of_the_stated_quantiles(shipped):
    """Seven thresholds, ascending with the quantiles; the headline is that of the median."""
    table = threshold_table(shipped)
    assert len(table) == len(QUANTILES) == 7
    assert table["is_headline"].tolist() == [q == 0.5 for q in QUANTILES]
    assert table["c"].tolist() == vision.shipped_provenance()["thresholds"]["c"]


def test_hard_metric_from_smooth_results(shipped):
    """Mean squared error falls a little at every size; the share reconstructed stays near 0, then jumps to 1."""
    rows = shipped[shipped["family"] == "autoencoder"]
    error = mean_by_scale(rows, "mean_squared_error")["score"].to_numpy()
    assert (np.diff(error) < 0).all()
    for metric in threshold_table(shipped)["metric"]:
        share = mean_by_scale(rows, metric)["score"].to_numpy()
        assert share[0] < 0.01
        assert share[-1] > 0.99
    tight = mean_by_scale(rows, threshold_table(shipped)["metric"].iloc[0])["score"].to_numpy()
    assert (tight[:5] < 1 / 719).all()  # less than one test image, averaged over trials


def test_smooth_metric_from_hard_results(shipped):
    """The fifth root of all-5-right gives back per-image accuracy wherever all-5-right is not lost in 0 of n."""
    rows = shipped[shipped["family"] == "transformer"]
    hard = mean_by_scale(rows, "sequence_accuracy_5")["score"].to_numpy()
    smooth = mean_by_scale(rows, "accuracy")["score"].to_numpy()
    seen = hard > 1 / 143
    assert (~seen).sum() == 1  # the smallest model: .1^5 cannot be seen with 143 sequences, so no root undoes it
    # Mean over five trials of a fifth power is not the fifth power of the mean; 0.02 covers it away from the bottom.
    assert hard[seen][1:] ** 0.2 == pytest.approx(smooth[seen][1:], abs=0.02)


def test_measured_subsets_follow_the_closed_form_only_when_drawn_at_random(shipped):
    """Random subsets stay within .01 of the mean of acc^5 over trials; subsets of one class exceed it by a lot."""
    rows = shipped[shipped["family"] == "lenet"]
    accuracy = rows[rows["metric"] == "accuracy"].set_index(["scale", "trial"])["score"]
    expected = (accuracy**5).groupby("scale").mean()
    random, alike = (
        rows[rows["metric"] == name].groupby("scale")["score"].mean()
        for name in ("subset_accuracy_5", "subset_accuracy_5_same_class")
    )
    assert (random - expected).abs().max() < 0.01
    assert (alike - expected).max() > 0.1


def test_the_toolkit_scores_vision_curves_unchanged(tmp_path, shipped):
    """Registered rows give each curve its direction; squared error goes down, so its emergence score is negative."""
    path = tmp_path / "registry.csv"
    vision.registry_rows(shipped).to_csv(path, index=False)
    curves = bm.score_curves(shipped, registry=bm.metrics(path)).set_index("metric")
    assert curves.loc["mean_squared_error", "direction"] == "lower"
    assert curves.loc["mean_squared_error", "emergence_score"] < 0
    assert set(curves["direction"].astype(str)) == {"higher", "lower"}
    assert curves["emergence_score"].notna().all()
    assert curves.loc["mean_squared_error", "n_scales"] == 16


def test_items_name_the_resolution_of_each_metric(shipped):
    """719 test images; five at a time they make 143 disjoint groups."""
    table = vision.items(shipped).set_index(["task", "metric"])["n_items"]
    assert table[("digits_classification", "accuracy")] == 719
    assert table[("digits_classification", "subset_accuracy_5")] == 143
    assert table[("digits_sequences", "sequence_accuracy_5")] == 143


def test_swapping_metrics_of_vision_curves_works_unchanged(shipped):
    """The toolkit sets squared error beside reconstruction, turned so that larger is better."""
    import pandas as pd

    from bigbench_meta.analysis.tasks.swaps import swap_pairs

    registry = pd.concat([bm.metrics(), vision.registry_rows(shipped)], ignore_index=True)
    table = swap_pairs(bm.score_curves(shipped, registry=registry), pairs=vision.metric_pairs(shipped))
    pair = table.set_index("family").loc["autoencoder"]
    assert (pair["hard"], pair["soft"]) == ("reconstruction_c=1.27", "mean_squared_error")
    assert pair["emergence_score_soft"] > 0
    assert len(table) == 3


def test_calibration_judges_the_shipped_curves_as_it_did(shipped):
    """The headline curves, judged again with 199 draws (p <= .01 must be within reach), keep the shipped verdict: sharp, and no surprise.

    The implied exponents of accuracy and of its fifth power agree, as the theory says: target length drops out.
    """
    rows = shipped[shipped["family"] == "transformer"]
    rows = rows[rows["metric"].isin(["accuracy", "sequence_accuracy_5", "log_likelihood"])]
    again = vision.calibrate(rows, rng=np.random.default_rng(0), draws=199).set_index("metric")
    table = vision.shipped_calibration()
    before = table[table["family"] == "transformer"].set_index("metric").loc[again.index]
    assert again["verdict"].tolist() == before["verdict"].tolist()
    assert again["implied_exponent"].to_numpy() == pytest.approx(before["implied_exponent"].to_numpy(), nan_ok=True)
    assert again.loc["log_likelihood", "verdict"] == "undecided"  # no items, so no noise
    assert again.loc["accuracy", "implied_exponent"] == pytest.approx(
        again.loc["sequence_accuracy_5", "implied_exponent"], rel=0.2
    )


def test_shipped_calibration_covers_every_curve_of_the_figures(shipped):
    """All metrics but those of alike groups; nothing that was judged is called emergent."""
    table = vision.shipped_calibration()
    metrics = {m for m in shipped["metric"].astype(str) if not m.endswith(("_same_class", "_neighbours"))}
    assert set(table["metric"]) == metrics
    assert not table["emergent"].fillna(value=False).any()


def test_a_stopped_ladder_is_judged_on_its_sizes_only(shipped):
    """What lies beyond the stop does not matter: five sizes seen, whatever the others do."""
    rows = shipped[(shipped["family"] == "transformer") & shipped["metric"].isin(["accuracy", "sequence_accuracy_5"])]
    five = rows[rows["scale"] <= np.unique(rows["scale"])[4]]
    table = vision.stopped_ladders(five, rng=np.random.default_rng(0), draws=39)
    assert set(table["stopped_at"]) == {rows["scale"].drop_duplicates().nsmallest(5).max()}
    assert set(table["n_scales"]) == {5}
    assert list(table["metric"]) == ["accuracy", "sequence_accuracy_5"]
