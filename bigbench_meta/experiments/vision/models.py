"""The three architectures and how one of them is trained; needs PyTorch.

Every model is trained in one thread from its own seed, so a model's outcomes do not depend on what else is running.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from bigbench_meta.experiments.vision.image_metrics import SEQUENCE_PARTITIONS, groups
from bigbench_meta.experiments.vision.training_plan import EXPERIMENTS, LONGEST, Job, Plan, Split

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    from bigbench_meta.experiments.vision.datasets import ImageSet

_WARM_UP = 0.1  # share of the steps over which the learning rate goes up; large rates at step 0 kill narrow models
_TEST_BATCH = 1000


class Outcomes(NamedTuple):
    """What one finished model did: its number of parameters, and named arrays over images or sequences."""

    parameters: int
    arrays: dict[str, NDArray[np.generic]]


def autoencoder(pixels: int, units: int) -> nn.Sequential:
    """One hidden layer of ``units`` tanh units between linear maps."""
    return nn.Sequential(nn.Linear(pixels, units), nn.Tanh(), nn.Linear(units, pixels))


def lenet(shape: tuple[int, int, int], n_classes: int, width: int) -> nn.Sequential:
    """Two convolutions with average pooling and two dense layers, after LeCun et al. 1998.

    The channels are a quarter and a half of the ``width`` of the dense layer (at least 1); 3 x 3 kernels, since
    LeNet's 5 x 5 would cover most of an 8 x 8 image.
    """
    first, second = max(1, (width + 2) // 4), max(1, (width + 1) // 2)
    channels, height, across = shape
    flat = second * (height // 4) * (across // 4)
    return nn.Sequential(
        nn.Conv2d(channels, first, 3, padding=1), nn.Tanh(), nn.AvgPool2d(2),
        nn.Conv2d(first, second, 3, padding=1), nn.Tanh(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(flat, width), nn.Tanh(), nn.Linear(width, n_classes),
    )  # fmt: skip


def transformer(pixels: int, n_classes: int, width: int) -> nn.ModuleDict:
    """Return the parts of a one-layer decoder over (image, label) pairs; `next_labels` runs them."""
    return nn.ModuleDict(
        {
            "image": nn.Linear(pixels, width),
            "label": nn.Embedding(n_classes, width),
            "position": nn.Embedding(2 * LONGEST, width),
            "norm_attention": nn.LayerNorm(width),
            "query_key_value": nn.Linear(width, 3 * width),
            "mix": nn.Linear(width, width),
            "norm_dense": nn.LayerNorm(width),
            "dense": nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)),
            "norm_out": nn.LayerNorm(width),
            "out": nn.Linear(width, n_classes),
        }
    )


def next_labels(parts: nn.ModuleDict, images: Tensor, labels: Tensor) -> Tensor:
    """Return the logits of each image's label given the images up to it and the labels before it.

    Parameters
    ----------
    parts : nn.ModuleDict
        From `transformer`.
    images : Tensor, shape (b, L, pixels)
    labels : Tensor of int64, shape (b, L)

    Returns
    -------
    Tensor, shape (b, L, n_classes)
    """
    n, length = labels.shape
    pairs = torch.stack([parts["image"](images), parts["label"](labels)], dim=2).reshape(n, 2 * length, -1)
    x = pairs + parts["position"](torch.arange(2 * length))
    query, key, value = parts["query_key_value"](parts["norm_attention"](x)).chunk(3, dim=-1)
    x = x + parts["mix"](functional.scaled_dot_product_attention(query, key, value, is_causal=True))
    x = x + parts["dense"](parts["norm_dense"](x))
    return parts["out"](parts["norm_out"](x[:, 0::2]))  # at the place of an image its own label is still ahead


def train_model(images: ImageSet, job: Job, *, plan: Plan, parts: Split) -> Outcomes:
    """Train one model and return its outcomes on validation and test images.

    Parameters
    ----------
    images : ImageSet
    job : Job
        Experiment, size and trial. The seed is (plan's seed, experiment, size, trial).
    plan : Plan
    parts : Split

    Returns
    -------
    Outcomes
        ``autoencoder``: ``validation_error`` and ``test_error``, squared norms per image. ``lenet``: ``correct`` and
        ``log_probability`` of the true label per test image. ``transformer``: the same per image of each sequence,
        shape (g, 5), for random sequences, and ``correct_same_class`` for sequences of one class.
    """
    torch.set_num_threads(1)
    seed = np.random.SeedSequence([plan.seed, 1, EXPERIMENTS.index(job.experiment), job.size, job.trial])
    init_seed, batch_seed = (int(word) for word in seed.generate_state(2))
    with torch.random.fork_rng():
        torch.manual_seed(init_seed)
        return _TRAINERS[job.experiment](images, job, plan, parts, np.random.default_rng(batch_seed))


def _pixels(images: ImageSet, where: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(images.images[where].astype(np.float32) / np.float32(images.white))


def _fit(model: nn.Module, loss: Callable[[NDArray[np.int64]], Tensor], batches: NDArray[np.int64], peak: float) -> int:
    """Minimise ``loss`` over the batches with Adam; return the number of parameters."""
    optimizer = torch.optim.Adam(model.parameters(), lr=peak, fused=True)
    n_steps = len(batches)
    for step, batch in enumerate(batches):
        rate = peak * min(1.0, (step + 1) / (_WARM_UP * n_steps)) * (1 + math.cos(math.pi * step / n_steps)) / 2
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        loss(batch).backward()
        optimizer.step()
    return sum(p.numel() for p in model.parameters())


def _draw(parts: Split, job: Job, plan: Plan, rng: np.random.Generator, *, length: int = 1) -> NDArray[np.int64]:
    """Positions of the training images of every step: (steps, batch) or (steps, batch, length)."""
    shape = (plan.steps[job.experiment], plan.batch[job.experiment]) + ((length,) if length > 1 else ())
    return parts.training[rng.integers(len(parts.training), size=shape)]


def _train_autoencoder(images: ImageSet, job: Job, plan: Plan, parts: Split, rng: np.random.Generator) -> Outcomes:
    model = autoencoder(int(np.prod(images.images.shape[1:])), job.size)

    def error(where: NDArray[np.int64]) -> Tensor:
        x = _pixels(images, where).flatten(1)
        return (model(x) - x).square().sum(dim=1)

    n = _fit(model, lambda batch: error(batch).mean(), _draw(parts, job, plan, rng), plan.learning_rate[job.experiment])
    with torch.no_grad():
        return Outcomes(
            n, {"validation_error": _in_parts(error, parts.validation), "test_error": _in_parts(error, parts.test)}
        )


def _train_lenet(images: ImageSet, job: Job, plan: Plan, parts: Split, rng: np.random.Generator) -> Outcomes:
    model = lenet(images.images.shape[1:], images.n_classes, job.size)
    labels = torch.from_numpy(images.labels)

    def loss(batch: NDArray[np.int64]) -> Tensor:
        return functional.cross_entropy(model(_pixels(images, batch)), labels[batch])

    n = _fit(model, loss, _draw(parts, job, plan, rng), plan.learning_rate[job.experiment])
    with torch.no_grad():
        logits = _in_parts(lambda where: model(_pixels(images, where)), parts.test)
    return Outcomes(n, _judge(logits, images.labels[parts.test]))


def _train_transformer(images: ImageSet, job: Job, plan: Plan, parts: Split, rng: np.random.Generator) -> Outcomes:
    model = transformer(int(np.prod(images.images.shape[1:])), images.n_classes, job.size)
    labels = torch.from_numpy(images.labels)

    def logits(where: NDArray[np.int64]) -> Tensor:
        x = _pixels(images, where.reshape(-1)).reshape(*where.shape, -1)
        return next_labels(model, x, labels[where])

    def loss(batch: NDArray[np.int64]) -> Tensor:
        return functional.cross_entropy(logits(batch).flatten(0, 1), labels[batch].flatten())

    n = _fit(model, loss, _draw(parts, job, plan, rng, length=LONGEST), plan.learning_rate[job.experiment])
    found = {}
    with torch.no_grad():
        for how in ("random", "class"):
            # The same sequences for every model, so that sizes are compared on the same items.
            order = np.random.default_rng([plan.seed, 2])
            members = groups(images.labels[parts.test], LONGEST, how=how, rng=order, partitions=SEQUENCE_PARTITIONS)
            where = parts.test[members]
            found[how] = _judge(_in_parts(logits, where), images.labels[where])
    return Outcomes(n, {**found["random"], "correct_same_class": found["class"]["correct"]})


def _in_parts(compute: Callable[[NDArray[np.int64]], Tensor], where: NDArray[np.int64]) -> NDArray[np.float32]:
    """Run ``compute`` over the images in parts that fit in memory."""
    found = [compute(where[start : start + _TEST_BATCH]).numpy() for start in range(0, len(where), _TEST_BATCH)]
    return np.concatenate(found)


def _judge(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> dict[str, NDArray[np.generic]]:
    """Return ``correct`` and the natural ``log_probability`` of the true label; the last axis is the class."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    log_probability = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    true = np.take_along_axis(log_probability, labels[..., None], axis=-1)[..., 0]
    return {"correct": logits.argmax(axis=-1) == labels, "log_probability": true.astype(np.float32)}


_TRAINERS = {"autoencoder": _train_autoencoder, "lenet": _train_lenet, "transformer": _train_transformer}
