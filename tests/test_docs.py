"""What the pages say can be done: code runs, commands exist and run, links and named files are there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from bigbench_meta.cli import main
from bigbench_meta.export import write_run_folder

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "bigbench_meta" / "data" / "README.md"])
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
# Fetches, trains, or takes minutes: their options are checked, they are not run here.
NOT_RUN = ("run", "fetch", "vision", "predictions", "rescore")


def _text(page):
    return page.read_text(encoding="utf-8")


def _commands(page):
    """Every command line of ours in a page: lines of blocks, indented lines, and inline code."""
    text = _text(page)
    lines = [line.strip() for _, block in BLOCK.findall(text) for line in block.splitlines()]
    lines += [line.strip() for line in text.splitlines() if line.startswith("    ")]
    lines += re.findall(r"`(bigbench-meta [^`]+)`", text)
    return [line for line in lines if line.startswith("bigbench-meta ")]


def _words(line):
    return shlex.split(line, comments=True)[1:]


ALL = [(page.name, line) for page in PAGES for line in _commands(page)]


def test_there_is_something_to_check():
    """Pages, commands and code were found."""
    assert len(PAGES) > 10
    assert len(ALL) > 8
    assert sum(language == "python" for page in PAGES for language, _ in BLOCK.findall(_text(page))) >= 2


@pytest.mark.parametrize("page", [page for page in PAGES if "```python" in _text(page)], ids=lambda page: page.name)
def test_python_blocks_run(page, tmp_path, monkeypatch):
    """Every Python block of a page runs, one after the other, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for language, block in BLOCK.findall(_text(page)):
        if language == "python":
            exec(compile(block, page.name, "exec"), names)
    if page.name == "README.md":
        assert abs(names["bm"].linearity([0.0, 0.1, 0.2, 0.3]) - 3) < 1e-12  # what its comment says
        assert len(names["analysis"].curves) == len(names["curves"])


@pytest.mark.parametrize(("page", "line"), ALL, ids=[f"{page}: {line[:60]}" for page, line in ALL])
def test_a_command_is_understood(page, line):
    """The command exists and takes every option that the page gives it."""
    name, *rest = _words(line)
    if "..." in rest or name.startswith("-"):
        return
    command = main.commands[name]
    known = {text for option in command.params if isinstance(option, click.Option) for text in option.opts}
    given = [word.split("=")[0] for word in rest if word.startswith("--")]
    assert set(given) <= known | {"--help"}


@pytest.fixture(scope="module")
def saved(tmp_path_factory, tables):
    """A run folder named DIR, with a task that the pages name."""
    folder = tmp_path_factory.mktemp("docs") / "DIR"
    small = {name: tables[name] for name in ("results", "curves", "problems")}
    for name in ("results", "curves"):
        frame = small[name][small[name]["task"].astype(str).isin(["straight", "step"])]  # names that fit on a page
        small[name] = frame.assign(task=frame["task"].astype(str).replace("step", "hindu_knowledge").astype("category"))
    small["curves"] = small["curves"].assign(q_sharp=0.01, verdict="sharp")  # what the examples ask for
    return write_run_folder(folder, tables=small, files={}, provenance={"source": "by hand", "kind": "simulated"})


SHOWN = [(page, line) for page, line in ALL if _words(line)[0] not in NOT_RUN and "DIR" in _words(line)]


@pytest.mark.parametrize(("page", "line"), SHOWN, ids=[line[:60] for _, line in SHOWN])
def test_a_command_on_a_run_folder_runs(page, line, saved, tmp_path, monkeypatch):
    """Commands that a page gives for a run folder DIR end well on one; exact_str_match stands for any metric."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bigbench_meta.report.section_sharpness._GRID", (1, 2))
    words = [
        str(saved) if word == "DIR" else word.replace("exact_str_match", "multiple_choice_grade")
        for word in _words(line)
    ]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_named_files_exist(page):
    """Every relative link leads somewhere, and so does every file of the project that is named in code type."""
    text = _text(page)
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    assert [link for link in links if link and not (page.parent / link).exists()] == []
    named = re.findall(r"`((?:docs|scripts|notebooks|bigbench_meta|tests|benchmarks)/[\w./-]+)`", text)
    assert [name for name in named if not (ROOT / name).exists()] == []
