"""Published claims of emergence: the packaged facts, and what the names in them mean among the results.

Vocabulary
----------
claim
    A published statement that a task is emergent, with the first model above chance. It speaks of that model's family.
annotated task
    One of the 197 tasks that the annotators sorted by looking at plots of its preferred metric: ``emergent``,
    ``smoothly_increasing``, ``flat``, ``uncorrelated_with_scale``.
claim family
    The family, as the results name it, that a claim speaks of (`ALIASES`).
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

from bigbench_meta.errors import TableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

_COUNTS = ("n_subtasks_preferring_it", "n_subtasks")
CATEGORIES = ("emergent", "smoothly_increasing", "flat", "uncorrelated_with_scale")


class Alias(NamedTuple):
    """One published model name, and the family and model that the results call it."""

    published: str
    family: str
    model: str


# PaLM's sizes are written 62B or 64B and 535b or 540B for the same two models. BIG-bench's dense BIG-G models are very
# likely the LaMDA family (an inference from their sizes, not stated by either source); GPT-3 175B is "200B" there.
ALIASES: tuple[Alias, ...] = (
    Alias("PaLM 8B", "PaLM", "8b"),
    Alias("PaLM 62B", "PaLM", "64b"),
    Alias("PaLM 64B", "PaLM", "64b"),
    Alias("PaLM 535B", "PaLM", "535b"),
    Alias("PaLM 540B", "PaLM", "535b"),
    Alias("LaMDA 137B", "BIG-G", "128b"),
    Alias("BIG-G 128B", "BIG-G", "128b"),
    Alias("GPT-3 13B", "GPT", "GPT-3-13B"),
    Alias("GPT-3 175B", "GPT", "GPT-3-200B"),
    Alias("GPT-3 200B", "GPT", "GPT-3-200B"),
)
# A claim about BIG-G is about its dense models: both decodings of them, not the sparse family.
_MEMBERS = {"BIG-G": ("BIG-G", "BIG-G T=0", "BIG-G T=1"), "PaLM": ("PaLM",), "GPT": ("GPT", "GPT-3")}


def claims() -> pd.DataFrame:
    """Return the 197 annotated tasks, with the family each claim speaks of.

    Returns
    -------
    DataFrame
        ``task`` (key), ``category`` (one of `CATEGORIES`), ``first_model_above_chance`` as published and
        ``claim_family`` (``PaLM``, ``GPT``, ``BIG-G``); the last two are empty where no emergence is claimed.

    Notes
    -----
    Wei et al. 2022 (arXiv 2206.07682, App. E) and J. Wei 2022, *137 emergent abilities of large language models*. The
    annotators looked at plots of each task's preferred metric: a claim and that metric are not independent.

    Examples
    --------
    >>> import bigbench_meta as bm
    >>> int(bm.claims()["category"].eq("emergent").sum())
    67
    """
    table = _read("claims.csv", ("task", "category", "first_model_above_chance"))
    families = {alias.published: alias.family for alias in ALIASES} | {"": ""}
    named = table["first_model_above_chance"]
    unknown = sorted(set(named) - set(families)) + sorted(set(table["category"]) - set(CATEGORIES))
    if unknown:
        raise TableError(f"claims.csv: {', '.join(unknown)} in no alias or category; add it to ALIASES or CATEGORIES")
    return table.assign(claim_family=named.map(families))


def preferred_metrics() -> pd.DataFrame:
    """Return, for the 209 task directories of BIG-bench 1.0.0, kind and preferred metric.

    Returns
    -------
    DataFrame
        ``task`` (key), ``kind`` (``json`` or ``programmatic``), ``preferred_metric``, ``tied_with`` (the other metrics of a
        tie, joined by `` + ``), ``aggregate_metric``, ``is_template``, ``n_subtasks_preferring_it`` and ``n_subtasks``.

    Notes
    -----
    ``preferred_metric`` of a JSON task is the most common one over its subtasks; of a tie (kanji_ascii, language_games,
    minute_mysteries_qa) the one that the subtask with the first folder name prefers. Of a programmatic task it is the one
    that its source names first. ``aggregate_metric`` follows BIG-bench's own rule for whole tasks: the grade where every
    subtask prefers it, ``normalized_aggregate_score`` where subtasks prefer anything else, the task's own metric where there
    are no subtasks. A template is one of the five ``simple_arithmetic`` tasks that BIG-bench marks as examples, which the
    204 tasks of its paper leave out.
    """
    columns = ("task", "kind", "preferred_metric", "tied_with", "aggregate_metric", "is_template", *_COUNTS)
    table = _read("preferred_metrics.csv", columns)
    return table.astype(dict.fromkeys(_COUNTS, "int64")).assign(is_template=table["is_template"] == "1")


def belongs_to(family: str, claim_family: str) -> bool:
    """Tell whether results of ``family`` can bear on a claim about ``claim_family``."""
    return family in _MEMBERS.get(claim_family, ())


def _read(name: str, columns: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    with (files("bigbench_meta") / "data" / name).open(encoding="utf-8") as stream:
        table = pd.read_csv(stream, dtype=str, keep_default_na=False)
    if list(table.columns) != list(columns) or table["task"].duplicated().any():
        raise TableError(
            f"{name}: expected the columns {', '.join(columns)} and every task once; reinstall the package"
        )
    return table
