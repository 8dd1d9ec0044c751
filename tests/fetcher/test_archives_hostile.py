"""Archives made to loop, to fill the memory or to be read in two ways: one clear error, or the harmless part of them."""

from __future__ import annotations

import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from typing import TYPE_CHECKING

import pytest
from fetcher.test_archives import pack
from git_server import RESULT

from bigbench_meta.errors import FetchError, SourceError
from bigbench_meta.fetcher import archives, fetch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RESULTS = "bigbench/benchmark_tasks/tense/results"
DAMAGED = r"x\.[a-z.]+: the archive is damaged or of a kind that cannot be read \(.+\); expected a whole zip or tar: get it again"


def header(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0) -> bytes:
    """A tar header as no packer writes it: any kind, sizes below zero too."""
    info = tarfile.TarInfo(name)
    info.type = kind
    raw = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    raw[124:136] = b"\xff" * 4 + size.to_bytes(8, "big", signed=True) if size < 0 else b"%011o\0" % size
    return summed(raw)


def summed(raw: bytearray) -> bytes:
    """The header with its sum made right."""
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw[:512])
    return bytes(raw)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("last", ["d/", "q", f"{RESULTS}/scores_b.json"])
def test_tar_that_leads_back(tmp_path: Path, last: str) -> None:
    """A negative size makes the standard library read the same members for ever; here it is damage."""
    path = tmp_path / "x.tar"
    path.write_bytes(header(f"{RESULTS}/scores_a.json") + header("b") + header(last, size=-1024) + bytes(2048))
    with pytest.raises(FetchError, match=DAMAGED):
        fetch(path, cache_dir=tmp_path / "cache")


@pytest.mark.parametrize("kind", [b"L", b"K", b"x"])
def test_tar_of_long_name_headers_without_end(tmp_path: Path, kind: bytes) -> None:
    """Each such header makes the library call itself; a row of them is damage, not a traceback."""
    path = tmp_path / "x.tar"
    content = b"12 path=abc\n" if kind == b"x" else b"abc\0"
    block = header("././@LongLink", kind, len(content)) + content.ljust(512, b"\0")
    path.write_bytes(block * 5000 + header("a") + bytes(1024))
    with pytest.raises(FetchError, match=DAMAGED):
        fetch(path, cache_dir=tmp_path / "cache")


def test_folders_count_as_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tar of nothing but folders is limited like one of files."""
    monkeypatch.setattr(archives, "MAX_MEMBERS", 10)
    path = tmp_path / "x.tar"
    path.write_bytes(b"".join(header(f"d{number}/", tarfile.DIRTYPE) for number in range(20)) + bytes(1024))
    with pytest.raises(FetchError, match=r"x\.tar: refused, it has more than 10 members; unpack it yourself"):
        fetch(path, cache_dir=tmp_path / "cache")


@pytest.mark.parametrize("keyword", ["size", "GNU.sparse.realsize", "GNU.sparse.size", "GNU.sparse.map"])
@pytest.mark.parametrize("value", ["-1", "9" * 30, "nan", "1e3", ""])
def test_forged_extended_headers(tmp_path: Path, keyword: str, value: str) -> None:
    """Sizes of extended headers that are no sizes, and sparse files: damage or skipped, never read as content."""
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo(f"{RESULTS}/scores_a.json")
        info.size = 2
        info.pax_headers = {keyword: value}
        if keyword != "size":
            info.pax_headers |= {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "../../etc/x"}
        tar.addfile(info, io.BytesIO(b"{}"))
    with pytest.raises(FetchError, match=f"{DAMAGED}|refused, because it holds a file named"):
        fetch(path, cache_dir=tmp_path / "cache")


def test_sparse_files_and_devices_in_a_tar(tmp_path: Path) -> None:
    """A sparse file (8 GiB of nothing in one block), devices and volume names are skipped by name; the rest is read."""
    sparse = bytearray(header(f"{RESULTS}/scores_sparse.json", tarfile.GNUTYPE_SPARSE, 512))
    sparse[386:398], sparse[398:410], sparse[483:495] = b"00000000000\0", b"00000001000\0", b"77777777777\0"
    path = tmp_path / "x.tar"
    path.write_bytes(
        header(f"{RESULTS}/scores_a.json", size=2) + b"{}".ljust(512, b"\0")
        + summed(sparse) + bytes(512)
        + header(f"{RESULTS}/scores_char.json", tarfile.CHRTYPE)
        + header(f"{RESULTS}/scores_block.json", tarfile.BLKTYPE)
        + header(f"{RESULTS}/scores_volume.json", b"V")
        + bytes(1024)
    )  # fmt: skip
    checkout = fetch(path, cache_dir=tmp_path / "cache")
    assert {entry.path: content for entry, content in checkout.read()} == {f"{RESULTS}/scores_a.json": b"{}"}
    assert {skipped.path.rpartition("_")[2]: skipped.reason for skipped in checkout.skipped} == dict.fromkeys(
        ["sparse.json", "char.json", "block.json", "volume.json"], "is not a regular file"
    )


def test_decompressor_that_asks_for_more_memory_than_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dictionary of 4 GiB in the header of an xz file is damage where that much memory cannot be had."""
    resource = pytest.importorskip("resource")
    packed = bytearray(lzma.compress(bytes(2048)))
    packed[packed.index(b"\x21\x01", 12) + 2] = 40  # the largest dictionary
    end = 12 + (packed[12] + 1) * 4
    packed[end - 4 : end] = struct.pack("<I", zlib.crc32(bytes(packed[12 : end - 4])))
    path = tmp_path / "x.tar.xz"
    path.write_bytes(packed)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, hard))
    try:
        with pytest.raises(FetchError, match=DAMAGED):
            fetch(path, cache_dir=tmp_path / "cache")
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def test_archives_in_an_archive_stay_closed(tmp_path: Path) -> None:
    """An archive inside is a file like any other: its members are not read."""
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as made:
        made.writestr(f"{RESULTS}/scores_inner.json", "{}")
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr(f"{RESULTS}/scores_a.json", "{}")
        made.writestr("bigbench/inner.zip", inner.getvalue())
    assert [entry.path for entry in fetch(path, cache_dir=tmp_path / "cache").entries] == [f"{RESULTS}/scores_a.json"]


