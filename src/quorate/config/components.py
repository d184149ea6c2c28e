"""KubeletConfiguration and KubeProxyConfiguration: the user's fields, completed as kubeadm completes them.

kubeadm reads them into Go structs and writes every field that Go cannot omit: `_KUBELET_ZEROES` and `_PROXY_ZEROES`. Unknown
fields of the user are passed through: the kubelet checks its own file.
"""

from __future__ import annotations

import copy
from typing import Any, TypeAlias

from quorate.config.networks import service_address
from quorate.config.types import ClusterConfiguration

Values: TypeAlias = dict[str, Any]
KUBELET, PROXY = "KubeletConfiguration", "KubeProxyConfiguration"
VERSIONS = {KUBELET: "kubelet.config.k8s.io/v1beta1", PROXY: "kubeproxy.config.k8s.io/v1alpha1"}
HEALTHZ_PORT = 10248
_TEXT_OPTIONS_SINCE, _CRASH_LOOP_SINCE, _PROXY_MODE_SINCE = 30, 32, 37

_KUBELET_ZEROES: Values = {
    "authentication": {"anonymous": {}, "webhook": {"cacheTTL": "0s"}, "x509": {}},
    "authorization": {"webhook": {"cacheAuthorizedTTL": "0s", "cacheUnauthorizedTTL": "0s"}},
    "containerRuntimeEndpoint": "",
    "cpuManagerReconcilePeriod": "0s",
    "evictionPressureTransitionPeriod": "0s",
    "fileCheckFrequency": "0s",
    "httpCheckFrequency": "0s",
    "imageMaximumGCAge": "0s",
    "imageMinimumGCAge": "0s",
    "memorySwap": {},
    "nodeStatusReportFrequency": "0s",
    "nodeStatusUpdateFrequency": "0s",
    "runtimeRequestTimeout": "0s",
    "shutdownGracePeriod": "0s",
    "shutdownGracePeriodCriticalPods": "0s",
    "streamingConnectionIdleTimeout": "0s",
    "syncFrequency": "0s",
    "volumeStatsAggPeriod": "0s",
}
_PROXY_ZEROES: Values = {
    "bindAddress": "",
    "bindAddressHardFail": False,
    "clientConnection": {"acceptContentTypes": "", "burst": 0, "contentType": "", "kubeconfig": "", "qps": 0},
    "clusterCIDR": "",
    "configSyncPeriod": "0s",
    "conntrack": {
        "maxPerCore": None,
        "min": None,
        "tcpBeLiberal": False,
        "tcpCloseWaitTimeout": None,
        "tcpEstablishedTimeout": None,
        "udpStreamTimeout": "0s",
        "udpTimeout": "0s",
    },
    "detectLocal": {"bridgeInterface": "", "interfaceNamePrefix": ""},
    "detectLocalMode": "",
    "enableProfiling": False,
    "healthzBindAddress": "",
    "hostnameOverride": "",
    "iptables": {
        "localhostNodePorts": None,
        "masqueradeAll": False,
        "masqueradeBit": None,
        "minSyncPeriod": "0s",
        "syncPeriod": "0s",
    },
    "ipvs": {
        "excludeCIDRs": None,
        "minSyncPeriod": "0s",
        "scheduler": "",
        "strictARP": False,
        "syncPeriod": "0s",
        "tcpFinTimeout": "0s",
        "tcpTimeout": "0s",
        "udpTimeout": "0s",
    },
    "metricsBindAddress": "",
    "mode": "",
    "nftables": {"masqueradeAll": False, "masqueradeBit": None, "minSyncPeriod": "0s", "syncPeriod": "0s"},
    "nodePortAddresses": None,
    "oomScoreAdj": None,
    "portRange": "",
    "showHiddenMetricsForVersion": "",
    "winkernel": {
        "enableDSR": False,
        "forwardHealthCheckVip": False,
        "networkName": "",
        "rootHnsEndpointName": "",
        "sourceVip": "",
    },
}


def _logging(minor: int) -> Values:
    options: Values = {"json": {"infoBufferSize": "0"}}
    if minor >= _TEXT_OPTIONS_SINCE:
        options["text"] = {"infoBufferSize": "0"}
    return {"flushFrequency": 0, "options": options, "verbosity": 0}


def kubelet_configuration(cluster: ClusterConfiguration, given: Values | None, minor: int) -> Values:
    """Returns the content of the kubelet-config ConfigMap, which all nodes share."""
    zeroes = {**copy.deepcopy(_KUBELET_ZEROES), "logging": _logging(minor)}
    if minor >= _CRASH_LOOP_SINCE:
        zeroes["crashLoopBackOff"] = {}
    defaults: Values = {
        "staticPodPath": "/etc/kubernetes/manifests",
        "clusterDNS": [service_address(cluster.networking.service_subnet, 10)],
        "clusterDomain": cluster.networking.dns_domain,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{cluster.certificates_dir}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "healthzBindAddress": "127.0.0.1",
        "healthzPort": HEALTHZ_PORT,
        "cgroupDriver": "systemd",
    }
    completed = _over(_over(zeroes, defaults), given or {})
    # kubeadm sets this whatever the user gave: the kubelet's certificate must not expire.
    return {**completed, "rotateCertificates": True, "apiVersion": VERSIONS[KUBELET], "kind": KUBELET}


def kubelet_overrides(cluster: ClusterConfiguration, given: Values) -> list[str]:
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
    zeroes = {**copy.deepcopy(_PROXY_ZEROES), "logging": _logging(minor)}
    defaults: Values = {
        "bindAddress": "::" if ":" in address else "0.0.0.0",  # noqa: S104
        "clusterCIDR": cluster.networking.pod_subnet,
        "clientConnection": {"kubeconfig": "/var/lib/kube-proxy/kubeconfig.conf"},
    }
    if minor >= _PROXY_MODE_SINCE:
        defaults["mode"] = "iptables"
    completed = _over(_over(zeroes, defaults), given or {})
    return {**completed, "apiVersion": VERSIONS[PROXY], "kind": PROXY}


def _over(base: Values, upper: Values) -> Values:
    """Returns `upper` laid over `base`: mappings are merged, everything else is replaced."""
    merged = dict(base)
    for key, value in upper.items():
        below = merged.get(key)
        merged[key] = _over(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged
