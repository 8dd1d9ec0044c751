"""Coverage, bias and level of the population shares, by simulation with planted shares.

    python scripts/maintenance/validate_shares.py --items bundle_items.csv --out shares.csv --simulations 10

One simulation is a population of as many curves as the file of items has tasks, on BIG-G's twelve sizes, each with its task's
items. Every simulation has random numbers of its own, from a hash of its whole cell and number: cells are independent.
Finished simulations are kept in ``--out`` and not made again; the summary goes to standard output as a table.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from bigbench_meta.analysis.curves.laws import logistic, theory
from bigbench_meta.analysis.tasks.shares import MAIN, population_shares
from bigbench_meta.emergence import score_curves

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

# Non-embedding parameters of BIG-G's dense models.
SCALES = np.array([2098048, 16780288, 56629632, 134228992, 262161280, 453009408, 1073784832, 2097218560, 3623973888,
                   8590102528, 28991404032, 137440272384], np.float64)  # fmt: skip
X = np.log10(SCALES)
PART = (X - X[0]) / (X[-1] - X[0])
PLANTED = (0.0, 0.05, 0.1, 0.2, 0.4)
# Intraclass correlations of real tasks, roughly: most have none.
RHO, RHO_SHARES = (0.0, 0.0016, 0.0125, 0.05), (0.80, 0.06, 0.09, 0.05)
# What the curves that are not sharp are: flat, smooth, falling, non-monotone.
OTHERS = {"flat": 0.55, "smooth": 0.37, "fall": 0.04, "nonmonotone": 0.04}
RESAMPLES = 99


class Cell(NamedTuple):
    """What is planted: the share of sharp curves, overdispersion or not, truths of the tests' dictionary or others."""

    share: float
    overdispersed: bool
    truths: str


