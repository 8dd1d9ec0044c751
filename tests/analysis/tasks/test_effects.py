"""The effect of the metric across tasks: pooling against published figures, pairs by class, and the real sources."""

from __future__ import annotations

import json
import subprocess

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

import bigbench_meta as bm
from bigbench_meta.analysis.tasks.effects import _from_points, _measures, effects, pool, task_effects
from bigbench_meta.analysis.tasks.population_sentences import effect_sentences
from bigbench_meta.emergence import score_curves

HARD, SOFT = "exact_str_match", "per_token_accuracy"
SCALES = np.geomspace(1e6, 1e11, 12)


def results(scores, metric, *, family="F", shots=0) -> pd.DataFrame:
    """RESULTS from an array (task, scale)."""
    n = scores.shape[1]
    names = np.repeat([f"t{i}" for i in range(len(scores))], n)
    return pd.DataFrame(
        {"task": names, "subtask": names, "is_aggregate": False, "is_preferred": True, "metric": metric, "family": family,
         "shots": shots, "scale": np.tile(SCALES[:n], len(scores)), "score": scores.ravel()}
    )  # fmt: skip


def with_metrics(*rows) -> pd.DataFrame:
    """The registry with further metrics (name, direction, linearity)."""
    more = pd.DataFrame(rows, columns=["metric", "direction", "linearity"])
    both = pd.concat(
        [bm.metrics(), more.assign(task="", low=np.nan, high=np.nan, continuous="yes", source="test")],
        ignore_index=True,
    )
    return both.drop_duplicates(["metric", "task"], keep="last")


