"""`bigbench-meta predictions` on the tables that people bring: other names, no scale, one model, scores only."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from bigbench_meta.cli import main
from bigbench_meta.errors import LoadError, TableError
from bigbench_meta.experiments.predictions.outputs import ALL_MODELS, load_outputs
from bigbench_meta.experiments.predictions.score_tables import load_scores
from bigbench_meta.experiments.predictions.together import Predictions, verdict_table

SCALES = np.logspace(7, 10, 5)


@pytest.fixture
def outputs():
    """Digit strings answered by five models whose tokens are right more and more often, with planted misses."""
    rng = np.random.default_rng(0)
    rows = []
    for number, (scale, p) in enumerate(zip(SCALES, np.linspace(0.3, 0.97, 5), strict=True)):
        for length in (1, 2, 4, 6):
            for k in range(15):
                target = f"{k:0{length}d}"[-length:]
                output = "".join(c if rng.random() < p else "x" for c in target)
                rows.append({"model": f"m{number}", "scale": scale, "target": target, "output": output})
    return pd.DataFrame(rows)


def test_models_without_a_family_are_one_series(outputs, tmp_path):
    """Records that name no family are taken as one series by scale, and that is said."""
    path = tmp_path / "o.jsonl"
    outputs.to_json(path, orient="records", lines=True)
    found = load_outputs([path])
    assert set(found.items["family"]) == {ALL_MODELS}
    assert found.items["scale"].nunique() == 5
    assert any("one series" in note for note in found.notes)


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "parquet"])
def test_other_column_names(outputs, tmp_path, kind):
    """Columns named otherwise give the same items as the names of the documentation, in every kind of file."""
    names = {"model": "llm", "scale": "params", "target": "gold", "output": "prediction"}
    theirs, path = outputs.rename(columns=names), tmp_path / f"o.{kind}"
    write = {
        "jsonl": lambda: theirs.to_json(path, orient="records", lines=True),
        "json": lambda: path.write_text(json.dumps(theirs.to_dict("records"))),
        "csv": lambda: theirs.to_csv(path, index=False),
        "parquet": lambda: theirs.to_parquet(path),
    }
    write[kind]()
    plain = tmp_path / "plain.csv"
    outputs.to_csv(plain, index=False)
    found, expected = load_outputs([path], columns=names).items, load_outputs([plain]).items
    pd.testing.assert_frame_equal(found.drop(columns=["task", "subtask"]), expected.drop(columns=["task", "subtask"]))
    with pytest.raises(LoadError, match=r"model.*--column FIELD=NAME"):
        load_outputs([path])


def test_scales_from_a_table_of_models(outputs, tmp_path):
    """Outputs without a scale say what to do; a table of models in millions of parameters gives it."""
    path, models = tmp_path / "o.csv", tmp_path / "m.csv"
    outputs.drop(columns="scale").to_csv(path, index=False)
    pd.DataFrame({"model": [f"m{i}" for i in range(5)], "params_million": SCALES / 1e6}).to_csv(models, index=False)
    assert any("5 of 5 models have no scale" in note and "--models" in note for note in load_outputs([path]).notes)
    found = load_outputs([path], models=models)
    np.testing.assert_allclose(sorted(found.items["scale"].unique()), SCALES)
    pd.DataFrame({"model": ["m0"], "family": ["f"]}).to_csv(models, index=False)
    with pytest.raises(TableError, match=r"m.csv: expected columns model and scale .* it has model, family"):
        load_outputs([path], models=models)


@pytest.fixture
def scores():
    """A table in the style of published scores: own names, items, prompts, and one missing value."""
    return pd.DataFrame(
        {
            "filename": "t/task.json", "number_of_data": 500, "model": [f"m{i}" for i in range(6)],
            "prompt_type": "open", "exact_match_accuracy": [0, 0.002, 0.01, 0.05, 0.4, -100],
            "edit_distance": [9, 8, 7, 6, 4, 3], "nominal_params_billion": [0.1, 0.3, 1, 3, 10, 30],
        }
    )  # fmt: skip


def test_notes_say_what_was_taken_and_left_out(scores, tmp_path):
    """The columns that were taken are named, the missing row is counted, billions become parameters."""
    scores.to_csv(tmp_path / "s.csv", index=False)
    found = load_scores(tmp_path / "s.csv")
    assert found.table["scale"].tolist() == [1e8, 3e8, 1e9, 3e9, 1e10]
    assert found.table["n_items"].eq(500).all()
    text = " ".join(found.notes)
    assert "accuracy from exact_match_accuracy, distance from edit_distance, scale from nominal_params_billion" in text
    assert "1 of 6 rows left out" in text


def test_models_that_a_table_lacks_are_counted(scores, tmp_path):
    """Rows whose model is not in the table of models are left out and counted, not lost."""
    scores.drop(columns="nominal_params_billion").to_csv(tmp_path / "s.csv", index=False)
    pd.DataFrame({"model": ["m0", "m1", "m2", "m3"], "scale": [1e8, 3e8, 1e9, 3e9]}).to_csv(
        tmp_path / "m.csv", index=False
    )
    found = load_scores(tmp_path / "s.csv", models=tmp_path / "m.csv")
    assert len(found.table) == 4
    assert any(note.startswith("2 rows left out") for note in found.notes)
    with pytest.raises(TableError, match=r"no column for scale .*--models CSV gives each model its scale"):
        load_scores(tmp_path / "s.csv")


def test_subtasks_of_two_tasks_stay_apart(tmp_path):
    """Equal subtask names under two tasks are two tasks, not repeats to average."""
    rows = [
        (task, "easy", f"m{i}", 10.0**i, 0.1 * i + shift, 5 - i)
        for task, shift in (("a", 0), ("b", 0.3))
        for i in range(4)
    ]
    names = ["task", "subtask", "model", "scale", "accuracy", "edit_distance"]
    pd.DataFrame(rows, columns=names).to_csv(tmp_path / "s.csv", index=False)
    table = load_scores(tmp_path / "s.csv").table
    assert set(table["task"]) == {"a:easy", "b:easy"}
    assert table["repeats"].eq(1).all()


def test_scores_give_numbers_interval_figure_and_sentence(scores, tmp_path):
    """From a CSV of scores: E with its interval, a figure in three formats, and a sentence on stderr."""
    scores.to_csv(tmp_path / "s.csv", index=False)
    out = tmp_path / "out"
    done = CliRunner().invoke(
        main, ["predictions", "--scores", str(tmp_path / "s.csv"), "--draws", "99", "--out", str(out)]
    )
    assert done.exit_code == 0, done.output
    assert done.stdout == f"{out}\n"
    (row,) = pd.read_csv(out / "tables" / "prediction_1.csv").to_dict("records")
    assert row["emergence_accuracy_low"] <= row["emergence_accuracy"] <= row["emergence_accuracy_high"]
    assert np.isnan(row["emergence_distance_low"])  # its noise is not in a table of scores
    assert row["looks_sharper_sentence"] in done.stderr
    assert "a ratio of" in row["looks_sharper_sentence"]
    assert sorted(path.suffix for path in (out / "figures").iterdir()) == [".pdf", ".png", ".svg"]
    notes = json.loads((out / "provenance.json").read_text())["arguments"]["notes"]
    assert any("rows left out" in note for note in notes)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scores", "FILE", "--column", "distance=nope"], "no column 'nope' for distance; the table has"),
        (["FILE", "--column", "foo=x"], "expected FIELD=NAME with FIELD one of task, subtask"),
        (["FILE", "--column", "output"], "expected FIELD=NAME"),
        (["--models", "FILE"], "name at least one file"),
        (["FILE"], "a table of scores, without outputs, needs --scores"),
    ],
)
def test_wrong_calls_say_what_to_do(scores, tmp_path, arguments, message):
    """Each wrong call fails in one line that says what was expected."""
    path = tmp_path / "s.csv"
    scores.to_csv(path, index=False)
    done = CliRunner().invoke(
        main,
        ["predictions", *(str(path) if word == "FILE" else word for word in arguments), "--out", str(tmp_path / "out")],
    )
    assert done.exit_code in (1, 2)
    assert message in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_default_is_the_packaged_ladder(monkeypatch, tmp_path):
    """Without sources the packaged ladder is judged with the given seed and draws, and all its tables are written."""
    from bigbench_meta.experiments.ladder.packaged import packaged_predictions
    from bigbench_meta.experiments.predictions import together as predictions

    asked = {}

    def judged(*, rng, draws):
        asked.update(draws=draws, first=float(rng.random()))
        tables = {name: table.head(40) for name, table in packaged_predictions().items() if "points" not in name}
        return Predictions(verdict_table(tables), tables)

    monkeypatch.setattr(predictions, "judge_packaged", judged)
    done = CliRunner().invoke(main, ["predictions", "--seed", "3", "--draws", "199", "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert asked == {"draws": 199, "first": float(np.random.default_rng(3).random())}
    assert (tmp_path / "out" / "tables" / "prediction_2_models.csv").is_file()
    assert "verdicts with their sentences are in tables/verdicts.csv" in done.stderr
