"""From the rows of all files to RESULTS: who was scored, items that were not stored, versions, reruns, the preferred metric.

Rules
-----
items
    Of a share p with standard error s, where a tool stores none: p(1 - p)/s^2 + 1, if that is a whole number.
versions
    Tasks of one name whose versions or tools differ are different tasks; their names then say which.
reruns
    Runs of one task and model are trials, in order of their dates. A file that repeats the numbers of another, and a run
    on a part of the items beside one on more of them, give no rows.
preferred
    The first of `PREFERRED` that a task has, in that order; of several filters the first in the file; else its first metric.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bigbench_meta.loader.assemble import normalized
from bigbench_meta.loader.columns import Problem
from bigbench_meta.loader.harness.identity import Identity, Said, identify, notes_on, scales
from bigbench_meta.schema import RESULTS, validate

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from bigbench_meta.facts.models import ModelTable
    from bigbench_meta.loader.harness.rows import Row

# Accuracies as they are before normalised ones, whose normalisation differs between tools; then graded scores; then losses.
PREFERRED = (
    "acc", "accuracy", "exact_match", "quasi_exact_match", "em", "multiple_choice_grade", "exact_str_match", "pass@1",
    "prompt_level_strict_acc", "acc_norm", "f1", "f1_score", "classification_macro_f1", "mc2", "mc1", "mcc", "bleu", "rougeL", "rouge_l", "chrf", "mean",
    "score", "pct_stereotype", "bits_per_byte", "byte_perplexity", "word_perplexity", "perplexity", "ppl",
)  # fmt: skip
# Shares of successes whose error lm-evaluation-harness computes as that of a mean of zeros and ones.
_SHARES = frozenset(
    {
        "acc",
        "acc_norm",
        "exact_match",
        "em",
        "multiple_choice_grade",
        "exact_str_match",
        "mc1",
        "pct_stereotype",
        "qem",
        "pqem",
    }
)
_WITHOUT_ITEMS = ("lm-eval-old", "lighteval")
_WHOLE = 1e-6  # relative distance of a number of items from a whole one
_KEY = ["task", "subtask", "family", "model", "step", "shots", "metric"]
_TEXTS = ("filter", "task_version", "task_hash", "direction", "model", "revision", "family", "date")
_NUMBERS = (
    "stderr",
    "n_items",
    "seed",
    "params",
    "non_embedding",
    "own_scale",
    "low",
    "high",
    "step",
    "tokens",
    "compute",
)
_NAMED = 3


class Tabled(NamedTuple):
    """RESULTS, the problems that became rows apart, and sentences about the whole."""

    frame: pd.DataFrame
    problems: list[Problem]
    notes: list[str]


def as_results(rows: Sequence[Row], known: ModelTable) -> Tabled:
    """Return RESULTS of the rows of all files; ``known`` are the models that are known."""
    import pandas as pd

    frame = pd.DataFrame(rows)
    for name in _TEXTS:
        frame[name] = ["" if pd.isna(text) else str(text) for text in frame[name]] if name in frame else ""
    for name in _NUMBERS:
        frame[name] = frame[name].astype("float64") if name in frame else np.nan
    frame["shots"] = frame["shots"].fillna(-1).astype("int64") if "shots" in frame else -1
    frame, identities = _with_models(frame, known)
    notes = notes_on(identities)
    frame, note = _with_items(frame)
    notes += note
    problems = [*_hashes(frame)]
    frame, more = _with_versions(frame)
    problems += more
    frame["is_aggregate"] = _aggregates(frame)
    frame["is_preferred"] = _preferred(frame)
    frame, more, note = _with_trials(frame)
    return Tabled(_finished(frame), problems + more, notes + note)


def _with_models(frame: pd.DataFrame, known: ModelTable) -> tuple[pd.DataFrame, dict[Said, Identity]]:
    """Return the frame with who was scored, and who that is by what the files say."""
    columns = [frame[name] for name in ("model", "revision", "family", "params", "non_embedding", "file")]
    rows = list(zip(*columns, strict=True))
    # A file matters only where it is all there is to tell the model by. NaN is no key, since it is unlike itself.
    said = [(*row[:3], *map(repr, row[3:5]), "" if row[0] else row[5]) for row in rows]
    one = {
        key: Said(row[0], row[1], row[2], float(row[3]), float(row[4]), key[5])
        for key, row in zip(said, rows, strict=True)
    }
    identities = identify(one.values(), known)
    who = [identities[one[each]] for each in said]
    places = scales(identities.values())
    full = frame.copy()
    for name in ("family", "model", "total_params", "non_embedding_params"):
        full[name] = [getattr(each, name) for each in who]
    for name in ("step", "tokens", "compute"):
        full[name] = np.where(full[name].isna(), [getattr(each, name) for each in who], full[name])
    scale = np.array([places[each.family, each.model] for each in who])
    full["scale"] = np.where(np.isfinite(scale), scale, full["own_scale"])
    return full, identities


def _with_items(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Work out items from the errors of shares, and give them to all rows of the same task and version."""
    score, error = frame["score"].to_numpy(), frame["stderr"].to_numpy()
    open_rows = frame["n_items"].isna() & frame["harness"].isin(_WITHOUT_ITEMS)
    usable = open_rows & frame["metric"].isin(_SHARES) & (score > 0) & (score < 1) & (error > 0)
    with np.errstate(all="ignore"):
        items = score * (1 - score) / error**2 + 1
        whole = np.rint(items)
        found = frame.assign(items=np.where(usable & (np.abs(items - whole) <= _WHOLE * whole), whole, np.nan))
    group = ["harness", "task", "subtask", "task_version"]
    each = found.groupby(group)["items"]
    certain = each.transform("min") == each.transform("max")
    filled = frame["n_items"].where(~(open_rows & certain), each.transform("min"))
    tasks = found.loc[open_rows & certain, "subtask"].nunique()
    note = [f"Items of {tasks} tasks worked out from the standard errors of shares, p(1 - p)/s^2 + 1."] if tasks else []
    return frame.assign(n_items=filled), note


