"""Score files as they really are: each trap by name, and every number accounted for."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from score_files import ENTRY, MODEL, document, entry, model_named, put

from bigbench_meta.errors import LoadError
from bigbench_meta.fetcher import fetch
from bigbench_meta.loader import Results, load_results
from bigbench_meta.schema import PROBLEMS, RESULTS, validate


def load(root: Path, **selection: object) -> Results:
    """Load a folder and check what must hold of every load."""
    results = load_results(root, **selection)
    validate(results.frame, RESULTS)
    assert list(results.problems.columns) == PROBLEMS.names
    counts = results.counts
    assert counts.balanced
    assert counts.rows == len(results.frame)
    assert counts.explained == results.explained.sum()
    assert len(results.explained) == len(results.problems)
    return results


def only(results: Results) -> dict[str, object]:
    """Return the one problem there must be, with the numbers it explains."""
    assert len(results.problems) == 1, results.problems.to_dict("records")
    return results.problems.iloc[0].to_dict() | {"numbers": int(results.explained[0])}


def one(root: Path, *entries: str, **parts: str) -> Results:
    """Load a folder of one score file with these entries."""
    put(root, document(*entries, **parts))
    return load(root)


def scores(results: Results) -> dict[str, float]:
    return dict(zip(results.frame["metric"].astype(str), results.frame["score"], strict=True))


class TestPlainFile:
    def test_every_column(self, tmp_path):
        """A plain file gives each column as it stands on disk (checked by hand)."""
        path = put(tmp_path, document())
        frame = load(tmp_path).frame
        assert len(frame) == 2
        row = frame[frame["metric"] == "multiple_choice_grade"].iloc[0].to_dict()
        assert row.pop("score_normalized") == pytest.approx((0.4737 - 0.5) / 0.5, abs=1e-15)
        assert row == {
            "task": "navigate",
            "subtask": "navigate",
            "is_aggregate": False,
            "family": "BIG-G T=0",
            "model": "128b",
            "total_params": 139586437120.0,
            "non_embedding_params": 137440272384.0,
            "scale": 137440272384.0,
            "shots": 3,
            "trial": 0,
            "metric": "multiple_choice_grade",
            "score": 0.4737,
            "is_preferred": True,
            "low_score": 0.5,
            "high_score": 1.0,
            "source_file": path,
        }
        brier = frame[frame["metric"] != "multiple_choice_grade"].iloc[0]
        assert not brier["is_preferred"]
        assert math.isnan(brier["score_normalized"])

    def test_name_of_file_says_nothing(self, tmp_path):
        """Family and size come from the content: a misleading file name changes nothing but source_file."""
        put(tmp_path, document(), name="scores_PaLM_535b.json")
        frame = load(tmp_path).frame
        assert set(frame["family"]) == {"BIG-G T=0"}
        assert set(frame["model"]) == {"128b"}

    def test_backup_beside_is_ignored(self, tmp_path):
        """A backup of a score file is not a score file."""
        put(tmp_path, document())
        put(tmp_path, "garbage", name="scores_BIG-G_128b_T=0.json.backup_000001")
        results = load(tmp_path)
        assert results.counts.files == 1
        assert results.problems.empty

    def test_null_sizes_are_unknown(self, tmp_path):
        """Total and non-embedding parameters may be null without a word; they are not needed."""
        model = MODEL.replace("139586437120", "null").replace(
            '"non_embedding_params": 137440272384', '"non_embedding_params": null'
        )
        results = one(tmp_path, model=model)
        assert results.problems.empty
        assert results.frame["total_params"].isna().all()
        assert (results.frame["scale"] == 137440272384.0).all()

    @pytest.mark.parametrize("key", ["total_params", "non_embedding_params"])
    def test_missing_sizes_are_recorded(self, tmp_path, key):
        """A size whose key is missing is unknown like a null one, but that it is missing is on record."""
        model = re.sub(rf'"{key}": \d+,', "", MODEL)
        assert model != MODEL
        results = one(tmp_path, model=model)
        problem = only(results)
        assert (problem["where"], problem["problem"]) == (f"$.model.{key}", f"{key} is missing")
        assert problem["numbers"] == 0
        assert results.frame[key].isna().all()
        assert len(results.frame) == 2

    @pytest.mark.parametrize("name", ["github", "-x", "host.example:r", "ext::sh"])
    def test_a_path_is_a_path(self, tmp_path, monkeypatch, name):
        """A folder given as a Path is read, whatever address its name would be as text."""
        put(tmp_path / name, document())
        monkeypatch.chdir(tmp_path)
        assert len(load_results(Path(name)).frame) == 2


class TestAggregates:
    def test_decided_per_shot_count(self, tmp_path):
        """The task's own row is an aggregate only beside a subtask of the same shots."""
        frame = one(
            tmp_path,
            entry("navigate", shots=0),
            entry("navigate:north", shots=0),
            entry("navigate:south", shots=0),
            entry("navigate", shots=1),
        ).frame
        found = {(row.subtask, row.shots): row.is_aggregate for row in frame.itertuples()}
        assert found == {
            ("navigate", 0): True,
            ("navigate:north", 0): False,
            ("navigate:south", 0): False,
            ("navigate", 1): False,
        }

    def test_decided_per_file(self, tmp_path):
        """Subtasks of one model do not make an aggregate of another model's only row."""
        put(tmp_path, document(entry("navigate"), entry("navigate:north")), name="scores_a.json")
        put(tmp_path, document(entry("navigate"), model=model_named("8b")), name="scores_b.json")
        frame = load(tmp_path).frame
        assert list(frame.query("is_aggregate")["model"]) == ["128b"]

    def test_a_subtask_without_usable_numbers_still_counts(self, tmp_path):
        """What makes an aggregate is the subtask's entry, not its values."""
        frame = one(tmp_path, entry("navigate"), entry("navigate:north", bleu='"none"')).frame
        assert list(frame["is_aggregate"]) == [True]


