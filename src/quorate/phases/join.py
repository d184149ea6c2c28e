"""The phases of join, in kubeadm's order."""

from __future__ import annotations

from collections.abc import Callable

from quorate.phases import (
    certs,
    download_certs,
    etcd_join,
    join_checks,
    kubeconfigs,
    kubelet_bootstrap,
    mark_control_plane,
    static_pods,
    wait,
)
from quorate.phases.joining import JoinRun
from quorate.phases.runner import Phase

_DISCOVERY = (
    "config",
    "discovery-file",
    "discovery-token",
    "discovery-token-ca-cert-hash",
    "discovery-token-unsafe-skip-ca-verification",
    "dry-run",
    "tls-bootstrap-token",
    "token",
)
_NODE = ("apiserver-advertise-address", "config", "control-plane", "dry-run", "node-name", "patches")
_PREPARE = (*_DISCOVERY, "control-plane")
_CONFS = ("admin", "controller-manager", "scheduler")


def _on_control_plane(step: Callable[[JoinRun], None]) -> Callable[[JoinRun], None]:
    """A step that workers do not take."""

    def run(join: JoinRun) -> None:
        if join.control_plane:
            step(join)

    return run


def _control_plane(join: JoinRun) -> None:
    """In a whole join beside a local etcd the manifests wait for it; a phase alone writes them where they belong."""
    if join.whole and join.context.cluster.etcd.external is None:
        static_pods.stage_control_plane(join.context)
    else:
        static_pods.write_control_plane()(join.context)


def _etcd_join(join: JoinRun) -> None:
    etcd_join.run(join)
    static_pods.publish_control_plane(join.context)


def _wait(join: JoinRun) -> None:
    wait.run(join.context)


def _alone(join: JoinRun) -> bool:
    """In a whole join etcd was joined before, by the phase of its own."""
    return not join.whole


def _mark(join: JoinRun) -> None:
    mark_control_plane.run(join.context, join.admin)


TREE: tuple[Phase[JoinRun], ...] = (
    Phase(
        "preflight",
        "Look at this host before anything is changed.",
        join_checks.run,
        flags=(
            *_PREPARE,
            "apiserver-advertise-address",
            "apiserver-bind-port",
            "certificate-key",
            "cri-socket",
            "ignore-preflight-errors",
            "node-name",
        ),
    ),
    Phase(
        "control-plane-prepare",
        "Certificates, kubeconfig files and manifests of a further control-plane node.",
        children=(
            Phase(
                "download-certs",
                "Fetch the shared certificates that the cluster keeps.",
                _on_control_plane(download_certs.run),
                flags=(*_PREPARE, "certificate-key"),
            ),
            Phase(
                "certs",
                "Make this node's certificates.",
                _on_control_plane(lambda join: certs.ensure_all(join.context)),
                flags=(*_PREPARE, "apiserver-advertise-address", "node-name"),
            ),
            Phase(
                "kubeconfig",
                "Make the control plane's kubeconfig files.",
                _on_control_plane(lambda join: kubeconfigs.ensure_named(*_CONFS)(join.context)),
                flags=(*_PREPARE, "certificate-key"),
            ),
            Phase(
                "control-plane",
                "Write the control plane's manifests.",
                _on_control_plane(_control_plane),
                flags=(
                    "apiserver-advertise-address",
                    "apiserver-bind-port",
                    "config",
                    "control-plane",
                    "dry-run",
                    "patches",
                ),
            ),
        ),
        flags=(
            *_PREPARE,
            "apiserver-advertise-address",
            "apiserver-bind-port",
            "certificate-key",
            "node-name",
            "patches",
        ),
    ),
    Phase("check-etcd", "Look at etcd before it gets a member.", _on_control_plane(etcd_join.check), hidden=True),
    Phase(
        "kubelet-start",
        "Write the kubelet's files and start it.",
        kubelet_bootstrap.start,
        flags=(*_DISCOVERY, "cri-socket", "node-name", "patches"),
    ),
    Phase("etcd-join", "Join etcd as a learner, become a voter when aligned.", _on_control_plane(_etcd_join), flags=_NODE),
    Phase(
        "kubelet-wait-bootstrap",
        "Wait until the kubelet has its certificate.",
        kubelet_bootstrap.finish,
        flags=(*_DISCOVERY, "cri-socket"),
        hidden=True,
    ),
    Phase(
        "control-plane-join",
        "Make this node known as a control plane.",
        children=(
            Phase("etcd", "Join etcd; now the phase etcd-join.", _on_control_plane(_etcd_join), flags=_NODE, when=_alone),
            Phase("update-status", "Does nothing any more.", lambda _run: None, flags=_NODE, hidden=True),
            Phase(
                "mark-control-plane",
                "Label and taint this node as a control plane.",
                _on_control_plane(_mark),
                flags=("config", "control-plane", "dry-run", "node-name"),
            ),
        ),
        flags=_NODE,
    ),
    Phase(
        "wait-control-plane",
        "Wait until this node's control plane answers.",
        _on_control_plane(_wait),
    ),
)
