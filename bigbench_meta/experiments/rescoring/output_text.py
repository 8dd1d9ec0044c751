"""What BIG-bench makes of the text that a model said before it is scored: a stop string, then a regular expression.

Its JSON tasks state either; one that states neither gets `DEFAULT_REGEX`, the text up to the first ``. ? ! ;`` or line break.
A full log holds the output after this, and the text before it where the two differ. Outputs of other sources are scored as
they are, unless asked for otherwise.
"""

from __future__ import annotations

import re

from bigbench_meta.errors import AnalysisError

# bigbench 1.0.0, json_task.py: for a task with neither output_regex nor stop_string.
DEFAULT_REGEX = r"[^\.\?\!\;\n]+"
# The word for it on the command line.
DEFAULT_WORD = "bigbench"


def compile_regex(text: str) -> re.Pattern[str]:
    """Compile an expression for outputs; the word ``bigbench`` stands for `DEFAULT_REGEX`.

    Raises
    ------
    AnalysisError
        If it is no regular expression, or has more than one group, of which BIG-bench takes none.

    Examples
    --------
    >>> first_match(" 42. And so on", compile_regex("bigbench"))
    ' 42'
    """
    try:
        pattern = re.compile(DEFAULT_REGEX if text == DEFAULT_WORD else text)
    except re.error as err:
        raise AnalysisError(
            f"output regex {text!r:.80}: {err}; expected a Python regular expression, or {DEFAULT_WORD}"
        ) from err
    if pattern.groups > 1:
        raise AnalysisError(
            f"output regex {text!r:.80}: has {pattern.groups} groups; expected at most one: write (?:...)"
        )
    return pattern


def first_match(output: str, pattern: re.Pattern[str]) -> str:
    """The first match in an output, or its one group where the expression has one; empty where nothing matches."""
    found = pattern.search(output)
    return "" if found is None else found[pattern.groups] or ""
