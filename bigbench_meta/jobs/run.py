"""The main job: a source in, a folder with tables, figures, report and provenance out. Only wiring, no statistics."""

from __future__ import annotations

import platform
import shlex
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from bigbench_meta import __version__
from bigbench_meta.cards import Card, WithCard
from bigbench_meta.jobs.sources import LADDER, Selection, load_source
from bigbench_meta.progress import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from bigbench_meta.analysis import Analysis
    from bigbench_meta.jobs.sources import Given
    from bigbench_meta.loader import Results
    from bigbench_meta.progress import Progress

# Libraries whose version can change a number or a byte of the output.
_LIBRARIES = ("numpy", "pandas", "scipy", "statsmodels", "pyarrow", "msgspec", "matplotlib", "seaborn")


@dataclass(frozen=True, repr=False)
class Run(WithCard):
    """What a run made.

    Attributes
    ----------
    out
        The folder written.
    source, kind
        What was analysed, and whether its numbers are ``real``, a ``user``'s own results, or ``simulated``.
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

    def _card(self) -> Card:
        return Card(
            "Run",
            f"{self.source} ({self.kind}), written to {self.out}",
            (*self.summary, ("Page", str(self.out / "report.html"))),
            (
                ("run.findings", "everything found, in sentences"),
                (f"bigbench-meta export {shlex.quote(str(self.out))}", "tables for a paper"),
            ),
        )


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
    source: Given = LADDER,
    *,
    out: str | Path = "bigbench-meta-out",
    seed: int = 0,
    draws: int = 999,
    items: pd.DataFrame | str | Path | None = None,
    lengths: pd.DataFrame | str | Path | None = None,
    metrics_file: str | Path | None = None,
    human: str | Path | None = None,
    models: str | Path | None = None,
    axis: str = "params",
    format: str | None = None,  # noqa: A002 - the word that users know for it
    path: str | None = None,
    force: bool = False,
    strict: bool = False,
    ref: str | None = None,
    cache_dir: str | Path | None = None,
    offline: bool = False,
    definitions: bool = False,
    progress: Progress | bool | None = None,
) -> Run:
    """Analyse a source and write everything that was found into ``out``, whole or not at all.

    Parameters
    ----------
    source : str, Path, DataFrame, Results or Checkout
        ``ladder`` (the packaged model ladder, real), ``simulated`` (a small simulated repository), or anything that
        `bigbench_meta.fetch` or `bigbench_meta.load_results` takes, a table of scores in a file or in memory among them.
    out : str or Path
        Folder to write. It may not exist or be empty; an earlier output is replaced only with ``force``.
    seed : int
        Seed of every random choice: the same source, seed and versions give the same bytes.
    draws : int
        Most draws of the null per test.
    items : DataFrame, str or Path, optional
        Frame or CSV file ``task, n_items`` and, where needed, ``subtask, family``: the items behind each point.
    lengths : DataFrame, str or Path, optional
        Frame or CSV file ``task, target_length`` and, where needed, ``subtask``: tokens of the targets.
    metrics_file : str or Path, optional
        CSV file of your own rows of the metric registry, as for `bigbench_meta.metrics`.
    human : str or Path, optional
        Scores of human raters for reference lines: BIG-bench's ``task_human_eval.pkl`` (nothing in it is run) or a CSV
        file ``task`` (and ``metric``) with a column for each kind of rater, in the units of score files.
    models : str or Path, optional
        CSV file of models that the packaged table does not know, as for `bigbench_meta.models`.
    axis : str
        What orders the models of a curve, as for `bigbench_meta.analyze`.
    format, path
        Which files of a source to read, as for `bigbench_meta.load_results`.
    strict : bool
        Fail at the first problem of the source instead of recording it.
    ref, cache_dir, offline, definitions
        As in `bigbench_meta.fetch`.
    progress
        As for `bigbench_meta.analyze`.

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
    from bigbench_meta.jobs.given import as_path, name_given, read_given
    from bigbench_meta.report import page_files, page_of_run

    out, metrics_file, human, cache_dir = Path(out), as_path(metrics_file), as_path(human), as_path(cache_dir)
    check_run_folder(out, force=force)
    beside = {
        "items": items,
        "lengths": lengths,
        "metrics_file": metrics_file,
        "human": human,
        "models": as_path(models),
    }
    files_read = [as_path(each) for each in (source, *beside.values()) if isinstance(each, str | Path)]
    keep_apart(written=[out], read=files_read)
    registry = metrics(metrics_file)
    raters = None if human is None else human_scores(human)
    items_given, lengths_given = read_given(items=items, lengths=lengths)
    progress = shown(progress)
    clock = _Clock(progress)
    rng = np.random.default_rng(seed)
    with clock.stage("load"):
        got = load_source(
            source,
            selection=Selection(models=models, format=format, path=path),
            rng=rng,
            strict=strict,
            ref=ref,
            cache_dir=cache_dir,
            offline=offline,
            definitions=definitions,
            progress=progress,
        )
        placed = on_axis(got.results.frame, axis)
        notes = (*got.results.notes, *got.notes, *placed.notes)
        results, kind = replace(got.results, frame=placed.frame, notes=notes), got.kind
        lines = references(results.frame, human=raters)
    with clock.stage("analyse"):
        analysis = analyze(
            results,
            rng=rng,
            draws=draws,
            items=got.items if items_given is None else items_given,
            definitions=got.definitions,
            lengths=got.lengths if lengths_given is None else lengths_given,
            registry=registry,
            axis=axis,
            progress=progress,
        )
    with clock.stage("report"):
        sentences = tuple(findings(analysis))
        of_analysis = {each.name: getattr(analysis, each.name) for each in fields(analysis) if each.name != "settings"}
        results = replace(results, notes=(*results.notes, *not_used(results.frame, human=raters)))
        tables = {"results": results.frame, "problems": results.problems, "references": lines, **of_analysis}
        counts = _counts(results, analysis, left_out=sum(placed.left_out.values()))
        provenance = _provenance(
            results, analysis, kind=kind, counts=counts,
            arguments={"source": results.source, "ref": ref, "seed": seed, "draws": draws, "strict": strict, "definitions": definitions,
                       "axis": axis, "format": format, "path": path,
                       **{name: name_given(given) for name, given in beside.items()}},
        ) | {"findings": list(sentences)}  # fmt: skip
        # The page is made of the tables as they will be read from the folder, so that `report` makes the same again.
        page = page_of_run(as_read_back(tables), provenance)
        files = page_files(page, progress=progress)
    with clock.stage("write"):
        written = write_run_folder(out, tables=tables, files=files, provenance=provenance, force=force)
    tested = coverage(analysis.curves).tested
    return Run(written, results.source, kind, tested, page.lead, sentences, counts, clock.seconds)


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
