"""The three predictions on outputs with planted truth, on real outputs, and on tables of scores."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from bigbench_meta.cli import main
from bigbench_meta.emergence import emergence_floored, emergence_score, observed_width
from bigbench_meta.errors import LoadError, TableError
from bigbench_meta.experiments.predictions import by_items as growth
from bigbench_meta.experiments.predictions import by_length as lengths
from bigbench_meta.experiments.predictions import by_length_one as length_one
from bigbench_meta.experiments.predictions import by_metric as metric
from bigbench_meta.experiments.predictions import constant, through_metric
from bigbench_meta.experiments.predictions.outputs import load_outputs
from bigbench_meta.experiments.predictions.score_tables import load_scores
from bigbench_meta.experiments.predictions.together import judge_outputs, judge_scores
from bigbench_meta.jobs.experiments import prediction_figures

SCALES = np.logspace(3, 5, 9)


def frame(rows: list[tuple]) -> pd.DataFrame:
    names = ["task", "subtask", "family", "model", "scale", "item", "target", "length", "hit", "distance", "pass"]
    made = pd.DataFrame(rows, columns=names)
    return made.assign(right=made["length"] - made["distance"])


def tokens(rng, *, successes, length, n, subtask="t", passes=False, shared=0.0):
    """Items whose tokens are right independently with each model's success; ``shared`` makes whole items fail together."""
    rows = []
    for scale, p in zip(SCALES, successes, strict=False):
        right = rng.random((n, length)) < p
        right &= (rng.random((n, 1)) >= shared) | np.zeros((n, length), bool)
        wrong = (~right).sum(axis=1)
        for i in range(n):
            chance = p**length if passes else np.nan
            target = "".join(np.random.default_rng([length, i]).choice(list("ABCDEFGHIJ"), length))
            rows.append(
                ("t", subtask, "f", f"m{scale:.0f}", scale, i, target, length, float(wrong[i] == 0), wrong[i], chance)
            )
    return frame(rows)


def test_floored_score_is_the_score_without_a_floor():
    """With no floor in the way it is E exactly; a clean step gets its rise over the floor instead of infinity."""
    y = np.array([0.0, 0.1, 0.1, 0.3, 0.9])
    assert emergence_floored(y, resolution=1e-9) == pytest.approx(emergence_score(y))
    assert emergence_floored(np.array([0.0, 0, 0, 1]), resolution=0.01) == pytest.approx(100)


def test_width_in_decades_by_hand():
    """A straight line over two decades passes 10% to 90% in 1.6; a step between two scales in .8 of their distance."""
    assert observed_width(np.logspace(0, 2, 3), np.array([0.0, 0.5, 1])) == pytest.approx(1.6)
    assert observed_width(np.logspace(0, 3, 4), np.array([0.0, 0, 1, 1])) == pytest.approx(0.8)
    assert np.isnan(observed_width(np.logspace(0, 2, 3), np.ones(3)))


def judged(items, *, draws=99, seed=0):
    """The one row of prediction 1."""
    (row,) = metric.metric_pairs(items, rng=np.random.default_rng(seed), draws=draws)[0].to_dict("records")
    return row


def law(alpha, *, scales=SCALES, middle=1e4):
    return np.exp(-((scales / middle) ** alpha))


def test_all_parts_hold_for_the_papers_model():
    """Independent tokens whose success follows a power law: sharper, explained and smooth, with the planted exponent."""
    items = tokens(np.random.default_rng(0), successes=law(-0.5), length=10, n=600)
    row = judged(items, draws=199)
    assert row["looks_sharper"] == row["smooth"] == "confirmed"
    assert row["explained"] == "explained"
    assert row["ratio_low"] > 1
    assert row["token_exponent_low"] < -0.5 < row["token_exponent_high"]
    assert row["departure_low"] < 0 < row["departure_high"]
    assert row["emergence_accuracy_low"] <= row["emergence_accuracy"] <= row["emergence_accuracy_high"]


def test_no_bound_is_set_on_the_exponent():
    """A law ten times as steep as that of language-model loss is a law all the same."""
    row = judged(tokens(np.random.default_rng(1), successes=law(-1.5), length=5, n=600))
    assert row["smooth"] == "confirmed"
    assert row["explained"] == "explained"


