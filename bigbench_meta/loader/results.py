"""From a checkout to RESULTS, with every oddity as data in PROBLEMS and every number accounted for.

Vocabulary: a *number* is a value inside a ``score_dict`` of a score file, whatever its type; a number is *explained*
if it has no row of RESULTS and a row of PROBLEMS says why. On every load, counted over the files read,

    numbers on disk = rows of RESULTS + numbers explained in PROBLEMS + numbers not selected,

where the left side is counted from the marks of the files, not by the decoder that fills the table.
"""

from __future__ import annotations

import difflib
import logging
import os
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeGuard

from bigbench_meta.cards import Card, WithCard, counted
from bigbench_meta.errors import LoadError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from bigbench_meta.fetcher.checkout import Checkout, Entry
    from bigbench_meta.loader.columns import Loaded, Problem

log = logging.getLogger(__name__)

_SHOWN = 80  # characters of a name that a message quotes; a file may hold names of a megabyte
_SCALE = "$.model.flop_matched_non_embedding_params"
_NOTES = 3  # notes that a card shows
_EXPECTED_FILE = "a score file results/scores_*.json of a task"


class Counts(NamedTuple):
    """The balance of one load.

    Attributes
    ----------
    files
        Score files read.
    on_disk
        Numbers in those files, counted from their marks.
    rows
        Rows of RESULTS.
    explained
        Numbers without a row that PROBLEMS accounts for.
    not_selected
        Numbers left out because other families, shots or metrics were asked for.
    """

    files: int
    on_disk: int
    rows: int
    explained: int
    not_selected: int

    @property
    def balanced(self) -> bool:
        """Whether every number on disk is a row, explained, or not selected."""
        return self.on_disk == self.rows + self.explained + self.not_selected


@dataclass(frozen=True, repr=False)
class Results(WithCard):
    """What a source holds.

    Attributes
    ----------
    frame
        RESULTS, one row a number, sorted by its key.
    problems
        PROBLEMS, one row an oddity, by path and place in the file.
    explained
        For each row of ``problems``, how many numbers on disk it accounts for.
    counts
        The balance: on disk = rows + explained + not selected.
    source, commit
        Where the numbers come from.
    notes
        Sentences about the source as a whole, such as the defaults of columns that a table does not have.
    formats
        Files by what wrote them, such as ``{"lm-eval": 8}``; empty for BIG-bench's score files and tables.
    """

    frame: pd.DataFrame
    problems: pd.DataFrame
    explained: NDArray[np.int64]
    counts: Counts
    source: str
    commit: str | None
    notes: tuple[str, ...] = ()
    formats: Mapping[str, int] = field(default_factory=dict)

    def _card(self) -> Card:
        frame, counts = self.frame, self.counts
        models = len(frame[["family", "model"]].drop_duplicates())
        at = f" at commit {self.commit[:12]}" if self.commit else ""
        holds = ", ".join(
            counted(number, noun)
            for number, noun in (
                (frame["task"].nunique(), "task"),
                (models, "model"),
                (frame["family"].nunique(), "model family"),
                (frame["metric"].nunique(), "metric"),
            )
        )
        balance = (
            f"{counted(counts.on_disk, 'number')} on disk = {counted(counts.rows, 'row')} + {counts.explained:,} explained by "
            f"problems + {counts.not_selected:,} not selected"
        )
        facts = [
            ("Source", f"{self.source}{at}"),
            ("Holds", holds),
            ("Balance", balance),
            ("Problems", f"{len(self.problems):,}, in .problems" if len(self.problems) else "none"),
            *(("Note", note) for note in self.notes[:_NOTES]),
        ]
        if len(self.notes) > _NOTES:
            facts.append(("Notes", f"{len(self.notes) - _NOTES} more, in .notes"))
        return Card(
            "Results",
            f"{counted(len(frame), 'score')} of {counted(frame['task'].nunique(), 'task')} and {counted(models, 'model')}, "
            f"{counted(len(self.problems), 'problem')}",
            tuple(facts),
            (
                ("results.frame", "the table"),
                ("bm.score_curves(results)", "emergence scores"),
                ("bm.analyze(results, rng=0)", "tests and verdicts"),
            ),
        )


