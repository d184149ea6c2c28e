"""Certificate files: `<base>.crt` (0644) and `<base>.key` (0600), written atomically, read with their errors named."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from quorate.errors import ConfigError
from quorate.files import write_atomic
from quorate.pki.certificates import USAGES, Pair, Usage

CERTIFICATE_MODE = 0o644
KEY_MODE = 0o600


def paths(base: Path) -> tuple[Path, Path]:
    """The certificate's and the key's path."""
    return base.with_name(base.name + ".crt"), base.with_name(base.name + ".key")


def write_pair(base: Path, pair: Pair) -> None:
    """The key first: a certificate without its key would look like an external CA."""
    certificate, key = paths(base)
    write_atomic(key, pair.key_pem().reveal(), mode=KEY_MODE)
    write_atomic(certificate, pair.certificate_pem(), mode=CERTIFICATE_MODE)


def read_pair(base: Path) -> Pair:
    """Raises `ConfigError` when a file is missing, is not PEM, or the two do not belong together."""
    certificate_path, key_path = paths(base)
    pair = Pair(read_certificate(certificate_path), _read_key(key_path))
    if pair.key.public_key() != pair.certificate.public_key():
        raise ConfigError(f"the key {key_path} does not belong to the certificate {certificate_path}")
    return pair


def read_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"cannot read the certificate {path}: {error.strerror}") from error
    except ValueError:
        raise ConfigError(f"{path} is not a PEM certificate") from None


def _read_key(path: Path) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise ConfigError(f"cannot read the key {path}: {error.strerror}") from error
    except (ValueError, TypeError):
        raise ConfigError(f"{path} is not an unencrypted PEM private key") from None
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise ConfigError(f"{path} holds neither an RSA nor an EC key")
    return key


def problems(
    path: Path, *, ca: x509.Certificate, names: tuple[str, ...], now: datetime, usages: tuple[Usage, ...] = ()
) -> list[str]:
    """What is wrong with the certificate at `path` for a server reached by `names`: dates, issuer, missing SANs, and those
    of `usages` that it does not have."""
    certificate = read_certificate(path)
    found: list[str] = []
    if certificate.not_valid_after_utc < now:
        found.append(f"{path} expired at {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC")
    if certificate.not_valid_before_utc > now:
        found.append(f"{path} is valid only from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC: is the clock right?")
    if not _is_signed_by(certificate, ca):
        found.append(f"{path} is not signed by the CA {ca.subject.rfc4514_string()} given for it")
    missing = [name for name in names if name not in _names_in(certificate)]
    if missing:
        found.append(f"{path} lacks the subject alternative name {', '.join(missing)}")
    found += [f"{path} may not be used as a {usage} certificate" for usage in usages if not _may_be(certificate, usage)]
    return found


def _may_be(certificate: x509.Certificate, usage: Usage) -> bool:
    """A certificate without any extended usage may be used for everything."""
    try:
        allowed = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return USAGES[usage] in allowed or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in allowed


def _is_signed_by(certificate: x509.Certificate, ca: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(ca)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _names_in(certificate: x509.Certificate) -> set[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))}
