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
    Phase("apiserver", "The API server's serving certificate.", flags=_API_NAMES),
    Phase("apiserver-kubelet-client", "The API server's client certificate for kubelets.", flags=_CERT),
    Phase("front-proxy-ca", "The CA of the front proxy.", flags=_CERT),
    Phase("front-proxy-client", "The front proxy's client certificate.", flags=_CERT),
    Phase("etcd-ca", "The CA of etcd.", flags=_CERT),
    Phase("etcd-server", "etcd's serving certificate.", flags=_CERT),
    Phase("etcd-peer", "The certificate that etcd members use between each other.", flags=_CERT),
    Phase("etcd-healthcheck-client", "The client certificate of etcd's health checks.", flags=_CERT),
    Phase("apiserver-etcd-client", "The API server's client certificate for etcd.", flags=_CERT),
    Phase("sa", "The key that signs service account tokens.", flags=_CERT),
)


def _kubeconfig(name: str, text: str, *flags: str) -> Phase:
    return Phase(name, text, flags=(*_KUBECONFIG, *flags))


_KUBECONFIGS = (
    _kubeconfig("admin", "The kubeconfig of the cluster's administrator."),
    _kubeconfig("super-admin", "The kubeconfig for repairing RBAC, not restricted by it."),
    _kubeconfig("kubelet", "The kubeconfig of this node's kubelet, until it has its own certificate.", "node-name"),
    _kubeconfig("controller-manager", "The kubeconfig of the controller manager."),
    _kubeconfig("scheduler", "The kubeconfig of the scheduler."),
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
        "Check this host before anything is changed.",
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
        "Store the configuration in the cluster.",
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
        "Store the shared certificates in the cluster, encrypted.",
        flags=(*_API_CLIENT, "certificate-key", "skip-certificate-key-print", "upload-certs"),
    ),
    Phase(
        "mark-control-plane",
        "Label and taint this node as a control plane.",
        flags=("config", "dry-run", "node-name"),
    ),
    Phase(
        "bootstrap-token",
        "The token that nodes join with, and its rights.",
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
    Phase("show-join-command", "Show the commands that join further nodes."),
)
