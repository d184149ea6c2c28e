"""Reads from etcd's data directory whether it has a log, and how much of a snapshot has arrived."""

from __future__ import annotations

import os
from pathlib import Path


def has_log(data_dir: Path) -> bool:
    """Returns whether etcd has written a log: it then knows its identity and ignores every --initial-* flag. The log may be
    elsewhere (--wal-dir), or a link to it lead nowhere now: that is no empty directory."""
    member = data_dir / "member"
    return os.path.lexists(member / "wal") or os.path.lexists(member / "snap" / "db")


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
