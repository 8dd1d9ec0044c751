"""The run folder: whole or not at all, and never over what is not ours."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pandas.testing import assert_frame_equal

from bigbench_meta.atomic import folder_beside
from bigbench_meta.errors import OutputError
from bigbench_meta.export import read_run_folder, write_run_folder
from bigbench_meta.export import run_folder as folder_module

if TYPE_CHECKING:
    import pandas as pd


def _write(out: Path, tables: dict[str, pd.DataFrame], *, force: bool = False, note: str = "") -> Path:
    return write_run_folder(
        out,
        tables=tables,
        files={"report.html": b"<p>x</p>", "figures/a.svg": note.encode()},
        provenance={"source": "s"},
        force=force,
    )


def _tree(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def test_a_run_folder_is_written_whole_and_lists_itself(run_folder, tables):
    """Every promised file is there and provenance.json names exactly what was written."""
    out = _write(run_folder, tables)
    tree = _tree(out)
    assert set(tree) == {
        "tables/results.parquet", *(f"tables/{name}.csv" for name in tables if name != "results"),
        "report.html", "figures/a.svg", "provenance.json",
    }  # fmt: skip
    record = json.loads(tree["provenance.json"])
    assert record["made_by"] == "bigbench_meta"
    assert record["files"] == sorted(tree)
    assert [path.name for path in run_folder.parent.iterdir()] == ["out"]


def test_two_runs_give_the_same_bytes(tmp_path, tables):
    """Shuffled rows in, same bytes out: rows are sorted by key."""
    keyed = {name: tables[name] for name in ("results", "curves", "problems")}
    shuffled = {name: frame.sample(frac=1, random_state=1) for name, frame in keyed.items()}
    assert _tree(_write(tmp_path / "a", keyed)) == _tree(_write(tmp_path / "b", shuffled))


def test_tables_round_trip_with_their_types(run_folder, tables):
    """What is read back equals what was written, digits, missing values and hostile names included."""
    read, provenance = read_run_folder(_write(run_folder, tables))
    assert provenance["source"] == "s"
    order = ["task", "subtask", "metric", "family", "shots"]
    for name in ("curves", "results"):
        want = tables[name].sort_values(
            [*order, *(["scale"] if name == "results" else [])],
            key=lambda c: c.astype(str) if c.dtype == "category" else c,
        )
        got = read[name].sort_values(
            [*order, *(["scale"] if name == "results" else [])],
            key=lambda c: c.astype(str) if c.dtype == "category" else c,
        )
        assert_frame_equal(
            want.reset_index(drop=True), got.reset_index(drop=True), check_categorical=False, check_exact=True
        )
    assert list(read["problems"]["file"]) == ["a.json", "b.json"]


def test_a_folder_of_someone_else_is_refused(run_folder, tables):
    """A non-empty folder without our provenance stays untouched, with or without force."""
    run_folder.mkdir()
    (run_folder / "thesis.tex").write_text("years of work")
    for force in (False, True):
        with pytest.raises(OutputError, match=r"not made by bigbench-meta"):
            _write(run_folder, tables, force=force)
    assert _tree(run_folder) == {"thesis.tex": b"years of work"}


def test_notes_that_someone_put_into_our_folder_are_not_deleted(run_folder, tables):
    """An earlier output with a file we did not write is left alone even with force."""
    _write(run_folder, tables)
    (run_folder / "my_notes.txt").write_text("keep me")
    with pytest.raises(OutputError, match=r"my_notes\.txt"):
        _write(run_folder, tables, force=True)
    assert (run_folder / "my_notes.txt").read_text() == "keep me"


@pytest.mark.parametrize("force", [False, True])
def test_a_link_that_someone_put_into_a_folder_is_not_lost(tmp_path, run_folder, tables, force):
    """A link to a folder counts as something, in our own output and in a folder that is empty but for it."""
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "thesis.tex").write_text("years of work")
    run_folder.mkdir()
    (run_folder / "link").symlink_to(tmp_path / "theirs")
    with pytest.raises(OutputError, match=r"not made by bigbench-meta"):
        _write(run_folder, tables, force=force)
    (run_folder / "link").unlink()
    _write(run_folder, tables)
    (run_folder / "tables" / "link").symlink_to(tmp_path / "theirs")
    with pytest.raises(OutputError, match=r"did not write \(tables/link\)|--force"):
        _write(run_folder, tables, force=force)
    assert _tree(tmp_path / "theirs") == {"thesis.tex": b"years of work"}


def test_a_file_of_ours_that_became_a_link_is_replaced_and_not_followed(tmp_path, run_folder, tables):
    """What a link or a second name of a file leads to keeps its content."""
    (tmp_path / "theirs").write_text("years of work")
    _write(run_folder, tables)
    (run_folder / "report.html").unlink()
    (run_folder / "report.html").symlink_to(tmp_path / "theirs")
    (run_folder / "figures/a.svg").unlink()
    (run_folder / "figures/a.svg").hardlink_to(tmp_path / "theirs")
    _write(run_folder, tables, force=True, note="new")
    assert (run_folder / "report.html").read_bytes() == b"<p>x</p>"
    assert not (run_folder / "report.html").is_symlink()
    assert (tmp_path / "theirs").read_text() == "years of work"


@pytest.mark.parametrize("what", ["folder", "link"])
def test_what_came_into_the_place_while_we_worked_is_left_alone(tmp_path, run_folder, tables, what):
    """Hours may lie between the first look and the last step, so there is another look then."""
    theirs = run_folder if what == "folder" else tmp_path / "theirs"

    def work() -> None:
        with folder_module.building_folder(run_folder, force=True) as building:
            folder_module.fill_run_folder(building, tables=tables, files={}, provenance={})
            theirs.mkdir()
            (theirs / "thesis.tex").write_text("years of work")
            if what == "link":
                run_folder.symlink_to(theirs)

    with pytest.raises(OutputError, match=r"not made by bigbench-meta"):
        work()
    assert _tree(theirs) == {"thesis.tex": b"years of work"}
    assert run_folder.is_symlink() == (what == "link")
    assert {path.name for path in tmp_path.iterdir()} <= {"out", "theirs"}


def test_links_that_look_like_what_a_killed_run_left_are_not_followed(tmp_path, run_folder, tables):
    """Planted beside the output: a link in the place of a lock, of a folder, and a folder of somebody with a like name."""
    theirs = tmp_path / "theirs"
    (theirs / "in").mkdir(parents=True)
    (theirs / "thesis.tex").write_text("years of work")
    (tmp_path / ".out.00000000.partial.lock").symlink_to(theirs / "thesis.tex")
    (tmp_path / ".out.00000001.partial").symlink_to(theirs)
    (tmp_path / ".out.00000002.retired").symlink_to(theirs)
    (tmp_path / ".out.mine.partial").mkdir()
    _write(run_folder, tables)
    _write(run_folder, tables, force=True)
    assert _tree(theirs) == {"thesis.tex": b"years of work"}
    assert (tmp_path / ".out.mine.partial").is_dir()


@pytest.mark.parametrize("out", ["/", "/etc", "/dev/null", "x" * 300, "/proc/nothing/here", "file/below"])
def test_places_where_no_folder_can_be_made_are_refused_at_once(tmp_path, monkeypatch, out):
    """However large what is there: the root of the disk is not walked through."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("x")
    start = time.monotonic()
    with pytest.raises(OutputError, match=r"hoose another --out"):
        write_run_folder(Path(out), tables={}, files={}, provenance={}, force=True)
    assert time.monotonic() - start < 5
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_pipe_in_the_place_of_the_provenance_does_not_hang(run_folder, tables):
    """Nobody will ever write into it."""
    run_folder.mkdir()
    os.mkfifo(run_folder / "provenance.json")
    with pytest.raises(OutputError, match=r"not made by bigbench-meta"):
        _write(run_folder, tables, force=True)


