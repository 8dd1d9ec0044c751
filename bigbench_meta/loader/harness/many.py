"""All files of a source: which tool wrote each, its rows and problems, and the balance of numbers."""

from __future__ import annotations

from collections import Counter
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from bigbench_meta.facts.models import ModelTable
from bigbench_meta.loader.bigbench.document import UnusableError, as_utf8
from bigbench_meta.loader.columns import Loaded, Problem
from bigbench_meta.loader.harness import helm, inspect_ai, opencompass
from bigbench_meta.loader.harness.declared import Document
from bigbench_meta.loader.harness.json_file import MAX_FILE_BYTES, decoded, part_path, top_level
from bigbench_meta.loader.harness.recognise import TITLES, ZIP, Recognised, recognise
from bigbench_meta.loader.harness.rows import Read, read_document, without_repetition
from bigbench_meta.loader.harness.table import as_results
from bigbench_meta.loader.harness.tally import tally
from bigbench_meta.loader.look_alikes import look_alikes

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from bigbench_meta.fetcher.checkout import Checkout, Entry
    from bigbench_meta.loader.harness.declared import Format
    from bigbench_meta.loader.harness.json_file import Top
    from bigbench_meta.loader.harness.rows import Row

_EXPECTED = "result files of " + ", ".join(TITLES.values())


def read_source(checkout: Checkout, models: pd.DataFrame, *, only: str | None = None) -> Loaded:
    """Read all result files of a source into RESULTS.

    Parameters
    ----------
    models
        The table of models, as `bigbench_meta.models` returns it.
    only
        Name of the one format to read; None reads all.
    """
    import pandas as pd

    found = read_files(checkout, sorted(checkout.entries, key=attrgetter("path")), only=only)
    skipped = [Problem(path, "$", f"not read: {reason}", _EXPECTED, "no row") for path, reason in checkout.skipped]
    if not found.rows:
        return Loaded(pd.DataFrame(), [*skipped, *found.problems], sum(found.files.values()), found.on_disk)
    tabled = as_results(found.rows, ModelTable(models))
    alike = look_alikes(tabled.frame, place="the {}".format)
    problems = sorted([*skipped, *found.problems, *tabled.problems, *alike], key=attrgetter("file"))
    notes = list(tabled.notes)
    if found.samples:
        notes.append(
            f"{found.samples} file{'s' * (found.samples > 1)} of samples beside the results: `bigbench-meta rescore` scores "
            "the same outputs under many metrics."
        )
    formats = tuple(sorted(found.files.items()))
    return Loaded(tabled.frame, problems, sum(found.files.values()), found.on_disk, tuple(notes), formats)


class Found(NamedTuple):
    """What the files of a source hold: rows, problems, numbers on disk, files by the tool that wrote them, files of samples."""

    rows: list[Row]
    problems: list[Problem]
    on_disk: int
    files: Counter[str]
    samples: int


class _Run(NamedTuple):
    """What is known of one HELM run: the decoded files by their role, and where the scores stand."""

    parts: dict[str, object]
    stats: list[tuple[str, bytes]]


def read_files(checkout: Checkout, entries: Sequence[Entry], *, only: str | None = None) -> Found:
    """Read the files of a source, in the given order.

    Parameters
    ----------
    only
        Name of the one format to read; None reads all.
    """
    found = Found([], [], 0, Counter(), 0)
    on_disk = samples = 0
    runs: dict[str, _Run] = {}
    readable = []
    for entry in entries:
        if entry.size > MAX_FILE_BYTES:
            problem = Problem(entry.path, "$", f"{entry.size} bytes", f"at most {MAX_FILE_BYTES} bytes in a file",
                              "the file is not read, and its numbers are not counted")  # fmt: skip
            found.problems.append(problem)
        else:
            readable.append(entry)
    for entry, content in checkout.read(readable):
        try:
            data = content if content.startswith(ZIP) else as_utf8(content)[0]
        except UnusableError as err:
            found.problems.append(Problem(entry.path, err.where, err.problem, err.expected, "not read"))
            continue
        kind = recognise(data, only=only)
        if kind.kind == "samples":
            samples += 1
            continue
        if kind.form is helm.HELM and kind.top is not None:
            _keep(runs, entry.path, data, kind.top, found.problems)
            continue
        read = _read_one(entry.path, data, kind)
        if read is None:
            found.problems.append(_unknown(entry.path, kind))
            continue
        found.files[kind.form.name if kind.form is not None else opencompass.NAME] += 1
        found.rows.extend(read.rows)
        found.problems.extend(read.problems)
        on_disk += read.on_disk
    for _, run in sorted(runs.items()):
        for path, data in run.stats:
            read = _read_json(path, data, helm.HELM, top_level(data), run.parts)
            found.files[helm.HELM.name] += 1
            found.rows.extend(read.rows)
            found.problems.extend(read.problems)
            on_disk += read.on_disk
    return found._replace(on_disk=on_disk, samples=samples)


