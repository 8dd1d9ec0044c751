"""Simulated results repositories in BIG-bench's native layout, with the planted truth beside them.

Written from the documented format only and sharing no code with the reader, so that the two can check each other.

Vocabulary
----------
leaf
    A subtask, or the task itself where it has none: what is measured. Aggregate rows are computed from leaves.
planted curve
    The mean score of one (leaf, metric, family) as a function of scale: a logistic step in log10 parameters between
    ``score_small`` and ``score_large``, centred at ``location`` with a 10%-to-90% width of ``width_decades``.
kind
    ``flat`` (no step), ``smooth`` (width of 4 to 8 decades), ``sharp`` (width below 0.3 decades), ``inverse`` (the score
    gets worse with scale). A task whose jump is *made by the metric* is sharp under its discontinuous metrics and
    smooth under the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from bigbench_meta.atomic import folder_beside, remove_abandoned_folders
from bigbench_meta.errors import AnalysisError, OutputError
from bigbench_meta.seeds import as_generator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from bigbench_meta.simulation.plan import Family, Task

MARKER = "SIMULATED.md"
NOTICE = "Simulated by bigbench_meta. No model produced these numbers."


class _Entry(TypedDict):
    """One element of ``scores`` on disk."""

    score_dict: dict[str, float]
    preferred_score: str
    number_of_shots: int
    low_score: float
    high_score: float
    subtask_description: str


@dataclass(frozen=True)
class Simulated:
    """What was written: the folder, the planted truth, the planted defects and how much there is."""

    path: Path
    truth: pd.DataFrame
    defects: pd.DataFrame
    n_files: int
    n_numbers: int


def simulate(
    path: str | Path,
    *,
    rng: np.random.Generator | int,
    tasks: int | Sequence[str] | None = None,
    full: bool = False,
    kinds: Mapping[str, float] | None = None,
    noise: float = 0.1,
    common_shift: float = 0.0,
    defects: int = 0,
) -> Simulated:
    """Write a simulated results repository in BIG-bench's native layout into the new or empty folder ``path``.

    Every family, shot count and size documented for BIG-bench is there; JSON tasks have their ``task.json`` and
    programmatic ones free-text subtasks; aggregate rows follow the official rules. The folder is written whole or not
    at all, and says that it is simulated in ``SIMULATED.md``, in every task's name and in every file.

    Parameters
    ----------
    path
        A folder that does not exist yet or is empty.
    rng
        Source of every random choice, a generator or the seed of one; the same state gives the same bytes.
    tasks
        Number of tasks, or their names (letters, digits, ``_``, ``-``, ``.``). Default 24 (204 when ``full``).
    full
        BIG-bench's size: 204 tasks, about 9,600 score files and 640,000 numbers, 160 MB, within two minutes.
    kinds
        Shares of the kinds of task; default ``bigbench_meta.simulation.plan.KINDS``.
    noise
        Standard deviation, on the logit scale, of one model's luck on one leaf and shot count beyond the drawing of
        items (seeds, prompts): overdispersion. All metrics of the same outputs share it. At least 0.
    common_shift
        Standard deviation, on the logit scale, of a shift of each model that **all** tasks share. At least 0.
    defects
        Number of files to damage afterwards, each in one documented way; ``defects.csv`` records them.

    Returns
    -------
    Simulated
        ``truth`` has one row per (task, subtask, metric, family): ``kind``, ``score_small``, ``score_large`` (the mean
        at scales far below and far above the step), ``location`` (log10 of effective parameters at 0 shots),
        ``width_decades`` (NaN for flat curves), ``shot_shift`` (decades by which ``location`` moves per doubling of
        1 + shots), ``n_items`` and ``noise``. It is written to ``truth.csv`` too.

    Raises
    ------
    OutputError
        If ``path`` is a file or a folder that is not empty.
    AnalysisError
        If an argument is out of range.

    Notes
    -----
    Mean score of a curve at scale N: ``small + (large - small) / (1 + exp(-2 ln 9 (log10 N - location) / width))``.
    Metrics that count successes are binomial at the noisy mean, on independent items at every scale; the others are
    normal with an item standard deviation over root n. The scores of several metrics on one task share location,
    luck and model shift, not the items drawn.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> folder = Path(tempfile.mkdtemp()) / "repository"
    >>> made = simulate(folder, rng=np.random.default_rng(1), tasks=2)
    >>> (folder / "SIMULATED.md").is_file(), made.n_files >= 90
    (True, True)
    """
    import pandas as pd

    from bigbench_meta.simulation.defects import DEFECT_COLUMNS, plant_defects
    from bigbench_meta.simulation.plan import FAMILIES, FULL_TASKS, KINDS, SMALL_TASKS, kind_shares, plan, task_names

    path = Path(path)
    if tasks is None:
        tasks = FULL_TASKS if full else SMALL_TASKS
    names = task_names(tasks)
    shares = kind_shares(KINDS if kinds is None else kinds)
    if noise < 0 or common_shift < 0 or defects < 0:
        raise AnalysisError(
            f"simulate: noise={noise}, common_shift={common_shift}, defects={defects} must be at least 0"
        )
    plan_rng, shift_rng, defect_rng, *task_rngs = as_generator(rng).spawn(3 + len(names))
    plans = plan(names, full=full, shares=shares, rng=plan_rng)
    shifts = {f.name: common_shift * shift_rng.standard_normal(len(f.models)) for f in FAMILIES}
    place = path.resolve()
    try:
        _refuse_used(place)
        place.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned_folders(place)
        with folder_beside(place) as partial:
            truth: list[pd.DataFrame] = []
            n_files = n_numbers = 0
            for task, task_rng in zip(plans, task_rngs, strict=True):
                files, numbers, planted = _write_task(partial, task, noise=noise, shifts=shifts, rng=task_rng)
                n_files, n_numbers = n_files + files, n_numbers + numbers
                truth.append(planted)
            planted_truth = pd.concat(truth, ignore_index=True)
            records = pd.DataFrame(plant_defects(partial, defects, rng=defect_rng), columns=list(DEFECT_COLUMNS))
            planted_truth.to_csv(partial / "truth.csv", index=False, lineterminator="\n")
            records.to_csv(partial / "defects.csv", index=False, lineterminator="\n")
            text = f"# SIMULATED\n\n{NOTICE}\n\n{len(plans)} tasks, {n_files} score files, {n_numbers} numbers"
            text += f", {len(records)} planted defects (defects.csv). The planted truth is in truth.csv.\n"
            (partial / MARKER).write_text(text, encoding="utf-8", newline="\n")
            if place.exists():
                place.rmdir()
            partial.rename(place)
    except OSError as err:
        raise OutputError(
            f"{path}: cannot be written ({err.strerror or err}); simulate needs a new or empty folder with room that "
            "you may write to; name another folder"
        ) from err
    return Simulated(path, planted_truth, records, n_files, n_numbers)


def _refuse_used(place: Path) -> None:
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise OutputError(
            f"{place}: simulate writes into a new or empty folder, and this is not one; name another folder"
        )


def _write_task(
    root: Path, task: Task, *, noise: float, shifts: Mapping[str, NDArray[np.float64]], rng: np.random.Generator
) -> tuple[int, int, pd.DataFrame]:
    """Write one task's folder; return the number of files and of scores, and the planted truth."""
    import numpy as np
    import pandas as pd

    from bigbench_meta.simulation.plan import SHOT_SHIFT, draw_scores, normalized, plant, preferred_range

    folder = root / "bigbench" / "benchmark_tasks" / task.name
    (folder / "results").mkdir(parents=True)
    _write_definition(folder, task)
    count = len(task.leaves)
    low, high = preferred_range(task)
    location = np.clip(rng.uniform(8.3, 10.3) + rng.normal(0.0, 0.3, count), 7.5, 11.0)
    n_files = n_numbers = 0
    truth = []
    for family in task.families:
        shape = (count, len(family.models), len(family.shots))
        luck = noise * rng.standard_normal(shape) + shifts[family.name][None, :, None]
        rows: dict[str, NDArray[np.float64]] = {}
        for metric in task.metrics:
            planted = plant(task, metric, location, rng)
            rows[metric] = draw_scores(task, metric, family, planted=planted, luck=luck, rng=rng)
            truth.append(
                pd.DataFrame(
                    {
                        "task": task.name,
                        "subtask": list(task.leaves),
                        "metric": metric,
                        "family": family.name,
                        "kind": planted.kind,
                        "score_small": planted.small,
                        "score_large": planted.large,
                        "location": planted.location,
                        "width_decades": planted.width,
                        "shot_shift": SHOT_SHIFT,
                        "n_items": task.n_items,
                        "noise": noise,
                    }
                )
            )
        total = {metric: values.mean(axis=0) for metric, values in rows.items()}
        total["normalized_aggregate_score"] = normalized(rows[task.metrics[0]], low, high)
        for j, (model, scale) in enumerate(family.models):
            scores = []
            for k, shots in enumerate(family.shots):
                scores += _entries(task, rows, total, at=(j, k), shots=shots)
            document = _document(task, family, model, scale, scores)
            (folder / "results" / f"scores_{family.file.format(model)}.json").write_bytes(document)
            n_files += 1
            n_numbers += sum(len(entry["score_dict"]) for entry in scores)
    return n_files, n_numbers, pd.concat(truth, ignore_index=True)


