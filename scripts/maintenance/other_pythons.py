"""Run tests on the supported Pythons beside the one of .venv, and the validator of exported records where it can run.

Usage: .venv/bin/python scripts/maintenance/other_pythons.py TESTS...

Sets up .venv-3.12 and the like from requirements-dev.lock, each kept while the lock stays as it is, and runs the given tests
there, without those of slow, browser, latex and train. The validator of Every Eval Ever needs Python 3.12 or newer and other
versions of some packages than the locks have, so it has an environment of its own, .venv-records, and a lock of its own.
Interpreters are looked for on PATH, among those of pyenv and of uv; what is not found is named and left out. Without TESTS,
only .venv-records is set up.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
UV = ROOT / ".venv" / "bin" / "uv"
RECORDS = ROOT / ".venv-records" / "bin" / "python"
RECORDS_FROM = (3, 12)  # the oldest Python that every-eval-ever 0.3.0 admits
LEFT_OUT = "not slow and not browser and not latex and not train"


def supported() -> list[tuple[int, int]]:
    """Return the versions of Python that the classifiers name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = [line.rpartition(" ")[2] for line in project["classifiers"] if "Python :: 3." in line]
    return sorted((int(name.split(".")[0]), int(name.split(".")[1])) for name in names)


def find(version: tuple[int, int]) -> str | None:
    """Return the path of an interpreter of this version, or None."""
    name = f"{version[0]}.{version[1]}"
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [
        f"python{name}",
        *(str(one / "bin" / "python3") for one in sorted(pyenv.glob(f"{name}*"), reverse=True)),
    ]
    managed = [UV, "python", "find", "--no-project", "--system", "--no-python-downloads", name]
    found = subprocess.run(managed, check=False, capture_output=True, text=True).stdout.strip()
    for candidate in [*candidates, *([found] if found else [])]:
        # A name on PATH may be a shim of pyenv for a version that is not switched on: it exists and fails.
        ask = [candidate, "-c", "import sys; print(sys.executable, *sys.version_info[:2])"]
        try:
            said = subprocess.run(ask, check=False, capture_output=True, text=True)
        except FileNotFoundError:
            continue
        *path, major, minor = said.stdout.split() or ["", "", ""]
        if said.returncode == 0 and (major, minor) == tuple(map(str, version)):
            return " ".join(path)
    return None


def set_up(folder: Path, interpreter: str, lock: Path, *, project: bool) -> None:
    """Install a lock into an environment, and the project itself if asked, unless that is done already."""
    ready = folder / ".ready"
    if ready.exists() and ready.stat().st_mtime > max(path.stat().st_mtime for path in (lock, ROOT / "pyproject.toml")):
        return
    python = folder / "bin" / "python"
    subprocess.run([UV, "venv", "--quiet", "--clear", "--python", interpreter, folder], check=True)
    install = [UV, "pip", "install", "--quiet", "--python", python]
    subprocess.run([*install, "--require-hashes", "-r", lock], check=True)
    if project:
        subprocess.run([*install, "--no-deps", "--no-build-isolation", "-e", ROOT], check=True)
    ready.touch()


def main() -> int:
    """Run the tests on each Python found; return 1 if they fail on any."""
    tests = sys.argv[1:]
    interpreters = {version: find(version) for version in supported()}
    found = (interpreter for version, interpreter in interpreters.items() if version >= RECORDS_FROM and interpreter)
    checks_records = next(found, None)
    if checks_records:
        set_up(RECORDS.parents[1], checks_records, ROOT / "requirements-records.lock", project=False)
    else:
        print("no Python 3.12 or newer: the test of exported records against their validator will be skipped")
    failed = []
    for version, interpreter in interpreters.items():
        name = f"{version[0]}.{version[1]}"
        if not tests or version == sys.version_info[:2]:
            continue
        if interpreter is None:
            print(f"Python {name}: not found, the tests were not run there")
            continue
        started = time.monotonic()
        folder = ROOT / f".venv-{name}"
        set_up(folder, interpreter, ROOT / "requirements-dev.lock", project=True)
        installed = time.monotonic()
        command = [folder / "bin" / "python", "-m", "pytest", "-q", "-n", "auto", "-m", LEFT_OUT]
        # Properties are looked for on the default Python; here a few examples show that they hold on another one, too.
        command += ["--hypothesis-profile", "mutation", *tests]
        environment = os.environ | ({"BIGBENCH_META_RECORDS_PYTHON": str(RECORDS)} if checks_records else {})
        print(f"Python {name}: {interpreter}", flush=True)
        if subprocess.run(command, check=False, cwd=ROOT, env=environment).returncode:
            failed.append(name)
        print(
            f"Python {name}: set up in {installed - started:.0f} s, tests {time.monotonic() - installed:.0f} s",
            flush=True,
        )
    if failed:
        print(f"the tests failed on Python {', '.join(failed)}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
