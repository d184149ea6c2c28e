"""A server on loopback whose every connection is given to a function: slow, endless, packed, odd, or cut off."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

Speak = Callable[[socket.socket], None]
_LONGEST_SECONDS = 60.0


@contextmanager
def server(speak: Speak, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Yields the port. `speak` gets each connection, secured where `tls` is given; it ends with the block at the latest."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)
    ended = threading.Event()
    connections: list[socket.socket] = []

    def serve(plain: socket.socket) -> None:
        with suppress(OSError, ValueError):
            plain.settimeout(_LONGEST_SECONDS)
            connection = tls.wrap_socket(plain, server_side=True) if tls is not None else plain
            connections.append(connection)
            with connection:
                speak(connection)

    def accept() -> None:
        while not ended.is_set():
            with suppress(TimeoutError):
                plain, _ = listener.accept()
                connections.append(plain)
                threading.Thread(target=serve, args=(plain,), daemon=True).start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield listener.getsockname()[1]
    finally:
        ended.set()
        accepting.join()
        for one in connections:
            with suppress(OSError):
                one.close()
        listener.close()


def read_head(connection: socket.socket) -> bytes:
    """The head of a request; empty when the client closes first."""
    head = b""
    while b"\r\n\r\n" not in head:
        part = connection.recv(65536)
        if not part:
            return b""
        head += part
    return head


def answer(body: bytes, *headers: str, status: str = "200 OK") -> Speak:
    """Whole answers, as long as the client asks."""

    def speak(connection: socket.socket) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
        while read_head(connection):
            connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    return speak


def drip(head: bytes, drop: bytes, every: float = 0.3) -> Speak:
    """`head`, then `drop` again and again without end."""

    def speak(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(head)
        end = time.monotonic() + _LONGEST_SECONDS
        while time.monotonic() < end:
            connection.sendall(drop)
            time.sleep(every)

    return speak


def silent(connection: socket.socket) -> None:
    """Reads, and says nothing."""
    while connection.recv(65536):
        pass


def cut_off(connection: socket.socket) -> None:
    read_head(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")


def packed(times: int = 2, size: int = 50 << 20) -> bytes:
    """A few kilobytes that unpack to `size` bytes and more."""
    content = b"0" * size
    for _ in range(times):
        content = gzip.compress(content)
    return content


OK_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
NEVER_WHOLE: Sequence[tuple[str, Speak]] = (
    ("a slow head", drip(b"HTTP/1.1 200", b" ")),
    ("slow headers", drip(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n")),
    ("a slow body", drip(OK_HEAD, b"1\r\nx\r\n")),
    ("interim answers without end", drip(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", every=0.0)),
    ("silence", silent),
    ("a body without end", drip(OK_HEAD, b"10000\r\n" + b"x" * 0x10000 + b"\r\n", every=0.0)),
    ("headers without end", drip(b"HTTP/1.1 200 OK\r\n", b"X-A: " + b"b" * 4000 + b"\r\n", every=0.0)),
    ("a body that is cut off", cut_off),
    ("no HTTP", answer(b"", status="banana")),
)
