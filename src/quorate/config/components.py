"""KubeletConfiguration and KubeProxyConfiguration: the user's fields, completed as kubeadm completes them.

kubeadm reads them into Go structs and writes every field that Go cannot omit (`component_values.zeroes`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from quorate.config.component_values import written
from quorate.config.networks import service_address
from quorate.config.types import ClusterConfiguration
from quorate.foreign.paths import prefix

Values: TypeAlias = dict[str, Any]
KUBELET, PROXY = "KubeletConfiguration", "KubeProxyConfiguration"
VERSIONS = {KUBELET: "kubelet.config.k8s.io/v1beta1", PROXY: "kubeproxy.config.k8s.io/v1alpha1"}
HEALTHZ_PORT = 10248
_PROXY_MODE_SINCE = 37


def kubelet_configuration(cluster: ClusterConfiguration, given: Values | None, minor: int) -> Values:
    """Returns the content of the kubelet-config ConfigMap, which all nodes share."""
    defaults: Values = {
        "staticPodPath": "/etc/kubernetes/manifests",
        "clusterDNS": [service_address(cluster.networking.service_subnet, 10)],
        "clusterDomain": cluster.networking.dns_domain,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{prefix(cluster.certificates_dir)}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "healthzBindAddress": "127.0.0.1",
        "healthzPort": HEALTHZ_PORT,
        "cgroupDriver": "systemd",
    }
    completed = written(KUBELET, minor, defaults, given or {})
    # kubeadm sets this whatever the user gave: the kubelet's certificate must not expire.
    return {**completed, "rotateCertificates": True, "apiVersion": VERSIONS[KUBELET], "kind": KUBELET}


def kubelet_overrides(cluster: ClusterConfiguration, given: Mapping[str, object]) -> list[str]:
    """Returns a note for each field of the user that differs from kubeadm's value."""
    wanted = kubelet_configuration(cluster, None, 0)
    fields = ("staticPodPath", "clusterDNS", "clusterDomain", "healthzBindAddress", "healthzPort", "rotateCertificates")
    return [
        f"KubeletConfiguration.{name} is {given[name]!r}; {wanted[name]!r} is recommended"
        for name in fields
        if name in given and given[name] != wanted[name]
    ]


def proxy_configuration(cluster: ClusterConfiguration, given: Values | None, minor: int, address: str = "") -> Values:
    """Returns the content of the kube-proxy ConfigMap. `address`: the API server's; its address family is bound."""
    defaults: Values = {
        "bindAddress": "::" if ":" in address else "0.0.0.0",  # noqa: S104
        "clusterCIDR": cluster.networking.pod_subnet,
        "clientConnection": {"kubeconfig": "/var/lib/kube-proxy/kubeconfig.conf"},
    }
    if minor >= _PROXY_MODE_SINCE:
        defaults["mode"] = "iptables"
    completed = written(PROXY, minor, defaults, given or {})
    return {**completed, "apiVersion": VERSIONS[PROXY], "kind": PROXY}