class TestTrials:
    def test_equal_repeat(self, tmp_path):
        """The same entry twice gives trials 0 and 1 and no problem."""
        results = one(tmp_path, ENTRY, ENTRY)
        assert results.problems.empty
        assert sorted(results.frame["trial"]) == [0, 0, 1, 1]

    def test_different_repeat(self, tmp_path):
        """Repeats that differ keep both rows in file order, with one problem."""
        results = one(tmp_path, entry("a", bleu="1.0"), entry("a", bleu="2.0"), entry("a", bleu="1.0"))
        assert list(zip(results.frame["trial"], results.frame["score"], strict=True)) == [(0, 1.0), (1, 2.0), (2, 1.0)]
        problem = only(results)
        assert problem["where"] == "$.scores[1]"
        assert "$.scores[0]" in problem["problem"]
        assert problem["numbers"] == 0

    def test_repeat_with_other_metrics(self, tmp_path):
        """A trial is a repeat of a key, so a metric that is new in the second entry is trial 0."""
        results = one(tmp_path, entry("a", bleu="1.0"), entry("a", bleu="2.0", rouge1="3.0"))
        found = {(row.metric, row.trial): row.score for row in results.frame.itertuples()}
        assert found == {("bleu", 0): 1.0, ("bleu", 1): 2.0, ("rouge1", 0): 3.0}
        assert only(results)["where"] == "$.scores[1]"

    def test_name_ending_in_trial_keeps_its_text(self, tmp_path):
        """A name with trial_0 at its end is a name."""
        results = one(tmp_path, entry("additiontrial_0"), entry("additiontrial_1"))
        assert list(results.frame["subtask"]) == ["additiontrial_0", "additiontrial_1"]
        assert set(results.frame["trial"]) == {0}


