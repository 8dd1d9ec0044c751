"""What a simulated repository contains: families, tasks, planted curves and the scores drawn around them.

Facts restated from the documented format of BIG-bench; nothing here touches files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bigbench_meta.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

# 204 tasks as in the BIG-bench paper; the kinds and the numbers of subtasks follow the bigbench 1.0.0 package.
FULL_TASKS = 204
_SUBTASKS = (261, 246, 110, 61, 20, 13, 12, 11, 9, 8, *[6] * 5, *[5] * 3, 4, 4, *[3] * 12, *[2] * 6)
_PROGRAMMATIC_SHARE = 0.2
_SMALL_SUBTASKS = (12, 5, 3, 2)
SMALL_TASKS = 24

# Shares of the kinds of task; "metric" is a jump made by the metric.
KINDS: Mapping[str, float] = {"flat": 0.30, "smooth": 0.40, "sharp": 0.10, "metric": 0.15, "inverse": 0.05}

# Tasks that were not given names are called so; a table made from them is known by it.
TASK_PREFIX = "simulated_"


@dataclass(frozen=True)
class Family:
    """One model family: its name on disk, its models (name, effective parameters), shots, share of tasks, file name."""

    name: str
    models: tuple[tuple[str, float], ...]
    shots: tuple[int, ...]
    share: float
    file: str


_BIG_G = (
    ("2m", 2_098_048.0),
    ("16m", 16_780_288.0),
    ("53m", 56_629_632.0),
    ("125m", 134_228_992.0),
    ("244m", 262_161_280.0),
    ("422m", 453_009_408.0),
    ("1b", 1_073_784_832.0),
    ("2b", 2_097_218_560.0),
    ("4b", 3_623_973_888.0),
    ("8b", 8_590_102_528.0),
    ("27b", 28_991_404_032.0),
    ("128b", 137_440_272_384.0),
)
# Sizes of BIG-G are exact; GPT (Brown et al. 2020), PaLM, Gopher and T0 are the nominal published ones. The shots of
# Gopher and T0, and all file names but those of BIG-G, GPT and PaLM, are not documented and are chosen here.
_GPT = (
    ("GPT-3-Small", 125e6),
    ("GPT-3-Medium", 350e6),
    ("GPT-3-Large", 760e6),
    ("GPT-3-XL", 1.3e9),
    ("GPT-3-3B", 2.7e9),
    ("GPT-3-6B", 6.7e9),
    ("GPT-3-13B", 13e9),
    ("GPT-3-200B", 175e9),
)
_GOPHER = (("44M", 44e6), ("117M", 117e6), ("417M", 417e6), ("1.4B", 1.4e9), ("7.1B", 7.1e9), ("280B", 280e9))
FAMILIES = (
    Family("BIG-G T=0", _BIG_G, (0, 1, 2, 3), 1.0, "BIG-G_{}_T=0"),
    Family("BIG-G T=1", _BIG_G, (0, 1, 2, 3), 1.0, "BIG-G_{}_T=1"),
    Family("BIG-G sparse", _BIG_G[:10], (0, 1, 2, 3), 1.0, "BIG-G-sparse_{}"),
    Family("GPT", _GPT, (0, 1, 2, 3), 1.0, "GPT_{}"),
    Family("PaLM", (("8b", 8.63e9), ("64b", 62.5e9), ("535b", 540.35e9)), (0, 1, 2, 5), 1.0, "PaLM_{}"),
    Family("Gopher", _GOPHER, (5,), 0.275, "Gopher_{}"),
    Family("T0", (("11b", 11e9),), (0,), 0.1, "T0_{}"),
    Family("T0+", (("11b", 11e9),), (0,), 0.1, "T0+_{}"),
    Family("T0++", (("11b", 11e9),), (0,), 0.1, "T0++_{}"),
    Family("T5-LM", (("11b", 11e9),), (0,), 0.1, "T5-LM_{}"),
)

# Metric -> (score of a model that knows nothing, of one that knows everything, standard deviation of one item or None
# where the score counts successes, discontinuous). Where the first is None it follows from the number of choices.
_METRICS: Mapping[str, tuple[float | None, float, float | None, bool]] = {
    "multiple_choice_grade": (None, 1.0, None, True),
    "calibration_multiple_choice_brier_score": (None, 0.0, 0.12, False),
    "expected_calibration_error": (0.30, 0.02, 0.25, False),
    "exact_str_match": (0.0, 1.0, None, True),
    "bleu": (1.0, 90.0, 25.0, False),
    "rouge1": (5.0, 95.0, 25.0, False),
    "rouge2": (2.0, 90.0, 25.0, False),
    "rougeLsum": (4.0, 93.0, 25.0, False),
    "log_likelihood": (-40.0, -2.0, 12.0, False),
    "bleurt": (-0.2, 0.95, 0.3, False),
    "numeric_match_with_0_1_relative_error": (0.0, 1.0, None, True),
    "custom_score": (-1.0, 0.0, 0.3, False),
    "full": (0.0, 1.0, None, True),
    "correct_count": (0.0, 50.0, 10.0, False),
}
# More examples in the prompt move the step to smaller models, in decades per doubling of 1 + shots.
SHOT_SHIFT = -0.05
CHOICE_METRICS = ("multiple_choice_grade", "calibration_multiple_choice_brier_score", "expected_calibration_error")
# Sets of metrics of JSON tasks (preferred one first), with shares close to those of the real tasks.
_JSON_METRICS: tuple[tuple[float, tuple[str, ...]], ...] = (
    (0.62, CHOICE_METRICS),
    (0.16, ("exact_str_match", "bleu", "rouge1", "rouge2", "rougeLsum")),
    (0.06, ("exact_str_match",)),
    (0.05, ("bleu", "rouge1", "rouge2", "rougeLsum")),
    (0.04, ("exact_str_match", *CHOICE_METRICS)),
    (0.03, ("exact_str_match", "bleu", "rouge1", "rouge2", "rougeLsum", "log_likelihood")),
    (0.02, ("numeric_match_with_0_1_relative_error", "exact_str_match")),
    (0.02, ("rougeLsum", "rouge1", "rouge2", "bleu", "bleurt")),
)
_PROGRAMMATIC_METRICS = (("full", "custom_score"), ("custom_score",), ("full",), ("custom_score", "correct_count"))


@dataclass(frozen=True)
class Task:
    """The plan of one task: names, metrics (preferred first), choices, items of each leaf, families, kind."""

    name: str
    programmatic: bool
    leaves: tuple[str, ...]
    metrics: tuple[str, ...]
    choices: int
    n_items: NDArray[np.int64]
    families: tuple[Family, ...]
    kind: str


@dataclass(frozen=True)
class Planted:
    """Planted curves of one (task, metric, family): arrays over leaves, and the kind they share."""

    kind: str
    small: NDArray[np.float64]
    large: NDArray[np.float64]
    location: NDArray[np.float64]
    width: NDArray[np.float64]


def task_names(tasks: int | Sequence[str]) -> tuple[str, ...]:
    """Names of the tasks; given ones must be safe as folder names and distinct."""
    if isinstance(tasks, int):
        if tasks < 1:
            raise AnalysisError(f"simulate: tasks={tasks}, expected at least 1")
        return tuple(f"{TASK_PREFIX}{i:03d}" for i in range(1, tasks + 1))
    names = tuple(tasks)
    bad = [name for name in names if not re.fullmatch(r"\w[\w.-]*", name, flags=re.ASCII)]
    if isinstance(tasks, str) or bad or not names or len(set(names)) != len(names):
        raise AnalysisError(
            f"simulate: task names must be distinct words of letters, digits, '_', '-' and '.'; got {bad or tasks!r}"
        )
    return names


def kind_shares(kinds: Mapping[str, float]) -> Mapping[str, float]:
    """Shares of all kinds, summing to one."""
    unknown = sorted(set(kinds) - set(KINDS))
    if unknown or min(kinds.values(), default=-1) < 0 or sum(kinds.values()) <= 0:
        raise AnalysisError(f"simulate: kinds maps {', '.join(KINDS)} to shares of at least 0; got {dict(kinds)}")
    total = sum(kinds.values())
    return {kind: kinds.get(kind, 0.0) / total for kind in KINDS}


def plan(names: Sequence[str], *, full: bool, shares: Mapping[str, float], rng: np.random.Generator) -> list[Task]:
    """Draw what each task is. The largest numbers of subtasks go to the first JSON tasks."""
    n_programmatic = round(len(names) * _PROGRAMMATIC_SHARE)
    subtask_counts = list(_SUBTASKS if full else _SMALL_SUBTASKS)[: len(names) // 3]
    plans = []
    for i, name in enumerate(names):
        programmatic = i >= len(names) - n_programmatic
        if programmatic:
            n_leaves = int(rng.choice([1, 1, 3]))
            metrics: tuple[str, ...] = _PROGRAMMATIC_METRICS[int(rng.integers(len(_PROGRAMMATIC_METRICS)))]
        else:
            n_leaves = subtask_counts[i] if i < len(subtask_counts) else 1
            # The three giants: short answers, all metrics of generated text, multiple choice, as in BIG-bench.
            weights = np.array([share for share, _ in _JSON_METRICS])
            drawn = int(rng.choice(len(weights), p=weights / weights.sum()))
            metrics = _JSON_METRICS[{0: 2, 1: 1, 2: 0}.get(i, drawn) if full else drawn][1]
        n_items = (
            np.full(n_leaves, 32)
            if n_leaves > 50
            else np.exp(rng.uniform(np.log(40), np.log(1000 if n_leaves == 1 else 300), n_leaves)).astype(np.int64)
        )
        plans.append(
            Task(
                name=name,
                programmatic=programmatic,
                leaves=_leaf_names(name, n_leaves, programmatic=programmatic),
                metrics=metrics,
                choices=int(rng.choice([2, 4, 5])),
                n_items=n_items,
                families=tuple(f for f in FAMILIES if i < round(f.share * len(names))),
                kind=str(rng.choice(list(shares), p=list(shares.values()))),
            )
        )
    return plans


def _leaf_names(task: str, count: int, *, programmatic: bool) -> tuple[str, ...]:
    if count == 1:
        return (task,)
    if programmatic:
        return tuple(f"Part {i}: how often the answer is right, simulated" for i in range(1, count + 1))
    return tuple(f"{task}:part_{i:03d}" for i in range(1, count + 1))


def plant(task: Task, metric: str, location: NDArray[np.float64], rng: np.random.Generator) -> Planted:
    """Planted curves of one metric in one family (each call is another family), from the task's kind and its leaves' common locations."""
    worst, best, _, discontinuous = _METRICS[metric]
    count = len(task.leaves)
    if worst is None:
        worst = 1.0 / task.choices
    if metric == "calibration_multiple_choice_brier_score":
        worst = (task.choices - 1) / task.choices**2  # equal probabilities on all choices, one of them right
    kind = task.kind
    if kind == "metric":
        kind = "sharp" if discontinuous else "smooth"
    height = rng.uniform(0.35, 0.9, count) * (best - worst)
    low = np.full(count, worst) + (0.02 * (best - worst) if worst == 0.0 else 0.0)
    lowest, highest = {"flat": (np.nan, np.nan), "smooth": (4.0, 8.0), "sharp": (0.05, 0.3), "inverse": (0.5, 4.0)}[
        kind
    ]
    width = rng.uniform(0.0, 1.0, count) * (highest - lowest) + lowest
    place = location + rng.normal(0.0, 0.2) + (1.0 if kind == "smooth" else 0.0)
    if kind == "flat":
        return Planted(kind, low, low, np.full(count, np.nan), width)
    small, large = (low + height, low) if kind == "inverse" else (low, low + height)
    return Planted(kind, small, large, place, width)


def draw_scores(
    task: Task, metric: str, family: Family, *, planted: Planted, luck: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Scores of shape (leaf, model, shots). ``luck`` is on the logit scale, of the same shape."""
    from scipy.special import expit, logit

    x = np.log10([scale for _, scale in family.models])[None, :, None]
    earlier = SHOT_SHIFT * np.log2(1.0 + np.array(family.shots))[None, None, :]
    small, large, place, width = (
        a[:, None, None] for a in (planted.small, planted.large, planted.location, planted.width)
    )
    if planted.kind == "flat":
        mean = np.broadcast_to(small, luck.shape)
    else:
        mean = small + (large - small) * expit(2.0 * np.log(9.0) * (x - place - earlier) / width)
    worst, best, item_sd, _ = _METRICS[metric]
    n = task.n_items[:, None, None]
    if item_sd is None:
        p = expit(logit(np.clip(mean, 1e-9, 1.0 - 1e-9)) + luck)
        return np.asarray(rng.binomial(n, p) / n)
    # A shift of the logit moves a proportion by at most a quarter of it; the same share of the metric's range here.
    span = best - (0.25 if worst is None else worst)
    noisy = mean + 0.25 * span * luck + item_sd / np.sqrt(n) * rng.standard_normal(luck.shape)
    # The metrics' hard ends: proportions and text scores cannot be negative, log-likelihoods cannot be positive.
    if best <= 0.0 and worst is not None and worst < 0.0:
        return np.minimum(noisy, 0.0)
    return np.maximum(noisy, 0.0) if worst is None or worst >= 0.0 else noisy


def preferred_range(task: Task) -> tuple[float, float]:
    """``low_score`` and ``high_score`` of the preferred metric."""
    metric = task.metrics[0]
    if metric == "multiple_choice_grade":
        return 1.0 / task.choices, 1.0
    return {"custom_score": (-1.0, 0.0), "bleu": (0.0, 100.0), "rougeLsum": (0.0, 100.0)}.get(metric, (0.0, 1.0))


def normalized(preferred: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """``normalized_aggregate_score``: 100 times the mean over leaves of (preferred - low) / (high - low)."""
    return np.asarray(100.0 * ((preferred - low) / (high - low)).mean(axis=0))
