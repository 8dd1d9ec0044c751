"""Write bigbench_meta/data/items.csv from a table of BIG-bench's tasks (columns name, task, subtask, n_distinct, soft_targets)."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

TARGET = Path(__file__).resolve().parents[2] / "bigbench_meta" / "data" / "items.csv"


def main(source: str) -> None:
    """Keep what the analysis needs: one row a JSON task without subtasks or a subtask, with its distinct examples."""
    with Path(source).open(encoding="utf-8", newline="") as stream:
        rows = [
            (row["task"], row["subtask"] or row["task"], int(float(row["n_distinct"])), int(row["soft_targets"] or 0))
            for row in csv.DictReader(stream)
            if row["n_distinct"] not in {"", "0"}
        ]
    with TARGET.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("task", "subtask", "n_distinct", "soft_targets"))
        writer.writerows(sorted(rows))
    print(TARGET)


if __name__ == "__main__":
    main(sys.argv[1])
