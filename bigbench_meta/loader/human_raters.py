"""Human scores from BIG-bench's ``task_human_eval.pkl``, read without an unpickler.

A pickle is a program for a machine with a stack. This reader takes its instructions apart with the standard library's
``pickletools`` and carries out a few of them itself: those that make numbers, text, lists and dicts, and the calls by
which numpy writes its scalars, which mean functions of this module. Nothing is imported or called by name, keys of dicts
are text, and any other instruction is refused, so that a file can neither run nor look up anything.
"""

from __future__ import annotations

import math
import pickletools
import struct
from typing import TYPE_CHECKING, NamedTuple, NoReturn, TypeVar

from bigbench_meta.errors import LoadError
from bigbench_meta.fetcher.checkout import is_text

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

# Two numbers for each of about 200 tasks are 20 kB.
_MOST_BYTES = 1 << 20
_LARGEST = 2**1023  # beyond it a whole number is no float
# Instructions whose argument is the value they push.
_PLAIN = frozenset(
    ["INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "FLOAT", "BINFLOAT", "STRING", "BINSTRING",
     "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE"]
)  # fmt: skip
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_PUTS = frozenset(["PUT", "BINPUT", "LONG_BINPUT"])
_GETS = frozenset(["GET", "BINGET", "LONG_BINGET"])
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_SCALAR = (("numpy.core.multiarray", "scalar"), ("numpy._core.multiarray", "scalar"))
_LAYOUTS = {"f8": "<d", "f4": "<f", "f2": "<e", "i8": "<q", "i4": "<i", "i2": "<h", "i1": "<b", "u8": "<Q", "u4": "<I"}


_Kind = TypeVar("_Kind")


class _Global(NamedTuple):
    """A name that a pickle refers to; nothing is looked up."""

    module: str
    name: str


class _Mark(NamedTuple):
    """Where the items of a container begin on the stack."""


class _Dtype:
    """What numpy's scalars say about their type."""

    def __init__(self, name: object) -> None:
        self.layout = _LAYOUTS.get(name.lstrip("<=")) if isinstance(name, str) else None
        self.plain = True


class _Machine:
    """The stack and the memo of a pickle, and the instructions that plain numbers need."""

    def __init__(self) -> None:
        self.stack: list[object] = []
        self.memo: dict[int, object] = {}

    def step(self, operation: str, argument: object) -> None:
        """Carry out one instruction."""
        push = self.stack.append
        if operation in _PLAIN:
            push(argument)
        elif operation in _CONSTANTS:
            push(_CONSTANTS[operation])
        elif operation in _TUPLES:
            push(tuple([self.stack.pop() for _ in range(_TUPLES[operation])][::-1]))
        elif operation in _PUTS:
            self.memo[int(str(argument))] = self.stack[-1]
        elif operation == "MEMOIZE":
            self.memo[len(self.memo)] = self.stack[-1]
        elif operation in _GETS:
            push(self.memo[int(str(argument))])
        elif operation == "MARK":
            push(_Mark())
        elif operation in {"POP", "POP_MARK"}:
            self.stack.pop() if operation == "POP" else self._items()
        elif operation in {"EMPTY_DICT", "EMPTY_LIST"}:
            push({} if operation == "EMPTY_DICT" else [])
        elif operation in {"TUPLE", "LIST", "DICT"}:
            items = self._items()
            push(tuple(items) if operation == "TUPLE" else items if operation == "LIST" else {})
            if operation == "DICT":
                self._set(items)
        elif operation in {"SETITEM", "SETITEMS"}:
            self._set([self.stack.pop(), self.stack.pop()][::-1] if operation == "SETITEM" else self._items())
        elif operation in {"APPEND", "APPENDS"}:
            more = [self.stack.pop()] if operation == "APPEND" else self._items()
            self._top(list).extend(more)
        elif operation in {"GLOBAL", "STACK_GLOBAL"}:
            name, module = (
                str(argument).split(" ")[::-1] if operation == "GLOBAL" else (self.stack.pop(), self.stack.pop())
            )
            push(_known(module, name))
        elif operation == "REDUCE":
            arguments, function = self.stack.pop(), self.stack.pop()
            push(_called(function, arguments))
        elif operation == "BUILD":
            state = self.stack.pop()
            self._top(_Dtype).plain = isinstance(state, tuple) and state[1:2] != (">",)
        elif operation not in {"PROTO", "FRAME", "STOP"}:
            raise LoadError(f"is the instruction {operation}")

    def _items(self) -> list[object]:
        items: list[object] = []
        while not isinstance(item := self.stack.pop(), _Mark):
            items.append(item)
        return items[::-1]

    def _set(self, items: list[object]) -> None:
        table = self._top(dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, str):  # also because to hash tuples within tuples can take for ever
                raise LoadError(f"sets a key that is no text but {type(key).__name__}")
            if key in table:
                raise LoadError(f"sets the key {_quoted(key)} a second time")
            table[key] = value

    def _top(self, kind: type[_Kind]) -> _Kind:
        top = self.stack[-1]
        if not isinstance(top, kind):
            raise LoadError(f"fills {type(top).__name__} as if it were {kind.__name__.strip('_').lower()}")
        return top


