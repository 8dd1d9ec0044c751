"""From an earlier output to what a reader sees: `report`, `export` and `show`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from bigbench_meta.cli.options import force_option, harness_options, human_option, source_options
from bigbench_meta.cli.steps import given, got, put_bytes, say, shown_progress

# What `show` reads of a run's reference lines.
_REFERENCES = {"task", "subtask", "metric", "kind", "level"}


@click.command("report")
@click.argument("directory", type=click.Path(path_type=Path))
def report_command(directory: Path) -> None:
    """Draw figures and report.html again from the tables in DIRECTORY, an earlier output of run; print the page's path."""
    from bigbench_meta.errors import OutputError
    from bigbench_meta.export import check_run_folder, read_run_folder, require_tables, write_run_folder
    from bigbench_meta.report import page_files, page_of_run

    tables, provenance = read_run_folder(directory)
    require_tables(directory, tables, "results", "curves", "problems")
    check_run_folder(directory, force=True)
    with shown_progress() as progress:
        try:
            files = page_files(page_of_run(tables, provenance), progress=progress)
        except (KeyError, TypeError, ValueError, AttributeError) as err:  # the folder may be anybody's
            raise OutputError(
                f"no page can be made of the tables of {directory} ({type(err).__name__}: {err}); expected them as "
                "`bigbench-meta run` wrote them. Run the analysis again"
            ) from err
    click.echo(
        write_run_folder(directory, tables=tables, files=files, provenance=provenance, force=True) / "report.html"
    )


@click.command("export")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option(
    "--table", "name", default="curves", show_default=True,
    help="Which table of DIRECTORY to export; or for print: sharp, claims, shares, effects, problems.",
)  # fmt: skip
@click.option(
    "--format", "kind", type=click.Choice(["csv", "parquet", "latex", "markdown", "every-eval-ever"]), default="csv",
    show_default=True, help="every-eval-ever writes all scores as records of that schema, a file per model, into --out.",
)  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), help="File (a folder for every-eval-ever); default: stdout.")
@click.option(
    "--query",
    multiple=True,
    metavar="COLUMN=VALUE",
    help="Keep rows by any column: =, !=, <, <=, >, >=; may be repeated.",
)
@click.option("--columns", default="", help="Columns to keep, in order, separated by commas.")
@click.option("--sql", help="A SELECT over the tables by name, instead of --table; needs the extra sql.")
@click.option("--digits", type=click.IntRange(1, 9), default=3, show_default=True, help="Significant digits in print.")
@click.option("--caption", help="Caption of a printed table.")
@click.option("--label", help="Label of a printed table, for references in LaTeX.")
@click.option("--printed", is_flag=True, help="In CSV, too: columns, headings and digits of the printed table.")
@click.option("--spreadsheet-safe", is_flag=True, help="In CSV, disarm text that a spreadsheet would run as a formula.")
@force_option
@click.pass_context
def export_command(
    ctx: click.Context,
    directory: Path,
    *,
    name: str,
    kind: str,
    out: Path | None,
    query: tuple[str, ...],
    columns: str,
    sql: str | None,
    digits: int,
    caption: str | None,
    label: str | None,
    printed: bool,
    spreadsheet_safe: bool,
    force: bool,
) -> None:
    """Export a table of DIRECTORY, an earlier output of run, for papers and other tools.

    Each file gets a sidecar NAME.provenance.json. Without --out, text formats go to stdout.
    """
    from bigbench_meta.export import Printing, export_records, export_table, read_run_folder, require_tables

    if sql is not None and given(ctx, "name"):
        raise click.UsageError("--sql takes its rows from all tables: leave --table away, or --sql")
    if spreadsheet_safe and kind != "csv":
        raise click.UsageError(f"--spreadsheet-safe is for CSV; {kind} needs none: leave it away")
    tables, provenance = read_run_folder(directory)
    wanted = [column.strip() for column in columns.split(",") if column.strip()]
    if kind == "every-eval-ever":
        if out is None or sql or wanted or given(ctx, "name"):
            raise click.UsageError(
                "every-eval-ever writes whole records of all scores: give --out FOLDER, and none of --table, --sql and --columns"
            )
        require_tables(directory, tables, "results")
        paths = export_records(tables["results"], out=out, query=query, provenance=provenance, force=force)
        say(f"{len(paths)} records")
        click.echo(out)
        return
    if out is None and kind == "parquet":
        raise click.UsageError("parquet is binary: give --out FILE")
    written = export_table(
        tables, name, kind=kind, out=out, query=query, columns=wanted, statement=sql,
        printing=Printing(digits=digits, caption=caption, label=label, always=printed),
        spreadsheet_safe=spreadsheet_safe, provenance=provenance, force=force,
    )  # fmt: skip
    if out is None:
        put_bytes(written)
    else:
        click.echo(out)


@click.command("show")
@click.argument("task")
@click.option("--from", "directory", type=click.Path(path_type=Path), help="An earlier output of run, with verdicts.")
@click.option("--source", help="Or a source as in fetch or a table: scores only, without analysis.")
@human_option
@harness_options
@source_options
@click.pass_context
def show_command(
    ctx: click.Context,
    task: str,
    *,
    directory: Path | None,
    source: str | None,
    human: Path | None,
    models: Path | None,
    format_: str | None,
    ref: str | None,
    cache_dir: Path | None,
    offline: bool,
    path: str | None,
) -> None:
    """Print the curves of TASK and what was found of them as a small table with sparklines."""
    from rich.console import Console

    from bigbench_meta.analysis.references import human_scores, references
    from bigbench_meta.errors import OutputError
    from bigbench_meta.report.terminal import task_table

    if (directory is None) == (source is None):
        raise click.UsageError("give either --from DIRECTORY or --source SOURCE")
    of_source = given(ctx, "human", "models", "format_", "ref", "cache_dir", "offline", "path")
    if directory is not None and of_source:
        raise click.UsageError(f"{of_source} goes with --source; an output of run has its numbers and references")
    if directory is not None:
        from bigbench_meta.export import read_run_folder, require_tables

        tables, _ = read_run_folder(directory)
        require_tables(directory, tables, "results", "curves")
        results, curves = tables["results"], tables["curves"]
        lines = tables.get("references", references(results))
        lacking = sorted(_REFERENCES - set(lines))
        if lacking:
            raise OutputError(
                f"{directory}: table references lacks {', '.join(lacking)}; expected it as "
                "`bigbench-meta run` wrote it. Run the analysis again"
            )
    else:
        from bigbench_meta.axes import on_axis
        from bigbench_meta.emergence import score_curves
        from bigbench_meta.facts.metrics import completed, metrics
        from bigbench_meta.jobs.sources import Selection

        only = Selection(tasks=[task], models=models, format=format_, path=path)
        results = got(str(source), ref=ref, cache_dir=cache_dir, offline=offline, selection=only).results.frame
        results = on_axis(results, "params").frame
        curves = score_curves(results, registry=completed(metrics(), results).registry)
        raters = None if human is None else human_scores(human)
        lines = references(results, human=raters)
        if raters is not None and "human" not in " ".join(lines["kind"].astype(str)):
            say(f"{human}: has no score for the whole of {task} that could be shown")
    wide = None if sys.stdout.isatty() else 80
    Console(width=wide, highlight=False).print(task_table(task, results, curves, references=lines))
