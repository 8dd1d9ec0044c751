"""Who a model is: its family, parameters and training tokens, from a packaged table of open models or a user's own.

Vocabulary
----------
pattern
    Names of a model without its organisation, separated by ``|``; ``*`` stands for any characters. Case does not count.
    A pattern with ``/`` is compared with as many parts of the name.
tokens
    Training tokens of the finished model; ``tokens_per_step`` those of one step, by which a checkpoint is placed.
nominal size
    A size read from a name, such as 7,000,000,000 from ``my-model-7b``: what nothing better is known for.
"""

from __future__ import annotations

import math
import re
from fnmatch import fnmatchcase
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bigbench_meta.errors import TableError
from bigbench_meta.values import shown

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = [
    "pattern", "family", "model", "total_params", "non_embedding_params", "tokens", "compute", "tokens_per_step", "source",
]  # fmt: skip
_NUMBERS = ("total_params", "non_embedding_params", "tokens", "compute", "tokens_per_step")
_MULTIPLES = {"k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}
# A number with a unit that stands for itself in a name: 7b, 1.3B, 560m, 1b7 as BLOOM and RWKV write 1.7b, a14b of active ones.
_SIZE = re.compile(r"(?<![a-z0-9.])a?(\d+(?:\.\d+)?)([kmbt])(\d(?!\d))?(?![a-z0-9])", re.IGNORECASE | re.ASCII)
_SEPARATORS = re.compile(r"[-_ .]+")
_FAULTS = 10  # that a message names


class Known(NamedTuple):
    """What is known of one model; NaN where nothing is."""

    family: str
    model: str
    total_params: float
    non_embedding_params: float
    tokens: float
    compute: float
    tokens_per_step: float


def models(extra: Path | str | None = None) -> pd.DataFrame:
    """Return the table of models, one row a model.

    Parameters
    ----------
    extra : path, optional
        CSV file with the columns ``pattern, total_params`` or ``pattern, non_embedding_params`` and any of ``family, model,
        tokens, compute, tokens_per_step, source``. Its rows are looked at before the packaged ones.

    Returns
    -------
    DataFrame
        Columns ``pattern, family, model, total_params, non_embedding_params, tokens, compute, tokens_per_step, source``.
        Numbers are NaN where they are unknown.

    Raises
    ------
    TableError
        If ``extra`` lacks a column that it needs, or holds a number that is not positive; the first ten faults are named.

    Examples
    --------
    >>> import bigbench_meta as bm
    >>> bm.models().set_index("model").loc["pythia-70m", "non_embedding_params"]
    np.float64(18915328.0)
    """
    import pandas as pd

    packaged = _read(files("bigbench_meta") / "data" / "models.csv")  # type: ignore[arg-type]
    return packaged if extra is None else pd.concat([_read(extra), packaged], ignore_index=True)


def _read(path: Path | str) -> pd.DataFrame:
    import pandas as pd

    from bigbench_meta.table_files import as_floats, csv_frame

    table = csv_frame(
        Path(path) if isinstance(path, str) else path,
        expected="columns pattern, total_params",
        text=("pattern", "family", "model", "source"),
        missing=False,
    )
    if "pattern" not in table.columns or not {"total_params", "non_embedding_params"} & set(table.columns):
        raise TableError(
            f"{path}: columns {', '.join(table.columns)[:200]}; expected pattern, total_params (or non_embedding_params) and, "
            f"if known, {', '.join(name for name in COLUMNS if name not in ('pattern', 'total_params'))}"
        )
    faults = []
    for name in _NUMBERS:
        texts = table[name] if name in table.columns else pd.Series(math.nan, index=table.index)
        numbers = as_floats(texts)
        faults += [
            f"{name} {shown(str(text))} of {shown(pattern)} is not a positive number; leave it empty where it is unknown"
            for pattern, text, number in zip(table["pattern"], texts, numbers, strict=True)
            if str(text).strip() not in {"", "nan"} and not (math.isfinite(number) and number > 0)
        ]
        table[name] = numbers
    faults += [
        f"row {row} has no pattern" for row, pattern in enumerate(table["pattern"], start=1) if not pattern.strip()
    ]
    if faults:
        more = f"; and {len(faults) - _FAULTS} more" if len(faults) > _FAULTS else ""
        raise TableError(f"{path}: " + "; ".join(faults[:_FAULTS]) + more)
    first = table["pattern"].str.partition("|")[0].str.rpartition("/")[2]
    for name, default in (("model", first), ("family", first.map(family_in_name)), ("source", str(path))):
        table[name] = table[name].where(table[name] != "", default) if name in table.columns else default
    return table[COLUMNS]


class ModelTable:
    """Look-up of a model by the name that a result file gives it.

    Parameters
    ----------
    table : as `models` returns it; of several rows that match, the first counts.
    """

    def __init__(self, table: pd.DataFrame) -> None:
        self._plain: dict[str, Known] = {}
        self._wild: list[tuple[str, Known]] = []
        for row in table[COLUMNS].itertuples(index=False):
            known = Known(str(row.family), str(row.model), *(float(getattr(row, name)) for name in _NUMBERS))
            for pattern in str(row.pattern).lower().split("|"):
                name = pattern.strip()
                if any(mark in name for mark in "*?["):
                    self._wild.append((name, known))
                elif name:
                    self._plain.setdefault(name, known)

    def look_up(self, name: str) -> Known | None:
        """Return what is known of the model of a name such as ``EleutherAI/pythia-v1.1-70m``, None if nothing is.

        Examples
        --------
        >>> table = ModelTable(models())
        >>> table.look_up("EleutherAI/pythia-v1.1-70m").model, table.look_up("my-model")
        ('pythia-70m', None)
        """
        parts = [part for part in name.lower().replace("\\\\", "/").replace("__", "/").split("/") if part]
        endings = ["/".join(parts[start:]) for start in range(len(parts))]
        for ending in endings:  # the longest first: pythia-v0/pythia-70m is not pythia-70m
            if ending in self._plain:
                return self._plain[ending]
        return next(
            (known for pattern, known in self._wild if any(fnmatchcase(each, pattern) for each in endings)), None
        )


def size_in_name(name: str) -> float | None:
    """Return the nominal size that a name gives, None where it gives none or several.

    Examples
    --------
    >>> size_in_name("org/my-model-1.3b"), size_in_name("bloom-1b7"), size_in_name("Mixtral-8x7B"), size_in_name("tiny-30k")
    (1300000000.0, 1700000000.0, None, 30000.0)
    """
    found = _SIZE.findall(name.rpartition("/")[2])
    if len(found) != 1:
        return None
    number, unit, decimal = found[0]
    value = float(f"{number}.{decimal}" if decimal and "." not in number else number) * _MULTIPLES[unit.lower()]
    return value if value > 0 else None


def family_in_name(name: str) -> str:
    """Return a name without its size and organisation: what models of several sizes have in common.

    Examples
    --------
    >>> family_in_name("org/my-model-1.3b-base"), family_in_name("models/tiny/tiny-30k"), family_in_name("gpt-4")
    ('my-model-base', 'tiny', 'gpt-4')
    """
    last = name.rpartition("/")[2]
    kept = [part for part in _SIZE.sub("", last).split("-") if _SEPARATORS.sub("", part)]
    return "-".join(kept) or last


def number_in_words(text: str) -> float | None:
    """Return the number that a text such as ``70m`` or ``1.3B`` gives, None if it gives none.

    Examples
    --------
    >>> number_in_words("70m"), number_in_words("1.3 B"), number_in_words("large")
    (70000000.0, 1300000000.0, None)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmbt])\s*", text, re.IGNORECASE | re.ASCII)
    return float(match[1]) * _MULTIPLES[match[2].lower()] if match else None
