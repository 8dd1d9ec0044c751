"""Exceptions of the package: one base class, one class per thing a user can act on.

Every message says what was wrong, where, what was expected and what to do. It may quote names from files that somebody
else wrote, which must not steer the terminal that shows it.
"""


def printable(text: str) -> str:
    r"""``text`` without characters that a terminal would obey: controls, line ends, and marks that turn its direction.

    Examples
    --------
    >>> printable("a\x1b[2Jb")
    'a\ufffd[2Jb'
    """
    return text if text.isprintable() else "".join(each if each.isprintable() else "\ufffd" for each in text)


class BigbenchMetaError(Exception):
    """Base of every error this package raises on purpose; the command line prints it as one line."""

    def __str__(self) -> str:
        return "\n".join(map(printable, super().__str__().split("\n")))


class SourceError(BigbenchMetaError):
    """A source cannot be used: unknown kind, forbidden protocol, missing path, not a repository."""


class FetchError(BigbenchMetaError):
    """Getting a source failed: network, server, git, or an archive that must not be unpacked."""


class IntegrityError(FetchError):
    """What was fetched is not what the manifest or the object id promised."""


class OfflineError(FetchError):
    """The source is not in the cache and ``offline=True`` forbids getting it."""


class LoadError(BigbenchMetaError):
    """A score file cannot be read as documented; raised only in strict mode or when nothing can be read."""


class TableError(BigbenchMetaError):
    """A frame does not have the columns, types or unique key of its table."""


class AnalysisError(BigbenchMetaError):
    """The input of a statistic is of the wrong form, or nothing in it can be analysed."""


class OutputError(BigbenchMetaError):
    """An output folder or file cannot be written, or is not ours to replace."""


class MissingExtraError(BigbenchMetaError):
    """An optional dependency is needed and not installed."""


def missing_extra(what: str, extra: str, *, otherwise: str = "") -> MissingExtraError:
    """Return the error for ``what`` needs an extra, with a command that installs it.

    The command names the packages themselves, as this package's metadata list them: it is right for an installed wheel
    and in a checkout alike, and whether or not a package index knows this package.
    """
    import re
    import shlex
    from importlib.metadata import PackageNotFoundError, requires

    try:
        listed = requires("bigbench-meta") or []
    except PackageNotFoundError:  # run from a checkout without an install
        listed = []
    wanted = [text.split(";")[0].strip() for text in listed if re.search(rf"extra == ['\"]{extra}['\"]", text)]
    command = shlex.join(["pip", "install", *(wanted or [f".[{extra}]"])])
    where = "" if wanted else ", in a checkout of bigbench_meta"
    return MissingExtraError(f"{what}; install what is missing with: {command}{where}{otherwise}")