def load_results(
    source: Checkout | str | Path | pd.DataFrame,
    *,
    strict: bool = False,
    tasks: Sequence[str] | None = None,
    families: Sequence[str] | None = None,
    shots: Sequence[int] | None = None,
    metrics: Sequence[str] | None = None,
    models: str | Path | None = None,
    format: str | None = None,  # noqa: A002 - the word that users know for it
    path: str | None = None,
    cache_dir: str | Path | None = None,
    use_cache: bool = True,
) -> Results:
    """Load the scores of a source into one table, and everything odd about them into another.

    Parameters
    ----------
    source
        A checkout, anything :func:`bigbench_meta.fetch` takes, or a RESULTS-shaped table: a ``.csv``, ``.tsv``,
        ``.parquet`` or ``.jsonl`` file, gzipped or not, or a pandas, polars or Arrow frame (see
        :mod:`bigbench_meta.loader.user_table`). A source without BIG-bench's score files is read for the result files
        of evaluation harnesses, each recognised by what it holds (see docs/your-own-results.md).
    strict
        Raise at the first problem, first by path and place, instead of returning them all.
    tasks, families, shots, metrics
        What to load; None means everything. Tasks are selected by folder, so that only their files are read (a file
        that names another task than its folder goes with its folder, on record in PROBLEMS); families, shots and metrics stand inside the files, so that every file of the selected tasks is read.
        PROBLEMS always covers whole files. ``exact_string_match`` is taken for ``exact_str_match``, and logged.
    models
        CSV file of models that the packaged table does not know, or that should be called otherwise, as for
        :func:`bigbench_meta.models`. For harness results only.
    format
        Read only files of this format: ``lm-eval``, ``lm-eval-old``, ``helm``, ``inspect``, ``every-eval-ever``,
        ``lighteval``, ``opencompass`` or ``bigbench``. By default each file is read as what it is.
    path
        Pattern of the files of a source to read, as for :func:`bigbench_meta.fetch`.
    cache_dir
        Where sources and loaded tables are cached (default: the environment variable ``BIGBENCH_META_CACHE``, else
        the user's cache folder).
    use_cache
        Take the table from the cache if nothing it depends on has changed, and leave it there otherwise; see
        :mod:`bigbench_meta.loader.table_cache`.

    Returns
    -------
    Results
        The tables and the balance of numbers.

    Raises
    ------
    LoadError
        If the source has no score file, if something selected does not exist, in strict mode at the first problem,
        and if numbers on disk are not all accounted for.

    Examples
    --------
    >>> import bigbench_meta as bm
    >>> results = bm.load_results("my-clone-of-BIG-bench", tasks=["navigate"])  # doctest: +SKIP
    """
    wanted = {"tasks": tasks, "families": families, "shots": shots, "metrics": metrics}
    for option, values in wanted.items():
        if isinstance(values, str | int):
            raise LoadError(f"{option}={values!r} is a single value; expected a list, as in {option}=[{values!r}]")
    selection = {"task": tasks, "family": families, "shots": shots, "metric": metrics}
    from bigbench_meta.loader.harness.recognise import check_format

    check_format(format)
    if path is not None and (is_frame(source) or (isinstance(source, str | Path) and is_table(source))):
        raise LoadError(f"path={path!r} selects files of a source, and this one is a table; leave it out")
    if isinstance(source, str | Path) and is_table(source):
        from bigbench_meta.loader.user_table import read_table

        return _results(read_table(Path(source)), selection, strict=strict, source=str(source), commit=None)
    if is_frame(source):
        from bigbench_meta.loader.user_table import read_frame

        return _results(read_frame(source), selection, strict=strict, source="a frame", commit=None)
    from bigbench_meta.fetcher import Checkout, fetch
    from bigbench_meta.fetcher.cache import cache_folder
    from bigbench_meta.loader import table_cache
    from bigbench_meta.loader.bigbench.reading import no_collection

    checkout = fetch(source, cache_dir=cache_dir, path=path) if isinstance(source, str | Path) else source
    if not isinstance(checkout, Checkout):
        raise LoadError(
            f"a {type(source).__name__} is no source; expected a path or address, a Checkout, or a DataFrame with the columns "
            "task, metric, family, model, scale, score"
        )
    if not _is_bigbench(checkout, format):
        return _harness(checkout, selection, models=models, only=format, strict=strict)
    entries = _entries_of(checkout, tasks)
    place = table_cache.place_of(checkout, entries, cache=cache_folder(cache_dir)) if use_cache else None
    loaded = table_cache.read(place) if place is not None else None
    if loaded is None:
        with no_collection():
            loaded = _read(checkout, entries)
        if place is not None:
            table_cache.write(place, loaded)
    return _results(loaded, selection, strict=strict, source=checkout.source, commit=checkout.commit)


