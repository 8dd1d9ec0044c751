"""Items of BIG-bench's JSON tasks: the packaged counts of distinct examples."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def packaged_items() -> pd.DataFrame:
    """Return the packaged facts: ``task, subtask, n_distinct, soft_targets`` of every JSON task and subtask.

    Counted from the public ``bigbench`` 1.0.0 package (Apache-2.0): distinct examples, as the official code scores
    them. ``soft_targets`` is 1 where targets are graded, so that scores are not whole numbers of successes.
    """
    import pandas as pd

    with (files("bigbench_meta") / "data" / "items.csv").open(encoding="utf-8") as stream:
        return pd.read_csv(stream, keep_default_na=False)
