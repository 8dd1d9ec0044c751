"""How time and memory grow with files, curves and draws: each at 1, 4 and 16 times a small size.

Usage: python -m benchmarks.growth [--out FOLDER]

Writes growth.csv and growth.svg into the folder (default: this one) and prints the table. Every measurement is a process
of its own that works on one core; time is its processor time from after the imports, memory its peak beyond them. The
exponent of a series is the slope of the line through its three points on logarithmic axes: 1 is proportional growth, and
less means that what is done once still shows.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

STEPS = (1, 4, 16)
TASKS = 12  # of the simulated repository at size 1 of loading and scoring: about 560 files
ANALYSED_TASKS = 2  # at size 1 of testing curves, which costs thousands of times more
DRAWS = 99
SEED = 5


def load(folder: Path, *_: object) -> int:
    from benchmarks.load import processes
    from bigbench_meta.fetcher import fetch
    from bigbench_meta.loader import load_results

    with processes(1):
        return load_results(fetch(str(folder)), use_cache=False).counts.files


def score(_folder: Path, frame: pd.DataFrame, _: int) -> int:
    import bigbench_meta as bm

    return len(bm.score_curves(frame))


def analyse(folder: Path, frame: pd.DataFrame, draws: int) -> int:
    import bigbench_meta as bm
    from benchmarks.calibration import known_items

    items = known_items(pd.read_csv(folder / "truth.csv"))
    rng = np.random.default_rng(SEED)
    found = bm.analyze(frame, rng=rng, draws=draws, draw_limit=draws, items=items, workers=1)
    return int(found.curves["p_sharp"].notna().sum())


WORK = {"load": load, "score": score, "analyse": analyse}


def measure_here(what: str, folder: Path, draws: int) -> dict[str, float]:
    """Measure one piece of work in this process."""
    from bigbench_meta.loader import load_results

    warm_up = folder.parent / "warm-up"
    WORK[what](warm_up, load_results(str(warm_up), use_cache=False).frame, 19)
    given = None if what == "load" else load_results(str(folder), use_cache=False).frame
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from what is there now
    before = status("VmRSS")
    begin = time.process_time()
    size = WORK[what](folder, given, draws)
    return {"size": size, "seconds": time.process_time() - begin, "memory": status("VmHWM") - before}


def status(field: str) -> float:
    """A field of this process's memory in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) * 1024 / 1e6


def measure(what: str, folder: Path, draws: int = DRAWS) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.growth", "--one", what, str(folder), str(draws)],
        check=True, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    return json.loads(done.stdout)


def series(scratch: Path) -> pd.DataFrame:
    """Every series, one row a point."""
    from bigbench_meta.simulation.repository import simulate

    def repository(tasks: int) -> Path:
        folder = scratch / f"tasks-{tasks}"
        if not folder.exists():
            simulate(folder, rng=np.random.default_rng(SEED), tasks=tasks)
        return folder

    simulate(scratch / "warm-up", rng=np.random.default_rng(SEED), tasks=1)
    rows = []
    for step in STEPS:
        few, many = repository(ANALYSED_TASKS * step), repository(TASKS * step)
        rows += [
            ("load", "files", step, measure("load", many)),
            ("E and L", "curves", step, measure("score", many)),
            ("tests", "curves tested", step, measure("analyse", few)),
        ]
        at_draws = measure("analyse", repository(ANALYSED_TASKS), DRAWS * step) | {"size": DRAWS * step}
        rows.append(("tests", "draws", step, at_draws))
    return pd.DataFrame([{"work": work, "by": by, "step": step, **found} for work, by, step, found in rows])


def exponents(table: pd.DataFrame) -> pd.DataFrame:
    """Slopes of seconds and memory against size, per series; memory that does not reach 1 MB has none."""
    found = []
    for (work, by), rows in table.groupby(["work", "by"], sort=False):
        slopes = {
            name: np.polyfit(np.log(rows["size"]), np.log(rows[name]), 1)[0] if (rows[name] > 0).all() else np.nan
            for name in ("seconds", "memory")
        }
        found.append({"work": work, "by": by, **slopes})
    return pd.DataFrame(found)


def draw(table: pd.DataFrame, slopes: pd.DataFrame, path: Path) -> None:
    from matplotlib.figure import Figure

    from bigbench_meta.figures import figure_bytes, publication_style
    from bigbench_meta.figures.style import looks

    with publication_style():
        figure = Figure(figsize=(6.3, 3.2))
        panels = figure.subplots(1, 2)
        names = [f"{work} by {by}" for work, by in zip(slopes["work"], slopes["by"], strict=True)]
        for column, label, ax in zip(("seconds", "memory"), ("processor seconds", "memory, MB"), panels, strict=True):
            for name, row in zip(names, slopes.to_dict("records"), strict=True):
                points = table[(table["work"] == row["work"]) & (table["by"] == row["by"])]
                times = points["size"] / points["size"].iloc[0]
                ax.loglog(times, points[column], label=f"{name}: {row[column]:.2f}", **looks(names)[name])
            ax.set(xlabel="times the smallest number", ylabel=label)
            ax.legend(title="exponent", fontsize=6, title_fontsize=7)
        path.write_bytes(figure_bytes(figure, "svg"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--one", nargs=3, metavar=("WORK", "FOLDER", "DRAWS"), help="one measurement, in this process")
    options = parser.parse_args()
    if options.one:
        what, folder, draws = options.one
        print(json.dumps(measure_here(what, Path(folder), int(draws))))
        return
    with tempfile.TemporaryDirectory() as scratch:
        table = series(Path(scratch))
    slopes = exponents(table)
    table.round({"seconds": 3, "memory": 1}).to_csv(options.out / "growth.csv", index=False, lineterminator="\n")
    draw(table, slopes, options.out / "growth.svg")
    print(table.round({"seconds": 3, "memory": 1}).to_string(index=False))
    print(slopes.round(2).to_string(index=False))


if __name__ == "__main__":
    main()
