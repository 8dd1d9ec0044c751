"""What the calibration of curves costs beyond drawing its random numbers, which no way of calibrating can do without.

Usage: python -m benchmarks.calibration [--draws N] [--tasks N] [--whole]

Tests the curves of a small simulated repository in one process and prints the processor time, the part of it that went
into drawing scores under the null, and the ratio of the two. --whole tests the preferred leaf curves of a full-size
repository (or of --tasks N tasks) on every core and prints the time by the clock and the memory of this process.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

import bigbench_meta as bm
from bigbench_meta.analysis.curves.noise import Noise


def known_items(truth):
    """The items behind each point, which the tests need."""
    return truth[["task", "subtask", "family", "n_items"]].drop_duplicates(["task", "subtask", "family"])


def whole(*, draws: int, tasks: int | None) -> None:
    """Analyse a repository as a user would, with every default."""
    with tempfile.TemporaryDirectory() as scratch:
        made = bm.simulate(Path(scratch) / "r", rng=np.random.default_rng(5), tasks=tasks, full=tasks is None)
        results = bm.load_results(str(made.path), use_cache=False)
    begin = time.perf_counter()
    found = bm.analyze(results, rng=np.random.default_rng(1), draws=draws, items=known_items(made.truth))
    minutes = (time.perf_counter() - begin) / 60
    tests = found.settings["n_tests"]
    print(
        f"{len(found.curves)} curves, {tests} tested for sharpness, {draws} draws and at most {found.settings['most_draws']}: "
        f"{minutes:.1f} minutes on every core, {6e4 * minutes / tests:.0f} ms a curve; "
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB in this process"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=999)
    parser.add_argument("--tasks", type=int, default=None)
    parser.add_argument("--whole", action="store_true")
    options = parser.parse_args()
    if options.whole:
        whole(draws=options.draws, tasks=options.tasks)
        return
    spent = {"seconds": 0.0, "numbers": 0.0}
    draw = Noise.draw

    def timed(noise, mean, *, size, rng):
        begin = time.process_time()
        drawn = draw(noise, mean, size=size, rng=rng)
        spent["seconds"] += time.process_time() - begin
        spent["numbers"] += np.size(drawn)
        return drawn

    with tempfile.TemporaryDirectory() as scratch:
        made = bm.simulate(Path(scratch) / "r", rng=np.random.default_rng(5), tasks=options.tasks or 2)
        results = bm.load_results(str(made.path), use_cache=False)
    items = known_items(made.truth)
    bm.analyze(results, rng=np.random.default_rng(1), draws=19, items=items, workers=1)  # imports and tables made once
    Noise.draw = timed
    begin = time.process_time()
    found = bm.analyze(results, rng=np.random.default_rng(1), draws=options.draws, items=items, workers=1)
    total = time.process_time() - begin
    tested = int(found.curves["p_sharp"].notna().sum())
    print(
        f"{tested} curves, at most {found.settings['most_draws']} draws: {total:.1f} s, {1e3 * total / tested:.0f} ms a curve"
    )
    print(
        f"drawing {spent['numbers'] / 1e6:.1f} million scores: {spent['seconds']:.1f} s; ratio {total / spent['seconds']:.1f}"
    )


if __name__ == "__main__":
    main()
