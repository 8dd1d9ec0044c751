"""Training killed at uniformly drawn times: finished models are whole and kept, and the next run gives the same ones."""

from __future__ import annotations

import json
import lzma
import os
import random
import shutil
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from faults.serving import Commands, digests

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.train
# What a model's file says of the machine's time, which no two trainings share.
OF_THE_MACHINE = ("wall_seconds", "cpu_seconds")


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    """The process that trains."""
    pytest.importorskip("torch", reason="the extra `train` is not installed")
    made = Commands(tmp_path_factory.mktemp("talk"), server="training.py")
    yield made
    made.close()


def models(folder: Path) -> dict[str, str]:
    """What each finished model's file holds, by its name; a file that is not whole is an error."""
    found = {}
    for path in sorted(folder.rglob("*.xz")):
        with lzma.open(path, "rt", encoding="utf-8") as lines:
            head, *answers = map(json.loads, lines)
        kept = {name: value for name, value in head.items() if name not in OF_THE_MACHINE}
        found[path.relative_to(folder).as_posix()] = json.dumps([kept, *answers])
    return found | {name: digest for name, digest in digests(folder).items() if name.endswith(".npz")}


def kill_loop(training: Commands, what: str, tmp_path: Path, *, kills: int, seed: int) -> tuple[int, int, int]:
    """Kill trainings; return how many kills landed, how many of them left finished models, and the runs compared."""
    draw = random.Random(seed)
    (tmp_path / "whole").mkdir()
    seconds = training.run([what, str(tmp_path / "whole")])
    expected, table = models(tmp_path / "whole" / "out"), tmp_path / "whole" / "table.csv"
    landed = with_models = compared = attempts = 0
    folder = tmp_path / "killed"
    while landed < kills:
        attempts += 1
        assert attempts < 4 * kills + 20, "most trainings end before their kill"
        folder.mkdir(exist_ok=True)
        pid = training.start([what, str(folder)])
        time.sleep(draw.uniform(0, seconds))
        with suppress(ProcessLookupError):  # it has ended
            os.killpg(pid, signal.SIGKILL)
        killed = training.end() == -signal.SIGKILL
        landed += killed
        found = models(folder / "out")
        assert found.items() <= expected.items(), f"attempt {attempts}: a finished model is not the undisturbed one"
        with_models += killed and bool(found)
        if killed and (landed % 5 == 0 or landed == kills):  # else the next training meets what this one left
            training.run([what, str(folder)])
            assert models(folder / "out") == expected
            if table.exists():
                assert (folder / "table.csv").read_bytes() == table.read_bytes()
            compared += 1
            shutil.rmtree(folder)
        elif not killed:
            shutil.rmtree(folder)
    return landed, with_models, compared


def told(what: str, counts: tuple[int, int, int]) -> str:
    """Return the counts in words."""
    return (
        f"train ({what}): {counts[0]} kills landed, {counts[1]} after the first finished model, "
        f"whole trainings compared after {counts[2]}"
    )


@pytest.mark.parametrize("what", ["vision", "ladder"])
def test_training_killed_at_any_time(training, tmp_path, record_property, what):
    """After a kill -9 every finished model is whole, none is trained twice, and the last run has the undisturbed ones."""
    counts = kill_loop(training, what, tmp_path, kills=5, seed=20261122)
    record_property("counted", told(what, counts))
    assert counts[0] == 5


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("what", ["vision", "ladder"])
def test_training_killed_at_any_time_long(training, tmp_path, record_property, what):
    """The same with 30 kills."""
    counts = kill_loop(training, what, tmp_path, kills=30, seed=20261123)
    record_property("counted", told(what, counts))
    assert counts[0] == 30
