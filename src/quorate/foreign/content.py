"""What a folder holds, by names and stamps: shows what came since a look."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from quorate.errors import HostError
from quorate.foreign.mounts import mount_points
from quorate.foreign.places import Stamp, stamp_at
from quorate.foreign.taking import JUDGED, TAKEN

Content: TypeAlias = frozenset[tuple[str, Stamp]]
"""Each file, link and folder: its path below the folder, and which one it is."""

_LONG = 3000


def content_of(folder: Path) -> Content:
    """Returns what is in a folder and below it; nothing where it is none. What a deletion that was cut off had taken away
    counts at the place that it had. A mount is not entered: one whose server is gone would not answer. Raises `HostError`."""
    with _told(folder):
        return frozenset((name, stamp) for name, path in _all_of(folder) if name and (stamp := stamp_at(path)) is not None)


def ids_below(folder: Path) -> frozenset[str]:
    """Returns the same, each as DEVICE:INODE, with what is taken away. Raises `HostError`."""
    with _told(folder):
        found = [_lstat(path) for _, path in _all_of(folder)]
    return frozenset(f"{one.st_dev}:{one.st_ino}" for one in found if one is not None)


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise HostError(f"cannot look at what is in {folder}: {error.strerror}") from error


def ids_of(stamps: Iterable[Stamp | None]) -> frozenset[str]:
    """Returns DEVICE:INODE of each, as `proc.file_id` writes it."""
    return frozenset(f"{one.device}:{one.inode}" for one in stamps if one is not None)


def _lstat(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _all_of(folder: Path) -> Iterator[tuple[str, str]]:
    """Yields the path below the folder, and one that leads there, of each file, link and folder; the first is empty for what
    holds others that are taken away. Raises OSError."""
    # The folder may be given as an open one, below /proc.
    real = Path(os.path.realpath(folder))
    mounts = frozenset(str(one.relative_to(real)) for one in mount_points() if one.is_relative_to(real))
    yield from _below(_Level(str(folder), "", ""), mounts)


@dataclass(frozen=True, slots=True)
class _Level:
    """A folder to be looked into: a path that leads there, its path below the first one, and that of what is in it."""

    path: str
    below: str
    inside: str


def _below(first: _Level, mounts: frozenset[str]) -> Iterator[tuple[str, str]]:
    left = [first]
    while left:
        level = left.pop()
        if len(level.path) > _LONG:
            yield from _from_here(level, mounts)
            continue
        try:
            with os.scandir(level.path) as found:
                entries = list(found)
        except (FileNotFoundError, NotADirectoryError):
            continue
        for entry in entries:
            below = f"{level.below}{entry.name}"
            if below in mounts:
                continue
            is_taken = not level.below and entry.name in (TAKEN, JUDGED)
            yield "" if is_taken else f"{level.inside}{entry.name}", entry.path
            if entry.is_dir(follow_symlinks=False):
                left.append(_Level(entry.path, f"{below}/", "" if is_taken else f"{level.inside}{entry.name}/"))


def _from_here(level: _Level, mounts: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Continues from an open folder: the kernel takes no path that is longer than 4096 bytes."""
    try:
        fd = os.open(level.path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        yield from _below(_Level(f"/proc/self/fd/{fd}", level.below, level.inside), mounts)
    finally:
        os.close(fd)
