"""The files of a node below one root: really, or only in memory so that the same code shows what it would do.

Paths are absolute as the node sees them (/etc/kubernetes/admin.conf); where the tree is rooted elsewhere, the caller's real
path is prefixed and no step of ours leads out of it.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from quorate.errors import HostError
from quorate.files import make_folder, remove_tree, write_atomic
from quorate.report import Made, PhaseReport, silent

_HOST = Path("/")
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
        """A file, a link, or a folder with all that is in it; links are not followed. Absence is fine."""
        ...


@dataclass(frozen=True, slots=True)
class RealTree:
    """The files below `root`. `report` is told of each that is written."""

    root: Path = Path("/")
    report: PhaseReport = silent

    def at(self, path: str) -> Path:
        """Where a path of the node is for us. Raises `HostError` when it would lie outside the root."""
        parts = [part for part in path.split("/") if part]
        if not path.startswith("/") or ".." in parts:
            raise HostError(f"{path!r} is not an absolute path without ..")
        where = self.root.joinpath(*parts)
        self._keep_inside(where.parent, path)
        return where

    def _target(self, path: str) -> Path:
        """As `at`, for what follows a link at the path itself."""
        where = self.at(path)
        self._keep_inside(where, path)
        return where

    def _keep_inside(self, where: Path, path: str) -> None:
        """As the node itself would follow it, an absolute link stays below its root; from outside it leads to this host."""
        if self.root != _HOST and not where.resolve().is_relative_to(self.root.resolve()):
            raise HostError(f"{path} leads out of {self.root} by a symlink: it is not followed")

    def read(self, path: str) -> bytes | None:
        try:
            return self._target(path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise HostError(f"cannot read {path}: {error.strerror}") from error

    def write(self, path: str, content: bytes, *, mode: int, secret: bool = False) -> None:
        del secret
        where = self.at(path)
        make_folder(where.parent, mode=0o755)
        write_atomic(where, content, mode=mode)
        self.report(Made("file", path))

    def folder(self, path: str, *, mode: int) -> None:
        where = self._target(path)
        make_folder(where.parent, mode=0o755)
        make_folder(where, mode=mode)

    def names(self, path: str) -> list[str]:
        try:
            return sorted(os.listdir(self._target(path)))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise HostError(f"cannot list {path}: {error.strerror}") from error

    def mode(self, path: str) -> int | None:
        try:
            return stat.S_IMODE(self.at(path).lstat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def is_file(self, path: str) -> bool:
        where = self.at(path)
        return os.path.lexists(where) and not where.is_dir()

    def remove(self, path: str) -> None:
        where = self.at(path)
        if where.is_dir() and not where.is_symlink():
            remove_tree(where)
            return
        try:
            where.unlink(missing_ok=True)
        except OSError as error:
            raise HostError(f"cannot delete {path}: {error.strerror}") from error


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
