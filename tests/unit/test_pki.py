"""Certificates field by field against kubeadm's table, and their files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from quorate.errors import ConfigError
from quorate.pki import etcd as pki
from quorate.pki.certificates import KeyKind, LeafSpec, Pair, make_ca, make_leaf
from quorate.pki.store import problems, read_pair, write_pair

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
KIND: KeyKind = "ECDSA-P256"


@pytest.fixture(scope="module")
def ca() -> Pair:
    return make_ca("etcd-ca", now=NOW, kind=KIND)


def extension(pair: Pair, kind: type[x509.ExtensionType]) -> x509.Extension[x509.ExtensionType]:
    return pair.certificate.extensions.get_extension_for_class(kind)


def test_a_ca(ca: Pair) -> None:
    certificate = ca.certificate
    assert certificate.subject == certificate.issuer
    assert certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "etcd-ca"
    assert certificate.not_valid_before_utc == NOW - timedelta(minutes=5)
    assert certificate.not_valid_after_utc == NOW + timedelta(days=3650)
    constraints = extension(ca, x509.BasicConstraints)
    assert constraints.critical and constraints.value == x509.BasicConstraints(ca=True, path_length=None)
    usage = extension(ca, x509.KeyUsage).value
    assert isinstance(usage, x509.KeyUsage) and usage.key_cert_sign and usage.digital_signature and usage.key_encipherment
    names = extension(ca, x509.SubjectAlternativeName).value
    assert isinstance(names, x509.SubjectAlternativeName) and names.get_values_for_type(x509.DNSName) == ["etcd-ca"]


@pytest.mark.parametrize("base", [pki.SERVER, pki.PEER])
def test_a_nodes_certificates(ca: Pair, base: str) -> None:
    spec = pki.node_certificates("node1", ["10.0.0.1", "fd00::1"], KIND)[base]
    leaf = make_leaf(spec, ca, now=NOW)
    names = extension(leaf, x509.SubjectAlternativeName).value
    assert isinstance(names, x509.SubjectAlternativeName)
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "node1"]
    assert names.get_values_for_type(x509.IPAddress) == [
        ip_address(text) for text in ("10.0.0.1", "fd00::1", "127.0.0.1", "::1")
    ]
    usages = extension(leaf, x509.ExtendedKeyUsage).value
    assert list(usages) == [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]  # type: ignore[call-overload]
    assert leaf.certificate.not_valid_after_utc == NOW + timedelta(days=365)
    assert leaf.certificate.not_valid_before_utc == ca.certificate.not_valid_before_utc
    assert 0 < leaf.certificate.serial_number < 2**63
    leaf.certificate.verify_directly_issued_by(ca.certificate)


def test_the_health_check_client_is_a_client_only(ca: Pair) -> None:
    leaf = make_leaf(pki.healthcheck_client(KIND), ca, now=NOW)
    assert leaf.certificate.subject.rfc4514_string() == "CN=kube-etcd-healthcheck-client"
    usages = extension(leaf, x509.ExtendedKeyUsage).value
    assert list(usages) == [ExtendedKeyUsageOID.CLIENT_AUTH]  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("kind", "begins"),
    [
        ("RSA-2048", b"-----BEGIN RSA PRIVATE KEY"),
        ("ECDSA-P256", b"-----BEGIN EC PRIVATE KEY"),
        ("ECDSA-P384", b"-----BEGIN EC PRIVATE KEY"),
    ],
)
def test_key_kinds(kind: KeyKind, begins: bytes) -> None:
    made = make_ca("x", now=NOW, kind=kind)
    assert made.key_pem().reveal().startswith(begins)
    assert isinstance(made.key, rsa.RSAPrivateKey if kind.startswith("RSA") else ec.EllipticCurvePrivateKey)


def test_a_pair_is_written_and_read(ca: Pair, tmp_path: Path) -> None:
    write_pair(tmp_path / "ca", ca)
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {"ca.crt": 0o644, "ca.key": 0o600}
    assert read_pair(tmp_path / "ca").certificate == ca.certificate


def test_files_that_do_not_fit(ca: Pair, tmp_path: Path) -> None:
    write_pair(tmp_path / "ca", ca)
    (tmp_path / "ca.key").write_bytes(make_ca("y", now=NOW, kind=KIND).key_pem().reveal())
    with pytest.raises(ConfigError, match="does not belong"):
        read_pair(tmp_path / "ca")
    (tmp_path / "ca.key").write_text("nonsense")
    with pytest.raises(ConfigError, match="not an unencrypted PEM"):
        read_pair(tmp_path / "ca")
    (tmp_path / "ca.crt").write_text("nonsense")
    with pytest.raises(ConfigError, match="not a PEM certificate"):
        read_pair(tmp_path / "ca")
    (tmp_path / "ca.crt").unlink()
    with pytest.raises(ConfigError, match="cannot read"):
        read_pair(tmp_path / "ca")


def test_existing_files_are_kept(tmp_path: Path) -> None:
    first = pki.ensure_ca(tmp_path, now=NOW, kind=KIND)
    assert pki.ensure_ca(tmp_path, now=NOW + timedelta(days=1), kind=KIND).certificate == first.certificate


def test_a_ca_key_without_its_certificate_is_completed_and_a_certificate_without_its_key_is_refused(tmp_path: Path) -> None:
    first = pki.ensure_ca(tmp_path, now=NOW, kind=KIND)
    (tmp_path / "ca.crt").unlink()
    again = pki.ensure_ca(tmp_path, now=NOW, kind=KIND)
    assert again.certificate.public_key() == first.certificate.public_key() == first.key.public_key()
    (tmp_path / "ca.key").unlink()
    with pytest.raises(ConfigError, match="cannot read the key"):
        pki.ensure_ca(tmp_path, now=NOW, kind=KIND)


@pytest.mark.parametrize(
    ("at", "names", "other_ca", "said"),
    [
        (NOW, ("localhost", "127.0.0.1"), False, None),
        (NOW + timedelta(days=366), (), False, "expired at 2027-03-01"),
        (NOW - timedelta(days=1), (), False, "UTC, 23:55:00 after what the clock of this host shows"),
        (NOW, ("elsewhere", "10.9.9.9"), False, "elsewhere, 10.9.9.9"),
        (NOW, (), True, "not signed by the CA"),
    ],
)
def test_problems_of_a_certificate(
    ca: Pair, tmp_path: Path, at: datetime, names: tuple[str, ...], other_ca: bool, said: str | None
) -> None:
    write_pair(tmp_path / "server", make_leaf(pki.node_certificates("n", (), KIND)[pki.SERVER], ca, now=NOW))
    judge = make_ca("etcd-ca", now=NOW, kind=KIND) if other_ca else ca
    found = problems(tmp_path / "server.crt", ca=judge.certificate, names=names, now=at)
    assert (found == []) if said is None else (len(found) == 1 and said in found[0])


def test_a_leaf_without_names_has_no_san(ca: Pair) -> None:
    leaf = make_leaf(LeafSpec("c", ("client",), kind=KIND), ca, now=NOW)
    with pytest.raises(x509.ExtensionNotFound):
        extension(leaf, x509.SubjectAlternativeName)
