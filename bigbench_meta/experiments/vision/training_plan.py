"""What is trained: the ladders of sizes, the split, the training budget, and the rule that makes a ladder finer.

Vocabulary
----------
experiment
    ``autoencoder``, ``lenet`` or ``transformer``; also the name of the architecture, the family of its results.
size
    The one number that sets a model's width: bottleneck units, units of the dense layer, embedding width.
rise
    From the mean score of one end of a ladder to the other end of its range, whichever metric.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bigbench_meta.emergence import RISE_HIGH, RISE_LOW

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bigbench_meta.experiments.vision.datasets import ImageSet

EXPERIMENTS = ("autoencoder", "lenet", "transformer")

# Mirage (Schaeffer et al. 2023), sec. 5: subsets of K = 1..5 items, sequences of L = 1..5 images.
LONGEST = 5
# A curve with fewer sizes than this between 10% and 90% of its rise could hide any shape between two points.
MIN_SIZES_WITHIN_RISE = 3
# Bottlenecks go up by third octaves (1, 2, 3, 4, 5, 6, 8, 10, 13, ...), to the pixels of an image or this many units.
_MOST_UNITS = 512
# Widths that give 45 to 53,002 parameters on 8 x 8 images: three decades.
_LENET_SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
# Layer normalisation leaves nothing of one dimension, so the smallest width is 2.
_TRANSFORMER_SIZES = (2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 48, 64)


@dataclass(frozen=True)
class Plan:
    """Everything that decides the numbers of a run, apart from the images and the versions of the libraries.

    Attributes
    ----------
    seed : int
        Of the split, the groups and, with the size and the trial, of each model.
    trials : int
        Models trained per size, which differ in initial weights and order of the data.
    steps : dict[str, int]
        Optimisation steps per experiment: fixed, so that larger image sets do not train longer.
    learning_rate, batch
        Peak of a cosine schedule with a tenth of warm-up, for Adam; images (or sequences) per step.
    shares : tuple of three floats
        Of training, validation and test images, where the set has no published test images.
    sizes : dict[str, tuple of int]
        Ladders per experiment; an empty one means the default for the images.
    """

    seed: int = 20261122
    trials: int = 5
    steps: dict[str, int] = field(default_factory=lambda: {"autoencoder": 600, "lenet": 300, "transformer": 300})
    learning_rate: dict[str, float] = field(
        default_factory=lambda: {"autoencoder": 0.02, "lenet": 0.01, "transformer": 0.01}
    )
    batch: dict[str, int] = field(default_factory=lambda: {"autoencoder": 64, "lenet": 64, "transformer": 32})
    shares: tuple[float, float, float] = (0.5, 0.1, 0.4)
    sizes: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return the plan as one line of JSON with sorted keys."""
        return json.dumps(asdict(self), sort_keys=True)


class Job(NamedTuple):
    """One model to train."""

    experiment: str
    size: int
    trial: int

    @property
    def stem(self) -> str:
        """Name of the file that holds the finished model's outcomes."""
        return f"{self.experiment}-{self.size:04d}-{self.trial}"


class Split(NamedTuple):
    """Positions of the images in the set, each in ascending order."""

    training: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]


def ladder(experiment: str, images: ImageSet, plan: Plan) -> tuple[int, ...]:
    """Return the sizes an experiment starts from: those of the plan, else the default for these images."""
    if plan.sizes.get(experiment):
        return tuple(sorted(set(plan.sizes[experiment])))
    if experiment == "autoencoder":
        most = min(int(np.prod(images.images.shape[1:])), _MOST_UNITS)
        thirds = np.arange(int(np.ceil(3 * np.log2(most))) + 1)
        return tuple(sorted({min(round(2.0 ** (k / 3)), most) for k in thirds}))
    return {"lenet": _LENET_SIZES, "transformer": _TRANSFORMER_SIZES}[experiment]


def median_size(sizes: Sequence[int]) -> int:
    """Return the middle size of a ladder, the lower one of two."""
    return sorted(sizes)[(len(sizes) - 1) // 2]


def split(images: ImageSet, plan: Plan) -> Split:
    """Divide the images at random; published test images stay the test set.

    Without a published split the shares are those of the plan. With one, validation images take from the rest the
    share that they would have beside training images.
    """
    rng = np.random.default_rng([plan.seed, 0])
    n = len(images.labels)
    share = plan.shares
    if images.published_test is None:
        order = rng.permutation(n)
        n_test = round(share[2] / sum(share) * n)
        test, rest = order[:n_test], order[n_test:]
    else:
        test = np.flatnonzero(images.published_test)
        rest = rng.permutation(np.flatnonzero(~images.published_test))
    n_validation = round(share[1] / (share[0] + share[1]) * len(rest))
    return Split(np.sort(rest[n_validation:]), np.sort(rest[:n_validation]), np.sort(test))


def sizes_within_rise(scores: NDArray[np.float64]) -> int:
    """Count the sizes of a ladder whose mean score lies strictly between 10% and 90% of the observed rise.

    Parameters
    ----------
    scores : NDArray[float64], shape (M,)
        Mean score per size.

    Returns
    -------
    int
        0 for a flat curve, which has no rise.

    Examples
    --------
    >>> import numpy as np
    >>> sizes_within_rise(np.array([0.0, 0.05, 0.5, 0.85, 1.0]))
    2
    """
    low, high = float(scores.min()), float(scores.max())
    if high == low:
        return 0
    share = (scores - low) / (high - low)
    return int(np.count_nonzero((share > RISE_LOW) & (share < RISE_HIGH)))


def finer(sizes: Sequence[int], scores: NDArray[np.float64]) -> tuple[int, ...]:
    """Return the sizes to add so that more of them fall inside the rise: none where enough do or no integer is free.

    The geometric middle of every gap that overlaps 10% to 90% of the rise is added, rounded, if it is a new size.

    Parameters
    ----------
    sizes : sequence of int, length M
        The ladder, ascending.
    scores : NDArray[float64], shape (M,)
        Mean score per size of the metric that the rule looks at.

    Examples
    --------
    >>> import numpy as np
    >>> finer([1, 4, 16, 64], np.array([0.0, 0.0, 1.0, 1.0]))
    (8,)
    """
    if sizes_within_rise(scores) >= MIN_SIZES_WITHIN_RISE or scores.max() == scores.min():
        return ()
    share = (scores - scores.min()) / (scores.max() - scores.min())
    added = set()
    for i in range(len(sizes) - 1):
        below, above = sorted(share[i : i + 2])
        if below < RISE_HIGH and above > RISE_LOW:
            added.add(round((sizes[i] * sizes[i + 1]) ** 0.5))
    return tuple(sorted(added - set(sizes)))
