"""Ends the pod of this node's etcd. The only member of a cluster ends with it, unless others have joined since it was asked."""

from __future__ import annotations

from collections.abc import Sequence

from quorate.core.membership import Member
from quorate.deadline import DeadlineExceeded
from quorate.errors import HostError, QuorateError, Refused
from quorate.host.cri import CriError, Runtime
from quorate.phases.node.etcd_manifest import LocalEtcd
from quorate.phases.node.left_note import forget_left, manifest_in_note
from quorate.phases.node.static_pods import MANIFEST_MODE, manifest_path
from quorate.phases.reset.asking import own_cluster
from quorate.phases.reset.state import ResetRun


def end_pod(run: ResetRun, etcd: LocalEtcd) -> None:
    """Removes the manifest and waits until the pod is gone. Raises `Refused`, with the manifest in its place, where the only
    member is not the only one any more: a member that joined while this run was suspended lost its quorum for ever."""
    path = manifest_path("etcd")
    manifest = run.tree.read(path)
    if run.is_alone and manifest is not None:
        _look_once_more(run, etcd)
    # Where a run that was cut off has removed the manifest, its note holds it.
    manifest = manifest or manifest_in_note(run.tree)
    run.remove(path)
    run.refuse_changed()

    def refuse() -> None:
        run.refuse_changed()
        if not run.is_alone:
            return
        try:
            joined = _joined_since(run, etcd)
        except QuorateError:
            # It has ended: nothing is left to be saved by not stopping it.
            return
        if joined:
            run.tree.create(path, manifest, mode=MANIFEST_MODE)
            _keep_if_joined(run, etcd, joined, f"its data was not touched, and {path} was put back")

    try:
        with Runtime.connect(run.cri_socket, run.clock.cancel) as runtime:
            runtime.see_static_pod_gone(
                "etcd",
                run.clock,
                kubelet_runs=run.kubelet.may_run(),
                advice="'crictl pods' shows the pod; stop the kubelet, then run the same command again",
                refuse=refuse,
            )
    except (CriError, DeadlineExceeded) as error:
        raise HostError(
            f"could not confirm that the etcd pod has stopped: {error.what}",
            state=f"the member {standing(run)}; its manifest was deleted, its data was not",
            advice=error.own_advice or "start the container runtime and run the same command again",
        ) from error


def standing(run: ResetRun) -> str:
    """Returns what the cluster says of the member by now."""
    if run.abandon:
        return "is abandoned, and may still be listed"
    return "is the only one of its cluster, and still listed" if run.is_alone else "has left its cluster"


def _look_once_more(run: ResetRun, etcd: LocalEtcd) -> None:
    """Raises `Refused` where other members have joined, and where that cannot be read; nothing is deleted then."""
    try:
        joined = _joined_since(run, etcd)
    except QuorateError as error:
        forget_left(run.tree, etcd)
        raise Refused(
            f"it cannot be read once more whether this node's etcd is still the only member: {error.what}",
            state="its manifest and its data were not touched",
            advice=error.own_advice or "run the same command again",
        ) from error
    _keep_if_joined(run, etcd, joined, "its manifest and its data were not touched")


def _joined_since(run: ResetRun, etcd: LocalEtcd) -> list[Member]:
    """Returns the other members of the list that this node's own etcd reads now, learners too; none where it is not listed
    itself. Raises what a look raises."""
    with own_cluster(run, etcd) as cluster:
        view = cluster.status()
    own = view.by_id(run.owner.member_id) if run.owner is not None else view.by_peer_urls(etcd.peer_urls)
    return [one for one in view.members if own is not None and one.id != own.id]


def _keep_if_joined(run: ResetRun, etcd: LocalEtcd, joined: Sequence[Member], state: str) -> None:
    """Raises `Refused` where other members have joined: the note that this one has left is deleted."""
    if not joined:
        return
    forget_left(run.tree, etcd)
    shown = ", ".join(f"{one.name or 'a member that was not started'} ({one.id:x})" for one in joined)
    remove = run.this_node.command("etcd", "remove", f"{joined[0].id:x}")
    raise Refused(
        f"this node's etcd was the only member when this run looked, and {shown} joined since: without this one, the cluster "
        "would have no quorum",
        state=f"the member of this node is still listed; {state}",
        advice="run the same command again, which removes this member from that cluster first; or, when the cluster is to end, "
        f"remove what joined: {remove}",
    )