@pytest.mark.parametrize("low", [0.05, 0.3])
def test_a_true_step_of_the_tokens_is_not_explained(low):
    """Token success itself jumps in one size: accuracy follows it, and the metric explains nothing."""
    row = judged(tokens(np.random.default_rng(2), successes=[low] * 4 + [0.98] * 5, length=4, n=300))
    assert row["through_metric"] == "follows"
    assert row["smooth"] == "not confirmed"
    assert row["explained"] == "not explained"
    assert "the per-token measure has the step itself" in row["explained_sentence"]
    assert row["excess_scale"] == SCALES[4]


def test_errors_that_come_together_are_not_explained():
    """All tokens of an output right or wrong together: accuracy is p, far above p ** L, and where and how much is said."""
    items = tokens(np.random.default_rng(3), successes=law(-0.5), length=5, n=600)
    whole = np.random.default_rng(4).random(len(items)) < items["scale"].map(dict(zip(SCALES, law(-0.5), strict=True)))
    items = items.assign(hit=whole.astype(float), distance=5.0 * ~whole, right=5 * whole)
    row = judged(items)
    assert row["explained"] == "not explained"
    assert "errors come together" in row["explained_sentence"]
    expected = law(-0.5) - law(-0.5) ** 5
    assert row["departure"] == pytest.approx(expected.max(), abs=0.06)


def test_parts_of_one_token_targets():
    """With one token the two metrics are one number: nothing to compare or to explain, and the law is still judged."""
    row = judged(tokens(np.random.default_rng(5), successes=law(-0.5), length=1, n=2000))
    assert row["looks_sharper"] == row["explained"] == "undecided"
    assert row["ratio"] == pytest.approx(1)
    assert row["smooth"] == "confirmed"


def test_less_sharp_is_held_against_the_claim_only_where_the_model_says_otherwise():
    """Token success from .5 to .99: p ** 5 is straighter than p itself, so a ratio below 1 speaks for the model."""
    items = tokens(np.random.default_rng(6), successes=1 - np.logspace(-0.3, -2, 9), length=5, n=3000)
    row = judged(items, draws=199)
    assert row["ratio_high"] < 1
    assert row["ratio_implied_high"] < 1
    assert row["looks_sharper"] == "undecided"
    assert "does not imply that it should" in row["looks_sharper_sentence"]
    # the same closeness with straight accuracy where p ** 5 bends
    items = tokens(np.random.default_rng(7), successes=np.linspace(0.45, 0.97, 9), length=10, n=600)
    rank = items.groupby("scale")["item"].rank(pct=True)
    straight = items["scale"].rank(method="dense") / 10
    row = judged(items.assign(hit=(rank <= straight).astype(float)), draws=199)
    assert row["looks_sharper"] != "confirmed"


@pytest.mark.parametrize("successes", [[0.0] * 9, [0.9] * 3])
def test_prediction_1_undecided_with_reason(successes):
    """No hit anywhere, or three scales: undecided in every part, and the reason is said."""
    row = judged(tokens(np.random.default_rng(3), successes=successes, length=3, n=50))
    for part in metric.PARTS.values():
        assert row[part] == "undecided"
    assert "no output is ever right" in row["explained_sentence"] or "3 scales" in row["explained_sentence"]


def test_implied_accuracy_by_hand():
    """3 of 4 tokens right: two places drawn are both right with chance 3/4 * 2/3; three of four with 3/4 * 2/3 * 1/2."""
    hit, length = np.array([1.0, 0.0]), np.array([2.0, 2.0])
    found = through_metric.implied_accuracy(hit, np.array([2.0, 1.0]), length)
    assert (found.success, found.accuracy, found.departure) == (0.75, 0.5, 0.0)
    mixed = through_metric.implied_accuracy(hit, np.array([1.0, 2.0]), np.array([1.0, 3.0]))
    assert mixed.accuracy == pytest.approx((3 / 4 + 1 / 4) / 2)


