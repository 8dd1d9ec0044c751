"""A meta-analysis, from a source to the tables and figures of a paper. Copy this file and change it.

    python scripts/meta_analysis.py [SOURCE] [--items ITEMS.csv] [--out DIR]

SOURCE is the word github, a git URL, a clone, bundle, folder or archive of BIG-bench, or a table of scores of your own (CSV
or Parquet with task, metric, family, model, scale, score). Without one, the packaged ladder of small models is analysed.
ITEMS.csv says how many items are behind each score (task, n_items), where the package does not know it.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

import bigbench_meta as bm


def main() -> None:
    """Load, test, write; every step is a function of the package that you can call in a notebook."""
    parser = argparse.ArgumentParser(description="A meta-analysis, from a source to the tables and figures of a paper.")
    parser.add_argument("source", nargs="?", help="default: the packaged ladder")
    parser.add_argument("--items", type=Path, help="CSV file task, n_items[, subtask, family]")
    parser.add_argument("--draws", type=int, default=999, help="draws of each null; fewer are faster and coarser")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same numbers")
    parser.add_argument("--out", type=Path, default=Path("meta-analysis"), help="folder for tables and figures")
    options = parser.parse_args()
    source = options.source or bm.packaged_ladder()
    items = options.items if options.source else source / "items.csv"

    results = bm.load_results(source)  # or only some: tasks=["navigate"], metrics=["exact_str_match"], shots=[0]
    print(f"{len(results.frame)} scores, {len(results.problems)} problems (problems.csv)")
    known = None if items is None else pd.read_csv(items)
    analysis = bm.analyze(results, rng=np.random.default_rng(options.seed), draws=options.draws, items=known)
    print(*bm.findings(analysis), sep="\n")

    options.out.mkdir(parents=True, exist_ok=True)
    tables = {"results": results.frame, "problems": results.problems, "curves": analysis.curves}
    tables |= {"concentration": analysis.concentration, "claims": analysis.claims}
    for name, table in tables.items():
        table.to_csv(options.out / f"{name}.csv", index=False)

    curves = analysis.curves.query("is_preferred and metric != 'normalized_aggregate_score'")
    with bm.figures.publication_style():
        figure = Figure(figsize=(6.3, 1.2 + 0.55 * curves["metric"].nunique()))
        bm.figures.emergence_by_metric(curves, figure.add_subplot())
        figure.savefig(options.out / "emergence_by_metric.pdf")

        figure = Figure(figsize=(6.3, 1.2 + 0.4 * curves["metric"].nunique()))  # any other, by seaborn
        ax, looks = figure.add_subplot(), {"multiple": "stack", "shrink": 0.7, "palette": "viridis", "alpha": 1}
        sns.histplot(curves.astype(str), y="metric", hue="verdict", ax=ax, **looks)
        sns.move_legend(ax, "upper left", bbox_to_anchor=(1, 1))
        ax.set(xlabel="curves", ylabel="", title="Verdicts by metric")
        figure.savefig(options.out / "verdicts_by_metric.pdf")


if __name__ == "__main__":
    main()
