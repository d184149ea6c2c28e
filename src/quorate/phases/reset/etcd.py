"""Phase remove-etcd-member: removes this node's member from its cluster, safely; only then is its data deleted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from quorate.core.membership import ClusterView, Member, odd_advice
from quorate.deadline import DeadlineExceeded
from quorate.errors import ConfigError, HostError, QuorateError, Refused
from quorate.etcd.client import maintenance
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Endpoint, load_tls
from quorate.etcd.client.errors import EtcdError
from quorate.etcd.cluster import Cluster
from quorate.etcd.membership.join_state import JoinPolicy
from quorate.foreign.urls import parts_of
from quorate.host.addresses import is_of_this_host
from quorate.host.cri import CriError, Runtime
from quorate.host.etcd_data import has_log
from quorate.host.etcd_identity import UNREADABLE, member_owner, unknown
from quorate.host.member_data import look_at, of_another
from quorate.phases.base.node_files import real_path, tls_files
from quorate.phases.base.this_node import ThisNode
from quorate.phases.node.etcd_manifest import LocalEtcd
from quorate.phases.node.local_etcd import (
    LEAVING,
    LEFT,
    delete_data,
    forget_left,
    has_left,
    is_sealed,
    is_secured,
    local_etcd,
    note_leaving,
    note_left,
    refuse_other_etcds,
    urls_beside_leaving,
)
from quorate.phases.node.static_pods import manifest_path
from quorate.phases.reset import mounts
from quorate.phases.reset.judge import PHASE, refuse_missed, refuse_others
from quorate.phases.reset.state import ResetRun
from quorate.report import Notice

_STATUS_SECONDS, _MANIFEST_MODE = 2.0, 0o600


def remove_member(run: ResetRun) -> None:
    """Removes the member from the list, waits until it is absent, ends its pod and deletes its data, in this order. A dry run
    makes the same checks, up to the first change.

    Raises `Refused` with nothing deleted when the member cannot be removed: a listed member that has lost its data costs the
    cluster a vote.
    """
    run.look()
    run.is_member_judged = True
    left = has_left(run.tree)
    etcd = left or local_etcd(run.tree)
    data_dir = etcd.data_dir if etcd is not None else ""
    refuse_others(run, data_dir)
    if etcd is None:
        refuse_missed(run)
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
        raise of_another(real_path(run.tree, left.data_dir))
    if left is not None:
        run.say(PHASE, "An earlier reset was cut off after its etcd member had left: resuming")
        # It was, perhaps, the only one, whose etcd still runs.
        run.is_alone = not run.abandon
    else:
        _leave_or_abandon(run, etcd)
    if not run.dry_run:
        end_pod(run, etcd)
        run.users.look()
    run.say(PHASE, f"{'Would delete' if run.dry_run else 'Deleting'} contents of stateful directories: [{etcd.data_dir}]")
    delete_data(run.tree, etcd, run.data, run.users)
    run.left = etcd


def _note_owner(run: ResetRun, etcd: LocalEtcd) -> None:
    """Notes whose data is here, and which folders it is in. Raises `UnknownOwner` where that cannot be read, unless the member
    is abandoned: then only what is in the same folders is deleted."""
    data_dir = real_path(run.tree, etcd.data_dir)
    seen = look_at(data_dir)
    if seen.owner == UNREADABLE and not (run.abandon and member_owner(data_dir) == UNREADABLE):
        raise unknown(data_dir)
    run.data, run.data_dir = seen, etcd.data_dir


def _leave_or_abandon(run: ResetRun, etcd: LocalEtcd) -> None:
    try:
        _leave(run, etcd)
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
        _note_left(run, etcd)


def _note_left(run: ResetRun, etcd: LocalEtcd) -> None:
    try:
        note_left(run.tree, etcd, run.data)
    except HostError as error:
        gone = "may still be listed" if run.abandon else "has left its cluster"
        error.state = f"the etcd member of this node {gone}; its data and its manifest are still here"
        error.advice = error.own_advice or "make room, or fix the cause, then run the same command again"
        raise


def _leave(run: ResetRun, etcd: LocalEtcd) -> None:
    with _cluster(run, etcd) as cluster:
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
            return
        if len(view.members) == 1:
            run.say(PHASE, "This is the only etcd member: the cluster ends with it")
            run.is_alone = not run.abandon
            return
        _refuse_elsewhere(etcd, cluster, member, run.this_node)
        label = f"etcd member {member.name or etcd.name} ({member.id:x})"
        # Resetting this node is the consent to remove its member. A removal that would break the quorum is still refused.
        if run.dry_run:
            cluster.check_remove(f"{member.id:x}", accept_reduced_tolerance=True)
            run.say(PHASE, f"Would remove {label}")
            return
        run.say(PHASE, f"Removing {label}")
        run.refuse_changed()
        _remove(run, cluster, view, member)
        run.say(PHASE, "Removed; the member is seen to be absent")
    _advise(run, etcd)


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
    with _cluster(run, etcd, without_own=True) as cluster:
        try:
            view = cluster.status()
        except QuorateError:
            return
    run.report(Notice(odd_advice(view)))


@contextmanager
def _own(run: ResetRun, etcd: LocalEtcd) -> Iterator[Cluster]:
    """Yields the cluster as this node's own member shows it."""
    with _access(run) as access:
        yield Cluster(access, [Endpoint.parse(url) for url in etcd.client_urls], run.clock, run.report, policy=JoinPolicy(60.0))