def test_implied_accuracy_has_no_bias_and_an_honest_error():
    """Over 400 draws of independent tokens the departure averages 0, and its standard error is its standard deviation."""
    rng, length = np.random.default_rng(8), np.full(40, 4.0)
    departures, errors = [], []
    for _ in range(400):
        right = rng.random((40, 4)) < 0.8
        found = through_metric.implied_accuracy(right.all(axis=1).astype(float), right.sum(axis=1), length)
        departures.append(found.departure)
        errors.append(found.error)
    spread = np.std(departures)
    assert abs(np.mean(departures)) < 3 * spread / 20
    assert np.mean(errors) == pytest.approx(spread, rel=0.12)


def test_constant_tokens_by_hand():
    """A stands first twice of three, Y second twice of three: 4 of 6 tokens; words where lengths are not characters."""
    assert constant.constant_tokens(["AX", "AY", "BY"], np.array([2, 2, 2])) == pytest.approx(4 / 6)
    assert constant.constant_tokens(["one two", "one six"], np.array([2, 2])) == pytest.approx(3 / 4)


def test_large_sample_is_read_as_shipped():
    """The reader of the large sample finds 20,000 items a model and the hits that the shipped counts state."""
    from bigbench_meta.experiments.ladder.packaged import packaged_large_counts
    from bigbench_meta.experiments.predictions.outputs import packaged_large_items

    found = packaged_large_items().groupby(["family", "model"])["hit"].agg(["size", "sum"])
    counts = packaged_large_counts()
    counts = counts[counts["task"] == "contextual_substitution"].set_index(["family", "model"]).sort_index()
    assert found["size"].eq(20_000).all()
    assert found["sum"].sort_index().to_numpy().tolist() == counts["hits"].to_numpy(float).tolist()


def test_exact_interval_by_hand():
    """No hit in n: the upper end is 1 - .025^(1/n); all hits: the mirror image; else as scipy's own exact interval."""
    from scipy.stats import binomtest

    assert growth.exact_interval(0, 100) == (0.0, pytest.approx(1 - 0.025 ** (1 / 100)))
    assert growth.exact_interval(100, 100) == (pytest.approx(0.025 ** (1 / 100)), 1.0)
    expected = binomtest(7, 50).proportion_ci(method="exact")
    assert growth.exact_interval(7, 50) == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_constant_answer_by_place():
    """The commonest character at each place can beat the commonest target: A and X are commonest though AX stands once."""
    assert constant.constant_answer(["AX", "AY", "AZ", "BX", "CX", "AX"]) == ("AX", 2)
    assert constant.constant_answer(["7", "7", "8"]) == ("7", 2)


def test_prediction_2_confirmed_where_planted():
    """Success .004 shows nothing in 100 items of most models and about 24 hits in 6,000; no constant answer has above 1."""
    rng = np.random.default_rng(4)
    items = tokens(rng, successes=[0.004, 0.004, 0.004, 0.9], length=1, n=6000)
    items["target"] = [f"{i:04d}" for i in items["item"]]
    points, models, families = growth.item_growth(items, rng=rng, draws=9)
    (family,) = families.to_dict("records")
    assert family["small_models"] >= 1
    assert family["verdict"] == "confirmed"
    assert models["constant_hits"].max() == 1
    nested = points[points["model"] == points["model"].iloc[0]]
    assert nested["n"].tolist() == [10, 30, 100, 300, 1000, 3000, 6000]
    assert nested["hits"].is_monotonic_increasing
    assert (nested["resolution"] * nested["n"]).eq(1).all()


def test_prediction_2_counts_what_the_model_expects():
    """Success .1 a token and targets of 10 tokens: 1e-10 a target. No hit in 2,000 items is no evidence, and that is said."""
    items = tokens(np.random.default_rng(4), successes=[0.1] * 4, length=10, n=2000)
    _, models, families = growth.item_growth(items, rng=np.random.default_rng(0), draws=9)
    assert families["verdict"].iloc[0] == "undecided"
    assert families["not_resolvable"].iloc[0] == 4
    assert "not resolvable with 2000 items" in families["sentence"].iloc[0]
    assert models["expected_hits"].max() < 1e-5
    assert models["items_needed"].min() > 1e9


