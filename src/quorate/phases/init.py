"""The phases of init, in kubeadm's order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from quorate.config import types as v4
from quorate.config.render import to_yaml
from quorate.core.preflight import Finding
from quorate.kube.resources import Object
from quorate.phases import (
    addon,
    admins,
    bootstrap_token,
    certs,
    kubeconfigs,
    kubelet_files,
    kubelet_start,
    mark_control_plane,
    show_join,
    static_pods,
    upload_certs,
    upload_config,
    wait,
)
from quorate.phases.context import Context
from quorate.phases.node_checks import check_init_node
from quorate.phases.runner import Phase
from quorate.secret import Secret


@dataclass(frozen=True, slots=True)
class InitRun:
    """One run of init. `upload_certs`, `skip_token_print`, `skip_certificate_key_print`: what only flags say. `kubeconfig`: the
    file that later phases reach the API server with.
    `findings`: of preflight, for programs. `shown`: what is
    printed behind everything else."""

    context: Context
    init: v4.InitConfiguration
    kubeconfig: str = "/etc/kubernetes/admin.conf"
    upload_certs: bool = False
    skip_token_print: bool = False
    skip_certificate_key_print: bool = False
    dry_run: bool = False
    certificate_key: Secret[str] = field(default_factory=lambda: Secret(""))
    print_manifest: bool = False
    findings: list[Finding] = field(default_factory=list[Finding])
    shown: list[str] = field(default_factory=list[str])


def _on(step: Callable[[Context], None]) -> Callable[[InitRun], None]:
    """A step that needs no more than the context."""
    return lambda run: step(run.context)


def _api(step: Callable[[Context, str], None]) -> Callable[[InitRun], None]:
    """A step that talks to the API server."""
    return lambda run: step(run.context, run.kubeconfig)


def _wait(run: InitRun) -> None:
    wait.run(run.context)
    admins.ensure_cluster_admins(run.context, run.kubeconfig)


def _upload_certs(run: InitRun) -> None:
    upload_certs.run(run.context, run.kubeconfig, run.certificate_key)
    if not run.skip_certificate_key_print:
        run.context.say(upload_certs.PHASE, f"Using certificate key:\n{run.certificate_key.reveal()}")


def _tokens(run: InitRun) -> None:
    bootstrap_token.run(run.context, run.kubeconfig, run.init.bootstrap_tokens, show=not run.skip_token_print)


def _addon(make: Callable[[Context], list[Object]], apply: Callable[[Context, str], None]) -> Callable[[InitRun], None]:
    def step(run: InitRun) -> None:
        if run.print_manifest:
            run.shown.append("---\n".join(to_yaml(one) for one in make(run.context)))
        else:
            apply(run.context, run.kubeconfig)

    return step


def _show(run: InitRun) -> None:
    token = run.init.bootstrap_tokens[0].token if run.init.bootstrap_tokens and not run.skip_token_print else "TOKEN"
    key = run.certificate_key.reveal() if run.upload_certs and not run.skip_certificate_key_print else ""
    run.shown.append(show_join.closing_words(run.context, run.kubeconfig, token, key))


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


_COREDNS_STEP = _addon(addon.coredns_objects, addon.coredns)
_PROXY_STEP = _addon(addon.kube_proxy_objects, addon.kube_proxy)

TREE: tuple[Phase[InitRun], ...] = (
    Phase(
        "preflight",
        "Look at this host before anything is changed.",
        lambda run: run.findings.extend(check_init_node(run.context)),
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
        _on(kubelet_start.run),
        flags=("config", "cri-socket", "dry-run", "image-repository", "node-name", "patches"),
    ),
    Phase("wait-control-plane", "Wait until the control plane answers.", _wait),
    Phase(
        "upload-config",
        "Keep the configuration in the cluster.",
        children=(
            Phase(
                "kubeadm",
                "The ClusterConfiguration.",
                _api(upload_config.upload_kubeadm),
                flags=(*_API_CLIENT, "cri-socket"),
            ),
            Phase(
                "kubelet",
                "The kubelets' configuration.",
                _api(upload_config.upload_kubelet),
                flags=(*_API_CLIENT, "cri-socket"),
            ),
        ),
        flags=(*_API_CLIENT, "cri-socket"),
    ),
    Phase(
        "upload-certs",
        "Keep the shared certificates in the cluster, encrypted.",
        _upload_certs,
        flags=(*_API_CLIENT, "certificate-key", "skip-certificate-key-print", "upload-certs"),
        when=lambda run: run.upload_certs,
    ),
    Phase(
        "mark-control-plane",
        "Label and taint this node as a control plane.",
        _api(mark_control_plane.run),
        flags=("config", "dry-run", "node-name"),
    ),
    Phase(
        "bootstrap-token",
        "The token that nodes join with, and what it may do.",
        _tokens,
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
            Phase(
                "coredns",
                "The cluster's DNS server.",
                _addon(addon.coredns_objects, addon.coredns),
                flags=(*_COREDNS, "print-manifest"),
            ),
            Phase(
                "kube-proxy",
                "The proxy of services.",
                _addon(addon.kube_proxy_objects, addon.kube_proxy),
                flags=(*_PROXY, "print-manifest"),
            ),
        ),
        flags=(*dict.fromkeys((*_PROXY, *_COREDNS)),),
    ),
    Phase("show-join-command", "Say how further nodes join.", _show),
)
