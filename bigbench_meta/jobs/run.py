"""The main job: a source in, a folder with tables, figures, report and provenance out. Only wiring, no statistics."""

from __future__ import annotations

import platform
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bigbench_meta import __version__
from bigbench_meta.atomic import folder_beside, remove_abandoned_folders
from bigbench_meta.errors import LoadError, OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import pandas as pd

    from bigbench_meta.analysis import Analysis
    from bigbench_meta.fetcher.checkout import Checkout
    from bigbench_meta.loader import Results
    from bigbench_meta.progress import Progress

SIMULATED = "simulated"
LADDER = "ladder"
# Every family, size and shot count of a few tasks: hundreds of curves, seconds of work.
_SIMULATED_TASKS = 6
# Libraries whose version can change a number or a byte of the output.
_LIBRARIES = ("numpy", "pandas", "scipy", "statsmodels", "pyarrow", "msgspec", "matplotlib", "seaborn")


@dataclass(frozen=True)
class Run:
    """What a run made.

    Attributes
    ----------
    out
        The folder written.
    source, kind
        What was analysed, and whether its numbers are ``real``, a ``user``'s own table, or ``simulated``.
    tested
        Curves that were tested.
    summary
        The answer in a few lines, each with its label, as at the head of the report.
    findings
        Everything found, in sentences, as in the report.
    counts
        Rows and curves at every step.
    seconds
        Wall time of each stage, in order.
    """

    out: Path
    source: str
    kind: str
    tested: int
    summary: tuple[tuple[str, str], ...]
    findings: tuple[str, ...]
    counts: dict[str, int]
    seconds: dict[str, float]


@dataclass
class _Clock:
    """Wall time of the stages, and their names shown as they begin."""

    progress: Progress | None
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        if self.progress is not None:
            self.progress(0, 0, name)
        yield
        self.seconds[name] = time.perf_counter() - start
        if self.progress is not None:
            self.progress(1, 1, name)


