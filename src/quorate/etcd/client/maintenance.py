"""Status, alarms, hashes, leadership, defragmentation and snapshots of one member."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from quorate.core.membership import Alarm, MemberStatus
from quorate.errors import HostError
from quorate.etcd.client import rpc
from quorate.etcd.client import wire_pb2 as wire
from quorate.etcd.client.channel import Channel
from quorate.etcd.client.errors import EtcdError

_DIGEST_BYTES = 32


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


def snapshot(channel: Channel, path: Path, *, timeout: float, progress: Callable[[int, int], None] | None = None) -> int:
    """Streams a snapshot of the member's database to `path` (mode 0600) and checks its digest; returns its size in bytes.

    The file gets its name only when it is complete. `progress` gets (bytes written, bytes remaining). Raises
    `EtcdError` when the stream ends early or the digest does not match, `HostError` when the file cannot be written.
    """
    part = path.with_name(path.name + ".part")
    try:
        size = _receive(channel, part, timeout, progress or (lambda _written, _remaining: None))
        part.rename(path)
    except OSError as error:
        raise HostError(f"cannot write the snapshot {path}: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
    return size


def _receive(channel: Channel, part: Path, timeout: float, progress: Callable[[int, int], None]) -> int:
    digest, held, written = hashlib.sha256(), b"", 0
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "wb") as file:
        for chunk in channel.server_stream(rpc.SNAPSHOT, wire.Empty(), timeout):
            file.write(chunk.blob)
            written += len(chunk.blob)
            # The last 32 bytes of the stream are the digest of all bytes before: they are not hashed themselves.
            held += chunk.blob
            digest.update(held[:-_DIGEST_BYTES])
            held = held[-_DIGEST_BYTES:]
            progress(written, chunk.remaining_bytes)
        file.flush()
        os.fsync(fd)
    if written <= _DIGEST_BYTES or digest.digest() != held:
        raise EtcdError("the snapshot is incomplete: its digest does not match", endpoint=str(channel.endpoint))
    return written
