"""Train the model ladder: every size, task and seed of the grid, on the processor, in two one-thread processes.

    python scripts/maintenance/train_ladder.py OUT                       train what is missing, then write OUT/ladder
    python scripts/maintenance/train_ladder.py OUT --width 4 --seed 0    only these (repeatable: --task, --width, --seed)

Each finished model leaves a file in OUT/runs with its answer to every item; an interrupted ladder goes on where it
stopped, whatever stopped it. OUT/ladder is a score repository in BIG-bench's layout, with the logs of some items
and the provenance beside it: the whole of ``bigbench_meta/data/ladder``. Needs the extra ``train`` (PyTorch).
"""

from __future__ import annotations

import shutil
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bigbench_meta.errors import BigbenchMetaError, OutputError
from bigbench_meta.experiments.ladder.catalog import TASKS
from bigbench_meta.experiments.ladder.grid import SEEDS, WIDTHS
from bigbench_meta.experiments.ladder.runs import Run, is_done, perform
from bigbench_meta.experiments.ladder.score_repository import grid_runs, write_repository
from bigbench_meta.parallel import run_jobs


def _train(job: tuple[Run, Path]) -> None:
    """Train one model, in one thread: there is a process for every core."""
    import torch

    torch.set_num_threads(1)
    perform(*job)


def _cost(run: Run) -> float:
    """Rough relative time of a run, for an even load and a fair estimate of the time left."""
    task = TASKS[run.task]
    characters = task.source_slots + 1 + task.target_slots
    # Fitted by eye to steps timed at widths 4 to 64: a fixed price a step, then one that grows with the width.
    return 8 + characters * (0.35 + run.width * 0.02)


def train_missing(wanted: list[Run], folder: Path, *, workers: int) -> None:
    """Train all wanted runs whose files are not there, the longest first."""
    console = Console(stderr=True)
    missing = sorted((run for run in wanted if not is_done(run, folder)), key=_cost, reverse=True)
    console.print(f"{len(wanted) - len(missing)} of {len(wanted)} models are trained already")
    if not missing:
        return
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()]
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        bar = progress.add_task("models", total=len(missing))

        def trained(done: int, total: int, what: str) -> None:
            run = missing[done - 1]
            progress.update(bar, completed=done, total=total, description=f"{what}: {run.task} width {run.width}")
            if not console.is_terminal:
                console.print(f"trained {run.task} width {run.width} seed {run.seed}")

        run_jobs(_train, [(run, folder) for run in missing], workers=workers, progress=trained, what="models")


# The mark keeps the usage lines as they stand.
@click.command(help=(__doc__ or "").replace("\n\n    ", "\n\n\b\n    "))
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--task", "tasks", type=click.Choice(list(TASKS)), multiple=True, help="All by default.")
@click.option("--width", "widths", type=click.Choice([str(w) for w in WIDTHS]), multiple=True, help="All by default.")
@click.option("--seed", "seeds", type=click.Choice([str(s) for s in SEEDS]), multiple=True, help="All by default.")
@click.option("--workers", type=click.IntRange(min=1), default=2, show_default=True, help="One-thread processes.")
@click.option("--full-logs", is_flag=True, help="Write full-log_*.json with every item too (about 200 MB).")
@click.option("--force", is_flag=True, help="Replace OUT/ladder.")
def main(
    out: Path,
    *,
    tasks: tuple[str, ...],
    widths: tuple[str, ...],
    seeds: tuple[str, ...],
    workers: int,
    full_logs: bool,
    force: bool,
) -> None:
    """Train what is missing, then write the score repository."""
    wanted = [
        run
        for run in grid_runs()
        if (not tasks or run.task in tasks)
        and (not widths or str(run.width) in widths)
        and (not seeds or str(run.seed) in seeds)
    ]
    target = out / "ladder"
    try:
        if target.exists() and not force:
            raise OutputError(f"{target} exists already; use --force to replace it")
        train_missing(wanted, out / "runs", workers=workers)
        if force:
            shutil.rmtree(target, ignore_errors=True)
        write_repository(out / "runs", target, wanted=wanted, full_logs=full_logs)
    except BigbenchMetaError as error:
        raise click.ClickException(str(error)) from error
    click.echo(target)


if __name__ == "__main__":
    main()
