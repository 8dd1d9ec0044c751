"""From the tables of a run to a page: which figure and which table answers which question.

Nothing is computed here beyond counting and joining; every number comes from a table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bigbench_meta.analysis.summary import summary
from bigbench_meta.export.figure_files import figure_files
from bigbench_meta.report.page_parts import Page, Section
from bigbench_meta.report.section_claims import claims_section
from bigbench_meta.report.section_scores import listing_sections, scores_section
from bigbench_meta.report.section_sharpness import sharpness_section

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from bigbench_meta.progress import Progress

# Kept in the provenance so that the page can be built again; the page has places of its own for them.
_SHOWN_ELSEWHERE = ("findings", "left_out", "files", "made_by")
TITLE = "Does emergence concentrate in a few metrics?"


def compose(
    tables: Mapping[str, pd.DataFrame],
    *,
    findings: Sequence[str],
    provenance: Mapping[str, object],
    kinds: Sequence[str],
    left_out: Sequence[str] = (),
    extra: Sequence[Section] = (),
) -> Page:
    """Build the page of a run.

    Parameters
    ----------
    tables : mapping of name to DataFrame
        ``results``, ``curves``, ``problems``; and, where they were computed, ``concentration``, ``claims``, ``swaps``,
        ``forecasts``, ``points``, ``sweep``, ``specifications``, ``lengths``, ``references``. A section whose table is missing or empty is left out.
    findings : sequence of str
        Everything found, in words and numbers; the page leads with a summary of it (`summary.summary`).
    provenance : mapping
        Shown as it is; ``source`` stands under the title. It must not hold the time, or two runs would differ.
    kinds : sequence of str
        ``real``, ``user``, ``simulated``, ``claimed``: what kinds of data the page shows.
    left_out : sequence of str
        Sentences on what was not analysed, and why.
    extra : sequence of Section
        Further sections (experiments), shown before the listings of tables.
    """
    simulated = "simulated" in kinds
    sections = [
        claims_section(tables),
        scores_section(tables, simulated=simulated),
        sharpness_section(tables, simulated=simulated),
        Section(name="findings", title="Everything found, in sentences", sentences=tuple(findings)),
        *extra,
        *listing_sections(tables),
    ]
    return Page(
        title=TITLE,
        lead=tuple(summary(tables, provenance)),
        sections=tuple(section for section in sections if section.figures or section.tables or section.sentences),
        results=tables["results"],
        curves=tables["curves"],
        provenance={name: value for name, value in provenance.items() if name not in _SHOWN_ELSEWHERE},
        problems=tables["problems"],
        kinds=tuple(kinds),
        left_out=tuple(left_out),
        references=tables.get("references"),
    )


def page_of_run(tables: Mapping[str, pd.DataFrame], provenance: Mapping[str, object]) -> Page:
    """Build the page again from what a run folder holds: its tables, and the sentences kept in its provenance."""
    from bigbench_meta.report.section_experiments import experiment_sections

    def words(name: str) -> list[str]:
        found = provenance.get(name)
        return [str(part) for part in found] if isinstance(found, list) else []

    return compose(
        tables,
        findings=words("findings"),
        provenance=provenance,
        kinds=(str(provenance.get("kind", "unknown")), "claimed"),
        left_out=words("left_out"),
        extra=experiment_sections(str(provenance.get("source", ""))),
    )


def page_files(page: Page, *, workers: int | None = None, progress: Progress | None = None) -> dict[str, bytes]:
    """Every file of the page: the HTML, and per figure PDF, SVG, PNG and its data as CSV.

    ``workers`` processes share the figures, by default one per core; the bytes do not depend on it.
    """
    from bigbench_meta.export.table_bytes import csv_bytes
    from bigbench_meta.report.render import render_page

    tall_first = sorted(page.figures, key=lambda each: -each.height)  # they take longest
    drawn = figure_files([figure.drawing for figure in tall_first], workers=workers, progress=progress)
    every = list(zip(tall_first, drawn, strict=True))
    html = render_page(page, svg={figure.name: files["svg"] for figure, files in every})
    files = {"report.html": html.encode("utf-8", "backslashreplace")}
    for figure, formats in every:
        files |= {f"figures/{figure.name}.{kind}": content for kind, content in formats.items()}
        files[f"figures/{figure.name}.csv"] = csv_bytes(figure.name, figure.data)
    return files
