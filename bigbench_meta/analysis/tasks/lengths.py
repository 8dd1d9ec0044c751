"""Target lengths among results: which tasks can be put to the full law with L, and what it says of them.

Vocabulary
----------
target length
    Tokens that the targets of a (sub)task have: given by the user, else read from a name that ends in ``length_L``.
law, effective length
    See `lengths`: the one needs several target lengths, the other a per-token score of the same outputs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from bigbench_meta.analysis.curves.laws import DEFAULT_BOUND
from bigbench_meta.analysis.multiplicity import q_values
from bigbench_meta.analysis.tasks.length_law import LEVEL, MIN_LENGTHS, effective_length, length_law
from bigbench_meta.errors import AnalysisError
from bigbench_meta.table_files import as_floats

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from bigbench_meta.analysis.tasks.length_law import Estimate

EXACT, PER_TOKEN = "exact_str_match", "per_token_accuracy"
COLUMNS = (
    "task", "subtask", "family", "shots", "quantity", "target_length", "estimate", "low", "high", "level", "hypothesis",
    "p_value", "q_value", "dispersion", "n_points", "n_left_out", "unit", "reason",
)  # fmt: skip
_NUMBERS = ("target_length", "estimate", "low", "high", "level", "p_value", "q_value", "dispersion")
_DTYPES = dict.fromkeys(_NUMBERS, "float64") | dict.fromkeys(("shots", "n_points", "n_left_out"), "int64")
# How subtasks name their target length.
_LENGTH = re.compile(r"length[_ -]?(\d+)$")


def length_tests(frame: pd.DataFrame, *, curves: pd.DataFrame, lengths: pd.DataFrame | None = None) -> pd.DataFrame:
    """Fit the length law where target lengths are known, and effective lengths where a per-token score of the outputs is.

    Parameters
    ----------
    frame
        RESULTS. Used are `EXACT` and `PER_TOKEN` of leaf subtasks; repeats of a point are averaged.
    curves
        CURVES with ``n_items``, the items behind each point, as the analysis fills it in.
    lengths
        ``task, target_length`` and, where they matter, ``subtask``: tokens of the targets. For the tasks that it does not
        name, a subtask whose name ends in ``length_L`` has L.

    Returns
    -------
    DataFrame
        Per task, family and shots: one row ``exponent`` and one ``length power`` where two lengths or more are known, and
        one ``effective length`` per subtask with a per-token score. Columns ``task, subtask`` (empty for the law, which
        is fitted to all of them), ``family, shots, quantity, target_length, estimate, low, high, level, hypothesis``
        (``at most 0.34`` is one-sided, the others two-sided), ``p_value, q_value, dispersion, n_points, n_left_out``
        (points without items, with a score outside 0 to 1, or of a per-token accuracy of 0 or 1), ``unit, reason``. Empty
        where no task has two known lengths and none a per-token score beside exact match.

    Raises
    ------
    AnalysisError
        If ``lengths`` lacks a column, has a length below 1, or speaks twice of one subtask.

    Notes
    -----
    Unit of independence: a point, one model at one length. ``q_value``: Benjamini-Hochberg over the defined p-values of
    one quantity, all tasks, families and shots together. A row without known items has the reason ``items_unknown``.
    """
    import pandas as pd

    rows = list(_rows(_points(frame, curves=curves, lengths=lengths)))
    table = pd.DataFrame(rows, columns=COLUMNS).astype(_DTYPES)
    table["q_value"] = table.groupby("quantity")["p_value"].transform(q_values)
    return table


def _points(frame: pd.DataFrame, *, curves: pd.DataFrame, lengths: pd.DataFrame | None) -> pd.DataFrame:
    """One row a task, subtask, family, shots and scale: both scores, target length and items, NaN where unknown."""
    import pandas as pd

    used = frame[
        frame["metric"].isin([EXACT, PER_TOKEN]) & ~frame["is_aggregate"].to_numpy(bool) & (frame["scale"] > 0)
    ]
    used = used.astype(dict.fromkeys(("task", "subtask", "family", "metric"), str))
    key = ["task", "subtask", "family", "shots"]
    wide = used.pivot_table("score", [*key, "scale"], "metric").reindex(columns=[EXACT, PER_TOKEN]).reset_index()
    exact = curves[(curves["metric"].astype(str) == EXACT).to_numpy(bool)]
    items = exact[[*key, "n_items"]].astype(dict.fromkeys(key[:3], str))
    wide = wide[wide[EXACT].notna()].merge(items, on=key, how="left")
    named = wide["subtask"].str.extract(_LENGTH)[0]
    wide["target_length"] = pd.to_numeric(named).astype("float64")
    if lengths is not None:
        given = given_lengths(lengths)
        told = wide["task"].isin({task for task, _ in given})
        pairs = zip(wide["task"], wide["subtask"], strict=True)
        own = [given.get((task, subtask), given.get((task, ""), np.nan)) for task, subtask in pairs]
        wide["target_length"] = np.where(told, own, wide["target_length"])
    return wide


def given_lengths(lengths: pd.DataFrame) -> dict[tuple[str, str], float]:
    """Return the target length by (task, subtask), the latter empty where it holds for the whole task; errors as above."""
    import pandas as pd

    missing = {"task", "target_length"} - set(lengths.columns)
    if missing:
        raise AnalysisError(
            f"lengths: column(s) {', '.join(sorted(missing))} missing; expected task, target_length and, if need be, subtask"
        )
    number = as_floats(lengths["target_length"])
    bad = ~(np.isfinite(number) & (number >= 1)).to_numpy(bool)
    if bad.any():
        raise AnalysisError(
            f"lengths: target_length of task {lengths['task'].iloc[int(np.argmax(bad))]!r} is not a number of at least 1"
            f" ({int(bad.sum())} such rows); leave the row out where the length is unknown"
        )
    subtask = lengths["subtask"].fillna("") if "subtask" in lengths else pd.Series("", index=lengths.index)
    rows = dict(zip(zip(lengths["task"].astype(str), subtask.astype(str), strict=True), number.tolist(), strict=True))
    if len(rows) != len(lengths):
        raise AnalysisError(f"lengths: {len(lengths) - len(rows)} rows repeat a (task, subtask); name each once")
    return rows


def _rows(points: pd.DataFrame) -> Iterator[dict[str, object]]:
    """Rows of `length_tests`, without q-values."""
    for (task, family, shots), part in points.groupby(["task", "family", "shots"], sort=True):
        place = {"task": task, "family": family, "shots": shots, "level": LEVEL, "unit": "one model at one length"}
        if part["target_length"].nunique() >= MIN_LENGTHS:
            of_known = part[part["target_length"].notna()]
            usable = of_known[_usable(of_known)]
            law = length_law(
                usable[EXACT].to_numpy(np.float64),
                lengths=usable["target_length"].to_numpy(np.float64),
                scales=usable["scale"].to_numpy(np.float64),
                n_items=usable["n_items"].to_numpy(np.float64),
            )
            rest: dict[str, object] = {
                "subtask": "",
                "dispersion": law.dispersion,
                "n_points": law.n_points,
                "n_left_out": len(of_known) - len(usable),
                "reason": _why(of_known, law.reason),
            }
            yield place | rest | _numbers("exponent", law.exponent, f"at most {DEFAULT_BOUND:g}")
            yield place | rest | _numbers("length power", law.power, "equal to 1")
        for (length, subtask), own in part.groupby(["target_length", "subtask"], sort=True, dropna=False):
            if own[PER_TOKEN].notna().any():
                yield place | _effective_row(str(subtask), float(str(length)), own)


def _effective_row(subtask: str, length: float, own: pd.DataFrame) -> dict[str, object]:
    usable = own[_usable(own) & own[PER_TOKEN].between(0, 1)]
    found = effective_length(
        usable[EXACT].to_numpy(np.float64),
        per_token=usable[PER_TOKEN].to_numpy(np.float64),
        length=length,
        n_items=usable["n_items"].to_numpy(np.float64),
    )
    hypothesis = f"equal to {length:g}" if np.isfinite(length) else ""
    return _numbers("effective length", found.length, hypothesis) | {
        "subtask": subtask,
        "target_length": length,
        "dispersion": found.dispersion,
        "n_points": found.n_points,
        "n_left_out": found.n_left_out + len(own) - len(usable),
        "reason": _why(own, found.reason),
    }


def _usable(points: pd.DataFrame) -> pd.Series[bool]:
    return points["n_items"].notna() & points[EXACT].between(0, 1)


def _why(points: pd.DataFrame, reason: str) -> str:
    return "items_unknown" if points["n_items"].isna().all() else reason


def _numbers(quantity: str, found: Estimate, hypothesis: str) -> dict[str, object]:
    numbers = {"estimate": found.value, "low": found.low, "high": found.high, "p_value": found.p_value}
    return {"quantity": quantity, "hypothesis": hypothesis, **numbers}
