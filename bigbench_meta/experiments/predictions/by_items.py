"""Prediction 2: more test items lift small models off zero, above chance.

Each model's items are put in one random order and read as nested tests of growing size n, so that the accuracy at n, its
exact binomial interval and the resolution 1/n belong to the same outputs. Beside accuracy stands the best constant
answer on the same items (the commonest target, or the commonest token at each place): taken from those very items, so a
little too good, which makes "above chance" harder.

How many hits there should be is what the paper's model says: ``n p ** L`` with the token success p of the same outputs
(`through_metric.implied_accuracy`). A model from which it expects a thousandth of a hit is no evidence against it.

PassUntil-style resolution (Hu et al. 2024, arXiv 2310.03262): where the log-probability of the target is given, the
chance that one sampled answer passes is its exponential, and its mean over items resolves what no count can; where it is
not, the number of items until the r-th hit estimates the same rate, (r - 1)/(k - 1) at the k-th item.

Rule. A small model is one with no hit in the first ``FIRST`` items; testing it takes ten times as many. *Confirmed*: it has hits at
the full size and beats the constant answer (exact McNemar test on the same items, one-sided, Holm over the family's small
models, 5%). *Not confirmed*: it does not, though with the rate that ``p ** L`` implies it would have with chance ``POWER`` or more.
*Undecided*: it does not, and n items could not show it; ``items_needed`` says how many could. A family takes the verdict of most of
its decided models. The unit of independence is the item.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bigbench_meta.experiments.predictions.constant import constant_answer
from bigbench_meta.experiments.predictions.through_metric import implied_accuracy

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

# A test of 100 items: the size at which the GPT-3 arithmetic curves look like zero and then jump.
FIRST = 100
# How many times as many items the full test must have to be called "more".
MORE = 10
# Hits at which inverse sampling stops; the estimate's relative error is about 1/sqrt(r), a third here.
PASSES = 10
# Chance of being shown that a rate must have before its absence speaks against it: one in twenty is missed by bad luck.
POWER = 0.95
_LEVEL = 0.95
# Numbers that are resampled at a time.
_BLOCK = 1_000_000

POINT_COLUMNS = [
    "task", "subtask", "family", "model", "scale", "n", "hits", "accuracy", "low", "high", "resolution",
]  # fmt: skip
MODEL_COLUMNS = [
    "task", "subtask", "family", "model", "scale", "n_items", "hits", "accuracy", "low", "high",
    "first_hit_at", "hits_first", "constant_answer", "constant_hits", "p_above_constant", "p_holm",
    "token_success", "expected_hits", "power", "items_needed", "model_verdict",
    "pass_rate", "pass_low", "pass_high", "pass_source",
]  # fmt: skip
FAMILY_COLUMNS = [
    "task", "subtask", "family", "n_items", "small_models", "lifted", "above_constant", "not_resolvable", "expected_hits",
    "items_needed", "verdict", "sentence",
]  # fmt: skip


def exact_interval(hits: int, n: int, *, level: float = _LEVEL) -> tuple[float, float]:
    """Clopper-Pearson interval of a binomial share.

    Examples
    --------
    >>> low, high = exact_interval(0, 100)
    >>> low, round(high, 4)  # 1 - .025 ** (1 / 100)
    (0.0, 0.0362)
    """
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(hits, n, alpha=1 - level, method="beta")
    return float(low), float(high)


def item_growth(
    items: pd.DataFrame, *, rng: np.random.Generator, draws: int = 999
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Test prediction 2 on item outputs.

    Returns
    -------
    points, models, families
        Nested tests (``POINT_COLUMNS``), one row a model (``MODEL_COLUMNS``), one row a family with its verdict
        (``FAMILY_COLUMNS``).
    """
    import pandas as pd

    points: list[dict[str, object]] = []
    models: list[dict[str, object]] = []
    families: list[dict[str, object]] = []
    constants: dict[tuple[str, ...], tuple[str, int]] = {}  # models that answered the same items share theirs
    for key, family in items.groupby(["task", "subtask", "family"], sort=True):
        head = dict(zip(("task", "subtask", "family"), key, strict=True))
        # one order for all models of a family that answered equally many items: their tests stay paired
        order_seed = int(rng.integers(2**63))
        rows = []
        for (model, scale), own in family.groupby(["model", "scale"], sort=True, dropna=False):
            order = np.random.default_rng(order_seed).permutation(len(own))
            hits, targets = own["hit"].to_numpy(float)[order], own["target"].to_numpy(object)[order]
            name = head | {"model": model, "scale": scale}
            points += [name | point for point in _nested(hits)]
            asked = tuple(own["target"])
            if asked not in constants:
                constants[asked] = constant_answer(asked)
            row = _model_row(hits, targets, constant=constants[asked])
            row |= _implied(own)
            at, passes = np.flatnonzero(hits), own["pass"].to_numpy(float)
            rows.append(name | row | _pass_rate(at, passes, rng=rng, draws=draws))
        rows.sort(key=lambda row: (float(str(row["scale"])), str(row["model"])))
        _judge_small(rows)
        models += rows
        families.append(head | _family_row(rows))
    return (
        pd.DataFrame(points).reindex(columns=POINT_COLUMNS),
        pd.DataFrame(models).reindex(columns=MODEL_COLUMNS),
        pd.DataFrame(families).reindex(columns=FAMILY_COLUMNS),
    )


