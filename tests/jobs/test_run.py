"""The main job from end to end: what is written, that it is written whole or not at all, and that it repeats."""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import sys
import tempfile

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import bigbench_meta as bm
from bigbench_meta.cli import main
from bigbench_meta.errors import BigbenchMetaError, LoadError, OutputError
from bigbench_meta.jobs.run import run
from bigbench_meta.jobs.sources import load_source
from bigbench_meta.loader.side_tables import given_items
from bigbench_meta.simulation.repository import NOTICE

# The contract of the output folder.
CONTRACT = {
    "tables/results.parquet",
    "tables/curves.csv",
    "tables/problems.csv",
    "tables/concentration.csv",
    "tables/claims.csv",
    "tables/swaps.csv",
    "tables/forecasts.csv",
    "report.html",
    "provenance.json",
}
DRAWS = 19


@pytest.fixture(scope="module")
def small_repository(tmp_path_factory):
    """A simulated repository of two tasks."""
    return bm.simulate(tmp_path_factory.mktemp("simulated") / "r", rng=np.random.default_rng(1), tasks=2).path


@pytest.fixture(scope="module")
def small_run(small_repository, tmp_path_factory):
    """One run on it."""
    return run(str(small_repository), out=tmp_path_factory.mktemp("run") / "out", draws=DRAWS)


