"""What the paper does: its meta-analysis, `mirage`, and beyond it `theory`, `rescore`, `predictions` and `vision`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from bigbench_meta.cli.options import (
    cluster_option,
    definitions_option,
    draws_option,
    items_option,
    json_option,
    metric_option,
    out_folder_options,
    seed_option,
    source_argument,
    source_options,
)
from bigbench_meta.cli.steps import given, got, say, say_notes, show_columns, show_written, shown_progress

# The seed of the results that come with the package, as in vision.Plan, which --help need not load.
_VISION_SEED = 20261122


@click.command("mirage")
@source_argument
@items_option
@source_options
@definitions_option
@out_folder_options("bigbench-meta-mirage")
@json_option
def mirage_command(
    source: str,
    *,
    items: Path | None,
    ref: str | None,
    path: str | None,
    cache_dir: Path | None,
    offline: bool,
    definitions: bool,
    out: Path,
    force: bool,
    as_json: bool,
) -> None:
    """Redo the meta-analysis of the paper, sec. 4: each published figure, that of SOURCE, and why they differ.

    SOURCE is what `run` takes (default: ladder, the packaged one). The comparison is shown on stderr and written as CSV and
    Markdown, with every curve behind it and the figures beside the paper's 5A, 5B, 5C and 6.
    """
    from bigbench_meta.export import check_run_folder, keep_apart
    from bigbench_meta.jobs.experiments import write_mirage
    from bigbench_meta.jobs.given import read_given
    from bigbench_meta.jobs.sources import Selection

    check_run_folder(out, force=force)
    keep_apart(written=[out], read=[source, items])
    known, _ = read_given(items=items)
    found = got(
        source, ref=ref, cache_dir=cache_dir, offline=offline, definitions=definitions, selection=Selection(path=path)
    )
    results = found.results
    say_notes(found)
    settings = {
        "source": results.source,
        "commit": results.commit,
        "items": None if items is None else str(items),
        "problems": len(results.problems),
    }
    written, comparison = write_mirage(
        results.frame,
        out,
        items=found.items if known is None else known,
        definitions=found.definitions,
        settings=settings,
        force=force,
    )
    if not as_json:
        show_columns(comparison, title=f"Schaeffer et al. 2023, sec. 4, beside {settings['source']}")
    show_written(written, as_json=as_json)


@click.command("theory")
@click.option("--c", default=1e8, show_default=True, help="Scale at which a token costs one nat.")
@click.option("--alpha", default=-0.34, show_default=True, help="Exponent of the loss, below 0.")
@click.option("--length", default=5, show_default=True, help="Tokens of a target.")
@click.option("--options", default=4, show_default=True, help="Choices of a multiple-choice item.")
@click.option("--test-items", default=100, show_default=True, help="Items of the test that measures a curve.")
@click.option(
    "--fit",
    "measured",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV of measured curves (scale, accuracy, n_items[, task, family]): fit c and alpha to each, at --length.",
)
@seed_option()
@out_folder_options("bigbench-meta-theory")
@json_option
def theory_command(
    *,
    c: float,
    alpha: float,
    length: int,
    options: int,
    test_items: int,
    measured: Path | None,
    seed: int,
    out: Path,
    force: bool,
    as_json: bool,
) -> None:
    """Draw what the paper's mathematical model says of every metric, and write its tables and figure."""
    from bigbench_meta.experiments.theory.model import Theory
    from bigbench_meta.jobs.experiments import write_theory

    theory = Theory(c=c, alpha=alpha, length=length, options=options, items=test_items)
    show_written(write_theory(theory, out, seed=seed, measured=measured, force=force), as_json=as_json)