def test_an_output_that_may_not_be_read_is_not_called_foreign(run_folder, tables, monkeypatch):
    """Whose it is cannot be seen, and the message says so."""
    _write(run_folder, tables)

    def refused(self):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr(Path, "read_bytes", refused)
    with pytest.raises(OutputError, match=r"cannot be looked at: Permission denied; .*another --out"):
        folder_module.check_run_folder(run_folder, force=True)


def test_own_earlier_output_needs_force(run_folder, tables):
    """Without force the old output stays; with force it is replaced completely."""
    _write(run_folder, tables, note="old")
    with pytest.raises(OutputError, match=r"--force"):
        _write(run_folder, tables, note="new")
    assert (run_folder / "figures/a.svg").read_text() == "old"
    _write(run_folder, tables, force=True, note="new")
    assert (run_folder / "figures/a.svg").read_text() == "new"
    assert [path.name for path in run_folder.parent.iterdir()] == ["out"]


def test_folders_that_hold_only_folders_are_somebodys(run_folder, tables):
    """A tree of empty folders, alone or within an output of ours, is left alone; so is a folder of ours with it."""
    (run_folder / "plan/part").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"is not empty and was not made by bigbench-meta"):
        _write(run_folder, tables, force=True)
    assert (run_folder / "plan/part").is_dir()
    (run_folder / "plan/part").rmdir()
    (run_folder / "plan").rmdir()
    _write(run_folder, tables)
    (run_folder / "plan").mkdir()
    with pytest.raises(OutputError, match=r"did not write \(plan/\), so it is left alone"):
        _write(run_folder, tables, force=True)
    assert (run_folder / "plan").is_dir()


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_permissions_of_what_is_replaced_stay(run_folder, tables, monkeypatch):
    """A folder of mode 0700 with a file of 0600 stays so, also while it is built; new files have what the umask leaves."""
    _write(run_folder, tables, note="old")
    run_folder.chmod(0o700)
    (run_folder / "report.html").chmod(0o600)
    (run_folder / "figures").chmod(0o750)
    seen = []
    real = folder_module.fill_run_folder

    def look(building: Path, **settings: object) -> None:
        seen.append(building.stat().st_mode & 0o777)
        real(building, **settings)

    monkeypatch.setattr(folder_module, "fill_run_folder", look)
    before = os.umask(0o027)
    try:
        _write(run_folder, tables, force=True, note="new")
        _write(run_folder.with_name("other"), tables)
    finally:
        os.umask(before)
    modes = {name: (run_folder / name).stat().st_mode & 0o777 for name in (".", "report.html", "figures")}
    assert modes == {".": 0o700, "report.html": 0o600, "figures": 0o750}
    assert seen == [0o700, 0o750]
    other = run_folder.with_name("other")
    assert [(other / name).stat().st_mode & 0o777 for name in (".", "report.html")] == [0o750, 0o640]
    assert (run_folder / "figures/a.svg").read_text() == "new"


