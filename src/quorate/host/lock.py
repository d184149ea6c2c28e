"""A file lock that allows one command at a time on a directory, and names its holder."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from quorate.deadline import Clock, Deadline
from quorate.errors import HostError, Refused
from quorate.foreign.documents import RECORD, BadDocument, read_object
from quorate.foreign.values import integer_of, text_of

_POLL_SECONDS = 0.1


@contextmanager
def hold(
    path: Path, *, command: str, clock: Clock, seconds: float, tell: Callable[[str], None], what: str = "this directory"
) -> Iterator[None]:
    """Holds the lock at `path` for the block, and waits up to `seconds` for another holder.

    The kernel releases the lock when the process ends, however it ends. `tell` is called once, with a line that names the
    holder. `what`: what the lock is for, in messages. Raises `Refused`, which names the holder, when time runs out.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise HostError(
            f"cannot open the lock {path}: {error.strerror}", advice="choose a directory that you can write to"
        ) from error
    try:
        _acquire(fd, clock, seconds, tell, what)
        os.ftruncate(fd, 0)
        os.pwrite(fd, json.dumps({"pid": os.getpid(), "command": command}).encode(), 0)
        yield
    finally:
        os.close(fd)


def is_ours(path: Path) -> bool:
    """Returns whether the file at `path` is absent, empty, or written by `hold`: no other file is used as a lock."""
    try:
        content = path.read_bytes()
    except OSError:
        return not path.exists()
    return not content or content.startswith(b'{"pid": ')


def was_held(path: Path) -> bool:
    """Returns whether `hold` has held the lock at `path` at some time."""
    return path.exists() and is_ours(path) and path.stat().st_size > 0


def _acquire(fd: int, clock: Clock, seconds: float, tell: Callable[[str], None], what: str) -> None:
    deadline = Deadline(clock, seconds, "waiting for another command")
    told = False
    while not _try_lock(fd):
        holder = _holder(fd)
        if deadline.expired:
            raise Refused(
                f"{holder} works on {what}",
                state="nothing was changed",
                advice="wait for it to end, then run this command again",
            )
        if not told:
            tell(f"waiting for {holder}, which works on {what}")
            told = True
        clock.sleep(_POLL_SECONDS)


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
        return "another quorate command"
    return f"'quorate {text_of(holder.get('command'))[:80]}' (pid {integer_of(holder.get('pid'))})"
