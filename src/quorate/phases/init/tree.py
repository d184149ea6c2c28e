"""The phases of init, in kubeadm's order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quorate.phases.base.runner import Late, Phase

if TYPE_CHECKING:
    from quorate.phases.init.steps import InitRun

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


def _certificate(name: str, text: str, flags: tuple[str, ...] = _CERT) -> Phase[InitRun]:
    return Phase(name, text, Late("init.steps.certificate", (name,)), flags=flags)


_CERTS: tuple[Phase[InitRun], ...] = (
    _certificate("ca", "The CA of Kubernetes."),
    _certificate("apiserver", "What the API server shows its clients.", _API_NAMES),
    _certificate("apiserver-kubelet-client", "What the API server shows kubelets."),
    _certificate("front-proxy-ca", "The CA of the front proxy."),
    _certificate("front-proxy-client", "What the front proxy shows."),
    _certificate("etcd-ca", "The CA of etcd."),
    _certificate("etcd-server", "What etcd shows its clients."),
    _certificate("etcd-peer", "What etcd's members show each other."),
    _certificate("etcd-healthcheck-client", "What health checks show etcd."),
    _certificate("apiserver-etcd-client", "What the API server shows etcd."),
    Phase("sa", "The key that service account tokens are signed with.", Late("init.steps.sa"), flags=_CERT),
)


def _kubeconfig(name: str, text: str, *flags: str) -> Phase[InitRun]:
    return Phase(name, text, Late("init.steps.kubeconfig", (name,)), flags=(*_KUBECONFIG, *flags))


_KUBECONFIGS = (
    _kubeconfig("admin", "Of the cluster's administrator."),
    _kubeconfig("super-admin", "Of whoever repairs RBAC."),
    _kubeconfig("kubelet", "Of this node's kubelet, until it has a certificate of its own.", "node-name"),
    _kubeconfig("controller-manager", "Of the controller manager."),
    _kubeconfig("scheduler", "Of the scheduler."),
)


def _component(name: str, text: str, flags: tuple[str, ...]) -> Phase[InitRun]:
    return Phase(name.removeprefix("kube-"), text, Late("init.steps.component", (name,)), flags=flags)


_CONTROLLER = (*_COMPONENT, "pod-network-cidr", "controller-manager-extra-args")
_CONTROL_PLANE = (
    _component("kube-apiserver", "The API server's manifest.", (*_APISERVER, "apiserver-extra-args")),
    _component("kube-controller-manager", "The controller manager's manifest.", _CONTROLLER),
    _component("kube-scheduler", "The scheduler's manifest.", (*_COMPONENT, "scheduler-extra-args")),
)


TREE: tuple[Phase[InitRun], ...] = (
    Phase(
        "preflight",
        "Look at this host before anything is changed.",
        Late("init.steps.preflight"),
        flags=("config", "cri-socket", "dry-run", "ignore-preflight-errors", "image-repository"),
    ),
    Phase("certs", "Certificates.", Late("init.steps.prepare_certs"), _CERTS, flags=_API_NAMES),
    Phase(
        "kubeconfig",
        "kubeconfig files of the control plane and its administrators.",
        Late("init.steps.prepare_kubeconfigs"),
        _KUBECONFIGS,
        flags=(*_KUBECONFIG, "node-name"),
    ),
    Phase(
        "etcd",
        "The manifest of a local etcd.",
        children=(
            Phase(
                "local",
                "The first member of a new cluster.",
                Late("init.steps.etcd"),
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
        Late("init.steps.kubelet_start"),
        flags=("config", "cri-socket", "dry-run", "image-repository", "node-name", "patches"),
    ),
    Phase("wait-control-plane", "Wait until the control plane answers.", Late("init.steps.wait")),
    Phase(
        "upload-config",
        "Keep the configuration in the cluster.",
        children=(
            Phase(
                "kubeadm",
                "The ClusterConfiguration.",
                Late("init.steps.upload_kubeadm"),
                flags=(*_API_CLIENT, "cri-socket"),
            ),
            Phase(
                "kubelet",
                "The kubelets' configuration.",
                Late("init.steps.upload_kubelet"),
                flags=(*_API_CLIENT, "cri-socket"),
            ),
        ),
        flags=(*_API_CLIENT, "cri-socket"),
    ),
    Phase(
        "upload-certs",
        "Keep the shared certificates in the cluster, encrypted.",
        Late("init.steps.upload_certs"),
        flags=(*_API_CLIENT, "certificate-key", "skip-certificate-key-print", "upload-certs"),
        when=Late("init.steps.asks_for_certs"),
    ),
    Phase(
        "mark-control-plane",
        "Label and taint this node as a control plane.",
        Late("init.steps.mark"),
        flags=("config", "dry-run", "node-name"),
    ),
    Phase(
        "bootstrap-token",
        "The token that nodes join with, and what it may do.",
        Late("init.steps.tokens"),
        flags=(*_API_CLIENT, "skip-token-print"),
    ),
    Phase(
        "kubelet-finalize",
        "Let the kubelet use the certificate that it renews itself.",
        children=(
            Phase(
                "enable-client-cert-rotation",
                "Point kubelet.conf to the certificate that the kubelet renews.",
                Late("init.steps.rotate"),
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
                Late("init.steps.coredns"),
                flags=(*_COREDNS, "print-manifest"),
            ),
            Phase(
                "kube-proxy",
                "The proxy of services.",
                Late("init.steps.kube_proxy"),
                flags=(*_PROXY, "print-manifest"),
            ),
        ),
        flags=(*dict.fromkeys((*_PROXY, *_COREDNS)),),
    ),
    Phase("show-join-command", "Say how further nodes join.", Late("init.steps.show")),
)
