"""Discovery: what is trusted before and after the pinned CA has been seen to sign the server."""

from __future__ import annotations

import base64
import json
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hostile.servers import NEVER_WHOLE, Speak, answer, server
from quorate.config.types import BootstrapTokenDiscovery, Discovery
from quorate.deadline import SystemClock
from quorate.errors import PreflightFailed, QuorateError
from quorate.foreign.urls import parts_of
from quorate.kube.tokens import Token, sign
from quorate.phases.join import discovery
from quorate.phases.join.discovery import Found, Search, discover
from quorate.pki import kubeconfig
from quorate.pki.certificates import LeafSpec, Pair, make_ca, make_leaf
from quorate.pki.sealing import pins_of
from quorate.tree import RealTree

TOKEN = Token.parse("abcdef.0123456789abcdef")
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def authorities() -> tuple[Pair, Pair]:
    """The cluster's CA, and another one."""
    return make_ca("kubernetes", now=NOW), make_ca("kubernetes", now=NOW)


def tls_of(authority: Pair, tmp_path: Path) -> ssl.SSLContext:
    leaf = make_leaf(LeafSpec("kube-apiserver", usages=("server",), names=("127.0.0.1",)), authority, now=NOW)
    pem = tmp_path / "server.pem"
    pem.write_bytes(leaf.certificate_pem() + leaf.key_pem().reveal())
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(pem)
    return made


def info(bundle: bytes, server_url: str, token: Token = TOKEN) -> bytes:
    """cluster-info as the API server answers, signed."""
    where = {"server": server_url, "certificate-authority-data": base64.b64encode(bundle).decode()}
    text = kubeconfig.dump({"kind": "Config", "clusters": [{"name": "", "cluster": where}]}).decode()
    return json.dumps({"data": {"kubeconfig": text, f"jws-kubeconfig-{token.id}": sign(text, token)}}).encode()


def found(speak: Speak, tls: ssl.SSLContext, pins: list[str], seconds: float = 5.0) -> Found:
    with server(speak, tls) as port:
        given = Discovery(bootstrap_token=BootstrapTokenDiscovery(TOKEN.reveal(), f"127.0.0.1:{port}", tuple(pins)))
        return discover(given, RealTree(), Search(seconds, SystemClock(), lambda _: None))


def test_a_bundle_with_a_ca_of_an_attacker_is_not_trusted(authorities: tuple[Pair, Pair], tmp_path: Path) -> None:
    """Row d3.a: with any token a man in the middle signed a bundle of both, and served with his own certificate."""
    good, evil = authorities
    bundle = good.certificate_pem() + evil.certificate_pem()
    speak = answer(info(bundle, "https://127.0.0.1:1"))
    with pytest.raises(PreflightFailed, match="cannot be trusted") as refused:
        found(speak, tls_of(evil, tmp_path), pins_of(good.certificate_pem()))
    assert pins_of(evil.certificate_pem())[0] in refused.value.what, "in a rotation of the CA the missing pin is named"
    assert found(speak, tls_of(good, tmp_path), pins_of(good.certificate_pem())).ca_pem == bundle, "the cluster itself said so"
    assert found(speak, tls_of(evil, tmp_path), pins_of(bundle)).ca_pem == bundle, "both pins were given"


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1:6443", "https://joe:geheim-77@10.0.0.1:6443", "https://[", "", "https://10.0.0.1:0", "ftp://x"]
)
def test_a_signed_address_that_is_not_https_is_refused(url: str, authorities: tuple[Pair, Pair], tmp_path: Path) -> None:
    """Row d3.b: the token would be sent there."""
    good, _ = authorities
    with pytest.raises(PreflightFailed, match="cannot be trusted") as refused:
        found(answer(info(good.certificate_pem(), url)), tls_of(good, tmp_path), [])
    assert "geheim" not in str(refused.value.as_dict())


ODD = [
    b"{}",
    b"[]",
    b'{"data": []}',
    b'{"data": {"kubeconfig": 1}}',
    b'{"data": {"kubeconfig": "\\ud800", "jws-kubeconfig-abcdef": "\\ud800"}}',
    json.dumps({"data": {"kubeconfig": "a: " + "[" * 5000, "jws-kubeconfig-abcdef": "x"}}).encode(),
    b'{"data": ' + b"[" * 100_000,
]


@pytest.mark.parametrize("body", ODD)
def test_cluster_info_of_any_shape_is_a_typed_error(body: bytes, authorities: tuple[Pair, Pair], tmp_path: Path) -> None:
    with pytest.raises(QuorateError):
        found(answer(body), tls_of(authorities[0], tmp_path), [], seconds=0.5)


def test_signed_nonsense_is_a_typed_error(authorities: tuple[Pair, Pair], tmp_path: Path) -> None:
    for text in (
        "",
        "a: [",
        "clusters: [1]",
        "clusters: [{cluster: {server: [x], certificate-authority-data: {}}}]",
        "&a [*a]",
    ):
        body = json.dumps({"data": {"kubeconfig": text, "jws-kubeconfig-abcdef": sign(text, TOKEN)}}).encode()
        with pytest.raises(QuorateError):
            found(answer(body), tls_of(authorities[0], tmp_path), [], seconds=0.5)


@pytest.mark.parametrize(("name", "speak"), NEVER_WHOLE[:3], ids=[name for name, _ in NEVER_WHOLE[:3]])
def test_a_server_cannot_hold_a_join(name: str, speak: Speak, authorities: tuple[Pair, Pair], tmp_path: Path) -> None:
    monkey = pytest.MonkeyPatch()
    monkey.setattr("quorate.kube.client._RPC_SECONDS", 1.0)
    try:
        with pytest.raises(PreflightFailed):
            found(speak, tls_of(authorities[0], tmp_path), [], seconds=1.0)
    finally:
        monkey.undo()


def test_a_password_of_a_discovery_url_is_in_no_error() -> None:
    """Row i3.3."""
    given = "https://joe:geheim-77@127.0.0.1:1/d.conf"
    with pytest.raises(QuorateError) as refused:
        discovery._fetch(given, Search(1.0, SystemClock(), lambda _: None))
    assert "geheim" not in str(refused.value.as_dict())
    assert discovery._login_headers(parts_of("https://joe:geheim-77@h/x")) == {"Authorization": "Basic am9lOmdlaGVpbS03Nw=="}
