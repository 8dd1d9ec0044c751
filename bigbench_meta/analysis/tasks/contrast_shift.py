"""What a shift of the models does to a contrast between tasks: the variance of a log odds ratio, within and between groups.

Vocabulary
----------
contrast
    A difference between two groups of tasks: a log odds ratio is logit(share of cases inside) - logit(share outside).
common shift
    What the models of a family add to every task's curve. One that both groups share cancels from a contrast; one that
    differs between the groups does not.
design effect
    Variance of the contrast over what it would be for independent tasks, at least 1.
shift factor
    Root of the design effect: how many times as wide the interval is on the log scale of the odds ratio.
basis
    ``estimated``: at least half of the tasks of both groups are measured here. ``unrelated``: they are not; the correlation of all measured
    tasks is taken within both groups and none between them, as if their shifts had nothing to do with each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bigbench_meta.analysis.tasks.common_shift import MIN_SCALES, MIN_TASKS, correlations
from bigbench_meta.facts.claims import ALIASES, belongs_to
from bigbench_meta.facts.metrics import look_up, metrics

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from bigbench_meta.analysis.tasks.common_shift import Profiles

# Comparisons of curves begin with their family and shot count.
_PLACE = r"^(.*), -?\d+ shots, "
# Correlations of a group are believed where so large a share of its tasks is measured.
_MEASURED = 0.5
BASES = ("estimated", "unrelated")


class Groups(NamedTuple):
    """The two groups of tasks that a comparison sets against each other, as sets of metrics or a class of them.

    Both are words joined by `` + ``: a metric, ``all X metrics`` (of class X of the registry) or ``neither A nor B``. An empty
    ``outside`` is every metric that is not inside.
    """

    inside: str
    outside: str

    def member(self, names: NDArray[np.str_], classes: NDArray[np.str_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Tell which tasks, by their metric and its class, are inside and which outside."""
        inside = _any_of(self.inside, names, classes)
        return inside, _any_of(self.outside, names, classes) & ~inside if self.outside else ~inside


def _any_of(words: str, names: NDArray[np.str_], classes: NDArray[np.str_]) -> NDArray[np.bool_]:
    found = np.zeros(len(names), bool)
    for word in words.split(" + "):
        if word.startswith("all ") and word.endswith(" metrics"):
            found |= classes == word.removeprefix("all ").removesuffix(" metrics")
        elif word.startswith("neither "):
            found |= ~np.isin(names, word.removeprefix("neither ").split(" nor "))
        else:
            found |= names == word
    return found


def design_effect(within: tuple[float, float], between: float, *, sizes: tuple[float, float]) -> float:
    """Variance of a difference of two group means over that for independent tasks, at least 1.

    Parameters
    ----------
    within
        Mean correlation of two tasks of the first and of the second group.
    between
        Mean correlation of a task of the first with one of the second group.
    sizes
        Effective numbers of tasks of the groups in the contrast: sum(c)^2 / sum(c^2) of its weights c.

    Notes
    -----
    With variances equal and V_g = 1 / size_g, the variance is sum_g (V_g + r_g (1 - V_g)) - 2 r_between. Equal
    correlations within and between leave (1 - r) (V_1 + V_2): what all tasks share cancels.

    Examples
    --------
    >>> design_effect((0.1, 0.1), 0.1, sizes=(50, 50))
    1.0
    >>> round(design_effect((0.1, 0.1), 0.0, sizes=(50, 50)), 3)
    5.9
    """
    share = [1.0 / size for size in sizes]
    shared = sum(r * (1.0 - v) for r, v in zip(within, share, strict=True)) - 2.0 * between
    return max(1.0, 1.0 + shared / sum(share))


