"""Rolling back what a join made on this node, when it failed before its etcd got a vote."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from quorate.errors import HostError, foreseen
from quorate.host.cri import Runtime
from quorate.host.etcd_identity import DataIdentity
from quorate.manifests.control_plane import PODS
from quorate.phases.base.api_access import connected
from quorate.phases.base.context import Context
from quorate.phases.join.etcd import owner_of_data
from quorate.phases.join.prepared_join import PreparedJoin
from quorate.phases.node import paths, run_marker, static_pods
from quorate.phases.node.run_marker import Marker
from quorate.report import Notice


def take_back(join: PreparedJoin, mark: Marker) -> str:
    """Stops the kubelet and its pods; deletes the node's object if this join made it, and every file that was not there before.

    Returns the state in words. A step that fails is reported and does not stop the others.
    """
    context = join.context
    made = [path for path in paths.may_be_made(context) if path not in mark.before]
    owner = owner_of_data(context)
    done = [
        _try(context, "the manifests may still exist", lambda: _remove(context, _manifests())),
        _try(context, "the kubelet may still run", context.kubelet.stop),
        _try(context, "pods may still run", lambda: _end_pods(context, mark.began_ns)),
        _try(context, "the node's object may still exist", lambda: _delete_node(join, context, mark)),
        _try(context, "files may still exist", lambda: _remove_made(context, [*made, run_marker.PATH], owner)),
    ]
    return "what the join made on this node was deleted" + ("" if all(done) else ", but see the warnings")


def _try(context: Context, otherwise: str, step: Callable[[], None]) -> bool:
    """Returns whether the step succeeded. A failure is only reported: it must not stop the other steps, and must not hide why
    the join failed."""
    try:
        step()
    except Exception as error:
        context.report(Notice(f"{otherwise}: {foreseen(error).what}", "warning"))
        return False
    return True


def _manifests() -> list[str]:
    return [static_pods.manifest_path(name) for name in ("etcd", *PODS)]


def _remove(context: Context, paths: Iterable[str]) -> None:
    for path in paths:
        context.tree.remove(path)


def _remove_made(context: Context, made: Iterable[str], owner: DataIdentity | None) -> None:
    """Deletes what the join made. Raises `HostError`, with nothing deleted, where another member has written data meanwhile."""
    if owner_of_data(context) not in (None, owner):
        raise HostError("another etcd member has written data on this node since the join failed: nothing of it is deleted")
    _remove(context, made)


def node_object(context: Context) -> str:
    """Returns the name of this node's object in a marker, next to paths."""
    return f"Node/{context.node.name}"


def _delete_node(join: PreparedJoin, context: Context, mark: Marker) -> None:
    """Deletes the node's object, which needs admin.conf. On a worker it stays: only the kubelet, stopped by now, can have
    made it."""
    if node_object(context) in mark.before or not context.tree.is_file(join.request.admin):
        return
    with connected(context, join.request.admin) as client:
        client.patience = 5.0
        client.delete("Node", context.node.name)


def _end_pods(context: Context, since_ns: int) -> None:
    """Ends the pods that began after the join did: earlier ones have another owner."""
    with Runtime.connect(context.cri_socket, context.clock.cancel) as runtime:
        runtime.end_sandboxes(context.clock, since_ns=since_ns)
