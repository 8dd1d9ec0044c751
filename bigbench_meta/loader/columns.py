"""What the readers of score files fill: numbers, and what they stand for, each fact stored once.

The files of one task differ, model by model, in little but their numbers. So what the entries of a file say beside
their numbers is kept as a *layout*, and a file is a task, a model, a layout and a run of numbers. The table of one row a
number is spread out once, at the end, over all files (``assemble``).
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pandas as pd


class Problem(NamedTuple):
    """One row of PROBLEMS, and how many numbers on disk it accounts for (those that have no row of RESULTS)."""

    file: str
    where: str
    problem: str
    expected: str
    action: str
    numbers: int = 0


class Loaded(NamedTuple):
    """What was read from a source, before any selection: RESULTS, its problems by file, and what they must add up to.

    ``notes`` are sentences about the source as a whole that are no problem of any number; ``formats`` counts its files by
    the tool that wrote them.
    """

    frame: pd.DataFrame
    problems: list[Problem]
    files: int
    on_disk: int
    notes: tuple[str, ...] = ()
    formats: tuple[tuple[str, int], ...] = ()


class Model(NamedTuple):
    """Who was scored: the key of a model and its sizes, NaN where unknown."""

    family: str
    model: str
    total_params: float
    non_embedding_params: float
    scale: float


class Layout(NamedTuple):
    """What the entries of a file say beside their numbers: each field has one item an entry, ``metrics`` one a number.

    Attributes
    ----------
    places
        Indices in the file's ``scores``.
    subtasks, shots, trials, lows, highs
        As in RESULTS.
    preferred
        Names of metrics, None where none is preferred.
    sizes
        How many numbers, and so how many of ``metrics``, belong to each entry.
    """

    places: tuple[int, ...]
    subtasks: tuple[str, ...]
    shots: tuple[int, ...]
    trials: tuple[int, ...]
    preferred: tuple[str | None, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]
    sizes: tuple[int, ...]
    metrics: tuple[str, ...]


@dataclass
class Columns:
    """Append-only columns over many files.

    ``files``, ``tasks``, ``models`` and ``layout_of_file`` have one item a file; ``scores`` one a number, in the order
    of files and of the metrics in their layouts. ``on_disk`` counts the numbers of all
    files without the decoder that filled the columns.
    """

    layouts: list[Layout] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    tasks: list[str] = field(default_factory=list)
    models: list[Model] = field(default_factory=list)
    layout_of_file: list[int] = field(default_factory=list)
    scores: array[float] = field(default_factory=lambda: array("d"))
    problems: list[Problem] = field(default_factory=list)
    on_disk: int = 0

    def add_file(self, file: str, *, task: str, model: Model, layout: int) -> None:
        """Append what is known of a file beside its numbers."""
        self.files.append(file)
        self.tasks.append(task)
        self.models.append(model)
        self.layout_of_file.append(layout)
