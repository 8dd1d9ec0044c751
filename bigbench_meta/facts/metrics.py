"""The metric registry: what is known of each metric, as a table, with ``unknown`` where nothing is known.

Vocabulary
----------
direction
    ``higher``, ``lower`` (the better end) or ``unknown``. A preferred score is normalised by BIG-bench between its
    low and its high, which declares higher as better; a key that no task prefers declares nothing.
per-token error
    The rate at which a model errs on one token of a target, and its cross-entropy there. Schaeffer et al. (2023, sec. 2) ask
    whether a metric deforms it: their hypothesis is that metrics that do so *nonlinearly or discontinuously* make jumps.
linearity
    How the expected score of one item follows the per-token error, where tokens err independently:

    ``linear``
        straight in the error rate or in the cross-entropy: edit distance, shares of right positions, log-likelihoods.
    ``nonlinear``
        curved but without a threshold: a product over tokens (the probability of a text), a square (the Brier score), a
        harmonic or geometric mean (F1, ROUGE, BLEU), a learned score (BLEURT).
    ``discontinuous``
        all or nothing: the whole text must be right, or the arg max of the options must be, whatever happens to the items'
        outcomes afterwards (a mean in the grade, F1 over classes in macro_f1, bins in the calibration error).
    ``derived``
        computed from other scores; ``unknown`` where nobody has looked.
continuous
    ``yes`` where an item can score between its worst and its best (partial credit, a probability), ``no`` where it cannot.
    It says of one item what ``discontinuous`` says of the expectation: a metric is ``no`` exactly where it is
    ``discontinuous``.
on-disk range
    ``low`` to ``high`` as the score files hold the number; NaN where there is no bound.
alias
    Another name that people use for a metric. It is taken for the metric's key wherever a person names one, unless the
    data hold a metric of that very name.
"""

from __future__ import annotations

import logging
import math
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from bigbench_meta.errors import TableError
from bigbench_meta.schema import DIRECTIONS
from bigbench_meta.values import shown

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    import pandas as pd

log = logging.getLogger(__name__)

# What people call a metric -> its key in the score files. The task files of BIG-bench spell the key; papers and users write
# it out.
ALIASES = {"exact_string_match": "exact_str_match"}

COLUMNS = ["metric", "task", "low", "high", "direction", "linearity", "continuous", "source"]
LINEARITIES = ("linear", "nonlinear", "discontinuous", "derived", "unknown")
CONTINUITIES = ("yes", "no", "unknown")
# All or nothing of each item, but no mean over items: the noise of a share of n items is not theirs.
NO_MEANS = frozenset(["expected_calibration_error", "macro_f1"])
_FAULTS = 10  # that a message names; a file may have as many as rows


def metrics(extra: Path | str | None = None) -> pd.DataFrame:
    """Return the metric registry, one row a metric or (metric, task) pair.

    A row with an empty ``task`` holds for every task; a row that names a task overrides it there, because a name means
    what the task makes of it: ``full`` is preferred by seven tasks, with seven scales. A metric that some subtask prefers
    with a low score below its high score declares that higher is better; that is its ``source`` then.

    Parameters
    ----------
    extra : path, optional
        CSV file with the columns ``metric, direction`` and any of the others; its rows are added, and replace
        packaged rows of the same (metric, task). Missing columns are filled as unknown.

    Returns
    -------
    DataFrame
        Columns ``metric, task, low, high, direction, linearity, continuous, source``, sorted by metric and task.
        ``low`` and ``high`` are the on-disk range, NaN where unbounded or unknown.

    Raises
    ------
    TableError
        If ``extra`` lacks a required column or uses a word that is not legal; the first ten faults are named at once.

    Examples
    --------
    >>> import bigbench_meta as bm
    >>> table = bm.metrics().set_index(["metric", "task"])
    >>> table.loc[("calibration_multiple_choice_brier_score", ""), "direction"]
    'lower'
    """
    import pandas as pd

    packaged = _read(files("bigbench_meta") / "data" / "metrics.csv")  # type: ignore[arg-type]
    if extra is None:
        return packaged
    added = _read(extra)
    both = pd.concat([packaged, added], ignore_index=True).drop_duplicates(["metric", "task"], keep="last")
    return both.sort_values(["metric", "task"], ignore_index=True)


