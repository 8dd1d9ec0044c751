"""Many figures to files, in one process and in two."""

from __future__ import annotations

from functools import partial

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from bigbench_meta.figures import publication_style
from bigbench_meta.figures.files import figure_files


def drawn(number):
    """A figure that formats its ticks by a function without a name."""
    with publication_style():
        figure = Figure(figsize=(3, 2))
        ax = figure.add_subplot(xscale="log")
        ax.plot([1, 10, 1000], [number, 2, 1], marker="o", label=f"curve {number}")
        ax.set_title("Every figure ≥ three formats")
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.1f} units"))
    return figure


def test_the_number_of_processes_changes_nothing():
    """One process and two give the same bytes, in the order of the figures."""
    one, two = (figure_files([partial(drawn, n) for n in range(3)], workers=count) for count in (1, 2))
    assert one == two
    assert [list(files) for files in one] == [["svg", "pdf", "png"]] * 3
    assert len({files["svg"] for files in one}) == 3


def test_a_settled_figure_stays_as_it_is():
    """Writing a figure again gives the same bytes: its layout does not move on."""
    figure = drawn(0)
    assert figure_files([lambda: figure]) == figure_files([lambda: figure])
    assert figure.get_layout_engine() is None
