"""Type I error, coverage and power of every test of the analysis, by simulation with known truth.

One batch is 20 tasks of one truth, scored by one family of models and given to the analysis of curves as a user would:
noise is pooled over the batch, p-values are Monte Carlo, verdicts use Benjamini-Hochberg over the batch. A pass runs one
batch of every cell; passes add up. Each batch is written to the checkpoint as it ends, so a stopped run goes on where
it was, and each has a generator of its own, so the table does not depend on the order of the work.

    python scripts/maintenance/validate.py --passes 8 --checkpoint validation.jsonl          # some hours
    python scripts/maintenance/validate.py --typical --passes 10 --checkpoint validation-typical.jsonl    # some minutes
    python scripts/maintenance/validate_tables.py --checkpoint validation-tables.jsonl       # the tests over tasks: some minutes
    python scripts/maintenance/validation_page.py validation*.jsonl  # writes the committed table and page
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import itertools
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

import bigbench_meta
from bigbench_meta.analysis.curves.batch import batch_of
from bigbench_meta.analysis.curves.inference import pool_noise, typical_curves
from bigbench_meta.analysis.curves.laws import EXPONENT_TIMES_WIDTH, theory
from bigbench_meta.analysis.curves.montecarlo import Sampling
from bigbench_meta.analysis.curves.noise import beta_binomial
from bigbench_meta.analysis.curves.prepare import prepare_curves
from bigbench_meta.analysis.curves.sharpness import concentration_tests
from bigbench_meta.analysis.pipeline import Choices, infer_curves
from bigbench_meta.facts.metrics import metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from bigbench_meta.analysis.pipeline import CurveInference

    Vector = NDArray[np.float64]

SEED = 20261122
BATCH = 20
# The typical curve of a family is tested where it rests on many tasks.
TYPICAL_BATCH = 60
DRAWS = 199
LEVELS = (0.01, 0.05, 0.10)

# Model sizes: BIG-G (12), GPT-3 (8), the larger Gophers (5), the GPT-3 study of Mirage (4).
SCALES: dict[int, tuple[float, ...]] = {
    12: (2.1e6, 1.68e7, 5.66e7, 1.34e8, 2.62e8, 4.53e8, 1.07e9, 2.1e9, 3.62e9, 8.59e9, 2.9e10, 1.374e11),
    8: (1.25e8, 3.5e8, 7.6e8, 1.3e9, 2.7e9, 6.7e9, 1.3e10, 1.75e11),
    5: (1.17e8, 4.17e8, 1.4e9, 7.1e9, 2.8e11),
    4: (3.5e8, 1.3e9, 6.7e9, 1.75e11),
}
ITEMS = (50, 200, 1000)
FLOORS = (0.02, 0.25, 0.5)
# Overdispersion: none, or per task as in BIG-G: four tasks in five have none, the others a great deal.
OVERDISPERSION: dict[str, tuple[tuple[float, float], ...]] = {
    "none": ((0.0, 1.0),),
    "as in BIG-G": ((0.0, 0.8), (0.0016, 0.06), (0.0125, 0.09), (0.05, 0.05)),
}


class Truth(NamedTuple):
    """A true curve over log10 scale: its mean, 10-90% width (NaN: none), and whether it is smooth at 0.34."""

    name: str
    mean: Callable[[Vector, float], Vector]
    width: float
    smooth: bool
    flat: bool


def _line(rise: float) -> Callable[[Vector, float], Vector]:
    return lambda x, floor: floor + rise * (x - x[0]) / (x[-1] - x[0])


def _theory(exponent: float, top: float) -> Callable[[Vector, float], Vector]:
    """Build the paper's law above the floor, reaching success ``top`` (of the room above the floor) at the largest scale."""

    def mean(x: Vector, floor: float) -> Vector:
        x0 = float(x[-1] + np.log10(-np.log(top)) / exponent)
        return floor + (1 - floor) * theory(x, exponent=exponent, x0=x0)

    return mean


