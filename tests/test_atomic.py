"""Files and folders that appear whole or not at all: what killed writers leave goes, what living ones hold stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bigbench_meta import simulate
from bigbench_meta.atomic import folder_beside, locked, remove_abandoned_files, whole_file
from bigbench_meta.export import write_exports, write_run_folder
from bigbench_meta.fetcher.manifest import write_text

ROOT = Path(__file__).parents[1]
# Ends like a kill -9 where a file or folder is about to take its place.
DIE = """
import os, signal, sys
from pathlib import Path
at, skip = sys.argv[1], int(sys.argv[2])
real = getattr(Path, at)
def die(self, target):
    global skip
    skip -= 1
    if skip < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self, target)
setattr(Path, at, die)
"""


def killed(code: str, folder: Path, *, at: str, skip: int = 0) -> None:
    """Run ``code`` in a process of its own that is killed at its rename number ``skip``."""
    ended = subprocess.run([sys.executable, "-c", DIE + code, at, str(skip), str(folder)], cwd=ROOT, check=False)
    assert ended.returncode == -signal.SIGKILL


EXPORT = """
from bigbench_meta.export import write_exports
write_exports({Path(sys.argv[3]) / "t.csv": b"new"}, about={}, provenance={}, force=True)
"""
LOCK = """
from bigbench_meta.fetcher.manifest import write_text
write_text(Path(sys.argv[3]) / "m.json", "new")
"""
SIMULATE = """
import numpy as np
from bigbench_meta import simulate
simulate(Path(sys.argv[3]) / "r", rng=np.random.default_rng(1), tasks=1)
"""
RUN = """
from bigbench_meta.export import write_run_folder
write_run_folder(Path(sys.argv[3]) / "out", tables={}, files={"a.svg": b"new"}, provenance={}, force=True)
"""
TRAIN = """
import sys
from pathlib import Path
from types import SimpleNamespace
model = SimpleNamespace(arrays={"a": [1, 2]}, parameters=3)
sys.modules["bigbench_meta.experiments.vision.models"] = SimpleNamespace(train_model=lambda *_, **__: model)  # no PyTorch
from bigbench_meta.experiments.vision import training
context = training._Context(images=None, plan=None, parts=None, folder=Path(sys.argv[3]), fingerprint="f")
training._train_one(context, training.Job("lenet", 3, 0))
"""
CACHE = """
import sys
from pathlib import Path
import pyarrow as pa
from bigbench_meta.loader import table_cache
table_cache._write(Path(sys.argv[3]) / "k.table", pa.table({"scale": [1.0]}))
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_export_that_was_killed_leaves_nothing_to_the_next(tmp_path):
    """The old file stays until the new one is whole; the next export removes at once what the killed one left."""
    (tmp_path / "t.csv").write_text("old")
    killed(EXPORT, tmp_path, at="replace")
    assert (tmp_path / "t.csv").read_text() == "old"
    assert len(names(tmp_path)) == 2
    write_exports({tmp_path / "t.csv": b"new"}, about={}, provenance={}, force=True)
    assert names(tmp_path) == ["t.csv", "t.csv.provenance.json"]


def test_a_lock_of_what_was_fetched_that_was_not_finished_goes(tmp_path):
    """The same for the lock beside the cache."""
    killed(LOCK, tmp_path, at="replace")
    assert len(names(tmp_path)) == 1
    write_text(tmp_path / "m.json", "new")
    assert names(tmp_path) == ["m.json"]


def test_a_simulated_repository_that_was_not_finished_goes(tmp_path):
    """Thousands of files of a killed simulation are removed by the next one of that name."""
    killed(SIMULATE, tmp_path, at="rename")
    assert len(names(tmp_path)) == 2
    simulate(tmp_path / "r", rng=np.random.default_rng(1), tasks=1)
    assert names(tmp_path) == ["r"]


def test_an_output_moved_out_of_the_way_goes_when_another_is_in_its_place(tmp_path):
    """Killed between its two renames, a run leaves no output; the next one leaves its own and nothing beside it."""
    out = tmp_path / "out"
    write_run_folder(out, tables={}, files={"a.svg": b"old"}, provenance={})
    killed(RUN, tmp_path, at="rename", skip=1)
    assert not out.exists()
    write_run_folder(out, tables={}, files={"a.svg": b"new"}, provenance={})
    assert names(tmp_path) == ["out"]
    assert (out / "a.svg").read_text() == "new"


