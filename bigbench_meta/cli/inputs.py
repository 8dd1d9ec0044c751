"""From a source to one table: `fetch`, `load` and `simulate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from bigbench_meta.cli.options import (
    definitions_option,
    harness_options,
    json_option,
    metric_option,
    out_file_options,
    seed_option,
    source_argument,
    source_options,
    strict_option,
)
from bigbench_meta.cli.steps import got, put_bytes, say, shown_progress

# Fifty times BIG-bench: a hundred gigabytes at most.
_MOST_TASKS = 10_000


@click.command("fetch")
@click.argument("source")
@source_options
@definitions_option
@json_option
def fetch_command(
    source: str,
    *,
    ref: str | None,
    cache_dir: Path | None,
    offline: bool,
    path: str | None,
    definitions: bool,
    as_json: bool,
) -> None:
    """Get SOURCE and print the folder or bare repository that holds it.

    SOURCE is the word github, a git URL, a clone, a bare repository, a git bundle, a folder, a zip or tar archive, or one
    result file of an evaluation harness.
    """
    from bigbench_meta.fetcher import fetch
    from bigbench_meta.loader import is_table

    if is_table(source):
        raise click.UsageError(
            f"{source} is a table of scores: there is nothing to fetch, give it to load, score, analyze or run"
        )
    with shown_progress() as progress:
        checkout = fetch(
            source, ref=ref, cache_dir=cache_dir, offline=offline, definitions=definitions, path=path, progress=progress
        )
    results = sum(entry.is_result for entry in checkout.entries)
    size = sum(entry.size for entry in checkout.entries)
    if as_json:
        summary = {
            "source": checkout.source,
            "root": str(checkout.root),
            "commit": checkout.commit,
            "score_files": results,
            "task_files": len(checkout.entries) - results,
            "task_files_left_out": checkout.definitions_left_out,
            "bytes": size,
            "skipped": [skipped._asdict() for skipped in checkout.skipped],
        }
        click.echo(json.dumps(summary, indent=2))
        return
    at = f" at commit {checkout.commit}" if checkout.commit else ""
    say(f"{checkout.source}{at}: {results} score files, {size} bytes, {len(checkout.skipped)} skipped")
    if checkout.definitions_left_out:
        say(f"{checkout.definitions_left_out} task definitions are left out; --definitions gets them")
    click.echo(checkout.root)


@click.command("load")
@source_argument
@out_file_options("FILE.csv or FILE.parquet")
@click.option("--problems", type=click.Path(dir_okay=False, path_type=Path), help="Write PROBLEMS to FILE.csv too.")
@click.option("--task", "tasks", multiple=True, help="Only this task; may be repeated.")
@click.option("--family", "families", multiple=True, help="Only this model family; may be repeated.")
@click.option("--shots", "shots", type=int, multiple=True, help="Only this number of shots; may be repeated.")
@metric_option
@strict_option
@harness_options
@source_options
@json_option
def load_command(
    source: str,
    *,
    out: Path | None,
    problems: Path | None,
    tasks: tuple[str, ...],
    families: tuple[str, ...],
    shots: tuple[int, ...],
    metrics: tuple[str, ...],
    strict: bool,
    models: Path | None,
    format_: str | None,
    force: bool,
    ref: str | None,
    cache_dir: Path | None,
    offline: bool,
    path: str | None,
    as_json: bool,
) -> None:
    """Load SOURCE (default: ladder) into one table, one row a number.

    SOURCE is ladder (packaged, real), simulated, what `fetch` takes (BIG-bench's layout, or result files of an evaluation
    harness), or a CSV, TSV, JSON Lines or Parquet table of your own numbers with the columns task, metric, family, model, scale
    and score.
    """
    from bigbench_meta.errors import OutputError
    from bigbench_meta.export import keep_apart, table_bytes, write_exports
    from bigbench_meta.jobs.sources import Selection

    kinds = {".csv": "csv", ".parquet": "parquet"}
    if out is not None and out.suffix.lower() not in kinds:
        raise click.UsageError(f"--out {out}: expected a name that ends in .csv or .parquet")
    if problems is not None and problems.suffix.lower() != ".csv":
        raise click.UsageError(f"--problems {problems}: expected a name that ends in .csv")
    keep_apart(written=[out, problems], read=[source, models])
    selection = Selection(
        tasks=tasks or None, families=families or None, shots=shots or None, metrics=metrics or None,
        models=models, format=format_, path=path,
    )  # fmt: skip
    results = got(source, ref=ref, cache_dir=cache_dir, offline=offline, selection=selection, strict=strict).results
    counts = results.counts
    say(
        f"{results.source}: {counts.files} files, {counts.on_disk} numbers = {counts.rows} rows + {counts.explained} "
        f"explained + {counts.not_selected} not selected; {len(results.problems)} problems"
    )
    if results.formats:
        say(f"files of {', '.join(f'{name} ({count})' for name, count in results.formats.items())}")
    if len(results.problems) and problems is None:
        say("see them with --problems FILE.csv")
    files: dict[Path, bytes] = {}
    if out is not None:
        kind: Any = kinds[out.suffix.lower()]
        files[out] = table_bytes("results", results.frame, kind)
    if problems is not None:
        files[problems] = table_bytes("problems", results.problems, "csv")
    if len(files) < (out is not None) + (problems is not None):
        raise OutputError(f"--out and --problems name the same file, {out}; choose two")
    summary = {"source": results.source, "commit": results.commit, **counts._asdict(), "notes": list(results.notes)}
    write_exports(files, about=summary, provenance={}, force=force)
    if as_json:
        click.echo(json.dumps(summary | {"problems": len(results.problems)}, indent=2))
    elif out is not None:
        click.echo(out)
    else:
        put_bytes(table_bytes("results", results.frame, "csv"))


@click.command("simulate")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--full", is_flag=True, help="BIG-bench's size: 204 tasks, about 9,600 files, 640,000 numbers.")
@click.option(
    "--tasks", type=click.IntRange(min=1, max=_MOST_TASKS), help="Number of tasks (default 24, with --full 204)."
)
@click.option("--defects", type=click.IntRange(min=0), default=0, show_default=True, help="Score files to damage.")
@seed_option()
def simulate_command(directory: Path, *, full: bool, tasks: int | None, defects: int, seed: int) -> None:
    """Write a simulated results repository with planted truth into DIRECTORY (new or empty)."""
    import numpy as np

    from bigbench_meta.simulation.repository import simulate

    made = simulate(directory, rng=np.random.default_rng(seed), tasks=tasks, full=full, defects=defects)
    say(f"simulated: {made.n_files} score files, {made.n_numbers} numbers, {defects} defects")
    click.echo(made.path)