@contextmanager
def _cluster(run: ResetRun, etcd: LocalEtcd, *, without_own: bool = False) -> Iterator[Cluster]:
    """Yields the cluster with the certificates on this node, whether or not an API server runs. It is reached through this
    member and the others in its manifest. Raises `ConfigError` when a certificate is missing."""
    own = [] if without_own else list(etcd.client_urls)
    others = [*etcd.others, *urls_beside_leaving(run.tree, run.owner)]
    with _access(run) as access:
        targets = [Endpoint.parse(url) for url in [*own, *others]]
        seeds = _known(access, targets, run) or targets
        yield Cluster(access, seeds, run.clock, run.report, policy=JoinPolicy(60.0))


@contextmanager
def _access(run: ResetRun) -> Iterator[Access]:
    files = tls_files(run.tree, run.reset.certificates_dir, "healthcheck-client")
    missing = [str(path) for path in (files.ca, files.cert, files.key) if path is None or not path.is_file()]
    if missing:
        raise ConfigError(f"certificates for etcd are missing: {', '.join(missing)}")
    with Access(load_tls(files), None, run.clock.cancel) as access:
        yield access


def _known(access: Access, targets: list[Endpoint], run: ResetRun) -> list[Endpoint]:
    """Returns every member's client URL, as the cluster reports it: the manifest knows only the members of the time when this
    node joined."""
    try:
        view = Cluster(access, targets, run.clock, run.report).status()
    except QuorateError:
        return []
    told = [Endpoint.parse(url) for member in view.members for url in member.client_urls[:1] if is_secured(url)]
    return list(dict.fromkeys([*targets, *told]))


def end_pod(run: ResetRun, etcd: LocalEtcd) -> None:
    """Removes the manifest and waits until the pod is gone. Raises `Refused`, with the manifest in its place, where the only
    member is not the only one any more: a member that joined while this run was suspended lost its quorum for ever."""
    path = manifest_path("etcd")
    manifest = run.tree.read(path)
    if run.is_alone and manifest is not None:
        _look_once_more(run, etcd)
    # Where a run that was cut off has removed the manifest, its note holds it.
    manifest = manifest or run.tree.read(LEFT) or b""
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
            run.tree.create(path, manifest, mode=_MANIFEST_MODE)
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
        gone = "is abandoned, and may still be listed" if run.abandon else "has left its cluster"
        raise HostError(
            f"could not confirm that the etcd pod has stopped: {error.what}",
            state=f"the member {gone}; its manifest was deleted, its data was not",
            advice=error.own_advice or "start the container runtime and run the same command again",
        ) from error


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
    with _own(run, etcd) as cluster:
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
