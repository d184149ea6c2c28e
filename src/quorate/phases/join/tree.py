"""The phases of join, in kubeadm's order."""

from __future__ import annotations

from quorate.phases.base.runner import Phase

PREFLIGHT = "preflight"
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
TREE: tuple[Phase, ...] = (
    Phase(
        PREFLIGHT,
        "Check this host before anything is changed.",
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
                "Download the shared certificates that the cluster stores.",
                flags=(*_PREPARE, "certificate-key"),
            ),
            Phase(
                "certs",
                "Make this node's certificates.",
                flags=(*_PREPARE, "apiserver-advertise-address", "node-name"),
            ),
            Phase(
                "kubeconfig",
                "Make the control plane's kubeconfig files.",
                flags=(*_PREPARE, "certificate-key"),
            ),
            Phase(
                "control-plane",
                "Write the control plane's manifests.",
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
    Phase("check-etcd", "Check etcd before a member is added.", hidden=True),
    Phase(
        "kubelet-start",
        "Write the kubelet's files and start it.",
        flags=(*_DISCOVERY, "cri-socket", "node-name", "patches"),
    ),
    Phase("etcd-join", "Join etcd as a learner, become a voter when aligned.", flags=_NODE),
    Phase(
        "kubelet-wait-bootstrap",
        "Wait until the kubelet has its certificate.",
        flags=(*_DISCOVERY, "cri-socket"),
        hidden=True,
    ),
    Phase(
        "control-plane-join",
        "Register this node as a control plane.",
        children=(
            Phase(
                "etcd",
                "Join etcd; replaced by the phase etcd-join.",
                flags=_NODE,
            ),
            Phase("update-status", "Does nothing any more.", flags=_NODE, hidden=True),
            Phase(
                "mark-control-plane",
                "Label and taint this node as a control plane.",
                flags=("config", "control-plane", "dry-run", "node-name"),
            ),
        ),
        flags=_NODE,
    ),
    Phase(
        "wait-control-plane",
        "Wait until this node's control plane answers.",
    ),
)