def test_prediction_2_not_confirmed_where_expected_hits_stay_away():
    """Right tokens that never fall on one output: p ** L promises some 19 hits in 2,000 items, and there is none."""
    n = 2000
    items = tokens(np.random.default_rng(5), successes=[0.1], length=2, n=n)
    right = (np.arange(n) % 5 == 0).astype(float)  # one of two tokens in every fifth item: p = .1, no whole output
    items = items.assign(hit=0.0, right=right, distance=2 - right, target=[f"{i:04d}" for i in range(n)])
    _, models, families = growth.item_growth(items, rng=np.random.default_rng(0), draws=9)
    assert models["expected_hits"].iloc[0] == pytest.approx(20, rel=0.02)
    assert models["power"].iloc[0] > 0.95
    assert families["verdict"].iloc[0] == "not confirmed"


def test_wins_needed_by_hand():
    """Against no hit of the constant answer five wins in a row: .5 ** 5 = .031 <= .05; at a level of .01 seven."""
    assert growth._wins_needed(0, level=0.05) == 5
    assert growth._wins_needed(0, level=0.01) == 7


def test_prediction_2_undecided_with_few_items():
    """200 items are not ten times 100."""
    rng = np.random.default_rng(5)
    _, _, families = growth.item_growth(tokens(rng, successes=[0.0], length=1, n=200), rng=rng, draws=9)
    assert families["verdict"].iloc[0] == "undecided"
    assert "fewer than the 1000" in families["sentence"].iloc[0]


def test_pass_rate_from_probabilities_and_from_hits():
    """With probabilities it is their mean; without, the (r - 1)/(k - 1) of inverse sampling, near the planted .2."""
    rng = np.random.default_rng(6)
    items = tokens(rng, successes=[0.2], length=1, n=2000, passes=True)
    _, models, _ = growth.item_growth(items, rng=rng, draws=99)
    assert models["pass_source"].iloc[0] == "probability"
    assert models["pass_rate"].iloc[0] == pytest.approx(0.2)
    _, models, _ = growth.item_growth(items.assign(**{"pass": np.nan}), rng=rng, draws=99)
    row = models.iloc[0]
    assert row["pass_source"] == "items until hits"
    assert row["pass_low"] < 0.2 < row["pass_high"]


def many_lengths(rng, p, *, n=400, shared=0.0):
    parts = [tokens(rng, successes=[p], length=k, n=n, shared=shared, subtask=f"t:{k}") for k in range(1, 9)]
    return pd.concat(parts, ignore_index=True)


def test_prediction_3_confirmed_where_planted():
    """Independent tokens with success .8: slope log .8 of accuracy and .2 of distance, both forms not rejected."""
    rng = np.random.default_rng(7)
    points, models, families = lengths.length_forms(many_lengths(rng, 0.8), rng=rng, draws=199)
    (row,) = models.to_dict("records")
    assert row["verdict"] == families["verdict"].iloc[0] == "confirmed"
    assert row["log_slope_low"] < np.log(0.8) < row["log_slope_high"]
    assert row["slope_low"] < 0.2 < row["slope_high"]
    assert min(row["accuracy_p"], row["distance_p"], row["accuracy_curvature_p"]) > 0.01
    assert len(points) == 8


def test_prediction_3_not_confirmed_for_shared_failures():
    """Where whole items fail together, accuracy hardly depends on length: the geometric form does not explain it."""
    rng = np.random.default_rng(8)
    items = many_lengths(rng, 0.995, shared=0.4, n=800)
    half = items["length"] >= 5
    items.loc[half & (items["item"] % 2 == 0), ["hit", "distance"]] = [0.0, 1.0]
    _, models, _ = lengths.length_forms(items, rng=rng, draws=99)
    assert models["verdict"].iloc[0] == "not confirmed"
    assert models["accuracy_p"].iloc[0] <= 0.05