def _nested(hits: NDArray[np.float64]) -> list[dict[str, object]]:
    """Accuracy of the first n items for n = 10, 30, 100, ... and all."""
    sizes = sorted({n for k in range(1, 8) for n in (10**k, 3 * 10**k) if n < len(hits)} | {len(hits)})
    rows: list[dict[str, object]] = []
    for n in sizes:
        count = int(hits[:n].sum())
        low, high = exact_interval(count, n)
        rows.append({"n": n, "hits": count, "accuracy": count / n, "low": low, "high": high, "resolution": 1 / n})
    return rows


def _model_row(
    hits: NDArray[np.float64], targets: NDArray[np.object_], *, constant: tuple[str, int]
) -> dict[str, object]:
    from scipy.stats import binomtest

    n, count = len(hits), int(hits.sum())
    low, high = exact_interval(count, n)
    answer, constant_hits = constant
    said = targets == answer
    # discordant items: right where the constant is wrong, and the other way round
    wins, losses = int(((hits == 1) & ~said).sum()), int(((hits == 0) & said).sum())
    p = float(binomtest(wins, wins + losses, 0.5, alternative="greater").pvalue) if wins + losses else 1.0
    at = np.flatnonzero(hits)
    return {
        "n_items": n,
        "hits": count,
        "accuracy": count / n,
        "low": low,
        "high": high,
        "first_hit_at": int(at[0]) + 1 if count else np.nan,
        "hits_first": int(hits[:FIRST].sum()),
        "constant_answer": answer,
        "constant_hits": constant_hits,
        "p_above_constant": p,
    }


def _pass_rate(
    at: NDArray[np.int64], passes: NDArray[np.float64], *, rng: np.random.Generator, draws: int
) -> dict[str, object]:
    if not np.isnan(passes).any():
        means = _resampled_means(passes, draws=draws, rng=rng)
        low, high = np.quantile(means, [0.025, 0.975]) if draws else (np.nan, np.nan)
        return {
            "pass_rate": float(passes.mean()),
            "pass_low": float(low),
            "pass_high": float(high),
            "pass_source": "probability",
        }
    if len(at) >= PASSES:
        from scipy.stats import chi2

        # with r hits at the k-th item, 2 k p is near chi-square with 2 r degrees of freedom
        k = int(at[PASSES - 1]) + 1
        low, high = chi2.ppf([0.025, 0.975], 2 * PASSES) / (2 * k)
        rate = (PASSES - 1) / (k - 1)
        return {
            "pass_rate": rate,
            "pass_low": float(low),
            "pass_high": min(float(high), 1.0),
            "pass_source": "items until hits",
        }
    return {"pass_rate": np.nan, "pass_low": np.nan, "pass_high": np.nan, "pass_source": "none"}


