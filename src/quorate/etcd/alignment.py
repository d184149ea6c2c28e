"""Evidence from the members themselves: that a learner is aligned, and that a new voter serves."""

from __future__ import annotations

from concurrent.futures import as_completed
from dataclasses import dataclass
from functools import partial

from quorate.core.membership import Answer, ClusterView, Member, quorum
from quorate.core.readiness import ROUNDS, Proof
from quorate.deadline import Clock, Deadline
from quorate.etcd import kv, maintenance
from quorate.etcd.access import Access
from quorate.etcd.channel import Channel
from quorate.etcd.errors import EtcdError
from quorate.etcd.observe import MemberList, endpoint_of, member_list

RECORDS = b"/quorate/align/"
"""Where the writes of proofs go: keys of our own that nobody else has a reason to watch."""

ROUND_SECONDS = 1.0
"""How long one write may take to be seen applied on the learner."""

_POLL_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Candidate:
    """The learner to prove, its cluster, and the channels to the leader and to the learner itself."""

    member: Member
    cluster_id: int
    leader: Channel
    own: Channel


def record_key(member_id: int) -> bytes:
    """The key that a proof about this member writes."""
    return RECORDS + f"{member_id:x}".encode()


def prove(candidate: Candidate, clock: Clock) -> Proof | None:
    """Write through the leader and see it applied on the learner, `ROUNDS` times in a row; None when it is not (yet).

    Costs a few milliseconds on an aligned learner. Raises `EtcdError` when the leader does not take the write.
    """
    proof = None
    for round_number in range(1, ROUNDS + 1):
        proof = _one_round(candidate, clock, round_number)
        if proof is None:
            return None
    return proof


def _one_round(candidate: Candidate, clock: Clock, round_number: int) -> Proof | None:
    deadline = Deadline(clock, ROUND_SECONDS, "the learner applies what was just written")
    written = kv.put(candidate.leader, record_key(candidate.member.id), str(round_number).encode(), timeout=ROUND_SECONDS)
    leader = maintenance.status(candidate.leader, timeout=ROUND_SECONDS)
    if leader.raft_term != written.raft_term:
        return None
    while not deadline.expired:
        answer = _answer_of(candidate, deadline)
        if answer is not None and answer.applied_index >= leader.raft_index:
            return Proof(
                candidate.member.id,
                candidate.cluster_id,
                leader.raft_term,
                leader.raft_index,
                answer.applied_index,
                clock.now(),
                round_number,
            )
        clock.sleep(_POLL_SECONDS)
    return None


def _answer_of(candidate: Candidate, deadline: Deadline) -> Answer | None:
    """The learner's own status, if it is still that learner of that cluster."""
    try:
        answer = maintenance.status(candidate.own, timeout=max(deadline.remaining, 0.01))
    except EtcdError:
        return None
    same = (answer.member_id, answer.cluster_id) == (candidate.member.id, candidate.cluster_id)
    return answer if same and answer.is_learner else None


def serves_as_voter(access: Access, view: ClusterView, member: Member, own: Channel, *, timeout: float) -> bool:
    """Whether `member` says itself that it is no learner, answers a linearizable read, and a majority of the voters list
    it as a voter in their own copies of the member list."""
    try:
        if maintenance.status(own, timeout=timeout).is_learner:
            return False
        kv.get(own, record_key(member.id), timeout=timeout)
    except EtcdError:
        return False
    return _voters_that_list(access, view, member, own, timeout) >= quorum(len(view.voters))


def _voters_that_list(access: Access, view: ClusterView, member: Member, own: Channel, timeout: float) -> int:
    others = [where for voter in view.voters if voter.id != member.id and (where := endpoint_of(voter))]
    ask = partial(member_list, timeout=timeout, linearizable=False)
    asked = access.ask_all(ask, [*others, own.endpoint])
    return sum(_lists_as_voter(future.result(), member) for future in as_completed(asked) if not future.exception())


def _lists_as_voter(listed: MemberList, member: Member) -> bool:
    return any(row.id == member.id and not row.is_learner for row in listed.members)
