"""The phases of reset, in kubeadm's order."""

from __future__ import annotations

import os

from quorate.errors import PreflightFailed, Refused
from quorate.phases import cleanup_node, etcd_leave
from quorate.phases.resetting import ResetRun
from quorate.phases.runner import Phase


def preflight(run: ResetRun) -> None:
    """Raises `Refused` when it is not meant."""
    if os.geteuid() != 0 and "all" not in run.reset.ignore_preflight_errors:
        raise PreflightFailed("this must be run as root", state="nothing was changed")
    run.say("preflight", "Running pre-flight checks")
    if run.reset.force or run.dry_run:
        return
    if not run.ask("Changes made to this host by 'init' or 'join' will be reverted. Are you sure you want to proceed?"):
        raise Refused("the reset was not confirmed", state="nothing was changed", advice="--force does not ask")


TREE: tuple[Phase[ResetRun], ...] = (
    Phase(
        "preflight",
        "Ask whether this is meant.",
        preflight,
        flags=("dry-run", "force", "ignore-preflight-errors"),
    ),
    Phase(
        "remove-etcd-member",
        "Remove this node's etcd member, where that is safe.",
        etcd_leave.remove_member,
        flags=("abandon-etcd-member", "cert-dir", "cri-socket", "dry-run", "kubeconfig"),
    ),
    Phase(
        "cleanup-node",
        "Stop the kubelet and its pods, and delete what init or join made.",
        cleanup_node.clean_up,
        flags=("cert-dir", "cleanup-tmp-dir", "cri-socket", "dry-run"),
        aliases=("cleanupnode",),
    ),
)
