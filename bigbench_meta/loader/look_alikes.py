"""Names that a reader cannot tell apart and a table does: of one text, composed in two ways or with invisible characters.

Unicode writes an accented letter as one character or as a letter and its accent (normal forms NFC and NFD); some systems
store the names of files in the one form and some in the other. Names are kept as they stand on disk. Two that differ in
nothing that is seen are two tasks or metrics all the same, and each of them lacks the other's numbers: that is on record.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from bigbench_meta.loader.columns import Problem
from bigbench_meta.values import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pandas as pd

# Column of names -> the column within whose names they must differ.
_WITHIN = {"task": None, "subtask": "task", "family": None, "model": "family", "metric": None}
_IN_SCORE_FILES = {
    "task": "$.task.task_name",
    "subtask": "$.scores[*].subtask_description",
    "family": "$.model.model_family",
    "model": "$.model.model_name",
    "metric": "$.scores[*].score_dict",
}
# Controls and marks of direction or joining; and the marks that choose between the shapes of a character.
_UNSEEN, _SHAPES = ("Cc", "Cf"), range(0xFE00, 0xFE10)


def seen(name: str) -> str:
    r"""What a reader sees of a name: composed characters, single spaces, nothing invisible.

    Examples
    --------
    >>> seen("cafe\u0301\u200b  au lait ") == "caf\u00e9 au lait"
    True
    """
    spaced = " ".join(unicodedata.normalize("NFC", name).split())
    if spaced.isascii() and spaced.isprintable():
        return spaced
    # Twice: a mark that is taken out may have kept a letter and its accent apart.
    kept = (each for each in spaced if unicodedata.category(each) not in _UNSEEN and ord(each) not in _SHAPES)
    return unicodedata.normalize("NFC", "".join(kept))


def look_alikes(frame: pd.DataFrame, *, place: Callable[[str], str] = _IN_SCORE_FILES.__getitem__) -> list[Problem]:
    """Return a problem for each name that looks like another one of its kind, and for a subtask that looks like its task.

    Parameters
    ----------
    frame
        RESULTS.
    place
        Where in a file the names of a column stand.
    """
    odd = {name: any(seen(each) != each for each in frame[name].cat.categories) for name in _WITHIN}
    problems = []
    for column, outer in _WITHIN.items():
        if not (odd[column] or (column == "subtask" and odd["task"])):
            continue
        names = frame[[outer, column] if outer else [column]].drop_duplicates().astype(str)
        for place_of_name, twins in _groups(names.itertuples(index=False, name=None), with_outer=column == "subtask"):
            for name, other in twins:
                rows = frame[column] == name
                if outer:
                    rows &= frame[outer] == place_of_name
                file = frame.loc[rows, "source_file"].astype(str).min()
                problems.append(
                    Problem(
                        file,
                        place(column),
                        f"the {column} {shown(name)} looks like {shown(other)} and is written with other characters",
                        "one spelling of a name, such as its normal form NFC",
                        f"kept as it stands: they count as two names of a {column}",
                    )
                )
    return problems


def _groups(names: Iterable[tuple[str, ...]], *, with_outer: bool) -> Iterable[tuple[str, list[tuple[str, str]]]]:
    """Yield, for each name of ``outer`` (empty where there is none), its names that look like another, and that one."""
    first: dict[tuple[str, str], str] = {}
    twins: dict[str, list[tuple[str, str]]] = {}
    for *outer, name in sorted(
        names, key=lambda each: (each[:-1], seen(each[-1]) != each[-1], each)
    ):  # plain names first
        within = outer[0] if outer else ""
        if with_outer:
            first.setdefault((within, seen(within)), within)
        other = first.setdefault((within, seen(name)), name)
        if other != name:
            twins.setdefault(within, []).append((name, other))
    return twins.items()
