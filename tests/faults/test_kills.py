"""Commands killed at uniformly drawn times: what is there is whole or absent, and the next run gives the same bytes."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from faults.serving import ROOT, Commands, digests, shown
from score_files import document, entry, model_named, put

# The whole job takes seconds each time: its kills are for every run of the tests, the rest of its faults for long ones.
SLOW_RUN = pytest.param("run", marks=pytest.mark.slow)


@dataclass(frozen=True)
class Stage:
    """A command under test: its arguments, an earlier output that it replaces, and what lives on between attempts."""

    arguments: list[str]
    earlier: list[str] | None
    out: str
    cache: str | None = None


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    """The process that starts commands."""
    made = Commands(tmp_path_factory.mktemp("talk"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def stages(tmp_path_factory) -> dict[str, Stage]:
    """Run, load and rescore on small sources; ``OUT`` and ``CACHE`` stand for the folders of an attempt."""
    root = tmp_path_factory.mktemp("sources")
    draw = random.Random(7)
    table = ["task,metric,family,model,scale,score,n_items"]
    for task in ("maps", "sums", "verbs"):
        table += [
            f"{task},exact_match,F,m{size},{10 ** (6 + size)},{min(1, size**3 / 216 + draw.random() / 50)},200"
            for size in range(7)
        ]
    (root / "own.csv").write_text("\n".join(table) + "\n")
    for task in range(25):
        for size in range(9):
            text = document(
                *(entry(f"s{number}", bleu=repr(draw.random()), rouge='"odd"') for number in range(8)),
                task=f"t{task}",
                model=model_named(f"{size + 1}b"),
            )
            put(root / "repository", text, task=f"t{task}", name=f"scores_{size}.json")
    outputs = root / "outputs"
    outputs.mkdir()
    for number in range(4):
        records = (
            {
                "task": f"t{number}",
                "model": "m",
                "output": f"{draw.randrange(90)} and {draw.randrange(90)}",
                "targets": ["4 and 5"],
            }
            for _ in range(400)
        )
        (outputs / f"o{number}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    time.sleep(3.1)  # what changed in the last three seconds is not cached
    run = ["run", "--source", str(root / "own.csv"), "--draws", "19", "--force", "--out", "OUT/made"]
    load = ["load", str(root / "repository"), "--force", "--out", "OUT/made.csv", "--problems", "OUT/odd.csv"]
    rescore = [
        "rescore",
        str(outputs),
        "--force",
        "--out",
        "OUT/made",
        "--metric",
        "exact_str_match",
        "--metric",
        "bleu",
    ]
    return {
        "run": Stage(run, [*run, "--seed", "1"], "made"),
        "load": Stage([*load, "--cache-dir", "CACHE"], None, "made.csv", cache="CACHE"),
        "rescore": Stage(rescore, [*rescore[:-2], "--metric", "case_insensitive_str_match"], "made"),
        "rescore by two": Stage([*rescore, "--workers", "2"], None, "made"),
    }


def at(arguments: list[str], folder: Path) -> list[str]:
    """The arguments with the folders of an attempt put in."""
    places = (("OUT/", f"{folder}/out/"), ("CACHE", f"{folder}/cache"))
    for word, place in places:
        arguments = [argument.replace(word, place) for argument in arguments]
    return arguments


def alive(groups: list[int]) -> list[str]:
    """What the processes of these groups are called that have not ended."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended since
            state, _, group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(group) in groups and state != "Z":
                found.append((stat.parent / "cmdline").read_text())
    return found


