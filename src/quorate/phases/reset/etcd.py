"""Phase remove-etcd-member: the member of this node leaves its cluster, safely; only then its data is deleted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from quorate.core.membership import ClusterView, Member, odd_advice
from quorate.deadline import DeadlineExceeded
from quorate.errors import ConfigError, QuorateError, Refused
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Endpoint, load_tls
from quorate.etcd.cluster import Cluster
from quorate.etcd.membership.join_state import JoinPolicy
from quorate.foreign.urls import parts_of
from quorate.host.cri import CriError, Runtime
from quorate.host.etcd_data import has_log
from quorate.host.etcd_identity import data_identity
from quorate.manifests.etcd import client_url
from quorate.phases.base.node_files import real_path, tls_files
from quorate.phases.node.local_etcd import LocalEtcd, delete_data, has_left, local_etcd, note_left
from quorate.phases.node.static_pods import manifest_path
from quorate.phases.reset import mounts
from quorate.phases.reset.state import ResetRun
from quorate.report import Notice

PHASE = "reset"


def remove_member(run: ResetRun) -> None:
    """Removed from the member list, seen to be absent, its pod gone, its data deleted, in this order.

    Raises `Refused` with nothing deleted when it cannot be removed: a member that is listed and has lost its data costs the
    cluster a vote.
    """
    left = has_left(run.tree)
    etcd = left or local_etcd(run.tree)
    if etcd is None:
        run.say(PHASE, "No etcd is run by a manifest on this node: there is no member to remove")
        return
    if run.dry_run:
        run.say(PHASE, f"Would remove the etcd member {etcd.name} ({etcd.peer_url}), then its data in {etcd.data_dir}")
        return
    if not etcd.data_dir:
        raise Refused(
            "where the data of this node's etcd lies cannot be told from its manifest",
            state="nothing was changed",
            advice=f"give its data directory a hostPath volume in {manifest_path('etcd')}; or remove the member and its "
            "data by hand, then run this with --skip-phases=remove-etcd-member",
        )
    mounts.refuse(run, etcd)
    if left is not None:
        run.say(PHASE, "A reset was cut off here when its etcd member had left: going on")
    else:
        _leave_or_abandon(run, etcd)
    _end_pod(run)
    run.say(PHASE, f"Deleting contents of stateful directories: [{etcd.data_dir}]")
    delete_data(run.tree, etcd)
    run.left = etcd


def _leave_or_abandon(run: ResetRun, etcd: LocalEtcd) -> None:
    try:
        _leave(run, etcd)
    except QuorateError as error:
        if not run.abandon:
            raise Refused(
                f"the etcd member of this node could not be removed: {error.what}",
                state="its data was not touched, and this node was left as it is",
                advice="mend what keeps it and run the same command again; or, if the cluster is lost anyway, "
                "wipe with the member still listed: --abandon-etcd-member",
            ) from error
        run.report(Notice(f"the member is still listed, and is abandoned as asked: {error.what}", "warning"))
    note_left(run.tree, etcd)


def _leave(run: ResetRun, etcd: LocalEtcd) -> None:
    with _cluster(run, etcd) as cluster:
        view = cluster.status()
        member = _member(run, etcd, view)
        if member is None and not view.linearizable:
            # The copy of a member that was cut off may lack this one, whose data would be deleted then.
            raise Refused(
                "whether this node's etcd is still a member cannot be read: there is no quorum",
                state="nothing was changed",
                advice="bring voters back, then run the same command again",
            )
        if member is None:
            run.say(PHASE, "The etcd member of this node is not listed any more")
            return
        if len(view.members) == 1:
            run.say(PHASE, "This is the only etcd member: the cluster ends with it")
            return
        run.say(PHASE, f"Removing etcd member {member.name or etcd.name} ({member.id:x})")
        # Whoever resets this node has named its member; what would break the quorum is refused all the same.
        cluster.remove(f"{member.id:x}", accept_reduced_tolerance=True)
        run.say(PHASE, "Removed, and seen to be absent")
    _advise(run, etcd)


def _member(run: ResetRun, etcd: LocalEtcd, view: ClusterView) -> Member | None:
    """The row of the member whose data lies here, by the ids in that data: its peer URL may have been corrected since the
    manifest was written, and a row that is not found lets the data be deleted. Without readable data, by URL or name."""
    folder = real_path(run.tree, etcd.data_dir)
    owner = data_identity(folder)
    if owner is None:
        if has_log(folder):
            raise Refused(f"whose data lies in {etcd.data_dir} cannot be read", state="nothing was changed")
        return view.by_peer_urls((etcd.peer_url,)) or view.by_name(etcd.name)
    if owner.cluster_id != view.cluster_id:
        raise Refused(
            f"the data in {etcd.data_dir} is of cluster {owner.cluster_id:x}, and {view.cluster_id:x} answers",
            state="nothing was changed",
        )
    return view.by_id(owner.member_id)


def _advise(run: ResetRun, etcd: LocalEtcd) -> None:
    """An even number of members survives no more failures than one less."""
    with _cluster(run, etcd, without_own=True) as cluster:
        try:
            view = cluster.status()
        except QuorateError:
            return
    run.report(Notice(odd_advice(view)))


@contextmanager
def _cluster(run: ResetRun, etcd: LocalEtcd, *, without_own: bool = False) -> Iterator[Cluster]:
    """Reached with the certificates on this node, whether or not an API server runs: through this member and the others that
    its manifest knows."""
    own = [] if without_own else list(etcd.client_urls)
    others = [client_url(parts_of(url).host) for url in etcd.rows.values() if url != etcd.peer_url]
    files = tls_files(run.tree, run.reset.certificates_dir, "healthcheck-client")
    missing = [str(path) for path in (files.ca, files.cert, files.key) if path is None or not path.is_file()]
    if missing:
        raise ConfigError(f"certificates for etcd are missing: {', '.join(missing)}")
    with Access(load_tls(files), None, run.clock.cancel) as access:
        targets = [Endpoint.parse(url) for url in [*own, *others]]
        seeds = _known(access, targets, run) or targets
        yield Cluster(access, seeds, run.clock, run.report, policy=JoinPolicy(60.0))


def _known(access: Access, targets: list[Endpoint], run: ResetRun) -> list[Endpoint]:
    """Every member's client URL, as the cluster tells: the manifest knows only who was there when this node joined."""
    try:
        view = Cluster(access, targets, run.clock, run.report).status()
    except QuorateError:
        return []
    # Of what a member advertises only TLS is used: the health check's certificate is for this cluster's members.
    urls = [url for member in view.members for url in member.client_urls[:1] if parts_of(url).scheme == "https"]
    told = [Endpoint.parse(url) for url in urls if parts_of(url).host]
    return list(dict.fromkeys([*targets, *told]))


def _end_pod(run: ResetRun) -> None:
    run.tree.remove(manifest_path("etcd"))
    try:
        with Runtime.connect(run.cri_socket, run.clock.cancel) as runtime:
            runtime.see_static_pod_gone(
                "etcd",
                run.clock,
                kubelet_runs=run.kubelet.may_run(),
                advice="'crictl pods' shows it; its data was not deleted; stop the kubelet, then run the same command again",
            )
    except (CriError, DeadlineExceeded) as error:
        raise Refused(
            f"that the etcd pod has ended is not seen: {error.what}",
            state="the member is removed, its data was not deleted",
            advice=error.advice or "start the container runtime and run the same command again",
        ) from error
