"""Every command refuses what it cannot use in one message: where, what, what was expected, what to do; nothing is left."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from click.testing import CliRunner

from bigbench_meta.cli import main
from bigbench_meta.export import write_run_folder

LONG = "x" * 300
# Arguments, exit status, and what the message must say of the place, the fault and the cure.
SOURCES = [
    ("nothere", "'nothere'", "no such file", "local paths"),
    (LONG, LONG, "no such file", "local paths"),
    ("empty.csv", "empty.csv", "", "header"),
    ("wrong.csv", "wrong.csv", "missing", "needs task, metric"),
    ("noise.csv", "noise.csv", "not UTF-8", "save it as UTF-8"),
    ("noise.parquet", "noise.parquet", "not a Parquet file", ""),
    ("noise.zip", "noise.zip", "", "zip"),
    ("folder", "folder", "no score files", "results/scores_*.json"),
    ("/proc/self/mem", "mem", "cannot be read", "check"),
    ("ext::sh", "'ext::sh'", "can run programs", "allowed are https"),
    ("", "''", "empty", "allowed are https"),
]
CASES = [
    *((f"{command} {name}", 1, said) for name, *said in SOURCES for command in ("load", "score", "analyze", "run --out OUT --source")),
    *((f"show t --source {name}", 1, said) for name, *said in SOURCES),
    ("fetch table.csv", 2, ["table.csv", "is a table", "give it to load"]),
    ("theory --out /proc/nothing", 1, ["/proc/nothing", "cannot write", "choose another --out"]),
    ("run --source ladder --ref x --out OUT", 1, ["ladder", "has no versions", "leave ref="]),
    ("load table.csv --ref x", 1, ["table.csv", "no versions", "leave ref="]),
    ("load table.csv --task zz", 1, ["zz", "there are t"]),
    ("load table.csv --out OUT.txt", 2, ["OUT.txt", "ends in .csv or .parquet"]),
    ("load table.csv --out folder/../OUT.csv --problems OUT.csv", 1, ["OUT.csv", "written twice", "Choose another"]),
    ("score table.csv --out table.csv", 1, ["table.csv", "would be replaced", "another --out"]),
    ("score table.csv --out outputs.jsonl", 1, ["outputs.jsonl", "already exists", "--force"]),
    ("score table.csv --out /dev/null --force", 1, ["/dev/null", "device", "name of a file"]),
    *(
        (f"{command} {option} {name}", 1, [name, "cannot be read as CSV", wanted])
        for command in ("analyze table.csv", "run --source table.csv --out OUT")
        for option, wanted in (("--items", "expected columns task, n_items"), ("--lengths", "expected columns task, target_length"),
                               ("--metrics-file", "expected columns metric, direction"))
        for name in ("nothere", "empty.csv", "noise.csv", "folder", "/proc/self/mem")
    ),
    *(
        (f"{command} {option} {name}", 1, [f"{name}: ", fault, cure])
        for command in ("analyze nothere", "run --source nothere --out OUT")  # told before the source is looked for
        for option, name, fault, cure in (
            ("--items", "zero-items.csv", "n_items of task 't' is not a number of at least 1", "leave the row out"),
            ("--items", "twice.csv", "repeat a (task, subtask, family)", "name each once"),
            ("--lengths", "twice.csv", "repeat a (task, subtask)", "name each once"),
        )
    ),
    ("run --source table.csv --out OUT --items wrong.csv", 1, ["wrong.csv", "missing", "expected task, n_items"]),
    ("run --source table.csv --out OUT --lengths wrong.csv", 1, ["wrong.csv", "missing", "expected task, target_length"]),
    ("run --source table.csv --out OUT --metrics-file wrong.csv", 1, ["wrong.csv", "missing", "expected"]),
    ("run --source table.csv --out OUT --human noise.pkl", 1, ["noise.pkl", "is the instruction", "expected a pickle of rater -> task -> metric -> number"]),
    *(
        (f"{command} --out {out} --force", 1, [out, fault, "hoose another --out"])
        for command in ("run --source table.csv", "theory", "vision", "rescore outputs.jsonl", "predictions")
        for out, fault in (("/", "not made by"), ("folder", "not made by"), ("table.csv", "is a file"), ("table.csv/x", "is a file"), (LONG, "cannot be looked at"))
    ),
    *(
        (f"rescore {name} --out OUT", 1, [name, fault, "expected"])
        for name, fault in (("empty.csv", ""), ("wrong.csv", "no column model"), ("noise.csv", "not UTF-8"), ("noise.parquet", "not Parquet"),
                            ("noise.zip", "not "), ("bare", "no file of model outputs"), ("/dev/null", "nothing"), ("/proc/self/mem", "cannot be read"))
    ),
    *(
        (f"predictions {name} --out OUT", 1, [name, fault, "expected"])
        for name, fault in (("empty.csv", ""), ("wrong.csv", "no column model"), ("noise.csv", "not UTF-8"), ("noise.parquet", "not Parquet"),
                            ("folder", "Is a directory"), ("/dev/null", "nothing"), ("/proc/self/mem", "cannot be read"))
    ),
    ("rescore outputs.jsonl --metric zz --out OUT", 1, ["zz", "unknown", "choose among"]),
    ("predictions --scores wrong.csv --out OUT", 1, ["wrong.csv", "no column for model", "it has a, b"]),
    ("predictions outputs.jsonl --models wrong.csv --out OUT", 1, ["wrong.csv", "expected columns model and scale"]),
    ("predictions outputs.jsonl --column x", 2, ["--column x", "expected FIELD=NAME"]),
    ("predictions --models table.csv", 2, ["--models", "name at least one file"]),
    ("theory --c nan --out OUT", 1, ["c is nan", "expected above 0"]),
    ("theory --c 1e308 --out OUT", 1, ["c is 1e+308", "up to 1e+300"]),
    ("theory --alpha 1 --out OUT", 1, ["alpha is 1.0", "below 0"]),
    ("theory --length 1000000000 --out OUT", 1, ["length is 1000000000", "expected 1 to 1,000"]),
    ("theory --options 1000000000 --out OUT", 1, ["options is 1000000000", "expected 2 to 1,000"]),
    (f"theory --test-items {10**30} --out OUT", 1, ["items is 1000", "expected 1 to"]),
    ("theory --fit wrong.csv --out OUT", 1, ["wrong.csv", "no column for scale", "it has a, b"]),
    ("vision --images mnist", 2, ["--images", "only with --train"]),
    ("simulate folder", 1, ["folder", "is not one", "name another"]),
    ("simulate table.csv/x", 1, ["table.csv/x", "cannot be written", "name another"]),
    (f"simulate {LONG}", 1, [LONG, "too long", "name another"]),
    ("simulate /proc/nothing", 1, ["/proc/nothing", "cannot be written", "name another"]),
    ("simulate OUT --tasks 100000000", 2, ["--tasks", "not in the range"]),
    *(
        (f"{command} {name}", 1, [name, "not an output of bigbench-meta", "run --out"])
        for command in ("report", "export", "show t --from")
        for name in ("nothere", "folder", "table.csv", LONG)
    ),
    *((f"{command} other", 1, ["other", "no table results", "run --out"]) for command in ("report", "show t --from", "export --format every-eval-ever --out OUT")),
    ("export other", 1, ["'curves'", "this run has theory"]),
    ("report changed", 1, ["changed", "column family of curves", "unchanged"]),
    *((f"{command} twice", 1, ["curves.csv", "twice", "Run the analysis again"]) for command in ("report", "export", "show t --from")),
    ("show t --from bare-lines", 1, ["bare-lines", "table references lacks kind", "Run the analysis again"]),
    ("export made --table zz", 1, ["'zz'", "this run has curves"]),
    ("export made --columns zz", 1, ["zz", "it has task"]),
    ("export made --columns task,task", 1, ["task", "named twice", "name each once"]),
    ("export made --query x", 1, ["'x'", "expected COLUMN=VALUE"]),
    ("export made --query task=zz", 1, ["task = zz", "such as"]),
    ("export made --format parquet", 2, ["parquet", "give --out FILE"]),
    ("export made --format every-eval-ever", 2, ["give --out FOLDER"]),
    (f"export made --format every-eval-ever --out {LONG}", 1, [LONG, "too long", "another --out"]),
    ("export made --out folder", 1, ["folder", "expected the name of a file"]),
    ("export made --sql SELECT+[1]+AS+a", 1, ["columns a", "expected numbers"]),
    ("export made --sql SELECT+nothing+FROM+curves", 1, ["SQL is refused", "the tables are"]),
    ("show zz --from made", 1, ["zz", "did you mean"]),
    ("show t", 2, ["give either --from DIRECTORY or --source SOURCE"]),
]  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory, tables):
    """A folder with everything that a command should not be given."""
    root = tmp_path_factory.mktemp("refused")
    noise = bytes(range(128, 256)) * 3
    contents = {
        "empty.csv": b"",
        "wrong.csv": b"a,b\n1,2\n",
        "table.csv": b"task,metric,family,model,scale,score\n"
        + b"".join(b"t,bleu,f,m%d,%d,0.%d\n" % (i, 10**i, i) for i in range(1, 6)),
        "zero-items.csv": b"task,n_items\nt,0\n",
        "twice.csv": b"task,n_items,target_length\nt,1,1\nt,2,2\n",
        "outputs.jsonl": json.dumps({"model": "m", "target": "1", "output": "1"}).encode(),
        **{f"noise.{kind}": noise for kind in ("csv", "parquet", "zip", "pkl")},
        "folder/notes.txt": b"mine",
        "bare/below/notes.txt": b"mine",
    }
    for name, content in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    known = {name: tables[name] for name in ("results", "curves", "problems")}
    write_run_folder(root / "made", tables=known, files={}, provenance={})
    write_run_folder(root / "other", tables={"theory": pd.DataFrame({"x": [1.0]})}, files={}, provenance={})
    write_run_folder(root / "twice", tables=known, files={}, provenance={})
    (root / "twice/tables/curves.csv").write_text("task,task\n1,2\n")
    lines = {"references": pd.DataFrame({"task": ["t"]})}
    write_run_folder(root / "bare-lines", tables=known | lines, files={}, provenance={})
    changed = known | {"curves": known["curves"].drop(columns="family")}
    write_run_folder(root / "changed", tables=changed | {"curves": changed["curves"]}, files={}, provenance={})
    return root


@pytest.mark.parametrize(("arguments", "status", "said"), CASES, ids=[case[0].replace(LONG, "LONG") for case in CASES])
def test_refused_in_one_message(place, monkeypatch, arguments, status, said):
    """No traceback; status 1 for a failure and 2 for wrong usage; the message is whole; the folder is as it was."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("BIGBENCH_META_CACHE", str(place.parent / "cache"))
    before = sorted(path.relative_to(place) for path in place.rglob("*"))
    words = [word.replace("+", " ") for word in arguments.split(" ")]
    done = CliRunner().invoke(main, words)
    assert isinstance(done.exception, SystemExit), repr(done.exception)
    assert done.exit_code == status
    message = done.stderr.strip().split("\n")[-1]
    assert message.startswith("Error: ")
    assert [part for part in said if part not in message] == []
    assert done.stdout == ""
    assert sorted(path.relative_to(place) for path in place.rglob("*")) == before
