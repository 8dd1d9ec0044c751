"""The section of the default run's page on the experiment whose results come with the package: the model ladder.

It belongs to no source, so the page of a user's own results does not show it. It needs no PyTorch and no random numbers: the
page of a run can be built again from its folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bigbench_meta.experiments.ladder.packaged import packaged_predictions
from bigbench_meta.report.section_ladder import ladder_section

if TYPE_CHECKING:
    from bigbench_meta.report.page_parts import Section

# What the default run calls its source, in its provenance and under the title of its page.
PACKAGED_SOURCE = "the packaged model ladder"


def experiment_sections(source: str) -> tuple[Section, ...]:
    """Return the sections that the page of a run on ``source`` shows of experiments; none but for `PACKAGED_SOURCE`."""
    return (ladder_section(packaged_predictions()),) if source == PACKAGED_SOURCE else ()
