"""Add up the batches of the validation: the committed table, and the page that says what holds and what does not.

python scripts/maintenance/validation_page.py validation*.jsonl            # from the checkpoints of both scripts
python scripts/maintenance/validation_page.py --add validation-new.jsonl   # to the committed table, whose other truths stay as they are
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats
from validate import BATCH, MIXED, ONE_ANSWER, OTHER_TRUTHS, TRUTHS, UNBOUNDED, Cell, cells

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "bigbench_meta" / "data" / "validation.csv"
PAGE = ROOT / "docs" / "validation.md"
# A cell is listed as not holding if so many hits have at most this probability under its level: of some 2,500 cells
# two or three are listed by chance.
_UNLIKELY = 0.001
_NUMBERS = ("n_scales", "n_items", "floor", "n_tasks", "level", "draws", "hits", "trials", "rate", "error")
_SMOOTH = [name for name, truth in (TRUTHS | OTHER_TRUTHS).items() if truth.smooth]


def table(checkpoints: Sequence[Path]) -> pd.DataFrame:
    """Add up the batches of every cell: hits, trials, rate and Monte Carlo error, simulations and draws."""
    parts = []
    for line in (line for path in checkpoints for line in path.read_text(encoding="utf-8").splitlines()):
        entry = json.loads(line)
        part = pd.DataFrame(entry["rows"])
        if "n_units" not in entry:
            # With 20 tasks the code refuses this test; earlier batches may hold it.
            part = part[part["quantity"] != "p_step_typical"]
        for name, value in zip(Cell._fields, entry["cell"], strict=True):
            part[name] = value
        parts.append(part.assign(n_tasks=entry.get("n_units", BATCH), draws=entry["draws"], code=entry.get("code", "")))
    by = [*Cell._fields, "n_tasks", "quantity", "level", "draws", "code"]
    numbers = dict.fromkeys(("n_scales", "n_items", "floor"), "float64")
    whole = (
        pd.concat(parts).astype(numbers).groupby(by, sort=True, dropna=False, as_index=False)[["hits", "trials"]].sum()
    )
    whole = whole[whole["trials"] > 0].reset_index(drop=True)
    whole["rate"], whole["error"] = (each.round(4) for each in _rate(whole))
    return whole.assign(date=dt.datetime.now(tz=dt.UTC).date().isoformat())


def _rate(counts: pd.DataFrame) -> tuple[pd.Series[float], pd.Series[float]]:
    rate = counts["hits"] / counts["trials"]
    return rate, np.sqrt(rate * (1 - rate) / counts["trials"])


def of_curves(whole: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that speak of tests of single curves."""
    return whole[whole["n_scales"].notna()]


