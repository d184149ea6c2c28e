"""The components of a control plane that are clients of the API server: they are started when it has their roles (decision 18).

kubeadm starts all three at once. The two then take CPU time that the API server needs to start, and the controller manager
asks for its lease before it has the right to: it retries two to four seconds later, and signs no kubelet's certificate until
then. On a slow host it exits after ten seconds without an API server, and the kubelet's restart back-off grows.
"""

from __future__ import annotations

from quorate.deadline import SystemClock
from quorate.errors import ConfigError, PreflightFailed
from quorate.kube.client import KubeClient, Server
from quorate.kube.errors import KubeError
from quorate.phases.base import api_access
from quorate.phases.base.context import Context
from quorate.phases.node import kubeconfigs, static_pods

NAMES = ("kube-controller-manager", "kube-scheduler")
_ROLE = "system:kube-controller-manager"
_RPC_SECONDS = 2.0
_ADMINS = ("super-admin", "admin")
"""Kubeconfigs that may read the role. super-admin.conf exists on the first node only, where admin.conf has no rights yet."""


def are_waiting(context: Context) -> bool:
    """Returns whether the manifest of one is still held back."""
    return any(context.tree.is_file(static_pods.staged_path(name)) for name in NAMES)


def start(context: Context) -> None:
    static_pods.publish(context, NAMES)


def start_if_let_in(context: Context) -> None:
    if are_waiting(context) and have_roles(context):
        start(context)


def have_roles(context: Context) -> bool:
    """Returns whether this node's API server answers and has the controller manager's role. The role's binding is made within
    the same second, and the controller manager takes that long to start."""
    paths = [kubeconfigs.path_of(context, name) for name in _ADMINS]
    admin = next((path for path in paths if context.tree.is_file(path)), paths[-1])
    try:
        parsed = api_access.read(context.tree, admin, context.this_node)
        return lets_in(api_access.server_of(parsed, kubeconfigs.local_server(context)), context.clock)
    except (KubeError, PreflightFailed, ConfigError):
        return False


def lets_in(server: Server, clock: SystemClock) -> bool:
    """Returns whether an API server answers and has the controller manager's role."""
    try:
        client = KubeClient(server, clock, patience=0.0, rpc_seconds=_RPC_SECONDS)
        with client.connected():
            return client.find("ClusterRole", _ROLE) is not None
    except KubeError:
        return False
