"""Names of commits: the order in which git looks a short name up, and what to say where it means two things."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from bigbench_meta.fetcher.addresses import shown

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

_PLACES = ("{}", "refs/{}", "refs/tags/{}", "refs/heads/{}", "refs/remotes/{}")
# Git does not look here: a branch of the server that a clone has no branch of its own for.
_LAST = "refs/remotes/origin/{}"
_LISTED = 10  # names that a message gives


def look_up(name: str, find: Callable[[str], str | None], *, where: str) -> str | None:
    """Return the object id of a ref given by any of its names, or None; a tag goes before a branch, and is said to.

    Parameters
    ----------
    name
        ``HEAD``, a full name, a tag or a branch.
    find
        Gives the object id of a full name.
    where
        The repository, for the log.
    """
    found = {place.format(name): find(place.format(name)) for place in _PLACES}
    there = {full: object_id for full, object_id in found.items() if object_id is not None}
    if len(set(there.values())) > 1:
        first, *others = there
        log.warning(
            "%s: %s is several things; %s is taken, not %s: give the full name to choose",
            where, shown(name), shown(first), ", ".join(map(shown, others)),
        )  # fmt: skip
    return next(iter(there.values()), None) or find(_LAST.format(name))


def listed(names: set[str]) -> str:
    """List some of the names of refs for a message.

    Examples
    --------
    >>> listed({"refs/heads/main"})
    'refs/heads/main'
    """
    some = [shown(name)[1:-1] for name in sorted(names)[:_LISTED]]
    more = [f"{len(names) - _LISTED} more"] if len(names) > _LISTED else []
    return ", ".join(some + more) or "no ref"
