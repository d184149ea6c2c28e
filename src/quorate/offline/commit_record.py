"""Writes one record behind the end of a log: that all of it is committed. Only ever into a copy.

A follower learns that an entry is committed with the next message of its leader. Where no leader is left, the newest entries of
the log stay uncommitted: `etcd --force-new-cluster` drops them, although they were acknowledged. An etcd whose log says that
they are committed applies them without a leader.
"""

from __future__ import annotations

import json
import os
import struct

from quorate.errors import Refused
from quorate.foreign.protobuf import encoded_bytes, encoded_number
from quorate.offline.crc32c import crc32c
from quorate.offline.wal import End, Log

_ENTRY, _STATE = 2, 3
_CONF_CHANGE, _ADD, _PORT = 1, 0, 1
_ALIGNED = 8
_ZEROS = bytes(4096)
"""Behind the record: where the log was torn, the rest of the torn record would be read as the next one."""


def append_commit(log: Log, marker: int) -> int:
    """Writes that all of the log is committed, over a record that was written in part, and behind it the addition of a member
    `marker`; returns the index of that. What is behind a change in the database is in it with the change: a file that has this
    member has everything. Nothing else shows it in each version: an entry that changes nothing leaves the index as it is, and
    an alarm refuses writes. Raises `Refused` for a log that is damaged before its end, `OSError`."""
    if log.end is None:
        raise Refused(
            f"nothing may be written behind a log that is damaged: {log.torn}",
            state="nothing was changed",
            advice="use another survivor, or a backup; keep this one",
        )
    term, index = max(log.term, log.last_term), log.last_index + 1
    # A vote of an older term is none of this one.
    vote = log.vote if term == log.term else 0
    entry = _entry(index, log.last_term, _addition(marker))
    state = encoded_number(1, term) + encoded_number(2, vote) + encoded_number(3, index)
    content, crc = b"", log.end.crc
    for kind, data in ((_ENTRY, entry), (_STATE, state)):
        crc = crc32c(data, crc)
        content += record(kind, crc, data)
    _write(log.end, content + _ZEROS)
    return index


def _entry(index: int, term: int, data: bytes) -> bytes:
    return encoded_number(1, _CONF_CHANGE) + encoded_number(2, term) + encoded_number(3, index) + encoded_bytes(4, data)


def _addition(marker: int) -> bytes:
    """Returns the change of members that adds a voter nobody can reach; a restore leaves every old member out."""
    member = json.dumps({"id": marker, "peerURLs": [f"http://quorate.invalid:{_PORT}"]}).encode()
    return encoded_number(1, marker) + encoded_number(2, _ADD) + encoded_number(3, marker) + encoded_bytes(4, member)


def record(kind: int, crc: int, data: bytes) -> bytes:
    """Returns a record as it stands in a log: its length, with that of the padding in the highest byte, content, padding."""
    body = encoded_number(1, kind) + encoded_number(2, crc) + encoded_bytes(3, data)
    padding = -len(body) % _ALIGNED
    mark = (0x80 | padding) << 56 if padding else 0
    return struct.pack("<Q", len(body) | mark) + body + bytes(padding)


def _write(end: End, content: bytes) -> None:
    fd = os.open(end.path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        left = memoryview(content)
        at = end.offset
        while left:
            written = os.pwrite(fd, left, at)
            at, left = at + written, left[written:]
        os.fsync(fd)
    finally:
        os.close(fd)
