"""A store of backups in a folder of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from quorate import files
from quorate.backup.store import PIECE_BYTES, Stored
from quorate.errors import HostError
from quorate.foreign.aside import meant_for, new_beside, sweep, sync, written
from quorate.foreign.local_files import read_at_most, regular
from quorate.host.work_folder import free_bytes

_MODE = 0o600


@dataclass(slots=True)
class ArrivingFile:
    """A file in a folder, without a name that anybody looks for until it is kept."""

    fd: int
    aside: str
    folder: int
    path: Path

    def keep(self, name: str) -> None:
        """Syncs the file, and links it to its name: a link replaces nothing."""
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
            raise self.failed(error) from error

    def failed(self, error: OSError) -> HostError:
        return HostError(
            f"cannot write to {self.path}: {error.strerror}",
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

    def room(self) -> tuple[str, int | None]:
        return self.place, free_bytes(self.root)

    @contextmanager
    def arriving(self, folder: str, name: str) -> Iterator[ArrivingFile]:
        """Makes a file in a folder of the store. Deletes what killed runs have left."""
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
                yield ArrivingFile(fd, aside, held, where)
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
        files.write_atomic(self.root / name, content, mode=_MODE)

    def read(self, name: str, most_bytes: int) -> bytes:
        return read_at_most(self.root / name, most_bytes)

    def pieces(self, name: str) -> Iterator[bytes]:
        try:
            with regular(self.root / name) as file:
                while piece := file.read(PIECE_BYTES):
                    yield piece
        except OSError as error:
            raise HostError(f"cannot read {self.root / name}: {error.strerror}") from error

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        yield self.path(name)

    def path(self, name: str) -> Path:
        """Returns where a file lies."""
        return self.root / name

    def stored(self) -> list[Stored]:
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
