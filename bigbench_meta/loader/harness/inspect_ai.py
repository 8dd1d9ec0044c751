"""inspect_ai: a log an evaluation, as JSON or as a zip named ``.eval`` whose ``header.json`` holds the same without samples."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING

from bigbench_meta.loader.bigbench.document import UnusableError
from bigbench_meta.loader.harness.declared import (
    COUNT,
    ERROR,
    NUMBER,
    TEXT,
    Aside,
    Column,
    Document,
    Format,
    Leaf,
    Place,
    Remark,
)  # fmt: skip
from bigbench_meta.loader.harness.json_file import MAX_PART_BYTES

if TYPE_CHECKING:
    from bigbench_meta.loader.harness.json_file import Top

_HEADER, _START = "header.json", "_journal/start.json"
_ZSTD = 93  # the number of that method in zip files
_MAX_MEMBERS = 2_000_000
# Metrics that tell how far others scatter: an error is the standard error of its siblings, the others are of the samples.
_ERRORS = ("stderr", "bootstrap_stderr")
_SPREADS = frozenset({*_ERRORS, "std", "var"})


def header(data: bytes) -> bytes:
    """Return the header of a zipped log.

    Raises
    ------
    UnusableError
        If the zip is damaged or is no log, or the run that wrote it did not finish.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if len(members) > _MAX_MEMBERS:
                raise UnusableError("$", f"{len(members)} members", f"at most {_MAX_MEMBERS} members of a log")
            found = [member for member in members if member.filename == _HEADER]
            if len(found) != 1:
                run = "the run did not finish" if any(m.filename == _START for m in members) else "no log of inspect_ai"
                problem = f"the zip holds {len(found)} members {_HEADER}: {run}"
                raise UnusableError("$", problem, f"a log with one {_HEADER}; run the evaluation to its end")
            member = found[0]
            if member.file_size > MAX_PART_BYTES:
                raise UnusableError(
                    f"$.{_HEADER}", f"{member.file_size} bytes", f"at most {MAX_PART_BYTES} bytes of a header"
                )
            if member.compress_type != _ZSTD:
                with archive.open(member) as stream:
                    return stream.read(MAX_PART_BYTES + 1)
        return _unpacked(data, member)
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        RuntimeError,
        EOFError,
        zlib.error,
        struct.error,
        ValueError,
        OSError,
    ) as err:
        raise UnusableError(
            "$", f"a damaged zip ({str(err)[:100] or type(err).__name__})", "a whole log; copy it again"
        ) from err


def _unpacked(data: bytes, member: zipfile.ZipInfo) -> bytes:
    """Unpack a member that zstd compressed, which the standard library does not know before Python 3.14."""
    import pyarrow as pa

    start = member.header_offset
    signature, name_length, extra_length = struct.unpack_from("<4s22xHH", data, start)
    if signature != b"PK\x03\x04":
        raise zipfile.BadZipFile("no member where the directory says")
    begin = start + 30 + name_length + extra_length
    packed = data[begin : begin + member.compress_size]
    try:
        content: bytes = pa.decompress(packed, decompressed_size=member.file_size, codec="zstd", asbytes=True)
    except pa.ArrowException as err:
        raise zipfile.BadZipFile(" ".join(str(err).split())) from err
    if zlib.crc32(content) != member.CRC:
        raise zipfile.BadZipFile("the checksum of the header differs")
    return content


def _is_score(keys: tuple[str, ...]) -> bool:
    return keys[-1] == "value" and keys[-2] not in _SPREADS


def _place(leaf: Leaf, document: Document, context: object) -> Place | Aside:
    del context
    results = document.parts.get("results")
    task = _inside(document.parts.get("eval"), "task")
    metric, index = leaf.keys[-2], leaf.way[1] if leaf.keys[0] == "scores" else ""
    scores = _inside(results, "scores")
    score = scores[int(index)] if isinstance(scores, list) and index else results
    scorer = (
        str(_inside(score, "name") or _inside(score, "scorer") or "")
        if index
        else str(_inside(score, "scorer", "name") or "")
    )
    reducer = _inside(score, "reducer")
    if reducer:
        scorer += f"/{reducer}"
    if not isinstance(task, str) or not task:
        return Aside("scores of a log that names no task", "eval.task")
    values: dict[str, object] = {}
    siblings = _inside(score, "metrics")
    error = next((found for name in _ERRORS if (found := _inside(siblings, name, "value")) is not None), None)
    read = ERROR.read(error)
    if read is not None:
        values["stderr"] = read
    name = str(_inside(leaf.entry, "name") or metric)
    return Place(task, task, f"{name},{scorer}" if scorer else name, scorer, names={"index": index}, values=values)


def _inside(value: object, *keys: str) -> object:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _remarks(document: Document) -> list[Remark]:
    status = document.parts.get("status")
    if status != "success":
        message = str(_inside(document.parts.get("error"), "message") or "")[:120]
        return [
            Remark("$.status", f"the run ended with status {status}{f' ({message})' if message else ''}", "status success",
                   "no row; run the evaluation again", refused=True)
        ]  # fmt: skip
    remarks = []
    if document.parts.get("invalidated") is True:
        remarks.append(Remark("$.invalidated", "the log was marked as invalid", "a valid log", "no row", refused=True))
    limit = _inside(document.parts.get("eval"), "config", "limit")
    if limit is not None:
        remarks.append(
            Remark("$.eval.config.limit", f"only a part of the samples was run (limit {limit})", "all samples of the task",
                   "rows with the samples that were run; run again without --limit")
        )  # fmt: skip
    return remarks


def _recognise(top: Top, data: bytes) -> bool:
    del data
    return {"status", "eval"} <= top.keys


INSPECT_AI = Format(
    name="inspect",
    title="inspect_ai",
    recognise=_recognise,
    scores=("results",),
    patterns=(("scores", "*", "metrics", "*", "value"), ("metrics", "*", "value")),
    parts=frozenset({"status", "eval", "error", "invalidated"}),
    place=_place,
    columns=(
        Column("model", ("eval", "model"), TEXT),
        Column("params", ("eval", "metadata", "params"), COUNT),
        Column("n_items", ("results", "scores", "{index}", "scored_samples"), COUNT),
        Column("n_items", ("eval", "dataset", "samples"), COUNT),
        Column("task_version", ("eval", "task_version"), TEXT),
        Column("seed", ("eval", "model_generate_config", "seed"), NUMBER),
        Column("date", ("eval", "created"), TEXT),
    ),
    is_score=_is_score,
    remarks=_remarks,
)