class TestNames:
    def test_free_text_subtasks(self, tmp_path):
        """Subtasks may be sentences with colons, quotes, braces, commas and escapes; they keep their text."""
        names = ['Is it so: "yes", or {no}?', "a\\b", "tab\there", "d\u00e9j\u00e0 vu ? [x]: y", "navigate:north"]
        results = one(tmp_path, *[entry(name) for name in names])
        assert results.problems.empty
        assert sorted(results.frame["subtask"]) == sorted(names)

    @pytest.mark.parametrize("missing", ["null", '""', None])
    def test_subtask_missing(self, tmp_path, missing):
        """Without a subtask's name the task's name stands, and a problem says so."""
        text = entry("a")
        text = text.replace(
            ', "subtask_description": "a"', "" if missing is None else f', "subtask_description": {missing}'
        )
        results = one(tmp_path, text)
        assert list(results.frame["subtask"]) == ["navigate"]
        assert only(results)["where"] == "$.scores[0].subtask_description"

    def test_half_a_surrogate_pair(self, tmp_path):
        """A metric name that is no text cannot stand in a table; the number is explained."""
        results = one(tmp_path, '{"score_dict": {"bleu": 1, "\\ud800": 2}, ' + entry("a").split("}, ", 1)[1])
        assert scores(results) == {"bleu": 1.0}
        assert only(results)["numbers"] == 1

    def test_task_differs_from_folder(self, tmp_path):
        """The file's own task name counts, and the difference is recorded."""
        results = one(tmp_path, task="another_task")
        assert set(results.frame["task"]) == {"another_task"}
        assert only(results)["where"] == "$.task.task_name"

    def test_task_differs_from_folder_and_is_selected(self, tmp_path):
        """A selection by task goes by folder: the rows of such a file are not lost."""
        one(tmp_path, task="another_task")
        folder = next(tmp_path.rglob("scores_*.json")).parent.parent.name
        chosen = load(tmp_path, tasks=[folder])
        assert set(chosen.frame["task"]) == {"another_task"}
        assert chosen.counts.not_selected == 0

    def test_task_not_named(self, tmp_path):
        """A file that does not name its task takes the folder's name, on record."""
        put(tmp_path, document().replace('"task_name": "navigate"', '"name": "navigate"'))
        results = load(tmp_path)
        assert set(results.frame["task"]) == {"navigate"}
        assert only(results)["where"] == "$.task.task_name"


