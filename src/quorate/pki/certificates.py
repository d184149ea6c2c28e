"""Makes certificates with the fields that kubeadm gives them; no files here.

Field rules are those of kubeadm 1.29 to 1.37: CA valid for 10 years with its common name as DNS SAN, leaves for one
year from the CA's own start, key usages digitalSignature and keyEncipherment (with keyCertSign for a CA).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias, cast, get_args

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from quorate.errors import ConfigError
from quorate.foreign.addresses import read_address
from quorate.secret import Secret

KeyKind: TypeAlias = Literal["RSA-2048", "RSA-3072", "RSA-4096", "ECDSA-P256", "ECDSA-P384"]
PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
Usage: TypeAlias = Literal["server", "client"]

Certificate: TypeAlias = x509.Certificate

CA_VALIDITY = timedelta(days=3650)
LEAF_VALIDITY = timedelta(days=365)
_BACKDATE = timedelta(minutes=5)
"""kubeadm's CAs are valid from 5 minutes before they are made, for clocks that are a little behind."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: PrivateKey

    def certificate_pem(self) -> bytes:
        return certificate_pem(self.certificate)

    def key_pem(self) -> Secret[bytes]:
        return key_pem(self.key)


def key_pem(key: PrivateKey) -> Secret[bytes]:
    """Returns the key as PEM: PKCS#1 for RSA and SEC1 for EC, as kubeadm writes them."""
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return Secret(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))


def public_key_pem(key: PrivateKey) -> bytes:
    """Returns the public key as PKIX PEM, the form of sa.pub."""
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


@dataclass(frozen=True, slots=True)
class LeafSpec:
    """The content of a leaf certificate. `names` are DNS names or IP addresses, distinguished by their form."""

    common_name: str
    usages: tuple[Usage, ...]
    names: tuple[str, ...] = ()
    organizations: tuple[str, ...] = ()
    validity: timedelta = LEAF_VALIDITY
    kind: KeyKind = "RSA-2048"


def make_key(kind: KeyKind) -> PrivateKey:
    match kind:
        case "ECDSA-P256":
            return ec.generate_private_key(ec.SECP256R1())
        case "ECDSA-P384":
            return ec.generate_private_key(ec.SECP384R1())
        case _:
            return rsa.generate_private_key(public_exponent=65537, key_size=int(kind.removeprefix("RSA-")))


def kind_of(certificate: x509.Certificate) -> KeyKind | None:
    """Returns the kind of the certificate's key; None for one that is not made here."""
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        found = f"RSA-{key.key_size}"
    elif isinstance(key, ec.EllipticCurvePublicKey):
        found = {"secp256r1": "ECDSA-P256", "secp384r1": "ECDSA-P384"}.get(key.curve.name, "")
    else:
        found = ""
    return next((kind for kind in get_args(KeyKind) if kind == found), None)


def nearest_kind(certificate: x509.Certificate) -> KeyKind:
    """Returns the kind that is made here and comes next to that of the certificate's key."""
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        return "ECDSA-P384" if isinstance(key, ec.EllipticCurvePublicKey) and key.key_size > _BITS_OF_P256 else "ECDSA-P256"
    sizes = sorted(int(kind.removeprefix("RSA-")) for kind in get_args(KeyKind) if kind.startswith("RSA-"))
    size = next((one for one in sizes if one >= key.key_size), sizes[-1])
    return cast("KeyKind", f"RSA-{size}")


_BITS_OF_P256 = 256


def make_ca(
    common_name: str,
    *,
    now: datetime,
    kind: KeyKind = "RSA-2048",
    validity: timedelta = CA_VALIDITY,
    key: PrivateKey | None = None,
) -> Pair:
    """Returns a self-signed CA. `key`: one that was made before, else a new one of `kind`."""
    key = key or make_key(kind)
    start = now - _BACKDATE
    builder = _builder(_name(common_name), _name(common_name), key, start, now + validity)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(signs=True), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(common_name)]), critical=False)
    return Pair(builder.sign(key, hashes.SHA256()), key)


