"""The libraries inside the page are the files their provenance names."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

ASSETS = Path(__file__).parents[2] / "bigbench_meta" / "report" / "assets"


def test_every_library_has_its_licence_and_its_checksum():
    """Each file of the folder is listed with the checksum it has; each licence named there is there."""
    text = (ASSETS / "PROVENANCE.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `([^`]+)` \|.*?\| `([0-9a-f]{64})` \|", text, re.MULTILINE))
    present = {path.name: path.read_bytes() for path in ASSETS.iterdir() if path.suffix in {".js", ".css"}}
    assert {name: hashlib.sha256(content).hexdigest() for name, content in present.items()} == listed
    assert all((ASSETS / licence).is_file() for licence in re.findall(r"LICENSE-[\w-]+\.txt", text))


def test_no_library_brings_an_evaluator_that_the_page_would_need():
    """Neither tables nor the interpreter hold `eval(` or `new Function`; Vega holds one for CSV, never called here."""
    for name in ("tabulator.min.js", "vega-interpreter.min.js", "vega-lite.min.js"):
        text = (ASSETS / name).read_text(encoding="utf-8")
        assert not re.search(r"\beval\(|new Function", text), name
