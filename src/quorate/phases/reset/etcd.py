"""Phase remove-etcd-member: removes this node's member from its cluster, safely; only then is its data deleted."""

from __future__ import annotations

from contextlib import suppress

from quorate.core.membership import ClusterView, Member, odd_advice
from quorate.errors import HostError, QuorateError, Refused
from quorate.etcd.client import maintenance
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.client.errors import EtcdError
from quorate.etcd.cluster import Cluster
from quorate.foreign.urls import parts_of
from quorate.host.addresses import is_of_this_host
from quorate.host.etcd_data import has_log
from quorate.host.etcd_identity import UNREADABLE, member_owner, unknown
from quorate.host.member_data import look_at, of_another
from quorate.phases.base.node_files import real_path
from quorate.phases.base.this_node import ThisNode
from quorate.phases.node.etcd_manifest import LocalEtcd
from quorate.phases.node.left_note import (
    LEAVING,
    Left,
    Why,
    has_left,
    is_sealed,
    is_secured,
    must_ask,
    note_ended,
    note_leaving,
    note_left,
)
from quorate.phases.node.local_etcd import delete_data, local_etcd, refuse_other_etcds
from quorate.phases.node.static_pods import manifest_path
from quorate.phases.reset import mounts
from quorate.phases.reset.asking import whole_cluster
from quorate.phases.reset.ending import end_pod, standing
from quorate.phases.reset.judge import PHASE, refuse_missed, refuse_others
from quorate.phases.reset.own_log import refuse_not_alone
from quorate.phases.reset.state import ResetRun
from quorate.report import Notice

_STATUS_SECONDS = 2.0
_WHILE: dict[Why, str] = {
    "left": "after its etcd member had left",
    "alone": "while it ended the only etcd member",
    "abandoned": "after it had abandoned its etcd member",
}


def remove_member(run: ResetRun) -> None:
    """Removes the member from the list, waits until it is absent, ends its pod and deletes its data, in this order. A dry run
    makes the same checks, up to the first change.

    Raises `Refused` with nothing deleted when the member cannot be removed: a listed member that has lost its data costs the
    cluster a vote.
    """
    run.look()
    run.is_member_judged = True
    left = has_left(run.tree)
    etcd = left.etcd if left is not None else local_etcd(run.tree)
    data_dir = etcd.data_dir if etcd is not None else ""
    refuse_others(run, data_dir)
    if etcd is None or left is not None:
        # A note is of one member. What else may be here is judged as without it.
        refuse_missed(run, left)
    if etcd is None:
        run.say(PHASE, "There is no etcd manifest on this node: no member is removed")
        return
    refuse_other_etcds(run.tree)
    if not etcd.data_dir:
        raise Refused(
            "the manifest of this node's etcd does not show where its data is on the host",
            state="nothing was changed",
            advice=f"give its data directory a hostPath volume in {manifest_path('etcd')}; or remove the member and its "
            "data by hand, then run this with --skip-phases=remove-etcd-member",
        )
    mounts.refuse(run, etcd)
    _note_owner(run, etcd)
    # What was read is of the etcd that was here at the look: a run that was suspended removed the member that had joined since.
    run.refuse_changed()
    if left is not None and not is_sealed(run.tree, left, run.data):
        raise of_another(real_path(run.tree, left.etcd.data_dir))
    if left is not None and not must_ask(left):
        _resume(run, left)
    else:
        _leave_or_abandon(run, etcd)
    if not run.dry_run:
        end_pod(run, etcd)
        if run.is_alone:
            refuse_not_alone(run, etcd)
        note_ended(run.tree)
        run.users.look()
    run.say(PHASE, f"{'Would delete' if run.dry_run else 'Deleting'} contents of stateful directories: [{etcd.data_dir}]")
    delete_data(run.tree, etcd, run.data, run.users)
    run.left = etcd


