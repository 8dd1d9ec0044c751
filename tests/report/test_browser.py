"""The page in headless Chromium, opened from disk: it works, stays within its policy, and can be read on a phone."""

from __future__ import annotations

import base64
import json
import os
import shutil
import time
from pathlib import Path

import pytest

from bigbench_meta.analysis.references import references
from bigbench_meta.report import compose, render_page

pytestmark = pytest.mark.browser

SIZES = {"desktop": 1280, "phone": 390}


@pytest.fixture(scope="module")
def page_file(tmp_path_factory, tables):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bigbench_meta.report.section_sharpness._GRID", (1, 2))
        page = compose(
            tables | {"references": references(tables["results"])},
            findings=("An answer with <b>no markup</b>.",),
            provenance={"source": "made by hand"},
            kinds=("real", "claimed"),
        )
        html = render_page(page)
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(html, encoding="utf-8")
    return path


# A metric that would be evaluated if its name stood in an expression, and names that a page may read as something else.
_METRIC = r"\" + (7 * 7) + \""
_RENAMED = {
    "metric": {"multiple_choice_grade": _METRIC, "calibration_multiple_choice_brier_score": "constructor"},
    "task": {"straight": "  two  spaces\n", "step": "__proto__"},
    "family": {"GPT": " ", "BIG-G T=0": "F" * 3000},
}


@pytest.fixture(scope="module")
def hostile_page_file(tmp_path_factory, tables):
    """A page whose metrics, tasks and families all have hostile names."""

    def renamed(frame):
        columns = {name: frame[name].cat.rename_categories(names) for name, names in _RENAMED.items()}
        return frame.assign(subtask=columns["task"], **columns)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bigbench_meta.report.section_sharpness._GRID", (1, 2))
        page = compose(
            {name: renamed(frame) if name in {"results", "curves"} else frame for name, frame in tables.items()},
            findings=("N" * 3000,),
            provenance={"source": "S" * 3000},
            kinds=("user",),
        )
        html = render_page(page)
    path = tmp_path_factory.mktemp("hostile") / "report.html"
    path.write_text(html, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def chromium():
    webdriver = pytest.importorskip("selenium.webdriver")
    if shutil.which("chromium") is None or shutil.which("chromedriver") is None:
        pytest.skip("chromium is not installed; scripts/maintenance/install_check_tools.sh installs it")
    options = webdriver.ChromeOptions()
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--window-size=1280,900",
    ):
        options.add_argument(argument)
    options.binary_location = shutil.which("chromium")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    yield driver
    driver.quit()


@pytest.fixture
def page(chromium, page_file):
    """The page, freshly opened at desktop size in light colours; afterwards the console must be clean."""
    chromium.execute_cdp_cmd("Network.enable", {})
    chromium.execute_cdp_cmd(
        "Network.emulateNetworkConditions",
        {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0},
    )
    _view(chromium, 1280, dark=False)
    chromium.get("about:blank")
    chromium.get(page_file.as_uri())
    _wait(
        chromium,
        "return document.querySelectorAll('.tabulator-row').length > 0 && document.querySelector('#chart svg') !== null",
    )
    yield chromium
    assert chromium.get_log("browser") == []


def _view(driver, width, *, dark, height=900):
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})


def _wait(driver, script, seconds=20):
    end = time.monotonic() + seconds
    while not driver.execute_script(script):
        assert time.monotonic() < end, script
        time.sleep(0.1)


def _first_column(driver, table):
    return driver.execute_script(
        "return [...document.querySelectorAll(`[data-table=${arguments[0]}] .tabulator-row`)].map((row) => row.querySelector('.tabulator-cell').textContent)",
        table,
    )


def _type(driver, element, text):
    element.clear()
    element.send_keys(text)


def test_nothing_from_data_is_markup(page, hostile):
    """The hostile name is on the page as text; no element came of it, and no script ran."""
    assert page.execute_script("return document.querySelectorAll('main img[src=x], main b').length") == 0
    assert "<b>no markup</b>" in page.find_element("id", "findings").text
    assert hostile in page.find_element("css selector", "[data-table=curves]").get_attribute("textContent")
    names = page.execute_script(
        "return [...document.querySelectorAll('#task-names option')].map((option) => option.value)"
    )
    assert hostile in names


