"""What a margin is a share of, and curves that jump between the shares of two constant answers.

Vocabulary
----------
margin scale
    The change of the score that counts as 1 for the margins of *flat*, *smooth* and for stated jumps: the range of the
    metric where a model may use all of it; for a metric without a range, and for a probability or another mean that stays
    in a small part of its range, the range that the family's models span on it, over all its tasks.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bigbench_meta.analysis.curves.prepare import Curve

    Vector = NDArray[np.float64]

# A share of the points that must lie on one of the two constant answers, and the distance from them, in items.
_ON_AN_ANSWER, _ITEMS_AWAY = 0.75, 1.0


def with_margins(curves: Sequence[Curve], given: Sequence[float], partial: Sequence[bool]) -> list[Curve]:
    """Give every curve its margin scale.

    Parameters
    ----------
    given : the scale that the registry states, in the metric's own units; NaN where it states none.
    partial : whether the metric is a mean that stays in a small part of its range.
    """
    low: dict[tuple[str, str, int], float] = defaultdict(lambda: np.inf)
    high: dict[tuple[str, str, int], float] = defaultdict(lambda: -np.inf)
    for curve in curves:
        known = curve.y[np.isfinite(curve.y)]
        if not curve.refused and len(known):
            group = curve.key[2], curve.key[3], curve.key[4]
            low[group], high[group] = min(low[group], float(known.min())), max(high[group], float(known.max()))
    found = []
    for curve, stated, small in zip(curves, given, partial, strict=True):
        group = curve.key[2], curve.key[3], curve.key[4]
        span = high[group] - low[group]
        scale = 1.0
        if np.isfinite(stated) and stated > 0:
            scale = stated / curve.unit
        elif (small or not curve.has_range) and np.isfinite(span) and span > 0:
            scale = min(span, 1.0) if curve.has_range else span
        found.append(replace(curve, margin_scale=float(scale)))
    return found


def constant_answers(y: Vector, *, n_items: float) -> bool:
    """Tell whether a curve of shares jumps between a and 1 - a, as models do that answer all of two classes with one.

    Where the classes hold shares a and 1 - a of the items, a model that always gives the same answer scores one or the
    other. Inferred where both ends of the largest step are within an item of such a pair, a not one half, and three
    quarters of the points lie on one of the two.

    Examples
    --------
    >>> constant_answers(np.array([0.365, 0.365, 0.635, 0.635, 0.365]), n_items=104)
    True
    >>> constant_answers(np.array([0.3, 0.4, 0.5, 0.6, 0.7]), n_items=104)
    False
    """
    if not np.isfinite(n_items) or len(y) < 2 or np.ptp(y) == 0:
        return False
    at = int(np.argmax(np.abs(np.diff(y))))
    one, other = float(y[at]), float(y[at + 1])
    close = _ITEMS_AWAY / n_items + 1e-9
    if abs(one + other - 1.0) > close or abs(one - other) <= 4 * close or min(one, other) <= close:
        return False
    on_one = np.minimum(np.abs(y - one), np.abs(y - other)) <= close
    return bool(on_one.mean() >= _ON_AN_ANSWER)
