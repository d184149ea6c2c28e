"""What a folder holds, by names and stamps: shows what came since a look."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

from quorate.errors import HostError
from quorate.foreign.mounts import mount_points
from quorate.foreign.places import Stamp, stamp_at
from quorate.foreign.taking import JUDGED, TAKEN

Content: TypeAlias = frozenset[tuple[str, Stamp]]
"""Each file, link and folder: its path below the folder, and which one it is."""


def content_of(folder: Path) -> Content:
    """Returns what is in a folder and below it; nothing where it is none. What a deletion that was cut off had taken away
    counts at the place that it had. A mount is not entered: one whose server is gone would not answer. Raises `HostError`."""
    try:
        # The folder may be given as an open one, below /proc.
        real = Path(os.path.realpath(folder))
        mounts = frozenset(folder / one.relative_to(real) for one in mount_points() if one.is_relative_to(real))
        return frozenset(_below(folder, "", mounts))
    except OSError as error:
        raise HostError(f"cannot look at what is in {folder}: {error.strerror}") from error


def ids_of(stamps: Iterable[Stamp | None]) -> frozenset[str]:
    """Returns DEVICE:INODE of each, as a process's own files are told by."""
    return frozenset(f"{one.device}:{one.inode}" for one in stamps if one is not None)


def _below(folder: Path, inside: str, mounts: frozenset[Path]) -> Iterator[tuple[str, Stamp]]:
    try:
        with os.scandir(folder) as found:
            entries = list(found)
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        path = Path(entry.path)
        if path in mounts:
            continue
        stamp = stamp_at(path)
        if stamp is None:
            continue
        is_taken = not inside and entry.name in (TAKEN, JUDGED)
        if not is_taken:
            yield f"{inside}{entry.name}", stamp
        if entry.is_dir(follow_symlinks=False):
            yield from _below(path, "" if is_taken else f"{inside}{entry.name}/", mounts)
