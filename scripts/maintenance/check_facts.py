"""Check every packaged fact against the source archive of ``bigbench`` 1.0.0, and print what differs.

    python scripts/maintenance/check_facts.py bigbench-1.0.0.tar.gz [--write] > docs/facts-check.md

``bigbench_package.py`` says where the archive comes from. With ``--write`` the tables that are counted from it
(`items.csv`, `chance.csv`, `preferred_metrics.csv`) are written first. The exit status is 1 where something differs that is not
explained.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import math
import re
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bigbench_package import (
    DERIVED,
    GRADE,
    SHA256,
    VERSION,
    Declared,
    Package,
    aggregate_metric,
    most_common,
    read_package,
    sha256_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

DATA = Path(__file__).resolve().parents[2] / "bigbench_meta" / "data"
_PAIR = {GRADE, "exact_str_match"}
_SHOWN = 10  # differences of one kind that are listed
# BIG-bench's low score where it is a calibration of the normalised score, not an end of the range on disk.
_NOT_ENDS = {
    ("bleurt", "low"): "-0.1 calibrates the normalised score; BLEURT itself has no ends",
    ("bleurt", "high"): "1.1 calibrates the normalised score; BLEURT itself has no ends",
    ("log_likelihood", "low"): "-10 calibrates the normalised score; a log-probability has no lower end",
    ("weighted_log_probabilities", "low"): "-10 calibrates the normalised score; a log-probability has no lower end",
}
Row = tuple[str | int | float, ...]


class Table(NamedTuple):
    """A packaged table as it follows from the archive: its columns, how many of them are its key, its rows."""

    name: str
    columns: tuple[str, ...]
    n_key: int
    rows: list[Row]


class Check(NamedTuple):
    """One line of the page: what was compared, with how many facts, what differs, and what differs for a stated reason."""

    what: str
    n: int
    differences: list[str]
    explained: tuple[str, ...] = ()


def counted_tables(package: Package) -> list[Table]:
    """Items, chance and preferred metrics, as they follow from the archive."""
    items: list[Row] = [(leaf.task, leaf.subtask, leaf.n_distinct, leaf.soft_targets) for leaf in package.leaves]
    chance: list[Row] = [(leaf.task, leaf.subtask, leaf.level) for leaf in package.leaves if GRADE in leaf.metrics]
    columns = ("task", "kind", "preferred_metric", "tied_with", "aggregate_metric", "is_template",
               "n_subtasks_preferring_it", "n_subtasks")  # fmt: skip
    return [
        Table("items.csv", ("task", "subtask", "n_distinct", "soft_targets"), 2, sorted(items)),
        Table("chance.csv", ("task", "subtask", "level"), 2, sorted(chance)),
        Table("preferred_metrics.csv", columns, 1, [_preferred(package, task) for task in package.tasks]),
    ]


def _preferred(package: Package, task: str) -> Row:
    """A task's row: JSON tasks by their leaves, programmatic ones by the metric that their source names first.

    A programmatic task's subtasks are those of BIG-bench's own list, which a dummy model made.
    """
    leaves = [leaf for leaf in package.leaves if leaf.task == task]
    template = int(task in package.templates)
    if leaves:
        metric, ties, n = most_common(leaves)
        whole_only = [leaf.subtask for leaf in leaves] == [task]
        whole = aggregate_metric({leaf.preferred for leaf in leaves}, metric, whole_only=whole_only)
        return task, "json", metric, " + ".join(ties), whole, template, n, len(leaves)
    declared = package.declared[task]
    metric = declared[0].metric
    names = [name for name in package.subtask_names[task] if name != task] or [task]
    whole = aggregate_metric({each.metric for each in declared}, metric, whole_only=names == [task])
    return task, "programmatic", metric, "", whole, template, _preferring(declared, names, metric), len(names)


def _preferring(declared: list[Declared], names: list[str], metric: str) -> int:
    """How many of a programmatic task's subtasks prefer a metric, by the names that its calls give; plain names go first."""
    if {each.metric for each in declared} == {metric}:
        return len(names)
    plain = {each.subtask: each.metric for each in declared}
    by_name = [
        {plain[re.escape(name)]}
        if re.escape(name) in plain
        else {each.metric for each in declared if re.fullmatch(each.subtask, name, re.DOTALL)}
        for name in names
    ]
    return by_name.count({metric})


def write(table: Table) -> None:
    """Write a packaged table."""
    with (DATA / table.name).open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(table.columns)
        writer.writerows(table.rows)


