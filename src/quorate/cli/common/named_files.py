"""Writes to what the user names: a file, a device, a pipe, standard output. A file is exchanged at once, or not at all; what is
no file is opened and written, and stays what it is: /dev/null as a file of ours would break the host."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from quorate.errors import HostError
from quorate.foreign.inside import Place, target
from quorate.foreign.numbers import are_digits
from quorate.tree import NewContent, RealTree

_HOST = Path("/")
_STANDARD = {"/dev/stdout": 1, "/dev/stderr": 2}
_MOST_DIGITS = 8
_DESCRIPTORS = ("/dev/fd/", "/proc/self/fd/")


def content_of(path: Path) -> bytes | None:
    """Returns what a file holds; None where there is none, and for what is no file. Raises `HostError` when it cannot be
    read."""
    name = os.path.abspath(path)
    if _descriptor(name) is not None:
        return None
    status = _status(name)
    return RealTree().read(name) if status is not None and stat.S_ISREG(status.st_mode) else None


def write_named(path: Path, content: bytes, *, mode: int, instead_of: bytes | None) -> None:
    """Writes `content` to `path`. An existing file keeps owner and mode, also one that a trusted link leads to; a new one gets
    `mode`. `instead_of`: what `content_of` returned before. Raises `HostError`, and leaves what is there, where another program
    has written the file since."""
    name = os.path.abspath(path)
    descriptor = _descriptor(name)
    if descriptor is not None:
        with _told(name):
            _write_all(os.dup(descriptor), content)
        return
    status = _status(name)
    if status is None:
        RealTree().create(name, content, mode=mode, secret=True)
    elif stat.S_ISREG(status.st_mode):
        RealTree().exchange(NewContent(name, content, mode, instead_of))
    else:
        with _told(name), target(_HOST, name) as place:
            _write_all(_opened(place), content)


def is_stream(path: Path) -> bool:
    """Returns whether a device, a pipe or an open descriptor is there, which needs no folder for a new file."""
    if _descriptor(os.path.abspath(path)) is not None:
        return True
    return path.exists() and not path.is_file() and not path.is_dir()


def _descriptor(name: str) -> int | None:
    """Returns the open descriptor that a path stands for. Opened by its path, a file behind it would be written from its
    start."""
    folder, slash, number = name.rpartition("/")
    if folder + slash in _DESCRIPTORS and are_digits(number) and len(number) < _MOST_DIGITS:
        return int(number)
    return _STANDARD.get(name)


def _status(name: str) -> os.stat_result | None:
    with _told(name), target(_HOST, name) as place:
        return place.status()


def _opened(place: Place) -> int:
    """Returns a descriptor of a device or a pipe. Raises `HostError` for anything else, before it is opened and after."""
    status = place.status()
    if status is not None:
        _refuse(place, status)
    fd = place.open(os.O_WRONLY | os.O_NOCTTY)
    try:
        _refuse(place, os.fstat(fd))
    except HostError:
        os.close(fd)
        raise
    return fd


def _refuse(place: Place, status: os.stat_result) -> None:
    """Raises `HostError` for a pipe of another user, who would read what is secret, and for a disk, which would be lost."""
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFCHR or (kind == stat.S_IFIFO and status.st_uid in (0, os.geteuid())):
        return
    why = f"it is a pipe of user {status.st_uid}" if kind == stat.S_IFIFO else "it is neither a file, a pipe nor a terminal"
    raise HostError(f"{place.path} is not written: {why}", state="nothing was changed", advice="name a file of your own")


def _write_all(fd: int, content: bytes) -> None:
    with os.fdopen(fd, "wb") as stream:
        stream.write(content)


@contextmanager
def _told(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise HostError(
            f"cannot write {name}: {error.strerror}", state="nothing was changed", advice="name another file, or fix this one"
        ) from error
