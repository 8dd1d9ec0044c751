"""The report of the default run shows the packaged experiments; the report of a user's own results does not."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bigbench_meta.figures.style import FORMATS, figure_bytes
from bigbench_meta.report.section_experiments import PACKAGED_SOURCE, experiment_sections, ladder, vision


def test_only_the_default_run_shows_experiments():
    """A source of the user's has no vision section; the packaged one has its four figures and says what limits it."""
    assert experiment_sections("results of mine.zip") == ()
    sections = {section.name: section for section in experiment_sections(PACKAGED_SOURCE)}
    vision = sections["vision"]
    assert [figure.name for figure in vision.figures] == [
        "vision_autoencoder", "vision_lenet", "vision_transformer", "vision_stopped_ladders",
    ]  # fmt: skip
    assert any("not corrected for that number" in sentence for sentence in vision.sentences)


def test_packaged_experiments_need_no_pytorch():
    """The sections are drawn in a process that cannot import PyTorch."""
    code = (
        "import sys; sys.modules['torch'] = None; "
        "from bigbench_meta.report.section_experiments import PACKAGED_SOURCE, experiment_sections; "
        "print(len(experiment_sections(PACKAGED_SOURCE)[0].figures))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 0


@pytest.mark.parametrize("kind", ["svg", *(pytest.param(kind, marks=pytest.mark.slow) for kind in FORMATS[1:])])
def test_packaged_figures_are_what_would_be_drawn(kind):
    """Every figure that comes with the package is, byte for byte, what its tables give when it is drawn anew."""
    packaged = {figure.name: figure.files[kind] for s in experiment_sections(PACKAGED_SOURCE) for figure in s.figures}
    anew = {figure.name: figure_bytes(figure.figure, kind) for s in (ladder(), vision()) for figure in s.figures}
    assert len(anew) == 7
    assert anew == packaged
