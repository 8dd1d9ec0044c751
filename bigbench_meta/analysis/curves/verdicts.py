"""From effect sizes and q-values to one word per curve, with its reason.

Vocabulary
----------
family of tests
    The curves whose p-values are corrected together: leaf curves of their task's preferred metric that could be
    tested, and, as a family of its own, those of the other metrics. Aggregates and the derived metric never enter.
margin
    The change below which two scores are called equal; *flat* and *smooth* are findings only within it. A share of the
    curve's margin scale: the range of the metric, or what `bigbench_meta.analysis.curves.margins` puts in its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bigbench_meta.analysis.curves.power import ENOUGH
from bigbench_meta.analysis.curves.sharpness import TRUSTED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

# Why a curve that passes the correction is not called sharp.
NOT_TRUSTED = f"many overdispersed items, where only p <= {TRUSTED:g} is trusted"
AT_LIMIT = "at the limit of the draws"
CONSTANT_ANSWER = "jumps between the shares of two constant answers, which no trend and no jump can be read from"
# Share of false findings among the findings of a family of tests.
FALSE_DISCOVERY_RATE = 0.05
# Margins on the 0-1 scale, those of the published audit of the same curves (Zenodo 10.5281/zenodo.21020386): it calls
# small models at chance within .05, and a breakthrough a rise of .10.
FLAT_MARGIN, JUMP_MARGIN = 0.05, 0.10
# A small rise is smooth only if less than half of it can be one jump.
JUMP_SHARE = 0.5


class Evidence(NamedTuple):
    """What a verdict rests on; effects in units of the margin scale.

    ``at_draw_limit`` names the decisions that the draws did not settle, ``doubtful`` is `sharpness.level_is_doubtful`,
    ``surprise_needs`` says which scores of the largest scale would be a surprise (``above 0.6``), empty if none would;
    ``power_sharp`` and ``power_surprise`` are the power to see a jump of .4 of the range.
    """

    refused: str
    constant_answer: bool
    q_trend: float
    q_sharp: float
    q_surprise: float
    q_nonmonotone: float
    p_sharp: float
    p_falling: float
    sign: int
    rise: float
    rise_low: float
    rise_high: float
    jump_high: float
    detectable: float
    sharp_up_to: float
    doubtful: bool
    power_sharp: float
    power_surprise: float
    surprise_needs: str
    at_draw_limit: frozenset[str] = frozenset()


class Verdict(NamedTuple):
    """One of `bigbench_meta.schema.VERDICTS`, its reason, and whether the curve is emergent (None: not known)."""

    word: str
    reason: str
    emergent: bool | None


def verdict(evidence: Evidence) -> Verdict:
    """Choose the word for one curve.

    In this order: ``too_few_scales`` (fewer than 4); ``undecided`` if no test could be run, or the curve jumps between
    the shares of two constant answers; ``nonmonotone`` if no monotone curve explains it; ``inverse`` for a significant
    fall, net of everything, that a falling curve explains (worse with scale, whichever end of the metric is better);
    ``sharp`` for a significant rise that is sharper than every smooth curve; ``flat`` if the whole interval of the rise is
    within +-.05 of the margin scale; ``smooth`` for a significant rise on which no jump above .10, nor above half of the
    rise, can hide, and not sharp at p <= .05 even uncorrected; else ``undecided``, with the jump that would have been seen.
    Where the level of the sharpness test is doubtful, *sharp* needs p <= .01 besides. A decision on which the verdict hangs
    and which the draws have not settled makes it ``undecided``, with the reason `AT_LIMIT`.

    Emergent: sharp and a surprise, both at q <= .05. Not, where the curve is flat, smooth or inverse, and where one of the
    two was not found although a jump of .4 of the range would have been with a power of 80%. Else not known.
    """
    if evidence.refused:
        word = "too_few_scales" if evidence.refused == "too few scales" else "undecided"
        return Verdict(word, evidence.refused, None)
    if evidence.constant_answer:
        return Verdict("undecided", CONSTANT_ANSWER, None)
    found = _shape(evidence)
    if found.word in {"flat", "smooth", "inverse"}:
        return found._replace(emergent=False)
    if found.word == "nonmonotone" or found.reason.startswith(AT_LIMIT):
        return found
    surprised = evidence.q_surprise <= FALSE_DISCOVERY_RATE
    needed = f"only a score {evidence.surprise_needs}" if evidence.surprise_needs else "no score"
    unseen = "" if surprised else f"; {needed} of the largest model would have been a surprise"
    return found._replace(reason=found.reason + unseen, emergent=_emergent(evidence, sharp=found.word == "sharp"))


def _emergent(evidence: Evidence, *, sharp: bool) -> bool | None:
    if not (np.isfinite(evidence.q_sharp) and np.isfinite(evidence.q_surprise)) or "surprise" in evidence.at_draw_limit:
        return None
    surprised = evidence.q_surprise <= FALSE_DISCOVERY_RATE
    if sharp and surprised:
        return True
    seen = (sharp or evidence.power_sharp >= ENOUGH) and (surprised or evidence.power_surprise >= ENOUGH)
    return False if seen else None


def _shape(evidence: Evidence) -> Verdict:
    """Choose the word for the course of a tested curve; whether it is emergent is not asked."""
    if evidence.at_draw_limit & {"nonmonotone", "trend"}:
        return _at_limit(evidence)
    significant = evidence.q_trend <= FALSE_DISCOVERY_RATE
    if evidence.q_nonmonotone <= FALSE_DISCOVERY_RATE:
        change = f"from the smallest to the largest model {evidence.rise:+.2f}"
        return Verdict(
            "nonmonotone", f"no rising and no falling curve explains it within the noise of items; {change}", None
        )
    if significant and evidence.sign < 0:
        if "falling" in evidence.at_draw_limit:
            return _at_limit(evidence)
        if evidence.rise_high < 0 and evidence.p_falling > FALSE_DISCOVERY_RATE:
            return Verdict("inverse", "gets worse with scale", None)
        return Verdict(
            "undecided", "falls, but a falling curve does not explain it or its net change may be none", None
        )
    steep = evidence.q_sharp <= FALSE_DISCOVERY_RATE and significant
    trusted = not evidence.doubtful or evidence.p_sharp <= TRUSTED
    if significant and "sharp" in evidence.at_draw_limit:
        return _at_limit(evidence)
    if steep and trusted:
        beyond = f"up to exponent {evidence.sharp_up_to:g}" if np.isfinite(evidence.sharp_up_to) else "at the bound"
        return Verdict("sharp", f"sharper than every smooth curve {beyond}", None)
    if steep:
        return Verdict("undecided", f"{NOT_TRUSTED}: p = {evidence.p_sharp:.2g}", None)
    if evidence.rise_low > -FLAT_MARGIN and evidence.rise_high < FLAT_MARGIN:
        return Verdict("flat", f"change within {FLAT_MARGIN:g}", None)
    if significant and evidence.p_sharp > FALSE_DISCOVERY_RATE and _hides_little(evidence.jump_high, evidence.rise):
        return Verdict("smooth", f"rises, and no jump above {evidence.jump_high:.2f} can hide", None)
    what = "rises, but" if significant else "no trend seen, but"
    seen = (
        f"; only a jump of {evidence.detectable:.2f} would have been seen" if np.isfinite(evidence.detectable) else ""
    )
    hidden = (
        f"a jump up to {evidence.jump_high:.2f} can hide" if np.isfinite(evidence.jump_high) else "any jump can hide"
    )
    return Verdict("undecided", f"{what} {hidden}{seen}", None)


def _at_limit(evidence: Evidence) -> Verdict:
    return Verdict("undecided", f"{AT_LIMIT}: {', '.join(sorted(evidence.at_draw_limit))}", None)


def _hides_little(jump_high: float, rise: float) -> bool:
    return bool(jump_high < min(JUMP_MARGIN, JUMP_SHARE * rise))


def hangs_on_fixed_levels(*, sign: int, doubtful: bool, jump_high: float, rise: float) -> bool:
    """Tell whether the verdict of a curve may hang on p at a fixed level; effects in units of the margin scale.

    Examples
    --------
    >>> hangs_on_fixed_levels(sign=1, doubtful=False, jump_high=0.3, rise=0.4)
    False
    """
    return sign < 0 or doubtful or _hides_little(jump_high, rise)
