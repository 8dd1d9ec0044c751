"""Compare what a log states about its own items and scores with what this package computes of them."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from bigbench_meta.experiments.rescoring.item_metrics import REGISTERED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bigbench_meta.experiments.rescoring.scored_items import Group, Item
    from bigbench_meta.experiments.rescoring.totals import Totals

# Recorded and recomputed values count as equal within this share of the larger of 1 and the value: logs carry 32-bit
# log-probabilities, whose seventh digit is noise.
TOLERANCE = 1e-6
# Rows kept of one kind of problem or disagreement in one file; the rest is counted, so that a hostile file cannot fill
# the memory with complaints.
MOST_ROWS = 100

Row = TypeVar("Row")


class BoundedRows(Generic[Row]):
    """Appends to a list the first rows of each kind and counts the others."""

    def __init__(self, rows: list[Row], kind: Callable[[Row], str]) -> None:
        self._rows = rows
        self._kind = kind
        self._seen: Counter[str] = Counter()

    def add(self, row: Row) -> None:
        """Append the row, or count it."""
        # kinds are few in honest files; beyond as many kinds as rows of one kind, all further ones are one kind
        kind = self._kind(row)
        if kind not in self._seen and len(self._seen) >= MOST_ROWS:
            kind = "other kinds"
        self._seen[kind] += 1
        if self._seen[kind] <= MOST_ROWS:
            self._rows.append(row)

    def unlisted(self) -> Iterator[tuple[str, int]]:
        """Kinds with rows that were counted only, and how many."""
        for kind, count in sorted(self._seen.items()):
            if count > MOST_ROWS:
                yield kind, count - MOST_ROWS


class RecordedScore(NamedTuple):
    """One score entry in the head of a log."""

    subtask: str
    shots: int
    preferred: str
    low: float
    high: float
    scores: Mapping[str, float]


class Preference(NamedTuple):
    """Preferred metric of a group and the scores that BIG-bench normalises it by."""

    metric: str
    low: float
    high: float


class Disagreement(NamedTuple):
    """A recorded value that this package does not reproduce."""

    file: str
    where: str
    task: str
    subtask: str
    shots: int
    metric: str
    recorded: float
    rescored: float


class Agreement(NamedTuple):
    """How many recorded values of one metric of one file were compared, and how they came out.

    ``level`` is ``item`` or ``score``; ``compared`` is 0 where this package does not compute the metric, or where it
    is undefined for the items.
    """

    file: str
    level: str
    metric: str
    recorded: int
    compared: int
    equal: int
    largest_difference: float


class Comparison:
    """Collects the comparisons of one file."""

    def __init__(self, file: str) -> None:
        self.disagreements: list[Disagreement] = []
        self._file = file
        self._rows = BoundedRows[Disagreement](self.disagreements, lambda row: f"{row.where[:5]} {row.metric}")
        self._recorded: Counter[tuple[str, str]] = Counter()
        self._compared: Counter[tuple[str, str]] = Counter()
        self._equal: Counter[tuple[str, str]] = Counter()
        self._largest: defaultdict[tuple[str, str], float] = defaultdict(float)
        self._expected: list[RecordedScore] = []

    def expect(self, score: RecordedScore) -> None:
        """Note a score of the head, to be compared when all items are scored."""
        self._expected.append(score)

    def compare_item(self, item: Item, values: Mapping[str, float]) -> None:
        """Compare what the log states of one item."""
        for metric, recorded in item.recorded.items():
            where = f"query {item.query}, sample {item.index}"
            self._compare(("item", where, item.group), metric, recorded, values.get(metric))

    def compare_scores(self, totals: Mapping[Group, Totals]) -> None:
        """Compare the scores of the head; aggregates over subtasks have no items of their own and are left out."""
        for group, own in totals.items():
            scores = {metric: score for metric, (score, _) in own.scores().items()}
            for entry in self._entries(group):
                for metric, recorded in entry.scores.items():
                    self._compare(("score", "score of the head", group), metric, recorded, scores.get(metric))

    def preferences(self, totals: Mapping[Group, Totals]) -> dict[Group, Preference]:
        """Preferred metric of every group whose head states one."""
        found = {}
        for group in totals:
            for entry in self._entries(group):
                if entry.preferred:
                    found[group] = Preference(entry.preferred, entry.low, entry.high)
        return found

    def agreement(self) -> list[Agreement]:
        """Counts by level and metric."""
        return [
            Agreement(
                self._file,
                *key,
                count,
                self._compared[key],
                self._equal[key],
                self._largest[key] if self._compared[key] else math.nan,
            )
            for key, count in sorted(self._recorded.items())
        ]

    def _entries(self, group: Group) -> Iterator[RecordedScore]:
        return (entry for entry in self._expected if (entry.subtask, entry.shots) == (group.subtask, group.shots))

    def _compare(self, place: tuple[str, str, Group], metric: str, recorded: float, rescored: float | None) -> None:
        level, where, group = place
        # a hostile log may name any number of metrics: those unknown here are one row
        key = (level, metric if metric in REGISTERED else "not computed here")
        self._recorded[key] += 1
        if rescored is None:
            return
        self._compared[key] += 1
        gap = abs(rescored - recorded)
        if gap <= TOLERANCE * max(1.0, abs(recorded)):
            self._equal[key] += 1
        else:
            row = Disagreement(self._file, where, group.task, group.subtask, group.shots, metric, recorded, rescored)
            self._rows.add(row)
        self._largest[key] = max(self._largest[key], gap if not math.isnan(gap) else math.inf)