def compare(table: Table) -> Check:
    """Compare a packaged table with what follows from the archive, cell by cell; numbers to the last digit."""
    with (DATA / table.name).open(encoding="utf-8", newline="") as stream:
        packaged = list(csv.reader(stream))
    expected = [[str(cell) for cell in row] for row in table.rows]
    if tuple(packaged[0]) != table.columns:
        return Check(table.name, len(expected), [f"columns {', '.join(packaged[0])}"])
    ours = {tuple(row[: table.n_key]): row for row in packaged[1:]}
    theirs = {tuple(row[: table.n_key]): row for row in expected}
    differences = [f"{' '.join(key)}: only packaged" for key in sorted(ours.keys() - theirs.keys())]
    differences += [f"{' '.join(key)}: not packaged" for key in sorted(theirs.keys() - ours.keys())]
    for key in sorted(ours.keys() & theirs.keys()):
        for name, mine, other in zip(table.columns, ours[key], theirs[key], strict=True):
            if mine != other:
                differences.append(f"{' '.join(key)}: {name} {mine or 'empty'}, {other or 'empty'} in the archive")
    return Check(table.name, len(expected), differences)


def check_registry(package: Package) -> list[Check]:
    """Check directions and ranges of the metric registry against declared low and high scores."""
    with (DATA / "metrics.csv").open(encoding="utf-8", newline="") as stream:
        rows = {(row["metric"], row["task"]): row for row in csv.DictReader(stream)}
    declared = [(each, task) for task, calls in package.declared.items() for each in calls]
    pairs = sorted(
        {(each.metric, task) for each, task in declared} | {(leaf.preferred, leaf.task) for leaf in package.leaves}
    )
    directions = []
    for metric, task in pairs:
        row = rows.get((metric, task)) or rows.get((metric, ""))
        packaged = "no row" if row is None else row["direction"]
        if packaged != "higher":
            directions.append(f"{metric} of {task}: preferred, so higher is better; packaged {packaged}")
    low_above = [
        f"{each.metric} of {task}: low {each.low} is not below high {each.high}"
        for each, task in declared
        if each.low >= each.high
    ]
    ends: list[str] = []
    explained: list[str] = []
    for metric, declared_ends in sorted(package.ranges.items()):
        for name, end in zip(("low", "high"), declared_ends, strict=True):
            text = rows[metric, ""][name] if (metric, "") in rows else ""
            if text == "" or float(text) != end:
                said = f"{metric}: {name} {text or 'none'}, {end:g} in the archive"
                reason = _NOT_ENDS.get((metric, name))
                (explained if reason else ends).append(f"{said}: {reason}" if reason else said)
    return [
        Check("metrics.csv, direction of preferred metrics", len(pairs), directions + low_above),
        Check("metrics.csv, ranges of JSON metrics", 2 * len(package.ranges), ends, tuple(explained)),
    ]


def check_claims(package: Package) -> Check:
    """Check that every annotated task is a task directory."""
    claimed = _column("claims.csv", "task")
    unknown = sorted(set(claimed) - set(package.tasks))
    return Check("claims.csv, names of tasks", len(claimed), unknown)


def check_human(package: Package) -> Check:
    """Read the file of human scores with the package's own reader; check its tasks and that its units are as documented."""
    from bigbench_meta.facts.metrics import look_up, metrics
    from bigbench_meta.loader.human_raters import read_human_scores

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "task_human_eval.pkl"
        path.write_bytes(package.human)
        table = read_human_scores(path)
    known = look_up(table[["task", "metric"]], metrics())
    outside = (table["score"] < known["low"] - 1e-9) | (table["score"] > known["high"] + 1e-9)
    differences = [f"{row.task}: no task directory" for row in table.itertuples() if row.task not in set(package.tasks)]
    differences += [f"{row.metric} of {row.task}: {row.score} is out of range" for row in table[outside].itertuples()]
    return Check("task_human_eval.pkl, tasks and units", len(table), differences)


def check_rescoring(package: Package) -> Check:
    """Check the default output expression."""
    from bigbench_meta.experiments.rescoring.output_text import DEFAULT_REGEX

    differs = (
        [] if package.output_regex == DEFAULT_REGEX else [f"{DEFAULT_REGEX}, {package.output_regex} in the archive"]
    )
    return Check("default output expression", 1, differs)


def counting_rules(package: Package) -> list[str]:
    """Recount the claims on the two metrics under each rule, from the archive and `claims.csv` alone."""
    table = {str(row[0]): row for row in counted_tables(package)[2].rows}
    own = {task: str(row[2]) for task, row in table.items()}
    ties = {task: str(row[3]).split(" + ") for task, row in table.items() if row[3]}
    other = own | {task: next((m for m in tied if m in _PAIR), tied[0]) for task, tied in ties.items()}
    whole_json = own | {task: str(row[4]) for task, row in table.items() if row[1] == "json"}
    whole = {task: str(row[4]) for task, row in table.items()}
    annotated = set(_column("claims.csv", "task"))
    json_tasks = {task for task, row in table.items() if row[1] == "json"}
    no_templates = {task for task, row in table.items() if not row[5]}
    rules = [
        ("most common over subtasks", own, set(own)),
        ("annotated tasks only", own, annotated),
        ("ties the other way", other, set(own)),
        ("BIG-bench's aggregate rule for JSON tasks", whole_json, set(own)),
        ("BIG-bench's aggregate rule for all tasks", whole, set(own)),
        ("without the templates", own, no_templates),
        ("JSON tasks only", own, json_tasks),
    ]
    return [_counted(name, metric, tasks) for name, metric, tasks in rules]


