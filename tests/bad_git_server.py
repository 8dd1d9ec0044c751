"""Servers on the loopback interface that keep git busy, waiting or filling its memory, without git on their side."""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
import zlib
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def packet(content: bytes) -> bytes:
    """One packet of git's protocol."""
    return b"%04x" % (len(content) + 4) + content


def answer(content: bytes, *, status: str = "200 OK", kind: str = "advertisement", more: str = "") -> bytes:
    """The head of an answer of git over HTTP, and the beginning of its body, which may go on."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/x-git-upload-pack-{kind}\r\nConnection: close\r\n{more}\r\n"
    return head.encode() + content


@contextmanager
def server(talk: Callable[[socket.socket, bytes], None], *, scheme: str = "http") -> Iterator[str]:
    """Listen on a port, hand every connection with its request to a function, and close it after that."""
    listener = socket.create_server(("127.0.0.1", 0))

    def one(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            request = connection.recv(65536)
            while request.startswith(b"POST") and b"command=" not in request and (more := connection.recv(65536)):
                request += more
            talk(connection, request)

    def listen() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=listen, daemon=True).start()
    try:
        yield f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/r.git"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def version_2(pack: Callable[[socket.socket], None]) -> Callable[[socket.socket, bytes], None]:
    """A server that speaks version 2 well until a pack is asked for."""

    def talk(connection: socket.socket, request: bytes) -> None:
        if request.startswith(b"GET"):
            known = (b"version 2\n", b"ls-refs=unborn\n", b"fetch=shallow filter\n", b"object-format=sha1\n")
            connection.sendall(
                answer(packet(b"# service=git-upload-pack\n") + b"0000" + b"".join(map(packet, known)) + b"0000")
            )
        elif b"command=ls-refs" in request:
            connection.sendall(answer(packet(b"1" * 40 + b" HEAD\n") + b"0000", kind="result"))
        else:
            connection.sendall(answer(packet(b"packfile\n"), kind="result"))
            pack(connection)

    return talk


def for_ever(content: bytes, *, pause: float = 0) -> Callable[[socket.socket], None]:
    """Send the same again and again."""

    def talk(connection: socket.socket) -> None:
        while True:
            connection.sendall(content)
            time.sleep(pause)

    return talk


def endless_refs(connection: socket.socket, _: bytes) -> None:
    """Advertise refs without end."""
    connection.sendall(answer(packet(b"# service=git-upload-pack\n") + b"0000"))
    for_ever(packet(b"1" * 40 + b" refs/heads/" + b"x" * 60_000))(connection)


def endless_pack(connection: socket.socket) -> None:
    """Send a pack with a file of 2**60 bytes that do not compress."""
    size, head = 1 << 60, bytearray([0x80 | 0x30])  # a blob, the lowest four bits of its size, more to come
    size >>= 4
    while size:
        head.append((size & 0x7F) | (0x80 if size > 0x7F else 0))
        size >>= 7
    noise, packed = random.Random(1).randbytes(32_000), zlib.compressobj(0)
    connection.sendall(packet(b"\1PACK" + struct.pack(">II", 2, 1) + bytes(head)))
    while True:
        content = packed.compress(noise)
        if content:
            connection.sendall(packet(b"\1" + content))


def silence(_: socket.socket) -> None:
    """Say nothing, longer than any test takes."""
    time.sleep(600)


KINDS = {
    "endless pack": version_2(endless_pack),
    "endless refs": endless_refs,
    "endless words": version_2(for_ever(packet(b"\2" + b"x\n" * 200), pause=0.05)),
    "silence": lambda connection, _: silence(connection),
    "silence in a pack": version_2(silence),
}
