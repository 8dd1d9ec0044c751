"""Kills, damage, full and read-only disks: the next call gives the same bytes, or says what is wrong."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fetcher.test_archives import pack
from git_server import git, http_server, write

from bigbench_meta.errors import BigbenchMetaError, FetchError, OfflineError
from bigbench_meta.fetcher import cache as cache_module
from bigbench_meta.fetcher import fetch

if TYPE_CHECKING:
    from collections.abc import Callable

    from bigbench_meta.fetcher.checkout import Checkout

ROOT = Path(__file__).resolve().parents[2]
WORKER = """
import sys
from bigbench_meta.fetcher import fetch
import git, filelock
print("ready", flush=True)
fetch(sys.argv[1], cache_dir=sys.argv[2])
"""
FILES = {
    f"bigbench/benchmark_tasks/t{task}/results/scores_{size}.json": random.Random(task * 100 + size).randbytes(3000)
    for task in range(20)
    for size in range(20)
}


def contents(checkout: Checkout) -> dict[str, bytes]:
    """Everything a checkout holds."""
    return {entry.path: content for entry, content in checkout.read()}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A bare repository with 400 files of random bytes."""
    work = write(tmp_path / "work", FILES)
    git(work, "init", "-q")
    git(work, "add", "-A")
    git(work, "commit", "-q", "-m", "x")
    bare = tmp_path / "served" / "r.git"
    bare.parent.mkdir()
    git(tmp_path, "clone", "-q", "--bare", "work", str(bare))
    git(bare, "config", "uploadpack.allowFilter", "true")
    return bare


def start(source: str, cache: Path) -> subprocess.Popen[str]:
    """Start a fetch in a process of its own; it is about to fetch when this returns."""
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, source, str(cache)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def kill_loop(sources: dict[str, str], tmp_path: Path, *, kills: int) -> dict[str, int]:
    """Kill fetches at uniformly drawn times inside their work; returns how many kills landed, by source."""
    draw = random.Random(20261122)
    landed = dict.fromkeys(sources, 0)
    for name, source in sources.items():
        durations = []
        for trial in range(2):
            process = start(source, tmp_path / f"whole-{name}-{trial}")
            began = time.monotonic()
            assert process.wait() == 0
            durations.append(time.monotonic() - began)
            assert process.stdout is not None
            process.stdout.close()
        attempts = 0
        while landed[name] < kills:
            attempts += 1
            assert attempts < 5 * kills + 20, f"{name}: most fetches end before their kill"
            cache = tmp_path / f"killed-{name}"
            process = start(source, cache)
            time.sleep(draw.uniform(0, max(durations)))
            if process.poll() is None:
                # the process alone (its git lives on for a while), or the whole group as when a terminal is closed
                (os.kill if attempts % 2 else os.killpg)(process.pid, signal.SIGKILL)
                landed[name] += 1
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
            if attempts % 3:  # most times the next call starts at once, sometimes after another kill on the same cache
                assert contents(fetch(source, cache_dir=cache)) == FILES
                assert [p.name for p in cache.iterdir() if ".part-" in p.name] == []
                shutil.rmtree(cache)
    return landed


def sources_to_kill(repository: Path, base: str, tmp_path: Path) -> dict[str, str]:
    """A server, a bundle and an archive."""
    git(repository, "bundle", "create", "-q", str(tmp_path / "r.bundle"), "HEAD", "main")
    return {
        "server": f"{base}/r.git",
        "bundle": str(tmp_path / "r.bundle"),
        "archive": str(pack(tmp_path / "r.tar.gz", FILES)),
    }


