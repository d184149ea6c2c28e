"""Status, alarms, hashes, leadership, defragmentation and snapshots of one member."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from quorate.core.membership import Alarm, MemberStatus
from quorate.etcd.client import rpc
from quorate.etcd.client import wire_pb2 as wire
from quorate.etcd.client.channel import Channel
from quorate.etcd.client.errors import EtcdError
from quorate.foreign.writing import write_all

_DIGEST_BYTES, _PIECE_BYTES = 32, 1 << 20
_HELD_BACK_SECONDS = 1.0


def status(channel: Channel, *, timeout: float) -> MemberStatus:
    """Returns the Status of the member; learners answer too."""
    answer = channel.call(rpc.STATUS, wire.Empty(), timeout)
    return MemberStatus(
        member_id=answer.header.member_id,
        cluster_id=answer.header.cluster_id,
        version=answer.version,
        leader=answer.leader,
        raft_term=answer.raftTerm,
        raft_index=answer.raftIndex,
        applied_index=answer.raftAppliedIndex,
        is_learner=answer.isLearner,
        db_size=answer.dbSize,
        db_size_in_use=answer.dbSizeInUse,
        db_quota=answer.dbSizeQuota or None,
        errors=tuple(answer.errors),
        revision=answer.header.revision,
    )


def alarms(channel: Channel, *, timeout: float) -> tuple[Alarm, ...]:
    """Returns the alarms of the cluster, as this member knows them."""
    answer = channel.call(rpc.ALARM, wire.AlarmRequest(action=wire.AlarmRequest.GET), timeout)
    return tuple(
        Alarm(row.memberID, "NOSPACE" if row.alarm == wire.NOSPACE else "CORRUPT")
        for row in answer.alarms
        if row.alarm != wire.NONE
    )


def disarm_no_space(channel: Channel, member_id: int, *, timeout: float) -> None:
    """Clears a NOSPACE alarm. CORRUPT is never cleared here: that would hide lost data."""
    channel.call(
        rpc.ALARM,
        wire.AlarmRequest(action=wire.AlarmRequest.DEACTIVATE, memberID=member_id, alarm=wire.NOSPACE),
        timeout,
    )


@dataclass(frozen=True, slots=True)
class Hash:
    """A hash of all keys between the compacted revision and the requested one. Two hashes can be compared only when both
    members compacted up to the same revision."""

    value: int
    compact_revision: int


def hash_kv(channel: Channel, *, timeout: float, revision: int = 0) -> Hash:
    """Returns the hash of all keys up to `revision` (0: the latest). etcd scans the whole store under a lock: call this only on
    request, and never on a leader with a large store."""
    answer = channel.call(rpc.HASH_KV, wire.HashKVRequest(revision=revision), timeout)
    return Hash(answer.hash, answer.compact_revision)


def move_leader(channel: Channel, target_id: int, *, timeout: float) -> None:
    """Transfers leadership to the voter `target_id`; `channel` must lead to the present leader."""
    channel.call(rpc.MOVE_LEADER, wire.MoveLeaderRequest(targetID=target_id), timeout)


def defragment(channel: Channel, *, timeout: float) -> None:
    """Frees unused space in the file system; the member answers nothing else meanwhile."""
    channel.call(rpc.DEFRAGMENT, wire.Empty(), timeout)


@dataclass(frozen=True, slots=True)
class Received:
    """A snapshot that was written: its size in bytes, and the SHA-256 of all of it, which is not the digest at its end."""

    size: int
    sha256: str


def receive_snapshot(
    channel: Channel, fd: int, *, timeout: float, progress: Callable[[int, int], None] = lambda _written, _left: None
) -> Received:
    """Streams a snapshot of the member's database to an open file and checks its digest, which `etcdctl snapshot save` does
    not. `progress` gets (bytes written, bytes remaining). Raises `EtcdError` when the stream ends early or the digest does not
    match, OSError when the file cannot be written."""
    # The last 32 bytes of the stream are the digest of all bytes before: they are not hashed with them.
    digest, held, written = hashlib.sha256(), b"", 0
    for piece, left in channel.server_stream(rpc.SNAPSHOT, wire.Empty(), timeout, _gathered):
        write_all(fd, piece)
        written += len(piece)
        end = (held + piece)[-_DIGEST_BYTES:] if len(piece) < _DIGEST_BYTES else piece[-_DIGEST_BYTES:]
        digest.update(held[: max(0, len(held) + len(piece) - _DIGEST_BYTES)])
        digest.update(memoryview(piece)[:-_DIGEST_BYTES])
        held = end
        progress(written, left)
    if written <= _DIGEST_BYTES or digest.digest() != held:
        raise EtcdError("the snapshot is incomplete: its digest does not match", endpoint=str(channel.endpoint))
    digest.update(held)
    return Received(written, digest.hexdigest())


def _gathered(chunks: Iterable[wire.SnapshotResponse]) -> Iterator[tuple[bytes, int]]:
    """Yields about a megabyte at a time, each with what is left: hashes and writes of 32 KiB cost as much as the stream. A slow
    stream is shown as it comes."""
    gathered: list[bytes] = []
    size, left, began = 0, 0, time.monotonic()
    for chunk in chunks:
        gathered.append(chunk.blob)
        size, left = size + len(gathered[-1]), chunk.remaining_bytes
        if size >= _PIECE_BYTES or time.monotonic() - began > _HELD_BACK_SECONDS:
            yield b"".join(gathered), left
            gathered.clear()
            size, began = 0, time.monotonic()
    if gathered:
        yield b"".join(gathered), left
