"""The `.snap` files beside the database: up to which entry the log was cut off, and who the members were there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from quorate.foreign.local_files import regular
from quorate.foreign.protobuf import NoMessage, all_numbers, numbers_and_bytes
from quorate.offline.crc32c import crc32c
from quorate.offline.members_seen import Configuration

_NAME = re.compile(r"[0-9a-f]{16}-[0-9a-f]{16}\.snap")
_MOST_BYTES = 64 << 20
_CHECKED_BYTES = 1 << 20
_VOTERS, _LEARNERS = 1, 2


@dataclass(frozen=True, slots=True)
class RaftSnapshot:
    """The newest one that can be read. `unreadable`: the names of newer ones that cannot."""

    index: int
    term: int
    members: Configuration
    unreadable: tuple[str, ...] = ()


def newest_snapshot(folder: Path) -> RaftSnapshot | None:
    """Returns the newest `.snap` of a folder that can be read; None where there is none. Raises `OSError`."""
    unreadable: list[str] = []
    for name in sorted((path.name for path in folder.iterdir() if _NAME.fullmatch(path.name)), reverse=True):
        try:
            found = _read(folder / name)
        except NoMessage:
            unreadable.append(name)
            continue
        return RaftSnapshot(found.index, found.term, found.members, tuple(unreadable))
    return None


def _read(path: Path) -> RaftSnapshot:
    with regular(path) as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise NoMessage("it is too large")
    numbers, outer = numbers_and_bytes(content)
    data = outer.get(2, memoryview(b""))
    if not data or (len(data) <= _CHECKED_BYTES and crc32c(data) != numbers.get(1, 0)):
        raise NoMessage("its sum is wrong")
    _, snapshot = numbers_and_bytes(data)
    metadata, inner = numbers_and_bytes(snapshot.get(2, memoryview(b"")))
    state, index = inner.get(1, memoryview(b"")), metadata.get(2, 0)
    members = Configuration(index, frozenset(all_numbers(state, _VOTERS)), frozenset(all_numbers(state, _LEARNERS)))
    return RaftSnapshot(index, metadata.get(3, 0), members)