def _unknown(path: str, kind: Recognised) -> Problem:
    if kind.kind == "bigbench":
        return Problem(path, "$", "a score file of BIG-bench that does not lie in a folder results/ of its task",
                       "results/scores_*.json", "not read; move it there and load it by itself")  # fmt: skip
    return Problem(path, "$", "no file of results that is known here", _EXPECTED, "not read")


def _read_one(path: str, data: bytes, kind: Recognised) -> Read | None:
    """Read one file; None where its format is not known."""
    try:
        if kind.kind == "zip" and kind.form is not None:
            content = inspect_ai.header(data)
            return _read_json(path, content, kind.form, top_level(content), {})
        if kind.kind == "summary":
            return opencompass.read_summary(data, path)
    except UnusableError as err:
        return Read([], [Problem(path, err.where, err.problem, err.expected, "no row of this file")], 0)
    if kind.form is None or kind.top is None:
        return None
    return _read_json(path, data, kind.form, kind.top, {})


def _read_json(path: str, data: bytes, form: Format, top: Top, beside: dict[str, object]) -> Read:
    """Read a JSON file of a known format; ``beside`` are decoded parts of other files."""
    if top.kind == "list":
        name, spans = form.scores[0], [(0, len(data))]
        wanted: dict[str, tuple[int, int]] = {}
    else:
        name = next((each for each in form.scores if each in top.keys), form.scores[0])
        spans = [(part.start, part.stop) for part in top.parts if part.key == name]
        wanted = {part.key: (part.start, part.stop) for part in top.parts if part.key in form.parts}
    counts = [tally(data, start, form.patterns, is_score=form.is_score) for start, _ in spans]
    on_disk = sum(counts)
    try:
        _check_whole(top)
        parts = {key: decoded(data, *span, where=part_path(key)) for key, span in wanted.items()}
        scores = decoded(data, *spans[-1], where=part_path(name)) if spans else None
    except UnusableError as err:
        problem = Problem(
            path, err.where, err.problem, err.expected, "no row of this file; write or copy it again", on_disk
        )
        return Read([], [problem], on_disk)
    again = "the key stands more than once"
    problems = [
        Problem(path, part_path(name), again, "each key once", "the last value counts", numbers)
        for numbers in counts[:-1]
    ]
    document = Document(path, {**beside, **parts, name: scores})
    rows, more = read_document(document, form, part=name)
    return Read(rows, without_repetition([*problems, *more]), on_disk)


def _check_whole(top: Top) -> None:
    if not top.complete:
        raise UnusableError("$", "the file ends before its brackets close, or is not JSON", "a whole JSON file")


def _keep(runs: dict[str, _Run], path: str, data: bytes, top: Top, problems: list[Problem]) -> None:
    """Keep a file of a HELM run until all its files are known."""
    role = helm.role(top, data)
    run = runs.setdefault(path.rpartition("/")[0], _Run({}, []))
    if role == helm.STATS:
        run.stats.append((path, data))
    elif role:
        try:
            _check_whole(top)
            run.parts[role] = decoded(data, 0, len(data), where="$")
        except UnusableError as err:
            problems.append(Problem(path, err.where, err.problem, err.expected, "not used; write or copy it again"))
