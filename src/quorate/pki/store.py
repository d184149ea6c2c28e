"""Certificate files: `<base>.crt` (0644) and `<base>.key` (0600). Written atomically; errors name the file."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID

from quorate.errors import ConfigError
from quorate.files import write_atomic
from quorate.foreign.pem import blocks
from quorate.pki.certificates import USAGES, Pair, PrivateKey, Usage, alternative_names

READ_ERRORS = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""The exceptions of `cryptography` for certificates and keys that are invalid or unsupported; some come only when a field is
read."""

CERTIFICATE_MODE = 0o644
KEY_MODE = 0o600


def paths(base: Path) -> tuple[Path, Path]:
    """Returns the paths of certificate and key."""
    return base.with_name(base.name + ".crt"), base.with_name(base.name + ".key")


def write_pair(base: Path, pair: Pair) -> None:
    """Writes the key first: a certificate without its key would look like an external CA."""
    certificate, key = paths(base)
    write_atomic(key, pair.key_pem().reveal(), mode=KEY_MODE)
    write_atomic(certificate, pair.certificate_pem(), mode=CERTIFICATE_MODE)


def read_pair(base: Path) -> Pair:
    """Reads certificate and key. Raises `ConfigError` when a file is missing, is not PEM, or the two do not belong together."""
    certificate_path, key_path = paths(base)
    pair = Pair(read_certificate(certificate_path), read_key(key_path))
    if pair.key.public_key() != pair.certificate.public_key():
        raise ConfigError(f"the key {key_path} does not belong to the certificate {certificate_path}")
    return pair


def read_certificate(path: Path) -> x509.Certificate:
    return parse_certificate(_bytes(path, "certificate"), str(path))


def parse_certificate(pem: bytes, where: str) -> x509.Certificate:
    """Returns the first certificate of a bundle. Raises `ConfigError`, also where a further one cannot be read: no component
    takes such a bundle."""
    try:
        found = [_parsed(der) for der in _certificates(pem)]
    except READ_ERRORS:
        found = []
    if not found:
        raise ConfigError(f"{where} is not a PEM certificate that can be read")
    return found[0]


def _certificates(pem: bytes) -> list[bytes]:
    """Returns what Kubernetes takes for certificates in a text."""
    return [one.content for one in blocks(pem) if one.label == "CERTIFICATE" and not one.has_headers]


def _parsed(der: bytes) -> x509.Certificate:
    found = x509.load_der_x509_certificate(der)
    # Read here once: the library parses these fields only on access, and raises then.
    found.public_key(), tuple(found.extensions), found.issuer, found.subject
    return found


def all_of(pem: bytes) -> list[x509.Certificate]:
    """Returns the certificates of a bundle that can be read, whatever else is next to them."""
    found: list[x509.Certificate] = []
    for der in _certificates(pem):
        with suppress(*READ_ERRORS):
            found.append(_parsed(der))
    return found


def holds(pem: bytes, certificate: x509.Certificate) -> bool:
    """Returns whether a bundle holds a certificate, whatever else is next to it."""
    return certificate in all_of(pem)


def others_of(pem: bytes) -> list[x509.Certificate]:
    """Returns the certificates of a bundle behind its first, without copies of that."""
    found = all_of(pem)
    return [one for one in found[1:] if one != found[0]]


def has_issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Returns whether a certificate is signed by the key of another one that has its issuer's name."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (*READ_ERRORS, InvalidSignature):
        return False
    return True


def is_same_request(pem: bytes, wanted: bytes) -> bool:
    """Returns whether two signing requests (PEM) ask for the same, for the same key. Their signatures may differ."""
    try:
        requests = [x509.load_pem_x509_csr(one).tbs_certrequest_bytes for one in (pem, wanted)]
    except READ_ERRORS:
        return False
    return requests[0] == requests[1]


def read_key(path: Path) -> PrivateKey:
    return parse_key(_bytes(path, "key"), str(path))


def parse_key(pem: bytes, where: str) -> PrivateKey:
    """Returns the first private key of a text that can be read, as Kubernetes does. Raises `ConfigError`, which never repeats
    the content."""
    key = any_key(pem, where)
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise ConfigError(f"{where} holds neither an RSA nor an EC key")
    return key


def any_key(pem: bytes, where: str) -> PrivateKeyTypes:
    """Returns as `parse_key`, of any kind: a key that is not made here may be in use all the same."""
    is_encrypted = False
    for one in blocks(pem):
        is_encrypted |= one.label == "ENCRYPTED PRIVATE KEY" or (one.has_headers and one.label in _KEYS)
        if one.label in _KEYS:
            with suppress(*READ_ERRORS):
                # Validating an RSA key takes half as long as making one. Two other checks are enough: the key has to belong to
                # its certificate, and what a CA signs is verified (certificates.make_leaf).
                return serialization.load_der_private_key(one.content, password=None, unsafe_skip_rsa_key_validation=True)
    if is_encrypted:
        raise ConfigError(f"{where} is encrypted: Kubernetes reads no such key", advice="write it without its passphrase")
    raise ConfigError(f"{where} is not an unencrypted PEM private key")


