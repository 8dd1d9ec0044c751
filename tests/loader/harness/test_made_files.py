"""Each format on small files whose numbers and oddities are known, and what a mixed or odd folder becomes."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from loader.harness import made

import bigbench_meta as bm
from bigbench_meta.errors import LoadError

if TYPE_CHECKING:
    from pathlib import Path


def load(folder: Path, files: dict[str, object], **options: Any) -> bm.Results:
    """Load what a folder of these files holds; every number is accounted for."""
    results = bm.load_results(made.write(folder / "source", files), **options)
    assert results.counts.balanced
    return results


def problems(results: bm.Results) -> list[str]:
    """Return the problems, each with how many numbers it explains."""
    return [
        f"{problem} [{n}]" for problem, n in zip(results.problems["problem"], results.explained.tolist(), strict=True)
    ]


@pytest.mark.parametrize(
    ("name", "files", "expected"),
    [
        (
            "lm-eval",
            {"a.json": made.lm_eval()},
            {"task": "sums", "metric": "acc", "score": 0.5, "n_items": 100, "stderr": 0.05, "shots": 0, "direction": "higher", "task_version": "1.0"},
        ),
        ("lm-eval-old", {"a.json": made.lm_eval_old(shots=5)}, {"task": "sums", "metric": "acc", "score": 0.5, "n_items": 101, "stderr": 0.05, "shots": 5}),
        (
            "inspect",
            {"a.json": made.inspect_log()},
            {"task": "sums", "metric": "accuracy,match", "score": 0.5, "n_items": 100, "stderr": 0.05, "shots": -1, "filter": "match"},
        ),
        (
            "every-eval-ever",
            {"a.json": made.every_eval_ever()},
            {"task": "sums", "metric": "accuracy", "score": 0.5, "n_items": 100, "stderr": 0.05, "direction": "higher", "scale": 1.5e9, "high_score": 1},
        ),
        (
            "lighteval",
            {"a.json": made.lighteval()},
            {"task": "arc", "subtask": "arc:challenge", "metric": "acc", "score": 0.5, "n_items": 101, "stderr": 0.05, "shots": 25},
        ),
        (
            "helm",
            made.helm(),
            {"task": "sums", "subtask": "sums:subject=small", "metric": "exact_match", "score": 0.5, "n_items": 100, "shots": 5},
        ),
    ],
)  # fmt: skip
def test_one_score(tmp_path: Path, name: str, files: dict[str, object], expected: dict[str, object]):
    """What a format stores of one score is in its row; p(1 - p)/s^2 + 1 = .25/.0025 + 1 = 101 where items are not stored."""
    results = load(tmp_path, files)
    assert results.formats == {name: 1}
    assert len(results.frame) == 1
    row = results.frame.iloc[0]
    assert {key: row[key] for key in expected} == pytest.approx(expected)
    assert (str(row["model"]), str(row["family"]), str(row["harness"])) == ("mine-1b", "mine", name)
    assert row["is_preferred"]


def test_opencompass(tmp_path: Path):
    """A wide summary in percent: three cells are scores, one is missing and on record."""
    results = load(tmp_path, {"summary.csv": made.OPENCOMPASS})
    frame = results.frame.astype({"subtask": str, "model": str})
    assert dict(zip(zip(frame["subtask"], frame["model"], strict=True), frame["score"], strict=True)) == {
        ("sums", "mine-1b"): 50, ("sums", "mine-2b"): 75, ("lukaemon_mmlu_anatomy", "mine-1b"): 25,
    }  # fmt: skip
    assert problems(results) == ["1 cells are - or empty [1]"]
    assert set(frame["task"].astype(str)) == {"sums", "lukaemon_mmlu"}
    assert (results.frame["high_score"] == 100).all()
    alone = bm.load_results(tmp_path / "source" / "summary.csv")
    assert len(alone.frame) == 3


def test_mixed_folder(tmp_path: Path):
    """Files of six tools in one folder, whatever their names; a task of two tools is two tasks, and that is on record."""
    files: dict[str, object] = {
        "x.json": made.lm_eval(), "deep/er/y": made.lm_eval_old(), "z.json": made.every_eval_ever(), "w.json": made.lighteval(),
        "v.json": made.inspect_log(), "s.csv": made.OPENCOMPASS, "package.json": {"name": "x"},
        **{f"run/{name}": content for name, content in made.helm().items()},
    }  # fmt: skip
    results = load(tmp_path, files)
    assert set(results.formats) == {"lm-eval", "every-eval-ever", "lighteval", "inspect", "opencompass", "helm"}
    assert "sums (lm-eval)" in set(results.frame["task"])
    assert any(
        problem.startswith("task sums stands for several: tool every-eval-ever, helm") for problem in problems(results)
    )
    assert "no file of results that is known here [0]" in problems(results)
    named = load(tmp_path / "again", files, format="lighteval")
    assert named.formats == {"lighteval": 1}


def test_odd_values_of_scores(tmp_path: Path):
    """NaN and null are rows without a number; numbers in quotation marks are read; a text, list or object is no score."""
    text = (
        '{"results": {"t": {"a": NaN, "b": null, "c": "0.25", "d": true, "e": "high", "f": [1], "g": 0.5, "g": 0.75,'
        ' "acc_stderr": 1}, "u": 3}, "versions": {}, "config": {"model_args": "pretrained=mine-1b"}}'
    )
    results = load(tmp_path, {"a.json": text})
    found = dict(zip(results.frame["metric"].astype(str), results.frame["score"], strict=True))
    assert math.isnan(found.pop("a"))
    assert math.isnan(found.pop("b"))
    assert found == {"c": 0.25, "d": 1.0, "g": 0.75}
    assert results.counts == (1, 8, 5, 3, 0)
    assert set(problems(results)) == {
        "the score is NaN [0]", "the score is null [0]", 'the score is "0.25" [0]', "the score is true [0]", 'the score is "high" [1]',
        "the score is a list [1]", "the key stands more than once in one object [1]", "the value is 3 [0]",
    }  # fmt: skip


def test_repeated_parts(tmp_path: Path):
    """A task or a whole part that stands twice: the last counts, and the numbers of the first are explained."""
    text = (
        '{"results": {"t": {"acc": 1}}, "results": {"t": {"acc": 0.1, "f1": 0.2}, "t": {"acc": 0.5}}, "versions": {},'
        ' "config": {"model_args": "pretrained=mine-1b"}}'
    )
    results = load(tmp_path, {"a.json": text})
    assert results.frame["score"].tolist() == [0.5]
    assert results.counts == (1, 4, 1, 3, 0)


def test_truncated_file(tmp_path: Path):
    """Of a file that is cut off no number is used, and those that can be seen are explained."""
    whole = json.dumps(made.lm_eval())
    results = load(tmp_path, {"a.json": made.lm_eval("org/mine-2b"), "b.json": whole[:-5]})
    assert len(results.frame) == 1
    assert problems(results) == ["the file ends before its brackets close, or is not JSON [1]"]
    assert "copy it again" in results.problems["action"].iloc[0]


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"b.json": made.inspect_log(status="error")}, "the run ended with status error [1]"),
        ({"b.json": made.inspect_log(status="cancelled")}, "the run ended with status cancelled [1]"),
        ({"b.json": made.inspect_log() | {"invalidated": True}}, "the log was marked as invalid [1]"),
        (
            {"b.json": made.lm_eval(config={"model_args": "pretrained=x", "limit": 10})},
            "only a part of the items was run (limit 10) [0]",
        ),
        (
            {"h/stats.json": made.helm()["stats.json"]},
            "no run_spec.json of its run lies beside it, so that the model is unknown [3]",
        ),
        (made.helm(), "scores of perturbed inputs, another condition: 1 value (exact_match) [1]"),
        (
            {"b.json": made.lm_eval(config={"model": "dummy", "limit": None})},
            "the answers are those of a dummy, at random [0]",
        ),
    ],
)
def test_runs_that_do_not_count(tmp_path: Path, files: dict[str, object], problem: str):
    """A run that failed, is marked invalid, is a part, a stand-in, or another condition is on record with what to do."""
    results = load(tmp_path, {"a.json": made.lm_eval("org/other-2b"), **files})
    assert problem in problems(results)
    assert results.problems["action"].str.len().min() > 5


def test_reruns_are_trials(tmp_path: Path):
    """Runs of one task and model are trials in order of their dates; a copy of a file gives no rows."""
    first, second = made.lm_eval(score=0.25, date=2.0), made.lm_eval(score=0.75, date=1.0)
    results = load(tmp_path, {"a.json": first, "b.json": second, "c.json": first})
    assert dict(zip(results.frame["trial"], results.frame["score"], strict=True)) == {0: 0.75, 1: 0.25}
    assert problems(results) == ["the same numbers stand in a.json: 1 scores [1]"]
    assert any("1 scores are reruns" in note for note in results.notes)


def test_a_part_beside_the_whole(tmp_path: Path):
    """A run on 10 of 100 items beside one on all of them gives no row."""
    part = made.lm_eval(score=0.3, **{"n-samples": {"sums": {"effective": 10}}})
    results = load(tmp_path, {"a.json": made.lm_eval(), "b.json": part})
    assert results.frame["n_items"].tolist() == [100]
    assert "runs on a part of the items, beside one on more of them: 1 scores [1]" in problems(results)


def test_versions_never_share_a_curve(tmp_path: Path):
    """A task with two versions is two tasks, named by them."""
    results = load(
        tmp_path, {"a.json": made.lm_eval("mine-1b"), "b.json": made.lm_eval("mine-2b", versions={"sums": 2.0})}
    )
    assert sorted(results.frame["task"].astype(str)) == ["sums (version 1.0)", "sums (version 2.0)"]
    assert "task sums stands for several: version 1.0, 2.0 [0]" in problems(results)


def test_hashes_that_differ_are_on_record(tmp_path: Path):
    """The same version with other prompts."""
    files: dict[str, object] = {
        f"{size}.json": made.lm_eval(f"mine-{size}b", task_hashes={"sums": f"hash{size}"}) for size in (1, 2)
    }
    assert "runs of version 1.0 have 2 hashes [0]" in problems(load(tmp_path, files))


def test_groups(tmp_path: Path):
    """A group of like tasks with a score is one benchmark; a suite of unlike ones leaves its members alone."""
    names = {"a": ["acc"], "b": ["acc"], "c": ["f1"]}
    scores: dict[str, dict[str, object]] = {
        name: {f"{metric},none": 0.5 for metric in metrics} for name, metrics in names.items()
    }
    scores |= {
        "benchmark": {"acc,none": 0.5, "alias": "x"},
        "suite": {"acc,none": 0.4, " ": ""},
        "empty": {"alias": "y"},
    }
    data = made.lm_eval() | {
        "results": scores, "group_subtasks": {"suite": ["benchmark", "c"], "benchmark": ["a", "b"], "empty": ["c"], "a": []}, "n-samples": {},
    }  # fmt: skip
    frame = load(tmp_path, {"x.json": data}).frame.astype({"task": str, "subtask": str})
    assert sorted(zip(frame["task"], frame["subtask"], frame["is_aggregate"], strict=True)) == [
        ("benchmark", "a", False), ("benchmark", "b", False), ("benchmark", "benchmark", True), ("c", "c", False), ("suite", "suite", False),
    ]  # fmt: skip


def test_bigscience_variant(tmp_path: Path):
    """A level for the time of each run; prompts are subtasks of their task; the model is taken from the path, and said so."""
    run = {"acc": 0.25, "acc_stderr": 0.0, "task_name": "cb", "prompt_name": "can we infer"}
    files = {"bloom-560m/final.json": {"results": {"cb+can we infer": {"2022-07-05-16-57-22": run}}, "versions": {}}}
    results = load(tmp_path, files)
    row = results.frame.iloc[0]
    assert (str(row["task"]), str(row["subtask"]), str(row["model"]), row["scale"]) == (
        "cb",
        "cb+can we infer",
        "bloom-560m",
        302_311_424,
    )
    assert any("it is taken from their path: bloom-560m" in note for note in results.notes)


def test_results_as_a_list(tmp_path: Path):
    """Old files whose results are a list of entries, or stand under table_results, are read by the names in them."""
    entries = [
        {"task_name": "cb", "prompt_name": "p1", "acc": 0.25},
        {"task_name": "cb", "prompt_name": "p2", "acc": 0.5},
    ]
    files: dict[str, object] = {
        "bloom-560m/a.json": {"results": entries, "config": {"num_fewshot": 1}},
        "bloom-1b1/b.json": {"table_results": {"sums": {"acc": 0.75}}, "config": {}},
    }
    frame = load(tmp_path, files).frame
    found = sorted(zip(frame["task"].astype(str), frame["subtask"].astype(str), frame["score"], strict=True))
    assert found == [("cb", "cb+p1", 0.25), ("cb", "cb+p2", 0.5), ("sums", "sums", 0.75)]


def test_checkpoints(tmp_path: Path):
    """The step of a revision is a column, and part of the key; tokens follow from it; the finished model has all its tokens."""
    config = "pretrained=EleutherAI/pythia-70m,revision=step{}"
    files: dict[str, object] = {
        f"{step}.json": made.lm_eval_old() | {"config": {"model_args": config.format(step), "num_fewshot": 0}}
        for step in (0, 1, 1000)
    }
    files["main.json"] = made.lm_eval_old("EleutherAI/pythia-70m", sums={"acc": 0.75})
    frame = load(tmp_path, files).frame.sort_values("step")
    assert frame["step"].tolist()[:3] == [0, 1, 1000]
    assert math.isnan(frame["step"].iloc[3])
    assert frame["tokens"].tolist() == [0, 2_097_152, 2_097_152_000, 299_892_736_000]


def test_models_of_unknown_size(tmp_path: Path):
    """They are named with what to do; a file of models gives them a place."""
    results = load(tmp_path, {"a.json": made.lm_eval("org/nameless")})
    assert results.frame["scale"].isna().all()
    assert any(
        note.startswith("Models of unknown size") and "--models" in note and "nameless" in note
        for note in results.notes
    )
    table = tmp_path / "models.csv"
    table.write_text("pattern,family,model,total_params\nnameless,own,n1,5m\n".replace("5m", "5000000"))
    known = bm.load_results(tmp_path / "source", models=table)
    assert (known.frame["scale"].tolist(), set(known.frame["family"])) == ([5e6], {"own"})


def test_names_of_two_organisations(tmp_path: Path):
    """Two models whose names differ only in who made them stay two."""
    results = load(tmp_path, {"a.json": made.lm_eval("one/x-1b", score=0.25), "b.json": made.lm_eval("two/x-1b")})
    assert sorted(results.frame["model"].astype(str)) == ["one/x-1b", "two/x-1b"]


def test_unbounded_ranges(tmp_path: Path):
    """Bounds that are texts of infinity are no bounds."""
    config = {"metric_name": "elo", "lower_is_better": True, "min_score": "-Infinity", "max_score": "Infinity"}
    row = load(tmp_path, {"a.json": made.every_eval_ever(metric_config=config)}).frame.iloc[0]
    assert (math.isnan(row["low_score"]), row["direction"]) == (True, "lower")


def test_our_own_export_comes_back(tmp_path: Path):
    """What `export --format every-eval-ever` writes is read as the rows it was made of."""
    from bigbench_meta.export.every_eval_ever import every_eval_ever

    path = tmp_path / "own.csv"
    path.write_text(
        "task,subtask,metric,family,model,scale,shots,score\nt,t,exact_str_match,f,m,1e6,3,0.25\nt,s,exact_str_match,f,m,1e6,3,0.5\n"
    )
    own = bm.load_results(path)
    records = every_eval_ever(own.frame, source="own", retrieved=0)
    back = load(tmp_path, dict(records.files)).frame
    columns = ["task", "subtask", "metric", "family", "shots", "scale", "score"]
    assert back[columns].astype(str).to_numpy().tolist() == own.frame[columns].astype(str).to_numpy().tolist()


def test_encodings(tmp_path: Path):
    """UTF-8 with a mark and UTF-16 are read; bytes that are neither are a problem."""
    text = json.dumps(made.lm_eval())
    files: dict[str, object] = {
        "a.json": b"\xef\xbb\xbf" + text.encode(), "b.json": text.replace("mine-1b", "mine-2b").encode("utf-16"),
        "c.json": text.replace("mine-1b", "mine-3b\udcff").encode("utf-8", "surrogateescape"),
    }  # fmt: skip
    results = load(tmp_path, files)
    assert sorted(results.frame["model"].astype(str)) == ["mine-1b", "mine-2b"]
    assert any(problem.startswith("bytes that are not UTF-8") for problem in problems(results))


def test_nothing_that_is_known(tmp_path: Path):
    """A source without any result file, and a format without a name, say what is read."""
    made.write(tmp_path / "source", {"a.json": {"name": "x"}})
    with pytest.raises(LoadError, match=r"no score in 1 files; expected result files of an evaluation harness"):
        bm.load_results(tmp_path / "source")
    with pytest.raises(LoadError, match="format='lm_eval' is not one of those that are read: every-eval-ever, inspect"):
        bm.load_results(tmp_path / "source", format="lm_eval")


def test_strict(tmp_path: Path):
    """The first problem is an error in strict mode."""
    made.write(tmp_path / "source", {"a.json": made.lm_eval(), "b.json": {"name": "x"}})
    with pytest.raises(LoadError, match=r"b\.json: at \$: no file of results"):
        bm.load_results(tmp_path / "source", strict=True)
