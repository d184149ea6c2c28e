"""The server of an autopilot's metrics against clients that say nothing, too much, or what is no request."""

from __future__ import annotations

import select
import socket
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from quorate.errors import ConfigError, HostError
from quorate.pki.certificates import LeafSpec, Pair, make_ca, make_leaf
from quorate.pki.store import write_pair
from quorate.serving import http
from quorate.serving.http import Answer, Listen, serving
from quorate.serving.tls import Identity

ROUTES: dict[str, Callable[[], Answer]] = {"/metrics": lambda: Answer(200, b"up 1\n"), "/broken": lambda: 1 / 0}  # type: ignore[dict-item,return-value]


@pytest.fixture
def port() -> Iterator[int]:
    with serving(Listen("127.0.0.1", 0), ROUTES) as port:
        yield port


def ask(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(request)
        return b"".join(iter(lambda: client.recv(65536), b""))


def get(port: int, path: str = "/metrics") -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return bytes(answer.read())


def test_a_page_is_served_to_a_plain_client(port: int) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics?name[]=up", timeout=10) as answer:
        assert answer.read() == b"up 1\n"
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert answer.headers["Connection"] == "close"
    assert ask(port, b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n").endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /../etc/shadow HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
        (b"GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
        (b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999\r\n\r\n", b"405"),
        (b"GET /metrics HTTP/1.1\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 not TLS here\r\n\r\n", b"400"),
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 20000, b"431"),
        (b"GET /broken HTTP/1.1\r\nHost: x\r\n\r\n", b"500"),
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: a\r\n folded\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n", b"200"),
    ],
)
def test_what_is_no_request_for_a_page_gets_a_short_answer(port: int, request_bytes: bytes, status: bytes) -> None:
    answer = ask(port, request_bytes)
    assert answer.startswith(b"HTTP/1.1 " + status) and len(answer) < 500
    assert b"ZeroDivision" not in answer
    assert get(port) == b"up 1\n"


@pytest.mark.parametrize("kind", ["plain", "TLS"])
def test_a_crowd_that_says_nothing_holds_nobody(tmp_path: Path, kind: str) -> None:
    """More of them than there are places: who has asked for nothing for longest goes, and a probe is answered at once."""
    ca = new_ca()
    (tmp_path / "ca.crt").write_bytes(ca.certificate_pem())
    identity = Identity(*written(tmp_path, "server", leaf(ca)), tmp_path / "ca.crt") if kind == "TLS" else None
    threads = threading.active_count()
    with serving(Listen("127.0.0.1", 0, identity), ROUTES) as port, ExitStack() as held:
        crowd = [held.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(3 * http.MOST_CONNECTIONS)]
        crowd[-1].sendall(b"GET /metrics HT" if identity is None else b"\x16\x03")
        for _ in range(3):
            found = get(port) if identity is None else fetched(port, tmp_path / "ca.crt", written(tmp_path, "good", leaf(ca)))
            assert found == b"up 1\n"
        # Its own thread, that which accepts, and one that has been told to end.
        assert threading.active_count() <= threads + http.MOST_CONNECTIONS + 2
        crowd[0].settimeout(10)
        assert _rest(crowd[0]) == b"", "the first one is closed without an answer"


def test_who_says_nothing_is_closed_in_time(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "SECONDS", 0.5)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        assert _rest(client) == b""
    assert get(port) == b"up 1\n"


def _rest(client: socket.socket) -> bytes:
    try:
        return client.recv(100)
    except ConnectionResetError:
        return b""


def test_one_byte_after_the_other_does_not_prolong_a_connection(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "SECONDS", 0.8)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        head = b"GET /metrics HTTP/1.1\r\nX: " + b"y" * 400
        sent = sum(1 for byte in head if not _is_closed(client, bytes([byte])))
        assert sent < 100


def _is_closed(client: socket.socket, byte: bytes) -> bool:
    """Whether the server has ended the connection within a tenth of a second after one byte more."""
    try:
        client.sendall(byte)
    except OSError:
        return True
    return bool(select.select([client], [], [], 0.05)[0])


def test_a_port_that_is_taken_is_named(port: int) -> None:
    with pytest.raises(HostError, match=f"cannot listen on 127.0.0.1:{port}"), serving(Listen("127.0.0.1", port), ROUTES):
        pass


# -- TLS ---------------------------------------------------------------------------------------------------------------


def written(folder: Path, name: str, pair: Pair) -> tuple[Path, Path]:
    write_pair(folder / name, pair)
    return folder / f"{name}.crt", folder / f"{name}.key"


def leaf(ca: Pair) -> Pair:
    spec = LeafSpec("x", ("server", "client"), ("localhost", "127.0.0.1"), kind="ECDSA-P256")
    return make_leaf(spec, ca, now=datetime.now(UTC))


def new_ca() -> Pair:
    return make_ca("clients", now=datetime.now(UTC), kind="ECDSA-P256")


def fetched(port: int, authority: Path, pair: tuple[Path, Path] | None) -> bytes:
    context = ssl.create_default_context(cafile=str(authority))
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if pair is not None:
        context.load_cert_chain(*pair)
    with urllib.request.urlopen(f"https://127.0.0.1:{port}/metrics", timeout=10, context=context) as answer:
        return bytes(answer.read())


def test_only_who_shows_a_certificate_of_the_clients_ca_is_served(tmp_path: Path) -> None:
    ca, other = new_ca(), new_ca()
    (tmp_path / "ca.crt").write_bytes(ca.certificate_pem())
    identity = Identity(*written(tmp_path, "server", leaf(ca)), tmp_path / "ca.crt")
    good = written(tmp_path, "good", leaf(ca))
    bad = written(tmp_path, "bad", leaf(other))

    with serving(Listen("127.0.0.1", 0, identity), ROUTES) as port:
        assert fetched(port, tmp_path / "ca.crt", good) == b"up 1\n"
        for stranger in (None, bad):
            with pytest.raises((urllib.error.URLError, OSError)):
                fetched(port, tmp_path / "ca.crt", stranger)
        # Plain HTTP, and a client that opens TLS and goes no further, leave the server as it is.
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"up" not in _rest(client)
        # Renewed: first the certificate alone, which does not fit the key, then both.
        renewed = leaf(ca)
        (tmp_path / "server.crt").write_bytes(renewed.certificate_pem())
        assert fetched(port, tmp_path / "ca.crt", good) == b"up 1\n"
        before = identity.context()
        written(tmp_path, "server", renewed)
        assert fetched(port, tmp_path / "ca.crt", good) == b"up 1\n"
        assert identity.context() is not before


def test_a_key_that_others_may_write_is_refused(tmp_path: Path) -> None:
    ca = new_ca()
    (tmp_path / "ca.crt").write_bytes(ca.certificate_pem())
    cert, key = written(tmp_path, "server", leaf(ca))
    key.chmod(0o666)
    with pytest.raises(ConfigError, match="is not used for TLS"):
        Identity(cert, key, tmp_path / "ca.crt").context()
