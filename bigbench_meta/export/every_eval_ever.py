"""Results as records of the Every Eval Ever schema (EvalEval Coalition), one record per family and model.

The schema wants a direction for every score and plain numbers: rows of a metric whose direction is unknown, and rows
without a score, cannot be written and are counted instead.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bigbench_meta import __version__
from bigbench_meta.facts.metrics import look_up, metrics

if TYPE_CHECKING:
    from collections.abc import Hashable

    import pandas as pd

SCHEMA_VERSION = "0.3.0"
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)

Record = dict[str, object]


class Records(NamedTuple):
    """File contents by relative path, and how many rows of RESULTS could not be written, by reason."""

    files: dict[str, bytes]
    left_out: dict[str, int]


def every_eval_ever(
    results: pd.DataFrame, *, source: str, retrieved: int, organization: str = "unknown", kind: str = "real"
) -> Records:
    """Write RESULTS as Every Eval Ever records, at the paths of that project's data store (``data/bigbench/...``).

    Parameters
    ----------
    results : DataFrame
        RESULTS.
    source : str
        Where the results are from, as in the provenance of the run.
    retrieved : int
        When they were got, in seconds since 1970; an argument, so that the same call gives the same bytes.
    organization : str
        Who published the results.
    kind : str
        ``real`` or ``simulated``, written into every record.
    """
    facts = look_up(results[["metric", "task"]].astype(str), metrics())
    unknown = (facts["direction"] == "unknown").to_numpy(dtype=bool)
    empty = ~np.isfinite(results["score"].to_numpy(dtype=float)) & ~unknown
    kept = results.assign(
        direction=facts["direction"].to_numpy(), low=facts["low"].to_numpy(), high=facts["high"].to_numpy()
    )
    kept = kept[~unknown & ~empty]
    files = {}
    for (family, model), rows in kept.groupby(["family", "model"], observed=True, sort=True):
        first = rows.iloc[0]
        record: Record = {
            "schema_version": SCHEMA_VERSION,
            "evaluation_id": f"bigbench/{family}/{model}/{retrieved}",
            "retrieved_timestamp": str(retrieved),
            "source_metadata": {
                "source_name": source,
                "source_type": "documentation",
                "source_organization_name": organization,
                "evaluator_relationship": "other",
                "additional_details": {"data_kind": kind, "written_by": f"bigbench-meta {__version__}"},
            },
            "eval_library": {"name": "BIG-bench", "version": "unknown"},
            "model_info": {
                "name": str(model),
                "id": f"{_safe(family)}/{_safe(model)}",
                "additional_details": {
                    "deployment_type": "unknown",
                    "model_availability": "unknown",
                    "model_family": str(family),
                    **{
                        name: repr(float(first[name]))
                        for name in ("scale", "total_params", "non_embedding_params")
                        if np.isfinite(first[name])
                    },
                },
            },
            "evaluation_results": [_result(row) for row in rows.to_dict("records")],
        }
        text = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False, sort_keys=True) + "\n"
        name = _identifier(source, str(family), str(model))
        files[f"data/bigbench/{_safe(family)}/{_safe(model)}/{name}.json"] = text.encode("utf-8", "backslashreplace")
    return Records(files, {"direction unknown": int(unknown.sum()), "no score": int(empty.sum())})


def _identifier(*parts: str) -> uuid.UUID:
    """The same identifier for the same results, whoever writes them, in the form of version 4, the only one admitted."""
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "backslashreplace")).digest()
    return uuid.UUID(bytes=digest[:16], version=4)


def _result(row: dict[Hashable, Any]) -> Record:
    config: Record = {"metric_name": str(row["metric"]), "lower_is_better": row["direction"] == "lower"}
    if np.isfinite(row["low"]) and np.isfinite(row["high"]):
        config |= {"score_type": "continuous", "min_score": row["low"], "max_score": row["high"]}
    details = ("subtask", "shots", "trial", "is_aggregate", "is_preferred", "source_file")
    place = str(row["task"]) if row["subtask"] == row["task"] else f"{row['task']} / {row['subtask']}"
    return {
        "evaluation_name": f"{place} / {row['shots']} shots",
        "source_data": {"dataset_name": str(row["task"]), "source_type": "other"},
        "metric_config": config,
        "score_details": {"score": row["score"], "details": {name: str(row[name]) for name in details}},
    }


def _safe(name: object) -> str:
    """A name as a part of a path: other characters become '-', and a digest keeps changed names apart.

    Names that Windows keeps for devices get a digest, too.
    """
    text = str(name)
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("._-")[:60] or "x"
    return (
        plain
        if plain == text and not _DEVICE.fullmatch(text)
        else f"{plain}-{hashlib.sha256(text.encode('utf-8', 'backslashreplace')).hexdigest()[:6]}"
    )
