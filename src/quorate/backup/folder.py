"""A store of backups in a folder of this machine.

<cluster id>/20261127T034512Z-1042.db      the snapshot, as etcd sent it
<cluster id>/20261127T034512Z-1042.json    its manifest, written last
<cluster id>/20261127T030000Z.claim.0      which host makes the backup of that period
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from quorate import files
from quorate.errors import HostError
from quorate.foreign.aside import meant_for, new_beside, sweep, sync, written
from quorate.foreign.local_files import read_at_most, regular

_MODE = 0o600


@dataclass(frozen=True, slots=True)
class Stored:
    """A file in a store: its name, with the folders below the store's, its size in bytes, and its time in unix seconds."""

    name: str
    size: int
    modified: float


@dataclass(slots=True)
class Arriving:
    """A file that is being written, invisible until it gets its name."""

    fd: int
    aside: str
    folder: int
    path: Path

    def keep(self, name: str) -> None:
        """Syncs the file, and gives it its name. Raises `HostError`; where a file has that name, it stays as it is."""
        try:
            os.fsync(self.fd)
            os.link(self.aside, name, src_dir_fd=self.folder, dst_dir_fd=self.folder, follow_symlinks=False)
            sync(self.folder)
        except FileExistsError as error:
            raise HostError(
                f"{self.path / name} is there already, and was left as it is",
                state="nothing was saved",
                advice="name another file; where it is a backup, run the same command again: its name has the second in it",
            ) from error
        except OSError as error:
            raise self.failed(error, name) from error

    def failed(self, error: OSError, name: str = "") -> HostError:
        return HostError(
            f"cannot write {self.path / name if name else self.path}: {error.strerror}",
            state="nothing was saved",
            advice="free some space, or see what is there",
        )


@dataclass(frozen=True, slots=True)
class FolderStore:
    """Backups below `root`, which only we may read: they hold every secret of a cluster."""

    root: Path

    @property
    def place(self) -> str:
        return str(self.root)

    def free_bytes(self) -> int | None:
        """Returns how much can be written there; None where that is not known."""
        there = next((one for one in (self.root, *self.root.absolute().parents) if one.is_dir()), None)
        try:
            found = os.statvfs(there) if there is not None else None
        except OSError:
            return None
        return found.f_bavail * found.f_frsize if found is not None else None

    @contextmanager
    def arriving(self, folder: str, name: str) -> Iterator[Arriving]:
        """Makes a file in a folder of the store, for the block. It is gone afterwards, unless it got its name. Deletes what
        killed runs have left. Raises `HostError`."""
        where = self._made(folder)
        try:
            held = os.open(where, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise HostError(f"cannot write to {where}: {error.strerror}") from error
        try:
            with suppress(OSError):
                sweep(held)
            aside, fd = self._new(held, where, name)
            try:
                yield Arriving(fd, aside, held, where)
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(aside, dir_fd=held)
                os.close(fd)
        finally:
            os.close(held)

    def _new(self, held: int, where: Path, name: str) -> tuple[str, int]:
        try:
            return new_beside(held, name, _MODE, written)
        except OSError as error:
            raise HostError(
                f"cannot write to {where}: {error.strerror}", advice="free some space or check the permissions"
            ) from error

    def _made(self, folder: str) -> Path:
        files.private_folder(self.root)
        return files.private_folder(self.root / folder)

    def create(self, name: str, content: bytes) -> bool:
        """Writes a small file at once, where there is none; returns False, and changes nothing, where there is one."""
        path = self.root / name
        held = os.open(self._made(str(Path(name).parent)), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            files.create_into(held, path.name, content, mode=_MODE)
        except FileExistsError:
            return False
        except OSError as error:
            raise HostError(
                f"cannot write {path}: {error.strerror}", advice="free some space or check the permissions"
            ) from error
        finally:
            os.close(held)
        return True

    def replace(self, name: str, content: bytes) -> None:
        """Writes a small file over the one that is there. Raises `HostError`."""
        files.write_atomic(self.root / name, content, mode=_MODE)

    def read(self, name: str, most_bytes: int) -> bytes:
        """Returns a small file. Raises `ConfigError`."""
        return read_at_most(self.root / name, most_bytes)

    def open(self, name: str) -> BinaryIO:
        """Opens a file to be read. Raises `HostError`."""
        try:
            return regular(self.root / name)
        except OSError as error:
            raise HostError(f"cannot read {self.root / name}: {error.strerror}") from error

    def path(self, name: str) -> Path:
        """Returns where a file lies, for what reads files by their names."""
        return self.root / name

    def stored(self) -> list[Stored]:
        """Returns the files of every cluster, in the order of their names; none where there is no store. Raises `HostError`."""
        found: list[Stored] = []
        try:
            for folder in sorted(self.root.iterdir()) if self.root.exists() else ():
                if folder.is_dir() and not folder.is_symlink():
                    found += [one for path in sorted(folder.iterdir()) if (one := _stored(folder, path)) is not None]
        except OSError as error:
            raise HostError(
                f"cannot read {self.root}: {error.strerror}", advice="check the path, and who may read it"
            ) from error
        return found

    def delete(self, name: str) -> None:
        """Deletes a file, and syncs its folder. Raises `HostError`."""
        path = self.root / name
        try:
            path.unlink(missing_ok=True)
            held = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                sync(held)
            finally:
                os.close(held)
        except OSError as error:
            raise HostError(f"cannot delete {path}: {error.strerror}") from error


class PlainFolder(FolderStore):
    """A folder of the user's in which single files are saved, each for us alone to read; the folder stays as it is."""

    __slots__ = ()

    def _made(self, folder: str) -> Path:
        return self.root / folder


def _stored(folder: Path, path: Path) -> Stored | None:
    if meant_for(path.name) or path.is_symlink() or not path.is_file():
        return None
    status = path.stat()
    return Stored(f"{folder.name}/{path.name}", status.st_size, status.st_mtime)