def test_killed_at_any_time(repository: Path, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """After a kill -9 at a drawn time the next call gives the bytes of an undisturbed one (12 kills)."""
    with http_server(repository.parent) as base:
        landed = kill_loop(sources_to_kill(repository, base, tmp_path), tmp_path, kills=4)
    record_property("counted", f"fetch: kills landed {landed}")
    assert sum(landed.values()) == 12


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_at_any_time_long(
    repository: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """The same with 210 kills."""
    with http_server(repository.parent) as base:
        landed = kill_loop(sources_to_kill(repository, base, tmp_path), tmp_path, kills=70)
    record_property("counted", f"fetch: kills landed {landed}")
    assert sum(landed.values()) == 210


def damage(place: Path, draw: random.Random) -> str:
    """Change, cut or remove something of one file of a kept folder."""
    files = sorted(p for p in place.rglob("*") if p.is_file())
    file = draw.choice(files)
    data = bytearray(file.read_bytes())
    how = draw.choice(["flip", "cut", "remove"]) if data else "remove"
    file.chmod(0o644)
    if how == "remove":
        file.unlink()
    elif how == "cut":
        file.write_bytes(data[: draw.randrange(len(data))])
    else:
        data[draw.randrange(len(data))] ^= draw.randrange(1, 256)
        file.write_bytes(data)
    return f"{how} {file.relative_to(place)}"


@pytest.mark.parametrize("kind", ["server", "bundle", "archive"])
def test_damaged_cache(repository: Path, tmp_path: Path, kind: str) -> None:
    """Whatever is damaged in a kept folder, the next call gives the same bytes or the package's own error."""
    draw = random.Random(3)
    outcomes = {"same": 0, "error": 0}
    with http_server(repository.parent) as base:
        source = sources_to_kill(repository, base, tmp_path)[kind]
        fetch(source, cache_dir=tmp_path / "good")
        for _ in range(15):
            cache = tmp_path / "cache"
            shutil.copytree(tmp_path / "good", cache)
            place = next(p for p in cache.iterdir() if p.is_dir())
            what = damage(place, draw)
            try:
                assert contents(fetch(source, cache_dir=cache)) == FILES, what
                outcomes["same"] += 1
            except BigbenchMetaError as err:
                outcomes["error"] += 1
                assert "fetch again" in str(err), what  # noqa: PT017 - which of the two happens depends on the place
                shutil.rmtree(place)  # the cure it names
                assert contents(fetch(source, cache_dir=cache)) == FILES, what
            shutil.rmtree(cache)
    assert sum(outcomes.values()) == 15
    assert outcomes["same"] >= 3


def test_damaged_cache_offline(repository: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Offline, a damaged copy of a server's commit cannot be made anew, and the error says so."""
    with http_server(repository.parent) as base:
        kept = fetch(f"{base}/r.git", cache_dir=tmp_path / "cache")
    shutil.rmtree(kept.root / "objects/pack")
    with pytest.raises(OfflineError, match=r"not in the cache .* \(or damaged there\)"):
        fetch(f"{base}/r.git", cache_dir=tmp_path / "cache", offline=True)
    assert "is damaged and is made anew" in caplog.text


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_cache_that_cannot_be_written(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A full or read-only disk is one clear error with the cure, and leaves no folder that looks whole."""

    def fail(*_: object, **__: object) -> str:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(cache_module.tempfile, "mkdtemp", fail)
    with pytest.raises(FetchError, match=r"the cache cannot be used .*BIGBENCH_META_CACHE"):
        fetch(repository, cache_dir=tmp_path / "cache")
    assert [p for p in (tmp_path / "cache").iterdir() if p.is_dir()] == []


def test_disk_that_fills_while_git_writes(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When git itself runs out of room, its words and the cure are shown and nothing is kept."""
    resource = pytest.importorskip("resource")
    with http_server(repository.parent) as base:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))  # as if the disk ended there
        try:
            with pytest.raises(FetchError, match=r"r\.git: "):
                fetch(f"{base}/r.git", cache_dir=tmp_path / "cache")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, handler)
        assert [p for p in (tmp_path / "cache").iterdir() if p.is_dir()] == []
        assert contents(fetch(f"{base}/r.git", cache_dir=tmp_path / "cache")) == FILES


def test_git_is_not_installed(repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without git on PATH the error says what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FetchError, match="install git"):
        fetch(repository, cache_dir=tmp_path / "cache")


def test_source_that_changes_under_a_checkout(tmp_path: Path, repository: Path) -> None:
    """A file or object that has gone since the listing is an error that says to fetch again, never a shorter stream."""
    folder = fetch(tmp_path / "work/bigbench")
    clone = fetch(repository, cache_dir=tmp_path / "cache")
    (folder.root / folder.entries[7].path).unlink()
    shutil.rmtree(repository / "objects")
    for checkout in (folder, clone):
        with pytest.raises(FetchError, match="fetch again"):
            list(checkout.read())


def test_cache_folder_is_chosen(tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The argument, then the variable, then the operating system's place."""
    monkeypatch.setenv("BIGBENCH_META_CACHE", str(tmp_path / "variable"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    places: list[tuple[Callable[[], Checkout], Path]] = [
        (lambda: fetch(repository, cache_dir=tmp_path / "argument"), tmp_path / "argument"),
        (lambda: fetch(repository), tmp_path / "variable"),
    ]
    for call, place in places:
        assert call().root.parent == place
    monkeypatch.delenv("BIGBENCH_META_CACHE")
    if sys.platform == "linux":
        assert fetch(repository).root.parent == tmp_path / "xdg" / "bigbench-meta"
