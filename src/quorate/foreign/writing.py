"""Writes all of what is given: the system may take a part of it."""

from __future__ import annotations

import os


def write_all(fd: int, piece: bytes | memoryview) -> None:
    """Writes a piece to an open file. Raises OSError."""
    view = memoryview(piece)
    while view:
        view = view[os.write(fd, view) :]