def test_an_empty_folder_and_a_deep_path_are_fine(tmp_path, tables):
    """There is nothing to lose in an empty folder; missing parents are made."""
    (tmp_path / "empty").mkdir()
    _write(tmp_path / "empty", tables)
    _write(tmp_path / "x" / "y" / "z", tables)


def test_a_file_in_the_way_is_refused(run_folder, tables):
    """``--out`` may not name a file."""
    run_folder.write_text("x")
    with pytest.raises(OutputError, match=r"is a file"):
        _write(run_folder, tables, force=True)


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "", "a//b", ".hidden", "a\nb", "con<>"])
def test_no_name_leaves_the_folder(run_folder, tables, name):
    """A name that could point elsewhere is refused before anything is written."""
    with pytest.raises(OutputError, match=r"is refused"):
        write_run_folder(run_folder, tables=tables, files={name: b""}, provenance={})
    assert list(run_folder.parent.iterdir()) == []


def test_a_disk_that_refuses_leaves_nothing(run_folder, tables, monkeypatch):
    """An error half-way says what to do and leaves neither a partial folder nor rubbish beside it."""
    written = []
    original = Path.write_bytes

    def full(self: Path, content: bytes) -> int:
        if len(written) == 3:
            raise OSError(28, "No space left on device")
        written.append(self)
        return original(self, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match=r"No space left on device.*half-written"):
        _write(run_folder, tables)
    assert list(run_folder.parent.iterdir()) == []