def stored_zip(path: Path, content: bytes = b"{}") -> bytearray:
    """The bytes of a zip of one score file, not compressed."""
    with zipfile.ZipFile(path, "w") as made:
        made.writestr(f"{RESULTS}/scores_a.json", content)
    return bytearray(path.read_bytes())


@pytest.mark.parametrize(("size", "message"), [(1 << 50, "refused, its"), (1, DAMAGED), (2**64 - 1, "refused, its")])
def test_zip64_that_lies(tmp_path: Path, size: int, message: str) -> None:
    """Sizes of 64 bits that are not those of the content are refused before, or found when it is read."""
    path = tmp_path / "x.zip"
    data = stored_zip(path)
    at = data.index(b"PK\x01\x02")
    name = struct.unpack("<H", data[at + 28 : at + 30])[0]
    extra = struct.pack("<HHQQ", 1, 16, size, 2)
    data[at + 20 : at + 28] = b"\xff" * 8  # "see the 64-bit field"
    data[at + 30 : at + 32] = struct.pack("<H", len(extra))
    data[at + 46 + name : at + 46 + name] = extra
    end = data.index(b"PK\x05\x06")
    data[end + 12 : end + 16] = struct.pack("<I", struct.unpack("<I", data[end + 12 : end + 16])[0] + len(extra))
    path.write_bytes(data)
    with pytest.raises(FetchError, match=message):
        fetch(path, cache_dir=tmp_path / "cache")


def zip_of(path: Path, *names: str) -> bytes:
    """The bytes of a zip of score files of these names."""
    return pack(path, {f"{RESULTS}/scores_{name}.json": b"{}" for name in names}).read_bytes()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda one, two: one + two, "members stand before the first that its directory lists"),
        (lambda one, two: two + one[:40], "something follows its end at byte"),
        (lambda one, two: one + b"x", "something follows its end at byte"),
        # The record at the end, 22 bytes: entries at 8 and 10, size of the directory at 12.
        (lambda one, two: two[:-12] + b"\1\0" + two[-10:], "its end tells of 1 members where its directory lists 2"),
        (lambda one, two: one[:-10] + bytes(4) + one[-6:], "its end tells of 1 members where its directory lists 0"),
        (
            lambda one, two: two[: two.index(b"PK\5\6") - len(entry_of(two))] + shortened(two),
            "its end tells of 2 members where its directory lists 1",
        ),
    ],
)
def test_zip_of_which_a_part_would_not_be_read(
    tmp_path: Path, change: Callable[[bytes, bytes], bytes], said: str
) -> None:
    """Two zips in one file, something behind the end, a directory that lists fewer members than are told: not read in part."""
    one, two = zip_of(tmp_path / "one.zip", "a"), zip_of(tmp_path / "two.zip", "b", "c")
    path = tmp_path / "x.zip"
    path.write_bytes(change(one, two))
    with pytest.raises(
        FetchError, match=f"x.zip: refused, {said}.*expected one whole archive alone: unpack it yourself"
    ):
        fetch(path, cache_dir=tmp_path / "cache")


