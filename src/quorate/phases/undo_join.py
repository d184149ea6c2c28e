"""Taking back what a join made on this node, when it failed before its etcd got a vote."""

from __future__ import annotations

from collections.abc import Iterator

from quorate.host.cri import CriError, Runtime
from quorate.kube.errors import KubeError
from quorate.manifests.control_plane import PODS
from quorate.phases import certs, kubelet_files, marker, static_pods
from quorate.phases.cluster_access import connected
from quorate.phases.context import CONFIG_FOLDER, KUBELET_FOLDER, Context
from quorate.phases.joining import JoinRun
from quorate.phases.marker import Marker
from quorate.pki.table import SA_KEY, SA_PUB, entries
from quorate.report import Notice

CONFS = ("admin", "super-admin", "kubelet", "bootstrap-kubelet", "controller-manager", "scheduler")


def may_be_made(context: Context) -> Iterator[str]:
    """Every file that a join writes, on a control plane or a worker."""
    for entry in entries(context.cluster, context.node):
        yield from certs.files(context, entry)
    yield from (context.pki(SA_KEY), context.pki(SA_PUB))
    yield from (f"{CONFIG_FOLDER}/{name}.conf" for name in CONFS)
    for name in ("etcd", *PODS):
        yield from (static_pods.manifest_path(name), static_pods.staged_path(name))
    yield from (kubelet_files.CONFIG, kubelet_files.INSTANCE, kubelet_files.FLAGS, f"{KUBELET_FOLDER}/pki")


def take_back(join: JoinRun, mark: Marker) -> str:
    """Stop the kubelet and its pods, delete the node's object if this join made it, and every file that was not there before.

    Returns what is the case now, in words. What cannot be done is said and does not stop the rest.
    """
    context = join.context
    problems: list[str] = []
    for name in ("etcd", *PODS):
        context.tree.remove(static_pods.manifest_path(name))
    try:
        context.kubelet.stop()
        _end_pods(context, mark.began_ns)
    except (CriError, OSError) as error:
        problems.append(str(error))
    try:
        _delete_node(join, context)
    except KubeError as error:
        problems.append(f"the node's object may be there: {error.what}")
    for path in may_be_made(context):
        if path not in mark.before:
            context.tree.remove(path)
    marker.finish(context)
    for problem in problems:
        context.report(Notice(problem, "warning"))
    return "what the join made on this node was deleted" + (", but see the warnings" if problems else "")


def _delete_node(join: JoinRun, context: Context) -> None:
    """Only an administrator may; on a worker it is left, and its kubelet, which is gone, made it at most."""
    if not context.tree.is_file(join.admin):
        return
    with connected(context, join.admin) as client:
        client.patience = 5.0
        client.delete("Node", context.node.name)


def _end_pods(context: Context, since_ns: int) -> None:
    """Those that began after the join did: whatever ran here before is somebody else's."""
    with Runtime.connect(context.registration.cri_socket) as runtime:
        for sandbox in runtime.sandboxes():
            if sandbox.created_at >= since_ns:
                runtime.stop_sandbox(sandbox.id)
                runtime.remove_sandbox(sandbox.id)
