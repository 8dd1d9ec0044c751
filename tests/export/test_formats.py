"""Exports for papers: escaped, compiling, selected, with a sidecar; and the Every Eval Ever schema."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hand_made import NASTY

from bigbench_meta import export
from bigbench_meta.errors import OutputError
from bigbench_meta.schema import CURVES


def _table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "task": NASTY,
            "E": np.linspace(-1.5, 2, len(NASTY)),
            "n": range(len(NASTY)),
            "emergent": [True, None] * 6 + [False],
        }
    )


def test_latex_escapes_every_special_character():
    """No character that LaTeX acts on is left bare in a cell."""
    cells = [
        line.split(" & ")[0] for line in export.latex_text(_table()).split("\\midrule\n")[1].split("\n")[: len(NASTY)]
    ]
    assert cells[0] == r"a\_b"
    assert cells[3] == r"\textbackslash{}input\{/etc/passwd\}"
    assert cells[4] == r"\$E=mc\textasciicircum{}2\$"
    assert cells[11] == r"\texttt{[U+4E2D]}\texttt{[U+6587]} é"


def test_markdown_keeps_its_columns_whatever_the_names_hold():
    """Every line has the same number of unescaped pipes, and no name is markup."""
    lines = export.markdown_text(_table()).strip().split("\n")
    assert len(lines) == len(NASTY) + 2
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {5}
    assert "<b>" not in "\n".join(lines)
    assert lines[1] == "| --- | ---: | ---: | --- |"


def test_query_selects_by_column_with_wildcards(curves):
    """Conditions on different columns must all hold; on the same column any may."""
    one = export.select(curves, ["task=st*", "metric=multiple_choice_grade", "family=GPT", "shots=3"])
    assert set(one["task"]) == {"straight", "step"}
    assert set(one["family"]) == {"GPT"}
    assert len(export.select(curves, ["family=GPT", "family=BIG-G T=0"])) == len(curves)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("colour=red", "no column 'colour'; it has task"),
        ("task", "expected COLUMN=VALUE"),
        ("task=nope", "no row has task"),
    ],
)
def test_a_query_that_makes_no_sense_says_what_would(curves, query, message):
    """The message names the columns or some values that exist."""
    with pytest.raises(OutputError, match=message):
        export.select(curves, [query])


def test_sql_sees_the_tables_and_nothing_else(curves, tmp_path):
    """A query answers; files, settings and statements that are no query are refused."""
    pytest.importorskip("duckdb")
    answer = export.sql({"curves": curves}, "SELECT metric, count(*) AS n FROM curves GROUP BY metric ORDER BY metric")
    assert list(answer["n"]) == [6, 6]
    (tmp_path / "secret.csv").write_text("a\n1\n")
    for statement in (
        f"SELECT * FROM read_csv('{tmp_path / 'secret.csv'}')",
        f"COPY curves TO '{tmp_path / 'out.csv'}'",
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "SELECT * FROM nothing",
        "",
    ):
        with pytest.raises(OutputError, match=r"SQL is refused"):
            export.sql({"curves": curves}, statement)
    assert not (tmp_path / "out.csv").exists()


def test_an_export_has_a_sidecar_with_provenance(tmp_path):
    """The sidecar holds the digest of the file, what was asked for, and the run it came from."""
    content = export.table_bytes("swaps", _table(), "markdown")
    [path] = export.write_exports(
        {tmp_path / "t.md": content},
        about={"table": "swaps", "query": ["task=a*"]},
        provenance={"source": "s", "files": ["x"]},
    )
    record = json.loads((tmp_path / "t.md.provenance.json").read_text())
    assert record["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert record["query"] == ["task=a*"]
    assert record["run"] == {"source": "s"}


def test_an_existing_file_is_not_overwritten_without_force(tmp_path):
    """Nothing is written if any target or sidecar exists."""
    target = tmp_path / "t.csv"
    target.write_text("mine")
    with pytest.raises(OutputError, match=r"already exists"):
        export.write_exports({tmp_path / "new.csv": b"", target: b""}, about={}, provenance={})
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]
    export.write_exports({target: b"ours"}, about={}, provenance={}, force=True)
    assert target.read_bytes() == b"ours"


def test_a_device_or_a_folder_is_not_replaced_by_a_file(tmp_path):
    """Force replaces files; a pipe, like a device, is none. A link is replaced, what it leads to is not written."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "theirs").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "theirs")
    for target in (tmp_path / "pipe", tmp_path, Path("/dev/null"), Path(), Path("..")):
        with pytest.raises(OutputError, match=r"folder.*expected the name of a file\. Choose another --out"):
            export.write_exports({target: b"x"}, about={}, provenance={}, force=True)
    with pytest.raises(OutputError, match=r"already exists"):
        export.write_exports({tmp_path / "link": b"x"}, about={}, provenance={})
    export.write_exports({tmp_path / "link": b"ours"}, about={}, provenance={}, force=True)
    assert ((tmp_path / "link").read_bytes(), (tmp_path / "theirs").read_text()) == (b"ours", "mine")