def digests(folder):
    """SHA-256 of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_writes_everything_the_contract_names(small_run):
    """Tables, figures, report and provenance are there, and provenance lists every file."""
    files = set(digests(small_run.out))
    assert files >= CONTRACT
    assert any(name.startswith("figures/") and name.endswith(".pdf") for name in files)
    provenance = json.loads((small_run.out / "provenance.json").read_text())
    assert set(provenance["files"]) == files


def test_simulated_data_is_marked_everywhere(small_run):
    """A simulated source is called simulated in the summary, the provenance and the page."""
    assert small_run.kind == "simulated"
    assert json.loads((small_run.out / "provenance.json").read_text())["kind"] == "simulated"
    assert "simulated" in (small_run.out / "report.html").read_text(encoding="utf-8").lower()
    assert NOTICE.startswith("Simulated")


def test_every_number_on_disk_is_accounted_for(small_run):
    """The balance of the load stands in the provenance: on disk = rows + explained + not selected."""
    counts = json.loads((small_run.out / "provenance.json").read_text())["counts"]
    assert counts["numbers_on_disk"] == (
        counts["numbers_rows"] + counts["numbers_explained"] + counts["numbers_not_selected"]
    )
    assert counts["numbers_rows"] == len(pd.read_parquet(small_run.out / "tables" / "results.parquet"))


def test_same_input_and_seed_give_the_same_bytes(small_run, small_repository, tmp_path):
    """A second run elsewhere writes the same bytes, every file."""
    again = run(str(small_repository), out=tmp_path / "again", draws=DRAWS)
    assert digests(again.out) == digests(small_run.out)


def test_existing_output_needs_force_and_foreign_folders_are_left_alone(small_run, small_repository, tmp_path):
    """Nothing is overwritten unasked, and a refusal comes before any work."""
    before = digests(small_run.out)
    with pytest.raises(OutputError, match="--force"):
        run(str(small_repository), out=small_run.out, draws=DRAWS)
    assert digests(small_run.out) == before
    foreign = tmp_path / "thesis"
    foreign.mkdir()
    (foreign / "chapter.tex").write_text("years of work")
    with pytest.raises(OutputError, match="not made by bigbench-meta"):
        run(str(small_repository), out=foreign, draws=DRAWS, force=True)
    assert (foreign / "chapter.tex").read_text() == "years of work"


def test_bad_source_leaves_nothing_behind(tmp_path):
    """A source that is not there is one clear error, and no output folder appears."""
    with pytest.raises(BigbenchMetaError, match="nowhere"):
        run(str(tmp_path / "nowhere"), out=tmp_path / "out", draws=DRAWS)
    assert list(tmp_path.iterdir()) == []


def test_command_line_prints_the_path_and_exits_cleanly(small_repository, tmp_path):
    """The folder alone goes to stdout; talk goes to stderr; an expected failure is one line and status 1; misuse is 2."""
    out = tmp_path / "out"
    arguments = ["run", "--source", str(small_repository), "--out", str(out), "--draws", str(DRAWS), "--profile"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == str(out)
    assert "(simulated)" in done.stderr
    again = CliRunner().invoke(main, arguments)
    assert again.exit_code == 1
    assert again.stderr.startswith("Error: ")
    assert again.stderr.count("\n") == 1
    assert CliRunner().invoke(main, ["run", "--draws", "3"]).exit_code == 2


@pytest.mark.timeout(900)  # draws the whole default page twice
def test_default_run_needs_no_network(tmp_path, monkeypatch):
    """The embedded default analyses the packaged ladder, real data, without opening a socket.

    Its page shows the packaged experiments, also when it is drawn again from the folder.
    """

    def no_socket(*args, **kwargs):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", no_socket)
    made = run(out=tmp_path / "out", draws=DRAWS)
    assert made.kind == "real"
    assert made.counts["problems"] == 0
    claims = pd.read_csv(tmp_path / "out" / "tables" / "concentration.csv")
    assert len(claims) > 0
    page = tmp_path / "out" / "report.html"
    assert b'id="ladder"' in page.read_bytes()
    page.unlink()
    done = CliRunner().invoke(main, ["report", str(tmp_path / "out")])
    assert done.exit_code == 0, done.stderr
    assert b'id="ladder"' in page.read_bytes()


def test_items_file(tmp_path):
    """Items are read by task, by the fewest over sizes where only that is given, and bad files are refused."""
    path = tmp_path / "items.csv"
    path.write_text("task,source,metric,n_items_min,n_items_max\na,audit,m,10,20\n")
    assert given_items(path).to_dict("records") == [{"task": "a", "n_items": 10}]
    path.write_text("name\n1\n")
    with pytest.raises(BigbenchMetaError, match="n_items, task"):
        given_items(path)
    with pytest.raises(BigbenchMetaError, match="cannot be read"):
        given_items(tmp_path / "none.csv")


def test_lengths_file(tmp_path):
    """Target lengths given in a file make the table and its place on the page; a bad file is refused before the work."""
    scales = (1e7, 1e8, 1e9, 1e10)
    rows = [
        (
            f"{word} words",
            metric,
            scale,
            2.0 ** (-(length if metric == "exact_str_match" else 1) * (scale / 1e8) ** -0.3),
        )
        for word, length in (("two", 2), ("five", 5))
        for scale in scales
        for metric in ("exact_str_match", "per_token_accuracy")
    ]
    frame = pd.DataFrame(rows, columns=["subtask", "metric", "scale", "score"])
    frame.assign(task="mine", family="F", model=frame["scale"].map("{:g}".format)).to_csv(
        tmp_path / "own.csv", index=False
    )
    (tmp_path / "items.csv").write_text("task,n_items\nmine,200\n")
    (tmp_path / "lengths.csv").write_text("task,subtask,target_length\nmine,two words,2\nmine,five words,5\n")
    arguments = ["run", "--source", str(tmp_path / "own.csv"), "--items", str(tmp_path / "items.csv"), "--draws", "19"]
    arguments += ["--out", str(tmp_path / "out"), "--lengths"]
    done = CliRunner().invoke(main, [*arguments, str(tmp_path / "lengths.csv")])
    assert done.exit_code == 0, done.stderr
    table = pd.read_csv(tmp_path / "out" / "tables" / "lengths.csv").set_index("quantity")
    assert table.loc[["exponent", "length power"], "estimate"].tolist() == pytest.approx([0.3, 1.0], rel=1e-3)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "The full law, where target lengths are known" in page
    provenance = json.loads((tmp_path / "out" / "provenance.json").read_text(encoding="utf-8"))
    assert provenance["arguments"]["lengths"] == "lengths.csv"
    (tmp_path / "bad.csv").write_text("task,target_length\nmine,none\n")
    refused = CliRunner().invoke(main, [*arguments, str(tmp_path / "bad.csv"), "--force"])
    assert (refused.exit_code, "target_length of task 'mine'" in refused.stderr) == (1, True)
    missing = CliRunner().invoke(main, ["analyze", str(tmp_path / "own.csv"), "--lengths", str(tmp_path / "no.csv")])
    assert (missing.exit_code, "expected columns task, target_length" in missing.stderr) == (1, True)


@pytest.mark.real
@pytest.mark.timeout(900)  # a minute on a quiet machine
def test_published_scores_from_end_to_end(shared_data, tmp_path):
    """The published scores: 120 tasks by 12 models, no problem found, the known top curve, everything written."""
    made = run(
        str(shared_data / "bigbench-real.bundle"), out=tmp_path / "out", draws=DRAWS, cache_dir=tmp_path / "cache",
        items=shared_data / "bundle_items.csv",
    )  # fmt: skip
    assert (made.kind, made.counts["tasks"], made.counts["models"]) == ("real", 120, 12)
    assert made.counts["score_files"] == 1440
    assert made.counts["problems"] == 0
    curves = pd.read_csv(made.out / "tables" / "curves.csv")
    row = curves.query("task == 'figure_of_speech_detection' and metric == 'multiple_choice_grade'").iloc[0]
    assert round(row["emergence_score"], 1) == 17.9
    assert row["n_items"] == 59


def own_table(folder, task):
    """A table with the required columns only: a task with a rising and a noisy metric."""
    rows = [f"{task},bleu,F,m{i},{10.0**i},{score}" for i, score in enumerate((0.1, 0.3, 0.2, 0.9, 0.95))]
    path = folder / "own.csv"
    path.write_text("\n".join(["task,metric,family,model,scale,score", *rows, ""]), encoding="utf-8")
    return path


def test_a_table_is_a_source(tmp_path):
    """A user's own table goes through the whole job; what it does not say is on stderr and in provenance.

    Without items and errors nothing can be tested, which the exit status says; every file is there all the same.
    """
    table = own_table(tmp_path, "mine")
    done = CliRunner().invoke(main, ["run", "--source", str(table), "--out", str(tmp_path / "out"), "--draws", "19"])
    assert done.exit_code == 1, done.stderr
    assert "neither items nor errors are known (give items (--items FILE, or a column n_items)" in done.stderr
    assert "no column shots; taken as -1" in done.stderr
    provenance = json.loads((tmp_path / "out" / "provenance.json").read_text(encoding="utf-8"))
    assert provenance["kind"] == "user"
    assert any("no column subtask" in note for note in provenance["notes"])
    curves = pd.read_csv(tmp_path / "out" / "tables" / "curves.csv")
    assert curves["emergence_score"].item() == pytest.approx(
        0.85 / 0.025**0.5, abs=1e-12
    )  # squared steps .04 .01 .49 .0025
    assert bm.load_results(table).counts.rows == 5


def test_a_table_has_no_versions(tmp_path):
    """A version asked of a table is an error, not ignored."""
    with pytest.raises(BigbenchMetaError, match="which has no versions"):
        run(str(own_table(tmp_path, "mine")), out=tmp_path / "out", draws=DRAWS, ref="main")
    assert not (tmp_path / "out").exists()


def test_what_a_killed_run_of_simulated_data_left_goes(tmp_path, monkeypatch):
    """The repository that a run simulates lies where temporary files go, until the run or the next one ends."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left = tmp_path / ".bigbench-meta-simulated.01234567.partial" / "repository"
    left.mkdir(parents=True)
    load_source("simulated", rng=1)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(tempfile, "tempdir", "/sys")
    with pytest.raises(LoadError, match=r"/sys: no repository can be simulated there .* TMPDIR"):
        load_source("simulated", rng=1)


