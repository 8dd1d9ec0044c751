"""Type I error, coverage and power of the tests over tasks and of those with target lengths, by simulation with known truth.

Odds ratios, permutations, metric swaps, agreement and the common shift need no fits of curves: tasks, cases and
differences are drawn directly, in the sizes of BIG-bench and of the published tables (209 task directories of which 67
are claimed, 13 tasks, 8 families). Every setting has a generator of its own, so rows do not depend on their order.

    python scripts/maintenance/validate_tables.py --checkpoint validation-tables.jsonl     # some minutes
    python scripts/maintenance/validation_page.py validation*.jsonl
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats
from validation_lengths import FEW, GRIDS, effective, law

from bigbench_meta.analysis.tasks.agreement import FEW_TASKS, MIN_TASKS, bootstrap_interval, cohen_kappa, roc_area
from bigbench_meta.analysis.tasks.common_shift import common_shift, shift_profiles
from bigbench_meta.analysis.tasks.compare import EFFECTIVE_NUMBER, permuted_cases
from bigbench_meta.analysis.tasks.odds import conditional_odds_ratio, mantel_haenszel
from bigbench_meta.analysis.tasks.swaps import swap_tests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Rng = np.random.Generator

SEED = 20261123
DRAWS = 199
LEVELS = (0.01, 0.05, 0.10)
COVERAGE = 0.95

# Metrics of 209 task directories: the share of each in the packaged table, rare ones together.
METRICS = ("multiple_choice_grade", "exact_str_match", "rougeLsum", "bleu", "other")
METRIC_SHARES = (0.565, 0.191, 0.06, 0.03, 0.154)
# JSON tasks: 167 of 209, of which 89% prefer one of the two metrics and 39% are claimed; programmatic: 21% and 5%.
KINDS = ((167 / 209, 149 / 167, 65 / 167), (42 / 209, 9 / 42, 2 / 42))


class Outcome(NamedTuple):
    """What one simulated table gives: p-values by test, whether each interval holds the truth, what was refused."""

    p: dict[str, float]
    holds: dict[str, bool | None]


class Setting(NamedTuple):
    """A truth to simulate: its name, the number of tasks (or families), whether the tests' null holds, one draw."""

    name: str
    n_units: int
    null: bool
    draw: Callable[[Rng], Outcome]
    simulations: int


def inside(low: float, high: float, truth: float) -> bool:
    """Tell whether an interval holds the truth; an end that is NaN does not bound it."""
    return not (low > truth + 1e-12) and not (high < truth - 1e-12)


def odds(n_tasks: int, ratio: float) -> Callable[[Rng], Outcome]:
    """Tasks of two kinds that differ in metrics and in claims, with one odds ratio within each kind."""

    def draw(rng: Rng) -> Outcome:
        tables = []
        for share, group, case in KINDS:
            n = round(share * n_tasks)
            member = rng.random(n) < group
            # With odds ratio 1 a member is a case as often as another task of its kind.
            chance = np.where(member, ratio * case / (1 - case + ratio * case), case)
            is_case = rng.random(n) < chance
            table = [[int((is_case & member).sum()), int((is_case & ~member).sum())]]
            tables.append([*table, [int((~is_case & member).sum()), int((~is_case & ~member).sum())]])
        exact, large = conditional_odds_ratio(tables), mantel_haenszel(tables)
        single = conditional_odds_ratio(tables[0])
        p = {"odds ratio, exact, one kind": single.p_value, "odds ratio, exact, by kind": exact.p_value}
        found = (("odds ratio, exact, one kind", single), ("odds ratio, exact, by kind", exact))
        known = {name: inside(each.low, each.high, ratio) if each.n_strata else None for name, each in found}
        name = "odds ratio, Mantel-Haenszel, by kind"
        usable = np.isfinite(large.low) and np.isfinite(large.high)
        return Outcome(
            p | {name: large.p_value}, known | {name: inside(large.low, large.high, ratio) if usable else None}
        )

    return draw


