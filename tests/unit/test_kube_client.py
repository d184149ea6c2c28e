"""The client of the API: what is asked again, what ends the wait at once, and what it learns of the server's clock."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kubeadm_cases import context_of, setup_of

from quorate.deadline import SystemClock
from quorate.kube import tls
from quorate.kube.client import KubeClient, Server
from quorate.kube.errors import Unauthorized, Unreachable, Untrusted
from quorate.phases.node import certs
from unit.api_answers import Answers, serving


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
    trust = tls.context(ours.tree.read("/etc/kubernetes/pki/ca.crt") or b"")
    with serving([(200, {})], theirs) as port, client_of(f"https://127.0.0.1:{port}", trust) as client:
        with pytest.raises(Untrusted, match="is not trusted"):
            client.request("GET", "/version")
        assert client.clock.now() == 0.0


def test_each_request_is_logged_and_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    answers: Answers = [(503, {}), (200, {})]
    caplog.set_level(logging.DEBUG, logger="quorate")
    with serving(answers) as port, client_of(f"http://127.0.0.1:{port}") as client:
        client.request("GET", "/api/v1/secrets", {"fieldSelector": "geheim-77"})
    calls = [one.__dict__["fields"] for one in caplog.records if hasattr(one, "fields")]
    path = "/api/v1/secrets"
    assert [(call["method"], call["path"], call["status"]) for call in calls] == [("GET", path, 503), ("GET", path, 200)]
    assert any("is tried again" in one.getMessage() for one in caplog.records)
    assert "geheim-77" not in caplog.text
