"""`quorate rejoin`: a control-plane node whose cluster was recovered elsewhere gets its etcd back, as a member of the new one.

The order: find the new cluster and judge, with nothing changed; hold the pods of etcd and of the API server; fence the data of
the old member, which stays; join as a learner and become a voter, by the engine, with the manifest that the old member had; let
the API server start. Killed anywhere, the same command goes on: a held manifest says that it began, the data whose it is.
"""

from __future__ import annotations

import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from quorate.core.ids import format_id, is_loopback
from quorate.errors import QuorateError, Refused
from quorate.etcd.client.endpoint import Endpoint, load_tls
from quorate.etcd.membership.runtime import JoinSpec
from quorate.foreign.text import to_paste
from quorate.foreign.urls import parts_of
from quorate.host.etcd_identity import UNREADABLE, DataIdentity, member_owner
from quorate.host.last_words import of_container
from quorate.member.static_pod import StaticPod
from quorate.phases.base.node_files import real_path, runtime_socket, tls_files
from quorate.phases.node.etcd_manifest import LocalEtcd
from quorate.phases.node.static_pods import BEFORE_REJOIN, MANIFEST_MODE, manifest_path, staged_path
from quorate.phases.recover.holding import HELD, HeldNode, give_back, hold, refuse_without_kubelet, restart_kubelet, said_held
from quorate.phases.recover.run import own_etcd
from quorate.phases.rejoin.cluster import CERTIFICATES, NewCluster, cluster_at, find
from quorate.phases.rejoin.manifest import image_of, with_rows
from quorate.recovery.fence import spot_of
from quorate.recovery.progress import fence_alone, retire, run_at, unfences

_ETCD, _API_SERVER = HELD
_LOG_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Rejoined:
    """`kept`: where the data of the old member is; empty where there was none, or an earlier run has kept it."""

    name: str
    member_id: int
    cluster_id: int
    old_cluster: int
    kept: str

    def as_dict(self) -> dict[str, object]:
        return {
            "name": self.name,
            "memberId": format_id(self.member_id) if self.member_id else None,
            "clusterId": format_id(self.cluster_id),
            "oldClusterId": format_id(self.old_cluster),
            "kept": self.kept or None,
        }


@dataclass(frozen=True, slots=True)
class Judged:
    """What was found, and is going to be done. `owner`: whose data is here; None where there is none."""

    etcd: LocalEtcd
    data_dir: Path
    owner: DataIdentity | None
    new: NewCluster

    @property
    def is_fenced(self) -> bool:
        """Returns whether no data of the old member is in its place."""
        return self.owner is None or self.owner.cluster_id == self.new.view.cluster_id

    def result(self, member_id: int = 0, kept: str = "") -> Rejoined:
        return Rejoined(self.etcd.name, member_id, self.new.view.cluster_id, self.new.old, kept)


def judge_rejoin(node: HeldNode, endpoints: tuple[str, ...]) -> Judged:
    """Judges what `rejoin_node` would do, and changes nothing. Raises as it does."""
    etcd = own_etcd(node.tree)
    refuse_without_kubelet(node)
    data_dir = real_path(node.tree, etcd.data_dir)
    owner = member_owner(data_dir)
    if owner == UNREADABLE:
        raise Refused(
            f"it cannot be read whose data is in {data_dir}: its log is damaged, or elsewhere",
            state="nothing was changed",
            advice="move etcd's manifest away, and when its container is gone: "
            f"{to_paste('mv', str(data_dir), f'{data_dir}.kept')}; then move it back, and run the same command again",
        )
    _refuse_open(data_dir)
    new = find(node, etcd, owner, endpoints)
    is_of_new = owner is not None and owner.cluster_id == new.view.cluster_id
    if is_of_new and not any(node.tree.is_file(staged_path(name)) for name in HELD):
        raise Refused(
            f"this node's etcd is a member of the new cluster {format_id(new.view.cluster_id)} already",
            state="nothing was changed",
            advice="'quorate etcd status' shows how it is",
        )
    if owner is not None and not is_of_new:
        _refuse_serving(node, etcd)
    with_rows(_content(node), [(etcd.name, etcd.peer_urls[0])])
    return Judged(etcd, data_dir, owner, new)


def _refuse_open(data_dir: Path) -> None:
    """Raises `Refused` where a recovery of this node's own data was cut off: the next one would go on with that, which is older
    than what this node gets from the new cluster."""
    if run := run_at(data_dir):
        raise Refused(
            f"the recovery {run} of {data_dir} was cut off here",
            state="nothing was changed",
            advice=f"end it first: {unfences(spot_of(data_dir))}; then run the same command again",
        )


