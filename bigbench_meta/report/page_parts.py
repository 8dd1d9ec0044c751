"""What a page is made of: sections with sentences, figures and tables, all plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class PageFigure:
    """A figure with its words and the data behind it, drawn when it is first asked for.

    ``name`` is the file name without ending, ``alt`` says in words what a reader should see.
    """

    name: str
    title: str
    alt: str
    drawing: Callable[[], Figure]
    data: pd.DataFrame
    height: float = 3.6  # inches

    @cached_property
    def figure(self) -> Figure:
        """The drawn figure."""
        return self.drawing()


@dataclass(frozen=True)
class PageTable:
    """A table that sorts and filters on the page.

    ``note`` says what a row is. ``columns`` picks and orders what the page shows; the file holds every column.
    Rows that name a ``task`` get a link to their curve.
    """

    name: str
    title: str
    note: str
    frame: pd.DataFrame
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Section:
    """One part of the page: an optional experiment adds one of these and nothing else changes."""

    name: str
    title: str
    sentences: tuple[str, ...] = ()
    figures: tuple[PageFigure, ...] = ()
    tables: tuple[PageTable, ...] = ()
    caveats: tuple[str, ...] = ()


@dataclass(frozen=True)
class Page:
    """A whole report.

    ``lead`` is the answer: pairs of a label and a sentence. ``kinds`` names the kinds of data the page shows: ``real``,
    ``user``, ``simulated``, ``claimed``. ``references`` are level lines for the explorer (`analysis.references`).
    """

    title: str
    lead: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    results: pd.DataFrame
    curves: pd.DataFrame
    provenance: dict[str, object]
    problems: pd.DataFrame
    kinds: tuple[str, ...] = ("real",)
    left_out: tuple[str, ...] = field(default=())
    references: pd.DataFrame | None = None

    @property
    def figures(self) -> tuple[PageFigure, ...]:
        """Every figure of the page, in reading order."""
        return tuple(figure for section in self.sections for figure in section.figures)
