"""etcd's own rules for changing members, in memory: what a real cluster would answer, and what it would be like then.

Used to explore the engine's decisions exhaustively (`tests/model`). It is held against real etcd by running the same
schedules on both (`tests/real/test_model.py`). Sources: `server/etcdserver/server.go` (mayAddMember, mayRemoveMember,
mayPromote, isLearnerReady) and `api/membership/cluster.go` of 3.4 to 3.7, with strict-reconfig-check on, its default.

Abstracted: raft indexes to behind or aligned; the five seconds a link must have been up to whether it is up now.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, TypeAlias

from quorate.core.quorum import quorum

Role: TypeAlias = Literal["none", "learner", "voter"]
Verdict: TypeAlias = Literal[
    "ok", "no-answer", "unhealthy", "not-started", "too-many-learners", "not-ready", "not-a-learner", "not-found", "exists"
]


class Node(NamedTuple):
    """One machine. `started`: it has published its name. `aligned`: what the leader's tracker knows of its log, which
    does not change when it dies. `serving`: its client port answers. `cut`: no peer link works."""

    role: Role = "none"
    started: bool = False
    running: bool = False
    aligned: bool = False
    serving: bool = False
    cut: bool = False


class Etcd(NamedTuple):
    """A cluster. `all_connected`: 3.4, and 3.5 before 3.5.30 and 3.6 before 3.6.11, ask for every voter's link when a
    member is added, newer ones for a majority of the voters there will be."""

    nodes: tuple[Node, ...]
    leader: int | None
    max_learners: int = 1
    all_connected: bool = False


def is_up(node: Node) -> bool:
    return node.running and not node.cut


def slots(etcd: Etcd, role: Role) -> list[int]:
    return [slot for slot, node in enumerate(etcd.nodes) if node.role == role]


def has_quorum(etcd: Etcd) -> bool:
    voters = slots(etcd, "voter")
    return sum(is_up(etcd.nodes[slot]) for slot in voters) >= quorum(len(voters))


def can_commit(etcd: Etcd) -> bool:
    return etcd.leader is not None and is_up(etcd.nodes[etcd.leader]) and has_quorum(etcd)


def replace(etcd: Etcd, slot: int, **changes: Any) -> Etcd:
    """The cluster with fields of one node changed."""
    node = etcd.nodes[slot]._replace(**changes)
    return etcd._replace(nodes=(*etcd.nodes[:slot], node, *etcd.nodes[slot + 1 :]))


def add_learner(etcd: Etcd, slot: int) -> tuple[Verdict, Etcd]:
    """MemberAdd with isLearner for the machine `slot`."""
    if not can_commit(etcd):
        return "no-answer", etcd
    voters = slots(etcd, "voter")
    connected = sum(is_up(etcd.nodes[voter]) for voter in voters)
    wanted = len(voters) if etcd.all_connected else quorum(len(voters) + 1)
    if len(voters) > 1 and connected < wanted:
        return "unhealthy", etcd
    if etcd.nodes[slot].role != "none":
        return "exists", etcd
    if len(slots(etcd, "learner")) >= etcd.max_learners:
        return "too-many-learners", etcd
    return "ok", replace(etcd, slot, role="learner", started=False, aligned=False)


def promote(etcd: Etcd, slot: int) -> tuple[Verdict, Etcd]:
    """MemberPromote through the leader. A learner that was aligned when it died is promoted all the same."""
    if not can_commit(etcd):
        return "no-answer", etcd
    node, voters = etcd.nodes[slot], slots(etcd, "voter")
    if node.role == "none":
        return "not-found", etcd
    if node.role == "voter":
        return "not-a-learner", etcd
    if not node.aligned:
        return "not-ready", etcd
    started = sum(etcd.nodes[voter].started for voter in voters)
    if started + 1 < quorum(len(voters) + 1):
        return "not-started", etcd
    return "ok", replace(etcd, slot, role="voter")


def remove(etcd: Etcd, slot: int) -> tuple[Verdict, Etcd]:
    """MemberRemove; a running victim ends by itself."""
    if not can_commit(etcd):
        return "no-answer", etcd
    node, voters = etcd.nodes[slot], slots(etcd, "voter")
    if node.role == "none":
        return "not-found", etcd
    if node.role == "voter":
        refusal = _may_not_remove_voter(etcd, slot, voters)
        if refusal is not None:
            return refusal, etcd
    left = replace(etcd, slot, role="none", started=False, running=False, aligned=False, serving=False)
    return "ok", left._replace(leader=None if etcd.leader == slot else etcd.leader)


def _may_not_remove_voter(etcd: Etcd, slot: int, voters: list[int]) -> Verdict | None:
    others = [voter for voter in voters if voter != slot]
    if sum(etcd.nodes[voter].started for voter in others) < quorum(len(others)) or not others:
        return "not-started"
    if slot != etcd.leader and not is_up(etcd.nodes[slot]):
        return None
    connected = sum(is_up(etcd.nodes[voter]) for voter in voters)
    return "unhealthy" if connected - 1 < 1 + (len(voters) - 1) // 2 else None
