"""What several commands do alike: get a source, show progress, put a table or a path where the reader looks for it."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from bigbench_meta.errors import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import pandas as pd

    from bigbench_meta.jobs.experiments import Written
    from bigbench_meta.jobs.sources import Selection, Source
    from bigbench_meta.progress import Progress


def put_bytes(content: bytes) -> None:
    """Write data to stdout as it is; on a terminal, which would obey control characters, with a mark in their place."""
    if not sys.stdout.isatty():
        click.echo(content, nl=False)
        return
    for line in content.decode("utf-8", "replace").removesuffix("\n").split("\n"):
        click.echo(printable(line))


@contextmanager
def shown_progress() -> Iterator[Progress | None]:
    """Progress on stderr where that is a terminal, else none."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TaskID, TextColumn
    from rich.progress import Progress as Bars

    from bigbench_meta.progress import progress_words

    columns = (BarColumn(bar_width=20), TextColumn("{task.description}", markup=False))
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        known: dict[str, tuple[TaskID, float]] = {}

        def show(done: int, total: int, what: str) -> None:
            now = time.monotonic()
            if what not in known:
                known[what] = bars.add_task("", total=total or None), now
            bar, begun = known[what]
            words = printable(progress_words(done, total, what, seconds=now - begun))
            bars.update(bar, completed=done, total=total or None, description=words)

        yield show


def got(
    source: str,
    *,
    ref: str | None,
    cache_dir: Path | None,
    offline: bool,
    definitions: bool = False,
    selection: Selection | None = None,
    strict: bool = False,
) -> Source:
    """Return what a command analyses: the scores of its source and what is known beside them."""
    from bigbench_meta.jobs.sources import load_source

    with shown_progress() as progress:
        return load_source(
            source,
            selection=selection,
            strict=strict,
            ref=ref,
            cache_dir=cache_dir,
            offline=offline,
            definitions=definitions,
            progress=progress,
        )


def fail_untested(tested: int) -> None:
    """End with status 1 where no curve at all was tested: nothing is known of the source then.

    Raises
    ------
    ClickException
        Saying where the reasons are.
    """
    if not tested:
        raise click.ClickException("no curve could be tested; the reasons and what to do about each are said above")


def say_notes(found: Source) -> None:
    """Say what was left out of the task definitions of a source."""
    for note in found.notes:
        say(note)


def put_table(name: str, table: pd.DataFrame, out: Path | None, *, about: Mapping[str, object], force: bool) -> None:
    """Write a table as CSV: to a file, whose path goes to stdout, or to stdout."""
    from bigbench_meta.export import table_bytes, write_exports

    content = table_bytes(name, table, "csv")
    if out is None:
        put_bytes(content)
    else:
        write_exports({out: content}, about=about, provenance={}, force=force)
        click.echo(out)


def given(ctx: click.Context, *names: str) -> str:
    """Name the options of a command that the user gave, among those of the given parameters; empty if none."""
    spelled = {option.name: option.opts[-1] for option in ctx.command.params}
    there = [name for name in names if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT]
    return ", ".join(str(spelled[name]) for name in there)


def say(sentence: str) -> None:
    """Write a sentence to stderr, without anything in its names that a terminal would obey."""
    click.echo(printable(sentence), err=True)


def labelled(label: str, text: str) -> str:
    """A line of a summary; wrapped under its label on a terminal, whole elsewhere."""
    if not sys.stderr.isatty():
        return printable(f"{label}: {text}")
    width = min(shutil.get_terminal_size().columns, 110)
    return textwrap.fill(
        f"{label:<10}{printable(text)}", width=width, subsequent_indent=" " * 10, break_on_hyphens=False
    )


def show_columns(table: pd.DataFrame, *, title: str) -> None:
    """Show a small table of words on stderr, its cells folded."""
    from rich.console import Console
    from rich.table import Table

    shown = Table(title=printable(title))
    for name in table.columns:
        shown.add_column(name, overflow="fold")
    for row in table.itertuples(index=False):
        shown.add_row(*(printable(str(cell)) for cell in row))
    width = None if sys.stderr.isatty() else 170
    Console(stderr=True, width=width, markup=False, highlight=False).print(shown)


def show_written(written: Written, *, as_json: bool) -> None:
    """Print where a command wrote and, on stderr, what it found."""
    if as_json:
        click.echo(json.dumps({"out": str(written.folder), "findings": list(written.sentences)}, indent=2))
        return
    for sentence in written.sentences:
        say(sentence)
    click.echo(written.folder)