def permutation_between(n_tasks: int, ratio: float) -> Callable[[Rng], Outcome]:
    """One metric a task; cases fall on the leading metric with odds ``ratio`` within a kind (1: by chance)."""

    def draw(rng: Rng) -> Outcome:
        kind = (rng.random(n_tasks) > KINDS[0][0]).astype(np.int64)
        metric = rng.choice(METRICS, size=n_tasks, p=METRIC_SHARES)
        metric[kind == 1] = rng.choice(METRICS, size=int(kind.sum()), p=METRIC_SHARES[::-1])
        case = np.where(kind == 0, KINDS[0][2], KINDS[1][2])
        chance = np.where(metric == METRICS[0], ratio * case / (1 - case + ratio * case), case)
        units = pd.DataFrame({"metric": metric, "case": rng.random(n_tasks) < chance})
        return _permuted(units, kind, rng=rng, name="among tasks of a kind")

    return draw


def permutation_within(n_tasks: int, ratio: float) -> Callable[[Rng], Outcome]:
    """Three metrics a task, exchangeable given the task: tasks differ widely in how often their curves are cases."""

    def draw(rng: Rng) -> Outcome:
        ease = rng.beta(0.5, 1.0, n_tasks)
        metric = np.array([rng.choice(METRICS, size=3, replace=False, p=METRIC_SHARES) for _ in range(n_tasks)])
        chance = np.repeat(ease[:, None], 3, axis=1)
        chance = np.where(metric == METRICS[0], ratio * chance / (1 - chance + ratio * chance), chance)
        case = rng.random((n_tasks, 3)) < chance
        units = pd.DataFrame({"metric": metric.ravel(), "case": case.ravel()})
        task = np.repeat(np.arange(n_tasks), 3)
        found = _permuted(units, task, rng=rng, name="within tasks")
        member = metric == METRICS[0]
        tables = np.stack(
            [
                np.stack([(case & member).sum(1), (case & ~member).sum(1)], axis=1),
                np.stack([(~case & member).sum(1), (~case & ~member).sum(1)], axis=1),
            ],
            axis=1,
        )
        exact = conditional_odds_ratio(tables)
        holds = inside(exact.low, exact.high, ratio) if exact.n_strata else None
        name = "odds ratio, exact, within tasks"
        return Outcome(found.p | {name: exact.p_value}, found.holds | {name: holds})

    return draw


def _permuted(units: pd.DataFrame, group: NDArray[np.int64], *, rng: Rng, name: str) -> Outcome:
    rows = permuted_cases(units, group, rng=rng, draws=DRAWS, level=COVERAGE)
    words = {EFFECTIVE_NUMBER: "effective number of metrics (Hill)"}
    return Outcome(
        {
            f"{words.get(str(row['effect']), 'top two metrics, chosen anew')}, permuted {name}": float(
                row.get("p_value", np.nan)
            )
            for row in rows
        },
        {},
    )


def swaps(n_units: int, shift: float, *, form: str) -> Callable[[Rng], Outcome]:
    """Differences of a quantity about ``shift``, and flags of which soft ones are rarer where shift is not 0."""
    stay = 0.6 if shift == 0 else 0.2

    def draw(rng: Rng) -> Outcome:
        if form == "skewed":
            noise = rng.exponential(size=n_units) - np.log(2)  # median 0, and not symmetric about it
        else:
            noise = rng.standard_t(3, size=n_units) * rng.uniform(0.3, 3.0, size=n_units)
        difference = shift + (np.round(noise * 2) / 2 if form == "tied" else noise)
        hard = rng.random(n_units) < 0.5
        # At shift 0 both flags are as frequent: a sharp unit stays sharp with .6, another becomes so with .4.
        soft = rng.random(n_units) < np.where(hard, stay, 0.4 if shift == 0 else 0.1)
        pairs = pd.DataFrame(
            {
                "task": [f"t{index:03d}" for index in range(n_units)],
                "family": "F",
                "shots": 0,
                "hard": "exact_str_match",
                "soft": "bleu",
                "emergence_score_difference": difference,
                "sharp_hard": pd.array(hard, dtype="boolean"),
                "sharp_soft": pd.array(soft, dtype="boolean"),
            }
        )
        rows = swap_tests(pairs, rng=rng, draws=999).set_index("quantity")
        moved, sharp = rows.loc["emergence_score"], rows.loc["sharp"]
        shifted = (
            None if np.isnan(moved["low"]) and np.isnan(moved["high"]) else inside(moved["low"], moved["high"], shift)
        )
        share = None if np.isnan(sharp["low"]) else inside(sharp["low"], sharp["high"], 1 - stay)
        return Outcome(
            {"signed rank": float(moved["p_value"]), "exact McNemar": float(sharp["p_value"])},
            {"Hodges-Lehmann": shifted, "share that stops being sharp, bootstrap": share},
        )

    return draw


