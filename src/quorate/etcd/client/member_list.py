"""The member list of one member as it comes. `observation/reads.py` says what such a list proves."""

from __future__ import annotations

from collections.abc import Sequence

from quorate.deadline import Clock
from quorate.etcd.client import rpc
from quorate.etcd.client import wire_pb2 as wire
from quorate.etcd.client.anyone import ask_anyone
from quorate.etcd.client.channel import Channel
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import Endpoint
from quorate.etcd.client.errors import EtcdError, ProxyAnswers

_MOST_MEMBERS = 200


def ask_members(channel: Channel, *, timeout: float, linearizable: bool) -> wire.MembersResponse:
    """Returns the list as a wire message. A 3.4 server silently ignores the flag and answers locally, even when it is cut off.

    Raises `ProxyAnswers` for the list of a grpc-proxy, and `EtcdError` for one that no etcd gives: more members than there can
    be (links are computed for each pair), a member twice, or one without an id.
    """
    answer = channel.call(rpc.MEMBER_LIST, wire.MemberListRequest(linearizable=linearizable), timeout)
    ids = [row.ID for row in answer.members]
    if ids and not any(ids) and not any(row.peerURLs for row in answer.members):
        # A proxy answers this call itself: its rows are the proxies at one address, not members.
        raise ProxyAnswers(
            "an etcd grpc-proxy answers there, not a member: its list has neither ids nor peer URLs",
            endpoint=str(channel.endpoint),
            method=rpc.MEMBER_LIST.name,
        )
    if len(ids) > _MOST_MEMBERS or len(set(ids)) < len(ids) or 0 in ids:
        text = f"its list of {len(ids)} members is invalid: some are there twice or without an id, or there are too many"
        raise EtcdError(text, endpoint=str(channel.endpoint), method=rpc.MEMBER_LIST.name)
    return answer


def first_member_answer(
    access: Access, seeds: Sequence[Endpoint], clock: Clock, *, timeout: float, linearizable: bool
) -> wire.MembersResponse:
    """Returns the member list as a wire message, from the first seed that gives one; for output that mirrors etcd's own."""

    def ask(channel: Channel, seconds: float) -> wire.MembersResponse:
        return ask_members(channel, timeout=seconds, linearizable=linearizable)

    return ask_anyone(access, seeds, ask, clock, seconds=timeout)
