"""Which sources are let through, and how they are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bigbench_meta.errors import SourceError
from bigbench_meta.fetcher import fetch
from bigbench_meta.fetcher.addresses import as_url, check_ref, is_loopback, local_path, protocol, redact

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/google/BIG-bench",
        "https://user:token@host.example:8443/a/b.git",
        "ssh://git@host.example:22/a.git",
        "git@host.example:a/b.git",
        "host.example:a.git",
        "git://host.example/a.git",
        "http://localhost:8000/a.git",
        "http://127.0.0.1/a.git",
        "http://[::1]:8000/a.git",
        "HTTPS://host.example/a",
    ],
)
def test_allowed(url: str) -> None:
    """https, ssh (both forms), git, and http to this machine pass."""
    checked = as_url(url)
    assert checked is not None
    assert checked.lower() == url.lower()
    assert protocol(checked) in {"https", "ssh", "git", "http"}


@pytest.mark.parametrize(
    "source",
    [
        "ext::sh -c 'touch harm'",
        "ext::sh",
        "EXT::sh",
        "::x",
        "fd::7",
        "file::/x",
        "transport::https://host/x",
        "ext://x/y",
        "ftp://host/x",
        "ftps://host/x",
        "rsync://host/x",
        "javascript://x/y",
        "http://example.org/x",
        "http://127.0.0.1.example.org/x",
        "http://localhost@example.org/x",
        "http://example.org#@127.0.0.1/x",
        "http://127.0.0.1\\@example.org/x",
        "http://2130706433.example/x",
        "https://-oProxyCommand=x/y",
        "ssh://-oProxyCommand=touch%20harm/x",
        "ssh://user@-oProxyCommand=x/y",
        "ssh://-user@host/x",
        "ssh://host/-x",
        "-oProxyCommand=x:y",
        "user@-host:path",
        "host.example:-path",
        "--upload-pack=touch harm",
        "-u",
        "",
        "https://host/a\nb",
        "https://host/a b",
        "https:///x",
        "https://host",
        "https://host:99999999/x",
        "https://ho%73t/x",
        "https://host/\x00",
        "host\n.example:path",
        "file://host.example/x",
        "file://",
        "me:secret@host.example/x",
        "https:/host.example/x",
        "https:host.example/x",
    ],
)
def test_refused(source: str) -> None:
    """Helpers, options, other protocols, http to elsewhere and every ambiguous form are refused before git starts."""
    with pytest.raises(SourceError, match=r"allowed are|use https|on this one|no such file"):
        fetch(source, offline=True)


def test_a_path_that_exists_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder whose name looks like user@host:path is that folder."""
    (tmp_path / "a@bc:d").mkdir()
    monkeypatch.chdir(tmp_path)
    assert as_url("a@bc:d") is None
    assert local_path("a@bc:d") == tmp_path / "a@bc:d"


def test_file_url(tmp_path: Path) -> None:
    """A file URL is a path, percent signs decoded."""
    (tmp_path / "a b").mkdir()
    assert local_path((tmp_path / "a b").as_uri()) == tmp_path / "a b"
    assert local_path(f"file://localhost{tmp_path}") == tmp_path


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://u:p@h/x", "https://h/x"),
        ("https://token@h/x and https://u:p@q@h2/y", "https://h/x and https://h2/y"),
        ("ssh://git@h/x", "ssh://h/x"),
        ("https://h/x?access_token=abc&y=1", "https://h/x?access_token=***&y=1"),
        ("https://me:a/b@h/x", "https://h/x"),
        ("'me:a@h/x' and me@i:a@h/x", "'h/x' and h/x"),
        ("https://h:80/x@y, git@h:x/y, https://h/@x/y", "https://h:80/x@y, git@h:x/y, https://h/@x/y"),
        ("https://h/x#access_token=abc", "https://h/x#access_token=***"),
        ("nothing here a@b", "nothing here a@b"),
        ("fatal: unable to access 'https://u:p@h/x/': no", "fatal: unable to access 'https://h/x/': no"),
    ],
)
def test_redact(text: str, shown: str) -> None:
    """User names, passwords and tokens go; the rest stays."""
    assert redact(text) == shown


@pytest.mark.parametrize(
    "source",
    [
        "http://me:hunter2@example.org/x",
        "http://hunter2@example.org/x",
        "me:hunter2@example.org/x",
        "https:/me:hunter2@example.org/x",
        "https:me:hunter2@example.org/x",
        "https://me:a/hunter2@example.org/x",
        "https://me:a'hunter2@example.org/x",
        "https://me:a hunter2@example.org/x",
        "ftp://me:a?hunter2@example.org/x",
        "me@mail.example:hunter2@example.org/x",
        "ssh://me:hunter2@-example.org/x",
        "file://me:hunter2@example.org/x",
        "ftp://example.org/x?token=hunter2",
        "ftp://example.org/x#access_token=hunter2",
    ],
)
def test_error_does_not_show_credentials(source: str) -> None:
    """A refused address is shown without its password, however it is written."""
    with pytest.raises(SourceError) as caught:
        fetch(source)
    assert "hunter2" not in str(caught.value)
    assert "example.org" in str(caught.value)


@pytest.mark.timeout(20)
def test_redact_long_texts() -> None:
    """What a server says at length is not looked at again from each of its letters."""
    for text in ("x" * 100_000, "a://" * 2_000, "a:" * 2_000, "@" * 20_000, "?" * 2_000):
        assert len(redact(text)) <= len(text)


@pytest.mark.parametrize("ref", ["main", "v1.0", "refs/heads/main", "feature/x-y_z", "a" * 40, "release@2", "HEAD"])
def test_plain_refs(ref: str) -> None:
    """Branches, tags and ids pass unchanged."""
    assert check_ref(ref) == ref


def test_loopback() -> None:
    """Only names and addresses of this machine count as such."""
    assert all(map(is_loopback, ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "[::1]"]))
    assert not any(
        map(
            is_loopback,
            ["0.0.0.0", "example.org", "127.0.0.1.example.org", "localhost.example.org", "[::2]", "10.0.0.1"],
        )
    )
