"""Which tool wrote a file: decided by what it holds, never by its name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal, NamedTuple

from bigbench_meta.errors import LoadError
from bigbench_meta.loader.harness import opencompass
from bigbench_meta.loader.harness.every_eval_ever import EVERY_EVAL_EVER
from bigbench_meta.loader.harness.helm import HELM
from bigbench_meta.loader.harness.inspect_ai import INSPECT_AI
from bigbench_meta.loader.harness.json_file import Top, top_level
from bigbench_meta.loader.harness.lm_eval import LM_EVAL
from bigbench_meta.loader.harness.lm_eval_old import LM_EVAL_OLD
from bigbench_meta.loader.harness.open_llm import OPEN_LLM

if TYPE_CHECKING:
    from bigbench_meta.loader.harness.declared import Format

# In the order in which they are tried: the first that recognises a file reads it.
FORMATS: tuple[Format, ...] = (EVERY_EVAL_EVER, INSPECT_AI, OPEN_LLM, LM_EVAL, LM_EVAL_OLD, HELM)
NAMES = (*(form.name for form in FORMATS), opencompass.NAME)
TITLES = {form.name: form.title for form in FORMATS} | {opencompass.NAME: opencompass.TITLE}
ZIP = b"PK\x03\x04"
_MAX_LINE = 8 << 20

Kind = Literal["json", "zip", "summary", "samples", "bigbench", "unknown"]


class Recognised(NamedTuple):
    """What a file is: its kind, its format where that is one of JSON, and its top level."""

    kind: Kind
    form: Format | None = None
    top: Top | None = None


def recognise(data: bytes, *, only: str | None = None) -> Recognised:
    """Say what a file holds.

    Parameters
    ----------
    only
        Name of the format that must be taken where a file could be of it; other files are unknown then.

    Examples
    --------
    >>> recognise(b'{"results": {}, "config": {}, "versions": {}}').form.name
    'lm-eval-old'
    """
    if data.startswith(ZIP):
        return Recognised("zip", INSPECT_AI) if only in (None, INSPECT_AI.name) else Recognised("unknown")
    if opencompass.is_summary(data):
        return Recognised("summary") if only in (None, opencompass.NAME) else Recognised("unknown")
    if _is_samples(data):
        return Recognised("samples")
    top = top_level(data)
    for form in FORMATS:
        if only in (None, form.name) and form.recognise(top, data):
            return Recognised("json", form, top)
    if {"scores", "model", "task"} <= top.keys:
        return Recognised("bigbench", top=top)
    return Recognised("unknown", top=top)


def check_format(name: str | None) -> None:
    """Refuse a format that is not known.

    Raises
    ------
    LoadError
        Naming those that are.
    """
    if name is not None and name not in (*NAMES, "bigbench"):
        raise LoadError(f"format={name!r} is not one of those that are read: {', '.join(NAMES)}, bigbench")


def _is_samples(data: bytes) -> bool:
    """Whether the first line is a sample of lm-evaluation-harness: an object by itself, with a document and its answers."""
    line = data[: data.find(b"\n", 0, _MAX_LINE) + 1] or data[:_MAX_LINE]
    if not (line.startswith(b"{") and b'"doc_id"' in line and b'"filtered_resps"' in line):
        return False
    try:
        first = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(first, dict) and {"doc_id", "filtered_resps"} <= first.keys()
