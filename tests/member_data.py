"""A data directory that etcd began: the log of a member, with nothing but its ids."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from quorate.foreign.protobuf import numbers_and_bytes
from quorate.host.etcd_identity import DataIdentity, data_identity
from quorate.offline.crc32c import crc32c


def write_log(data_dir: Path, owner: DataIdentity) -> Path:
    """Writes a log that begins as etcd's does, with the metadata record of the member; returns the file."""
    ids = b"\x08" + _varint(owner.member_id) + b"\x10" + _varint(owner.cluster_id)
    path = data_dir / "member/wal/0000000000000000-0000000000000000.wal"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        _framed(b"\x08\x04\x10\x00") + _framed(b"\x08\x01\x10" + _varint(crc32c(ids)) + b"\x1a" + _varint(len(ids)) + ids)
    )
    assert data_identity(data_dir) == owner
    return path


def append_state(path: Path, commit: int) -> None:
    """Adds a record to a log that says what is committed."""
    *_, before = frames(path.read_bytes())
    state = b"\x08\x01\x10\x01\x18" + _varint(commit)
    record = b"\x08\x03\x10" + _varint(crc32c(state, numbers_and_bytes(memoryview(before))[0].get(2, 0))) + b"\x1a"
    with path.open("ab") as file:
        file.write(_framed(record + _varint(len(state)) + state))


def frames(content: bytes) -> Iterator[bytes]:
    """Yields the records of a log."""
    at = 0
    while at < len(content):
        (frame,) = struct.unpack_from("<Q", content, at)
        length, padding = frame & ((1 << 56) - 1), frame >> 56 & 7 if frame >> 63 else 0
        yield content[at + 8 : at + 8 + length]
        at += 8 + length + padding


def _framed(record: bytes) -> bytes:
    padding = -len(record) % 8
    return struct.pack("<Q", len(record) | ((0x80 | padding) << 56 if padding else 0)) + record + bytes(padding)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
