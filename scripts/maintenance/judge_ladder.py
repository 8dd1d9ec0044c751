"""Test the three predictions on the packaged ladder and write the tables that its section of the report shows.

    python scripts/maintenance/judge_ladder.py             # bigbench_meta/data/ladder/predictions, half a minute of one core
    python scripts/maintenance/judge_ladder.py --out DIR

Same settings as ``bigbench-meta predictions`` without sources: 999 draws, seed 0. A test makes the tables again and
compares them byte by byte.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from bigbench_meta.experiments.ladder.packaged import PACKAGED_TABLES, packaged_ladder
from bigbench_meta.experiments.predictions.together import judge_packaged

# Numbers are written to ten digits, so that another processor's last bits do not change the files.
_FORMAT = "%.10g"


# The mark keeps the usage lines as they stand.
@click.command(help=(__doc__ or "").replace("\n\n    ", "\n\n\b\n    "))
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=packaged_ladder() / "predictions")
def main(*, out: Path) -> None:
    """Judge the ladder and write one CSV file a table."""
    tables = judge_packaged(rng=np.random.default_rng(0), draws=999).tables
    out.mkdir(parents=True, exist_ok=True)
    for name in PACKAGED_TABLES:
        tables[name].to_csv(out / f"{name}.csv", index=False, float_format=_FORMAT, lineterminator="\n")
    click.echo(out)


if __name__ == "__main__":
    main()
