"""The only place that deletes folders: it stays below its folder and on its mount, whatever others change meanwhile.

A mount below a folder is another volume: the NFS share of a pod that could not be unmounted was once emptied. The folder itself
may be a mount point: the mount stays, its contents are deleted. An entry that cannot be deleted does not stop the others.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from quorate.errors import HostError
from quorate.foreign.inside import Place, holder
from quorate.foreign.mounts import mount_of, mount_points

_ROOT = Path("/")
_MOST_NAMED, _MOST_DEPTH = 5, 100


class NotDeleted(HostError):
    """Some files could not be deleted; `left` names each with its reason."""

    code = "not-deleted"
    next_step = "delete the named files by hand"

    def __init__(self, left: tuple[tuple[Path, str], ...]) -> None:
        named = "; ".join(f"{path}: {why}" for path, why in left[:_MOST_NAMED])
        more = f"; and {len(left) - _MOST_NAMED} more" if len(left) > _MOST_NAMED else ""
        super().__init__(f"cannot delete {named}{more}", advice="fix the cause, then run the same command again")
        self.left = left


@dataclass(slots=True)
class Deleting:
    """One deletion below open folders. `mounts`: resolved paths, read before anything is touched: opening a dead network mount
    may not return."""

    mounts: frozenset[Path]
    left: list[tuple[Path, str]] = field(default_factory=list[tuple[Path, str]])
    top: int = -1
    top_depth: int = 0
    depth: int = 0
    raised: list[str] = field(default_factory=list[str])

    def contents(self, folder: int, where: Path, keep: Collection[str] = ()) -> bool:
        """Deletes the contents of an open folder, but for `keep`. Returns whether all of them could be deleted."""
        home, before, is_top = mount_of(folder), len(self.left), self.top == -1
        if is_top:
            self.top, self.top_depth = folder, self.depth
        for name in sorted(os.listdir(folder)):
            if name not in keep:
                self.entry(folder, name, where / name, home)
        while self.depth == self.top_depth and self.raised:
            name = self.raised.pop()
            self.entry(folder, name, where / name, home)
        if is_top:
            self.top = -1
        return len(self.left) == before

    def entry(self, folder: int, name: str, where: Path, home: int) -> None:
        """Deletes one entry of a folder. `home`: the mount that the deletion stays on."""
        try:
            if where in self.mounts:
                raise OSError(errno.EXDEV, "something is mounted there")
            if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                self._folder(folder, name, where, home)
            else:
                os.unlink(name, dir_fd=folder)
        except FileNotFoundError:
            return
        except OSError as error:
            self.left.append((where, error.strerror or str(error)))

    def _folder(self, folder: int, name: str, where: Path, home: int) -> None:
        if self.depth >= _MOST_DEPTH:
            # A pod may nest folders deeper than our stack and our limit of open files: this one is moved up and deleted there.
            if any(place.is_relative_to(where) for place in self.mounts):
                raise OSError(errno.EXDEV, "something is mounted below it")
            self.raised.append(f".quorate-deleting-{os.urandom(8).hex()}")
            os.rename(name, self.raised[-1], src_dir_fd=folder, dst_dir_fd=self.top)
            return
        inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        self.depth += 1
        try:
            if mount_of(inner) != home:
                raise OSError(errno.EXDEV, "something is mounted there")
            empty = self.contents(inner, where)
        finally:
            self.depth -= 1
            os.close(inner)
        if empty:
            os.rmdir(name, dir_fd=folder)

    def finish(self) -> None:
        """Raises `NotDeleted` when something could not be deleted."""
        if self.left:
            raise NotDeleted(tuple(self.left))


def begin() -> Deleting:
    """Returns a deletion, for which the mounts are read."""
    return Deleting(frozenset(mount_points()))


def remove(path: str, *, root: Path = _ROOT) -> None:
    """Deletes a file, a link (not its target), or a folder with its contents. A missing path is no error. Of a mount point only
    the contents are deleted. Raises `NotDeleted`, and `HostError` for a link on the way that is not followed."""
    try:
        with holder(root, path) as place:
            _remove(place)
    except FileNotFoundError:
        return
    except OSError as error:
        raise HostError(f"cannot delete {shown(root, path)}: {error.strerror}") from error


def shown(root: Path, path: str) -> str:
    """Returns a path below a root as messages name it."""
    return path if root == _ROOT else f"{root}{path}"


def _remove(place: Place) -> None:
    found = place.status()
    if found is None or not place.name:
        return
    work = begin()
    if stat.S_ISDIR(found.st_mode) and place.path in work.mounts:
        _empty(place, work)
    else:
        work.entry(place.folder, place.name, place.path, mount_of(place.folder))
    work.finish()


def _empty(place: Place, work: Deleting) -> None:
    folder = place.open(os.O_RDONLY | os.O_DIRECTORY)
    try:
        work.contents(folder, place.path)
    finally:
        os.close(folder)
