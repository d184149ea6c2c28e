"""The etcd of a control-plane node."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from quorate.config.duration import Duration
from quorate.config.etcd_image import etcd_version
from quorate.config.types import ClusterConfiguration, LocalEtcd
from quorate.config.versions import parse_version
from quorate.foreign.paths import prefix
from quorate.foreign.urls import parts_of
from quorate.manifests import images
from quorate.manifests.args import command_line, value_of
from quorate.manifests.pod import Mount, Object, PodSpec, Probes, static_pod, wait_of

CLIENT_PORT, PEER_PORT, METRICS_PORT = 2379, 2380, 2381
URLS_ANNOTATION = "kubeadm.kubernetes.io/etcd.advertise-client-urls"
_ETCD_36_SINCE = 36
"""From this minor version on kubeadm supports no etcd before 3.6."""

_HEALTH_UNTIL = 31
"""Before Kubernetes 1.31 the probes asked /health; /livez and /readyz came with etcd 3.5.11."""


@dataclass(frozen=True, slots=True)
class EtcdNode:
    """One member: its name and address, and, when it joins, the rows of --initial-cluster (name, peer URL), its own included.
    `start_wait`: how long it may take to start."""

    name: str
    address: str
    initial_cluster: Sequence[tuple[str, str]] = ()
    start_wait: Duration | None = None


def peer_url(address: str) -> str:
    return url(address, PEER_PORT)


def client_url(address: str) -> str:
    return url(address, CLIENT_PORT)


def url(address: str, port: int, scheme: str = "https") -> str:
    host = f"[{address}]" if ":" in address else address
    return f"{scheme}://{host}:{port}"


def loopback(address: str) -> str:
    """Returns the loopback address of the same family."""
    return "::1" if ipaddress.ip_address(address).version == 6 else "127.0.0.1"


def etcd_pod(config: ClusterConfiguration, node: EtcdNode) -> Object:
    local = config.etcd.local or LocalEtcd()
    version = parse_version(config.kubernetes_version)
    command = command_line("etcd", _defaults(config, local, node), local.extra_args, version)
    return static_pod(
        PodSpec(
            name="etcd",
            image=images.etcd(config),
            command=command,
            probes=_probes(local, node, version.minor),
            mounts=_mounts(config, local),
            requests={"cpu": "100m", "memory": "100Mi"},
            env=sorted(local.extra_envs, key=lambda variable: variable.name),
            annotations={URLS_ANNOTATION: client_url(node.address)},
            minor=version.minor,
        )
    )


def _defaults(config: ClusterConfiguration, local: LocalEtcd, node: EtcdNode) -> dict[str, str]:
    pki, inside = f"{prefix(config.certificates_dir)}/etcd", loopback(node.address)
    joins = bool(node.initial_cluster)
    rows = node.initial_cluster or ((node.name, peer_url(node.address)),)
    found = {
        "advertise-client-urls": client_url(node.address),
        "cert-file": f"{pki}/server.crt",
        "client-cert-auth": "true",
        "data-dir": local.data_dir,
        "initial-advertise-peer-urls": peer_url(node.address),
        "initial-cluster": ",".join(f"{name}={where}" for name, where in rows),
        "key-file": f"{pki}/server.key",
        "listen-client-urls": f"{client_url(inside)},{client_url(node.address)}",
        "listen-metrics-urls": url(inside, METRICS_PORT, "http"),
        "listen-peer-urls": peer_url(node.address),
        "name": node.name,
        "peer-cert-file": f"{pki}/peer.crt",
        "peer-client-cert-auth": "true",
        "peer-key-file": f"{pki}/peer.key",
        "peer-trusted-ca-file": f"{pki}/ca.crt",
        "snapshot-count": "10000",
        "trusted-ca-file": f"{pki}/ca.crt",
        **_versioned(config),
    }
    if joins:
        found["initial-cluster-state"] = "existing"
    return found


def _versioned(config: ClusterConfiguration) -> dict[str, str]:
    """Returns two flags that are no longer experimental in etcd 3.6. For a tag that is no version, etcd's version is guessed
    from the version of Kubernetes."""
    unknown = (3, 6, 0) if parse_version(config.kubernetes_version).minor >= _ETCD_36_SINCE else (3, 5, 0)
    if (etcd_version(config) or unknown) >= (3, 6, 0):
        return {"feature-gates": "InitialCorruptCheck=true", "watch-progress-notify-interval": "5s"}
    return {"experimental-initial-corrupt-check": "true", "experimental-watch-progress-notify-interval": "5s"}


def _probes(local: LocalEtcd, node: EtcdNode, minor: int) -> Probes:
    default = url(loopback(node.address), METRICS_PORT, "http")
    # The probes ask the metrics URL: where the user moves it, they follow.
    where = parts_of(value_of(local.extra_args, "listen-metrics-urls", default).split(",")[0])
    live, ready, start = "/livez", "/readyz", "/readyz"
    if minor < _HEALTH_UNTIL:
        live, ready, start = "/health?exclude=NOSPACE&serializable=true", "", "/health?serializable=false"
    scheme = where.scheme.upper() or "HTTP"
    return Probes(where.host, where.port or METRICS_PORT, scheme, live, ready, start, wait_seconds=wait_of(node.start_wait))


def _mounts(config: ClusterConfiguration, local: LocalEtcd) -> list[Mount]:
    return [
        Mount("etcd-data", local.data_dir, read_only=False),
        Mount("etcd-certs", f"{config.certificates_dir}/etcd", read_only=False),
    ]
