"""From settings to an output folder: the paper's meta-analysis, its theory, rescored outputs, and the three predictions."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from bigbench_meta import __version__
from bigbench_meta.export.guards import keep_apart
from bigbench_meta.export.run_folder import building_folder, check_run_folder, fill_run_folder, write_run_folder
from bigbench_meta.figures.style import FORMATS, figure_bytes, publication_style

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    from matplotlib.figure import Figure

    from bigbench_meta.experiments.predictions.one_function import OneFunction
    from bigbench_meta.experiments.predictions.together import Predictions
    from bigbench_meta.experiments.rescoring.item_metrics import TokenUnit
    from bigbench_meta.experiments.rescoring.scoring import Rescored
    from bigbench_meta.experiments.theory.model import Theory
    from bigbench_meta.progress import Progress

# Scales of the theory's table: quarter decades over the six around the usual c, so that curves look smooth.
THEORY_SCALES = np.logspace(6, 12, 25)
_Names = TypeVar("_Names", bound=tuple[str, ...])
# Figures of the predictions are drawn for as many tasks; their tables hold all.
_MOST_FIGURES = 12
# So many characters of a name stand in the name of a file; two names, a digest and the ending stay below 100.
_LONGEST = 32
# Up to so many verdicts are all told in words; of more, a third for each prediction.
_MOST_SENTENCES = 12


@dataclass(frozen=True)
class Written:
    """Folder that was written, and sentences on what is in it."""

    folder: Path
    sentences: list[str]


def write_mirage(
    results: pd.DataFrame,
    out: Path,
    *,
    settings: Mapping[str, object],
    items: pd.DataFrame | None = None,
    definitions: pd.DataFrame | None = None,
    force: bool = False,
) -> tuple[Written, pd.DataFrame]:
    """Write the paper's figures beside those of a RESULTS frame, as CSV, Markdown and drawings; return the comparison too."""
    from bigbench_meta.experiments.mirage import NOT_COMPARABLE, redo
    from bigbench_meta.export.paper_tables import markdown_text
    from bigbench_meta.export.table_bytes import csv_bytes
    from bigbench_meta.report.mirage_figures import mirage_figures

    check_run_folder(out, force=force)
    found = redo(results, items=items, definitions=definitions)
    drawn = mirage_figures(results, found.curves)
    silent = int(found.comparison["ours"].eq(NOT_COMPARABLE).sum())
    folder = write_run_folder(
        out,
        tables={"comparison": found.comparison, "mirage_curves": found.curves},
        files={
            "comparison.md": markdown_text(found.comparison).encode("utf-8", "backslashreplace"),
            **{f"figures/{name}.csv": csv_bytes(name, data) for name, (_, data) in drawn.items()},
            **_figure_files({name: figure for name, (figure, _) in drawn.items()}),
        },
        provenance=_provenance("mirage", settings, kind="real and claimed"),
        force=force,
    )
    sentences = [
        f"{len(found.comparison)} published figures beside ours, {silent} of them {NOT_COMPARABLE} with this source."
    ]
    return Written(folder, sentences), found.comparison


def write_theory(theory: Theory, out: Path, *, seed: int, measured: Path | None = None, force: bool = False) -> Written:
    """Write the theory's curves, their summary and the six-panel figure; and its fits to ``measured`` curves."""
    from bigbench_meta.experiments.predictions.score_tables import load_curves
    from bigbench_meta.experiments.theory.fit import fit_curves, told
    from bigbench_meta.experiments.theory.model import equivalent_scale, rise_width, theory_summary, theory_table
    from bigbench_meta.experiments.theory.panels import theory_figure
    from bigbench_meta.experiments.theory.rouge import rouge_table, said_of_rouge

    check_run_folder(out, force=force)
    keep_apart(written=[out], read=[measured])
    curves = None if measured is None else load_curves(measured)
    table = theory_table(theory, scales=THEORY_SCALES * theory.c / 1e8, rng=np.random.default_rng(seed))
    summary = theory_summary(table)
    with publication_style():
        figure = theory_figure(table, summary, c=theory.c, alpha=theory.alpha)
    alone = equivalent_scale(theory.c, alpha=theory.alpha, length=theory.length)
    sentences = [
        f"Accuracy climbs from 10% to 90% over {rise_width(theory.alpha):.2f} decades of scale, whatever c and the target length.",
        f"From accuracy alone {theory.length} tokens at c = {theory.c:.3g} and one token at c = {alone:.3g} cannot be told apart.",
        f"A test of {theory.items} items moves in steps of {1 / theory.items:.3g}.",
    ]
    rouge = rouge_table(rng=np.random.default_rng([seed, 2]))
    sentences.append(said_of_rouge(rouge))
    tables = {"theory": table, "theory_summary": summary, "theory_rouge": rouge}
    arguments: dict[str, object] = {**asdict(theory), "seed": seed}
    if curves is not None:
        fits = fit_curves(curves, length=theory.length, rng=np.random.default_rng([seed, 1]))
        tables |= {"theory_fits": fits}
        arguments |= {"fit": str(measured)}
        sentences += [told(row) for row in fits.to_dict("records")]
    folder = write_run_folder(
        out,
        tables=tables,
        files=_figure_files({"theory": figure}),
        provenance=_provenance("theory", arguments, kind="theory"),
        force=force,
    )
    return Written(folder, sentences)