def test_two_files_of_one_name_are_refused(tmp_path):
    """However the name is spelled; neither is written."""
    (tmp_path / "d").mkdir()
    with pytest.raises(OutputError, match=r"written twice"):
        export.write_exports({tmp_path / "a.csv": b"1", tmp_path / "d/../a.csv": b"2"}, about={}, provenance={})
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_records_do_not_follow_a_link_out_of_their_folder(tmp_path, results):
    """A link where a folder of ours should be is refused, with force too."""
    (tmp_path / "theirs").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "data").symlink_to(tmp_path / "theirs")
    with pytest.raises(OutputError, match=r"is not empty and was not made by"):
        export.export_records(results, out=tmp_path / "out", provenance={}, force=True)
    assert list((tmp_path / "theirs").iterdir()) == []


def test_records_are_a_set_whole_or_absent(tmp_path, results, monkeypatch):
    """A write that fails at any of them leaves none, or the earlier set; with force a smaller set leaves none of the larger."""
    out = tmp_path / "out"
    real, left = Path.write_bytes, 5

    def write(path, content):
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", write)
        with pytest.raises(OutputError, match=r"No space left.*Nothing was left half-written"):
            export.export_records(results, out=out, provenance={})
    assert list(tmp_path.iterdir()) == []
    paths = export.export_records(results, out=out, provenance={"source": "s", "files": ["x"]})
    assert len(paths) == 12
    assert all(path.is_file() for path in paths)
    record = json.loads((out / "provenance.json").read_text())
    assert (record["made_by"], record["run"], record["left_out"]) == (
        "bigbench_meta",
        {"source": "s"},
        {"direction unknown": 0, "no score": 0},
    )
    assert len(record["files"]) == 13
    with pytest.raises(OutputError, match="Give --force"):
        export.export_records(results, out=out, provenance={})
    fewer = export.export_records(results, out=out, provenance={}, query=["family=GPT"], force=True)
    assert set(out.rglob("*.json")) == {*fewer, out / "provenance.json"}
    assert 0 < len(fewer) < 12


