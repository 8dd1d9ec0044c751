"""Names that look alike and are written with other characters: two names, and on record."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from score_files import document, entry, model_named, put

from bigbench_meta.errors import LoadError
from bigbench_meta.loader import load_results
from bigbench_meta.loader.look_alikes import seen

NFC, NFD = "caf\u00e9", "cafe\u0301"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (NFD, NFC),
        ("\u1112\u1161\u11ab", "\ud55c"),  # three letters of Hangul are one syllable
        (" a  b\n", "a b"),
        ("a\u00a0b", "a b"),
        ("ab\u200b\ufeff\u2066", "ab"),
        ("e\u200d\u0301", "\u00e9"),
        ("\u2764\ufe0f", "\u2764"),
        ("a\x00\x1b", "a"),
        ("A", "A"),
        ("\u0430", "\u0430"),  # a Cyrillic letter is another letter, and can be meant
    ],
)
def test_what_is_seen_of_a_name(name, expected):
    """Canonical composition, spaces and invisible characters, as the tables of Unicode have them; nothing else."""
    assert seen(name) == expected == seen(expected)


def as_text(name):
    """A name as JSON writes it, without its quotes."""
    return json.dumps(name)[1:-1]


@pytest.mark.parametrize("column", ["task", "subtask", "family", "model", "metric"])
def test_two_spellings_of_a_name_are_on_record(tmp_path, column):
    """Both are kept as they stand, and a row of PROBLEMS names both, the file and the place; no number is explained by it."""
    for number, name in enumerate((NFC, NFD, "plain")):
        names = {"task": "t", "subtask": "s", "family": "F", "model": f"m{number}", "metric": "bleu"} | {column: name}
        text = document(
            entry(names["subtask"], preferred=as_text(names["metric"]), **{as_text(names["metric"]): "1"}),
            task=as_text(names["task"]),
            model=model_named(as_text(names["model"]), family=as_text(names["family"])),
        )
        put(tmp_path, text, task=names["task"], name=f"scores_{number}.json")
    loaded = load_results(tmp_path, use_cache=False)
    assert sorted(loaded.frame[column].unique()) == sorted([NFC, NFD, "plain"])
    (problem,) = loaded.problems.itertuples(index=False)
    assert problem.file.endswith("/results/scores_1.json")
    assert problem.problem == f'the {column} "cafe\\u0301" looks like "caf\\u00e9" and is written with other characters'
    assert problem.action == f"kept as it stands: they count as two names of a {column}"
    assert loaded.explained.tolist() == [0]
    with pytest.raises(LoadError, match="looks like"):
        load_results(tmp_path, strict=True, use_cache=False)


def test_names_need_not_differ_from_those_of_others(tmp_path):
    """Subtasks of two tasks and models of two families may look alike: they are told apart by what they belong to."""
    for task, family, name in (("t", "F", NFC), ("u", "G", NFD)):
        model = model_named(as_text(name), family=family)
        put(tmp_path, document(entry(name), task=task, model=model), task=task)
    assert load_results(tmp_path, use_cache=False).problems.empty


def test_a_subtask_that_looks_like_its_task(tmp_path):
    """It would be the aggregate of its task if it were written like it, so that it is not one in silence."""
    put(tmp_path, document(entry(NFD), entry("a"), task=as_text(NFC)), task=NFC)
    loaded = load_results(tmp_path, use_cache=False)
    assert not loaded.frame["is_aggregate"].any()
    assert loaded.problems["problem"].tolist() == [
        'the subtask "cafe\\u0301" looks like "caf\\u00e9" and is written with other characters'
    ]


def test_a_users_table(tmp_path):
    """The same in a table, where the column is the place."""
    path = tmp_path / "t.csv"
    rows = [{"task": "t", "metric": name, "family": "f", "model": "m", "scale": 1, "score": 0.5} for name in (NFC, NFD)]
    pd.DataFrame(rows).to_csv(path, index=False)
    (problem,) = load_results(path).problems.itertuples(index=False)
    assert (problem.file, problem.where) == ("t.csv", "column metric")
    assert "looks like" in problem.problem


def test_a_selection_that_looks_like_a_name(tmp_path):
    """Whoever asks for the other spelling is shown by which characters they differ."""
    put(tmp_path, document(entry("a"), task=NFC), task=NFC)
    with pytest.raises(LoadError, match=r"no task 'cafe\\u0301' in what was read; near matches: 'caf\\xe9'"):
        load_results(tmp_path, tasks=[NFD], use_cache=False)
