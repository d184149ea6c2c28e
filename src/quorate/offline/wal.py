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
from typing import BinaryIO, NamedTuple

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

_SECTOR, _PIECE = 512, 1 << 20
_ZEROS = bytes(_PIECE)

CHANGES = (1, 2)
"""Kinds of entries that change the members: ConfChange and ConfChangeV2."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the log. `kind`: 0 for what is written, `CHANGES` for members."""

    index: int
    term: int
    kind: int
    data: bytes


@dataclass(frozen=True, slots=True)
class End:
    """Where the next record of a log goes: the file, the byte behind its last whole record, the sum up to there."""

    path: Path
    offset: int
    crc: int


@dataclass(slots=True)
class Log:
    """What a log says. `last_index`, `last_term`: of its last entry; `commit`: as it knew; `torn`: why its end is not whole,
    which is so after a power cut; `end`: None where what is wrong is not only a last record that was half written;
    `before_last`: where its last record begins; `sum_there`: of all records before the place that the reader named, None where
    no record begins there; `first_index`: of the oldest entry that it still has."""

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
    end: End | None = None
    before_last: End | None = None
    sum_there: int | None = None
    changes: list[Entry] = field(default_factory=list[Entry])
    """Those that change the members, by index."""

    def tail(self) -> int:
        """Returns how many entries it has behind its commit index."""
        return max(self.last_index - max(self.commit, self.snapshot_index), 0)


def read_log(folder: Path, at: tuple[str, int] = ("", 0)) -> Log:
    """Reads all files of a log. `at`: a file and a byte of it, for `Log.sum_there`. Raises `Damaged` where it is not one log,
    or is damaged before its end; `OSError`."""
    names = sorted(name for name in _names(folder))
    found = Log(files=len(names))
    if not names:
        raise Damaged(f"{folder} has no log")
    numbers = [int(name[:16], 16) for name in names]
    if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        raise Damaged(f"{folder} lacks a file of the log between {names[0]} and {names[-1]}")
    last = _Last(at)
    for name in names:
        _read_file(folder / name, found, last, is_last=name == names[-1])
    _finish(found, last)
    found.sum_there = last.sum_there
    if last.records and (last.behind[0].name, last.behind[1]) == at:
        found.sum_there = last.records[-1].crc
    if not found.cluster_id:
        raise Damaged(f"{folder}: its log does not say of which cluster it is")
    return found


def _finish(found: Log, last: _Last) -> None:
    """Takes the last record, if it is whole, and says where the log ends. A record that a power cut has torn was acknowledged
    to nobody: it was not on the disk. One that is wrong in front of others was, and nothing may be written over those."""
    wrong = last.first_wrong()
    if last.records and wrong in (None, len(last.records) - 1):
        found.before_last = End(last.records[-1].path, last.records[-1].start, last.sum_before_last())
    if wrong is None or wrong < len(last.records) - 1:
        if last.records:
            _take(last.records[-1], found)
        if wrong is not None:
            found.torn = f"the sum of a record is wrong, {len(last.records) - wrong} records before the end"
        elif last.records and not last.is_damaged and last.records[-1].path == last.behind[0]:
            found.end = End(*last.behind, last.records[-1].crc)
        return
    record = last.records[-1]
    found.torn = found.torn or "its last record was written in part"
    if not last.is_damaged and last.behind[0] == record.path and has_empty_sector(record.path, record.start, last.behind[1]):
        found.end = End(record.path, record.start, last.sum_before_last())


def _names(folder: Path) -> Iterator[str]:
    return (path.name for path in folder.iterdir() if _NAME.fullmatch(path.name))


class _Record(NamedTuple):
    """`start`: the byte of the file at which its length stands."""

    kind: int
    crc: int
    data: bytes
    path: Path
    start: int


