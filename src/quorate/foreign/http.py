"""One client for every HTTP server: API servers, peer ports, metrics, health checks, discovery files.

A server that is not trusted yet can hold a client for ever with one byte every few seconds, or fill its memory with 2.6 kB
that unpack to 3 GB. So one deadline covers everything from name resolution to the last byte of the body, compression is
refused, and bytes are limited before they are kept. All waiting ends within `_SLICE_SECONDS` of the first Ctrl-C. Redirects are
not followed, proxies are not used.
"""

from __future__ import annotations

import errno
import math
import os
import select
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import h11

from quorate.deadline import Cancel
from quorate.errors import QuorateError
from quorate.foreign.resolve import SECONDS, resolve
from quorate.foreign.urls import BadUrl, UrlParts, split

_SLICE_SECONDS = 0.1
_RECEIVE_BYTES = 1 << 16
_MOST_INTERIM = 16
_MOST_REASON = 300
_UNFINISHED = (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError, InterruptedError)
Scheme: TypeAlias = Literal["http", "https"]


class HttpFailed(QuorateError):
    """The server gave no answer, or none that can be used. `certificate`: why the server's certificate was refused, empty when
    that is not the reason. `sent`: whether the server may have received the request."""

    code = "http"
    next_step = "check the address and the certificate"

    def __init__(self, what: str, *, certificate: str = "", sent: bool = False) -> None:
        super().__init__(what[:_MOST_REASON])
        self.certificate = certificate[:_MOST_REASON]
        self.sent = sent


