"""Scores of human raters: BIG-bench's ``task_human_eval.pkl``, read without running or importing anything it names.

The file is ``{rater: {task: {metric: score}}}``, with the raters ``average`` and ``expert`` and numpy's scalars as scores.
A restricted unpickler knows three names, and each stands for a function of this module. Before it runs, a look at the
instructions refuses those that no such file needs, since some of them can take memory or time without end.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import struct
from typing import TYPE_CHECKING, NoReturn

from bigbench_meta.errors import LoadError
from bigbench_meta.fetcher.checkout import is_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd

COLUMNS = ["task", "metric", "rater", "score"]
# The file of bigbench 1.0.0 has 78 kB.
_MOST_BYTES = 1 << 20
# These are 0 to 100 in the file, as BIG-bench's own reader shows them, and 0 to 1 in score files. Every other metric is in
# the file as in score files: macro_f1, the Brier score, the calibration error and BLEURT are not multiplied.
_HUNDREDFOLD = frozenset(["multiple_choice_grade", "exact_str_match"])

# What the pickles of numpy's scalars in dicts are made of, in every protocol.
_GETS = frozenset(["GET", "BINGET", "LONG_BINGET"])
_PUTS = frozenset(["PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"])
_TUPLES = frozenset(["TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"])
_INSTRUCTIONS = _GETS | _PUTS | _TUPLES | frozenset(
    ["PROTO", "FRAME", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1",
     "FLOAT", "BINFLOAT", "STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "UNICODE",
     "BINUNICODE", "SHORT_BINUNICODE", "EMPTY_TUPLE", "DICT", "EMPTY_DICT", "SETITEM", "SETITEMS", "GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD"]
)  # fmt: skip
_LAYOUTS = {"f8": "<d", "f4": "<f", "f2": "<e", "i8": "<q", "i4": "<i", "i2": "<h", "i1": "<b", "u8": "<Q", "u4": "<I"}


class _Dtype:
    """What numpy's scalars say about their type."""

    def __init__(self, name: str, *_: object) -> None:
        self.layout = _LAYOUTS.get(name.lstrip("<="))

    def __setstate__(self, state: tuple[object, ...]) -> None:
        if state[1] == ">":
            self.layout = None


def _scalar(dtype: object, content: object) -> float:
    if not (isinstance(dtype, _Dtype) and dtype.layout and isinstance(content, bytes)):
        raise LoadError("holds a numpy scalar that is no little-endian number")
    return float(struct.unpack(dtype.layout, content)[0])


def _encoded(text: str, _: object) -> bytes:
    return text.encode("latin-1")  # how the early protocols write bytes


_FUNCTIONS = {
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy._core.multiarray", "scalar"): _scalar,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encoded,
}


class _Unpickler(pickle.Unpickler):
    """Looks names up in `_FUNCTIONS` and nowhere else."""

    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in _FUNCTIONS:
            raise LoadError(f"refers to {_quoted(module)}.{_quoted(name)}")
        return _FUNCTIONS[module, name]


def _check_instructions(content: bytes) -> None:
    """Refuse instructions that no file of scores needs, and three uses of those that it needs.

    A memo number far ahead makes room for all before it. Tuples within tuples take time, or a stack, without end to hash as
    a key: here a tuple is handed to a function at once, and never fetched again.
    """
    before, n_kept, tuples = "", 0, set()
    for operation, argument, position in pickletools.genops(content):
        name = operation.name
        if name not in _INSTRUCTIONS:
            raise LoadError(f"byte {position} is the instruction {name}")
        if name in _PUTS:
            number = n_kept if name == "MEMOIZE" else int(str(argument))
            n_kept += 1
            if number > n_kept:
                raise LoadError(f"byte {position} keeps value {number} after {n_kept - 1} others")
            if before in _TUPLES:
                tuples.add(number)
        elif name != "FRAME":
            if before in _TUPLES and name not in {"REDUCE", "BUILD"}:
                raise LoadError(f"byte {position} uses a tuple otherwise than to call a function")
            if name in _GETS and int(str(argument)) in tuples:
                raise LoadError(f"byte {position} uses a tuple again")
            before = name


def _loaded(content: bytes) -> object:
    _check_instructions(content)
    stream = io.BytesIO(content)
    value = _Unpickler(stream).load()
    if stream.tell() < len(content):
        raise LoadError(f"its end is byte {stream.tell() - 1}, and something follows that would not be read")
    return value


def _quoted(name: object) -> str:
    return ascii(name[:60]) if isinstance(name, str) else type(name).__name__


def read_human_scores(path: Path) -> pd.DataFrame:
    """Read the scores of human raters, the reference lines of a figure.

    Parameters
    ----------
    path : Path
        BIG-bench's ``task_human_eval.pkl``: a pickle of ``{rater: {task: {metric: score}}}``.

    Returns
    -------
    DataFrame
        ``task, metric, rater, score``, sorted. Scores are in the units of score files: ``multiple_choice_grade`` and
        ``exact_str_match`` are divided by 100, every other metric is as in the file. Infinite and missing scores, which
        the file has, are kept.

    Raises
    ------
    LoadError
        If the file cannot be read, is larger than a megabyte, or holds anything but text, numbers, dicts and numpy's
        scalars in this shape. Nothing in it is run.

    Examples
    --------
    >>> from pathlib import Path
    >>> read_human_scores(Path("task_human_eval.pkl"))  # doctest: +SKIP
    """
    import pandas as pd

    def refuse(what: str, err: Exception | None = None) -> NoReturn:
        raise LoadError(
            f"{path}: {what}; expected a pickle of rater -> task -> metric -> number and nothing else. Nothing in it was "
            "run: take the file from the BIG-bench repository or the bigbench package itself"
        ) from err

    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as err:
        raise LoadError(f"{path}: cannot be read: {err.strerror or err}; expected task_human_eval.pkl") from err
    if len(content) > _MOST_BYTES:
        refuse(f"is larger than {_MOST_BYTES} bytes")
    try:
        raters = _as_mapping(_loaded(content), "the file")
        rows = [
            (
                task,
                metric,
                rater,
                _score(metric, score, where=f"{_quoted(metric)} of {_quoted(task)} by {_quoted(rater)}"),
            )
            for rater, tasks in raters.items()
            for task, scores in _as_mapping(tasks, f"the rater {_quoted(rater)}").items()
            for metric, score in _as_mapping(scores, f"task {_quoted(task)} of the rater {_quoted(rater)}").items()
        ]
    except LoadError as err:
        refuse(str(err), err)
    # What a damaged or foreign pickle makes of the standard library's unpickler and of the functions above.
    except (pickle.UnpicklingError, ValueError, KeyError, IndexError, TypeError, AttributeError, EOFError, OverflowError, struct.error) as err:  # fmt: skip
        refuse(f"is no readable pickle ({type(err).__name__}: {str(err)[:120]})", err)
    if not rows:
        refuse("holds no score")
    return pd.DataFrame(rows, columns=COLUMNS).sort_values(COLUMNS[:3], ignore_index=True)


def _as_mapping(value: object, what: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise LoadError(f"{what} is {type(value).__name__}, not a dict")
    odd = next((key for key in value if not (isinstance(key, str) and key and is_text(key))), None)
    if odd is not None:
        raise LoadError(f"{what} has the key {_quoted(odd)}, not a name")
    return value


def _score(metric: str, score: object, *, where: str) -> float:
    if isinstance(score, bool) or not isinstance(score, int | float):
        raise LoadError(f"{where} is {type(score).__name__}, not a number")
    return float(score) / 100 if metric in _HUNDREDFOLD else float(score)
