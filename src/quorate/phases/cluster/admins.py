"""The rights of admin.conf: since 1.29 they come from a binding in the cluster."""

from __future__ import annotations

from quorate.deadline import Deadline, poll
from quorate.errors import PreflightFailed
from quorate.kube import rbac
from quorate.kube.errors import AlreadyExists, Denied
from quorate.phases.base.api_access import connected
from quorate.phases.base.context import Context
from quorate.phases.node import kubeconfigs

_SEEN_SECONDS, _POLL_SECONDS = 30.0, 0.1


def ensure_cluster_admins(context: Context, kubeconfig: str) -> None:
    """Creates the binding with admin.conf where that has the right to, else with super-admin.conf. Raises `PreflightFailed`
    when the latter is needed and missing."""
    if context.minor < kubeconfigs.SUPER_ADMIN_SINCE or context.dry_run:
        return
    if _create(context, kubeconfig):
        return
    own = kubeconfigs.path_of(context, "super-admin")
    if not context.tree.is_file(own):
        raise PreflightFailed(
            f"{kubeconfig} has no rights in the cluster, and {own}, which could grant them, is missing",
            advice="copy super-admin.conf from the node where init was run",
        )
    if not _create(context, own):
        raise PreflightFailed(
            f"neither {kubeconfig} nor {own} may give an administrator's rights: the API server denies both",
            advice="copy the super-admin.conf of the node where init was run, or bind the group kubeadm:cluster-admins by hand",
        )
    # The API server judges by what its informer has seen: on a busy machine the next request was still forbidden.
    deadline = Deadline(context.clock, _SEEN_SECONDS, f"the API server grants what {kubeconfig} was given")
    if not poll(lambda: _create(context, kubeconfig) or None, context.clock, deadline, every=_POLL_SECONDS):
        raise deadline.error(advice="run the same command again")


def _create(context: Context, path: str) -> bool:
    with connected(context, path) as client:
        try:
            client.create(rbac.cluster_admins())
        except AlreadyExists:
            return True
        except Denied:
            return False
    return True
