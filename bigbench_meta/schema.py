"""The tables of the package: their columns, dtypes and keys, and the check that a frame follows them.

Vocabulary
----------
task, subtask, metric, shots, family, model
    As BIG-bench uses them. ``subtask`` equals the task's name where a file has no subtasks.
scale
    Effective parameter count of a model (``flop_matched_non_embedding_params``), a count, not millions.
curve
    The scores of one (task, subtask, metric, family, shots) over the family's models, ordered by scale.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bigbench_meta.errors import TableError

if TYPE_CHECKING:
    import pandas as pd

# dtype words: "category" strings, "float" float64, "int" int64, "Int" nullable integer,
# "bool" bool, "boolean" nullable boolean, "str" plain strings.
_CATEGORY, _FLOAT, _INT, _BOOL, _NULLABLE_BOOL, _STR = "category", "float", "int", "bool", "boolean", "str"


@dataclass(frozen=True)
class Table:
    """Name, columns (name -> dtype word, in order) and key of one table.

    ``optional`` columns are there where a source has them; those of ``optional_key`` are then part of the key.
    """

    name: str
    columns: dict[str, str]
    key: tuple[str, ...]
    optional: dict[str, str] = field(default_factory=dict)
    optional_key: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """Column names in their written order."""
        return list(self.columns)

    def full_key(self, frame: pd.DataFrame) -> tuple[str, ...]:
        """The key of a frame, with those optional columns of it that the frame has."""
        return (*self.key, *(name for name in self.optional_key if name in frame.columns))


RESULTS = Table(
    "RESULTS",
    {
        "task": _CATEGORY,
        "subtask": _CATEGORY,
        "is_aggregate": _BOOL,
        "family": _CATEGORY,
        "model": _CATEGORY,
        "total_params": _FLOAT,
        "non_embedding_params": _FLOAT,
        "scale": _FLOAT,
        "shots": _INT,
        "trial": _INT,
        "metric": _CATEGORY,
        "score": _FLOAT,
        "is_preferred": _BOOL,
        "low_score": _FLOAT,
        "high_score": _FLOAT,
        "score_normalized": _FLOAT,
        "source_file": _CATEGORY,
    },
    ("task", "subtask", "family", "model", "shots", "trial", "metric"),
    {
        "n_items": _FLOAT,
        "stderr": _FLOAT,
        "direction": _CATEGORY,
        "step": _FLOAT,
        "tokens": _FLOAT,
        "compute": _FLOAT,
        "loss": _FLOAT,
        "seed": _FLOAT,
        "filter": _CATEGORY,
        "harness": _CATEGORY,
        "task_version": _CATEGORY,
    },
    # The checkpoints of one run are one model.
    ("step",),
)

PROBLEMS = Table(
    "PROBLEMS",
    {"file": _STR, "where": _STR, "problem": _STR, "expected": _STR, "action": _STR},
    (),
)

CURVES = Table(
    "CURVES",
    {
        "task": _CATEGORY,
        "subtask": _CATEGORY,
        "is_aggregate": _BOOL,
        "metric": _CATEGORY,
        "direction": _CATEGORY,
        "family": _CATEGORY,
        "shots": _INT,
        "n_scales": _INT,
        "n_items": _FLOAT,
        "score_range": _FLOAT,
        "emergence_score": _FLOAT,
        "linearity": _FLOAT,
        "undefined_reason": _CATEGORY,
        "is_preferred": _BOOL,
    },
    ("task", "subtask", "metric", "family", "shots"),
)

# What analysis adds to CURVES, in this order.
CURVES_ANALYZED = Table(
    "CURVES",
    CURVES.columns
    | {
        "emergence_floored": _FLOAT,
        "width_decades": _FLOAT,
        "width_low": _FLOAT,
        "width_high": _FLOAT,
        "implied_exponent": _FLOAT,
        "p_trend": _FLOAT,
        "q_trend": _FLOAT,
        "p_sharp": _FLOAT,
        "q_sharp": _FLOAT,
        "surprise": _FLOAT,
        "p_surprise": _FLOAT,
        "q_surprise": _FLOAT,
        "power_sharp": _FLOAT,
        "power_surprise": _FLOAT,
        "verdict": _CATEGORY,
        "emergent": _NULLABLE_BOOL,
    },
    CURVES.key,
)

UNDEFINED_REASONS = ("too_few_scales", "flat", "zero_median_step", "missing_values")
VERDICTS = ("too_few_scales", "flat", "smooth", "sharp", "inverse", "nonmonotone", "undecided")
DIRECTIONS = ("higher", "lower", "unknown")

# The one metric that BIG-bench derives from the others: it gets a curve, never a place in a family of tests.
DERIVED_METRIC = "normalized_aggregate_score"


def _has_dtype(column: pd.Series, word: str) -> bool:
    import pandas as pd

    dtype = column.dtype
    if word == _CATEGORY:
        return isinstance(dtype, pd.CategoricalDtype)
    if word == _STR:
        return isinstance(dtype, pd.StringDtype) or pd.api.types.is_object_dtype(dtype)
    if word == _NULLABLE_BOOL:
        return isinstance(dtype, pd.BooleanDtype)
    return str(dtype) == {_FLOAT: "float64", _INT: "int64", "Int": "Int64", _BOOL: "bool"}[word]


def _is_increasing(frame: pd.DataFrame, key: tuple[str, ...]) -> bool:
    """Say whether each row's key is above the one before: then none repeats, and a sorted frame is checked fast."""
    import numpy as np
    import pandas as pd

    n_steps = max(len(frame) - 1, 0)
    above, equal = np.zeros(n_steps, dtype=bool), np.ones(n_steps, dtype=bool)
    for name in key:
        column = frame[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            values = column.cat.codes.to_numpy()
        elif pd.api.types.is_numeric_dtype(column.dtype):
            values = column.to_numpy()
        else:
            return False
        above |= equal & (values[1:] > values[:-1])
        equal &= values[1:] == values[:-1]
    return bool(above.all())


def validate(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Return ``frame`` unchanged if it has the columns, dtypes and unique key of ``table``.

    Further columns may follow those of the table.

    Raises
    ------
    TableError
        Naming every failure at once.
    """
    missing = [name for name in table.columns if name not in frame.columns]
    faults = [f"column {name!r} is missing" for name in missing]
    faults += [
        f"column {name!r} has dtype {frame[name].dtype}, expected {word}"
        for name, word in {**table.columns, **table.optional}.items()
        if name in frame.columns
        and not _has_dtype(frame[name], word)
        and not (name in table.optional and word == _FLOAT and _has_dtype(frame[name], _INT))  # counts without gaps
    ]
    key = table.full_key(frame)
    if key and not set(key) & set(missing):
        repeated = 0 if _is_increasing(frame, key) else int(frame.duplicated(list(key)).sum())
        if repeated:
            faults.append(f"{repeated} rows repeat the key ({', '.join(key)})")
    if faults:
        raise TableError(f"{table.name}: " + "; ".join(faults))
    return frame