def make_leaf(spec: LeafSpec, ca: Pair, *, now: datetime, key: PrivateKey | None = None) -> Pair:
    """Returns a certificate for `spec` signed by `ca`. `key`: one that was made before, else a new one. Raises `ConfigError`
    when the CA's key is damaged."""
    key = key or make_key(spec.kind)
    start = ca.certificate.not_valid_before_utc
    issuer = ca.certificate.subject
    builder = _builder(_name(spec.common_name, spec.organizations), issuer, key, start, now + spec.validity)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(signs=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([USAGES[usage] for usage in spec.usages]), critical=False)
    builder = builder.add_extension(_authority(ca), critical=False)
    if spec.names:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternative_names(spec.names)), critical=False)
    return _signed(builder, ca, key)


def _signed(builder: x509.CertificateBuilder, ca: Pair, key: PrivateKey) -> Pair:
    """Signs a certificate. Raises `ConfigError` when the CA's key is damaged: what it signs would not verify."""
    certificate = builder.sign(ca.key, hashes.SHA256())
    try:
        certificate.verify_directly_issued_by(ca.certificate)
    except (ValueError, TypeError, InvalidSignature):
        raise ConfigError(f"the key of the CA {ca.certificate.subject.rfc4514_string()} is damaged: restore it") from None
    return Pair(certificate, key)


def renew_leaf(old: x509.Certificate, ca: Pair, *, now: datetime, validity: timedelta, key: PrivateKey) -> Pair:
    """Returns a certificate with a new key and the subject, names and usages of the old one."""
    start = ca.certificate.not_valid_before_utc
    builder = _builder(old.subject, ca.certificate.subject, key, start, now + validity)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(signs=False), critical=True)
    for kind in (x509.ExtendedKeyUsage, x509.SubjectAlternativeName):
        try:
            builder = builder.add_extension(old.extensions.get_extension_for_class(kind).value, critical=False)
        except x509.ExtensionNotFound:
            continue
    builder = builder.add_extension(_authority(ca), critical=False)
    return _signed(builder, ca, key)


def make_request(spec: LeafSpec, key: PrivateKey) -> bytes:
    """Returns a signing request (PEM) for a CA on another host."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(_name(spec.common_name, spec.organizations))
    if spec.names:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternative_names(spec.names)), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


USAGES = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}


def alternative_names(names: Iterable[str]) -> list[x509.GeneralName]:
    """Returns DNS names sorted and without repeats, then addresses in the given order without repeats: kubeadm's order."""
    names = tuple(names)
    addresses = [address for name in names if (address := read_address(name)) is not None]
    dns = sorted({name for name in names if read_address(name) is None})
    return [*map(x509.DNSName, dns), *map(x509.IPAddress, dict.fromkeys(addresses))]


def names_by_kind(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Returns DNS names and addresses, each in the order of the certificate."""
    found = alternative_names(names)
    dns = [str(one.value) for one in found if isinstance(one, x509.DNSName)]
    return dns, [str(one.value) for one in found if isinstance(one, x509.IPAddress)]


def certificate_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _builder(subject: x509.Name, issuer: x509.Name, key: PrivateKey, start: datetime, end: datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(secrets.randbelow(2**63 - 2) + 1)
        .not_valid_before(start.astimezone(UTC))
        .not_valid_after(end.astimezone(UTC))
    )


def _name(common_name: str, organizations: tuple[str, ...] = ()) -> x509.Name:
    rows = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization) for organization in organizations]
    return x509.Name([*rows, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _key_usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=True,
        key_cert_sign=signs,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _authority(ca: Pair) -> x509.AuthorityKeyIdentifier:
    """Returns the identifier of the issuer's key: strict verifiers (Python 3.13's) require it in leaves."""
    try:
        identifier = ca.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        # A user's own CA may have no SubjectKeyIdentifier.
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.certificate.public_key())  # type: ignore[arg-type]
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