def is_frame(source: object) -> TypeGuard[pd.DataFrame]:
    """Say whether a source is a frame in memory (of pandas, polars or Arrow), without importing what nobody has."""
    return hasattr(source, "columns") and any(hasattr(source, name) for name in ("iloc", "to_arrow", "column_names"))


def _is_bigbench(checkout: Checkout, only: str | None) -> bool:
    """Say whether a checkout is read as BIG-bench's score files: by their layout, unless another format is asked for."""
    from bigbench_meta.fetcher.checkout import is_result_path

    if only is not None:
        return only == "bigbench"
    return any(is_result_path(entry.path) for entry in checkout.entries)


def _harness(
    checkout: Checkout,
    selection: dict[str, Sequence[str] | Sequence[int] | None],
    *,
    models: str | Path | None,
    only: str | None,
    strict: bool,
) -> Results:
    """Load the result files of evaluation harnesses."""
    from bigbench_meta.facts.models import models as model_table
    from bigbench_meta.loader.harness.many import read_source

    loaded = read_source(checkout, model_table(models), only=only)
    if loaded.frame.empty:
        problems = loaded.problems
        first = f"; first problem: {_one_line(problems[0], of=len(problems))}" if problems else ""
        raise LoadError(
            f"{checkout.source}: no score in {len(checkout.entries)} files; expected result files of an evaluation harness, "
            f"recognised by what they hold, or results/scores_*.json of BIG-bench{first}"
        )
    return _results(loaded, selection, strict=strict, source=checkout.source, commit=checkout.commit)


def is_table(source: str | Path) -> bool:
    """Say whether a source is a table of results of its own, not a repository, folder or file of another tool."""
    from bigbench_meta.loader.harness.opencompass import SUMMARY_START
    from bigbench_meta.loader.user_table import SUFFIXES

    path = Path(source)
    # Without an error where the path is too long or may not be looked at: `fetch` says so.
    if not (path.name.lower().endswith(SUFFIXES) and os.path.isfile(path)):  # noqa: PTH113
        return False
    try:
        with path.open("rb") as file:
            return not file.read(len(SUMMARY_START) + 3).removeprefix(b"\xef\xbb\xbf").startswith(SUMMARY_START)
    except OSError:
        return True  # reading says what is wrong


def _read(checkout: Checkout, entries: Sequence[Entry]) -> Loaded:
    from bigbench_meta.loader.assemble import assemble
    from bigbench_meta.loader.bigbench.reading import read_score_files
    from bigbench_meta.loader.columns import Loaded, Problem
    from bigbench_meta.loader.look_alikes import look_alikes
    from bigbench_meta.loader.scales import models_of_several_scales

    columns = read_score_files(checkout, entries)
    frame, repeats = assemble(columns)
    skipped = [Problem(path, "$", f"not read: {reason}", _EXPECTED_FILE, "no row") for path, reason in checkout.skipped]
    of_names = [*look_alikes(frame), *models_of_several_scales(frame, where=_SCALE)]
    problems = sorted([*skipped, *columns.problems, *repeats, *of_names], key=lambda problem: problem.file)
    return Loaded(frame, problems, len(entries), columns.on_disk)