def _hashes(frame: pd.DataFrame) -> list[Problem]:
    """Return a problem for each task whose definition differs between runs of one version."""
    known = frame[frame["task_hash"] != ""]
    several = known.groupby(["harness", "subtask", "task_version"])["task_hash"].nunique()
    problems = []
    for harness, subtask, version in several.index[several > 1]:
        rows = known[(known["harness"] == harness) & (known["subtask"] == subtask) & (known["task_version"] == version)]
        problems.append(
            Problem(rows["file"].max(), f"$.task_hashes[{subtask!r}]", f"runs of version {version} have {rows['task_hash'].nunique()} hashes",
                    "one hash: the same prompts for all models", "rows kept; compare the runs, and load them apart if they differ")
        )  # fmt: skip
    return problems


def _with_versions(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[Problem]]:
    """Return the frame with tasks of several tools or versions told apart by their names."""
    full, problems = frame, []
    for column, words in (("harness", "tool"), ("task_version", "version")):
        known = full[full[column] != ""]
        over = ["task", "subtask"] if column == "harness" else ["harness", "task", "subtask"]
        several = known.groupby(over)[column].nunique()
        tasks = sorted({key[over.index("task")] for key in several.index[several > 1]})
        for task in tasks:
            rows = known[known["task"] == task]
            values = sorted(rows[column].unique())
            problems.append(
                Problem(rows["file"].max(), "$", f"task {task} stands for several: {words} {', '.join(values)[:200]}", f"one {words} of a task",
                        "the name of the task says which; to leave some out, select files with a path")
            )  # fmt: skip
        apart = full["task"].isin(tasks) & (full[column] != "")
        mark = " (" + (full[column] if column == "harness" else "version " + full[column]) + ")"
        whole = full["subtask"] == full["task"]
        named = full["task"].where(~apart, full["task"] + mark)
        full = full.assign(subtask=full["subtask"].where(~(apart & whole), named), task=named)
    return full, problems


def _aggregates(frame: pd.DataFrame) -> pd.Series:
    """Say which rows are aggregates: groups, and rows named like their task beside others of it, in one file."""
    whole = frame["subtask"] == frame["task"]
    key = ["file", "task", "shots"]
    beside = (~whole).groupby([frame[name] for name in key]).transform("any")
    # A group whose members are nowhere in the source is the only number of its task.
    parts = (~frame["is_aggregate"] & ~whole).groupby(frame["task"]).transform("any")
    aggregate: pd.Series = (frame["is_aggregate"] | (whole & beside)) & (parts | ~whole)
    return aggregate


def _preferred(frame: pd.DataFrame) -> pd.Series:
    """Say which rows are of their task's preferred metric."""
    rank = {name: place for place, name in enumerate(PREFERRED)}
    metrics = frame[["task", "subtask", "metric"]].drop_duplicates()
    base = metrics["metric"].str.partition(",")[0]
    metrics = metrics.assign(rank=base.map(rank).fillna(len(rank)))
    first = metrics.sort_values("rank", kind="stable").drop_duplicates(["task", "subtask"])
    chosen = set(first[["task", "subtask", "metric"]].itertuples(index=False, name=None))
    import pandas as pd

    rows = frame[["task", "subtask", "metric"]].itertuples(index=False, name=None)
    return pd.Series([row in chosen for row in rows], index=frame.index)