def test_a_table_of_simulated_scores_stays_marked(tmp_path):
    """Scores of a simulated repository, saved as a table and read again, are still shown as simulated."""
    made = run(str(own_table(tmp_path, "simulated_001")), out=tmp_path / "out", draws=DRAWS)
    assert made.kind == "simulated"


def test_a_place_where_nothing_can_be_made_is_refused_first(tmp_path):
    """An output folder below a file fails at once: the source, which does not exist, is not even looked at."""
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="file is a file, so"):
        run("no-such-source", out=tmp_path / "file" / "deeper" / "out", draws=DRAWS)
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"


def test_scores_near_the_largest_float_give_no_warning(tmp_path):
    """A whole run says nothing of overflow: curves of such scores are not tested, with the reason, and not drawn there."""
    rows = ["task,metric,family,model,scale,score"]
    rows += [
        f"a,bleu,F,m{n},1e{6 + n},{score}" for n, score in enumerate(["1e308", "-1e308", "1e308", "1.7e308", "1.7e308"])
    ]
    rows += ["a,bleu,F,m5,1e10,1.7e308", *(f"b,exact_str_match,F,m{n},1e{6 + n},1e308" for n in range(5))]
    rows += [f"c,exact_str_match,F,m{n},1e{6 + n},{score}" for n, score in enumerate([0, 0.1, 0.2, 0.8, 0.9])]
    (tmp_path / "large.csv").write_text("\n".join(rows) + "\n")
    arguments = ["run", "--source", str(tmp_path / "large.csv"), "--draws", "19", "--out", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-W", "always::RuntimeWarning", "-m", "bigbench_meta", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1  # nothing was tested
    assert "Warning" not in done.stderr
    assert "Traceback" not in done.stderr
    curves = pd.read_csv(tmp_path / "out/tables/curves.csv").set_index("task")
    assert (curves.loc[["a", "b"], "not_tested"] == "scores too large").all()
    assert curves.loc["c", "emergence_score"] == pytest.approx(9.0)
