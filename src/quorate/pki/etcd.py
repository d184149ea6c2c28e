"""kubeadm's `pki/etcd`: which certificates an etcd node has, and where."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from quorate.pki.certificates import KeyKind, LeafSpec, Pair, make_ca, make_leaf
from quorate.pki.store import paths, read_pair, write_pair

CA = "ca"
SERVER = "server"
PEER = "peer"
HEALTHCHECK_CLIENT = "healthcheck-client"


def node_names(node: str, addresses: Iterable[str]) -> tuple[str, ...]:
    """The SANs of server and peer certificates: kubeadm's set."""
    return (node, "localhost", *addresses, "127.0.0.1", "::1")


def ensure_ca(folder: Path, *, now: datetime, kind: KeyKind = "RSA-2048") -> Pair:
    """The etcd CA in `folder`, made when neither of its files is there.

    Raises `ConfigError` when only one of them is: a new CA would be one that nobody trusts.
    """
    base = folder / CA
    if not any(path.exists() for path in paths(base)):
        write_pair(base, make_ca("etcd-ca", now=now, kind=kind))
    return read_pair(base)


def ensure_leaf(base: Path, spec: LeafSpec, ca: Pair, *, now: datetime) -> None:
    """A leaf at `base`; files that are there are kept."""
    if not all(path.exists() for path in paths(base)):
        write_pair(base, make_leaf(spec, ca, now=now))


def node_certificates(node: str, addresses: Iterable[str], kind: KeyKind = "RSA-2048") -> dict[str, LeafSpec]:
    """Base name to specification of what a node that runs etcd needs. Server and peer have both usages: etcd dials peers,
    and its own gateway, with them."""
    names = node_names(node, addresses)
    return {
        SERVER: LeafSpec(node, ("server", "client"), names, kind=kind),
        PEER: LeafSpec(node, ("server", "client"), names, kind=kind),
    }


def healthcheck_client(kind: KeyKind = "RSA-2048") -> LeafSpec:
    return LeafSpec("kube-etcd-healthcheck-client", ("client",), kind=kind)
