"""A log that another process writes and may rotate: its last lines, and then each new one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

_TAIL_BYTES = 32 * 1024
_MOST_AT_ONCE = 1 << 20


class LogFile:
    """A log, read from near its end. A log that cannot be read has no lines yet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode = 0
        self._offset = 0
        self._begun = b""

    def last(self) -> list[str]:
        """Returns the lines in about the last 32 KiB; `new` continues after them."""
        return self._read(lambda found: max(0, found.st_size - _TAIL_BYTES))

    def new(self) -> list[str]:
        """Returns the lines since the previous call, at most 1 MiB. A file that took the place of the log, or a shorter one, is
        read from its beginning."""
        return self._read(self._continued)

    def _continued(self, found: os.stat_result) -> int:
        if found.st_ino == self._inode and found.st_size >= self._offset:
            return self._offset
        self._begun = b""
        return 0

    def _read(self, begin: Callable[[os.stat_result], int]) -> list[str]:
        try:
            with self._path.open("rb") as file:
                found = os.fstat(file.fileno())
                offset = begin(found)
                file.seek(offset)
                got = file.read(_MOST_AT_ONCE)
        except OSError:
            return []
        self._inode, self._offset = found.st_ino, offset + len(got)
        *lines, self._begun = (self._begun + got).split(b"\n")
        return [line.decode(errors="replace") for line in lines]
