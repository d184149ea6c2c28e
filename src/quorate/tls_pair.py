"""Gives OpenSSL a certificate and its key from memory: a private key never reaches a file on disk."""

from __future__ import annotations

import os
import ssl

from quorate.secret import Secret


def load(context: ssl.SSLContext, certificate_pem: bytes, key_pem: Secret[bytes]) -> None:
    """Raises `ssl.SSLError` or `OSError` for a pair that is broken, or does not match."""
    # OpenSSL reads certificates from files only; this one is in memory and has no name.
    fd = os.memfd_create("quorate", os.MFD_CLOEXEC)
    try:
        os.write(fd, certificate_pem + b"\n" + key_pem.reveal())
        # OpenSSL would ask the terminal for the passphrase of an encrypted key.
        context.load_cert_chain(f"/proc/self/fd/{fd}", password=lambda: "")
    finally:
        os.close(fd)
