"""`quorate recover`: this node's etcd is the survivor. Its static pods are held, its cluster is made anew, and they come back.

The order: what is decided without a change; then etcd and the API server are held (their manifests get names that the kubelet
ignores), so that nothing starts on what is half made; then the recovery of the data (`recovery/recover.py`); then etcd comes
back, is cleaned, and the API server after it. Killed anywhere, the same command goes on: the held manifests and the journal of
the recovery say how far it came.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from quorate.core.decide_recovery import RecoveryWish
from quorate.core.decide_restore import DEFAULT_QUOTA
from quorate.core.ids import format_id
from quorate.deadline import DeadlineExceeded
from quorate.errors import HostError, QuorateError, Refused
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Endpoint, load_tls
from quorate.etcd.cluster import Cluster
from quorate.etcd.observation.look import wait_until_seen
from quorate.foreign.text import to_paste
from quorate.host.etcd_identity import DataIdentity, member_owner
from quorate.phases.base.node_files import real_path, tls_files
from quorate.phases.node.etcd_manifest import LocalEtcd, parse
from quorate.phases.node.local_etcd import refuse_other_etcds
from quorate.phases.node.static_pods import manifest_path, staged_path
from quorate.phases.recover.fitness import refuse_unfit
from quorate.phases.recover.holding import HELD, HeldNode, give_back, hold, refuse_without_kubelet, restart_kubelet, said_held
from quorate.phases.recover.programs import borrowed_programs, forget_programs, keep_programs, programs_in
from quorate.recovery.fence import kept_runs, spot_of
from quorate.recovery.judge_recovery import Judged, RecoveryJob
from quorate.recovery.progress import Recovered, folder_of, known_at, recovered_here, retired
from quorate.recovery.recover import plan, recover
from quorate.recovery.settle import settle
from quorate.recovery.survivors import Fenced
from quorate.report import Notice
from quorate.tree import Tree

_CERTIFICATES = "/etc/kubernetes/pki"


@dataclass(frozen=True, slots=True)
class NodeRecovery:
    """What is recovered on which node. `gone`, `beside`, `fenced`, `wish`: as of `RecoveryJob`. `etcd`, `etcdutl`: programs
    that were named; those of the node's own etcd where none was."""

    node: HeldNode
    gone: tuple[str, ...] = ()
    beside: tuple[Path, ...] = ()
    fenced: tuple[Fenced, ...] = ()
    wish: RecoveryWish = field(default_factory=RecoveryWish)
    etcd: str | None = None
    etcdutl: str | None = None

    @property
    def tree(self) -> Tree:
        return self.node.tree


def recover_node(run: NodeRecovery) -> Recovered:
    """Recovers, or goes on where a killed run was. Raises `Refused` and `PreflightFailed` with nothing changed, as `recover`
    does, and `HostError` where a pod cannot be ended."""
    etcd = own_etcd(run.tree)
    data_dir = real_path(run.tree, etcd.data_dir)
    done = recovered_here(data_dir)
    if done is not None and not any(run.tree.is_file(staged_path(name)) for name in HELD):
        raise _done_before(data_dir, done)
    if done is not None:
        _refuse_not_made(data_dir, done)
    if done is None:
        if run.tree.is_file(manifest_path("etcd")):
            judge_node(run)
            keep_programs(data_dir, folder_of(spot_of(data_dir)))
        with said_held(run.node, lambda: is_in_place(data_dir)):
            hold(run.node, HELD)
            run.node.say("Making a new cluster of what this node's etcd has")
            done = recover(_job(run, etcd, data_dir, folder_of(spot_of(data_dir))), run.node.clock, run.node.report)
    with said_held(run.node, lambda: False):
        _bring_back(run, etcd, data_dir)
    forget_programs(folder_of(spot_of(data_dir)))
    return done


def _done_before(data_dir: Path, done: Recovered) -> Refused:
    """Returns why nothing is recovered where that was done: the same command once more is a mistake, or a second loss."""
    spot = spot_of(data_dir)
    away = to_paste("mv", str(folder_of(spot)), str(retired(spot, done.run)))
    return Refused(
        f"this node's etcd was recovered already (run {done.run})",
        state="nothing was changed",
        advice=f"is its cluster, {format_id(done.cluster_id)}, lost again? Then move the notes away, {away}, and run the same "
        "command again",
    )


def _refuse_not_made(data_dir: Path, done: Recovered) -> None:
    """Raises `Refused` where a recovery has ended here, and its data is not what is here: a rejoin was cut off, or somebody
    moved it. An etcd that is started on nothing makes an empty cluster."""
    owner = member_owner(data_dir)
    if owner == DataIdentity(done.member_id, done.cluster_id):
        return
    there = "there is no data" if owner is None else "there is other data"
    raise Refused(
        f"the recovery {done.run} has made the cluster {format_id(done.cluster_id)} here, and {there} in {data_dir}",
        state="nothing was changed; the manifests that are held stay so",
        advice="where this node was joining another cluster: 'quorate rejoin'; else see where its data is: "
        f"'quorate etcd look' on what lies in {data_dir.parent}",
    )


