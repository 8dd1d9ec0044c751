"""A page as one self-contained HTML file under a content security policy of hashes alone."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from importlib.resources import files
from typing import TYPE_CHECKING

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from bigbench_meta.export.paper_tables import visible
from bigbench_meta.figures import figure_bytes
from bigbench_meta.report.embed import (
    TABLE_BUDGET,
    EmbeddedCurves,
    Json,
    curve_links,
    embed_curves,
    image_uri,
    json_for_html,
    plain,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bigbench_meta.report.page_parts import Page, PageTable

_LIBRARIES = ("vega.min.js", "vega-lite.min.js", "vega-interpreter.min.js", "tabulator.min.js")
_STATIC_ROWS = 20


def render_page(page: Page, *, svg: Mapping[str, bytes] | None = None) -> str:
    """Return the whole report as HTML. The same page gives the same text; no clock is read.

    ``svg`` may hold the figures by name where they are already drawn.
    """
    svg = svg or {figure.name: figure_bytes(figure.figure, "svg") for figure in page.figures}
    curves = embed_curves(page.results, page.curves, references=page.references)
    tables = [_table(table, curves) for section in page.sections for table in section.tables]
    data: Json = {"curves": curves.records, "tables": {str(table["name"]): table for table in tables}}
    scripts = [_asset(f"assets/{name}") for name in _LIBRARIES] + [_asset("page.js")]
    styles = [_asset("assets/tabulator_simple.min.css"), _asset("page.css")]
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, finalize=_seen, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(_asset("page.html.jinja"))
    return template.render(
        page=page,
        policy=_policy(scripts, styles),
        scripts=[Markup(text) for text in scripts],  # noqa: S704 - our own vendored files, not data
        styles=[Markup(text) for text in styles],  # noqa: S704 - our own vendored files, not data
        data=Markup(json_for_html(data)),  # noqa: S704 - JSON without any '<'
        tables={str(table["name"]): table for table in tables},
        images={name: image_uri(content) for name, content in svg.items()},
        n_curves=len(curves.records),
        total_curves=curves.total,
        provenance=json.dumps(page.provenance, indent=2, ensure_ascii=False),
        licences=_asset("assets/THIRD_PARTY_LICENSES.md"),
        static_rows=_STATIC_ROWS,
        shown=_shown,
    )


def _seen(value: object) -> object:
    """Text from data without what would be invisible, drop out of the page or turn its lines around; our own is exact."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _asset(name: str) -> str:
    """Text of a file of the page, without pointers to source maps that a browser would try to load."""
    text = (files("bigbench_meta.report") / name).read_text(encoding="utf-8")
    return re.sub(r"\n?/[/*]# sourceMappingURL=\S+(?: \*/)?\s*$", "\n", text)


def _policy(scripts: list[str], styles: list[str]) -> str:
    def hashes(texts: list[str]) -> str:
        digests = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts)
        return " ".join(f"'sha256-{digest}'" for digest in digests)

    return (
        f"default-src 'none'; script-src {hashes(scripts)}; style-src {hashes(styles)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _table(table: PageTable, curves: EmbeddedCurves) -> dict[str, Json]:
    frame = table.frame[list(table.columns)] if table.columns else table.frame
    links = curve_links(table.frame, curves)
    rows: list[Json] = []
    used = 0
    for link, cells in zip(links, frame.itertuples(index=False, name=None), strict=True):
        row: list[Json] = [link, *(plain(cell) for cell in cells)]
        used += len(json_for_html(row)) + 1
        if used > TABLE_BUDGET:
            break
        rows.append(row)
    numeric = [bool(frame[column].dtype.kind in "fiu") for column in frame.columns]
    return {
        "name": table.name,
        "title": table.title,
        "note": table.note,
        "columns": [str(column) for column in frame.columns],
        "numeric": numeric,
        "rows": rows,
        "total": len(frame),
    }


def _shown(value: Json) -> str:
    """One cell for the eye: at most four significant digits, undefined as a dash."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
