"""Corrections, words, and p-values: hand-computed cases."""

from __future__ import annotations

import numpy as np
import pytest

from bigbench_meta.analysis.curves.fits import Levels
from bigbench_meta.analysis.curves.montecarlo import curve_rng, sequential_pvalues
from bigbench_meta.analysis.curves.noise import Noise
from bigbench_meta.analysis.curves.prepare import Curve
from bigbench_meta.analysis.curves.sharpness import level_is_doubtful
from bigbench_meta.analysis.curves.verdicts import NOT_TRUSTED, Evidence, verdict
from bigbench_meta.emergence import emergence_floored

CLEAR = Evidence(
    refused="",
    constant_answer=False,
    q_trend=0.001,
    q_sharp=0.5,
    q_surprise=0.5,
    q_nonmonotone=0.5,
    p_sharp=0.5,
    p_falling=0.001,
    sign=1,
    rise=0.4,
    rise_low=0.3,
    rise_high=0.5,
    jump_high=0.05,
    detectable=0.04,
    sharp_up_to=np.nan,
    doubtful=False,
    power_sharp=0.9,
    power_surprise=0.9,
    surprise_needs="above 0.6",
)
FALL = {"sign": -1, "rise": -0.4, "rise_low": -0.5, "rise_high": -0.3, "p_falling": 0.5}


@pytest.mark.parametrize(
    ("changes", "word", "emergent"),
    [
        ({}, "smooth", False),
        ({"q_sharp": 0.01, "p_sharp": 0.001, "sharp_up_to": 0.7}, "sharp", False),
        ({"q_sharp": 0.01, "p_sharp": 0.001, "q_surprise": 0.01}, "sharp", True),
        ({"q_sharp": 0.01, **FALL}, "inverse", False),
        ({**FALL, "q_nonmonotone": 0.04}, "nonmonotone", None),
        ({**FALL, "p_falling": 0.05}, "undecided", False),
        ({**FALL, "rise_high": 0.01}, "undecided", False),
        ({"q_sharp": 0.01, "p_sharp": 0.001, "q_surprise": 0.01, "q_nonmonotone": 0.04}, "nonmonotone", None),
        ({"q_sharp": 0.01, "q_trend": 0.5}, "undecided", False),
        ({"p_sharp": 0.04}, "undecided", False),
        ({"jump_high": 0.11}, "undecided", False),
        ({"rise": 0.08, "jump_high": 0.05}, "undecided", False),
        ({"q_trend": 0.5, "rise_low": -0.04, "rise_high": 0.04}, "flat", False),
        ({"q_trend": 0.5, "rise_low": -0.049, "rise_high": 0.049}, "flat", False),
        ({"q_trend": 0.5, "rise_low": -0.04, "rise_high": 0.051}, "undecided", False),
        ({"q_trend": 0.5, "rise_low": -0.051, "rise_high": 0.04}, "undecided", False),
        ({"refused": "too few scales"}, "too_few_scales", None),
        ({"refused": "missing values"}, "undecided", None),
        ({"constant_answer": True, "q_sharp": 0.01, "p_sharp": 0.001}, "undecided", None),
        ({"jump_high": 0.11, "q_surprise": np.nan}, "undecided", None),
        ({"q_sharp": 0.04, "p_sharp": 0.009, "doubtful": True}, "sharp", False),
        ({"q_sharp": 0.04, "p_sharp": 0.02, "doubtful": True}, "undecided", False),
        # absence is not evidence: a sharp curve may hide a surprise, an undecided one either
        ({"q_sharp": 0.01, "p_sharp": 0.001, "power_surprise": 0.79}, "sharp", None),
        ({"q_sharp": 0.01, "p_sharp": 0.001, "power_sharp": 0.1}, "sharp", False),
        ({"q_sharp": 0.01, "p_sharp": 0.001, "q_surprise": 0.01, "power_surprise": 0.1}, "sharp", True),
        ({"jump_high": 0.11, "power_sharp": 0.79}, "undecided", None),
        ({"jump_high": 0.11, "power_surprise": 0.79}, "undecided", None),
        ({"power_sharp": 0.1, "power_surprise": 0.1}, "smooth", False),
        # what the draws left open
        ({"at_draw_limit": frozenset({"sharp"})}, "undecided", None),
        ({"at_draw_limit": frozenset({"trend"})}, "undecided", None),
        ({"at_draw_limit": frozenset({"nonmonotone"})}, "undecided", None),
        ({"at_draw_limit": frozenset({"falling"}), **FALL}, "undecided", None),
        ({"at_draw_limit": frozenset({"sharp"}), "q_trend": 0.5, "rise_low": -0.04, "rise_high": 0.04}, "flat", False),
        ({"at_draw_limit": frozenset({"surprise"}), "q_sharp": 0.01, "p_sharp": 0.001, "q_surprise": 0.01}, "sharp", None),
    ],
)  # fmt: skip
def test_each_word_follows_its_rule(changes: dict, word: str, emergent: bool | None) -> None:
    """One change of the evidence at a time, by the order of rules in the docstring."""
    found = verdict(CLEAR._replace(**changes))
    assert (found.word, found.emergent) == (word, emergent)
    assert found.reason


