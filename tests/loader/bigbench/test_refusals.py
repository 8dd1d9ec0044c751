"""Every refusal of the careful reader, word for word: what was wrong, where, what was expected, and what was done.

A last test looks up all places in the reader that refuse or record, and that each of them has a case here.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
from score_files import ENTRY, MODEL, document, entry

from bigbench_meta.loader.bigbench import careful
from bigbench_meta.loader.bigbench.careful import read_carefully
from bigbench_meta.loader.bigbench.document import UnusableError
from bigbench_meta.loader.columns import Columns

LOST = "no number of this file is used (2 stand in it)"
ONE_LOST = "no number of this entry is used (1 stand in it)"
NOTHING = "the file gives no number"
SHOTS = "an integer from -1 to 1000000"
COUNT = "a positive, finite count of parameters"
UNKNOWN = "taken as unknown (NaN)"
# Python's own words for a comma after the last entry, and where they stand.
COMMA = (
    ("line 30, column 18", "not JSON (Illegal trailing comma before end of object)")
    if sys.version_info >= (3, 13)
    else ("line 31, column 1", "not JSON (Expecting property name enclosed in double quotes)")
)


def of_model(old: str, new: str) -> str:
    assert old in MODEL
    return document(model=MODEL.replace(old, new))


def of_entry(old: str, new: str) -> str:
    text = entry("navigate", bleu="1")
    assert old in text
    return document(text.replace(old, new))


# What the file holds; where, what, expected, action of its one problem; how many numbers it explains.
CASES: dict[str, tuple[str | bytes, str, str, str, str, int]] = {
    "empty": (b" \n", "$", "the file is empty", "a JSON object with scores, task and model", NOTHING, 0),
    "UTF-16": (
        document().encode("utf-16"), "$", "the file is in utf-16", "UTF-8 without a byte order mark",
        "read in that encoding", 0,
    ),
    "UTF-16, cut": (
        document().encode("utf-16") + b"\0", "$",
        "bytes that are not utf-16 ('utf-16-le' codec can't decode byte 0x00 in position 1640: truncated data)",
        "UTF-8", NOTHING, 0,
    ),
    "no UTF-8": (
        document().encode().replace(b"navigate", b"\xe4", 1), "line 12, column 31",
        "bytes that are not UTF-8 (invalid continuation byte)", "UTF-8", LOST, 2,
    ),
    "cut": (
        document()[:200], "line 8, column 49",
        "not JSON (Expecting ',' delimiter); brackets are left open or do not match: the file may be cut off",
        "a whole JSON file", LOST, 2,
    ),
    "comma at the end": (
        document().replace('"queries": null', '"queries": null,'), *COMMA, "a whole JSON file", LOST, 2,
    ),
    "two documents": (
        document() + "{}", "line 31, column 2",
        "not JSON (Extra data); brackets are left open or do not match: the file may be cut off",
        "a whole JSON file", LOST, 2,
    ),
    "comment": (
        "// scores\n{}", "line 1, column 1",
        "not JSON (Expecting value); brackets are left open or do not match: the file may be cut off",
        "a whole JSON file", NOTHING, 0,
    ),
    "deep": (
        of_model('""', "[" * 99_999 + "]" * 99_999), "$", "nested too deeply to decode", "entries of a few levels", LOST, 2,
    ),
    "values": (
        of_model('""', "[0" + ",0" * 1_500_000 + "]"), "$", "1500027 values beside `queries`",
        "at most 1500000 values beside `queries`", LOST, 2,
    ),
    "bytes": (
        of_model('""', '"' + "x" * (16 << 20) + '"'), "$", "16778035 bytes beside `queries`",
        "at most 16777216 bytes beside `queries`", LOST, 2,
    ),
    "large, in another encoding": (
        of_model('""', '"' + "x" * (8 << 20) + '"').encode("utf-16"), "$", "16778856 bytes in utf-16",
        "UTF-8 without a byte order mark", NOTHING, 0,
    ),
    "list": ("[]", "$", "the top level is a list", "an object with scores, task and model", NOTHING, 0),
    "null": ("null", "$", "the top level is null", "an object with scores, task and model", NOTHING, 0),
    "text": ('"a"', "$", 'the top level is "a"', "an object with scores, task and model", NOTHING, 0),
    "no scores": (
        document().replace('"scores"', '"results"'), "$.scores", "scores is missing", "a list of entries", NOTHING, 0,
    ),
    "scores an object": (
        '{"scores": {}, "task": {"task_name": "navigate"}, "model": ' + MODEL + "}", "$.scores", "scores is an object",
        "a list of entries", NOTHING, 0,
    ),
    "another task": (
        document(task="other").replace('"subtask_description": "navigate"', '"subtask_description": "other"'),
        "$.task.task_name", 'the file names the task "other" and lies in the folder of "navigate"', "the same name",
        "the file's name is used; a selection by task goes by the folder", 0,
    ),
    "no task": (
        document().replace('"task_name"', '"name"'), "$.task.task_name", "the file does not name its task",
        "the name of a task", 'the name of its folder is used, "navigate"', 0,
    ),
    "no task at all": (
        document().replace('"task_name"', '"name"'), "$.task.task_name", "the file does not name its task",
        "the name of a task", LOST, 2,
    ),
    "no model": (
        document().replace('"model"', '"who"'), "$.model", "model is missing",
        "an object with model_family and model_name", LOST, 2,
    ),
    "no name": (
        of_model('"128b"', "128"), "$.model.model_name", "model_name is 128", "a name: no row can be keyed without it",
        LOST, 2,
    ),
    "half a surrogate as a family": (
        of_model('"BIG-G T=0"', '"\\ud800"'), "$.model.model_family", 'model_family is "\\ud800"',
        "a name: no row can be keyed without it", LOST, 2,
    ),
    "no scale": (
        of_model('"flop_matched_non_embedding_params": 137440272384', '"flop_matched_non_embedding_params": -1e400'),
        "$.model.flop_matched_non_embedding_params", "flop_matched_non_embedding_params is -Infinity", COUNT, UNKNOWN, 0,
    ),
    "no size": (
        of_model('"total_params": 139586437120', '"total_params": true'), "$.model.total_params",
        "total_params is true", COUNT + ", or null where it is not known", UNKNOWN, 0,
    ),
    "a size in text": (
        of_model('"total_params": 139586437120', '"total_params": "1e11"'), "$.model.total_params",
        'total_params is the text "1e11"', COUNT + ", or null where it is not known", "read as 100000000000.0", 0,
    ),
    "key twice": (
        of_entry('"bleu": 1', '"bleu": 2, "\\u0062leu": 1'), "$.scores[0].score_dict.bleu",
        "the key stands 2 times in one object", "each key once", "the last value is kept", 1,
    ),
    "key twice at the top": (
        document().replace('"queries": null', '"scores": []'), "$.scores",
        "the key stands 2 times in one object", "each key once", "the last value is kept", 2,
    ),
    "entry": (
        document(ENTRY, "7"), "$.scores[1]", "the entry is 7", "an object with score_dict and its description",
        "no number of this entry is used (0 stand in it)", 0,
    ),
    "score_dict": (
        document(ENTRY, '{"score_dict": [1]}'), "$.scores[1].score_dict", "score_dict is a list",
        "an object of metrics and their values", "no number of this entry is used (0 stand in it)", 0,
    ),
    "shots": (
        of_entry('"number_of_shots": 0', '"number_of_shots": -2'), "$.scores[0].number_of_shots",
        "number_of_shots is -2", SHOTS, ONE_LOST, 1,
    ),
    "half a shot": (
        of_entry('"number_of_shots": 0', '"number_of_shots": 0.5'), "$.scores[0].number_of_shots",
        "number_of_shots is 0.5", SHOTS, ONE_LOST, 1,
    ),
    "shots in text": (
        of_entry('"number_of_shots": 0', '"number_of_shots": "3"'), "$.scores[0].number_of_shots",
        'number_of_shots is "3"', SHOTS, "read as 3", 0,
    ),
    "no subtask": (
        of_entry('"navigate"', '""'), "$.scores[0].subtask_description", 'subtask_description is ""',
        "the name of a subtask or of the task", 'the task\'s name is used, "navigate"', 0,
    ),
    "subtask a list": (
        of_entry('"navigate"', "[]"), "$.scores[0].subtask_description", "subtask_description is a list",
        "the name of a subtask or of the task", ONE_LOST, 1,
    ),
    "preferred": (
        of_entry('"preferred_score": "bleu"', '"preferred_score": "rouge1"'), "$.scores[0].preferred_score",
        'the preferred metric "rouge1" is not in score_dict', "a metric of score_dict",
        "no metric of the entry counts as preferred", 0,
    ),
    "bound": (
        of_entry('"low_score": 0.0', '"low_score": NaN'), "$.scores[0].low_score", "low_score is NaN", "a finite number",
        "taken as unknown; score_normalized is NaN", 0,
    ),
    "bound in text": (
        of_entry('"low_score": 0.0', '"low_score": "-0"'), "$.scores[0].low_score", 'low_score is "-0"',
        "a finite number", "read as -0.0", 0,
    ),
    "one bound": (
        of_entry('"low_score": 0.0', '"low_score": 100'), "$.scores[0].high_score",
        "low_score is 100.0 and high_score is 100.0", "two different bounds", "score_normalized is NaN", 0,
    ),
    "name of a metric": (
        of_entry('"bleu": 1', '"bleu": 1, "\\udfff": 2'), '$.scores[0].score_dict["\\udfff"]',
        "the metric's name is not valid text", "Unicode text", "no row", 1,
    ),
    "no number": (
        of_entry('"bleu": 1', '"bleu": 1, "b c": {"a": 1}'), '$.scores[0].score_dict["b c"]',
        "the value is an object", "a number", "no row", 1,
    ),
    "endless": (
        of_entry('"bleu": 1', '"bleu": ' + "9" * 5_000), "$.scores[0].score_dict.bleu", "the value is Infinity",
        "a finite number", "a row with NaN", 0,
    ),
    "number in text": (
        of_entry('"bleu": 1', '"bleu": " 1e-400 "'), "$.scores[0].score_dict.bleu", 'the value is " 1e-400 "',
        "a number", "read as 0.0", 0,
    ),
    "repeat": (
        document(entry("a", bleu="1"), entry("a", bleu="2")), "$.scores[1]",
        "repeats the subtask and shots of $.scores[0] with other content", "repeats that agree",
        "both are kept; repeated metrics are further trials", 0,
    ),
}  # fmt: skip


def problems_of(case: str) -> Columns:
    content = CASES[case][0]
    columns = Columns()
    folder = None if case == "no task at all" else "navigate"
    read_carefully(
        content if isinstance(content, bytes) else content.encode(), file="f", folder_task=folder, into=columns
    )
    return columns


@pytest.mark.parametrize("case", CASES)
def test_words(case):
    """The one problem of the file says all four things, and every number is a row or explained by it."""
    columns = problems_of(case)
    (problem,) = columns.problems
    assert problem[1:] == CASES[case][1:]
    assert columns.on_disk == len(columns.scores) + problem.numbers


def test_every_refusal_has_a_case(monkeypatch):
    """The lines of the reader from which the cases above are refused or recorded are all such lines there are."""
    seen = set()

    def noted(function):
        def wrapper(*arguments, **named):
            frame = sys._getframe(1)
            seen.add((Path(frame.f_code.co_filename).name, frame.f_lineno))
            return function(*arguments, **named)

        return wrapper

    monkeypatch.setattr(careful._Log, "add", noted(careful._Log.add))
    monkeypatch.setattr(UnusableError, "__init__", noted(UnusableError.__init__))
    for case in CASES:
        problems_of(case)
    places = set()
    for module in ("careful", "document"):
        path = Path(careful.__file__).with_name(f"{module}.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("log.add", "UnusableError"):
                places.add((path.name, node.lineno))
    unmet = {(name, line) for name, line in places - seen}
    elsewhere = {  # a file that grew after it was listed; a decoder and a count that differ, which no file does
        (name, line)
        for name, line in unmet
        if any(words in source_line(name, line) for words in ("bytes in a score file", "the decoder accounts for"))
    }
    assert unmet - elsewhere == set()
    assert len(elsewhere) == 2


def source_line(name: str, line: int) -> str:
    """The three lines of a module that begin there."""
    lines = Path(careful.__file__).with_name(name).read_text(encoding="utf-8").split("\n")
    return " ".join(lines[line - 1 : line + 3])