def _resampled_means(values: NDArray[np.float64], *, draws: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Means of ``draws`` samples with replacement, a block of draws at a time so that memory stays small."""
    n, means = len(values), np.empty(draws)
    block = max(1, _BLOCK // n)
    for start in range(0, draws, block):
        picks = rng.integers(0, n, (min(block, draws - start), n))
        means[start : start + len(picks)] = values[picks].mean(axis=1)
    return means


def _is_small(row: dict[str, object]) -> bool:
    return row["hits_first"] == 0 and int(str(row["n_items"])) >= MORE * FIRST


def _implied(own: pd.DataFrame) -> dict[str, object]:
    """Token success of one model and the hits that it implies."""
    length = np.maximum(own["length"].to_numpy(float), 1.0)
    found = implied_accuracy(own["hit"].to_numpy(float), own["right"].to_numpy(float), length)
    return {"token_success": found.success, "expected_hits": len(own) * found.accuracy}


def _judge_small(rows: list[dict[str, object]]) -> None:
    """Adjust p over the small models of one family, the only ones the claim is about, and judge each."""
    from scipy.stats import binom, chi2
    from statsmodels.stats.multitest import multipletests

    small = [row for row in rows if _is_small(row)]
    if not small:
        return
    adjusted = multipletests([float(str(row["p_above_constant"])) for row in small], method="holm")[1]
    for row, p in zip(small, adjusted, strict=True):
        n, expected = int(str(row["n_items"])), float(str(row["expected_hits"]))
        wins = _wins_needed(int(str(row["constant_hits"])), level=(1 - _LEVEL) / len(small))
        power = float(binom.sf(wins - 1, n, expected / n))
        # the mean at which a Poisson count reaches ``wins`` with chance POWER
        enough = float(chi2.ppf(POWER, 2 * wins)) / 2
        verdict = "undecided"
        if int(str(row["hits"])) > 0 and p <= 1 - _LEVEL:
            verdict = "confirmed"
        elif power >= POWER:
            verdict = "not confirmed"
        needed = n * enough / expected if expected > 0 else float("inf")
        row |= {"p_holm": float(p), "power": power, "items_needed": needed, "model_verdict": verdict}


def _wins_needed(losses: int, *, level: float) -> int:
    """Hits, on items where the constant answer is wrong, that the exact one-sided sign test asks for."""
    from scipy.stats import binomtest

    wins = losses + 1
    while binomtest(wins, wins + losses, 0.5, alternative="greater").pvalue > level:
        wins += 1
    return wins


def _family_row(rows: list[dict[str, object]]) -> dict[str, object]:
    n = min(int(str(row["n_items"])) for row in rows)
    at_zero = [row for row in rows if row["hits_first"] == 0]
    small = [row for row in rows if _is_small(row)]
    words = [row["model_verdict"] for row in small]
    above, against, silent = (words.count(word) for word in ("confirmed", "not confirmed", "undecided"))
    expected = sum(float(str(row["expected_hits"])) for row in small)
    needed = min(
        (float(str(row["items_needed"])) for row in small if row["model_verdict"] == "undecided"), default=np.nan
    )
    lifted = sum(int(str(row["hits"])) > 0 for row in small)
    counts: dict[str, object] = {
        "n_items": n, "small_models": len(small), "lifted": lifted, "above_constant": above,
        "not_resolvable": silent, "expected_hits": expected if small else np.nan, "items_needed": needed,
    }  # fmt: skip
    if not small:
        reason = (
            f"no model is at zero after {FIRST} items"
            if not at_zero
            else f"{len(at_zero)} models have no hit in {min(FIRST, n)} items, and {n} items are fewer than the {MORE * FIRST} asked"
        )
        return counts | {"verdict": "undecided", "sentence": f"Undecided: {reason}."}
    numbers = (
        f"of {len(small)} models without a hit in {FIRST} items, {lifted} have hits in {n}, where p^L implies {expected:.2g} hits in all, "
        f"and {above} beat the best constant answer"
    )
    if silent:
        numbers += f"; for {silent} it is not resolvable with {n} items (the best of them needs {needed:.2g})"
    verdict = "undecided" if above == against else "confirmed" if above > against else "not confirmed"
    return counts | {"verdict": verdict, "sentence": f"{verdict.capitalize()}: {numbers}."}
