"""What is at a place in an open folder: the content of a file, the names in a folder, whether a file may be replaced."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from quorate.errors import HostError
from quorate.foreign.inside import Place
from quorate.foreign.local_files import distrust


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells one file from another that has its name, whatever they hold: kubeadm writes the same manifest again for
    another member. A rename keeps it. For a folder it tells only which one it is."""

    device: int
    inode: int
    modified_ns: int
    size: int


def stamp_of(found: os.stat_result) -> Stamp:
    """Returns the stamp of a file or folder by its status."""
    if stat.S_ISDIR(found.st_mode):
        return Stamp(found.st_dev, found.st_ino, 0, 0)
    return Stamp(found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)


def stamp_at(path: Path) -> Stamp | None:
    """Returns the stamp of a file or folder, of a link itself; None where there is none."""
    try:
        return stamp_of(path.lstat())
    except (FileNotFoundError, NotADirectoryError):
        return None


def stamps_behind(paths: Iterable[Path]) -> tuple[Stamp | None, ...]:
    """Returns the stamps of what the paths lead to, None for what is not there: certificates are renewed behind a link, which
    stays as it is (kubelet's own, and every Secret that is mounted)."""
    return tuple(map(_stamp_behind, paths))


def _stamp_behind(path: Path) -> Stamp | None:
    try:
        return stamp_of(path.stat())
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


def names(place: Place) -> list[str]:
    """Returns the names in a folder, sorted; none where it is no folder. Raises OSError."""
    try:
        fd = place.open(os.O_RDONLY | os.O_DIRECTORY)
    except NotADirectoryError:
        return []
    try:
        return sorted(os.listdir(fd))
    finally:
        os.close(fd)
