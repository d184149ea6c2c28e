"""Folders for what is needed for a while only: gone at the end, and those of killed runs before the next one begins."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from quorate.errors import HostError
from quorate.foreign.trust import distrust_way

_RUN = re.compile(r"[0-9a-f]{8}")


@contextmanager
def work_in(folder: Path, begin: str) -> Iterator[Path]:
    """Yields a new folder whose name begins so. It is deleted at the end, and so are those of killed runs, before: each holds
    every secret of a cluster."""
    if not folder.is_dir():
        raise HostError(
            f"there is no directory {folder}", state="nothing was changed", advice="make it, with its owner and mode"
        )
    if doubt := distrust_work(folder):
        raise HostError(f"{folder} cannot be used: {doubt}", state="nothing was changed")
    sweep(folder, begin)
    held = folder / f"{begin}{secrets.token_hex(4)}"
    try:
        held.mkdir(0o700)
        lock = os.open(held, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise HostError(f"cannot write to {folder}: {error.strerror}", state="nothing was changed") from error
    try:
        with suppress(OSError):
            # Where there are no locks, no other run sweeps, either.
            fcntl.flock(lock, fcntl.LOCK_SH)
        yield held
    finally:
        shutil.rmtree(held, ignore_errors=True)
        os.close(lock)


def distrust_work(folder: Path) -> str:
    """Returns why others could take away or exchange what we make in a folder; empty where they could not. In one with a sticky
    bit, as /var/tmp has, each may make files, and move its own only."""
    try:
        status = folder.lstat()
    except OSError as error:
        return error.strerror or "it cannot be looked at"
    is_sticky = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX and status.st_uid in (0, os.geteuid())
    return distrust_way(folder.absolute().parent if is_sticky else folder)


@contextmanager
def new_file(path: Path) -> Iterator[int]:
    """Yields a new file for us alone, open for writing. Raises OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        yield fd
    finally:
        os.close(fd)


def sweep(folder: Path, begin: str) -> None:
    """Deletes the folders of killed runs. The lock of one that lives is held."""
    for path in folder.iterdir():
        if path.name.startswith(begin) and is_run(path.name.removeprefix(begin)):
            with suppress(OSError), _locked_alone(path) as is_ours:
                if is_ours:
                    shutil.rmtree(path)


def is_left(folder: Path) -> bool:
    """Returns whether the folder of a run is ours, and that run was killed."""
    try:
        with _locked_alone(folder) as is_ours:
            return is_ours
    except OSError:
        return False


@contextmanager
def _locked_alone(path: Path) -> Iterator[bool]:
    """Yields whether we own a folder, which is locked for the block. Raises OSError where its run lives."""
    found = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(found, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield os.fstat(found).st_uid == os.geteuid()
    finally:
        os.close(found)


def is_run(text: str) -> bool:
    """Returns whether a text is what `work_in` puts behind the beginning of a name."""
    return _RUN.fullmatch(text) is not None


def free_bytes(path: Path) -> int | None:
    """Returns how many bytes fit there, or into the nearest folder above it that there is; None where that is not known."""
    there = next(one for one in (path, *path.absolute().parents) if one.is_dir())
    try:
        room = os.statvfs(there)
    except OSError:
        return None
    return room.f_bavail * room.f_frsize
