"""How strong a selection of the claims would have to be to explain their odds ratios away.

Vocabulary
----------
selection
    Claims are no sample: annotators looked at plots of each task's preferred metric, for several families, and wrote down what
    struck them. An unmeasured trait of tasks, or of what strikes the eye, may go with both the metric and being claimed.
E-value
    The least strength, as a risk ratio, that such a trait would need with *both* the metric and being claimed to make the
    observed association out of none [1]_. An E-value of 1 needs none.

References
----------
.. [1] VanderWeele, T. J., and Ding, P. (2017). Sensitivity analysis in observational research: introducing the E-value.
   Annals of Internal Medicine 167(4), 268-274.
.. [2] VanderWeele, T. J. (2017). On a square-root transformation of the odds ratio for a common outcome. Epidemiology 28(6).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

# Below this share of cases an odds ratio is close to the risk ratio; above, its root is the usual approximation [2]_.
COMMON_OUTCOME = 0.15


def e_value(odds_ratio: float, *, share_of_cases: float) -> float:
    """Return the E-value of an odds ratio; NaN where the ratio is undefined.

    Parameters
    ----------
    odds_ratio
        Above 0; below 1 its reciprocal is taken.
    share_of_cases
        Cases over all units: from `COMMON_OUTCOME` on the risk ratio is taken as the root of the odds ratio.

    Notes
    -----
    With RR the risk ratio, ``RR + sqrt(RR (RR - 1))`` [1]_.

    Examples
    --------
    >>> round(e_value(3.9, share_of_cases=0.05), 2)
    7.26
    """
    if not odds_ratio > 0:
        return float("nan")
    ratio = max(odds_ratio, 1.0 / odds_ratio)
    risk = float(np.sqrt(ratio)) if share_of_cases >= COMMON_OUTCOME else ratio
    return risk + float(np.sqrt(risk * (risk - 1.0)))


def with_selection(concentration: pd.DataFrame) -> pd.DataFrame:
    """Return the concentration table with the E-values of the claims' odds ratios.

    Parameters
    ----------
    concentration
        As `concentration.claims_concentration` makes it.

    Returns
    -------
    DataFrame
        The same rows with ``e_value`` of the estimate and ``e_value_limit`` of the limit nearer to 1 (1 where the interval
        holds 1): how strong selection must be to move it there. NaN for rows that are no odds ratio of claims.
    """
    values, limits = [], []
    for row in concentration.to_dict("records"):
        claims = row["source"] == "claims" and str(row["effect"]).endswith("odds ratio")
        estimate, low, high = row["estimate"], row["low"], row["high"]
        if not claims or not estimate > 0:
            values.append(np.nan)
            limits.append(np.nan)
            continue
        share = row["cases"] / row["base"]
        values.append(e_value(estimate, share_of_cases=share))
        nearer = low if estimate > 1 else high
        reached = nearer <= 1 if estimate > 1 else nearer >= 1
        # A limit that does not exist on that side leaves 1 inside the interval.
        limits.append(e_value(1.0 if reached or not nearer > 0 else nearer, share_of_cases=share))
    return concentration.assign(e_value=values, e_value_limit=limits)