def _known(module: object, name: object) -> _Global:
    if not (isinstance(module, str) and isinstance(name, str)):
        raise LoadError("refers to something by no name")
    if (module, name) not in {*_SCALAR, ("numpy", "dtype"), ("_codecs", "encode")}:
        raise LoadError(f"refers to {_quoted(module)}.{_quoted(name)}")
    return _Global(module, name)


def _called(function: object, arguments: object) -> object:
    if not (isinstance(function, _Global) and isinstance(arguments, tuple)):
        raise LoadError("calls something that is not numpy's")
    if function.name == "dtype":
        return _Dtype(arguments[0])
    first, second = arguments
    if function.name == "encode":  # how protocol 2 writes bytes
        if not isinstance(first, str):
            raise LoadError("encodes something that is no text")
        return first.encode("latin-1")
    if not (isinstance(first, _Dtype) and first.layout and first.plain and isinstance(second, bytes)):
        raise LoadError("holds a numpy scalar that is no little-endian number")
    return struct.unpack(first.layout, second)[0]


def _loaded(content: bytes) -> object:
    machine = _Machine()
    for operation, argument, position in pickletools.genops(content):
        try:
            machine.step(operation.name, argument)
        except LoadError as err:
            raise LoadError(f"byte {position} {err}") from err
        if operation.name == "STOP" and position is not None and position + 1 < len(content):
            raise LoadError(f"its end is byte {position}, and something follows that would not be read")
    (result,) = machine.stack
    return result


def _is_name(name: object) -> bool:
    return isinstance(name, str) and is_text(name)


def _quoted(name: object) -> str:
    return ascii(name[:60]) if isinstance(name, str) else type(name).__name__


def read_human_scores(path: Path) -> pd.DataFrame:
    """Read the scores of human raters, the reference lines of a figure.

    Parameters
    ----------
    path : Path
        BIG-bench's ``task_human_eval.pkl``: a pickled dict of dicts, as in ``{"average": {task: score}, "expert": ...}``.

    Returns
    -------
    DataFrame
        ``task`` and a column for each kind of rater, as named in the file; rows sorted by task, NaN where a kind has
        no score of a task. Scores are as in the file.

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
            f"{path}: {what}; expected a pickle of dicts of numbers and nothing else. Nothing in it was run: "
            "take the file from the BIG-bench repository itself"
        ) from err

    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as err:
        raise LoadError(f"{path}: cannot be read: {err.strerror or err}; expected task_human_eval.pkl") from err
    if len(content) > _MOST_BYTES:
        refuse(f"is larger than {_MOST_BYTES} bytes")
    try:
        tables = _loaded(content)
    except LoadError as err:
        refuse(str(err), err)
    except (ValueError, KeyError, IndexError, OverflowError, struct.error) as err:
        refuse(f"is no readable pickle ({type(err).__name__}: {str(err)[:120]})", err)
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        refuse("is not a dict of dicts")
    for rater, scores in tables.items():
        for task, score in scores.items():
            if not (_is_name(rater) and _is_name(task) and isinstance(score, int | float)):
                refuse(
                    f"holds {type(score).__name__} for {_quoted(task)} by {_quoted(rater)}, where a number of a task is due"
                )
            if (isinstance(score, int) and abs(score) > _LARGEST) or score in (math.inf, -math.inf):
                refuse(f"the score of {_quoted(task)} by {_quoted(rater)} is too large for a number")
    if not tables or "task" in tables:
        refuse("names no kind of rater")
    columns = {rater: pd.Series(scores, dtype="float64") for rater, scores in tables.items()}
    frame = pd.DataFrame(columns).sort_index()
    return frame.rename_axis("task").reset_index()
