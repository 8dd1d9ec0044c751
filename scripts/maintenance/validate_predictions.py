"""Simulate how often the tests of the three predictions err, and write the committed table.

    python scripts/maintenance/validate_predictions.py                  # the cells that the table lacks; eight minutes of one core for all
    python scripts/maintenance/validate_predictions.py --limit 1        # one of them; the next call goes on
    python scripts/maintenance/validate_predictions.py --again          # all of them anew

The table is ``bigbench_meta/data/predictions_validation.csv``; docs/predictions.md says what it shows.
"""

from __future__ import annotations

from pathlib import Path

import click
import pandas as pd

from bigbench_meta.experiments.predictions.error_rates import CELLS, COLUMNS, Cell, exact_coverage, validate

TABLE = Path(__file__).resolve().parents[2] / "bigbench_meta" / "data" / "predictions_validation.csv"
SEED = 20261122
SIMULATIONS = {"1": 100, "2": 100, "3": 200, "3a": 100, "one function": 40}


def coverage_rows() -> pd.DataFrame:
    """Coverage of the exact binomial interval, which needs no simulation."""
    rows = [
        (
            "2",
            f"95% exact interval at success {success:g}",
            "",
            1,
            n,
            1,
            0.95,
            exact_coverage(items=n, success=success),
            0.0,
            0,
        )
        for n in (100, 1000, 20_000)
        for success in (0.0005, 0.01, 0.1, 0.5)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _has(table: pd.DataFrame, cell: Cell) -> bool:
    own = table[(table["prediction"] == cell.prediction) & (table["truth"] == cell.truth)]
    return bool(((own["points"] == cell.points) & (own["items"] == cell.items) & (own["length"] == cell.length)).any())


# The mark keeps the usage lines as they stand.
@click.command(help=(__doc__ or "").replace("\n\n    ", "\n\n\b\n    "))
@click.option("--limit", type=click.IntRange(min=1), default=len(CELLS), help="Stop after so many cells.")
@click.option("--again", is_flag=True, help="Forget the table that is there.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), default=TABLE, show_default="the committed table"
)
def main(*, limit: int, again: bool, out: Path) -> None:
    """Simulate the missing cells and write the table after each."""
    table = (
        coverage_rows()
        if again or not out.exists()
        else pd.read_csv(out, keep_default_na=False, na_values=[""], dtype={"prediction": str, "truth": str})
    )
    missing = [cell for cell in CELLS if not _has(table, cell)]
    for done, cell in enumerate(missing[:limit], start=1):
        new = validate(cell, seed=SEED, simulations=SIMULATIONS[cell.prediction])
        table = pd.concat([table, new], ignore_index=True)
        table = table.sort_values(COLUMNS[:1] + COLUMNS[2:6], kind="stable", ignore_index=True)
        table.to_csv(out, index=False, float_format="%.10g", lineterminator="\n")
        click.echo(f"{done} of {len(missing)}: {cell}", err=True)
    click.echo(out)


if __name__ == "__main__":
    main()