def of_lengths(whole: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that speak of one task with target lengths."""
    return whole[whole["n_scales"].isna() & (whole["n_tasks"] == 1)]


def of_tasks(whole: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that speak of tests over tasks."""
    return whole[whole["n_scales"].isna() & (whole["n_tasks"] > 1)]


def null_rows(curves: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of tests of curves under their null: each test with the truths that belong to it."""
    plain = curves["truth"].str.removeprefix(UNBOUNDED)
    null = curves[plain.isin(TRUTHS) & curves["quantity"].str.startswith("p_")]
    null = null[(null["quantity"] != "p_trend") | null["truth"].str.endswith("flat")]
    # Overdispersed models are not monotone in size themselves, which is what the test says.
    null = null[(null["quantity"] != "p_nonmonotone") | (null["overdispersion"] == "none")]
    return null[(null["quantity"] != "p_step_line") | ~null["truth"].str.contains("theory")]


def promised_rows(curves: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of intervals with the truths they promise to cover: of forecasts, smooth ones, all laws together."""
    single = curves["quantity"].str.startswith("forecast") & ~curves["quantity"].str.contains("all_laws")
    whose = ~curves["quantity"].str.startswith("forecast") | curves["truth"].isin(_SMOOTH)
    named = curves["truth"] != ONE_ANSWER  # whose course is not that of a mean with noise
    return curves[(curves["level"] == 0.95) & whose & ~single & named]


def not_holding(whole: pd.DataFrame) -> pd.DataFrame:
    """Return the cells whose hits are too many for their level, or too few for their coverage, to be chance."""
    curves = of_curves(whole)
    tasks = whole[whole["n_scales"].isna()]  # and those with target lengths
    tests = pd.concat([null_rows(curves), tasks[tasks["quantity"].str.startswith("p: ")]])
    intervals = pd.concat([promised_rows(curves), tasks[tasks["quantity"].str.startswith("interval: ")]])
    above = stats.binom.sf(tests["hits"] - 1, tests["trials"], tests["level"])
    below = stats.binom.cdf(intervals["hits"], intervals["trials"], intervals["level"])
    return pd.concat([tests[above < _UNLIKELY], intervals[below < _UNLIKELY]])


def _markdown(rows: pd.DataFrame) -> list[str]:
    lines = ["| " + " | ".join(rows.columns) + " |", "|---" * len(rows.columns) + "|"]
    for row in rows.astype(object).itertuples(index=False):
        words = ["" if isinstance(value, float) and np.isnan(value) else str(value) for value in row]
        lines.append("| " + " | ".join(words) + " |")
    return [*lines, ""]


def _pooled(part: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Pool cells; one column a level where the level is not among ``by``, as ``rate (error)``."""
    pooled = part.groupby([*by, "level"], as_index=False, dropna=False)[["hits", "trials"]].sum()
    rate, error = _rate(pooled)
    pooled["cell"] = [f"{r:.3f} ({e:.3f})" for r, e in zip(rate, error, strict=True)]
    wide = pooled.pivot_table("cell", list(by), "level", aggfunc="first").rename(columns=lambda level: f"at {level:g}")
    trials = pooled.groupby(list(by))["trials"].max().rename("trials")
    return wide.join(trials).reset_index()


def _verdicts(part: pd.DataFrame) -> pd.DataFrame:
    """Shares of curves by test and verdict, one row per truth, scales and items."""
    names = {"p_trend": 0.05, "p_sharp": 0.05, "p_surprise": 0.05}
    words = [f"verdict {word}" for word in ("sharp", "smooth", "flat", "inverse", "nonmonotone", "undecided")]
    chosen = part[
        (part["quantity"].map(names) == part["level"])
        | part["quantity"].isin([*words, "emergent", "emergent, missing"])
    ]
    by = ["truth", "n_scales", "n_items"]
    pooled = chosen.groupby([*by, "quantity"], as_index=False)[["hits", "trials"]].sum()
    pooled["rate"] = (pooled["hits"] / pooled["trials"]).round(2)
    wide = pooled.pivot_table("rate", by, "quantity")[[*names, *words, "emergent", "emergent, missing"]]
    trials = pooled.groupby(by)["trials"].max().rename("trials")
    wide = wide.join(trials).reset_index()
    return wide.astype(dict.fromkeys(("n_scales", "n_items"), "int64"))


def _of_kinds(part: pd.DataFrame, kinds: Sequence[str]) -> list[str]:
    """One table for each kind of quantity, of refusals only those that happened."""
    lines = []
    for kind in kinds:
        rows = part[part["quantity"].str.startswith(kind) & ((kind != "refused: ") | (part["hits"] > 0))]
        lines += _markdown(_pooled(rows, ["quantity", "truth"])) if len(rows) else []
    return lines


def page(whole: pd.DataFrame) -> str:
    """Write the page: first what does not hold, then levels, coverage and power."""
    curves, tasks, lengths = of_curves(whole), of_tasks(whole), of_lengths(whole)
    date = whole["date"].max()
    n_cells = len(curves[list(Cell._fields)].drop_duplicates())
    sims = int(curves.groupby(list(Cell._fields))["trials"].max().sum())
    settings = tasks.groupby(["truth", "n_tasks"])["trials"].max()
    null, promised = null_rows(curves), promised_rows(curves)
    failing = not_holding(whole)
    columns = [
        "quantity",
        "truth",
        "n_scales",
        "n_items",
        "floor",
        "overdispersion",
        "n_tasks",
        "level",
        "rate",
        "error",
        "trials",
    ]
    lines = [
        "# Validation: level, coverage and power",
        "",
        f"Last run on {date} ({os.cpu_count()} cores, {platform.machine()}): curves in {n_cells} of {len(list(cells()))} cells,",
        f"{sims:,} simulated curves in batches of {BATCH} tasks, {int(curves['draws'].max())} draws a test",
        f"(`scripts/maintenance/validate.py`); tests over tasks in {len(settings)} settings, {int(settings.sum()):,} simulated tables, and",
        f"with target lengths in {lengths['truth'].nunique()} settings of up to {int(lengths['trials'].max()):,} simulated tasks",
        "(`scripts/maintenance/validate_tables.py`). Both go on from their checkpoints; `scripts/maintenance/validation_page.py` writes this page and",
        "`bigbench_meta/data/validation.csv`, which has every cell. Brackets hold the Monte Carlo error; batches share an",
        "estimate of noise, so the true error is somewhat larger.",
        "",
        f"Code of the analysis of curves: digest {', '.join(sorted(set(curves['code'])))} (`code_digest` in `scripts/maintenance/validate.py`;",
        (
            "a test compares it with the code as it is). Curves per cell: "
            f"{int(curves.groupby(list(Cell._fields))['trials'].max().median())} in the median, so that one cell alone says little: read the pooled rows."
        ),
        f"Cells of the design without a run: {len(list(cells())) - n_cells}. Rows over tasks and target lengths are of {', '.join(sorted(set(tasks['date'])))}.",
        "`p_step_typical` is in the table where `validate.py --typical` was run on this code.",
        "",
        "## What does not hold",
        "",
        f"Cells with more rejections than their level, or less coverage than 95%, by more than chance (P < {_UNLIKELY:g} each, of",
        f"{len(null) + len(promised)} cells of curves and {len(tasks) + len(lengths)} rows over tasks and target lengths). What the code does about them is said in `docs/curves.md` and",
        "`docs/concentration.md`, and in the docstring of each test.",
        "",
        *_markdown(failing[columns]),
        "## Tests of curves: Type I error",
        "",
        "`p_step_line` is a null only for flat and straight truths, `p_trend` for flat ones.",
        "",
        *_markdown(_pooled(null, ["quantity", "truth"])),
        *_markdown(_pooled(null, ["quantity", "n_scales"])),
        *_markdown(_pooled(null, ["quantity", "floor", "n_items", "overdispersion"])),
        "## Intervals of curves: coverage of a nominal 95%",
        "",
        "Forecasts: all laws together, smooth truths. An interval of one law covers where that law is true and nowhere else;",
        "the table has them too.",
        "",
        *_markdown(_pooled(promised, ["quantity", "truth"])),
        *_markdown(_pooled(promised, ["quantity", "floor", "n_items"])),
        "## Families of tests with planted steps",
        "",
        "Two in five curves are flat, one in five a straight line, one in five the paper's law, one in five a step of .4 at the",
        "last scale. Shares of false findings among the findings, and of planted steps that are found.",
        "",
        *_markdown(_pooled(curves[curves["truth"] == MIXED], ["quantity", "n_scales"]).drop(columns="trials")),
        "## Power and verdicts",
        "",
        "Shares of curves with p <= .05, and by verdict.",
        "",
        *_markdown(_verdicts(curves[curves["truth"].str.removeprefix(UNBOUNDED).isin([*TRUTHS, *OTHER_TRUTHS])])),
        "What the columns of power state for a jump of .4 (`_small`: .2), the mean over curves, at the worse of the last two steps:",
        "",
        *_markdown(
            _pooled(
                curves[curves["quantity"].str.startswith("stated") & (curves["truth"] == "flat")],
                ["quantity", "n_scales", "n_items", "overdispersion"],
            )
        ),
        "## Tests over tasks: Type I error",
        "",
        "*Skewed* differences break an assumption of the signed-rank test, that they are symmetric; they are here to show by how much.",
        "",
        *_markdown(_pooled(tasks[tasks["quantity"].str.startswith("p: ")], ["quantity", "truth", "n_tasks"])),
        "## Tests over tasks: coverage of a nominal 95%",
        "",
        *_markdown(_pooled(tasks[tasks["quantity"].str.startswith("interval: ")], ["quantity", "truth", "n_tasks"])),
        "## Tests over tasks: power, and tables on which a test refuses",
        "",
        *_markdown(_pooled(tasks[tasks["quantity"].str.startswith("power: ")], ["quantity", "truth", "n_tasks"])),
        *_markdown(
            _pooled(
                tasks[tasks["quantity"].str.startswith("refused: ") & (tasks["hits"] > 0)],
                ["quantity", "truth", "n_tasks"],
            )
        ),
        "## The law with its target length",
        "",
        "The unit is a point, one model at one length. Two scores of the same outputs, drawn token by token, give the effective",
        "length; *one fate* is the share of outputs whose tokens are all right or all wrong.",
        "",
        *_of_kinds(lengths, ("p: ", "interval: ", "power: ", "refused: ")),
    ]
    return "\n".join(lines)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("--add", action="store_true", help="keep the rows of the committed table about other truths")
    options = parser.parse_args()
    whole = table(options.checkpoints)
    if options.add:
        committed = pd.read_csv(TABLE, keep_default_na=False, na_values={name: [""] for name in _NUMBERS})
        whole = pd.concat([committed[~committed["truth"].isin(whole["truth"])], whole], ignore_index=True)
    whole.to_csv(TABLE, index=False, lineterminator="\n")
    PAGE.write_text(page(whole), encoding="utf-8")
    print(TABLE, PAGE, sep="\n")


if __name__ == "__main__":
    main()
