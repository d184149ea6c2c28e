"""The phases of reset, in kubeadm's order."""

from __future__ import annotations

from typing import Any

from quorate.phases.not_yet import not_yet
from quorate.phases.runner import Phase

TREE: tuple[Phase[Any], ...] = (
    Phase(
        "preflight",
        "Ask whether this is meant.",
        not_yet("preflight"),
        flags=("dry-run", "force", "ignore-preflight-errors"),
    ),
    Phase(
        "remove-etcd-member",
        "Remove this node's etcd member, where that is safe.",
        not_yet("remove-etcd-member"),
        flags=("dry-run", "kubeconfig"),
    ),
    Phase(
        "cleanup-node",
        "Stop the kubelet and its pods, and delete what init or join made.",
        not_yet("cleanup-node"),
        flags=("cert-dir", "cleanup-tmp-dir", "cri-socket", "dry-run"),
        aliases=("cleanupnode",),
    ),
)