def run(
    source: str = LADDER,
    *,
    out: Path,
    seed: int = 0,
    draws: int = 999,
    items: Path | None = None,
    lengths: Path | None = None,
    metrics_file: Path | None = None,
    human: Path | None = None,
    models: Path | None = None,
    axis: str = "params",
    format: str | None = None,  # noqa: A002 - the word that users know for it
    path: str | None = None,
    force: bool = False,
    strict: bool = False,
    ref: str | None = None,
    cache_dir: Path | None = None,
    offline: bool = False,
    progress: Progress | None = None,
) -> Run:
    """Analyse a source and write everything that was found into ``out``, whole or not at all.

    Parameters
    ----------
    source : str
        ``ladder`` (the packaged model ladder, real), ``simulated`` (a small simulated repository), or anything that
        `bigbench_meta.fetch` takes, the result files of evaluation harnesses among it, or a table of scores (see
        `bigbench_meta.load_results`).
    out : Path
        Folder to write. It may not exist or be empty; an earlier output is replaced only with ``force``.
    seed : int
        Seed of every random choice: the same source, seed and versions give the same bytes.
    draws : int
        Most draws of the null per test.
    items : Path, optional
        CSV file ``task, n_items`` and, where needed, ``subtask, family``: the items behind each point.
    lengths : Path, optional
        CSV file ``task, target_length`` and, where needed, ``subtask``: tokens of the targets.
    metrics_file : Path, optional
        CSV file of your own rows of the metric registry, as for `bigbench_meta.metrics`.
    human : Path, optional
        Scores of human raters for reference lines: BIG-bench's ``task_human_eval.pkl`` (nothing in it is run) or a CSV
        file ``task`` and a column for each kind of rater.
    models : Path, optional
        CSV file of models that the packaged table does not know, as for `bigbench_meta.models`.
    axis : str
        What orders the models of a curve, as for `bigbench_meta.analyze`.
    format, path
        Which files of a source to read, as for `bigbench_meta.load_results`.
    strict : bool
        Fail at the first problem of the source instead of recording it.
    ref, cache_dir, offline
        As in `bigbench_meta.fetch`.
    progress
        Called as ``progress(done, total, what)``.

    Returns
    -------
    Run

    Raises
    ------
    BigbenchMetaError
        The source, its files, ``items``, ``lengths`` or ``out`` cannot be used, or ``out`` holds one of the others; nothing
        is written then.
    """
    import numpy as np

    from bigbench_meta.analysis import analyze
    from bigbench_meta.analysis.coverage import coverage
    from bigbench_meta.analysis.findings import findings
    from bigbench_meta.analysis.references import human_scores, references
    from bigbench_meta.analysis.unmatched import not_used
    from bigbench_meta.axes import on_axis
    from bigbench_meta.export import as_read_back, check_run_folder, keep_apart, write_run_folder
    from bigbench_meta.facts.metrics import metrics
    from bigbench_meta.jobs.given import read_given
    from bigbench_meta.report import page_files, page_of_run

    check_run_folder(out, force=force)
    keep_apart(written=[out], read=[source, items, lengths, metrics_file, human, models])
    registry = metrics(metrics_file)
    raters = None if human is None else human_scores(human)
    items_given, lengths_given = read_given(items=items, lengths=lengths)
    clock = _Clock(progress)
    rng = np.random.default_rng(seed)
    with clock.stage("load"):
        results, kind, known_items, definitions, known_lengths = _load(
            source, _Asked(strict, ref, cache_dir, offline, models, format, path), rng=rng, progress=progress
        )
        placed = on_axis(results.frame, axis)
        results = replace(results, frame=placed.frame, notes=(*results.notes, *placed.notes))
        items_table = known_items if items_given is None else items_given
        lengths_table = known_lengths if lengths_given is None else lengths_given
    with clock.stage("analyse"):
        analysis = analyze(
            results,
            rng=rng,
            draws=draws,
            items=items_table,
            definitions=definitions,
            lengths=lengths_table,
            registry=registry,
            axis=axis,
            progress=progress,
        )
    with clock.stage("report"):
        sentences = tuple(findings(analysis))
        of_analysis = {each.name: getattr(analysis, each.name) for each in fields(analysis) if each.name != "settings"}
        lines = references(results.frame, human=raters)
        results = replace(results, notes=(*results.notes, *not_used(results.frame, human=raters)))
        tables = {"results": results.frame, "problems": results.problems, "references": lines, **of_analysis}
        counts = _counts(results, analysis, left_out=sum(placed.left_out.values()))
        provenance = _provenance(
            results, analysis, kind=kind, counts=counts,
            arguments={"source": results.source, "ref": ref, "seed": seed, "draws": draws, "strict": strict,
                       "axis": axis, "format": format, "path": path,
                       **{name: None if file is None else file.name
                          for name, file in (("items", items), ("lengths", lengths), ("metrics_file", metrics_file), ("human", human), ("models", models))}},
        ) | {"findings": list(sentences)}  # fmt: skip
        # The page is made of the tables as they will be read from the folder, so that `report` makes the same again.
        page = page_of_run(as_read_back(tables), provenance)
        files = page_files(page, progress=progress)
    with clock.stage("write"):
        written = write_run_folder(out, tables=tables, files=files, provenance=provenance, force=force)
    return Run(
        written, results.source, kind, coverage(analysis.curves).tested, page.lead, sentences, counts, clock.seconds
    )


class _Asked(NamedTuple):
    """How a source is to be loaded: the arguments of `run` of these names."""

    strict: bool
    ref: str | None
    cache_dir: Path | None
    offline: bool
    models: Path | None
    format: str | None
    path: str | None