class TestOddValues:
    @pytest.mark.parametrize(
        "value", ["NaN", "Infinity", "-Infinity", "null", "1e400", "-1e400", "9" * 400, "9" * 5000, '"nan"', '"inf"']
    )
    def test_not_finite(self, tmp_path, value):
        """Values that are not finite give a row with NaN and a problem that explains no number."""
        results = one(tmp_path, entry("a", bleu=value))
        assert math.isnan(results.frame["score"].item())
        problem = only(results)
        assert problem["where"] == "$.scores[0].score_dict.bleu"
        assert problem["numbers"] == 0

    @pytest.mark.parametrize(
        ("value", "number"),
        [('"0.25"', 0.25), ('" -1.5e2 "', -150.0), ('"3"', 3.0), ("true", 1.0), ("false", 0.0)],
    )
    def test_number_in_another_form(self, tmp_path, value, number):
        """Numeric strings and booleans give their number and a problem."""
        results = one(tmp_path, entry("a", bleu=value))
        assert results.frame["score"].item() == number
        assert only(results)["numbers"] == 0

    @pytest.mark.parametrize(
        "value",
        [
            '"none"',
            '""',
            '"0x10"',
            '"1_000"',
            '"--inf"',
            '"+-nan"',
            "[0.1, 0.2]",
            "[]",
            '{"mean": 0.5, "bleu": 1}',
            "{}",
        ],
    )
    def test_no_number(self, tmp_path, value):
        """Text, lists and objects give no row and explain one number."""
        results = one(tmp_path, entry("a", bleu=value, rouge1="5"))
        assert scores(results) == {"rouge1": 5.0}
        assert only(results)["numbers"] == 1

    @pytest.mark.parametrize(
        "value", ["9007199254740993", "1" + "0" * 300, "-0", "5e-324", "0.1", "1E5", "123456789012345678901234567890"]
    )
    def test_unusual_but_finite(self, tmp_path, value):
        """Large integers and extreme floats are the nearest float, without a problem (Python's own reading)."""
        results = one(tmp_path, entry("a", bleu=value))
        assert results.frame["score"].item() == float(value)
        assert results.problems.empty

    def test_key_twice(self, tmp_path):
        """Of a key that stands three times the last value has the row; the others are explained."""
        text = entry("a").replace('"bleu": 12.5', '"bleu": 1, "rouge1": 9, "bleu": "x", "bleu": 2.5')
        results = one(tmp_path, text)
        assert scores(results) == {"bleu": 2.5, "rouge1": 9.0}
        assert results.counts.on_disk == 4
        problem = only(results)
        assert problem["where"] == "$.scores[0].score_dict.bleu"
        assert "3 times" in problem["problem"]
        assert problem["numbers"] == 2

    def test_key_written_with_an_escape_is_the_same_key(self, tmp_path):
        """A repeat is found even where one of the two is spelled with an escape."""
        results = one(tmp_path, entry("a").replace('"bleu": 12.5', '"bl\\u0065u": 1, "bleu": 2'))
        assert scores(results) == {"bleu": 2.0}
        assert only(results)["numbers"] == 1

    @pytest.mark.parametrize("key", ["preferred_score", "number_of_shots", "score_dict"])
    def test_key_of_an_entry_twice(self, tmp_path, key):
        """Repeats outside score_dict are recorded too; a whole score_dict that goes is explained number by number."""
        again = {
            "preferred_score": '"preferred_score": "rouge1"',
            "number_of_shots": '"number_of_shots" : 7',
            "score_dict": '"score_dict": {"x": 1, "y": "?", "y": 2}',
        }[key]
        results = one(tmp_path, "{" + again + ", " + entry("a")[1:])
        assert scores(results) == {"bleu": 12.5}
        assert set(results.frame["shots"]) == {0}
        assert only(results)["numbers"] == (3 if key == "score_dict" else 0)

    def test_scores_twice(self, tmp_path):
        """The last of two lists of scores counts; the numbers of the first are explained."""
        put(
            tmp_path,
            document().replace('{\n  "scores"', '{"scores": [' + entry("old", a="1", b="2") + '],\n  "scores"', 1),
        )
        results = load(tmp_path)
        assert len(results.frame) == 2
        assert only(results)["numbers"] == 2


