"""What a command reads is never replaced by what it writes, and what an option names counts or is refused."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from click.testing import CliRunner

from bigbench_meta.cli import main
from bigbench_meta.export import write_run_folder

if TYPE_CHECKING:
    from pathlib import Path

TABLE = "task,metric,family,model,scale,score\n" + "".join(f"t,bleu,f,m{i},{10**i},0.{i}\n" for i in range(1, 6))
RECORDS = "".join(
    json.dumps({"model": f"m{m}", "scale": 10.0**m, "target": str(i), "output": str(i if i % 5 < m else "x")}) + "\n"
    for m in range(1, 5)
    for i in range(10)
)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with inputs of every kind, some of them within an earlier output, and other names of one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BIGBENCH_META_CACHE", str(tmp_path.parent / "cache"))
    contents = {
        "t.csv": TABLE,
        "o.jsonl": RECORDS,
        "items.csv": "task,n_items\nt,100\n",
        "metrics.csv": "metric,direction\nbleu,higher\n",
        "fit.csv": "scale,accuracy,n_items\n1e6,0.1,100\n1e7,0.5,100\n1e8,0.9,100\n",
    }
    write_run_folder(
        tmp_path / "made",
        tables={},
        files={f"in/{name}": text.encode() for name, text in contents.items()},
        provenance={},
    )
    for name, text in contents.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "link.csv").symlink_to("t.csv")
    os.link(tmp_path / "t.csv", tmp_path / "second.csv")
    (tmp_path / "leads-in").symlink_to("made")
    return tmp_path


def contents_of(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its content."""
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def invoke(arguments: str) -> tuple[int, str]:
    """Exit status and message of a command that must end without a traceback."""
    done = CliRunner().invoke(main, arguments.split(" "))
    assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
    return done.exit_code, done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        "load t.csv --out t.csv --force",
        "load t.csv --out ./made/../t.csv --force",
        "load t.csv --out link.csv --force",
        "load link.csv --out t.csv --force",
        "load link.csv --out link.csv --force",
        "load t.csv --out second.csv --force",
        "load t.csv --problems t.csv --force",
        "score t.csv --out t.csv --force",
        "score t.csv --metrics-file metrics.csv --out metrics.csv --force",
        "analyze t.csv --items items.csv --out items.csv --force",
        "run --source made/in/t.csv --out made --force",
        "run --source leads-in/in/t.csv --out made --force",
        "run --source t.csv --items made/in/items.csv --out leads-in --force",
        "theory --fit made/in/fit.csv --out made --force",
        "rescore made/in/o.jsonl --out made --force",
        "rescore made --out made --force",
        "predictions made/in/o.jsonl --out made --force",
        "predictions o.jsonl --models made/in/items.csv --out made --force",
        "vision --train --images mnist --data made/in --out made --force",
    ],
)
def test_what_is_read_is_not_replaced(place, arguments):
    """Whatever name it is given by, and even with --force; a line says what would have been replaced."""
    before = contents_of(place)
    status, said = invoke(arguments)
    assert status == 1
    assert "which is read here and would be replaced" in said
    assert "Choose another --out" in said.strip().split("\n")[-1]
    assert contents_of(place) == before


@pytest.mark.parametrize("out", ["made/in/t.csv", "leads-in/in/t.csv", "made/provenance.json", "made/in/items.csv"])
def test_a_part_of_an_output_folder_is_not_replaced_by_a_file(place, out):
    """A folder that says what it consists of stays what it says, whoever writes a single file."""
    before = contents_of(place)
    write_run_folder(place / "curves", tables={"curves": pd.DataFrame({"task": ["a"]})}, files={}, provenance={})
    status, said = invoke(f"export curves --out {out} --force")
    assert status == 1
    assert f"{out} is a part of {place / 'made'}, an output of bigbench-meta" in said
    assert {name: content for name, content in contents_of(place).items() if f"{place}/curves" not in name} == before


def test_what_is_not_read_is_replaced_with_force(place):
    """An earlier output makes room for the next as before."""
    for _ in range(2):
        assert invoke("load t.csv --out again.csv --force")[0] == 0
    assert invoke("rescore o.jsonl --metric exact_str_match --out made --force")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ("predictions o.jsonl --column subtask=nope", 1, "o.jsonl has 'nope' for subtask; expected names of the records' own"),
        ("predictions o.jsonl --column output=output --column target=output", 2, "given before"),
        ("predictions o.jsonl --column output=output --column output=model", 2, "given before"),
        ("export made --sql SELECT --table curves", 2, "leave --table away"),
        ("export made --format markdown --spreadsheet-safe", 2, "--spreadsheet-safe is for CSV"),
        ("export made --format every-eval-ever --table curves --out e", 2, "none of --table"),
        ("show t --from made --ref v1", 2, "--ref goes with --source"),
        ("show t --from made --offline --cache-dir c", 2, "--cache-dir, --offline goes with --source"),
        ("show t --from made --human items.csv", 2, "--human goes with --source"),
        ("rescore o.jsonl --workers 2 --cluster tcp://127.0.0.1:1", 2, "give one"),
        ("vision --images mnist --seed 3", 2, "--images, --seed: only with --train"),
    ],
)  # fmt: skip
def test_no_option_is_ignored_in_silence(place, arguments, status, said):
    """What an option names and nothing has, and what does not go with the other options, is refused with the cure."""
    before = contents_of(place)
    assert invoke(arguments)[0] == status
    assert said in invoke(arguments)[1]
    assert contents_of(place) == before


def test_a_file_given_twice_is_read_once(place):
    """Outputs are not counted twice because a file has two names, and that is said."""
    (place / "again.jsonl").symlink_to("o.jsonl")
    status, said = invoke("predictions o.jsonl ./o.jsonl again.jsonl --draws 99 --out p")
    assert status == 0
    assert "2 of the files given are others under a second name: each is read once" in said
    assert set(pd.read_csv("p/tables/prediction_1_points.csv")["n_items"]) == {10}


@pytest.mark.train
def test_an_output_folder_may_be_the_working_folder(place, monkeypatch):
    """`--out .` is a folder like any other."""
    (place / "empty").mkdir()
    monkeypatch.chdir(place / "empty")
    status, said = invoke("vision --train --images mnist --data ../made --out .")
    assert status == 1
    assert "../made" in said
