"""Endpoints that lead to no etcd: each is named with what is there and what to use instead, and never with a text of gRPC."""

from __future__ import annotations

import re
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hostile.servers import Speak, answer, server
from quorate import connect
from quorate.cli.main import run_with
from quorate.etcd.client.endpoint import Endpoint, TlsFiles, load_tls
from quorate.etcd.client.errors import EtcdError, Failure, NoAnswer, TlsRefused, Unreachable, classify
from quorate.etcd.observation.endpoint_check import _refused_us, explained
from quorate.pki.certificates import LeafSpec, make_ca, make_leaf
from quorate.pki.store import write_pair

_SETTINGS = bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
NEVER = "failed to connect to all addresses; last error: "
OF_GRPC = re.compile(r"UNAVAILABLE|ipv4:|last error|SETTINGS|errors resolving|SSL_|TSI_|OPENSSL|Errno|Socket closed|frame type")


def silent(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


def plain_etcd(connection: socket.socket) -> None:
    """What etcd without TLS does: it hangs up on a TLS greeting, and answers HTTP/2 with its settings; then nothing."""
    if connection.recv(3) != b"PRI":
        return
    connection.sendall(_SETTINGS)
    silent(connection)


@pytest.fixture
def pki(tmp_path: Path) -> Path:
    now = datetime.now(UTC)
    for name in ("ca", "other"):
        ca = make_ca(name, now=now, kind="ECDSA-P256")
        write_pair(tmp_path / name, ca)
        for leaf, usage in (("server", "server"), ("client", "client")):
            spec = LeafSpec(leaf, (usage,), ("127.0.0.1",), kind="ECDSA-P256")  # type: ignore[arg-type]
            write_pair(tmp_path / f"{name}-{leaf}", make_leaf(spec, ca, now=now))
    return tmp_path


def context(pki: Path, leaf: str = "ca-server", *, asks: bool = False) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(pki / f"{leaf}.crt", pki / f"{leaf}.key")
    made.set_alpn_protocols(["h2"])
    if asks:
        made.load_verify_locations(pki / "ca.crt")
        made.verify_mode = ssl.CERT_REQUIRED
    return made


def files(pki: Path, ca: str = "ca", client: str = "") -> list[str]:
    pair = [f"--cert={pki}/{client}.crt", f"--key={pki}/{client}.key"] if client else []
    return [f"--cacert={pki}/{ca}.crt", *pair]


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    for command in (["status"], ["member", "list"]):
        assert run_with(["etcd", *command, "--command-timeout=300ms", *arguments]) == 1
        said = capsys.readouterr().err
        assert not OF_GRPC.search(said) and "  now: nothing was changed" in said and " next: " in said, said
    return said


def test_tls_is_spoken_where_we_do_not(capsys: pytest.CaptureFixture[str], pki: Path) -> None:
    with server(silent, context(pki)) as port:
        assert f"use https://127.0.0.1:{port}, with --cacert" in told(capsys, f"--endpoints=127.0.0.1:{port}")
        assert f"use https://127.0.0.1:{port}\n" in told(capsys, f"--endpoints=http://127.0.0.1:{port}", *files(pki))


def test_we_speak_tls_where_nobody_does(capsys: pytest.CaptureFixture[str], pki: Path) -> None:
    with server(plain_etcd) as port:
        for given in ([f"--endpoints=https://127.0.0.1:{port}"], [f"--endpoints=127.0.0.1:{port}", *files(pki)]):
            said = told(capsys, *given)
            assert "does not speak TLS" in said and f"use http://127.0.0.1:{port}\n" in said


def test_no_ca_and_the_wrong_ca_are_told_apart(capsys: pytest.CaptureFixture[str], pki: Path) -> None:
    with server(silent, context(pki)) as port:
        where = f"--endpoints=https://127.0.0.1:{port}"
        assert "no CA was given" in told(capsys, where) and "--cacert" in told(capsys, where)
        said = told(capsys, where, *files(pki, "other"))
        assert f"is not signed by {pki}/other.crt" in said


def test_a_certificate_for_another_host_is_named_so(capsys: pytest.CaptureFixture[str], pki: Path) -> None:
    with server(silent, context(pki)) as port:
        said = told(capsys, f"--endpoints=https://localhost:{port}", *files(pki))
        assert "Hostname mismatch" in said and "name the server by an address that its certificate has" in said


@pytest.mark.parametrize(("days", "why"), [(1, "certificate is not yet valid"), (-400, "certificate has expired")])
def test_a_clock_that_may_be_wrong_is_named(capsys: pytest.CaptureFixture[str], pki: Path, days: int, why: str) -> None:
    """It advised another CA, with which the certificate is as old as before."""
    now = datetime.now(UTC) + timedelta(days=days)
    ca = make_ca("old", now=now, kind="ECDSA-P256")
    write_pair(pki / "old", ca)
    write_pair(pki / "old-server", make_leaf(LeafSpec("s", ("server",), ("127.0.0.1",), kind="ECDSA-P256"), ca, now=now))
    with server(silent, context(pki, "old-server")) as port:
        said = told(capsys, f"--endpoints=https://127.0.0.1:{port}", *files(pki, "old"))
    assert f"the server's {why}, and the clock of this host shows {datetime.now(UTC):%Y-%m-%d}" in said
    assert "timedatectl" in said and "--cacert" not in said


def test_a_clock_of_a_server_is_named(pki: Path) -> None:
    """Etcd sends this alert for a client certificate that is too old."""
    tls = load_tls(TlsFiles(pki / "ca.crt", pki / "ca-client.crt", pki / "ca-client.key"))
    alert = ssl.SSLError(1, "alert")
    alert.reason = "SSLV3_ALERT_CERTIFICATE_EXPIRED"
    cause = _refused_us(alert, tls)
    assert f"{pki}/ca-client.crt has expired by the clock of the server, and the clock of this host shows" in cause.why
    assert "timedatectl" in cause.advice


def test_a_client_certificate_that_is_missing_or_refused(capsys: pytest.CaptureFixture[str], pki: Path) -> None:
    with server(silent, context(pki, asks=True)) as port:
        where = f"--endpoints=https://127.0.0.1:{port}"
        assert "requires a client certificate, and none was given" in told(capsys, where, *files(pki))
        assert f"rejects our client certificate {pki}/other-client.crt" in told(
            capsys, where, *files(pki, "ca", "other-client")
        )


@pytest.mark.parametrize(
    ("speak", "why"),
    [
        (answer(b"hello"), "what listens there is not etcd"),
        (silent, "nothing answers"),
        (plain_etcd, "gives no answer in time"),
    ],
    ids=["http", "silent", "late"],
)
def test_what_listens_there_is_named(capsys: pytest.CaptureFixture[str], speak: Speak, why: str) -> None:
    with server(speak) as port:
        assert why in told(capsys, f"--endpoints=http://127.0.0.1:{port}")


def test_each_dead_endpoint_is_named(capsys: pytest.CaptureFixture[str], pki: Path) -> None:
    with server(silent, context(pki)) as port:
        said = told(capsys, f"--endpoints=127.0.0.1:1,127.0.0.1:2,127.0.0.1:{port},nobody.invalid:1")
    assert "127.0.0.1:1, 127.0.0.1:2: connection refused" in said and "the server speaks TLS" in said
    assert "the host name nobody.invalid has no address" in said


def test_the_library_says_the_same() -> None:
    with pytest.raises(Unreachable, match="connection refused: nothing listens there"), connect(["127.0.0.1:1"]) as cluster:
        cluster.status()


def test_only_tls_everywhere_makes_it_final(pki: Path) -> None:
    with server(silent, context(pki)) as port:
        there, gone = Endpoint("127.0.0.1", port), Endpoint("127.0.0.1", 1)
        error = Unreachable("x")
        assert type(explained(error, [there], None)) is TlsRefused
        assert type(explained(error, [there, gone], None)) is Unreachable


def test_what_etcd_itself_sent_stays_as_it_is() -> None:
    for error in (EtcdError("x"), NoAnswer("etcdserver: request timed out")):
        assert explained(error, [Endpoint("127.0.0.1", 1)], None) is error


@pytest.mark.parametrize("reads_only", [True, False])
@pytest.mark.parametrize(
    "text",
    [
        f"{NEVER}UNAVAILABLE: ipv4:127.0.0.1:1: Socket closed",
        f"{NEVER}UNKNOWN: ipv4:1.2.3.4:1: something new",
        f"{NEVER}UNAVAILABLE: ipv4:1.2.3.4:1: Failed parsing HTTP/2 (Expected SETTINGS frame)",
        f"{NEVER}UNKNOWN: ipv4:1.2.3.4:1: connection timed out before receiving SETTINGS frame",
        f"{NEVER}UNKNOWN: ipv4:1.2.3.4:1: Ssl handshake failed: SSL_ERROR_SSL: OPENSSL_internal:SOMETHING_NEW",
        "errors resolving foo:2379: [field:hostname lookup error:address lookup failed for foo:2379: Domain name not found]",
        "ipv4:127.0.0.1:17756: Socket closed",
        "recvmsg:Connection reset by peer",
    ],
)
def test_no_text_of_grpc_is_shown(text: str, reads_only: bool) -> None:
    assert not OF_GRPC.search(classify(Failure("UNAVAILABLE", text, "h:1", "Status", reads_only)).what)