@click.command("rescore")
@click.argument("logs", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@metric_option
@click.option(
    "--tokens",
    type=click.Choice(["word", "character"]),
    default="word",
    show_default=True,
    help="What the token metrics count.",
)
@click.option(
    "--output-regex",
    default="",
    metavar="REGEX",
    help="Score the first match in each output that is not of a full log; bigbench for BIG-bench's default (default: the output as it is).",
)
@click.option(
    "--workers", type=click.IntRange(min=-1), default=1, show_default=True, help="Processes; -1 for all cores."
)
@cluster_option
@out_folder_options("bigbench-meta-rescored")
@json_option
@click.pass_context
def rescore_command(
    ctx: click.Context,
    *,
    logs: tuple[Path, ...],
    metrics: tuple[str, ...],
    tokens: Literal["word", "character"],
    output_regex: str,
    workers: int,
    cluster: str | None,
    out: Path,
    force: bool,
    as_json: bool,
) -> None:
    """Score fixed model outputs again under many metrics.

    LOGS are BIG-bench full logs, JSON Lines, CSV or Parquet files of outputs (.gz and .xz too), or folders of them.
    """
    from bigbench_meta.cluster import on_cluster
    from bigbench_meta.jobs.experiments import write_rescored

    if cluster and given(ctx, "workers"):
        raise click.UsageError("--workers sets processes on this machine, --cluster the workers elsewhere: give one")
    with shown_progress() as progress, on_cluster(cluster):
        written, _ = write_rescored(
            logs,
            out,
            metrics=metrics or None,
            unit=tokens,
            output_regex=output_regex,
            workers=-1 if cluster else workers,
            force=force,
            progress=progress,
        )
    show_written(written, as_json=as_json)


@click.command("predictions")
@click.argument("sources", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--scores", is_flag=True, help="SOURCES is one table of scores, not of outputs: prediction 1 alone.")
@click.option(
    "--models",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV with columns model, scale and, if wanted, family, for SOURCES that do not say.",
)
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="FIELD=NAME",
    help="What SOURCES call a field, such as output=prediction or accuracy=em; may be repeated.",
)
@click.option(
    "--smooth",
    "smooth",
    multiple=True,
    metavar="METRIC",
    help="SOURCES is one table or folder of scores: is --hard one function of this metric? log:ppl takes the logarithm; may be repeated.",
)
@click.option("--hard", default="acc", show_default=True, help="With --smooth: the metric that may be sharp.")
@click.option(
    "--where",
    "where",
    multiple=True,
    metavar="COLUMN=VALUE",
    help="With --smooth: only rows of the table with this value; may be repeated.",
)
@items_option
@draws_option(least=99)
@seed_option()
@out_folder_options("bigbench-meta-predictions")
@json_option
@click.pass_context
def predictions_command(
    ctx: click.Context,
    *,
    sources: tuple[Path, ...],
    scores: bool,
    models: Path | None,
    columns: tuple[str, ...],
    smooth: tuple[str, ...],
    hard: str,
    where: tuple[str, ...],
    items: Path | None,
    draws: int,
    seed: int,
    out: Path,
    force: bool,
    as_json: bool,
) -> None:
    """Test the paper's three predictions on fixed outputs; without SOURCES on those of the packaged model ladder.

    SOURCES are JSON Lines, CSV or Parquet files with a row for each output (model, scale, target, output and, if there are
    any, task, subtask, family, target_logprobs), or BIG-bench full logs; with --scores one table of scores. With --smooth the question
    is part 1b on models without outputs: is accuracy one function of a smooth measure, over sizes, families and training?
    """
    import numpy as np

    if smooth:
        if other := given(ctx, "scores", "models", "columns", "draws"):
            raise click.UsageError(f"{other}: not with --smooth, which reads a table of scores as it is")
        if len(sources) != 1:
            raise click.UsageError("--smooth: expected exactly one table or folder of scores")
        _one_function(sources[0], hard, smooth, where, items, seed=seed, out=out, force=force, as_json=as_json)
        return
    if refused := given(ctx, "hard", "where", "items"):
        raise click.UsageError(f"{refused}: only with --smooth")

    from bigbench_meta.experiments.predictions.outputs import RENAMED, load_outputs
    from bigbench_meta.experiments.predictions.score_tables import KNOWN, load_scores
    from bigbench_meta.experiments.predictions.together import judge_outputs, judge_packaged, judge_scores
    from bigbench_meta.export import check_run_folder, keep_apart
    from bigbench_meta.jobs.experiments import write_predictions

    if scores and len(sources) != 1:
        raise click.UsageError("--scores: expected exactly one table")
    if not sources and (models is not None or columns):
        raise click.UsageError("--models and --column speak of SOURCES: name at least one file")
    names = _field_names(columns, tuple(KNOWN) if scores else RENAMED)
    check_run_folder(out, force=force)
    keep_apart(written=[out], read=[*sources, models])
    rng, notes = np.random.default_rng(seed), []
    if scores:
        table = load_scores(sources[0], models=models, columns=names)
        found, notes = judge_scores(table.table, rng=rng, draws=draws), table.notes
    elif not sources:
        found = judge_packaged(rng=rng, draws=draws)
    else:
        outputs = load_outputs(sources, models=models, columns=names)
        notes = outputs.notes
        if outputs.problems:
            first = outputs.problems[0]
            place = f"{first.file}, {first.where}: {first.problem}; expected {first.expected}"
            notes = [f"{len(outputs.problems)} records left out, first {place}", *notes]
        found = judge_outputs(outputs, rng=rng, draws=draws)
    for note in notes:
        say(note)
    settings = {
        "sources": [str(path) for path in sources] or ["the packaged model ladder"],
        "scores": scores,
        "models": None if models is None else str(models),
        "columns": names,
        "draws": draws,
        "seed": seed,
        "notes": notes,
    }
    show_written(write_predictions(found, out, settings=settings, force=force), as_json=as_json)


def _one_function(
    source: Path,
    hard: str,
    smooth: tuple[str, ...],
    where: tuple[str, ...],
    items: Path | None,
    *,
    seed: int,
    out: Path,
    force: bool,
    as_json: bool,
) -> None:
    import numpy as np

    from bigbench_meta.experiments.predictions.one_function import one_function
    from bigbench_meta.experiments.predictions.score_tables import read_table, rows_where
    from bigbench_meta.export import check_run_folder, keep_apart
    from bigbench_meta.jobs.experiments import write_one_function
    from bigbench_meta.jobs.given import read_given

    check_run_folder(out, force=force)
    keep_apart(written=[out], read=[source, items])
    table = source.suffix in (".csv", ".parquet") or source.name.endswith((".csv.gz", ".csv.xz"))
    frame = read_table(source) if table else got(str(source), ref=None, cache_dir=None, offline=False).results.frame
    chosen = rows_where(frame, where)
    known, _ = read_given(items=items)
    if known is not None:
        chosen = chosen.assign(n_items=chosen["task"].astype(str).map(known.groupby("task")["n_items"].min()))
    found = one_function(chosen, hard=hard, smooth=smooth, rng=np.random.default_rng(seed))
    settings = {
        "sources": [str(source)], "hard": hard, "smooth": list(smooth), "where": list(where),
        "items": None if items is None else str(items), "seed": seed, "rows": len(chosen), "rows_left_out": len(frame) - len(chosen),
    }  # fmt: skip
    show_written(write_one_function(found, out, settings=settings, force=force), as_json=as_json)


def _field_names(columns: tuple[str, ...], fields: tuple[str, ...]) -> dict[str, str]:
    """Turn ``FIELD=NAME`` options into a mapping."""
    names: dict[str, str] = {}
    for option in columns:
        field, equals, name = option.partition("=")
        if not (equals and name and field in fields):
            raise click.UsageError(f"--column {option}: expected FIELD=NAME with FIELD one of {', '.join(fields)}")
        if field in names or name in names.values():
            raise click.UsageError(f"--column {option}: the field or the name was given before; expected each once")
        names[field] = name
    return names


@click.command("vision")
@click.option("--train", is_flag=True, help="Train every model again (needs PyTorch); an interrupted run goes on.")
@click.option(
    "--experiment",
    "experiments",
    type=click.Choice(["autoencoder", "lenet", "transformer"]),
    multiple=True,
    help="Only this one; may be repeated.",
)
@click.option(
    "--images", type=click.Choice(["digits", "mnist", "cifar100", "omniglot"]), help="With --train: the images."
)
@click.option("--data", type=click.Path(path_type=Path), help="With --train: folder or archive that holds the images.")
@click.option("--trials", type=click.IntRange(min=1), help="With --train: models per size (default 5).")
@click.option("--jobs", type=click.IntRange(min=1), help="With --train: processes (default 1).")
@seed_option(default=_VISION_SEED)
@draws_option(least=19)
@out_folder_options("bigbench-meta-vision")
@json_option
@click.pass_context
def vision_command(
    ctx: click.Context,
    *,
    train: bool,
    experiments: tuple[str, ...],
    images: str | None,
    data: Path | None,
    trials: int | None,
    jobs: int | None,
    seed: int,
    draws: int,
    out: Path,
    force: bool,
    as_json: bool,
) -> None:
    """Show how the choice of metric makes emergence appear in image models, and go away.

    Without --train the results that come with the package are drawn; PyTorch is not needed. With it, finished models are
    kept beside the output folder, in one that ends in -models.
    """
    from bigbench_meta.experiments import vision
    from bigbench_meta.export import check_run_folder, keep_apart
    from bigbench_meta.jobs.vision import shipped_study, trained_study, write_study

    of_training = ("images", "data", "trials", "jobs", "seed", "draws")
    asked = [name for name in of_training if given(ctx, name)]
    if asked and not train:
        raise click.UsageError(
            f"{given(ctx, *asked)}: only with --train; without it the results that come with the package are drawn"
        )
    check_run_folder(out, force=force)
    models = out.resolve().with_name(f"{out.resolve().name}-models")
    keep_apart(written=[out, models], read=[data])
    chosen = tuple(name for name in vision.EXPERIMENTS if not experiments or name in experiments)
    if train:
        vision.require_torch()
        options = [("experiment", name) for name in experiments] + [(name, ctx.params[name]) for name in asked]
        with shown_progress() as progress:
            study = trained_study(
                vision.load_images(images or "digits", data),
                models,
                plan=vision.Plan(seed=seed, trials=trials or vision.Plan.trials),
                experiments=chosen,
                jobs=jobs or 1,
                draws=draws,
                command=" ".join(["bigbench-meta vision --train", *(f"--{name} {value}" for name, value in options)]),
                progress=progress,
            )
    else:
        study = shipped_study(chosen)
    show_written(write_study(study, out, force=force), as_json=as_json)
