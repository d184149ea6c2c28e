"""Measures how long a disk takes to sync a write: etcd waits for that on every write."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from quorate.errors import HostError

_WRITES = 40
_BYTES = 2300
"""About the block size of the fio test that etcd's documentation recommends."""


def fsync_seconds(folder: Path) -> float:
    """Returns the seconds of the second slowest of 40 small writes with fdatasync in `folder`: near the 95th percentile.

    Leaves no file there. Raises `HostError`.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            times = sorted(_write(file.fileno()) for _ in range(_WRITES))
    except OSError as error:
        raise HostError(f"cannot write to {folder}: {error.strerror}") from error
    return times[-2]


def _write(fd: int) -> float:
    began = time.monotonic()
    os.write(fd, b"\0" * _BYTES)
    os.fdatasync(fd)
    return time.monotonic() - began
