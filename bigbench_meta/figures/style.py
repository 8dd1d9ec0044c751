"""The look of every figure: the style file, colours and markers by family, and figures to bytes."""

from __future__ import annotations

import contextlib
import functools
import io
from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, QUIET, GRID, PAPER = "#222222", "#555555", "#dddddd", "#ffffff"

# Okabe and Ito's palette for colour-blind readers, in an order whose greys alternate; shape and dash tell them apart too.
_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#8a8a8a")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_DASHES: tuple[str | tuple[int, tuple[float, ...]], ...] = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 1, 1, 1)))
CLAIMED, ALL_TASKS = "#d55e00", "#0072b2"

# Beyond this many marks a vector file grows by megabytes and no reader can tell them apart: they become an image in it.
MANY_MARKS = 3000

Format = Literal["svg", "pdf", "png"]
FORMATS: tuple[Format, ...] = ("svg", "pdf", "png")  # every figure is written in each


# No time stamps and no versions, or no two files would be equal. zlib's default level would make PNG files a little
# smaller and take three times as long.
_OPTIONS: dict[Format, dict[str, Any]] = {
    "svg": {"metadata": {"Date": None, "Creator": None}},
    "pdf": {"metadata": {"CreationDate": None, "Producer": None}},
    "png": {"metadata": {"Software": None}, "pil_kwargs": {"compress_level": 3}},
}

# Keyword arguments of a line, as matplotlib takes them.
Look = dict[str, Any]


def looks(names: Iterable[str]) -> dict[str, Look]:
    """One colour, marker and dash per name, the same for the same set of names."""
    ordered = sorted(set(names))
    return {
        name: Look(
            color=_COLOURS[i % len(_COLOURS)],
            marker=_MARKERS[i % len(_MARKERS)],
            linestyle=_DASHES[(i // len(_COLOURS) + i) % len(_DASHES)],
        )
        for i, name in enumerate(ordered)
    }


@contextlib.contextmanager
def publication_style() -> Iterator[None]:
    """Draw with the package's style file inside this block; nothing outside it changes.

    It starts from the defaults of Matplotlib, not from the `matplotlibrc` of the user or of the working folder, which may be
    somebody else's: figures are the same everywhere, and no LaTeX is started.
    """
    from matplotlib import style

    with (
        as_file(files("bigbench_meta.figures") / "publication.mplstyle") as path,
        style.context(str(path), after_reset=True),
    ):
        yield


def as_drawn(name: object, *, most: int | None = None) -> str:
    r"""A name from data as text of a figure: at most ``most`` characters, no mathematics, no character without a shape.

    A name that starts with ``_`` gets a space before it: legends leave out what starts so.

    Examples
    --------
    >>> as_drawn("$x$ 中")
    '\\$x\\$ □'
    """
    text = str(name)
    if most is not None and len(text) > most:
        text = text[: most - 1] + "…"
    known = _shapes()
    text = "".join(c if ord(c) in known and c.isprintable() else "\u25a1" for c in text)
    return (f" {text}" if text.startswith("_") else text).replace("$", r"\$")


@functools.cache
def _shapes() -> frozenset[int]:
    """Characters that the style's font can draw; any other would be a warning and an empty box."""
    from matplotlib.font_manager import findfont, get_font

    return frozenset(get_font(findfont("DejaVu Sans")).get_charmap())


def axes(ax: Axes | None, *, height: float | None = None) -> Axes:
    """``ax`` itself, or the axes of a new figure where the caller gave none, ``height`` inches high if that is given."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    figure = plt.figure()
    if height is not None:
        figure.set_figheight(height)
    return figure.add_subplot()


def figure_bytes(figure: Figure, kind: Format) -> bytes:
    """One figure as a file: no time stamp, fixed ids, so that the same figure gives the same bytes.

    The first call settles the layout of ``figure`` for good.
    """
    from matplotlib import rc_context

    sink = io.BytesIO()
    with publication_style(), rc_context({"figure.constrained_layout.use": False}):
        engine = figure.get_layout_engine()
        if engine is not None:
            # The layout moves a little with every drawing, so it is settled once and its engine removed; a figure that
            # has one, even one that does nothing, is drawn twice for every file.
            engine.execute(figure)
            figure.set_layout_engine(None)
        figure.savefig(sink, format=kind, **_OPTIONS[kind])
    return sink.getvalue()
