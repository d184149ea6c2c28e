"""The certificates of a local cluster: one CA, one client, a server and a peer certificate for each member."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from quorate.errors import ConfigError
from quorate.etcd.client.endpoint import Tls, TlsFiles, load_tls
from quorate.files import make_folder, write_atomic
from quorate.host.ports import LOOPBACK
from quorate.local.layout import Layout

if TYPE_CHECKING:
    from quorate.pki.certificates import KeyKind

_KIND: KeyKind = "ECDSA-P256"
"""Generated in a millisecond; local clusters are created many times a day."""


def ensure_cluster_certificates(layout: Layout) -> None:
    """Creates the CA and the health check client; existing files are kept."""
    # Imported late: cryptography costs as much to import as a whole command.
    from quorate.pki import etcd as pki

    make_folder(layout.pki)
    _refuse_lost_ca(layout)
    now = datetime.now(UTC)
    ca = pki.ensure_ca(layout.pki, now=now, kind=_KIND)
    pki.ensure_leaf(layout.pki / pki.HEALTHCHECK_CLIENT, pki.healthcheck_client(_KIND), ca, now=now)


def _refuse_lost_ca(layout: Layout) -> None:
    """Raises `ConfigError` when the CA is lost: existing members trust that CA, and a new one would lock all clients out."""
    lost = [path for path in (layout.pki / "ca.crt", layout.pki / "ca.key") if not path.exists()]
    if lost and any(layout.members.glob("*/pki/etcd/ca.crt")):
        raise ConfigError(
            f"the cluster's CA is incomplete: {' and '.join(path.name for path in lost)} missing from {layout.pki}",
            state="nothing was changed; running members keep running",
            advice=f"restore it (a copy of ca.crt is in {layout.members}/*/pki/etcd), or start over: "
            f"quorate local down --purge {layout.option}",
        )


def ensure_member_certificates(layout: Layout, name: str) -> None:
    """Creates the member's missing certificates, and checks all of them.

    Raises `ConfigError` for one that is expired, of another CA, or without the member's address.
    """
    from quorate.pki import etcd as pki
    from quorate.pki.store import read_pair

    folder = layout.member(name).pki
    make_folder(folder)
    now = datetime.now(UTC)
    ca = read_pair(layout.pki / pki.CA)
    for base, spec in pki.node_certificates(name, (), _KIND).items():
        pki.ensure_leaf(folder / base, spec, ca, now=now)
    if not (folder / "ca.crt").exists():
        write_atomic(folder / "ca.crt", (layout.pki / "ca.crt").read_bytes(), mode=0o644)
    _check(layout, folder, now)


def _check(layout: Layout, folder: Path, now: datetime) -> None:
    from quorate.pki import etcd as pki
    from quorate.pki.store import problems, read_certificate

    ca = read_certificate(layout.pki / "ca.crt")
    found = [
        problem
        for base in (pki.SERVER, pki.PEER)
        for problem in problems(folder / f"{base}.crt", ca=ca, names=(LOOPBACK, "localhost"), now=now)
    ]
    if found:
        raise ConfigError(
            "; ".join(found),
            state="nothing was started",
            advice=f"delete the pair (.crt and .key) in {folder}: the same command then makes a new one",
        )


def client_tls(layout: Layout) -> Tls:
    """Returns the TLS files with which this tool, and etcdctl, connect to the cluster."""
    pki = layout.pki
    return load_tls(TlsFiles(pki / "ca.crt", pki / "healthcheck-client.crt", pki / "healthcheck-client.key"))


def peer_tls(layout: Layout, name: str) -> Tls:
    """Returns the TLS files for requests to the member's own peer port."""
    pki = layout.member(name).pki
    return load_tls(TlsFiles(pki / "ca.crt", pki / "peer.crt", pki / "peer.key"))
