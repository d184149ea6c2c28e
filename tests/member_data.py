"""A data directory that etcd began: the log of a member, with nothing but its ids."""

from __future__ import annotations

import struct
from pathlib import Path

from quorate.host.etcd_identity import DataIdentity, data_identity


def write_log(data_dir: Path, owner: DataIdentity) -> Path:
    """Writes a frame with the metadata record of the member, and returns the file."""
    ids = b"\x08" + _varint(owner.member_id) + b"\x10" + _varint(owner.cluster_id)
    record = b"\x08\x01" + b"\x1a" + _varint(len(ids)) + ids
    path = data_dir / "member/wal/0000000000000000-0000000000000000.wal"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(record)) + record)
    assert data_identity(data_dir) == owner
    return path


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
