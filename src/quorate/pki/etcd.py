"""The certificates of an etcd node, and their files in kubeadm's `pki/etcd`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from quorate.pki.certificates import KeyKind, LeafSpec, Pair, make_ca, make_leaf
from quorate.pki.store import paths, read_key, read_pair, write_pair

CA = "ca"
SERVER = "server"
PEER = "peer"
HEALTHCHECK_CLIENT = "healthcheck-client"


def node_names(node: str, addresses: Iterable[str]) -> tuple[str, ...]:
    """Returns the SANs of server and peer certificates: kubeadm's set."""
    return (node, "localhost", *addresses, "127.0.0.1", "::1")


def ensure_ca(folder: Path, *, now: datetime, kind: KeyKind = "RSA-2048") -> Pair:
    """Returns the etcd CA in `folder`, made when neither of its files exists. A key without its certificate is completed: a run
    that was killed between the two left it, or the certificate is lost, and what the key signed stays valid.

    Raises `ConfigError` when the key is missing: no member would trust a new CA.
    """
    base = folder / CA
    certificate, key = paths(base)
    if not certificate.exists():
        made_before = read_key(key) if key.exists() else None
        write_pair(base, make_ca("etcd-ca", now=now, kind=kind, key=made_before))
    return read_pair(base)


def ensure_leaf(base: Path, spec: LeafSpec, ca: Pair, *, now: datetime) -> None:
    """Makes a leaf at `base`, unless both its files exist."""
    if not all(path.exists() for path in paths(base)):
        write_pair(base, make_leaf(spec, ca, now=now))


def node_certificates(node: str, addresses: Iterable[str], kind: KeyKind = "RSA-2048") -> dict[str, LeafSpec]:
    """Returns the certificates of a node that runs etcd, by base name. Server and peer have both usages: etcd dials peers, and
    its own gateway, with them."""
    names = node_names(node, addresses)
    return {
        SERVER: LeafSpec(node, ("server", "client"), names, kind=kind),
        PEER: LeafSpec(node, ("server", "client"), names, kind=kind),
    }


def healthcheck_client(kind: KeyKind = "RSA-2048") -> LeafSpec:
    return LeafSpec("kube-etcd-healthcheck-client", ("client",), kind=kind)
