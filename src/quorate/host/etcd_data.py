"""Reads from etcd's data directory whether it has a log, and how much of a snapshot has arrived."""

from __future__ import annotations

import os
import stat
import struct
from pathlib import Path


def has_log(data_dir: Path) -> bool:
    """Returns whether an etcd that is started there resumes as a member: it has a log, knows its identity and ignores every
    --initial-* flag. The log may be elsewhere (--wal-dir), a link to it lead nowhere now, or nobody may look: that is no empty
    directory. What a run has taken away, to delete it, is not there (`etcd_identity.data_owner` finds it)."""
    return is_there(data_dir / "member" / "wal") or has_used_database(data_dir)


def is_there(path: Path) -> bool:
    """Returns whether something has that name, or may have it: who may not look does not know."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


_META, _PAGE_HEADER = struct.Struct("<IIIIQQQQQ"), struct.Struct("<QHHI")
_MAGIC, _LEAF, _AT = 0xED0CDAED, 2, 16
_BUCKETS_OF_A_NEW_ONE = 1


def has_used_database(data_dir: Path) -> bool:
    """Returns whether a member has written to the database in a data directory, or may have: False only where there is none,
    or a new one. etcd makes it before its log, and a member that cannot join leaves it so: with one bucket at most (3.4 to
    3.7)."""
    path = data_dir / "member" / "snap" / "db"
    if not is_there(path):
        return False
    try:
        # Empty: etcd has made the file this moment.
        return path.stat().st_size > 0 and _buckets(path) > _BUCKETS_OF_A_NEW_ONE
    except (OSError, struct.error, OverflowError):
        return True


def _buckets(path: Path) -> int:
    """Returns how many entries the root of a bbolt file has; more than any new one where it is no leaf. Raises struct.error."""
    with path.open("rb") as file:
        first = _META.unpack_from(file.read(_AT + _META.size), _AT)
        file.seek(first[2])
        second = _META.unpack_from(file.read(_AT + _META.size), _AT)
        metas = [meta for meta in (first, second) if meta[0] == _MAGIC]
        if not metas:
            raise struct.error("no bbolt file")
        newest = max(metas, key=lambda meta: meta[8])
        file.seek(newest[4] * newest[2])
        _, flags, count, _ = _PAGE_HEADER.unpack(file.read(_PAGE_HEADER.size))
    return count if flags == _LEAF else _BUCKETS_OF_A_NEW_ONE + 1


def received_bytes(data_dir: Path) -> int | None:
    """Returns how many bytes of a database have arrived, without sparse parts; None when there are none yet.

    Measures the snapshot being received (a temporary file, then `*.snap.db`), or the database once it is in place. A second
    snapshot counts from 0: the size of the present database would hide that it arrives.
    """
    arriving: list[int] = []
    there: list[int] = []
    try:
        with os.scandir(data_dir / "member" / "snap") as entries:
            for entry in entries:
                if entry.name.startswith("tmp") or entry.name.endswith("db"):
                    status = entry.stat(follow_symlinks=False)
                    size = min(status.st_size, status.st_blocks * 512)
                    (arriving if entry.name.startswith("tmp") else there).append(size)
    except OSError:
        # The folder does not exist yet, or a file was renamed meanwhile: the next call sees more.
        return max(arriving or there, default=None)
    return max(arriving or there, default=None)


_TOUCHED = ".touch"
"""etcd writes and deletes it to see whether it may write in a folder."""


def is_new(member: Path) -> bool:
    """Returns whether `member`, in a data directory, holds nothing but what an etcd makes before it has its identity: folders,
    a database without content, and the log that the next start deletes because it was not finished. Raises OSError."""
    if not _has_only(member, "snap", "wal", "wal.tmp") or has_used_database(member.parent):
        return False
    db = member / "snap" / "db"
    return (
        _is_empty(member / "wal")
        and all(name.endswith((".wal", ".tmp")) for name in _names(member / "wal.tmp"))
        and (not is_there(member / "snap") or _has_only(member / "snap", "db"))
        and (not is_there(db) or stat.S_ISREG(db.lstat().st_mode))
    )


def _names(folder: Path) -> list[str]:
    return os.listdir(folder) if is_there(folder) else []


def _is_empty(folder: Path) -> bool:
    return not is_there(folder) or _has_only(folder)


def _has_only(folder: Path, *names: str) -> bool:
    return stat.S_ISDIR(folder.lstat().st_mode) and set(os.listdir(folder)) <= {*names, _TOUCHED}
