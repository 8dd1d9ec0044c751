"""The calibrated test of sharpness, applied to both curves of every pair that prediction 1 compares.

A large E says that a curve bends, not that it is sharper than a smooth curve with the noise of a finite test. That
question is answered by `bigbench_meta.analysis`: each curve is tested against every smooth curve up to the default
exponent bound, with binomial item noise and an overdispersion estimated from the curves of its family, for each metric apart.

Edit distance enters as closeness, ``1 - distance / length`` in [0, 1]: the share of the target that needs no edit. Its noise
is that of a share of ``closeness_items`` independent successes. Where items are given that number comes from their own
variance (`effective_items`): a target of L tokens that succeed independently is worth L items, one whose tokens fail together
is worth one. Where only scores are given it is the number of items, an upper bound of the noise (the variance of a share
with mean m is at most m (1 - m)), so that edit distance is then called sharp less often than the level says.

How often each test rejects a smooth truth is measured by ``scripts/maintenance/validate_predictions.py``; see docs/predictions.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from bigbench_meta.analysis.curves.prepare import Curve

# A registry of its own: both are shares of n items.
_METRIC = "share"
KEY = ["task", "subtask", "family"]
_RESOLUTION = 4
SHARPNESS_COLUMNS = ["p_sharp_accuracy", "q_sharp_accuracy", "p_sharp_distance"]


def effective_items(shares: list[NDArray[np.float64]], *, length: float) -> float:
    """Independent successes that are worth the items of a curve of shares, from the items' own variance.

    Parameters
    ----------
    shares
        One array a scale: each item's share of its target that is right, mean in [0, 1].
    length
        Mean tokens of a target.

    Returns
    -------
    float
        Sum over scales of ``m (1 - m)`` over the sum of the squared standard errors, between 1 and items times
        ``length``: tokens are never taken as more than independent. The number of items where nothing varies.

    Examples
    --------
    >>> all_or_nothing = np.array([0.0, 1.0] * 50)
    >>> round(effective_items([all_or_nothing] * 4, length=5))
    99
    """
    n = min(map(len, shares))
    bound = sum(float(share.mean() * (1 - share.mean())) for share in shares)
    squares = sum(float(share.var(ddof=1) / len(share)) for share in shares if len(share) > 1)
    if squares <= 0 or bound <= 0:
        return float(n)
    return float(np.clip(bound / squares, 1.0, n * max(length, 1.0)))


def pair_sharpness(points: pd.DataFrame, *, rng: np.random.Generator, draws: int = 999) -> pd.DataFrame:
    """Test both curves of every pair.

    Parameters
    ----------
    points
        ``task, subtask, family, scale, accuracy, closeness, n_items, closeness_items``, one row a scale of a pair. Items
        may be NaN.
    draws
        Draws of the null per test; where the smallest p that they allow could not pass the correction, small p of
        accuracy are drawn further, as in `bigbench_meta.analysis`.

    Returns
    -------
    pandas.DataFrame
        ``KEY`` and ``SHARPNESS_COLUMNS``: p of sharpness of both metrics, and for accuracy q by Benjamini-Hochberg over
        all pairs that could be tested. NaN where a curve could not be tested (fewer than 4 scales, or items not known).
    """
    import pandas as pd

    from bigbench_meta.analysis.multiplicity import q_values

    keys = points[KEY].drop_duplicates(ignore_index=True)
    known = points[np.isfinite(points["n_items"]) & (points["n_items"] >= 1)]
    if known.empty:
        return keys.assign(**dict.fromkeys(SHARPNESS_COLUMNS, np.nan))
    for column, items, name in (
        ("accuracy", "n_items", "p_sharp_accuracy"),
        ("closeness", "closeness_items", "p_sharp_distance"),
    ):
        corrected = column == "accuracy"
        seed = int(rng.integers(2**63))
        found = _curves_tested(known, column, items=items, seed=seed, draws=draws, corrected=corrected)
        keys = keys.merge(pd.DataFrame(found, columns=[*KEY, name]), on=KEY, how="left")
    keys["q_sharp_accuracy"] = q_values(keys["p_sharp_accuracy"])
    return pd.DataFrame(keys.reindex(columns=[*KEY, *SHARPNESS_COLUMNS]))


def _curves_tested(
    points: pd.DataFrame, column: str, *, items: str, seed: int, draws: int, corrected: bool
) -> list[tuple[str, str, str, float]]:
    """Task, subtask, family and p of sharpness of every curve that the tests do not refuse."""
    from bigbench_meta.analysis.curves.batch import batch_of, draw_further, p_values
    from bigbench_meta.analysis.curves.inference import noise_group, pool_noise
    from bigbench_meta.analysis.curves.montecarlo import EXCEEDANCES, Sampling
    from bigbench_meta.analysis.curves.prepare import prepare_curves
    from bigbench_meta.analysis.curves.sharpness import sharpness_null
    from bigbench_meta.analysis.curves.verdicts import FALSE_DISCOVERY_RATE

    per_curve = points.groupby(KEY, as_index=False).agg(n_items=(items, "min"))
    _, curves = prepare_curves(_as_results(points, column), items=per_curve, registry=_registry())
    curves = [curve for curve in curves if not curve.refused]
    pooled = pool_noise(curves, seed=seed)
    # A single finding among so many tests can be declared once its p-value rests on four times the draws that it needs.
    most = max(draws, int(np.ceil(_RESOLUTION * len(curves) / FALSE_DISCOVERY_RATE))) if corrected else draws

    def tested(curve: Curve) -> float:
        group = noise_group(curve)
        spread = pooled[group]
        if spread is None:
            return float("nan")
        batch = batch_of([curve], [spread.noise(kind=group[1], n_items=curve.n_items)])
        null = sharpness_null(batch)
        (found,) = p_values(batch, null, sampling=Sampling(draws, seed))
        if most > draws and found.large < EXCEEDANCES:
            found = draw_further(batch, null, found, to=most, seed=seed, part=1)
        return found.p

    return [(curve.key[0], curve.key[1], curve.key[3], tested(curve)) for curve in curves]


def _registry() -> pd.DataFrame:
    import pandas as pd

    from bigbench_meta.facts.metrics import metrics

    known = metrics()
    share = known[known["metric"] == "exact_str_match"].head(1).assign(metric=_METRIC)
    return pd.DataFrame(pd.concat([known, share], ignore_index=True))


def _as_results(points: pd.DataFrame, column: str) -> pd.DataFrame:
    """One of the two measures as a RESULTS table."""
    from bigbench_meta.schema import RESULTS

    frame = points[[*KEY, "scale"]].assign(
        is_aggregate=False, model=points["scale"].map("{:.17g}".format), total_params=np.nan,
        non_embedding_params=points["scale"], shots=0, trial=0, metric=_METRIC, score=points[column].clip(0, 1),
        is_preferred=True, low_score=0.0, high_score=1.0, score_normalized=np.nan, source_file="",
    )[RESULTS.names]  # fmt: skip
    words = {name: "category" for name, word in RESULTS.columns.items() if word == "category"}
    return frame.sort_values(list(RESULTS.key), ignore_index=True).astype(words)
