"""Leases: etcd deletes their keys when the owner no longer renews them."""

from __future__ import annotations

from quorate.etcd.client import rpc
from quorate.etcd.client import wire_pb2 as wire
from quorate.etcd.client.channel import Channel
from quorate.etcd.client.errors import LeaseNotFound


def grant(channel: Channel, ttl: int, *, timeout: float) -> int:
    """Grants a lease of `ttl` seconds (etcd raises it to its minimum, 2 s by default); returns its id."""
    return channel.call(rpc.LEASE_GRANT, wire.LeaseGrantRequest(TTL=ttl), timeout).ID


def revoke(channel: Channel, lease: int, *, timeout: float) -> None:
    """Ends the lease and deletes its keys; raises `LeaseNotFound` when the lease had ended before."""
    channel.call(rpc.LEASE_REVOKE, wire.LeaseRevokeRequest(ID=lease), timeout)


def keep_alive(channel: Channel, lease: int, *, timeout: float) -> int:
    """Renews the lease once; returns its new lifetime in seconds. Raises `LeaseNotFound` when the lease has expired."""
    request = wire.LeaseKeepAliveRequest(ID=lease)
    for answer in channel.bidi_stream(rpc.LEASE_KEEP_ALIVE, [request], timeout):
        if answer.TTL > 0:
            return answer.TTL
        break
    raise LeaseNotFound("the lease has expired", endpoint=str(channel.endpoint), method=rpc.LEASE_KEEP_ALIVE.name)


def time_to_live(channel: Channel, lease: int, *, timeout: float) -> int | None:
    """Returns the seconds that the lease has left, or None when it does not exist (etcd reports -1)."""
    left = channel.call(rpc.LEASE_TIME_TO_LIVE, wire.LeaseTimeToLiveRequest(ID=lease), timeout).TTL
    return None if left < 0 else left
