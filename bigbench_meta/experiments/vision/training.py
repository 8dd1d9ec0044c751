"""Train every model of an experiment, one file per finished model, so that a killed run goes on where it stopped.

A finished model's outcomes are written to a temporary file and renamed: a file that exists is whole. It carries the
fingerprint of everything that decided it; a file with another fingerprint, or damaged, is trained again and said so.
"""

from __future__ import annotations

import hashlib
import logging
import platform
import time
import zipfile
import zlib
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bigbench_meta import __version__
from bigbench_meta.atomic import whole_file
from bigbench_meta.errors import OutputError, missing_extra
from bigbench_meta.experiments.vision.outcomes_table import Finished, deciding_scores, results_frame
from bigbench_meta.experiments.vision.training_plan import (
    EXPERIMENTS,
    Job,
    Plan,
    Split,
    finer,
    ladder,
    median_size,
    split,
)
from bigbench_meta.parallel import run_jobs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import pandas as pd

    from bigbench_meta.experiments.vision.datasets import ImageSet
    from bigbench_meta.progress import Progress

log = logging.getLogger(__name__)

# Each round about halves the gaps; after that many the integers of a narrow rise are used up.
_REFINEMENTS = 3


class Training(NamedTuple):
    """Results of a training run, and what made them."""

    frame: pd.DataFrame
    provenance: dict[str, object]


def require_torch() -> None:
    """Raise `MissingExtraError` where PyTorch is not installed."""
    if find_spec("torch") is None:
        raise missing_extra(
            "training needs PyTorch, which is not installed",
            "train",
            otherwise="; or run without --train for the results that come with the package",
        )


