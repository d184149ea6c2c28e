"""Decides which files and folders of this machine are trusted: another user may have made them.

When root follows another user's link, runs the program that another user's file names, or kills the process that it names,
that user is root. So we trust only what we or root own, and no other user can write to.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat
import sys
import time
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from quorate.errors import ConfigError, HostError

STDIN = Path("-")
_PIPE_SECONDS, _PIPE_POLL_SECONDS = 10.0, 0.02


def read_at_most(path: Path, most_bytes: int) -> bytes:
    """Returns the content of a file that the user named; - is standard input. Raises `ConfigError` when it is unreadable or too
    large."""
    try:
        content = sys.stdin.buffer.read(most_bytes + 1) if path == STDIN else _content(path, most_bytes + 1)
    except OSError as error:
        advice = "" if path == STDIN else "check the path"
        raise ConfigError(f"cannot read {shown(path)}: {error.strerror}", advice=advice) from error
    if len(content) > most_bytes:
        raise ConfigError(f"{shown(path)} has more than {most_bytes} bytes")
    return content


def regular(path: Path) -> BinaryIO:
    """Opens a regular file to be read. Raises OSError, also for anything else: a named pipe would never open."""
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return file


def shown(path: Path) -> str:
    """Returns the name of a file that the user named, for messages."""
    return "standard input" if path == STDIN else str(path)


def _content(path: Path, most_bytes: int) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, "rb", buffering=0) as file:
        return _all_of(file, most_bytes)


def _all_of(file: FileIO, most_bytes: int) -> bytes:
    """Returns the content of a file or a pipe, such as `<(command)`. Waits for a pipe's writer for at most 10 s."""
    content, end = bytearray(), time.monotonic() + _PIPE_SECONDS
    # Without a writer, a named pipe is at its end until one opens it. Nothing else is: /dev/null stays empty.
    mode = os.fstat(file.fileno()).st_mode
    is_pipe, is_file = stat.S_ISFIFO(mode), stat.S_ISREG(mode)
    while len(content) < most_bytes:
        part = file.read(most_bytes - len(content))
        if part:
            content += part
        elif is_file or (part == b"" and (content or not is_pipe)) or time.monotonic() > end:
            break
        else:
            time.sleep(_PIPE_POLL_SECONDS)
    return bytes(content)


def read_trusted(path: Path, most_bytes: int, *, what: str) -> bytes | None:
    """Returns the content of a file that only we or root could have written; None when it is missing. Raises `HostError` for
    any other file. `what`: its name in messages."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        why = "it is a symlink" if error.errno == errno.ELOOP else error.strerror
        raise HostError(f"cannot read {what} {path}: {why}") from error
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            # Before `os.fdopen`, which raises for a directory.
            kind = "a directory" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise HostError(f"{what} {path} is not trusted: it is {kind}", advice="look at what is there, and move it away")
        doubt = distrust(status, fd)
        if doubt:
            raise HostError(
                f"{what} {path} is not trusted: {doubt}",
                advice="run this as the file's owner; if others can write to it, check its content and run 'chmod go-w' on it",
            )
        with os.fdopen(fd, "rb", closefd=False) as file:
            content = file.read(most_bytes + 1)
    finally:
        os.close(fd)
    if len(content) > most_bytes:
        raise HostError(f"{what} {path} has more than {most_bytes} bytes: it is not ours")
    return content


def distrust(status: os.stat_result, where: int | Path | None = None) -> str:
    """Returns why another user could have written to a file; empty when none could. `where`: the file itself, which may have an
    access list in addition to its mode."""
    if status.st_uid not in (0, os.geteuid()):
        return f"user {status.st_uid} owns it"
    if stat.S_ISLNK(status.st_mode):
        return ""
    # With an access list the group bits are its mask: the list may name any user.
    by_group = status.st_mode & stat.S_IWGRP and (_has_access_list(where) or not _is_private(status.st_gid))
    if by_group or status.st_mode & stat.S_IWOTH:
        return f"others may write to it (mode {stat.S_IMODE(status.st_mode):o})"
    return ""


def _has_access_list(where: int | Path | None) -> bool:
    if where is None:
        return False
    try:
        # An O_PATH descriptor gives no attributes itself, its path in /proc does.
        return bool(os.getxattr(f"/proc/self/fd/{where}" if isinstance(where, int) else where, "system.posix_acl_access"))
    except OSError as error:
        return error.errno not in (errno.ENODATA, errno.ENOTSUP)


def _is_private(gid: int) -> bool:
    """Returns whether only we and root are in a group: many systems give each user a private group, and files mode 0664."""
    ours = {0, os.geteuid()}
    try:
        members = {pwd.getpwnam(name).pw_uid for name in grp.getgrgid(gid).gr_mem}
    except KeyError:
        return False
    return members <= ours and all(user.pw_uid in ours for user in pwd.getpwall() if user.pw_gid == gid)
