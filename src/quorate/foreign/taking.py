"""Deletes what is in a folder only as what was looked at: takes it away, looks at it there, and only then deletes it (decision
25).

Every look and every deletion goes through the folder that was opened once. By its path a folder that was moved away meanwhile
is looked at as "nothing is there", and then deleted. Two names tell a later run what a killed one had done: what is in
`TAKEN` is to be looked at, and gets its place back where nobody can; what is in `JUDGED` only has to be deleted.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from quorate.errors import HostError
from quorate.foreign.deletion import Deleting, begin, shown
from quorate.foreign.inside import target
from quorate.foreign.kernel import rename_new

TAKEN = ".quorate-taken"
"""Holds what was taken away and is not looked at yet. The kubelet reads no name that begins with a dot."""

JUDGED = ".quorate-deleting"
"""Holds what was taken away, looked at, and is being deleted."""

IsMeant = Callable[[Path], bool]
"""Looks at what is in the folder of that path, which leads through an open descriptor: what was or would be taken away.
Returns whether it is what may be deleted. It is not asked where that is nothing."""

_MOST_NAMED = 5


def take(path: str, is_meant: IsMeant, *, root: Path = Path("/"), keep: Collection[str] = ()) -> bool:
    """Deletes the contents of a folder, but for the names in `keep`: takes them away, looks at them there, and only then
    deletes them; what another program makes in the folder meanwhile stays. The folder stays, and so does a link in its place,
    which is followed by the rule of `inside`. A missing folder is no error. Returns False, with everything back in its place,
    where `is_meant` does. What a run that was cut off had taken away is looked at first.

    What cannot be moved is looked at and deleted where it is: a mount, a folder of the lower layer of an overlay, and anything
    on a full disk. What comes there between this look and the deletion is deleted too.

    Raises `NotDeleted`, and `HostError` where something could not get its place back.
    """
    kept = frozenset(keep)
    return _take(path, is_meant, root, lambda names: sorted(frozenset(names) - kept))


def take_named(path: str, names: Sequence[str], is_meant: IsMeant, *, root: Path = Path("/")) -> bool:
    """Deletes these entries of a folder as `take`, and none beside them. They are taken away in this order: what tells whose
    they are is the last."""
    return _take(path, is_meant, root, lambda there: [name for name in names if name in frozenset(there)])


def settle(path: str, *, root: Path = Path("/")) -> None:
    """Ends what a run that was cut off began in a folder: what it had looked at is deleted, what it had only taken away gets
    its place back. Raises as `take`."""

    def settled(folder: int, where: Path) -> bool:
        work = begin()
        _delete_judged(folder, where, work)
        _give_back_taken(folder, where)
        work.finish()
        return True

    _within(path, root, settled)


def _take(path: str, is_meant: IsMeant, root: Path, choose: Callable[[Iterable[str]], list[str]]) -> bool:
    return _within(path, root, lambda folder, where: _Taking(folder, where, begin(), is_meant, choose).run())


def _within(path: str, root: Path, work: Callable[[int, Path], bool]) -> bool:
    """Returns what `work` does with an open folder and its real path; True where there is no such folder."""
    try:
        with ExitStack() as stack:
            try:
                place = stack.enter_context(target(root, path))
                folder = place.open(os.O_RDONLY | os.O_DIRECTORY)
            except FileNotFoundError:
                return True
            stack.callback(os.close, folder)
            return work(folder, place.path)
    except OSError as error:
        raise HostError(f"cannot delete the contents of {shown(root, path)}: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class _Taking:
    folder: int
    where: Path
    work: Deleting
    is_meant: IsMeant
    choose: Callable[[Iterable[str]], list[str]]

    def run(self) -> bool:
        _delete_judged(self.folder, self.where, self.work)
        if TAKEN in os.listdir(self.folder):
            # Of a run that was cut off. It may have taken only a part: then the whole is looked at in its place.
            self._end_taken()
        is_done = self._delete(self._chosen())
        self.work.finish()
        return is_done

    def _chosen(self) -> list[str]:
        ours = frozenset((TAKEN, JUDGED))
        return self.choose([name for name in os.listdir(self.folder) if name not in ours])

    def _delete(self, names: list[str]) -> bool:
        mounted = [name for name in names if self._is_mounted(name)]
        movable = [name for name in names if name not in mounted]
        # Nothing is moved that is seen to be another's.
        if names and not self.is_meant(path_of(self.folder)):
            return False
        is_taken = not movable or self._take(movable)
        if movable and is_taken and not self._end_taken():
            return False
        in_place = mounted if is_taken else names
        if not in_place:
            return True
        if not self.is_meant(path_of(self.folder)):
            return False
        self.work.contents(self.folder, self.where, frozenset(os.listdir(self.folder)) - frozenset(in_place))
        return True

    def _is_mounted(self, name: str) -> bool:
        return any(place.is_relative_to(self.where / name) for place in self.work.mounts)

    def _take(self, names: list[str]) -> bool:
        """Returns whether all could be moved. Otherwise all have their places, so that they are looked at as a whole."""
        try:
            os.mkdir(TAKEN, 0o700, dir_fd=self.folder)
        except FileExistsError:
            raise
        except OSError:
            return False
        with _taken(self.folder) as taken:
            try:
                for name in names:
                    with suppress(FileNotFoundError):
                        os.rename(name, name, src_dir_fd=self.folder, dst_dir_fd=taken)
            except OSError:
                _give_back(self.folder, taken, self.where)
                return False
        return True

    def _end_taken(self) -> bool:
        """Deletes what was taken away, if it is meant; else gives it its place back."""
        with _taken(self.folder) as taken:
            names, is_meant = self.choose(os.listdir(taken)), False
            try:
                is_meant = not names or self.is_meant(path_of(taken))
            finally:
                if not is_meant:
                    _give_back(self.folder, taken, self.where)
            if not is_meant:
                return False
            _give_back(self.folder, taken, self.where, stays=names)
            with suppress(OSError):
                # Where an earlier one could not be deleted, or there is no room, it is deleted under the other name.
                os.rename(TAKEN, JUDGED, src_dir_fd=self.folder, dst_dir_fd=self.folder)
            self.work.contents(taken, self.where / JUDGED)
        for name in (JUDGED, TAKEN):
            with suppress(OSError):
                # Not empty: what could not be deleted is named at the end.
                os.rmdir(name, dir_fd=self.folder)
        return True


def _delete_judged(folder: int, where: Path, work: Deleting) -> None:
    if JUDGED in os.listdir(folder):
        work.contents(folder, where, frozenset(os.listdir(folder)) - {JUDGED})


def _give_back_taken(folder: int, where: Path) -> None:
    if TAKEN in os.listdir(folder):
        with _taken(folder) as taken:
            _give_back(folder, taken, where)


@contextmanager
def _taken(folder: int) -> Iterator[int]:
    try:
        fd = os.open(TAKEN, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except NotADirectoryError as error:
        # A link is none either: where it leads is not what a run of ours took away.
        raise NotADirectoryError(error.errno, f"{TAKEN} in it is no folder, and not of this tool: move it away") from error
    try:
        yield fd
    finally:
        os.close(fd)


def _give_back(folder: int, taken: int, where: Path, stays: Collection[str] = ()) -> None:
    """Gives what was taken away its place back, but for `stays`. Raises `HostError` where a newer one has a name: that stays,
    and so does what was taken away."""
    left: list[str] = []
    for name in sorted(frozenset(os.listdir(taken)) - frozenset(stays)):
        try:
            rename_new(name, name, src_dir_fd=taken, dst_dir_fd=folder)
        except FileExistsError:
            left.append(name)
    if left:
        more = f" and {len(left) - _MOST_NAMED} more" if len(left) > _MOST_NAMED else ""
        raise HostError(
            f"{where / TAKEN} holds {', '.join(left[:_MOST_NAMED])}{more}, taken away to be looked at, and newer files have "
            "these names by now: both were left",
            advice=f"look at both, and move away what is not needed; with {where / TAKEN} gone, run the same command again",
        )
    if not stays:
        with suppress(OSError):
            os.rmdir(TAKEN, dir_fd=folder)


def path_of(fd: int) -> Path:
    """Returns a path that leads to an open folder, whatever name that has by now."""
    return Path(f"/proc/self/fd/{fd}")
