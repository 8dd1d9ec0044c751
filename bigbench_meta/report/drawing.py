"""One figure of the page: drawn in the house style, with its words and the data behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bigbench_meta.figures import publication_style
from bigbench_meta.report.page_parts import PageFigure

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw(
    name: str,
    drawing: Callable[[Figure], object],
    *,
    title: str,
    alt: str,
    data: pd.DataFrame,
    height: float = 3.6,
    width: float | None = None,
    simulated: bool = False,
) -> PageFigure:
    """Make one figure of the page in the house style. ``height`` is in inches, ``width`` too, by default the style's.

    Figures of simulated data say so on the plot itself, so that a copied figure cannot pass for a measurement.
    """

    def drawn() -> Figure:
        from matplotlib import rcParams
        from matplotlib.figure import Figure

        with publication_style():
            figure = Figure(figsize=(width or rcParams["figure.figsize"][0], height))
            drawing(figure)
            if simulated:
                figure.suptitle("simulated data", size=8, weight="bold", color="#8a3b00", x=0.995, ha="right")
        return figure

    return PageFigure(name, title, ("Simulated data. " if simulated else "") + alt, drawn, data, height)


def draw_one(
    name: str,
    drawing: Callable[[pd.DataFrame, Axes], object],
    data: pd.DataFrame,
    *,
    title: str,
    alt: str,
    height: float = 3.6,
    simulated: bool = False,
) -> PageFigure:
    """As `draw`, for a function of `bigbench_meta.figures` that draws the rows of ``data`` on one Axes."""

    def whole(figure: Figure) -> None:
        drawing(data, figure.add_subplot())

    return draw(name, whole, title=title, alt=alt, data=data, height=height, simulated=simulated)
