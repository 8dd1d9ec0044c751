"""The packaged claims against the base rate: the published figures, and the permutation of the top two."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bigbench_meta.analysis.tasks.compare import hill, permuted_cases
from bigbench_meta.analysis.tasks.concentration import NAMED_PAIR, claims_concentration
from bigbench_meta.errors import AnalysisError
from bigbench_meta.facts.claims import ALIASES, belongs_to, claims, preferred_metrics

PAIR = " + ".join(NAMED_PAIR)


@pytest.fixture(scope="module")
def table():
    """Concentration of the packaged claims."""
    return claims_concentration(claims(), preferred_metrics(), rng=np.random.default_rng(1), draws=999)


def row(table, metrics, effect, comparison="claimed against all other tasks", strata=""):
    """The one row of that comparison."""
    found = table[
        (table["metrics"] == metrics)
        & (table["effect"] == effect)
        & (table["comparison"] == comparison)
        & (table["against"] == "")
        & (table["strata"] == strata)
    ]
    assert len(found) == 1
    return found.iloc[0]


def test_shares_beside_the_base_rate(table):
    """63 of 67 claims (94.0%) use one of the two metrics; 158 of all 209 tasks (75.6%) do."""
    first = row(table, PAIR, "sample odds ratio")
    assert (first["cases_in"], first["cases"], first["base_in"], first["base"]) == (63, 67, 158, 209)
    assert (round(100 * first["share_cases"], 1), round(100 * first["share_base"], 1)) == (94.0, 75.6)


def test_published_odds_ratios(table):
    """Sample 7.79, conditional 7.73 (2.63 to 31.0), 7.0 against annotated tasks only, Mantel-Haenszel 4.1 (1.2 to 14.7)."""
    assert round(row(table, PAIR, "sample odds ratio")["estimate"], 2) == 7.79
    exact = row(table, PAIR, "conditional odds ratio")
    assert (round(exact["estimate"], 2), round(exact["low"], 2), round(exact["high"], 1)) == (7.73, 2.63, 31.0)
    annotated = row(table, PAIR, "sample odds ratio", "claimed against other annotated tasks")
    assert (annotated["estimate"], annotated["base"]) == (7.0, 197)
    pooled = row(table, PAIR, "Mantel-Haenszel odds ratio", strata="kind")
    assert [round(pooled[name], 1) for name in ("estimate", "low", "high")] == [4.1, 1.2, 14.7]


def test_each_metric_alone(table):
    """Against all others, the other hard metric among them: multiple_choice_grade 3.6, exact_str_match 0.89."""
    assert round(row(table, "multiple_choice_grade", "sample odds ratio")["estimate"], 1) == 3.6
    assert round(row(table, "exact_str_match", "sample odds ratio")["estimate"], 2) == 0.89


@pytest.mark.parametrize(
    ("metric", "comparison", "counts", "expected"),
    [
        ("exact_str_match", "hard against soft", (12, 16, 40, 87 + 4), (4.944, 1.333, 23.11)),
        ("multiple_choice_grade", "hard against soft", (51, 55, 118, 169), (8.848, 2.951, 36.00)),
        ("exact_str_match", "hard against soft, json only", (12, 14, 35, 53), (4.076, 0.747, 42.43)),
    ],
)
def test_hard_against_soft(table, metric, comparison, counts, expected):
    """Each hard metric against the tasks on neither, as scipy.stats.contingency.odds_ratio has it (conditional, exact)."""
    from scipy.stats.contingency import odds_ratio

    against = "neither multiple_choice_grade nor exact_str_match"
    found = table[(table["metrics"] == metric) & (table["comparison"] == comparison) & (table["against"] == against)]
    exact = found[(found["effect"] == "conditional odds ratio") & (found["strata"] == "")].iloc[0]
    assert (exact["cases_in"], exact["cases"], exact["base_in"], exact["base"]) == counts
    assert (exact["estimate"], exact["low"], exact["high"]) == pytest.approx(expected, rel=2e-3)
    a, cases, inside, base = counts
    theirs = odds_ratio([[a, cases - a], [inside - a, base - inside - cases + a]])
    interval = theirs.confidence_interval(0.95)
    assert (exact["estimate"], exact["low"], exact["high"]) == pytest.approx((theirs.statistic, *interval), rel=1e-6)
    assert exact["held_out"] == 209 - base
    assert exact["question"].startswith("hard against soft")


def test_every_comparison_says_what_it_asks(table):
    """All odds ratios carry a question, and one metric against all others another than hard against soft."""
    odds = table[table["effect"].str.endswith("odds ratio")]
    assert (odds["question"] != "").all()
    alone = odds[(odds["metrics"] == "exact_str_match") & (odds["against"] == "")]
    assert set(alone["question"]) == {
        "is this metric over-represented against all others, the other named metric among them"
    }
    assert table.loc[table["against"] != "", "q_value"].isna().all()


def test_classes_against_each_other(table):
    """63 of 160 tasks on discontinuous metrics are claimed, 2 of 19 on linear or nonlinear ones (8 bleu, 6 rougeLsum, ...)."""
    found = table[(table["comparison"] == "hard against soft") & (table["metrics"] == "all discontinuous metrics")]
    graded = found[(found["against"] != "") & (found["strata"] == "") & (found["effect"] == "sample odds ratio")].iloc[
        0
    ]
    assert (graded["cases_in"], graded["base_in"], graded["cases"], graded["base"]) == (63, 160, 65, 179)
    assert graded["estimate"] == pytest.approx(63 * 17 / (97 * 2))
    # Strata weighted as Mantel and Haenszel do; by hand for the pair: JSON 149 and 18, programmatic 9 and 33.
    pooled = row(table, PAIR, "conditional odds ratio", strata="kind")
    weights = 149 * 18 / 167, 9 * 33 / 42
    assert pooled["effective_in"] == pytest.approx(sum(weights) ** 2 / (weights[0] ** 2 / 149 + weights[1] ** 2 / 9))
    assert pooled["effective_out"] == pytest.approx(sum(weights) ** 2 / (weights[0] ** 2 / 18 + weights[1] ** 2 / 33))


def test_by_kind(table):
    """JSON 63:2 against 86:16, programmatic 0:2 against 9:31; the empty cell has no estimate, and says why."""
    json_only = row(table, PAIR, "sample odds ratio", "claimed against all other tasks, json only")
    assert json_only["estimate"] == pytest.approx(63 * 16 / (2 * 86))
    programmatic = row(table, PAIR, "conditional odds ratio", "claimed against all other tasks, programmatic only")
    assert (programmatic["cases_in"], programmatic["cases"], programmatic["base"]) == (0, 2, 42)
    assert np.isnan(programmatic["estimate"])
    assert programmatic["reason"] == "at_boundary"


def test_top_two_chosen_anew_in_every_draw(table):
    """The permutation's p-value is far above the exact test of the two metrics taken as given in advance."""
    permuted = table[table["effect"] == "share of cases on the top two"].iloc[0]
    named = row(table, PAIR, "conditional odds ratio")
    assert permuted["share_cases"] == pytest.approx(63 / 67)
    assert permuted["p_value"] > 100 * named["p_value"]
    # Independent check of the null's centre: JSON claims fall on the pair with the JSON base rate, the two programmatic
    # ones rarely do: (65 * 149/167 + 2 * 9/42) / 67 = .872.
    assert permuted["null_median"] == pytest.approx(0.872, abs=0.02)


