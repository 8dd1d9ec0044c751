"""What a format declares: where its scores stand, how they are named, and where each column of RESULTS is found.

Vocabulary
----------
document
    The decoded parts of a file (of HELM: of the files of one run), by name.
leaf
    One score: the keys that lead to it, its value, and the object that holds it, its *entry*.
column
    A column of RESULTS as a path through the document. ``{task}``, ``{metric}`` ... in a path stand for the names of the
    leaf; a path that begins with ``.`` starts at the entry. Of several paths to one column the first that leads to a
    value counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable  # noqa: TC003 - a named tuple looks its types up
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from bigbench_meta.facts.models import number_in_words
from bigbench_meta.values import as_number, is_text

if TYPE_CHECKING:
    from bigbench_meta.loader.harness.json_file import Top
    from bigbench_meta.loader.harness.tally import IsScore, Pattern

# Texts that tools write where a number is not known; they need no record.
_UNKNOWN = frozenset({"", "n/a", "none", "null", "nan", "unknown", "-"})


class Kind(NamedTuple):
    """How values of a column are read, None where one cannot be, and what is expected of them in words."""

    read: Callable[[object], object | None]
    expected: str


class Column(NamedTuple):
    """One way to a column: its name, the path and the kind of value."""

    name: str
    path: tuple[str, ...]
    kind: Kind


class Document(NamedTuple):
    """The file that scores are reported for, and its decoded parts by name."""

    file: str
    parts: dict[str, object]


class Leaf(NamedTuple):
    """One score on disk.

    Attributes
    ----------
    keys, way
        The keys that lead to it, ``*`` for a place in a list; and the same with those places as numbers.
    value, entry
        Its value, and the container that holds it.
    where
        Its place in words.
    """

    keys: tuple[str, ...]
    way: tuple[str, ...]
    value: object
    entry: object
    where: str


class Place(NamedTuple):
    """What a score is of. ``names`` serve the paths of columns, as they stand on disk; ``values`` are columns themselves."""

    task: str
    subtask: str
    metric: str
    filter: str = ""
    is_aggregate: bool = False
    names: dict[str, str] = {}  # noqa: RUF012 - never changed
    values: dict[str, object] = {}  # noqa: RUF012 - never changed


class Aside(NamedTuple):
    """Why a value is no score of RESULTS: the reason, and what was expected, in words."""

    reason: str
    expected: str = "scores of tasks"


class Remark(NamedTuple):
    """Something odd about a whole file; ``refused`` if none of its scores may be used."""

    where: str
    problem: str
    expected: str
    action: str
    refused: bool = False


def _nothing(document: Document) -> None:
    del document


def _no_remarks(document: Document) -> list[Remark]:
    del document
    return []


@dataclass(frozen=True)
class Format:
    """One format of result files.

    Attributes
    ----------
    name
        The word of ``--format`` and of the column ``harness``.
    title
        Its name in sentences.
    recognise
        Whether a file is of this format, by its top level and content.
    scores
        Name of the part that holds the scores; of several the first that is there.
    patterns
        Ways from that part to the scores.
    parts
        Further parts that are decoded.
    place
        What a leaf is of, or why it is no score.
    columns
        Where the columns stand.
    is_score
        Whether keys lead to a number (`bigbench_meta.loader.harness.tally`).
    context
        What `place` needs to know of the whole document, computed once.
    remarks
        What is odd about a whole file.
    """

    name: str
    title: str
    recognise: Callable[[Top, bytes], bool]
    scores: tuple[str, ...]
    patterns: tuple[Pattern, ...]
    parts: frozenset[str]
    place: Callable[[Leaf, Document, object], Place | Aside]
    columns: tuple[Column, ...]
    is_score: IsScore
    context: Callable[[Document], object] = _nothing
    remarks: Callable[[Document], list[Remark]] = field(default=_no_remarks)


def is_unknown(raw: object) -> bool:
    """Whether a value says that nothing is known, which needs no record."""
    return raw is None or (isinstance(raw, str) and raw.strip().lower() in _UNKNOWN)


def _number(raw: object) -> float | None:
    value = None if isinstance(raw, bool) else as_number(raw)
    return value if value is not None and math.isfinite(value) else None


def _positive(raw: object) -> float | None:
    value = _number(raw)
    if value is None and isinstance(raw, str):
        value = number_in_words(raw)
    return value if value is not None and value > 0 else None


def _not_negative(raw: object) -> float | None:
    value = _number(raw)
    return value if value is not None and value >= 0 else None


def _whole(raw: object) -> int | None:
    value = _number(raw)
    return int(value) if value is not None and value == int(value) and -1 <= value < 1_000_000_000 else None


def _text(raw: object) -> str | None:
    if isinstance(raw, bool | int | float):
        raw = str(raw)
    return raw.strip() if isinstance(raw, str) and raw.strip() and is_text(raw) else None


def _higher(raw: object) -> str | None:
    return {True: "higher", False: "lower"}.get(raw) if isinstance(raw, bool) else None


def _lower(raw: object) -> str | None:
    return {False: "higher", True: "lower"}.get(raw) if isinstance(raw, bool) else None


def _bound(raw: object) -> float | None:
    value = as_number(raw)
    return None if value is None or isinstance(raw, bool) or math.isnan(value) else value


def _billions(raw: object) -> float | None:
    value = _positive(raw)
    return None if value is None else value * 1e9


def argument(*names: str) -> Kind:
    """Return a kind that reads one argument of a model, from an object or a text ``name=value,name=value``."""

    def read(raw: object) -> str | None:
        if isinstance(raw, str):
            raw = dict(each.split("=", 1) for each in raw.split(",") if "=" in each)
        if not isinstance(raw, dict):
            return None
        return next((text for name in names if (text := _text(raw.get(name))) is not None), "")

    return Kind(read, "an object, or text of the form name=value,name=value")


def parameters(raw: object) -> float | None:
    """Read a number of parameters, of which -1 says that it is not known."""
    return math.nan if raw == -1 else _positive(raw)


PARAMETERS = Kind(parameters, "a positive number")
NUMBER = Kind(_number, "a finite number")
ERROR = Kind(_not_negative, "a number that is not negative")
COUNT = Kind(_positive, "a positive number")
WHOLE = Kind(_whole, "a whole number")
TEXT = Kind(_text, "text")
HIGHER_IS_BETTER = Kind(_higher, "true or false")
LOWER_IS_BETTER = Kind(_lower, "true or false")
BOUND = Kind(_bound, "a number")
BILLIONS = Kind(_billions, "a number of billions")
