"""The two locks: complete, extras included, so that no newer release of any package changes what they install."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ["requirements.lock", "requirements-dev.lock"]
NEWER = runpy.run_path(str(ROOT / "scripts" / "maintenance" / "newer_releases.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


class Pin(NamedTuple):
    """One pin of a lock and its hashes."""

    asked: Requirement
    hashes: tuple[str, ...]

    @property
    def name(self) -> str:
        return canonicalize_name(self.asked.name)

    @property
    def version(self) -> str:
        (only,) = self.asked.specifier
        return only.version

    @property
    def applies(self) -> bool:
        return self.asked.marker is None or self.asked.marker.evaluate()


def _pins(text: str) -> list[Pin]:
    lines = re.sub(r"\\\n", " ", text).splitlines()
    parts = [line.split("--hash=") for line in lines if line and not line.startswith("#")]
    return [Pin(Requirement(asked.strip()), tuple(value.strip() for value in hashes)) for asked, *hashes in parts]


def _lock(name: str) -> list[Pin]:
    return _pins((ROOT / name).read_text(encoding="utf-8"))


def _roots(lock: str) -> list[Requirement]:
    """What the project itself asks of a lock: its dependencies and what builds it; all of its tools, too, to develop."""
    project = PROJECT["project"]
    asked = [*project["dependencies"], *PROJECT["dependency-groups"]["build"]]
    if lock == "requirements-dev.lock":
        asked += [*project["optional-dependencies"]["test"], *project["optional-dependencies"]["dev"]]
    return [Requirement(text) for text in asked]


def _installed(pin: Pin) -> importlib.metadata.Distribution:
    """The distribution of a pin, whose metadata is that of the pinned version."""
    found = next(iter(importlib.metadata.distributions(name=pin.name)), None)
    if found is None or found.version != pin.version:
        pytest.fail(
            f"{pin.name} {found.version if found else 'is not'} installed, expected {pin.version} of the lock: "
            "install requirements-dev.lock"
        )
    return found


def _requires(pin: Pin, extras: Iterable[str]) -> list[Requirement]:
    """What a package asks for where this Python runs, alone and with each of these extras."""
    every = [Requirement(text) for text in _installed(pin).requires or ()]
    environments = [{"extra": extra} for extra in ("", *extras)]
    return [one for one in every if one.marker is None or any(one.marker.evaluate(where) for where in environments)]


# Complete


def _unmet(pins: list[Pin], roots: list[Requirement]) -> tuple[list[str], set[str]]:
    """Requirements that no pin meets, and the names of what is required, followed from package to package."""
    by_name = {pin.name: pin for pin in pins if pin.applies}
    unmet, seen = [], set()
    waiting = [("bigbench-meta", root) for root in roots if root.marker is None or root.marker.evaluate()]
    while waiting:
        asker, asked = waiting.pop()
        extras = frozenset(canonicalize_name(extra) for extra in asked.extras)
        pin = by_name.get(canonicalize_name(asked.name))
        if pin is None:
            unmet.append(f"{asker} asks for {asked}: not pinned")
            continue
        missing = extras - {canonicalize_name(extra) for extra in pin.asked.extras}
        if missing:
            unmet.append(f"{asker} asks for {asked}: pinned without {sorted(missing)}")
        if not asked.specifier.contains(pin.version, prereleases=True):
            unmet.append(f"{asker} asks for {asked}: pinned at {pin.version}")
        if (pin.name, extras) not in seen:
            seen.add((pin.name, extras))
            waiting += [(pin.name, one) for one in _requires(pin, extras)]
    return unmet, {name for name, _ in seen}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_requirement_is_met_by_a_pin(lock):
    """Followed through the metadata of what is installed; and nothing is pinned that nothing asks for."""
    unmet, names = _unmet(_lock(lock), _roots(lock))
    assert unmet == []
    assert {pin.name for pin in _lock(lock) if pin.applies} - names == set()


def test_pins_that_do_not_meet_a_requirement_are_found():
    """A pin without its extra, one that is absent, and one that is too old."""
    text = (ROOT / "requirements-dev.lock").read_text(encoding="utf-8")
    text = text.replace("urllib3[socks]==", "urllib3==").replace("\ncontourpy==", "\nnobody-asks-for-this==")
    text = re.sub(r"\nclick==\S+", "\nclick==1.0", text)
    pins = [pin for pin in _pins(text) if pin.name != "click"]
    unmet, _ = _unmet(pins, _roots("requirements-dev.lock"))
    assert {re.sub(r" asks for (\S+?)[<>=!~,.0-9]*: ", r" \1 ", line) for line in unmet} >= {
        "selenium urllib3[socks] pinned without ['socks']",
        "matplotlib contourpy not pinned",
        "bigbench-meta click not pinned",
    }


# Never old


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """An environment with the pip that this Python ships, and nothing else."""
    folder = tmp_path_factory.mktemp("empty")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, env=_environment(folder))
    return folder / "bin" / "python"


def _environment(folder: Path) -> dict[str, str]:
    """Without the settings of whoever runs the tests: no index, no other folder of wheels, no cache."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
    return kept | {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_CACHE_DIR": "1",
        "UV_NO_CONFIG": "1",
        "UV_CACHE_DIR": f"{folder}/uv",
    }


