"""Reads of one member's list, each known to be linearizable or known not to be (decision 20)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, TypeAlias

from quorate.core.membership import Member
from quorate.core.versions import Version
from quorate.etcd.client import kv, rpc
from quorate.etcd.client import wire_pb2 as wire
from quorate.etcd.client.channel import Channel
from quorate.etcd.client.errors import PermissionDenied
from quorate.etcd.client.member_list import ask_members

How: TypeAlias = Literal["flag", "range", "local"]
"""How a list was read. "flag": with `linearizable`, which etcd honours since 3.5; "range": after a linearizable Range on the
same member; "local": one member's own copy, which is stale while that member is cut off."""

READ_KEY = b"/quorate/look"
_FLAG_SINCE = Version(3, 5, 0)


@dataclass(frozen=True, slots=True)
class MemberList:
    """A member list, the member that gave it, and how it was read."""

    cluster_id: int
    member_id: int
    raft_term: int
    members: tuple[Member, ...]
    how: Literal["flag", "range", "local"] = "local"

    @property
    def linearizable(self) -> bool:
        return self.how != "local"


def local_list(channel: Channel, *, timeout: float) -> MemberList:
    """Returns the member's own copy; raises `RpcOnLearner` on a learner."""
    return _to_list(ask_members(channel, timeout=timeout, linearizable=False), "local")


def quorum_list(channel: Channel, *, timeout: float, version: Version | None) -> MemberList:
    """Returns the list that this member reads through the quorum. `version` is that of the member; None when it is unknown,
    and then the answer counts only once the version is known to honour the flag.

    Before 3.5 a linearizable Range goes first. It returns when this member has applied everything up to its read index,
    membership changes included, so its own copy read after that holds all of them. Both answers must come from one member:
    an address may lead to another one each time. A restart in between does no harm: a member serves clients only when it
    has applied the publish that it proposed after its start. Permission is checked after the read index, so "permission
    denied" proves as much.
    """
    if version is not None and version < _FLAG_SINCE:
        return _behind_a_range(channel, timeout)
    return _to_list(ask_members(channel, timeout=timeout, linearizable=True), "flag")


def _behind_a_range(channel: Channel, timeout: float) -> MemberList:
    asked = None
    with suppress(PermissionDenied):
        asked = channel.call(rpc.RANGE, wire.RangeRequest(key=READ_KEY, count_only=True), timeout).header.member_id
    answer = ask_members(channel, timeout=timeout, linearizable=False)
    return _to_list(answer, "range" if asked in (None, answer.header.member_id) else "local")


def reads_through_quorum(channel: Channel, *, timeout: float) -> None:
    """Returns when this member has answered a linearizable read; raises `EtcdError` when it has not."""
    with suppress(PermissionDenied):
        kv.get(channel, READ_KEY, timeout=timeout)


def _to_list(answer: wire.MembersResponse, how: How) -> MemberList:
    header = answer.header
    return MemberList(header.cluster_id, header.member_id, header.raft_term, tuple(map(to_member, answer.members)), how)


def to_member(row: wire.Member) -> Member:
    """Returns a wire row of the list as a value."""
    return Member(row.ID, row.name, tuple(row.peerURLs), tuple(row.clientURLs), row.isLearner)