def test_same_generator_same_table():
    """The permutation is reproducible from its generator alone."""
    again = [
        claims_concentration(claims(), preferred_metrics(), rng=np.random.default_rng(4), draws=99) for _ in range(2)
    ]
    pd.testing.assert_frame_equal(*again)


def test_permutation_p_value_counts_the_observation():
    """With all claims on one metric that few tasks use, every draw is less extreme and p = 1 / (m + 1)."""
    tasks = [f"t{i}" for i in range(60)]
    preferred = pd.DataFrame(
        {"task": tasks, "kind": "json", "preferred_metric": ["a"] * 12 + [f"m{i % 8}" for i in range(48)]}
    )
    claimed = pd.DataFrame({"task": tasks, "category": ["emergent"] * 12 + ["flat"] * 48})
    table = claims_concentration(claimed, preferred, rng=np.random.default_rng(0), draws=99)
    assert (
        table.loc[table["effect"].isin(["share of cases on the top two", "effective number of metrics"]), "p_value"]
        == 0.01
    ).all()


def test_permutation_holds_its_level():
    """Cases drawn without regard to the metric reject at 5% at most 5% of the time (1,000 sets, 3 standard errors)."""
    rng = np.random.default_rng(2)
    units = preferred_metrics().rename(columns={"preferred_metric": "metric"})
    group = units.groupby("kind").ngroup().to_numpy()
    rejected = np.zeros(2)
    for _ in range(1000):
        units["case"] = rng.random(len(units)) < np.where(units["kind"] == "json", 0.4, 0.05)
        rows = permuted_cases(units, group, rng=rng, draws=99, level=0.95)
        rejected += [row["p_value"] <= 0.05 for row in rows]
    assert (rejected / 1000 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1000)).all()


