"""What a server may do to whoever reads its answers: nothing beyond the deadline, the limit, and a typed error."""

from __future__ import annotations

import resource
import threading
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostile.servers import NEVER_WHOLE, Speak, answer, packed, read_head, server
from quorate.deadline import Cancel, SystemClock
from quorate.errors import ConfigError, Interrupted, QuorateError
from quorate.etcd.client import metrics, peer_port
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.client.pages import Pages
from quorate.foreign.http import Connection, HttpFailed, Request, Site, get, site_of
from quorate.host import kubelet
from quorate.kube import tls
from quorate.kube.client import KubeClient, Server
from quorate.kube.errors import KubeError, Unreachable
from quorate.secret import Secret

SECONDS = 1.0
SLACK = 1.0
MOST = 1 << 20


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.parametrize(("name", "speak"), NEVER_WHOLE, ids=[name for name, _ in NEVER_WHOLE])
def test_one_deadline_holds_over_head_interim_answers_and_body(name: str, speak: Speak) -> None:
    before = peak_bytes()
    with server(speak) as port:
        began = time.monotonic()
        with pytest.raises(HttpFailed):
            get(f"http://127.0.0.1:{port}/", None, seconds=SECONDS, most_bytes=MOST)
        assert time.monotonic() - began < SECONDS + SLACK
    assert peak_bytes() - before < 100 << 20


@pytest.mark.parametrize(("name", "speak"), NEVER_WHOLE, ids=[name for name, _ in NEVER_WHOLE])
def test_what_asks_members_and_kubelets_takes_it_for_no_answer(name: str, speak: Speak) -> None:
    """Rows e7 and i6.6."""
    with server(speak) as port:
        began = time.monotonic()
        assert peer_port.members(f"http://127.0.0.1:{port}", None, timeout=SECONDS) is None
        assert Pages().scrape(Endpoint("127.0.0.1", port), None, timeout=SECONDS) is None
        assert kubelet.health(port)
        assert time.monotonic() - began < 2 * SECONDS + 2.0 + 3 * SLACK


@pytest.mark.parametrize(("name", "speak"), NEVER_WHOLE, ids=[name for name, _ in NEVER_WHOLE])
def test_an_api_server_cannot_hold_a_client(name: str, speak: Speak) -> None:
    """Row d2: one byte every 3 s held a join for ever."""
    with server(speak) as port:
        client = KubeClient(
            Server(f"http://127.0.0.1:{port}", tls.unverified()), SystemClock(), patience=0.0, rpc_seconds=SECONDS
        )
        began = time.monotonic()
        with client.connected(), pytest.raises(Unreachable):
            client.get("ConfigMap", "cluster-info", "kube-public")
        assert time.monotonic() - began < SECONDS + SLACK


@pytest.mark.parametrize("encoding", ["gzip", "gzip, gzip", "br", "deflate"])
def test_a_packed_answer_is_refused_before_it_is_unpacked(encoding: str) -> None:
    """Rows d1 and i6.6: 2.6 kB became 3.1 GB."""
    body = packed()
    before = peak_bytes()
    with server(answer(body, f"Content-Encoding: {encoding}")) as port, pytest.raises(HttpFailed, match="compresses"):
        get(f"http://127.0.0.1:{port}/", None, seconds=5, most_bytes=MOST)
    assert peak_bytes() - before < 20 << 20


def test_compression_is_not_asked_for() -> None:
    heads: list[bytes] = []

    def speak(connection: object) -> None:
        heads.append(read_head(connection))  # type: ignore[arg-type]

    with server(speak) as port, pytest.raises(HttpFailed):
        get(f"http://127.0.0.1:{port}/", None, seconds=5, most_bytes=MOST)
    assert b"accept-encoding: identity" in heads[0].lower()


def test_the_limit_counts_before_bytes_are_kept() -> None:
    with server(answer(b"x" * 5000)) as port:
        assert len(get(f"http://127.0.0.1:{port}/", None, seconds=5, most_bytes=5000).body) == 5000
        with pytest.raises(HttpFailed, match="more than 4999 bytes"):
            get(f"http://127.0.0.1:{port}/", None, seconds=5, most_bytes=4999)


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1.0, 0.0])
def test_a_limit_of_time_that_is_none_is_over_at_once(seconds: float) -> None:
    with server(answer(b"")) as port, pytest.raises(HttpFailed):
        get(f"http://127.0.0.1:{port}/", None, seconds=seconds, most_bytes=MOST)


def test_the_first_ctrl_c_ends_the_wait() -> None:
    cancel = Cancel()
    with server(NEVER_WHOLE[2][1]) as port:
        threading.Timer(0.3, cancel.request, args=("SIGINT",)).start()
        began = time.monotonic()
        with pytest.raises(Interrupted):
            get(f"http://127.0.0.1:{port}/", None, seconds=30, most_bytes=MOST, cancel=cancel)
        assert time.monotonic() - began < 10, "it waited for the answer"


def test_a_connection_is_used_again_and_opened_anew_when_the_server_closed_it() -> None:
    opened = 0

    def twice(connection: object) -> None:
        nonlocal opened
        opened += 1
        for _ in range(2):
            read_head(connection)  # type: ignore[arg-type]
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")  # type: ignore[attr-defined]

    with server(twice) as port, Connection(Site("127.0.0.1", port)) as connection:
        for _ in range(3):
            assert connection.ask(Request("GET", "/"), seconds=5, most_bytes=10).body == b"ok"
            time.sleep(0.05)
    assert opened == 2