def entry_of(data: bytes) -> bytes:
    """The last entry of the directory of a zip."""
    return data[data.rindex(b"PK\1\2") : data.index(b"PK\5\6")]


def shortened(data: bytes) -> bytes:
    """The end of a zip whose directory lacks its last entry, with the size that it then has."""
    end = data[data.index(b"PK\5\6") :]
    (size,) = struct.unpack_from("<I", end, 12)
    return end[:12] + struct.pack("<I", size - len(entry_of(data))) + end[16:]


@pytest.mark.parametrize("front", [b"#!/bin/sh\n" * 50, b""])
@pytest.mark.parametrize("behind", [b"\0" * 100, b""])
def test_zip_with_a_program_before_it_and_padding_behind(tmp_path: Path, front: bytes, behind: bytes) -> None:
    """A zip that unpacks itself, or is filled up with zeros, is read whole."""
    path = tmp_path / "x.zip"
    path.write_bytes(front + zip_of(path, "a", "b") + behind)
    assert len(fetch(path, cache_dir=tmp_path / "cache").entries) == 2


def test_zip_whose_directory_would_begin_before_the_file(tmp_path: Path) -> None:
    """An offset that leads before the file is damage of the zip, not of the cache."""
    path = tmp_path / "x.zip"
    data = zip_of(path, "a")
    path.write_bytes(data[:-6] + b"\xff" * 4 + data[-2:])
    with pytest.raises(FetchError, match=r"x\.zip: the archive is damaged"):
        fetch(path, cache_dir=tmp_path / "cache")


@pytest.mark.parametrize("large", [False, True])
def test_zip_with_a_directory_of_millions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, large: bool) -> None:
    """Entries are counted before an object is made of each, whatever number the end of the zip tells."""
    monkeypatch.setattr(archives, "MAX_MEMBERS", 100_000)
    monkeypatch.setattr(zipfile, "ZipFile", lambda _: pytest.fail("the directory was read"))
    entry = bytearray(46)
    entry[:4], entry[28:30] = b"PK\1\2", struct.pack("<H", 7)
    directory = b"".join(bytes(entry) + b"%07d" % number for number in range(100_001))
    size, told = len(directory), 1
    record = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, told, told, size, 0)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, size, 1)
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, told, told, 1 if large else size, 0, 0)
    path = tmp_path / "x.zip"
    path.write_bytes(directory + (record + locator if large else b"") + end)
    with pytest.raises(FetchError, match=r"x\.zip: refused, it has more than 100000 members; unpack it yourself"):
        fetch(path, cache_dir=tmp_path / "cache")


def test_zip_with_two_names_for_one_member(tmp_path: Path) -> None:
    """Where the directory of a zip and the member's own header disagree, neither is believed."""
    path = tmp_path / "x.zip"
    data = stored_zip(path)
    at = data.index(b"scores_a")
    data[at : at + 8] = b"scores_b"
    path.write_bytes(data)
    with pytest.raises(FetchError, match=DAMAGED):
        fetch(path, cache_dir=tmp_path / "cache")


def of_method(path: Path, method: int) -> Path:
    """A zip that says of its stored member that it is compressed in another way."""
    data = stored_zip(path)
    at = data.index(b"PK\x01\x02")
    data[8:10] = data[at + 10 : at + 12] = struct.pack("<H", method)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("method", [12, 14])
def test_zip_whose_content_is_not_of_its_method(tmp_path: Path, method: int) -> None:
    """What does not decompress is damage."""
    with pytest.raises(FetchError, match=DAMAGED):
        fetch(of_method(tmp_path / "x.zip", method), cache_dir=tmp_path / "cache")