def test_prediction_3_is_not_turned_down_by_item_noise():
    """Twelve items a length leave a true geometric law below 90% in some draws: undecided there, unless it is rejected."""
    rng = np.random.default_rng(3)
    kept = []
    for _ in range(15):
        _, models, _ = lengths.length_forms(many_lengths(rng, 0.85, n=12), rng=rng, draws=99)
        kept += models.to_dict("records")
    short = [row for row in kept if min(row["accuracy_explained"], row["distance_explained"]) < 0.9]
    rejected = [
        row
        for row in short
        if min(row[f"{form}_{p}"] for form in ("accuracy", "distance") for p in ("p", "curvature_p")) <= 0.05
    ]
    assert len(short) > len(rejected)
    assert all(row["verdict"] == "undecided" for row in short if row not in rejected)
    assert any("which item noise can do to an exact form" in row["sentence"] for row in short)


def test_log_link_fit_agrees_with_statsmodels():
    """The same binomial regression with a log link by statsmodels: coefficients and deviance."""
    import statsmodels.api as sm
    from statsmodels.tools.sm_exceptions import DomainWarning

    n, hits = np.array([50.0, 60, 70, 80]), np.array([40.0, 38, 30, 25])
    design = np.column_stack([np.ones(4), np.arange(1, 5)])
    mine = lengths.log_link_fit(design, (hits / n)[None], n)[0]
    family = sm.families.Binomial(link=sm.families.links.Log())
    with pytest.warns(DomainWarning):  # statsmodels does not hold the share below 1; here it stays there by itself
        other = sm.GLM(np.column_stack([hits, n - hits]), design, family=family).fit(start_params=[-0.1, -0.2])
    np.testing.assert_allclose(mine, other.params, rtol=1e-5)
    deviance = lengths.binomial_deviance(hits / n, np.exp(design @ mine), n)
    assert float(deviance) == pytest.approx(other.deviance, rel=1e-6)


def test_run_on_outputs_are_capped_and_counted():
    """One output that runs on for 500 tokens is capped at the target's length; the mean without the cap is kept."""
    rng = np.random.default_rng(9)
    items = many_lengths(rng, 0.8, n=50)
    items.loc[len(items) - 1, ["hit", "distance"]] = [0.0, 500.0]
    points, models, _ = lengths.length_forms(items, rng=rng, draws=9)
    assert models["capped_items"].iloc[0] == 1
    last = points[points["length"] == 8].iloc[0]
    assert last["raw_distance"] > 9 > last["distance"]


def test_length_one_predicts_longer_targets():
    """Independent tokens at four sizes: a ** L and L d of length 1 explain all, by numbers worked out here as well."""
    rng = np.random.default_rng(11)
    parts = [tokens(rng, successes=[0.3, 0.6, 0.8, 0.95], length=k, n=1000, subtask=f"t:{k}") for k in range(1, 6)]
    points, _, _ = lengths.length_forms(pd.concat(parts, ignore_index=True), rng=rng, draws=0)
    families, by_length = length_one.from_length_one(points, rng=rng, draws=99)
    (row,) = families.to_dict("records")
    assert row["verdict"] == "confirmed"
    one = points[points["length"] == 1].set_index("model")["accuracy"]
    longer = points[points["length"] > 1]
    residual = longer["accuracy"] - one[longer["model"]].to_numpy() ** longer["length"]
    r2 = 1 - (residual**2).sum() / ((longer["accuracy"] - longer["accuracy"].mean()) ** 2).sum()
    assert row["accuracy_r2"] == pytest.approx(r2)
    five = by_length[by_length["length"] == 5].iloc[0]
    assert five["emergence_predicted"] == pytest.approx(emergence_floored(one.to_numpy() ** 5, resolution=1e-3))


def test_length_one_does_not_predict_outputs_that_fail_whole():
    """Where length costs nothing, accuracy at length 5 is that at length 1 and not its fifth power."""
    rng = np.random.default_rng(12)
    parts = []
    for k in range(1, 6):
        part = tokens(rng, successes=[0.3, 0.6, 0.8, 0.95], length=k, n=400, subtask=f"t:{k}")
        whole = rng.random(len(part)) < part["scale"].map(dict(zip(SCALES, [0.3, 0.6, 0.8, 0.95], strict=False)))
        parts.append(part.assign(hit=whole.astype(float), distance=float(k) * ~whole))
    points, _, _ = lengths.length_forms(pd.concat(parts, ignore_index=True), rng=rng, draws=0)
    families, _ = length_one.from_length_one(points, rng=rng, draws=99)
    assert families["verdict"].iloc[0] == "not confirmed"
    assert families["accuracy_p"].iloc[0] == pytest.approx(0.01)


