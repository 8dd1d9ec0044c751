"""Outputs scored again: metrics by hand, readers, defects, agreement with what logs state, bounded memory."""

from __future__ import annotations

import gzip
import hashlib
import json
import lzma
import math
import random
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bigbench_meta.errors import AnalysisError, LoadError
from bigbench_meta.experiments.rescoring import item_metrics as rm
from bigbench_meta.experiments.rescoring.json_stream import JsonStream, JsonStreamError
from bigbench_meta.experiments.rescoring.readers import read_items
from bigbench_meta.experiments.rescoring.scored_items import Item, item_of_record
from bigbench_meta.experiments.rescoring.scoring import rescore, unique_files
from bigbench_meta.experiments.rescoring.totals import ExactSum, Totals
from bigbench_meta.loader.columns import Problem

LIGHT = [name for name in rm.REGISTERED if name not in rm.HEAVY]
MODEL = {
    "model_family": "BIG-G T=0",
    "model_name": "2m",
    "total_params": 2100000,
    "non_embedding_params": 2098048,
    "flop_matched_non_embedding_params": 2098048,
}


def lines(folder: Path, *records: dict, name: str = "sums.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def log(folder: Path, queries: list, *, scores: list | None = None, name: str = "full-log_a.json", **more) -> Path:
    document = {"scores": scores or [], "model": MODEL, "task": {"task_name": "sums"}, "queries": queries} | more
    path = folder / name
    path.write_text(json.dumps(document))
    return path


def generated(*samples: dict, **more) -> dict:
    return {"function": "generate_text", "samples": list(samples), "shots": 2, "task": "sums:easy"} | more


def chosen(*samples: dict, **more) -> dict:
    return {"function": "cond_log_prob", "samples": list(samples), "shots": 0, "task": "sums:easy"} | more


def scores_of(found) -> dict[str, float]:
    return dict(zip(found.results["metric"].astype(str), found.results["score"], strict=True))


# metrics


@pytest.mark.parametrize(
    ("output", "targets", "exact", "caseless"),
    [("a b", ["a b"], 1, 1), (" A b ", ["a B"], 0, 1), ("b", ["a", "b"], 1, 1), ("", ["a"], 0, 0), ("", [""], 1, 1)],
)
def test_string_matches(output, targets, exact, caseless):
    """Exact match is to the character against any target; the other strips and lower-cases both."""
    assert rm.exact_match(output, targets) == exact
    assert rm.case_insensitive_match(output, targets) == caseless


def test_edit_distances_by_hand():
    """Kitten to sitting is 3 characters of 7; "the cat sat" to "a cat sat down" is 2 words of 4."""
    assert rm.edit_distance("kitten", ["sitting"]) == 3
    assert rm.edit_distance("kitten", ["sitting"], normalized=True) == pytest.approx(3 / 7)
    said, wanted = rm.split_tokens("the cat sat", "word"), rm.split_tokens("a cat sat down", "word")
    assert rm.edit_distance(said, [wanted]) == 2
    assert rm.edit_distance(said, [wanted], normalized=True) == pytest.approx(2 / 4)
    assert rm.edit_distance("", [""], normalized=True) == 0


def test_edit_distance_takes_the_nearest_target():
    """With several targets the smallest distance counts."""
    assert rm.edit_distance("12", ["99", "13"]) == 1


def plain_distance(a, b):
    """Levenshtein by the textbook recurrence: an independent implementation."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]


@given(st.text(alphabet="abc ", max_size=12), st.text(alphabet="abc ", max_size=12))
def test_edit_distance_against_the_recurrence(a, b):
    """Characters and words agree with the textbook recurrence on any two texts."""
    assert rm.edit_distance(a, [b]) == plain_distance(a, b)
    assert rm.edit_distance(a.split(), [b.split()]) == plain_distance(a.split(), b.split())


def test_per_token_accuracy_by_hand():
    """Positions that agree over the target's positions: 2 of 3; a longer output gains nothing; no target, no share."""
    assert rm.per_token_accuracy("124", ["123"]) == pytest.approx(2 / 3)
    assert rm.per_token_accuracy("1239", ["123"]) == 1
    assert math.isnan(rm.per_token_accuracy("1", [""]))


def test_numeric_match_keeps_the_known_fault():
    """11 is within a tenth of 10 and 12 is not; against a negative target every number matches, as in BIG-bench."""
    assert [rm.numeric_match(v, ["10"]) for v in ("11", "12", "x")] == [1, 0, 0]
    assert rm.numeric_match("500", ["-1"]) == 1
    assert math.isnan(rm.numeric_match("1", ["1", "2"]))


def test_sequence_f1_pads_and_trims():
    """Three target words, two said, one right in place: 33.3; words beyond the target's are ignored.

    What is missing counts as the label O, so it is right where the target has O: two of three here for an output of one
    wrong word, and two of three for none at all, which is one empty word.
    """
    assert rm.sequence_f1("a x", ["a b c"]) == pytest.approx(100 / 3)
    assert rm.sequence_f1("a x", ["a b O"]) == pytest.approx(200 / 3)
    assert rm.sequence_f1("x", ["B O O"]) == pytest.approx(200 / 3)
    assert rm.sequence_f1("", ["O O O"]) == pytest.approx(200 / 3)
    assert rm.sequence_f1("a b c d", ["a b c"]) == 100


def test_choice_by_hand():
    """Probabilities .7, .2, .1 with the second right: grade 0, Brier sum .49 + .64 + .01, confidence .7, no hit."""
    choice = rm.score_choice([math.log(p) for p in (0.7, 0.2, 0.1)], [0, 1, 0])
    assert choice.grade == 0
    assert choice.brier_sum == pytest.approx(1.14)
    assert (choice.confidence, choice.hit) == (pytest.approx(0.7), False)


def test_choice_with_two_right_options():
    """Values .5 and .5 are target probabilities: sum of t (p-1)^2 + (1-t) p^2 by hand at p = .5, .5 is .5."""
    choice = rm.score_choice([0.0, 0.0], [1, 1])
    assert choice.brier_sum == pytest.approx(0.5)
    assert choice.grade == 1


@pytest.mark.parametrize("scores", [[], [math.nan, 0.0], [-math.inf, -math.inf], [math.inf, 0.0]])
def test_choice_without_probabilities(scores):
    """No scores, NaN, nothing possible, or infinite certainty: undefined, not 0."""
    assert rm.score_choice(scores, [1.0] * len(scores)) is None


def test_ties_do_not_always_take_the_first():
    """Ties are broken by a hash of the scores, as BIG-bench does: both options are met, each the same every time."""
    picks = {rm.rank_first([x, x]) for x in range(20)}
    assert picks == {0, 1}
    assert rm.rank_first([3, 3]) == rm.rank_first([3, 3])


def test_options_are_ranked_by_their_normalised_scores():
    """The values, and so the hash that decides a tie, are those among the options: log of 1/4, 1/4 and 1/2 here."""
    scores = [math.log(0.1), math.log(0.1), math.log(0.2)]
    assert rm.normalised(scores) == pytest.approx([math.log(0.25), math.log(0.25), math.log(0.5)])
    record = {"model": "m", "options": ["a", "b", "c"], "option_scores": scores, "correct": "c"}
    item = item_of_record(record, index=0, task="t")
    assert item.option_scores == rm.normalised(scores)
    assert item.absolute_scores == tuple(scores)


def test_ties_of_a_log_are_decided_as_its_score_was(tmp_path):
    """Of tied options BIG-bench takes the one that a hash of the normalised values names, whatever the absolute ones say.

    The expected option follows the definition: SHA-256 of the values' bytes, as a number, modulo the tied options.
    """

    def chosen(values):
        best = np.flatnonzero(np.array(values) == max(values))
        return int(best[int(hashlib.sha256(np.array(values).tobytes()).hexdigest(), 16) % len(best)])

    pairs = [(-k / 8, [-k / 8, -k / 8]) for k in range(1, 40)]
    differ = [absolute for _, absolute in pairs if chosen(absolute) != chosen(list(rm.normalised(absolute)))]
    assert len(differ) > 5  # else nothing is told apart here
    samples = [
        {"input": "", "targets": ["a", "b"], "scores": absolute, "absolute_scores": absolute,
         "normalized_scores": list(rm.normalised(absolute)), "target_values": {"a": 1, "b": 0}, "correct": 0}
        for absolute in differ
    ]  # fmt: skip
    log = {
        "scores": [], "task": {"task_name": "t"}, "model": {"model_family": "F", "model_name": "m", "total_params": 1},
        "queries": [{"function": "cond_log_prob", "samples": samples, "shots": 0, "task": "t"}],
    }  # fmt: skip
    path = tmp_path / "full-log_F_m.json"
    path.write_text(json.dumps(log))
    (found,) = rescore([path], metrics=["multiple_choice_grade"]).results["score"]
    assert found == pytest.approx(np.mean([chosen(list(rm.normalised(absolute))) == 0 for absolute in differ]))


def test_likelihood_by_length_needs_one_target_everywhere(tmp_path):
    """A group with one item of two targets has no score per word or character, as in BIG-bench; its items keep theirs."""

    def log(*targets):
        samples = [{"input": "", "targets": list(each), "scores": [-2.0] * len(each)} for each in targets]
        return {
            "scores": [], "task": {"task_name": "t"}, "model": {"model_family": "F", "model_name": "m", "total_params": 1},
            "queries": [{"function": "cond_log_prob", "samples": samples, "shots": 0, "task": "t"}],
        }  # fmt: skip

    path = tmp_path / "full-log_F_m.json"
    metrics = ["log_likelihood", "log_likelihood_per_word", "log_likelihood_per_char"]
    path.write_text(json.dumps(log(["a b"], ["c"])))
    scores = rescore([path], metrics=metrics).results.set_index("metric")["score"]
    assert scores.to_dict() == {metrics[0]: -2.0, metrics[1]: -1.5, metrics[2]: pytest.approx(-(2 / 3 + 2) / 2)}
    path.write_text(json.dumps(log(["a b"], ["c", "d"])))
    assert rescore([path], metrics=metrics).results["metric"].tolist() == metrics[:1]


def test_an_output_regex_is_for_outputs_as_they_were_said(tmp_path):
    """The default one keeps the text up to a full stop; a log's outputs are matches already and stay as they are."""
    lines = tmp_path / "said.jsonl"
    lines.write_text(
        '{"model": "m", "target": "42", "output": "42. And then"}\n{"model": "m", "target": "a", "output": "..."}\n'
    )
    metrics = ["exact_str_match"]
    assert rescore([lines], metrics=metrics).results["score"].tolist() == [0.0]
    assert rescore([lines], metrics=metrics, output_regex="bigbench").results["score"].tolist() == [0.5]
    assert rescore([lines], metrics=metrics, output_regex=r"(\d+)\.").results["score"].tolist() == [0.5]
    log = {
        "scores": [], "task": {"task_name": "t"}, "model": {"model_family": "F", "model_name": "m", "total_params": 1},
        "queries": [{"function": "generate_text", "shots": 0, "task": "t",
                     "samples": [{"input": "", "output": "42. So", "targets": {"42. So": {}}}]}],
    }  # fmt: skip
    path = tmp_path / "full-log_F_m.json"
    path.write_text(json.dumps(log))
    assert rescore([path], metrics=metrics, output_regex="bigbench").results["score"].tolist() == [1.0]
    for wrong, said in (("(", "expected a Python regular expression, or bigbench"), ("(a)(b)", "has 2 groups")):
        with pytest.raises(AnalysisError, match=said):
            rescore([lines], output_regex=wrong)


def test_log_likelihood_of_several_targets():
    """The probabilities of all targets are added: .2 and .1 make log .3."""
    assert rm.log_likelihood([math.log(0.2), math.log(0.1)]) == pytest.approx(math.log(0.3))
    assert rm.log_likelihood([-2.5]) == -2.5


def test_corpus_bleu_from_sentence_counts():
    """Counts added over outputs give sacrebleu's own corpus score."""
    import sacrebleu

    said, wanted = ["the cat sat on the mat", "a dog", "x"], ["the cat sat on a mat", "the dog", "y z"]
    counts = [rm.bleu_scorer()(s, [w])[1] for s, w in zip(said, wanted, strict=True)]
    total = rm.BleuCounts(
        tuple(map(sum, zip(*(c.matches for c in counts), strict=True))),
        tuple(map(sum, zip(*(c.totals for c in counts), strict=True))),
        sum(c.output_length for c in counts),
        sum(c.target_length for c in counts),
    )
    expected = sacrebleu.corpus_bleu(said, [wanted], tokenize="intl", smooth_method="exp").score
    assert rm.corpus_bleu(total) == pytest.approx(expected)


def test_rouge_by_hand():
    """The output "a b c" for "a b d": unigrams 2 of 3 both ways, bigrams 1 of 2; the best target counts."""
    score = rm.rouge_scorer()("a b c", ["x y z", "a b d"])
    assert score["rouge1"] == pytest.approx(100 * 2 / 3)
    assert score["rouge2"] == pytest.approx(50)


def test_calibration_error_by_hand():
    """Two items of confidence .9, one right, in one bin: |.5 - .9|; one of .5 and right, in another: .5, weights 2/3, 1/3."""
    totals = Totals()
    for b, confidence, hit in ((13, 0.9, True), (13, 0.9, False), (7, 0.5, True)):
        totals.counts["expected_calibration_error"] += 1
        totals.bin_counts[b] += 1
        totals.bin_hits[b] += hit
        totals.bin_confidence[b].add(confidence)
    error, n = totals.scores()["expected_calibration_error"]
    assert error == pytest.approx(2 / 3 * 0.4 + 1 / 3 * 0.5)
    assert n == 3


@given(st.lists(st.floats(-1e6, 1e6), max_size=40), st.randoms())
def test_sums_do_not_depend_on_order(values, shuffled):
    """Any order and any split over files gives the correctly rounded sum, checked by exact fractions."""
    order = list(values)
    shuffled.shuffle(order)
    first, second = ExactSum(), ExactSum()
    cut = len(order) // 3
    for value in order[:cut]:
        first.add(value)
    for value in order[cut:]:
        second.add(value)
    first.merge(second)
    assert first.value == float(sum(map(Fraction, values)))


# readers


def test_json_lines(tmp_path):
    """Task, family and scale default as documented; scores are means over items."""
    path = lines(
        tmp_path,
        {"model": "a", "scale": 100, "target": "12", "output": "12"},
        {"model": "a", "scale": 100, "target": "12", "output": "13"},
    )
    found = rescore([path], metrics=LIGHT, unit="character")
    scores = scores_of(found)
    assert scores["exact_str_match"] == 0.5
    assert scores["token_edit_distance"] == 0.5
    row = found.results.iloc[0]
    assert (row["task"], row["family"], row["scale"], row["shots"], row["n_items"]) == ("sums", "a", 100, 0, 2)
    assert found.problems.empty
    assert (found.read, found.scored, found.left_out) == (2, 2, 0)


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_packed_lines(tmp_path, pack):
    """Gzip and xz are unpacked while reading."""
    path = tmp_path / f"sums.jsonl.{'gz' if pack is gzip.compress else 'xz'}"
    path.write_bytes(pack(b'{"model": "a", "target": "1", "output": "1"}\n'))
    assert scores_of(rescore([path], metrics=LIGHT))["exact_str_match"] == 1


def test_options_and_likelihood_of_a_record(tmp_path):
    """Options are scored where their log-probabilities are given; the target is the right one unless told."""
    record = {"model": "a", "target": "b", "options": ["a", "b"], "option_scores": [math.log(0.2), math.log(0.8)]}
    path = lines(tmp_path, record | {"target_logprobs": [-0.5, -0.25]})
    scores = scores_of(rescore([path], metrics=LIGHT))
    assert scores["multiple_choice_grade"] == 1
    assert scores["calibration_multiple_choice_brier_score"] == pytest.approx(0.04)
    assert scores["log_likelihood"] == -0.75


@pytest.mark.parametrize("correct", [1, "b", [1], ["b"], [0, 1], {"b": 1}])
def test_ways_to_name_the_right_option(tmp_path, correct):
    """A number, a text, a list, one value each, or a mapping say the same."""
    record = {"model": "a", "options": ["a", "b"], "option_scores": [-2, -1], "correct": correct}
    assert scores_of(rescore([lines(tmp_path, record)], metrics=LIGHT))["multiple_choice_grade"] == 1


def test_tables(tmp_path):
    """CSV and Parquet with the same columns give the same scores as JSON Lines; the digits of a CSV stay text."""
    records = [
        {"model": "a", "scale": 10.0, "target": "007", "output": "007"},
        {"model": "b", "scale": 20.0, "target": "7", "output": ""},
    ]
    frame = pd.DataFrame(records)
    frame.to_csv(tmp_path / "sums.csv", index=False)
    frame.to_parquet(tmp_path / "sums.parquet")
    lines(tmp_path, *records)
    want = rescore([tmp_path / "sums.jsonl"], metrics=LIGHT).results.drop(columns="source_file")
    for name in ("sums.csv", "sums.parquet"):
        got = rescore([tmp_path / name], metrics=LIGHT).results.drop(columns="source_file")
        pd.testing.assert_frame_equal(got, want)


def test_full_log(tmp_path):
    """Functions are told apart, targets as list or mapping, shots and subtask from the query, the scale from the model."""
    path = log(
        tmp_path,
        [
            generated({"input": "1+1", "output": "2", "targets": {"2": {}}}, {"output": "3", "targets": ["2"]}),
            chosen({"input": "q", "targets": ["x", "y"], "scores": [-1, -2], "target_values": {"x": 1, "y": 0}}),
            chosen({"input": "q", "targets": ["x"], "scores": [-3.5]}),
            generated(),
        ],
    )
    found = rescore([path], metrics=LIGHT)
    table = found.results.set_index(["shots", "metric"])["score"]
    assert table[(2, "exact_str_match")] == 0.5
    assert table[(0, "multiple_choice_grade")] == 1
    assert table[(0, "log_likelihood")] == -3.5
    assert set(found.results["subtask"]) == {"sums:easy"}
    assert set(found.results["scale"]) == {2098048}
    assert found.problems["problem"].tolist() == ["no samples"]


def test_programmatic_queries_take_the_task(tmp_path):
    """A programmatic task's queries do not know the task: it is the file's."""
    path = log(tmp_path, [generated({"output": "2", "targets": ["2"]}, task="programmatic")])
    assert set(rescore([path], metrics=LIGHT).results["subtask"]) == {"sums"}


def test_recorded_values_are_checked(tmp_path):
    """Item metrics and scores of the head are compared; what differs is a row, what is unknown is counted."""
    scores = [
        {
            "score_dict": {"exact_str_match": 0.5, "bleurt": 0.1},
            "preferred_score": "exact_str_match",
            "low_score": 0,
            "high_score": 1,
            "number_of_shots": 2,
            "subtask_description": "sums:easy",
        }
    ]
    good = {"output": "2", "targets": {"2": {"exact_str_match": 1.0}}, "metrics": {"own_metric": 3}}
    bad = {"output": "3", "targets": ["2"], "metrics": {"exact_str_match": 1.0}}
    found = rescore([log(tmp_path, [generated(good, bad)], scores=scores)], metrics=LIGHT)
    table = found.agreement.set_index(["level", "metric"])
    assert table.loc[("item", "exact_str_match"), ["recorded", "compared", "equal"]].tolist() == [2, 2, 1]
    assert table.loc[("score", "exact_str_match"), "equal"] == 1
    assert table.loc[("item", "not computed here"), ["recorded", "compared"]].tolist() == [1, 0]
    (row,) = found.disagreements.to_dict("records")
    assert (row["where"], row["recorded"], row["rescored"]) == ("query 0, sample 1", 1.0, 0.0)


def test_preferred_metric_of_a_log(tmp_path):
    """The head's preferred metric and range are kept, and normalise that metric alone."""
    scores = [
        {
            "score_dict": {},
            "preferred_score": "multiple_choice_grade",
            "low_score": 0.5,
            "high_score": 1,
            "number_of_shots": 0,
            "subtask_description": "sums:easy",
        }
    ]
    sample = {"targets": ["x", "y"], "scores": [-1, -2], "target_values": {"x": 1, "y": 0}}
    frame = rescore([log(tmp_path, [chosen(sample)], scores=scores)], metrics=LIGHT).results
    preferred = frame[frame["is_preferred"]]
    assert preferred["metric"].tolist() == ["multiple_choice_grade"]
    assert preferred["score_normalized"].tolist() == [1.0]
    assert frame.loc[~frame["is_preferred"], "score_normalized"].isna().all()


def test_bare_nan_and_infinity(tmp_path):
    """BIG-bench's writer emits bare NaN: the item is left out of what it cannot have, with a problem, others stay."""
    good = {"targets": ["x", "y"], "scores": [-1.0, -2.0], "target_values": {"x": 1, "y": 0}}
    path = log(tmp_path, [chosen(good | {"scores": [math.nan, -1.0]}, good)])
    assert "NaN" in path.read_text()
    found = rescore([path], metrics=LIGHT)
    assert found.results.set_index("metric").loc["multiple_choice_grade", "n_items"] == 1
    assert found.problems["problem"].tolist() == ["option scores or values are not finite"]


DEFECTS = {
    "output is a number": ({"model": "a", "target": "1", "output": 1}, "output is a number"),
    "no model": ({"target": "1", "output": "1"}, "model is missing"),
    "no target": ({"model": "a", "output": "1"}, "neither target nor options"),
    "nothing said": ({"model": "a", "target": "1"}, "no output, no target_logprobs"),
    "number as target": ({"model": "a", "target": 1, "output": "1"}, "target holds a number"),
    "too few scores": ({"model": "a", "options": ["a", "b"], "option_scores": [1]}, "1 option_scores for 2 options"),
    "no right option": ({"model": "a", "options": ["a"], "option_scores": [1], "target": "b"}, "no option is right"),
    "option out of range": (
        {"model": "a", "options": ["a"], "option_scores": [1], "correct": 4},
        "correct is 4",
    ),
    "options within lists": (
        {"model": "a", "options": ["a", "b"], "option_scores": [1, 2], "correct": [["a"]]},
        "correct is [['a']]",
    ),
    "a list": ([1, 2], "a list instead of a record"),
    "shots": ({"model": "a", "target": "1", "output": "1", "shots": 1.5}, "shots is 1.5"),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_defects_of_records_are_rows(tmp_path, name):
    """A line that cannot be scored is left out and says why; the others are scored."""
    record, message = DEFECTS[name]
    path = lines(tmp_path, {"model": "a", "target": "1", "output": "1"}, record)
    found = rescore([path], metrics=LIGHT)
    (row,) = found.problems.to_dict("records")
    assert row["problem"].startswith(message)
    assert (row["where"], row["action"]) == ("line 2", "line left out")
    assert (found.read, found.left_out) == (1, 1)


def test_lines_that_are_not_json(tmp_path):
    """A broken line, an empty one and one nested beyond reason do not stop the reading."""
    path = tmp_path / "sums.jsonl"
    deep = "[" * 100_000
    path.write_text(f'{{"model": \n\n{deep}\n{{"model": "a", "target": "1", "output": "1"}}\n')
    found = rescore([path], metrics=LIGHT)
    assert found.problems["where"].tolist() == ["line 1", "line 3"]
    assert found.scored == 1


def test_truncated_log(tmp_path):
    """A log cut short anywhere gives a clear error or the samples before the cut and one problem; nothing else."""
    text = log(tmp_path, [generated(*({"output": "2", "targets": ["2"]} for _ in range(5)))]).read_text()
    for cut in range(1, len(text) - 1, 7):
        path = tmp_path / "full-log_cut.json"
        path.write_text(text[:cut])
        with pytest.raises(LoadError, match=r"no item could be scored.*expected"):
            rescore([path], metrics=LIGHT)


def test_damaged_bytes(tmp_path):
    """Text that is not UTF-8 and a packed file that ends early are problems of the file."""
    good = b'{"model": "a", "target": "1", "output": "1"}\n'
    (tmp_path / "a.jsonl").write_bytes(good + b'{"model": "\xff"}\n')
    digits = random.Random(2)
    many = (json.dumps({"model": "a", "target": str(digits.random()), "output": "1"}) for _ in range(5000))
    packed = gzip.compress("\n".join(many).encode())
    (tmp_path / "b.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    lines(tmp_path, json.loads(good), name="c.jsonl")
    found = rescore([tmp_path], metrics=LIGHT)
    assert 100 < found.scored < 5000
    problems = dict(zip(found.problems["file"].map(lambda f: Path(f).name), found.problems["problem"], strict=True))
    assert problems["a.jsonl"].startswith("not UTF-8")
    assert problems["b.jsonl.gz"].startswith("packed data is damaged")


def test_two_files_of_one_group_are_pooled_and_said(tmp_path):
    """Items of one task and model in two files are pooled, with a problem; the same file twice counts once."""
    record = {"task": "t", "model": "a", "target": "1", "output": "1"}
    one, two = lines(tmp_path, record, name="a.jsonl"), lines(tmp_path, record, name="b.jsonl")
    found = rescore([one, two, one], metrics=LIGHT)
    assert set(found.results["n_items"]) == {2}
    assert found.problems["action"].tolist() == ["items of all these files pooled"]


def test_two_scales_of_one_model(tmp_path):
    """A model with two sizes keeps the first and says so."""
    record = {"task": "t", "model": "a", "target": "1", "output": "1"}
    found = rescore([lines(tmp_path, record | {"scale": 1.0}, record | {"scale": 2.0})], metrics=LIGHT)
    assert "two different sizes" in found.problems["problem"].iloc[0]
    assert set(found.results["scale"]) == {1.0}


def test_many_complaints_are_counted(tmp_path):
    """A file of 1,000 bad lines gives 100 rows and one that counts the rest."""
    path = lines(tmp_path, {"model": "a", "target": "1", "output": "1"}, *({"model": 1} for _ in range(1000)))
    found = rescore([path], metrics=LIGHT)
    assert len(found.problems) == 101
    assert found.problems["problem"].iloc[-1].startswith("900 more of")
    assert found.left_out == 1000


def test_order_of_files_and_lines_does_not_matter(tmp_path):
    """Shuffled lines give the same bytes."""
    rng = random.Random(1)
    records = [
        {"model": "a", "target": "b", "options": ["a", "b"], "option_scores": [rng.gauss(0, 3), rng.gauss(0, 3)]}
        for _ in range(200)
    ]
    first = rescore([lines(tmp_path, *records)], metrics=LIGHT).results.to_csv()
    rng.shuffle(records)
    assert rescore([lines(tmp_path, *records)], metrics=LIGHT).results.to_csv() == first


def test_unknown_metric_lists_the_choices(tmp_path):
    """An unknown metric is refused with those that exist."""
    with pytest.raises(AnalysisError, match=r"accuracy; choose among exact_str_match"):
        rescore([lines(tmp_path, {})], metrics=["accuracy"])


def test_folder_without_outputs(tmp_path):
    """A folder that holds none says what was looked for."""
    with pytest.raises(LoadError, match="no file of model outputs"):
        unique_files([tmp_path])
    with pytest.raises(LoadError, match=r"absent\.jsonl: No such file"):
        rescore([tmp_path / "absent.jsonl"])


@pytest.mark.real
def test_published_accuracies(shared_data):
    """The 27 published accuracies of code-davinci-002 come out to the item from its 6,511 outputs."""
    found = rescore([shared_data / "bbh_code_davinci_002_outputs.jsonl"], metrics=["exact_str_match"])
    published = pd.read_csv(shared_data / "bbh_code_davinci_002_accuracy.csv")
    both = found.results.merge(published, on="task")
    assert len(both) == 27
    hits = both["published_accuracy_percent"] / 100 * both["n_items"]
    assert (hits.round() == (both["score"] * both["n_items"]).round()).all()
    assert (both["score"] * 100 - both["published_accuracy_percent"]).abs().max() < 1e-9
    assert found.read == found.scored == 6511


# any bytes


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
SAMPLE = st.fixed_dictionaries(
    {},
    optional={
        key: JSON | st.lists(st.text(max_size=3), max_size=3)
        for key in ("input", "output", "targets", "scores", "target_values", "metrics", "correct", "absolute_scores")
    },
)
QUERY = st.fixed_dictionaries(
    {"samples": st.lists(SAMPLE, max_size=3) | JSON, "function": st.sampled_from(["generate_text", "cond_log_prob"])},
    optional={"shots": JSON, "task": JSON},
)
LOG = st.fixed_dictionaries(
    {"queries": st.lists(QUERY | JSON, max_size=3), "model": st.just(MODEL) | JSON, "task": JSON},
    optional={"scores": JSON},
)
RECORD = st.fixed_dictionaries(
    {},
    optional={
        key: JSON | st.text(max_size=4) | st.lists(st.text(max_size=2), max_size=3)
        for key in ("model", "target", "output", "options", "option_scores", "correct", "scale", "shots", "task")
    },
)


@given(LOG | st.lists(RECORD, max_size=4))
def test_any_json_is_scored_or_explained(tmp_path_factory, content):
    """Whatever a log or a record holds: an item, a problem, or the package's own error; nothing counted twice."""
    path = tmp_path_factory.mktemp("fuzz") / "full-log.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    try:
        found = rescore([path], metrics=LIGHT)
    except LoadError:
        return
    assert found.read >= found.scored
    if isinstance(content, list):
        assert found.read + found.left_out == len(content)


@given(st.binary(max_size=300) | st.text(alphabet='{}[]",:\\ \n0123e.-+nulNaI', max_size=200).map(str.encode))
def test_any_bytes_are_a_problem_at_most(tmp_path_factory, content):
    """Arbitrary bytes never raise anything but the package's errors."""
    path = tmp_path_factory.mktemp("fuzz") / "x.json"
    path.write_bytes(content)
    for part in read_items(path):
        assert isinstance(part, Item | Problem)


class Chunks:
    """A stream that returns at most ``size`` characters a read."""

    def __init__(self, text, size):
        self.text, self.size = text, size

    def read(self, _count):
        head, self.text = self.text[: self.size], self.text[self.size :]
        return head


def walked(stream):
    mark = stream.peek()
    if mark == "{":
        return {key: walked(stream) for key in stream.keys()}  # noqa: SIM118
    if mark == "[":
        return [walked(stream) for _ in stream.elements()]
    return stream.value()


@settings(max_examples=2 * settings().max_examples)
@given(JSON, st.integers(1, 7), st.sampled_from([None, 1, 3]))
def test_stream_agrees_with_the_decoder(value, size, indent):
    """Read in pieces of 1 to 7 characters, the stream gives what json.loads gives; skipping ends at the same place."""
    text = json.dumps(value, indent=indent)
    stream = JsonStream(Chunks(text, size))
    got = walked(stream)
    stream.end()
    assert json.dumps(got) == json.dumps(json.loads(text))
    skipping = JsonStream(Chunks(f"[{text}, 7]", size))
    elements = skipping.elements()
    next(elements)
    skipping.skip()
    next(elements)
    assert skipping.value() == 7


def test_a_value_beyond_the_limit():
    """A value longer than the limit stops with its place and the limit, before it fills the memory."""
    stream = JsonStream(Chunks('["' + "a" * 5000 + '"]', 100), limit=1000)
    next(stream.elements())
    with pytest.raises(JsonStreamError, match="longer than 1000 characters at character 1"):
        stream.value()


GENERATOR = """
import json, sys
path, megabytes = sys.argv[1], int(sys.argv[2])
sample = {"input": "word " * 400, "output": "12", "targets": {"12": {"exact_str_match": 1.0}}, "metrics": {}}
text = json.dumps(sample)
count = megabytes * 1_000_000 // (len(text) + 2)
with open(path, "w") as stream:
    stream.write('{"scores": [], "model": %s, "task": {"task_name": "big"}, "queries": [{"samples": [' % sys.argv[3])
    for number in range(count):
        stream.write((", " if number else "") + text)
    stream.write('], "function": "generate_text", "shots": 0, "task": "big"}]}')
print(count)
"""
MEASURE = """
import sys
from pathlib import Path
import pandas, pyarrow
from bigbench_meta.experiments.rescoring.scoring import rescore
def peak():
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])
before = peak()
found = rescore([Path(sys.argv[1])], metrics=["exact_str_match", "token_edit_distance"])
print(found.read, found.results["n_items"].max(), before, peak())
"""


@pytest.mark.parametrize("megabytes", [30, pytest.param(400, marks=pytest.mark.slow)])
def test_memory_is_bounded(tmp_path, megabytes):
    """A log of one query is scored in a memory that does not grow with it: below 60 MB beyond the imports."""
    path = tmp_path / "full-log_big.json"
    made = subprocess.run(
        [sys.executable, "-c", GENERATOR, str(path), str(megabytes), json.dumps(MODEL)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], check=True, capture_output=True, text=True, timeout=280
    )
    read, items, before, after = map(int, run.stdout.split())
    assert read == items == int(made.stdout)
    assert after - before < 60_000, f"{after - before} kB beyond the imports"
