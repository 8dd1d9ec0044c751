"""From the outcomes of one model on single images to every metric of the experiment: plain functions of arrays.

Hard metrics from smooth outcomes (squared error to `reconstruction`), and from single images to groups of them
(`all_right`), with the closed form that independence would give beside the measured value (`closed_form`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bigbench_meta.errors import AnalysisError

if TYPE_CHECKING:
    from numpy.typing import NDArray

# How images are put into groups of K. ``random``: disjoint groups drawn without regard to content, the paper's
# "independent" items. ``class``: disjoint groups within a class. ``neighbours``: next to each other in the file.
GROUPINGS = ("random", "class", "neighbours")
# Disjoint groups use each image once; that many partitions are averaged, so that the luck of one is gone. The number
# of independent groups stays n/K: partitions share their images.
PARTITIONS = 20
# Sequences are run through a model, which costs time, so fewer of them.
SEQUENCE_PARTITIONS = 10


def reconstruction(squared_error: NDArray[np.floating], c: float) -> float:
    """Return the share of images whose squared error lies below ``c``.

    Notes
    -----
    Schaeffer et al. 2023 (arXiv 2304.15004), sec. 5: ``Reconstruction_c = mean_n 1[ ||x_n - xhat_n||^2 < c ]``.

    Examples
    --------
    >>> import numpy as np
    >>> reconstruction(np.array([0.1, 0.5, 0.9, 2.0]), 0.9)
    0.5
    """
    return float(np.mean(squared_error < c))


def thresholds(squared_error: NDArray[np.floating], quantiles: tuple[float, ...]) -> tuple[float, ...]:
    """Return the thresholds c at fixed quantiles of per-image squared errors, rounded to three significant digits.

    The errors are those of the median-size model on validation images, so that c is fixed before any test image is
    looked at. Rounded, because c is part of the metric's name.
    """
    return tuple(float(f"{value:.3g}") for value in np.quantile(squared_error.astype(np.float64), quantiles))


def groups(
    labels: NDArray[np.int64], size: int, *, how: str, rng: np.random.Generator, partitions: int = PARTITIONS
) -> NDArray[np.int64]:
    """Put images into groups of ``size``.

    Parameters
    ----------
    labels : NDArray[int64], shape (n,)
        Class of each image, in the order of the file.
    size : int
        Images per group, K.
    how : {"random", "class", "neighbours"}
        See `GROUPINGS`.
    rng : numpy.random.Generator
        Draws the order of the images; not used for ``neighbours``.
    partitions : int
        Partitions into disjoint groups, one after the other; ``neighbours`` has one for each start, so ``size``.

    Returns
    -------
    NDArray[int64], shape (g, size)
        Positions in ``labels``. Images left over from a partition (fewer than ``size``) are in no group of it.

    Raises
    ------
    AnalysisError
        If the grouping is unknown or there are not enough images for one group.
    """
    if how not in GROUPINGS:
        raise AnalysisError(f"unknown grouping {how!r}; expected one of {', '.join(GROUPINGS)}")
    everything = np.arange(len(labels))
    if how == "neighbours":
        parts = [everything[start:] for start in range(size)]
    elif how == "random":
        parts = [rng.permutation(everything) for _ in range(partitions)]
    else:
        by_class = [np.flatnonzero(labels == label) for label in np.unique(labels)]
        parts = [rng.permutation(members) for _ in range(partitions) for members in by_class]
    whole = [part[: len(part) // size * size].reshape(-1, size) for part in parts]
    found = np.concatenate(whole) if whole else np.empty((0, size), np.int64)
    if not len(found):
        raise AnalysisError(f"{len(labels)} images make no group of {size} ({how}); use more test images")
    return found.astype(np.int64)


def all_right(correct: NDArray[np.bool_], members: NDArray[np.int64]) -> float:
    """Return the share of groups whose images are all right.

    Parameters
    ----------
    correct : NDArray[bool], shape (n,)
        Per image.
    members : NDArray[int64], shape (g, K)
        As `groups` returns them.
    """
    return float(correct[members].all(axis=1).mean())


def closed_form(accuracy: NDArray[np.float64] | float, size: int) -> NDArray[np.float64]:
    """Return ``accuracy ** size``: the share of groups all right if images were right independently of each other.

    For disjoint groups drawn at random from n images of which k are right the expected share is exactly
    ``C(k, K) / C(n, K)``, which this approximates from above: random groups cannot fail it by more than that.
    Groups of alike images do: by Jensen's inequality they are all right *more* often, the more accuracy varies
    between the kinds of images.
    """
    return np.asarray(accuracy, np.float64) ** size
