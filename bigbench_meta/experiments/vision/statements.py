"""What the results say, as tables and as sentences: pure functions of a results frame.

Vocabulary
----------
width
    Decades of scale between 10% and 90% of the observed rise, by straight lines in log scale between the sizes.
invisible size
    A size whose mean score is below 1/n: less than one item (or group) right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bigbench_meta.emergence import emergence_score, linearity, observed_width
from bigbench_meta.experiments.vision.image_metrics import closed_form
from bigbench_meta.experiments.vision.outcomes_table import mean_by_scale, threshold_table
from bigbench_meta.experiments.vision.sparse_sizes import said_of_sparse_sizes, sparse_sizes
from bigbench_meta.experiments.vision.training_plan import EXPERIMENTS, LONGEST, sizes_within_rise

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

# The smooth metric and the stem of the hard one, per experiment; see `hard_metric` for the first.
SMOOTH = {"autoencoder": "mean_squared_error", "lenet": "accuracy", "transformer": "accuracy"}
GROUP_STEM = {"lenet": "subset_accuracy_", "transformer": "sequence_accuracy_"}
GROUPING_SUFFIXES = {
    "lenet": {"random": "", "same class": "_same_class", "neighbours in the file": "_neighbours"},
    "transformer": {"random": "", "same class": "_same_class"},
}


class Findings(NamedTuple):
    """What a reader is told: sentences in order, and the tables behind them by name."""

    sentences: tuple[str, ...]
    tables: dict[str, pd.DataFrame]


def of_family(frame: pd.DataFrame, experiment: str) -> pd.DataFrame:
    """Return the rows of one experiment."""
    return frame.loc[frame["family"] == experiment]


def hard_metric(frame: pd.DataFrame, experiment: str) -> str:
    """Return the hard metric of an experiment's figure: the preferred one of its task."""
    rows = of_family(frame, experiment)
    return str(rows.loc[rows["is_preferred"], "metric"].iloc[0])


