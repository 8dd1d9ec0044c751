"""Many figures to files, in one process and in two."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from bigbench_meta.export.figure_files import figure_files
from bigbench_meta.figures import publication_style


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


def test_settings_in_the_working_folder_change_nothing(tmp_path):
    """A `matplotlibrc` where the user stands, as in somebody else's repository, starts no LaTeX and moves no byte."""
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nfont.size: 30\nlines.linewidth: 9\nbackend: pdf\n")
    root = Path(__file__).resolve().parents[2]
    script = (
        f"import sys; sys.path[:0] = [{str(root)!r}, {str(root / 'tests')!r}]\n"
        "from hashlib import sha256\n"
        "from export.test_figure_files import drawn\n"
        "from bigbench_meta.export.figure_files import figure_files\n"
        "files, = figure_files([lambda: drawn(1)], workers=1)\n"
        "print({name: sha256(content).hexdigest() for name, content in files.items()})\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    (here,) = figure_files([partial(drawn, 1)], workers=1)
    assert done.stdout.strip() == str({name: hashlib.sha256(content).hexdigest() for name, content in here.items()})