def test_the_explorer_shows_every_curve_whatever_its_names(chromium, hostile_page_file):
    """Each link opens its own curve, names stay text, nothing is evaluated, and long names do not widen the page."""
    _view(chromium, 390, dark=False)
    chromium.get(hostile_page_file.as_uri())
    _wait(chromium, "return document.querySelector('#chart svg') !== null")
    curves = chromium.execute_script("return JSON.parse(document.getElementById('data').textContent).curves")
    assert len(curves) == 12
    for number, curve in enumerate(curves):
        chromium.execute_script("location.hash = `#curve-${arguments[0]}`", number)
        shown = """return ['task', 'subtask', 'metric', 'family'].map((name) => document.getElementById(`pick-${name}`).value)"""
        _wait(chromium, f"{shown.replace('return', 'return (')})[2] === {json.dumps(curve['metric'])}")
        task, *rest = chromium.execute_script(shown)
        assert task == curve["task"].replace("\n", "")
        assert rest == [curve["subtask"], curve["metric"], curve["family"]]
        assert (
            chromium.execute_script(
                "return document.querySelectorAll('#chart svg .mark-symbol.layer_1_marks path').length"
            )
            == 6
        )
        chart = chromium.execute_script("return document.getElementById('chart').textContent")
        assert curve["metric"] in chart
        assert "49" not in chart
    assert chromium.execute_script("return document.documentElement.scrollWidth") <= 390
    assert chromium.get_log("browser") == []


def test_every_image_of_the_page_is_drawn(page):
    """All embedded figures load."""
    assert page.execute_script("return [...document.images].every((image) => image.complete && image.naturalWidth > 0)")


def test_a_table_sorts_by_mouse_and_by_keyboard(page):
    """A click sorts upwards, Enter on the focused header turns it round; undefined values stay last."""
    header = page.find_element("css selector", "[data-table=curves] .tabulator-col[tabulator-field=c6]")
    title = header.find_element("css selector", ".tabulator-col-title")
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", header)
    title.click()
    assert header.get_attribute("aria-sort") == "ascending"
    read = "return [...document.querySelectorAll('[data-table=curves] .tabulator-cell[tabulator-field=c6]')].map((cell) => parseFloat(cell.textContent))"
    values = page.execute_script(read)
    assert values == sorted(values)
    page.execute_script("arguments[0].focus()", header)
    header.send_keys("\ue007")
    _wait(
        page,
        "return document.querySelector('[data-table=curves] .tabulator-col[tabulator-field=c6]').getAttribute('aria-sort') === 'descending'",
    )
    assert page.execute_script(read) == sorted(values, reverse=True)


def test_a_table_filters_by_column_and_by_search(page):
    """Text that must be contained, a numeric bound, and the search over all columns; the count follows."""
    part = page.find_element("css selector", "[data-table=curves]")
    task = part.find_element("css selector", "[aria-label='Filter task']")
    _type(page, task, "step")
    _wait(page, "return document.querySelector('[data-table=curves] .table-count').textContent === '4 of 12 rows'")
    assert set(_first_column(page, "curves")) == {"step"}
    bound = part.find_element("css selector", "[aria-label='Filter n_scales']")
    _type(page, bound, "> 6")
    _wait(page, "return document.querySelector('[data-table=curves] .table-count').textContent === '0 of 12 rows'")
    for field in (task, bound):
        field.send_keys("\ue009a\ue000\ue017")
    _wait(page, "return document.querySelector('[data-table=curves] .table-count').textContent === '12 of 12 rows'")
    _type(page, part.find_element("css selector", ".table-search"), "brier")
    _wait(page, "return document.querySelector('[data-table=curves] .table-count').textContent === '6 of 12 rows'")


