"""The three RPCs that change the member list. Only `quorate.etcd.membership.executor` may import this; a contract checks it."""

from __future__ import annotations

from collections.abc import Sequence

from quorate.etcd.client import rpc
from quorate.etcd.client import wire_pb2 as wire
from quorate.etcd.client.channel import Channel


def add_learner(channel: Channel, peer_urls: Sequence[str], *, timeout: float) -> int:
    """Registers a learner; returns its member id."""
    request = wire.MemberAddRequest(peerURLs=peer_urls, isLearner=True)
    return channel.call_once(rpc.MEMBER_ADD, request, timeout).member.ID


def add_voter(channel: Channel, peer_urls: Sequence[str], *, timeout: float) -> int:
    """Registers a member that has a vote at once; returns its member id."""
    return channel.call_once(rpc.MEMBER_ADD, wire.MemberAddRequest(peerURLs=peer_urls), timeout).member.ID


def promote(channel: Channel, member_id: int, *, timeout: float) -> None:
    """Gives a learner its vote; `channel` must lead to the leader: a follower forwards, loses the login and retries blindly."""
    channel.call_once(rpc.MEMBER_PROMOTE, wire.MemberPromoteRequest(ID=member_id), timeout)


def remove(channel: Channel, member_id: int, *, timeout: float) -> None:
    channel.call_once(rpc.MEMBER_REMOVE, wire.MemberRemoveRequest(ID=member_id), timeout)
