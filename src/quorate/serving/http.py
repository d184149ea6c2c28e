"""A small HTTP server for what a process tells about itself: metrics and health.

A server that works on one connection after the other stands still for one client that says nothing, and one without a limit
grows with them (prometheus_client issue 1134). Here each connection has a thread, a deadline from its first byte to its last,
and a place among a fixed number; an answer is made anew for each request and closes the connection.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypeAlias

import h11

from quorate.errors import HostError
from quorate.foreign.text import visible
from quorate.loggers import logger
from quorate.serving.tls import Identity

_LOGGER = logger(__name__)
MOST_CONNECTIONS = 32
SECONDS = 5.0
"""From the connection to the end of the answer; a Prometheus scrape has 10 s by default."""
_FREED_SECONDS = 0.5
"""For the thread of a connection that was ended to free its place."""
_MOST_BYTES = 16 * 1024
"""Of a request's head. Prometheus sends some 300 bytes."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent for one path. `kind`: the content type."""

    status: int
    body: bytes
    kind: str = "text/plain; charset=utf-8"


Routes: TypeAlias = Mapping[str, Callable[[], Answer]]
"""What answers each path. Called on the connection's thread."""


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen; port 0 lets the kernel choose. `identity`: the certificate to show; None for plain HTTP."""

    host: str
    port: int
    identity: Identity | None = None


@contextmanager
def serving(listen: Listen, routes: Routes) -> Iterator[int]:
    """Serves `routes` for the block, on threads of its own; yields the port. Raises `HostError` where it cannot listen."""
    listener = _listener(listen)
    places = _Places()
    accepting = threading.Thread(target=_accept, args=(listener, listen, routes, places), name="quorate-http", daemon=True)
    accepting.start()
    try:
        yield listener.getsockname()[1]
    finally:
        # A close alone does not end an accept() that waits.
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join()


def _listener(listen: Listen) -> socket.socket:
    try:
        return socket.create_server(
            (listen.host, listen.port), family=socket.AF_INET6 if ":" in listen.host else socket.AF_INET
        )
    except OSError as error:
        host = f"[{listen.host}]" if ":" in listen.host else listen.host
        raise HostError(
            f"cannot listen on {host}:{listen.port}: {error.strerror or error}",
            state="nothing was started",
            advice="choose another address with --listen",
        ) from None


class _Places:
    """The places of connections. Where all are taken, the connection that has been without a request for longest is ended: a
    crowd that says nothing kept a kubelet's probe out, and the kubelet then ended a daemon that was well."""

    def __init__(self) -> None:
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self._lock = threading.Lock()
        self._waiting: dict[int, socket.socket] = {}

    def take(self) -> bool:
        """Returns whether there is a place now."""
        if self._free.acquire(blocking=False):
            return True
        with self._lock:
            oldest = next(iter(self._waiting), None)
            ended = self._waiting.pop(oldest) if oldest is not None else None
            if ended is not None:
                with suppress(OSError):
                    # Past the methods of a TLS socket, which its own thread uses now.
                    socket.socket.shutdown(ended, socket.SHUT_RDWR)
        return self._free.acquire(timeout=_FREED_SECONDS)

    def waits(self, place: int, connection: socket.socket) -> None:
        """Notes that the connection has not sent its request yet; `place` is its thread."""
        with self._lock:
            self._waiting[place] = connection

    def has_asked(self, place: int) -> None:
        with self._lock:
            self._waiting.pop(place, None)

    def free(self) -> None:
        self._free.release()


def _accept(listener: socket.socket, listen: Listen, routes: Routes, places: _Places) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            if listener.fileno() < 0 or _is_shut(listener):
                return
            # Out of file descriptors, or a client that left at once: neither may end the server, nor make it spin.
            time.sleep(0.05)
            continue
        if not places.take():
            connection.close()
            continue
        worker = threading.Thread(target=_serve, args=(connection, listen, routes, places), daemon=True)
        try:
            worker.start()
        except RuntimeError:
            connection.close()
            places.free()


def _is_shut(listener: socket.socket) -> bool:
    try:
        return not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError:
        return True


def _serve(connection: socket.socket, listen: Listen, routes: Routes, places: _Places) -> None:
    ends_at, place = time.monotonic() + SECONDS, threading.get_ident()
    try:
        # OSError: the client left, or let its time run out. ValueError: it was ended between two calls on it.
        with suppress(OSError, ValueError, h11.LocalProtocolError), _wrapped(connection, listen.identity) as secured:
            places.waits(place, secured)
            secured.settimeout(_left(ends_at))
            if isinstance(secured, ssl.SSLSocket):
                secured.do_handshake()
            _exchange(secured, routes, ends_at, lambda: places.has_asked(place))
    finally:
        places.has_asked(place)
        connection.close()
        places.free()


def _wrapped(connection: socket.socket, identity: Identity | None) -> socket.socket:
    if identity is None:
        return connection
    return identity.context().wrap_socket(connection, server_side=True, do_handshake_on_connect=False)


def _left(ends_at: float) -> float:
    left = ends_at - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _exchange(connection: socket.socket, routes: Routes, ends_at: float, asked: Callable[[], None]) -> None:
    protocol = h11.Connection(h11.SERVER, max_incomplete_event_size=_MOST_BYTES)
    try:
        request = _request(connection, protocol, ends_at)
    except h11.RemoteProtocolError as error:
        found, request = Answer(error.error_status_hint, b"bad request\n"), None
    else:
        if request is None:
            return
        asked()
        found = _answer(request, routes)
    headers = [
        ("Content-Type", found.kind),
        ("Content-Length", str(len(found.body))),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("Connection", "close"),
    ]
    if found.status == 405:
        headers.append(("Allow", "GET, HEAD"))
    sent = [protocol.send(h11.Response(status_code=found.status, headers=headers))]
    if request is None or request.method != b"HEAD":
        sent.append(protocol.send(h11.Data(data=found.body)))
    connection.settimeout(_left(ends_at))
    connection.sendall(b"".join(piece for piece in sent if piece))
    if isinstance(connection, ssl.SSLSocket):
        connection.unwrap()


def _request(connection: socket.socket, protocol: h11.Connection, ends_at: float) -> h11.Request | None:
    """Returns the request; None when the client says nothing more. A body is not read: nothing here takes one."""
    while True:
        event = protocol.next_event()
        if isinstance(event, h11.Request):
            return event
        if event is not h11.NEED_DATA:
            return None
        connection.settimeout(_left(ends_at))
        protocol.receive_data(connection.recv(4096))


def _answer(request: h11.Request, routes: Routes) -> Answer:
    if request.method not in (b"GET", b"HEAD"):
        return Answer(405, b"only GET and HEAD\n")
    path = request.target.split(b"?", 1)[0].decode("latin-1")
    route = routes.get(path)
    if route is None:
        return Answer(404, "".join(f"{path}\n" for path in routes).encode())
    try:
        return route()
    except Exception as error:  # a fault in one page must not end the thread without an answer
        _LOGGER.error("%s: %s", path, visible(repr(error)))
        return Answer(500, b"this page cannot be made; the log says why\n")
