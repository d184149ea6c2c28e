"""Encryption of certificates that the cluster stores (AES-256-GCM, as in kubeadm), and the hash that pins a CA."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable

from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from quorate.errors import ConfigError
from quorate.pki.store import READ_ERRORS
from quorate.secret import Secret

_NONCE_BYTES = 12


def seal(content: bytes, key: Secret[str]) -> bytes:
    """Returns nonce, ciphertext and tag. `key`: 64 hex digits."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(bytes.fromhex(key.reveal())).encrypt(nonce, content, None)


def unseal(sealed: bytes, key: Secret[str]) -> Secret[bytes]:
    """Returns the content. Raises `ConfigError` when it was sealed with another key, or changed since."""
    try:
        cipher = AESGCM(bytes.fromhex(key.reveal()))
        return Secret(cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None))
    except (InvalidTag, ValueError):
        raise ConfigError(
            "the certificates that the cluster stores cannot be decrypted with this certificate key",
            state="nothing was changed",
            advice="use the key that was printed, or upload them again on a control-plane node: "
            "quorate init phase upload-certs --upload-certs",
        ) from None


def pins_of(bundle_pem: bytes) -> list[str]:
    """Returns sha256:HEX of each certificate's public key (DER SubjectPublicKeyInfo). Raises `ConfigError`."""
    return [pin for pin, _ in _certificates(bundle_pem)]


def pinned(bundle_pem: bytes, pins: Iterable[str]) -> bytes:
    """Returns the certificates of a bundle whose public key one of `pins` names, as PEM; empty when there is none. Raises
    `ConfigError`."""
    wanted = {pin.lower() for pin in pins}
    return b"".join(one.public_bytes(Encoding.PEM) for pin, one in _certificates(bundle_pem) if pin in wanted)


def _certificates(bundle_pem: bytes) -> list[tuple[str, x509.Certificate]]:
    try:
        found = x509.load_pem_x509_certificates(bundle_pem)
        keys = [one.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) for one in found]
    except READ_ERRORS:
        raise ConfigError("the cluster's CA is not PEM, or has a key of an unknown kind") from None
    return [(f"sha256:{hashlib.sha256(key).hexdigest()}", one) for key, one in zip(keys, found, strict=True)]
