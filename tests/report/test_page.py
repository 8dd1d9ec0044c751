"""The page as text: self-contained, nothing from data becomes markup, policy of hashes alone."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bigbench_meta.report
from bigbench_meta.report import compose, page_files, render_page
from bigbench_meta.report.embed import curve_links, embed_curves, image_uri, json_for_html, plain


class _Attributes(HTMLParser):
    """Collects the names of all attributes."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def handle_starttag(self, tag, attrs):
        self.seen |= {name for name, _ in attrs}


@pytest.fixture(scope="module", autouse=True)
def _few_panels():
    """Twelve small multiples take seconds to draw; two show the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bigbench_meta.report.section_sharpness._GRID", (1, 2))
        yield


def _compose(tables, *, kinds=("real",), findings=("63 of 67 claims.",)):
    return compose(
        tables, findings=findings, provenance={"source": "a & b <c>"}, kinds=kinds, left_out=("Nothing <b>.",)
    )


def _small(tables):
    return {name: tables[name] for name in ("results", "curves", "problems")}


@pytest.fixture(scope="module")
def html(tables):
    return render_page(_compose(tables, findings=("<script>alert(1)</script> & more",)))


def _data(html):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL).group(1))


def test_the_page_is_the_same_text_every_time(tables, html):
    """No clock, no random ids."""
    assert render_page(_compose(tables, findings=("<script>alert(1)</script> & more",))) == html


def test_names_from_data_never_become_markup(html, hostile):
    """The hostile task name appears only as JSON escapes or character references; findings are escaped too."""
    assert hostile not in html
    assert "<img src=x" not in html
    assert "<script>alert(1)" not in html
    assert any(curve["task"] == hostile for curve in _data(html)["curves"])


def test_the_policy_allows_exactly_the_scripts_and_styles_of_the_page(html):
    """Every inline script and style has its hash in the policy, and nothing unsafe is allowed."""
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html).group(1).replace("&#39;", "'")
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'")
    for tag in ("script", "style"):
        for text in re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL):
            digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in policy
    assert len(re.findall(r"sha256-", policy)) == 7


def test_the_page_needs_nothing_from_outside(html):
    """No script, style, image, font or frame is loaded from anywhere but the file itself."""
    markup = re.sub(r"<(script|style)[^>]*>.*?</\1>", "", html, flags=re.DOTALL)
    assert not re.search(r"<(link|iframe|object|embed|base)\b", markup)
    assert all(source.startswith("data:image/svg+xml;base64,") for source in re.findall(r'src="([^"]*)"', markup))
    parser = _Attributes()
    parser.feed(markup)
    assert {"src", "alt", "href"} <= parser.seen
    assert not {name for name in parser.seen if name == "style" or name.startswith("on")}
    assert "sourceMappingURL" not in html
    assert len(html) < 10_000_000


def test_the_page_holds_the_licences_of_its_libraries(html):
    """Whoever passes the page on passes on every licence text, in a closed block."""
    texts = Path(bigbench_meta.report.__file__).with_name("assets") / "THIRD_PARTY_LICENSES.md"
    block = re.search(r'<details id="licences"><summary>[^<]+</summary>\s*<pre[^>]*>(.*?)</pre>', html, re.DOTALL)
    assert unescape(block[1]).split() == texts.read_text(encoding="utf-8").split()


def test_simulated_data_is_said_to_be_simulated(tables, html):
    """A banner, and a mark on every figure of measured curves, only where simulated data are shown."""
    page = _compose(_small(tables), kinds=("simulated", "claimed"))
    assert "Simulated data." in render_page(page)
    assert all("simulated data" in figure.figure.get_suptitle() for figure in page.figures)
    assert "Simulated data." not in html


def test_every_figure_comes_as_pdf_svg_png_and_data(tables):
    """Four files per figure, beside the page, the same bytes each time."""
    page = _compose(_small(tables))
    files = page_files(page)
    for figure in page.figures:
        assert {f"figures/{figure.name}.{kind}" for kind in ("pdf", "svg", "png", "csv")} <= set(files)
    assert files == page_files(_compose(_small(tables)))


def test_the_explorer_holds_the_scores_as_they_are(html, results):
    """Points of each embedded curve equal the rows of RESULTS to six digits, in order of scale."""
    curves = _data(html)["curves"]
    assert len(curves) == 12
    for curve in curves:
        rows = results[
            (results["task"] == curve["task"])
            & (results["metric"] == curve["metric"])
            & (results["family"] == curve["family"])
        ]
        rows = rows.sort_values("scale")
        assert np.allclose(curve["x"], rows["scale"], rtol=1e-5)
        assert np.allclose(curve["y"], rows["score"], rtol=1e-5)


def test_too_many_curves_are_bounded_and_the_page_says_so(tables):
    """Within a small budget the preferred curves come first, and the page counts what it left out."""
    embedded = embed_curves(tables["results"], tables["curves"], budget=3000)
    assert 0 < len(embedded.records) < 12
    assert embedded.total == 12
    assert all(record["metric"] == "multiple_choice_grade" for record in embedded.records[:2])


def test_rows_link_to_the_curve_they_name(tables):
    """A row with the full key finds its own curve, a row with only a task the first of that task, another none."""
    embedded = embed_curves(tables["results"], tables["curves"])
    links = curve_links(tables["curves"], embedded)
    assert sorted(links) == list(range(12))
    for link, row in zip(links, tables["curves"].to_dict("records"), strict=True):
        assert embedded.records[link]["family"] == row["family"]
    assert curve_links(pd.DataFrame({"task": ["step", "unknown"]}), embedded)[1] is None
    assert embedded.records[curve_links(pd.DataFrame({"task": ["step"]}), embedded)[0]]["task"] == "step"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.nan, None),
        (None, None),
        (pd.NA, None),
        (np.inf, "infinite"),
        (np.float64(1 / 3), 0.333333),
        (np.int64(3), 3),
        (np.True_, True),
        ("<b>", "<b>"),
    ],
)
def test_cells_become_plain_json(value, expected):
    """Undefined is null, infinity a word, numbers keep six digits."""
    assert plain(value) == expected


def test_json_cannot_end_its_script_element():
    """No '<', '>' or '&' stands in the embedded JSON, and it still means the same."""
    nasty = "</script><!--<script>&\u2028"
    text = json_for_html([nasty])
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == [nasty]


def test_an_image_follows_light_and_dark():
    """Neutral colours of a figure become variables with a value for each setting."""
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><path style="fill: #222222; stroke: #0072b2"/></svg>'
    text = base64.b64decode(image_uri(svg).split(",", 1)[1]).decode()
    assert "fill: var(--ink)" in text
    assert "stroke: #0072b2" in text
    assert "prefers-color-scheme:dark" in text


def test_budgets_of_the_page():
    """3.5 MB of curves and 600 kB of each table: with its scripts a page stays below 5 MB, which a browser opens at once."""
    from bigbench_meta.report.embed import CURVE_BUDGET, TABLE_BUDGET

    assert (CURVE_BUDGET, TABLE_BUDGET) == (3_500_000, 600_000)
