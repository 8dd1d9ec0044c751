"""From images, or from the results that come with the package, to a folder of tables, figures and findings."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bigbench_meta.experiments.vision.calibration import (
    calibrate,
    shipped_calibration,
    shipped_stopped_ladders,
    stopped_ladders,
)
from bigbench_meta.experiments.vision.outcomes_table import items, registry_rows, shipped, shipped_provenance
from bigbench_meta.experiments.vision.training import train
from bigbench_meta.jobs.experiments import Written
from bigbench_meta.report.section_vision import vision_section

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from bigbench_meta.experiments.vision.datasets import ImageSet
    from bigbench_meta.experiments.vision.training_plan import Plan
    from bigbench_meta.progress import Progress

_LOG = logging.getLogger(__name__)
# The stopped ladders test each curve once for every size left out, so they get fewer draws than the curves themselves.
_MOST_DRAWS_STOPPED = 199


@dataclass(frozen=True)
class Study:
    """Results of image models with how their curves were judged, and where they are from."""

    frame: pd.DataFrame
    calibration: pd.DataFrame
    stopped: pd.DataFrame
    provenance: Mapping[str, object]
    source: str


def shipped_study(experiments: Sequence[str]) -> Study:
    """Return the results that come with the package, of the named experiments only."""
    frame = shipped()
    return Study(
        frame=frame[frame["family"].isin(experiments)].reset_index(drop=True),
        calibration=shipped_calibration(),
        stopped=shipped_stopped_ladders(),
        provenance=shipped_provenance(),
        source="trained on scikit-learn's digits; they come with the package",
    )


def trained_study(
    images: ImageSet,
    models: Path,
    *,
    plan: Plan,
    experiments: Sequence[str],
    jobs: int,
    draws: int,
    command: str,
    progress: Progress | None = None,
) -> Study:
    """Train every model anew and judge the curves.

    Parameters
    ----------
    images : ImageSet
        What to train on.
    models : Path
        Folder of finished models, from which a stopped run goes on.
    plan, experiments, jobs, progress
        As for `train`.
    draws : int
        Draws of each test.
    command : str
        The command that asks for this, kept with the results.
    """
    _LOG.info("finished models are kept in %s; a stopped run goes on from them", models)
    trained = train(images, models, plan=plan, experiments=tuple(experiments), jobs=jobs, progress=progress)
    _LOG.info("trained in %s minutes; now judging the curves", trained.provenance["minutes"])
    # one generator each: either is made again without the other
    calibration_rng, stopped_rng = (np.random.default_rng(plan.seed) for _ in range(2))
    return Study(
        frame=trained.frame,
        calibration=calibrate(trained.frame, rng=calibration_rng, draws=draws, progress=progress),
        stopped=stopped_ladders(
            trained.frame, rng=stopped_rng, draws=min(draws, _MOST_DRAWS_STOPPED), progress=progress
        ),
        provenance=trained.provenance | {"command": command},
        source=f"trained on {images.name} by this run",
    )


def write_study(study: Study, out: Path, *, force: bool = False) -> Written:
    """Write the study's tables, its figures with their data, and its findings."""
    from bigbench_meta.export.run_folder import write_run_folder
    from bigbench_meta.figures.style import FORMATS, figure_bytes

    shown = vision_section(study.frame, source=study.source, calibration=study.calibration, stopped=study.stopped)
    files = {
        f"figures/{figure.name}.{kind}": figure_bytes(figure.figure, kind)
        for figure in shown.figures
        for kind in FORMATS
    }
    files["findings.txt"] = "\n\n".join([*shown.sentences, *shown.caveats, ""]).encode()
    tables = {
        "results": study.frame,
        "items": items(study.frame),
        "metrics": registry_rows(study.frame),
        **{table.name: table.frame for table in shown.tables},
    }
    folder = write_run_folder(out, tables=tables, files=files, provenance=study.provenance, force=force)
    return Written(folder, list(shown.sentences))