def test_a_row_opens_its_curve_and_the_explorer_follows_choices(page):
    """The link of a row picks task, metric and family; other choices redraw; raw and normalised, log and linear work."""
    task = page.find_element("css selector", "[data-table=curves] [aria-label='Filter task']")
    _type(page, task, "step")
    _wait(page, "return document.querySelector('[data-table=curves] .table-count').textContent === '4 of 12 rows'")
    link = page.find_element("css selector", "[data-table=curves] .tabulator-row a")
    page.execute_script("arguments[0].click()", link)
    _wait(page, "return document.getElementById('pick-task').value === 'step'")
    assert page.execute_script("return document.activeElement.textContent") == "Curve explorer"
    for field, value in (("metric", "multiple_choice_grade"), ("family", "all families")):
        page.execute_script(
            "const s = document.getElementById(`pick-${arguments[0]}`); s.value = arguments[1]; s.dispatchEvent(new Event('change', {bubbles: true}))",
            field,
            value,
        )
    points = "return document.querySelectorAll('#chart svg .mark-symbol.layer_1_marks path').length"
    assert page.execute_script(points) == 12
    chart = page.find_element("id", "chart")
    assert "chance" in chart.get_attribute("textContent")  # a level of the raw score
    page.find_element("css selector", "input[value=normalised]").click()
    assert "chance" not in chart.get_attribute("textContent")
    assert "0 = low and 1 = high" in page.find_element("id", "chart").get_attribute("textContent")
    ticks = "return [...document.querySelectorAll('#chart svg .role-axis-label text')].map((text) => text.textContent).join(' ')"
    before = page.execute_script(ticks)
    page.find_element("id", "log-axis").click()
    assert page.execute_script(ticks) != before
    values = page.find_element("id", "values").get_attribute("textContent")
    assert "0.746667" in values  # GPT's last score: (0.81 - 0.25) / 0.75


def test_hovering_shows_the_values_of_a_point(page):
    """The tip names family, model, scale and score as text."""
    from selenium.webdriver import ActionChains

    marks = page.find_elements("css selector", "#chart svg .mark-symbol.layer_2_marks path")
    page.execute_script("document.getElementById('chart').scrollIntoView({block: 'center'})")
    ActionChains(page).move_to_element(marks[2]).perform()
    _wait(page, "return !document.querySelector('.tip').hidden")
    tip = page.find_element("class name", "tip").text
    assert "score" in tip
    assert "size 2" in tip


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_the_page_fits_phone_and_desktop_in_light_and_dark(page, size, dark, tmp_path):
    """No sideways scrolling of the page, enough contrast of text and ground; a screenshot is kept on request."""
    _view(page, SIZES[size], dark=dark)
    time.sleep(0.5)
    width = page.execute_script("return document.documentElement.scrollWidth")
    assert width <= SIZES[size]
    ink, paper = (
        [
            int(part) / 255
            for part in page.execute_script(f"return getComputedStyle(document.body).{name}").strip("rgb()").split(",")
        ]
        for name in ("color", "backgroundColor")
    )
    light, ground = (
        sum(
            weight * (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4)
            for weight, c in zip((0.2126, 0.7152, 0.0722), colour, strict=True)
        )
        for colour in (ink, paper)
    )
    assert (max(light, ground) + 0.05) / (min(light, ground) + 0.05) > 7  # WCAG 2, level AAA
    assert (ground < 0.1) == dark
    folder = Path(os.environ.get("BIGBENCH_META_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    height = page.execute_script("return document.documentElement.scrollHeight")
    _view(page, SIZES[size], dark=dark, height=min(height, 12000))
    shot = page.execute_cdp_cmd("Page.captureScreenshot", {})
    (folder / f"report-{size}-{'dark' if dark else 'light'}.png").write_bytes(base64.b64decode(shot["data"]))


def test_print_shows_static_tables_and_no_controls(page):
    """In print the plain tables stand in for the live ones, and the PDF has pages."""
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert page.execute_script("return getComputedStyle(document.querySelector('.static')).display") == "block"
    assert page.execute_script("return getComputedStyle(document.querySelector('.controls')).display") == "none"
    pdf = base64.b64decode(page.execute_cdp_cmd("Page.printToPDF", {})["data"])
    assert pdf.startswith(b"%PDF")
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