def _entries(
    task: Task,
    rows: Mapping[str, NDArray[np.float64]],
    total: Mapping[str, NDArray[np.float64]],
    *,
    at: tuple[int, int],
    shots: int,
) -> list[_Entry]:
    """Score entries of one model and shot count: the aggregate first where there are subtasks, then the leaves."""
    from bigbench_meta.simulation.plan import preferred_range

    j, k = at
    low, high = preferred_range(task)
    preferred = task.metrics[0]
    aggregate: _Entry = {
        "score_dict": {metric: float(values[j, k]) for metric, values in sorted(total.items())},
        "preferred_score": preferred,
        "number_of_shots": shots,
        "low_score": low,
        "high_score": high,
        "subtask_description": task.name,
    }
    if len(task.leaves) == 1:
        return [aggregate]
    if preferred != "multiple_choice_grade":
        aggregate |= {"preferred_score": "normalized_aggregate_score", "low_score": 0.0, "high_score": 100.0}
    columns = {metric: values[:, j, k].tolist() for metric, values in sorted(rows.items())}
    leaves: list[_Entry] = [
        {
            "score_dict": {metric: column[i] for metric, column in columns.items()},
            "preferred_score": preferred,
            "number_of_shots": shots,
            "low_score": low,
            "high_score": high,
            "subtask_description": leaf,
        }
        for i, leaf in enumerate(task.leaves)
    ]
    return [aggregate, *leaves]