def is_in_place(data_dir: Path) -> bool:
    """Returns whether the member's data has its own name, and is its own: no recovery has put it aside."""
    spot = spot_of(data_dir)
    known = known_at(spot)
    return spot.data.exists() and (known is None or known.run not in kept_runs(spot))


def judge_node(run: NodeRecovery) -> Judged:
    """Judges what `recover_node` would, and changes nothing. Raises as it does."""
    etcd = own_etcd(run.tree)
    # A copy of the manifest beside it, whatever it is called, would be started on an empty directory.
    refuse_other_etcds(run.tree)
    data_dir = real_path(run.tree, etcd.data_dir)
    refuse_without_kubelet(run.node)
    _refuse_served(run, etcd)
    with borrowed_programs(data_dir) as folder:
        judged = plan(replace(_job(run, etcd, data_dir, folder), stops=(data_dir,)))
    refuse_unfit(run.node, judged.looks[0].path)
    return judged


def own_etcd(tree: Tree) -> LocalEtcd:
    """Returns this node's etcd by its manifest, also by one that is held. Raises `Refused` where there is none, or its data is
    not on this host or in two places."""
    for path in (manifest_path("etcd"), staged_path("etcd")):
        content = tree.read(path)
        if content is None:
            continue
        found = parse(content, path)
        if not found.data_dir or found.wal_dir:
            raise Refused(
                f"{path} does not say where all of etcd's data is on the host",
                state="nothing was changed",
                advice="recover the data itself: quorate etcd recover DIR",
            )
        return found
    raise Refused(
        f"this node runs no etcd as a static pod: there is neither {manifest_path('etcd')} nor {staged_path('etcd')}",
        state="nothing was changed",
        advice=f"where its manifest was moved away, put it to {staged_path('etcd')}, which the kubelet ignores; where there "
        "was none, recover a directory: quorate etcd recover DIR",
    )


def _job(run: NodeRecovery, etcd: LocalEtcd, data_dir: Path, programs: Path) -> RecoveryJob:
    program, etcdutl = programs_in(programs, run.etcd, run.etcdutl)
    return RecoveryJob(
        data_dir,
        program,
        etcdutl,
        etcd.name,
        etcd.peer_urls[0],
        etcd.quota or DEFAULT_QUOTA,
        run.beside,
        run.fenced,
        gone=run.gone,
        wish=run.wish,
        by="quorate recover",
    )


def _refuse_served(run: NodeRecovery, etcd: LocalEtcd) -> None:
    """Raises `Refused` where this node's etcd still follows a leader: its cluster is not lost."""
    try:
        with _cluster(run, etcd) as cluster:
            view = cluster.look()
    except QuorateError:
        return
    if view.linearizable:
        raise Refused(
            "the cluster of this node's etcd has a quorum: it is not lost",
            state="nothing was changed",
            advice="replace the nodes that are lost one by one: 'quorate etcd remove NAME', then 'quorate join' on new ones",
        )


@contextmanager
def _cluster(run: NodeRecovery, etcd: LocalEtcd) -> Iterator[Cluster]:
    files = tls_files(run.tree, _CERTIFICATES, "healthcheck-client")
    with Access(load_tls(files), None, run.node.clock.cancel) as access:
        yield Cluster(access, [Endpoint.parse(url) for url in etcd.client_urls], run.node.clock, run.node.report)


def _bring_back(run: NodeRecovery, etcd: LocalEtcd, data_dir: Path) -> None:
    """Starts etcd on what was made, cleans it, and lets the API server start behind it."""
    run.node.say("Starting etcd")
    give_back(run.tree, "etcd")
    restart_kubelet(run.node)
    with _cluster(run, etcd) as cluster:
        try:
            wait_until_seen(
                lambda view: view.linearizable, cluster.look, run.node.clock, "etcd serves", seconds=_SERVES_SECONDS
            )
        except DeadlineExceeded as error:
            raise HostError(
                f"the new cluster was made, and this node's etcd does not serve it within {_SERVES_SECONDS:g} s",
                advice="'crictl ps -a' and the log of its container say why; when it serves, run the same command again",
            ) from error
        cleaned = settle(cluster, data_dir)
    for one in cleaned.disarmed:
        run.node.report(Notice(f"cleared NOSPACE of {one}, which is no member any more"))
    run.node.say("Starting the API server")
    give_back(run.tree, "kube-apiserver")


_SERVES_SECONDS = 120.0
"""The kubelet starts a static pod within some ten seconds of its manifest, and restarts one that ended with a growing delay."""
