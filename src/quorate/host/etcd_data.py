"""What etcd keeps in its data directory, as far as it tells who is there and how much has arrived."""

from __future__ import annotations

import os
from pathlib import Path


def has_log(data_dir: Path) -> bool:
    """Whether etcd has written a log there: then it knows who it is and ignores every initial setting."""
    return (data_dir / "member" / "wal").is_dir()


def received_bytes(data_dir: Path) -> int | None:
    """How much of a database has arrived: the size of the snapshot being received (a temporary file, then `*.snap.db`), or
    of the database once it is in place; None when there is nothing yet. Sparse parts do not count.

    A second snapshot counts from its own beginning: a database that stays as it is meanwhile would hide that it arrives.
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
        # It is not there yet, or a file was renamed while we looked: the next look tells more.
        return max(arriving or there, default=None)
    return max(arriving or there, default=None)