def test_length_one_undecided_without_short_targets():
    """Without targets of one token there is nothing to predict from."""
    rng = np.random.default_rng(13)
    items = pd.concat([tokens(rng, successes=[0.8], length=k, n=50) for k in (2, 3, 4, 5)], ignore_index=True)
    points, _, _ = lengths.length_forms(items, rng=rng, draws=0)
    families, by_length = length_one.from_length_one(points, rng=rng, draws=9)
    assert families["verdict"].iloc[0] == "undecided"
    assert "no targets of length 1" in families["sentence"].iloc[0]
    assert by_length.empty


@pytest.mark.real
def test_word_sorting_of_a_real_model(shared_data):
    """One large model's word lists: distance about linear, accuracy not geometric, and one of 250 outputs runs on."""
    outputs = load_outputs([shared_data / "bbh_code_davinci_002_outputs.jsonl"])
    assert outputs.units["word_sorting"] == "word"
    items = outputs.items[outputs.items["task"] == "word_sorting"]
    assert items["hit"].sum() == 126
    _, models, _ = lengths.length_forms(items, rng=np.random.default_rng(0), draws=199)
    (row,) = models.to_dict("records")
    assert row["distance_explained"] > 0.95
    assert row["accuracy_explained"] < 0.9
    assert row["verdict"] == "not confirmed"


@pytest.mark.real
def test_scores_of_real_models(shared_data):
    """Published scores of up to 24 models: no family has four sizes, so families are undecided and pooled ones marked."""
    table = load_scores(shared_data / "on_emergence_scores.csv", models=shared_data / "on_emergence_models.csv").table
    assert table["accuracy"].between(0, 1).all()
    assert table["scale"].max() == 175e9
    pairs = judge_scores(table, rng=np.random.default_rng(0), draws=99).tables["prediction_1"]
    own = pairs[pairs["family"] != metric.POOLED]
    assert (own["looks_sharper"] == "undecided").all()
    pooled = pairs[(pairs["family"] == metric.POOLED) & pairs["emergence_distance"].notna()]
    assert len(pooled) > 30
    assert pooled["looks_sharper_sentence"].str.startswith("Exploratory").all()
    assert (pooled["explained"] == "undecided").all()


@pytest.mark.parametrize(("n_items", "verdict"), [(500, "confirmed"), (np.nan, "undecided")])
def test_scores_of_a_straight_and_a_sharp_metric(n_items, verdict):
    """Accuracy far above a straight line's E beside a straight distance looks sharper; without items there is no interval."""
    scores = pd.DataFrame(
        {
            "task": "t",
            "family": "f",
            "model": [f"m{i}" for i in range(9)],
            "scale": SCALES,
            "accuracy": np.linspace(0.1, 0.95, 9) ** 12,
            "distance": np.linspace(5, 1, 9),
            "n_items": n_items,
            "repeats": 1,
        }
    )
    (row,) = judge_scores(scores, rng=np.random.default_rng(0)).tables["prediction_1"].to_dict("records")
    assert row["looks_sharper"] == verdict
    assert row["explained"] == row["smooth"] == "undecided"
    assert "needs outputs item by item" in row["explained_sentence"]
    assert row["emergence_distance"] == pytest.approx(8)


def test_tables_of_scores_in_both_shapes(tmp_path):
    """Wide and long tables of the same scores give the same rows; percentages are brought to shares."""
    wide = pd.DataFrame(
        {"model": ["a", "b"], "params_billion": [1, 2], "exact_match": [10.0, 50.0], "edit_distance": [3.0, 1.0]}
    )
    wide.to_csv(tmp_path / "w.csv", index=False)
    long = wide.rename(columns={"exact_match": "exact_str_match", "edit_distance": "token_edit_distance"}).assign(
        scale=wide["params_billion"] * 1e9, task="w"
    )
    long = long.melt(["model", "scale", "task"], ["exact_str_match", "token_edit_distance"], "metric", "score")
    long.to_csv(tmp_path / "l.csv", index=False)
    first, second = (load_scores(tmp_path / name).table for name in ("w.csv", "l.csv"))
    pd.testing.assert_frame_equal(
        first[["model", "scale", "accuracy", "distance"]], second[["model", "scale", "accuracy", "distance"]]
    )
    assert first["accuracy"].tolist() == [0.1, 0.5]


