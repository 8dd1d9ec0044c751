"""What every command and job takes for a source, and what is known of it beside its scores.

A source is ``ladder`` (the packaged model ladder, real; the default everywhere), ``simulated`` (a small simulated repository),
anything that `bigbench_meta.fetch` takes, or a table of scores: a file, or a frame in memory.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bigbench_meta.errors import LoadError, OutputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import pandas as pd

    from bigbench_meta.fetcher.checkout import Checkout
    from bigbench_meta.loader import Results
    from bigbench_meta.progress import Progress

    Given = str | Path | pd.DataFrame | Results | Checkout

LADDER = "ladder"
SIMULATED = "simulated"
# Every family, size and shot count of a few tasks: hundreds of curves, seconds of work.
_SIMULATED_TASKS = 6


@dataclass(frozen=True)
class Source:
    """The scores of a source, and what is known of them.

    Attributes
    ----------
    results
        What was loaded.
    kind
        Whether its numbers are ``real``, a ``user``'s own, or ``simulated``.
    items, definitions, lengths
        Items behind its points, its task definitions and target lengths; None where unknown.
    notes
        Sentences on what was left out of the task definitions.
    """

    results: Results
    kind: str
    items: pd.DataFrame | None = None
    definitions: pd.DataFrame | None = None
    lengths: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Selection:
    """What to load of a source, as in `bigbench_meta.load_results`; None means everything."""

    tasks: Sequence[str] | None = None
    families: Sequence[str] | None = None
    shots: Sequence[int] | None = None
    metrics: Sequence[str] | None = None
    models: str | Path | None = None
    format: str | None = None
    path: str | None = None


def load_source(
    source: Given,
    *,
    rng: np.random.Generator | int = 0,
    selection: Selection | None = None,
    strict: bool = False,
    ref: str | None = None,
    cache_dir: Path | None = None,
    offline: bool = False,
    definitions: bool = False,
    progress: Progress | None = None,
) -> Source:
    """Load a source and what is known of it.

    Parameters
    ----------
    source
        A word, path, address, checkout, frame of scores, or results that are loaded already.
    rng
        What a simulated repository is drawn from.
    selection
        What to load of it.
    strict, ref, cache_dir, offline, definitions, progress
        As in `bigbench_meta.load_results` and `bigbench_meta.fetch`.

    Raises
    ------
    BigbenchMetaError
        The source cannot be got or loaded, or has no versions or definitions and they are asked for.
    """
    from bigbench_meta.experiments.ladder.packaged import packaged_items, packaged_ladder, packaged_lengths
    from bigbench_meta.fetcher import Checkout, fetch
    from bigbench_meta.loader import Results, load_results
    from bigbench_meta.loader.bigbench.definitions import definitions_left_out, task_definitions
    from bigbench_meta.report.section_experiments import PACKAGED_SOURCE

    if isinstance(source, Results):
        return Source(source, "user")
    asked = dict(vars(selection or Selection()))
    named = str(source) if isinstance(source, str | Path) else None
    if ref is not None and not has_versions(source):
        raise LoadError(
            f"{named or 'this source'}: is a table or comes with the package, which has no versions; leave ref={ref!r} away"
        )
    if definitions and _is_table(source):
        raise LoadError(
            f"{named or 'this source'}: is a table, which has no task definitions; leave definitions=True away"
        )
    path = asked.pop("path")
    if path is not None and not has_versions(source):
        raise LoadError(
            f"path={path!r} selects files of a source, and this one is a table or comes with the package; leave it out"
        )
    if named == LADDER:
        results = load_results(fetch(str(packaged_ladder())), strict=strict, cache_dir=cache_dir, **asked)
        return Source(replace(results, source=PACKAGED_SOURCE), "real", packaged_items(), None, packaged_lengths())
    if named == SIMULATED:
        return _simulated(rng, strict=strict, asked=asked)
    if _is_table(source):
        results = load_results(source, strict=strict, **asked)
        return Source(results, "simulated" if _looks_simulated(results) else "user")
    checkout = (
        source
        if isinstance(source, Checkout)
        else fetch(
            str(source),
            ref=ref,
            cache_dir=cache_dir,
            offline=offline,
            definitions=definitions,
            path=path,
            progress=progress,
        )
    )
    results = load_results(checkout, strict=strict, cache_dir=cache_dir, **asked)
    if results.formats:
        return Source(results, "user")
    kind = "simulated" if _is_simulated(checkout) else "real"
    left_out = tuple(definitions_left_out(checkout))
    return Source(results, kind, definitions=task_definitions(checkout), notes=left_out)


def has_versions(source: Given) -> bool:
    """Whether a source may be a repository, of which one version among others is read."""
    return isinstance(source, str | Path) and str(source) not in (LADDER, SIMULATED) and not _is_table(source)


def _is_table(source: object) -> bool:
    from bigbench_meta.loader import is_table
    from bigbench_meta.loader.results import is_frame

    return is_frame(source) or (isinstance(source, str | Path) and is_table(source))


def _simulated(rng: np.random.Generator | int, *, strict: bool, asked: dict[str, object]) -> Source:
    from bigbench_meta.atomic import folder_beside, remove_abandoned_folders
    from bigbench_meta.fetcher import fetch
    from bigbench_meta.loader import load_results
    from bigbench_meta.simulation.repository import simulate

    place = Path(tempfile.gettempdir()).resolve() / "bigbench-meta-simulated"
    try:
        remove_abandoned_folders(place)
        with folder_beside(place) as folder:
            made = simulate(folder / "repository", rng=rng, tasks=_SIMULATED_TASKS)
            results = load_results(fetch(str(made.path)), strict=strict, use_cache=False, **asked)  # type: ignore[arg-type]
    except (OSError, OutputError) as err:
        raise LoadError(
            f"{place.parent}: no repository can be simulated there ({err}); expected a folder with room for a few megabytes: "
            "name one in the environment variable TMPDIR"
        ) from err
    known = made.truth[["task", "subtask", "family", "n_items"]].drop_duplicates(["task", "subtask", "family"])
    return Source(replace(results, source="a simulated repository"), "simulated", known)


def _looks_simulated(results: Results) -> bool:
    from bigbench_meta.simulation.plan import TASK_PREFIX

    return bool(results.frame["task"].astype(str).str.startswith(TASK_PREFIX).any())


def _is_simulated(checkout: Checkout) -> bool:
    """Whether the first score file says that it was simulated; every simulated file does."""
    from bigbench_meta.loader.bigbench.document import MAX_FILE_BYTES
    from bigbench_meta.simulation.repository import NOTICE

    first = [entry for entry in checkout.entries if entry.is_result and entry.size <= MAX_FILE_BYTES][:1]
    return any(NOTICE.encode() in content for _, content in checkout.read(first))