class TestMissingAndExtraKeys:
    def test_extra_keys_are_ignored(self, tmp_path):
        """Unknown keys at any level change nothing."""
        text = document("{" + '"confidence": [1, {"score": 2}], ' + ENTRY[1:])
        text = text.replace('"task_name"', '"keywords": ["a"], "task_name"').replace(
            '"queries"', '"extra": {"a": 1}, "queries"'
        )
        text = text.replace('"model_name"', '"hidden_size": 1024, "model_name"')
        put(tmp_path, text)
        results = load(tmp_path)
        assert results.problems.empty
        assert len(results.frame) == 2

    def test_no_queries(self, tmp_path):
        """A file without queries is whole."""
        put(tmp_path, document().replace(',\n  "queries": null', ""))
        results = load(tmp_path)
        assert results.problems.empty
        assert len(results.frame) == 2

    def test_rouge_means_rouge_l_sum(self, tmp_path):
        """The preferred metric rouge stands for rougeLsum, without a problem."""
        results = one(tmp_path, entry("a", preferred="rouge", rouge1="1", rougeLsum="50"))
        assert results.problems.empty
        preferred = results.frame.query("is_preferred")
        assert list(preferred["metric"]) == ["rougeLsum"]
        assert preferred["score_normalized"].item() == 0.5

    @pytest.mark.parametrize("preferred", ["rouge", "accuracy"])
    def test_preferred_absent(self, tmp_path, preferred):
        """Where the preferred metric was not reported, no row is preferred, on record."""
        results = one(tmp_path, entry("a", preferred=preferred))
        assert not results.frame["is_preferred"].any()
        assert only(results)["where"] == "$.scores[0].preferred_score"

    @pytest.mark.parametrize("low", ["100.0", "null", "NaN", "Infinity", '"low"', '"+-inf"'])
    def test_bounds_that_do_not_span(self, tmp_path, low):
        """Without two different finite bounds there is no normalized score, on record."""
        results = one(tmp_path, entry("a", low=low))
        assert results.frame["score"].item() == 12.5
        assert results.frame["score_normalized"].isna().all()
        assert only(results)["where"] in ("$.scores[0].low_score", "$.scores[0].high_score")

    def test_bounds_missing(self, tmp_path):
        """A missing bound is unknown, and each is recorded."""
        results = one(tmp_path, entry("a").replace('"low_score": 0.0, "high_score": 100.0, ', ""))
        assert results.frame[["low_score", "high_score", "score_normalized"]].isna().all(axis=None)
        assert len(results.problems) == 2

    @pytest.mark.parametrize(
        "shots", ["null", "true", "2.5", '"few"', "[]", "-2", "1e400", "NaN", '"--inf"', "99999999999999999999", None]
    )
    def test_shots_unusable(self, tmp_path, shots):
        """An entry whose shots are unknown has no key; its numbers are explained, the other entries stay."""
        text = entry("a", x="1", y="2").replace(
            '"number_of_shots": 0, ', "" if shots is None else f'"number_of_shots": {shots}, '
        )
        results = one(tmp_path, text, entry("b"))
        assert list(results.frame["subtask"]) == ["b"]
        problem = only(results)
        assert problem["where"] == "$.scores[0].number_of_shots"
        assert problem["numbers"] == 2

    @pytest.mark.parametrize("shots", ['"2"', "2.0"])
    def test_shots_in_another_form(self, tmp_path, shots):
        """Shots as text or as a float that is an integer are read, on record."""
        results = one(tmp_path, entry("a").replace('"number_of_shots": 0', f'"number_of_shots": {shots}'))
        assert list(results.frame["shots"]) == [2]
        assert only(results)["where"] == "$.scores[0].number_of_shots"

    @pytest.mark.parametrize(
        "item", ["null", "[]", "3", '"text"', '{"score_dict": [1, 2]}', '{"score_dict": null}', "{}"]
    )
    def test_entry_of_another_shape(self, tmp_path, item):
        """What is no entry is recorded and the others stay."""
        results = one(tmp_path, item, ENTRY)
        assert len(results.frame) == 2
        assert only(results)["where"].startswith("$.scores[0]")

    @pytest.mark.parametrize("value", ["null", "0", "-5", "NaN", "1e400", "true", '"big"', '"--inf"', "[]"])
    def test_scale_unusable(self, tmp_path, value):
        """A scale that is no count is unknown, on record; the scores stay."""
        model = MODEL.replace(
            '"flop_matched_non_embedding_params": 137440272384', f'"flop_matched_non_embedding_params": {value}'
        )
        results = one(tmp_path, model=model)
        assert results.frame["scale"].isna().all()
        assert only(results)["where"] == "$.model.flop_matched_non_embedding_params"

    def test_scale_as_text(self, tmp_path):
        """A scale in quotes is read, on record."""
        model = MODEL.replace(
            '"flop_matched_non_embedding_params": 137440272384', '"flop_matched_non_embedding_params": "1e9"'
        )
        results = one(tmp_path, model=model)
        assert (results.frame["scale"] == 1e9).all()
        assert only(results)["where"] == "$.model.flop_matched_non_embedding_params"

    @pytest.mark.parametrize(
        "change", [('"model_name": "128b"', '"model_name": null'), ('"model_family": "BIG-G T=0",', "")]
    )
    def test_model_without_a_name(self, tmp_path, change):
        """Rows of a nameless model would have no key: none is made, all are explained."""
        results = one(tmp_path, model=MODEL.replace(*change))
        assert results.frame.empty
        assert only(results)["numbers"] == 2


