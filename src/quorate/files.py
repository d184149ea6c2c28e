"""Files that are either the old or the new one, with the right mode from their first byte."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

from quorate.errors import HostError


def write_atomic(path: Path, content: bytes, *, mode: int) -> None:
    """Write `content` to `path` through a temporary neighbour, fsynced, then renamed. Raises `HostError`.

    A symlink at `path` is replaced, not followed.
    """
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        with os.fdopen(fd, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.rename(path)
        _sync_folder(path.parent)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise HostError(f"cannot write {path}: {error.strerror}", advice="free some space or check the permissions") from error


def make_folder(path: Path, *, mode: int = 0o700) -> None:
    """Create `path` and what is missing above it; an existing folder keeps its mode. Raises `HostError`."""
    try:
        path.mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as error:
        raise HostError(f"cannot create the directory {path}: {error.strerror}", advice="choose another directory") from error


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def remove_tree(folder: Path) -> None:
    """Delete a folder of ours; a symlink in its place is refused rather than followed."""
    if folder.is_symlink():
        raise HostError(f"{folder} is a symlink: it is not followed, nothing was deleted")
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise HostError(f"cannot delete {error.filename or folder}: {error.strerror}") from error
