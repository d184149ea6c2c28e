"""Evidence from the members themselves: that a learner is aligned, and that a new voter serves (decision 2)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import wait
from dataclasses import dataclass, replace
from functools import partial

from quorate.core.catch_up import ROUNDS, Proof
from quorate.core.membership import ClusterView, Member, MemberStatus
from quorate.core.quorum import quorum
from quorate.deadline import Clock, Deadline, moment
from quorate.etcd.client import kv, maintenance
from quorate.etcd.client.channel import Channel
from quorate.etcd.client.connections import Access
from quorate.etcd.client.errors import EtcdError
from quorate.etcd.client.metrics import Metrics
from quorate.etcd.keys import proof_key
from quorate.etcd.observation.look import endpoint_of
from quorate.etcd.observation.reads import MemberList, local_list, reads_through_quorum

ROUND_SECONDS = 1.0
"""How long one write may take until it is seen applied on the learner."""

_PAGE_SECONDS = 1.0
_HEARD_EVERY_SECONDS = 0.02
_POLL_SECONDS = 0.005
"""A learner that dies between the proof and the promotion goes unnoticed: this keeps that window as short as a Status."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """The learner to prove, its cluster, and the channels to the leader and to the learner itself. `leader_page`: reads the
    leader's metrics, None where it cannot. `patience`: seconds for one round; more where round trips are slow."""

    member: Member
    cluster_id: int
    leader: Channel
    own: Channel
    leader_page: Callable[[], Metrics | None]
    patience: float = ROUND_SECONDS


def candidate_of(
    access: Access, view: ClusterView, member: Member, own: Channel, patience: float = ROUND_SECONDS
) -> Candidate | None:
    """Returns the learner as a candidate; None while no leader can be asked."""
    where = endpoint_of(access, view.leader) if view.leader else None
    if where is None or view.leader is None:
        return None
    page = partial(access.scrape, where, of=view.leader.id, timeout=_PAGE_SECONDS)
    return Candidate(member, view.cluster_id, access.channel(where), own, page, patience)


@dataclass(frozen=True, slots=True)
class NotProved:
    """Why there is no proof (yet)."""

    why: str


_NOT_APPLIED = NotProved("the learner did not apply what was just written")
_NOT_HEARD = NotProved(
    "it applies what the leader writes, and the leader receives nothing from it: open the way back between their peer ports"
)


def prove(candidate: Candidate, clock: Clock, *, rounds: int = ROUNDS) -> Proof | NotProved:
    """Writes through the leader and sees the write applied on the learner, `rounds` times in a row, and sees that the leader
    hears the learner; returns why not when it is not so (yet).

    Takes a few milliseconds on an aligned learner. Raises an `EtcdError` that is final. Any other error means "not yet": a
    leader that hesitates for a second must not undo a join of many gigabytes.
    """
    try:
        before, proof = candidate.leader_page(), None
        for number in range(1, rounds + 1):
            proof = _one_round(candidate, clock, number)
            if proof is None:
                return _NOT_APPLIED
        return _with_the_way_back(candidate, clock, proof, before) if proof is not None else _NOT_APPLIED
    except EtcdError as error:
        if error.disposition == "final":
            raise
        return _NOT_APPLIED


def _one_round(candidate: Candidate, clock: Clock, number: int) -> Proof | None:
    """Returns the proof of one round, or None. The answer to the write shows a live leader, and the learner's Status is
    requested after that: the proof is as old as that request."""
    deadline = Deadline(clock, candidate.patience, "the learner applies what was just written")
    written = kv.put(candidate.leader, proof_key(candidate.member.id), str(number).encode(), timeout=candidate.patience)
    leader = maintenance.status(candidate.leader, timeout=candidate.patience)
    if leader.raft_term != written.raft_term or leader.leader != leader.member_id:
        return None
    while not deadline.expired:
        asked = moment(clock)
        answer = _answer_of(candidate, deadline)
        if answer is not None and answer.applied_index >= leader.raft_index:
            return Proof(
                candidate.member.id,
                candidate.cluster_id,
                leader.raft_term,
                leader.raft_index,
                answer.applied_index,
                asked.now,
                number,
                wall=asked.wall,
                leader_id=leader.member_id,
            )
        clock.sleep(_POLL_SECONDS)
    return None


def _with_the_way_back(candidate: Candidate, clock: Clock, proof: Proof, before: Metrics | None) -> Proof | NotProved:
    """Returns the proof with what the leader has received from the learner since the page `before`, and as old as the learner's
    last answer after that."""
    heard = _is_heard(candidate, clock, before)
    if heard is False:
        return _NOT_HEARD
    asked = moment(clock)
    answer = _answer_of(candidate, Deadline(clock, candidate.patience, "the learner answers"))
    if answer is None or answer.applied_index < proof.target_index:
        return _NOT_APPLIED
    return replace(proof, at=asked.now, wall=asked.wall, heard=heard)


def _is_heard(candidate: Candidate, clock: Clock, before: Metrics | None) -> bool | None:
    """Returns whether the leader's counter of what the learner sends has grown: the answer to the write that was just applied
    counts there, and one to each heartbeat. None where the leader's pages cannot be read."""
    if before is None or not before.leads:
        return None
    deadline = Deadline(clock, candidate.patience, "the leader hears the learner")
    member = candidate.member.id
    while True:
        page = candidate.leader_page()
        if page is None or not page.leads:
            return None
        if (page.received_bytes(member) or 0.0) > (before.received_bytes(member) or 0.0):
            return True
        if deadline.expired:
            return False
        clock.sleep(_HEARD_EVERY_SECONDS)


def _answer_of(candidate: Candidate, deadline: Deadline) -> MemberStatus | None:
    """Returns the learner's Status, if it still is that learner of that cluster."""
    try:
        answer = maintenance.status(candidate.own, timeout=max(deadline.remaining, 0.01))
    except EtcdError:
        return None
    same = (answer.member_id, answer.cluster_id) == (candidate.member.id, candidate.cluster_id)
    return answer if same and answer.is_learner else None


def serves_as_voter(access: Access, view: ClusterView, member: Member, own: Channel, *, timeout: float) -> bool:
    """Returns whether `member` reports that it is no learner, answers a linearizable read, and a majority of the voters that
    can be asked list it as a voter in their own copies of the member list.

    The list of `view` was read through the quorum and shows the vote. The own copies show that the other voters count it too:
    a 3.5 member that never wrote the promotion down would not (etcd issue 19557). Voters that advertise unusable URLs are not
    counted: they could never be asked, and the join could never end.
    """
    try:
        answer = maintenance.status(own, timeout=timeout)
        if answer.is_learner or answer.member_id != member.id:
            return False
        reads_through_quorum(own, timeout=timeout)
    except EtcdError:
        return False
    lists = _own_lists(access, view, member, own, timeout)
    return sum(_lists_as_voter(one, member) for one in lists) >= quorum(len(lists)) > 0


def _own_lists(access: Access, view: ClusterView, member: Member, own: Channel, timeout: float) -> list[MemberList]:
    voters = [voter for voter in view.voters if voter.id != member.id and view.answer(voter.id)]
    others = [where for voter in voters if (where := endpoint_of(access, voter))]
    asked = access.ask_all(partial(local_list, timeout=timeout), [*others, own.endpoint])
    wait(asked, timeout=timeout)
    return [one.result() for one in asked if one.done() and not one.exception() and one.result().cluster_id == view.cluster_id]


def _lists_as_voter(listed: MemberList, member: Member) -> bool:
    return any(row.id == member.id and not row.is_learner for row in listed.members)