class TestUnreadableFiles:
    @pytest.mark.parametrize(
        "text", ["", "  \n", "[]", "[1, 2]", "3", '"scores"', "null", "true", "not json", "{", "{}", '{"scores": {}}']
    )
    def test_no_score_file(self, tmp_path, text):
        """Whatever is no score file is one problem, and the other files are read."""
        bad = put(tmp_path, text, task="bad")
        put(tmp_path, document())
        results = load(tmp_path)
        assert len(results.frame) == 2
        assert only(results)["file"] == bad
        assert results.counts.files == 2

    def test_truncated_anywhere(self, tmp_path):
        """A file cut off at any byte gives no row, and the numbers seen in it are explained."""
        text = document(entry("a", x="1.5", y="2"), entry("b"))
        for end in range(0, len(text) - 1, 5):
            results = one_text(tmp_path, text[:end])
            assert results.frame.empty
            assert only(results)["numbers"] == results.counts.on_disk
        assert results.counts.on_disk == 3

    def test_wrapped_in_a_list(self, tmp_path):
        """A file whose object stands in a list has the wrong shape; its numbers are explained."""
        results = one_text(tmp_path, f"[{document()}]")
        assert only(results)["numbers"] == 2
        assert "list" in only(results)["problem"]

    def test_trailing_text(self, tmp_path):
        """Two documents in one file are not one."""
        assert only(one_text(tmp_path, document() + "{}"))["numbers"] == 2

    def test_byte_order_mark(self, tmp_path):
        """A byte order mark is recorded and the file read."""
        results = one_text(tmp_path, b"\xef\xbb\xbf" + document().encode())
        assert len(results.frame) == 2
        assert only(results)["where"] == "$"

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
    def test_wider_encodings(self, tmp_path, encoding):
        """UTF-16 and UTF-32 are recorded and read."""
        results = one_text(tmp_path, document().encode(encoding))
        assert len(results.frame) == 2
        assert "utf" in only(results)["problem"]

    def test_invalid_utf8(self, tmp_path):
        """Bytes that are no UTF-8 make the file unreadable, even where the decoder would pass over them."""
        results = one_text(tmp_path, document().encode().replace(b"dense", b"d\xe9nse"))
        assert results.frame.empty
        assert only(results)["numbers"] == 2

    @pytest.mark.parametrize("depth", [20_000, 100_000])
    def test_deep_nesting(self, tmp_path, depth):
        """Nesting that no decoder follows is one problem, not a crash. Python 3.13 follows 5,000 levels, 3.11 fewer than 1,000."""
        nested = "[" * depth + "]" * depth
        results = one_text(tmp_path, document().replace('"additional_details": ""', f'"additional_details": {nested}'))
        assert results.frame.empty
        assert only(results)["numbers"] == 2

    def test_too_large(self, tmp_path, monkeypatch):
        """A file above the stated limit is refused with the limit in the message."""
        monkeypatch.setattr("bigbench_meta.loader.bigbench.fast._LARGE", 100)
        monkeypatch.setattr("bigbench_meta.loader.bigbench.document.MAX_FILE_BYTES", 200)
        results = one_text(tmp_path, document())
        assert results.frame.empty
        assert "200 bytes" in only(results)["expected"]


def one_text(root: Path, text: str | bytes) -> Results:
    """Load a folder of one file with this content."""
    put(root, text)
    return load(root)


