"""Real git servers on the loopback interface: ``git http-backend`` behind a small HTTP server, and ``git daemon``.

The HTTP server can misbehave on purpose: refuse with 401, cut a pack short, flip a byte in it, or fall silent.
"""

from __future__ import annotations

import gzip
import os
import socket
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")} | {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
}

RESULT = "bigbench/benchmark_tasks/tense/results/scores_a.json"


def write(folder: Path, files: dict[str, bytes]) -> Path:
    """Write files below a folder."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def git(folder: Path, *arguments: str) -> str:
    """Run git as a user would, in a repository the test owns."""
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, env=CLEAN, check=True, capture_output=True, text=True
    ).stdout.strip()


def make_clone(folder: Path, files: dict[str, bytes] | None = None) -> Path:
    """Make a repository with one commit, by default of one score file."""
    write(folder, files or {RESULT: b'{"scores": []}'})
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "x")
    return folder


@dataclass
class Behaviour:
    """How the server treats requests, and what it saw."""

    protocol_v2: bool = True  # a front end that drops the Git-Protocol header makes every client speak version 0
    status: int | None = None  # refuse every request with this status
    location: str | None = None  # with a 3xx status
    cut_pack_after: int | None = None  # bytes of a pack that are sent before the connection is closed
    flip_pack_byte: int | None = None  # position in the answer that carries a pack
    silent: bool = False  # take the request for a pack and say nothing
    fail_packs: int | None = None  # misbehave for this many packs only, then be well
    requests: list[str] = field(default_factory=list)
    authorization: list[str | None] = field(default_factory=list)
    wants: list[int] = field(default_factory=list)  # object ids asked for, per request for a pack


def _handler(root: Path, behaviour: Behaviour) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

        def do_GET(self) -> None:
            self.answer(b"")

        def do_POST(self) -> None:
            if self.headers.get("Transfer-Encoding") == "chunked":
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
            else:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.answer(body)

        def answer(self, body: bytes) -> None:
            behaviour.requests.append(f"{self.command} {self.path}")
            behaviour.authorization.append(self.headers.get("Authorization"))
            if behaviour.status is not None:
                self.send_response(behaviour.status)
                self.send_header("WWW-Authenticate", 'Basic realm="results"')
                if behaviour.location:
                    self.send_header("Location", behaviour.location)
                self.end_headers()
                return
            path, _, query = self.path.partition("?")
            environment = CLEAN | {
                "GIT_PROJECT_ROOT": str(root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "REMOTE_ADDR": "127.0.0.1",
            }
            if behaviour.protocol_v2:
                environment["GIT_PROTOCOL"] = self.headers.get("Git-Protocol", "")
            done = subprocess.run(
                ["git", "http-backend"], env=environment, input=body, capture_output=True, check=False
            )
            head, _, content = done.stdout.partition(b"\r\n\r\n")
            status = 200
            headers = []
            for line in head.decode().splitlines():
                name, _, value = line.partition(": ")
                if name == "Status":
                    status = int(value.split()[0])
                else:
                    headers.append((name, value))
            self.send_response(status)
            for header in headers:
                self.send_header(*header)
            has_pack = b"PACK" in content and self.command == "POST"
            if has_pack:
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                behaviour.wants.append(body.count(b"want "))
                content = self.spoil(content)
            with suppress(ConnectionError):  # a client that was killed
                self.end_headers()
                self.wfile.write(content)

        def spoil(self, content: bytes) -> bytes:
            if behaviour.fail_packs is not None:
                behaviour.fail_packs -= 1
                if behaviour.fail_packs < 0:
                    return content
            if behaviour.silent:
                time.sleep(20)
            if behaviour.cut_pack_after is not None:
                return content[: content.index(b"PACK") + behaviour.cut_pack_after]
            if behaviour.flip_pack_byte is not None:
                at = content.index(b"PACK") + behaviour.flip_pack_byte
                return content[:at] + bytes([content[at] ^ 0x55]) + content[at + 1 :]
            return content

    return Handler


@contextmanager
def http_server(root: Path, behaviour: Behaviour | None = None) -> Iterator[str]:
    """Serve every repository below `root`; yields the base URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(root, behaviour or Behaviour()))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def daemon(root: Path) -> Iterator[str]:
    """Run ``git daemon`` on a free port; yields the base URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        "git",
        "daemon",
        "--reuseaddr",
        "--export-all",
        "--listen=127.0.0.1",
        f"--port={port}",
        f"--base-path={root}",
        str(root),
    ]
    process = subprocess.Popen(
        command, env=CLEAN, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        for _ in range(200):
            with socket.socket() as knock:
                if knock.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        yield f"git://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, 15)
        process.wait()


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
