"""The endpoint of a member, and the TLS files and login for it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from quorate.errors import ConfigError
from quorate.foreign.local_files import read_at_most
from quorate.foreign.urls import BadUrl, split, without_login
from quorate.secret import Secret
from quorate.spelling import spelled

DEFAULT_PORT = 2379
_MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`HOST:PORT` and the use of TLS; "auto" means TLS when any TLS file is given, as in etcd's own client."""

    host: str
    port: int
    tls: Literal["on", "off", "auto"] = "auto"

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Parses `HOST:PORT` with or without http(s)://; IPv6 hosts in brackets. Raises `ConfigError`."""
        shown = without_login(text)
        if not text.isprintable():
            # Letters that the locale cannot read are lone surrogates, at which gRPC would raise.
            raise ConfigError(f"endpoint {shown!r} has a character that no host name has, or that the locale cannot read")
        try:
            parts = split(text if "://" in text else f"//{text}", bare_zone=True)
        except BadUrl as error:
            raise ConfigError(f"endpoint {shown!r} is not of the form HOST:PORT (IPv6 as [::1]:2379): {error}") from None
        if parts.scheme not in ("", "http", "https"):
            raise ConfigError(f"endpoint {shown!r}: the scheme must be http or https")
        if parts.login is not None:
            raise ConfigError(
                "an endpoint must not contain a user or a password",
                advice=f"pass {spelled('--user')}, and the password in ETCDCTL_PASSWORD or {spelled('--password-file')}",
            )
        if not parts.host or parts.path not in ("", "/") or parts.query or parts.has_fragment:
            raise ConfigError(f"endpoint {shown!r} is not of the form HOST:PORT (IPv6 as [::1]:2379)")
        return cls(parts.host, DEFAULT_PORT if parts.port is None else parts.port, _tls_of(parts.scheme))

    @property
    def target(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def __str__(self) -> str:
        return self.target


def _tls_of(scheme: str) -> Literal["on", "off", "auto"]:
    match scheme:
        case "https":
            return "on"
        case "http":
            return "off"
        case _:
            return "auto"


def parse_endpoints(texts: list[str]) -> list[Endpoint]:
    """Returns the endpoints in the given order, without duplicates; raises `ConfigError` for a bad one or for none."""
    endpoints = list(dict.fromkeys(Endpoint.parse(part.strip()) for text in texts for part in text.split(",") if part.strip()))
    if not endpoints:
        raise ConfigError("no endpoint was given", advice=f"pass HOST:PORT[,HOST:PORT] with {spelled('--endpoints')}")
    return endpoints


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Paths of PEM files: the CA that signed the servers, and our certificate with its key."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class Tls:
    """The contents of TLS files, read and checked to fit together."""

    files: TlsFiles
    ca: bytes | None
    cert: bytes | None
    key: Secret[bytes] | None

    def context(self) -> ssl.SSLContext:
        """Returns the context for plain HTTPS (peer ports). Certificates and host names are verified. Only OpenSSL's strict
        mode is off: Python 3.13 switched it on, and it rejects CAs without key identifiers that etcd accepts."""
        context = ssl.create_default_context(cafile=str(self.files.ca) if self.files.ca else None)
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.files.cert and self.files.key:
            context.load_cert_chain(self.files.cert, self.files.key, password=lambda: "")
        return context


def load_tls(files: TlsFiles) -> Tls:
    """Reads the files, and checks that the key fits the certificate and that the CA is usable; raises `ConfigError`."""
    for flag, path in (("--cacert", files.ca), ("--cert", files.cert), ("--key", files.key)):
        if path is not None and "-----BEGIN" in str(path):
            # Not shown: it may be a private key.
            raise ConfigError(
                f"{spelled(flag)} was given the text of a PEM file", advice="write it to a file, and give its path"
            )
    if (files.cert is None) != (files.key is None):
        raise ConfigError(
            "a client certificate needs its key and the key its certificate", advice=f"pass both {spelled('--cert', '--key')}"
        )
    contents = {path: _read(path) for path in (files.ca, files.cert, files.key) if path is not None}
    tls = Tls(
        files,
        contents[files.ca] if files.ca else None,
        contents[files.cert] if files.cert else None,
        Secret(contents[files.key]) if files.key else None,
    )
    try:
        tls.context()
    except ssl.SSLError as error:
        raise ConfigError(_mismatch(files, error)) from None
    except (OSError, ValueError, TypeError):
        raise ConfigError("the TLS files cannot be used: one of them is damaged") from None
    return tls


def _read(path: Path) -> bytes:
    return read_at_most(path, _MOST_BYTES)


def _mismatch(files: TlsFiles, error: ssl.SSLError) -> str:
    if error.reason in ("KEY_VALUES_MISMATCH", "NO_CERTIFICATE_ASSIGNED"):
        return f"the key {files.key} does not belong to the certificate {files.cert}"
    # OpenSSL names neither the file nor, for one without any PEM in it, a reason.
    wrong = [f"{path} holds no {what}" for path, what in _contents(files) if path is not None and not _holds(path, what)]
    return "; ".join(wrong) or f"the TLS files cannot be used: {error.reason or error}"


def _contents(files: TlsFiles) -> tuple[tuple[Path | None, str], ...]:
    return (files.ca, "CERTIFICATE"), (files.cert, "CERTIFICATE"), (files.key, "PRIVATE KEY")


def _holds(path: Path, what: str) -> bool:
    """Returns whether the file has a PEM block of this kind, such as EC PRIVATE KEY."""
    return any(
        line.startswith(b"-----BEGIN ") and line.rstrip(b"-\r ").endswith(what.encode()) for line in _read(path).splitlines()
    )


@dataclass(frozen=True, slots=True)
class Login:
    user: str
    password: Secret[str]
