"""What the three predictions are tested on, item by item: model outputs with their targets.

Vocabulary
----------
hit
    1 where the output equals a target, else 0; its mean is the accuracy.
distance
    Edit distance to the nearest target in tokens; a token is a word where any target of the task has white space,
    else a character.
length
    Tokens of the (first) target.
right
    Tokens of the (first) target that the output has at their place.
pass
    Probability that one sampled answer is the target, from its log-probability; NaN where there is none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from bigbench_meta.errors import LoadError
from bigbench_meta.experiments.predictions.score_tables import model_facts
from bigbench_meta.experiments.rescoring.item_metrics import edit_distance, exact_match, split_tokens
from bigbench_meta.experiments.rescoring.readers import OwnNames, read_items
from bigbench_meta.experiments.rescoring.scored_items import RECORD_FIELDS, Item, as_name
from bigbench_meta.loader.columns import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

ITEM_COLUMNS = [
    "task", "subtask", "family", "model", "scale", "item", "target", "length", "hit", "distance", "right", "pass",
]  # fmt: skip
# Fields of a record that a file may call otherwise.
RENAMED = ("task", "subtask", "family", "model", "scale", "target", "targets", "output", "target_logprobs")
# Family of models where no record names one.
ALL_MODELS = "all models"


@dataclass(frozen=True)
class Outputs:
    """Outputs item by item, ready to be counted.

    Attributes
    ----------
    items
        Columns ``ITEM_COLUMNS``; ``item`` numbers the items of one (task, subtask, model) in file order, so that equal
        numbers are the same item where all models answered the same file of items.
    units
        Task -> ``word`` or ``character``.
    problems
        What could not be read.
    notes
        What was taken for granted, in sentences for the user.
    """

    items: pd.DataFrame
    units: dict[str, str]
    problems: list[Problem]
    notes: list[str]


def load_outputs(
    paths: Sequence[Path], *, models: Path | None = None, columns: Mapping[str, str] | None = None
) -> Outputs:
    """Read model outputs: JSON Lines, CSV or Parquet of records, or BIG-bench full logs.

    Parameters
    ----------
    models
        CSV that gives each ``model`` a ``scale`` (or another of ``SCALE_COLUMNS``) and, if it likes, a ``family``.
    columns
        Field of a record -> what the files call it: ``{"output": "prediction", "target": "gold"}``.

    Notes
    -----
    Where no record names a family, all models are one family, by scale: the predictions speak of a series of models.

    Raises
    ------
    LoadError
        If no item has both an output and a target, or no record a name of ``columns``; says what the first problem was and
        what to do.
    """
    import pandas as pd

    rows: list[tuple[object, ...]] = []
    problems: list[Problem] = []
    own, files = OwnNames(columns), {path.resolve(): path for path in reversed(paths)}
    for path in reversed(files.values()):
        for part in read_items(path, names=own):
            if isinstance(part, Problem):
                problems.append(part)
            elif isinstance(part, Item) and part.output is not None and part.targets:
                rows.append(_row(part))
    if not rows:
        raise LoadError(_nothing_read(paths, problems))
    unmet = own.unmet()
    if unmet:
        said = ", ".join(f"{theirs!r} for {field}" for field, theirs in unmet.items())
        raise LoadError(
            f"no record of {', '.join(map(str, paths))} has {said}; expected names of the records' own fields. Correct --column, "
            "or leave it away"
        )
    names = ["task", "subtask", "family", "model", "scale", "target", "words", "characters", "hit"]
    names += ["word_distance", "character_distance", "words_right", "characters_right", "pass", "spaced"]
    items = pd.DataFrame(rows, columns=names)
    items, notes = _in_series(items, models=models)
    if len(files) < len(paths):
        notes.append(f"{len(paths) - len(files)} of the files given are others under a second name: each is read once")
    spaced = items.groupby("task")["spaced"].transform("any")
    items["length"] = items["words"].where(spaced, items["characters"])
    items["distance"] = items["word_distance"].where(spaced, items["character_distance"])
    items["right"] = items["words_right"].where(spaced, items["characters_right"])
    items["item"] = items.groupby(["task", "subtask", "family", "model"]).cumcount()
    units = {
        str(task): "word" if any_space else "character"
        for task, any_space in spaced.groupby(items["task"]).any().items()
    }
    return Outputs(items[ITEM_COLUMNS], units, problems, notes)


def _nothing_read(paths: Sequence[Path], problems: list[Problem]) -> str:
    where = f"no output with a target in {', '.join(map(str, paths))}"
    problem, expected = "nothing in it", f"records with {RECORD_FIELDS}"
    if problems:
        first = problems[0]
        problem, expected = f"{first.file}, {first.where}: {first.problem}", first.expected
    return (
        f"{where}: {problem}; expected {expected}. Name other columns with --column FIELD=NAME; a table of scores, without "
        "outputs, needs --scores"
    )


def _in_series(items: pd.DataFrame, *, models: Path | None) -> tuple[pd.DataFrame, list[str]]:
    """Give models their scale and family from a table of models, and one family where none is named."""
    notes = []
    if models is not None:
        facts = model_facts(models)
        missing = sorted(set(items["model"]) - set(facts.index))
        if missing:
            notes.append(f"{len(missing)} models are not in {models}: {', '.join(missing):.200}")
        items = items.assign(scale=items["model"].map(facts["scale"]).fillna(items["scale"]))
        if "family" in facts:
            items["family"] = items["model"].map(facts["family"]).fillna(items["family"])
    several = bool((items["model"] != items["model"].iloc[0]).any())
    if several and (items["family"] == items["model"]).all():
        items = items.assign(family=ALL_MODELS)
        notes.append("no record names a family: all models are taken as one series by scale")
    without = items.loc[~(items["scale"] > 0), "model"].nunique()
    if without:
        notes.append(
            f"{without} of {items['model'].nunique()} models have no scale, so prediction 1 leaves them out: give scale in "
            "the records, or --models CSV with columns model and scale"
        )
    return items, notes


class _Answer(msgspec.Struct):
    """What prediction 2 needs of a line; decoding nothing else makes half a million lines a matter of seconds."""

    task: str
    subtask: str
    family: str
    model: str
    scale: float
    target: str
    output: str


def packaged_large_items() -> pd.DataFrame:
    """Read the packaged ladder's large sample: columns ``ITEM_COLUMNS``, with ``pass`` NaN."""
    import lzma

    import pandas as pd

    from bigbench_meta.experiments.ladder.packaged import packaged_large_sample

    with lzma.open(packaged_large_sample()) as file:
        answers = msgspec.json.Decoder(_Answer).decode_lines(file.read())
    names = _Answer.__struct_fields__
    items = pd.DataFrame({name: [getattr(answer, name) for answer in answers] for name in names})
    items["hit"] = (items["target"] == items["output"]).astype(float)
    items["length"] = items["target"].str.len()
    items["item"] = items.groupby(["task", "subtask", "family", "model"]).cumcount()
    pairs = list(zip(items["output"], items["target"], strict=True))
    items["distance"] = [edit_distance(output, (target,)) for output, target in pairs]
    items["right"] = [places_right(output, target) for output, target in pairs]
    return items.assign(**{"pass": math.nan})[ITEM_COLUMNS]


def places_right(output: Sequence[str], target: Sequence[str]) -> int:
    """Count the places of the target at which the output has the same token.

    Examples
    --------
    >>> places_right("abx", "abc"), places_right("", "abc")
    (2, 0)
    """
    return sum(said == wanted for said, wanted in zip(output, target, strict=False))


def _row(item: Item) -> tuple[object, ...]:
    output, targets = item.output or "", item.targets
    words = [split_tokens(target, "word") for target in targets]
    log_pass = item.target_scores[0] if item.target_scores else math.nan
    return (
        item.group.task,
        item.group.subtask,
        item.group.family,
        item.group.model,
        item.size.scale,
        as_name(targets[0]),
        len(words[0]),
        len(targets[0]),
        exact_match(output, targets),
        edit_distance(split_tokens(output, "word"), words),
        edit_distance(output, targets),
        places_right(split_tokens(output, "word"), words[0]),
        places_right(output, targets[0]),
        math.exp(min(log_pass, 0.0)) if not math.isnan(log_pass) else math.nan,
        len(words[0]) > 1,
    )