def write_rescored(
    logs: Sequence[Path],
    out: Path,
    *,
    metrics: Iterable[str] | None,
    unit: TokenUnit,
    output_regex: str = "",
    workers: int = 1,
    force: bool = False,
    progress: Progress | None = None,
) -> tuple[Written, Rescored]:
    """Write the scores of outputs, their items, and how they agree with what the logs state."""
    from bigbench_meta.experiments.rescoring.many_files import rescore_parts
    from bigbench_meta.experiments.rescoring.output_text import compile_regex
    from bigbench_meta.experiments.rescoring.scoring import Settings, chosen_metrics, combine, unique_files

    if output_regex:
        compile_regex(output_regex)  # before any work
    settings = Settings(chosen_metrics(metrics), unit, output_regex)
    files = unique_files(logs)
    check_run_folder(out, force=force)
    keep_apart(written=[out], read=files)
    with building_folder(out, force=force) as building:
        parts = rescore_parts(files, settings, folder=building / "items", workers=workers, progress=progress)
        found = combine(parts)
        counts = {"read": found.read, "scored": found.scored, "left_out": found.left_out}
        fill_run_folder(
            building,
            tables={
                "results": found.results,
                "agreement": found.agreement,
                "disagreements": found.disagreements,
                "problems": found.problems,
            },
            files={},
            provenance=_provenance(
                "rescore",
                {"files": [str(file) for file in files], **asdict(settings)},
                kind="real",
                counts=counts,
            ),
        )
    compared, equal = int(found.agreement["compared"].sum()), int(found.agreement["equal"].sum())
    sentences = [
        f"{found.scored} of {found.read} items scored, {found.left_out} records left out, {len(found.problems)} problems.",
        f"{equal} of {compared} recorded values agree." if compared else "The files record no value to compare with.",
    ]
    return Written(out.resolve(), sentences), found