def _document(task: Task, family: Family, model: str, scale: float, scores: list[_Entry]) -> bytes:
    import msgspec

    document: dict[str, object] = {
        "scores": scores,
        "model": {
            "model_family": family.name,
            "model_name": model,
            # Total parameters are not documented (embeddings, and the experts of the sparse family).
            "total_params": None,
            "non_embedding_params": int(scale),
            "flop_matched_non_embedding_params": int(scale),
            "training_batch_size": None,
            "training_steps": None,
            "description": NOTICE,
            "decoding_params": {},
            "additional_details": NOTICE,
        },
        "task": {"task_name": task.name},
        "queries": None,
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def _write_definition(folder: Path, task: Task) -> None:
    """Write task.json for each leaf of a JSON task (with as many distinct examples as items), task.py otherwise."""
    import msgspec

    from bigbench_meta.simulation.plan import CHOICE_METRICS

    if task.programmatic:
        (folder / "task.py").write_text(f'"""{NOTICE}"""\n', encoding="utf-8", newline="\n")
        return
    choice = "multiple_choice_grade" in task.metrics
    official = [
        metric for metric in task.metrics if metric not in CHOICE_METRICS[1:] and not metric.startswith("rouge")
    ]
    official += ["rouge"] * any(metric.startswith("rouge") for metric in task.metrics)
    answers = {f"answer {i}": int(i == 0) for i in range(task.choices)}
    for leaf, n_items in zip(task.leaves, task.n_items.tolist(), strict=True):
        home = folder if len(task.leaves) == 1 else folder / leaf.partition(":")[2]
        home.mkdir(exist_ok=True)
        definition = {
            "name": leaf.partition(":")[2] or leaf,
            "description": NOTICE,
            "keywords": ["simulated", "json", "multiple choice" if choice else "free response"],
            "metrics": official,
            "preferred_score": "rouge" if task.metrics[0] == "rougeLsum" else task.metrics[0],
            "examples": [
                {"input": f"Item {i}?", "target_scores": answers}
                if choice
                else {"input": f"Item {i}?", "target": "yes"}
                for i in range(n_items)
            ],
        }
        (home / "task.json").write_bytes(msgspec.json.encode(definition) + b"\n")
