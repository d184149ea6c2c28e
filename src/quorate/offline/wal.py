"""Reads the log of a member: who it is, its entries, and what it knew to be committed, to the last whole record.

A log is files of 64 MB, numbered in their order. In front of each record stands its length; the last file is filled up with
zeros before it is written. What a member wrote down counts, also behind its commit index: a follower learns "committed" only
with the next message, so that the newest write of a quiet cluster is nearly always behind it.
"""

from __future__ import annotations

import re
import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from quorate.foreign.local_files import regular
from quorate.foreign.protobuf import NoMessage, numbers_and_bytes
from quorate.offline.bolt import Damaged
from quorate.offline.crc32c import crc32c

_NAME = re.compile(r"([0-9a-f]{16})-([0-9a-f]{16})\.wal")
_LENGTH = struct.Struct("<Q")
_METADATA, _ENTRY, _STATE, _CRC, _SNAPSHOT = 1, 2, 3, 4, 5
_SIZE_MASK = (1 << 56) - 1
_CHECKED_BYTES = 2 << 20
"""How much of the end is compared with its sums: what a power cut tears is there. Everything before was read when its etcd
started last."""

CHANGES = (1, 2)
"""Kinds of entries that change the members: ConfChange and ConfChangeV2."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the log. `kind`: 0 for what is written, `CHANGES` for members."""

    index: int
    term: int
    kind: int
    data: bytes


@dataclass(slots=True)
class Log:
    """What a log says. `last_index`, `last_term`: of its last entry; `commit`: as it knew; `torn`: why its end is not whole,
    which is so after a power cut; `first_index`: of the oldest entry that it still has."""

    member_id: int = 0
    cluster_id: int = 0
    first_index: int = 0
    last_index: int = 0
    last_term: int = 0
    term: int = 0
    vote: int = 0
    commit: int = 0
    snapshot_index: int = 0
    snapshot_term: int = 0
    files: int = 0
    size: int = 0
    torn: str = ""
    changes: list[Entry] = field(default_factory=list[Entry])
    """Those that change the members, by index."""

    def tail(self) -> int:
        """Returns how many entries it has behind its commit index."""
        return max(self.last_index - max(self.commit, self.snapshot_index), 0)


def read_log(folder: Path) -> Log:
    """Reads all files of a log. Raises `Damaged` where it is not one log, or is damaged before its end; `OSError`."""
    names = sorted(name for name in _names(folder))
    found = Log(files=len(names))
    if not names:
        raise Damaged(f"{folder} has no log")
    numbers = [int(name[:16], 16) for name in names]
    if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        raise Damaged(f"{folder} lacks a file of the log between {names[0]} and {names[-1]}")
    last = _Last()
    for name in names:
        is_last = name == names[-1]
        _read_file(folder / name, found, last, is_last=is_last)
    if not found.cluster_id:
        raise Damaged(f"{folder}: its log does not say of which cluster it is")
    if last.records and not found.torn:
        found.torn = last.why_wrong()
    return found


def _names(folder: Path) -> Iterator[str]:
    return (path.name for path in folder.iterdir() if _NAME.fullmatch(path.name))


@dataclass(slots=True)
class _Last:
    """The last records with their sums, as many as are compared. `before`: the sum in front of the first of them."""

    before: int = 0
    records: deque[tuple[int, int, bytes]] = field(default_factory=deque[tuple[int, int, bytes]])
    bytes_kept: int = 0

    def add(self, kind: int, crc: int, data: memoryview) -> None:
        self.records.append((kind, crc, bytes(data)))
        self.bytes_kept += len(data)
        while self.bytes_kept > _CHECKED_BYTES and len(self.records) > 1:
            _, self.before, dropped = self.records.popleft()
            self.bytes_kept -= len(dropped)

    def why_wrong(self) -> str:
        crc = self.before
        for number, (kind, wanted, data) in enumerate(self.records):
            if kind == _CRC:
                # The sum with which a new file begins.
                crc = wanted
                continue
            crc = crc32c(data, crc)
            if crc != wanted:
                return f"the sum of a record is wrong, {len(self.records) - number} records before the end"
        return ""


def _read_file(path: Path, found: Log, last: _Last, *, is_last: bool) -> None:
    with regular(path) as file:
        size = file.seek(0, 2)
        file.seek(0)
        found.size += size
        why = _read_records(file, size, found, last)
    if why and not is_last:
        raise Damaged(f"{path}: {why}, and the log goes on in another file")
    found.torn = why


def _read_records(file: BinaryIO, size: int, found: Log, last: _Last) -> str:
    """Reads records until the zeros behind the last one; returns why the last one is not whole. Not mapped: an etcd that runs
    cuts off the zeros of a file that it has finished, and who reads them in a mapped file is killed by SIGBUS."""
    while len(head := file.read(_LENGTH.size)) == _LENGTH.size:
        (frame,) = _LENGTH.unpack(head)
        if not frame:
            return ""
        length, padding = frame & _SIZE_MASK, frame >> 56 & 7 if frame >> 63 else 0
        if length + padding > size - file.tell():
            return "its last record is longer than the file"
        record = file.read(length + padding)
        if len(record) < length + padding:
            return "its last record is longer than the file"
        try:
            _read_record(memoryview(record)[:length], found, last)
        except NoMessage:
            return "its last record cannot be read"
    return ""


def _read_record(record: memoryview, found: Log, last: _Last) -> None:
    numbers, content = numbers_and_bytes(record)
    kind, data = numbers.get(1, 0), content.get(3, memoryview(b""))
    last.add(kind, numbers.get(2, 0), data)
    if kind == _ENTRY:
        _take_entry(data, found)
    elif kind == _STATE:
        state, _ = numbers_and_bytes(data)
        found.term, found.vote, found.commit = state.get(1, 0), state.get(2, 0), max(found.commit, state.get(3, 0))
    elif kind == _METADATA:
        ids, _ = numbers_and_bytes(data)
        if found.cluster_id and (ids.get(1, 0), ids.get(2, 0)) != (found.member_id, found.cluster_id):
            raise Damaged("the log is of two members")
        found.member_id, found.cluster_id = ids.get(1, 0), ids.get(2, 0)
    elif kind == _SNAPSHOT:
        marked, _ = numbers_and_bytes(data)
        found.snapshot_index, found.snapshot_term = marked.get(1, 0), marked.get(2, 0)
        if found.snapshot_index > found.last_index:
            # Received from the leader: the entries before it were skipped.
            found.last_index, found.last_term = found.snapshot_index, found.snapshot_term
            found.first_index = 0


def _take_entry(data: memoryview, found: Log) -> None:
    numbers, content = numbers_and_bytes(data)
    index, term, kind = numbers.get(3, 0), numbers.get(2, 0), numbers.get(1, 0)
    if index <= found.last_index:
        # A new leader has overruled what was there from this index on.
        found.changes = [one for one in found.changes if one.index < index]
    if not found.first_index:
        found.first_index = index
    found.last_index, found.last_term = index, term
    if kind in CHANGES:
        found.changes.append(Entry(index, term, kind, bytes(content.get(4, b""))))
