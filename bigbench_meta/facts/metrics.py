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
from typing import TYPE_CHECKING, Any, NamedTuple

from bigbench_meta.errors import TableError
from bigbench_meta.schema import DIRECTIONS
from bigbench_meta.values import shown

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable, Mapping

    import pandas as pd

log = logging.getLogger(__name__)

# What people call a metric -> its key in the score files. The task files of BIG-bench spell the key; papers and users write
# it out.
ALIASES = {"exact_string_match": "exact_str_match"}

COLUMNS = ["metric", "task", "low", "high", "direction", "linearity", "continuous", "source"]
LINEARITIES = ("linear", "nonlinear", "discontinuous", "derived", "unknown")
CONTINUITIES = ("yes", "no", "unknown")
# Exponentials of a loss: what is linear in the log-likelihood is their logarithm.
EXPONENTIALS = ("ppl", "perplexity", "word_perplexity", "byte_perplexity")
# All or nothing of each item, but no mean over items: the noise of a share of n items is not theirs.
NO_MEANS = frozenset(
    ["expected_calibration_error", "macro_f1", "classification_macro_f1", "classification_micro_f1", "mcc", "pass@10", "pass@100",
     "inst_level_loose_acc", "inst_level_strict_acc"]
)  # fmt: skip
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
        return packaged.sort_values(["metric", "task"], ignore_index=True)
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

    A row that names the task goes before one that holds for every task. A metric with a filter or scorer, written
    ``metric,filter``, is looked up by its name alone where it has no row. Where none exists the words are ``unknown`` and
    the range NaN. A registry may have a column ``margin_scale``, the change of a score that the margins of verdicts are
    shares of, in the metric's own units.
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
    filtered = np.flatnonzero((positions < 0) & (np.char.find(metric.astype(str), ",") >= 0))
    if len(filtered):
        bare = [str(name).partition(",")[0] for name in metric[filtered]]
        positions[filtered] = facts.index.get_indexer(pd.MultiIndex.from_arrays([bare, [""] * len(bare)]))
    found = facts.take(np.maximum(positions, 0)).set_axis(pairs.index)
    unknown = positions < 0
    words = ["direction", "linearity", "continuous"]
    found[words] = found[words].astype(object)
    found.loc[unknown, numbers] = np.nan
    found.loc[unknown, words] = "unknown"
    return found


# What other tools mean by names that BIG-bench's tasks use for scores of any scale, of which nothing is known there.
_OF_HARNESSES: dict[str, dict[str, Any]] = {
    # lm-evaluation-harness, lighteval: mean F1 of the words of answer and target, or F1 of a class.
    "f1": {"low": 0.0, "high": 1.0, "direction": "higher", "linearity": "nonlinear", "continuous": "no"}
}
_PERCENT = 100.0
_ON_GRID = 1e-4  # of an item: how far a share times its items may be from a whole number


class Completed(NamedTuple):
    """A registry with what the results say themselves, and sentences where the two differ."""

    registry: pd.DataFrame
    notes: tuple[str, ...]


