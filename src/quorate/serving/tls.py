"""The certificate of a server of ours, and whose clients it serves; read again when the files are renewed."""

from __future__ import annotations

import ssl
import threading
from dataclasses import dataclass, field
from pathlib import Path

from quorate.errors import ConfigError
from quorate.foreign.places import Stamp, stamps_behind
from quorate.foreign.trust import distrust_way
from quorate.loggers import logger

_LOGGER = logger(__name__)


@dataclass(slots=True)
class Identity:
    """The server's certificate, its key, and the CA that signed the clients' certificates: others are not served."""

    cert: Path
    key: Path
    client_ca: Path
    _seen: tuple[Stamp | None, ...] = ()
    _context: ssl.SSLContext | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def context(self) -> ssl.SSLContext:
        """Returns the context of the files as they are; of the last ones that fitted together while they do not. Raises
        `ConfigError` when none ever did."""
        with self._lock:
            seen = stamps_behind((self.cert, self.key, self.client_ca))
            if self._context is None or seen != self._seen:
                self._renew(seen)
            assert self._context is not None, "a renewal that fails without an earlier context raises"
            return self._context

    def _renew(self, seen: tuple[Stamp | None, ...]) -> None:
        try:
            self._context = _context_of(self.cert, self.key, self.client_ca)
        except ConfigError as error:
            if self._context is None:
                raise
            # A renewal writes one file after the other: the next connection tries again.
            _LOGGER.warning("the renewed server certificate is not used yet: %s", error.what)
        else:
            self._seen = seen


def _context_of(cert: Path, key: Path, client_ca: Path) -> ssl.SSLContext:
    for path in (cert, key, client_ca):
        why = distrust_way(path)
        if why:
            raise ConfigError(
                f"{path} is not used for TLS: {why}",
                advice="give the file to root, and let no one else write it",
            )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_cert_chain(cert, key, password=lambda: "")
        context.load_verify_locations(client_ca)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"{cert}, {key} and {client_ca} do not make a TLS server: {error.strerror or error}",
            advice="check --listen-cert, --listen-key and --listen-client-ca",
        ) from None
    return context
