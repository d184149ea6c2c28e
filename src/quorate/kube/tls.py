"""TLS contexts for API servers. Private keys reach OpenSSL through memory, never through a file on disk."""

from __future__ import annotations

import ssl

from quorate import tls_pair
from quorate.errors import ConfigError
from quorate.secret import Secret


def context(ca_pem: bytes, certificate_pem: bytes = b"", key_pem: Secret[bytes] | None = None) -> ssl.SSLContext:
    """Returns a context that trusts only `ca_pem`. Raises `ConfigError` for a bad certificate, a key that does not match, and
    where there is no CA: those of the host are not what a cluster's API server is trusted by."""
    if not ca_pem.strip():
        raise ConfigError(
            "the kubeconfig names no CA of its cluster",
            advice="add certificate-authority-data: the base64 of the cluster's /etc/kubernetes/pki/ca.crt",
        )
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # Text outside of the certificates may be in any encoding.
        made.load_verify_locations(cadata=ca_pem.decode("ascii", "ignore"))
        if certificate_pem and key_pem is not None:
            tls_pair.load(made, certificate_pem, key_pem)
    except (ssl.SSLError, OSError, ValueError, TypeError) as error:
        raise ConfigError(f"the certificates of the kubeconfig cannot be used: {_reason(error)}") from None
    return made


def unverified() -> ssl.SSLContext:
    """Returns a context without verification. Only for the first request of a token discovery: its answer is trusted by its
    signature, not by its sender."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    return made


def _reason(error: Exception) -> str:
    return error.reason if isinstance(error, ssl.SSLError) and error.reason else "they are not PEM"
