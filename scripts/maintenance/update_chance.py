"""Write bigbench_meta/data/chance.csv from a table of BIG-bench's tasks (columns task, subtask, chance, soft_targets)."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

TARGET = Path(__file__).resolve().parents[2] / "bigbench_meta" / "data" / "chance.csv"


def main(source: str) -> None:
    """Keep one row for each task or subtask whose examples have options, each right or wrong, to choose from."""
    with Path(source).open(encoding="utf-8", newline="") as stream:
        rows = [
            (row["task"], row["subtask"] or row["task"], float(row["chance"]))
            for row in csv.DictReader(stream)
            if row["chance"] and row["soft_targets"] != "1"
        ]
    with TARGET.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("task", "subtask", "level"))
        writer.writerows(sorted(rows))
    print(TARGET)


if __name__ == "__main__":
    main(sys.argv[1])
