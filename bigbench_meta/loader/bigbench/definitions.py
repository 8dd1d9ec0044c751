"""How many items stand behind the scores of a task, counted from its definition (``task.json``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

    from bigbench_meta.fetcher.checkout import Checkout, Entry

# The longest definitions have tens of megabytes and a million values; each value takes up to a hundred bytes once decoded.
MAX_BYTES = 256 << 20
MAX_VALUES = 10_000_000
COLUMNS = ("task", "subtask", "n_distinct", "soft_targets", "reason")


class _Counted(NamedTuple):
    n_distinct: float
    soft_targets: int
    reason: str


class _Definition(NamedTuple):
    """The name a definition gives, and its examples counted; None where it has none of either."""

    name: str | None
    counted: _Counted | None


def task_definitions(checkout: Checkout) -> pd.DataFrame:
    """Count the distinct examples in every ``task.json`` of a checkout that has scores.

    BIG-bench drops exact duplicates before it scores (facts recovered from its published scores: they lie on the grid
    of the distinct examples), so that repeats of an example are one item. Examples are the same where they are written
    alike: with the same keys in the same order.

    Parameters
    ----------
    checkout : Checkout
        As `bigbench_meta.fetch` returns it.

    Returns
    -------
    DataFrame
        One row per definition with examples, sorted: ``task`` (the folder) and ``subtask`` as in RESULTS, that is by the
        ``name`` that the definition gives, of subtasks after the name of the task and a colon, with ``?`` for what is not
        ASCII (where a definition gives none, the folder's name stands for it); ``n_distinct`` (NaN where it could not be counted), ``soft_targets`` (1 where a target has a score
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
    placed = {
        entry: place
        for entry in checkout.entries
        if not entry.is_result and (place := _place_of(entry.path, homes)) is not None
    }
    found: dict[Entry, _Definition] = {
        entry: _Definition(None, _Counted(float("nan"), 0, f"{entry.size} bytes, at most {MAX_BYTES} are read"))
        for entry in placed
        if entry.size > MAX_BYTES
    }
    for entry, content in checkout.read([entry for entry in placed if entry.size <= MAX_BYTES]):
        found[entry] = _read(content)
    names = {placed[entry]: definition.name for entry, definition in found.items()}
    rows = [
        (place.task, _subtask(place, names), *counted)
        for entry, place in placed.items()
        if (counted := found[entry].counted) is not None
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS)).sort_values(["task", "subtask"], ignore_index=True)


def definitions_left_out(checkout: Checkout) -> tuple[str, ...]:
    """Say in a sentence if task definitions of a checkout were not read, so that items come from elsewhere; else nothing."""
    if not checkout.definitions_left_out:
        return ()
    note = (
        f"{checkout.definitions_left_out} task definitions were not read: items behind a point are those that the package counted "
        "in BIG-bench 1.0.0, where it has them; --definitions reads them"
    )
    return (note,)


class _Place(NamedTuple):
    """Where a definition lies: the folder of its task, and the folders from there down."""

    home: str
    below: tuple[str, ...]

    @property
    def task(self) -> str:
        """The name of the task's folder."""
        return self.home.rstrip("/").rpartition("/")[2]


def _place_of(path: str, homes: set[str]) -> _Place | None:
    """The nearest folder above a definition that has results is the task's; None where there is none."""
    folder = path.removesuffix("task.json")
    home = folder
    while home and home not in homes:
        home = home.rstrip("/").rpartition("/")[0]
        home += "/" if home else ""
    if not home.rstrip("/").rpartition("/")[2] or home not in homes:
        return None
    below = folder.removeprefix(home).strip("/")
    return _Place(home, tuple(below.split("/")) if below else ())


def _subtask(place: _Place, names: Mapping[_Place, str | None]) -> str:
    """Name of a definition in score files: its own and those of the definitions above it, each else its folder's name."""
    folders = (place.task, *place.below)
    above = [_Place(place.home, place.below[:depth]) for depth in range(len(folders))]
    return ":".join(names.get(each) or folder for each, folder in zip(above, folders, strict=True))


def _read(content: bytes) -> _Definition:
    """Read the name of one definition and count its examples."""
    import msgspec

    values = content.count(b",") + content.count(b"{") + content.count(b"[")
    if values > MAX_VALUES:
        return _uncounted(f"{values} values, at most {MAX_VALUES} are decoded")
    try:
        definition = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as err:
        return _uncounted(f"no readable JSON: {str(err)[:120]}")
    if not isinstance(definition, dict):
        return _Definition(None, None)
    given = definition.get("name")
    name = given.encode("ascii", "replace").decode() if isinstance(given, str) and given else None
    return _Definition(name, _count(definition.get("examples")))


def _uncounted(reason: str) -> _Definition:
    return _Definition(None, _Counted(float("nan"), 0, reason))


def _count(examples: object) -> _Counted | None:
    """Count the examples of a definition; None where it has none."""
    import msgspec

    if examples is None or examples == []:
        return None
    if not isinstance(examples, list):
        return _Counted(float("nan"), 0, f"examples is {type(examples).__name__}, expected a list")
    distinct = {msgspec.json.encode(example) for example in examples}
    return _Counted(float(len(distinct)), int(any(_is_soft(score) for score in _target_scores(examples))), "")


def _target_scores(examples: Iterable[Any]) -> Iterable[object]:
    for example in examples:
        scores = example.get("target_scores") if isinstance(example, dict) else None
        if isinstance(scores, dict):
            yield from scores.values()


def _is_soft(score: object) -> bool:
    return score not in (0, 1)
