"""The files of a node below one root: really, or only in memory so that the same code shows what it would do.

Paths are absolute as the node sees them (/etc/kubernetes/admin.conf); where the tree is rooted elsewhere, the caller's real
path is prefixed and no step of ours leads out of it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from quorate.errors import HostError
from quorate.files import make_one, write_into
from quorate.foreign import deletion
from quorate.foreign.inside import Place, holder, target
from quorate.foreign.local_files import read_at_most
from quorate.report import PhaseReport, ResourceWritten, silent

Kind: TypeAlias = Literal["create", "change", "keep", "remove"]


@dataclass(frozen=True, slots=True)
class Change:
    """One file that would be written or removed. `secret`: its content is never shown."""

    path: str
    kind: Kind
    before: bytes | None
    after: bytes | None
    mode: int
    secret: bool


class Tree(Protocol):
    """What phases need of a file system."""

    def read(self, path: str) -> bytes | None:
        """The content, or None when there is no such file. Raises `HostError` when it cannot be read."""
        ...

    def tail(self, path: str, most_bytes: int) -> bytes | None:
        """The end of a file that may be large, None when there is none. Raises as `read`."""
        ...

    def write(self, path: str, content: bytes, *, mode: int, secret: bool = False) -> None:
        """The whole file at once, with this mode from its first byte; folders above are made with mode 0755."""
        ...

    def folder(self, path: str, *, mode: int) -> None:
        """Make it where it is missing; an existing one keeps its mode."""
        ...

    def names(self, path: str) -> list[str]:
        """What is in a folder, sorted; empty when there is no such folder."""
        ...

    def mode(self, path: str) -> int | None:
        """The permission bits of a file or folder, None when it is not there."""
        ...

    def is_file(self, path: str) -> bool:
        """Whether there is something that is no folder."""
        ...

    def remove(self, path: str) -> None:
        """A file, a link, or a folder with all that is in it but what is mounted there; links are not followed. Absence is
        fine. Raises `HostError` with all that is left."""
        ...

    def empty(self, path: str, *, keep: Collection[str] = ()) -> None:
        """What is in a folder goes, the folder stays; otherwise as `remove`."""
        ...

    def at(self, path: str) -> Path:
        """Where a path of the node is on this machine, for what opens it itself. Raises `HostError`."""
        ...


@dataclass(frozen=True, slots=True)
class RealTree:
    """The files below `root`. `report` is told of each that is written."""

    root: Path = Path("/")
    report: PhaseReport = silent

    def at(self, path: str) -> Path:
        """Where a path of the node really is, for libraries that open files themselves. Raises `HostError` for a link on the
        way that is not followed."""
        with self._told(path, "find"):
            try:
                with target(self.root, path) as place:
                    return place.path
            except (FileNotFoundError, NotADirectoryError):
                return self.root.joinpath(*path.strip("/").split("/"))

    @contextmanager
    def _told(self, path: str, verb: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise HostError(f"cannot {verb} {path}: {error.strerror}") from error

    def read(self, path: str) -> bytes | None:
        if path.startswith(_STREAMS) and self.root == _HOST:
            # As `<(command)` names it: no file of the node, but what the user gave us.
            return read_at_most(Path(path), _MOST_STREAM)
        return self._read(path, -_MOST_BYTES)

    def tail(self, path: str, most_bytes: int) -> bytes | None:
        return self._read(path, most_bytes)

    def _read(self, path: str, most_bytes: int) -> bytes | None:
        """The last so many bytes; below 0: the whole file, an error where it has more."""
        with self._told(path, "read"):
            try:
                with target(self.root, path) as place:
                    return _content(place, most_bytes)
            except (FileNotFoundError, NotADirectoryError):
                return None

    def write(self, path: str, content: bytes, *, mode: int, secret: bool = False) -> None:
        del secret
        with self._told(path, "write"), holder(self.root, path, make=_FOLDER_MODE) as place:
            write_into(place.folder, place.name, content, mode=mode)
        self.report(ResourceWritten("file", path))

    def folder(self, path: str, *, mode: int) -> None:
        with self._told(path, "create the directory"), holder(self.root, path, make=_FOLDER_MODE) as place:
            if place.status() is None:
                make_one(place.folder, place.name, mode)

    def names(self, path: str) -> list[str]:
        with self._told(path, "list"):
            try:
                with target(self.root, path) as place:
                    return _names(place)
            except (FileNotFoundError, NotADirectoryError):
                return []

    def mode(self, path: str) -> int | None:
        found = self._status(path)
        return stat.S_IMODE(found.st_mode) if found is not None else None

    def is_file(self, path: str) -> bool:
        found = self._status(path)
        if found is not None and stat.S_ISLNK(found.st_mode):
            with self._told(path, "look at"), target(self.root, path) as place:
                found = place.status() or found
        return found is not None and not stat.S_ISDIR(found.st_mode)

    def _status(self, path: str) -> os.stat_result | None:
        with self._told(path, "look at"):
            try:
                with holder(self.root, path) as place:
                    return place.status()
            except (FileNotFoundError, NotADirectoryError):
                return None

    def remove(self, path: str) -> None:
        deletion.remove(path, root=self.root)

    def empty(self, path: str, *, keep: Collection[str] = ()) -> None:
        """Deletes what is in a folder; see `deletion.empty`."""
        deletion.empty(path, root=self.root, keep=keep)


_FOLDER_MODE = 0o755


_HOST = Path("/")
_STREAMS = ("/dev/fd/", "/proc/self/fd/", "/dev/stdin")
_MOST_STREAM, _MOST_BYTES = 1 << 20, 64 << 20


def _content(place: Place, most_bytes: int) -> bytes:
    # Not to wait for who writes into a pipe.
    fd = place.open(os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "it is no file")
        size = os.fstat(fd).st_size
        if size > -most_bytes > 0:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        file.seek(max(0, size - most_bytes) if most_bytes > 0 else 0)
        return file.read(abs(most_bytes))


def _names(place: Place) -> list[str]:
    fd = place.open(os.O_RDONLY | os.O_DIRECTORY)
    try:
        return sorted(os.listdir(fd))
    finally:
        os.close(fd)


@dataclass(slots=True)
class DryTree:
    """Reads through to `below` and keeps what is written in memory: later phases see it, nobody else does."""

    below: Tree
    written: dict[str, tuple[bytes, int, bool]] = field(default_factory=dict[str, tuple[bytes, int, bool]])
    gone: set[str] = field(default_factory=set[str])

    def read(self, path: str) -> bytes | None:
        if path in self.written:
            return self.written[path][0]
        return None if self._is_gone(path) else self.below.read(path)

    def tail(self, path: str, most_bytes: int) -> bytes | None:
        return self.written[path][0][-most_bytes:] if path in self.written else self.below.tail(path, most_bytes)

    def write(self, path: str, content: bytes, *, mode: int, secret: bool = False) -> None:
        self.written[path] = (content, mode, secret)

    def folder(self, path: str, *, mode: int) -> None:
        """A folder alone is not worth a line of a dry run."""

    def names(self, path: str) -> list[str]:
        inside = path.rstrip("/") + "/"
        made = {name[len(inside) :].partition("/")[0] for name in self.written if name.startswith(inside)}
        there = {name for name in self.below.names(path) if not self._is_gone(inside + name)}
        return sorted(there | made)

    def mode(self, path: str) -> int | None:
        if path in self.written:
            return self.written[path][1]
        return None if self._is_gone(path) else self.below.mode(path)

    def is_file(self, path: str) -> bool:
        return path in self.written or (not self._is_gone(path) and self.below.is_file(path))

    def remove(self, path: str) -> None:
        inside = path.rstrip("/") + "/"
        for name in [name for name in self.written if name == path or name.startswith(inside)]:
            del self.written[name]
        if self.below.mode(path) is not None:
            self.gone.add(path)

    def empty(self, path: str, *, keep: Collection[str] = ()) -> None:
        for name in self.names(path):
            if name not in keep:
                self.remove(f"{path.rstrip('/')}/{name}")

    def at(self, path: str) -> Path:
        return self.below.at(path)

    def _is_gone(self, path: str) -> bool:
        return any(path == one or path.startswith(one.rstrip("/") + "/") for one in self.gone)

    def changes(self) -> list[Change]:
        """What would have been done, in the order it was."""
        found = [
            Change(path, _kind(self.below.read(path), content), self.below.read(path), content, mode, secret)
            for path, (content, mode, secret) in self.written.items()
        ]
        return found + [Change(path, "remove", None, None, 0, secret=True) for path in sorted(self.gone - self.written.keys())]


def _kind(before: bytes | None, after: bytes) -> Kind:
    if before is None:
        return "create"
    return "keep" if before == after else "change"