def completed(registry: pd.DataFrame, frame: pd.DataFrame) -> Completed:
    """Return the registry with what a frame of RESULTS says of its own metrics: direction, range, and shares of items.

    Only for frames that have a column ``direction``, ``n_items`` or ``harness``; BIG-bench's score files declare neither.

    Notes
    -----
    The source's direction goes before the registry's. A range is taken from ``low_score`` and ``high_score`` where the
    registry has none. A metric of range 0 to 1 with scores above 1 and none above 100 is in percent. A score that times
    its ``n_items`` is whole throughout is a share of successes.
    """
    import pandas as pd

    if not {"direction", "n_items", "harness"} & set(frame.columns):
        return Completed(registry, ())
    groups = frame.groupby([frame["task"].astype(str), frame["metric"].astype(str)], sort=True)
    pairs = pd.DataFrame([key for key, _ in groups], columns=["task", "metric"])
    facts = look_up(pairs, registry)
    rows, notes = [], []
    of_harness = "harness" in frame.columns
    for ((task, metric), part), known in zip(groups, facts.to_dict("records"), strict=True):
        usual = (
            _OF_HARNESSES.get(str(metric).partition(",")[0], {})
            if of_harness and known["direction"] == "unknown"
            else {}
        )
        fact = known | usual
        own = _own_facts(part, fact)
        if own.pop("contradicts", False):
            notes.append(
                f"{task}, {metric}: the results say that {own['direction']} is better, the registry {fact['direction']}; the results count."
            )
        if own.pop("percent", False):
            shares = int(((part["score"] > 0) & (part["score"] <= 1)).sum())
            doubt = f" {shares} of {len(part)} are 1 or below: correct them if they are shares." if shares else ""
            notes.append(f"{task}, {metric}: scores above 1, so they are taken as percent.{doubt}")
        if own or usual:
            names = {"metric": metric, "task": task, "source": "the results themselves"}
            rows.append({str(name): value for name, value in fact.items()} | own | names)
    if not rows:
        return Completed(registry, ())
    both = pd.concat([registry, pd.DataFrame(rows)[COLUMNS]], ignore_index=True)
    kept = both.drop_duplicates(["metric", "task"], keep="last").sort_values(["metric", "task"], ignore_index=True)
    return Completed(kept, tuple(notes))


def _own_facts(part: pd.DataFrame, fact: Mapping[Hashable, Any]) -> dict[str, Any]:
    """Return what the rows of one task and metric say beyond, or against, the registry."""
    import numpy as np

    own: dict[str, Any] = {}
    if "direction" in part.columns:
        said = sorted({str(word) for word in part["direction"]} - {"unknown", "nan"})
        if len(said) == 1 and said[0] != fact["direction"]:
            own["direction"] = said[0]
            own["contradicts"] = fact["direction"] != "unknown"
    score = part["score"].to_numpy(np.float64)
    score = score[np.isfinite(score)]
    low, high = (part[name].to_numpy(np.float64) for name in ("low_score", "high_score"))
    bounded = len(low) and bool(np.isfinite(low).all() and np.isfinite(high).all() and low.min() < high.max())
    unit = fact["low"] == 0 and fact["high"] == 1
    if unit and len(score) and ((bounded and high.max() == _PERCENT) or 1 < score.max() <= _PERCENT):
        own |= {"high": _PERCENT, "percent": not bounded}
    elif math.isnan(fact["low"]) and math.isnan(fact["high"]) and bounded:
        own |= {"low": float(low.min()), "high": float(high.max())}
    if fact["linearity"] == "unknown" and _is_share(part, top=own.get("high", fact["high"])):
        own |= {"low": 0.0, "high": own.get("high", 1.0), "linearity": "discontinuous", "continuous": "no"}
    return own


def _is_share(part: pd.DataFrame, *, top: float) -> bool:
    """Whether each score is a whole number of successes out of its items."""
    import numpy as np

    if "n_items" not in part.columns or part["n_items"].isna().any():
        return False
    unit = top if top in (1.0, _PERCENT) else 1.0
    score, items = part["score"].to_numpy(np.float64) / unit, part["n_items"].to_numpy(np.float64)
    if not (np.isfinite(score).all() and (score >= 0).all() and (score <= 1).all()):
        return False
    successes = score * items
    # Shares of a single score, or all of them 0 or 1, would be whole by chance.
    return bool(len(set(score.tolist())) > 2 and (np.abs(successes - np.rint(successes)) <= _ON_GRID).all())


def items_of(frame: pd.DataFrame) -> pd.DataFrame | None:
    """Return the items behind each point as RESULTS gives them, ``task, subtask, family, n_items``; None where it does not.

    Where they differ between the scores of a family the fewest are taken, which overstates the noise of the others.
    """
    if "n_items" not in frame.columns:
        return None
    known = frame[frame["n_items"].notna()]
    if known.empty:
        return None
    keys = [known[name].astype(str) for name in ("task", "subtask", "family")]
    fewest: pd.DataFrame = known.groupby(keys)["n_items"].min().clip(lower=1).reset_index()
    return fewest
