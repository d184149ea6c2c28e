"""The phases of reset, in kubeadm's order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quorate.phases.base.runner import Late, Phase

if TYPE_CHECKING:
    from quorate.phases.reset.state import ResetRun

TREE: tuple[Phase[ResetRun], ...] = (
    Phase(
        "preflight",
        "Ask whether this is meant.",
        Late("reset.state.confirm"),
        flags=("dry-run", "force", "ignore-preflight-errors"),
    ),
    Phase(
        "remove-etcd-member",
        "Remove this node's etcd member, where that is safe.",
        Late("reset.etcd.remove_member"),
        flags=("abandon-etcd-member", "cert-dir", "cri-socket", "dry-run", "kubeconfig"),
    ),
    Phase(
        "cleanup-node",
        "Stop the kubelet and its pods, and delete what init or join made.",
        Late("reset.cleanup.clean_up"),
        flags=("cert-dir", "cleanup-tmp-dir", "cri-socket", "dry-run"),
        aliases=("cleanupnode",),
    ),
)