def _results(
    loaded: Loaded,
    selection: dict[str, Sequence[str] | Sequence[int] | None],
    *,
    strict: bool,
    source: str,
    commit: str | None,
) -> Results:
    """Select, balance the numbers, and put problems into their table."""
    import numpy as np
    import pandas as pd

    from bigbench_meta.loader.scales import models_of_one_scale
    from bigbench_meta.schema import PROBLEMS

    problems = loaded.problems
    if strict and problems:
        raise LoadError(_one_line(problems[0], of=len(problems)))
    notes = (*loaded.notes, *models_of_one_scale(loaded.frame))
    for note in notes:
        log.info("%s", note)
    frame = _selected(loaded.frame, selection)
    explained = np.array([problem.numbers for problem in problems], dtype=np.int64)
    counts = Counts(
        files=loaded.files,
        on_disk=loaded.on_disk,
        rows=len(frame),
        explained=int(explained.sum()),
        not_selected=len(loaded.frame) - len(frame),
    )
    if not counts.balanced:
        raise LoadError(
            f"{source}: {counts.on_disk} numbers on disk, but {counts.rows} rows + {counts.explained} explained + "
            f"{counts.not_selected} not selected; this is a fault of this package, please report it with the files"
        )
    table = pd.DataFrame([problem[:-1] for problem in problems], columns=PROBLEMS.names, dtype="str")
    return Results(frame, table, explained, counts, source, commit, notes, dict(loaded.formats))


def _entries_of(checkout: Checkout, tasks: Sequence[str] | None) -> list[Entry]:
    """Return the score files to read, in the order of their paths."""
    from bigbench_meta.loader.bigbench.reading import task_of

    entries = sorted((entry for entry in checkout.entries if entry.is_result), key=attrgetter("path"))
    if not entries:
        raise LoadError(
            f"{checkout.source}: no score file; expected files named results/scores_*.json below a task's folder"
        )
    if tasks is None:
        return entries
    folders = {task_of(entry.path) for entry in entries}
    if None not in folders:
        _require("task", tasks, {name for name in folders if name is not None})
    return [entry for entry in entries if task_of(entry.path) in {*tasks, None}]


def _selected(frame: pd.DataFrame, wanted: dict[str, Sequence[str] | Sequence[int] | None]) -> pd.DataFrame:
    """Return the rows with the wanted values, their categories reduced to what is left."""
    import pandas as pd

    from bigbench_meta.facts.metrics import metric_key
    from bigbench_meta.loader.bigbench.reading import task_of

    keep = pd.Series(data=True, index=frame.index)
    for column, named in wanted.items():
        if named is None:
            continue
        known = set(frame[column].unique())
        values: Sequence[str] | Sequence[int] = named
        if column == "metric":
            values = [metric_key(str(name), known=known) for name in named]
        chosen = frame[column].isin(list(values))
        if column == "task":
            folder = frame["source_file"].map(task_of)
            known |= set(folder.dropna())
            chosen |= folder.isin(list(values))
        _require(column, values, known)
        keep &= chosen
    if bool(keep.all()):
        return frame
    kept = frame[keep].reset_index(drop=True)
    categories = kept.select_dtypes("category").columns
    return kept.assign(**{name: kept[name].cat.remove_unused_categories() for name in categories})


def _require(what: str, wanted: Iterable[str] | Iterable[int], known: set[str] | set[int]) -> None:
    """Raise if a wanted value is not there, naming those that look like it."""
    from bigbench_meta.loader.look_alikes import seen

    for value in wanted:
        if value not in known:
            names = sorted(str(name)[:_SHOWN] for name in known)
            folded = {name.casefold(): name for name in names}
            near = [folded[name] for name in difflib.get_close_matches(str(value).casefold(), folded, n=3)]
            alike = len({seen(name) for name in [str(value), *near]}) <= len(near)
            # Names that look the same are shown by the characters that they are written with.
            matches = ", ".join(map(ascii, near) if alike else near)
            hint = f"near matches: {matches}" if near else f"there are {', '.join(names[:10])}"
            more = "" if near or len(names) <= 10 else f" and {len(names) - 10} others"
            raise LoadError(f"no {what} {ascii(value) if alike else repr(value)} in what was read; {hint}{more}")


def _one_line(problem: Problem, *, of: int) -> str:
    more = f" ({of - 1} more; load without strict to see all)" if of > 1 else ""
    return f"{problem.file}: at {problem.where}: {problem.problem}; expected {problem.expected}{more}"
