"""CoreDNS and kube-proxy as kubeadm installs them. Pure."""

from __future__ import annotations

from quorate.kube import rbac
from quorate.kube.resources import Object, new

_SYSTEM = "kube-system"
_DNS = {"k8s-app": "kube-dns"}
_PROXY = {"k8s-app": "kube-proxy"}
_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"


def corefile(domain: str) -> str:
    """Returns CoreDNS's configuration for a cluster domain."""
    return f""".:53 {{
    errors
    health {{
       lameduck 5s
    }}
    ready
    kubernetes {domain} in-addr.arpa ip6.arpa {{
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }}
    prometheus :9153
    forward . /etc/resolv.conf {{
       max_concurrent 1000
    }}
    cache 30 {{
       disable success {domain}
       disable denial {domain}
    }}
    loop
    reload
    loadbalance
}}
"""


def coredns(image: str, domain: str, address: str, replicas: int = 2) -> list[Object]:
    """Returns CoreDNS's objects. `address`: of the DNS service that pods use."""
    return [
        new("ConfigMap", "coredns", _SYSTEM, data={"Corefile": corefile(domain)}),
        *rbac.coredns(),
        new("ServiceAccount", "coredns", _SYSTEM),
        coredns_deployment(image, replicas),
        _dns_service(address),
    ]


def coredns_deployment(image: str, replicas: int) -> Object:
    """Returns CoreDNS's Deployment."""
    made = new("Deployment", "coredns", _SYSTEM)
    made["metadata"]["labels"] = _DNS
    anti = {
        "weight": 100,
        "podAffinityTerm": {
            "labelSelector": {"matchExpressions": [{"key": "k8s-app", "operator": "In", "values": ["kube-dns"]}]},
            "topologyKey": "kubernetes.io/hostname",
        },
    }
    pod = {
        "priorityClassName": "system-cluster-critical",
        "serviceAccountName": "coredns",
        "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [anti]}},
        "tolerations": [
            {"key": "CriticalAddonsOnly", "operator": "Exists"},
            {"key": _CONTROL_PLANE, "effect": "NoSchedule"},
        ],
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "containers": [_coredns_container(image)],
        "dnsPolicy": "Default",
        "volumes": [
            {"name": "config-volume", "configMap": {"name": "coredns", "items": [{"key": "Corefile", "path": "Corefile"}]}}
        ],
    }
    made["spec"] = {
        "replicas": replicas,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
        "selector": {"matchLabels": _DNS},
        "template": {"metadata": {"labels": _DNS}, "spec": pod},
    }
    return made


def _coredns_container(image: str) -> Object:
    ports = (("dns", 53, "UDP"), ("dns-tcp", 53, "TCP"), ("metrics", 9153, "TCP"))
    probes = (("liveness-probe", 8080, "TCP"), ("readiness-probe", 8181, "TCP"))
    return {
        "name": "coredns",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "resources": {"limits": {"memory": "170Mi"}, "requests": {"cpu": "100m", "memory": "70Mi"}},
        "args": ["-conf", "/etc/coredns/Corefile"],
        "volumeMounts": [{"name": "config-volume", "mountPath": "/etc/coredns", "readOnly": True}],
        "ports": [{"name": name, "containerPort": port, "protocol": protocol} for name, port, protocol in (*ports, *probes)],
        "livenessProbe": {
            "httpGet": {"path": "/health", "port": "liveness-probe", "scheme": "HTTP"},
            "initialDelaySeconds": 60,
            "timeoutSeconds": 5,
            "successThreshold": 1,
            "failureThreshold": 5,
        },
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "readiness-probe", "scheme": "HTTP"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }


def _dns_service(address: str) -> Object:
    made = new("Service", "kube-dns", _SYSTEM)
    made["metadata"]["annotations"] = {"prometheus.io/port": "9153", "prometheus.io/scrape": "true"}
    made["metadata"]["labels"] = {
        **_DNS,
        "kubernetes.io/cluster-service": "true",
        "kubernetes.io/name": "CoreDNS",
    }
    ports = (("dns", 53, "UDP"), ("dns-tcp", 53, "TCP"), ("metrics", 9153, "TCP"))
    made["spec"] = {
        "clusterIP": address,
        "selector": _DNS,
        "ports": [{"name": name, "port": port, "protocol": protocol, "targetPort": port} for name, port, protocol in ports],
    }
    return made


HASH_ANNOTATION = "kubeadm.kubernetes.io/component-config.hash"
"""Marks a generated configuration: an upgrade may overwrite it."""


def kube_proxy(image: str, config: str, server: str, proxy_env: list[Object], generated: str) -> list[Object]:
    """Returns kube-proxy's objects. `config`: the KubeProxyConfiguration as text. `server`: the URL at which the proxies reach
    the API. `generated`: the text's hash, empty for a text that the user wrote."""
    data = {"config.conf": config, "kubeconfig.conf": _proxy_kubeconfig(server)}
    settings = new("ConfigMap", "kube-proxy", _SYSTEM, data=data)
    settings["metadata"]["labels"] = {"app": "kube-proxy"}
    if generated:
        settings["metadata"]["annotations"] = {HASH_ANNOTATION: generated}
    return [new("ServiceAccount", "kube-proxy", _SYSTEM), settings, *rbac.kube_proxy(), _proxy_daemons(image, proxy_env)]


def _proxy_kubeconfig(server: str) -> str:
    account = "/var/run/secrets/kubernetes.io/serviceaccount"
    return f"""apiVersion: v1
kind: Config
clusters:
- cluster:
    certificate-authority: {account}/ca.crt
    server: {server}
  name: default
contexts:
- context:
    cluster: default
    namespace: default
    user: default
  name: default
current-context: default
users:
- name: default
  user:
    tokenFile: {account}/token"""


def _proxy_daemons(image: str, proxy_env: list[Object]) -> Object:
    made = new("DaemonSet", "kube-proxy", _SYSTEM)
    made["metadata"]["labels"] = _PROXY
    node = {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}
    container = {
        "name": "kube-proxy",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": [
            "/usr/local/bin/kube-proxy",
            "--config=/var/lib/kube-proxy/config.conf",
            "--hostname-override=$(NODE_NAME)",
        ],
        "securityContext": {"privileged": True},
        "env": [node, *proxy_env],
        "volumeMounts": [
            {"mountPath": "/var/lib/kube-proxy", "name": "kube-proxy"},
            {"mountPath": "/run/xtables.lock", "name": "xtables-lock", "readOnly": False},
            {"mountPath": "/lib/modules", "name": "lib-modules", "readOnly": True},
        ],
    }
    made["spec"] = {
        "selector": {"matchLabels": _PROXY},
        "updateStrategy": {"type": "RollingUpdate"},
        "template": {
            "metadata": {"labels": _PROXY},
            "spec": {
                "priorityClassName": "system-node-critical",
                "containers": [container],
                "hostNetwork": True,
                "serviceAccountName": "kube-proxy",
                "volumes": [
                    {"name": "kube-proxy", "configMap": {"name": "kube-proxy"}},
                    {"name": "xtables-lock", "hostPath": {"path": "/run/xtables.lock", "type": "FileOrCreate"}},
                    {"name": "lib-modules", "hostPath": {"path": "/lib/modules"}},
                ],
                "tolerations": [{"operator": "Exists"}],
                "nodeSelector": {"kubernetes.io/os": "linux"},
            },
        },
    }
    return made