def both(frame, registry=None, **more) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Effects of each task and over tasks."""
    found = task_effects(score_curves(frame, registry=registry), frame, registry=registry, **more)
    return found, effects(found)


def test_pooling_against_the_published_trials_of_a_vaccine():
    """BCG trials (Colditz et al. 1994): metafor documents tau2 = .3180 for Paule-Mandel; Q(tau2) = k - 1 solved here anew."""
    effect = np.array(
        [
            -0.8893,
            -1.5854,
            -1.3481,
            -1.4416,
            -0.2175,
            -0.7861,
            -1.6209,
            0.0120,
            -0.4694,
            -1.3713,
            -0.3394,
            0.4459,
            -0.0173,
        ]
    )
    variance = np.array(
        [0.3256, 0.1946, 0.4154, 0.0200, 0.0512, 0.0069, 0.2230, 0.0040, 0.0564, 0.0730, 0.0124, 0.5325, 0.0714]
    )
    found = pool(effect, variance)
    assert found.tau**2 == pytest.approx(0.3180, abs=2e-4)

    def generalised_q(tau2):
        w = 1 / (variance + tau2)
        return float((w * (effect - (w @ effect) / w.sum()) ** 2).sum() - 12)

    tau2 = optimize.brentq(generalised_q, 0, 5)
    w = 1 / (variance + tau2)
    mean = float((w @ effect) / w.sum())
    # Hartung and Knapp: sum of w (y - mean)^2 / ((k - 1) sum of w).
    error = np.sqrt(float((w * (effect - mean) ** 2).sum()) / 12 / w.sum())
    reach = stats.t.ppf(0.975, 12) * error
    assert (found.effect, found.low, found.high) == pytest.approx((mean, mean - reach, mean + reach), abs=1e-5)
    assert found.q_heterogeneity == pytest.approx(152.23, abs=0.5)  # metafor's from unrounded data
    assert found.i_squared == pytest.approx(1 - 12 / found.q_heterogeneity)
    ahead = stats.t.ppf(0.975, 12) * np.hypot(effect.std(ddof=1), error)
    assert found.prediction_high == pytest.approx(mean + ahead, abs=1e-5)


def test_equal_weights_one_task_and_few():
    """Without variances the t interval of a mean; one task its own error and no more; two a mean and the reason."""
    effect = np.array([0.1, 0.2, 0.6])
    found = pool(effect, np.full(3, np.nan))
    interval = stats.t.interval(0.95, 2, effect.mean(), stats.sem(effect))
    assert (found.low, found.high) == pytest.approx(interval)
    assert found.p == pytest.approx(stats.ttest_1samp(effect, 0).pvalue)
    assert found.method == "equal weights, t"
    one = pool(np.array([0.3]), np.array([0.04]))
    assert (one.low, one.high) == pytest.approx((0.3 - 1.959964 * 0.2, 0.3 + 1.959964 * 0.2))
    assert (one.reason, np.isnan(one.prediction_low)) == ("one_task", True)
    two = pool(effect[:2], np.ones(2))
    assert (two.effect, two.reason) == (pytest.approx(0.15), "fewer_than_3_tasks")
    assert np.isnan(two.low)
    same = pool(np.full(4, 0.2), np.full(4, np.nan))
    assert (same.reason, np.isnan(same.p)) == ("no_variation", True)


def test_intervals_cover_the_mean_and_a_new_task():
    """Nine tasks, effects .3 with standard deviation .2, errors overstated by two: 95% of means and new tasks (3 errors)."""
    rng = np.random.default_rng(0)
    mean_in = new_in = 0
    for _ in range(600):
        variance = rng.uniform(0.01, 0.06, 10)
        measured = rng.normal(0.3, 0.2, 10) + rng.normal(0, np.sqrt(variance))
        found = pool(measured[:9], 2 * variance[:9])
        mean_in += found.low <= 0.3 <= found.high
        new_in += found.prediction_low <= measured[9] <= found.prediction_high
    error = 3 * np.sqrt(0.95 * 0.05 / 600)
    assert abs(mean_in / 600 - 0.95) <= error
    assert new_in / 600 >= 0.95 - error


def test_a_step_against_a_line_by_hand():
    """L / sqrt(M - 1) is 1 for a clean step and sqrt(11) for a line of 12; the largest rise is 1 and 1/11 of the range."""
    step, line = (np.arange(12) >= 6).astype(float), np.arange(12) / 11
    assert _measures(np.atleast_2d(step))[0] == pytest.approx([1.0, 1.0])
    assert _measures(np.atleast_2d(line))[0] == pytest.approx([np.sqrt(11), 1 / 11])
    assert np.isnan(_measures(np.atleast_2d(np.full(12, 0.4)))[0]).all()
    table, pooled = both(pd.concat([results(np.tile(step, (4, 1)), HARD), results(np.tile(line, (4, 1)), SOFT)]))
    whole = pooled[(pooled["family"] == "all") & (pooled["left_out"] == "")].set_index("measure")
    assert whole.loc["linearity", "effect"] == pytest.approx(np.sqrt(11) - 1)
    assert whole.loc["step_share", "effect"] == pytest.approx(1 / 11 - 1)
    assert table["variance"].isna().all()  # noiseless: nothing to weight by
    assert set(whole["method"]) == {"equal weights, t"}


def test_the_error_of_one_task_is_that_of_its_outputs():
    """The variance of a noisy pair is one to four times that of 300 draws, and small where both metrics share their errors."""
    rng = np.random.default_rng(1)
    line, other = np.linspace(0.2, 0.7, 12), np.linspace(0.2, 0.5, 12)
    own, shared = [], []
    for _ in range(300):
        noise = rng.normal(0, 0.02, (2, 12))
        own.append(_from_points((SCALES, line + noise[0]), (SCALES, other + noise[1]))["linearity"])
        shared.append(_from_points((SCALES, line + noise[0]), (SCALES, 0.5 * (line + noise[0])))["linearity"])
    effect, variance = np.array(own).T
    assert 1 <= variance.mean() / effect.var() <= 4
    assert np.abs(np.array(shared)[:, 0]).max() < 1e-9
    assert np.array(shared)[:, 1].mean() < 0.2 * variance.mean()
    few = _from_points((SCALES[:7], line[:7] + noise[0][:7]), (SCALES[:7], other[:7] + noise[1][:7]))
    assert np.isfinite(few["linearity"][0])
    assert np.isnan(few["linearity"][1])


def test_pairs_by_class_or_by_name():
    """Hard with smooth metrics of the same task, family and shots; two hard ones only if named; lower is better is turned."""
    rng = np.random.default_rng(2)
    rise = np.linspace(0.2, 0.7, 12) + rng.normal(0, 0.01, (4, 12))
    frame = pd.concat(
        [results(rise, HARD), results(rise, "multiple_choice_grade"), results(1 - rise, "calibration_multiple_choice_brier_score"),
         results(rise, SOFT, shots=2), results(rise, "normalized_aggregate_score"), results(rise, "unheard_of")]
    )  # fmt: skip
    table, _ = both(frame)
    brier = "calibration_multiple_choice_brier_score"
    assert set(zip(table["hard"], table["soft"], strict=True)) == {(HARD, brier), ("multiple_choice_grade", brier)}
    assert table["effect"].abs().max() < 1e-9  # the same curve, turned
    named, _ = both(frame, pairs=[(HARD, "multiple_choice_grade")])
    assert set(zip(named["hard"], named["soft"], strict=True)) == {(HARD, "multiple_choice_grade")}
    none, pooled = both(frame, pairs=[])
    assert len(none) == len(pooled) == 0


def test_families_subtasks_and_tasks_left_out():
    """Two families and five tasks: a row each, one over both, and one for each task left out; undefined pairs are counted."""
    rng = np.random.default_rng(3)
    step = np.where(np.arange(12) >= 6, 0.7, 0.2) + rng.normal(0, 0.01, (5, 12))
    line = np.linspace(0.2, 0.7, 12) + rng.normal(0, 0.01, (5, 12))
    line[4] = 0.5  # no change: undefined
    parts = [results(y, metric, family=family) for family in "FG" for y, metric in ((step, HARD), (line, SOFT))]
    table, pooled = both(pd.concat(parts, ignore_index=True))
    rows = pooled[pooled["measure"] == "linearity"]
    assert rows["family"].value_counts().to_dict() == {"all": 5, "F": 1, "G": 1}
    whole = rows[(rows["family"] == "all") & (rows["left_out"] == "")].iloc[0]
    assert (whole["n_tasks"], whole["n_pairs"], whole["n_undefined"]) == (4, 10, 2)
    assert whole["low"] > 0
    assert whole["method"] == "Paule-Mandel, Hartung-Knapp"
    each = table[(table["family"] == "F") & (table["measure"] == "linearity")].set_index("task")
    together = table[(table["family"] == "all") & (table["measure"] == "linearity")].set_index("task")
    assert together.loc["t0", "variance"] == pytest.approx(each.loc["t0", "variance"] / 2)  # the same curves twice
    assert together.loc["t0", "n_pairs"] == 2


def test_measures_of_the_analysis():
    """Widths and verdicts where the curves were analysed: a step of 1 decade against 3, sharp against not; untested is missing."""
    frame = pd.concat(
        [results(np.tile(np.linspace(0, 1, 12), (4, 1)), metric) for metric in (HARD, SOFT)], ignore_index=True
    )
    curves = score_curves(frame)
    hard = (curves["metric"].astype(str) == HARD).to_numpy()
    curves = curves.assign(
        width_decades=np.where(hard, 1.0, 3.0), verdict=np.where(hard, "sharp", "smooth"), p_sharp=0.5
    )
    curves.loc[(curves["task"].astype(str) == "t3").to_numpy() & ~hard, "p_sharp"] = np.nan
    table = task_effects(curves, frame)
    of_all = table[table["family"] == "all"]
    assert of_all.loc[of_all["measure"] == "width", "effect"].tolist() == [2.0] * 4
    assert of_all.loc[of_all["measure"] == "sharp", "effect"].tolist() == pytest.approx(
        [-1.0, -1.0, -1.0, np.nan], nan_ok=True
    )


def test_words():
    """An interval with its prediction and the range without any one task; one task alone; too few; and the number of further pairs."""
    base = {"hard": "a", "soft": "b", "measure": "linearity", "family": "all", "left_out": "", "n_tasks": 4, "effect": 0.5, "low": 0.1,
            "high": 0.9, "prediction_low": -0.4, "prediction_high": 1.4, "p": 0.02, "reason": ""}  # fmt: skip
    rows = [base, base | {"left_out": "x", "effect": 0.3}, base | {"left_out": "y", "effect": 0.6}]
    (said,) = effect_sentences(pd.DataFrame(rows))
    assert said == (
        "a against b of the same outputs, 4 tasks: L / sqrt(M - 1), 1 for a clean step, changes by 0.5 under the smooth metric (95% interval "
        "0.1 to 0.9, p = 0.02); a new task would show -0.4 to 1.4; without any one task it is 0.3 to 0.6."
    )
    (alone,) = effect_sentences(pd.DataFrame([base | {"n_tasks": 1, "reason": "one_task"}]))
    assert alone.endswith("changes by 0.5 (0.1 to 0.9, for that task alone).")
    (few,) = effect_sentences(pd.DataFrame([base | {"n_tasks": 2, "low": np.nan, "reason": "fewer_than_3_tasks"}]))
    assert few.endswith("fewer than 3 tasks, so there is no interval.")
    many = effect_sentences(pd.DataFrame([base | {"soft": name} for name in "bcdefg"]))
    assert len(many) == 5
    assert many[-1] == "2 further pairs of metrics are in the table of effects."
    assert effect_sentences(pd.DataFrame([base | {"measure": "sharp"}])) == []


def all_over(table, hard, soft, measure="linearity"):
    """The row over all families and tasks."""
    rows = table[(table["hard"] == hard) & (table["soft"] == soft) & (table["measure"] == measure)]
    return rows[(rows["family"] == "all") & (rows["left_out"] == "")].iloc[0]


@pytest.mark.real
def test_the_ladder_of_olmo(shared_data):
    """13 tasks, 25 final checkpoints by compute, accuracy against p, log p and bits per byte: all pairs, no task undefined."""
    table = pd.read_parquet(shared_data / "olmo_ladder.parquet")
    table = table[~table["task"].astype(str).str.startswith("loss_")]
    last = table[table["step"] == table.groupby("model", observed=True)["step"].transform("max")]
    frame = last.assign(
        task=last["task"].astype(str), subtask=last["task"].astype(str), family="OLMo-ladder", is_aggregate=False, is_preferred=True,
        scale=6.0 * last["scale"].astype(float) * last["tokens_b"].astype(float) * 1e9,
    )  # fmt: skip
    smooth = {"prob_correct": "higher", "logprob_correct": "higher", "bpb": "lower"}
    registry = with_metrics(
        ("acc", "higher", "discontinuous"), *((name, way, "linear") for name, way in smooth.items())
    )
    _, pooled = both(frame, registry)
    for name in smooth:
        row = all_over(pooled, "acc", name)
        assert (row["n_tasks"], row["n_undefined"], row["reason"]) == (13, 0, "")
        assert row["prediction_low"] < row["low"] < row["effect"] < row["high"] < row["prediction_high"]


@pytest.mark.real
def test_difficulty_slices_and_the_packaged_ladder(shared_data):
    """Accuracy against Brier on 9 tasks of several families; on the packaged ladder exact match against per-token accuracy."""
    table = pd.read_csv(shared_data / "difficulty_slices.csv")
    table = table[table["slice"] == "all"].assign(
        subtask=lambda each: each["task"], is_aggregate=False, is_preferred=True, shots=0
    )
    _, pooled = both(table, with_metrics(("acc", "higher", "discontinuous"), ("tc_brier", "lower", "linear")))
    assert all_over(pooled, "acc", "tc_brier")["n_tasks"] == 9
    assert (pooled.loc[pooled["left_out"] == "", "family"] != "all").sum() > 5
    from importlib.resources import files

    _, pooled = both(bm.load_results(str(files("bigbench_meta") / "data" / "ladder")).frame)
    row = all_over(pooled, HARD, SOFT)
    assert row["n_tasks"] == 4
    assert row["low"] > 0  # four tasks: exact match is the sharper metric


@pytest.mark.real
def test_lambada_of_pythia(shared_data, tmp_path):
    """One task, eight sizes at the last step: an effect with the interval of that task, and no word on others."""
    subprocess.run(
        ["git", "clone", "-q", str(shared_data / "pythia-evals.bundle"), str(tmp_path / "p")],
        check=True,
        capture_output=True,
    )
    sizes = {
        "70m": 19e6,
        "160m": 85e6,
        "410m": 302e6,
        "1b-bf16": 806e6,
        "1.4b": 1.2e9,
        "2.8b": 2.5e9,
        "6.9b": 6.4e9,
        "12b": 11.3e9,
    }
    rows = []
    for size, scale in sizes.items():
        (path,) = (tmp_path / "p" / "evals" / "pythia-v1" / f"pythia-{size}" / "zero-shot").glob("*step143000.json")
        found = json.loads(path.read_text())["results"]["lambada_openai"]
        rows += [("lambada", metric, scale, found[metric]) for metric in ("acc", "ppl")]
    frame = pd.DataFrame(rows, columns=["task", "metric", "scale", "score"])
    frame = frame.assign(subtask="lambada", is_aggregate=False, is_preferred=True, family="Pythia", shots=0)
    _, pooled = both(frame, with_metrics(("acc", "higher", "discontinuous"), ("ppl", "lower", "linear")))
    row = all_over(pooled, "acc", "ppl")
    assert (row["n_tasks"], row["reason"]) == (1, "one_task")
    assert row["low"] < row["effect"] < row["high"]
    assert np.isnan(row["prediction_low"])
