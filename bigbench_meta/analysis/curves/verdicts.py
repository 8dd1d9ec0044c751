"""From effect sizes and q-values to one word per curve, with its reason.

Vocabulary
----------
family of tests
    The curves whose p-values are corrected together: leaf curves of their task's preferred metric that could be
    tested. Aggregates and the derived metric never enter; curves of other metrics have p-values of their own.
margin
    The change below which two scores are called equal; *flat* and *smooth* are findings only within it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bigbench_meta.analysis.curves.sharpness import TRUSTED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

# Why a curve that passes the correction is not called sharp.
NOT_TRUSTED = f"many overdispersed items, where only p <= {TRUSTED:g} is trusted"
# Share of false findings among the findings of a family of tests.
FALSE_DISCOVERY_RATE = 0.05
# Margins on the 0-1 scale, those of the published audit of the same curves (Zenodo 10.5281/zenodo.21020386): it calls
# small models at chance within .05, and a breakthrough a rise of .10.
FLAT_MARGIN, JUMP_MARGIN = 0.05, 0.10
# A small rise is smooth only if less than half of it can be one jump.
JUMP_SHARE = 0.5


class Evidence(NamedTuple):
    """What a verdict rests on; effects in units of a 0-1 score, ``has_range`` False where there is no such scale.

    ``q_trend``, ``q_sharp``, ``q_surprise`` are q-values inside the family of tests and p-values outside it.
    ``doubtful`` is `sharpness.level_is_doubtful`, ``surprise_needs`` says which
    scores of the largest scale would be a surprise (``above 0.6``), empty if none would.
    """

    n_scales: int
    refused: str
    q_trend: float
    q_sharp: float
    q_surprise: float
    p_sharp: float
    sign: int
    rise: float
    rise_low: float
    rise_high: float
    jump_high: float
    detectable: float
    sharp_up_to: float
    width_low: float
    has_range: bool
    doubtful: bool
    surprise_needs: str


class Verdict(NamedTuple):
    """One of `bigbench_meta.schema.VERDICTS`, its reason, and whether the curve is emergent (None: not known)."""

    word: str
    reason: str
    emergent: bool | None


def verdict(evidence: Evidence) -> Verdict:
    """Choose the word for one curve.

    In this order: ``too_few_scales`` (fewer than 4); ``undecided`` if no test could be run; ``inverse`` for a
    significant fall (worse with scale, whichever end of the metric is better); ``sharp`` for a significant rise that is
    sharper than every smooth curve; ``flat`` if the whole interval of the rise is within +-.05; ``smooth`` for a
    significant rise on which no jump above .10, nor above half of the rise, can hide, and not sharp at p <= .05 even
    uncorrected; else ``undecided``, with the jump that would have been seen. Where the level of the sharpness test is
    doubtful, *sharp* needs p <= .01 besides. A metric without a range has no margins and is never *flat* or *smooth*.

    Emergent: sharp and a surprise, both at q <= .05 (p outside the family of tests); not known where one was not tested,
    and where the curve is sharp or undecided and no score of the largest scale could have been a surprise. Flat, smooth and
    inverse curves are not.
    """
    if evidence.refused:
        word = "too_few_scales" if evidence.refused == "too few scales" else "undecided"
        return Verdict(word, evidence.refused, None)
    significant = evidence.q_trend <= FALSE_DISCOVERY_RATE
    steep = evidence.q_sharp <= FALSE_DISCOVERY_RATE and significant and evidence.sign > 0
    sharp = steep and (not evidence.doubtful or evidence.p_sharp <= TRUSTED)
    surprised = evidence.q_surprise <= FALSE_DISCOVERY_RATE
    could_surprise = surprised or bool(evidence.surprise_needs)
    settled: bool | None = None  # whether the curve is emergent if its shape is settled, and if it is not
    if np.isfinite(evidence.q_sharp) and np.isfinite(evidence.q_surprise):
        settled = bool(sharp and surprised)
    emergent = settled if could_surprise else None
    needed = f"only a score {evidence.surprise_needs}" if evidence.surprise_needs else "no score"
    unseen = "" if surprised else f"; {needed} of the largest model would have been a surprise"
    if significant and evidence.sign < 0:
        return Verdict("inverse", "gets worse with scale", settled)
    if sharp:
        beyond = f"up to exponent {evidence.sharp_up_to:g}" if np.isfinite(evidence.sharp_up_to) else "at the bound"
        return Verdict("sharp", f"sharper than every smooth curve {beyond}{unseen}", emergent)
    if steep:
        return Verdict("undecided", f"{NOT_TRUSTED}: p = {evidence.p_sharp:.2g}{unseen}", emergent)
    if not evidence.has_range:
        return Verdict("undecided", f"the metric has no range to set a margin on{unseen}", emergent)
    if evidence.rise_low > -FLAT_MARGIN and evidence.rise_high < FLAT_MARGIN:
        return Verdict("flat", f"change within {FLAT_MARGIN:g}", settled)
    hides_little = evidence.jump_high < min(JUMP_MARGIN, JUMP_SHARE * evidence.rise)
    if significant and evidence.p_sharp > FALSE_DISCOVERY_RATE and hides_little:
        return Verdict("smooth", f"rises, and no jump above {evidence.jump_high:.2f} can hide", settled)
    what = "rises, but" if significant else "no trend seen, but"
    seen = (
        f"; only a jump of {evidence.detectable:.2f} would have been seen" if np.isfinite(evidence.detectable) else ""
    )
    hidden = (
        f"a jump up to {evidence.jump_high:.2f} can hide" if np.isfinite(evidence.jump_high) else "any jump can hide"
    )
    return Verdict("undecided", f"{what} {hidden}{seen}{unseen}", emergent)
