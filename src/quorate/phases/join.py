"""The phases of join, in kubeadm's order."""

from __future__ import annotations

from typing import Any

from quorate.phases.not_yet import not_yet
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
_ETCD_JOIN = not_yet("etcd-join")

TREE: tuple[Phase[Any], ...] = (
    Phase(
        "preflight",
        "Look at this host before anything is changed.",
        not_yet("preflight"),
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
                not_yet("control-plane-prepare/download-certs"),
                flags=(*_PREPARE, "certificate-key"),
            ),
            Phase(
                "certs",
                "Make this node's certificates.",
                not_yet("control-plane-prepare/certs"),
                flags=(*_PREPARE, "apiserver-advertise-address", "node-name"),
            ),
            Phase(
                "kubeconfig",
                "Make the control plane's kubeconfig files.",
                not_yet("control-plane-prepare/kubeconfig"),
                flags=(*_PREPARE, "certificate-key"),
            ),
            Phase(
                "control-plane",
                "Write the control plane's manifests.",
                not_yet("control-plane-prepare/control-plane"),
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
    Phase("check-etcd", "Look at etcd before it gets a member.", not_yet("check-etcd"), hidden=True),
    Phase(
        "kubelet-start",
        "Write the kubelet's files and start it.",
        not_yet("kubelet-start"),
        flags=(*_DISCOVERY, "cri-socket", "node-name", "patches"),
    ),
    Phase("etcd-join", "Join etcd as a learner, become a voter when aligned.", _ETCD_JOIN, flags=_NODE),
    Phase(
        "kubelet-wait-bootstrap",
        "Wait until the kubelet has its certificate.",
        not_yet("kubelet-wait-bootstrap"),
        flags=(*_DISCOVERY, "cri-socket"),
        hidden=True,
    ),
    Phase(
        "control-plane-join",
        "Make this node known as a control plane.",
        children=(
            Phase("etcd", "Join etcd; now the phase etcd-join.", _ETCD_JOIN, flags=_NODE),
            Phase("update-status", "Does nothing any more.", lambda _run: None, flags=_NODE, hidden=True),
            Phase(
                "mark-control-plane",
                "Label and taint this node as a control plane.",
                not_yet("control-plane-join/mark-control-plane"),
                flags=("config", "control-plane", "dry-run", "node-name"),
            ),
        ),
        flags=_NODE,
    ),
    Phase("wait-control-plane", "Wait until this node's control plane answers.", not_yet("wait-control-plane")),
)
