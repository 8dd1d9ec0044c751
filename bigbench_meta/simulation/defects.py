"""Defects planted into simulated repositories: each damages one score file in one documented way and is recorded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bigbench_meta.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np

DEFECT_COLUMNS = ("file", "entry", "defect", "scores_on_disk", "scores_lost")


@dataclass(frozen=True)
class _Defect:
    """How a document is changed, and how many scores cannot become a row of their own because of it."""

    name: str
    change: Callable[[dict[str, Any]], str | None]
    lost: Callable[[int], int]


def _set_first(value: object) -> Callable[[dict[str, Any]], str | None]:
    def change(document: dict[str, Any]) -> str | None:
        scores = document["scores"][0]["score_dict"]
        scores[next(iter(scores))] = value
        return None

    return change


def _repeat_entry(*, differ: bool) -> Callable[[dict[str, Any]], str | None]:
    def change(document: dict[str, Any]) -> str | None:
        copy = json.loads(json.dumps(document["scores"][0]))
        if differ:
            name = next(iter(copy["score_dict"]))
            copy["score_dict"][name] += 0.001
        document["scores"].insert(1, copy)
        return None

    return change


def _repeat_key(document: dict[str, Any]) -> str | None:
    name, value = next(iter(document["scores"][0]["score_dict"].items()))
    text = _text(document)
    return text.replace(f'"{name}": ', f'"{name}": {value!r}, "{name}": ', 1)


def _trial_name(document: dict[str, Any]) -> str | None:
    document["scores"][0]["subtask_description"] += "trial_0"
    return None


def _extra_keys(document: dict[str, Any]) -> str | None:
    document["scores"][0]["confidence"] = None
    document["model"]["hidden_size"] = 1024
    return None


def _no_preferred(document: dict[str, Any]) -> str | None:
    document["scores"][0]["preferred_score"] = "no_such_metric"
    return None


def _truncate(document: dict[str, Any]) -> str | None:
    text = _text(document)
    return text[: len(text) // 2]


def _empty(document: dict[str, Any]) -> str | None:
    del document
    return ""


def _list_on_top(document: dict[str, Any]) -> str | None:
    return json.dumps([document])


def _text(document: dict[str, Any]) -> str:
    # The published files were written by a JSON writer that allows bare NaN and Infinity, as this one does.
    return json.dumps(document, indent=2)


def _none(total: int) -> int:
    del total
    return 0


def _one(total: int) -> int:
    del total
    return 1


def _all(total: int) -> int:
    return total


_DEFECTS = (
    _Defect("nan", _set_first(float("nan")), _none),
    _Defect("infinity", _set_first(float("inf")), _none),
    _Defect("null", _set_first(None), _none),
    _Defect("numeric_string", _set_first("0.25"), _none),
    _Defect("boolean", _set_first(True), _none),
    _Defect("text", _set_first("not measured"), _one),
    _Defect("list", _set_first([0.1, 0.2]), _one),
    _Defect("repeated_key", _repeat_key, _one),
    _Defect("repeated_entry_equal", _repeat_entry(differ=False), _none),
    _Defect("repeated_entry_different", _repeat_entry(differ=True), _none),
    _Defect("trial_name", _trial_name, _none),
    _Defect("extra_keys", _extra_keys, _none),
    _Defect("preferred_score_absent", _no_preferred, _none),
    _Defect("truncated_file", _truncate, _all),
    _Defect("empty_file", _empty, _all),
    _Defect("list_on_top", _list_on_top, _all),
)


def plant_defects(root: Path, count: int, *, rng: np.random.Generator) -> list[dict[str, str | int]]:
    """Damage ``count`` score files under ``root``, walking through the kinds of defect in turn; return their records.

    Records have the columns `DEFECT_COLUMNS`: ``entry`` is the damaged element of ``scores`` (-1: the whole file),
    ``scores_on_disk`` the scores the file held before the damage, ``scores_lost`` how many of those on disk now cannot
    become a row of their own (a repeated key loses its first value, an unreadable file everything).
    """
    files = sorted(root.glob("bigbench/benchmark_tasks/*/results/scores_*.json"))
    if count > len(files):
        raise AnalysisError(f"simulate: {count} defects asked for, {len(files)} score files written; ask for fewer")
    records: list[dict[str, str | int]] = []
    for i, chosen in enumerate(sorted(rng.choice(len(files), size=count, replace=False).tolist())):
        defect = _DEFECTS[i % len(_DEFECTS)]
        document = json.loads(files[chosen].read_bytes())
        total = sum(len(entry["score_dict"]) for entry in document["scores"])
        text = defect.change(document)
        files[chosen].write_text(_text(document) if text is None else text, encoding="utf-8", newline="\n")
        lost = defect.lost(total)
        records.append(
            {
                "file": files[chosen].relative_to(root).as_posix(),
                "entry": -1 if lost == total and total > 1 else 0,
                "defect": defect.name,
                "scores_on_disk": total,
                "scores_lost": lost,
            }
        )
    return records