@given(
    url=st.text()
    | st.sampled_from(["http://[", "https://h:99999", "https://h:0", "http://", "https://ü\ud800.x/", "https://-:1"])
)
def test_any_text_may_come_as_a_url(url: str) -> None:
    with suppress(HttpFailed):
        site_of(url, None)


@pytest.mark.parametrize("url", ["https://joe:geheim-77@h/x", "https://joe@h/", "https://:geheim-77@h"])
def test_an_error_of_a_url_does_not_repeat_its_password(url: str) -> None:
    with pytest.raises(HttpFailed) as refused:
        site_of(url, None)
    assert "geheim" not in refused.value.what
    assert "joe" not in refused.value.what


@pytest.mark.parametrize("token", ["geheimes-token\n4711", "geheimes-tökén", "geheim\0es", "geheim\ud800es"])
def test_a_token_that_cannot_be_sent_is_not_repeated(token: str) -> None:
    """Row i10: the error named the header with the token in it."""
    with server(answer(b"{}"), None) as port:
        client = KubeClient(Server(f"http://127.0.0.1:{port}", tls.unverified(), Secret("")), SystemClock(), patience=0.0)
        with client.connected():
            client.server = Server(client.server.url, client.server.tls, Secret(token))
            with pytest.raises(QuorateError) as refused:
                client.get("Node", "n1")
    assert "geheim" not in str(refused.value.as_dict())


def test_a_token_is_not_sent_without_tls() -> None:
    client = KubeClient(Server("http://127.0.0.1:1", tls.unverified(), Secret("abcdef.0123456789abcdef")), SystemClock())
    with pytest.raises(ConfigError, match="in the clear"), client.connected():
        pass


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"[1,", b'{"a":' * 2000, b'{"a":1e999}', b'{"a":"\\ud800"}', b"\xff", b"9" * 5000]
)
def test_an_answer_of_the_api_that_is_none_is_a_typed_error(body: bytes) -> None:
    with server(answer(body)) as port:
        client = KubeClient(Server(f"http://127.0.0.1:{port}", tls.unverified()), SystemClock(), patience=0.0)
        with client.connected(), pytest.raises(KubeError):
            client.get("Node", "n1")


def test_of_a_long_message_of_a_server_the_beginning_is_kept() -> None:
    """Row i3.2: 10 MB were printed."""
    with server(answer(b'{"message":"' + b"x" * (10 << 20) + b'"}', status="400 Bad Request")) as port:
        client = KubeClient(Server(f"http://127.0.0.1:{port}", tls.unverified()), SystemClock(), patience=0.0)
        with client.connected(), pytest.raises(KubeError) as refused:
            client.get("Node", "n1")
    assert len(refused.value.what) < 2000


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]x", b'{"a":1}', b'[{"id":"x"}]', b"[1]", b"[]", b"[" * 100_000, b'[{"id":1e999,"peerURLs":["http://h"]}]'],
)
def test_a_peer_port_that_says_nonsense_is_no_evidence(body: bytes) -> None:
    """Row i4.1: deep JSON behind MemberAdd left a learner."""
    with server(answer(body, "X-Etcd-Cluster-ID: 1f")) as port:
        assert peer_port.members(f"http://127.0.0.1:{port}", None, timeout=5) is None


def test_a_peer_port_that_lists_members_is_evidence() -> None:
    body = b'[{"id":7,"peerURLs":["http://127.0.0.1:2380"],"name":"m1","clientURLs":["http://127.0.0.1:2379"]}]'
    with server(answer(body, "X-Etcd-Cluster-ID: 1f")) as port:
        listed = peer_port.members(f"http://127.0.0.1:{port}", None, timeout=5)
    assert listed is not None
    assert (listed.cluster_id, [(one.id, one.name) for one in listed.members]) == (0x1F, [(7, "m1")])


@pytest.mark.parametrize("quotes", ['"', ""])
def test_a_page_of_metrics_is_read_in_time_that_grows_with_its_size(quotes: str) -> None:
    """Row i14: a label of 40 kB took 19 s."""
    line = "etcd_network_active_peers{" + f"a={quotes}b{quotes}," * 100_000 + "} 1\n"
    began = time.process_time()
    metrics.parse(line * 4 + "etcd_server_is_leader 1\n" + 'etcd_network_active_peers{Remote="1f"} 1\n')
    assert time.process_time() - began < 1.0


def test_metrics_are_read_by_name_and_label() -> None:
    page = metrics.parse(
        'etcd_server_is_leader 1\netcd_network_active_peers{Local="1",Remote="1f"} 1\n'
        'etcd_network_peer_received_bytes_total{From="1f"} 1.5e+06\n'
        'etcd_network_peer_received_bytes_total{From="2f"} Infinity\n'
        "etcd_network_peer_received_bytes_total{From=2f} 1\netcd_network_active_peers{ 1\netcd_server_is_leader{} x\n"
    )
    assert page.leads
    assert page.linked(0x1F)
    assert page.received_bytes(0x1F) == 1.5e6
    assert page.received_bytes(0x2F) is None
