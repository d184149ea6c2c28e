"""Files that are either the old or the new one, with the right mode from their first byte."""

from __future__ import annotations

import errno
import os
import pwd
import secrets
from contextlib import suppress
from pathlib import Path

from quorate.errors import HostError
from quorate.foreign import deletion
from quorate.foreign.trust import distrust_way


def write_atomic(path: Path, content: bytes, *, mode: int) -> None:
    """Write `content` to `path` through a temporary neighbour, fsynced, then renamed. Raises `HostError`.

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
    """As `write_atomic`, a name in an open folder. Raises OSError."""
    aside = f".{name}.{secrets.token_hex(4)}"
    try:
        fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=folder)
        with os.fdopen(fd, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.rename(aside, name, src_dir_fd=folder, dst_dir_fd=folder)
        _sync(folder)
    except OSError:
        with suppress(FileNotFoundError):
            os.unlink(aside, dir_fd=folder)
        raise


def _sync(folder: int) -> None:
    # A folder that was opened for walking only cannot be synced.
    fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_one(folder: int, name: str, mode: int) -> None:
    """Make a folder in an open one, with this mode whatever the umask, and never wider, not for a moment. Raises OSError."""
    os.mkdir(name, mode & 0o700, dir_fd=folder)
    fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.fchmod(fd, mode)
    finally:
        os.close(fd)


def make_folder(path: Path, *, mode: int = 0o700) -> None:
    """Create `path` and what is missing above it, each with this mode whatever the umask; an existing folder keeps its mode.
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
    """Make a folder of ours, or take the one that is there, and return it. Raises `HostError` when somebody else could write
    to it, or put another in its place: what lies there is believed, and what we write there must not land elsewhere."""
    make_folder(path)
    doubt = "it is a symlink" if path.is_symlink() else distrust_way(path)
    if doubt:
        raise HostError(
            f"{path} cannot be used: {doubt}",
            state="nothing was changed",
            advice="choose a directory of your own, or mend its owner and mode",
        )
    return path


def user_folder(variable: str, *below_home: str) -> Path:
    """Returns the base folder that an XDG variable names, or the one below the home directory. root with the HOME of another
    user (sudo) uses its own: that user could put anything there."""
    given = os.environ.get(variable)
    if given:
        return Path(given)
    try:
        home = Path.home()
    except RuntimeError:
        raise HostError("this user has no home directory", advice=f"set {variable} to a directory of your own") from None
    if os.geteuid() == 0 and distrust_way(home):
        home = Path(pwd.getpwuid(0).pw_dir)
    return home.joinpath(*below_home)


def state_folder() -> Path:
    """Returns our folder of journals and reservations, made if need be. Raises `HostError`."""
    return private_folder(user_folder("XDG_STATE_HOME", ".local", "state") / "quorate")


def remove_tree(folder: Path) -> None:
    """Delete a folder of ours, but nothing that is mounted below it; a symlink in its place is refused rather than followed.
    Raises `HostError`."""
    if folder.is_symlink():
        raise HostError(f"{folder} is a symlink: it is not followed, nothing was deleted")
    deletion.remove(os.path.abspath(folder))


def empty_folder(folder: Path) -> None:
    """Delete what is in a folder; the folder stays. Raises `HostError`."""
    deletion.empty(os.path.abspath(folder))


def remove_file(path: Path) -> None:
    """Delete a file or a link; absence is fine. Raises `HostError`."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise HostError(f"cannot delete {path}: {error.strerror}") from error
