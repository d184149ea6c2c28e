"""Atomic file writes: a reader sees the old file or the new one, with the right mode from its first byte."""

from __future__ import annotations

import errno
import os
import pwd
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from quorate.errors import HostError
from quorate.foreign import deletion
from quorate.foreign.aside import new_beside, remove_if, sweep, sync, written
from quorate.foreign.inside import holder
from quorate.foreign.local_files import distrust
from quorate.foreign.places import Stamp
from quorate.foreign.trust import distrust_way


def write_atomic(path: Path, content: bytes, *, mode: int) -> None:
    """Writes `content` to `path` through a temporary file next to it, fsynced, then renamed. Raises `HostError`.

    A symlink at `path` is replaced, not followed.
    """
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            write_into(folder, path.name, content, mode=mode)
        finally:
            os.close(folder)
    except OSError as error:
        raise HostError(f"cannot write {path}: {error.strerror}", advice="free some space or check the permissions") from error


def write_into(folder: int, name: str, content: bytes, *, mode: int) -> None:
    """Writes as `write_atomic` does, to a name in an open folder. Raises OSError."""
    with staged(folder, name, content, mode=mode) as put:
        put()


def create_into(folder: int, name: str, content: bytes, *, mode: int) -> None:
    """Writes the whole file at once, where there is none. Raises OSError; FileExistsError, and changes nothing, where something
    has that name: a rename would replace what another program put there since it was looked for."""
    with beside(folder, name, content, mode=mode, like=None) as aside:
        os.link(aside, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        sync(folder)


@contextmanager
def staged(
    folder: int, name: str, content: bytes, *, mode: int, like: os.stat_result | None = None
) -> Iterator[Callable[[], None]]:
    """Writes content next to its place in an open folder, for the block, and yields the function that renames it there. `like`:
    the file at that place, whose owner, group, access list and label the new one gets. Raises OSError."""
    with beside(folder, name, content, mode=mode, like=like) as aside:

        def put() -> None:
            os.rename(aside, name, src_dir_fd=folder, dst_dir_fd=folder)
            sync(folder)

        yield put


@contextmanager
def beside(
    folder: int,
    name: str,
    content: bytes,
    *,
    mode: int,
    like: os.stat_result | None,
    named: Callable[[str], str] = written,
) -> Iterator[str]:
    """Yields the name of a new, synced file next to `name`, which is deleted at the end unless it was renamed. Deletes those
    that killed writers have left in the folder, which may hold private keys; what a killed exchange has left, and may be the
    only old key, once this file has its place."""
    with suppress(OSError):
        # What cannot be looked at stays: a write does not fail for that.
        sweep(folder, "")
    aside, fd = new_beside(folder, name, mode & 0o600, named)
    made = os.fstat(fd)
    try:
        with os.fdopen(fd, "wb") as file:
            if like is not None:
                _give(fd, like)
            os.fchmod(fd, mode)
            if like is not None:
                _copy_attributes(f"/proc/self/fd/{folder}/{name}", fd)
            file.write(content)
            file.flush()
            os.fsync(fd)
            # Open until it has its place: its lock says that its writer lives.
            yield aside
    except BaseException:
        # What was displaced, and has no other name, is not deleted.
        _unlink(folder, aside, made)
        raise
    _unlink(folder, aside)
    with suppress(OSError):
        sweep(folder, name)


def _unlink(folder: int, name: str, only: os.stat_result | None = None) -> None:
    """Deletes a file beside its place. What stays is swept by the next write."""
    with suppress(OSError):
        if only is None or os.path.samestat(os.stat(name, dir_fd=folder, follow_symlinks=False), only):
            os.unlink(name, dir_fd=folder)


def _give(fd: int, like: os.stat_result) -> None:
    made = os.fstat(fd)
    if (made.st_uid, made.st_gid) != (like.st_uid, like.st_gid):
        os.fchown(fd, like.st_uid, like.st_gid)


_ATTRIBUTES = ("system.posix_acl_access", "security.selinux")


def _copy_attributes(source: str, fd: int) -> None:
    """Copies what else decides who may read a file. Others, such as a hash of its content, would be wrong for the new one."""
    for name in _ATTRIBUTES:
        wanted = _attribute(source, name)
        if wanted is not None and wanted != _attribute(fd, name):
            os.setxattr(fd, name, wanted)


def _attribute(where: str | int, name: str) -> bytes | None:
    try:
        # A link that somebody puts there in between would give the access list of any file.
        return os.getxattr(where, name, follow_symlinks=isinstance(where, int))
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.ENOTSUP):
            return None
        raise