@dataclass(frozen=True, slots=True)
class Site:
    """A server. `host`: a name or an address, IPv6 without brackets. `tls`: None for plain http."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None

    @property
    def authority(self) -> str:
        host = self.host.partition("%")[0]
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


def split_url(url: str) -> UrlParts:
    """Returns the parts of an http or https URL with a host and without a user. Raises `HttpFailed`, which does not repeat
    the URL: it may hold a password."""
    try:
        parts = split(url, bare_zone=True)
    except BadUrl as error:
        raise HttpFailed(f"this is not a URL of the form https://HOST:PORT: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.host or parts.port == 0:
        raise HttpFailed("this is not a URL of the form https://HOST:PORT")
    if parts.login is not None:
        raise HttpFailed("a URL must not hold a user or a password")
    return parts


def site_of(url: str, tls: ssl.SSLContext | None) -> Site:
    """Returns the server of a URL. `tls` is used for https only. Raises `HttpFailed`."""
    parts = split_url(url)
    secure = parts.scheme == "https"
    return Site(parts.host, parts.port or (443 if secure else 80), tls if secure else None)


@dataclass(frozen=True, slots=True)
class Request:
    verb: str
    target: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer. `headers`: by lower-case name, the first of each."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


class _Until:
    """The deadline of one request. It ends early when a stop is requested."""

    def __init__(self, seconds: float, cancel: Cancel | None) -> None:
        self._end = time.monotonic() + seconds
        self._cancel = cancel

    def check(self) -> None:
        if self._cancel is not None:
            self._cancel.check()

    @property
    def remaining(self) -> float:
        return self._end - time.monotonic()

    def share(self, parts: int) -> _Until:
        return _Until(self.remaining / parts, self._cancel)

    def slice(self) -> float:
        """Returns the seconds to wait before the next check. Raises TimeoutError, or `Interrupted` when a stop is requested."""
        self.check()
        left = self.remaining
        if left <= 0:
            raise TimeoutError("no complete answer in time")
        return min(left, _SLICE_SECONDS)


class Connection:
    """A connection to `site`, opened on demand and kept while the server keeps it. Close it, or use it in a `with`."""

    def __init__(self, site: Site, *, cancel: Cancel | None = None) -> None:
        self.site = site
        self._cancel = cancel
        self._socket: socket.socket | None = None
        self._protocol = h11.Connection(h11.CLIENT)

    def ask(self, request: Request, *, seconds: float, most_bytes: int) -> Answer:
        """Returns the complete answer, read within `seconds`. Raises `HttpFailed`, also for a body of more than `most_bytes`;
        `Interrupted` when a stop is requested."""
        until = _Until(seconds if math.isfinite(seconds) else 0.0, self._cancel)
        sent = False
        try:
            connected = self._connected(until)
            head = self._protocol.send(_head(request, self.site))
            body = self._protocol.send(h11.Data(data=request.body)) if request.body else b""
            sent = True
            _send(connected, (head or b"") + (body or b"") + (self._protocol.send(h11.EndOfMessage()) or b""), until)
            answer = self._receive(connected, until, most_bytes)
        except BaseException as error:
            self.close()
            if not isinstance(error, OSError | ValueError | h11.ProtocolError | HttpFailed):
                raise
            raise _failed(error, sent=sent) from None
        self._settle()
        return answer

    def _connected(self, until: _Until) -> socket.socket:
        if self._socket is not None and not _is_readable(self._socket):
            return self._socket
        # Readable before a request: the server has closed the connection, or sends an answer without a request.
        self.close()
        self._socket = _connect(self.site, until)
        return self._socket

    def _receive(self, connected: socket.socket, until: _Until, most_bytes: int) -> Answer:
        head: h11.Response | None = None
        body = bytearray()
        interim = 0
        while True:
            event = self._protocol.next_event()
            if event is h11.NEED_DATA:
                self._protocol.receive_data(_receive(connected, until))
            elif isinstance(event, h11.InformationalResponse):
                interim += 1
                if interim > _MOST_INTERIM:
                    raise HttpFailed("the server sends endless interim responses")
            elif isinstance(event, h11.Response):
                head = event
                _refuse_encoded(head)
            elif isinstance(event, h11.Data):
                if len(body) + len(event.data) > most_bytes:
                    raise HttpFailed(f"the answer has more than {most_bytes} bytes")
                body += event.data
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                return Answer(head.status_code, _headers(head), bytes(body))
            else:
                raise HttpFailed("the server closed the connection before its answer was complete")

    def _settle(self) -> None:
        """Keeps the connection when both sides are ready for another request, else closes it."""
        if self._protocol.our_state is h11.DONE and self._protocol.their_state is h11.DONE:
            self._protocol.start_next_cycle()
        else:
            self.close()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self._protocol = h11.Connection(h11.CLIENT)

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def get(url: str, tls: ssl.SSLContext | None, *, seconds: float, most_bytes: int, cancel: Cancel | None = None) -> Answer:
    """Returns the answer to one GET. Raises as `Connection.ask`."""
    parts = split_url(url)
    with Connection(site_of(url, tls), cancel=cancel) as connection:
        return connection.ask(Request("GET", parts.target), seconds=seconds, most_bytes=most_bytes)


def _head(request: Request, site: Site) -> h11.Request:
    headers = {
        "Host": site.authority,
        "User-Agent": "quorate",
        "Accept-Encoding": "identity",
        **request.headers,
    }
    if request.body:
        headers["Content-Length"] = str(len(request.body))
    try:
        rows = [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()]
        return h11.Request(method=request.verb, target=request.target.encode("ascii"), headers=rows)
    except (UnicodeError, h11.LocalProtocolError):
        # The message does not repeat the value: a token with a line break is still a secret.
        raise HttpFailed("the request cannot be sent: its path or a header has characters that HTTP does not allow") from None


def _refuse_encoded(head: h11.Response) -> None:
    encodings = [value for name, value in head.headers if name == b"content-encoding"]
    if any(value.strip().lower() != b"identity" for value in encodings):
        raise HttpFailed("the server compresses its answer, although the request does not allow that")


def _headers(head: h11.Response) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in head.headers:
        found.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
    return found


def _failed(error: BaseException, *, sent: bool) -> HttpFailed:
    if isinstance(error, HttpFailed):
        error.sent = error.sent or sent
        return error
    if isinstance(error, ssl.SSLCertVerificationError):
        return HttpFailed("the certificate of the server is not trusted", certificate=error.verify_message or str(error.reason))
    if isinstance(error, ssl.SSLError):
        return HttpFailed(f"TLS: {error.reason or 'the server closed the connection'}", sent=sent)
    if isinstance(error, h11.ProtocolError | ValueError):
        return HttpFailed("the server does not speak HTTP", sent=sent)
    return HttpFailed(str(getattr(error, "strerror", "") or error), sent=sent)


def _connect(site: Site, until: _Until) -> socket.socket:
    until.slice()
    addresses = resolve(site.host, site.port, seconds=min(SECONDS, until.remaining), check=until.check)
    if not addresses:
        raise OSError(errno.EHOSTUNREACH, f"the host name {site.host[:80]!r} has no address")
    last: OSError | None = None
    for number, address in enumerate(addresses):
        # Each address gets its share of the time: one that drops packets must not use up the time of the others.
        try:
            dialled = _dial(address.family, address.where, until.share(len(addresses) - number))
            return _secured(dialled, site, until)
        except ssl.SSLError:
            raise
        except OSError as error:
            last = error
    assert last is not None
    raise last


def _dial(family: socket.AddressFamily, where: tuple[str | int | bytes, ...], until: _Until) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.settimeout(0)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = made.connect_ex(where)
        while code in (errno.EINPROGRESS, errno.EWOULDBLOCK):
            if _wait(made, until, write=True):
                code = made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                break
        if code:
            raise OSError(code, os.strerror(code))
    except BaseException:
        made.close()
        raise
    return made


def _secured(plain: socket.socket, site: Site, until: _Until) -> socket.socket:
    if site.tls is None:
        return plain
    try:
        secure = site.tls.wrap_socket(plain, server_hostname=site.host.partition("%")[0], do_handshake_on_connect=False)
    except BaseException:
        plain.close()
        raise
    try:
        while True:
            try:
                secure.do_handshake()
            except ssl.SSLWantReadError:
                _wait(secure, until)
            except ssl.SSLWantWriteError:
                _wait(secure, until, write=True)
            else:
                return secure
    except BaseException:
        secure.close()
        raise


def _wait(waiting: socket.socket, until: _Until, *, write: bool = False) -> bool:
    """Returns whether the socket is ready; False after one slice of the time."""
    poll = select.poll()
    poll.register(waiting, select.POLLOUT if write else select.POLLIN)
    return bool(poll.poll(until.slice() * 1000))


def _is_readable(idle: socket.socket) -> bool:
    poll = select.poll()
    poll.register(idle, select.POLLIN)
    return bool(poll.poll(0))


def _send(connected: socket.socket, content: bytes, until: _Until) -> None:
    left = memoryview(content)
    while left:
        until.slice()
        try:
            left = left[connected.send(left) :]
        except _UNFINISHED as error:
            _wait(connected, until, write=not isinstance(error, ssl.SSLWantReadError))


def _receive(connected: socket.socket, until: _Until) -> bytes:
    while True:
        until.slice()
        try:
            return connected.recv(_RECEIVE_BYTES)
        except _UNFINISHED as error:
            _wait(connected, until, write=isinstance(error, ssl.SSLWantWriteError))
        except ssl.SSLEOFError:
            return b""