def test_reasons_say_what_was_refused_and_what_could_not_be_seen() -> None:
    """A refused sharp curve names the rule; a curve on which nothing could surprise says so; so does the limit of the draws."""
    refused = verdict(CLEAR._replace(q_sharp=0.04, p_sharp=0.02, doubtful=True))
    assert refused.reason.startswith(NOT_TRUSTED)
    assert "p = 0.02" in refused.reason
    blind = verdict(CLEAR._replace(jump_high=0.2, surprise_needs=""))
    assert blind.reason.endswith("no score of the largest model would have been a surprise")
    far = verdict(CLEAR._replace(jump_high=0.2))
    assert far.reason.endswith("only a score above 0.6 of the largest model would have been a surprise")
    assert verdict(CLEAR._replace(at_draw_limit=frozenset({"sharp"}))).reason == "at the limit of the draws: sharp"


def test_sequential_p_value_is_valid() -> None:
    """Under the null P(p <= a) <= a for both endings: 20th exceedance or all draws (Besag and Clifford 1991)."""
    rng = np.random.default_rng(8)
    p = np.array(
        [
            each.p
            for each in sequential_pvalues(
                rng.normal(size=3000), lambda at, size: rng.normal(size=(len(at), size)), draws=199
            )
        ]
    )
    for level in (0.01, 0.05, 0.2, 0.5):
        assert (p <= level).mean() <= level + 4 * np.sqrt(level * (1 - level) / 3000)
        assert (p <= level).mean() >= level - 4 * np.sqrt(level * (1 - level) / 3000) - 0.01


def test_numbers_of_a_curve_depend_on_its_key_alone() -> None:
    """Same seed and key, same numbers; another key or purpose, others."""
    first = curve_rng(5, "a", "trend").integers(2**40, size=3)
    assert (curve_rng(5, "a", "trend").integers(2**40, size=3) == first).all()
    assert (curve_rng(5, "a", "sharp").integers(2**40, size=3) != first).any()


def test_floored_emergence_by_hand() -> None:
    """Steps 0, 0, .5, 0 floored at .01: median .01, E = .5/.01 = 50; negative where it falls; NaN without resolution."""
    y = np.array([0.2, 0.2, 0.2, 0.7, 0.7])
    assert emergence_floored(y, resolution=0.01) == pytest.approx(50.0)
    assert emergence_floored(y[::-1], resolution=0.01) == pytest.approx(-50.0)
    assert np.isnan(emergence_floored(y, resolution=np.nan))
    assert np.isnan(emergence_floored(y[:2], resolution=0.01))


@pytest.mark.parametrize(
    ("n_items", "lowest", "rho", "doubtful"),
    [(1000, 0.25, 0.004, True), (1000, 0.25, 0.0, False), (300, 0.25, 0.004, False), (300, 0.02, 0.004, True),
     (100, 0.02, 0.004, False)],
)  # fmt: skip
def test_where_the_level_is_doubtful(n_items: int, lowest: float, rho: float, doubtful: bool) -> None:
    """Many overdispersed items, or some where success is rare: the cells of the validation whose level gave way."""
    y = np.linspace(lowest, 0.6, 8)
    x = np.linspace(6.0, 11.0, 8)
    curve = Curve(
        ("t", "t", "m", "F", 0),
        10**x,
        y,
        tuple(x.tolist()),
        y,
        Levels(0.0, 1.0),
        1.0,
        False,
        1.0,
        True,
        True,
        n_items,
        "given",
        "",
    )
    noise = Noise("items", n_items, np.array([1.0 + (n_items - 1) * rho]), np.ones(1))
    assert level_is_doubtful(curve, noise=noise) is doubtful
