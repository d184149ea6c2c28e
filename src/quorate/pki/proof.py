"""Proves that what a CA signed is accepted: by a handshake in memory, in which both ends verify as real servers and clients do.

A list of what a CA may not have lacked one each time: usages that it passes on, constraints on names, a kind of key that
signs what nobody can verify. Each made certificates with which no component could be reached.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from quorate import tls_pair
from quorate.foreign.addresses import read_address
from quorate.pki.certificates import USAGES, Pair, certificate_pem

_NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME, which Python's ssl has no name for: dates are judged elsewhere, by the time that is passed in."""

_INVALID_PURPOSE, _NAME_VIOLATIONS = 26, (47, 48)
"""X509_V_ERR_INVALID_PURPOSE; X509_V_ERR_PERMITTED_VIOLATION and X509_V_ERR_EXCLUDED_VIOLATION."""

_CHECKED_BY_GO = (x509.DNSName, x509.IPAddress, x509.RFC822Name, x509.UniformResourceIdentifier)


def refused(pair: Pair, ca: x509.Certificate) -> str:
    """Returns why a server or client that trusts `ca` refuses the certificate for one of its usages; empty if it does not."""
    usages = _usages(pair.certificate)
    if why := _refused_by_go(ca, usages):
        return why
    try:
        server, client = _context(ssl.PROTOCOL_TLS_SERVER, pair, ca), _context(ssl.PROTOCOL_TLS_CLIENT, pair, ca)
        # Each end shows the certificate to the other; only the end that it is meant for looks at it.
        client.verify_mode = ssl.CERT_REQUIRED if "server" in usages else ssl.CERT_NONE
        server.verify_mode = ssl.CERT_REQUIRED if "client" in usages else ssl.CERT_NONE
        _shake_hands(server, client)
    except ssl.SSLCertVerificationError as error:
        return "" if _is_taken_by_go(error, pair.certificate, ca) else error.verify_message
    except (ssl.SSLError, OSError) as error:
        return (error.reason or "") if isinstance(error, ssl.SSLError) else str(error.strerror)
    return ""


def _is_taken_by_go(error: ssl.SSLCertVerificationError, leaf: x509.Certificate, ca: x509.Certificate) -> bool:
    """Returns whether OpenSSL refuses what Go takes: a certificate or a CA for any use; and by constraints on names, which it
    applies to a common name with dots, too, and where it may leave them out. Whether the names keep within them is judged
    before, as in Go (`store.excluded_names`). Clusters with such a CA work, and could not renew their certificates."""
    if error.verify_code in _NAME_VIOLATIONS:
        return True
    is_for_any = any(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in _usages_of(one) for one in (leaf, ca))
    return error.verify_code == _INVALID_PURPOSE and is_for_any


def _usages_of(certificate: x509.Certificate) -> Iterable[x509.ObjectIdentifier]:
    try:
        return certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return ()


def _refused_by_go(ca: x509.Certificate, wanted: Iterable[str]) -> str:
    """Returns what OpenSSL takes and Go, in which the components are written, does not. `wanted`: the usages of what the CA
    signs."""
    usages = tuple(_usages_of(ca))
    allowed = {name for name, usage in USAGES.items() if usage in usages}
    if usages and ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE not in usages and not allowed.issuperset(wanted):
        return "unsuitable CA: it is not for this purpose"
    if ca.serial_number < 0:
        return "its CA has a negative serial number"
    if any(one.critical and not _is_read_by_go(one) for one in ca.extensions):
        return "its CA has a critical extension that Kubernetes does not read"
    return _why_no_key(ca.public_key()) or _why_no_names(ca)


_READ_BY_GO = frozenset(
    {f"2.5.29.{number}" for number in (14, 15, 17, 19, 30, 31, 32, 33, 35, 36, 37, 54)} | {"1.3.6.1.5.5.7.1.1"}
)
"""Extensions by their ids: Go's crypto/x509, parseCertificate."""


