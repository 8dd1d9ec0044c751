"""Many figures to files, on every core: to draw a figure takes a quarter of a second, to write it in three formats one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bigbench_meta.figures.style import FORMATS, Format, figure_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

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
    from joblib import Parallel, cpu_count, delayed

    if workers is None:
        workers = cpu_count() if len(drawings) >= _WORTH_SHARING else 1
    each: Iterable[dict[Format, bytes]] = (
        map(_files, drawings)
        if workers <= 1
        else Parallel(n_jobs=workers, return_as="generator")(delayed(_files)(drawing) for drawing in drawings)
    )
    made = []
    for done, files in enumerate(each, start=1):
        made.append(files)
        if progress is not None:
            progress(done, len(drawings), "figures")
    return made


def _files(drawing: Callable[[], Figure]) -> dict[Format, bytes]:
    figure = drawing()
    return {kind: figure_bytes(figure, kind) for kind in FORMATS}
