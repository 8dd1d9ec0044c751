"""The libraries inside the page are the files their provenance names."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

ASSETS = Path(__file__).parents[2] / "bigbench_meta" / "report" / "assets"
PROVENANCE = (ASSETS / "PROVENANCE.md").read_text(encoding="utf-8")
LICENCES = (ASSETS / "THIRD_PARTY_LICENSES.md").read_text(encoding="utf-8")
# How the permission of each licence begins, after the SPDX list of licences.
OPENING = {
    "Apache-2.0": "Apache License Version 2.0, January 2004",
    "BSD-2-Clause": "Redistribution and use in source and binary forms",
    "BSD-3-Clause": "Redistribution and use in source and binary forms",
    "Bitstream-Vera": "Permission is hereby granted, free of charge, to any person obtaining a copy of the fonts",
    "ISC": "Permission to use, copy, modify, and/or distribute this software for any purpose",
    "MIT": "Permission is hereby granted, free of charge",
    "Unlicense": "free and unencumbered software released into the public domain",
}


def _parts() -> list[tuple[str, str, str, str]]:
    """Rows of the table of contents: file, what it contains, its version, its licence."""
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", LICENCES, re.MULTILINE)
    assert rows[0] == ("file", "contains", "version", "licence")
    return rows[1:]


def test_every_library_has_its_checksum():
    """Each file of the folder is listed with the checksum it has."""
    listed = dict(re.findall(r"^\| `([^`]+)` \|.*?\| `([0-9a-f]{64})` \|", PROVENANCE, re.MULTILINE))
    present = {path.name: path.read_bytes() for path in ASSETS.iterdir() if path.suffix != ".md"}
    assert {name: hashlib.sha256(content).hexdigest() for name, content in present.items()} == listed


def test_every_library_is_in_the_table_of_licences_in_the_version_it_has():
    """A file without a row, or with another version than its provenance and its own text say, fails."""
    named = re.findall(r"^\| `([^`]+)` \| ([\w-]+) ([\d.]+)", PROVENANCE, re.MULTILINE)
    assert {name for name, _, _ in named} == {path.name for path in ASSETS.iterdir() if path.suffix != ".md"}
    assert {(file, package, version) for file, package, version in named} <= {row[:3] for row in _parts()}
    versions = {package: version for _, package, version in named}
    for file, before in (
        ("vega.min.js", 'version="'),
        ("vega-lite.min.js", 'n="'),
        ("tabulator.min.js", "Tabulator v"),
    ):
        (package,) = {package for name, package, _ in named if name == file}
        assert before + versions[package] in (ASSETS / file).read_text(encoding="utf-8"), file


def test_what_a_bundle_is_known_to_hold_is_in_the_table():
    """Names written by hand: each has code in Vega's bundle that a reader can find."""
    vega = {package for file, package, _, _ in _parts() if file == "vega.min.js"}
    assert {
        "d3-array", "d3-color", "d3-delaunay", "d3-ease", "d3-geo", "d3-scale-chromatic", "d3-shape", "delaunator",
        "internmap", "robust-predicates", "topojson-client", "vega-dataflow", "vega-scenegraph", "vega-util", "Esprima",
    } <= vega  # fmt: skip
    # Read by Node.js only, or types alone: nothing of them is in the page.
    assert not {"iconv-lite", "rw", "commander", "safer-buffer", "vega-typings"} & vega


def test_every_row_has_its_licence_text():
    """Each text names its parts in the heading; a text holds who made the work and what it permits."""
    texts = re.findall(r"^## ([\w.-]+): ([^\n]+)\n\n```text\n(.*?)\n```$", LICENCES, re.MULTILINE | re.DOTALL)
    headed = {(part, licence) for licence, parts, _ in texts for part in parts.split("), ")}
    for _, package, version, licence in _parts():
        assert any(part.rstrip(")") == f"{package} ({version}" and of == licence for part, of in headed), package
    for licence, parts, text in texts:
        assert re.search(r"copyright|public domain", text, re.IGNORECASE), parts
        assert re.search(OPENING[licence], " ".join(text.split())), parts


def test_no_library_brings_an_evaluator_that_the_page_would_need():
    """Neither tables nor the interpreter hold `eval(` or `new Function`; Vega holds one for CSV, never called here."""
    for name in ("tabulator.min.js", "vega-interpreter.min.js", "vega-lite.min.js"):
        text = (ASSETS / name).read_text(encoding="utf-8")
        assert not re.search(r"\beval\(|new Function", text), name
