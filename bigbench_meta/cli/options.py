"""Options that mean the same in every command: one spelling and one help text each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

Command = Callable[..., None]
Option = Callable[[Command], Command]


def source_options(command: Command) -> Command:
    """Add --ref, --cache-dir, --offline and --path: how a source is got."""
    for option in (
        click.option("--offline", is_flag=True, help="Never open a network connection."),
        click.option(
            "--cache-dir", type=click.Path(path_type=Path, readable=False), help="Where fetched sources are kept."
        ),
        click.option("--ref", help="Branch, tag or full commit id of a git source (default: HEAD)."),
        click.option("--path", metavar="GLOB", help="Only files of the source that match, such as 'evals/*/*.json'."),
    ):
        command = option(command)
    return command


def harness_options(command: Command) -> Command:
    """Add --format and --models: how results of evaluation harnesses are read."""
    for option in (
        click.option(
            "--models",
            type=click.Path(path_type=Path),
            help="CSV file pattern, total_params[, family, model, tokens ...]: models that the packaged table does not know.",
        ),
        click.option(
            "--format",
            "format_",
            help="Read only files of this tool: lm-eval, lm-eval-old, helm, inspect, every-eval-ever, lighteval, opencompass.",
        ),
    ):
        command = option(command)
    return command


axis_option = click.option(
    "--axis",
    type=click.Choice(["params", "compute", "tokens", "step", "loss"]),
    default="params",
    show_default=True,
    help="What orders the models of a curve.",
)
definitions_option = click.option(
    "--definitions", is_flag=True, help="Read task definitions (task.json) to count items, however large they are."
)
# What every command analyses where nothing is named: it comes with the package and needs no network.
source_argument = click.argument("source", default="ladder")


items_option = click.option(
    "--items", type=click.Path(path_type=Path), help="CSV file task, n_items[, subtask, family]: items a point."
)
lengths_option = click.option(
    "--lengths", type=click.Path(path_type=Path), help="CSV file task, target_length[, subtask]: tokens of the targets."
)
strict_option = click.option("--strict", is_flag=True, help="Any problem of the source is a failure.")
force_option = click.option("--force", is_flag=True, help="Replace earlier output.")
metric_option = click.option("--metric", "metrics", multiple=True, help="Only this metric; may be repeated.")
cluster_option = click.option(
    "--cluster", help="Address of a Dask scheduler whose workers share the work (needs the extra distributed)."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


metrics_file_option = click.option(
    "--metrics-file",
    type=click.Path(path_type=Path),
    help="CSV file metric, direction[, task, low, high, linearity, continuous]: your own rows of the metric registry.",
)
human_option = click.option(
    "--human",
    type=click.Path(path_type=Path),
    help="Human raters' scores for reference lines: task_human_eval.pkl, or a CSV file task[, metric] and a column for each rater.",
)


def seed_option(*, default: int = 0) -> Option:
    """Add --seed."""
    return click.option(
        "--seed", type=click.IntRange(min=0), default=default, show_default=True, help="Seed of every random choice."
    )


def draws_option(*, least: int, default: int = 999) -> Option:
    """Add --draws, of which a command needs at least ``least``."""
    return click.option(
        "--draws",
        type=click.IntRange(min=least),
        default=default,
        show_default=True,
        help="Draws of each null or interval.",
    )


def analysis_options(*, draws: int = 999) -> Option:
    """Add --seed, --draws, --items, --lengths and --metrics-file: how curves are tested."""

    def add(command: Command) -> Command:
        tests = draws_option(least=19, default=draws)
        return seed_option()(tests(items_option(lengths_option(metrics_file_option(command)))))

    return add


def out_folder_options(default: str) -> Option:
    """Add --out and --force: the folder a command writes, and whether it may replace its own earlier output."""

    def add(command: Command) -> Command:
        path = click.Path(path_type=Path)
        return click.option(
            "--out", type=path, default=Path(default), show_default=True, help="Folder to write, whole or not at all."
        )(force_option(command))

    return add


def out_file_options(names: str) -> Option:
    """Add --out and --force: the file a command writes, by default none, and whether it may replace one of its own."""

    def add(command: Command) -> Command:
        path = click.Path(dir_okay=False, path_type=Path)
        return click.option("--out", type=path, help=f"{names} (default: CSV on stdout).")(force_option(command))

    return add