def test_a_failed_swap_puts_the_old_output_back(run_folder, tables, monkeypatch):
    """If the new folder cannot take its place, the old one returns."""
    _write(run_folder, tables, note="old")
    original = Path.rename

    def stubborn(self: Path, target: Path) -> Path:
        if self.suffix == ".partial":
            raise OSError(5, "Input/output error")
        return original(self, target)

    monkeypatch.setattr(Path, "rename", stubborn)
    with pytest.raises(OutputError, match=r"Input/output error"):
        _write(run_folder, tables, force=True, note="new")
    assert (run_folder / "figures/a.svg").read_text() == "old"
    assert [path.name for path in run_folder.parent.iterdir()] == ["out"]


def test_what_a_killed_run_left_is_removed_and_a_living_run_is_not(run_folder, tables):
    """The next run clears abandoned folders; one that is locked by a living process stays."""
    dead = run_folder.parent / ".out.deadbeef.partial"
    dead.mkdir()
    (dead / "half").write_text("x")
    with folder_beside(run_folder.resolve()) as living:
        _write(run_folder, tables)
        assert living.is_dir()
        assert not dead.exists()
    assert [path.name for path in run_folder.parent.iterdir()] == ["out"]


_WRITER = """
import os, sys, pandas as pd
from pathlib import Path
from bigbench_meta.export import write_run_folder
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        for turn in range(10**6):
            write_run_folder(Path(sys.argv[1]), tables={"swaps": pd.DataFrame({"a": range(50)})},
                             files={f"figures/{i}.svg": b"x" * 20000 for i in range(40)}, provenance={"turn": turn}, force=True)
    print(child, flush=True)
    os.waitpid(child, 0)
    print("dead", flush=True)
"""


def test_killed_at_any_moment_the_folder_is_whole_or_absent(run_folder):
    """Ten kills at random moments: never a partial folder under the final name, and the next write succeeds."""
    write_run_folder(run_folder, tables={}, files={f"figures/{i}.svg": b"" for i in range(40)}, provenance={})
    pause = random.Random(7)  # moments of a kill, nothing secret
    seen = 0
    with subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(run_folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
    ) as writer:  # fmt: skip
        for _ in range(10):
            print("go", file=writer.stdin, flush=True)
            child = int(writer.stdout.readline())
            time.sleep(pause.uniform(0.0, 0.25))
            os.kill(child, signal.SIGKILL)
            assert writer.stdout.readline() == "dead\n"
            if run_folder.exists():
                seen += 1
                record = json.loads((run_folder / "provenance.json").read_bytes())
                assert sorted(_tree(run_folder)) == record["files"]
                assert len(record["files"]) in {41, 42}
        writer.stdin.close()
    assert seen
    write_run_folder(run_folder, tables={}, files={"report.html": b"x"}, provenance={}, force=True)
    assert [path.name for path in run_folder.parent.iterdir()] == ["out"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_parent_is_a_clear_error(tmp_path, tables):
    """A place we may not write to is named in the message."""
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match=r"Permission denied"):
            _write(tmp_path / "out", tables)
    finally:
        tmp_path.chmod(0o700)


def test_reading_a_folder_that_is_not_ours_is_refused(tmp_path):
    """The message says what is missing and what to give instead."""
    with pytest.raises(OutputError, match=r"provenance\.json"):
        read_run_folder(tmp_path)
