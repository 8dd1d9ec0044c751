"""Reading with several processes, and reading large files in little memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from score_files import document, entry, model_named, put

from bigbench_meta.errors import FetchError
from bigbench_meta.fetcher import fetch
from bigbench_meta.loader import load_results
from bigbench_meta.loader.assemble import assemble
from bigbench_meta.loader.bigbench import reading
from bigbench_meta.loader.bigbench.reading import read_score_files, task_of
from bigbench_meta.simulation.repository import simulate

PROJECT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A simulated repository of a few hundred files, some of them damaged."""
    root = tmp_path_factory.mktemp("simulated") / "root"
    simulate(root, rng=np.random.default_rng(7), tasks=4, defects=40)
    return fetch(str(root))


@pytest.mark.parametrize("processes", [2, 3, 7])
def test_any_number_of_processes(checkout, processes):
    """The table, the problems and the count are those of one process."""
    entries = [entry for entry in checkout.entries if entry.is_result]
    one = read_score_files(checkout, entries, processes=1)
    more = read_score_files(checkout, entries, processes=processes)
    assert more.problems == one.problems
    assert more.problems
    assert more.on_disk == one.on_disk
    assert assemble(more)[0].equals(assemble(one)[0])


def test_a_file_that_goes_is_an_error(checkout, tmp_path):
    """A file in another process's share that cannot be read fails like one in our own."""
    for task in ("a", "b", "c"):
        put(tmp_path, document(task=task), task=task)
    listed = fetch(str(tmp_path))
    (tmp_path / listed.entries[-1].path).unlink()
    with pytest.raises(FetchError, match=r"c/results/scores_BIG-G_128b_T=0\.json"):
        read_score_files(listed, listed.entries, processes=3)


@pytest.mark.parametrize("size", [1, 3_000_000])
def test_a_file_that_changes_is_read_as_it_is(tmp_path, size):
    """A file that has grown or shrunk since it was listed is read whole, not as far as it went."""
    path = put(tmp_path, document())
    listed = fetch(str(tmp_path))
    for content in (b"x" * size, b""):
        (tmp_path / path).write_bytes(content)
        assert [read for _, read in listed.read()] == [content]


def test_shares_are_runs_that_cover_everything(checkout):
    """Whatever the sizes, shares keep the order and leave nothing out."""
    entries = [entry for entry in checkout.entries if entry.is_result]
    for count in (1, 2, 5):
        shares = reading._shares(entries, count)
        assert [entry for share in shares for entry in share] == entries


def test_task_of_path():
    """The task is the folder above `results`."""
    assert task_of("bigbench/benchmark_tasks/navigate/results/scores_a.json") == "navigate"
    assert task_of("navigate/results/scores_a.json") == "navigate"
    assert task_of("results/scores_a.json") is None
    assert task_of("elsewhere/scores_a.json") is None


_MEASURE = """
import re, sys
from pathlib import Path
from bigbench_meta.loader import load_results
results = load_results(sys.argv[1], use_cache=False)
# ru_maxrss would start from the memory of the process that started this one
peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text()).group(1)) * 1024
print(len(results.frame), len(results.problems), results.counts.on_disk, peak)
"""


@pytest.mark.parametrize(
    "megabytes", [pytest.param(20, id="20MB"), pytest.param(400, id="400MB", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("odd", [False, True])
def test_memory_for_filled_queries(tmp_path, megabytes, odd):
    """A file with filled queries takes at most 1.3 times its size plus 200 MB, odd values or not."""
    sample = {"input": 'Q: what is 2 + 2? {["\\u00e9', "targets": {"4": 1.0}, "absolute_scores": [-1.5, -2.25] * 20}
    query = json.dumps({"function": "cond_log_prob", "samples": [sample] * 100})
    repeats = megabytes * 1_000_000 // len(query)
    tail = ", NaN, -Infinity]" if odd else "]"
    path = put(
        tmp_path, document(entry("a", bleu="NaN" if odd else "1"), queries="[" + ", ".join([query] * repeats) + tail)
    )
    size = (tmp_path / path).stat().st_size
    assert size > 0.95e6 * megabytes
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(tmp_path)], cwd=PROJECT, check=True, capture_output=True, text=True
    )
    rows, problems, on_disk, peak = map(int, done.stdout.split())
    assert (rows, problems, on_disk) == (1, int(odd), 1)
    assert peak <= 1.3 * size + 200e6


MILLION = 1_000_000
WORST = {
    "metrics": lambda: document(entry("a", **{f"{number:x}": "1" for number in range(MILLION)})),
    "metrics without a number": lambda: document(entry("a", **{f"{number:x}": '""' for number in range(MILLION)})),
    "pairs beside": lambda: document(queries="1, " + ", ".join(f'"{number:x}": 1' for number in range(MILLION))),
    "lists": lambda: document(queries="1, " + f'"x": [{",".join(["[]"] * (MILLION * 7 // 10))}]'),
    "entries of nothing": lambda: document(*["{}"] * (MILLION * 7 // 10)),
    "an entry a number": lambda: document(*["0"] * MILLION),
    "a text of 100 MB": lambda: document(task="x" * 100 * MILLION),
    "a key of 15 MB": lambda: document(entry("a", **{"x" * 15 * MILLION: "1"})),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", WORST)
def test_memory_for_the_worst(tmp_path, kind):
    """Whatever a file of a million values or a long text is made of, reading it stays below 700 MB."""
    put(tmp_path, WORST[kind]())
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(tmp_path)], cwd=PROJECT, check=True, capture_output=True, text=True
    )
    assert int(done.stdout.split()[-1]) < 700e6


@pytest.mark.parametrize("kind", ["word", "list"])
def test_a_huge_head_is_refused(tmp_path, monkeypatch, kind):
    """A file that is huge beside its queries is refused before it is decoded."""
    monkeypatch.setattr("bigbench_meta.loader.bigbench.document.MAX_HEAD_BYTES", 2_000_000)
    entries = [entry("x" * 3_000_000)] if kind == "word" else [entry("y")] * 20_000
    put(tmp_path, document(*entries))
    put(tmp_path, document(model=model_named("8b")), name="scores_z.json")
    results = load_results(tmp_path)
    assert len(results.frame) == 2
    assert "bytes beside" in results.problems["expected"][0]
    assert results.explained[0] == len(entries)
