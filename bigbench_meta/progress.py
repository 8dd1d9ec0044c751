"""How long work tells how far it is: a function that is passed down, and the one that shows it to a person."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

# What ends sooner needs no line; the eye follows a few changes a second.
_PATIENCE_SECONDS, _BETWEEN_SECONDS = 1.0, 0.2
_WIDTH = 79


class Progress(Protocol):
    """Called while long work goes on: `done` of `total` (0: unknown) units of `what`."""

    def __call__(self, done: int, total: int, what: str) -> None:
        """Show it."""


def shown(progress: Progress | bool | None) -> Progress | None:
    """Return how progress is shown, or None where it is not.

    Parameters
    ----------
    progress
        A function, which is returned; True for a line that says how far the work is, how fast it goes and how long it will
        take; False for none; None for that line where somebody watches: in a notebook and in an interactive console, never in
        a script.
    """
    if progress is None:
        return Line() if _in_notebook() or _in_console() else None
    if isinstance(progress, bool):
        return Line() if progress else None
    return progress


def progress_words(done: int, total: int, what: str, *, seconds: float) -> str:
    """How far the work is, its rate, and the time left at that rate.

    Examples
    --------
    >>> progress_words(120, 576, "curves tested", seconds=10)
    'curves tested: 120 of 576, 12/s, 38 s left'
    >>> progress_words(0, 0, "report", seconds=3)
    'report: 3 s'
    """
    if not total:
        return f"{what}: {duration(seconds)}"
    words = f"{what}: {done:,} of {total:,}"
    if not done or not seconds:
        return words
    rate = done / seconds
    return f"{words}, {rate:.2g}/s, {duration((total - done) / rate)} left"


def duration(seconds: float) -> str:
    """Seconds in the largest unit that says enough.

    Examples
    --------
    >>> duration(38.4), duration(150), duration(7200)
    ('38 s', '2.5 min', '2.0 h')
    """
    return (
        f"{seconds:.0f} s"
        if seconds < 90
        else f"{seconds / 60:.1f} min"
        if seconds < 5400
        else f"{seconds / 3600:.1f} h"
    )


class Line:
    """Progress as one line that is overwritten: below the cell of a notebook, else on stderr. It goes when the work is done."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun: dict[str, float] = {}
        self._last = -_BETWEEN_SECONDS
        self._shows = False
        self._place: _Place | None = None

    def __call__(self, done: int, total: int, what: str) -> None:
        """Show it, if it has taken long enough to be worth a line."""
        now = self._clock()
        begun = self._begun.setdefault(what, now)
        finished = bool(total) and done >= total
        if finished:
            del self._begun[what]
            self._put("")
        elif now - begun >= _PATIENCE_SECONDS and now - self._last >= _BETWEEN_SECONDS:
            self._last = now
            self._put(progress_words(done, total, what, seconds=now - begun))

    def _put(self, text: str) -> None:
        if not text and not self._shows:
            return
        if self._place is None:
            self._place = _Cell() if _in_notebook() else _Terminal()
        self._shows = bool(text)
        self._place.put(text)


class _Place(Protocol):
    def put(self, text: str) -> None: ...


class _Terminal:
    """The last line of a terminal."""

    def put(self, text: str) -> None:
        print(f"\r{text[:_WIDTH]:<{_WIDTH}}", end="" if text else "\r", file=sys.stderr, flush=True)  # noqa: T201


class _Cell:
    """A line below a cell, updated in place."""

    def __init__(self) -> None:
        from IPython.display import display

        self._handle = display(_Text(""), display_id=True)  # type: ignore[no-untyped-call]

    def put(self, text: str) -> None:
        self._handle.update(_Text(text))


class _Text:
    """Plain text for a notebook, without the quotes of its representation."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    if "ipykernel" not in sys.modules:
        return False
    from IPython import get_ipython

    return hasattr(get_ipython(), "kernel")


def _in_console() -> bool:
    """Whether somebody types into this process and sees its stderr."""
    typed = hasattr(sys, "ps1") or ("IPython" in sys.modules and sys.modules["IPython"].get_ipython() is not None)
    return typed and sys.stderr is not None and sys.stderr.isatty()
