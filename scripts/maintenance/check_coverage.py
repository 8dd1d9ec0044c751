"""Hold the branch coverage of the core against its minimum, module by module and part by part.

Usage: coverage json -o coverage.json && python scripts/maintenance/check_coverage.py coverage.json

Prints a table and ends with 1 if a part is below the minimum.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

# The parts whose numbers end up in papers, and what each is made of.
CORE = {
    "emergence": ("emergence/", "schema.py", "facts/metrics.py"),
    "analysis": ("analysis/",),
    "loader": ("loader/", "table_files.py", "values.py"),
    "fetcher": ("fetcher/",),
}
MINIMUM = 95.0  # per cent of branches, of each part


def share(covered: int, whole: int) -> float:
    """Return per cent; everything, where there is nothing to cover."""
    return 100 * covered / whole if whole else 100.0


def main(report: Path) -> int:
    """Print the table; return the exit status."""
    files = json.loads(report.read_text(encoding="utf-8"))["files"]
    low = []
    sys.stdout.write(f"{'module':<44}{'lines':>8}{'branches':>10}{'taken':>8}{'per cent':>10}\n")
    for part, prefixes in CORE.items():
        total = [0, 0]
        for name in sorted(files):
            inside = name.partition("bigbench_meta/")[2]
            if not inside.startswith(prefixes):
                continue
            found = files[name]["summary"]
            counts = found["covered_branches"], found["num_branches"]
            total = [total[0] + counts[0], total[1] + counts[1]]
            lines = share(found["covered_lines"], found["num_statements"])
            sys.stdout.write(f"{inside:<44}{lines:>7.1f}%{counts[1]:>10}{counts[0]:>8}{share(*counts):>9.1f}%\n")
        sys.stdout.write(f"{'-> ' + part:<52}{total[1]:>10}{total[0]:>8}{share(total[0], total[1]):>9.1f}%\n")
        if not total[1] or share(total[0], total[1]) < MINIMUM:
            low.append(part)
    if low:
        sys.stderr.write(f"below {MINIMUM:g}% of branches: {', '.join(low)}; add tests of what is not taken\n")
    return int(bool(low))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