class TestQueries:
    FILLED = json.dumps(
        [{"function": "generate_text", "samples": [{"input": 'say "x": {', "score_dict": {"a": 1}}], "x": [0.5] * 50}]
    )

    @pytest.mark.parametrize("queries", [FILLED, "[" + FILLED + ", NaN, -Infinity]", "{}", "3", '"\\ud800"'])
    def test_filled_queries_change_nothing(self, tmp_path, queries):
        """What stands in queries is neither read nor counted."""
        results = one(tmp_path, queries=queries)
        assert results.problems.empty
        assert len(results.frame) == 2

    def test_queries_first_in_a_large_file(self, tmp_path, monkeypatch):
        """Above the threshold the queries are cut out by their brackets, wherever they stand."""
        monkeypatch.setattr("bigbench_meta.loader.bigbench.fast._LARGE", 100)
        put(tmp_path, '{"queries": ' + self.FILLED + ", " + document()[1:].replace(',\n  "queries": null', ""))
        results = load(tmp_path)
        assert results.problems.empty
        assert len(results.frame) == 2


class TestBetweenFiles:
    def test_first_file_keeps_the_row(self, tmp_path):
        """The same key in three files: the first by path has the row, each other number its problem."""
        first = put(tmp_path, document(entry("a", bleu="1", rouge1="5")), name="scores_1.json")
        second = put(tmp_path, document(entry("a", bleu="2", x="7")), name="scores_2.json")
        third = put(tmp_path, document(entry("b"), entry("a", bleu="1")), name="scores_3.json")
        results = load(tmp_path)
        found = {(row.subtask, row.metric): (row.score, row.source_file) for row in results.frame.itertuples()}
        assert found == {
            ("a", "bleu"): (1.0, first),
            ("a", "rouge1"): (5.0, first),
            ("a", "x"): (7.0, second),
            ("b", "bleu"): (12.5, third),
        }
        assert list(results.problems["file"]) == [second, third]
        assert list(results.problems["where"]) == ["$.scores[0].score_dict.bleu", "$.scores[1].score_dict.bleu"]
        assert "1.0 there and 2.0 here" in results.problems["problem"][0]
        assert "the same value" in results.problems["problem"][1]
        assert list(results.explained) == [1, 1]

    def test_order_of_files_changes_nothing(self, tmp_path):
        """Entries handed over in any order give the same tables."""
        from dataclasses import replace

        put(tmp_path, document(entry("a", bleu="1")), name="scores_1.json")
        put(tmp_path, document(entry("a", bleu="2")), name="scores_2.json")
        put(tmp_path, "{", name="scores_0.json")
        put(tmp_path, document(entry("a"), model=model_named("8b")), task="other", name="scores_9.json")
        checkout = fetch(str(tmp_path))
        straight = load_results(checkout)
        turned = load_results(replace(checkout, entries=checkout.entries[::-1]))
        assert straight.frame.equals(turned.frame)
        assert straight.problems.equals(turned.problems)
        assert straight.counts == turned.counts

    def test_sorted_by_key(self, tmp_path):
        """Rows stand in the order of the key, whatever the order in the files."""
        put(
            tmp_path,
            document(entry("b", shots=2, y="1", x="2"), entry("b", shots=1), entry("a"), model=model_named("8b")),
            name="scores_1.json",
        )
        put(tmp_path, document(entry("b", shots=2)), name="scores_2.json")
        frame = load(tmp_path).frame
        plain = frame.astype({name: str for name, word in RESULTS.columns.items() if word == "category"})
        assert plain.equals(plain.sort_values(list(RESULTS.key), ignore_index=True))


class TestStrict:
    def test_first_problem_by_path(self, tmp_path):
        """Strict mode stops at the first problem by path, with file, place and expectation, and says how many more."""
        put(tmp_path, document(entry("a", bleu='"x"'), task="zebra"), task="zebra")
        bad = put(tmp_path, document(entry("a"), entry("b", bleu="null"), task="ant"), task="ant")
        with pytest.raises(LoadError) as caught:
            load_results(tmp_path, strict=True)
        message = str(caught.value)
        assert bad in message
        assert "$.scores[1].score_dict.bleu" in message
        assert "expected a finite number" in message
        assert "1 more" in message

    def test_plain_files_pass(self, tmp_path):
        """Without a problem strict mode returns what the default does."""
        put(tmp_path, document())
        assert load(tmp_path, strict=True).frame.equals(load(tmp_path).frame)


