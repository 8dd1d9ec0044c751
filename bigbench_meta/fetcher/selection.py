"""Which files of a source are its entries: the score files of BIG-bench's layout, or the files that patterns name.

Vocabulary: a *pattern* is a path with ``/`` between its parts, in which ``*`` and ``?`` stand for characters of one part
and a part ``**`` for any number of parts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from bigbench_meta.errors import SourceError
from bigbench_meta.fetcher.checkout import choose, is_wanted
from bigbench_meta.values import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

_CHARACTERS = {"*": "[^/]*", "?": "[^/]"}
_MOST_STARS = 16  # of a pattern: more would make its expression slow, and name nothing more


@dataclass(frozen=True)
class Selection:
    """The files that count as entries of a source; without patterns the score files of BIG-bench's layout.

    Examples
    --------
    >>> selection = Selection(("evals/*/zero-shot/*.json",))
    >>> selection.may_hold("evals/pythia-70m/zero-shot/70m_step0.json"), selection.may_hold("evals/readme.json")
    (True, False)
    """

    patterns: tuple[str, ...] = ()

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        return re.compile("|".join(f"(?:{_expression(pattern)})" for pattern in self.patterns), re.IGNORECASE)

    def may_hold(self, path: str) -> bool:
        """Whether a path, seen alone, may be an entry; `choose` decides for good."""
        return self._expression.fullmatch(path) is not None if self.patterns else is_wanted(path)

    def choose(self, paths: Iterable[str]) -> tuple[set[str], dict[str, str]]:
        """Return the paths that are entries, and those left out, each with its reason."""
        return ({path for path in paths if self.may_hold(path)}, {}) if self.patterns else choose(paths)

    @property
    def key(self) -> str:
        """What sets the cache of this selection apart; empty for BIG-bench's layout."""
        return "\0".join(self.patterns)


BIGBENCH_LAYOUT = Selection()
# Files that may hold the results of other tools; their content decides (`bigbench_meta.loader.harness.recognise`).
OTHER_RESULTS = Selection(("**/*.json", "**/*.jsonl", "**/*.eval", "**/*.csv"))


def _expression(pattern: str) -> str:
    """Turn a pattern into a regular expression."""
    parts = pattern.split("/")
    if not pattern or "" in parts or {".", ".."} & set(parts) or pattern.count("*") > _MOST_STARS:
        raise SourceError(
            f"path={shown(pattern)}: not a pattern of paths in a source; expected parts with / between them, such as "
            "'evals/*/zero-shot/*.json' or '**/results_*.json'"
        )
    pieces = []
    for place, part in enumerate(parts):
        last = place == len(parts) - 1
        if part == "**":
            pieces.append(".*" if last else "(?:[^/]+/)*")
        else:
            pieces.append("".join(_CHARACTERS.get(each, re.escape(each)) for each in part) + ("" if last else "/"))
    return "".join(pieces)
