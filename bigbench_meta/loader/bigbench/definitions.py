"""How many items stand behind the scores of a task, counted from its definition (``task.json``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from bigbench_meta.fetcher.checkout import Checkout

# The longest definitions have tens of megabytes and a million values; each value takes up to a hundred bytes once decoded.
MAX_BYTES = 256 << 20
MAX_VALUES = 10_000_000
COLUMNS = ("task", "subtask", "n_distinct", "soft_targets", "reason")


class _Counted(NamedTuple):
    n_distinct: float
    soft_targets: int
    reason: str


def task_definitions(checkout: Checkout) -> pd.DataFrame:
    """Count the distinct examples in every ``task.json`` of a checkout that has scores.

    BIG-bench drops exact duplicates before it scores (facts recovered from its published scores: they lie on the grid
    of the distinct examples), so that repeats of an example are one item.

    Parameters
    ----------
    checkout : Checkout
        As `bigbench_meta.fetch` returns it.

    Returns
    -------
    DataFrame
        One row per definition with examples, sorted: ``task, subtask`` as in RESULTS (a task without subtasks names
        itself), ``n_distinct`` (NaN where it could not be counted), ``soft_targets`` (1 where a target has a score
        other than 0 and 1, so that scores are no whole numbers of successes), ``reason`` (why it could not be counted,
        else empty). Definitions without examples of their own, as of a task that only has subtasks, have no row.

    Examples
    --------
    >>> import tempfile, numpy as np, bigbench_meta as bm
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     made = bm.simulate(folder + "/repository", rng=np.random.default_rng(1), tasks=1)
    ...     table = task_definitions(bm.fetch(str(made.path)))
    >>> list(table.columns)
    ['task', 'subtask', 'n_distinct', 'soft_targets', 'reason']
    """
    import pandas as pd

    homes = {entry.path.rpartition("/")[0].removesuffix("results") for entry in checkout.entries if entry.is_result}
    named = {
        entry: name
        for entry in checkout.entries
        if not entry.is_result and (name := _name_of(entry.path, homes)) is not None
    }
    rows: list[tuple[str, str, float, int, str]] = [
        (*named[entry], *_Counted(float("nan"), 0, f"{entry.size} bytes, at most {MAX_BYTES} are read"))
        for entry in named
        if entry.size > MAX_BYTES
    ]
    for entry, content in checkout.read([entry for entry in named if entry.size <= MAX_BYTES]):
        counted = _count(content)
        if counted is not None:
            rows.append((*named[entry], *counted))
    return pd.DataFrame(rows, columns=list(COLUMNS)).sort_values(["task", "subtask"], ignore_index=True)


def _name_of(path: str, homes: set[str]) -> tuple[str, str] | None:
    """Task and subtask of a definition: the nearest folder above it that has results is the task's."""
    folder = path.removesuffix("task.json")
    home = folder
    while home and home not in homes:
        home = home.rstrip("/").rpartition("/")[0]
        home += "/" if home else ""
    task = home.rstrip("/").rpartition("/")[2]
    if not task or home not in homes:
        return None
    below = folder.removeprefix(home).strip("/")
    return task, f"{task}:{below.replace('/', ':')}" if below else task


def _count(content: bytes) -> _Counted | None:
    """Count one definition; None where it has no examples."""
    import msgspec

    values = content.count(b",") + content.count(b"{") + content.count(b"[")
    if values > MAX_VALUES:
        return _Counted(float("nan"), 0, f"{values} values, at most {MAX_VALUES} are decoded")
    try:
        definition = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as err:
        return _Counted(float("nan"), 0, f"no readable JSON: {str(err)[:120]}")
    examples = definition.get("examples") if isinstance(definition, dict) else None
    if examples is None or examples == []:
        return None
    if not isinstance(examples, list):
        return _Counted(float("nan"), 0, f"examples is {type(examples).__name__}, expected a list")
    distinct = {msgspec.json.encode(example, order="deterministic") for example in examples}
    return _Counted(float(len(distinct)), int(any(_is_soft(score) for score in _target_scores(examples))), "")


def _target_scores(examples: Iterable[Any]) -> Iterable[object]:
    for example in examples:
        scores = example.get("target_scores") if isinstance(example, dict) else None
        if isinstance(scores, dict):
            yield from scores.values()


def _is_soft(score: object) -> bool:
    return score not in (0, 1)
