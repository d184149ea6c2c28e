"""Reads which member wrote an etcd data directory: its write-ahead log begins with the member and cluster ids.

Every file of the log begins with a checksum record and a metadata record (`server/storage/wal/wal.go`, 3.4 to 3.7). A frame is
a little-endian length of 8 bytes, whose highest byte holds the padding, and a protobuf record. The metadata is a protobuf
message with the node id and the cluster id.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from quorate.errors import Refused
from quorate.foreign.deletion import TAKEN
from quorate.host.etcd_data import has_used_database

_TRIES = 3
_HEAD_BYTES = 4096
_METADATA = 1


@dataclass(frozen=True, slots=True)
class DataIdentity:
    """The member that wrote a data directory."""

    member_id: int
    cluster_id: int


UNREADABLE = DataIdentity(0, 0)
"""Stands for data of which it cannot be read whose it is: a log that is damaged, or elsewhere (--wal-dir). It is never "there
is no data": a join that took it for that deleted the data of a voter."""


class UnknownOwner(Refused):
    """There is data of an etcd member, and it cannot be read of which one."""

    code = "unknown-data"
    next_step = "look at the data by hand"


def data_identity(data_dir: Path) -> DataIdentity | None:
    """Returns the ids in a data directory; None when no etcd has written there. Raises `UnknownOwner`."""
    found = data_owner(data_dir)
    if found == UNREADABLE:
        raise UnknownOwner(
            f"cannot read which member the data in {data_dir} belongs to: its log is damaged, or elsewhere (--wal-dir)",
            state="nothing was deleted: the cluster may count on that member",
            advice="find the member in the list ('quorate etcd member list' on another node), and remove it by its id",
        )
    return found


def data_owner(data_dir: Path) -> DataIdentity | None:
    """Returns as `data_identity`, but `UNREADABLE` instead of raising, for comparisons. What a run that was cut off has taken
    away, to delete it, is still data of its member."""
    return _owner_in(data_dir) or _owner_in(data_dir / TAKEN)


def _owner_in(data_dir: Path) -> DataIdentity | None:
    try:
        head = _first_bytes(data_dir / "member" / "wal")
        found = _from_head(head) if head is not None else None
    except (OSError, ValueError, IndexError, KeyError, struct.error):
        return UNREADABLE
    if found is not None:
        return found
    return UNREADABLE if head is not None or has_used_database(data_dir) else None


def _first_bytes(wal: Path) -> bytes | None:
    """Returns the beginning of the log; None where there is none. Raises OSError, also for a link that leads nowhere."""
    for _ in range(_TRIES):
        try:
            names = sorted(name for name in os.listdir(wal) if name.endswith(".wal"))
        except FileNotFoundError:
            if os.path.lexists(wal):
                raise
            return None
        if not names:
            return None
        try:
            with (wal / names[0]).open("rb") as file:
                return file.read(_HEAD_BYTES)
        except FileNotFoundError:
            # etcd deletes old parts of its log.
            continue
    return b""


def member_of(data_dir: Path) -> int:
    """Returns the id of the member that wrote a data directory; 0 when there is none. Raises `UnknownOwner`."""
    owner = data_identity(data_dir)
    return owner.member_id if owner else 0


def _from_head(head: bytes) -> DataIdentity | None:
    at = 0
    while at + 8 <= len(head):
        (frame,) = struct.unpack_from("<Q", head, at)
        length, padding = frame & ((1 << 56) - 1), (frame >> 56) & 7 if frame >> 63 else 0
        if not 0 < length <= len(head) - at - 8:
            return None
        record = dict(_fields(head[at + 8 : at + 8 + length]))
        if record.get(1) == _METADATA:
            ids = dict(_fields(_bytes(record[3])))
            return DataIdentity(_int(ids[1]), _int(ids[2]))
        at += 8 + length + padding
    return None


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yields the varint and bytes fields of a protobuf message. Raises ValueError for any other kind."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        if key & 7 == 0:
            value, at = _varint(message, at)
            yield key >> 3, value
        elif key & 7 == 2:
            length, at = _varint(message, at)
            if at + length > len(message):
                raise ValueError("a field is longer than its message")
            yield key >> 3, message[at : at + length]
            at += length
        else:
            raise ValueError("a field of an unknown kind")


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number does not end")


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, bytes):
        return value
    raise ValueError("bytes were expected")


def _int(value: int | bytes) -> int:
    if isinstance(value, int):
        return value
    raise ValueError("a number was expected")