@pytest.mark.parametrize("moment", [0, 5, 12, 13])
def test_records_killed_between_two_of_them(tmp_path, results, moment):
    """Killed at any file, the folder is absent; the next export removes what was left."""
    results.to_parquet(tmp_path / "results.parquet")
    code = f"""
import os, signal, sys
from pathlib import Path
import pandas as pd
from bigbench_meta import export
real, left = Path.write_bytes, {moment}
def write(path, content):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(path, content)
frame = pd.read_parquet(sys.argv[1] + "/results.parquet")
Path.write_bytes = write
export.export_records(frame, out=Path(sys.argv[1]) / "out", provenance={{}})
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, capture_output=True)
    assert done.returncode == (-signal.SIGKILL if moment < 13 else 0), done.stderr
    assert (tmp_path / "out").exists() == (moment >= 13)
    if moment < 13:
        assert len(export.export_records(results, out=tmp_path / "out", provenance={})) == 12
    assert {path.name for path in tmp_path.iterdir()} == {"out", "results.parquet"}


def test_records_of_models_named_like_devices_have_other_names(results):
    """Windows keeps CON and aux.txt for devices: a digest follows, so that nothing is written to one."""
    named = results.assign(
        family=results["family"].cat.rename_categories({"GPT": "CON", "BIG-G T=0": "aux.txt"}),
    )
    files = export.every_eval_ever(named, source="s", retrieved=0).files
    folders = {name.split("/")[2] for name in files}
    assert [re.sub(r"-[0-9a-f]{6}$", "", name) for name in sorted(folders)] == ["CON", "aux.txt"]
    assert folders.isdisjoint({"CON", "aux.txt"})


@pytest.mark.parametrize("kind", export.TABLE_FORMATS)
def test_every_format_gives_the_same_bytes_whatever_the_row_order(curves, kind):
    """Rows are sorted by key in each format."""
    narrow = curves if kind in ("csv", "parquet") else curves[[*CURVES.key, "emergence_score"]]
    assert export.table_bytes("curves", narrow, kind) == export.table_bytes(
        "curves", narrow.sample(frac=1, random_state=2), kind
    )


def test_unknown_columns_are_named(curves):
    """The message says which column is missing and which exist."""
    assert list(export.pick_columns(curves, ["metric", "task"]).columns) == ["metric", "task"]
    with pytest.raises(OutputError, match=r"no column nope.*it has task"):
        export.pick_columns(curves, ["nope"])


def _records(results: pd.DataFrame) -> export.every_eval_ever:
    return export.every_eval_ever(results, source="somewhere", retrieved=1_700_000_000, kind="simulated")


def test_every_eval_ever_holds_every_score_once(results):
    """One record per family and model; the scores in them are those of RESULTS; the kind of data is said."""
    files, left_out = _records(results)
    assert len(files) == 12
    records = [json.loads(content) for content in files.values()]
    scores = sorted(result["score_details"]["score"] for record in records for result in record["evaluation_results"])
    assert scores == sorted(results["score"])
    assert left_out == {"direction unknown": 0, "no score": 0}
    assert {record["source_metadata"]["additional_details"]["data_kind"] for record in records} == {"simulated"}
    brier = [
        r for record in records for r in record["evaluation_results"] if "brier" in r["metric_config"]["metric_name"]
    ]
    assert all(result["metric_config"]["lower_is_better"] for result in brier)


def test_every_eval_ever_counts_what_it_cannot_hold(results):
    """A metric of unknown direction and a missing score are left out and counted, never guessed."""
    worse = results.assign(metric=results["metric"].astype(str))
    worse.loc[0, "metric"] = "a metric nobody knows"
    worse.loc[1, "score"] = np.nan
    files, left_out = _records(worse)
    assert left_out == {"direction unknown": 1, "no score": 1}
    assert sum(len(json.loads(content)["evaluation_results"]) for content in files.values()) == len(results) - 2


def test_every_eval_ever_paths_are_safe(results):
    """No family or model name can leave the folder, and different names never share a path."""
    names = ["../../x", "a/b", "a-b", "", ".", "a b"]
    frame = results.head(len(names)).assign(family=names, model="m")
    files, _ = _records(frame)
    assert len(files) == len(names)
    for name in files:
        assert re.fullmatch(r"data/bigbench(/[A-Za-z0-9_][A-Za-z0-9._-]*)+\.json", name)


def _with_validator():
    """A Python that has the package every_eval_ever: the one named, which must have it; that of .venv-records; this one."""
    named = os.environ.get("BIGBENCH_META_RECORDS_PYTHON")
    here = Path(__file__).parents[2] / ".venv-records" / "bin" / "python"
    for python in [named] if named else [here, sys.executable]:
        if (
            Path(python).exists()
            and not subprocess.run(
                [python, "-c", "import every_eval_ever"], check=False, capture_output=True
            ).returncode
        ):
            return str(python)
    if named:
        pytest.fail(f"{named} (BIGBENCH_META_RECORDS_PYTHON) cannot import every_eval_ever")
    return None


def test_every_eval_ever_passes_its_own_validator(results, tmp_path):
    """Every record, hostile names too, passes the published validator without error or warning: schema, path, bounds."""
    python = _with_validator()
    if python is None:
        pytest.skip("every_eval_ever needs Python 3.12 or newer; `make test-pythons` installs it where there is one")
    files = _records(results).files
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    asked = [python, "-m", "every_eval_ever", "validate", "--format", "json", *files]
    done = subprocess.run(asked, cwd=tmp_path, check=False, capture_output=True, text=True)
    answers = json.loads(done.stdout)
    assert len(answers) == len(files)
    assert [answer for answer in answers if not answer["valid"] or answer["errors"] or answer["warnings"]] == []
    assert done.returncode == 0