@dataclass(slots=True)
class _Last:
    """The last records with their sums, as many as are compared. `at`, `sum_there`: as of `read_log` and `Log`; `before`: the
    sum in front of the first of them; `behind`: the byte behind the last one; `is_damaged`: what follows it is neither nothing
    nor a record that was half written."""

    at: tuple[str, int]
    sum_there: int | None = None
    before: int = 0
    records: deque[_Record] = field(default_factory=deque[_Record])
    bytes_kept: int = 0
    behind: tuple[Path, int] = (Path(), 0)
    is_damaged: bool = False

    def add(self, record: _Record) -> None:
        if (record.path.name, record.start) == self.at:
            # A file begins with the sum of those before it.
            self.sum_there = record.crc if not record.start else self.records[-1].crc
        self.records.append(record)
        self.bytes_kept += len(record.data)
        while self.bytes_kept > _CHECKED_BYTES and len(self.records) > 2:
            dropped = self.records.popleft()
            self.before = dropped.crc
            self.bytes_kept -= len(dropped.data)

    def first_wrong(self) -> int | None:
        crc = self.before
        for number, record in enumerate(self.records):
            # The sum with which a new file begins is not of its own record.
            crc = record.crc if record.kind == _CRC else crc32c(record.data, crc)
            if crc != record.crc:
                return number
        return None

    def sum_before_last(self) -> int:
        return self.records[-2].crc if len(self.records) > 1 else self.before


def _read_file(path: Path, found: Log, last: _Last, *, is_last: bool) -> None:
    with regular(path) as file:
        size = file.seek(0, 2)
        file.seek(0)
        found.size += size
        last.behind = path, 0
        why = _read_records(file, size, found, last)
        last.is_damaged = is_last and not _is_end(path, file, size, last.behind[1])
    if why and not is_last:
        raise Damaged(f"{path}: {why}, and the log goes on in another file")
    found.torn = why or ("more than zeros is behind its end" if last.is_damaged else "")


def _is_end(path: Path, file: BinaryIO, size: int, start: int) -> bool:
    """Returns whether nothing begins at `start`, or one record that a crash cut off. A longer one than the file is that only
    where the file ends with it: behind a length that was damaged later come other records, and then zeros."""
    file.seek(start)
    (frame,) = _LENGTH.unpack(file.read(_LENGTH.size).ljust(_LENGTH.size, b"\0"))
    end = start + _LENGTH.size + (frame & _SIZE_MASK) + (frame >> 56 & 7 if frame >> 63 else 0)
    if end <= size:
        return _is_empty_from(file, end) and (not frame or has_empty_sector(path, start, end))
    return size - start <= _SECTOR or not _is_empty_from(file, size - _SECTOR)


def has_empty_sector(path: Path, start: int, end: int) -> bool:
    """Returns whether a sector of a record is empty: that is how etcd itself tells one that a crash has torn from one that was
    damaged later, which it refuses to start on."""
    with regular(path) as file:
        file.seek(start)
        content = file.read(end - start)
    first = _SECTOR - start % _SECTOR
    pieces = [content[:first], *(content[at : at + _SECTOR] for at in range(first, len(content), _SECTOR))]
    return any(piece and not any(piece) for piece in pieces)


def _is_empty_from(file: BinaryIO, start: int) -> bool:
    file.seek(start)
    return all(piece == _ZEROS[: len(piece)] for piece in iter(lambda: file.read(_PIECE), b""))


def _read_records(file: BinaryIO, size: int, found: Log, last: _Last) -> str:
    """Reads records until the zeros behind the last one; returns why the last one is not whole. Not mapped: an etcd that runs
    cuts off the zeros of a file that it has finished, and who reads them in a mapped file is killed by SIGBUS."""
    path = last.behind[0]
    while len(head := file.read(_LENGTH.size)) == _LENGTH.size:
        (frame,) = _LENGTH.unpack(head)
        if not frame:
            return ""
        start = file.tell() - _LENGTH.size
        length, padding = frame & _SIZE_MASK, frame >> 56 & 7 if frame >> 63 else 0
        if length + padding > size - file.tell():
            return "its last record is longer than the file"
        record = file.read(length + padding)
        if len(record) < length + padding:
            return "its last record is longer than the file"
        try:
            numbers, content = numbers_and_bytes(memoryview(record)[:length])
        except NoMessage:
            return "its last record cannot be read"
        if last.records:
            # The one before, now that another is there: a crash tears only the last.
            _take(last.records[-1], found)
        last.add(_Record(numbers.get(1, 0), numbers.get(2, 0), bytes(content.get(3, b"")), path, start))
        last.behind = path, file.tell()
    return ""


def _take(record: _Record, found: Log) -> None:
    try:
        _take_content(record.kind, memoryview(record.data), found)
    except NoMessage:
        raise Damaged(f"{record.path}: the record at byte {record.start} cannot be read") from None


def _take_content(kind: int, data: memoryview, found: Log) -> None:
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
