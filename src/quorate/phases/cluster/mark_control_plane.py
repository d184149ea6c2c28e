"""Phase mark-control-plane: the node's labels and taints."""

from __future__ import annotations

from typing import Any

from quorate.config.types import Taint
from quorate.phases.base.api_access import connected
from quorate.phases.base.context import Context
from quorate.phases.base.node_object import wait_for_node
from quorate.report import ResourceWritten

PHASE = "mark-control-plane"
LABELS = {
    "node-role.kubernetes.io/control-plane": "",
    "node.kubernetes.io/exclude-from-external-load-balancers": "",
}


def run(context: Context, kubeconfig: str) -> None:
    """Labels and taints the node. Idempotent; other taints of the node stay."""
    name, taints = context.node.name, context.registration.taints or ()
    context.say(PHASE, f"Marking the node {name} as control-plane by adding the labels: [{' '.join(LABELS)}]")
    if taints:
        shown = " ".join(f"{taint.key}:{taint.effect}" for taint in taints)
        context.say(PHASE, f"Marking the node {name} as control-plane by adding the taints [{shown}]")
    if context.dry_run:
        return
    with connected(context, kubeconfig) as client:
        node = wait_for_node(context, client)
        there: list[dict[str, Any]] = node.get("spec", {}).get("taints") or []
        ours = [_values(taint) for taint in taints]
        kept = [one for one in there if (one["key"], one["effect"]) not in {(taint.key, taint.effect) for taint in taints}]
        patch: dict[str, Any] = {"metadata": {"labels": LABELS}}
        if ours:
            patch["spec"] = {"taints": [*ours, *kept]}
        client.patch("Node", name, patch)
    context.report(ResourceWritten("object", f"Node {name}: labels and taints"))


def _values(taint: Taint) -> dict[str, str]:
    found = {"key": taint.key, "effect": taint.effect}
    found |= {"value": taint.value} if taint.value else {}
    # A year that the API server cannot read would make it refuse the node's taints.
    added = taint.time_added
    return {**found, "timeAdded": str(added)} if added is not None and added.is_readable else found