def generator(cell: Cell, number: int) -> np.random.Generator:
    """Return random numbers keyed by a hash of the whole cell and the number of the simulation."""
    digest = hashlib.sha256(repr((tuple(cell), number)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


def shape(kind: str, truths: str, rng: np.random.Generator) -> Vector:
    """Draw a rise from 0 to 1, seen in full or in part."""
    if truths == "inside":
        if kind == "smooth":
            return theory(X, exponent=rng.uniform(0.08, 0.34), x0=rng.uniform(X[0] - 2, X[-1] + 3))
        return logistic(X, width=rng.uniform(0.2, 2.5), x0=rng.uniform(X[0] + 1.2, X[-1]))
    if kind == "smooth":
        # A parabola, convex or concave, and a saturating exponential: none is in the dictionary.
        bend = rng.uniform(-1, 1)
        saturating = (1 - np.exp(-PART * rng.uniform(0.3, 2.5))) / 1.2
        return saturating if rng.random() < 0.3 else (1 - bend) * PART + bend * PART**2
    # A ramp between two flat parts: corners, which no shape of the dictionary has.
    start = rng.uniform(X[0] + 0.6, X[-1] - 0.6)
    return np.asarray(np.clip((X - start) / rng.uniform(0.2, 2.0), 0, 1))


def mean_curve(kind: str, truths: str, rng: np.random.Generator) -> Vector:
    """Draw the true curve of one task; rises and falls change by .10 or more over the scales, flat ones by .05 or less."""
    while True:
        low = rng.uniform(0.0, 0.5)
        if kind == "flat":
            return np.asarray(low + rng.uniform(0.0, 0.05) * PART)
        high = rng.uniform(low, 1.0)
        if kind == "nonmonotone":
            up, down = sorted(rng.choice(np.arange(1, 12), 2, replace=False))
            if down - up < 2 or high - low < 0.1:
                continue
            return np.asarray(low + (high - low) * ((np.arange(12) >= up) & (np.arange(12) < down)))
        y = low + (high - low) * shape("smooth" if kind == "fall" else kind, truths, rng)
        if y[-1] - y[0] >= MAIN.least:
            return np.asarray(y[-1] + y[0] - y if kind == "fall" else y)


def population(cell: Cell, items: Vector, rng: np.random.Generator) -> pd.DataFrame:
    """Draw RESULTS of one task per number of items; the first 16 are on exact match, by chance alone."""
    names, chances = list(OTHERS), np.array(list(OTHERS.values()))
    rows = []
    for position, n in enumerate(items.astype(int)):
        kind = "sharp" if rng.random() < cell.share else str(rng.choice(names, p=chances))
        mean = np.clip(mean_curve(kind, cell.truths, rng), 0.5 / (n + 1), 1 - 0.5 / (n + 1))
        rho = float(rng.choice(RHO, p=RHO_SHARES)) if cell.overdispersed else 0.0
        success = rng.beta(mean * (1 / rho - 1), (1 - mean) * (1 / rho - 1)) if rho else mean
        score = rng.binomial(n, success) / n
        metric = "exact_str_match" if position < 16 else "multiple_choice_grade"
        rows += [(f"t{position:03d}", metric, scale, value) for scale, value in zip(SCALES, score, strict=True)]
    frame = pd.DataFrame(rows, columns=["task", "metric", "scale", "score"])
    return frame.assign(subtask=frame["task"], is_aggregate=False, family="BIG-G", shots=3, is_preferred=True)


def simulate(cell: Cell, number: int, items: Vector) -> dict[str, object]:
    """Estimate the shares of one population."""
    rng = generator(cell, number)
    shuffled = rng.permutation(items)
    frame = population(cell, shuffled, rng)
    curves = score_curves(frame)
    of_task = dict(zip(sorted(set(frame["task"])), shuffled, strict=True))
    curves["n_items"] = curves["task"].astype(str).map(of_task).to_numpy(np.float64)
    nobody = pd.DataFrame({"task": [], "category": []})
    table = population_shares(curves, frame, claimed=nobody, rng=rng, resamples=RESAMPLES, group_by=("all", "metric"))
    table = table[table["definition"] == MAIN.words].set_index(["group", "shape"])
    found: dict[str, object] = dict(zip(Cell._fields, cell, strict=True)) | {"number": number}
    for group, word in (("all", "all"), ("exact_str_match minus multiple_choice_grade", "difference")):
        for name in ("share", "low", "high"):
            found[f"{word}_{name}"] = float(table.loc[(group, "sharp"), name])
    for name in ("flat", "smooth", "fall", "nonmonotone"):
        found[name] = float(table.loc[("all", name), "share"])
    return found


def summary(done: pd.DataFrame) -> pd.DataFrame:
    """Coverage of the planted share and of no difference, bias and width, per cell, with the number of simulations."""
    done = done.assign(
        covered=(done["all_low"] <= done["share"]) & (done["share"] <= done["all_high"]),
        bias=done["all_share"] - done["share"],
        width=done["all_high"] - done["all_low"],
        differs=(done["difference_low"] > 0) | (done["difference_high"] < 0),
    )
    keys = list(Cell._fields)
    columns = {"number": "count", "covered": "mean", "bias": "mean", "width": "mean", "differs": "mean"}
    table = done.groupby(keys).agg(columns).reset_index()
    whole = done.agg(columns).to_frame().T.assign(share=np.nan, overdispersed="all", truths="all")
    return pd.concat([table, whole], ignore_index=True)[[*keys, *columns]].rename(columns={"number": "simulations"})


def main() -> int:
    """Simulate what is not there yet and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=Path, required=True, help="CSV with the column n_items_min, one row a task")
    parser.add_argument("--out", type=Path, required=True, help="CSV of simulations, added to")
    parser.add_argument("--simulations", type=int, default=10, help="per cell")
    parser.add_argument("--seconds", type=float, default=np.inf, help="stop after so long")
    arguments = parser.parse_args()
    items = pd.read_csv(arguments.items)["n_items_min"].to_numpy(np.float64)
    started = time.monotonic()
    rows = pd.read_csv(arguments.out).to_dict("records") if arguments.out.is_file() else []
    finished = {(row["share"], row["overdispersed"], row["truths"], row["number"]) for row in rows}
    # Number by number, so that a run that stops has about as many of each cell.
    for number, share, over, truths in product(
        range(arguments.simulations), PLANTED, (False, True), ("inside", "outside")
    ):
        if (share, over, truths, number) in finished or time.monotonic() - started > arguments.seconds:
            continue
        rows.append(simulate(Cell(share, over, truths), number, items))
        pd.DataFrame(rows).to_csv(arguments.out, index=False)
    print(summary(pd.DataFrame(rows)).round(3).to_string(index=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