def metric_key(name: str, *, known: Collection[str] = ()) -> str:
    """Return the key of a metric that a person names, and log a warning where that is another word.

    Parameters
    ----------
    name : str
        As the person wrote it.
    known : collection of str
        The metrics that the data hold; a name among them is taken as it stands.

    Examples
    --------
    >>> metric_key("exact_string_match")
    'exact_str_match'
    >>> metric_key("exact_string_match", known={"exact_string_match"})
    'exact_string_match'
    """
    key = ALIASES.get(name, name)
    if key == name or name in known:
        return name
    log.warning("%s", alias_taken(name))
    return key


def alias_taken(name: str) -> str:
    """Return the sentence that says what an alias was taken for."""
    return f"metric {name!r} is taken for {ALIASES[name]!r}, as the score files of BIG-bench call it"


def aliases_among(names: Iterable[str]) -> dict[str, str]:
    """Return the aliases in a column of names, with their keys; one whose key stands there too is a name of its own."""
    there = set(names)
    return {name: key for name, key in ALIASES.items() if name in there and key not in there}


def _read(path: Path | str) -> pd.DataFrame:

    from bigbench_meta.table_files import as_floats, csv_frame

    table = csv_frame(
        Path(path) if isinstance(path, str) else path,
        expected="columns metric, direction",
        text=("metric", "task"),
        missing=False,
    )
    if "metric" in table.columns:
        for name in aliases_among(table["metric"]):
            table["metric"] = table["metric"].replace(name, metric_key(name))
    missing = {"metric", "direction"} - set(table.columns)
    if missing:
        raise TableError(f"{path}: required column(s) {', '.join(sorted(missing))} missing; expected {COLUMNS}")
    defaults = {"task": "", "low": "", "high": "", "linearity": "unknown", "continuous": "unknown", "source": str(path)}
    for name, value in defaults.items():
        if name not in table.columns:
            table[name] = value
    faults = [
        f"{name} {shown(str(word))} of metric {shown(metric)} is not one of {', '.join(legal)}"
        for name, legal in (("direction", DIRECTIONS), ("linearity", LINEARITIES), ("continuous", CONTINUITIES))
        for metric, word in zip(table["metric"], table[name], strict=True)
        if word not in legal
    ]
    for name in ("low", "high"):
        numbers = as_floats(table[name])
        faults += [
            f"{name} {shown(str(text))} of metric {shown(metric)} is not a finite number; leave it empty where there is no bound"
            for metric, text, number in zip(table["metric"], table[name], numbers, strict=True)
            if str(text).strip() and not math.isfinite(number)
        ]
        table[name] = numbers
    faults += [
        f"metric {shown(metric)} of task {shown(task)} is there more than once"
        for metric, task in table.loc[table.duplicated(["metric", "task"]), ["metric", "task"]].itertuples(index=False)
    ]
    if faults:
        more = f"; and {len(faults) - _FAULTS} more" if len(faults) > _FAULTS else ""
        raise TableError(f"{path}: " + "; ".join(faults[:_FAULTS]) + more)
    return table[COLUMNS]


def look_up(pairs: pd.DataFrame, registry: pd.DataFrame) -> pd.DataFrame:
    """Return the registry's facts for each row of ``pairs`` (columns ``task, metric``), aligned with it.

    A row that names the task goes before one that holds for every task; where neither exists the words are
    ``unknown`` and the range NaN. A registry may have a column ``margin_scale``, the change of a score that the margins of
    verdicts are shares of, in the metric's own units.
    """
    import numpy as np
    import pandas as pd

    numbers = ["low", "high", *(name for name in ("margin_scale",) if name in registry.columns)]
    facts = registry.set_index(["metric", "task"])[[*numbers, "direction", "linearity", "continuous"]]
    metric = pairs["metric"].astype(str).to_numpy()
    task = pairs["task"].astype(str).to_numpy()
    positions = facts.index.get_indexer(pd.MultiIndex.from_arrays([metric, task]))
    general = facts.index.get_indexer(pd.MultiIndex.from_arrays([metric, np.full(len(metric), "")]))
    positions = np.where(positions >= 0, positions, general)
    found = facts.take(np.maximum(positions, 0)).set_axis(pairs.index)
    unknown = positions < 0
    words = ["direction", "linearity", "continuous"]
    found[words] = found[words].astype(object)
    found.loc[unknown, numbers] = np.nan
    found.loc[unknown, words] = "unknown"
    return found
