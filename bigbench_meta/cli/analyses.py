"""From a source to what was found of it: `score`, `analyze` and `run`, which does everything."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from bigbench_meta.cli.options import (
    analysis_options,
    axis_option,
    harness_options,
    human_option,
    metrics_file_option,
    out_file_options,
    out_folder_options,
    source_options,
    strict_option,
)
from bigbench_meta.cli.steps import fail_untested, got_source, labelled, put_table, say, shown_progress


@click.command("score")
@click.argument("source", default="github")
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
    """Give the emergence score and linearity of every curve of SOURCE (default: github), without any test."""
    from bigbench_meta.analysis.unmatched import not_used
    from bigbench_meta.axes import on_axis
    from bigbench_meta.emergence import score_curves
    from bigbench_meta.export import keep_apart
    from bigbench_meta.facts.metrics import completed, metrics
    from bigbench_meta.loader import load_results

    keep_apart(written=[out], read=[source, metrics_file])
    results = load_results(
        got_source(source, ref=ref, cache_dir=cache_dir, offline=offline, path=path),
        cache_dir=cache_dir, models=models, format=format_,
    )  # fmt: skip
    results = replace(results, frame=on_axis(results.frame, "params").frame)
    registry = completed(metrics(metrics_file), results.frame).registry
    not_used(results.frame, registry=metrics(metrics_file))
    curves = score_curves(results.frame, registry=registry)
    defined = int(curves["emergence_score"].notna().sum())
    say(f"{results.source}: {len(curves)} curves, {defined} with an emergence score; {len(results.problems)} problems")
    put_table("curves", curves, out, about={"source": results.source, "commit": results.commit}, force=force)


@click.command("analyze")
@click.argument("source", default="github")
@out_file_options("FILE.csv")
@analysis_options()
@axis_option
@harness_options
@source_options
def analyze_command(
    source: str,
    *,
    out: Path | None,
    seed: int,
    draws: int,
    items: Path | None,
    lengths: Path | None,
    metrics_file: Path | None,
    axis: str,
    models: Path | None,
    format_: str | None,
    force: bool,
    ref: str | None,
    cache_dir: Path | None,
    offline: bool,
    path: str | None,
) -> None:
    """Test every curve of SOURCE (default: github): trend, sharpness, surprise and verdict; findings on stderr."""
    import numpy as np

    from bigbench_meta.analysis import analyze
    from bigbench_meta.analysis.coverage import coverage
    from bigbench_meta.analysis.findings import findings
    from bigbench_meta.export import keep_apart
    from bigbench_meta.facts.metrics import metrics
    from bigbench_meta.jobs.given import read_given
    from bigbench_meta.loader import load_results
    from bigbench_meta.loader.bigbench.definitions import task_definitions

    keep_apart(written=[out], read=[source, items, lengths, metrics_file])
    registry = metrics(metrics_file)
    known, known_lengths = read_given(items=items, lengths=lengths)
    got = got_source(source, ref=ref, cache_dir=cache_dir, offline=offline, path=path)
    results = load_results(got, cache_dir=cache_dir, models=models, format=format_)
    with shown_progress() as progress:
        found = analyze(
            results,
            rng=np.random.default_rng(seed),
            draws=draws,
            items=known,
            definitions=None if isinstance(got, Path) or results.formats else task_definitions(got),
            lengths=known_lengths,
            registry=registry,
            axis=axis,
            progress=progress,
        )
    tests = coverage(found.curves)
    say(f"{results.source}: tested {tests.sentence()}")
    for sentence in findings(found):
        say(f"- {sentence}")
    about = {"source": results.source, "commit": results.commit, "seed": seed, "draws": draws}
    put_table("curves", found.curves, out, about=about, force=force)
    fail_untested(tests.tested)


@click.command("run")
@click.option(
    "--source",
    default="ladder",
    show_default=True,
    help="ladder (packaged, real), simulated, github, a git URL, a clone, bundle, folder, archive, harness results, or a table.",
)
@analysis_options()
@axis_option
@out_folder_options("bigbench-meta-out")
@strict_option
@human_option
@harness_options
@click.option("--profile", is_flag=True, help="Say on stderr where the time went.")
@source_options
def run_command(
    source: str,
    *,
    out: Path,
    seed: int,
    draws: int,
    items: Path | None,
    lengths: Path | None,
    metrics_file: Path | None,
    force: bool,
    strict: bool,
    human: Path | None,
    axis: str,
    models: Path | None,
    format_: str | None,
    profile: bool,
    ref: str | None,
    cache_dir: Path | None,
    offline: bool,
    path: str | None,
) -> None:
    """Do everything: from a source to tables, figures and a report in one folder, and print its path."""
    from bigbench_meta.jobs.run import run

    with shown_progress() as progress:
        made = run(
            source, out=out, seed=seed, draws=draws, items=items, lengths=lengths, metrics_file=metrics_file,
            human=human, models=models, axis=axis, format=format_, force=force, strict=strict,
            ref=ref, cache_dir=cache_dir, offline=offline, path=path, progress=progress,
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
@click.argument("results")
@click.option("--task", help="Only this task: every subtask and metric of it.")
@analysis_options(draws=199)
@axis_option
@harness_options
@source_options
def check_command(
    results: str,
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
    """Say shortly what is emergent in RESULTS: a table of tasks with their curves, verdicts, power and other metrics.

    RESULTS are result files of an evaluation harness, a table of scores, or anything else that `run --source` takes.
    """
    import sys

    import numpy as np
    from rich.console import Console

    from bigbench_meta.analysis import analyze
    from bigbench_meta.analysis.coverage import coverage
    from bigbench_meta.analysis.wording import count_words
    from bigbench_meta.axes import on_axis
    from bigbench_meta.facts.metrics import metrics
    from bigbench_meta.jobs.given import read_given
    from bigbench_meta.loader import load_results
    from bigbench_meta.report.terminal import check_table, task_table

    known, known_lengths = read_given(items=items, lengths=lengths)
    got = got_source(results, ref=ref, cache_dir=cache_dir, offline=offline, path=path)
    loaded = load_results(got, tasks=[task] if task else None, cache_dir=cache_dir, models=models, format=format_)
    with shown_progress() as progress:
        found = analyze(
            loaded, rng=np.random.default_rng(seed), draws=draws, items=known, lengths=known_lengths,
            registry=metrics(metrics_file), axis=axis, progress=progress,
        )  # fmt: skip
    frame = on_axis(loaded.frame, axis).frame
    files = ", ".join(f"{count_words(count, 'file')} of {name}" for name, count in loaded.formats.items())
    tasks, who = loaded.frame["task"].nunique(), len(loaded.frame[["family", "model"]].drop_duplicates())
    say(
        f"{loaded.source}: read {count_words(len(loaded.frame), 'score')} of {count_words(tasks, 'task')} and "
        f"{count_words(who, 'model')} from {files or count_words(loaded.counts.files, 'file')}; "
        f"{count_words(len(loaded.problems), 'problem')}."
    )
    for note in found.settings["axis_notes"]:
        say(note)
    tests = coverage(found.curves)
    say(f"Tested {tests.sentence()}")
    wide = None if sys.stdout.isatty() else 200
    table = task_table(task, frame, found.curves) if task else check_table(frame, found.curves)
    Console(width=wide, highlight=False).print(table)
    fail_untested(tests.tested)
