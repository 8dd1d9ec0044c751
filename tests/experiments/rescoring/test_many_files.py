"""Many files of outputs at once: one process, several, and a cluster that loses a worker."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bigbench_meta.cluster import on_cluster
from bigbench_meta.errors import IntegrityError, SourceError
from bigbench_meta.experiments.rescoring import many_files as rescoring_parts
from bigbench_meta.experiments.rescoring.many_files import rescore_parts
from bigbench_meta.experiments.rescoring.scoring import Settings, combine, unique_files
from bigbench_meta.jobs.experiments import write_rescored

SETTINGS = Settings(("exact_str_match", "token_edit_distance", "calibration_multiple_choice_brier_score"))


def make_files(folder, *, files, items):
    rng = random.Random(3)
    for number in range(files):
        with (folder / f"outputs-{number:02d}.jsonl").open("w") as stream:
            for _ in range(items):
                scores = [rng.gauss(0, 2), rng.gauss(0, 2)]
                record = {
                    "task": "t",
                    "model": f"m{number % 3}",
                    "scale": 1.0,
                    "target": "a",
                    "output": rng.choice("ab"),
                }
                stream.write(json.dumps(record | {"options": ["a", "b"], "option_scores": scores}) + "\n")
    return unique_files([folder])


def test_parts_hold_every_item_once(tmp_path):
    """One part a file, in the order of the files, with as many rows as items; two processes give the same bytes as one."""
    files = make_files(tmp_path, files=4, items=50)
    one = rescore_parts(files, SETTINGS, folder=tmp_path / "one")
    two = rescore_parts(files, SETTINGS, folder=tmp_path / "two", workers=2)
    assert combine(one).results.to_csv() == combine(two).results.to_csv()
    for part in sorted((tmp_path / "one").iterdir()):
        assert part.read_bytes() == (tmp_path / "two" / part.name).read_bytes()
    rows = pd.read_parquet(tmp_path / "one")
    assert len(rows) == 200
    assert not rows.duplicated(["file", "query", "index"]).any()
    assert rows["exact_str_match"].mean() == pytest.approx(
        (combine(one).results.query("metric == 'exact_str_match'").eval("score * n_items").sum()) / 200
    )


def test_a_part_that_lost_rows_is_refused(tmp_path, monkeypatch):
    """If a part does not hold its file's items, nothing is combined and the message says what to do."""
    files = make_files(tmp_path, files=1, items=5)
    written = rescoring_parts.score_to_part

    def lose(file, settings, part):
        found = written(file, settings, part)
        pq.write_table(pq.read_table(part).slice(1), part)
        return found

    monkeypatch.setattr(rescoring_parts, "score_to_part", lose)
    with pytest.raises(IntegrityError, match="holds 4 items, but 5 were scored"):
        rescore_parts(files, SETTINGS, folder=tmp_path / "parts")


def test_a_failure_leaves_no_folder(tmp_path, monkeypatch):
    """When scoring stops halfway, the output folder is not there and nothing is left beside it."""
    files = make_files(tmp_path, files=2, items=5)
    written = rescoring_parts.score_to_part

    def stop(file, settings, part):
        if part.name != "part-00000.parquet":
            raise pa.ArrowInvalid("planted")
        return written(file, settings, part)

    monkeypatch.setattr(rescoring_parts, "score_to_part", stop)
    out = tmp_path / "deep" / "out"
    with pytest.raises(pa.ArrowInvalid):
        write_rescored(files, out, metrics=["exact_str_match"], unit="word")
    assert list((tmp_path / "deep").iterdir()) == []


def test_no_scheduler(tmp_path):
    """An address where no scheduler can be is refused with an example of one."""
    with pytest.raises(SourceError, match="no Dask scheduler at nowhere://x"), on_cluster("nowhere://x"):
        pass


# In a process of its own: a cluster's threads and another backend's pool do not go well together in one.
CLUSTER = """
import os, signal, sys, time
from pathlib import Path
from threading import Thread
from distributed import Client, LocalCluster
from joblib import parallel_config
from bigbench_meta.experiments.rescoring.scoring import Settings, combine, unique_files
from bigbench_meta.experiments.rescoring.many_files import rescore_parts

def main():
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    settings = Settings(tuple(sys.argv[3:]))
    target.mkdir()
    done = lambda: len(list(target.glob("part-*.parquet")))
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
        parallel_config(backend="dask", client=client),
    ):
        victim = next(iter(client.run(os.getpid).values()))
        at_kill = []
        def kill():
            while done() < 5:
                time.sleep(0.01)
            os.kill(victim, signal.SIGKILL)
            at_kill.append(done())
        killer = Thread(target=kill)
        killer.start()
        found = combine(rescore_parts(unique_files([source]), settings, folder=target, workers=-1))
        killer.join()
        assert victim not in client.run(os.getpid).values()
    found.results.to_csv(target.with_suffix(".csv"))
    print("parts at the kill:", at_kill[0], "items:", found.read, found.scored)

if __name__ == "__main__":
    main()
"""


@pytest.mark.slow
def test_a_killed_worker_loses_nothing(tmp_path):
    """A local cluster of two workers, one killed in the middle: the tables of one process, no part missing or doubled."""
    source = tmp_path / "source"
    source.mkdir()
    files = make_files(source, files=24, items=2000)
    alone = combine(rescore_parts(files, SETTINGS, folder=tmp_path / "alone"))
    target, script = tmp_path / "cluster", tmp_path / "cluster.py"
    script.write_text(CLUSTER)
    run = subprocess.run(
        [sys.executable, str(script), str(source), str(target), *SETTINGS.metrics],
        check=False, capture_output=True, text=True, timeout=280, env=os.environ | {"PYTHONPATH": str(Path.cwd())},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    counted = [int(word) for word in run.stdout.replace(":", " ").split() if word.isdigit()]
    assert 5 <= counted[0] < 24
    assert counted[1:] == [48_000, 48_000]
    assert target.with_suffix(".csv").read_text() == alone.results.to_csv()
    parts = sorted(target.glob("part-*"))
    assert [part.name for part in parts] == [f"part-{n:05d}.parquet" for n in range(24)]
    rows = pd.read_parquet(parts, columns=["file", "index"])
    assert len(rows) == 48_000
    assert not rows.duplicated().any()
