"""What a user may ask for: which URLs and refs are let through to git, and how they are shown.

The rule is an allow list. A URL is https, ssh, git or (to this machine only) http; ``file://`` is a path. Everything git
would take for a remote helper (``ext::...``), an option (``-...``) or a second command is refused before git is started.
"""

from __future__ import annotations

import errno
import ipaddress
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bigbench_meta.errors import SourceError

PROTOCOLS = ("https", "ssh", "git", "http")
_ALLOWED = "allowed are https, ssh and git URLs, http to this machine only, and local paths"
_HELPER = re.compile(r"[A-Za-z0-9+.-]*::")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_USER = re.compile(r"[A-Za-z0-9_.~%+=][A-Za-z0-9_.~%+=:!$&,;-]*")
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:.]+\]")
# The short form of ssh, user@host:path. Two characters at least before the colon: one is a drive letter.
_SCP = re.compile(r"(?:(?P<user>[^@:/]+)@)?(?P<host>[^@:/]{2,}|\[[0-9A-Fa-f:.]+\]):(?P<path>[^:].*)", re.DOTALL)
_CREDENTIALS = re.compile(r"(?<![A-Za-z0-9+.-])([A-Za-z][A-Za-z0-9+.-]*://)[^/\s@'\"]*(?:@[^/\s@'\"]*)*@")
# Where the password itself holds a slash, so that what stands before it looks like a host and a port.
_CREDENTIALS_WITH_SLASH = re.compile(
    r"(?<![A-Za-z0-9+.-])([A-Za-z][A-Za-z0-9+.-]*://)(?![^/\s@:]*:[0-9]{1,5}/)[^/\s@:'\"]*:[^@\s'\"]*@(?=[A-Za-z0-9\[])"
)
# Of an address without a protocol, or with a slash too few: me:secret@host.
_CREDENTIALS_ALONE = re.compile(r"(?<![^\s'\"/:(])[^\s/:'\"]+:[^\s/'\"]+@(?=[A-Za-z0-9\[])")
_CREDENTIALS_OF_SOURCE = re.compile(r"\A([A-Za-z][A-Za-z0-9+.-]*:/{1,2})[^/]*@", re.DOTALL)
_SECRET_QUERY = re.compile(r"([?&#][^=&\s]*(?:token|key|secret|password|auth|sig)[^=&\s]*=)[^&\s'\"]+", re.IGNORECASE)
_SHOWN = 300  # characters of a source that a message quotes
_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/+@=-]*")


def redact(text: str) -> str:
    """Take user names, passwords and tokens out of every URL in a text.

    Examples
    --------
    >>> redact("fatal: https://me:secret@example.org/r.git not found")
    'fatal: https://example.org/r.git not found'
    """
    text = _CREDENTIALS_WITH_SLASH.sub(r"\1", _CREDENTIALS.sub(r"\1", text))
    return _SECRET_QUERY.sub(r"\1***", _CREDENTIALS_ALONE.sub("", text))


def shown(source: str) -> str:
    """Quote a source or ref for a message: without credentials, cut to a line, every odd character escaped."""
    # Of a source alone it is known where it begins and ends, so that quotes and spaces cannot hide a password.
    text = redact(_CREDENTIALS_OF_SOURCE.sub(r"\1", source))
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")