def _refuse_serving(node: HeldNode, etcd: LocalEtcd) -> None:
    """Raises `Refused` where the old cluster has a quorum: its writes are in none of the new one's members."""
    try:
        with cluster_at(node, etcd.client_urls) as cluster:
            serves = cluster.look().linearizable
    except QuorateError:
        return
    if serves:
        held = to_paste("mv", manifest_path(_ETCD), staged_path(_ETCD))
        raise Refused(
            "this node's etcd serves with a quorum, beside the new cluster: in the old one, or, started without its data, in "
            "an empty one of its own; both take writes",
            state="nothing was changed",
            advice="decide which of the two stays, by what it has: 'quorate etcd look DIR'; to end the one here, give its "
            f"manifest a name that the kubelet ignores, and do the same on its other members: {held}; then run the same "
            "command again, which keeps its data",
        )


def _content(node: HeldNode) -> bytes:
    """Returns the manifest of the old member, held or not. Behind a join the other name has the new one."""
    return node.tree.read(staged_path(_ETCD)) or node.tree.read(manifest_path(_ETCD)) or b""


def rejoin_node(node: HeldNode, endpoints: tuple[str, ...]) -> Rejoined:
    """Rejoins, or goes on where a killed run was. Raises `Refused` and `PreflightFailed` with nothing changed, `HostError`
    where a pod cannot be ended, and what `Cluster.join` raises: the learner is undone then."""
    judged = judge_rejoin(node, endpoints)
    kept = ""
    # What a killed run has started in the new cluster is not ended again.
    is_held = judged.is_fenced and (judged.owner is not None or _are_held(node))
    with said_held(node, lambda: not is_begun(node, judged)):
        if not is_held:
            hold(node, HELD)
        if not judged.is_fenced:
            kept = _keep(node, judged)
        if not node.tree.is_file(manifest_path(_ETCD)):
            restart_kubelet(node)
        member_id = _join(node, judged)
    _keep_manifest(node)
    node.say("Starting the API server")
    give_back(node.tree, _API_SERVER)
    # What an earlier recovery has made here is no more.
    retire(judged.data_dir)
    return judged.result(member_id, kept)


def _keep_manifest(node: HeldNode) -> None:
    """Gives the manifest of the old member, with what somebody wrote into it, a name in another folder than the kubelet's."""
    content, mode = node.tree.read(staged_path(_ETCD)), node.tree.mode(staged_path(_ETCD))
    if content is None or mode is None:
        return
    node.tree.write(BEFORE_REJOIN, content, mode=stat.S_IMODE(mode))
    node.tree.remove(staged_path(_ETCD))


def _are_held(node: HeldNode) -> bool:
    """Returns whether a killed run has held both pods. The manifest of the new member may be there by now."""
    return node.tree.is_file(staged_path(_ETCD)) and not node.tree.is_file(manifest_path(_API_SERVER))


def is_begun(node: HeldNode, judged: Judged) -> bool:
    """Returns whether the old member's data is not in its place any more, or the new member's manifest is."""
    return node.tree.is_file(manifest_path(_ETCD)) or member_owner(judged.data_dir) != judged.owner or judged.is_fenced


def _keep(node: HeldNode, judged: Judged) -> str:
    node.say("Keeping the data of the old member under another name")
    run = secrets.token_hex(4)
    fence_alone(judged.data_dir, run)
    spot = spot_of(judged.data_dir)
    return str(spot.folder / spot.kept(run))


def _join(node: HeldNode, judged: Judged) -> int:
    etcd = judged.etcd
    node.say(f"Joining the cluster {format_id(judged.new.view.cluster_id)} as a learner")
    spec = JoinSpec(
        etcd.name,
        etcd.peer_urls[0],
        Endpoint.parse(_reached(etcd)),
        load_tls(tls_files(node.tree, CERTIFICATES, "peer")),
    )
    with cluster_at(node, [judged.new.url]) as cluster:
        return cluster.join(spec, _pod(node, judged)).member_id


def _reached(etcd: LocalEtcd) -> str:
    """Returns where the new member will serve, as others reach it."""
    return next(
        (one for one in etcd.client_urls if parts_of(one).scheme == "https" and not is_loopback(one)), etcd.client_urls[0]
    )


def _pod(node: HeldNode, judged: Judged) -> StaticPod:
    content = _content(node)
    return StaticPod(
        manifest=real_path(node.tree, manifest_path(_ETCD)),
        data_dir=judged.data_dir,
        socket=runtime_socket(node.tree, node.cri_socket),
        image=image_of(content),
        write=lambda rows: node.tree.create(manifest_path(_ETCD), with_rows(content, rows), mode=MANIFEST_MODE),
        log_lines=lambda path: of_container((node.tree.tail(path, _LOG_BYTES) if path else None) or b""),
        clock=node.clock,
        kubelet=node.kubelet,
        peer_url=judged.etcd.peer_urls[0],
    )
