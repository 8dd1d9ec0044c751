"""From finished models to RESULTS rows, and the results that come with the package.

One task per experiment (``digits_reconstruction``, ``digits_classification``, ``digits_sequences``), the architecture
as family, bottleneck units or parameters as scale, the seeds as trials: curves average over them, bands spread over
them. Metrics of one task are computed from the same outcomes, so that swapping one for the other changes nothing else.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bigbench_meta.errors import TableError
from bigbench_meta.experiments.vision.image_metrics import (
    SEQUENCE_PARTITIONS,
    all_right,
    groups,
    reconstruction,
    thresholds,
)
from bigbench_meta.experiments.vision.training_plan import LONGEST, Job, Plan, split
from bigbench_meta.schema import RESULTS, validate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    from bigbench_meta.experiments.vision.datasets import ImageSet

# The thresholds c: these quantiles of the median-size model's squared errors on validation images, chosen before any
# test image was scored. The headline is the middle one, because any other would need a reason.
QUANTILES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
HEADLINE_QUANTILE = 0.5

TASKS = {"autoencoder": "reconstruction", "lenet": "classification", "transformer": "sequences"}
# The metrics whose rise must hold at least three sizes: the smooth one and the hard one of the published figures.
DECIDING = {
    "autoencoder": ("mean_squared_error", f"quantile={HEADLINE_QUANTILE}"),
    "lenet": ("accuracy", f"subset_accuracy_{LONGEST}"),
    "transformer": ("accuracy", f"sequence_accuracy_{LONGEST}"),
}
_RECONSTRUCTION = "reconstruction_c="
_SUFFIX = {"random": "", "class": "_same_class", "neighbours": "_neighbours"}


class Finished(NamedTuple):
    """The outcomes of one trained model."""

    job: Job
    parameters: int
    arrays: dict[str, NDArray[np.generic]]


class Score(NamedTuple):
    """One number, and the independent items behind it."""

    metric: str
    score: float
    n_items: int


def results_frame(
    finished: Sequence[Finished], images: ImageSet, *, plan: Plan, anchors: Mapping[str, int]
) -> pd.DataFrame:
    """Return every metric of every finished model.

    Parameters
    ----------
    finished : sequence of Finished
    images : ImageSet
        What the models were trained on; names the tasks.
    plan : Plan
        Of the training; its seed draws the groups of images, the same for all models.
    anchors : mapping of experiment to size
        The size whose validation errors fix the thresholds of ``reconstruction``.

    Returns
    -------
    DataFrame
        RESULTS sorted by its key, and one more column: ``n_items``, the independent items behind the score. For groups
        of K images it is the number of *disjoint* groups, although the score averages many partitions, because
        partitions share their images. ``shots`` is -1, BIG-bench's word for where shots make no sense.

    Raises
    ------
    TableError
        If two models stand for the same size and trial.
    """
    import pandas as pd

    c_values = _c_by_quantile(finished, anchors.get("autoencoder"))
    preferred = {"lenet": DECIDING["lenet"][1], "transformer": DECIDING["transformer"][1]}
    if c_values:
        preferred["autoencoder"] = metric_of_c(c_values[HEADLINE_QUANTILE])
    members = _subsets(images, plan) if any(item.job.experiment == "lenet" for item in finished) else {}
    records = []
    for item in finished:
        experiment, size, trial = item.job
        task = f"{images.name}_{TASKS[experiment]}"
        for metric, score, n_items in _scores(item, members=members, c_values=c_values):
            is_preferred = metric == preferred[experiment]
            records.append(
                {
                    "task": task,
                    "subtask": task,
                    "is_aggregate": False,
                    "family": experiment,
                    "model": f"{experiment}-{size}",
                    "total_params": float(item.parameters),
                    "non_embedding_params": float(item.parameters),
                    "scale": float(size if experiment == "autoencoder" else item.parameters),
                    "shots": -1,
                    "trial": trial,
                    "metric": metric,
                    "score": score,
                    "is_preferred": is_preferred,
                    "low_score": 0.0 if is_preferred else np.nan,
                    "high_score": 1.0 if is_preferred else np.nan,
                    "score_normalized": score if is_preferred else np.nan,
                    "source_file": "vision",
                    "n_items": n_items,
                }
            )
    return _typed(pd.DataFrame.from_records(records, columns=[*RESULTS.names, "n_items"]))


def metric_of_c(c: float) -> str:
    """Return the metric's name for a threshold: ``reconstruction_c=1.53``."""
    return f"{_RECONSTRUCTION}{c:g}"


