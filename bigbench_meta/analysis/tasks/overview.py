"""From analysed curves to findings over tasks: concentration, metric swaps, claims and target lengths, each by its own module."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bigbench_meta.analysis.tasks.agreement import claims_against_curves
from bigbench_meta.analysis.tasks.claim_selection import with_selection
from bigbench_meta.analysis.tasks.common_shift import common_shift, shift_profiles
from bigbench_meta.analysis.tasks.compare import as_concentration
from bigbench_meta.analysis.tasks.concentration import NAMED_PAIR, claims_concentration, curves_concentration
from bigbench_meta.analysis.tasks.contrast_shift import with_shift
from bigbench_meta.analysis.tasks.counting_rules import counting_rules
from bigbench_meta.analysis.tasks.effects import effects, task_effects
from bigbench_meta.analysis.tasks.lengths import length_tests
from bigbench_meta.analysis.tasks.sensitivity import specification_curve
from bigbench_meta.analysis.tasks.shares import population_shares
from bigbench_meta.analysis.tasks.swaps import swap_pairs, swap_tests
from bigbench_meta.facts.claims import claims, preferred_metrics

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


class OverTasks(NamedTuple):
    """The tables over tasks; see the functions that make them for their columns.

    ``concentration`` holds first the comparison of the packaged claims (``source`` is ``claims``), then that of the
    measured curves (``curves``), each interval beside the one that allows for shifts that differ between the groups
    (`contrast_shift.with_shift`), then the claims by other counting rules (`counting_rules.SOURCE`), without the latter.
    """

    concentration: pd.DataFrame
    specifications: pd.DataFrame
    swaps: pd.DataFrame
    swap_tests: pd.DataFrame
    claims: pd.DataFrame
    agreement: pd.DataFrame
    common_shift: pd.DataFrame
    lengths: pd.DataFrame
    shares: pd.DataFrame
    effects: pd.DataFrame
    task_effects: pd.DataFrame


def over_tasks(
    curves: pd.DataFrame,
    frame: pd.DataFrame,
    *,
    rng: np.random.Generator,
    draws: int,
    registry: pd.DataFrame | None = None,
    lengths: pd.DataFrame | None = None,
) -> OverTasks:
    """Ask of analysed CURVES, and the RESULTS ``frame`` they were made of, what can be said over tasks.

    Each table gets random numbers of its own from ``rng``. ``lengths`` as for `analyze`.
    """
    import pandas as pd

    of_claims, of_curves, of_swaps, of_agreement, of_shift, of_shares = rng.spawn(6)
    annotated = claims()
    published = claims_concentration(annotated, preferred_metrics(), rng=of_claims, draws=draws, registry=registry)
    measured = curves_concentration(curves, rng=of_curves, draws=draws, registry=registry)
    pairs = swap_pairs(curves)
    against = claims_against_curves(annotated, curves, rng=of_agreement, draws=draws)
    counted = counting_rules(annotated, preferred_metrics(), metrics=NAMED_PAIR)
    profiles = shift_profiles(frame, registry=registry)
    claimed = annotated.loc[annotated["category"] == "emergent", "task"].tolist()
    shift = common_shift(profiles, claimed=claimed, rng=of_shift, draws=draws)
    of_tasks = task_effects(curves, frame, registry=registry)
    both = with_selection(with_shift(pd.concat([published, measured], ignore_index=True), profiles, registry=registry))
    return OverTasks(
        concentration=as_concentration(pd.concat([both, counted], ignore_index=True)),
        specifications=specification_curve(curves, registry=registry),
        swaps=pairs,
        swap_tests=swap_tests(pairs, rng=of_swaps, draws=draws),
        claims=against.tasks,
        agreement=against.agreement,
        common_shift=shift,
        lengths=length_tests(frame, curves=curves, lengths=lengths),
        shares=population_shares(curves, frame, claimed=annotated, rng=of_shares, registry=registry),
        effects=effects(of_tasks),
        task_effects=of_tasks,
    )
