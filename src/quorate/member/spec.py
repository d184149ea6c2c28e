"""The specification of one etcd on this host: its files, its URLs, and the settings that follow from them."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from quorate.core.ids import address_of
from quorate.errors import ConfigError, HostError
from quorate.etcd.client.endpoint import Tls, TlsFiles, load_tls
from quorate.foreign.resolve import resolve
from quorate.foreign.text import assignment
from quorate.foreign.urls import parts_of
from quorate.host import etcd_data


@dataclass(frozen=True, slots=True)
class EtcdSpec:
    """One etcd. `peer_url` and `client_url` are advertised. `server` and `peer` are its certificates, each with the CA that it
    trusts; None where a URL is plain http. `extra`: further settings, name and value, without dashes."""

    name: str
    program: Path
    data_dir: Path
    peer_url: str
    client_url: str
    server: TlsFiles | None = None
    peer: TlsFiles | None = None
    extra: tuple[tuple[str, str], ...] = ()
    begins: bool = False
    """True for the first member of a new cluster."""

    def __post_init__(self) -> None:
        check_place(self.data_dir)

    @property
    def has_data(self) -> bool:
        """Returns whether etcd has written a WAL there: then it knows its own id and ignores every initial setting."""
        return etcd_data.has_log(self.data_dir)

    @property
    def beside(self) -> Path:
        """Returns the folder next to the data, which keeps our records about the data."""
        return self.data_dir.with_name(f"{self.data_dir.name}.quorate")

    def peer_tls(self) -> Tls | None:
        """Returns the TLS for requests to other peers, or None; raises `ConfigError` when the files do not fit together."""
        return load_tls(self.peer) if self.peer else None


_MOST_NAME_BYTES = 255 - len("..quorate.lock")
"""A name of the usual file systems has at most 255 bytes; the longest name next to the data is that of its lock."""


def check_place(data_dir: Path) -> None:
    """Raises `ConfigError` for a data directory next to which nothing of its own can be kept."""
    if not data_dir.name:
        raise ConfigError(
            f"the data directory {data_dir} is the root of the file system: what is known of the data is kept next to it",
            state="nothing was changed",
            advice="name a directory of its own, such as /var/lib/etcd",
        )
    length = len(os.fsencode(data_dir.name))
    if length > _MOST_NAME_BYTES:
        raise ConfigError(
            f"the name of the data directory has {length} bytes, and may have {_MOST_NAME_BYTES}: what is known of the data is "
            "kept next to it, under longer names",
            state="nothing was changed",
            advice="choose a shorter name",
        )


MOVES_DATA = frozenset({"wal-dir", "data-dir", "config-file"})
"""Settings after which the data, or its log, is not where this run looks for it: nothing could tell later whose data it is."""


def settings(spec: EtcdSpec, initial_cluster: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Returns every setting that the member is started with, by flag name without dashes."""
    return [
        ("name", spec.name),
        ("data-dir", str(spec.data_dir)),
        ("listen-peer-urls", listen_url(spec.peer_url)),
        ("initial-advertise-peer-urls", spec.peer_url),
        ("listen-client-urls", listen_url(spec.client_url)),
        ("advertise-client-urls", spec.client_url),
        ("initial-cluster", ",".join(f"{name}={url}" for name, url in initial_cluster)),
        ("initial-cluster-state", "new" if spec.begins else "existing"),
        ("logger", "zap"),
        *_tls("", spec.server),
        *_tls("peer-", spec.peer),
        *spec.extra,
    ]


def _tls(prefix: str, files: TlsFiles | None) -> list[tuple[str, str]]:
    if files is None:
        return []
    return [
        (f"{prefix}cert-file", str(files.cert)),
        (f"{prefix}key-file", str(files.key)),
        (f"{prefix}trusted-ca-file", str(files.ca)),
        (f"{prefix}client-cert-auth", "true"),
    ]


def listen_url(url: str) -> str:
    """Returns the URL to listen on for an advertised URL. etcd listens only on plain addresses: a host name, or an address with
    a zone id, means all addresses.

    All addresses is 0.0.0.0 for a name with an IPv4 address, or without any that we can resolve: this works where IPv6 is
    switched off, and elsewhere Go listens on both families for it.
    """
    parts, address = parts_of(url), address_of(url)
    try:
        literal = ipaddress.ip_address(address)
    except ValueError:
        families = {one.family for one in resolve(address, parts.port or 0)}
        everywhere = "[::]" if families == {socket.AF_INET6} else "0.0.0.0"  # noqa: S104
        return f"{parts.scheme}://{everywhere}:{parts.port}"
    if literal.version == 6 and literal.scope_id:
        return f"{parts.scheme}://[::]:{parts.port}"
    return url


def flags(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Returns the settings as flags of etcd."""
    return [f"--{name}={value}" for name, value in pairs]


def environment_lines(pairs: Sequence[tuple[str, str]]) -> str:
    """Returns the settings as ETCD_* variables, one a line, quoted as systemd's EnvironmentFile and a shell both read them.
    Raises `HostError` for a value with a control character."""
    try:
        return "".join(f"{assignment(_variable(name), value)}\n" for name, value in pairs)
    except ValueError as error:
        raise HostError(f"the member's variables cannot be written: {error}", state="the member was not started") from None


def _variable(flag: str) -> str:
    return f"ETCD_{flag.upper().replace('-', '_')}"
