"""What is at a place in an open folder: the content of a file, the names in a folder, whether a file may be replaced."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from quorate.errors import HostError
from quorate.foreign.inside import Place
from quorate.foreign.kernel import born_ns
from quorate.foreign.local_files import distrust

NOT_KNOWN = -1
"""Stands for a birth that nobody noted, as in the records of 0.3 and older: no file has it, so such a stamp equals none."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells one file from another that has its name, whatever they hold: kubeadm writes the same manifest again for
    another member. A rename keeps it. `born_ns`: 0 where the file system does not know it. For a folder the stamp tells only
    which one it is: an inode number is used again at once, so that the birth alone tells it from one that came since."""

    device: int
    inode: int
    modified_ns: int
    size: int
    born_ns: int = NOT_KNOWN


def stamp_at(path: str | Path, *, dir_fd: int | None = None) -> Stamp | None:
    """Returns the stamp of a file or folder, of a link itself; None where there is none. Raises OSError."""
    try:
        return _stamped(os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd))
    except (FileNotFoundError, NotADirectoryError):
        return None


def _stamped(fd: int) -> Stamp:
    """Returns the stamp of an open file, and closes it: both calls are about one file."""
    try:
        found, born = os.fstat(fd), born_ns(fd)
    finally:
        os.close(fd)
    if stat.S_ISDIR(found.st_mode):
        return Stamp(found.st_dev, found.st_ino, 0, 0, born)
    return Stamp(found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size, born)


def stamps_behind(paths: Iterable[Path]) -> tuple[Stamp | None, ...]:
    """Returns the stamps of what the paths lead to, None for what is not there: certificates are renewed behind a link, which
    stays as it is (kubelet's own, and every Secret that is mounted)."""
    return tuple(map(_stamp_behind, paths))


def _stamp_behind(path: Path) -> Stamp | None:
    try:
        return _stamped(os.open(path, os.O_PATH | os.O_CLOEXEC))
    except OSError:
        return None


def content(place: Place, most_bytes: int) -> bytes:
    """Returns the last `most_bytes` bytes of a file. Below 0: the whole file, which may not be larger. Raises OSError."""
    # Without O_NONBLOCK, opening a named pipe waits for its writer.
    fd = place.open(os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        size = os.fstat(fd).st_size
        if size > -most_bytes > 0:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        file.seek(max(0, size - most_bytes) if most_bytes > 0 else 0)
        return file.read(abs(most_bytes))


def replaceable(place: Place) -> os.stat_result | None:
    """Returns the status of the file; None where there is none. Raises `HostError` for one that another user put there: what is
    written would be theirs."""
    there = place.status()
    if there is None:
        return None
    if not stat.S_ISREG(there.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file")
    folder = os.fstat(place.folder)
    doubt = distrust(folder, place.folder) if there.st_uid not in (0, os.geteuid(), folder.st_uid) else ""
    if doubt:
        raise HostError(
            f"{place.path} is not replaced: user {there.st_uid} owns it, and of its folder, {doubt}",
            advice="give the file to who has to read it, in a folder to which no other user can write",
        )
    return there


def one_file(found: Iterable[tuple[str, Place]]) -> tuple[str, str] | None:
    """Returns two of some paths that are one file, if there are such. Written one after the other it would hold the last."""
    seen: dict[tuple[int, int], str] = {}
    for path, place in found:
        there = place.status()
        other = seen.setdefault((there.st_dev, there.st_ino), path) if there is not None else path
        if other != path:
            return other, path
    return None


def names(place: Place) -> list[str]:
    """Returns the names in a folder, sorted; none where it is no folder. Raises OSError."""
    try:
        return within(place, lambda folder: sorted(os.listdir(folder)))
    except NotADirectoryError:
        return []


def within(place: Place, work: Callable[[int], list[str]]) -> list[str]:
    """Returns what `work` does with a folder, which is open for it. Raises OSError."""
    fd = place.open(os.O_RDONLY | os.O_DIRECTORY)
    try:
        return work(fd)
    finally:
        os.close(fd)