def as_url(source: str) -> str | None:
    """Return the checked URL if `source` is one, or None if it is to be taken for a local path.

    Raises
    ------
    SourceError
        For a protocol, host or form that is not allowed.
    """
    quoted = shown(source)
    if not source or source.startswith("-") or any(ord(c) < 32 or ord(c) == 127 for c in source):
        raise SourceError(
            f"source {quoted}: empty, starts with '-' or holds control characters; {_ALLOWED} "
            "(write ./-name for a path that starts with '-')"
        )
    if _HELPER.match(source):
        raise SourceError(
            f"source {quoted}: git's remote helpers (name::address) can run programs and are refused; {_ALLOWED}"
        )
    scheme = _SCHEME.match(source)
    if scheme:
        return _checked_url(source, scheme[1].lower(), quoted)
    if _is_there(Path(source)):
        return None
    scp = _SCP.fullmatch(source)
    if not scp:
        return None
    if (
        scp["host"].lower() in {*PROTOCOLS, "file", "ftp"}  # a slash too few
        or "@" in scp["path"].partition("/")[0]  # a password, which would be shown to whoever lists processes
        or not _HOST.fullmatch(scp["host"])
        or (scp["user"] and not _USER.fullmatch(scp["user"]))
        or scp["path"].startswith("-")
    ):
        raise SourceError(
            f"source {quoted}: not a path that exists, and neither protocol://host/path nor user@host:path; {_ALLOWED}"
        )
    return source


def _checked_url(url: str, scheme: str, quoted: str) -> str | None:
    if scheme == "file":
        return None
    if scheme not in PROTOCOLS:
        raise SourceError(f"source {quoted}: protocol {scheme!r} is refused; {_ALLOWED}: give one of these")
    rest = url.split("://", 1)[1]
    authority, _, path = rest.partition("/")
    user, _, server = authority.rpartition("@")
    host, colon, port = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(:?)(.*)", server, re.DOTALL).groups()  # type: ignore[union-attr] # matches anything
    if (
        not _HOST.fullmatch(host)
        or (user and not _USER.fullmatch(user))
        or (colon and not re.fullmatch(r"[0-9]{1,5}", port))
        or not path
        or path.startswith("-")
        or any(c.isspace() for c in url)
        or "\\" in url
    ):
        raise SourceError(
            f"source {quoted}: not a plain {scheme}://host/path URL; {_ALLOWED}: write it without spaces, options and other marks"
        )
    if scheme == "http" and not is_loopback(host):
        raise SourceError(
            f"source {quoted}: http is not encrypted and is allowed to this machine only (got host {host!r}); use https"
        )
    return f"{scheme}://{rest}"


def is_loopback(host: str) -> bool:
    """Whether a host is this machine: ``localhost`` or a loopback address written as such."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def protocol(url: str) -> str:
    """Return the one protocol that git may use for a checked URL."""
    scheme = _SCHEME.match(url)
    return scheme[1] if scheme else "ssh"


def local_path(source: str) -> Path:
    """Return the path that a source names, where it is a path or a ``file://`` URL of this machine.

    Raises
    ------
    SourceError
        If the URL names another machine or nothing is there.
    """
    path = Path(source)
    if _SCHEME.match(source):
        parts = urlsplit(source)
        if parts.netloc not in {"", "localhost"} or not parts.path:
            raise SourceError(
                f"source {shown(source)}: names another machine or no path; expected file:///path on this one: give that, or the path alone"
            )
        path = Path(unquote(parts.path))
    try:
        path = path.expanduser()
    except RuntimeError as err:
        raise SourceError(
            f"source {shown(source)}: {err}; expected a folder of a user that there is: write it out"
        ) from err
    if not _is_there(path):
        raise SourceError(
            f"source {shown(source)}: no such file or folder, and not a URL; {_ALLOWED}, or the word github"
        )
    return path.resolve()


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as err:
        if err.errno == errno.ENAMETOOLONG:
            return False
        raise SourceError(
            f"source {shown(str(path))}: cannot be looked at ({err.strerror}); make it and the folders above it readable"
        ) from err


def check_ref(ref: str) -> str:
    """Let through a branch, a tag, a full ref name or a commit id.

    Raises
    ------
    SourceError
        For anything else: options, ranges, ``a:b`` pairs, ``HEAD~1``, control characters.
    """
    if (
        not _REF.fullmatch(ref)
        or ".." in ref
        or "@{" in ref
        or "//" in ref
        or ref.endswith(("/", ".lock", "."))
        or "/." in ref
    ):
        raise SourceError(
            f"ref {shown(ref)}: expected a branch, a tag or a commit id (letters, digits and . _ / + @ = - only, "
            "not starting with '-')"
        )
    return ref
