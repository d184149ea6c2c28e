"""Details that one round of statuses does not show: lag in seconds, and hashes of the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from quorate.core.ids import format_id
from quorate.core.membership import ClusterView, Member, MemberStatus, lag_of
from quorate.deadline import Clock, Deadline, poll
from quorate.etcd.client import kv, maintenance
from quorate.etcd.client.channel import Channel
from quorate.etcd.client.connections import Access
from quorate.etcd.client.errors import EtcdError
from quorate.etcd.client.maintenance import Hash
from quorate.etcd.observation.look import endpoint_of

_POLL_SECONDS = 0.01
_MOST_LAG_SECONDS = 1.0
_SMALL_BYTES = 64 << 20
"""Below this a hash takes milliseconds, on a leader too; above it the leader is not asked for one."""


@dataclass(frozen=True, slots=True)
class Detail:
    """The details by member id. `lag_seconds`: how long each member took after the look to apply what the leader had committed
    by then; None for more than a second. `hashes`: of the keys at one revision; None where a member did not give it."""

    lag_seconds: Mapping[int, float | None] = field(default_factory=dict[int, "float | None"])
    hashes: Mapping[int, Hash | None] = field(default_factory=dict[int, "Hash | None"])

    def as_dict(self) -> dict[str, object]:
        """Returns, by member id, the fields that `-o json` adds to each member: the lag in seconds (null: more than a second),
        and the hash of the data where it was requested."""
        return {format_id(member_id): self.of(member_id) for member_id in {*self.lag_seconds, *self.hashes}}

    def of(self, member_id: int) -> dict[str, object]:
        """Returns the fields of one member."""
        lag, found = self.lag_seconds.get(member_id), self.hashes.get(member_id)
        hashed = {"hash": f"{found.value:08x}", "hashCompactRevision": found.compact_revision} if found else {}
        return {"lagSeconds": None if lag is None else round(lag, 3), **hashed}


def lag_seconds(access: Access, view: ClusterView, clock: Clock) -> dict[int, float | None]:
    """Returns the lag in seconds of every member that answers; it is measured only for members that lag in entries."""
    leader = view.answer(view.leader.id) if view.leader else None
    if leader is None:
        return {}
    answering = [member for member in view.members if view.answer(member.id)]
    asked = {
        member.id: access.ask_all(partial(_until_applied, index=leader.raft_index, since=view.taken_at, clock=clock), [where])[
            0
        ]
        for member in answering
        if lag_of(view, member) and (where := endpoint_of(access, member))
    }
    return {member.id: asked[member.id].result() if member.id in asked else 0.0 for member in answering}


def _until_applied(channel: Channel, *, index: int, since: float, clock: Clock) -> float | None:
    deadline = Deadline(clock, _MOST_LAG_SECONDS, "the member applies what was committed")

    def applied() -> float | None:
        status = maintenance.status(channel, timeout=_MOST_LAG_SECONDS)
        took = clock.now() - since
        return took if status.applied_index >= index and took <= _MOST_LAG_SECONDS else None

    try:
        return poll(applied, clock, deadline, every=_POLL_SECONDS)
    except EtcdError:
        return None


def hashes(access: Access, view: ClusterView, *, timeout: float) -> dict[int, Hash | None]:
    """Returns the hash of all keys on each voter at one revision; a large store is not scanned on the leader."""
    voters = [voter for voter in view.voters if (answer := view.answer(voter.id)) and not _spared(voter, answer, view)]
    places = [(voter, where) for voter in voters if (where := endpoint_of(access, voter))]
    if not places:
        return {}
    revision = kv.revision(access.channel(places[0][1]), timeout=timeout)
    ask = partial(_hash_or_none, revision=revision, timeout=timeout)
    asked = access.ask_all(ask, [where for _, where in places])
    return {voter.id: future.result() for (voter, _), future in zip(places, asked, strict=True)}


def _spared(voter: Member, answer: MemberStatus, view: ClusterView) -> bool:
    return view.leader is not None and voter.id == view.leader.id and answer.db_size > _SMALL_BYTES


def _hash_or_none(channel: Channel, *, revision: int, timeout: float) -> Hash | None:
    try:
        return maintenance.hash_kv(channel, timeout=timeout, revision=revision)
    except EtcdError:
        return None


def differ(found: Mapping[int, Hash | None]) -> bool:
    """Returns whether two members that compacted up to the same revision have different data."""
    known = [one for one in found.values() if one is not None]
    return any(one.value != other.value for one in known for other in known if one.compact_revision == other.compact_revision)
