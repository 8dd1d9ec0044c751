"""Sections of the experiments whose results come with the package: part of the default run's report.

They belong to no source, so the report of a user's own results does not show them. Reading them needs no PyTorch and no
random numbers: the page of a run can be made again from its folder. Their figures are the same in every run and come
drawn with the package (``scripts/maintenance/update_figures.py``): to draw them anew takes longer than to draw those of the run.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bigbench_meta.report.page_parts import Section

# What the default run calls its source, in its provenance and under the title of its page.
PACKAGED_SOURCE = "the packaged model ladder"


def experiment_sections(source: str) -> tuple[Section, ...]:
    """Return the sections that the page of a run on ``source`` shows of experiments; none but for `PACKAGED_SOURCE`."""
    if source != PACKAGED_SOURCE:
        return ()
    return tuple(_with_files(section) for section in (ladder(), vision()))


def _with_files(section: Section) -> Section:
    from bigbench_meta.figures.style import FORMATS

    folder = files("bigbench_meta.data") / "figures"
    drawn = (
        replace(figure, files={kind: (folder / f"{figure.name}.{kind}").read_bytes() for kind in FORMATS})
        for figure in section.figures
    )
    return replace(section, figures=tuple(drawn))


def ladder() -> Section:
    """Return the section on the model ladder, drawn from the tables of predictions that come with the package."""
    from bigbench_meta.experiments.ladder.packaged import packaged_predictions
    from bigbench_meta.report.section_ladder import ladder_section

    return ladder_section(packaged_predictions())


def vision() -> Section:
    """Return the section on image models, drawn from the results that come with the package."""
    from bigbench_meta.experiments.vision import shipped, shipped_calibration, shipped_stopped_ladders
    from bigbench_meta.report.section_vision import vision_section

    return vision_section(
        shipped(),
        source="trained on scikit-learn's digits; they come with the package",
        calibration=shipped_calibration(),
        stopped=shipped_stopped_ladders(),
    )
