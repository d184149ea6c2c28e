"""Reading a cluster: a linearizable member list, and what every member says of itself, asked side by side."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from concurrent.futures import Future, as_completed
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from quorate.core.membership import Answer, ClusterView, Member, Reply, Silence
from quorate.core.versions import Version
from quorate.deadline import Clock, Deadline
from quorate.errors import ConfigError
from quorate.etcd import maintenance, rpc
from quorate.etcd import wire_pb2 as wire
from quorate.etcd.access import Access
from quorate.etcd.channel import Channel
from quorate.etcd.endpoint import Endpoint
from quorate.etcd.errors import EtcdError, NoAnswer, Unavailable, Unreachable

T = TypeVar("T")
_AGAIN_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class MemberList:
    """A member list, who gave it, and whether it was read through the quorum."""

    cluster_id: int
    member_id: int
    raft_term: int
    members: tuple[Member, ...]
    linearizable: bool


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds to wait for one member: for its member list, for its status, and for the status of a learner, whose client
    port accepts connections long before anybody answers there."""

    members: float = 5.0
    status: float = 2.0
    learner: float | None = None

    def for_member(self, member: Member) -> float:
        return self.learner if member.is_learner and self.learner is not None else self.status


NO_ENDPOINTS: Mapping[str, Endpoint] = {}


def member_list(channel: Channel, *, timeout: float, linearizable: bool = True) -> MemberList:
    """The list as this member gives it; raises `RpcOnLearner` on a learner. A 3.4 server always answers locally."""
    answer = _ask_members(channel, timeout=timeout, linearizable=linearizable)
    return MemberList(
        answer.header.cluster_id,
        answer.header.member_id,
        answer.header.raft_term,
        tuple(map(to_member, answer.members)),
        linearizable,
    )


def _ask_members(channel: Channel, *, timeout: float, linearizable: bool) -> wire.MembersResponse:
    return channel.call(rpc.MEMBER_LIST, wire.MemberListRequest(linearizable=linearizable), timeout)


def first_member_answer(
    access: Access, seeds: Sequence[Endpoint], clock: Clock, *, timeout: float, linearizable: bool
) -> wire.MembersResponse:
    """The member list on the wire, of the first seed that gives one; for output that mirrors etcd's own."""
    return _patiently(access, seeds, partial(_ask_members, timeout=timeout, linearizable=linearizable), clock, timeout)


def to_member(row: wire.Member) -> Member:
    return Member(row.ID, row.name, tuple(row.peerURLs), tuple(row.clientURLs), row.isLearner)


def observe(
    access: Access,
    seeds: Sequence[Endpoint],
    clock: Clock,
    *,
    patience: Patience = Patience(),
    unpublished: Mapping[str, Endpoint] = NO_ENDPOINTS,
    unasked_urls: Container[str] = (),
) -> ClusterView:
    """One look at the cluster behind `seeds`.

    `unpublished` maps peer URLs to client endpoints of members that have not told the cluster theirs yet. Members are
    asked at the same time, so a silent one costs `patience.status` once, whatever their number. `unasked_urls` are peer
    URLs of members about
    to be removed: a Status in flight while a member applies its own removal makes it panic (etcd issue 21966). Raises the
    most telling error when no seed gives even its local list.
    """
    taken_at = clock.now()
    listed = _first_list(access, seeds, clock, patience)
    asked = [member for member in listed.members if not any(url in unasked_urls for url in member.peer_urls)]
    replies = _ask_statuses(access, asked, patience, unpublished)
    absent = {member.id: Silence("it has told the cluster no client URL yet") for member in listed.members}
    return ClusterView(
        cluster_id=listed.cluster_id,
        members=listed.members,
        replies={**absent, **replies},
        taken_at=taken_at,
        linearizable=listed.linearizable and not _reads_locally(replies),
    )


def _first_list(access: Access, seeds: Sequence[Endpoint], clock: Clock, patience: Patience) -> MemberList:
    """The first list read through the quorum; failing that, the first local one."""
    try:
        return _patiently(access, seeds, partial(member_list, timeout=patience.members), clock, patience.members)
    except EtcdError as no_quorum:
        if isinstance(no_quorum, Unreachable):
            raise
        return _first_answer(access, seeds, partial(member_list, timeout=patience.status, linearizable=False))


def _patiently(access: Access, seeds: Sequence[Endpoint], ask: Callable[[Channel], T], clock: Clock, seconds: float) -> T:
    """As `_first_answer`, asking again for `seconds` while the cluster is there but changes its leader: this only reads."""
    deadline = Deadline(clock, seconds, "a member answers")
    while True:
        try:
            return _first_answer(access, seeds, ask)
        except EtcdError as error:
            if not isinstance(error, NoAnswer | Unavailable) or deadline.expired:
                raise
            clock.sleep(_AGAIN_SECONDS)


def _first_answer(access: Access, seeds: Sequence[Endpoint], ask: Callable[[Channel], T]) -> T:
    asked: list[Future[T]] = access.ask_all(ask, seeds)
    failure: EtcdError | None = None
    for future in as_completed(asked):
        try:
            return future.result()
        except EtcdError as error:
            failure = _more_telling(failure, error)
    raise failure or Unreachable("no endpoint to ask")


def _more_telling(one: EtcdError | None, other: EtcdError) -> EtcdError:
    """An answer tells more than silence: with it the cluster is known to be there."""
    return other if one is None or isinstance(one, Unreachable) else one


def endpoint_of(member: Member, unpublished: Mapping[str, Endpoint] = NO_ENDPOINTS) -> Endpoint | None:
    """Where to ask this member as a client."""
    for url in member.client_urls:
        try:
            return Endpoint.parse(url)
        except ConfigError:
            # What a member advertises is whatever somebody typed there; an unusable URL is no endpoint.
            continue
    return next((unpublished[url] for url in member.peer_urls if url in unpublished), None)


def _ask_statuses(
    access: Access, members: Sequence[Member], patience: Patience, unpublished: Mapping[str, Endpoint]
) -> dict[int, Reply]:
    """Every member's own status, asked at the same time."""
    asked: dict[int, Future[Reply]] = {}
    for member in members:
        where = endpoint_of(member, unpublished)
        if where is not None:
            ask = partial(_status_or_silence, timeout=patience.for_member(member))
            (asked[member.id],) = access.ask_all(ask, [where])
    return {member_id: _own_reply(member_id, future.result()) for member_id, future in asked.items()}


def _status_or_silence(channel: Channel, timeout: float) -> Reply:
    try:
        return maintenance.status(channel, timeout=timeout)
    except EtcdError as error:
        return Silence(error.text)


def _own_reply(member_id: int, reply: Reply) -> Reply:
    if isinstance(reply, Answer) and reply.member_id != member_id:
        return Silence(f"another member ({reply.member_id:x}) answers at its client URL")
    return reply


def _reads_locally(replies: Mapping[int, Reply]) -> bool:
    """etcd 3.4 has no linearizable member list."""
    answers = [reply for reply in replies.values() if isinstance(reply, Answer)]
    return any(Version.parse(answer.version).series == (3, 4) for answer in answers)
