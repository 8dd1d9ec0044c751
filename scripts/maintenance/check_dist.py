"""Build wheel and source distribution, and check them as a stranger would meet them (`make dist`).

1. Build both with the locked build tools, the wheel from the source distribution.
2. Check their metadata against the standard, and their contents against the files that git tracks.
3. For each Python: a clean environment outside the checkout, the running lock with hashes, then the wheel alone.
4. Run `bigbench-meta run` there, and the checkout with the same interpreter: the tables must be the same bytes. Between
   Pythons some differ, because the lock holds NumPy 2.4 for Python 3.11 and 2.5 for later ones, and `Generator.binomial`
   draws other numbers in NumPy 2.5; which tables do is printed.

    python scripts/maintenance/check_dist.py [--python PATH_OR_VERSION]... [--out dist]

Without --python: the oldest and the newest supported version (classifiers in pyproject.toml), where they are found.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from packaging.metadata import Metadata

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LICENCES = PROJECT["project"]["license-files"]
# Files that the wheel takes from elsewhere than bigbench_meta/: where from -> where to.
MOVED = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]


class Built(NamedTuple):
    """The two files that a release consists of."""

    wheel: Path
    sdist: Path


def main() -> None:
    """Build, check, install and run; say each step and end with an error at the first that fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", action="append", metavar="PATH_OR_VERSION", help="may be given more than once")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="where the two files go (default: dist)")
    arguments = parser.parse_args()
    version = version_of_checkout()
    with tempfile.TemporaryDirectory(prefix="check-dist-") as folder:
        built = _step("build", build, arguments.out)
        for path, faults in (
            (built.wheel, check_wheel(built.wheel, version=version, tracked=tracked())),
            (built.sdist, check_sdist(built.sdist, version=version, tracked=tracked())),
        ):
            _refuse(path.name, faults)
            print(
                f"{path.name}: {path.stat().st_size / 1e6:.1f} MB, metadata and contents as they should be", flush=True
            )
        first = None
        for number, python in enumerate(interpreters(arguments.python)):
            room = Path(folder) / str(number)
            room.mkdir()
            environment = _step(f"{python}: install", install, built.wheel, python, room)
            _step(f"{python}: run of the wheel", run, [environment / "bigbench-meta"], room / "wheel", room)
            _step(
                f"{python}: run of the checkout",
                run,
                [environment / "python", "-m", "bigbench_meta"],
                room / "checkout",
                ROOT,
            )
            tables = room / "wheel" / "tables"
            _refuse(
                python,
                [f"{name} differs from the checkout's" for name in differing(room / "checkout" / "tables", tables)],
            )
            print(f"{python}: {len(list(tables.iterdir()))} tables, byte for byte those of the checkout", flush=True)
            if first and (others := differing(first, tables)):
                print(f"{python}: not the bytes of the first interpreter's: {', '.join(others)}", flush=True)
            first = first or tables