def open_log(path: Path) -> int:
    """Opens a file of the user for lines at its end; a new one has mode 0600. Returns its descriptor. Raises `HostError` for a
    file that another user could change or read through another name, and for a link of another user on the way: what is
    appended must not land elsewhere."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        with holder(Path("/"), os.path.abspath(path)) as place:
            fd = os.open(place.name or ".", flags, 0o600, dir_fd=place.folder)
    except OSError as error:
        why = "it is a symlink, and is not followed" if error.errno == errno.ELOOP else error.strerror
        raise HostError(f"cannot open the log {path}: {why}", state="nothing was changed") from error
    status = os.fstat(fd)
    doubt = distrust(status, fd)
    if not stat.S_ISREG(status.st_mode):
        doubt = "it is not a regular file"
    elif status.st_nlink > 1:
        doubt = "it has several names"
    if doubt:
        os.close(fd)
        raise HostError(f"the log {path} is not used: {doubt}", state="nothing was changed", advice="choose a file of your own")
    return fd


def make_one(folder: int, name: str, mode: int) -> None:
    """Makes a folder in an open one, with this mode whatever the umask; its mode is never wider. Raises OSError."""
    os.mkdir(name, mode & 0o700, dir_fd=folder)
    fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.fchmod(fd, mode)
    finally:
        os.close(fd)


def make_folder(path: Path, *, mode: int = 0o700) -> None:
    """Creates `path` and its missing parents, each with this mode whatever the umask; an existing folder keeps its mode.
    Raises `HostError`."""
    try:
        for missing in reversed([one for one in (path, *path.parents) if not os.path.lexists(one)]):
            _make_one(missing, mode)
        if not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    except OSError as error:
        raise HostError(f"cannot create the directory {path}: {error.strerror}", advice="choose another directory") from error


def _make_one(path: Path, mode: int) -> None:
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(FileExistsError):
            make_one(folder, path.name, mode)
    finally:
        os.close(folder)


def private_folder(path: Path) -> Path:
    """Makes a folder of ours, or uses the existing one, and returns it. Raises `HostError` when another user could write to
    it or replace it: we trust what lies there, and what we write there must not land elsewhere."""
    make_folder(path)
    doubt = "it is a symlink" if path.is_symlink() else distrust_way(path)
    if doubt:
        raise HostError(
            f"{path} cannot be used: {doubt}",
            state="nothing was changed",
            advice="choose a directory of your own, or fix its owner and mode",
        )
    return path


def user_folder(variable: str, *below_home: str) -> Path:
    """Returns the base folder that an XDG variable names, else the one below the home directory. root with the HOME of another
    user (sudo) uses root's own home: the other user could put anything into theirs."""
    given = os.environ.get(variable)
    if given:
        return Path(given)
    try:
        # An empty HOME would mean the root directory.
        home = Path.home() if os.environ.get("HOME") != "" else None
    except RuntimeError:
        home = None
    if home is None:
        raise HostError("this user has no home directory", advice=f"set {variable} to a directory of your own")
    if os.geteuid() == 0 and distrust_way(home):
        home = Path(pwd.getpwuid(0).pw_dir)
    return home.joinpath(*below_home)


def state_folder() -> Path:
    """Returns our folder of journals and reservations; creates it where it is missing. Raises `HostError`."""
    return private_folder(state_place())


def state_place() -> Path:
    """Returns where that folder is, or would be. Raises `HostError`."""
    return user_folder("XDG_STATE_HOME", ".local", "state") / "quorate"


def remove_tree(folder: Path) -> None:
    """Deletes a folder of ours, but nothing mounted below it; refuses a symlink in its place instead of following it.
    Raises `HostError`."""
    if folder.is_symlink():
        raise HostError(f"{folder} is a symlink and is not followed; nothing was deleted")
    deletion.remove(os.path.abspath(folder))


def remove_if_empty(folder: Path) -> None:
    """Deletes a folder that is empty; one in which somebody has put something stays."""
    with suppress(OSError):
        folder.rmdir()


def remove_file_if(path: Path, seen: Stamp) -> None:
    """Deletes the file that was seen; does nothing when there is none. Raises `HostError`, and leaves it, where it is another
    one."""
    try:
        with suppress(FileNotFoundError):
            folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                is_deleted = remove_if(folder, path.name, seen)
            finally:
                os.close(folder)
            if not is_deleted:
                raise HostError(f"{path} was written by another program since: it was left as it is")
    except OSError as error:
        raise HostError(f"cannot delete {path}: {error.strerror}") from error


def remove_file(path: Path) -> None:
    """Deletes a file or a link; does nothing when there is none. Raises `HostError`."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise HostError(f"cannot delete {path}: {error.strerror}") from error
