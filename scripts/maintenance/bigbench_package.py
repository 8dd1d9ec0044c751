"""What the source archive of ``bigbench`` 1.0.0 says of tasks: definitions, preferred metrics, ranges; nothing in it is run.

The archive is read once, from front to back: 1.7 GB of task definitions, about a minute and a half. Get it with

    pip download --no-deps --no-binary :all: bigbench==1.0.0

(pip builds its metadata, which needs setuptools and wheel; the package itself need not be installable) and check it against
`SHA256`.

Vocabulary
----------
leaf
    A JSON task without subtasks, or one subtask of a JSON task: what has examples.
declared
    What a programmatic task writes into a call of ``ScoreData``, read from its syntax tree.
"""

from __future__ import annotations

import ast
import hashlib
import json
import math
import re
import tarfile
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

VERSION = "1.0.0"
SHA256 = "1bb398a5512c6d798cdebe0dfa0ac03f67f6033fa6b39c6ef71df978c7cbc5c2"
_TASKS = f"bigbench-{VERSION}/bigbench/benchmark_tasks/"
_JSON_TASK = f"bigbench-{VERSION}/bigbench/api/json_task.py"
GRADE = "multiple_choice_grade"
DERIVED = "normalized_aggregate_score"


class Leaf(NamedTuple):
    """One definition with examples. ``level`` is the mean over distinct examples of the mean target score of the options."""

    task: str
    subtask: str
    n_examples: int
    n_distinct: int
    soft_targets: int
    level: float
    metrics: tuple[str, ...]
    preferred: str


class Declared(NamedTuple):
    """A preferred metric of a programmatic task, its low and high score where they are plain numbers, and the subtask's name."""

    metric: str
    low: float
    high: float
    subtask: str  # a regular expression: what is filled in when the task runs is open


@dataclass
class Package:
    """What the archive holds."""

    leaves: list[Leaf] = field(default_factory=list)
    declared: dict[str, list[Declared]] = field(default_factory=dict)
    subtask_names: dict[str, list[str]] = field(default_factory=dict)
    templates: set[str] = field(default_factory=set)
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    output_regex: str = ""
    human: bytes = b""
    n_definitions: int = 0
    definition_bytes: int = 0

    @property
    def tasks(self) -> list[str]:
        """The task directories, sorted."""
        return sorted({leaf.task for leaf in self.leaves} | set(self.declared))


def sha256_of(path: Path) -> str:
    """Checksum of the archive."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_package(path: Path) -> Package:
    """Read the archive."""
    package = Package()
    names: dict[str, str] = {}  # folder of a definition -> its ASCII name
    found: list[tuple[str, dict[str, Any]]] = []
    for name, content in _members(path):
        if name == _JSON_TASK:
            package.ranges, package.output_regex = _constants(content)
        elif name == _TASKS + "task_human_eval.pkl":
            package.human = content
        elif name == _TASKS + "task_metadata.json":
            for task, about in json.loads(content).items():
                if isinstance(about, dict) and ":" not in task:
                    package.subtask_names[task] = about["subtask_names"]
                    package.templates |= {task} if "example task" in about["keywords"] else set()
        elif name.endswith("/task.json"):
            folder = name.removeprefix(_TASKS).removesuffix("/task.json")
            definition = json.loads(content)
            names[folder] = definition["name"].encode("ascii", "replace").decode()
            package.n_definitions += 1
            package.definition_bytes += len(content)
            if "examples" in definition:
                found.append((folder, _reduced(definition)))
        elif name.endswith(".py"):
            folder = name.removeprefix(_TASKS)
            if folder.count("/") == 1 and not folder.rpartition("/")[2].startswith("test"):
                package.declared.setdefault(folder.partition("/")[0], []).extend(_declared(content))
    for folder, reduced in sorted(found):
        task = folder.partition("/")[0]
        subtask = names[task] if task == folder else f"{names[task]}:{names[folder]}"
        package.leaves.append(Leaf(task, subtask, **reduced))
    with_definition = {leaf.task for leaf in package.leaves}
    package.declared = {task: rows for task, rows in sorted(package.declared.items()) if task not in with_definition}
    return package


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    wanted = re.compile(
        rf"{re.escape(_TASKS)}[^/]+/(?:[^/]+/)*(?:task\.json|[^/]+\.py)|{re.escape(_TASKS)}task_[a-z_]+\.(?:json|pkl)"
    )
    with tarfile.open(path, "r|gz") as archive:
        for member in archive:
            if member.isfile() and (member.name == _JSON_TASK or wanted.fullmatch(member.name)):
                file = archive.extractfile(member)
                if file is not None:
                    yield member.name, file.read()


def _reduced(definition: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a definition. Examples are the same if they are written with the same keys in the same order."""
    examples = definition["examples"]
    distinct = list({json.dumps(example): example for example in examples}.values())
    targets = [example["target_scores"] for example in distinct if "target_scores" in example]
    level = math.nan
    if len(targets) == len(distinct):
        level = math.fsum(math.fsum(scores.values()) / len(scores) for scores in targets) / len(targets)
    return {
        "n_examples": len(examples),
        "n_distinct": len(distinct),
        "soft_targets": int(any(score not in (0, 1) for scores in targets for score in scores.values())),
        "level": level,
        "metrics": tuple(definition["metrics"]),
        "preferred": definition["preferred_score"],
    }