def with_shift(
    concentration: pd.DataFrame, found: dict[tuple[str, int], Profiles], *, registry: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return the concentration table with the intervals that its odds ratios have if the models shift groups of tasks apart.

    Parameters
    ----------
    concentration
        As `concentration.claims_concentration` and `curves_concentration` make it.
    found
        What `common_shift.shift_profiles` returns: the residuals of each family's tasks.
    registry
        The metric registry, for the classes of metrics; the packaged one by default.

    Returns
    -------
    DataFrame
        The same rows with ``shift_factor``, its ``shift_basis`` (`BASES`, empty without a factor) and
        ``low_with_shift, high_with_shift``: ``exp(log estimate + factor (log limit - log estimate))``. Rows of curves take the
        correlations of their own family. The published claims rest on several families at once: they take the largest factor
        of those of them that are measured here, an estimated one before one of unrelated groups. NaN where the row is no odds
        ratio, compares metrics within a task (they share the models' outputs), where too few tasks are measured, and where the
        interval has no limit.

    Notes
    -----
    With u_t the unit residuals of task t and c_t the weights of the contrast, E|sum_t c_t u_t|^2 = sum_t c_t^2 + sum_{s != t}
    c_s c_t r_st: the three mean correlations are unbiased whatever the models share. They are averages over the directions in which
    curves can depart from a parabola; a criterion that hangs on a single model can share more than that, and one that
    hangs on the trend shares something that no residual shows. It does not cover what all tasks share *and* moves the odds
    ratio itself. No p-value is changed.
    """
    known = {
        key: each for key, each in found.items() if len(each.residuals) >= MIN_TASKS and len(each.scales) >= MIN_SCALES
    }
    registry = metrics() if registry is None else registry
    family = concentration["comparison"].str.extract(_PLACE)[0].fillna("").astype(str)
    spoken_of = {alias.family for alias in ALIASES}
    factors: list[float] = []
    bases: list[str] = []
    for row, own in zip(concentration.to_dict("records"), family, strict=True):
        if row["source"] == "claims":
            theirs = [each for key, each in known.items() if any(belongs_to(key[0], claimed) for claimed in spoken_of)]
        else:
            theirs = [each for key, each in known.items() if key[0] == own]
        comparable = str(row["effect"]).endswith("odds ratio") and str(row["strata"]) != "task"
        options = [_factor(row, each, registry) for each in theirs] if comparable else []
        basis = next((word for word in BASES if any(option[1] == word for option in options)), "")
        factors.append(
            max((option[0] for option in options if option[1] == basis), default=np.nan) if basis else np.nan
        )
        bases.append(basis)
    wider = np.array(factors, np.float64)
    estimate = np.log(concentration["estimate"].to_numpy(np.float64), where=concentration["estimate"].to_numpy() > 0,
                      out=np.full(len(concentration), np.nan))  # fmt: skip
    low, high = (np.log(concentration[name].to_numpy(np.float64)) for name in ("low", "high"))
    return concentration.assign(
        shift_factor=wider,
        shift_basis=bases,
        low_with_shift=np.exp(estimate + wider * (low - estimate)),
        high_with_shift=np.exp(estimate + wider * (high - estimate)),
    )


def _factor(row: dict[object, object], profiles: Profiles, registry: pd.DataFrame) -> tuple[float, str]:
    """Root of the design effect of one comparison in one family, and what it rests on."""
    import pandas as pd

    sizes = (float(row["effective_in"]), float(row["effective_out"]))  # type: ignore[arg-type]
    if not min(sizes) > 0:
        return np.nan, ""
    pairs = pd.DataFrame({"task": profiles.tasks, "metric": profiles.metrics})
    classes = look_up(pairs, registry)["linearity"].to_numpy(np.str_)
    inside, outside = Groups(str(row["metrics"]), str(row["against"])).member(profiles.metrics, classes)
    used = inside | outside
    enough = [max(MIN_TASKS, _MEASURED * size) for size in sizes]
    if inside.sum() >= enough[0] and outside.sum() >= enough[1]:
        own, others, between = correlations(profiles.residuals[used], inside[used])
        return float(np.sqrt(design_effect((own, others), between, sizes=sizes))), "estimated"
    within = max(correlations(profiles.residuals, np.ones(len(profiles.tasks), bool))[0], 0.0)
    return float(np.sqrt(design_effect((within, within), 0.0, sizes=sizes))), "unrelated"
