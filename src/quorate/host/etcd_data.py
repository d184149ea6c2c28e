"""What etcd keeps in its data directory, as far as it tells who is there and how much has arrived."""

from __future__ import annotations

import os
from pathlib import Path


def has_log(data_dir: Path) -> bool:
    """Whether etcd has written a log there: then it knows who it is and ignores every initial setting."""
    return (data_dir / "member" / "wal").is_dir()


def received_bytes(data_dir: Path) -> int | None:
    """How much of a database has arrived: the size of the snapshot being received (a temporary file, then `*.snap.db`), or
    of the database once it is in place; None when there is nothing yet. Sparse parts do not count."""
    sizes = []
    try:
        for entry in os.scandir(data_dir / "member" / "snap"):
            if entry.name.startswith("tmp") or entry.name.endswith((".snap.db", "db")):
                status = entry.stat(follow_symlinks=False)
                sizes.append(min(status.st_size, status.st_blocks * 512))
    except OSError:
        # It is not there yet, or a file was renamed while we looked: the next look tells more.
        return max(sizes, default=None)
    return max(sizes, default=None)
