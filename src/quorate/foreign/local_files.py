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
from pathlib import Path

from quorate.errors import ConfigError, HostError


def read_at_most(path: Path, most_bytes: int) -> bytes:
    """Returns the content of a file that a user named. Raises `ConfigError`, also for one that is larger."""
    try:
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    if len(content) > most_bytes:
        raise ConfigError(f"{path} has more than {most_bytes} bytes")
    return content


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
        doubt = "it is no file" if not stat.S_ISREG(status.st_mode) else distrust(status)
        if doubt:
            raise HostError(
                f"{what} {path} is not believed: {doubt}",
                advice="run this as its owner; or see who wrote it, and delete it",
            )
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise HostError(f"{what} {path} has more than {most_bytes} bytes: it is not ours")
    return content


def distrust(status: os.stat_result) -> str:
    """Returns why somebody else could have written there; empty when nobody could."""
    if status.st_uid not in (0, os.geteuid()):
        return f"user {status.st_uid} owns it"
    if stat.S_ISLNK(status.st_mode):
        return ""
    by_group = status.st_mode & stat.S_IWGRP and not _is_private(status.st_gid)
    if by_group or status.st_mode & stat.S_IWOTH:
        return f"others may write to it (mode {stat.S_IMODE(status.st_mode):o})"
    return ""


def _is_private(gid: int) -> bool:
    """Whether nobody but us and root is in a group: many systems give each user one of his own, with files of mode 0664."""
    ours = {0, os.geteuid()}
    try:
        members = {pwd.getpwnam(name).pw_uid for name in grp.getgrgid(gid).gr_mem}
    except KeyError:
        return False
    return members <= ours and all(user.pw_uid in ours for user in pwd.getpwall() if user.pw_gid == gid)


def distrust_way(path: Path) -> str:
    """Returns which folder or link on the way to `path` somebody else could replace, and why; empty when nobody could.

    A folder with the sticky bit (/tmp) keeps what is in it from all but its owner, so what is ours there is ours; a link is
    believed only where nobody else may write at all.
    """
    try:
        resolved = path.resolve(strict=True)
        for here in (resolved, *resolved.parents):
            status = here.stat()
            doubt = distrust(status)
            if doubt and not (here != resolved and status.st_uid in (0, os.geteuid()) and status.st_mode & stat.S_ISVTX):
                return f"{here}: {doubt}"
        for here in (path.absolute(), *path.absolute().parents):
            if here.is_symlink() and (doubt := distrust(here.lstat()) or distrust(here.parent.stat())):
                return f"the link {here}: {doubt}"
    except (OSError, RuntimeError) as error:
        return f"{path}: {getattr(error, 'strerror', '') or error}"
    return ""