def _offer(folder: Path, pins: list[Pin]) -> str:
    """Made-up wheels of every pin that applies here, at its version and newer; the text of a lock with their hashes.

    Each has the extras and the requirements of the package that is installed, so that resolving takes the same steps.
    """
    folder.mkdir()
    lines = []
    for pin in pins:
        hashes = pin.hashes
        if pin.applies:
            about = _installed(pin)
            fields = [f"Provides-Extra: {extra}\n" for extra in about.metadata.get_all("Provides-Extra") or ()]
            fields += [f"Requires-Dist: {asked}\n" for asked in about.requires or ()]
            hashes = (f"sha256:{NEWER['write_wheel'](folder, pin.name, pin.version, ''.join(fields))}",)
            NEWER["write_wheel"](folder, pin.name, NEWER["NEWER"], "".join(fields))
        lines.append(" ".join([str(pin.asked), *(f"--hash={value}" for value in hashes)]))
    return "\n".join(lines)


def _would_install(installer: str, python: Path, lock: str, tmp_path: Path) -> tuple[dict[str, str] | None, str]:
    """What an installer chooses for an empty environment, or None where it finds no answer; and what it printed."""
    (tmp_path / "lock.txt").write_text(lock, encoding="utf-8")
    report = tmp_path / "report.json"
    dry = ["install", "--dry-run", "--no-index", "--find-links", str(tmp_path / "wheels"), "--require-hashes"]
    dry += ["-r", str(tmp_path / "lock.txt")]
    command = {
        "pip of this Python": [python, "-m", "pip", *dry, "--report", report],
        "newest pip": [sys.executable, "-m", "pip", "--python", python, *dry, "--report", report],
        "uv": [sys.executable, "-m", "uv", "pip", *dry, "--python", python],
    }[installer]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=_environment(tmp_path))
    said = done.stdout + done.stderr
    if done.returncode:
        return None, said
    if installer == "uv":
        return dict(re.findall(r"^ \+ (\S+?)==(\S+)$", done.stderr, re.MULTILINE)), said
    chosen = [one["metadata"] for one in json.loads(report.read_text(encoding="utf-8"))["install"]]
    return {canonicalize_name(one["name"]): one["version"] for one in chosen}, said


@pytest.mark.parametrize("installer", ["pip of this Python", "newest pip", "uv"])
@pytest.mark.parametrize("lock", LOCKS)
def test_newer_releases_of_everything_change_nothing(lock, installer, empty, tmp_path):
    """Where every package has a newer release, each installer still chooses exactly the pins."""
    pins = _lock(lock)
    chosen, said = _would_install(installer, empty, _offer(tmp_path / "wheels", pins), tmp_path)
    assert chosen == {pin.name: pin.version for pin in pins if pin.applies}, said


def _without_extra(text: str) -> str:
    return text.replace("coverage[toml]==", "coverage==")


def _without_pin(text: str) -> str:
    return re.sub(r"^contourpy==.*\n", "", text, flags=re.MULTILINE)


@pytest.mark.parametrize("installer", ["pip of this Python", "newest pip"])
@pytest.mark.parametrize(("spoil", "asked"), [(_without_extra, "coverage[toml]"), (_without_pin, "contourpy")])
def test_an_incomplete_lock_fails_where_there_are_newer_releases(
    spoil: Callable[[str], str], asked: str, installer, empty, tmp_path
):
    """The test above can fail: it does for a lock without one of the pins.

    It does for one that pins a package without its extra, too, where pip is older than 23.3, such as the pip 23.2.1 of
    Python 3.11.7; later ones take the pin for the package with any extra.
    """
    whole = _offer(tmp_path / "wheels", _lock("requirements-dev.lock"))
    assert spoil(whole) != whole
    chosen, said = _would_install(installer, empty, spoil(whole), tmp_path)
    if spoil is _without_extra and _pip_version(installer, empty) >= Version("23.3"):
        assert chosen == {pin.name: pin.version for pin in _lock("requirements-dev.lock") if pin.applies}
    else:
        assert chosen is None
        assert re.search(rf"must have their versions pinned[^\n]*\s+{re.escape(asked)}", said), said


def _pip_version(installer: str, empty: Path) -> Version:
    python = empty if installer == "pip of this Python" else sys.executable
    ask = "import importlib.metadata; print(importlib.metadata.version('pip'))"
    return Version(subprocess.run([python, "-c", ask], check=True, capture_output=True, text=True).stdout.strip())


# What the files hold


@pytest.mark.parametrize("lock", [*LOCKS, "requirements-records.lock", "requirements-docs.lock"])
def test_a_lock_names_no_index_and_every_pin_has_hashes(lock):
    """A reader's own settings say where packages come from; the hashes say that they are the right ones."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line.startswith("-") or "://" in line] == []
    pins = _lock(lock)
    assert len(pins) > 40
    assert [str(pin.asked) for pin in pins if [one.operator for one in pin.asked.specifier] != ["=="]] == []
    assert [
        pin.name for pin in pins if not all(re.fullmatch(r"sha256:[0-9a-f]{64}", value) for value in pin.hashes)
    ] == []
    assert [pin.name for pin in pins if not pin.hashes] == []


def test_the_running_lock_holds_no_tools():
    """No package that the tests, the checks or the browser ask for."""
    optional = PROJECT["project"]["optional-dependencies"]
    running = {canonicalize_name(root.name) for root in _roots("requirements.lock")}
    tools = {canonicalize_name(Requirement(text).name) for text in [*optional["test"], *optional["dev"]]} - running
    assert {"pytest", "mypy", "ruff", "selenium", "hypothesis", "ipykernel"} <= tools
    assert tools & {pin.name for pin in _lock("requirements.lock")} == set()


def test_both_locks_pin_the_same_of_what_both_hold():
    """Installing the tools on top changes no package of those that run; the longer lock holds the shorter one."""
    short, long = (
        {(pin.name, str(pin.asked.marker)): (pin.version, pin.hashes) for pin in _lock(lock)} for lock in LOCKS
    )
    assert {key: long.get(key) for key in short} == short
