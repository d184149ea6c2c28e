"""Leases: keys that vanish when their owner does."""

from __future__ import annotations

from quorate.etcd.client import rpc
from quorate.etcd.client import wire_pb2 as wire
from quorate.etcd.client.channel import Channel
from quorate.etcd.client.errors import LeaseNotFound


def grant(channel: Channel, ttl: int, *, timeout: float) -> int:
    """A new lease of `ttl` seconds (etcd raises it to its minimum, 2 s by default); returns its id."""
    return channel.call(rpc.LEASE_GRANT, wire.LeaseGrantRequest(TTL=ttl), timeout).ID


def revoke(channel: Channel, lease: int, *, timeout: float) -> None:
    """End the lease and delete its keys; raises `LeaseNotFound` when it ended before."""
    channel.call(rpc.LEASE_REVOKE, wire.LeaseRevokeRequest(ID=lease), timeout)


def keep_alive(channel: Channel, lease: int, *, timeout: float) -> int:
    """Renew the lease once; returns the seconds it lives from now. Raises `LeaseNotFound` when it is gone."""
    request = wire.LeaseKeepAliveRequest(ID=lease)
    for answer in channel.bidi_stream(rpc.LEASE_KEEP_ALIVE, [request], timeout):
        if answer.TTL > 0:
            return answer.TTL
        break
    raise LeaseNotFound("the lease has expired", endpoint=str(channel.endpoint), method=rpc.LEASE_KEEP_ALIVE.name)


def time_to_live(channel: Channel, lease: int, *, timeout: float) -> int | None:
    """Seconds the lease has left, or None when there is no such lease (etcd says -1)."""
    left = channel.call(rpc.LEASE_TIME_TO_LIVE, wire.LeaseTimeToLiveRequest(ID=lease), timeout).TTL
    return None if left < 0 else left