def kill_loop(commands: Commands, stage: Stage, tmp_path: Path, *, kills: int, seed: int) -> tuple[int, int]:
    """Kill a command at drawn times; return how many kills landed, and after how many a whole run was compared.

    Every other kill ends the command alone and leaves the processes that it started to find out by themselves.
    """
    draw = random.Random(seed)
    seconds, wholes = [], []
    for number, arguments in enumerate([stage.arguments, stage.earlier or stage.arguments]):
        folder = tmp_path / f"whole-{number}"
        (folder / "out").mkdir(parents=True)
        seconds.append(commands.run(at(arguments, folder)))
        wholes.append(digests(folder / "out"))
    expected = wholes[0]
    landed = compared = attempts = 0
    pids = []
    folder = tmp_path / "killed"
    while landed < kills:
        attempts += 1
        assert attempts < 4 * kills + 20, "most commands end before their kill"
        if not (folder / "out").exists():
            (folder / "out").mkdir(parents=True)
        if stage.earlier is not None and attempts % 2:
            shutil.rmtree(folder / "out")
            shutil.copytree(tmp_path / "whole-1" / "out", folder / "out")
        before = shown(folder / "out")
        pid = commands.start(at(stage.arguments, folder))
        pids.append(pid)
        time.sleep(draw.uniform(0, min(seconds)))
        with suppress(ProcessLookupError):  # it has ended
            (os.kill if landed % 2 else os.killpg)(pid, signal.SIGKILL)
        killed = commands.end() == -signal.SIGKILL
        landed += killed
        found = shown(folder / "out")
        if stage.cache is None:
            assert found in ({}, before, expected), f"attempt {attempts}: neither absent nor whole"
        else:  # several files beside each other: each of them is whole or absent
            assert found.items() <= expected.items(), f"attempt {attempts}: a file is not whole"
        if killed and (landed % 3 == 0 or landed == kills):  # else the next command meets what this one left
            commands.run(at(stage.arguments, folder))
            left = digests(folder / "out") if stage.cache is None else shown(folder / "out")
            assert left == expected, f"attempt {attempts}: other bytes, or something left behind"
            compared += 1
            shutil.rmtree(folder)
        elif not killed:
            shutil.rmtree(folder)
    end = time.monotonic() + 30
    while left := alive(pids):
        assert time.monotonic() < end, f"processes of killed commands stay: {left}"
        time.sleep(0.1)
    return landed, compared


