"""Rolling back what a join made on this node, when it failed before its etcd got a vote.

What is deleted is what was here when this run looked, before it asked the cluster whether its etcd has a vote (decision 25): a
run that was suspended deleted all files of the voter that kubeadm had joined on the node since.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from quorate.errors import HostError, QuorateError, foreseen
from quorate.foreign.places import Stamp, stamp_at
from quorate.foreign.values import mapping_of, text_of
from quorate.host.cri import Runtime
from quorate.host.etcd_identity import MEMBER
from quorate.host.member_data import NOTHING_SEEN, DataSeen, left_beside, look_at, of_another, refuse_open
from quorate.manifests.control_plane import PODS
from quorate.phases.base.api_access import connected
from quorate.phases.base.context import Context
from quorate.phases.base.node_files import real_path
from quorate.phases.join.prepared_join import PreparedJoin
from quorate.phases.node import leftovers, paths, run_marker, static_pods
from quorate.phases.node.run_marker import Marker
from quorate.report import Notice

_KUBELETS = run_marker.BY_KUBELET[0]


@dataclass(frozen=True, slots=True)
class Made:
    """What the join made on this node, as it was at one look. `seen`: its files; `data`: what is in etcd's folder; `uid`: of
    the node's object, empty where the object is not this join's or was not seen; `mark`: what the join wrote."""

    seen: Mapping[str, Stamp]
    data: DataSeen
    uid: str
    mark: Marker


def look(join: PreparedJoin, mark: Marker) -> Made:
    """Returns what the join made, as it is now. Raises `HostError` where another program has worked on this node meanwhile."""
    context = join.context
    stamps = {path: context.tree.stamp(path) for path in paths.may_be_made(context) if path not in mark.before}
    made = Made(
        {path: seen for path, seen in stamps.items() if seen is not None},
        look_at(_data_dir(context)) if context.cluster.etcd.local is not None else NOTHING_SEEN,
        _uid_of_node(join, mark),
        mark,
    )
    _refuse_replaced(context, made)
    return made


def take_back(join: PreparedJoin, made: Made) -> str:
    """Stops the kubelet that this join has configured, and its pods; deletes the node's object if this join made it, and every
    file that was not there before.

    Returns the state in words. A step that fails is reported and does not stop the others, but none is taken where another
    program has worked on this node since the look.
    """
    context, mark = join.context, made.mark
    first = _Steps(context, made)
    first.take("the manifests may still exist", lambda: _remove(context, made, _manifests()))
    if run_marker.has_kubelet(mark):
        first.take("the kubelet may still run", lambda: _stop_kubelet(context, made))
        # Before the next look at what another program wrote: pods that began later may be its.
        until_ns = int(context.clock.wall() * 1e9)
        first.take("pods may still run", lambda: _end_pods(context, mark.began_ns, until_ns))
    later = _Steps(context, _with_kubelets(context, made), first.done)
    later.take("the node's object may still exist", lambda: _delete_node(join, context, made.uid))
    later.take("data of etcd may still exist", lambda: _take_data(context, later.made))
    later.take("files of the kubelet may still exist", lambda: _take_kubelets(context, later.made))
    later.take("files may still exist", lambda: _remove_files(context, later.made))
    if run_marker.foreign(context.tree, mark):
        return "another program has worked on this node since: what is here now was left as it is, see the warnings"
    if later.done[-1]:
        context.tree.remove(run_marker.PATH)
    if not later.made.seen and not made.uid and all(later.done):
        return "this join had made nothing on this node"
    return "what the join made on this node was deleted" + ("" if all(later.done) else ", but see the warnings")


@dataclass(frozen=True, slots=True)
class _Steps:
    """Steps of one rollback. `done`: which have succeeded."""

    context: Context
    made: Made
    done: list[bool] = field(default_factory=list[bool])

    def take(self, otherwise: str, step: Callable[[], None]) -> None:
        """Takes a step, unless another program has worked on this node since the look."""

        def guarded() -> None:
            _refuse_replaced(self.context, self.made)
            step()

        self.done.append(_try(self.context, otherwise, guarded))


def _with_kubelets(context: Context, made: Made) -> Made:
    """Returns what the join made, with what its kubelet wrote until it was stopped."""
    paths = [path for path in run_marker.BY_KUBELET if path not in made.mark.before and path not in made.seen]
    stamps = {path: seen for path in paths if (seen := context.tree.stamp(path)) is not None}
    return replace(made, seen={**made.seen, **stamps})


def _try(context: Context, otherwise: str, step: Callable[[], None]) -> bool:
    """Returns whether the step succeeded. A failure is only reported: it must not stop the other steps, and must not hide why
    the join failed."""
    try:
        step()
    except Exception as error:
        context.report(Notice(f"{otherwise}: {foreseen(error).what}", "warning"))
        return False
    return True


def _refuse_replaced(context: Context, made: Made) -> None:
    """Raises `HostError` where another program has written one of the files since: then nothing here is this join's."""
    path = run_marker.foreign(context.tree, made.mark)
    new = [one for one, seen in made.seen.items() if context.tree.stamp(one) not in (None, seen)]
    if path or new:
        raise HostError(
            f"{path or new[0]} was written by another program since this join wrote it: nothing of it is deleted",
            advice="look at what works on this node",
        )