class TestSelection:
    @pytest.fixture
    def root(self, tmp_path):
        for task in ("navigate", "other"):
            for model, family in (("8b", "BIG-G T=0"), ("535b", "PaLM")):
                entries = [entry("a", shots=shots, bleu="1", rouge1="2") for shots in (0, 1)]
                text = document(*entries, task=task, model=model_named(model, family=family))
                put(tmp_path, text, task=task, name=f"scores_{model}.json")
        return tmp_path

    @pytest.mark.parametrize(
        ("selection", "rows"),
        [
            ({"families": ["PaLM"]}, 8),
            ({"shots": [1]}, 8),
            ({"metrics": ["bleu"]}, 8),
            ({"tasks": ["other"]}, 8),
            ({"tasks": ["other"], "families": ["PaLM"], "shots": [0], "metrics": ["rouge1"]}, 1),
        ],
    )
    def test_rows_are_those_of_the_full_table(self, root, selection, rows):
        """A selection gives the rows of the full table that have it, and the balance says what was left out."""
        full = load(root).frame
        results = load(root, **selection)
        names = {"tasks": "task", "families": "family", "shots": "shots", "metrics": "metric"}
        for option, values in selection.items():
            full = full[full[names[option]].isin(values)]
        assert len(results.frame) == rows
        assert results.frame.astype(object).equals(full.reset_index(drop=True).astype(object))
        for name in ("task", "family", "metric", "source_file"):
            assert set(results.frame[name].cat.categories) == set(results.frame[name])

    def test_other_tasks_are_not_read(self, root):
        """A selection by task opens no file of another task."""
        put(root, "garbage", task="broken")
        results = load(root, tasks=["navigate"])
        assert results.counts.files == 2
        assert results.problems.empty

    @pytest.mark.parametrize(
        ("selection", "expected"),
        [
            ({"tasks": ["navigat"]}, "no task 'navigat' in what was read; near matches: navigate"),
            ({"families": ["Palm"]}, "near matches: PaLM"),
            ({"shots": [7]}, "no shots 7 in what was read; there are 0, 1"),
            ({"metrics": ["bleu", "rouge2"]}, "no metric 'rouge2' in what was read; near matches: rouge1"),
        ],
    )
    def test_something_that_does_not_exist(self, root, selection, expected):
        """Asking for what is not there names what is near."""
        with pytest.raises(LoadError, match=expected.replace("(", r"\(")):
            load_results(root, **selection)

    def test_a_name_is_not_a_list(self, root):
        """A bare string would be taken letter by letter, so it is refused."""
        with pytest.raises(LoadError, match=r"tasks='navigate'.*\['navigate'\]"):
            load_results(root, tasks="navigate")


class TestRealData:
    @pytest.mark.real
    def test_whole_bundle(self, shared_data):
        """The published bundle: 120 tasks x 12 models, every number a row, the known curve ends as published."""
        results = load_results(shared_data / "bigbench-real.bundle")
        assert results.problems.empty
        assert results.counts.files == 1440
        assert results.counts.on_disk == len(results.frame) == 2508
        assert results.frame["task"].nunique() == 120
        assert results.frame["model"].nunique() == 12
        assert set(results.frame["shots"]) == {3}
        assert not results.frame["is_aggregate"].any()
        row = results.frame.query("task == 'moral_permissibility' and model == '4b' and is_preferred")
        assert row["score"].item() == 0.4737
        assert np.isclose(row["score_normalized"].item(), -0.0526, atol=1e-12)
