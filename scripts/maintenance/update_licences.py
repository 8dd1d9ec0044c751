"""Write THIRD_PARTY_LICENSES.md: what the page's libraries contain, and the licence text of each part.

Needs npm and the network. The contents of a library are found in its readable build, the twin of the minified file:

- Vega is bundled from many packages. Those that its ranges allowed on the day it was published are installed, and a
  package counts as contained where at least two of its lines of code occur in `build/vega.js`.
- Vega-Lite and Tabulator publish source maps, which name a file of every package inside.
- The interpreter is bundled by this project from the packages that PROVENANCE.md names.

Comments in the code say what was adapted from elsewhere. Each must be met by a row of ADAPTED, or the script fails.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import subprocess
import tempfile
import textwrap
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl

ROOT = Path(__file__).resolve().parents[2]
ASSETS = ROOT / "bigbench_meta" / "report" / "assets"
TARGET = ASSETS / "THIRD_PARTY_LICENSES.md"
FONTS = Path(mpl.get_data_path()) / "fonts" / "ttf" / "LICENSE_DEJAVU"


class Part(NamedTuple):
    """One row of the table, and the text that belongs to it."""

    file: str
    name: str
    version: str
    licence: str
    text: str


# What a comment says -> the package on npm with the licence text. None: the comment holds the text itself.
ADAPTED = {
    "mourner/quickselect": ("quickselect", "ISC", "quickselect@3.0.0"),
    "d3/d3-contour": ("d3-contour", "ISC", "d3-contour@4.0.2"),
    "d3-regression": ("d3-regression", "BSD-3-Clause", "d3-regression@1.3.10"),
    "regression-js": ("regression-js", "MIT", "regression@2.0.1"),
    "science.js": ("science.js", "BSD-3-Clause", "science@1.9.3"),
    "mbostock/shapefile": ("shapefile", "BSD-3-Clause", "shapefile@0.6.6"),
    "hashlru": ("hashlru", "MIT", "hashlru@2.3.0"),
    "fast-deep-equal": ("fast-deep-equal", "MIT", "fast-deep-equal@3.1.3"),
    "fast-json-stable-stringify": ("fast-json-stable-stringify", "MIT", "fast-json-stable-stringify@2.1.0"),
    "time-grain-detector": ("time-grain-detector", "ISC", "time-grain-detector@1.1.0"),
    "Apache Commons Math": ("Apache Commons Math", "Apache-2.0", None),
    "included here:": ("Esprima", "BSD-2-Clause", None),
    "2013, Jason Davies": ("d3-cloud", "BSD-3-Clause", None),
}
SAYS_ORIGIN = re.compile(
    r"(?:adapted|ported) from (?!pseudocode)|based on http|copyright \(c\)|licen[cs]e:|license for", re.IGNORECASE
)
# Comments that need no row: those that continue one named in ADAPTED, and code samples of MDN, which are CC0.
NEEDS_NO_ROW = re.compile(
    r"License: https://github.com/(HarryStevens|Tom-Alexander|jasondavies)/|Copyright \(C\) 201[123] |developer.mozilla.org/"
)
# Packages without a licence file: what their package.json says, with the usual text.
ISC = """{holder}

Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted,
provided that the above copyright notice and this permission notice appear in all copies.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS SOFTWARE INCLUDING ALL
IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT,
INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN
ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF
THIS SOFTWARE."""


def main() -> None:
    """Find the parts of every file in assets/, collect their texts, and write both."""
    parts: list[Part] = []
    listed = re.findall(
        r"^\| `([^`]+)` \| ([^|,]+)", (ASSETS / "PROVENANCE.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    for file, packages in listed:
        named = re.findall(r"([\w-]+) (\d+\.\d+\.\d+)", packages)
        with tempfile.TemporaryDirectory() as folder:
            modules = install(Path(folder), named)
            inside = contents(modules, named, file)
            print(f"{file}: {', '.join(f'{name} {version}' for name, version in inside)}", flush=True)
            parts += [packaged(modules / name, file) for name, _ in inside]
            parts += adapted(modules, [name for name, _ in inside], file)
    parts.append(
        Part("figures of the package (PDF)", "DejaVu Sans (subset)", "2.37", "Bitstream-Vera", FONTS.read_text())
    )
    TARGET.write_text(written(parts), encoding="utf-8", newline="\n")
    print(TARGET)


def install(folder: Path, named: list[tuple[str, str]]) -> Path:
    """Install packages as they were on the day that the first of them was published, without running their scripts."""
    name, version = named[0]
    day = json.loads(npm(folder, "view", name, "time", "--json"))[version]
    before = dt.datetime.fromisoformat(day) + dt.timedelta(minutes=10)
    (folder / "package.json").write_text("{}", encoding="utf-8")
    npm(
        folder, "install", "--ignore-scripts", "--no-audit", "--no-fund", f"--before={before.isoformat()}",
        *(f"{name}@{version}" for name, version in named),
    )  # fmt: skip
    return folder / "node_modules"


def contents(modules: Path, named: list[tuple[str, str]], file: str) -> list[tuple[str, str]]:
    """Return the packages that are inside a file, with their versions: those it is made of first."""
    inside = [name for name, _ in named]
    builds = modules / inside[0]
    if file == "vega.min.js":
        bundle = code_lines((builds / "build" / "vega.js").read_text(encoding="utf-8"))
        others = sorted(path.parent.name for path in modules.glob("*/package.json"))
        inside += [name for name in others if name not in inside and len(lines_of(modules / name) & bundle) >= 2]
    elif file.endswith(".js") and len(named) == 1:
        (path,) = builds.rglob(file + ".map")
        sources = json.loads(path.read_text(encoding="utf-8"))["sources"]
        inside += sorted({found[1] for source in sources if (found := re.search(r"node_modules/([^/]+)", source))})
    return [(name, json.loads((modules / name / "package.json").read_text())["version"]) for name in inside]


def lines_of(package: Path) -> set[str]:
    """Return the lines of code of a package as it is published, its minified files left out."""
    files = (path for path in package.rglob("*.js") if ".min." not in path.name)
    return set().union(*(code_lines(path.read_text(encoding="utf-8", errors="replace")) for path in files), set())


def code_lines(text: str) -> set[str]:
    """Return lines long enough to tell packages apart, without what a bundler changes: spaces, quotes, numbered names."""
    lines = (re.sub(r"\$\d+|//.*|[\s;\"'`,]", "", line) for line in text.splitlines())
    return {line for line in lines if len(line) >= 24 and not line.startswith(("import", "export", "*", "/*"))}


def packaged(package: Path, file: str) -> Part:
    """Return a package with the licence file that it is published with."""
    about = json.loads((package / "package.json").read_text(encoding="utf-8"))
    texts = sorted(path for path in package.iterdir() if re.match(r"licen[cs]e", path.name, re.IGNORECASE))
    if texts:
        text = "\n\n".join(path.read_text(encoding="utf-8").strip() for path in texts)
    elif about.get("license") == "ISC":
        text = ISC.format(holder=f"{about['author']} (licence named in package.json; the package holds no text)")
    else:
        raise SystemExit(
            f"{about['name']} {about['version']} holds no licence file: look at it, then add its text here"
        )
    return Part(file, about["name"], about["version"], about.get("license", ""), text)


def adapted(modules: Path, inside: list[str], file: str) -> list[Part]:
    """Return what comments in the code name as its origin, each once."""
    found: dict[str, Part] = {}
    for name in inside:
        package = modules / name
        sources = package / "src" if (package / "src").is_dir() and name != "vega-lite" else package
        for path in sorted(sources.rglob("*.js")):
            if ".min." in path.name or not file.endswith(".js"):
                continue
            text = path.read_text(encoding="utf-8", errors="replace")
            for line in text.splitlines():
                if not SAYS_ORIGIN.search(line) or not re.match(r"\s*(//|/?\*|Copyright|Original)", line):
                    continue
                key = next((key for key in ADAPTED if key in line), None)
                if key is None:
                    if NEEDS_NO_ROW.search(line) or any(f"/{other}/" in line for other in inside):
                        continue
                    raise SystemExit(f"{name}: {path.name} says {line.strip()!r}; add its origin to ADAPTED")
                if key not in found:
                    found[key] = origin(key, text, file, name)
    return list(found.values())


def origin(key: str, code: str, file: str, inside: str) -> Part:
    """Return one adapted work with its text: from npm, from the comment itself, or the Apache licence."""
    name, licence, package = ADAPTED[key]
    if package:
        with tempfile.TemporaryDirectory() as folder:
            text = packaged(
                install(Path(folder), [tuple(package.rsplit("@", 1))]) / package.rsplit("@", 1)[0], file
            ).text
    elif licence == "Apache-2.0":
        text = "Apache Commons Math\nThe Apache Software Foundation\n\n" + (ROOT / "LICENSE").read_text(
            encoding="utf-8"
        )
    else:
        comment = next(block for block in re.findall(r"/\*(.*?)\*/", code, re.DOTALL) if key in block)
        start = comment.rindex("\n", 0, comment.index("Copyright")) + 1
        text = textwrap.dedent(comment[start:])
    return Part(file, name, f"adapted in {inside}", licence, text)


def npm(folder: Path, *arguments: str) -> str:
    """Run npm in a folder and return what it prints."""
    return subprocess.run(["npm", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def written(parts: list[Part]) -> str:
    """Return the file: how it was made, the table, then every text once with the parts it belongs to."""
    today = dt.datetime.now(tz=dt.UTC).date()
    texts: dict[str, list[Part]] = {}
    for part in parts:
        texts.setdefault("\n".join(line.rstrip() for line in part.text.strip().splitlines()), []).append(part)
    lines = [
        "# Licences of what this package ships and did not write",
        "",
        "The HTML page holds JavaScript and CSS of others; figures that come with the package embed a font. Each part is",
        "listed with its licence, and each licence text is below. `scripts/maintenance/update_licences.py` wrote this file",
        f"on {today} from the packages on npm: it looks for every package in the readable twin of each minified file, and",
        "for comments in the code that say what was adapted from elsewhere. Facts taken from papers and from the",
        "Apache-2.0 package `bigbench` are named with their sources in `README.md` beside the packaged data.",
        "",
        "| file | contains | version | licence |",
        "|---|---|---|---|",
        *(f"| {part.file} | {part.name} | {part.version} | {part.licence} |" for part in parts),
    ]
    for text, owners in texts.items():
        names = list(dict.fromkeys(f"{owner.name} ({owner.version})" for owner in owners))
        lines += ["", f"## {owners[0].licence}: {', '.join(names)}", "", "```text", text, "```"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