_KEYS = ("PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY")


def _bytes(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read the {what} {path}: {error.strerror}") from error


def problems(
    path: Path, *, ca: x509.Certificate, names: tuple[str, ...], now: datetime, usages: tuple[Usage, ...] = ()
) -> list[str]:
    """Returns what is wrong with the certificate at `path` for a server reached by `names`: dates, issuer, missing SANs, and
    missing `usages`."""
    return flaws(read_certificate(path), str(path), ca=ca, names=names, now=now, usages=usages)


def _early(left: timedelta) -> str:
    """Returns what a certificate of the future says about the clock that judges it."""
    seconds = timedelta(seconds=round(left.total_seconds()))
    return f"{seconds} after what the clock of this host shows: that may be wrong (see timedatectl)"


def flaws(
    certificate: x509.Certificate,
    path: str,
    *,
    ca: x509.Certificate,
    names: tuple[str, ...],
    now: datetime,
    usages: tuple[Usage, ...] = (),
) -> list[str]:
    """Returns what is wrong with a certificate that was read from `path`."""
    found: list[str] = []
    if certificate.not_valid_after_utc < now:
        found.append(f"{path} expired at {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC")
    if certificate.not_valid_before_utc > now:
        start = certificate.not_valid_before_utc
        found.append(f"{path} is valid only from {start:%Y-%m-%d %H:%M} UTC, {_early(start - now)}")
    if not _is_signed_by(certificate, ca):
        found.append(f"{path} is not signed by the CA {ca.subject.rfc4514_string()} given for it")
    excluded = excluded_names(certificate, ca)
    if excluded:
        found.append(f"{path} is for {', '.join(excluded)}, which the name constraints of its CA exclude")
    there = _names_in(certificate)
    missing = [name for name in names if not {str(one.value) for one in alternative_names([name])} <= there]
    if missing:
        found.append(f"{path} lacks the subject alternative name {', '.join(missing)}")
    found += [f"{path} may not be used as a {usage} certificate" for usage in usages if not _may_be(certificate, usage)]
    return found


def ca_flaws(certificate: x509.Certificate, path: str, *, now: datetime) -> list[str]:
    """Returns what is wrong with a certificate that is to sign others."""
    found: list[str] = []
    try:
        is_ca = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        is_ca = False
    if not is_ca:
        found.append(f"{path} is not a CA's certificate")
    try:
        signs = certificate.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        signs = True
    if not signs:
        found.append(f"{path} may not sign certificates: its key usage lacks keyCertSign")
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not start <= now <= end:
        early = f", {_early(start - now)}" if now < start else ""
        found.append(f"{path} is valid from {start:%Y-%m-%d} to {end:%Y-%m-%d}{early}")
    return found


def excluded_names(certificate: x509.Certificate, ca: x509.Certificate) -> list[str]:
    """Returns the DNS names and addresses of a certificate for which its CA may not sign (RFC 5280, 4.2.1.10)."""
    try:
        limits = ca.extensions.get_extension_for_class(x509.NameConstraints).value
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    permitted, excluded = limits.permitted_subtrees or [], limits.excluded_subtrees or []
    found: list[str] = []
    for name in (one for one in names if isinstance(one, x509.DNSName | x509.IPAddress)):
        # A constraint limits the names of its own kind only.
        same = [one for one in permitted if isinstance(one, type(name))]
        if any(_is_within(name, one) for one in excluded) or (same and not any(_is_within(name, one) for one in same)):
            found.append(str(name.value))
    return found


def _is_within(name: x509.GeneralName, tree: x509.GeneralName) -> bool:
    if isinstance(name, x509.DNSName) and isinstance(tree, x509.DNSName):
        within, whole = name.value.lower(), tree.value.lower()
        return not whole or within == whole or within.endswith(f".{whole.removeprefix('.')}")
    if isinstance(name, x509.IPAddress) and isinstance(tree, x509.IPAddress):
        return name.value in tree.value  # type: ignore[operator]
    return False


def may_serve(certificate: x509.Certificate) -> bool:
    """Returns whether a server may use the certificate: each etcd member is one."""
    return _may_be(certificate, "server")


def _may_be(certificate: x509.Certificate, usage: Usage) -> bool:
    """Returns whether the certificate allows the usage. One without any extended usage allows everything."""
    try:
        allowed = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return USAGES[usage] in allowed or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in allowed


def _is_signed_by(certificate: x509.Certificate, ca: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(ca)
    except (*READ_ERRORS, InvalidSignature):
        return False
    return True


def _names_in(certificate: x509.Certificate) -> set[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))}