def test_missing_columns_are_all_named(tmp_path):
    """Every missing column is named with the names that would do, and what the table has."""
    pd.DataFrame({"model": ["a"], "score_a": [1]}).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(TableError, match=r"no column for accuracy .*for distance .*for scale .*it has model, score_a"):
        load_scores(tmp_path / "t.csv")
    (tmp_path / "o.csv").write_text("a,b\n1,2\n")
    with pytest.raises(LoadError, match="no column model and no column target"):
        load_outputs([tmp_path / "o.csv"])


def outputs_file(path):
    rng = np.random.default_rng(10)
    with path.open("w") as stream:
        for scale, p in zip(SCALES[::2], (0.3, 0.5, 0.7, 0.85, 0.95), strict=True):
            for length in range(1, 6):
                for i in range(40):
                    target = "".join(np.random.default_rng([length, i]).choice(list("ABCDE"), length))
                    output = "".join(c if rng.random() < p else "x" for c in target)
                    record = {
                        "model": f"m{scale:.0f}",
                        "family": "f",
                        "scale": scale,
                        "target": target,
                        "output": output,
                    }
                    stream.write(json.dumps(record | {"task": "t", "subtask": f"t:{length}"}) + "\n")
    return path


def test_same_seed_same_verdicts(tmp_path):
    """Two runs with one seed give the same tables to the byte, and figures where there is something to draw."""
    outputs = load_outputs([outputs_file(tmp_path / "o.jsonl")])
    first, second = (judge_outputs(outputs, rng=np.random.default_rng(1), draws=99) for _ in range(2))
    for name, table in first.tables.items():
        assert table.to_csv() == second.tables[name].to_csv()
    assert {name[:12] for name in prediction_figures(first)} >= {"prediction-1", "prediction-3"}
    words = {"confirmed", "not confirmed", "undecided", "explained", "not explained"}
    assert set(first.verdicts["verdict"]) <= words
    assert set(first.verdicts["prediction"]) == {"1a", "1b", "1c", "2", "3a", "3b"}


def test_commands_write_their_folders(tmp_path):
    """theory, rescore and predictions print the folder they wrote and refuse to write over it without --force."""
    source = str(outputs_file(tmp_path / "o.jsonl"))
    scores = tmp_path / "s.csv"
    scores.write_text("model,scale,exact_match,edit_distance\na,1,.1,2\nb,2,.2,1\n")
    runner = CliRunner()
    for command in (
        ["theory"],
        ["rescore", source, "--metric", "exact_str_match"],
        ["predictions", "--scores", str(scores)],
    ):
        out = tmp_path / f"out-{command[0]}"
        done = runner.invoke(main, [*command, "--out", str(out)])
        assert done.exit_code == 0, done.output
        assert done.stdout == f"{out}\n"
        assert (out / "provenance.json").is_file()
        again = runner.invoke(main, [*command, "--out", str(out)])
        assert again.exit_code == 1
        assert "--force" in again.stderr
    items = pd.read_parquet(tmp_path / "out-rescore" / "items")
    assert len(items) == 5 * 5 * 40
    assert (tmp_path / "out-theory" / "figures" / "theory.pdf").stat().st_size > 10_000


def test_variances_borrow_twenty_items():
    """Lengths 1 and 2, 11 items each, variances 0 and 3: slope 33 / 33 = 1; (10 * 0 + 20 * 1) / 30 and (10 * 3 + 20 * 2) / 30."""
    from bigbench_meta.experiments.predictions.by_length import _variances

    mixed, slope = _variances(np.array([0.0, 3.0]), np.array([1.0, 2.0]), np.array([11.0, 11.0]))
    assert slope == pytest.approx(1.0)
    assert mixed == pytest.approx([20 / 30, 70 / 30])
