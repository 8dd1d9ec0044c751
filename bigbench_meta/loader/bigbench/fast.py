"""The fast reader of score files: typed decoding for files in which nothing is odd.

A file is *plain* when its content has the documented keys and types, each key once, and nothing that would need a
record in PROBLEMS. Whether that is so is decided here without looking at every value twice: the decoder checks types,
and the quotation marks of the file, counted in its bytes, must be exactly those of the keys and names that were
decoded. A repeated or unknown key has two marks too many, so no number can be passed over in silence. Every other
file goes to the careful reader, which gives the same numbers for plain files.

Most plain files say the same as an earlier one but for their numbers and their model (``alike``); of these only the
numbers are decoded.
"""

from __future__ import annotations

from array import array
from collections import Counter
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Generic, NamedTuple, TypeVar

import msgspec

from bigbench_meta.loader.bigbench.alike import Pattern, after_entries, cut, numbers_like, pattern_of
from bigbench_meta.loader.bigbench.careful import MAX_SHOTS, MIN_SHOTS, is_span, plain_model, plain_task, read_carefully
from bigbench_meta.loader.columns import Columns, Layout, Model

if TYPE_CHECKING:
    from collections.abc import Callable

Meaning = TypeVar("Meaning")

# Above this, what a file holds beside `queries` is found first (by its brackets) and the rest is never decoded.
_LARGE = 1 << 20

# Quotation marks: four keys at the top; six keys and two texts in an entry; the name of the metric for each number.
_MARKS_ON_TOP, _MARKS_OF_ENTRY, _MARKS_OF_NUMBER = 2 * 4, 2 * (6 + 2), 2
# So many patterns are tried on a file, the last met first: models of a task may differ in their shots.
_TRIED = 4
# After so many files of a task in a row without a pattern of those before, none is looked for in the others.
_PATIENCE = 8
_QUOTE, _BACKSLASH = b'"', b"\\"
_OTHER_MODEL = b"0"  # something that is no model of any file


class _PlainEntry(msgspec.Struct, gc=False):
    score_dict: dict[str, float]
    preferred_score: str
    number_of_shots: Annotated[int, msgspec.Meta(ge=MIN_SHOTS, le=MAX_SHOTS)]
    low_score: float
    high_score: float
    subtask_description: str


class _PlainFile(msgspec.Struct, gc=False):
    scores: list[_PlainEntry]
    task: msgspec.Raw
    model: msgspec.Raw
    queries: msgspec.Raw


_decode = msgspec.json.Decoder(_PlainFile).decode
_score_dict = attrgetter("score_dict")
_head = attrgetter("subtask_description", "number_of_shots", "preferred_score", "low_score", "high_score")


class _Seen(NamedTuple):
    """A layout met before: its number, and how many numbers and entries its files hold."""

    layout: int
    numbers: int
    entries: int


class _Part(NamedTuple, Generic[Meaning]):
    """What a raw ``task`` or ``model`` means (None where it is odd), and its quotation marks and backslashes."""

    meaning: Meaning | None
    marks: int
    backslashes: int


class _Known(NamedTuple):
    """A plain file beside its numbers and model: its entries in bytes and as a layout, its task, all around its model."""

    pattern: Pattern
    seen: _Seen
    task: str
    before: bytes
    after: bytes


