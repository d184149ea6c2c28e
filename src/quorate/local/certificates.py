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
"""Made in a millisecond; a local cluster is made many times a day."""


def ensure_cluster_certificates(layout: Layout) -> None:
    """The CA and the health check client; what is there is kept."""
    # Imported late: cryptography costs as much to import as a whole command.
    from quorate.pki import etcd as pki

    make_folder(layout.pki)
    _refuse_lost_ca(layout)
    now = datetime.now(UTC)
    ca = pki.ensure_ca(layout.pki, now=now, kind=_KIND)
    pki.ensure_leaf(layout.pki / pki.HEALTHCHECK_CLIENT, pki.healthcheck_client(_KIND), ca, now=now)


def _refuse_lost_ca(layout: Layout) -> None:
    """Members that run trust the CA they were made with: a new one in its place would lock everybody out."""
    lost = [path for path in (layout.pki / "ca.crt", layout.pki / "ca.key") if not path.exists()]
    if lost and any(layout.members.glob("*/pki/etcd/ca.crt")):
        raise ConfigError(
            f"{' and '.join(path.name for path in lost)} of the cluster's CA is gone from {layout.pki}",
            state="nothing was changed; members that run go on running",
            advice=f"put it back (a copy of ca.crt is in {layout.members}/*/pki/etcd), or start over with 'local down --purge'",
        )


def ensure_member_certificates(layout: Layout, name: str) -> None:
    """The member's own certificates, made when missing and checked when not.

    Raises `ConfigError` for one that is expired, of another CA, or without the address it is reached by.
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
    """What this tool, and etcdctl, talk to the cluster with."""
    pki = layout.pki
    return load_tls(TlsFiles(pki / "ca.crt", pki / "healthcheck-client.crt", pki / "healthcheck-client.key"))


def peer_tls(layout: Layout, name: str) -> Tls:
    """What the member's own peer port is asked with."""
    pki = layout.member(name).pki
    return load_tls(TlsFiles(pki / "ca.crt", pki / "peer.crt", pki / "peer.key"))