def _with_trials(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[Problem], list[str]]:
    """Return the frame with trials, without repetitions of other files and runs on a part of the items beside larger ones."""
    ordered = frame.sort_values([*_KEY, "date", "file"], kind="stable", ignore_index=True)
    again = ordered.duplicated(_KEY, keep=False)
    if not again.any():
        return ordered.assign(trial=0), [], []
    colliding = ordered[again]
    most = colliding.groupby(_KEY, dropna=False)["n_items"].transform("max")
    partial = colliding.index[(colliding["n_items"] < most).fillna(value=False)]
    problems = _left_out(ordered.loc[partial], "runs on a part of the items, beside one on more of them",
                         "runs on all items", "no row; leave the file out, or run it again on all items")  # fmt: skip
    colliding = colliding.drop(partial)
    repeated = _repetitions(colliding)
    for file, (first, rows) in repeated.items():
        problems += _left_out(
            ordered.loc[rows],
            f"the same numbers stand in {first}",
            "each run once",
            "no row: the earlier file keeps them",
        )
        del file
    gone = [*partial, *(row for _, rows in repeated.values() for row in rows)]
    kept = ordered.drop(gone).reset_index(drop=True)
    trial = kept.groupby(_KEY, dropna=False).cumcount()
    runs = int((trial > 0).sum())
    note = (
        [
            f"{runs} scores are reruns of a task and model: kept as trials in order of their dates, and averaged in curves."
        ]
        if runs
        else []
    )
    return kept.assign(trial=trial), problems, note


def _left_out(rows: pd.DataFrame, problem: str, expected: str, action: str) -> list[Problem]:
    found = []
    for file, part in rows.groupby("file"):
        found.append(
            Problem(
                str(file), str(part["where"].iloc[0]), f"{problem}: {len(part)} scores", expected, action, len(part)
            )
        )
    return found


def _repetitions(colliding: pd.DataFrame) -> dict[str, tuple[str, list[int]]]:
    """Return the files all of whose colliding numbers stand in one earlier file, with it and the rows."""
    signature = list(
        zip(colliding["score"].map(repr), colliding["stderr"].map(repr), colliding["n_items"].map(repr), strict=True)
    )
    rows: dict[str, dict[str, list[tuple[int, bool]]]] = {}
    keys = list(colliding.groupby(_KEY, dropna=False, sort=False).ngroup())
    files = colliding["file"].tolist()
    members: dict[int, list[int]] = {}
    for place, key in enumerate(keys):
        for earlier in members.get(key, []):
            if files[earlier] != files[place]:
                pair = rows.setdefault(files[place], {}).setdefault(files[earlier], [])
                pair.append((int(colliding.index[place]), signature[earlier] == signature[place]))
        members.setdefault(key, []).append(place)
    found: dict[str, tuple[str, list[int]]] = {}
    for file, others in rows.items():
        for first, pairs in others.items():
            if first not in found and all(same for _, same in pairs):
                found[file] = (first, sorted({row for row, _ in pairs}))
                break
    return found


def _finished(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of RESULTS with their dtypes, sorted by key."""
    import pandas as pd

    full = frame.rename(columns={"file": "source_file"})
    bounded = np.isfinite(full["low"]) & np.isfinite(full["high"])
    full["low_score"], full["high_score"] = full["low"].where(bounded), full["high"].where(bounded)
    full["direction"] = full["direction"].where(full["direction"] != "", "unknown")
    full["score_normalized"] = normalized(
        full["score"].to_numpy(),
        low=full["low_score"].to_numpy(),
        high=full["high_score"].to_numpy(),
        where=full["is_preferred"].to_numpy(bool),
    )
    columns = {**RESULTS.columns, **RESULTS.optional}
    kept = [name for name in columns if name in full and (name in RESULTS.columns or _is_used(full[name]))]
    dtypes = {"category": "str", "float": "float64", "int": "int64", "bool": "bool"}
    full = full[kept].astype({name: dtypes[columns[name]] for name in kept})
    full = full.sort_values(list(RESULTS.full_key(full)), ignore_index=True, kind="stable")
    for name in kept:
        if columns[name] == "category":
            full[name] = pd.Categorical(full[name], categories=pd.Index(sorted(full[name].unique()), dtype="str"))
    return validate(full, RESULTS)


def _is_used(column: pd.Series) -> bool:
    """Whether an optional column says anything."""
    return bool(column.notna().any() and not column.isin(["", "unknown"]).all())
