"""A file lock that allows one command at a time on a directory, and names its holder."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from quorate.deadline import Clock, Deadline
from quorate.errors import HostError, Refused
from quorate.files import remove_file
from quorate.foreign.documents import RECORD, BadDocument, read_object
from quorate.foreign.values import integer_of, text_of

_POLL_SECONDS = 0.1
_MARK = b'{"pid": '
_UNKNOWN = "another quorate command"


@contextmanager
def hold(
    path: Path,
    *,
    command: str,
    clock: Clock,
    seconds: float,
    tell: Callable[[str], None],
    prepare: Callable[[], object],
    what: str = "this directory",
) -> Iterator[Held]:
    """Holds the lock at `path` for the block, and waits up to `seconds` for another holder.

    The kernel releases the lock when the process ends, however it ends. `tell` is called for each holder, with a line that
    names it. `prepare` is called before the file is opened, each time: a holder may delete it, and its directory. It makes the
    directory, or raises. `what`: what the lock is for, in messages. Raises `Refused`, which names the holder, when time runs
    out.
    """
    fd = _take(path, _Wait(clock, Deadline(clock, seconds, "waiting for another command"), tell, what), prepare)
    try:
        # The new name before the old one goes: killed in between, an empty file would no longer show that it is ours.
        text = json.dumps({"pid": os.getpid(), "command": command}).encode()
        os.pwrite(fd, text, 0)
        os.ftruncate(fd, len(text))
        yield Held(fd, path)
    finally:
        os.close(fd)


@dataclass(frozen=True, slots=True)
class Held:
    """A lock that is held."""

    fd: int
    path: Path

    def remove(self) -> None:
        """Deletes the file, while the lock is held: who waits for it finds the path gone, and makes it anew. One that another
        command holds there by now stays: somebody has deleted ours."""
        if _is_at(self.fd, self.path):
            remove_file(self.path)


def is_ours(path: Path) -> bool:
    """Returns whether the file at `path` is absent, empty, or written by `hold`: no other file is used as a lock."""
    content = _start_of(path)
    return content is not None and (not content or content.startswith(_MARK))


def was_held(path: Path) -> bool:
    """Returns whether `hold` has held the lock at `path` at some time."""
    return (_start_of(path) or b"").startswith(_MARK)


def _start_of(path: Path) -> bytes | None:
    """Returns the first bytes of the file, none where there is no file; None for what is no regular file, or unreadable."""
    try:
        # Without O_NONBLOCK, a FIFO with that name would never open.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        return b"" if error.errno == errno.ENOENT else None
    try:
        return os.pread(fd, len(_MARK), 0) if stat.S_ISREG(os.fstat(fd).st_mode) else None
    finally:
        os.close(fd)


@dataclass(slots=True)
class _Wait:
    clock: Clock
    deadline: Deadline
    tell: Callable[[str], None]
    what: str
    named: str = ""

    def once(self, holder: str) -> None:
        if self.deadline.expired:
            raise Refused(
                f"{holder} works on {self.what}",
                state="nothing was changed",
                advice="wait for it to end, then run this command again",
            )
        if holder != self.named:
            self.tell(f"waiting for {holder}, which works on {self.what}")
            self.named = holder
        self.clock.sleep(_POLL_SECONDS)


def _take(path: Path, wait: _Wait, prepare: Callable[[], object]) -> int:
    """Returns the descriptor of the locked file that is at `path`: a lock on one that was deleted excludes nobody."""
    while True:
        prepare()
        fd = _open(path)
        if fd is None:
            wait.once(_UNKNOWN)
            continue
        try:
            while not _try_lock(fd):
                wait.once(_holder(fd))
            if _is_at(fd, path):
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)


def _open(path: Path) -> int | None:
    """Returns a descriptor of the file, made where it is missing; None when its directory was deleted since it was prepared."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        fd = os.open(path, flags, 0o600)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise HostError(
            f"cannot open the lock {path}: {error.strerror}",
            state="nothing was changed",
            advice="choose a directory that you can write to",
        ) from error
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise HostError(f"the lock {path} is not a regular file", state="nothing was changed", advice="remove it")
    return fd


def _is_at(fd: int, path: Path) -> bool:
    try:
        there = path.lstat()
    except OSError:
        return False
    return os.path.samestat(there, os.fstat(fd))


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(fd: int) -> str:
    try:
        holder = read_object(os.pread(fd, 4096, 0), "the lock", RECORD)
    except BadDocument:
        return _UNKNOWN
    return f"'quorate {text_of(holder.get('command'))[:80]}' (pid {integer_of(holder.get('pid'))})"