def _resume(run: ResetRun, left: Left) -> None:
    if left.why == "abandoned" and not run.abandon:
        raise Refused(
            "an earlier reset was cut off after it had abandoned its etcd member, which the cluster may still list",
            state=f"what is left of its data is in {left.etcd.data_dir}",
            advice="say again that it does not matter: --abandon-etcd-member",
        )
    run.say(PHASE, f"An earlier reset was cut off {_WHILE[left.why]}: resuming")
    # Its etcd may still run, or have run since: the only member is the only one until others join.
    run.is_alone, run.committed = left.why == "alone" and not run.abandon, left.committed
    if run.is_alone and run.dry_run:
        refuse_not_alone(run, left.etcd)


def _note_owner(run: ResetRun, etcd: LocalEtcd) -> None:
    """Notes whose data is here, and which folders it is in. Raises `UnknownOwner` where that cannot be read, unless the member
    is abandoned: then only what is in the same folders is deleted."""
    data_dir = real_path(run.tree, etcd.data_dir)
    seen = look_at(data_dir)
    if seen.owner == UNREADABLE and not (run.abandon and member_owner(data_dir) == UNREADABLE):
        raise unknown(data_dir)
    run.data, run.data_dir = seen, etcd.data_dir


def _leave_or_abandon(run: ResetRun, etcd: LocalEtcd) -> None:
    why: Why = "abandoned"
    try:
        why = _leave(run, etcd)
    except QuorateError as error:
        if not run.abandon:
            raise Refused(
                f"the etcd member of this node could not be removed: {error.what}",
                state="its data was not touched, and this node was left as it is",
                advice=f"{error.own_advice or 'fix the cause and run the same command again'}; or, if the cluster is lost "
                "anyway, delete the data with the member still listed: --abandon-etcd-member",
            ) from error
        run.report(Notice(f"the member may still be listed; it is abandoned (--abandon-etcd-member): {error.what}", "warning"))
    if not run.dry_run:
        _note_left(run, etcd, why)


def _note_left(run: ResetRun, etcd: LocalEtcd, why: Why) -> None:
    try:
        note_left(run.tree, etcd, run.data, why, run.reset.certificates_dir, committed=run.committed)
    except HostError as error:
        error.state = f"the etcd member of this node {standing(run)}; its data and its manifest are still here"
        error.advice = error.own_advice or "make room, or fix the cause, then run the same command again"
        raise


def _leave(run: ResetRun, etcd: LocalEtcd) -> Why:
    """Removes the member; returns why it does not count any more."""
    with whole_cluster(run, etcd) as cluster:
        view = cluster.status()
        member = _member(run, etcd, view)
        if member is None and not view.linearizable:
            # The list of a member that was cut off may lack this one, whose data would be deleted then.
            raise Refused(
                "it is unknown whether this node's etcd is still a member: there is no quorum to read the list through",
                state="nothing was changed",
                advice="start voters until there is a quorum, then run the same command again",
            )
        if member is None:
            run.say(PHASE, "The etcd member of this node is not listed any more")
            return "left"
        if len(view.members) == 1:
            run.say(PHASE, "This is the only etcd member: the cluster ends with it")
            run.is_alone = not run.abandon
            own = view.answer(member.id)
            run.committed = own.raft_index if own is not None else 0
            return "alone" if run.is_alone else "abandoned"
        _refuse_elsewhere(etcd, cluster, member, run.this_node)
        label = f"etcd member {member.name or etcd.name} ({member.id:x})"
        # Resetting this node is the consent to remove its member. A removal that would break the quorum is still refused.
        if run.dry_run:
            cluster.check_remove(f"{member.id:x}", accept_reduced_tolerance=True)
            run.say(PHASE, f"Would remove {label}")
            return "left"
        run.say(PHASE, f"Removing {label}")
        run.refuse_changed()
        _remove(run, cluster, view, member)
        run.say(PHASE, "Removed; the member is seen to be absent")
    _advise(run, etcd)
    return "left"


