"""Keys and values on one member. Timeouts are seconds; keys and values are bytes."""

from __future__ import annotations

from dataclasses import dataclass

from quorate.etcd.client import rpc
from quorate.etcd.client import wire_pb2 as wire
from quorate.etcd.client.channel import Channel


@dataclass(frozen=True, slots=True)
class KeyValue:
    key: bytes
    value: bytes
    create_revision: int
    mod_revision: int
    lease: int


@dataclass(frozen=True, slots=True)
class Written:
    """The result of a write: its revision, and the raft term of the leader that committed it."""

    revision: int
    raft_term: int


def get(channel: Channel, key: bytes, *, timeout: float, serializable: bool = False) -> KeyValue | None:
    """Returns the value of `key`, or None. Linearizable unless `serializable`, which reads this member's own copy."""
    request = wire.RangeRequest(key=key, serializable=serializable)
    rows = channel.call(rpc.RANGE, request, timeout).kvs
    return _key_value(rows[0]) if rows else None


def get_prefix(channel: Channel, prefix: bytes, *, timeout: float) -> list[KeyValue]:
    """Returns all keys that begin with `prefix`; an empty prefix means every key."""
    return get_range(channel, prefix or b"\0", prefix_end(prefix), timeout=timeout)


def get_range(channel: Channel, key: bytes, end: bytes, *, timeout: float) -> list[KeyValue]:
    """Returns all keys from `key` up to `end`, which is not among them."""
    request = wire.RangeRequest(key=key, range_end=end)
    return [_key_value(row) for row in channel.call(rpc.RANGE, request, timeout).kvs]


def revision(channel: Channel, *, timeout: float) -> int:
    """Returns the store's revision, read through the quorum."""
    return channel.call(rpc.RANGE, wire.RangeRequest(key=b"\0", count_only=True), timeout).header.revision


def put(channel: Channel, key: bytes, value: bytes, *, timeout: float, lease: int = 0) -> Written:
    """Writes `key`, attached to `lease` unless that is 0."""
    header = channel.call(rpc.PUT, wire.PutRequest(key=key, value=value, lease=lease), timeout).header
    return Written(header.revision, header.raft_term)


def create(channel: Channel, key: bytes, value: bytes, *, timeout: float, lease: int = 0) -> bool:
    """Writes `key` unless it exists; returns whether it was written."""
    return put_if_unchanged(channel, key, value, 0, timeout=timeout, lease=lease)


def put_if_unchanged(channel: Channel, key: bytes, value: bytes, mod_revision: int, *, timeout: float, lease: int = 0) -> bool:
    """Writes `key` where its last change is still that of `mod_revision`, 0 for a key that is not there; returns whether it was
    written."""
    same = wire.Compare(key=key, target=wire.Compare.MOD, result=wire.Compare.EQUAL, mod_revision=mod_revision)
    put_it = wire.RequestOp(request_put=wire.PutRequest(key=key, value=value, lease=lease))
    return channel.call(rpc.TXN, wire.TxnRequest(compare=[same], success=[put_it]), timeout).succeeded


def delete(channel: Channel, key: bytes, *, timeout: float) -> bool:
    """Deletes `key`; returns whether it existed."""
    return channel.call(rpc.DELETE_RANGE, wire.DeleteRangeRequest(key=key), timeout).deleted > 0


def compact(channel: Channel, revision: int, *, timeout: float) -> None:
    """Compacts the history up to `revision`; returns when the old revisions are physically removed."""
    channel.call(rpc.COMPACT, wire.CompactionRequest(revision=revision, physical=True), timeout)


def prefix_end(prefix: bytes) -> bytes:
    """Returns the `range_end` of a range of all keys with this prefix (etcd's convention; `\\0` means all keys)."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else b"\0"


def _key_value(row: wire.KeyValue) -> KeyValue:
    return KeyValue(row.key, row.value, row.create_revision, row.mod_revision, row.lease)