def _is_read_by_go(one: x509.Extension[x509.ExtensionType]) -> bool:
    if isinstance(one.value, x509.SubjectAlternativeName):
        # One that has only names of other kinds is not handled.
        return any(isinstance(name, _CHECKED_BY_GO) for name in one.value)
    return one.oid.dotted_string in _READ_BY_GO


_CURVES = (ec.SECP224R1, ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_LEAST_BITS, _MOST_EXPONENT = 1024, (1 << 31) - 1


def _why_no_key(key: object) -> str:
    if isinstance(key, rsa.RSAPublicKey) and (key.key_size < _LEAST_BITS or key.public_numbers().e > _MOST_EXPONENT):
        return "its CA has an RSA key that Kubernetes does not read: too short, or with too large an exponent"
    if isinstance(key, ec.EllipticCurvePublicKey) and not isinstance(key.curve, _CURVES):
        return f"its CA has a key on the curve {key.curve.name}, which Kubernetes does not read"
    return ""


def _why_no_names(ca: x509.Certificate) -> str:
    """Returns the limit on names that Go does not know: it refuses every certificate below one that it must understand and
    does not."""
    try:
        found = ca.extensions.get_extension_for_class(x509.NameConstraints)
    except x509.ExtensionNotFound:
        return ""
    limits: Iterable[x509.GeneralName] = [*(found.value.permitted_subtrees or ()), *(found.value.excluded_subtrees or ())]
    if any(not _is_limit_of_go(one) for one in limits):
        return "its CA has constraints on names that Kubernetes cannot read"
    unknown = any(not isinstance(one, _CHECKED_BY_GO) for one in limits)
    return "its CA has constraints on names of a kind that Kubernetes cannot check" if found.critical and unknown else ""


def _is_limit_of_go(limit: x509.GeneralName) -> bool:
    """Returns whether Go can read a limit of a kind that it knows: where it cannot, it reads none of the certificate."""
    if isinstance(limit, x509.DNSName):
        return _is_domain(limit.value.removeprefix("."))
    if isinstance(limit, x509.UniformResourceIdentifier):
        return _is_domain(limit.value.removeprefix(".")) and read_address(limit.value) is None
    if isinstance(limit, x509.RFC822Name):
        return "@" in limit.value or _is_domain(limit.value.removeprefix("."))
    return True


def _is_domain(text: str) -> bool:
    """Returns whether each part between dots has something, of printable letters; an empty text is the limit of all."""
    return not text or all(part and all("!" <= letter <= "~" for letter in part) for part in text.split("."))


def _usages(certificate: x509.Certificate) -> set[str]:
    try:
        allowed = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return set(USAGES)
    return (
        set(USAGES)
        if ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in allowed
        else {name for name, usage in USAGES.items() if usage in allowed}
    )


def _context(protocol: ssl._SSLMethod, pair: Pair, ca: x509.Certificate) -> ssl.SSLContext:
    made = ssl.SSLContext(protocol)
    made.check_hostname = False
    # How long a key must be is the policy of a distribution's OpenSSL, and not the components'.
    made.set_ciphers("DEFAULT:@SECLEVEL=0")
    # A CA that is trusted needs no CA above it, as in Go.
    made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    made.verify_flags = ssl.VerifyFlags(made.verify_flags | _NO_CHECK_TIME)
    made.load_verify_locations(cadata=certificate_pem(ca).decode())
    tls_pair.load(made, pair.certificate_pem(), pair.key_pem())
    return made


def _shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    """Raises `ssl.SSLError` of the end that refuses."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(incoming=to_client, outgoing=to_server),
        server.wrap_bio(incoming=to_server, outgoing=to_client, server_side=True),
    ]
    while ends:
        waiting = [end for end in ends if not _is_done(end)]
        if len(waiting) == len(ends) and not (to_server.pending or to_client.pending):
            raise ssl.SSLError(0, "the handshake does not end")
        ends = waiting


def _is_done(end: ssl.SSLObject) -> bool:
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True
