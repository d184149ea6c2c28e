"""The three RPCs that change the member list. Only `quorate.etcd.membership.executor` may import this; a contract checks it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quorate.etcd.client import rpc
from quorate.etcd.client import wire_pb2 as wire
from quorate.etcd.client.channel import Channel


@dataclass(frozen=True, slots=True)
class Added:
    """The new member, and the cluster that has it now."""

    member_id: int
    cluster_id: int


def add_learner(channel: Channel, peer_urls: Sequence[str], *, timeout: float) -> Added:
    """Registers a learner."""
    return _add(channel, wire.MemberAddRequest(peerURLs=peer_urls, isLearner=True), timeout)


def add_voter(channel: Channel, peer_urls: Sequence[str], *, timeout: float) -> Added:
    """Registers a member that has a vote at once."""
    return _add(channel, wire.MemberAddRequest(peerURLs=peer_urls), timeout)


def _add(channel: Channel, request: wire.MemberAddRequest, timeout: float) -> Added:
    answer = channel.call_once(rpc.MEMBER_ADD, request, timeout)
    return Added(answer.member.ID, answer.header.cluster_id)


def promote(channel: Channel, member_id: int, *, timeout: float) -> None:
    """Gives a learner its vote; `channel` must lead to the leader: a follower forwards, loses the login and retries blindly."""
    channel.call_once(rpc.MEMBER_PROMOTE, wire.MemberPromoteRequest(ID=member_id), timeout)


def remove(channel: Channel, member_id: int, *, timeout: float) -> None:
    channel.call_once(rpc.MEMBER_REMOVE, wire.MemberRemoveRequest(ID=member_id), timeout)
