"""Emergence induced in vision by the choice of metric, and taken away again: what the paper does in its section 5.

Nobody claims emergent abilities for small image models, yet a thresholded metric makes their improvement look sudden.
Three families on a ladder of sizes: autoencoders, LeNet-like classifiers, and transformers over sequences of images.
"""

from __future__ import annotations

from bigbench_meta.experiments.vision.calibration import (
    calibrate,
    shipped_calibration,
    shipped_stopped_ladders,
    stopped_ladders,
)
from bigbench_meta.experiments.vision.datasets import ImageSet, load_images
from bigbench_meta.experiments.vision.outcomes_table import (
    items,
    read_results,
    registry_rows,
    shipped,
    shipped_provenance,
    write_results,
)
from bigbench_meta.experiments.vision.statements import Findings, findings, metric_pairs
from bigbench_meta.experiments.vision.training import Training, require_torch, train
from bigbench_meta.experiments.vision.training_plan import EXPERIMENTS, Plan

__all__ = [
    "EXPERIMENTS",
    "Findings",
    "ImageSet",
    "Plan",
    "Training",
    "calibrate",
    "findings",
    "items",
    "load_images",
    "metric_pairs",
    "read_results",
    "registry_rows",
    "require_torch",
    "shipped",
    "shipped_calibration",
    "shipped_provenance",
    "shipped_stopped_ladders",
    "stopped_ladders",
    "train",
    "write_results",
]