@pytest.mark.parametrize("name", [SLOW_RUN, "rescore"])
def test_full_disk(commands, stages, tmp_path, name):
    """Wherever the disk ends, it is one clear error with the cure and nothing that looks whole, or the same bytes."""
    stage = stages[name]
    (tmp_path / "whole" / "out").mkdir(parents=True)
    commands.run(at(stage.arguments, tmp_path / "whole"))
    expected = digests(tmp_path / "whole" / "out")
    largest = max(path.stat().st_size for path in (tmp_path / "whole").rglob("*") if path.is_file())
    folder = tmp_path / "full"
    for limit in (0, 100, 1000, largest // 2, largest - 1, largest) if name == "rescore" else (0, largest - 1, largest):
        (folder / "out").mkdir(parents=True, exist_ok=True)
        commands.start(at(stage.arguments, folder), limit=limit)
        if commands.end() == 0:
            assert limit == largest
            assert digests(folder / "out") == expected
        else:
            assert limit < largest
            assert "free space and run again" in commands.said()
            assert digests(folder / "out") == {}
    assert digests(folder / "out") == expected


def test_full_disk_under_the_cache(commands, stages, tmp_path):
    """A table that cannot be cached costs nothing but the cache; one that cannot be written is absent, not cut off."""
    stage = stages["load"]
    (tmp_path / "whole" / "out").mkdir(parents=True)
    commands.run(at(stage.arguments, tmp_path / "whole"))
    expected = digests(tmp_path / "whole" / "out")
    cached = next((tmp_path / "whole" / "cache" / "results").glob("*.table")).stat().st_size
    folder = tmp_path / "full"
    (folder / "out").mkdir(parents=True)
    commands.start(at(stage.arguments, folder), limit=cached // 2)
    assert commands.end() == 1
    assert "free space" in commands.said()
    assert shown(folder / "out").items() <= expected.items()
    assert [path for path in (folder / "cache").rglob("*") if path.is_file() and path.suffix == ".table"] == []
    commands.run(at(stage.arguments, folder))
    assert shown(folder / "out") == expected


@pytest.mark.parametrize("name", ["run", "load", "rescore"])
def test_read_only_folder(commands, stages, tmp_path, name):
    """A place that nobody may write to is one clear error that says what to do."""
    arguments = [argument.replace("OUT/", "/sys/") for argument in stages[name].arguments]
    commands.start(at(arguments, tmp_path))
    assert commands.end() == 1
    assert commands.said().splitlines()[-1].startswith("Error: cannot write /sys/")
    assert "choose another --out" in commands.said().lower()


@pytest.mark.parametrize(
    "case", [("load", 3), ("rescore", 2), pytest.param(("run", 2), marks=pytest.mark.slow)], ids=str
)
def test_two_at_once(commands, stages, tmp_path, tmp_path_factory, case):
    """Two commands at the same output and cache: each ends well or with a clear error, and what is there is whole."""
    name, trials = case
    stage = stages[name]
    (tmp_path / "whole" / "out").mkdir(parents=True)
    commands.run(at(stage.arguments, tmp_path / "whole"))
    expected = digests(tmp_path / "whole" / "out")
    other = Commands(tmp_path_factory.mktemp("talk"))
    try:
        for trial in range(trials):
            folder = tmp_path / f"both-{trial}"
            (folder / "out").mkdir(parents=True)
            statuses = []
            for each in (commands, other):
                each.start(at(stage.arguments, folder))
            for each in (commands, other):
                statuses.append(each.end())
                assert statuses[-1] == 0 or "Error: " in each.said().splitlines()[-1], each.said()
            assert 0 in statuses
            assert digests(folder / "out") == expected
    finally:
        other.close()


@pytest.mark.parametrize("name", [SLOW_RUN, "load", "rescore"])
def test_clock_that_jumps(commands, stages, tmp_path, name):
    """A clock that jumps by up to ten years at every look, back and forth: the same bytes, from the cache too."""
    stage = stages[name]
    for folder in (tmp_path / "whole", tmp_path / "jumps"):
        (folder / "out").mkdir(parents=True)
    commands.run(at(stage.arguments, tmp_path / "whole"))
    expected = digests(tmp_path / "whole" / "out")
    for clock in range(3 if stage.cache else 1):  # three times on one cache
        commands.start(at(stage.arguments, tmp_path / "jumps"), clock=clock)
        assert commands.end() == 0, commands.said()
        assert digests(tmp_path / "jumps" / "out") == expected


def test_a_file_changed_under_a_jumping_clock(commands, stages, tmp_path):
    """A score file with other numbers of the same size, and its time set back: the next load shows the new numbers."""
    stage = stages["load"]
    repository = tmp_path / "repository"
    shutil.copytree(stage.arguments[1], repository)
    arguments = [stage.arguments[0], str(repository), *stage.arguments[2:]]
    time.sleep(3.1)  # what changed in the last three seconds is not cached
    (tmp_path / "out").mkdir()
    commands.run(at(arguments, tmp_path))
    before = (tmp_path / "out" / "made.csv").read_text()
    assert list((tmp_path / "cache" / "results").glob("*.table"))
    path = next(repository.rglob("scores_0.json"))
    times, text = path.stat(), path.read_text()
    number = next(
        word for word in text.replace(",", " ").replace("}", " ").split() if word.startswith("0.") and len(word) > 9
    )
    path.write_text(text.replace(number, number[:-1] + str((int(number[-1]) + 1) % 10)))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    commands.start(at(arguments, tmp_path), clock=1)
    assert commands.end() == 0, commands.said()
    after = (tmp_path / "out" / "made.csv").read_text()
    assert len([1 for old, new in zip(before.splitlines(), after.splitlines(), strict=True) if old != new]) == 1


@pytest.mark.parametrize("name", [SLOW_RUN, "load", "rescore"])
def test_output_inside_the_source(commands, stages, tmp_path, name):
    """An output folder below the source is written there and read by no later run; the source's files stay as they are."""
    arguments = list(stages[name].arguments)
    where = 2 if name == "run" else 1
    source = tmp_path / "source"
    if Path(arguments[where]).is_dir():
        shutil.copytree(arguments[where], source)
        arguments[where] = str(source)
    else:
        source.mkdir()
        arguments[where] = shutil.copy(arguments[where], source)
    before = digests(source)
    inside = [
        argument.replace("OUT/", f"{source}/made-here/").replace("CACHE", f"{tmp_path}/cache") for argument in arguments
    ]
    found = []
    for _ in range(2):
        commands.run(inside)
        found.append(digests(source / "made-here"))
    assert found[0] == found[1]
    assert {path: digest for path, digest in digests(source).items() if not path.startswith("made-here")} == before
    if name != "load":  # its output are single files
        over = [argument.replace("OUT/made", str(source)) for argument in arguments]
        commands.start(over)
        assert commands.end() == 1
        assert "left alone" in commands.said()
        assert {path: digest for path, digest in digests(source).items() if not path.startswith("made-here")} == before


def test_same_bytes_whatever_threads_hashes_and_row_order(stages, tmp_path):
    """One and two threads, two seeds of Python's hashes and shuffled rows: the same bytes of every table and figure."""
    source = Path(stages["run"].arguments[2])
    head, *rows = source.read_text().splitlines()
    random.Random(1).shuffle(rows)
    shuffled = tmp_path / source.name  # the same name, since RESULTS names the file that each row comes from
    shuffled.write_text("\n".join([head, *rows]) + "\n")
    found = []
    for number, path in enumerate((source, shuffled)):
        out = tmp_path / f"out-{number}"
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(number + 1))
        subprocess.run(
            [sys.executable, "-m", "bigbench_meta", "run", "--source", str(path), "--draws", "19", "--out", str(out)],
            cwd=ROOT, env={**os.environ, **threads, "PYTHONHASHSEED": str(number)}, check=True, capture_output=True,
        )  # fmt: skip
        found.append({name: digest for name, digest in digests(out).items() if "/" in name})
    assert found[0] == found[1]
    assert len(found[0]) >= 8


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT], ids=lambda number: number.name)
@pytest.mark.parametrize("name", [SLOW_RUN, "load", "rescore", "rescore by two"])
def test_ended_by_a_signal(commands, stages, tmp_path, name, number):
    """TERM and HUP end a command as Ctrl-C does: one word, status 1, nothing half-written, no process left."""
    stage = stages[name]
    folder = tmp_path / "whole"
    (folder / "out").mkdir(parents=True)
    seconds = commands.run(at(stage.arguments, folder))
    for part in (0.2, 0.4, 0.6):
        folder = tmp_path / f"ended-{part}"
        (folder / "out").mkdir(parents=True)
        pid = commands.start(at(stage.arguments, folder))
        time.sleep(part * seconds)
        with suppress(ProcessLookupError):  # it has ended
            os.kill(pid, number)
        status = commands.end()
        if status == 0:
            continue
        assert (status, commands.said().splitlines()[-1]) == (1, "Aborted!"), commands.said()
        written = digests(folder / "out")
        assert written.items() <= digests(tmp_path / "whole" / "out").items()
        assert not [path for path in written if path.startswith(".")]
        end = time.monotonic() + 5
        while left := alive([pid]):
            assert time.monotonic() < end, left
            time.sleep(0.05)
        break
    else:
        pytest.fail("the command always ended before its signal")


LONG = (pytest.mark.slow, pytest.mark.timeout(3600))


@pytest.mark.parametrize(
    "case",
    [
        *((*case, 20261122) for case in (("run", 3), ("load", 8), ("rescore", 3), ("rescore by two", 3))),
        *(
            pytest.param((*case, 20261123), marks=LONG)
            for case in (("run", 60), ("load", 100), ("rescore", 60), ("rescore by two", 60))
        ),
    ],
    ids=str,
)
def test_killed_at_any_time(commands, stages, tmp_path, record_property, case):
    """After a kill -9 at a drawn time the output is absent or whole, and the next run gives the undisturbed bytes."""
    name, kills, seed = case
    counts = kill_loop(commands, stages[name], tmp_path, kills=kills, seed=seed)
    record_property("counted", f"{name}: {counts[0]} kills landed, whole runs compared after {counts[1]}")
    assert counts[0] == kills
