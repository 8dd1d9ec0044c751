"""Write made-up releases, newer than any real one, of every package that the given lock files pin.

Usage: python newer_releases.py FOLDER LOCK...

A lock that misses a pin, or the extra of one, installs well on the day it is made and fails once the package has a newer
release. A set-up that is offered these releases beside the real ones (``PIP_FIND_LINKS=FOLDER``) shows that at once: whatever
is not pinned resolves to a made-up one, which has no hash in the lock. Runs on a machine that has Python alone.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import re
import zipfile
from pathlib import Path

NEWER = "9999.0"
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^]]*\])?==", re.MULTILINE)


def pinned(lock: str) -> set[str]:
    """Return the names of the packages that the text of a lock file pins."""
    return set(_PIN.findall(lock))


def write_wheel(folder: Path, name: str, version: str, fields: str = "") -> str:
    """Write a wheel without modules.

    Parameters
    ----------
    folder : Path
        Where the wheel goes.
    name, version : str
        Of the package.
    fields : str, optional
        More lines of its metadata, each ended by a newline, such as ``Requires-Dist``.

    Returns
    -------
    str
        The SHA-256 of the file, in hexadecimal.
    """
    stem = f"{re.sub(r'[-_.]+', '_', name)}-{version}"
    info = f"{stem}.dist-info"
    files = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{fields}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: newer_releases\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [f"{path},{_record(content.encode())}\n" for path, content in files.items()]
    files[f"{info}/RECORD"] = "".join([*record, f"{info}/RECORD,,\n"])
    target = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(target, "w") as wheel:
        for path, content in files.items():
            wheel.writestr(zipfile.ZipInfo(path), content)
    return hashlib.sha256(target.read_bytes()).hexdigest()


def _record(content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"sha256={digest},{len(content)}"


def main() -> None:
    """Write the wheels and say how many."""
    parser = argparse.ArgumentParser(description="Write a made-up newer release of every package that lock files pin.")
    parser.add_argument("folder", type=Path, help="where the wheels go")
    parser.add_argument("locks", type=Path, nargs="+", help="lock files")
    asked = parser.parse_args()
    names = set[str]().union(*(pinned(lock.read_text(encoding="utf-8")) for lock in asked.locks))
    asked.folder.mkdir(parents=True, exist_ok=True)
    for name in sorted(names):
        write_wheel(asked.folder, name, NEWER)
    print(f"{len(names)} made-up releases {NEWER} in {asked.folder}")


if __name__ == "__main__":
    main()