def agreement(n_claimed: int, n_unclaimed: int, distance: float) -> Callable[[Rng], Outcome]:
    """Claimed tasks whose measure is ``distance`` standard deviations larger, and flagged the more often."""
    flagged = float(stats.norm.sf(0.5 - distance)), float(stats.norm.sf(0.5))
    area = float(stats.norm.cdf(distance / np.sqrt(2)))
    n = n_claimed + n_unclaimed
    share = (n_claimed * flagged[0] + n_unclaimed * flagged[1]) / n
    observed = (n_claimed * flagged[0] + n_unclaimed * (1 - flagged[1])) / n
    expected = (n_claimed * share + n_unclaimed * (1 - share)) / n
    kappa = (observed - expected) / (1 - expected)

    def draw(rng: Rng) -> Outcome:
        ours, theirs = rng.normal(distance, 1, n_claimed), rng.normal(0, 1, n_unclaimed)
        holds: dict[str, bool | None] = {}
        for name, function, truth, one, other in (
            ("ROC area, bootstrap over tasks", roc_area, area, ours, theirs),
            ("kappa, bootstrap over tasks", cohen_kappa, kappa, (ours > 0.5) * 1.0, (theirs > 0.5) * 1.0),
        ):
            if np.isnan(function(one, other)):
                holds[name] = None
                continue
            low, high = bootstrap_interval(one, other, function, rng=rng, draws=399, level=COVERAGE)
            holds[name] = inside(low, high, truth)
        return Outcome({}, holds)

    return draw


