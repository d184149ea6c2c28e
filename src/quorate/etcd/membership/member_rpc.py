"""The three RPCs that change the member list. Only `quorate.etcd.membership.executor` may import this; a contract checks it.

`handover` as in `Channel.call_once`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quorate.etcd.client import rpc
from quorate.etcd.client import wire_pb2 as wire
from quorate.etcd.client.channel import NO_HANDOVER, Channel, Handover


@dataclass(frozen=True, slots=True)
class Added:
    """The new member, and the cluster that has it now."""

    member_id: int
    cluster_id: int


def add_learner(channel: Channel, peer_urls: Sequence[str], *, timeout: float, handover: Handover = NO_HANDOVER) -> Added:
    """Registers a learner."""
    return _add(channel, wire.MemberAddRequest(peerURLs=peer_urls, isLearner=True), timeout, handover)


def add_voter(channel: Channel, peer_urls: Sequence[str], *, timeout: float, handover: Handover = NO_HANDOVER) -> Added:
    """Registers a member that has a vote at once."""
    return _add(channel, wire.MemberAddRequest(peerURLs=peer_urls), timeout, handover)


def _add(channel: Channel, request: wire.MemberAddRequest, timeout: float, handover: Handover) -> Added:
    answer = channel.call_once(rpc.MEMBER_ADD, request, timeout, handover)
    return Added(answer.member.ID, answer.header.cluster_id)


def promote(channel: Channel, member_id: int, *, timeout: float, handover: Handover = NO_HANDOVER) -> None:
    """Gives a learner its vote; `channel` must lead to the leader: a follower forwards, loses the login and retries blindly."""
    channel.call_once(rpc.MEMBER_PROMOTE, wire.MemberPromoteRequest(ID=member_id), timeout, handover)


def remove(channel: Channel, member_id: int, *, timeout: float, handover: Handover = NO_HANDOVER) -> None:
    channel.call_once(rpc.MEMBER_REMOVE, wire.MemberRemoveRequest(ID=member_id), timeout, handover)