def _counted(name: str, metric: dict[str, str], tasks: set[str]) -> str:
    with (DATA / "claims.csv").open(encoding="utf-8", newline="") as stream:
        claimed = {row["task"] for row in csv.DictReader(stream) if row["category"] == "emergent"} & tasks
    inside = {task for task in tasks if metric[task] in _PAIR}
    a, b = len(claimed & inside), len(claimed - inside)
    c, d = len(inside - claimed), len(tasks - inside - claimed)
    odds = a * d / (b * c) if b * c else math.nan
    return f"| {name} | {a} of {a + b} | {a + c} of {len(tasks)} | {odds:.2f} |"


def _column(name: str, column: str) -> list[str]:
    with (DATA / name).open(encoding="utf-8", newline="") as stream:
        return [row[column] for row in csv.DictReader(stream)]


def page(package: Package, checks: list[Check], *, checksum: str) -> Iterable[str]:
    """The page of the check, line by line."""
    preferred = {leaf.preferred for leaf in package.leaves} | {
        d.metric for rows in package.declared.values() for d in rows
    }
    yield "# Packaged facts against their source"
    yield ""
    yield f"Output of `scripts/maintenance/check_facts.py` on {dt.datetime.now(dt.UTC).date().isoformat()}."
    yield f"Source: the archive `bigbench-{VERSION}.tar.gz` of the Python Package Index (Apache-2.0), SHA-256"
    yield f"`{checksum}`" + (", the expected one." if checksum == SHA256 else f", **expected `{SHA256}`**.")
    yield ""
    yield "| fact | compared | differ | differ, explained |"
    yield "|---|---|---|---|"
    for check in checks:
        yield f"| {check.what} | {check.n} | {len(check.differences)} | {len(check.explained)} |"
    for check in checks:
        for title, lines in (("Differs", check.differences), ("Differs, explained", check.explained)):
            if lines:
                yield ""
                yield f"{title}, {check.what}:"
                yield ""
                yield from (f"- {line}" for line in lines[:_SHOWN])
                if len(lines) > _SHOWN:
                    yield f"- and {len(lines) - _SHOWN} more"
    yield ""
    yield "## Counts"
    yield ""
    kinds = Counter(
        "JSON" if any(leaf.task == task for leaf in package.leaves) else "programmatic" for task in package.tasks
    )
    same_name = sum(leaf.n_distinct < leaf.n_examples for leaf in package.leaves)
    yield f"- {len(package.tasks)} task directories: {kinds['JSON']} JSON, {kinds['programmatic']} programmatic; {len(package.templates)} of them"
    yield f"  templates ({', '.join(sorted(package.templates))})."
    yield f"- {package.n_definitions} files `task.json`, {package.definition_bytes / 1e9:.2f} GB; {len(package.leaves)} of them with examples, {same_name} with repeated ones."
    yield f"- {len(preferred)} preferred metrics over subtasks, {len(set(_column('preferred_metrics.csv', 'preferred_metric')))} over task directories by the most common rule."
    yield ""
    yield "## Claims on the two metrics, by counting rule"
    yield ""
    yield f"The two metrics are {' and '.join(sorted(_PAIR))}; `{DERIVED}` is neither. Sample odds ratio, claimed against all other tasks of the rule."
    yield ""
    yield "| rule | claimed on the two | all on the two | odds ratio |"
    yield "|---|---|---|---|"
    yield from counting_rules(package)


def main() -> int:
    """Print the page; 1 where something differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path, help="bigbench-1.0.0.tar.gz")
    parser.add_argument("--write", action="store_true", help="write the counted tables first")
    options = parser.parse_args()
    package = read_package(options.archive)
    tables = counted_tables(package)
    for table in tables if options.write else []:
        write(table)
    checks = [compare(table) for table in tables] + check_registry(package)
    checks += [check_claims(package), check_human(package), check_rescoring(package)]
    checksum = sha256_of(options.archive)
    for line in page(package, checks, checksum=checksum):
        print(line)
    return int(any(check.differences for check in checks) or checksum != SHA256)


if __name__ == "__main__":
    sys.exit(main())
