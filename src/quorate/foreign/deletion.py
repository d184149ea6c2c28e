"""The only place that deletes folders: it stays below its folder and on its mount, whatever others change meanwhile.

A mount below a folder is another volume: the NFS share of a pod that could not be unmounted was once emptied. The folder itself
may be a mount point: the mount stays, its contents are deleted. An entry that cannot be deleted does not stop the others.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from quorate.errors import HostError
from quorate.foreign.inside import Place, holder, target
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
class _Deleting:
    """One deletion. `mounts`: resolved paths, read before anything is touched: opening a dead network mount may not return."""

    mounts: frozenset[Path]
    left: list[tuple[Path, str]] = field(default_factory=list[tuple[Path, str]])
    top: int = -1
    top_depth: int = 0
    depth: int = 0
    raised: list[str] = field(default_factory=list[str])

    def contents(self, folder: int, where: Path, keep: Collection[str] = ()) -> bool:
        """Deletes the contents of an open folder, but for `keep`. Returns whether all of them could be deleted."""
        home, before = mount_of(folder), len(self.left)
        if self.top == -1:
            self.top, self.top_depth = folder, self.depth
        for name in sorted(os.listdir(folder)):
            if name not in keep:
                self.entry(folder, name, where / name, home)
        while self.depth == self.top_depth and self.raised:
            name = self.raised.pop()
            self.entry(folder, name, where / name, home)
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


def _begin() -> _Deleting:
    return _Deleting(frozenset(mount_points()))


def remove(path: str, *, root: Path = _ROOT) -> None:
    """Deletes a file, a link (not its target), or a folder with its contents. A missing path is no error. Of a mount point only
    the contents are deleted. Raises `NotDeleted`, and `HostError` for a link on the way that is not followed."""
    try:
        with holder(root, path) as place:
            _remove(place)
    except FileNotFoundError:
        return
    except OSError as error:
        raise HostError(f"cannot delete {_shown(root, path)}: {error.strerror}") from error


def _shown(root: Path, path: str) -> str:
    return path if root == _ROOT else f"{root}{path}"


def _remove(place: Place) -> None:
    found = place.status()
    if found is None or not place.name:
        return
    work = _begin()
    if stat.S_ISDIR(found.st_mode) and place.path in work.mounts:
        _empty(place, work, ())
    else:
        work.entry(place.folder, place.name, place.path, mount_of(place.folder))
    work.finish()


def empty(path: str, *, root: Path = _ROOT, keep: Collection[str] = ()) -> None:
    """Deletes the contents of a folder, but for the names in `keep`. The folder stays, and so does a link in its place, which
    is followed by the rule of `inside`. A missing folder is no error. Raises as `remove`."""
    try:
        with target(root, path) as place:
            found = place.status() if place.name else None
            if found is None:
                return
            work = _begin()
            _empty(place, work, keep)
            work.finish()
    except FileNotFoundError:
        return
    except OSError as error:
        raise HostError(f"cannot delete the contents of {_shown(root, path)}: {error.strerror}") from error


TAKEN = ".quorate-taken"
"""Holds what was taken away and is not deleted yet. The kubelet reads no name that begins with a dot."""

IsMeant = Callable[[Path], bool]
"""Looks at what was taken away, in the folder of that path; returns whether it is what may be deleted."""


def take(path: str, is_meant: IsMeant, *, root: Path = _ROOT, keep: Collection[str] = ()) -> bool:
    """Deletes the contents of a folder as `empty`, but takes them away first, looks at them there, and only then deletes them;
    what another program makes in the folder meanwhile stays. Returns False, with everything back in its place, where
    `is_meant` does. What a run that was cut off had taken away is looked at first.

    A mount, and a folder with mounts below it, cannot be taken away: such are looked at and emptied where they are.
    """
    try:
        with target(root, path) as place:
            found = place.status() if place.name else None
            if found is None:
                return True
            folder = place.open(os.O_RDONLY | os.O_DIRECTORY)
            try:
                return _Taking(folder, place.path, _begin(), is_meant).run(frozenset(keep))
            finally:
                os.close(folder)
    except FileNotFoundError:
        return True
    except OSError as error:
        raise HostError(f"cannot delete the contents of {_shown(root, path)}: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class _Taking:
    folder: int
    where: Path
    work: _Deleting
    is_meant: IsMeant

    def run(self, keep: frozenset[str]) -> bool:
        mounted = {name for name in os.listdir(self.folder) if self._is_mounted(name)}
        for _ in range(2):
            if TAKEN not in os.listdir(self.folder):
                # Nothing is moved that is seen to be another's.
                if not self.is_meant(self.where):
                    return False
                self._take(keep | mounted)
            if not self._deleted():
                return False
        if mounted - keep:
            if not self.is_meant(self.where):
                return False
            self.work.contents(self.folder, self.where, frozenset(os.listdir(self.folder)) - mounted | keep)
        self.work.finish()
        return True

    def _is_mounted(self, name: str) -> bool:
        return any(place.is_relative_to(self.where / name) for place in self.work.mounts)

    def _take(self, keep: frozenset[str]) -> None:
        os.mkdir(TAKEN, 0o700, dir_fd=self.folder)
        taken = self._open()
        try:
            for name in sorted(frozenset(os.listdir(self.folder)) - keep - {TAKEN}):
                with suppress(FileNotFoundError):
                    os.rename(name, name, src_dir_fd=self.folder, dst_dir_fd=taken)
        except OSError:
            # Half of it cannot be moved, as on an overlay: nothing stays where nobody looks for it.
            self._give_back(taken)
            raise
        finally:
            os.close(taken)

    def _deleted(self) -> bool:
        """Deletes what was taken away, if it is meant; else puts it back."""
        taken = self._open()
        try:
            if self.is_meant(self.where / TAKEN):
                self.work.contents(taken, self.where / TAKEN)
                is_meant = True
            else:
                self._give_back(taken)
                is_meant = False
        finally:
            os.close(taken)
        with suppress(OSError):
            # Not empty: what could not be deleted is named at the end.
            os.rmdir(TAKEN, dir_fd=self.folder)
        return is_meant

    def _give_back(self, taken: int) -> None:
        there = os.listdir(self.folder)
        for name in os.listdir(taken):
            # One that has the name by now is newer, and stays.
            if name not in there:
                os.rename(name, name, src_dir_fd=taken, dst_dir_fd=self.folder)

    def _open(self) -> int:
        return os.open(TAKEN, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.folder)


def _empty(place: Place, work: _Deleting, keep: Collection[str]) -> None:
    folder = place.open(os.O_RDONLY | os.O_DIRECTORY)
    try:
        work.contents(folder, place.path, keep)
    finally:
        os.close(folder)
