"""The phases of reset, in kubeadm's order."""

from __future__ import annotations

from quorate.phases.base.runner import Phase

TREE: tuple[Phase, ...] = (
    Phase(
        "preflight",
        "Ask for confirmation.",
        flags=("dry-run", "force", "ignore-preflight-errors"),
    ),
    Phase(
        "remove-etcd-member",
        "Remove this node's etcd member, if that is safe.",
        flags=("abandon-etcd-member", "cert-dir", "cri-socket", "dry-run", "kubeconfig"),
    ),
    Phase(
        "cleanup-node",
        "Stop the kubelet and its pods, and delete what init or join made.",
        flags=("abandon-etcd-member", "cert-dir", "cleanup-tmp-dir", "cri-socket", "dry-run"),
        aliases=("cleanupnode",),
    ),
)
