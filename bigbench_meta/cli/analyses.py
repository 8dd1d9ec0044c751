"""From a source to what was found of it: `score`, `analyze` and `run`, which does everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bigbench_meta.cli.options import (
    analysis_options,
    cluster_option,
    definitions_option,
    human_option,
    metrics_file_option,
    out_file_options,
    out_folder_options,
    source_argument,
    source_options,
    strict_option,
)
from bigbench_meta.cli.steps import got, labelled, put_table, say, say_notes, shown_progress

if TYPE_CHECKING:
    from pathlib import Path


@click.command("score")
@source_argument
@out_file_options("FILE.csv")
@metrics_file_option
@source_options
def score_command(
    source: str,
    *,
    out: Path | None,
    metrics_file: Path | None,
    force: bool,
    ref: str | None,
    cache_dir: Path | None,
    offline: bool,
) -> None:
    """Give the emergence score and linearity of every curve of SOURCE (default: ladder), without any test."""
    from bigbench_meta.analysis.unmatched import not_used
    from bigbench_meta.emergence import score_curves
    from bigbench_meta.export import keep_apart
    from bigbench_meta.facts.metrics import metrics

    keep_apart(written=[out], read=[source, metrics_file])
    results = got(source, ref=ref, cache_dir=cache_dir, offline=offline).results
    registry = metrics(metrics_file)
    not_used(results.frame, registry=registry)
    curves = score_curves(results.frame, registry=registry)
    defined = int(curves["emergence_score"].notna().sum())
    say(f"{results.source}: {len(curves)} curves, {defined} with an emergence score; {len(results.problems)} problems")
    put_table("curves", curves, out, about={"source": results.source, "commit": results.commit}, force=force)


@click.command("analyze")
@source_argument
@out_file_options("FILE.csv")
@analysis_options
@cluster_option
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
    force: bool,
    ref: str | None,
    cache_dir: Path | None,
    offline: bool,
    definitions: bool,
) -> None:
    """Test every curve of SOURCE (default: ladder): trend, sharpness, surprise and verdict; findings on stderr."""
    from bigbench_meta.analysis import analyze
    from bigbench_meta.analysis.findings import findings
    from bigbench_meta.cluster import on_cluster
    from bigbench_meta.export import keep_apart
    from bigbench_meta.facts.metrics import metrics
    from bigbench_meta.jobs.given import read_given

    keep_apart(written=[out], read=[source, items, lengths, metrics_file])
    registry = metrics(metrics_file)
    known, known_lengths = read_given(items=items, lengths=lengths)
    found = got(source, ref=ref, cache_dir=cache_dir, offline=offline, definitions=definitions)
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
            progress=progress,
        )
    for sentence in findings(analysis):
        say(f"- {sentence}")
    about = {"source": found.results.source, "commit": found.results.commit, "seed": seed, "draws": draws}
    put_table("curves", analysis.curves, out, about=about, force=force)


@click.command("run")
@click.option(
    "--source",
    default="ladder",
    show_default=True,
    help="ladder (packaged, real), simulated, github, a git URL, a clone, bundle, folder, archive, or a table of scores.",
)
@analysis_options
@out_folder_options("bigbench-meta-out")
@strict_option
@human_option
@cluster_option
@click.option("--profile", is_flag=True, help="Say on stderr where the time went.")
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
    force: bool,
    strict: bool,
    human: Path | None,
    profile: bool,
    ref: str | None,
    cache_dir: Path | None,
    offline: bool,
    definitions: bool,
) -> None:
    """Do everything: from a source to tables, figures and a report in one folder, and print its path."""
    from bigbench_meta.cluster import on_cluster
    from bigbench_meta.jobs.run import run

    with shown_progress() as progress, on_cluster(cluster):
        made = run(
            source, out=out, seed=seed, draws=draws, items=items, lengths=lengths, metrics_file=metrics_file,
            human=human, force=force, strict=strict,
            ref=ref, cache_dir=cache_dir, offline=offline, definitions=definitions, progress=progress,
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
