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
from bigbench_meta.experiments.predictions import by_metric as metric
from bigbench_meta.experiments.predictions.outputs import load_outputs
from bigbench_meta.experiments.predictions.score_tables import load_scores
from bigbench_meta.experiments.predictions.together import judge_outputs, judge_scores
from bigbench_meta.jobs.experiments import prediction_figures

SCALES = np.logspace(3, 5, 9)


def frame(rows: list[tuple]) -> pd.DataFrame:
    names = ["task", "subtask", "family", "model", "scale", "item", "target", "length", "hit", "distance", "pass"]
    return pd.DataFrame(rows, columns=names)


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


def test_prediction_1_confirmed_where_planted():
    """Token success rises in a straight line and targets have 10 tokens: accuracy is sharp, distance is straight."""
    rng = np.random.default_rng(0)
    items = tokens(rng, successes=np.linspace(0.45, 0.97, 9), length=10, n=300)
    (row,) = metric.metric_pairs(items, rng=rng, draws=199).to_dict("records")
    assert row["verdict"] == "confirmed"
    assert row["emergence_accuracy"] > 12 > row["emergence_distance"]
    assert row["ratio_low"] > 1
    assert row["n_scales"] == 9
    assert row["emergence_accuracy_low"] <= row["emergence_accuracy"] <= row["emergence_accuracy_high"]


def test_large_sample_is_read_as_shipped():
    """The reader of the large sample finds 20,000 items a model and the hits that the shipped counts state."""
    from bigbench_meta.experiments.ladder.packaged import packaged_large_counts
    from bigbench_meta.experiments.predictions.outputs import packaged_large_items

    found = packaged_large_items().groupby(["family", "model"])["hit"].agg(["size", "sum"])
    counts = packaged_large_counts()
    counts = counts[counts["task"] == "contextual_substitution"].set_index(["family", "model"]).sort_index()
    assert found["size"].eq(20_000).all()
    assert found["sum"].sort_index().to_numpy().tolist() == counts["hits"].to_numpy(float).tolist()


def test_prediction_1_not_confirmed_where_tokens_jump():
    """Token success itself jumps in one size: the smooth metric is sharp as well, and that is the verdict."""
    rng = np.random.default_rng(1)
    items = tokens(rng, successes=[0.3] * 4 + [0.98] * 5, length=4, n=300)
    (row,) = metric.metric_pairs(items, rng=rng, draws=199).to_dict("records")
    assert row["verdict"] == "not confirmed"
    assert "edit distance too is sharper than a smooth curve" in row["sentence"]
    assert row["line_verdict"] == "not confirmed"


def test_prediction_1_not_confirmed_for_single_tokens():
    """With one token the two metrics are one: accuracy cannot be the sharper."""
    rng = np.random.default_rng(2)
    items = tokens(rng, successes=np.linspace(0.1, 0.9, 9), length=1, n=400)
    (row,) = metric.metric_pairs(items, rng=rng, draws=99).to_dict("records")
    assert row["verdict"] != "confirmed"
    assert row["ratio"] == pytest.approx(1)


@pytest.mark.parametrize("successes", [[0.0] * 9, [0.9] * 3])
def test_prediction_1_undecided_with_reason(successes):
    """No hit anywhere, or three scales: undecided, and the reason is said."""
    rng = np.random.default_rng(3)
    (row,) = metric.metric_pairs(tokens(rng, successes=successes, length=3, n=50), rng=rng, draws=99).to_dict("records")
    assert row["verdict"] == "undecided"
    assert "no output is ever right" in row["sentence"] or "3 scales" in row["sentence"]


@pytest.mark.slow
def test_prediction_1_seldom_confirms_a_shared_curve():
    """One-token outputs, for which the prediction is false: at most 5 of 60 families are confirmed."""
    found = 0
    for seed in range(60):
        rng = np.random.default_rng([9, seed])
        items = tokens(rng, successes=np.linspace(0.1, 0.9, 9), length=1, n=200)
        found += metric.metric_pairs(items, rng=rng, draws=99)["verdict"].iloc[0] == "confirmed"
    assert found <= 5


def test_exact_interval_by_hand():
    """No hit in n: the upper end is 1 - .025^(1/n); all hits: the mirror image; else as scipy's own exact interval."""
    from scipy.stats import binomtest

    assert growth.exact_interval(0, 100) == (0.0, pytest.approx(1 - 0.025 ** (1 / 100)))
    assert growth.exact_interval(100, 100) == (pytest.approx(0.025 ** (1 / 100)), 1.0)
    expected = binomtest(7, 50).proportion_ci(method="exact")
    assert growth.exact_interval(7, 50) == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_constant_answer_by_place():
    """The commonest character at each place can beat the commonest target: A and X are commonest though AX stands once."""
    assert growth.constant_answer(["AX", "AY", "AZ", "BX", "CX", "AX"]) == ("AX", 2)
    assert growth.constant_answer(["7", "7", "8"]) == ("7", 2)


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


def test_prediction_2_not_confirmed_for_guesses():
    """A model that only ever says the commonest target has hits and is no better than that constant answer."""
    n = 2000
    targets = np.array(["7" if i % 150 == 149 else f"x{i}" for i in range(n)])
    hits = (targets == "7").astype(float)
    # in file order no hit in the first 100 is planted; the random order may move one there
    items = frame([("t", "t", "f", "m", 1e3, i, targets[i], 1, hits[i], 1 - hits[i], np.nan) for i in range(n)])
    for seed in range(20):
        _, models, families = growth.item_growth(items, rng=np.random.default_rng(seed), draws=9)
        assert models["p_above_constant"].iloc[0] == 1.0
        if families["small_models"].iloc[0]:
            assert families["verdict"].iloc[0] == "not confirmed"
            return
    pytest.fail("no order left the first 100 items without a hit")


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
    assert (own["verdict"] == "undecided").all()
    pooled = pairs[(pairs["family"] == metric.POOLED) & pairs["emergence_distance"].notna()]
    assert len(pooled) > 30
    assert pooled["sentence"].str.startswith("Exploratory").all()


def test_scores_of_a_straight_and_a_sharp_metric():
    """Wide tables without items: accuracy far above a straight line's E and a straight distance are confirmed."""
    scores = pd.DataFrame(
        {
            "task": "t",
            "family": "f",
            "model": [f"m{i}" for i in range(9)],
            "scale": SCALES,
            "accuracy": np.linspace(0.1, 0.95, 9) ** 12,
            "distance": np.linspace(5, 1, 9),
            "n_items": np.nan,
            "repeats": 1,
        }
    )
    (row,) = judge_scores(scores, rng=np.random.default_rng(0)).tables["prediction_1"].to_dict("records")
    assert row["line_verdict"] == "confirmed"
    assert row["verdict"] == "undecided"
    assert "needs the number of items" in row["sentence"]
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
    assert set(first.verdicts["verdict"]) <= {"confirmed", "not confirmed", "undecided"}


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