def _constants(content: bytes) -> tuple[dict[str, tuple[float, float]], str]:
    values: dict[str, Any] = {}
    for node in ast.parse(content).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        if (
            isinstance(node, ast.Assign)
            and isinstance(target, ast.Name)
            and target.id in {"SCORE_RANGES", "_DEFAULT_REGEX"}
        ):
            values[target.id] = ast.literal_eval(node.value)
    ranges = {metric: (float(low), float(high)) for metric, (low, high) in values["SCORE_RANGES"].items()}
    return ranges, values["_DEFAULT_REGEX"]


def _declared(content: bytes) -> Iterator[Declared]:
    for node in sorted(ast.walk(ast.parse(content)), key=lambda node: getattr(node, "lineno", 0)):
        if isinstance(node, ast.Call) and "ScoreData" in {getattr(node.func, "attr", ""), getattr(node.func, "id", "")}:
            given = {keyword.arg: keyword.value for keyword in node.keywords}
            metric = given.get("preferred_score")
            if isinstance(metric, ast.Constant):
                low, high = (_number(given.get(name)) for name in ("low_score", "high_score"))
                yield Declared(str(metric.value), low, high, _pattern(given.get("subtask_description")))
        elif (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Constant)
            and any(isinstance(target, ast.Attribute) and target.attr == "preferred_score" for target in node.targets)
        ):
            yield Declared(str(node.value.value), math.nan, math.nan, ".*")


def _number(node: ast.expr | None) -> float:
    try:
        return float(ast.literal_eval(node)) if node is not None else math.nan
    except (ValueError, TypeError):
        return math.nan  # worked out when the task runs


def _pattern(node: ast.expr | None) -> str:
    if isinstance(node, ast.Constant):
        return re.escape(str(node.value))
    if isinstance(node, ast.JoinedStr):
        return "".join(_pattern(part) for part in node.values)
    return ".*"


def most_common(leaves: Iterable[Leaf]) -> tuple[str, list[str], int]:
    """Preferred metric of a JSON task by the most common rule, the others of a tie, and how many leaves prefer it.

    Of a tie the one is taken that the leaf with the first folder name prefers: the order in which BIG-bench reads them.
    """
    counts = Counter(leaf.preferred for leaf in leaves)
    (first, n), *others = counts.most_common()
    return first, sorted(metric for metric, count in others if count == n), n


def aggregate_metric(preferred: set[str], own: str, *, whole_only: bool) -> str:
    """Preferred metric of a whole task by BIG-bench's own rule for aggregates.

    A task without subtasks keeps its own, one whose subtasks all prefer the grade has the grade, and any other has
    `DERIVED`.
    """
    if whole_only:
        return own
    return GRADE if preferred == {GRADE} else DERIVED
