r"""Score fixed model outputs again under many metrics: files of outputs in, RESULTS and a table of items out.

Each file is scored on its own in bounded memory; what is kept of it are running totals, so files can be scored in any
order and by several processes and give the same bytes. Every per-item metric a log states is compared with the value
computed here, and so is every score of its head; what disagrees is a row of a table.

Example
-------
>>> import tempfile, pathlib
>>> folder = pathlib.Path(tempfile.mkdtemp())
>>> _ = (folder / "sums.jsonl").write_text('{"model": "a", "target": "12", "output": "13"}\n')
>>> found = rescore([folder / "sums.jsonl"], metrics=["exact_str_match", "character_edit_distance"])
>>> found.results[["task", "metric", "score"]].values.tolist()
[['sums', 'character_edit_distance', 1.0], ['sums', 'exact_str_match', 0.0]]
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeAlias

from bigbench_meta.errors import AnalysisError, LoadError, missing_extra
from bigbench_meta.experiments.rescoring.checks import (
    Agreement,
    BoundedRows,
    Comparison,
    Disagreement,
    Preference,
    RecordedScore,
)
from bigbench_meta.experiments.rescoring.item_metrics import HEAVY, REGISTERED, TokenUnit, split_tokens
from bigbench_meta.experiments.rescoring.output_text import compile_regex, first_match
from bigbench_meta.experiments.rescoring.readers import read_items
from bigbench_meta.experiments.rescoring.scored_items import LEFT_OUT, Group, Item, Size, as_name
from bigbench_meta.experiments.rescoring.totals import ItemScorer, Totals
from bigbench_meta.facts.metrics import metric_key
from bigbench_meta.loader.columns import Problem
from bigbench_meta.provenance import PROVENANCE, is_run_folder
from bigbench_meta.schema import PROBLEMS, RESULTS, validate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from bigbench_meta.progress import Progress

log = logging.getLogger(__name__)

# Rows of the table of items held before they are handed on.
BATCH_ROWS = 20_000
# Combinations of task, subtask, model and shots in one run, each of which takes about 24 kB until its scores are written.
MAX_GROUPS = 200_000


@dataclass(frozen=True)
class Settings:
    """What to compute: metrics of ``REGISTERED``, whether a token is a word or a character, and of which part of an output.

    ``output_regex``, where there is one, takes its first match of each output, but for those of full logs, whose outputs are
    matches already. It is an expression, or the word ``bigbench`` for BIG-bench's default one.
    """

    metrics: tuple[str, ...]
    unit: TokenUnit = "word"
    output_regex: str = ""


ItemRow = dict[str, object]
_Part: TypeAlias = Item | Problem | RecordedScore


@dataclass
class FileScores:
    """Everything kept of one file."""

    file: str
    totals: dict[Group, Totals] = field(default_factory=dict)
    sizes: dict[Group, Size] = field(default_factory=dict)
    preferred: dict[Group, Preference] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    disagreements: list[Disagreement] = field(default_factory=list)
    agreement: list[Agreement] = field(default_factory=list)
    read: int = 0
    scored: int = 0
    left_out: int = 0


@dataclass(frozen=True)
class Rescored:
    """Outputs scored again.

    Attributes
    ----------
    results
        RESULTS, with ``n_items`` behind each score as a further column. Scales a file does not state are NaN.
    agreement, disagreements
        Recorded values compared with these, counted by file and metric, and the values that differ.
    problems
        PROBLEMS: what could not be scored, and why.
    read, scored, left_out
        Items read, those of them with at least one value, and records that are no items: what is missing is
        explained in ``problems``.
    """

    results: pd.DataFrame
    agreement: pd.DataFrame
    disagreements: pd.DataFrame
    problems: pd.DataFrame
    read: int
    scored: int
    left_out: int


def chosen_metrics(metrics: Iterable[str] | None) -> tuple[str, ...]:
    """Check names of metrics, aliases too; None means all that the installed packages can compute.

    Raises
    ------
    AnalysisError
        For an unknown name, with the known ones.
    MissingExtraError
        If a metric was asked for by name whose package is not installed.
    """
    missing = {name for name in HEAVY if find_spec("sacrebleu" if name == "bleu" else "rouge_score") is None}
    if metrics is None:
        return tuple(name for name in REGISTERED if name not in missing)
    wanted = {metric_key(name, known=REGISTERED) for name in metrics}
    if unknown := sorted(wanted - set(REGISTERED)):
        raise AnalysisError(f"unknown metrics {', '.join(unknown)}; choose among {', '.join(REGISTERED)}")
    if absent := sorted(wanted & missing):
        raise missing_extra(f"{', '.join(absent)} need packages that are not installed", "rescore")
    return tuple(name for name in REGISTERED if name in wanted)


def rescore_file(
    path: Path, settings: Settings, *, on_items: Callable[[list[ItemRow]], None] | None = None
) -> FileScores:
    """Score one file.

    Parameters
    ----------
    on_items
        Given batches of rows of the table of items: file, query, index, the key columns, lengths and every metric.
    """
    scorer = ItemScorer(frozenset(settings.metrics), unit=settings.unit)
    found = FileScores(as_name(str(path)))
    problems = BoundedRows[Problem](found.problems, lambda problem: problem.problem)
    comparison = Comparison(as_name(str(path)))
    batch: list[ItemRow] = []
    matched = _matching(settings.output_regex)
    for part in map(matched, read_items(path)):
        if isinstance(part, Problem):
            found.left_out += part.action in LEFT_OUT
            problems.add(part)
        elif isinstance(part, RecordedScore):
            comparison.expect(part)
        else:
            values = _score(part, scorer, found, problems, settings)
            comparison.compare_item(part, values)
            if on_items:
                batch.append(_row(part, values, settings, file=as_name(str(path))))
                if len(batch) >= BATCH_ROWS:
                    on_items(batch)
                    batch = []
    if on_items and batch:
        on_items(batch)
    for problem, count in problems.unlisted():
        more = f"{count} more of: {problem}"
        found.problems.append(Problem(as_name(str(path)), "file", more, "see the rows above", "counted, not listed"))
    if not found.totals:
        found.problems.append(
            Problem(as_name(str(path)), "file", "nothing to score", "items with a model and a target", "none")
        )
    found.preferred = comparison.preferences(found.totals)
    comparison.compare_scores(found.totals)
    found.disagreements, found.agreement = comparison.disagreements, comparison.agreement()
    return found


def _matching(text: str) -> Callable[[_Part], _Part]:
    """A function that cuts the output of an item down to the first match of an expression, where there is one."""
    if not text:
        return lambda part: part
    pattern = compile_regex(text)

    def matched(part: _Part) -> _Part:
        if isinstance(part, Item) and part.as_said and part.output is not None:
            return replace(part, output=first_match(part.output, pattern))
        return part

    return matched


def _score(
    item: Item, scorer: ItemScorer, found: FileScores, problems: BoundedRows[Problem], settings: Settings
) -> dict[str, float]:
    """Values of one item, added to its group; whatever is undefined about it becomes a problem."""
    if item.group not in found.totals:
        _check_groups(found.file, len(found.totals) + 1)
        found.totals[item.group], found.sizes[item.group] = Totals(), item.size
    elif _differ(item.size, found.sizes[item.group]):
        problems.add(_two_sizes(found.file, item.group))
    values = scorer.score(item, found.totals[item.group])
    found.read += 1
    found.scored += bool(values)
    where = f"query {item.query}, sample {item.index}"
    for metric, has, what in (
        ("multiple_choice_grade", item.option_scores, "option scores or values are not finite"),
        ("log_likelihood", item.target_scores, "a log-probability is not finite"),
    ):
        if has and metric in settings.metrics and metric not in values:
            problems.add(Problem(found.file, where, what, "finite numbers", f"{metric} leaves this item out"))
    return values


def rescore(
    paths: Sequence[Path],
    *,
    metrics: Iterable[str] | None = None,
    unit: TokenUnit = "word",
    output_regex: str = "",
    progress: Progress | None = None,
) -> Rescored:
    """Score files of model outputs again, in this process.

    Parameters
    ----------
    paths
        Full logs, JSON Lines, CSV or Parquet files; see ``read_items``.
    metrics
        Names of ``REGISTERED``; all by default.
    unit
        ``word`` (split at white space) or ``character``: what the token metrics count. Character distances are given
        in either case.
    output_regex
        Score the first match of this expression in each output that is not of a full log; ``bigbench`` for BIG-bench's default
        one, the text up to the first ``. ? ! ;`` or line break. By default outputs are scored as they are.
    progress
        Told after each file.

    Raises
    ------
    LoadError
        If there is no file, or nothing in any of them can be scored.
    """
    settings = Settings(chosen_metrics(metrics), unit, output_regex)
    parts = []
    for number, path in enumerate(unique_files(paths), 1):
        parts.append(rescore_file(path, settings))
        if progress:
            progress(number, len(paths), "files")
    return combine(parts)


def unique_files(paths: Sequence[Path]) -> list[Path]:
    """Files in the order of their names, each once: folders are searched for files of model outputs.

    What this package wrote below such a folder (an earlier ``--out`` inside the source) is no model output, and hidden
    files are none: they are left out, the former with a warning.

    Raises
    ------
    LoadError
        If there is none.
    """
    files: dict[Path, Path] = {}
    for path in paths:
        candidates = [path]
        if path.is_dir():
            candidates = [found for found in _below(path) if found.is_file() and _looks_like_outputs(found)]
        for candidate in candidates:
            files.setdefault(candidate.resolve(), candidate)
    if not files:
        shown = ", ".join(map(str, paths))
        raise LoadError(f"no file of model outputs in {shown}; expected full logs, JSON Lines, CSV or Parquet")
    return sorted(files.values())


def _below(folder: Path) -> list[Path]:
    """Everything below a folder that is neither hidden nor in an output folder of this package, by name."""
    ours = [
        each.parent for each in sorted(folder.rglob(PROVENANCE)) if each.parent != folder and is_run_folder(each.parent)
    ]
    for each in ours:
        log.warning("%s: is an output of this package, so its files are not read as model outputs", each)
    return [
        found
        for found in sorted(folder.rglob("*"))
        if not any(part.startswith(".") for part in found.relative_to(folder).parts)
        and not any(found.is_relative_to(each) for each in ours)
    ]


def combine(parts: Sequence[FileScores]) -> Rescored:
    """Add up the files of one run.

    Raises
    ------
    LoadError
        If none of them had anything to score.
    """
    import pandas as pd

    totals: dict[Group, Totals] = {}
    sizes: dict[Group, Size] = {}
    preferred: dict[Group, Preference] = {}
    sources: dict[Group, list[str]] = {}
    problems = [problem for part in parts for problem in part.problems]
    for part in parts:
        _check_groups(part.file, len(totals.keys() | part.totals.keys()))
        for group, own in part.totals.items():
            totals.setdefault(group, Totals()).merge(own)
            sources.setdefault(group, []).append(part.file)
            if _differ(sizes.setdefault(group, part.sizes[group]), part.sizes[group]):
                problems.append(_two_sizes(part.file, group))
            if group in part.preferred:
                preferred.setdefault(group, part.preferred[group])
    for group, files in sources.items():
        if len(files) > 1:
            what = f"{_named(group)}: also in {', '.join(files[1:4])}"
            problems.append(Problem(files[0], "file", what, "each item once", "items of all these files pooled"))
    if not totals:
        first = problems[0] if problems else None
        detail = f": {first.file}, {first.where}: {first.problem}; expected {first.expected}" if first else ""
        raise LoadError(f"no item could be scored{detail}")
    return Rescored(
        results=_results(totals, sizes, preferred, sources),
        agreement=pd.DataFrame([row for part in parts for row in part.agreement], columns=list(Agreement._fields)),
        disagreements=pd.DataFrame(
            [row for part in parts for row in part.disagreements], columns=list(Disagreement._fields)
        ),
        problems=pd.DataFrame(problems, columns=list(Problem._fields))[list(PROBLEMS.names)].astype(object),
        read=sum(part.read for part in parts),
        scored=sum(part.scored for part in parts),
        left_out=sum(part.left_out for part in parts),
    )


def _results(
    totals: Mapping[Group, Totals],
    sizes: Mapping[Group, Size],
    preferred: Mapping[Group, Preference],
    sources: Mapping[Group, Sequence[str]],
) -> pd.DataFrame:
    import pandas as pd

    rows = []
    for group, own in totals.items():
        scores = own.scores()
        preference, low, high = preferred.get(group) or _default_preference(own, scores)
        for metric, (score, count) in scores.items():
            is_preferred = metric == preference
            normalized = (score - low) / (high - low) if is_preferred and high > low else math.nan
            rows.append(
                group._asdict()
                | sizes[group]._asdict()
                | {"is_aggregate": False, "trial": 0, "metric": metric, "score": score, "is_preferred": is_preferred}
                | {"low_score": low, "high_score": high, "score_normalized": normalized}
                | {"source_file": sources[group][0], "n_items": count}
            )
    frame = pd.DataFrame(rows)[[*RESULTS.names, "n_items"]]
    kinds = {"category": "category", "float": "float64", "int": "int64", "bool": "bool"}
    frame = frame.sort_values(list(RESULTS.key), kind="stable", ignore_index=True)
    return validate(frame.astype({name: kinds[word] for name, word in RESULTS.columns.items()}), RESULTS)


def _default_preference(own: Totals, scores: Mapping[str, tuple[float, int]]) -> Preference:
    """What BIG-bench would prefer of outputs that state no preference: exact match of texts, else the grade."""
    if "exact_str_match" in scores:
        return Preference("exact_str_match", 0.0, 1.0)
    if "multiple_choice_grade" in scores:
        # BIG-bench's low score of a grade is the mean value of a random choice
        return Preference("multiple_choice_grade", own.chance.value / scores["multiple_choice_grade"][1], 1.0)
    return Preference("", math.nan, math.nan)


def _check_groups(file: str, groups: int) -> None:
    if groups > MAX_GROUPS:
        raise LoadError(
            f"{file}: with it there are more than {MAX_GROUPS} combinations of task, subtask, model and shots; expected "
            "fewer in one run: score the files of some tasks, then those of others"
        )


def _differ(a: Size, b: Size) -> bool:
    return any(x != y and not (math.isnan(x) and math.isnan(y)) for x, y in zip(a, b, strict=True))


def _named(group: Group) -> str:
    return f"{group.task}, {group.subtask}, {group.family} {group.model}, {group.shots} shots"


def _two_sizes(file: str, group: Group) -> Problem:
    what = f"{_named(group)} has two different sizes"
    return Problem(file, "file", what, "one scale for a model", "the first is kept")


def _row(item: Item, values: Mapping[str, float], settings: Settings, *, file: str) -> ItemRow:
    """One row of the table of items; texts stay in the file, which ``file``, ``query`` and ``index`` point into."""
    row: ItemRow = {"file": file, "query": item.query, "index": item.index}
    row |= item.group._asdict() | item.size._asdict()
    row["target_tokens"] = len(split_tokens(item.targets[0], settings.unit)) if item.targets else None
    row["output_tokens"] = len(split_tokens(item.output, settings.unit)) if item.output is not None else None
    row["targets"], row["options"] = len(item.targets), len(item.options)
    return row | {metric: values.get(metric, math.nan) for metric in settings.metrics}


def _looks_like_outputs(path: Path) -> bool:
    """Whether a file found in a folder is taken: full logs by BIG-bench's name, tables and lines by their ending."""
    name = path.name.lower().removesuffix(".gz").removesuffix(".xz")
    return name.endswith((".jsonl", ".csv", ".parquet")) or (name.startswith("full-log") and name.endswith(".json"))