def _load(
    source: str, asked: _Asked, *, rng: np.random.Generator, progress: Progress | None
) -> tuple[Results, str, pd.DataFrame | None, pd.DataFrame | None, pd.DataFrame | None]:
    """Load a source: results, kind, items behind its points, its task definitions, target lengths; None where unknown."""
    from bigbench_meta.experiments.ladder.packaged import packaged_items, packaged_ladder, packaged_lengths
    from bigbench_meta.fetcher import fetch
    from bigbench_meta.loader import is_table, load_results
    from bigbench_meta.loader.bigbench.definitions import task_definitions
    from bigbench_meta.report.section_experiments import PACKAGED_SOURCE
    from bigbench_meta.simulation.plan import TASK_PREFIX
    from bigbench_meta.simulation.repository import simulate

    strict, ref, cache_dir, offline, *_ = asked
    if ref is not None and (source in (LADDER, SIMULATED) or is_table(source)):
        raise LoadError(
            f"{source}: is a table or comes with the package, which has no versions; leave ref={ref!r} away"
        )
    if source == LADDER:
        results = load_results(fetch(str(packaged_ladder())), strict=strict, cache_dir=cache_dir)
        return replace(results, source=PACKAGED_SOURCE), "real", packaged_items(), None, packaged_lengths()
    if source == SIMULATED:
        place = Path(tempfile.gettempdir()).resolve() / "bigbench-meta-simulated"
        try:
            remove_abandoned_folders(place)
            with folder_beside(place) as folder:
                made = simulate(folder / "repository", rng=rng, tasks=_SIMULATED_TASKS)
                results = load_results(fetch(str(made.path)), strict=strict, use_cache=False)
        except (OSError, OutputError) as err:
            raise LoadError(
                f"{place.parent}: no repository can be simulated there ({err}); expected a folder with room for a few megabytes: "
                "name one in the environment variable TMPDIR"
            ) from err
        known = made.truth[["task", "subtask", "family", "n_items"]].drop_duplicates(["task", "subtask", "family"])
        return replace(results, source="a simulated repository"), "simulated", known, None, None
    if is_table(source):
        results = load_results(source, strict=strict, path=asked.path)
        simulated = results.frame["task"].astype(str).str.startswith(TASK_PREFIX).any()
        return results, "simulated" if simulated else "user", None, None, None
    checkout = fetch(source, ref=ref, cache_dir=cache_dir, offline=offline, path=asked.path, progress=progress)
    results = load_results(checkout, strict=strict, cache_dir=cache_dir, models=asked.models, format=asked.format)
    if results.formats:
        return results, "user", None, None, None
    return results, "simulated" if _is_simulated(checkout) else "real", None, task_definitions(checkout), None


def _is_simulated(checkout: Checkout) -> bool:
    """Whether the first score file says that it was simulated; every simulated file does."""
    from bigbench_meta.loader.bigbench.document import MAX_FILE_BYTES
    from bigbench_meta.simulation.repository import NOTICE

    first = [entry for entry in checkout.entries if entry.is_result and entry.size <= MAX_FILE_BYTES][:1]
    return any(NOTICE.encode() in content for _, content in checkout.read(first))


def _counts(results: Results, analysis: Analysis, *, left_out: int = 0) -> dict[str, int]:
    """Rows and curves at every step, from numbers on disk to curves with a verdict; they add up at each."""
    from bigbench_meta.analysis.conservation import account

    return {
        **{
            f"numbers_{name}" if name != "files" else "score_files": value
            for name, value in results.counts._asdict().items()
        },
        "numbers_not_on_the_axis": left_out,
        "problems": len(results.problems),
        "tasks": int(results.frame["task"].nunique()),
        "families": int(results.frame["family"].nunique()),
        "models": int(results.frame[["family", "model"]].drop_duplicates().shape[0]),
        **account(results.frame, curves=analysis.curves, points=analysis.points),
    }


def _provenance(
    results: Results, analysis: Analysis, *, kind: str, counts: dict[str, int], arguments: dict[str, object]
) -> dict[str, object]:
    """Everything that is needed to make the same folder again. It holds no time, or no two runs would be equal."""
    undefined = analysis.curves["undefined_reason"].astype(str).value_counts().sort_index()
    left_out = [
        f"{count} {'curve has' if count == 1 else 'curves have'} no emergence score: {str(reason).replace('_', ' ')}."
        for reason, count in undefined.items()
        if reason != ""
    ]
    return {
        "source": results.source,
        "commit": results.commit,
        "kind": kind,
        "formats": dict(results.formats),
        "arguments": arguments,
        "counts": counts,
        "left_out": left_out,
        "notes": list(dict.fromkeys([*results.notes, *analysis.settings["axis_notes"]])),
        "settings": analysis.settings,
        "versions": {"bigbench_meta": __version__, "python": platform.python_version()}
        | {name: version(name) for name in _LIBRARIES},
        "platform": f"{sys.platform} {platform.machine()}",
    }
