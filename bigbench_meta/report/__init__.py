"""The report: computed tables in, one self-contained HTML page out. No statistics here."""

from bigbench_meta.report.compose import compose, page_files, page_of_run
from bigbench_meta.report.drawing import draw
from bigbench_meta.report.page_parts import Page, PageFigure, PageTable, Section
from bigbench_meta.report.render import render_page

__all__ = ["Page", "PageFigure", "PageTable", "Section", "compose", "draw", "page_files", "page_of_run", "render_page"]