def _step(size: float, place: str, width: float) -> Callable[[Vector, float], Vector]:
    """Build a rise of ``size`` of the given width, in the middle, before the largest scale or before the last but one."""

    def mean(x: Vector, floor: float) -> Vector:
        gap = {"last": len(x) - 2, "last but one": len(x) - 3}.get(place, len(x) // 2 - 1)
        centre = (x[gap] + x[gap + 1]) / 2
        slope = 2 * np.log10(9) / max(width, 1e-3)
        return floor + size / (1 + 10 ** np.clip(-slope * (x - centre), -300, 300))

    return mean


def _hump(size: float, change: float = 0.0) -> Callable[[Vector, float], Vector]:
    """Build a rise of ``size`` to the middle scale and the fall back, net of a change from end to end."""

    def mean(x: Vector, floor: float) -> Vector:
        place = (x - x[0]) / (x[-1] - x[0])
        return floor + size * (1.0 - np.abs(2.0 * place - 1.0)) + change * place

    return mean


# A model that gives one answer to all items of two classes, .37 and .63 of them, the other answer from some size on.
ONE_ANSWER, CLASS_SHARE = "one answer to all", 0.37
# A metric without a range, whose scores scatter by so much about their curve; its unit is that of the curve's rise.
UNBOUNDED, SCATTER = "log_likelihood, ", 0.03
TRUTHS = {
    each.name: each
    for each in (
        Truth("flat", _line(0.0), np.nan, smooth=True, flat=True),
        Truth("straight line, rise .3", _line(0.3), np.inf, smooth=True, flat=False),
        Truth("theory .34, top .3", _theory(0.34, 0.3), EXPONENT_TIMES_WIDTH / 0.34, smooth=True, flat=False),
    )
}
OTHER_TRUTHS = {
    each.name: each
    for each in (
        Truth("straight line, rise .05", _line(0.05), np.inf, smooth=True, flat=False),
        Truth("theory .2, top .3", _theory(0.2, 0.3), EXPONENT_TIMES_WIDTH / 0.2, smooth=True, flat=False),
        Truth("theory .34, top .9", _theory(0.34, 0.9), EXPONENT_TIMES_WIDTH / 0.34, smooth=True, flat=False),
        Truth("theory 1, top .9", _theory(1.0, 0.9), EXPONENT_TIMES_WIDTH, smooth=False, flat=False),
        *(
            Truth(f"step {size}, {place}, width {width:g}", _step(size, place, width), width, smooth=False, flat=False)
            for size in (0.1, 0.2, 0.4)
            for place in ("middle", "last")
            for width in (0.0, 1.0)
        ),
        *(
            Truth(
                f"step {size}, last but one, width 0", _step(size, "last but one", 0.0), 0.0, smooth=False, flat=False
            )
            for size in (0.2, 0.4)
        ),
        Truth("straight line, fall .2", _line(-0.2), np.inf, smooth=True, flat=False),
        Truth("hump of .3", _hump(0.3), np.nan, smooth=False, flat=False),
        Truth("hump of .3 and a fall of .1", _hump(0.3, -0.1), np.nan, smooth=False, flat=False),
        Truth(ONE_ANSWER, _line(0.0), np.nan, smooth=False, flat=False),
    )
}


# A family of tests of several truths: the share of each, in fiftieths.
MIXED = "mixed"
MIXTURE = {"flat": 20, "straight line, rise .3": 10, "theory .34, top .3": 10, "step 0.4, last, width 0": 10}


class Cell(NamedTuple):
    """One cell of the design."""

    truth: str
    n_scales: int
    n_items: int
    floor: float
    overdispersion: str


def generator(cell: Cell, *numbers: int) -> np.random.Generator:
    """Return the generator of one batch: keyed by a hash of every field of the cell, the numbers and the seed."""
    key = json.dumps([SEED, *cell, *numbers]).encode()
    return np.random.default_rng(int.from_bytes(hashlib.sha256(key).digest(), "big"))


def code_digest() -> str:
    """Return a digest of the code that the rows of curves come from: its syntax without comments and docstrings."""
    root = Path(bigbench_meta.__file__).parent / "analysis"
    digest = hashlib.sha256()
    for path in sorted([*(root / "curves").glob("*.py"), root / "pipeline.py", root / "multiplicity.py"]):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if (
                isinstance(body, list)
                and body
                and isinstance(body[0], ast.Expr)
                and isinstance(body[0].value, ast.Constant)
            ):
                body[0] = ast.Pass()
        digest.update(path.name.encode() + ast.dump(tree).encode())
    return digest.hexdigest()[:16]


def cells() -> Iterator[Cell]:
    """Yield the full design for the three smooth truths, and a part of it for coverage and power."""
    for truth, m, n, floor, over in itertools.product(TRUTHS, SCALES, ITEMS, FLOORS, OVERDISPERSION):
        yield Cell(truth, m, n, floor, over)
    for truth, m, n in itertools.product(OTHER_TRUTHS, (5, 12), (200, 1000)):
        yield Cell(truth, m, n, 0.25, "as in BIG-G")
    for m, n, over in itertools.product(SCALES, (200, 1000), OVERDISPERSION):
        yield Cell(MIXED, m, n, 0.25, over)
    for truth, m in itertools.product((*TRUTHS, "step 0.4, last, width 0", "straight line, fall .2"), SCALES):
        yield Cell(UNBOUNDED + truth, m, 0, 0.25, "none")


def simulate_batch(cell: Cell, *, rng: np.random.Generator, size: int = BATCH) -> pd.DataFrame:
    """Draw RESULTS of ``size`` tasks of one truth, or of the mixture of truths."""
    if cell.truth == MIXED:
        parts = [
            simulate_batch(cell._replace(truth=truth), rng=rng, size=count * size // BATCH)
            for truth, count in MIXTURE.items()
        ]
        named = [
            part.assign(task=truth[:6] + part["task"], subtask=truth[:6] + part["task"])
            for truth, part in zip(MIXTURE, parts, strict=True)
        ]
        return pd.concat(named, ignore_index=True)
    scales = np.array(SCALES[cell.n_scales])
    truth = (TRUTHS | OTHER_TRUTHS)[cell.truth.removeprefix(UNBOUNDED)]
    mean = truth.mean(np.log10(scales), cell.floor)
    if cell.truth.startswith(UNBOUNDED):
        drawn = mean + rng.normal(0.0, SCATTER, size=(size, len(scales))) - 3.0
        return _results(drawn, scales, metric="log_likelihood")
    if cell.truth == ONE_ANSWER:
        change = rng.integers(1, len(scales), size=size)[:, None]
        answers = np.where(np.arange(len(scales)) < change, CLASS_SHARE, 1.0 - CLASS_SHARE)
        return _results(np.round(answers * cell.n_items) / cell.n_items, scales)
    rho, mass = zip(*OVERDISPERSION[cell.overdispersion], strict=True)
    drawn_rho = rng.choice(np.array(rho), size=size, p=np.array(mass))
    factor = 1 + (cell.n_items - 1) * drawn_rho[:, None]
    score = beta_binomial(np.tile(mean, (size, 1)), n_items=cell.n_items, factor=factor, rng=rng)
    return _results(score, scales)


def _results(score: Vector, scales: Vector, *, metric: str = "multiple_choice_grade") -> pd.DataFrame:
    """Scores (tasks, scales) as RESULTS."""
    tasks = [f"task{index:03d}" for index in range(len(score))]
    return pd.DataFrame(
        {
            "task": np.repeat(tasks, len(scales)),
            "subtask": np.repeat(tasks, len(scales)),
            "is_aggregate": False,
            "metric": metric,
            "family": "simulated",
            "shots": 0,
            "scale": np.tile(scales, len(score)),
            "score": score.ravel(),
            "is_preferred": True,
        }
    )


def run_batch(cell: Cell, number: int, *, draws: int = DRAWS, size: int = BATCH) -> list[dict[str, float | str]]:
    """Analyse one batch: a list of quantities with the number of hits and of trials."""
    rng = generator(cell, number)
    frame = simulate_batch(cell, rng=rng, size=size)
    items = pd.DataFrame({"task": sorted(frame["task"].unique()), "n_items": cell.n_items}) if cell.n_items else None
    found = infer_curves(frame, rng=rng, choices=Choices(metrics(), draws=draws, items=items, workers=1))
    if cell.truth == MIXED:
        return list(tally_mixed(found))
    scales = np.array(SCALES[cell.n_scales])
    truth = (TRUTHS | OTHER_TRUTHS)[cell.truth.removeprefix(UNBOUNDED)]
    return list(tally(found, truth, scales=scales, floor=cell.floor))


def tally_mixed(found: CurveInference) -> Iterator[dict[str, float | str]]:
    """Count, in a batch of several truths, false findings among the findings and findings among the steps."""
    curves = found.curves
    planted = curves["task"].astype(str).str.startswith("step").to_numpy(bool)
    for name in ("q_sharp", "q_surprise"):
        hit = (curves[name] <= 0.05).to_numpy(bool)
        yield {
            "quantity": f"false share of {name} <= .05",
            "level": 0.05,
            "hits": int((hit & ~planted).sum()),
            "trials": int(hit.sum()),
        }
        yield {
            "quantity": f"steps with {name} <= .05",
            "level": 0.0,
            "hits": int((hit & planted).sum()),
            "trials": int(planted.sum()),
        }
    emergent = curves["emergent"].fillna(False).to_numpy(bool)
    yield {
        "quantity": "false share of emergent",
        "level": 0.05,
        "hits": int((emergent & ~planted).sum()),
        "trials": int(emergent.sum()),
    }
    yield {
        "quantity": "steps called emergent",
        "level": 0.0,
        "hits": int((emergent & planted).sum()),
        "trials": int(planted.sum()),
    }


def tally(found: CurveInference, truth: Truth, *, scales: Vector, floor: float) -> Iterator[dict[str, float | str]]:
    """Count rejections at each level, intervals that hold the truth, and verdicts."""

    def row(quantity: str, level: float, hits: NDArray[np.bool_]) -> dict[str, float | str]:
        return {"quantity": quantity, "level": level, "hits": int(hits.sum()), "trials": len(hits)}

    curves, forecasts = found.curves, found.forecasts
    for name in ("p_trend", "p_sharp", "p_surprise", "p_nonmonotone", "p_step_line", "p_step_typical"):
        p = curves[name].dropna().to_numpy()
        for level in LEVELS:
            yield row(name, level, p <= level)
    for (held_out, law), part in forecasts[forecasts["held_out"] > 0].groupby(["held_out", "law"], observed=True):
        # An interval of one law promises coverage where that law is true; all laws together wherever any is.
        inside = (part["observed"] >= part["low"] - 1e-12) & (part["observed"] <= part["high"] + 1e-12)
        yield row(f"forecast interval, {law}, held out {held_out}", 0.95, inside.to_numpy(bool))
    defined = curves["width_reason"].astype(str) != "no rise"
    width = curves[defined]
    if np.isfinite(truth.width):
        holds = (width["width_low"] <= truth.width + 1e-9) & ~(width["width_high"] < truth.width - 1e-9)
        yield row("width interval", 0.95, holds.to_numpy(bool))
    elif np.isinf(truth.width):
        yield row("width interval", 0.95, width["width_high"].isna().to_numpy(bool))
    if truth.name.startswith("theory"):
        exponent = EXPONENT_TIMES_WIDTH / truth.width
        seen = curves[curves["exponent_reason"].astype(str) != "no rise"]
        holds = ~(seen["exponent_low"] > exponent + 1e-9) & ~(seen["exponent_high"] < exponent - 1e-9)
        yield row("exponent interval", 0.95, holds.to_numpy(bool))
    change = truth.mean(np.log10(scales), floor)
    holds = (curves["rise_low"] <= change[-1] - change[0] + 1e-9) & (
        curves["rise_high"] >= change[-1] - change[0] - 1e-9
    )
    yield row("rise interval", 0.95, holds.to_numpy(bool))
    yield row("width defined", 0.0, defined.to_numpy(bool))
    for word in ("flat", "smooth", "sharp", "inverse", "nonmonotone", "undecided"):
        yield row(f"verdict {word}", 0.0, (curves["verdict"].astype(str) == word).to_numpy(bool))
    yield row("emergent", 0.0, curves["emergent"].fillna(False).to_numpy(bool))
    yield row("emergent, missing", 0.0, curves["emergent"].isna().to_numpy(bool))
    yield row("constant answer", 0.0, (curves["constant_answer"] == 1).to_numpy(bool))
    # What the columns of power promise for a jump of .2 and of .4, to be set beside what steps of that size get.
    for name in ("power_sharp", "power_sharp_small", "power_surprise", "power_surprise_small"):
        promised = curves[name].dropna()
        yield {"quantity": f"stated {name}", "level": 0.0, "hits": float(promised.sum()), "trials": len(promised)}


def typical_cells() -> Iterator[Cell]:
    """Yield the cells in which the test against the family's typical curve is tried on larger batches."""
    for truth, m, n, floor, over in itertools.product(
        ("straight line, rise .3", "theory .34, top .3"), (5, 12), (200, 1000), (0.02, 0.25), OVERDISPERSION
    ):
        yield Cell(truth, m, n, floor, over)


def run_typical_batch(cell: Cell, number: int) -> list[dict[str, float | str]]:
    """Test one batch of `TYPICAL_BATCH` tasks against the typical curve of the others, and nothing else."""
    rng = generator(cell, number, TYPICAL_BATCH)
    frame = simulate_batch(cell, rng=rng, size=TYPICAL_BATCH)
    items = pd.DataFrame({"task": sorted(frame["task"].unique()), "n_items": cell.n_items})
    _, curves = prepare_curves(frame, items=items, registry=metrics())
    (pooled,) = pool_noise(curves, seed=number).values()
    if pooled is None:
        return []
    typical = typical_curves(curves)
    batch = batch_of(curves, [pooled.noise(kind="items", n_items=cell.n_items)] * len(curves))
    smooth = np.stack([typical[curve.key] for curve in curves])
    tested = concentration_tests(batch, smooth=smooth, sampling=Sampling(DRAWS, number), name="typical")
    p = np.array([each.p for each in tested])
    return [
        {"quantity": "p_step_typical", "level": level, "hits": int((p <= level).sum()), "trials": len(p)}
        for level in LEVELS
    ]


def run_typical(passes: int, checkpoint: Path) -> None:
    """Run passes over `typical_cells`, one line of the checkpoint a batch."""
    for number, cell in itertools.product(range(passes), typical_cells()):
        entry = {
            "cell": list(cell),
            "n_units": TYPICAL_BATCH,
            "batch": number,
            "draws": DRAWS,
            "code": CODE,
            "rows": run_typical_batch(cell, number),
        }
        with checkpoint.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(entry) + "\n")


def run(passes: range, checkpoint: Path, *, minutes: float) -> None:
    """Run passes over all cells, one line of the checkpoint a batch, until done or out of time."""
    done = set()
    if checkpoint.exists():
        for line in checkpoint.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            if entry.get("code") != CODE:
                raise SystemExit(f"{checkpoint}: batches of other code; start with a new checkpoint")
            done.add((Cell(*entry["cell"]), entry["batch"]))
    started = time.monotonic()
    # A pass goes through the cells in random order, so that a run cut short has seen a fair part of the design; those
    # that resemble BIG-bench's typical task (200 items, four options) come first.
    every = list(cells())
    order = []
    for number in passes:
        shuffled = np.random.default_rng([SEED, number]).permutation(len(every)).tolist()
        order.append(sorted(shuffled, key=lambda at: (every[at].n_items, every[at].floor) != (200, 0.25)))
    plan = [
        (every[at], number)
        for number, places in zip(passes, order, strict=True)
        for at in places
        if (every[at], number) not in done
    ]
    for position, (cell, number) in enumerate(plan):
        if time.monotonic() - started > 60 * minutes:
            print(f"out of time with {len(plan) - position} batches to go", file=sys.stderr)
            return
        entry = {"cell": list(cell), "batch": number, "draws": DRAWS, "code": CODE, "rows": run_batch(cell, number)}
        with checkpoint.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(entry) + "\n")
        print(f"{position + 1}/{len(plan)} {cell}", file=sys.stderr)


CODE = code_digest()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passes", type=int, default=8)
    parser.add_argument(
        "--first", type=int, default=0, help="number of the first pass: passes add up if no number is twice"
    )
    parser.add_argument("--minutes", type=float, default=np.inf)
    parser.add_argument("--checkpoint", type=Path, default=Path("validation.jsonl"))
    parser.add_argument("--typical", action="store_true", help="only the test against the typical curve")
    options = parser.parse_args()
    if options.typical:
        run_typical(options.passes, options.checkpoint)
        return
    run(range(options.first, options.first + options.passes), options.checkpoint, minutes=options.minutes)


if __name__ == "__main__":
    main()
