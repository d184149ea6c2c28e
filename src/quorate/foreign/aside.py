"""Files beside their place: a write puts its file there first, a deletion puts away what it deletes. What killed runs have left
of both may hold private keys, and is swept."""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from quorate.errors import HostError
from quorate.foreign.kernel import rename_new
from quorate.foreign.places import Stamp, stamp_at

_MARK = "quorate-"
_WRITTEN_DIGITS, _EXCHANGED_DIGITS, _PUT_DIGITS = 8, 12, 16
_HEX = "0123456789abcdef"
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def meant_for(name: str) -> str:
    """Returns the name of the file that a file beside it was written for, or put away from; empty for one that is no such
    file."""
    return next(filter(None, (_meant_for(name, one) for one in (_WRITTEN_DIGITS, _EXCHANGED_DIGITS, _PUT_DIGITS))), "")


def _meant_for(name: str, digits: int) -> str:
    start, last = name[:-digits], name[-digits:]
    is_one = start.startswith(".") and start.endswith(f".{_MARK}") and not last.strip(_HEX)
    return start.removeprefix(".").removesuffix(f".{_MARK}") if is_one else ""


def written(name: str) -> str:
    """Returns a new name beside a file, for one that is being written."""
    return f".{name}.{_MARK}{os.urandom(_WRITTEN_DIGITS // 2).hex()}"


def exchanged(name: str) -> str:
    """Returns a new name beside a file, for one that is going to be exchanged with it: by then it is the old one's."""
    return f".{name}.{_MARK}{os.urandom(_EXCHANGED_DIGITS // 2).hex()}"


def new_beside(folder: int, name: str, mode: int, named: Callable[[str], str]) -> tuple[str, int]:
    """Returns the name and the descriptor of a new file that is locked. Before it is, a sweep may take it for one that was
    left: then another is made."""
    while True:
        aside = named(name)
        fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=folder)
        if _is_locked(fd) is not False and os.fstat(fd).st_nlink:
            return aside, fd
        os.close(fd)


def remove_if(folder: int, name: str, seen: Stamp) -> bool:
    """Deletes the file of an open folder that was seen, and returns True. Returns False, and leaves the file, where it is
    another one. Raises OSError; FileNotFoundError where there is none.

    Another file is not touched. The one is given another name first, and looked at again there: what another program writes
    between a look and the deletion would be lost. The kubelet reads no name that begins with a dot. The other name tells which
    file was meant, so that a sweep deletes no other when this run is killed in between. Where it cannot be moved, as on a full
    disk, it is looked at once more and deleted in its place.
    """
    found = stamp_at(name, dir_fd=folder)
    if found is None:
        raise FileNotFoundError(name)
    if found != seen:
        return False
    aside = f".{name}.{_MARK}{_digits_of(seen)}"
    with locked(folder, name):
        try:
            rename_new(name, aside, src_dir_fd=folder, dst_dir_fd=folder)
        except FileNotFoundError:
            raise
        except OSError:
            return _remove_in_place(folder, name, seen)
        is_gone = _judge(folder, aside, name, seen)
    sync(folder)
    return is_gone


def _digits_of(seen: Stamp) -> str:
    # Not the device, whose number another boot may change.
    told = f"{seen.inode} {seen.modified_ns} {seen.size} {seen.born_ns}"
    return hashlib.sha256(told.encode()).hexdigest()[:_PUT_DIGITS]


def _remove_in_place(folder: int, name: str, seen: Stamp) -> bool:
    if stamp_at(name, dir_fd=folder) != seen:
        return False
    os.unlink(name, dir_fd=folder)
    sync(folder)
    return True


def _judge(folder: int, aside: str, name: str, seen: Stamp) -> bool:
    found = stamp_at(aside, dir_fd=folder)
    if found is None:
        # A sweep was faster. It has deleted what was meant, or given back what was not.
        return stamp_at(name, dir_fd=folder) is None
    if found == seen:
        with suppress(FileNotFoundError):
            os.unlink(aside, dir_fd=folder)
        return True
    try:
        rename_new(aside, name, src_dir_fd=folder, dst_dir_fd=folder)
    except FileExistsError:
        raise HostError(
            f"{aside} was written by another program since, as {name}, and a newer file has that name: both were left",
            advice=f"look at both files, and keep the one that is needed as {name}",
        ) from None
    return False


@contextmanager
def locked(folder: int, name: str) -> Iterator[None]:
    """Locks the file for the block, so that no sweep takes it for one that a dead run has left. What cannot be opened, such as
    a link, is not locked, and not swept either."""
    fd = -1
    with suppress(OSError):
        fd = os.open(name, _OPEN, dir_fd=folder)
        _is_locked(fd)
    try:
        yield
    finally:
        if fd >= 0:
            os.close(fd)


def sweep(folder: int, exchanged_for: str | None = None) -> list[str]:
    """Deletes what killed writers have left in an open folder, and what killed deletions have put away there, if it is the file
    that was meant; another gets its name back. `exchanged_for`: the file beside which also those go that were exchanged with
    it, empty for none; None: all of them do. Each may be the only old key of a pair that a killed run has renewed by half: what
    is written beside others leaves it. Returns the names of those that stay, because a newer file has their name, or because
    they cannot be looked at."""
    here = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    try:
        names = [one for one in sorted(os.listdir(here)) if meant_for(one)]
        left = [one for one in names if exchanged_for is None or _meant_for(one, _EXCHANGED_DIGITS) in ("", exchanged_for)]
        return [one for one in left if not _is_settled(here, one)]
    finally:
        os.close(here)


def _is_settled(folder: int, name: str) -> bool:
    """Settles one file; returns False where it stays."""
    try:
        fd = os.open(name, _OPEN, dir_fd=folder)
    except OSError as error:
        # A link is none of ours.
        return isinstance(error, FileNotFoundError)
    try:
        return stat.S_ISREG(os.fstat(fd).st_mode) and _settle(folder, name, fd)
    except OSError:
        return False
    finally:
        os.close(fd)


def _settle(folder: int, name: str, fd: int) -> bool:
    is_free = _is_locked(fd)
    if not is_free:
        # Its run lives; or nothing tells that it does not.
        return is_free is False
    if _meant_for(name, _PUT_DIGITS):
        return _settle_put(folder, name)
    # Never another user's, unless nobody but root can have put it there: a new file gets the owner of the one that it replaces.
    of_folder = os.fstat(folder)
    is_roots = os.geteuid() == of_folder.st_uid == 0 and not of_folder.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    is_own = os.fstat(fd).st_uid == os.geteuid() or is_roots
    if is_own:
        os.unlink(name, dir_fd=folder)
    return is_own


def _settle_put(folder: int, name: str) -> bool:
    found = stamp_at(name, dir_fd=folder)
    if found is not None and name.endswith(_digits_of(found)):
        os.unlink(name, dir_fd=folder)
    elif found is not None:
        rename_new(name, _meant_for(name, _PUT_DIGITS), src_dir_fd=folder, dst_dir_fd=folder)
    sync(folder)
    return True


def _is_locked(fd: int) -> bool | None:
    """Locks an open file. Returns False where another process has locked it, None where this file system has no locks."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def sync(folder: int) -> None:
    """Writes the names of an open folder to its disk. Raises OSError."""
    # `folder` may be open with O_PATH, for walking only; such a descriptor cannot be fsynced.
    fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