@pytest.mark.parametrize("code", [TRAIN, CACHE], ids=["training", "cache"])
def test_a_model_or_table_that_was_not_finished_goes(tmp_path, code):
    """Trained or loaded again, it is whole, and nothing of the killed attempt is left."""
    killed(code, tmp_path, at="replace")
    assert len(names(tmp_path)) == 1
    subprocess.run([sys.executable, "-c", code, "", "", str(tmp_path)], cwd=ROOT, check=True)
    assert names(tmp_path) in (["lenet-0003-0.npz"], ["k.table"])


def test_what_a_living_writer_holds_stays(tmp_path):
    """A file or folder that somebody is writing is not taken for abandoned, and takes its place in the end."""
    with whole_file(tmp_path / "t") as first:
        first.write(b"first")
        remove_abandoned_files(tmp_path)
        with whole_file(tmp_path / "t") as second:
            second.write(b"second")
        assert (tmp_path / "t").read_text() == "second"
        assert len(names(tmp_path)) == 2
    assert (tmp_path / "t").read_text() == "first"
    assert names(tmp_path) == ["t"]


def test_an_error_leaves_the_old_file(tmp_path):
    """Whatever goes wrong inside the block, or afterwards, the old file stays and nothing lies beside it."""
    (tmp_path / "t").write_text("old")
    with pytest.raises(TypeError), whole_file(tmp_path / "t") as stream:
        stream.writelines([b"half", "no bytes"])
    assert (names(tmp_path), (tmp_path / "t").read_text()) == (["t"], "old")


def test_links_and_folders_of_such_a_name_are_left_alone(tmp_path):
    """A link planted under the name of an abandoned file is not followed, and a folder is no file."""
    (tmp_path / "theirs").write_text("mine")
    (tmp_path / ".t.01234567.partial").symlink_to(tmp_path / "theirs")
    (tmp_path / ".t.01234568.partial").mkdir()
    with whole_file(tmp_path / "t") as stream:
        stream.write(b"x")
    assert (tmp_path / "theirs").read_text() == "mine"
    assert (tmp_path / ".t.01234568.partial").is_dir()


def test_a_folder_is_removed_unless_it_was_renamed(tmp_path):
    """After an error there is neither the folder nor its lock."""
    with pytest.raises(TypeError), folder_beside(tmp_path / "out") as building:
        (building / "half").write_bytes("no bytes")
    assert names(tmp_path) == []


@pytest.mark.timeout(20)
def test_where_no_lock_can_be_made_nobody_waits_for_one(tmp_path, monkeypatch):
    """Below /proc files are not there even when they were made; a file system without locks is an error too."""
    if Path("/proc/self").exists():
        with pytest.raises(FileNotFoundError), locked(Path("/proc/nothing.lock")):
            pass

    def fail(*_):
        raise NotImplementedError("no flock")

    monkeypatch.setattr("filelock.FileLock.acquire", fail)
    with pytest.raises(OSError, match="no flock"), locked(tmp_path / "x.lock"):
        pass


def test_a_lock_is_held_by_one(tmp_path):
    """Somebody who will not wait is told."""
    with (
        locked(tmp_path / "x.lock"),
        pytest.raises(BlockingIOError, match="held by another"),
        locked(tmp_path / "x.lock", wait=False),
    ):
        pass


posix = pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")


@posix
@pytest.mark.parametrize("mode", [0o600, 0o644, 0o664, 0o400, 0o755])
def test_a_file_keeps_the_permissions_of_the_one_it_replaces(tmp_path, mode):
    """From the first byte on; a new file has what the umask leaves."""
    old = tmp_path / "t.csv"
    old.write_text("old")
    old.chmod(mode)
    before = os.umask(0o077)
    try:
        for path, expected in ((old, mode), (tmp_path / "new.csv", 0o600)):
            with whole_file(path) as stream:
                assert os.fstat(stream.fileno()).st_mode & 0o777 == expected
                stream.write(b"new")
            assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", expected)
    finally:
        os.umask(before)


@posix
def test_permissions_of_a_link_or_of_somebody_else_are_not_taken(tmp_path, monkeypatch):
    """What a link leads to is not replaced; a file of another user can restrict, and cannot let others write."""
    (tmp_path / "outside").write_text("x")
    (tmp_path / "outside").chmod(0o777)
    (tmp_path / "link").symlink_to(tmp_path / "outside")
    before = os.umask(0o022)
    try:
        with whole_file(tmp_path / "link") as stream:
            stream.write(b"new")
        assert (tmp_path / "link").stat().st_mode & 0o777 == 0o644
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
        for theirs, taken in ((0o666, 0o644), (0o600, 0o600)):
            (tmp_path / "theirs").write_text("x")
            (tmp_path / "theirs").chmod(theirs)
            with whole_file(tmp_path / "theirs") as stream:
                stream.write(b"new")
            assert (tmp_path / "theirs").stat().st_mode & 0o777 == taken
    finally:
        os.umask(before)
