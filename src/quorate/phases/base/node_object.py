"""The Node object of this node, which its kubelet registers."""

from __future__ import annotations

from quorate.deadline import Deadline, poll
from quorate.kube.client import KubeClient
from quorate.kube.resources import Object
from quorate.phases.base.context import Context
from quorate.phases.base.heartbeat import Heartbeat

_POLL_SECONDS = 0.2


def wait_for_node(context: Context, client: KubeClient) -> Object:
    """Waits until the kubelet has registered this node; before that there is no object to change. The kubelet registers it
    once it has a certificate and its API server answers.

    Raises `DeadlineExceeded` after the client's patience, or a `KubeError`.
    """
    name = context.node.name
    deadline = Deadline(context.clock, client.patience, f"the kubelet registers the node {name}")
    heartbeat = Heartbeat(context.clock, context.report, f"the node {name} to be registered", client.patience)

    def registered() -> Object | None:
        heartbeat.beat()
        return client.find("Node", name)

    node = poll(registered, context.clock, deadline, every=_POLL_SECONDS)
    if node is None:
        raise deadline.error(advice="'journalctl -u kubelet' shows why; fix it, then run the same command again")
    return node
