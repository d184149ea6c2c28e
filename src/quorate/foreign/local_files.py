"""Files and folders on this machine that somebody else may have made: what is believed of them.

root that follows the link of another user, runs the program that another user's file names, or ends the process that it
names, has given root to that user. So whatever is believed is owned by us or by root, and nobody else can write to it.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat
import time
from io import FileIO
from pathlib import Path

from quorate.errors import ConfigError, HostError

_PIPE_SECONDS, _PIPE_POLL_SECONDS = 10.0, 0.02


def read_at_most(path: Path, most_bytes: int) -> bytes:
    """Returns the content of a file that a user named. Raises `ConfigError`, also for one that is larger."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb", buffering=0) as file:
            content = _all_of(file, most_bytes + 1)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    if len(content) > most_bytes:
        raise ConfigError(f"{path} has more than {most_bytes} bytes")
    return content


def _all_of(file: FileIO, most_bytes: int) -> bytes:
    """Also of a pipe, as `<(command)` is one: whoever is to write into it is waited for, but not for ever."""
    content, end = bytearray(), time.monotonic() + _PIPE_SECONDS
    is_pipe = not stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    while len(content) < most_bytes:
        part = file.read(most_bytes - len(content))
        if part:
            content += part
        elif not is_pipe or (part == b"" and content) or time.monotonic() > end:
            break
        else:
            time.sleep(_PIPE_POLL_SECONDS)
    return bytes(content)


def read_trusted(path: Path, most_bytes: int, *, what: str) -> bytes | None:
    """Returns the content of a file that only we or root could have written, None when it is not there. Raises `HostError` for
    any other; `what` names it."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        why = "it is a symlink" if error.errno == errno.ELOOP else error.strerror
        raise HostError(f"cannot read {what} {path}: {why}") from error
    with os.fdopen(fd, "rb") as file:
        status = os.fstat(fd)
        doubt = "it is no file" if not stat.S_ISREG(status.st_mode) else distrust(status, fd)
        if doubt:
            raise HostError(
                f"{what} {path} is not believed: {doubt}",
                advice="run this as its owner; where others may write, see who did, and take that from them: chmod go-w",
            )
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise HostError(f"{what} {path} has more than {most_bytes} bytes: it is not ours")
    return content


def distrust(status: os.stat_result, where: int | Path | None = None) -> str:
    """Returns why somebody else could have written there; empty when nobody could. `where`: the file itself, which may have an
    access list beside its mode."""
    if status.st_uid not in (0, os.geteuid()):
        return f"user {status.st_uid} owns it"
    if stat.S_ISLNK(status.st_mode):
        return ""
    # With an access list the group's bits are its mask: any user may be named in it.
    by_group = status.st_mode & stat.S_IWGRP and (_has_access_list(where) or not _is_private(status.st_gid))
    if by_group or status.st_mode & stat.S_IWOTH:
        return f"others may write to it (mode {stat.S_IMODE(status.st_mode):o})"
    return ""


def _has_access_list(where: int | Path | None) -> bool:
    if where is None:
        return False
    try:
        # A descriptor that is open for walking only has no attributes of its own.
        return bool(os.getxattr(f"/proc/self/fd/{where}" if isinstance(where, int) else where, "system.posix_acl_access"))
    except OSError as error:
        return error.errno not in (errno.ENODATA, errno.ENOTSUP)


def _is_private(gid: int) -> bool:
    """Whether nobody but us and root is in a group: many systems give each user one of his own, with files of mode 0664."""
    ours = {0, os.geteuid()}
    try:
        members = {pwd.getpwnam(name).pw_uid for name in grp.getgrgid(gid).gr_mem}
    except KeyError:
        return False
    return members <= ours and all(user.pw_uid in ours for user in pwd.getpwall() if user.pw_gid == gid)