def _remove(run: ResetRun, cluster: Cluster, view: ClusterView, member: Member) -> None:
    """Removes the member, and notes before that it is about to leave, and whom a run that resumes can ask about it."""
    if run.owner is not None:
        others = [url for one in view.members if one.id != member.id for url in one.client_urls]
        note_leaving(run.tree, run.owner, filter(is_secured, others))
    try:
        cluster.remove(f"{member.id:x}", accept_reduced_tolerance=True)
    except Refused:
        run.tree.remove(LEAVING)
        raise


def _member(run: ResetRun, etcd: LocalEtcd, view: ClusterView) -> Member | None:
    """Returns the row of the member whose data is here, by the ids in that data: its peer URL may have been corrected since
    the manifest was written, and a row that is not found lets the data be deleted. Without data, by URL. A name alone chooses
    no member: a manifest that was copied to all nodes names one of another host."""
    owner = run.owner
    if owner is None:
        if has_log(real_path(run.tree, etcd.data_dir)):
            raise Refused(
                f"cannot read which member the data in {etcd.data_dir} belongs to",
                state="nothing was changed",
                advice="on another node, remove the member of this node by its id, which quorate etcd members shows; then move "
                "the data away, and run the same command again",
            )
        member, named = view.by_peer_urls(etcd.peer_urls), view.by_name(etcd.name)
        if member is None and named is not None:
            remove = run.this_node.command("etcd", "remove", f"{named.id:x}")
            raise Refused(
                f"no member has the peer URL {etcd.peer_urls[0]}; one named {etcd.name} has {', '.join(named.peer_urls)}",
                state="nothing was changed: it may be the member of another host",
                advice=f"when it is this node's, remove it with '{remove}', then run this again",
            )
        return member
    if owner.cluster_id != view.cluster_id:
        raise Refused(
            f"the data in {etcd.data_dir} belongs to cluster {owner.cluster_id:x}, but cluster {view.cluster_id:x} answers",
            state="nothing was changed",
            advice=f"move away what is not of this node, {etcd.data_dir} or {manifest_path('etcd')}; then run the same command "
            "again",
        )
    return view.by_id(owner.member_id)


def _refuse_elsewhere(etcd: LocalEtcd, cluster: Cluster, member: Member, node: ThisNode) -> None:
    """Raises `Refused` for a member that another host runs: the files of this one are a copy of its files, as a clone of its
    disk, and removing the member would end the original."""
    hosts = [parts_of(one).host for one in member.peer_urls]
    if any(is_of_this_host(host) for host in hosts) or _answers_here(etcd, cluster, member):
        return
    remove = node.command("etcd", "remove", f"{member.id:x}")
    raise Refused(
        f"etcd member {member.name} ({member.id:x}) is at {', '.join(hosts)}, which is not an address of this host: the files "
        "here may be a copy of another host's",
        state="nothing was changed",
        advice=f"when it is this node's, remove it with '{remove}', then run this again; when the "
        f"files are a copy, move {manifest_path('etcd')} and {etcd.data_dir} away",
    )


def _answers_here(etcd: LocalEtcd, cluster: Cluster, member: Member) -> bool:
    """Returns whether the member answers at an address of this host: behind a translated address its URL is not one."""
    here = [Endpoint.parse(one) for one in etcd.listens if is_of_this_host(parts_of(one).host)]
    for endpoint in here:
        with suppress(EtcdError):
            if maintenance.status(cluster.access.channel(endpoint), timeout=_STATUS_SECONDS).member_id == member.id:
                return True
    return False


def _advise(run: ResetRun, etcd: LocalEtcd) -> None:
    """Reports how many members may fail: an even number survives no more failures than one less."""
    with whole_cluster(run, etcd, without_own=True) as cluster:
        try:
            view = cluster.status()
        except QuorateError:
            return
    run.report(Notice(odd_advice(view)))
