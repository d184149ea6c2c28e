"""The client of the API: what is asked again, what ends the wait at once, and what it learns of the server's clock."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from kubeadm_cases import context_of, setup_of

from quorate.deadline import SystemClock
from quorate.kube import tls
from quorate.kube.client import KubeClient, Server
from quorate.kube.errors import Unauthorized, Unreachable, Untrusted
from quorate.phases import certs

Answers = list[tuple[int, dict[str, str]]]


class QuickClock(SystemClock):
    """Sleeping takes no time, and time passes by it."""

    def __init__(self) -> None:
        super().__init__()
        self.passed = 0.0

    def now(self) -> float:
        return self.passed

    def sleep(self, seconds: float) -> None:
        self.passed += seconds


@contextmanager
def serving(answers: Answers, wrap: Callable[[HTTPServer], None] = lambda _server: None) -> Iterator[int]:
    """A server that gives these answers (status and headers), the last one again and again; yields its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers = answers.pop(0) if len(answers) > 1 else answers[0]
            self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name, value)
            content = json.dumps({"kind": "Status"}).encode()
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Not to the output of tests."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        wrap(server)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def client_of(url: str, context: ssl.SSLContext | None = None) -> Iterator[KubeClient]:
    client = KubeClient(Server(url, context or tls.unverified()), QuickClock(), patience=60.0)
    with client.connected():
        yield client


def test_a_server_that_has_just_started_is_asked_again() -> None:
    """It answers 503, and then does not know its users yet."""
    answers: Answers = [(503, {}), (401, {}), (401, {}), (200, {})]
    with serving(answers) as port, client_of(f"http://127.0.0.1:{port}") as client:
        assert client.request("GET", "/version") == {"kind": "Status"}
    assert len(answers) == 1


def test_who_stays_unknown_is_told_after_ten_seconds_and_not_a_minute() -> None:
    with serving([(401, {})]) as port, client_of(f"http://127.0.0.1:{port}") as client:
        with pytest.raises(Unauthorized):
            client.request("GET", "/version")
        assert 10 <= client.clock.now() < 12


def test_no_answer_is_told_after_the_patience() -> None:
    with serving([(500, {})]) as port, client_of(f"http://127.0.0.1:{port}") as client:
        with pytest.raises(Unreachable):
            client.request("GET", "/version")
        assert 60 <= client.clock.now() < 62


def test_the_servers_clock_is_compared_with_ours() -> None:
    with serving([(200, {"Date": "Tue, 01 Jan 2030 00:00:00 GMT"})]) as port, client_of(f"http://127.0.0.1:{port}") as client:
        client.request("GET", "/version")
        assert client.skew < -86400
    for nonsense in ("yesterday", "Tue, 99 Jan 2030 00:00:00 GMT", ""):
        with serving([(200, {"Date": nonsense})]) as port, client_of(f"http://127.0.0.1:{port}") as client:
            client.request("GET", "/version")
            assert client.skew == 0.0


def test_a_certificate_of_somebody_else_ends_the_wait_at_once(tmp_path: Path) -> None:
    ours, theirs = (context_of(setup_of(), tmp_path / name) for name in ("ours", "theirs"))
    for context in (ours, theirs):
        certs.ensure_all(context)
    pki = tmp_path / "theirs/etc/kubernetes/pki"

    def wrap(server: HTTPServer) -> None:
        shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        shown.load_cert_chain(pki / "apiserver.crt", pki / "apiserver.key")
        server.socket = shown.wrap_socket(server.socket, server_side=True)

    trust = tls.context(ours.tree.read("/etc/kubernetes/pki/ca.crt") or b"")
    with serving([(200, {})], wrap) as port, client_of(f"https://127.0.0.1:{port}", trust) as client:
        with pytest.raises(Untrusted, match="is not to be trusted"):
            client.request("GET", "/version")
        assert client.clock.now() == 0.0
