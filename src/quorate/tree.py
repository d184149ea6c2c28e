"""The files of a node below one root: on disk, or in memory for a dry run of the same code (decision 13).

Paths are absolute as the node sees them (/etc/kubernetes/admin.conf). For a tree rooted elsewhere the root's real path is
prefixed, and no path of ours leads out of it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from quorate.errors import HostError
from quorate.exchanging import Swap, prepared, put_all
from quorate.files import create_into, make_one, write_into
from quorate.foreign import deletion, places, taking
from quorate.foreign.aside import remove_if, sweep, sync
from quorate.foreign.inside import Place, holder, target
from quorate.foreign.kernel import rename_new
from quorate.foreign.local_files import read_at_most
from quorate.foreign.places import Stamp, stamp_at
from quorate.loggers import logger
from quorate.report import PhaseReport, ResourceWritten, silent

_LOGGER = logger(__name__)
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


@dataclass(frozen=True, slots=True)
class NewContent:
    """New content of a file. `mode`: that of the file where there is none yet; `instead_of`: what was read there, None where
    there was none; `secret`: a dry run does not show it."""

    path: str
    content: bytes
    mode: int
    instead_of: bytes | None = None
    secret: bool = True


class Tree(Protocol):
    """The file-system operations that phases need."""

    def read(self, path: str) -> bytes | None:
        """Returns the content, or None when there is no such file. Raises `HostError` when it cannot be read, and when it is
        not known whether it is there: a link on the way leads nowhere, or what should be a folder is none."""
        ...

    def tail(self, path: str, most_bytes: int) -> bytes | None:
        """Returns the last `most_bytes` of a file that may be large; None when there is none. Raises as `read`."""
        ...

    def write(self, path: str, content: bytes, *, mode: int, secret: bool = False) -> None:
        """Writes the whole file at once, with this mode from its first byte; makes missing parents with mode 0755."""
        ...

    def create(self, path: str, content: bytes, *, mode: int, secret: bool = False) -> None:
        """As `write`, for a file that was missing when it was looked for. Raises `HostError`, and leaves what is there, where
        another program has made it since."""
        ...

    def exchange(self, *files: NewContent) -> None:
        """Replaces files that belong together, in this order, once all are written next to their places. Each keeps owner,
        group and mode, and a trusted link to it stays. Raises `HostError`, also for a link or an owner that is not trusted, and
        leaves what is there, where another program has written it since it was read."""
        ...

    def folder(self, path: str, *, mode: int) -> None:
        """Makes a folder where it is missing; an existing one keeps its mode."""
        ...

    def names(self, path: str) -> list[str]:
        """Returns the names in a folder, sorted; empty when there is no such folder."""
        ...

    def mode(self, path: str) -> int | None:
        """Returns the permission bits of a file or folder; None when it is absent."""
        ...

    def is_file(self, path: str) -> bool:
        """Returns whether the path exists and is not a folder."""
        ...

    def remove(self, path: str) -> None:
        """Deletes a file, a link, or a folder with its content but not with what is mounted there; does not follow links.
        Does nothing when the path is absent. Raises `HostError` with all that is left."""
        ...

    def stamp(self, path: str) -> Stamp | None:
        """Returns what tells the file from another of its name; None when it is absent."""
        ...

    def remove_if(self, path: str, seen: Stamp) -> None:
        """Deletes the file that was seen; does nothing when there is none. Raises `HostError`, and leaves it, where it is
        another one: another program has written it since."""
        ...

    def rename_new(self, path: str, name: str) -> bool:
        """Gives a file, or a link, another name in its folder, with its mode and owner. Returns False, and changes nothing,
        where something has that name. Raises `HostError`."""
        ...

    def take(self, path: str, is_meant: Callable[[Path], bool], *, keep: Collection[str] = ()) -> bool:
        """Deletes the content of a folder except `keep`; the folder stays. It is taken away first, and looked at there with
        `is_meant`; returns False, with everything in its place, where that does. Otherwise as `remove`; see `taking.take`."""
        ...

    def take_named(self, path: str, names: Sequence[str], is_meant: Callable[[Path], bool]) -> bool:
        """Deletes these entries of a folder as `take`, and none beside them; see `taking.take_named`."""
        ...

    def sweep(self, path: str) -> list[str]:
        """Deletes what killed runs have left in a folder beside the files that they wrote or deleted, and gives back what they
        had not to delete; see `aside.sweep`. Returns the names of those that stay."""
        ...

    def at(self, path: str) -> Path:
        """Returns where a path of the node is on this machine, for code that opens it itself. Raises `HostError`."""
        ...


@dataclass(frozen=True, slots=True)
class RealTree:
    """The files below `root`. `report` gets a message for each file that is written."""

    root: Path = Path("/")
    report: PhaseReport = silent

    def at(self, path: str) -> Path:
        """Returns where a path of the node is on this machine, for libraries that open files themselves. Raises `HostError`
        for a link on the way that is not followed."""
        with self._told(path, "find"):
            try:
                with target(self.root, path) as place:
                    return place.path
            except FileNotFoundError:
                return self.root.joinpath(*path.strip("/").split("/"))

    @contextmanager
    def _told(self, path: str, verb: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            # Below another root the node's path alone would name a file of this host, which nobody has touched.
            where = path if self.root == _HOST else f"{self.root}{path}"
            raise HostError(f"cannot {verb} {where}: {error.strerror}") from error

    def read(self, path: str) -> bytes | None:
        if path.startswith(_STREAMS) and self.root == _HOST:
            # A stream such as `<(command)` is input from the user, not a file of the node.
            return read_at_most(Path(path), _MOST_STREAM)
        return self._read(path, -_MOST_BYTES)

    def tail(self, path: str, most_bytes: int) -> bytes | None:
        return self._read(path, most_bytes)

    def _read(self, path: str, most_bytes: int) -> bytes | None:
        """Returns the last `most_bytes` bytes. Below 0: returns the whole file, and raises when it is larger than that."""
        with self._told(path, "read"):
            try:
                with target(self.root, path) as place:
                    return places.content(place, most_bytes)
            except FileNotFoundError:
                return None

    def write(self, path: str, content: bytes, *, mode: int, secret: bool = False) -> None:
        del secret
        with self._told(path, "write"), holder(self.root, path, make=_FOLDER_MODE) as place:
            write_into(place.folder, place.name, content, mode=mode)
        self._wrote(path, mode)

    def create(self, path: str, content: bytes, *, mode: int, secret: bool = False) -> None:
        del secret
        with self._told(path, "write"), holder(self.root, path, make=_FOLDER_MODE) as place:
            try:
                create_into(place.folder, place.name, content, mode=mode)
            except FileExistsError as error:
                raise HostError(
                    f"{path} was missing, and another program made it meanwhile: it was left as it is",
                    advice="let the other program end, then run the same command again",
                ) from error
        self._wrote(path, mode)

    def _wrote(self, path: str, mode: int) -> None:
        _LOGGER.info("wrote %s", path, extra={"fields": {"path": path, "mode": f"{mode:04o}"}})
        self.report(ResourceWritten("file", path))

    def exchange(self, *files: NewContent) -> None:
        with ExitStack() as stack:
            swaps: list[Swap] = []
            for file in files:
                with self._told(file.path, "write"):
                    place = stack.enter_context(target(self.root, file.path))
                    swap = prepared(file.path, place, file.content, mode=file.mode, instead_of=file.instead_of)
                    swaps.append(stack.enter_context(swap))
            with self._told(" and ".join(one.path for one in swaps), "look at"):
                twice = places.one_file((one.path, Place(one.folder, one.name)) for one in swaps)
            if twice:
                raise HostError(f"{' and '.join(twice)} are one file", advice="make two of it, each with what belongs there")
            # All before the first: where one was changed long ago, none is replaced.
            for one in swaps:
                with self._told(one.path, "read"):
                    one.refuse_changed()
            put_all(swaps)
        for file in files:
            _LOGGER.info("exchanged %s", file.path, extra={"fields": {"path": file.path}})
            self.report(ResourceWritten("file", file.path))

    def folder(self, path: str, *, mode: int) -> None:
        with self._told(path, "create the directory"), holder(self.root, path, make=_FOLDER_MODE) as place:
            if place.status() is None:
                make_one(place.folder, place.name, mode)

    def names(self, path: str) -> list[str]:
        with self._told(path, "list"):
            try:
                with target(self.root, path) as place:
                    return places.names(place)
            except FileNotFoundError:
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
            except FileNotFoundError:
                return None

    def remove(self, path: str) -> None:
        deletion.remove(path, root=self.root)

    def stamp(self, path: str) -> Stamp | None:
        with self._told(path, "look at"):
            try:
                with holder(self.root, path) as place:
                    return stamp_at(place.name or ".", dir_fd=place.folder)
            except FileNotFoundError:
                return None

    def remove_if(self, path: str, seen: Stamp) -> None:
        with self._told(path, "delete"), suppress(FileNotFoundError), holder(self.root, path) as place:
            if not remove_if(place.folder, place.name, seen):
                raise HostError(
                    f"{path} was written by another program since this run looked: it was left as it is",
                    advice="look at what works on this node, then run the same command again",
                )

    def rename_new(self, path: str, name: str) -> bool:
        with self._told(path, "rename"), holder(self.root, path) as place:
            try:
                rename_new(place.name, name, src_dir_fd=place.folder, dst_dir_fd=place.folder)
            except FileExistsError:
                return False
            sync(place.folder)
        _LOGGER.info("renamed %s to %s", path, name, extra={"fields": {"path": path, "name": name}})
        return True

    def take(self, path: str, is_meant: Callable[[Path], bool], *, keep: Collection[str] = ()) -> bool:
        return taking.take(path, is_meant, root=self.root, keep=keep)

    def take_named(self, path: str, names: Sequence[str], is_meant: Callable[[Path], bool]) -> bool:
        return taking.take_named(path, names, is_meant, root=self.root)

    def sweep(self, path: str) -> list[str]:
        with self._told(path, "look at"):
            try:
                with target(self.root, path) as place:
                    return places.within(place, sweep)
            except (FileNotFoundError, NotADirectoryError):
                return []


_FOLDER_MODE = 0o755


_HOST = Path("/")
_STREAMS = ("/dev/fd/", "/proc/self/fd/", "/dev/stdin")
_MOST_STREAM, _MOST_BYTES = 1 << 20, 64 << 20
