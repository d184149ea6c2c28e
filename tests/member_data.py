"""A data directory that etcd began: the log of a member, with nothing but its ids."""

from __future__ import annotations

import struct
from pathlib import Path

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


def _framed(record: bytes) -> bytes:
    padding = -len(record) % 8
    return struct.pack("<Q", len(record) | ((0x80 | padding) << 56 if padding else 0)) + record + bytes(padding)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