def shift(n_tasks: int, n_scales: int, *, floor: float, common: float) -> Callable[[Rng], Outcome]:
    """Tasks on straight lines of their own with 200 items; one model in the middle is ``common`` off on all of them."""
    scales = np.geomspace(2e6, 1.4e11, n_scales)
    x = np.linspace(0, 1, n_scales)

    def draw(rng: Rng) -> Outcome:
        mean = floor + rng.uniform(0, 0.4, n_tasks)[:, None] * x
        mean[:, n_scales // 2] += common
        tasks = [f"t{index:03d}" for index in range(n_tasks)]
        frame = pd.DataFrame(
            {
                "task": np.repeat(tasks, n_scales),
                "subtask": np.repeat(tasks, n_scales),
                "is_aggregate": False,
                "metric": "multiple_choice_grade",
                "family": "F",
                "shots": 0,
                "scale": np.tile(scales, n_tasks),
                "score": (rng.binomial(200, mean) / 200).ravel(),
                "is_preferred": True,
            }
        )
        found = common_shift(shift_profiles(frame), rng=rng, draws=DRAWS)
        single = found.loc[found["where"] == "one scale", "p_value"].min()
        whole = found.loc[found["where"] == "all scales", "p_value"].iloc[0]
        return Outcome(
            {"common shift, all scales": float(whole), "common shift, largest of one scale": float(single)}, {}
        )

    return draw


def settings() -> Iterator[Setting]:
    """Yield every setting: the null first, then truths for coverage and power."""
    for n in (209, 67, 13):
        for ratio in (1.0, 3.0, 7.8):
            yield Setting(f"odds ratio {ratio:g} within kinds", n, ratio == 1, odds(n, ratio), 2000)
        for ratio in (1.0, 7.8):
            yield Setting(
                f"odds ratio {ratio:g}, one metric a task", n, ratio == 1, permutation_between(n, ratio), 2000
            )
            yield Setting(
                f"odds ratio {ratio:g}, three metrics a task", n, ratio == 1, permutation_within(n, ratio), 2000
            )
    for n in (67, 13, 8, 6):
        for form in ("heavy tails", "tied", "skewed"):
            # The signed-rank test takes differences as symmetric: skewed ones show what it does where they are not.
            yield Setting(f"differences about 0, {form}", n, True, swaps(n, 0.0, form=form), 300)
        yield Setting("differences about 1, heavy tails", n, False, swaps(n, 1.0, form="heavy tails"), 150)
    for n in (MIN_TASKS, FEW_TASKS, 17, 42, 67):
        for distance in (0.0, 1.0):
            word = f"{n} claimed tasks against 130, {distance:g} standard deviations apart"
            yield Setting(word, n + 130, distance == 0, agreement(n, 130, distance), 400)
    for n, m, floor in ((119, 12, 0.25), (67, 12, 0.02), (13, 12, 0.25), (13, 8, 0.25), (8, 8, 0.02)):
        yield Setting(
            f"independent tasks, {m} scales, floor {floor:g}", n, True, shift(n, m, floor=floor, common=0.0), 250
        )
    yield Setting("one model .02 off on all tasks, 12 scales", 119, False, shift(119, 12, floor=0.25, common=0.02), 50)
    for grid in GRIDS:
        yield of_lengths(
            f"law with target length, exponent 0.34, {grid}", law(grid, exponent=0.34, power=1.0), null=True
        )
    yield of_lengths(f"law with target length, exponent 0.6, {FEW}", law(FEW, exponent=0.6, power=1.0), null=False)
    yield of_lengths(
        f"law with the root of the target length, exponent 0.34, {FEW}", law(FEW, exponent=0.34, power=0.5), null=False
    )
    for length, n_scales, n_items in ((2, 9, 200), (5, 9, 200), (10, 9, 200), (5, 6, 1000), (5, 5, 50)):
        for together in (0.0, 0.2):
            tokens = f"{together:.0%} with one fate" if together else "independent"
            word = f"target length {length}, tokens {tokens}, {n_scales} scales, {n_items} items"
            drawer = effective(length, n_scales=n_scales, n_items=n_items, together=together)
            yield of_lengths(word, drawer, null=not together)


def of_lengths(
    name: str, drawer: Callable[[Rng], tuple[dict[str, float], dict[str, bool | None]]], *, null: bool
) -> Setting:
    """Return a setting of one task with target lengths."""
    return Setting(name, 1, null, lambda rng: Outcome(*drawer(rng)), 1000)


def run(setting: Setting, *, number: int) -> list[dict[str, float | str]]:
    """Simulate one setting: per test and level the rejections, per interval how often it holds the truth."""
    rng = np.random.default_rng([SEED, number])
    outcomes = [setting.draw(rng) for _ in range(setting.simulations)]
    rows: list[dict[str, float | str]] = []
    for test in outcomes[0].p:
        p = np.array([each.p[test] for each in outcomes])
        known = p[np.isfinite(p)]
        # One-sided exactness needs p <= level up to rounding: 1/(draws + 1) multiples are compared as such.
        for level in LEVELS:
            hits = int((known <= level + 1e-12).sum())
            kind = "p" if setting.null else "power"
            rows.append({"quantity": f"{kind}: {test}", "level": level, "hits": hits, "trials": len(known)})
        rows.append({"quantity": f"refused: {test}", "level": 0.0, "hits": len(p) - len(known), "trials": len(p)})
    for name in outcomes[0].holds:
        known_holds = [each.holds[name] for each in outcomes if each.holds[name] is not None]
        rows.append(
            {
                "quantity": f"interval: {name}",
                "level": COVERAGE,
                "hits": sum(bool(each) for each in known_holds),
                "trials": len(known_holds),
            }
        )
    return rows


def main() -> None:
    """Run every setting that the checkpoint does not hold yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, default=Path("validation-tables.jsonl"))
    parser.add_argument("--only", default="", help="run settings whose name has this text in it")
    options = parser.parse_args()
    done = set()
    if options.checkpoint.exists():
        for line in options.checkpoint.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            done.add((entry["cell"][0], entry["n_units"]))
    every = list(settings())
    for number, setting in enumerate(every):
        if (setting.name, setting.n_units) in done or options.only not in setting.name:
            continue
        entry = {
            "cell": [setting.name, None, None, None, ""],
            "n_units": setting.n_units,
            "batch": 0,
            "draws": DRAWS,
            "rows": run(setting, number=number),
        }
        with options.checkpoint.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(entry) + "\n")
        print(f"{number + 1}/{len(every)} {setting.name}, {setting.n_units} units", file=sys.stderr)


if __name__ == "__main__":
    main()