def _c_by_quantile(finished: Sequence[Finished], anchor: int | None) -> dict[float, float]:
    errors = [
        item.arrays["validation_error"]
        for item in finished
        if item.job.experiment == "autoencoder" and item.job.size == anchor
    ]
    if not errors:
        return {}
    return dict(zip(QUANTILES, thresholds(np.concatenate(errors).astype(np.float64), QUANTILES), strict=True))


def _subsets(images: ImageSet, plan: Plan) -> dict[str, NDArray[np.int64]]:
    """Return, by metric name, the groups of test images that must all be right."""
    rng = np.random.default_rng([plan.seed, 3])
    labels = images.labels[split(images, plan).test]
    return {
        f"subset_accuracy_{size}{_SUFFIX[how]}": groups(labels, size, how=how, rng=rng)
        for how in _SUFFIX
        for size in range(1 if how == "random" else 2, LONGEST + 1)
    }


def _scores(
    item: Finished, *, members: Mapping[str, NDArray[np.int64]], c_values: Mapping[float, float]
) -> Iterator[Score]:
    """Yield the scores of one model, n_items the number of images or of disjoint groups."""
    if item.job.experiment == "autoencoder":
        error = item.arrays["test_error"].astype(np.float64)
        yield Score("mean_squared_error", float(error.mean()), len(error))
        for c in sorted(set(c_values.values())):
            yield Score(metric_of_c(c), reconstruction(error, c), len(error))
        return
    correct = item.arrays["correct"].astype(np.bool_)
    log_likelihood = float(item.arrays["log_probability"].astype(np.float64).mean())
    if item.job.experiment == "lenet":
        yield Score("accuracy", float(correct.mean()), len(correct))
        yield Score("log_likelihood", log_likelihood, len(correct))
        for metric, positions in members.items():
            yield Score(metric, all_right(correct, positions), len(correct) // positions.shape[1])
        return
    disjoint = len(correct) // SEQUENCE_PARTITIONS
    same = item.arrays["correct_same_class"].astype(np.bool_)
    yield Score("accuracy", float(correct.mean()), disjoint * LONGEST)
    yield Score("log_likelihood", log_likelihood, disjoint * LONGEST)
    yield Score("accuracy_same_class", float(same.mean()), len(same) // SEQUENCE_PARTITIONS * LONGEST)
    for length in range(1, LONGEST + 1):
        # The decoder sees no later image, so the first L of a sequence are a sequence of L.
        yield Score(f"sequence_accuracy_{length}", float(correct[:, :length].all(axis=1).mean()), disjoint)
        if length > 1:
            right = float(same[:, :length].all(axis=1).mean())
            yield Score(f"sequence_accuracy_{length}_same_class", right, len(same) // SEQUENCE_PARTITIONS)


def deciding_scores(
    finished: Sequence[Finished], images: ImageSet, *, plan: Plan, anchor: int
) -> list[NDArray[np.float64]]:
    """Return, for one experiment, the mean score per size (ascending) of each metric in `DECIDING`."""
    experiment = finished[0].job.experiment
    frame = results_frame(finished, images, plan=plan, anchors={experiment: anchor})
    wanted = [
        name if not name.startswith("quantile=") else frame.loc[frame["is_preferred"], "metric"].iloc[0]
        for name in DECIDING[experiment]
    ]
    return [mean_by_scale(frame, metric)["score"].to_numpy(np.float64) for metric in wanted]


def mean_by_scale(frame: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return per scale of one metric of one task: ``scale, score`` (mean over trials), ``low, high`` (over trials)."""
    import pandas as pd

    rows = frame.loc[frame["metric"] == metric]
    tasks = sorted(set(rows["task"].astype(str)))
    if len(tasks) > 1:
        raise TableError(f"{metric} belongs to {', '.join(tasks)} here; select one of them first")
    by_scale = rows.groupby("scale", sort=True)["score"]
    table = pd.DataFrame({"score": by_scale.mean(), "low": by_scale.min(), "high": by_scale.max()})
    return table.reset_index()


def threshold_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the thresholds of a results frame, ascending: ``metric, c, is_headline``."""
    rows = frame.loc[frame["metric"].astype(str).str.startswith(_RECONSTRUCTION), ["metric", "is_preferred"]]
    table = rows.drop_duplicates().astype({"metric": str}).rename(columns={"is_preferred": "is_headline"})
    table["c"] = table["metric"].str.removeprefix(_RECONSTRUCTION).astype(float)
    return table.sort_values("c", ignore_index=True)[["metric", "c", "is_headline"]]


def registry_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Return what the metric registry needs to know of the metrics of a results frame.

    Returns
    -------
    DataFrame
        Columns of `bigbench_meta.metrics`, one row per (metric, task) that the packaged registry does not hold for
        every task. Write it to a CSV file and give it as ``bigbench_meta.metrics(extra=...)``.
    """
    import pandas as pd

    source = "Mirage (Schaeffer et al. 2023), sec. 5"
    records = []
    pairs = frame[["metric", "task"]].drop_duplicates().astype(str)
    for metric, task in sorted(pairs.itertuples(index=False, name=None)):
        if metric == "log_likelihood":
            continue
        facts: tuple[float, float, str, str, str]
        if metric == "mean_squared_error":
            facts = (0, np.nan, "lower", "linear", "yes")
        else:  # shares of images or groups that are right or not, accuracy (an arg max) among them
            facts = (0, 1, "higher", "discontinuous", "no")
        records.append((metric, task, *facts, source))
    return pd.DataFrame(
        records, columns=["metric", "task", "low", "high", "direction", "linearity", "continuous", "source"]
    )


def items(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the items behind each score: ``task, subtask, family, metric, n_items``."""
    table = frame[["task", "subtask", "family", "metric", "n_items"]].drop_duplicates()
    return table.astype({name: str for name in table.columns if name != "n_items"}).reset_index(drop=True)


def write_results(frame: pd.DataFrame, path: Path) -> None:
    """Write a results frame as CSV, shortest round-trip digits; the same frame gives the same bytes."""
    text = frame.to_csv(index=False, lineterminator="\n")
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(text, encoding="utf-8", newline="\n")
    temporary.replace(path)


def read_results(path: Path) -> pd.DataFrame:
    """Return a results frame as `write_results` wrote it.

    Raises
    ------
    TableError
        If a column is missing or of another type.
    """
    from bigbench_meta.table_files import csv_frame

    # Numbers stay text until numpy reads them: not every release of pandas parses to the last digit.
    floats = [name for name, word in RESULTS.columns.items() if word == "float"]
    frame = csv_frame(path, expected="a table of vision results", text=floats)
    missing = [name for name in (*RESULTS.names, "n_items") if name not in frame.columns]
    if missing:
        raise TableError(f"{path}: column(s) {', '.join(missing)} missing; expected a table of vision results")
    try:
        return _typed(frame)
    except (ValueError, TypeError) as err:  # of pandas: a cell is no number, or a whole number is missing
        raise TableError(f"{path}: {err}; expected a table of vision results, as `vision` writes it") from err


def shipped() -> pd.DataFrame:
    """Return the results that come with the package: the default plan, trained on scikit-learn's digits.

    Examples
    --------
    >>> from bigbench_meta.experiments import vision
    >>> sorted(set(vision.shipped()["family"].astype(str)))
    ['autoencoder', 'lenet', 'transformer']
    """
    return read_results(files("bigbench_meta") / "data" / "vision" / "results.csv")  # type: ignore[arg-type]


def shipped_provenance() -> dict[str, object]:
    """Return what made the results that come with the package: images, split, plan, ladders, thresholds, versions."""
    text = (files("bigbench_meta") / "data" / "vision" / "provenance.json").read_text(encoding="utf-8")
    facts: dict[str, object] = json.loads(text)
    return facts


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    """Give a frame the dtypes of RESULTS and sort it by key."""
    dtypes = {"category": "category", "float": "float64", "int": "int64", "bool": "bool"}
    typed = frame.astype({name: dtypes[word] for name, word in RESULTS.columns.items()} | {"n_items": "int64"})
    # Sorted as text: the order of categories depends on which of them are there.
    order = typed[list(RESULTS.key)].astype({"task": str, "subtask": str, "family": str, "model": str, "metric": str})
    return validate(typed.loc[order.sort_values(list(RESULTS.key)).index].reset_index(drop=True), RESULTS)
