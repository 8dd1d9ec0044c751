"""Write data_manifest.json, the lock of what an analysis used, from a fetched source.

    python scripts/maintenance/update_manifest.py [SOURCE] [--ref REF] [--output data_manifest.json]

SOURCE defaults to ``github``. The bytes written depend on the commit alone, so running it twice changes nothing.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from bigbench_meta.errors import BigbenchMetaError, SourceError
from bigbench_meta.fetcher import fetch
from bigbench_meta.fetcher.manifest import manifest_text, packaged_path, read_manifest, write_text


def main(arguments: list[str] | None = None) -> int:
    """Fetch, then write; returns the exit status."""
    parser = argparse.ArgumentParser(description="Write data_manifest.json from a fetched source.")
    parser.add_argument("source", nargs="?", default="github", help="what to lock (default: github)")
    parser.add_argument("--ref", help="branch, tag or commit id (default: the pinned commit, else the default branch)")
    parser.add_argument("--repository", help="URL to record (default: the one the present manifest names)")
    parser.add_argument("--output", type=Path, help="file to write (default: the manifest of this installation)")
    parser.add_argument("--cache-dir", type=Path, help="where fetched repositories are kept")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        checkout = fetch(given.source, ref=given.ref, cache_dir=given.cache_dir)
        if checkout.commit is None:
            raise SourceError(f"{checkout.source}: has no commit, so there is nothing to pin; use a git source")
        repository = given.repository or read_manifest().repository
        output = given.output or packaged_path()
        write_text(output, manifest_text(repository=repository, commit=checkout.commit, files=checkout.entries))
    except BigbenchMetaError as err:
        print(f"error: {err}", file=sys.stderr)
        return 1
    print(output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
