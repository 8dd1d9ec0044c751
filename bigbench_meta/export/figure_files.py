"""Many figures to files, in several processes: to draw a figure takes a quarter of a second, to write it in three formats one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bigbench_meta.figures.style import FORMATS, Format, figure_bytes
from bigbench_meta.parallel import run_jobs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.figure import Figure

    from bigbench_meta.progress import Progress

# To start a process takes about as long as to write two figures.
_WORTH_SHARING = 4


def figure_files(
    drawings: Sequence[Callable[[], Figure]], *, workers: int | None = None, progress: Progress | None = None
) -> list[dict[Format, bytes]]:
    """Return the files of each figure, by format.

    Parameters
    ----------
    drawings
        Functions that each draw one figure, wherever they are called.
    workers
        Processes that share the figures, by default one per core where there are figures enough. The bytes do not
        depend on it.
    progress
        Called with figures written, figures in all, and ``"figures"``.
    """
    return run_jobs(
        _files, drawings, worth=_WORTH_SHARING, workers=workers, local=True, progress=progress, what="figures"
    )


def _files(drawing: Callable[[], Figure]) -> dict[Format, bytes]:
    figure = drawing()
    return {kind: figure_bytes(figure, kind) for kind in FORMATS}
