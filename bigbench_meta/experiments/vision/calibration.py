"""The toolkit's own calibration of the vision curves: the code that judges BIG-bench judges these, unchanged."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

from bigbench_meta.errors import AnalysisError
from bigbench_meta.experiments.vision.outcomes_table import registry_rows, threshold_table
from bigbench_meta.experiments.vision.statements import SMOOTH, hard_metric, of_family
from bigbench_meta.experiments.vision.training_plan import EXPERIMENTS

if TYPE_CHECKING:
    import pandas as pd

    from bigbench_meta.progress import Progress

# What is kept of the analysis, in this order; docs/curves.md defines each.
COLUMNS = (
    *("family", "metric", "n_items", "n_scales", "emergence_score", "width_decades", "width_low", "width_high"),
    *("implied_exponent", "exponent_low", "exponent_high", "p_trend", "p_sharp", "sharp_up_to_exponent"),
    *("surprise", "p_surprise", "verdict", "emergent", "verdict_reason"),
)
# Groups of alike images answer another question than the published figures, so they are not judged here.
_LEFT_OUT = ("_same_class", "_neighbours")
# Four sizes to see and at least one to foresee.
_FEWEST_SIZES = 5


def calibrate(
    frame: pd.DataFrame, *, rng: np.random.Generator, draws: int = 999, progress: Progress | None = None
) -> pd.DataFrame:
    """Judge every curve of the published figures with `bigbench_meta.analyze`.

    Parameters
    ----------
    frame : DataFrame
        Results of one image set.
    rng, draws, progress
        As `bigbench_meta.analyze` takes them.

    Returns
    -------
    DataFrame
        One row per (family, metric), columns `COLUMNS`. Verdicts of metrics that are not preferred rest on p-values
        that are not corrected for the number of curves.

    Notes
    -----
    The analysis knows one number of items per task, and metrics of groups have fewer than metrics of images: it is run
    once for each number. The unit of independence is the test image (or the disjoint group); trials are averaged, and
    their spread is not used: noise beyond the items is taken from what the analysis knows of BIG-bench tasks. Squared
    error and log-likelihood have no item noise, and one task does not tell their scatter: they stay undecided.
    """
    import pandas as pd

    from bigbench_meta.analysis import analyze
    from bigbench_meta.facts.metrics import metrics

    added = registry_rows(frame)
    packaged = metrics()
    registry = pd.concat([packaged, added], ignore_index=True).drop_duplicates(["metric", "task"], keep="last")
    plain = frame[~frame["metric"].astype(str).str.endswith(_LEFT_OUT)]
    if plain.empty:
        raise AnalysisError("there are no vision results to calibrate: the table is empty")
    tables = []
    for n_items, part in plain.groupby("n_items", sort=True):
        given = pd.DataFrame({"task": sorted(set(part["task"].astype(str))), "n_items": n_items})
        found = analyze(
            part.drop(columns="n_items"),
            rng=rng,
            draws=draws,
            items=given,
            registry=registry,
            every_metric=True,
            progress=progress,
        )
        tables.append(found.curves)
    words = ("family", "metric", "verdict", "verdict_reason")
    table: pd.DataFrame = pd.concat(tables, ignore_index=True)[list(COLUMNS)]
    return table.astype(dict.fromkeys(words, str)).sort_values(["family", "metric"], ignore_index=True)


def stopped_ladders(
    frame: pd.DataFrame, *, rng: np.random.Generator, draws: int = 199, progress: Progress | None = None
) -> pd.DataFrame:
    """Judge each ladder as a study would that stopped at one of its sizes.

    Parameters
    ----------
    frame : DataFrame
        Results of one image set.
    rng, draws, progress
        As `bigbench_meta.analyze` takes them; progress counts ladders.

    Returns
    -------
    DataFrame
        One row per (family, metric, largest size): ``stopped_at`` (its scale) and `COLUMNS`. Metrics: accuracy and the
        hard metric; for autoencoders the tightest, the headline and the loosest threshold.

    Notes
    -----
    A complete ladder ends on a plateau, which any law foresees. Studies of large models end where the largest model
    is, often in the middle of a rise. Every row is one such study: its p-values are not corrected for the others, and
    rows of one ladder share their models and images.
    """
    import pandas as pd

    wanted = {name: _stopped_metrics(frame, name) for name in EXPERIMENTS if len(of_family(frame, name))}
    todo = [
        (name, scale)
        for name in wanted
        for scale in np.unique(of_family(frame, name)["scale"].to_numpy(np.float64))[_FEWEST_SIZES - 1 :].tolist()
    ]
    tables = []
    for done, (name, scale) in enumerate(todo, 1):
        rows = of_family(frame, name)
        part = rows[rows["metric"].isin(wanted[name]) & (rows["scale"] <= scale)]
        table = calibrate(part, rng=rng, draws=draws)
        table.insert(2, "stopped_at", scale)
        tables.append(table)
        if progress is not None:
            progress(done, len(todo), "stopped ladders")
    return pd.concat(tables, ignore_index=True).sort_values(["family", "metric", "stopped_at"], ignore_index=True)


def _stopped_metrics(frame: pd.DataFrame, experiment: str) -> list[str]:
    rows = of_family(frame, experiment)
    if experiment == "autoencoder":
        thresholds = threshold_table(rows)
        ends = thresholds["metric"].iloc[[0, -1]].tolist()
        return [*ends, *thresholds.loc[thresholds["is_headline"], "metric"]]
    return [SMOOTH[experiment], hard_metric(frame, experiment)]


def shipped_stopped_ladders() -> pd.DataFrame:
    """Return the stopped ladders of the results that come with the package (199 draws, seed 20261122)."""
    return _read("stopped_ladders.csv")


def said_of_stopped_ladders(frame: pd.DataFrame, stopped: pd.DataFrame) -> tuple[str, ...]:
    """Return what stopped ladders say, in a sentence per experiment, and what their p-values are not."""
    text = []
    for experiment in EXPERIMENTS:
        rows = stopped[stopped["family"] == experiment]
        if rows.empty:
            continue
        parts = []
        for metric in _stopped_metrics(frame, experiment):
            mine = rows[rows["metric"] == metric]
            called = mine.loc[mine["emergent"].fillna(value=False).astype(bool), "stopped_at"]
            where = f" ({', '.join(f'{scale:.0f}' for scale in called)})" if len(called) else ""
            parts.append(f"{metric.replace('_', ' ')} at {len(called)} of {len(mine)}{where}")
        text.append(
            f"{experiment}: had the ladder stopped at one of its sizes, the largest ones would have been both sharp and "
            f"unforeseen, emergent that is, under {'; '.join(parts)}. Over the whole ladder none is."
            if not _emergent_at_the_end(rows)
            else f"{experiment}: emergent if stopped at a size, under {'; '.join(parts)}, the whole ladder included."
        )
    if text:
        text.append(
            f"These are {len(stopped)} cuts that overlap, with few draws each, and their p-values are not corrected for that "
            "number: a demonstration of what a study could have found, not a test of it."
        )
    return tuple(text)


def _emergent_at_the_end(rows: pd.DataFrame) -> bool:
    last = rows[rows["stopped_at"] == rows["stopped_at"].max()]
    return bool(last["emergent"].fillna(value=False).astype(bool).any())


def shipped_calibration() -> pd.DataFrame:
    """Return the calibration of the results that come with the package (999 draws, seed 20261122)."""
    return _read("calibration.csv")


def _read(name: str) -> pd.DataFrame:
    import pandas as pd

    with (files("bigbench_meta") / "data" / "vision" / name).open(encoding="utf-8") as stream:
        return pd.read_csv(stream, dtype={"emergent": "boolean"})


def said_of_calibration(frame: pd.DataFrame, calibration: pd.DataFrame) -> tuple[str, ...]:
    """Return what a calibration says, in sentences."""
    judged = calibration[calibration["p_sharp"].notna()]
    sharp, emergent = judged[judged["verdict"] == "sharp"], judged[judged["emergent"].fillna(value=False).astype(bool)]
    unknown = calibration[calibration["p_sharp"].isna()]
    foreseen = int((judged["p_surprise"] > 0.05).sum())
    first = (
        f"Calibrated as curves of BIG-bench are, {len(sharp)} of {len(judged)} curves that have a noise model are sharp, which "
        "means: steeper than the law of language models' loss allows at its published exponents, item noise included. "
        f"{len(emergent)} are emergent, which needs a surprise as well: the largest sizes were foreseen from the smaller ones in "
        f"{foreseen} of {len(judged)}."
    )
    text = [first]
    if len(unknown):
        names = ", ".join(sorted(set(unknown["metric"].astype(str).str.replace("_", " "))))
        text.append(f"Undecided, because one task does not tell their noise: {names}.")
    for experiment in EXPERIMENTS:
        rows = calibration[calibration["family"] == experiment]
        if experiment == "autoencoder" or rows.empty:
            continue
        smooth, hard = SMOOTH[experiment], hard_metric(of_family(frame, experiment), experiment)
        text.append(
            f"{experiment}: the exponent that the theory needs is {_exponent(rows, smooth)} under {smooth} and "
            f"{_exponent(rows, hard)} under {hard.replace('_', ' ')}; by the theory the two are equal, because the number of "
            f"images that must be right only shifts the curve, and the intervals {_overlap(rows, smooth, hard)}."
        )
    return tuple(text)


def _overlap(rows: pd.DataFrame, smooth: str, hard: str) -> str:
    ends = rows.set_index("metric").loc[[smooth, hard], ["exponent_low", "exponent_high"]]
    if ends.isna().any(axis=None):
        return "have no end to compare"
    return (
        "overlap" if ends["exponent_low"].max() <= ends["exponent_high"].min() else "do not overlap: they differ here"
    )


def _exponent(rows: pd.DataFrame, metric: str) -> str:
    row = rows[rows["metric"] == metric].iloc[0]
    return f"{row['implied_exponent']:.2g} (95% interval {row['exponent_low']:.2g} to {row['exponent_high']:.2g})"
