"""The rules of CONTRIBUTING on imports, on names and on who touches files, as tests of the source."""

from __future__ import annotations

import ast
from collections import defaultdict
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "bigbench_meta"

# Each stage may import from itself and from the stages before it.
BASE = (
    "errors", "values", "schema", "progress", "cards", "atomic", "parallel", "provenance", "seeds", "table_files", "cluster", "axes",
)  # fmt: skip
STAGES = (
    "base", "facts", "fetcher", "simulation", "loader", "emergence", "analysis", "figures", "experiments", "export", "report",
    "jobs", "cli",
)  # fmt: skip
# A leaf imports nothing of ours; the base modules that are no leaves may import these.
LEAVES = ("errors", "values", "progress", "atomic", "provenance")
# Beside the stages that read sources and write outputs, these touch files, each for a reason of its own.
FILES = {
    "base": "checked tables, atomic writing, the mark of an output folder",
    "facts": "packaged tables, through importlib.resources",
    "fetcher": "sources", "loader": "sources", "export": "outputs", "report": "the template of the page", "jobs": "outputs",
    "cli": "outputs",
    "simulation": "writes a repository",
    "analysis.references": "packaged table of chance",
    "analysis.curves.noise": "packaged prior of overdispersion",
    "figures.style": "packaged style file",
    "experiments.ladder": "trained models, and the packaged ladder",
    "experiments.vision": "images, trained models, and the packaged results",
    "experiments.rescoring": "files of model outputs",
    "experiments.predictions.outputs": "packaged outputs of the ladder",
}  # fmt: skip
# The same thing for two subjects.
TWINS: dict[str, list[str]] = {
    "items": ["analysis.curves.items", "facts.items"],
    "curves": ["analysis.curves", "figures.curves"],
    "experiments": ["experiments", "jobs.experiments"],
    "vision": ["experiments.vision", "jobs.vision"],
    "every_eval_ever": ["export.every_eval_ever", "loader.harness.every_eval_ever"],
    "models": ["experiments.vision.models", "facts.models"],
}
OPENERS = {
    "open", "read_text", "read_bytes", "write_text", "write_bytes", "unlink", "mkdir", "rmdir", "touch", "to_csv",
    "to_parquet", "read_csv", "read_parquet", "savez_compressed", "rglob", "iterdir",
}  # fmt: skip


def modules() -> dict[str, ast.Module]:
    """Every module of the package by its dotted name below it."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
        found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


MODULES = modules()


def imported(tree: ast.Module, *, typing: bool = True) -> set[str]:
    """Modules of ours that a module imports anywhere, also inside functions; those for types alone only if asked for."""
    skipped = set()
    if not typing:
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                skipped |= {id(each) for each in ast.walk(node)}
    names = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    ours = {name.removeprefix("bigbench_meta.") for name in names if name.startswith("bigbench_meta.")}
    return {next((m for m in (name, name.rpartition(".")[0]) if m in MODULES), name) for name in ours}


def stage(module: str) -> str | None:
    """The stage a module belongs to; None for the package's public face."""
    first = module.partition(".")[0]
    return "base" if first in BASE else first if first in STAGES else None


def test_every_module_belongs_to_a_stage():
    """A new top-level module is given its place here before it is used."""
    assert {name for name in MODULES if stage(name) is None} == {"__init__", "__main__"}


@pytest.mark.parametrize("module", [name for name in MODULES if stage(name)])
def test_data_flows_one_way(module):
    """No module imports from a later stage, and a leaf imports nothing of ours."""
    own = STAGES.index(stage(module))
    for name in imported(MODULES[module]):
        if stage(name) is None:
            assert name in {"__version__", "bigbench_meta.__version__"}, f"{module} imports the public face"
            continue
        assert STAGES.index(stage(name)) <= own, f"{module} imports {name}, of a later stage"
    if module in LEAVES:
        assert imported(MODULES[module], typing=False) == set()


def test_no_circle_of_imports():
    """Modules can be read in an order in which each needs only those before it."""
    graph = {
        name: {each for each in imported(tree, typing=False) if each in MODULES and each != name}
        for name, tree in MODULES.items()
        if stage(name)
    }
    assert len(list(TopologicalSorter(graph).static_order())) == len(graph)


def test_no_two_modules_of_one_name():
    """A name says which module is meant."""
    places = defaultdict(list)
    for name in MODULES:
        places[name.rpartition(".")[2]].append(name)
    twins = {name: found for name, found in places.items() if len(found) > 1}
    assert twins == TWINS


def test_who_touches_files():
    """Only the stages that read sources and write outputs open files, and those named above with their reasons."""
    touching = {
        name
        for name, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and (
            (isinstance(node.func, ast.Attribute) and node.func.attr in OPENERS)
            or (isinstance(node.func, ast.Name) and node.func.id == "open")
        )
    }
    unasked = {
        name
        for name in touching
        if stage(name) not in FILES and not any(name == ok or name.startswith(ok + ".") for ok in FILES)
    }
    assert unasked == set()


def test_contributing_names_the_stages():
    """The page that newcomers read gives the same order."""
    page = (PACKAGE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    line = next(line for line in page.splitlines() if line.startswith("    base -> "))
    assert tuple(line.split(" -> ")) == ("    base", *STAGES[1:])