class PlainReader:
    """Reads score files into columns, remembering what recurs: tasks, models and layouts.

    Remembering is what makes it fast: each layout is checked once, not in each of thousands of files.
    """

    def __init__(self, into: Columns) -> None:
        self._into = into
        self._tasks: dict[bytes, _Part[str]] = {}
        self._models: dict[bytes, _Part[Model]] = {}
        self._layouts: dict[Layout, _Seen | None] = {}  # None where something is odd
        self._known: dict[tuple[str | None, int], list[_Known]] = {}
        self._unlike: Counter[str | None] = Counter()  # files of a task in a row that were like none before

    def read(self, data: bytes, *, file: str, folder_task: str | None) -> None:
        """Append the numbers of a score file; parameters are those of :func:`~bigbench_meta.loader.bigbench.careful.read_carefully`."""
        if len(data) > _LARGE or not self._read_fast(data, file=file, folder_task=folder_task):
            read_carefully(data, file=file, folder_task=folder_task, into=self._into)

    def _read_fast(self, data: bytes, *, file: str, folder_task: str | None) -> bool:
        """Append a plain file and return True; append nothing and return False for any other."""
        pieces = cut(data)
        # The files of a task that have equally many entries are mostly alike. Where they are not, it is not tried for long.
        trying = self._unlike[folder_task] < _PATIENCE
        known = self._known.setdefault((folder_task, len(pieces)), []) if trying else []
        try:
            for place, candidate in enumerate(known):
                numbers = numbers_like(pieces, candidate.pattern)
                if numbers is not None and self._read_alike(pieces, candidate, numbers, file=file):
                    known.insert(0, known.pop(place))
                    self._unlike[folder_task] = 0
                    return True
            self._unlike[folder_task] += 1
            return self._read_plain(data, pieces, known if trying else None, file=file, folder_task=folder_task)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False

    def _read_alike(self, pieces: list[bytes], known: _Known, numbers: array[float], *, file: str) -> bool:
        """Append a file with the pattern of an earlier one, whose numbers these are; return False where it goes on oddly."""
        rest = after_entries(pieces, known.pattern)
        if not rest.startswith(known.before) or not rest.endswith(known.after):
            return False
        model = _part(rest[len(known.before) : len(rest) - len(known.after)], self._models, plain_model).meaning
        if model is None:
            return False
        self._append(file, task=known.task, model=model, seen=known.seen, numbers=numbers)
        return True

    def _read_plain(
        self, data: bytes, pieces: list[bytes], known: list[_Known] | None, *, file: str, folder_task: str | None
    ) -> bool:
        """Append a plain file, and add to ``known``, if there is such, what later ones may have in common with it."""
        if not data.isascii():
            data.decode("utf-8")  # the decoder does not look into what it skips
        decoded = _decode(data)
        dicts = list(map(_score_dict, decoded.scores))
        layout = _layout(decoded.scores, dicts)
        if layout not in self._layouts:
            self._layouts[layout] = self._new(layout) if _is_plain(layout, dicts) else None
        seen = self._layouts[layout]
        task = _part(bytes(decoded.task), self._tasks, plain_task)
        model = _part(bytes(decoded.model), self._models, plain_model)
        if seen is None or task.meaning is None or model.meaning is None or folder_task not in (None, task.meaning):
            return False
        queries = bytes(decoded.queries)
        elsewhere = task.marks + model.marks + queries.count(_QUOTE) + _MARKS_ON_TOP + _MARKS_OF_ENTRY * seen.entries
        if data.count(_QUOTE) != elsewhere + _MARKS_OF_NUMBER * seen.numbers:
            return False
        # With an escape among the entries, a quotation mark might be part of a name.
        escapes = task.backslashes + model.backslashes + queries.count(_BACKSLASH)
        if _BACKSLASH in data and data.count(_BACKSLASH) != escapes:
            return False
        numbers = array("d", list(chain.from_iterable(map(dict.values, dicts))))
        self._append(file, task=task.meaning, model=model.meaning, seen=seen, numbers=numbers)
        pattern = pattern_of(pieces, layout, numbers) if known is not None else None
        if known is not None and pattern is not None:
            rest = after_entries(pieces, pattern)
            before, _, after = rest.partition(bytes(decoded.model))
            if (
                bytes(_decode(before + _OTHER_MODEL + after).model) == _OTHER_MODEL
            ):  # else it was something with its text
                known[:] = [_Known(pattern, seen, task.meaning, before, after), *known[: _TRIED - 1]]
        return True

    def _new(self, layout: Layout) -> _Seen:
        self._into.layouts.append(layout)
        return _Seen(len(self._into.layouts) - 1, numbers=len(layout.metrics), entries=len(layout.sizes))

    def _append(self, file: str, *, task: str, model: Model, seen: _Seen, numbers: array[float]) -> None:
        """Append a file, as many numbers of which are on disk as its marks show: those of a file with this layout."""
        into = self._into
        into.on_disk += seen.numbers
        into.add_file(file, task=task, model=model, layout=seen.layout)
        into.scores += numbers


def _layout(entries: list[_PlainEntry], dicts: list[dict[str, float]]) -> Layout:
    subtasks, shots, preferred, lows, highs = zip(*map(_head, entries), strict=True) if entries else ((),) * 5
    if "rouge" in preferred:  # BIG-bench means rougeLsum by it
        preferred = tuple(
            "rougeLsum" if name == "rouge" and "rouge" not in metrics else name
            for name, metrics in zip(preferred, dicts, strict=True)
        )
    return Layout(
        places=tuple(range(len(entries))),
        subtasks=subtasks,
        shots=shots,
        trials=(0,) * len(entries),
        preferred=preferred,
        lows=lows,
        highs=highs,
        sizes=tuple(map(len, dicts)),
        metrics=tuple(chain.from_iterable(dicts)),
    )


def _is_plain(layout: Layout, dicts: list[dict[str, float]]) -> bool:
    """Say whether nothing in a layout needs a record: names, bounds, and no repeats, so that there are no trials."""
    return (
        all(layout.subtasks)
        and all(map(dict.__contains__, dicts, layout.preferred))
        and all(is_span(low, high) for low, high in set(zip(layout.lows, layout.highs, strict=True)))
        and len(set(zip(layout.subtasks, layout.shots, strict=True))) == len(layout.sizes)
    )


def _part(
    text: bytes, known: dict[bytes, _Part[Meaning]], meaning: Callable[[bytes], Meaning | None]
) -> _Part[Meaning]:
    if text not in known:
        known[text] = _Part(meaning(text), text.count(_QUOTE), text.count(_BACKSLASH))
    return known[text]