@pytest.mark.parametrize("method", [9, 93, 95, 97, 98, 99])
def test_zip_of_other_methods(tmp_path: Path, method: int) -> None:
    """A member compressed in a way that is not read is skipped by name, with the method and what to do."""
    with pytest.raises(
        SourceError, match=rf"scores_a.json': is compressed by zip method {method}, .* unpack the archive"
    ):
        fetch(of_method(tmp_path / "x.zip", method), cache_dir=tmp_path / "cache")


def member(name: str, content: bytes = b"{}") -> bytes:
    """One member of a tar."""
    return header(name, size=len(content)) + content.ljust(512, b"\0")


@pytest.mark.parametrize("form", ["zip", "tar"])
def test_a_file_that_is_a_folder_too(tmp_path: Path, form: str) -> None:
    """Of a score file, and one below a folder of the same name, none is lost in silence: both are named."""
    path = tmp_path / f"x.{form}"
    names = [f"{RESULTS}/scores_a.json", f"{RESULTS}/scores_a.json/results/scores_b.json"]
    if form == "tar":
        path.write_bytes(b"".join(map(member, names)) + bytes(1024))
    else:
        with zipfile.ZipFile(path, "w") as made:
            for name in names:
                made.writestr(name, "{}")
    with pytest.raises(
        FetchError, match=r"'.*scores_a\.json' both as a file and as a folder of '.*scores_b\.json'.*pack it"
    ):
        fetch(path, cache_dir=tmp_path / "cache")


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
@pytest.mark.parametrize("tail", ["tar", "zip", "text"])
def test_something_behind_the_end_of_a_tar(tmp_path: Path, tail: str, compress: Callable[[bytes], bytes]) -> None:
    """A second archive behind the first is not passed over in silence; zeros there are padding."""
    first = member(f"{RESULTS}/scores_a.json") + bytes(1024)
    behind = {"tar": first, "zip": bytes(stored_zip(tmp_path / "in.zip")), "text": b"x"}[tail]
    path = tmp_path / "x.tar"
    path.write_bytes(compress(first + bytes(9000)))
    assert len(fetch(path, cache_dir=tmp_path / "cache").entries) == 1
    path.write_bytes(compress(first) + (compress(behind) if compress is gzip.compress else behind))
    with pytest.raises(FetchError, match=r"its tar ends at byte 1\d+ and something follows .*give the folder"):
        fetch(path, cache_dir=tmp_path / "cache")


def test_a_git_repository_in_an_archive(tmp_path: Path, repository: Path) -> None:
    """A packed bare repository is not opened, and the error says so; beside a work tree it is passed over."""
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as tar:
        tar.add(repository / ".git", arcname="results.git")
    with pytest.raises(SourceError, match=r"first 'results\.git/': is a git repository, .*unpack it yourself"):
        fetch(path, cache_dir=tmp_path / "cache")
    with tarfile.open(path, "w") as tar:
        tar.add(repository, arcname="clone")
    checkout = fetch(path, cache_dir=tmp_path / "cache")
    assert ([entry.path for entry in checkout.entries], checkout.skipped) == ([f"clone/{RESULT}"], ())


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"7z\xbc\xaf\x27\x1c", "7z"),
        (b"Rar!\x1a\x07\x01", "RAR"),
        (b"\x1f\x9d\x90", "compress"),
        (b"PAR1", "Parquet"),
        (b"scores: ", "none of what is read here"),
    ],
)
def test_archives_of_other_kinds(tmp_path: Path, start: bytes, kind: str) -> None:
    """A kind that is not read is named, whatever the file is called, with what to do."""
    (tmp_path / "x.zip").write_bytes(start + b"x" * 100)
    with pytest.raises(SourceError, match=f"x.zip: is .*{kind}.*; expected a folder, .*unpack it yourself"):
        fetch(tmp_path / "x.zip")


def test_zip_whose_members_share_their_bytes(tmp_path: Path) -> None:
    """A bomb of overlapping members is counted by what it unpacks to: ten times 30 MB in 30 kB."""
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr(f"{RESULTS}/scores_a.json", bytes(30_000_000))
    data = path.read_bytes()
    at, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    directory = b"".join(data[at:end].replace(b"scores_a", b"scores_%d" % number) for number in range(10))
    tail = bytearray(data[end:])
    tail[8:16] = struct.pack("<HHI", 10, 10, len(directory))
    path.write_bytes(data[:at] + directory + bytes(tail))
    with pytest.raises(FetchError, match=r"refused, its \d+ bytes unpack to 300000000 or more"):
        fetch(path, cache_dir=tmp_path / "cache")
