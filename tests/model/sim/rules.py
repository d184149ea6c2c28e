"""etcd's verdicts on membership changes (`mayAddMember`, `mayPromote`, `mayRemoveMember` of 3.4 to 3.7, strict checks on).

Beside `model.etcd_rules`, which is pure and has no time: here ids, several URLs, and what the leader's tracker knows.
"""

from __future__ import annotations

from model.sim import state as of
from model.sim.clock import EPOCH, START
from model.sim.etcd import SimCluster
from model.sim.machine import Machine
from model.sim.state import Row
from quorate.core.quorum import quorum
from quorate.core.versions import Version


class Refusal(Exception):  # noqa: N818
    """What etcd answers instead: gRPC's status name and the text."""

    def __init__(self, status: str, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


UNHEALTHY = Refusal("UNAVAILABLE", "etcdserver: unhealthy cluster")
NOT_STARTED = Refusal("FAILED_PRECONDITION", "etcdserver: re-configuration failed due to not enough started members")
NOT_FOUND = Refusal("NOT_FOUND", "etcdserver: member not found")
URL_EXISTS = Refusal("FAILED_PRECONDITION", "etcdserver: Peer URLs already exists")
ID_EXISTS = Refusal("FAILED_PRECONDITION", "etcdserver: member ID already exist")
TOO_MANY = Refusal("FAILED_PRECONDITION", "etcdserver: too many learner members in cluster")
NOT_READY = Refusal("FAILED_PRECONDITION", "etcdserver: can only promote a learner member which is in sync with leader")
NOT_A_LEARNER = Refusal("FAILED_PRECONDITION", "etcdserver: can only promote a learner member")
READY_SHARE = 0.9
SILENCE_SECONDS = 4.0


def asks_every_voter(version: Version) -> bool:
    """Before 3.5.30 and 3.6.11 an add wants every voter connected, since then a majority of those there will be."""
    return version < Version(3, 5, 30) or Version(3, 6, 0) <= version < Version(3, 6, 11)


def seems_connected(cluster: SimCluster, one: Machine | None) -> bool:
    """As the leader's streams tell: 3.4 notices silence after some seconds, newer ones only a connection that was reset."""
    leader = cluster.leader
    if one is None or leader is None or one.condition in ("dead", "absent"):
        return False
    silent = cluster.clock.world - one.heard_at > SILENCE_SECONDS and not cluster.linked(leader, one)
    return one is leader or not cluster.is_34 or not silent


def connected_voters(cluster: SimCluster) -> int:
    return sum(seems_connected(cluster, cluster.machine_of(row.id)) for row in cluster.state.voters)


def add(cluster: SimCluster, urls: tuple[str, ...], *, learner: bool) -> int:
    """MemberAdd; returns the new id."""
    state = cluster.state
    voters = len(state.voters)
    if not learner and sum(bool(row.name) for row in state.voters) < quorum(voters + 1) and voters > 1:
        raise NOT_STARTED
    wanted = voters if asks_every_voter(cluster.version) else quorum(voters + 1)
    if voters > 1 and connected_voters(cluster) < wanted:
        raise UNHEALTHY
    new = of.member_id(urls, int(cluster.clock.world - START + EPOCH))
    if new in state.removed:
        raise NOT_FOUND
    if new in state.rows:
        raise ID_EXISTS
    if any(set(urls) & set(row.peer_urls) for row in state.rows.values()):
        raise URL_EXISTS
    if learner and len(state.learners) >= cluster.max_learners:
        raise TOO_MANY
    cluster.commit(of.with_row(state, Row(new, urls, learner)), f"add {'learner' if learner else 'voter'} {new:x}")
    return new


def promote(cluster: SimCluster, member_id: int) -> None:
    """MemberPromote: nothing in it asks whether the learner lives."""
    state = cluster.state
    row = state.rows.get(member_id)
    if row is None:
        raise NOT_FOUND
    if not row.is_learner:
        raise NOT_A_LEARNER
    if cluster.match.get(member_id, 0) < READY_SHARE * cluster.last:
        raise NOT_READY
    if sum(bool(voter.name) for voter in state.voters) + 1 < quorum(len(state.voters) + 1):
        raise NOT_STARTED
    cluster.commit(of.with_row(state, row._replace(is_learner=False)), f"promote {member_id:x}")


def remove(cluster: SimCluster, member_id: int) -> None:
    """MemberRemove."""
    row = cluster.state.rows.get(member_id)
    if row is None:
        raise NOT_FOUND
    if not row.is_learner:
        _may_remove_voter(cluster, row)
    cluster.commit(of.without_row(cluster.state, member_id), f"remove {member_id:x}")


def _may_remove_voter(cluster: SimCluster, row: Row) -> None:
    others = [voter for voter in cluster.state.voters if voter.id != row.id]
    if not others or sum(bool(voter.name) for voter in others) < quorum(len(others)):
        raise NOT_STARTED
    if not seems_connected(cluster, cluster.machine_of(row.id)):
        return
    if connected_voters(cluster) - 1 < quorum(len(others)):
        raise UNHEALTHY


def update(cluster: SimCluster, member_id: int, urls: tuple[str, ...]) -> None:
    """MemberUpdate: other peer URLs for the same id."""
    state = cluster.state
    row = state.rows.get(member_id)
    if row is None:
        raise NOT_FOUND
    if any(set(urls) & set(other.peer_urls) for other in state.rows.values() if other.id != member_id):
        raise URL_EXISTS
    cluster.commit(of.with_row(state, row._replace(peer_urls=urls)), f"update {member_id:x} to {','.join(urls)}")