def build(out: Path) -> Built:
    """Build both files into an empty folder, without a network: the build tools are those of the lock."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if uv is None:
        raise SystemExit("uv is not installed; it comes with requirements-dev.lock (make test sets it up)")
    _call(
        [
            uv,
            "build",
            "--quiet",
            "--offline",
            "--clear",
            "--no-build-isolation",
            "--python",
            sys.executable,
            "--out-dir",
            out,
        ]
    )
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return Built(wheel, sdist)


def check_wheel(path: Path, *, version: str, tracked: set[str]) -> list[str]:
    """Return what is wrong with a wheel: its metadata, files that lack, files too many."""
    info = f"bigbench_meta-{version}.dist-info"
    package = {name for name in tracked if name.startswith("bigbench_meta/")} | set(MOVED.values())
    about = {f"{info}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt")}
    licences = {f"{info}/licenses/{name}" for name in LICENCES}
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        if f"{info}/METADATA" not in names:
            return [f"no {info}/METADATA: another version than bigbench_meta/__init__.py says?"]
        faults = metadata_faults(archive.read(f"{info}/METADATA"), version=version)
    return faults + content_faults(names, expected=package | about | licences)


def check_sdist(path: Path, *, version: str, tracked: set[str]) -> list[str]:
    """Return what is wrong with a source distribution, as for a wheel: it holds what git tracks, and PKG-INFO."""
    top = f"bigbench_meta-{version}/"
    with tarfile.open(path) as archive:
        names = {member.name for member in archive.getmembers() if not member.isdir()}
        content = archive.extractfile(f"{top}PKG-INFO") if f"{top}PKG-INFO" in names else None
        faults = metadata_faults(content.read(), version=version) if content else [f"no {top}PKG-INFO"]
    return faults + content_faults(names, expected={top + name for name in tracked | {"PKG-INFO"}})


def metadata_faults(text: bytes, *, version: str) -> list[str]:
    """Return where metadata break the standard, or do not say what pyproject.toml says."""
    try:
        found = Metadata.from_email(text, validate=True)
    except ExceptionGroup as group:
        return [f"metadata: {error}" for error in group.exceptions]
    project = PROJECT["project"]
    said = {
        "name": (found.name, project["name"]),
        "version": (str(found.version), version),
        "licence": (found.license_expression, project["license"]),
        "licence files": (found.license_files, LICENCES),
        "Pythons": (str(found.requires_python), project["requires-python"]),
        "classifiers": (found.classifiers, project["classifiers"]),
        "extras": (sorted(found.provides_extra or []), sorted(project["optional-dependencies"])),
        "readme": (found.description_content_type, "text/markdown"),
    }
    return [f"metadata: {what} is {is_!r}, expected {asked!r}" for what, (is_, asked) in said.items() if is_ != asked]


def content_faults(names: set[str], *, expected: set[str]) -> list[str]:
    """Return files that lack or are too many, and files that belong into no distribution even where git tracks them."""
    junk = re.compile(r"__pycache__|\.py[co]$|\.egg-info|\.DS_Store|\.ipynb_checkpoints|~$|/bigbench-meta-out/")
    # Score files are the ladder's own, or small ones made for tests; published ones are not ours to pass on.
    scores = re.compile(r"/results/scores_[^/]*\.json$")
    return (
        [f"{name} lacks" for name in sorted(expected - names)]
        + [f"{name} does not belong there (git does not track it)" for name in sorted(names - expected)]
        + [f"{name} is no part of a release" for name in sorted(names) if junk.search(name)]
        + [f"{name} is a score file that is not the ladder's" for name in sorted(names)
           if scores.search(name) and "/ladder/" not in name and "/tests/" not in name]
        + [f"no {need}" for need in ("py.typed", "THIRD_PARTY_LICENSES.md", "LICENSE")
           if not any(Path(name).name == need for name in names)]
    )  # fmt: skip


def version_of_checkout() -> str:
    """Return the version that bigbench_meta/__init__.py says, without importing it."""
    text = (ROOT / PROJECT["tool"]["hatch"]["version"]["path"]).read_text(encoding="utf-8")
    return re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)[1]


def tracked() -> set[str]:
    """Return the files that git tracks in the checkout."""
    return set(_call(["git", "-C", ROOT, "ls-files", "-z"]).split("\0")) - {""}


def install(wheel: Path, python: str, room: Path) -> Path:
    """Install the running lock, then the wheel alone, into a new environment; return the folder of its commands."""
    _call([python, "-m", "venv", room / "env"])
    pip = [room / "env" / "bin" / "python", "-m", "pip", "--quiet", "--disable-pip-version-check"]
    _call([*pip, "install", "--require-hashes", "--requirement", ROOT / "requirements.lock"], cwd=room)
    _call([*pip, "install", "--no-deps", wheel], cwd=room)
    _call([*pip, "check"], cwd=room)
    where = _call([pip[0], "-c", "import bigbench_meta; print(bigbench_meta.__file__)"], cwd=room).strip()
    if not Path(where).is_relative_to(room):
        raise SystemExit(f"the environment imports {where}, not the wheel")
    return room / "env" / "bin"


def differing(here: Path, there: Path) -> list[str]:
    """Return the names of the files that are not the same bytes in both folders, or are in one only."""
    names = {path.name for folder in (here, there) for path in folder.iterdir()}
    return [
        name
        for name in sorted(names)
        if not (here / name).is_file()
        or not (there / name).is_file()
        or (here / name).read_bytes() != (there / name).read_bytes()
    ]


def find_python(version: str) -> str | None:
    """Return an interpreter of a version such as 3.13 that starts: on the PATH, or one that pyenv installed."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [shutil.which(f"python{version}"), *map(str, sorted(pyenv.glob(f"{version}.*/bin/python{version}")))]
    for candidate in filter(None, candidates):
        # A shim of pyenv is on the PATH for every version, and fails for those that are not chosen.
        if subprocess.run([candidate, "-c", ""], check=False, capture_output=True).returncode == 0:
            return candidate
    return None


def interpreters(asked: list[str] | None) -> list[str]:
    """Return those asked for, or the oldest and the newest supported ones that are found; say which are not."""
    prefix = "Programming Language :: Python :: "
    supported = [name.removeprefix(prefix) for name in PROJECT["project"]["classifiers"] if name.startswith(prefix)]
    found = {name: name if os.sep in name else find_python(name) for name in asked or (supported[0], supported[-1])}
    absent = [name for name, path in found.items() if path is None]
    if absent:
        message = f"no interpreter of Python {', '.join(absent)} was found; name one with --python PATH"
        if asked or len(absent) == len(found):
            raise SystemExit(message)
        print(message, flush=True)
    return [path for path in found.values() if path]


def run(command: list[str | Path], out: Path, cwd: Path) -> None:
    """Run the default analysis; a cache of its own keeps what earlier runs left on the machine out of it."""
    with tempfile.TemporaryDirectory() as cache:
        _call([*command, "run", "--out", out], cwd=cwd, BIGBENCH_META_CACHE=cache)


def _call(command: list[str | Path], *, cwd: Path | None = None, **environment: str) -> str:
    """Run a command without the PYTHON* variables of this process; on failure show what it said."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")} | environment
    done = subprocess.run(
        [str(part) for part in command], check=False, capture_output=True, text=True, cwd=cwd, env=clean
    )
    if done.returncode:
        raise SystemExit(
            f"{' '.join(map(str, command))}\nended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
        )
    return done.stdout


def _step(name: str, work: Callable[..., T], *arguments: object) -> T:
    start = time.perf_counter()
    result = work(*arguments)
    print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
    return result


def _refuse(what: str, faults: list[str]) -> None:
    if faults:
        raise SystemExit(f"{what}:\n" + "\n".join(f"  {fault}" for fault in faults))


if __name__ == "__main__":
    main()
