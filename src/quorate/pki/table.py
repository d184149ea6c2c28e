"""kubeadm's certificates as data: their names, content and signers. The table is that of kubeadm 1.27 to 1.37."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quorate.config.networks import service_address
from quorate.config.rules import split_endpoint
from quorate.config.types import ClusterConfiguration, LocalEtcd
from quorate.config.versions import parse_version
from quorate.pki.certificates import Usage

CLUSTER_ADMINS = "kubeadm:cluster-admins"
MASTERS = "system:masters"
_CLUSTER_ADMINS_SINCE, _NO_KUBELET_CLIENT_GROUP_SINCE = 29, 36
SA_KEY, SA_PUB = "sa.key", "sa.pub"


BASES = (
    *("ca", "apiserver", "apiserver-kubelet-client", "front-proxy-ca", "front-proxy-client"),
    *("etcd/ca", "etcd/server", "etcd/peer", "etcd/healthcheck-client", "apiserver-etcd-client"),
)
"""The `base` of every possible entry."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One certificate. `name`: of its phase; `base`: its files below the certificates' folder, without .crt and .key;
    `signer`: the name of the CA that signs it, empty for a CA."""

    name: str
    base: str
    common_name: str
    signer: str = ""
    usages: tuple[Usage, ...] = ()
    organizations: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def is_ca(self) -> bool:
        return not self.signer


@dataclass(frozen=True, slots=True)
class Node:
    """The node that the certificates are for."""

    name: str
    address: str


def admin_group(minor: int) -> str:
    """Returns the group in administrators' certificates: `system:masters` could not be revoked (kubeadm 2414)."""
    return CLUSTER_ADMINS if minor >= _CLUSTER_ADMINS_SINCE else MASTERS


def kubelet_client_groups(minor: int) -> tuple[str, ...]:
    return () if minor >= _NO_KUBELET_CLIENT_GROUP_SINCE else (admin_group(minor),)


def entries(config: ClusterConfiguration, node: Node) -> list[Entry]:
    """Returns the certificates in the order of kubeadm's phases; etcd's only where etcd runs on the control plane itself."""
    minor = parse_version(config.kubernetes_version).minor
    kubernetes = [
        Entry("ca", "ca", "kubernetes"),
        Entry("apiserver", "apiserver", "kube-apiserver", "ca", ("server",), names=apiserver_names(config, node)),
        Entry(
            "apiserver-kubelet-client",
            "apiserver-kubelet-client",
            "kube-apiserver-kubelet-client",
            "ca",
            ("client",),
            kubelet_client_groups(minor),
        ),
        Entry("front-proxy-ca", "front-proxy-ca", "front-proxy-ca"),
        Entry("front-proxy-client", "front-proxy-client", "front-proxy-client", "front-proxy-ca", ("client",)),
    ]
    return kubernetes if config.etcd.external is not None else [*kubernetes, *_etcd_entries(config, node)]


def _etcd_entries(config: ClusterConfiguration, node: Node) -> list[Entry]:
    local = config.etcd.local or LocalEtcd()
    both: tuple[Usage, ...] = ("server", "client")
    return [
        Entry("etcd-ca", "etcd/ca", "etcd-ca"),
        Entry("etcd-server", "etcd/server", node.name, "etcd-ca", both, names=etcd_names(node, local.server_cert_sans)),
        Entry("etcd-peer", "etcd/peer", node.name, "etcd-ca", both, names=etcd_names(node, local.peer_cert_sans)),
        Entry("etcd-healthcheck-client", "etcd/healthcheck-client", "kube-etcd-healthcheck-client", "etcd-ca", ("client",)),
        Entry("apiserver-etcd-client", "apiserver-etcd-client", "kube-apiserver-etcd-client", "etcd-ca", ("client",)),
    ]


def apiserver_names(config: ClusterConfiguration, node: Node) -> tuple[str, ...]:
    domain = config.networking.dns_domain
    internal = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", f"kubernetes.default.svc.{domain}")
    shared = split_endpoint(config.control_plane_endpoint)[0] if config.control_plane_endpoint else ""
    first = service_address(config.networking.service_subnet, 1)
    return (node.name, *internal, first, node.address, *([shared] if shared else []), *config.api_server.cert_sans)


def etcd_names(node: Node, extra: Sequence[str]) -> tuple[str, ...]:
    return (node.name, "localhost", node.address, "127.0.0.1", "::1", *extra)
