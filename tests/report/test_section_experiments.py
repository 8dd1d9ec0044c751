"""The page of the default run shows the packaged ladder; the page of a user's own results does not."""

from __future__ import annotations

import subprocess
import sys

from bigbench_meta.report.section_experiments import PACKAGED_SOURCE, experiment_sections


def test_only_the_default_run_shows_experiments():
    """A source of the user's has no section on experiments; the packaged one has the ladder's."""
    assert experiment_sections("results of mine.zip") == ()
    assert [section.name for section in experiment_sections(PACKAGED_SOURCE)] == ["ladder"]


def test_packaged_experiments_need_no_pytorch():
    """The section is drawn in a process that cannot import PyTorch."""
    code = (
        "import sys; sys.modules['torch'] = None; "
        "from bigbench_meta.report.section_experiments import PACKAGED_SOURCE, experiment_sections; "
        "print(len([figure.figure for figure in experiment_sections(PACKAGED_SOURCE)[0].figures]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 0
