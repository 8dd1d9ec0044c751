"""Who was scored: from what a file says of its model to a family, a model, its size and the checkpoint.

What is known of a model comes from the table of models, else from the file, else from its name; which of them is said in
a note, and a model of unknown size is named with what to do.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from bigbench_meta.facts.models import family_in_name, size_in_name
from bigbench_meta.values import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bigbench_meta.facts.models import ModelTable

_STEP = re.compile(r"(?:^|[^a-z])(?:global_?)?step[-_]?(\d+)", re.IGNORECASE | re.ASCII)
_TOKENS = re.compile(r"tokens[-_]?(\d+(?:\.\d+)?)([mbt])", re.IGNORECASE | re.ASCII)
_UNITS = {"m": 1e6, "b": 1e9, "t": 1e12}
_COMMIT = re.compile(r"[0-9a-f]{7,64}", re.IGNORECASE | re.ASCII)
# Revisions that are the finished model.
_FINAL = frozenset({"", "main", "master"})
_NAMED = 6  # models that a note lists

# Where a size comes from, and how a note says so.
TABLE, FILE, NAME, UNKNOWN = "table", "file", "name", "unknown"
_WORDS = {
    FILE: "Sizes as the result files give them, embeddings included",
    NAME: "Sizes read from the names of models (nominal); give --models FILE for exact ones",
    UNKNOWN: "Models of unknown size have no place on the axis of parameters: name them in a CSV file of --models, with the "
    "columns pattern,family,model,total_params",
}


class Said(NamedTuple):
    """What a file says of its model: name, revision, family, sizes (NaN where it says nothing), and its path."""

    name: str
    revision: str
    family: str
    total_params: float
    non_embedding_params: float
    file: str


class Identity(NamedTuple):
    """Who was scored; NaN where unknown. ``source`` is where the size comes from."""

    family: str
    model: str
    total_params: float
    non_embedding_params: float
    step: float
    tokens: float
    compute: float
    source: str
    from_path: bool


def identify(said: Iterable[Said], known: ModelTable) -> dict[Said, Identity]:
    """Return who each is.

    Names without their organisation stand for models, unless two that are not in the table of models share one.
    """
    named = {each: _named(each, known) for each in dict.fromkeys(said)}
    owners: dict[str, set[str]] = defaultdict(set)
    sizes: dict[str, set[tuple[float, float]]] = defaultdict(set)
    for each, (name, _) in named.items():
        owners[_short(name)].add(name)
        if math.isfinite(each.total_params) or math.isfinite(each.non_embedding_params):
            sizes[name].add((each.total_params, each.non_embedding_params))
    found = {}
    for each, (name, from_path) in named.items():
        sized = each
        if math.isnan(each.total_params) and math.isnan(each.non_embedding_params) and len(sizes[name]) == 1:
            total, without = next(iter(sizes[name]))  # another file of the same model says its size
            sized = each._replace(total_params=total, non_embedding_params=without)
        short = len(owners[_short(name)]) == 1
        found[each] = _identity(sized, name, known=known, from_path=from_path, short=short)
    return found


def _short(name: str) -> str:
    return name.rstrip("/").rpartition("/")[2] or name


def _named(said: Said, known: ModelTable) -> tuple[str, bool]:
    """Return the name of a model; where the file gives none, the folder of its path that the table knows, else the last."""
    if said.name:
        return said.name, False
    parts = said.file.split("/")
    folders = parts[:-1]
    for stop in range(len(folders), 0, -1):
        if known.look_up("/".join(folders[max(0, stop - 2) : stop])) is not None:
            return "/".join(folders[max(0, stop - 2) : stop]), True
    return (folders[-1] if folders else parts[-1].partition(".")[0]), True


def _identity(said: Said, name: str, *, known: ModelTable, from_path: bool, short: bool) -> Identity:
    revision = said.revision if said.revision.lower() not in _FINAL and not _COMMIT.fullmatch(said.revision) else ""
    step = _STEP.search(revision or (said.file if from_path else ""))
    tokens = _TOKENS.search(revision)
    found = known.look_up(name)
    mark = f"@{revision}" if revision and step is None else ""
    at = float(step[1]) if step else math.nan
    seen = float(tokens[1]) * _UNITS[tokens[2].lower()] if tokens else math.nan
    if found is not None:
        if math.isnan(seen):
            seen = found.tokens if step is None else at * found.tokens_per_step
        compute = found.compute if step is None else math.nan
        return Identity(
            said.family or found.family, found.model + mark, found.total_params, found.non_embedding_params, at, seen, compute,
            TABLE, from_path,
        )  # fmt: skip
    total, source = said.total_params, FILE
    if math.isnan(total) and math.isnan(said.non_embedding_params):
        nominal = size_in_name(name)
        total, source = (math.nan, UNKNOWN) if nominal is None else (nominal, NAME)
    model = (_short(name) if short else name) + mark
    family = said.family or family_in_name(name)
    return Identity(family, model, total, said.non_embedding_params, at, seen, math.nan, source, from_path)


def notes_on(identities: Mapping[Said, Identity]) -> list[str]:
    """Say where the sizes of models come from, and which have none."""
    notes = []
    for source, words in _WORDS.items():
        models = list(dict.fromkeys(each.model for each in identities.values() if each.source == source))
        if models:
            notes.append(f"{words}: {_listed(models)}.")
    from_path = list(dict.fromkeys(each.model for each in identities.values() if each.from_path))
    if from_path:
        notes.append(f"The files do not name their model; it is taken from their path: {_listed(from_path)}.")
    return notes


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} others" if len(names) > _NAMED else ""
    return ", ".join(shown(name)[1:-1] for name in names[:_NAMED]) + more


def scales(identities: Iterable[Identity]) -> dict[tuple[str, str], float]:
    """Return the place of each (family, model) on the axis of parameters.

    Parameters without embeddings where they are known of all models of a family, else all parameters.
    """
    families: dict[str, list[Identity]] = defaultdict(list)
    for each in identities:
        families[each.family].append(each)
    found = {}
    for family, members in families.items():
        without = all(math.isfinite(each.non_embedding_params) for each in members)
        for each in members:
            found[family, each.model] = each.non_embedding_params if without else each.total_params
    return found