def train(
    images: ImageSet,
    folder: Path,
    *,
    plan: Plan | None = None,
    experiments: Sequence[str] = EXPERIMENTS,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Training:
    """Train the experiments on ``images`` and return their results.

    Parameters
    ----------
    images : ImageSet
    folder : Path
        Holds one ``.npz`` file per finished model; made if needed. Files of an earlier, interrupted run with the same
        images, plan and versions are used as they are.
    plan : Plan, optional
        The default plan trains each size five times.
    experiments : sequence of str
        Any of `EXPERIMENTS`.
    jobs : int
        Processes; each trains one model at a time in one thread. Has no influence on the numbers.
    progress : callable, optional
        Called with models done, models in all, and the name of the experiment.

    Returns
    -------
    Training
        ``frame`` is RESULTS with a further column ``n_items``; see `results.results_frame`.

    Raises
    ------
    MissingExtraError
        If PyTorch is not installed.
    OutputError
        If ``folder`` cannot be written.

    Notes
    -----
    If a deciding metric of an experiment (`results.DECIDING`) has fewer than three sizes between 10% and 90% of its
    rise, sizes are added by `plan.finer`, up to three times. The threshold c of `reconstruction`
    stays that of the median size of the starting ladder.
    """
    require_torch()
    plan = plan or Plan()
    parts = split(images, plan)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise OutputError(f"{folder} cannot be made: {err.strerror}; choose another --out") from err
    started = time.monotonic()
    context = _Context(images, plan, parts, folder, fingerprint(images, plan))

    finished: list[Finished] = []
    ladders: dict[str, object] = {}
    for experiment in experiments:
        sizes = list(ladder(experiment, images, plan))
        anchor = median_size(sizes)
        history = [list(sizes)]
        added: Sequence[int] = sizes
        done: list[Finished] = []
        for round_ in range(_REFINEMENTS + 1):
            wanted = [Job(experiment, size, trial) for size in added for trial in range(plan.trials)]
            done += _train_all(context, wanted, jobs=jobs, progress=progress)
            curves = deciding_scores(done, images, plan=plan, anchor=anchor)
            added = sorted({size for scores in curves for size in finer(sorted(sizes), scores)})
            if not added or round_ == _REFINEMENTS:
                break
            sizes += added
            history.append(list(added))
        finished += done
        ladders[experiment] = {"started_from": history[0], "added": history[1:], "anchor": anchor}

    anchors = {name: int(entry["anchor"]) for name, entry in ladders.items()}  # type: ignore[index]
    frame = results_frame(finished, images, plan=plan, anchors=anchors)
    provenance = _provenance(images, plan, parts, frame, ladders, minutes=(time.monotonic() - started) / 60)
    return Training(frame, provenance)


class _Context(NamedTuple):
    """What every model of a run shares."""

    images: ImageSet
    plan: Plan
    parts: Split
    folder: Path
    fingerprint: str


def fingerprint(images: ImageSet, plan: Plan) -> str:
    """Return a hash of all that decides a model's outcomes besides its job: images, plan but for the ladders, PyTorch."""
    from importlib.metadata import version

    words = [images.digest, Plan(**{**plan.__dict__, "sizes": {}, "trials": 0}).to_json(), version("torch")]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()


def _train_all(context: _Context, wanted: Sequence[Job], *, jobs: int, progress: Progress | None) -> list[Finished]:
    """Return the outcomes of all jobs in their order, training those that no file holds."""
    found = {job: read_finished(context.folder, job, expected=context.fingerprint) for job in wanted}
    missing = [job for job in wanted if found[job] is None]
    n_done = len(wanted) - len(missing)
    experiment = wanted[0].experiment if wanted else ""
    if progress:
        progress(n_done, len(wanted), experiment)

    def trained(done: int, total: int, what: str) -> None:  # noqa: ARG001 - of all models, with those found finished
        if progress:
            progress(n_done + done, len(wanted), experiment)

    # Wide models take longest: they go first, so that no process waits at the end for the other one.
    order = sorted(missing, key=lambda job: -job.size)
    run_jobs(partial(_train_one, context), order, workers=jobs, progress=trained)
    done = [found[job] or read_finished(context.folder, job, expected=context.fingerprint) for job in wanted]
    lost = [job.stem for job, item in zip(wanted, done, strict=True) if item is None]
    if lost:
        raise OutputError(f"{context.folder}: {', '.join(lost)} vanished or changed while training; run again")
    return [item for item in done if item is not None]


def _train_one(context: _Context, job: Job) -> None:
    from bigbench_meta.experiments.vision.models import train_model

    outcomes = train_model(context.images, job, plan=context.plan, parts=context.parts)
    path = context.folder / f"{job.stem}.npz"
    arrays = {
        **outcomes.arrays,
        "fingerprint": np.array(context.fingerprint),
        "parameters": np.array(outcomes.parameters),
    }
    save: Callable[..., None] = np.savez_compressed  # its stubs take every name for ``allow_pickle``
    try:
        with whole_file(path) as stream:
            save(stream, **arrays)
    except OSError as err:
        raise OutputError(f"{path} cannot be written: {err.strerror}; models finished so far are kept") from err


def read_finished(folder: Path, job: Job, *, expected: str) -> Finished | None:
    """Return the outcomes of a finished model, or None where there is no file of it that can be used."""
    path = folder / f"{job.stem}.npz"
    if not path.is_file():
        return None
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        found = str(arrays.pop("fingerprint"))
        parameters = int(arrays.pop("parameters"))
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, zlib.error) as err:
        log.warning("%s is damaged (%s): the model is trained again", path, err)
        return None
    if found != expected:
        log.warning("%s comes from other images, settings or another PyTorch: the model is trained again", path)
        return None
    return Finished(job, parameters, arrays)


def _provenance(
    images: ImageSet, plan: Plan, parts: Split, frame: pd.DataFrame, ladders: dict[str, object], *, minutes: float
) -> dict[str, object]:
    """Return what made the numbers, as plain values for JSON."""
    from importlib.metadata import version

    from bigbench_meta.experiments.vision.outcomes_table import HEADLINE_QUANTILE, QUANTILES, threshold_table

    return {
        "images": {
            "name": images.name,
            "n": len(images.labels),
            "shape": list(images.images.shape[1:]),
            "sha256": images.digest,
        },
        "split": {"training": len(parts.training), "validation": len(parts.validation), "test": len(parts.test)},
        "plan": plan.__dict__,
        "ladders": ladders,
        "thresholds": {
            "rule": "quantiles of the squared errors of the median-size model on validation images, all trials together, "
            f"rounded to three digits; the headline is the quantile {HEADLINE_QUANTILE}; fixed before any test image was scored",
            "quantiles": list(QUANTILES),
            "c": threshold_table(frame)["c"].tolist(),
        },
        "minutes": round(minutes, 1),
        "versions": {
            "bigbench_meta": __version__,
            "python": platform.python_version(),
            "torch": version("torch"),
            "numpy": np.__version__,
        },
    }
