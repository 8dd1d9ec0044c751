"""Loading against its floor: the time of a load over that of decoding the same bytes with orjson, in pairs.

Usage: python -m benchmarks.load [--pairs N] [--source FOLDER] [--official FOLDER] [--gross]

Without --source a full-size repository is simulated first (about 9,600 files, 650,000 numbers). --official names a
folder with a copy of ``bigbench/api`` from the bigbench 1.0.0 source distribution (and an empty
``bigbench/__init__.py``), whose own reader is then timed too. --gross simulates a small repository and fails only if
the load costs more than twice what it did when the limit was set.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import orjson
import pandas as pd

from bigbench_meta.fetcher import fetch
from bigbench_meta.loader import load_results
from bigbench_meta.loader.bigbench import reading
from bigbench_meta.simulation.repository import simulate

# The small repository costs 2.5 times its floor (what is done once per load weighs more than on the full size); a
# gross loss is twice that.
GROSS = 5.0
GROSS_TASKS = 12
_ONCE = """
import resource, sys, time
import pandas
begin = time.perf_counter()
from bigbench_meta import load_results
results = load_results(sys.argv[1], use_cache=False)
seconds = time.perf_counter() - begin
print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def seconds(work) -> tuple[float, float]:
    """Wall and processor time of one call; processor time is that of this process."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


@contextmanager
def processes(count: int | None):
    """Inside this block a load uses this many processes; None leaves the choice to the loader."""
    chosen = reading.processes_for
    reading.processes_for = chosen if count is None else lambda _: count
    try:
        yield
    finally:
        reading.processes_for = chosen


def load(checkout, count: int | None) -> None:
    with processes(count):
        load_results(checkout, use_cache=False)


def ratios(checkout, *, pairs: int) -> pd.DataFrame:
    """One row a pair: the floor in seconds, and loads in turn over it."""
    paths = [checkout.root / entry.path for entry in checkout.entries if entry.is_result]

    def floor() -> None:
        for path in paths:
            orjson.loads(path.read_bytes())

    load(checkout, 1)
    rows = []
    for _ in range(pairs):
        base = seconds(floor)
        one = seconds(lambda: load(checkout, 1))
        again = seconds(floor)
        every = seconds(lambda: load(checkout, None))
        rows.append((base[0], one[0] / base[0], one[1] / base[1], every[0] / again[0]))
    return pd.DataFrame(rows, columns=["orjson s", "1 process", "1 process (cpu time)", "all cores"])


def official_reader(folder: Path, source: Path):
    """The reader of the bigbench package over the same files; the package itself cannot be installed."""
    sys.path.insert(0, str(folder))
    from bigbench.api.results import load_results as load_official

    return lambda: load_official(str(source / "bigbench" / "benchmark_tasks"))


def gross_ratio(*, pairs: int = 5) -> float:
    """Processor time of loading a small repository over that of its floor, the median of some pairs."""
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "simulated"
        simulate(source, rng=np.random.default_rng(5), tasks=GROSS_TASKS)
        return statistics.median(ratios(fetch(str(source)), pairs=pairs)["1 process (cpu time)"])


def once(source: Path) -> tuple[float, int, int]:
    """Seconds of a load in a process of its own, from a path; peak memory of that process and of its largest child."""
    done = subprocess.run(
        [sys.executable, "-c", _ONCE, str(source)], check=True, capture_output=True, text=True, cwd=Path.cwd()
    )
    taken, own, child = done.stdout.split()
    return float(taken), int(own) * 1024, int(child) * 1024


def as_bare(source: Path, scratch: Path) -> Path:
    """The same files as one commit of a bare repository."""
    bare = scratch / "bare.git"
    work = ["git", f"--git-dir={bare}", f"--work-tree={source}", "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "init", "-q", "--bare", str(bare)], check=True)
    # A commit of that many files would start the housekeeping in the background, which races with the repacking below.
    for setting in ("gc.auto=0", "maintenance.auto=false"):
        subprocess.run(["git", f"--git-dir={bare}", "config", *setting.split("=")], check=True)
    subprocess.run([*work, "add", "--all", "--force"], check=True)
    subprocess.run([*work, "commit", "-q", "-m", "simulated"], check=True)
    subprocess.run(["git", f"--git-dir={bare}", "repack", "-q", "-a", "-d"], check=True)
    return bare


def measure(source: Path, *, pairs: int, official: Path | None, scratch: Path) -> None:
    checkout = fetch(str(source))
    entries = [entry for entry in checkout.entries if entry.is_result]
    print(f"{len(entries)} files, {sum(entry.size for entry in entries) / 1e6:.0f} MB, {pairs} pairs")
    print(ratios(checkout, pairs=pairs).describe().loc[["min", "25%", "50%", "75%", "max"]].round(2).to_string())
    if official is not None:
        read = official_reader(official, source)
        shares = [seconds(read)[1] / seconds(lambda: load(checkout, 1))[1] for _ in range(3)]
        print(f"official reader over ours in one process, cpu time: {statistics.median(shares):.1f}")
    warm = measure_warm(checkout)
    print(f"from the cache: {statistics.median(warm):.2f} s (fastest {min(warm):.2f} s)")
    bare = as_bare(source, scratch)
    runs = [(once(source), once(bare)) for _ in range(5)]
    print(f"from a path, listing included: {statistics.median(folder[0] for folder, _ in runs):.2f} s")
    print(f"a bare repository more: {statistics.median(git[0] - folder[0] for folder, git in runs):.2f} s")
    peak = max(max(folder[1], git[1]) for folder, git in runs)
    helper = max(max(folder[2], git[2]) for folder, git in runs)
    print(f"peak memory: {peak / 1e6:.0f} MB, and {helper / 1e6:.0f} MB in the largest other process")


def measure_warm(checkout) -> list[float]:
    with tempfile.TemporaryDirectory() as cache:
        load_results(checkout, cache_dir=cache)
        load_results(checkout, cache_dir=cache)
        return [seconds(lambda: load_results(checkout, cache_dir=cache))[0] for _ in range(5)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--source", type=Path)
    parser.add_argument("--official", type=Path, help="folder that holds bigbench/api of bigbench 1.0.0")
    parser.add_argument("--gross", action="store_true")
    options = parser.parse_args()
    if options.gross:
        ratio = gross_ratio(pairs=options.pairs)
        print(f"{ratio:.2f} times the floor; the limit is {GROSS}")
        sys.exit(f"loading costs {ratio:.1f} times the decoding of the bytes" if ratio > GROSS else 0)
    with tempfile.TemporaryDirectory() as scratch:
        source = options.source
        if source is None:
            source = Path(scratch) / "simulated"
            simulate(source, rng=np.random.default_rng(5), full=True)
        measure(source, pairs=options.pairs, official=options.official, scratch=Path(scratch))


if __name__ == "__main__":
    main()
