"""Signals to a fetch whose server keeps git busy or waiting: git ends with it, and nothing is left but a stale attempt."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from bad_git_server import KINDS, server
from faults.serving import Commands

from bigbench_meta.fetcher import fetch

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up below /proc"),
]
SECONDS_TO_END = 5.0


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """A process that starts commands."""
    made = Commands(tmp_path_factory.mktemp("talk"))
    yield made
    made.close()


def at_work(cache: Path) -> dict[int, str]:
    """Processes of git, its children and guards that work in a cache: they have its path in their environment."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended since, or is another user's
            if f"GIT_DIR={cache}".encode() in (folder / "environ").read_bytes():
                found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
    return found


def wait_for_work(cache: Path, kind: str) -> None:
    """Wait until git talks to the server, and some of an endless pack is on disk."""
    end = time.monotonic() + 30
    while not any("remote-http" in line for line in at_work(cache).values()) or (
        kind == "endless pack" and size_of(cache) < 1 << 20
    ):
        assert time.monotonic() < end, "git does not start"
        time.sleep(0.02)
    time.sleep(0.2)


def size_of(cache: Path) -> int:
    """Bytes of all files below a folder."""
    total = 0
    for path in cache.rglob("*"):
        with suppress(OSError):
            total += path.stat().st_size
    return total


def assert_ends(cache: Path) -> None:
    """No process works in the cache after a few seconds, and no file of it grows any more."""
    end = time.monotonic() + SECONDS_TO_END
    while left := at_work(cache):
        if time.monotonic() > end:
            for pid in left:
                os.kill(pid, signal.SIGKILL)
            pytest.fail(f"alive {SECONDS_TO_END} s after the command: {left}")
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT], ids=lambda n: n.name)
@pytest.mark.parametrize("kind", KINDS)
def test_git_ends_with_the_command(
    commands: Commands, repository: Path, tmp_path: Path, kind: str, number: signal.Signals
) -> None:
    """Whatever ends the command, its git ends within seconds; what it has left goes with the next fetch of anything."""
    cache = tmp_path / "cache"
    with server(KINDS[kind]) as url:
        pid = commands.start(["fetch", url, "--cache-dir", str(cache)])
        wait_for_work(cache, kind)
        os.kill(pid, number)
        status = commands.end()
        assert_ends(cache)
    attempts = [path.name for path in cache.iterdir() if path.is_dir()]
    if number == signal.SIGKILL:
        assert status == -signal.SIGKILL
        assert len(attempts) == 1
    else:
        assert (status, attempts) == (1, [])
        assert commands.said() == "\nAborted!\n"
    shutil.make_archive(str(tmp_path / "results"), "tar", repository)
    assert fetch(tmp_path / "results.tar", cache_dir=cache).entries
    assert [path.name for path in cache.iterdir() if ".part-" in path.name] == []
