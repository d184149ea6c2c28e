"""Tells a log that went on from one that was put in its place: a log is only ever written behind its end.

The ids of a member and its folders may be those of before where a backup was copied over its files; the sum of all records up
to a place in a file is not.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from quorate.offline.bolt import Damaged
from quorate.offline.wal import read_log


@dataclass(frozen=True, slots=True)
class LogMark:
    """A place in a log: the name of the file, the byte, the sum of all records before it."""

    file: str
    offset: int
    sum: int


def mark_in(folder: Path) -> LogMark | None:
    """Returns a mark near the end of a log, which its etcd may be writing; None where it cannot be read."""
    try:
        found = read_log(folder)
    except (Damaged, OSError):
        return None
    at = found.before_last
    return LogMark(at.path.name, at.offset, at.crc) if at is not None else None


def end_of(folder: Path) -> LogMark | None:
    """Returns the end of a log whose etcd has ended, once that is on its disk; None where it has none that is whole."""
    try:
        found = read_log(folder)
        if found.end is None:
            return None
        # What etcd did not sync by itself would be gone after a power cut, and the log be taken for another one.
        fd = os.open(found.end.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    except (Damaged, OSError):
        return None
    return LogMark(found.end.path.name, found.end.offset, found.end.crc)


def ends_at(folder: Path, mark: LogMark) -> bool:
    """Returns whether a log ends at a mark: nobody has written to it since."""
    try:
        end = read_log(folder).end
    except (Damaged, OSError):
        return False
    return end is not None and (end.path.name, end.offset, end.crc) == (mark.file, mark.offset, mark.sum)


def goes_on(folder: Path, mark: LogMark) -> bool:
    """Returns whether the log of a folder has, up to the mark, what it had then. Where etcd has deleted that file since, it is
    not known to: False."""
    try:
        return read_log(folder, at=(mark.file, mark.offset)).sum_there == mark.sum
    except (Damaged, OSError):
        return False
