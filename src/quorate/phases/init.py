"""The phases of init, in kubeadm's order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from quorate.config import types as v4
from quorate.phases import certs, kubeconfigs, kubelet_files, static_pods
from quorate.phases.context import Context
from quorate.phases.node_checks import check_init_node
from quorate.phases.not_yet import not_yet
from quorate.phases.runner import Phase


@dataclass(frozen=True, slots=True)
class InitRun:
    """One run of init. `upload_certs`, `skip_token_print`, `skip_certificate_key_print`: what only flags say. `kubeconfig`: the
    file that later phases reach the API server with."""

    context: Context
    init: v4.InitConfiguration
    kubeconfig: str = "/etc/kubernetes/admin.conf"
    upload_certs: bool = False
    skip_token_print: bool = False
    skip_certificate_key_print: bool = False
    dry_run: bool = False


def _on(step: Callable[[Context], None]) -> Callable[[InitRun], None]:
    """A step that needs no more than the context."""
    return lambda run: step(run.context)


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
    return Phase(name, text, lambda run: certs.ensure_named(run.context, name), flags=flags)


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
    Phase("sa", "The key that service account tokens are signed with.", _on(certs.ensure_sa), flags=_CERT),
)


def _kubeconfig(name: str, text: str, *flags: str) -> Phase[InitRun]:
    return Phase(name, text, _on(kubeconfigs.ensure_named(name)), flags=(*_KUBECONFIG, *flags))


_KUBECONFIGS = (
    _kubeconfig("admin", "Of the cluster's administrator."),
    _kubeconfig("super-admin", "Of whoever repairs RBAC."),
    _kubeconfig("kubelet", "Of this node's kubelet, until it has a certificate of its own.", "node-name"),
    _kubeconfig("controller-manager", "Of the controller manager."),
    _kubeconfig("scheduler", "Of the scheduler."),
)


def _component(name: str, text: str, flags: tuple[str, ...]) -> Phase[InitRun]:
    return Phase(name.removeprefix("kube-"), text, _on(static_pods.write_control_plane(name)), flags=flags)


_CONTROLLER = (*_COMPONENT, "pod-network-cidr", "controller-manager-extra-args")
_CONTROL_PLANE = (
    _component("kube-apiserver", "The API server's manifest.", (*_APISERVER, "apiserver-extra-args")),
    _component(
        "kube-controller-manager",
        "The controller manager's manifest.",
        (*_COMPONENT, "pod-network-cidr", "controller-manager-extra-args"),
    ),
    _component("kube-scheduler", "The scheduler's manifest.", (*_COMPONENT, "scheduler-extra-args")),
)


TREE: tuple[Phase[InitRun], ...] = (
    Phase(
        "preflight",
        "Look at this host before anything is changed.",
        _on(check_init_node),
        flags=("config", "cri-socket", "dry-run", "ignore-preflight-errors", "image-repository"),
    ),
    Phase("certs", "Certificates.", _on(certs.prepare), _CERTS, flags=_API_NAMES),
    Phase(
        "kubeconfig",
        "kubeconfig files of the control plane and its administrators.",
        _on(kubeconfigs.prepare),
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
                _on(static_pods.write_etcd),
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
        _on(kubelet_files.write_all),
        flags=("config", "cri-socket", "dry-run", "image-repository", "node-name", "patches"),
    ),
    Phase("wait-control-plane", "Wait until the control plane answers.", not_yet("wait-control-plane")),
    Phase(
        "upload-config",
        "Keep the configuration in the cluster.",
        children=(
            Phase(
                "kubeadm",
                "The ClusterConfiguration.",
                not_yet("upload-config/kubeadm"),
                flags=(*_API_CLIENT, "cri-socket"),
            ),
            Phase(
                "kubelet",
                "The kubelets' configuration.",
                not_yet("upload-config/kubelet"),
                flags=(*_API_CLIENT, "cri-socket"),
            ),
        ),
        flags=(*_API_CLIENT, "cri-socket"),
    ),
    Phase(
        "upload-certs",
        "Keep the shared certificates in the cluster, encrypted.",
        not_yet("upload-certs"),
        flags=(*_API_CLIENT, "certificate-key", "skip-certificate-key-print", "upload-certs"),
        when=lambda run: run.upload_certs,
    ),
    Phase(
        "mark-control-plane",
        "Label and taint this node as a control plane.",
        not_yet("mark-control-plane"),
        flags=("config", "dry-run", "node-name"),
    ),
    Phase(
        "bootstrap-token",
        "The token that nodes join with, and what it may do.",
        not_yet("bootstrap-token"),
        flags=(*_API_CLIENT, "skip-token-print"),
    ),
    Phase(
        "kubelet-finalize",
        "Let the kubelet use the certificate that it renews itself.",
        children=(
            Phase(
                "enable-client-cert-rotation",
                "Point kubelet.conf to the certificate that the kubelet renews.",
                _on(kubelet_files.use_rotated_certificate),
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
            Phase("coredns", "The cluster's DNS server.", not_yet("addon/coredns"), flags=(*_COREDNS, "print-manifest")),
            Phase("kube-proxy", "The proxy of services.", not_yet("addon/kube-proxy"), flags=(*_PROXY, "print-manifest")),
        ),
        flags=(*dict.fromkeys((*_PROXY, *_COREDNS)),),
    ),
    Phase("show-join-command", "Say how further nodes join.", not_yet("show-join-command")),
)
