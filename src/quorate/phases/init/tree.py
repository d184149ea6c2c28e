"""The phases of init, in kubeadm's order."""

from __future__ import annotations

from quorate.phases.base.runner import Phase

_CERT = ("cert-dir", "config", "dry-run", "kubernetes-version")
_API_NAMES = (
    "apiserver-advertise-address",
    "apiserver-cert-extra-sans",
    *_CERT,
    "control-plane-endpoint",
    "service-cidr",
    "service-dns-domain",
)
_KUBECONFIG = (
    "apiserver-advertise-address",
    "apiserver-bind-port",
    "cert-dir",
    "config",
    "control-plane-endpoint",
    "dry-run",
    "kubeconfig-dir",
    "kubernetes-version",
)
_COMPONENT = ("cert-dir", "config", "dry-run", "image-repository", "kubernetes-version", "patches")
_APISERVER = (
    *_COMPONENT,
    "apiserver-advertise-address",
    "apiserver-bind-port",
    "control-plane-endpoint",
    "feature-gates",
    "service-cidr",
)
_API_CLIENT = ("config", "dry-run", "kubeconfig")
_PROXY = (
    *_API_CLIENT,
    "apiserver-advertise-address",
    "apiserver-bind-port",
    "control-plane-endpoint",
    "image-repository",
    "kubernetes-version",
    "pod-network-cidr",
)
_COREDNS = (
    *_API_CLIENT,
    "feature-gates",
    "image-repository",
    "kubernetes-version",
    "service-cidr",
    "service-dns-domain",
)


_CERTS: tuple[Phase, ...] = (
    Phase("ca", "The CA of Kubernetes.", flags=_CERT),
    Phase("apiserver", "What the API server shows its clients.", flags=_API_NAMES),
    Phase("apiserver-kubelet-client", "What the API server shows kubelets.", flags=_CERT),
    Phase("front-proxy-ca", "The CA of the front proxy.", flags=_CERT),
    Phase("front-proxy-client", "What the front proxy shows.", flags=_CERT),
    Phase("etcd-ca", "The CA of etcd.", flags=_CERT),
    Phase("etcd-server", "What etcd shows its clients.", flags=_CERT),
    Phase("etcd-peer", "What etcd's members show each other.", flags=_CERT),
    Phase("etcd-healthcheck-client", "What health checks show etcd.", flags=_CERT),
    Phase("apiserver-etcd-client", "What the API server shows etcd.", flags=_CERT),
    Phase("sa", "The key that service account tokens are signed with.", flags=_CERT),
)


def _kubeconfig(name: str, text: str, *flags: str) -> Phase:
    return Phase(name, text, flags=(*_KUBECONFIG, *flags))


_KUBECONFIGS = (
    _kubeconfig("admin", "Of the cluster's administrator."),
    _kubeconfig("super-admin", "Of whoever repairs RBAC."),
    _kubeconfig("kubelet", "Of this node's kubelet, until it has a certificate of its own.", "node-name"),
    _kubeconfig("controller-manager", "Of the controller manager."),
    _kubeconfig("scheduler", "Of the scheduler."),
)


def _component(name: str, text: str, flags: tuple[str, ...]) -> Phase:
    return Phase(name.removeprefix("kube-"), text, flags=flags)


_CONTROLLER = (*_COMPONENT, "pod-network-cidr", "controller-manager-extra-args")
_CONTROL_PLANE = (
    _component("kube-apiserver", "The API server's manifest.", (*_APISERVER, "apiserver-extra-args")),
    _component("kube-controller-manager", "The controller manager's manifest.", _CONTROLLER),
    _component("kube-scheduler", "The scheduler's manifest.", (*_COMPONENT, "scheduler-extra-args")),
)


TREE: tuple[Phase, ...] = (
    Phase(
        "preflight",
        "Look at this host before anything is changed.",
        flags=("config", "cri-socket", "dry-run", "ignore-preflight-errors", "image-repository"),
    ),
    Phase("certs", "Certificates.", children=_CERTS, flags=_API_NAMES),
    Phase(
        "kubeconfig",
        "kubeconfig files of the control plane and its administrators.",
        children=_KUBECONFIGS,
        flags=(*_KUBECONFIG, "node-name"),
    ),
    Phase(
        "etcd",
        "The manifest of a local etcd.",
        children=(
            Phase(
                "local",
                "The first member of a new cluster.",
                flags=("cert-dir", "config", "dry-run", "image-repository", "patches"),
            ),
        ),
    ),
    Phase(
        "control-plane",
        "Manifests of the control plane.",
        children=_CONTROL_PLANE,
        flags=(
            *_APISERVER,
            "pod-network-cidr",
            "apiserver-extra-args",
            "controller-manager-extra-args",
            "scheduler-extra-args",
        ),
    ),
    Phase(
        "kubelet-start",
        "Write the kubelet's files and start it.",
        flags=("config", "cri-socket", "dry-run", "image-repository", "node-name", "patches"),
    ),
    Phase("wait-control-plane", "Wait until the control plane answers."),
    Phase(
        "upload-config",
        "Keep the configuration in the cluster.",
        children=(
            Phase(
                "kubeadm",
                "The ClusterConfiguration.",
                flags=(*_API_CLIENT, "cri-socket"),
            ),
            Phase(
                "kubelet",
                "The kubelets' configuration.",
                flags=(*_API_CLIENT, "cri-socket"),
            ),
        ),
        flags=(*_API_CLIENT, "cri-socket"),
    ),
    Phase(
        "upload-certs",
        "Keep the shared certificates in the cluster, encrypted.",
        flags=(*_API_CLIENT, "certificate-key", "skip-certificate-key-print", "upload-certs"),
    ),
    Phase(
        "mark-control-plane",
        "Label and taint this node as a control plane.",
        flags=("config", "dry-run", "node-name"),
    ),
    Phase(
        "bootstrap-token",
        "The token that nodes join with, and what it may do.",
        flags=(*_API_CLIENT, "skip-token-print"),
    ),
    Phase(
        "kubelet-finalize",
        "Let the kubelet use the certificate that it renews itself.",
        children=(
            Phase(
                "enable-client-cert-rotation",
                "Point kubelet.conf to the certificate that the kubelet renews.",
                flags=("cert-dir", "config", "dry-run"),
                aliases=("experimental-cert-rotation",),
            ),
        ),
        flags=("cert-dir", "config", "dry-run"),
    ),
    Phase(
        "addon",
        "CoreDNS and kube-proxy.",
        children=(
            Phase(
                "coredns",
                "The cluster's DNS server.",
                flags=(*_COREDNS, "print-manifest"),
            ),
            Phase(
                "kube-proxy",
                "The proxy of services.",
                flags=(*_PROXY, "print-manifest"),
            ),
        ),
        flags=(*dict.fromkeys((*_PROXY, *_COREDNS)),),
    ),
    Phase("show-join-command", "Say how further nodes join."),
)
