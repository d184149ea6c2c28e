"""Tells a log that went on from one that was put in its place: a log is only ever written behind its end.

The ids of a member and its folders may be those of before where a backup was copied over its files; the sum of all records up
to a place in a file is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from quorate.offline.bolt import Damaged
from quorate.offline.wal import read_log


@dataclass(frozen=True, slots=True)
class LogMark:
    """A place in a log: the name of the file, the byte, the sum of all records before it. `index`: of the last entry then."""

    file: str
    offset: int
    sum: int
    index: int


def mark_in(folder: Path) -> LogMark | None:
    """Returns a mark near the end of a log, which its etcd may be writing; None where it cannot be read."""
    try:
        found = read_log(folder)
    except (Damaged, OSError):
        return None
    at = found.before_last
    return LogMark(at.path.name, at.offset, at.crc, found.last_index) if at is not None else None


def goes_on(folder: Path, mark: LogMark) -> bool:
    """Returns whether the log of a folder has, up to the mark, what it had then. Where etcd has deleted that file since, it is
    not known to: False."""
    try:
        return read_log(folder, at=(mark.file, mark.offset)).sum_there == mark.sum
    except (Damaged, OSError):
        return False
