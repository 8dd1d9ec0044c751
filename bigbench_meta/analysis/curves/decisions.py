"""Tell which decisions on curves the Monte Carlo p-values settle, and which must be drawn further.

Vocabulary
----------
settled
    A decision that every p-value inside its confidence sequence would make alike. With the stated risk it is then the
    decision that infinitely many draws would make, whatever the seed.

Notes
-----
Benjamini-Hochberg rejects more the smaller the p-values are. So what it rejects with every p at the upper end of its
sequence it rejects with the true ones, and what it does not reject with every p at the lower end it does not [1]_. What lies
between is drawn further, four times as far each time, until nothing does or the limit of the draws is reached.

References
----------
.. [1] Gandy, A., Hahn, G. (2014). MMCTest: a safe algorithm for implementing multiple Monte Carlo tests. Scand. J. Stat. 41.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bigbench_meta.analysis.curves.inference import MONOTONE
from bigbench_meta.analysis.curves.montecarlo import bounds
from bigbench_meta.analysis.curves.sharpness import TRUSTED
from bigbench_meta.analysis.curves.verdicts import FALSE_DISCOVERY_RATE
from bigbench_meta.analysis.multiplicity import q_values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bigbench_meta.analysis.curves.inference import CurveResult

    Flags = NDArray[np.bool_]

# Probability that any decision of one family of tests on one hypothesis is not that of infinitely many draws.
RISK = 0.01
# The hypotheses with a correction of their own, and the tests whose largest p is theirs.
HYPOTHESES: dict[str, tuple[str, ...]] = {
    "trend": ("trend",),
    "sharp": ("sharp",),
    "surprise": ("surprise",),
    "nonmonotone": MONOTONE,
}
# Decisions at a fixed level on p itself: whether a smooth rise may be called smooth, whether an overdispersed one is sharp,
# and whether a falling curve explains a fall.
_FIXED = (
    ("sharp", ("sharp",), FALSE_DISCOVERY_RATE),
    ("sharp", ("sharp",), TRUSTED),
    ("falling", ("falling",), FALSE_DISCOVERY_RATE),
)


class Open(NamedTuple):
    """What is not settled: per curve the tests to draw further, and the names of the decisions that hang on them."""

    tests: list[set[str]]
    decisions: list[set[str]]


def open_decisions(results: Sequence[CurveResult], *, family: Sequence[int], settle_fixed: Sequence[bool]) -> Open:
    """Find what the draws so far leave open.

    Parameters
    ----------
    results : the curves of all families of tests.
    family : the number of the family of each.
    settle_fixed : whether the verdict of each may hang on a fixed level of p.
    """
    numbers = np.asarray(family)
    tests: list[set[str]] = [set() for _ in results]
    decisions: list[set[str]] = [set() for _ in results]
    for one in np.unique(numbers).tolist():
        members = np.flatnonzero(numbers == one)
        for name, parts in HYPOTHESES.items():
            low, high = _largest(results, members, parts)
            tested = np.isfinite(high)
            surely = np.zeros(len(members), dtype=bool)
            perhaps = surely.copy()
            surely[tested] = q_values(high[tested]) <= FALSE_DISCOVERY_RATE
            perhaps[tested] = q_values(low[tested]) <= FALSE_DISCOVERY_RATE
            _note(members[perhaps & ~surely], parts, name, tests=tests, decisions=decisions)
        for name, parts, level in _FIXED:
            low, high = _largest(results, members, parts)
            hangs = (low <= level) & (high > level) & np.asarray(settle_fixed)[members]
            _note(members[hangs], parts, name, tests=tests, decisions=decisions)
    return Open(tests, decisions)


def _note(
    curves: NDArray[np.int64], parts: tuple[str, ...], name: str, *, tests: list[set[str]], decisions: list[set[str]]
) -> None:
    for at in curves.tolist():
        tests[at] |= set(parts)
        decisions[at].add(name)


def _largest(
    results: Sequence[CurveResult], members: NDArray[np.int64], parts: tuple[str, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ends of the largest p of several tests of each curve; NaN where none was made."""
    low, high = np.full(len(members), np.nan), np.full(len(members), np.nan)
    for part in parts:
        made = [results[at].tests.get(part) for at in members.tolist()]
        has = np.array([each is not None and each.draws > 0 for each in made], dtype=bool)
        if has.any():
            known = [each for each in made if each is not None and each.draws > 0]
            ends = bounds(
                np.array([each.large for each in known]),
                np.array([each.draws for each in known]),
                risk=RISK / (len(members) * len(parts)),
            )
            low[has], high[has] = np.fmax(low[has], ends[0]), np.fmax(high[has], ends[1])
    return low, high