def write_predictions(found: Predictions, out: Path, *, settings: Mapping[str, object], force: bool = False) -> Written:
    """Write the verdicts, every table behind them, and a figure for each task and prediction."""
    with publication_style():
        figures = prediction_figures(found)
    verdicts = found.verdicts
    counts = verdicts.groupby(["prediction", "verdict"], as_index=False).size()
    sentences = [
        f"prediction {number}: {verdict} {count} times" for number, verdict, count in counts.itertuples(index=False)
    ]
    told = verdicts.sort_values(["prediction", "verdict"], kind="stable")
    if len(told) > _MOST_SENTENCES:
        told = told[told["verdict"] != "undecided"].groupby("prediction").head(_MOST_SENTENCES // 3)
        sentences.append(
            f"{len(verdicts)} verdicts with their sentences are in tables/verdicts.csv; the first decided ones:"
        )
    sentences += [
        f"prediction {row['prediction']}, {row['subtask']}, {row['family']}: {row['sentence']}"
        for row in told.to_dict("records")
    ]
    if len(figures) < (whole := _drawable(found)):
        sentences.append(f"{len(figures)} of {whole} figures are drawn; every point is in the tables")
    folder = write_run_folder(
        out,
        tables={"verdicts": verdicts, **found.tables},
        files=_figure_files(figures),
        provenance=_provenance("predictions", settings, kind="real"),
        force=force,
    )
    return Written(folder, sentences)


def write_one_function(
    found: OneFunction, out: Path, *, settings: Mapping[str, object], force: bool = False
) -> Written:
    """Write whether accuracy is one function of each smooth measure: verdicts, groups, shapes, points, and figures."""
    from matplotlib.figure import Figure

    from bigbench_meta.experiments.predictions.function_plots import accuracy_against_smooth

    shapes = found.shapes
    keys = list(zip(shapes["task"], shapes["smooth"], strict=True))
    names = _file_names("one-function", keys)
    figures: dict[str, Figure] = {}
    with publication_style():
        for (task, smooth), name in names.items():
            own = found.points[(found.points["task"] == task) & (found.points["smooth"] == smooth)]
            shape = shapes[(shapes["task"] == task) & (shapes["smooth"] == smooth)].iloc[0]
            figures[name] = figure = Figure(figsize=(5.2, 3.8), layout="constrained")
            accuracy_against_smooth(own, shape, figure.subplots())
    verdicts = found.verdicts
    counts = verdicts.groupby(["smooth", "factor", "verdict"], as_index=False).size()
    sentences = [
        f"{smooth}, over {factor}: {verdict} in {n} tasks"
        for smooth, factor, verdict, n in counts.itertuples(index=False)
    ]
    if len(verdicts) <= _MOST_SENTENCES:
        sentences += [
            f"{row['task']}, {row['smooth']}, over {row['factor']}: {row['sentence']}"
            for row in verdicts.to_dict("records")
        ]
    named = shapes.groupby(["smooth", "shape"], as_index=False).size()
    sentences += [
        f"{smooth}: the function is a {shape} in {n} tasks" for smooth, shape, n in named.itertuples(index=False)
    ]
    if len(figures) < len(keys):
        sentences.append(f"{len(figures)} of {len(keys)} figures are drawn; every point is in the tables")
    folder = write_run_folder(
        out,
        tables={
            "one_function": verdicts, "one_function_groups": found.groups, "one_function_shapes": shapes,
            "one_function_points": found.points,
        },
        files=_figure_files(figures),
        provenance=_provenance("predictions", settings, kind="real"),
        force=force,
    )  # fmt: skip
    return Written(folder, sentences)


def prediction_figures(found: Predictions) -> dict[str, Figure]:
    """One figure for each task and prediction, where there is something to see: name -> figure."""
    from matplotlib.figure import Figure

    from bigbench_meta.experiments.predictions import plots as draw

    figures: dict[str, Figure] = {}
    tables = found.tables
    if "prediction_1_points" in tables:
        points = tables["prediction_1_points"]
        scales = points.groupby("task")["scale"].nunique()
        for (task,), name in _file_names("prediction-1", [(task,) for task in scales[scales > 1].index]).items():
            figures[name] = figure = Figure(figsize=(9, 3.6), layout="constrained")
            draw.metric_pair(points, tuple(figure.subplots(1, 2)), task=task)
    if "prediction_2_points" in tables:
        families = tables["prediction_2"]
        by_task = {str(task): rows for task, rows in families[families["verdict"] != "undecided"].groupby("task")}
        for (task,), name in _file_names("prediction-2", [(task,) for task in by_task]).items():
            # the subtask with the largest test is where more items show
            subtask = str(by_task[task].sort_values(["n_items", "small_models"]).iloc[-1]["subtask"])
            figures[name] = figure = Figure(figsize=(5.6, 4), layout="constrained")
            args = (tables["prediction_2_points"], tables["prediction_2_models"], figure.subplots())
            draw.item_growth(*args, task=task, subtask=subtask)
    if "prediction_3_points" in tables:
        fitted = tables["prediction_3_points"].dropna(subset=["fitted_accuracy"])
        pairs = list(dict.fromkeys(zip(fitted["task"], fitted["family"], strict=True)))
        for (task, family), name in _file_names("prediction-3", pairs).items():
            figures[name] = figure = Figure(figsize=(9, 3.6), layout="constrained")
            points = tables["prediction_3_points"]
            draw.length_forms(points, tuple(figure.subplots(1, 2)), task=task, family=family)
    if "prediction_3_lengths" in tables:
        by_length = tables["prediction_3_lengths"]
        for (task,), name in _file_names(
            "prediction-3a", [(task,) for task in dict.fromkeys(by_length["task"])]
        ).items():
            figures[name] = figure = Figure(figsize=(4.6, 3.6), layout="constrained")
            draw.from_length_one(by_length, figure.subplots(), task=task)
    return figures


def _drawable(found: Predictions) -> int:
    """How many figures there would be without a limit."""
    tables, count = found.tables, 0
    if "prediction_1_points" in tables:
        count += int(tables["prediction_1_points"].groupby("task")["scale"].nunique().gt(1).sum())
    if "prediction_2" in tables:
        decided = tables["prediction_2"]
        count += decided.loc[decided["verdict"] != "undecided", "task"].nunique()
    if "prediction_3_points" in tables:
        fitted = tables["prediction_3_points"].dropna(subset=["fitted_accuracy"])
        count += len(fitted[["task", "family"]].drop_duplicates())
    if "prediction_3_lengths" in tables:
        count += tables["prediction_3_lengths"]["task"].nunique()
    return count


def _file_names(kind: str, keys: Sequence[_Names]) -> dict[_Names, str]:
    """Names of the figures' files, without ending, for the first of ``keys``.

    Letters and digits are kept. A digest follows where names would be equal then, also to a disk that does not tell
    small letters from capital ones, and where a name is too long to be kept.
    """
    plain = {key: "-".join([kind, *(_plain(name) for name in key)]) for key in keys}
    seen = Counter(name.casefold() for name in plain.values())
    names: dict[_Names, str] = {}
    for key in list(keys)[:_MOST_FIGURES]:
        kept = seen[plain[key].casefold()] == 1 and max(len(name) for name in key) <= _LONGEST
        digest = hashlib.sha256("\0".join(key).encode("utf-8", "backslashreplace")).hexdigest()[:8]
        names[key] = plain[key] if kept else f"{plain[key]}-{digest}"
    return names


def _plain(name: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in name)[:_LONGEST]


def _figure_files(figures: Mapping[str, Figure]) -> dict[str, bytes]:
    return {
        f"figures/{name}.{kind}": figure_bytes(figure, kind) for name, figure in figures.items() for kind in FORMATS
    }


def _provenance(command: str, arguments: Mapping[str, object], *, kind: str, **more: object) -> dict[str, object]:
    return {"command": command, "version": __version__, "kind": kind, "arguments": dict(arguments), **more}