def shape_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the shape of every curve of the results.

    Returns
    -------
    DataFrame
        One row per (family, metric): ``task, family, metric, n_items, resolution`` (1/n), ``n_scales,
        sizes_within_rise`` (strictly between 10% and 90%), ``width_decades`` (see `bigbench_meta.emergence.observed_width`), ``invisible_sizes``
        (NaN for metrics that are not shares of items), ``largest_step_share`` (largest step between neighbouring sizes
        over the observed range), ``emergence_score, linearity`` (NaN where undefined; see `bigbench_meta.score_curves`).
        Trials are averaged first; ``width_least, width_most`` are the widths of single trials' curves instead.
    """
    import pandas as pd

    records = []
    for experiment in EXPERIMENTS:
        rows = of_family(frame, experiment)
        for metric in sorted(set(rows["metric"].astype(str))):
            points = mean_by_scale(rows, metric)
            score = points["score"].to_numpy(np.float64)
            first = rows.loc[rows["metric"] == metric].iloc[0]
            n = int(first["n_items"])
            is_share = metric not in ("mean_squared_error", "log_likelihood")
            spread = float(np.ptp(score))
            scale = points["scale"].to_numpy(np.float64)
            of_trials = trial_widths(rows, metric)
            records.append(
                {
                    "task": str(first["task"]),
                    "family": experiment,
                    "metric": metric,
                    "n_items": n,
                    "resolution": 1 / n if is_share else np.nan,
                    "n_scales": len(points),
                    "sizes_within_rise": sizes_within_rise(score),
                    "width_decades": observed_width(scale, score),
                    "width_least": float(of_trials.min()),
                    "width_most": float(of_trials.max()),
                    "invisible_sizes": float(np.count_nonzero(score < 1 / n)) if is_share else np.nan,
                    "largest_step_share": float(np.abs(np.diff(score)).max()) / spread if spread else np.nan,
                    "emergence_score": emergence_score(score),
                    "linearity": linearity(score),
                }
            )
    return pd.DataFrame.from_records(records)


def trial_widths(rows: pd.DataFrame, metric: str) -> NDArray[np.float64]:
    """Return the width of the curve of each trial: how much seeds alone move it. NaN where a trial has none."""
    trials = rows.loc[rows["metric"] == metric].sort_values("scale").groupby("trial", sort=True)
    return np.array(
        [observed_width(part["scale"].to_numpy(np.float64), part["score"].to_numpy(np.float64)) for _, part in trials]
    )


def metric_pairs(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """Return (hard, smooth) metrics of the same outputs, as `bigbench_meta.analysis.tasks.swaps.swap_pairs` takes them."""
    present = [name for name in EXPERIMENTS if len(of_family(frame, name))]
    return [(hard_metric(frame, name), SMOOTH[name]) for name in present]


def independence_table(frame: pd.DataFrame, experiment: str) -> pd.DataFrame:
    """Return measured group accuracy beside the closed form that independence gives.

    Parameters
    ----------
    frame : DataFrame
        Results.
    experiment : {"lenet", "transformer"}

    Returns
    -------
    DataFrame
        One row per (grouping, size, scale): ``family, grouping, size`` (K or L), ``scale, measured, expected, excess``
        and ``excess_low, excess_high``. Expected is accuracy ** size per trial; all are means over trials, the last
        two the smallest and the largest trial.
    """
    import pandas as pd

    rows = of_family(frame, experiment)
    key = ["scale", "trial"]
    by_metric = {str(name): part.set_index(key)["score"] for name, part in rows.groupby("metric", observed=True)}
    tables = []
    for grouping, suffix in GROUPING_SUFFIXES[experiment].items():
        # Sequences of one class are other sequences: their own per-image accuracy is the one to compare with.
        accuracy = by_metric.get(f"accuracy{suffix}", by_metric["accuracy"])
        for size in range(1, LONGEST + 1):
            measured = by_metric.get(f"{GROUP_STEM[experiment]}{size}{suffix}")
            if measured is None:
                continue
            trials = pd.DataFrame({"measured": measured})
            trials["expected"] = closed_form(accuracy.reindex(trials.index).to_numpy(np.float64), size)
            trials["excess"] = trials["measured"] - trials["expected"]
            grouped = trials.groupby("scale")
            table = grouped.mean()
            table["excess_low"], table["excess_high"] = grouped["excess"].min(), grouped["excess"].max()
            table = table.reset_index()
            table.insert(0, "size", size)
            table.insert(0, "grouping", grouping)
            table.insert(0, "family", experiment)
            tables.append(table)
    return pd.concat(tables, ignore_index=True)


def findings(frame: pd.DataFrame) -> Findings:
    """Return what the results say, in sentences that hold for whatever numbers they find.

    Parameters
    ----------
    frame : DataFrame
        Results of one image set; experiments that were not run are left out.

    Returns
    -------
    Findings
        Tables: ``vision_shapes`` (see `shape_table`), ``vision_independence`` (see `independence_table`) and, for the LeNets,
        ``vision_sparse_sizes`` (see `sparse_sizes`).
    """
    import pandas as pd

    shapes = shape_table(frame)
    present = [name for name in EXPERIMENTS if len(of_family(frame, name))]
    independence = [independence_table(frame, name) for name in present if name in GROUP_STEM]
    sentences = [_said(frame, shapes, name) for name in present]
    sentences += [_said_of_independence(table) for table in independence]
    sentences += [_said_of_score(frame, shapes, present)]
    tables = {"vision_shapes": shapes}
    if "lenet" in present:
        metrics = {"smooth": SMOOTH["lenet"], "hard": hard_metric(frame, "lenet")}
        # the subsets are part of the definition of the table, so their generator is fixed
        tables["vision_sparse_sizes"] = sparse_sizes(frame, "lenet", rng=np.random.default_rng(0), **metrics)
        sentences.append(said_of_sparse_sizes(tables["vision_sparse_sizes"], **metrics))
    if independence:
        tables["vision_independence"] = pd.concat(independence, ignore_index=True)
    return Findings(tuple(sentences), tables)


def _row(shapes: pd.DataFrame, experiment: str, metric: str) -> pd.Series:
    return shapes[(shapes["family"] == experiment) & (shapes["metric"] == metric)].iloc[0]


def _said(frame: pd.DataFrame, shapes: pd.DataFrame, experiment: str) -> str:
    """Compare the smooth and the hard metric of one experiment: width and what stays invisible."""
    rows = of_family(frame, experiment)
    smooth, hard = (
        _row(shapes, experiment, SMOOTH[experiment]),
        _row(shapes, experiment, hard_metric(frame, experiment)),
    )
    ends = [mean_by_scale(rows, str(row["metric"]))["score"].iloc[[0, -1]].tolist() for row in (smooth, hard)]
    narrower = hard["width_most"] < smooth["width_least"]
    wider = hard["width_least"] > smooth["width_most"]
    text = (
        f"{experiment}, {smooth['n_scales']} sizes: {_name(smooth['metric'])} goes from {ends[0][0]:.3g} to {ends[0][1]:.3g} "
        f"and takes {_width(smooth)} from 10% to 90% of its rise ({smooth['sizes_within_rise']} sizes inside); "
        f"{_name(hard['metric'])} goes from {ends[1][0]:.3g} to {ends[1][1]:.3g} "
        f"and takes {_width(hard)} ({hard['sizes_within_rise']} sizes inside), with "
        f"{int(hard['invisible_sizes'])} of the smallest sizes below its resolution of 1/{hard['n_items']}. "
    )
    if narrower:
        return text + "The hard metric makes the same models rise over fewer decades, whichever the seed."
    if wider:
        return text + "The hard metric starts later and rises over more decades, not fewer."
    return (
        text + "The widths of the two overlap over seeds: the hard metric starts later, but its rise is not narrower."
    )


def _said_of_independence(table: pd.DataFrame) -> str:
    longest = table[table["size"] == LONGEST]
    parts = []
    for grouping, rows in longest.groupby("grouping", sort=False):
        worst = rows.iloc[int(rows["excess"].abs().to_numpy().argmax())]
        parts.append(
            f"{worst['excess']:+.3f} for groups of {LONGEST} that are {grouping} (at scale {worst['scale']:.0f})"
        )
    return f"{table['family'].iloc[0]}: measured minus accuracy^{LONGEST}, where it is largest: {'; '.join(parts)}."


def _said_of_score(frame: pd.DataFrame, shapes: pd.DataFrame, present: list[str]) -> str:
    parts = []
    for experiment in present:
        smooth, hard = (_row(shapes, experiment, m) for m in (SMOOTH[experiment], hard_metric(frame, experiment)))
        parts.append(f"{experiment} {abs(smooth['emergence_score']):.1f} and {abs(hard['emergence_score']):.1f}")
    return (
        "Size of the emergence score under the smooth and under the hard metric: " + "; ".join(parts) + ". "
        "A straight line scores the number of sizes minus 1, and a plateau at either end makes the median step small, "
        "so the score alone does not tell which metric is the sharp one."
    )


def _width(row: pd.Series) -> str:
    return f"{row['width_decades']:.2f} decades ({row['width_least']:.2f} to {row['width_most']:.2f} over seeds)"


def _name(metric: object) -> str:
    return str(metric).replace("_", " ")


def headline_threshold(frame: pd.DataFrame) -> float:
    """Return the threshold c of the headline ``reconstruction`` metric."""
    table = threshold_table(frame)
    return float(table.loc[table["is_headline"], "c"].iloc[0])