def _manifests() -> list[str]:
    return [static_pods.manifest_path(name) for name in ("etcd", *PODS)]


def _remove(context: Context, made: Made, wanted: list[str]) -> None:
    for path in wanted:
        if path in made.seen:
            context.tree.remove_if(path, made.seen[path])


def _remove_files(context: Context, made: Made) -> None:
    _remove(context, made, _files(context, made))
    leftovers.sweep(context.tree, context.cluster.certificates_dir, context.report)


def _files(context: Context, made: Made) -> list[str]:
    folders = (_KUBELETS, f"{_local_dir(context)}/member")
    return [path for path in made.seen if path not in folders]


def _local_dir(context: Context) -> str:
    local = context.cluster.etcd.local
    return local.data_dir if local is not None else "//"


def _data_dir(context: Context) -> Path:
    return real_path(context.tree, _local_dir(context))


def _take_data(context: Context, made: Made) -> None:
    """Deletes the data of the member that was here at the look."""
    if f"{_local_dir(context)}/member" not in made.seen:
        return

    def is_meant(taken: Path) -> bool:
        refuse_open(taken, _data_dir(context))
        return made.data.is_meant(taken)

    if not context.tree.take_named(_local_dir(context), [MEMBER], is_meant):
        raise of_another(_data_dir(context))
    if left := left_beside(_data_dir(context)):
        context.report(Notice(left, "warning"))


def _take_kubelets(context: Context, made: Made) -> None:
    """Deletes the certificates of the kubelet that this join started. No file of ours tells whose they are: that it is the
    folder that was looked at does, and what this join wrote beside it."""
    if _KUBELETS not in made.seen:
        return

    folder, _, name = _KUBELETS.rpartition("/")

    def is_ours(taken: Path) -> bool:
        return stamp_at(taken / name) == made.seen[_KUBELETS] and not run_marker.foreign(context.tree, made.mark)

    if not context.tree.take_named(folder, [name], is_ours):
        raise HostError(f"{_KUBELETS} is of another program by now: it was left as it is")


def _stop_kubelet(context: Context, made: Made) -> None:
    context.kubelet.stop()
    try:
        _refuse_replaced(context, made)
    except HostError:
        # This run was suspended, and another program has joined the node meanwhile: its kubelet runs again.
        context.kubelet.start()
        raise


def _end_pods(context: Context, since_ns: int, until_ns: int) -> None:
    """Ends the pods that began after the join did and before the kubelet was stopped: others have another owner."""
    with Runtime.connect(context.cri_socket, context.clock.cancel) as runtime:
        runtime.end_sandboxes(context.clock, since_ns=since_ns, until_ns=until_ns)


def node_object(context: Context) -> str:
    """Returns the name of this node's object in a marker, next to paths."""
    return f"Node/{context.node.name}"


def _uid_of_node(join: PreparedJoin, mark: Marker) -> str:
    """Returns the uid of the node's object, which needs admin.conf; empty where the object was there before. On a worker it
    stays: only the kubelet can have made it."""
    context = join.context
    if node_object(context) in mark.before or not context.tree.is_file(join.request.admin):
        return ""
    try:
        with connected(context, join.request.admin) as client:
            client.patience = 5.0
            node = client.find("Node", context.node.name)
    except QuorateError as error:
        context.report(Notice(f"the node's object may still exist: {error.what}", "warning"))
        return ""
    return text_of(mapping_of(mapping_of(node).get("metadata")).get("uid"))


def _delete_node(join: PreparedJoin, context: Context, uid: str) -> None:
    """Deletes the node's object that was seen: a node that joins again has another."""
    if not uid or not context.tree.is_file(join.request.admin):
        return
    with connected(context, join.request.admin) as client:
        client.patience = 5.0
        client.delete("Node", context.node.name, uid=uid)
