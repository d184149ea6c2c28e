"""The files of a node as a dry run changes them: in memory, where only later phases see them."""

from __future__ import annotations

import stat
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from quorate.errors import HostError
from quorate.foreign.places import Stamp
from quorate.tree import Change, Kind, NewContent, Tree


@dataclass(slots=True)
class DryTree:
    """Reads through to `below` and keeps writes in memory, where only later phases see them."""

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

    def create(self, path: str, content: bytes, *, mode: int, secret: bool = False) -> None:
        self.write(path, content, mode=mode, secret=secret)

    def exchange(self, *files: NewContent) -> None:
        for file in files:
            there = self.at(file.path)
            mode = stat.S_IMODE(there.stat().st_mode) if there.exists() else file.mode
            self.write(file.path, file.content, mode=mode, secret=file.secret)

    def folder(self, path: str, *, mode: int) -> None:
        """Does nothing: a folder alone is not worth a line of a dry run."""

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

    def stamp(self, path: str) -> Stamp | None:
        """Returns that of the file on disk: what a dry run has written was seen by itself alone."""
        return None if path in self.written or self._is_gone(path) else self.below.stamp(path)

    def remove_if(self, path: str, seen: Stamp) -> None:
        if self.stamp(path) not in (None, seen):
            raise HostError(f"{path} was written by another program since this run looked")
        self.remove(path)

    def rename_new(self, path: str, name: str) -> bool:
        new = f"{path.rpartition('/')[0]}/{name}"
        if self.is_file(new):
            return False
        self.written[new] = (self.read(path) or b"", self.mode(path) or 0, False)
        self.remove(path)
        return True

    def take(self, path: str, is_meant: Callable[[Path], bool], *, keep: Collection[str] = ()) -> bool:
        return self.take_named(path, [name for name in self.names(path) if name not in keep], is_meant)

    def take_named(self, path: str, names: Sequence[str], is_meant: Callable[[Path], bool]) -> bool:
        there = frozenset(self.names(path)) & frozenset(names)
        if there and not is_meant(self.at(path)):
            return False
        for name in sorted(there):
            self.remove(f"{path.rstrip('/')}/{name}")
        return True

    def sweep(self, path: str) -> list[str]:  # noqa: ARG002
        """Does nothing: what killed runs have left is no part of what a run does."""
        return []

    def at(self, path: str) -> Path:
        return self.below.at(path)

    def _is_gone(self, path: str) -> bool:
        return any(path == one or path.startswith(one.rstrip("/") + "/") for one in self.gone)

    def changes(self) -> list[Change]:
        """Returns what would have been done: writes in their order, then removals."""
        found = [
            Change(path, _kind(self.below.read(path), content), self.below.read(path), content, mode, secret)
            for path, (content, mode, secret) in self.written.items()
        ]
        return found + [Change(path, "remove", None, None, 0, secret=True) for path in sorted(self.gone - self.written.keys())]


def _kind(before: bytes | None, after: bytes) -> Kind:
    if before is None:
        return "create"
    return "keep" if before == after else "change"
