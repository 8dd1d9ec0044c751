"""Pipes, sockets, devices and links in a circle, wherever they lie: nothing waits for them or follows them."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from pathlib import Path

import pytest
from git_server import RESULT, git, make_clone, write

from bigbench_meta.errors import SourceError
from bigbench_meta.fetcher import fetch
from bigbench_meta.loader import is_table

pytestmark = [pytest.mark.skipif(sys.platform == "win32", reason="pipes"), pytest.mark.timeout(60)]


def special(path: Path, kind: str) -> None:
    """Put something that is no file in a place."""
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(short := Path(tempfile.mkdtemp()) / "s"))  # an address has at most 107 characters
        short.rename(path)
        short.parent.rmdir()


@pytest.mark.parametrize("kind", ["pipe", "device", "socket"])
@pytest.mark.parametrize("name", ["source", "source.csv", "source.zip"])
def test_as_a_source(tmp_path: Path, kind: str, name: str) -> None:
    """A source that is no regular file is refused at once, whatever it is called."""
    special(tmp_path / name, kind)
    assert not is_table(tmp_path / name)
    with pytest.raises(
        SourceError, match=r": is a pipe, socket or device; expected .*regular file: write it to a file"
    ):
        fetch(tmp_path / name)


@pytest.mark.parametrize("kind", ["pipe", "device", "socket"])
@pytest.mark.parametrize("place", ["loose object", "pack", "index of a pack", "alternates", "borrowed", "quoted"])
def test_where_git_keeps_objects(tmp_path: Path, kind: str, place: str) -> None:
    """Git is not started where it would wait for a pipe or read a device: the file is named."""
    folder = make_clone(tmp_path / "clone")
    objects = folder / ".git/objects"
    blob = git(folder, "rev-parse", f"HEAD:{RESULT}")
    lender = tmp_path / 'a "lender"'
    file = {
        "loose object": objects / blob[:2] / blob[2:],
        "pack": objects / "pack/pack-x.pack",
        "index of a pack": objects / "pack/pack-x.idx",
        "alternates": objects / "info/alternates",
        "borrowed": lender / "pack/pack-y.idx",
        "quoted": lender / "ab/cd",
    }[place]
    if place == "borrowed":
        (objects / "info/alternates").write_text(f"../objects\n{lender}\n")
    elif place == "quoted":
        (objects / "info/alternates").write_text(f'"{tmp_path}/a\\040\\"lender\\""\n')
    special(file, kind)
    what = "a pipe, socket or device where git keeps objects.*check where"
    if place == "alternates" and kind == "device":  # here a link to one, and no link is followed to that list
        what = "a link where git looks for folders"
    with pytest.raises(SourceError, match=rf"{file.name}: is {what}"):
        fetch(folder, cache_dir=tmp_path / "cache")


def test_lists_of_borrowed_folders(tmp_path: Path) -> None:
    """Lists without end, in a circle, or of too many folders: refused with their place, or followed once."""
    folder = make_clone(tmp_path / "clone")
    objects = folder / ".git/objects"
    (objects / "info/alternates").write_text(f"{objects}\n{tmp_path}/b\n")
    write(tmp_path, {"b/info/alternates": os.fsencode(objects) + b"\n"})
    assert len(fetch(folder, cache_dir=tmp_path / "cache").entries) == 1
    for number in range(110):
        (tmp_path / f"c{number}").mkdir()
    (objects / "info/alternates").write_text("".join(f"{tmp_path}/c{number}\n" for number in range(110)))
    with pytest.raises(
        SourceError, match="borrows objects from more than 100 folders; expected a few: make a full clone"
    ):
        fetch(folder, cache_dir=tmp_path / "cache")
    os.truncate(objects / "info/alternates", 64 << 30)
    with pytest.raises(
        SourceError, match=r"info/alternates: is larger than \d+ bytes; expected a few folders: check where"
    ):
        fetch(folder, cache_dir=tmp_path / "cache")


def test_object_folder_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Objects without permission are said to be so, not to be missing."""
    folder = make_clone(tmp_path / "clone")

    def refuse(path: str) -> None:
        raise PermissionError(13, os.strerror(13), path)

    monkeypatch.setattr("bigbench_meta.fetcher.git.objects.os.scandir", refuse)
    with pytest.raises(
        SourceError, match=r"objects: its git objects cannot be looked at \(Permission denied\); make them"
    ):
        fetch(folder, cache_dir=tmp_path / "cache")


def test_in_a_folder(tmp_path: Path) -> None:
    """Links in a circle, to themselves and to pipes are skipped by name; the rest is read."""
    results = "t/results"
    folder = write(tmp_path / "folder", {f"{results}/scores_a.json": b"{}"})
    for name in ("pipe", "socket", "device"):
        special(folder / results / f"scores_{name}.json", name)
    (folder / results / "scores_self.json").symlink_to("scores_self.json")
    (folder / results / "scores_to_pipe.json").symlink_to("scores_pipe.json")
    (folder / "t/self").symlink_to("self")
    (folder / "t/up").symlink_to("..")
    checkout = fetch(folder)
    assert [entry.path for entry in checkout.entries] == [f"{results}/scores_a.json"]
    no_file = "is not a regular file"
    assert dict(checkout.skipped) == {
        f"{results}/scores_device.json": "is a symbolic link that leads out of the folder",
        f"{results}/scores_pipe.json": no_file,
        f"{results}/scores_self.json": no_file,
        f"{results}/scores_socket.json": no_file,
        f"{results}/scores_to_pipe.json": no_file,
        "t/up": "is a symbolic link to a folder; it is not entered",
    }


def test_a_file_that_becomes_a_pipe(tmp_path: Path) -> None:
    """A pipe that took the place of a listed file gives nothing; it is not waited for."""
    folder = write(tmp_path / "folder", {"t/results/scores_a.json": b"{}"})
    checkout = fetch(folder)
    special(folder / "t/results/scores_a.json", "pipe")
    assert [content for _, content in checkout.read()] == [b""]


@pytest.mark.parametrize("form", ["folder", "clone"])
def test_pointers_of_git_lfs(tmp_path: Path, form: str) -> None:
    """A pointer in place of a score file is skipped as what it is; where nothing else is left the error says so."""
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"
    files = {"t/results/scores_a.json": pointer, "t/results/scores_b.json": pointer.replace(b"version", b"Version")}
    folder = write(tmp_path / "x", files) if form == "folder" else make_clone(tmp_path / "x", files)
    checkout = fetch(folder, cache_dir=tmp_path / "cache")
    assert [entry.path for entry in checkout.entries] == ["t/results/scores_b.json"]
    only = write(tmp_path / "y", {"t/results/scores_a.json": pointer})
    with pytest.raises(
        SourceError, match=r"first 't/results/scores_a\.json': is a Git LFS pointer, .*clone with git lfs"
    ):
        fetch(only)
