"""From a source to what was found of it: `score`, `analyze`, `check`, and `run`, which does everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bigbench_meta.cli.options import (
    analysis_options,
    axis_option,
    cluster_option,
    definitions_option,
    harness_options,
    human_option,
    metrics_file_option,
    out_file_options,
    out_folder_options,
    source_argument,
    source_options,
    strict_option,
)
from bigbench_meta.cli.steps import fail_untested, got, labelled, put_table, say, say_notes, shown_progress

if TYPE_CHECKING:
    from pathlib import Path


@click.command("score")
@source_argument
@out_file_options("FILE.csv")
@metrics_file_option
@harness_options
@source_options
def score_command(
    source: str,
    *,
    out: Path | None,
    metrics_file: Path | None,
    models: Path | None,
    format_: str | None,
    force: bool,
    ref: str | None,
    cache_dir: Path | None,
    offline: bool,
    path: str | None,
) -> None:
    """Give the emergence score and linearity of every curve of SOURCE (default: ladder), without any test."""
    from bigbench_meta.analysis.unmatched import not_used
    from bigbench_meta.axes import on_axis
    from bigbench_meta.emergence import score_curves
    from bigbench_meta.export import keep_apart
    from bigbench_meta.facts.metrics import completed, metrics
    from bigbench_meta.jobs.sources import Selection

    keep_apart(written=[out], read=[source, metrics_file, models])
    only = Selection(models=models, format=format_, path=path)
    results = got(source, ref=ref, cache_dir=cache_dir, offline=offline, selection=only).results
    registry = metrics(metrics_file)
    frame = on_axis(results.frame, "params").frame
    not_used(frame, registry=registry)
    curves = score_curves(frame, registry=completed(registry, frame).registry)
    defined = int(curves["emergence_score"].notna().sum())
    say(f"{results.source}: {len(curves)} curves, {defined} with an emergence score; {len(results.problems)} problems")
    put_table("curves", curves, out, about={"source": results.source, "commit": results.commit}, force=force)


@click.command("analyze")
@source_argument
@out_file_options("FILE.csv")
@analysis_options()
@cluster_option
@axis_option
@harness_options
@source_options
@definitions_option
def analyze_command(
    source: str,
    *,
    out: Path | None,
    seed: int,
    draws: int,
    items: Path | None,
    lengths: Path | None,
    metrics_file: Path | None,
    cluster: str | None,
    axis: str,
    models: Path | None,
    format_: str | None,
    force: bool,
    ref: str | None,
    cache_dir: Path | None,
    offline: bool,
    path: str | None,
    definitions: bool,
) -> None:
    """Test every curve of SOURCE (default: ladder): trend, sharpness, surprise and verdict; findings on stderr."""
    from bigbench_meta.analysis import analyze
    from bigbench_meta.analysis.coverage import coverage
    from bigbench_meta.analysis.findings import findings
    from bigbench_meta.cluster import on_cluster
    from bigbench_meta.export import keep_apart
    from bigbench_meta.facts.metrics import metrics
    from bigbench_meta.jobs.given import read_given
    from bigbench_meta.jobs.sources import Selection

    keep_apart(written=[out], read=[source, items, lengths, metrics_file, models])
    registry = metrics(metrics_file)
    known, known_lengths = read_given(items=items, lengths=lengths)
    only = Selection(models=models, format=format_, path=path)
    found = got(source, ref=ref, cache_dir=cache_dir, offline=offline, definitions=definitions, selection=only)
    say_notes(found)
    with shown_progress() as progress, on_cluster(cluster):
        analysis = analyze(
            found.results,
            rng=seed,
            draws=draws,
            items=found.items if known is None else known,
            definitions=found.definitions,
            lengths=found.lengths if known_lengths is None else known_lengths,
            registry=registry,
            axis=axis,
            progress=progress,
        )
    tests = coverage(analysis.curves)
    say(f"- tested {tests.sentence()}")
    for sentence in findings(analysis):
        say(f"- {sentence}")
    about = {"source": found.results.source, "commit": found.results.commit, "seed": seed, "draws": draws}
    put_table("curves", analysis.curves, out, about=about, force=force)
    fail_untested(tests.tested)


@click.command("run")
@click.option(
    "--source",
    default="ladder",
    show_default=True,
    help="ladder (packaged, real), simulated, github, a git URL, a clone, bundle, folder, archive, result files of an evaluation harness, or a table of scores.",
)
@analysis_options()
@out_folder_options("bigbench-meta-out")
@strict_option
@human_option
@cluster_option
@click.option("--profile", is_flag=True, help="Say on stderr where the time went.")
@axis_option
@harness_options
@source_options
@definitions_option
def run_command(
    source: str,
    *,
    out: Path,
    seed: int,
    draws: int,
    items: Path | None,
    lengths: Path | None,
    metrics_file: Path | None,
    cluster: str | None,
    axis: str,
    models: Path | None,
    format_: str | None,
    force: bool,
    strict: bool,
    human: Path | None,
    profile: bool,
    ref: str | None,
    cache_dir: Path | None,
    offline: bool,
    path: str | None,
    definitions: bool,
) -> None:
    """Do everything: from a source to tables, figures and a report in one folder, and print its path."""
    from bigbench_meta.cluster import on_cluster
    from bigbench_meta.jobs.run import run

    with shown_progress() as progress, on_cluster(cluster):
        made = run(
            source, out=out, seed=seed, draws=draws, items=items, lengths=lengths, metrics_file=metrics_file,
            human=human, force=force, strict=strict,
            models=models, axis=axis, format=format_, path=path, ref=ref, cache_dir=cache_dir, offline=offline,
            definitions=definitions, progress=progress,
        )  # fmt: skip
    for label, text in [
        *made.summary,
        ("Files", f"open {made.out / 'report.html'}; tables/ and figures/ lie beside it."),
    ]:
        click.echo(labelled(label, text), err=True)
    if profile:
        for stage, seconds in made.seconds.items():
            click.echo(f"{seconds:8.2f} s  {stage}", err=True)
    click.echo(made.out)
    fail_untested(made.tested)


@click.command("check")
@source_argument
@click.option("--task", help="Only this task: every subtask and metric of it.")
@analysis_options(draws=199)
@axis_option
@harness_options
@source_options
def check_command(
    source: str,
    *,
    task: str | None,
    seed: int,
    draws: int,
    items: Path | None,
    lengths: Path | None,
    metrics_file: Path | None,
    axis: str,
    models: Path | None,
    format_: str | None,
    ref: str | None,
    cache_dir: Path | None,
    offline: bool,
    path: str | None,
) -> None:
    """Say shortly what is emergent in SOURCE (default: ladder): tasks with their curves, verdicts, power and other metrics.

    SOURCE is result files of an evaluation harness, a table of scores, or anything else that `run --source` takes.
    """
    import sys

    from rich.console import Console

    from bigbench_meta.analysis.coverage import coverage
    from bigbench_meta.analysis.wording import count_words
    from bigbench_meta.axes import on_axis
    from bigbench_meta.jobs.check import check
    from bigbench_meta.report.terminal import check_table, task_table

    with shown_progress() as progress:
        found = check(
            source, tasks=[task] if task else None, items=items, lengths=lengths, metrics_file=metrics_file, models=models,
            axis=axis, format=format_, path=path, ref=ref, cache_dir=cache_dir, offline=offline, seed=seed, draws=draws,
            progress=False if progress is None else progress,
        )  # fmt: skip
    loaded = found.results
    files = ", ".join(f"{count_words(count, 'file')} of {name}" for name, count in loaded.formats.items())
    tasks, who = loaded.frame["task"].nunique(), len(loaded.frame[["family", "model"]].drop_duplicates())
    say(
        f"{loaded.source}: read {count_words(len(loaded.frame), 'score')} of {count_words(tasks, 'task')} and "
        f"{count_words(who, 'model')} from {files or count_words(loaded.counts.files, 'file')}; "
        f"{count_words(len(loaded.problems), 'problem')}."
    )
    curves = found.analysis.curves
    for note in found.analysis.settings["axis_notes"]:
        say(note)
    tests = coverage(curves)
    say(f"Tested {tests.sentence()}")
    frame = on_axis(loaded.frame, axis).frame
    wide = None if sys.stdout.isatty() else 200
    Console(width=wide, highlight=False).print(task_table(task, frame, curves) if task else check_table(frame, curves))
    fail_untested(tests.tested)