def test_hill_number_of_known_counts():
    """One metric gives 1, four equal ones 4, 3:1 gives exp(.75 ln(4/3) + .25 ln 4) = 1.755; nothing gives NaN."""
    numbers = hill(np.array([[7, 0, 0, 0], [2, 2, 2, 2], [3, 1, 0, 0], [0, 0, 0, 0]]))
    assert numbers[:3] == pytest.approx([1.0, 4.0, np.exp(0.75 * np.log(4 / 3) + 0.25 * np.log(4))])
    assert np.isnan(numbers[3])


def test_claims_are_the_published_ones():
    """197 annotated tasks: 67 emergent (42 first in PaLM, 17 in GPT-3, 8 in LaMDA), 58 smooth, 45 flat, 27 uncorrelated."""
    table = claims()
    assert table["category"].value_counts().to_dict() == {
        "emergent": 67,
        "smoothly_increasing": 58,
        "flat": 45,
        "uncorrelated_with_scale": 27,
    }
    assert table["claim_family"].value_counts().to_dict() == {"": 130, "PaLM": 42, "GPT": 17, "BIG-G": 8}


def test_aliases_name_each_published_model_once():
    """PaLM 535B and 540B are one model; LaMDA's claims are about BIG-G's dense models under either decoding."""
    models = {alias.published: (alias.family, alias.model) for alias in ALIASES}
    assert len(models) == len(ALIASES)
    assert models["PaLM 535B"] == models["PaLM 540B"]
    assert models["PaLM 62B"] == models["PaLM 64B"]
    assert belongs_to("BIG-G T=1", "BIG-G")
    assert not belongs_to("BIG-G sparse", "BIG-G")
    assert not belongs_to("PaLM", "")


def test_unmatched_claims_are_refused():
    """A claimed task without a preferred metric is named instead of being dropped by the join."""
    claimed = pd.DataFrame({"task": ["nowhere"], "category": ["emergent"]})
    with pytest.raises(AnalysisError, match="nowhere"):
        claims_concentration(claimed, preferred_metrics(), rng=np.random.default_rng(0))


@pytest.mark.real
def test_packaged_facts_are_the_published_files(shared_data):
    """The restated facts hold what the published tables hold, but for counts of subtasks, which those have wrong."""
    theirs = pd.read_csv(shared_data / "claims.csv", dtype=str, keep_default_na=False)
    pd.testing.assert_frame_equal(claims()[list(theirs.columns)], theirs, check_dtype=False)
    columns = ["task", "kind", "preferred_metric"]
    theirs = pd.read_csv(shared_data / "preferred_metrics.csv", dtype=str, keep_default_na=False)[columns]
    pd.testing.assert_frame_equal(preferred_metrics()[columns], theirs, check_dtype=False)


def test_preferred_metrics_by_hand():
    """Subtasks counted in the definitions of bigbench 1.0.0 by hand: folders, their preferred scores, three ties."""
    table = preferred_metrics().set_index("task")
    counts = {"bbq_lite_json": (18, 18), "color": (4, 4), "conlang_translation": (16, 16), "unit_conversion": (5, 8)}
    for task, expected in counts.items():
        row = table.loc[task]
        assert (row["n_subtasks_preferring_it"], row["n_subtasks"]) == expected
    assert table["tied_with"][table["tied_with"] != ""].to_dict() == {
        "kanji_ascii": "exact_str_match",
        "language_games": "bleu + exact_str_match",
        "minute_mysteries_qa": "multiple_choice_grade",
    }
    assert table["is_template"].sum() == 5
    assert table.loc[["modified_arithmetic", "color", "anachronisms"], "aggregate_metric"].tolist() == [
        "normalized_aggregate_score", "multiple_choice_grade", "multiple_choice_grade"
    ]  # fmt: skip
